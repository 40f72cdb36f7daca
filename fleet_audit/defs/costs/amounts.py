"""The four amounts of each vehicle-day, from its findings."""

import datetime as dt

import dagster as dg
import pandas as pd

from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.tables import DayFrames, daily_arguments, each_day, key_of
from fleet_audit.logic.costs.amounts import vehicle_day_amounts
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS, MATCHES, VEHICLE_DAY_AMOUNTS
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days


@dg.asset(
    **daily_arguments(VEHICLE_DAY_AMOUNTS, "costs"),
    ins={
        "findings": dg.AssetIn(key_of(FINDINGS)),
        "matches": dg.AssetIn(key_of(MATCHES)),
        "held_runs": dg.AssetIn(key_of(HELD_RUNS)),
    },
)
@acts_on_errors
def day_amounts(context: dg.AssetExecutionContext, findings: Days, matches: Days, held_runs: Days) -> DayFrames:
    """Sum the findings of each vehicle-day per amount, no kilometre twice."""

    def of_day(day: dt.date) -> pd.DataFrame:
        return vehicle_day_amounts(day, findings.read([day]), matches.read([day]), held_runs.read([day]))

    return each_day(run_days(context), of_day)

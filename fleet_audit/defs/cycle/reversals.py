"""Adjustments that a cycle bills because findings were reversed."""

import datetime as dt

import dagster as dg
import pandas as pd

from fleet_audit.closing.contests import reversed_findings
from fleet_audit.closing.freezing import closed_starts
from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, cycle_arguments, cycle_deps, key_of
from fleet_audit.logic.closing.adjustments import next_open_cycle
from fleet_audit.logic.closing.reversals import ReversalInputs, reversal_adjustments
from fleet_audit.logic.primitives.cycles import ONE_DAY, cycle_days, cycle_of
from fleet_audit.schema import facts
from fleet_audit.schema.derive import empty_frame
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import read_current_days


@dg.asset(
    **cycle_arguments(facts.REVERSAL_ADJUSTMENTS, "cycle"),
    deps=[
        dg.AssetDep(key_of(facts.ADJUSTMENTS), partition_mapping=dg.AllPartitionMapping()),  # of days of earlier cycles
        *cycle_deps(facts.FINDINGS, facts.MATCHES),
        key_of(facts.CYCLE_FINDINGS),
    ],
)
@acts_on_errors
def adjustments_of_reversals(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Release what reversed findings kept from carriers, in the first cycle that is not closed for good."""
    decisions = reversed_findings(fleet.warehouse())
    return dg.Output([(start, _adjustments(fleet, start, decisions)) for start in run_days(context)])


def _adjustments(fleet: FleetResource, start: dt.date, decisions: pd.DataFrame) -> pd.DataFrame:
    warehouse, closing_day = fleet.warehouse(), fleet.settings().closing_day
    closed = closed_starts(warehouse)
    is_billed_here = [next_open_cycle(day, closed, closing_day) == start for day in decisions["operational_date"]]
    chosen = decisions[is_billed_here]
    if chosen.empty:
        return empty_frame(facts.ADJUSTMENTS)
    days = set(chosen["operational_date"])
    for first in set(chosen["cycle_start"].dropna()):
        days |= set(cycle_days(cycle_of(first, closing_day)))
    around = sorted({day + number * ONE_DAY for day in days for number in (-1, 0, 1)})
    adjusted = warehouse.read_partition(facts.ADJUSTMENTS, around)
    is_of_finding = adjusted["finding_id"].notna()
    is_billed = is_of_finding & adjusted["billed_cycle_start"].isin(closed)
    inputs = ReversalInputs(
        decisions=chosen[["finding_id", "decided_date"]],
        findings=warehouse.read_partition(facts.FINDINGS, sorted(days)),
        matches=warehouse.read_partition(facts.MATCHES, around),
        matches_now=read_current_days(warehouse, fleet.lake(), facts.MATCHES, around),
        late=adjusted[~is_of_finding],
        billed=adjusted[is_billed],
    )
    return reversal_adjustments(start, closing_day, inputs)

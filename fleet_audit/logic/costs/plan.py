"""The planned km of a cycle, shared over its days.

What they cost is in `budget`; rules that compare trips with the plan are in `logic.audit.rules.cycle.plan`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.logic.primitives.money import KM, divide_half_up, from_hundredths, to_hundredths
from fleet_audit.logic.reference.shifts import parse_weekdays


def plan_of_days(km_plan: pd.DataFrame, cycle: Cycle, days: Iterable[dt.date]) -> pd.DataFrame:
    """The cycle's lines of `ref.km_plan`, each with the planned_km of these days of the cycle, half-up to 0.01.

    A line's km are spread evenly over those days of the cycle on which it runs (no weekdays: every day).
    """
    plan = km_plan[(km_plan["cycle_start"] == cycle.start).fillna(False)].reset_index(drop=True)
    chosen = set(days)
    running = [
        [day for day in cycle_days(cycle) if day.isoweekday() in parse_weekdays(None if pd.isna(text) else text)]
        for text in plan["weekdays"]
    ]
    counts = pd.Series([len(line) for line in running], dtype="int64").to_numpy()
    shares = pd.Series([len(chosen.intersection(line)) for line in running], dtype="int64").to_numpy()
    hundredths = divide_half_up(to_hundredths(plan["planned_km"]) * shares, counts)
    missing = plan["planned_km"].isna().to_numpy(dtype=bool)
    return plan.assign(planned_km=from_hundredths(hundredths, KM, plan.index, missing))

"""The trips behind a sum over a cycle, day by day, as evidence: a person adds them up and finds the sum.

Which trips a rule sums is decided by the rule.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.row_records import Record


def trips_by_day(trips: pd.DataFrame) -> list[Record]:
    """operational_date, trip_ids and km (of the trips whose km are known) of each day, in order."""
    ordered = trips.sort_values(["operational_date", "started_at", "trip_id"])
    days: dict[Any, Record] = {}
    for day, trip_id, km in zip(
        *(ordered[name] for name in ("operational_date", "trip_id", "km_measured")), strict=True
    ):
        of_day = days.setdefault(day, {"operational_date": day, "trip_ids": [], "km": Decimal("0.00")})
        of_day["trip_ids"].append(trip_id)
        of_day["km"] += Decimal("0.00") if pd.isna(km) else km
    return list(days.values())

"""The trips behind a sum over a cycle, day by day, as evidence: a person adds them up and finds the sum.

Which trips a rule sums is decided by the rule.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.audit.rules.row_records import Record


def trips_by_day(trips: pd.DataFrame) -> list[Record]:
    """operational_date, trip_ids and km (of the trips whose km are known) of each day, in order."""
    ordered = trips.sort_values(["operational_date", "started_at", "trip_id"])
    return [
        {
            "operational_date": day,
            "trip_ids": own["trip_id"].tolist(),
            "km": sum(own["km_measured"].dropna(), Decimal("0.00")),
        }
        for day, own in ordered.groupby("operational_date", sort=True)
    ]

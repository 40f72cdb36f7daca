"""`ops.reference_changes` of a simulated inbox: what its tables correct of the first delivery.

In the pipeline it is recorded while files arrive (`ingest.reference.history`); here both deliveries are known at once.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Mapping, Sequence

import pandas as pd

from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.reference.changes import days_touched, public_columns, row_keys
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import conform


def reference_changes(
    first: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], days: Sequence[dt.date], closing_day: int
) -> pd.DataFrame:
    """One row for each table that changed and each cycle of the days that it touches.

    Args:
        first: tables as first delivered, by name; tables: as corrected.
        days: computed days, in order; closing_day: of their cycles.
    """
    rows = []
    for name, old in first.items():
        table, new = reference.BY_NAME[name], tables[name]
        keys = [row_keys(table, frame) for frame in (old, new)]
        gone, added = old[~keys[0].isin(set(keys[1]))], new[~keys[1].isin(set(keys[0]))]
        touched = days_touched(table, old, new, days[0], days[-1])
        lines = {
            side: json.loads(public_columns(table, part).astype(str).to_json(orient="records"))
            for side, part in (("removed", gone), ("added", added))
        }
        for cycle, group in itertools.groupby(touched, key=lambda day: cycle_of(day, closing_day)):
            own = list(group)
            rows.append({
                "change_id": name, "cycle_start": cycle.start, "finding_date": own[-1], "table_name": name,
                "recorded_at": pd.Timestamp(own[-1], tz="UTC"), "first_date": own[0], "last_date": own[-1],
                "rows_added": len(added), "rows_removed": len(gone), "file_name": f"{name}.csv", "file_sha256": "",
                "previous_sha256": "", "changes": json.dumps(lines, ensure_ascii=False), "run_id": "",
            })  # fmt: skip
    columns = [column.name for column in facts.REFERENCE_CHANGES.columns]
    return conform(pd.DataFrame(rows, columns=columns), facts.REFERENCE_CHANGES)

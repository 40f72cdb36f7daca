"""Share of a day's rows that was accepted, per source: for the carriers' reports and for operators.

Rows are counted where they are read (`inbox.file_reader`, `staging`); here the counts are only joined.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd

from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import DAY_ACCEPTANCE
from fleet_audit.storage.warehouse import Warehouse

# A corrected file counts instead of its older version; of the API all pages of a day count.
_SQL = """
select
    kind as source_kind,
    cast(sum(rows_read) as bigint) as rows_read,
    cast(sum(rows_accepted) as bigint) as rows_accepted,
    cast(sum(rows_rejected) as bigint) as rows_rejected,
    cast(sum(rows_duplicate) as bigint) as rows_duplicate
from (
    select distinct on (file.file_name)
        file.kind, day.rows_read, day.rows_accepted, day.rows_rejected, day.rows_duplicate
    from ops.file_days as day
    join ops.ingested_files as file using (file_sha256, file_name)
    where day.date = :day
    order by file.file_name, file.received_at desc, file.file_sha256 desc
) as newest
group by kind
union all
select source, rows_read, rows_accepted, rows_rejected, rows_duplicate from ops.stage_counts
where stage = 'pages' and partition_date = :day and rows_read > 0
order by source_kind
"""


def day_acceptance(warehouse: Warehouse, day: dt.date, minimum_pct: float) -> pd.DataFrame:
    """`ops.day_acceptance` of a day; a source without rows has no row."""
    counts = warehouse.read(_SQL, {"day": day})
    judged = counts["rows_accepted"] + counts["rows_rejected"]
    shares = [
        Decimal(100) * int(accepted) / int(of) if of else None
        for accepted, of in zip(counts["rows_accepted"], judged, strict=True)
    ]
    return conform(
        counts.assign(
            operational_date=day,
            acceptance_pct=[None if share is None else round(share, 2) for share in shares],
            is_low=[share is not None and share < Decimal(str(minimum_pct)) for share in shares],
            run_id="",
            updated_at=pd.Timestamp.now("UTC"),
        ),
        DAY_ACCEPTANCE,
    )

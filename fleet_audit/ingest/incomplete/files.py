"""Files of the inbox that wait for a person: refused and not replaced yet, or with rows that were lost.

Both are read from `ops`, whichever run recorded them; which days a refused file concerns is in `incomplete_days`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fleet_audit.ingest.incomplete.days import STILL_REFUSED
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse

_KINDS = {STAGING_VISIT_LEGS: "visit_report", STAGING_DECLARED_RUNS: "bulletin", STAGING_POSITIONS: "telemetry"}

_REFUSED = f"""
select distinct on (refused.file_name)
    refused.file_name, refused.kind, refused.received_at, refused.message, refused.archive_path
from ops.ingested_files as refused
where {STILL_REFUSED}
order by refused.file_name, refused.received_at desc
"""  # noqa: S608

_LOST_ROWS = """
select file.kind, file.file_name, file.rows_read, file.rows_accepted, file.rows_rejected, file.rows_duplicate,
    coalesce(days.rows_read, 0) as day_rows, days.first_day, days.last_day
from ops.ingested_files as file
cross join lateral (
    select cast(sum(day.rows_read) as bigint) as rows_read, min(day.date) as first_day, max(day.date) as last_day
    from ops.file_days as day
    where day.file_sha256 = file.file_sha256 and day.file_name = file.file_name
) as days
where file.has_lost_rows
order by file.file_name
"""
# Of all files, which takes longer each year: the flag that is set when a file is read keeps this off each run.
_RECOUNT = """
update ops.ingested_files as file set has_lost_rows = not coalesce(file.has_lost_rows, false)
from (
    select file_sha256, file_name, sum(rows_read) as rows_read, sum(rows_accepted) as rows_accepted,
        sum(rows_rejected) as rows_rejected
    from ops.file_days group by file_sha256, file_name
) as days
where days.file_sha256 = file.file_sha256 and days.file_name = file.file_name
    and file.status in ('accepted', 'partial')
    and coalesce(file.has_lost_rows, false) <> (
        file.rows_read <> file.rows_accepted + file.rows_rejected + file.rows_duplicate
        or (days.rows_read, days.rows_accepted, days.rows_rejected)
            <> (file.rows_read, file.rows_accepted, file.rows_rejected)
    )
"""
# A file that arrives is among the newest ones, and one whose state changes later was refused before or is from then on:
# these rows differ whenever any row does, and are few after years too.
_DIGESTED_FILES = 1000
_DIGEST = """
select encode(sha256(convert_to(coalesce(string_agg(
    concat_ws(',', file_name, file_sha256, status, rows_accepted), ';' order by file_name, file_sha256
), ''), 'UTF8')), 'hex') as digest
from (
    (
        select file_name, file_sha256, status, rows_accepted from ops.ingested_files
        order by received_at desc, file_sha256, file_name limit :newest
    )
    union
    select file_name, file_sha256, status, rows_accepted from ops.ingested_files where status = 'rejected'
) as file
"""


def refused_files(warehouse: Warehouse) -> pd.DataFrame:
    """The newest refusal of each file that was not accepted since: file_name, kind, received_at, message, archive_path.

    Neither a later run nor a later day ends a refusal: only an accepted file of the same name, or the same bytes
    accepted under another name.
    """
    found = warehouse.read(_REFUSED, {})
    return found.sort_values("received_at", ascending=False, ignore_index=True)


def lost_rows(warehouse: Warehouse) -> list[str]:
    """A sentence for each file whose counts did not reconcile, as a whole or summed over its days, when it was read or
    recounted.
    """
    return [_lost(row) for row in warehouse.read(_LOST_ROWS, {}).itertuples()]


def recount_lost_rows(warehouse: Warehouse) -> list[str]:
    """Compares each file with the rows of its days as they are stored now; returns what `lost_rows` then says.

    A file none of whose days is left is not found: one whose rows name no day has none either.
    """
    warehouse.execute(_RECOUNT)
    return lost_rows(warehouse)


def lost_rows_by_day(warehouse: Warehouse, table: Table, days: Sequence[dt.date]) -> dict[dt.date, list[str]]:
    """The same per day, of the files that a staging table is read from: only the days of such a file are wrong."""
    found = [row for row in warehouse.read(_LOST_ROWS, {}).itertuples() if row.kind == _KINDS[table]]
    return {
        day: [_lost(row) for row in found if not pd.isna(row.first_day) and row.first_day <= day <= row.last_day]
        for day in days
    }


def arrivals_digest(warehouse: Warehouse) -> str:
    """SHA-256 of which files arrived last, and of the refused ones: equal while nothing new arrived."""
    return str(warehouse.read(_DIGEST, {"newest": _DIGESTED_FILES})["digest"].iloc[0])


def _lost(row: Any) -> str:
    return (
        f"{row.file_name}: {row.rows_read} rows were read, but {row.rows_accepted} accepted, {row.rows_rejected} "
        f"rejected and {row.rows_duplicate} duplicate, {row.day_rows} on its days: rows were lost. Report this with "
        "the file; its days are not used until the program is corrected."
    )

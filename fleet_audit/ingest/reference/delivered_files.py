"""Files of reference tables that were delivered: the newest versions of each, found without reading the older ones.

Which version is in force is decided in `publishing`.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.ingest.files import DAMAGED
from fleet_audit.storage.warehouse import Warehouse

# One look into the index on (kind, file_name, received_at) for each name, and one for its newest versions: a table that
# is delivered every day has thousands of versions after years.
_NEWEST = """
with recursive names as (
    (select file_name from ops.ingested_files where kind = 'reference' order by file_name limit 1)
    union all
    select (
        select file.file_name from ops.ingested_files as file
        where file.kind = 'reference' and file.file_name > names.file_name order by file.file_name limit 1
    )
    from names where names.file_name is not null
)
select newest.file_sha256, newest.file_name, newest.kind, newest.received_at, newest.archive_path, newest.reason_code,
    newest.message
from names cross join lateral (
    select * from ops.ingested_files as file
    where file.kind = 'reference' and file.file_name = names.file_name
        and (file.status in ('accepted', 'partial') or file.reason_code = :damaged)
    order by file.received_at desc limit :versions
) as newest
order by newest.received_at, newest.file_name
"""


def newest_versions(warehouse: Warehouse, versions: int, *, with_damaged: bool = False) -> pd.DataFrame:
    """The newest versions of each file of a reference table that were accepted, in order of arrival.

    Columns: file_sha256, file_name, kind, received_at, archive_path, reason_code, message, table_name. `with_damaged`
    counts those whose archived bytes were lost since among the versions.
    """
    files = warehouse.read(_NEWEST, {"damaged": DAMAGED if with_damaged else "", "versions": versions})
    return files.assign(table_name=files["file_name"].str.extract(r"([^/]+)\.[^.]+$")[0])


def newest_delivery(warehouse: Warehouse) -> dt.datetime | None:
    """When the newest accepted file of a reference table was received; None without any."""
    received = newest_versions(warehouse, versions=1)["received_at"]
    return None if received.empty else received.iloc[-1].to_pydatetime()

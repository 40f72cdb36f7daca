"""Freshness of each source on a day: accepted rows and the last instant, at the time of reading.

Only counts and instants of what arrived belong here; how a report shows them does not.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.ingest.reference.delivered_files import newest_delivery
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.schema.model import Table
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_COUNTS = {"rows": ("at", "size"), "first_at": ("at", "min"), "last_at": ("at", "max")}
_RECEIVED = """
    select case kind when 'telemetry' then 'file' else kind end as source, max(received_at) as received_at
    from ops.ingested_files
    where status in ('accepted', 'partial') and kind in ('visit_report', 'bulletin', 'telemetry')
        and first_date <= :day and last_date >= :day
    group by kind
"""
_ACCEPTANCE = """
    select case source_kind when 'telemetry' then 'file' else source_kind end as source, rows_rejected, acceptance_pct,
        is_low
    from ops.day_acceptance
    where operational_date = :day
"""

_FAILED = """
    select 'api' as source, max(failed_at) as failed_at from ops.api_windows
    where partition_date = :day and message is not null
"""


def newest_arrival(warehouse: Warehouse) -> dt.datetime:
    """Arrival of the newest file: the cut-off of a report. It is not the clock, so equal data give equal reports."""
    newest: pd.Timestamp = warehouse.read("select max(received_at) as at from ops.ingested_files")["at"].iloc[0]
    return newest.to_pydatetime()


def day_sources(lake: Lake, warehouse: Warehouse, day: dt.date) -> pd.DataFrame:
    """One row per source (`api`, `file`, `visit_report`, `bulletin`, `reference`), also where it reported nothing.

    Columns: source, rows accepted (no value for reference data), first_at and last_at of their events, received_at of
    the newest file that covers the day (the API's pages have none), failed_at of the last request without an answer.
    """
    positions = lake.read_days(STAGING_POSITIONS, [day], ["source", "recorded_at"])
    counted = positions.rename(columns={"recorded_at": "at"}).groupby("source").agg(**_COUNTS)
    rows = pd.concat(
        [
            counted.reindex(["api", "file"]),
            _events(lake, STAGING_VISIT_LEGS, day, "visit_report"),
            _events(lake, STAGING_DECLARED_RUNS, day, "bulletin"),
        ]
    )
    rows["rows"] = rows["rows"].fillna(0).astype("Int64")
    received = warehouse.read(_RECEIVED, {"day": day}).set_index("source")
    received.loc["reference", "received_at"] = newest_delivery(warehouse)
    accepted = warehouse.read(_ACCEPTANCE, {"day": day}).set_index("source")
    failed = warehouse.read(_FAILED, {"day": day}).set_index("source")
    details = [received, accepted, failed]
    return rows.reindex([*rows.index, "reference"]).join(details).rename_axis("source").reset_index()


def _events(lake: Lake, table: Table, day: dt.date, source: str) -> pd.DataFrame:
    ended = lake.read_days(table, [day], ["ended_at"])["ended_at"]
    return pd.DataFrame({"rows": [len(ended)], "first_at": [ended.min()], "last_at": [ended.max()]}, index=[source])

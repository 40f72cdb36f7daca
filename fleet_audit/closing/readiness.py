"""Days of a cycle that are out of date, and why: a final close refuses them.

The caller runs them again; the digests of their rows are in `freezing`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fleet_audit.closing.code import VERSION_SEPARATOR
from fleet_audit.ingest.api.pages import page_folder
from fleet_audit.logic.primitives.window import file_span, window_days
from fleet_audit.schema import facts
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_CHANGES = """
select recorded_at, first_date, last_date, file_name from ops.reference_changes
where last_date >= :first and first_date <= :last order by recorded_at, table_name, cycle_start
"""


def unready_days(warehouse: Warehouse, lake: Lake, days: Sequence[dt.date], versions: str) -> dict[dt.date, str]:
    """Day → why it has to be run again, in order; empty when every day is up to date.

    `versions` are those that would compute now, as `code.computing_versions` lists them.
    """
    computed = _computed(warehouse, days)
    first, last = file_span(min(days), max(days))
    files = warehouse.read(
        "select received_at, file_name, first_date, last_date from ops.ingested_files "
        "where kind in ('visit_report', 'bulletin', 'telemetry') and last_date >= :first and first_date <= :last "
        "and status in ('accepted', 'partial') order by received_at desc",
        {"first": first, "last": last},
    )
    changes = warehouse.read(_CHANGES, {"first": min(days), "last": max(days)})
    torn = _torn_days(warehouse, days)
    reasons: dict[dt.date, str] = {}
    for day in days:
        row = computed.get(day)
        if row is None:
            reasons[day] = "it was never computed to the end"
        elif other := _other_versions(row, versions):
            reasons[day] = f"it was computed by another version ({other})"
        elif day in torn:
            reasons[day] = "a later run of it did not finish"
        else:
            newer = _newer_file(files, row.computed_at, day) or _newer_page(lake, row.computed_at, day)
            newer = newer or _newer_reference(changes, row.computed_at, day)
            if newer:
                reasons[day] = f"{newer} arrived after it was computed"
    return reasons


def _computed(warehouse: Warehouse, days: Sequence[dt.date]) -> dict[dt.date, Any]:
    rows = warehouse.read_partition(facts.COMPUTED_DAYS, days)
    return {row.operational_date: row for row in rows.itertuples()}


def _other_versions(row: Any, versions: str) -> str:
    """What computed a day and is not what would now; days from before the column of all versions have the code's."""
    theirs = row.code_version if pd.isna(row.computing_versions) else row.computing_versions
    now = set(versions.split(VERSION_SEPARATOR))
    return VERSION_SEPARATOR.join(one for one in theirs.split(VERSION_SEPARATOR) if one not in now)


def _torn_days(warehouse: Warehouse, days: Sequence[dt.date]) -> set[dt.date]:
    """Days some of whose rows were written by another run than the one that computed them to the end."""
    found: set[dt.date] = set()
    for table in facts.FACTS:
        of_a_cycle = "" if table.kept is None else f"and f.{table.kept} is null"
        rows = warehouse.read(
            f"select distinct operational_date from {table.full_name} f join ops.computed_days d "  # noqa: S608
            f"using (operational_date) where f.run_id <> d.run_id {of_a_cycle} "
            "and operational_date between :first and :last",
            {"first": days[0], "last": days[-1]},
        )
        found |= set(rows["operational_date"])
    return found


def _newer_file(files: pd.DataFrame, computed_at: pd.Timestamp, day: dt.date) -> str | None:
    newer = files[(files["received_at"] > computed_at).to_numpy()]
    first, last = file_span(day, day)
    touching = newer[((newer["first_date"] <= last) & (newer["last_date"] >= first)).to_numpy(dtype=bool)]
    return None if touching.empty else str(touching["file_name"].iloc[0])


def _newer_page(lake: Lake, computed_at: pd.Timestamp, day: dt.date) -> str | None:
    for address in window_days(day):
        if any(at > computed_at for at in lake.modified(page_folder(address)).values()):
            return f"a page of the API ({address})"
    return None


def _newer_reference(changes: pd.DataFrame, computed_at: pd.Timestamp, day: dt.date) -> str | None:
    for change in changes.itertuples():
        if change.recorded_at > computed_at and change.first_date <= day <= change.last_date:
            return str(change.file_name)
    return None

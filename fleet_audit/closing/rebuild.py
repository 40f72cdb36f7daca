"""An empty warehouse filled from the archive in `raw/` alone: arrivals in their order, recorded rows, and closes.

The days are computed afterwards by the main job; which command asks for it is in `cli.rebuild`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet_audit.closing.archive import restore_closes
from fleet_audit.closing.replay import verify_frozen
from fleet_audit.errors import PermanentError
from fleet_audit.ingest import journal
from fleet_audit.ingest.driver_forgetting import forget_again
from fleet_audit.ingest.healing import set_aside
from fleet_audit.ingest.inbox.file_reader import ingest_again
from fleet_audit.ingest.reference.publishing import mark_refused
from fleet_audit.schema import facts, reference
from fleet_audit.sources.inbox import FOLDERS
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse

_PROGRESS_EVERY = 200  # files
_TABLES = (*reference.TABLES, *facts.OPS, *facts.FACTS, *facts.CYCLE_FACTS)


@dataclass
class Restored:
    """What the archive contained: number of files, the days that had been computed, sentences on damage."""

    files: int = 0
    days: list[dt.date] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def prepare_warehouse(warehouse: Warehouse, *, is_replaced: bool) -> None:
    """Require an empty warehouse, or empty it when `is_replaced`; users, rights and disputes stay.

    Raises PermanentError when it has data and `is_replaced` is false.
    """
    files = int(warehouse.read("select count(*) as files from ops.ingested_files", {})["files"].iloc[0])
    if files and not is_replaced:
        raise PermanentError(
            f"The warehouse is not empty: it has {files} files on record. Rebuild into an empty one "
            "(FLEET_WAREHOUSE_URL, or another --home), or empty this one first with --replace."
        )
    if is_replaced:
        names = sorted({table.full_name for table in _TABLES})
        warehouse.execute(f"truncate {', '.join(names)}")


def restore(stores: Stores, progress: Callable[[str], None]) -> Restored:
    """Fill an empty warehouse with what the archive's journal recorded.

    Args:
        stores: the archive, the empty warehouse and the settings.
        progress: takes a line on each stage.

    Raises PermanentError when the archive has no journal, or files whose arrival it does not have.
    """
    lake, warehouse = stores.lake, stores.warehouse
    _require_journal(stores)
    restored = Restored(days=journal.computed_days(lake))
    forget_again(lake, warehouse)
    for entry in journal.arrivals(lake):
        try:
            ingest_again(lake, warehouse, stores.settings, entry)
        except PermanentError as error:
            set_aside(lake, warehouse, entry, str(error))
            restored.problems.append(str(error))
        restored.files += 1
        if restored.files % _PROGRESS_EVERY == 0:
            progress(f"{restored.files} files read")
    for entry in journal.refusals(lake):
        mark_refused(warehouse, entry["file_sha256"], entry["file_name"], entry["message"])
    for table in journal.ROW_TABLES:
        for rows in journal.row_batches(lake, table):
            warehouse.upsert(table, rows)
    for manifest in restore_closes(lake, warehouse):
        restored.problems += verify_frozen(manifest, warehouse, None)
    progress(f"{restored.files} files, {len(restored.days)} computed days restored from {lake.url('raw')}")
    return restored


def _require_journal(stores: Stores) -> None:
    missing = journal.unrecorded(stores.lake, sorted(set(FOLDERS.values())))
    if missing:
        raise PermanentError(
            f"{stores.lake.url(journal.FOLDER)} does not say when {len(missing)} archived files arrived (the first is "
            f"{missing[0]}): run `fleet-audit run` once with the PostgreSQL that has them, which writes that, and "
            "rebuild afterwards."
        )
    if not stores.lake.list(journal.FOLDER):
        raise PermanentError(f"{stores.lake.url('raw')} has no archive: check FLEET_LAKE_URL and --home.")

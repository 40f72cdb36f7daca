"""Inputs for an installation of its own, in which a past run or a closed cycle is repeated.

The caller names the inputs; the run on them is the usual one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.pages import PAGES_FOLDER, read_page
from fleet_audit.ingest.api.windows import windows_as_of
from fleet_audit.ingest.files import DAMAGED
from fleet_audit.ingest.inbox.file_reader import ingest_archived
from fleet_audit.schema import facts
from fleet_audit.storage.stores import Stores


def fill(
    scratch: Stores,
    source: Stores,
    files: Iterable[Mapping[str, Any]],
    pages: Iterable[str],
    changes: pd.DataFrame,
    windows: pd.DataFrame | None = None,
) -> None:
    """Put inputs into an empty installation, from the archive as received; existing inputs stay.

    Args:
        scratch: the installation to fill; source: the one whose archive has the bytes.
        files: sha256, name, kind, received_at (ISO) and archive_path of each file, in order of arrival; archive_path is
            None of a refused file whose bytes the archive does not have, which has reason_code and size_bytes.
        pages: paths of pages of the API.
        changes: rows of `ops.reference_changes`.
        windows: rows of `ops.api_windows`: what was not tested because an answer was missing is again not tested.

    Raises PermanentError when an archived file or page has changed.
    """
    known = scratch.warehouse.read("select file_sha256, file_name from ops.ingested_files", {})
    there = set(zip(known["file_sha256"], known["file_name"], strict=True))
    for file in files:
        if (file["sha256"], file["name"]) in there:
            continue
        if file["archive_path"] is None:
            scratch.warehouse.upsert(facts.INGESTED_FILES, pd.DataFrame([_refused_again(file)]))
            continue
        content = source.lake.get_bytes(file["archive_path"])
        _require(source, file["archive_path"], content, file["sha256"])
        received_at = dt.datetime.fromisoformat(file["received_at"])
        ingest_archived(
            scratch.lake, scratch.warehouse, scratch.settings, file["kind"], file["name"], content, received_at
        )
    for path in pages:
        read_page(source.lake, path)
        scratch.lake.take_over(source.lake, path)
    if len(changes):
        scratch.warehouse.upsert(facts.REFERENCE_CHANGES, changes)
    if windows is not None and len(windows):
        scratch.warehouse.upsert(facts.API_WINDOWS, windows)


def _refused_again(file: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `ops.ingested_files` of a refused file without bytes, so that its days stay incomplete."""
    return {
        "file_sha256": file["sha256"],
        "file_name": file["name"],
        "kind": file["kind"],
        "size_bytes": file["size_bytes"],
        "received_at": dt.datetime.fromisoformat(file["received_at"]),
        "status": "rejected",
        "message": file.get("message") or f"{file['name']} was refused ({file['reason_code']}). Send it again.",
        "reason_code": file["reason_code"],
        **dict.fromkeys(("rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"), 0),
    }


def _require(source: Stores, path: str, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PermanentError(
            f"{source.lake.url(path)} is not what was received: its SHA-256 should be {sha256}. "
            "Restore it from a backup."
        )


def inputs_as_of(
    source: Stores, instant: dt.datetime
) -> tuple[list[dict[str, Any]], list[str], pd.DataFrame, pd.DataFrame]:
    """Arguments of `fill`: everything that had arrived by an instant, refused files included.

    Rules are not tested on the days of a refused file, and they are not tested where it is refused again. A refused
    reference table was never in force; one whose archived bytes are damaged was, and no money is computed without it.

    Raises PermanentError when nothing had arrived.
    """
    rows = source.warehouse.read(
        "select file_sha256 as sha256, file_name as name, kind, received_at, size_bytes, reason_code, message, "
        "case when reason_code = :damaged then null else archive_path end as archive_path from ops.ingested_files "
        "where (status in ('accepted', 'partial') or status = 'rejected' and (kind <> 'reference' "
        "or reason_code = :damaged)) and received_at <= :at order by received_at, file_name",
        {"at": instant, "damaged": DAMAGED},
    )
    if rows.empty:
        raise PermanentError(
            f"Nothing had arrived by {instant.isoformat()}: ops.ingested_files has the time of the first file."
        )
    rows = rows.astype(object).where(rows.notna(), None)
    files = [{**row, "received_at": row["received_at"].isoformat()} for row in rows.to_dict("records")]
    pages = [path for path, at in source.lake.modified(PAGES_FOLDER).items() if at <= instant]
    changes = source.warehouse.read_table(facts.REFERENCE_CHANGES)
    changes = changes[(changes["recorded_at"] <= instant).to_numpy(dtype=bool)]
    return files, sorted(pages), changes, windows_as_of(source.lake, instant)

"""Digests of what a run of days left, to compare runs of the same days with each other.

What runs belongs to benchmarks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet_audit.schema.facts import FACTS
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.warehouse import Warehouse

COMPARED = ("staging", "trips", "reports")  # folders of the lake
_TRACE = ["run_id", "updated_at"]


def digests(folder: Path, days: Sequence[dt.date]) -> dict[str, str]:
    """SHA-256 of each day's and document's files, and of the rows of each fact and day, of `folder`/home."""
    warehouse = Warehouse(ensure_running(folder / "home"))
    found = {}
    for fact in FACTS:
        if fact.partition == "operational_date":
            rows = warehouse.read_partition(fact, days).drop(columns=_TRACE, errors="ignore")
            if "cycle_start" in rows and fact.partition != "cycle_start":
                rows = rows[rows["cycle_start"].isna()]  # those of a cycle follow from how many of its days were run
            for day, of_day in rows.groupby(fact.partition):
                found[f"{fact.full_name} {day}"] = _sha256(of_day.to_csv(index=False).encode())
    lake = folder / "home" / "lake"
    for path in _files(lake, days):
        name = str(path.relative_to(lake))
        found[name if "start=" not in name else f"{name} of {len(days)} days"] = _sha256(path.read_bytes())
    return found


def require_same(expected: dict[str, str], found: dict[str, str], what: str) -> None:
    """Compare the digests of each day and document with those of runs before, and add new ones to `expected`."""
    differing = sorted(name for name, digest in found.items() if expected.setdefault(name, digest) != digest)
    if differing:
        raise SystemExit(f"{what} gave other bytes than a run before of {', '.join(differing[:5])}.")


def _files(lake: Path, days: Sequence[dt.date]) -> Iterator[Path]:
    """The files of the days, and the documents of their cycles."""
    labels = {f"date={day}" for day in days}
    for folder in COMPARED:
        for path in sorted((lake / folder).rglob("*")):
            parts = path.relative_to(lake).parts
            if path.is_file() and (labels & set(parts) or any(part.startswith("start=") for part in parts)):
                yield path


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""Forgetting a driver (LGPD): the name goes wherever it is stored, and does not come back with the same sources.

The archived bytes of files keep it, because their SHA-256 is evidence; docs/privacy.md says who may read them and for
how long. Pseudonyms of drivers belong to `driver_names`.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.driver_names import FORGOTTEN, aliases_of, is_pseudonym, without_forgotten
from fleet_audit.ingest.journal import FOLDER, read_entry
from fleet_audit.logic.primitives.identity import driver_pseudonym, stable_id
from fleet_audit.schema.derive import conform
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_ENTRIES = f"{FOLDER}/forgotten_drivers"
_LOST_REASON = "The entry with the reason was damaged; the pseudonyms were written again from PostgreSQL."
_PARSED = f"parsed/{DRIVERS.name}"


@dataclass(frozen=True)
class ForgottenDriver:
    """The pseudonyms that stay, and how many rows and files had the name: of none is it stored."""

    pseudonyms: frozenset[str]
    rows: int
    rejected_rows: int
    parsed_files: int


def forget_driver(
    lake: Lake, warehouse: Warehouse, key: bytes, text: str, *, reason: str, now: dt.datetime, is_dry_run: bool
) -> ForgottenDriver:
    """Remove a driver's name, given the name, the registered id or the pseudonym.

    The journal gets pseudonyms, instant and reason first, so that an interrupted call is completed by the next, and a
    rebuild forgets the driver too. Facts keep the pseudonym.

    Raises PermanentError when no driver is known by that text.
    """
    known = warehouse.read_table(DRIVERS)
    known = known.sort_values(
        "driver_id", key=lambda ids: ids.map(is_pseudonym), kind="stable"
    )  # what is registered wins
    aliases = [aliases_of(row.driver_id, row.name, key) for row in known.itertuples(index=False)]
    pseudonyms = {text} if is_pseudonym(text) else {driver_pseudonym(text, key)}
    for _ in range(2):  # a registered id leads to its name, the name to the pseudonym of other sources
        pseudonyms |= {alias for found in aliases if found & pseudonyms for alias in found}
    rows = known[[bool(found & pseudonyms) for found in aliases]]
    if rows.empty:
        raise PermanentError(
            "No driver is known by that text: give the name as a source writes it, the driver_id of "
            "reference/drivers.csv, or a pseudonym such as drv-0123456789ab."
        )
    if not is_dry_run:
        entry = {"pseudonyms": sorted(pseudonyms), "reason": reason, "forgotten_at": now.isoformat()}
        content = json.dumps(entry, ensure_ascii=False, indent=1).encode()
        lake.put_bytes(f"{_ENTRIES}/{stable_id(*sorted(pseudonyms))}.json", content)
    rejected = sum(_hide(warehouse, name, is_dry_run=is_dry_run) for name in _names(rows))
    parsed = _hide_parsed(lake, key, pseudonyms, is_dry_run=is_dry_run)
    if not is_dry_run:
        warehouse.upsert(DRIVERS, conform(without_forgotten(rows, key, pseudonyms), DRIVERS))
        registered = [driver for driver in rows["driver_id"] if not is_pseudonym(driver)]
        warehouse.execute("delete from ref.drivers where driver_id = any(:ids)", {"ids": registered})
    return ForgottenDriver(frozenset(pseudonyms), len(rows), rejected, parsed)


def forget_again(lake: Lake, warehouse: Warehouse) -> None:
    """Record the forgotten drivers of the journal in an empty warehouse, before any source is read."""
    ids = sorted(_recorded(lake))
    if ids:
        rows = pd.DataFrame({"driver_id": ids, "name": FORGOTTEN, "carrier_code": None, "is_maintenance": None})
        warehouse.upsert(DRIVERS, conform(rows, DRIVERS))


def record_forgotten_again(lake: Lake, warehouse: Warehouse) -> None:
    """Add the forgotten drivers that the warehouse has and the journal lost; their reason and instant are lost."""
    sql = "select driver_id from ref.drivers where name = :forgotten"
    missing = set(warehouse.read(sql, {"forgotten": FORGOTTEN})["driver_id"]) - _recorded(lake)
    if missing:
        entry = {"pseudonyms": sorted(missing), "reason": _LOST_REASON, "forgotten_at": None}
        lake.put_bytes(f"{_ENTRIES}/{stable_id(*sorted(missing))}.json", json.dumps(entry, indent=1).encode())


def _recorded(lake: Lake) -> set[str]:
    entries = [read_entry(lake, path) for path in lake.list(_ENTRIES)]
    return {pseudonym for entry in entries for pseudonym in entry["pseudonyms"]}


def _names(rows: pd.DataFrame) -> Iterable[str]:
    return sorted({name for name in rows["name"].dropna() if name.strip() and name != FORGOTTEN})


def _hide(warehouse: Warehouse, name: str, *, is_dry_run: bool) -> int:
    """Put the mark in the place of a name in rejected rows, whatever its case and spaces; how many rows have it."""
    words = r"\s+".join(map(re.escape, name.split()))
    # not \m and \M, which match beside letters only: a name may end with a full stop
    values = {"pattern": rf"(?<!\w){words}(?!\w)", "mark": FORGOTTEN}
    if is_dry_run:
        sql = "select count(*) as rows from ops.rejected_rows where raw ~* :pattern"
        return int(warehouse.read(sql, {"pattern": values["pattern"]})["rows"].iloc[0])
    sql = "update ops.rejected_rows set raw = regexp_replace(raw, :pattern, :mark, 'gi') where raw ~* :pattern"
    return warehouse.execute(sql, values)


def _hide_parsed(lake: Lake, key: bytes, pseudonyms: set[str], *, is_dry_run: bool) -> int:
    """Replace the driver in the parsed rows of reference files; how many files had it."""
    changed = 0
    for path in lake.list(_PARSED):
        rows = lake.read_table(path, DRIVERS)
        kept = without_forgotten(rows, key, pseudonyms)
        if not kept.equals(rows):
            changed += 1
            if not is_dry_run:
                lake.write_table(path, kept, DRIVERS)
    return changed

"""Rows of the sources exactly as received, read from the archive: the evidence of a finding.

Which rows are needed, and where they are shown, is decided elsewhere.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow.compute as pc

from fleet_audit.errors import PermanentError
from fleet_audit.formats.adapter import Adapter
from fleet_audit.formats.api_page.positions import items_of, parse_page
from fleet_audit.formats.drivers import identify
from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit.formats.table.cells import read_cells
from fleet_audit.ingest.api.pages import page_sha256, read_page
from fleet_audit.ingest.driver_names import FORGOTTEN, forgotten_drivers
from fleet_audit.schema.partition import partition_day
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_ANY_SIZE = Limits(max_bytes=2**40, max_rows=2**40)  # it was read under the installation's limits when it arrived


_CELL = re.compile(r"[^,;|\t\"]+")


@dataclass(frozen=True)
class ReceivedRow:
    """One row of a source: the file, the line or item, and its text; `text` is None when the archive lacks it."""

    file_name: str
    row_number: int
    text: str | None


def rows_of_files(
    lake: Lake, warehouse: Warehouse, asked: Iterable[tuple[str, int]], driver_key: bytes
) -> list[ReceivedRow]:
    """Rows of archived files by SHA-256 and row number, each file's first row before them; drivers' names are hidden.

    Names belong to `ref.drivers` alone: a name that stands in a row is replaced by its pseudonym, also a forgotten one.
    """
    wanted: dict[str, set[int]] = {}
    for sha256, number in asked:
        wanted.setdefault(sha256, set()).add(number)
    known = warehouse.read(
        "select distinct on (file_sha256) file_sha256, file_name, archive_path from ops.ingested_files "
        "where file_sha256 = any(string_to_array(:wanted, ',')) and archive_path is not null "
        "order by file_sha256, received_at, file_name",
        {"wanted": ",".join(sorted(wanted))},
    )
    hide = _hidden_names(warehouse, driver_key) if len(known) else None
    result = []
    for file in known.sort_values("file_name").itertuples():
        texts = _texts(lake, file.archive_path)
        first = min(texts, default=1)
        for number in sorted({first} | wanted[file.file_sha256]):
            text = texts.get(number)
            result.append(ReceivedRow(file.file_name, number, hide(text) if hide and text else text))
    return result


def items_of_pages(
    lake: Lake, warehouse: Warehouse, adapter: Adapter, asked: Iterable[tuple[str, dt.datetime]], driver_key: bytes
) -> list[ReceivedRow]:
    """Positions as the API sent them, by device and instant: rows of staging name no page, so it is looked for."""
    found = [_item(lake, warehouse, adapter, device, instant) for device, instant in asked]
    hide = _hidden_names(warehouse, driver_key)
    return [replace(row, text=hide(row.text)) if hide and row.text else row for row in found]


def _item(lake: Lake, warehouse: Warehouse, adapter: Adapter, device: str, instant: dt.datetime) -> ReceivedRow:
    pages = warehouse.read(
        "select archive_path from ops.api_requests where archive_path is not null "
        "and partition_date = :day and window_from <= :instant and window_to > :instant "
        "group by archive_path order by min(answered_at)",
        {"instant": instant, "day": partition_day(instant)},
    )
    for path in pages["archive_path"]:
        try:
            body = read_page(lake, path)
            if device.encode() not in body:
                continue
            positions = parse_page(body, adapter).positions
        except (PermanentError, RejectedFile):  # lost, or of another vendor: the dossier shows the rest
            continue
        is_it = pc.and_(pc.equal(positions["device_id"], device), pc.equal(positions["recorded_at"], instant))
        if numbers := positions.filter(is_it)["row_number"].to_pylist():
            text = json.dumps(items_of(body, adapter)[numbers[0] - 1], ensure_ascii=False)
            return ReceivedRow(f"página da API {page_sha256(path)[:12]}", numbers[0], text)
    return ReceivedRow("página da API", 0, None)


def _texts(lake: Lake, path: str) -> dict[int, str]:
    """Row number → text of an archived file; empty when the archive lacks it."""
    try:
        cells = read_cells(lake.get_bytes(path), _ANY_SIZE, set())
    except (PermanentError, RejectedFile):
        return {}
    return dict(zip(cells.numbers, cells.raws, strict=True))


def _hidden_names(warehouse: Warehouse, key: bytes) -> Callable[[str], str] | None:
    """A function that replaces every driver's name by the driver's pseudonym, whatever its case; None without drivers.

    A forgotten name is known by its pseudonym alone, so that each cell is compared by that.
    """
    drivers = warehouse.read(
        "select driver_id, name from ref.drivers where length(name) > 2 and name <> :forgotten",
        {"forgotten": FORGOTTEN},
    )
    pseudonym = {name.casefold(): driver for driver, name in zip(drivers["driver_id"], drivers["name"], strict=True)}
    forgotten = forgotten_drivers(warehouse)
    if not pseudonym and not forgotten:
        return None
    names = sorted(pseudonym, key=lambda name: (-len(name), name))
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?!\w)", re.IGNORECASE)

    def of_cell(found: re.Match[str]) -> str:
        driver = identify(pd.Series([found[0]]), key)["driver_id"].iloc[0]
        return driver if driver in forgotten else found[0]

    def hide(text: str) -> str:
        known = pattern.sub(lambda found: pseudonym.get(found[0].casefold(), "[motorista]"), text)
        return _CELL.sub(of_cell, known) if forgotten else known

    return hide

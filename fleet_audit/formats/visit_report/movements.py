"""The telematics vendor's "Relatório de visita diário": one row is one movement, stop to stop, clock as written.

The printed structure is read in `layout`, contradictions are looked for in `contradictions`.
"""

from __future__ import annotations

import datetime as dt
from functools import partial

import pandas as pd

from fleet_audit.formats import drivers, values
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile, counts_by_day, covered_days
from fleet_audit.formats.plates import is_plate, normalised, plates
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table.cells import Cells, read_cells
from fleet_audit.formats.visit_report import contradictions
from fleet_audit.formats.visit_report.layout import HEADERS, VOCABULARY, Layout, read_layout
from fleet_audit.schema.derive import conform, pandas_dtype
from fleet_audit.schema.lake import PARSED_VISIT_LEGS

_NOT_THERE = ["-", "--", "n/a", "n/d", "N/A", "N/D"]  # how exporters print an empty cell
_KM = pandas_dtype(PARSED_VISIT_LEGS.column("reported_km"))
_FACTS = [name for name in PARSED_VISIT_LEGS.column_names if name not in ("file_sha256", "file_name", "row_number")]


def parse_visit_report(
    sha256: str, file_name: str, content: bytes, today: dt.date, limits: Limits, driver_key: bytes
) -> ParsedFile:
    """Movements of a visit report (CSV or XLSX).

    `today` is the day of its arrival. A vehicle's block covers its vehicle for the report's whole period, movements or
    none.

    Raises:
        RejectedFile: unreadable, too large, no vehicle's block, or a header that lacks a required column.
    """
    cells = read_cells(content, limits, VOCABULARY)
    layout = read_layout(cells)
    texts = layout.movements
    if len(texts) > limits.max_rows:
        raise RejectedFile(
            f"The report has {len(texts):,} movements and at most {limits.max_rows:,} are read; "
            "export shorter periods.",
            "too_many_rows",
        )
    numbers = [cells.numbers[line] for line in texts.index]
    quarantine = Quarantine(numbers, [cells.raws[line] for line in texts.index])
    block = texts["block"]
    texts = texts.reset_index(drop=True)
    who = drivers.identify(texts["driver"], driver_key)
    legs = _legs(texts, layout, quarantine, today, is_workbook=not cells.separator).assign(
        driver_id=who["driver_id"],
        is_maintenance_driver=who["is_maintenance"],
        block=block.to_numpy(),
        row_number=numbers,
        file_sha256=sha256,
        file_name=file_name,
    )
    good = legs[~quarantine.is_bad]
    is_duplicate = good.duplicated(_FACTS).reindex(legs.index, fill_value=False).to_numpy()
    kept = legs[~quarantine.is_bad & ~is_duplicate]
    notes = contradictions.find_notes(legs, layout, cells.numbers)
    return ParsedFile(
        "visit_report",
        conform(kept, PARSED_VISIT_LEGS),
        len(legs),
        quarantine.frame(_without_names(texts, who, cells, layout)),
        notes=contradictions.conform_notes(notes, sha256, file_name),
        drivers=drivers.as_reference(who),
        covered=_covered(kept, layout),
        days=counts_by_day(
            values.dates(texts["departed_date"], is_serial_accepted=not cells.separator),
            quarantine.is_bad,
            is_duplicate,
            today,
        ),
        rows_duplicate=int(is_duplicate.sum()),
        warnings=(*cells.warnings, *layout.warnings),
    )


def _legs(
    texts: pd.DataFrame, layout: Layout, quarantine: Quarantine, today: dt.date, *, is_workbook: bool
) -> pd.DataFrame:
    of_vehicle = layout.blocks.reindex(texts["block"]).fillna("").astype("str").reset_index(drop=True)
    _refuse_misfits(texts, quarantine)
    day = values.dates(texts["departed_date"], is_serial_accepted=is_workbook)
    departed, arrived = (
        values.times(texts[name], is_serial_accepted=is_workbook) for name in ("departed_time", "arrived_time")
    )
    for name, code, parsed, expected in (
        ("departed_date", "bad_date", day, "a day written dd/mm/aaaa"),
        ("departed_time", "bad_time", departed, "a time written hh:mm:ss"),
        ("arrived_time", "bad_time", arrived, "a time written hh:mm:ss"),
    ):
        has_header = ~texts["is_without_header"]
        quarantine.refuse(texts[name].eq("") & has_header, "missing_value", f"{HEADERS[name]} is empty.")
        quarantine.refuse_illegible(code, HEADERS[name], texts[name], parsed, expected)
    quarantine.refuse_future(HEADERS["departed_date"], texts["departed_date"], day, today)
    optional = partial(_optional, texts, quarantine, is_workbook)
    speed = optional("max_speed", "bad_number")
    return pd.DataFrame(
        {
            "departed_local": values.clock(day, departed),
            "arrived_local": values.clock(day, arrived + (arrived < departed).astype("Int64") * 86_400),
            "next_departure_local": optional("next_departure", "bad_date"),
            "plate": plates(quarantine, "Número de registro", of_vehicle["plate"]),
            "device_id": values.nullable(values.identifiers(of_vehicle["device_id"])),
            "asset_description": values.nullable(of_vehicle["asset_description"]),
            "garage_name": values.nullable(of_vehicle["garage_name"]),
            "origin_address": values.nullable(texts["origin_address"]),
            "destination_address": values.nullable(texts["destination_address"]),
            "reported_km": optional("km", "bad_number"),
            "max_speed_kmh": speed.astype("float64"),
            "driving_s": optional("driving", "bad_time"),
            "stopped_s": optional("stopped", "bad_time"),
        }
    )


def _refuse_misfits(texts: pd.DataFrame, quarantine: Quarantine) -> None:
    quarantine.refuse(texts["is_without_header"], "no_header", "The movement stands under no vehicle's header.")
    quarantine.refuse(
        texts["excess"].gt(0),
        "bad_width",
        "The row has more cells than the header: put values that "
        "contain the separator (a decimal comma, an address) in quotation marks.",
    )


def _optional(texts: pd.DataFrame, quarantine: Quarantine, is_workbook: bool, name: str, code: str) -> pd.Series:
    """A column that may be empty, but not illegible or negative."""
    text = texts[name].mask(texts[name].isin(_NOT_THERE), "")
    if name == "next_departure":
        parsed, expected = (
            values.local_times(text, is_serial_accepted=is_workbook),
            "an instant written dd/mm/aaaa hh:mm",
        )
    elif name in ("driving", "stopped"):
        parsed, expected = values.durations(text, is_serial_accepted=is_workbook), "a duration written hh:mm:ss"
    else:
        parsed, expected = values.brazilian_decimals(text, _KM), "a number"  # type: ignore[arg-type]
        quarantine.refuse_negative(HEADERS[name], text, parsed)
    quarantine.refuse_illegible(code, HEADERS[name], text, parsed, expected)
    return parsed


def _without_names(texts: pd.DataFrame, who: pd.DataFrame, cells: Cells, layout: Layout) -> pd.Series:
    """The raw rows with the driver's pseudonym for the name, which is stored in `ref.drivers` alone."""
    raws = (cells.raws[line] for line in layout.movements.index)
    return pd.Series(
        [_masked(*row) for row in zip(raws, texts["driver"], who["driver_id"].fillna(""), strict=True)], dtype=object
    )


def _masked(raw: str, text: str, driver_id: str) -> str:
    if not driver_id:
        return raw  # "Unknown" is no name
    return raw.replace(text, driver_id) if text in raw else f"{driver_id}: see the archived file"


def _covered(kept: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Each block's vehicle on each day of the period, with the window of the day; and days of movements beside it."""
    seen = pd.DataFrame({"plate": kept["plate"], "date": kept["departed_local"].dt.date})
    seen[["window_start_local", "window_end_local"]] = pd.NaT
    if layout.period is not None:
        vehicles = normalised(layout.blocks["plate"]).drop_duplicates()
        stated = pd.merge(vehicles[is_plate(vehicles)].to_frame("plate"), layout.period.days(), how="cross")
        seen = pd.concat([stated, seen], ignore_index=True)
    window = ["window_start_local", "window_end_local"]
    return covered_days(seen.astype(dict.fromkeys(window, "datetime64[us]")))

"""The telematics vendor's "Relatório de visita diário": one row is one movement, stop to stop, clock as written.

The printed structure is read in `layout`, contradictions are found in `contradictions`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.formats import drivers, numbers, values
from fleet_audit.formats.parsed import Limits, ParsedFile, RejectedFile, conform_notes, counts_by_day, covered_days
from fleet_audit.formats.plates import is_plate, normalised, plates
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table import totals
from fleet_audit.formats.table.cells import Cells, read_cells
from fleet_audit.formats.table.file_period import refuse_outside_period
from fleet_audit.formats.visit_report import contradictions
from fleet_audit.formats.visit_report.headers import HEADERS, VOCABULARY
from fleet_audit.formats.visit_report.layout import Layout, read_layout
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema.derive import conform, pandas_dtype
from fleet_audit.schema.lake import PARSED_VISIT_LEGS

_NOT_THERE = ["-", "--", "n/a", "n/d", "N/A", "N/D"]  # how exporters print an empty cell
_KM = pandas_dtype(PARSED_VISIT_LEGS.column("reported_km"))
_FASTEST_KMH = DEFAULT_PARAMETERS.impossible_kmh  # a file is read before the parameters of its days are known
_CLOCKS_H = 5 / 60  # times may be written in whole minutes
_FASTEST_MEAN_KMH = DEFAULT_PARAMETERS.mean_speed_kmh
_LONGEST_EXCHANGED_S = 8 * 3600  # a night's movement from 18:00 to 06:00 drives 12 h, and so does its way back
_FEWEST_ROWS = 3  # that show which of two columns has the decimals
# Column of a movement by its column of HEADERS: no kilometre is paid by these, so the movement is not refused
# for an illegible one (a next departure written 23:40:00 cost 24 km).
_AUXILIARY = {
    "next_departure": "next_departure_local",
    "max_speed": "max_speed_kmh",
    "driving": "driving_s",
    "stopped": "stopped_s",
}
_MOVEMENT = ["plate", "device_id", "departed_local", "arrived_local", "reported_km"]


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
    rows = [cells.numbers[line] for line in texts.index]
    places = [cells.place(line) for line in texts.index] if cells.has_several_sheets else None
    quarantine = Quarantine(rows, [cells.raws[line] for line in texts.index], places)
    block = texts["block"]
    texts = texts.reset_index(drop=True)
    who = drivers.identify(texts["driver"], driver_key)
    is_month_first = values.writes_month_first(texts["departed_date"], texts["next_departure"])
    day = values.dates(texts["departed_date"], cells.serials_from, is_month_first=is_month_first)
    legs = _legs(texts, day, layout, quarantine, today, cells.serials_from, is_month_first=is_month_first).assign(
        driver_id=who["driver_id"],
        is_maintenance_driver=who["is_maintenance"],
        block=block.to_numpy(),
        row_number=rows,
        file_sha256=sha256,
        file_name=file_name,
    )
    good = legs[~quarantine.is_bad]
    is_repeated = _are_repeated(good)
    is_total = _are_totals(good[~is_repeated]).reindex(legs.index, fill_value=False).to_numpy()
    is_duplicate = is_repeated.reindex(legs.index, fill_value=False).to_numpy() | is_total
    kept = legs[~quarantine.is_bad & ~is_duplicate]
    notes = contradictions.find_notes(legs[~is_total], layout, cells.numbers)
    return ParsedFile(
        "visit_report",
        conform(kept, PARSED_VISIT_LEGS),
        len(legs),
        quarantine.frame(_without_names(texts, who, cells, layout)),
        notes=conform_notes(notes, "visit_report", sha256, file_name),
        drivers=drivers.as_reference(who),
        covered=_covered(kept, layout),
        days=counts_by_day(day.mask(quarantine.is_misdated()), quarantine.is_bad, is_duplicate, today),
        rows_duplicate=int(is_duplicate.sum()),
        rows_ignored=layout.rows_ignored,
        warnings=(
            *cells.warnings,
            *layout.warnings,
            *_spoilt_devices(layout),
            *_illegible_cells(texts, legs, quarantine),
            *totals.sentence("movements", legs.loc[is_total, "row_number"]),
        ),
    )


def _legs(
    texts: pd.DataFrame, day: pd.Series, layout: Layout, quarantine: Quarantine, today: dt.date,
    serials_from: str | None, *, is_month_first: bool,
) -> pd.DataFrame:  # fmt: skip
    of_vehicle = layout.blocks.reindex(texts["block"]).reset_index(drop=True)
    _refuse_misfits(texts, quarantine)
    if serials_from is not None:
        quarantine.refuse_formulas(texts[[name for name in HEADERS if name not in _AUXILIARY]].rename(columns=HEADERS))
    departed, arrived = (values.times(texts[name], serials_from) for name in ("departed_time", "arrived_time"))
    for name in ("departed_date", "departed_time", "arrived_time"):
        has_header = ~texts["is_without_header"]
        quarantine.refuse(texts[name].eq("") & has_header, "missing_value", f"{HEADERS[name]} is empty.")
    quarantine.refuse_illegible_days(HEADERS["departed_date"], texts["departed_date"], day, "a day written dd/mm/aaaa")
    for name, parsed in (("departed_time", departed), ("arrived_time", arrived)):
        quarantine.refuse_illegible("bad_time", HEADERS[name], texts[name], parsed, "a time written hh:mm:ss")
    quarantine.refuse_future(HEADERS["departed_date"], texts["departed_date"], day, today)
    refuse_outside_period(
        quarantine,
        HEADERS["departed_date"],
        texts["departed_date"],
        day.where(day <= pd.Timestamp(today)),
        of_vehicle["period_first"],
        of_vehicle["period_last"],
    )
    device = of_vehicle["device_id"]
    lasting_s = (arrived - departed).where(arrived >= departed, arrived - departed + 86_400)
    auxiliary = _auxiliary(texts, serials_from, is_month_first=is_month_first)
    _refuse_exchanged_times(texts, departed - arrived, auxiliary["driving"], quarantine)
    return pd.DataFrame(
        {
            "departed_local": values.clock(day, departed),
            "arrived_local": values.clock(day, arrived + (arrived < departed).astype("Int64") * 86_400),
            "plate": plates(quarantine, "Número de registro", of_vehicle["plate"]),
            "device_id": values.nullable(numbers.identifiers(device.mask(numbers.is_spoilt_id(device), ""))),
            "asset_description": values.nullable(of_vehicle["asset_description"]),
            "garage_name": values.nullable(of_vehicle["garage_name"]),
            "origin_address": values.nullable(texts["origin_address"]),
            "destination_address": values.nullable(texts["destination_address"]),
            "reported_km": _km(texts, lasting_s, auxiliary, quarantine),
            **{_AUXILIARY[name]: column for name, column in auxiliary.items()},
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


def _refuse_exchanged_times(
    texts: pd.DataFrame, back_s: pd.Series, driving_s: pd.Series, quarantine: Quarantine
) -> None:
    """An arrival before the departure by exactly the driving time: their headers are exchanged.

    Read as written, a movement of 24 min lasted until the next day, over all others (T01, critical).
    """
    is_back = back_s.between(1, _LONGEST_EXCHANGED_S).fillna(False).to_numpy(dtype=bool)
    is_exchanged = is_back & (back_s - driving_s).abs().le(1).fillna(False).to_numpy(dtype=bool)
    problem = f"before {HEADERS['departed_time']} by just the driving time: the two columns are exchanged"
    quarantine.refuse_value(is_exchanged, "bad_time", HEADERS["arrived_time"], texts["arrived_time"], problem)


def _filled(text: pd.Series) -> pd.Series:
    return text.mask(text.isin(_NOT_THERE), "")


def _are_repeated(legs: pd.DataFrame) -> pd.Series:
    """Whether each movement has the vehicle, the times and the km of another, which has as many of its places or more.

    It is the same row twice, or the total of a day with one movement, which was accepted beside it.
    """
    places = legs[["origin_address", "destination_address"]].notna().sum(axis=1)
    ordered = legs.assign(places=places).sort_values("places", ascending=False, kind="stable")
    return ordered.duplicated(_MOVEMENT).reindex(legs.index)


def _are_totals(legs: pd.DataFrame) -> pd.Series:
    """Whether each movement is the total of its vehicle's others of that day, or of the block."""
    rounding_km = float(contradictions.ROUNDING_KM)
    times = legs["departed_local"].astype("int64"), legs["arrived_local"].astype("int64")
    keys = [legs["block"], legs["departed_local"].dt.normalize()]
    is_total = pd.Series(totals.are_sums(keys, times, legs["reported_km"], rounding_km), index=legs.index)
    single = legs[~is_total]
    is_total[~is_total] = totals.are_sums_of_several_days(
        [single["block"]], single["departed_local"], single["arrived_local"], single["reported_km"], rounding_km
    )
    return is_total


def _km(
    texts: pd.DataFrame, lasting_s: pd.Series, auxiliary: dict[str, pd.Series], quarantine: Quarantine
) -> pd.Series:
    """The distance, which may be empty, but not illegible, negative, or longer than any vehicle drives in its time.

    A report in metres, 28200 for 28.2 km in 28 min, was paid: R$ 1.6 million a day for two buses.
    """
    text, label = _filled(texts["km"]), HEADERS["km"]
    found = numbers.plain_numbers(text, numbers.TWO_DECIMALS)
    parsed = numbers.decimals(found.plain, _KM)
    quarantine.refuse_ambiguous(label, text, found.is_ambiguous)
    quarantine.refuse_negative(label, text, parsed)
    quarantine.refuse_illegible("bad_number", label, text.mask(found.is_ambiguous, ""), parsed, "a number")
    hours = pd.concat([lasting_s.astype("float64"), auxiliary["driving"].astype("float64")], axis=1).max(axis=1) / 3600
    is_too_far = parsed.astype("float64") > _FASTEST_KMH * (hours + _CLOCKS_H)
    problem = "more km than any vehicle drives in the time of the movement (metres, or a lost comma)"
    quarantine.refuse_value(is_too_far.to_numpy(dtype=bool), "out_of_range", label, text, problem)
    is_speed = _are_speeds(parsed.astype("float64"), hours, auxiliary["max_speed"], texts) & ~is_too_far.to_numpy()
    problem = f"faster than its own {HEADERS['max_speed']}, or without the decimals that stand there: exchanged columns"
    quarantine.refuse_value(is_speed, "out_of_range", label, text, problem)
    return parsed


def _are_speeds(km: pd.Series, hours: pd.Series, max_speed: pd.Series, texts: pd.DataFrame) -> np.ndarray:
    """Which distances stand in the column of the highest speeds, and those in theirs.

    A movement is faster on average than at its fastest, and than any bus; or the speeds of a report have decimals and
    its distances have none. Read as written, 71 km/h over 24.5 km were paid as 71 km, three times too much.
    """
    mean_kmh = km / hours.where(hours > 0)
    is_faster = (mean_kmh > _FASTEST_MEAN_KMH) & max_speed.gt(0) & (mean_kmh > max_speed)
    driven, fastest = _filled(texts["km"]), _filled(texts["max_speed"])
    has_decimals = numbers.matches(fastest, r"^[0-9]+[.,][0-9]{1,2}$")
    is_whole = numbers.matches(driven, r"^[0-9]+$") | driven.eq("").to_numpy()
    are_exchanged = is_whole.all() and has_decimals.sum() >= max(_FEWEST_ROWS, len(texts) / 2)
    found: np.ndarray = is_faster.to_numpy(dtype=bool) | (km.gt(0).to_numpy(dtype=bool) & are_exchanged)
    return found


def _auxiliary(texts: pd.DataFrame, serials_from: str | None, *, is_month_first: bool) -> dict[str, pd.Series]:
    """The columns of _AUXILIARY, null where a cell is empty or cannot be read."""
    text = {name: _filled(texts[name]) for name in _AUXILIARY}
    speed = numbers.floats(numbers.plain_numbers(text["max_speed"], numbers.TWO_DECIMALS).plain)
    is_typed = serials_from is not None
    return {
        "next_departure": values.local_times(text["next_departure"], serials_from, is_month_first=is_month_first),
        "max_speed": speed.where(speed >= 0),
        "driving": values.durations(text["driving"], is_serial_accepted=is_typed),
        "stopped": values.durations(text["stopped"], is_serial_accepted=is_typed),
    }


def _illegible_cells(texts: pd.DataFrame, legs: pd.DataFrame, quarantine: Quarantine) -> list[str]:
    """A sentence per auxiliary column of which cells are null that are not empty, with the first of them."""
    sentences = []
    for name, column in _AUXILIARY.items():
        is_illegible = (_filled(texts[name]).ne("") & legs[column].isna()).to_numpy(dtype=bool) & ~quarantine.is_bad
        if is_illegible.any():
            at = int(is_illegible.argmax())
            sentences.append(
                f"{int(is_illegible.sum())} values of {HEADERS[name]!r} cannot be read and are empty, the first "
                f"{texts[name].iloc[at][:40]!r} in line {quarantine.row_number[at]}; the movements are accepted."
            )
    return sentences


def _spoilt_devices(layout: Layout) -> list[str]:
    """The plate identifies the vehicle of the movements: an id that a spreadsheet rounded is unknown, the rows stay."""
    spoilt = layout.blocks[numbers.is_spoilt_id(layout.blocks["device_id"])]
    named = ", ".join(f"{row.device_id} of {row.plate}" for row in spoilt.head(10).itertuples())
    return [f"ID do ativo was rounded by a spreadsheet and is unknown: {named}."] if len(spoilt) else []


def _without_names(texts: pd.DataFrame, who: pd.DataFrame, cells: Cells, layout: Layout) -> pd.Series:
    """The raw rows after the plate of their block, which a movement's own line does not hold.

    The driver's pseudonym stands for the name, which is stored in `ref.drivers` alone.
    """
    raws = (cells.raws[line] for line in layout.movements.index)
    masked = pd.Series(
        [_masked(*row) for row in zip(raws, texts["driver"], who["driver_id"].fillna(""), strict=True)], dtype=object
    )
    plate = layout.blocks["plate"].reindex(texts["block"]).fillna("").astype(object).reset_index(drop=True)
    return (plate + " | " + masked).where(plate.ne(""), masked)


def _masked(raw: str, text: str, driver_id: str) -> str:
    if not driver_id:
        return raw  # "Unknown" is not a name
    return raw.replace(text, driver_id) if text in raw else f"{driver_id}: see the archived file"


def _covered(kept: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Each block's vehicle on each day of its period, with the window of the day; and days of movements beside it."""
    seen = pd.DataFrame({"plate": kept["plate"], "date": kept["departed_local"].dt.date})
    seen[["window_start_local", "window_end_local"]] = pd.NaT
    plate = normalised(layout.blocks["plate"])
    stated = layout.windows.assign(plate=layout.windows["block"].map(plate[is_plate(plate)]))
    stated = stated.dropna(subset=["plate"])[list(seen.columns)]
    window = ["window_start_local", "window_end_local"]
    return covered_days(pd.concat([stated, seen], ignore_index=True).astype(dict.fromkeys(window, "datetime64[us]")))

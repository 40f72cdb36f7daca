"""The carriers' "Boletim / KM diário": one row is one declared run, clock and kilometres as the carrier wrote them.

Matching decides what a run is compared with, and on which day a night run started.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.formats import numbers, values
from fleet_audit.formats.named_days import NamedDays
from fleet_audit.formats.parsed import Limits, ParsedFile, conform_notes, counts_by_day, covered_days
from fleet_audit.formats.plates import plates
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table import totals
from fleet_audit.formats.table.file_period import refuse_outside_period
from fleet_audit.formats.table.text_table import TableFormat, TextTable, read_table
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.schema.derive import conform, pandas_dtype
from fleet_audit.schema.lake import PARSED_DECLARED_RUNS

COLUMNS = (
    "NUMERO ATA",
    "PLACA",
    "EQUIPAMENTO",
    "DATA",
    "CÓDIGO",
    "LOCAL SAÍDA",
    "HORÁRIO SAÍDA",
    "TURNO",
    "KM SAÍDA",
    "QTDE PESSOAS",
    "CÓDIGO2",
    "LOCAL CHEGADA",
    "HORÁRIO CHEGADA",
    "KM CHEGADA",
    "KM ROTA",
    "TAXA LOTAÇÃO",
    "EMPRESA",
)
_TEXTS = {
    "bulletin_number": "NUMERO ATA",
    "fleet_number": "EQUIPAMENTO",
    "carrier_code": "EMPRESA",
    "shift_code": "TURNO",
    "origin_code": "CÓDIGO",
    "origin_text": "LOCAL SAÍDA",
    "destination_code": "CÓDIGO2",
    "destination_text": "LOCAL CHEGADA",
}
_FORMAT = TableFormat(
    COLUMNS,
    COLUMNS,
    keys=("PLACA", "DATA"),
    merged=("NUMERO ATA", "PLACA", "EQUIPAMENTO", "DATA", "TURNO", "EMPRESA"),  # a merged quantity is one run's
    unpaid=("CÓDIGO", "TURNO", "CÓDIGO2", "TAXA LOTAÇÃO", "EMPRESA"),
)
_LONGEST_RUN_S = 16 * 3600  # CONTRACTS 1.3: a longer run has an arrival that nobody can read
_LONGEST_RUN_KM = 2_400  # in so much time at 150 km/h: a claim above it is a typing error, or counts from an empty 0
_SEARCH_KMH = 60
_READINGS_KM = 1.0  # two readings in whole km are off by up to this together
_TIMES = ("HORÁRIO SAÍDA", "HORÁRIO CHEGADA")
_WITH_UNIT = r"^(-?[0-9][0-9.,]*) ?[kK][mM][.]?$"  # 11 km
_IDS = ("NUMERO ATA", "PLACA", "EQUIPAMENTO")
_ORIGIN = ("file_sha256", "file_name", "row_number", "declared_run_id")
# A run is identified by all parsed values of its row, but not by where it was read.
RUN_IDENTITY = [name for name in PARSED_DECLARED_RUNS.column_names if name not in _ORIGIN]


_RUN = ["plate", "declared_date", "departed_local", "arrived_local", "odometer_start_km", "odometer_end_km",
        "declared_km"]  # fmt: skip


def parse_bulletin(sha256: str, file_name: str, content: bytes, today: dt.date, limits: Limits) -> ParsedFile:
    """Declared runs of a bulletin (CSV or XLSX) that arrived on a day.

    The same row twice is a duplicate; rows that differ in anything, the NUMERO ATA included, are two runs.

    Raises:
        RejectedFile: unreadable, too large, or one of the 17 columns is missing.
    """
    table = read_table(content, limits, _FORMAT)
    runs = _runs(table, today)
    runs["file_sha256"], runs["file_name"] = sha256, file_name
    runs["row_number"] = table.quarantine.row_number
    is_bad = table.quarantine.is_bad
    good = runs[~is_bad].copy()
    good["declared_run_id"] = stable_ids(good, RUN_IDENTITY)
    is_repeated = good["declared_run_id"].duplicated()
    is_total = _are_totals(good[~is_repeated]).reindex(good.index, fill_value=False)
    is_duplicate = is_repeated | is_total
    kept = good[~is_duplicate]
    return ParsedFile(
        "bulletin",
        conform(kept, PARSED_DECLARED_RUNS),
        len(runs),
        table.quarantine.frame(),
        notes=conform_notes(_unreadable_arrivals(kept, table), "bulletin", sha256, file_name),
        covered=covered_days(kept[["plate", "declared_date"]].set_axis(["plate", "date"], axis=1)),
        days=counts_by_day(
            runs["declared_date"].mask(table.quarantine.is_misdated()),
            is_bad,
            is_duplicate.reindex(runs.index, fill_value=False).to_numpy(),
            today,
        ),
        rows_duplicate=int(is_duplicate.sum()),
        rows_ignored=table.rows_ignored,
        warnings=(*table.warnings, *totals.sentence("runs", good.loc[is_total, "row_number"])),
    )


def _are_totals(runs: pd.DataFrame) -> pd.Series:
    """Whether each run is the total of its vehicle's others of that DATA, or of the file, by its times or its readings.

    One with a NUMERO ATA of its own is a claim: D01 and D02 judge it.
    """
    is_numbered = runs["bulletin_number"].str.contains("[0-9]").fillna(False).to_numpy(dtype=bool)
    is_of_day = _are_sums(runs, [runs["plate"], runs["declared_date"]], is_numbered)
    is_of_day |= _repeat_the_only_run(runs, is_numbered)
    single = runs[~is_of_day]
    is_of_file = _are_sums(single, [single["plate"]], is_numbered[~is_of_day]) | totals.are_sums_of_several_days(
        [single["plate"]], single["departed_local"], single["arrived_local"], single["declared_km"], 0.0
    )
    is_total = pd.Series(is_of_day, index=runs.index)
    is_total[~is_of_day] = is_of_file & ~is_numbered[~is_of_day]
    return is_total


def _repeat_the_only_run(runs: pd.DataFrame, is_claim: np.ndarray) -> np.ndarray:
    """Whether each run is another one again, without its places: the total of a day with one run."""
    ordered = runs.assign(claim=is_claim).sort_values("claim", ascending=False, kind="stable")
    is_again = ordered.duplicated(_RUN).reindex(runs.index) & runs[["origin_text", "destination_text"]].isna().all(
        axis=1
    )
    found: np.ndarray = is_again.to_numpy(dtype=bool) & ~is_claim
    return found


def _are_sums(runs: pd.DataFrame, keys: list[pd.Series], is_claim: np.ndarray) -> np.ndarray:
    times = runs["departed_local"].astype("int64"), runs["arrived_local"].astype("int64")
    readings = runs["odometer_start_km"], runs["odometer_end_km"]
    by_times, by_readings = (
        totals.are_sums(keys, ends, runs["declared_km"], 0.0, is_claim) for ends in (times, readings)
    )
    return by_times | by_readings


def bulletin_days(content: bytes, today: dt.date, limits: Limits) -> NamedDays:
    """The days that `parse_bulletin` would find, without reading the other columns; raises what it raises."""
    table = read_table(content, limits, _FORMAT)
    day, departed = _days(table, today), values.times(table.column("HORÁRIO SAÍDA"), table.serials_from)
    return NamedDays.of(day, table.quarantine.is_misdated(), today, departed)


def _days(table: TextTable, today: dt.date) -> pd.Series:
    """DATA of each row as a timestamp, null where it is not legible; wrong ones are rejected."""
    text, quarantine = table.column("DATA"), table.quarantine
    day = values.dates(text, table.serials_from, is_month_first=values.writes_month_first(text))
    quarantine.refuse_missing("DATA", text)
    quarantine.refuse_illegible_days("DATA", text, day, "a day written dd/mm/aaaa")
    quarantine.refuse_future("DATA", text, day, today)
    refuse_outside_period(quarantine, "DATA", text, day.where(day <= pd.Timestamp(today)))
    return day


def _texts(table: TextTable) -> dict[str, pd.Series]:
    """The text columns by their parsed names."""
    return {name: values.nullable(numbers.identifiers(table.column(label))) for name, label in _TEXTS.items()}


def _runs(table: TextTable, today: dt.date) -> pd.DataFrame:
    quarantine = table.quarantine
    for label in _IDS:
        quarantine.refuse_spoilt_ids(label, table.column(label))
    runs = _texts(table)
    runs["plate"] = plates(quarantine, "PLACA", table.column("PLACA"))
    day = _days(table, today)
    departed, arrived = (_time(table, label) for label in _TIMES)
    runs["declared_date"] = day.dt.date
    runs["departed_local"] = values.clock(day, departed)
    runs["odometer_start_km"] = _km(table, "KM SAÍDA", "odometer_start_km")
    runs["odometer_end_km"] = _km(table, "KM CHEGADA", "odometer_end_km")
    runs["route_km"] = _route_km(table, runs["odometer_end_km"] - runs["odometer_start_km"])
    runs["declared_km"] = runs["route_km"].fillna(runs["odometer_end_km"] - runs["odometer_start_km"])
    start, end = (seconds.to_numpy("float64", na_value=np.nan) for seconds in (departed, arrived))
    by_letter = end + 86_400 * (end < start)
    is_unreadable = by_letter - start > _LONGEST_RUN_S
    searched = np.where(is_unreadable, start + _searched_seconds(runs["declared_km"]), by_letter)
    runs["is_arrival_unreadable"] = pd.Series(is_unreadable, index=day.index)
    runs["arrived_local"] = values.clock(day, pd.Series(searched, index=day.index))
    _refuse_without_claim(quarantine, runs["declared_km"], table)
    people = table.column("QTDE PESSOAS")
    runs["passengers"] = numbers.wholes(people)
    quarantine.refuse_illegible("bad_number", "QTDE PESSOAS", people, runs["passengers"], "a whole number")
    quarantine.refuse_negative("QTDE PESSOAS", people, runs["passengers"])
    rate = table.column("TAXA LOTAÇÃO").str.removesuffix("%").str.strip()
    runs["occupancy_pct"] = _number(table, "TAXA LOTAÇÃO", rate, "occupancy_pct", "a percentage")
    return pd.concat(runs, axis=1)


def _searched_seconds(declared_km: pd.Series) -> np.ndarray:
    """How long a run is searched whose written arrival, past midnight, would make it last over 16 h (CONTRACTS 1.3).

    It is found by its departure and km: it ends after its km at 60 km/h, faster than buses are, so that it reaches into
    no later run.
    """
    return np.clip(declared_km.astype("float64").to_numpy() / _SEARCH_KMH * 3600, 60, _LONGEST_RUN_S).round()


def _unreadable_arrivals(runs: pd.DataFrame, table: TextTable) -> pd.DataFrame:
    """A note for each accepted run whose arrival is not the written one."""
    is_unreadable = runs["is_arrival_unreadable"].to_numpy(dtype=bool)
    if not is_unreadable.any():
        return pd.DataFrame()
    rows = runs[is_unreadable]
    return pd.DataFrame(
        {
            "note_code": "arrival_unreadable",
            "plate": rows["plate"],
            "date": rows["declared_date"],
            "expected": "até 16 h após " + table.column("HORÁRIO SAÍDA")[rows.index],
            "found": table.column("HORÁRIO CHEGADA")[rows.index],
            "row_number": rows["row_number"],
        }
    )


def _time(table: TextTable, label: str) -> pd.Series:
    text = table.column(label)
    seconds = values.times(text, table.serials_from)
    table.quarantine.refuse_missing(label, text)
    table.quarantine.refuse_illegible("bad_time", label, text, seconds, "a time written HH:MM or HH:MM:SS")
    return seconds


def _km(table: TextTable, label: str, name: str) -> pd.Series:
    text = table.column(label)
    return _number(table, label, _without_unit(text), name, "a number of km")


def _route_km(table: TextTable, counted_km: pd.Series) -> pd.Series:
    """KM ROTA; a point before three digits begins decimals where the row's own readings show so many kilometres.

    `19.500` beside readings that are 19 km apart was a claim of 19500 km.
    """
    label = "KM ROTA"
    text = _without_unit(table.column(label))
    with_decimals = pd.to_numeric(text.where(numbers.has_point_before_three(text)), errors="coerce")
    is_counted = (with_decimals - counted_km.astype("float64")).abs() <= _READINGS_KM
    text = text.mask(is_counted.fillna(False), text + "0")  # a fourth decimal leaves one reading
    return _number(table, label, text, "route_km", "a number of km")


def _without_unit(text: pd.Series) -> pd.Series:
    return text.str.replace(_WITH_UNIT, r"\1", regex=True)


def _number(table: TextTable, label: str, text: pd.Series, name: str, expected: str) -> pd.Series:
    """A column's numbers, not negative; `name` is the column of the parsed table, for its type."""
    found = numbers.plain_numbers(text, numbers.WHOLE_KM)
    parsed = numbers.decimals(found.plain, _dtype(name))
    table.quarantine.refuse_ambiguous(label, text, found.is_ambiguous)
    table.quarantine.refuse_illegible("bad_number", label, text.mask(found.is_ambiguous, ""), parsed, expected)
    table.quarantine.refuse_negative(label, text, parsed)
    return parsed


def _refuse_without_claim(quarantine: Quarantine, declared_km: pd.Series, table: TextTable) -> None:
    """A row claims KM ROTA, or else the difference of its readings; without either the run cannot be compared.

    Nor can one that claims more than a bus can drive: a KM SAÍDA of 0 beside a KM CHEGADA of 201869 is an empty cell.
    """
    empty = ~numbers.is_filled(table.column("KM ROTA"))
    no_reading = ~(numbers.is_filled(table.column("KM SAÍDA")) & numbers.is_filled(table.column("KM CHEGADA")))
    quarantine.refuse(
        empty & no_reading,
        "missing_value",
        "KM ROTA is empty, and so is KM SAÍDA or KM CHEGADA: write what the run claims.",
    )
    negative = empty & declared_km.lt(0).fillna(False).to_numpy(dtype=bool)
    quarantine.refuse(
        negative, "negative_value", "KM ROTA is empty and KM CHEGADA is below KM SAÍDA: write what the run claims."
    )
    quarantine.refuse(
        declared_km.gt(_LONGEST_RUN_KM).fillna(False).to_numpy(dtype=bool),
        "out_of_range",
        f"The run claims more than {_LONGEST_RUN_KM} km, by KM ROTA or, where that is empty, by KM CHEGADA - KM SAÍDA: "
        "no bus drives that in 16 h. Correct the km, and leave a cell empty where a reading is unknown.",
    )


def _dtype(name: str) -> pd.ArrowDtype:
    return pandas_dtype(PARSED_DECLARED_RUNS.column(name))

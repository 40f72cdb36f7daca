"""Telemetry by file, the fallback when the API is down: positions with the strict rules of that format.

Which device is in which vehicle is not known here: an unregistered device's rows are accepted like any other.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.formats import numbers, values
from fleet_audit.formats.named_days import NamedDays
from fleet_audit.formats.parsed import Limits, ParsedFile, conform_notes, counts_by_day, covered_days
from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.formats.table.file_period import refuse_outside_period
from fleet_audit.formats.table.text_table import TableFormat, TextTable, read_table
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.schema.derive import conform
from fleet_audit.schema.lake import PARSED_POSITIONS
from fleet_audit.schema.partition import PARTITION_ZONE, partition_day

REQUIRED = ("deviceId", "timestamp", "tipoVeiculo", "odometroKm", "custoVariavel", "custoFixo", "viagemId")
OPTIONAL = ("latitude", "longitude", "velocidadeKmh", "ignicao", "motoristaId", "passageiros")
_FORMAT = TableFormat((*REQUIRED, *OPTIONAL), REQUIRED, keys=("deviceId", "timestamp"), merged=("deviceId",))
_GPS_WEEKS = dt.timedelta(weeks=1024)  # the week number in the GPS signal has 10 bits: it starts again after 19.6 years
_YEAR = dt.timedelta(days=366)
_FUTURE_SLACK = dt.timedelta(minutes=5)  # contract: a timestamp may be so far ahead of the receipt
_NUMBERS = ("odometroKm", "custoVariavel", "custoFixo", "latitude", "longitude", "velocidadeKmh")
_LARGEST_DEGREES = {"latitude": 90, "longitude": 180}
_SHARE = 0.5  # of a device's positions of a day, as of those of the API
_KEY = ["device_id", "recorded_at", "trip_key"]


def parse_telemetry(
    sha256: str, file_name: str, content: bytes, received_at: dt.datetime, limits: Limits
) -> ParsedFile:
    """Positions of a telemetry file (CSV or XLSX).

    Duplicates by (deviceId, timestamp, viagemId), among legible rows: the first is kept, the others are counted.

    Raises:
        RejectedFile: unreadable, too large, or a required column is missing.
    """
    table = read_table(content, limits, _FORMAT)
    positions = _positions(table, received_at)
    roll_overs = _roll_overs(table, positions["recorded_at"], pd.Timestamp(received_at).tz_convert("UTC"))
    notes = pd.concat([roll_overs, _absurd_odometers(positions, table)], ignore_index=True)
    warnings = [*_drop_absurd_odometers(positions), *_drop_false_places(positions)]
    positions["source"], positions["file_sha256"], positions["file_name"] = "file", sha256, file_name
    positions["row_number"] = table.quarantine.row_number
    is_bad = table.quarantine.is_bad
    is_duplicate = positions[~is_bad].duplicated(_KEY).reindex(positions.index, fill_value=False).to_numpy()
    kept = positions[~is_bad & ~is_duplicate]
    local_day = positions["recorded_at"].dt.tz_convert(PARTITION_ZONE).dt.date
    return ParsedFile(
        "telemetry",
        conform(kept, PARSED_POSITIONS),
        len(positions),
        table.quarantine.frame(),
        notes=conform_notes(notes, "telemetry", sha256, file_name),
        covered=covered_days(pd.DataFrame({"device_id": kept["device_id"], "date": local_day[kept.index]})),
        days=counts_by_day(
            local_day.mask(table.quarantine.is_misdated()), is_bad, is_duplicate, partition_day(received_at)
        ),
        rows_duplicate=int(is_duplicate.sum()),
        rows_ignored=table.rows_ignored,
        warnings=(*table.warnings, *warnings),
    )


def telemetry_days(content: bytes, received_at: dt.datetime, limits: Limits) -> NamedDays:
    """The days that `parse_telemetry` would find, without reading the other columns; raises what it raises."""
    table = read_table(content, limits, _FORMAT)
    recorded = _instants(table, received_at)
    day = recorded.dt.tz_convert(PARTITION_ZONE).dt.tz_localize(None).dt.normalize()
    today = partition_day(received_at)
    found = NamedDays.of(day, table.quarantine.is_misdated(), today)
    corrected = _roll_overs(table, recorded, pd.Timestamp(received_at).tz_convert("UTC"))["date"]
    return NamedDays(found.named | frozenset(corrected))


def _positions(table: TextTable, received_at: dt.datetime) -> pd.DataFrame:
    quarantine = table.quarantine
    device = numbers.identifiers(numbers.without_text_guard(table.column("deviceId")))
    quarantine.refuse_missing("deviceId", device)
    quarantine.refuse_spoilt_ids("deviceId", device)
    kind = table.column("tipoVeiculo")
    quarantine.refuse_missing("tipoVeiculo", kind)
    quarantine.refuse_value(
        kind.ne("") & ~kind.map(fold).isin(["urbano", "agricola"]),
        "bad_vehicle_type",
        "tipoVeiculo",
        kind,
        "not urbano or agricola",
    )
    for cost in ("custoVariavel", "custoFixo"):  # checked as the format asks; costs come from contracts, not from here
        _number(table, cost, is_required=True)
    driver = table.column("motoristaId")
    return pd.DataFrame(
        {
            "device_id": device,
            "recorded_at": _instants(table, received_at),
            **{name: _number(table, name, largest=largest) for name, largest in _LARGEST_DEGREES.items()},
            "speed_kmh": _number(table, "velocidadeKmh"),
            "odometer_km": _number(table, "odometroKm", is_required=True),
            "ignition": _ignition(table),
            "driver_id": values.nullable(driver.mask(driver.str.lower().eq("unknown"), "")),
            "passengers": _passengers(table),
            "trip_key": values.nullable(table.column("viagemId")),
        }
    )


def _absurd_odometers(positions: pd.DataFrame, table: TextTable) -> pd.DataFrame:
    """A note per device and day of which at least half of the readings are none of a dial; `plate` holds the device."""
    readings = pd.DataFrame(
        {
            "plate": positions["device_id"],
            "date": positions["recorded_at"].dt.tz_convert(PARTITION_ZONE).dt.date,
            "is_absurd": positions["odometer_km"].gt(numbers.LARGEST_ODOMETER_KM).fillna(False).astype(bool),
            "row_number": table.quarantine.row_number,
            "found": table.column("odometroKm"),
        }
    )[~table.quarantine.is_bad]
    is_most = readings.groupby(["plate", "date"])["is_absurd"].transform("mean") >= _SHARE
    noted = readings[readings["is_absurd"] & is_most].drop_duplicates(["plate", "date"])
    found = "odometroKm: um número, '" + noted["found"] + "' (equipamento " + noted["plate"] + ")"
    expected = f"odometroKm: {numbers.ODOMETER_RANGE_PT}"
    return noted.drop(columns="is_absurd").assign(note_code="wrong_type", found=found, expected=expected)


def _drop_absurd_odometers(positions: pd.DataFrame) -> list[str]:
    """Removes the readings that no dial shows, and returns a sentence with their number: the positions stay."""
    is_absurd = positions["odometer_km"].gt(numbers.LARGEST_ODOMETER_KM).fillna(False).to_numpy(dtype=bool)
    if not is_absurd.any():
        return []
    positions["odometer_km"] = positions["odometer_km"].mask(is_absurd)
    return [f"{is_absurd.sum()} values of odometroKm are above {numbers.LARGEST_ODOMETER_KM:,} and are no readings."]


def _drop_false_places(positions: pd.DataFrame) -> list[str]:
    """Sets coordinates that are no fix to 0/0, and returns a sentence with their number: the positions stay.

    They are out of range (degrees and minutes as 2231.86, microdegrees), or only one of the two.
    """
    has_number = positions[[*_LARGEST_DEGREES]].notna()
    is_inside = positions[[*_LARGEST_DEGREES]].abs().le(pd.Series(_LARGEST_DEGREES)).all(axis="columns")
    is_false = (has_number.any(axis="columns") & ~is_inside).to_numpy(dtype=bool)
    if not is_false.any():
        return []
    positions.loc[is_false, [*_LARGEST_DEGREES]] = 0.0
    return [
        f"{is_false.sum()} positions have a latitude or longitude that is absent or out of range: they have no place. "
        "Write both in decimal degrees."
    ]


def _instants(table: TextTable, received_at: dt.datetime) -> pd.Series:
    text = table.column("timestamp")
    parsed = values.instants(text)
    table.quarantine.refuse_missing("timestamp", text)
    table.quarantine.refuse_illegible(
        "bad_timestamp", "timestamp", text, parsed, "an ISO 8601 instant with an offset, of this century"
    )
    _refuse_impossible(table.quarantine, text, parsed, pd.Timestamp(received_at).tz_convert("UTC"))
    return parsed


def _refuse_impossible(quarantine: Quarantine, text: pd.Series, parsed: pd.Series, received: pd.Timestamp) -> None:
    """Rejects instants after the file's arrival, 1,024 weeks off, or more than a year from the other ones."""
    is_ahead = (parsed > received + _FUTURE_SLACK).fillna(False)
    is_rolled = _corrected(parsed, received).notna()
    quarantine.refuse_value(
        is_rolled,
        "gps_week_rollover",
        "timestamp",
        text,
        "1,024 weeks off: the GPS week counter of the device started again; update the device or correct its dates",
    )
    quarantine.refuse_value(
        is_ahead & ~is_rolled, "future_timestamp", "timestamp", text, "more than 5 minutes after the file arrived"
    )
    refuse_outside_period(quarantine, "timestamp", text, parsed.where(~is_rolled & ~is_ahead).dt.tz_localize(None))


def _corrected(parsed: pd.Series, received: pd.Timestamp) -> pd.Series:
    """The instants that the GPS week counter moved, moved back; missing for all others."""
    latest = received + _FUTURE_SLACK
    # A position is never 19.6 years late. One as far ahead, whose day is in the year before the arrival, is the same
    # counter after a correction too many.
    later, earlier = parsed + _GPS_WEEKS, parsed - _GPS_WEEKS
    twice = later + _GPS_WEEKS
    corrected = twice.where(twice <= latest, later.where(later <= latest))
    is_ahead = (parsed > latest) & earlier.between(received - _YEAR, latest)
    return corrected.mask(is_ahead.fillna(False), earlier)


def _roll_overs(table: TextTable, parsed: pd.Series, received: pd.Timestamp) -> pd.DataFrame:
    """A note per device and day of the positions that the GPS week counter moved; `plate` holds the device."""
    corrected = _corrected(parsed, received)
    is_moved = corrected.notna()
    device, written = table.column("deviceId")[is_moved], table.column("timestamp")[is_moved]
    notes = pd.DataFrame(
        {
            "note_code": "gps_week_rollover",
            "plate": device,
            "date": corrected[is_moved].dt.tz_convert(PARTITION_ZONE).dt.date,
            "found": written + " (equipamento " + device + ")",
            "row_number": table.quarantine.row_number[is_moved],
        }
    )
    return notes.assign(expected=notes["date"].astype("str")).drop_duplicates(["plate", "date"])


def _number(table: TextTable, name: str, *, is_required: bool = False, largest: float | None = None) -> pd.Series:
    """A number with a decimal point; below zero it is a `negative_value`, except where `largest` bounds both signs."""
    text, quarantine = table.column(name), table.quarantine
    style = numbers.TWO_DECIMALS if table.is_workbook else _text_style(table)
    found = numbers.plain_numbers(text, style, largest)
    parsed = numbers.floats(found.plain)
    if is_required:
        quarantine.refuse_missing(name, text)
    quarantine.refuse_ambiguous(name, text, found.is_ambiguous)
    is_other = text.mask(found.is_ambiguous, "")
    quarantine.refuse_illegible("bad_number", name, is_other, parsed, "a number with a decimal point")
    if largest is None:
        quarantine.refuse_negative(name, text, parsed)
    return parsed


def _text_style(table: TextTable) -> numbers.NumberStyle:
    """Decimals have a point; where a spreadsheet saved the file with semicolons, and all of its decimals have a comma,
    a comma.
    """
    if table.separator == ",":
        return numbers.POINT_ONLY
    texts = table.text[[name for name in _NUMBERS if name in table.text]]
    return numbers.BRAZILIAN if numbers.writes_decimal_commas(texts) else numbers.POINT_ONLY


def _ignition(table: TextTable) -> pd.Series:
    text = table.column("ignicao")
    parsed = values.flags(text)
    table.quarantine.refuse_illegible("bad_flag", "ignicao", text, parsed, "true, false, 1, 0, sim or nao")
    return parsed


def _passengers(table: TextTable) -> pd.Series:
    text = table.column("passageiros")
    parsed = numbers.wholes(text)
    table.quarantine.refuse_illegible("bad_number", "passageiros", text, parsed, "a whole number")
    table.quarantine.refuse_negative("passageiros", text, parsed)
    return parsed

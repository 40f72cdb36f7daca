from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit_tests.formats.samples import (
    TELEMETRY_HEADER,
    TELEMETRY_ROWS,
    changed,
    read,
    reasons,
    telemetry,
    workbook,
)

ROW = TELEMETRY_ROWS[0]


def test_rows_become_positions():
    rows = read("telemetry", telemetry()).rows
    assert list(rows["recorded_at"]) == [pd.Timestamp("2025-06-10T09:04:35Z"), pd.Timestamp("2025-06-10T09:05:35Z")]
    assert list(rows["device_id"]) == ["23", "23"]
    assert list(rows["trip_key"].isna()) == [False, True], "a loose event is kept"
    assert list(rows["ignition"]) == [True, True]
    assert list(rows["passengers"].isna()) == [False, True]
    assert list(rows["speed_kmh"]) == [0, 40.5]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"c0": ""}, "missing_value"),
        ({"c1": "2025-06-10T06:04:35"}, "bad_timestamp"),
        ({"c1": "10/06/2025 06:04:35"}, "bad_timestamp"),
        ({"c1": "1970-01-01T00:00:00Z"}, "bad_timestamp"),
        ({"c1": "2025-02-30T00:00:00Z"}, "bad_timestamp"),
        ({"c1": "2025-06-11T03:05:01Z"}, "future_timestamp"),
        ({"c2": "onibus"}, "bad_vehicle_type"),
        ({"c3": "-1"}, "negative_value"),
        ({"c3": '"117279,4"'}, "bad_number"),
        ({"c3": ""}, "missing_value"),
        ({"c4": "-0.01"}, "negative_value"),
        ({"c5": "x"}, "bad_number"),
        ({"c7": "22°31'S"}, "bad_number"),
        ({"c8": "nan"}, "bad_number"),
        ({"c9": "-1"}, "negative_value"),
        ({"c10": "talvez"}, "bad_flag"),
        ({"c12": "18.5"}, "bad_number"),
    ],
)
def test_a_bad_cell_rejects_its_row_only(cells: dict[str, str], code: str):
    row = ROW.split(",")
    for name, text in cells.items():
        row[int(name[1:])] = text
    parsed = read("telemetry", telemetry(",".join(row), TELEMETRY_ROWS[1]))
    assert reasons(parsed) == [(2, code)]
    assert parsed.rejected["raw"].iloc[0] == ",".join(row)
    assert len(parsed.rows) == 1


@pytest.mark.parametrize(("written", "is_on"), [("1.0", True), ("0.0", False), ("LIGADO", True)])
def test_an_ignition_that_a_spreadsheet_made_a_number_is_read(written: str, is_on: bool):
    assert read("telemetry", telemetry(changed(ROW, c10=written))).rows["ignition"].to_list() == [is_on]


def test_five_minutes_ahead_is_accepted():
    assert len(read("telemetry", telemetry(changed(ROW, c1="2025-06-11T03:05:00Z"))).rows) == 1


def test_first_of_duplicates_is_kept():
    again = changed(ROW, c1="2025-06-10T09:04:35Z", c3="999999")
    parsed = read("telemetry", telemetry(ROW, again, changed(ROW, c6="V2")))
    assert (len(parsed.rows), parsed.rows_duplicate) == (2, 1)
    assert parsed.rows["odometer_km"].max() == 117279.4


def test_covered_days_are_those_of_sao_paulo():
    parsed = read("telemetry", telemetry(changed(ROW, c1="2025-06-10T02:59:00Z"), ROW))
    assert list(parsed.covered["date"]) == [dt.date(2025, 6, 9), dt.date(2025, 6, 10)]
    assert (parsed.first_date, parsed.last_date) == (dt.date(2025, 6, 9), dt.date(2025, 6, 10))


def test_optional_columns_may_be_absent_and_required_ones_may_not():
    header = ",".join(TELEMETRY_HEADER.split(",")[:7])
    parsed = read("telemetry", f"{header}\n{','.join(ROW.split(',')[:7])}\n".encode())
    assert parsed.rows["latitude"].isna().all()
    with pytest.raises(RejectedFile, match="Column viagemId is missing"):
        read("telemetry", f"{header}\n".replace(",viagemId", "").encode())


def test_a_workbook_has_the_same_cells():
    cells: list[object] = [*ROW.split(",")]
    cells[3], cells[7], cells[8], cells[10] = 117279.4, -22.53, -52.170001, True
    parsed = read("telemetry", workbook([TELEMETRY_HEADER.split(","), cells]), "t.xlsx")
    row = parsed.rows.iloc[0]
    assert (row["odometer_km"], row["latitude"], row["longitude"], row["ignition"]) == (
        117279.4, -22.53, -52.170001, True)  # fmt: skip


def test_rows_are_counted_on_their_day_and_illegible_ones_on_the_day_before_them():
    rows = [
        changed(ROW, c1="never"),
        ROW,
        changed(ROW, c1="2025-06-31T00:00:00Z"),
        changed(ROW, c1="2025-06-10T23:00:00-03:00"),
        changed(ROW, c1="2026-06-10T23:00:00-03:00"),
        ROW,
        changed(ROW, c1="2025-06-09T23:00:00-03:00", c3="-1"),
    ]
    parsed = read("telemetry", telemetry(*rows))
    assert parsed.days.to_numpy().tolist() == [[dt.date(2025, 6, 9), 1, 0, 1, 0], [dt.date(2025, 6, 10), 6, 2, 3, 1]]


@pytest.mark.parametrize("written", ["2005-10-25T06:04:35-03:00", "2045-01-24T06:04:35-03:00"])
def test_a_gps_week_roll_over_is_refused_with_its_own_reason_and_requests_no_old_day(written: str):
    """1,024 weeks are 19.6 years: 10/06/2025 becomes 25/10/2005, or 2045 where a device corrects too often."""
    parsed = read("telemetry", telemetry(changed(ROW, c1=written), TELEMETRY_ROWS[1]))
    assert reasons(parsed) == [(2, "gps_week_rollover")]
    assert "1,024 weeks off" in parsed.message
    assert set(parsed.days["date"]) == {dt.date(2025, 6, 10)}
    alone = read("telemetry", telemetry(changed(ROW, c1=written)))
    assert (reasons(alone), len(alone.covered), len(alone.days)) == ([(2, "gps_week_rollover")], 0, 0)


def test_a_clock_that_is_years_off_is_refused_beside_sound_devices():
    parsed = read("telemetry", telemetry(*TELEMETRY_ROWS, changed(ROW, c0="24", c1="2016-01-01T00:00:00Z")))
    assert reasons(parsed) == [(4, "outside_period")]
    assert parsed.first_date == dt.date(2025, 6, 10)


def test_a_rounded_device_id_is_refused_and_never_a_duplicate():
    spoilt = changed(ROW, c0='"3|51E+14"').replace("|", ",")
    parsed = read("telemetry", telemetry(spoilt, spoilt, ROW))
    assert reasons(parsed) == [(2, "spoilt_id"), (3, "spoilt_id")]
    assert (len(parsed.rows), parsed.rows_duplicate) == (1, 0)


@pytest.mark.parametrize("written", ["2005-10-25T06:04:35-03:00", "2045-01-24T06:04:35-03:00"])
def test_a_gps_week_roll_over_is_noted_once_a_device_on_the_day_that_was_meant(written: str):
    [note] = read("telemetry", telemetry(*[changed(ROW, c1=written)] * 2)).notes.to_dict("records")
    assert (note["note_code"], note["date"], note["row_number"]) == ("gps_week_rollover", dt.date(2025, 6, 10), 2)
    assert written in note["found"]
    assert ROW.split(",")[0] in note["found"]


def test_a_file_that_a_brazilian_spreadsheet_saved_is_read():
    text = telemetry(changed(ROW, c3="117279.4", c7="-22.531", c8="-49.12345")).decode()
    row = read("telemetry", text.replace(",", ";").replace(".", ",").encode()).rows.iloc[0]
    assert (row["odometer_km"], row["latitude"], row["longitude"]) == (117279.4, -22.531, -49.12345)


@pytest.mark.parametrize("written", ["'351234567890123", '="351234567890123"', "351234567890123.0"])
def test_an_id_is_read_without_what_kept_a_spreadsheet_from_rounding_it(written: str):
    assert read("telemetry", telemetry(changed(ROW, c0=written))).rows["device_id"].to_list() == ["351234567890123"]


@pytest.mark.parametrize(("written", "ignition"), [("ON", True), ("desligado", False), ("Ligada", True)])
def test_ignition_in_words(written: str, ignition: bool):
    assert read("telemetry", telemetry(changed(ROW, c10=written))).rows["ignition"].to_list() == [ignition]


@pytest.mark.parametrize("text", ["21055406.0", "100019000.0", "1e12"], ids=["not available", "metres", "absurd"])
def test_an_odometer_beyond_any_dial_is_no_reading_and_its_position_stays(text: str):
    row = ROW.split(",")
    row[3] = text
    parsed = read("telemetry", telemetry(",".join(row), TELEMETRY_ROWS[1]))
    assert parsed.rejected.empty
    assert parsed.rows["odometer_km"].isna().tolist() == [True, False]
    assert parsed.rows["latitude"].notna().all()
    assert "1 values of odometroKm are above 10,000,000" in parsed.message


@pytest.mark.parametrize("metres", [1, 2, 3])
def test_a_device_with_readings_beyond_any_dial_for_half_of_the_day_is_noted(metres: int):
    rows = [
        changed(ROW, c1=f"2025-06-10T09:0{at}:35Z", c3="100019000.0" if at < metres else "100019.0") for at in range(4)
    ]
    notes = read("telemetry", telemetry(*rows)).notes.to_dict("records")
    assert [(note["note_code"], note["plate"], note["row_number"]) for note in notes] == [
        ("wrong_type", ROW.split(",")[0], 2)
    ] * (metres >= 2)


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("-2231.86", "-5207.41"), ("-22531000", "-52123450"), ("-90.1", "-52.1"), ("-22.5", "181"), ("-22.5", "")],
    ids=["degrees and minutes", "microdegrees", "latitude", "longitude", "one of two"],
)
def test_coordinates_that_are_no_fix_lose_the_place_and_their_position_stays(latitude: str, longitude: str):
    parsed = read("telemetry", telemetry(changed(ROW, c7=latitude, c8=longitude), TELEMETRY_ROWS[1]))
    assert parsed.rejected.empty
    assert parsed.rows["odometer_km"].notna().all()
    assert parsed.rows[["latitude", "longitude"]].eq(0).all(axis=1).tolist() == [True, False]
    assert "1 positions have a latitude or longitude that is absent or out of range" in parsed.message


def test_an_instant_in_lower_case_is_one() -> None:
    written = telemetry(TELEMETRY_ROWS[0].replace("T06:04:35-03:00", "t09:04:35z"))
    [position] = read("telemetry", written).rows.to_dict("records")
    assert position["recorded_at"] == pd.Timestamp("2025-06-10 09:04:35Z")


def test_a_footer_after_a_total_is_no_row_though_it_stands_in_the_column_of_the_device():
    total, footer = "Total,,,48.0,0,0,,,,,,,", "Gerado em 11/06/2025 07:00,,,,,,,,,,,,"
    parsed = read("telemetry", telemetry(*TELEMETRY_ROWS, total, footer))
    assert (parsed.status, parsed.rows_read, parsed.rows_ignored) == ("accepted", 2, 2)
    data = read("telemetry", telemetry(*TELEMETRY_ROWS, total, "23,,urbano,,,,,,,,,,", "24,,,,,,,,,,,,"))
    assert (data.rows_read, data.rows_ignored) == (4, 1), "a device with anything beside it is data"

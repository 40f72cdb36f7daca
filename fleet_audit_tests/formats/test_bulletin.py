from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit.formats.parsed import ParsedFile, RejectedFile
from fleet_audit_tests.formats.samples import (
    BULLETIN_HEADER,
    BULLETIN_ROWS,
    REAL_DAY,
    bulletin,
    changed,
    read,
    reasons,
    workbook,
)

ROW = BULLETIN_ROWS[0]


def test_rows_become_typed_runs():
    parsed = read("bulletin", bulletin())
    first, second = parsed.rows.to_dict("records")
    assert (first["plate"], first["declared_km"], first["passengers"]) == ("KPU9A36", Decimal("30.00"), 18)
    assert first["declared_date"] == dt.date(2025, 6, 10)
    assert second["origin_text"] == "GARAGEM, FUNDOS"
    assert second["destination_text"] != second["destination_text"], "an empty place is unknown"
    assert parsed.status == "accepted"
    assert (parsed.first_date, parsed.last_date) == (dt.date(2025, 6, 10), dt.date(2025, 6, 10))
    assert parsed.covered.to_dict("records") == [{"plate": "KPU9A36", "date": dt.date(2025, 6, 10)}]


def test_arrival_before_departure_is_past_midnight():
    second = read("bulletin", bulletin()).rows.iloc[1]
    assert second["departed_local"] == dt.datetime(2025, 6, 10, 23, 50)
    assert second["arrived_local"] == dt.datetime(2025, 6, 11, 0, 40, 30)


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"c1": "KP9A36"}, "bad_plate"),
        ({"c1": ""}, "missing_value"),
        ({"c3": "31/02/2025"}, "bad_date"),
        ({"c3": "06/10/25"}, "bad_date"),
        ({"c3": "10/06/9999"}, "bad_date"),
        ({"c6": "25:00"}, "bad_time"),
        ({"c6": "6x04"}, "bad_time"),
        ({"c6": "24:01"}, "bad_time"),
        ({"c12": "46:00"}, "bad_time"),
        ({"c12": ""}, "missing_value"),
        ({"c8": "abc"}, "bad_number"),
        ({"c14": "trinta"}, "bad_number"),
        ({"c14": "=1+30"}, "bad_number"),
        ({"c14": "NaN"}, "bad_number"),
        ({"c14": "99999999999"}, "bad_number"),
        ({"c14": "-30"}, "negative_value"),
        ({"c9": "-1"}, "negative_value"),
        ({"c9": "1.5"}, "bad_number"),
        ({"c14": "30,5"}, "bad_width"),
        ({"c8": "", "c14": ""}, "missing_value"),
        ({"c13": "117200", "c14": ""}, "negative_value"),
        ({"c8": "0", "c14": ""}, "out_of_range"),
        ({"c8": "11727", "c14": "105582"}, "out_of_range"),
    ],
)
def test_a_bad_cell_rejects_its_row_only(cells: dict[str, str], code: str):
    parsed = read("bulletin", bulletin(changed(ROW, **cells), BULLETIN_ROWS[1]))
    assert len(parsed.rows) == 1
    assert (2, code) in reasons(parsed)
    assert parsed.rejected["raw"].iloc[0] == changed(ROW, **cells)
    assert parsed.status == "partial"
    assert "line 2" in parsed.message


def test_reason_names_column_and_value():
    reason = read("bulletin", bulletin(changed(ROW, c3="31/02/2025"))).rejected["reason"].iloc[0]
    assert reason == "DATA is '31/02/2025', not a day written dd/mm/aaaa."


def test_a_row_with_several_faults_is_counted_once():
    parsed = read("bulletin", bulletin(changed(ROW, c1="X", c3="Y", c8="Z", c13="W"), BULLETIN_ROWS[1]))
    assert reasons(parsed) == [(2, "bad_date"), (2, "bad_number"), (2, "bad_plate")]
    assert (parsed.rows_read, parsed.rows_rejected) == (2, 1)


@pytest.mark.parametrize(
    ("written", "km"),
    [("30", "30"), ("30.0", "30"), ("1.030", "1030"), ('"30,50"', "30.50"), (" 30 ", "30"), ("2.279", "2279")],
)
def test_km_as_brazilians_write_them(written: str, km: str):
    assert read("bulletin", bulletin(changed(ROW, c14=written))).rows["declared_km"].iloc[0] == Decimal(km)


@pytest.mark.parametrize(("written", "km"), [("30.500", "30.50"), ("29.875 km", "29.88"), ("30.000", "30.00")])
def test_km_with_three_decimals_that_the_readings_confirm_are_no_thousands(written: str, km: str):
    assert read("bulletin", bulletin(changed(ROW, c14=written))).rows.iloc[0]["declared_km"] == Decimal(km)


def test_km_with_three_decimals_is_ambiguous():
    assert reasons(read("bulletin", bulletin(changed(ROW, c14='"30,500"')))) == [(2, "ambiguous_number")]


def test_declared_km_falls_back_on_the_readings():
    row = read("bulletin", bulletin(changed(ROW, c14="", c13="117310"))).rows.iloc[0]
    assert row["declared_km"] == Decimal("31.00")


def test_an_empty_reading_written_as_0_does_not_change_what_km_rota_claims():
    row = read("bulletin", bulletin(changed(ROW, c8="0"))).rows.iloc[0]
    assert (row["declared_km"], row["odometer_start_km"]) == (Decimal("30.00"), Decimal("0.00"))


def test_falling_odometer_is_kept_as_evidence():
    row = read("bulletin", bulletin(changed(ROW, c13="117200"))).rows.iloc[0]
    assert (row["declared_km"], row["odometer_end_km"]) == (Decimal("30.00"), Decimal("117200.00"))


def test_the_same_row_is_one_run_wherever_it_stands():
    one = read("bulletin", bulletin(ROW), "a.csv")
    other = read("bulletin", bulletin(BULLETIN_ROWS[1], ROW.replace("KPU-9A36", "kpu 9a36")), "b.csv")
    assert one.rows["declared_run_id"].iloc[0] in set(other.rows["declared_run_id"])


def test_identical_row_is_a_duplicate_and_another_number_is_another_run():
    parsed = read("bulletin", bulletin(ROW, ROW.replace("06:04", "06:04:00"), ROW.replace("7001", "7003")))
    assert (len(parsed.rows), parsed.rows_duplicate, parsed.rows_read) == (2, 1, 3)
    assert list(parsed.rows["row_number"]) == [2, 4]


def test_headers_match_without_case_accents_and_spaces():
    header = BULLETIN_HEADER.replace("CÓDIGO", " codigo").replace("HORÁRIO SAÍDA", "horario saida ")
    parsed = read("bulletin", f"{header}\n{ROW}\n".encode())
    assert parsed.status == "accepted"
    assert parsed.warnings == ()


def test_missing_column_rejects_the_file_and_is_named():
    with pytest.raises(RejectedFile, match="Column KM ROTA is missing"):
        read("bulletin", bulletin(ROW).replace(b"KM ROTA", b"KM"))


def test_extra_columns_are_ignored_with_a_note():
    parsed = read("bulletin", f"{BULLETIN_HEADER},OBS\n{ROW},ok\n".encode())
    assert parsed.warnings == ("Extra columns were ignored: OBS.",)
    assert len(parsed.rows) == 1


def test_semicolons_and_decimal_commas():
    content = bulletin(changed(ROW, c14="30")).decode().replace(",", ";").replace(";30;", ";30,0;")
    assert read("bulletin", content.encode()).rows["declared_km"].iloc[0] == Decimal("30.00")


def test_workbook_with_typed_cells():
    cells: list[object] = list(ROW.split(","))
    cells[2], cells[3], cells[6], cells[12] = 37069, dt.date(2025, 6, 10), dt.time(6, 4), dt.time(7, 6)
    cells[8], cells[9], cells[13], cells[14] = 117279, 18, 117309, 30.5
    row = read("bulletin", workbook([BULLETIN_HEADER.split(","), cells]), "b.xlsx").rows.iloc[0]
    assert (row["fleet_number"], row["declared_km"], row["passengers"]) == ("37069", Decimal("30.50"), 18)
    assert (row["departed_local"], row["row_number"]) == (dt.datetime(2025, 6, 10, 6, 4), 2)


@pytest.mark.skipif(not REAL_DAY.exists(), reason="the real day is not beside the repository")
def test_real_bulletin():
    parsed = read("bulletin", (REAL_DAY / "inbox/bulletins/boletim_2025-06-10.csv").read_bytes())
    assert (len(parsed.rows), parsed.status, parsed.warnings) == (24, "accepted", ())
    assert parsed.rows["fleet_number"].isna().sum() == 1
    assert parsed.rows["declared_km"].sum() == Decimal("908.00")


def test_a_day_after_the_arrival_is_refused():
    """The samples arrive at 00:00 of 11 June in São Paulo."""
    rows = [changed(ROW, c3=day) for day in ("11/06/2025", "12/06/2025", "10/06/2026")]
    assert reasons(read("bulletin", bulletin(*rows))) == [(3, "future_date"), (4, "future_date")]


@pytest.mark.parametrize(
    ("departure", "arrival", "ends", "is_noted"),
    [
        ("18:00", "10:00", dt.datetime(2025, 6, 11, 10, 0), False),  # 16 h
        ("18:00", "10:01", dt.datetime(2025, 6, 10, 18, 30), True),
        ("07:43", "07:39", dt.datetime(2025, 6, 10, 8, 13), True),  # 30 km at 60 km/h
        ("23:50", "24:00", dt.datetime(2025, 6, 11, 0, 0), False),
        ("24:00", "00:30", dt.datetime(2025, 6, 11, 0, 30), False),
        ("6h04", "07h06min", dt.datetime(2025, 6, 10, 7, 6), False),
        ("06:04:35.250", "07:06 h", dt.datetime(2025, 6, 10, 7, 6), False),
    ],
)
def test_times_as_people_write_them(departure: str, arrival: str, ends: dt.datetime, is_noted: bool):
    parsed = read("bulletin", bulletin(changed(ROW, c6=departure, c12=arrival)))
    assert parsed.rows["arrived_local"].iloc[0] == ends
    assert list(parsed.notes["note_code"]) == (["arrival_unreadable"] if is_noted else [])
    assert parsed.rows_rejected == 0


def test_an_arrival_that_would_make_a_run_of_a_day_is_a_note_with_what_was_written():
    note = read("bulletin", bulletin(changed(ROW, c6="07:43", c12="07:39"))).notes.iloc[0]
    assert (note["plate"], note["found"], note["row_number"]) == ("KPU9A36", "07:39", 2)
    assert note["date"] == dt.date(2025, 6, 10)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_id_that_a_spreadsheet_rounded_is_refused_by_name(at: int):
    cells = [f'"{cell}"' for cell in ROW.split(",")]
    cells[at] = '"3,51E+14"'
    parsed = read("bulletin", bulletin(",".join(cells), BULLETIN_ROWS[1]))
    assert (2, "spoilt_id") in reasons(parsed)
    assert len(parsed.rows) == 1


def test_an_unquoted_thousands_comma_moves_cells_and_is_refused_though_nothing_sticks_out():
    shifted = changed(ROW, c14="1,234", c16="")
    assert len(shifted.split(",")) == 18
    parsed = read("bulletin", bulletin(shifted, ROW))
    assert reasons(parsed) == [(2, "bad_width")]


def test_totals_repeated_headers_titles_and_footers_are_counted_and_named():
    total = changed("," * 16, c0="TOTAL", c14="60")
    page = ["Página 1 de 2" + "," * 16, "Boletim de junho" + "," * 16, BULLETIN_HEADER]
    rows = [ROW, *page, changed(ROW, c0="7003"), total, "Assinatura do responsável" + "," * 16]
    parsed = read("bulletin", bulletin(*rows))
    assert (parsed.rows_read, len(parsed.rows), parsed.rows_ignored) == (2, 2, 5)
    assert "5 repeated headers, totals, titles or page footers are not data rows: line 3, line 4" in parsed.message


def test_a_row_that_could_be_data_is_never_taken_for_a_title():
    rows = [ROW, "7009,KPU9A36" + "," * 15, BULLETIN_HEADER, changed(ROW, c0="Total"), "7010;KPU9A36;1;10/06/2025;x"]
    parsed = read("bulletin", bulletin(*rows))
    assert (parsed.rows_read, len(parsed.rows), parsed.rows_ignored) == (4, 2, 1)
    assert {number for number, _ in reasons(parsed)} == {3, 6}


def test_no_break_spaces_line_breaks_and_invisible_characters_change_nothing():
    header = BULLETIN_HEADER.replace("LOCAL SAÍDA", '"LOCAL\nSAÍDA"').replace("KM ROTA", "KM\u00a0ROTA\u200b")
    cells = {"c1": "KPU\u00a09A36\u200b", "c3": "\ufeff10/06/2025\u00a0", "c8": "117\u00a0279", "c16": "CONLOG\u200b"}
    parsed = read("bulletin", f"{header}\n{changed(ROW, **cells)}\n".encode())
    row = parsed.rows.iloc[0]
    assert (row["plate"], row["odometer_start_km"], row["carrier_code"]) == ("KPU9A36", Decimal(117279), "CONLOG")
    assert parsed.rows["declared_run_id"].iloc[0] == read("bulletin", bulletin(ROW)).rows["declared_run_id"].iloc[0]


def test_a_day_more_than_a_year_from_the_file_is_refused_and_requests_no_other_year():
    rows = [ROW, changed(ROW, c0="2"), changed(ROW, c3="10/06/2021"), changed(ROW, c0="4", c3="2025-06-09")]
    parsed = read("bulletin", bulletin(*rows))
    assert reasons(parsed) == [(4, "outside_period")]
    assert "10/06/2021" in parsed.rejected["reason"].iloc[0]
    assert set(parsed.days["date"]) == {dt.date(2025, 6, 9), dt.date(2025, 6, 10)}


def _read(**cells: str):
    return read("bulletin", bulletin(changed(ROW, **cells)))


@pytest.mark.parametrize(
    ("departed", "arrived", "clock"),
    [
        ("6:30 AM", "7:05 am", ["06:30:00", "07:05:00"]),
        ("05:45 PM", "6:20:00 p.m.", ["17:45:00", "18:20:00"]),
        ("12:10 AM", "12:40 PM", ["00:10:00", "12:40:00"]),
    ],
)
def test_times_of_twelve_hours_are_read(departed: str, arrived: str, clock: list[str]):
    rows = _read(c6=departed, c12=arrived).rows
    assert [f"{rows[name].iloc[0]:%H:%M:%S}" for name in ("departed_local", "arrived_local")] == clock


@pytest.mark.parametrize("written", ["13:10 PM", "0:10 AM", "6:30 XM"])
def test_times_that_no_clock_of_twelve_hours_shows_are_refused(written: str):
    assert reasons(_read(c6=written)) == [(2, "bad_time")]


@pytest.mark.parametrize("written", ["10-06-2025", "10.06.2025", "10.6.2025", "2025-06-10"])
def test_a_day_is_read_with_any_mark_between_its_numbers(written: str):
    assert _read(c3=written).rows["declared_date"].to_list() == [dt.date(2025, 6, 10)]


@pytest.mark.parametrize("written", ["KPU\u20139A36", "kpu\u20119a36", "KPU \u2212 9A36"])
def test_a_plate_is_read_with_any_dash(written: str):
    assert _read(c1=written).rows["plate"].to_list() == ["KPU9A36"]


def test_km_may_carry_their_unit_and_no_other():
    assert [float(_read(c14=written).rows["route_km"].iloc[0]) for written in ("30 km", "30KM")] == [30, 30]
    assert reasons(_read(c14="30000 m")) == [(2, "bad_number")]


def test_a_file_that_was_encoded_twice_or_has_each_line_in_quotation_marks_is_read():
    once = bulletin()
    twice = "".join(chr(code) for code in once).encode()
    lines = (line.replace('"', '""') for line in once.decode().splitlines())
    quoted = "\r\n".join(f'"{line}"' for line in lines).encode()
    expected = read("bulletin", once).rows.drop(columns="file_sha256")
    for content in (twice, quoted):
        found = read("bulletin", content).rows.drop(columns="file_sha256")
        assert found.equals(expected)


def bulletin_of(*days: str) -> ParsedFile:
    return read("bulletin", bulletin(*(changed(ROW, c0=str(at), c3=day) for at, day in enumerate(days))))


@pytest.mark.parametrize("others", [(), ("31/06/2025",), ("30/05/2025",)], ids=["alone", "no day", "one day first"])
def test_a_text_that_writes_the_month_first_files_no_run_under_another_month(others: tuple[str, ...]):
    """06/05/2025 beside 05/30/2025 is the fifth of June, and was a run of May; 31/06 is no day of either order."""
    parsed = bulletin_of("06/05/2025", "05/28/2025", "05/29/2025", "05/30/2025", "06/06/2025", *others)
    assert reasons(parsed)[:4] == [(row, "bad_date") for row in (2, 3, 4, 5)]
    days = [dt.date(2025, 5, 30)] * (others == ("30/05/2025",))
    assert sorted(parsed.rows["declared_date"]) == [*days, dt.date(2025, 6, 6)]
    assert "is '06/05/2025', one of two days" in parsed.rejected["reason"].iloc[0]


def workbook_of_days(*days: object) -> ParsedFile:
    cells = [[*changed(ROW, c0=str(at)).split(",")] for at in range(len(days))]
    rows = [[*row[:3], day, *row[4:]] for row, day in zip(cells, days, strict=True)]
    return read("bulletin", workbook([BULLETIN_HEADER.split(","), *rows]), "b.xlsx")


def test_texts_of_a_workbook_that_write_the_month_first_file_no_run_under_another_month():
    """05/06/2025 as text beside 05/28 was a run of the fifth of June; days that are typed have one reading."""
    parsed = workbook_of_days("05/06/2025", "05/28/2025", "05/29/2025", "05/30/2025", dt.date(2025, 5, 30))
    assert reasons(parsed) == [(row, "bad_date") for row in (2, 3, 4, 5)]
    assert list(parsed.rows["declared_date"]) == [dt.date(2025, 5, 30)]


def test_days_that_a_spreadsheet_typed_with_day_and_month_exchanged_are_refused():
    """A Brazilian Excel types the first twelve days of each month of a month-first CSV, and leaves the others texts."""
    parsed = workbook_of_days(dt.date(2025, 6, 5), dt.date(2025, 5, 5), "05/28/2025", "05/29/2025", "05/30/2025")
    assert reasons(parsed) == [(row, "bad_date") for row in (2, 4, 5, 6)]
    assert "'2025-06-05', typed, while texts of the file write the month first" in parsed.rejected["reason"].iloc[0]
    assert list(parsed.rows["declared_date"]) == [dt.date(2025, 5, 5)]


def test_a_month_beyond_twelve_by_mistake_costs_its_row_alone():
    """The days of one week may all be days of two readings."""
    week = [f"{1 + at // 10:02d}/06/2025" for at in range(70)]
    parsed = bulletin_of(*week, "05/16/2025", "06/17/2025", "06/18/2025")
    assert len(parsed.rows) == 70
    assert reasons(parsed) == [(72, "bad_date"), (73, "bad_date"), (74, "bad_date")]
    assert "a day only with its month first" in parsed.rejected["reason"].iloc[0]


def test_one_month_beyond_twelve_beside_days_that_are_day_first_costs_its_row_alone():
    parsed = read("bulletin", bulletin(*(changed(ROW, c3=day) for day in ("06/05/2025", "30/05/2025", "05/30/2025"))))
    assert reasons(parsed) == [(4, "bad_date")]


@pytest.mark.parametrize(
    ("cells", "is_total"),
    [
        ({}, True),
        ({"c0": "TOTAL"}, True),
        ({"c12": "23:59"}, True),  # over 16 h: by its readings
        ({"c8": "0", "c13": "0"}, True),  # by its times
        ({"c0": "7003"}, False),  # a claim of its own
        ({"c14": "61"}, False),
        ({"c1": "LRC4A69"}, False),
        ({"c3": "11/06/2025"}, True),  # by its readings: of the whole file, under its last day
        ({"c3": "11/06/2025", "c8": "0", "c13": "0"}, True),  # by the clocks of the first departure and last arrival
        ({"c3": "11/06/2025", "c8": "0", "c13": "0", "c12": "20:30"}, False),
        ({"c3": "11/06/2025", "c0": "7003"}, False),
    ],
)
def test_a_row_with_the_sum_of_a_vehicles_runs_is_their_total_and_no_run(cells: dict[str, str], is_total: bool):
    """It was declared km beyond all measured: D02 and T01, critical, of a carrier that had added up its day."""
    rows = (ROW, changed(ROW, c0="7002", c6="19:50", c8="117309", c12="20:40", c13="117339"))
    total = changed(ROW, **{"c0": "", "c12": "20:40", "c13": "117339", "c14": "60", **cells})
    parsed = read("bulletin", bulletin(*rows, total))
    assert len(parsed.rows) == (2 if is_total else 3)
    assert parsed.rows_duplicate == is_total
    assert any("line 4: totals" in text for text in parsed.warnings) is is_total


def test_the_total_of_one_run_and_a_halt_leaves_the_run():
    """The run is as long as the total and reaches as far: without its number it was taken for one, too."""
    halt = changed(ROW, c0="", c6="06:30", c8="117300", c12="06:40", c13="117300", c14="0")
    total = changed(ROW, c0="", c5="TOTAL")
    parsed = read("bulletin", bulletin(changed(ROW, c0=""), halt, total))
    assert sorted(parsed.rows["row_number"]) == [2, 3]
    assert parsed.rows_duplicate == 1


def test_the_total_of_a_days_only_run_is_no_second_run():
    total = changed(ROW, c0="", c5="", c11="")
    parsed = read("bulletin", bulletin(ROW, total))
    assert (len(parsed.rows), parsed.rows_duplicate) == (1, 1)
    assert len(read("bulletin", bulletin(ROW, changed(ROW, c0=""))).rows) == 2, "with its places it may be D08"

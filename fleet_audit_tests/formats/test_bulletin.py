from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit.formats.parsed import RejectedFile
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
    [("30", "30"), ("30.0", "30"), ("1.030", "1030"), ('"30,50"', "30.50"), (" 30 ", "30"), ("117.279", "117279")],
)
def test_km_as_brazilians_write_them(written: str, km: str):
    assert read("bulletin", bulletin(changed(ROW, c14=written))).rows["declared_km"].iloc[0] == Decimal(km)


def test_km_with_three_decimals_is_ambiguous():
    assert reasons(read("bulletin", bulletin(changed(ROW, c14='"30,500"')))) == [(2, "ambiguous_number")]


def test_declared_km_falls_back_on_the_readings():
    row = read("bulletin", bulletin(changed(ROW, c14="", c13="117310"))).rows.iloc[0]
    assert row["declared_km"] == Decimal("31.00")


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

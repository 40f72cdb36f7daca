from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal

import pytest

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit_tests.formats.samples import KEY, REAL_DAY, VISIT, read, reasons, workbook
from fleet_audit_tests.integration.small_fleet import PAID, Move, to_work, visit_report

BLOCK = ["Descrição do ativo,,A", "Número de registro,,KPU9A36", "ID do ativo,,23"]


def visit(*replacements: tuple[str, str]) -> bytes:
    text = VISIT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text.encode()


def notes(content: bytes) -> list[tuple[str, str, int]]:
    found = read("visit_report", content).notes
    return list(zip(found["note_code"], found["plate"], found["row_number"], strict=True))


def test_movements_become_typed_rows():
    parsed = read("visit_report", visit())
    first, second = parsed.rows.to_dict("records")
    assert (first["plate"], first["device_id"], first["garage_name"]) == ("KPU9A36", "23", "Teodoro Sampaio")
    assert (first["reported_km"], first["driving_s"], first["stopped_s"]) == (Decimal("30.20"), 3600, 2337)
    assert first["departed_local"] == dt.datetime(2025, 6, 10, 4, 21, 3), "before the window, as it happens"
    assert first["next_departure_local"] == dt.datetime(2025, 6, 10, 6, 0)
    assert second["arrived_local"] == dt.datetime(2025, 6, 11, 0, 30, 10), "earlier than the departure: next day"
    assert first["origin_address"] == "Av. Cuiabá, 104"
    assert [first["row_number"], second["row_number"]] == [11, 12]


def test_a_block_without_movements_covers_its_vehicle():
    parsed = read("visit_report", visit())
    assert list(parsed.covered["plate"]) == ["KPU9A36", "LRC4A69"]
    window = parsed.covered.iloc[1]
    assert window["date"] == dt.date(2025, 6, 10)
    assert window["window_start_local"] == dt.datetime(2025, 6, 10, 5, 0)
    assert window["window_end_local"] == dt.datetime(2025, 6, 10, 23, 40)


def test_a_window_past_midnight_ends_on_the_next_day_but_inside_the_period():
    content = visit(("entre 05:00 e 23:40", "entre 22:00 e 05:59"), ("10/06/2025 23:59", "11/06/2025 12:00"))
    covered = read("visit_report", content).covered
    assert list(covered["window_end_local"])[:2] == [dt.datetime(2025, 6, 11, 5, 59), dt.datetime(2025, 6, 11, 12, 0)]


def test_drivers_are_pseudonyms_and_unknown_is_none():
    parsed = read("visit_report", visit())
    driver = driver_pseudonym("joao silva", KEY)
    assert list(parsed.rows["driver_id"].fillna("none")) == [driver, "none"]
    assert list(parsed.rows["is_maintenance_driver"]) == [True, False]
    assert parsed.drivers[["driver_id", "name"]].values.tolist() == [[driver, "João Silva"]]
    assert parsed.drivers["is_maintenance"].isna().all()  # a note is of its row, not of the driver's other trips


def test_a_rejected_row_does_not_carry_the_drivers_name():
    parsed = read("visit_report", visit(("10/06/2025,João", "31/02/2025,João")))
    assert reasons(parsed) == [(11, "bad_date")]
    assert "João" not in parsed.rejected.to_csv()
    assert driver_pseudonym("João Silva", KEY) in parsed.rejected["raw"].iloc[0]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("04:21:03,", "4x21,", "bad_time"),
        (",05:21:03,", ",,", "missing_value"),
        ('"30,20",79', "30,20,79", "bad_width"),
        ('"30,20",79', "trinta,79", "bad_number"),
        ('"30,20",79', '"-30,20",79', "negative_value"),
        ("KPU9A36,", "TRATOR,", "bad_plate"),
    ],
)
def test_a_bad_movement_is_quarantined(old: str, new: str, code: str):
    parsed = read("visit_report", visit((old, new)))
    assert (11, code) in reasons(parsed)
    assert parsed.rows_read == 2


@pytest.mark.parametrize(
    ("old", "new", "column", "header"),
    [
        ("10/06/2025 06:00", "23:40:00", "next_departure_local", "Próxima Partida"),
        ("00:38:57", "meia hora", "stopped_s", "Tempo parado na localidade. (hh:mm:ss)"),
        (",01:00:00,", ",1 h,", "driving_s", "Tempo de Condução (hh:mm:ss)"),
        ('"30,20",79', '"30,20",-79', "max_speed_kmh", "Vel max (Km/h)"),
        ('"30,20",79', '"30,20",rápido', "max_speed_kmh", "Vel max (Km/h)"),
    ],
)
def test_an_illegible_cell_by_which_nothing_is_paid_is_empty_and_noted(old, new, column, header):
    parsed = read("visit_report", visit((old, new)))
    assert (list(parsed.rows["reported_km"]), len(parsed.rejected)) == ([Decimal("30.20"), Decimal("29.80")], 0)
    assert parsed.rows[column].isna().iloc[0]
    [found] = [warning for warning in parsed.warnings if "cannot be read" in warning]
    assert found.startswith(f"1 values of {header!r} cannot be read")
    assert "in line 11;" in found


def test_sound_report_has_no_notes():
    assert notes(visit()) == []


def test_totals_may_differ_by_rounding_and_no_more():
    assert notes(visit(('02:00:10,"60,00"', '02:00:10,"60,01"'))) == []
    assert notes(visit(('02:00:10,"60,00"', '02:00:10,"60,02"'))) == [("total_km_mismatch", "KPU9A36", 13)]
    found = read("visit_report", visit(('02:00:10,"60,00"', '02:00:10,"65,00"'))).notes.iloc[0]
    assert (found["expected"], found["found"], found["difference_km"]) == ("60.00", "65.00", Decimal("5.00"))


def test_time_totals_and_durations_that_do_not_add_up_are_noted():
    assert notes(visit(("Totais,,,,02:00:10", "Totais,,,,03:00:10"))) == [("total_driving_mismatch", "KPU9A36", 13)]
    assert notes(visit((",00:48:57", ",00:58:57"))) == [("total_stopped_mismatch", "KPU9A36", 13)]
    assert notes(visit(("05:21:03", "05:25:03"))) == [("duration_mismatch", "KPU9A36", 11)]


def test_only_a_departure_after_the_window_is_noted():
    assert notes(visit(("23:40", "09:59"))) == [("outside_window", "KPU9A36", 12)]


def test_a_description_with_another_plate_is_noted():
    assert notes(visit(("KPU-9A36 - DVR", "ABC-1D23 - DVR"))) == [("plate_spelling", "KPU9A36", 11)]


def test_repeated_movement_is_a_duplicate():
    line = next(line for line in VISIT.splitlines() if "Unknown" in line)
    parsed = read("visit_report", visit((line, f"{line}\n{line}")))
    assert (parsed.rows_read, len(parsed.rows), parsed.rows_duplicate) == (3, 2, 1)


def test_a_table_is_no_visit_report():
    with pytest.raises(RejectedFile, match="No vehicle's block"):
        read("visit_report", b"a,b\n1,2\n")


def test_missing_column_of_a_block_is_named():
    with pytest.raises(RejectedFile, match=r"dist.ncia \(km\) is missing in the header .line 10."):
        read("visit_report", visit(("distância (km)", "milhas")))


def test_a_different_header_for_every_line_is_refused():
    header = next(line for line in VISIT.splitlines() if line.startswith("Data de saída"))
    lines = "".join(f"{header},{number}\n10/06/2025,x\n" for number in range(1000))
    with pytest.raises(RejectedFile, match="different headers"):
        read("visit_report", visit() + lines.encode())


def test_semicolons_with_bare_decimal_commas():
    rows = csv.reader(io.StringIO(VISIT))
    content = "\n".join(";".join(cell.replace("\n", " ") for cell in row) for row in rows).encode()
    expected = read("visit_report", visit()).rows.drop(columns=["file_sha256", "row_number"])
    found = read("visit_report", content).rows.drop(columns=["file_sha256", "row_number"])
    assert found.equals(expected)


def test_workbook_with_typed_cells_gives_the_same_rows():
    rows: list[list[object]] = [[cell or None for cell in row] for row in csv.reader(io.StringIO(VISIT))]
    for row in rows:
        if row[0] == "10/06/2025":
            row[0] = dt.date(2025, 6, 10)
            for at in (2, 7):
                row[at] = dt.time.fromisoformat(str(row[at]))
            row[4] = dt.timedelta(
                seconds=sum(int(part) * unit for part, unit in zip(str(row[4]).split(":"), (3600, 60, 1), strict=True))
            )
            row[5], row[6] = float(str(row[5]).replace(",", ".")), int(str(row[6]))
            row[11] = dt.datetime(2025, 6, 10, 6, 0) if row[11] else None
        if row[0] == "ID do ativo":
            row[2] = float(str(row[2]))
    expected = read("visit_report", visit()).rows.drop(columns=["file_sha256", "row_number"])
    found = read("visit_report", workbook(rows), "report.xlsx").rows.drop(columns=["file_sha256", "row_number"])
    assert found.assign(file_name="file.csv").equals(expected)


@pytest.mark.skipif(not REAL_DAY.exists(), reason="the real day is not beside the repository")
def test_real_report():
    parsed = read("visit_report", (REAL_DAY / "inbox/visit_reports/visit_report_2025-06-10.csv").read_bytes())
    assert (len(parsed.rows), parsed.rows_read, parsed.status, parsed.warnings) == (47, 47, "accepted", ())
    assert parsed.rows["plate"].nunique() == len(parsed.covered) == 12
    assert parsed.rows["reported_km"].sum() == Decimal("915.90")
    assert parsed.notes.empty, "totals agree within rounding, arrival - departure is the driving time"
    assert parsed.rows["driver_id"].isna().sum() == 3
    assert parsed.rows["is_maintenance_driver"].sum() == 3
    assert len(parsed.drivers) == 12
    assert parsed.rows["departed_local"].min() == dt.datetime(2025, 6, 10, 4, 21, 3)
    assert set(parsed.covered["window_end_local"]) == {dt.datetime(2025, 6, 10, 9, 59)}


@pytest.mark.parametrize(
    ("km", "is_refused"),
    [("30200", True), ("162,60", True), ("162,40", False)],
    ids=["metres", "over 150 km/h, five minutes allowed", "below it"],
)
def test_km_that_no_vehicle_drives_in_the_time_of_the_movement_are_refused(km: str, is_refused: bool):
    """A report in metres was paid as kilometres."""
    parsed = read("visit_report", visit(('"30,20",79', f'"{km}",170')))
    assert reasons(parsed) == ([(11, "out_of_range")] if is_refused else [])


@pytest.mark.parametrize(
    ("km", "max_speed", "is_refused"),
    [("120,00", "79", True), ("120,00", "0", False), ("120,00", "", False), ("110,00", "79", False)],
    ids=["faster than at its fastest", "no sensor", "not reported", "a bus may be as fast, its sensor in knots"],
)
def test_km_driven_faster_than_the_movements_own_highest_speed_are_refused(km: str, max_speed: str, is_refused: bool):
    """Where the headers of distance and highest speed were exchanged, 71 km/h were paid as 71 km."""
    parsed = read("visit_report", visit(('"30,20",79', f'"{km}",{max_speed}')))
    assert reasons(parsed) == ([(11, "out_of_range")] if is_refused else [])


def test_distances_without_decimals_beside_highest_speeds_with_them_are_exchanged_columns():
    header = "Data de saída,Horário de saída,{},{},Hora de chegada"
    rows = [f'10/06/2025,{hour:02d}:00:00,71,"24,{hour:02d}",{hour + 1:02d}:05:00' for hour in (5, 8, 11)]
    columns = ("distância (km)", "Vel max (Km/h)")
    for names, refused in ((columns, 3), (columns[::-1], 0)):
        parsed = read("visit_report", "\n".join([*BLOCK, header.format(*names), *rows]).encode())
        assert [reason for _, reason in reasons(parsed)] == ["out_of_range"] * refused


@pytest.mark.parametrize("unit", ["mi", "m", "milhas"])
def test_a_distance_in_another_unit_is_not_the_column_of_kilometres(unit: str):
    """Miles under `distância (mi)` were paid as kilometres, 38 % too few."""
    with pytest.raises(RejectedFile, match="distância"):
        read("visit_report", visit(("distância (km)", f"distância ({unit})")))


@pytest.mark.parametrize(
    ("day", "is_refused"), [("06/01/2025", True), ("10/05/2025", True), ("11/06/2025", False), ("09/06/2025", False)]
)
def test_a_movement_outside_of_the_period_that_the_report_states_is_refused(day: str, is_refused: bool):
    """A report of June whose rows write the month first was filed under another month."""
    parsed = read("visit_report", visit(("10/06/2025,João", f"{day},João")))
    assert reasons(parsed) == ([(11, "outside_period")] if is_refused else [])


def test_the_total_of_several_days_without_its_label_is_no_movement():
    """It hid a movement and accused the carrier of two trips at once (T01)."""
    header = "Data de saída,Horário de saída,distância (km),Hora de chegada"
    rows = [f'{day}/06/2025,06:00:00,"{km}",07:00:00' for day, km in ((10, "30,00"), (11, "31,50"))]
    for km, arrival, expected in (("61,50", "07:00:00", 2), ("62,50", "07:00:00", 3), ("61,50", "07:20:00", 3)):
        total = f'10/06/2025,06:00:00,"{km}",{arrival}'
        parsed = read("visit_report", "\n".join([*BLOCK, header, *rows, total]).encode())
        assert len(parsed.rows) == expected


@pytest.mark.parametrize(
    ("total", "rows"),
    [
        ('10/06/2025,,04:21:03,"Av. Cuiabá, 104",02:00:10,"60,00",80,00:30:10,Garagem,,,,00:48:57', [11, 12]),
        ('10/06/2025,,04:21:03,"Av. Cuiabá, 104",02:00:10,"61,00",80,00:30:10,Garagem,,,,00:48:57', [11, 12, 13]),
        ('10/06/2025,,04:21:03,"Av. Cuiabá, 104",02:00:10,"60,00",80,00:20:10,Garagem,,,,00:48:57', [11, 12, 13]),
    ],
    ids=["total", "other km", "other arrival"],
)
def test_the_total_of_a_vehicles_movements_without_its_label_is_no_movement(total: str, rows: list[int]):
    """It was paid a second time, and overlapped each of them (T01)."""
    parsed = read("visit_report", visit(("Totais,,,,02", f"{total}\nTotais,,,,02")))
    assert sorted(parsed.rows["row_number"]) == rows
    assert parsed.rows_duplicate == 3 - len(rows)
    assert ("total_km_mismatch" in set(parsed.notes["note_code"])) is (len(rows) == 3)
    assert any("line 13: totals" in text for text in parsed.warnings) is (len(rows) == 2)


def test_an_arrival_before_the_departure_by_just_the_driving_time_is_an_exchanged_column():
    """Read as the next day's, each movement lay over all others (T01, critical)."""
    header = "Data de saída,Hora de chegada,Tempo de Condução,distância (km),Horário de saída"
    rows = ['10/06/2025,06:00:00,00:24:10,"20,00",06:24:10', '10/06/2025,23:50:00,00:24:10,"20,00",00:14:10']
    parsed = read("visit_report", "\n".join([*BLOCK, header, *rows]).encode())
    assert reasons(parsed) == [(5, "bad_time")]
    right = header.replace("Hora de chegada", "*").replace("Horário de saída", "Hora de chegada")
    parsed = read("visit_report", "\n".join([*BLOCK, right.replace("*", "Horário de saída"), *rows]).encode())
    assert len(parsed.rows) == 2


def test_the_total_of_a_days_only_movement_is_not_a_second_movement():
    for moves in (
        [to_work(), Move("06:30", "", "11.20", "06:45", "")],
        [Move("06:30", "", "11.20", "06:45", ""), to_work()],
    ):
        parsed = read("visit_report", visit_report({PAID: moves}))
        assert (len(parsed.rows), parsed.rows_duplicate) == (1, 1)
        assert parsed.rows["destination_address"].notna().all()

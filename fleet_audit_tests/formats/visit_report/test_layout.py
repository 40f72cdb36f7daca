"""The printed structure of visit reports: pages, sheets, titles, spellings of headers."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest

from fleet_audit_tests.formats.samples import VISIT, read, reasons, workbook, workbook_of

LINES = VISIT.splitlines()
TITLE = LINES[:4]
HEADER = next(line for line in LINES if line.startswith("Data de saída"))
LABELS = [line for line in LINES if line.startswith(("Descrição", "Número", "ID do", "Nome"))][:4]
FACTS = ["departed_local", "arrived_local", "plate", "device_id", "reported_km", "driving_s", "stopped_s"]


def inserted(*lines: str) -> bytes:
    """The sample with lines between its two movements."""
    at = next(number for number, line in enumerate(LINES) if "Unknown" in line)
    return "\n".join([*LINES[:at], *lines, *LINES[at:], ""]).encode()


def rows_of(text: str, **changes: str) -> list[list[object]]:
    """A report's cells, each text replaced as asked."""
    for old, new in changes.items():
        text = text.replace(old, new)
    return [[cell or None for cell in row] for row in csv.reader(io.StringIO(text))]


@pytest.mark.parametrize(
    "page_break",
    [
        ["Página 1 de 9", "Gerado em 11/06/2025 07:15:02 por usuario@exemplo.com", *TITLE, HEADER],
        ["Página 1 de 9", HEADER],
        [HEADER],
        [*TITLE, *LABELS, HEADER],
        [*LABELS, HEADER],
        ["Página,2,de 9", ",,,,,,", *LABELS, HEADER],
    ],
)
def test_a_page_break_inside_a_vehicle_changes_nothing(page_break: list[str]):
    expected, found = read("visit_report", VISIT.encode()), read("visit_report", inserted(*page_break))
    assert found.rows[FACTS].equals(expected.rows[FACTS])
    assert (found.rows_rejected, len(found.notes)) == (0, 0), "the totals are those of both pages"
    assert found.covered.equals(expected.covered)
    assert "not data rows" in found.message or page_break[0] in LABELS


def test_a_sparse_line_among_movements_is_refused_and_not_taken_for_a_page():
    parsed = read("visit_report", inserted("1O/06/2025,João Silva"))
    assert (parsed.rows_read, parsed.rows_rejected, parsed.rows_ignored) == (3, 1, 0)
    torn = VISIT[: VISIT.index(",Usina,,,10/06")]
    assert read("visit_report", torn[: torn.rindex("\n") + 5].encode()).rows_read == 1


def test_headers_of_the_data_dictionary_are_read_and_named():
    header = (
        "Data de saída,Motorista,Horário de saída,Saída de,Tempo de Condução,Distância (km),Velocidade máxima (Km/h),"
        "Hora de chegada,Chegou em,,,Próxima partida,Tempo parado na localidade"
    )
    expected, found = read("visit_report", VISIT.encode()), read("visit_report", VISIT.replace(HEADER, header).encode())
    assert found.rows.drop(columns="file_sha256").equals(expected.rows.drop(columns="file_sha256"))
    assert "'Velocidade máxima (Km/h)' as 'Vel max (Km/h)'" in found.message
    assert "'Tempo de Condução' as 'Tempo de Condução (hh:mm:ss)'" in found.message


def test_a_column_that_is_not_there_is_named():
    content = VISIT.replace("Tempo de Condução (hh:mm:ss)", "Obs").encode()
    parsed = read("visit_report", content)
    assert parsed.rows["driving_s"].isna().all()
    assert "Columns that are not there were read as empty: Tempo de Condução (hh:mm:ss)." in parsed.message


def test_each_sheet_has_its_own_vehicle_and_period():
    """One sheet per day: the title of each sheet says which day its vehicles are covered."""
    second = {"10/06/2025": "09/06/2025", "KPU9A36": "KPU9A37", "KPU-9A36": "KPU-9A37"}
    sheets = {"dia 10": rows_of(VISIT), "dia 9": rows_of(VISIT, **second), "Resumo": [["Total", 60]]}
    parsed = read("visit_report", workbook_of(sheets), "v.xlsx")
    assert (len(parsed.rows), parsed.rows_rejected, len(parsed.notes)) == (4, 0, 0)
    days = set(zip(parsed.covered["plate"], parsed.covered["date"], strict=True))
    assert days == {
        ("KPU9A36", dt.date(2025, 6, 10)),
        ("LRC4A69", dt.date(2025, 6, 10)),
        ("KPU9A37", dt.date(2025, 6, 9)),
        ("LRC4A69", dt.date(2025, 6, 9)),
    }
    assert "'Resumo' (no header)" in parsed.message


def test_a_movement_of_the_next_sheet_is_never_the_last_vehicles():
    stray = [["10/06/2025", "Ana", "08:00:00", "A", "00:10:00", "5,00", 40, "08:10:00", "B"]]
    sheets = {"a": rows_of(VISIT), "b": [list(HEADER.split(",")), *stray]}
    parsed = read("visit_report", workbook_of(sheets), "v.xlsx")
    assert (parsed.rows_read, len(parsed.rows), parsed.rows_rejected) == (3, 2, 1)
    assert "missing_value" in {code for _, code in reasons(parsed)}
    assert "(sheet 'b', row 2)" in parsed.rejected["reason"].iloc[0]
    assert "Ana" not in parsed.rejected.to_csv()


def test_two_reports_in_one_file_keep_their_periods():
    other = VISIT.replace("10/06/2025", "09/06/2025")
    covered = read("visit_report", (VISIT + other).encode()).covered
    assert set(covered["date"]) == {dt.date(2025, 6, 9), dt.date(2025, 6, 10)}
    assert len(covered) == 4


def test_a_report_that_starts_in_the_second_column_is_read():
    rows = [[None, *row] for row in rows_of(VISIT)]
    expected = read("visit_report", VISIT.encode()).rows[FACTS]
    assert read("visit_report", workbook(rows), "v.xlsx").rows[FACTS].equals(expected)


def test_a_day_of_another_year_than_the_title_is_refused():
    parsed = read("visit_report", VISIT.replace("\n10/06/2025,", "\n10/06/2023,", 1).encode())
    assert reasons(parsed) == [(11, "outside_period")]
    assert set(parsed.days["date"]) == {dt.date(2025, 6, 10)}


def test_a_rounded_device_id_is_unknown_and_named():
    parsed = read("visit_report", VISIT.replace("ID do ativo,,23", 'ID do ativo,,"3,51E+14"').encode())
    assert parsed.rows["device_id"].isna().all()
    assert "ID do ativo was rounded by a spreadsheet and is unknown: 3,51E+14 of KPU9A36." in parsed.message


def test_a_distance_with_two_readings_is_refused():
    parsed = read("visit_report", VISIT.replace('"30,20"', "30.200").encode())
    assert reasons(parsed) == [(11, "ambiguous_number")]


def test_a_merged_day_holds_for_each_movement():
    rows = rows_of(VISIT)
    at = next(number for number, row in enumerate(rows) if row[1] == "Unknown")
    rows[at][0] = None
    parsed = read("visit_report", workbook_of({"r": rows}, merged=[(at - 1, 0, at, 0)]), "v.xlsx")
    assert (len(parsed.rows), parsed.rows_rejected) == (2, 0)


@pytest.mark.parametrize("line", ["Totais,", "10/06/2025,Unknown,23:30"], ids=["after all rows", "before the last"])
def test_rows_behind_a_hole_that_took_their_labels_are_nobodys(line: str):
    """51 km of the second vehicle were the first one's."""
    own = "10/06/2025,Unknown,08:00:00,Usina,01:00:00,"
    rows = f'{own}"50,00",80,09:00:00,A,,,,\n{own}"51,00",80,09:00:00,B,,,,\n'
    whole = VISIT.replace("Totais,,,,00:00:00", f"{rows}Totais,,,,00:00:00")
    torn = whole[: whole.index(line)] + 4096 * "\x00" + whole[whole.index(",09:00:00,A") :]
    parsed = read("visit_report", torn.encode())
    assert set(parsed.rows["plate"]) == {"KPU9A36"}
    assert "51.00" not in parsed.rows["reported_km"].astype(str).to_list()
    assert parsed.rejected["raw"].str.contains("KPU9A36").any()  # its day is not complete

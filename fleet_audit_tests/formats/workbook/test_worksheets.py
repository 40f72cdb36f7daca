"""Workbooks as offices and exporters write them: which sheets are read, what their cells hold, what is named."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable

import pytest
import xlsxwriter

from fleet_audit.formats.parsed import ParsedFile, RejectedFile
from fleet_audit_tests.formats.samples import (
    BULLETIN_HEADER,
    BULLETIN_ROWS,
    TELEMETRY_HEADER,
    TELEMETRY_ROWS,
    changed,
    read,
    reasons,
    workbook,
    workbook_of,
)

HEADER: list[object] = [*BULLETIN_HEADER.split(",")]
ROW: list[object] = [*BULLETIN_ROWS[0].split(",")]
MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PIVOT: list[list[object]] = [["Rótulos de linha", "Soma de KM ROTA"], ["KPU9A36", 60], ["Total Geral", 60]]


def run(number: int, **cells: object) -> list[object]:
    """A row of the bulletin with its own NUMERO ATA; `c3=…` replaces the fourth cell."""
    row = [*ROW]
    row[0] = str(number)
    for name, value in cells.items():
        row[int(name[1:])] = value
    return row


def repacked(
    content: bytes,
    change: Callable[[str, bytes], bytes] = lambda _, data: data,
    rename: Callable[[str], str] = lambda name: name,
) -> bytes:
    """The archive with its parts changed and renamed; names are written as given, backslashes too."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo("part")
            entry.filename = rename(name)
            new.writestr(entry, change(name, old.read(name)))
    return buffer.getvalue()


def test_all_sheets_with_the_header_are_read():
    """One sheet per vehicle: rows of the second sheet are numbered after the first's, reasons name sheet and row."""
    sheets = {
        "KPU9A36": [HEADER, run(1), run(2)],
        "LRC4A69": [["Boletim de junho"], HEADER, run(3, c1="LRC4A69"), run(4, c1="sem placa")],
    }
    parsed = read("bulletin", workbook_of(sheets), "b.xlsx")
    assert list(parsed.rows["bulletin_number"]) == ["1", "2", "3"]
    assert list(parsed.rows["row_number"]) == [2, 3, 6]
    assert (parsed.rows_read, parsed.rows_rejected) == (4, 1)
    assert reasons(parsed) == [(7, "bad_plate")]
    assert "(sheet 'LRC4A69', row 4)" in parsed.rejected["reason"].iloc[0]


def test_the_same_row_in_two_sheets_is_a_duplicate():
    parsed = read("bulletin", workbook_of({"a": [HEADER, ROW], "b": [HEADER, ROW]}), "b.xlsx")
    assert (len(parsed.rows), parsed.rows_duplicate, parsed.rows_read) == (1, 1, 2)


def test_pivot_chart_and_hidden_sheets_are_named_and_not_read():
    sheets = {"Resumo": PIVOT, "MAIO": [HEADER, run(8, c3="10/05/2025")], "JUNHO": [HEADER, ROW]}
    parsed = read("bulletin", workbook_of(sheets, hidden=["MAIO"], charts=["Gráfico"]), "b.xlsx")
    assert list(parsed.rows["bulletin_number"]) == ["7001"]
    assert parsed.warnings == (
        "Sheets that were not read: 'Resumo' (no header), 'MAIO' (hidden, 2 rows), 'Gráfico' (not a worksheet).",
    )


def test_a_hidden_sheet_is_read_when_no_shown_one_has_the_header():
    parsed = read("bulletin", workbook_of({"Capa": [["Boletim"]], "Dados": [HEADER, ROW]}, hidden=["Dados"]), "b.xlsx")
    assert len(parsed.rows) == 1
    assert "its hidden sheet was read" in parsed.message


def test_a_sheet_that_lacks_a_column_does_not_stop_the_others():
    parsed = read("bulletin", workbook_of({"a": [HEADER, ROW], "b": [HEADER[:-1], ROW[:-1]]}), "b.xlsx")
    assert len(parsed.rows) == 1
    assert "Sheet 'b' was not read: Column EMPRESA is missing" in parsed.message


def test_every_kind_of_table_reads_all_sheets():
    header: list[object] = [*TELEMETRY_HEADER.split(",")]
    positions = {name: [header, [*row.split(",")]] for name, row in zip("ab", TELEMETRY_ROWS, strict=True)}
    assert len(read("telemetry", workbook_of(positions), "t.xlsx").rows) == 2
    carriers = {"a": [["carrier_code", "name"], ["A", "Um"]], "b": [["carrier_code", "name"], ["B", "Dois"]]}
    parsed = read("reference", workbook_of(carriers), "carriers.xlsx")
    assert list(parsed.rows["carrier_code"]) == ["A", "B"]


@pytest.mark.parametrize(
    ("change", "rename"),
    [
        pytest.param(
            lambda _, data: data.replace(MAIN, b"http://purl.oclc.org/ooxml/spreadsheetml/main").replace(
                RELATIONS, b"http://purl.oclc.org/ooxml/officeDocument/relationships"
            ),
            lambda name: name,
            id="strict OOXML",
        ),
        pytest.param(
            lambda name, data: (
                re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", data).replace(b"xmlns=", b"xmlns:x=")
                if name.startswith("xl/") and name.endswith(".xml") and "theme" not in name
                else data
            ),
            lambda name: name,
            id="prefix x:",
        ),
        pytest.param(lambda _, data: data, lambda name: name.replace("/", "\\"), id="backslashes"),
        pytest.param(lambda _, data: data, lambda name: name.replace("xl/workbook", "xl/Workbook"), id="upper case"),
        pytest.param(
            lambda _, data: data.replace(b"xl/workbook.xml", b"book/b1.xml").replace(b"sheet1.xml", b"data.xml"),
            lambda name: (
                name.replace("xl/", "book/").replace("workbook.xml", "b1.xml").replace("sheet1.xml", "data.xml")
            ),
            id="renamed parts",
        ),
        pytest.param(
            lambda name, data: data.replace(b'Target="worksheets', b'Target="/xl/worksheets'),
            lambda name: name,
            id="absolute targets",
        ),
        pytest.param(lambda _, data: re.sub(rb' r="[A-Z]+[0-9]+"', b"", data), lambda name: name, id="no references"),
    ],
)
def test_workbooks_of_other_programs_give_the_same_rows(
    change: Callable[[str, bytes], bytes], rename: Callable[[str], str]
):
    content = workbook([HEADER, run(1, c3=dt.date(2025, 6, 10), c4="G1", c6=dt.time(6, 4), c10="U1")])
    expected = read("bulletin", content, "b.xlsx").rows.drop(columns="file_sha256")
    found = read("bulletin", repacked(content, change, rename), "b.xlsx").rows.drop(columns="file_sha256")
    assert len(found) == 1
    assert found.equals(expected)


def test_cells_with_iso_days_and_rich_text():
    """`t="d"` is how strict workbooks store days; a text may be in the cell itself, in runs of different fonts."""
    content = workbook([HEADER, run(1, c3=45818, c5="@")])

    def change(name: str, data: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return data
        data = data.replace(b'<c r="D2"><v>45818</v>', b'<c r="D2" t="d"><v>2025-06-10</v>')
        rich = b'<c r="F2" t="inlineStr"><is><r><t>GARAGEM</t></r><r><t xml:space="preserve"> NORTE</t></r></is></c>'
        return re.sub(rb'<c r="F2"[^>]*><v>[0-9]+</v></c>', rich, data)

    row = read("bulletin", repacked(content, change), "b.xlsx").rows.iloc[0]
    assert (row["declared_date"], row["origin_text"]) == (dt.date(2025, 6, 10), "GARAGEM NORTE")


@pytest.mark.parametrize(("serial", "is_1904"), [(45818, False), (44356, True)])
def test_day_numbers_count_in_the_date_system_of_the_workbook(serial: int, is_1904: bool):
    content = workbook([HEADER, run(1, c3=serial), run(2, c3=dt.date(2025, 6, 10))], date_1904=is_1904)
    assert set(read("bulletin", content, "b.xlsx").rows["declared_date"]) == {dt.date(2025, 6, 10)}


def test_a_day_of_the_other_date_system_is_refused_and_not_filed_four_years_early():
    rows = [run(1), run(2), run(3, c3=45818 - 1462)]
    parsed = read("bulletin", workbook([HEADER, *rows]), "b.xlsx")
    assert reasons(parsed) == [(4, "outside_period")]
    assert (parsed.first_date, set(parsed.days["date"])) == (dt.date(2025, 6, 10), {dt.date(2025, 6, 10)})


def test_times_a_hair_below_the_second_are_that_second():
    rows = [run(1, c6=0.51249999999999996 - 1e-7, c12=dt.datetime(2025, 6, 10, 23, 59, 59, 999_000))]
    row = read("bulletin", workbook([HEADER, *rows]), "b.xlsx").rows.iloc[0]
    assert (row["departed_local"], row["arrived_local"].day) == (dt.datetime(2025, 6, 10, 12, 18), 11)


def test_a_formula_without_its_result_is_refused_and_neither_zero_nor_empty():
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    for line, row in enumerate([HEADER, ROW, run(7), run(8)]):
        sheet.write_row(line, 0, row)
    sheet.write_formula(1, 14, "=N2-I2", None, 30)
    sheet.write_formula(2, 14, "=N3-I3", None, "")
    sheet.write_formula(3, 8, "=N4-30", None, "")
    book.close()
    parsed = read("bulletin", buffer.getvalue(), "b.xlsx")
    assert [float(km) for km in parsed.rows["declared_km"]] == [30.0]
    assert {number for number, code in reasons(parsed) if code == "formula_without_value"} == {3, 4}
    assert "KM ROTA is '=N3-I3" in parsed.rejected["reason"].str.cat()


def with_errors(*cells: tuple[int, int]) -> ParsedFile:
    """A bulletin of two runs, with an error in each cell (row and column from 0)."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    for line, row in enumerate([HEADER, ROW, run(7)]):
        sheet.write_row(line, 0, row)
    for line, column in cells:
        sheet.write_formula(line, column, "=VLOOKUP(B1,X!A:B,2,0)", None, "#REF!")
    book.close()
    return read("bulletin", buffer.getvalue(), "b.xlsx")


def test_an_error_in_place_of_a_result_is_no_empty_cell():
    """As an empty KM ROTA it was replaced by the difference of the readings."""
    parsed = with_errors((2, 14))
    assert (3, "formula_without_value") in reasons(parsed)
    assert len(parsed.rows) == 1
    assert "KM ROTA is '#REF!" in parsed.rejected["reason"].str.cat()


def test_errors_that_a_template_holds_below_its_last_row_are_no_rows():
    parsed = with_errors(*((line, column) for line in range(3, 40) for column in (2, 14)))
    assert (len(parsed.rows), reasons(parsed), parsed.status) == (2, [], "accepted")


def test_an_error_where_no_amount_rests_is_an_empty_cell_that_is_named():
    parsed = with_errors((2, 4), (2, 16))
    assert (len(parsed.rows), reasons(parsed)) == (2, [])
    assert parsed.rows["carrier_code"].isna().to_list() == [False, True]
    assert any("CÓDIGO (1), EMPRESA (1)" in one for one in parsed.warnings)


def test_merged_plates_and_days_hold_for_all_their_rows_and_merged_km_for_the_first():
    rows = [HEADER, run(1), run(2, c1=None, c3=None, c16=None), run(3, c1=None, c14=None, c8=None, c13=None)]
    content = workbook_of({"Plan1": rows}, merged=[(1, 1, 3, 1), (1, 3, 2, 3), (1, 16, 2, 16), (2, 14, 3, 14)])
    parsed = read("bulletin", content, "b.xlsx")
    assert list(parsed.rows["plate"]) == ["KPU9A36", "KPU9A36"]
    assert list(parsed.rows["carrier_code"]) == ["CONLOG", "CONLOG"]
    assert parsed.rows["declared_date"].nunique() == 1
    assert reasons(parsed) == [(4, "missing_value")], "30 km merged over two runs are not 60 km"


def test_an_id_of_more_digits_than_a_spreadsheet_keeps_is_refused():
    header: list[object] = [*TELEMETRY_HEADER.split(",")]
    rows = [[value, *TELEMETRY_ROWS[0].split(",")[1:]] for value in (351234567890123, 8955031234567890123)]
    parsed = read("telemetry", workbook([header, *rows]), "t.xlsx")
    assert list(parsed.rows["device_id"]) == ["351234567890123"]
    assert reasons(parsed) == [(3, "spoilt_id")]


def test_a_zip_without_a_workbook_is_refused():
    content = repacked(workbook([HEADER]), rename=lambda name: name.replace("workbook", "other"))
    with pytest.raises(RejectedFile, match="not an XLSX"):
        read("bulletin", content, "b.xlsx")


def test_a_csv_row_and_a_sheet_row_are_the_same_run():
    csv = f"{BULLETIN_HEADER}\n{changed(BULLETIN_ROWS[0], c6='06:04:00')}\n".encode()
    one, other = read("bulletin", csv), read("bulletin", workbook([HEADER, ROW]), "b.xlsx")
    assert one.rows["declared_run_id"].to_list() == other.rows["declared_run_id"].to_list()


def test_thousands_of_overlapping_merged_ranges_cost_nothing():
    spans = b"".join(b'<mergeCell ref="B2:B%d"/>' % last for last in range(3, 3000))
    content = workbook_of({"Plan1": [HEADER, *(run(number) for number in range(3000))]}, merged=[(1, 4, 2, 4)])

    def change(name: str, data: bytes) -> bytes:
        return re.sub(rb'<mergeCell ref="[^"]+"/>', spans, data)

    parsed = read("bulletin", repacked(content, change), "b.xlsx")
    assert (parsed.rows_read, parsed.rows_rejected) == (3000, 0)

"""Encodings, quotes, limits and disguises, seen through the bulletin, whose rows hold accents and quotes."""

from __future__ import annotations

import io
import zipfile

import pytest
import xlsxwriter

from fleet_audit.formats.parsed import Limits, RejectedFile
from fleet_audit_tests.formats.samples import BULLETIN_HEADER, BULLETIN_ROWS, bulletin, changed, read, reasons, workbook

ROW = BULLETIN_ROWS[0]


@pytest.mark.parametrize(
    ("encoding", "warning"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("latin-1", "Latin-1"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
    ],
)
def test_encodings(encoding: str, warning: str | None):
    parsed = read("bulletin", bulletin().decode().encode(encoding))
    assert list(parsed.rows["origin_text"]) == ["GARAGEM AV. CUIABÁ", "GARAGEM, FUNDOS"]
    assert [warning in text for text in parsed.warnings] == ([True] if warning else [])


def test_one_damaged_character_does_not_turn_utf8_into_latin1():
    content = bulletin().replace("CUIABÁ".encode(), b"CUIAB\xc3")
    parsed = read("bulletin", content)
    assert parsed.rows["origin_text"].iloc[0] == "GARAGEM AV. CUIAB\ufffd"
    assert "1 characters are damaged" in parsed.warnings[0]


def test_code_page_850_is_told_from_latin_1():
    content = bulletin()
    dos, windows = (content.decode("utf-8").encode(encoding) for encoding in ("cp850", "cp1252"))
    expected = read("bulletin", content).rows["origin_text"].to_list()
    for encoded, named in ((dos, "850"), (windows, "Latin-1")):
        parsed = read("bulletin", encoded)
        assert parsed.rows["origin_text"].to_list() == expected
        assert named in parsed.warnings[0]


def test_nul_characters_are_removed_and_reported():
    parsed = read("bulletin", bulletin().replace(b"GARAGEM AV", b"GARA\x00GEM AV"))
    assert parsed.rows["origin_text"].iloc[0] == "GARAGEM AV. CUIABÁ"
    assert "NUL" in parsed.warnings[0]


def test_a_block_of_nul_behind_the_last_row_costs_no_row():
    parsed = read("bulletin", bulletin() + bytes(4096))
    assert list(parsed.rows["origin_text"]) == ["GARAGEM AV. CUIABÁ", "GARAGEM, FUNDOS"]
    assert "4096 NUL" in parsed.warnings[0]


@pytest.mark.parametrize(("end", "start"), [("0,0,CONLOG", "kpu"), (" AV", " FUNDOS")], ids=["cells", "quoted cells"])
def test_a_block_of_nul_inside_makes_no_row_of_the_halves_beside_it(end: str, start: str):
    first, second = BULLETIN_ROWS[0].replace("GARAGEM AV. CUIABÁ", '"GARAGEM AV. CUIABÁ"'), BULLETIN_ROWS[1]
    torn = first[: first.index(end)] + 4096 * "\x00" + second[second.index(start) :]
    parsed = read("bulletin", "\n".join([BULLETIN_HEADER, torn, second, ""]).encode())
    assert list(parsed.rows["bulletin_number"]) == ["7002"]
    assert parsed.rows_read == 3


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7\n%\xe2\xe3\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xd0\xcf\x11\xe0" + bytes(600),
        bytes(range(256)) * 20,
        b"PK\x03\x04" + bytes(100),
        b"",
        b" \n\n",
        b"\xef\xbb\xbf<html><body><table><tr><th>PLACA</th></tr></table></body></html>",
        b'<?xml version="1.0"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
    ],
)
@pytest.mark.parametrize("kind", ["bulletin", "telemetry", "visit_report"])
def test_what_is_no_table_is_refused_with_a_sentence(kind: str, content: bytes):
    with pytest.raises(RejectedFile, match=r"^(The|No) .*[.]$"):
        read(kind, content)


def test_a_lone_quote_swallows_no_rows():
    broken = ROW.replace("GARAGEM AV", '"GARAGEM AV')
    rows = [BULLETIN_ROWS[1], broken, *(changed(ROW, c0=str(number)) for number in range(30)), BULLETIN_ROWS[1]]
    parsed = read("bulletin", bulletin(*rows))
    assert (parsed.rows_read, len(parsed.rows), parsed.rows_duplicate) == (33, 32, 1)
    assert "1 line has a quotation mark that nothing closes" in parsed.warnings[0]


def test_a_quoted_cell_may_run_over_lines():
    parsed = read("bulletin", bulletin(ROW.replace("GARAGEM AV. CUIABÁ", '"GARAGEM\nAV. CUIABÁ"'), BULLETIN_ROWS[1]))
    assert list(parsed.rows["row_number"]) == [2, 4]
    assert parsed.rows["origin_text"].iloc[0] == "GARAGEM\nAV. CUIABÁ"


def test_a_last_line_that_was_cut_off_is_not_read():
    content = bulletin(BULLETIN_ROWS[1], ROW).rstrip(b"\n")
    assert read("bulletin", content).status == "accepted", "only the line end is missing"
    cut = content[: content.rindex(b",0,CONLOG") - 1]
    assert reasons(read("bulletin", cut)) == [(3, "bad_width")]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_separators(separator: str, encoding: str):
    rows = [row.split(",") for row in (BULLETIN_HEADER, ROW)]
    content = "\n".join(separator.join(row) for row in rows)
    assert read("bulletin", content.encode(encoding)).rows["origin_text"].to_list() == ["GARAGEM AV. CUIABÁ"]


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
def test_line_ends(line_end: str):
    content = bulletin().decode().replace("\n", line_end).encode()
    assert list(read("bulletin", content).rows["row_number"]) == [2, 3]


def test_blank_rows_are_no_data_rows():
    parsed = read("bulletin", bulletin(ROW, "", "," * 16, BULLETIN_ROWS[1]))
    assert parsed.rows_read == 2
    assert list(parsed.rows["row_number"]) == [2, 5]


def test_limits_refuse_the_whole_file():
    with pytest.raises(RejectedFile, match="3 data rows and at most 2"):
        read("bulletin", bulletin(ROW, ROW, ROW), limits=Limits(max_rows=2))
    with pytest.raises(RejectedFile, match="bytes and at most 100 are read"):
        read("bulletin", bulletin(), limits=Limits(max_bytes=100))
    assert len(read("bulletin", bulletin(), limits=Limits(max_rows=2)).rows) == 2


def test_header_of_a_million_columns_is_refused():
    with pytest.raises(RejectedFile, match="columns and at most"):
        read("bulletin", (BULLETIN_HEADER + "," * 1_000_000 + "x\n" + ROW + "\n").encode())


def test_formulas_are_text():
    parsed = read("bulletin", bulletin(changed(ROW, c5="=HYPERLINK(A1)")))
    assert parsed.rows["origin_text"].iloc[0] == "=HYPERLINK(A1)"


def _repacked(content: bytes, name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, data if entry == name else old.read(entry))
    return buffer.getvalue()


def test_a_workbook_that_unpacks_to_too_much_is_refused():
    bomb = _repacked(workbook([["PLACA"]]), "xl/worksheets/sheet1.xml", b" " * 300_000_000)
    assert len(bomb) < 1_000_000
    with pytest.raises(RejectedFile, match="unpacks to"):
        read("bulletin", bomb, "b.xlsx")


def test_a_workbook_with_two_far_cells_is_refused():
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write(0, 0, "PLACA")
    sheet.write(1_048_575, 16_383, "x")
    book.close()
    with pytest.raises(RejectedFile, match="spans 1,048,576 rows and 16,384 columns"):
        read("bulletin", buffer.getvalue(), "b.xlsx")


def test_broken_workbooks_are_refused():
    sound = workbook([["PLACA"]])
    with pytest.raises(RejectedFile, match="cannot be opened"):
        read("bulletin", sound[: len(sound) // 2], "b.xlsx")
    with pytest.raises(RejectedFile, match="cannot be opened"):
        read("bulletin", _repacked(sound, "xl/worksheets/sheet1.xml", b"<worksheet><oops"), "b.xlsx")
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")
    with pytest.raises(RejectedFile, match="ZIP archive"):
        read("telemetry", other.getvalue(), "t.xlsx")


def test_the_sheet_with_the_table_is_chosen():
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.add_worksheet("Capa").write(0, 0, "Boletim de junho")
    table = book.add_worksheet("Dados")
    for line, row in enumerate([BULLETIN_HEADER.split(","), ROW.split(",")]):
        table.write_row(line, 0, row)
    book.close()
    parsed = read("bulletin", buffer.getvalue(), "b.xlsx")
    assert len(parsed.rows) == 1
    assert parsed.warnings == ("Sheets that were not read: 'Capa' (no header).",)


def test_days_and_times_that_lost_their_format_are_read_as_the_spreadsheet_meant_them():
    cells: list[object] = [*ROW.split(",")]
    cells[3], cells[6], cells[12] = 45818, 6 / 24 + 4 / 1440, 45818.5
    row = read("bulletin", workbook([BULLETIN_HEADER.split(","), cells]), "b.xlsx").rows.iloc[0]
    assert str(row["departed_local"]) == "2025-06-10 06:04:00"
    assert str(row["arrived_local"]) == "2025-06-10 12:00:00"


@pytest.mark.parametrize(("at", "value", "code"), [(3, 45, "bad_date"), (6, 7.5, "bad_time"), (3, 45818, "bad_date")])
def test_a_number_that_is_no_day_or_time_is_refused(at: int, value: object, code: str):
    cells: list[object] = [*ROW.split(",")]
    cells[at] = value
    as_text = at == 3 and value == 45818  # in a CSV nobody says that it is a spreadsheet's count
    content = bulletin(",".join(map(str, cells))) if as_text else workbook([BULLETIN_HEADER.split(","), cells])
    assert reasons(read("bulletin", content)) == [(2, code)]


@pytest.mark.parametrize(
    ("part", "warning"), [("xl/vbaProject.bin", "macros"), ("xl/externalLinks/externalLink1.xml", "links to other")]
)
def test_active_content_of_a_workbook_is_not_executed_and_is_reported(part: str, warning: str):
    buffer = io.BytesIO(workbook([BULLETIN_HEADER.split(","), ROW.split(",")]))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(part, "<externalLink/>")
    parsed = read("bulletin", buffer.getvalue(), "b.xlsm")
    assert len(parsed.rows) == 1
    assert warning in parsed.warnings[0]

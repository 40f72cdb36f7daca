"""Bad input that was met or thought of, made small: what carriers, vendors and strangers drop into an inbox.

Each case says what becomes of it. What it means for a whole run is in `ingest/test_corpus.py`.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import xlsxwriter

from fleet_audit_tests.formats.samples import (
    BULLETIN_HEADER,
    BULLETIN_ROWS,
    TELEMETRY_HEADER,
    TELEMETRY_ROWS,
    VEHICLES,
    VISIT,
    bulletin,
    changed,
    telemetry,
    workbook,
)

RUN, POSITION = BULLETIN_ROWS[0], TELEMETRY_ROWS[0]
PDF = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@dataclass(frozen=True)
class Case:
    """A file and its end: the code of a refusal, or (read, accepted, rejected, duplicate) and the rows' codes."""

    name: str
    kind: str
    content: bytes
    refusal: str | None = None
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    codes: tuple[str, ...] = ()
    file_name: str = "file.csv"


def repacked(content: bytes, changes: dict[str, bytes]) -> bytes:
    """A workbook with parts replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in dict.fromkeys([*old.namelist(), *changes]):
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return buffer.getvalue()


def _bulletin_book(**cells: object) -> bytes:
    row: list[object] = [*RUN.split(",")]
    for name, value in cells.items():
        row[int(name[1:])] = value
    return workbook([BULLETIN_HEADER.split(","), row])


def _formulas() -> bytes:
    """Cells that a spreadsheet computes: their stored results are what was sent."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, BULLETIN_HEADER.split(","))
    sheet.write_row(1, 0, RUN.split(","))
    sheet.write_formula(1, 14, "=N2-I2", None, 30)
    sheet.write_formula(1, 5, '=WEBSERVICE("http://127.0.0.1/"&B2)', None, "GARAGEM")
    book.close()
    return buffer.getvalue()


def _text_cases() -> Iterator[Case]:
    one = (1, 1, 0, 0)
    for kind, good in (("bulletin", bulletin(RUN)), ("telemetry", telemetry(POSITION))):
        yield Case("empty", kind, b"", "empty_file")
        yield Case("blank", kind, b" \r\n\t\r\n", "empty_file")
        yield Case("a byte order mark alone", kind, b"\xef\xbb\xbf", "empty_file")
        yield Case("a PDF", kind, PDF, "not_a_table")
        yield Case("an image", kind, b"\x89PNG\r\n\x1a\n" + bytes(40), "not_a_table")
        yield Case("an old workbook", kind, b"\xd0\xcf\x11\xe0" + bytes(512), "not_a_table", file_name="f.xls")
        yield Case("a web page", kind, b"<html><body>Erro 502</body></html>", "not_a_table")
        yield Case("NULs only", kind, bytes(4000), "not_a_table")
        yield Case("NULs between", kind, good.replace(b"1", b"1\x00"), None, one)
        yield Case("UTF-8 with a mark", kind, b"\xef\xbb\xbf" + good, None, one)
        yield Case("two marks", kind, b"\xef\xbb\xbf\xef\xbb\xbf" + good, None, one)
        yield Case("UTF-16", kind, good.decode().encode("utf-16"), None, one)
        yield Case("UTF-16 without a mark", kind, good.decode().encode("utf-16-le"), None, one)
        yield Case("old line ends", kind, good.replace(b"\n", b"\r"), None, one)
        yield Case("sep= of Excel", kind, b"sep=;\r\n" + good.replace(b",", b";"), None, one)
        yield Case("one line without end", kind, b"x" * 11_000_000, "too_large")
        yield Case("a header of commas", kind, good.split(b"\n")[0] + b"," * 500 + b"x\n", "too_many_columns")
    header = BULLETIN_HEADER
    yield Case("half a UTF-16 character", "bulletin", bulletin(RUN).decode().encode("utf-16")[:-1], None, one)
    yield Case("header only", "bulletin", f"{header}\n".encode())
    yield Case("header only", "telemetry", f"{TELEMETRY_HEADER}\n".encode())
    yield Case("no header", "bulletin", "\n".join(BULLETIN_ROWS).encode(), "missing_column")
    yield Case("header twice", "bulletin", f"{header},PLACA\n{RUN},X\n".encode(), "repeated_column")
    yield Case("a table twice", "bulletin", bulletin(RUN, header, BULLETIN_ROWS[1]), None, (2, 2, 0, 0))
    yield Case("lone quote", "bulletin", bulletin(RUN.replace("GARAGEM", '"GARAGEM'), changed(RUN, c0="8")), None, (
        2, 2, 0, 0))  # fmt: skip
    yield Case("mixed separators", "bulletin", bulletin(RUN, RUN.replace(",", ";")), None, (2, 1, 1, 0), (
        "missing_value",))  # fmt: skip
    yield Case("31/02", "bulletin", bulletin(changed(RUN, c3="31/02/2025")), None, (1, 0, 1, 0), ("bad_date",))
    yield Case("month first", "bulletin", bulletin(changed(RUN, c3="06/25/2025")), None, (1, 0, 1, 0), ("bad_date",))
    yield Case("25:61", "bulletin", bulletin(changed(RUN, c6="25:61")), None, (1, 0, 1, 0), ("bad_time",))
    yield Case("negative km", "bulletin", bulletin(changed(RUN, c14="-30")), None, (1, 0, 1, 0), ("negative_value",))
    yield Case("decimal point", "bulletin", bulletin(changed(RUN, c14="30.5")), None, (1, 1, 0, 0))
    yield Case("thousands", "bulletin", bulletin(changed(RUN, c8="117.279", c13="117.309")), None, (1, 1, 0, 0))
    yield Case("thousands or decimals", "bulletin", bulletin(changed(RUN, c14='"30,500"')),
        None, (1, 0, 1, 0), ("ambiguous_number",))  # fmt: skip
    yield Case("Arabic digits", "bulletin", bulletin(changed(RUN, c14="٣٠")), None, (1, 0, 1, 0), ("bad_number",))
    yield Case("400 digits", "bulletin", bulletin(changed(RUN, c14="9" * 400)), None, (1, 0, 1, 0), ("bad_number",))
    yield Case("a path for a plate", "bulletin", bulletin(changed(RUN, c1="../../etc/passwd")), None, (1, 0, 1, 0), (
        "bad_plate",))  # fmt: skip
    yield Case("formulas in text", "bulletin", bulletin(changed(RUN, c5="=cmd|' /C calc'!A0", c1="=1+1")), None, (
        1, 0, 1, 0), ("bad_plate",))  # fmt: skip
    yield Case("year 2125", "bulletin", bulletin(changed(RUN, c3="10/06/2125")), None, (1, 0, 1, 0), ("bad_date",))
    yield Case("decimal comma", "telemetry", telemetry(changed(POSITION, c3='"117279,4"')), None, (1, 0, 1, 0), (
        "bad_number",))  # fmt: skip
    yield Case("no zone", "telemetry", telemetry(changed(POSITION, c1="2025-06-10T06:04:35")), None, (1, 0, 1, 0), (
        "bad_timestamp",))  # fmt: skip
    yield Case("infinite", "telemetry", telemetry(changed(POSITION, c3="1e999", c7="inf")), None, (1, 0, 1, 0), (
        "bad_number",))  # fmt: skip
    yield Case("the same row three times", "telemetry", telemetry(POSITION, POSITION, POSITION), None, (3, 1, 0, 2))
    yield Case("a torn upload", "telemetry", telemetry(POSITION, POSITION)[:-20], None, (2, 1, 1, 0), ("bad_width",))


def _book_cases() -> Iterator[Case]:
    one = (1, 1, 0, 0)
    good = _bulletin_book()
    sheet = "xl/worksheets/sheet1.xml"
    for kind in ("bulletin", "visit_report", "telemetry"):
        yield Case("a text document", kind, repacked(b"PK\x05\x06" + bytes(18), {"word/document.xml": b"<w/>"}),
            "not_a_table", file_name="f.docx")  # fmt: skip
        yield Case("half a workbook", kind, good[: len(good) // 2], "broken_workbook", file_name="f.xlsx")
        yield Case("torn XML", kind, repacked(good, {sheet: b"<worksheet><oops"}), "broken_workbook")
        yield Case("an empty sheet", kind, workbook([]), "empty_file")
        yield Case("a zip bomb", kind, repacked(good, {sheet: b" " * 220_000_000}), "unsafe_workbook")
        yield Case("deep nesting", kind, repacked(good, {sheet: b"<a>" * 200_000 + b"</a>" * 200_000}), "empty_file")
        yield Case("entities of entities", kind, repacked(good, {sheet: _LAUGHS}), "broken_workbook")
    yield Case("another table", "bulletin", workbook([["Nome", "Salário"], ["Ana", 1]]), "missing_column")
    yield Case("a workbook named CSV", "bulletin", good, None, one)
    yield Case(
        "macros", "bulletin", repacked(good, {"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0"}), None, one, (), "f.xlsm"
    )
    links = {"xl/externalLinks/externalLink1.xml": b"<externalLink/>"}
    yield Case("external links", "bulletin", repacked(good, links), None, one, (), "f.xlsx")
    yield Case("a part outside", "bulletin", repacked(good, {"../../outside.txt": b"x"}), None, one, (), "f.xlsx")
    yield Case("formulas", "bulletin", _formulas(), None, one, (), "f.xlsx")
    yield Case("typed days and times", "bulletin", _bulletin_book(c3=dt.date(2025, 6, 10), c6=dt.time(6, 4)), None, one)
    yield Case("serial days and times", "bulletin", _bulletin_book(c3=45818, c6=0.25, c12=0.3), None, one)
    yield Case("a typed instant has no zone", "telemetry", workbook([TELEMETRY_HEADER.split(","), [
        *POSITION.split(",")[:1], dt.datetime(2025, 6, 10, 6), *POSITION.split(",")[2:]]]), None, (1, 0, 1, 0), (
        "bad_timestamp",))  # fmt: skip


_LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + level, b"&%c;" % (97 + level) * 10) for level in range(9))
    + b"]><worksheet>&j;</worksheet>"
)


def _other_cases() -> Iterator[Case]:
    visit = VISIT.encode()
    yield Case("no block", "visit_report", b"Relat\xc3\xb3rio de visita di\xc3\xa1rio\n", "no_vehicle_block")
    yield Case("a bulletin", "visit_report", bulletin(), "no_vehicle_block")
    yield Case("Latin-1", "visit_report", VISIT.encode("latin-1"), None, (2, 2, 0, 0))
    yield Case("UTF-16", "visit_report", VISIT.encode("utf-16"), None, (2, 2, 0, 0))
    yield Case("twice", "visit_report", visit + visit, None, (4, 2, 0, 2))
    yield Case("31/06", "visit_report", visit.replace(b"\n10/06/2025,", b"\n31/06/2025,", 1), None, (2, 1, 1, 0), (
        "bad_date",))  # fmt: skip
    yield Case("negative km", "visit_report", visit.replace(b'"29,80"', b'"-29,80"'), None, (2, 1, 1, 0), (
        "negative_value",))  # fmt: skip
    yield Case("cut in a block", "visit_report", visit[: visit.index(b"Totais")], None, (2, 2, 0, 0))
    yield Case("no such table", "reference", b"a,b\n1,2\n", "unknown_table", file_name="../../vehicles2.csv")
    yield Case("a table of another", "reference", bulletin(), "missing_column", file_name="vehicles.csv")
    ended = VEHICLES.replace("2025-01-01,\n", "2025-01-01,2024-01-01\n").encode()
    yield Case("ends before it begins", "reference", ended, None, (2, 1, 1, 0), ("bad_period",), "vehicles.csv")
    nested = b"GEOMETRYCOLLECTION(" * 100_000
    yield Case("nested geometry", "reference", b"poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,"
        b"address_pattern,valid_from,valid_to\nP1,U,N,usina,-22.5,-52.1,100," + nested + b",,,\n", None, (1, 0, 1, 0), (
        "bad_polygon",), "pois.csv")  # fmt: skip


CASES = [*_text_cases(), *_book_cases(), *_other_cases()]

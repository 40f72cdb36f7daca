"""As many rows are read as were written, whatever their cells and the structure around them, and each is counted.

A row is accepted, rejected, a duplicate, or counted and named as a repeated header, total, title or page footer.
"""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit_tests.formats.samples import (
    BULLETIN_HEADER,
    BULLETIN_ROWS,
    TELEMETRY_HEADER,
    TELEMETRY_ROWS,
    VEHICLES,
    VISIT,
    examples,
    read,
    workbook,
    workbook_of,
)
from fleet_audit_tests.formats.test_hostile_bytes import check

TABLES = {
    "bulletin": [BULLETIN_HEADER, *BULLETIN_ROWS],
    "telemetry": [TELEMETRY_HEADER, *TELEMETRY_ROWS],
    "reference": VEHICLES.splitlines(),
}
NASTY = [
    "", " ", "-", "x", "0", "-1", "1,5", "1.5", "1.234,56", "1,234", "117.279", "1e308", "9" * 30, "NaN", "31/02/2025",
    "10/06/2025", "10/06/2031", "2025-06-10", "2025-06-10T06:00:00Z", "2025-06-10T06:00:00", "24:00", "06:04", "6:4",
    "3,51E+14", "40.314", "R$ 18.500,00", "117\u00a0279", "KPU9A36\u200b", "6h04", "10/06/2005", "Total Geral", "45818",
    "=1+1", "@SUM(1)", "../x", "KPU9A36", "KPU-9A3", '"', "\'\'", "a\nb", "a;b", "a,b", "a\tb", "ação", "Totais", "sim",
]  # fmt: skip
CELLS = st.sampled_from(NASTY) | st.text(st.characters(max_codepoint=255, exclude_categories=["Cc", "Cs"]), max_size=6)


@st.composite
def tables(draw: st.DrawFn, kind: str) -> list[list[str]]:
    """The header, and good rows with up to a third of their cells changed."""
    header, *good = list(csv.reader(TABLES[kind]))
    rows = []
    for number in range(draw(st.integers(1, 6))):
        row = list(good[draw(st.integers(0, len(good) - 1))])
        for _ in range(draw(st.integers(0, len(row) // 3))):
            row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
        row[0] = row[0].strip() or f"row {number}"  # a row without any text is none
        rows.append(row)
    return [header, *rows]


@pytest.mark.parametrize("kind", list(TABLES))
@settings(max_examples=examples(25))
@given(data=st.data())
def test_no_row_of_a_csv_vanishes(kind: str, data: st.DataObject) -> None:
    rows = data.draw(tables(kind))
    separator = data.draw(st.sampled_from(",;\t|"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"]))).writerows(rows)
    try:
        content = buffer.getvalue().encode(encoding)
    except UnicodeEncodeError:  # Latin-1 has no zero-width space
        content = buffer.getvalue().encode()
    parsed = read(kind, content, "vehicles.csv")
    assert parsed.rows_read + parsed.rows_ignored == len(rows) - 1
    check(parsed, kind)


@pytest.mark.parametrize("kind", list(TABLES))
@settings(max_examples=examples(12))
@given(data=st.data())
def test_no_row_of_a_workbook_vanishes(kind: str, data: st.DataObject) -> None:
    rows: list[list[object]] = [list(row) for row in data.draw(tables(kind))]
    typed = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.dates()
    for row in rows[1:]:
        row[data.draw(st.integers(1, len(row) - 1))] = data.draw(typed)
    try:
        parsed = read(kind, workbook(rows), "vehicles.xlsx")
    except RejectedFile as refused:  # a date that a spreadsheet cannot hold never gets there
        raise AssertionError(str(refused)) from refused
    assert parsed.rows_read + parsed.rows_ignored == len(rows) - 1
    check(parsed, kind)


@st.composite
def spans(draw: st.DrawFn, rows: int) -> list[tuple[int, int, int, int]]:
    """Up to three ranges merged over rows, one column each: they cannot overlap."""
    columns = draw(st.lists(st.integers(0, 5), max_size=3, unique=True))
    return [
        (first, at, first + draw(st.integers(1, 3)), at) for at in columns for first in [draw(st.integers(0, rows))]
    ]


@pytest.mark.parametrize("kind", list(TABLES))
@settings(max_examples=examples(12))
@given(data=st.data())
def test_no_row_of_any_sheet_vanishes(kind: str, data: st.DataObject) -> None:
    """Sheets in any order and number, titles above their headers, sheets without one, merged cells, hidden sheets."""
    sheets: dict[str, list[list[object]]] = {}
    written = 0
    hidden = []
    for number in range(data.draw(st.integers(1, 4))):
        rows = data.draw(tables(kind))
        titles = [["Título", None]] * data.draw(st.integers(0, 3))
        sheets[f"s{number}"] = [*titles, *rows]
        if number and data.draw(st.booleans()):
            hidden.append(f"s{number}")
        else:
            written += len(rows) - 1
    if data.draw(st.booleans()):
        sheets["Resumo"] = [["Rótulos de linha", "Soma"], ["x", 1]]
    names = data.draw(st.permutations(list(sheets)))
    book = workbook_of(
        {name: sheets[name] for name in names},
        hidden=hidden,
        charts=["Gráfico"] if data.draw(st.booleans()) else [],
        merged=data.draw(spans(4)),
        date_1904=data.draw(st.booleans()),
    )
    parsed = read(kind, book, "vehicles.xlsx")
    check(parsed, kind)
    assert parsed.rows_read + parsed.rows_ignored == written
    assert all(f"'{name}' (hidden" in parsed.message for name in hidden)


_MOVEMENT = ["10/06/2025", "Ana", "06:00:00", "A", "00:30:00", "10,00", "60", "06:30:00", "B", "", "", "", "00:10:00"]
_HEADER = next(line for line in VISIT.splitlines() if line.startswith("Data de saída")).split(",")
_TITLE = ["Relatório de visita diário\nDe 10/06/2025 00:00 Para 10/06/2025 23:59 Movimentos entre 05:00 e 23:40"]
_PAGE = [["Página 1 de 9"], ["Gerado em 11/06/2025 07:15 por alguém"], _TITLE]


@st.composite
def reports(draw: st.DrawFn) -> tuple[list[list[str]], int]:
    """A report of up to four vehicles with page breaks anywhere, changed cells; and its number of movements."""
    lines: list[list[str]] = [*draw(st.sampled_from([[], [_TITLE], [*_PAGE]]))]
    movements = 0
    for number in range(draw(st.integers(1, 4))):
        labels = [
            ["Descrição do ativo", "", "x"],
            ["Número de registro", "", f"KPU9A3{number}"],
            ["ID do ativo", "", "7"],
        ]
        lines += [*labels, _HEADER]
        for _ in range(draw(st.integers(0, 4))):
            row = [*_MOVEMENT]
            row[2] = f"{draw(st.integers(0, 25)):02d}:00:00"
            for _ in range(draw(st.integers(0, 4))):
                row[draw(st.integers(0, len(row) - 1))] = draw(CELLS.filter(lambda text: text != "Totais"))
            lines.append(row)
            movements += 1
            if draw(st.integers(0, 3)) == 0:
                lines += [*draw(st.sampled_from([[], _PAGE])), *draw(st.sampled_from([[], labels])), _HEADER]
        if draw(st.booleans()):
            lines += [["Totais", "", "", "", "02:00:10", "60,00"], ["Médias", "", "", "", "01:00:05", "30,00"]]
    return lines, movements


@settings(max_examples=examples(40))
@given(report=reports(), form=st.sampled_from([",", ";", "\t", "workbook", "sheets"]), data=st.data())
def test_no_movement_of_a_visit_report_vanishes(
    report: tuple[list[list[str]], int], form: str, data: st.DataObject
) -> None:
    lines, movements = report
    if form in ("workbook", "sheets"):
        half: list[list[object]] = [[*line] for line in lines]
        sheets = {"a": half, "b": half} if form == "sheets" else {"a": half}
        content, times = workbook_of(sheets), len(sheets)
    else:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, delimiter=form).writerows(lines)
        content, times = buffer.getvalue().encode(data.draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))), 1
    parsed = read("visit_report", content)
    check(parsed, "visit_report")
    assert parsed.rows_read == movements * times

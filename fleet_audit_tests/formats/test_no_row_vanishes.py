"""As many rows are read as were written, whatever their cells hold, and each is accepted, rejected or a duplicate."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit_tests.formats.samples import (
    BULLETIN_HEADER,
    BULLETIN_ROWS,
    TELEMETRY_HEADER,
    TELEMETRY_ROWS,
    VEHICLES,
    read,
    workbook,
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
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_row_of_a_csv_vanishes(kind: str, data: st.DataObject) -> None:
    rows = data.draw(tables(kind))
    separator = data.draw(st.sampled_from(",;\t|"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"]))).writerows(rows)
    parsed = read(kind, buffer.getvalue().encode(encoding), "vehicles.csv")
    assert parsed.rows_read == len(rows) - 1
    check(parsed, kind)


@pytest.mark.parametrize("kind", list(TABLES))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    assert parsed.rows_read == len(rows) - 1
    check(parsed, kind)

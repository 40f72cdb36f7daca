"""Days of which a file was refused or a bulletin is missing: said as data, until the right file arrives."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.ingest.incomplete_days import dates_in_name, incomplete_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.reference import TABLES
from fleet_audit_tests.integration.small_fleet import DAY, PAID, bulletin, run_row, to_work, visit_report

ROW = run_row(1, PAID, "06:30", "06:45", 11)
NEXT = DAY + dt.timedelta(days=1)


def _incomplete(arrivals, day: dt.date = DAY) -> list[tuple[str, str, str]]:
    reference = Reference.of({table.name: arrivals.warehouse.read_table(table) for table in TABLES})
    rows = incomplete_days(arrivals.warehouse, arrivals.stage().declared_runs(day), reference, day)
    return [(row.source, row.carrier_code, row.file_name) for row in rows.itertuples()]


def test_a_refused_file_makes_the_day_in_its_name_incomplete_until_it_arrives_right(arrivals):
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    arrivals.drop("visit_reports/relatorio_2025-06-10.csv", b"rubbish")
    arrivals.read()
    assert _incomplete(arrivals) == [("visit_report", "", "visit_reports/relatorio_2025-06-10.csv")]
    assert ("visit_report", "", "visit_reports/relatorio_2025-06-10.csv") not in _incomplete(arrivals, NEXT)
    arrivals.drop("visit_reports/relatorio_2025-06-10.csv", visit_report({PAID: [to_work()]}))
    arrivals.read()
    assert _incomplete(arrivals) == []


def test_a_refused_version_makes_the_days_of_the_version_before_incomplete(arrivals):
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    arrivals.read()
    arrivals.drop("bulletins/boletim.csv", b"rubbish")
    arrivals.read()
    assert _incomplete(arrivals) == [("bulletin", "", "bulletins/boletim.csv")]


def test_a_refused_file_without_a_date_makes_the_day_before_its_arrival_incomplete(arrivals):
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    arrivals.drop("visit_reports/torn.csv", b"rubbish")  # it is 11 June
    arrivals.read()
    assert _incomplete(arrivals) == [("visit_report", "", "visit_reports/torn.csv")]


def test_the_same_bytes_in_the_right_folder_complete_the_day(arrivals):
    arrivals.drop("visit_reports/boletim_10062025.csv", bulletin(ROW))
    arrivals.read()
    assert ("visit_report", "", "visit_reports/boletim_10062025.csv") in _incomplete(arrivals)
    arrivals.drop("bulletins/boletim_10062025.csv", bulletin(ROW))
    arrivals.read()
    assert _incomplete(arrivals) == []


def test_a_carrier_without_a_bulletin_is_named(arrivals):
    arrivals.read()
    reference = Reference.of({table.name: arrivals.warehouse.read_table(table) for table in TABLES})
    runs = arrivals.stage().declared_runs(DAY)
    (row,) = incomplete_days(arrivals.warehouse, runs, reference, DAY).to_dict("records")
    assert (row["source"], row["carrier_code"]) == ("bulletin", "UM")
    assert row["reason_pt"] == "A transportadora Transportadora Um não enviou boletim de 10/06/2025."


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("bulletins/boletim_2025-06-10.csv", [DAY]),
        ("bulletins/date=2025-06-10/b.csv", [DAY]),
        ("bulletins/20250610.xlsx", [DAY]),
        ("bulletins/Boletim 10.06.2025 (2).csv", [DAY]),
        ("bulletins/10062025_11062025.csv", [DAY, NEXT]),
        ("bulletins/31022025.csv", []),
        ("bulletins/ata 1234567890.csv", []),
    ],
)
def test_dates_in_names(name, days):
    assert dates_in_name(name) == days

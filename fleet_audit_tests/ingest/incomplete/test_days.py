"""Days of which a file was refused or a bulletin is missing: said as data, until the right file arrives."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import pytest

from fleet_audit.ingest.api.pages import archive_page
from fleet_audit.ingest.incomplete.days import dates_in_name, incomplete_days
from fleet_audit.ingest.incomplete.vehicles import refused_vehicles
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference as reference_schema
from fleet_audit.schema.reference import TABLES
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    DEVICES,
    PAID,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)
from fleet_audit_tests.logic.frames import rows as rows_of

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


def _refused(arrivals, *days: dt.date) -> list[tuple[dt.date, str, str]]:
    stored = Reference.of({table.name: arrivals.warehouse.read_table(table) for table in TABLES})
    devices = [{"device_id": device, "plate": plate} for plate, device in DEVICES.items()]
    reference = stored.with_tables(devices=rows_of(reference_schema.DEVICES, *devices))
    found = refused_vehicles(arrivals.lake, arrivals.warehouse, reference, days)
    return [(row.operational_date, row.source, row.plate) for row in found.itertuples()]


@pytest.mark.parametrize("written", ["2025-06-10T06:30:00", "1749547800000", "10/06/2025 06:30:00"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_refused_rows_name_their_vehicle_and_day_until_the_file_arrives_right(arrivals, written, is_alone):
    """No zone, an epoch in ms, a Brazilian date; the only vehicle of its file, or beside another."""
    header, row, *_ = telemetry(drive(PAID, "06:30")).decode().splitlines()
    others = [] if is_alone else telemetry(drive(SEEN_TWICE, "06:30")).decode().splitlines()[1:]
    spoilt = ",".join([row.split(",")[0], written, *row.split(",")[2:]])
    arrivals.drop("telemetry/2025-06-10.csv", "\n".join([header, spoilt, *others, ""]).encode())
    arrivals.read()
    assert _refused(arrivals, DAY, NEXT) == [(DAY, "telemetry", PAID)]
    arrivals.drop("telemetry/2025-06-10.csv", telemetry(drive(PAID, "06:30")))
    arrivals.read()
    assert _refused(arrivals, DAY, NEXT) == []


def test_a_refused_run_names_its_plate_and_its_day_only(arrivals):
    arrivals.drop(
        "bulletins/boletim.csv", bulletin(ROW.replace("06:45", "46:45"), run_row(2, PAID, "07:30", "07:45", 9))
    )
    arrivals.read()
    assert _refused(arrivals, DAY, NEXT) == [(DAY, "bulletin", PAID)]


@pytest.mark.parametrize("plate", ["AAA-1A11", "aaa 1a11", "AAA1011"])
@pytest.mark.parametrize("day", ["10/06/2025", "10-06-2025", "10.6.2025", "2025-06-10"])
def test_a_refused_run_is_recognised_in_each_spelling_of_its_plate_and_day(arrivals, plate, day):
    """AAA1011 is the plate before it was registered anew."""
    row = ROW.replace("06:45", "46:45").replace(PAID, plate).replace("10/06/2025", day)
    arrivals.drop("bulletins/boletim.csv", bulletin(row, run_row(2, SEEN_TWICE, "07:30", "07:45", 9)))
    arrivals.read()
    assert _refused(arrivals, DAY, NEXT) == [(DAY, "bulletin", PAID)]


def test_refused_runs_that_write_the_month_first_are_of_both_days_that_they_may_name(arrivals):
    """06/10 beside 06/13 is the tenth of June or the sixth of October; the accepted run of the file is of the sixth."""
    days = ["06/10/2025", "06/13/2025", "06/14/2025", "06/15/2025"]
    rows = [ROW.replace("10/06/2025", day) for day in days]
    arrivals.drop("bulletins/b.csv", bulletin(*rows, run_row(2, SEEN_TWICE, "07:30", "07:45", 9, dt.date(2025, 6, 6))))
    arrivals.read()
    read = [dt.date(2025, 6, 9), DAY, NEXT, dt.date(2025, 6, 13), dt.date(2025, 10, 6)]
    named = [(day, "bulletin", PAID) for day in (DAY, dt.date(2025, 6, 13), dt.date(2025, 10, 6))]
    assert _refused(arrivals, *read) == named
    assert _refused(arrivals, DAY) == named[:1]


def test_a_refused_movement_names_the_vehicle_of_its_block_and_its_day(arrivals):
    report = visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}).replace(b"80,06:45:00", b"80,46:45:00", 1)
    arrivals.drop("visit_reports/relatorio.csv", report)
    arrivals.read()
    assert _refused(arrivals, DAY, NEXT) == [(DAY, "visit_report", PAID)]


def test_a_refused_position_with_an_instant_is_of_its_day_alone(arrivals):
    """Of a file of two days without a date in its name, one row with an illegible odometer."""
    _, row, *_ = telemetry(drive(PAID, "06:30")).decode().splitlines()
    before = DAY - dt.timedelta(days=1)
    others = [*drive(SEEN_TWICE, "06:30", before), *drive(SEEN_TWICE, "06:30")]
    arrivals.drop("telemetry/export.csv", telemetry([row.replace(",50000.0,", ",5x,"), *others]))
    arrivals.read()
    assert _refused(arrivals, before, DAY) == [(DAY, "telemetry", PAID)]


def test_items_of_the_api_that_were_refused_name_their_vehicle_and_the_day_of_their_page(arrivals):
    items = [{"device_id": DEVICES[PAID], "timestamp": "2025-06-10T06:30:00", "passengers": 18}]
    body = json.dumps({"data": items, "next_cursor": None}).encode()
    archive_page(arrivals.lake, DAY, body, hashlib.sha256(body).hexdigest())
    arrivals.stage().staged_positions(DAY)
    assert _refused(arrivals, DAY, NEXT) == [(DAY, "api", PAID)]

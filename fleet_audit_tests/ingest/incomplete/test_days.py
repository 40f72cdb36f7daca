"""Days of which a file was refused or a bulletin is missing: said as data, until the right file arrives."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import zipfile

import pandas as pd
import pytest

from fleet_audit.ingest.api.pages import archive_page
from fleet_audit.ingest.incomplete.days import dates_in_name, incomplete_days
from fleet_audit.ingest.incomplete.refused_files import refused_vehicle_days
from fleet_audit.ingest.incomplete.vehicles import refused_vehicles
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference as reference_schema
from fleet_audit.schema.reference import TABLES
from fleet_audit.storage.stores import Stores
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    DEVICES,
    PAID,
    SEEN_TWICE,
    WITHOUT_TARIFF,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)
from fleet_audit_tests.logic.frames import rows as rows_of

EACH = ",".join(DEVICES)
OF_UM = ",".join(plate for plate in DEVICES if plate != WITHOUT_TARIFF)
ROW = run_row(1, PAID, "06:30", "06:45", 11)
NEXT = DAY + dt.timedelta(days=1)


def _incomplete(arrivals, day: dt.date = DAY) -> list[tuple[str, str, str]]:
    rows = _rows(arrivals, day)
    return [(row["source"], row["carrier_code"], row["file_name"]) for row in rows]


def _rows(arrivals, day: dt.date) -> list[dict]:
    reference = _reference(arrivals)
    refused = refused_vehicle_days(Stores(arrivals.lake, arrivals.warehouse, arrivals.settings), reference, [day])
    rows = incomplete_days(refused, arrivals.stage().declared_runs(day), reference, day)
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def _reference(arrivals) -> Reference:
    """The tables, and one device per vehicle."""
    stored = Reference.of({table.name: arrivals.warehouse.read_table(table) for table in TABLES})
    devices = [{"device_id": device, "plate": plate} for plate, device in DEVICES.items()]
    return stored.with_tables(devices=rows_of(reference_schema.DEVICES, *devices))


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


def _at_noon(plate: str, at: str, *, last: str = "") -> str:
    return f"{DEVICES[plate]},{at},urbano,1000,0,0,,-22.5,-52.1{last}"


_HEADER = telemetry([]).decode().split(",velocidadeKmh")[0]
_NOON_EPOCH = 1749567600  # 10 June, 12:00 in São Paulo


@pytest.mark.parametrize(
    "lines",
    [
        [_HEADER, _at_noon(PAID, str(_NOON_EPOCH))],
        [_HEADER, _at_noon(PAID, f"{_NOON_EPOCH}000")],
        [_HEADER, _at_noon(PAID, "2025-06-10T12:00:00.5")],
        [f"{_HEADER},latitude", _at_noon(PAID, "2025-06-11T02:59:00Z", last=",-22.5")],
        [_HEADER.replace("timestamp", "quando"), _at_noon(PAID, "10/06/2025 12:00")],
    ],
    ids=["seconds", "milliseconds", "no zone", "repeated column", "other header"],
)
def test_positions_that_were_refused_are_missing_for_the_vehicle_and_day_that_they_name(arrivals, lines):
    """No date is in the name, and the file arrived months later."""
    arrivals.now += dt.timedelta(days=60)
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    arrivals.drop("telemetry/b.csv", "\n".join([*lines, ""]).encode())
    arrivals.read()
    assert [(row["source"], row["plates"]) for row in _rows(arrivals, DAY)] == [("telemetry", PAID)]
    assert "telemetry/b.csv" not in {row["file_name"] for row in _rows(arrivals, NEXT)}
    arrivals.drop("telemetry/b.csv", telemetry(drive(PAID, "06:30")))
    arrivals.read()
    assert _rows(arrivals, DAY) == []


def _zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.csv", content)
    return packed.getvalue()


_OTHER_ROW = run_row(2, SEEN_TWICE, "06:30", "06:45", 11)


@pytest.mark.parametrize(
    "content",
    [
        bulletin(ROW).replace("HORÁRIO SAÍDA,".encode(), b"DEPARTURE,"),
        bulletin(ROW).replace(b"EMPRESA", b"PLACA"),
        bulletin(ROW.replace(PAID, "aaa-1a11").replace("10/06/2025", "2025-06-10")).replace(b"DATA", b"DATE"),
        _zipped(bulletin(ROW)),
    ],
    ids=["missing column", "repeated column", "other spelling", "archive"],
)
def test_a_bulletin_that_was_refused_is_missing_for_the_vehicle_and_day_that_it_names(arrivals, content):
    """Another bulletin of the carrier was accepted."""
    arrivals.now += dt.timedelta(days=60)
    arrivals.drop("bulletins/dup.csv", content)
    arrivals.drop("bulletins/other.csv", bulletin(_OTHER_ROW))
    arrivals.read()
    assert [(row["source"], row["plates"]) for row in _rows(arrivals, DAY)] == [("bulletin", PAID)]
    assert "bulletins/dup.csv" not in {row["file_name"] for row in _rows(arrivals, NEXT)}


@pytest.mark.parametrize(
    ("others", "day"),
    [(["06/13/2025", "06/14/2025", "06/15/2025"], DAY), (["13/06/2025", "14/06/2025"], dt.date(2025, 10, 6))],
    ids=["month first", "day first"],
)
def test_the_days_of_a_refused_file_are_read_in_the_order_in_which_it_writes_them(arrivals, others, day):
    """06/10 beside 06/13 is the tenth of June, beside 13/06 the sixth of October."""
    arrivals.now += dt.timedelta(days=200)
    rows = [ROW.replace("10/06/2025", written) for written in ("06/10/2025", *others)]
    arrivals.drop("bulletins/b.csv", bulletin(*rows).replace(b"DATA", b"DATE"))
    arrivals.read()
    read = [DAY, dt.date(2025, 6, 13), dt.date(2025, 10, 6)]
    named = [at for at in read if "bulletins/b.csv" in {row["file_name"] for row in _rows(arrivals, at)}]
    assert named == sorted({day, dt.date(2025, 6, 13)})


def test_a_visit_report_that_was_refused_is_missing_for_its_vehicles_on_its_days(arrivals):
    """The plate stands above the movements; the name has the date of the export."""
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    report = visit_report({PAID: [to_work()]}).replace("distância (km)".encode(), b"x")
    arrivals.drop("visit_reports/relatorio.csv", report)
    arrivals.read()
    assert [(row["source"], row["plates"]) for row in _rows(arrivals, DAY)] == [("visit_report", PAID)]


def test_each_refused_version_of_a_name_counts(arrivals):
    """The second corrects a part and is refused as well: the vehicle of the first is still missing."""
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW, _OTHER_ROW))
    for plates in ([PAID, SEEN_TWICE], [PAID]):
        lines = ["dev,when", *(f"{DEVICES[plate]},2025-06-10T10:00:00" for plate in plates), ""]
        arrivals.drop("telemetry/x.csv", "\n".join(lines).encode())
        arrivals.read()
    assert [row["plates"] for row in _rows(arrivals, DAY)] == [",".join(sorted([PAID, SEEN_TWICE]))]
    arrivals.drop("telemetry/x.csv", b"dev,when\n8.6E+14,2025-06-10T10:00:00\n")
    arrivals.read()
    assert [row["plates"] for row in _rows(arrivals, DAY)] == [None]


def test_rows_whose_vehicle_cannot_be_read_concern_each_vehicle_on_their_days(arrivals):
    """One id of two was spoilt by a spreadsheet; then both, in a file that is named for the day of its export; then
    all of a file whose columns are as they should be, so that its rows were refused one by one.
    """
    arrivals.drop("bulletins/boletim.csv", bulletin(ROW))
    lines = ["dev,when", f"{DEVICES[PAID]},2025-06-10T10:00:00", "8.6E+14,2025-06-10T10:00:00", ""]
    arrivals.drop("telemetry/one.csv", "\n".join(lines).encode())
    arrivals.read()
    assert [row["plates"] for row in _rows(arrivals, DAY)] == [",".join(sorted(DEVICES))]
    arrivals.drop("telemetry/one.csv", telemetry(drive(PAID, "06:30")))
    spoilt = telemetry(drive(PAID, "06:30")).replace(f"\n{DEVICES[PAID]},".encode(), b"\n8.6E+14,")
    for content in ("\n".join([lines[0], *lines[2:]]).encode(), spoilt):
        arrivals.drop("telemetry/export_2025-06-11.csv", content)
        arrivals.read()
        found = [[row["plates"] for row in _rows(arrivals, day) if row["file_name"]] for day in (DAY, NEXT)]
        assert found == [[None], [None]]


@pytest.mark.parametrize(
    ("rows", "concerned"),
    [
        ([(PAID, "UM"), ("ZZZ9Z99", "UM")], OF_UM),
        ([(PAID, ""), ("ZZZ9Z99", "")], OF_UM),
        ([("ZZZ9Z99", "Transportadora UM")], OF_UM),
        ([(PAID, "UM"), ("ZZZ9Z99", "DOIS")], EACH),
        ([("ZZZ9Z99", "TRES")], None),
        ([("ZZZ9Z99", "")], None),
    ],
    ids=["by code", "by its plates", "by name", "of two carriers", "of none that is known", "by the code of a shift"],
)
def test_a_plate_of_no_vehicle_in_a_refused_bulletin_concerns_the_carriers_that_it_names(arrivals, rows, concerned):
    """Of two carriers' vehicles; a third one's code is that of a shift. The bulletin has a column twice."""
    vehicles = arrivals.warehouse.read_table(reference_schema.VEHICLES)
    is_other = vehicles["plate"] == WITHOUT_TARIFF
    vehicles["carrier_code"] = vehicles["carrier_code"].mask(is_other, "DOIS")
    arrivals.warehouse.replace_table(reference_schema.VEHICLES, vehicles)
    carriers = pd.DataFrame({"carrier_code": ["UM", "DOIS", "A"], "name": ["Transportadora Um", "Dois", "Três"]})
    arrivals.warehouse.replace_table(reference_schema.CARRIERS, carriers)
    written = [run_row(1, plate, "06:30", "06:45", 11).removesuffix("UM") + carrier for plate, carrier in rows]
    arrivals.drop("bulletins/um.csv", bulletin(*written).replace(b"QTDE PESSOAS", b"PLACA"))
    arrivals.read()
    assert [row["plates"] for row in _rows(arrivals, DAY) if row["file_name"]] == [concerned]


def test_a_file_in_which_nothing_is_legible_concerns_each_vehicle_in_the_late_window_before_its_arrival(arrivals):
    """It arrived on 11 June, and positions may be 24 h late: it may have held 9, 10 and 11 June."""
    arrivals.drop("telemetry/torn.csv", b"rubbish")
    arrivals.read()
    days = [DAY + dt.timedelta(days=at) for at in (-2, -1, 0, 1)]
    found = [[row["plates"] for row in _rows(arrivals, day) if row["file_name"]] for day in days]
    assert found == [[], *[[",".join(DEVICES)]] * 3]


def test_the_same_bytes_in_the_right_folder_complete_the_day(arrivals):
    arrivals.drop("visit_reports/boletim_10062025.csv", bulletin(ROW))
    arrivals.read()
    assert ("visit_report", "", "visit_reports/boletim_10062025.csv") in _incomplete(arrivals)
    arrivals.drop("bulletins/boletim_10062025.csv", bulletin(ROW))
    arrivals.read()
    assert _incomplete(arrivals) == []


def test_a_carrier_without_a_bulletin_is_named(arrivals):
    arrivals.read()
    (row,) = _rows(arrivals, DAY)
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
    found = refused_vehicles(arrivals.lake, arrivals.warehouse, _reference(arrivals), days)
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


def test_a_refused_position_of_a_device_that_is_not_known_names_no_vehicle(arrivals):
    items = [{"device_id": "x", "timestamp": 7}, {"device_id": DEVICES[PAID], "timestamp": 7}]
    body = json.dumps({"data": items, "next_cursor": None}).encode()
    archive_page(arrivals.lake, DAY, body, hashlib.sha256(body).hexdigest())
    arrivals.stage().staged_positions(DAY)
    assert sorted(_refused(arrivals, DAY, NEXT)) == [(DAY, "api", ""), (DAY, "api", PAID)]

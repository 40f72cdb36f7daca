"""The staging of a day is a function of what is archived: versions, zones, pages, and counts that reconcile."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import multiprocessing
import random
import tempfile
from collections.abc import Callable
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet_audit.defs.tables import computed_parts
from fleet_audit.errors import RetryableError
from fleet_audit.formats.api_page.positions import parse_page
from fleet_audit.ingest.api.pages import archived_pages, page_folder
from fleet_audit.ingest.api.parsed_pages import PARSED_PAGES_FOLDER, ParsedPagesFile
from fleet_audit.ingest.staged_days import StagedDays
from fleet_audit.ingest.staging import Stage, page_notes_path
from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.logic.primitives.workers.pools import map_in_processes
from fleet_audit.schema import reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.storage.table_days import Kept
from fleet_audit_tests.ingest.staged_frame import staged_frame
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    DEVICES,
    GARAGE,
    MILL,
    PAID,
    SEEN_TWICE,
    WITHOUT_TARIFF,
    Move,
    bulletin,
    drive,
    from_work,
    run_row,
    telemetry,
    to_work,
    visit_report,
)

NEXT = DAY + dt.timedelta(days=1)
IN_ANOTHER_ZONE = WITHOUT_TARIFF  # see the arrivals fixture


def _km(legs: pd.DataFrame) -> dict[str, list[str]]:
    return {plate: [str(km) for km in rows["reported_km"]] for plate, rows in legs.groupby("plate")}


def test_a_newer_version_replaces_the_vehicle_days_that_it_covers(arrivals):
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work(), from_work()], SEEN_TWICE: [to_work()]}))
    arrivals.read()
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work("13.40")]}))
    arrivals.read()
    assert _km(arrivals.stage().visit_legs(DAY)) == {PAID: ["13.40"], SEEN_TWICE: ["11.20"]}
    assert arrivals.counts("visit_legs") == {DAY: (2, 2, 0, 0)}


def test_a_version_in_which_a_vehicle_stood_still_empties_its_day(arrivals):
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}))
    arrivals.read()
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [], SEEN_TWICE: [to_work()]}))
    arrivals.read()
    assert set(_km(arrivals.stage().visit_legs(DAY))) == {SEEN_TWICE}


def test_two_files_with_the_same_movement_are_one_row_and_a_duplicate(arrivals):
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()]}))
    arrivals.drop("visit_reports/b.csv", visit_report({PAID: [to_work(), from_work()]}))
    arrivals.read()
    assert _km(arrivals.stage().visit_legs(DAY)) == {PAID: ["11.20", "11.20"]}
    assert arrivals.counts("visit_legs") == {DAY: (3, 2, 0, 1)}


def test_a_movement_under_way_in_one_export_and_complete_in_the_next_is_one_row(arrivals):
    """It was two: their trips had one name, and the whole fleet's day was not written."""
    arrivals.drop("visit_reports/0655.csv", visit_report({PAID: [Move("06:30", GARAGE, "8.00", "06:40", "Rodovia")]}))
    arrivals.drop("visit_reports/1000.csv", visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}))
    arrivals.read()
    assert _km(arrivals.stage().visit_legs(DAY)) == {PAID: ["11.20"], SEEN_TWICE: ["11.20"]}
    assert arrivals.counts("visit_legs") == {DAY: (3, 2, 0, 1)}


def test_a_movement_over_midnight_in_the_reports_of_both_days_is_one_row_of_the_first(arrivals):
    """The report of the second day begins at midnight with the rest of it."""
    whole = visit_report({PAID: [Move("23:40", GARAGE, "28.00", "24:30", MILL)]})
    rest = visit_report({PAID: [Move("00:00", "Rodovia", "17.00", "00:30", MILL), to_work()]}, NEXT)
    arrivals.drop("visit_reports/10.csv", whole.replace(b",24:30:00,", b",00:30:00,"))
    arrivals.drop("visit_reports/11.csv", rest)
    arrivals.read()
    stage = arrivals.stage()
    assert _km(stage.visit_legs(DAY)) == {PAID: ["28.00"]}
    assert _km(stage.visit_legs(NEXT)) == {PAID: ["11.20"]}
    assert arrivals.counts("visit_legs") == {DAY: (1, 1, 0, 0), NEXT: (2, 1, 0, 1)}


def test_one_run_in_two_bulletins_is_one(arrivals):
    row = run_row(1, PAID, "06:30", "06:45", 11)
    arrivals.drop("bulletins/a.csv", bulletin(row))
    arrivals.drop("bulletins/b.csv", bulletin(row, run_row(2, PAID, "15:30", "15:45", 11)))
    arrivals.read()
    assert len(arrivals.stage().declared_runs(DAY)) == 2
    assert arrivals.counts("declared_runs") == {DAY: (3, 2, 0, 1)}


def test_clocks_are_those_of_the_vehicles_unit(arrivals):
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()], IN_ANOTHER_ZONE: [to_work()]}))
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, IN_ANOTHER_ZONE, "06:30", "06:45", 11)))
    arrivals.read()
    legs = arrivals.stage().visit_legs(DAY).set_index("plate")["started_at"]
    assert legs[PAID] == pd.Timestamp("2025-06-10T09:30Z")
    assert legs[IN_ANOTHER_ZONE] == pd.Timestamp("2025-06-10T10:30Z")
    assert arrivals.stage().declared_runs(DAY)["started_at"].to_list() == [pd.Timestamp("2025-06-10T10:30Z")]


@pytest.mark.parametrize("written", ["UM", "um", "Transportadora Um", "TRANSPORTADORA  UM"])
def test_a_carrier_writes_its_code_or_its_name(arrivals, written):
    row = run_row(1, PAID, "06:30", "06:45", 11)
    arrivals.drop("bulletins/a.csv", bulletin(row.removesuffix("UM") + written))
    arrivals.read()
    assert arrivals.stage().declared_runs(DAY)["carrier_code"].to_list() == ["UM"]


def _page(arrivals, day: dt.date, items: list[dict]) -> None:
    body = json.dumps({"data": items, "next_cursor": None}).encode()
    arrivals.lake.put_bytes(f"{page_folder(day)}/{hashlib.sha256(body).hexdigest()}.json", body)


def _items(count: int) -> list[dict]:
    start = dt.datetime(2025, 6, 10, 9, 0, tzinfo=dt.UTC)
    return [
        {
            "device_id": "1", "timestamp": (start + dt.timedelta(minutes=number)).isoformat(),
            "latitude": -22.5, "longitude": -52.1, "speed_kmh": 0.0, "odometer_km": 100.0 + number,
            "ignition": True, "driver_id": None, "passengers": None,
        }
        for number in range(count)
    ]  # fmt: skip


_FACTS = ["device_id", "recorded_at", "latitude", "longitude", "odometer_km"]


def test_positions_twice_and_in_any_order_are_the_same_rows(arrivals, settings):
    items = _items(40)
    _page(arrivals, DAY, items)
    once = staged_frame(arrivals.stage(), DAY)
    assert len(once) == 40
    shuffled = items + items[:10]
    random.Random(1).shuffle(shuffled)
    _page(arrivals, DAY, shuffled[:30])
    _page(arrivals, DAY, shuffled[30:])
    twice = staged_frame(arrivals.stage(), DAY)
    pd.testing.assert_frame_equal(twice[_FACTS], once[_FACTS])
    assert arrivals.counts("positions") == {DAY: (90, 40, 0, 50)}


def test_a_driver_spelt_in_two_ways_has_one_name_whichever_page_is_read_first(arrivals):
    """It was the name of the page that a thread had parsed first."""
    item, driver = _items(1)[0], driver_pseudonym("Ana Dias", b"key")
    for number, name in enumerate(("ana dias", "ANA DIAS", "Ana  Dias", "Unknown")):
        _page(arrivals, DAY, [{**item, "driver_id": name, "odometer_km": 100.0 + number}])
    assert staged_frame(arrivals.stage(), DAY)["driver_id"].to_list() == [driver]
    known = arrivals.warehouse.read("select driver_id, name from ref.drivers", {})
    assert known.to_dict("records") == [{"driver_id": driver, "name": "ANA DIAS"}]


@pytest.mark.parametrize("days", [(DAY, NEXT), (NEXT, DAY)], ids=["in order", "the later day first"])
def test_a_driver_spelt_in_two_ways_has_one_name_whichever_day_is_staged_first(arrivals, days):
    """It was the spelling of the day that was run first; that of a registered driver stays."""
    registered = {"driver_id": driver_pseudonym("Eva Reis", b"key"), "name": "eva reis"}
    rows = pd.DataFrame([registered, registered | {"driver_id": "M7"}])
    arrivals.warehouse.upsert(reference.DRIVERS, conform(rows, reference.DRIVERS))
    item = _items(1)[0]
    for day, spellings in ((DAY, ("ana dias", "EVA REIS")), (NEXT, ("Ana  Dias", "Eva Reis"))):
        instants = [f"{day}T12:0{minute}:00Z" for minute in range(2)]
        items = zip(instants, spellings, strict=True)
        _page(arrivals, day, [{**item, "timestamp": at, "driver_id": name} for at, name in items])
    for day in days:
        arrivals.stage().staged_positions(day)
    names = arrivals.warehouse.read("select name from ref.drivers order by driver_id = 'M7', name", {})["name"]
    assert names.to_list() == ["Ana  Dias", "eva reis", "eva reis"]


def test_the_fuller_of_two_unequal_rows_wins_and_the_other_is_kept_as_conflict(arrivals):
    item = _items(1)[0]
    _page(arrivals, DAY, [{**item, "odometer_km": None}, item, {**item, "odometer_km": "broken"}])
    (row,) = staged_frame(arrivals.stage(), DAY).to_dict("records")
    assert row["odometer_km"] == 100.0
    rejected = arrivals.warehouse.read("select reason_code, raw from ops.rejected_rows", {})
    assert set(rejected["reason_code"]) == {"conflict"}
    read, accepted, bad, duplicate = arrivals.counts("positions")[DAY]
    assert (read, accepted) == (3, 1)
    assert read == accepted + bad + duplicate


def test_a_row_outside_of_the_window_is_left_out_and_counted(arrivals):
    stray = {**_items(1)[0], "timestamp": "2025-06-12T09:00:00Z"}
    _page(arrivals, DAY, [*_items(2), stray])
    assert len(staged_frame(arrivals.stage(), DAY)) == 2
    assert arrivals.counts("positions") == {DAY: (3, 2, 1, 0)}
    assert arrivals.warehouse.read("select reason_code from ops.rejected_rows", {})["reason_code"].to_list() == [
        "outside_window"
    ]


def test_positions_of_a_file_and_of_the_api_are_one_row_an_instant(arrivals):
    arrivals.drop("telemetry/a.csv", telemetry(drive(PAID, "06:30")))
    arrivals.read()
    from_file = staged_frame(arrivals.stage(), DAY)
    _page(arrivals, DAY, [
        {"device_id": row.device_id, "timestamp": row.recorded_at.isoformat(), "latitude": row.latitude,
         "longitude": row.longitude, "speed_kmh": row.speed_kmh, "odometer_km": row.odometer_km,
         "ignition": bool(row.ignition), "passengers": int(row.passengers)}
        for row in from_file.itertuples()
    ])  # fmt: skip
    both = staged_frame(arrivals.stage(), DAY)
    pd.testing.assert_frame_equal(both[_FACTS], from_file[_FACTS])
    read, accepted, bad, duplicate = arrivals.counts("positions")[DAY]
    assert (read, accepted, bad + duplicate) == (2 * len(both), len(both), len(both))


def test_a_day_without_anything_has_no_rows_and_is_counted(arrivals):
    stage = arrivals.stage()
    for build in (partial(staged_frame, stage), stage.visit_legs, stage.declared_runs, stage.source_notes):
        assert build(NEXT).empty
    for source in ("positions", "visit_legs", "declared_runs"):
        assert arrivals.counts(source) == {NEXT: (0, 0, 0, 0)}


def test_the_instant_decides_the_day_of_a_position(arrivals):
    """23:50 to 00:20 in São Paulo: two days of the lake."""
    arrivals.drop("telemetry/a.csv", telemetry(drive(PAID, "23:55")))
    arrivals.read()
    today, tomorrow = (staged_frame(arrivals.stage(), day) for day in (DAY, NEXT))
    midnight = pd.Timestamp("2025-06-11T03:00Z")
    assert len(today) > 20
    assert len(tomorrow) > 20
    assert (today["recorded_at"] < midnight).all()
    assert (tomorrow["recorded_at"] >= midnight).all()


@pytest.mark.parametrize("parts", [1, 3])
def test_a_device_whose_numbers_come_as_texts_is_noted_once_with_page_item_and_value(arrivals, parts):
    """Nothing reported it: the positions were accepted, and the vehicle was silent, or driven without an odometer."""
    spoilt = [{**item, "odometer_km": "12,5", "driver_id": 7} for item in _items(6)]
    few = [{**item, "device_id": "2", "odometer_km": "n/a" if number < 2 else 1.0}
           for number, item in enumerate(_items(6))]  # fmt: skip
    items = [*few, *spoilt]
    for part in range(parts):
        _page(arrivals, DAY, items[part::parts])
    staged = staged_frame(arrivals.stage(), DAY)
    assert staged["odometer_km"].notna().groupby(staged["device_id"]).sum().to_dict() == {"1": 0, "2": 4}
    (note,) = arrivals.stage().source_notes(DAY).to_dict("records")
    assert (note["note_code"], note["expected"]) == ("wrong_type", "driver_id: um texto; odometer_km: um número")
    assert note["found"] == "driver_id: um número; odometer_km: um texto, '12,5' (equipamento 1)"
    item = json.loads(arrivals.lake.get_bytes(note["file_name"]))["data"][note["row_number"] - 1]
    assert item["odometer_km"] == "12,5"
    assert "wrong_type" not in str(arrivals.stage().source_notes(NEXT))


def test_an_odometer_in_metres_all_day_is_noted_and_a_few_such_readings_are_not(arrivals):
    """Beyond any dial it counts as absent: nothing said why the vehicle was driven without an odometer."""
    metres = [{**item, "odometer_km": 201_869_000 + number} for number, item in enumerate(_items(6))]
    few = [{**item, "device_id": "2", "odometer_km": 4e9 if number < 2 else 1.0}
           for number, item in enumerate(_items(6))]  # fmt: skip
    _page(arrivals, DAY, [*few, *metres])
    staged = staged_frame(arrivals.stage(), DAY)
    assert staged["odometer_km"].notna().groupby(staged["device_id"]).sum().to_dict() == {"1": 0, "2": 4}
    (note,) = arrivals.stage().source_notes(DAY).to_dict("records")
    assert (note["note_code"], note["expected"]) == ("wrong_type", "odometer_km: um número de 0 a 10.000.000 km")
    assert note["found"] == "odometer_km: um número, '201869000' (equipamento 1)"


def test_a_few_wrong_values_of_the_day_are_not_noted_for_coming_again_or_for_those_of_the_day_before(arrivals):
    """6 of 20 positions were counted once per page that brought them, beside those of another day in the same page."""
    items = [{**item, "odometer_km": "12,5"} if number < 6 else item for number, item in enumerate(_items(20))]
    before = [
        {**item, "timestamp": item["timestamp"].replace("06-10", "06-09"), "odometer_km": "12,5"} for item in items
    ]
    for page in (items, [*before, *items], [*items, *_items(21)[20:]]):
        _page(arrivals, DAY, page)
    assert len(staged_frame(arrivals.stage(), DAY)) == 21
    assert arrivals.stage().source_notes(DAY).empty


def test_a_wrong_value_that_comes_again_as_it_should_be_is_not_noted(arrivals):
    _page(arrivals, DAY, [{**item, "odometer_km": "12,5"} for item in _items(4)])
    _page(arrivals, DAY, _items(4))
    assert staged_frame(arrivals.stage(), DAY)["odometer_km"].notna().all()
    assert arrivals.stage().source_notes(DAY).empty


def test_a_gps_week_roll_over_is_noted_for_its_vehicle_from_a_file_and_from_the_api(arrivals):
    """Nothing else would report it: the rows are refused, and the vehicle is silent on the day that they meant."""
    device = {"device_id": DEVICES[SEEN_TWICE], "plate": SEEN_TWICE, "valid_from": DAY, "valid_to": None}
    arrivals.warehouse.replace_table(reference.DEVICES, conform(pd.DataFrame([device]), reference.DEVICES))
    rows = drive(PAID, "06:00")
    moved = [row.replace("2025-06-10", "2005-10-25") for row in drive(SEEN_TWICE, "06:00")]
    arrivals.drop("telemetry/a.csv", telemetry([*rows, *moved]))
    arrivals.read()
    unknown = {**_items(1)[0], "device_id": "not registered", "timestamp": "2005-10-25T09:00:00Z"}
    _page(arrivals, DAY, [unknown, {**unknown, "timestamp": "2005-10-25T09:01:00Z"}])
    staged_frame(arrivals.stage(), DAY)
    notes = arrivals.stage().source_notes(DAY).sort_values("source_kind")
    assert set(notes["note_code"]) == {"gps_week_rollover"}
    assert notes["source_kind"].tolist() == ["positions", "telemetry"]
    assert [None if pd.isna(plate) else plate for plate in notes["plate"]] == [None, SEEN_TWICE]
    assert "not registered" in notes["found"].iloc[0]
    assert arrivals.stage().source_notes(NEXT).empty


WEEK = [DAY + dt.timedelta(days=offset) for offset in range(-5, 2)]


def _made(
    arrivals,
    processes: int = 1,
    days: list[dt.date] = WEEK,
    versions: str = "0.1.0",
    warn: Callable[[str], None] = pytest.fail,
) -> list[dt.date]:
    """Stages the days as a run does, and returns those that were made again."""
    made, compute = [], partial(computed_parts, processes=processes)
    staged = StagedDays(arrivals.lake, arrivals.warehouse, "a-run", warn)
    for day, given in staged.positions(arrivals.stage(), days, versions, compute):
        if not isinstance(given, Kept):
            made.append(day)
            arrivals.lake.write_encoded(STAGING_POSITIONS, day, given)
    return made


def test_a_day_is_made_again_only_when_what_it_is_made_of_has_changed(arrivals):
    _page(arrivals, DAY, _items(40))
    arrivals.drop("telemetry/t.csv", telemetry(drive(PAID, "06:30")))
    arrivals.read()
    assert _made(arrivals) == WEEK
    counts, before = arrivals.counts("positions"), pd.Timestamp.now("UTC")
    assert _made(arrivals) == []
    assert arrivals.counts("positions") == counts
    instants = arrivals.warehouse.read("select min(updated_at) as at from ops.stage_counts", {})["at"]
    assert instants.iloc[0] >= before, "a kept day holds what has arrived until now"
    late = WEEK[2]
    arrivals.drop("telemetry/late.csv", telemetry(drive(PAID, "06:30", day=late)))
    arrivals.read()
    assert _made(arrivals) == [day for day in WEEK if abs(day - late) <= dt.timedelta(days=1)]
    assert len(arrivals.lake.read_days(STAGING_POSITIONS, [late])) > 0
    _page(arrivals, WEEK[0], [])
    assert _made(arrivals) == [WEEK[0]]


@pytest.mark.parametrize(
    ("limit", "value"),
    [("fleet_audit.defs.tables._POOL_FROM_DAYS", 7), ("fleet_audit.ingest.staged_days._LARGE_DAY_PAGES", 1)],
    ids=["a long range", "a morning of a large fleet, whose day before changed too"],
)
def test_processes_stage_days_as_one_process_does(arrivals, monkeypatch, limit, value):
    """A page with a position of another time too: what is refused is recorded by the run, not by a process."""
    monkeypatch.setattr(limit, value)
    staged_in = _processes_of_staging(monkeypatch)
    _page(arrivals, DAY, [*_items(40), {"device_id": "1", "timestamp": "2025-08-01T12:00:00Z"}])
    _page(arrivals, NEXT, [{**_items(1)[0], "timestamp": "2025-06-11T12:00:00Z"}])
    arrivals.drop("telemetry/t.csv", telemetry(drive(PAID, "06:30")))
    arrivals.read()
    assert _made(arrivals) == WEEK
    alone = _left(arrivals)
    assert _made(arrivals, processes=2) == [], "days that have not changed are recognised"
    arrivals.warehouse.execute("delete from ops.day_digests")
    arrivals.warehouse.execute("delete from ops.rejected_rows")
    arrivals.warehouse.execute("delete from ops.position_hours")
    assert _made(arrivals, processes=2) == WEEK
    assert staged_in == [1, 2]
    assert _left(arrivals) == alone


def test_an_error_while_a_day_is_recorded_ends_the_processes_and_removes_what_they_wrote(
    arrivals, monkeypatch, tmp_path
):
    """They wrote on beside the removal of their folder: its failure was reported in the place of the error."""
    monkeypatch.setattr("fleet_audit.defs.tables._POOL_FROM_DAYS", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for day in WEEK:
        _page(arrivals, day, _items(40))
    monkeypatch.setattr(Stage, "record_positions", _unreachable)
    with pytest.raises(RetryableError, match="cannot be reached"):
        _made(arrivals, processes=2)
    assert multiprocessing.active_children() == []
    assert list(tmp_path.glob("staging*")) == []


def _unreachable(*_) -> None:
    raise RetryableError("The warehouse cannot be reached.")


def test_a_file_that_comes_while_days_are_computed_ahead_is_not_taken_for_one_of_them(arrivals, monkeypatch):
    """Of five days the rows are read before the first is recorded, and the counts had the instant of the recording."""
    monkeypatch.setattr("fleet_audit.defs.tables._POOL_FROM_DAYS", 1)
    read_at, read = [], Stage.position_arrivals

    def reading(stage, day, listed):
        arrived = read(stage, day, listed)
        read_at.append(pd.Timestamp.now("UTC"))
        return arrived

    monkeypatch.setattr(Stage, "position_arrivals", reading)
    assert _made(arrivals, processes=2) == WEEK
    counted = arrivals.warehouse.read("select partition_date, updated_at from ops.stage_counts order by 1")
    assert (counted.groupby("partition_date")["updated_at"].max().to_numpy() <= pd.Series(read_at).to_numpy()).all()


def _processes_of_staging(monkeypatch) -> list[int]:
    """The number of processes that each later staging of days takes."""
    seen: list[int] = []

    def seeing(work, items, processes, preloaded):
        seen.append(processes)
        return map_in_processes(work, items, processes, preloaded)

    monkeypatch.setattr("fleet_audit.defs.tables.map_in_processes", seeing)
    return seen


def _left(arrivals) -> list[object]:
    """What staging leaves of the week: bytes, counts, refused rows and digests of hours."""
    refused = arrivals.warehouse.read("select row_number, reason_code from ops.rejected_rows order by 1, 2")
    hours = arrivals.warehouse.read("select hour_at, rows_accepted, digest from ops.position_hours order by 1")
    assert not refused.empty
    assert not hours.empty
    files = [arrivals.lake.sha256(arrivals.lake.partition_path(STAGING_POSITIONS, day)) for day in WEEK]
    return [files, arrivals.counts("positions"), refused.to_csv(index=False), hours.to_csv(index=False)]


def test_a_day_whose_file_is_lost_or_damaged_or_whose_page_was_replaced_is_made_again(arrivals):
    _page(arrivals, DAY, _items(40))
    assert _made(arrivals) == WEEK
    path = arrivals.lake.partition_path(STAGING_POSITIONS, DAY)
    content = arrivals.lake.get_bytes(path)
    arrivals.lake.delete(path)
    assert _made(arrivals) == [DAY]
    arrivals.lake.put_bytes(path, content[:-1])
    assert _made(arrivals) == [DAY]
    assert arrivals.lake.get_bytes(path) == content
    (page,) = archived_pages(arrivals.lake, DAY)
    arrivals.lake.put_bytes(page, b"not what was received")
    assert _made(arrivals) == [DAY]
    assert archived_pages(arrivals.lake, DAY) == []  # it was set aside


def test_a_file_whose_every_row_is_rolled_over_is_noted_on_the_day_that_was_meant(arrivals):
    """Such a file covers no day; it was found for none, and the vehicle was silent without a reason."""
    device = {"device_id": DEVICES[SEEN_TWICE], "plate": SEEN_TWICE, "valid_from": DAY, "valid_to": None}
    arrivals.warehouse.replace_table(reference.DEVICES, conform(pd.DataFrame([device]), reference.DEVICES))
    arrivals.drop(
        "telemetry/a.csv", telemetry([row.replace("2025-06-10", "2005-10-25") for row in drive(SEEN_TWICE, "06:00")])
    )
    (file,) = arrivals.read().files.to_dict("records")
    assert (file["rows_accepted"], file["first_date"], file["last_date"]) == (0, DAY, DAY)
    staged_frame(arrivals.stage(), DAY)
    (note,) = arrivals.stage().source_notes(DAY).to_dict("records")
    assert (note["note_code"], note["plate"]) == ("gps_week_rollover", SEEN_TWICE)


@pytest.fixture
def parsed_pages(monkeypatch) -> list[int]:
    """The number of items of each page that is parsed from now on."""
    parsed: list[int] = []

    def parsing(*arguments):
        page = parse_page(*arguments)
        parsed.append(page.rows)
        return page

    monkeypatch.setattr("fleet_audit.ingest.api.positions.parse_page", parsing)
    return parsed


def _staged_anew(arrivals) -> str:
    """SHA-256 of the day's positions, of which all pages are parsed."""
    return arrivals.stage().staged_positions(DAY).sha256


def _stored(arrivals) -> str:
    return arrivals.lake.sha256(arrivals.lake.partition_path(STAGING_POSITIONS, DAY))


def test_of_a_day_that_is_staged_again_only_new_pages_are_parsed(arrivals, parsed_pages):
    """Devices that deliver late bring new pages for a day whose other pages are known."""
    items = [{**item, "driver_id": "Ana Dias"} for item in _items(44)]
    _page(arrivals, DAY, items[:40])
    assert _made(arrivals) == WEEK
    for number, known in enumerate(([40], [40, 31], [40, 31, 32])):
        new = items[10 - number : 41]  # repeats most of what is known
        _page(arrivals, DAY, [{"device_id": "0", **item} for item in new])
        parsed_pages.clear()
        assert _made(arrivals) == [DAY]
        assert parsed_pages == [len(new)]
        counts = arrivals.counts("positions")[DAY]
        assert counts == (sum(known) + len(new), 41, 0, sum(known) + len(new) - 41)
        assert _stored(arrivals) == _staged_anew(arrivals)
    kept = arrivals.lake.list(PARSED_PAGES_FOLDER)
    assert len(kept) == 4
    assert not [path for path in kept if b"Ana" in pq.read_table(arrivals.lake.url(path)).to_pandas().to_csv().encode()]


@pytest.mark.parametrize("content", [None, b"no Parquet"], ids=["lost", "damaged"])
def test_pages_whose_kept_rows_are_lost_or_damaged_are_parsed_again(arrivals, parsed_pages, content):
    _page(arrivals, DAY, _items(40))
    _made(arrivals)
    (kept,) = arrivals.lake.list(PARSED_PAGES_FOLDER)
    arrivals.lake.delete(kept)
    if content is not None:
        arrivals.lake.put_bytes(kept, content)
    _page(arrivals, DAY, _items(41))
    parsed_pages.clear()
    assert _made(arrivals) == [DAY]
    assert sorted(parsed_pages) == [40, 41]
    assert _stored(arrivals) == _staged_anew(arrivals)


def test_pages_are_parsed_again_by_another_version_and_when_the_page_itself_is_damaged(arrivals, parsed_pages):
    _page(arrivals, DAY, _items(40))
    _page(arrivals, DAY, [*_items(3), {"device_id": "no instant"}])
    _made(arrivals)
    parsed_pages.clear()
    assert _made(arrivals, versions="0.2.0") == WEEK
    assert sorted(parsed_pages) == [4, 40]
    kept = arrivals.lake.list(PARSED_PAGES_FOLDER)
    assert len(kept) == 1, "files of the version before are removed"
    _page(arrivals, DAY, _items(42))
    parsed_pages.clear()
    _made(arrivals, versions="0.2.0")
    assert sorted(parsed_pages) == [4, 42], "a page with a rejected item is not kept: its raw text may hold a name"
    page = archived_pages(arrivals.lake, DAY)[0]
    arrivals.lake.put_bytes(page, b"{}")
    assert _made(arrivals, versions="0.2.0") == [DAY]
    assert page not in archived_pages(arrivals.lake, DAY)
    assert _stored(arrivals) == _staged_anew(arrivals)


def test_parsed_pages_are_kept_of_those_days_alone_that_the_next_morning_stages_again(arrivals, monkeypatch):
    encoded, add = [], ParsedPagesFile.add

    def adding(file: ParsedPagesFile, page: str, rows: pa.Table) -> None:
        encoded.append(page)
        add(file, page, rows)

    monkeypatch.setattr(ParsedPagesFile, "add", adding)
    for day in WEEK:
        _page(arrivals, day, [{**_items(1)[0], "timestamp": f"{day}T12:00:00Z"}])
    _made(arrivals)
    assert len(encoded) == 3, "pages of other days are not encoded for nothing"
    folders = [path.split("/")[2] for path in arrivals.lake.list(PARSED_PAGES_FOLDER)]
    assert folders == [f"date={day}" for day in WEEK[-3:]]
    _made(arrivals, days=[day + dt.timedelta(days=2) for day in WEEK])
    assert [path.split("/")[2] for path in arrivals.lake.list(PARSED_PAGES_FOLDER)] == [f"date={WEEK[-1]}"]


def test_a_day_is_staged_although_its_parsed_pages_cannot_be_kept(arrivals):
    """Nothing depends on them: without them the next run parses the day's pages again."""
    arrivals.lake.put_bytes(PARSED_PAGES_FOLDER, b"a file where the folder would be")
    _page(arrivals, DAY, _items(40))
    warnings: list[str] = []
    assert _made(arrivals, warn=warnings.append) == WEEK
    assert warnings[0].startswith(f"The parsed pages of {DAY} were not kept, the run goes on: Cannot write ")
    assert _stored(arrivals) == _staged_anew(arrivals)
    assert _made(arrivals, warn=warnings.append) == []


@pytest.mark.parametrize("content", [None, b"no Parquet"], ids=["lost", "damaged"])
def test_notes_on_pages_that_are_lost_or_damaged_are_made_again(arrivals, content):
    rollover = dt.timedelta(weeks=1024)
    earlier = [str(dt.datetime.fromisoformat(item["timestamp"]) - rollover).replace(" ", "T") for item in _items(40)]
    _page(arrivals, DAY, [{**item, "timestamp": at} for item, at in zip(_items(40), earlier, strict=True)])
    _made(arrivals)
    notes, whole = page_notes_path(DAY), arrivals.lake.get_bytes(page_notes_path(DAY))
    arrivals.lake.delete(notes)
    if content is not None:
        arrivals.lake.put_bytes(notes, content)
    assert _made(arrivals) == [DAY]
    assert arrivals.lake.get_bytes(notes) == whole

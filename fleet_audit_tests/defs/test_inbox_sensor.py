"""The sensor on a real inbox: what it asks for when files arrive, change, stay, are half written or make no sense."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from fleet_audit.cli.demo import settle_inbox
from fleet_audit.defs import sensors
from fleet_audit.defs.resources import FleetResource
from fleet_audit.ingest.inbox.ingestion import ingest_inbox
from fleet_audit.installation import Installation
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import PENDING_DEVICES
from fleet_audit.simulation.fleet import simulate
from fleet_audit_tests.dagster_instance import dagster_instance
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    REFERENCE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)

LARGEST_FILE = 10 * 1024 * 1024
FILES_A_TICK = 20  # less than are read in practice, for cheap tests
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
ONE_DAY = dt.timedelta(days=1)


class Watched:
    """An inbox and the sensor that looks at it, tick by tick; the cursor is kept as the daemon keeps it."""

    def __init__(
        self, inbox: Path, repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, warehouse_url: str = ""
    ) -> None:
        self.inbox = inbox
        self.url = ""  # of an inbox elsewhere
        self.warehouse_url = warehouse_url
        self.cursor: str | None = None
        self._repository = repository
        self._instance = instance
        self._sensor = repository.get_sensor_def("inbox_sensor")

    def drop(self, name: str, content: bytes, *, seconds_ago: float = 60) -> None:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - seconds_ago
        os.utime(path, (then, then))

    @property
    def fleet(self) -> FleetResource:
        return FleetResource(
            inbox_url=self.url or str(self.inbox),
            home=str(self.inbox.parent / "home"),
            warehouse_url=self.warehouse_url,
        )

    def tick(self) -> list[dg.RunRequest]:
        """What the sensor requests of files that stay the same for two of its ticks."""
        return [*self.one_tick(), *self.one_tick()]

    def one_tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            repository_def=self._repository,
            resources={"fleet": self.fleet},
        )
        result = self._sensor.evaluate_tick(context)
        self.skipped = result.skip_message
        self.cursor = result.cursor
        return list(result.run_requests or [])

    def seen(self) -> set[str]:
        known = self.fleet.warehouse().read("select file_name from ops.inbox_requests", {})
        rows = json.loads(self.cursor)["rows"] if self.cursor else []
        return {*known["file_name"], *(row["file_name"] for row in rows)}


@pytest.fixture
def watched(tmp_path, repository, postgres_url, monkeypatch) -> Iterator[Watched]:
    """Its ticks end by the number and size of files; a busy machine would end them by their seconds."""
    monkeypatch.setattr(sensors, "MAX_FILES_A_TICK", FILES_A_TICK)
    monkeypatch.setattr(sensors, "MAX_SECONDS_A_TICK", 3600)
    (tmp_path / "inbox").mkdir()
    with dagster_instance(tmp_path / "instance") as instance:
        yield Watched(tmp_path / "inbox", repository, instance, postgres_url)


def _spans(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [(request.tags[START], request.tags[END]) for request in requests]


def _days_ago(days: int) -> str:
    return (dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date() - days * ONE_DAY).isoformat()


def _yesterday() -> str:
    return _days_ago(1)


def _report(day: dt.date, km: str = "11.20") -> bytes:
    return visit_report({PAID: [to_work(km)]}, day)


def test_a_new_file_requests_once_the_days_that_it_touches_however_old(watched):
    watched.drop("visit_reports/old.csv", _report(dt.date(2024, 2, 29)))
    (request,) = watched.tick()
    assert _spans([request]) == [("2024-02-29", "2024-02-29")]
    assert request.tags["fleet/trigger"] == "inbox"
    assert watched.tick() == []
    assert "Nothing new" in watched.skipped


@pytest.mark.parametrize(
    ("name", "content", "span"),
    [
        # what a night shift's bulletin says may belong to the day after
        ("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11)), ("2025-06-10", "2025-06-11")),
        # the first positions of a day end a trip of the day before
        ("telemetry/a.csv", telemetry(drive(PAID, "06:30")), ("2025-06-09", "2025-06-10")),
        ("visit_reports/a.csv", _report(DAY), ("2025-06-10", "2025-06-10")),
    ],
)
def test_a_file_re_runs_the_days_whose_results_it_can_change(watched, name, content, span):
    watched.drop(name, content)
    assert _spans(watched.tick()) == [span]


def test_files_of_neighbouring_days_are_one_run(watched):
    for number in range(3):
        watched.drop(f"visit_reports/{number}.csv", _report(DAY + number * ONE_DAY))
    watched.drop("visit_reports/far.csv", _report(dt.date(2025, 3, 1)))
    assert _spans(watched.tick()) == [("2025-03-01", "2025-03-01"), ("2025-06-10", "2025-06-12")]


def test_the_first_tick_after_a_demo_requests_nothing(watched, tmp_path, postgres_url):
    """The demo ran 9 to 20 June of files that name 8 and 21 June too; a file that changes is another matter."""
    simulate(tmp_path / "simulation", seed=30, vehicles=4, date_from=dt.date(2025, 6, 19), date_to=dt.date(2025, 6, 20))
    watched.url, watched.warehouse_url = str(tmp_path / "simulation" / "inbox"), postgres_url
    ingest_inbox(
        watched.fleet.inbox(), watched.fleet.lake(), watched.fleet.warehouse(), watched.fleet.settings(),
        now=dt.datetime.now(dt.UTC), run_id="demo",
    )  # fmt: skip
    cursor = watched.cursor
    assert watched.tick()  # without the next line
    watched.cursor = cursor
    settle_inbox(Installation(watched.fleet.settings()))
    assert watched.tick() == []
    assert "Nothing new" in watched.skipped
    changed = next((tmp_path / "simulation/inbox/bulletins").glob("*2025-06-20*"))
    changed.write_bytes(changed.read_bytes().replace(b",0,", b",1,", 1))
    assert watched.tick()


def test_the_run_key_is_the_content(watched):
    watched.drop("visit_reports/a.csv", _report(DAY))
    (first,) = watched.tick()
    watched.drop("visit_reports/a.csv", _report(DAY), seconds_ago=30)  # the same bytes, touched
    assert [request.run_key for request in watched.tick()] == [first.run_key]  # the daemon starts a key once
    watched.drop("visit_reports/a.csv", _report(DAY, "12.30"), seconds_ago=20)
    (changed,) = watched.tick()
    assert changed.run_key != first.run_key
    assert _spans([changed]) == _spans([first])


def test_a_file_that_is_being_written_waits_until_two_ticks_see_the_same(watched):
    later = DAY + 30 * ONE_DAY
    watched.drop("visit_reports/whole.csv", _report(DAY))
    watched.drop("visit_reports/half.csv", _report(later)[:200])
    assert watched.one_tick() == []
    assert "New or changed files, read once two ticks find them the same: 2" in watched.skipped
    watched.drop("visit_reports/half.csv", _report(later)[:400])
    assert _spans(watched.one_tick()) == [(DAY.isoformat(), DAY.isoformat())]
    assert watched.seen() == {"visit_reports/whole.csv"}
    watched.drop("visit_reports/half.csv", _report(later))
    assert watched.one_tick() == []
    assert _spans(watched.one_tick()) == [(later.isoformat(), later.isoformat())]


@pytest.mark.parametrize("seconds_ago", [-2 * 86_400, 25 * 365 * 86_400, -300 * 365 * 86_400])
def test_the_senders_clock_does_not_matter(watched, seconds_ago):
    """Copied files keep the time of the year 2000; another clock is two days, or centuries, ahead."""
    watched.drop("visit_reports/a.csv", _report(DAY), seconds_ago=seconds_ago)
    assert _spans(watched.tick()) == [(DAY.isoformat(), DAY.isoformat())]


def test_a_drop_of_many_files_requests_each_day_once(watched):
    """350 files of one week, by sender and not by day, requested 414 day-runs."""
    week = [DAY + number * ONE_DAY for number in range(7)]
    names = set()
    for sender in range(FILES_A_TICK // 7 + 10):
        for day in week:
            names.add(name := f"bulletins/{sender:03d}-{day}.csv")
            row = run_row(sender, PAID, "06:30", "06:45", 11, day)
            watched.drop(name, bulletin(row), seconds_ago=sender * 100)
    requests = []
    for _ in range(10):
        requests += watched.one_tick()
    assert watched.seen() == names
    assert _spans(requests) == [(week[0].isoformat(), (week[-1] + ONE_DAY).isoformat())]


def test_an_entry_that_cannot_be_read_stops_no_other_and_is_requested_once(watched, tmp_path):
    folder = watched.inbox / "visit_reports"
    folder.mkdir()
    os.mkfifo(folder / "pipe.csv")
    (folder / "circle.csv").symlink_to(folder / "circle.csv")
    (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
    (folder / os.fsdecode(b"relat\xf3rio.csv")).write_bytes(_report(DAY))
    assert _spans(watched.tick()) == [(DAY.isoformat(), DAY.isoformat()), (_days_ago(2), _yesterday())]
    assert len(watched.seen()) == 4
    assert watched.tick() == []


def test_a_temporary_name_is_never_looked_at(watched):
    watched.drop("visit_reports/upload.csv.part", _report(DAY))
    watched.drop("visit_reports/.upload.csv", _report(DAY))
    assert watched.tick() == []


def test_rubbish_stops_no_tick_and_is_reported_by_a_run_of_the_days_that_it_may_be_of(watched):
    """A refused file without a date makes the days of the late window incomplete, those that are over."""
    watched.drop("visit_reports/torn.csv", b"\x00\xff\xfe")
    watched.drop("bulletins/empty.csv", b"")
    watched.drop("bulletins/book.xlsx", b"PK\x03\x04 no workbook")
    watched.drop("telemetry/big.csv", b"deviceId\n" * 2_000_000)
    watched.drop(f"telemetry/{DAY}.csv", b"deviceId\n" * 2_000_000)
    assert _spans(watched.tick()) == [(DAY.isoformat(), DAY.isoformat()), (_days_ago(2), _yesterday())]
    assert len(watched.seen()) == 5
    assert watched.tick() == []


@pytest.mark.parametrize(
    ("days_after_today", "content"),
    [(0, b""), (3, b""), (-9_000, b"deviceId\n" * 2_000_000)],
    ids=["today", "future", "before the first day"],
)
def test_a_refused_file_of_a_day_without_a_run_is_refused_by_a_run_of_yesterday(watched, days_after_today, content):
    """Named for today it was remembered without a run, and nobody heard that it is unreadable."""
    day = dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date() + days_after_today * ONE_DAY
    watched.drop(f"bulletins/{day}.csv", content)
    assert _spans(watched.tick()) == [(_yesterday(), _yesterday())]


def test_a_refused_version_re_runs_the_days_of_the_accepted_one(watched):
    watched.drop("visit_reports/report.csv", _report(DAY))
    ingest_inbox(
        watched.fleet.inbox(), watched.fleet.lake(), watched.fleet.warehouse(), watched.fleet.settings(),
        now=dt.datetime.now(dt.UTC), run_id="first",
    )  # fmt: skip
    watched.drop("visit_reports/report.csv", b"rubbish")
    assert _spans(watched.tick()) == [(DAY.isoformat(), DAY.isoformat())]


def test_a_reference_table_re_runs_yesterday(watched):
    watched.drop("reference/units.csv", REFERENCE["units"].encode())
    assert _spans(watched.tick()) == [(_yesterday(), _yesterday())]


def test_a_day_that_is_not_over_is_left_to_the_schedule(watched):
    today = dt.datetime.now(ZoneInfo("America/Sao_Paulo")).date()
    watched.drop("visit_reports/today.csv", _report(today))
    assert watched.tick() == []
    assert watched.seen() == {"visit_reports/today.csv"}


def test_a_tick_reads_a_bounded_number_of_files_and_forgets_none(watched):
    names = {f"reference/{number:03d}.csv" for number in range(FILES_A_TICK + 5)}
    for name in names:
        watched.drop(name, name.encode())
    assert watched.tick() == []
    assert len(watched.seen()) == FILES_A_TICK
    assert "iles that wait for the next tick: 5" in watched.skipped
    assert len(watched.one_tick()) == 1
    assert watched.seen() == names


def test_a_tick_reads_a_bounded_number_of_bytes(watched):
    """Fifty files of 10 MB would take longer than a tick may, and then no cursor would ever move."""
    fitting = sensors.MAX_BYTES_A_TICK // LARGEST_FILE
    for number in range(fitting + 1):
        watched.drop(f"reference/{number:02d}.csv", b"")
        os.truncate(watched.inbox / "reference" / f"{number:02d}.csv", LARGEST_FILE)
        os.utime(watched.inbox / "reference" / f"{number:02d}.csv", (1e9, 1e9))
    watched.tick()
    assert len(watched.seen()) == fitting
    watched.one_tick()
    assert len(watched.seen()) == fitting + 1


def test_a_tick_without_time_left_reads_one_file_and_leaves_the_others_to_the_next(watched, monkeypatch):
    monkeypatch.setattr(sensors, "MAX_SECONDS_A_TICK", -1)
    names = {f"visit_reports/{number}.csv" for number in range(3)}
    for name in names:
        watched.drop(name, _report(DAY))
    for read in (0, 1, 2, 3):
        watched.one_tick()
        assert len(watched.seen()) == read
    assert watched.seen() == names


def test_a_file_that_is_too_large_is_not_opened(watched):
    """A sparse terabyte: reading it would never end."""
    watched.drop("telemetry/huge.csv", b"deviceId")
    os.truncate(watched.inbox / "telemetry" / "huge.csv", 1 << 40)
    os.utime(watched.inbox / "telemetry" / "huge.csv", (1e9, 1e9))
    assert _spans(watched.tick()) == [(_days_ago(2), _yesterday())]
    assert watched.tick() == []


def test_days_far_apart_in_one_file_are_runs_of_their_own_and_near_ones_are_not(watched):
    days = [dt.date(2025, 1, 1), dt.date(2025, 1, 4), dt.date(2025, 5, 1)]
    row = run_row(1, PAID, "06:30", "06:45", 11)
    watched.drop("bulletins/a.csv", bulletin(*(row.replace("10/06/2025", f"{day:%d/%m/%Y}") for day in days)))
    assert _spans(watched.tick()) == [("2025-01-01", "2025-01-05"), ("2025-05-01", "2025-05-02")]


def test_a_tick_that_dies_requests_the_same_again_and_only_that(watched):
    """Dagster keeps the cursor of the last tick that ended, and starts a run key once."""
    watched.drop("visit_reports/before.csv", _report(DAY - 90 * ONE_DAY))
    watched.tick()
    watched.drop("visit_reports/a.csv", _report(DAY))
    watched.drop("visit_reports/b.csv", _report(DAY + 60 * ONE_DAY))
    watched.one_tick()
    cursor = watched.cursor
    lost = watched.one_tick()
    watched.cursor = cursor
    again = watched.one_tick()
    assert len(again) == 2
    assert [request.run_key for request in again] == [request.run_key for request in lost]
    assert watched.tick() == []


def test_many_files_leave_a_cursor_of_one_tick(watched):
    names = {f"bulletins/{number:04d}.csv" for number in range(3 * FILES_A_TICK)}
    for name in names:
        watched.drop(name, b"%PDF")
    sizes, requests = [], []
    while watched.seen() < names:
        requests += watched.one_tick()
        sizes.append(len(watched.cursor))
    assert len(sizes) == 4  # the first has not seen any file twice
    assert max(sizes) < 400 * FILES_A_TICK  # not of all
    assert _spans(requests) == [(_days_ago(2), _yesterday())]
    watched.tick()
    assert len(watched.cursor) < 100


def test_a_registered_device_re_runs_the_days_on_which_it_waited(watched):
    waiting = pd.DataFrame({
        "operational_date": [dt.date(2025, 3, 1), DAY, DAY, DAY + ONE_DAY], "device_id": ["77", "77", "78", "77"],
        "positions": 5, "first_at": pd.Timestamp("2025-06-10T09:00Z"), "last_at": pd.Timestamp("2025-06-10T10:00Z"),
        "run_id": "r", "updated_at": pd.Timestamp("2025-06-12T10:00Z"),
    })  # fmt: skip
    watched.fleet.warehouse().upsert(PENDING_DEVICES, conform(waiting, PENDING_DEVICES))
    devices = f"device_id,plate,valid_from,valid_to\n77,{PAID},2025-06-01,2025-06-10\n"
    watched.drop("reference/devices.csv", devices.encode())
    assert _spans(watched.tick()) == [("2025-06-09", "2025-06-10"), (_yesterday(), _yesterday())]


@pytest.mark.parametrize(
    ("tariffs", "spans"),
    [
        ([("5", "", "2025-06-09"), ("6", "2025-06-10", "")], [("2025-06-10", "2025-06-12")]),
        # cheaper all the time: not on 14 and 15 May, which are closed, nor on the day that is older than two months
        ([("4", "", "")], [("2025-05-16", "2025-05-17"), ("2025-06-08", "2025-06-12")]),
        ([("5", "", "2025-06-12"), ("6", "2025-06-13", "")], []),  # from a day on that was not computed yet
        ([("5", "", "2025-06-09"), ("5", "2025-06-10", "")], []),  # the same, in two rows
    ],
)
def test_a_reference_table_re_runs_the_computed_days_of_open_cycles_that_it_touches(watched, tariffs, spans):
    computed = [dt.date(2025, 2, 1), *(dt.date(2025, 5, day) for day in range(14, 18))]
    computed += [dt.date(2025, 6, day) for day in range(8, 13)]
    warehouse = watched.fleet.warehouse()
    for day in computed:
        warehouse.execute(
            "insert into ops.computed_days (operational_date, computed_at, code_version, run_id, updated_at) "
            "values (:day, now(), 'v', 'r', now())",
            {"day": day},
        )
    warehouse.execute(
        "insert into ops.cycle_closes (cycle_start, cycle_end, status, closed_at, manifest_sha256, manifest_path, "
        "code_version, parameters_version, run_id) values "
        "('2025-04-16', '2025-05-15', 'final', now(), '', '', '', '', '')"
    )
    warehouse.execute(
        "insert into ref.tariffs (tariff_id, contract_id, rate_brl_per_km, valid_from) "
        "values ('T', 'C', 5, '2025-01-01')"
    )
    header = REFERENCE["tariffs"].splitlines()[0]
    lines = [f"T,C,,,,,{rate},{first or '2025-01-01'},{last}" for rate, first, last in tariffs]
    watched.drop("reference/tariffs.csv", "\n".join([header, *lines, ""]).encode())
    assert _spans(watched.tick()) == [*spans, (_yesterday(), _yesterday())]


def test_an_older_versions_cursor_is_no_error(watched):
    watched.drop("visit_reports/a.csv", _report(DAY))
    watched.cursor = json.dumps({"visit_reports/a.csv": "1@2025-06-10T00:00:00"})
    assert watched.one_tick() == []
    watched.cursor = "[]"
    assert _spans(watched.one_tick()) == [(DAY.isoformat(), DAY.isoformat())]


def test_an_s3_prefix_is_watched_like_a_folder(watched, seaweed, monkeypatch):
    for name, value in seaweed.variables().items():
        monkeypatch.setenv(name, value)
    watched.url = f"s3://{seaweed.bucket}/watched"
    with seaweed.filesystem().open_output_stream(f"{seaweed.bucket}/watched/visit_reports/a.csv") as stream:
        stream.write(_report(DAY))
    deadline = time.monotonic() + 120
    while not (requests := watched.tick()) and time.monotonic() < deadline:
        time.sleep(0.5)  # an object put just now may be replaced at once
    assert _spans(requests) == [(DAY.isoformat(), DAY.isoformat())]
    assert watched.tick() == []


def test_without_an_inbox_the_tick_names_the_setting(tmp_path, repository):
    with dg.DagsterInstance.ephemeral() as instance:
        nowhere = Watched(tmp_path / "nowhere", repository, instance)
        assert nowhere.tick() == []
        assert "FLEET_INBOX_URL" in nowhere.skipped
        assert str(tmp_path / "nowhere") in nowhere.skipped

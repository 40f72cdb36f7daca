"""What is missing or wrong outside: reference data, the API's token, the API, a source. Sentences; the rest runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import POSITIONS
from fleet_audit.sources import telemetry_api
from fleet_audit.storage import step_errors
from fleet_audit_tests.integration.installation import Installation, assert_counts_reconcile, failures, invoked
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    REFERENCE,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
    write_inbox,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
REPORT = {"visit_reports/day.csv": visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]})}
BULLETIN = {"bulletins/day.csv": bulletin(run_row(1, PAID, "06:30", "06:45", 11))}
POSITIONS_FILE = {"telemetry/day.csv": telemetry(drive(PAID, "06:30"))}
TOKEN = "the-right-token"


@pytest.fixture(scope="module")
def install(tmp_path_factory, new_database) -> Callable[..., Installation]:
    """Makes an installation with the reference tables, these files and these settings."""

    def make(files: dict[str, bytes], **others: str) -> Installation:
        root = tmp_path_factory.mktemp("missing")
        return Installation(root / "home", str(write_inbox(root / "inbox", files)), new_database(), others)

    return make


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[ApiServer]:
    """An API that knows one drive of a bus that the visit report has too."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "rows.csv").write_bytes(telemetry(drive(SEEN_TWICE, "06:30")))
    rows = pc.read_csv(folder / "rows.csv")
    columns = {
        "device_id": rows["deviceId"].cast(pa.string()),
        "timestamp": rows["timestamp"].cast(POSITIONS.field("timestamp").type),
        "uploaded_at": rows["timestamp"].cast(POSITIONS.field("uploaded_at").type),
        "latitude": rows["latitude"],
        "longitude": rows["longitude"],
        "speed_kmh": rows["velocidadeKmh"].cast(pa.float64()),
        "odometer_km": rows["odometroKm"],
        "passengers": rows["passageiros"],
    }
    arrays = [
        columns[field.name].combine_chunks() if field.name in columns else pa.nulls(rows.num_rows, field.type)
        for field in POSITIONS
    ]
    pq.write_table(pa.Table.from_arrays(arrays, schema=POSITIONS), folder / "positions.parquet")
    with ApiServer(folder, token=TOKEN) as server:
        yield server


@dataclass(frozen=True)
class Printed:
    """What a command ended with and printed; `everything` is also what went past its own streams."""

    exit_code: int
    stdout: str
    everything: str

    @property
    def failed_lines(self) -> list[str]:
        return [line for line in self.stdout.splitlines() if line.startswith("FAILED")]

    def assert_only_sentences(self) -> None:
        for code in ("Traceback", "Error:", '.py", line', "dagster._core"):
            assert code not in self.everything, self.everything


@pytest.fixture
def printed(capfd) -> Callable[..., Printed]:
    """Runs a command line in this process."""

    def run(installation: Installation, *arguments: object) -> Printed:
        capfd.readouterr()
        result = invoked(installation, *arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Printed(result.exit_code, result.stdout, "\n".join([result.stdout, result.stderr, *capfd.readouterr()]))

    return run


@pytest.fixture
def run_day(printed) -> Callable[[Installation], Printed]:
    """`fleet-audit run` over the day."""
    return lambda installation: printed(installation, "run", "--from", DAY, "--to", DAY)


def _sources(installation: Installation) -> list[str]:
    return installation.query("select source from fact.trips order by plate, started_at")["source"].to_list()


def test_without_reference_data_the_missing_file_is_named(tmp_path, postgres_url, run_day):
    inbox = tmp_path / "inbox" / "visit_reports"
    inbox.mkdir(parents=True)
    (inbox / "day.csv").write_bytes(REPORT["visit_reports/day.csv"])
    installation = Installation(tmp_path / "home", str(inbox.parent), postgres_url)
    result = run_day(installation)
    assert result.exit_code == 1
    (failure,) = result.failed_lines
    assert "reference/units.csv" in failure
    result.assert_only_sentences()
    files = installation.query("select file_name, status from ops.ingested_files")
    assert files.to_dict("records") == [{"file_name": "visit_reports/day.csv", "status": "accepted"}]


def test_a_refused_reference_file_is_named_with_the_reason(tmp_path, postgres_url, run_day):
    inbox = write_inbox(tmp_path / "inbox", REPORT)
    (inbox / "reference" / "units.csv").write_text(REFERENCE["units"].replace("unit_code", "unit"))
    installation = Installation(tmp_path / "home", str(inbox), postgres_url)
    result = run_day(installation)
    assert result.exit_code == 1
    (failure,) = result.failed_lines
    assert "reference/units.csv is missing or was refused" in failure
    assert "Column unit_code is missing" in result.stdout
    result.assert_only_sentences()


def test_without_the_inbox_the_folder_and_the_setting_are_named(tmp_path, postgres_url, run_day):
    installation = Installation(tmp_path / "home", str(tmp_path / "nowhere"), postgres_url)
    result = run_day(installation)
    assert result.exit_code == 1
    (failure,) = result.failed_lines
    assert str(tmp_path / "nowhere") in failure
    assert "FLEET_INBOX_URL" in failure
    result.assert_only_sentences()


def test_a_refused_token_is_named_and_the_files_still_count(install, api, run_day):
    wrong = install(REPORT | BULLETIN, FLEET_API_URL=api.url, FLEET_API_TOKEN="a-wrong-token")
    result = run_day(wrong)
    assert result.exit_code == 1
    (failure,) = result.failed_lines
    assert "FLEET_API_TOKEN" in failure
    assert "a-wrong-token" not in result.everything
    result.assert_only_sentences()
    assert _sources(wrong) == ["visit_report", "visit_report"]
    assert_counts_reconcile(wrong)
    with wrong.dagster() as (_, instance):
        (run,) = instance.get_runs(dg.RunsFilter(job_name="day"))
        lines = [event.user_message for event in instance.all_logs(run.run_id) if not event.is_dagster_event]
    reasons = {name: value for name, value in run.tags.items() if name.startswith("fleet/")}
    days = {"fleet/days": str(DAY), "fleet/cycle": "2025-05-16"}
    assert reasons == {"fleet/trigger": "command", "fleet/unit": "UCP", **days}
    assert run.tags[".dagster/repository"] == "__repository__@fleet_audit", "the UI lists it under its job"
    (not_tested,) = (line for line in lines if "not tested" in line)
    assert not_tested.startswith("Rules not tested: ")

    right = Installation(wrong.home, wrong.inbox, wrong.warehouse_url, {**wrong.others, "FLEET_API_TOKEN": TOKEN})
    assert failures(right.materialize(DAY)) == []
    assert _sources(right) == ["visit_report", "positions"]
    assert_counts_reconcile(right)


def test_an_api_that_is_down_is_named_and_the_files_still_count(install, run_day, monkeypatch):
    """After as many attempts as ever, but without 75 s of waiting between them, and 15 s between the requests."""
    monkeypatch.setattr(telemetry_api, "BACKOFF_CAP_S", 0.01)
    monkeypatch.setattr(step_errors, "RETRY_POLICY", dg.RetryPolicy(max_retries=step_errors.RETRY_POLICY.max_retries))
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, nobody answers
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        installation = install(REPORT | BULLETIN, FLEET_API_URL=url, FLEET_API_TOKEN=TOKEN)
        result = run_day(installation)
    assert (result.exit_code, len(result.failed_lines)) == (1, 1), result.everything
    (failure,) = result.failed_lines
    assert url in failure
    assert "FLEET_API_URL" in failure
    assert TOKEN not in result.everything
    result.assert_only_sentences()
    assert _sources(installation) == ["visit_report", "visit_report"]
    assert_counts_reconcile(installation)


def test_days_that_have_no_partition_are_refused_before_anything_runs(tmp_path, printed):
    installation = Installation(tmp_path / "home", str(Path(tmp_path)))
    result = printed(installation, "run", "--from", "2023-06-10", "--to", "2023-06-11")
    assert result.exit_code == 2
    assert "FLEET_START_DATE" in result.everything
    result.assert_only_sentences()
    assert not (tmp_path / "home" / "postgres").exists()


@pytest.mark.parametrize(
    ("files", "trips", "held"),
    [
        pytest.param(REPORT, 2, 0, id="no bulletin"),
        pytest.param(POSITIONS_FILE, 1, 0, id="positions only"),
        pytest.param(BULLETIN, 0, 1, id="no movement"),
        pytest.param({}, 0, 0, id="nothing"),
    ],
)
def test_a_day_without_rows_of_a_source_is_run(install, files, trips, held):
    installation = install(files)
    assert failures(installation.materialize(DAY)) == []
    facts = installation.facts()
    assert (len(facts["trips"]), len(facts["held_runs"])) == (trips, held)
    if not trips:
        assert facts["km_ledger"]["service_km"].isna().all(), "no data is not zero km"

"""What arrives in an inbox, good and bad side by side: refused, quarantined, corrected, said twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit_tests.integration.installation import (
    Installation,
    assert_counts_reconcile,
    assert_same_facts,
    failures,
)
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    REFERENCE,
    SEEN_TWICE,
    WITHOUT_CONTRACT,
    WITHOUT_TARIFF,
    bulletin,
    drive,
    from_work,
    run_row,
    telemetry,
    to_work,
    visit_report,
    write_inbox,
)

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
BAD_RUN = run_row(2, PAID, "15:30", "15:45", 11).replace("10/06/2025", "31/02/2025")
BAD_POSITION = "2,never,urbano,1,0,0,,,,,,,"
BULLETIN = bulletin(run_row(1, PAID, "06:30", "06:45", 11), BAD_RUN, run_row(3, SEEN_TWICE, "06:30", "06:45", 11))
POSITIONS = drive(SEEN_TWICE, "06:30")
UNREGISTERED = [row.replace("4,", "99,", 1) for row in drive(WITHOUT_TARIFF, "10:00")]
FIRST_FILES = {
    "visit_reports/day.csv": visit_report(
        {plate: [to_work()] for plate in (SEEN_TWICE, WITHOUT_CONTRACT, WITHOUT_TARIFF)}
        | {PAID: [to_work(), from_work()]}
    ),
    "visit_reports/torn.csv": b"\x00\xff no report",
    "bulletins/day.csv": BULLETIN,
    "bulletins/without_columns.csv": b"A,B\n1,2\n",
    "telemetry/day.csv": telemetry([*POSITIONS, BAD_POSITION, POSITIONS[0]]),
    "telemetry/new_device.csv": telemetry(UNREGISTERED),
}


@dataclass(frozen=True)
class Outcome:
    """What one run left behind."""

    failures: list[str]
    facts: dict[str, pd.DataFrame]
    files: pd.DataFrame
    quarantine: pd.DataFrame
    refused: str
    waiting: list[tuple[str, int]]
    warnings: set[str]

    @property
    def trips(self) -> pd.DataFrame:
        return self.facts["trips"].merge(self.facts["trip_costs"], on=["trip_id", "operational_date", "contract_id"])

    def trips_of(self, plate: str) -> pd.DataFrame:
        return self.trips[self.trips["plate"] == plate].sort_values("started_at")

    def rules_on(self, plate: str) -> set[str]:
        findings = self.facts["findings"]
        return set(findings["rule_id"][findings["plate"] == plate])

    def file(self, name: str) -> pd.Series:
        return self.files[self.files["file_name"] == name].iloc[-1]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, new_database) -> Installation:
    root = tmp_path_factory.mktemp("arrivals")
    return Installation(root / "home", str(write_inbox(root / "inbox", FIRST_FILES)), new_database())


def _run(installation: Installation) -> Outcome:
    result = installation.materialize(DAY)
    assert_counts_reconcile(installation)
    return Outcome(
        failures(result),
        installation.facts(),
        installation.query("select * from ops.ingested_files order by received_at, file_name").drop(columns="stamp"),
        installation.query("select * from ops.rejected_rows order by file_name, row_number"),
        next(
            str(check.metadata["found"].value)
            for check in result.get_asset_check_evaluations()
            if check.check_name == "no_file_was_refused" and not check.passed
        ),
        [
            (row.device_id, row.positions)
            for row in installation.query("select device_id, positions from ops.pending_devices").itertuples()
        ],
        {check.check_name for check in result.get_asset_check_evaluations() if not check.passed},
    )


@pytest.fixture(scope="module")
def first(installation: Installation) -> Outcome:
    return _run(installation)


@pytest.fixture(scope="module")
def corrected(installation: Installation, first: Outcome) -> Outcome:
    """The report again, corrected for one vehicle; the bulletin under another name; the new device registered."""
    devices = REFERENCE["devices"] + f"99,{WITHOUT_TARIFF},2025-01-01,\n"
    write_inbox(
        Path(installation.inbox),
        {
            "visit_reports/day.csv": visit_report({PAID: [to_work("13.40")]}),
            "bulletins/copy.csv": BULLETIN,
            "reference/devices.csv": devices.encode(),
        },
    )
    return _run(installation)


def test_a_refused_file_stops_no_other(first):
    assert first.failures == []
    for name in ("bulletins/without_columns.csv", "visit_reports/torn.csv"):
        file = first.file(name)
        assert f"- {name}: {file['message']}" in first.refused.splitlines()
        assert (file["status"], file["rows_read"]) == ("rejected", 0)
        assert len(file["message"]) > 20
    assert "NUMERO ATA" in first.file("bulletins/without_columns.csv")["message"]
    assert len(first.trips) == 5


def test_a_refusal_stays_until_the_file_is_corrected(first, corrected):
    """A second run of the same minute once turned the check green."""
    assert corrected.refused == first.refused


def test_what_arrived_is_kept_as_received(installation, first):
    for name, content in FIRST_FILES.items():
        file = first.file(name)
        assert file["file_sha256"] == hashlib.sha256(content).hexdigest()
        assert (installation.home / "lake" / file["archive_path"]).read_bytes() == content


def test_a_bad_row_is_quarantined_beside_good_ones(first):
    assert first.quarantine[["file_name", "row_number", "reason_code", "raw"]].to_dict("records") == [
        {"file_name": "bulletins/day.csv", "row_number": 3, "reason_code": "bad_date", "raw": BAD_RUN},
        {
            "file_name": "telemetry/day.csv",
            "row_number": len(POSITIONS) + 2,
            "reason_code": "bad_timestamp",
            "raw": BAD_POSITION,
        },
    ]
    assert "31/02/2025" in first.quarantine["reason"].iloc[0]
    counts = ["status", "rows_read", "rows_accepted", "rows_rejected", "rows_duplicate"]
    assert first.file("bulletins/day.csv")[counts].to_list() == ["partial", 3, 2, 1, 0]
    good = len(POSITIONS)
    assert first.file("telemetry/day.csv")[counts].to_list() == ["partial", good + 2, good, 1, 1]
    assert len(first.facts["declared_runs"]) == 2


def test_a_trip_seen_by_both_sources_is_one(first):
    trips = first.trips_of(SEEN_TWICE)
    assert trips[["source", "km_method", "km_measured", "evidence_grade"]].to_dict("records") == [
        {"source": "positions", "km_method": "odometer", "km_measured": Decimal("11.10"), "evidence_grade": "A"}
    ]
    assert trips["variable_cost_brl"].to_list() == [Decimal("55.50")]


def test_a_vehicle_without_contract_is_measured_and_not_priced(first):
    trips = first.trips_of(WITHOUT_CONTRACT)
    assert trips["km_measured"].to_list() == [Decimal("11.20")]
    assert trips["cost_status"].to_list() == ["no_contract"]
    assert trips["variable_cost_brl"].isna().all()
    assert "V01" in first.rules_on(WITHOUT_CONTRACT)
    assert "V01" not in first.rules_on(PAID)


def test_a_trip_without_tariff_is_measured_and_not_priced(first):
    trips = first.trips_of(WITHOUT_TARIFF)
    assert trips["km_measured"].to_list() == [Decimal("11.20")]
    assert trips["cost_status"].to_list() == ["no_tariff"]
    assert trips["variable_cost_brl"].isna().all()
    assert "K01" in first.rules_on(WITHOUT_TARIFF)
    assert "K01" not in first.rules_on(PAID)


def test_a_corrected_file_replaces_the_rows_of_the_vehicle_days_that_it_covers(first, corrected):
    assert corrected.failures == []
    assert first.trips_of(PAID)["km_measured"].to_list() == [Decimal("11.20"), Decimal("11.20")]
    assert corrected.trips_of(PAID)["km_measured"].to_list() == [Decimal("13.40")]
    assert corrected.trips_of(PAID)["variable_cost_brl"].to_list() == [Decimal("67.00")]
    for plate in (SEEN_TWICE, WITHOUT_CONTRACT):
        pd.testing.assert_frame_equal(
            corrected.trips_of(plate).reset_index(drop=True), first.trips_of(plate).reset_index(drop=True)
        )


def test_both_versions_of_a_file_stay_on_record(corrected):
    versions = corrected.files[corrected.files["file_name"] == "visit_reports/day.csv"]
    assert versions["rows_accepted"].to_list() == [5, 1]
    assert versions["file_sha256"].nunique() == 2


def test_the_same_bytes_under_another_name_change_nothing(first, corrected):
    copy = corrected.file("bulletins/copy.csv")
    assert (copy["status"], copy["rows_accepted"]) == ("duplicate", 0)
    columns = ["declared_run_id", "plate", "declared_km", "file_sha256", "row_number"]
    pd.testing.assert_frame_equal(corrected.facts["declared_runs"][columns], first.facts["declared_runs"][columns])


def test_positions_of_an_unknown_device_wait_until_it_is_registered(first, corrected):
    assert first.file("telemetry/new_device.csv")["status"] == "accepted"
    assert (first.facts["trips"]["source"] == "positions").sum() == 1
    trips = corrected.trips_of(WITHOUT_TARIFF)
    assert trips["source"].to_list() == ["visit_report", "positions"]
    assert trips["device_id"].to_list()[1] == "99"
    assert (first.waiting, corrected.waiting) == ([("99", len(UNREGISTERED))], [])
    assert "no_device_waits" in first.warnings - corrected.warnings


def test_a_day_of_which_little_was_accepted_is_marked(installation, corrected):
    """Of the three runs of the bulletin one is dated 31 February; of the report the newer version counts."""
    assert "enough_was_accepted" in corrected.warnings
    counts = "source_kind, rows_read, rows_accepted, rows_rejected, rows_duplicate, acceptance_pct, is_low"
    rows = installation.query(f"select {counts} from ops.day_acceptance order by source_kind")
    good = len(POSITIONS) + len(UNREGISTERED)
    assert [tuple(row) for row in rows.itertuples(index=False)] == [
        ("bulletin", 3, 2, 1, 0, Decimal("66.67"), True),
        ("telemetry", good + 2, good, 1, 1, round(Decimal(100) * good / (good + 1), 2), False),
        ("visit_report", 1, 1, 0, 0, Decimal(100), False),
    ]


def test_the_sender_gets_a_report_of_what_was_refused(installation, first):
    file = first.file("bulletins/day.csv")
    report = (installation.home / "lake" / file["report_path"]).read_text("utf-8-sig").splitlines()
    assert report[0] == "Arquivo,Linha,Código,Motivo,Detalhe (inglês),Linha recebida"
    assert report[1].startswith("bulletins/day.csv,3,bad_date,Data inexistente")
    assert len(report) == 2
    whole = first.file("bulletins/without_columns.csv")
    assert whole["reason_code"] == "missing_column"
    assert ",missing_column," in (installation.home / "lake" / whole["report_path"]).read_text("utf-8-sig")


def test_the_same_inbox_again_changes_nothing(installation, corrected):
    again = _run(installation)
    assert_same_facts(again.facts, corrected.facts)
    pd.testing.assert_frame_equal(again.files, corrected.files)
    pd.testing.assert_frame_equal(again.quarantine, corrected.quarantine)

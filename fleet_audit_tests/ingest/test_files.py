"""Reading the inbox: once a content, archived whole, good and bad recorded, whatever the names."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
import time
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.acceptance import day_acceptance
from fleet_audit.ingest.driver_names import with_pseudonyms
from fleet_audit.ingest.files import days_of_inbox_file, parse_inbox_file, safe_name
from fleet_audit.ingest.inbox.file_days import days_of_file, outdated_spans
from fleet_audit.ingest.inbox.ingestion import SECOND_LOOK_AFTER_S
from fleet_audit.ingest.incomplete.files import (
    arrivals_digest,
    lost_rows,
    lost_rows_by_day,
    recount_lost_rows,
    refused_files,
)
from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.schema.facts import FILE_DAYS
from fleet_audit.schema.lake import STAGING_VISIT_LEGS
from fleet_audit.sources.inbox import CHUNK_BYTES, Inbox, InboxFile
from fleet_audit_tests.ingest.conftest import FIRST_LOOK, RUN_ID
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)

REPORT = visit_report({PAID: [to_work()]})
ONE_DAY = dt.timedelta(days=1)


def _files(arrivals) -> pd.DataFrame:
    return arrivals.warehouse.read("select * from ops.ingested_files order by file_name", {})


def test_a_file_is_read_once_and_archived_as_received(arrivals):
    arrivals.drop("visit_reports/a.csv", REPORT)
    (row,) = arrivals.read().files.to_dict("records")
    assert (row["status"], row["rows_read"], row["rows_accepted"]) == ("accepted", 1, 1)
    assert (row["first_date"], row["last_date"]) == (DAY, DAY)
    assert row["file_sha256"] == hashlib.sha256(REPORT).hexdigest()
    assert arrivals.lake.get_bytes(row["archive_path"]) == REPORT
    assert arrivals.read().files.empty
    assert _files(arrivals)["received_at"].to_list() == [FIRST_LOOK + dt.timedelta(hours=1)]


def test_the_same_bytes_under_another_name_are_reported_and_not_read(arrivals):
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.drop("visit_reports/b.csv", REPORT)
    files = arrivals.read().files.set_index("file_name")
    assert files["status"].to_dict() == {"visit_reports/a.csv": "accepted", "visit_reports/b.csv": "duplicate"}
    assert len(arrivals.stage().visit_legs(DAY)) == 1


def test_bytes_that_were_refused_are_refused_under_another_name_too(arrivals):
    arrivals.drop("visit_reports/a.csv", b"rubbish")
    assert arrivals.read().files["status"].to_list() == ["rejected"]
    arrivals.drop("visit_reports/b.csv", b"rubbish")
    again = arrivals.read().files
    assert again["rows_accepted"].to_list() == [0]
    assert len(arrivals.stage().visit_legs(DAY)) == 0


def test_bytes_in_the_wrong_folder_are_read_in_the_right_one(arrivals):
    """A bulletin dropped among the visit reports is refused there; moved, it counts."""
    content = bulletin(run_row(1, PAID, "06:30", "06:45", 11))
    arrivals.drop("visit_reports/boletim.csv", content)
    assert arrivals.read().files["status"].to_list() == ["rejected"]
    (arrivals.inbox / "visit_reports" / "boletim.csv").unlink()
    arrivals.drop("bulletins/boletim.csv", content)
    assert arrivals.read().files["status"].to_list() == ["accepted"]
    assert len(arrivals.stage().declared_runs(DAY)) == 1


def test_bad_rows_are_kept_beside_good_ones_with_the_row_as_received(arrivals):
    bad = run_row(2, PAID, "25:99", "06:45", 11)
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11), bad))
    (file,) = arrivals.read().files.to_dict("records")
    assert (file["status"], file["rows_read"], file["rows_accepted"], file["rows_rejected"]) == ("partial", 2, 1, 1)
    (row,) = arrivals.warehouse.read("select * from ops.rejected_rows", {}).to_dict("records")
    assert (row["file_name"], row["row_number"], row["raw"], row["run_id"]) == ("bulletins/a.csv", 3, bad, RUN_ID)
    assert "25:99" in row["reason"]


def test_a_file_above_the_limits_is_refused_whole_and_kept(arrivals):
    arrivals.settings.max_file_rows = 10
    content = telemetry(drive(PAID, "06:30"))
    arrivals.drop("telemetry/big.csv", content)
    (row,) = arrivals.read().files.to_dict("records")
    assert (row["status"], row["rows_accepted"]) == ("rejected", 0)
    assert "10" in row["message"]
    assert arrivals.lake.get_bytes(row["archive_path"]) == content


def test_a_file_of_too_many_bytes_is_refused_unread_and_archived_piece_by_piece(arrivals):
    arrivals.settings.max_file_mb = 0.001
    content = b"deviceId," * (CHUNK_BYTES // 4)
    arrivals.drop("telemetry/big.csv", content)
    (row,) = arrivals.read(Unreadable(str(arrivals.inbox), arrivals.settings)).files.to_dict("records")
    assert (row["status"], row["reason_code"], row["size_bytes"]) == ("rejected", "too_large", len(content))
    assert row["file_sha256"] == hashlib.sha256(content).hexdigest()
    assert arrivals.lake.get_bytes(row["archive_path"]) == content
    assert b"too_large" in arrivals.lake.get_bytes(row["report_path"])


class Unreadable(Inbox):
    """An inbox in which nothing may be read whole."""

    def read(self, file: InboxFile) -> bytes:
        raise AssertionError(f"{file.name} was opened")


def test_a_file_that_kept_its_stamp_is_not_opened_again(arrivals):
    arrivals.drop("visit_reports/a.csv", REPORT)
    assert len(arrivals.read().files) == 1
    assert arrivals.read().files.empty, "opened once more: the first look could not know that it was whole"
    assert arrivals.read(Unreadable(str(arrivals.inbox), arrivals.settings)).files.empty


def test_a_file_of_the_same_size_and_time_with_other_bytes_is_a_new_version(arrivals):
    """Programs copy times along; when a file was put into place they cannot set."""
    for km in ("11.20", "13.40"):
        arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work(km)]}))
        assert arrivals.read().files["status"].to_list() == ["accepted"]
    assert arrivals.stage().visit_legs(DAY)["reported_km"].astype(str).to_list() == ["13.40"]


def test_a_run_that_nobody_attends_reads_a_file_that_two_looks_see_the_same(arrivals):
    """Its time may be of the year 2000 or days ahead: the sender's clock says nothing."""
    for name, instant in (("old", 946_684_800), ("ahead", 4e9)):
        arrivals.drop(f"visit_reports/{name}.csv", visit_report({PAID: [to_work(f"1{len(name)}.20")]}))
        os.utime(arrivals.inbox / "visit_reports" / f"{name}.csv", (instant, instant))
    started = time.monotonic()
    assert len(arrivals.read(is_attended=False).files) == 2
    assert time.monotonic() - started >= SECOND_LOOK_AFTER_S
    assert arrivals.read(Unreadable(str(arrivals.inbox), arrivals.settings), is_attended=False).files.empty


def test_a_file_that_changes_between_the_looks_waits_for_the_next_run(arrivals):
    class Growing(Inbox):
        def files(self) -> list[InboxFile]:
            with (arrivals.inbox / "visit_reports" / "a.csv").open("ab") as file:
                file.write(b"\n")
            return super().files()

    arrivals.drop("visit_reports/a.csv", REPORT)
    summary = arrivals.read(Growing(str(arrivals.inbox), arrivals.settings), is_attended=False)
    assert summary.files.empty
    assert summary.ignored == ["visit_reports/a.csv is not read yet: it changed a moment ago and may still be written."]
    assert len(arrivals.read().files) == 1


def test_a_file_that_grows_while_it_is_read_waits(arrivals):
    class Growing(Inbox):
        def files(self) -> list[InboxFile]:
            return [replace(file, size=file.size - file.name.endswith("a.csv")) for file in super().files()]

    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.drop("visit_reports/b.csv", visit_report({SEEN_TWICE: [to_work()]}))
    summary = arrivals.read(Growing(str(arrivals.inbox), arrivals.settings))
    assert summary.files["file_name"].to_list() == ["visit_reports/b.csv"]
    assert ["a.csv changed while it was read" in sentence for sentence in summary.ignored] == [True]
    assert len(arrivals.read().files) == 1


def test_the_report_of_a_file_is_harmless_and_complete(arrivals):
    row = run_row(2, "=1+1", "25:99", "06:45", 11)
    arrivals.drop("bulletins/=a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11), f"={row}"))
    summary = arrivals.read()
    (file,) = summary.files.to_dict("records")
    assert summary.reasons.to_dict("records") == [
        {"file_name": "bulletins/=a.csv", "reason_code": code, "rows": 1} for code in ("bad_plate", "bad_time")
    ]
    report = pd.read_csv(io.BytesIO(arrivals.lake.get_bytes(file["report_path"])), dtype=str)
    assert report["Linha"].to_list() == ["3", "3"]
    assert report["Motivo"].to_list() == ["Placa inválida", "Horário inexistente ou fora do formato"]
    assert report["Linha recebida"].to_list() == [f"'={row}"] * 2
    assert not report.astype(str).map(lambda cell: cell.startswith(("=", "+", "-", "@"))).to_numpy().any()


def test_a_file_called_like_its_report_is_kept(arrivals):
    content = bulletin(run_row(1, PAID, "25:99", "06:45", 11))
    arrivals.drop("bulletins/rejections.csv", content)
    (file,) = arrivals.read().files.to_dict("records")
    assert arrivals.lake.get_bytes(file["archive_path"]) == content
    assert b"bad_time" in arrivals.lake.get_bytes(file["report_path"])


def test_a_file_counts_on_its_days(arrivals):
    bad = run_row(2, PAID, "25:99", "06:45", 11)
    arrivals.drop(
        "bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11), bad, bad.replace("10/06", "11/06"))
    )
    arrivals.read()
    days = arrivals.warehouse.read("select date, rows_read, rows_accepted, rows_rejected from ops.file_days", {})
    assert sorted(days.itertuples(index=False, name=None)) == [(DAY, 2, 1, 1), (DAY + ONE_DAY, 1, 0, 1)]
    low = day_acceptance(arrivals.warehouse, DAY, 95)
    assert low[["source_kind", "is_low"]].to_numpy().tolist() == [["bulletin", True]]
    assert low["acceptance_pct"].astype(str).to_list() == ["50.00"]
    arrivals.drop(
        "bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11), run_row(2, PAID, "07:30", "07:45", 1))
    )
    arrivals.read()
    assert not day_acceptance(arrivals.warehouse, DAY, 95)["is_low"].any(), "the corrected version counts"


def test_a_row_that_the_counts_lost_is_reported(arrivals, monkeypatch):
    """The fault is put where a format's result is returned; everything else is real."""
    arrivals.drop("visit_reports/whole.csv", visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}))
    arrivals.read()
    assert lost_rows(arrivals.warehouse) == []
    monkeypatch.setattr(
        "fleet_audit.ingest.inbox.file_reader.parse_inbox_file",
        lambda *arguments: replace(parse_inbox_file(*arguments), rows_read=2),
    )
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    (sentence,) = lost_rows(arrivals.warehouse)
    assert "visit_reports/a.csv: 2 rows were read, but 1 accepted" in sentence
    of_days = lost_rows_by_day(arrivals.warehouse, STAGING_VISIT_LEGS, [DAY, DAY + ONE_DAY])
    assert of_days == {DAY: [sentence], DAY + ONE_DAY: []}, "only the days of the file are wrong"


def test_a_day_of_a_file_that_is_lost_later_is_reported_when_files_are_recounted(arrivals):
    """Whether rows add up was judged when the file was read, and never again."""
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 11), run_row(2, PAID, "x", "y", 1)))
    arrivals.read()
    kept = arrivals.warehouse.read("select * from ops.file_days", {})
    assert recount_lost_rows(arrivals.warehouse) == []
    arrivals.warehouse.execute("update ops.file_days set rows_read = 1, rows_rejected = 0")
    (sentence,) = recount_lost_rows(arrivals.warehouse)
    assert "bulletins/a.csv: 2 rows were read, but 1 accepted, 1 rejected and 0 duplicate, 1 on its days" in sentence
    arrivals.warehouse.upsert(FILE_DAYS, kept)
    assert recount_lost_rows(arrivals.warehouse) == [], "the rows were restored"


def test_a_refused_file_is_listed_until_it_is_accepted_under_its_name(arrivals):
    arrivals.drop("visit_reports/a.csv", b"rubbish")
    arrivals.drop("visit_reports/b.csv", b"more rubbish")
    before = arrivals_digest(arrivals.warehouse)
    arrivals.read()
    assert set(refused_files(arrivals.warehouse)["file_name"]) == {"visit_reports/a.csv", "visit_reports/b.csv"}
    assert arrivals_digest(arrivals.warehouse) != before
    arrivals.read()
    arrivals.drop("visit_reports/a.csv", b"still rubbish")
    arrivals.read()
    assert refused_files(arrivals.warehouse)["file_name"].to_list() == ["visit_reports/a.csv", "visit_reports/b.csv"]
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    assert refused_files(arrivals.warehouse)["file_name"].to_list() == ["visit_reports/b.csv"]


def test_a_name_from_outside_leads_nowhere(arrivals):
    name = "visit_reports/Relatório de 10.06 (cópia) $(rm).csv"
    arrivals.drop(name, REPORT)
    (row,) = arrivals.read().files.to_dict("records")
    assert row["file_name"] == name
    assert arrivals.lake.get_bytes(row["archive_path"]) == REPORT


@given(st.text(max_size=300))
@example("rejections.csv")
def test_a_safe_name_is_one_harmless_component(name):
    safe = safe_name(name)
    assert safe.isascii()
    assert 0 < len(safe) <= 120
    assert safe != "rejections.csv"
    assert "/" not in safe
    assert not safe.startswith(".")


def test_other_folders_are_skipped_and_reported(arrivals):
    arrivals.drop("faturas/a.csv", b"1")
    summary = arrivals.read()
    assert summary.files.empty
    assert any("faturas" in sentence for sentence in summary.ignored)


def test_without_the_folder_a_sentence(arrivals):
    arrivals.inbox.rmdir()
    with pytest.raises(PermanentError, match="FLEET_INBOX_URL"):
        arrivals.read()


@pytest.mark.parametrize(
    ("kind", "content", "days"),
    [
        ("visit_report", REPORT, [(DAY, DAY)]),
        ("bulletin", bulletin(run_row(1, PAID, "06:30", "06:45", 11)), [(DAY, DAY + ONE_DAY)]),
        ("bulletin", bulletin(run_row(1, PAID, "06:30", "26:45", 11)), [(DAY, DAY + ONE_DAY)]),
        ("bulletin", bulletin(run_row(1, PAID, "00:10", "00:35", 11)), [(DAY - ONE_DAY, DAY + ONE_DAY)]),
        ("telemetry", telemetry(drive(PAID, "06:30")), [(DAY - ONE_DAY, DAY)]),
        ("reference", b"unit_code\n", []),
        ("visit_report", b"rubbish", []),
        ("bulletin", bulletin(), []),
    ],
)
def test_which_days_a_file_can_change(settings, kind, content, days):
    file = InboxFile(kind, "a.csv", len(content), FIRST_LOOK)
    assert list(days_of_file(file, content, settings, FIRST_LOOK).spans) == days


def test_a_refused_file_changes_the_days_in_its_name_which_become_incomplete(settings):
    file = InboxFile("visit_report", f"visit_reports/visita_{DAY:%d-%m-%Y}.csv", 7, FIRST_LOOK)
    assert list(days_of_file(file, b"rubbish", settings, FIRST_LOOK).spans) == [(DAY, DAY)]


@pytest.mark.parametrize(("hour", "first"), [(4, DAY), (6, DAY - ONE_DAY)])
def test_which_runs_may_be_of_the_day_before_follows_from_the_parameter(settings, hour, first):
    content = bulletin(run_row(1, PAID, "05:10", "05:35", 11))
    rows = pd.DataFrame([{"name": "night_departure_h", "value": hour, "valid_from": None, "valid_to": DAY}])
    file = InboxFile("bulletin", "a.csv", len(content), FIRST_LOOK)
    assert days_of_file(file, content, settings, FIRST_LOOK, rows).spans[0][0] == first


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("bulletin", bulletin(*(run_row(n, PAID, "06:30", end, 11) for n, end in enumerate(("06:45", "06:20"))))),
        ("bulletin", bulletin(run_row(1, PAID, "06:30", "06:45", 11)).replace(b"/2025", b"/2035")),
        ("bulletin", bulletin(run_row(1, PAID, "06:30", "06:45", 11)).replace(b"/06/2025", b"/13/2025")),
        ("telemetry", telemetry(drive(PAID, "06:30")).replace(b"2025-", b"2005-")),
        ("telemetry", telemetry([*drive(PAID, "23:50"), *drive(PAID, "06:30")]).replace(b"T06", b"X06")),
    ],
    ids=["an unreadable arrival", "after its arrival", "no date", "of another century's counter", "over midnight"],
)
def test_the_days_of_a_file_are_those_of_its_rows_and_notes(settings, kind, content):
    file = InboxFile(kind, "a.csv", len(content), FIRST_LOOK)
    parsed = parse_inbox_file(file, content, settings, FIRST_LOOK)
    found = days_of_inbox_file(file, content, settings, FIRST_LOOK)
    assert found.named == {*parsed.named_days, *parsed.days["date"]}


def test_names_of_drivers_are_in_one_table_only(arrivals):
    named = REPORT.decode().replace(",Unknown,", ",Maria Souza,").encode()
    arrivals.drop("visit_reports/a.csv", named)
    arrivals.read()
    drivers = arrivals.warehouse.read("select driver_id, name from ref.drivers", {})
    pseudonym = driver_pseudonym("MARIA  SOUZA", b"fleet-audit")
    assert dict(zip(drivers["driver_id"], drivers["name"], strict=True)) == {pseudonym: "Maria Souza"}
    legs = arrivals.stage().visit_legs(DAY)
    assert legs["driver_id"].to_list() == [pseudonym]
    assert "Maria" not in legs.to_csv()


def test_a_registered_driver_is_known_by_id_and_by_name():
    registered = pd.DataFrame(
        {"driver_id": ["D1", "D2"], "name": ["Ana", None], "carrier_code": "UM", "is_maintenance": [True, False]}
    )
    known = with_pseudonyms(registered, b"key").set_index("driver_id")
    assert known.loc[driver_pseudonym("ANA", b"key"), "is_maintenance"]
    aliases = {driver_pseudonym(text, b"key") for text in ("Ana", "D1", "D2")}  # the API knows ids only
    assert set(known.index) == {"D1", "D2", *aliases}
    assert known.loc[driver_pseudonym("d1", b"key"), "is_maintenance"]


def test_of_a_file_that_a_run_has_read_only_unfinished_days_are_due():
    days = [DAY + dt.timedelta(days=at) for at in range(4)]
    noon = pd.Timestamp("2025-07-01T12:00Z")
    computed = {days[0]: noon + pd.Timedelta(hours=1), days[1]: noon - pd.Timedelta(hours=1)}
    whole = [(days[0], days[3])]
    assert outdated_spans(noon, computed, whole, named=days[:3]) == [(days[1], days[2])]
    assert outdated_spans(noon, computed, [(days[0], days[0])], named=days[:1]) == []

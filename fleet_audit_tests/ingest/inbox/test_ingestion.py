"""One entry of the inbox never stops the others: what cannot be read is refused with its sentence, on record."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from fleet_audit.errors import RetryableError
from fleet_audit.formats.reference import reference_file
from fleet_audit.ingest.inbox.file_reader import UNREADABLE_SHA256
from fleet_audit.ingest.inbox.ingestion import UNANSWERED_IN_A_ROW
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit_tests.integration.small_fleet import DAY, PAID, SEEN_TWICE, bulletin, run_row, to_work, visit_report

REPORT = visit_report({PAID: [to_work()]})


def _files(arrivals) -> pd.DataFrame:
    return arrivals.warehouse.read("select * from ops.ingested_files order by file_name", {}).set_index("file_name")


def test_entries_that_cannot_be_read_are_on_record_while_they_are_there(arrivals, tmp_path):
    arrivals.drop("visit_reports/a.csv", REPORT)
    folder = arrivals.inbox / "visit_reports"
    os.mkfifo(folder / "pipe.csv")
    (folder / "out.csv").symlink_to(tmp_path / "secret.csv")
    arrivals.read()
    files = _files(arrivals)
    assert files["status"].to_dict() == {
        "visit_reports/a.csv": "accepted",
        "visit_reports/out.csv": "rejected",
        "visit_reports/pipe.csv": "rejected",
    }
    pipe = files.loc["visit_reports/pipe.csv"]
    assert pipe["message"] == "visit_reports/pipe.csv is a pipe, socket or device and not a file; remove it."
    assert (pipe["file_sha256"], pipe["reason_code"]) == (UNREADABLE_SHA256, "unreadable")
    (folder / "pipe.csv").unlink()
    arrivals.drop("visit_reports/pipe.csv", visit_report({SEEN_TWICE: [to_work()]}))
    arrivals.read()
    files = _files(arrivals)
    assert files.loc["visit_reports/pipe.csv", "status"] == "accepted"
    assert files["status"].to_list() == ["accepted", "rejected", "accepted"]


@pytest.mark.parametrize("error", [ValueError("year 0 is out of range"), RecursionError(), MemoryError()])
def test_an_error_that_no_format_foresaw_refuses_the_file_and_keeps_it(arrivals, monkeypatch, error):
    """The error is put where one reference file is parsed; everything else is real."""
    real = reference_file.parse_reference

    def failing(table: str, *arguments: object) -> object:
        if table == "carriers":
            raise error
        return real(table, *arguments)

    monkeypatch.setattr("fleet_audit.formats.read.parse_reference", failing)
    arrivals.drop("reference/carriers.csv", b"carrier_code,name\nUM,Um\n")
    arrivals.drop("reference/units.csv", b"unit_code,name,timezone,cost_center\nU,U,America/Sao_Paulo,C\n")
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    files = _files(arrivals)
    assert files["status"].to_list() == ["rejected", "accepted", "accepted"]
    refused = files.loc["reference/carriers.csv"]
    assert type(error).__name__ in refused["message"]
    assert "send it again" in refused["message"]
    assert arrivals.lake.get_bytes(refused["archive_path"]).startswith(b"carrier_code")


def test_a_value_that_the_warehouse_cannot_hold_refuses_its_file_only(arrivals):
    """PostgreSQL has no character 0; a rejected row is kept as received."""
    good = run_row(1, PAID, "06:30", "06:45", 11)
    arrivals.drop("bulletins/a.csv", bulletin(good))
    arrivals.drop("bulletins/b.csv", bulletin(good, run_row(2, PAID, "25:99\x00", "06:45", 11)))
    arrivals.drop("bulletins/c.csv", bulletin(run_row(3, PAID, "08:30", "08:45", 11)))
    arrivals.read()
    assert _files(arrivals).loc[["bulletins/a.csv", "bulletins/c.csv"], "status"].to_list() == ["accepted"] * 2
    assert len(arrivals.stage().declared_runs(DAY)) == 2


def test_names_of_any_spelling_are_kept_and_their_rows_count(arrivals):
    """Latin-1, Hive-like folders, the same name in two folders, composed and decomposed accents."""
    names = [
        os.fsdecode(b"relat\xf3rio.csv"),
        "date=2025-06-10/x.csv",
        "a/ação.csv",
        "b/ac\u0327a\u0303o.csv",
        "50%2F.csv",
    ]
    for number, name in enumerate(names):
        row = run_row(number, PAID, f"{6 + number:02d}:30", f"{6 + number:02d}:45", 11)
        arrivals.drop(f"bulletins/{name}", bulletin(row))
    arrivals.read()
    known = {name.removeprefix("bulletins/") for name in _files(arrivals).index}
    assert known == {"relat\\xf3rio.csv", *names[1:]}
    assert len(arrivals.stage().declared_runs(DAY)) == len(names)


def test_the_same_bytes_sent_again_heal_the_archive(arrivals):
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    path = _files(arrivals)["archive_path"].iloc[0]
    for lose in (arrivals.lake.delete, lambda path: arrivals.lake.put_bytes(path, b"torn")):
        for name in ("visit_reports/a.csv", "visit_reports/copy.csv"):  # under its name, and under another
            lose(path)
            arrivals.drop(name, REPORT)
            arrivals.read()
            assert arrivals.lake.get_bytes(path) == REPORT
            (arrivals.inbox / name).unlink()


def test_lost_parsed_rows_are_there_again_on_the_next_look_at_the_day(arrivals):
    arrivals.drop("visit_reports/a.csv", REPORT)
    arrivals.read()
    for path in arrivals.lake.list("parsed"):
        arrivals.lake.put_bytes(path, b"torn")
    assert len(arrivals.stage().visit_legs(DAY)) == 1


def test_a_storage_that_answers_for_no_file_stops_the_run(arrivals):
    class Down(Inbox):
        asked = 0

        def read(self, file: InboxFile) -> bytes:
            Down.asked += 1
            raise RetryableError("no answer")

    for number in range(10):
        arrivals.drop(f"visit_reports/{number}.csv", REPORT)
    with pytest.raises(RetryableError):
        arrivals.read(Down(str(arrivals.inbox), arrivals.settings))
    assert Down.asked == UNANSWERED_IN_A_ROW


def test_an_inbox_that_is_a_link_to_a_folder_is_read(arrivals, tmp_path):
    """The folder of the setting itself may be a link: only what lies in it may not lead out."""
    arrivals.drop("visit_reports/a.csv", REPORT)
    (tmp_path / "link").symlink_to(arrivals.inbox)
    assert [file.problem for file in Inbox(str(tmp_path / "link"), arrivals.settings).files()] == [""]
    assert Path(str(arrivals.inbox)).is_dir()

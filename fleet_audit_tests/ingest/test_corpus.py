"""The corpus of bad files in one inbox, read like any other: each is archived and reported, and stops no good one."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import pytest

from fleet_audit.ingest.incomplete.files import lost_rows
from fleet_audit.sources.inbox import FOLDERS
from fleet_audit_tests.formats.corpus import CASES
from fleet_audit_tests.integration.small_fleet import DAY, PAID, to_work, visit_report

FOLDER_OF = {kind: folder for folder, kind in FOLDERS.items()}
ONE_OF_EACH = list({case.name: case for case in CASES if len(case.content) < 1_000_000}.values())


@pytest.fixture
def dropped(arrivals) -> dict[str, bytes]:
    """A case of each name, and one good file."""
    files = {
        f"{FOLDER_OF[case.kind]}/{number:03d}/{PurePosixPath(case.file_name).name}": case.content
        for number, case in enumerate(ONE_OF_EACH)
    }
    files["visit_reports/good.csv"] = visit_report({PAID: [to_work()]})
    for name, content in files.items():
        arrivals.drop(name, content)
    return files


def test_each_file_is_archived_and_reported_and_no_row_vanishes(arrivals, dropped):
    files = arrivals.read().files.set_index("file_name")
    assert set(files.index) == set(dropped)
    assert lost_rows(arrivals.warehouse) == []
    for name, content in dropped.items():
        assert files.loc[name, "file_sha256"] == hashlib.sha256(content).hexdigest()
        assert arrivals.lake.get_bytes(files.loc[name, "archive_path"]) == content
    refused = files[files["rows_rejected"].gt(0) | files["status"].eq("rejected")]
    assert len(refused) > 30
    for row in refused.itertuples():
        assert arrivals.lake.get_bytes(row.report_path).count(b"\n") >= 2
    assert "visit_reports/good.csv" in files.index[files["status"] == "accepted"]
    assert PAID in set(arrivals.stage().visit_legs(DAY)["plate"])
    assert arrivals.read().files.empty

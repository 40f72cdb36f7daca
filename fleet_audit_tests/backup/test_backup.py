"""A backup restores the same rows, files and runs elsewhere; a damaged one is refused before anything is replaced."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from fleet_audit.backup.database_dump import dump_database, restore_database
from fleet_audit.backup.pruning import prune_backups
from fleet_audit.backup.writing import Parts, write_backup
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema.facts import COVERAGE, FINDINGS, TRIPS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake_files import LakeFiles
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.integration.installation import Installation, invoked
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)
TABLES = (TRIPS, FINDINGS, COVERAGE)


@pytest.fixture
def filled(tmp_path, postgres_url) -> Installation:
    """An installation with rows, a file of the lake and a run."""
    made = Installation(tmp_path / "home", None, postgres_url)
    for table in TABLES:
        Warehouse(postgres_url).replace_partition(table, [DAY], sample(table, DAY, 3), "run")
    _write(made.home / "lake" / "raw" / "bulletin" / "ação 1", b"bytes as received")
    with made.dagster() as (_, instance):
        instance.add_run(dg.DagsterRun("day", run_id="r1", status=dg.DagsterRunStatus.SUCCESS))
    return made


@pytest.fixture
def empty(tmp_path, empty_postgres_url) -> Installation:
    """Another installation, without tables, on the same server."""
    made = Installation(tmp_path / "other", None, empty_postgres_url)
    made.home.mkdir()
    return made


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _rows(installation: Installation) -> dict[str, pd.DataFrame]:
    return {table.name: installation.warehouse.read_table(table) for table in TABLES}


def test_a_restored_installation_has_the_same_rows_files_and_runs(tmp_path, filled, empty):
    place = tmp_path / "place"
    made = invoked(filled, "backup", place)
    assert made.exit_code == 0, made.output
    restored = invoked(empty, "restore", place)
    assert restored.exit_code == 0, restored.output
    for name, rows in _rows(filled).items():
        pd.testing.assert_frame_equal(_rows(empty)[name], rows)
    assert empty.files("raw") == filled.files("raw") != {}
    with empty.dagster() as (_, instance):
        assert [run.run_id for run in instance.get_runs()] == ["r1"]
    before = len(list((place / "objects").rglob("*")))
    assert invoked(filled, "backup", place).exit_code == 0
    assert len(list((place / "objects").rglob("*"))) <= before + 6, "files of the lake are stored once"


def test_runs_of_dagster_are_replaced_only_on_request(tmp_path, filled, empty):
    assert invoked(filled, "backup", tmp_path / "place").exit_code == 0
    with empty.dagster() as (_, instance):
        instance.add_run(dg.DagsterRun("day", run_id="other", status=dg.DagsterRunStatus.SUCCESS))
    refused = invoked(empty, "restore", tmp_path / "place")
    assert (refused.exit_code, "has runs" in refused.output) == (2, True), refused.output


def test_a_warehouse_with_data_is_replaced_only_on_request(tmp_path, filled):
    place = tmp_path / "place"
    assert invoked(filled, "backup", place).exit_code == 0
    refused = invoked(filled, "restore", place)
    assert (refused.exit_code, "--replace" in refused.output) == (2, True), refused.output
    kept = _rows(filled)
    filled.warehouse.replace_partition(TRIPS, [DAY], sample(TRIPS, DAY, 0), "run")
    _write(filled.home / "lake" / "raw" / "later", b"not in the backup")
    replaced = invoked(filled, "restore", place, "--replace")
    assert replaced.exit_code == 0, replaced.output
    pd.testing.assert_frame_equal(_rows(filled)["trips"], kept["trips"])
    assert list(filled.files("raw")) == ["raw/bulletin/ação 1"]


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"other"), Path.unlink], ids=["exchanged", "lost"])
def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path, filled, spoil: Callable[[Path], None]):
    place = tmp_path / "place"
    assert invoked(filled, "backup", place).exit_code == 0
    (name,) = filled.files("raw").values()
    spoil(place / "objects" / name[:2] / name)
    kept = _rows(filled)
    refused = invoked(filled, "restore", place, "--replace")
    assert refused.exit_code == 2
    assert "lake/raw/bulletin/ação 1 cannot be restored" in refused.output
    pd.testing.assert_frame_equal(_rows(filled)["trips"], kept["trips"])


class _LakeOfARun(LakeFiles):
    """The lake of an installation whose run removes files just after they were listed."""

    removed: tuple[str, ...] = ()

    def list(self, prefix: str = "") -> list[str]:
        found = super().list(prefix)
        for path in self.removed:
            self.delete(path)
        return found


def _lake_settings(installation: Installation) -> Settings:
    return Settings(_env_file=None, lake_url=str(installation.home / "lake"))


def _backed_up(filled: Installation, place: Path, removed: tuple[str, ...]) -> list[str]:
    """What the backup prints, of an installation whose run removes files meanwhile."""
    printed: list[str] = []
    lake = _LakeOfARun(_lake_settings(filled))
    lake.removed = removed
    with filled.dagster() as (_, instance):
        parts = Parts(filled.warehouse_url or "", lake, instance, filled.home / "dagster")
        write_backup(parts, LakeFiles(Settings(_env_file=None, lake_url=str(place))), printed.append, is_live=True)
    return printed


def test_files_that_a_run_removes_meanwhile_do_not_fail_the_backup_if_runs_compute_them_again(tmp_path, filled):
    """The end of each morning's staging removes parsed pages; the weekly retention removes staging and legs."""
    lake = LakeFiles(_lake_settings(filled))
    removed = ("parsed/api_pages/date=2025-06-07/a.parquet", "staging/positions/date=2024-06-07/data.parquet")
    for path in (*removed, "parsed/api_pages/date=2025-06-10/b.parquet"):
        lake.put_bytes(path, b"rows")
    printed = _backed_up(filled, tmp_path / "place", removed)
    assert printed[-1] == "lake: 1 files, and 1 that a run removed meanwhile"  # the pages are not backed up at all


def test_a_file_as_received_that_is_gone_ends_the_backup(tmp_path, filled):
    path = "raw/bulletin/ação 1"
    with pytest.raises(RetryableError, match=f"{path} was removed while the backup ran: back up again"):
        _backed_up(filled, tmp_path / "place", (path,))
    assert not (tmp_path / "place" / "backups").exists()


def test_a_dump_that_ends_early_leaves_the_old_rows(tmp_path, filled):
    url = filled.warehouse_url or ""
    dump_database(url, tmp_path / "dump")
    kept = _rows(filled)
    (tmp_path / "dump").write_bytes((tmp_path / "dump").read_bytes()[:-20_000])
    with pytest.raises(PermanentError, match="could not be restored"):
        restore_database(url, tmp_path / "dump")
    for name, rows in _rows(filled).items():
        pd.testing.assert_frame_equal(rows, kept[name])


def test_a_place_inside_the_lake_is_refused(filled):
    refused = invoked(filled, "backup", filled.home / "lake" / "backup")
    assert (refused.exit_code, "is inside the lake" in refused.output) == (2, True), refused.output
    assert not (filled.home / "lake" / "backup").exists()


def test_a_going_run_is_named(tmp_path, filled):
    with filled.dagster() as (_, instance):
        instance.add_run(dg.DagsterRun("day", run_id="going", status=dg.DagsterRunStatus.STARTED))
    refused = invoked(filled, "backup", tmp_path / "place")
    assert (refused.exit_code, "Run going has not ended" in refused.output) == (2, True)
    live = invoked(filled, "backup", tmp_path / "place", "--live")
    assert (live.exit_code, "run its days again" in live.output) == (0, True), live.output


def test_backups_that_are_too_old_are_removed_and_the_others_can_be_restored(tmp_path, filled, empty):
    place = tmp_path / "place"
    first = invoked(filled, "backup", place)
    assert first.exit_code == 0, first.output
    _age(place, days=40)
    (filled.home / "lake" / "raw" / "bulletin" / "ação 1").unlink()
    _write(filled.home / "lake" / "raw" / "bulletin" / "2", b"of the second backup")
    second = invoked(filled, "backup", place, FLEET_BACKUP_KEEP_DAYS="30")
    assert "1 backups older than 30 days removed" in second.output, second.output
    assert len(list((place / "backups").iterdir())) == 1
    contents = {path.read_bytes() for path in (place / "objects").rglob("*") if path.is_file()}
    assert b"bytes as received" not in contents
    assert b"of the second backup" in contents
    restored = invoked(empty, "restore", place)
    assert restored.exit_code == 0, restored.output
    assert list(empty.files("raw")) == ["raw/bulletin/2"]


def test_the_newest_backup_stays_however_old_and_a_young_object_of_another_backup_too(tmp_path, filled):
    place = tmp_path / "place"
    assert invoked(filled, "backup", place).exit_code == 0
    _age(place, days=40)
    _write(place / "objects" / "aa" / "aa", b"sent by a backup that has no manifest yet")
    target = LakeFiles(Settings(_env_file=None, lake_url=str(place)))
    assert prune_backups(target, 30, dt.datetime.now(dt.UTC)) == ([], 0)
    assert (place / "objects" / "aa" / "aa").exists()


def test_an_object_that_was_cut_short_is_sent_again(tmp_path, filled):
    place = tmp_path / "place"
    assert invoked(filled, "backup", place).exit_code == 0
    (name,) = filled.files("raw").values()
    (place / "objects" / name[:2] / name).write_bytes(b"bytes as")
    assert invoked(filled, "backup", place).exit_code == 0
    assert (place / "objects" / name[:2] / name).read_bytes() == b"bytes as received"


def _age(place: Path, days: int) -> None:
    """Dates the only backup of a place back."""
    (manifest,) = (place / "backups").iterdir()
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    manifest.rename(manifest.with_name(f"{old:%Y%m%dT%H%M%SZ}{manifest.name[16:]}"))
    for path in (place / "objects").rglob("*"):
        os.utime(path, (old.timestamp(), old.timestamp()))

"""A run that is killed leaves old rows or new ones, a later one completes; two at once end as one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import psycopg2
import pytest

from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit_tests.integration.installation import (
    Installation,
    assert_counts_reconcile,
    assert_same_facts,
    failures,
)
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
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
from fleet_audit_tests.waiting import LONG_S, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
PLATES = (PAID, SEEN_TWICE, WITHOUT_CONTRACT, WITHOUT_TARIFF)
CYCLE = cycle_of(DAY, closing_day=16).start


def _files(km: str, declared_km: int) -> dict[str, bytes]:
    return {
        "visit_reports/day.csv": visit_report({plate: [to_work(km), from_work(km)] for plate in PLATES}),
        "bulletins/day.csv": bulletin(
            *(run_row(number, plate, "06:30", "06:45", declared_km) for number, plate in enumerate(PLATES, 1))
        ),
        "telemetry/day.csv": telemetry(drive(SEEN_TWICE, "06:30")),
    }


OLD, NEW = _files("11.20", 11), _files("12.60", 25)


@pytest.fixture(scope="module")
def install(tmp_path_factory, new_database) -> Callable[[], Installation]:
    """Makes an installation whose day was run on the old files and whose inbox has the new ones."""

    def make() -> Installation:
        root = tmp_path_factory.mktemp("killed")
        installation = Installation(root / "home", str(write_inbox(root / "inbox", OLD)), new_database())
        assert failures(installation.materialize(DAY)) == []
        write_inbox(root / "inbox", NEW)
        return installation

    return make


@pytest.fixture(scope="module")
def killed(install) -> Installation:
    return install()


@pytest.fixture(scope="module")
def old(killed: Installation) -> dict[str, pd.DataFrame]:
    return killed.facts()


@pytest.fixture(scope="module")
def undisturbed(install) -> Installation:
    """The day was run on the new files, at once and alone."""
    installation = install()
    assert failures(installation.materialize(DAY)) == []
    return installation


@pytest.fixture(scope="module")
def new(undisturbed: Installation) -> dict[str, pd.DataFrame]:
    return undisturbed.facts()


@pytest.fixture(scope="module")
def judged(undisturbed: Installation, new) -> dict[str, pd.DataFrame]:
    """What is there when the cycle of the new day has been judged too, as a run to its end does."""
    assert failures(undisturbed.materialize_cycle(CYCLE)) == []
    return undisturbed.facts()


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(one, other)
    except AssertionError:
        return False
    return True


@contextmanager
def _held_up(installation: Installation, table: str) -> Iterator[None]:
    """Nobody else gets at the table: a run stops there, in the middle of its transaction."""
    connection = psycopg2.connect(installation.warehouse_url)
    with connection.cursor() as cursor:
        cursor.execute(f"lock table {table} in exclusive mode")  # reading goes on
        yield
    connection.rollback()
    connection.close()


def _is_someone_waiting(installation: Installation) -> bool:
    waiting = installation.query(
        "select count(*) as n from pg_locks where not granted and database = "
        "(select oid from pg_database where datname = current_database())"
    )
    return bool(waiting["n"].iloc[0])


def _is_nobody_writing(installation: Installation) -> bool:
    others = installation.query(
        "select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
        "and backend_xid is not null"
    )
    return not others["n"].iloc[0]


def test_the_new_files_change_every_fact_that_is_watched(old, new):
    """Else old rows or new ones would be no distinction."""
    changed = {name for name in old if not _same(old[name], new[name])}
    assert {"trips", "trip_costs", "declared_runs", "matches", "findings", "trip_scores"} <= changed


@pytest.mark.parametrize("table", ["fact.trips", "fact.findings"])
def test_killed_inside_a_write_every_table_has_old_rows_or_new_ones(killed, old, new, table):
    with _held_up(killed, table), killed.started("run", "--from", DAY, "--to", DAY) as process:
        wait_until(lambda: _is_someone_waiting(killed) or process.poll() is not None, f"the write of {table}")
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
    wait_until(lambda: _is_nobody_writing(killed), "the end of the killed run's transaction")
    found = killed.facts()
    broken = [name for name in found if not _same(found[name], old[name]) and not _same(found[name], new[name])]
    assert broken == []
    assert _same(found[table.removeprefix("fact.")], old[table.removeprefix("fact.")])


@pytest.mark.parametrize("step", ["staging__declared_runs", "day_windows"])
def test_killed_between_steps_the_lake_has_whole_files_only(killed, old, new, step):
    with killed.started("run", "--from", DAY, "--to", DAY) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip() == f"{step}: done":
                process.kill()
                break
        process.communicate()
    assert process.returncode == -9
    found = killed.facts()
    broken = [name for name in found if not _same(found[name], old[name]) and not _same(found[name], new[name])]
    assert broken == []
    lake = killed.home / "lake"
    for path in [*lake.glob("staging/**/*.parquet"), *lake.glob("trips/**/*.parquet")]:
        if not path.name.startswith("."):
            pd.read_parquet(path)  # a torn one has no footer


def test_a_later_run_completes_what_was_killed(killed, judged):
    assert failures(killed.materialize(DAY)) == []
    assert failures(killed.materialize_cycle(CYCLE)) == []
    assert_same_facts(killed.facts(), judged)
    assert_counts_reconcile(killed)


def test_two_runs_at_once_on_a_home_that_did_not_exist(tmp_path, judged):
    """Nothing is there yet: no database, no lake, no Dagster instance; both make them."""
    installation = Installation(tmp_path / "home", str(write_inbox(tmp_path / "inbox", NEW)))
    processes = [installation.started("run", "--from", DAY, "--to", DAY) for _ in range(2)]
    results = [process.communicate(timeout=LONG_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert_same_facts(installation.facts(), judged)
    assert_counts_reconcile(installation)
    assert "Traceback" not in "".join(output + errors for output, errors in results)

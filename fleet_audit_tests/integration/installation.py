"""One installation in a test: a home, a warehouse, an inbox, a Dagster instance; run it, read what it made."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pandas as pd
from click.testing import CliRunner, Result

from fleet_audit.cli.environment import dagster_home
from fleet_audit.cli.main import main
from fleet_audit.cli.run import unpublished_assets
from fleet_audit.defs.resources import FleetResource
from fleet_audit.schema import facts
from fleet_audit.settings import load_settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.warehouse import Warehouse

REAL_DAY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real_day"
PROGRAMS = Path(sys.executable).parent
OURS = ("FLEET_", "AWS_", "DAGSTER_")
RUN_COLUMNS = ["run_id", "updated_at"]  # who wrote a row and when; everything else must not depend on the run
QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@dataclass(frozen=True)
class Installation:
    """A home and what is not under it. Without `warehouse_url` the warehouse is the embedded one."""

    home: Path
    inbox: str | None = None
    warehouse_url: str | None = None
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that works on it; nothing of the developer's own settings."""
        ours = {
            "FLEET_HOME": str(self.home),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "FLEET_INBOX_URL": self.inbox or "",
            "FLEET_WAREHOUSE_URL": self.warehouse_url or "",
            "FLEET_LAKE_URL": "",
            "FLEET_API_URL": "",
            **self.others,
        }
        return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | ours

    def command(
        self, *arguments: object, program: str = "fleet-audit", folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command line to its end."""
        with self.started(*arguments, program=program, folder=folder) as process:
            output, errors = process.communicate(timeout=900)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def started(
        self, *arguments: object, program: str = "fleet-audit", folder: Path | None = None
    ) -> subprocess.Popen[str]:
        """A command line, started in a folder (the home: there is no `.env`); the caller waits for it."""
        self.home.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [str(PROGRAMS / program), *map(str, arguments)],
            cwd=folder or self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_command(self, first: dt.date, last: dt.date, *options: object) -> subprocess.CompletedProcess[str]:
        """`fleet-audit run` over a range of days."""
        return self.command("run", "--from", first, "--to", last, *options)

    def materialize(
        self, first: dt.date, last: dt.date | None = None, *, is_whole: bool = False
    ) -> dg.ExecuteInProcessResult:
        """The day job in this process on a Dagster instance of its own; a range as one run, one day by its key.

        Marts and reports are left out unless `is_whole`.
        """
        from fleet_audit.definitions import build_definitions  # not at the top: loading warns of what is beta
        from fleet_audit.defs.run_tags import range_tags

        fleet = FleetResource(home=str(self.home), inbox_url=self.inbox or "", warehouse_url=self.warehouse_url or "")
        definitions = build_definitions(resource_overrides={"fleet": fleet})
        wanted = None if is_whole else unpublished_assets(definitions)
        when = {"partition_key": first.isoformat()} if last is None else {"tags": range_tags(first, last)}
        with patch.dict(os.environ, self.environment, clear=True):
            dagster_home(load_settings())
            with dg.DagsterInstance.get() as instance:
                return definitions.resolve_job_def("day").execute_in_process(
                    instance=instance, raise_on_error=False, asset_selection=wanted, run_config=QUIET, **when
                )

    def materialize_assets(self, keys: Sequence[dg.AssetKey], day: dt.date | None) -> dg.ExecuteInProcessResult:
        """These assets and their checks alone, as `dg launch --assets` does."""
        with self.dagster() as (definitions, instance):
            return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance,
                raise_on_error=False,
                asset_selection=list(keys),
                run_config=QUIET,
                partition_key=day and day.isoformat(),
            )

    @contextlib.contextmanager
    def dagster(self) -> Iterator[tuple[dg.Definitions, dg.DagsterInstance]]:
        """The code location and the Dagster instance, with the environment of a process that works on them."""
        from fleet_audit.definitions import build_definitions  # not at the top: loading warns of what is beta

        fleet = FleetResource(home=str(self.home), inbox_url=self.inbox or "", warehouse_url=self.warehouse_url or "")
        with patch.dict(os.environ, self.environment, clear=True):
            dagster_home(load_settings())
            with dg.DagsterInstance.get() as instance:
                yield build_definitions(resource_overrides={"fleet": fleet}), instance

    def materialize_cycle(self, start: dt.date) -> dg.ExecuteInProcessResult:
        """The tables of a cycle, without its report, in this process."""
        from fleet_audit.definitions import build_definitions  # not at the top: loading warns of what is beta

        fleet = FleetResource(home=str(self.home), inbox_url=self.inbox or "", warehouse_url=self.warehouse_url or "")
        definitions = build_definitions(resource_overrides={"fleet": fleet})
        wanted = unpublished_assets(definitions, "cycle")
        with patch.dict(os.environ, self.environment, clear=True):
            dagster_home(load_settings())
            with dg.DagsterInstance.get() as instance:
                return definitions.resolve_job_def("cycle").execute_in_process(
                    instance=instance,
                    raise_on_error=False,
                    asset_selection=wanted,
                    run_config=QUIET,
                    partition_key=start.isoformat(),
                )

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse, to look into."""
        return Warehouse(self.warehouse_url or ensure_running(self.home))

    def query(self, sql: str, **params: object) -> pd.DataFrame:
        """The rows of a SELECT."""
        return self.warehouse.read(sql, params)

    def facts(self, days: Sequence[dt.date] | None = None) -> dict[str, pd.DataFrame]:
        """All fact tables without the columns that say who wrote a row and when."""
        return {
            table.name: (
                self.warehouse.read_table(table) if days is None else self.warehouse.read_partition(table, days)
            ).drop(columns=RUN_COLUMNS, errors="ignore")
            for table in facts.FACTS
        }

    def files(self, *folders: str) -> dict[str, str]:
        """SHA-256 of every file in these folders of the local lake, by path."""
        lake = self.home / "lake"
        return {
            str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in folders
            for path in sorted((lake / folder).rglob("*"))
            if path.is_file()
        }


def assert_same_facts(found: Mapping[str, pd.DataFrame], expected: Mapping[str, pd.DataFrame]) -> None:
    """Row for row, in every fact table."""
    assert set(found) == set(expected)
    for name, rows in expected.items():
        pd.testing.assert_frame_equal(found[name], rows, obj=f"fact.{name}")


def assert_counts_reconcile(installation: Installation) -> None:
    """Read = accepted + rejected + duplicate, for every file and at every stage of every day."""
    counted = installation.query(
        "select 'file ' || file_name as what, rows_read, rows_accepted, rows_rejected, rows_duplicate "
        "from ops.ingested_files union all "
        "select stage || ' ' || source || ' ' || partition_date, rows_read, rows_accepted, rows_rejected, "
        "rows_duplicate from ops.stage_counts"
    )
    assert counted["rows_accepted"].sum() > 0
    lost = counted["rows_read"] - counted[["rows_accepted", "rows_rejected", "rows_duplicate"]].sum(axis=1)
    assert counted["what"][lost != 0].to_list() == []


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """What failed in a run: steps with the sentence of their error, and blocking checks."""
    steps = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    checks = [
        f"{check.asset_key.to_user_string()} {check.check_name}: {dict(check.metadata)}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    ]
    return [(error.cause or error).message if error else "failed" for error in steps] + checks


def said(result: subprocess.CompletedProcess[str] | Result) -> str:
    """All that a command line printed."""
    return f"{result.stdout}\n{result.stderr}"


def invoked(installation: Installation, *arguments: object, **variables: str) -> Result:
    """A command line in this process: it has loaded what one of its own takes 5 s of processor time to load."""
    environment = {**installation.environment, **variables}
    installation.home.mkdir(parents=True, exist_ok=True)
    with patch.dict(os.environ, environment, clear=True), contextlib.chdir(installation.home):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

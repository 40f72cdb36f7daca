"""The code location holds everything that was written for it, described well enough for a stranger."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import fleet_audit.defs
from fleet_audit.closing.code import code_version
from fleet_audit.defs.partitions import cycle_partitions
from fleet_audit.defs.run_tags import CYCLE_KEYS
from fleet_audit.defs.tables import key_of
from fleet_audit.schema import facts, reference
from fleet_audit.schema.registry import TABLES
from fleet_audit_tests.defs.snapshot import PATH, REFRESH, text

REPOSITORY = Path(fleet_audit.__file__).parent.parent
WITHOUT_COLUMNS = {
    "raw/positions",
    "reports/d1",
    "reports/cycle",
    "reports/package",
    "reports/carriers",
    "health/days",
    "retention/dagster_history",
    "retention/staging",
    "retention/api_pages",
    "retention/journal",
}  # bytes and documents
# `backfill_policy` is beta in Dagster 1.13; nothing else makes one run of a range
KNOWN_WARNINGS = {"BetaWarning: Parameter `backfill_policy` of"}
_LIST_WARNINGS = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from fleet_audit.definitions import build_definitions
    days = build_definitions().resolve_job_def("day")
from fleet_audit.closing import code
code._PACKAGE = code._PACKAGE / "replaced"
print(code.code_version(), days.backfill_policy.max_partitions_per_run, file=sys.stderr)
for one in caught:
    if one.category.__module__.startswith("dagster") or "fleet_audit" in one.filename:
        print(one.category.__name__ + ": " + str(one.message))
"""


@pytest.fixture(scope="module")
def specs(definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_the_code_location_is_the_one_of_the_snapshot(definitions):
    assert text(definitions) == PATH.read_text(encoding="utf-8"), (
        f"The code location changed. If that is meant: {REFRESH}, and commit the difference."
    )


def test_the_assets_whose_runs_are_over_cycles_are_those_with_cycles_as_partitions(specs):
    """A run that the UI starts on an asset names no job: from its assets it is known which days it locks."""
    assert {key.to_user_string() for key in CYCLE_KEYS} == {
        name for name, spec in specs.items() if spec.partitions_def == cycle_partitions
    }


def test_every_module_of_defs_is_loaded(definitions, specs):
    found: dict[str, set[str]] = {"assets": set(), "checks": set(), "schedules": set(), "sensors": set()}
    for module in pkgutil.walk_packages(fleet_audit.defs.__path__, "fleet_audit.defs."):
        for value in vars(importlib.import_module(module.name)).values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dg.AssetChecksDefinition):
                    found["checks"] |= {f"{key.asset_key.to_user_string()} {key.name}" for key in one.check_keys}
                elif isinstance(one, dg.AssetsDefinition):
                    found["assets"] |= {key.to_user_string() for key in one.keys}
                elif isinstance(one, dg.AssetSpec):
                    found["assets"].add(one.key.to_user_string())
                elif isinstance(one, dg.ScheduleDefinition):
                    found["schedules"].add(one.name)
                elif isinstance(one, dg.SensorDefinition):
                    found["sensors"].add(one.name)
    graph = definitions.resolve_asset_graph()
    checks = {f"{key.asset_key.to_user_string()} {key.name}" for key in graph.asset_check_keys}
    assert found["assets"] == set(specs)
    assert found["checks"] <= checks
    assert found["schedules"] == {one.name for one in definitions.schedules}
    assert found["sensors"] == {one.name for one in definitions.sensors}
    assert min(len(names) for names in found.values()) > 0


def test_every_sql_file_is_an_asset(specs):
    models = (path for path in (REPOSITORY / "dbt_like_sql").rglob("*.sql") if "macros" not in path.parts)
    files = {f"mart/{path.stem}" for path in models}
    assert len(files) > 5
    assert files == {name for name in specs if name.startswith("mart/")}


def test_every_table_that_the_contract_promises_is_an_asset(specs):
    promised = {f"{table.schema}/{table.name}" for table in (*facts.FACTS, *reference.TABLES)}
    assert promised <= set(specs)
    assert {"staging/positions", "staging/visit_legs", "staging/declared_runs", "trips/legs"} <= set(specs)


def test_every_asset_has_a_description_and_an_owner(specs):
    for name, spec in specs.items():
        assert spec.description, name
        assert len(spec.description) > 15, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.group_name not in (None, "default"), name
    assert len({spec.description for spec in specs.values()}) == len(specs)  # cycle_findings had that of findings


def test_every_table_shows_its_columns_with_units(specs):
    for name, spec in specs.items():
        if name in WITHOUT_COLUMNS:
            continue
        shown = spec.metadata["dagster/column_schema"]
        columns = {column.name: column for column in shown.columns}
        assert all(column.description for column in shown.columns), name
        table = TABLES.get(name.replace("/", "."))
        if table is None:
            assert name.startswith("mart/"), name
            continue
        assert list(columns) == table.column_names, name
        for column in table.columns:
            if column.unit:
                assert f"unit: {column.unit}" in columns[column.name].constraints.other, f"{name}.{column.name}"


def test_checks_that_protect_money_block(definitions):
    graph = definitions.resolve_asset_graph()
    blocking = {
        key.asset_key.to_user_string() for key in graph.asset_check_keys
        if key.name == "conforms" and graph.get(key).blocking and graph.get(key).partitions_def is not None
    }  # fmt: skip
    assert {f"{table.schema}/{table.name}" for table in facts.FACTS} <= blocking


def test_one_step_reads_a_cycle_for_its_findings_its_untested_rules_and_its_calibration(definitions):
    tables = (facts.CYCLE_FINDINGS, facts.CYCLE_RULES_NOT_TESTED, facts.CALIBRATION_SEGMENTS)
    assert len({definitions.resolve_assets_def(key_of(table)).op.name for table in tables}) == 1


def test_runs_outside_of_the_jobs_are_one_process(definitions):
    """`dg launch` and Materialize in the UI: a process a step costs about 4 s each, 180 s for a day."""
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.executor_def.name == "in_process"
    assert {definitions.resolve_job_def(name).executor_def.name for name in ("day", "cycle")} == {"in_process"}


def test_loading_warns_of_nothing_but_what_is_known_and_splits_backfills_as_set(tmp_path, definitions, monkeypatch):
    assert definitions.resolve_job_def("day").backfill_policy == dg.BackfillPolicy.single_run()
    monkeypatch.setenv("FLEET_BACKFILL_DAYS", "8")
    listed = _run(tmp_path, tmp_path, sys.executable, "-c", _LIST_WARNINGS)
    assert listed.returncode == 0, listed.stderr
    version, days = listed.stderr.splitlines()[-1].split()
    assert days == "8"
    assert version == code_version(), "the version of the sources that were loaded, not of those that replaced them"
    unknown = {
        line for line in listed.stdout.splitlines() if not any(line.startswith(known) for known in KNOWN_WARNINGS)
    }
    assert unknown == set()


def test_dg_finds_no_fault_in_the_definitions(tmp_path):
    result = _run(tmp_path, REPOSITORY, str(Path(sys.executable).parent / "dg"), "check", "defs")
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert "All definitions loaded successfully" in result.stdout


def _run(home: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    ours = {"PYTHONPATH": str(REPOSITORY), "FLEET_HOME": str(home), "DAGSTER_HOME": str(home)}
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **ours}, capture_output=True, text=True, check=False, timeout=900
    )


def test_the_snapshot_is_small():
    assert len(json.loads(PATH.read_text(encoding="utf-8"))["assets"]) > 40
    assert PATH.stat().st_size < 60_000

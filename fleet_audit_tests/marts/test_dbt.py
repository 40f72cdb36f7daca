"""Real dbt builds the same folder to the same rows. Set FLEET_DBT to the Python of an environment with dbt-postgres."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from fleet_audit.marts.project import FOLDER
from fleet_audit_tests.marts.conftest import DAY, NEXT

_DBT = os.environ.get("FLEET_DBT")
_CANNOT = not _DBT or subprocess.run([_DBT, "-c", "import dbt.adapters.postgres"], capture_output=True).returncode != 0
pytestmark = pytest.mark.skipif(_CANNOT, reason="FLEET_DBT names no Python that can import dbt.adapters.postgres")
_TABLES = (
    "d1_trips",
    "vehicle_days",
    "carrier_days",
    "daily_kpis",
    "cycle_carriers",
    "cycle_units",
    "score_contributions",
    "cycle_vehicles",
    "cycle_routes",
    "carrier_ranking",
    "top_divergences",
    "top_incidents",
    "planned_vs_realised",
    "cycle_forecasts",
    "package_days",
    "package_lines",
)


def _dbt(url: str, target: Path, *arguments: str) -> str:
    """Runs dbt on the folder as it is, with its own profiles.yml; everything that it writes goes to `target`."""
    parts = make_url(url)
    environment = {
        **os.environ,
        "PGHOST": str(parts.query["host"]),
        "PGDATABASE": str(parts.database),
        "PGUSER": str(parts.username),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
    }
    command = [str(_DBT), "-m", "dbt.cli.main", *arguments, "--project-dir", str(FOLDER), "--profiles-dir", str(FOLDER)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=target, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _rows(query, schema: str = "mart") -> dict[str, list[object]]:
    return {name: query(f"select * from {schema}.{name} order by 1") for name in _TABLES}


def _forms(query) -> dict[str, object]:
    """Kind, columns, indexes, grants, policies and comments of every relation of `mart`."""
    relations = """select relname, relkind, obj_description(pg_class.oid) as description, array_to_string(relacl, ' ')
        as granted, relrowsecurity, array_to_string(reloptions, ' ') as options from pg_class
        where relnamespace = 'mart'::regnamespace and relkind in ('r', 'v', 'm') order by 1"""
    columns = """select table_name, column_name, data_type, ordinal_position from information_schema.columns
        where table_schema = 'mart' order by table_name, ordinal_position"""
    policies = "select tablename, policyname, cmd, qual from pg_policies where schemaname = 'mart' order by 1, 2"
    indexes = "select tablename, indexname, indexdef from pg_indexes where schemaname = 'mart' order by 1, 2"
    return {name: query(sql) for name, sql in locals().items() if name != "query"}


def test_dbt_build_leaves_the_relations_and_rows_of_the_pipeline(postgres_url, project, sample, run, query, tmp_path):
    run(DAY, NEXT)
    query("create role reader_of_marts")
    try:
        query("grant usage on schema mart to reader_of_marts")
        for name in ("d1_trips", "stg_trips", "cycle_carriers"):
            query(f"grant select on mart.{name} to reader_of_marts")
        query("alter view mart.cycle_carriers set (security_invoker = true)")
        query("alter table mart.d1_trips enable row level security")
        query("create policy by_unit on mart.d1_trips for select to reader_of_marts using (unit_code = 'U1')")
        query("create schema bi")
        query("create view bi.mine as select plate from mart.stg_trips")
        before = _forms(query)
        kinds = {one["relname"]: one["relkind"] for one in before["relations"]}
        assert kinds == {model.name: "v" if model.is_view else "r" for model in project.models}
        query("delete from fact.trips where trip_id = 't3'")
        variables = f"{{from_date: {NEXT}, to_date: {NEXT}}}"
        assert "ERROR=0" in _dbt(postgres_url, tmp_path, "build", "--vars", variables)
        assert _forms(query) == before
        by_dbt = _rows(query)
        assert [row["trip_id"] for row in by_dbt["d1_trips"]] == ["t1", "t2"]
        run(NEXT)
        assert _rows(query) == by_dbt
        assert len(query("select * from bi.mine")) == 2
    finally:
        query("drop owned by reader_of_marts cascade")
        query("drop role reader_of_marts")


def test_dbt_builds_the_same_from_nothing_and_the_next_run_gives_it_the_rights(
    postgres_url, sample, run, query, tmp_path
):
    run(DAY, NEXT)
    before, rows = _forms(query), _rows(query)
    query("drop schema mart cascade")
    _dbt(postgres_url, tmp_path, "run")
    built = _forms(query)
    assert (built["columns"], built["indexes"], _rows(query)) == (before["columns"], before["indexes"], rows)
    assert built["policies"] == []  # nobody but the owner reads them yet
    assert not any(one["granted"] for one in built["relations"])
    run(NEXT)
    assert _forms(query) == before

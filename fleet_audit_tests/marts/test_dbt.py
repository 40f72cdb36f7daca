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
    "cycle_vehicles",
    "cycle_routes",
    "carrier_ranking",
    "top_divergences",
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


def test_dbt_build_passes_and_publishes_the_same_rows(postgres_url, sample, fill, run, query, tmp_path):
    output = _dbt(postgres_url, tmp_path, "build")
    assert "ERROR=0" in output
    by_dbt = _rows(query)
    assert len(by_dbt["d1_trips"]) == 3
    query("drop schema mart cascade")
    run(DAY, NEXT)
    assert _rows(query) == by_dbt


def test_dbt_empties_a_day_that_became_empty(postgres_url, sample, fill, run, query, tmp_path):
    _dbt(postgres_url, tmp_path, "build")
    query("delete from fact.trips")
    _dbt(postgres_url, tmp_path, "build", "--vars", f"{{from_date: {NEXT}, to_date: {NEXT}}}")
    assert query("select count(*) as rows from mart.d1_trips") == [{"rows": 0}]

"""Commands that need neither Dagster nor pandas start without them: importing the two takes longer than the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = "sorted({'dagster', 'pandas', 'pyarrow'} & sys.modules.keys())"
_HELP = f"""
import sys
from fleet_audit.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print({_HEAVY})
"""
_PSQL = f"""
import sys
from fleet_audit.cli.main import main
main(["psql", "-c", "select count(*) from fact.trips", "--csv", "--home", sys.argv[1]], standalone_mode=False)
print({_HEAVY})
"""


@pytest.mark.parametrize("program", [_HELP, _PSQL], ids=["help", "psql"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_neither_dagster_nor_pandas_is_imported(program, log_format, postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("FLEET_LOG_FORMAT", log_format)
    monkeypatch.setenv("FLEET_WAREHOUSE_URL", postgres_url)
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Usage:" in done.stdout or done.stdout.startswith("count\n0\n")


def test_the_code_location_loads_without_what_only_a_run_needs():
    program = (
        "import sys; from fleet_audit.definitions import defs; defs(); "
        "print(sorted({'alembic', 'numba', 'pandera', 'requests', 'dagster_aws', 'typst', 'sqlglot', "
        "'opentelemetry.sdk'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_installation_without_an_api_imports_no_http_client(monkeypatch):
    monkeypatch.delenv("FLEET_API_URL", raising=False)
    program = (
        "import sys; from fleet_audit.installation import Installation; "
        "from fleet_audit.settings import load_settings; "
        "print(Installation(load_settings()).api(), 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.splitlines()[-1] == "None False"

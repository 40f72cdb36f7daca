"""Cases of the field, each a small inbox with its right result, through the command line.

They are other people's data: they stay beside the checkout, and where they are missing the tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet_audit_tests.forked_commands import forked_program
from fleet_audit_tests.integration.installation import OURS

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases"
NAMES = sorted(path.name for path in CASES.glob("*") if path.is_dir()) if CASES.is_dir() else []
# Checks that ask for what the rules forbid: carried km are in no trip and no finding (RULES 2, "Carried, not driven").
AGAINST_THE_RULES = {
    "ferry": ["one service trip; by the letter GPS counts (24.0), odometer 20.8", "O03 tells of about 3.2 km"],
}
SECONDS = 600  # for one case; alone on an idle machine it takes about 30


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """`fleet-audit`, which the cases call some two hundred times."""
    with forked_program(_variables()) as path:
        yield path


def _variables() -> dict[str, str]:
    """Those of the tests, without settings of the developer's own."""
    return {key: value for key, value in os.environ.items() if not key.startswith(OURS)}


@pytest.mark.skipif(not NAMES, reason=f"no field cases beside the checkout ({CASES.parent.name}/{CASES.name})")
@pytest.mark.parametrize("name", NAMES or ["none"])
def test_a_field_case_ends_in_its_right_result(
    name: str, tmp_path: Path, program: Path, new_database: Callable[[], str]
) -> None:
    """In a database of the session's server: each query of a case would start and stop an embedded one."""
    done = subprocess.run(
        [sys.executable, str(CASES / "run"), name, str(tmp_path)],
        env={
            **_variables(),
            "FA": str(program),
            "TMPDIR": str(tmp_path),
            "FLEET_WAREHOUSE_URL": new_database(),
            "FLEET_DAY_PROCESSES": "1",
        },
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    wrong = [line.strip().removeprefix("FAIL ") for line in done.stdout.splitlines() if line.strip().startswith("FAIL")]
    assert wrong == AGAINST_THE_RULES.get(name, []), done.stdout + done.stderr
    assert done.returncode == bool(wrong), done.stdout + done.stderr

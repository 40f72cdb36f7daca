"""`.ci/run` goes on where apt fails, with one line per kind of tests that are missing, and fails with the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "run"
_MAKE = 'echo "$@" >> "{log}"\ncase "$*" in *"{failing}") exit 1;; esac\n'


@pytest.fixture
def programs(tmp_path) -> Path:
    """A folder with all programs that the script may find: Java and sudo are not there, apt fails."""
    for name in ("bash", "cat", "dirname", "env", "id", "mktemp", "timeout"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "python3").symlink_to(sys.executable)
    _write(tmp_path / "apt-get", "exit 100")
    return tmp_path


def _write(path: Path, lines: str) -> None:
    path.write_text(f"#!{shutil.which('bash')}\n{lines}\n")
    path.chmod(0o755)


def _run(programs: Path, failing: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    log = programs / "made"
    _write(programs / "make", _MAKE.format(log=log, failing=failing))
    done = subprocess.run(
        [str(SCRIPT)], env={"PATH": str(programs), "HOME": str(programs)}, capture_output=True, text=True, check=False
    )
    return done, log.read_text().splitlines()


def test_without_java_one_line_says_what_is_not_tested_and_the_rest_is_run(programs):
    done, made = _run(programs, failing="nothing")
    assert done.returncode == 0, done.stderr
    assert "Not tested: a Spark cluster (make test-spark), because apt-get could not install" in done.stderr
    assert any(line.endswith(" test") for line in made)
    assert not any("test-spark" in line for line in made)


@pytest.mark.parametrize("failing", [" test", "-k 'not folder'"])
def test_the_script_fails_when_tests_do_and_runs_those_that_follow(programs, failing):
    _write(programs / "java", "")
    done, made = _run(programs, failing)
    assert done.returncode == 1
    assert any("test-spark" in line for line in made)

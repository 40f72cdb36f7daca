"""`.ci/run` goes on where apt fails, with one line per kind of tests that are missing, and fails with the others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fleet_audit_tests.production.deployment import debian_postgres
from fleet_audit_tests.waiting import wait_until

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "run"
JAVA = "echo 'openjdk version \"{}\" 2025-04-15' >&2"
_MAKE = 'echo "$@" >> "{log}"\ncase "$*" in *"{failing}") exit 1;; esac\n'


@pytest.fixture
def programs(tmp_path) -> Path:
    """A folder with all programs that the script may find: Java and sudo are not there, apt fails."""
    for name in ("bash", "cat", "dirname", "env", "grep", "id", "mktemp", "sleep", "timeout"):
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


@pytest.mark.parametrize("version", [None, "11.0.2", "1.8.0_412"])
def test_without_java_17_one_line_says_what_is_not_tested_and_the_rest_is_run(programs, version):
    if version:
        _write(programs / "java", JAVA.format(version))
    done, made = _run(programs, failing="nothing")
    assert done.returncode == 0, done.stderr
    assert "Not tested: a Spark cluster (make test-spark), because apt-get could not install" in done.stderr
    assert any(line.endswith(" test") for line in made)
    assert not any("test-spark" in line for line in made)


@pytest.mark.parametrize("failing", [" test", "-k 'not folder'"])
def test_the_script_fails_when_tests_do_and_runs_those_that_follow(programs, failing):
    _write(programs / "java", JAVA.format("17.0.15"))
    done, made = _run(programs, failing)
    assert done.returncode == 1
    assert any("test-spark" in line for line in made)


@pytest.mark.skipif(debian_postgres() is None, reason="needs Debian's PostgreSQL, as make test-production does")
def test_a_cancelled_script_ends_all_that_it_started_and_shows_what_the_deployment_said(programs):
    """The signal of a cancelled job may reach the script only, not its process group."""
    started = programs / "started"
    sleeping = f'echo "$* began"; echo $$ >> "{started}"; exec sleep 600'
    _write(programs / "make", f'case "$*" in *" test"|*test-production) {sleeping};; esac')
    process = subprocess.Popen(
        [str(SCRIPT)], env={"PATH": str(programs), "HOME": str(programs)}, stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: started.exists() and len(started.read_text().split()) == 2, "both makes")
    time.sleep(0.5)  # a shell that is about to become sleep may lose a signal
    made = [psutil.Process(int(pid)) for pid in started.read_text().split()]
    process.terminate()
    said, _ = process.communicate(timeout=180)
    assert process.returncode == 143
    assert "test-production began" in said
    assert psutil.wait_procs(made, timeout=60)[1] == []

"""A forked command ends with the code, and prints the error, that the interpreter would end with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fleet_audit_tests.forked_commands import exit_code


@pytest.mark.parametrize(
    "ending", ["pass", "sys.exit()", "sys.exit(0)", "sys.exit(3)", "sys.exit('a sentence')", "1 / 0"]
)
def test_a_program_ends_as_the_interpreter_ends_it(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = compile(ending, "<string>", "exec")
    code = exit_code(lambda: exec(program, {"sys": sys}))
    ended = subprocess.run(
        [sys.executable, "-ISc", f"import sys; {ending}"], capture_output=True, text=True, check=False
    )
    assert code == ended.returncode
    assert capsys.readouterr().err.splitlines()[-1:] == ended.stderr.splitlines()[-1:]

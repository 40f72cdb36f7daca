"""Sentences of the command line: text for a terminal, one JSON object per line where FLEET_LOG_FORMAT asks for them."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import fleet_audit
from fleet_audit.cli import lines
from fleet_audit.cli.main import main
from fleet_audit.observability.json_logs import known_fields, partition_name

DAYS = ("--from", "2025-06-10", "--to", "2025-06-11")
PRINTING = {"cli/lines.py", "observability/json_logs.py"}
ASKING_A_TERMINAL = {"cli/main.py": 1}  # the role that `psql` read with, shown to a person only


@pytest.fixture
def json_lines(monkeypatch, tmp_path) -> Iterator[None]:
    """FLEET_LOG_FORMAT asks for JSON; the process logs as before afterwards."""
    monkeypatch.setenv("FLEET_LOG_FORMAT", "json")
    monkeypatch.setenv("FLEET_HOME", str(tmp_path))
    root, hook = logging.getLogger(), sys.excepthook
    before = list(root.handlers)
    yield
    root.handlers[:] = before
    sys.excepthook = hook
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        ({"FLEET_CLOSING_DAY": "99"}, (), "FLEET_CLOSING_DAY"),
        ({"FLEET_API_URL": "http://127.0.0.1:9"}, (), "FLEET_API_TOKEN"),
        ({}, ("--hurry",), "No such option"),
    ],
)
def test_a_refused_command_writes_one_json_line_and_nothing_else(json_lines, monkeypatch, variables, arguments, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, ["run", *DAYS, *arguments])
    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert said in line["message"]
    assert (line["level"], result.stdout, result.exit_code) == ("ERROR", "", 2)


def test_a_variable_that_nothing_reads_is_named_in_a_json_line(json_lines, monkeypatch):
    monkeypatch.setenv("FLEET_ZEBRA_CROSSING", "1")
    result = CliRunner().invoke(main, ["env"])
    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert "FLEET_ZEBRA_CROSSING is not a setting" in line["message"]
    assert line["level"] == "WARNING"
    assert all(line.startswith("export ") for line in result.stdout.splitlines())


def _write_all() -> None:
    lines.write_progress("running 2025-06-10 again")
    lines.write_result("3 files restored")
    lines.write_warning("run r had not ended")
    lines.write_error("a file is damaged")
    lines.write_labelled("refused", "[/x].csv: no rows", logging.WARNING)
    lines.write_figures("2025-06-10", [("service trips", "12")])


def test_all_sentences_are_json_lines_with_what_is_known_of_them(json_lines, capsys):
    with known_fields(run_ids=["r1"], partition=partition_name("2025-06-10", "2025-06-11")):
        _write_all()
        logging.getLogger("fleet_audit.storage").warning("of a module")
    out, err = capsys.readouterr()
    written = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert [line["level"] for line in written] == ["INFO", "INFO", "WARNING", "ERROR", "WARNING", "INFO", "WARNING"]
    assert written[4]["message"] == "refused: [/x].csv: no rows"
    assert written[5]["figures"] == {"service trips": "12"}
    assert {line["partition"] for line in written} == {"2025-06-10...2025-06-11"}
    assert {tuple(line["run_ids"]) for line in written} == {("r1",)}


def test_a_terminal_has_plain_text(monkeypatch, capsys):
    monkeypatch.setenv("FLEET_LOG_FORMAT", "text")
    _write_all()
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "  running 2025-06-10 again", "warning: run r had not ended", "error: a file is damaged",
    ]  # fmt: skip
    assert out.startswith("3 files restored\nrefused        [/x].csv: no rows\n")
    assert "service trips" in out
    assert "{" not in out


def test_an_error_that_nothing_handled_is_a_line_with_its_class_and_place_alone():
    program = (
        "from fleet_audit.cli.lines import set_up_lines\nimport warnings\nset_up_lines()\n"
        "warnings.warn('old\\nargument')\nraise ValueError('Motorista Fulano')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"FLEET_LOG_FORMAT": "json", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    warning, error = (json.loads(line) for line in done.stderr.splitlines())
    assert warning["logger"] == "py.warnings"
    assert (error["level"], error["error_class"]) == ("CRITICAL", "ValueError")
    assert error["stack"] == ["<string>:5 <module>"]
    assert "Fulano" not in done.stderr


def test_no_other_module_writes_to_stderr():
    package = Path(fleet_audit.__file__).parent
    found: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        count = sum(_writes_to_stderr(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        if count and name not in PRINTING:
            found[name] = count
    assert found == ASKING_A_TERMINAL


def _writes_to_stderr(node: ast.AST) -> bool:
    """Whether a call has `err=True` or `file=sys.stderr`, or writes to `sys.stderr`."""
    if not isinstance(node, ast.Call):
        return False
    options = {word.arg: ast.unparse(word.value) for word in node.keywords}
    is_option = options.get("err") == "True" or options.get("file") == "sys.stderr"
    return is_option or ast.unparse(node.func) == "sys.stderr.write"

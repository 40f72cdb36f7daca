"""The command line: help with examples, one sentence for what is wrong before anything runs, codes, the console."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import requests
import yaml
from click.testing import CliRunner, Result

from fleet_audit import __version__
from fleet_audit.cli.main import main
from fleet_audit.simulation.faults import DEFAULT_SHARE, FAULT_KINDS, PRESETS, Faults, parse_faults

PROGRAM = Path(sys.executable).parent / "fleet-audit"
REPOSITORY = Path(__file__).parents[2]
COMMANDS = sorted(main.commands)
DAYS = ("--from", "2025-06-10", "--to", "2025-06-10")


@pytest.fixture
def invoke(tmp_path, monkeypatch) -> Callable[..., Result]:
    """Runs a command in this process, on settings of its own."""
    for name in [name for name in os.environ if name.startswith(("FLEET_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLEET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **variables: str) -> Result:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def test_the_commands_are_those_of_the_contract():
    assert {"run", "psql", "simulate", "serve-api", "demo"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_that_the_command_understands(invoke, command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "Example: " in text
    example = shlex.split(text.split("Example: ")[1].replace("$(", "( ").replace(")", " )").replace("|", " | "))
    words = [word for word in example if word not in ("(", ")", "eval")]
    assert f"fleet-audit {command}" in " ".join(words)
    known = {option for parameter in main.commands[command].params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known | {"--help"}


def test_help_and_version_of_the_program(invoke):
    listed = invoke("--help").output
    assert all(command in listed for command in COMMANDS)
    assert __version__ in invoke("--version").output


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLEET_CLOSING_DAY", "31"),  # no day of every month
        ("FLEET_CLOSING_DAY", "soon"),
        ("FLEET_LATE_HOURS", "-1"),
        ("FLEET_API_URL", "ftp://example"),
        ("FLEET_LAKE_URL", "gs://bucket/prefix"),
        ("FLEET_INBOX_URL", "http://example/inbox"),
        ("FLEET_WAREHOUSE_URL", "mysql://secret-user:secret-word@example/db"),
        ("FLEET_MAX_FILE_MB", "0"),
        ("FLEET_MAX_FILE_MB", "inf"),
        ("FLEET_LATE_HOURS", "1000000000"),
        ("FLEET_START_DATE", "01/06/2025"),
        ("FLEET_WAREHOUSE_URL", "postgresql://someone:secret@host:port/db"),
        ("FLEET_LAKE_URL", "s3://"),
        ("FLEET_API_TOKEN", "secret with spaces"),
        ("AWS_ENDPOINT_URL", "localhost:9000"),
        ("FLEET_HOME", "/dev/null/fleet"),
        ("FLEET_HOME", "what?"),
    ],
)
@pytest.mark.parametrize("command", [("run", *DAYS), ("psql", "-c", "select 1")], ids=["run", "psql"])
def test_a_wrong_setting_is_named_in_one_sentence_before_anything_runs(invoke, tmp_path, command, variable, value):
    result = invoke(*command, **{variable: value})
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    (line,) = result.output.strip().splitlines()
    assert variable in line
    assert "secret" not in line
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [("run", *DAYS), ("psql", "-c", "select 1"), ("env",)], ids=lambda one: one[0])
def test_a_wrong_setting_is_no_traceback_in_a_real_process(tmp_path, command):
    environment = {**os.environ, "FLEET_CLOSING_DAY": "40", "FLEET_HOME": str(tmp_path / "home")}
    result = subprocess.run(
        [PROGRAM, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert "FLEET_CLOSING_DAY" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--from", "10/06/2025", "--to", "2025-06-10"), "--from"),
        (("run", "--from", "2025-06-10"), "--to"),
        (("psql",), "-c"),
        (("psql", "-c", r"\d fact.findings"), r"\d is a command of the program psql, not SQL: docs/tables.md"),
        (("simulate", "--from", "2025-06-11", "--to", "2025-06-10", "--out", "x"), "--from"),
        (
            ("simulate", "--from", "2025-06-10", "--to", "2025-06-10", "--out", "x", "--without", "ghosts"),
            "cannot plant ghosts",
        ),
        (("simulate", "--vehicles", "0", "--from", "2025-06-10", "--to", "2025-06-10", "--out", "x"), "--vehicles"),
        (("serve-api", "--data", "nowhere"), "nowhere"),
        (("fly",), "fly"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value,
)
def test_a_wrong_option_is_named_and_ends_with_2(invoke, tmp_path, arguments, sentence):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "x").exists()


def test_days_in_the_wrong_order_are_refused(invoke):
    result = invoke("run", "--from", "2025-06-11", "--to", "2025-06-10")
    assert result.exit_code == 2
    assert "2025-06-11 to 2025-06-10" in result.output


def test_the_console_aligns_for_people_and_writes_csv_for_programs(invoke, postgres_url):
    sql = "select 1 as number, 'São Paulo, SP' as place, null::text as nothing, true as is_so"
    aligned = invoke("psql", "-c", sql, FLEET_WAREHOUSE_URL=postgres_url)
    assert aligned.exit_code == 0
    assert "São Paulo, SP" in aligned.output
    assert aligned.output.strip().endswith("(1 rows)")
    as_csv = invoke("psql", "-c", f"{sql};", "--csv")
    assert (as_csv.exit_code, as_csv.output) == (0, 'number,place,nothing,is_so\n1,"São Paulo, SP",,t\n')


def test_the_console_shows_whole_values(invoke, postgres_url):
    result = invoke("psql", "-c", "select repeat('x', 150) as long, 2 as other", FLEET_WAREHOUSE_URL=postgres_url)
    assert "x" * 150 in result.output


def test_the_console_writes_a_column_a_line_where_a_table_would_be_too_wide(invoke, postgres_url):
    columns = ", ".join(f"repeat('x', 30) as column_{number}" for number in range(9))
    result = invoke("psql", "-c", f"select {columns}, null::text as nothing", FLEET_WAREHOUSE_URL=postgres_url)
    first, *lines, last = result.output.splitlines()
    assert (first, last) == ("-[ 1 ]-", "(1 rows)")
    assert lines == [*(f"column_{number} | {'x' * 30}" for number in range(9)), "nothing  | "]


def test_the_console_shows_what_looks_like_markup_as_it_is(invoke, postgres_url):
    result = invoke("psql", "-c", "select '[red]R$ 5[/red] [x]' as text", FLEET_WAREHOUSE_URL=postgres_url)
    assert "[red]R$ 5[/red] [x]" in result.output


def test_the_console_changes_rows_and_prints_how_many(invoke, postgres_url):
    sql = "insert into ref.units (unit_code, name, timezone) values ('U', 'N', 'America/Sao_Paulo')"
    for options in ((), ("--csv",)):
        refused = invoke("psql", "-c", f"{sql} returning 1", *options, FLEET_WAREHOUSE_URL=postgres_url)
        assert (refused.exit_code, "read-only transaction: give --write" in refused.output) == (2, True)
    assert invoke("psql", "-c", sql, "--write", FLEET_WAREHOUSE_URL=postgres_url).output == "INSERT 0 1\n"
    assert invoke("psql", "-c", "select unit_code from ref.units", "--csv").output == "unit_code\nU\n"


def test_a_refused_statement_is_one_sentence(invoke, postgres_url):
    for options in ((), ("--csv",)):
        result = invoke("psql", "-c", "select nothing from nowhere", *options, FLEET_WAREHOUSE_URL=postgres_url)
        assert result.exit_code == 2
        assert result.output.strip() == 'fleet-audit: relation "nowhere" does not exist'


def test_a_warehouse_that_is_not_there_is_one_sentence(invoke):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:secret-word@127.0.0.1:{taken.getsockname()[1]}/db"
        result = invoke("psql", "-c", "select 1", FLEET_WAREHOUSE_URL=url)
    assert result.exit_code == 2
    assert "secret-word" not in result.output
    assert "Traceback" not in result.output


def test_env_prints_what_dg_needs(invoke, tmp_path):
    result = invoke("env", FLEET_INBOX_URL=str(tmp_path / "a folder"))
    assert result.exit_code == 0
    home = (tmp_path / "home").resolve()
    assert result.output.splitlines() == [
        f"export FLEET_HOME={home}",
        f"export DAGSTER_HOME={home}/dagster",
        f"export FLEET_INBOX_URL='{tmp_path}/a folder'",
    ]
    assert (home / "dagster" / "dagster.yaml").is_file()
    demo = home / "simulation" / "inbox"
    demo.mkdir(parents=True)
    named = [f"export FLEET_INBOX_URL={demo}", "export FLEET_START_DATE=2025-06-09"]
    assert invoke("env", FLEET_INBOX_URL="").output.splitlines()[2:] == named
    assert invoke("env", FLEET_START_DATE="2025-01-01").output.splitlines()[2:] == named[:1]


_OLD_INSTANCE = """# Written once by fleet-audit; edit freely.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: fleet_audit.storage.event_log
  class: OpenEventLogStorage
  config: {home: {env: DAGSTER_HOME}}
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, success: 90, failure: -1, started: -1}}
"""


def test_an_older_dagster_yaml_is_replaced_unless_somebody_edited_it(invoke, tmp_path):
    """Homes of older versions had no run_monitoring: a run whose process was gone blocked the queue for good."""
    path = tmp_path / "home" / "dagster" / "dagster.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(_OLD_INSTANCE, encoding="utf-8")
    assert invoke("env").stderr == ""
    written = path.read_text(encoding="utf-8")
    assert yaml.safe_load(written)["run_monitoring"]["enabled"] is True
    path.write_text(written.replace(": 21600", ": 3600"), encoding="utf-8")
    assert invoke("env").stderr == ""
    assert ": 3600" in path.read_text(encoding="utf-8")
    path.write_text(_OLD_INSTANCE + "compute_logs: {}\n", encoding="utf-8")
    (sentence,) = invoke("env").stderr.splitlines()
    assert f"{path} was edited and lacks run_monitoring or concurrency" in sentence
    assert "compute_logs" in path.read_text(encoding="utf-8")


def test_runs_are_monitored_and_queued_in_every_form_of_deployment(invoke, tmp_path):
    invoke("env")
    embedded = yaml.safe_load((tmp_path / "home/dagster/dagster.yaml").read_text(encoding="utf-8"))
    deployed = yaml.safe_load((REPOSITORY / "deploy/dagster.yaml").read_text(encoding="utf-8"))
    for key in ("run_monitoring", "concurrency", "retention", "telemetry"):
        assert embedded[key] == deployed[key], key


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    written = CliRunner().invoke(main, ["simulate", "--out", str(out), "--vehicles", "2", *DAYS])
    assert written.exit_code == 0, written.output
    return out


@pytest.fixture
def served(simulated, tmp_path) -> Callable[..., list[requests.Response]]:
    """Answers of a real server, one a token."""

    def ask(tokens: Sequence[str], *options: str) -> list[requests.Response]:
        with subprocess.Popen(
            [sys.executable, "-m", "fleet_audit.cli", "serve-api", "--data", simulated, "--port", "0", *options],
            env={**os.environ, "FLEET_API_TOKEN": "secret"}, cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                assert process.stdout is not None
                url = process.stdout.readline().split(" at ")[1].split(" ")[0]
                window = {"from": "2025-06-10T03:00:00Z", "to": "2025-06-11T03:00:00Z"}
                return [
                    requests.get(
                        f"{url}/v1/positions", params=window, headers={"Authorization": f"Bearer {token}"}, timeout=60
                    )
                    for token in tokens
                ]
            finally:
                process.kill()

    return ask


def test_a_simulated_fleet_can_be_served(served):
    answers = served(["secret", "wrong"])
    assert [answer.status_code for answer in answers] == [200, 401]
    assert len(answers[0].json()["data"]) == 1000


def test_a_server_has_the_requested_faults(served):
    answers = served(["secret"] * 4, "--faults", "rate_limited=1")
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]  # at most three in a row
    assert answers[0].headers["Retry-After"] == "1"
    assert len(answers[3].json()["data"]) == 1000


def test_a_preset_draws_several_kinds_and_a_share_after_it_wins():
    assert set(parse_faults("harsh")) == set(FAULT_KINDS)
    assert parse_faults("harsh, timeout=0, cut") == parse_faults("harsh") | {"timeout": 0, "cut": DEFAULT_SHARE}
    for preset in PRESETS:
        Faults(**parse_faults(preset))


@pytest.mark.parametrize("faults", ["ghosts", "cut=2", "cut=nan", "cut=", "harsh=0.1", "", ","])
def test_a_fault_that_cannot_be_is_named_in_one_sentence(invoke, simulated, faults):
    result = invoke("serve-api", "--data", simulated, "--faults", faults, FLEET_API_TOKEN="secret")
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert "cut" in line


def test_data_and_port_that_cannot_be_served_are_named(invoke, simulated, tmp_path):
    nothing = invoke("serve-api", "--data", tmp_path, FLEET_API_TOKEN="secret")
    assert (nothing.exit_code, "fleet-audit simulate" in nothing.output) == (2, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = invoke("serve-api", "--data", simulated, "--port", port, FLEET_API_TOKEN="secret")
    assert (result.exit_code, f"Port {port}" in result.output) == (2, True)


def test_serving_without_a_token_names_the_setting(invoke, tmp_path):
    (tmp_path / "sim").mkdir()
    result = invoke("serve-api", "--data", tmp_path / "sim")
    assert result.exit_code == 2
    assert "FLEET_API_TOKEN" in result.output

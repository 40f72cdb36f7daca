"""Each line of a run's console as JSON: which run, job, partition and step it is of, and no text of a source."""

from __future__ import annotations

import json
import logging

import dagster as dg

from fleet_audit.cli.environment import dagster_home
from fleet_audit.definitions import _set_log, console
from fleet_audit.defs.resources import FleetResource, run_resources
from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.observability.json_logs import RunJsonFormatter
from fleet_audit.settings import load_settings
from fleet_audit.storage.step_errors import acts_on_errors

DAYS = dg.DailyPartitionsDefinition(start_date="2025-06-01")
QUOTED = "Motorista Fulano de Tal"


def _lines(monkeypatch, capsys, error: Exception | None) -> list[dict[str, str]]:
    """What the console of a run of one asset writes, which logs a line and may raise."""
    monkeypatch.setenv("FLEET_LOG_FORMAT", "json")

    @dg.asset(partitions_def=DAYS)
    @acts_on_errors
    def km(context) -> None:
        context.log.info("4 vehicles were read")
        if error:
            raise error

    job = dg.Definitions(
        [km], jobs=[dg.define_asset_job("day", [km])], loggers={"console": console}, executor=dg.in_process_executor
    ).resolve_job_def("day")
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance,
            partition_key="2025-06-10",
            raise_on_error=False,
            run_config={"loggers": {"console": {}}},
            tags={"fleet/trigger": "schedule"},
        )
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_a_line_names_its_run_job_partition_and_step(monkeypatch, capsys):
    lines = _lines(monkeypatch, capsys, None)
    (line,) = [line for line in lines if line["message"] == "4 vehicles were read"]
    assert line["run_id"]
    assert {name: line[name] for name in ("level", "job", "partition", "step", "trigger")} == {
        "level": "INFO", "job": "day", "partition": "2025-06-10", "step": "km", "trigger": "schedule",
    }  # fmt: skip
    assert line["time"].endswith("+00:00")


def test_a_run_that_chose_no_logger_writes_json_and_no_debug_lines(monkeypatch, capsys, tmp_path):
    """As the UI, the daemon and `dg launch` start runs, on an instance that fleet-audit set up."""
    monkeypatch.setenv("FLEET_LOG_FORMAT", "json")
    monkeypatch.setenv("DAGSTER_HOME", "")

    @dg.asset
    def km(context) -> None:
        context.log.debug("a detail")
        context.log.info("4 vehicles were read")

    resources = run_resources(FleetResource(warehouse_url="postgresql://u:p@127.0.0.1:9/db"), _set_log)
    dagster_home(load_settings(home=str(tmp_path)))
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([km], instance=instance, resources=resources).success
    written = capsys.readouterr().err.splitlines()
    (line,) = [json.loads(line) for line in written if "4 vehicles" in line]
    assert (line["step"], line["level"], line["message"]) == ("km", "INFO", "4 vehicles were read")
    assert not [line for line in written if "detail" in line or "DEBUG" in line]


def test_our_own_error_is_a_sentence_and_any_other_only_a_class(monkeypatch, capsys):
    ours = _lines(monkeypatch, capsys, PermanentError("reference/contracts.csv is missing: put it into the inbox."))
    (failed,) = [line for line in ours if line.get("event") == "STEP_FAILURE"]
    assert failed["error"] == "reference/contracts.csv is missing: put it into the inbox."
    refused = _lines(monkeypatch, capsys, RejectedFile(f"the cell {QUOTED} is not a date", "missing_column"))
    (failed,) = [line for line in refused if line.get("event") == "STEP_FAILURE"]
    assert (failed["error_class"], failed["reason_code"]) == ("RejectedFile", "missing_column")
    assert QUOTED not in json.dumps(failed)
    other = _lines(monkeypatch, capsys, ValueError(f"cannot parse {QUOTED}"))
    (failed,) = [line for line in other if line.get("event") == "STEP_FAILURE"]
    assert failed["error_class"] == "ValueError"
    assert QUOTED not in json.dumps(other)


def test_a_range_is_one_partition_and_a_stack_is_only_its_class():
    record = logging.LogRecord("x", logging.INFO, "", 0, "done", (), (ValueError, ValueError(QUOTED), None))
    record.dagster_meta = {
        "orig_message": "done",
        "run_id": "r",
        "job_name": "day",
        "job_tags": {
            "dagster/asset_partition_range_start": "2025-06-10",
            "dagster/asset_partition_range_end": "2025-06-11",
        },
    }
    line = RunJsonFormatter().format(record)
    assert json.loads(line)["partition"] == "2025-06-10...2025-06-11"
    assert QUOTED not in line

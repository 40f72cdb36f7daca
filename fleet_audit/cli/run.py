"""The main job without a UI: the same Dagster assets, on a real instance, over a range of days.

What the command line prints is in `cli`; what a day does is in `defs`.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from fleet_audit.cli.environment import dagster_home
from fleet_audit.errors import PermanentError
from fleet_audit.garbage_collection import pause_collections
from fleet_audit.installation import Installation
from fleet_audit.observability.json_logs import known_fields, partition_name
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.embedded.file_locks import locked

Progress = Callable[[str], None]
LOGGER = "progress"
PUBLISHED = ("marts", "reports")  # subjects that no row of `fact` needs; half of a run's time


@dataclass
class JobResult:
    """How the job ended: `errors` are sentences, one per failed step or check; none: every partition is done.

    `run_ids` are those of its runs in Dagster.
    """

    days: Sequence[dt.date]
    cycles: Sequence[dt.date]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)

    @property
    def is_success(self) -> bool:
        """Whether every partition succeeded; findings are not failures."""
        return not self.errors


def opened_instance(home: Path) -> dg.DagsterInstance:
    """The instance, opened by one process at a time: two that make its databases at once fail on each other.

    Not so in a container whose root is read-only: its databases are elsewhere, made by `dagster instance migrate`.
    """
    if not os.access(home, os.W_OK):
        return dg.DagsterInstance.get()
    with locked(home / "open.lock"):
        return dg.DagsterInstance.get()


def run_days(
    settings: Settings,
    first: dt.date,
    last: dt.date,
    progress: Progress,
    *,
    is_published: bool = True,
    is_recomputed: bool = False,
) -> JobResult:
    """Materialise the days and a provisional report of each cycle that they touch.

    Unless `is_published`, only what the rows of `fact` need: no marts and no reports. `is_recomputed` gives the run of
    the days the tag with which days without a change are computed again too.

    Raises PermanentError with one sentence when the range holds no partition.
    """
    home = dagster_home(settings)
    from fleet_audit.definitions import build_definitions  # reads the settings, which are complete only now
    from fleet_audit.defs.automation import known_days
    from fleet_audit.defs.run_tags import RECOMPUTE_TAG
    from fleet_audit.logic.primitives.cycles import cycle_of

    days = known_days(first, last)
    if not days or days[0] != first or days[-1] != last:
        raise PermanentError(
            f"{first} to {last} is not a range of days from {settings.start_date} (FLEET_START_DATE) to today; "
            "choose --from and --to inside it."
        )
    cycles = sorted({cycle_of(day, settings.closing_day).start for day in days})
    definitions = build_definitions(loggers={LOGGER: _logger(progress)})
    result = JobResult(days, cycles)
    selection = None if is_published else unpublished_assets(definitions)
    tags = {RECOMPUTE_TAG: "true"} if is_recomputed else {}
    with opened_instance(home) as instance:
        if _execute(definitions, "day", (first, last), instance, result, selection, tags=tags) and is_published:
            for start in cycles:
                _execute(definitions, "cycle", (start, start), instance, result)
    return result


def unpublished_assets(definitions: dg.Definitions, job: str = "day") -> list[dg.AssetKey]:
    """The assets of a job that the rows of `fact` are made from, and these rows: all but marts and reports."""
    from fleet_audit.defs.catalog import group_of

    keys = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    groups = {spec.key: spec.group_name for spec in definitions.resolve_all_asset_specs()}
    published = [group_of(subject) for subject in PUBLISHED]
    return [key for key in keys if groups[key] not in published]


def close_cycle(settings: Settings, start: dt.date, progress: Progress, *, is_final: bool) -> JobResult:
    """Run the days of a cycle that do not hold what is known now (final close only), close it, render its report.

    Raises PermanentError with one sentence when no cycle starts on that day, or it cannot be closed yet.
    """
    home = dagster_home(settings)
    from fleet_audit.closing.code import computing_versions
    from fleet_audit.closing.freezing import existing_close
    from fleet_audit.closing.readiness import unready_days
    from fleet_audit.definitions import build_definitions
    from fleet_audit.defs.automation import CLOSE_STEP, known_days
    from fleet_audit.ingest.inbox.file_days import spans_of
    from fleet_audit.logic.closing.manifest import refusal
    from fleet_audit.logic.primitives.cycles import cycle_of
    from fleet_audit.schema.partition import partition_day

    installation = Installation(settings)
    warehouse = installation.warehouse()
    cycle = cycle_of(start, settings.closing_day)
    if cycle.start != start:
        raise PermanentError(
            f"No cycle starts on {start}: that day is of the cycle that starts on {cycle.start}; give that day."
        )
    today = partition_day(dt.datetime.now(dt.UTC))
    reason = refusal(cycle, today, installation.parameters(cycle.end), is_final=is_final)
    if reason:
        raise PermanentError(reason)
    days = known_days(cycle.start, cycle.end)
    if not days:
        raise PermanentError(
            f"The cycle of {start} lies before the first day that can be run (FLEET_START_DATE): set an earlier one."
        )
    result = JobResult(days, [start])
    if existing_close(warehouse, start, "final"):
        return result
    unready = unready_days(warehouse, installation.lake(), days, computing_versions()) if is_final else {}
    pause_collections()  # not before: all days of a cycle have been compared
    definitions = build_definitions(loggers={LOGGER: _logger(progress)})
    with opened_instance(home) as instance:
        for first, last in spans_of(unready):
            with known_fields(partition=partition_name(first, last)):
                progress(f"running {first} to {last} again: {unready[first]}")
            if not _execute(definitions, "day", (first, last), instance, result):
                return result
        config = {"ops": {CLOSE_STEP: {"config": {"is_final": is_final}}}}
        _execute(definitions, "close", (start, start), instance, result, config=config)
    return result


def _execute(
    definitions: dg.Definitions,
    job: str,
    partitions: tuple[dt.date, dt.date],
    instance: dg.DagsterInstance,
    result: JobResult,
    selection: Sequence[dg.AssetKey] | None = None,
    config: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> bool:
    """Run a job and collect what went wrong; whether all its steps ended well (a check may have failed)."""
    from fleet_audit.defs.run_tags import CYCLE_JOBS, REPOSITORY_TAGS, partition_days, range_tags, reason_tags

    run_id = str(uuid.uuid4())
    result.run_ids.append(run_id)
    with known_fields(run_id=run_id, job=job, partition=partition_name(*partitions)):
        outcome = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            tags={
                **range_tags(*partitions),
                **reason_tags("command", *partition_days(job in CYCLE_JOBS, *partitions)),
                **REPOSITORY_TAGS,
                **(tags or {}),
            },
            raise_on_error=False,
            asset_selection=selection,
            run_config={"loggers": {_console(): {}}, **(config or {})},
            run_id=run_id,
        )
    failures = [event for event in outcome.all_events if event.is_step_failure]
    result.errors += [f"{event.step_key}: {_sentence(event.step_failure_data.error)}" for event in failures]
    for is_error, sentence in _failed_checks(outcome.get_asset_check_evaluations()):
        (result.errors if is_error else result.warnings).append(sentence)
    return not failures


def _console() -> str:
    """Which logger writes a run's lines: one line per step, or JSON where FLEET_LOG_FORMAT asks for it."""
    return LOGGER if load_settings().log_format == "text" else "console"


def _failed_checks(evaluations: Iterable[dg.AssetCheckEvaluation]) -> list[tuple[bool, str]]:
    """One sentence per failed check, over all partitions of the run, and whether the check is an error."""
    failed: dict[tuple[str, bool], list[str]] = {}
    for one in evaluations:
        if not one.passed:
            name = f"{one.asset_key.to_user_string()} {one.check_name}"
            is_error = one.severity == dg.AssetCheckSeverity.ERROR
            found = one.metadata.get("found")
            text = one.description or "" if found is None else str(found.value).replace("\n- ", "; ").removeprefix("- ")
            failed.setdefault((name, is_error), []).append(text)
    return [(is_error, f"{name}: {'; '.join(dict.fromkeys(found))}") for (name, is_error), found in failed.items()]


def _sentence(error: Any) -> str:
    """The message of what was raised in the step, without its class and stack; those are in the run's log.

    `error` is the error of a failure or retry event, or None.
    """
    if error is None:
        return "failed; the run's log has the reason."
    raised = error.cause or error  # Dagster's own wrapper names the step, its cause what happened there
    text = raised.message.strip()
    name, _, message = text.partition(": ")  # an error without a message, e.g. MemoryError, is named by its class
    return message if message and raised.cls_name and name.endswith(raised.cls_name) else text


class _ProgressHandler(logging.Handler):
    """Writes a line on each step's end or retry and on every warning of ours, instead of Dagster's console output."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.DEBUG)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        if event is not None and event.event_type_value in ("STEP_SUCCESS", "STEP_FAILURE"):
            self._progress(f"{event.step_key}: {'FAILED' if event.is_step_failure else 'done'}")
        elif event is not None and event.event_type_value == "STEP_UP_FOR_RETRY":
            retry = event.step_retry_data
            reason = _sentence(retry.error)
            self._progress(f"{event.step_key}: tried again in {retry.seconds_to_wait or 0:.0f} s: {reason}")
        elif event is None and record.levelno >= logging.WARNING and meta.get("op_name"):  # ours, not the executor's
            self._progress(str(meta.get("orig_message", record.getMessage())))


def _logger(progress: Progress) -> dg.LoggerDefinition:
    @dg.logger
    def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("fleet-audit", logging.DEBUG)  # steps end at DEBUG
        logger.addHandler(_ProgressHandler(progress))
        return logger

    return progress_logger

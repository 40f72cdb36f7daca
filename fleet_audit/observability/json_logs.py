"""Log lines as JSON, one object per line, with run, job, partition and step where they are known.

What is logged belongs to whoever logs it. Of an error a line has the class, and the sentence where it is one of our own
two kinds: any other text may quote a source and stays in the run's event log.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.formats.reasons import REASON_CODE, REASONS

_OURS = (PermanentError.__name__, RetryableError.__name__, "Failure")  # Failure: a PermanentError inside a step
_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_TAGS = {"trigger": "fleet/trigger", "days": "fleet/days", "cycle": "fleet/cycle"}
_KNOWN: ContextVar[Mapping[str, object]] = ContextVar("known fields of log lines", default=MappingProxyType({}))


class RunJsonFormatter(JsonFormatter):
    """Formats a record as one JSON object: `time` (UTC, ISO 8601), `level`, `logger`, `message`, and what is known.

    Known of a record from a run is `run_fields`, of any other `known_fields`.
    """

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill the object's fields from the record; unknown ones are absent."""
        fields = run_fields(record) or {**_KNOWN.get(), **_exception_fields(record)}
        log_data |= {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": fields.pop("message", None) or record.getMessage(),
            **{name: value for name, value in fields.items() if value is not None},
        }

    def formatException(self, exc_info: Any) -> str:  # noqa: N802  # the name is logging's
        """The class of an exception: its text and its stack may quote a source."""
        return exc_info[0].__name__ if exc_info and exc_info[0] else ""


class _StderrHandler(logging.Handler):
    """Writes to what stderr is when a line is logged, in one write: other threads and processes log too."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


def log_as_json(logger: logging.Logger) -> None:
    """Makes a logger write JSON lines to stderr, unless its lines already have a place.

    As the root of a process, it gets Python's warnings and the exception that ends the process too.
    """
    if any(isinstance(handler, _StderrHandler) for handler in (*logger.handlers, *logging.getLogger().handlers)):
        return
    handler = _StderrHandler()
    handler.setFormatter(RunJsonFormatter())
    logger.addHandler(handler)
    if logger is logging.getLogger():
        logging.captureWarnings(True)
        sys.excepthook = _log_exception


def _log_exception(kind: type[BaseException], error: BaseException, stack: TracebackType | None) -> None:
    message = "The process ended with an error that nothing handled."
    logging.getLogger("fleet_audit").critical(message, exc_info=(kind, error, stack))


@contextmanager
def known_fields(**fields: object) -> Iterator[None]:
    """Adds fields, such as `partition` and `run_id`, to the lines that this thread logs outside of Dagster's log."""
    token = _KNOWN.set({**_KNOWN.get(), **fields})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def partition_name(first: object, last: object) -> str:
    """A range of days or cycles as Dagster writes it: `first...last`, or the day alone."""
    return f"{first}" if first == last else f"{first}...{last}"


def _exception_fields(record: logging.LogRecord) -> dict[str, object]:
    """`error_class` and `stack`, places in the code from the outermost to the innermost, of a logged exception."""
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    frames = traceback.extract_tb(record.exc_info[2])
    stack = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error_class": record.exc_info[0].__name__, "stack": stack or None}


def write_json(log: logging.Logger) -> None:
    """Makes the consoles of a run write JSON; `log` is the log manager of any of its contexts.

    Runs that chose no logger print Dagster's own console: those of the UI, the daemon and `dg`. No setting of Dagster
    reaches its format.
    """
    for dispatcher in log.handlers:
        for console in getattr(dispatcher, "_loggers", ()):
            for handler in console.handlers:
                handler.setFormatter(RunJsonFormatter())


def run_fields(record: logging.LogRecord) -> dict[str, Any]:
    """What Dagster knows of a record: message, run_id, job, partition, step, event, tags, and `error_fields`.

    A range of days is one partition, `first...last`, as Dagster writes it. Empty for a record from outside of a run.
    """
    meta: dict[str, Any] = getattr(record, "dagster_meta", None) or {}
    if not meta:
        return {}
    event, tags = meta.get("dagster_event"), meta.get("job_tags") or {}
    return {
        "message": meta.get("orig_message"),
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        **run_tag_fields(tags, getattr(event, "partition", None) if event else None),
        "step": meta.get("step_key") or getattr(event, "step_key", None),
        "event": event.event_type_value if event else None,
        **error_fields(event),
    }


def run_tag_fields(tags: Mapping[str, str], partition: str | None = None) -> dict[str, str | None]:
    """What the tags of a run say: partition (unless the event has its own), trigger, days, cycle; None where absent."""
    return {"partition": partition or _partition(tags), **{name: tags.get(tag) for name, tag in _TAGS.items()}}


def _partition(tags: Mapping[str, str]) -> str | None:
    first, last = (tags.get(name) for name in _RANGE_TAGS)
    if first and last:
        return partition_name(first, last)
    return tags.get("dagster/partition")


def error_fields(event: Any) -> dict[str, str | None]:
    """`error_class`, `reason_code` and `error`, the sentence, of what a step raised; empty without an error.

    Dagster's wrapper names the step, its cause what was raised there.
    """
    data = getattr(event, "event_specific_data", None)
    error = getattr(data, "error", None)
    if error is None:
        return {}
    raised = error.cause or error
    text = raised.message.strip()
    sentence = text.partition(": ")[2] if raised.cls_name in _OURS else None
    return {"error_class": raised.cls_name, REASON_CODE: reason_code(event), "error": sentence}


def reason_code(event: Any) -> str | None:
    """The code of docs/reasons.md with which the step refused a file; None where it failed of something else."""
    failure = getattr(event.event_specific_data, "user_failure_data", None)
    entry = failure.metadata.get(REASON_CODE) if failure else None
    code = str(entry.value) if entry else None
    return code if code in REASONS else None

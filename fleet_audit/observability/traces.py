"""A trace of each run for OpenTelemetry: a span of the run, and one of each of its steps, sent when the run ends.

Spans are made from the run's event log: nothing is measured twice, and a run without FLEET_OTLP_URL does no work.
A span has no text of a source: of an error it has the class, and the code under which a file was refused.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from fleet_audit import __version__
from fleet_audit.formats.reasons import REASON_CODE
from fleet_audit.observability.json_logs import reason_code, run_tag_fields

SERVICE = "fleet-audit"
TIMEOUT_S = 10  # a receiver that is away may hold the end of a run no longer
_WRAPPERS = ("DagsterExecutionStepExecutionError", dg.Failure.__name__, dg.RetryRequested.__name__)
_BEGINS = dg.DagsterEventType.STEP_START
_ENDS = (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE)


@dataclass(frozen=True)
class _Step:
    """A step as its events recorded it; times are seconds since 1970, the rest is None for one that succeeded."""

    name: str
    began_s: float
    ended_s: float
    error_class: str | None
    reason_code: str | None


class _RunIds(RandomIdGenerator):
    """The trace has the run's id, so that who reads a log line finds its trace."""

    def __init__(self, run_id: str) -> None:
        self._trace_id = uuid.UUID(run_id).int

    def generate_trace_id(self) -> int:
        return self._trace_id


def send_trace(url: str, instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Sends the spans of a run, whose steps have ended, to an OTLP/HTTP receiver; whether it took them.

    `url` is its base, such as http://collector:4318. Headers and certificates are the exporter's own settings
    (`OTEL_EXPORTER_OTLP_HEADERS`, `…_CERTIFICATE`). A run without spans, as where `OTEL_SDK_DISABLED` is true, sends
    nothing and has nothing that was not taken.
    """
    spans = InMemorySpanExporter()
    resource = Resource.create({"service.name": SERVICE, "service.version": __version__})
    provider = TracerProvider(resource=resource, id_generator=_RunIds(run.run_id), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    _record(provider.get_tracer(SERVICE), run, list(_steps(instance, run.run_id)))
    finished = spans.get_finished_spans()
    if not finished:
        return True
    with _silent():
        exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=TIMEOUT_S)
        try:
            return exporter.export(finished) is SpanExportResult.SUCCESS
        finally:
            exporter.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Without the lines of the exporter: it writes four, none of them JSON, for a receiver that is away."""
    logger = logging.getLogger("opentelemetry")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _record(tracer: Tracer, run: dg.DagsterRun, steps: Sequence[_Step]) -> None:
    """Records a span of the run and one of each step below it."""
    if not steps:
        return
    fields = _known({"run_id": run.run_id, "job": run.job_name, **run_tag_fields(run.tags)})
    failed = [step for step in steps if step.error_class]
    began_s = min(step.began_s for step in steps)
    whole = tracer.start_span(f"run {run.job_name}", start_time=_ns(began_s), attributes=fields)
    for step in steps:
        span = tracer.start_span(
            step.name,
            context=set_span_in_context(whole),
            start_time=_ns(step.began_s),
            attributes=_known(
                {**fields, "step": step.name, "error.type": step.error_class, REASON_CODE: step.reason_code}
            ),
        )
        if step.error_class:
            span.set_status(Status(StatusCode.ERROR, step.error_class))
        span.end(_ns(step.ended_s))
    if failed:
        whole.set_status(Status(StatusCode.ERROR, f"{len(failed)} of {len(steps)} steps failed"))
    whole.end(_ns(max(step.ended_s for step in steps)))


def _steps(instance: dg.DagsterInstance, run_id: str) -> Iterator[_Step]:
    """The steps of a run that have ended, in the order of their ends; one that was retried began with its first try."""
    began: dict[str, float] = {}
    for entry in instance.all_logs(run_id, of_type={_BEGINS, *_ENDS}):
        event = entry.dagster_event
        if event is None or event.step_key is None:
            continue
        if event.event_type == _BEGINS:
            began[event.step_key] = entry.timestamp
        else:
            began_s = began[event.step_key]
            yield _Step(event.step_key, began_s, entry.timestamp, _error_class(event), reason_code(event))


def _error_class(event: dg.DagsterEvent) -> str | None:
    """The class of what a step raised, below Dagster's own wrappers; None for a step that succeeded."""
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cause is not None and error.cls_name in _WRAPPERS:
        error = error.cause
    return error.cls_name if error is not None else None


def _known(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)

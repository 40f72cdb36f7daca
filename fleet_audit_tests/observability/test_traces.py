"""The trace of a run as a real OTLP/HTTP receiver gets it: its spans, and no text of a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from fleet_audit.definitions import _send_trace
from fleet_audit.defs.resources import FleetResource, run_resources
from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.storage.step_errors import acts_on_errors

DAYS = dg.DailyPartitionsDefinition(start_date="2025-06-01")
QUOTED = "Motorista Fulano de Tal"
REFUSED = f"a.csv was accepted once and is refused now: The file cannot be read (ValueError: {QUOTED})."


@contextmanager
def _receiver(received: list[bytes]) -> Iterator[str]:
    """The URL of an OTLP/HTTP receiver, which keeps each body that it is sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _run(warehouse_url: str, error: Exception | None = None) -> dg.ExecuteInProcessResult:
    """A run of two steps of one day, the second of which may fail."""

    @dg.asset(partitions_def=DAYS)
    def trips() -> None:
        pass

    @dg.asset(partitions_def=DAYS, deps=[trips])
    @acts_on_errors
    def costs() -> None:
        if error:
            raise error

    resources = run_resources(FleetResource(warehouse_url=warehouse_url), on_end=_send_trace)
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [trips, costs],
            partition_key="2025-06-10",
            instance=instance,
            resources=resources,
            raise_on_error=False,
            tags={"fleet/trigger": "schedule"},
        )


def _spans(body: bytes) -> dict[str, object]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    return {span.name: span for scope in resource.scope_spans for span in scope.spans}


def _attributes(span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def test_a_run_is_one_trace_with_a_span_of_each_step(monkeypatch, postgres_url):
    received: list[bytes] = []
    with _receiver(received) as url:
        monkeypatch.setenv("FLEET_OTLP_URL", url)
        result = _run(postgres_url)
    (body,) = received
    spans = _spans(body)
    whole = spans.pop("run __ephemeral_asset_job__")
    assert set(spans) == {"trips", "costs"}
    for name, span in spans.items():
        assert span.trace_id.hex() == result.run_id.replace("-", "")
        assert span.parent_span_id == whole.span_id
        assert whole.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
        found = _attributes(span)
        assert (found["step"], found["partition"], found["trigger"]) == (name, "2025-06-10", "schedule")


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (PermanentError(REFUSED), "PermanentError", None),
        (RejectedFile(REFUSED, "missing_column"), "RejectedFile", "missing_column"),
        (RejectedFile(REFUSED, QUOTED), "RejectedFile", None),  # not one of the codes
        (ValueError(f"cannot parse {QUOTED}"), "ValueError", None),
    ],
)
def test_a_failed_step_has_class_and_code_of_its_error_without_the_text(monkeypatch, postgres_url, error, text, code):
    received: list[bytes] = []
    with _receiver(received) as url:
        monkeypatch.setenv("FLEET_OTLP_URL", url)
        _run(postgres_url, error)
    (body,) = received
    assert QUOTED.encode() not in body
    spans = _spans(body)
    assert (spans["costs"].status.code, spans["costs"].status.message) == (2, text)
    found = _attributes(spans["costs"])
    assert (found["error.type"], found.get("reason_code")) == (text, code)
    assert spans["trips"].status.code == 0
    assert spans["run __ephemeral_asset_job__"].status.message == "1 of 2 steps failed"


def test_a_receiver_that_is_away_fails_no_run(monkeypatch, postgres_url, capfd):
    monkeypatch.setattr("fleet_audit.observability.traces.TIMEOUT_S", 0.2)
    monkeypatch.setenv("FLEET_OTLP_URL", "http://127.0.0.1:9")
    assert _run(postgres_url).success
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "The trace of this run was not sent" in line]) == 1
    assert [line for line in lines if "127.0.0.1" in line or "opentelemetry" in line] == []


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_SDK_DISABLED", "true", None),
        ("OTEL_TRACES_SAMPLER", "always_off", None),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "abc", "The trace of this run was not sent (ValueError)"),
    ],
)
def test_variables_of_the_exporter_fail_no_run(monkeypatch, postgres_url, capfd, variable, value, line):
    received: list[bytes] = []
    monkeypatch.setenv(variable, value)
    with _receiver(received) as url:
        monkeypatch.setenv("FLEET_OTLP_URL", url)
        assert _run(postgres_url).success
    assert received == []
    printed = capfd.readouterr().err
    assert line in printed if line else "was not sent" not in printed

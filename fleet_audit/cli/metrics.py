"""`fleet-audit metrics`: the registry of an installation, printed once or served until interrupted.

What is measured is in `observability.metrics`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from fleet_audit.cli.environment import instance_home
from fleet_audit.cli.run import opened_instance
from fleet_audit.installation import Installation
from fleet_audit.observability.metrics import FleetCollector
from fleet_audit.settings import Settings


def printed(settings: Settings) -> str:
    """All metrics in the text format of Prometheus."""
    with _registry(settings) as registry:
        return generate_latest(registry).decode()


def serve(settings: Settings, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve /metrics until interrupted; `on_ready` gets the address. Raises OSError when it cannot listen there."""
    with _registry(settings) as registry:
        server, thread = start_http_server(port, addr=host, registry=registry)
        on_ready(f"http://{host}:{server.server_port}/metrics")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        server.shutdown()
        thread.join()


@contextmanager
def _registry(settings: Settings) -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry(auto_describe=False)
    with opened_instance(instance_home(settings)) as instance:
        registry.register(FleetCollector(Installation(settings).warehouse, instance))
        yield registry

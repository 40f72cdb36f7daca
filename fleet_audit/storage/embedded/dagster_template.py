"""Making Dagster's empty databases, once at install; `dagster_databases` keeps and copies them."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import dagster as dg

from fleet_audit.storage.embedded.dagster_databases import save_template
from fleet_audit.storage.event_log import OpenEventLogStorage


def make_databases() -> None:
    """Let Dagster make the databases of an instance and of a run, and keep them as the template of new ones."""
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder):
        events, run_id = OpenEventLogStorage(folder), str(uuid.uuid4())
        with events.run_connection(run_id):
            save_template(Path(folder), run_id)
        events.dispose()

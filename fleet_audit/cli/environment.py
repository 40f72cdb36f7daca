"""The environment of a command: FLEET_* from its options, and the Dagster instance under the home.

Only variables and the instance's folder belong here, without importing Dagster; jobs are executed by `cli.run`.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings

DEMO_FIRST_DAY = dt.date(2025, 6, 9)  # the installation of a demo starts with it

_DAGSTER_YAML = """# Written once by fleet-audit; edit freely.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: fleet_audit.storage.event_log
  class: OpenEventLogStorage
  config: {home: {env: DAGSTER_HOME}}
concurrency:
  runs:
    max_concurrent_runs: 2  # a long backfill leaves a place for the 05:30 run
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  cancel_timeout_seconds: 180
  max_runtime_seconds: 21600  # a run whose process is gone holds its place in the queue no longer than this
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, success: 90, failure: -1, started: -1}}
"""
# Events that Dagster announces together (what a run will make; the days of an asset in a range) are stored together:
# 253 events before a day's first step take 0.7 s instead of 1.6 s of processor time on a busy machine.
_EVENT_BATCH = "500"


def export_settings(settings: Settings, **options: str | None) -> None:
    """Make command-line options the environment's, so that everything that loads settings sees the same ones."""
    os.environ["FLEET_HOME"] = str(settings.home.expanduser().resolve())
    for name, value in options.items():
        if value is not None:
            os.environ[f"FLEET_{name.upper()}"] = value


def instance_home(settings: Settings) -> Path:
    """The folder of the Dagster instance that runs here: DAGSTER_HOME of a deployment, else the one under the home.

    Raises PermanentError when DAGSTER_HOME names another folder, which does not exist.
    """
    deployed = os.environ.get("DAGSTER_HOME")
    if not deployed or Path(deployed) == settings.home.expanduser().resolve() / "dagster":
        return dagster_home(settings)
    if not Path(deployed).is_dir():
        raise PermanentError(f"DAGSTER_HOME names {deployed}, which is not a folder: correct it or unset it.")
    return Path(deployed)


def dagster_home(settings: Settings) -> Path:
    """The folder of the Dagster instance, made on first use."""
    home = settings.home.expanduser().resolve() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(_DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _EVENT_BATCH)
    return home

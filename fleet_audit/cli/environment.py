"""The environment of a command: FLEET_* from its options, and the Dagster instance under the home.

Only variables and the instance's folder belong here, without importing Dagster; jobs are executed by `cli.run`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from pathlib import Path

from fleet_audit.cli.lines import write_warning
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings
from fleet_audit.storage.embedded.dagster_databases import copy_databases

DEMO_FIRST_DAY = dt.date(2025, 6, 9)  # the installation of a demo starts with it

_DAGSTER_YAML = """telemetry:
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
  max_runtime_seconds: 21600  # of a run that hangs; one whose process is gone is ended by the sensor lost_runs
python_logs:
  python_log_level: INFO  # runs of single assets, which choose no logger, print no debug lines
retention:
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, success: 90, failure: -1, started: -1}}
"""
_HEADER = re.compile(r"# Written by fleet-audit, SHA-256 of the rest ([0-9a-f]{64}); an edited file is kept\.\n")
_OLDER_FILES = {  # SHA-256 of those that were written before there was this header
    "d9161f7f5de60301d10f255fca06a6c74250d936788af138d0bc74ea60b0d8fe",
    "c337069035d050a2058a4003cdaf837d30d430b5e2205264a8830a5c3aa6ef4c",
    "bffc2bee61ff62d15221f874ddb9f1b27023d309d885a8873a1965f2fb2c981c",
    "d6270c5abf7617434989a571fe6af35539d699ddc65c73f32767fff56ea6beff",
}
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
    _write_config(home / "dagster.yaml")
    copy_databases(home)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _EVENT_BATCH)
    return home


def _write_config(path: Path) -> None:
    """Write the instance's dagster.yaml; one of an older version is replaced, unless somebody edited it."""
    header = f"# Written by fleet-audit, SHA-256 of the rest {_sha256(_DAGSTER_YAML)}; an edited file is kept.\n"
    wanted = header + _DAGSTER_YAML
    found = path.read_text(encoding="utf-8") if path.exists() else None
    if found == wanted:
        return
    if found is None or _is_unedited(found):
        new = path.with_name(f"{path.name}.{os.getpid()}")  # another process may read it at this moment
        new.write_text(wanted, encoding="utf-8")
        new.replace(path)
    elif "run_monitoring:" not in found or "concurrency:" not in found:
        write_warning(
            f"{path} was edited and lacks run_monitoring or concurrency, without which a run whose process is gone "
            "blocks the queue: add them as in deploy/dagster.yaml, or delete the file to have it written again."
        )


def _is_unedited(text: str) -> bool:
    header = _HEADER.match(text)
    if header is None:
        return _sha256(text) in _OLDER_FILES
    return header[1] == _sha256(text[header.end() :])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

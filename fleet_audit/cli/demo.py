"""The demo: a simulated fleet, its API over real HTTP, its files in an inbox, and the main job on all of it.

Nothing here is special to the demo but the simulated fleet: the job is the one that `fleet-audit run` does.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil

from fleet_audit.cli.environment import export_settings
from fleet_audit.cli.run import Progress, run_days
from fleet_audit.cli.summary import print_summary
from fleet_audit.settings import load_settings
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import simulate

FIRST_DAY, LAST_DAY = dt.date(2025, 6, 9), dt.date(2025, 6, 20)  # 12 days, across the closing of 16 June
SEED = 30  # its last day, which the summary points to, has phantom and inflated runs


def run_demo(home: str | None, vehicles: int, progress: Progress) -> int:
    """Simulate, serve, run, show; returns the exit code of the run."""
    settings = load_settings(home=home)
    root = settings.home.expanduser().resolve()
    data = root / "simulation"
    shutil.rmtree(data, ignore_errors=True)
    progress(f"simulating {vehicles} vehicles from {FIRST_DAY} to {LAST_DAY}")
    summary = simulate(data, seed=SEED, vehicles=vehicles, date_from=FIRST_DAY, date_to=LAST_DAY)
    progress(
        f"{summary.positions:,} positions, {summary.trips:,} true trips, {summary.declared_runs:,} declared runs, "
        f"{summary.frauds} planted frauds"
    )
    token = os.environ["FLEET_API_TOKEN"] = secrets.token_urlsafe(16)
    with ApiServer(data, token=token) as server:
        progress(f"serving the telemetry API at {server.url}")
        export_settings(settings, inbox_url=str(data / "inbox"), api_url=server.url)
        result = run_days(load_settings(home=home), FIRST_DAY, LAST_DAY, progress)
    print_summary(settings, result)
    return 0 if result.is_success else 1

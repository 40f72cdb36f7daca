"""The demo: a simulated fleet, its API over real HTTP, its files in an inbox, the main job on all of it, and a close.

Special to the demo are the simulated fleet, that the installation starts with the fleet's first day, and that files
which name further days are settled. Run, close and dossier are those of the commands of these names.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil

from fleet_audit.cli.environment import DEMO_FIRST_DAY, export_settings
from fleet_audit.cli.lines import write_labelled
from fleet_audit.cli.run import Progress, close_cycle, run_days
from fleet_audit.cli.summary import print_close, print_summary
from fleet_audit.dossiers.pdf_files import write_finding_dossier
from fleet_audit.ingest.inbox.requests import settle_files
from fleet_audit.installation import Installation
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.settings import load_settings
from fleet_audit.simulation.api_server import ApiServer
from fleet_audit.simulation.fleet import simulate

FIRST_DAY, LAST_DAY = DEMO_FIRST_DAY, dt.date(2025, 6, 20)  # 12 days, across the closing of 16 June
CLOSED_CYCLE = dt.date(2025, 5, 16)
SEED = 30  # its last day, which the summary points to, has phantom and inflated runs


def run_demo(home: str | None, vehicles: int, progress: Progress) -> int:
    """Simulate, serve, run, close the first cycle, write a dossier, show; returns the exit code."""
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
        # the days before the first one are not of this installation: a close would run them
        export_settings(settings, inbox_url=str(data / "inbox"), api_url=server.url, start_date=FIRST_DAY.isoformat())
        settings = load_settings(home=home)
        result = run_days(settings, FIRST_DAY, LAST_DAY, progress)
        closed = close_cycle(settings, CLOSED_CYCLE, progress, is_final=True) if result.is_success else None
    print_summary(settings, result)
    if closed is None:
        return 1
    print_close(settings, closed)
    installation = Installation(settings)
    settle_inbox(installation)
    package = installation.lake().url(f"reports/cycle/start={CLOSED_CYCLE}/pacote_medicao.xlsx")
    write_labelled("package", package)
    for finding_id in _dearest_finding(installation):
        write_labelled("dossier", write_finding_dossier(installation, finding_id))
        write_labelled("explain it", f"fleet-audit explain {finding_id} --home {settings.home}")
    return 0 if closed.is_success else 1


def settle_inbox(installation: Installation) -> None:
    """Leave nothing for the inbox sensor: the last night's report names a day on which nothing else was simulated.

    A run of that day would show a silent fleet. Until its bytes change, a file requests no run.
    """
    inbox = installation.inbox()
    if inbox is not None:
        settle_files(installation.warehouse(), inbox.files(), dt.datetime.now(dt.UTC))


def _dearest_finding(installation: Installation) -> list[str]:
    """The finding of the closed cycle with most R$ disallowed, for the dossier; none where nothing is."""
    found = installation.warehouse().read(
        "select finding_id from fact.findings where disallowed_brl > 0 and operational_date <= :end "
        "order by disallowed_brl desc, finding_id limit 1",
        {"end": cycle_of(CLOSED_CYCLE, installation.settings().closing_day).end},
    )
    return list(found["finding_id"])

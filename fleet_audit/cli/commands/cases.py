"""`fleet-audit dossier` and `fleet-audit explain`: one finding, trip or billing line with all that proves it.

Only options and printing belong here; what is read and shown is in `dossiers`.
"""

from __future__ import annotations

import click

from fleet_audit.cli.commands.options import home_option
from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.settings import load_settings


@click.command(epilog="Example: fleet-audit dossier --finding 1a9ab56695c8a0bc")
@click.option("--finding", "finding_id", help="finding_id, as reports and fact.findings give it.")
@click.option("--trip", "trip_id", help="trip_id, as MEMÓRIA DE CÁLCULO and fact.trips give it.")
@home_option
def dossier(finding_id: str | None, trip_id: str | None, home: str | None) -> None:
    """Make the dossier of one contested finding or trip: one PDF with everything that proves it."""
    if (finding_id is None) == (trip_id is None):
        raise PermanentError("Name either a finding (--finding ID) or a trip (--trip ID).")
    from fleet_audit.dossiers.pdf_files import write_finding_dossier, write_trip_dossier

    stores = Installation(load_settings(home=home))
    click.echo(
        write_trip_dossier(stores, trip_id) if trip_id is not None else write_finding_dossier(stores, finding_id or "")
    )


@click.command(epilog="Example: fleet-audit explain 1a9ab56695c8a0bc")
@click.argument("any_id", metavar="ID")
@home_option
def explain(any_id: str, home: str | None) -> None:
    """Print the chain R$ → km → legs → positions → clause of a finding, a trip or a billing line (in Portuguese)."""
    from fleet_audit.dossiers.explanations import explain as explain_id

    click.echo(explain_id(Installation(load_settings(home=home)), any_id), nl=False)

"""Commands for whoever operates an installation: `metrics`, `backup`, `restore`, `migrate`, `forget-driver`.

Each reads its options, calls one function and prints.
"""

from __future__ import annotations

import warnings

import click

from fleet_audit.cli.commands.options import home_option
from fleet_audit.cli.lines import write_progress, write_result, write_warning
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings, load_settings


@click.command(epilog="Example: fleet-audit metrics --port 9464")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0 takes a free one.")
@click.option("--once", is_flag=True, help="Print the metrics and end.")
def metrics(home: str | None, host: str, port: int, once: bool) -> None:
    """Serve the installation's metrics for Prometheus at /metrics, until interrupted."""
    from fleet_audit.cli.environment import instance_home

    settings = _exported(home)
    instance_home(settings)
    with warnings.catch_warnings():  # of arguments of Dagster that are still in beta
        warnings.simplefilter("ignore")
        from fleet_audit.cli.metrics import printed, serve

    if once:
        click.echo(printed(settings), nl=False)
        return
    try:
        serve(settings, host, port, lambda address: write_result(f"metrics at {address} (Ctrl-C ends it)"))
    except OSError as error:
        raise PermanentError(
            f"{host} port {port} cannot be listened on ({error.strerror}): choose another --port."
        ) from None


@click.command(epilog="Example: fleet-audit backup s3://backups/fleet")
@click.argument("place")
@home_option
@click.option("--live", "is_live", is_flag=True, help="Also while a run lasts; its days then have to run again.")
def backup(place: str, home: str | None, is_live: bool) -> None:
    """Back up warehouse, Dagster instance and lake to PLACE, a folder or s3://bucket/prefix.

    Files that PLACE already has are not sent again, so that each backup costs what is new.
    """
    from fleet_audit.cli.backup import back_up

    name, count, runs = back_up(_exported(home), place, write_progress, is_live=is_live)
    for run in runs:
        write_warning(f"run {run} had not ended: after a restore run its days again")
    write_result(f"backup {name}: {count} files in {place}")


@click.command(epilog="Example: fleet-audit restore s3://backups/fleet --home .fleet")
@click.argument("place")
@home_option
@click.option("--name", help="Which backup; without it the newest.")
@click.option("--replace", "is_replaced", is_flag=True, help="Also where a warehouse or a lake has data.")
def restore(place: str, home: str | None, name: str | None, is_replaced: bool) -> None:
    """Restore a backup of PLACE into the installation that the settings name.

    Every file is compared with its digest before anything is replaced.
    """
    from fleet_audit.cli.backup import restore_from

    manifest = restore_from(_exported(home), place, name, write_progress, is_replaced=is_replaced)
    for run in manifest.unfinished_runs:
        write_warning(f"run {run} had not ended when this backup was made: run its days again")
    write_result(f"restored the backup of {manifest.created_at}: {len(manifest.files())} files")


@click.command(epilog="Example: fleet-audit migrate --run-role fleet_run")
@home_option
@click.option("--run-role", help="Role that services and runs connect as, where it is another: it publishes the marts.")
def migrate(home: str | None, run_role: str | None) -> None:
    """Bring the warehouse to the form that this version needs, as a role that may change tables.

    Where one role does everything this happens by itself.
    """
    from fleet_audit.installation import Installation
    from fleet_audit.storage.migrate import give_published_tables, recorded_revision, upgrade

    url = Installation(_exported(home)).database_url()
    is_changed = upgrade(url)
    if run_role:
        give_published_tables(url, run_role)
    write_result(f"the warehouse is at revision {recorded_revision(url)}{'' if is_changed else ', as it was'}")


def _exported(home: str | None) -> Settings:
    """The settings, made the environment's."""
    from fleet_audit.cli.environment import export_settings

    settings = load_settings(home=home)
    export_settings(settings)
    return settings


@click.command(epilog='Example: fleet-audit forget-driver "José da Silva" --reason "pedido do titular de 12/06/2025"')
@click.argument("driver")
@click.option("--reason", required=True, help="Why, for the audit trail; it must not name the driver.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only report what would be changed.")
@home_option
def forget_driver(driver: str, reason: str, is_dry_run: bool, home: str | None) -> None:
    """Remove a driver's name, given DRIVER: the name, the registered id or the pseudonym (docs/privacy.md)."""
    import datetime as dt

    from fleet_audit.ingest.driver_forgetting import forget_driver as forget
    from fleet_audit.installation import Installation

    found = Installation(_exported(home))
    done = forget(
        found.lake(), found.warehouse(), found.driver_key(), driver,
        reason=reason, now=dt.datetime.now(dt.UTC), is_dry_run=is_dry_run,
    )  # fmt: skip
    verb = "would be forgotten" if is_dry_run else "is forgotten"
    write_result(
        f"The driver behind {', '.join(sorted(done.pseudonyms))} {verb}: {done.rows} rows of ref.drivers, "
        f"{done.rejected_rows} rejected rows, {done.parsed_files} parsed files."
    )

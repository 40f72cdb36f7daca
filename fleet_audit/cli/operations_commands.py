"""Commands for whoever operates an installation: `metrics`."""

from __future__ import annotations

import warnings

import click

from fleet_audit.errors import PermanentError
from fleet_audit.settings import load_settings


@click.command(epilog="Example: fleet-audit metrics --port 9464")
@click.option("--home", type=click.Path(path_type=str), help="Folder of all embedded state (FLEET_HOME).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0 takes a free one.")
@click.option("--once", is_flag=True, help="Print the metrics and end.")
def metrics(home: str | None, host: str, port: int, once: bool) -> None:
    """Serve the installation's metrics for Prometheus at /metrics, until interrupted."""
    from fleet_audit.cli.environment import export_settings, instance_home

    settings = load_settings(home=home)
    export_settings(settings)
    instance_home(settings)
    with warnings.catch_warnings():  # of arguments of Dagster that are still in beta
        warnings.simplefilter("ignore")
        from fleet_audit.cli.metrics import printed, serve

    if once:
        click.echo(printed(settings), nl=False)
        return
    try:
        serve(settings, host, port, lambda address: click.echo(f"metrics at {address} (Ctrl-C ends it)"))
    except OSError as error:
        raise PermanentError(
            f"{host} port {port} cannot be listened on ({error.strerror}): choose another --port."
        ) from None

"""`fleet-audit simulate`, `serve-api` and `demo`: a simulated fleet, its telemetry API, and all of it at once.

Each command reads its options, calls one function and prints; what is simulated is in `simulation`.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from fleet_audit.cli.commands.options import DAY, home_option
from fleet_audit.cli.lines import write_progress, write_result
from fleet_audit.errors import PermanentError
from fleet_audit.settings import load_settings


@click.command(
    epilog="Example: fleet-audit simulate --out ./sim --seed 7 --vehicles 40 --from 2025-06-08 --to 2025-06-24"
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed writes the same bytes.")
@click.option("--vehicles", type=click.IntRange(1), default=40, show_default=True)
@click.option("--from", "first", type=DAY, required=True, help="First day, YYYY-MM-DD.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, inclusive.")
@click.option("--frauds/--honest", default=True, help="With labelled frauds, or none.")
@click.option("--with", "also", multiple=True, metavar="NAME", help="A kind of bad device or fraud to plant too.")
@click.option(
    "--without", multiple=True, metavar="NAME", help="A fraud or trap to exclude; docs/simulation.md names all."
)
def simulate(
    out: Path, seed: int, vehicles: int, first: dt.datetime, last: dt.datetime, frauds: bool,
    also: tuple[str, ...], without: tuple[str, ...],
) -> None:  # fmt: skip
    """Write an inbox, an API data set and the truth of a simulated fleet."""
    from fleet_audit.simulation.catalogue import KINDS
    from fleet_audit.simulation.fleet import simulate as write_fleet

    if last < first:
        raise PermanentError(f"--from {first.date()} is after --to {last.date()}; exchange them.")
    unknown = sorted({*also, *without} - KINDS.keys())
    if unknown:
        raise PermanentError(f"The simulator cannot plant {', '.join(unknown)}; it knows {', '.join(KINDS)}.")
    summary = write_fleet(
        out,
        seed=seed,
        vehicles=vehicles,
        date_from=first.date(),
        date_to=last.date(),
        frauds=frauds,
        also=also,
        without=without,
        progress=write_progress,
    )
    write_result(f"{summary}\nwritten to {out}")


@click.command(
    "serve-api",
    epilog="Example: FLEET_API_TOKEN=secret fleet-audit serve-api --data ./sim --port 8808 "
    "--faults cut,rate_limited=0.2",
)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="What `simulate` wrote.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8808,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--faults",
    metavar="NAMES",
    help="What goes wrong: usual, harsh, or kinds with the share of requests that meet them (0.1 where none is given), "
    "comma separated: rate_limited, server_error, cut, repeated, shuffled, expired, wrong_types, timeout.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed draws the same faults.")
def serve_api(data: Path, port: int, faults: str | None, seed: int) -> None:
    """Serve a simulated fleet's positions over HTTP, as the telemetry API does, until interrupted.

    No fault loses a row for good: a client that tries again gets all of them.
    """
    import threading

    from fleet_audit.simulation.api_server import ApiServer
    from fleet_audit.simulation.faults import Faults, parse_faults

    token = load_settings().api_token
    if token is None:
        raise PermanentError("FLEET_API_TOKEN is not set: choose the token that clients must send.")
    try:
        planned = None if faults is None else Faults(seed, **parse_faults(faults))  # type: ignore[arg-type]
        server = ApiServer(data, token=token.get_secret_value(), port=port, faults=planned)
    except (ValueError, FileNotFoundError) as error:
        raise PermanentError(str(error)) from None
    except OSError as error:
        raise PermanentError(f"Port {port} cannot be listened on ({error.strerror}): choose another --port.") from None
    with server:
        write_result(f"serving {data} at {server.url} (Ctrl-C ends it)")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            write_result("ended")


@click.command(epilog="Example: fleet-audit demo --home .fleet")
@home_option
@click.option("--vehicles", type=click.IntRange(40), default=40, show_default=True)
def demo(home: str | None, vehicles: int) -> None:
    """Simulate a fleet, serve its API, run the main job on it and show the result."""
    from fleet_audit.cli.demo import run_demo

    sys.exit(run_demo(home, vehicles, write_progress))

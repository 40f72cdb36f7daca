"""`fleet-audit`: all its commands, of which those that run, close, replay, rebuild and query are written here.

Each command only reads its options, calls one function and prints; see CONTRACTS in docs/ for what they promise.
"""

from __future__ import annotations

import datetime as dt
import shlex
import sys

import click

from fleet_audit import __version__
from fleet_audit.cli.commands.cases import dossier, explain
from fleet_audit.cli.commands.operations import backup, forget_driver, metrics, migrate, restore
from fleet_audit.cli.commands.options import DAY, home_option
from fleet_audit.cli.commands.simulation import demo, serve_api, simulate
from fleet_audit.cli.commands.user import user
from fleet_audit.cli.lines import set_up_lines, write_error, write_progress, write_result
from fleet_audit.cli.serve import serve
from fleet_audit.cli.what_if import what_if
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.garbage_collection import collect_rarely, pause_collections
from fleet_audit.settings import load_settings, wants_json_lines


class _Commands(click.Group):
    """A group whose commands end with one sentence instead of a traceback when something foreseen goes wrong."""

    def invoke(self, ctx: click.Context) -> object:
        set_up_lines()
        try:
            return super().invoke(ctx)
        except (PermanentError, RetryableError) as error:
            write_error(str(error), "fleet-audit")
            sys.exit(2)
        except click.ClickException as error:
            if not wants_json_lines():
                raise
            write_error(error.format_message())
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Kilometres, money and audit findings from a contracted bus fleet's telemetry."""


for _command in (
    dossier, explain, metrics, backup, restore, migrate, forget_driver, serve, simulate, serve_api, demo, user, what_if
):  # fmt: skip
    main.add_command(_command)


@main.command(epilog="Example: fleet-audit run --inbox ./inbox --from 2025-06-10 --to 2025-06-10")
@click.option("--inbox", type=click.Path(path_type=str), help="Folder or s3:// prefix with the four sub-folders.")
@click.option("--from", "first", type=DAY, required=True, help="First operational day, YYYY-MM-DD.")
@click.option("--to", "last", type=DAY, required=True, help="Last operational day, inclusive.")
@home_option
@click.option("--api", help="Base URL of the telemetry API; its token is FLEET_API_TOKEN.")
@click.option(
    "--as-of",
    help="Repeat a past run with what had arrived by then: an instant with its offset, or a day (its end in São "
    "Paulo). Results go to a folder of their own under the home; nothing new is read.",
)
@click.option(
    "--recompute", "is_recomputed", is_flag=True, help="Compute days again that have not changed, as after a doubt."
)
def run(
    inbox: str | None,
    first: dt.datetime,
    last: dt.datetime,
    home: str | None,
    api: str | None,
    as_of: str | None,
    *,
    is_recomputed: bool,
) -> None:
    """Do the whole main job over a range of days, without a UI.

    Exits 0 only if every partition succeeded; a finding is not a failure.
    """
    collect_rarely()
    from fleet_audit.cli.environment import export_settings

    settings = load_settings(inbox_url=inbox, home=home, api_url=api)
    export_settings(settings, inbox_url=inbox, api_url=api)
    if as_of is not None:
        from fleet_audit.cli.replay import as_of_installation, parse_as_of

        settings = as_of_installation(settings, parse_as_of(as_of))
        write_result(f"as of {as_of}: results under {settings.home} (query them with fleet-audit psql --home)")
    pause_collections()  # not before: the copy of a past run is filled by then
    from fleet_audit.cli.run import run_days
    from fleet_audit.cli.summary import print_summary

    result = run_days(settings, first.date(), last.date(), write_progress, is_recomputed=is_recomputed)
    print_summary(settings, result)
    sys.exit(0 if result.is_success else 1)


@main.command(epilog="Example: fleet-audit close --cycle 2025-05-16 --final")
@click.option("--cycle", "start", type=DAY, required=True, help="First day of the cycle, YYYY-MM-DD.")
@click.option("--final", "is_final", is_flag=True, help="Freeze it; without this the close is provisional.")
@home_option
def close(start: dt.datetime, is_final: bool, home: str | None) -> None:
    """Close a measurement cycle: provisionally from the day after its end, for good from the third.

    A final close first runs the days that do not hold what is known now, then freezes the cycle's rows and writes the
    manifest that `fleet-audit replay` proves. What arrives later becomes adjustments in an open cycle.
    """
    collect_rarely()
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.cli.run import close_cycle
    from fleet_audit.cli.summary import print_close

    settings = load_settings(home=home)
    export_settings(settings)
    result = close_cycle(settings, start.date(), write_progress, is_final=is_final)
    print_close(settings, result)
    sys.exit(0 if result.is_success else 1)


@main.command(epilog="Example: fleet-audit replay --cycle 2025-05-16")
@click.option("--cycle", "start", type=DAY, required=True, help="First day of the cycle, YYYY-MM-DD.")
@home_option
def replay(start: dt.datetime, home: str | None) -> None:
    """Compute a closed cycle again from its frozen inputs, elsewhere, and compare it with its manifest.

    Exits 0 and prints "identical", or 1 and lists the first differing rows of each table.
    """
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.cli.replay import replay_cycle

    settings = load_settings(home=home)
    export_settings(settings)
    verdict = replay_cycle(settings, start.date(), write_progress)
    for sentence in verdict.sentences:
        write_result(sentence)
    if verdict.is_identical:
        write_result(f"identical: {verdict.rows} rows of {verdict.tables} tables are those of the manifest")
    sys.exit(0 if verdict.is_identical else 1)


@main.command(epilog="Example: fleet-audit rebuild --home .fleet")
@home_option
@click.option("--from", "first", type=DAY, help="First day to compute; without it the first that had been computed.")
@click.option("--to", "last", type=DAY, help="Last day to compute, inclusive.")
@click.option("--replace", "is_replaced", is_flag=True, help="Empty a warehouse that has data before.")
def rebuild(home: str | None, first: dt.datetime | None, last: dt.datetime | None, is_replaced: bool) -> None:
    """Fill an empty warehouse from the lake's raw/ alone, and compute the days again.

    Files arrive in their order with their recorded times, closed cycles are restored as they were frozen. Neither the
    inbox nor the telemetry API is read.
    """
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.cli.rebuild import rebuild as rebuild_warehouse

    settings = load_settings(home=home)
    export_settings(settings)
    result = rebuild_warehouse(
        settings,
        first.date() if first else None,
        last.date() if last else None,
        write_progress,
        is_replaced=is_replaced,
    )
    for sentence in result.errors:
        write_error(sentence)
    write_result(f"{result.files} files restored, {len(result.days)} days computed again")
    sys.exit(1 if result.errors else 0)


@main.command(epilog='Example: fleet-audit psql -c "select plate, sum(km_measured) from fact.trips group by 1" --csv')
@click.option("-c", "--command", "sql", required=True, help="One SQL statement.")
@home_option
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header instead of an aligned table.")
@click.option("--write", "is_writable", is_flag=True, help="Let the statement change the warehouse.")
@click.option("--as", "login", metavar="LOGIN", help="With the rights of this user instead of the pipeline's role.")
def psql(sql: str, home: str | None, as_csv: bool, is_writable: bool, login: str | None) -> None:
    """Query the warehouse, read-only unless --write. In a terminal the role that read is named."""
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.cli.psql import run_sql

    settings = load_settings(home=home)
    export_settings(settings)
    text, role = run_sql(settings, sql, as_csv=as_csv, is_writable=is_writable, login=login)
    click.echo(text, nl=False)
    if sys.stderr.isatty():
        click.echo(f"role {role}, {'may write' if is_writable else 'read-only'}", err=True)


@main.command(epilog='Example: eval "$(fleet-audit env)" && dg dev')
@home_option
def env(home: str | None) -> None:
    """Print the shell variables with which `dg` works on this installation.

    Without an inbox of one's own the demo's is named, where there is one, and the first day of the demo.
    """
    from fleet_audit.cli.environment import DEMO_FIRST_DAY, dagster_home

    settings = load_settings(home=home)
    instance = dagster_home(settings)
    demo_inbox = instance.parent / "simulation" / "inbox"
    variables: dict[str, object] = {
        "FLEET_HOME": instance.parent,
        "DAGSTER_HOME": instance,
        "FLEET_INBOX_URL": settings.inbox_url,
    }
    if settings.inbox_url is None and demo_inbox.is_dir():
        variables["FLEET_INBOX_URL"] = demo_inbox
        if "start_date" not in settings.model_fields_set:
            variables["FLEET_START_DATE"] = DEMO_FIRST_DAY
    for name, value in variables.items():
        if value is not None:
            click.echo(f"export {name}={shlex.quote(str(value))}")

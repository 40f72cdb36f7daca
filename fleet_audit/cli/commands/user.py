"""`fleet-audit user`: users of the read API, of BI tools and of `psql --as`, and what each may see.

Only options belong here; users are changed by `access.accounts.users`, imported on first use.
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

import click

from fleet_audit.cli.commands.options import home_option
from fleet_audit.errors import PermanentError
from fleet_audit.schema.rights import PROFILES
from fleet_audit.settings import load_settings

if TYPE_CHECKING:
    from fleet_audit.access.accounts.users import Users

_CARRIER = click.option("--carrier", metavar="CODE", help="Its rows alone; without it those of every carrier.")
_UNIT = click.option("--unit", metavar="CODE", help="Its rows alone; without it those of every unit.")


@click.group(epilog="Example: fleet-audit user list")
def user() -> None:
    """Users: who may sign in, and what they see."""


@user.command(epilog='Example: echo "$PASSWORD" | fleet-audit user add maria --profile finance')
@click.argument("login")
@click.option("--profile", type=click.Choice(PROFILES), required=True, help="What kind of columns they read.")
@home_option
def add(login: str, profile: str, home: str | None) -> None:
    """Make a user; the password is asked for, or is the first line of the standard input."""
    users = _users(home)
    users.add(login, profile, _password())
    hint = "" if profile in ("auditor", "admin") else f"; sees nothing until fleet-audit user grant {login}"
    click.echo(f"{login} is a user with profile {profile}{hint}")


@user.command(epilog="Example: fleet-audit user disable maria")
@click.argument("login")
@click.option("--enable", "is_enabled", is_flag=True, help="Let the user sign in again.")
@home_option
def disable(login: str, is_enabled: bool, home: str | None) -> None:
    """End a user's tokens at once and refuse new ones."""
    users = _users(home)
    (users.enable if is_enabled else users.disable)(login)
    click.echo(f"{login} is {'enabled' if is_enabled else 'disabled'}")


@user.command(epilog="Example: fleet-audit user passwd maria")
@click.argument("login")
@home_option
def passwd(login: str, home: str | None) -> None:
    """Replace a password; tokens issued before it end at once."""
    _users(home).set_password(login, _password())
    click.echo(f"the password of {login} is replaced")


@user.command(epilog="Example: fleet-audit user grant oeste --carrier C01")
@click.argument("login")
@_CARRIER
@_UNIT
@click.option("--all", "is_all", is_flag=True, help="Every carrier and unit.")
@click.option("--revoke", "is_revoked", is_flag=True, help="Take this grant away instead.")
@home_option
def grant(login: str, carrier: str | None, unit: str | None, is_all: bool, is_revoked: bool, home: str | None) -> None:
    """Let a user see a carrier, a unit, or a carrier within a unit."""
    if is_all == bool(carrier or unit):
        raise PermanentError("Name what is seen: --carrier, --unit, both, or --all alone.")
    users = _users(home)
    (users.revoke if is_revoked else users.grant)(login, carrier, unit)
    place = f"carrier {carrier or '*'}, unit {unit or '*'}"
    click.echo(f"{login} {'no longer sees' if is_revoked else 'sees'} {place}")


@user.command("list", epilog="Example: fleet-audit user list")
@home_option
def list_users(home: str | None) -> None:
    """One line per user: login, profile, grants as carrier@unit."""
    for line in _users(home).listed():
        click.echo(line)


def _users(home: str | None) -> Users:
    from fleet_audit.access.accounts.users import Users
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.installation import Installation

    settings = load_settings(home=home)
    export_settings(settings)
    return Users(Installation(settings).migrated_url(), f"cli:{getpass.getuser()}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")

"""Users of the demo, one of each profile, for whoever tries the read API and its page.

They are made on an embedded warehouse only; real users are made with `fleet-audit user`.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from fleet_audit.access.accounts.users import Users
from fleet_audit.errors import PermanentError
from fleet_audit.schema.rights import PROFILES
from fleet_audit.settings import Settings
from fleet_audit.storage.postgres import engine_of


def add_demo_users(settings: Settings, url: str) -> list[str]:
    """Make the users `demo-<profile>`, or give them a new password; returns a line per user.

    The carrier's user sees the first carrier, operations the first unit, finance everything. Raises PermanentError for
    a warehouse that is not the embedded one, or has no carrier yet.
    """
    if settings.warehouse_url:
        raise PermanentError("--demo makes users with printed passwords, but FLEET_WAREHOUSE_URL is set: drop one.")
    users, password = Users(url, "demo"), secrets.token_urlsafe(12)
    with engine_of(url).connect() as connection:
        first = "select (select min(carrier_code) from ref.carriers), (select min(unit_code) from ref.units)"
        carrier, unit = connection.execute(sa.text(first)).one()
        known = set(connection.scalars(sa.text("select login from auth.users")))
    if carrier is None or unit is None:
        raise PermanentError("The warehouse has no carrier yet: make demo fills it.")
    for profile in PROFILES:
        login = f"demo-{profile}"
        if login in known:
            users.set_password(login, password)
        else:
            users.add(login, profile, password)
    users.grant("demo-operations", None, unit)
    users.grant("demo-finance", None, None)
    users.grant("demo-carrier", carrier, None)
    return [f"demo-{profile}  {password}" for profile in PROFILES]

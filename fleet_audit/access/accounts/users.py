"""Users in the warehouse: made, disabled, granted carriers and units, given passwords; each change is in the audit log.

The pipeline's own role writes them; the read API has no right to. Triggers write the audit log (`storage.auth.rights`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from fleet_audit.access.accounts.passwords import hash_password
from fleet_audit.errors import PermanentError
from fleet_audit.schema.rights import API_ROLE
from fleet_audit.storage.auth.rights import ROLES_SQL, apply_all, missing_roles
from fleet_audit.storage.postgres import engine_of, sentences

_USERS = sa.table(
    "users",
    *map(
        sa.column, ("user_id", "login", "profile", "password_hash", "is_disabled", "tokens_valid_from", "database_role")
    ),
    schema="auth",
)
_ACCESS = sa.table("access", *map(sa.column, ("user_id", "profile", "carrier_code", "unit_code")), schema="auth")


class Users:
    """The users of one warehouse. `actor` is the name that the audit log records."""

    def __init__(self, url: str, actor: str) -> None:
        """Nothing is opened yet."""
        self._engine, self._actor = engine_of(url), actor

    def add(self, login: str, profile: str, password: str) -> None:
        """Makes a user who sees nothing yet, unless the profile is auditor. Raises PermanentError for a login taken."""
        row = {"login": login.strip().lower(), "profile": profile, "password_hash": hash_password(password)}
        with self._transaction(f"Adding user {login}") as connection:
            _require_roles(connection)
            if connection.scalar(sa.select(_USERS.c.user_id).where(_USERS.c.login == row["login"])):
                raise PermanentError(f"The login {login} is taken: choose another, or fleet-audit user passwd {login}.")
            connection.execute(sa.insert(_USERS).values(row))

    def disable(self, login: str) -> None:
        """Ends every token and refuses new ones, at once; the user's rows in the audit log stay."""
        self._update(login, is_disabled=True)

    def enable(self, login: str) -> None:
        """Lets a disabled user sign in again."""
        self._update(login, is_disabled=False)

    def set_password(self, login: str, password: str) -> None:
        """Replaces the password and ends every token issued before."""
        self._update(login, password_hash=hash_password(password))

    def grant(self, login: str, carrier: str | None, unit: str | None) -> None:
        """Lets a user see a carrier, a unit, a carrier within a unit, or with neither the whole company.

        Raises PermanentError for a code that the reference tables lack, and for a grant that the profile cannot have.
        """
        with self._transaction(f"Granting to {login}") as connection:
            user = self._user(connection, login)
            for table, column, code in (("carriers", "carrier_code", carrier), ("units", "unit_code", unit)):
                known = sa.table(table, sa.column(column), schema="ref").c[column]
                if code is not None and connection.scalar(sa.select(known).where(known == code)) is None:
                    raise PermanentError(f"ref.{table} has no {column} {code}: see fleet-audit psql.")
            if user.profile in ("auditor", "admin"):
                raise PermanentError(f"{login} is {user.profile}: this profile needs no grant, and has none.")
            if user.profile == "carrier" and carrier is None:
                raise PermanentError(f"{login} belongs to a carrier: name it with --carrier.")
            row = {"user_id": user.user_id, "profile": user.profile, "carrier_code": carrier, "unit_code": unit}
            if connection.scalar(sa.select(sa.literal(1)).where(*_same(row))) is None:
                connection.execute(sa.insert(_ACCESS).values(row))

    def revoke(self, login: str, carrier: str | None, unit: str | None) -> None:
        """Takes one grant away, at once. Raises PermanentError when the user has no such grant."""
        with self._transaction(f"Revoking from {login}") as connection:
            user = self._user(connection, login)
            row = {"user_id": user.user_id, "carrier_code": carrier, "unit_code": unit}
            if not connection.execute(sa.delete(_ACCESS).where(*_same(row))).rowcount:
                raise PermanentError(f"{login} has no such grant; fleet-audit user list shows them.")

    def listed(self) -> list[str]:
        """One line per user: login, profile, state, grants as `carrier@unit` with `*` for any."""
        query = sa.text(
            "select login || '  ' || profile || case when is_disabled then '  disabled' else '' end || coalesce('  ' "
            "|| (select string_agg(coalesce(carrier_code, '*') || '@' || coalesce(unit_code, '*'), ' ' order by "
            "carrier_code, unit_code) from auth.access a where a.user_id = u.user_id), '') "
            "from auth.users u order by login"
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def _update(self, login: str, **values: object) -> None:
        with self._transaction(f"Changing user {login}") as connection:
            user = self._user(connection, login)
            values["tokens_valid_from"] = sa.func.clock_timestamp()
            connection.execute(sa.update(_USERS).where(_USERS.c.user_id == user.user_id).values(values))

    def _user(self, connection: sa.Connection, login: str) -> sa.Row:
        found = connection.execute(
            sa.select(_USERS.c.user_id, _USERS.c.profile).where(_USERS.c.login == login.lower())
        ).first()
        if found is None:
            raise PermanentError(f"No user has the login {login}: fleet-audit user list shows all.")
        return found

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sa.Connection]:
        """A transaction whose errors are sentences, and whose changes the audit log records under the actor."""
        with sentences(doing), self._engine.begin() as connection:
            connection.execute(sa.select(sa.func.set_config("app.actor", self._actor, True)))
            yield connection


def _same(row: dict[str, str | None]) -> list[sa.ColumnElement[bool]]:
    return [_ACCESS.c[name].is_not_distinct_from(row[name]) for name in ("user_id", "carrier_code", "unit_code")]


def _require_roles(connection: sa.Connection) -> None:
    """Applies rights where the roles were made after the last migration. Raises PermanentError with the SQL to run."""
    missing = missing_roles(connection)
    if missing:
        raise PermanentError(
            f"PostgreSQL lacks the roles {', '.join(missing)}, and the pipeline's role may not create them. An "
            f"administrator of the server runs once:\n{ROLES_SQL}"
        )
    if not connection.scalar(sa.select(sa.func.has_schema_privilege(API_ROLE, "auth", "usage"))):
        apply_all(connection)

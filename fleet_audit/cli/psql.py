"""One SQL statement against the warehouse, as text: an aligned table or CSV.

For people and scripts; assets use `storage.warehouse`.
"""

from __future__ import annotations

import io

import psycopg2
from rich.console import Console
from rich.table import Table

from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.settings import Settings
from fleet_audit.storage.postgres import connect_recovered

_WIDTH, _UNBOUND = 200, 100_000  # characters


def run_sql(
    settings: Settings, sql: str, *, as_csv: bool, is_writable: bool = False, login: str | None = None
) -> tuple[str, str]:
    """The statement's rows as text, and the role that read them.

    With a login the statement runs with that user's rights. Raises PermanentError with PostgreSQL's own sentence when
    it refuses the statement.
    """
    if sql.lstrip().startswith("\\"):
        raise PermanentError(
            f"{sql.split()[0]} is a command of the program psql, not SQL: docs/tables.md describes every table, and "
            "information_schema.tables and information_schema.columns list them."
        )
    url = Installation(settings).migrated_url()
    connection = connect_recovered(url, lambda: psycopg2.connect(url))
    try:
        connection.set_session(readonly=not is_writable)
        return _rows(connection, sql, as_csv=as_csv, login=login)
    except psycopg2.errors.ReadOnlySqlTransaction as error:
        raise PermanentError(f"{error.diag.message_primary}: give --write to change the warehouse.") from None
    except psycopg2.Error as error:
        raise PermanentError(str(error.diag.message_primary or error).strip()) from None
    finally:
        connection.close()


def _rows(connection: psycopg2.extensions.connection, sql: str, *, as_csv: bool, login: str | None) -> tuple[str, str]:
    with connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        if login is not None:
            _act_for(cursor, login)
        cursor.execute("select current_user")
        (role,) = cursor.fetchone() or ("",)
        if as_csv:  # PostgreSQL's own CSV: booleans, arrays and JSON as every client writes them
            buffer = io.StringIO()
            cursor.copy_expert(f"copy ({sql.strip().rstrip(';')}) to stdout (format csv, header)", buffer)
            return buffer.getvalue(), role
        cursor.execute(sql)
        if cursor.description is None:
            return f"{cursor.statusmessage}\n", role
        return _aligned([column.name for column in cursor.description], cursor.fetchall()), role


def _act_for(cursor: psycopg2.extensions.cursor, login: str) -> None:
    """Gives the transaction the rights of a user, as the read API does for a request."""
    cursor.execute(
        "select user_id, 'fleet_' || profile from auth.users where login = lower(%s) and not is_disabled", (login,)
    )
    found = cursor.fetchone()
    if found is None:
        raise PermanentError(f"No active user has the login {login}: fleet-audit user add makes one.")
    cursor.execute("select set_config('app.user_id', %s, true), set_config('role', %s, true)", found)


def _aligned(names: list[str], rows: list[tuple[object, ...]]) -> str:
    """A table, or, where that is wider than `_WIDTH`, one column per line, as psql's expanded display."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    table = Table(*names)
    for row in texts:
        table.add_row(*row)
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDTH, markup=False)
    if texts and console.measure(table, options=console.options.update(max_width=_UNBOUND)).maximum > _WIDTH:
        widest = max(map(len, names))
        for number, row in enumerate(texts, 1):
            buffer.write(f"-[ {number} ]-\n")
            buffer.writelines(f"{name:<{widest}} | {text}\n" for name, text in zip(names, row, strict=True))
    else:
        console.print(table)
    return f"{buffer.getvalue()}({len(rows)} rows)\n"

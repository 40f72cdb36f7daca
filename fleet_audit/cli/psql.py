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

_WIDTH, _UNBOUND = 200, 100_000  # characters


def run_sql(settings: Settings, sql: str, *, as_csv: bool) -> str:
    """The statement's rows. Raises PermanentError with PostgreSQL's own sentence when it refuses the statement."""
    url = Installation(settings).migrated_url()
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("set timezone to 'UTC'")
            if as_csv:  # PostgreSQL's own CSV: booleans, arrays and JSON as every client writes them
                buffer = io.StringIO()
                cursor.copy_expert(f"copy ({sql.strip().rstrip(';')}) to stdout (format csv, header)", buffer)
                return buffer.getvalue()
            cursor.execute(sql)
            if cursor.description is None:
                return f"{cursor.statusmessage}\n"
            return _aligned([column.name for column in cursor.description], cursor.fetchall())
    except psycopg2.Error as error:
        raise PermanentError(str(error.diag.message_primary or error).strip()) from None
    finally:
        connection.close()


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

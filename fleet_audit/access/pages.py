"""Reads a resource: a page after a cursor, one row, or all rows as CSV, with the columns that the profile may read.

SQL only with bound values; PostgreSQL writes the JSON, so that decimals keep their digits.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Resource
from fleet_audit.access.sessions import Session
from fleet_audit.reporting.formats.csv import safe_text
from fleet_audit.schema.rights import readable_columns

MAX_PAGE = 1000
_SPOOLED_BYTES = 8_000_000
_PART_BYTES = 65_536
_NUMBERS = ("numeric", "bigint", "integer", "double precision")


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: values by filter (None: any), order, and where to go on."""

    values: Mapping[str, Any]
    is_descending: bool = False
    cursor: str | None = None
    limit: int = 100


def read_page(session: Session, resource: Resource, wanted: Wanted) -> str:
    """A page as JSON: `data`, and `next_cursor`, null on the last one.

    A page starts after the key of the last row of the one before, so that rows written meanwhile neither repeat nor
    hide others. Raises Problem 400 for a cursor of other filters, 403 for a resource that the profile does not read.
    """
    table = readable_table(session, resource)
    query = _filtered(table, resource, wanted)
    order = [table.c[name] for name in resource.order]
    fingerprint = _fingerprint(resource, wanted)
    if wanted.cursor is not None:
        after = sa.tuple_(*(_typed(resource, name, text) for name, text in _start(resource, wanted, fingerprint)))
        key = sa.tuple_(*order)
        query = query.where(key < after if wanted.is_descending else key > after)
    query = query.order_by(*(one.desc() if wanted.is_descending else one.asc() for one in order)).limit(
        wanted.limit + 1
    )
    page = query.subquery("page")
    whole = sa.cast(sa.func.row_to_json(sa.literal_column("page")), sa.Text)
    keys = [sa.cast(page.c[name], sa.Text) for name in resource.order]
    rows = session.connection.execute(sa.select(whole, *keys)).all()
    shown = rows[: wanted.limit]
    cursor = _cursor(fingerprint, shown[-1][1:]) if len(rows) > wanted.limit else None
    return f'{{"data":[{",".join(row[0] for row in shown)}],"next_cursor":{json.dumps(cursor)}}}'


def read_row(session: Session, resource: Resource, key: str) -> str:
    """One row as JSON. Raises Problem 404 for a row that does not exist and for one out of scope alike."""
    found = read_rows(session, resource, resource.item or "", key)
    if not found:
        raise Problem(404, f"No row of {resource.name} has this id.")
    return found[0]


def read_rows(session: Session, resource: Resource, column: str, value: str) -> list[str]:
    """Rows with a value in a column, each as JSON; the first 100 of them."""
    table = readable_table(session, resource)
    page = sa.select(*table.c).where(table.c[column] == value).limit(100).subquery("page")
    whole = sa.cast(sa.func.row_to_json(sa.literal_column("page")), sa.Text)
    return list(session.connection.scalars(sa.select(whole).select_from(page)))


def export_csv(session: Session, resource: Resource, wanted: Wanted) -> Iterator[bytes]:
    """All rows as CSV in parts; they are read before the first part is sent: the transaction is over by then."""
    table = readable_table(session, resource)
    order = [table.c[name].desc() if wanted.is_descending else table.c[name].asc() for name in resource.order]
    texts = [sa.cast(column, sa.Text).label(column.name) for column in table.c]
    query = _filtered(table, resource, wanted).with_only_columns(*texts).order_by(*order)
    kinds = {column.name: column.type for column in resource.columns}
    is_number = [kinds[column.name] in _NUMBERS for column in table.c]
    spool = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115  closed when the last part is sent
    text = io.TextIOWrapper(spool, "utf-8", newline="", write_through=True)  # type: ignore[arg-type]
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in table.c])
    for part in session.connection.execute(query.execution_options(yield_per=5000)).partitions():
        writer.writerows(
            [
                "" if cell is None else cell if number else safe_text(cell)
                for cell, number in zip(row, is_number, strict=True)
            ]
            for row in part
        )
    text.detach()
    spool.seek(0)
    return _parts(spool)


def _parts(spool: Any) -> Iterator[bytes]:
    with spool:
        while part := spool.read(_PART_BYTES):
            yield part


def etag_of(body: str) -> str:
    """A tag that changes when the answer does."""
    return f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'


def readable_table(session: Session, resource: Resource) -> sa.TableClause:
    """The relation with the columns that the profile reads; of a view PostgreSQL grants all or none."""
    names = [column.name for column in resource.columns]
    if not resource.is_view:
        names = readable_columns(session.profile, resource.relation, names)
    if not names:
        raise Problem(403, "Your profile does not read this resource.")
    return sa.table(resource.table, *(sa.column(name) for name in names), schema=resource.schema)


def _filtered(table: sa.TableClause, resource: Resource, wanted: Wanted) -> sa.Select:
    query = sa.select(*table.c)
    for name, value in wanted.values.items():
        if value is None:
            continue
        if name in ("date_from", "date_to") and resource.day:
            day = table.c[resource.day]
            query = query.where(day >= value if name == "date_from" else day <= value)
        elif name == "difference_above_pct":
            query = query.where(sa.func.abs(table.c.difference_pct) > value)
        elif name not in table.c:
            raise Problem(403, f"Your profile does not read {name}.")
        else:
            query = query.where(table.c[name] == value)
    return query


def _typed(resource: Resource, name: str, text: str) -> sa.ColumnElement[Any]:
    kinds: dict[str, sa.types.TypeEngine[Any]] = {"date": sa.Date(), "bigint": sa.BigInteger(), "text": sa.Text()}
    kind = next(column.type for column in resource.columns if column.name == name)
    return sa.cast(sa.cast(text, sa.Text), kinds[kind])


def _fingerprint(resource: Resource, wanted: Wanted) -> str:
    given = sorted((name, str(value)) for name, value in wanted.values.items() if value is not None)
    return hashlib.sha256(repr((resource.name, wanted.is_descending, given)).encode()).hexdigest()[:12]


def _cursor(fingerprint: str, key: sa.Row | tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *key]).encode()).decode()


def _start(resource: Resource, wanted: Wanted, fingerprint: str) -> list[tuple[str, str]]:
    try:
        given, *key = json.loads(base64.b64decode((wanted.cursor or "").encode("ascii"), altchars=b"-_", validate=True))
        content = "".join(key).encode()  # raises for what is not a text, and for half a surrogate pair
    except (ValueError, TypeError, RecursionError):
        given, key, content = None, [], b""
    if given != fingerprint or len(key) != len(resource.order) or b"\0" in content:
        raise Problem(400, "The cursor belongs to another request: start again without it, with the same filters.")
    return list(zip(resource.order, key, strict=True))

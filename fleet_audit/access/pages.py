"""Reads a resource: a page after a cursor, or one row, with the columns that the profile may read.

SQL only with bound values; PostgreSQL writes the JSON, so that decimals keep their digits. Conditions are in `filters`,
whole resources as files in `exports`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.filters import Wanted, filtered
from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Resource
from fleet_audit.access.sessions import Session
from fleet_audit.schema.rights import readable_columns

MAX_PAGE = 1000
_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "date": sa.Date(),
    "bigint": sa.BigInteger(),
    "integer": sa.Integer(),
    "text": sa.Text(),
    "numeric": sa.Numeric(),
    "double precision": sa.Double(),
    "timestamp with time zone": sa.TIMESTAMP(timezone=True),
}
SORTABLE = frozenset(_TYPES)


def read_page(session: Session, resource: Resource, wanted: Wanted) -> str:
    """A page as JSON: `data`, and `next_cursor`, null on the last one.

    A page starts after the place of the last row of the one before, so that rows written meanwhile neither repeat nor
    hide others. Raises Problem 400 for a cursor of other filters, 403 for a resource that the profile does not read.
    """
    query = ordered_rows(session, resource, wanted)
    fingerprint = _fingerprint(resource, wanted)
    names = _ordering(resource, wanted)
    if wanted.cursor is not None:
        place = _start(resource, wanted, fingerprint)
        query = query.where(_after(query, resource, wanted, dict(zip(names, place, strict=True))))
    page = query.limit(wanted.limit + 1).subquery("page")
    whole = sa.cast(sa.func.row_to_json(sa.literal_column("page")), sa.Text)
    keys = [sa.cast(page.c[name], sa.Text) for name in names]
    rows = session.connection.execute(sa.select(whole, *keys)).all()
    shown = rows[: wanted.limit]
    cursor = _cursor(fingerprint, shown[-1][1:]) if len(rows) > wanted.limit else None
    return f'{{"data":[{",".join(row[0] for row in shown)}],"next_cursor":{json.dumps(cursor)}}}'


def ordered_rows(session: Session, resource: Resource, wanted: Wanted) -> sa.Select:
    """All rows that a request wants, in its order; nulls of the sorting column last."""
    table = readable_table(session, resource)
    query = filtered(table, resource, wanted)
    names = _ordering(resource, wanted)
    if names[0] not in table.c:
        raise Problem(403, f"Your profile does not read {names[0]}: order by another column.")
    columns = [table.c[name].desc() if wanted.is_descending else table.c[name].asc() for name in names]
    if wanted.sort:
        columns[0] = columns[0].nulls_last()
    return query.order_by(*columns)


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


def _ordering(resource: Resource, wanted: Wanted) -> tuple[str, ...]:
    return (wanted.sort, *(name for name in resource.order if name != wanted.sort)) if wanted.sort else resource.order


def _after(
    query: sa.Select, resource: Resource, wanted: Wanted, place: dict[str, str | None]
) -> sa.ColumnElement[bool]:
    """The rows after a place: one comparison of keys, which an index answers, or first one of the sorting column."""
    columns = query.selected_columns

    def is_beyond(left: sa.ColumnElement[Any], right: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return left < right if wanted.is_descending else left > right

    keys = [name for name in place if name != wanted.sort]
    key_place = sa.tuple_(*(_typed(resource, name, place[name] or "") for name in keys))
    is_later = is_beyond(sa.tuple_(*(columns[name] for name in keys)), key_place) if keys else sa.false()
    if not wanted.sort:
        return is_later
    column, text = columns[wanted.sort], place[wanted.sort]
    if text is None:
        return column.is_(None) & is_later
    value = _typed(resource, wanted.sort, text)
    return is_beyond(column, value) | column.is_(None) | ((column == value) & is_later)


def _typed(resource: Resource, name: str, text: str) -> sa.ColumnElement[Any]:
    kind = next(column.type for column in resource.columns if column.name == name)
    return sa.cast(sa.cast(text, sa.Text), _TYPES[kind])


def _fingerprint(resource: Resource, wanted: Wanted) -> str:
    given = sorted((name, str(value)) for name, value in wanted.values.items() if value is not None)
    asked = (resource.name, wanted.is_descending, wanted.sort, given)
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:12]


def _cursor(fingerprint: str, place: sa.Row | tuple[str | None, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *place]).encode()).decode()


def _start(resource: Resource, wanted: Wanted, fingerprint: str) -> list[str | None]:
    """The place that a cursor names, as text per column of the order; None only of the sorting column."""
    try:
        given, *place = json.loads(
            base64.b64decode((wanted.cursor or "").encode("ascii"), altchars=b"-_", validate=True)
        )
        texts = place[1:] if wanted.sort and place and place[0] is None else place
        content = "".join(texts).encode()  # raises for what is not a text, and for half a surrogate pair
    except (ValueError, TypeError, RecursionError):
        given, place, content = None, [], b""
    if given != fingerprint or len(place) != len(_ordering(resource, wanted)) or b"\0" in content:
        raise Problem(400, "The cursor belongs to another request: start again without it, with the same filters.")
    return place

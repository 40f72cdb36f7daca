"""Reads rows for the pages in the reader's transaction: columns that the profile lacks are simply absent.

SQL only with bound values; which rows there are is decided by PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from threading import Lock
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.pages import readable_table
from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Resource, described_resources
from fleet_audit.access.sessions import Session

_DAY = "operational_date"
_RELATIONS = tuple(
    Resource(name.split(".")[1], name, order, "")
    for name, order in (
        ("mart.carrier_days", (_DAY,)),
        ("mart.vehicle_days", (_DAY, "plate")),
        ("mart.d1_trips", (_DAY, "started_at", "trip_id")),
        ("fact.vehicle_day_amounts", (_DAY, "plate")),
        ("fact.vehicle_cycle_amounts", ("cycle_start", "plate")),
        ("auth.incidents", (_DAY, "incident_id")),
        ("auth.findings", (_DAY, "finding_id")),
        ("fact.trips", (_DAY, "trip_id")),
        ("fact.trip_costs", (_DAY, "trip_id")),
        ("fact.declared_runs", (_DAY, "declared_run_id")),
        ("fact.contests", ("opened_at", "contest_id")),
        ("auth.attachments", ("added_at", "file_id")),
        ("auth.notes", ("written_at", "note_id")),
        ("auth.requested_exceptions", ("requested_at", "exception_id")),
        ("auth.rule_outcomes", ("rule_id",)),
        ("auth.received_uploads", ("uploaded_at", "upload_id")),
        ("ref.units", ("unit_code",)),
        ("ref.carriers", ("carrier_code",)),
        ("ref.devices", ("device_id", "valid_from")),
        ("ref.pois", ("poi_id", "valid_from")),
    )
)
Conditions = Callable[[Any], Iterable[sa.ColumnElement[bool]]]


class Relations:
    """The relations that the pages read; marts appear once the first day was run."""

    def __init__(self, engine: sa.Engine) -> None:
        """Nothing is read yet."""
        self._engine, self._lock = engine, Lock()
        self._found: Mapping[str, Resource] = {}

    def table(self, session: Session, name: str) -> sa.TableClause | None:
        """The relation with the columns that the profile reads; None where it has none, or does not exist yet."""
        with self._lock:
            if name not in self._found:
                with self._engine.connect() as connection:
                    self._found = described_resources(connection, _RELATIONS)
        try:
            return readable_table(session, self._found[name]) if name in self._found else None
        except Problem:
            return None

    def rows(
        self,
        session: Session,
        name: str,
        where: Conditions = lambda _: (),
        *,
        order: Callable[[Any], Iterable[sa.ColumnElement[Any]]] = lambda _: (),
        limit: int | None = None,
        offset: int = 0,
        columns: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Rows as dictionaries, in an order that ends with the relation's own; none where the relation is not read.

        `columns` are those to compute, as far as the profile reads them; all where None.
        """
        table = self.table(session, name)
        if table is None:
            return []
        own = (table.c[one] for one in self._found[name].order if one in table.c)
        chosen = [one for one in table.c if columns is None or one.name in columns]
        query = sa.select(*chosen).where(*where(table.c)).order_by(*order(table.c), *own).limit(limit).offset(offset)
        return [dict(row) for row in session.connection.execute(query).mappings()]

    def page(
        self,
        session: Session,
        name: str,
        key: str,
        where: Conditions,
        *,
        order: Callable[[Any], Iterable[sa.ColumnElement[Any]]],
        limit: int,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Some rows of a view that computes its columns: keys are chosen first, so that only theirs are computed."""
        table = self.table(session, name)
        if table is None:
            return []
        query = sa.select(table.c[key]).where(*where(table.c)).order_by(*order(table.c), table.c[key])
        keys = list(session.connection.scalars(query.limit(limit).offset(offset)))
        found = {row[key]: row for row in self.rows(session, name, lambda c: (c[key].in_(keys),))} if keys else {}
        return [found[one] for one in keys if one in found]

    def row(self, session: Session, name: str, key: str, value: str) -> dict[str, Any]:
        """The row with that key. Raises Problem 404 for one that does not exist and for one out of scope alike."""
        found = self.rows(session, name, lambda c: (c[key] == value,), limit=1)
        if not found:
            raise Problem(404, "No row has this id.")
        return found[0]


def is_readable(columns: Any, *names: str) -> bool:
    """Whether the profile reads all these columns."""
    return all(name in columns for name in names)

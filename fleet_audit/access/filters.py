"""Conditions of a list: which filters a resource takes beside its columns, and the rows that a request wants.

Values are bound, never part of the SQL; the order of rows and where a page starts is in `pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.problems import Problem
from fleet_audit.access.resources import Resource


@dataclass(frozen=True)
class Wanted:
    """What a request asks for: values by filter (None: any), order, and where to go on.

    Attributes:
        sort: column by which rows are ordered before their key; None: by the key.
    """

    values: Mapping[str, Any]
    is_descending: bool = False
    cursor: str | None = None
    limit: int = 100
    sort: str | None = None


@dataclass(frozen=True)
class LinkedFilter:
    """A filter by what another table has about a row: `needs` are columns that the resource has."""

    description: str
    example: str
    needs: frozenset[str]
    condition: Callable[[sa.TableClause, str | None, str], sa.ColumnElement[bool]]


def _by_cost_center(table: sa.TableClause, _: str | None, value: str) -> sa.ColumnElement[bool]:
    units = sa.table("units", sa.column("unit_code"), sa.column("cost_center"), schema="ref")
    return table.c.unit_code.in_(sa.select(units.c.unit_code).where(units.c.cost_center == value))


def _by_vehicle_class(table: sa.TableClause, day: str | None, value: str) -> sa.ColumnElement[bool]:
    names = ("plate", "vehicle_class", "valid_from", "valid_to")
    vehicles = sa.table("vehicles", *map(sa.column, names), schema="ref")
    found = sa.select(sa.literal(1)).where(vehicles.c.plate == table.c.plate, vehicles.c.vehicle_class == value)
    if day:
        column = table.c[day]
        found = found.where(
            sa.func.coalesce(vehicles.c.valid_from, column) <= column,
            sa.func.coalesce(vehicles.c.valid_to, column) >= column,
        )
    return found.exists()


def _by_contract_kind(table: sa.TableClause, _: str | None, value: str) -> sa.ColumnElement[bool]:
    contracts = sa.table("contracts", sa.column("contract_id"), sa.column("kind"), schema="ref")
    return table.c.contract_id.in_(sa.select(contracts.c.contract_id).where(contracts.c.kind == value))


def _by_member(column: str) -> Callable[[sa.TableClause, str | None, str], sa.ColumnElement[bool]]:
    return lambda table, _, value: sa.literal(value) == sa.any_(table.c[column])


LINKED: Mapping[str, LinkedFilter] = {
    "cost_center": LinkedFilter("Cost centre of the unit", "CC-1001", frozenset({"unit_code"}), _by_cost_center),
    "vehicle_class": LinkedFilter(
        "onibus, micro or van, on the row's day", "onibus", frozenset({"plate"}), _by_vehicle_class
    ),
    "contract_kind": LinkedFilter("contrato or spot", "contrato", frozenset({"contract_id"}), _by_contract_kind),
    "trip_id": LinkedFilter("A trip among those of the row", "4c1f", frozenset({"trip_ids"}), _by_member("trip_ids")),
    "declared_run_id": LinkedFilter(
        "A declared run among those of the row", "4c1f", frozenset({"declared_run_ids"}), _by_member("declared_run_ids")
    ),
}


def linked_filters(resource: Resource) -> dict[str, LinkedFilter]:
    """The filters by other tables that a resource takes; its own columns win."""
    names = {column.name for column in resource.columns}
    return {name: one for name, one in LINKED.items() if one.needs <= names and name not in names}


def filtered(table: sa.TableClause, resource: Resource, wanted: Wanted) -> sa.Select:
    """The rows that a request wants, unordered. Raises Problem 403 for a filter that the profile does not read."""
    query = sa.select(*table.c)
    linked = linked_filters(resource)
    for name, value in wanted.values.items():
        if value is None:
            continue
        if name in ("date_from", "date_to") and resource.day:
            day = table.c[resource.day]
            query = query.where(day >= value if name == "date_from" else day <= value)
        elif name == "difference_above_pct":
            query = query.where(sa.func.abs(table.c.difference_pct) > value)
        elif name in linked and all(column in table.c for column in linked[name].needs):
            query = query.where(linked[name].condition(table, resource.day, value))
        elif name not in table.c:
            raise Problem(403, f"Your profile does not read {name}: remove this filter.")
        else:
            query = query.where(table.c[name] == value)
    return query

"""Rows for the SQL models: only what a test speaks of is stated, the rest is filled by the column dictionary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from fleet_audit.marts.model import Days
from fleet_audit.marts.project import Project, load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.schema.model import Column, Type
from fleet_audit.schema.registry import table
from fleet_audit.schema.sql import metadata
from fleet_audit.storage.postgres import engine_of

DAY = dt.date(2025, 6, 10)
NEXT = DAY + dt.timedelta(days=1)
PLATE = "AAA1A11"
Fill = Callable[..., None]

_FILLERS: dict[Type, object] = {
    Type.TEXT: "x",
    Type.TEXT_LIST: [],
    Type.INTEGER: 1,
    Type.FLOAT: 1.0,
    Type.BOOLEAN: False,
    Type.DATE: DAY,
    Type.TIMESTAMP: dt.datetime(2025, 6, 10, 12, tzinfo=dt.UTC),
    Type.KM: Decimal("0"),
    Type.KM3: Decimal("0"),
    Type.BRL: Decimal("0"),
    Type.RATE: Decimal("0"),
    Type.PERCENT: Decimal("0"),
    Type.JSON: {},
}


def _filled(column: Column) -> object:
    return None if column.nullable else (column.values[0] if column.values else _FILLERS[column.type])


@pytest.fixture
def fill(postgres_url: str) -> Fill:
    """`fill("fact.trips", {"trip_id": "t1"}, …)` inserts rows; what is not given is null or a plain value."""

    def insert(name: str, *rows: Mapping[str, Any]) -> None:
        defaults = {column.name: _filled(column) for column in table(name).columns}
        if "plate" in defaults:
            defaults["plate"] = PLATE
        with engine_of(postgres_url).begin() as connection:
            connection.execute(sa.insert(metadata.tables[name]), [{**defaults, **row} for row in rows])

    return insert


@pytest.fixture
def sample(fill: Fill) -> None:
    """Two days of one vehicle: three trips, of which the night's belongs to a group of the day after."""
    fill("ref.units", {"unit_code": "U1", "timezone": "America/Sao_Paulo"})
    fill("ref.carriers", {"carrier_code": "C1"})
    fill("ref.vehicles", {"unit_code": "U1", "carrier_code": "C1"})
    fill("fact.vehicle_day_coverage", {"unit_code": "U1", "carrier_code": "C1"}, {"operational_date": NEXT})
    fill(
        "fact.trips",
        {"trip_id": "t1", "unit_code": "U1", "carrier_code": "C1", "km_measured": Decimal("10.00")},
        {"trip_id": "t2", "unit_code": "U1", "carrier_code": "C1", "km_measured": Decimal("5.55")},
        {"trip_id": "t3", "operational_date": NEXT, "km_measured": Decimal("1.00")},
    )
    fill("fact.trip_costs", {"trip_id": "t1", "billable_km": Decimal("10.00"), "variable_cost_brl": Decimal("42.10")})
    fill("fact.trip_scores", {"trip_id": "t1", "compliance_score": Decimal("80.00")})
    fill(
        "fact.matches",
        {
            "match_id": "m1",
            "operational_date": NEXT,
            "trip_ids": ["t1", "t2"],
            "declared_run_ids": ["r1"],
            "declared_km": Decimal("17.00"),
            "measured_km": Decimal("15.55"),
            "difference_km": Decimal("1.45"),
        },
    )
    fill("fact.findings", {"finding_id": "f1", "trip_id": "t1", "rule_id": "D01", "brl_at_stake": Decimal("3.33")})


@pytest.fixture
def project() -> Project:
    return load_project()


@pytest.fixture
def run(postgres_url: str, project: Project) -> Callable[..., None]:
    """Publishes every model for days `first` to `last`, as one run does."""

    def publish_all(first: dt.date = DAY, last: dt.date | None = None) -> None:
        for model in project.models:
            publish(postgres_url, project, model, Days(first, last or first), {"closing_day": 16})

    return publish_all


@pytest.fixture
def query(postgres_url: str) -> Callable[[str], Sequence[Mapping[str, Any]]]:
    def rows(sql: str) -> Sequence[Mapping[str, Any]]:
        with engine_of(postgres_url).begin() as connection:
            result = connection.execute(sa.text(sql))
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    return rows

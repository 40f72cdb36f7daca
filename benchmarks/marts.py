"""Seconds to publish one day of every mart, beside publishing all days again.

    python -m benchmarks.marts --vehicles 125 --vehicles 250 --vehicles 500

The facts are made by SQL: a cycle of days, five trips a vehicle and day, each declared, priced and scored, one in ten
with a finding. The models are the product's own, on a real PostgreSQL.
"""

from __future__ import annotations

import atexit
import datetime as dt
import shutil
import tempfile
import time
from pathlib import Path

import click
import sqlalchemy as sa

from fleet_audit.marts.model import Days
from fleet_audit.marts.project import load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.schema.model import Table
from fleet_audit.schema.registry import table
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of

FIRST = dt.date(2025, 5, 16)
DAYS = 31
TRIPS_A_DAY = 5
VARIABLES = {"closing_day": 16}
_DAY = "date '2025-05-16' + d"
_PLATE = "'P' || v"
_TRIP = "'t' || v || '-' || d || '-' || n"
_START = "timestamptz '2025-05-16 08:00+00' + make_interval(days => d, hours => n)"
_VEHICLES = "generate_series(1, {vehicles}) as v"
_VEHICLE_DAYS = "generate_series(1, {vehicles}) as v, generate_series(0, {last}) as d"
_TRIPS = _VEHICLE_DAYS + ", generate_series(1, {trips}) as n"
_TRACE = {"run_id": "'benchmark'", "updated_at": "now()"}
# table -> (rows, values of the columns that matter); every other column that may not be null gets a plain value
_FACTS: dict[str, tuple[str, dict[str, str]]] = {
    "ref.vehicles": (
        _VEHICLES,
        {"plate": _PLATE, "unit_code": "'U' || v % 4", "carrier_code": "'C' || v % 8", "contract_id": "'K'"},
    ),
    "fact.vehicle_day_coverage": (
        _VEHICLE_DAYS,
        {"operational_date": _DAY, "plate": _PLATE, "unit_code": "'U' || v % 4", "carrier_code": "'C' || v % 8"},
    ),
    "fact.km_ledger": (_VEHICLE_DAYS, {"operational_date": _DAY, "plate": _PLATE, "is_balanced": "true"}),
    "fact.fixed_cost_days": (
        _VEHICLE_DAYS,
        {"operational_date": _DAY, "plate": _PLATE, "contract_id": "'K'", "amount_brl": "1300.45"},
    ),
    "fact.trips": (
        _TRIPS,
        {
            "trip_id": _TRIP, "operational_date": _DAY, "plate": _PLATE, "unit_code": "'U' || v % 4",
            "carrier_code": "'C' || v % 8", "route_code": "'R' || n", "area": "'IND'", "started_at": _START,
            "ended_at": f"{_START} + interval '40 minutes'", "km_measured": "20 + n", "purpose": "'service'",
        },
    ),
    "fact.trip_costs": (
        _TRIPS,
        {
            "trip_id": _TRIP, "operational_date": _DAY, "contract_id": "'K'", "billable_km": "20 + n",
            "rate_brl_per_km": "4.9", "variable_cost_brl": "100 + n",
        },
    ),
    "fact.trip_scores": (
        _TRIPS,
        {"trip_id": _TRIP, "operational_date": _DAY, "compliance_score": "90", "contributions": "'{}'"},
    ),
    "fact.declared_runs": (
        _TRIPS,
        {"declared_run_id": f"'r' || {_TRIP}", "operational_date": _DAY, "plate": _PLATE, "declared_km": "21 + n"},
    ),
    "fact.matches": (
        _TRIPS,
        {
            "match_id": f"'m' || {_TRIP}", "operational_date": _DAY, "plate": _PLATE, "trip_ids": f"array[{_TRIP}]",
            "declared_run_ids": f"array['r' || {_TRIP}]", "declared_km": "21 + n", "measured_km": "20 + n",
            "difference_km": "1", "is_exceeding": "v % 10 = 0",
        },
    ),
    "fact.findings": (
        _TRIPS + " where v % 10 = 0",
        {
            "finding_id": f"'f' || {_TRIP}", "operational_date": _DAY, "plate": _PLATE, "trip_id": _TRIP,
            "rule_id": "'D01'", "brl_at_stake": "4.90",
        },
    ),
}  # fmt: skip
_PLAIN = {
    "text": "'x'", "integer": "1", "float": "1", "boolean": "false", "date": _DAY, "timestamp": _START, "json": "'[]'",
}  # fmt: skip


@click.command()
@click.option("--vehicles", multiple=True, default=(125, 250, 500), show_default=True, help="Sizes of the fleet.")
@click.option("--repeat", default=3, show_default=True, help="Passes of each measurement; the best one counts.")
def main(vehicles: tuple[int, ...], repeat: int) -> None:
    """Fill, publish, print."""
    home = Path(tempfile.mkdtemp(prefix="marts"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # after the server in it has been stopped
    server, project = ensure_running(home), load_project()
    day = FIRST + dt.timedelta(days=DAYS - 1)
    for size in vehicles:
        url = _database(server, f"fleet{size}")
        _fill(url, size)
        whole = min(_published(url, project, None, is_anew=True) for _ in range(repeat))
        one = min(_published(url, project, Days(day, day), is_anew=False) for _ in range(repeat))
        trips = size * TRIPS_A_DAY
        print(f"{size:>5} vehicles, {trips:>6,} trips a day: {len(project.models)} models of one day in {one:5.2f} s, "
              f"{1000 * one / size:5.2f} ms a vehicle; all {DAYS} days again in {whole:6.2f} s")  # fmt: skip


def _database(server: str, name: str) -> str:
    with engine_of(server).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"create database {name}"))
    url = server.replace("/postgres?", f"/{name}?")
    upgrade(url)
    return url


def _fill(url: str, vehicles: int) -> None:
    with engine_of(url).begin() as connection:
        for name, (rows, given) in _FACTS.items():
            values = {**_plain(table(name)), **given}
            source = rows.format(vehicles=vehicles, last=DAYS - 1, trips=TRIPS_A_DAY)
            connection.exec_driver_sql(
                f"insert into {name} ({', '.join(values)}) select {', '.join(values.values())} from {source}",
                execution_options={"no_parameters": True},
            )
    with engine_of(url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("analyze"))


def _plain(entry: Table) -> dict[str, str]:
    """A value for each column that may not be null."""
    return {
        column.name: f"'{column.values[0]}'" if column.values else _PLAIN.get(column.type.value, "0")
        for column in entry.columns
        if not column.nullable
    } | {name: value for name, value in _TRACE.items() if name in entry.column_names}


def _published(url: str, project, days: Days | None, *, is_anew: bool) -> float:  # type: ignore[no-untyped-def]
    if is_anew:
        with engine_of(url).begin() as connection:
            connection.execute(sa.text("drop schema if exists mart cascade"))
    started = time.perf_counter()
    for model in project.models:
        publish(url, project, model, days, VARIABLES)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

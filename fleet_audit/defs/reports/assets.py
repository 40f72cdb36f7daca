"""What people receive: the D-1 report of a day, and the report of a measurement cycle."""

import datetime as dt
from typing import Any

import dagster as dg

from fleet_audit.defs.partitions import (
    cycle_mapping,
    cycle_partitions,
    daily_partitions,
    parse_day,
    run_days,
    single_run,
)
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import OWNERS, key_of
from fleet_audit.logic.cycles import cycle_days, cycle_of
from fleet_audit.logic.forecast import daily_totals, forecast_cycle
from fleet_audit.reporting.cycle import CycleReport, build_cycle
from fleet_audit.reporting.day import build_day
from fleet_audit.reporting.inputs import Frames
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.render import render_cycle, render_day
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.model import Table

_FACTS = (
    facts.TRIPS,
    facts.TRIP_COSTS,
    facts.FIXED_COST_DAYS,
    facts.MATCHES,
    facts.HELD_RUNS,
    facts.FINDINGS,
    facts.TRIP_SCORES,
    facts.DECLARED_RUNS,
    facts.COVERAGE,
    facts.KM_LEDGER,
)
_REFERENCE = (
    reference.UNITS,
    reference.CARRIERS,
    reference.VEHICLES,
    reference.POIS,
    reference.ROUTES,
    reference.KM_PLAN,
)
_ARGUMENTS: dict[str, Any] = {
    "group_name": "reports",
    "owners": OWNERS,
    "io_manager_key": "report_io",
    "backfill_policy": single_run,
}


def _frames(fleet: FleetResource, days: list[dt.date], *, with_legs: bool) -> Frames:
    warehouse = fleet.warehouse()
    # `vehicle_day_coverage` is `coverage` to a report; every other field has its table's name.
    fields = {_field(table): warehouse.read_partition(table, days) for table in _FACTS}
    fields |= {table.name: warehouse.read_table(table) for table in _REFERENCE}
    if with_legs:
        fields["legs"] = fleet.lake().read_days(lake.LEGS, days)
    return Frames(**fields)


def _field(table: Table) -> str:
    return "coverage" if table is facts.COVERAGE else table.name


def _known_until(fleet: FleetResource) -> dt.datetime:
    """When the newest file arrived: what a report is as of. Not the clock: the same data make the same report."""
    newest = fleet.warehouse().read("select max(received_at) as at from ops.ingested_files", {})["at"].iloc[0]
    return newest.to_pydatetime()


@dg.asset(
    key=["reports", "d1"],
    **_ARGUMENTS,
    kinds={"excel", "html"},
    partitions_def=daily_partitions,
    deps=[key_of(table) for table in (*_FACTS, lake.LEGS, *_REFERENCE)],
    metadata={"path": "reports/d1", "label": "date"},
    description="The D-1 report: spent yesterday, km, trips, divergences, R$ at stake, by unit and carrier; then "
    "the trip list. CSV, XLSX, HTML and PDF.",
)
def d1_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each day's report."""
    as_of, layout = _known_until(fleet), load_layout(fleet.settings().report_layout)
    return dg.Output(
        (
            day.isoformat(),
            render_day(
                build_day(
                    _frames(fleet, [day], with_legs=True),
                    operational_date=day,
                    generated_at=as_of,
                    last_data_at=as_of,
                    layout=layout,
                )
            ),
        )
        for day in run_days(context)
    )


@dg.asset(
    key=["reports", "cycle"],
    **_ARGUMENTS,
    kinds={"excel", "html"},
    partitions_def=cycle_partitions,
    deps=[
        *(dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in _FACTS),
        *(key_of(table) for table in _REFERENCE),
    ],
    metadata={"path": "reports/cycle", "label": "start"},
    description="The report of a measurement cycle: fixed and variable, planned, measured and declared, by unit, "
    "carrier, route and vehicle. Provisional until the cycle is closed.",
)
def cycle_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's report from the days known so far."""
    return dg.Output((key, render_cycle(_cycle(fleet, parse_day(key)))) for key in context.partition_keys)


def _cycle(fleet: FleetResource, start: dt.date) -> CycleReport:
    cycle = cycle_of(start, fleet.settings().closing_day)
    frames, as_of = _frames(fleet, cycle_days(cycle), with_legs=False), _known_until(fleet)
    daily = daily_totals(frames.trips, frames.trip_costs, frames.coverage)
    forecast = (
        forecast_cycle(daily, cycle, daily["operational_date"].max(), fleet.parameters(cycle.end))
        if len(daily)
        else None
    )
    return build_cycle(
        frames, cycle=cycle, generated_at=as_of, last_data_at=as_of, forecast=forecast, stamp="PROVISÓRIO"
    )

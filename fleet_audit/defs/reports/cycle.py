"""What people receive of a measurement cycle: the monthly report and the measurement package."""

import datetime as dt

import dagster as dg

from fleet_audit.defs.partitions import cycle_mapping, cycle_partitions, parse_day
from fleet_audit.defs.reports.frames import (
    ARGUMENTS,
    FACTS,
    REFERENCE,
    TERMS,
    closing_of,
    cycle_frames,
    known_until,
)
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import key_of
from fleet_audit.logic.cycles import cycle_of
from fleet_audit.logic.forecast import daily_totals, forecast_cycle
from fleet_audit.reporting.cycle import CycleReport, build_cycle
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.package import Package, build_package
from fleet_audit.reporting.package_files import render_package
from fleet_audit.reporting.render import render_cycle

_DEPS = [
    *(dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in FACTS),
    *(key_of(table) for table in REFERENCE),
]
_DEPS_WITH_TERMS = [*_DEPS, *(key_of(table) for table in TERMS)]


@dg.asset(
    key=["reports", "cycle"],
    **ARGUMENTS,
    kinds={"excel", "html"},
    partitions_def=cycle_partitions,
    deps=_DEPS,
    metadata={"path": "reports/cycle", "label": "start"},
    description="The report of a measurement cycle: fixed and variable, planned, measured and declared, by unit, "
    "carrier, route and vehicle. Provisional until the cycle is closed.",
)
def cycle_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's report from the days known so far."""
    return dg.Output((key, render_cycle(_report(fleet, parse_day(key)))) for key in context.partition_keys)


@dg.asset(
    key=["reports", "package"],
    **ARGUMENTS,
    kinds={"excel", "csv"},
    partitions_def=cycle_partitions,
    deps=_DEPS_WITH_TERMS,
    metadata={"path": "reports/cycle", "label": "start"},
    description="The measurement package of a cycle: what is billed by vehicle in each area, with live footers; "
    "summary, km by day, what is not billed and why, and the terms. XLSX, and each sheet as CSV.",
)
def measurement_package(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's package from the days known so far."""
    return dg.Output((key, render_package(_package(fleet, parse_day(key)))) for key in context.partition_keys)


def _report(fleet: FleetResource, start: dt.date) -> CycleReport:
    cycle = cycle_of(start, fleet.settings().closing_day)
    frames, as_of = cycle_frames(fleet, cycle), known_until(fleet)
    daily = daily_totals(frames.trips, frames.trip_costs, frames.coverage)
    forecast = (
        forecast_cycle(daily, cycle, daily["operational_date"].max(), fleet.parameters(cycle.end))
        if len(daily)
        else None
    )
    return build_cycle(
        frames,
        cycle=cycle,
        generated_at=as_of,
        last_data_at=as_of,
        forecast=forecast,
        closing=closing_of(fleet, start),
        layout=load_layout(fleet.settings().report_layout),
    )


def _package(fleet: FleetResource, start: dt.date) -> Package:
    cycle = cycle_of(start, fleet.settings().closing_day)
    return build_package(
        cycle_frames(fleet, cycle),
        cycle=cycle,
        generated_at=known_until(fleet),
        closing=closing_of(fleet, start),
        parameters=fleet.parameters(cycle.end).as_frame(),
        layout=load_layout(fleet.settings().report_layout),
    )

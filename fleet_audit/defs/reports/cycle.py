"""Documents of a measurement cycle: the monthly report, the measurement package, the carriers' copies."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from fleet_audit.defs.partitions import cycle_mapping, cycle_partitions, parse_day
from fleet_audit.defs.reports.frames import (
    ARGUMENTS,
    FACTS,
    REFERENCE,
    TERMS,
    closing_of,
    cycle_frames,
)
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import key_of
from fleet_audit.ingest.freshness import newest_arrival
from fleet_audit.logic.costs.budget import cycle_budget
from fleet_audit.logic.costs.forecast import daily_totals, forecast_cycle
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.documents.carrier_copy import CarrierCopy, build_copy, carrier_codes
from fleet_audit.reporting.documents.cycle import CycleReport, build_cycle
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.formats.package_files import render_package
from fleet_audit.reporting.formats.render import render_copies, render_cycle
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.package_model import Package
from fleet_audit.schema.facts import (
    ADJUSTMENTS,
    BILLING_LINES,
    CYCLE_CLOSES,
    CYCLE_FINDINGS,
    CYCLE_INCIDENTS,
    CYCLE_RULES_NOT_TESTED,
    REVERSAL_ADJUSTMENTS,
    REVIEW_ESTIMATES,
    REVIEW_SAMPLES,
    RULES_NOT_TESTED,
    VEHICLE_CYCLE_AMOUNTS,
)
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.storage.step_errors import acts_on_errors

_DEPS = [
    *(dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in (*FACTS, RULES_NOT_TESTED)),
    key_of(CYCLE_CLOSES),
    key_of(CYCLE_FINDINGS),
    key_of(CYCLE_INCIDENTS),
    key_of(CYCLE_RULES_NOT_TESTED),
    key_of(BILLING_LINES),
    key_of(VEHICLE_CYCLE_AMOUNTS),
    key_of(REVERSAL_ADJUSTMENTS),
    key_of(REVIEW_SAMPLES),
    key_of(REVIEW_ESTIMATES),
    dg.AssetDep(key_of(ADJUSTMENTS), partition_mapping=dg.AllPartitionMapping()),  # of days of earlier cycles
    *(key_of(table) for table in REFERENCE),
]
_DEPS_WITH_TERMS = [*_DEPS, *(key_of(table) for table in TERMS)]
_METADATA = {"path": "reports/cycle", "label": "start"}
_OF_CYCLES: dict[str, Any] = {**ARGUMENTS, "partitions_def": cycle_partitions}


@dg.asset(
    key=["reports", "cycle"],
    **_OF_CYCLES,
    kinds={"excel", "html"},
    deps=_DEPS_WITH_TERMS,
    metadata=_METADATA,
    description="The report of a measurement cycle: fixed and variable, planned, measured and declared, by unit, "
    "carrier, route and vehicle. Provisional until the cycle is closed.",
)
@acts_on_errors
def cycle_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's report from the days known so far."""
    return dg.Output((key, render_cycle(_report(fleet, parse_day(key)))) for key in context.partition_keys)


@dg.asset(
    key=["reports", "package"],
    **_OF_CYCLES,
    kinds={"excel", "csv"},
    deps=_DEPS_WITH_TERMS,
    metadata=_METADATA,
    description="The measurement package of a cycle: what is billed by vehicle in each area, with live footers; "
    "summary, km by day, what is not billed and why, and the terms. XLSX, and each sheet as CSV.",
)
@acts_on_errors
def measurement_package(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's package from the days known so far."""
    return dg.Output((key, render_package(_package(fleet, parse_day(key)))) for key in context.partition_keys)


@dg.asset(
    key=["reports", "carriers"],
    **_OF_CYCLES,
    kinds={"excel", "html"},
    deps=[*_DEPS_WITH_TERMS, key_of(DRIVERS)],
    metadata={**_METADATA, "folder": "carriers"},
    description="Each carrier's own copy of a cycle: its rows, the reasons, the evidence, until when it may contest "
    "them, and nothing of any other carrier.",
)
@acts_on_errors
def carrier_reports(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each cycle's copies."""
    return dg.Output((key, render_copies(_copies(fleet, parse_day(key)))) for key in context.partition_keys)


def _copies(fleet: FleetResource, start: dt.date) -> Iterator[CarrierCopy]:
    cycle = cycle_of(start, fleet.settings().closing_day)
    frames, closing, layout = cycle_frames(fleet, cycle), closing_of(fleet, start), _layout(fleet)
    contest_days = int(fleet.parameters(cycle.end).contest_business_days)
    drivers = fleet.warehouse().read_table(DRIVERS)["name"].dropna()
    for code in carrier_codes(frames):
        yield build_copy(
            frames,
            code,
            cycle=cycle,
            generated_at=newest_arrival(fleet.warehouse()),
            closing=closing,
            contest_days=contest_days,
            drivers=drivers,
            layout=layout,
        )


def _layout(fleet: FleetResource) -> Layout:
    return load_layout(fleet.settings().report_layout)


def _report(fleet: FleetResource, start: dt.date) -> CycleReport:
    cycle = cycle_of(start, fleet.settings().closing_day)
    frames, as_of = cycle_frames(fleet, cycle), newest_arrival(fleet.warehouse())
    parameters, run_days = fleet.parameters(cycle.end), set(frames.coverage["operational_date"])
    daily = daily_totals(frames.trips, frames.trip_costs, frames.coverage)
    forecast = forecast_cycle(daily, cycle, run_days, frames.calendar, parameters) if len(daily) else None
    closing_day = fleet.settings().closing_day
    fixed_so_far = sum_decimal(frames.fixed_cost_days["amount_brl"])
    budget = cycle_budget(cycle, fleet.reference(), fixed_so_far, run_days, closing_day)
    return build_cycle(
        frames,
        cycle=cycle,
        generated_at=as_of,
        last_data_at=as_of,
        forecast=forecast,
        budget=budget,
        closing=closing_of(fleet, start),
        layout=_layout(fleet),
    )


def _package(fleet: FleetResource, start: dt.date) -> Package:
    cycle = cycle_of(start, fleet.settings().closing_day)
    return build_package(
        cycle_frames(fleet, cycle),
        cycle=cycle,
        generated_at=newest_arrival(fleet.warehouse()),
        closing=closing_of(fleet, start),
        parameters=fleet.parameters(cycle.end).as_frame(),
        layout=_layout(fleet),
    )

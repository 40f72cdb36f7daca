"""The files of a cycle's documents from its rows, as work that another process may take.

Imports no Dagster: a process that takes it starts without. Rows are read here and not by the run's process, which would
hold those of a month for as long as it lives.
"""

import datetime as dt
from dataclasses import dataclass

from fleet_audit.defs.reports.frames import cycle_frames
from fleet_audit.logic.costs.budget import cycle_budget
from fleet_audit.logic.costs.forecast import daily_totals, forecast_cycle
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.documents.carrier_copy import build_copy
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.formats.package_files import render_package
from fleet_audit.reporting.formats.render import render_copies, render_cycle
from fleet_audit.reporting.layout import Layout
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.redaction import CarrierNames
from fleet_audit.storage.warehouse import Warehouse


@dataclass(frozen=True)
class CycleInputs:
    """What all documents of a cycle have in common; `as_of` is when the newest file arrived."""

    warehouse: Warehouse
    as_of: dt.datetime
    layout: Layout
    parameters: ParameterSet
    closing: Closing


@dataclass(frozen=True)
class ReportFiles:
    """Builds and renders the monthly report of a cycle from the days known so far."""

    inputs: CycleInputs
    reference: Reference
    closing_day: int

    def __call__(self, cycle: Cycle) -> dict[str, bytes]:
        """Content by file name."""
        inputs, frames = self.inputs, cycle_frames(self.inputs.warehouse, cycle)
        run_days = set(frames.coverage["operational_date"])
        daily = daily_totals(frames.trips, frames.trip_costs, frames.coverage)
        forecast = forecast_cycle(daily, cycle, run_days, frames.calendar, inputs.parameters) if len(daily) else None
        fixed_so_far = sum_decimal(frames.fixed_cost_days["amount_brl"])
        report = build_cycle(
            frames,
            cycle=cycle,
            generated_at=inputs.as_of,
            last_data_at=inputs.as_of,
            forecast=forecast,
            budget=cycle_budget(cycle, self.reference, fixed_so_far, run_days, self.closing_day),
            closing=inputs.closing,
            layout=inputs.layout,
        )
        del frames
        return render_cycle(report)


@dataclass(frozen=True)
class PackageFiles:
    """Builds and renders the measurement package of a cycle from the days known so far."""

    inputs: CycleInputs

    def __call__(self, cycle: Cycle) -> dict[str, bytes]:
        """Content by file name."""
        inputs = self.inputs
        package = build_package(
            cycle_frames(inputs.warehouse, cycle),
            cycle=cycle,
            generated_at=inputs.as_of,
            closing=inputs.closing,
            parameters=inputs.parameters.as_frame(),
            layout=inputs.layout,
        )
        return render_package(package)


@dataclass(frozen=True)
class CopyFiles:
    """Builds and renders copies of a cycle for carriers, each from that carrier's rows alone.

    Attributes:
        named: what names carriers in the cycle.
        drivers: the names of all drivers.
    """

    inputs: CycleInputs
    cycle: Cycle
    named: CarrierNames
    drivers: tuple[str, ...]

    def __call__(self, carrier_code: str) -> dict[str, bytes]:
        """Content by the carrier's folder and the file's name."""
        inputs = self.inputs
        copy = build_copy(
            cycle_frames(inputs.warehouse, self.cycle, carrier_code),
            carrier_code,
            cycle=self.cycle,
            generated_at=inputs.as_of,
            closing=inputs.closing,
            contest_days=int(inputs.parameters.contest_business_days),
            drivers=self.drivers,
            named=self.named,
            layout=inputs.layout,
        )
        return render_copies([copy])

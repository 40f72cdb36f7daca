"""Documents of a measurement cycle: the monthly report, the measurement package, the carriers' copies."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import dagster as dg

from fleet_audit.defs.partitions import cycle_partitions, run_cycles
from fleet_audit.defs.reports.arguments import ARGUMENTS
from fleet_audit.defs.reports.cycle_files import CopyFiles, CycleInputs, PackageFiles, ReportFiles
from fleet_audit.defs.reports.frames import (
    FACTS,
    REFERENCE,
    TERMS,
    carrier_names,
    closing_of,
    unlocked_frames,
    vehicle_days,
)
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import computed_in_turn, cycle_deps, key_of
from fleet_audit.errors import RetryableError
from fleet_audit.ingest.freshness import newest_arrival
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.layout import load_layout
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
from fleet_audit.storage.warehouse import Warehouse

_DEPS = [
    *cycle_deps(*FACTS, RULES_NOT_TESTED),
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
_LARGE_VEHICLE_DAYS = 2000  # 9 s for copies of such a cycle; a pool of processes costs 1.3 s of imports once a run
_Wanted = TypeVar("_Wanted")
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
    closing_day = fleet.settings().closing_day

    def files(cycle: Cycle) -> dict[str, bytes]:
        work = ReportFiles(_inputs(fleet, cycle), fleet.reference(), closing_day)
        return _rendered(fleet, cycle, work, {str(cycle.start): cycle}, "cycle")

    return dg.Output(_of_cycles(context, fleet, files))


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

    def files(cycle: Cycle) -> dict[str, bytes]:
        return _rendered(fleet, cycle, PackageFiles(_inputs(fleet, cycle)), {str(cycle.start): cycle}, "cycle")

    return dg.Output(_of_cycles(context, fleet, files))


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

    def files(cycle: Cycle) -> dict[str, bytes]:
        named = carrier_names(fleet.warehouse(), cycle)
        drivers = fleet.warehouse().read_table(DRIVERS)["name"].dropna()
        work = CopyFiles(_inputs(fleet, cycle), cycle, named, tuple(drivers))
        return _rendered(fleet, cycle, work, {code: code for code in sorted(named.codes)}, "carrier")

    return dg.Output(_of_cycles(context, fleet, files))


def _of_cycles(
    context: dg.AssetExecutionContext, fleet: FleetResource, files: Callable[[Cycle], dict[str, bytes]]
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The files of each cycle of the run, under its partition key."""
    for cycle in run_cycles(context, fleet.settings().closing_day):
        with _requiring_one_state(fleet.warehouse(), cycle):
            made = files(cycle)
        yield cycle.start.isoformat(), made


@contextmanager
def _requiring_one_state(warehouse: Warehouse, cycle: Cycle) -> Iterator[None]:
    """Raises RetryableError when rows that documents of the cycle share were changed while the documents were made.

    Each copy reads them at another instant: two carriers would have the terms of different contracts.
    """
    before = unlocked_frames(warehouse, cycle)
    yield
    after = unlocked_frames(warehouse, cycle)
    changed = [name for name, rows in before.items() if not rows.equals(after[name])]
    if changed:
        raise RetryableError(
            f"Rows of {', '.join(changed)} were changed while the documents of the cycle of {cycle.start} were "
            "rendered: they are rendered again."
        )


def _inputs(fleet: FleetResource, cycle: Cycle) -> CycleInputs:
    warehouse = fleet.warehouse()
    layout = load_layout(fleet.settings().report_layout)
    return CycleInputs(
        warehouse, newest_arrival(warehouse), layout, fleet.parameters(cycle.end), closing_of(warehouse, cycle.start)
    )


def _rendered(
    fleet: FleetResource,
    cycle: Cycle,
    work: Callable[[_Wanted], dict[str, bytes]],
    wanted: Mapping[str, _Wanted],
    what: str,
) -> dict[str, bytes]:
    """Content by file name of all that is `wanted`, by its name in errors.

    Of a large cycle each is made by another process, unless one is all that days may have. Two at once, of 80,321
    trips, took 1.36 GB each.
    """
    is_large = vehicle_days(fleet.warehouse(), cycle) >= _LARGE_VEHICLE_DAYS
    are_apart = is_large and fleet.settings().day_processes > 1
    made = computed_in_turn(wanted, work, are_large=are_apart, what=what)
    return {name: content for _, files in made for name, content in files.items()}

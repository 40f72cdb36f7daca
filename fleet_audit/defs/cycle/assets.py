"""A cycle from its days' results: findings of whole cycles, and the calibration of each vehicle."""

from typing import Any

import dagster as dg
import pandas as pd

from fleet_audit.closing.audited_cycle import DAY_TABLES, audited_cycle
from fleet_audit.defs.partitions import (
    cycle_and_before_mapping,
    cycle_mapping,
    cycle_partitions,
    parse_day,
    single_run,
)
from fleet_audit.defs.pictures import calibration_shown
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, asset_arguments, key_of
from fleet_audit.logic.audit.cycle import calibration_segments, find_in_cycle
from fleet_audit.logic.audit.incident_rows import cycle_incidents
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days, cycle_of
from fleet_audit.schema import facts, reference
from fleet_audit.storage.step_errors import acts_on_errors

_REFERENCE = (
    reference.KM_PLAN,
    reference.CALENDAR,
    reference.CONTRACTS,
    reference.EXCEPTIONS,
    reference.INVOICES,
    reference.SHIFTS,
    reference.VEHICLES,
    reference.UNITS,
    reference.PARAMETERS,
)
_DAY_DEPS = (
    *(
        dg.AssetDep(key_of(table), partition_mapping=cycle_mapping)
        for name, table in DAY_TABLES.items()
        if name not in ("runs", "trips")
    ),
    dg.AssetDep(key_of(facts.TRIPS), partition_mapping=cycle_and_before_mapping),  # how a vehicle drove in its past
    dg.AssetDep(key_of(facts.DECLARED_RUNS), partition_mapping=cycle_and_before_mapping),  # a run billed twice
)
_CALIBRATIONS = dg.AssetDep(key_of(facts.CALIBRATIONS), partition_mapping=cycle_and_before_mapping)
_FINDINGS = dg.AssetDep(key_of(facts.FINDINGS), partition_mapping=cycle_and_before_mapping)
_ARGUMENTS: dict[str, Any] = {"partitions_def": cycle_partitions, "backfill_policy": single_run}


@dg.asset(
    **asset_arguments(facts.CYCLE_FINDINGS, "cycle"),
    **_ARGUMENTS,
    deps=[
        *_DAY_DEPS,
        _CALIBRATIONS,
        _FINDINGS,
        *(key_of(table) for table in _REFERENCE),
    ],
)
@acts_on_errors
def cycle_findings(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Findings of rules over a whole cycle, as far as its days were run."""
    found = []
    for key in context.partition_keys:
        cycle = _audited(fleet, key)
        found.append((cycle.cycle.start, find_in_cycle(cycle)))
    return dg.Output(found)


@dg.asset(
    **asset_arguments(facts.CYCLE_INCIDENTS, "cycle"),
    **_ARGUMENTS,
    deps=[
        key_of(facts.CYCLE_FINDINGS),
        *(
            dg.AssetDep(key_of(table), partition_mapping=cycle_mapping)
            for table in (facts.FINDINGS, facts.VEHICLE_DAY_AMOUNTS)
        ),
    ],
)
@acts_on_errors
def incidents_of_cycle(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Put what the rules of a cycle found beside the incidents of its days, each amount once."""
    cycles = [cycle_of(parse_day(key), fleet.settings().closing_day) for key in context.partition_keys]
    return dg.Output([(cycle.start, _incidents(fleet, cycle)) for cycle in cycles])


@dg.asset(
    **asset_arguments(facts.CYCLE_RULES_NOT_TESTED, "cycle"),
    **_ARGUMENTS,
    deps=[
        *_DAY_DEPS,
        _CALIBRATIONS,
        _FINDINGS,
        *(key_of(table) for table in _REFERENCE),
    ],
)
@acts_on_errors
def cycle_rules_not_tested(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """The rules of a cycle that lack their data, and why."""
    cycles = [_audited(fleet, key) for key in context.partition_keys]
    return dg.Output(
        [
            (cycle.cycle.start, rules_not_tested(cycle, CYCLE_RULES).assign(cycle_start=cycle.cycle.start))
            for cycle in cycles
        ]
    )


@dg.asset(
    **asset_arguments(facts.CALIBRATION_SEGMENTS, "cycle"),
    **_ARGUMENTS,
    deps=[_CALIBRATIONS, *(key_of(table) for table in (reference.VEHICLES, reference.UNITS, reference.PARAMETERS))],
)
@acts_on_errors
def segments(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Where the level of each vehicle's odometer / GPS ratio holds, and where it changes."""
    cycles = [_audited(fleet, key) for key in context.partition_keys]
    found = [(cycle.cycle.start, calibration_segments(cycle)) for cycle in cycles]
    last = cycles[-1]
    context.add_asset_metadata(
        calibration_shown(last.calibrations, found[-1][1], last.calibrations_from, last.day),
        partition_key=context.partition_keys[-1],
    )
    return dg.Output(found)


def _incidents(fleet: FleetResource, cycle: Cycle) -> pd.DataFrame:
    warehouse, days = fleet.warehouse(), cycle_days(cycle)
    found = warehouse.read_partition(facts.CYCLE_FINDINGS, [cycle.start])
    of_days = warehouse.read_partition(facts.FINDINGS, days)
    amounts = warehouse.read_partition(facts.VEHICLE_DAY_AMOUNTS, days)
    return cycle_incidents(cycle, found, of_days[of_days["cycle_start"].isna()], amounts)


def _audited(fleet: FleetResource, key: str) -> AuditCycle:
    cycle = cycle_of(parse_day(key), fleet.settings().closing_day)
    return audited_cycle(fleet.warehouse(), fleet.reference(), fleet.parameters, cycle)

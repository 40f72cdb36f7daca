"""A cycle from its days' results: findings of whole cycles, and the calibration of each vehicle."""

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace

import dagster as dg
import pandas as pd

from fleet_audit.closing.audited_cycle import DAY_TABLES, audited_cycle
from fleet_audit.defs.partitions import cycle_and_before_mapping, run_cycles
from fleet_audit.defs.pictures import calibration_shown
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import (
    OF_CYCLES,
    DayFrames,
    cycle_arguments,
    cycle_deps,
    each_day_together,
    key_of,
    output,
    selected_outputs,
)
from fleet_audit.logic.audit.cycle import calibration_segments, find_in_cycle
from fleet_audit.logic.audit.incidents.rows import cycle_incidents
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
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
    *cycle_deps(*(table for name, table in DAY_TABLES.items() if name not in ("runs", "trips"))),
    *cycle_deps(facts.INCOMPLETE_DAYS, facts.DAY_ACCEPTANCE),
    dg.AssetDep(key_of(facts.TRIPS), partition_mapping=cycle_and_before_mapping),  # how a vehicle drove in its past
    dg.AssetDep(key_of(facts.DECLARED_RUNS), partition_mapping=cycle_and_before_mapping),  # a run billed twice
)
_CALIBRATIONS = dg.AssetDep(key_of(facts.CALIBRATIONS), partition_mapping=cycle_and_before_mapping)
_FINDINGS = dg.AssetDep(key_of(facts.FINDINGS), partition_mapping=cycle_and_before_mapping)
_OF_RULES = {
    *(dep.asset_key for dep in (*_DAY_DEPS, _CALIBRATIONS, _FINDINGS)),
    *(key_of(table) for table in _REFERENCE),
}
_SEGMENTED_BY = (reference.VEHICLES, reference.UNITS, reference.PARAMETERS)
_OUTPUTS = {
    "findings": facts.CYCLE_FINDINGS,
    "rules_not_tested": facts.CYCLE_RULES_NOT_TESTED,
    "segments": facts.CALIBRATION_SEGMENTS,
}


def _rules_not_tested(cycle: AuditCycle) -> pd.DataFrame:
    return rules_not_tested(cycle, CYCLE_RULES).assign(cycle_start=cycle.cycle.start)


_FOUND_BY = {"findings": find_in_cycle, "rules_not_tested": _rules_not_tested, "segments": calibration_segments}


@dg.multi_asset(
    outs={name: output(table, "cycle") for name, table in _OUTPUTS.items()},
    deps=[*_DAY_DEPS, _CALIBRATIONS, _FINDINGS, *(key_of(table) for table in _REFERENCE)],
    internal_asset_deps={
        "findings": _OF_RULES,
        "rules_not_tested": _OF_RULES,
        "segments": {key_of(table) for table in (facts.CALIBRATIONS, *_SEGMENTED_BY)},
    },
    can_subset=True,
    **OF_CYCLES,
)
@acts_on_errors
def cycle_audit(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.Output]:
    """Read each cycle once, as far as its days were run: findings, rules not tested, and levels of calibration."""
    selected, cycles = selected_outputs(context, _OUTPUTS), run_cycles(context, fleet.settings().closing_day)

    def computed() -> Iterator[tuple[dt.date, SimpleNamespace]]:
        for cycle in cycles:
            audited = audited_cycle(fleet.warehouse(), fleet.lake(), fleet.reference(), fleet.parameters, cycle)
            found = SimpleNamespace(**{name: _FOUND_BY[name](audited) for name in selected})
            if "segments" in selected and cycle == cycles[-1]:
                context.add_asset_metadata(
                    calibration_shown(audited.calibrations, found.segments, audited.calibrations_from, audited.day),
                    asset_key=key_of(facts.CALIBRATION_SEGMENTS),
                    partition_key=cycle.start.isoformat(),
                )
            yield cycle.start, found

    yield from each_day_together(computed(), selected)


@dg.asset(
    **cycle_arguments(facts.CYCLE_INCIDENTS, "cycle"),
    deps=[key_of(facts.CYCLE_FINDINGS), *cycle_deps(facts.FINDINGS, facts.MATCHES, facts.VEHICLE_DAY_AMOUNTS)],
)
@acts_on_errors
def incidents_of_cycle(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Put what the rules of a cycle found beside the incidents of its days, each amount once."""
    cycles = run_cycles(context, fleet.settings().closing_day)
    return dg.Output([(cycle.start, _incidents(fleet, cycle)) for cycle in cycles])


def _incidents(fleet: FleetResource, cycle: Cycle) -> pd.DataFrame:
    warehouse, days = fleet.warehouse(), cycle_days(cycle)
    found = warehouse.read_partition(facts.CYCLE_FINDINGS, [cycle.start])
    of_days = warehouse.read_partition(facts.FINDINGS, days)
    amounts = warehouse.read_partition(facts.VEHICLE_DAY_AMOUNTS, days)
    matches = warehouse.read_partition(facts.MATCHES, days)
    return cycle_incidents(cycle, found, of_days[of_days["cycle_start"].isna()], amounts, matches)

"""The typed rows of a day, from files and pages; a run rebuilds the neighbouring days that its windows read too."""

import datetime as dt
from collections.abc import Callable
from functools import partial

import dagster as dg
import pandas as pd

from fleet_audit.closing.code import computing_versions
from fleet_audit.defs.ingestion.assets import RAW_POSITIONS
from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import DayFrames, computed_parts, daily_arguments, each_day, key_of
from fleet_audit.ingest.acceptance import day_acceptance
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.incomplete.days import incomplete_days
from fleet_audit.ingest.incomplete.refused_files import refused_vehicle_days
from fleet_audit.ingest.staged_days import StagedDays
from fleet_audit.ingest.staging import Stage
from fleet_audit.logic.primitives.window import days_with_context
from fleet_audit.logic.reference.pending_devices import pending_devices
from fleet_audit.schema.facts import DAY_ACCEPTANCE, INCOMPLETE_DAYS, INGESTED_FILES, PENDING_DEVICES
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_NOTES, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.schema.model import Table
from fleet_audit.schema.reference import CARRIERS, DEVICES, PARAMETERS, UNITS, VEHICLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.table_days import Days

_BUILD: dict[Table, Callable[[Stage, dt.date], pd.DataFrame]] = {
    STAGING_VISIT_LEGS: Stage.visit_legs,
    STAGING_DECLARED_RUNS: Stage.declared_runs,
    STAGING_NOTES: Stage.source_notes,
}


def _staging_asset(table: Table, *deps: dg.AssetKey) -> dg.AssetsDefinition:
    @dg.asset(**daily_arguments(table, "staging", writes_neighbours=True), deps=[key_of(INGESTED_FILES), *deps])
    @acts_on_errors
    def staging(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
        files = ParsedFiles(fleet.lake(), fleet.warehouse(), fleet.settings(), context.log.warning)
        run_id, key = context.run.run_id, fleet.driver_key()
        stage = Stage(files.lake, files.warehouse, run_id, key, fleet.adapter(), files.read)
        days = days_with_context(run_days(context))
        if table == STAGING_POSITIONS:
            compute = partial(computed_parts, processes=fleet.settings().day_processes)
            staged = StagedDays(files.lake, files.warehouse, run_id, context.log.warning)
            return dg.Output(staged.positions(stage, days, computing_versions(), compute))
        return each_day(days, lambda day: _BUILD[table](stage, day))

    return staging


positions = _staging_asset(STAGING_POSITIONS, RAW_POSITIONS)
visit_legs = _staging_asset(STAGING_VISIT_LEGS, key_of(VEHICLES), key_of(UNITS))
declared_runs = _staging_asset(STAGING_DECLARED_RUNS, key_of(VEHICLES), key_of(UNITS), key_of(CARRIERS))
source_notes = _staging_asset(STAGING_NOTES, key_of(STAGING_POSITIONS), key_of(DEVICES))


@dg.asset(
    **daily_arguments(DAY_ACCEPTANCE, "staging"),
    deps=[key_of(INGESTED_FILES), key_of(STAGING_POSITIONS), key_of(PARAMETERS)],
)
@acts_on_errors
def acceptance(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Share of each day's rows that was accepted."""
    return each_day(
        run_days(context), lambda day: day_acceptance(fleet.warehouse(), day, fleet.parameters(day).day_acceptance_pct)
    )


@dg.asset(
    **daily_arguments(PENDING_DEVICES, "staging"),
    deps=[key_of(DEVICES)],
    ins={"staged": dg.AssetIn(key_of(STAGING_POSITIONS))},
)
@acts_on_errors
def waiting_devices(context: dg.AssetExecutionContext, fleet: FleetResource, staged: Days) -> DayFrames:
    """Positions of each day that wait until their device is registered."""
    devices = fleet.warehouse().read_table(DEVICES)
    return each_day(
        run_days(context),
        lambda day: pending_devices(staged.read([day], columns=["device_id", "recorded_at"]), devices, day),
    )


@dg.asset(
    **daily_arguments(INCOMPLETE_DAYS, "staging"),
    deps=[key_of(INGESTED_FILES), key_of(VEHICLES), key_of(DEVICES), key_of(CARRIERS)],
    ins={"declared": dg.AssetIn(key_of(STAGING_DECLARED_RUNS))},
)
@acts_on_errors
def days_with_missing_sources(context: dg.AssetExecutionContext, fleet: FleetResource, declared: Days) -> DayFrames:
    """Days with a refused file or without the bulletin of a carrier."""
    days, reference = run_days(context), fleet.reference()
    refused = refused_vehicle_days(Stores(fleet.lake(), fleet.warehouse(), fleet.settings()), reference, days)
    return each_day(
        days,
        lambda day: incomplete_days(refused, declared.read([day], columns=["plate", "carrier_code"]), reference, day),
    )

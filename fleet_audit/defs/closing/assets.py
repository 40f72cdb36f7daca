"""Closing: days computed to the end, adjustments of closed days, and the close of a cycle with its manifest."""

import datetime as dt
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import Field

from fleet_audit.closing.code import code_version, computing_versions
from fleet_audit.closing.contests import contest_outcomes
from fleet_audit.closing.freezing import close_cycle, closed_starts, closed_with_unpriced
from fleet_audit.closing.frozen_rows import day_rows
from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import daily_partitions, run_cycles, run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import (
    OF_CYCLES,
    DayFrames,
    asset_arguments,
    column_schema,
    cycle_deps,
    daily_arguments,
    each_day,
    key_of,
)
from fleet_audit.ingest.journal import record_computed_day
from fleet_audit.logic.closing.adjustments import BilledRows, billing_cycle, day_adjustments, too_late_message
from fleet_audit.logic.closing.manifest import refusal
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days, cycle_of
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import (
    ADJUSTMENTS,
    BILLING_LINES,
    CALIBRATION_SEGMENTS,
    COMPUTED_DAYS,
    CONTEST_OUTCOMES,
    CYCLE_CLOSES,
    CYCLE_FINDINGS,
    CYCLE_INCIDENTS,
    FACTS,
    FIXED_COST_DAYS,
    REVERSAL_ADJUSTMENTS,
    TRIP_COSTS,
    TRIPS,
    VEHICLE_CYCLE_AMOUNTS,
)
from fleet_audit.schema.partition import partition_day
from fleet_audit.schema.reference import VEHICLES
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days


@dg.asset(
    **daily_arguments(ADJUSTMENTS, "closing"),
    ins={
        "day_trips": dg.AssetIn(key_of(TRIPS)),
        "costs": dg.AssetIn(key_of(TRIP_COSTS)),
        "fixed": dg.AssetIn(key_of(FIXED_COST_DAYS)),
    },
    deps=[key_of(VEHICLES)],
)
@acts_on_errors
def adjustments(
    context: dg.AssetExecutionContext, fleet: FleetResource, day_trips: Days, costs: Days, fixed: Days
) -> DayFrames:
    """Compute closed days again and record the differences from the billed lines."""
    days = run_days(context)
    closed = fleet.warehouse().closed_days(days)
    if closed:
        shown = f"{len(closed)} days from {min(closed)} to {max(closed)}"
        context.log.info(f"Closed for good: {shown}. Their rows stay as they are; differences are adjustments.")
    inputs = (day_trips, costs, fixed)
    closing_day = fleet.settings().closing_day
    cycles = {cycle_of(day, closing_day) for day in closed}
    with_unpriced = {cycle for cycle in cycles if closed_with_unpriced(fleet.warehouse(), cycle)}

    def of_day(day: dt.date) -> pd.DataFrame:
        if day not in closed:
            return empty_frame(ADJUSTMENTS)
        now = BilledRows(*(each.read([day]) for each in inputs))
        start, found = _adjustments(fleet, day, now, counts_unpriced=cycle_of(day, closing_day) in with_unpriced)
        if start is not None:
            return found
        if len(found):
            context.log.warning(too_late_message(day, found))
        return empty_frame(ADJUSTMENTS)

    return each_day(days, of_day)


def _adjustments(
    fleet: FleetResource, day: dt.date, now: BilledRows, *, counts_unpriced: bool
) -> tuple[dt.date | None, pd.DataFrame]:
    """The cycle that bills the day's differences, None where no open one reaches back so far; and the differences."""
    warehouse, closing_day = fleet.warehouse(), fleet.settings().closing_day
    closed = closed_starts(warehouse)
    months = int(fleet.parameters(day).adjustment_months)
    start = billing_cycle(day, closed, closing_day, months)
    frozen = BilledRows(*(warehouse.read_partition(table, [day]) for table in (TRIPS, TRIP_COSTS, FIXED_COST_DAYS)))
    adjusted = day_rows(warehouse, ADJUSTMENTS, [day])
    billed = adjusted[adjusted["billed_cycle_start"].isin(closed).to_numpy(dtype=bool)]
    reference = fleet.reference()
    vehicles = reference.vehicles_on(day)
    found = day_adjustments(
        day, start or day, closing_day, frozen, now, billed, vehicles, counts_unpriced=counts_unpriced
    )
    return start, found


@dg.asset(**asset_arguments(CONTEST_OUTCOMES, "closing"))
@acts_on_errors
def outcomes_of_contests(context: dg.AssetExecutionContext, fleet: FleetResource) -> pd.DataFrame:
    """Copy what became of each contest, for the models of `dbt_like_sql`."""
    return contest_outcomes(fleet.warehouse(), context.run.run_id)


@dg.asset(**daily_arguments(COMPUTED_DAYS, "closing"), deps=[key_of(table) for table in (*FACTS, ADJUSTMENTS)])
@acts_on_errors
def computed_days(context: dg.AssetExecutionContext, fleet: FleetResource) -> DayFrames:
    """Record that a day is fully computed, and its input cut-off."""
    return each_day(run_days(context), lambda day: _computed(fleet, day))


def _computed(fleet: FleetResource, day: dt.date) -> pd.DataFrame:
    """Input cut-off of a day: the instant at which staging read; later arrivals are not in it."""
    record_computed_day(fleet.lake(), day)
    window = window_days(day)
    read = fleet.warehouse().read(
        "select min(updated_at) as at from ops.stage_counts where partition_date between :first and :last",
        {"first": window[0], "last": window[-1]},
    )
    return pd.DataFrame(
        {
            "operational_date": [day],
            "computed_at": [read["at"].iloc[0]],
            "code_version": [code_version()],
            "computing_versions": [computing_versions()],
        }
    )


class CloseConfig(dg.Config):
    """How to close the cycle of the run."""

    is_final: bool = Field(
        default=False,
        description="False: a provisional close, which the next close replaces. True: the FINAL close, IRREVERSIBLE: "
        "the rows of the cycle are frozen for good, and every later difference becomes an adjustment of a later cycle.",
    )


@dg.asset(
    key=key_of(CYCLE_CLOSES),
    group_name=group_of("closing"),
    owners=owners_of("closing"),
    kinds={"postgres", "json"},
    **OF_CYCLES,
    deps=[
        *cycle_deps(*FACTS, ADJUSTMENTS, COMPUTED_DAYS),
        *(
            key_of(table)
            for table in (
                CALIBRATION_SEGMENTS,
                CYCLE_FINDINGS,
                CYCLE_INCIDENTS,
                BILLING_LINES,
                VEHICLE_CYCLE_AMOUNTS,
                REVERSAL_ADJUSTMENTS,
            )
        ),  # before they are frozen
    ],
    description="The close of a cycle: provisional, or final, which freezes its rows. Inputs, parameters, code and "
    "outputs are hashed in a manifest; `fleet-audit replay` proves it.",
    metadata={"table": CYCLE_CLOSES.full_name, "dagster/column_schema": column_schema(CYCLE_CLOSES)},
)
@acts_on_errors
def cycle_close(context: dg.AssetExecutionContext, fleet: FleetResource, config: CloseConfig) -> dg.MaterializeResult:
    """Close the cycles of the run."""
    metadata: dict[str, Any] = {}
    for cycle in run_cycles(context, fleet.settings().closing_day):
        metadata |= _close(fleet, cycle, context.run.run_id, config.is_final)
    return dg.MaterializeResult(metadata=metadata)


def _close(fleet: FleetResource, cycle: Cycle, run_id: str, is_final: bool) -> dict[str, Any]:
    today = partition_day(dt.datetime.now(dt.UTC))
    reason = refusal(cycle, today, fleet.parameters(cycle.end), is_final=is_final)
    if reason:
        raise dg.Failure(reason, allow_retries=False)
    known = set(daily_partitions.get_partition_keys())
    days = [day for day in cycle_days(cycle) if day.isoformat() in known]
    record = close_cycle(fleet.stores(), cycle, days, fleet.parameters, run_id, is_final=is_final)
    shown = {name: str(value) for name, value in record.items() if not pd.isna(value)}
    manifest = fleet.lake().get_bytes(record["manifest_path"]).decode()
    return {
        **shown,
        "manifest": dg.MetadataValue.path(fleet.lake().url(record["manifest_path"])),
        "manifest_content": dg.MetadataValue.md(f"```json\n{manifest[:20_000]}\n```"),
    }

"""Declared against measured: each day matched, audited and scored."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator

import dagster as dg

from fleet_audit.defs.audit.stored_days import StoredDayAudit
from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days, window_mapping
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import computed_parts, each_day_together, key_of, output, selected_outputs
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.ingest.incomplete.terms import refused_terms
from fleet_audit.ingest.incomplete.vehicles import refused_vehicles
from fleet_audit.logic.audit.day import AuditResult
from fleet_audit.logic.audit.incomplete import incomplete_sources
from fleet_audit.logic.primitives.window import days_with_context
from fleet_audit.schema.facts import (
    DAY_ACCEPTANCE,
    DECLARED_RUNS,
    DEVICE_HEALTH,
    FINDINGS,
    HELD_RUNS,
    INCIDENTS,
    INCOMPLETE_DAYS,
    MATCHES,
    RULES_NOT_TESTED,
    TRIP_COSTS,
    TRIP_SCORES,
    TRIP_WINDOW,
)
from fleet_audit.schema.lake import (
    DWELL_COUNTS,
    LEGS,
    OBSERVED_SPANS,
    ODOMETER_EVENTS,
    STAGING_DECLARED_RUNS,
    STAGING_NOTES,
)
from fleet_audit.schema.reference import (
    CONTRACTS,
    DEVICES,
    EXCEPTIONS,
    KM_PLAN,
    PARAMETERS,
    POIS,
    ROUTES,
    SHIFTS,
    TARIFFS,
    VEHICLES,
)
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import Days

_OUTPUTS = {
    table.name: table
    for table in (DECLARED_RUNS, MATCHES, HELD_RUNS, FINDINGS, INCIDENTS, TRIP_SCORES, RULES_NOT_TESTED)
}


@dg.multi_asset(
    outs={name: output(table, "audit") for name, table in _OUTPUTS.items()},
    ins={
        "windows": dg.AssetIn(key_of(TRIP_WINDOW)),
        "legs": dg.AssetIn(key_of(LEGS)),
        "spans": dg.AssetIn(key_of(OBSERVED_SPANS)),
        "dwells": dg.AssetIn(key_of(DWELL_COUNTS)),
        "events": dg.AssetIn(key_of(ODOMETER_EVENTS)),
        "health": dg.AssetIn(key_of(DEVICE_HEALTH)),
        "notes": dg.AssetIn(key_of(STAGING_NOTES)),
        "runs": dg.AssetIn(key_of(STAGING_DECLARED_RUNS), partition_mapping=window_mapping),
    },
    deps=[
        *(dg.AssetDep(key_of(table), partition_mapping=window_mapping) for table in (DAY_ACCEPTANCE, INCOMPLETE_DAYS)),
        *(
            key_of(table)
            for table in (
                TRIP_COSTS,
                VEHICLES,
                CONTRACTS,
                DEVICES,
                TARIFFS,
                SHIFTS,
                EXCEPTIONS,
                PARAMETERS,
                KM_PLAN,
                POIS,
                ROUTES,
            )
        ),
    ],
    partitions_def=daily_partitions,
    backfill_policy=daily_backfill,
    can_subset=True,
)
@acts_on_errors
def audit(
    context: dg.AssetExecutionContext,
    fleet: FleetResource,
    windows: Days,
    legs: Days,
    spans: Days,
    dwells: Days,
    events: Days,
    health: Days,
    notes: Days,
    runs: Days,
) -> Iterator[dg.Output]:
    """Match each day's runs with its trips, apply the rules, group findings by cause, score the trips."""
    days = run_days(context)
    warehouse, read = fleet.warehouse(), days_with_context(days)
    files, gaps = warehouse.read_partition(INCOMPLETE_DAYS, read), api_gaps(warehouse, read[0], read[-1])
    reference = fleet.reference()
    refused = refused_vehicles(fleet.lake(), warehouse, reference, read)
    acceptance, vehicles = warehouse.read_partition(DAY_ACCEPTANCE, read), reference.vehicles_on_days(read)
    terms = refused_terms(warehouse, reference, read)
    incomplete = incomplete_sources(files, gaps, refused, acceptance, vehicles, terms)
    work = StoredDayAudit(windows, legs, spans, dwells, events, health, notes, runs, incomplete, reference)
    not_tested: Counter[str] = Counter()

    def counted() -> Iterator[tuple[dt.date, AuditResult]]:
        computed = computed_parts(days, lambda day: (day, fleet.parameters(day)), work, fleet.settings().day_processes)
        for day, result in computed:
            not_tested.update(result.rules_not_tested["rule_id"].unique())
            yield day, result

    yield from each_day_together(counted(), selected_outputs(context, _OUTPUTS))
    if not_tested:  # one line, also for a month: 500 lines of an empty one hid everything else
        of_days = len(days) > 1  # of one day the numbers say nothing
        rules = ", ".join(
            f"{rule} on {count} of {len(days)} days" if of_days else rule for rule, count in sorted(not_tested.items())
        )
        context.log.info(f"Rules not tested: {rules}. ops.rules_not_tested has the reasons.")

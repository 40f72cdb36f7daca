"""Documents of a day: the D-1 report. The documents of a cycle are in `cycle`."""

import datetime as dt
from dataclasses import replace
from functools import partial

import dagster as dg

from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days
from fleet_audit.defs.pictures import preview
from fleet_audit.defs.reports.arguments import ARGUMENTS
from fleet_audit.defs.reports.day_files import DayFiles, DayReportInputs
from fleet_audit.defs.reports.frames import FACTS, REFERENCE, day_frames
from fleet_audit.defs.reports.lateness import READY_HOUR, lateness_min
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import computed_days, key_of
from fleet_audit.dossiers.movement import points_of_groups
from fleet_audit.ingest.freshness import day_sources, newest_arrival
from fleet_audit.logic.costs.budget import Budget, cycle_budget
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.documents.day import MATRIX_DAYS
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.sections.comparison import days_before
from fleet_audit.reporting.sections.divergences import divergent_groups
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.schema import lake, reference
from fleet_audit.schema.facts import COVERAGE, DAY_ACCEPTANCE, RULES_NOT_TESTED
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.step_errors import acts_on_errors

# Sums of each computed day; a measure that nothing of a day has is null.
_DAY_SUMS = """
with measured as (
    select
        trips.operational_date,
        sum(trips.km_measured) as km,
        count(*) filter (where trips.purpose <> 'yard') as trips,
        sum(costs.billable_km) filter (where costs.variable_cost_brl is not null) as billable_km,
        sum(costs.variable_cost_brl) as variable_brl
    from fact.trips as trips
    left join fact.trip_costs as costs
        on trips.trip_id = costs.trip_id and costs.operational_date between :first and :last
    where trips.operational_date between :first and :last
    group by trips.operational_date
),

fixed as (
    select operational_date, sum(amount_brl) as fixed_brl
    from fact.fixed_cost_days
    where operational_date between :first and :last
    group by operational_date
)

select
    days.operational_date, measured.km, measured.trips, measured.billable_km, measured.variable_brl, fixed.fixed_brl
from (select distinct operational_date from fact.vehicle_day_coverage where operational_date between :first and :last)
    as days
left join measured on days.operational_date = measured.operational_date
left join fixed on days.operational_date = fixed.operational_date
order by days.operational_date
"""

_BUDGETED = (reference.CONTRACTS, reference.TARIFFS, reference.FIXED_COSTS)

_OF_DAY = (DAY_ACCEPTANCE, RULES_NOT_TESTED, lake.LEGS, lake.STAGING_POSITIONS, lake.REJECTED_POINTS)


@dg.asset(
    key=["reports", "d1"],
    **(ARGUMENTS | {"backfill_policy": daily_backfill}),
    kinds={"excel", "html"},
    partitions_def=daily_partitions,
    deps=[key_of(table) for table in (*FACTS, *_OF_DAY, *REFERENCE, *_BUDGETED)],
    metadata={"path": "reports/d1", "label": "date"},
    # of the asset, not of its partitions: a day that failed earlier is in health/days
    freshness_policy=dg.FreshnessPolicy.cron(f"0 {READY_HOUR} * * *", dt.timedelta(hours=READY_HOUR), PARTITION_ZONE),
    description="The D-1 report: spent yesterday, km, trips, divergences, R$ at stake, by unit and carrier; then "
    "the trip list. CSV, XLSX, HTML and PDF.",
)
@acts_on_errors
def d1_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each day's report."""
    days, known, settings = run_days(context), fleet.reference(), fleet.settings()
    for day, minutes in lateness_min(context.instance, context.asset_key, days).items():
        context.add_asset_metadata({"lateness_min": minutes}, partition_key=str(day))

    def inputs(day: dt.date) -> DayReportInputs:
        frames = _day_frames(fleet, day)
        return DayReportInputs(day, frames, _budget_until(fleet, known, frames, day), is_shown=day == days[-1])

    work = DayFiles(newest_arrival(fleet.warehouse()), load_layout(settings.report_layout), settings.closing_day)
    reports = computed_days(days, inputs, work, settings.day_processes)
    return dg.Output(
        (day.isoformat(), files, partial(preview, shown) if shown else dict) for day, (files, shown) in reports
    )


def _day_frames(fleet: FleetResource, day: dt.date) -> Frames:
    before = [day - dt.timedelta(days=back) for back in range(1, MATRIX_DAYS)]
    not_tested = fleet.warehouse().read_partition(RULES_NOT_TESTED, [day])
    compared = days_before(day, cycle_of(day, fleet.settings().closing_day))
    frames = day_frames(fleet.warehouse(), fleet.lake(), day)
    return replace(
        frames,
        positions=points_of_groups(fleet.lake(), divergent_groups(frames)),
        rules_not_tested=not_tested[not_tested["cycle_start"].isna()],
        recent_coverage=fleet.warehouse().read_partition(COVERAGE, before),
        recent_days=fleet.warehouse().read(_DAY_SUMS, dict(zip(("first", "last"), compared, strict=True))),
        sources=day_sources(fleet.lake(), fleet.warehouse(), day),
    )


def _budget_until(fleet: FleetResource, known: Reference, frames: Frames, day: dt.date) -> Budget:
    """The budget of the day's cycle up to the day."""
    closing_day = fleet.settings().closing_day
    cycle = cycle_of(day, closing_day)
    earlier = frames.recent_days[(frames.recent_days["operational_date"] >= cycle.start).fillna(False)]
    fixed_so_far = known_sum((*earlier["fixed_brl"].dropna(), *frames.fixed_cost_days["amount_brl"]))
    run_days = {*earlier["operational_date"], day}
    return cycle_budget(cycle, known, fixed_so_far, run_days, closing_day, until=day)

"""Documents of a day: the D-1 report. The documents of a cycle are in `cycle`."""

import datetime as dt
from functools import partial

import dagster as dg

from fleet_audit.defs.partitions import daily_backfill, daily_partitions, run_days
from fleet_audit.defs.pictures import preview
from fleet_audit.defs.reports.arguments import ARGUMENTS
from fleet_audit.defs.reports.day_files import DayFiles
from fleet_audit.defs.reports.frames import FACTS, REFERENCE
from fleet_audit.defs.reports.lateness import READY_HOUR, lateness_min
from fleet_audit.defs.reports.stored_days import StoredDayFiles
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import computed_parts, key_of
from fleet_audit.ingest.freshness import newest_arrival
from fleet_audit.reporting.layout import load_layout
from fleet_audit.schema import lake, reference
from fleet_audit.schema.facts import DAY_ACCEPTANCE, RULES_NOT_TESTED
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.step_errors import acts_on_errors

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
    days, settings = run_days(context), fleet.settings()
    for day, minutes in lateness_min(context.instance, context.asset_key, days).items():
        context.add_asset_metadata({"lateness_min": minutes}, partition_key=str(day))
    made_by = DayFiles(newest_arrival(fleet.warehouse()), load_layout(settings.report_layout), settings.closing_day)
    work = StoredDayFiles(fleet.warehouse(), fleet.lake(), fleet.reference(), made_by, shown=days[-1])
    reports = computed_parts(days, lambda day: day, work, settings.day_processes)
    return dg.Output(
        (day.isoformat(), files, partial(preview, shown) if shown else dict) for day, (files, shown) in reports
    )

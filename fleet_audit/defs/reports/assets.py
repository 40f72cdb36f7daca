"""Documents of a day: the D-1 report. The documents of a cycle are in `cycle`."""

import datetime as dt
from dataclasses import replace
from functools import partial

import dagster as dg

from fleet_audit.defs.partitions import daily_partitions, run_days
from fleet_audit.defs.pictures import preview
from fleet_audit.defs.reports.frames import ARGUMENTS, FACTS, REFERENCE, frames_of
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import key_of
from fleet_audit.ingest.freshness import day_sources, newest_arrival
from fleet_audit.reporting.documents.day import MATRIX_DAYS, build_day
from fleet_audit.reporting.formats.render import render_day
from fleet_audit.reporting.layout import load_layout
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.schema import lake
from fleet_audit.schema.facts import COVERAGE, DAY_ACCEPTANCE
from fleet_audit.storage.step_errors import acts_on_errors


@dg.asset(
    key=["reports", "d1"],
    **ARGUMENTS,
    kinds={"excel", "html"},
    partitions_def=daily_partitions,
    deps=[key_of(table) for table in (*FACTS, DAY_ACCEPTANCE, lake.LEGS, *REFERENCE)],
    metadata={"path": "reports/d1", "label": "date"},
    description="The D-1 report: spent yesterday, km, trips, divergences, R$ at stake, by unit and carrier; then "
    "the trip list. CSV, XLSX, HTML and PDF.",
)
@acts_on_errors
def d1_report(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Render each day's report."""
    as_of, layout = newest_arrival(fleet.warehouse()), load_layout(fleet.settings().report_layout)
    reports = (
        build_day(_day_frames(fleet, day), operational_date=day, generated_at=as_of, last_data_at=as_of, layout=layout)
        for day in run_days(context)
    )
    return dg.Output((made.operational_date.isoformat(), render_day(made), partial(preview, made)) for made in reports)


def _day_frames(fleet: FleetResource, day: dt.date) -> Frames:
    before = [day - dt.timedelta(days=back) for back in range(1, MATRIX_DAYS)]
    return replace(
        frames_of(fleet, [day], with_legs=True),
        recent_coverage=fleet.warehouse().read_partition(COVERAGE, before),
        sources=day_sources(fleet.lake(), fleet.warehouse(), day),
    )

"""Notices to FLEET_NOTIFY_URLS: of a failed run, of the D-1 report, of a final close.

The texts are in `notify.messages`. Sensors send them: a failure to send is logged, and no run fails.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import dagster as dg

from fleet_audit.closing.freezing import existing_close
from fleet_audit.defs.automation import close_job, day_job
from fleet_audit.defs.reports.lateness import LATE_DAYS, READY_HOUR
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import run_span
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.logic.primitives.cycles import ONE_DAY, cycle_of
from fleet_audit.notify.apprise import send, urls_of
from fleet_audit.notify.messages import Notice, close_notice, day_notice, failure_notice
from fleet_audit.reporting.locale import day as written
from fleet_audit.reporting.sections.incidents import highlights
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.schema.facts import COVERAGE, FINDINGS, HELD_RUNS, INCIDENTS
from fleet_audit.schema.partition import PARTITION_ZONE

_SUMS = """
with days as (
    select sum(exceeding_groups) as exceeding_groups, sum(compared_groups) as compared_groups
    from mart.daily_kpis where operational_date between :first and :last
),

amounts as (
    select
        coalesce(sum(paid_doubtful_brl), 0) as paid_doubtful_brl, coalesce(sum(disallowed_brl), 0) as disallowed_brl,
        coalesce(sum(held_brl), 0) as held_brl, coalesce(sum(in_favour_brl), 0) as in_favour_brl
    from fact.vehicle_cycle_amounts where cycle_start = :first
)

select * from days cross join amounts
"""


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS of a failed run: job, days, steps. The reason is in the run's log.",
)
def notify_failure(context: dg.RunFailureSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the failed run."""
    run = context.dagster_run
    steps = sorted({event.step_key for event in context.get_step_failure_events() if event.step_key})
    return notify(context, fleet, lambda: failure_notice(run.job_name, written_span(run), steps, run.run_id))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[day_job],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS that a day's first D-1 report is ready, also a late one, with the PDF.",
)
def notify_day(context: dg.RunStatusSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the first report of the last day of the run, up to a week after it."""
    span, now = run_span(context.dagster_run), dt.datetime.now(ZoneInfo(PARTITION_ZONE))
    yesterday = now.date() - ONE_DAY
    if span is None or not yesterday - LATE_DAYS * ONE_DAY <= span[1] <= yesterday:
        return dg.SkipReason("The run is not of one of the last days.")
    day = span[1]
    if _was_reported(context, day):
        return dg.SkipReason(f"The run is not the first report of {day}.")
    is_late = day < yesterday or now.hour >= READY_HOUR
    with TemporaryDirectory() as folder:
        return notify(context, fleet, lambda: _day_notice(fleet, day, is_late), _pdf(fleet, day, Path(folder)))


def _was_reported(context: dg.RunStatusSensorContext, day: dt.date) -> bool:
    """Whether an earlier run of the day succeeded: its report was notified of."""
    run_id = context.dagster_run.run_id
    wanted = dg.RunsFilter(
        job_name=day_job.name,
        statuses=[dg.DagsterRunStatus.SUCCESS],
        created_after=dt.datetime.now(dt.UTC) - (LATE_DAYS + 2) * ONE_DAY,
    )
    ended = {record.dagster_run.run_id: record for record in context.instance.get_run_records(wanted)}
    own = ended.pop(run_id, None)
    until = own.end_time if own is not None and own.end_time is not None else float("inf")
    spans = [run_span(one.dagster_run) for one in ended.values() if one.end_time is not None and one.end_time < until]
    return any(span is not None and span[0] <= day <= span[1] for span in spans)


def _day_notice(fleet: FleetResource, day: dt.date, is_late: bool) -> Notice:
    warehouse = fleet.warehouse()
    kpis = warehouse.read("select * from mart.daily_kpis where operational_date = :day", {"day": day})
    tables = {table.name: warehouse.read_partition(table, [day]) for table in (FINDINGS, HELD_RUNS, INCIDENTS)}
    incidents = tables["incidents"]
    frames = Frames(**tables | {"incidents": incidents[incidents["cycle_start"].isna()]})
    coverage = warehouse.read_partition(COVERAGE, [day])
    return day_notice(
        day,
        None if kpis.empty else kpis.to_dict("records")[0],
        fleet.lake().url(_report_path(day, "html")),
        highlights(frames),
        sorted(coverage.loc[coverage["status"] == "silent", "plate"]),
        is_late=is_late,
    )


def _report_path(day: dt.date, kind: str) -> str:
    return f"reports/d1/date={day}/d1.{kind}"


def _pdf(fleet: FleetResource, day: dt.date, folder: Path) -> Path | None:
    """A copy of the report's PDF under the name that its reader sees; None where it cannot be read."""
    try:
        content = fleet.lake().get_bytes(_report_path(day, "pdf"))
    except (PermanentError, RetryableError):
        return None
    path = folder / f"d1_{day}.pdf"
    path.write_bytes(content)
    return path


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[close_job],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS that a cycle is closed for good, once per cycle.",
)
def notify_close(context: dg.RunStatusSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the final close that the run made."""
    run, span = context.dagster_run, run_span(context.dagster_run)
    if span is None:
        return dg.SkipReason("The run closed no cycle.")

    def notice() -> Notice | None:
        record = existing_close(fleet.warehouse(), span[0], "final")
        if record is None or record["run_id"] != run.run_id:
            return None  # the run closed it provisionally, or it was closed before
        cycle = cycle_of(span[0], fleet.settings().closing_day)
        sums = fleet.warehouse().read(_SUMS, {"first": cycle.start, "last": cycle.end})
        report = fleet.lake().url(f"reports/cycle/start={cycle.start}/relatorio_mensal.html")
        return close_notice(cycle, record, sums.to_dict("records")[0], report)

    return notify(context, fleet, notice)


def written_span(run: dg.DagsterRun) -> str:
    """First and last partition of a run as messages write them; empty for a run without partitions."""
    return " a ".join(dict.fromkeys(map(written, run_span(run) or ())))


def notify(
    context: dg.RunStatusSensorContext | dg.SensorEvaluationContext,
    fleet: FleetResource,
    notice: Callable[[], Notice | None],
    attachment: Path | None = None,
) -> dg.SkipReason | None:
    """Send the notice, if there is one and FLEET_NOTIFY_URLS names a recipient."""
    try:
        urls = urls_of(fleet.settings().notify_urls.get_secret_value())
        found = notice() if urls else None
    except (PermanentError, RetryableError) as error:
        context.log.warning(f"No notice was sent: {error}")
        return dg.SkipReason(str(error))
    if found is None:
        return dg.SkipReason("There is nothing to notify of." if urls else "FLEET_NOTIFY_URLS names no recipient.")
    unreached = send(urls, found.title, found.body, attachment)
    if unreached:
        context.log.warning(
            f"{found.title}: not sent to {len(unreached)} of {len(urls)} (number {', '.join(map(str, unreached))} of "
            "FLEET_NOTIFY_URLS). Is the address right, and its service up?"
        )
    return None

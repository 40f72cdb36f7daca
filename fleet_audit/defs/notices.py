"""Notices to FLEET_NOTIFY_URLS: of a failed run, of the D-1 report, of a final close.

The texts are in `notify.messages`. Sensors send them: a failure to send is logged, and no run fails.
"""

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import dagster as dg

from fleet_audit.closing.freezing import existing_close
from fleet_audit.defs.automation import RANGE_TAGS, TRIGGER_TAG, close_job, day_job
from fleet_audit.defs.partitions import parse_day
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.window import PARTITION_ZONE
from fleet_audit.notify.apprise import send, urls_of
from fleet_audit.notify.messages import Notice, close_notice, day_notice, failure_notice
from fleet_audit.reporting.locale import day as written

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
    days = " a ".join(dict.fromkeys(map(written, _span(run) or ())))
    return _notify(context, fleet, lambda: failure_notice(run.job_name, days, steps, run.run_id))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[day_job],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS that the D-1 report of the day before is ready, once per day.",
)
def notify_day(context: dg.RunStatusSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the report of the day before."""
    span = _span(context.dagster_run)
    yesterday = dt.datetime.now(ZoneInfo(PARTITION_ZONE)).date() - dt.timedelta(days=1)
    if span is None or span[1] != yesterday or TRIGGER_TAG in context.dagster_run.tags:
        return dg.SkipReason("The run is not the first report of the day before.")

    def notice() -> Notice:
        kpis = fleet.warehouse().read("select * from mart.daily_kpis where operational_date = :day", {"day": yesterday})
        report = fleet.lake().url(f"reports/d1/date={yesterday}/d1.html")
        return day_notice(yesterday, None if kpis.empty else kpis.to_dict("records")[0], report)

    return _notify(context, fleet, notice)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[close_job],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS that a cycle is closed for good, once per cycle.",
)
def notify_close(context: dg.RunStatusSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the final close that the run made."""
    run, span = context.dagster_run, _span(context.dagster_run)
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

    return _notify(context, fleet, notice)


def _notify(
    context: dg.RunStatusSensorContext, fleet: FleetResource, notice: Callable[[], Notice | None]
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
    unreached = send(urls, found.title, found.body)
    if unreached:
        context.log.warning(
            f"{found.title}: not sent to {len(unreached)} of {len(urls)} (number {', '.join(map(str, unreached))} of "
            "FLEET_NOTIFY_URLS). Is the address right, and its service up?"
        )
    return None


def _span(run: dg.DagsterRun) -> tuple[dt.date, dt.date] | None:
    """First and last partition of a run; None for a run without partitions."""
    keys = [run.tags.get(name) or run.tags.get("dagster/partition") for name in RANGE_TAGS]
    return (parse_day(keys[0]), parse_day(keys[1])) if keys[0] and keys[1] else None

"""Jobs and the schedules that start them: the day at 05:30, the cycle's report at 06:00, America/Sao_Paulo.

What each asset does is beside it; which partitions exist is in `partitions`.
"""

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg

from fleet_audit.defs.partitions import PARTITION_ZONE, cycle_partitions, daily_partitions, parse_day
from fleet_audit.logic.cycles import cycle_of
from fleet_audit.settings import load_settings

CYCLE_ASSETS = dg.AssetSelection.assets(["reports", "cycle"], ["reports", "package"], ["reports", "carriers"])
DAY_ASSETS = dg.AssetSelection.all() - CYCLE_ASSETS

# Range runs in one process: a step costs about 4 s in the multiprocess executor and under 0.1 s in process.
day_job = dg.define_asset_job(
    "day",
    selection=DAY_ASSETS,
    executor_def=dg.in_process_executor,
    description="Everything of a day: ingest, trips, money, audit, D-1 report. One day or a range in one run.",
)
cycle_job = dg.define_asset_job(
    "cycle",
    selection=CYCLE_ASSETS,
    executor_def=dg.in_process_executor,
    description="The report of a measurement cycle from its days' results.",
)


@dg.schedule(
    job=day_job,
    cron_schedule="30 5 * * *",
    execution_timezone=PARTITION_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="05:30: yesterday, so that the D-1 report is ready well before 08:00.",
)
def yesterday(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Run the day before the tick's local day."""
    day = context.scheduled_execution_time.astimezone(ZoneInfo(PARTITION_ZONE)).date() - dt.timedelta(days=1)
    if not known_days(day, day):
        return dg.SkipReason(f"{day} is before the first day that can be run (FLEET_START_DATE).")
    return dg.RunRequest(run_key=f"day-{day}", partition_key=day.isoformat())


@dg.schedule(
    job=cycle_job,
    cron_schedule="0 6 * * *",
    execution_timezone=PARTITION_ZONE,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="06:00: the cycle of yesterday, provisional, until it is final on the third day after its end.",
)
def open_cycle(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Run the cycle of yesterday, and for three days after a closing the cycle that ended too."""
    today = context.scheduled_execution_time.astimezone(ZoneInfo(PARTITION_ZONE)).date()
    closing_day = load_settings().closing_day
    starts = sorted({cycle_of(today - dt.timedelta(days=back), closing_day).start for back in (1, 2, 3)})
    known = set(cycle_partitions.get_partition_keys())
    for start in starts:
        if start.isoformat() in known:
            yield dg.RunRequest(run_key=f"cycle-{start}-{today}", partition_key=start.isoformat())


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """The tags of a run over a range of days."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


def known_days(first: dt.date, last: dt.date) -> list[dt.date]:
    """The days from first to last that have a partition, in order."""
    return [day for day in map(parse_day, daily_partitions.get_partition_keys()) if first <= day <= last]

"""Jobs and the schedules that start them: the day at 05:30, the cycle's report at 06:00, America/Sao_Paulo.

Assets are in the folders of their subjects, partitions in `partitions`.
"""

import datetime as dt
from collections.abc import Iterator
from functools import partial

import dagster as dg

from fleet_audit.closing.freezing import existing_close
from fleet_audit.defs.catalog import group_of
from fleet_audit.defs.partitions import cycle_partitions, daily_partitions, parse_day
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import CLOSE_TAG, range_tags, reason_tags
from fleet_audit.defs.tables import key_of
from fleet_audit.logic.closing.manifest import refusal
from fleet_audit.logic.primitives.cycles import Cycle, cycle_of
from fleet_audit.schema.facts import CYCLE_CLOSES
from fleet_audit.schema.partition import PARTITION_ZONE, partition_day
from fleet_audit.settings import load_settings

_CYCLE_REPORTS = dg.AssetSelection.assets(["reports", "cycle"], ["reports", "package"], ["reports", "carriers"])
CYCLE_ASSETS = _CYCLE_REPORTS | dg.AssetSelection.groups(group_of("cycle"))
CLOSE_KEY = key_of(CYCLE_CLOSES)
CLOSE_STEP = CLOSE_KEY.to_python_identifier()
CLOSE_DAYS = 7  # mornings on which a final close that failed is tried again
CLOSE_ASSETS = dg.AssetSelection.assets(CLOSE_KEY)
DAY_ASSETS = dg.AssetSelection.all() - CYCLE_ASSETS - CLOSE_ASSETS - dg.AssetSelection.groups(group_of("health"))

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
    description="Everything of a measurement cycle, from its days' results: cycle findings, calibration, the report.",
)
close_job = dg.define_asset_job(
    "close",
    selection=CLOSE_ASSETS | CYCLE_ASSETS,
    executor_def=dg.in_process_executor,
    description="Closes a cycle, provisionally or with is_final for good; then writes its report and packages.",
)
# At times of America/Sao_Paulo; it runs unless somebody stops it in the UI.
local_schedule = partial(
    dg.schedule, execution_timezone=PARTITION_ZONE, default_status=dg.DefaultScheduleStatus.RUNNING
)


@local_schedule(
    job=day_job,
    cron_schedule="30 5 * * *",
    description="05:30: runs the day before, so that its D-1 report is ready well before 08:00.",
)
def daily_run(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Run the day before the tick's local day."""
    day = partition_day(context.scheduled_execution_time) - dt.timedelta(days=1)
    if not known_days(day, day):
        return dg.SkipReason(f"{day} is before the first day that can be run (FLEET_START_DATE).")
    return dg.RunRequest(run_key=f"day-{day}", partition_key=day.isoformat(), tags=reason_tags("schedule", day, day))


@local_schedule(
    job=cycle_job,
    cron_schedule="0 6 * * *",
    description="06:00: runs the cycle of the day before, provisional until the third day after its end.",
)
def open_cycle(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Run the cycle of the day before, and for three days after a closing also the cycle that ended."""
    today = partition_day(context.scheduled_execution_time)
    closing_day = load_settings().closing_day
    cycles = {cycle_of(today - dt.timedelta(days=back), closing_day) for back in (1, 2, 3)}
    known = set(cycle_partitions.get_partition_keys())
    for cycle in sorted(cycles, key=lambda one: one.start):
        if cycle.start.isoformat() in known:
            yield _request(f"cycle-{cycle.start}-{today}", cycle)


@local_schedule(
    job=close_job,
    cron_schedule="10 6 * * *",
    description="06:10: closes the cycle that ended, provisionally, from the day after its end until D+3.",
)
def provisional_close(context: dg.ScheduleEvaluationContext, fleet: FleetResource) -> dg.RunRequest | dg.SkipReason:
    """Close the cycle that ended provisionally while it is too early for the final close."""
    today, cycle = _last_cycle(context)
    is_early = refusal(cycle, today, fleet.parameters(cycle.end), is_final=True)
    if is_early is None or not known_days(cycle.start, cycle.end):
        return dg.SkipReason(f"The cycle that started on {cycle.start} is not between its end and its final close.")
    return _request(f"close-{cycle.start}-{today}", cycle)


def _request(run_key: str, cycle: Cycle) -> dg.RunRequest:
    tags = reason_tags("schedule", cycle.start, cycle.end)
    return dg.RunRequest(run_key=run_key, partition_key=cycle.start.isoformat(), tags=tags)


@local_schedule(
    job=day_job,
    cron_schedule="20 6 * * *",
    description="06:20 on D+3: runs the days of the cycle that ended again, with all that arrived; then it is closed.",
)
def final_recompute(context: dg.ScheduleEvaluationContext, fleet: FleetResource) -> dg.RunRequest | dg.SkipReason:
    """Run the days of the last cycle before its final close, until that is made."""
    today, cycle = _last_cycle(context)
    too_early = refusal(cycle, today, fleet.parameters(cycle.end), is_final=True)
    if too_early:
        return dg.SkipReason(too_early)
    days = known_days(cycle.start, cycle.end)
    final_after = int(fleet.parameters(cycle.end).final_after_days)
    if not days or (today - cycle.end).days >= final_after + CLOSE_DAYS:
        return dg.SkipReason(
            f"The cycle that started on {cycle.start} has to be closed by a person: fleet-audit close --final."
        )
    if existing_close(fleet.warehouse(), cycle.start, "final"):
        return dg.SkipReason(f"The cycle that started on {cycle.start} is closed for good.")
    return dg.RunRequest(
        run_key=f"final-recompute-{cycle.start}-{today}",
        tags={
            **range_tags(days[0], days[-1]),
            **reason_tags("schedule", days[0], days[-1]),
            CLOSE_TAG: cycle.start.isoformat(),
        },
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[day_job],
    request_job=close_job,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes a cycle for good when the last run of its days has succeeded.",
)
def final_close(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Request the final close that the run prepared."""
    start = context.dagster_run.tags.get(CLOSE_TAG)
    if start is None:
        return dg.SkipReason("The run closes no cycle.")
    cycle = cycle_of(parse_day(start), load_settings().closing_day)
    return dg.RunRequest(
        run_key=f"final-{start}-{context.dagster_run.run_id}",
        partition_key=start,
        tags=reason_tags("final", cycle.start, cycle.end),
        run_config={"ops": {CLOSE_STEP: {"config": {"is_final": True}}}},
    )


def _last_cycle(context: dg.ScheduleEvaluationContext) -> tuple[dt.date, Cycle]:
    """The tick's local day, and the cycle that ended last before it."""
    today = partition_day(context.scheduled_execution_time)
    closing_day = load_settings().closing_day
    return today, cycle_of(cycle_of(today, closing_day).start - dt.timedelta(days=1), closing_day)


def known_days(first: dt.date, last: dt.date) -> list[dt.date]:
    """The days from first to last that have a partition, in order."""
    return [day for day in map(parse_day, daily_partitions.get_partition_keys()) if first <= day <= last]

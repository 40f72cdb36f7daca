"""Sensors that watch: checks that failed without stopping a run, a late D-1 report, and Dagster itself standing still.

Texts are in `notify.messages`, sending is in `notices`; what failed in a run is notified there too.
"""

import datetime as dt
import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES

from fleet_audit.defs.automation import close_job, cycle_job, day_job, known_days
from fleet_audit.defs.health.days import health_job
from fleet_audit.defs.lost_runs import silent_runs
from fleet_audit.defs.notices import notify, written_span
from fleet_audit.defs.recovery import REPORT
from fleet_audit.defs.reports.lateness import READY_HOUR
from fleet_audit.defs.resources import FleetResource
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.notify.messages import Notice, checks_notice, health_notice, late_notice, missing_day_notice
from fleet_audit.schema.partition import PARTITION_ZONE

LATE_AT = dt.time(7, 30)
QUEUED_TOO_LONG = dt.timedelta(minutes=30)
SILENT_TOO_LONG = dt.timedelta(hours=2)  # a run without any event; a step of a month takes minutes
FAILED_TICKS = 3  # one alone is a blip
DAEMON_SILENT = dt.timedelta(minutes=10)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[day_job, cycle_job, close_job, health_job],
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS of checks that failed in a run that succeeded: an outage of the API, a "
    "refused file, little accepted. Once per check and day, until it passes and fails again.",
)
def notify_checks(context: dg.RunStatusSensorContext, fleet: FleetResource) -> dg.SkipReason | None:
    """Notify of the checks that failed in the run and had not failed before it."""
    run = context.dagster_run

    def notice() -> Notice | None:
        failed = newly_failed(context.instance, run.run_id)
        if not failed:
            return None
        counts = [(table, check, len(partitions)) for (table, check), partitions in sorted(failed.items())]
        return checks_notice(run.job_name, written_span(run), counts, run.run_id)

    return notify(context, fleet, notice)


def newly_failed(instance: dg.DagsterInstance, run_id: str) -> dict[tuple[str, str], list[str | None]]:
    """Partitions per table and check whose evaluation failed in the run, and not already in the evaluation before."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found: dict[tuple[str, str], list[str | None]] = {}
    for event in events:
        one = event.dagster_event.asset_check_evaluation_data if event.dagster_event else None
        if one is None or one.passed or _failed_before(instance, one, run_id):
            continue
        found.setdefault((one.asset_key.to_user_string(), one.check_name), []).append(one.partition)
    return found


def _failed_before(instance: dg.DagsterInstance, found: dg.AssetCheckEvaluation, run_id: str) -> bool:
    """Whether the last evaluation by another run failed too, with the same words: a second refused file is news."""
    # not at the top: it imports Alembic, 0.2 s
    from dagster._core.storage.event_log.base import PartitionKeyFilter

    history = instance.event_log_storage.get_asset_check_execution_history(
        found.asset_check_key,
        limit=10,
        status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
        partition_filter=PartitionKeyFilter(key=found.partition),
    )
    before = next((one.evaluation for one in history if one.run_id != run_id), None)
    return before is not None and not before.passed and before.description == found.description


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS when the D-1 report of the day before is missing, America/Sao_Paulo: at "
    "07:30, when half an hour is left, and again at 08:00.",
)
def notify_late_day(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Look for the report of yesterday; each of the two notices is sent once per day."""
    now = dt.datetime.now(ZoneInfo(PARTITION_ZONE))
    notice = late_day(context.instance, now)
    if notice is None or notice.title == context.cursor:
        return dg.SkipReason("The D-1 report is not late." if notice is None else f"Already notified: {notice.title}")
    skipped = notify(context, fleet, lambda: notice)
    return dg.SensorResult(skip_reason=skipped.skip_message if skipped else notice.title, cursor=notice.title)


def late_day(instance: dg.DagsterInstance, now: dt.datetime) -> Notice | None:
    """The notice that is due while yesterday's report was never written; none before 07:30 local time."""
    yesterday = now.date() - ONE_DAY
    if now.time() < LATE_AT or not known_days(yesterday, yesterday):
        return None
    wanted = dg.AssetRecordsFilter(asset_key=REPORT, asset_partitions=[yesterday.isoformat()])
    if instance.fetch_materializations(wanted, limit=1).records:
        return None
    return late_notice(yesterday) if now.hour < READY_HOUR else missing_day_notice(yesterday, READY_HOUR)


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notifies FLEET_NOTIFY_URLS when Dagster stands still: runs queued for 30 minutes, runs "
    "without an event for 2 hours, schedules and sensors whose last 3 ticks failed, a silent part of the daemon.",
)
def watch_dagster(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Look at the queue, the runs, the ticks and the daemons; a problem is sent when it is new."""
    known = set(json.loads(context.cursor or "[]"))
    problems = dict(dagster_problems(context.instance, dt.datetime.now(dt.UTC)))
    cursor = json.dumps(sorted(problems))
    new = [sentence for key, sentence in problems.items() if key not in known]
    if not new:
        known_ones = f"Already notified: {' '.join(problems.values())}"
        return dg.SensorResult(
            skip_reason=known_ones if problems else "Runs, queue, schedules, sensors and daemon all work.",
            cursor=cursor,
        )
    skipped = notify(context, fleet, lambda: health_notice(new))
    return dg.SensorResult(skip_reason=skipped.skip_message if skipped else " ".join(new), cursor=cursor)


def dagster_problems(instance: dg.DagsterInstance, now: dt.datetime) -> Iterator[tuple[str, str]]:
    """A key and a sentence per problem; the key stays the same while the problem lasts."""
    yield from _waiting_runs(instance, now)
    for name in failing_automations(instance):
        yield f"ticks {name}", f"As últimas {FAILED_TICKS} execuções de {name} falharam: veja Automation no Dagster."
    for kind, heartbeat in instance.get_daemon_heartbeats().items():
        if now.timestamp() - heartbeat.timestamp > DAEMON_SILENT.total_seconds():
            yield f"daemon {kind}", f"A parte {kind} do daemon não responde: reinicie o serviço daemon."


def failing_automations(instance: dg.DagsterInstance) -> Iterator[str]:
    """Names of the schedules and sensors whose last FAILED_TICKS ticks failed."""
    for state in instance.all_instigator_state():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=FAILED_TICKS)
        if len(ticks) == FAILED_TICKS and all(tick.status.value == "FAILURE" for tick in ticks):
            yield state.instigator_name


def _waiting_runs(instance: dg.DagsterInstance, now: dt.datetime) -> Iterator[tuple[str, str]]:
    queued = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], created_before=now - QUEUED_TOO_LONG)
    )
    if queued:
        yield "queue", f"Execuções na fila há mais de 30 min: {len(queued)}. Veja as que estão em andamento no Dagster."
    for run in silent_runs(instance, now, SILENT_TOO_LONG):
        sentence = f"Execução {run.run_id} sem registro há mais de 2 h, embora o processo dela exista: veja o que faz."
        yield f"run {run.run_id}", sentence

"""The sensor of recovery: days that failed or lack an answer of the API are requested again when the cause is gone.

Which days are due is decided in `ingest.recovery`; new files and late positions have sensors of their own.
"""

import datetime as dt
import hashlib
from collections.abc import Collection, Sequence

import dagster as dg

from fleet_audit.defs.automation import day_job, known_days
from fleet_audit.defs.ingestion.assets import RAW_POSITIONS
from fleet_audit.defs.partitions import daily_partitions, parse_day
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import TRIGGER_TAG, is_over_cycles, range_tags, reason_tags, run_span
from fleet_audit.defs.sensors import UNFINISHED, merged
from fleet_audit.defs.tables import key_of
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.api.windows import api_gaps
from fleet_audit.ingest.recovery import FailedRun, Recoverable, counted_attempts, failed_days, unanswered_days
from fleet_audit.ingest.reference.delivered_files import newest_delivery
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.primitives.window import DAYS_AFTER
from fleet_audit.schema.facts import FINDINGS
from fleet_audit.schema.partition import partition_day

RECOVERY_DAYS = 40  # a cycle and its close; older days are for a person to run
TRIGGER = "recovery"
PROBE_TIMEOUT_S = 10.0  # a tick has 60 s
REPORT = dg.AssetKey(["reports", "d1"])
_RESULTS = (REPORT, key_of(FINDINGS))


@dg.sensor(
    job=day_job,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests days of the last 40 again, at most 8 times each with growing waits: after a failure of a "
    "source that could not be reached, after a delivery of reference data, and once the API answers what it had not.",
)
def unfinished_days(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Request what is due; nothing while a run that this sensor requested lasts."""
    now, instance = dt.datetime.now(dt.UTC), context.instance
    last = partition_day(now) - ONE_DAY
    since = now - dt.timedelta(days=RECOVERY_DAYS)
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    if any(run.tags.get(TRIGGER_TAG) == TRIGGER for run in unfinished):
        return dg.SkipReason("Days that were requested again are still being run.")
    requested = instance.get_runs(dg.RunsFilter(tags={TRIGGER_TAG: TRIGGER}, created_after=since))
    attempts = counted_attempts([_days_of(run) for run in requested])
    try:
        failed = failed_on(instance, last)
        reference = newest_delivery(fleet.warehouse()) if failed else None
        runs = _failed_runs(instance, since) if failed else []
        due = failed_days(runs, failed, attempts, reference, now)
        gaps = api_gaps(fleet.warehouse(), last - RECOVERY_DAYS * ONE_DAY, last + DAYS_AFTER * ONE_DAY)
        gaps = gaps[~gaps["run_id"].isin({run.run_id for run in unfinished})]
        asked = days_with_status(instance, RAW_POSITIONS, last, {"MATERIALIZED"}) if len(gaps) else set()
        unanswered = unanswered_days(gaps, asked, attempts, last, now)
        silence = _why_silent(fleet, unanswered)
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    busy = {day for run in unfinished for day in _days_of(run)}
    due = [one for one in [*due, *([] if silence else unanswered)] if one.day not in busy]
    if not due:
        return dg.SkipReason(silence or "No day that failed or is unanswered is due.")
    spans = merged([(one.day, one.day) for one in due])
    return dg.SensorResult(run_requests=[_request(first, end, due) for first, end in spans])


def _request(first: dt.date, last: dt.date, due: Sequence[Recoverable]) -> dg.RunRequest:
    """A range run, with a key that stays the same until a run of these days has ended."""
    state = sorted(f"{one.day} {one.run_id}" for one in due if first <= one.day <= last)
    digest = hashlib.sha256(" ".join(state).encode()).hexdigest()[:24]
    return dg.RunRequest(
        run_key=f"{TRIGGER}-{digest}-{first}-{last}",
        tags={**range_tags(first, last), **reason_tags(TRIGGER, first, last)},
    )


def _why_silent(fleet: FleetResource, unanswered: Sequence[Recoverable]) -> str | None:
    """Why the API still does not answer, by one request for the newest stretch; None when it does or none is due."""
    api = fleet.api(max_attempts=1, timeout_s=PROBE_TIMEOUT_S) if unanswered else None
    if api is None:
        return "No telemetry API is set (FLEET_API_URL), so unanswered days stay incomplete." if unanswered else None
    gap = unanswered[-1].gap
    return api.failure_now(*gap) if gap else None


def days_with_status(
    instance: dg.DagsterInstance, key: dg.AssetKey, last: dt.date, wanted: Collection[str]
) -> set[dt.date]:
    """Days up to `last` on which an asset has one of these statuses (MATERIALIZED, FAILED)."""
    keys = [day.isoformat() for day in known_days(last - RECOVERY_DAYS * ONE_DAY, last)]
    statuses = instance.get_status_by_partition(key, keys, daily_partitions) or {}
    return {parse_day(day) for day, status in statuses.items() if status is not None and status.value in wanted}


def failed_on(instance: dg.DagsterInstance, last: dt.date) -> set[dt.date]:
    """Days whose findings or report were to be written by a run that failed, and were not written since."""
    return {day for key in _RESULTS for day in days_with_status(instance, key, last, {"FAILED"})}


def _failed_runs(instance: dg.DagsterInstance, since: dt.datetime) -> list[FailedRun]:
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], created_after=since))
    return [
        FailedRun(
            record.dagster_run.run_id,
            days,
            dt.datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), dt.UTC),
            dt.datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), dt.UTC),
            _is_transient(instance, record.dagster_run.run_id),
        )
        for record in records
        if (days := _days_of(record.dagster_run))
    ]


def _is_transient(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether every failed step raised RetryableError; a run whose process was lost has no failed step."""
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    errors = [event.dagster_event.step_failure_data.error for event in failures if event.dagster_event]
    own = [error for error in errors if error is not None]
    return all((error.cause or error).cls_name == RetryableError.__name__ for error in own)


def _days_of(run: dg.DagsterRun) -> list[dt.date]:
    """The daily partitions of a run; empty for a run without, as those of cycles are."""
    span = None if is_over_cycles(run) else run_span(run)
    if span is None or not daily_partitions.has_partition_key(span[0].isoformat()):
        return []
    return known_days(*span)

"""The sensor that ends runs whose process is gone, so that they neither block the queue nor look as if they worked.

Dagster's own monitoring asks the run launcher, and the one of a code server does not know its runs after a restart.
Runs that stand still with a living process are notified in `watching`; `recovery` requests the days of
ended runs again.
"""

import datetime as dt
import json

import dagster as dg

from fleet_audit.defs.recovery import RECOVERY_DAYS
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.storage.run_locks import has_process

MIN_SILENCE = dt.timedelta(minutes=3)  # long enough for a process to start and to show itself
# After a restart of PostgreSQL a living process takes its lock again within 6 s (`run_locks`).
MIN_ABSENCE = dt.timedelta(seconds=60)
PROCESS_GONE = (
    "The process of this run is gone: it was killed, or its machine, container or code server stopped. What it had "
    "written is whole: each day has its old rows or its new ones. Days of the last "
    f"{RECOVERY_DAYS} are requested again within minutes; run older days, and cycles, again."
)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends started runs without an event for 3 minutes whose process is gone: twice, a minute apart, it "
    "did not hold its lock in PostgreSQL. They would block the queue; unfinished_days requests their days again.",
)
def lost_runs(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult:
    """Report runs without a process as failed; the cursor has since when each process was not there."""
    instance, now = context.instance, dt.datetime.now(dt.UTC)
    try:
        silent = silent_runs(instance, now, MIN_SILENCE)
        gone = [run.run_id for run in silent if not has_process(fleet.database_url(), run.run_id)]
    except (PermanentError, RetryableError) as error:
        return dg.SensorResult(skip_reason=str(error), cursor="{}")  # every process has to take its lock again
    before = json.loads(context.cursor or "{}")
    since = {run_id: before.get(run_id, now.timestamp()) for run_id in gone}
    due = {run_id for run_id, at in since.items() if now.timestamp() - at >= MIN_ABSENCE.total_seconds()}
    # looked at again: a run that ended meanwhile has recorded the end of its last step before it released the lock
    lost = [run for run in silent_runs(instance, now, MIN_SILENCE) if run.run_id in due] if due else []
    for run in lost:
        context.log.warning(f"Run {run.run_id}: {PROCESS_GONE}")
        instance.report_run_failed(run, PROCESS_GONE)
    return dg.SensorResult(skip_reason=_summary(len(lost), len(gone) - len(due)), cursor=json.dumps(since))


def _summary(ended: int, absent: int) -> str:
    sentences = [f"Runs ended: {ended}."] if ended else []
    if absent:
        sentences.append(f"Runs whose process is looked for once more: {absent}.")
    return " ".join(sentences) or "Every started run has its process."


def silent_runs(instance: dg.DagsterInstance, now: dt.datetime, since: dt.timedelta) -> list[dg.DagsterRun]:
    """Started runs without any event for so long."""
    silent = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        last = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
        stamp = last[0].event_log_entry.timestamp if last else record.create_timestamp.timestamp()
        if now.timestamp() - stamp > since.total_seconds():
            silent.append(record.dagster_run)
    return silent

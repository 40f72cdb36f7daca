"""The sensors: a file that arrives re-runs the days that it touches, however old; so does a position that comes late.

They only look and ask; reading, archiving and judging files is the run's work (`ingestion`).
"""

import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from fleet_audit.defs.automation import TRIGGER_TAG, day_job, known_days, range_tags
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import key_of
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.files import Span, days_of_file, days_of_registration, file_limits, is_done
from fleet_audit.ingest.late_positions import Computed, left_behind, touched_days
from fleet_audit.ingest.reference import days_of_reference
from fleet_audit.logic.primitives.window import PARTITION_ZONE
from fleet_audit.schema.facts import INBOX_REQUESTS, POSITION_HOURS, TRIPS
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.storage.warehouse import Warehouse

# A tick has 60 s, and one that takes longer moves no cursor, so it would fail for ever: parsing takes 0.2 s for a small
# file and 2 s for one of 10 MB here.
MAX_FILES_A_TICK = 50
MAX_BYTES_A_TICK = 100_000_000
REFERENCE_DAYS = 1  # a reference file alone re-runs yesterday; older days are for a backfill to choose
BRIDGED_DAYS = 3  # starting a run takes as long as about three days of one that is running


@dg.sensor(
    job=day_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox. A file that is new, or whose bytes changed, re-runs the days that it touches "
    "in range runs; its bytes are the run key, so the same drop never runs twice. ops.inbox_requests is its memory.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Look for files whose size or times are new.

    The cursor holds only what this tick asks for; the next tick moves it into `ops.inbox_requests`. A tick that dies
    anywhere has therefore either asked and said so, or neither, and the cursor is as small for a million files.
    """
    try:
        inbox = fleet.inbox()
        if inbox is None:
            return dg.SkipReason("No inbox is set (FLEET_INBOX_URL).")
        seen = _remembered(fleet.warehouse(), context.cursor)
        now = dt.datetime.now(dt.UTC)
        new = [file for file in inbox.files() if seen.get(file.name) != file.stamp and file.is_settled(now)]
        if not new:
            return dg.SensorResult(skip_reason="Nothing new in the inbox.", cursor="[]")
        limit = file_limits(fleet.settings()).max_bytes
        chosen = _bounded(new, limit)
        if len(chosen) < len(new):
            context.log.info(f"{len(new) - len(chosen)} more files wait for the next ticks.")
        asked = [found for file in chosen if (found := _asked(context, fleet, inbox, file, now)) is not None]
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    digest = hashlib.sha256(" ".join(sorted(each.content for each in asked if each.spans)).encode()).hexdigest()[:24]
    return dg.SensorResult(
        cursor=json.dumps([each.memory(now) for each in asked]),
        run_requests=[
            dg.RunRequest(
                run_key=f"inbox-{digest}-{first}-{last}", tags={**range_tags(first, last), TRIGGER_TAG: "inbox"}
            )
            for first, last in merged([span for each in asked for span in each.spans])
        ],
    )


@dataclass(frozen=True)
class _Asked:
    """What a file asks for: the hash of its content and spans of days; none when they were computed already."""

    file: InboxFile
    content: str
    spans: Sequence[Span]

    def memory(self, now: dt.datetime) -> dict[str, str | None]:
        """The row of `ops.inbox_requests`, as the cursor holds it."""
        return {
            "file_name": self.file.name,
            "stamp": self.file.stamp,
            "first_date": min(span[0] for span in self.spans).isoformat() if self.spans else None,
            "last_date": max(span[1] for span in self.spans).isoformat() if self.spans else None,
            "requested_at": now.isoformat(),
        }


def _remembered(warehouse: Warehouse, cursor: str | None) -> dict[str, str]:
    """Stamps by file name, those in the cursor included: what the last tick asked for is certain only now."""
    rows = pd.DataFrame(_cursor_rows(cursor), columns=INBOX_REQUESTS.column_names)
    if len(rows):
        for name in ("first_date", "last_date"):
            rows[name] = pd.to_datetime(rows[name]).dt.date
        warehouse.upsert(INBOX_REQUESTS, rows.assign(requested_at=pd.to_datetime(rows["requested_at"])))
    known = warehouse.read("select file_name, stamp from ops.inbox_requests", {})
    return dict(zip(known["file_name"], known["stamp"], strict=True))


def _cursor_rows(cursor: str | None) -> list[dict[str, str]]:
    rows = json.loads(cursor) if cursor else []
    return rows if isinstance(rows, list) else []  # an older version kept a mapping: those files are looked at again


def _asked(
    context: dg.SensorEvaluationContext, fleet: FleetResource, inbox: Inbox, file: InboxFile, now: dt.datetime
) -> _Asked | None:
    """None when the file cannot be read now: it is looked at again."""
    settings, warehouse = fleet.settings(), fleet.warehouse()
    if file.size > file_limits(settings).max_bytes:
        return _Asked(file, file.stamp, [_recent()])  # the run refuses it unread, and says so
    try:
        content = inbox.read(file)
    except (PermanentError, RetryableError) as error:
        context.log.warning(str(error))
        return None
    spans = days_of_file(file, content, settings, now) or [
        *days_of_registration(file, content, warehouse, settings),
        *days_of_reference(file, content, warehouse, settings, now),
        _recent(),
    ]
    sha256 = hashlib.sha256(content).hexdigest()
    if all(is_done(warehouse, sha256, file.name, span) for span in spans):
        return _Asked(file, sha256, [])  # a run by hand or by the schedule was faster
    return _Asked(file, sha256, spans)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans of finished days that have a partition, in order; those with few days between them as one."""
    result: list[Span] = []
    for span in sorted(spans):
        days = known_days(span[0], min(span[1], _recent()[1]))
        if not days:
            continue
        first, last = days[0], days[-1]
        if result and first <= result[-1][1] + dt.timedelta(days=1 + BRIDGED_DAYS):
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def _bounded(files: Sequence[InboxFile], largest: int) -> Sequence[InboxFile]:
    """The first files, as many as one tick can read; one at least. Those that are too large are not read."""
    sizes = itertools.accumulate(file.size if file.size <= largest else 0 for file in files)
    fitting = sum(size <= MAX_BYTES_A_TICK for size in sizes)
    return files[: min(max(fitting, 1), MAX_FILES_A_TICK)]


def _recent() -> Span:
    today = dt.datetime.now(ZoneInfo(PARTITION_ZONE)).date()
    return today - dt.timedelta(days=REFERENCE_DAYS), today - dt.timedelta(days=1)


_GOING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=day_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches for positions that came late: days that were computed before an hour in their window changed "
    "run again, neighbours in one range run; nothing changed, no run.",
)
def late_positions(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Compare what staging holds of each hour with when the days around it were computed."""
    try:
        hours = fleet.warehouse().read_table(POSITION_HOURS)
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    state = hashlib.sha256("".join(hours["digest"] + hours["run_id"]).encode()).hexdigest()[:24]
    if state == context.cursor or hours.empty:
        return dg.SkipReason("No position came late.")
    going = {run.run_id for run in context.instance.get_runs(dg.RunsFilter(statuses=_GOING))}
    if going & set(hours["run_id"]):
        return dg.SkipReason("A run that changed positions is still going; its days are looked at when it has ended.")
    computed = {day: run for day in touched_days(hours) if (run := _computed(context.instance, day)) is not None}
    behind = [(day, day) for day in left_behind(hours, computed)]
    return dg.SensorResult(
        cursor=state,
        run_requests=[
            dg.RunRequest(run_key=f"late-{state}-{first}-{last}", tags={**range_tags(first, last), TRIGGER_TAG: "late"})
            for first, last in merged(behind)
        ],
    )


def _computed(instance: dg.DagsterInstance, day: dt.date) -> Computed | None:
    """The run that last computed the day's trips."""
    filter_ = dg.AssetRecordsFilter(asset_key=key_of(TRIPS), asset_partitions=[day.isoformat()])
    records = instance.fetch_materializations(filter_, limit=1).records
    record = instance.get_run_record_by_id(records[0].run_id) if records else None
    if record is None or record.start_time is None:
        return None
    return Computed(record.dagster_run.run_id, pd.Timestamp(record.start_time, unit="s", tz="UTC"))

"""The sensors: a file that arrives re-runs the days that it touches, however old; so does a late position.

They only request runs; the run reads, archives and checks files (`ingestion`).
"""

import contextlib
import datetime as dt
import hashlib
import itertools
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath

import dagster as dg
import pandas as pd

from fleet_audit.defs.automation import day_job, known_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.run_tags import range_tags, reason_tags
from fleet_audit.defs.tables import key_of
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.files import file_limits
from fleet_audit.ingest.inbox.file_days import (
    Span,
    bridged,
    computed_at,
    days_in,
    days_of_file,
    days_of_registration,
    outdated_spans,
    received_at,
    spans_of,
)
from fleet_audit.ingest.inbox.requests import Collection, FileRequest, unseen_files
from fleet_audit.ingest.inbox.settling import settled_names
from fleet_audit.ingest.incomplete.days import days_if_refused
from fleet_audit.ingest.late_positions import (
    Computed,
    changed_hours,
    hours_digest,
    outdating_hours,
    touched_days,
    window_hours,
)
from fleet_audit.ingest.reference.touched_days import OF_SHARES, days_of_reference, rows_of_reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import TRIPS
from fleet_audit.schema.partition import partition_day
from fleet_audit.schema.reference import PARAMETERS
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox, InboxFile
from fleet_audit.sources.inbox_entry import UnsettledFileError
from fleet_audit.storage.warehouse import Warehouse

# A tick has 60 s, and one that takes longer moves no cursor, so it would fail for ever: parsing takes 0.02 s for a
# small file and 2 s for one of 10 MB here.
MAX_FILES_A_TICK = 250
MAX_BYTES_A_TICK = 100_000_000
MAX_SECONDS_A_TICK = 20.0
# Days are requested when the files of a drop are all looked at: 350 files of one week once requested 414 day-runs.
MAX_COLLECTING = dt.timedelta(minutes=10)
FILES_OF_A_DROP = 20  # so many files that are still arriving are a drop under way
REFERENCE_DAYS = 1  # a reference file alone re-runs yesterday; older days are for a backfill to choose
MAX_BRIDGED_GAP_DAYS = 3  # starting a run takes as long as about three days of one that is running


@dg.sensor(
    job=day_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox. A file that is new, or whose bytes changed, re-runs the days that it touches "
    "in range runs; its bytes are the run key, so the same drop never runs twice. ops.inbox_requests is its memory.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Look at files that are new and that an earlier look listed with the same stamp.

    The cursor holds what this tick found; the next tick writes it into `ops.inbox_requests`. A tick that dies anywhere
    has therefore either requested runs and recorded that, or neither, and the cursor stays small for a million files.
    """
    try:
        inbox = fleet.inbox()
        if inbox is None:
            return dg.SkipReason("No inbox is set (FLEET_INBOX_URL).")
        now = dt.datetime.now(dt.UTC)
        before = Collection.of_cursor(context.cursor)
        new = unseen_files(fleet.warehouse(), before, inbox.files())
        settled = settled_names(fleet.warehouse(), new, now)
        ready = [file for file in new if file.name in settled]
        requests, looked_at = _requests_of_files(context, fleet, inbox, ready, now)
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    spans = merged([*before.spans, *(span for request in requests for span in request.spans)])
    collection = before.with_files(requests, now, spans)
    arriving, waiting = len(new) - len(ready), len(ready) - looked_at
    is_under_way = bool(waiting) or arriving >= FILES_OF_A_DROP
    is_overdue = collection.since is not None and now - collection.since >= MAX_COLLECTING
    if not spans or (is_under_way and not is_overdue):
        return dg.SensorResult(skip_reason=_skip_reason(looked_at, waiting, arriving), cursor=collection.cursor())
    return dg.SensorResult(
        cursor=collection.requested().cursor(),
        run_requests=[
            dg.RunRequest(
                run_key=f"inbox-{collection.digest[:24]}-{first}-{last}",
                tags={
                    **range_tags(first, last),
                    **reason_tags("inbox", first, last, collection.files_between(first, last)),
                },
            )
            for first, last in spans
        ],
    )


def _skip_reason(looked_at: int, waiting: int, arriving: int) -> str:
    reasons = []
    if looked_at:
        reasons.append(f"files looked at: {looked_at}")
    if waiting:
        reasons.append(f"files that wait for the next tick: {waiting}")
    if arriving:
        reasons.append(f"new or changed files, read once two ticks find them the same: {arriving}")
    return f"{'; '.join(reasons)}.".capitalize() if reasons else "Nothing new in the inbox."


def _requests_of_files(
    context: dg.SensorEvaluationContext,
    fleet: FleetResource,
    inbox: Inbox,
    files: Sequence[InboxFile],
    now: dt.datetime,
) -> tuple[list[FileRequest], int]:
    """Requests of the first files, as many as one tick can read, and their number."""
    chosen = _bounded(files, file_limits(fleet.settings()).max_bytes)
    parameters = fleet.warehouse().read_table(PARAMETERS) if chosen else empty_frame(PARAMETERS)
    started = time.monotonic()
    beside = _delivered_shares(fleet, inbox, chosen, now)
    requests: list[FileRequest] = []
    for at, file in enumerate(chosen):
        if at and time.monotonic() - started > MAX_SECONDS_A_TICK:
            return requests, at
        request = _request(context, fleet, inbox, file, now, parameters, beside)
        if request is not None:
            requests.append(request)
    return requests, len(chosen)


def _delivered_shares(
    fleet: FleetResource, inbox: Inbox, files: Sequence[InboxFile], now: dt.datetime
) -> dict[str, pd.DataFrame]:
    """The rows of each table of fixed amounts among the files; together they touch other days than each alone."""
    names = {table.name for table in OF_SHARES}
    largest = file_limits(fleet.settings()).max_bytes
    found: dict[str, pd.DataFrame] = {}
    for file in files:
        is_readable = not file.problem and file.size <= largest
        if is_readable and file.kind == "reference" and PurePosixPath(file.name).stem in names:
            with contextlib.suppress(UnsettledFileError, RetryableError, PermanentError):
                found |= rows_of_reference(file, inbox.read(file), fleet.warehouse(), fleet.settings(), now)
    return found


def _request(
    context: dg.SensorEvaluationContext,
    fleet: FleetResource,
    inbox: Inbox,
    file: InboxFile,
    now: dt.datetime,
    parameters: pd.DataFrame,
    beside: Mapping[str, pd.DataFrame],
) -> FileRequest | None:
    """Request of a file; None when it cannot be read now: the next tick looks at it again."""
    settings, warehouse = fleet.settings(), fleet.warehouse()
    if file.problem or file.size > file_limits(settings).max_bytes:
        return FileRequest(file, file.stamp, _spans_of_refused(file, warehouse, settings, now))
    try:
        content = inbox.read(file)
    except (UnsettledFileError, RetryableError) as error:
        context.log.warning(str(error))
        return None
    except PermanentError:
        return FileRequest(file, file.stamp, _spans_of_refused(file, warehouse, settings, now))
    sha256 = hashlib.sha256(content).hexdigest()
    received = received_at(warehouse, sha256, file.name)
    found = days_of_file(file, content, settings, now, parameters)
    if found.is_refused:
        incomplete = _spans_of_refused(file, warehouse, settings, now, found.spans)
        return FileRequest(file, sha256, _remaining(warehouse, received, incomplete, found.named))
    spans = found.spans or [
        *days_of_registration(file, content, warehouse, settings),
        *days_of_reference(
            rows_of_reference(file, content, warehouse, settings, now), beside, warehouse, settings.closing_day
        ),
        *([_recent()] if received is None else []),  # a run by hand or by the schedule was faster
    ]
    return FileRequest(file, sha256, _remaining(warehouse, received, spans, found.named))


def _remaining(
    warehouse: Warehouse, received: pd.Timestamp | None, spans: Sequence[Span], named: AbstractSet[dt.date]
) -> Sequence[Span]:
    """What of the spans has to be run for a file: all when no run has read it."""
    if received is None:
        return spans
    return outdated_spans(received, computed_at(warehouse, days_in(spans)), spans, named)


def _spans_of_refused(
    file: InboxFile, warehouse: Warehouse, settings: Settings, now: dt.datetime, legible: Sequence[Span] = ()
) -> Sequence[Span]:
    """Days that a file makes incomplete; yesterday, whose run refuses it with a message, where no run can be of them.

    A file that was named for today or before the first day was once remembered without any run.
    """
    spans = legible or spans_of(days_if_refused(warehouse, file.name, now, settings.late_hours))
    yesterday = [_recent()]
    return yesterday if spans == yesterday or not merged(spans) else spans


def merged(spans: Sequence[Span]) -> list[Span]:
    """Spans of finished days that have a partition, in order; those with few days between them as one."""
    if not spans:
        return []
    yesterday = _recent()[1]
    days = known_days(min(first for first, _ in spans), min(max(last for _, last in spans), yesterday))
    if not days:
        return []
    finished = [(max(first, days[0]), min(last, days[-1])) for first, last in spans]
    return bridged([span for span in finished if span[0] <= span[1]], MAX_BRIDGED_GAP_DAYS)


def _bounded(files: Sequence[InboxFile], largest: int) -> Sequence[InboxFile]:
    """The first files, as many as one tick can read; one at least. Those that are too large are not read."""
    sizes = itertools.accumulate(file.size if file.size <= largest else 0 for file in files)
    fitting = sum(size <= MAX_BYTES_A_TICK for size in sizes)
    return files[: min(max(fitting, 1), MAX_FILES_A_TICK)]


def _recent() -> Span:
    today = partition_day(dt.datetime.now(dt.UTC))
    return today - dt.timedelta(days=REFERENCE_DAYS), today - dt.timedelta(days=1)


UNFINISHED = [
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
    """Compare what staging holds of each hour with when the days around it were computed.

    The cursor is the instant until which changes were looked at, so that a sensor that was stopped misses none. A run
    key is of the hours that outdate the days of its span: a run that failed is not asked for again without new data.
    """
    unfinished = context.instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    try:
        changed = changed_hours(fleet.warehouse(), _looked_at(context.cursor))
        if changed.empty:
            return dg.SkipReason("No position came late.")
        if {record.dagster_run.run_id for record in unfinished} & set(changed["run_id"]):
            return dg.SkipReason("A run that changed positions has not ended; its days are looked at when it has.")
        touched = touched_days(changed)
        hours = window_hours(fleet.warehouse(), touched)
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    computed = {day: run for day in touched if (run := _computed(context.instance, day)) is not None}
    late = outdating_hours(hours, computed)
    # what a run that lasts has written but not committed yet changed after its begin: to be looked at again
    begun = [pd.Timestamp(record.start_time, unit="s", tz="UTC") for record in unfinished if record.start_time]
    return dg.SensorResult(
        cursor=min([changed["changed_at"].max(), *begun]).isoformat(),
        run_requests=[
            dg.RunRequest(
                run_key=f"late-{_digest(late, first, last)}-{first}-{last}",
                tags={**range_tags(first, last), **reason_tags("late", first, last)},
            )
            for first, last in merged([(day, day) for day in late])
        ],
    )


def _looked_at(cursor: str | None) -> dt.datetime:
    """The instant in a cursor; before all changes without one, and for the digests that cursors were once."""
    try:
        return dt.datetime.fromisoformat(cursor or "")
    except ValueError:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _digest(late: Mapping[dt.date, pd.DataFrame], first: dt.date, last: dt.date) -> str:
    return hours_digest(pd.concat([hours for day, hours in late.items() if first <= day <= last]))


def _computed(instance: dg.DagsterInstance, day: dt.date) -> Computed | None:
    """The run that last computed the day's trips."""
    filter_ = dg.AssetRecordsFilter(asset_key=key_of(TRIPS), asset_partitions=[day.isoformat()])
    records = instance.fetch_materializations(filter_, limit=1).records
    record = instance.get_run_record_by_id(records[0].run_id) if records else None
    if record is None or record.start_time is None:
        return None
    return Computed(record.dagster_run.run_id, pd.Timestamp(record.start_time, unit="s", tz="UTC"))

"""The inbox sensor: a file that arrives re-runs the days that it touches, however old.

It only looks and asks; reading, archiving and judging files is the run's work (`ingestion`).
"""

import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import dagster as dg

from fleet_audit.defs.automation import day_job, known_days, range_tags
from fleet_audit.defs.partitions import PARTITION_ZONE
from fleet_audit.defs.resources import FleetResource
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.files import days_of_file, is_done
from fleet_audit.sources.inbox import InboxFile

# A tick has 60 s, and one that takes longer moves no cursor, so it would fail for ever: parsing takes 0.2 s for a small
# file and 2 s for one of 10 MB here.
MAX_FILES_A_TICK = 50
MAX_BYTES_A_TICK = 100_000_000
SETTLED_AFTER_S = 5  # a file changed more recently may still be being written
REFERENCE_DAYS = 1  # a reference file alone re-runs yesterday; older days are for a backfill to choose


@dg.sensor(
    job=day_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the inbox. A file that is new, or whose bytes changed, re-runs the days that it touches "
    "in one range run; its bytes are the run key, so the same drop never runs twice.",
)
def inbox_sensor(context: dg.SensorEvaluationContext, fleet: FleetResource) -> dg.SensorResult | dg.SkipReason:
    """Look for files whose name, size or time is new; the cursor moves with the requests, never before."""
    try:
        inbox = fleet.inbox()
        files = inbox.files() if inbox else []
    except (PermanentError, RetryableError) as error:
        return dg.SkipReason(str(error))
    if inbox is None:
        return dg.SkipReason("No inbox is set (FLEET_INBOX_URL).")
    seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    settled = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=SETTLED_AFTER_S)
    new = [file for file in files if seen.get(file.name) != _stamp(file) and file.modified_at <= settled]
    if not new:
        return dg.SkipReason("Nothing new in the inbox.")
    spans, contents = [], []
    for file in _bounded(new):
        try:
            content = inbox.read(file)
        except (PermanentError, RetryableError) as error:
            context.log.warning(str(error))
            continue
        seen[file.name] = _stamp(file)
        span = days_of_file(file, content, fleet.settings(), dt.datetime.now(dt.UTC)) or _recent()
        sha256 = hashlib.sha256(content).hexdigest()
        if is_done(fleet.warehouse(), sha256, file.name, span):
            continue  # a run by hand or by the schedule was faster
        contents.append(sha256)
        spans.append(span)
    present = {file.name for file in files}
    cursor = json.dumps({name: stamp for name, stamp in seen.items() if name in present}, sort_keys=True)
    digest = hashlib.sha256(" ".join(sorted(contents)).encode()).hexdigest()[:24]
    return dg.SensorResult(
        cursor=cursor,
        run_requests=[
            dg.RunRequest(
                run_key=f"inbox-{digest}-{first}-{last}", tags={**range_tags(first, last), "fleet/trigger": "inbox"}
            )
            for first, last in merged(spans)
        ],
    )


def merged(spans: Sequence[tuple[dt.date, dt.date]]) -> list[tuple[dt.date, dt.date]]:
    """Spans of finished days that have a partition, those that touch or overlap as one, in order."""
    result: list[tuple[dt.date, dt.date]] = []
    for span in sorted(spans):
        days = known_days(span[0], min(span[1], _recent()[1]))
        if not days:
            continue
        first, last = days[0], days[-1]
        if result and first <= result[-1][1] + dt.timedelta(days=1):
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def _bounded(files: Sequence[InboxFile]) -> Sequence[InboxFile]:
    """The first files, as many as one tick can read; one at least."""
    sizes = itertools.accumulate(file.size for file in files)
    fitting = sum(size <= MAX_BYTES_A_TICK for size in sizes)
    return files[: min(max(fitting, 1), MAX_FILES_A_TICK)]


def _stamp(file: InboxFile) -> str:
    return f"{file.size}@{file.modified_at.isoformat()}"


def _recent() -> tuple[dt.date, dt.date]:
    today = dt.datetime.now(ZoneInfo(PARTITION_ZONE)).date()
    return today - dt.timedelta(days=REFERENCE_DAYS), today - dt.timedelta(days=1)

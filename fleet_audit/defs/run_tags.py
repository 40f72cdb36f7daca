"""Tags of runs: why a run was started, for which files, over which days and cycles.

The list of runs in the UI shows and filters them; Dagster's own tags of partitions are made here too.
"""

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from fleet_audit.defs.partitions import parse_day
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.logic.primitives.window import days_with_context
from fleet_audit.settings import load_settings

TRIGGER_TAG = "fleet/trigger"  # schedule, command, inbox, late, recovery; a run without it was started in the UI
DAYS_TAG, CYCLE_TAG, FILES_TAG = "fleet/days", "fleet/cycle", "fleet/files"
CLOSE_TAG = "fleet/close"  # on the last run of a cycle's days: the cycle to close for good after it
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
# What lists a run under its job in the UI; runs of the command line have no code location of their own.
REPOSITORY_TAGS = {".dagster/repository": "__repository__@fleet_audit"}
SHOWN_FILES = 3
CYCLE_JOBS = ("cycle", "close")  # jobs whose partition keys are starts of cycles


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """The tags of a run over a range of days."""
    return dict(zip(RANGE_TAGS, (first.isoformat(), last.isoformat()), strict=True))


def reason_tags(trigger: str, first: dt.date, last: dt.date, files: Sequence[str] = ()) -> dict[str, str]:
    """The tags that say why a run over days (or over a cycle, by its first and last day) was started."""
    closing_day = load_settings().closing_day
    cycles = sorted({cycle_of(day, closing_day).start.isoformat() for day in (first, last)})
    tags = {TRIGGER_TAG: trigger, DAYS_TAG: " to ".join(dict.fromkeys((str(first), str(last)))), CYCLE_TAG: cycles[0]}
    if len(cycles) > 1:
        tags[CYCLE_TAG] = f"{cycles[0]} to {cycles[-1]}"
    if files:
        more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
        tags[FILES_TAG] = f"{', '.join(files[:SHOWN_FILES])}{more}"
    return tags


def run_span(run: dg.DagsterRun) -> tuple[dt.date, dt.date] | None:
    """First and last partition of a run; None for a run without partitions."""
    keys = [run.tags.get(name) or run.tags.get("dagster/partition") for name in RANGE_TAGS]
    return (parse_day(keys[0]), parse_day(keys[1])) if keys[0] and keys[1] else None


def run_days_with_context(run: dg.DagsterRun) -> list[dt.date]:
    """The days that a run reads or writes: those of its partitions with their neighbours; of a cycle all its days."""
    span = run_span(run)
    if span is None:
        return []
    if run.job_name not in CYCLE_JOBS:
        return days_with_context([span[0] + dt.timedelta(days=at) for at in range((span[1] - span[0]).days + 1)])
    closing_day = load_settings().closing_day
    return sorted({day for start in span for day in cycle_days(cycle_of(start, closing_day))})

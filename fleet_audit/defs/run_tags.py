"""Tags of runs: why a run was started, for which files, over which days and cycles.

The list of runs in the UI shows and filters them; Dagster's own tags of partitions are made here too.
"""

import datetime as dt
from collections.abc import Sequence

import dagster as dg

from fleet_audit.defs.partitions import parse_day
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of, days_between
from fleet_audit.logic.primitives.window import days_with_context
from fleet_audit.settings import load_settings

TRIGGER_TAG = "fleet/trigger"  # schedule, command, inbox, late, recovery, final; manual: a person, in the UI or by dg
MANUAL = "manual"
DAYS_TAG, CYCLE_TAG, FILES_TAG, UNIT_TAG = "fleet/days", "fleet/cycle", "fleet/files", "fleet/unit"
CLOSE_TAG = "fleet/close"  # on the last run of a cycle's days: the cycle to close for good after it
RECOMPUTE_TAG = "fleet/recompute"  # true: each day of the run is computed, whether or not it has changed
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
# What lists a run under its job in the UI; runs of the command line have no code location of their own.
REPOSITORY_TAGS = {".dagster/repository": "__repository__@fleet_audit"}
SHOWN_FILES, SHOWN_UNITS = 3, 10
CYCLE_JOBS = ("cycle", "close")  # jobs whose partition keys are starts of cycles
# Assets whose partition keys are starts of cycles: of a run that the UI or `dg` started on them, no job says so.
CYCLE_KEYS = frozenset(
    dg.AssetKey(name.split("/"))
    for name in (
        "fact/billing_lines",
        "fact/calibration_segments",
        "fact/cycle_findings",
        "fact/cycle_incidents",
        "fact/reversal_adjustments",
        "fact/review_estimates",
        "fact/review_samples",
        "fact/vehicle_cycle_amounts",
        "ops/cycle_closes",
        "ops/cycle_rules_not_tested",
        "reports/carriers",
        "reports/cycle",
        "reports/package",
    )
)


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
        tags[FILES_TAG] = first_names(files, SHOWN_FILES)
    return tags


def missing_tags(run: dg.DagsterRun, units: Sequence[str]) -> dict[str, str]:
    """The tags that a run lacks once it has started: of its units, and why, when a person started it.

    A run over days computes every unit; days and files are not of one unit.
    """
    tags = {UNIT_TAG: first_names(units, SHOWN_UNITS)} if units else {}
    span = run_span(run)
    if TRIGGER_TAG not in run.tags:
        tags |= reason_tags(MANUAL, *partition_days(is_over_cycles(run), *span)) if span else {TRIGGER_TAG: MANUAL}
    return {name: value for name, value in tags.items() if name not in run.tags}


def is_over_cycles(run: dg.DagsterRun) -> bool:
    """Whether the partition keys of a run are starts of cycles, by a job, assets or their checks."""
    selected = {check.asset_key for check in run.asset_check_selection or ()} | set(run.asset_selection or ())
    return run.job_name in CYCLE_JOBS or not CYCLE_KEYS.isdisjoint(selected)


def partition_days(are_cycles: bool, first: dt.date, last: dt.date) -> tuple[dt.date, dt.date]:
    """First and last day of partitions, which may be starts of cycles."""
    return (first, cycle_of(last, load_settings().closing_day).end) if are_cycles else (first, last)


def first_names(names: Sequence[str], shown: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{', '.join(names[:shown])}{more}"


def run_span(run: dg.DagsterRun) -> tuple[dt.date, dt.date] | None:
    """First and last partition of a run; None for a run without partitions."""
    keys = [run.tags.get(name) or run.tags.get("dagster/partition") for name in RANGE_TAGS]
    return (parse_day(keys[0]), parse_day(keys[1])) if keys[0] and keys[1] else None


def run_days_with_context(run: dg.DagsterRun) -> list[dt.date]:
    """The days that a run reads or writes: those of its partitions with their neighbours; of a cycle all its days."""
    span = run_span(run)
    if span is None:
        return []
    if not is_over_cycles(run):
        return days_with_context(days_between(*span))
    closing_day = load_settings().closing_day
    return sorted({day for start in span for day in cycle_days(cycle_of(start, closing_day))})

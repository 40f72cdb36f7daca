"""Partitions: the daily and the cycle partitions, their mappings, and the days of a run.

Time zones and closing days of partitions are known here only.
"""

import datetime as dt
import warnings

import dagster as dg

from fleet_audit.logic.primitives.cycles import Cycle, cycle_of
from fleet_audit.logic.primitives.window import DAYS_AFTER, DAYS_BEFORE
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.settings import load_settings

DAY_FORMAT = "%Y-%m-%d"

_settings = load_settings()
daily_partitions = dg.DailyPartitionsDefinition(
    start_date=_settings.start_date, timezone=PARTITION_ZONE, end_offset=1
)  # today exists: its early hours are D-1's tail
cycle_partitions = dg.TimeWindowPartitionsDefinition(
    cron_schedule=f"0 0 {_settings.closing_day} * *",
    fmt=DAY_FORMAT,
    start=cycle_of(dt.date.fromisoformat(_settings.start_date), _settings.closing_day).start.isoformat(),
    timezone=PARTITION_ZONE,
    end_offset=1,
)  # the open cycle exists: its report is provisional

with warnings.catch_warnings():
    # Beta in 1.13, and the only way to let a window reach beyond the first and the last partition.
    warnings.simplefilter("ignore", dg.BetaWarning)
    window_mapping = dg.TimeWindowPartitionMapping(
        start_offset=-DAYS_BEFORE, end_offset=DAYS_AFTER, allow_nonexistent_upstream_partitions=True
    )
    cycle_mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    cycle_and_before_mapping = dg.TimeWindowPartitionMapping(
        start_offset=-1, allow_nonexistent_upstream_partitions=True
    )  # and the cycle before: the calibration of a device needs the days before the first
single_run = dg.BackfillPolicy.single_run()


def backfill_policy(days: int | None) -> dg.BackfillPolicy:
    """Runs of a backfill of days: of at most so many days each, which a run launcher may spread; None: one run."""
    return single_run if days is None else dg.BackfillPolicy.multi_run(max_partitions_per_run=days)


daily_backfill = backfill_policy(_settings.backfill_days)


def run_days(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[dt.date]:
    """The partition days of a run, one or a range, in order; of cycles their first days."""
    return [parse_day(key) for key in context.partition_keys]


def run_cycles(context: dg.AssetExecutionContext, closing_day: int) -> list[Cycle]:
    """The cycles of a run over partitions of cycles, in order."""
    return [cycle_of(day, closing_day) for day in run_days(context)]


def parse_day(key: str) -> dt.date:
    """The day that a partition key names."""
    return dt.date.fromisoformat(key)

"""How late the D-1 report of a day was written for the first time: a number that the UI plots per day.

Notices of a late report are in `watching`.
"""

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import dagster as dg

from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.schema.partition import PARTITION_ZONE

READY_HOUR = 8  # local: the D-1 report is ready before it
LATE_DAYS = 7  # a first report of an older day is a backfill


def lateness_min(instance: dg.DagsterInstance, key: dg.AssetKey, days: Sequence[dt.date]) -> dict[dt.date, float]:
    """Minutes after 08:00 of the next day at which each day's report was first written; negative before 08:00.

    A report that was not written yet is written now; days of a backfill have no lateness.
    """
    now = dt.datetime.now(dt.UTC)
    found = {}
    for day in days:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day.isoformat()])
        records = instance.fetch_materializations(wanted, limit=1, ascending=True).records
        written = dt.datetime.fromtimestamp(records[0].timestamp, dt.UTC) if records else now
        due = dt.datetime.combine(day + ONE_DAY, dt.time(READY_HOUR), ZoneInfo(PARTITION_ZONE))
        if written - due < LATE_DAYS * ONE_DAY:
            found[day] = round((written - due).total_seconds() / 60, 1)
    return found

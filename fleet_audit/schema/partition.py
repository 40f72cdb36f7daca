"""The zone whose days are the partitions: a vehicle's own day is in its unit's zone."""

import datetime as dt
from zoneinfo import ZoneInfo

PARTITION_ZONE = "America/Sao_Paulo"


def partition_day(instant: dt.datetime) -> dt.date:
    """The day of the zone at an instant, which has an offset."""
    return instant.astimezone(ZoneInfo(PARTITION_ZONE)).date()

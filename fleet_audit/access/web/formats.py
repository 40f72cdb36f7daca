"""How values look on a page: km, reais, days and local times for a Brazilian reader; the unknown is a dash.

Single values only; `reporting.locale` has the formats that reports share.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fleet_audit.reporting import labels, locale

DASH = "–"


@dataclass(frozen=True)
class Amount:
    """A sum of reais, and of how many of its parts the value is unknown."""

    brl: Decimal
    unknown: int = 0


def short_hash(content: bytes) -> str:
    """Twelve hexadecimal digits that change with the content."""
    return hashlib.sha256(content).hexdigest()[:12]


def decimal(value: Any, places: int = 2) -> str:
    """`1.234,50`; a dash for the unknown."""
    return DASH if value is None else locale.number(Decimal(str(value)), places)


def signed(value: Any) -> str:
    """`+12,30`, `−0,40`."""
    return DASH if value is None else locale.number(Decimal(str(value)), signed=True)


def brl(value: Any) -> str:
    """`R$ 1.234,56`."""
    return DASH if value is None else locale.money(Decimal(str(value)))


def whole(value: Any) -> str:
    """`1.234`."""
    return DASH if value is None else locale.number(int(value), 0)


def amount(value: Amount) -> str:
    """`R$ 12,30`, `R$ 12,30 + 2 a apurar`, `2 a apurar`: what is unknown is never zero."""
    if not value.unknown:
        return locale.money(value.brl)
    if not value.brl:
        return "a apurar" if value.unknown == 1 else f"{value.unknown} a apurar"
    return f"{locale.money(value.brl)} + {value.unknown} a apurar"


def short_amount(value: Amount) -> str:
    """The same for a cell of a table: `12,30`, `12,30 + ?`, `?`."""
    known = locale.number(value.brl)
    return known if not value.unknown else f"{known} + ?" if value.brl else "?"


def clock(value: dt.datetime | None) -> str:
    """`06:04` of a local time."""
    return DASH if value is None else f"{value:%H:%M}"


def local(value: dt.datetime | str | None, zone: str) -> dt.datetime | None:
    """An instant on the wall clock of a zone, without the zone."""
    if value is None:
        return None
    instant = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def moment(value: dt.datetime | None) -> str:
    """`10/06/2025 06:04` of a local time."""
    return DASH if value is None else locale.moment(value)


def instant(value: dt.datetime | str | None) -> str:
    """`10/06/2025 06:04` of an instant, in the zone of the reports."""
    return moment(local(value, locale.REPORT_ZONE))


def day(value: dt.date | None) -> str:
    """`10/06/2025`."""
    return DASH if value is None else locale.day(value)


def opening(text: str) -> str:
    """The text with a capital at its start; the other letters stay: `GPS` does not become `gps`."""
    return text[:1].upper() + text[1:]


def size(value: int) -> str:
    """`1,2 MB`, `340 kB`."""
    if value >= 1_000_000:
        return f"{locale.number(Decimal(value) / 1_000_000, 1)} MB"
    return f"{locale.number(max(Decimal(value) / 1000, Decimal(1)), 0)} kB"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "decimal": decimal,
    "signed": signed,
    "brl": brl,
    "whole": whole,
    "amount": amount,
    "short_amount": short_amount,
    "clock": clock,
    "moment": moment,
    "instant": instant,
    "day": day,
    "day_in_words": locale.day_in_words,
    "weekday": locale.weekday,
    "opening": opening,
    "size": size,
    "counted": locale.counted,
    "rule_title": labels.rule_title,
    "unbroken": locale.unbroken,
}

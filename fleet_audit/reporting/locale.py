"""Formats of numbers, dates and days for a Brazilian reader: decimal comma, dd/mm/aaaa, words in Portuguese.

Only formatting of single values belongs here; documents and columns do not.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from fleet_audit.schema.partition import PARTITION_ZONE

NO_DATA = "sem dado"
MINUS = "\u2212"  # as wide as the plus sign, so that differences line up
REPORT_ZONE = PARTITION_ZONE

_WEEKDAYS = ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo")
_SWAP = str.maketrans({",": ".", ".": ","})
_BESIDE_NUMBER = re.compile(r"(?<=\d) (?=%|(?:km|m|h|min|s)\b)|(?<=R\$) (?=[\d−-])|(?<=±) (?=\d)")


def number(
    value: Decimal | int, places: int = 2, *, signed: bool = False, minus: str = MINUS, grouped: bool = True
) -> str:
    """`Decimal("-1234.5")` with two places is `−1.234,50`; rounds half-up, `signed` also writes the plus."""
    exact = Decimal(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    digits = f"{abs(exact):,.{places}f}" if grouped else f"{abs(exact):.{places}f}"
    sign = minus if exact < 0 else "+" if signed and exact > 0 else ""
    return sign + digits.translate(_SWAP)


def rate(value: Decimal, *, grouped: bool = True) -> str:
    """A price per km: two places, up to four where the contract has them (`4,90`, `4,8375`)."""
    exact = Decimal(value).quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
    places = max(2, -int(exact.normalize().as_tuple().exponent))
    return number(exact, places, grouped=grouped)


def plain(value: Decimal) -> str:
    """As many places as the value has: `0,3`, `660`."""
    return number(value, max(0, -int(value.normalize().as_tuple().exponent)), grouped=False)


def money(value: Decimal) -> str:
    """`R$ 1.234,56`, with a space that does not break."""
    return f"R$\u00a0{number(value)}"


def unbroken(text: str) -> str:
    """The text with spaces that do not break between a number and its unit: `26,70 km` stays on one line."""
    return _BESIDE_NUMBER.sub("\u00a0", text)


def day(value: dt.date) -> str:
    """`10/06/2025`."""
    return f"{value:%d/%m/%Y}"


def day_in_words(value: dt.date) -> str:
    """`terça-feira, 10/06/2025`."""
    return f"{weekday(value)}, {day(value)}"


def weekday(value: dt.date) -> str:
    """`terça-feira`."""
    return _WEEKDAYS[value.weekday()]


def moment(value: dt.datetime) -> str:
    """A local date and time, `10/06/2025 06:04`."""
    return f"{value:%d/%m/%Y %H:%M}"


def instant(value: dt.datetime, zone: str = REPORT_ZONE) -> str:
    """A UTC instant as a reader in `zone` sees it, `11/06/2025 05:41`; raises ValueError when it has no zone."""
    if value.tzinfo is None:
        raise ValueError(f"The instant {value} has no time zone: pass it in UTC.")
    return moment(value.astimezone(ZoneInfo(zone)))


def counted(count: int, one: str, many: str) -> str:
    """`1 viagem`, `2 viagens`."""
    return f"{number(count, 0)} {one if count == 1 else many}"

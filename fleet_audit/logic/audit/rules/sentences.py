"""Formats of numbers, days and runs in findings, for a Brazilian reader: decimal comma, dd/mm/aaaa, local HH:MM.

Only wording belongs here; each rule decides the content.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

VEHICLE_CLASSES = {"onibus": "ônibus", "micro": "micro-ônibus", "van": "van"}
_SHOWN_PLATES = 5
_SWAP = str.maketrans({",": ".", ".": ","})


def number(value: Decimal | float, places: int = 2) -> str:
    """`Decimal("-1234.5")` is `-1.234,50`."""
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return f"{exact:,.{places}f}".translate(_SWAP)


def km(value: Decimal | float) -> str:
    """`26,70 km`."""
    return f"{number(value)} km"


def day(value: dt.date) -> str:
    """`10/06/2025`."""
    return f"{value:%d/%m/%Y}"


def clock(instant: dt.datetime, zone: str) -> str:
    """`06:15`, local."""
    return f"{pd.Timestamp(instant).tz_convert(zone):%H:%M}"


def local_day(instant: dt.datetime, zone: str) -> str:
    """`10/06/2025`, the local day of an instant."""
    return f"{pd.Timestamp(instant).tz_convert(zone):%d/%m/%Y}"


def moment(instant: dt.datetime, zone: str) -> str:
    """`10/06/2025 06:15`, local."""
    return f"{local_day(instant, zone)} {clock(instant, zone)}"


def period(record: Mapping[str, Any], zone: str) -> str:
    """`10/06/2025, das 06:15 às 07:15` of a trip or run."""
    start, end = record["started_at"], record["ended_at"]
    return f"{local_day(start, zone)}, das {clock(start, zone)} às {clock(end, zone)}"


def run(record: Mapping[str, Any]) -> str:
    """`ata 7003`, or where the row is when it has no number."""
    bulletin = record["bulletin_number"]
    if bulletin is None or pd.isna(bulletin):
        return f"ata sem número ({record['file_name']}, linha {record['row_number']})"
    return f"ata {bulletin}"


def runs(records: Iterable[Mapping[str, Any]]) -> str:
    """`ata 1`, or `ata 1, ata 2 e ata 3`."""
    names = [run(record) for record in records]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} e {names[-1]}"


def counted(count: int, one: str, many: str) -> str:
    """`1 viagem`, `2 viagens`."""
    return f"{count} {one if count == 1 else many}"


def runs_against(count: int, measured: Decimal) -> str:
    """What so many runs and their trips are compared by: `2 atas e percorreu 48,00 km nas mesmas corridas`."""
    same = "na mesma corrida" if count == 1 else "nas mesmas corridas"
    return f"{counted(count, 'ata', 'atas')} e percorreu {km(measured)} {same}"


def declares(count: int) -> str:
    """The verb for one run or several."""
    return "declara" if count == 1 else "declaram"


def named_vehicles(plates: Sequence[str]) -> str:
    """A few plates, and how many more: a file that names nothing concerns each vehicle of the fleet."""
    more = f" e mais {len(plates) - _SHOWN_PLATES}" if len(plates) > _SHOWN_PLATES else ""
    return f"{'veículo' if len(plates) == 1 else 'veículos'} {', '.join(plates[:_SHOWN_PLATES])}{more}"

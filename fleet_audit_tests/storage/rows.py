"""Rows for the tests: valid frames of a table, without writing out every column."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table, Type

_DECIMALS = (Type.KM, Type.KM3, Type.BRL, Type.RATE, Type.PERCENT)


def sample(table: Table, day: dt.date, count: int, tag: str = "a") -> pd.DataFrame:
    """`count` valid rows of a day; `tag` distinguishes one version of them from another, keys included."""
    numbers = np.arange(count)
    columns: dict[str, object] = {}
    for column in table.columns:
        if column.name == table.partition:
            columns[column.name] = [day] * count
        elif column.name == table.kept:
            columns[column.name] = [None] * count
        elif column.values:
            columns[column.name] = [column.values[0]] * count
        elif column.type is Type.TEXT:
            columns[column.name] = [f"{tag}-{day:%m%d}-{number}" for number in numbers]
        elif column.type is Type.TEXT_LIST:
            columns[column.name] = [[f"{tag}{number}", "x"] for number in numbers]
        elif column.type is Type.JSON:
            columns[column.name] = ['{"km": 1.50}'] * count
        elif column.type in _DECIMALS:
            columns[column.name] = [Decimal(int(number)) / 100 for number in numbers % 10_000]
        elif column.type is Type.TIMESTAMP:
            columns[column.name] = pd.Timestamp(day, tz="UTC") + pd.to_timedelta(numbers, unit="s")
        elif column.type is Type.DATE:
            columns[column.name] = [day] * count
        elif column.type is Type.BOOLEAN:
            columns[column.name] = numbers % 2 == 0
        else:
            columns[column.name] = np.clip(numbers, column.minimum, column.maximum) + (column.minimum or 0 > 0)
    return conform(pd.DataFrame(columns), table)

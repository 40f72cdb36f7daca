"""Checks that follow from the column dictionary: nullability, domains, limits, unique keys.

Only the dictionary's constraints are checked here; whether values agree with each other is checked by the audit rules.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.schema.model import Column, Table


def violations(frame: pd.DataFrame, table: Table) -> list[str]:
    """One sentence per violation, with a count and an example; empty when the frame is valid."""
    if _is_valid(frame, table):
        return []
    from fleet_audit.schema.pandera_schemas import (
        sentences,  # slow to import, and nearly all frames are valid
    )

    return sentences(frame, table)


def _is_valid(frame: pd.DataFrame, table: Table) -> bool:
    """Whether the frame went through `derive.conform` (which guarantees the dtypes) and keeps every constraint."""
    if list(frame.columns) != table.column_names:
        return False
    if frame.empty:
        return True
    return all(_is_kept(frame[column.name], column) for column in table.columns) and not (
        table.key and frame.duplicated(list(table.key)).any()
    )


def _is_kept(values: pd.Series, column: Column) -> bool:
    if not column.nullable and values.isna().any():
        return False
    if column.values is None and column.minimum is None and column.maximum is None:
        return True
    present = values.dropna()
    return bool(
        (column.values is None or present.isin(column.values).all())
        and (column.minimum is None or (present >= column.minimum).all())
        and (column.maximum is None or (present <= column.maximum).all())
    )

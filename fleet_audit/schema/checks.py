"""Checks that follow from the column dictionary: nullability, domains, limits, unique keys.

Only the dictionary's constraints are checked here; whether values agree with each other is checked by the audit rules.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.schema.model import Column, Table


def violations(frame: pd.DataFrame, table: Table) -> list[str]:
    """One sentence per violation, with a count and an example; empty when the frame is valid."""
    if _is_valid(frame, table):
        return []
    from fleet_audit.schema.pandera_schemas import (
        sentences,  # slow to import, and nearly all frames are valid
    )

    return sentences(frame, table)


def is_conforming(rows: pa.Table, table: Table) -> bool:
    """Whether rows in the table's Arrow schema, texts perhaps dictionary-encoded, keep every constraint.

    What they violate is asked of `violations`. 1.3 million positions took 0.9 s and 290 MB as a frame, and take 0.3 s
    and 200 MB as these columns.
    """
    if not rows.num_rows:
        return True
    return all(_is_kept_in_arrow(rows[column.name], column) for column in table.columns) and not (
        table.key and _codes(rows.select(table.key)).duplicated().any()
    )


def _is_kept_in_arrow(values: pa.ChunkedArray, column: Column) -> bool:
    if not column.nullable and (
        values.null_count or (pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py())
    ):
        return False
    if column.values is not None and not {*values.unique().to_pylist()} <= {None, *column.values}:
        return False
    if column.minimum is None and column.maximum is None:
        return True
    found = pc.min_max(values).as_py()
    return found["min"] is None or bool(
        (column.minimum is None or found["min"] >= column.minimum)
        and (column.maximum is None or found["max"] <= column.maximum)
    )


def _codes(rows: pa.Table) -> pd.DataFrame:
    """The rows with a number for each text, null for none."""
    unified = rows.unify_dictionaries()
    return pd.DataFrame(
        {
            name: (pa.chunked_array([chunk.indices for chunk in column.chunks], pa.int32())
                   if pa.types.is_dictionary(column.type) else column).to_pandas()
            for name, column in zip(unified.column_names, unified.columns, strict=True)
        }
    )  # fmt: skip


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

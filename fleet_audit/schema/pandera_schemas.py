"""Sentences on what is wrong with a frame, by the constraints of the column dictionary, worded from pandera's errors.

The check that comes first, whether anything is wrong at all, is in `checks`.
"""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
import pandera.errors
import pandera.pandas as pa
from pandera.errors import SchemaErrorReason as Reason

from fleet_audit.schema.model import Column, Table


@lru_cache
def pandera_schema(table: Table) -> pa.DataFrameSchema:
    """The schema of frames that went through `derive.conform` (which is what guarantees the dtypes)."""
    return pa.DataFrameSchema(
        {column.name: pa.Column(nullable=column.nullable, checks=_checks(column)) for column in table.columns},
        unique=list(table.key) or None,
        strict=True,
        name=table.full_name,
        description=table.description,
    )


def _checks(column: Column) -> list[pa.Check]:
    checks = []
    if column.values is not None:
        checks.append(pa.Check.isin(column.values, error=f"with none of {', '.join(column.values)}"))
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum, error=f"below {column.minimum:g}"))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum, error=f"above {column.maximum:g}"))
    return checks


def sentences(frame: pd.DataFrame, table: Table) -> list[str]:
    """One sentence per violation, with a count and an example; empty when the frame is valid."""
    try:
        pandera_schema(table).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return [_sentence(table, error) for error in errors.schema_errors]
    return []


def _sentence(table: Table, error: pandera.errors.SchemaError) -> str:
    reason, cases = error.reason_code, error.failure_cases
    if reason is Reason.COLUMN_NOT_IN_DATAFRAME:
        return f"{table.full_name}: column {cases} is missing."
    if reason is Reason.COLUMN_NOT_IN_SCHEMA:
        return f"{table.full_name}: column {cases} is not in the column dictionary."
    count = cases["index"].nunique()
    rows = "1 row" if count == 1 else f"{count} rows"
    if reason is Reason.DUPLICATES:
        first = cases[cases["index"] == cases["index"].iloc[0]]["failure_case"]
        example = ", ".join(map(str, first))
        return f"{table.full_name}: {rows} share their key ({', '.join(table.key)}) with another row, e.g. {example}."
    column = f"{table.full_name}.{error.schema.name}"
    if reason is Reason.SERIES_CONTAINS_NULLS:
        return f"{column}: {rows} without a value."
    what = error.check.error if isinstance(error.check, pa.Check) else error.check
    return f"{column}: {rows} {what}, e.g. {cases['failure_case'].iloc[0]}."

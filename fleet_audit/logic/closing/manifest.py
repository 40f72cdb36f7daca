"""Content of a manifest: digests of the rows that bill a cycle, and the differences of two sets of digests.

Reading and storing rows, inputs and manifests belongs to the room `closing`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from fleet_audit.logic.primitives.cycles import ONE_DAY, Cycle
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.schema.derive import to_arrow
from fleet_audit.schema.model import Table

_TRACE = ("run_id", "updated_at")  # who wrote a row and when: another run of the same inputs has others
_SEPARATOR = "\x1f"


def refusal(cycle: Cycle, today: dt.date, parameters: ParameterSet, *, is_final: bool) -> str | None:
    """Why the cycle cannot be closed yet, one sentence; None when it can: provisional from D+1, final from D+3."""
    after = int(parameters.final_after_days) if is_final else 1
    first = cycle.end + after * ONE_DAY
    if today >= first:
        return None
    kind = "for good" if is_final else "provisionally"
    return (
        f"The cycle {cycle.start} to {cycle.end} can be closed {kind} from {first} on; today is {today} "
        "(America/Sao_Paulo)."
    )


def canonical_rows(frame: pd.DataFrame, table: Table) -> pa.Table:
    """The rows without trace columns, as texts, in the order of the key: what is compared and hashed."""
    kept = tuple(column for column in table.columns if column.name not in _TRACE)
    rows = to_arrow(frame, replace(table, columns=kept, sort=()))
    rows = rows.sort_by([(name, "ascending") for name in table.key])
    return pa.table({name: _texts(rows.column(name)) for name in rows.column_names})


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        return pc.binary_join(column, _SEPARATOR)
    return column.cast(pa.string())


def digest(rows: pa.Table) -> str:
    """SHA-256 of canonical rows as CSV; a null is an empty cell, an empty text a quoted one."""
    sink = io.BytesIO()
    pacsv.write_csv(rows, sink)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def combined(days: Mapping[str, str]) -> str:
    """One digest of a table from those of its days."""
    return hashlib.sha256("\n".join(f"{day} {days[day]}" for day in sorted(days)).encode()).hexdigest()


@dataclass(frozen=True)
class Difference:
    """A table whose rows are not those of the manifest: the days that differ, in order."""

    table_name: str
    days: Sequence[str]


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[Difference]:
    """Tables of a manifest's `outputs` whose days have other digests."""
    result = []
    for name, entry in expected.items():
        theirs = found[name]["days"] if name in found else {}
        days = [day for day, sha256 in entry["days"].items() if theirs.get(day) != sha256]
        if days:
            result.append(Difference(name, days))
    return result


def differing_rows(expected: pa.Table, found: pa.Table, key: Sequence[str], limit: int) -> list[str]:
    """The first rows that are in one of two canonical tables only, or differ: one line each, `-` frozen and `+` now."""
    left = {tuple(row[name] for name in key): row for row in expected.to_pylist()}
    right = {tuple(row[name] for name in key): row for row in found.to_pylist()}
    lines = []
    for identity in sorted({*left, *right}, key=str):
        before, after = left.get(identity), right.get(identity)
        if before == after:
            continue
        if before is None or after is None:
            lines.append(f"{'+' if before is None else '-'} {', '.join(map(str, identity))}")
        else:
            changed = [name for name in before if before[name] != after[name]]
            differences = "; ".join(f"{name}: {before[name]} -> {after[name]}" for name in changed)
            lines.append(f"~ {', '.join(map(str, identity))}: {differences}")
        if len(lines) == limit:
            break
    return lines

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

# Columns that frozen tables got after the first closes: one tuple per migration, in the order in which they were
# appended. Manifests of before migration 0025 do not name their columns, so that each further one is listed here too.
COLUMNS_ADDED = {
    "fact.trip_costs": (("vehicle_class", "billing_area", "regime"),),  # 0008
    "fact.findings": (
        ("amount", "paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl"),  # 0010
        ("root_finding_id",),  # 0015
        ("brl_low", "brl_high"),  # 0016
    ),
    "fact.device_health": (
        ("primary_device_id", "km_counted", "km_primary"),  # 0013
        ("is_off_bus_day_before",),  # 0020
        ("other_unit_readings",),  # 0022
    ),
    "fact.adjustments": (("finding_id", "decided_cycle_start"),),  # 0021
    "fact.trips": (
        ("moving_s", "moving_steps"),  # 0025
        ("origin_candidates", "destination_candidates"),  # 0029
    ),
    "fact.matches": (("unseen_km", "is_unobserved"),),  # 0028
    "fact.vehicle_day_amounts": (("vehicle_amounts_id",),),  # 0034
    "fact.vehicle_day_coverage": (("visit_legs_other_clock",),),  # 0035
}
# Keys that frozen tables got after the first closes, each a hash (`stable_ids`) of columns: rows are compared and
# hashed without it and in the order of these, which is that of closes before it.
LATER_KEYS = {"fact.vehicle_day_amounts": ("vehicle_amounts_id", ("operational_date", "plate", "carrier_code"))}


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


def digested(table: Table) -> Table:
    """The table as its rows are compared and hashed: without trace columns and without a key of `LATER_KEYS`."""
    later, key = LATER_KEYS.get(table.full_name, ("", table.key))
    kept = tuple(column for column in table.columns if column.name not in (*_TRACE, later))
    return replace(table, columns=kept, key=key, sort=())


def canonical_rows(frame: pd.DataFrame, table: Table) -> pa.Table:
    """The rows of the `digested` table, as texts, in the order of its key."""
    table = digested(table)
    rows = to_arrow(frame, table).sort_by([(name, "ascending") for name in table.key])
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


def columns_digested(
    expected: str, rows: pa.Table, table: Table, recorded: Sequence[str] | None
) -> Sequence[str] | None:
    """The columns over which canonical rows have the digest of a manifest; None when they are other rows.

    The header is part of a digest, so that it is of one set of columns only.

    Args:
        expected: the digest that the manifest has.
        rows: canonical rows of the table, all columns.
        table: the table.
        recorded: the columns that the manifest names; None when it is older: these were all that there are now, or
            all but those of the last migrations of `COLUMNS_ADDED`.
    """
    for columns in [recorded] if recorded is not None else _possible_columns(rows.column_names, table):
        if {*columns} <= {*rows.column_names} and digest(rows.select(columns)) == expected:
            return columns
    return None


def _possible_columns(names: Sequence[str], table: Table) -> list[list[str]]:
    possible = [[*names]]
    for added in reversed(COLUMNS_ADDED.get(table.full_name, ())):
        possible.append([name for name in possible[-1] if name not in added])
    return possible


def columns_with_values(rows: pa.Table, beside: Sequence[str]) -> list[str]:
    """The columns beside some of which a row has a value."""
    return [name for name in rows.column_names if name not in beside and rows.column(name).null_count < rows.num_rows]


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

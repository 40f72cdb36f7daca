"""Rows of a reference table that contradict one another: the same key twice, or two of a key valid on one day.

The later of two such rows is rejected, and its reason names both.
"""

from __future__ import annotations

import bisect
import datetime as dt

import pandas as pd

from fleet_audit.formats.quarantine import Quarantine
from fleet_audit.logic.costs.invoices import are_credit_notes
from fleet_audit.schema.model import Table

# Of what only one row may be valid on a day.
_ONE_A_DAY = {
    "vehicles": ["plate"],
    "devices": ["device_id"],
    "contracts": ["contract_id"],
    "tariffs": ["tariff_id"],
    "fixed_costs": ["contract_id", "plate"],
    "parameters": ["name"],
}
# Of an invoice one line; its credit notes stand beside it, as many as there are. A version with one was refused whole.
_INVOICE_LINE = ["contract_id", "cycle_start", "plate", "vehicle_class", "rate_brl_per_km"]


def refuse_conflicts(table: Table, rows: pd.DataFrame, quarantine: Quarantine) -> None:
    """Refuses the later of two rows of one key, or of two rows of one thing with overlapping validity.

    Args:
        table: the reference table.
        rows: legible rows, indexed by position in the quarantine.
        quarantine: takes the refused ones.
    """
    if table.name in _ONE_A_DAY:
        key = _ONE_A_DAY[table.name]
        conflicts = _overlaps(rows, key)
        code, problem = "overlapping_validity", "is valid on a day on which that one is"
    else:
        is_invoice = table.name == "invoices"
        key = _INVOICE_LINE if is_invoice else list(table.key)
        conflicts = _repeats(rows[~are_credit_notes(rows)] if is_invoice else rows, key)
        code, problem = "duplicate_key", "has the same key and other values"
    if not conflicts:
        return
    label = " and ".join(key)
    lines = quarantine.row_number
    reasons = pd.Series("", index=lines.index, dtype=object)
    for later, earlier in conflicts.items():
        reasons[later] = (
            f"Row {lines[later]} and row {lines[earlier]} are of one {label}: the later {problem}; correct one of them."
        )
    quarantine.refuse(lines.index.isin(list(conflicts)), code, reasons)


def _repeats(rows: pd.DataFrame, key: list[str]) -> dict[int, int]:
    position = pd.Series(rows.index, index=rows.index)
    first = position.groupby([rows[name] for name in key], dropna=False).transform("first")
    return {int(later): int(earlier) for later, earlier in first[first != position].items()}  # type: ignore[call-overload]


def _overlaps(rows: pd.DataFrame, key: list[str]) -> dict[int, int]:
    """Position of each refused row and of the accepted row that it overlaps."""
    conflicts: dict[int, int] = {}
    candidates = rows[rows.duplicated(key, keep=False)]
    for _, group in candidates.groupby(key, dropna=False, sort=False):
        starts: list[dt.date] = []  # of the accepted rows, in order of time
        accepted: list[tuple[dt.date, int]] = []  # their ends and positions
        for position, start, end in zip(group.index, group["valid_from"], group["valid_to"], strict=True):
            start = dt.date.min if pd.isna(start) else start
            end = dt.date.max if pd.isna(end) else end
            at = bisect.bisect_right(starts, start)
            if at and accepted[at - 1][0] >= start:
                conflicts[position] = accepted[at - 1][1]
            elif at < len(starts) and starts[at] <= end:
                conflicts[position] = accepted[at][1]
            else:
                starts.insert(at, start)
                accepted.insert(at, (end, position))
    return conflicts

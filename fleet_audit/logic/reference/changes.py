"""What differs between two deliveries of a reference table: its rows, the days on which that matters, keys that dangle.

Where deliveries and their history are kept is the business of `ingest.reference`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import ONE_DAY, as_days, dates
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths, to_hundredths
from fleet_audit.schema.model import Table

_UNTOLD = {"drivers": ["name"]}  # names of people are in their own table alone
_PERIODS = (("valid_from", "valid_to"), ("date_from", "date_to"), ("date", "date"))
_LONGEST_CYCLE = 31 * ONE_DAY
# Child table and column, parent table and column. What a carrier claims (invoices), and exceptions, may name anything.
REFERENCES = (
    ("contracts", "carrier_code", "carriers", "carrier_code"),
    ("contracts", "unit_code", "units", "unit_code"),
    ("vehicles", "carrier_code", "carriers", "carrier_code"),
    ("vehicles", "unit_code", "units", "unit_code"),
    ("vehicles", "contract_id", "contracts", "contract_id"),
    ("vehicles", "titular_plate", "vehicles", "plate"),
    ("devices", "plate", "vehicles", "plate"),
    ("pois", "unit_code", "units", "unit_code"),
    ("shifts", "unit_code", "units", "unit_code"),
    ("routes", "unit_code", "units", "unit_code"),
    ("routes", "origin_poi_id", "pois", "poi_id"),
    ("routes", "destination_poi_id", "pois", "poi_id"),
    ("tariffs", "contract_id", "contracts", "contract_id"),
    ("tariffs", "route_code", "routes", "route_code"),
    ("fixed_costs", "contract_id", "contracts", "contract_id"),
    ("fixed_costs", "plate", "vehicles", "plate"),
    ("km_plan", "plate", "vehicles", "plate"),
    ("km_plan", "route_code", "routes", "route_code"),
    ("calendar", "unit_code", "units", "unit_code"),
)


def told(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of a reference table that its history tells."""
    hidden = _UNTOLD.get(table.name, [])
    return rows[[name for name in table.column_names if name not in hidden]]


def row_keys(table: Table, rows: pd.DataFrame) -> pd.Series:
    """A hash of each row's told content."""
    shown = told(table, rows)
    return stable_ids(shown, list(shown.columns), table.name)


def days_touched(table: Table, old: pd.DataFrame, new: pd.DataFrame, first: dt.date, last: dt.date) -> list[dt.date]:
    """The days from first to last on which the table says something else, in order.

    A row that only ends later, or is cut in two that say the same, touches the days that really differ. Rows without
    dates touch all days.

    Args:
        table: a table of `schema.reference`; old and new: its content before and after.
        first, last: bounds, inclusive.
    """
    if last < first:
        return []
    days = as_days(pd.date_range(first, last).to_numpy())
    parts = [_said(table, rows, days, sign) for rows, sign in ((old, -1), (new, 1))]
    said = np.concatenate([part[1] for part in parts])
    _, number = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    total = np.zeros((int(number.max(initial=-1)) + 1, len(days)), dtype=np.int64)
    np.add.at(total, number, said)
    touched = days[(total != 0).any(axis=0)] if len(total) else days[:0]
    return list(dates(touched)) if len(touched) else []


def _said(table: Table, rows: pd.DataFrame, days: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the hash of what it says, dates left out, and on which days (± 1)."""
    period = next((pair for pair in _PERIODS if pair[0] in rows and pair[1] in rows), None)
    content = told(table, rows).drop(columns=list(dict.fromkeys(period or ())), errors="ignore")
    keys = stable_ids(content, list(content.columns)).to_numpy(dtype=object) if len(rows) else np.empty(0, object)
    if period is not None:
        starts, ends = as_days(rows[period[0]]), as_days(rows[period[1]])
    elif "cycle_start" in rows:
        starts = as_days(rows["cycle_start"])
        ends = starts + np.timedelta64(_LONGEST_CYCLE.days - 1, "D")
    else:
        return keys, np.full((len(rows), len(days)), sign, dtype=np.int64)
    starts, ends = starts[:, np.newaxis], ends[:, np.newaxis]
    holds = (np.isnat(starts) | (starts <= days)) & (np.isnat(ends) | (days <= ends))
    return keys, holds.astype(np.int64) * sign


@dataclass(frozen=True)
class Dangling:
    """The first row of a table whose key no row of another table has."""

    child: str
    column: str
    value: str
    parent: str
    row: str

    @property
    def sentence(self) -> str:
        """The row, and what is missing."""
        return f"{self.child} row ({self.row}): {self.column} {self.value} is in no row of {self.parent}"


def first_dangling(tables: Mapping[str, pd.DataFrame], keys: Mapping[str, Sequence[str]]) -> Dangling | None:
    """The first dangling key among tables that were ever delivered; None when every key is there.

    Args:
        tables: content by table name; a table that was never delivered is not in it, and tests nothing.
        keys: the key columns of each table, to name a row by.
    """
    for child, column, parent, parent_column in REFERENCES:
        if child not in tables or parent not in tables:
            continue
        rows, known = tables[child], set(tables[parent][parent_column].dropna())
        bad = rows[rows[column].notna() & ~rows[column].isin(known)]
        if len(bad):
            row = bad.iloc[0]
            named = ", ".join(f"{name} {row[name]}" for name in keys[child] if not pd.isna(row[name]))
            return Dangling(child, column, str(row[column]), parent, named)
    return None


def delta_statement(deltas: pd.DataFrame) -> pd.DataFrame:
    """What changes of reference data did, carrier by carrier, over the days that were run again.

    Columns: tables, carrier_code, days, km_before, km_after, difference_km, brl_before, brl_after, difference_brl. A
    difference with one side unknown takes it as nothing: that is what is billed.
    """
    rows = deltas[deltas["is_rerun"].to_numpy(dtype=bool)]
    rows = rows.assign(tables=[", ".join(sorted(names)) for names in rows["table_names"]])
    keys = ["change_run_id", "tables", "carrier_code"]
    values = ["km_before", "km_after", "brl_before", "brl_after"]
    grouped = rows.groupby(keys, dropna=False, sort=True)
    sums = grouped[values].sum(min_count=1).assign(days=grouped["operational_date"].nunique()).reset_index()
    for unit, dtype in (("km", KM), ("brl", BRL)):  # a sum widens its type to 38 digits, beyond which nothing is added
        after, before = (to_hundredths(sums[f"{unit}_{side}"]) for side in ("after", "before"))
        sums[f"difference_{unit}"] = from_hundredths(after - before, dtype, sums.index)
    order = ["km_before", "km_after", "difference_km", "brl_before", "brl_after", "difference_brl"]
    return sums[["tables", "carrier_code", "days", *order]]

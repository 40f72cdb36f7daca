"""Differences between two deliveries of a reference table: rows, days that they touch, and keys that dangle.

Storing deliveries and their history belongs to `ingest.reference`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import ONE_DAY, as_days, dates
from fleet_audit.logic.primitives.identity import fold, stable_ids
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths, to_hundredths
from fleet_audit.schema.model import Table

_PERSONAL = {"drivers": ["name"]}  # names of people are in their own table alone
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

_NAMED_BY_EXCEPTIONS = {"plate": "vehicles", "carrier_code": "carriers", "unit_code": "units", "route_code": "routes"}
_OF_NO_DAY = frozenset(("sample_reviews",))


def public_columns(table: Table, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without columns that the history of the table must not have: names of people."""
    hidden = _PERSONAL.get(table.name, [])
    return rows[[name for name in table.column_names if name not in hidden]]


def row_keys(table: Table, rows: pd.DataFrame) -> pd.Series:
    """A hash of the public columns of each row."""
    shown = public_columns(table, rows)
    return stable_ids(shown, list(shown.columns), table.name)


def days_touched(table: Table, old: pd.DataFrame, new: pd.DataFrame, first: dt.date, last: dt.date) -> list[dt.date]:
    """The days from first to last, in order, on which the content of the table differs.

    A row that only ends later touches the days added; one that is cut in two equal ones touches none. A changed row
    without dates touches all days. Reviews of a sample touch none: they judge what
    a cycle paid and change nothing of it.

    Args:
        table: a table of `schema.reference`; old and new: its content before and after.
        first, last: bounds, inclusive.
    """
    if last < first or table.name in _OF_NO_DAY:
        return []
    days = as_days(pd.date_range(first, last).to_numpy())
    parts = [_contents(table, rows, days, sign) for rows, sign in ((old, -1), (new, 1))]
    signs = np.concatenate([part[1] for part in parts])
    _, number = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    total = np.zeros((int(number.max(initial=-1)) + 1, len(days)), dtype=np.int64)
    np.add.at(total, number, signs)
    touched = days[(total != 0).any(axis=0)] if len(total) else days[:0]
    return list(dates(touched)) if len(touched) else []


def _contents(table: Table, rows: pd.DataFrame, days: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """The hash of each row without its dates, and the sign on the days (columns) on which it holds, else 0."""
    period = next((pair for pair in _PERIODS if pair[0] in rows and pair[1] in rows), None)
    content = public_columns(table, rows).drop(columns=list(dict.fromkeys(period or ())), errors="ignore")
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
        """A sentence that names the row and the missing key."""
        return f"{self.child} row ({self.row}): {self.column} {self.value} is in no row of {self.parent}"


def first_dangling(tables: Mapping[str, pd.DataFrame], keys: Mapping[str, Sequence[str]]) -> Dangling | None:
    """The first dangling key among tables that were ever delivered; None when every key is there.

    Args:
        tables: content by table name; a table that was never delivered is absent, and its keys are not tested.
        keys: the key columns of each table, by which the sentence names a row.
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


def exceptions_of_nobody(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """A sentence on each exception that names a vehicle, carrier, unit or route that nobody has: it covers nothing."""
    exceptions = tables.get("exceptions", pd.DataFrame(columns=["exception_id", *_NAMED_BY_EXCEPTIONS]))
    sentences = []
    for column, parent in _NAMED_BY_EXCEPTIONS.items():
        known = set(tables[parent][column].dropna().map(fold)) if parent in tables else set()
        named = exceptions.dropna(subset=column)
        sentences += [
            f"exceptions: {row.exception_id} names {column} {getattr(row, column)}, which is in no row of {parent}: it "
            "covers nothing; correct it."
            for row in named[~named[column].map(fold).isin(known)].itertuples()
        ]
    return sentences


def delta_statement(deltas: pd.DataFrame) -> pd.DataFrame:
    """The effect of changes of reference data per carrier, summed over the days that were run again.

    Columns: tables, carrier_code, days, km_before, km_after, difference_km, brl_before, brl_after, difference_brl. A
    difference takes an unknown side as zero, because nothing is billed for it.
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

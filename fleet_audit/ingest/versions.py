"""Rows that count when several files report the same: corrected versions of a file, and equal rows of two files.

Pure functions over parsed rows; the caller passes the files.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.repeats import folded_places

_SAID = [
    "plate",
    "bulletin_number",
    "declared_date",
    "departed_local",
    "arrived_local",
    "odometer_start_km",
    "odometer_end_km",
    "declared_km",
    "passengers",
]


def rows_in_force(rows: pd.DataFrame, coverage: pd.DataFrame, owner: str, date: str) -> pd.DataFrame:
    """The rows of the newest version of each file name, for each vehicle-day that a version covers.

    Args:
        rows: parsed rows with file_sha256, file_name and the columns that `owner` and `date` name.
        coverage: owner, date, file_sha256, file_name, received_at of every version.

    For a vehicle-day that a version does not cover, the rows of the version before stay in force.
    """
    newest = coverage.sort_values(["received_at", "file_sha256"], kind="stable").drop_duplicates(
        ["file_name", "owner", "date"], keep="last"
    )[["file_name", "owner", "date", "file_sha256"]]
    keys = newest.rename(columns={"owner": owner, "date": date})
    return rows.merge(keys, on=["file_name", owner, date, "file_sha256"], how="inner")


def first_of_each(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per key: that of the file that arrived first, then by file name and row number."""
    ordered = rows.sort_values(["received_at", "file_name", "row_number"], kind="stable")
    return ordered.drop_duplicates(key, keep="first")


def respelled_runs(runs: pd.DataFrame) -> np.ndarray:
    """Which runs say with the same NUMERO ATA what an earlier row says: times, places, readings and km are equal.

    Only words differ, as a TURNO in lower case or an empty EMPRESA: the same bulletin, exported again under another
    name, was every run declared twice (D08, critical). A NUMERO ATA that says two things stays two runs.

    Args:
        runs: rows with the columns of `parsed.declared_runs`, the earlier ones first; carrier_code as a code.
    """
    said = runs[_SAID].assign(**{name: folded_places(runs[name]) for name in ("origin_text", "destination_text")})
    groups = said.groupby(list(said.columns), dropna=False, sort=False).ngroup()
    carrier = runs["carrier_code"].astype(object)
    first = carrier.groupby(groups).transform("first")
    is_numbered = runs["bulletin_number"].str.contains("[0-9]").fillna(False).to_numpy(dtype=bool)
    is_same_carrier = (carrier.isna() | first.isna() | (carrier == first)).to_numpy(dtype=bool)
    found: np.ndarray = groups.duplicated().to_numpy() & is_numbered & is_same_carrier
    return found

"""Rows that count when several files report the same: corrected versions of a file, and equal rows of two files.

Pure functions over parsed rows; the caller passes the files.
"""

from __future__ import annotations

import pandas as pd


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

"""The result of reading a file: typed rows, rejected rows, notes and counts that reconcile; and the limits of a file.

Each kind of file is read in its own module.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.errors import PermanentError
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.lake import PARSED_NOTES
from fleet_audit.schema.reference import DRIVERS

DATE = pd.ArrowDtype(pa.date32())
REJECTED_COLUMNS = ("row_number", "reason_code", "reason", "raw")
_EMPTY_REJECTED = pd.DataFrame(
    {name: pd.Series(dtype="int64" if name == "row_number" else "str") for name in REJECTED_COLUMNS}
)

DAY_COUNTS = ("date", "rows_read", "rows_accepted", "rows_rejected", "rows_duplicate")


class RejectedFile(PermanentError):  # noqa: N818  the name that the inbox shows
    """The whole file is refused; the message is one sentence: what was wrong and what to do.

    Args:
        message: the sentence.
        code: one of `reasons.REASONS`.
    """

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Limits:
    """Largest file that is read: bytes (as received) and data rows."""

    max_bytes: int = 10 * 1024 * 1024
    max_rows: int = 50_000


def too_large(size: int, limits: Limits) -> RejectedFile:
    """The refusal of a file with so many bytes, unread."""
    return RejectedFile(
        f"The file has {size:,} bytes and at most {limits.max_bytes:,} are read; split it and send the parts.",
        "too_large",
    )


def empty_rejected() -> pd.DataFrame:
    """A frame of rejected rows without rows."""
    return _EMPTY_REJECTED.copy()


def counts_by_day(dates: pd.Series, is_bad: np.ndarray, is_duplicate: np.ndarray, today: dt.date) -> pd.DataFrame:
    """date, rows_read, rows_accepted, rows_rejected, rows_duplicate of each day that the rows name.

    Args:
        dates: the local day of every data row, in the file's order; a row whose day is illegible or after `today`
            counts on the day of the row before it (at the head, of the row after), and nowhere when no row has one.
        is_bad: which rows were rejected.
        is_duplicate: which of the others repeat an earlier one.
        today: the day on which the file arrived.
    """
    legible = pd.Series(pd.to_datetime(dates)).reset_index(drop=True)
    day = legible.where(legible <= pd.Timestamp(today)).ffill().bfill()
    is_dated = day.notna().to_numpy()
    named, at = np.unique(day.to_numpy()[is_dated], return_inverse=True)
    outcomes = (np.ones(len(day), dtype=bool), ~is_bad & ~is_duplicate, is_bad, is_duplicate & ~is_bad)
    counts = [np.bincount(at[outcome[is_dated]], minlength=len(named)) for outcome in outcomes]
    return pd.DataFrame(dict(zip(DAY_COUNTS, (pd.Series(named).dt.date, *counts), strict=True)))


def conform_notes(
    notes: pd.DataFrame, source_kind: str, sha256: str | pd.Series, file_name: str | pd.Series
) -> pd.DataFrame:
    """Notes as `parsed.source_notes`: note_code, plate, date, expected, found, row_number, and their file or files."""
    if notes.empty:
        return empty_frame(PARSED_NOTES)
    origin = notes.astype(object).assign(source_kind=source_kind, file_sha256=sha256, file_name=file_name)
    return conform(origin.reindex(columns=PARSED_NOTES.column_names), PARSED_NOTES)


def covered_days(days: pd.DataFrame) -> pd.DataFrame:
    """The distinct vehicle-days of a frame of (plate or device_id, date, …), `date` as a typed local day."""
    name = days.columns[0]
    typed = days.assign(date=days["date"].astype(DATE))
    return typed.drop_duplicates([name, "date"]).sort_values([name, "date"]).reset_index(drop=True)


@dataclass(frozen=True)
class ParsedFile:
    """One file, read. Always `rows_read == len(rows) + rejected rows + rows_duplicate`, each row counted once.

    Attributes:
        kind: `visit_report`, `bulletin`, `telemetry` or `reference`.
        rows: accepted rows, conforming to the parsed table of the kind, or to the reference table.
        rejected: row_number, reason_code, reason, raw; one row per row and reason_code.
        notes: contradictions of the source with itself (`parsed.source_notes`).
        drivers: rows of `ref.drivers`; the only place where a name is.
        covered: the vehicle-days that the file is about: plate (device_id for telemetry) and date. For a visit
            report also window_start_local and window_end_local: the part of the day that the report claims to show.
        days: the file's counts by local day (see `counts_by_day`).
        rows_ignored: repeated headers, totals, titles and page footers, which are not data rows; a warning names them.
        first_date, last_date: first and last local day covered, or noted: a file of which every row is misdated still
            belongs to the days that were meant.
    """

    kind: str
    rows: pd.DataFrame
    rows_read: int
    rejected: pd.DataFrame = field(default_factory=empty_rejected)
    notes: pd.DataFrame = field(default_factory=lambda: empty_frame(PARSED_NOTES))
    drivers: pd.DataFrame = field(default_factory=lambda: empty_frame(DRIVERS))
    covered: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"plate": pd.Series(dtype="str"), "date": pd.Series(dtype=DATE)})
    )
    days: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(DAY_COUNTS)))
    rows_duplicate: int = 0
    rows_ignored: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def has_lost_rows(self) -> bool:
        """Whether a row that was read is neither accepted, rejected nor a duplicate, or is on none of the file's days.

        Each row of a file is on one of its days, as soon as one row names a day.
        """
        counts = (self.rows_read, len(self.rows), self.rows_rejected)
        of_days = tuple(self.days[["rows_read", "rows_accepted", "rows_rejected"]].sum())
        is_whole = self.rows_read == len(self.rows) + self.rows_rejected + self.rows_duplicate
        return not is_whole or (len(self.days) > 0 and of_days != counts)

    @property
    def rows_rejected(self) -> int:
        """Number of rejected rows, each once however many reasons it has."""
        return int(self.rejected["row_number"].nunique())

    @property
    def first_date(self) -> dt.date | None:
        """First local day covered or noted."""
        return min(self.named_days, default=None)

    @property
    def last_date(self) -> dt.date | None:
        """Last local day covered or noted."""
        return max(self.named_days, default=None)

    @property
    def named_days(self) -> set[dt.date]:
        """The local days that rows cover or notes are about."""
        return {*self.covered["date"], *self.notes["date"].dropna()}

    @property
    def status(self) -> str:
        """`accepted`, or `partial` when rows were rejected."""
        return "partial" if len(self.rejected) else "accepted"

    @property
    def message(self) -> str:
        """One sentence with the counts and what to do about rejected rows; then the warnings."""
        counts = f"{len(self.rows)} of {self.rows_read} rows accepted"
        if self.rows_duplicate:
            counts += f", {self.rows_duplicate} duplicate"
        if len(self.rejected):
            first = self.rejected.iloc[0]
            counts += (
                f", {self.rows_rejected} rejected, the first in line {first['row_number']} ({first['reason']}); "
                "correct the rows and send the file again"
            )
        return " ".join([f"{counts}.", *self.warnings])

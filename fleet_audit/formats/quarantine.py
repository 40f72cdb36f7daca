"""Collects why rows are rejected: a stable code and a sentence for each, with the row as received.

Which rows are wrong is decided in the module of each kind of file.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.formats.parsed import REJECTED_COLUMNS, empty_rejected

_LONGEST_VALUE = 80  # characters of a value shown in a reason
_LONGEST_RAW = 10_000  # characters of a row kept beside its reason; the file itself is archived whole


class Quarantine:
    """The rejections of one file, one entry a row and code."""

    def __init__(self, numbers: list[int], raws: list[str]) -> None:
        self.row_number = pd.Series(numbers, dtype="int64")
        self.raw = raws
        self.is_bad = np.zeros(len(numbers), dtype=bool)
        self._parts: list[pd.DataFrame] = []

    def refuse(self, mask: pd.Series | np.ndarray, code: str, reason: pd.Series | str) -> None:
        """Rejects the rows of the mask with a code of `reasons` and a sentence (one for all, or one a row)."""
        positions = np.flatnonzero(np.asarray(mask, dtype=bool))
        if not len(positions):
            return
        self.is_bad[positions] = True
        sentences = reason if isinstance(reason, str) else reason.to_numpy()[positions]
        self._parts.append(pd.DataFrame({"position": positions, "reason_code": code, "reason": sentences}))

    def refuse_value(self, mask: pd.Series | np.ndarray, code: str, label: str, text: pd.Series, problem: str) -> None:
        """Rejects the rows of the mask; the sentence names the column, the value and the problem."""
        chosen = np.asarray(mask, dtype=bool)
        if chosen.any():
            self.refuse(chosen, code, f"{label} is '" + text.str.slice(0, _LONGEST_VALUE) + f"', {problem}.")

    def refuse_illegible(self, code: str, label: str, text: pd.Series, parsed: pd.Series, expected: str) -> None:
        """Rejects the rows with a text of which no value could be read."""
        self.refuse_value(text.ne("") & parsed.isna(), code, label, text, f"not {expected}")

    def refuse_missing(self, label: str, text: pd.Series) -> None:
        """Rejects the rows without a text."""
        self.refuse(text.eq(""), "missing_value", f"{label} is empty.")

    def refuse_negative(self, label: str, text: pd.Series, parsed: pd.Series) -> None:
        """Rejects the rows whose value is below zero."""
        self.refuse_value(parsed.lt(0).fillna(False).to_numpy(dtype=bool), "negative_value", label, text, "below zero")

    def refuse_future(self, label: str, text: pd.Series, day: pd.Series, today: dt.date) -> None:
        """Rejects the rows of a day that had not begun when the file arrived: nothing would ever ask for them."""
        self.refuse_value(
            day.gt(pd.Timestamp(today)).fillna(False),
            "future_date",
            label,
            text,
            f"after {today:%d/%m/%Y}, its arrival",
        )

    def frame(self, raw: pd.Series | None = None) -> pd.DataFrame:
        """row_number, reason_code, reason, raw: reasons of one row and code joined; `raw` replaces the rows' text."""
        if not self._parts:
            return empty_rejected()
        entries = pd.concat(self._parts, ignore_index=True)
        keys = ["position", "reason_code"]
        repeated = entries.duplicated(keys, keep=False)
        joined = entries[repeated].groupby(keys, sort=False)["reason"].agg(" ".join).reset_index()
        entries = pd.concat([entries[~repeated], joined], ignore_index=True).sort_values(keys)
        positions = entries["position"].to_numpy()
        texts = self.raw if raw is None else raw.tolist()
        entries["row_number"] = self.row_number.to_numpy()[positions]
        entries["raw"] = pd.Series(
            [texts[position][:_LONGEST_RAW] for position in positions], index=entries.index, dtype="str"
        )
        return entries[list(REJECTED_COLUMNS)].astype({"reason_code": "str", "reason": "str"}).reset_index(drop=True)

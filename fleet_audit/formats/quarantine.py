"""The rejections of a file: a stable code and a sentence for each, with the row as received.

The module of each kind of file decides which rows are rejected.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.formats.numbers import is_filled, is_spoilt_id, matches
from fleet_audit.formats.parsed import REJECTED_COLUMNS, empty_rejected
from fleet_audit.formats.values import has_two_readings, is_month_first_only, may_be_converted

_LONGEST_VALUE = 80  # characters of a value shown in a reason
_UNRESOLVED = r"^(=.*[(]no stored result[)]|#.*[(]no result[)])$"  # as the workbook's reader shows it
_MISDATED = ("outside_period", "gps_week_rollover")
_LONGEST_RAW = 10_000  # characters of a row kept beside its reason; the file itself is archived whole


class Quarantine:
    """The rejections of one file, one entry per row and code.

    `places` are added to the sentences where a number alone does not show the place (see `Cells.place`).
    """

    def __init__(self, numbers: list[int], raws: list[str], places: list[str] | None = None) -> None:
        self.places = places
        self.row_number = pd.Series(numbers, dtype="int64")
        self.raw = raws
        self.is_bad = np.zeros(len(numbers), dtype=bool)
        self._parts: list[pd.DataFrame] = []

    def refuse(self, mask: pd.Series | np.ndarray, code: str, reason: pd.Series | str) -> None:
        """Rejects the rows of the mask with a code of `reasons` and a sentence (one for all, or one per row)."""
        positions = np.flatnonzero(np.asarray(mask, dtype=bool))
        if not len(positions):
            return
        self.is_bad[positions] = True
        sentences = reason if isinstance(reason, str) else reason.to_numpy()[positions]
        if self.places is not None:
            each = [sentences] * len(positions) if isinstance(sentences, str) else sentences
            sentences = [
                f"{text.removesuffix('.')} ({self.places[at]})." for text, at in zip(each, positions, strict=True)
            ]
        self._parts.append(pd.DataFrame({"position": positions, "reason_code": code, "reason": sentences}))

    def refuse_value(
        self, mask: pd.Series | np.ndarray, code: str, label: str, text: pd.Series, problem: pd.Series | str
    ) -> None:
        """Rejects the rows of the mask; the sentence names the column, the value and the problem."""
        chosen = np.asarray(mask, dtype=bool)
        if chosen.any():
            self.refuse(chosen, code, f"{label} is '" + text.str.slice(0, _LONGEST_VALUE) + "', " + problem + ".")

    def refuse_illegible(self, code: str, label: str, text: pd.Series, parsed: pd.Series, expected: str) -> None:
        """Rejects the rows with a text of which no value could be read."""
        self.refuse_value(is_filled(text) & parsed.isna().to_numpy(dtype=bool), code, label, text, f"not {expected}")

    def refuse_illegible_days(self, label: str, text: pd.Series, day: pd.Series, expected: str) -> None:
        """Rejects the rows whose text names no day, or one of two where the file writes the month first."""
        is_bad = is_filled(text) & day.isna().to_numpy(dtype=bool)
        if not is_bad.any():
            return
        problem = pd.Series(f"not {expected}", index=text.index, dtype="str")
        problem[is_month_first_only(text)] = f"a day only with its month first, not {expected}"
        problem[has_two_readings(text)] = f"one of two days, for other rows write the month first, not {expected}"
        problem[may_be_converted(text)] = "typed, while texts of the file write the month first: it may be one of them"
        self.refuse_value(is_bad, "bad_date", label, text, problem)

    def refuse_ambiguous(self, label: str, text: pd.Series, mask: pd.Series | np.ndarray) -> None:
        """Rejects the rows whose number has two readings."""
        self.refuse_value(
            mask,
            "ambiguous_number",
            label,
            text,
            "ambiguous: the mark may group thousands or begin decimals; write the number without grouping and with two "
            "decimals",
        )

    def refuse_spoilt_ids(self, label: str, text: pd.Series) -> None:
        """Rejects the rows whose id a spreadsheet turned into a rounded number (`3,51E+14`)."""
        self.refuse_value(
            is_spoilt_id(text),
            "spoilt_id",
            label,
            text,
            "an id that a spreadsheet rounded; format the column as text and export the file again",
        )

    def refuse_formulas(self, texts: pd.DataFrame) -> None:
        """Rejects the rows of a workbook with a formula or an error in place of a result, which it does not hold."""
        for label in texts:
            text = texts[label]
            self.refuse_value(
                matches(text, _UNRESOLVED),
                "formula_without_value",
                str(label),
                text,
                "a formula without its result, or an error; correct it, save the workbook in a spreadsheet program "
                "and send it again",
            )

    def refuse_missing(self, label: str, text: pd.Series) -> None:
        """Rejects the rows without a text."""
        self.refuse(~is_filled(text), "missing_value", f"{label} is empty.")

    def refuse_negative(self, label: str, text: pd.Series, parsed: pd.Series) -> None:
        """Rejects the rows whose value is below zero."""
        self.refuse_value(parsed.lt(0).fillna(False).to_numpy(dtype=bool), "negative_value", label, text, "below zero")

    def refuse_future(self, label: str, text: pd.Series, day: pd.Series, today: dt.date) -> None:
        """Rejects the rows of a day that had not begun when the file arrived: no run would request that day."""
        self.refuse_value(
            day.gt(pd.Timestamp(today)).fillna(False),
            "future_date",
            label,
            text,
            f"after {today:%d/%m/%Y}, its arrival",
        )

    def is_misdated(self) -> np.ndarray:
        """Which rows were rejected for a day that cannot be theirs."""
        mask = np.zeros(len(self.raw), dtype=bool)
        for part in self._parts:
            if part["reason_code"].iloc[0] in _MISDATED:
                mask[part["position"]] = True
        return mask

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

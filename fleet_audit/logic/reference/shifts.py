"""Which work shift a trip serves: a unit's shifts laid out on its local calendar, and the nearest one to an instant.

Which end of a trip counts (arrival or departure) is decided in `classification`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.primitives.wall_clock import local_days, to_utc

_WORD = re.compile(r"^turno[ .:-]+")  # `Turno C` is C
_WEEKDAYS = re.compile(r"^([1-7])(?:-([1-7]))?$")
# A shift that ends on day D may have started on D-1, and with its tolerance reach into D+1 or come from D-2.
_START_OFFSETS = (-2, -1, 0, 1)


def nearest_shifts(moments: pd.DataFrame, shifts: pd.DataFrame, default_tolerance_min: float) -> pd.Series:
    """shift_code of each moment, null where no shift of its unit is within its tolerance.

    The nearest start (or end) counts among the shifts that lie within their own tolerance, ties by shift_code. The
    weekday is that of the day on which the shift starts; a shift whose end is not after its start ends the day after.

    Args:
        moments: unit_code, timezone (IANA), at (UTC instant), is_arrival (an arrival is compared with starts, a
            departure with ends).
        shifts: `ref.shifts`; empty weekdays mean every day.
        default_tolerance_min: tolerance of a shift that states none, minutes.
    """
    at, zones = moments["at"], moments["timezone"]
    asked = pd.DataFrame(
        {
            "moment": np.arange(len(moments)),
            "unit_code": moments["unit_code"].to_numpy(dtype=object),
            "timezone": zones.to_numpy(dtype=object),
            "at": at.reset_index(drop=True),
            "is_arrival": moments["is_arrival"].to_numpy(dtype=bool),
            "day": local_days(at, zones).astype("datetime64[us]"),
        }
    )
    occurrences = _occurrences(asked[["unit_code", "timezone", "day"]].drop_duplicates(), shifts, default_tolerance_min)
    pairs = asked.merge(occurrences, on=["unit_code", "timezone", "day"])
    border = pairs["starts_at"].where(pairs["is_arrival"], pairs["ends_at"])
    pairs["distance"] = (pairs["at"] - border).abs()
    within = pairs[pairs["distance"] <= pairs["tolerance"]].sort_values(["moment", "distance", "shift_code"])
    best = within.drop_duplicates("moment").set_index("moment")["shift_code"].reindex(range(len(moments)))
    return pd.Series(best.to_numpy(), index=moments.index, dtype="str")


def shift_lengths(shifts: pd.DataFrame) -> pd.Series:
    """Length of each shift by unit_code and shift_code, the longest of its rows; `shifts` are `ref.shifts`."""
    borders = [
        np.array([parse_clock(text) for text in shifts[name]], dtype=np.int64) for name in ("start_local", "end_local")
    ]
    minutes = (borders[1] - borders[0] - 1) % (24 * 60) + 1  # one that ends when it starts lasts a day
    keys = pd.MultiIndex.from_frame(shifts[["unit_code", "shift_code"]].astype(object))
    return pd.Series(pd.to_timedelta(minutes, unit="min"), index=keys).groupby(level=[0, 1]).max()


def shifts_over_midnight(shifts: pd.DataFrame) -> set[tuple[str, str]]:
    """unit_code and shift_code of the shifts that end on the day after they start; `shifts` are `ref.shifts`."""
    return {
        (row.unit_code, row.shift_code)
        for row in shifts.itertuples()
        if parse_clock(row.end_local) <= parse_clock(row.start_local)
    }


def turnos_over_midnight(unit_codes: Iterable[object], turnos: Iterable[object], shifts: pd.DataFrame) -> np.ndarray:
    """Whether each TURNO of a bulletin is a shift of its unit that ends on the day after it starts.

    Carriers write a code in any case, and the word before it: of a `c` for C, dated by its shift, the run of the
    morning after was a phantom.

    Args:
        unit_codes: the unit of each run's vehicle on its DATA.
        turnos: as written; null where there is none.
        shifts: `ref.shifts`.
    """
    over_midnight = {(unit, _written_alike(code)) for unit, code in shifts_over_midnight(shifts)}
    keys = zip(unit_codes, map(_written_alike, turnos), strict=True)
    return np.array([key in over_midnight for key in keys], dtype=bool)


@lru_cache(maxsize=1024)  # runs have a handful of them
def _written_alike(turno: object) -> str | None:
    return _WORD.sub("", fold(turno)) if isinstance(turno, str) else None


@lru_cache(maxsize=1024)  # a plan of 1,300 lines has a handful of texts, and each is asked of every day of the cycle
def parse_weekdays(text: str | None) -> frozenset[int]:
    """ISO weekdays of a text such as `1-5`, `1,3,5` or `6-1`; empty means every day.

    Raises ValueError when the text is none of these.
    """
    if text is None or not str(text).strip():
        return frozenset(range(1, 8))
    days: set[int] = set()
    for part in re.split(r"[,;\s]+", str(text).strip()):
        found = _WEEKDAYS.match(part)
        if found is None:
            raise ValueError(f"weekdays {text!r} are not ISO weekdays such as 1-5 or 1,3,5")
        first, last = int(found[1]), int(found[2] or found[1])
        days.update((first - 1 + step) % 7 + 1 for step in range((last - first) % 7 + 1))
    return frozenset(days)


def parse_clock(text: str) -> int:
    """Minutes after midnight of `HH:MM` (seconds are ignored); hours past 24 are the day after.

    Raises ValueError when the text is not a time.
    """
    found = re.match(r"^(\d{1,2}):([0-5]\d)(?::[0-5]\d)?$", str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time of day such as 07:30")
    return int(found[1]) * 60 + int(found[2])


def _occurrences(days: pd.DataFrame, shifts: pd.DataFrame, default_tolerance_min: float) -> pd.DataFrame:
    """unit_code, timezone, day, shift_code, starts_at, ends_at (UTC), tolerance: every shift around each day."""
    starts = np.array([parse_clock(text) for text in shifts["start_local"]], dtype=np.int64)
    ends = np.array([parse_clock(text) for text in shifts["end_local"]], dtype=np.int64)
    weekdays = [parse_weekdays(None if pd.isna(text) else text) for text in shifts["weekdays"]]
    tolerance = shifts["tolerance_min"].astype("float64").fillna(default_tolerance_min)
    table = pd.DataFrame(
        {
            "unit_code": shifts["unit_code"].to_numpy(dtype=object),
            "shift_code": shifts["shift_code"].to_numpy(dtype=object),
            "start_min": starts,
            "end_min": np.where(ends > starts, ends, ends + 24 * 60),
            "tolerance": pd.to_timedelta(tolerance.to_numpy(), unit="min").astype("timedelta64[us]"),
            "row": np.arange(len(shifts)),
        }
    )
    runs_on = np.zeros((len(shifts), 8), dtype=bool)
    for row, chosen in enumerate(weekdays):
        runs_on[row, list(chosen)] = True
    laid = days.merge(table, on="unit_code").merge(pd.DataFrame({"offset": list(_START_OFFSETS)}), how="cross")
    start_day = laid["day"] + pd.to_timedelta(laid["offset"], unit="D")
    laid = laid.assign(start_day=start_day)[runs_on[laid["row"], start_day.dt.day_of_week + 1]]
    both = []
    for is_second in (False, True):  # a border in the hour that a clock change repeats is met twice
        at = {
            name: to_utc(
                laid["start_day"] + pd.to_timedelta(laid[minutes], unit="min"), laid["timezone"], is_second=is_second
            )
            for name, minutes in (("starts_at", "start_min"), ("ends_at", "end_min"))
        }
        both.append(laid.assign(**at).drop(columns=["start_min", "end_min", "row", "offset", "start_day"]))
    return pd.concat(both).drop_duplicates()

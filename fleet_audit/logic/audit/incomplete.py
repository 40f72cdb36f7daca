"""Days on which a source is missing or incomplete by our own fault: an API that did not answer, a refused file.

Rules that need such a source are not tested for that day; it is never a finding against a carrier.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days

# The letters by which a rule names its sources, of the kinds of `ops.incomplete_days`.
LETTERS = {"api": "P", "telemetry": "P", "visit_report": "V", "bulletin": "B"}
SOURCE_LETTERS = frozenset(LETTERS.values())
_COLUMNS = ["operational_date", "source", "carrier_code", "plate", "reason_pt", "is_of_rows"]
_LOW_PT = "linhas do dia foram recusadas em excesso"
_API_PT = "a API de telemetria não respondeu por todo o dia"


def resting_on(sources: Iterable[str]) -> set[str]:
    """The sources; beside positions the devices, too: a refused row of theirs may say of which vehicle these are.

    Of a device that a refused row had moved to another bus a run of the first bus was D05 at 0.99, its D06 excused.
    """
    asked = set(sources)
    return asked | {"devices"} if "P" in asked else asked


def no_incomplete_days() -> pd.DataFrame:
    """`incomplete_sources` of days on which every source arrived: no rows."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})


def incomplete_sources(
    files: pd.DataFrame,
    api_gaps: pd.DataFrame,
    refused: pd.DataFrame | None = None,
    acceptance: pd.DataFrame | None = None,
    vehicles: pd.DataFrame | None = None,
    terms: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """operational_date, source, carrier_code, plate (both empty: all), reason_pt, is_of_rows of such days.

    The source is P, V or B, or a reference table.

    is_of_rows: single rows were refused beside accepted ones, not a file. Where less than day_acceptance_pct of a
    day was accepted they weigh as a file does, and those that name no vehicle concern all: an interface that changed at
    noon lost half of a day, and the runs of its afternoon were D06. Such positions concern each of `vehicles` on its
    own: an unregistered device in a wrong year left no vehicle tested, whatever was observed of it. Not so those of a
    bulletin: each is a run by itself, and one typed wrongly of a vehicle's eight leaves the others tested. Which of the
    days of one plate are complete nevertheless is decided in `rules.day.gaps`.

    Args:
        files: operational_date, source, carrier_code, plates, reason_pt of `ops.incomplete_days`.
        api_gaps: operational_date of each stretch that the telemetry API has not answered.
        refused: operational_date, source, plate (empty: none that is known), reason_pt of rows refused one by one.
        acceptance: operational_date, source_kind, is_low of `ops.day_acceptance`.
        vehicles: operational_date, plate of the vehicles of each day.
        terms: operational_date, source, plate (empty: all), reason_pt of refused rows of reference tables.
    """
    of_files = files[["operational_date", "source", "carrier_code", "reason_pt"]].astype(object)
    plates = files["plates"].astype("str").str.split(",").astype(object).where(files["plates"].notna(), "")
    of_files = of_files.assign(source=of_files["source"].map(LETTERS), plate=plates, is_of_rows=False).explode("plate")
    days = sorted(set(api_gaps["operational_date"]))
    of_api = pd.DataFrame([(day, "P", "", "", _API_PT, False) for day in days], columns=_COLUMNS)
    frames = [no_incomplete_days(), of_files, of_api.astype(object)]
    if refused is not None:
        frames.append(_of_rows(refused, _is_low(refused, acceptance), vehicles))
    if terms is not None:
        frames.append(terms.astype(object).assign(carrier_code="", is_of_rows=False))
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)


def _of_rows(refused: pd.DataFrame, is_low: np.ndarray, vehicles: pd.DataFrame | None) -> pd.DataFrame:
    rows = refused.assign(source=refused["source"].map(LETTERS), carrier_code="", is_of_rows=~is_low).astype(object)
    is_named = rows["plate"].ne("")
    if vehicles is None:
        return rows[is_low | is_named]
    is_of_each = is_low & ~is_named & rows["source"].eq("P")
    days = vehicles[["operational_date", "plate"]].astype(object)
    of_each = rows[is_of_each].drop(columns="plate").merge(days, on="operational_date")
    return pd.concat([rows[~is_of_each & (is_low | is_named)], of_each], ignore_index=True)


def low_days(acceptance: pd.DataFrame) -> pd.DataFrame:
    """`refused` of `incomplete_sources`, of all vehicles of each source and day that the report calls incomplete.

    For the rules of a cycle, which do not read the refused rows again: half of the trips of a day whose afternoon was
    refused made the carrier's invoice exceed them.
    """
    low = acceptance[acceptance["is_low"].astype(bool) & acceptance["source_kind"].isin(list(LETTERS))]
    return low[["operational_date"]].assign(source=low["source_kind"], plate="", reason_pt=_LOW_PT)


def _is_low(refused: pd.DataFrame, acceptance: pd.DataFrame | None) -> np.ndarray:
    """Whether the report calls the source of each refused row, other than a bulletin, incomplete on its day."""
    if acceptance is None:
        return np.zeros(len(refused), dtype=bool)
    low = acceptance[acceptance["is_low"].astype(bool) & (acceptance["source_kind"] != "bulletin")]
    days = [as_days(frame["operational_date"]) for frame in (refused, low)]
    sources = [refused["source"].astype(object), low["source_kind"].astype(object)]
    own, marked = (pd.MultiIndex.from_arrays(keys) for keys in zip(days, sources, strict=True))
    found: np.ndarray = own.isin(marked)
    return found

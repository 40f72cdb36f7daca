"""Where a visit report contradicts itself: totals against rows, arithmetic of a row, plates, its own period (Q05).

A contradiction is a note beside the accepted rows, never a reason to reject them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.formats import numbers, values
from fleet_audit.formats.visit_report.layout import Layout
from fleet_audit.logic.primitives.identity import PLATE, normalise_plate
from fleet_audit.schema.derive import pandas_dtype
from fleet_audit.schema.lake import PARSED_VISIT_LEGS

ROUNDING_KM = Decimal("0.005")  # a row: the report rounds each distance to 0.01 km
_ROUNDING_S = 1  # a row: it cuts each duration to whole seconds
_PLATE_LIKE = re.compile(r"\b([A-Za-z]{3}[\s.\-]{0,3}[0-9][0-9A-Za-z][0-9]{2})\b")


def find_notes(legs: pd.DataFrame, layout: Layout, line_numbers: list[int]) -> pd.DataFrame:
    """Notes without their file: note_code, plate, date, expected, found, difference_km, row_number.

    Args:
        legs: all movement rows, the rejected ones too, with block, plate, the times and the facts of a leg.
        layout: the report's structure.
        line_numbers: line number of each row of the file.
    """
    notes = [*_totals(legs, layout, line_numbers), _durations(legs), _outside(legs, layout), _spellings(legs, layout)]
    return pd.concat([note for note in notes if len(note)] or [pd.DataFrame(columns=["row_number"])], ignore_index=True)


def _totals(legs: pd.DataFrame, layout: Layout, line_numbers: list[int]) -> list[pd.DataFrame]:
    """`Totais` against the sum of its rows, block by block; blocks with an illegible cell are not compared."""
    totals = layout.totals
    stated = {
        "reported_km": numbers.decimals(numbers.plain_numbers(totals["km"], numbers.TWO_DECIMALS).plain, _km_dtype()),
        "driving_s": values.durations(totals["driving"]),
        "stopped_s": values.durations(totals["stopped"]),
    }
    codes = {
        "reported_km": "total_km_mismatch",
        "driving_s": "total_driving_mismatch",
        "stopped_s": "total_stopped_mismatch",
    }
    by_block = legs.groupby("block")
    about = by_block.agg(plate=("plate", "first"), date=("departed_local", "min"), rows=("plate", "size"))
    notes = []
    for name, code in codes.items():
        complete = by_block[name].agg("count").eq(about["rows"])
        frame = (
            about.assign(sum=by_block[name].sum())[complete]
            .join(
                pd.DataFrame(
                    {"stated": stated[name].to_numpy(dtype=object), "line": totals.index},
                    index=totals["block"].to_numpy(),
                ),
                how="inner",
            )
            .dropna(subset=["stated"])
        )
        bound = ROUNDING_KM if name == "reported_km" else _ROUNDING_S
        frame = frame.assign(difference=frame["stated"] - frame["sum"].astype(object))
        frame = frame[(frame["difference"].abs() > frame["rows"].astype(object) * bound).astype(bool)]
        notes.append(
            pd.DataFrame(
                {
                    "note_code": code,
                    "plate": frame["plate"],
                    "date": frame["date"].dt.date,
                    "expected": frame["sum"].map(_shown(name)),
                    "found": frame["stated"].map(_shown(name)),
                    "difference_km": frame["difference"] if name == "reported_km" else None,
                    "row_number": [line_numbers[line] for line in frame["line"]],
                }
            )
        )
    return notes


def _durations(legs: pd.DataFrame) -> pd.DataFrame:
    """Arrival - departure against the driving time, which are equal in a sound report."""
    elapsed = (legs["arrived_local"] - legs["departed_local"]).dt.total_seconds()
    differs = (elapsed - legs["driving_s"].astype("float64")).abs().gt(1)
    rows = legs[differs]
    return _row_notes("duration_mismatch", rows, elapsed[differs].map(_clock), rows["driving_s"].map(_clock))


def _outside(legs: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Departures after the stated window; one before it is usual (a movement that was under way)."""
    day = layout.windows.assign(date=pd.to_datetime(layout.windows["date"]).astype("datetime64[us]"))
    by_day = day.drop_duplicates(["block", "date"]).set_index(["block", "date"])["window_end_local"]
    keys = pd.MultiIndex.from_arrays([legs["block"], legs["departed_local"].dt.normalize()])
    ends = pd.Series(pd.to_datetime(by_day.reindex(keys)).to_numpy(), index=legs.index)
    ends = ends.fillna(legs["block"].map(layout.blocks["period_last"]))
    rows = legs[(legs["departed_local"] >= ends + pd.Timedelta(minutes=1)).fillna(False)]
    return _row_notes(
        "outside_window",
        rows,
        ends[rows.index].dt.strftime("até %d/%m/%Y %H:%M"),
        rows["departed_local"].dt.strftime("%d/%m/%Y %H:%M:%S"),
    )


def _spellings(legs: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """A description that names a plate, and not the block's own."""
    blocks = legs.drop_duplicates("block")
    described = blocks["block"].map(layout.blocks["asset_description"]).fillna("")
    named = [[normalise_plate(found) for found in _PLATE_LIKE.findall(text)] for text in described]
    named = [[plate for plate in plates if PLATE.match(plate)] for plates in named]
    pairs = zip(named, blocks["plate"], strict=True)
    differs = np.array([bool(plates) and plate not in plates for plates, plate in pairs], dtype=bool)
    return _row_notes(
        "plate_spelling",
        blocks[differs],
        blocks["plate"][differs],
        [" ".join(plates) for plates, is_other in zip(named, differs, strict=True) if is_other],
    )


def _row_notes(code: str, rows: pd.DataFrame, expected: object, found: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "note_code": code,
            "plate": rows["plate"],
            "date": rows["departed_local"].dt.date,
            "expected": expected,
            "found": found,
            "row_number": rows["row_number"],
        }
    )


def _shown(name: str) -> Callable[[Any], str]:
    return str if name == "reported_km" else _clock


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def _km_dtype() -> pd.ArrowDtype:
    return pandas_dtype(PARSED_VISIT_LEGS.column("reported_km"))

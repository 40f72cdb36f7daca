"""Places of stops whose coordinates are rounded to cells: what the cell proves, and what documents decide.

A document alone proves no place. It decides where the cell is small, touches one place only and lies in it by half or
more. Where a stop can lie is in `cells`, what documents name in `documented_ends`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import ANYWHERE, Places
from fleet_audit.logic.trips.segmentation import Segmentation

_MOST_DEGREES = 0.01  # of a cell that documents decide: one of one decimal, 22 km wide, holds a town beside the mill
_LEAST_SHARE = 0.5  # of a smaller share the cell says that the vehicle was rather elsewhere


def place_in_cells(
    segmentation: Segmentation, poi_ids: np.ndarray, local_days: np.ndarray, places: Places, documented: pd.DataFrame,
    parameters: ParameterSet,
) -> np.ndarray:  # fmt: skip
    """Set in `poi_ids` the proven places of stops with cells; return the candidates of the others (None: none).

    `ANYWHERE` is that of a stop that its cells do not bound, and of one without a fix and without cells.

    Proven by its cell alone is what all of it proves. The only place that a cell of two decimals touches is proven
    where it holds half of it and documents name it for this stop, and no other one; the candidate then stays beside it.

    Args:
        poi_ids, local_days: of each stop; documented: `documented_ends.documented_ends`.
    """
    cells, tracks, found = segmentation.cells, segmentation.tracks, segmentation.stop_columns
    candidates = np.full(len(poi_ids), None, dtype=object)
    candidates[np.isnan(found["latitude"])] = ANYWHERE
    if cells.empty:
        return candidates
    is_bounded = cells["south"].notna()
    candidates[cells.loc[~is_bounded, "stop"]] = ANYWHERE
    cells = cells[is_bounded]
    stop = cells["stop"].to_numpy()
    poi_ids[stop], candidates[stop] = places.locate_cells(cells, local_days[stop])
    named = np.full(len(poi_ids), None, dtype=object)
    plates = tracks.index["plate"].to_numpy(dtype=object)[found["track"]]
    seconds = {f"{name}_s": tracks.seconds[found[name]] for name in ("first", "last")}
    possible = np.where(pd.isna(candidates), poi_ids, candidates)
    stops = pd.DataFrame({"plate": plates, "possible": possible, **seconds})
    of_plates = np.isin(plates, plates[stop])
    named[of_plates] = documented_stops(stops[of_plates].reset_index(drop=True), documented, parameters.match_widen_s)
    is_fine = cells["unit"].to_numpy() <= _MOST_DEGREES * (1 + 1e-6)  # a grid is measured in float32
    asked = cells[is_fine & ~pd.isna(candidates[stop]) & (candidates[stop] == named[stop])]
    stop = asked["stop"].to_numpy()
    decided = stop[places.shares_of_cells(asked, candidates[stop], local_days[stop]) >= _LEAST_SHARE]
    poi_ids[decided] = candidates[decided]
    return candidates


def documented_stops(stops: pd.DataFrame, ends: pd.DataFrame, widen_s: float) -> np.ndarray:
    """The one place that documents name for each stop (None: none, or several).

    An end describes the stop of its vehicle that lies nearest in time, within `widen_s`; of equals, the earlier.

    Args:
        stops: plate, first_s, last_s (seconds since 1970), possible (its proven place, or the candidates).
        ends: `documented_ends`.
    """
    stop = _nearest_stops(stops, ends, widen_s)
    counted = ends.assign(stop=stop)[(stop >= 0) & _is_counted(stops, ends, stop)]
    of_stop = counted.groupby("stop")["poi_id"].agg(["nunique", "first"])
    only = of_stop.loc[of_stop["nunique"] == 1, "first"].reindex(stops.index)
    return only.astype(object).where(only.notna(), None).to_numpy(dtype=object)


def _nearest_stops(stops: pd.DataFrame, ends: pd.DataFrame, widen_s: float) -> np.ndarray:
    """The number of the stop that each end describes, -1: none.

    All pairs of 500 vehicles with 80 stops and 64 ends took 2.3 s and 218 MB.
    """
    codes = pd.factorize(np.concatenate([stops["plate"].to_numpy(dtype=object), ends["plate"].to_numpy(dtype=object)]))[
        0
    ]
    known = stops[["first_s", "last_s"]].assign(stop=np.arange(len(stops)), vehicle=codes[: len(stops)])
    asked = ends[["at_s"]].assign(end=np.arange(len(ends)), vehicle=codes[len(stops) :])
    known, asked = known.sort_values("first_s", kind="stable"), asked.sort_values("at_s", kind="stable")
    before, after = (
        pd.merge_asof(asked, known, left_on="at_s", right_on="first_s", by="vehicle", direction=direction,
                      allow_exact_matches=direction == "backward").set_index("end").reindex(ends.index)
        for direction in ("backward", "forward")
    )  # fmt: skip
    at_s = ends["at_s"].to_numpy()
    since_s = np.maximum(at_s - before["last_s"].to_numpy(), 0)
    until_s = after["first_s"].to_numpy() - at_s
    is_before = ~(until_s < since_s) & ~np.isnan(since_s)
    apart_s = np.where(is_before, since_s, until_s)
    nearest = np.where(is_before, before["stop"].to_numpy(), after["stop"].to_numpy())
    return np.where(apart_s <= widen_s, nearest, -1).astype(np.int64)


def _is_counted(stops: pd.DataFrame, ends: pd.DataFrame, stop: np.ndarray) -> np.ndarray:
    """Whether each end counts for its stop: of a night run that may be dated a day early, on the day that it fits.

    It fits where the stop's only possible place is the one that it names. Where it fits on both days, or the later one
    is not seen yet, it counts only at a stop of which the run of the other day names the same place: then the stop was
    there whichever day is meant. Where it fits on neither day it contradicts on both.
    """
    possible = np.append(stops["possible"].to_numpy(dtype=object), [None])
    poi_id = ends["poi_id"].to_numpy(dtype=object)
    night, is_moved = ends["night"].to_numpy(), ends["is_moved"].to_numpy(dtype=bool)
    is_late = ends["is_late"].to_numpy(dtype=bool)
    fits = (possible[stop] == poi_id) & ~(is_moved & is_late)
    fits_other = np.zeros(len(ends), dtype=bool)
    written, moved = np.flatnonzero((night >= 0) & ~is_moved), np.flatnonzero(is_moved)  # both in order of night
    fits_other[written], fits_other[moved] = fits[moved] | is_late[moved], fits[written]
    of_stop = pd.DataFrame({"stop": stop, "poi_id": poi_id})
    agrees = np.ones(len(ends), dtype=bool)
    for side in (~is_moved, is_moved):
        is_named = pd.Series(fits & side & (night >= 0)).groupby([of_stop["stop"], of_stop["poi_id"]]).transform("any")
        agrees &= is_named.to_numpy(dtype=bool)
    is_neither = ~fits & ~fits_other
    counts: np.ndarray = (night < 0) | (fits & (~fits_other | agrees)) | is_neither
    return counts

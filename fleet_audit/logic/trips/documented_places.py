"""Places of stops whose coordinates are rounded to cells: what the cell proves, and what documents decide.

A document alone proves no place. It decides where the cell is small, touches one place only and lies in it by half or
more. Where a stop can lie is in `stop_cells`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import dates
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.named_places import places_named_by_runs
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.logic.trips.segmentation import Segmentation

_MOST_DEGREES = 0.01  # of a cell that documents decide: one of one decimal, 22 km wide, holds a town beside the mill
_LEAST_SHARE = 0.5  # of a smaller share the cell says that the vehicle was rather elsewhere
_SIDES = (("origin", "started_at"), ("destination", "ended_at"))


def documented_ends(
    segmentation: Segmentation, visits: pd.DataFrame, runs: pd.DataFrame, places: Places, reference: Reference
) -> pd.DataFrame:
    """plate, at_s (seconds since 1970) and poi_id of each end of a movement at which a document names one place.

    Of vehicles that have stops with cells; the others have a fix.

    Args:
        segmentation: of the positions.
        visits: `staging.visit_legs` with timezone; runs: `staging.declared_runs`.
        places: the places of `ref.pois`; reference: pois and vehicles.
    """
    tracks = segmentation.tracks.track_of(segmentation.stop_columns["first"][segmentation.cells["stop"]])
    plates = segmentation.tracks.index["plate"].iloc[np.unique(tracks)]
    visits, runs = (rows[rows["plate"].isin(plates)] for rows in (visits, runs))
    registered = reference.vehicles.sort_values("valid_from", na_position="first", kind="stable")
    units = registered.drop_duplicates("plate", keep="last").set_index("plate")["unit_code"]
    runs = runs.assign(unit_code=runs["plate"].map(units))
    ends = []
    for side, instant in _SIDES:
        days = local_days(visits[instant], visits["timezone"])
        ends.append(_ends(visits, instant, places.locate_address(visits[f"{side}_address"], days)))
        for day, own in runs.groupby("date"):
            named = places_named_by_runs(own, side, valid_on(reference.pois, _date(day)))
            ends.append(_ends(own, instant, np.array([place and place["poi_id"] for place in named], dtype=object)))
    return pd.concat(ends, ignore_index=True).dropna(subset="poi_id").reset_index(drop=True)


def _date(day: object) -> dt.date:
    return dates(np.array([day], dtype="datetime64[D]"))[0]  # type: ignore[no-any-return]


def _ends(rows: pd.DataFrame, instant: str, poi_id: np.ndarray) -> pd.DataFrame:
    micros = rows[instant].to_numpy("datetime64[us]").astype(np.int64)
    return pd.DataFrame({"plate": rows["plate"].to_numpy(dtype=object), "at_s": micros / 1e6, "poi_id": poi_id})


def place_in_cells(
    segmentation: Segmentation, poi_ids: np.ndarray, local_days: np.ndarray, places: Places, documented: pd.DataFrame,
    parameters: ParameterSet,
) -> np.ndarray:  # fmt: skip
    """Set in `poi_ids` the proven places of stops with cells; return the candidates of the others (None: none).

    Proven by its cell alone is what all of it proves. The only place that a cell of two decimals touches is proven
    where it holds half of it and documents name it for this stop, and no other one; the candidate then stays beside it.

    Args:
        poi_ids, local_days: of each stop; documented: `documented_places.documented_ends`.
    """
    candidates = np.full(len(poi_ids), None, dtype=object)
    cells, tracks, found = segmentation.cells, segmentation.tracks, segmentation.stop_columns
    if cells.empty:
        return candidates
    stop = cells["stop"].to_numpy()
    poi_ids[stop], candidates[stop] = places.locate_cells(cells, local_days[stop])
    named = np.full(len(poi_ids), None, dtype=object)
    plates = tracks.index["plate"].to_numpy(dtype=object)[found["track"]]
    seconds = {f"{name}_s": tracks.seconds[found[name]] for name in ("first", "last")}
    stops = pd.DataFrame({"plate": plates, **seconds})
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
        stops: plate, first_s, last_s (seconds since 1970).
        ends: `documented_ends`.
    """
    own = ends[ends["plate"].isin(stops["plate"].unique())].reset_index(names="end")
    pairs = stops.reset_index(names="stop").merge(own, on="plate")
    apart_s = np.maximum(np.maximum(pairs["first_s"] - pairs["at_s"], pairs["at_s"] - pairs["last_s"]), 0)
    pairs = pairs.assign(apart_s=apart_s)[apart_s <= widen_s].sort_values(["end", "apart_s", "first_s"])
    of_stop = pairs.drop_duplicates("end").groupby("stop")["poi_id"].agg(["nunique", "first"])
    only = of_stop.loc[of_stop["nunique"] == 1, "first"].reindex(stops.index)
    return only.astype(object).where(only.notna(), None).to_numpy(dtype=object)

"""Trips whose purpose stays unknown because a place is not proven: they may be service.

Which places an end can lie in is decided in `documented_places`, the purpose of a trip in `classification`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.reference.places import CANDIDATES_SEPARATOR, WORKPLACES, Places

_SIDES = ("origin", "destination")


def open_candidates(trips: pd.DataFrame, side: str) -> pd.Series:
    """The places in which an end without a proven place can lie, comma separated; null: none, or it is proven.

    Trips that an earlier release closed have no candidates.
    """
    ends = trips.reindex(columns=[f"{side}_poi_id", f"{side}_candidates"])
    return ends[f"{side}_candidates"].where(ends[f"{side}_poi_id"].isna()).astype("str")


def can_be_workplaces(candidates: np.ndarray, places: Places) -> np.ndarray:
    """Whether a workplace is among the candidates of each stop."""
    codes, distinct = pd.factorize(candidates)
    kinds = [places.kinds(np.array(text.split(CANDIDATES_SEPARATOR), dtype=object)) for text in distinct]
    can_be = [bool(np.isin(of_stop.astype(str), WORKPLACES).any()) for of_stop in kinds]
    return np.array([*can_be, False], dtype=bool)[codes]


def possible_ends(trips: pd.DataFrame) -> pd.DataFrame:
    """The ends that each trip with an unproven place can have: trip (number), origin_poi_id and destination_poi_id.

    One row per pair of them. An unproven end can lie in each of its candidates, and in none of them (null).
    """
    names = [f"{side}_{name}" for side in _SIDES for name in ("poi_id", "candidates")]
    rows = trips.reindex(columns=names).reset_index(drop=True)
    candidates = {side: open_candidates(rows, side) for side in _SIDES}
    is_open = pd.concat(candidates, axis=1).notna().any(axis=1)
    pairs = pd.DataFrame({"trip": rows.index[is_open]})
    for side in _SIDES:
        known, possible = rows.loc[is_open, f"{side}_poi_id"], candidates[side][is_open].str.split(CANDIDATES_SEPARATOR)
        each = pd.concat([known, possible.explode().dropna()]).rename(f"{side}_poi_id")
        pairs = pairs.merge(each.rename_axis("trip").reset_index().drop_duplicates(), on="trip")
    return pairs


def may_be_service(trips: pd.DataFrame) -> np.ndarray:
    """Whether the purpose of each trip is unknown and an end of it can lie in a place that is not proven.

    In whichever: an arrival at a workplace that is not proven need not end a trip. 13 simulated runs of 48 to 77 km
    were one trip each, and the ends of all could lie in garages, lodgings and points of departure alone.
    """
    is_open = [open_candidates(trips, side).notna().to_numpy(dtype=bool) for side in _SIDES]
    return np.logical_or(*is_open) & (trips["purpose"] == "unknown").to_numpy(dtype=bool)

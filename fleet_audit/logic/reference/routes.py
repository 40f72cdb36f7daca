"""Which contracted route a trip follows: by its two places, else by their texts.

What a route costs is in `tariffs`; a route found by text sets no tariff there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process, utils

from fleet_audit.logic.primitives.identity import fold


def find_routes(trips: pd.DataFrame, routes: pd.DataFrame, text_min: float) -> pd.DataFrame:
    """route_code and route_method (`places`, `text`; null: none) of each trip, of the trip's index.

    Origin and destination equal to a route's, in that direction, decide; else the route whose keywords, taken together,
    resemble the two places' texts best by `token_set_ratio`, at least `text_min`. Ties by route_code. Only routes of
    the trip's unit and those without a unit take part; where one text is missing nothing is found by text.

    Args:
        trips: unit_code, origin_poi_id, destination_poi_id, origin_text, destination_text (names and addresses).
        routes: `ref.routes`.
        text_min: lowest score, 0-100.
    """
    routes = routes.sort_values("route_code", kind="stable")
    by_places = routes_by_places(trips, routes)
    by_text = _by_text(trips[by_places.isna()], routes, text_min).reindex(trips.index)
    method = pd.Series("places", index=trips.index).where(by_places.notna(), "text")
    return pd.DataFrame(
        {
            "route_code": by_places.where(by_places.notna(), by_text).astype("str"),
            "route_method": method.where(by_places.notna() | by_text.notna()).astype("str"),
        },
        index=trips.index,
    )


def routes_by_places(trips: pd.DataFrame, routes: pd.DataFrame) -> pd.Series:
    """route_code (null: none) of each trip whose origin and destination are a route's, as `find_routes` does."""
    ends = ["origin_poi_id", "destination_poi_id"]
    asked = trips[["unit_code", *ends]].reset_index(drop=True).reset_index(names="trip").dropna(subset=ends)
    pairs = asked.merge(routes[["route_code", "unit_code", *ends]], on=ends, suffixes=("", "_route"))
    allowed = pairs[pairs["unit_code_route"].isna() | (pairs["unit_code_route"] == pairs["unit_code"])]
    first = allowed.sort_values(["trip", "route_code"]).drop_duplicates("trip").set_index("trip")["route_code"]
    return pd.Series(first.reindex(range(len(trips))).to_numpy(), index=trips.index, dtype="str")


def _by_text(trips: pd.DataFrame, routes: pd.DataFrame, text_min: float) -> pd.Series:
    routes = routes[routes["keywords"].notna()]
    asked = trips.dropna(subset=["origin_text", "destination_text"])
    distinct = asked[["unit_code", "origin_text", "destination_text"]].drop_duplicates()
    if routes.empty or distinct.empty:
        return pd.Series(index=trips.index, dtype="str")
    texts = [
        _words(f"{origin} {end}")
        for origin, end in zip(distinct["origin_text"], distinct["destination_text"], strict=True)
    ]
    keywords = [_words(text) for text in routes["keywords"]]
    scores = process.cdist(texts, keywords, scorer=fuzz.token_set_ratio, dtype=np.float64)
    route_unit = routes["unit_code"].to_numpy(dtype=object)
    same_unit = route_unit[np.newaxis, :] == distinct["unit_code"].to_numpy(dtype=object)[:, np.newaxis]
    scores[~(same_unit | pd.isna(route_unit))] = -1
    best = scores.argmax(axis=1)  # the first of equals, and routes are in order of their code
    found = np.where(scores.max(axis=1) >= text_min, routes["route_code"].to_numpy(dtype=object)[best], None)
    answer = distinct.assign(route_code=found)
    joined = asked.reset_index(names="row").merge(answer, on=["unit_code", "origin_text", "destination_text"])
    return pd.Series(joined["route_code"].to_numpy(), index=joined["row"], dtype="str").reindex(trips.index)


def _words(text: str) -> str:
    """Folded, every sign a space: `Av. Cuiabá, 104` and `teodoro;cuiaba` are then compared word by word."""
    return utils.default_process(fold(text))

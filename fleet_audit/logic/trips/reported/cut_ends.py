"""Ends of trips that a silence cuts shortly before the arrival, or after the departure, as visit reports state them.

A report that counts km beyond those of positions makes one trip with theirs: that is in `joined`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.reported.silent import REACH_US

_SIDES = (("origin", "started_at", "is_start_in_gap", "first"), ("destination", "ended_at", "is_end_in_gap", "last"))
_REACH = pd.Timedelta(microseconds=REACH_US)


def with_reported_ends(trips: pd.DataFrame, evidence: pd.DataFrame, by: pd.Series, places: Places) -> pd.DataFrame:
    """Trips of positions, with the place of the report at an end that a silence hides: one that ends trips.

    The report's trip is evidence of this one, shares half of its time or more, and departs or arrives within REACH_US
    of the cut: what is beyond is within the doubt. A tracker that fell silent 2 min before it reached the mill, or as
    it did, left 18 to 20 km of service without a destination, and unpaid.

    Args:
        trips: those of positions.
        evidence: trips of reports of which no part counts.
        by: trip_id of the trip of positions that measured each.
        places: which of them end trips.
    """
    known, result = evidence.assign(by=by).sort_values(["started_at", "trip_id"]), trips.copy()
    for side, instant, flag, keep in _SIDES:
        cut = trips[trips[flag].astype(bool) & ~trips["is_short"].astype(bool)]
        stated = known.drop_duplicates("by", keep=keep).set_index("by").reindex(cut["trip_id"]).set_axis(cut.index)
        first, last = (
            fold(stated[name], cut[name]) for fold, name in ((np.maximum, "started_at"), (np.minimum, "ended_at"))
        )
        is_known = (2 * (last - first) >= cut["ended_at"] - cut["started_at"]).fillna(False)
        is_known &= ((stated[instant] - cut[instant]).abs() <= _REACH).fillna(False)
        is_known &= places.ends_trip(stated[f"{side}_poi_id"].to_numpy(dtype=object))
        is_known = is_known.reindex(trips.index, fill_value=False)
        for name in (f"{side}_address", f"{side}_poi_id", f"{side}_text"):
            result[name] = trips[name].mask(is_known, stated[name].reindex(trips.index))
        result[flag] = trips[flag].mask(is_known, False)
    return result

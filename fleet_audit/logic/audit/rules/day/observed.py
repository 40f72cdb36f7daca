"""Time over which a vehicle was observed, by positions or by a visit report.

What the time in between can hide is in `unobserved`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import covered_us, intervals, union
from fleet_audit.schema.frames import SpansFrame, TripWindowFrame

_MINUTE_US = 60_000_000  # visit reports round the next departure to the minute


def observed_time(spans: SpansFrame, trips: TripWindowFrame) -> pd.DataFrame:
    """`union` of the time that positions saw, and of the rows of visit reports whose kilometres count.

    A row lasts until the next departure. Of a vehicle that positions show, too, it counts where this departure or its
    own belongs to a trip of which the report alone shows a part, as on a day that only a report covers. Positions
    measure all other trips: on a simulated fleet they fell silent at a stop from 07:29 to 08:47, the report listed the
    16.7 km that followed, and D01, G02 and G08 accused the run of what was missing in the positions.
    """
    is_position = (spans["source"] == "positions").to_numpy(dtype=bool)
    positions, rows = intervals(spans[is_position]), intervals(spans[~is_position])
    is_own = (trips["source"] == "visit_report") | trips["km_reported"].notna()
    own = intervals(trips[is_own])
    own = own.assign(start_us=own["start_us"] - _MINUTE_US)
    departures = (
        rows.assign(end_us=rows["start_us"] + 1),
        rows.assign(start_us=rows["end_us"], end_us=rows["end_us"] + 1),
    )
    counts = np.logical_or(*(covered_us(departure, own) > 0 for departure in departures))
    counts |= ~rows["plate"].isin(positions["plate"]).to_numpy()
    return union(pd.concat([positions, rows[counts]], ignore_index=True))

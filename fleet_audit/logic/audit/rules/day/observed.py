"""Time over which a vehicle was observed, by positions or by a visit report.

What the time in between can hide is in `unobserved`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import covered_us, intervals, union
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.schema.frames import SpansFrame


def observed_time(spans: SpansFrame, parameters: ParameterSet) -> pd.DataFrame:
    """`union` of the time that positions saw, and of the rows of visit reports that know more than positions.

    A row lasts until the next departure. Where positions saw both departures, within gap_note_s, the row shows nothing
    of a silence between them: a row of 07:25 to 14:05 hid that the tracker was silent until 09:10 during a run, which
    D01, G02 and G08 then accused. A row that begins or ends unseen by positions has a source of its own: such are all
    rows of a day that only a report covers.
    """
    is_position = (spans["source"] == "positions").to_numpy(dtype=bool)
    positions, rows = intervals(spans[is_position]), intervals(spans[~is_position])
    margin_us = int(parameters.gap_note_s * 1_000_000)
    near = positions.assign(start_us=positions["start_us"] - margin_us, end_us=positions["end_us"] + margin_us)
    departures = (rows.assign(end_us=rows["start_us"] + 1), rows.assign(start_us=rows["end_us"] - 1))
    is_known = np.logical_and(*(covered_us(departure, near) > 0 for departure in departures))
    return union(pd.concat([positions, rows[~is_known]], ignore_index=True))

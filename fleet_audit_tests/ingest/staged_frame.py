"""Rows of a day of positions as a run leaves them in the lake; what is expected of them belongs to tests."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.ingest.staging import Stage
from fleet_audit.schema.lake import STAGING_POSITIONS


def staged_frame(stage: Stage, day: dt.date) -> pd.DataFrame:
    """`staging.positions` of a day: staged, recorded, written and read."""
    stage.lake.write_encoded(STAGING_POSITIONS, day, stage.staged_positions(day))
    return stage.lake.read_days(STAGING_POSITIONS, [day])

"""Coverage of each vehicle-day: complete, partial or silent.

A silent vehicle-day is unknown, never zero km. One with positions is not silent, however far apart they are: a parked
device that reported every 30 min was "not seen at any moment" on 48 positions a day.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.wall_clock import local_midnight
from fleet_audit.logic.reference.validity import DEFAULT_ZONE
from fleet_audit.logic.trips.reported.parts import OTHER_CLOCK

COMPLETE_SHARE = 0.8  # RULES section 6, D05: a vehicle watched over 80 % of a span counts as watched


def clipped_to_day(spans: pd.DataFrame, day: dt.date, zones: pd.Series) -> pd.DataFrame:
    """Spans (plate, started_at, ended_at) cut to a local day; `zones`: of each row. Empty ones are excluded."""
    bounds = {
        zone: (local_midnight(day, ZoneInfo(zone)), local_midnight(day + dt.timedelta(days=1), ZoneInfo(zone)))
        for zone in zones.unique()
    }
    low = zones.map(lambda zone: bounds[zone][0])
    high = zones.map(lambda zone: bounds[zone][1])
    cut = spans.assign(started_at=spans["started_at"].clip(lower=low), ended_at=spans["ended_at"].clip(upper=high))
    return cut[cut["ended_at"] > cut["started_at"]]


def covered_seconds(spans: pd.DataFrame) -> pd.Series:
    """Seconds of the union of each plate's spans, indexed by plate."""
    ordered = spans.sort_values(["plate", "started_at", "ended_at"])
    reached = ordered.groupby("plate")["ended_at"].cummax()
    before = reached.groupby(ordered["plate"]).shift()
    start = ordered["started_at"].where(before.isna() | (before < ordered["started_at"]), before)
    return (ordered["ended_at"] - start).dt.total_seconds().clip(lower=0).groupby(ordered["plate"]).sum()


def vehicle_day_coverage(
    day: dt.date, spans: pd.DataFrame, readings: pd.DataFrame, legs: pd.DataFrame, vehicles: pd.DataFrame
) -> pd.DataFrame:
    """Rows of `fact.vehicle_day_coverage` without the trace columns.

    Args:
        day: operational day.
        spans: `trips.observed_spans` of its window; readings: `trips.odometer_days`; legs: `trips.legs`.
        vehicles: plate, unit_code, carrier_code, timezone of the vehicles valid on the day.
    """
    known = vehicles.drop_duplicates("plate").set_index("plate")
    zones = spans["plate"].map(known["timezone"]).fillna(DEFAULT_ZONE)
    day_spans = clipped_to_day(spans, day, zones)
    seconds = covered_seconds(day_spans)
    received = readings.groupby("plate")["positions"].sum()
    plates = sorted({*known.index, *seconds.index, *received.index})
    positions = received.reindex(plates).fillna(0)
    observed = seconds.reindex(plates).mask(lambda own: own.isna() & (positions > 0), 0.0)
    reported = legs[legs["source"] == "visit_report"]
    visits, off = (
        of.groupby("plate").size().reindex(plates).fillna(0).astype("int64").to_numpy()
        for of in (reported, reported[reported["superseded_by_trip_id"].eq(OTHER_CLOCK).fillna(False)])
    )
    share = observed / dt.timedelta(days=1).total_seconds()
    return pd.DataFrame(
        {
            "operational_date": [day] * len(plates),
            "plate": plates,
            "unit_code": known["unit_code"].reindex(plates).to_numpy(),
            "carrier_code": known["carrier_code"].reindex(plates).to_numpy(),
            "status": np.select([share >= COMPLETE_SHARE, observed.notna()], ["complete", "partial"], "silent"),
            "observed_h": (observed / 3600).round(2).to_numpy(),
            "positions": positions.astype("int64").to_numpy(),
            "visit_legs": visits,
            "visit_legs_other_clock": off,
        }
    )

"""Legs and the stops between them in one form, whichever source saw them: positions or a visit report.

A `Chain` is what `trips` joins: legs of one vehicle in time order, and stops with their places on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import as_floats, as_objects, columns_of
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.places import ANYWHERE, Places
from fleet_audit.logic.trips.distance import measured_km
from fleet_audit.logic.trips.kernels.steps import SUMS
from fleet_audit.logic.trips.rounded.documented_places import place_in_cells
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.steps import any_point_between, sum_steps
from fleet_audit.logic.trips.track.points import instant_column, local_days_of


@dataclass(frozen=True)
class Chain:
    """Legs and stops of one source, columns by name.

    legs: the columns of `trips.legs` without ids, operational_date and superseded_by_trip_id, plus chain, timezone,
    stop_before, stop_after (rows of stops, -1: none) and dwell_covered_s; sorted by chain and start.
    stops: chain, first_at, last_at, poi_in (place on the day of arrival), poi_out (on the day of departure),
    candidates_in and candidates_out (of either place), is_after_split (nothing is known of the time before it).

    Legs of positions have origin_candidates and destination_candidates, too: the places in which a stop can lie whose
    coordinates are rounded, or absent, and prove none.
    """

    legs: dict[str, Any]
    stops: dict[str, Any]


def from_positions(
    segmentation: Segmentation, places: Places, documented: pd.DataFrame, parameters: ParameterSet
) -> Chain:
    """The chain of positions: places by coordinates; where they are rounded, `documented_ends` decide too."""
    legs, found = segmentation.leg_columns, segmentation.stop_columns
    tracks, steps = segmentation.tracks, segmentation.steps
    first, last = found["first"], found["last"]
    left = np.concatenate([first[:1], last[:-1]])
    latitude, longitude = found["latitude"], found["longitude"]
    arrived, departed = local_days_of(tracks, first), local_days_of(tracks, last)
    poi_in = places.locate(latitude, longitude, arrived)
    poi_out, later = poi_in.copy(), departed != arrived
    poi_out[later] = places.locate(latitude[later], longitude[later], departed[later])
    candidates_in, candidates_out = (
        place_in_cells(segmentation, poi, days, places, documented, parameters)
        for poi, days in ((poi_in, arrived), (poi_out, departed))
    )
    stops = {
        "chain": found["track"],
        "first_at": instant_column(tracks.seconds[first]),
        "last_at": instant_column(tracks.seconds[last]),
        "poi_in": poi_in,
        "poi_out": poi_out,
        "candidates_in": candidates_in,
        "candidates_out": candidates_out,
        "is_after_split": any_point_between(steps.splits, left, first),
    }
    all_read = np.zeros(len(tracks.seconds), dtype=np.bool_)
    stop_covered = sum_steps(tracks, steps, all_read, first, last, parameters)["covered_s"]
    before, after, size = legs["stop_before"], legs["stop_after"], len(legs["track"])
    nothing = np.full(size, None, dtype=object)
    unplaced = ANYWHERE if "trip_key" in legs else None  # its points have no coordinates: no stop is known
    added = {
        "chain": legs["track"].copy(),
        "origin_poi_id": np.append(poi_out, [None])[before],
        "destination_poi_id": np.append(poi_in, [None])[after],
        "origin_candidates": np.append(candidates_out, [unplaced])[before],
        "destination_candidates": np.append(candidates_in, [unplaced])[after],
        "origin_address": nothing,
        "destination_address": nothing.copy(),
        "km_reported": np.full(size, np.nan),
        "is_maintenance_driver": np.zeros(size, dtype=np.bool_),
        "dwell_s": _seconds_at(stops, after),
        "dwell_covered_s": np.where(after >= 0, np.append(stop_covered, np.nan)[after], np.nan),
        "source": pd.array(["positions"], dtype="str").take(np.zeros(size, dtype=np.int64)),
        "file_sha256": nothing.copy(),
        "row_number": np.full(size, pd.NA, dtype=object),
    }
    return _finished(legs | added, stops, parameters)


def from_visit_legs(visits: pd.DataFrame, places: Places, parameters: ParameterSet) -> Chain:
    """The chain of visit reports (`reported.parts.counted_parts`, with timezone): places by addresses.

    Parts that other trips supersede are a chain of their own: those around them are parted by what was measured there.
    """
    keys = ["plate", "started_at", "ended_at", "file_name", "row_number"]
    visits = visits.sort_values(keys, kind="stable").reset_index(drop=True)
    of_plate, owner = (pd.factorize(visits[name])[0] for name in ("plate", "superseded_by"))
    is_first = (np.diff(of_plate, prepend=-1) != 0) | (np.diff(owner, prepend=-2) != 0)
    chain = np.cumsum(is_first) - 1
    origin = places.locate_address(visits["origin_address"], local_days(visits["started_at"], visits["timezone"]))
    destination = places.locate_address(
        visits["destination_address"], local_days(visits["ended_at"], visits["timezone"])
    )
    # Stops: one before the first leg of each vehicle, and one after every leg.
    after = np.arange(len(visits)) + np.cumsum(is_first)
    before = after - 1
    count = len(visits) + int(is_first.sum())
    rows = pd.DataFrame(index=range(count))
    rows["chain"] = -1
    rows.loc[before, "chain"] = chain
    rows.loc[after, "chain"] = chain
    stays_until = visits["next_departure_at"].fillna(
        visits["ended_at"]
        + pd.to_timedelta(visits["stopped_s"].astype("float64").fillna(0), unit="s").astype("timedelta64[us]")
    )
    for name, at, values in (
        ("first_at", before, visits["started_at"]),
        ("last_at", after, stays_until),
        ("last_at", before, visits["started_at"]),
        ("first_at", after, visits["ended_at"]),
    ):
        if name not in rows:
            rows[name] = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")
        rows.loc[at, name] = values.to_numpy()
    for name, at, values in (("poi_out", before, origin), ("poi_in", after, destination)):
        rows[name] = pd.Series([None] * count, dtype=object)
        rows.loc[at, name] = np.asarray(values, dtype=object)
    rows[["candidates_in", "candidates_out"]] = None
    rows["is_after_split"] = False
    legs = visits.assign(
        chain=chain,
        stop_before=before,
        stop_after=after,
        km_reported=visits["counted_km"].astype("float64"),
        odometer_resolution_km=visits["resolution_km"],
        origin_poi_id=origin,
        destination_poi_id=destination,
        **dict.fromkeys(
            (
                "origin_latitude",
                "origin_longitude",
                "destination_latitude",
                "destination_longitude",
                "km_odometer",
                "odometer_start_km",
                "odometer_end_km",
                *SUMS,
                "km_open",
                "dwell_covered_s",
                "moving_s",
                "moving_steps",
                "passengers_max",
            ),
            np.nan,
        )
        | {"gaps": 0, "origin_candidates": None, "destination_candidates": None},
        first_moving_at=pd.Series(pd.NaT, index=visits.index, dtype="datetime64[us, UTC]"),
        track_digest=0,
        is_odometer_valid=False,
        is_ignition_off_before=False,
        is_ignition_off_after=False,
        passengers_readings=0,
        is_start_in_gap=False,
        is_end_in_gap=False,
        source="visit_report",
    )
    stops = columns_of(rows)
    return _finished(columns_of(legs) | {"dwell_s": _seconds_at(stops, after)}, stops, parameters)


def _seconds_at(stops: dict[str, Any], stop: np.ndarray) -> np.ndarray:
    stayed = (stops["last_at"] - stops["first_at"]).total_seconds()
    return np.where(stop >= 0, np.append(stayed, np.nan)[stop], np.nan)


def identified(legs: pd.DataFrame) -> pd.DataFrame:
    """Legs of one source with their leg_id. Only the day's own legs need one: hashing takes half of a window's time."""
    keys = ["plate", "device_id", "started_at", "source", *(name for name in ("trip_key",) if name in legs)]
    return legs.assign(leg_id=stable_ids(legs, keys, "leg"))


def _finished(legs: dict[str, Any], stops: dict[str, Any], parameters: ParameterSet) -> Chain:
    """The chain of its legs and stops; is_short of the legs is added."""
    duration = (legs["ended_at"] - legs["started_at"]).total_seconds()
    kilometres = measured_km(legs | {"duration_s": duration}, parameters)["km"]
    # An odometer that shows whole kilometres cannot distinguish 0.9 km from standing; the path can.
    path_km = as_floats(legs["km_gps"])
    is_coarse = (as_floats(legs["odometer_resolution_km"]) > parameters.leg_min_km) & ~np.isnan(path_km)
    kilometres = np.where(is_coarse, path_km, kilometres)
    origin, destination = (as_objects(legs[f"{side}_poi_id"]) for side in ("origin", "destination"))
    is_same_place = (origin == destination) & ~pd.isna(origin)
    kilometres = kilometres + np.nan_to_num(as_floats(legs["km_carried"]))  # a ferry is a leg of 0 km
    is_inside = is_same_place & (np.round(kilometres, 2) < parameters.yard_max_km)
    is_short = is_inside | (kilometres < parameters.leg_min_km) | (duration < parameters.leg_min_s)
    return Chain(legs | {"is_short": is_short}, stops)

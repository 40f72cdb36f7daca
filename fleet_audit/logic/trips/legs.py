"""Legs and the stops between them in one form, whichever source saw them: positions or a visit report.

A `Chain` is what `trips` joins: legs of one vehicle in time order, and stops with their places on both sides.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.distance import Columns, measured_km
from fleet_audit.logic.trips.kernels.odometer import resolutions
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.steps import any_point_between, sum_steps
from fleet_audit.logic.trips.track.points import instants, local_days_of


@dataclass(frozen=True)
class Chain:
    """Legs and stops of one source.

    legs: the columns of `trips.legs` without ids, operational_date and superseded_by_trip_id, plus chain, timezone,
    stop_before, stop_after (rows of stops, -1: none) and dwell_covered_s; sorted by chain and start.
    stops: chain, first_at, last_at, poi_in (place on the day of arrival), poi_out (on the day of departure),
    is_after_split (nothing is known of the time before it).
    """

    legs: pd.DataFrame
    stops: pd.DataFrame


def from_positions(segmentation: Segmentation, places: Places, parameters: ParameterSet) -> Chain:
    """The chain of positions: places by coordinates."""
    legs, found, tracks, steps = segmentation.legs, segmentation.stops, segmentation.tracks, segmentation.steps
    first, last = found["first"].to_numpy(), found["last"].to_numpy()
    left = np.concatenate([first[:1], last[:-1]])
    latitude, longitude = found["latitude"].to_numpy(), found["longitude"].to_numpy()
    arrived, departed = local_days_of(tracks, first), local_days_of(tracks, last)
    poi_in = places.locate(latitude, longitude, arrived)
    poi_out, later = poi_in.copy(), departed != arrived
    poi_out[later] = places.locate(latitude[later], longitude[later], departed[later])
    stops = pd.DataFrame(
        {
            "chain": found["track"],
            "first_at": instants(tracks.seconds[first]),
            "last_at": instants(tracks.seconds[last]),
            "poi_in": pd.Series(poi_in, dtype=object),
            "poi_out": pd.Series(poi_out, dtype=object),
            "is_after_split": any_point_between(steps.splits, left, first),
        }
    )
    all_read = np.zeros(len(tracks.seconds), dtype=np.bool_)
    stop_covered = sum_steps(tracks, steps, all_read, first, last, parameters)["covered_s"]
    after = legs["stop_after"].to_numpy()
    added = {
        "chain": legs["track"],
        "origin_poi_id": _at(poi_out, legs["stop_before"]),
        "destination_poi_id": _at(poi_in, legs["stop_after"]),
        "origin_address": None,
        "destination_address": None,
        "km_reported": np.nan,
        "is_maintenance_driver": False,
        "dwell_s": _seconds_at(stops, after),
        "dwell_covered_s": np.where(after >= 0, np.append(stop_covered, np.nan)[after], np.nan),
        "source": pd.array(["positions"], dtype="str").take(np.zeros(len(legs), dtype=np.int64)),
        "file_sha256": None,
        "row_number": pd.NA,
    }
    return _finished(legs, added, stops, parameters)


def from_visit_legs(visits: pd.DataFrame, zones: pd.Series, places: Places, parameters: ParameterSet) -> Chain:
    """The chain of visit reports (rows of `staging.visit_legs`, zones: of each row): places by addresses."""
    visits = (
        visits.assign(timezone=zones.to_numpy())
        .sort_values(["plate", "started_at", "ended_at", "file_name", "row_number"], kind="stable")
        .reset_index(drop=True)
    )
    chain = pd.factorize(visits["plate"])[0]
    is_first = np.diff(chain, prepend=-1) != 0
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
    rows["is_after_split"] = False
    reported = visits["reported_km"].astype("float64")
    vehicles = np.append(np.flatnonzero(is_first), len(visits))
    legs = visits.rename(columns={"reported_km": "km_reported"}).assign(
        chain=chain,
        stop_before=before,
        stop_after=after,
        km_reported=reported,
        odometer_resolution_km=resolutions(reported.to_numpy(), vehicles)[chain],
        origin_poi_id=origin,
        destination_poi_id=destination,
        **dict.fromkeys(
            (
                "origin_latitude",
                "origin_longitude",
                "destination_latitude",
                "destination_longitude",
                "km_odometer",
                "km_gps",
                "km_bridged",
                "km_chord",
                "km_long_chord",
                "km_fine",
                "km_carried",
                "covered_s",
                "dwell_covered_s",
                "moving_s",
                "moving_steps",
                "passengers_max",
            ),
            np.nan,
        ),
        is_odometer_valid=False,
        passengers_readings=0,
        gaps=0,
        is_start_in_gap=False,
        is_end_in_gap=False,
        dwell_s=_seconds_at(rows, after),
        source="visit_report",
    )
    return _finished(legs, {}, rows, parameters)


def _at(values: np.ndarray, stop: pd.Series) -> pd.Series:
    """The value of each stop, None without a stop, as objects: a column of texts would cost twice as much."""
    return pd.Series(np.append(values, np.array([None]))[stop.to_numpy()], index=stop.index, dtype=object)


def _seconds_at(stops: pd.DataFrame, stop: np.ndarray) -> np.ndarray:
    stayed = (stops["last_at"] - stops["first_at"]).dt.total_seconds().to_numpy()
    return np.where(stop >= 0, np.append(stayed, np.nan)[stop], np.nan)


def identified(legs: pd.DataFrame) -> pd.DataFrame:
    """Legs of one source with their leg_id. Only the day's own legs need one: hashing takes half of a window's time."""
    keys = ["plate", "device_id", "started_at", "source", *(name for name in ("trip_key",) if name in legs)]
    return legs.assign(leg_id=stable_ids(legs, keys, "leg"))


def _finished(frame: pd.DataFrame, added: dict[str, Any], stops: pd.DataFrame, parameters: ParameterSet) -> Chain:
    """The chain of its legs, a frame and columns that are joined to it at once, and its stops; is_short is added."""
    duration = (frame["ended_at"] - frame["started_at"]).dt.total_seconds().to_numpy()
    legs: Columns = ChainMap({"duration_s": duration}, added, frame)  # type: ignore[arg-type]
    kilometres = measured_km(legs, parameters)["km"]
    # An odometer that shows whole kilometres cannot distinguish 0.9 km from standing; the path can.
    path_km = np.asarray(legs["km_gps"], dtype=float)
    is_coarse = np.asarray(legs["odometer_resolution_km"] > parameters.leg_min_km, dtype=bool) & ~np.isnan(path_km)
    kilometres = np.where(is_coarse, path_km, kilometres)
    origin, destination = (np.asarray(legs[f"{side}_poi_id"], dtype=object) for side in ("origin", "destination"))
    is_same_place = (origin == destination) & ~pd.isna(origin)
    kilometres = kilometres + np.nan_to_num(np.asarray(legs["km_carried"], dtype=float))  # a ferry is a leg of 0 km
    is_inside = is_same_place & (np.round(kilometres, 2) < parameters.yard_max_km)
    is_short = is_inside | (kilometres < parameters.leg_min_km) | (duration < parameters.leg_min_s)
    columns = pd.DataFrame(added | {"is_short": is_short}, index=frame.index)
    return Chain(pd.concat([frame, columns], axis=1), stops)

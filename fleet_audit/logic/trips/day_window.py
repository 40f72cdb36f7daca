"""Trips, legs and spans of one day from its window: the functions that the trips assets call.

See docs/architecture.md, "One day is a pure function of its window".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import dates
from fleet_audit.logic.primitives.money import round_km
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.classification import classify
from fleet_audit.logic.trips.dwells import dwell_counts
from fleet_audit.logic.trips.ledger import odometer_days
from fleet_audit.logic.trips.legs import identified
from fleet_audit.logic.trips.rounded.documented_ends import documented_ends, rounded_vehicles
from fleet_audit.logic.trips.segmentation import (
    Segmentation,
    segment,
    segment_by_trip_key,
    tracks_without_places,
)
from fleet_audit.logic.trips.silences import counted_over_silences, unseen_starts
from fleet_audit.logic.trips.sources import trips_of_sources
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.device_merge import merge_devices
from fleet_audit.logic.trips.track.other_clocks import points_of_other_clocks
from fleet_audit.logic.trips.track.points import clean_tracks, instants
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.tracks import Tracks, build_tracks, within_window
from fleet_audit.logic.trips.vehicle_days import VehicleDays
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS


@dataclass(frozen=True)
class DayWindow:
    """Results of the window of a day; frames by the dictionary (schema.lake), trips of three days, the rest of one.

    `rounded` lists the vehicles on whose rows `runs` can have an influence, on trips and legs alike.
    """

    trips: pd.DataFrame
    legs: pd.DataFrame
    spans: pd.DataFrame
    rejected: pd.DataFrame
    readings: pd.DataFrame
    dwells: pd.DataFrame
    rounded: pd.DataFrame


def build_window(
    day: dt.date,
    positions: pd.DataFrame,
    visit_legs: pd.DataFrame,
    reference: Reference,
    parameters: ParameterSet,
    runs: pd.DataFrame | None = None,
) -> DayWindow:
    """Trips, legs, observed spans, rejected points, odometer readings and dwells of a day, from its window's positions.

    Args:
        day: operational day D.
        positions: `staging.positions` of D-2 … D+1.
        visit_legs: `staging.visit_legs` of D-2 … D+1.
        reference: the reference tables.
        parameters: those in force on D.
        runs: `staging.declared_runs` of DATA D-2 … D+1; None: there are none.
    """
    tracks = build_day_tracks(day, [PositionArrays.of_frame(positions)], reference)
    runs = empty_frame(STAGING_DECLARED_RUNS) if runs is None else runs
    return segment_day(day, tracks, visit_legs, runs, reference, parameters)


def build_day_tracks(day: dt.date, rows: Sequence[PositionArrays], reference: Reference) -> Tracks:
    """Tracks of the window of a day; `rows` are its positions, in parts as they were read from staging."""
    registered = reference.devices
    return build_tracks(rows, assignments(registered, reference.zones(registered["plate"], day)), day)


def segment_day(
    day: dt.date,
    tracks: Tracks,
    visit_legs: pd.DataFrame,
    runs: pd.DataFrame,
    reference: Reference,
    parameters: ParameterSet,
) -> DayWindow:
    """Trips, legs and spans computed from the window's tracks and visit reports.

    Declared runs decide which place a stop with rounded coordinates is at, and nothing else.
    """
    places = Places(reference.pois)
    tracks = clean_tracks(tracks, places, parameters)
    tracks = merge_devices(tracks, points_of_other_clocks(tracks, parameters), parameters)
    segmentation, keyed = segment(tracks, places, parameters), segment_by_trip_key(tracks, parameters)
    visits = _visits_of_window(visit_legs, reference, day)
    rounded = rounded_vehicles(segmentation)
    ends = documented_ends(rounded["plate"], visits, runs, places, reference, day, parameters)
    days = VehicleDays.around(reference, day)
    seen = observed_by_positions(segmentation, parameters)
    found = trips_of_sources(segmentation, keyed, visits, seen, ends, days, places, parameters)
    neighbours = [day + dt.timedelta(days=offset) for offset in (-1, 0, 1)]
    trips = found.trips
    trips = trips[trips["operational_date"].isin(neighbours)].reset_index(drop=True)
    trips = _described(trips, neighbours, reference, places, parameters)
    legs = pd.concat([identified(legs[legs["operational_date"] == day]) for legs in found.legs], ignore_index=True)
    seen = pd.concat([seen, observed_by_positions(keyed, parameters)], ignore_index=True)
    on_clock = visits[~visits["movement"].isin(found.other_clock)]
    spans = pd.concat([seen.assign(source="positions"), _observed_by_reports(on_clock)], ignore_index=True)
    rejected = segmentation.rejected.assign(
        date=dates(local_days(segmentation.rejected["recorded_at"], segmentation.rejected["timezone"]))
    )
    blind = tracks_without_places(tracks, parameters)
    readings = [
        odometer_days(segmentation, found.measured, found.joined, found.reported, days, day, parameters),
        odometer_days(blind, found.counted, found.counted, found.reported, days, day, parameters),
    ]
    return DayWindow(
        trips.assign(date=day),
        legs,
        spans.assign(date=day),
        rejected[rejected["date"] == day].reset_index(drop=True),
        pd.concat(readings, ignore_index=True),
        dwell_counts(segmentation, parameters).assign(date=day),
        rounded.assign(date=day),
    )


def _visits_of_window(visit_legs: pd.DataFrame, reference: Reference, day: dt.date) -> pd.DataFrame:
    """The reported movements of a day's window, each once, with its vehicle's zone and a number (`movement`)."""
    visits = visit_legs.drop_duplicates()
    visits = within_window(visits, reference.zones(visits["plate"], day), day)
    return visits.assign(movement=np.arange(len(visits)), timezone=reference.zones(visits["plate"], day))


def _described(
    trips: pd.DataFrame,
    neighbours: list[dt.date],
    reference: Reference,
    places: Places,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """Trips with their vehicle's contract, purpose, area, shift and route: the columns of `trips.trip_window`."""
    views = reference.vehicles_on_days(neighbours)
    trips = trips.merge(views.drop(columns="timezone"), on=["plate", "operational_date"], how="left")
    trips = classify(trips, places, reference.drivers, reference.shifts, reference.routes, parameters)
    return trips.assign(
        km_measured=round_km(trips["km"]),
        parameters_version=parameters.version,
        coverage_pct=trips["coverage_pct"].round(2),
        **{name: trips[name].round(3) for name in ("km_odometer", "km_gps", "km_uncertainty")},
    )


def observed_by_positions(segmentation: Segmentation, parameters: ParameterSet) -> pd.DataFrame:
    """Spans (plate, started_at, ended_at, counted_before_km) over which positions show where a vehicle was.

    They are the seen steps between two points of `unseen_starts`.
    """
    tracks = segmentation.tracks
    if len(tracks.seconds) == 0:
        return pd.DataFrame(
            {
                "plate": pd.Series(dtype="str"),
                "started_at": instants(np.empty(0)),
                "ended_at": instants(np.empty(0)),
                "counted_before_km": np.empty(0),
            }
        )
    first = unseen_starts(segmentation, parameters)
    last = np.append(first[1:], len(tracks.seconds)) - 1
    is_span = last > first
    first, last = first[is_span], last[is_span]
    return pd.DataFrame(
        {
            "plate": tracks.index["plate"].to_numpy()[tracks.track_of(first)],
            "started_at": instants(tracks.seconds[first]),
            "ended_at": instants(tracks.seconds[last]),
            "counted_before_km": counted_over_silences(segmentation, first, last, parameters),
        }
    )


def _observed_by_reports(visit_legs: pd.DataFrame) -> pd.DataFrame:
    stopped = pd.to_timedelta(visit_legs["stopped_s"].astype("float64").fillna(0), unit="s")
    return pd.DataFrame(
        {
            "plate": visit_legs["plate"],
            "started_at": visit_legs["started_at"],
            "ended_at": visit_legs["next_departure_at"].fillna(
                visit_legs["ended_at"] + stopped.astype("timedelta64[us]")
            ),
            "source": "visit_report",
        }
    )

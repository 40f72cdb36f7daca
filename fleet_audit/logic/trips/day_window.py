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
from fleet_audit.logic.trips.distance import inherited_doubt
from fleet_audit.logic.trips.dwells import dwell_counts
from fleet_audit.logic.trips.ledger import odometer_days
from fleet_audit.logic.trips.legs import from_positions, from_visit_legs, identified
from fleet_audit.logic.trips.reported.cut_ends import with_reported_ends
from fleet_audit.logic.trips.reported.joined import join_parts, owners_of_parts, with_owners
from fleet_audit.logic.trips.reported.parts import counted_parts
from fleet_audit.logic.trips.rounded.documented_ends import documented_ends, rounded_vehicles
from fleet_audit.logic.trips.segmentation import (
    Segmentation,
    segment,
    segment_by_trip_key,
    tracks_without_places,
)
from fleet_audit.logic.trips.silences import counted_over_silences, unseen_starts, unseen_steps
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.device_merge import merge_devices
from fleet_audit.logic.trips.track.other_clocks import points_of_other_clocks
from fleet_audit.logic.trips.track.points import clean_tracks, instants
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.tracks import Tracks, build_tracks, within_window
from fleet_audit.logic.trips.trips import join_trips, supersede, with_places_of
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
    days = VehicleDays.around(reference, day)
    segmentation, keyed = segment(tracks, places, parameters), segment_by_trip_key(tracks, parameters)
    visit_legs = visit_legs.drop_duplicates()
    visit_legs = within_window(visit_legs, reference.zones(visit_legs["plate"], day), day)
    visit_legs = visit_legs.assign(movement=np.arange(len(visit_legs)))
    zones = reference.zones(visit_legs["plate"], day)
    rounded = rounded_vehicles(segmentation)
    visits = visit_legs.assign(timezone=zones)
    ends = documented_ends(rounded["plate"], visits, runs, places, reference, day, parameters)
    measured, measured_legs = days.redated(
        *join_trips(from_positions(segmentation, places, ends, parameters), places, parameters)
    )
    counted, counted_legs = days.redated(
        *join_trips(from_positions(keyed, places, ends, parameters), places, parameters)
    )
    # Each source where none before it saw the vehicle: positions, an odometer that counted under a key, a report.
    seen = observed_by_positions(segmentation, parameters)
    by = supersede(counted, measured, seen, parameters)
    alone = _with_inherited_doubt(counted[by.isna().to_numpy()], measured, parameters)
    counted_legs["superseded_by_trip_id"] = counted_legs["trip_id"].map(dict(zip(counted["trip_id"], by, strict=True)))
    parts = counted_parts(
        visit_legs,
        pd.concat([measured, alone], ignore_index=True),
        pd.concat([measured_legs, counted_legs[counted_legs["superseded_by_trip_id"].isna()]], ignore_index=True),
        seen,
        unseen_steps(segmentation, parameters),
        parameters,
    )
    chain = from_visit_legs(parts, reference.zones(parts["plate"], day), places, parameters)
    reported, reported_legs = days.redated(*join_trips(chain, places, parameters))
    reported_legs = reported_legs.rename(columns={"superseded_by": "superseded_by_trip_id"})
    # Parts of one owner are one chain: what is true of a trip's first part is true of all.
    of_trip = reported_legs.groupby("trip_id").agg(by=("superseded_by_trip_id", "first"), doubt=("cut_doubt_km", "sum"))
    of_trip = of_trip.reindex(reported["trip_id"])
    by = pd.Series(of_trip["by"].to_numpy(dtype=object, na_value=None), index=reported.index, dtype=object)
    reported = reported.assign(km_uncertainty=reported["km_uncertainty"] + of_trip["doubt"].to_numpy(dtype=float))
    alone = with_places_of(alone, reported, by)
    is_cut = reported_legs["movement"].duplicated(keep=False)  # a part of it may count: see `reported.joined`
    is_whole = ~reported["trip_id"].isin(reported_legs.loc[is_cut, "trip_id"]) & by.notna()
    measured = with_reported_ends(measured, reported[is_whole], by[is_whole], places)
    reported_alone = _with_inherited_doubt(reported[by.isna().to_numpy()], measured, parameters)
    owners = owners_of_parts(
        measured, measured_legs, reported_alone, reported_legs, visit_legs, zones, places, parameters
    )
    joined, left = join_parts(measured, reported_alone, owners)
    measured_legs, reported_legs, reported_alone = (
        with_owners(rows, owners, joined, *columns)
        for rows, columns in (
            (measured_legs, ["trip_id"]), (reported_legs, ["trip_id", "superseded_by_trip_id"]), (reported_alone, [])
        )
    )  # fmt: skip
    trips = pd.concat([joined, alone, left], ignore_index=True)
    neighbours = [day + dt.timedelta(days=offset) for offset in (-1, 0, 1)]
    trips = trips[trips["operational_date"].isin(neighbours)].reset_index(drop=True)
    trips = _described(trips, neighbours, reference, places, parameters)
    measured_legs["superseded_by_trip_id"] = None
    sources = (measured_legs, counted_legs, reported_legs)
    legs = pd.concat([identified(legs[legs["operational_date"] == day]) for legs in sources], ignore_index=True)
    seen = pd.concat([seen, observed_by_positions(keyed, parameters)], ignore_index=True)
    on_clock = visit_legs[~visit_legs["movement"].isin(parts.loc[parts["is_other_clock"], "movement"])]
    spans = pd.concat([seen.assign(source="positions"), _observed_by_reports(on_clock)], ignore_index=True)
    rejected = segmentation.rejected.assign(
        date=dates(local_days(segmentation.rejected["recorded_at"], segmentation.rejected["timezone"]))
    )
    readings = pd.concat(
        [
            odometer_days(segmentation, measured, joined, reported_alone, days, day, parameters),
            odometer_days(
                tracks_without_places(tracks, parameters), alone, alone, reported_alone, days, day, parameters
            ),
        ],
        ignore_index=True,
    )
    return DayWindow(
        trips.assign(date=day),
        legs,
        spans.assign(date=day),
        rejected[rejected["date"] == day].reset_index(drop=True),
        readings,
        dwell_counts(segmentation, parameters).assign(date=day),
        rounded.assign(date=day),
    )


def _with_inherited_doubt(trips: pd.DataFrame, measured: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Trips without a path, less sure by what the odometer of their vehicle is off over trips of positions."""
    return trips.assign(km_uncertainty=trips["km_uncertainty"] + inherited_doubt(trips, measured, parameters))


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

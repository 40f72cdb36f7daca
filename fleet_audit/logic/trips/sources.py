"""Trips of all sources of a window, one per movement: each source counts where none before it saw the vehicle.

The sources, best first: positions, an odometer that counted under a trip key, a visit report. How many km of a report
count beside those of positions is decided in `reported`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.distance import inherited_doubt
from fleet_audit.logic.trips.legs import from_positions, from_visit_legs
from fleet_audit.logic.trips.reported.cut_ends import with_reported_ends
from fleet_audit.logic.trips.reported.joined import join_parts, owners_of_parts, with_owners
from fleet_audit.logic.trips.reported.parts import OTHER_CLOCK, counted_parts
from fleet_audit.logic.trips.segmentation import Segmentation
from fleet_audit.logic.trips.silences import unseen_steps
from fleet_audit.logic.trips.trips import join_trips, supersede, with_places_of
from fleet_audit.logic.trips.vehicle_days import VehicleDays


@dataclass(frozen=True)
class TripsOfSources:
    """Trips that count, and the legs of all sources; one that does not count names who saw it (superseded_by_trip_id).

    measured: trips of positions alone, before a report was joined to them.
    joined: the same, with the parts that a report shows.
    counted: trips that an odometer counted under a key, where positions saw nothing.
    reported: trips of reports that count, parts of `joined` included; `left` without these.
    other_clock: numbers of the reported movements whose clock is hours off (`movement`).
    """

    measured: pd.DataFrame
    joined: pd.DataFrame
    counted: pd.DataFrame
    reported: pd.DataFrame
    left: pd.DataFrame
    legs: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
    other_clock: pd.Series

    @property
    def trips(self) -> pd.DataFrame:
        """One trip per movement."""
        return pd.concat([self.joined, self.counted, self.left], ignore_index=True)


def trips_of_sources(
    segmentation: Segmentation,
    keyed: Segmentation,
    visits: pd.DataFrame,
    seen: pd.DataFrame,
    ends: pd.DataFrame,
    days: VehicleDays,
    places: Places,
    parameters: ParameterSet,
) -> TripsOfSources:
    """Trips and legs of a window's sources.

    Args:
        segmentation: movements of positions.
        keyed: those under a trip key (`segment_by_trip_key`).
        visits: rows of `staging.visit_legs` with timezone and their number (`movement`).
        seen: plate, started_at, ended_at over which positions show where a vehicle was.
        ends: `documented_ends`.
        days: operational days and zones of the vehicles.
    """
    (measured, measured_legs), (counted, counted_legs) = (
        days.redated(*join_trips(from_positions(of, places, ends, parameters), places, parameters))
        for of in (segmentation, keyed)
    )
    by = supersede(counted, measured, seen, parameters)
    counted_legs["superseded_by_trip_id"] = counted_legs["trip_id"].map(dict(zip(counted["trip_id"], by, strict=True)))
    counted = _with_inherited_doubt(counted[by.isna().to_numpy()], measured, parameters)
    parts = counted_parts(
        visits,
        pd.concat([measured, counted], ignore_index=True),
        pd.concat([measured_legs, counted_legs[counted_legs["superseded_by_trip_id"].isna()]], ignore_index=True),
        seen,
        unseen_steps(segmentation, parameters),
        parameters,
    )
    chain = from_visit_legs(parts, places, parameters)
    reported, reported_legs = days.redated(*join_trips(chain, places, parameters))
    reported_legs = reported_legs.rename(columns={"superseded_by": "superseded_by_trip_id"})
    reported, by = _owned(reported, reported_legs)
    counted = with_places_of(counted, reported, by)
    measured = with_reported_ends(measured, *_evidence(reported, reported_legs, by), places)
    reported = _with_inherited_doubt(reported[by.isna().to_numpy()], measured, parameters)
    owners = owners_of_parts(measured, measured_legs, reported, reported_legs, visits, places, parameters)
    joined, left = join_parts(measured, reported, owners)
    measured_legs = with_owners(measured_legs, owners, joined, "trip_id").assign(superseded_by_trip_id=None)
    reported_legs = with_owners(reported_legs, owners, joined, "trip_id", "superseded_by_trip_id")
    return TripsOfSources(
        measured,
        joined,
        counted,
        with_owners(reported, owners, joined),
        left,
        (measured_legs, counted_legs, reported_legs),
        parts.loc[parts["superseded_by"] == OTHER_CLOCK, "movement"],
    )


def _owned(reported: pd.DataFrame, legs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Trips of reports, less sure by the doubt of their cuts, and who measured each (None: it counts).

    Parts of one owner are one chain: what is true of a trip's first part is true of all.
    """
    of_trip = legs.groupby("trip_id").agg(by=("superseded_by_trip_id", "first"), doubt=("cut_doubt_km", "sum"))
    of_trip = of_trip.reindex(reported["trip_id"])
    by = pd.Series(of_trip["by"].to_numpy(dtype=object, na_value=None), index=reported.index, dtype=object)
    return reported.assign(km_uncertainty=reported["km_uncertainty"] + of_trip["doubt"].to_numpy(dtype=float)), by


def _evidence(reported: pd.DataFrame, legs: pd.DataFrame, by: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Trips of reports that others measured whole, and by which; a part of a cut movement may count."""
    cut = legs.loc[legs["movement"].duplicated(keep=False), "trip_id"]
    is_whole = ~reported["trip_id"].isin(cut) & by.notna()
    return reported[is_whole], by[is_whole]


def _with_inherited_doubt(trips: pd.DataFrame, measured: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Trips without a path, less sure by what the odometer of their vehicle is off over trips of positions."""
    return trips.assign(km_uncertainty=trips["km_uncertainty"] + inherited_doubt(trips, measured, parameters))

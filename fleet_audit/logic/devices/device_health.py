"""Health of a device: the unit of its odometer, its clock, its receiver, the fields that it never sends.

Faults are named and shown, never corrected: a corrected reading would be no evidence against a carrier.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.devices.device_agreement import compare_devices
from fleet_audit.logic.devices.exchanges import continued_readings, left_readings
from fleet_audit.logic.devices.odometer_events import erratic_tracks, odometer_events
from fleet_audit.logic.devices.odometer_ratios import window_ratios
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.primitives.intervals import intervals
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import DEFAULT_ZONE
from fleet_audit.logic.trips.movements import mean_step_s
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.device_merge import merge_devices
from fleet_audit.logic.trips.track.other_clocks import points_of_other_clocks
from fleet_audit.logic.trips.track.points import clean_tracks, filter_points, local_days_of
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.readings import readings_in_other_units
from fleet_audit.logic.trips.track.rounded_fixes import coordinate_grid_m
from fleet_audit.logic.trips.track.tracks import Tracks, build_tracks
from fleet_audit.logic.trips.vehicle_days import VehicleDays
from fleet_audit.schema.facts.devices import DEVICE_ISSUES

UNITS = {"odometer_metres": 1000.0, "odometer_miles": 0.621371, "odometer_tenths": 10.0, "odometer_tens": 0.1}
_FROZEN_RATIO = 0.1
_UNIT_READINGS = 3  # one or two are digits too many or too few: no readings, and no finding either
_HOUR_US = 3_600_000_000
_MOST_HOURS = 12


@dataclass(frozen=True)
class DeviceTracks:
    """A track per device of a window, and the devices that state in any position whether the ignition is on."""

    tracks: Tracks
    with_ignition: frozenset[str]


@dataclass(frozen=True)
class VehicleDevices:
    """What a day's devices of some vehicles of a fleet give to its `DeviceDay`.

    Attributes:
        events: `WINDOW_EVENTS` of all days of the window; left: `LEFT_READINGS`.
        health: `fact.device_health` without trace columns.
    """

    events: pd.DataFrame
    left: pd.DataFrame
    health: pd.DataFrame


@dataclass(frozen=True)
class DeviceDay:
    """Results of one day: `trips.odometer_events`, and `fact.device_health` without trace columns."""

    events: pd.DataFrame
    health: pd.DataFrame


def device_day(
    day: dt.date,
    positions: Sequence[PositionArrays],
    trips: pd.DataFrame,
    runs: pd.DataFrame,
    reference: Reference,
    parameters: ParameterSet,
) -> DeviceDay:
    """Odometer events and the health of each device that reported on a day, of a whole fleet.

    The arguments are those of `device_tracks` and `vehicle_devices`.
    """
    reported = device_tracks(day, positions, reference)
    return fleet_devices(day, vehicle_devices(day, reported, trips, runs, reference, parameters), parameters)


def device_tracks(day: dt.date, positions: Sequence[PositionArrays], reference: Reference) -> DeviceTracks:
    """What `vehicle_devices` needs of `staging.positions` of D-2 … D+1, in parts as they were read.

    The caller may then let go of the positions: of 500 vehicles that report every 30 s they take 0.3 GB.
    """
    zones = reference.zones(reference.devices["plate"], day)
    tracks = build_tracks(positions, assignments(reference.devices, zones), day)
    return DeviceTracks(tracks, frozenset(device for part in positions for device in part.devices_with_ignition))


def fleet_devices(day: dt.date, found: VehicleDevices, parameters: ParameterSet) -> DeviceDay:
    """The day's events with what they continue, and health; `found` holds the rows of all vehicles of the fleet."""
    events = found.events.join(continued_readings(found.events, found.left, parameters))
    return DeviceDay(events[events["operational_date"] == day].reset_index(drop=True), found.health)


def vehicle_devices(
    day: dt.date,
    reported: DeviceTracks,
    trips: pd.DataFrame,
    runs: pd.DataFrame,
    reference: Reference,
    parameters: ParameterSet,
) -> VehicleDevices:
    """What needs only whole vehicles: any part of the fleet gives the rows that the whole fleet gives of it.

    Args:
        day: operational day D.
        reported: `device_tracks` of D; trips: `trips.trip_window` of D.
        runs: `staging.declared_runs` of DATA D-2 … D+1: witnesses of a device's clock.
        reference: the reference tables.
        parameters: those in force on D.
    """
    tracks = reported.tracks
    clean = clean_tracks(tracks, Places(reference.pois), parameters)
    clocks = points_of_other_clocks(clean, parameters)
    points, vehicles = filter_points(clean, parameters), merge_devices(clean, clocks, parameters)
    seen = points if vehicles is clean else filter_points(vehicles, parameters)
    events = odometer_events(vehicles, seen, trips, VehicleDays.around(reference, day), parameters)
    is_off_bus = (events["kind"] == "parked") & (events["operational_date"] == day - ONE_DAY)
    is_on_earth = (np.abs(tracks.latitude) <= 90) & (np.abs(tracks.longitude) <= 180)  # whole numbers: another unit
    is_rounded = coordinate_grid_m(tracks, is_on_earth) > parameters.stop_radius_m
    health = _seen(reported, clean.is_located, readings_in_other_units(tracks, parameters), is_rounded, day)
    health["is_erratic"] = health["track"].isin(erratic_tracks(clean, parameters))
    health = health.join(window_ratios(points, parameters), on="track")
    health = health.merge(clock_shifts(trips, runs, day, parameters), on="plate", how="left")
    compared = compare_devices(clean, clocks.is_other, points, np.datetime64(day), parameters)
    health = health.merge(compared, on=["plate", "device_id"], how="left")
    health["issues"] = _issues(health, parameters)
    health["is_off_bus_day_before"] = health["plate"].isin(events.loc[is_off_bus, "plate"])
    owners = reference.vehicles.sort_values("valid_from", na_position="first", kind="stable")
    owners = owners.drop_duplicates("plate", keep="last")[["plate", "unit_code", "carrier_code"]]
    health = health.merge(owners, on="plate", how="left").assign(operational_date=day)
    return VehicleDevices(events, left_readings(events, vehicles), health)


def _seen(
    reported: DeviceTracks, is_fix: np.ndarray, is_other_unit: np.ndarray, is_rounded: np.ndarray, day: dt.date
) -> pd.DataFrame:
    """Contents of each track with positions on the local day: one row per track."""
    tracks = reported.tracks
    points = np.flatnonzero(local_days_of(tracks, np.arange(len(tracks.seconds))) == np.datetime64(day))
    track = tracks.track_of(points)
    rows = pd.DataFrame(
        {
            "track": track,
            "latitude": tracks.latitude[points],
            "longitude": tracks.longitude[points],
            "odometer_km": tracks.odometer_km[points],
            "is_fix": is_fix[points],
            "is_other_unit": is_other_unit[points],
            "is_rounded": is_rounded[points],
        }
    )
    groups = rows.groupby("track")
    seen = groups.agg(
        positions=("track", "size"),
        located=("latitude", "count"),
        fixes=("is_fix", "sum"),
        readings=("odometer_km", "count"),
        lowest_km=("odometer_km", "min"),
        highest_km=("odometer_km", "max"),
        latitudes=("latitude", "nunique"),
        longitudes=("longitude", "nunique"),
        other_unit_readings=("is_other_unit", "sum"),
        rounded=("is_rounded", "sum"),
    ).reset_index()
    owners = tracks.index.iloc[seen["track"]].reset_index(drop=True)
    has_ignition = owners["device_id"].isin(list(reported.with_ignition))
    return seen.assign(plate=owners["plate"], device_id=owners["device_id"], has_ignition=has_ignition)


def clock_shifts(trips: pd.DataFrame, runs: pd.DataFrame, day: dt.date, parameters: ParameterSet) -> pd.DataFrame:
    """Whole hours by which a vehicle's clock is wrong: plate, clock_shift_h, clock_runs (witnesses that fit).

    Witnesses are declared runs and the trips of visit reports. A trip of positions fits a witness at a shift when both
    its start and its end do within `clock_fit_s` and, of a device that reports less often than every `fine_step_s`, one
    of its steps, at most `clock_step_s`. A shift holds when `clock_min_runs` witnesses and most of the
    plate's fit it while at most half as many fit without one: a carrier that invents a run does not shift all
    of them by the same three hours. Where none holds so, witnesses that fill a trip together are asked
    (`_joined_fits`). 0: most fit as they are; null: too little is known.

    The day's own witnesses decide where they can, so that a repaired clock counts from its first day; else those of
    the window.
    """
    is_measured = trips["source"] == "positions"
    witnesses = pd.concat(
        [runs[["plate", "started_at", "ended_at"]], trips.loc[~is_measured, ["plate", "started_at", "ended_at"]]]
    )
    witnesses = witnesses.drop_duplicates().reset_index(drop=True)
    is_of_day = witnesses["started_at"].dt.tz_convert(DEFAULT_ZONE).dt.date == day
    measured = intervals(trips[is_measured]).assign(fit_us=_fit_us(trips[is_measured], parameters))
    own, around = (_shifts(intervals(rows), measured, parameters) for rows in (witnesses[is_of_day], witnesses))
    return pd.concat([own, around], ignore_index=True).drop_duplicates("plate").reset_index(drop=True)


def _fit_us(trips: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """How closely a witness must fit each trip's ends (µs): a coarse device shows them a step too early or too late.

    With a position every 5 min 4 of 8 runs of a vehicle whose clock was 3 h behind had an end that was 11 min off, so
    that the clock was not recognised and all 8 were phantoms (D05). Beyond `clock_step_s` a step adds no more: from
    20 min on every end would fit some whole hour.
    """
    step_s = mean_step_s(trips).fillna(0.0).to_numpy()
    is_coarse, added_s = step_s > parameters.fine_step_s, np.minimum(step_s, parameters.clock_step_s)
    return (parameters.clock_fit_s + np.where(is_coarse, added_s, 0.0)) * 1e6


def _shifts(witnesses: pd.DataFrame, measured: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    witnesses = witnesses.assign(witness=np.arange(len(witnesses)))
    measured = measured.assign(trip=np.arange(len(measured)))
    pairs = witnesses.merge(measured, on="plate", suffixes=("_witness", ""))
    ends = _fitting_ends(pairs)
    whole = ends[ends["is_start"] & ends["is_end"]]
    asked = witnesses.groupby("plate").size()
    proven = [
        _proven(whole, whole[whole["hours"] == 0], asked, parameters),
        _proven(_joined_fits(ends, parameters), _half_over_trips(pairs), asked, parameters),
    ]
    return pd.concat(proven, ignore_index=True).drop_duplicates("plate")


def _fitting_ends(pairs: pd.DataFrame) -> pd.DataFrame:
    """Witnesses with an end at a trip's at a whole hour's shift: plate, hours, trip, witness, is_start, is_end."""
    at_start, at_end = (pairs[f"{side}_us"] - pairs[f"{side}_us_witness"] for side in ("start", "end"))
    fit_us: pd.Series = pairs["fit_us"]
    fits = []
    for hours in ((at / _HOUR_US).round() for at in (at_start, at_end)):
        start_us, end_us = at_start - hours * _HOUR_US, at_end - hours * _HOUR_US
        is_start, is_end = start_us.abs() <= fit_us, end_us.abs() <= fit_us
        is_inside = (start_us <= fit_us) & (end_us >= -fit_us) & (hours.abs() <= _MOST_HOURS)
        fits.append(pairs.assign(hours=hours, is_start=is_start, is_end=is_end)[is_inside & (is_start | is_end)])
    return pd.concat(fits)[["plate", "hours", "trip", "witness", "is_start", "is_end"]].drop_duplicates()


def _joined_fits(ends: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Fits of witnesses inside a trip that reach both of its ends together, at shifts with `clock_min_runs` such trips.

    A device that reports every 5 min does not show a short halt between two runs, and makes one trip of them. One end
    alone proves nothing: of times that are written 15 min inside both ends, the next trip of a regular loop has one.
    """
    is_covered = ends.groupby(["trip", "hours"])[["is_start", "is_end"]].transform("any").all(axis=1)
    covered = ends[is_covered]
    trips = covered.groupby(["plate", "hours"])["trip"].transform("nunique")
    return covered[trips >= parameters.clock_min_runs]


def _half_over_trips(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs where half of the witness or more lies in the trip as it is: for these no wrong clock is needed."""
    ends, starts = (pairs[[f"{side}_us", f"{side}_us_witness"]] for side in ("end", "start"))
    lasting_us = pairs["end_us_witness"] - pairs["start_us_witness"]
    return pairs[2 * (ends.min(axis=1) - starts.max(axis=1)) >= lasting_us]


def _proven(fits: pd.DataFrame, as_is: pd.DataFrame, asked: pd.Series, parameters: ParameterSet) -> pd.DataFrame:
    """The shift of each plate that its fits prove against those without one, by witnesses and by trips.

    By trips too: two true runs and four invented ones that halve the same trips three hours later are no wrong clock.
    """
    counted = {"runs": ("witness", "nunique"), "trips": ("trip", "nunique")}
    counts = fits.groupby(["plate", "hours"]).agg(**counted).reset_index()
    own = as_is.groupby("plate").agg(**counted).reindex(counts["plate"]).fillna(0).reset_index(drop=True)
    witnesses = asked.reindex(counts["plate"]).to_numpy()
    is_most = (counts["runs"] >= parameters.clock_min_runs) & (2 * counts["runs"] > witnesses)
    is_more = (2 * own["runs"] <= counts["runs"]) & (2 * own["trips"] <= counts["trips"])
    best = counts[is_most & ((counts["hours"] == 0) | is_more)]
    best = best.sort_values(["plate", "runs", "hours"], ascending=[True, False, True]).drop_duplicates("plate")
    return pd.DataFrame(
        {
            "plate": best["plate"].astype("str"),
            "clock_shift_h": best["hours"].astype("Int64"),
            "clock_runs": best["runs"].astype("Int64"),
        }
    )


def _issues(health: pd.DataFrame, parameters: ParameterSet) -> pd.Series:
    """Codes of what is wrong with each device, in the order of `DEVICE_ISSUES`."""
    ratio, tolerance = health["odometer_ratio"], parameters.unit_tolerance_pct / 100
    counted = health["highest_km"] - health["lowest_km"]
    flags_by_issue = {name: (ratio / factor - 1).abs() <= tolerance for name, factor in UNITS.items()}
    is_unit = np.logical_or.reduce(list(flags_by_issue.values()))
    is_located = health["located"] >= parameters.constant_place_points
    is_constant = is_located & (health["latitudes"] == 1) & (health["longitudes"] == 1)
    is_constant &= counted > parameters.parked_count_km
    is_rounded = is_located & ~is_constant & (2 * health["rounded"] >= health["located"])
    flags_by_issue |= {
        # An odometer that stands for most of the window is frozen (O03), not scaled.
        "odometer_scale": (ratio > _FROZEN_RATIO)
        & ~is_unit
        & ((ratio - 1).abs() > parameters.scale_tolerance_pct / 100),
        "odometer_erratic": health["is_erratic"],
        "clock_shift": (health["clock_shift_h"] != 0).fillna(False).astype(bool),
        "constant_place": is_constant,
        "no_true_fix": is_located & ~is_constant & ~is_rounded & (health["fixes"] == 0),
        "rounded_coordinates": is_rounded,
        "odometer_unit_changes": health["other_unit_readings"] >= _UNIT_READINGS,
        "other_clock": health["has_other_clock"].eq(True),
        "other_vehicle": health["is_apart"].eq(True),
        # Odometers of two units disagree; the unit is the reason, and it is named.
        "devices_disagree": health["is_disputed"].eq(True) & ~health["plate"].isin(health.loc[is_unit, "plate"]),
        "no_odometer": (health["readings"] == 0) | (health["highest_km"] == 0),
        "no_coordinates": health["located"] == 0,
        "no_ignition": ~health["has_ignition"],
    }
    flags = np.column_stack([flags_by_issue[name].to_numpy(dtype=bool) for name in DEVICE_ISSUES])
    return pd.Series(
        [[name for name, is_set in zip(DEVICE_ISSUES, row, strict=True) if is_set] for row in flags], dtype=object
    )

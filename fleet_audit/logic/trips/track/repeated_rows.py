"""Rows that a device repeats whole with new times while its vehicle drives on: nothing observed that time.

A place alone that is repeated while the odometer counts is in `fixes`, a reading alone in `seldom_read`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.workers.threads import map_in_threads
from fleet_audit.logic.trips.kernels.coordinate_grid import DEGREE_M, is_on_grid
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.kernels.sphere import distance_m
from fleet_audit.logic.trips.track.tracks import Tracks

_MOST_DECIMALS = 4  # of rounded coordinates: five are finer than any receiver
_MOST_STEPS = 2  # a device that reports in motion was silent for longer because it was stuck


def without_repeated_rows(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks with place and reading of such rows lost, from the second on; their points keep time and ignition.

    Such a device shows a bus that stands: of 80 simulated ones that repeated a row for 15 to 40 min of a trip 75 lost
    km of it, and D01 named the runs of 27. As a silence that time accuses nobody.
    """
    is_repeated = np.zeros(len(tracks.seconds), dtype=np.bool_)

    def find(offsets: np.ndarray) -> None:
        find_repeated_rows(
            tracks.seconds,
            tracks.latitude,
            tracks.longitude,
            tracks.odometer_km,
            tracks.speed_kmh,
            tracks.ignition,
            offsets,
            parameters.standing_kmh,
            parameters.mean_speed_kmh,
            parameters.stop_radius_m,
            parameters.compare_step_s,
            parameters.impossible_kmh,
            parameters.odometer_slack_km,
            is_repeated,
        )

    map_in_threads(find, tracks.parts())
    if not is_repeated.any():
        return tracks
    return replace(
        tracks,
        odometer_km=np.where(is_repeated, np.nan, tracks.odometer_km),
        is_lost=tracks.is_lost | is_repeated,
    )


@njit(cache=True, nogil=True)
def find_repeated_rows(  # type: ignore[no-untyped-def]
    seconds, lat, lon, odometer, speed, ignition, offsets, standing_kmh, mean_speed_kmh, radius_m, moving_step_s,
    impossible_kmh, slack_km, is_repeated,
):  # fmt: skip
    """Sets is_repeated of rows that repeat place, reading and speed, above `standing_kmh`, of a row that drives.

    At that speed the vehicle goes further over them than a cell of the coordinates or a step of the odometer is wide:
    in slow traffic a device that reports both roughly repeats no row for as long. And it did go on: the row that
    follows is further away, by place or by reading, than a bus drives since the last repetition, or, after a longer
    silence, in `_MOST_STEPS` of the device's steps. A device that shows its last speed while it is parked is found
    where it was left, or just departing; one whose ignition is off is parked. Where no row follows, the ignition is on,
    and the device reports at least every `moving_step_s`.
    """
    for track in range(len(offsets) - 1):
        high = offsets[track + 1]
        first = offsets[track]
        while first < high:
            last = first
            if speed[first] > standing_kmh and ignition[first] != 0 and not math.isnan(lat[first] + lon[first]):
                while last + 1 < high and _is_same_row(lat, lon, odometer, speed, ignition, first, last + 1):
                    last += 1
            hidden_m = radius_m + max(_cell_m(lat[first], lon[first]), _counting_step_m(odometer[first]))
            if last > first and speed[first] / 3.6 * (seconds[last] - seconds[first]) > hidden_m:
                step_s = np.median(np.diff(seconds[first : last + 1]))
                following = _next_place(lat, lon, last + 1, high)
                if following == high:
                    has_gone_on = ignition[first] == 1 and step_s <= moving_step_s
                else:
                    since_s = min(seconds[following] - seconds[last], _MOST_STEPS * step_s)
                    moved_m = _moved_m(seconds, lat, lon, odometer, first, following, impossible_kmh, slack_km)
                    has_gone_on = moved_m > hidden_m + mean_speed_kmh / 3.6 * since_s
                is_repeated[first + 1 : last + 1] = has_gone_on
            first = last + 1


@njit(cache=True, nogil=True)
def _moved_m(seconds, lat, lon, odometer, first, last, impossible_kmh, slack_km):  # type: ignore[no-untyped-def]
    """Metres from one point to another, by place or by what the odometer plausibly counted, whichever is more."""
    moved_m = distance_m(lat[first], lon[first], lat[last], lon[last])
    counted_km = odometer[last] - odometer[first]
    if is_plausible(counted_km, seconds[last] - seconds[first], impossible_kmh, slack_km):
        moved_m = max(moved_m, counted_km * 1000)
    return moved_m


@njit(cache=True, nogil=True, inline="always")
def _is_same_row(lat, lon, odometer, speed, ignition, one, other):  # type: ignore[no-untyped-def]
    is_same = lat[one] == lat[other] and lon[one] == lon[other] and speed[one] == speed[other]
    is_read = odometer[one] == odometer[other] or (math.isnan(odometer[one]) and math.isnan(odometer[other]))
    return is_same and is_read and ignition[one] == ignition[other]


@njit(cache=True, nogil=True)
def _next_place(lat, lon, first, high):  # type: ignore[no-untyped-def]
    """The first point from `first` on that has coordinates; `high`: none."""
    while first < high and math.isnan(lat[first] + lon[first]):
        first += 1
    return first


@njit(cache=True, nogil=True)
def _cell_m(lat, lon):  # type: ignore[no-untyped-def]
    """Metres across the cell of the coarsest grid that a place lies on; 0: none."""
    for decimals in range(1, _MOST_DECIMALS + 1):
        scale = 10.0**decimals
        if is_on_grid(lat, scale) and is_on_grid(lon, scale):
            return math.sqrt(2.0) * DEGREE_M / scale
    return 0.0


@njit(cache=True, nogil=True)
def _counting_step_m(reading):  # type: ignore[no-untyped-def]
    """Metres that an odometer with this reading may not show: its last digit that is not 0; 0 without a reading."""
    if math.isnan(reading):
        return 0.0
    for scale in (1.0, 10.0):
        if abs(reading * scale - np.round(reading * scale)) <= 1e-3:
            return 1000 / scale
    return 10.0

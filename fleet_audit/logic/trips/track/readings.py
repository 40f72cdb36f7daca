"""False odometer readings: zero at waking, and sentinels that a device repeats while its bus sleeps.

Readings in another unit are in `odometer_units`, stale ones in `seldom_read`. Other contradictory readings stay:
`devices.odometer_events` names them, and no km rests on them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fleet_audit.logic.primitives.compiled import njit
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.kernels.odometer import is_plausible
from fleet_audit.logic.trips.track.odometer_units import find_other_units
from fleet_audit.logic.trips.track.seldom_read import stale_readings, with_counting_steps
from fleet_audit.logic.trips.track.tracks import Tracks


def without_sentinels(tracks: Tracks, parameters: ParameterSet) -> Tracks:
    """The tracks without false readings; their points keep time, place and ignition."""
    is_false = readings_in_other_units(tracks, parameters)
    limits = (parameters.impossible_kmh, parameters.odometer_slack_km)
    tracks = replace(tracks, odometer_km=np.where(is_false, np.nan, tracks.odometer_km))
    tracks = with_counting_steps(tracks, parameters)
    is_false |= stale_readings(tracks, parameters)
    odometer_km = np.where(is_false, np.nan, tracks.odometer_km)
    find_sentinels(tracks.seconds, odometer_km, tracks.offsets, *limits, parameters.odometer_most_km, is_false)
    return replace(tracks, odometer_km=np.where(is_false, np.nan, odometer_km))


def readings_in_other_units(tracks: Tracks, parameters: ParameterSet) -> np.ndarray:
    """Per point of the tracks: whether its reading is in another unit than its track's kilometres."""
    is_other = np.zeros(len(tracks.seconds), dtype=np.bool_)
    limits = (parameters.standing_kmh, parameters.impossible_kmh, parameters.odometer_slack_km)
    place = (tracks.latitude, tracks.longitude)
    find_other_units(tracks.seconds, *place, tracks.odometer_km, tracks.offsets, *limits, is_other)
    return is_other


@njit(cache=True, nogil=True)
def find_sentinels(seconds, odometer, offsets, impossible_kmh, slack_km, most_km, is_sentinel):  # type: ignore[no-untyped-def]
    """Sets is_sentinel of false readings.

    A run of one repeated value that contradicts the reading before it is none where the readings go on after it as
    before it and not from that value on, and the value is 0, beyond `most_km`, or repeated: 4,294,967.295 km is
    2^32 - 1 m. (An odometer turned on by 60 km repeats its new value while parked and counts on from it: a jump.) A run
    that begins or ends a track is none when it is 0 or beyond `most_km` and the readings beside it contradict it.
    """
    excursions = np.empty(len(seconds), dtype=np.int64)
    for track in range(len(offsets) - 1):
        low, high = offsets[track], offsets[track + 1]
        before, count = -1, 0
        i = low
        while i < high:
            value = odometer[i]
            if math.isnan(value):
                i += 1
                continue
            is_absurd = value == 0 or value >= most_km
            if before < 0:
                is_suspect = is_absurd
            else:
                is_suspect = not is_plausible(
                    value - odometer[before], seconds[i] - seconds[before], impossible_kmh, slack_km
                )
            if not is_suspect:
                before = i
                i += 1
                continue
            following, repeats, last = i, 0, i
            while following < high:
                is_reading = not math.isnan(odometer[following])
                is_zero = is_absurd and odometer[following] == 0
                if is_reading and odometer[following] != value and not is_zero:
                    break
                if is_reading:
                    repeats += 1
                    last = following
                following += 1
            if following == high:
                goes_on = before >= 0 and is_absurd and odometer[before] < most_km
            elif before < 0:
                change = odometer[following] - value
                goes_on = odometer[following] < most_km and not is_plausible(
                    change, seconds[following] - seconds[last], impossible_kmh, slack_km
                )
            else:
                goes_on = is_plausible(
                    odometer[following] - odometer[before],
                    seconds[following] - seconds[before],
                    impossible_kmh,
                    slack_km,
                ) and (
                    value >= most_km
                    or not is_plausible(
                        odometer[following] - value, seconds[following] - seconds[last], impossible_kmh, slack_km
                    )
                )
            if goes_on and (is_absurd or repeats > 1):
                for k in range(i, following):
                    is_sentinel[k] = not math.isnan(odometer[k])
            elif goes_on:
                excursions[count] = i
                count += 1
            else:
                before = last
            i = following
        for k in range(count):  # lone readings that recur: the device repeats them, one at a time
            for other in range(count):
                if other != k and odometer[excursions[other]] == odometer[excursions[k]]:
                    is_sentinel[excursions[k]] = True
                    break
    return is_sentinel

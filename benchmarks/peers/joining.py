"""Runs of standing steps to stops to trips: the small end of the rules, the same for all peers; numpy alone.

What is many, the positions, is each peer's own; of a fleet's day there are a hundred times fewer runs.
"""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq

EARTH_RADIUS_M = 6_371_008.8
RADIUS_M, STOP_S, STOP_PLACE_S, DWELL_S, LEG_KM, LEG_S = 150, 180, 120, 1200, 0.2, 60
ENDING = ("usina", "frente", "garagem", "oficina")


def distance_m(lat_a: np.ndarray, lon_a: np.ndarray, lat_b: np.ndarray, lon_b: np.ndarray) -> np.ndarray:
    """Great-circle distance, degrees in."""
    north, east = np.radians(lat_b - lat_a) / 2, np.radians(lon_b - lon_a) / 2
    chord = np.sin(north) ** 2 + np.cos(np.radians(lat_a)) * np.cos(np.radians(lat_b)) * np.sin(east) ** 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(chord, 1)))


def join(runs: dict[str, np.ndarray], places: str) -> dict[str, np.ndarray]:
    """Trips: device_id, started_at, ended_at (s), km.

    runs, in order of device and time: device_id, part (a number that changes where a gap splits), first_at, last_at
    (s), standing_s, latitude, longitude; and path_first, path_last, odometer_first, odometer_last (km; NaN: unknown).
    """
    runs = _merged(runs)
    kinds, is_known = _places(runs, places)
    is_stop = runs["standing_s"] >= np.where(is_known, STOP_PLACE_S, STOP_S)
    stops = {name: values[is_stop] for name, values in runs.items()}
    ends = np.isin(kinds[is_stop], ENDING)
    km = _km_from_before(stops)
    seconds = np.append(0.0, stops["first_at"][1:] - stops["last_at"][:-1])
    is_same = _is_next(stops)
    is_short = is_same & ((km < LEG_KM) | (seconds < LEG_S))
    # Stops that only short movements part are one dwell.
    dwell = np.cumsum(~is_short) - 1
    begins = np.flatnonzero(~is_short)
    if not len(begins):
        return {name: np.empty(0) for name in ("device_id", "started_at", "ended_at", "km")}
    last = np.append(begins[1:], len(dwell)) - 1
    arrived, left = stops["first_at"][begins], stops["last_at"][last]
    stays = np.logical_or.reduceat(ends, begins) | (left - arrived >= DWELL_S)
    starts_track = ~is_same[begins]
    number = np.cumsum(starts_track | np.append(True, stays[:-1]))  # the trip that reaches each dwell
    real = np.flatnonzero(~starts_track)
    if not len(real):
        return {name: np.empty(0) for name in ("device_id", "started_at", "ended_at", "km")}
    at = real[np.flatnonzero(np.diff(number[real], prepend=-1))]
    end = np.append(real[np.flatnonzero(np.diff(number[real]))], real[-1])
    totals = np.bincount(number[real], weights=km[begins][real], minlength=number[-1] + 1)
    return {
        "device_id": stops["device_id"][begins][at],
        "started_at": left[at - 1],
        "ended_at": arrived[end],
        "km": totals[number[at]],
    }


def _is_next(rows: dict[str, np.ndarray]) -> np.ndarray:
    same = np.zeros(len(rows["part"]), dtype=bool)
    same[1:] = (rows["device_id"][1:] == rows["device_id"][:-1]) & (rows["part"][1:] == rows["part"][:-1])
    return same


def _merged(runs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs within the radius of the one before, with no way of more than twice it between, are one."""
    near = distance_m(runs["latitude"][:-1], runs["longitude"][:-1], runs["latitude"][1:], runs["longitude"][1:])
    way = np.nan_to_num((runs["path_first"][1:] - runs["path_last"][:-1]) * 1000)
    is_new = np.ones(len(runs["part"]), dtype=bool)
    is_new[1:] = ~_is_next(runs)[1:] | (near > RADIUS_M) | (way > 2 * RADIUS_M)
    begins = np.flatnonzero(is_new)
    last = np.append(begins[1:], len(is_new)) - 1
    merged = {name: values[last if name.endswith(("_last", "last_at")) else begins] for name, values in runs.items()}
    merged["standing_s"] = np.add.reduceat(runs["standing_s"], begins)
    return merged


def _places(runs: dict[str, np.ndarray], path: str) -> tuple[np.ndarray, np.ndarray]:
    """Kind of the place that holds each run, and whether there is one: one that ends trips, then the smallest."""
    places = pq.read_table(path).to_pandas()
    places["rank"] = ~places["kind"].isin(ENDING)
    kinds = np.full(len(runs["part"]), "", dtype=object)
    for place in places.sort_values(["rank", "radius_m"], ascending=False).itertuples():
        north = np.abs(runs["latitude"] - place.latitude) * 111_195 <= place.radius_m
        at = np.flatnonzero(north)
        at = at[
            distance_m(runs["latitude"][at], runs["longitude"][at], place.latitude, place.longitude) <= place.radius_m
        ]
        kinds[at] = place.kind
    return kinds, kinds != ""


def _km_from_before(stops: dict[str, np.ndarray]) -> np.ndarray:
    """km from the stop before: by odometer, where it did not fall, else by path, else the chord."""
    counted = np.append(np.nan, stops["odometer_first"][1:] - stops["odometer_last"][:-1])
    path = np.append(np.nan, stops["path_first"][1:] - stops["path_last"][:-1])
    chord = np.append(0.0, distance_m(stops["latitude"][:-1], stops["longitude"][:-1], stops["latitude"][1:],
                                      stops["longitude"][1:]) / 1000)  # fmt: skip
    return np.where(counted >= 0, counted, np.where(np.isnan(path), chord, path))


def of_stops(device: np.ndarray, arrived: np.ndarray, left: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> dict:
    """A library's stops as runs."""
    order = np.lexsort((arrived, device.astype(str)))
    unknown = np.full(len(order), np.nan)
    return {
        "device_id": device[order], "part": np.zeros(len(order)), "first_at": arrived[order], "last_at": left[order],
        "standing_s": (left - arrived)[order], "latitude": lat[order], "longitude": lon[order],
        **dict.fromkeys(("path_first", "path_last", "odometer_first", "odometer_last"), unknown),
    }  # fmt: skip

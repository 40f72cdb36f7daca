"""Legs joined to trips: where a trip ends, and which of two sources' trips counts.

Distances are measured in `segmentation`; purposes are decided in `classification`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import as_floats, as_objects, frame_of
from fleet_audit.logic.primitives.cycles import dates
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.places import WORKPLACES, Places
from fleet_audit.logic.trips.distance import calibration_ratios, evidence_grade, measured_km
from fleet_audit.logic.trips.legs import Chain
from fleet_audit.logic.trips.rounded.unproven_places import can_be_workplaces

_SUMMED = ("km_odometer", "km_gps", "km_bridged", "km_chord", "km_long_chord", "km_far_chord", "km_fine", "km_open",
           "km_reported", "moving_s", "moving_steps", "hidden_s")  # fmt: skip
_FOLDED = {
    "is_odometer_valid": np.logical_and,
    "is_maintenance_driver": np.logical_or,
    "odometer_resolution_km": np.fmax,
    "max_speed_kmh": np.fmax,
    "passengers_max": np.fmax,
}


def join_trips(chain: Chain, places: Places, parameters: ParameterSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trips and their legs (with trip_id and operational_date), of one source.

    A trip ends where its vehicle arrives at a place that ends trips, dwells `trip_end_dwell_s`, changes its driver, or
    is lost in a gap; one that would be no service ends where that can be a workplace, too. A movement below the
    shortest leg is part of the dwell around it and a trip row of its own.
    """
    dwells, dwell_of_stop = _dwells(chain, places, parameters)
    legs = chain.legs
    before, after = (np.append(dwell_of_stop, -1)[legs[name]] for name in ("stop_before", "stop_after"))
    is_short = legs["is_short"]
    number = np.empty(len(is_short), dtype=np.int64)
    number[is_short] = -1 - np.arange(np.count_nonzero(is_short))
    long = np.flatnonzero(~is_short)
    number[long] = _trip_numbers(legs["chain"][long], legs["driver_id"].take(long), before[long], after[long], dwells)
    trips = _trips(legs, number, before, after, dwells, places, parameters)
    owner = np.searchsorted(trips["number"].to_numpy(), number)
    added = {"dwell_before": before, "dwell_after": after, "number": number}
    added |= {name: trips[name].array.take(owner) for name in ("trip_id", "operational_date")}
    return trips, frame_of(legs | added)


def _dwells(
    chain: Chain, places: Places, parameters: ParameterSet
) -> tuple[dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """Stops that only short movements part are one dwell: its places, whether it ends a trip, or makes it service.

    `may_serve_in`, `may_serve_out`: a trip that arrives there, or leaves, is or may be service; `is_perhaps_work`: it
    can lie in a workplace, and in no place for certain.
    """
    stops, legs = chain.stops, chain.legs
    is_new = np.diff(stops["chain"], prepend=-1) != 0
    is_new |= stops["is_after_split"]
    reached = legs["stop_after"][~legs["is_short"]]
    is_new[reached[reached >= 0]] = True
    start, size = np.flatnonzero(is_new), len(is_new)
    arrived, left = (as_objects(stops[name]) for name in ("poi_in", "poi_out"))
    latest_first = size - np.append(start, size)[:0:-1]
    last_known = size - 1 - _first_known(pd.isna(left[::-1]), latest_first)[::-1]
    seconds = (
        _fold(np.maximum, stops["last_at"].to_numpy("datetime64[us]"), start)
        - _fold(np.minimum, stops["first_at"].to_numpy("datetime64[us]"), start)
    ) / np.timedelta64(1, "s")
    first_known = _first_known(pd.isna(arrived), start)
    possible_in, possible_out = (as_objects(stops[name]) for name in ("candidates_in", "candidates_out"))
    poi_in, poi_out = arrived[first_known], left[last_known]
    can_be_work = _fold(np.logical_or, can_be_workplaces(possible_in, places), start)
    return {
        "poi_in": poi_in,
        "poi_out": poi_out,
        "candidates_in": possible_in[first_known],
        "candidates_out": possible_out[last_known],
        "is_perhaps_work": pd.isna(poi_in) & can_be_work,
        **{
            f"may_serve_{side}": np.isin(places.kinds(poi).astype(str), WORKPLACES)
            | (pd.isna(poi) & _fold(np.logical_or, ~pd.isna(possible), start))
            for side, poi, possible in (("in", poi_in, possible_in), ("out", poi_out, possible_out))
        },
        "ends": _fold(np.logical_or, places.ends_trip(arrived), start) | (seconds >= parameters.trip_end_dwell_s),
    }, np.cumsum(is_new) - 1


def _trip_numbers(
    chain: np.ndarray, driver_id: Any, before: np.ndarray, after: np.ndarray, dwells: dict[str, np.ndarray]
) -> np.ndarray:
    """A running number of the trip that each long leg belongs to."""
    previous = np.append(-1, after[:-1])[: len(after)]
    is_new = (np.diff(chain, prepend=-1) != 0) | (before < 0) | (previous != before)
    is_new |= np.append(dwells["ends"], True)[before]
    driver = pd.factorize(driver_id)[0]
    # The last driver that the trip knew before each leg; the place of the leg that named him must lie in the trip.
    named = np.append(-1, np.maximum.accumulate(np.where(driver >= 0, np.arange(len(driver)), -1))[:-1])[: len(driver)]
    is_same_trip = named >= np.maximum.accumulate(np.where(is_new, np.arange(len(is_new)), -1))
    is_new |= (driver >= 0) & (named >= 0) & is_same_trip & (driver != driver[named])
    return np.cumsum(is_new | _leaves_unproven_work(is_new, before, after, dwells))


def _leaves_unproven_work(
    is_new: np.ndarray, before: np.ndarray, after: np.ndarray, dwells: dict[str, np.ndarray]
) -> np.ndarray:
    """Whether a leg leaves a stop that can lie in a workplace, within a trip neither end of which can lie in one.

    By coordinates in full the trip ends at the workplace. From the garage to the mill and back was one empty run of
    40 km, which nobody held.
    """
    first = np.flatnonzero(is_new)
    last = np.append(first[1:], len(is_new))[: len(first)] - 1
    may_serve = np.append(dwells["may_serve_out"], False)[before[first]]
    may_serve |= np.append(dwells["may_serve_in"], False)[after[last]]
    return np.append(dwells["is_perhaps_work"], False)[before] & ~may_serve[np.cumsum(is_new) - 1]


def _trips(
    legs: dict[str, Any], number: np.ndarray, before: np.ndarray, after: np.ndarray, dwells: dict[str, np.ndarray],
    places: Places, parameters: ParameterSet,
) -> pd.DataFrame:  # fmt: skip
    order = np.argsort(number, kind="stable")
    numbers, start = np.unique(number[order], return_index=True)
    end = np.append(start[1:], len(order))[: len(start)] - 1
    first, last = order[start], order[end]
    keys = [name for name in ("trip_key",) if name in legs]  # two keys may begin at one instant
    # Places are those of the first and last leg, even when missing: another stop's would be wrong.
    taken = {
        **dict.fromkeys(("plate", "timezone", "started_at", "source", "is_short", "is_start_in_gap", *keys), first),
        **dict.fromkeys(("origin_address",), first),
        **dict.fromkeys(("ended_at", "is_end_in_gap", "destination_address"), last),
        **{
            name: order[_first_known(np.asarray(pd.isna(legs[name]))[order], start)]
            for name in ("device_id", "driver_id", "first_moving_at")
        },
    }
    trips = {name: legs[name].take(rows) for name, rows in taken.items()}
    is_short = legs["is_short"][first]
    for name, leg, dwell, side in (
        ("origin_poi_id", first, before, "poi_out"),
        ("destination_poi_id", last, after, "poi_in"),
    ):
        own, known = as_objects(legs[name])[leg], np.append(dwells[side], np.array([None]))[dwell[leg]]
        # A stop without a place has that of its dwell: a short movement into the gate does not change the place.
        is_of_dwell = pd.isna(own) & ~is_short & ~pd.isna(known)
        trips[name] = np.where(is_of_dwell, known, own)
        candidates = name.replace("poi_id", "candidates")
        of_dwell = np.append(dwells[side.replace("poi", "candidates")], np.array([None]))[dwell[leg]]
        trips[candidates] = np.where(is_of_dwell, of_dwell, as_objects(legs[candidates])[leg])
    is_ended = np.append(dwells["ends"], False)  # in a silence nothing is known of a dwell
    trips |= {"is_start_open": ~is_ended[before[first]], "is_end_open": ~is_ended[after[last]]}
    trips["legs"] = end - start + 1
    for name, fold in _FOLDED.items():
        values = legs[name] if legs[name].dtype == bool else as_floats(legs[name])
        trips[name] = _fold(fold, values[order], start)
    for name in _SUMMED:  # a leg that was not measured leaves the trip unmeasured, never shorter
        trips[name] = _sums(legs[name], order, start)
    digest = _fold(np.add, np.asarray(legs["track_digest"], dtype=np.int64)[order], start)
    trips["track_digest"] = pd.arrays.IntegerArray(digest, pd.isna(trips["first_moving_at"]))
    for name in ("gaps", "passengers_readings"):
        trips[name] = _sums(legs[name], order, start).astype("int64")
    is_inner = np.ones(len(order), dtype=bool)
    is_inner[end] = False  # the dwells between the legs of a trip are those of all its legs but the last
    dwelt = np.where(is_inner, np.nan_to_num(as_floats(legs["dwell_covered_s"])[order]), 0.0)
    trips["covered_s"] = _fold(np.add, np.nan_to_num(as_floats(legs["covered_s"])[order]), start) + _fold(
        np.add, dwelt, start
    )
    trips["duration_s"] = (trips["ended_at"] - trips["started_at"]).total_seconds()
    trips["calibration_ratio"] = calibration_ratios(trips)
    measured = measured_km(trips, parameters)
    trips |= {name: measured[name] for name in ("km", "km_method", "km_uncertainty", "is_disputed", "coverage_pct")}
    trips["evidence_grade"] = evidence_grade(measured, trips, parameters)
    trips["operational_date"] = dates(local_days(pd.Series(trips["started_at"]), pd.Series(trips["timezone"])))
    for side in ("origin", "destination"):
        address, names = pd.Series(trips[f"{side}_address"]), places.names(trips[f"{side}_poi_id"])
        is_written = address.notna()
        has_none = address.dtype == object and not is_written.any()  # of positions
        trips[f"{side}_text"] = pd.Series(names, dtype=object) if has_none else address.where(is_written, names)
    frame = pd.DataFrame({"number": numbers, **trips})
    frame["trip_id"] = stable_ids(frame, ["plate", "device_id", "started_at", "source", *keys], "trip")
    return frame


def _fold(fold: np.ufunc, values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """One value per group."""
    folded: np.ndarray = fold.reduceat(values, start) if len(start) else values[:0]
    return folded


def _sums(values: Any, order: np.ndarray, start: np.ndarray) -> np.ndarray:
    return _fold(np.add, as_floats(values)[order], start)


def _first_known(is_missing: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Row of the first value of each group that is not missing; where all are, of the first."""
    rows = np.where(is_missing, len(is_missing), np.arange(len(is_missing)))
    first = _fold(np.minimum, rows, start)
    return np.where(first < np.append(start[1:], len(rows))[: len(start)], first, start)


def supersede(claimed: pd.DataFrame, trips: pd.DataFrame, spans: pd.DataFrame, parameters: ParameterSet) -> pd.Series:
    """For each trip that a weaker source claims: the trip that measured it, "observed", or None where it stands alone.

    Positions measure a trip when one of theirs overlaps it by `source_overlap_pct` of the shorter, or when they
    watched that share of its time (`spans`: plate, started_at, ended_at): then the movement did not happen.
    A trip of zero length counts as one second.
    """
    left, right = _lasting(claimed), _lasting(trips)
    pairs = overlaps(left, right)
    shorter = np.minimum(_length(left)[pairs["left"]], _length(right)[pairs["right"]])
    owner = (
        pairs[pairs["overlap_us"] * 100 >= parameters.source_overlap_pct * shorter]
        .assign(trip_id=lambda rows: trips["trip_id"].to_numpy()[rows["right"]])
        .sort_values(["left", "overlap_us", "trip_id"], ascending=[True, False, True])
        .drop_duplicates("left")
    )
    result = pd.Series([None] * len(claimed), index=claimed.index, dtype=object)
    watched = covered_us(left, intervals(spans))
    result[watched * 100 >= parameters.source_overlap_pct * _length(left)] = "observed"
    result.iloc[owner["left"].to_numpy()] = owner["trip_id"].to_numpy()
    return result


def with_places_of(trips: pd.DataFrame, reports: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """Trips without places (of telemetry without coordinates), named by the reports that they supersede (`by`)."""
    known = reports.assign(owner=by).sort_values("started_at", kind="stable")
    result = trips.copy()
    for side, keep in (("origin", "first"), ("destination", "last")):
        said = known.drop_duplicates("owner", keep=keep).set_index("owner")  # type: ignore[call-overload]
        for column in (f"{side}_poi_id", f"{side}_text"):
            result[column] = trips["trip_id"].map(said[column])
    return result


def _lasting(frame: pd.DataFrame) -> pd.DataFrame:
    spans = intervals(frame)
    return spans.assign(end_us=np.maximum(spans["end_us"], spans["start_us"] + 1_000_000))


def _length(spans: pd.DataFrame) -> np.ndarray:
    return (spans["end_us"] - spans["start_us"]).to_numpy()

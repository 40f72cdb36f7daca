"""Legs joined to trips: where a trip ends, and which of two sources' trips counts.

Neither measures anything itself (see `segmentation`) nor says why a vehicle moved (see `classification`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.cycles import dates
from fleet_audit.logic.identity import stable_ids
from fleet_audit.logic.intervals import covered_us, intervals, overlaps
from fleet_audit.logic.legs import Chain
from fleet_audit.logic.measuring import evidence_grade, measured_km
from fleet_audit.logic.parameters import ParameterSet
from fleet_audit.logic.places import Places
from fleet_audit.logic.wall_clock import local_days

_SUMMED = ("km_odometer", "km_gps", "km_bridged", "km_chord", "km_reported")
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
    is lost in a gap. A movement below the shortest leg is part of the dwell around it and a trip row of its own.
    """
    dwells, dwell_of_stop = _dwells(chain, places)
    legs = chain.legs
    before, after = (np.append(dwell_of_stop, -1)[legs[name].to_numpy()] for name in ("stop_before", "stop_after"))
    legs = legs.assign(dwell_before=before, dwell_after=after)
    long_legs = legs[~legs["is_short"]]
    number = pd.Series(np.nan, index=legs.index)
    number.loc[long_legs.index] = _trip_numbers(long_legs, dwells, parameters)
    short = legs.index[legs["is_short"]]
    number.loc[short] = -1.0 - np.arange(len(short))
    legs = legs.assign(number=number.astype("int64"))
    trips = _trips(legs, dwells, places, parameters)
    owner = trips.set_index("number")
    legs = legs.assign(
        trip_id=owner["trip_id"].reindex(legs["number"]).to_numpy(),
        operational_date=owner["operational_date"].reindex(legs["number"]).to_numpy(),
    )
    return trips, legs


def _dwells(chain: Chain, places: Places) -> tuple[pd.DataFrame, np.ndarray]:
    """Stops that only short movements part are one dwell: its places, its length, whether it ends a trip."""
    stops, legs = chain.stops, chain.legs
    is_new = np.diff(stops["chain"].to_numpy(), prepend=-1) != 0
    is_new |= stops["is_after_split"].to_numpy(bool)
    reached = legs.loc[~legs["is_short"], "stop_after"].to_numpy()
    is_new[reached[reached >= 0]] = True
    dwell = np.cumsum(is_new) - 1
    groups = stops.assign(ends=places.ends_trip(stops["poi_in"])).groupby(dwell)
    dwells = groups.agg(
        poi_in=("poi_in", "first"),
        poi_out=("poi_out", "last"),
        first_at=("first_at", "min"),
        last_at=("last_at", "max"),
        ends=("ends", "any"),
    )
    dwells["seconds"] = (dwells["last_at"] - dwells["first_at"]).dt.total_seconds()
    return dwells, dwell


def _trip_numbers(legs: pd.DataFrame, dwells: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """A running number of the trip that each long leg belongs to."""
    before = legs["dwell_before"].to_numpy()
    stays = np.append(
        dwells["ends"].to_numpy(bool) | (dwells["seconds"] >= parameters.trip_end_dwell_s).to_numpy(), True
    )
    previous = legs["dwell_after"].shift(fill_value=-1).to_numpy()
    is_new = (legs["chain"] != legs["chain"].shift()).to_numpy() | (before < 0) | (previous != before) | stays[before]
    provisional = np.cumsum(is_new)
    driver = legs["driver_id"]
    known = driver.groupby(provisional).ffill()
    last_known = known.groupby(provisional).shift()
    is_new |= (driver.notna() & last_known.notna() & (driver != last_known)).to_numpy()
    return np.cumsum(is_new)


def _trips(legs: pd.DataFrame, dwells: pd.DataFrame, places: Places, parameters: ParameterSet) -> pd.DataFrame:
    legs = legs.iloc[np.argsort(legs["number"].to_numpy(), kind="stable")]
    numbers, start = np.unique(legs["number"].to_numpy(), return_index=True)
    end = np.append(start[1:], len(legs))[: len(start)] - 1
    keys = [name for name in ("trip_key",) if name in legs]  # two keys may begin at one instant
    # Of the places those of the very first and last leg, be they missing: another stop's would be wrong.
    taken = {
        **dict.fromkeys(("plate", "timezone", "started_at", "source", "is_short", "is_start_in_gap", *keys), start),
        **dict.fromkeys(("origin_poi_id", "origin_address", "dwell_before"), start),
        **dict.fromkeys(("ended_at", "is_end_in_gap", "destination_poi_id", "destination_address", "dwell_after"), end),
        **{name: _first_known(legs[name], start) for name in ("device_id", "driver_id")},
    }
    trips = pd.DataFrame({name: legs[name].array.take(rows) for name, rows in taken.items()})
    trips["legs"] = end - start + 1
    for name, fold in _FOLDED.items():
        values = legs[name].to_numpy(dtype=None if legs[name].dtype == bool else float)
        trips[name] = fold.reduceat(values, start) if len(start) else values
    trips["covered_s"] = _sums(legs["covered_s"].fillna(0.0), start)
    for name in ("gaps", "passengers_readings"):
        trips[name] = _sums(legs[name], start).astype("int64")
    for name in _SUMMED:  # a leg that was not measured leaves the trip unmeasured, never shorter
        trips[name] = _sums(legs[name], start)
    trips.index = pd.Index(numbers, name="number")
    trips["covered_s"] += _covered_dwells(legs)
    trips["duration_s"] = (trips["ended_at"] - trips["started_at"]).dt.total_seconds()
    _fill_places(trips, dwells)
    measured = measured_km(trips, parameters)
    trips[["km", "km_method", "km_uncertainty", "is_disputed"]] = measured[
        ["km", "km_method", "km_uncertainty", "is_disputed"]
    ]
    trips["coverage_pct"] = measured["coverage_pct"]
    trips["evidence_grade"] = evidence_grade(measured, trips, parameters)
    trips["operational_date"] = dates(local_days(trips["started_at"], trips["timezone"]))
    trips["origin_text"] = trips["origin_address"].where(
        trips["origin_address"].notna(), places.names(trips["origin_poi_id"])
    )
    trips["destination_text"] = trips["destination_address"].where(
        trips["destination_address"].notna(), places.names(trips["destination_poi_id"])
    )
    trips["trip_id"] = stable_ids(trips, ["plate", "device_id", "started_at", "source", *keys], "trip")
    return trips.reset_index()


def _sums(values: pd.Series, start: np.ndarray) -> np.ndarray:
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return np.add.reduceat(numbers, start) if len(start) else numbers


def _first_known(values: pd.Series, start: np.ndarray) -> np.ndarray:
    """Row of the first value of each group that is not missing; where all are, of the first."""
    rows = np.where(values.isna(), len(values), np.arange(len(values)))
    first = np.minimum.reduceat(rows, start) if len(start) else start
    return np.where(first < np.append(start[1:], len(values))[: len(start)], first, start)


def _covered_dwells(legs: pd.DataFrame) -> pd.Series:
    """Covered seconds of the dwells between the legs of a trip: those of all its legs but the last."""
    is_inner = legs["number"].duplicated(keep="last")
    return legs["dwell_covered_s"].where(is_inner).groupby(legs["number"]).sum()


def _fill_places(trips: pd.DataFrame, dwells: pd.DataFrame) -> None:
    """Where the very stop has no place, that of its dwell counts: a short movement into the gate is no other place."""
    for name, dwell, side in (
        ("origin_poi_id", "dwell_before", "poi_out"),
        ("destination_poi_id", "dwell_after", "poi_in"),
    ):
        known = np.append(dwells[side].to_numpy(dtype=object), np.array([None]))[trips[dwell].to_numpy()]
        own = trips[name].to_numpy(dtype=object)
        trips[name] = np.where(pd.isna(own) & ~trips["is_short"].to_numpy(bool), known, own)


def supersede(claimed: pd.DataFrame, trips: pd.DataFrame, spans: pd.DataFrame, parameters: ParameterSet) -> pd.Series:
    """For each trip that a weaker source claims: the trip that measured it, "observed", or None where it stands alone.

    Positions measure a trip when one of theirs overlaps it by `source_overlap_pct` of the shorter, or when they
    watched that share of its time (`spans`: plate, started_at, ended_at): then they saw that it was no such movement.
    A trip that begins as it ends is looked at for a second.
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

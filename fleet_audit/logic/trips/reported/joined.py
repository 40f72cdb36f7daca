"""Trips of which positions saw a part and a visit report shows the rest: one trip where the report proves it.

How many km of a report count beside those of positions is decided in `parts`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import intervals
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.legs import from_visit_legs
from fleet_audit.logic.trips.reported.silent import REACH_US
from fleet_audit.logic.trips.trips import join_trips

_OF_START = ("started_at", "is_start_in_gap", "operational_date", "timezone",
             "origin_address", "origin_poi_id", "origin_candidates", "origin_text")  # fmt: skip
_OF_END = ("ended_at", "is_end_in_gap",
           "destination_address", "destination_poi_id", "destination_candidates", "destination_text")  # fmt: skip
_SUMMED = ("legs", "gaps", "passengers_readings", "covered_s", "km", "km_uncertainty", "km_reported", "moving_s",
           "moving_steps")  # fmt: skip
_GREATEST = ("max_speed_kmh", "passengers_max", "is_maintenance_driver", "is_disputed")


def owners_of_parts(
    measured: pd.DataFrame,
    measured_legs: pd.DataFrame,
    reported: pd.DataFrame,
    reported_legs: pd.DataFrame,
    visits: pd.DataFrame,
    places: Places,
    parameters: ParameterSet,
) -> pd.Series:
    """trip_id of the joined trip, by the trip_id of each trip that is a part of one.

    A trip of positions and the trip of a report next to it are one where a silence cuts the first, or it ends at a stop
    that ends no trip, and the report has the movements of both in one trip of its own. The leg of positions beside the
    silence lies within that trip, both clocks allowed, for half of its time or more, and the places at its other end
    are not two.

    Args:
        measured: trips of positions; measured_legs: their legs.
        reported: trips of reports that count; reported_legs: all legs of reports, with the number of their movement.
        visits: the movements as reported, with timezone.
    """
    has_both = reported["plate"].isin(measured["plate"])
    if not has_both.any():
        return pd.Series(dtype=object)
    visits = visits[visits["plate"].isin(reported.loc[has_both, "plate"])]
    movements = _report_trips(visits, places, parameters)
    parts = _in_order(measured, reported, reported_legs)
    before, after = parts.iloc[:-1].reset_index(drop=True), parts.iloc[1:].reset_index(drop=True)
    is_next = (before["plate"] == after["plate"]) & (before["is_report"] != after["is_report"])
    is_next &= before["is_end_open"] & after["is_start_open"]
    apart_us = after["start_us"] - before["end_us"]
    is_beside = (apart_us >= -REACH_US) & (apart_us < parameters.trip_end_dwell_s * 1_000_000)
    # A movement that positions saw in its middle alone is reported before them and after them.
    is_beside |= ~after["is_report"] & after["is_end_open"] & (after["end_us"] <= before["end_us"])
    is_next &= is_beside
    for is_report_after in (True, False):
        rows = np.flatnonzero(is_next & (after["is_report"] == is_report_after))
        seen, listed = (before, after) if is_report_after else (after, before)
        legs = _facing(measured_legs, seen["trip_id"].iloc[rows], is_last=is_report_after)
        movement = _facing(reported_legs, listed["trip_id"].iloc[rows], is_last=not is_report_after)["movement"]
        is_next.iloc[rows] = _is_proven(legs, movement.to_numpy(), movements, is_report_after)
    return _owners(parts, is_next.to_numpy(dtype=bool))


def _report_trips(visits: pd.DataFrame, places: Places, parameters: ParameterSet) -> pd.DataFrame:
    """`intervals` of the movements with the trip that the report alone makes of them, and their places."""
    alone = visits.assign(counted_km=visits["reported_km"], resolution_km=0.0, superseded_by=None)
    chain = from_visit_legs(alone, places, parameters)
    _, legs = join_trips(chain, places, parameters)
    names = ["trip_id", "movement", "origin_poi_id", "destination_poi_id"]
    return intervals(legs).join(legs[names].rename(columns={"trip_id": "report_trip"}))


def _in_order(measured: pd.DataFrame, reported: pd.DataFrame, reported_legs: pd.DataFrame) -> pd.DataFrame:
    """Trips of both sources by vehicle and time: trip_id, plate, device_id, start_us, end_us, is_report,
    is_start_open, is_end_open.

    Movement that is too short for a trip is one of its own, unless a silence cuts it. What a cut movement reports of
    its ends is that of the whole: whether a trip of a report ends is known by `_report_trips` alone.
    """
    is_cut = reported_legs["movement"].duplicated(keep=False)
    cut = reported_legs.loc[is_cut, "trip_id"]
    measured = measured[~measured["is_short"] | measured["is_start_in_gap"] | measured["is_end_in_gap"]]
    reported = reported[~reported["is_short"] | reported["trip_id"].isin(cut)]
    reported = reported.assign(is_report=True, is_start_open=True, is_end_open=True)
    both = pd.concat([measured.assign(is_report=False), reported], ignore_index=True)
    both = both[both["km"].notna()].reset_index(drop=True)
    names = ["trip_id", "device_id", "is_report", "is_start_open", "is_end_open"]
    found = intervals(both).join(both[names].astype({"is_start_open": bool, "is_end_open": bool}))
    return found.sort_values(["plate", "start_us", "end_us", "trip_id"]).reset_index(drop=True)


def _facing(legs: pd.DataFrame, trip_ids: pd.Series, *, is_last: bool) -> pd.DataFrame:
    """The first or the last leg of each of these trips, in their order."""
    ordered = legs.sort_values(["started_at", "ended_at"], kind="stable")
    of_trip = ordered.drop_duplicates("trip_id", keep="last" if is_last else "first").set_index("trip_id")
    return of_trip.loc[trip_ids].reset_index()


def _is_proven(
    legs: pd.DataFrame, movement: np.ndarray, movements: pd.DataFrame, is_report_after: bool
) -> np.ndarray:  # fmt: skip
    """Whether each leg of positions lies in the trip that the report makes of a movement, and begins or ends there."""
    report_trip = movements.set_index("movement")["report_trip"].loc[movement].to_numpy()
    seen = intervals(legs).assign(row=np.arange(len(legs)), report_trip=report_trip)
    name, side = ("origin_poi_id", "start_us") if is_report_after else ("destination_poi_id", "end_us")
    seen["place"] = legs[name].to_numpy(dtype=object)
    met = seen.merge(movements, on="report_trip", suffixes=("", "_reported"))
    shared = np.minimum(met["end_us"], met["end_us_reported"]) - np.maximum(met["start_us"], met["start_us_reported"])
    is_one_end = (met[side] - met[f"{side}_reported"]).abs() <= REACH_US
    is_other = is_one_end & met["place"].notna() & met[name].notna() & (met["place"] != met[name])
    of = met.assign(shared_us=shared.clip(lower=0), is_other=is_other).groupby("row").agg(
        shared_us=("shared_us", "sum"), is_other=("is_other", "any"),
        first_us=("start_us_reported", "min"), last_us=("end_us_reported", "max"),
    )  # fmt: skip
    lasting_us = seen["end_us"] - seen["start_us"]
    is_inside = (seen["start_us"] >= of["first_us"] - REACH_US) & (seen["end_us"] <= of["last_us"] + REACH_US)
    proven: np.ndarray = (is_inside & (2 * of["shared_us"] >= lasting_us) & ~of["is_other"]).to_numpy(dtype=bool)
    return proven


def _owners(parts: pd.DataFrame, is_one_with_next: np.ndarray) -> pd.Series:
    """The first trip of positions of each run of parts that are one; its device measured all of them."""
    number = np.cumsum(np.append(True, ~is_one_with_next))
    device = parts["device_id"].where(~parts["is_report"])
    devices = device.groupby(number).transform("nunique")
    count = np.bincount(number)[number]
    joined = parts[(count > 1) & (devices == 1).to_numpy()].assign(number=number[(count > 1) & (devices == 1)])
    first = joined[~joined["is_report"]].drop_duplicates("number").set_index("number")["trip_id"]
    return pd.Series(joined["number"].map(first).to_numpy(dtype=object), index=joined["trip_id"].to_numpy(dtype=object))


def join_parts(measured: pd.DataFrame, reported: pd.DataFrame, owners: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trips of positions, joined with the parts of `reported` that `owners` names; and what is left of `reported`.

    Each end is that of the source that saw it. km and doubts add up. Neither odometer nor path measured the whole, so
    that both are unknown; the method is that of most of the km, and the grade C, as of a report. What the report
    alone shows is hidden: a bus that left the garage empty, and was not seen when it filled, was unpaid.
    """
    if owners.empty:
        return measured, reported
    seen_s = measured["duration_s"] - measured["hidden_s"]
    parts = pd.concat([measured.assign(seen_s=seen_s), reported.assign(seen_s=0.0)], ignore_index=True)
    parts = parts.assign(owner=parts["trip_id"].map(owners))
    parts = parts[parts["owner"].notna()].sort_values(["owner", "started_at", "ended_at"], kind="stable")
    by_owner = parts.groupby("owner", sort=True)
    first, last, longest = (
        rows.drop_duplicates("owner").set_index("owner").sort_index()
        for rows in (
            parts,
            parts.sort_values("ended_at", ascending=False, kind="stable"),
            parts.sort_values("km", ascending=False, kind="stable"),
        )
    )
    joined = parts[parts["trip_id"] == parts["owner"]].set_index("owner").sort_index()
    joined = joined.assign(
        **{name: first[name] for name in _OF_START},
        **{name: last[name] for name in _OF_END},
        **{name: by_owner[name].sum(min_count=1).astype(parts[name].dtype) for name in _SUMMED},
        **{name: by_owner[name].max() for name in _GREATEST},
        driver_id=by_owner["driver_id"].first(),
        km_odometer=np.nan,
        km_gps=np.nan,
        track_digest=pd.NA,
        km_method=longest["km_method"],
        is_short=False,
        is_odometer_valid=False,
        evidence_grade="C",
    )
    joined["duration_s"] = (joined["ended_at"] - joined["started_at"]).dt.total_seconds()
    joined["hidden_s"] = joined["duration_s"] - by_owner["seen_s"].sum()
    joined["coverage_pct"] = 100 * joined["covered_s"] / joined["duration_s"]
    of_joined = measured["trip_id"].isin(owners.index)
    left = reported[~reported["trip_id"].isin(owners.index)]
    joined = joined.reset_index(drop=True).astype(measured.dtypes.to_dict())[list(measured)]
    return pd.concat([measured[~of_joined], joined], ignore_index=True), left


def with_owners(rows: pd.DataFrame, owners: pd.Series, joined: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Rows with the trip_id (or `columns`) and the operational_date of the joined trips that they are parts of."""
    if owners.empty:
        return rows
    day_of = joined.set_index("trip_id")["operational_date"]
    owner = rows["trip_id"].map(owners)
    dates = owner.map(day_of)
    named = {name: rows[name].map(owners).where(rows[name].isin(owners.index), rows[name]) for name in columns}
    return rows.assign(operational_date=dates.where(owner.notna(), rows["operational_date"]), **named)

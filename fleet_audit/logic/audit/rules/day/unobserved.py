"""Time in which nothing observed a vehicle, and the most km that it can have driven then.

What such kilometres take from an accusation is decided by each rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps, union
from fleet_audit.logic.reference.places import distance_m

_BOUNDS = ("started_at", "ended_at")
_OF_TRIP = ("km_method", "is_start_in_gap", "is_end_in_gap")
_LEAST_OVERLAP_US = 60_000_000  # declared times are whole minutes
_MOST_OFF_US = 120_000_000  # by as much declared times differ from the true ones on simulated fleets
_WINDOW_DAYS = 4  # on each side of D: no run or trip of its window reaches further


def unseen_km(context: AuditDay, during: pd.DataFrame) -> pd.DataFrame:
    """The most km that a vehicle can have driven unobserved in each interval (`intervals(...)`), in their order.

    counted_km: what its odometer counted over the silences, where that is known; possible_km: what mean_speed_kmh
    allows in the others. Neither is more than it allows. at_once_km: the most in a single silence; asleep_km: likewise
    of those that `_is_asleep`.
    """
    pieces = _unseen_pieces(context, during)
    km, is_counted = _most_km(context, pieces), pieces["counted_km"].notna().to_numpy()
    sums = {
        name: np.bincount(pieces["left"], weights=np.where(is_chosen, km, 0.0), minlength=len(during))
        for name, is_chosen in (("counted_km", is_counted), ("possible_km", ~is_counted))
    }
    plates = pd.Series(during["plate"].to_numpy()[pieces["left"]], dtype=object)
    asleep = np.where(_is_asleep(context, plates, pieces["counted_km"]), _km_at_speed(context, pieces), 0.0)
    most = pd.DataFrame({"at_once_km": km, "asleep_km": asleep}).groupby(pieces["left"].to_numpy()).max()
    return pd.DataFrame(sums).join(most).fillna(0.0)


@computed_once
def unseen_km_of_groups(context: AuditDay) -> dict[str, float]:
    """The most km driven unobserved for each compared group, by match_id. Only those above 0."""
    pieces = pieces_of_groups(context)
    sums = _km_of_silences(pieces, pieces["match_id"])
    return sums[sums > 0].to_dict()


def unseen_km_together(context: AuditDay, match_ids: Iterable[str]) -> float:
    """The same for several groups of one vehicle together: two may share a silence, which has its km once."""
    pieces = pieces_of_groups(context)
    pieces = pieces[pieces["match_id"].isin(list(match_ids))]
    return float(_km_of_silences(pieces, pieces["plate"]).sum())


@computed_once
def asleep_km_of_groups(context: AuditDay) -> dict[str, float]:
    """The most km driven in silences that `_is_asleep`, in the own time of each such group, by match_id."""
    held = _held_pieces(context)
    held = held[_is_asleep(context, held["plate"], held["counted_km"])]
    return pd.Series(_km_at_speed(context, held)).groupby(held["match_id"].to_numpy()).sum().to_dict()


def unseen_km_between(context: AuditDay, between: pd.DataFrame) -> np.ndarray:
    """The most km driven unobserved for the group of each row (match_id, started_at, ended_at), from start to end."""
    pieces = pieces_of_groups(context)
    has_group = between["match_id"].notna().to_numpy() & between[list(_BOUNDS)].notna().all(axis=1).to_numpy()
    during = intervals(between[has_group].rename(columns={"match_id": "plate"}))
    pairs = overlaps(during, pieces.assign(plate=pieces["match_id"]))
    km = np.zeros(len(between))
    km[has_group] = np.bincount(pairs["left"], weights=pieces["km"].to_numpy()[pairs["right"]], minlength=len(during))
    return km


@computed_once
def pieces_of_groups(context: AuditDay) -> pd.DataFrame:
    """The part of each silence that compared groups share: match_id, and as `_unseen_pieces`.

    Only silences that reach into a run or a trip of the group by more than _LEAST_OVERLAP_US: a bus that stands until
    its tracker sleeps has ended its run. Then the run is widened as in matching. The group's own trips that the
    odometer measured hold what was driven unobserved in them.
    """
    runs, trips = _runs_and_trips(context)
    margin_us = _margin_us(context, runs)
    wide = runs.assign(start_us=runs["start_us"] - margin_us, end_us=runs["end_us"] + margin_us)
    wide = union(pd.concat([wide, trips], ignore_index=True))
    pieces = _pieces_in(context, wide)
    keys, of_held = (
        pd.MultiIndex.from_frame(rows[["match_id", "silence"]]) for rows in (pieces, _held_pieces(context))
    )
    pieces = pieces[keys.isin(of_held)].reset_index(drop=True)
    by_group = pieces.assign(plate=pieces["match_id"])
    measured = covered_us(by_group, trips[trips["km_method"] == "odometer"])
    return pieces.assign(km=_most_km(context, pieces.assign(lasting_us=pieces["lasting_us"] - measured)))


@computed_once
def _held_pieces(context: AuditDay) -> pd.DataFrame:
    """The part of each silence in the group's own runs and trips, of those above _LEAST_OVERLAP_US."""
    runs, trips = _runs_and_trips(context)
    held = _pieces_in(context, union(pd.concat([runs, _with_cut_ends(trips)], ignore_index=True)))
    return held[held["lasting_us"] > _LEAST_OVERLAP_US]


@computed_once
def _runs_and_trips(context: AuditDay) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`intervals` of the runs and the trips of compared groups, by match_id as plate."""
    groups = context.groups[context.groups["difference_km"].notna()]
    runs, trips = (
        groups[["match_id", name]].explode(name).merge(rows, left_on=name, right_on=key)
        for name, key, rows in (
            ("declared_run_ids", "declared_run_id", context.runs[["declared_run_id", *_BOUNDS]]),
            ("trip_ids", "trip_id", context.trips[["trip_id", *_OF_TRIP, *_BOUNDS]]),
        )
    )
    by_group = (intervals(rows.assign(plate=rows["match_id"])) for rows in (runs, trips))
    of_runs, of_trips = by_group
    return of_runs, of_trips.assign(**{name: trips[name].to_numpy() for name in _OF_TRIP})


def _margin_us(context: AuditDay, runs: pd.DataFrame) -> np.ndarray:
    """By how much a run is widened in matching."""
    wide_s, short_s = context.parameters.match_widen_s, context.parameters.match_widen_short_s
    is_short = runs["end_us"] - runs["start_us"] < wide_s * 1e6
    margin_us: np.ndarray = np.where(is_short, short_s, wide_s) * 1_000_000
    return margin_us.astype("int64")


def _with_cut_ends(trips: pd.DataFrame) -> pd.DataFrame:
    """The trips, longer where a silence cuts them: a bus that moves into it has not ended its run."""
    starts, ends = (trips[name].to_numpy(dtype=bool, na_value=False) for name in _OF_TRIP[1:])
    return trips.assign(
        start_us=trips["start_us"] - starts * _MOST_OFF_US, end_us=trips["end_us"] + ends * _MOST_OFF_US
    )


def _pieces_in(context: AuditDay, of_groups: pd.DataFrame) -> pd.DataFrame:
    """`_unseen_pieces` of the disjoint intervals of groups (match_id as plate), each with match_id and plate."""
    plates = context.groups.drop_duplicates("match_id").set_index("match_id")["plate"]
    during = of_groups.assign(plate=of_groups["plate"].map(plates).astype(object))
    pieces = _unseen_pieces(context, during)
    owner = {
        name: rows["plate"].to_numpy(dtype=object)[pieces["left"]]
        for name, rows in (("match_id", of_groups), ("plate", during))
    }
    return pieces.assign(**owner)


def _km_of_silences(pieces: pd.DataFrame, owner: pd.Series) -> pd.Series:
    """km of each owner's pieces, of one silence together at most what it allows."""
    by_silence = pieces.groupby([owner.to_numpy(dtype=object), "silence"])
    km = np.minimum(by_silence["km"].sum(), by_silence["most_km"].first())
    return km.groupby(level=0).sum()


def places_apart_m(context: AuditDay, first: pd.Series, second: pd.Series) -> np.ndarray:
    """Least distance between two registered circles; NaN where one has no circle."""
    pois = context.reference.pois.drop_duplicates("poi_id", keep="last").set_index("poi_id")
    pois = pois[["latitude", "longitude", "radius_m"]].astype("float64")
    sides = [pois.reindex(side.astype(object)).to_numpy() for side in (first, second)]
    centres = distance_m(sides[0][:, 0], sides[0][:, 1], sides[1][:, 0], sides[1][:, 1])
    return np.where((first == second).fillna(False), 0.0, centres - sides[0][:, 2] - sides[1][:, 2])


def _unseen_pieces(context: AuditDay, during: pd.DataFrame) -> pd.DataFrame:
    """The part of each silence in each interval: left (row of `during`), start_us, end_us, lasting_us, counted_km.

    silence: its row; most_km: the most that can have been driven in the whole of it.
    """
    silent = _silences(context)
    whole = silent.assign(lasting_us=silent["end_us"] - silent["start_us"])
    pairs = overlaps(during, silent)
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    return pd.DataFrame(
        {
            "left": left,
            "silence": right,
            "start_us": np.maximum(during["start_us"].to_numpy()[left], silent["start_us"].to_numpy()[right]),
            "end_us": np.minimum(during["end_us"].to_numpy()[left], silent["end_us"].to_numpy()[right]),
            "lasting_us": pairs["overlap_us"].to_numpy(),
            "counted_km": silent["counted_km"].to_numpy()[right],
            "most_km": _most_km(context, whole)[right],
        }
    )


def _most_km(context: AuditDay, pieces: pd.DataFrame) -> np.ndarray:
    return np.fmin(_km_at_speed(context, pieces), pieces["counted_km"].to_numpy())


def _km_at_speed(context: AuditDay, pieces: pd.DataFrame) -> np.ndarray:
    km: np.ndarray = pieces["lasting_us"].to_numpy() / 3.6e9 * context.parameters.mean_speed_kmh
    return km


def _is_asleep(context: AuditDay, plates: pd.Series, counted_km: pd.Series) -> np.ndarray:
    """Whether nothing but that a vehicle is where it stood shows that it stood: a round trip is possible.

    Its device has no odometer.
    """
    is_asleep: np.ndarray = counted_km.eq(0).to_numpy() & plates.isin(context.plates_without_odometer).to_numpy()
    return is_asleep


@computed_once
def _silences(context: AuditDay) -> pd.DataFrame:
    """Stretches of more than gap_note_s that nothing observed: plate, start_us, end_us, counted_km (NaN: not known).

    Of a vehicle that positions show also the time before the first and after the last of them. A visit report lists
    what its device recorded: only a stretch between two rows is missing, and a stay that ends elsewhere than it began.
    A device that reports too rarely for any span has no silence that differs from its usual step.
    """
    spans = intervals(context.spans)
    spans["counted_km"] = context.spans["counted_before_km"].to_numpy(dtype="float64", na_value=np.nan)
    counted = spans.groupby(["plate", "start_us"])["counted_km"].max()
    seen = context.observed
    found = pd.concat(
        [
            seen.assign(start_us=seen.groupby("plate")["end_us"].shift(), end_us=seen["start_us"].astype("float64")),
            seen.groupby("plate", as_index=False).agg(start_us=("end_us", "max")).assign(end_us=np.nan),
        ],
        ignore_index=True,
    )
    is_bounded = found[["start_us", "end_us"]].notna().all(axis=1)
    found = found[is_bounded | found["plate"].isin(context.plates_with_positions)]
    midnight, most = pd.Timestamp(context.day, tz="UTC"), dt.timedelta(days=_WINDOW_DAYS)
    found = found.fillna({"start_us": (midnight - most).value // 1000, "end_us": (midnight + most).value // 1000})
    found = found.astype({"plate": object, "start_us": "int64", "end_us": "int64"})
    found = pd.concat([found, _stays_that_moved(context)], ignore_index=True)
    found = found[found["end_us"] - found["start_us"] > context.parameters.gap_note_s * 1_000_000]
    keys = pd.MultiIndex.from_frame(found[["plate", "end_us"]])
    return found.assign(counted_km=counted.reindex(keys).to_numpy(dtype="float64")).reset_index(drop=True)


def _stays_that_moved(context: AuditDay) -> pd.DataFrame:
    """`intervals` of the stays of visit reports after which the vehicle left from another registered place.

    Those that positions saw but for gap_note_s are none.
    Its tracker was silent, and the report takes that for a stay: one of a simulated fleet stood from 07:26 to 13:54 and
    left from 4.8 km away, where its run, declared until 07:58, had ended.
    """
    legs = context.legs_of_day
    is_report = (legs["source"] == "visit_report") & legs["superseded_by_trip_id"].isna()
    legs = legs[is_report].sort_values(["plate", "started_at"])
    after = legs.groupby("plate", sort=False).shift(-1)
    apart_m = places_apart_m(context, legs["destination_poi_id"], after["origin_poi_id"])
    stays = pd.DataFrame({"plate": legs["plate"], "started_at": legs["ended_at"], "ended_at": after["started_at"]})
    is_one_file = (legs["file_sha256"] == after["file_sha256"]).fillna(False)
    moved = intervals(stays[is_one_file & (apart_m > 1000 * context.parameters.moved_unseen_km)])
    by_positions = intervals(context.spans[context.spans["source"] == "positions"])
    unseen_us = moved["end_us"] - moved["start_us"] - covered_us(moved, by_positions)
    return moved[unseen_us > context.parameters.gap_note_s * 1_000_000]

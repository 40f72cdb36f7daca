"""Divergences that prove nothing: part of the way was out of sight, or the run may belong to another day.

The rules on divergence use it; tolerances are applied in `matching`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.matching import half_overlaps
from fleet_audit.logic.audit.night_shifts import on_next_day
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.unobserved import asleep_km_of_groups, unseen_km_of_groups
from fleet_audit.logic.audit.rules.draft import uncertainty_km
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.money import KM, from_hundredths, to_hundredths
from fleet_audit.logic.reference.tolerances import allowed_hundredths
from fleet_audit.logic.trips.movements import is_path_of_chords


@computed_once
def doubtful_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that differ without proof.

    More declared than measured proves nothing where the way was not all seen (`cut_matches`, `unseen_matches`). A wrong
    clock, a stuck receiver or a tracker off the bus proves nothing either. A group with a night run whose day is
    uncertain proves something only when the same is found with that run on the day after: by the runs that remain, or
    by that run against the trips that it then overlaps.
    """
    exceeding = _exceeding(context)
    runs = context.run_records(exceeding["declared_run_ids"].explode())
    elsewhere = _km_on_next_day(context, [run for run in runs.values() if run["is_day_uncertain"]])
    doubtful = set(exceeding.loc[exceeding["plate"].isin(context.plates_with_untrusted_device), "match_id"])
    doubtful |= off_bus_matches(context) | cut_matches(context) | unseen_matches(context)
    for group, limit in zip(exceeding.itertuples(), context.limits(exceeding).itertuples(), strict=True):
        own = [runs[key] for key in group.declared_run_ids]
        if any(run["is_day_uncertain"] for run in own) and not _holds_elsewhere(group, own, elsewhere, limit):
            doubtful.add(group.match_id)
    return doubtful


@computed_once
def cut_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that exceed by too much declared, a trip of which a gap that splits cuts."""
    groups = _exceeding(context)
    return set(groups.loc[groups["difference_km"] > 0, "match_id"]) & _matches_of_cut_trips(context)


@computed_once
def _matches_of_cut_trips(context: AuditDay) -> set[str]:
    """match_id of the groups of D with a trip that a gap that splits cuts."""
    is_cut = context.groups["trip_ids"].explode().isin(context.trips.loc[are_cut(context.trips), "trip_id"])
    return set(context.groups.loc[is_cut.groupby(level=0).any(), "match_id"])


def are_cut(trips: pd.DataFrame) -> np.ndarray:
    """Whether a gap that splits cuts the start or the end of each trip."""
    starts, ends = (trips[name].to_numpy(dtype=bool, na_value=False) for name in ("is_start_in_gap", "is_end_in_gap"))
    return starts | ends


@computed_once
def unseen_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that declare more than measured, where it can have been driven unobserved.

    Of a group that exceeds, what is above its tolerance. A trip that ends at a stop is not cut: on a simulated fleet
    one stopped at 07:48, its tracker was silent for 79 min, and its run, declared until 08:21, was accused of 16 km.
    """
    groups = context.groups[context.groups["match_id"].isin(unseen_km_of_groups(context))]
    groups = groups[groups["difference_km"] > 0]
    is_exceeding = groups["is_exceeding"].astype(bool).to_numpy()
    asked = groups["difference_km"].astype("float64") - np.where(is_exceeding, tolerances_km(context, groups), 0.0)
    unseen = groups["match_id"].map(unseen_km_of_groups(context)).astype("float64")
    return set(groups.loc[unseen >= asked, "match_id"])


def matches_with_unseen_km(context: AuditDay) -> pd.DataFrame:
    """The groups of D with unseen_km and is_unobserved: what rules of the cycle know of the silences of its days.

    Both are the same whatever a group declares: a cycle that excluded groups by their difference would be left with
    those that declare less than measured. What a device without an odometer can have driven asleep
    (`asleep_km_of_groups`) is in unseen_km, and explains no difference: it lowers what D01 puts at stake, too.
    """
    groups = context.groups
    is_open = groups["difference_km"].isna().to_numpy(dtype=bool)
    km = sum(
        groups["match_id"].map(found).astype("float64").fillna(0.0)
        for found in (unseen_km_of_groups(context), asleep_km_of_groups(context))
    )
    unobserved = groups["match_id"].isin(unseen_km_of_groups(context).keys() | _matches_of_cut_trips(context))
    return groups.assign(
        unseen_km=from_hundredths(np.floor(100 * np.asarray(km) + 0.5), KM, groups.index, is_open),
        is_unobserved=unobserved.astype("boolean").mask(is_open),
    )


def unseen_declared(context: AuditDay) -> pd.DataFrame:
    """match_id and lacking_km, what is declared beyond the measured, by trip_id of the groups of `unseen_matches`."""
    groups = context.groups[context.groups["match_id"].isin(unseen_matches(context))]
    beyond = groups[["match_id", "trip_ids", "difference_km"]].explode("trip_ids").set_index("trip_ids")
    return beyond.rename(columns={"difference_km": "lacking_km"}).astype({"lacking_km": "float64"})


def partly_unseen_matches(context: AuditDay) -> set[str]:
    """match_id of the groups that exceed by too much declared, while a part of their way was perhaps not seen."""
    return cut_matches(context) | (unseen_matches(context) & set(_exceeding(context)["match_id"]))


@computed_once
def joined_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that exceed by too little declared, where the trips may hold another movement.

    The vehicle's positions are too rare to show a halt of stop_min_s, and its trips begin earlier or end later than the
    runs by more than match_widen_s and one step. On four simulated fleets with a position every 300 s such trips, which
    held a deadhead, too, reached 28 to 43 min beyond their run; all others at most 11 min.
    """
    groups = _exceeding(context)
    groups = groups[(groups["difference_km"] < 0) & groups["plate"].isin(context.plates_with_unseen_halts)]
    trips = context.trip_records(groups["trip_ids"].explode())
    runs = context.run_records(groups["declared_run_ids"].explode())
    joined = set()
    for group in groups.itertuples():
        measured, declared = [trips[key] for key in group.trip_ids], [runs[key] for key in group.declared_run_ids]
        before = min(run["started_at"] for run in declared) - min(trip["started_at"] for trip in measured)
        after = max(trip["ended_at"] for trip in measured) - max(run["ended_at"] for run in declared)
        most_s = context.parameters.match_widen_s + context.steps_s[group.plate]
        if max(before, after).total_seconds() > most_s:
            joined.add(group.match_id)
    return joined


@computed_once
def groups_by_paid_km(context: AuditDay) -> pd.DataFrame:
    """The groups of D with `is_unproven`; those that declare less than measured, with unproven km, by the paid km.

    A trip of unknown purpose is not paid: its place is not known, or a silence hides an end of it. What it measured is
    not owed because a run declared less. Of a run of 10 km with a trip of 20 km that no place proves, 10 km were held
    and 10 km owed; of a run of 0 km, all 20. Nor is a trip of another carrier's vehicle paid to who declares it.
    """
    groups, trips = context.groups, context.groups["trip_ids"].explode()
    unknown = context.trips.loc[context.trips["purpose"] == "unknown", "trip_id"]
    is_foreign = context.foreign_groups
    is_unproven = (trips.isin(unknown).groupby(level=0).any() | is_foreign) & (groups["difference_km"] < 0).fillna(
        False
    )
    chosen = groups[is_unproven]
    paid = pd.Series(to_hundredths(context.costs["billable_km"]), index=context.costs["trip_id"].to_numpy())
    paid_hm = trips.map(paid).fillna(0).astype("int64").groupby(level=0).sum().mask(is_foreign, 0)
    paid_hm = paid_hm[is_unproven].to_numpy()
    below_hm, limits = paid_hm - to_hundredths(chosen["declared_km"]), context.limits(chosen)
    allowed = allowed_hundredths(paid_hm, *(limits[f"trip_tolerance_{unit}"].to_numpy() for unit in ("pct", "km")))
    chosen = chosen.assign(
        measured_km=from_hundredths(paid_hm, KM, chosen.index),
        difference_km=from_hundredths(-below_hm, KM, chosen.index),
        difference_pct=np.nan,
        is_exceeding=pd.Series(below_hm > allowed, index=chosen.index, dtype="boolean"),
    )
    return pd.concat([groups[~is_unproven], chosen]).sort_index().assign(is_unproven=is_unproven)


def unpaid_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that declare too little against what was measured, but not against what is paid."""
    groups = groups_by_paid_km(context)
    is_open = groups["is_unproven"] & ~groups["is_exceeding"].fillna(False).astype(bool)
    return set(groups.loc[is_open, "match_id"]) & set(_exceeding(context)["match_id"])


@computed_once
def chord_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D with a trip that is measured by chords, which are short of every road they cut.

    Chords of 300 s on simulated roads are 12.3 % short: an honest day of such groups exceeds day_tolerance_pct although
    none of its groups exceeds its own tolerance in km.
    """
    by_chords = set(context.trips.loc[is_path_of_chords(context.trips, context.parameters), "trip_id"])
    groups = context.groups
    return {group.match_id for group in groups.itertuples() if not by_chords.isdisjoint(group.trip_ids)}


@computed_once
def short_path_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that declare more than a path of chords, within its half-width and the tolerance.

    An odometer that stands leaves the chords between rare positions, and no bus drives as little as these: on simulated
    roads those of 300 s are 12.3 % short, which is above the tolerance of D01, whatever the carrier declares.
    """
    groups = _exceeding(context)
    groups = groups[(groups["difference_km"] > 0) & groups["match_id"].isin(chord_matches(context))]
    trips = context.trip_records(groups["trip_ids"].explode())
    return {
        group.match_id
        for group, tolerance in zip(groups.itertuples(), tolerances_km(context, groups), strict=True)
        if float(group.difference_km) <= tolerance + uncertainty_km(trips[key] for key in group.trip_ids)
    }


@computed_once
def off_bus_matches(context: AuditDay) -> set[str]:
    """match_id of the groups of D that exceed, with a trip between the first and the last O04 of their plate.

    The tracker lay elsewhere: what its odometer counted between two rare positions is a movement of no known length. On
    a simulated fleet with a position every 300 s 12.5 km of a run of 29 km were counted so, and D01 named the run.
    """
    events = context.devices.events
    events = events[(events["kind"] == "parked") & events["plate"].isin(context.plates_with_tracker_off)]
    if events.empty:
        return set()
    off = events.groupby(events["plate"].astype(object)).agg(start=("started_at", "min"), end=("ended_at", "max"))
    trips = context.trips.merge(off, left_on="plate", right_index=True)
    is_off = (trips["started_at"] <= trips["end"]) & (trips["ended_at"] >= trips["start"])
    off_bus = set(trips.loc[is_off, "trip_id"])
    groups = _exceeding(context)
    return {group.match_id for group in groups.itertuples() if not off_bus.isdisjoint(group.trip_ids)}


def _exceeding(context: AuditDay) -> pd.DataFrame:
    """Groups of D that differ by more than their tolerance."""
    return context.groups[context.groups["is_exceeding"].fillna(False).astype(bool)]


def tolerances_km(context: AuditDay, groups: pd.DataFrame) -> list[float]:
    """Difference that is tolerated of each group."""
    limits = context.limits(groups)
    by_share = groups["measured_km"].to_numpy(dtype="float64") * limits["trip_tolerance_pct"].to_numpy() / 100
    allowed: list[float] = np.maximum(by_share, limits["trip_tolerance_km"].to_numpy()).tolist()
    return allowed


def _km_on_next_day(context: AuditDay, runs: list[Record]) -> dict[str, Decimal]:
    """Measured km of the trips that each run overlaps when it is put on the day after; without one it is missing."""
    if not runs:
        return {}
    moved = on_next_day(context.runs[context.runs["declared_run_id"].isin([run["declared_run_id"] for run in runs])])
    pairs = half_overlaps(context.trips, moved.reset_index(drop=True), context.parameters)
    km = context.trips["km_measured"].iloc[pairs["trip"]].reset_index(drop=True)
    return km.groupby(moved["declared_run_id"].iloc[pairs["run"]].to_numpy()).sum().to_dict()


def _holds_elsewhere(group: Any, runs: list[Record], elsewhere: dict[str, Decimal], limit: Any) -> bool:
    """Whether the group's divergence, of the same sign, is still there with its uncertain runs on the day after."""
    sign = 1 if group.difference_km > 0 else -1
    staying = [run["declared_km"] for run in runs if not run["is_day_uncertain"]]
    pairs = [(sum(staying, Decimal(0)), group.measured_km)] if staying else []
    pairs += [
        (run["declared_km"], elsewhere[run["declared_run_id"]])
        for run in runs
        if run["is_day_uncertain"] and run["declared_run_id"] in elsewhere
    ]
    return any(
        sign * float(declared - measured)
        > max(float(measured) * limit.trip_tolerance_pct / 100, limit.trip_tolerance_km)
        for declared, measured in pairs
    )

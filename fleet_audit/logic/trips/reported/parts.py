"""Which part of each movement of a visit report counts beside what positions measured: all, none, or a silence's part.

Movements of several exports are one in `movements`; joining what counts to trips is in `trips`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.columns import columns_of
from fleet_audit.logic.primitives.components import components
from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps, union
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.distance import measured_km, report_doubt_km
from fleet_audit.logic.trips.kernels.odometer import resolutions
from fleet_audit.logic.trips.reported.other_clock import is_other_clock
from fleet_audit.logic.trips.reported.silent import (
    CLOCK_US,
    REACH_US,
    beside,
    held_km,
    instants_of,
    room_km,
    silences,
)
from fleet_audit.logic.trips.track.points import instant_column

OBSERVED = "observed"
OTHER_CLOCK = "other_clock"


def counted_parts(
    visits: pd.DataFrame,
    trips: pd.DataFrame,
    legs: pd.DataFrame,
    spans: pd.DataFrame,
    unseen: pd.DataFrame,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """Movements of visit reports in parts that count or that a better source saw.

    A movement that no trip of a better source overlaps counts, unless they watched the vehicle for
    `source_overlap_pct` of it, or it is too long for the time in which they did not (`observed`). Movements that share
    time with legs of `trips` are compared with them as sums, so that neither two clocks nor other stops matter: what
    they report beyond these, and beyond the doubt of both, was driven in the silences that they reach into, as far as
    the odometer counted there, or `mean_speed_kmh` allows where none did. That part counts, and the rest is evidence
    only. So the km of one movement count once. A day whose clock is hours off (`other_clock`) is evidence only.

    Args:
        visits: rows of `staging.visit_legs`.
        trips: those of better sources: trip_id, plate, km, km_method, km_uncertainty.
        legs: their legs, with trip_id and the columns of `measured_km`.
        spans: plate, started_at, ended_at over which positions show where a vehicle was.
        unseen: `silences.unseen_steps`.

    Returns:
        The rows, one cut in two where a silence cuts it, with counted_km, superseded_by (trip_id, `observed`,
        `other_clock`, or None: it counts), resolution_km of what the vehicle's reports print, and cut_doubt_km: the
        doubt of a part that is a difference, else 0.
    """
    keys = ["plate", "started_at", "ended_at", "file_name", "row_number"]
    visits = visits.sort_values(keys, kind="stable").reset_index(drop=True)
    reported_km = visits["reported_km"].to_numpy(dtype="float64", na_value=np.nan)
    vehicles = np.append(np.flatnonzero(~visits["plate"].duplicated().to_numpy()), len(visits))
    of_row = np.cumsum(~visits["plate"].duplicated().to_numpy()) - 1
    visits = visits.assign(
        counted_km=reported_km,
        resolution_km=resolutions(reported_km, vehicles)[of_row],
        superseded_by=None,
        cut_doubt_km=0.0,
    )
    if visits.empty or (trips.empty and spans.empty):
        return visits
    lasting_s = (legs["ended_at"] - legs["started_at"]).dt.total_seconds().to_numpy()
    legs = legs.assign(leg_km=measured_km(columns_of(legs) | {"duration_s": lasting_s}, parameters)["km"])
    is_other = is_other_clock(visits, legs, unseen, parameters)
    counted = _beside(visits[~is_other].reset_index(drop=True), trips, legs, spans, unseen, parameters)
    evidence = visits[is_other].assign(superseded_by=OTHER_CLOCK)
    return pd.concat([counted, evidence], ignore_index=True) if len(evidence) else counted


def _beside(
    visits: pd.DataFrame,
    trips: pd.DataFrame,
    legs: pd.DataFrame,
    spans: pd.DataFrame,
    unseen: pd.DataFrame,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """`counted_parts` of movements whose clock is that of the better sources, give or take minutes."""
    if visits.empty:
        return visits
    reported_km = visits["counted_km"].to_numpy()
    movements, driven = _lasting(visits), _lasting(legs)
    is_cut_at = [legs[name].to_numpy(dtype=bool, na_value=False) for name in ("is_start_in_gap", "is_end_in_gap")]
    by_odometer = _is_by_odometer(legs, trips)
    seen = union(pd.concat([intervals(spans), driven[by_odometer]], ignore_index=True))
    gaps = silences(movements, seen, unseen, driven)
    is_near_at = [cut | near for cut, near in zip(is_cut_at, beside(driven, gaps), strict=True)]
    legs = _with_paid_km(legs, trips, _reported_share(driven, movements, is_near_at))
    watched_us = covered_us(movements, seen)
    pairs = _same_movements(movements, driven, is_near_at)
    is_shared = np.isin(np.arange(len(visits)), pairs["left"])
    is_observed = _is_observed(
        visits, watched_us, _length_us(movements), held_km(movements, gaps, parameters), parameters
    ) | _is_contradicted(visits, movements, gaps, legs.assign(is_read=by_odometer), parameters)
    whole_km = np.where(is_shared | is_observed, 0.0, np.nan_to_num(reported_km))
    room = room_km(movements, gaps, instants_of(driven, is_cut_at), whole_km, is_shared, parameters)
    credit_km, doubt_km = _credited(visits, legs, pairs, room, parameters)
    best = pairs.sort_values(["left", "overlap_us", "right"], ascending=[True, False, True]).drop_duplicates("left")
    owner = np.full(len(visits), None, dtype=object)
    owner[is_observed] = OBSERVED
    owner[best["left"].to_numpy()] = legs["trip_id"].to_numpy(dtype=object)[best["right"]]
    is_cut = credit_km > 0
    rest = visits.assign(superseded_by=owner)
    if not is_cut.any():
        return rest
    start_us, end_us = _hidden(movements, seen)
    is_seen_first = start_us > movements["start_us"].to_numpy()
    hidden = visits.assign(
        started_at=instant_column(start_us / 1e6), ended_at=instant_column(end_us / 1e6),
        counted_km=credit_km, cut_doubt_km=doubt_km,
    )  # fmt: skip
    cut_at_us = np.where(is_seen_first, start_us, np.minimum(end_us, movements["end_us"] - 1_000_000))
    at = pd.Series(instant_column(cut_at_us / 1e6))
    rest["counted_km"] -= np.where(is_cut, credit_km, 0.0)
    rest["started_at"] = rest["started_at"].where(~is_cut | is_seen_first, at)
    rest["ended_at"] = rest["ended_at"].where(~(is_cut & is_seen_first), at)
    rest = _without_halt(rest, is_cut & is_seen_first)
    hidden = _without_halt(hidden, end_us < movements["end_us"].to_numpy())
    return pd.concat([rest, hidden[is_cut]], ignore_index=True)


def _without_halt(parts: pd.DataFrame, is_first: np.ndarray) -> pd.DataFrame:
    """Parts of which the first of a movement has no halt: what the report states of one is that of the whole."""
    return parts.assign(
        next_departure_at=parts["next_departure_at"].where(~is_first, parts["ended_at"]),
        stopped_s=parts["stopped_s"].where(~is_first, 0),
    )


def _reported_share(driven: pd.DataFrame, movements: pd.DataFrame, is_near_at: list[np.ndarray]) -> np.ndarray:
    """Share of each leg that the movements report: all of it from half of its time on, for two clocks differ.

    A report may lack a movement that positions saw, and begin in the middle of another.
    """
    covered, lasting = covered_us(driven, union(movements)), _length_us(driven)
    clock_us = np.where(is_near_at[0] | is_near_at[1], REACH_US, CLOCK_US)
    share: np.ndarray = np.where(2 * covered >= lasting, 1.0, np.minimum((covered + clock_us) / lasting, 1.0))
    return share


def _with_paid_km(legs: pd.DataFrame, trips: pd.DataFrame, reported_share: np.ndarray) -> pd.DataFrame:
    """Legs with the km and the doubt of their trip that are in `reported_share` of them."""
    km = legs["leg_km"]
    whole = km.groupby(legs["trip_id"]).transform("sum")
    share = (km / whole).where(whole > 0, 0.0) * reported_share
    of = trips.set_index("trip_id").reindex(legs["trip_id"])
    return legs.assign(
        paid_km=share * of["km"].to_numpy(dtype=float),
        paid_doubt_km=share * of["km_uncertainty"].to_numpy(dtype=float),
    )


def _is_by_odometer(legs: pd.DataFrame, trips: pd.DataFrame) -> np.ndarray:
    """Whether the odometer measured each leg's trip."""
    is_read: np.ndarray = legs["trip_id"].isin(trips.loc[trips["km_method"] == "odometer", "trip_id"]).to_numpy()
    return is_read


def _lasting(rows: pd.DataFrame) -> pd.DataFrame:
    """`intervals` of at least one second."""
    spans = intervals(rows)
    return spans.assign(end_us=np.maximum(spans["end_us"], spans["start_us"] + 1_000_000))


def _length_us(spans: pd.DataFrame) -> np.ndarray:
    return (spans["end_us"] - spans["start_us"]).to_numpy()


def _same_movements(movements: pd.DataFrame, driven: pd.DataFrame, is_near_at: list[np.ndarray]) -> pd.DataFrame:
    """Pairs of a reported movement and a leg that share more time than two clocks explain, or half of the shorter.

    A leg beside a silence reaches into it by REACH_US, and any time that it shares makes a pair: compared as
    sums, a movement too many in a group counts all the same; so its other legs are in the group, too.
    """
    reaching = driven.assign(
        start_us=driven["start_us"] - REACH_US * is_near_at[0],
        end_us=driven["end_us"] + REACH_US * is_near_at[1],
    )
    pairs = overlaps(movements, reaching)
    shorter = np.minimum(_length_us(movements)[pairs["left"]], _length_us(driven)[pairs["right"]])
    is_near = (is_near_at[0] | is_near_at[1])[pairs["right"]]
    is_beside_near = np.isin(pairs["left"], pairs["left"][is_near])
    return pairs[is_beside_near | (pairs["overlap_us"] > np.minimum(CLOCK_US, shorter // 2))]


def _is_observed(
    visits: pd.DataFrame, watched_us: np.ndarray, lasting_us: np.ndarray, held_km: np.ndarray, parameters: ParameterSet
) -> np.ndarray:
    """Whether positions watched the vehicle for so much of each movement that it did not take place as reported.

    So it is where they watched some of it, and the odometer stood in the rest: a clock that was 5 min off put the end
    of a way of 5 km that positions saw into the sleep of its device, and it was paid twice.
    """
    possible_km = parameters.mean_speed_kmh * (lasting_us - watched_us + CLOCK_US) / 3.6e9
    is_too_long = (visits["counted_km"].to_numpy() > possible_km) | (held_km < parameters.leg_min_km)
    is_observed: np.ndarray = (watched_us * 100 >= parameters.source_overlap_pct * lasting_us) | (
        (watched_us > CLOCK_US) & is_too_long
    )
    return is_observed


def _is_contradicted(
    visits: pd.DataFrame, movements: pd.DataFrame, gaps: pd.DataFrame, legs: pd.DataFrame, parameters: ParameterSet
) -> np.ndarray:
    """Whether an odometer that works says of each movement, 5 min allowed for its clock, that nothing was driven.

    It works where it counted, and measured, each leg of positions on the day (`is_read`). One that is dead all day
    proves nothing, nor does any of km that it does not resolve.
    """
    wide = movements.assign(start_us=movements["start_us"] - REACH_US, end_us=movements["end_us"] + REACH_US)
    stood = held_km(wide, gaps, parameters) < parameters.leg_min_km
    legs = legs[~legs["is_short"].astype(bool)]
    counted = legs["is_read"] & (legs["km_odometer"].astype("float64") >= parameters.leg_min_km)
    keys = [legs["plate"].astype(object), legs["operational_date"].astype(object)]
    of_day = pd.MultiIndex.from_arrays([visits["plate"].astype(object), visits["date"].astype(object)])
    works = counted.groupby(keys).all().reindex(of_day, fill_value=False).to_numpy(dtype=bool)
    resolved_km = legs["odometer_resolution_km"].astype("float64").groupby(keys).max().reindex(of_day).to_numpy()
    is_resolved = visits["counted_km"].to_numpy() > resolved_km + 2 * parameters.stop_radius_m / 1000
    is_contradicted: np.ndarray = stood & works & is_resolved
    return is_contradicted


def _credited(
    visits: pd.DataFrame, legs: pd.DataFrame, pairs: pd.DataFrame, room: np.ndarray, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """km of each movement that are in no leg although it shares time with some, and their doubt; 0 where none are.

    Per connected group of movements and legs: what the movements report beyond the legs, at most the `room` (km) that
    silences have for them.
    """
    count = len(visits)
    label = components(count + len(legs), pairs["left"].to_numpy(), pairs["right"].to_numpy() + count)
    reported_km = np.nan_to_num(visits["counted_km"].to_numpy())
    report_doubt = report_doubt_km(reported_km, parameters, visits["resolution_km"].to_numpy())

    def per_group(of_visits: np.ndarray, of_legs: np.ndarray) -> np.ndarray:
        return np.bincount(label, weights=np.concatenate([of_visits, of_legs]), minlength=len(label))[label[:count]]

    beyond_km = per_group(reported_km, -legs["paid_km"].to_numpy())
    doubt_km = per_group(report_doubt, legs["paid_doubt_km"].to_numpy())
    room = np.minimum(reported_km, room)
    room_of_group = per_group(room, np.zeros(len(legs)))
    is_beyond = (beyond_km > np.maximum(doubt_km, parameters.leg_min_km)) & (room_of_group >= parameters.leg_min_km)
    share = np.divide(room, room_of_group, out=np.zeros(count), where=room_of_group > 0)
    return np.where(is_beyond, share * np.minimum(beyond_km, room_of_group), 0.0), share * doubt_km


def _hidden(movements: pd.DataFrame, seen: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each movement without the seen time at its beginning and at its end (microseconds).

    Two clocks allowed: of a movement that began 1 min before a device woke, the whole time was hidden, and the seen and
    the hidden km were two trips that share their time.
    """
    start, end = (movements[name].to_numpy(copy=True) for name in ("start_us", "end_us"))
    pairs = overlaps(movements, seen)
    at, by = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    from_us, to_us = seen["start_us"].to_numpy()[by], seen["end_us"].to_numpy()[by]
    before_us, after_us = from_us - start[at], end[at] - to_us
    begins = (before_us <= CLOCK_US) & (before_us <= after_us)
    ends = (after_us <= CLOCK_US) & (after_us < before_us)
    first, last = start.copy(), end.copy()
    first[at[begins]] = np.minimum(to_us, end[at])[begins]
    last[at[ends]] = np.maximum(from_us, start[at])[ends]
    return first, last

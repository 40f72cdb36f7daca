"""Day of each declared run: bulletins date night runs by their shift, not by the trip.

Runs are linked to trips in `matching`; the finding about a repaired date is D12.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.matching import half_overlaps
from fleet_audit.logic.audit.written_readings import READINGS, is_undrivable, with_sound_readings
from fleet_audit.logic.audit.written_times import shortest_reading
from fleet_audit.logic.costs.tariffs import with_vehicles
from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.intervals import intervals, micros, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days, to_local, to_utc
from fleet_audit.logic.reference.shifts import turnos_over_midnight
from fleet_audit.logic.reference.validity import DEFAULT_ZONE

_ONE_DAY = pd.Timedelta(days=1)
_ROUNDED_KM = 10.0  # who writes multiples of 5 km overlaps the next run by less


def repair_dates(
    runs: pd.DataFrame, trips: pd.DataFrame, shifts: pd.DataFrame, registered: pd.DataFrame, parameters: ParameterSet
) -> pd.DataFrame:
    """The runs with repaired times, operational_date, unit_code and what was decided.

    A night run (`is_night`) is one whose TURNO passes midnight in its unit, or that departs before
    `night_departure_h`. It is tried on DATA and on DATA + 1. Its own readings decide where those of the day runs around
    it contradict one of the two days only, whether its trip was seen or not. Else a day has it when the run there
    overlaps a trip by half of the shorter that no other run overlaps so: runs of DATA - 1 that their readings have
    moved count on their new day, others as written. It moves when DATA + 1 alone has it. Where both days have it
    or neither has, it moves when its times agree with a trip of DATA + 1 within `match_widen_s`, and better, by more
    than `night_fit_s`, than with any of DATA (an honest run is written to the minute, and buses do not leave at the
    same minute every night; of a run that is a part of its trip the times say nothing), or when its trip on DATA is of
    a run of DATA - 1 and no day run has that of DATA + 1. Only trips that start on DATA or DATA + 1 and runs of DATA -
    1 … DATA + 1 count, so that the windows of DATA and DATA + 1 decide alike.

    Added columns: `is_date_repaired`; `is_night`; `is_day_uncertain`: a night run that stays as written, undecided by
    its readings, although a trip on DATA + 1 fits it as well, or although its trip on DATA is of a run of DATA - 1; or
    one that its trips alone have moved to the time of another run (`_is_contested`).

    Args:
        runs: `staging.declared_runs`, times as written.
        trips: trips of the days around, with operational_date.
        shifts: `ref.shifts`.
        registered: plate, operational_date, unit_code, timezone of the vehicles on the runs' DATA; one that is missing
            has no unit and America/Sao_Paulo.
        parameters: those in force on the day.
    """
    runs = shortest_reading(_placed(runs, registered)).assign(is_date_repaired=False)
    runs["is_night"] = _is_night(runs, shifts, parameters)
    if not runs["is_night"].any():
        return _moved(runs.assign(is_day_uncertain=False), np.zeros(len(runs), dtype=bool))
    trips = trips[trips["purpose"] != "yard"].reset_index(drop=True)
    next_day = on_next_day(runs)
    written = half_overlaps(trips, runs, parameters)
    now, later = (_own(pairs, trips, runs) for pairs in (written, half_overlaps(trips, next_day, parameters)))
    is_night = runs["is_night"].to_numpy()
    is_read, read_later = _readings_decide(runs, next_day, parameters)
    read = _moved(runs, read_later)
    placed = half_overlaps(trips, read, parameters)
    is_lost = _has(now, runs) & ~_has(now[~_has_other_run(now, runs, placed, read, (-1,), parameters)], runs)
    by_day = written[~is_night[written["run"]]]
    is_open = _has(later[~_has_other_run(later, next_day, by_day, runs, (1,), parameters)], runs)
    has_now, has_later = (
        _has(
            pairs[
                ~_has_other_run(pairs, own, written, runs, (1,), parameters)
                & ~_has_other_run(pairs, own, placed, read, (-1, 0), parameters)
            ],
            runs,
        )
        for pairs, own in ((now, runs), (later, next_day))
    )
    fits_now, fits_later = _misfit_s(now, trips, runs), _misfit_s(later, trips, next_day)
    fits_better = np.isfinite(fits_now) & (fits_later + parameters.night_fit_s < fits_now)
    fits_better &= fits_later <= parameters.match_widen_s
    by_trips = np.where(has_now == has_later, fits_better | (is_lost & is_open), has_later)
    moves = is_night & np.where(is_read, read_later, by_trips)
    runs["is_day_uncertain"] = is_night & ~moves & ~is_read & (is_lost | np.isfinite(fits_later))
    dated = _moved(runs, moves)
    dated["is_day_uncertain"] |= moves & ~is_read & _is_contested(dated, parameters)
    return dated


def trips_of_next_day(runs: pd.DataFrame, trips: pd.DataFrame, parameters: ParameterSet) -> set[str]:
    """trip_id of the trips that are compared on the day after their own, whatever run they are linked to.

    A night run of the next DATA would be linked to them as written. Only the window of the next day decides on which
    day that run is; the window of the trip's own day may link another run, and then the trip would be in the groups of
    neither day, or of both.

    Args:
        runs: as `repair_dates` returns them.
        trips: trips of the window.
        parameters: match_overlap_pct, match_widen_s.
    """
    nights = runs[runs["is_night"].to_numpy(dtype=bool)].reset_index(drop=True)
    if nights.empty:
        return set()
    back = _on_another_day(nights, -_ONE_DAY)
    is_moved = nights["is_date_repaired"].to_numpy(dtype=bool)
    written = nights.assign(**{name: nights[name].where(~is_moved, back[name]) for name in ("started_at", "ended_at")})
    margin = pd.Timedelta(seconds=parameters.match_widen_s)
    near = written.assign(started_at=written["started_at"] - margin, ended_at=written["ended_at"] + margin)
    touched = overlaps(intervals(trips), intervals(near)).rename(columns={"left": "trip", "right": "run"})
    linked, own = half_overlaps(trips, written, parameters), half_overlaps(trips, runs, parameters)
    taken = own["trip"][_days_after(own, trips, runs) == 0]
    free = touched[~touched["trip"].isin(taken)]
    return set(
        trips["trip_id"].to_numpy()[
            np.concatenate([pairs["trip"][_days_after(pairs, trips, written) == 1] for pairs in (linked, free)])
        ]
    )


def repair_dates_of_cycle(
    runs: pd.DataFrame, trips: pd.DataFrame, shifts: pd.DataFrame, registered: pd.DataFrame, parameters: ParameterSet
) -> pd.DataFrame:
    """The cycle's runs with all night runs of one plate and TURNO moved together where that links more of them.

    A run counts as linked when it overlaps, by half of the shorter, a trip that no run outside of its plate and TURNO
    overlaps so. Runs that are already repaired stay; the columns are those of `repair_dates`.

    Args:
        runs: runs of the whole cycle as `repair_dates` or `fact.declared_runs` has them.
        trips: trips of the cycle and of the day after it.
        shifts: `ref.shifts`.
        registered: as in `repair_dates`.
        parameters: those in force at the end of the cycle.
    """
    runs = _placed(runs, registered)
    runs["is_night"] = _is_night(runs, shifts, parameters)
    runs["is_date_repaired"] = runs["is_date_repaired"].to_numpy(dtype=bool)
    trips = trips[trips["purpose"] != "yard"].reset_index(drop=True)
    may_move = runs["is_night"].to_numpy() & ~runs["is_date_repaired"].to_numpy()
    together = runs.groupby(["plate", runs["shift_code"].astype(object).fillna("")], sort=False).ngroup().to_numpy()
    together = np.where(runs["is_night"], together, -1 - np.arange(len(runs)))
    moved = _moved(runs, may_move)
    now = half_overlaps(trips, runs, parameters)
    later = half_overlaps(trips, moved, parameters)
    gain = _linked_runs(later, now, together) - _linked_runs(now, now, together)
    gains = pd.Series(gain.astype(int)).groupby(together).transform("sum").to_numpy()
    return _moved(runs.assign(is_day_uncertain=False), may_move & (gains > 0))


def on_next_day(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs (with `timezone`) one local day later: 23, 24 or 25 hours.

    A wall time that the clock skips becomes the instant at which it resumes; a doubled one is read as in
    `written_times`.
    """
    return _on_another_day(runs, _ONE_DAY)


def _on_another_day(runs: pd.DataFrame, away: pd.Timedelta) -> pd.DataFrame:
    zones = runs["timezone"]
    moved = {name: to_utc(to_local(runs[name], zones) + away, zones) for name in ("started_at", "ended_at")}
    return shortest_reading(runs.assign(**moved))


def _placed(runs: pd.DataFrame, registered: pd.DataFrame) -> pd.DataFrame:
    """The runs with the unit and zone of their vehicle on their DATA, whichever day's window they are in.

    By the unit of the window's day a run of the night before a vehicle changed its unit was one of both days, or none.
    """
    asked = pd.DataFrame({"plate": runs["plate"].array, "operational_date": runs["declared_date"].array})
    named = with_vehicles(asked, registered, ["unit_code", "timezone"])
    return runs.reset_index(drop=True).assign(
        unit_code=named["unit_code"].to_numpy(dtype=object),
        timezone=named["timezone"].fillna(DEFAULT_ZONE).to_numpy(dtype=object),
    )


def _is_night(runs: pd.DataFrame, shifts: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    of_shift = turnos_over_midnight(runs["unit_code"], runs["shift_code"], shifts)
    wall = to_local(runs["started_at"], runs["timezone"]).to_numpy()
    since_midnight = wall - wall.astype("datetime64[D]")
    is_early = since_midnight < np.timedelta64(int(parameters.night_departure_h * 3600), "s")
    return of_shift | is_early


def _own(pairs: pd.DataFrame, trips: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose trip starts on the run's DATA or the day after."""
    return pairs[np.isin(_days_after(pairs, trips, runs), (0, -1))]


def _days_after(pairs: pd.DataFrame, trips: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    """Per pair: days from the trip's operational day to the run's DATA."""
    away = as_days(runs["declared_date"])[pairs["run"]] - as_days(trips["operational_date"])[pairs["trip"]]
    return away.astype(int)


def _has_other_run(
    pairs: pd.DataFrame,
    runs: pd.DataFrame,
    others: pd.DataFrame,
    other_runs: pd.DataFrame,
    offsets: tuple[int, ...],
    parameters: ParameterSet,
) -> np.ndarray:
    """Per pair: whether its trip has another run at the same time, whose DATA is one of `offsets` days away.

    `pairs` are of `runs`, `others` of `other_runs`: the same runs, each at a time of its own. Runs that follow each
    other are of one trip where the bus waits a few minutes between them: such a run of an honest night was moved to the
    day after, onto the trip of the next night (T01, D01). A second copy of the same row (same plate and times) does not
    count as another run.
    """
    start, end, day = micros(runs["started_at"]), micros(runs["ended_at"]), as_days(runs["declared_date"])
    begin, finish = micros(other_runs["started_at"]), micros(other_runs["ended_at"])
    asked = pd.DataFrame({"trip": pairs["trip"].to_numpy(), "pair": np.arange(len(pairs)), "run": pairs["run"]})
    met = asked.merge(others[["trip", "run"]].rename(columns={"run": "other"}), on="trip")
    run, other = met["run"].to_numpy(), met["other"].to_numpy()
    is_other = (start[run] != start[other]) | (end[run] != end[other])
    shared = np.minimum(end[run], finish[other]) - np.maximum(start[run], begin[other])
    is_at_once = shared > 1e6 * parameters.night_fit_s
    is_asked = is_other & is_at_once & np.isin((day[other] - day[run]).astype(int), offsets)
    return np.isin(np.arange(len(pairs)), met.loc[is_asked, "pair"])


def _is_contested(dated: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Whether each run shares time with one of another DATA, and their readings are no neighbours.

    Where a silence hides the trip of a night, or it is a day before all trips of the window, its run has a trip on the
    day after alone, which the run of that night has, too: honest runs were two at once (T01), and one too many (D01).
    """
    spans = intervals(dated)
    pairs = overlaps(spans, spans)
    run, other, written = pairs["left"].to_numpy(), pairs["right"].to_numpy(), as_days(dated["declared_date"])
    start_km, end_km = (dated[name].to_numpy(dtype=float, na_value=np.nan) for name in READINGS)
    apart_km = np.maximum(start_km[run], start_km[other]) - np.minimum(end_km[run], end_km[other])
    longest_km = np.maximum(end_km[run] - start_km[run], end_km[other] - start_km[other])
    is_at_once = (pairs["overlap_us"].to_numpy() > 1e6 * parameters.night_fit_s) & (written[run] != written[other])
    is_neighbour = apart_km <= longest_km + parameters.chain_km
    return np.isin(np.arange(len(dated)), run[is_at_once & ~is_neighbour])


def _has(pairs: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    return np.isin(np.arange(len(runs)), pairs["run"])


def _readings_decide(
    runs: pd.DataFrame, next_day: pd.DataFrame, parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Per run: whether its readings contradict only one of DATA and DATA + 1, and whether that one is DATA.

    Where they contradict both, the day counts as not contradicted that they miss by at most half of the run's own km
    while they miss the other by more than these. Who writes multiples of 5 km overlaps the neighbours by a few km on
    every day, and a wrong day by the km of a day: 11 nights of one such vehicle kept a wrong date on a simulated fleet.
    """
    slack_km, runs = parameters.chain_km, with_sound_readings(runs, parameters)
    neighbours = _neighbours(runs)
    (sides_now, missed_now), (sides_later, missed_later) = (
        _readings_around(placed, runs, neighbours, parameters) for placed in (runs, next_day)
    )
    own_km = (runs["odometer_end_km"] - runs["odometer_start_km"]).to_numpy(dtype=float, na_value=np.nan)
    broken_now, broken_later = (
        (missed > slack_km) & ~((missed <= own_km / 2) & (other > own_km))
        for missed, other in ((missed_now, missed_later), (missed_later, missed_now))
    )
    says_now, says_later = broken_later & ~broken_now & (sides_now > 0), broken_now & ~broken_later & (sides_later > 0)
    is_night = runs["is_night"].to_numpy()
    return is_night & (says_now | says_later), is_night & says_later


def _neighbours(runs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a night run and a day run of its DATA or DATA + 1 that can show its day: their rows.

    The day of a day run is the one written. Where both readings of one are off, by 100 km, it overlaps more of the
    others than any of them does, and shows nothing.
    """
    is_night = runs["is_night"].to_numpy(dtype=bool)
    is_read = runs[list(READINGS)].notna().all(axis=1).to_numpy()
    rows = runs[["plate"]].assign(row=range(len(runs)))
    pairs = rows[is_night].merge(rows[is_read & ~is_night], on="plate", suffixes=("", "_other"))
    run, other = pairs["row"].to_numpy(), pairs["row_other"].to_numpy()
    days = as_days(runs["declared_date"])
    is_near = np.isin((days[other] - days[run]).astype(int), (0, 1))
    run, other = run[is_near], other[is_near]
    is_false = _is_contradicted_most(run, other, runs)
    return run[~is_false], other[~is_false]


def _is_contradicted_most(run: np.ndarray, other: np.ndarray, runs: pd.DataFrame) -> np.ndarray:
    """Per pair: whether none of the run's other day runs contradicts more of them, and this one does contradict some.

    Two contradict each other where the earlier one ends above the start of the later one by more than half of the
    longer one's own km, and more than readings in multiples of 5 km overlap.
    """
    starts_km, ends_km = (runs[name].to_numpy(dtype=float, na_value=np.nan) for name in READINGS)
    at = pd.DataFrame({"run": run, "pair": np.arange(len(run))})
    met = at.merge(at, on="run", suffixes=("", "_later"))
    begins = micros(runs["started_at"])
    earlier, later = other[met["pair"]], other[met["pair_later"]]
    own_km = np.maximum(ends_km[earlier] - starts_km[earlier], ends_km[later] - starts_km[later])
    is_false = (begins[earlier] < begins[later]) & (
        ends_km[earlier] - starts_km[later] > np.maximum(own_km / 2, _ROUNDED_KM)
    )
    counts = sum(np.bincount(met.loc[is_false, name], minlength=len(run)) for name in ("pair", "pair_later"))
    return (counts > 0) & (counts == pd.Series(counts).groupby(run).transform("max").to_numpy())


def _readings_around(
    placed: pd.DataFrame, runs: pd.DataFrame, neighbours: tuple[np.ndarray, np.ndarray], parameters: ParameterSet
) -> tuple[np.ndarray, np.ndarray]:
    """Per placed run: number of sides with a known reading (0-2), and by how many km its own contradict them.

    NaN where its own are unknown. Two readings that no vehicle can have driven between are a typing error of one of
    them, and say nothing about the day.
    """
    run, other = neighbours
    is_before = micros(runs["started_at"])[other] <= micros(placed["started_at"])[run]
    starts_km, ends_km = (runs[name].to_numpy(dtype=float, na_value=np.nan) for name in READINGS)
    out_km, in_km = starts_km[other], ends_km[other]
    from_km, to_km = np.where(is_before, in_km, ends_km[run]), np.where(is_before, starts_km[run], out_km)
    is_read = ~is_undrivable(
        pd.Series(from_km), pd.Series(to_km), _apart_s(placed.iloc[run], runs.iloc[other]), parameters
    )
    low, high = np.full(len(placed), -np.inf), np.full(len(placed), np.inf)
    for limit, fold, of_side, km in (
        (low, np.maximum, is_before, in_km),
        (high, np.minimum, ~is_before, out_km),
    ):
        fold.at(limit, run[of_side & is_read], km[of_side & is_read])
    sides = np.where(np.isnan(starts_km + ends_km), 0, np.isfinite(low).astype(int) + np.isfinite(high))
    return sides, np.maximum(low - starts_km, ends_km - high)


def _apart_s(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Seconds between each row and the other beside it; 0 where they overlap."""
    start, end = (
        fold(micros(rows[name]), micros(others[name]))
        for fold, name in ((np.maximum, "started_at"), (np.minimum, "ended_at"))
    )
    return np.maximum(start - end, 0) / 1e6


def _misfit_s(pairs: pd.DataFrame, trips: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    """Per run: seconds by which its start and end together miss those of the best fitting trip; infinite without."""
    trip, run = pairs["trip"].to_numpy(), pairs["run"].to_numpy()
    missed = sum(np.abs(micros(trips[name])[trip] - micros(runs[name])[run]) for name in ("started_at", "ended_at"))
    result = np.full(len(runs), np.inf)
    np.minimum.at(result, run, np.asarray(missed, dtype=float) / 1e6)
    return result


def _linked_runs(pairs: pd.DataFrame, now: pd.DataFrame, together: np.ndarray) -> np.ndarray:
    """Per run: whether `pairs` link it to a trip that no run outside its set overlaps now."""
    sets = pd.Series(together[now["run"]]).groupby(now["trip"].to_numpy()).agg(["min", "max"])
    claimed = sets.reindex(pairs["trip"].to_numpy())
    own = together[pairs["run"]]
    is_own = (claimed["min"].isna() | ((claimed["min"] == own) & (claimed["max"] == own))).to_numpy()
    return np.isin(np.arange(len(together)), pairs["run"].to_numpy()[is_own]).astype(int)


def _moved(runs: pd.DataFrame, moves: np.ndarray) -> pd.DataFrame:
    """Runs with the chosen ones on the next day, and operational_date: the local day of the start."""
    settled = runs.assign(is_date_repaired=runs["is_date_repaired"].to_numpy(dtype=bool) | moves)
    if moves.any():
        later = on_next_day(runs)
        placed = {name: runs[name].where(~moves, later[name]) for name in ("started_at", "ended_at")}
        settled = settled.assign(**placed)
    return settled.assign(operational_date=dates(local_days(settled["started_at"], settled["timezone"])))

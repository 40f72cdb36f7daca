"""The chain of odometer readings that a carrier declares from run to run: D10.

Readings inside one row are compared in `declared` (D11), readings of a device nowhere here.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.dwell_odometer import counted_in_dwells
from fleet_audit.logic.audit.rules.day.needs import (
    OBSERVED,
    RUNS,
    TRUSTED_DEVICE_OF_RUNS,
    UNPROVEN_TIMES_PT,
    VISIBLE_HALTS,
    plates_with_runs,
)
from fleet_audit.logic.audit.rules.day.presence import plates_with_unproven_times, undeclared_trips
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, UNOBSERVED_CONFIDENCE, Draft, beyond_doubt
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.audit.written_readings import is_undrivable, with_sound_readings
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.primitives.intervals import covered_us, intervals, micros
from fleet_audit.logic.primitives.wall_clock import local_days

_READINGS_KM = 1.0  # two readings in whole km are off by up to this together


def broken_chain(context: AuditDay) -> list[Draft]:
    """D10: KM SAÍDA - KM CHEGADA before - km measured between them, beyond chain_km either way.

    Runs of a plate and of the carrier that wrote them, in order of repaired start, without those that repeat another
    (D08) and without night runs whose day is not certain: a series of nights dated by the shift would break the chain
    twice per day. The km between are those of all trips, yard too, whose middle lies between the runs and that are
    linked to neither. The tolerance grows by their uncertainty.

    Unmeasured kilometres prove nothing: a reading that is too high counts only above what the device's odometer counted
    in these trips and while the positions stood, where that is more than the trips' km: a tracker that lay off the bus
    over midnight counted less than parked_count_km on either day. What the trips of either run measure beyond its
    group's declared km was driven before or after it, as far as the time between the runs allows: a bus that came 40 km
    from the garage, and waited five minutes for its passengers, is in one trip with their run. Where the odometer
    between the runs is unknown, a vehicle that positions observe is not tested for it. The vehicle must have been
    watched for phantom_observed_pct of the time and out of sight for at most gap_split_s in all (a shorter gap is
    bridged, so its km are measured), no gap cuts a trip between the runs, the first of them ends where the window's
    trips already begin (D-1), and no O04 is on D, nor on D-1 where the pair begins there. A reading that is below the
    trips' km contradicts itself, watched or not.

    Readings that are no odometer's (`written_readings`) are not compared, and no km explain two that no vehicle can
    have driven between the runs (`mistyped_pairs`).
    """
    pairs = _pairs(context)
    parameters = context.parameters
    limit = parameters.chain_km + pairs["uncertainty_km"]
    is_seen = (pairs["observed_pct"] >= parameters.phantom_observed_pct) & (pairs["unseen_s"] <= parameters.gap_split_s)
    is_seen &= ~pairs["is_cut"] & ~_begins_before_window(context, pairs)
    is_seen &= ~_is_tracker_off(context, pairs)
    is_too_high, is_too_low = (pairs["excess_km"] > limit) & is_seen, _is_too_low(context, pairs)
    pairs = pairs.assign(measured_km=pairs["measured_km"].where(is_too_low, pairs["counted_km"]))
    broken = pairs[(is_too_high | is_too_low) & pairs["next"].isin(context.runs_of_day["declared_run_id"])]
    context.run_records([*broken["next"], *broken["previous"]])  # converted together, read one by one
    return [_draft(context, pair) for pair in broken.to_dict("records")]


def mistyped_pairs(context: AuditDay) -> list[Record]:
    """Pairs of which the later run is of D and whose readings are further apart than a vehicle can have driven."""
    pairs = _all_pairs(context)
    is_of_day = pairs["next"].isin(context.runs_of_day["declared_run_id"])
    return pairs[pairs["is_mistyped"] & is_of_day].to_dict("records")


def chained_runs(context: AuditDay) -> pd.DataFrame:
    """The runs that a chain is made of, in order; none of a vehicle whose device has a wrong clock, or an unproven one:
    between two of its runs would lie the trip of one of them, as km that a reading lacks.
    """
    runs = context.runs[~context.runs["declared_run_id"].isin(context.repeated_runs["later"])]
    is_unlinked_night = runs["is_night"].astype(bool) & ~runs["declared_run_id"].isin(context.trips_of_run)
    runs = runs[~runs["is_day_uncertain"].astype(bool) & ~is_unlinked_night]
    runs = runs[~runs["plate"].isin(context.plates_with_untrusted_device | plates_with_unproven_times(context))]
    return runs.sort_values(["plate", "started_at", "ended_at", "declared_run_id"], kind="stable")


def _pairs(context: AuditDay) -> pd.DataFrame:
    """The pairs of `_all_pairs` whose readings can be compared."""
    pairs = _all_pairs(context)
    return pairs[~pairs["is_mistyped"]]


@computed_once
def _all_pairs(context: AuditDay) -> pd.DataFrame:
    """Consecutive runs with both readings: what lies between them, and by how much the chain breaks.

    measured_km: of the trips between. counted_km: the larger of these and the odometer's, with `_undeclared_beside`;
    null where the odometer of a vehicle that positions observe is unknown. break_km, excess_km: the readings'
    difference beyond either.
    """
    runs = with_sound_readings(chained_runs(context), context.parameters)
    writer = runs["carrier_code"].astype(object).where(runs["declared_run_id"].isin(context.foreign_runs), "")
    before = runs.groupby(["plate", writer])[["declared_run_id", "odometer_end_km", "ended_at"]].shift()
    pairs = pd.DataFrame(
        {
            "plate": runs["plate"],
            "previous": before["declared_run_id"],
            "next": runs["declared_run_id"],
            "started_at": before["ended_at"],
            "ended_at": runs["started_at"],
            "from_km": before["odometer_end_km"],
            "to_km": runs["odometer_start_km"],
        }
    )
    pairs = pairs[pairs[["previous", "from_km", "to_km"]].notna().all(axis=1)].reset_index(drop=True)
    pairs["ended_at"] = pairs["ended_at"].where(pairs["ended_at"] > pairs["started_at"], pairs["started_at"])
    between = intervals(pairs)
    seconds = (between["end_us"] - between["start_us"]) / 1e6
    observed = covered_us(between, context.observed) / 1e6
    pairs["is_mistyped"] = is_undrivable(pairs["from_km"], pairs["to_km"], seconds.to_numpy(), context.parameters)
    pairs["unseen_s"] = seconds - observed
    pairs["observed_pct"] = (100 * observed / seconds.where(seconds > 0)).fillna(100.0)
    trips = _trips_between(context, pairs, between)
    sums = (
        trips.assign(is_unknown=trips["km"].isna()).groupby("pair")[["km", "doubt", "by_odometer", "is_unknown"]].sum()
    )
    sums["km"] = sums["km"].where(sums["is_unknown"] == 0)
    sums = sums.reindex(range(len(pairs)), fill_value=0.0)
    pairs["is_cut"] = np.isin(np.arange(len(pairs)), trips.loc[trips["is_cut"], "pair"])
    shown = trips.groupby("pair")["trip_id"].agg(tuple).to_dict()
    pairs["trip_ids"] = [shown.get(number, ()) for number in range(len(pairs))]
    pairs["measured_km"], pairs["uncertainty_km"] = sums["km"], sums["doubt"]
    by_odometer = sums["by_odometer"] + counted_in_dwells(between, context.dwells)
    by_odometer = by_odometer.mask(pairs["plate"].isin(context.plates_without_odometer))
    is_observed = pairs["plate"].isin(context.plates_with_positions)
    pairs["counted_km"] = np.maximum(sums["km"], by_odometer).where(is_observed, sums["km"])
    pairs["counted_km"] += _undeclared_beside(context, pairs, between)
    declared = pairs["to_km"].astype("float64") - pairs["from_km"].astype("float64")
    for name, km in (("break_km", pairs["measured_km"]), ("excess_km", pairs["counted_km"])):
        pairs[name] = (declared - km).round(2)
    return pairs


def _plates_without_continuous_odometer(context: AuditDay) -> set[str]:
    """Plates of which a pair of runs of D has no known odometer between.

    Not those of which a reading is too low, which is found without an odometer.
    """
    pairs = _pairs(context)
    pairs = pairs[pairs["next"].isin(context.runs_of_day["declared_run_id"])]
    is_unknown = pairs["counted_km"].isna() & pairs["measured_km"].notna()
    found = set(pairs.loc[_is_too_low(context, pairs), "plate"])
    return set(pairs.loc[is_unknown, "plate"]) - found


def _is_too_low(context: AuditDay, pairs: pd.DataFrame) -> pd.Series:
    """Whether a reading is below the trips' km since the one before it: it contradicts itself, watched or not."""
    return pairs["break_km"] < -(context.parameters.chain_km + pairs["uncertainty_km"])


def _begins_before_window(context: AuditDay, pairs: pd.DataFrame) -> pd.Series:
    """Whether the time between the runs begins before D-1, whose trips are the first that the window holds."""
    return _first_days(context, pairs) < np.datetime64(context.day - ONE_DAY)


def _is_tracker_off(context: AuditDay, pairs: pd.DataFrame) -> pd.Series:
    """Whether the tracker lay off the bus on D, or on the day before where the time between the runs begins then."""
    is_off_before = pairs["plate"].isin(context.plates_with_tracker_off_before)
    begins_before = _first_days(context, pairs) < np.datetime64(context.day)
    return pairs["plate"].isin(context.plates_with_tracker_off) | (is_off_before & begins_before)


def _first_days(context: AuditDay, pairs: pd.DataFrame) -> pd.Series:
    """Local day on which the time between the runs of each pair begins."""
    zones = pairs["plate"].map(context.zone).astype("str")
    return pd.Series(local_days(pairs["started_at"], zones), index=pairs.index)


def _trips_between(context: AuditDay, pairs: pd.DataFrame, between: pd.DataFrame) -> pd.DataFrame:
    """Trips whose middle lies between the runs of a pair and that are linked to neither: pair, trip_id, km, by_odometer
    (km), doubt, is_cut (a gap that splits hides its start or its end).
    """
    trips = context.trips
    start, end = micros(trips["started_at"]), micros(trips["ended_at"])
    km, odometer_km = (trips[name].to_numpy(dtype=float, na_value=np.nan) for name in ("km_measured", "km_odometer"))
    table = pd.DataFrame(
        {
            "plate": trips["plate"].to_numpy(),
            "trip_id": trips["trip_id"].to_numpy(),
            "middle": (start + end) // 2,
            "km": km,
            "by_odometer": np.where(np.isnan(odometer_km), km, odometer_km),
            "doubt": np.nan_to_num(trips["km_uncertainty"].to_numpy(dtype=float, na_value=np.nan)),
            "is_cut": (trips["is_start_in_gap"].fillna(False) | trips["is_end_in_gap"]).to_numpy(dtype=bool),
        }
    )
    bounds = between.assign(pair=np.arange(len(pairs)), previous=pairs["previous"], next=pairs["next"])
    met = bounds.merge(table, on="plate")
    met = met[(met["start_us"] <= met["middle"]) & (met["middle"] <= met["end_us"])]
    links = pd.MultiIndex.from_frame(context.matching.links[["declared_run_id", "trip_id"]].astype(object))
    sides = (pd.MultiIndex.from_frame(met[[side, "trip_id"]].astype(object)) for side in ("previous", "next"))
    return met[~np.logical_or(*(side.isin(links) for side in sides))]


def _undeclared_beside(context: AuditDay, pairs: pd.DataFrame, between: pd.DataFrame) -> np.ndarray:
    """Per pair: what the trips of its runs measure beyond the declared km of their groups, and can have driven between
    the runs at `mean_speed_kmh`.
    """
    trips, links = context.trips, context.matching.links[["declared_run_id", "trip_id"]]
    groups = context.matching.groups[["match_id", "trip_ids", "difference_km"]].explode("trip_ids")
    groups = groups.rename(columns={"trip_ids": "trip_id"}).dropna()
    beyond = groups.assign(beyond_km=-groups["difference_km"].to_numpy(dtype=float))
    spans = intervals(trips).drop(columns="plate").assign(trip_id=trips["trip_id"].to_numpy())
    bounds = between.rename(columns={"start_us": "from_us", "end_us": "to_us"}).assign(pair=np.arange(len(pairs)))
    sides = [bounds.assign(declared_run_id=pairs[side].to_numpy()) for side in ("previous", "next")]
    of_run = pd.concat(sides).merge(links, on="declared_run_id").drop_duplicates(["pair", "trip_id"])
    of_trip = of_run.merge(spans, on="trip_id").merge(beyond, on="trip_id")
    shared_us = np.minimum(of_trip["to_us"], of_trip["end_us"]) - np.maximum(of_trip["from_us"], of_trip["start_us"])
    shared_h = of_trip.assign(hours=shared_us.clip(lower=0) / 3.6e9).groupby(["pair", "match_id"])
    can_km = context.parameters.mean_speed_kmh * shared_h["hours"].sum()
    km = np.minimum(can_km, shared_h["beyond_km"].first()).clip(lower=0)
    return km.groupby(level="pair").sum().reindex(range(len(pairs)), fill_value=0.0).to_numpy()


@computed_once
def _declared_beyond(context: AuditDay) -> dict[str, Decimal]:
    """What each run's group declares beyond what its trips measure, km; of a run without a trip all that it declares.

    Its KM CHEGADA is too high by as much, so that the next reading is too low: those km were driven by nobody, and are
    in dispute already.
    """
    groups = context.matching.groups[["declared_run_ids", "declared_km", "difference_km", "kind"]]
    beyond = groups["difference_km"].where(groups["kind"] != "declared_only", groups["declared_km"])
    found = groups.assign(beyond=beyond)[beyond.notna()].explode("declared_run_ids").dropna(subset="declared_run_ids")
    return dict(zip(found["declared_run_ids"], found["beyond"], strict=True))


@computed_once
def _undeclared_km(context: AuditDay) -> dict[str, Decimal]:
    """km of each trip that D07 names: they are in the carrier's favour there already."""
    return {draft.trip_ids[0]: draft.km_at_stake or Decimal(0) for draft in undeclared_trips(context)}


def _km_in_dispute(context: AuditDay, pair: Record) -> Decimal:
    """What other findings say about the km that a reading lacks: too much declared before it, or undeclared trips."""
    undeclared = sum((_undeclared_km(context).get(key, Decimal(0)) for key in pair["trip_ids"]), Decimal(0))
    return _declared_beyond(context).get(pair["previous"], Decimal(0)) + undeclared


def _draft(context: AuditDay, pair: Record) -> Draft:
    run_ids = (pair["next"], pair["previous"])
    runs = context.run_records(run_ids)
    following, previous = (runs[run_id] for run_id in run_ids)
    plate, zone, parameters = pair["plate"], context.zone(pair["plate"]), context.parameters
    measured = Decimal(str(round(pair["measured_km"], 2)))
    break_km = following["odometer_start_km"] - previous["odometer_end_km"] - measured
    trips = tuple(context.trips_of_run.get(pair["next"], ()))
    uncertainty_km = _READINGS_KM + pair["uncertainty_km"]
    tolerance = Decimal(str(parameters.chain_km))
    is_explained = _km_in_dispute(context, pair) >= abs(break_km) - tolerance
    return Draft(
        "D10",
        plate,
        f"A {sentences.run(previous)} do veículo {plate} termina no km "
        f"{sentences.number(previous['odometer_end_km'], 0)} "
        f"e a {sentences.run(following)} começa no km {sentences.number(following['odometer_start_km'], 0)}, mas entre "
        f"{sentences.moment(previous['ended_at'], zone)} e {sentences.moment(following['started_at'], zone)} o veículo "
        f"percorreu {sentences.km(measured)}: {sentences.km(abs(break_km))} "
        f"{'a mais' if break_km > 0 else 'a menos'} no "
        "hodômetro.",
        min(
            GRADE_CONFIDENCE["A"] * beyond_doubt(abs(float(break_km)), parameters.chain_km, uncertainty_km),
            UNOBSERVED_CONFIDENCE if break_km > 0 and pair["unseen_s"] > 0 else 1.0,
        ),
        trips,
        run_ids,
        abs(break_km),
        context.rate_of(trips, run_ids),
        {
            "break_km": break_km,
            "measured_between_km": measured,
            "uncertainty_km": round(pair["uncertainty_km"], 3),
            "observed_pct": round(pair["observed_pct"], 2),
        },
        context_trip_ids=pair["trip_ids"],
        is_in_favour=break_km < 0 and not is_explained,
        km_uncertainty=uncertainty_km,
        tolerance_km=parameters.chain_km,
    )


def _has_readings(context: AuditDay) -> bool:
    columns = ["odometer_start_km", "odometer_end_km"]
    return bool(context.runs_of_day[columns].notna().all(axis=1).any())


RULES = (
    Rule(
        "D10",
        "16",
        "H",
        "Hodômetro declarado sem continuidade",
        "O KM SAÍDA não continua o KM CHEGADA anterior mais o que o veículo percorreu entre as corridas.",
        "B+P/V",
        broken_chain,
        parameters=(
            "chain_km",
            "phantom_observed_pct",
            "gap_split_s",
            "impossible_kmh",
            "odometer_slack_km",
        ),
        needs=(
            RUNS,
            Need(_has_readings, "nenhuma ata traz KM SAÍDA e KM CHEGADA"),
            OBSERVED,
        ),
        rests_on="PVB",
        vehicle_need=VehicleNeeds(
            (
                TRUSTED_DEVICE_OF_RUNS,
                VehicleNeed(plates_with_runs, plates_with_unproven_times, UNPROVEN_TIMES_PT),
                VehicleNeed(
                    plates_with_runs,
                    _plates_without_continuous_odometer,
                    "o equipamento não informou um hodômetro contínuo entre as corridas, e não prova que o KM SAÍDA é "
                    "alto demais",
                ),
            )
        ),
        vehicle_doubt=VISIBLE_HALTS,
    ),
)

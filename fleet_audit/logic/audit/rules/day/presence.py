"""Runs without a trip and trips without a run: D05, D06, D07, and the reasons of held runs.

Groups that have both sides are compared in `divergence`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.matching import half_overlaps
from fleet_audit.logic.audit.night_shifts import on_next_day
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.doubt import are_cut
from fleet_audit.logic.audit.rules.day.needs import (
    OBSERVED,
    POSITIONS,
    RUNS,
    TRIPS,
    TRUSTED_DEVICE_OF_RUNS,
    UNPROVEN_TIMES_PT,
    UNTRUSTED_PT,
    VISIBLE_HALTS,
)
from fleet_audit.logic.audit.rules.day.path.repeated_track import repeated_tracks
from fleet_audit.logic.audit.rules.day.unobserved import unseen_km
from fleet_audit.logic.audit.rules.draft import (
    GRADE_CONFIDENCE,
    UNOBSERVED_CONFIDENCE,
    Draft,
    grade_confidence,
    uncertainty_km,
)
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import intervals
from fleet_audit.logic.primitives.money import KM, divide_half_up, from_hundredths, to_hundredths
from fleet_audit.logic.reference.plate_forms import other_form
from fleet_audit.logic.trips.rounded.unproven_places import may_be_service

# How often a run without a trip did not take place, on simulated development fleets: of those that nothing observed
# half, of those on a day on which the tracker lay elsewhere while the odometer counted none of 253 (69 fleets).
_TRACKER_OFF_CONFIDENCE = 0.02
_ALONE = ("measured_only", "declared_only")  # groups of one side
UNVERIFIED = ("no_trip", "no_data", "not_observed")  # reasons for which a run without a trip is D06


def phantom_runs(context: AuditDay) -> list[Draft]:
    """D05: runs that are held as `phantom` (see `unlinked_runs`)."""
    return [_phantom(context, row) for row in unlinked_runs(context).itertuples() if row.reason == "phantom"]


def unverified_runs(context: AuditDay) -> list[Draft]:
    """D06: no trip linked, and neither a phantom nor held for a clock, an uncertain date or a gap of our own.

    Vehicles that only a visit report sees are not tested: a visit report proves no trip. A run of 0 km claims nothing
    that could be verified or paid (Q05).
    """
    unlinked = unlinked_runs(context)
    unlinked = unlinked[claims_km(unlinked)]
    chosen = unlinked[unlinked["reason"].isin(UNVERIFIED) & ~unlinked["plate"].isin(_without_positions(context))]
    return [_unverified(context, row) for row in chosen.itertuples()]


def claims_km(runs: pd.DataFrame) -> pd.Series:
    """Whether each run claims any km; one that claims none is a bad declaration, and accuses nobody of km."""
    return runs["declared_km"].ne(0).fillna(True).astype(bool)


def undeclared_trips(context: AuditDay) -> list[Draft]:
    """D07: a service trip of at least undeclared_min_km in no group with a run of its carrier, if it declared that day.

    A run that another carrier wrote declares nothing for it: the trip is paid to the vehicle's.
    A trip that a night run would fit if it had taken place a day later is not named: that run may be its declaration.
    Nor is one of a vehicle whose clock is not proven (`plates_with_unproven_times`): one of its held runs may be.
    """
    is_lone = (context.groups["kind"] == "measured_only") | context.foreign_groups
    lone = context.groups.loc[is_lone, "trip_ids"].explode()
    service = context.trips[context.trips["purpose"] == "service"]
    trips = service[service["trip_id"].isin(lone) & service["km_measured"].notna()]
    trips = trips[to_hundredths(trips["km_measured"]) >= round(context.parameters.undeclared_min_km * 100)]
    declaring = declaring_carriers(context)
    is_declared_for = trips["carrier_code"].isin(declaring) | (trips["carrier_code"].isna() & bool(declaring))
    trips = trips[is_declared_for & ~trips["trip_id"].isin(_fits_uncertain_run(context))]
    trips = trips[~trips["plate"].isin(context.plates_with_untrusted_device | plates_with_unproven_times(context))]
    foreign = set(context.groups.loc[context.foreign_groups, "trip_ids"].explode())
    drafts = []
    for trip_id, trip in context.trip_records(trips["trip_id"]).items():
        of_carrier = " da transportadora" if trip_id in foreign else ""
        drafts.append(
            Draft(
                "D07",
                trip["plate"],
                f"O veículo {trip['plate']} fez uma viagem de serviço de {sentences.km(trip['km_measured'])} em "
                f"{sentences.period(trip, context.zone(trip['plate']))}, que nenhuma ata{of_carrier} declara.",
                grade_confidence([trip]),
                (trip_id,),
                (),
                trip["km_measured"],
                context.rate_of([trip_id], []),
                km_uncertainty=uncertainty_km([trip]),
                tolerance_km=context.parameters.undeclared_min_km,
            )
        )
    return drafts


def declaring_carriers(context: AuditDay) -> set[str]:
    """Carriers with at least one declared run on D, as the bulletin names them, else the vehicle's row."""
    runs = context.runs_of_day
    owners = runs["plate"].map(context.vehicles.set_index("plate")["carrier_code"].astype(object))
    return set(runs["carrier_code"].astype(object).fillna(owners).dropna())


def runs_of_unproven_trips(context: AuditDay) -> pd.DataFrame:
    """Runs of D in groups of which a trip may be service, or is another carrier's. With `reason`: they are held.

    - `other_carrier`: its trips are paid to the vehicle's carrier, and another one wrote it;
    - `trip_cut`: its purpose is unknown, and a gap that splits cuts it;
    - `place_unproven`: its place is not proven (`may_be_service`).

    declared_km: what `_held_hm` holds of their group, in proportion to the runs. Runs of a group of
    which a trip has no price are none of these, nor is a run that repeats another (D08): it is disallowed.
    """
    trips = context.groups.loc[context.groups["declared_km"].notna(), "trip_ids"].explode().dropna()
    is_cut = are_cut(context.trips) & (context.trips["purpose"] == "unknown").to_numpy(dtype=bool)
    is_foreign = context.trips["trip_id"].isin(trips[context.foreign_groups.loc[trips.index]])
    open_trips = context.trips[may_be_service(context.trips) | is_cut | is_foreign]
    unpriced = context.costs.loc[context.costs["variable_cost_brl"].isna(), "trip_id"]
    groups = trips.index[trips.isin(open_trips["trip_id"])].difference(trips.index[trips.isin(unpriced)])
    has_cut = groups.isin(trips.index[trips.isin(context.trips.loc[is_cut, "trip_id"])])
    linked = context.groups.loc[groups, "declared_run_ids"].explode().rename("declared_run_id").rename_axis("group")
    runs = context.runs[~context.runs["declared_run_id"].isin(context.repeated_runs["later"])]
    runs = runs.merge(linked.reset_index(), on="declared_run_id")
    held = runs["group"].map(_held_hm(context, trips, context.groups.loc[groups], open_trips, has_cut))
    reason = np.where(runs["group"].isin(groups[has_cut]), "trip_cut", "place_unproven")
    reason = np.where(runs["group"].map(context.foreign_groups).astype(bool), "other_carrier", reason)
    # the day is the group's: a run of 23:55 with a trip of 00:01 was written on the day before, which stopped the audit
    runs = runs.assign(reason=reason, operational_date=context.day)
    return _in_parts(runs, held.to_numpy(dtype="int64"))


def _held_hm(
    context: AuditDay, trips: pd.Series, groups: pd.DataFrame, open_trips: pd.DataFrame, has_cut: np.ndarray
) -> pd.Series:
    """Hundredths of a km to hold of each group with an open trip, one that may be service; `trips`: ids by group.

    What a group declares and was measured beyond its billed km, at most the km of its open trips, for no other can ever
    be owed: beside a deadhead of 20 km that the contract does not pay, 25 km were held for a trip of 5 km. What is
    declared above the measured km is D01's and D02's, but where a gap cuts an open trip: they accuse none that can have
    been driven unseen, so it is held. A run of 19 km of which 8 were seen was neither paid nor held.
    """
    declared = to_hundredths(groups["declared_km"])
    measured = to_hundredths(groups["declared_km"].where(groups["measured_km"].isna(), groups["measured_km"]))
    hm = pd.Series(to_hundredths(context.costs["billable_km"]), index=context.costs["trip_id"].to_numpy())
    billed = trips.map(hm).groupby(level=0).sum().reindex(groups.index)
    billed = billed.mask(context.foreign_groups.loc[groups.index], 0)  # billed, but to the vehicle's carrier
    open_hm = pd.Series(to_hundredths(open_trips["km_measured"]), index=open_trips["trip_id"].to_numpy())
    most = trips.map(open_hm).groupby(level=0).sum().reindex(groups.index)
    unmeasured = open_trips.loc[open_trips["km_measured"].isna(), "trip_id"]
    seen = np.minimum(declared, measured) - billed
    seen = seen.where(groups.index.isin(trips.index[trips.isin(unmeasured)]), np.minimum(seen, most))
    return seen + np.where(has_cut, np.maximum(declared - measured, 0), 0)


def _in_parts(runs: pd.DataFrame, beyond: np.ndarray) -> pd.DataFrame:
    """The runs with hundredths of a km of their `group` as declared_km, in proportion; without those that get none.

    Their sum is exact: the parts are differences of rounded running sums.
    """
    declared = pd.Series(to_hundredths(runs["declared_km"]), index=runs.index)
    of_group = declared.groupby(runs["group"])
    whole, until = of_group.transform("sum").to_numpy(), of_group.cumsum().to_numpy()
    ends = (divide_half_up(beyond * each, np.maximum(whole, 1)) for each in (until, until - declared.to_numpy()))
    part = next(ends) - next(ends)
    return runs.assign(declared_km=from_hundredths(part, KM, runs.index))[part > 0]


@computed_once
def unlinked_runs(context: AuditDay) -> pd.DataFrame:
    """Runs of D that no trip is linked to, with observed_pct, moved_km and `reason`, the first that holds.

    - `source_missing`: positions or visit reports of the run's days are incomplete by our own fault.
    - `clock`: the device's clock is off by a proven shift, or by whole hours that too few runs could prove.
    - `not_observed`: the odometer counted while the tracker stood on that day (O04): it may be off the bus.
    - `date_uncertain`: a night run that may have taken place on DATA + 1, which was not observed or fits as well.
    - `phantom`: observed over `phantom_observed_pct` of the run, moved less than `phantom_km`, and so did the odometer
      while the positions stood. A device without an odometer may lie beside the bus, one that continues another
      vehicle's odometer (O08) may be on that vehicle, one whose trips repeat another day (G05) does not show this one,
      the clock of one that reports rarely may be off (`plates_with_unproven_times`), and so may that of one of two
      that show the same movements at other times (`plates_with_two_clocks`), and of two that are not on one vehicle the
      one that measures may be on the other (`plates_with_another_vehicles_device`): they prove nothing. A night
      run that stays as written is one only when the vehicle stood on the day after, too. A run of 0 minutes is none,
      because its times cannot be right, nor is one of 0 km, which the standing vehicle bears out.
    - `no_data`: not observed at all; `no_trip`: the rest.
    """
    alone = context.groups.loc[context.groups["kind"] == "declared_only", "declared_run_ids"].explode()
    runs = context.runs[context.runs["declared_run_id"].isin(alone)]
    runs = runs.join(_watch(context, runs), on="declared_run_id").reset_index(drop=True)
    may_be_later = runs["is_night"].astype(bool) & ~runs["is_date_repaired"].astype(bool)
    later = _watch(context, on_next_day(runs[may_be_later].reset_index(drop=True)))
    is_unseen_later = runs["declared_run_id"].isin(later.index[later["observed_pct"] == 0])
    stood_later = runs["declared_run_id"].isin(later.index[_stood(later, context)])
    lasts = runs["ended_at"] > runs["started_at"]  # one of 0 minutes has a wrong time: nobody saw when it was driven
    unproven = context.plates_with_stuck_receiver | context.plates_without_odometer
    unproven |= {draft.plate for draft in repeated_tracks(context) if draft.plate}
    unproven |= plates_with_unproven_times(context) | context.plates_with_two_clocks
    is_proof = ~runs["plate"].isin(unproven | context.plates_with_device_elsewhere)
    conditions = {
        "source_missing": context.touches_incomplete(runs, "PV"),
        "clock": runs["plate"].isin(context.plates_with_clock_off | context.plates_with_clock_suspected),
        "not_observed": runs["plate"].isin(context.plates_with_tracker_off),
        "date_uncertain": runs["is_day_uncertain"].astype(bool) | is_unseen_later,
        "phantom": _stood(runs, context) & (~may_be_later | stood_later) & is_proof & lasts & claims_km(runs),
        "no_data": runs["observed_pct"] == 0,
    }
    reason = np.select([flags.to_numpy(dtype=bool) for flags in conditions.values()], list(conditions), "no_trip")
    return runs.assign(reason=reason)


def _watch(context: AuditDay, runs: pd.DataFrame) -> pd.DataFrame:
    """`AuditDay.watch` of runs; moved_km with what the odometer counted in silences, and `can_be_unseen`: whether the
    whole run, but for trip_tolerance_pct, can have been driven in silences.
    """
    unseen = unseen_km(context, intervals(runs)).set_index(pd.Index(runs["declared_run_id"]))
    watched = context.watch(runs)
    least_km = runs["declared_km"].to_numpy(dtype="float64", na_value=np.nan)
    least_km = least_km * (1 - context.parameters.trip_tolerance_pct / 100)
    return watched.assign(
        moved_km=watched["moved_km"] + unseen["counted_km"],
        can_be_unseen=unseen["counted_km"] + unseen["possible_km"] >= least_km,
    )


def _plates_with_trips(context: AuditDay) -> set[str]:
    return set(context.trips_of_day["plate"])


@computed_once
def plates_with_unproven_times(context: AuditDay) -> set[str]:
    """Plates with positions too rare to show whether their clock is off, of whose runs and service trips none fit.

    A clock that was 3 h behind did not show where two of four trips had a deadhead joined to them.
    """
    groups = context.groups
    with_lone = [set(groups.loc[groups["kind"] == kind, "plate"]) for kind in _ALONE]
    matched = set(groups.loc[~groups["kind"].isin(_ALONE), "plate"])
    return (set.intersection(*with_lone) & context.plates_with_unseen_halts) - matched


def _stood(watched: pd.DataFrame, context: AuditDay) -> pd.Series:
    """Whether a vehicle was watched for most of each run, neither moved nor counted kilometres, and cannot have driven
    the run while it was not watched.

    Of a tracker that lies off the bus for less than parked_count_km on a day only the odometer shows that it does.
    """
    parameters = context.parameters
    is_seen = watched["observed_pct"] >= parameters.phantom_observed_pct
    moved = watched["moved_km"] + watched["dwell_counted_km"]
    return is_seen & (moved < parameters.phantom_km) & ~watched["can_be_unseen"]


def _without_positions(context: AuditDay) -> set[str]:
    """Plates that visit reports alone see; all plates on a day without any positions."""
    by_positions = set(context.spans.loc[context.spans["source"] == "positions", "plate"])
    if not by_positions:
        return set(context.runs["plate"])
    return set(context.spans["plate"]) - by_positions


def _fits_uncertain_run(context: AuditDay) -> pd.Series:
    """Trips that an uncertain night run overlaps when it is put on the day after."""
    uncertain = context.runs[context.runs["is_day_uncertain"].astype(bool)].reset_index(drop=True)
    pairs = half_overlaps(context.trips, on_next_day(uncertain), context.parameters)
    return context.trips["trip_id"].iloc[pairs["trip"]]


def _phantom(context: AuditDay, run: Any) -> Draft:
    record = run._asdict()
    plate = record["plate"]
    by_positions = plate not in _without_positions(context)
    share = record["observed_pct"] / 100
    return Draft(
        "D05",
        plate,
        f"A {sentences.run(record)} declara {sentences.km(record['declared_km'])} em "
        f"{sentences.period(record, context.zone(plate))}, mas o veículo {plate} foi observado em "
        f"{sentences.number(record['observed_pct'], 0)} % desse período e percorreu "
        f"{sentences.km(record['moved_km'])}.",
        GRADE_CONFIDENCE["A" if by_positions else "C"] * share,
        (),
        (record["declared_run_id"],),
        record["declared_km"],
        context.rate_of([], [record["declared_run_id"]]),
        {"observed_pct": round(record["observed_pct"], 2), "moved_km": round(record["moved_km"], 3)},
    )


def _unverified_confidence(observed_pct: float) -> float:
    """Between that of a run that nothing observed and that of one watched from end to end."""
    return UNOBSERVED_CONFIDENCE + (GRADE_CONFIDENCE["A"] - UNOBSERVED_CONFIDENCE) * observed_pct / 100


@computed_once
def _runs_at_trips_of_others(context: AuditDay) -> set[str]:
    """Runs on another carrier's vehicle that half overlap a trip of which the vehicle's, or a third one, has a run."""
    runs = context.runs[context.runs["declared_run_id"].isin(context.foreign_runs)].reset_index(drop=True)
    groups = context.groups[context.groups["declared_km"].notna()].explode("trip_ids")
    writers = groups.dropna(subset="trip_ids").set_index("trip_ids")["carrier_code"].astype(object)
    pairs = half_overlaps(context.trips, runs, context.parameters)
    writer = context.trips["trip_id"].iloc[pairs["trip"]].map(writers).to_numpy(dtype=object)
    runs = runs.iloc[pairs["run"]]
    return set(runs.loc[pd.notna(writer) & (runs["carrier_code"].to_numpy(dtype=object) != writer), "declared_run_id"])


def _unverified(context: AuditDay, run: Any) -> Draft:
    record = run._asdict()
    is_observed = record["reason"] != "not_observed"
    observed = (
        f"veículo observado em {sentences.number(record['observed_pct'], 0)} % do período"
        if is_observed
        else "veículo não observado: nesse dia o hodômetro contou com o rastreador parado"
    )
    registered = other_form(record["plate"])
    if registered in context.owners and record["plate"] not in context.owners:
        observed += f"; o cadastro desse dia tem o veículo com a placa {registered}"
    if record["declared_run_id"] in _runs_at_trips_of_others(context):
        observed += "; a viagem medida nesse horário corresponde à ata de outra transportadora"
    return Draft(
        "D06",
        record["plate"],
        f"A {sentences.run(record)} declara {sentences.km(record['declared_km'])} em "
        f"{sentences.period(record, context.zone(record['plate']))}, mas nenhuma viagem medida corresponde a ela "
        f"({observed}): os km ficam retidos até comprovação.",
        _unverified_confidence(record["observed_pct"]) if is_observed else _TRACKER_OFF_CONFIDENCE,
        (),
        (record["declared_run_id"],),
        record["declared_km"],
        context.rate_of([], [record["declared_run_id"]]),
        {
            "observed_pct": round(record["observed_pct"], 2),
            "reason": record["reason"],
            "is_day_uncertain": bool(record["is_day_uncertain"]),
        },
    )


RULES = (
    Rule(
        "D05",
        "15",
        "C",
        "Corrida fantasma",
        "A corrida foi declarada, mas o veículo foi observado nesse horário e não se moveu.",
        "P/V+B",
        phantom_runs,
        amount="disallowed_brl",
        parameters=(
            "phantom_observed_pct",
            "phantom_km",
            "mean_speed_kmh",
        ),
        needs=(
            RUNS,
            OBSERVED,
        ),
        rests_on="PV",
        vehicle_need=TRUSTED_DEVICE_OF_RUNS,
    ),
    Rule(
        "D06",
        "16",
        "H",
        "Corrida sem viagem, não verificável",
        "Nenhuma viagem medida corresponde à corrida declarada: ela não pode ser verificada.",
        "P+B",
        unverified_runs,
        amount="held_brl",
        needs=(
            RUNS,
            POSITIONS,
        ),
        rests_on="PV",
        vehicle_doubt=VISIBLE_HALTS,
    ),
    Rule(
        "D07",
        "6",
        "M",
        "Viagem medida e não declarada",
        "O veículo fez uma viagem de serviço que nenhuma ata declara.",
        "P/V+B",
        undeclared_trips,
        amount="in_favour_brl",
        parameters=("undeclared_min_km",),
        needs=(
            RUNS,
            TRIPS,
        ),
        rests_on="PVB",
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(_plates_with_trips, lambda context: context.plates_with_untrusted_device, UNTRUSTED_PT),
                VehicleNeed(_plates_with_trips, plates_with_unproven_times, UNPROVEN_TIMES_PT),
            )
        ),
    ),
)

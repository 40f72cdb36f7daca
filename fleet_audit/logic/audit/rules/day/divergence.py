"""Declared against measured: D01 and D04 for a group of runs and trips, D02 for a vehicle's day.

Runs without any trip are in `presence`; the comparison of a cycle (D03) is not a matter of one day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.exceptions import applicable_exceptions, scope_of
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.doubt import (
    chord_matches,
    doubtful_matches,
    groups_by_paid_km,
    joined_matches,
    off_bus_matches,
    partly_unseen_matches,
    short_path_matches,
    tolerances_km,
    unpaid_matches,
)
from fleet_audit.logic.audit.rules.day.needs import (
    RUNS,
    TRIPS,
    TRUSTED_DEVICE_OF_RUNS,
    VISIBLE_HALTS,
    plates_with_runs,
)
from fleet_audit.logic.audit.rules.day.unobserved import asleep_km_of_groups, unseen_km_of_groups, unseen_km_together
from fleet_audit.logic.audit.rules.draft import (
    UNOBSERVED_CONFIDENCE,
    Draft,
    beyond_doubt,
    grade_confidence,
    uncertainty_km,
)
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.money import to_hundredths
from fleet_audit.logic.reference.tolerances import allowed_hundredths


@computed_once
def declared_above_measured(context: AuditDay) -> list[Draft]:
    """D01: a group declares more than was measured, above max(trip_tolerance_pct, trip_tolerance_km), beyond doubt."""
    return _groups(context, "D01")


def declared_below_measured(context: AuditDay) -> list[Draft]:
    """D04: a group declares less than was measured, by the same tolerance; it accuses no carrier.

    Not where it declares what its own odometer counted: the finding then concerns the odometer (O03, O05), not the run;
    nor where the trips may hold another movement (`joined_matches`). Where the purpose of a trip is unknown, what is
    paid of the group counts (`groups_by_paid_km`).
    """
    return _groups(context, "D04")


def day_above_measured(context: AuditDay) -> list[Draft]:
    """D02: the groups of a vehicle's day together, above day_tolerance_pct of measured and at least day_min_km.

    Those of each carrier that declared runs of the vehicle by themselves.
    Only groups with runs and trips whose km are all known take part: an unverifiable run would fake a
    divergence (it is held, D05 or D06), an undeclared trip would hide one (it is D07); and none that is in doubt or
    measured by chords. Of a day that exceeds, groups whose D01 an exception covers do not take part: their km would be
    refused all the same. A day that exceeds with such groups alone is covered by that exception, and one that exceeds
    without them alone is not reported: an exception accuses nobody. The evidence lists the groups that do not take
    part: the waterfall disallows nothing of them.
    """
    compared = context.groups[context.groups["difference_km"].notna()]
    unproven = compared["match_id"].isin(doubtful_matches(context) | chord_matches(context))
    excepted = _excepted_matches(context)
    proven = compared[~unproven]
    is_excepted = proven["match_id"].isin(excepted)
    days, of_rest = _exceeding_days(context, proven), _exceeding_days(context, proven[~is_excepted])
    declared = _declarer(proven)
    counted = proven[declared.isin(days.index) & ~(is_excepted & declared.isin(of_rest.index))]
    context.trip_records(counted["trip_ids"].explode())  # converted together, read one by one
    left = compared[~compared["match_id"].isin(counted["match_id"])]
    uncounted = left.groupby(_declarer(left))["match_id"].agg(list).to_dict()
    by_declarer = dict(tuple(counted.groupby(_declarer(counted))))
    return [
        _day(context, key[0], key[1], by_declarer[key], uncounted.get(key, []), row.pct, excepted)
        for key, row in days.iterrows()
    ]


def _declarer(groups: pd.DataFrame) -> pd.Series:
    """Plate and carrier of each group: who declared its runs."""
    carriers = groups["carrier_code"].astype(object).fillna("")
    return pd.Series(list(zip(groups["plate"], carriers, strict=True)), index=groups.index, dtype=object)


def _exceeding_days(context: AuditDay, groups: pd.DataFrame) -> pd.DataFrame:
    """declared and measured (hundredths of a km) and pct, the tolerance, by declarer whose groups exceed together."""
    table = pd.DataFrame(
        {
            "declarer": _declarer(groups).to_numpy(),
            "declared": to_hundredths(groups["declared_km"]),
            "measured": to_hundredths(groups["measured_km"]),
            "pct": context.limits(groups)["day_tolerance_pct"].to_numpy(),
        }
    )
    days = table.groupby("declarer").agg(
        declared=("declared", "sum"), measured=("measured", "sum"), pct=("pct", "first")
    )
    excess = days["declared"] - days["measured"]
    allowed = allowed_hundredths(days["measured"].to_numpy(), days["pct"].to_numpy(), np.zeros(len(days)))
    return days[(excess > allowed) & (excess >= round(context.parameters.day_min_km * 100))]


def _excepted_matches(context: AuditDay) -> dict[str, str]:
    """exception_id by match_id of the groups whose D01 an exception covers."""
    if context.exceptions.empty:
        return {}
    drafts = declared_above_measured(context)
    trips = context.trip_records(draft.trip_ids[0] for draft in drafts)
    runs = context.run_records(draft.run_ids[0] for draft in drafts)
    scopes = [scope_of(context, draft, trips[draft.trip_ids[0]], runs[draft.run_ids[0]]) for draft in drafts]
    columns = ["rule_id", "plate", "carrier_code", "unit_code", "route_code"]
    findings = pd.DataFrame([{"rule_id": "D01", **scope} for scope in scopes], columns=columns)
    named = applicable_exceptions(findings, context.exceptions, context.day)
    return {draft.facts["match_id"]: name for draft, name in zip(drafts, named, strict=True) if name is not None}


def _groups(context: AuditDay, rule_id: str) -> list[Draft]:
    sign = 1 if rule_id == "D01" else -1
    groups = context.groups if sign > 0 else groups_by_paid_km(context)
    exceeding = groups[groups["is_exceeding"].fillna(False).astype(bool)]
    chosen = exceeding[to_hundredths(exceeding["difference_km"]) * sign > 0]
    unproven = doubtful_matches(context) | (joined_matches if sign < 0 else short_path_matches)(context)
    chosen = chosen[~chosen["match_id"].isin(unproven)]
    trips = context.trip_records(chosen["trip_ids"].explode())
    runs = context.run_records(chosen["declared_run_ids"].explode())
    limits = context.limits(chosen)
    drafts = []
    tolerances = tolerances_km(context, chosen)
    for group, limit, tolerance in zip(chosen.itertuples(), limits.itertuples(), tolerances, strict=True):
        own_trips = [trips[key] for key in group.trip_ids]
        own_runs = [runs[key] for key in group.declared_run_ids]
        difference = abs(group.difference_km)
        if sign < 0 and _is_own_odometer(float(group.declared_km), own_trips, tolerance):
            continue
        unseen, asleep = (
            km.get(group.match_id, 0.0) if sign > 0 else 0.0
            for km in (unseen_km_of_groups(context), asleep_km_of_groups(context))
        )
        uncertainty = uncertainty_km(own_trips)
        paid_pt = " em viagens pagas" if sign < 0 and group.is_unproven else ""
        pct = "" if pd.isna(group.difference_pct) else f" ({sentences.number(abs(group.difference_pct))} %)"
        drafts.append(
            Draft(
                rule_id,
                group.plate,
                f"{_first_upper(sentences.runs(own_runs))} {sentences.declares(len(own_runs))} "
                f"{sentences.km(group.declared_km)} em {sentences.period(own_runs[0], context.zone(group.plate))}, "
                f"mas o veículo {group.plate} percorreu {sentences.km(group.measured_km)}{paid_pt}: "
                f"{sentences.km(difference)} a {'mais' if sign > 0 else 'menos'}{pct}, "
                f"acima da tolerância de {sentences.km(tolerance)}.",
                _confidence(own_trips, float(difference) - tolerance, uncertainty, unseen, asleep),
                tuple(group.trip_ids),
                tuple(group.declared_run_ids),
                difference,
                context.rate_of(group.trip_ids, group.declared_run_ids),
                {
                    "match_id": group.match_id,
                    "declared_km": group.declared_km,
                    "measured_km": group.measured_km,
                    "difference_km": group.difference_km,
                    "uncertainty_km": round(uncertainty, 3),
                    **_unseen_fact(unseen + asleep),
                },
                {"trip_tolerance_pct": limit.trip_tolerance_pct, "trip_tolerance_km": limit.trip_tolerance_km},
                km_uncertainty=uncertainty,
                km_below=unseen + asleep,
                tolerance_km=tolerance,
            )
        )
    return drafts


def _none_of(matches: Callable[[AuditDay], set[str]], reason_pt: str) -> VehicleNeed:
    """A need of a vehicle with runs: that none of its groups is one of these."""

    def plates(context: AuditDay) -> set[str]:
        return set(context.groups.loc[context.groups["match_id"].isin(matches(context)), "plate"])

    return VehicleNeed(plates_with_runs, plates, reason_pt)


def _unseen_fact(unseen: float) -> dict[str, float]:
    """What can have been driven unobserved, for the evidence of a finding that stands nevertheless."""
    return {"unseen_km": round(unseen, 3)} if unseen else {}


def _confidence(trips: list[Record], margin_km: float, uncertainty: float, unseen: float, asleep: float) -> float:
    """That of a difference so far above its tolerance; at most UNOBSERVED_CONFIDENCE where a round trip explains it."""
    sure = grade_confidence(trips) * beyond_doubt(margin_km, 0.0, uncertainty, unseen + asleep)
    is_explained = asleep > 0 and margin_km <= uncertainty + unseen + asleep
    return min(sure, UNOBSERVED_CONFIDENCE) if is_explained else sure


def _is_own_odometer(declared_km: float, trips: list[Record], tolerance_km: float) -> bool:
    counted = [trip["km_odometer"] for trip in trips]
    if any(pd.isna(km) for km in counted):
        return False
    return abs(declared_km - float(sum(counted))) <= tolerance_km


def _day(
    context: AuditDay,
    plate: str,
    carrier_code: str,
    groups: pd.DataFrame,
    uncounted: list[str],
    pct: float,
    excepted: Mapping[str, str],
) -> Draft:
    is_owners = carrier_code in ("", context.owners.get(plate, {}).get("carrier_code"))
    covered = [match_id for match_id in groups["match_id"] if match_id in excepted]
    trip_ids = tuple(groups["trip_ids"].explode())
    run_ids = tuple(groups["declared_run_ids"].explode())
    trips = list(context.trip_records(trip_ids).values())
    declared, measured = groups["declared_km"].sum(), groups["measured_km"].sum()
    above = groups[groups["difference_km"] > 0]
    unseen = unseen_km_together(context, above["match_id"])
    asleep_km = above["match_id"].map(asleep_km_of_groups(context)).astype("float64").fillna(0.0)
    asleep = float(np.minimum(asleep_km, above["difference_km"].astype("float64")).sum())
    excess, uncertainty = declared - measured, uncertainty_km(trips)
    tolerance = max(float(measured) * pct / 100, context.parameters.day_min_km)
    return Draft(
        "D02",
        plate,
        f"Em {sentences.day(context.day)} o veículo {plate} declarou {sentences.km(declared)} em "
        f"{sentences.runs_against(len(run_ids), measured)}: {sentences.km(excess)} a mais, acima de "
        f"{sentences.number(pct, 0)} % e de {sentences.km(context.parameters.day_min_km)}.",
        _confidence(trips, float(excess) - tolerance, uncertainty, unseen, asleep),
        km_at_stake=excess,
        rate=context.rate_of(trip_ids, run_ids),
        facts={
            "match_ids": list(groups["match_id"]),
            "uncounted_match_ids": uncounted,
            **({"excepted_match_ids": covered} if covered else {}),
            "declared_km": declared,
            "measured_km": measured,
            "uncertainty_km": round(uncertainty, 3),
            **_unseen_fact(unseen + asleep),
        },
        thresholds={"day_tolerance_pct": pct},
        km_uncertainty=uncertainty,
        km_below=unseen + asleep,
        tolerance_km=tolerance,
        context_trip_ids=trip_ids,
        context_run_ids=run_ids,
        exception_id=min((excepted[match_id] for match_id in covered), default=None),
        extra=() if is_owners else (carrier_code,),  # of two that exceed on one vehicle each has an id of its own
    )


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_ON_BOARD = _none_of(off_bus_matches, "o equipamento ficou fora do veículo, e não prova quanto ele andou")
_SEEN = _none_of(
    partly_unseen_matches,
    "faltam posições durante uma ata por tempo bastante para rodar os km que faltam",
)
_UNPROVEN_ROAD_PT = "o hodômetro do equipamento não contou e as posições são raras demais para medir a estrada"
_ROAD_OF_RUNS = VehicleNeeds(
    (TRUSTED_DEVICE_OF_RUNS, _ON_BOARD, _none_of(short_path_matches, _UNPROVEN_ROAD_PT), _SEEN)
)
_ROAD_OF_DAY = VehicleNeeds((TRUSTED_DEVICE_OF_RUNS, _ON_BOARD, _none_of(chord_matches, _UNPROVEN_ROAD_PT), _SEEN))
_ROAD_OF_TRIPS = VehicleNeeds(
    (
        TRUSTED_DEVICE_OF_RUNS,
        _ON_BOARD,
        _none_of(
            joined_matches,
            "o equipamento envia posições raras demais para separar a viagem da ata de outro deslocamento",
        ),
        _none_of(
            unpaid_matches,
            "a finalidade de uma viagem não está comprovada, ou quem declarou a corrida não é a transportadora do "
            "veículo, e nada prova que a ata declara km a menos",
        ),
    )
)

RULES = (
    Rule(
        "D01",
        "11",
        "H",
        "Declarado acima do medido, viagem",
        "Um grupo de atas declara mais km do que as viagens medidas no mesmo horário, acima da tolerância.",
        "P/V+B",
        declared_above_measured,
        amount="disallowed_brl",
        parameters=(
            "trip_tolerance_pct",
            "trip_tolerance_km",
            "gap_note_s",
            "match_widen_s",
            "match_widen_short_s",
            "mean_speed_kmh",
        ),
        needs=(
            RUNS,
            TRIPS,
        ),
        rests_on=("P", "V", "contracts"),
        vehicle_need=_ROAD_OF_RUNS,
    ),
    Rule(
        "D02",
        "13",
        "C",
        "Declarado acima do medido, dia do veículo",
        "A soma do dia do veículo declara mais km do que a medida nas mesmas corridas, acima da tolerância.",
        "P/V+B",
        day_above_measured,
        amount="disallowed_brl",
        parameters=(
            "day_tolerance_pct",
            "day_min_km",
            "gap_note_s",
            "match_widen_s",
            "match_widen_short_s",
            "mean_speed_kmh",
        ),
        needs=(
            RUNS,
            TRIPS,
        ),
        rests_on=("P", "V", "contracts"),
        vehicle_need=_ROAD_OF_DAY,
    ),
    Rule(
        "D04",
        "8",
        "M",
        "Declarado abaixo do medido",
        "Um grupo de atas declara menos km do que as viagens medidas no mesmo horário, acima da tolerância.",
        "P/V+B",
        declared_below_measured,
        amount="in_favour_brl",
        parameters=(
            "trip_tolerance_pct",
            "trip_tolerance_km",
        ),
        needs=(
            RUNS,
            TRIPS,
        ),
        rests_on="PV",
        vehicle_need=_ROAD_OF_TRIPS,
        vehicle_doubt=VISIBLE_HALTS,
    ),
)

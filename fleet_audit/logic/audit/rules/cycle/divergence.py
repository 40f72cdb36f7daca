"""Declared against measured over a vehicle's cycle: D03.

A single group and a vehicle's day are judged in `rules.day.divergence`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.exceptions import applicable_exceptions
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import ENOUGH_DAYS, NO_ROAD_PT
from fleet_audit.logic.audit.rules.draft import TRIP_CONFIDENCE, Draft, beyond_doubt
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.money import to_hundredths
from fleet_audit.logic.reference.tolerances import tolerances

_SHOWN = 40  # groups in the evidence


def declared_above_measured(context: AuditCycle) -> list[Draft]:
    """D03: a vehicle's compared groups together, above cycle_warn_pct (M), above cycle_tolerance_pct (C).

    Groups as in D02; without those that exceed their own tolerance and were not named for it on their day, because what
    proved nothing there proves nothing here, nor do groups that are not `compared_by_road`: chords are short of the
    road by more than cycle_warn_pct, and silences at the end of each run, each within its tolerance, may hide as much.
    Of a cycle that exceeds, groups whose D01, or the D02 of whose day, an exception covers do not count: their km would
    be refused all the same. One that exceeds without them alone is not reported: an exception accuses nobody.
    What a group can have been driven asleep lowers what is at stake, by no more than it declares too much. And at least
    cycle_min_km: whole-km readings of a few short runs are more than 3 % by themselves.
    """
    parameters = context.parameters
    compared, groups = context.compared, context.compared_by_road
    named = context.day_findings.loc[context.day_findings["rule_id"].isin(["D01", "D04"]), "declared_run_id"]
    first_run = pd.Series([ids[0] for ids in groups["declared_run_ids"]], index=groups.index, dtype=object)
    is_doubtful = groups["is_exceeding"].fillna(False).astype(bool) & ~first_run.isin(named)
    is_excepted = _is_excepted(context, groups, first_run)
    proven = ~is_doubtful & ~groups["plate"].isin(context.plates_of_earlier_release)
    of_all = _sums(groups[proven])
    groups = groups[proven & ~is_excepted]
    left = compared[~compared["match_id"].isin(groups["match_id"])]
    uncounted = left.groupby("plate")["match_id"].agg(list).to_dict()
    sums = _sums(groups)
    least = np.minimum(sums, of_all.reindex(sums.index))
    limits = _cycle_limits(context, sums.index)
    drafts = []
    for (plate, row), pct, excess, limit in zip(sums.iterrows(), least["pct"], least["excess"], limits, strict=True):
        warn = min(parameters.cycle_warn_pct, limit)
        if pct > warn and excess >= 100 * parameters.cycle_min_km:
            own, is_sure = groups[groups["plate"] == plate], pct > limit
            drafts.append(_declared(context, str(plate), row, own, uncounted.get(plate, []), warn, limit, is_sure))
    return drafts


def _sums(groups: pd.DataFrame) -> pd.DataFrame:
    """declared, measured and excess, declared - measured (hundredths of a km), of each plate, and pct of measured."""
    hundredths = {name: to_hundredths(groups[f"{name}_km"]) for name in ("declared", "measured")}
    sums = pd.DataFrame({"plate": groups["plate"].to_numpy(), **hundredths}).groupby("plate").sum()
    excess = sums["declared"] - sums["measured"]
    return sums.assign(excess=excess, pct=100 * excess / sums["measured"].replace(0, np.nan))


def _is_excepted(context: AuditCycle, groups: pd.DataFrame, first_run: pd.Series) -> np.ndarray:
    """Whether an exception covers the D01 of each group, or the D02 of its vehicle's day itself."""
    excepted = context.day_findings[context.day_findings["status"] == "excepted"]
    of_group, of_day = (excepted[excepted["rule_id"] == rule_id] for rule_id in ("D01", "D02"))
    is_of_runs = np.array(["excepted_match_ids" in json.loads(text) for text in of_day["evidence"]], dtype=bool)
    of_day = of_day[~is_of_runs | _covers_day(context, of_day)]
    keys = ["plate", "operational_date"]
    days, asked = (pd.MultiIndex.from_frame(rows[keys].astype(object)) for rows in (of_day, groups))
    found: np.ndarray = first_run.isin(of_group["declared_run_id"].dropna()).to_numpy() | asked.isin(days)
    return found


def _covers_day(context: AuditCycle, findings: pd.DataFrame) -> np.ndarray:
    """Whether an exception covers each finding of a vehicle's day, and not only one of its runs."""
    asked = findings.assign(route_code=None)
    covering = [applicable_exceptions(rows, context.exceptions, day) for day, rows in asked.groupby("operational_date")]
    found: np.ndarray = (
        pd.concat(covering).reindex(findings.index).notna().to_numpy() if covering else np.array([], bool)
    )
    return found


def _compared_plates(context: AuditCycle) -> set[str]:
    return set(context.compared["plate"])


def _cycle_limits(context: AuditCycle, plates: pd.Index) -> list[float]:
    """cycle_tolerance_pct of each vehicle's contract, else of the parameters."""
    contract_of = context.vehicles.set_index("plate")["contract_id"].astype(object)
    asked = pd.Series(plates.map(contract_of), index=plates, dtype=object)
    days = np.full(len(plates), as_days(context.day))
    return tolerances(asked, days, context.contracts, context.parameters)["cycle_tolerance_pct"].to_list()


def _declared(
    context: AuditCycle, plate: str, row: Any, groups: pd.DataFrame, uncounted: list[str], warn_pct: float,
    sure_pct: float, is_sure: bool,
) -> Draft:  # fmt: skip
    declared, measured = (Decimal(int(row[name])) / 100 for name in ("declared", "measured"))
    excess = declared - measured
    limit = sure_pct if is_sure else warn_pct
    run_ids, trip_ids = (groups[name].explode() for name in ("declared_run_ids", "trip_ids"))
    trips = context.trips[context.trips["trip_id"].isin(trip_ids)]
    uncertainty = float(trips["km_uncertainty"].astype("float64").sum())
    unseen = _unseen_km(groups)
    tolerance = float(measured) * limit / 100
    worst = groups.assign(size=groups["difference_km"].abs()).sort_values(["size", "match_id"], ascending=[False, True])
    shown = ["match_id", "operational_date", "trip_ids", "declared_run_ids", "declared_km", "measured_km"]
    return Draft(
        "D03",
        plate,
        f"No ciclo, {context.period}, o veículo {plate} declarou {sentences.km(declared)} em "
        f"{sentences.runs_against(run_ids.nunique(), measured)}: "
        f"{sentences.km(excess)} a mais ({sentences.number(row['pct'])} %), acima de {sentences.number(limit, 1)} %.",
        float(trips["evidence_grade"].map(TRIP_CONFIDENCE).astype("float64").mean())
        * beyond_doubt(float(excess), tolerance, uncertainty, unseen),
        km_at_stake=excess,
        rate=context.rates.get(plate),
        facts={
            "declared_km": declared,
            "measured_km": measured,
            "groups": [_listed(group) for group in worst[[*shown, "difference_km"]].head(_SHOWN).to_dict("records")],
            "group_count": len(groups),
            **({"unseen_km": round(unseen, 2)} if unseen else {}),
            "uncounted_match_ids": sorted(uncounted),
        },
        thresholds={"cycle_warn_pct": warn_pct, "cycle_tolerance_pct": sure_pct},
        severity="C" if is_sure else "M",
        km_uncertainty=uncertainty,
        km_below=unseen,
        tolerance_km=tolerance,
    )


def _unseen_km(groups: pd.DataFrame) -> float:
    """km that were perhaps driven asleep, of each group at most what it declares too much."""
    above = groups["difference_km"].astype("float64").clip(lower=0.0)
    return float(np.minimum(groups["unseen_km"].astype("float64").fillna(0.0), above).sum())


def _listed(row: Record) -> Record:
    return {name: list(value) if isinstance(value, np.ndarray) else value for name, value in row.items()}


RULES = (
    Rule(
        "D03",
        "10",
        "C",
        "Declarado acima do medido, ciclo do veículo",
        "A soma do ciclo do veículo declara mais km do que a medida nas mesmas corridas, acima da tolerância.",
        "P/V+B",
        declared_above_measured,
        "cycle",
        "disallowed_brl",
        ("cycle_warn_pct", "cycle_tolerance_pct", "cycle_min_km"),
        (
            ENOUGH_DAYS,
            Need(lambda context: len(context.compared) > 0, "nenhuma ata comparada no ciclo"),
        ),
        rests_on=("contracts", "devices"),
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(
                    _compared_plates,
                    lambda context: (
                        _compared_plates(context)
                        - set(context.compared_by_road["plate"])
                        - context.plates_of_earlier_release
                    ),
                    f"{NO_ROAD_PT}, ou faltam posições durante as atas",
                ),
                VehicleNeed(
                    _compared_plates,
                    lambda context: context.plates_of_earlier_release,
                    "dias calculados por versão anterior, que não diz o que faltou observar: rode-os de novo",
                ),
            )
        ),
        is_by_carrier=True,
    ),
)

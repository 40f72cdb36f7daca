"""The last digits of the readings that a vehicle's runs declare: S01.

Readings that contradict each other are in `rules.day.declarations.chain`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import RUNS_IN_CYCLE
from fleet_audit.logic.audit.rules.cycle.statistics.tested_samples import (
    SHOWN,
    TestedSample,
    per_declaring_plate,
    sample_draft,
    significant,
)
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.audit.rules.vehicle_need import MinimumSample
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.statistics import chi2_p, digit_counts, robust_sd, uniform_chi2

_OUTLIER_DEVIATIONS = 3.5  # robust deviations, as `peers_z` (Iglewicz and Hoaglin, 1993)
_CLOCK = pd.Timedelta(minutes=-2)  # a run's own trip starts with it: written times are whole minutes


def last_digits(context: AuditCycle) -> list[Draft]:
    """S01: the last digits of a plate's whole-km start readings are not uniform (χ², Holm-adjusted p < digits_p).

    Not where the readings follow the vehicle's measured km, times the vehicle's own ratio of both: rounds of a whole
    ten of kilometres repeat their digit (of 90 honest simulated vehicles 3 had p < 1e-11). Estimates to 5 km of a way
    that is always close to a multiple of it follow them too, and are not named. Vehicles without measured trips between
    their runs are not tested.
    """
    parameters = context.parameters
    samples, runs, off_km = [], _whole_km_readings(context), _reading_errors_km(context)
    for plate, own in runs.groupby("plate", sort=True):
        error_km = off_km.get(str(plate))
        if len(own) < parameters.digits_min_runs or error_km is None or error_km <= parameters.digits_read_km:
            continue
        counts = digit_counts(own["reading"].to_numpy())
        chi2 = uniform_chi2(counts)
        facts = {"n": len(own), "test": "chi2, 9 df", "chi2": round(chi2, 2),
                 "effect_size_w": round((chi2 / len(own)) ** 0.5, 3), "digit_counts": counts.tolist()}  # fmt: skip
        samples.append(TestedSample(str(plate), chi2_p(chi2), facts, tuple(own["declared_run_id"].head(SHOWN))))
    return [
        sample_draft(
            "S01",
            sample,
            f"Indício: nas {sample.facts['n']} leituras KM SAÍDA do veículo {sample.plate} no ciclo, {context.period}, "
            f"os últimos dígitos não se distribuem por igual ({_common_digits(sample.facts['digit_counts'])}); "
            f"qui-quadrado {sentences.number(sample.facts['chi2'], 1)}, probabilidade corrigida menor que "
            f"{_probability(parameters.digits_p)}.",
        )
        for sample in significant(samples, parameters.digits_p)
    ]


@computed_once
def _whole_km_readings(context: AuditCycle) -> pd.DataFrame:
    """Runs with a start reading in whole km, as `reading`; a KM SAÍDA of 0 is an empty cell."""
    runs = context.runs[context.runs["odometer_start_km"].gt(0).fillna(False).astype(bool)]
    runs = runs.assign(reading=runs["odometer_start_km"].astype("float64"))
    return runs[runs["reading"] % 1 == 0].sort_values(["plate", "started_at", "declared_run_id"])


def _plates_without_measured_trips(context: AuditCycle) -> set[str]:
    return {plate for plate, error_km in _reading_errors_km(context).items() if error_km is None}


def _readings_by_plate(context: AuditCycle) -> pd.Series:
    return per_declaring_plate(context, _whole_km_readings(context).groupby("plate").size())


@computed_once
def _reading_errors_km(context: AuditCycle) -> dict[str, float | None]:
    """By how much each vehicle's readings miss the km driven since the reading before, median; None where unknown.

    Whole-km readings that are read differ from what was driven since the last one by 0.3 km at the median, readings
    estimated to 5 km by 1.5 km. Unknown: half of the runs have no measured trip since the run before.
    """
    trips = context.trips[context.trips["km_measured"].notna()].sort_values("started_at")
    driven = dict(tuple(trips.groupby("plate")[["started_at", "km_measured"]]))
    runs, nothing = _whole_km_readings(context), trips[["started_at", "km_measured"]].head(0)
    return {
        str(plate): _reading_error_km(own, driven.get(plate, nothing))
        for plate, own in runs.groupby("plate", sort=True)
    }


def _reading_error_km(runs: pd.DataFrame, trips: pd.DataFrame) -> float | None:
    driven = np.concatenate([[0.0], trips["km_measured"].astype("float64").cumsum().to_numpy()])
    before = np.searchsorted(trips["started_at"].to_numpy(), (runs["started_at"] + _CLOCK).to_numpy())
    has_trip = np.diff(before) > 0
    if not has_trip.any() or 2 * has_trip.sum() < len(runs) - 1:
        return None
    declared, driven_km = np.diff(runs["reading"].to_numpy())[has_trip], np.diff(driven[before])[has_trip]
    return float(np.median(np.abs(declared - _vehicle_ratio(declared, driven_km) * driven_km)))


def _vehicle_ratio(declared: np.ndarray, driven_km: np.ndarray) -> float:
    """Declared km per measured km of one vehicle, without outliers; 1 where nothing was driven.

    The dashboard and the tracker may count a constant 1 to 3 % apart (tyres), which proves no estimate: rounds of 60 km
    would miss by more than a kilometre each. A reading mistyped, an odometer exchanged and a trip that was not
    measured are outliers.
    """
    apart_km = declared - driven_km
    usual_km = max(1.0, _OUTLIER_DEVIATIONS * robust_sd(apart_km))  # 1 km: whole-km readings
    is_usual = np.abs(apart_km - np.median(apart_km)) <= usual_km
    total_km = float(driven_km[is_usual].sum())
    return float(declared[is_usual].sum()) / total_km if total_km > 0 else 1.0


def _common_digits(counts: list[int]) -> str:
    """`0 em 30 e 5 em 28`: the two most frequent digits."""
    first, second = sorted(range(10), key=lambda digit: (-counts[digit], digit))[:2]
    return f"{first} em {counts[first]} e {second} em {counts[second]}"


def _probability(value: float) -> str:
    """`1 em 1.000.000`."""
    return f"1 em {sentences.number(1 / value, 0)}"


RULES = (
    Rule(
        "S01",
        "5",
        "M",
        "Últimos dígitos das leituras não uniformes",
        "As leituras de partida terminam em certos dígitos com mais frequência do que o acaso explica: podem ser "
        "estimadas, não lidas.",
        "B+P/V",
        last_digits,
        "cycle",
        parameters=("digits_min_runs", "digits_p", "digits_read_km"),
        needs=(RUNS_IN_CYCLE,),
        vehicle_need=MinimumSample(
            _readings_by_plate,
            "digits_min_runs",
            "leituras KM SAÍDA em km inteiros",
            _plates_without_measured_trips,
            "menos da metade das atas tem viagem medida desde a ata anterior",
        ),
        is_by_carrier=True,
    ),
)

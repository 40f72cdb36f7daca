"""Habits of whoever writes a vehicle's bulletins, over a cycle: S01 last digits, S03 constant km, K05 rounding upwards.

They are indications (*indício*): each states sample, test, effect size and the correction for the vehicles tested with
it, and none alone is a reason not to pay. Single runs are judged in `rules.day`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.repeats import folded_places
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.sample import Sample
from fleet_audit.logic.primitives.statistics import (
    at_least_p,
    chi2_p,
    digit_counts,
    holm,
    normal_p,
    robust_sd,
    uniform_chi2,
)

_CONFIDENCE = 0.8  # own: a habit is an indication, as weak as evidence of grade C
_SHOWN = 40  # runs in the evidence


@dataclass(frozen=True)
class _Sample:
    """A tested sample: whose it is, its p value, and what the finding states of it."""

    plate: str
    p: float
    facts: dict[str, Any]
    run_ids: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def last_digits(context: AuditCycle) -> list[Draft]:
    """S01: the last digits of a plate's whole-km start readings are not uniform (χ², Holm-adjusted p < digits_p).

    Not where the readings follow the vehicle's measured km: rounds of a whole ten of kilometres repeat their digit (of
    90 honest simulated vehicles 3 had p < 1e-11). Vehicles without measured trips between their runs are not tested.
    """
    parameters = context.parameters
    samples, runs = [], _whole_km_readings(context)
    for plate, own in runs.groupby("plate", sort=True):
        if len(own) < parameters.digits_min_runs or _is_read(context, str(plate), own) is not False:
            continue
        counts = digit_counts(own["reading"].to_numpy())
        chi2 = uniform_chi2(counts)
        facts = {"n": len(own), "test": "chi2, 9 df", "chi2": round(chi2, 2),
                 "effect_size_w": round((chi2 / len(own)) ** 0.5, 3), "digit_counts": counts.tolist()}  # fmt: skip
        samples.append(_Sample(str(plate), chi2_p(chi2), facts, tuple(own["declared_run_id"].head(_SHOWN))))
    return [
        _draft(
            "S01",
            sample,
            f"Indício: nas {sample.facts['n']} leituras KM SAÍDA do veículo {sample.plate} no ciclo, {context.period}, "
            f"os últimos dígitos não se distribuem por igual ({_common_digits(sample.facts['digit_counts'])}); "
            f"qui-quadrado {sentences.number(sample.facts['chi2'], 1)}, probabilidade corrigida menor que "
            f"{_probability(parameters.digits_p)}.",
        )
        for sample in _significant(samples, parameters.digits_p)
    ]


def constant_declared(context: AuditCycle) -> list[Draft]:
    """S03: between two places one declared value stands in constant_pct of the runs, while the measured km vary.

    Groups of one run. They vary where both the standard deviation and the robust one (1.4826 × MAD) do: one detour is
    not variation. Whole-km readings of an honest driver repeat a value, too: where the measured km differ from it
    by d, they show it with a chance of 1 − d (none beyond 1 km; d less the trip's uncertainty). Tested is whether so
    many equal values are more than these chances allow (Poisson binomial, Holm-adjusted p < constant_p).
    """
    parameters, groups, samples = context.parameters, _runs_between_places(context), []
    for (plate, origin, destination), own in groups.groupby(["plate", "origin", "destination"], sort=True):
        measured, declared = own["measured"].to_numpy(), own["declared"].to_numpy()
        usual, equal = _most_common(declared)
        variation = _variation_pct(measured)
        is_constant = 100 * equal >= parameters.constant_pct * len(own)
        if len(own) < parameters.constant_min_runs or not is_constant or variation <= parameters.constant_sd_pct:
            continue
        away = np.clip(np.abs(measured - usual) - own["uncertainty"].to_numpy(), 0, 1)
        facts = {"n": len(own), "test": "Poisson binomial", "declared_km": usual, "equal_runs": equal,
                 "expected_equal_runs": round(float((1 - away).sum()), 1),
                 "measured_mean_km": round(float(measured.mean()), 2), "measured_sd_pct": round(float(variation), 1),
                 "measured_km": np.round(measured, 2).tolist(), "origin": origin,
                 "destination": destination}  # fmt: skip
        ids = tuple(own["declared_run_id"].head(_SHOWN))
        samples.append(_Sample(str(plate), at_least_p(equal, 1 - away), facts, ids, (str(origin), str(destination))))
    return [
        _draft(
            "S03",
            sample,
            f"Indício: no ciclo, {context.period}, {sample.facts['equal_runs']} de {sample.facts['n']} atas do veículo "
            f"{sample.plate} de {sample.facts['origin'].upper()} a {sample.facts['destination'].upper()} declaram "
            f"exatamente {sentences.km(sample.facts['declared_km'])}, embora o medido varie "
            f"{sentences.number(sample.facts['measured_sd_pct'], 1)} % (média de "
            f"{sentences.km(sample.facts['measured_mean_km'])}); leituras honestas repetiriam esse valor em cerca de "
            f"{sentences.number(sample.facts['expected_equal_runs'], 0)}.",
        )
        for sample in _significant(samples, parameters.constant_p)
    ]


def rounded_upwards(context: AuditCycle) -> list[Draft]:
    """K05: where they differ by less than rounding_below_km, declared is on average rounding_mean_km above measured.

    Groups of one run. Tested is a mean of zero (z, Holm-adjusted p < rounding_p): honest rounding goes both ways.
    """
    parameters, groups, samples = context.parameters, _small_differences(context), []
    for plate, own in groups.groupby("plate", sort=True):
        difference = own["difference"].to_numpy()
        if len(own) < parameters.rounding_min_runs:
            continue
        mean, spread = float(difference.mean()), float(difference.std(ddof=1))
        error = max(spread, 1e-9) / len(own) ** 0.5
        if mean > parameters.rounding_mean_km:
            facts = {"n": len(own), "test": "z", "mean_km": round(mean, 3), "sd_km": round(spread, 3),
                     "mean_low_km": round(mean - 1.96 * error, 3), "mean_high_km": round(mean + 1.96 * error, 3),
                     "rounded_up_runs": int((difference > 0).sum())}  # fmt: skip
            samples.append(
                _Sample(str(plate), normal_p(mean / error), facts, tuple(own["declared_run_id"].head(_SHOWN)))
            )
    return [
        _draft(
            "K05",
            sample,
            f"Indício: no ciclo, {context.period}, em {sample.facts['n']} atas do veículo {sample.plate} que diferem "
            f"menos de {sentences.km(parameters.rounding_below_km)} do medido, o declarado fica em média "
            f"{sentences.km(sample.facts['mean_km'])} acima (entre {sentences.number(sample.facts['mean_low_km'])} e "
            f"{sentences.km(sample.facts['mean_high_km'])}, com 95 % de confiança): arredonda-se sempre para cima.",
        )
        for sample in _significant(samples, parameters.rounding_p)
    ]


def _whole_km_readings(context: AuditCycle) -> pd.DataFrame:
    """Runs with a start reading in whole km, as `reading`."""
    runs = context.runs[context.runs["odometer_start_km"].notna()]
    runs = runs.assign(reading=runs["odometer_start_km"].astype("float64"))
    return runs[runs["reading"] % 1 == 0].sort_values(["plate", "started_at", "declared_run_id"])


def _runs_between_places(context: AuditCycle) -> pd.DataFrame:
    """Compared groups of one run that names both places, as `origin` and `destination`."""
    groups = context.single_runs
    groups = groups.assign(**{end: folded_places(groups[f"{end}_text"]) for end in ("origin", "destination")})
    return groups[(groups["origin"] != "") & (groups["destination"] != "")]


def _small_differences(context: AuditCycle) -> pd.DataFrame:
    """Compared groups of one run with `difference` = declared − measured below rounding_below_km."""
    groups = context.single_runs
    groups = groups.assign(difference=groups["declared"] - groups["measured"])
    return groups[groups["difference"].abs() < context.parameters.rounding_below_km]


def _readings_by_plate(context: AuditCycle) -> pd.Series:
    return _per_declaring_plate(context, _whole_km_readings(context).groupby("plate").size())


def _runs_of_a_way_by_plate(context: AuditCycle) -> pd.Series:
    """Runs of each vehicle between the two places that it names most often."""
    ways = _runs_between_places(context).groupby(["plate", "origin", "destination"]).size()
    return _per_declaring_plate(context, ways.groupby("plate").max())


def _small_differences_by_plate(context: AuditCycle) -> pd.Series:
    return _per_declaring_plate(context, _small_differences(context).groupby("plate").size())


def _per_declaring_plate(context: AuditCycle, sizes: pd.Series) -> pd.Series:
    return sizes.reindex(sorted(set(context.runs["plate"])), fill_value=0)


def _significant(samples: list[_Sample], alpha: float) -> list[_Sample]:
    """Samples whose p value, adjusted for all of them, is below alpha; the adjustment is stated in their facts."""
    adjusted = holm([sample.p for sample in samples])
    return [
        replace(
            sample,
            facts={**sample.facts, "p": sample.p, "p_adjusted": p, "correction": "Holm", "tests": len(samples)},
        )
        for sample, p in zip(samples, adjusted, strict=True)
        if p < alpha
    ]


def _draft(rule_id: str, sample: _Sample, sentence: str) -> Draft:
    return Draft(
        rule_id,
        sample.plate,
        sentence,
        _CONFIDENCE,
        facts=sample.facts,
        context_run_ids=sample.run_ids,
        extra=sample.extra,
    )


def _is_read(context: AuditCycle, plate: str, runs: pd.DataFrame) -> bool | None:
    """Whether the readings follow the vehicle's measured km, to digits_read_km at the median; None where unknown.

    Whole-km readings that are read differ from what was driven since the last one by 0.3 km at the median, readings
    estimated to 5 km by 1.5 km. Unknown: half of the runs have no measured trip since the run before.
    """
    trips = context.trips[(context.trips["plate"] == plate) & context.trips["km_measured"].notna()]
    trips = trips.sort_values("started_at")
    driven = np.concatenate([[0.0], trips["km_measured"].astype("float64").cumsum().to_numpy()])
    before = np.searchsorted(trips["started_at"].to_numpy(), (runs["started_at"] + _CLOCK).to_numpy())
    has_trip = np.diff(before) > 0
    if 2 * has_trip.sum() < len(runs) - 1:
        return None
    off_km = np.abs(np.diff(runs["reading"].to_numpy()) - np.diff(driven[before]))[has_trip]
    return bool(np.median(off_km) <= context.parameters.digits_read_km)


_CLOCK = pd.Timedelta(minutes=-2)  # a run's own trip starts with it: written times are whole minutes


def _variation_pct(km: np.ndarray) -> float:
    """Standard deviation in per cent of the mean, the smaller of the plain and the robust one."""
    return float(100 * min(km.std(ddof=1), robust_sd(km)) / km.mean()) if len(km) > 1 else 0.0


def _most_common(values: np.ndarray) -> tuple[float, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()]), int(counts.max())


def _common_digits(counts: list[int]) -> str:
    """`0 em 30 e 5 em 28`: the two most frequent digits."""
    first, second = sorted(range(10), key=lambda digit: (-counts[digit], digit))[:2]
    return f"{first} em {counts[first]} e {second} em {counts[second]}"


def _probability(value: float) -> str:
    """`1 em 1.000.000`."""
    return f"1 em {sentences.number(1 / value, 0)}"


_RUNS = Need(lambda context: len(context.runs) > 0, "nenhuma ata no ciclo")

RULES = (
    Rule(
        "S01",
        "1",
        "M",
        "Últimos dígitos das leituras não uniformes",
        "As leituras de partida terminam em certos dígitos com mais frequência do que o acaso explica: podem ser "
        "estimadas, não lidas.",
        "B+P/V",
        last_digits,
        "cycle",
        parameters=("digits_min_runs", "digits_p", "digits_read_km"),
        needs=(_RUNS,),
        sample=Sample(_readings_by_plate, "digits_min_runs", "leituras KM SAÍDA em km inteiros"),
    ),
    Rule(
        "S03",
        "1",
        "H",
        "Km declarado constante, medido variável",
        "Entre dois locais declara-se quase sempre o mesmo km, embora o percurso medido varie: o valor pode ser "
        "copiado, não lido.",
        "B+P/V",
        constant_declared,
        "cycle",
        parameters=("constant_pct", "constant_min_runs", "constant_sd_pct", "constant_p"),
        needs=(_RUNS,),
        sample=Sample(_runs_of_a_way_by_plate, "constant_min_runs", "atas comparadas entre dois mesmos locais"),
    ),
    Rule(
        "K05",
        "1",
        "L",
        "Arredondamento sempre para cima",
        "As diferenças pequenas entre declarado e medido favorecem sempre o declarado: os km são arredondados para "
        "cima.",
        "B+P/V",
        rounded_upwards,
        "cycle",
        parameters=("rounding_below_km", "rounding_mean_km", "rounding_min_runs", "rounding_p"),
        needs=(_RUNS,),
        sample=Sample(
            _small_differences_by_plate, "rounding_min_runs", "atas com diferença pequena entre declarado e medido"
        ),
    ),
)

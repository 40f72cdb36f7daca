"""Habits of whoever writes a vehicle's bulletins, over a cycle: S03 constant km, K05 rounding upwards.

They are indications (*indício*), see `tested_samples`. Single runs are judged in `rules.day`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.repeats import folded_places
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
from fleet_audit.logic.primitives.statistics import (
    at_least_p,
    normal_p,
    robust_sd,
)


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
        ids = tuple(own["declared_run_id"].head(SHOWN))
        samples.append(
            TestedSample(str(plate), at_least_p(equal, 1 - away), facts, ids, (str(origin), str(destination)))
        )
    return [
        sample_draft(
            "S03",
            sample,
            f"Indício: no ciclo, {context.period}, {sample.facts['equal_runs']} de {sample.facts['n']} atas do veículo "
            f"{sample.plate} de {sample.facts['origin'].upper()} a {sample.facts['destination'].upper()} declaram "
            f"exatamente {sentences.km(sample.facts['declared_km'])}, embora o medido varie "
            f"{sentences.number(sample.facts['measured_sd_pct'], 1)} % (média de "
            f"{sentences.km(sample.facts['measured_mean_km'])}); leituras honestas repetiriam esse valor em cerca de "
            f"{sentences.number(sample.facts['expected_equal_runs'], 0)}.",
        )
        for sample in significant(samples, parameters.constant_p)
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
                TestedSample(str(plate), normal_p(mean / error), facts, tuple(own["declared_run_id"].head(SHOWN)))
            )
    return [
        sample_draft(
            "K05",
            sample,
            f"Indício: no ciclo, {context.period}, em {sample.facts['n']} atas do veículo {sample.plate} que diferem "
            f"menos de {sentences.km(parameters.rounding_below_km)} do medido, o declarado fica em média "
            f"{sentences.km(sample.facts['mean_km'])} acima (entre {sentences.number(sample.facts['mean_low_km'])} e "
            f"{sentences.km(sample.facts['mean_high_km'])}, com 95 % de confiança): arredonda-se sempre para cima.",
        )
        for sample in significant(samples, parameters.rounding_p)
    ]


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


def _runs_of_a_way_by_plate(context: AuditCycle) -> pd.Series:
    """Runs of each vehicle between the two places that it names most often."""
    ways = _runs_between_places(context).groupby(["plate", "origin", "destination"]).size()
    return per_declaring_plate(context, ways.groupby("plate").max())


def _small_differences_by_plate(context: AuditCycle) -> pd.Series:
    return per_declaring_plate(context, _small_differences(context).groupby("plate").size())


def _variation_pct(km: np.ndarray) -> float:
    """Standard deviation in per cent of the mean, the smaller of the plain and the robust one; 0 of fewer than two."""
    return float(100 * min(km.std(ddof=1), robust_sd(km)) / km.mean()) if len(km) > 1 and km.mean() > 0 else 0.0


def _most_common(values: np.ndarray) -> tuple[float, int]:
    distinct, counts = np.unique(values, return_counts=True)
    return float(distinct[counts.argmax()]), int(counts.max())


RULES = (
    Rule(
        "S03",
        "6",
        "H",
        "Km declarado constante, medido variável",
        "Entre dois locais declara-se quase sempre o mesmo km, embora o percurso medido varie: o valor pode ser "
        "copiado, não lido.",
        "B+P/V",
        constant_declared,
        "cycle",
        parameters=("constant_pct", "constant_min_runs", "constant_sd_pct", "constant_p"),
        needs=(RUNS_IN_CYCLE,),
        vehicle_need=MinimumSample(
            _runs_of_a_way_by_plate, "constant_min_runs", "atas comparadas entre dois mesmos locais"
        ),
        is_by_carrier=True,
    ),
    Rule(
        "K05",
        "6",
        "L",
        "Arredondamento sempre para cima",
        "As diferenças pequenas entre declarado e medido favorecem sempre o declarado: os km são arredondados para "
        "cima.",
        "B+P/V",
        rounded_upwards,
        "cycle",
        parameters=("rounding_below_km", "rounding_mean_km", "rounding_min_runs", "rounding_p"),
        needs=(RUNS_IN_CYCLE,),
        vehicle_need=MinimumSample(
            _small_differences_by_plate, "rounding_min_runs", "atas com diferença pequena entre declarado e medido"
        ),
        is_by_carrier=True,
    ),
)

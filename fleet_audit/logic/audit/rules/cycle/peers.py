"""A vehicle against the others on its routes: S05, an outlier among peers.

One trip against the expected way is a rule of its day; what the route should measure belongs to the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.statistics import holm, normal_p

_ROUTE = ["route_code", "origin_poi_id", "destination_poi_id"]
_NORMAL_MAD = 1.4826  # standard deviation of a normal sample per median absolute deviation


def outliers(context: AuditCycle) -> list[Draft]:
    """S05: a vehicle's median km on a route is peers_z robust deviations from the median of the other vehicles' trips.

    Trips of one route between the same two places: at least peers_min_trips of other vehicles, of peers_min_vehicles,
    and peers_own_trips of its own. The scale is 1.4826 × MAD of the others' trips, at least their median uncertainty.
    And the difference is more than peers_min_pct and more than its own trips' median uncertainty, so that equal ways
    with a small spread name nobody. p is that of a normal z, two-sided, Holm-adjusted for all vehicles and routes.
    """
    parameters = context.parameters
    trips = context.service[context.service[_ROUTE].notna().all(axis=1)]
    trips = trips.assign(km=trips["km_measured"].astype("float64"), doubt=trips["km_uncertainty"].astype("float64"))
    samples: list[dict[str, Any]] = []
    for route, rows in trips.groupby(_ROUTE, sort=True):
        for plate, own in rows.groupby("plate", sort=True):
            others = rows[rows["plate"] != plate]
            if (
                len(own) < parameters.peers_own_trips
                or len(others) < parameters.peers_min_trips
                or others["plate"].nunique() < parameters.peers_min_vehicles
            ):
                continue
            samples.append({"plate": plate, "route": route, "own": own, **_compared(own, others)})
    adjusted = holm([sample["p"] for sample in samples])
    return [
        _draft(context, sample, p, len(samples))
        for sample, p in zip(samples, adjusted, strict=True)
        if abs(sample["robust_z"]) > parameters.peers_z
        and p < parameters.peers_p
        and abs(sample["difference_km"]) > sample["peers_median_km"] * parameters.peers_min_pct / 100
        and abs(sample["difference_km"]) > sample["own_uncertainty_km"]
    ]


def _compared(own: pd.DataFrame, others: pd.DataFrame) -> dict[str, float]:
    km = others["km"].to_numpy()
    middle = float(np.median(km))
    scale = max(_NORMAL_MAD * float(np.median(np.abs(km - middle))), float(others["doubt"].fillna(0).median()), 0.01)
    difference = float(own["km"].median()) - middle
    z = difference / scale
    return {
        "own_median_km": middle + difference,
        "peers_median_km": middle,
        "difference_km": difference,
        "own_uncertainty_km": float(own["doubt"].fillna(0).median()),
        "scale_km": scale,
        "robust_z": z,
        "n_own": len(own),
        "n_peers": len(others),
        "peer_vehicles": int(others["plate"].nunique()),
        "p": 2 * normal_p(abs(z)),
    }


def _draft(context: AuditCycle, sample: dict[str, Any], p_adjusted: float, tests: int) -> Draft:
    plate, own = str(sample["plate"]), sample["own"]
    route = dict(zip(_ROUTE, sample["route"], strict=True))
    numbers = {name: round(value, 4) for name, value in sample.items() if isinstance(value, (int, float))}
    longer = "mais longa" if sample["difference_km"] > 0 else "mais curta"
    trips = own.sort_values(["operational_date", "trip_id"])[["trip_id", "operational_date", "km_measured"]]
    return Draft(
        "S05",
        plate,
        f"Indício: no ciclo, {context.period}, na rota {route['route_code']}, de {route['origin_poi_id']} a "
        f"{route['destination_poi_id']}, a viagem mediana do veículo {plate} é {longer} que a dos outros: "
        f"{sentences.km(sample['own_median_km'])} em {sample['n_own']} viagens contra "
        f"{sentences.km(sample['peers_median_km'])} em {sample['n_peers']} viagens de {sample['peer_vehicles']} "
        f"veículos ({sentences.number(abs(sample['robust_z']), 1)} desvios robustos).",
        GRADE_CONFIDENCE["C"],
        facts={**route, **numbers, "test": "robust z, two-sided", "p_adjusted": p_adjusted, "correction": "Holm",
               "tests": tests, "own_trips": trips.to_dict("records")},
        extra=tuple(str(value) for value in sample["route"]),
    )  # fmt: skip


def _has_peers(context: AuditCycle) -> bool:
    trips = context.service[context.service[_ROUTE].notna().all(axis=1)]
    groups = trips.groupby(_ROUTE)["plate"]
    is_enough = (groups.size() > context.parameters.peers_min_trips) & (
        groups.nunique() > context.parameters.peers_min_vehicles
    )
    return bool(is_enough.any())


RULES = (
    Rule(
        "S05",
        "1",
        "M",
        "Fora do padrão dos outros veículos na rota",
        "Na mesma rota, entre os mesmos locais, o veículo percorre distância diferente da dos demais.",
        "P/V+K",
        outliers,
        "cycle",
        parameters=(
            "peers_z", "peers_p", "peers_min_pct", "peers_min_trips", "peers_min_vehicles", "peers_own_trips",
        ),
        needs=(Need(_has_peers, "nenhuma rota tem viagens suficientes de vários veículos no ciclo"),),
    ),
)  # fmt: skip

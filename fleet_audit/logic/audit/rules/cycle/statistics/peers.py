"""A vehicle against the others on its routes: S05, an outlier among peers.

A vehicle against its own past is in `own_past`. One trip against the expected way is a rule of its day.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.evidence import known
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.cycle.needs import NO_ROAD_PT
from fleet_audit.logic.audit.rules.cycle.statistics.tested_samples import SHOWN
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.primitives.statistics import holm, normal_p, robust_sd

_ROUTE = ["route_code", "origin_poi_id", "destination_poi_id"]
_OWNED = ["plate", "carrier_code"]


def outliers(context: AuditCycle) -> list[Draft]:
    """S05: a vehicle's median km on a route is peers_z robust deviations from those of the other vehicles.

    Of a vehicle that was sold the trips of each carrier are compared by themselves, none with the other's.
    Trips of one route between the same two places; each vehicle with peers_own_trips of them is one value, and at least
    peers_min_vehicles others are compared. Not single trips: honest vehicles call at different points, and each repeats
    its own way to 0.1 km. The scale is 1.4826 × MAD of the others' medians, at least the median uncertainty of a trip.
    The difference is more than peers_min_pct, and no other vehicle is that close to it: a way that two take is a way. p
    is that of a normal z, two-sided, Holm-adjusted for all vehicles and routes.
    """
    parameters = context.parameters
    samples = [sample for route, rows in _routes(context) for sample in _samples(route, rows)]
    adjusted = holm([sample["p"] for sample in samples])
    return [
        _draft(context, sample, p, len(samples))
        for sample, p in zip(samples, adjusted, strict=True)
        if abs(sample["robust_z"]) > parameters.peers_z
        and p < parameters.peers_p
        and sample["nearest_km"] > sample["peers_median_km"] * parameters.peers_min_pct / 100
    ]


def _routes(context: AuditCycle) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Trips of each route and pair of places that enough vehicles drive often enough: km and doubt as floats.

    None that is measured by chords: these are short of the road by more than peers_min_pct.
    """
    trips = _by_road(context)
    trips = trips.assign(km=trips["km_measured"].astype("float64"), doubt=trips["km_uncertainty"].astype("float64"))
    return [
        (route, rows)
        for route, rows in _often(context, trips).groupby(_ROUTE, sort=True)
        if rows["plate"].nunique() > context.parameters.peers_min_vehicles
    ]


def _by_road(context: AuditCycle) -> pd.DataFrame:
    """Service trips that one source measured whole along the road.

    A trip of which a visit report shows a part has neither odometer nor path: what a silence cost it is not known.
    """
    trips = context.service
    is_joined = (trips["source"] == "positions") & trips[["km_odometer", "km_gps"]].isna().all(axis=1)
    return trips[~trips["trip_id"].isin(context.trips_by_chords) & ~is_joined]


def _often(context: AuditCycle, trips: pd.DataFrame) -> pd.DataFrame:
    """The trips of vehicles that drive one route between the same two places at least peers_own_trips times, under one
    carrier.
    """
    trips = trips[trips[_ROUTE].notna().all(axis=1)]
    of_vehicle = trips.groupby([*_ROUTE, *_OWNED], dropna=False)["trip_id"]
    return trips[of_vehicle.transform("size") >= context.parameters.peers_own_trips]


def _plates_often_on_a_route(context: AuditCycle) -> set[str]:
    return set(_often(context, context.service)["plate"])


def _plates_not_by_road(context: AuditCycle) -> set[str]:
    """Plates that drive a route often enough only with the trips that are not `_by_road`."""
    return _plates_often_on_a_route(context) - set(_often(context, _by_road(context))["plate"])


def _samples(route: tuple[str, str, str], rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Each vehicle of a route compared with the others' medians."""
    medians = rows.groupby("plate", sort=True)["km"].median()
    least_km = max(float(rows["doubt"].fillna(0).median()), 0.01)
    samples = []
    for (plate, carrier_code), own in rows.groupby(_OWNED, sort=True, dropna=False):
        own_km, others = own["km"].median(), medians.drop(plate).to_numpy()
        middle = float(np.median(others))
        scale = max(robust_sd(others), least_km)
        z = (float(own_km) - middle) / scale
        samples.append(
            {
                "plate": plate,
                "carrier_code": known(carrier_code),
                "route": route,
                "own": own,
                "own_median_km": float(own_km),
                "peers_median_km": middle,
                "difference_km": float(own_km) - middle,
                "nearest_km": float(np.abs(others - own_km).min()),
                "scale_km": scale,
                "robust_z": z,
                "n_own": len(own),
                "n_peers": len(others),
                "p": 2 * normal_p(abs(z)),
            }
        )
    return samples


def _draft(context: AuditCycle, sample: dict[str, Any], p_adjusted: float, tests: int) -> Draft:
    plate, own = str(sample["plate"]), sample["own"]
    is_last = sample["carrier_code"] == known(context.owners.get(plate, {}).get("carrier_code"))
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
        f"{sentences.km(sample['peers_median_km'])}, a mediana de {sample['n_peers']} outros veículos "
        f"({sentences.number(abs(sample['robust_z']), 1)} desvios robustos).",
        GRADE_CONFIDENCE["C"],
        facts={**route, **numbers, "test": "robust z, two-sided", "p_adjusted": p_adjusted, "correction": "Holm",
               "tests": tests, "own_trips": trips.to_dict("records")},
        context_trip_ids=tuple(trips["trip_id"].head(SHOWN)),
        extra=(*map(str, sample["route"]), *([] if is_last else [str(sample["carrier_code"])])),
        carrier_code=sample["carrier_code"],
    )  # fmt: skip


RULES = (
    Rule(
        "S05",
        "4",
        "M",
        "Fora do padrão dos outros veículos na rota",
        "Na mesma rota, entre os mesmos locais, o veículo percorre distância diferente da dos demais.",
        "P/V+K",
        outliers,
        "cycle",
        parameters=(
            "peers_z", "peers_p", "peers_min_pct", "peers_min_vehicles", "peers_own_trips",
        ),
        needs=(Need(lambda context: bool(_routes(context)), "nenhuma rota tem veículos suficientes no ciclo"),),
        vehicle_need=VehicleNeed(
            _plates_often_on_a_route,
            _plates_not_by_road,
            f"{NO_ROAD_PT}, ou só o relatório de visita mostra uma parte das viagens",
        ),
    ),
)  # fmt: skip

"""Speeds that no bus reaches: G01.

Points that no vehicle can have reached are rejected before, in `trips.points`; jumps of the odometer are O02.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import POSITIONS
from fleet_audit.logic.audit.rules.draft import DEVICE_CONFIDENCE, Draft, grade_confidence, uncertainty_km
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.money import half_up


def impossible_speeds(context: AuditDay) -> list[Draft]:
    """G01: trips of positions with a mean of at least mean_speed_kmh, or a reported speed above reported_speed_kmh.

    The mean is that of the km without their stated uncertainty. At stake are the km beyond that mean; a reported speed
    has no amount. A highest speed from speed_sentinel_kmh on is an error value: nothing is known of the others. Trips
    of which less than gps_min_coverage_pct was seen, and those with an odometer event (O01-O04), have no mean.
    """
    trips = context.trips_of_day
    trips = trips[trips["source"] == "positions"].reset_index(drop=True)
    parameters = context.parameters
    mean = _least_mean_kmh(context, trips)
    reported = trips["max_speed_kmh"].to_numpy(dtype=float, na_value=np.nan)
    is_fast = mean >= parameters.mean_speed_kmh
    is_reported = (reported > parameters.reported_speed_kmh) & (reported < parameters.speed_sentinel_kmh)
    rows = trips.assign(mean_kmh=mean, is_fast=is_fast)[is_fast | is_reported].to_dict("records")
    return [_draft(context, row) for row in rows]


def _least_mean_kmh(context: AuditDay, trips: pd.DataFrame) -> np.ndarray:
    """Mean speed by the least km that the uncertainty allows; NaN where the trip has none."""
    km, doubt, coverage = (
        trips[name].to_numpy(dtype=float, na_value=np.nan) for name in ("km_measured", "km_uncertainty", "coverage_pct")
    )
    hours = (trips["ended_at"] - trips["started_at"]).dt.total_seconds().to_numpy() / 3600
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (km - np.nan_to_num(doubt)) / hours
    disturbed = overlaps(intervals(trips), intervals(context.devices.events))["left"].unique()
    mean[disturbed] = np.nan
    return np.where((coverage >= context.parameters.gps_min_coverage_pct) & (hours > 0), mean, np.nan)


def _draft(context: AuditDay, trip: Record) -> Draft:
    plate, parameters = trip["plate"], context.parameters
    period = sentences.period(trip, context.zone(plate))
    if not trip["is_fast"]:
        return Draft(
            "G01",
            plate,
            f"Na viagem de {period}, o equipamento do veículo {plate} informou a velocidade de "
            f"{sentences.number(trip['max_speed_kmh'], 0)} km/h, acima de "
            f"{sentences.number(parameters.reported_speed_kmh, 0)} km/h.",
            DEVICE_CONFIDENCE,
            (trip["trip_id"],),
            facts={"max_speed_kmh": trip["max_speed_kmh"], "local_times": period},
        )
    hours = (trip["ended_at"] - trip["started_at"]).total_seconds() / 3600
    possible = half_up(parameters.mean_speed_kmh * hours)
    return Draft(
        "G01",
        plate,
        f"Na viagem de {period}, o veículo {plate} teria percorrido {sentences.km(trip['km_measured'])} em "
        f"{sentences.number(hours * 60, 0)} min, a {sentences.number(float(trip['km_measured']) / hours, 0)} km/h em "
        f"média; o limite é de {sentences.number(parameters.mean_speed_kmh, 0)} km/h.",
        grade_confidence([trip]),
        (trip["trip_id"],),
        km_at_stake=trip["km_measured"] - possible,
        km_uncertainty=uncertainty_km([trip]),
        tolerance_km=0.0,
        rate=context.rate_of([trip["trip_id"]], ()),
        facts={"mean_kmh": round(trip["mean_kmh"], 1), "max_speed_kmh": trip["max_speed_kmh"], "local_times": period},
    )


RULES = (
    Rule(
        "G01",
        "1",
        "M",
        "Velocidade impossível",
        "A média da viagem, ou uma velocidade que o equipamento informou, é maior do que um ônibus alcança.",
        "P",
        impossible_speeds,
        amount="paid_doubtful_brl",
        parameters=("mean_speed_kmh", "reported_speed_kmh", "speed_sentinel_kmh", "gps_min_coverage_pct"),
        needs=(
            POSITIONS,
            Need(
                lambda context: bool((context.trips_of_day["source"] == "positions").any()),
                "nenhuma viagem do dia foi medida por posições",
            ),
        ),
    ),
)

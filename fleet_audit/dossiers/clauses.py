"""What the kilometres of a case cost, and by which clause: prices of its trips, contracts, tariffs, parameters.

The movement is in `movement`; which parameters a rule uses is stated by the rule, its values are in the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet_audit.logic.primitives.parameters import DEFAULTS, ParameterSet
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.storage.warehouse import Warehouse

# What decides where a trip starts and ends, and which distance counts.
_OF_TRIPS = (
    "standing_kmh",
    "stop_radius_m",
    "stop_min_s",
    "stop_min_place_s",
    "trip_end_dwell_s",
    "gap_note_s",
    "gap_split_s",
    "impossible_kmh",
    "odometer_slack_km",
    "agree_pct",
    "agree_km",
    "compare_step_s",
    "gps_min_coverage_pct",
    "coverage_min_pct",
    "calibrated_pct",
)
_UNITS = {parameter.name: parameter.unit for parameter in DEFAULTS}


def prices_of(warehouse: Warehouse, evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of `fact.trip_costs` of the evidence's trips."""
    return records(
        warehouse.read(
            "select * from fact.trip_costs where trip_id = any(string_to_array(:trip_ids, ',')) order by trip_id",
            {"trip_ids": ",".join(trip["trip_id"] for trip in evidence.get("trips", ()))},
        )
    )


def terms_of(subject: Mapping[str, Any], prices: Sequence[Mapping[str, Any]], reference: Reference) -> Frames:
    """The contracts of the trips, else of the vehicle on the day; their tariffs that priced, else that may."""
    vehicle = valid_on(reference.vehicles, subject["operational_date"])
    vehicle = vehicle[vehicle["plate"] == subject["plate"]]
    ids = {price["contract_id"] for price in prices if price["contract_id"]} or {*vehicle["contract_id"].dropna()}
    tariffs = reference.tariffs
    tariffs = tariffs[tariffs["contract_id"].isin(ids)]
    used = {price["tariff_id"] for price in prices if price["tariff_id"]}
    may = tariffs["vehicle_class"].isna() | tariffs["vehicle_class"].isin(vehicle["vehicle_class"].dropna())
    return Frames(
        units=reference.units,
        carriers=reference.carriers,
        contracts=reference.contracts[reference.contracts["contract_id"].isin(ids)],
        tariffs=tariffs[tariffs["tariff_id"].isin(used) if used else may],
    )


def parameters_used(
    evidence: Mapping[str, Any], of_trip: ParameterSet | None = None
) -> tuple[tuple[str, float, str], ...]:
    """(name, value, unit) of the thresholds in a finding's evidence, or of those that measure a trip."""
    values = evidence.get("thresholds", {}) if of_trip is None else {name: getattr(of_trip, name) for name in _OF_TRIPS}
    return tuple((name, value, _UNITS.get(name, "")) for name, value in values.items() if value is not None)

"""All findings of a day, with identity, money, evidence and exceptions; runs held; rules that lack their data.

What a rule looks for is in `rules`; those of a whole cycle are put together in `cycle_audit`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import (
    chain,
    contract,
    coverage,
    declared,
    divergence,
    movement,
    odometer,
    presence,
    quality,
    vehicle,
)
from fleet_audit.logic.audit.rules.context import AuditDay, Case, Record
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.registry import REGISTRY
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.identity import normalise_plate, stable_id
from fleet_audit.logic.primitives.money import multiply_brl
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS

RULES: dict[str, Callable[[AuditDay], list[Draft]]] = {
    "D01": divergence.declared_above_measured,
    "D02": divergence.day_above_measured,
    "D04": divergence.declared_below_measured,
    "D05": presence.phantom_runs,
    "D06": presence.unverified_runs,
    "D07": presence.undeclared_trips,
    "D08": declared.declared_twice,
    "D10": chain.broken_chain,
    "D11": declared.arithmetic,
    "D12": declared.date_contradicted,
    "O01": odometer.falls,
    "O02": odometer.jumps,
    "O03": odometer.frozen,
    "O04": odometer.parked,
    "O05": odometer.disagreement,
    "V01": vehicle.without_contract,
    "V06": vehicle.empty_runs,
    "K01": contract.unpriced_trips,
    "G07": movement.long_unknown_stops,
    "Q02": coverage.silent_fleets,
    "Q04": quality.reference_changed,
    "Q05": quality.source_contradictions,
}
_TRIP_FACTS = (
    "trip_id",
    "plate",
    "device_id",
    "started_at",
    "ended_at",
    "origin_poi_id",
    "destination_poi_id",
    "route_code",
    "purpose",
    "km_odometer",
    "km_gps",
    "km_measured",
    "km_method",
    "km_uncertainty",
    "coverage_pct",
    "evidence_grade",
    "source",
)
_RUN_FACTS = (
    "declared_run_id",
    "bulletin_number",
    "plate",
    "carrier_code",
    "declared_date",
    "started_at",
    "ended_at",
    "shift_code",
    "odometer_start_km",
    "odometer_end_km",
    "route_km",
    "declared_km",
    "passengers",
    "origin_code",
    "origin_text",
    "destination_code",
    "destination_text",
    "file_name",
    "row_number",
    "file_sha256",
)
_LEG_FACTS = (
    "leg_id",
    "trip_id",
    "started_at",
    "ended_at",
    "origin_address",
    "destination_address",
    "km_reported",
    "km_odometer",
    "km_gps",
    "source",
    "file_sha256",
    "row_number",
)
_CENT = Decimal("0.01")


def find(context: AuditDay) -> pd.DataFrame:
    """`fact.findings` of the day without the trace columns, sorted by its key."""
    return complete(context, [draft for rule in RULES.values() for draft in rule(context)])


def held_runs(context: AuditDay) -> pd.DataFrame:
    """`fact.held_runs` of the day without the trace columns: one row a run that no trip is linked to.

    brl_at_rate is null where no single rate would apply.
    """
    unlinked = presence.unlinked_runs(context)
    rates = context.run_rates.drop_duplicates("declared_run_id").set_index("declared_run_id")["rate_brl_per_km"]
    priced = multiply_brl(unlinked["declared_km"], rates.reindex(unlinked["declared_run_id"]).set_axis(unlinked.index))
    return conform(unlinked.assign(brl_at_rate=priced), HELD_RUNS.untraced)


def complete(context: Case, drafts: list[Draft]) -> pd.DataFrame:
    """Rows of `fact.findings` from drafts: ids, severity, cents at the rate, evidence, exceptions."""
    trips = context.trip_records({key for draft in drafts for key in (*draft.trip_ids, *draft.context_trip_ids)})
    runs = context.run_records({key for draft in drafts for key in (*draft.run_ids, *draft.context_run_ids)})
    legs = _legs_of(context, set(trips))
    rows = [_row(context, draft, trips, runs, legs) for draft in drafts]
    table = pd.DataFrame(rows, columns=[*rows[0]] if rows else [*_columns(), "route_code"])
    table["exception_id"] = applicable_exceptions(table, context.exceptions, context.day)
    table["status"] = np.where(table["exception_id"].notna(), "excepted", "open")
    return conform(table, FINDINGS.untraced)


def applicable_exceptions(findings: pd.DataFrame, exceptions: pd.DataFrame, day: dt.date) -> pd.Series:
    """exception_id that covers each finding of the day, the lowest of several; null where none does.

    Empty columns of an exception mean any; both dates are inclusive. A finding without a route is covered by
    exceptions of any route only.
    """
    starts, ends = as_days(exceptions["date_from"]), as_days(exceptions["date_to"])
    today = as_days(day)
    in_force = exceptions[(np.isnat(starts) | (starts <= today)) & (np.isnat(ends) | (today <= ends))]
    found = pd.Series([None] * len(findings), index=findings.index, dtype=object)
    for row in in_force.sort_values("exception_id", ascending=False).to_dict("records"):
        covers = np.ones(len(findings), dtype=bool)
        for name in ("rule_id", "plate", "carrier_code", "unit_code", "route_code"):
            if not pd.isna(row[name]):
                asked = normalise_plate(row[name]) if name == "plate" else row[name]
                covers &= (findings[name] == asked).to_numpy(dtype=bool)
        found[covers] = row["exception_id"]
    return found


def tested(context: AuditDay) -> pd.DataFrame:
    """rule_id, is_tested, reason_pt of every rule: one that lacks its data is not passed, it is not tested."""
    missing = {
        rule_id: [text for is_there, text in needs if not is_there] for rule_id, needs in _needs(context).items()
    }
    return pd.DataFrame(
        {
            "rule_id": list(REGISTRY),
            "is_tested": [not missing[rule_id] for rule_id in REGISTRY],
            "reason_pt": ["; ".join(missing[rule_id]) or "testada" for rule_id in REGISTRY],
        }
    )


def _needs(context: AuditDay) -> dict[str, list[tuple[bool, str]]]:
    day_runs, day_trips = context.of_day(context.runs), context.of_day(context.trips)
    runs = (len(day_runs) > 0, "nenhum boletim cobre o dia")
    trips = (len(day_trips) > 0, "nenhuma viagem medida no dia")
    watched = (len(context.spans) > 0, "nenhum veículo foi observado")
    positions = (coverage.has_positions(context), "nenhuma posição recebida")
    health = context.devices.health
    odometers = (bool((health["readings"] > 0).any()), "nenhum equipamento informou o hodômetro no dia")
    both = (
        bool(((health["readings"] > 0) & (health["located"] > 0)).any()),
        "nenhum equipamento informou hodômetro e posição no dia",
    )
    readings = day_runs[["odometer_start_km", "odometer_end_km"]].notna().all(axis=1)
    has_readings = (bool(readings.any()), "nenhuma ata traz KM SAÍDA e KM CHEGADA")
    return {
        "D01": [runs, trips],
        "D02": [runs, trips],
        "D04": [runs, trips],
        "D05": [runs, watched],
        "D06": [runs, positions],
        "D07": [runs, trips],
        "D08": [runs],
        "D10": [runs, has_readings, watched],
        "D11": [
            runs,
            (bool((readings & day_runs["route_km"].notna()).any()), "nenhuma ata traz KM ROTA e os dois hodômetros"),
        ],
        "D12": [runs, trips],
        "O01": [odometers],
        "O02": [odometers],
        "O03": [both],
        "O04": [both],
        "O05": [both, trips],
        "V01": [
            (len(context.vehicles) > 0, "nenhum veículo cadastrado"),
            (runs[0] or trips[0], "nenhuma operação no dia"),
        ],
        "V06": [runs, (bool(day_runs["passengers"].notna().any()), "nenhuma ata traz QTDE PESSOAS")],
        "K01": [trips, (len(context.costs) > 0, "nenhum custo calculado")],
        "G07": [(len(context.of_day(context.legs)) > 0, "nenhum movimento medido no dia")],
        "Q02": [
            positions,
            (len(valid_on(context.registered, context.day)) > 0, "nenhum equipamento cadastrado"),
        ],
        "Q04": [],
        "Q05": [(runs[0] or trips[0] or len(context.notes) > 0 or len(health) > 0, "nenhum arquivo cobre o dia")],
    }


def _row(
    context: Case, draft: Draft, trips: dict[str, Record], runs: dict[str, Record], legs: dict[str, list[Record]]
) -> Record:
    rule = context.registry[draft.rule_id]
    first_trip = trips.get(draft.trip_ids[0], {}) if draft.trip_ids else {}
    owner = context.owners.get(draft.plate or "", {})
    told = first_trip or (runs[draft.run_ids[0]] if draft.run_ids else {})
    return {
        "finding_id": stable_id(
            rule.rule_id, context.identity, draft.plate, *sorted(draft.trip_ids), "|", *draft.run_ids, "|", *draft.extra
        ),
        "operational_date": context.day,
        "rule_id": rule.rule_id,
        "rule_version": f"{rule.version}-{context.parameters.version}",
        "severity": draft.severity or rule.severity,
        "plate": draft.plate,
        "driver_id": first_trip.get("driver_id"),
        "carrier_code": _known(told.get("carrier_code")) or _known(owner.get("carrier_code")) or draft.carrier_code,
        "unit_code": _known(told.get("unit_code")) or _known(owner.get("unit_code")) or draft.unit_code,
        "trip_id": draft.trip_ids[0] if draft.trip_ids and not draft.is_vehicle_day else None,
        "declared_run_id": draft.run_ids[0] if draft.run_ids else None,
        "km_at_stake": draft.km_at_stake,
        "brl_at_stake": draft.brl_at_stake if draft.brl_at_stake is not None else _cents(draft.km_at_stake, draft.rate),
        "confidence": round(min(max(draft.confidence, 0.0), 1.0), 2),
        "evidence": _evidence(context, draft, trips, runs, legs),
        "explanation_pt": draft.explanation_pt,
        "route_code": first_trip.get("route_code"),
    }


def _columns() -> list[str]:
    return FINDINGS.untraced.column_names


def _cents(km: Decimal | None, rate: Decimal | None) -> Decimal | None:
    return None if km is None or rate is None else (km * rate).quantize(_CENT, rounding=ROUND_HALF_UP)


def _evidence(
    context: Case, draft: Draft, trips: dict[str, Record], runs: dict[str, Record], legs: dict[str, list[Record]]
) -> str:
    trip_ids, run_ids = (*draft.trip_ids, *draft.context_trip_ids), (*draft.run_ids, *draft.context_run_ids)
    document = {
        "trip_ids": list(draft.trip_ids),
        "declared_run_ids": list(draft.run_ids),
        **draft.facts,
        "trips": [_chosen(trips[key], _TRIP_FACTS) for key in trip_ids if key in trips],
        "declared_runs": [_chosen(runs[key], _RUN_FACTS) for key in run_ids if key in runs],
        "legs": [_chosen(leg, _LEG_FACTS) for key in trip_ids for leg in legs.get(key, ())],
        "thresholds": dict(draft.thresholds),
        "parameters_version": context.parameters.version,
        "proves": context.registry[draft.rule_id].proves_pt,
    }
    document = {name: _plain(value) for name, value in document.items()}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _legs_of(context: Case, trip_ids: set[str]) -> dict[str, list[Record]]:
    legs = context.legs[context.legs["trip_id"].isin(trip_ids)].sort_values(["started_at", "leg_id"])
    found: dict[str, list[Record]] = {}
    for leg in legs.to_dict("records"):
        found.setdefault(leg["trip_id"], []).append(leg)
    return found


def _chosen(record: Record, names: Iterable[str]) -> Record:
    """Those facts of a row that are known."""
    return {name: record[name] for name in names if name in record and _known(record[name]) is not None}


def _known(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value


def _plain(value: Any) -> Any:
    """A value as JSON has it: instants and days as ISO text, decimals as numbers, missing ones as null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if _known(value) is None:
        return None
    if isinstance(value, (dt.datetime, pd.Timestamp)):
        return pd.Timestamp(value).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value

"""Evidence of a finding: the ids, rows and thresholds that prove it, as JSON text.

Which trips and runs a finding names is decided by its rule.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.primitives.parameters import ParameterSet

TRIP_FACTS = (
    "trip_id",
    "plate",
    "device_id",
    "started_at",
    "ended_at",
    "origin_poi_id",
    "destination_poi_id",
    "origin_candidates",
    "destination_candidates",
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
RUN_FACTS = (
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


def evidence_of(
    draft: Draft,
    rule: Rule,
    parameters: ParameterSet,
    trips: dict[str, Record],
    runs: dict[str, Record],
    legs: dict[str, list[Record]],
) -> str:
    """The evidence of a finding as JSON text: ids, facts, rows of trips, runs and legs, thresholds, what it proves.

    A threshold that the draft states (a contract's own) holds before the parameter of the same name.
    """
    trip_ids, run_ids = (*draft.trip_ids, *draft.context_trip_ids), (*draft.run_ids, *draft.context_run_ids)
    document = {
        "trip_ids": list(draft.trip_ids),
        "declared_run_ids": list(draft.run_ids),
        **draft.facts,
        "trips": [_chosen(trips[key], TRIP_FACTS) for key in trip_ids if key in trips],
        "declared_runs": [_chosen(runs[key], RUN_FACTS) for key in run_ids if key in runs],
        "legs": [_chosen(leg, _LEG_FACTS) for key in trip_ids for leg in legs.get(key, ())],
        "thresholds": {name: getattr(parameters, name) for name in rule.parameters} | dict(draft.thresholds),
        "parameters_version": parameters.version,
        "proves": rule.proves_pt,
    }
    document = {name: _plain(value) for name, value in document.items()}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def plain_facts(record: Record, names: Iterable[str]) -> Record:
    """Those facts of a row that are known, as JSON has them: the shape in which evidence lists trips and runs."""
    return {name: _plain(value) for name, value in _chosen(record, names).items()}


def legs_of(legs: pd.DataFrame, trip_ids: set[str]) -> dict[str, list[Record]]:
    """Legs of the trips, in order of start, by trip_id."""
    legs = legs[legs["trip_id"].isin(trip_ids)].sort_values(["started_at", "leg_id"])
    found: dict[str, list[Record]] = {}
    for leg in legs.to_dict("records"):
        found.setdefault(leg["trip_id"], []).append(leg)
    return found


def _chosen(record: Record, names: Iterable[str]) -> Record:
    """Those facts of a row that are known."""
    return {name: record[name] for name in names if name in record and known(record[name]) is not None}


def known(value: Any) -> Any:
    """The value, or None where it is missing."""
    return None if value is None or pd.isna(value) else value


def _plain(value: Any) -> Any:
    """A value as JSON has it: instants and days as ISO text, decimals as numbers, missing ones as null."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if known(value) is None:
        return None
    if isinstance(value, (dt.datetime, pd.Timestamp)):
        return pd.Timestamp(value).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value

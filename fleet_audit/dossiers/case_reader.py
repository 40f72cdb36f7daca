"""Reads the case of one finding or trip from the stores, redacted for the carrier that it concerns.

The movement is read in `movement`, prices and clauses in `clauses`; documents are built in `reporting.documents`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from fleet_audit.dossiers.clauses import parameters_used, prices_of, terms_of
from fleet_audit.dossiers.movement import legs_of_trips, movement_of, received_rows
from fleet_audit.dossiers.vehicle_cycle import vehicle_cycle_of
from fleet_audit.errors import PermanentError
from fleet_audit.installation import Installation
from fleet_audit.logic.audit.evidence import RUN_FACTS, TRIP_FACTS, plain_facts
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.documents.case import Case
from fleet_audit.reporting.sections.inputs import names_of, records
from fleet_audit.reporting.sections.redaction import Others, masked_texts, without_others

_NAMED = ("units", "pois", "routes")  # reference tables with names written by people
_RUN_IDS = """
    select unnest(declared_run_ids) from fact.matches
    where operational_date between cast(:day as date) and cast(:day as date) + 2 and :trip_id = any(trip_ids)
"""  # a night's group is dated on a later day than its first trips
# A finding of a cycle is dated on the cycle's last day. Without days each dossier would read all findings of all years.
_FINDINGS_OF_TRIP = f"""
    select * from fact.findings
    where operational_date between cast(:day as date) - 1 and cast(:day as date) + 31
        and (trip_id = :trip_id or declared_run_id in ({_RUN_IDS}))
    order by severity, rule_id, finding_id
"""  # noqa: S608
_RUNS_OF_TRIP = f"""
    select * from fact.declared_runs where declared_run_id in ({_RUN_IDS}) order by started_at, declared_run_id
"""  # noqa: S608


def finding_case(stores: Installation, finding_id: str) -> Case:
    """All rows about a finding, without other carriers' rows where it names a carrier.

    Raises PermanentError: the finding does not exist.
    """
    sql = "select * from fact.findings where finding_id = :finding_id"
    found = stores.warehouse().read(sql, {"finding_id": finding_id})
    if found.empty:
        raise PermanentError(
            f"Finding {finding_id!r} does not exist; fact.findings.finding_id and the reports list all findings."
        )
    reference = stores.reference()
    others = _others(found, reference)
    (finding,) = records(without_others(found, others))
    evidence = json.loads(finding["evidence"])
    redacted = _redacted(reference, others)
    case = _case(stores, finding, evidence, redacted, others)
    return replace(
        case,
        finding=finding,
        parameters=parameters_used(evidence),
        vehicle_cycle=vehicle_cycle_of(stores, finding, redacted),
    )


def trip_case(stores: Installation, trip_id: str) -> Case:
    """All rows about a trip: its runs, legs, positions, price and findings, without other carriers' rows.

    Raises PermanentError: the trip does not exist.
    """
    warehouse = stores.warehouse()
    trips = warehouse.read("select * from fact.trips where trip_id = :trip_id", {"trip_id": trip_id})
    if trips.empty:
        raise PermanentError(
            f"Trip {trip_id!r} does not exist; fact.trips.trip_id and the sheet MEMÓRIA DE CÁLCULO list all trips."
        )
    (trip,) = records(trips)
    named = {"trip_id": trip_id, "day": trip["operational_date"]}
    findings, runs = warehouse.read(_FINDINGS_OF_TRIP, named), warehouse.read(_RUNS_OF_TRIP, named)
    evidence = {
        "trips": [plain_facts(trip, TRIP_FACTS)],
        "declared_runs": [plain_facts(run, RUN_FACTS) for run in records(runs)],
    }
    reference = stores.reference()
    others = _others(trips.assign(evidence="{}"), reference)
    findings = findings[findings["carrier_code"].isna() | (findings["carrier_code"] == trip["carrier_code"])]
    evidence = others.without(evidence)
    case = _case(stores, trip, evidence, _redacted(reference, others), others)
    return replace(
        case,
        findings=records(without_others(findings, others)),
        parameters=parameters_used({}, stores.parameters(trip["operational_date"])),
    )


def _case(
    stores: Installation, subject: Mapping[str, Any], evidence: Mapping[str, Any], reference: Reference, others: Others
) -> Case:
    """The case of a finding's or trip's row, still without what only one of both has."""
    day: dt.date = subject["operational_date"]
    places = names_of(reference.pois.drop_duplicates("poi_id", keep="last"), "poi_id")
    prices = prices_of(stores.warehouse(), evidence)
    every = legs_of_trips(stores.lake(), stores.warehouse(), evidence, places)
    legs = [leg for leg in map(others.without, every) if leg is not None]
    track = movement_of(stores.lake(), subject, evidence, legs, reference)
    received = [vars(row) for row in received_rows(stores, evidence, track, legs)]
    return Case(
        day,
        subject["plate"],
        evidence,
        track,
        legs=legs,
        places=places,
        received=others.without(received),
        prices=others.without(prices),
        terms=terms_of(subject, prices, reference),
        unit=names_of(reference.units, "unit_code").get(subject["unit_code"], subject["unit_code"]),
        carrier=names_of(reference.carriers, "carrier_code").get(subject["carrier_code"], subject["carrier_code"]),
    )


def _redacted(reference: Reference, others: Others) -> Reference:
    """The reference tables with names that people wrote masked."""
    tables = reference.tables()
    return reference.with_tables(
        **{name: tables[name].assign(name=masked_texts(tables[name]["name"], others)) for name in _NAMED}
    )


def _others(found: pd.DataFrame, reference: Reference) -> Others:
    """What the carrier of a finding or trip must not see; where it names no carrier only drivers' names are hidden."""
    code, vehicles = found["carrier_code"].iloc[0], reference.vehicles
    people = frozenset(reference.drivers["name"].dropna())
    if pd.isna(code):
        return Others(people=people)
    names = names_of(reference.carriers, "carrier_code")
    own_name = names.get(code, code)
    own_plates = {*vehicles.loc[(vehicles["carrier_code"] == code).fillna(False), "plate"], found["plate"].iloc[0]}
    plates = frozenset(set(vehicles["plate"]) - own_plates)
    evidence = json.loads(found["evidence"].iloc[0])
    ids = {
        row[name]
        for rows, name in (("trips", "trip_id"), ("declared_runs", "declared_run_id"))
        for row in evidence.get(rows, ())
        if row.get("plate") in plates
    }
    return Others(
        own=frozenset({code, own_name}),
        codes=frozenset(set(names) - {code}),
        names=frozenset(set(names.values()) - {own_name}),
        plates=plates,
        ids=frozenset(ids),
        people=people,
    )

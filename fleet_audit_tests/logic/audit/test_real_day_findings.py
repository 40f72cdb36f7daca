"""The real morning, from files to findings: the labelled discrepancies are found, and nobody else is accused."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import pandas as pd
import pytest

from fleet_audit.formats.parsed import Limits
from fleet_audit.formats.read import parse_file
from fleet_audit.logic.audit.day import AuditResult, DayInputs, audit_day
from fleet_audit.logic.devices.device_health import device_day
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.primitives.wall_clock import to_utc
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.model import Table
from fleet_audit_tests.logic.frames import REAL_DAY, needs_real_day, real_reference

DAY = dt.date(2025, 6, 10)
pytestmark = needs_real_day


def staged(kind: str, folder: str, table: Table) -> pd.DataFrame:
    [path] = (REAL_DAY / "inbox" / folder).iterdir()
    content = path.read_bytes()
    received_at = dt.datetime(2025, 6, 11, 8, tzinfo=dt.UTC)
    parsed = parse_file(kind, path.name, content, received_at=received_at, limits=Limits(), driver_key=b"key").rows
    zones = pd.Series("America/Sao_Paulo", index=parsed.index)
    instants = {
        utc: to_utc(parsed[wall], zones)
        for utc, wall in (
            ("started_at", "departed_local"),
            ("ended_at", "arrived_local"),
            ("next_departure_at", "next_departure_local"),
        )
        if wall in parsed
    }
    origin = {"date": DAY, "file_sha256": hashlib.sha256(content).hexdigest(), "file_name": path.name}
    return conform(parsed.assign(**instants, **origin), table)


@pytest.fixture(scope="module")
def result() -> AuditResult:
    ref = Reference.of(
        {
            table.name: real_reference(table)
            for table in reference.TABLES
            if (REAL_DAY / "inbox" / "reference" / f"{table.name}.csv").exists()
        }
    )
    legs = staged("visit_report", "visit_reports", lake.STAGING_VISIT_LEGS)
    runs = staged("bulletin", "bulletins", lake.STAGING_DECLARED_RUNS)
    window = build_window(DAY, empty_frame(lake.STAGING_POSITIONS), legs, ref, DEFAULT_PARAMETERS)
    notes = empty_frame(lake.STAGING_NOTES)
    devices = device_day(
        DAY, [PositionArrays.of_frame(empty_frame(lake.STAGING_POSITIONS))], window.trips, runs, ref, DEFAULT_PARAMETERS
    )
    inputs = DayInputs(DAY, window.trips, window.legs, window.spans, window.dwells, devices, runs, notes)
    return audit_day(inputs, ref, DEFAULT_PARAMETERS)


def test_what_was_seeded_is_found_and_follows_only_on_those_plates(result: AuditResult) -> None:
    seeded = {tuple(pair) for pair in json.loads((REAL_DAY / "expected.json").read_text())["findings"]}
    pairs = set(zip(result.findings["rule_id"], result.findings["plate"], strict=True))
    assert pairs == seeded | {
        ("D01", "RLL9I58"),  # KM ROTA 98 against 88.90 measured follows from D11
        ("D02", "LRC4A69"),
    }


def test_every_run_is_matched_but_the_phantom(result: AuditResult) -> None:
    assert result.matches["kind"].value_counts().to_dict() == {
        "one_to_one": 21,
        "split": 1,
        "declared_only": 1,
        "measured_only": 1,
    }
    assert result.held_runs[["plate", "reason"]].to_numpy().tolist() == [["KPU9A36", "phantom"]]


def test_what_positions_would_prove_is_not_tested(result: AuditResult) -> None:
    assert result.rules_not_tested["rule_id"].tolist() == [
        "D06",
        "G01",
        "G03",
        "G05",
        "G08",
        "O01",
        "O02",
        "O03",
        "O04",
        "O05",
        "O08",
        "Q02",
        "T04",  # the plan names no weekdays
    ]

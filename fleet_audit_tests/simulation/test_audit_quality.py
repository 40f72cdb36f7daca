"""The audit-quality report judges findings by what was driven, and counts what one vehicle causes once."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import fields
from pathlib import Path

import click
import pandas as pd
import pytest

from benchmarks.accuracy import read_outcomes, read_spoilt
from benchmarks.accuracy_figures import reliability
from benchmarks.accuracy_fleets import Outcome
from benchmarks.audited_fleet import AuditedDay
from benchmarks.comparison import Truth, judged
from benchmarks.doubt import SOUND, SPOILT, SPOILT_TRIPS, changed_trips
from benchmarks.finding_truth import true_by_road

ENDS = {"started_at": pd.Timestamp("2025-06-10T09:00Z"), "ended_at": pd.Timestamp("2025-06-10T10:00Z")}
TRIPS = pd.DataFrame([{"plate": "AAA1A11", **ENDS, "km": 30.0, "purpose": "service"}])
RUNS = pd.DataFrame([{"declared_run_id": "R", **ENDS}, {"declared_run_id": "N", **ENDS}]).assign(
    started_at=[ENDS["started_at"], pd.Timestamp("2025-06-10T20:00Z")],
    ended_at=[ENDS["ended_at"], pd.Timestamp("2025-06-10T21:00Z")],
)


def is_true(rule_id: str, declared_km: float, verdict: str, *, run: str = "R", seconds_off: int = 0) -> bool:
    off = pd.Timedelta(seconds=seconds_off)
    trip = {"plate": "AAA1A11", **{name: str(at + off) for name, at in ENDS.items()}}
    limits = {"trip_tolerance_pct": 10.0, "trip_tolerance_km": 1.0}
    evidence = json.dumps({"declared_km": declared_km, "trips": [trip], "thresholds": limits})
    row = {"rule_id": rule_id, "plate": "AAA1A11", "verdict": verdict, "evidence": evidence, "declared_run_id": run}
    [found] = true_by_road(pd.DataFrame([row]), TRIPS, RUNS, 0.0)
    return bool(found)


@pytest.mark.parametrize(
    ("rule_id", "declared_km", "is_beyond"),
    [("D01", 33.2, True), ("D01", 32.9, False), ("D01", 20.0, False), ("D04", 26.9, True), ("D04", 27.1, False)],
)
def test_a_difference_is_true_where_the_road_puts_it_beyond_the_tolerance(
    rule_id: str, declared_km: float, is_beyond: bool
) -> None:
    assert [is_true(rule_id, declared_km, verdict) for verdict in ("right", "unexplained")] == [is_beyond, is_beyond]


def test_where_the_road_is_unknown_the_label_decides() -> None:
    assert is_true("D01", 32.9, "follows", seconds_off=600)
    assert not is_true("D01", 33.2, "unexplained", seconds_off=600)


def test_a_run_without_a_trip_is_invented_where_nobody_drove() -> None:
    assert not is_true("D06", 30.0, "right")
    assert is_true("D06", 30.0, "right", run="N")


@pytest.mark.parametrize(("starts", "plates", "is_found"), [
    ("09:00:02", "AAA1A11 e BBB2B22", True),  # begun within seconds: either may be measured as the later one
    ("09:20:00", "AAA1A11 e BBB2B22", False),
    ("09:00:02", "CCC3C33 e BBB2B22", False),
])  # fmt: skip
def test_of_one_driver_on_two_vehicles_that_start_together_either_is_right(
    starts: str, plates: str, is_found: bool
) -> None:
    day, start = dt.date(2025, 6, 10), ENDS["started_at"]
    named = {"rule_id": "T02", "plate": "AAA1A11", "operational_date": day, "reference": str(start), **ENDS}
    label = pd.DataFrame([{**named, "reference": start.strftime("%Y-%m-%dT%H:%M:%SZ")}])
    none = pd.DataFrame(columns=["trap", *label])
    finding = {"finding_id": "F", "rule_id": "T02", "plate": "BBB2B22", "operational_date": day, "cycle_start": None}
    finding |= {"declared_run_id": None, "trip_id": "B", "evidence": "", "explanation_pt": f"No veículo {plates}."}
    begun = pd.Timestamp(f"2025-06-10T{starts}Z")
    made = dict.fromkeys((field.name for field in fields(AuditedDay)), None)
    audited = AuditedDay(**{
        **made,
        "findings": pd.DataFrame([finding]),
        "runs": pd.DataFrame(columns=["declared_run_id", "bulletin_number"]),
        "trips": pd.DataFrame([{"trip_id": "B", "started_at": begun}]),
        "untested": {},
    })  # fmt: skip
    labels, findings = judged(Truth(TRIPS, none, label, none), {day: audited}, [], pd.DataFrame(columns=[*finding]))
    assert labels["is_found"].tolist() == [is_found]
    assert findings["verdict"].tolist() == ["right" if is_found else "unexplained"]


def test_what_one_vehicle_causes_counts_once() -> None:
    one = pd.DataFrame({"plate": ["HABIT"] * 46, "confidence": 0.75, "is_true": True})
    others = pd.DataFrame(
        {"plate": [f"V{n}" for n in range(40)], "confidence": 0.75, "is_true": [True, True, False, True] * 10}
    )
    bucket = reliability(pd.concat([one, others]).assign(fleet="f", rule_id="D01")).iloc[0]
    assert (bucket["n"], bucket["vehicles"], bucket["verdict"]) == (86, 41, "within")
    assert bucket["share"] == pytest.approx(31 / 41)
    assert bucket["all_share"] == pytest.approx(76 / 86)


def test_an_outcome_of_an_older_version_is_refused_with_the_folder_to_delete(tmp_path: Path) -> None:
    nothing = pd.DataFrame()
    Outcome({"name": "old", "seed": 7, "processor_s": 1.0}, nothing, nothing, nothing, nothing).write(tmp_path / "old")
    with pytest.raises(click.ClickException, match=r"old/facts.json is of an older version and lacks .*measured_on"):
        read_outcomes(tmp_path)


def test_trips_of_spoilt_devices_are_read_once_per_seed(tmp_path: Path) -> None:
    trips = pd.DataFrame({"plate": ["AAA1A11"], "seed": [142031]})
    for name in (SPOILT_TRIPS, f"142031_{SPOILT_TRIPS}"):  # the first is that of an older version
        trips.to_parquet(tmp_path / name)
    assert len(read_spoilt(tmp_path)) == 1


def test_a_report_counts_only_where_what_it_prints_is_spoilt() -> None:
    trips = pd.DataFrame({"method": ["odometer", "report"]})
    with_report = {name for name, how in SPOILT.items() if "report" in set(changed_trips(trips, how)["method"])}
    assert with_report == {SOUND, "whole km", "odometer × 1.04"}
    assert all("odometer" in set(changed_trips(trips, how)["method"]) for how in SPOILT.values())

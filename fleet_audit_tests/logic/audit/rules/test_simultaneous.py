"""T01 and T02: one vehicle, or one driver, in two places at once; honest near misses and missing data beside each."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.schema import lake
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    audit,
    devices_of,
    found,
    reasons_not_tested,
    run,
    trip,
    visit_leg,
)
from fleet_audit_tests.logic.frames import rows


def reported(*legs: dict) -> list[dict]:
    trips = [trip(leg["trip_id"], "06:00", "07:00", source="visit_report", evidence_grade="C") for leg in legs]
    return found(audit(trips, [], [], legs=rows(lake.LEGS, *legs)), "T01")


def test_t01_one_report_with_two_movements_of_one_bus_at_once() -> None:
    [finding] = reported(
        visit_leg("A", "06:00", "07:00", 30.0),
        visit_leg("B", "06:30", "07:30", 20.0, origin_address="Vila", row_number=9),
    )
    assert (finding["severity"], finding["confidence"], finding["trip_id"]) == ("C", 0.99, "B")
    # Half an hour in common: 15 km by the one, 10 km by the other; the vehicle drove one of them.
    assert (finding["km_at_stake"], finding["paid_doubtful_brl"]) == (Decimal("10.00"), Decimal("49.00"))
    assert "das 06:00 às 07:00 (Garagem a Usina)" in finding["explanation_pt"]
    assert "das 06:30 às 07:30 (Vila a Usina), com 30 min em comum" in finding["explanation_pt"]
    assert [movement["row_number"] for movement in finding["evidence"]["movements"]] == [8, 9]


@pytest.mark.parametrize(
    "second",
    [
        {"start": "07:00", "end": "08:00"},
        {"start": "06:59", "end": "08:00"},  # a report that rounds to the minute
        {"start": "06:30", "end": "07:30", "superseded_by_trip_id": "P"},
        {"start": "06:30", "end": "07:30", "plate": OTHER},
        {"start": "06:30", "end": "07:30", "km": 0.0},
    ],
    ids=["one after the other", "one minute", "measured by positions", "two vehicles", "no movement"],
)
def test_t01_honest_movements(second: dict) -> None:
    assert not reported(visit_leg("A", "06:00", "07:00"), visit_leg("B", **second))


@pytest.mark.parametrize("other", [{"device_id": "D2"}, {"file_sha256": "b" * 64}], ids=["two devices", "two files"])
def test_t01_two_sources_of_one_vehicle_are_a_doubt(other: dict) -> None:
    [finding] = reported(visit_leg("A", "06:00", "07:00"), visit_leg("B", "06:45", "07:30", **other))
    assert (finding["severity"], finding["confidence"]) == ("M", 0.5)
    assert "equipamentos ou de arquivos diferentes" in finding["explanation_pt"]


def readings(start: int, end: int) -> dict:
    return {"odometer_start_km": str(start), "odometer_end_km": str(end)}


def test_t01_two_declared_runs_at_once_have_no_amount_of_their_own() -> None:
    runs = [run("1", "06:00", "07:00", **readings(100, 130)), run("2", "06:20", "07:10", **readings(110, 140))]
    [finding] = found(audit([trip("T", "06:00", "07:05")], runs), "T01")
    assert (finding["severity"], finding["declared_run_id"]) == ("C", "2")
    assert pd.isna(finding["paid_doubtful_brl"])
    assert "A ata 1 e a ata 2 declaram o veículo AAA1A11 em duas corridas ao mesmo tempo" in finding["explanation_pt"]
    assert "com 40 min em comum" in finding["explanation_pt"]
    assert len(finding["evidence"]["declared_runs"]) == 2


@pytest.mark.parametrize(
    ("trips", "second"),
    [
        ([], {"start": "06:55", "end": "07:40", **readings(130, 160)}),
        ([], {"start": "06:01", "end": "07:00", "origin_text": "ORIGEM 1", **readings(100, 130)}),
        ([], {"start": "06:30", "end": "07:40", "bulletin_number": "1"}),
        ([], {"start": "06:30", "end": "07:40", "plate": OTHER}),
        (
            [trip("T", "06:00", "06:28"), trip("U", "06:32", "07:00")],
            {"start": "06:15", "end": "07:00", **readings(130, 160)},
        ),
    ],
    ids=["written five minutes wrong", "the same run twice", "two versions of one number", "two vehicles", "two trips"],
)
def test_t01_honest_bulletins(trips: list[dict], second: dict) -> None:
    end = "06:40" if trips else "07:00"
    first = run("1", "06:00", end, "15" if trips else "30", **readings(100, 130))
    assert not found(audit(trips, [first, run("2", **second)]), "T01")


@pytest.mark.parametrize(("number", "is_two_runs"), [("1", True), ("7001", False)])
def test_t01_equal_numbers_of_two_years_are_two_runs_where_the_carrier_begins_again(number: str, is_two_runs: bool):
    first = run("R1", "06:00", "07:00", bulletin_number=number, declared_date=dt.date(2024, 12, 31))
    second = run("R2", "06:30", "07:40", bulletin_number=number)
    assert bool(found(audit([], [first, second]), "T01")) == is_two_runs


def test_t01_an_arrival_of_another_hour_is_a_typo() -> None:
    """20 km in nine hours: the arrival is wrong, and the runs of the day did not take place inside it."""
    runs = [run("1", "06:00", "15:00", "20"), run("2", "08:00", "09:00", "20"), run("3", "12:00", "13:00", "20")]
    assert not found(audit([], runs), "T01")


def test_t01_is_not_tested_where_positions_alone_see_the_fleet() -> None:
    assert "T01" in reasons_not_tested(audit([trip("T", "06:00", "07:00")], []), "T01")


def driven(*trips: dict, **more: object) -> list[dict]:
    return found(audit(list(trips), [], **more), "T02")


def test_t02_one_driver_on_two_buses_on_the_plate_that_starts_later() -> None:
    first = trip("A", "06:00", "07:00", driver_id="M1", coverage_pct="95", plate=OTHER)
    [finding] = driven(first, trip("B", "06:45", "07:45", driver_id="M1", coverage_pct="95"))
    assert (finding["plate"], finding["trip_id"], finding["severity"]) == (PLATE, "B", "H")
    assert finding["driver_id"] == "M1"
    assert (finding["km_at_stake"], finding["paid_doubtful_brl"]) == (Decimal("7.50"), Decimal("36.75"))
    assert "no veículo BBB2B22 em 10/06/2025, das 06:00 às 07:00" in finding["explanation_pt"]
    assert {row["trip_id"] for row in finding["evidence"]["trips"]} == {"A", "B"}
    assert finding["evidence"]["trip_ids"] == ["B"]  # the other vehicle's score is not touched


@pytest.mark.parametrize(
    "second",
    [
        {"start": "07:01", "end": "08:00"},
        {"start": "06:59", "end": "08:00"},
        {"start": "06:30", "end": "08:00", "driver_id": "M2"},
        {"start": "06:30", "end": "08:00", "driver_id": None},
        {"start": "06:30", "end": "08:00", "plate": OTHER},
        {"start": "06:52", "end": "08:00", "coverage_pct": "20"},
        {"start": "06:50", "end": "06:58", "purpose": "yard"},
        {"start": "06:30", "end": "08:00", "day": DAY.replace(day=11)},
    ],
    ids=["after", "one minute", "another driver", "no driver", "one bus", "a position every 5 min", "yard", "next day"],
)
def test_t02_honest_drivers(second: dict) -> None:
    usual = {"driver_id": "M1", "coverage_pct": "95"}
    assert not driven(trip("A", "06:00", "07:00", plate=OTHER, **usual), trip("B", **{**usual, **second}))


def test_t02_a_wrong_clock_proves_nothing() -> None:
    trips = [
        trip("A", "06:00", "07:00", driver_id="M1", coverage_pct="95", plate=OTHER),
        trip("B", "06:30", "07:30", driver_id="M1", coverage_pct="95"),
    ]
    shifted = devices_of([], [{"device_id": "D1", "issues": ["clock_shift"]}])
    assert not driven(*trips, devices=shifted)
    reasons = reasons_not_tested(audit(trips, [], devices=shifted), "T02")
    assert f"({PLATE}): o equipamento tem o relógio fora de hora" in reasons["T02"]


def test_t02_an_identification_on_three_buses_at_once_accuses_nobody() -> None:
    trips = [
        trip(plate, "06:00", "07:00", driver_id="0", coverage_pct="95", plate=plate)
        for plate in (PLATE, OTHER, "CCC3C33")
    ]
    [finding] = driven(*trips)
    assert (finding["severity"], finding["confidence"]) == ("L", 0.3)
    assert pd.isna(finding["paid_doubtful_brl"])
    assert finding["evidence"]["trip_ids"] == []
    assert "em 3 veículos ao mesmo tempo" in finding["explanation_pt"]


def test_t02_is_not_tested_where_no_source_names_drivers() -> None:
    assert "T02" in reasons_not_tested(audit([trip("T", "06:00", "07:00")], []), "T02")

"""Odometers that count in steps of 5 km: what they are off by is stated, and nothing is counted twice."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from fleet_audit_tests.logic.driving import MILL, Bus, trips_of


def shuttle(every: float, *, missed_at_km: float = math.inf) -> Bus:
    """Eight trips of 20 km at 35 to 49 km/h, whose odometer counts each full 5 km, but not those at `missed_at_km`."""
    bus = Bus("04:00", odometer_km=0.0, resolution_km=0.001).park(1800)
    for number in range(8):
        bus.go(MILL if number % 2 == 0 else -MILL, 35 + 2 * number, every).park(1500)
    for record in bus.records:
        driven = float(record["odometer_km"]) + 2.3  # type: ignore[arg-type]
        counted = 5 * math.floor(driven / 5) - (5 if driven >= missed_at_km else 0)
        record["odometer_km"] = 1000.3 + counted
    return bus


def errors_km(trips: pd.DataFrame) -> pd.Series:
    return (trips["km"] - 20).abs() - trips["km_uncertainty"].astype(float)


@pytest.mark.parametrize("every", [300, 600, 900])
@pytest.mark.parametrize("missed_at_km", [math.inf, 50, 75])
def test_rare_readings_of_an_odometer_that_counts_in_steps_hold_the_road(every: float, missed_at_km: float) -> None:
    """Where one step of 5 km is missing, the chords state what the odometer lacks."""
    trips = trips_of(shuttle(every, missed_at_km=missed_at_km))
    assert len(trips) == 8
    assert errors_km(trips).max() <= 0.005
    assert trips["km"].sum() == pytest.approx(160 - (5 if missed_at_km < 160 else 0), abs=5)


def test_frequent_positions_measure_what_an_odometer_shows_in_steps_of_5_km() -> None:
    trips = trips_of(shuttle(30))
    assert set(trips["km_method"]) == {"gps"}
    assert trips["km"].to_numpy() == pytest.approx(20.0, abs=0.1)


def test_a_way_shorter_than_the_step_of_its_odometer_is_measured_by_its_chords() -> None:
    bus = shuttle(300)
    shown = bus.records[-1]["odometer_km"]
    end = len(bus.records)
    bus.go(3000, 40, 300).park(1500)
    for record in bus.records[end:]:
        record["odometer_km"] = shown
    trip = trips_of(bus).iloc[-1]
    assert (trip["km_method"], trip["km"]) == ("gps", pytest.approx(3.0, abs=0.01))

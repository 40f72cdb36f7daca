"""Odometers that count in steps of 5 km: what they are off by is stated, and nothing is counted twice."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fleet_audit_tests.logic.driving import MILL, Bus, segmented, trips_of
from fleet_audit_tests.logic.trips.test_faulty_devices import events


def shuttle(every: float, *, missed_at_km: float = math.inf, leg_m: float = MILL, legs: int = 8) -> Bus:
    """Trips of 20 km at 35 km/h and more, whose odometer counts each full 5 km, but not those at `missed_at_km`."""
    bus = Bus("04:00", odometer_km=0.0, resolution_km=0.001).park(1800)
    for number in range(legs):
        bus.go(leg_m if number % 2 == 0 else -leg_m, 35 + 2 * number, every).park(1500)
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


def read_at_halts(leg_m: float, every: float, resolution_km: float) -> Bus:
    """Ten legs of one length; the odometer is read where the vehicle has stood for 30 s, and repeated on the way."""
    bus = Bus("04:00", odometer_km=1000.33, resolution_km=resolution_km).park(1800)
    for number in range(10):
        bus.go(leg_m if number % 2 == 0 else -leg_m, 40, every).stand(60).park(1500)
    shown = bus.records[0]["odometer_km"]
    for record in bus.records:
        shown = record["odometer_km"] if not record["speed_kmh"] else shown
        record["odometer_km"] = shown
    return bus


def dies(bus: Bus, share: float) -> Bus:
    """The odometer stands from a share of the records on."""
    first = int(len(bus.records) * share)
    for record in bus.records[first:]:
        record["odometer_km"] = bus.records[first]["odometer_km"]
    return bus


@pytest.mark.parametrize(("leg_m", "resolution_km"), [(8000, 0.1), (10_000, 1.0)])
@pytest.mark.parametrize("every", [30, 300])
def test_equal_legs_of_an_odometer_that_is_read_at_halts_make_no_step(
    leg_m: float, resolution_km: float, every: float
) -> None:
    """Their length is the difference of all readings, and no odometer's step: km 0, 16, 0, 16 were paid of 8 each."""
    trips = trips_of(read_at_halts(leg_m, every, resolution_km))
    assert trips["km"].to_numpy() == pytest.approx([leg_m / 1000] * 10, abs=0.2)
    assert (trips["odometer_resolution_km"] == resolution_km).all()
    assert events(dies(read_at_halts(leg_m, every, resolution_km), 0.6)) == ["frozen"]


@pytest.mark.parametrize("every", [30, 60])
@pytest.mark.parametrize("seed", [5, 7])
def test_a_step_that_is_counted_on_a_slow_departure_accuses_nobody(every: float, seed: int) -> None:
    """16 trips, each with its first 150 m at 9 km/h: as long within 150 m as a halt, which refuted the step."""
    chance, bus = np.random.default_rng(seed), Bus("04:00", odometer_km=0.0, resolution_km=0.001).park(1800)
    for number in range(16):
        north = 1 if number % 2 == 0 else -1
        bus.go(150 * north, 9, every).go(float(chance.uniform(8000, 24_000)) * north, 45, every).stand(300).park(900)
    first_km = float(chance.uniform(0, 5))
    for record in bus.records:
        driven_km = first_km + float(record["odometer_km"])  # type: ignore[arg-type]
        record["odometer_km"] = 1000.3 + 5 * math.floor(driven_km / 5)
    assert segmented(bus).tracks.counting_step_km == pytest.approx([5])
    assert events(bus) == []


@pytest.mark.parametrize("every", [30, 60, 300])
def test_an_odometer_that_counts_in_steps_and_dies_is_frozen(every: float) -> None:
    assert events(shuttle(every)) == []
    bus = dies(shuttle(every), 0.5)
    assert events(bus) == ["frozen"]
    assert errors_km(trips_of(bus)).max() <= 0.005


@pytest.mark.parametrize("leg_m", [3000, 8000, 13_000])
def test_the_first_reading_of_a_window_which_is_up_to_a_step_old_measures_no_trip(leg_m: float) -> None:
    trips = trips_of(shuttle(30, leg_m=leg_m))
    assert trips["km"].to_numpy() == pytest.approx([leg_m / 1000] * 8, abs=0.1)


def test_a_trip_over_which_an_odometer_that_counts_in_steps_counted_nothing_is_measured_by_its_chords() -> None:
    """5.2 km a leg: a dead odometer of 5 km is within its doubt of them, and would measure 0."""
    trips = trips_of(dies(shuttle(300, leg_m=5200, legs=12), 0.5)).iloc[-5:]
    assert set(trips["km_method"]) == {"gps"}
    assert trips["km"].to_numpy() == pytest.approx([5.2] * 5, abs=0.05)

"""Where a vehicle-day's odometer went: what a ledger adds up to, and what it leaves open."""

import datetime as dt
from collections.abc import Mapping

import pandas as pd
import pytest
from hypothesis import given, settings

from fleet_audit.logic.trips.day_window import DayWindow
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.driving import (
    DAY,
    FRONT,
    GARAGE,
    MILL,
    NO_SHRINKING,
    NOWHERE,
    PLATE,
    WORKSHOP,
    Bus,
    at,
    fleets,
    registered,
    reported,
    window,
    world,
)

KM = ["service_km", "deadhead_km", "maintenance_km", "yard_km", "unknown_km", "gap_km"]


def ledger_of(seen: DayWindow, day: dt.date = DAY, tables: Mapping | None = None) -> pd.DataFrame:
    tables = tables or world()
    own = conform(seen.trips[seen.trips["operational_date"] == day], facts.TRIP_WINDOW)
    vehicles = tables.vehicles_on(day)
    spans = conform(seen.spans, lake.OBSERVED_SPANS)
    return km_ledger(day, own, conform(seen.readings, lake.READINGS), spans, vehicles).set_index("plate")


def ledger(bus: Bus, day: dt.date = DAY) -> pd.Series:
    return ledger_of(window(bus, day=day), day).loc[PLATE]


def floats(row: pd.Series, names: list[str] = KM) -> dict[str, float]:
    return {name: float(row[name]) for name in names if row[name]}


def test_a_day_is_split_by_purpose_and_balances() -> None:
    bus = Bus().park(1800).to(MILL).park(1800).to(GARAGE).park(1800).to(WORKSHOP).park(3600).to(FRONT).park(1800)
    row = ledger(bus)
    assert floats(row) == {"service_km": 40.0, "maintenance_km": 80.0}
    assert (float(row["odometer_delta_km"]), float(row["residual_km"]), row["is_balanced"]) == (120.0, 0.0, True)


@pytest.mark.parametrize("is_first_half", [False, True], ids=["stops", "begins"])
def test_an_odometer_that_reads_a_part_of_a_day_leaves_the_day_unknown(is_first_half: bool) -> None:
    bus = Bus().park(1800).to(MILL).park(1800)
    middle = len(bus.records)
    bus.to(GARAGE).park(1800)
    for record in bus.records[:middle] if is_first_half else bus.records[middle:]:
        record["odometer_km"] = None
    row = ledger(bus)
    assert float(row["service_km"]) == pytest.approx(40.0, abs=0.3)
    assert row[["odometer_delta_km", "residual_km", "is_balanced"]].isna().all()


def test_an_odometer_that_misses_the_last_minutes_of_a_day_leaves_it_unknown() -> None:
    bus = Bus().park(1800).to(MILL).park(1800).to(GARAGE)
    last_s = bus.records[-1]["recorded_at"] - 570
    for record in bus.park(1800).records:
        if record["recorded_at"] > last_s:
            record["odometer_km"] = None
    assert ledger(bus)[["odometer_delta_km", "residual_km", "is_balanced"]].isna().all()


def test_a_day_on_which_the_odometer_stood_between_rare_positions_is_shown_as_unbalanced() -> None:
    bus = Bus().park(1800).go(MILL, 30, 300).park(1800).go(-MILL, 30, 300).park(1800)
    for record in bus.records:
        record["odometer_km"] = 1000.3
    row = ledger(bus)
    assert floats(row) == {"service_km": pytest.approx(40.0, abs=0.01)}
    assert (float(row["odometer_delta_km"]), row["is_balanced"]) == (0.0, False)
    assert float(row["residual_km"]) == pytest.approx(-40.0, abs=0.01)


def test_what_the_odometer_counted_in_a_gap_that_splits_is_gap() -> None:
    row = ledger(Bus().park(1800).to(NOWHERE).unseen(3700, MILL - NOWHERE).park(1800))
    assert floats(row) == {"unknown_km": 10.0, "gap_km": 10.0}
    assert row["is_balanced"]


def test_what_the_odometer_counted_at_one_place_in_hours_of_silence_is_gap_too() -> None:
    bus = Bus().park(1800)
    bus.driven_m += 30_000
    row = ledger(bus.unseen(2 * 3600).park(1800))
    assert floats(row) == {"gap_km": 30.0}
    assert row["is_balanced"]


def test_small_movements_about_the_yard_are_yard() -> None:
    bus = Bus().park(1800)
    for _ in range(3):
        bus.go(100, kmh=10).stand(300).go(-100, kmh=10).park(3600)
    row = ledger(bus)
    assert floats(row) == {"yard_km": pytest.approx(0.6)}
    assert row["is_balanced"]


def test_an_odometer_that_counts_while_the_device_stands_is_not_explained_away() -> None:
    """The device off the bus: 20 km by odometer, reported every minute from one place that varies by its noise."""
    bus = Bus().park(1800)
    for minute in range(20):
        bus.driven_m += 1000
        bus.seconds += 60
        bus.report(off_m=5.0 * (-1) ** minute)
    row = ledger(bus.park(1800))
    assert float(row["residual_km"]) == pytest.approx(20.0, abs=1.1)
    assert not row["is_balanced"]


def test_a_reset_is_counted_in_pieces() -> None:
    bus = Bus(odometer_km=5000.0).park(1800).to(MILL).park(1800)
    bus.start_km -= 5020.0
    row = ledger(bus.park(1800).to(GARAGE).park(1800))
    assert (float(row["odometer_delta_km"]), float(row["service_km"])) == (40.0, 40.0)
    assert row["is_balanced"]


def test_a_device_swap_does_not_compare_two_odometers() -> None:
    devices = (
        {"device_id": "D1", "plate": PLATE, "valid_to": DAY - dt.timedelta(days=1)},
        {"device_id": "D9", "plate": PLATE, "valid_from": DAY},
    )
    old = Bus(at("12:00") - 86_400).park(12 * 3600)
    new = Bus("00:00", odometer_km=90_000.0, device="D9").park(6 * 3600).to(MILL).park(3600)
    seen = window(pd.concat([old.positions(), new.positions()]), tables=world(*devices))
    row = ledger_of(seen).loc[PLATE]
    assert (float(row["odometer_delta_km"]), row["is_balanced"]) == (20.0, True)


def test_a_trip_over_midnight_is_in_the_ledger_of_its_first_day_alone() -> None:
    bus = Bus("22:00").park(6600).to(MILL, kmh=20).park(5 * 3600).to(GARAGE).park(20 * 3600)
    first, second = ledger(bus), ledger(bus, DAY + dt.timedelta(days=1))
    assert [float(row["odometer_delta_km"]) for row in (first, second)] == [20.0, 20.0]
    assert first["is_balanced"]
    assert second["is_balanced"]


def test_the_end_of_a_trip_beyond_the_window_of_its_day_is_residual_of_the_day_on_which_it_was_driven() -> None:
    """26 h without a stop, 1,040 km: the 10th counts until the midnight that ends the 11th, the 12th has 40 km left."""
    bus = Bus("22:00").park(3600).go(26 * 40_000, kmh=40).park(1800)
    first, second, third = (ledger(bus, DAY + dt.timedelta(days=offset)) for offset in range(3))
    assert (float(first["odometer_delta_km"]), first["is_balanced"]) == (pytest.approx(1000, abs=1), True)
    assert pd.isna(second["odometer_delta_km"])
    assert float(third["odometer_delta_km"]) == pytest.approx(40, abs=1)
    assert (float(third["residual_km"]), third["is_balanced"]) == (pytest.approx(40, abs=1), False)


def test_a_day_without_data_is_null_even_when_the_days_around_it_are_seen() -> None:
    bus = Bus(at("00:00") - 86_400).park(86_000).unseen(87_000).park(3600)
    row = ledger(bus)
    assert row[[*KM, "odometer_delta_km", "residual_km", "uncertainty_km", "is_balanced"]].isna().all()


def test_a_parked_day_is_zero_and_balanced() -> None:
    row = ledger(Bus("00:00").park(86_000))
    assert floats(row) == {}
    assert row["is_balanced"]


@settings(NO_SHRINKING, max_examples=8)
@given(fleets())
def test_a_ledger_of_clean_tracks_balances(buses: list[Bus]) -> None:
    tables = world(*registered(buses))
    for day in (DAY, DAY + dt.timedelta(days=1)):
        table = ledger_of(window(reported(buses), day=day, tables=tables), day, tables)
        assert table.loc[~table["is_balanced"].fillna(True).astype(bool)].empty
        assert table["is_balanced"].notna().any() or day != DAY
        assert (table["odometer_delta_km"] == table[[*KM, "residual_km"]].sum(axis=1)).all()  # as printed


def test_what_is_printed_adds_up_where_each_part_was_rounded() -> None:
    """Movements of 0.155 and 0.300 km are printed as 0.16 and 0.30, and the odometer counted 0.455: 0.46."""
    bus = Bus(resolution_km=0.001).park(1800).go(155, kmh=20, every=5).park(1800).go(-300, kmh=20, every=5).park(1800)
    row = ledger(bus)
    assert sum(row[KM]) + row["residual_km"] == row["odometer_delta_km"]

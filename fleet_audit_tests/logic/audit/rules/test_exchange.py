"""O08 on buses that drive: devices exchanged without and with a registered move, equal odometers, a lone vehicle."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from fleet_audit.logic.devices.device_health import device_day
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    audit,
    devices_of,
    found,
    reasons_not_tested,
    run,
    span,
)
from fleet_audit_tests.logic.driving import FRONT, GARAGE, MILL, Bus, staged, world
from fleet_audit_tests.logic.frames import rows

REGISTERED = ({"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": OTHER})


def day_of(*buses: Bus, registered: tuple[dict, ...] = REGISTERED):
    """The audit's inputs of a day on which these buses reported."""
    positions, tables = staged([record for bus in buses for record in bus.records]), world(*registered)
    trips, runs = empty_frame(facts.TRIP_WINDOW), empty_frame(lake.STAGING_DECLARED_RUNS)
    devices = device_day(DAY, [PositionArrays.of_frame(positions)], trips, runs, tables, DEFAULT_PARAMETERS)
    devices = replace(devices, events=conform(devices.events, lake.ODOMETER_EVENTS))
    return audit([], [], devices=devices, registered=rows(reference.DEVICES, *registered))


def at_work(device: str, odometer_km: float) -> Bus:
    return Bus("05:00", GARAGE, odometer_km=odometer_km, device=device).park(1800).to(MILL).park(2400)


def exchanged() -> tuple[Bus, Bus]:
    """Two buses that exchange their devices while they stand at the mill, and drive on."""
    buses = at_work("D1", 1_000.0), at_work("D2", 61_000.0)
    for bus, device in zip(buses, ("D2", "D1"), strict=True):
        bus.device = device
        bus.unseen(900).to(FRONT).park(2400)
    return buses


def test_both_plates_of_an_exchange_are_named_with_both_readings():
    first, second = found(day_of(*exchanged()), "O08")
    assert (first["plate"], second["plate"], first["severity"], first["confidence"]) == (PLATE, OTHER, "H", 0.99)
    [event] = first["evidence"]["events"]
    assert event["odometer_from_km"] == pytest.approx(1020, abs=0.2)
    assert event["odometer_to_km"] == pytest.approx(61_020, abs=0.2)
    assert (event["continued_plate"], event["continued_device_id"]) == (OTHER, "D2")
    assert event["continued_km"] == pytest.approx(61_020, abs=0.2)
    assert first["evidence"]["other_plate"] == OTHER
    assert {row["plate"] for row in first["evidence"]["registered_devices"]} == {PLATE, OTHER}
    assert f"continua o do veículo {OTHER}, que marcava 61.0" in first["explanation_pt"]
    assert pd.isna(first["km_at_stake"])  # the km of whole trips were driven, by the other bus


def test_a_registered_move_explains_an_exchange():
    moves = ({"device_id": "D1", "plate": OTHER, "valid_from": "2025-06-11"},
             {"device_id": "D2", "plate": PLATE, "valid_from": "2025-06-11"})  # fmt: skip
    until = [{**row, "valid_to": "2025-06-10"} for row in REGISTERED]
    context = day_of(*exchanged(), registered=(*until, *moves))
    assert not context.devices.events.empty
    assert not found(context, "O08")


def test_a_reading_of_a_vehicle_that_counts_on_itself_is_no_exchange():
    fallen, sound = at_work("D1", 61_030.0), at_work("D2", 1_000.0)
    fallen.start_km -= 60_030  # turned back to what the other one happens to read
    for bus in (fallen, sound):
        bus.stand(60).to(FRONT).park(2400)
    context = day_of(fallen, sound)
    assert found(context, "O01")
    assert not found(context, "O08")


def test_a_vehicle_whose_partner_falls_silent_is_doubtful():
    first, second = at_work("D1", 1_000.0), at_work("D2", 61_000.0)
    second.device = "D1"
    second.unseen(900).to(FRONT).park(2400)
    [finding] = found(day_of(first, second), "O08")
    assert (finding["plate"], finding["confidence"]) == (PLATE, 0.96)
    assert "por sua vez" not in finding["explanation_pt"]


@pytest.mark.parametrize("to_km", [1_023.0, 0.0])
def test_a_reading_further_away_and_one_near_zero_continue_nothing(to_km: float):
    first, second = at_work("D1", 61_000.0), at_work("D2", max(to_km, 3.0) - 20)
    first.start_km += 1_020.0 + (0 if to_km else -1_020.0) - 61_020.0
    first.stand(60).to(FRONT)
    assert not found(day_of(first, second), "O08")


def test_one_vehicle_alone_is_not_tested():
    untested = reasons_not_tested(day_of(at_work("D1", 1_000.0)), "O08")
    assert "só um veículo" in untested["O08"]


def test_a_run_of_a_bus_whose_tracker_shows_another_one_is_no_phantom():
    """Of six simulated fleets ten D05 on days of an exchange named runs that had taken place."""
    late, stood = [run("R", "22:00", "22:50")], [span("00:00", "24:00", plate=plate) for plate in (PLATE, OTHER)]
    sound = devices_of([], [{"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": OTHER}])
    of_exchange = replace(sound, events=day_of(*exchanged()).devices.events)
    assert found(audit([], late, stood, devices=sound), "D05")
    assert not found(audit([], late, stood, devices=of_exchange), "D05")
    assert found(audit([], late, stood, devices=of_exchange), "D06")

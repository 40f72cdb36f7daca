"""One vehicle, one track: several devices, and units in two zones; every km is in one trip of one day."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit.schema import reference
from fleet_audit_tests.logic.driving import DAY, GARAGE, MILL, PLATE, Bus, at, reported, trips_of, window, world
from fleet_audit_tests.logic.frames import rows

EAST, WEST = "America/Sao_Paulo", "America/Campo_Grande"
NEXT = DAY + dt.timedelta(days=1)
BOTH = world({"device_id": "D1", "plate": PLATE}, {"device_id": "D2", "plate": PLATE, "valid_from": "2025-03-01"})


def driven(device: str, begin: float = 0.0, **more: object) -> Bus:
    """Garage, mill, garage, seen by one device."""
    bus = Bus(at("05:00") + begin, device=device, **more).stand(1800)  # type: ignore[arg-type]
    return bus.to(MILL).stand(1800).to(GARAGE).stand(1800)


def without(bus: Bus, start: str, end: str) -> Bus:
    bus.records = [record for record in bus.records if not at(start) < record["recorded_at"] < at(end)]  # type: ignore[operator]
    return bus


@pytest.mark.parametrize("others", [1, 2, 3])
def test_a_trip_that_several_devices_saw_is_one_trip(others: int) -> None:
    buses = [driven(f"D{number + 1}", 7.0 * number, odometer_km=1000.0 * (number + 1)) for number in range(others + 1)]
    tables = world(*({"device_id": bus.device, "plate": PLATE} for bus in buses))
    trips = trips_of(reported(buses), tables=tables)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.11)
    assert trips["device_id"].nunique() == 1
    seen = window(reported(buses), tables=tables)
    day_trips = seen.trips[seen.trips["operational_date"] == DAY]
    ledger = km_ledger(DAY, day_trips, seen.readings, seen.spans, tables.vehicles_on(DAY)).iloc[0]
    assert float(ledger["odometer_delta_km"]) == pytest.approx(40.0, abs=0.2)
    assert ledger["is_balanced"]


def test_the_device_that_covers_more_measures_and_of_equals_the_later_one() -> None:
    equal = trips_of(reported([driven("D1"), driven("D2")]), tables=BOTH)
    assert set(equal["device_id"]) == {"D2"}
    shorter = without(driven("D2"), "05:00", "05:12")
    assert set(trips_of(reported([driven("D1"), shorter]), tables=BOTH)["device_id"]) == {"D1"}


def test_the_other_fills_the_gaps_of_the_primary_and_no_odometers_are_mixed() -> None:
    dying = without(driven("D1", odometer_km=500.0), "05:40", "23:00")
    other = without(driven("D2", odometer_km=9000.0), "04:00", "05:35")
    early = Bus(at("00:00"), device="D1", odometer_km=500.0).stand(5 * 3600 - 60)
    trips = trips_of(reported([early, dying, other]), tables=BOTH)
    assert trips["km"].sum() == pytest.approx(40.0, abs=0.6)
    assert trips["km_odometer"].dropna().max() < 30
    assert trips["destination_poi_id"].to_list()[-1] == "GAR"


def test_a_device_that_was_elsewhere_fills_nothing() -> None:
    wrong = Bus(at("05:00"), where=90_000.0, device="D2").stand(600).go(60_000).stand(600).go(-60_000).stand(1800)
    gone = without(driven("D1"), "06:30", "07:00")
    long_before = Bus(at("00:00"), device="D1").stand(5 * 3600 - 60)
    trips = trips_of(reported([long_before, gone, wrong]), tables=BOTH)
    assert trips["km"].sum() == pytest.approx(40.0, abs=1.0)


@pytest.mark.parametrize("is_asleep", [True, False])
@pytest.mark.parametrize("hours", [-3, 1])
def test_a_device_whose_clock_is_hours_off_makes_no_second_trip(hours: int, is_asleep: bool) -> None:
    """Silent while parked, or every 10 minutes: its trips lay in the silences of the other, and were paid again."""

    def seen_by(device: str, begin: float, odometer_km: float) -> Bus:
        bus = Bus(at("20:00") - 86_400 + begin, device=device, odometer_km=odometer_km).stand(240)
        bus.unseen(9 * 3600).stand(240).to(MILL)
        bus = bus.stand(240).unseen(6 * 3600) if is_asleep else bus.park(6 * 3600)
        return bus.to(GARAGE).stand(240)

    right, wrong = seen_by("D1", 0.0, 1000.0), seen_by("D2", 3600.0 * hours, 5000.0)
    evenings = [Bus(at("20:00") + day, device="D1", odometer_km=1000.0 + km).stand(900)
                for day, km in ((-86_400, 0.0), (0.0, 40.0))]  # so that D1 is the primary  # fmt: skip
    trips = trips_of(reported([right, *evenings, wrong]), tables=BOTH)
    assert trips["km"].to_list() == pytest.approx([20.0, 20.0], abs=0.11)


def moved(first_zone: str, second_zone: str) -> Reference:
    """A vehicle that belongs to another unit, in another zone, from DAY + 1 on."""
    vehicle = {"plate": PLATE, "carrier_code": "CAR", "vehicle_class": "onibus", "status": "ativo"}
    return world({"device_id": "D1", "plate": PLATE}).with_tables(
        units=rows(
            reference.UNITS,
            {"unit_code": "A", "timezone": first_zone},
            {"unit_code": "B", "timezone": second_zone},
        ),
        vehicles=rows(
            reference.VEHICLES,
            {**vehicle, "unit_code": "A", "valid_to": DAY.isoformat()},
            {**vehicle, "unit_code": "B", "valid_from": NEXT.isoformat()},
        ),
    )


@pytest.mark.parametrize(
    "zones", [("America/Sao_Paulo", "America/Campo_Grande"), ("America/Campo_Grande", "America/Sao_Paulo")]
)
def test_no_trip_is_lost_or_doubled_where_two_zones_meet(zones: tuple[str, str]) -> None:
    bus = Bus(at("20:00")).park(3600)
    for _ in range(5):  # a trip in each hour around both midnights
        bus.to(MILL).park(900).to(GARAGE).park(900)
    tables = moved(*zones)
    days = [DAY - dt.timedelta(days=1), DAY, NEXT, NEXT + dt.timedelta(days=1)]
    found = pd.concat(
        [window(bus, day=day, tables=tables).trips.query("operational_date == @day") for day in days], ignore_index=True
    )
    found = found[found["purpose"] != "yard"]
    assert len(found) == 10
    assert found["trip_id"].is_unique
    unit_of = {DAY: "A", NEXT: "B"}
    assert [unit_of[day] for day in found["operational_date"]] == found["unit_code"].to_list()
    later = pd.Timestamp(NEXT, tz=zones[1])
    assert ((found["started_at"] >= later) == (found["unit_code"] == "B")).all()

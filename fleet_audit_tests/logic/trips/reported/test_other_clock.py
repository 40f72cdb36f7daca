"""A visit report whose clock is hours off beside positions that sleep: the trips of both are driven once."""

import datetime as dt
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.coverage import vehicle_day_coverage
from fleet_audit.logic.trips.reported.other_clock import is_other_clock
from fleet_audit.schema import lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.driving import DAY, FRONT, GARAGE, MILL, PLATE, ZONE, Bus, at, staged, window, world
from fleet_audit_tests.logic.trips.reported.test_parts import Watched, km


def there_and_back(*starts: str) -> Watched:
    """Garage, mill, garage from each instant on; the device sleeps while the bus is parked."""
    watched = Watched("03:00", is_asleep_parked=True)
    for start in starts:
        watched.bus.unseen(at(start) - watched.bus.seconds)
        watched.to(MILL, then=2400).to(GARAGE, then=1200)
    watched.bus.unseen(6 * 3600)
    return watched


@pytest.mark.parametrize("with_odometer", [True, False])
@pytest.mark.parametrize("hours", [-4, -3, -1, 1, 3, 9])
def test_a_report_of_another_clock_adds_no_km(hours: float, with_odometer: bool) -> None:
    """60 to 80 km were measured of 40: positions do not show that the bus stood where the report puts its trips."""
    seen = there_and_back("09:00").seen(late_s=3600 * hours, with_odometer=with_odometer)
    assert (km(seen), km(seen, "visit_report")) == (pytest.approx(40.0, abs=0.1), 0.0)
    legs = conform(seen.legs, lake.LEGS)
    of_report = legs[legs["source"] == "visit_report"]
    assert set(of_report["superseded_by_trip_id"]) <= {"other_clock"}
    spans, readings = conform(seen.spans, lake.OBSERVED_SPANS), conform(seen.readings, lake.READINGS)
    coverage = vehicle_day_coverage(DAY, spans, readings, legs, world().vehicles_on(DAY)).set_index("plate")
    assert coverage.loc[PLATE, "visit_legs_other_clock"] == len(of_report)
    assert "visit_report" not in set(seen.spans["source"])


def test_a_second_round_trip_that_only_the_report_shows_counts() -> None:
    watched, silence = there_and_back("06:00", "09:00"), (at("08:30"), at("20:00"))
    assert km(watched.seen(silence, with_odometer=False)) == pytest.approx(80.0, abs=0.1)


def test_another_way_that_only_the_report_shows_counts() -> None:
    watched = there_and_back("06:00")
    watched.to(FRONT, then=2400).to(GARAGE, then=1200)
    first, silence = watched.legs[:2], (at("11:00"), at("20:00"))
    watched.legs = watched.legs[2:]
    assert km(watched.seen(silence, with_odometer=False)) == pytest.approx(120.0, abs=0.1)
    watched.legs = first
    assert km(watched.seen(silence, with_odometer=False)) == pytest.approx(40.0, abs=0.1)


def test_the_same_round_trip_later_counts_where_an_odometer_counted_it() -> None:
    """The report has that one alone: without an odometer it may be the first one by a clock 3 h off, and is held."""
    watched, silence = there_and_back("06:00", "09:00"), (at("08:30"), at("13:00"))
    watched.legs = watched.legs[2:]
    assert km(watched.seen(silence)) == pytest.approx(80.0, abs=0.1)
    assert km(watched.seen(silence, with_odometer=False)) == pytest.approx(40.0, abs=0.1)


def test_a_half_shift_that_a_silent_device_did_not_see_counts_where_the_day_before_was_on_time() -> None:
    """Friday's ways from 06:00 and 17:00 are Saturday's of 06:00 by clocks 11 h and 24 h off: 80 km counted of 120."""
    watched = Watched("03:00")
    watched.bus = Bus(at("03:00") - 86_400).park(3600)
    for start_s in (at("06:00") - 86_400, at("17:00") - 86_400, at("06:00")):
        watched.bus.park(start_s - watched.bus.seconds)
        watched.to(MILL, then=1200).to(GARAGE, then=1200)
    report = watched.report()
    report["date"] = report["started_at"].dt.tz_convert(ZONE).dt.date
    records = [{**record, "odometer_km": None} for record in watched.kept((at("20:00") - 86_400, at("32:00")))]
    assert km(window(staged(records), report)) == pytest.approx(120.0, abs=0.1)


def test_a_shuttle_of_equal_ways_takes_little_memory() -> None:
    """160 ways, each as long as all the others: their pairs beside each other took 2 GB."""
    starts = pd.Timestamp("2025-06-10T09:00Z").as_unit("us") + pd.to_timedelta(30 * np.arange(40), unit="min")
    legs = pd.DataFrame({"plate": PLATE, "started_at": starts, "ended_at": starts + pd.Timedelta(minutes=12)})
    legs = pd.concat([legs.assign(date=DAY + dt.timedelta(days=n), leg_km=5.0, counted_km=0.0) for n in range(4)])
    hours = pd.to_timedelta(np.repeat(24 * np.arange(4), 40), unit="h")
    legs = legs.assign(started_at=legs["started_at"] + hours, ended_at=legs["ended_at"] + hours)
    visits = legs.rename(columns={"leg_km": "reported_km"})
    visits[["started_at", "ended_at"]] += pd.Timedelta(minutes=15)
    tracemalloc.start()
    is_other = is_other_clock(visits, legs, legs[:0], DEFAULT_PARAMETERS)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert is_other.all()
    assert most_bytes < 100e6

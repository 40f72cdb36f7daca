"""A visit report whose clock is hours off beside positions that sleep: the trips of both are driven once."""

import pytest

from fleet_audit_tests.logic.driving import FRONT, GARAGE, MILL, at
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
    legs = seen.legs[seen.legs["source"] == "visit_report"]
    assert set(legs["superseded_by_trip_id"]) <= {"observed"}
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

"""The ledger of a vehicle of which a visit report shows what positions missed: each day has its own trips' km."""

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.logic.trips.day_window import DayWindow
from fleet_audit.logic.trips.ledger import km_ledger
from fleet_audit_tests.logic.driving import DAY, FRONT, GARAGE, MILL, PLATE, at, staged, window, world
from fleet_audit_tests.logic.trips.reported.test_parts import Watched, to_the_front_and_on

NEXT = DAY + dt.timedelta(days=1)


def ledger_of(seen: DayWindow, day: dt.date) -> pd.Series:
    trips = seen.trips[seen.trips["operational_date"] == day]
    return km_ledger(day, trips, seen.readings, seen.spans, world().vehicles_on(day)).set_index("plate").loc[PLATE]


def balances(watched: Watched, silence: tuple[float, float]) -> list[tuple[float, float, float, bool]]:
    """km counted, of service and in gaps of both days, and whether each balances."""
    rows = [ledger_of(watched.seen(silence, day=day), day) for day in (DAY, NEXT)]
    names = ["odometer_delta_km", "service_km", "gap_km"]
    return [(*(round(float(row[name]), 1) for name in names), bool(row["is_balanced"])) for row in rows]


def over_one_night(first_km: float) -> Watched:
    """To the mill at 22:00 (or not at all), back at 03:20, to the mill at 03:50; 20 km each, parked until 08:00."""
    watched = Watched("20:00")
    watched.bus.park(3600)
    watched.to(first_km, then=5 * 3600 - 1200) if first_km else watched.bus.park(5 * 3600)
    watched.to(GARAGE if first_km else MILL, then=1800).to(MILL if first_km else GARAGE, then=4 * 3600)
    return watched


def test_trips_reported_in_one_silence_over_midnight_are_each_read_on_their_day() -> None:
    days = balances(over_one_night(MILL), (at("21:55"), at("29:30")))
    assert days == [(20.0, 20.0, 0.0, True), (40.0, 40.0, 0.0, True)]


def test_a_silence_over_midnight_is_read_where_the_second_day_alone_has_trips_in_it() -> None:
    days = balances(over_one_night(0.0), (at("21:55"), at("29:30")))
    assert days == [(0.0, 0.0, 0.0, True), (40.0, 40.0, 0.0, True)]


def test_a_silence_of_a_day_and_a_half_is_read_on_both_days() -> None:
    watched = Watched("05:00").to(MILL, then=3600).to(GARAGE, then=86_400 - 2400)
    watched.to(MILL, then=3600).to(GARAGE, then=3600)
    watched.bus.park(6 * 3600)
    assert balances(watched, (at("07:00"), at("34:00"))) == [(40.0, 40.0, 0.0, True), (40.0, 40.0, 0.0, True)]


def test_what_no_report_explains_of_a_silence_over_midnight_stays_a_gap_of_the_day_before() -> None:
    """20 km of the second day are not in the report."""
    watched = over_one_night(MILL)
    watched.legs = watched.legs[:2]
    assert balances(watched, (at("21:55"), at("29:30"))) == [(40.0, 20.0, 20.0, True), (20.0, 20.0, 0.0, True)]


def test_a_report_without_km_leaves_the_gap_as_it_is() -> None:
    watched, silence = Watched().to(MILL, then=1800).to(FRONT, then=7200), (at("06:45"), at("08:00"))
    report = watched.report()
    report.loc[1, "reported_km"] = None
    row = ledger_of(window(staged(watched.kept(silence)), report), DAY)
    assert (float(row["odometer_delta_km"]), float(row["gap_km"])) == pytest.approx((40.0, 20.0), abs=0.05)


@pytest.mark.parametrize(
    ("silence", "counted_km"), [(("06:10", "99:00"), 10.0), (("00:00", "06:10"), 30.0)], ids=["dies", "begins"]
)
def test_a_day_keeps_its_ledger_where_the_report_shows_the_rest_of_a_trip(
    silence: tuple[str, str], counted_km: float
) -> None:
    """A device that dies or begins 10 km from the garage: 40 km are paid, and what no odometer read is left open."""
    row = ledger_of(to_the_front_and_on().seen((at(silence[0]), at(silence[1]))), DAY)
    assert (float(row["odometer_delta_km"]), float(row["service_km"])) == pytest.approx((counted_km, 40.0), abs=0.05)
    assert float(row["residual_km"]) == pytest.approx(counted_km - 40.0, abs=0.05)

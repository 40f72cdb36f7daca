"""Cells of rounded coordinates that the odometer contradicts, or whose unit is coarser than their neighbours show."""

from __future__ import annotations

import pytest

from fleet_audit.logic.trips.rounded.unproven_places import may_be_service
from fleet_audit_tests.logic.driving import FRONT, GARAGE, LATITUDE, MILL, Bus, place
from fleet_audit_tests.logic.trips.rounded.test_documented_places import GARAGE_PLACE, facts, paid, rounded

HOME = FRONT + 3000
WIDE_FRONT = place("FRE", "frente", FRONT, 1700)


def stuck(bus: Bus, first: int, end: int) -> Bus:
    """Records from `first` on repeat its coordinates."""
    for record in bus.records[first:end]:
        record |= {name: bus.records[first][name] for name in ("latitude", "longitude")}
    return bus


def ends(bus: Bus, *pois: dict) -> list[tuple]:
    return [row[:3] for row in facts(paid(bus, pois=(*pois, GARAGE_PLACE)))]


def stuck_until_back(back_m: float) -> Bus:
    """40 km to the front, stuck there over a stand 50 km beyond it until the vehicle is at `back_m`, and home."""
    bus = Bus("05:00").park(3600).to(FRONT).park(1800)
    first = len(bus.records) - 2
    bus.to(90_000).park(4 * 3600).to(back_m)
    end = len(bus.records)
    bus.park(1800)
    return stuck(rounded(bus if back_m == GARAGE else bus.to(GARAGE).park(1800)), first, end)


def test_a_receiver_that_sticks_at_a_front_proves_it_for_no_stop_that_the_odometer_puts_elsewhere() -> None:
    trips = paid(stuck_until_back(MILL), pois=(place("FRE", "frente", FRONT, 3000), GARAGE_PLACE))
    assert [row[:3] for row in facts(trips)] == [
        (None, "FRE", "service"),
        ("FRE", None, "service"),
        (None, None, "unknown"),
        (None, None, "unknown"),
    ]
    assert may_be_service(trips).tolist() == [False, False, True, True]
    assert "admitem origem em qualquer lugar." in trips["cost_reason"].iloc[2]


def test_a_receiver_that_sticks_until_the_vehicle_is_back_proves_the_place_from_which_it_then_goes_on() -> None:
    """The next cell on the way home follows it: both ways to the front were held."""
    assert ends(stuck_until_back(FRONT), place("FRE", "frente", FRONT, 3000)) == [
        (None, "FRE", "service"),
        ("FRE", None, "service"),
        (None, "FRE", "service"),
        ("FRE", None, "service"),
    ]


@pytest.mark.parametrize("away_m", [3000, 6000])
def test_a_receiver_that_sticks_until_the_vehicle_leaves_home_does_not_put_home_into_the_front(away_m: float) -> None:
    """Of 3 km the way across the cell allows all; the next cell is too far from it for the 0.5 km since."""
    bus = Bus("03:00").park(1800).to(FRONT).park(1800)
    first = len(bus.records) - 2
    bus.to(FRONT + away_m).park(8 * 3600)
    end = len(bus.records)
    bus = stuck(rounded(bus.to(GARAGE).park(1800)), first, end)
    assert ends(bus, WIDE_FRONT) == [(None, "FRE", "service"), ("FRE", None, "service"), (None, None, "unknown")]


def test_one_cell_that_a_parked_vehicle_cannot_have_reached_leaves_its_place_proven() -> None:
    bus = Bus("05:00").park(3600).to(FRONT).park(1800)
    bus.report(off_m=9000).park(1800)
    assert ends(rounded(bus), WIDE_FRONT) == [(None, "FRE", "service")]


def test_a_vehicle_that_works_within_one_cell_keeps_its_place_as_far_as_a_way_across_it() -> None:
    """0.8 km there and 0.8 km back on the front: every stop of it is in the same cell."""
    bus = Bus("05:00").park(3600).to(FRONT).park(1800).to(FRONT + 800).park(1800).to(FRONT).park(1800)
    assert ends(rounded(bus), WIDE_FRONT)[0] == (None, "FRE", "service")
    assert {row[:2] for row in ends(rounded(bus), WIDE_FRONT)[1:]} <= {("FRE", "FRE")}


def test_a_vehicle_that_works_within_one_cell_keeps_its_place_however_often_it_moves() -> None:
    """Five moves of 0.75 km, each beside a stand of 30 min, then home: together they are longer than the cell."""
    bus = Bus("05:00").park(3600).to(FRONT - 350).park(1800)
    for move in range(5):
        bus.to(FRONT + (400 if move % 2 == 0 else -350), 20).park(1800)
    trips = facts(paid(rounded(bus.to(GARAGE).park(1800)), pois=(place("FRE", "frente", FRONT, 1900), GARAGE_PLACE)))
    assert [row[:3] for row in trips] == [(None, "FRE", "service"), ("FRE", None, "service")]
    assert float(trips[1][3]) == pytest.approx(40.4, abs=0.11)


@pytest.mark.parametrize("rounds", [2, 3])
def test_a_vehicle_that_drives_rounds_longer_than_its_cell_keeps_the_place_from_which_it_goes_home(rounds: int) -> None:
    """Rounds of 1.6 km on the front, each beside a stand of 30 min: the next cell on the way home follows the last."""
    bus = Bus("03:00").park(3600).to(FRONT - 200).park(1800)
    for _ in range(rounds):
        bus.to(FRONT + 600, 20).to(FRONT - 200, 20).park(1800)
    trips = ends(rounded(bus.to(GARAGE).park(1800)), place("FRE", "frente", FRONT, 1900))
    assert trips[0] == (None, "FRE", "service")
    assert trips[-1] == ("FRE", None, "service")


def test_a_receiver_that_sticks_over_one_way_out_of_its_cell_stays_false_where_the_vehicle_stands_next() -> None:
    """Short moves before the way, 3.6 km of it, and stands of 4 h after it: nothing shows that it is back."""
    bus = Bus("03:00").park(1800).to(FRONT).park(1800)
    first = len(bus.records) - 2
    bus.to(FRONT + 500, 20).park(1800).to(FRONT + 4100).park(4 * 3600).to(FRONT + 4600, 20).park(4 * 3600)
    end = len(bus.records)
    bus = stuck(rounded(bus.to(GARAGE).park(1800)), first, end)
    trips = ends(bus, place("FRE", "frente", FRONT, 1900))
    assert trips[0] == (None, "FRE", "service")
    assert trips[-1] == (None, None, "unknown")


def test_a_receiver_that_sticks_over_several_ways_each_shorter_than_two_cells_proves_no_place_at_their_end() -> None:
    """Three ways of 2.4 km with stands of 4 min between them: 7.2 km off the front the way home began at it, paid."""
    bus = Bus("03:00").park(1800).to(FRONT).park(1800)
    first = len(bus.records) - 2
    bus.to(FRONT + 2400, 20).park(240).to(FRONT + 4800, 20).park(240).to(FRONT + 7200, 20).park(4 * 3600).to(GARAGE)
    bus = stuck(rounded(bus.park(1800)), first, len(bus.records))
    trips = ends(bus, place("FRE", "frente", FRONT, 1900))
    assert trips[0] == (None, "FRE", "service")
    assert trips[-1][2] == "unknown"


def test_a_stop_before_an_export_changes_to_two_decimals_lies_in_a_cell_of_one() -> None:
    """4.3 km off a front of 1.7 km: in one decimal the cell of 22 km holds both, and three places lead there."""
    bus = Bus("03:00").park(1800).to(MILL + 6500).park(4 * 3600)
    end = len(bus.records)
    bus.to(GARAGE).park(1800).to(FRONT).park(1800)
    cell = round(float(bus.records[end - 1]["latitude"]), 1)  # type: ignore[arg-type]
    front = place("FRE", "frente", (cell - LATITUDE) * 111_195, 1700)
    for number, record in enumerate(bus.records):
        for name in ("latitude", "longitude"):
            record[name] = round(float(record[name]), 1 if number < end else 2)  # type: ignore[arg-type]
    assert ends(bus, front)[:2] == [(None, None, "unknown"), (None, None, "unknown")]

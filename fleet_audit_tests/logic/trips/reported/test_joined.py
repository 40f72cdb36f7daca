"""A trip of which positions saw a part and a visit report shows the rest is one row where the report proves it."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.trips.day_window import DayWindow
from fleet_audit_tests.logic.driving import DAY, FRONT, GARAGE, MILL, NOWHERE, POINT, at, staged, window
from fleet_audit_tests.logic.trips.reported.test_parts import Watched, to_the_front_and_on


def listed(seen: DayWindow) -> list[tuple[str | None, str | None, str, float]]:
    """Origin, destination, purpose and km of each trip, in order."""
    trips = seen.trips.sort_values("started_at")
    origin, destination = (
        [None if pd.isna(place) else str(place) for place in trips[f"{side}_poi_id"]]
        for side in ("origin", "destination")
    )
    return list(zip(origin, destination, trips["purpose"], trips["km_measured"].astype(float).round(1), strict=True))


def slow_to_the_front() -> Watched:
    """06:00 garage to 08:00 front, 40 km, and parked there."""
    return Watched().to(FRONT, 20, then=7200)


def test_the_end_that_only_the_report_saw_makes_a_trip_of_service() -> None:
    """Silent from 06:10: positions saw 10 of 20 km to the mill, the report all of them and 20 km to the front."""
    watched, silence = to_the_front_and_on(), (at("06:10"), at("08:00"))
    seen = watched.seen(silence)
    assert listed(seen) == [("GAR", "USI", "service", 20.0), ("USI", "FRE", "service", 20.0)]
    [trip, _] = seen.trips.sort_values("started_at").to_dict("records")
    assert (trip["source"], trip["km_method"], trip["evidence_grade"]) == ("positions", "odometer", "C")
    assert trip["ended_at"].timestamp() == at("06:20")
    assert trip["coverage_pct"] == pytest.approx(50, abs=1)
    assert not trip["is_end_in_gap"]


@pytest.mark.parametrize(("silence", "purposes"), [
    (("06:08", "08:00"), ["service", "service"]), (("06:14", "08:00"), ["deadhead", "service"]),
    (("06:25", "08:00"), ["deadhead", "service"]),
])  # fmt: skip
def test_a_trip_that_was_empty_where_positions_saw_less_than_half_of_it_is_not_proven_empty(
    silence: tuple[str, str], purposes: list[str]
) -> None:
    """Silent from the 8th or the 14th of 20 min on the way to the mill, or after the arrival."""
    watched = to_the_front_and_on()
    for record in watched.bus.records:
        record["passengers"] = 0
    seen = watched.seen((at(silence[0]), at(silence[1])))
    assert [purpose for _, _, purpose, _ in listed(seen)] == purposes


def test_the_trip_keeps_the_id_that_it_had_before_the_report_arrived() -> None:
    watched, silence = to_the_front_and_on(), (at("06:10"), at("08:00"))
    alone, both = window(staged(watched.kept(silence))), watched.seen(silence)
    [trip_id] = alone.trips["trip_id"]
    assert trip_id in set(both.trips["trip_id"])
    legs = both.legs[both.legs["trip_id"] == trip_id]
    assert legs["source"].tolist() == ["positions", "visit_report"]
    assert legs["file_sha256"].dropna().tolist() == ["f"]


def test_the_beginning_that_only_the_report_saw_is_that_of_the_trip() -> None:
    seen = to_the_front_and_on().seen((at("05:00:30"), at("06:10")))
    assert listed(seen) == [("GAR", "USI", "service", 20.0), ("USI", "FRE", "service", 20.0)]
    assert seen.trips["started_at"].min().timestamp() == at("06:00")


@pytest.mark.parametrize(("late_s", "woken_s"), [(-60.0, 100.0), (-120.0, 20.0), (-120.0, 100.0)])
def test_a_report_whose_clock_has_the_trip_begin_before_the_device_wakes_is_of_one_trip(
    late_s: float, woken_s: float
) -> None:
    """Two rows that shared 14 min, one of them of 13.3 km that nobody paid: the device woke after the departure."""
    watched = Watched("05:00", is_asleep_parked=True)
    watched.bus.unseen(3600)
    watched.to(FRONT, 40, then=7200)
    start = watched.legs[0][0]
    seen = watched.seen((start + 1200, start + 6000), (start - 4000, start + woken_s), late_s=late_s)
    assert listed(seen) == [("GAR", "FRE", "service", 40.0)]


@pytest.mark.parametrize("with_odometer", [True, False])
def test_a_silence_in_the_middle_leaves_one_trip(with_odometer: bool) -> None:
    seen = slow_to_the_front().seen((at("06:20"), at("07:30")), with_odometer=with_odometer)
    assert listed(seen) == [("GAR", "FRE", "service", 40.0)]
    [trip] = seen.trips.to_dict("records")
    assert trip["coverage_pct"] == pytest.approx(100 * 50 / 120, abs=1)
    assert trip["km_reported"] == pytest.approx(70 / 3, abs=0.2)


def test_a_trip_that_positions_saw_in_its_middle_alone_has_both_ends_of_the_report() -> None:
    seen = slow_to_the_front().seen((at("05:10:30"), at("06:30")), (at("07:00"), at("09:30")))
    assert listed(seen) == [("GAR", "FRE", "service", 40.0)]


def test_a_stop_of_the_journey_that_only_the_report_saw_ends_no_trip() -> None:
    """Positions fall silent 2 min after the arrival at 06:10; the report leaves at 06:15 for the mill."""
    seen = Watched().to(NOWHERE).to(MILL, then=7200).seen((at("06:12"), at("08:00")))
    assert listed(seen) == [("GAR", "USI", "service", 20.0)]


def test_a_stop_that_ends_a_trip_and_that_the_report_did_not_see_ends_it() -> None:
    """Positions show 30 min at a place; the report has one movement of 90 min over it, of which 20 are not seen."""
    watched = Watched().to(NOWHERE, then=1800).to(FRONT, then=7200)
    first, last = watched.legs
    watched.legs = [(first[0], last[1], GARAGE, FRONT, 40.0)]
    seen = watched.seen((at("06:50"), at("08:00")))
    assert listed(seen) == [("GAR", None, "unknown", 10.0), (None, "FRE", "service", 30.0)]


def test_a_movement_that_begins_after_an_arrival_that_its_device_slept_through_is_another_trip() -> None:
    watched = Watched(is_asleep_parked=True).to(MILL, then=240).to(FRONT, then=7200)
    seen = watched.seen((at("06:21:30"), at("08:00")))
    assert listed(seen)[-1] == ("USI", "FRE", "service", 20.0)
    assert len(seen.trips) == 2


def test_a_report_of_another_place_proves_nothing() -> None:
    """Positions left the garage at 06:00; the report says that the movement left the point."""
    watched = to_the_front_and_on()
    start_s, end_s, _, where, km = watched.legs[0]
    watched.legs[0] = (start_s, end_s, POINT, where, km)
    seen = watched.seen((at("06:10"), at("08:00")))
    assert listed(seen)[0] == ("GAR", None, "unknown", 10.0)


def test_a_report_without_km_proves_no_km() -> None:
    watched, silence = to_the_front_and_on(), (at("06:10"), at("08:00"))
    report = watched.report()
    report.loc[0, "reported_km"] = None
    seen = window(staged(watched.kept(silence)), report)
    assert listed(seen)[0] == ("GAR", None, "unknown", 10.0)


@pytest.mark.parametrize("silent_from", ["06:18:30", "06:19:55", "06:20:10"])
@pytest.mark.parametrize("has_km", [True, False])
def test_a_trip_that_a_silence_cuts_at_its_arrival_ends_as_the_report_does(silent_from: str, has_km: bool) -> None:
    """At the mill at 06:20, before positions show a stop there: the km beyond are within the doubt, and none count."""
    watched = to_the_front_and_on()
    report = watched.report()
    if not has_km:
        report["reported_km"] = None
    seen = window(staged(watched.kept((at(silent_from), at("08:00")))), report)
    [trip, _] = seen.trips.sort_values("started_at").to_dict("records")
    assert (trip["destination_poi_id"], trip["purpose"], trip["is_end_in_gap"]) == ("USI", "service", False)
    assert 18.5 <= float(trip["km_measured"]) <= 20.0


def test_a_trip_that_a_silence_cuts_at_its_departure_begins_where_the_report_departs() -> None:
    """The device, unheard since 04:10, wakes 30 s after the bus left the mill at 05:25."""
    seen = Watched("04:00").to(MILL).to(GARAGE, then=1800).seen((at("04:10"), at("05:25:30")))
    assert listed(seen)[-1] == ("USI", "GAR", "service", 19.5)


def test_a_report_that_arrives_where_no_trip_ends_is_the_end_of_no_cut_trip() -> None:
    """Nobody saw how the bus left the point for the front: its trip may have gone on."""
    watched = Watched().to(POINT).to(FRONT, then=7200)
    watched.legs.pop()
    seen = watched.seen((watched.legs[0][1] + 10, at("08:00")))
    assert listed(seen) == [("GAR", None, "unknown", 5.0)]


def test_a_trip_whose_beginning_before_midnight_only_the_report_saw_is_of_that_day() -> None:
    """40 km from 23:30 to 00:10, silent until 23:45 or until 00:05: the odometer's day ends where the trip does."""
    watched = Watched("22:00")
    watched.bus.park(1800)
    watched.to(FRONT, then=60)
    watched.bus.park(6 * 3600)
    silence, next_day = (at("22:30"), at("24:05")), DAY + dt.timedelta(days=1)
    today, tomorrow = (watched.seen(silence, day=day) for day in (DAY, next_day))
    assert today.trips["operational_date"].tolist() == tomorrow.trips["operational_date"].tolist() == [DAY]
    assert listed(today) == [("GAR", "FRE", "service", 40.0)]
    assert today.legs.loc[today.legs["superseded_by_trip_id"].isna(), "trip_id"].nunique() == 1
    [day] = today.readings.to_dict("records")
    assert day["odometer_delta_km"] - day["gap_km"] == pytest.approx(40.0, abs=0.02)
    assert tomorrow.readings["odometer_delta_km"].sum() == 0.0


def driven_at_random(rng: np.random.Generator) -> tuple[Watched, list[tuple[float, float]]]:
    """A bus that drives up to five ways, and the first and last second of each trip by the stops between them."""
    watched = Watched(is_asleep_parked=bool(rng.random() < 0.2))
    true_trips, begin_s = [], None
    for _ in range(rng.integers(1, 6)):
        elsewhere = [where for where in (GARAGE, POINT, NOWHERE, MILL, FRONT) if where != watched.bus.metres]
        where = float(rng.choice(elsewhere))
        stays_s = float(rng.choice([200, 600, 900, 4000]))
        watched.to(where, float(rng.choice([15, 30, 45])), then=stays_s)
        start_s, end_s = watched.legs[-1][:2]
        begin_s = start_s if begin_s is None else begin_s
        if where in (GARAGE, MILL, FRONT) or stays_s >= 1200:
            true_trips, begin_s = [*true_trips, (begin_s, end_s)], None
    watched.bus.park(1800)
    return watched, true_trips if begin_s is None else [*true_trips, (begin_s, watched.legs[-1][1])]


@pytest.mark.parametrize("seed", range(10))
def test_no_part_of_a_trip_is_in_a_second_row_whatever_silence_cuts_it(seed: int) -> None:
    """Two silences of 62 to 150 min. Two clocks differ by up to 150 s: so much of a row may lie in another trip."""
    rng = np.random.default_rng(seed)
    watched, true_trips = driven_at_random(rng)
    starts = rng.uniform(at("05:30"), watched.bus.seconds, 2)
    silences = [(start, start + float(rng.choice([3700, 5000, 9000]))) for start in starts]
    seen = watched.seen(*silences, late_s=float(rng.choice([0, 60, -120])), with_odometer=bool(rng.random() < 0.7))
    trips = seen.trips[seen.trips["purpose"] != "yard"]
    start, end = (np.array([instant.timestamp() for instant in trips[name]]) for name in ("started_at", "ended_at"))
    for first_s, last_s in true_trips:
        assert np.count_nonzero(np.minimum(end, last_s) - np.maximum(start, first_s) > 150) <= 1
    km, doubt = (float(seen.trips[name].astype(float).sum()) for name in ("km_measured", "km_uncertainty"))
    assert km <= watched.bus.driven_m / 1000 + doubt

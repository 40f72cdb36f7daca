"""A vehicle that positions and a visit report show: every km counts once, those of a silence by the report."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleet_audit.logic.audit.rules.day.observed import observed_time
from fleet_audit.logic.primitives.intervals import covered_us
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.day_window import DayWindow
from fleet_audit.schema import lake
from fleet_audit_tests.logic.driving import (
    DAY,
    FRONT,
    GARAGE,
    MILL,
    NO_SHRINKING,
    NOWHERE,
    PLATE,
    POINT,
    Bus,
    at,
    staged,
    window,
)
from fleet_audit_tests.logic.frames import rows

STREETS = {GARAGE: "Rua GAR, 1", POINT: "Rua PON, 1", MILL: "Rua USI, 1", FRONT: "Rua FRE, 1"}


class Watched:
    """A bus that reports `every` so many seconds, and the legs that a visit report lists of it, rounded to the minute.

    Its device may sleep while the bus is parked.
    """

    def __init__(self, begin: str = "05:00", every: float = 30, is_asleep_parked: bool = False) -> None:
        self.bus, self.every, self.is_asleep_parked = Bus(begin, resolution_km=0.01).park(3600), every, is_asleep_parked
        self.legs: list[tuple[float, float, float, float, float]] = []

    def to(self, where: float, kmh: float = 60, then: float = 300) -> "Watched":
        bus = self.bus
        start_s, start_m, driven_m = bus.seconds, bus.metres, bus.driven_m
        bus.go(where - bus.metres, kmh, self.every)
        self.legs.append((start_s, bus.seconds, start_m, where, (bus.driven_m - driven_m) / 1000))
        if self.is_asleep_parked:
            bus.stand(60).unseen(then)
        else:
            bus.stand(then, self.every)
        return self

    def kept(self, *silences: tuple[float, float]) -> list[dict[str, object]]:
        """Its records without those of the silences."""
        return [
            record
            for record in self.bus.records
            if not any(first < float(str(record["recorded_at"])) < last for first, last in silences)
        ]

    def hidden_km(self, *silences: tuple[float, float]) -> float:
        """Driven between two records more than 11 min apart, and before and after all of them."""
        kept_s = [float(str(record["recorded_at"])) for record in self.kept(*silences)]
        seconds = np.array([-np.inf, *kept_s, np.inf])
        is_long = np.diff(seconds) > DEFAULT_PARAMETERS.gap_note_s
        start, end, _, _, driven_km = np.array(self.legs).T
        shared = np.minimum(seconds[1:, None], end) - np.maximum(seconds[:-1, None], start)
        return float((driven_km * np.maximum(shared[is_long], 0.0) / (end - start)).sum())

    def report(self, late_s: float = 0.0, factor: float = 1.0) -> pd.DataFrame:
        """Rows of `staging.visit_legs` by a clock that is `late_s` off."""
        instants = [
            [pd.Timestamp(round((second + late_s) / 60) * 60, unit="s", tz="UTC") for second in leg[:2]]
            for leg in self.legs
        ]
        return rows(
            lake.STAGING_VISIT_LEGS,
            *(
                {
                    "date": pd.Timestamp(at("12:00"), unit="s").date(), "plate": PLATE, "device_id": "V",
                    "started_at": start, "ended_at": end, "reported_km": f"{leg[4] * factor:.2f}",
                    "origin_address": STREETS.get(leg[2], "estrada"),
                    "destination_address": STREETS.get(leg[3], "estrada"), "is_maintenance_driver": False,
                    "file_sha256": "f", "file_name": "v.csv", "row_number": number + 1,
                }
                for number, (leg, (start, end)) in enumerate(zip(self.legs, instants, strict=True))
            ),
        )  # fmt: skip

    def seen(self, *silences: tuple[float, float], late_s: float = 0.0, factor: float = 1.0,
             with_odometer: bool = True, day: dt.date = DAY) -> DayWindow:  # fmt: skip
        """The window of a day, without the positions of the silences."""
        kept = [record if with_odometer else {**record, "odometer_km": None} for record in self.kept(*silences)]
        return window(staged(kept), self.report(late_s, factor), day=day)


def km(seen: DayWindow, source: str | None = None) -> float:
    """km of all trips, or the part of them that one source measured."""
    measured, reported = (seen.trips[name].astype(float).sum() for name in ("km_measured", "km_reported"))
    return float({None: measured, "visit_report": reported, "positions": measured - reported}[source])


def to_the_front_and_on() -> Watched:
    """06:00 garage to 06:20 mill; 06:25 to the front until 06:45."""
    return Watched().to(MILL).to(FRONT, then=7200)


def test_a_leg_in_a_silence_counts_though_positions_measured_the_leg_before() -> None:
    """The report joins both legs to one trip over a short stop at a place that ends none."""
    seen = Watched().to(NOWHERE).to(MILL, then=7200).seen((at("06:12"), at("08:00")))
    assert (km(seen, "positions"), km(seen, "visit_report")) == pytest.approx((10.0, 10.0), abs=0.02)


@pytest.mark.parametrize("late_s", [0.0, 120.0, -180.0])
@pytest.mark.parametrize(
    ("silence", "hidden_km"),
    [(("06:10", "08:00"), 30.0), (("05:20", "06:30"), 25.0), (("06:35", "08:00"), 10.0)],
    ids=["its end and all after it", "all before it and its beginning", "the end of the last"],
)
def test_of_a_leg_that_a_silence_cuts_the_hidden_part_counts(
    silence: tuple[str, str], hidden_km: float, late_s: float
) -> None:
    seen = to_the_front_and_on().seen((at(silence[0]), at(silence[1])), late_s=late_s)
    assert km(seen, "visit_report") == pytest.approx(hidden_km, abs=0.6)
    assert km(seen) == pytest.approx(40.0, abs=0.02)
    legs = seen.legs[seen.legs["source"] == "visit_report"]
    assert legs["km_reported"].sum() == pytest.approx(40.0, abs=0.01)  # all that the report says stays as evidence
    assert legs["leg_id"].is_unique


@pytest.mark.parametrize("factor", [1.0, 1.03, 0.97])
def test_where_positions_saw_all_nothing_of_the_report_counts(factor: float) -> None:
    seen = to_the_front_and_on().seen(factor=factor)
    assert (km(seen), km(seen, "visit_report")) == (pytest.approx(40.0, abs=0.02), 0.0)


def test_more_km_than_a_silence_can_hold_are_not_driven_in_it() -> None:
    """Seen standing but for 12 of 40 minutes, and 60 km reported: it holds 22 km at most."""
    watched = Watched("05:00")
    watched.bus.stand(7200)
    watched.legs = [(at("06:00"), at("06:40"), GARAGE, GARAGE, 60.0)]
    seen = watched.seen((at("06:27"), at("06:39:50")))
    assert km(seen) == 0.0
    assert seen.legs["superseded_by_trip_id"].tolist() == ["observed"]


def test_kilometres_of_the_report_are_not_in_the_ledgers_gap_too() -> None:
    seen = to_the_front_and_on().seen((at("06:10"), at("08:00")))
    [day] = seen.readings.to_dict("records")
    assert day["gap_km"] + km(seen) == pytest.approx(day["odometer_delta_km"], abs=0.05)


def test_a_report_of_another_time_explains_no_silence() -> None:
    """20 km reported before the first reading, and 20 km counted in a silence at noon that nothing reports."""
    watched = Watched("08:00")
    watched.bus.to(MILL).park(1800).unseen(7200, 20_000).park(1800)
    watched.legs = [(at("05:00"), at("05:40"), GARAGE, GARAGE, 20.0)]
    seen = watched.seen()
    assert (km(seen, "visit_report"), seen.readings["gap_km"].sum()) == pytest.approx((20.0, 20.0), abs=0.02)


def test_km_of_a_silence_over_midnight_are_read_on_the_day_of_their_trip() -> None:
    """40 km from 23:30 to 00:10, silent from 23:45 to 02:30."""
    watched = Watched("22:00")
    watched.bus.park(1800)
    watched.to(FRONT, then=60)
    watched.bus.park(6 * 3600)
    silence, next_day = (at("23:45"), at("26:30")), DAY + dt.timedelta(days=1)
    today, tomorrow = (watched.seen(silence, day=day).readings for day in (DAY, next_day))
    assert today["odometer_delta_km"].sum() - today["gap_km"].sum() == pytest.approx(40.0, abs=0.02)
    assert (tomorrow["odometer_delta_km"].sum(), tomorrow["gap_km"].sum()) == (0.0, 0.0)


def parked_unseen(late_s: float, factor: float) -> DayWindow:
    """Four ways of 40 km that positions see whole; then the device sleeps for 70 min."""
    watched = Watched(is_asleep_parked=True)
    for where in (FRONT, GARAGE, FRONT, GARAGE):
        watched.to(where, then=4200)
    watched.bus.stand(600)
    return watched.seen(late_s=late_s, factor=factor)


@pytest.mark.parametrize(("late_s", "factor"), [(240, 1.04), (240, 1.10), (-240, 1.04), (0, 1.10)])
def test_what_a_report_pads_is_not_driven_in_a_silence_in_which_the_odometer_stood(
    late_s: float, factor: float
) -> None:
    seen = parked_unseen(late_s, factor)
    assert (km(seen), km(seen, "visit_report")) == (pytest.approx(160.0, abs=0.02), 0.0)


def test_a_silence_holds_no_more_than_its_odometer_counted() -> None:
    """10 km seen, 5 km counted in 90 min of silence, and a report of 40 km."""
    watched = Watched()
    watched.bus.go(10_000, 60).unseen(5400, 5_000).stand(1800)
    watched.legs = [(at("06:00"), at("06:40"), GARAGE, FRONT, 40.0)]
    assert km(watched.seen()) == pytest.approx(15.0, abs=0.02)


@pytest.mark.parametrize("with_odometer", [True, False])
def test_a_clock_that_puts_the_begin_of_a_hidden_movement_before_its_silence_loses_none_of_it(
    with_odometer: bool,
) -> None:
    """To the garage and back in a silence that begins 10 s before; 3 min early, positions watched 2:50 of it."""
    watched = Watched().to(MILL, then=1800).to(GARAGE, then=1800).to(MILL, then=3600)
    seen = watched.seen((at("06:49:50"), at("08:05")), late_s=-180.0, with_odometer=with_odometer)
    assert (km(seen), km(seen, "visit_report")) == pytest.approx((60.0, 40.0), abs=0.02)


@pytest.mark.parametrize("late_s", [0.0, 60.0, 120.0])
def test_a_short_movement_right_after_a_halt_counts_as_far_as_the_odometer_counted(late_s: float) -> None:
    """20 km seen, a halt of 4 min, and 4 km in the first 5 min of a silence."""
    watched = Watched().to(MILL, then=240)
    watched.to(MILL + 4000, 48, then=7200)
    seen = watched.seen((at("06:23:50"), at("08:00")), late_s=late_s)
    assert (km(seen), km(seen, "visit_report")) == pytest.approx((24.0, 4.0), abs=0.02)
    assert seen.readings["gap_km"].sum() == pytest.approx(0.0, abs=0.02)


def reported_asleep(hidden_m: float = 0.0) -> Watched:
    """20 km to the mill at 06:00, seen; asleep there from 07:20 to 09:20; 40 km out and back reported from 07:50 on."""
    watched = Watched().to(MILL, then=3600)
    watched.bus.driven_m += hidden_m
    watched.bus.unseen(7200).park(1800)
    watched.legs += [(at("07:50"), at("08:10"), MILL, FRONT, 20.0), (at("08:30"), at("08:50"), FRONT, MILL, 20.0)]
    return watched


def test_an_odometer_that_counts_all_other_trips_and_stood_contradicts_a_report() -> None:
    seen = reported_asleep().seen()
    assert km(seen) == pytest.approx(20.0, abs=0.02)
    assert seen.legs["superseded_by_trip_id"].eq("observed").sum() == 2


def test_a_contradicted_report_observes_nothing_so_that_a_run_in_its_time_is_held_and_no_phantom() -> None:
    seen = reported_asleep().seen()
    run = pd.DataFrame({"plate": [PLATE], "start_us": [int(at("07:50") * 1e6)], "end_us": [int(at("08:50") * 1e6)]})
    assert covered_us(run, observed_time(seen.spans, seen.trips)).tolist() == [0]


@pytest.mark.parametrize(
    "odometer", ["counts in the silence", "is dead all day", "is missing", "is not read after the silence"]
)
def test_an_odometer_that_proves_nothing_contradicts_no_report(odometer: str) -> None:
    watched = reported_asleep(40_000 if odometer == "counts in the silence" else 0.0)
    for record in watched.bus.records:
        if odometer == "is dead all day":
            record["odometer_km"] = 1000.0
        elif odometer == "is not read after the silence" and float(str(record["recorded_at"])) > at("08:00"):
            record["odometer_km"] = None
    seen = watched.seen(with_odometer=odometer != "is missing")
    assert (km(seen), km(seen, "visit_report")) == pytest.approx((60.0, 40.0), abs=0.02)


def test_an_odometer_of_whole_km_does_not_contradict_a_shorter_movement() -> None:
    watched = reported_asleep()
    watched.legs[1:] = [(at("08:00"), at("08:04"), MILL, MILL, 1.2)]
    for record in watched.bus.records:
        record["odometer_km"] = float(str(record["odometer_km"])) // 1
    assert km(watched.seen(), "visit_report") == pytest.approx(1.2, abs=0.02)


@pytest.mark.parametrize("late_s", [0.0, -300.0])
def test_km_seen_between_rare_readings_are_taken_off_what_a_silence_holds_once(late_s: float) -> None:
    """20 km seen since the last reading, 20 km out and back in an hour of silence, and the next reading after it."""
    watched = Watched().to(MILL, then=600)
    asleep_s = watched.bus.seconds
    watched.bus.driven_m += 20_000
    watched.bus.unseen(3600).stand(1800)
    watched.legs.append((asleep_s + 120, asleep_s + 1320, MILL, MILL, 20.0))
    for record in watched.bus.records:
        is_unread = at("06:00") < float(str(record["recorded_at"])) < asleep_s + 3900
        record["odometer_km"] = None if is_unread else record["odometer_km"]
    seen = watched.seen(late_s=late_s)
    assert (km(seen), km(seen, "visit_report")) == pytest.approx((40.0, 20.0), abs=0.02)


def test_what_a_chord_bridges_is_paid_by_the_chord_alone() -> None:
    """Without an odometer, 40 km straight on with 20 min of silence in it, and a report of 75 km."""
    watched = Watched().to(FRONT, then=3600)
    watched.legs = [(*watched.legs[0][:4], 75.0)]
    seen = watched.seen((at("06:10"), at("06:30")), with_odometer=False)
    assert km(seen) == pytest.approx(40.0, abs=0.02)


@pytest.mark.parametrize("late_s", [0.0, 180.0, 300.0, -300.0])
def test_a_short_movement_inside_a_trip_of_rare_positions_counts_once(late_s: float) -> None:
    watched = Watched(every=900)
    for where in (MILL, FRONT, POINT, NOWHERE, GARAGE) * 2:
        watched.to(where, 50, then=1300)
    watched.bus.stand(3600, 900)
    seen = watched.seen(late_s=late_s)
    doubt_km = float(seen.trips["km_uncertainty"].astype(float).sum())
    assert km(seen) <= watched.bus.driven_m / 1000 + doubt_km


@NO_SHRINKING
@example(1004)  # a leg of 7 min, then asleep: by a clock 5 min late most of the movement is in the silence
@example(110064)  # a movement 5 min late shares 2 min with its own leg, and some with the next, which a silence cuts
@example(6114)  # a cut leg of 4 min that the report, 3 min off, puts before the end of the silence
@given(st.integers(0, 2**32 - 1))
def test_no_kilometre_counts_twice_and_none_that_the_report_holds_is_lost(seed: int) -> None:
    """Random ways, silences, clocks, with and without odometer, over midnight; exact, padded, coarse, asleep."""
    rng = np.random.default_rng(seed)
    begin, every = str(rng.choice(["05:00", "20:30", "22:00"])), float(rng.choice([30, 30, 30, 300, 900]))
    watched = Watched(begin, every, is_asleep_parked=bool(rng.random() < 0.3))
    for _ in range(rng.integers(1, 6)):
        elsewhere = [where for where in (GARAGE, POINT, NOWHERE, MILL, FRONT) if where != watched.bus.metres]
        watched.to(float(rng.choice(elsewhere)), float(rng.choice([30, 45, 70])), float(rng.choice([200, 900, 4000])))
    watched.bus.park(1800)
    first, last = watched.bus.records[0]["recorded_at"], watched.bus.seconds
    starts = rng.uniform(float(str(first)), last, rng.integers(0, 4))
    silences = [(start, start + float(rng.choice([300, 900, 3700, 6000]))) for start in starts]
    with_odometer = bool(rng.random() < 0.6)
    late_s, factor = float(rng.choice([0, 0, 120, -180, 300, -300])), float(rng.choice([1.0, 1.03, 1.06, 1.10]))
    seen = watched.seen(*silences, late_s=late_s, factor=factor, with_odometer=with_odometer)
    driven_km, hidden_km = watched.bus.driven_m / 1000, watched.hidden_km(*silences)
    doubt_km = seen.trips["km_uncertainty"].astype(float)
    of_positions_km = float(doubt_km[seen.trips["source"] == "positions"].sum())
    # Where a silence hides a part, nobody knows where the report pads its movements: all of it may lie in the silence.
    padded_km = (factor - 1) * driven_km * bool(hidden_km > 0)
    assert km(seen) <= driven_km + of_positions_km + 0.5 + padded_km
    # Chords are short of what positions saw, by their doubt.
    assert km(seen, "visit_report") <= hidden_km + of_positions_km + 0.5 + padded_km
    # A way into a silence that is shorter than two clocks differ by is not known to be one.
    unknown_km = 2 * len(silences) * (300 + abs(late_s)) / 3600 * 70
    assert km(seen) >= driven_km - float(doubt_km.sum()) - 0.5 - unknown_km

"""One day is a pure function of its window: nothing but the positions in it, in any order, decides."""

import datetime as dt
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.defs.window_positions import WINDOW_PARTS
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.primitives.workers.threads import thread_count
from fleet_audit.logic.trips.day_window import DayWindow, build_day_tracks, segment_day
from fleet_audit.logic.trips.track import time_order
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.driving import (
    DAY,
    GARAGE,
    MILL,
    NO_SHRINKING,
    NOWHERE,
    PLATE,
    Bus,
    at,
    fleets,
    registered,
    reported,
    spoilt_fleets,
    window,
    world,
)
from fleet_audit_tests.logic.trips.test_trips import visit, visits

NEXT = DAY + dt.timedelta(days=1)


def same(one: DayWindow, other: DayWindow, *, to_the_last_bit: bool = False) -> None:
    for name, table in WINDOW_PARTS.items():
        left, right = (conform(getattr(seen, name), table).sort_values(list(table.sort)) for seen in (one, other))
        left, right = left.reset_index(drop=True), right.reset_index(drop=True)
        pd.testing.assert_frame_equal(left, right, check_exact=to_the_last_bit)


@settings(NO_SHRINKING, max_examples=6)
@given(spoilt_fleets(), st.randoms(use_true_random=False))
def test_order_duplicates_and_batches_do_not_matter(buses: list[Bus], chance: object) -> None:
    positions, tables = reported(buses), world(*registered(buses))
    said = visits(visit("06:00", "06:30"), visit("08:00", "08:40", "21", "USI", "GAR"))
    noise = np.random.default_rng(chance.randrange(2**32))  # type: ignore[attr-defined]
    cut = len(positions) // 3
    again = positions.iloc[noise.integers(0, len(positions), 20)]
    batches = pd.concat([positions.iloc[cut:], again, positions.iloc[:cut]])
    shuffled = batches.iloc[noise.permutation(len(batches))].reset_index(drop=True)
    same(
        window(positions, said, tables=tables),
        window(shuffled, pd.concat([said.iloc[::-1], said.iloc[:1]], ignore_index=True), tables=tables),
    )


@settings(NO_SHRINKING, max_examples=4)
@given(spoilt_fleets(), st.integers(2, 5))
def test_positions_read_in_parts_are_the_same_positions(buses: list[Bus], parts: int) -> None:
    """The days of a window are put together from arrays whose codes of devices, drivers and keys differ."""
    positions, tables = reported(buses), world(*registered(buses))
    cut = [PositionArrays.of_frame(part) for _, part in positions.groupby(np.arange(len(positions)) % parts)]
    documents = (empty_frame(table) for table in (lake.STAGING_VISIT_LEGS, lake.STAGING_DECLARED_RUNS))
    together = segment_day(DAY, build_day_tracks(DAY, cut, tables), *documents, tables, DEFAULT_PARAMETERS)
    same(window(positions, tables=tables), together)


@settings(NO_SHRINKING, max_examples=4)
@given(spoilt_fleets(), st.integers(2, 4))
def test_the_number_of_threads_does_not_matter(buses: list[Bus], processors: int) -> None:
    positions, tables = reported(buses), world(*registered(buses))
    with pytest.MonkeyPatch.context() as machine:
        machine.setattr(time_order, "_WORTH_A_THREAD", 1)
        machine.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        by_one = window(positions, tables=tables)
        machine.setattr(os, "sched_getaffinity", lambda _: set(range(processors)), raising=False)
        assert thread_count() == processors
        same(by_one, window(positions, tables=tables), to_the_last_bit=True)


@settings(NO_SHRINKING, max_examples=6)
@given(spoilt_fleets(), spoilt_fleets())
def test_days_beyond_the_window_do_not_matter(buses: list[Bus], others: list[Bus]) -> None:
    """More days at hand, as in a backfill of a range, change nothing: staging is D-2 to D+1, the window cuts it."""
    tables = world(*{each["device_id"]: each for each in (*registered(others), *registered(buses))}.values())
    around = pd.concat([_moved(reported(others), days) for days in (-4, -3, 2, 3)])
    said = visits(visit("06:00", "06:30"))
    before = said.assign(started_at=said["started_at"] - _days(4), ended_at=said["ended_at"] - _days(4))
    alone = reported(buses)
    alone = alone[alone["recorded_at"] < pd.Timestamp(at("48:00"), unit="s", tz="UTC")]
    same(
        window(alone, said, tables=tables),
        window(pd.concat([around, alone]), pd.concat([before, said], ignore_index=True), tables=tables),
    )


@settings(NO_SHRINKING, max_examples=6)
@given(spoilt_fleets())
def test_other_vehicles_do_not_matter(buses: list[Bus]) -> None:
    tables = world(*registered(buses))
    plate = registered(buses)[0]["plate"]
    first = [bus for bus in buses if bus.vehicle == buses[0].vehicle]
    all_of_them, alone = window(reported(buses), tables=tables), window(reported(first), tables=tables)
    own = {name: getattr(all_of_them, name) for name in WINDOW_PARTS}
    own = {name: frame[frame["plate"] == plate].reset_index(drop=True) for name, frame in own.items()}
    same(DayWindow(**own), alone)


@settings(NO_SHRINKING, max_examples=8)
@given(fleets())
def test_the_next_days_window_shows_the_same_trips(buses: list[Bus]) -> None:
    """Trips of D as context of D+1 are those of D itself, unless a window cuts them.

    The window of D+1 begins at noon of D-1: all that is done on D lies in both. Cut are only trips under way at that
    noon and still on D, and trips of D that go on after D+1: none of these lasts so long.
    """
    positions, tables = reported(buses), world(*registered(buses))
    seen = [
        conform(window(positions, day=day, tables=tables).trips, facts.TRIP_WINDOW).drop(columns="date")
        for day in (DAY, NEXT)
    ]
    own, context = (trips[trips["operational_date"] == DAY].sort_values("trip_id") for trips in seen)
    # The resolution of an odometer is judged by all readings of a window.
    shown = [name for name in own if name != "km_uncertainty"]
    pd.testing.assert_frame_equal(own[shown].reset_index(drop=True), context[shown].reset_index(drop=True))


def test_every_trip_and_leg_fits_the_dictionary_and_has_its_own_id() -> None:
    bus = Bus().park(1800).to(NOWHERE).stand(240).to(MILL).park(1800).to(GARAGE).park(1800)
    seen = window(bus, visits(visit("06:00", "06:30")))
    for name, table in WINDOW_PARTS.items():
        frame = conform(getattr(seen, name), table)
        assert not frame.duplicated(list(table.key)).any() if table.key else True
    counting = seen.legs[seen.legs["superseded_by_trip_id"].isna()]
    assert set(counting["trip_id"]) == set(seen.trips["trip_id"])
    assert (seen.trips["parameters_version"] == DEFAULT_PARAMETERS.version).all()


def test_a_day_without_any_data_is_empty_not_an_error() -> None:
    seen = window(empty_frame(lake.STAGING_POSITIONS))
    for name, table in WINDOW_PARTS.items():
        assert conform(getattr(seen, name), table).empty


def test_the_tail_of_a_night_trip_is_seen_from_its_own_day() -> None:
    bus = Bus("23:00").park(1800).to(MILL, kmh=10).park(3600)  # 23:30 to 01:30
    [trip] = window(bus).trips.to_dict("records")
    assert (trip["operational_date"], float(trip["km_measured"])) == (DAY, 20.0)


def test_positions_of_an_unknown_device_belong_to_no_vehicle() -> None:
    known = Bus().park(1800).to(MILL).park(1800)
    unknown = Bus(device="new").park(1800).to(MILL).park(1800)
    same(window(known), window(pd.concat([known.positions(), unknown.positions()])))


def test_a_vehicle_was_observed_while_it_reported_and_not_while_it_was_silent() -> None:
    bus = Bus("06:00").park(1800).unseen(7200).park(1800)
    spans = window(bus).spans
    assert spans["plate"].unique().tolist() == [PLATE]
    hours = [(instant.timestamp() - at("00:00")) / 3600 for instant in (*spans["started_at"], *spans["ended_at"])]
    assert hours == [6.0, 8.5, 6.5, 9.0]


def test_rejected_points_are_listed_on_their_day_with_the_reason() -> None:
    bus = Bus().park(1800)
    bus.seconds += 300
    bus.report(off_m=4_300_000)
    bus.seconds += 300
    rejected = window(bus.park(1800)).rejected
    assert rejected["reason_code"].tolist() == ["impossible_speed"]
    assert window(bus, day=NEXT).rejected.empty


def _days(count: int) -> pd.Timedelta:
    return pd.Timedelta(days=count)


def _moved(positions: pd.DataFrame, days: int) -> pd.DataFrame:
    """The same positions some days away, only those outside of the window of DAY."""
    moved = positions.assign(recorded_at=positions["recorded_at"] + _days(days), date=positions["date"])
    first, last = (pd.Timestamp(at(clock), unit="s", tz="UTC") for clock in ("00:00", "48:00"))
    return moved[(moved["recorded_at"] < first - pd.Timedelta(hours=36)) | (moved["recorded_at"] >= last)]

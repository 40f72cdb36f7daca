"""Positions to tracks: which vehicle a device's points belong to, when, and each instant once."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.primitives.window import Window
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.tracks import Tracks, build_tracks, within_window
from fleet_audit_tests.logic.driving import DAY, DEVICE, ZONE, Bus, at, staged, world

OTHER_ZONE = "America/Campo_Grande"


def tracks(positions: pd.DataFrame, *devices: dict[str, object], zone: str = ZONE) -> Tracks:
    table = world(*devices).devices
    return build_tracks([PositionArrays.of_frame(positions)], assignments(table, pd.Series([zone] * len(table))), DAY)


def test_a_device_that_moves_at_midnight_is_another_vehicle_from_then_on() -> None:
    bus = Bus("20:00").park(8 * 3600)
    split = tracks(
        bus.positions(),
        {"device_id": DEVICE, "plate": "AAA1A11", "valid_to": DAY},
        {"device_id": DEVICE, "plate": "BBB2B22", "valid_from": DAY + dt.timedelta(days=1)},
    )
    assert split.index["plate"].tolist() == ["AAA1A11", "BBB2B22"]
    assert split.seconds[split.offsets[1]] == at("24:00")


def test_midnight_is_that_of_the_vehicles_unit() -> None:
    device = {"device_id": DEVICE, "plate": "AAA1A11", "valid_from": DAY}
    west = tracks(Bus(at("20:00") - 86_400).park(8 * 3600).positions(), device, zone=OTHER_ZONE)
    assert west.seconds[0] == at("01:00")


def test_a_device_that_no_row_names_waits() -> None:
    assert len(tracks(Bus(device="unknown").stand(60).positions()).seconds) == 0


def test_the_window_reaches_from_noon_two_days_before_to_the_end_of_the_next_day() -> None:
    kept = tracks(Bus(at("00:00") - 3 * 86_400).park(7 * 86_400).positions())
    assert (kept.seconds[0], kept.seconds[-1]) == (at("00:00") - 36 * 3600, at("48:00") - 600)


def test_west_of_sao_paulo_the_window_ends_with_the_last_day_that_is_staged() -> None:
    """23:30 in Campo Grande is on São Paulo's next day: whether that day is staged must not matter."""
    kept = tracks(Bus("00:00").park(3 * 86_400).positions(), zone=OTHER_ZONE)
    assert kept.seconds[-1] == at("48:00") - 600


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_of_two_rows_of_one_instant_the_fuller_counts_then_the_greater(order: list[int]) -> None:
    bus = Bus()
    bus.report(odometer_km=None).report(odometer_km=1000.4)
    kept = tracks(staged([bus.records[number] for number in order]))
    assert kept.odometer_km.tolist() == [1000.4]


def test_without_coordinates_each_trip_key_counts_once() -> None:
    bus = Bus(driver=None)
    blind = [{**bus.records[0], "latitude": None, "longitude": None, "trip_key": key} for key in ("V1", "V1", "V2")]
    kept = tracks(staged([*blind, bus.records[0]]))
    assert len(kept.seconds) == 3
    assert kept.is_located.sum() == 1


def test_taking_points_keeps_them_with_their_track() -> None:
    both = tracks(pd.concat([Bus().stand(120).positions(), Bus(device="D2").stand(120).positions()]))
    some = both.take(np.arange(len(both.seconds)) % 2 == 0)
    assert some.offsets.tolist() == [0, 3, 5]
    assert some.track_of(np.arange(5)).tolist() == [0, 0, 0, 1, 1]


def test_other_rows_are_cut_to_the_window_of_their_zone() -> None:
    starts = pd.to_datetime([Window(DAY, zone).start for zone in _zones()] * 2, utc=True)
    rows = pd.DataFrame({"started_at": starts - pd.to_timedelta([0, 0, 1, 1], unit="us")})
    kept = within_window(rows, pd.Series([ZONE, OTHER_ZONE] * 2), DAY)
    assert kept["started_at"].tolist() == starts[:2].tolist()


def _zones() -> list:
    from zoneinfo import ZoneInfo

    return [ZoneInfo(ZONE), ZoneInfo(OTHER_ZONE)]

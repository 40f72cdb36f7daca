"""Movements that several exports report: each counts once, whichever file arrived first and however it rounds."""

from __future__ import annotations

import datetime as dt
import random
import time

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.trips.reported.movements import copied_movements, counted_movements

PLATE, OTHER = "AAA1A11", "BBB2B22"
ORDER = {"first": 0, "second": 1, "third": 2}  # files by arrival
DAY_S = 86_400


def _movements(*rows: tuple[str, str, str, float], plate: str = PLATE) -> pd.DataFrame:
    """Rows of (file, departure, arrival, km); clocks are of 10/06/2025, an earlier arrival is of the day after."""
    frame = pd.DataFrame(rows, columns=["file_name", "departed", "arrived", "reported_km"])
    departed, arrived = (pd.to_datetime("2025-06-10 " + frame[name]) for name in ("departed", "arrived"))
    frame = frame.assign(
        plate=plate,
        departed_local=departed,
        arrived_local=arrived + pd.to_timedelta((arrived < departed) * DAY_S, unit="s"),
        file_sha256=frame["file_name"],
        received_at=pd.Timestamp("2025-06-11T08:00Z") + pd.to_timedelta(frame["file_name"].map(ORDER), unit="h"),
        row_number=np.arange(len(frame)) + 10,
    )
    return frame.assign(reported_until=frame.groupby(["file_sha256", "plate"])["arrived_local"].transform("max"))


def _counted(rows: pd.DataFrame) -> list[tuple[str, str, float]]:
    kept = rows[counted_movements(rows)]
    return sorted(
        (row.file_name, f"{row.departed_local:%H:%M:%S}", row.reported_km) for row in kept.itertuples(index=False)
    )


UNDER_WAY = ("first", "06:04:35", "06:54:35", 24.1)
COMPLETE = ("second", "06:04:35", "07:06:45", 30.2)


def test_a_movement_under_way_in_one_export_and_complete_in_another_counts_once_and_complete():
    assert _counted(_movements(UNDER_WAY, COMPLETE)) == [("second", "06:04:35", 30.2)]


def test_the_complete_movement_counts_when_its_export_arrived_first_too():
    rows = _movements(("second", *UNDER_WAY[1:]), ("first", *COMPLETE[1:]))
    assert _counted(rows) == [("first", "06:04:35", 30.2)]


def test_the_order_of_rows_changes_nothing():
    rows = _movements(UNDER_WAY, ("first", "04:00:00", "05:00:00", 20), COMPLETE, ("second", "08:00:00", "09:00:00", 9))
    expected = _counted(rows)
    assert len(expected) == 3
    for seed in range(5):
        order = list(range(len(rows)))
        random.Random(seed).shuffle(order)
        assert _counted(rows.iloc[order].reset_index(drop=True)) == expected


@pytest.mark.parametrize(
    "again",
    [
        ("second", "06:04:36", "07:06:44", 30.2),  # typed cells that lie a second below
        ("second", "06:04:00", "07:06:00", 30.2),  # minutes only
        ("second", "06:04:35", "07:06:45", 30.2014),  # four decimals
    ],
)
def test_the_same_movement_written_otherwise_is_the_one_of_the_file_that_arrived_first(again):
    assert _counted(_movements(("first", *COMPLETE[1:]), again)) == [("first", "06:04:35", 30.2)]


def test_the_later_export_decides_how_a_movement_is_split():
    rows = _movements(
        ("first", "06:00:00", "07:00:00", 30),
        ("second", "06:00:00", "06:25:00", 12),
        ("second", "06:35:00", "07:00:00", 18),
        ("second", "09:00:00", "09:30:00", 15),
    )
    assert _counted(rows) == [("second", "06:00:00", 12), ("second", "06:35:00", 18), ("second", "09:00:00", 15)]


@pytest.mark.parametrize("empty", ["first", "second"])
@pytest.mark.parametrize("other", ["first", "second"])
def test_a_movement_whose_km_one_row_leaves_empty_has_those_of_the_other(empty, other):
    """20 km were lost where the row without km came first, or last by a later export."""
    rows = _movements((empty, "06:00:00", "06:30:00", None), (other, "06:00:00", "06:30:00", 20.0))
    for found in (rows, rows.iloc[::-1].reset_index(drop=True)):
        assert _counted(found) == [(other, "06:00:00", 20.0)]


@pytest.mark.parametrize(
    "without_km",
    [
        [("first", "06:00:00", "06:30:01", None)],
        [("first", "06:00:30", "06:31:00", None)],
        [("second", "06:00:00", "06:32:00", None)],
        [("second", "06:00:00", "06:15:00", 10.0), ("second", "06:16:00", "06:30:00", None)],
    ],
    ids=["a second longer", "rounded to the minute", "two minutes longer elsewhere", "a part without km elsewhere"],
)
def test_a_movement_with_km_counts_before_one_without_that_differs_a_little(without_km):
    for rows in (
        [("first", "06:00:00", "06:30:00", 20.0), *without_km],
        [*without_km, ("first", "06:00:00", "06:30:00", 20.0)],
    ):
        assert _counted(_movements(*rows)) == [("first", "06:00:00", 20.0)]


def test_a_report_that_begins_at_midnight_with_the_rest_of_a_movement_does_not_count():
    rows = _movements(("first", "23:40:00", "00:30:00", 28.5), ("second", "23:59:59", "00:30:00", 17))
    assert _counted(rows) == [("first", "23:40:00", 28.5)]


def test_movements_that_only_touch_are_two():
    rows = _movements(
        ("first", "06:00:00", "06:30:00", 15),
        ("first", "06:30:00", "06:50:00", 10),
        ("second", "06:30:01", "06:50:01", 10),
        ("second", "06:50:01", "07:10:00", 9),
    )
    assert _counted(rows) == [("first", "06:00:00", 15), ("first", "06:30:00", 10), ("second", "06:50:01", 9)]


def test_two_vehicles_at_the_same_time_are_two_movements():
    rows = pd.concat([_movements(UNDER_WAY), _movements(COMPLETE, plate=OTHER)], ignore_index=True)
    assert len(_counted(rows)) == 2


def test_one_file_cannot_let_a_vehicle_leave_twice_at_once_and_otherwise_overlaps_are_left_to_the_audit():
    twice = _movements(("first", "06:04:35", "06:54:35", 24.1), ("first", "06:04:35", "07:06:45", 30.2))
    assert _counted(twice) == [("first", "06:04:35", 30.2)]
    overlapping = _movements(("first", "06:00:00", "07:00:00", 30), ("first", "06:30:00", "07:30:00", 31))
    assert len(_counted(overlapping)) == 2


def test_no_two_rows_that_count_leave_at_the_same_instant():
    """Trips are named by vehicle, device and departure: two of one name would stop the whole fleet's day."""
    generator = random.Random(7)
    for _ in range(50):
        rows = []
        for _ in range(30):
            minute, length = generator.randrange(60, 600, 5), generator.choice([0, 1, 5, 20, 60])
            start = dt.datetime(2025, 6, 10) + dt.timedelta(minutes=minute)
            end = start + dt.timedelta(minutes=length)
            rows.append((generator.choice(list(ORDER)), f"{start:%H:%M:%S}", f"{end:%H:%M:%S}", float(length)))
        kept = _movements(*rows)
        kept = kept[counted_movements(kept)]
        assert not kept["departed_local"].duplicated().any()


def test_a_hostile_report_of_movements_that_all_overlap_ends():
    count = 20_000
    start = pd.Timestamp("2025-06-10") + pd.to_timedelta(np.arange(count), unit="s")
    rows = pd.DataFrame(
        {
            "plate": PLATE, "departed_local": start, "arrived_local": start + pd.Timedelta(hours=20),
            "reported_km": 1.0,
            "file_sha256": np.where(np.arange(count) % 2, "a", "b"), "file_name": "x", "row_number": np.arange(count),
            "received_at": pd.Timestamp("2025-06-11T08:00Z"), "reported_until": start.max() + pd.Timedelta(hours=20),
        }
    )  # fmt: skip
    counted_movements(rows.head(10))  # compiled
    started = time.process_time()
    counted_movements(rows)
    assert time.process_time() - started < 10


def test_no_movements_are_no_movements():
    assert counted_movements(_movements()).tolist() == []


def _of_files(*movements: tuple[str, str, float]) -> pd.DataFrame:
    """Movements (file, departure, km) of 25 min 10 s each, between two addresses."""
    rows = [
        (name, departed, f"{pd.Timestamp(f'2025-06-10 {departed}') + pd.Timedelta('25min10s'):%H:%M:%S}", km)
        for name, departed, km in movements
    ]
    return _movements(*rows).assign(origin_address="Garagem", destination_address=None)


DRIVEN = (("first", "05:10:07", 24.1), ("first", "07:12:00", 17.5), ("first", "15:31:44", 15.9))


def _an_hour_later(file_name: str = "second") -> list[tuple[str, str, float]]:
    return [(file_name, f"{int(at[:2]) + 1:02d}{at[2:]}", km) for _, at, km in DRIVEN]


def test_movements_that_another_report_has_whole_hours_apart_are_its_copies():
    rows = _of_files(*DRIVEN, *_an_hour_later(), ("second", "20:00:00", 9.0))
    assert rows.loc[copied_movements(rows), "departed_local"].dt.hour.tolist() == [6, 8, 16]
    assert set(rows.loc[copied_movements(rows), "file_name"]) == {"second"}
    order = np.random.default_rng(1).permutation(len(rows))
    assert (copied_movements(rows)[order] == copied_movements(rows.iloc[order])).all()


@pytest.mark.parametrize(
    "other",
    [
        _an_hour_later()[:2],  # too few
        [(name, at, km + 0.1) for name, at, km in _an_hour_later()],
        [(name, at[:-2] + "33", km) for name, at, km in _an_hour_later()],  # not whole hours
        [("second", at, km) for _, at, km in DRIVEN],
    ],
    ids=["two", "other km", "other seconds", "the same times"],
)
def test_other_movements_are_no_copies(other: list[tuple[str, str, float]]):
    rows = _of_files(*DRIVEN, *other)
    assert not copied_movements(rows).any()


def test_a_shuttle_of_the_afternoon_is_no_copy_of_that_of_the_morning():
    morning = [("first", f"{hour:02d}:00:00", 10.0) for hour in (5, 6, 7, 8)]
    afternoon = [("second", f"{hour:02d}:00:00", 10.0) for hour in (13, 14, 15, 16)]
    assert not copied_movements(_of_files(*morning, *afternoon)).any()
    assert not copied_movements(_of_files(*morning, *[("first", *row[1:]) for row in afternoon])).any()

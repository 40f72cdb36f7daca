import pandas as pd
import pytest

from fleet_audit.logic.reference.shifts import nearest_shifts, parse_clock, parse_weekdays
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import SHIFTS
from fleet_audit_tests.logic.frames import rows, utc

SAO_PAULO = "America/Sao_Paulo"


def shift(code: str, start: str, end: str, tolerance: str | None = "60", weekdays: str | None = None) -> dict:
    return {
        "unit_code": "U",
        "shift_code": code,
        "start_local": start,
        "end_local": end,
        "weekdays": weekdays,
        "tolerance_min": tolerance,
    }


def found(at: str, *shifts: dict, arrival: bool = True, zone: str = SAO_PAULO, unit: str = "U") -> str | None:
    """The shift of one local time."""
    moment = pd.Timestamp(at, tz=zone).tz_convert("UTC").as_unit("us")
    moments = pd.DataFrame({"unit_code": [unit], "timezone": [zone], "at": [moment], "is_arrival": [arrival]})
    code = nearest_shifts(moments, rows(SHIFTS, *shifts), 60).iloc[0]
    return None if pd.isna(code) else code


DAY_SHIFT, EVENING, NIGHT = shift("A", "07:00", "15:20"), shift("B", "15:20", "23:40"), shift("C", "23:40", "07:00")


def test_an_arrival_serves_the_nearest_start_a_departure_the_nearest_end() -> None:
    assert found("2025-06-10 06:45", DAY_SHIFT, EVENING, NIGHT) == "A"
    assert found("2025-06-10 07:20", DAY_SHIFT, EVENING, NIGHT, arrival=False) == "C"
    assert found("2025-06-10 15:30", DAY_SHIFT, EVENING, NIGHT) == "B"
    assert found("2025-06-10 15:30", DAY_SHIFT, EVENING, NIGHT, arrival=False) == "A"


def test_the_tolerance_is_inclusive_and_each_shift_s_own() -> None:
    assert found("2025-06-10 08:00", DAY_SHIFT) == "A"
    assert found("2025-06-10 08:01", DAY_SHIFT) is None
    near_but_strict, far_but_wide = shift("A", "07:00", "15:00", "10"), shift("ADM", "07:30", "17:00", "90")
    assert found("2025-06-10 06:40", near_but_strict, far_but_wide) == "ADM"


def test_a_shift_without_tolerance_has_the_default_one() -> None:
    assert found("2025-06-10 08:00", shift("A", "07:00", "15:00", None)) == "A"
    assert found("2025-06-10 08:01", shift("A", "07:00", "15:00", None)) is None


def test_equally_near_shifts_are_told_apart_by_code() -> None:
    assert found("2025-06-10 07:15", shift("Z", "07:00", "15:00"), shift("M", "07:30", "17:00")) == "M"


def test_arriving_after_midnight_still_serves_the_shift_that_started_before_it() -> None:
    assert found("2025-06-11 00:10", NIGHT) == "C"
    assert found("2025-06-10 23:30", shift("N", "00:00", "06:00")) == "N"
    assert found("2025-06-11 00:20", EVENING, arrival=False) == "B"


def test_the_weekday_is_that_of_the_day_on_which_the_shift_starts() -> None:
    friday_night = shift("C", "23:40", "07:00", weekdays="1-5")
    assert found("2025-06-14 00:10", friday_night) == "C"  # Saturday, for Friday's night shift
    assert found("2025-06-14 07:10", friday_night, arrival=False) == "C"
    assert found("2025-06-15 00:10", friday_night) is None  # Sunday: Saturday has none
    assert found("2025-06-16 07:10", friday_night, arrival=False) is None  # Monday: Sunday has none


def test_shifts_are_on_the_wall_clock_of_the_zone() -> None:
    assert found("2025-06-10 07:00", shift("A", "07:00", "15:00", "5"), zone="America/Campo_Grande") == "A"
    # 17/02/2018: clocks went back at midnight; the night shift from 23:40 has ended by the new clock at 07:00.
    assert found("2018-02-18 07:05", shift("C", "23:40", "07:00", "10"), arrival=False) == "C"
    # 04/11/2018 had no 00:00-00:59: a shift that starts then starts at 01:00.
    assert found("2018-11-04 01:04", shift("N", "00:30", "06:00", "5")) == "N"


def test_only_the_unit_s_own_shifts_count() -> None:
    assert found("2025-06-10 07:00", DAY_SHIFT, unit="V") is None


def test_nothing_is_found_without_shifts_or_moments() -> None:
    moments = pd.DataFrame({
        "unit_code": ["U"], "timezone": [SAO_PAULO], "at": pd.Series([utc("2025-06-10 10:00")]), "is_arrival": [True],
    })  # fmt: skip
    assert nearest_shifts(moments, empty_frame(SHIFTS), 60).isna().all()
    assert len(nearest_shifts(moments.iloc[:0], rows(SHIFTS, DAY_SHIFT), 60)) == 0


@pytest.mark.parametrize(
    ("text", "days"),
    [("1-5", {1, 2, 3, 4, 5}), ("1,3,5", {1, 3, 5}), ("6-1", {6, 7, 1}), ("7", {7}), ("1-3; 6", {1, 2, 3, 6})],
)
def test_weekdays_are_iso(text: str, days: set[int]) -> None:
    assert parse_weekdays(text) == days


def test_what_is_no_weekday_or_time_is_named() -> None:
    assert parse_weekdays("") == parse_weekdays(None) == set(range(1, 8))
    with pytest.raises(ValueError, match="seg"):
        parse_weekdays("seg-sex")
    with pytest.raises(ValueError, match="7h30"):
        parse_clock("7h30")
    assert parse_clock("07:30") == 450


def test_a_shift_border_in_a_repeated_hour_is_met_twice() -> None:
    """Santiago, 5 April 2025: 23:40 is 02:40Z and, after the clock went back, 03:40Z."""
    found = nearest_shifts(
        pd.DataFrame(
            {
                "unit_code": ["U"] * 2,
                "timezone": ["America/Santiago"] * 2,
                "at": pd.to_datetime(["2025-04-06T02:18Z", "2025-04-06T04:18Z"], utc=True),
                "is_arrival": [True, True],
            }
        ),
        pd.DataFrame(
            {
                "unit_code": ["U"],
                "shift_code": ["C"],
                "start_local": ["23:40"],
                "end_local": ["07:40"],
                "weekdays": [None],
                "tolerance_min": [45],
            }
        ),
        60,
    )
    assert found.to_list() == ["C", "C"]

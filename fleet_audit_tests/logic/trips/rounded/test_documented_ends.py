"""Which declared runs may decide a place: those that run the day again, of the unit of their day, on the day meant."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.defs.window_positions import WINDOW_PARTS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.driving import DAY, GARAGE, MILL, PLATE, Bus, window
from fleet_audit_tests.logic.frames import rows
from fleet_audit_tests.logic.trips.rounded.test_documented_places import (
    OUT_AND_BACK,
    declared,
    rounded,
    run,
    tables,
    to_the_mill,
)

_DAY = dt.timedelta(days=1)


def dated(day: dt.date, *runs: dict) -> tuple[dict, ...]:
    return tuple(one | {"date": day, "declared_date": day} for one in runs)


def purposes(bus: Bus, *runs: dict, day: dt.date = DAY, known: Reference | None = None) -> list[str]:
    trips = window(rounded(bus), tables=known or tables(), runs=declared(*runs), day=day).trips
    trips = trips[(trips["purpose"] != "yard") & (trips["operational_date"] == day)]
    assert trips["km_measured"].to_list() == [Decimal("20.00")] * len(trips)
    return trips.sort_values("started_at")["purpose"].to_list()


@pytest.mark.parametrize(
    ("days", "purpose"), [(-2, "unknown"), (-1, "service"), (0, "service"), (1, "unknown"), (2, "unknown")]
)
def test_only_bulletins_that_run_a_day_again_decide_its_places(days: int, purpose: str) -> None:
    """One of D-1 runs D again, one of D+1 whose first run departs at 06:03 does not."""
    assert purposes(to_the_mill(), *dated(DAY + days * _DAY, *OUT_AND_BACK)) == [purpose] * 2


def test_a_text_is_read_with_the_places_of_the_unit_that_the_vehicle_has_on_the_day_of_the_run() -> None:
    """From July on the vehicle belongs to another unit, which has no such mill."""
    known = tables().tables()
    vehicles = known["vehicles"]
    is_own = vehicles["plate"] == PLATE
    facts = vehicles[is_own].iloc[0].dropna().to_dict()
    now, later = (facts | {"valid_to": "2025-06-30"}, facts | {"valid_from": "2025-07-01", "unit_code": "UCB"})
    known["vehicles"] = pd.concat([rows(reference.VEHICLES, now, later), vehicles[~is_own]], ignore_index=True)
    assert purposes(to_the_mill(), *OUT_AND_BACK, known=Reference.of(known)) == ["service"] * 2


NIGHT = (run("00:10", "GAR", "00:30", "USI"), run("01:30", "USI", "01:50", "GAR"))


def night(*goes: bool) -> Bus:
    """Of nights that follow each other, on those that are True garage to mill at 00:10 and back at 01:30."""
    bus = Bus("00:00").park(600)
    start = bus.seconds
    for number, is_driven in enumerate(goes):
        bus.park(start + number * 86_400 - bus.seconds) if number else None
        if is_driven:
            bus.to(MILL).park(3600).to(GARAGE)
    return bus.park(6 * 3600)


def test_a_night_run_dated_by_its_shift_names_the_places_of_the_night_after() -> None:
    assert purposes(night(False, True), *NIGHT, day=DAY + _DAY) == ["service"] * 2


def test_a_night_run_names_no_place_of_the_night_before_where_it_fits_both() -> None:
    assert purposes(night(True, True), *NIGHT) == ["unknown"] * 2
    assert purposes(night(True, True), *NIGHT, day=DAY + _DAY) == ["unknown"] * 2


def test_a_night_run_that_fits_the_night_as_written_alone_names_its_places() -> None:
    assert purposes(night(True, False), *NIGHT) == ["service"] * 2


def test_runs_of_every_night_name_the_same_places_whichever_night_each_one_means() -> None:
    later = tuple(
        one
        | {name: one[name] + pd.Timedelta(days=1) for name in ("started_at", "ended_at")}
        | {"declared_run_id": f"runs later: {one['declared_run_id']}"}
        for one in dated(DAY + _DAY, *NIGHT)
    )
    assert purposes(night(True, True), *NIGHT, *later, day=DAY + _DAY) == ["service"] * 2


def test_runs_have_an_influence_on_the_vehicles_that_the_window_lists_and_on_no_other() -> None:
    """The others' windows are not computed again for a bulletin."""
    both = pd.concat([rounded(to_the_mill()).positions(), to_the_mill("D2").positions()])
    runs = declared(*OUT_AND_BACK, *(one | {"plate": "BBB2B22"} for one in OUT_AND_BACK))
    without, having = window(both, tables=tables()), window(both, tables=tables(), runs=runs)
    assert without.rounded["plate"].to_list() == having.rounded["plate"].to_list() == [PLATE]
    for name, table in WINDOW_PARTS.items():
        before, after = (conform(getattr(one, name), table) for one in (without, having))
        pd.testing.assert_frame_equal(*(rows[rows["plate"] != PLATE] for rows in (before, after)))
        assert before.equals(after) is (name not in {"trips", "legs"}), name

"""A night run is found on the day on which it took place, from whichever window it is seen."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.findings import held_runs
from fleet_audit.logic.audit.matching import match
from fleet_audit.logic.audit.night_shifts import repair_dates, repair_dates_of_cycle, trips_of_next_day
from fleet_audit.logic.audit.repeats import duplicates
from fleet_audit.logic.audit.rules.day.presence import unlinked_runs
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit_tests.logic.audit_sample import (
    CONTRACTS,
    DAY,
    PLATE,
    SHIFTS,
    VEHICLES,
    at,
    audit,
    found,
    on_their_days,
    repaired,
    run,
    runs_frame,
    span,
    trip,
    trips_frame,
)

NEXT = DAY + dt.timedelta(days=1)
NIGHT = {"shift_code": "C"}


def decided(trips: list[dict], runs: list[dict]) -> pd.DataFrame:
    return repaired(runs_frame(*runs), trips_frame(*trips)).set_index("declared_run_id")


def test_a_run_dated_by_its_shift_moves_to_the_day_of_its_trip() -> None:
    run_c = decided([trip("T", "00:30", "01:30", day=NEXT)], [run("R", "00:30", "01:30", **NIGHT)]).loc["R"]
    assert run_c["is_date_repaired"]
    assert run_c["operational_date"] == NEXT
    assert (run_c["started_at"], run_c["ended_at"]) == (at("00:30", NEXT), at("01:30", NEXT))
    assert run_c["declared_date"] == DAY


@pytest.mark.parametrize(
    ("start", "end", "shift", "moves"),
    [
        ("03:59", "05:00", "A", True),
        ("04:00", "05:00", "A", False),
        ("05:30", "06:30", "C", True),
        ("05:30", "06:30", "c", True),
        ("05:30", "06:30", "Turno C", True),
        ("05:30", "06:30", None, False),
        ("23:50", "24:40", "C", True),
    ],
    ids=[
        "before four",
        "at four",
        "shift over midnight",
        "in another case",
        "with the word",
        "no shift",
        "late departure of the shift",
    ],
)
def test_which_runs_are_tried_on_the_next_day(start: str, end: str, shift: str | None, moves: bool) -> None:
    table = decided([trip("T", start, end, day=NEXT)], [run("R", start, end, shift_code=shift)])
    assert bool(table.loc["R", "is_date_repaired"]) is moves
    assert table.loc["R", "operational_date"] == (NEXT if moves else DAY)


def test_a_trip_on_both_days_leaves_the_date_as_written_and_marks_it_uncertain() -> None:
    trips = [trip("T1", "00:30", "01:30"), trip("T2", "00:30", "01:30", day=NEXT)]
    table = decided(trips, [run("R", "00:30", "01:30", **NIGHT)])
    assert not table.loc["R", "is_date_repaired"]
    assert table.loc["R", "is_day_uncertain"]


def test_a_trip_on_neither_day_leaves_the_date_as_written() -> None:
    table = decided([], [run("R", "00:30", "01:30", **NIGHT)])
    assert not table.loc["R", ["is_date_repaired", "is_day_uncertain"]].any()


def test_a_trip_that_another_run_has_is_not_taken() -> None:
    trips = [trip("T", "00:30", "01:30", day=NEXT)]
    runs = [run("R", "00:30", "01:30", **NIGHT), run("S", "00:30", "01:30", day=NEXT, **NIGHT)]
    assert not decided(trips, runs)["is_date_repaired"].any()


def test_less_than_half_of_a_trip_does_not_make_it_taken() -> None:
    trips = [trip("T", "00:30", "01:30", day=NEXT)]
    beside = run("S", "01:01", "02:30", day=NEXT, shift_code="A")
    assert decided(trips, [run("R", "00:30", "01:30", **NIGHT), beside]).loc["R", "is_date_repaired"]


def test_the_same_row_twice_does_not_hinder_itself() -> None:
    trips = [trip("T", "00:30", "01:30", day=NEXT)]
    runs = [run("R", "00:30", "01:30", **NIGHT), run("copy", "00:30", "01:30", **NIGHT)]
    assert decided(trips, runs)["is_date_repaired"].all()


def test_the_next_day_is_a_calendar_day_where_clocks_change() -> None:
    """In New York 2025-03-09 has 23 hours and skips 02:00 to 03:00."""
    zone, day = "America/New_York", dt.date(2025, 3, 8)
    vehicles = VEHICLES.assign(timezone=zone)
    night = {"day": day, "shift_code": "C"}

    def moved(start: str, end: str, trip_start: str, trip_end: str) -> pd.Series:
        run_row = {**run("R", start, end, **night), "started_at": at(start, day, zone), "ended_at": at(end, day, zone)}
        after = day + dt.timedelta(days=1)
        trip_row = trip(
            "T", "0:00", "1:00", day=after, started_at=at(trip_start, after, zone), ended_at=at(trip_end, after, zone)
        )
        runs = runs_frame(run_row)
        registered = on_their_days(vehicles, runs)
        return repair_dates(runs, trips_frame(trip_row), SHIFTS, registered, DEFAULT_PARAMETERS).iloc[0]

    across = moved("01:00", "04:00", "01:00", "04:00")
    assert across["is_date_repaired"]
    assert across["ended_at"] - across["started_at"] == pd.Timedelta(hours=2)
    assert moved("03:30", "05:00", "03:30", "05:00")["started_at"] == pd.Timestamp("2025-03-09T07:30Z")


def test_a_vehicle_that_nobody_knows_is_read_in_sao_paulo_time() -> None:
    table = decided([], [run("R", "22:30", "23:30", plate="ZZZ9Z99")])
    assert table.loc["R", "operational_date"] == DAY
    assert pd.isna(table.loc["R", "unit_code"])


_clock = st.sampled_from(["00:10", "00:40", "02:00", "05:00", "22:50", "23:45"])
_offsets = st.integers(-2, 2)


_readings = st.none() | st.integers(0, 5)
_written = st.tuples(_clock, _offsets, st.sampled_from(["A", "C"]), _readings)


def _end(clock: str) -> str:
    return f"{int(clock[:2]) + 1}:{clock[3:]}"


def _on(offset: int) -> dt.date:
    return DAY + dt.timedelta(days=offset)


def _drawn(trip_starts: list, written: list) -> tuple[list[dict], list[dict]]:
    trips = [trip(f"T{n}", clock, _end(clock), day=_on(offset)) for n, (clock, offset) in enumerate(trip_starts)]
    runs = [
        run(f"R{n}", clock, _end(clock), day=_on(offset), shift_code=shift, **readings(at_km))
        for n, (clock, offset, shift, at_km) in enumerate(written)
    ]
    return trips, runs


def _seen_from(window: int, trips: list[dict], runs: list[dict]) -> tuple[list[dict], list[dict]]:
    """The window of a day: trips of D-1 … D+1, runs of DATA D-2 … D+1."""
    return (
        [row for row in trips if abs((row["operational_date"] - _on(window)).days) <= 1],
        [row for row in runs if -2 <= (row["declared_date"] - _on(window)).days <= 1],
    )


@settings(max_examples=15)
@given(st.lists(st.tuples(_clock, _offsets), max_size=6), st.lists(_written, max_size=8))
def test_the_windows_of_both_days_decide_a_run_alike(trip_starts: list, written: list) -> None:
    trips, runs = _drawn(trip_starts, written)

    def of_day(window: int) -> pd.DataFrame:
        table = decided(*_seen_from(window, trips, runs))
        table = table[table["declared_date"] == DAY].sort_index()
        return table[["started_at", "ended_at", "is_date_repaired", "is_day_uncertain"]]

    pd.testing.assert_frame_equal(of_day(0), of_day(1))


@settings(max_examples=5)
@given(st.lists(st.tuples(_clock, _offsets), max_size=8), st.lists(_written, max_size=10))
def test_each_run_and_trip_has_one_day_and_one_group_whichever_windows_are_looked_through(
    starts: list, written: list
) -> None:
    trips, runs = _drawn(starts, written)
    days, groups, grouped_trips = [], [], []
    for window in range(-2, 4):
        of_window = _seen_from(window, trips, runs)
        seen = trips_frame(*of_window[0])
        table = repaired(runs_frame(*of_window[1]), seen)
        postponed = trips_of_next_day(table, seen, DEFAULT_PARAMETERS)
        matches = match(seen, table, CONTRACTS, DEFAULT_PARAMETERS, (), postponed).groups
        days += table.loc[table["operational_date"] == _on(window), "declared_run_id"].to_list()
        of_day = matches[matches["operational_date"] == _on(window)]
        groups += of_day["declared_run_ids"].explode().dropna().to_list()
        grouped_trips += of_day["trip_ids"].explode().dropna().to_list()
    names = [row["declared_run_id"] for row in runs]
    assert sorted(days) == sorted(names)
    assert sorted(groups) == sorted(names)
    assert sorted(grouped_trips) == sorted(row["trip_id"] for row in trips)


def test_a_trip_over_midnight_beside_a_night_run_of_the_next_data_is_in_one_group() -> None:
    """Only the window of NEXT sees that the run is of the night after: there the trip is compared, in neither else."""
    after = NEXT + dt.timedelta(days=1)
    trips = [trip("T", "23:50", "24:30", day=DAY), trip("later", "00:01", "00:30", day=after)]
    run_row = run("R", "00:01", "00:30", day=NEXT, **NIGHT)
    seen = {}
    for window in range(-1, 4):
        of_window = _seen_from(window, trips, [run_row])
        table = repaired(runs_frame(*of_window[1]), trips_frame(*of_window[0]))
        postponed = trips_of_next_day(table, trips_frame(*of_window[0]), DEFAULT_PARAMETERS)
        groups = match(trips_frame(*of_window[0]), table, CONTRACTS, DEFAULT_PARAMETERS, (), postponed).groups
        for row in groups[groups["operational_date"] == _on(window)].itertuples():
            seen[tuple(row.trip_ids), tuple(row.declared_run_ids)] = _on(window)
    assert seen == {(("T",), ()): NEXT, (("later",), ("R",)): after}


def readings(at_km: int | None) -> dict[str, str]:
    """KM SAÍDA and KM CHEGADA of a run of 30 km, the so-manieth of a chain; none where it is not known."""
    return {} if at_km is None else {"odometer_start_km": f"{at_km * 30}", "odometer_end_km": f"{at_km * 30 + 30}"}


NIGHTS = 4


def week(dated_by_shift: bool, *, unseen: int | None = None, unread: int | None = None) -> tuple[list, list]:
    """Each day a ride at 00:30, one at 08:00 and one at 17:00, all declared (`C0`: the night of DAY).

    The nights are dated by their shift, a day early, or by the day. The trip of one night ride is out of sight, another
    is declared without readings, so that nothing but trips can show its day.
    """
    trips, runs = [], []
    for number in range(-1, NIGHTS):
        day = DAY + dt.timedelta(days=number)
        for place, (clock, shift) in enumerate((("00:30", "C"), ("08:00", "A"), ("17:00", "B"))):
            is_night, name, end = shift == "C", f"{shift}{number}", f"{int(clock[:2]) + 1}:{clock[3:]}"
            written = day - dt.timedelta(days=int(dated_by_shift and is_night))
            chain = {} if is_night and number == unread else readings(3 * number + place + 10)
            named = {"origin_text": f"ORIGEM {clock}", "shift_code": shift}
            runs.append(run(name, clock, end, day=written, **named, **chain))
            if not (is_night and number == unseen):
                trips.append(trip(name, clock, end, day=day))
    return trips, runs


ACCUSATIONS = ("D01", "D02", "D04", "D05", "D08", "D10")


def accused(trips: list[dict], runs: list[dict], spans: list[dict] | None = None) -> list[str]:
    context = audit(trips, runs, spans)
    return [rule_id for rule_id in ACCUSATIONS if found(context, rule_id)]


@pytest.mark.parametrize(("start_km", "moves"), [("240", True), ("90", False), ("170", False)])
def test_readings_in_multiples_of_five_date_a_night_by_the_day_that_they_miss_less(start_km: str, moves: bool) -> None:
    """Every run overlaps the next by 4 km: on DATA 4 or 146 km are missed, in between both days are missed by far."""

    def on(day: dt.date, first_km: int) -> list[dict]:
        clocks = [("05:00", "05:40"), ("14:00", "14:40"), ("16:00", "16:40")]
        return [run(f"{day}/{start}", start, end, day=day, odometer_start_km=str(km), odometer_end_km=str(km + 34))
                for (start, end), km in zip(clocks, (first_km, first_km + 60, first_km + 90), strict=True)]  # fmt: skip

    end_km = str(int(start_km) + 34)
    night = run("R", "06:30", "07:10", **NIGHT, odometer_start_km=start_km, odometer_end_km=end_km)
    trips = [trip(f"T{n}", "06:33", "07:11", day=DAY + dt.timedelta(days=n)) for n in (0, 1)]
    assert decided(trips, [*on(DAY, 60), *on(NEXT, 210), night]).loc["R"]["is_date_repaired"] == moves


@pytest.mark.parametrize("is_read", [True, False], ids=["with readings", "without"])
@pytest.mark.parametrize("dated_by_shift", [True, False], ids=["dated by the shift", "dated by the day"])
@pytest.mark.parametrize("unseen", [0, 1])
def test_a_night_whose_trip_is_out_of_sight_accuses_nobody(unseen: int, dated_by_shift: bool, is_read: bool) -> None:
    """The trip of the night before, at the same hour, has its own run: it is no trip of the next night's."""
    trips, runs = week(dated_by_shift, unseen=unseen, unread=None if is_read else unseen)
    days = [DAY + dt.timedelta(days=number) for number in range(-1, NIGHTS)]
    seen = [span("06:00" if number == unseen + 1 else "00:00", "24:00", day=day) for number, day in enumerate(days)]
    assert accused(trips, runs, seen) == []


def test_a_night_that_its_readings_place_is_moved_and_held_though_its_trip_was_not_seen() -> None:
    context = audit(*week(dated_by_shift=True, unseen=0))
    row = context.runs.set_index("declared_run_id").loc["C0"]
    assert (row["operational_date"], row["is_date_repaired"]) == (DAY, True)
    [finding] = [row for row in found(context, "D12") if row["declared_run_id"] == "C0"]
    assert "leituras de hodômetro" in finding["explanation_pt"]
    assert "C0" in set(unlinked_runs(context)["declared_run_id"])


@pytest.mark.parametrize("dated_by_shift", [True, False], ids=["dated by the shift", "dated by the day"])
@pytest.mark.parametrize("neighbour", ["A0", "B0", "A1", "B-1", "B1"])
@pytest.mark.parametrize(
    ("start", "end"),
    [("0", "0"), ("{0}", "0"), ("0", "{1}"), ("0", "30"), ("{0}", "9{1}"), ("{1}", "{0}"), ("7000{0}", "7000{1}")],
)
def test_cells_that_are_no_reading_date_no_night(start: str, end: str, neighbour: str, dated_by_shift: bool) -> None:
    """An empty cell written as 0, a reading with a digit too many, two that are exchanged, two of another odometer."""
    trips, runs = week(dated_by_shift, unseen=0)
    [row] = [row for row in runs if row["declared_run_id"] == neighbour]
    read = [str(row[f"odometer_{side}_km"]) for side in ("start", "end")]
    row |= {"odometer_start_km": Decimal(start.format(*read)), "odometer_end_km": Decimal(end.format(*read))}
    table = repaired(runs_frame(*runs), trips_frame(*trips)).set_index("declared_run_id")
    nights = [f"C{number}" for number in range(NIGHTS)]
    assert table.loc[nights, "is_date_repaired"].to_list() == [dated_by_shift] * NIGHTS


@pytest.mark.parametrize("dated_by_shift", [True, False], ids=["dated by the shift", "dated by the day"])
@pytest.mark.parametrize("neighbour", ["A0", "B0", "A1", "B-1"])
@pytest.mark.parametrize("off_km", [100, 1000])
def test_a_day_run_whose_readings_are_both_off_dates_no_night(
    off_km: int, neighbour: str, dated_by_shift: bool
) -> None:
    """It overlaps the day runs after it, and not the night alone."""
    trips, runs = week(dated_by_shift, unseen=0)
    [row] = [row for row in runs if row["declared_run_id"] == neighbour]
    row |= {name: Decimal(row[name]) + off_km for name in ("odometer_start_km", "odometer_end_km")}
    table = repaired(runs_frame(*runs), trips_frame(*trips)).set_index("declared_run_id")
    nights = [f"C{number}" for number in range(NIGHTS)]
    assert table.loc[nights, "is_date_repaired"].to_list() == [dated_by_shift] * NIGHTS


def test_two_nights_with_empty_cells_are_no_run_declared_twice() -> None:
    """Both dated by their shift and read at the same clock: a 0 in both is no equal reading."""
    cells = {"odometer_start_km": "0", "odometer_end_km": "0"}
    early = run("R", "23:58", "23:59", origin_text="USINA", destination_text="FRENTE", **cells)
    late = run("S", "00:02", "00:40", day=NEXT, origin_text="USINA", destination_text="FRENTE", **cells)
    assert duplicates(runs_frame(early, late), (), DEFAULT_PARAMETERS).empty


def test_a_night_that_nothing_places_is_in_doubt_and_has_no_trip_of_the_night_before() -> None:
    context = audit(*week(dated_by_shift=True, unseen=1, unread=1))
    assert context.runs.set_index("declared_run_id").loc["C1", "is_day_uncertain"]
    links = context.matching.links.set_index("declared_run_id")["trip_id"]
    assert links.loc["C0"] == "C0"
    assert "C1" not in links.index
    assert not found(context, "D06")
    held = held_runs(context).set_index("declared_run_id")["reason"]
    assert held["C1"] == "date_uncertain"


@pytest.mark.parametrize("dated_by_shift", [True, False], ids=["dated by the shift", "dated by the day"])
def test_a_night_without_readings_goes_where_those_around_it_leave_room(dated_by_shift: bool) -> None:
    links = audit(*week(dated_by_shift, unread=1)).matching.links.set_index("declared_run_id")["trip_id"]
    assert links[["C0", "C1", "C2"]].to_list() == ["C0", "C1", "C2"]


def test_a_night_run_is_no_phantom_while_the_bus_was_not_seen_on_the_day_after_too() -> None:
    invented = [run("R", "00:30", "01:30", **NIGHT)]
    seen = [span("00:00", "24:00")]
    assert accused([], invented, seen) == []
    assert accused([], invented, [*seen, span("00:00", "24:00", day=NEXT)]) == ["D05"]


def series(nights: int, dated_early: bool) -> tuple[list[dict], list[dict]]:
    """A trip at 00:30 on each of some nights, and its runs, dated rightly or a day early, by the shift."""
    days = [DAY + dt.timedelta(days=number) for number in range(nights)]
    early = dt.timedelta(days=1 if dated_early else 0)
    trips = [trip(f"T{day:%d}", "00:30", "01:30", day=day) for day in days]
    runs = [run(f"R{day:%d}", "00:30", "01:30", day=day - early, **NIGHT) for day in days]
    return trips, runs


@pytest.mark.parametrize("dated_early", [True, False])
def test_a_series_of_nights_moves_together_only_when_that_links_more(dated_early: bool) -> None:
    trips, runs = series(5, dated_early)
    daily = repaired(runs_frame(*runs), trips_frame(*trips))
    registered = on_their_days(VEHICLES, daily)
    settled = repair_dates_of_cycle(daily, trips_frame(*trips), SHIFTS, registered, DEFAULT_PARAMETERS)
    assert bool(settled["is_date_repaired"].all()) is dated_early
    assert bool(settled["is_date_repaired"].any()) is dated_early
    links = match(trips_frame(*trips), settled, CONTRACTS, DEFAULT_PARAMETERS).links
    assert set(zip(links["declared_run_id"].str[1:], links["trip_id"].str[1:], strict=True)) == {
        (f"{DAY + dt.timedelta(days=number):%d}",) * 2 for number in range(5)
    }


def test_the_day_shift_and_other_plates_do_not_move_with_a_series() -> None:
    trips, runs = series(4, dated_early=True)
    runs += [run("day", "08:00", "09:00"), run("other", "00:30", "01:30", plate="BBB2B22", **NIGHT)]
    trips += [trip("day", "08:00", "09:00"), trip("other", "00:30", "01:30", plate="BBB2B22")]
    daily = repaired(runs_frame(*runs), trips_frame(*trips))
    registered = on_their_days(VEHICLES, daily)
    settled = repair_dates_of_cycle(daily, trips_frame(*trips), SHIFTS, registered, DEFAULT_PARAMETERS)
    stayed = settled.loc[~settled["is_date_repaired"], "declared_run_id"]
    assert set(stayed) == {"day", "other"}
    assert (settled.loc[settled["plate"] == PLATE, "is_date_repaired"].sum()) == 4


def read(start_km: float, end_km: float) -> dict[str, object]:
    """A night run's readings."""
    return {**NIGHT, "odometer_start_km": str(start_km), "odometer_end_km": str(end_km)}


def test_two_runs_of_one_trip_stay_where_they_are_written() -> None:
    """The bus waits five minutes between them. The second one was moved to the next night: T01, D01, G08."""
    trips = [
        trip("T", "22:28", "23:54"), trip("U", "23:42", "24:41", day=NEXT),
    ]  # fmt: skip
    runs = [
        run("A", "22:29", "23:42", **NIGHT), run("B", "23:44", "23:55", **NIGHT),
        run("C", "23:40", "24:41", day=NEXT, **NIGHT),
    ]  # fmt: skip
    assert not decided(trips, runs)["is_date_repaired"].any()


def test_a_run_that_is_a_part_of_its_trip_is_not_moved_to_another_trip_that_it_fits_no_better() -> None:
    """The bus came empty from the garage, 63 min before on DATA and 53 min before on the day after."""
    trips = [trip("T", "22:53", "24:21"), trip("U", "23:03", "24:20", day=NEXT)]
    table = decided(trips, [run("R", "23:57", "24:23", **NIGHT)])
    assert not table.loc["R", "is_date_repaired"]
    closer = [trip("T", "22:53", "24:21"), trip("U", "23:56", "24:23", day=NEXT)]
    assert decided(closer, [run("R", "23:57", "24:23", **NIGHT)]).loc["R", "is_date_repaired"]


@pytest.mark.parametrize(("start_km", "is_apart"), [(900, True), (1019, False)])
def test_a_run_that_its_trips_alone_move_to_the_time_of_another_run_is_uncertain(start_km: int, is_apart: bool) -> None:
    """A silence hid its own night: with the run of the next night it was two at once (T01). Two that were read one
    after the other are two at once still.
    """
    last = NEXT + dt.timedelta(days=1)
    trips = [trip("U", "23:28", "25:03", day=NEXT)]
    runs = [
        run("R", "23:54", "24:50", "20", **read(start_km, start_km + 20)),
        run("S", "00:12", "01:02", "20", day=last, **read(1020, 1040)),
    ]
    table = decided(trips, runs)
    assert table["is_date_repaired"].to_dict() == {"R": True, "S": False}
    assert table["is_day_uncertain"].to_dict() == {"R": is_apart, "S": False}
    matched = match(trips_frame(*trips), table.reset_index(), CONTRACTS, DEFAULT_PARAMETERS)
    assert set(matched.links["declared_run_id"]) == ({"S"} if is_apart else {"R", "S"})

"""Silences of a tracker: what can have been driven then accuses nobody; what the odometer proves stays proved."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.doubt import matches_with_unseen_km
from fleet_audit.schema import lake
from fleet_audit_tests.logic.audit.rules.test_unseen import PLACES
from fleet_audit_tests.logic.audit_sample import (
    PLATE,
    audit,
    devices_of,
    found,
    measured_leg,
    reasons_not_tested,
    run,
    span,
    trip,
    visit_leg,
)
from fleet_audit_tests.logic.frames import rows

REPORT = {"source": "visit_report"}
SEEN = trip("T", "07:25", "07:48", "25.60", km_uncertainty="0.40")
RUN = run("R", "07:25", "08:21", "42")


def silent(start: str, end: str | None, counted_km: float | None = None) -> list[dict]:
    """The vehicle is watched for three days but from `start` to `end`; its odometer counted so much meanwhile."""
    after = [span(end, "48:00", counted_before_km=counted_km)] if end else []
    return [span("-24:00", start), *after]


def accused(context: AuditDay) -> set[str]:
    return {rule_id for rule_id in ("D01", "D02") if found(context, rule_id)}


def untested(context: AuditDay) -> dict[str, str]:
    return {rule_id: reason for rule_id, reason in reasons_not_tested(context).items() if PLATE in reason}


def test_a_tracker_that_falls_silent_at_a_stop_of_the_run_accuses_nobody() -> None:
    """Of a run of 42 km until 08:21 the tracker shows 25.60 km until a stop at 07:48, and nothing until 09:10."""
    context = audit([SEEN], [RUN], silent("07:51", "09:10"))
    assert not accused(context)
    assert {"D01", "D02"} <= set(untested(context))
    assert "faltam posições durante uma ata por tempo bastante para rodar os km que faltam" in untested(context)["D01"]
    watched = audit([SEEN], [RUN])
    assert accused(watched) == {"D01", "D02"}
    assert not untested(watched)


@pytest.mark.parametrize(
    ("trips", "declared", "spans"),
    [
        ([trip("T", "07:50", "08:21", "25.60")], RUN, silent("07:00", "07:47")),
        ([trip("T", "07:25", "07:35", "12.80"), trip("U", "08:10", "08:21", "12.80")], RUN, silent("07:38", "08:07")),
        ([trip("T", "23:10", "23:30", "25.60")], run("R", "23:10", "24:05", "42"), silent("23:33", "24:50")),
        ([SEEN], RUN, silent("07:51", None)),
        ([trip("T", "07:25", "08:15", "25.60")], RUN, silent("08:18", "09:30")),
        ([trip("T", "07:25", "08:21", "25.60", km_method="gps")], RUN, silent("07:40", "08:00")),
        ([SEEN | {"km_method": "gps"}], RUN, silent("07:51", "09:10")),
    ],
    ids=["before the trip", "between two trips", "over midnight", "until the end", "at the end of the run",
         "inside a trip by path", "after a trip by path"],
)  # fmt: skip
def test_silences_that_can_hold_the_missing_km(trips: list[dict], declared: dict, spans: list[dict]) -> None:
    assert accused(audit(trips, [declared], [span("-24:00", "48:00")])) == {"D01", "D02"}
    assert not accused(audit(trips, [declared], spans))


@pytest.mark.parametrize(
    "spans",
    [
        silent("12:00", "13:00"),
        silent("08:24", "09:30"),  # the run ended while the bus stood: 7 min within 10 min of it would allow 12.8 km
        silent("08:24", None),
        silent("07:30", "07:45"),  # inside the trip, whose odometer counted all of it
        silent("07:51", "09:10", 0.0),  # it stood in the yard with a silent tracker
        silent("07:51", "09:10", 1.5),
    ],
    ids=[
        "at another time",
        "after the run",
        "after the run until the end",
        "inside a trip by odometer",
        "odometer stood",
        "odometer counted less",
    ],
)
def test_silences_that_explain_nothing_leave_the_accusation(spans: list[dict]) -> None:
    assert accused(audit([SEEN], [RUN], spans)) == {"D01", "D02"}


def test_a_silence_before_a_trip_that_began_long_before_its_run_is_not_the_runs() -> None:
    long = trip("T", "06:00", "08:21", "60")
    spans = [span("-24:00", "04:00"), span("05:59", "48:00")]
    assert accused(audit([long], [RUN | {"declared_km": "75"}], spans)) == {"D01", "D02"}


@pytest.mark.parametrize(("declared_km", "is_accused"), [("15", False), ("20", True)])
def test_a_short_run_is_widened_by_five_minutes(declared_km: str, is_accused: bool) -> None:
    """Of a run of 8 min 4 are seen: 3 more and the 5 after it allow 14.7 km."""
    short = run("R", "08:00", "08:08", declared_km)
    context = audit([trip("T", "08:00", "08:04", "2")], [short], silent("08:05", "09:00"))
    assert bool(accused(context)) is is_accused


def test_a_trip_that_a_silence_cuts_keeps_the_time_after_it_in_the_day() -> None:
    """Of five runs that are 1 km too long each, one ends when its tracker fell silent, still moving."""
    hours = range(8, 13)
    runs = [run(f"R{hour}", f"{hour:02}:00", f"{hour:02}:20", "6") for hour in hours]
    later = [trip(f"T{hour}", f"{hour:02}:00", f"{hour:02}:20", "5.00") for hour in hours[1:]]

    def is_found(*, is_cut: bool) -> bool:
        first = trip("T8", "08:00", "08:20", "5.00", is_end_in_gap=is_cut)
        return bool(found(audit([first, *later], runs, silent("08:20", "08:55")), "D02"))

    assert is_found(is_cut=False)
    assert not is_found(is_cut=True)


def test_what_the_odometer_counted_over_a_silence_can_only_lower_what_is_at_stake() -> None:
    [plain], [finding] = (
        found(audit([SEEN], [RUN], silent("07:51", "09:10", counted)), "D01") for counted in (0.0, 13.7)
    )
    assert (finding["km_at_stake"], finding["evidence"]["unseen_km"]) == (plain["km_at_stake"], 13.7)
    assert finding["brl_low"] < plain["brl_low"]
    assert finding["brl_high"] == plain["brl_high"]
    assert "de ± 0,40 km, e até 13,70 km percorridos sem observação, o limite" in finding["explanation_pt"]
    assert not found(audit([SEEN], [RUN], silent("07:51", "09:10", 16.0)), "D01")


def test_a_tracker_without_an_odometer_that_slept_during_a_run_leaves_an_indication() -> None:
    """It is found where it stood: from 07:51 to 08:15 a round trip is possible, after the run it explains nothing."""
    blind = devices_of([], [{"device_id": f"D-{PLATE}", "issues": ["no_odometer"]}])

    def finding(rule_id: str, start: str, end: str) -> dict:
        [finding] = found(audit([SEEN], [RUN | {"declared_km": "60"}], silent(start, end, 0.0), devices=blind), rule_id)
        return finding

    for rule_id in ("D01", "D02"):
        during, after = finding(rule_id, "07:51", "08:15"), finding(rule_id, "08:21", "09:10")
        assert (during["confidence"], after["confidence"]) == (0.5, 0.99)
        assert during["brl_low"] == 0 < after["brl_low"]
        assert during["brl_high"] == after["brl_high"]
        assert "indício" in during["explanation_pt"]


def test_what_was_perhaps_driven_asleep_lowers_a_day_by_no_more_than_the_run_declares_too_much() -> None:
    """A run of 1 km too much slept through 24 min, of 20 km; the 15 km of another stay at stake."""
    blind = devices_of([], [{"device_id": f"D-{PLATE}", "issues": ["no_odometer"]}])
    trips = [SEEN, trip("U", "10:00", "11:00", "40.00", km_uncertainty="0.60")]
    runs = [RUN | {"declared_km": "26.60"}, run("S", "10:00", "11:00", "55")]
    context = audit(trips, runs, silent("07:51", "08:15", 0.0), devices=blind)
    [row] = found(context, "D02")
    assert (row["km_at_stake"], row["evidence"]["unseen_km"]) == (Decimal("16.00"), 1.0)
    assert row["confidence"] > 0.5


def test_a_silence_lowers_nothing_that_is_owed_to_the_carrier() -> None:
    context = audit([SEEN], [RUN | {"declared_km": "20"}], silent("07:51", "09:10", 3.0))
    [row] = found(context, "D04")
    assert "unseen_km" not in row["evidence"]


def test_two_runs_that_share_a_silence_have_its_km_once() -> None:
    trips = [trip("T", "07:00", "08:00", "30"), trip("U", "08:18", "09:18", "30")]
    runs = [run("R", "07:00", "08:05", "42"), run("S", "08:13", "09:18", "42")]
    context = audit(trips, runs, silent("08:02", "08:16", 8.0))
    assert [finding["evidence"]["unseen_km"] for finding in found(context, "D01")] == [8.0, 8.0]
    assert [finding["evidence"]["unseen_km"] for finding in found(context, "D02")] == [8.0]


def test_a_day_of_short_runs_whose_ends_nobody_saw_is_not_above_the_measured() -> None:
    """A mill without reception: each run of 6 km is seen for 5 km, within its own tolerance, and six of them exceed."""
    hours = range(6, 12)
    trips = [trip(f"T{hour}", f"{hour:02}:00", f"{hour:02}:10", "5.00") for hour in hours]
    runs = [run(f"R{hour}", f"{hour:02}:00", f"{hour:02}:14", "6") for hour in hours]
    spans = [span("-24:00", "06:10")]
    spans += [span(f"{hour:02}:30", f"{hour + 1:02}:10") for hour in hours[:-1]]
    assert found(audit(trips, runs), "D02")
    context = audit(trips, runs, [*spans, span("11:30", "24:00")])
    assert not found(context, "D02")
    assert matches_with_unseen_km(context)["is_unobserved"].all()  # nor does the cycle count them


def test_the_cycle_knows_of_each_group_what_was_perhaps_driven_unobserved() -> None:
    """What the odometer counted over a silence of the run, whatever the run declares."""

    def marks(counted: float | None, declared_km: str = "26.60", trips: list[dict] | None = None) -> tuple:
        declared = RUN | {"declared_km": declared_km}
        context = audit([SEEN] if trips is None else trips, [declared], silent("07:51", "09:10", counted))
        [row] = matches_with_unseen_km(context).to_dict("records")
        return row["unseen_km"], row["is_unobserved"]

    assert marks(1.0) == (Decimal("1.00"), True)
    assert marks(0.3) == (Decimal("0.30"), True)
    assert marks(0.0) == (Decimal("0.00"), False)
    assert marks(13.8, "42") == (Decimal("13.80"), True)
    assert marks(1.0, "25") == marks(1.0, "20") == (Decimal("1.00"), True)  # less declared than measured
    assert marks(0.0, "20") == (Decimal("0.00"), False)
    assert all(pd.isna(mark) for mark in marks(None, trips=[]))


def test_a_visit_report_misses_only_what_lies_between_two_of_its_rows() -> None:
    """Its last row proves as much as any; a row that is missing in the middle of a run proves nothing."""
    seen, first = SEEN | REPORT | {"km_method": "report"}, span("06:00", "07:48", **REPORT)
    assert accused(audit([seen], [RUN], [first])) == {"D01", "D02"}
    assert accused(audit([seen], [RUN], [first, span("07:48", "09:00", **REPORT)])) == {"D01", "D02"}
    assert not accused(audit([seen], [RUN], [first, span("08:30", "09:00", **REPORT)]))


def test_a_row_of_a_report_over_a_silence_of_the_positions_accuses_nobody() -> None:
    """Positions measure the trip: what was driven from 07:51 to 09:10 is in no trip, whatever the report lists."""
    rows_of_report = [span("-3:00", "07:25", **REPORT), span("07:25", "14:05", **REPORT)]
    legs = (("07:25", "07:52"), ("07:52", "08:02"), ("08:02", "08:13"), ("08:13", "14:05"))
    for reported in (rows_of_report, [span(*leg, **REPORT) for leg in legs]):
        context = audit([SEEN], [RUN], [*silent("07:51", "09:10"), *reported])
        assert not accused(context)
        assert {"D01", "D02"} <= set(untested(context))
    assert accused(audit([SEEN], [RUN], [span("-24:00", "48:00"), *rows_of_report])) == {"D01", "D02"}


@pytest.mark.parametrize(
    "positions",
    [
        [span("-24:00", "-2:00")],
        [span("-24:00", "-2:00"), span("25:00", "48:00")],
        [span("-24:00", "00:20"), span("23:00", "48:00")],
        [span("12:00", "48:00")],
    ],
    ids=["until the day before", "on both days around", "but at both ends of the day", "from noon"],
)
def test_a_day_that_only_a_report_covers_is_tested_though_positions_show_other_days(positions: list[dict]) -> None:
    seen = SEEN | REPORT | {"km_method": "report"}
    shown = [span("-3:00", "07:25", **REPORT), span("07:25", "14:05", **REPORT)]
    assert accused(audit([seen], [RUN], [*positions, *shown])) == {"D01", "D02"}
    hidden = [span("-3:00", "06:00", **REPORT), span("07:25", "07:50", **REPORT), span("09:00", "14:05", **REPORT)]
    assert not accused(audit([seen], [RUN], [*positions, *hidden]))


def test_less_declared_than_measured_is_seen_whatever_a_silence_hides() -> None:
    assert found(audit([SEEN], [run("R", "07:25", "08:21", "20")], silent("07:51", "09:10")), "D04")


SHORT = run("R", "08:00", "09:00", "15")


@pytest.mark.parametrize(
    ("declared", "spans", "is_phantom"),
    [
        (SHORT, silent("08:48", "09:30"), False),
        (SHORT, silent("08:48", None), False),
        (SHORT, silent("08:48", "09:30", 14.0), False),
        (SHORT, silent("08:48", "09:30", 0.0), True),
        (SHORT, silent("09:05", "09:30"), True),
        (SHORT | {"declared_km": "60"}, silent("08:48", "09:30"), True),
    ],
    ids=["driven unseen", "silent until the end", "counted", "stood", "after the run", "too far for the silence"],
)
def test_a_run_that_can_have_been_driven_unseen_is_no_phantom(
    declared: dict, spans: list[dict], is_phantom: bool
) -> None:
    """Watched for 48 of its 60 minutes, in which the bus stood: 12 min are enough for 15 km."""
    context = audit([], [declared], spans)
    assert bool(found(context, "D05")) is is_phantom
    assert bool(found(context, "D06")) is not is_phantom


LAST = run("S", "14:05", "14:40", "20")
POINT, GARAGE, MILL = (-22.339, -51.864), (-22.372, -51.863), (-22.3, -51.8)  # the first two are 3.7 km apart


def moved(declared: list[dict], spans: list[dict], last: dict = LAST) -> AuditDay:
    """A leg that ends at a point at 07:48, and the next one, from the garage at 14:05."""
    trips = [SEEN, trip("U", "14:05", "14:40", "20.00")]
    legs = [measured_leg("T", "07:25", "07:48", MILL, POINT), measured_leg("U", "14:05", "14:40", GARAGE, MILL)]
    return audit(trips, [*declared, last], spans, legs=rows(lake.LEGS, *legs))


def test_g02_the_end_of_a_declared_run_is_no_hidden_move() -> None:
    context = moved([RUN], silent("07:51", "09:10"))
    assert not found(context, "G02")
    assert "G02" in untested(context)


@pytest.mark.parametrize(
    ("declared", "spans"),
    [
        ([], silent("07:51", "09:10")),
        ([RUN | {"declared_km": "25.6"}], silent("07:51", "09:10")),
        ([RUN | {"declared_km": "25.6"}, run("X", "08:40", "09:30", "12")], silent("07:51", "10:30")),
        ([RUN], silent("10:00", "11:30")),
    ],
    ids=["nobody declares it", "the run ends where it was seen to end", "another run in the silence", "after the run"],
)
def test_g02_a_move_that_no_run_of_the_legs_declares(declared: list[dict], spans: list[dict]) -> None:
    [finding] = found(moved(declared, spans), "G02")
    assert finding["confidence"] == 0.97


def test_g02_a_silence_that_a_report_covers_too_hides_the_end_of_a_declared_run() -> None:
    reported = span("07:25", "14:05", **REPORT)
    assert not found(moved([RUN], [*silent("07:51", "09:10"), reported]), "G02")
    [finding] = found(moved([], [*silent("07:51", "09:10"), reported]), "G02")
    assert (finding["confidence"], finding["evidence"]["unseen_s"]) == (0.97, 79 * 60)


@pytest.mark.parametrize(
    ("positions", "is_tested"),
    [([], False), ([span("12:00", "13:00")], False), ([span("-2:00", "24:00")], True)],
)
def test_a_stay_that_ends_elsewhere_is_a_silence_unless_positions_saw_all_of_it(
    positions: list[dict], is_tested: bool
) -> None:
    """Of a vehicle that positions showed on the day before, too."""
    legs = rows(
        lake.LEGS,
        visit_leg("T", "07:25", "07:48", destination_poi_id="USI", dwell_s=22_620.0),
        visit_leg("U", "14:05", "14:40", origin_poi_id="GAR"),
    )
    trips = [SEEN | REPORT | {"km_method": "report"}, trip("U", "14:05", "14:40", "20.00", **REPORT)]
    spans = [span("-24:00", "-2:00"), *positions, span("-3:00", "07:25", **REPORT), span("07:25", "14:05", **REPORT),
             span("14:05", "14:40", **REPORT)]  # fmt: skip
    declared = [RUN | {"declared_km": "50"}, run("S", "14:05", "14:40", "20")]
    assert bool(accused(audit(trips, declared, spans, legs=legs, reference=PLACES))) is is_tested


@pytest.mark.parametrize("declared_km", ["20", "30"])
def test_g02_km_that_the_next_run_lacks_after_its_trip_are_no_way_before_it(declared_km: str) -> None:
    spans = [span("-24:00", "07:51"), span("12:00", "14:42"), span("16:00", "48:00")]
    own = run("S", "14:05", "15:00", declared_km)
    assert found(moved([RUN | {"declared_km": "25.6"}], spans, last=own), "G02")


def test_a_report_that_takes_a_silence_for_a_stay_accuses_nobody() -> None:
    """It stands at the mill from 07:48 to 14:05 and leaves from the garage, where the run until 08:21 ended."""
    legs = [
        visit_leg("T", "07:25", "07:48", destination_poi_id="USI", dwell_s=22_620.0),
        visit_leg("U", "14:05", "14:40", origin_poi_id="GAR"),
    ]
    trips = [SEEN | REPORT | {"km_method": "report"}, trip("U", "14:05", "14:40", "20.00", **REPORT)]

    def context(declared_km: str, origin: str, **following: str) -> AuditDay:
        moved_legs = rows(lake.LEGS, legs[0], {**legs[1], "origin_poi_id": origin, **following})
        declared = [RUN | {"declared_km": declared_km}, run("S", "14:05", "14:40", "20")]
        spans = [span("07:25", "14:40", **REPORT)]
        return audit(trips, declared, spans, legs=moved_legs, reference=PLACES)

    away = context("50", "GAR")
    assert not accused(away)
    assert not found(away, "G02")
    assert {"D01", "D02", "G02"} <= set(untested(away))
    assert found(context("25.6", "GAR"), "G02")  # its run ends where it was seen to end
    assert accused(context("50", "USI")) == {"D01", "D02"}  # it left from where it stood
    assert accused(context("50", "GAR", file_sha256="b" * 64)) == {"D01", "D02"}  # another file's row says nothing

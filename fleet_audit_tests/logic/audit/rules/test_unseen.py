"""G01, G02 and G03: impossible speeds and movement that nobody saw; honest near misses and missing data beside each."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import lake, reference
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    at,
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
from fleet_audit_tests.logic.driving import MILL as MILL_PLACE
from fleet_audit_tests.logic.driving import Bus, staged, window
from fleet_audit_tests.logic.frames import rows

GARAGE, MILL = (-22.4, -52.1), (-22.4, -51.866548)  # 24 km apart
SEEN = {"coverage_pct": "95", "km_uncertainty": "0.40"}


def fast(km: str, **more: object) -> list[dict]:
    event = more.pop("events", [])
    context = audit([trip("T", "06:00", "06:30", km, **{**SEEN, **more})], [], devices=devices_of(event))
    return found(context, "G01")


def test_g01_a_trip_that_would_need_120_km_per_hour() -> None:
    [finding] = fast("60.00")
    assert (finding["severity"], finding["km_at_stake"], finding["paid_doubtful_brl"]) == (
        "M", Decimal("5.00"), Decimal("24.50"))  # fmt: skip
    assert "das 06:00 às 06:30, o veículo AAA1A11 teria percorrido 60,00 km em 30 min" in finding["explanation_pt"]


def test_g01_a_reported_speed_is_a_doubt_without_an_amount() -> None:
    [finding] = fast("24.00", max_speed_kmh=172.0)
    assert (finding["confidence"], pd.isna(finding["paid_doubtful_brl"])) == (0.97, True)
    assert "informou a velocidade de 172 km/h" in finding["explanation_pt"]


@pytest.mark.parametrize(
    "facts",
    [
        {"km": "55.20"},  # 110.4 km/h, 109.6 by its uncertainty
        {"km": "24.00", "max_speed_kmh": 150.0},
        {"km": "24.00", "max_speed_kmh": 255.0},
        {"km": "60.00", "coverage_pct": "30"},
        {"km": "60.00", "coverage_pct": None},
        {"km": "60.00", "source": "visit_report"},
        {"km": "60.00", "events": [{"kind": "jump", "device_id": "D", "started_at": at("06:10"),
                                    "ended_at": at("06:11")}]},
    ],
    ids=["within its doubt", "exactly 150", "error value", "hardly seen", "not known", "report", "odometer jump"],
)  # fmt: skip
def test_g01_honest_trips(facts: dict) -> None:
    assert not fast(**facts)


def between(first: dict, second: dict, spans: list[dict], **more: object) -> list[dict]:
    trips = [trip(leg["trip_id"], "06:00", "07:00") for leg in (first, second)]
    return found(audit(trips, [], spans, legs=rows(lake.LEGS, first, second), **more), "G02")


ARRIVED = measured_leg("A", "06:00", "06:30", MILL, GARAGE)
SILENT = [span("00:00", "06:40"), span("09:00", "24:00")]


def test_g02_the_tracker_is_off_while_the_bus_changes_its_place() -> None:
    [finding] = between(ARRIVED, measured_leg("B", "09:30", "10:00", MILL, GARAGE), SILENT)
    assert (finding["severity"], finding["confidence"], finding["trip_id"]) == ("H", 0.97, "B")
    assert pd.isna(finding["amount"])
    assert "terminou um trecho em 10/06/2025 06:30 (-22,40000; -52,10000)" in finding["explanation_pt"]
    assert "começou o seguinte em 10/06/2025 09:30 a 24,00 km dali (-22,40000; -51,86655)" in finding["explanation_pt"]
    assert "140 min sem nenhuma observação" in finding["explanation_pt"]


def test_g02_no_vehicle_can_have_driven_there_in_the_time() -> None:
    [finding] = between(
        ARRIVED, measured_leg("B", "06:50", "07:20", MILL, GARAGE), [span("00:00", "06:45"), span("06:50", "24:00")]
    )
    assert finding["confidence"] == 0.99


@pytest.mark.parametrize(
    "second",
    [
        measured_leg("B", "09:30", "10:00", (-22.4, -52.0905), MILL),
        measured_leg("B", "09:30", "10:00", (None, None), MILL, is_start_in_gap=True),
        measured_leg("B", "09:30", "10:00", MILL, GARAGE, device_id="D2"),
        measured_leg("B", "09:30", "10:00", MILL, GARAGE, plate=OTHER),
        visit_leg("B", "09:30", "10:00"),
    ],
    ids=["under 1 km", "start in a gap", "another device", "another vehicle", "another source"],
)
def test_g02_honest_legs(second: dict) -> None:
    assert not between(ARRIVED, second, SILENT)


def carried(counted_km: float, start: str = "09:30", **after: object) -> list[dict]:
    """G02 of a vehicle whose odometer counted so much from the end of one leg to the start of the next, 24 km away."""
    first = {**ARRIVED, "odometer_end_km": 1020.0, "odometer_resolution_km": 0.1, "is_ignition_off_after": True}
    second = measured_leg("B", start, "10:00", MILL, GARAGE, odometer_start_km=1020.0 + counted_km,
                          **{"is_ignition_off_before": True, **after})  # fmt: skip
    return between(first, second, SILENT)


def test_g02_a_silent_ferry_or_tow_is_no_finding() -> None:
    """24 km in 140 min without a position, 10 km/h: the odometer stands and the ignition is off at both ends."""
    assert not carried(0.0)


def test_g02_an_odometer_that_did_not_count_the_way_leaves_half_a_doubt() -> None:
    assert [finding["confidence"] for finding in carried(0.0, is_ignition_off_before=False)] == [0.5]
    assert [finding["confidence"] for finding in carried(12.0)] == [0.5]
    assert [finding["confidence"] for finding in carried(24.0)] == [0.97]
    assert [finding["confidence"] for finding in carried(0.0, "07:20")] == [0.5]  # 36 km/h: no ferry


def test_g02_reads_the_odometer_and_the_ignition_at_both_ends_of_the_silence() -> None:
    """A ferry of 6 km that nothing sent: the odometer counted none of it, and the ignition was off before and after."""
    bus = Bus("05:00").park(1800).to(MILL_PLACE, 60).park(1800)
    driven_m = bus.driven_m
    bus.unseen(4000, 6000)
    bus.records[-1] |= {"odometer_km": bus.records[-2]["odometer_km"], "speed_kmh": 0.0}
    bus.driven_m = driven_m
    records = bus.park(1800).go(5000, 40).park(3600).records

    def findings(ignition_at_rest: bool) -> list[dict]:
        seen = window(staged([{**row, "ignition": row["speed_kmh"] > 0 or ignition_at_rest} for row in records]))
        trips = [trip(trip_id, "06:00", "07:00") for trip_id in seen.legs["trip_id"].unique()]
        return found(replace(audit(trips, [], legs=seen.legs), spans=seen.spans), "G02")

    assert not findings(ignition_at_rest=False)
    assert [finding["confidence"] for finding in findings(ignition_at_rest=True)] == [0.5]


PLACES = Reference.of({"pois": rows(
    reference.POIS,
    {"poi_id": "GAR", "kind": "garagem", "latitude": GARAGE[0], "longitude": GARAGE[1], "radius_m": 300.0},
    {"poi_id": "USI", "name": "Usina Um", "kind": "usina", "latitude": MILL[0], "longitude": MILL[1],
     "radius_m": 900.0},
)})  # fmt: skip


def test_g02_a_way_that_another_source_saw_was_observed() -> None:
    """The tracker was silent, and the visit report shows the bus on its way; a move of a minute is not enough."""
    after = measured_leg("B", "09:30", "10:00", MILL, GARAGE)
    spans, trips = [*SILENT, span("06:40", "09:00", source="visit_report")], [trip("A", "06:00", "07:00")]
    reported = {end: rows(lake.LEGS, ARRIVED, after, visit_leg("R", "07:30", end)) for end in ("08:00", "07:31")}
    assert not found(audit(trips, [], spans, legs=reported["08:00"]), "G02")
    assert len(found(audit(trips, [], spans, legs=reported["07:31"]), "G02")) == 1
    night = span("06:00", "24:00", counted_before_km=23.4)
    evening = trip("A", "22:00", "22:40", day=DAY - dt.timedelta(days=1), destination_poi_id="USI")
    first = trip("B", "06:00", "06:40", origin_poi_id="GAR", is_start_in_gap=False)
    for end, findings in (("05:00", 0), ("04:31", 1)):
        home = trip("R", "04:30", end, source="visit_report")
        context = audit([evening, home, first], [], [night], reference=PLACES)
        assert len(found(context, "G02")) == findings
        assert "hodômetro contou" not in " ".join(reasons_not_tested(context).values())


def test_g02_a_row_is_missing_in_a_visit_report() -> None:
    first = visit_leg("A", "06:00", "06:30", destination_poi_id="USI", dwell_s=5400.0)
    second = visit_leg("B", "08:00", "08:30", origin_address="Garagem", origin_poi_id="GAR", row_number=9)
    [finding] = between(first, second, [span("06:00", "09:00", source="visit_report")], reference=PLACES)
    assert finding["confidence"] == 0.99
    assert "(Usina Um, Usina)" in finding["explanation_pt"]
    assert finding["evidence"]["rows"] == [["a" * 64, 8], ["a" * 64, 9]]
    unknown = {**second, "origin_poi_id": None}
    assert not between(first, unknown, [], reference=PLACES)
    assert not between(first, {**second, "file_sha256": "b" * 64}, [], reference=PLACES)


def test_g02_a_reported_leg_that_positions_measured_lies_between_two_others() -> None:
    first = visit_leg("A", "06:00", "06:30", destination_poi_id="USI", dwell_s=600.0)
    measured = visit_leg("B", "06:40", "07:20", origin_poi_id="USI", destination_poi_id="GAR", row_number=9,
                         superseded_by_trip_id="P")  # fmt: skip
    last = visit_leg("C", "08:00", "08:30", origin_poi_id="GAR", row_number=10)
    spans = [span("06:00", "09:00", source="visit_report")]
    trips = [trip("A", "06:00", "06:30"), trip("C", "08:00", "08:30")]

    def findings(*legs: dict) -> list[dict]:
        return found(audit(trips, [], spans, legs=rows(lake.LEGS, *legs), reference=PLACES), "G02")

    assert not findings(first, measured, last)
    assert len(findings(first, last)) == 1


def overnight(last: dict, first: dict, counted_km: float | None = 23.4) -> list[dict]:
    return found(_night(last, first, counted_km), "G02")


def _night(last: dict | None, first: dict, counted_km: float | None) -> AuditDay:
    """A silence from the evening to the first trip of the day; without `last` from before the window's trips on."""
    today = trip("B", "06:00", "06:40", **{"origin_poi_id": "GAR", "is_start_in_gap": False, **first})
    seen = span("06:00", "24:00", counted_before_km=counted_km)
    evening = {"destination_poi_id": "USI", **(last or {})}
    before = trip("A", "22:00", "22:40", day=DAY - dt.timedelta(days=1), **evening)
    return audit([today] if last is None else [before, today], [], [seen], reference=PLACES)


@pytest.mark.parametrize("counted_km", [None, 0.0, 12.0], ids=["no odometer", "it stood", "it counted half of the way"])
def test_g02_a_move_over_night_that_no_odometer_counted_leaves_half_a_doubt(counted_km: float | None) -> None:
    """A tow of the night looks the same."""
    assert [finding["confidence"] for finding in overnight({}, {}, counted_km)] == [0.5]


def test_g02_the_tracker_is_off_over_night() -> None:
    [finding] = overnight({}, {})
    assert (finding["trip_id"], finding["confidence"]) == ("B", 0.97)
    assert "terminou um trecho em 09/06/2025 22:40 (Usina Um)" in finding["explanation_pt"]
    assert "começou o seguinte em 10/06/2025 06:00 a 22,80 km dali (GAR)" in finding["explanation_pt"]


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ({"destination_poi_id": "GAR"}, {}),
        ({"destination_poi_id": None}, {}),
        ({"is_end_in_gap": True}, {}),
        ({"device_id": "D1"}, {"device_id": "D2"}),
    ],
    ids=["same place", "place unknown", "end in a gap", "device swapped"],
)
def test_g02_honest_nights(last: dict, first: dict) -> None:
    assert not overnight(last, first)


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (None, {}),
        ({"destination_poi_id": None}, {}),
        ({"is_end_in_gap": True}, {}),
        ({"device_id": "D1"}, {"device_id": "D2"}),
    ],
    ids=["silent all the day before", "place unknown", "end in a gap", "device swapped"],
)
def test_g02_says_which_vehicle_it_did_not_judge_after_a_night_of_unobserved_km(last: dict | None, first: dict) -> None:
    """A tracker that was silent for a day hid a trip of the morning after, and the rule passed."""

    def reasons(counted_km: float | None) -> list[str]:
        return list(reasons_not_tested(_night(last, first, counted_km), "G02").values())

    [reason] = reasons(23.4)
    assert f"1 de 1 veículo não testado ({PLATE}): o hodômetro contou km sem posições entre" in reason
    assert reasons(0.0) == reasons(None)
    assert "hodômetro contou" not in " ".join(reasons(0.0))


@pytest.mark.parametrize(("counted_km", "is_listed"), [(24.0, True), (0.4, False)])
@pytest.mark.parametrize("end", ["is_end_in_gap", "is_start_in_gap"])
def test_g02_says_which_vehicle_it_did_not_judge_because_a_silence_hides_an_end(
    end: str, counted_km: float, is_listed: bool
) -> None:
    """A tracker that woke less than three minutes before the bus left again shows no stop, and no place."""
    gaps = [{"is_end_in_gap": end == "is_end_in_gap"}, {"is_start_in_gap": end == "is_start_in_gap"}]
    arrived = {**ARRIVED, **gaps[0], "odometer_end_km": 1_000.0}
    left = {**measured_leg("B", "09:30", "10:00", MILL, GARAGE, **gaps[1]), "odometer_start_km": 1_000.0 + counted_km}
    trips = [trip("A", "06:00", "06:30"), trip("B", "09:30", "10:00")]
    context = audit(trips, [], SILENT, legs=rows(lake.LEGS, arrived, left))
    assert not found(context, "G02")
    reasons = list(reasons_not_tested(context, "G02").values())
    assert len(reasons) == is_listed
    assert all(f"({PLATE}): o hodômetro contou km sem posições entre" in reason for reason in reasons)


def silent(gaps: int, spans: list[dict], **more: object) -> list[dict]:
    trips = [
        trip("T", "06:00", "07:00", **{"coverage_pct": "60", **more}),
        trip("U", "15:00", "16:00", coverage_pct="98"),
    ]
    legs = rows(lake.LEGS, measured_leg("T", "06:00", "07:00", GARAGE, MILL, gaps=gaps))
    return found(audit(trips, [], spans, legs=legs, costs=more.get("costs") or audit(trips, []).costs), "G03")


IN_TRIP = [span("00:00", "06:20"), span("06:42", "24:00")]


def test_g03_twenty_two_minutes_without_positions_in_a_paid_trip() -> None:
    [finding] = silent(1, IN_TRIP)
    assert (finding["severity"], finding["trip_id"], finding["plate"]) == ("L", "T", PLATE)
    assert pd.isna(finding["amount"])
    assert "não há posições das 06:20 às 06:42 (22 min)" in finding["explanation_pt"]


def test_g03_honest_silences() -> None:
    assert not silent(0, IN_TRIP)  # it stood where it was
    assert not silent(1, [span("00:00", "24:00")])
    trips = [trip("T", "06:00", "07:00", coverage_pct="0"), trip("U", "15:00", "16:00", coverage_pct="4")]
    legs = rows(lake.LEGS, measured_leg("T", "06:00", "07:00", GARAGE, MILL, gaps=3))
    assert not found(audit(trips, [], IN_TRIP, legs=legs), "G03")  # a position every 15 min


def test_g02_says_which_vehicle_it_did_not_judge_after_an_exchange_of_devices() -> None:
    """On the day on which a device is back on its bus (O08), an unseen way is not tested, and that is listed."""
    back = {"kind": "fall", "device_id": "D1", "started_at": at("00:00"), "ended_at": at("00:10"),
            "odometer_from_km": 9_000.0, "odometer_to_km": 1_000.0, "continued_plate": OTHER}  # fmt: skip
    left = measured_leg("B", "09:30", "10:00", MILL, GARAGE)
    legs, trips = rows(lake.LEGS, ARRIVED, left), [trip(leg["trip_id"], "06:00", "07:00") for leg in (ARRIVED, left)]
    sound, context = (audit(trips, [], SILENT, legs=legs, devices=devices_of(events)) for events in ([], [back]))
    assert found(sound, "G02")
    assert not found(context, "G02")
    assert "G02" not in reasons_not_tested(sound, "G02")
    [reason] = reasons_not_tested(context, "G02").values()
    assert reason == f"1 de 1 veículo não testado ({PLATE}): o hodômetro do equipamento é o de outro veículo"


def test_g02_judges_legs_of_a_device_whose_runs_are_written_minutes_late() -> None:
    """One offset moves no leg's end: three runs that a carrier writes 5 min late hide no move."""
    legs = rows(lake.LEGS, ARRIVED, measured_leg("B", "09:30", "10:00", MILL, GARAGE))
    trips = [trip("A", "06:00", "06:30"), trip("B", "09:30", "10:00"), trip("C", "12:00", "12:30")]
    late = [run("RA", "06:05", "06:35"), run("RB", "09:35", "10:05"), run("RC", "12:05", "12:35")]
    context = audit(trips, late, SILENT, legs=legs)
    assert list(context.clock_offsets["plate"]) == [PLATE]
    assert found(context, "G02")
    assert "G02" not in reasons_not_tested(context, "G02")


def test_g02_judges_visit_reports_beside_a_device_with_a_wrong_clock() -> None:
    """A report needs no device; of the vehicles asked, one with a single leg has no pair."""
    first = visit_leg("A", "06:00", "06:30", destination_poi_id="USI", dwell_s=5400.0)
    second = visit_leg("B", "08:00", "08:30", origin_address="Garagem", origin_poi_id="GAR", row_number=9)
    legs = [first, second, visit_leg("C", "08:00", "08:30", plate=OTHER)]
    wrong = devices_of([], [{"device_id": "D1", "issues": ["clock_shift"], "clock_shift_h": 3, "clock_runs": 6}])
    trips = [trip("A", "06:00", "06:30"), trip("B", "08:00", "08:30"), trip("C", "08:00", "08:30", plate=OTHER)]

    def judged(*more: dict) -> AuditDay:
        return audit(trips, [], SILENT, legs=rows(lake.LEGS, *legs, *more), devices=wrong, reference=PLACES)

    assert found(judged(), "G02")
    assert "G02" not in reasons_not_tested(judged(), "G02")
    measured = judged(ARRIVED, measured_leg("B", "09:30", "10:00", MILL, GARAGE))
    [finding] = found(measured, "G02")
    assert finding["evidence"]["rows"][0] == ["a" * 64, 8]
    [reason] = reasons_not_tested(measured, "G02").values()
    assert reason.startswith(f"1 de 1 veículo não testado ({PLATE})")


def test_without_positions_or_legs_nothing_is_tested() -> None:
    context = audit(
        [trip("T", "06:00", "07:00", source="visit_report")], [], [span("06:00", "07:00", source="visit_report")]
    )
    assert {"G01", "G02", "G03"} <= set(reasons_not_tested(context, "G01", "G02", "G03"))

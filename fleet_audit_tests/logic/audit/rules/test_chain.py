"""D10: the declared odometer must continue from run to run, as far as anybody could see."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic import driving
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    at,
    audit,
    devices_of,
    dwell,
    dwells_frame,
    found,
    reasons_not_tested,
    run,
    span,
    trip,
)

TRIPS = [trip("T1", "05:36", "07:05", "68.70"), trip("T2", "07:41", "09:14", "69.60")]


def chain(to_km: str | None, between: list[dict] | None = None, spans: list[dict] | None = None) -> list[dict]:
    runs = [
        run("7017", "05:36", "07:05", "69", odometer_start_km="117242", odometer_end_km="117311"),
        run("7018", "07:41", "09:14", "69", odometer_start_km=to_km, odometer_end_km="117394"),
    ]
    return found(audit([*TRIPS, *(between or [])], runs, spans), "D10")


def test_a_break_of_14_km_while_the_vehicle_stood() -> None:
    [finding] = chain("117325")
    assert (finding["severity"], finding["declared_run_id"], finding["trip_id"]) == ("H", "7018", "T2")
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("14.00"), Decimal("68.60"))
    assert pd.isna(finding["amount"])
    assert "termina no km 117.311 e a ata 7018 começa no km 117.325" in finding["explanation_pt"]
    assert finding["evidence"]["declared_run_ids"] == ["7018", "7017"]


@pytest.mark.parametrize(
    ("to_km", "is_broken"),
    [("117311", False), ("117312", False), ("117313", True), ("117310", False), ("117309", True)],
)
def test_more_than_one_km_either_way(to_km: str, is_broken: bool) -> None:
    assert bool(chain(to_km)) is is_broken


def test_what_was_driven_between_belongs_to_the_chain() -> None:
    drive = [trip("D", "07:10", "07:30", "14.00", purpose="deadhead")]
    assert not chain("117325", drive)
    [finding] = chain("117311", drive)
    assert finding["km_at_stake"] == Decimal("14.00")
    assert not chain("117312", [trip("Y", "07:10", "07:12", "0.60", purpose="yard")])


@pytest.mark.parametrize(("to_km", "break_km"), [("117325", None), ("117340", "14.6")])
def test_an_empty_way_to_the_passengers_in_one_trip_with_their_run_belongs_to_the_chain(
    to_km: str, break_km: str | None
) -> None:
    """The bus waited five minutes for them: 40 km that it had driven broke each honest day's chain, at 0.99."""
    trips = [TRIPS[0], trip("T2", "07:15", "09:14", "83.40")]
    runs = [
        run("7017", "05:36", "07:05", "69", odometer_start_km="117242", odometer_end_km="117311"),
        run("7018", "07:41", "09:14", "69", odometer_start_km=to_km, odometer_end_km="117394"),
    ]
    findings = found(audit(trips, runs), "D10")
    assert [finding["km_at_stake"] for finding in findings] == ([Decimal(break_km)] if break_km else [])


def test_the_uncertainty_of_what_was_driven_between_is_tolerated() -> None:
    drive = trip("D", "07:10", "07:30", "12.50", purpose="deadhead")
    assert chain("117325", [drive])
    assert not chain("117325", [{**drive, "km_uncertainty": Decimal("0.600")}])


def test_a_break_beyond_readings_and_measured_km_is_as_sure_as_grade_a() -> None:
    """A break of 3 km is 2 km above the tolerance; readings are off by 1 km, the km between by 0.5 km."""
    drive = trip("D", "07:10", "07:30", "11.00", purpose="deadhead", km_uncertainty=Decimal("0.500"))
    [finding] = chain("117325", [drive])
    assert finding["confidence"] == 0.99
    [finding] = chain("117325", [{**drive, "km_measured": "12.00", "km_odometer": "12.00"}])
    assert finding["confidence"] == pytest.approx(0.825, abs=0.006)


def test_a_reading_that_is_too_low_is_in_favour_of_the_carrier() -> None:
    [finding] = chain("117300")
    assert (finding["amount"], finding["brl_at_stake"]) == ("in_favour_brl", Decimal("53.90"))


@pytest.mark.parametrize("purpose", ["service", "deadhead"])
def test_km_of_an_undeclared_trip_between_the_runs_are_in_favour_once(purpose: str) -> None:
    """Of a trip that D07 names the reading that lacks its 14 km says the same again."""
    between = trip("D", "07:10", "07:30", "14.00", purpose=purpose)
    runs = [
        run("7017", "05:36", "07:05", "69", odometer_start_km="117242", odometer_end_km="117311"),
        run("7018", "07:41", "09:14", "69", odometer_start_km="117311", odometer_end_km="117380"),
    ]
    context = audit([*TRIPS, between], runs)
    favours = [row["in_favour_brl"] for rule_id in ("D07", "D10") for row in found(context, rule_id)]
    assert [brl for brl in favours if not pd.isna(brl)] == [Decimal("68.60")]
    assert len(found(context, "D10")) == 1


def written(first: tuple[str | None, str | None], last: tuple[str | None, str | None], **more: object) -> AuditDay:
    """The two runs of `chain` with these readings; each claims 69 km by KM ROTA."""
    readings = [dict(zip(("odometer_start_km", "odometer_end_km"), pair, strict=True)) for pair in (first, last)]
    runs = [
        run("7017", "05:36", "07:05", "69", route_km="69", **readings[0]),
        run("7018", "07:41", "09:14", "69", route_km="69", **readings[1], **more),
    ]
    return audit(TRIPS, runs)


def mistyped(context: AuditDay) -> list[dict]:
    return [row for row in found(context, "Q05") if row["evidence"].get("issue") == "mistyped_reading"]


def test_a_reading_of_0_is_no_reading() -> None:
    """An empty cell written as 0, or km counted from the start of each run: nothing is compared, and nobody accused."""
    for first, last in (
        (("201800", "201869"), ("0", "201938")),
        (("201800", "0"), ("201869", "201938")),
        (("201800", "201869"), ("0", None)),
        (("0", "69"), ("0", "69")),
        (("0", "69"), ("201869", "201938")),
        (("201800", "201869"), ("0", "0")),
    ):
        context = written(first, last)
        assert not [rule_id for rule_id in ("D10", "D11", "Q05") if found(context, rule_id)], (first, last)


@pytest.mark.parametrize(
    ("first", "last", "run_ids", "said"),
    [
        (("201800", "201869"), ("20186", "20255"), ["7018", "7017"],
         "A ata 7017 do veículo AAA1A11, de 10/06/2025, das 05:36 às 07:05, termina no km 201.869, e a ata 7018 começa "
         "no km 20.186: nenhum veículo percorre essa diferença nesse tempo."),
        (("20180", "20249"), ("201869", "201938"), ["7018", "7017"], "termina no km 20.249, e a ata 7018"),
        (("201800", "201869"), ("20186", "201938"), ["7018"], "começa no km 20.186 e termina no km 201.938"),
        (("201800", "2018690"), ("201869", "201938"), ["7017"], "termina no km 2.018.690"),
        (("201800", "201869"), ("201869", "201838"), ["7018"], "começa no km 201.869 e termina no km 201.838"),
    ],
    ids=["a digit too few in a run", "in the run before", "in KM SAÍDA", "a digit too many", "KM CHEGADA too low"],
)  # fmt: skip
def test_a_typing_error_in_a_reading_is_named_as_such_without_money(
    first: tuple[str, str], last: tuple[str, str], run_ids: list[str], said: str
) -> None:
    context = written(first, last)
    [finding] = mistyped(context)
    assert finding["evidence"]["declared_run_ids"] == run_ids
    assert said in finding["explanation_pt"]
    assert (finding["severity"], pd.isna(finding["amount"]), pd.isna(finding["km_at_stake"])) == ("L", True, True)
    assert not found(context, "D10")
    assert not found(context, "D11")


def test_km_that_are_added_to_the_readings_are_no_typing_error() -> None:
    """Between two runs 36 min apart, as many as a vehicle drives in an hour; and a KM ROTA that claims the readings."""
    context = written(("201800", "201869"), ("202019", "202088"))
    assert found(context, "D10")
    assert not mistyped(context)
    claimed = written(("201800", "201869"), ("201869", "202269"), declared_km="400")
    assert not mistyped(claimed)
    assert found(claimed, "D01")


@pytest.mark.parametrize("is_driven", [True, False])
def test_a_low_reading_after_a_run_that_declares_too_much_is_in_nobody_s_favour(is_driven: bool) -> None:
    """The run's KM CHEGADA is 14 km too high, or the whole run was not driven: the next run starts where the bus is."""
    runs = [
        run("7017", "05:36", "07:05", "83", odometer_start_km="117242", odometer_end_km="117325"),
        run("7018", "07:41", "09:14", "69", odometer_start_km="117311", odometer_end_km="117380"),
    ]
    [finding] = found(audit(TRIPS if is_driven else TRIPS[1:], runs), "D10")
    assert finding["km_at_stake"] == Decimal("14.00")
    assert pd.isna(finding["amount"])
    assert pd.isna(finding["in_favour_brl"])


def test_unknown_km_between_prove_nothing() -> None:
    assert not chain("117325", [trip("D", "07:10", "07:30", None, purpose="deadhead")])


def test_unobserved_time_does_not_accuse_of_too_high_a_reading() -> None:
    unseen = [span("05:00", "07:05"), span("07:20", "10:00")]
    assert not chain("117325", spans=unseen)
    [finding] = chain("117297", spans=unseen)
    assert "14,00 km a menos" in finding["explanation_pt"]


def test_a_long_wait_out_of_sight_proves_nothing_even_if_most_of_it_was_watched() -> None:
    before = DAY - dt.timedelta(days=1)
    runs = [
        run("1", "06:00", "07:00", day=before, odometer_start_km="100", odometer_end_km="130"),
        run("2", "06:00", "07:00", odometer_start_km="170", odometer_end_km="200"),
    ]
    trips = [trip("T1", "06:00", "07:00", day=before), trip("T2", "06:00", "07:00")]
    seen = [span("00:00", "24:00", day=before), span("00:00", "12:00")]
    assert found(audit(trips, runs, seen), "D10")
    hidden = [span("00:00", "20:00", day=before), span("00:00", "24:00")]
    hidden[0]["ended_at"] = hidden[1]["started_at"] - pd.Timedelta(minutes=61)
    assert not found(audit(trips, runs, hidden), "D10")


def test_a_tracker_off_the_bus_does_not_show_that_it_stood() -> None:
    """The odometer counted 14 km while the tracker lay in the garage (O04): the reading is as it should be."""
    runs = [
        run("7017", "05:36", "07:05", "69", odometer_start_km="117242", odometer_end_km="117311"),
        run("7018", "07:41", "09:14", "69", odometer_start_km="117325", odometer_end_km="117394"),
    ]
    parked = {"device_id": "D1", "kind": "parked", "started_at": at("07:06"), "ended_at": at("07:40"),
              "odometer_to_km": 1014.0, "path_km": 0.0}  # fmt: skip
    devices = devices_of([parked], [{"device_id": "D1"}])
    assert found(audit(TRIPS, runs), "D10")
    assert not found(audit(TRIPS, runs, devices=devices), "D10")


@pytest.mark.parametrize(("starts_on", "is_broken"), [(-1, False), (0, True)], ids=["overnight", "within the day"])
def test_a_tracker_off_the_bus_on_the_evening_before_did_not_see_the_way_home(starts_on: int, is_broken: bool) -> None:
    """Last night the odometer counted 14 km while the tracker lay still; this morning it is on the bus again."""
    before = DAY + dt.timedelta(days=starts_on)
    start, end = ("17:00", "18:00") if starts_on else ("04:00", "05:00")
    runs = [
        run("1", start, end, day=before, odometer_start_km="100", odometer_end_km="130"),
        run("2", "06:00", "07:00", odometer_start_km="144", odometer_end_km="174"),
    ]
    trips = [trip("T1", start, end, day=before), trip("T2", "06:00", "07:00")]
    watched = [span("00:00", "24:00", day=DAY - dt.timedelta(days=1)), span("00:00", "24:00")]
    devices = devices_of(health=[{"device_id": "D1", "is_off_bus_day_before": True}])
    assert found(audit(trips, runs, watched), "D10")
    assert bool(found(audit(trips, runs, watched, devices=devices), "D10")) is is_broken


def test_missing_readings_are_not_tested() -> None:
    assert not chain(None)


def test_a_copy_of_a_run_does_not_break_the_chain() -> None:
    places = {"origin_text": "A", "destination_text": "B"}
    runs = [
        run("1", "05:36", "07:05", **places, odometer_start_km="100", odometer_end_km="169"),
        run("2", "05:36", "07:05", **places, odometer_start_km="100", odometer_end_km="169"),
        run("3", "07:41", "09:14", odometer_start_km="169", odometer_end_km="239"),
    ]
    assert not found(audit(TRIPS, runs), "D10")


def test_nights_dated_by_the_shift_do_not_break_the_chain() -> None:
    """Each DATA has a run at 08:00 and one of the night after, dated the same day although it starts at 00:30."""
    trips, runs, km = [], [], 1000
    for number in range(-2, 2):
        day, night = DAY + dt.timedelta(days=number), DAY + dt.timedelta(days=number + 1)
        trips += [trip(f"D{number}", "08:00", "09:00", day=day), trip(f"N{number}", "00:30", "01:30", day=night)]
        for name, start, end, shift in (("day", "08:00", "09:00", "A"), ("night", "00:30", "01:30", "C")):
            readings = {"odometer_start_km": str(km), "odometer_end_km": str(km + 30)}
            runs.append(run(f"{name}{number}", start, end, day=day, shift_code=shift, **readings))
            km += 30
    trips = [row for row in trips if abs((row["operational_date"] - DAY).days) <= 1]
    watched = [span("00:00", "24:00", day=DAY + dt.timedelta(days=number)) for number in (-1, 0, 1)]
    assert not found(audit(trips, runs, watched), "D10")


BEFORE = DAY - dt.timedelta(days=1)
TWO_DAYS = [span("00:00", "24:00", day=BEFORE), span("00:00", "24:00")]


def overnight(counted: list[dict], to_km: str = "132", **changed: object) -> list[dict]:
    """A run on the evening before that ends at km 130, and one of the morning that begins at `to_km`."""
    runs = [
        run("1", "17:00", "18:00", day=BEFORE, odometer_start_km="100", odometer_end_km="130"),
        run("2", "06:00", "07:00", odometer_start_km=to_km, odometer_end_km="162"),
    ]
    trips = [trip("T1", "17:00", "18:00", day=BEFORE), trip("T2", "06:00", "07:00")]
    return found(audit(trips, runs, TWO_DAYS, dwells=dwells_frame(*counted), **changed), "D10")


COUNTED_AT_MIDNIGHT = [dwell("23:50", "24:00", 1.0, day=BEFORE), dwell("00:00", "00:10", 1.0)]


def test_a_tracker_off_the_bus_over_midnight_that_counted_a_km_on_each_side_accuses_nobody() -> None:
    """Neither side is an O04 (more than 2 km), and the reading is what the odometer counted."""
    assert overnight([])
    assert not overnight(COUNTED_AT_MIDNIGHT)


def test_a_chain_that_is_broken_over_midnight_is_found_beyond_what_the_odometer_counted() -> None:
    [finding] = overnight(COUNTED_AT_MIDNIGHT, "146")
    assert finding["km_at_stake"] == Decimal("14.00")
    assert "o veículo percorreu 2,00 km: 14,00 km a mais" in finding["explanation_pt"]


def test_what_the_odometer_counted_outside_the_pair_explains_nothing() -> None:
    assert overnight([dwell("16:40", "16:50", 2.0, day=BEFORE), dwell("07:10", "07:20", 2.0)])


def test_a_low_reading_is_judged_by_the_trips_alone() -> None:
    assert not overnight(COUNTED_AT_MIDNIGHT, "130")
    [finding] = overnight(COUNTED_AT_MIDNIGHT, "127")
    assert "3,00 km a menos" in finding["explanation_pt"]


@pytest.mark.parametrize("devices", [None, devices_of(health=[{"device_id": "D1", "issues": ["no_odometer"]}])])
def test_without_one_odometer_that_holds_between_the_runs_a_high_reading_is_not_tested(devices: object) -> None:
    """Two readings that contradict each other, or a device without an odometer: nothing shows that the bus stood."""
    broken_off = [dwell("23:50", "24:00", None, day=BEFORE)]
    changed = {} if devices is None else {"devices": devices}
    counted = broken_off if devices is None else []
    assert not overnight(counted, "146", **changed)
    [low] = overnight(counted, "120", **changed)
    assert low["km_at_stake"] == Decimal("10.00")
    assert "não informou um hodômetro contínuo entre as corridas" in reason_not_tested("146", counted, **changed)


def reason_not_tested(to_km: str, counted: list[dict], **changed: object) -> str:
    """Why D10 did not test the pair of runs of `overnight`; empty where it did."""
    runs = [
        run("1", "17:00", "18:00", day=BEFORE, odometer_start_km="100", odometer_end_km="130"),
        run("2", "06:00", "07:00", odometer_start_km=to_km, odometer_end_km="176"),
    ]
    context = audit([trip("T2", "06:00", "07:00")], runs, TWO_DAYS, dwells=dwells_frame(*counted), **changed)
    return reasons_not_tested(context, "D10").get("D10", "")


def test_a_vehicle_whose_reading_is_too_low_is_not_also_listed_as_not_tested() -> None:
    broken_off = [dwell("23:50", "24:00", None, day=BEFORE)]
    assert overnight(broken_off, "120")
    assert reason_not_tested("131", broken_off)
    assert not reason_not_tested("120", broken_off)


@pytest.mark.parametrize(("start_km", "is_broken"), [("1022", False), ("1036", True)])
@pytest.mark.parametrize("flicker_km", [0.0, 0.1])
def test_a_bus_whose_tracker_lies_in_the_garage_over_midnight(
    start_km: str, is_broken: bool, flicker_km: float
) -> None:
    """After a run of 20 km the tracker stays while the odometer counts a km before midnight and one after it.

    A reading that falls by the odometer's resolution hides nothing.
    """
    bus = driving.Bus(driving.at("16:30", BEFORE)).park(1800).to(driving.MILL, kmh=20).park(5.67 * 3600)
    for minute in range(20):  # around midnight; a receiver that repeats a coordinate would be no fix
        bus.seconds, bus.driven_m = bus.seconds + 120, bus.driven_m + 100
        bus.report(east_m=7.0 * (minute % 3))
    bus.records[-3]["odometer_km"] = bus.records[-4]["odometer_km"] - flicker_km  # type: ignore[operator]
    bus.park(5 * 3600).to(driving.FRONT).park(3600)
    seen = driving.window(bus)
    trips = conform(seen.trips, facts.TRIP_WINDOW)
    assert sorted(trips["km_measured"]) == [Decimal("20.00"), Decimal("20.00")]
    runs = [
        run("1", "17:00", "18:00", "20", day=BEFORE, odometer_start_km="1000", odometer_end_km="1020"),
        run("2", "05:00", "05:40", "20", odometer_start_km=start_km, odometer_end_km="1056"),
    ]
    spans = conform(seen.spans, lake.OBSERVED_SPANS).to_dict("records")
    dwells = conform(seen.dwells, lake.DWELL_COUNTS)
    assert bool(found(audit(trips.to_dict("records"), runs, spans, dwells=dwells), "D10")) is is_broken

"""T03 and T04: service against shifts and plan; honest near misses and missing data beside each guilty vehicle."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.logic.audit.findings import find
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    SHIFTS,
    audit,
    devices_of,
    found,
    reasons_not_tested,
    trip,
)
from fleet_audit_tests.logic.frames import rows

POIS = rows(
    reference.POIS,
    {"poi_id": "USI", "unit_code": "UCP", "kind": "usina", "latitude": -22.4, "longitude": -51.9, "radius_m": 900.0},
    {"poi_id": "FRE", "unit_code": "UCP", "kind": "frente", "latitude": -22.2, "longitude": -51.9, "radius_m": 900.0},
    {"poi_id": "GAR", "unit_code": "UCP", "kind": "garagem", "latitude": -22.4, "longitude": -52.1, "radius_m": 300.0},
)
TO_WORK = {"origin_poi_id": "GAR", "destination_poi_id": "USI", "destination_text": "Usina"}
FROM_WORK = {"origin_poi_id": "USI", "destination_poi_id": "GAR", "origin_text": "Usina"}


def registered(shifts: pd.DataFrame = SHIFTS, *plan: dict) -> Reference:
    usual = {"cycle_start": dt.date(2025, 5, 16), "plate": PLATE, "planned_km": "600"}
    return Reference.of(
        {"pois": POIS, "shifts": shifts, "km_plan": rows(reference.KM_PLAN, *({**usual, **row} for row in plan))}
    )


def outside(record: dict, **more: object) -> list[dict]:
    return found(audit([record], [], reference=registered(), **more), "T03")


def test_t03_service_at_eleven_between_two_shifts() -> None:
    [finding] = outside(trip("T", "10:10", "11:00", **TO_WORK))
    assert (finding["severity"], finding["trip_id"]) == ("M", "T")
    assert pd.isna(finding["amount"])
    assert "chegou a Usina às 11:00" in finding["explanation_pt"]
    assert "A 07:00–15:20, C 23:40–07:00" in finding["explanation_pt"]
    [left] = outside(trip("T", "11:00", "11:50", **FROM_WORK))
    assert "saiu de Usina às 11:00" in left["explanation_pt"]


@pytest.mark.parametrize(
    "record",
    [
        trip("T", "06:00", "06:45", shift_code="A", **TO_WORK),
        trip("T", "07:20", "08:00", **FROM_WORK),  # the bus that brought shift A drives back empty
        trip("T", "14:00", "14:40", **TO_WORK),  # and comes to fetch it
        trip("T", "11:00", "11:40", origin_poi_id="USI", destination_poi_id="FRE"),
        trip("T", "10:10", "11:00", purpose="deadhead", **TO_WORK),
        trip("T", "10:10", "11:00", unit_code="OUTRA", **TO_WORK),
        trip("T", "11:00", "11:07", origin_poi_id="USI", destination_poi_id=None, is_end_in_gap=True),
        trip("T", "10:53", "11:00", origin_poi_id=None, destination_poi_id="USI", is_start_in_gap=True),
    ],
    ids=[
        *("of a shift", "back empty", "comes empty", "between workplaces", "deadhead", "unit without shifts"),
        *("destination hidden by a gap", "origin hidden by a gap"),
    ],
)
def test_t03_honest_service(record: dict) -> None:
    assert not outside(record)


@pytest.mark.parametrize("shift", ["A", None])
def test_t03_the_empty_half_of_a_shift_s_trip_is_judged_with_it(shift: str | None) -> None:
    """Brought shift A late, at 08:25, and left at 08:40, beyond the tolerance; so on a trip that served no shift."""
    brought = trip("T", "07:40", "08:25", shift_code=shift, **TO_WORK)
    findings = found(audit([brought, trip("U", "08:40", "09:10", **FROM_WORK)], [], reference=registered()), "T03")
    assert {row["trip_id"] for row in findings} == (set() if shift else {"T", "U"})


@pytest.mark.parametrize(
    ("arrived", "left", "late"),
    [("11:00", "15:25", True), ("11:30", "15:25", False)],
    ids=["waited half of shift A", "came for its workers"],
)
def test_t03_a_bus_that_came_late_and_waits_for_the_end_of_the_shift_came_late(
    arrived: str, left: str, late: bool
) -> None:
    came = trip("T", "10:10", arrived, **TO_WORK)
    home = trip("U", left, "16:10", shift_code="A", **FROM_WORK)
    findings = found(audit([came, home], [], reference=registered()), "T03")
    assert [row["trip_id"] for row in findings] == (["T"] if late else [])


@pytest.mark.parametrize(("left", "late"), [("10:40", False), ("11:20", False), ("16:40", True)])
def test_t03_a_bus_that_brought_a_shift_may_leave_empty_until_that_ends(left: str, late: bool) -> None:
    """It stood at the mill until 11:20 after bringing shift A in time, and was accused."""
    brought = trip("T", "06:10", "06:50", shift_code="A", **TO_WORK)
    findings = found(audit([brought, trip("U", left, "17:10", **FROM_WORK)], [], reference=registered()), "T03")
    assert [row["trip_id"] for row in findings] == (["U"] if late else [])


@pytest.mark.parametrize(("arrived", "early"), [("11:50", True), ("13:00", False)])
def test_t03_a_bus_that_comes_for_the_workers_of_a_short_shift_may_wait_for_it(arrived: str, early: bool) -> None:
    ends_at_four = {"unit_code": "UCP", "shift_code": "E", "start_local": "15:00", "end_local": "16:00"}
    shifts = rows(reference.SHIFTS, SHIFTS.iloc[0].to_dict(), {**ends_at_four, "weekdays": "1-7", "tolerance_min": 10})
    came = trip("T", "11:20", arrived, **TO_WORK)
    home = trip("U", "16:02", "16:40", shift_code="E", **FROM_WORK)
    findings = found(audit([came, home], [], reference=registered(shifts)), "T03")
    assert [row["trip_id"] for row in findings] == (["T"] if early else [])


def test_t03_a_wrong_clock_proves_nothing() -> None:
    shifted = devices_of([], [{"device_id": "D1", "issues": ["clock_shift"]}])
    late = trip("T", "10:10", "11:00", **TO_WORK)
    assert not outside(late, devices=shifted)
    plan = registered(SHIFTS, {"weekdays": "6-7"})
    reasons = reasons_not_tested(audit([late], [], reference=plan, devices=shifted), "T03", "T04")
    for rule_id in ("T03", "T04"):
        assert f"({PLATE}): o equipamento tem o relógio fora de hora" in reasons[rule_id]


def untested(*plan: dict) -> set[str]:
    context = audit([trip("T", "06:00", "07:00")], [], reference=registered(SHIFTS.iloc[:0], *plan))
    return set(reasons_not_tested(context, "T03", "T04"))


def test_without_shifts_or_weekdays_nothing_is_tested() -> None:
    assert {"T03", "T04"} <= untested()
    assert "T04" in untested({"weekdays": None})
    assert "T04" in untested({"weekdays": "1-5", "cycle_start": dt.date(2025, 4, 16)})  # the plan of another cycle
    assert "T04" not in untested({"weekdays": "1-5"})


def unplanned(records: list[dict], *plan: dict) -> list[dict]:
    return found(audit(records, [], reference=registered(SHIFTS, *plan)), "T04")


def test_t04_a_bus_that_serves_on_a_day_of_the_week_that_its_plan_excludes() -> None:
    """10/06/2025 is a Tuesday."""
    records = [trip("T", "06:00", "06:45"), trip("U", "15:30", "16:10"), trip("V", "06:00", "06:45", plate=OTHER)]
    [finding] = unplanned(records, {"weekdays": "1,3-5", "route_code": "R1"}, {"weekdays": "6", "route_code": "R2"})
    assert (finding["plate"], finding["severity"]) == (PLATE, "M")
    assert pd.isna(finding["amount"])
    assert (
        "fez 2 viagens de serviço em 10/06/2025, terça (das 06:00 às 06:45, das 15:30 às 16:10)"
        in finding["explanation_pt"]
    )
    assert "segunda, quarta, quinta, sexta, sábado" in finding["explanation_pt"]


@pytest.mark.parametrize(("plate", "accused"), [(PLATE, {OTHER}), ("", set()), ("ZZZ9Z99", {PLATE, OTHER})])
def test_t04_a_refused_row_of_the_plan_may_name_the_day(plate: str, accused: set[str]) -> None:
    plan = [{"weekdays": "1,3-5", "plate": each} for each in (PLATE, OTHER)]
    records = [trip(f"T{each}", "06:00", "06:45", plate=each) for each in (PLATE, OTHER)]
    refused = pd.DataFrame(
        [(DAY, "km_plan", "", plate, "linhas de km_plan.csv foram recusadas", False)],
        columns=["operational_date", "source", "carrier_code", "plate", "reason_pt", "is_of_rows"],
    )
    context = audit(records, [], reference=registered(SHIFTS, *plan), incomplete=refused)
    findings = find(context)
    assert set(findings.loc[findings["rule_id"] == "T04", "plate"]) == accused
    reasons = reasons_not_tested(context, "T03", "T04")
    assert "km_plan.csv" in reasons["T04"]
    assert "km_plan.csv" not in reasons.get("T03", "")


@pytest.mark.parametrize(
    ("record", "plan"),
    [
        (trip("T", "06:00", "06:45"), [{"weekdays": "2"}]),
        (trip("T", "06:00", "06:45"), [{"weekdays": "3", "route_code": "R1"}, {"route_code": "R2"}]),
        (trip("T", "00:30", "01:10"), [{"weekdays": "1"}]),
        (trip("T", "07:05", "07:50", shift_code="C"), [{"weekdays": "1"}]),
        (trip("T", "22:50", "23:30", shift_code="C"), [{"weekdays": "3"}]),
        (trip("T", "06:00", "06:45", purpose="deadhead"), [{"weekdays": "3"}]),
    ],
    ids=["planned", "a row of every day", "the night of Monday", "shift C of Monday", "for the day after", "deadhead"],
)
def test_t04_honest_service(record: dict, plan: list[dict]) -> None:
    assert not unplanned([record], *plan)

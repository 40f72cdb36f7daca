"""Vehicles whose positions are too rare to show a halt of three minutes: what their trips prove less, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fleet_audit.logic.audit.findings import find
from fleet_audit.schema import lake
from fleet_audit_tests.logic.audit.rules.test_destinations import missed
from fleet_audit_tests.logic.audit_sample import OTHER, audit, found, measured_leg, reasons_not_tested, run, trip
from fleet_audit_tests.logic.frames import rows

FINE = {"moving_s": 3600.0, "moving_steps": 120}
AT_THE_LIMIT = {"moving_s": 3600.0, "moving_steps": 20}
RARE = {"moving_s": 3600.0, "moving_steps": 12}


def too_little(steps: dict, start: str = "06:00", end: str = "07:00") -> list[dict]:
    """D04 of a run of 20 km from 06:00 to 07:00, on a trip of 30 km."""
    return found(audit([trip("T", start, end, "30.00", **steps)], [run("R", "06:00", "07:00", "20")]), "D04")


def without_trip(steps: dict, rule_id: str) -> list[dict]:
    """D05 or D06 of a run during which the vehicle stood, or went on a deadhead of which the run is a part."""
    trips = [trip("T", "06:00", "07:00", **steps)]
    if rule_id == "D06":
        trips.append(trip("L", "11:30", "15:00", "50.00", purpose="deadhead", **steps))
    runs = [run("R", "06:00", "07:00", "30"), run("P", "12:00", "12:40", "25")]
    return found(audit(trips, runs), rule_id)


def broken_chain(steps: dict) -> list[dict]:
    """D10 of a run that starts at the km where the one before ended, although the vehicle drove 14 km in between."""
    runs = [
        run("R1", "06:00", "07:00", "30", odometer_start_km="100", odometer_end_km="130"),
        run("R2", "08:00", "09:00", "30", odometer_start_km="130", odometer_end_km="160"),
    ]
    trips = [trip("T1", "06:00", "07:00", **steps), trip("T2", "08:00", "09:00", **steps)]
    return found(audit([*trips, trip("D", "07:10", "07:30", "14.00", purpose="deadhead", **steps)], runs), "D10")


@pytest.mark.parametrize(
    "findings",
    [too_little, broken_chain, lambda steps: without_trip(steps, "D06")],
    ids=["D04", "D10", "D06"],
)
def test_a_finding_that_a_missed_halt_would_explain_states_at_most_0_4(findings) -> None:  # type: ignore[no-untyped-def]
    [unknown], [fine], [at_the_limit], [rare] = (findings(steps) for steps in ({}, FINE, AT_THE_LIMIT, RARE))
    assert unknown["confidence"] == fine["confidence"] == at_the_limit["confidence"] >= 0.93
    assert rare["confidence"] == 0.4


def test_a_missed_halt_does_not_explain_a_run_while_the_vehicle_stood() -> None:
    """All 17 such findings of 16 fleets with a position every 300 s were right."""
    [fine], [rare] = (without_trip(steps, "D05") for steps in (FINE, RARE))
    assert rare["confidence"] == fine["confidence"] >= 0.93


def test_one_trip_with_a_gap_makes_no_vehicle_rare() -> None:
    others = [trip(f"T{hour}", f"{hour}:00", f"{hour}:40", **FINE) for hour in (10, 14)]
    runs = [run("R", "06:00", "07:00", "20")]
    [finding] = found(audit([trip("T", "06:00", "07:00", "30.00", **RARE), *others], runs), "D04")
    assert finding["confidence"] == 0.99


def test_more_declared_than_measured_is_not_explained_by_a_missed_halt() -> None:
    trips, runs = [trip("T", "06:00", "07:00", "30.00", **RARE)], [run("R", "06:00", "07:00", "45")]
    assert found(audit(trips, runs), "D01")[0]["confidence"] == 0.99


@pytest.mark.parametrize(("start", "end"), [("05:30", "07:00"), ("06:00", "07:30")])
def test_d04_is_not_tested_on_a_trip_that_may_hold_another_movement(start: str, end: str) -> None:
    assert too_little(FINE, start, end)
    assert not too_little(RARE, start, end)
    trips, runs = [trip("T", start, end, "30.00", **RARE)], [run("R", "06:00", "07:00", "20")]
    reasons = reasons_not_tested(audit(trips, runs), "D04")
    assert "1 de 1 veículo não testado (AAA1A11)" in reasons["D04"]
    assert "posições raras demais para separar a viagem da ata de outro deslocamento" in reasons["D04"]


def test_d04_tests_a_trip_that_a_rare_position_makes_a_step_longer() -> None:
    [finding] = too_little(RARE, "05:57", "07:11")
    assert finding["confidence"] == 0.4


def test_g08_is_not_tested_where_a_short_halt_would_not_be_seen() -> None:
    assert missed("FRENTE ÁGUA CLARA", **FINE)
    assert not missed("FRENTE ÁGUA CLARA", **RARE)
    trips = [trip("T", "06:00", "07:00", **RARE)]
    reasons = reasons_not_tested(audit(trips, [run("R", "06:00", "07:00")]), "G08")
    assert "posições raras demais para mostrar uma parada curta" in reasons["G08"]


def test_an_odometer_that_stands_while_a_leg_goes_far_proves_no_phantom() -> None:
    trips = [trip("T", "06:00", "07:00", "0.00", purpose="yard")]
    runs = [run("R", "06:00", "07:00", "32")]
    assert found(audit(trips, runs), "D05")
    driven = rows(lake.LEGS, measured_leg("T", "06:00", "07:00", (-22.0, -52.0), (-22.2, -52.0)))
    context = audit(trips, runs, legs=driven)
    assert not found(context, "D05")
    assert context.watched.loc["R", "moved_km"] == pytest.approx(22.24, abs=0.01)
    nearby = rows(lake.LEGS, measured_leg("T", "06:00", "07:00", (-22.0, -52.0), (-22.001, -52.0)))
    assert found(audit(trips, runs, legs=nearby), "D05")


def test_a_clock_that_rare_positions_cannot_prove_makes_no_phantoms() -> None:
    """Runs from 06:00 and 14:00 by a device three hours behind, one of whose trips has a deadhead joined to it."""
    runs = [run("R1", "06:00", "07:00"), run("R2", "14:00", "15:00")]

    def phantoms(steps: dict, *more: dict) -> list[dict]:
        trips = [trip("T1", "02:20", "04:00", "32.00", **steps), trip("T2", "11:02", "12:03", "30.00", **steps), *more]
        return found(audit(trips, runs), "D05")

    assert not phantoms(RARE)
    assert len(phantoms(RARE, trip("T3", "14:00", "15:00", **RARE))) == 1


def test_a_clock_that_rare_positions_cannot_prove_owes_nobody_anything() -> None:
    """The same device: both trips seem undeclared (D07), and one of them lies between the runs (D10)."""
    read = [("1000", "1030"), ("1030", "1060")]
    first, second = ({"odometer_start_km": start, "odometer_end_km": end} for start, end in read)
    runs = [run("R1", "06:00", "07:00", **first), run("R2", "14:00", "15:00", **second)]
    other = run("R3", "06:00", "07:00", plate=OTHER)

    def in_favour(steps: dict, declared: list[dict]) -> list[str]:
        trips = [trip("T1", "02:20", "04:00", "32.00", **steps), trip("T2", "11:02", "12:03", "30.00", **steps)]
        findings = find(audit(trips, declared))
        return findings.loc[findings["in_favour_brl"].notna(), "rule_id"].sort_values().to_list()

    assert {"D07"} <= set(in_favour(FINE, runs))
    assert not in_favour(RARE, runs)
    assert in_favour(RARE, [other]) == ["D07", "D07"]  # no run of the vehicle may be their declaration


BY_CHORDS = {**RARE, "km_method": "gps", "evidence_grade": "C", "km_uncertainty": Decimal("5.200")}


def test_what_a_standing_odometer_leaves_to_chords_accuses_no_carrier_of_too_much_declared() -> None:
    """26 km of chords are a road of 30: the run declares it, 4 km more, and neither D01 nor D02 is tested."""
    trips = [trip("T", "06:00", "07:00", "26.00", **BY_CHORDS), trip("L", "12:00", "13:00", "26.00", **BY_CHORDS)]
    runs = [run("R", "06:00", "07:00", "30"), run("P", "12:00", "13:00", "31")]
    context = audit(trips, runs)
    assert not found(context, "D01")
    assert not found(context, "D02")
    reasons = reasons_not_tested(context, "D01", "D02")
    assert "as posições são raras demais para medir a estrada" in reasons["D01"]
    assert found(audit([trip("T", "06:00", "07:00", "26.00", **BY_CHORDS | FINE)], runs[:1]), "D01")


def test_more_declared_than_the_chords_can_have_cut_is_named() -> None:
    trips, runs = [trip("T", "06:00", "07:00", "26.00", **BY_CHORDS)], [run("R", "06:00", "07:00", "34")]
    assert [finding["km_at_stake"] for finding in found(audit(trips, runs), "D01")] == [Decimal("8.00")]


SHUTTLE_BY_CHORDS = BY_CHORDS | {"moving_s": 900.0, "moving_steps": 3, "km_uncertainty": Decimal("0.760")}


def test_a_day_of_short_runs_by_chords_declares_no_more_than_the_road() -> None:
    """Ten runs of 4.50 km, chords of 3.80: each is within 1 km, together they once were 7 km above (D02, critical)."""
    hours = [f"{hour:02d}" for hour in range(6, 16)]
    trips = [trip(f"T{hour}", f"{hour}:00", f"{hour}:15", "3.80", **SHUTTLE_BY_CHORDS) for hour in hours]
    runs = [run(f"R{hour}", f"{hour}:00", f"{hour}:15", "4.50") for hour in hours]
    context = audit(trips, runs)
    assert not found(context, "D02")
    reasons = reasons_not_tested(context, "D01", "D02")
    assert "1 de 1 veículo não testado (AAA1A11)" in reasons["D02"]
    assert "as posições são raras demais para medir a estrada" in reasons["D02"]
    assert "D01" not in reasons


def test_the_day_of_a_vehicle_counts_only_its_groups_by_road_and_lists_the_others() -> None:
    by_chords = trip("C", "15:00", "15:15", "3.80", **SHUTTLE_BY_CHORDS)
    trips = [trip("T1", "06:00", "07:00", "20.00"), trip("T2", "10:00", "11:00", "20.00"), by_chords]
    runs = [run("R1", "06:00", "07:00", "26"), run("R2", "10:00", "11:00", "26"), run("R3", "15:00", "15:15", "4.50")]
    context = audit(trips, runs)
    [finding] = found(context, "D02")
    evidence = finding["evidence"]
    [uncounted] = context.groups.loc[[ids == ["C"] for ids in context.groups["trip_ids"]], "match_id"]
    assert (finding["km_at_stake"], evidence["uncounted_match_ids"]) == (Decimal("12.00"), [uncounted])

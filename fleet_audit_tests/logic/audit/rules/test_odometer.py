"""O01 to O05, the odometer's and the devices' Q05, and Q02."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.scoring import score
from fleet_audit.schema import lake, reference
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    VEHICLES,
    at,
    audit,
    costs_frame,
    devices_of,
    found,
    reasons_not_tested,
    run,
    span,
    trip,
)  # fmt: skip
from fleet_audit_tests.logic.frames import rows

DEVICE = "D1"


def event(kind: str, start: str, end: str, to_km: float, **more: object) -> dict:
    """An odometer event of a device whose reading was 1000 km before."""
    return {
        "kind": kind, "device_id": DEVICE, "started_at": at(start), "ended_at": at(end), "odometer_to_km": to_km,
        "path_km": 0.0, "latitude_from": -22.1, "longitude_from": -51.1, **more,
    }  # fmt: skip


def leg(trip_id: str, odometer_km: float, gps_km: float, **more: object) -> dict:
    """A measured leg; times are those of any trip."""
    return {
        "leg_id": f"L{trip_id}", "trip_id": trip_id, "operational_date": DAY, "plate": PLATE,
        "is_maintenance_driver": False, "started_at": at("06:00"), "ended_at": at("07:00"), "km_odometer": odometer_km,
        "km_gps": gps_km, "km_bridged": 0.0, "km_fine": gps_km, "is_odometer_valid": True, "passengers_readings": 0,
        "gaps": 0,
        "is_short": False, "is_start_in_gap": False, "is_end_in_gap": False, "source": "positions", **more,
    }  # fmt: skip


def with_legs(trips: list[dict], legs: list[dict], **changed: object):
    return audit(trips, [], legs=rows(lake.LEGS, *legs), **changed)


@pytest.mark.parametrize(
    ("rule_id", "kind", "to_km", "path_km", "severity"),
    [
        ("O01", "fall", 988.0, 0.5, "C"),
        ("O02", "jump", 1020.0, 0.0, "H"),
        ("O03", "frozen", 1000.0, 12.0, "H"),
        ("O04", "parked", 1008.0, 0.1, "C"),
    ],
)
def test_an_event_is_a_finding_on_the_trip_that_it_lies_in(rule_id, kind, to_km, path_km, severity):
    own = {"device_id": DEVICE, "evidence_grade": "C"}
    trips = [trip("T1", "06:00", "07:00", "30.00", **own), trip("T2", "12:00", "13:00", **own)]
    devices = devices_of([event(kind, "06:20", "06:40", to_km, path_km=path_km)])
    costs = costs_frame({"trip_id": "T1", "billable_km": "30"}, {"trip_id": "T2", "billable_km": "30"})
    context = audit(trips, [], devices=devices, costs=costs)
    [finding] = found(context, rule_id)
    assert (finding["severity"], finding["trip_id"], finding["amount"]) == (severity, "T1", "paid_doubtful_brl")
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("30.00"), Decimal("147.00"))
    assert PLATE in finding["explanation_pt"]
    [row] = finding["evidence"]["events"]
    assert (row["odometer_from_km"], row["odometer_to_km"], row["device_id"]) == (1000.0, to_km, DEVICE)
    assert row["started_at"] == "2025-06-10T09:20:00Z"
    others = {"O01", "O02", "O03", "O04", "O05"} - {rule_id}
    assert not any(found(context, other) for other in others)


def test_a_finding_lowers_the_score_of_its_trip_alone():
    trips = [trip("T1", "06:00", "07:00", device_id=DEVICE), trip("T2", "12:00", "13:00", device_id=DEVICE)]
    context = audit(trips, [], devices=devices_of([event("parked", "06:20", "06:40", 1008.0)], [{"device_id": DEVICE}]))
    scores = score(context.of_day(context.trips), find(context), context.parameters).set_index("trip_id")
    assert scores.loc["T2", "compliance_score"] == Decimal("100.00")
    assert scores.loc["T1", "compliance_score"] == Decimal("61.20")  # 40 × 0.97


def test_many_events_of_a_day_are_one_finding_that_counts_them():
    devices = devices_of([event("jump", f"{hour:02d}:00", f"{hour:02d}:05", 1040.0) for hour in range(8, 12)])
    [finding] = found(audit([trip("T", "06:00", "13:00", "400.00")], [], devices=devices), "O02")
    assert "e mais 3 vezes no dia" in finding["explanation_pt"]
    assert len(finding["evidence"]["events"]) == 4
    devices = devices_of([event("jump", f"{hour:02d}:00", f"{hour:02d}:05", 1040.0) for hour in (8, 9)])
    [finding] = found(audit([trip("T", "06:00", "13:00", "400.00")], [], devices=devices), "O02")
    assert "(e mais 1 vez no dia)" in finding["explanation_pt"]


@pytest.mark.parametrize(
    ("grade", "method", "cost", "stake"),
    [
        ("C", "odometer", {}, Decimal("30.00")),
        ("A", "odometer", {}, None),
        ("C", "gps", {}, None),
        ("C", "odometer", {"cost_status": "not_billable"}, None),
    ],
    ids=["paid by the odometer", "odometer and path agree", "paid by GPS", "not paid"],
)
def test_a_reading_puts_at_stake_only_what_was_paid_by_it(grade, method, cost, stake):
    devices = devices_of([event("fall", "06:20", "06:40", 11.0, odometer_from_km=240_000.0)])
    trips = [trip("T", "06:00", "07:00", "30.00", evidence_grade=grade, km_method=method)]
    costs = costs_frame({"trip_id": "T", "billable_km": "30", **cost})
    [finding] = found(audit(trips, [], devices=devices, costs=costs), "O01")
    assert (None if pd.isna(finding["km_at_stake"]) else finding["km_at_stake"]) == stake


@pytest.mark.parametrize(("kind", "to_km", "rule_id"), [("fall", 0.0, "O01"), ("jump", 5300.0, "O02")])
def test_a_reading_that_the_next_takes_back_accuses_nobody(kind: str, to_km: float, rule_id: str):
    devices = devices_of([event(kind, "06:20", "06:40", to_km, is_lone=True)])
    assert not found(audit([trip("T", "06:00", "07:00")], [], devices=devices), rule_id)


def test_an_odometer_without_a_usable_reading_is_not_tested():
    """It may have died, or count in steps of 10 km; a trip that GPS measured against its readings is tested."""
    trips = [trip("T", "06:00", "07:00", device_id=DEVICE, km_method="gps", km_gps="30.000")]
    devices = devices_of([], [{"device_id": DEVICE}])
    silent = reasons_not_tested(audit(trips, [], devices=devices), "O01", "O02", "O03", "O04")
    for rule_id in ("O01", "O02", "O03", "O04"):
        assert silent[rule_id].startswith(f"1 de 1 veículo não testado ({PLATE}): nenhuma leitura do hodômetro serve")
    for tested, events in (
        ([{**trips[0], "km_odometer": "0.000"}], []),
        (trips, [event("fall", "04:20", "04:40", 9.0)]),
    ):
        context = audit(tested, [], devices=devices_of(events, [{"device_id": DEVICE}]))
        assert "O03" not in reasons_not_tested(context, "O03")


def test_a_reset_is_a_contradiction_and_no_fraud():
    context = audit([trip("T", "06:00", "07:00")], [], devices=devices_of([event("reset", "06:20", "06:40", 0.0)]))
    [finding] = found(context, "Q05")
    assert "reiniciado" in finding["explanation_pt"]
    assert not found(context, "O01")


@pytest.mark.parametrize(
    ("odometer_km", "gps_km", "is_found"),
    [
        (30.0, 29.0, False),
        (30.0, 28.5, False),
        (30.0, 28.4, True),
        (5.0, 5.5, False),
        (5.0, 5.6, True),
        (30.0, 34.0, True),
    ],
)
def test_o05_is_max_of_5_pct_of_the_odometer_and_half_a_km(odometer_km, gps_km, is_found):
    trips = [trip("T", "06:00", "07:00", str(gps_km), km_method="gps")]
    findings = found(with_legs(trips, [leg("T", odometer_km, gps_km)]), "O05")
    assert bool(findings) is is_found
    for finding in findings:
        assert finding["km_at_stake"] == Decimal(str(abs(odometer_km - gps_km))).quantize(Decimal("0.01"))
        assert "vale o GPS" in finding["explanation_pt"]


def test_o05_judges_the_part_of_a_trip_that_positions_saw():
    """The other part is in a visit report alone: a wrong odometer once went unnoticed beside it."""
    trips = [trip("T", "06:00", "07:00", "50.00", km_method="report", km_reported=20.0)]
    rest = leg("T", None, None) | {"leg_id": "report", "source": "visit_report", "started_at": at("06:30")}
    [finding] = found(with_legs(trips, [leg("T", 34.0, 30.0), rest]), "O05")
    assert finding["km_at_stake"] == Decimal("4.00")
    assert finding["explanation_pt"].endswith("acima da tolerância de 1,70 km, na parte que as posições mostram.")


def test_o05_tolerates_the_resolution_of_an_odometer_of_whole_km():
    trips = [trip("T", "06:00", "07:00")]
    assert found(with_legs(trips, [leg("T", 10.0, 11.2)]), "O05")
    assert not found(with_legs(trips, [leg("T", 10.0, 11.2, odometer_resolution_km=1.0)]), "O05")


def test_o05_compares_what_both_measured():
    """Steps that the odometer bridged are in both sums: 40 km of them must not widen the tolerance."""
    [finding] = found(with_legs([trip("T", "06:00", "07:00")], [leg("T", 50.0, 51.0, km_bridged=40.0)]), "O05")
    assert finding["evidence"]["limit_km"] == 0.5


def test_o05_is_as_sure_as_the_path_and_not_as_the_grade_that_the_difference_makes():
    trips = [trip("T", "06:00", "07:00", "30.00", km_method="gps", evidence_grade="C")]

    def confidence(gps_km: float, **facts: object) -> float:
        [finding] = found(with_legs(trips, [leg("T", 33.0, gps_km, **facts)]), "O05")
        return finding["confidence"]

    assert confidence(30.5) == 0.97
    assert confidence(31.3) < 0.8  # 0.05 km above the tolerance of 1.65 km, and a path is not surer than 1.5 %
    assert confidence(30.5, km_fine=15.3) < 0.9  # chords miss corners


@pytest.mark.parametrize(
    "unsound", [{"is_odometer_valid": False}, {"km_gps": None}, {"km_odometer": None}, {"km_fine": 2.0}]
)
def test_o05_needs_two_measurements(unsound):
    assert not found(with_legs([trip("T", "06:00", "07:00")], [leg("T", 50.0, 10.0) | unsound]), "O05")


def test_a_device_in_miles_is_one_contradiction_and_accuses_nobody():
    health = {"device_id": DEVICE, "issues": ["odometer_miles"], "odometer_ratio": 0.6214, "ratio_km": 80.0}
    devices = devices_of([event("jump", "06:20", "06:40", 1040.0)], [health])
    context = with_legs([trip("T", "06:00", "07:00", device_id=DEVICE)], [leg("T", 18.6, 30.0)], devices=devices)
    assert not any(found(context, rule_id) for rule_id in ("O01", "O02", "O03", "O04", "O05"))
    [finding] = found(context, "Q05")
    assert "milhas" in finding["explanation_pt"]
    assert "0,621" in finding["explanation_pt"]
    assert finding["evidence"]["device"]["odometer_ratio"] == 0.6214


def test_a_clock_off_by_hours_is_reported_and_nothing_is_corrected():
    health = {"device_id": DEVICE, "issues": ["clock_shift"], "clock_shift_h": 3, "clock_runs": 6}
    [finding] = found(audit([trip("T", "06:00", "07:00")], [], devices=devices_of([], [health])), "Q05")
    assert "3 h adiantado" in finding["explanation_pt"]
    assert "nada foi corrigido" in finding["explanation_pt"]


def test_two_devices_of_one_vehicle_that_disagree_are_a_contradiction_with_nothing_at_stake():
    health = {"device_id": "D2", "issues": ["devices_disagree"], "primary_device_id": DEVICE, "km_counted": 88.0,
              "km_primary": 80.0}  # fmt: skip
    [finding] = found(audit([trip("T", "06:00", "07:00")], [], devices=devices_of([], [health])), "Q05")
    assert f"contou 88,0 km enquanto o equipamento {DEVICE}" in finding["explanation_pt"]
    assert finding["evidence"]["device"]["km_primary"] == 80.0
    assert pd.isna(finding["brl_at_stake"])


@pytest.mark.parametrize("issue", ["clock_shift", "constant_place", "no_true_fix", "rounded_coordinates"])
def test_a_device_that_cannot_witness_accuses_nobody(issue: str):
    """Else a clock three hours off would make phantoms of honest runs, and undeclared trips of the same ones."""
    trips = [trip("T1", "06:00", "07:00", "20.00"), trip("T2", "12:00", "13:00")]
    runs = [
        run("R1", "06:00", "07:00", "30", odometer_start_km="100", odometer_end_km="130"),
        run("R3", "15:00", "16:00", odometer_start_km="190", odometer_end_km="220"),
    ]
    proofs = ("D01", "D02", "D05", "D07", "D10")
    sound = audit(trips, runs)
    assert all(found(sound, rule_id) for rule_id in proofs)
    health = {"device_id": DEVICE, "issues": [issue], "clock_shift_h": 3, "clock_runs": 6}
    context = audit(trips, runs, devices=devices_of([], [health]))
    assert not any(found(context, rule_id) for rule_id in proofs)
    silent = reasons_not_tested(context, *proofs, "D04")
    assert all(silent[rule_id].startswith(f"1 de 1 veículo não testado ({PLATE})") for rule_id in (*proofs, "D04"))
    assert not reasons_not_tested(sound, *proofs, "D04")
    assert bool(found(context, "D06")) is (issue != "clock_shift")
    assert set(held_runs(context)["reason"]) == {"clock" if issue == "clock_shift" else "no_trip"}


@pytest.mark.parametrize(
    ("issue", "sentence"),
    [
        ("constant_place", "mesma coordenada"),
        ("no_true_fix", "nenhuma coordenada verdadeira"),
        ("rounded_coordinates", "duas casas decimais"),
    ],
)
def test_a_stuck_receiver_is_no_tracker_off_the_bus(issue: str, sentence: str):
    events = [event("parked", "08:00", "09:00", 1030.0)]
    trips = [trip("T", "06:00", "07:00")]
    assert found(audit(trips, [], devices=devices_of(events, [])), "O04")
    context = audit(trips, [], devices=devices_of(events, [{"device_id": DEVICE, "issues": [issue], "located": 90}]))
    assert not found(context, "O04")
    [finding] = found(context, "Q05")
    assert sentence in finding["explanation_pt"]


def test_a_run_on_a_day_with_the_tracker_off_the_bus_is_held_as_not_observed():
    devices = devices_of([event("parked", "12:00", "13:00", 1030.0)], [{"device_id": DEVICE}])
    context = audit([], [run("R", "08:00", "09:00")], devices=devices)
    assert not found(context, "D05")
    [finding] = found(context, "D06")
    assert "não observado" in finding["explanation_pt"]
    assert (finding["amount"], finding["confidence"]) == ("held_brl", 0.02)
    assert list(held_runs(context)["reason"]) == ["not_observed"]
    [cause] = found(context, "O04")
    assert cause["explanation_pt"].endswith("não foi observada e fica retida, sem indício de corrida fantasma.")
    table = with_roots(find(context), context.groups).set_index("rule_id")
    assert table.loc["D06", "root_finding_id"] == cause["finding_id"]


@pytest.mark.parametrize(("declared", "rule_id"), [("29", "D01"), ("8", "D04")])
def test_a_movement_while_the_tracker_lies_off_the_bus_contradicts_no_declared_run(declared: str, rule_id: str) -> None:
    """Between two O04 the odometer counted 12.5 km of a run over one rare step; a trip of the afternoon is compared."""
    off = devices_of(
        [event("parked", "05:00", "06:20", 1046.0), event("parked", "06:50", "09:00", 1060.0)], [{"device_id": DEVICE}]
    )
    trips, runs = [trip("T", "06:20", "06:40", "12.50")], [run("R", "06:14", "06:49", declared)]
    assert found(audit(trips, runs), rule_id)
    context = audit(trips, runs, devices=off)
    assert not found(context, rule_id)
    assert not found(context, "D02")
    assert "ficou fora do veículo" in reasons_not_tested(context, rule_id)[rule_id]
    later = audit([trip("T", "15:20", "15:40", "12.50")], [run("R", "15:14", "15:49", declared)], devices=off)
    assert found(later, rule_id)


@pytest.mark.parametrize("lacking", ["no_odometer", "no_ignition", "no_coordinates", "odometer_scale"])
def test_what_a_device_lacks_contradicts_nothing(lacking):
    assert not found(audit([], [], devices=devices_of([], [{"device_id": DEVICE, "issues": [lacking]}])), "Q05")


def test_q02_names_the_silent_vehicles_of_a_fleet():
    context = audit([trip("T", "06:00", "07:00")], [], [span("00:00", "24:00")])
    [finding] = found(context, "Q02")
    assert finding["explanation_pt"].startswith(
        "Em 10/06/2025, 1 de 2 veículos da transportadora CONLOG na unidade UCP"
    )
    names = {"carriers": rows(reference.CARRIERS, {"carrier_code": "CONLOG", "name": "Conlog Ltda."}),
             "units": rows(reference.UNITS, {"unit_code": "UCP", "name": "Conquista"})}  # fmt: skip
    named = replace(context, reference=context.reference.with_tables(**names))
    [sentence] = [one["explanation_pt"] for one in found(named, "Q02")]
    assert "da transportadora Conlog Ltda. na unidade Conquista não foi visto" in sentence
    assert (finding["carrier_code"], finding["unit_code"], finding["severity"]) == ("CONLOG", "UCP", "H")
    assert finding["evidence"]["silent_plates"] == [OTHER]


def test_q02_concerns_only_vehicles_that_ought_to_send():
    watched = [span("00:00", "24:00")]
    without_device = rows(reference.DEVICES, {"device_id": "D-1", "plate": PLATE})
    reserve = VEHICLES.assign(status=["ativo", "reserva"])
    reported = [*watched, span("05:00", "06:00", day=DAY - pd.Timedelta(days=1), plate=OTHER, source="visit_report")]
    for changed in ({"registered": without_device}, {"vehicles": reserve}):
        assert not found(audit([trip("T", "06:00", "07:00")], [], watched, **changed), "Q02")
    assert not found(audit([trip("T", "06:00", "07:00")], [], reported), "Q02")
    lone = devices_of([], [{"device_id": "D2", "plate": OTHER, "positions": 48}])
    assert not found(audit([trip("T", "06:00", "07:00")], [], watched, devices=lone), "Q02")
    both = [*watched, span("05:00", "06:00", plate=OTHER)]
    assert not found(audit([trip("T", "06:00", "07:00")], [], both), "Q02")


def test_without_positions_nothing_of_devices_is_tested():
    context = audit([trip("T", "06:00", "07:00", source="visit_report")], [run("R", "06:00", "07:00")],
                    [span("06:00", "07:00", source="visit_report")])  # fmt: skip
    of_positions = {"O01", "O02", "O03", "O04", "O05"}
    assert {*of_positions, "Q02"} <= set(reasons_not_tested(context, *of_positions, "Q02"))
    assert not found(context, "Q02")
    sound = replace(context, devices=devices_of([], [{"device_id": DEVICE}]))
    assert not reasons_not_tested(sound, *of_positions)

"""D05, D06, D07 and held runs: runs without a trip and trips without a run."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.registry import DAY_RULES
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    at,
    audit,
    costs_frame,
    devices_of,
    dwell,
    dwells_frame,
    found,
    reasons_not_tested,
    run,
    span,
    trip,
)

PHANTOM = run("7002", "08:00", "09:00", "30")
YARD = {"purpose": "yard"}


def incomplete(day: dt.date, source: str, reason_pt: str) -> pd.DataFrame:
    """A day on which a source is incomplete for every carrier; beside accepted rows, where a plate is assigned."""
    gap = {"operational_date": day, "source": source, "carrier_code": "", "plate": "", "reason_pt": reason_pt}
    gap["is_of_rows"] = True
    return pd.DataFrame([gap])


def reasons(trips: list[dict], runs: list[dict], spans: list[dict] | None = None) -> dict[str, str]:
    held = held_runs(audit(trips, runs, spans))
    return dict(zip(held["declared_run_id"], held["reason"], strict=True))


def test_d05_a_vehicle_that_was_watched_and_stood() -> None:
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM])
    [finding] = found(context, "D05")
    assert (finding["severity"], finding["declared_run_id"]) == ("C", "7002")
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("30.00"), Decimal("150.00"))
    assert "observado em 100 % desse período e percorreu 0,00 km" in finding["explanation_pt"]
    assert not found(context, "D06")
    held = held_runs(context).to_dict("records")
    assert [(row["declared_run_id"], row["reason"], row["brl_at_rate"]) for row in held] == [
        ("7002", "phantom", Decimal("150.00"))
    ]


@pytest.mark.parametrize(
    ("until", "reason"), [("08:48", "phantom"), ("08:47", "no_trip"), ("08:00", "no_data")]
)  # 80 %, less, nothing
def test_d05_needs_eighty_per_cent_of_watching(until: str, reason: str) -> None:
    spans = [span("07:00", "08:30"), span("08:20", until)] if until > "08:30" else [span("07:00", until)]
    assert reasons([], [PHANTOM], spans) == {"7002": reason}


@pytest.mark.parametrize(("km", "reason"), [("0.49", "phantom"), ("0.50", None)])
def test_d05_a_shuffle_on_the_yard_is_no_movement(km: str, reason: str | None) -> None:
    assert reasons([trip("Y", "08:10", "08:12", km, **YARD)], [PHANTOM]).get("7002") == reason


def test_d05_counts_movement_by_the_share_of_its_time_inside() -> None:
    """A trip of another run that begins in the last 2 of its 60 minutes: 1 km of 30 was driven inside."""
    trips = [trip("T", "08:58", "09:58")]
    runs = [PHANTOM, run("R", "08:58", "09:58")]
    assert reasons(trips, runs) == {"7002": "no_trip"}
    assert reasons([{**trips[0], "km_measured": "9.00"}], runs) == {"7002": "phantom"}


def test_d05_unknown_km_are_not_zero() -> None:
    trips = [trip("T", "08:58", "09:58", None)]
    assert reasons(trips, [PHANTOM, run("R", "08:58", "09:58")]) == {"7002": "no_trip"}


def test_d05_a_run_with_a_trip_is_no_phantom() -> None:
    assert reasons([trip("T", "09:05", "10:00")], [PHANTOM]) == {}


def test_d05_does_not_accuse_a_night_run_whose_day_is_uncertain() -> None:
    """Nights dated by the shift: the first has no trip as written, and its own is claimed by the second."""
    days = [DAY + dt.timedelta(days=number) for number in range(2)]
    trips = [trip("T", "00:30", "01:30", day=days[1])]
    runs = [run(f"R{day:%d}", "00:30", "01:30", day=day, shift_code="C") for day in days]
    context = audit(trips, runs, [span("00:00", "24:00"), span("00:00", "24:00", day=days[1])])
    assert not found(context, "D05")
    assert not found(context, "D06")
    held = held_runs(context)
    assert dict(zip(held["declared_run_id"], held["reason"], strict=True)) == {"R10": "date_uncertain"}


def test_a_tracker_without_an_odometer_proves_no_phantom_run() -> None:
    """It may lie in the garage while the bus drives: the run is held, not called invented (RULES 6.1)."""
    trips, runs = [trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM]
    silent = {"device_id": "D", "readings": 0, "issues": ["no_odometer"]}
    assert not found(audit(trips, runs, devices=devices_of(health=[silent])), "D05")
    assert found(audit(trips, runs, devices=devices_of(health=[silent])), "D06")
    both = [silent, {"device_id": "E"}]
    assert found(audit(trips, runs, devices=devices_of(health=both)), "D05")


@pytest.mark.parametrize("is_proven", [True, False])
def test_two_clocks_of_one_vehicle_prove_a_phantom_run_only_where_runs_prove_the_first(is_proven: bool) -> None:
    """The clock of the device that measures may be the wrong one: the bus stood by it while it drove."""
    trips, runs = [trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM]
    shift = {"clock_shift_h": 0 if is_proven else pd.NA}
    other = {"device_id": "D2", "issues": ["other_clock"], "primary_device_id": "D1", **shift}
    context = audit(trips, runs, devices=devices_of(health=[other]))
    assert [bool(found(context, rule_id)) for rule_id in ("D05", "D06")] == [is_proven, not is_proven]
    assert "relógio" in found(context, "Q05")[0]["explanation_pt"]


def test_of_two_devices_that_are_not_on_one_vehicle_none_proves_a_phantom_run() -> None:
    trips, runs = [trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM]
    other = {"device_id": "D2", "issues": ["other_vehicle"], "primary_device_id": "D1"}
    context = audit(trips, runs, devices=devices_of(health=[other]))
    assert [bool(found(context, rule_id)) for rule_id in ("D05", "D06")] == [False, True]
    assert "D1" in found(context, "Q05")[0]["explanation_pt"]


@pytest.mark.parametrize(
    ("counted", "is_phantom"),
    [
        ([dwell("08:50", "09:10", 1.5)], False),
        ([dwell("08:20", "08:30", None)], False),
        ([dwell("08:20", "08:30", 0.1)], True),
        ([dwell("09:00", "09:10", 1.5)], True),
    ],
    ids=["counted in the run", "readings that contradict", "a shuffle", "counted after the run"],
)
def test_a_run_over_which_the_odometer_counted_is_no_phantom(counted: list[dict], is_phantom: bool) -> None:
    """Less than the 2 km of an O04: the tracker may lie in the garage, so that the run is held, not called invented."""
    trips, runs = [trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM]
    context = audit(trips, runs, dwells=dwells_frame(*counted))
    assert [bool(found(context, rule_id)) for rule_id in ("D05", "D06")] == [is_phantom, not is_phantom]


def test_a_night_run_whose_day_after_is_not_seen_is_held_and_then_verified() -> None:
    night = run("R", "00:30", "01:30", shift_code="C")
    before = audit([], [night], [span("00:00", "24:00")])
    assert not found(before, "D05")
    assert not found(before, "D06")
    assert list(held_runs(before)["reason"]) == ["date_uncertain"]
    after = audit([], [night], [span("00:00", "48:00")])
    assert found(after, "D05")


def test_a_run_whose_positions_did_not_arrive_by_our_own_fault_is_held_without_a_finding() -> None:
    silent = [span("00:00", "24:00", plate=OTHER)]
    trips = [trip("T", "12:00", "13:00", plate=OTHER)]
    assert found(audit(trips, [PHANTOM], silent), "D06")
    gap = incomplete(DAY, "P", "a API não respondeu")
    context = audit(trips, [PHANTOM], silent, incomplete=gap)
    assert not {"D05", "D06", "D07", "Q02"} & set(find(context)["rule_id"])
    assert list(held_runs(context)["reason"]) == ["source_missing"]
    reasons_pt = rules_not_tested(context, DAY_RULES).set_index("rule_id")["reason_pt"]
    for_the_gap = set(reasons_pt.index[reasons_pt.str.contains("a API não respondeu")])
    on_positions = {"D01", "D02", "D04", "D05", "D06", "D07", "D10", "G02", "G03", "G07", "G08", "Q02"}
    assert for_the_gap == on_positions


def test_a_vehicle_of_which_a_refused_row_may_have_taken_the_device_is_not_accused_by_its_positions() -> None:
    """A device was in another bus since that day; the row that says so was refused for its last day."""
    trips = [trip(f"T{plate}", "12:00", "13:00", plate=plate) for plate in (PLATE, OTHER)]
    clocks = (("A", "12:00", "13:00"), ("X", "08:00", "09:00"))
    runs = [run(f"{name}{plate}", *times, "60", plate=plate) for plate in (PLATE, OTHER) for name, *times in clocks]
    reason = "linhas de devices.csv foram recusadas"
    context = audit(trips, runs, incomplete=incomplete(DAY, "devices", reason).assign(plate=PLATE))
    found_by = find(context).groupby("rule_id")["plate"].agg(set)
    accused = {rule_id: found_by.get(rule_id, set()) for rule_id in ("D01", "D02", "D05", "D06")}
    assert accused == {"D01": {OTHER}, "D02": {OTHER}, "D05": {OTHER}, "D06": set()}
    assert held_runs(context).set_index("plate")["reason"].to_dict() == {PLATE: "source_missing", OTHER: "phantom"}
    untested = rules_not_tested(context, DAY_RULES).set_index("rule_id")["reason_pt"]
    assert {"D01", "D02", "D05", "D06"} <= set(untested.index[untested.str.contains(f"veículo {PLATE}: {reason}")])


def test_a_run_that_reaches_into_an_incomplete_day_is_not_judged() -> None:
    silent = [span("00:00", "24:00", plate=OTHER)]
    late = run("R", "22:30", "24:30")
    gap = incomplete(DAY + dt.timedelta(days=1), "P", "a API não respondeu")
    assert found(audit([], [late], silent), "D06")
    context = audit([], [late], silent, incomplete=gap)
    assert "D06" not in set(find(context)["rule_id"])
    assert list(held_runs(context)["reason"]) == ["source_missing"]


def test_a_missing_bulletin_makes_no_trip_undeclared() -> None:
    trips, runs = [trip("T", "12:30", "13:45")], [run("R", "06:00", "07:00")]
    assert found(audit(trips, runs), "D07")
    gap = incomplete(DAY, "B", "um boletim foi recusado")
    names = set(find(audit(trips, runs, incomplete=gap))["rule_id"])
    assert "D07" not in names
    assert "D05" in names
    assert "D07" not in set(find(audit(trips, runs, incomplete=gap.assign(carrier_code="CONLOG")))["rule_id"])
    other = audit(trips, runs, incomplete=gap.assign(carrier_code="OUTRA"))
    assert "D07" in set(find(other)["rule_id"])
    assert "transportadora OUTRA" in reasons_not_tested(other, "D07")["D07"]


def test_a_vehicle_whose_positions_of_the_day_were_all_refused_is_not_tested() -> None:
    """Its runs were D06, as if the carrier had declared what did not take place."""
    runs = [PHANTOM, run("X", "08:00", "09:00", plate=OTHER)]
    gap = incomplete(DAY, "P", "todas as suas linhas do dia foram recusadas").assign(plate=PLATE)
    seen = [span("07:00", "07:10", plate=OTHER)]
    assert found(audit([], runs, seen), "Q02")
    context = audit([], runs, seen, incomplete=gap)
    assert [row["plate"] for row in found(context, "D06")] == [OTHER]
    assert dict(held_runs(context)[["declared_run_id", "reason"]].to_numpy())["7002"] == "source_missing"
    reasons = rules_not_tested(context, DAY_RULES).set_index("rule_id")["reason_pt"]
    assert f"veículo {PLATE}: todas as suas linhas do dia foram recusadas" in reasons["D06"]
    assert not found(context, "Q02")
    partly = audit([], runs, [span("07:00", "07:10")], incomplete=gap)
    assert found(partly, "D06")
    assert "D06" not in reasons_not_tested(partly, "D06")


@pytest.mark.parametrize(
    ("start", "end", "is_seen"),
    [(-24, 48, True), (-24, 0, False), (-24, 1, True), (24, 48, False), (23, 48, True)],
    ids=["around it", "until midnight", "past midnight", "from midnight on", "from 23:00 on"],
)
def test_a_vehicle_is_seen_on_each_day_that_its_positions_reach_into(start: int, end: int, *, is_seen: bool) -> None:
    gap = incomplete(DAY, "P", "todas as suas linhas do dia foram recusadas").assign(plate=PLATE)
    seen = [span("00:00", "24:00", started_at=at(f"{start:02d}:00"), ended_at=at(f"{end:02d}:00"))]
    reasons = rules_not_tested(audit([], [PHANTOM], seen, incomplete=gap), DAY_RULES).set_index("rule_id")["reason_pt"]
    assert (f"veículo {PLATE}" not in reasons.get("D06", "")) is is_seen


def test_a_vehicle_whose_runs_of_the_day_were_all_refused_has_no_undeclared_trip() -> None:
    gap = incomplete(DAY, "B", "todas as suas linhas do dia foram recusadas").assign(plate=PLATE)
    trips, other = [trip("T", "12:30", "13:45")], run("R", "06:00", "07:00", plate=OTHER)
    assert "D07" in set(find(audit(trips, [other]))["rule_id"])
    assert "D07" not in set(find(audit(trips, [other], incomplete=gap))["rule_id"])
    with_run = audit(trips, [other, run("S", "06:00", "07:00")], incomplete=gap)
    assert "D07" in set(find(with_run)["rule_id"])


@pytest.mark.parametrize(
    ("spans", "is_complete"),
    [
        ([("00:00", "08:00"), ("09:00", "24:00")], False),
        ([("00:00", "08:00"), ("08:11", "24:00")], True),
        ([("00:00", "08:00"), ("08:12", "24:00")], False),
        ([("00:00", "24:00")], True),
    ],
    ids=["an hour", "as parked", "more", "whole"],
)
def test_a_vehicle_that_a_refused_telemetry_file_names_is_tested_where_positions_show_all_of_its_day(
    spans: list[tuple[str, str]], *, is_complete: bool
) -> None:
    """Of hourly files that of 08:00 was refused: a run of that hour was D06, as if it had not taken place."""
    gap = incomplete(DAY, "P", "o arquivo foi recusado").assign(plate=PLATE, is_of_rows=False)
    trips, runs = [trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), PHANTOM]
    context = audit(trips, runs, [span(*times) for times in spans], incomplete=gap)
    assert ({"D05", "D06"} & set(find(context)["rule_id"]) != set()) is is_complete
    assert (list(held_runs(context)["reason"]) == ["source_missing"]) is not is_complete


def test_a_vehicle_that_a_refused_telemetry_file_names_counts_as_seen_where_another_file_shows_it() -> None:
    """Q02 takes the share of a fleet that was not seen; a vehicle of which one file of 24 was accepted was."""
    gap = incomplete(DAY, "P", "o arquivo foi recusado").assign(plate=PLATE, is_of_rows=False)
    seen = [span("07:00", "08:00")]
    [silent] = found(audit([], [], seen, incomplete=gap), "Q02")
    assert (silent["evidence"]["silent_plates"], silent["evidence"]["vehicles"]) == ([OTHER], 2)
    [silent] = found(audit([], [], [span("07:00", "08:00", plate=OTHER)]), "Q02")
    assert silent["evidence"]["silent_plates"] == [PLATE]
    assert not found(audit([], [], [span("07:00", "08:00", plate=OTHER)], incomplete=gap), "Q02")


def test_a_vehicle_that_a_refused_bulletin_names_has_no_undeclared_trip_whatever_else_it_declared() -> None:
    gap = incomplete(DAY, "B", "o arquivo foi recusado").assign(plate=PLATE, is_of_rows=False)
    trips, runs = [trip("T", "06:00", "07:00"), trip("U", "12:30", "13:45")], [run("R", "06:00", "07:00")]
    assert "D07" in set(find(audit(trips, runs))["rule_id"])
    assert "D07" not in set(find(audit(trips, runs, incomplete=gap))["rule_id"])


def test_a_vehicle_of_which_a_movement_was_refused_made_no_phantom_run() -> None:
    """The title of its report covers the vehicle, movements or none: its run was D05. Another movement is not the
    refused one.
    """
    gap = incomplete(DAY, "V", "linhas suas do dia foram recusadas").assign(plate=PLATE)
    shown = [span("00:00", "24:00", source="report")]
    assert found(audit([], [PHANTOM], shown), "D05")
    for trips in ([], [trip("T", "06:00", "06:30")]):
        context = audit(trips, [PHANTOM], shown, incomplete=gap)
        assert not {"D05", "D06"} & set(find(context)["rule_id"])
        assert list(held_runs(context)["reason"]) == ["source_missing"]


def test_d06_a_run_that_nobody_could_verify_is_held() -> None:
    context = audit([], [PHANTOM], [span("00:00", "08:30")])
    [finding] = found(context, "D06")
    assert (finding["severity"], finding["km_at_stake"]) == ("H", Decimal("30.00"))
    assert "observado em 50 % do período" in finding["explanation_pt"]
    assert finding["evidence"]["reason"] == "no_trip"


def test_d06_a_silent_vehicle_of_a_tracked_fleet_is_named_with_less_confidence() -> None:
    watched = audit([], [PHANTOM], [span("00:00", "08:30")])
    silent = audit([], [PHANTOM], [span("00:00", "24:00", plate=OTHER)])
    assert found(silent, "D06")[0]["confidence"] < found(watched, "D06")[0]["confidence"]
    assert found(silent, "D06")[0]["evidence"]["reason"] == "no_data"


def test_d06_is_not_tested_where_only_a_visit_report_looks() -> None:
    by_report = audit([], [PHANTOM], [span("00:00", "07:00", source="visit_report")])
    assert not found(by_report, "D06")
    assert len(held_runs(by_report)) == 1
    mixed = [span("00:00", "07:00", source="visit_report"), span("00:00", "24:00", plate=OTHER)]
    assert not found(audit([], [PHANTOM], mixed), "D06")


def test_d07_a_service_trip_that_nobody_declared() -> None:
    trips = [trip("T", "06:00", "07:00"), trip("alone", "05:15", "07:00", "82.20", plate=OTHER, driver_id="drv-1")]
    [finding] = found(audit(trips, [run("R", "06:00", "07:00")]), "D07")
    assert (finding["severity"], finding["trip_id"], finding["plate"]) == ("M", "alone", OTHER)
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("82.20"), Decimal("402.78"))
    assert (finding["driver_id"], finding["carrier_code"], finding["unit_code"]) == ("drv-1", "CONLOG", "UCP")


@pytest.mark.parametrize(
    ("facts", "is_found"),
    [
        ({"km_measured": "2.00"}, True),
        ({"km_measured": "1.99"}, False),
        ({"km_measured": None}, False),
        ({"purpose": "deadhead"}, False),
        ({"purpose": "maintenance"}, False),
        ({"carrier_code": "OUTRA"}, False),
        ({"carrier_code": None}, True),
    ],
    ids=["2 km", "less", "unknown km", "deadhead", "maintenance", "carrier without bulletin", "unknown carrier"],
)
def test_d07_which_trips_ought_to_be_declared(facts: dict, is_found: bool) -> None:
    trips = [trip("T", "06:00", "07:00"), trip("alone", "12:00", "13:00", **facts)]
    assert bool(found(audit(trips, [run("R", "06:00", "07:00")]), "D07")) is is_found


def test_d07_needs_a_bulletin() -> None:
    assert not found(audit([trip("T", "06:00", "07:00")], []), "D07")


def test_d07_leaves_out_a_night_trip_that_a_run_dated_the_day_before_would_fit() -> None:
    before = DAY - dt.timedelta(days=1)
    trips = [trip("T1", "00:30", "01:30", day=before), trip("T2", "00:30", "01:30")]
    runs = [run("C", "00:30", "01:30", day=before, shift_code="C"), run("other", "06:00", "07:00")]
    assert not found(audit(trips, runs), "D07")
    trips[1] = trip("T2", "02:30", "03:30")
    assert found(audit(trips, runs), "D07")


def test_held_runs_are_those_without_a_trip_whatever_they_cost() -> None:
    context = audit([], [PHANTOM, run("R2", "12:00", "13:00", plate=OTHER)])
    unpriced = pd.DataFrame({"declared_run_id": ["7002"], "rate_brl_per_km": context.run_rates["rate_brl_per_km"][:1]})
    held = held_runs(audit([], [PHANTOM, run("R2", "12:00", "13:00", plate=OTHER)], run_rates=unpriced))
    assert held["brl_at_rate"].isna().tolist() == [False, True]
    assert held["plate"].tolist() == [PLATE, OTHER]


@pytest.mark.parametrize(
    ("candidates", "more", "held"),
    [
        ("FR1, GAR", (), {"R": "place_unproven"}),
        (None, (), {}),  # nowhere that is known
        ("FR1, GAR", ("R2",), {"R": "place_unproven"}),  # a second declaration of the same run is disallowed (D08)
    ],
)
def test_a_run_of_trips_that_no_place_proves_is_held(
    candidates: str | None, more: tuple[str, ...], held: dict[str, str]
) -> None:
    trips = [trip("T", "06:00", "06:30", purpose="unknown", destination_candidates=candidates)]
    runs = [run("R", "06:00", "07:00")] + (
        [run("R2", "06:00", "07:00", origin_text="ORIGEM R")] if "R2" in more else []
    )
    costs = costs_frame({"trip_id": "T", "rate_brl_per_km": None, "variable_cost_brl": "0.00"})
    found = held_runs(audit(trips, runs, costs=costs))
    assert dict(zip(found["declared_run_id"], found["reason"], strict=True)) == held
    assert set(found["brl_at_rate"]) <= {Decimal("150.00")}  # 30 km at the rate that applies to a run


def test_a_run_of_before_midnight_is_held_on_the_day_of_its_trip_after_midnight() -> None:
    """Its rows were of the day before, which the write of D rejects: no day of the range was audited."""
    late = run("R", "23:55", "24:40", day=DAY - dt.timedelta(days=1))
    trips = [trip("T", "00:01", "00:41", purpose="unknown", destination_candidates="FR1, GAR")]
    costs = costs_frame({"trip_id": "T", "rate_brl_per_km": None, "variable_cost_brl": "0.00"})
    held = held_runs(audit(trips, [late], costs=costs))
    assert held[["declared_run_id", "operational_date"]].to_numpy().tolist() == [["R", DAY]]


@pytest.mark.parametrize(
    ("billed_km", "held"),
    [
        ("10.00", [("R", Decimal("6.67"), Decimal("33.35")), ("S", Decimal("13.33"), Decimal("66.65"))]),
        ("29.99", [("S", Decimal("0.01"), Decimal("0.05"))]),
        ("30.00", []),
    ],
)
def test_what_runs_declare_beyond_the_billed_trips_of_their_group_is_held_where_another_is_not_proven(
    billed_km: str, held: list[tuple]
) -> None:
    """10 and 20 km were declared, at R$ 5.00."""
    trips = [
        trip("T", "06:00", "06:40", purpose="unknown", destination_candidates="FR1, GAR"),
        trip("T2", "06:40", "07:00", billed_km),
    ]
    costs = costs_frame(
        {"trip_id": "T", "rate_brl_per_km": None, "billable_km": "0.00", "variable_cost_brl": "0.00"},
        {"trip_id": "T2", "billable_km": billed_km, "variable_cost_brl": "49.00"},
    )
    runs = [run("R", "06:00", "06:20", "10.00"), run("S", "06:15", "07:00", "20.00")]
    found = held_runs(audit(trips, runs, costs=costs))
    assert list(found[["declared_run_id", "declared_km", "brl_at_rate"]].itertuples(index=False, name=None)) == held


@pytest.mark.parametrize("unpaid", [{"purpose": "deadhead"}, {"purpose": "maintenance"}, {"purpose": "unknown"}])
def test_no_more_is_held_than_the_trips_without_a_proven_place_can_be_owed(unpaid: dict[str, str]) -> None:
    """Of 35 km 10 are billed and 5 may be: 20 km that the contract does not pay were held with them."""
    trips = [
        trip("T", "06:00", "06:20", "5.00", purpose="unknown", destination_candidates="FR1, GAR"),
        trip("D", "06:20", "06:40", "20.00", **unpaid),
        trip("S", "06:40", "07:00", "10.00"),
    ]
    nothing = {"rate_brl_per_km": None, "billable_km": "0.00", "variable_cost_brl": "0.00"}
    billed = {"trip_id": "S", "billable_km": "10.00", "variable_cost_brl": "49.00"}
    costs = costs_frame({"trip_id": "T", **nothing}, {"trip_id": "D", **nothing}, billed)
    found = held_runs(audit(trips, [run("R", "06:00", "07:00", "35.00")], costs=costs))
    assert list(found["declared_km"]) == [Decimal("5.00")]
    assert list(found["brl_at_rate"]) == [Decimal("25.00")]


_END_CUT, _START_CUT = {"is_end_in_gap": True}, {"is_start_in_gap": True}


@pytest.mark.parametrize(
    ("declared_km", "seen_km", "facts", "billed_km", "held_km"),
    [
        ("19.00", "8.00", _END_CUT, None, ["19.00"]),  # it stood in no line
        ("19.00", "8.00", _START_CUT, None, ["19.00"]),
        ("19.00", "8.00", _END_CUT, "10.00", ["9.00"]),
        ("16.00", "8.00", _END_CUT, "10.00", ["6.00"]),
        ("6.00", "8.00", _END_CUT, None, ["6.00"]),
        ("19.00", None, _END_CUT, None, ["19.00"]),
        ("19.00", "8.00", {}, None, []),  # all of it was seen, and led nowhere that is known
        ("19.00", "8.00", {**_END_CUT, "purpose": "maintenance"}, None, []),
    ],
)
def test_a_run_of_a_trip_that_a_gap_cuts_is_held_with_what_was_not_seen(
    declared_km: str, seen_km: str | None, facts: dict, billed_km: str | None, held_km: list[str]
) -> None:
    trips = [trip("T", "06:00", "06:30", seen_km, **{"purpose": "unknown", **facts})]
    costs = [{"trip_id": "T", "rate_brl_per_km": None, "billable_km": "0.00", "variable_cost_brl": "0.00"}]
    if billed_km:
        trips.append(trip("T2", "06:30", "07:00", billed_km))
        costs.append({"trip_id": "T2", "billable_km": billed_km, "variable_cost_brl": "49.00"})
    context = audit(trips, [run("R", "06:00", "07:00", declared_km)], costs=costs_frame(*costs))
    held = held_runs(context)
    assert held["declared_km"].tolist() == [Decimal(km) for km in held_km]
    assert held["brl_at_rate"].tolist() == [5 * Decimal(km) for km in held_km]
    assert set(held["reason"]) <= {"trip_cut"}
    accused = {row["rule_id"] for row in find(context).to_dict("records")} & {"D01", "D02", "D05", "D06"}
    assert not (accused and held_km)


@pytest.mark.parametrize(
    ("open_km", "billed_km", "declared_km", "held_km", "above_km"),
    [
        ("20.00", "10.00", "40.00", ["20.00"], ["10.00"]),  # 10 km were both held and disallowed
        ("0.40", "20.00", "21.00", ["0.40"], []),  # rounded up by 0.60 km
        ("20.00", "10.00", "0.00", [], []),
        ("20.00", "10.00", None, [], []),
    ],
)
def test_what_is_declared_above_the_measured_km_is_not_held(
    open_km: str, billed_km: str, declared_km: str | None, held_km: list[str], above_km: list[str]
) -> None:
    trips = [
        trip("T", "06:00", "06:30", open_km, purpose="unknown", destination_candidates="FR1, GAR"),
        trip("T2", "06:30", "07:00", billed_km),
    ]
    costs = costs_frame(
        {"trip_id": "T", "rate_brl_per_km": None, "billable_km": "0.00", "variable_cost_brl": "0.00"},
        {"trip_id": "T2", "billable_km": billed_km, "variable_cost_brl": "49.00"},
    )
    context = audit(trips, [run("R", "06:00", "07:00", declared_km)], costs=costs)
    assert list(held_runs(context)["declared_km"]) == [Decimal(km) for km in held_km]
    found = find(context)
    assert list(found.loc[found["rule_id"] == "D01", "km_at_stake"]) == [Decimal(km) for km in above_km]

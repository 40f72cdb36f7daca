"""Runs that another carrier than the vehicle's declared: who is accused, what is held, what the vehicle's one keeps.

Each rule on three vehicles: one declared by its own carrier (CONLOG), one by VIASUL, and one that no register names.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.day import DayInputs, day_context
from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.incidents.rows import day_incidents
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.scoring import score
from fleet_audit.logic.costs.amounts import vehicle_day_amounts
from fleet_audit.logic.costs.waterfall import CycleFacts, waterfall, waterfall_rows
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit.rules.test_cycle import DAYS, a_cycle, declared, fact_rows, found, worked
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    SHIFTS,
    ZONE,
    audit,
    costs_frame,
    devices_of,
    reasons_not_tested,
    run,
    runs_frame,
    span,
    trip,
    trips_frame,
)
from fleet_audit_tests.logic.frames import rows

UNKNOWN = "CCC3C33"
WRITERS = {PLATE: "CONLOG", OTHER: "VIASUL", UNKNOWN: "VIASUL"}
BEFORE = DAY - dt.timedelta(days=1)
SAME_PLACES = {"origin_text": "A", "destination_text": "B"}
BY_READINGS = {"route_km": "40", "odometer_start_km": "100", "odometer_end_km": "130"}


def day_of(km: str, **more: object) -> AuditDay:
    """A trip of 30 km of each vehicle, and the same run, as its writer declared it."""
    trips = [
        trip(f"T-{plate}", "07:00", "08:00", plate=plate, carrier_code=None if plate == UNKNOWN else "CONLOG")
        for plate in WRITERS
    ]
    runs = [
        run(f"R-{plate}", "07:00", "08:00", km, plate=plate, carrier_code=writer, **more)
        for plate, writer in WRITERS.items()
    ]
    return audit(trips, runs, costs=priced(trips))


def priced(trips: list[dict]) -> pd.DataFrame:
    return costs_frame(
        *({"trip_id": row["trip_id"], "billable_km": "30.00", "variable_cost_brl": "147.00"} for row in trips)
    )


def carriers_of(context: AuditDay, rule_id: str) -> dict[str, str]:
    findings = find(context).query("rule_id == @rule_id")
    return dict(zip(findings["plate"], findings["carrier_code"], strict=True))


@pytest.mark.parametrize(
    ("rule_id", "km", "facts_of_run"),
    [
        ("D01", "40", {}),
        ("D02", "40", {}),
        ("D11", "40", BY_READINGS),
        ("V05", "30", {"passengers": 47}),
        ("V06", "30", {"passengers": 0}),
    ],
)
def test_what_a_run_claims_is_a_finding_of_the_carrier_that_wrote_it(rule_id: str, km: str, facts_of_run: dict) -> None:
    context = day_of(km, **facts_of_run)
    expected = {plate: writer for plate, writer in WRITERS.items() if rule_id != "V05" or plate != UNKNOWN}
    assert carriers_of(context, rule_id) == expected  # nobody knows the seats of the unknown one


def test_the_finding_names_the_vehicles_carrier_and_takes_no_points_of_its_trips() -> None:
    context = day_of("40")
    findings = with_roots(find(context), context.groups)
    row = findings.query("rule_id == 'D01' and plate == @OTHER").iloc[0]
    assert row["explanation_pt"].endswith("é da transportadora CONLOG; quem declarou foi VIASUL.")
    assert (row["declared_run_id"], row["disallowed_brl"]) == (
        f"R-{OTHER}",
        Decimal("50.00"),
    )  # at the rate of its held km
    scores = score(context.trips_of_day, findings, context.parameters).set_index("trip_id")["compliance_score"]
    assert scores[f"T-{OTHER}"] == Decimal("92.08")  # its own carrier did not declare it (D07)
    assert scores[f"T-{PLATE}"] < 92


def test_d04_owes_nothing_to_a_carrier_whose_vehicle_it_is_not() -> None:
    context = day_of("20")
    assert carriers_of(context, "D04") == {PLATE: "CONLOG", UNKNOWN: "VIASUL"}
    assert carriers_of(context, "D07") == {OTHER: "CONLOG"}


def test_the_trip_is_paid_to_its_carrier_and_the_run_of_the_other_is_held() -> None:
    context = day_of("40")
    held = held_runs(context)
    assert held[["declared_run_id", "carrier_code", "declared_km", "reason"]].to_numpy().tolist() == [
        [f"R-{OTHER}", "VIASUL", Decimal("30.00"), "other_carrier"]
    ]
    of_bus = [frame[frame["plate"] == OTHER] for frame in (context.trips, context.groups, held, find(context))]
    trips, groups, of_run, findings = of_bus
    lines = waterfall(waterfall_rows(CycleFacts(trips, context.costs, groups, of_run, findings)))
    lines = lines.set_index("carrier_code").loc[:, ["declared_brl", "disallowed_brl", "held_brl", "in_favour_brl",
                                                    "admitted_brl"]]  # fmt: skip
    amounts = {carrier: [str(value) for value in row] for carrier, row in lines.iterrows()}
    assert amounts == {
        "CONLOG": ["0.00", "0.00", "0.00", "147.00", "147.00"],
        "VIASUL": ["200.00", "-50.00", "-150.00", "0.00", "0.00"],
    }


def test_the_day_has_amounts_of_both_carriers_of_one_vehicle_as_the_waterfall_has() -> None:
    context = day_of("40")
    rows = vehicle_day_amounts(DAY, find(context), context.groups, held_runs(context))
    rows = rows[rows["plate"] == OTHER].set_index("carrier_code")
    assert rows.loc["VIASUL", ["disallowed_brl", "held_brl"]].to_list() == [Decimal("50.00"), Decimal("150.00")]
    assert rows.loc["CONLOG", ["disallowed_brl", "held_brl"]].to_list() == [Decimal("0.00")] * 2
    assert rows.loc["CONLOG", "in_favour_brl"] == Decimal("147.00")
    assert rows["vehicle_amounts_id"].is_unique


def test_a_run_with_a_wrong_plate_accuses_no_carrier_of_the_sum_of_both() -> None:
    """At the change of a shift all buses drive: the trip is that of the run of its own carrier."""
    trips = [trip("T", "07:00", "08:00")]
    own, foreign = run("A", "07:00", "08:00"), run("B", "07:05", "08:10", carrier_code="VIASUL")
    context = audit(trips, [own, foreign], costs=priced(trips))
    findings = find(context)
    assert not set(findings.query("carrier_code == 'CONLOG'")["rule_id"]) - {"Q02"}
    [row] = findings.query("carrier_code == 'VIASUL'").to_dict("records")
    assert (row["rule_id"], row["declared_run_id"]) == ("D06", "B")
    assert "a viagem medida nesse horário corresponde à ata de outra transportadora" in row["explanation_pt"]
    other = audit(trips, [own, {**foreign, "carrier_code": "CONLOG"}], costs=priced(trips))
    assert carriers_of(other, "D01") == {PLATE: "CONLOG"}


@pytest.mark.parametrize("again", ["VIASUL", "AZUL"])
def test_a_run_of_another_carrier_that_is_sent_twice_is_held_once_and_owed_to_nobody(again: str) -> None:
    """The repeat alone was linked to the trip: D04 owed the trip to it, and no trip was left for its original."""
    trips = [trip("T", "07:00", "08:00")]
    runs = [run(key, "07:00", "08:00", carrier_code=writer, **SAME_PLACES) for key, writer in
            (("X1", "VIASUL"), ("X2", again))]  # fmt: skip
    context = audit(trips, runs, costs=priced(trips))
    found_here = find(context).query("rule_id != 'Q02'")
    assert found_here[["rule_id", "carrier_code", "declared_run_id"]].to_numpy().tolist() == [["D08", again, "X2"]]
    assert held_runs(context)[["declared_run_id", "reason"]].to_numpy().tolist() == [["X1", "other_carrier"]]


def test_what_the_owner_declares_above_its_trip_accuses_no_carrier_that_repeats_its_run() -> None:
    """The repeat begins two minutes before: it stood first in the group, and D01 and D02 named its carrier."""
    trips = [trip("T", "07:00", "08:00")]
    own, again = run("A", "07:00", "08:00", "40", **SAME_PLACES), run("B", "06:58", "08:00", "40", **SAME_PLACES)
    context = audit(trips, [own, {**again, "carrier_code": "VIASUL"}], costs=priced(trips))
    accused = {rule: carriers_of(context, rule)[PLATE] for rule in ("D01", "D02", "D08")}
    assert accused == {"D01": "CONLOG", "D02": "CONLOG", "D08": "VIASUL"}


def test_a_day_that_another_carrier_exceeds_disallows_nothing_of_the_owners() -> None:
    trips = [trip("T", "07:00", "08:00"), trip("U", "10:00", "11:00")]
    runs = [run("A", "07:00", "08:00", "30.5"), run("B", "10:00", "11:00", "60", carrier_code="VIASUL")]
    context = audit(trips, runs, costs=priced(trips))
    findings, held = find(context), held_runs(context)
    assert carriers_of(context, "D02") == {PLATE: "VIASUL"}
    lines = waterfall(waterfall_rows(CycleFacts(context.trips, context.costs, context.groups, held, findings)))
    own = lines.set_index("carrier_code").loc["CONLOG"]
    assert (own["disallowed_brl"], own["tolerance_brl"]) == (Decimal("0.00"), Decimal("-2.45"))


@pytest.mark.parametrize(("plate", "writers"), [(PLATE, ("CONLOG", "VIASUL")), (UNKNOWN, ("AZUL", "VIASUL"))])
def test_two_carriers_that_exceed_on_one_vehicle_each_have_a_d02_and_its_amounts(
    plate: str, writers: tuple[str, str]
) -> None:
    """Both findings had one id, and the day had no report."""
    owner = None if plate == UNKNOWN else "CONLOG"
    clocks = (("07:00", "08:00"), ("10:00", "11:00"))
    trips = [trip(f"T{at}", *times, plate=plate, carrier_code=owner) for at, times in enumerate(clocks)]
    runs = [run(writer, *times, "60", plate=plate, carrier_code=writer)
            for writer, times in zip(writers, clocks, strict=True)]  # fmt: skip
    context = audit(trips, runs, costs=priced(trips))
    findings = with_roots(find(context).query("plate == @plate"), context.groups)
    assert findings["finding_id"].is_unique
    assert sorted(findings.query("rule_id == 'D02'")["carrier_code"]) == [*writers]
    incidents = day_incidents(findings, context.groups, held_runs(context)).groupby("carrier_code")["disallowed_brl"]
    amounts = vehicle_day_amounts(DAY, findings, context.groups, held_runs(context)).set_index("carrier_code")
    assert incidents.sum().to_dict() == amounts["disallowed_brl"].to_dict()


def sold_bus(day: dt.date, trips: list[dict], runs: list[dict], **tables: pd.DataFrame) -> AuditDay:
    """A day of a bus of CONLOG that VIASUL has since DAY, watched from end to end; `tables` are other reference."""
    vehicle = {"plate": PLATE, "unit_code": "UCP"}
    terms = rows(reference.VEHICLES, {**vehicle, "carrier_code": "CONLOG", "valid_from": "2025-01-01", "valid_to":
                 str(BEFORE)}, {**vehicle, "carrier_code": "VIASUL", "valid_from": str(DAY)})  # fmt: skip
    units = rows(reference.UNITS, {"unit_code": "UCP", "timezone": ZONE})
    inputs = DayInputs(
        day,
        trips_frame(*trips),
        empty_frame(lake.LEGS),
        rows(lake.OBSERVED_SPANS, span("00:00", "24:00", day=BEFORE), span("00:00", "24:00")),
        empty_frame(lake.DWELL_COUNTS),
        devices_of(),
        runs_frame(*runs),
        empty_frame(lake.STAGING_NOTES),
    )
    return day_context(inputs, Reference.of({"vehicles": terms, "units": units} | tables), DEFAULT_PARAMETERS)


def test_a_run_of_the_day_before_a_sale_takes_no_trip_of_the_buyers() -> None:
    """By the register of the day after a sale the buyer's run was another carrier's on the day before.

    The seller's phantom, minutes earlier, took its trip, and neither day held it.
    """
    trips = [trip("T", "00:04", "00:50", carrier_code="VIASUL")]
    runs = [run("A", "23:35", "23:58", day=BEFORE), run("B", "00:04", "00:50", carrier_code="VIASUL")]
    held = [held_runs(sold_bus(day, trips, runs)) for day in (BEFORE, DAY)]
    assert [rows_of[["declared_run_id", "reason"]].to_numpy().tolist() for rows_of in held] == [[["A", "phantom"]], []]


def test_a_run_of_the_night_before_the_register_has_its_vehicle_is_in_the_groups_of_one_day() -> None:
    """Its unit, whose shift C passes midnight, was known in the window of the second day alone."""
    trips = [trip("T", "06:20", "07:00", day=BEFORE), trip("U", "06:00", "06:40")]
    runs = [run("R", "06:00", "06:40", day=BEFORE, shift_code="C")]
    later = {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG", "valid_from": str(DAY)}
    tables = {"vehicles": rows(reference.VEHICLES, later), "shifts": SHIFTS}
    groups = [sold_bus(day, trips, runs, **tables).groups for day in (BEFORE, DAY)]
    assert [[*of_day["declared_run_ids"].explode().dropna()] for of_day in groups] == [["R"], []]


@pytest.mark.parametrize(("written", "writer"), [("Via Sul Ltda.", "VIASUL"), ("CONLOG", "CONLOG"), (None, "VIASUL")])
def test_a_carriers_name_that_the_register_does_not_have_is_that_of_the_vehicles(
    written: str | None, writer: str
) -> None:
    trips = [trip("T", "07:00", "08:00", carrier_code="VIASUL")]
    context = sold_bus(DAY, trips, [run("A", "07:00", "08:00", carrier_code=written)])
    assert [*context.runs["carrier_code"]] == [writer]
    assert context.foreign_runs == ({"A"} if writer == "CONLOG" else set())
    assert [*context.groups["carrier_code"]] == [writer]


@pytest.mark.parametrize("later", ["08:09", "08:02"])
def test_a_run_of_the_own_carrier_without_a_link_takes_its_trip_before_another_carriers(later: str) -> None:
    trips = [trip("T", "07:00", "08:00")]
    foreign = run("B", "07:00", "08:00", carrier_code="VIASUL")
    context = audit(trips, [foreign, run("A", later, "09:00")], costs=priced(trips))
    assert context.trips_of_run == {"A": ["T"]}


def test_d12_names_the_writer_of_the_date() -> None:
    before = DAY - pd.Timedelta(days=1)
    night = {"day": before, "shift_code": "C"}
    trips = [trip(f"T-{plate}", "00:30", "01:30", plate=plate) for plate in (PLATE, OTHER)]
    runs = [run(f"R-{plate}", "00:30", "01:30", plate=plate, carrier_code=WRITERS[plate], **night) for plate in
            (PLATE, OTHER)]  # fmt: skip
    assert carriers_of(audit(trips, runs, costs=priced(trips)), "D12") == {PLATE: "CONLOG", OTHER: "VIASUL"}


def chain(plate: str, *writers: str) -> list[dict]:
    """Two runs of 10 km; the second begins 20 km above the first one's KM CHEGADA, and the vehicle stood between."""
    readings = (("100", "110"), ("130", "140"))
    return [
        run(f"{plate}-{at}", f"{7 + 2 * at:02}:00", f"{8 + 2 * at:02}:00", "10", plate=plate, carrier_code=writer,
            odometer_start_km=readings[at][0], odometer_end_km=readings[at][1])
        for at, writer in enumerate(writers)
    ]  # fmt: skip


def test_d10_compares_the_readings_of_each_carrier_with_its_own() -> None:
    runs = [*chain(PLATE, "CONLOG", "CONLOG"), *chain(OTHER, "CONLOG", "VIASUL"), *chain(UNKNOWN, "VIASUL", "VIASUL")]
    trips = [trip(f"T-{row['declared_run_id']}", *clocks, "10.00", plate=row["plate"])
             for row, clocks in zip(runs, [("07:00", "08:00"), ("09:00", "10:00")] * 3, strict=True)]  # fmt: skip
    assert carriers_of(audit(trips, runs, costs=priced(trips)), "D10") == {PLATE: "CONLOG", UNKNOWN: "VIASUL"}


def test_t01_compares_no_run_with_one_of_another_carrier() -> None:
    runs = [
        run(f"{plate}-{at}", "07:00", "08:00", plate=plate, carrier_code=writer, origin_text=f"LOCAL {at}")
        for plate, writers in ((PLATE, ("CONLOG", "CONLOG")), (OTHER, ("CONLOG", "VIASUL")))
        for at, writer in enumerate(writers)
    ]
    assert carriers_of(audit([], runs), "T01") == {PLATE: "CONLOG"}


def test_d07_of_a_carrier_on_whose_vehicle_alone_another_one_declared_waits_for_its_bulletin() -> None:
    trips = [trip("T", "07:00", "08:00")]
    foreign = run("B", "07:00", "08:00", carrier_code="VIASUL")
    assert not carriers_of(audit(trips, [foreign], costs=priced(trips)), "D07")
    own = run("A", "10:00", "11:00", plate=OTHER)
    assert carriers_of(audit(trips, [foreign, own], costs=priced(trips)), "D07") == {PLATE: "CONLOG"}


def test_rules_of_a_cycle_judge_no_carrier_by_the_runs_of_another_and_list_them() -> None:
    """VIASUL declares 40 for 30 km on 12 of the vehicle's days, and CONLOG exactly on the others."""
    writers = ["VIASUL" if at < 12 else "CONLOG" for at in range(len(DAYS))]
    runs = [run(f"R{day}", "06:00", "07:00", day=day, operational_date=day, carrier_code=writer, passengers=46)
            for day, writer in zip(DAYS, writers, strict=True)]  # fmt: skip
    runs = [{**row, "is_date_repaired": False, "is_day_uncertain": False, "is_night": False} for row in runs]
    matches = [declared(day, "30.00", "40" if writer == "VIASUL" else "30", carrier_code=writer)
               for day, writer in zip(DAYS, writers, strict=True)]  # fmt: skip
    context = a_cycle(runs=runs, trips=[worked(day) for day in DAYS], matches=matches)
    assert find_in_cycle(context).query("rule_id == 'D03'").empty
    reasons = reasons_not_tested(context, "D03", "V05", "S01")
    assert all("12 atas de transportadora que não é a do veículo" in reasons[rule] for rule in ("D03", "V05", "S01"))
    own = [{**row, "carrier_code": "CONLOG"} for row in matches]
    assert len(find_in_cycle(replace(context, matches=fact_rows(facts.MATCHES, own))).query("rule_id == 'D03'")) == 1


@pytest.mark.parametrize(
    ("first", "again", "accused"),
    [("CONLOG", "CONLOG", "CONLOG"), ("VIASUL", "CONLOG", None), ("CONLOG", "VIASUL", "VIASUL")],
)
def test_d09_of_two_carriers_accuses_the_one_whose_vehicle_it_is_not(
    first: str, again: str, accused: str | None
) -> None:
    readings = {"odometer_start_km": "1000", "odometer_end_km": "1030"}
    earlier, later = (
        run(key, "06:00", "07:00", day=day, operational_date=day, carrier_code=writer, is_date_repaired=False,
            is_day_uncertain=False, is_night=False, **readings)
        for key, day, writer in (("R1", DAYS[0] - pd.Timedelta(days=3), first), ("R2", DAYS[0], again))
    )  # fmt: skip
    terms = rows(reference.VEHICLES, {"plate": PLATE, "unit_code": "UCP", "carrier_code": "CONLOG",
                                      "contract_id": "CT1", "valid_from": "2025-01-01"})  # fmt: skip
    context = replace(
        a_cycle(runs=[later]), earlier_runs=fact_rows(facts.DECLARED_RUNS, [earlier]), vehicle_terms=terms
    )
    findings = found(context, "D09")
    assert [row["carrier_code"] for row in findings] == [accused] * bool(accused)
    texts = [row["explanation_pt"] for row in findings if first != again]
    assert all("ata que outra transportadora declarou" in text and "ata R1" not in text for text in texts)
    assert json.dumps([row["evidence"]["billed_again"]["carrier_code"] for row in findings]) == json.dumps(
        [accused] * bool(accused)
    )

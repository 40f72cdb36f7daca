"""Declarations that cannot be right, and vehicles that nothing shows: each has a defined outcome and accuses nobody.

What a bulletin, an exception or a parameter may not hold is refused row by row, with a reason.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit_tests.formats.samples import BULLETIN_ROWS, bulletin, changed, read, reasons
from fleet_audit_tests.logic.audit.rules.test_cycle import CYCLE, DAYS, a_cycle, worked
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    audit,
    devices_of,
    found,
    reasons_not_tested,
    run,
    span,
    trip,
)


def rules_of(context) -> set[str]:
    """Rules that find something about the carrier; the silence of the other vehicle (Q02) is not one."""
    return set(find(context)["rule_id"]) - {"Q02"}


def reference(name: str, text: str):
    """The parsed file of a reference table."""
    return read("reference", text.encode(), f"{name}.csv")


@pytest.mark.parametrize(
    ("cells", "where"),
    [
        ({"c14": "-30"}, "KM ROTA is '-30', below zero"),
        ({"c8": "-5"}, "KM SAÍDA is '-5', below zero"),
        ({"c13": "117200", "c14": ""}, "KM CHEGADA is below KM SAÍDA"),
    ],
)
def test_negative_km_are_refused_with_their_cell_and_the_other_rows_count(cells: dict[str, str], where: str) -> None:
    parsed = read("bulletin", bulletin(changed(BULLETIN_ROWS[0], **cells), BULLETIN_ROWS[1]))
    assert reasons(parsed) == [(2, "negative_value")]
    assert where in parsed.rejected["reason"].iloc[0]
    assert len(parsed.rows) == 1


def test_a_run_of_thirty_hours_has_no_hour_of_arrival_and_is_refused() -> None:
    parsed = read("bulletin", bulletin(changed(BULLETIN_ROWS[0], c6="06:00", c12="36:00"), BULLETIN_ROWS[1]))
    assert reasons(parsed) == [(2, "bad_time")]
    assert len(parsed.rows) == 1


def test_a_run_that_would_last_longer_than_a_shift_is_searched_by_its_km_and_noted() -> None:
    """An arrival before the departure is past midnight; 23 h later is a slip of the pen: 30 km take half an hour."""
    parsed = read("bulletin", bulletin(changed(BULLETIN_ROWS[0], c6="06:00", c12="05:00")))
    run_read = parsed.rows.iloc[0]
    assert run_read["arrived_local"] - run_read["departed_local"] == dt.timedelta(minutes=30)
    assert parsed.notes["note_code"].to_list() == ["arrival_unreadable"]
    assert parsed.rejected.empty


def test_a_run_of_thirty_hours_from_any_source_takes_no_other_runs_trip_and_is_no_phantom() -> None:
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), run("L", "05:00", "35:00", "12")])
    assert not found(context, "D05")
    assert {row["declared_run_id"] for row in found(context, "D01")} <= {"L"}
    assert "R" not in set(held_runs(context)["declared_run_id"])


def test_an_exception_that_covers_everything_is_refused_and_one_with_limits_hides_nothing() -> None:
    header = "exception_id,rule_id,plate,carrier_code,unit_code,route_code,date_from,date_to,reason,approved_by\n"
    everything = "E1,,,,,,2025-06-01,2025-06-30,obra,gestor\n"
    parsed = reference("exceptions", f"{header}{everything}E2,,{PLATE},,,,2025-06-01,2025-06-30,obra,gestor\n")
    assert reasons(parsed) == [(2, "unlimited_exception")]
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00", "45")], exceptions=parsed.rows)
    [finding] = found(context, "D01")
    assert (finding["status"], finding["exception_id"]) == ("excepted", "E2")


def test_a_parameter_out_of_range_is_refused_and_the_default_holds() -> None:
    parsed = reference("parameters", "name,value,valid_from,valid_to\ntrip_tolerance_pct,8000,,\n")
    assert reasons(parsed) == [(2, "out_of_range")]
    assert parameters_on(DAY, parsed.rows).trip_tolerance_pct == 10


def test_a_run_of_no_minutes_is_held_and_no_phantom() -> None:
    """Its times cannot be right, so nobody saw when it was driven: the bus stood at 09:00."""
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), run("Z", "09:00", "09:00", "12")])
    [held] = held_runs(context).to_dict("records")
    assert (held["declared_run_id"], held["reason"]) == ("Z", "no_trip")
    [finding] = found(context, "D06")
    assert (finding["declared_run_id"], finding["km_at_stake"]) == ("Z", Decimal("12.00"))
    assert not found(context, "D05")


@pytest.mark.parametrize("arrival", ["09:00", "09:30"])
def test_a_run_of_no_km_is_a_bad_declaration_and_accuses_nobody(arrival: str) -> None:
    """It was D06 (high) over R$ 0, or a phantom (critical) of 0 km; twice, a repeated run of 0 km."""
    empty = [run(name, "09:00", arrival, "0") for name in ("Y", "Z")]
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00"), *empty])
    assert rules_of(context) == {"Q05"}
    assert {row["declared_run_id"] for row in found(context, "Q05")} == {"Y", "Z"}
    assert {row["severity"] for row in found(context, "Q05")} == {"L"}
    assert "declara 0 km" in found(context, "Q05")[0]["explanation_pt"]
    assert set(held_runs(context)["reason"]) == {"no_trip"}


def test_a_run_of_no_minutes_inside_a_trip_is_compared_with_it() -> None:
    context = audit([trip("T", "06:00", "07:00", "30.00")], [run("Z", "06:30", "06:30", "30")])
    assert rules_of(context) <= {"D12"}
    assert held_runs(context).empty


def test_a_plate_that_does_not_exist_is_without_a_contract_and_its_km_are_held() -> None:
    unknown = "ZZZ9Z99"
    context = audit([], [run("R", "06:00", "07:00", plate=unknown)], [], devices=devices_of())
    [finding] = found(context, "V01")
    assert (finding["plate"], finding["km_at_stake"]) == (unknown, Decimal("30.00"))
    [held] = held_runs(context).to_dict("records")
    assert (held["plate"], held["reason"]) == (unknown, "no_data")
    assert not rules_of(context) & {"D01", "D05", "D07"}


def test_two_bulletins_that_contradict_each_other_are_one_claim_and_a_question() -> None:
    """One NUMERO ATA with 30 km in one file and 45 in another: the number is Q05, and the trip is not paid twice."""
    first = run("R1", "06:00", "07:00", "30", bulletin_number="7", origin_text="ORIGEM")
    second = run("R2", "06:05", "07:05", "45", bulletin_number="7", origin_text="ORIGEM", file_name="outro.csv")
    context = audit([trip("T", "06:00", "07:00", "30.00")], [first, second])
    [twice] = found(context, "D08")
    assert {twice["evidence"]["declared_runs"][at]["file_name"] for at in (0, 1)} == {"boletim.csv", "outro.csv"}
    assert not found(context, "D01")  # the repeated claim takes part in no comparison


@pytest.mark.parametrize(
    ("number", "written", "is_contradiction"),
    [("1", DAY, True), ("1", dt.date(2024, 12, 31), False), ("7001", dt.date(2024, 12, 31), True)],
    ids=["of one year", "begins again", "counts on"],
)
def test_a_number_names_one_run_until_its_carrier_begins_again(
    number: str, written: dt.date, is_contradiction: bool
) -> None:
    """Many carriers begin again at ata 1 each January, others count on."""
    before = run("R1", "06:00", "07:00", bulletin_number=number, declared_date=written, date=written)
    runs = [before, run("R2", "09:00", "10:00", bulletin_number=number)]
    trips = [trip("T", "06:00", "07:00", "30.00"), trip("U", "09:00", "10:00", "30.00")]
    assert bool(found(audit(trips, runs), "Q05")) == is_contradiction


@pytest.mark.parametrize("offset", [-1, 1])
def test_a_bulletin_of_another_day_is_held_and_the_trip_of_this_day_stays_undeclared(offset: int) -> None:
    """DATA of another month is on its own day: it neither covers nor accuses the trips of this one."""
    other_month = DAY + pd.DateOffset(months=offset)
    runs = [run("R", "06:00", "07:00", day=other_month.date()), run("S", "09:00", "10:00", plate=OTHER)]
    context = audit([trip("T", "06:00", "07:00"), trip("U", "09:00", "10:00", plate=OTHER)], runs)
    assert [row["trip_id"] for row in found(context, "D07")] == ["T"]
    assert "R" not in set(held_runs(context)["declared_run_id"])


def test_a_vehicle_that_nothing_showed_all_cycle_is_accused_of_nothing() -> None:
    """Declared every day, planned, with a fixed cost, and its tracker silent: unknown is neither zero nor guilty."""
    silent = [{"operational_date": day, "plate": PLATE, "status": "silent", "positions": 0, "visit_legs": 0}
              for day in DAYS]  # fmt: skip
    seen = [{"operational_date": day, "plate": OTHER, "status": "complete", "observed_h": 24.0, "positions": 9,
             "visit_legs": 0} for day in DAYS]  # fmt: skip
    runs = [run(f"R{day}", "06:00", "07:00", day=day, operational_date=day, is_date_repaired=False) for day in DAYS]
    alone = [{"match_id": f"M{day}", "operational_date": day, "plate": PLATE, "trip_ids": [], "kind": "declared_only",
              "declared_run_ids": [f"R{day}"], "declared_km": "30.00", "is_exceeding": False}
             for day in DAYS]  # fmt: skip
    context = a_cycle(
        runs=runs,
        matches=alone,
        coverage=[*silent, *seen],
        trips=[worked(day, plate=OTHER) for day in DAYS],
        plan=[{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "930", "planned_trips": 31}],
        calendar=[{"date": day, "unit_code": "UCP", "day_type": "util"} for day in DAYS],
        fixed_costs=[{"operational_date": day, "plate": PLATE, "contract_id": "CT1", "amount_brl": "100.00"}
                     for day in DAYS],
    )  # fmt: skip
    findings = find_in_cycle(context)
    assert findings[findings["plate"] == PLATE].empty, findings[["rule_id", "explanation_pt"]].to_dict("records")
    assert {"S01", "S03", "K05"} <= set(reasons_not_tested(context, "S01", "S03", "K05"))


def test_a_day_of_that_vehicle_is_held_and_no_phantom() -> None:
    context = audit([], [run("R", "06:00", "07:00")], [span("00:00", "24:00", plate=OTHER)])
    assert [row["reason"] for row in held_runs(context).to_dict("records")] == ["no_data"]
    assert rules_of(context) == {"D06"}

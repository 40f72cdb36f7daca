"""Incidents: the stated order of causes, each finding in one incident, each kilometre's money in one of them."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.incidents.rows import cycle_incidents, day_incidents, with_cycle_roots
from fleet_audit.logic.costs.amounts import vehicle_day_amounts
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS, MATCHES, VEHICLE_DAY_AMOUNTS
from fleet_audit.schema.facts.columns import AMOUNTS

D = Decimal
DAY = dt.date(2025, 6, 10)
CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
DOUBT, GLOSA, HELD, FAVOUR = AMOUNTS
AMOUNT_OF = {
    **dict.fromkeys(("O01", "O02", "O04", "O08", "G06", "T02", "V04"), DOUBT),
    **dict.fromkeys(("D01", "D02", "D03", "D05", "D08", "D11"), GLOSA),
    **dict.fromkeys(("D04", "K01"), FAVOUR),
    "D06": HELD,
}


def finding(rule: str, brl: str | None = None, *, run: str | None = None, trip: str | None = None, **more: Any) -> dict:
    evidence = more.pop("evidence", {})
    money, amount = None if brl is None else D(brl), AMOUNT_OF.get(rule)
    row = {
        "operational_date": DAY, "rule_id": rule, "rule_version": "1", "severity": "H", "plate": "A",
        "carrier_code": "C1", "unit_code": "U1", "brl_at_stake": money, "confidence": 1.0, "status": "open",
        "evidence": json.dumps(evidence), "explanation_pt": f"Frase de {rule}.", "amount": amount,
        "declared_run_id": run, "trip_id": trip, **({amount: money} if amount else {}), **more,
    }  # fmt: skip
    return {"finding_id": f"{rule}-{row['plate']}-{run}-{trip}-{more}-{evidence}", **row}


def frame(*rows: dict) -> pd.DataFrame:
    names = [column.name for column in FINDINGS.untraced.columns]
    return conform(
        pd.DataFrame([{name: row.get(name) for name in names} for row in rows], columns=names), FINDINGS.untraced
    )


GROUPS = conform(
    pd.DataFrame(
        {
            "match_id": f"m{plate}{number}", "operational_date": DAY, "plate": plate, "carrier_code": "C1",
            "unit_code": "U1", "trip_ids": [f"t{plate}{number}"], "difference_km": D(1), "kind": "one_to_one",
            "declared_run_ids": [f"r{plate}{number}", f"r{plate}{number}b"],
        }
        for plate in "AB" for number in (1, 2, 3)
    ),
    MATCHES.untraced,
)  # fmt: skip
NONE_HELD = empty_frame(HELD_RUNS)


def incidents(*rows: dict, held: pd.DataFrame = NONE_HELD) -> list[dict[str, Any]]:
    return day_incidents(with_roots(frame(*rows), GROUPS), GROUPS, held).to_dict("records")


def members(incident: dict[str, Any]) -> list[str]:
    return [name.split("-")[0] for name in incident["finding_ids"]]


def test_a_tracker_off_the_bus_explains_the_runs_that_nobody_saw() -> None:
    (found,) = incidents(
        finding("O04", "50.00", trip="tA1"), finding("D06", "30.00", run="rA2"), finding("D06", "20.00", run="rA3")
    )
    assert (found["cause"], found["root_rule_id"], members(found)) == ("tracker_off", "O04", ["O04", "D06", "D06"])
    assert (found["paid_doubtful_brl"], found["held_brl"], found["disallowed_brl"]) == (D(50), D(50), D(0))
    assert found["sentence_pt"] == ("Frase de O04; da mesma causa: corrida sem viagem, não verificável (D06), 2 vezes.")


def test_a_track_sent_a_second_time_explains_the_runs_that_it_hides() -> None:
    (found,) = incidents(
        finding("G05", "90.00", evidence={"trip_ids": ["tA1"]}), finding("D05", "30.00", run="rA2"),
        finding("D06", "20.00", run="rA3"),
    )  # fmt: skip
    assert (found["cause"], found["root_rule_id"], members(found)) == ("tracker_off", "G05", ["G05", "D05", "D06"])


def test_a_run_inside_another_one_explains_what_it_adds_to_their_sum() -> None:
    (found,) = incidents(finding("T01", run="rA1"), finding("D01", "30.00", run="rA1"), finding("D02", "30.00"))
    assert (found["cause"], found["root_rule_id"], members(found)) == ("declared_run", "T01", ["T01", "D01", "D02"])
    assert found["disallowed_brl"] == D("30.00")


def test_a_driver_on_two_vehicles_and_a_move_that_nobody_saw_stand_on_their_own() -> None:
    found = incidents(finding("T02", "9.00", trip="tA1"), finding("G02", trip="tA1"), finding("D06", "5.00", run="rA1"))
    assert sorted((each["root_rule_id"], each["cause"]) for each in found) == [
        ("D06", "single"), ("G02", "single"), ("T02", "single"),
    ]  # fmt: skip


def test_an_exchange_is_the_root_before_all_others_and_reaches_both_vehicles() -> None:
    exchange = finding("O08", "40.00", trip="tA1", evidence={"other_plate": "B"})
    first, second = incidents(
        exchange, finding("O01", trip="tA1"), finding("O02", "60.00", trip="tB1", plate="B"),
        finding("D01", "9.00", run="rA1"), finding("D02", "12.00"), finding("D04", "5.00", run="rB1", plate="B"),
        finding("G07", trip="tB1", plate="B"),
    )  # fmt: skip
    exchanged, other = sorted((first, second), key=lambda each: each["cause"])
    assert (exchanged["cause"], exchanged["root_rule_id"], exchanged["plates"]) == ("exchange", "O08", ["A", "B"])
    assert sorted(members(exchanged)) == ["D01", "D02", "D04", "O01", "O02", "O08"]
    assert members(other) == ["G07"]
    assert exchanged["disallowed_brl"] == D("12.00")  # the run and its day, once
    assert exchanged["in_favour_brl"] == D("5.00")


def test_another_carriers_vehicle_is_in_no_incident_of_this_one() -> None:
    found = incidents(
        finding("O08", trip="tA1", evidence={"other_plate": "B"}),
        finding("D01", "9.00", run="rB1", plate="B", carrier_code="C2"),
    )
    assert [(each["carrier_code"], each["plates"]) for each in sorted(found, key=lambda each: each["cause"])] == [
        ("C2", ["B"]), ("C1", ["A"]),
    ]  # fmt: skip


def test_one_run_declared_twice_is_one_incident_with_its_day() -> None:
    (found,) = incidents(
        finding("D11", "8.00", run="rA1b"), finding("D08", "49.00", run="rA1b"), finding("D01", "30.00", run="rA1"),
        finding("D02", "55.00"), finding("D01", "10.00", run="rA2"),
    )  # fmt: skip
    assert (found["cause"], found["root_rule_id"]) == ("declared_run", "D08")
    assert found["disallowed_brl"] == D("104.00")  # 49.00 of the run that repeats + 55.00 of the day, more than 40.00
    apart = incidents(finding("D01", "30.00", run="rA1"), finding("D01", "10.00", run="rA2"))
    assert sorted(each["disallowed_brl"] for each in apart) == [D(10), D(30)]


def test_a_clock_holds_its_runs_and_other_contradictions_explain_nothing() -> None:
    clock = finding("Q05", evidence={"issue": "clock_shift"})
    held = conform(
        pd.DataFrame(
            {
                "declared_run_id": ["rA1", "rA2", "rB1"], "operational_date": DAY, "plate": ["A", "A", "B"],
                "declared_km": D("10.00"), "brl_at_rate": [D("7.00"), D("8.00"), D("9.00")],
                "reason": ["clock", "no_trip", "clock"],
            }
        ),
        HELD_RUNS.untraced,
    )  # fmt: skip
    (found,) = incidents(clock, finding("T03", trip="tA1"), held=held)
    assert (found["cause"], members(found), found["held_brl"]) == ("clock", ["Q05", "T03"], D("7.00"))
    both = held.assign(reason=["clock", "clock", "clock"])  # one clock holds several runs of a day
    (found,) = incidents(clock, finding("T03", trip="tA1"), held=both)
    assert found["held_brl"] == D("15.00")
    (found,) = incidents(clock, held=both.assign(carrier_code=["C1", "C2", None]))  # C2's money is none of C1's
    assert found["held_brl"] == D("7.00")
    assert len(incidents(finding("Q05", evidence={"note_code": "plate_form"}), finding("T03", trip="tA1"))) == 2


def test_data_that_we_lost_come_before_everything() -> None:
    found = incidents(
        finding("Q03", plate=None), finding("O04", trip="tA1"), finding("D06", "9.00", run="rA1"),
        finding("D06", "9.00", run="rB1", plate="B"),
    )  # fmt: skip
    assert sorted(map(members, found)) == [["O04"], ["Q03", "D06", "D06"]]


def test_an_excepted_finding_stays_a_member_without_money() -> None:
    (found,) = incidents(finding("O04", "50.00", trip="tA1", status="excepted"), finding("D06", "30.00", run="rA2"))
    assert (found["paid_doubtful_brl"], found["held_brl"]) == (D(0), D(30))


def test_an_amount_without_a_rate_is_unknown() -> None:
    (found,) = incidents(finding("K01", None, trip="tA1"))
    assert pd.isna(found["in_favour_brl"])
    assert found["held_brl"] == D(0)


def test_a_cycle_adds_what_its_days_do_not_count_and_joins_their_largest_run() -> None:
    days = with_roots(frame(finding("D01", "30.00", run="rA1"), finding("D01", "40.00", run="rA2")), GROUPS)
    of_cycle = frame(
        finding("D03", "90.00", cycle_start=CYCLE.start), finding("V04", "500.00", cycle_start=CYCLE.start),
        finding("D03", "25.00", cycle_start=CYCLE.start, plate="B"),
    )  # fmt: skip
    amounts = vehicle_day_amounts(DAY, days, GROUPS, NONE_HELD)
    rooted = with_cycle_roots(CYCLE, of_cycle, days)
    found = cycle_incidents(CYCLE, rooted, days, amounts, GROUPS).to_dict("records")
    by_rule = {(members(each)[0], each["plates"][0]): each for each in found}
    joined, alone, fixed = by_rule["D03", "A"], by_rule["D03", "B"], by_rule["V04", "A"]
    assert (joined["disallowed_brl"], joined["root_rule_id"], joined["cause"]) == (D("20.00"), "D01", "declared_run")
    assert joined["root_finding_id"].startswith("D01-A-rA2")
    assert "além" in joined["sentence_pt"] or "passa dos incidentes" in joined["sentence_pt"]
    assert (alone["disallowed_brl"], alone["root_rule_id"]) == (D("25.00"), "D03")
    assert (fixed["paid_doubtful_brl"], fixed["cause"]) == (D("500.00"), "single")
    small = with_cycle_roots(CYCLE, frame(finding("D03", "50.00", cycle_start=CYCLE.start)), days)
    (nothing_more,) = cycle_incidents(CYCLE, small, days, amounts, GROUPS).to_dict("records")
    assert nothing_more["disallowed_brl"] == D(0)


def test_a_run_declared_twice_lessens_neither_its_group_nor_its_day_nor_its_cycle() -> None:
    twice, above = finding("D08", "65.00", run="rA1b"), finding("D01", "15.00", run="rA1")
    (found,) = incidents(twice, above)
    assert (found["root_rule_id"], found["disallowed_brl"]) == ("D08", D("80.00"))
    (found,) = incidents(twice, finding("D02", "40.00"))
    assert found["disallowed_brl"] == D("105.00")
    days = with_roots(frame(twice, above), GROUPS)
    of_cycle = with_cycle_roots(CYCLE, frame(finding("D03", "90.00", cycle_start=CYCLE.start)), days)
    amounts = vehicle_day_amounts(DAY, days, GROUPS, NONE_HELD)
    (found,) = cycle_incidents(CYCLE, of_cycle, days, amounts, GROUPS).to_dict("records")
    assert found["disallowed_brl"] == D("75.00")  # 90.00 less the group's 15.00


_day_finding = st.builds(
    lambda rule, brl, plate, number, status, other: finding(
        rule, brl, plate=plate,
        run=f"r{plate}{number}{'b' * (rule == 'D08')}" if rule in ("D01", "D04", "D05", "D06", "D08", "D11") else None,
        trip=f"t{plate}{number}" if rule in ("O01", "O02", "O04", "O08", "G06", "T02") and number < 3 else None,
        status=status,
        evidence={"other_plate": other} if rule == "O08" else {"issue": "clock_minutes"} if rule == "Q05" else {},
    ),
    st.sampled_from(["D01", "D02", "D04", "D05", "D06", "D08", "D11", "O01", "O02", "O04", "O08", "G06", "T02", "Q05",
                     "K01", "G07"]),
    st.one_of(st.none(), st.integers(0, 9_000).map(lambda cents: str(D(cents) / 100))),
    st.sampled_from("AB"), st.sampled_from([1, 2, 3]), st.sampled_from(["open", "open", "open", "excepted"]),
    st.sampled_from("AB"),
)  # fmt: skip
_day = st.lists(_day_finding, max_size=14, unique_by=lambda row: row["finding_id"])


@settings(max_examples=25)  # 0.5 s each
@given(_day, st.randoms(use_true_random=False))
def test_each_finding_is_in_one_incident_and_no_money_counts_twice(rows: list[dict], random: Any) -> None:
    found = with_roots(frame(*rows), GROUPS)
    table = day_incidents(found, GROUPS, NONE_HELD)
    listed = [name for ids in table["finding_ids"] for name in ids]
    assert sorted(listed) == sorted(row["finding_id"] for row in rows)
    roots = set(table["root_finding_id"])
    assert all(root in ids for root, ids in zip(table["root_finding_id"], table["finding_ids"], strict=True))
    assert set(found["root_finding_id"]) == roots
    days = vehicle_day_amounts(DAY, found, GROUPS, NONE_HELD)
    for name in AMOUNTS:
        total = sum(table[name].dropna(), D(0))
        assert total <= sum(found.loc[found["status"] == "open", name].dropna(), D(0))
        if name != "held_brl":  # a vehicle's held amount is that of its held runs
            assert total == sum(days[name].dropna(), D(0))
    shuffled = random.sample(rows, len(rows))
    again = day_incidents(with_roots(frame(*shuffled), GROUPS), GROUPS, NONE_HELD)
    pd.testing.assert_frame_equal(table, again)


def test_a_day_and_a_cycle_without_findings_have_no_incident() -> None:
    nothing = with_roots(frame(), GROUPS)
    assert day_incidents(nothing, GROUPS, NONE_HELD).empty
    assert cycle_incidents(
        CYCLE, with_cycle_roots(CYCLE, nothing, nothing), nothing, empty_frame(VEHICLE_DAY_AMOUNTS), GROUPS
    ).empty

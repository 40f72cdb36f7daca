"""The waterfall closes to the cent for any fleet, and puts each difference in one line."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.costs.disallowed_groups import disallowed_groups
from fleet_audit.logic.costs.waterfall import COLUMNS, CycleFacts, waterfall, waterfall_rows
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS, MATCHES, TRIP_COSTS, TRIPS
from fleet_audit_tests.reporting.sample import build

D = Decimal
DAY = dt.date(2025, 6, 10)


def trip(number: int, carrier: str, purpose: str, hundredths: int) -> dict[str, Any]:
    start = dt.datetime(2025, 6, 10, 9, tzinfo=dt.UTC)
    return {
        "trip_id": f"t{number}", "operational_date": DAY, "plate": f"P{carrier}", "carrier_code": carrier,
        "started_at": start, "ended_at": start, "purpose": purpose, "km_measured": D(hundredths) / 100,
        "evidence_grade": "A", "source": "positions", "is_end_in_gap": False, "legs": 1, "parameters_version": "p",
    }  # fmt: skip


def cost(number: int, hundredths: int, rate: int | None) -> dict[str, Any]:
    km = D(hundredths) / 100
    brl = None if rate is None else (km * D(rate) / 10_000).quantize(D("0.01"))
    return {
        "trip_id": f"t{number}", "operational_date": DAY, "billable_km": km, "variable_cost_brl": brl,
        "rate_brl_per_km": None if rate is None else D(rate) / 10_000, "billing_area": "IND",
        "cost_status": "no_tariff" if rate is None else "priced", "parameters_version": "p",
    }  # fmt: skip


def match(number: int, carrier: str, trips: list[str], runs: list[str], declared: int | None) -> dict[str, Any]:
    km = None if declared is None else D(declared)
    return {
        "match_id": f"m{number}", "operational_date": DAY, "plate": f"P{carrier}", "carrier_code": carrier,
        "trip_ids": trips, "declared_run_ids": runs, "kind": "many", "declared_km": km,
    }  # fmt: skip


def finding(
    rule: str, amount: str, plate: str, trip_id: str | None = None, run_id: str | None = None
) -> dict[str, Any]:
    return {
        "finding_id": f"{rule}{plate}{trip_id}{run_id}", "operational_date": DAY, "rule_id": rule, "rule_version": "1",
        "severity": "H", "plate": plate, "carrier_code": plate[1:], "trip_id": trip_id, "declared_run_id": run_id,
        "amount": amount, "confidence": 1.0, "evidence": "{}", "status": "open", "explanation_pt": "x",
    }  # fmt: skip


def facts_of(trips: list, costs: list, matches: list, held: list, findings: list) -> CycleFacts:
    tables = ((TRIPS, trips), (TRIP_COSTS, costs), (MATCHES, matches), (HELD_RUNS, held), (FINDINGS, findings))
    return CycleFacts(*(build(table, rows) if rows else empty_frame(table) for table, rows in tables))


_TRIP = st.tuples(
    st.sampled_from(["C1", "C2"]), st.sampled_from(["service", "service", "deadhead"]), st.integers(0, 9000),
    st.sampled_from([49_000, 51_234, None]), st.integers(0, 6),
)  # fmt: skip
_REASONS = st.sampled_from(["no_data", "trip_cut"])
_RUNS = st.lists(st.tuples(st.sampled_from(["C1", "C2"]), st.integers(0, 99), st.booleans(), _REASONS), max_size=6)
_FLAGS = st.lists(st.sampled_from(["D01", "D02", "D03", "D04", "D05", "D07"]), max_size=4)


@settings(max_examples=50)  # 0.2 s each
@given(st.lists(_TRIP, max_size=10), _RUNS, _FLAGS, st.data())
def test_it_closes_to_the_cent_for_any_fleet(trips: list, runs: list, flags: list[str], data: st.DataObject) -> None:
    """Whatever is linked with what, priced or not, and whatever was found."""
    made = [trip(n, carrier, purpose, km) for n, (carrier, purpose, km, _, _) in enumerate(trips)]
    costs = [cost(n, km, rate) for n, (_, _, km, rate, _) in enumerate(trips)]
    matches, held = [], []
    for number, (carrier, declared, is_rated, reason) in enumerate(runs):
        own = [f"t{n}" for n, row in enumerate(trips) if row[4] == number]  # of either carrier
        matches.append(match(number, carrier, own, [f"r{number}"], declared))
        if not own or number % 2:
            held.append({"declared_run_id": f"r{number}", "operational_date": DAY, "plate": f"P{carrier}",
                         "declared_km": D(declared), "reason": reason,
                         "brl_at_rate": D(declared) * D("4.90") if is_rated else None})  # fmt: skip
    found = []
    for rule in flags:
        amount = "in_favour_brl" if rule in ("D04", "D07") else "disallowed_brl"
        run = data.draw(st.sampled_from([None, *(f"r{n}" for n in range(len(runs)))]))
        named = data.draw(st.sampled_from([None, *(f"t{n}" for n in range(len(trips)))]))
        found.append(finding(rule, amount, data.draw(st.sampled_from(["PC1", "PC2"])), named, run))
    rows = waterfall(waterfall_rows(facts_of(made, costs, matches, held, found))).set_index("carrier_code")
    for carrier in ("C1", "C2"):
        paid = [row["variable_cost_brl"] for row, own in zip(costs, made, strict=True)
                if own["carrier_code"] == carrier and row["variable_cost_brl"] is not None]  # fmt: skip
        line = rows.loc[carrier] if carrier in rows.index else dict.fromkeys(COLUMNS, D(0))
        assert line["admitted_brl"] == sum(paid, D(0))
        assert sum((line[name] for name in COLUMNS[:-1]), D(0)) == line["admitted_brl"]


def test_each_difference_stands_in_its_line() -> None:
    trips = [trip(n, "C1", "service", 1000) for n in range(5)] + [trip(5, "C1", "deadhead", 200)]
    costs = [cost(n, 1000, 50_000) for n in range(5)] + [cost(5, 200, 50_000)]
    matches = [
        match(0, "C1", ["t0"], ["r0"], 13),  # D01: 3 km
        match(1, "C1", ["t1"], ["r1"], 8),  # D04: 2 km
        match(2, "C1", ["t2"], ["r2"], 10),
        match(3, "C1", [], ["r3"], 20),  # nobody saw it
        match(4, "C1", [], ["r4"], 7),  # phantom
    ]
    held = [{"declared_run_id": run, "operational_date": DAY, "plate": "PC1", "declared_km": D(km),
             "brl_at_rate": D(5 * km), "reason": reason}
            for run, km, reason in (("r3", 20, "no_data"), ("r4", 7, "phantom"))]  # fmt: skip
    found = [
        finding("D01", "disallowed_brl", "PC1", "t0", "r0"), finding("D04", "in_favour_brl", "PC1", "t1", "r1"),
        finding("D05", "disallowed_brl", "PC1", None, "r4"), finding("D07", "in_favour_brl", "PC1", "t3"),
    ]  # fmt: skip
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, held, found))).to_dict("records")
    assert {name: row[name] for name in COLUMNS} == {
        "declared_brl": D("290.00"),  # 58 km
        "disallowed_brl": D("-50.00"),  # 3 km above what was driven, and the phantom's 7
        "held_brl": D("-100.00"),
        "in_favour_brl": D("60.00"),  # 2 km, and the trip of D07
        "undeclared_brl": D("50.00"),
        "excepted_brl": D("0.00"),
        "tolerance_brl": D("0.00"),
        "deadhead_brl": D("10.00"),
        "admitted_brl": D("260.00"),
    }


@pytest.mark.parametrize(("is_found", "line"), [(False, "tolerance_brl"), (True, "disallowed_brl")])
def test_the_measured_km_of_a_run_whose_trip_no_place_proves_are_held(is_found: bool, line: str) -> None:
    """25 km were declared and 20 driven to a place that is not proven: these 20 wait, and 5 are compared as always."""
    trips = [trip(0, "C1", "unknown", 2000), trip(1, "C1", "service", 1000)]
    costs = [{**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable"}, cost(1, 1000, 50_000)]
    matches = [{**match(0, "C1", ["t0"], ["r0"], 25), "measured_km": D(20), "difference_km": D(5)},
               {**match(1, "C1", ["t1"], ["r1"], 10), "measured_km": D(10), "difference_km": D(0)}]  # fmt: skip
    held = [{"declared_run_id": "r0", "operational_date": DAY, "plate": "PC1", "declared_km": D(20),
             "brl_at_rate": D("98.00"), "reason": "place_unproven"}]  # fmt: skip
    found = [finding("D01", "disallowed_brl", "PC1", "t0", "r0")] if is_found else []
    facts = facts_of(trips, costs, matches, held, found)
    rows = waterfall_rows(facts)
    (row,) = waterfall(rows).to_dict("records")
    assert {name: row[name] for name in COLUMNS if row[name]} == {
        "declared_brl": D("172.50"), "held_brl": D("-98.00"), line: D("-24.50"), "admitted_brl": D("50.00"),
    }  # fmt: skip
    listed = disallowed_groups(rows, facts)
    assert list(zip(listed["difference_km"], listed["difference_brl"], strict=True)) == (
        [(D(5), D("24.50"))] if is_found else []
    )


_HELD = {"held_brl": D("-98.00"), "admitted_brl": D("50.00")}


@pytest.mark.parametrize(
    ("declared", "beyond", "is_rated", "expected"),
    [
        (25, 15, True, {"declared_brl": D("123.50"), "held_brl": D("-73.50"), "admitted_brl": D("50.00")}),
        (30, 20, True, {"declared_brl": D("148.00"), **_HELD}),
        (33, 20, True, {"declared_brl": D("163.00"), "disallowed_brl": D("-15.00"), **_HELD}),
        (30, 20, False, {"declared_brl": D("50.00"), "admitted_brl": D("50.00")}),
    ],
)
def test_what_a_run_declares_beyond_its_billed_trip_is_held_where_its_other_trip_is_not_proven(
    declared: int, beyond: int, is_rated: bool, expected: dict[str, D]
) -> None:
    """10 km are paid at R$ 5.00; 20 km once stood in no line. Without a rate they are km without a price."""
    trips = [trip(0, "C1", "unknown", 2000), trip(1, "C1", "service", 1000)]
    costs = [{**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable"}, cost(1, 1000, 50_000)]
    matches = [{**match(0, "C1", ["t0", "t1"], ["r0"], declared), "measured_km": D(30),
                "difference_km": D(declared - 30)}]  # fmt: skip
    held = [{"declared_run_id": "r0", "operational_date": DAY, "plate": "PC1", "declared_km": D(beyond),
             "brl_at_rate": beyond * D("4.90") if is_rated else None, "reason": "place_unproven"}]  # fmt: skip
    rows = waterfall_rows(facts_of(trips, costs, matches, held, [finding("D01", "disallowed_brl", "PC1", "t0", "r0")]))
    (row,) = waterfall(rows).to_dict("records")
    assert {name: row[name] for name in COLUMNS if row[name]} == expected
    assert set(rows["is_priced"]) == {is_rated}


@pytest.mark.parametrize("rule_id", ["D01", "D02"])
def test_what_is_declared_above_the_seen_km_of_a_cut_trip_is_held_once(rule_id: str) -> None:
    """10 km are paid, 8 were seen of a trip that a gap cuts, and 29 declared: 19 are held, and none disallowed."""
    trips = [trip(0, "C1", "unknown", 800), trip(1, "C1", "service", 1000)]
    costs = [{**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable"}, cost(1, 1000, 50_000)]
    matches = [{**match(0, "C1", ["t0", "t1"], ["r0"], 29), "measured_km": D(18), "difference_km": D(11)}]
    held = [{"declared_run_id": "r0", "operational_date": DAY, "plate": "PC1", "declared_km": D(19),
             "brl_at_rate": D("93.10"), "reason": "trip_cut"}]  # fmt: skip
    facts = facts_of(trips, costs, matches, held, [finding(rule_id, "disallowed_brl", "PC1")])
    rows = waterfall_rows(facts)
    (row,) = waterfall(rows).to_dict("records")
    assert {name: row[name] for name in COLUMNS if row[name]} == {
        "declared_brl": D("143.10"), "held_brl": D("-93.10"), "admitted_brl": D("50.00"),
    }  # fmt: skip
    assert disallowed_groups(rows, facts).empty


@pytest.mark.parametrize(("declared", "declared_brl"), [(12, "50.00"), (10, "50.00"), (6, "30.00"), (0, "0.00")])
def test_what_a_trip_of_unknown_purpose_measured_is_not_owed(declared: int, declared_brl: str) -> None:
    """10 km are paid beside 20 that are not: a run of 10 km was worth -50.00, and 100.00 were in its favour."""
    trips = [trip(0, "C1", "unknown", 2000), trip(1, "C1", "service", 1000)]
    costs = [{**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable"}, cost(1, 1000, 50_000)]
    matches = [{**match(0, "C1", ["t0", "t1"], ["r0"], declared), "measured_km": D(30),
                "difference_km": D(declared - 30)}]  # fmt: skip
    found = [finding("D04", "in_favour_brl", "PC1", "t0", "r0")] if declared < 10 else []
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], found))).to_dict("records")
    assert (row["declared_brl"], row["admitted_brl"]) == (D(declared_brl), D("50.00"))
    assert row["in_favour_brl"] == max(D("50.00") - D(declared_brl), D(0))


def test_a_day_rule_takes_the_differences_of_its_groups_in_both_directions() -> None:
    trips, costs = [trip(n, "C1", "service", 1000) for n in range(2)], [cost(n, 1000, 50_000) for n in range(2)]
    matches = [match(0, "C1", ["t0"], ["r0"], 17), match(1, "C1", ["t1"], ["r1"], 9)]
    found = [finding("D02", "disallowed_brl", "PC1")]
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], found))).to_dict("records")
    assert (row["disallowed_brl"], row["tolerance_brl"]) == (D("-30.00"), D("0.00"))  # 6 km, as the finding says


@pytest.mark.parametrize("rule_id", ["D02", "D03"])
def test_a_group_that_a_day_or_a_cycle_did_not_count_stays_within_the_tolerance(rule_id: str) -> None:
    """Its km are chords of rare positions: the finding says 7 km, and the waterfall once disallowed 8."""
    trips, costs = [trip(n, "C1", "service", 1000) for n in range(2)], [cost(n, 1000, 50_000) for n in range(2)]
    matches = [match(0, "C1", ["t0"], ["r0"], 17), match(1, "C1", ["t1"], ["r1"], 11)]
    found = [{**finding(rule_id, "disallowed_brl", "PC1"), "evidence": '{"uncounted_match_ids": ["m1"]}'}]
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], found))).to_dict("records")
    assert (row["disallowed_brl"], row["tolerance_brl"]) == (D("-35.00"), D("-5.00"))


def test_a_cycle_of_one_carrier_disallows_nothing_of_another_that_had_the_vehicle() -> None:
    trips = [trip(0, "C1", "service", 1000), {**trip(1, "C2", "service", 1000), "plate": "PC1"}]
    matches = [match(0, "C1", ["t0"], ["r0"], 17), {**match(1, "C2", ["t1"], ["r1"], 11), "plate": "PC1"}]
    facts = facts_of(
        trips, [cost(n, 1000, 50_000) for n in range(2)], matches, [], [finding("D03", "disallowed_brl", "PC1")]
    )
    rows = waterfall_rows(facts)
    by_carrier = waterfall(rows).set_index("carrier_code")[["disallowed_brl", "tolerance_brl"]]
    assert by_carrier.loc["C1"].to_list() == [D("-35.00"), D(0)]
    assert by_carrier.loc["C2"].to_list() == [D(0), D("-5.00")]
    assert disallowed_groups(rows, facts)["match_id"].to_list() == ["m0"]


def test_a_run_declared_twice_is_disallowed_whole_beside_its_groups_difference() -> None:
    """Its km are in no group: the waterfall and the cycle's amounts once held nothing of it."""
    trips, costs = [trip(0, "C1", "service", 1000)], [cost(0, 1000, 50_000)]
    twice = {**finding("D08", "disallowed_brl", "PC1", "t0", "r1"), "carrier_code": "C1", "km_at_stake": D(12),
             "brl_at_stake": D("60.00")}  # fmt: skip
    matches = [{**match(0, "C1", ["t0"], ["r0", "r1"], 11), "measured_km": D(10), "difference_km": D(1)}]
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], [twice]))).to_dict("records")
    amounts = [row[f"{name}_brl"] for name in ("declared", "disallowed", "tolerance", "admitted")]
    assert amounts == [D("115.00"), D("-60.00"), D("-5.00"), D("50.00")]
    excepted = {**twice, "status": "excepted"}
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], [excepted]))).to_dict("records")
    amounts = [row[f"{name}_brl"] for name in ("disallowed", "excepted", "tolerance", "admitted")]
    assert amounts == [D(0), D("-60.00"), D("-5.00"), D("50.00")]


def test_an_excepted_run_above_the_tolerance_stays_excepted_beside_the_run_that_repeats_it() -> None:
    """The repeat names the same trip: the 15.00 that the exception covers were disallowed, with its sentence."""
    trips, costs = [trip(0, "C1", "service", 1000)], [cost(0, 1000, 50_000)]
    twice = {**finding("D08", "disallowed_brl", "PC1", "t0", "r1"), "carrier_code": "C1", "km_at_stake": D(13),
             "brl_at_stake": D("65.00")}  # fmt: skip
    above = {**finding("D01", "disallowed_brl", "PC1", "t0", "r0"), "brl_at_stake": D("15.00")}
    matches = [{**match(0, "C1", ["t0"], ["r0", "r1"], 13), "measured_km": D(10), "difference_km": D(3)}]
    for status, explained in (("excepted", []), ("open", [above["finding_id"]])):
        facts = facts_of(trips, costs, matches, [], [twice, {**above, "status": status}])
        rows = waterfall_rows(facts)
        (row,) = waterfall(rows).to_dict("records")
        covered = D("-15.00") if status == "excepted" else D(0)
        assert [row["disallowed_brl"], row["excepted_brl"]] == [D("-80.00") - covered, covered]
        assert disallowed_groups(rows, facts)["finding_id"].tolist() == explained


def test_what_an_exception_covers_stands_in_a_line_of_its_own() -> None:
    """A D01 of 7 km of which an exception is approved, beside 1 km within the tolerance."""
    trips, costs = [trip(n, "C1", "service", 1000) for n in range(2)], [cost(n, 1000, 50_000) for n in range(2)]
    matches = [match(0, "C1", ["t0"], ["r0"], 17), match(1, "C1", ["t1"], ["r1"], 11)]
    found = {**finding("D01", "disallowed_brl", "PC1", "t0", "r0"), "status": "excepted"}
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], [found]))).to_dict("records")
    assert [row[f"{name}_brl"] for name in ("disallowed", "excepted", "tolerance")] == [D(0), D("-35.00"), D("-5.00")]


def test_declared_deadhead_that_the_contract_does_not_pay_is_no_difference() -> None:
    """A run of 24 km over 10 km to the fuel station, of which the contract pays 2.8, and 14 km of service: it declares
    what was driven. The unpaid 7.2 km were a difference within tolerance of R$ 36.
    """
    trips = [trip(0, "C1", "deadhead", 1000), trip(1, "C1", "service", 1400)]
    costs = [cost(0, 280, 50_000), cost(1, 1400, 50_000)]
    matches = [{**match(0, "C1", ["t0", "t1"], ["r0"], 27), "measured_km": D(24), "difference_km": D(3)}]
    found = [finding("D01", "disallowed_brl", "PC1", "t0", "r0")]
    (row,) = waterfall(waterfall_rows(facts_of(trips, costs, matches, [], found))).to_dict("records")
    amounts = [row[f"{name}_brl"] for name in ("declared", "disallowed", "tolerance", "admitted")]
    assert amounts == [D("99.00"), D("-15.00"), D("0.00"), D("84.00")]  # the 3 km above the measured 24


def test_no_rows_are_no_carriers() -> None:
    assert waterfall(waterfall_rows(facts_of([], [], [], [], []))).empty

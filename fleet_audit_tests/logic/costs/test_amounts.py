"""The four amounts: each in its own column, no kilometre twice, the unknown never zero."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.costs.amounts import vehicle_cycle_amounts, vehicle_day_amounts
from fleet_audit.logic.costs.waterfall import CycleFacts, waterfall_rows
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS, MATCHES, TRIP_COSTS, TRIPS, VEHICLE_DAY_AMOUNTS
from fleet_audit.schema.facts.columns import AMOUNTS

D = Decimal
DAY = dt.date(2025, 6, 10)
CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
GLOSA, DOUBT, FAVOUR = "disallowed_brl", "paid_doubtful_brl", "in_favour_brl"


def finding(rule: str, amount: str | None, brl: str | None, **more: Any) -> dict[str, Any]:
    money = None if brl is None else D(brl)
    return {
        "finding_id": f"{rule}{brl}{more}", "operational_date": DAY, "rule_id": rule, "rule_version": "1",
        "severity": "H", "plate": "A", "carrier_code": "C1", "unit_code": "U1", "brl_at_stake": money,
        "confidence": 1.0, "evidence": "{}", "status": "open", "explanation_pt": "x", "amount": amount,
        **({amount: money} if amount else {}), **more,
    }  # fmt: skip


def findings(*rows: dict[str, Any]) -> pd.DataFrame:
    names = {name for row in rows for name in row} | set(AMOUNTS) | {"cycle_start", "trip_id", "declared_run_id"}
    return conform(pd.DataFrame([{name: row.get(name) for name in names} for row in rows]), FINDINGS.untraced)


def group(number: int) -> dict[str, Any]:
    return {
        "match_id": f"m{number}", "operational_date": DAY, "plate": "A", "carrier_code": "C1", "unit_code": "U1",
        "trip_ids": [f"t{number}"], "declared_run_ids": [f"r{number}"], "kind": "one_to_one",
        "difference_km": D(1),
    }  # fmt: skip


MATCHED = conform(pd.DataFrame([group(1), group(2)]), MATCHES.untraced)
NONE_HELD = empty_frame(HELD_RUNS)


def day_of(*rows: dict[str, Any], held: pd.DataFrame = NONE_HELD) -> dict[str, Any]:
    (row,) = vehicle_day_amounts(DAY, findings(*rows), MATCHED, held).to_dict("records")
    return row


def test_rules_that_see_one_group_count_once_per_amount() -> None:
    row = day_of(
        finding("D01", GLOSA, "30.00", trip_id="t1", declared_run_id="r1"),
        finding("D11", GLOSA, "50.00", declared_run_id="r1"),
        finding("O03", DOUBT, "70.00", trip_id="t1"),  # another amount: it does not compete with the disallowed one
        finding("D04", FAVOUR, "5.00", trip_id="t2", declared_run_id="r2"),
    )
    assert {name: row[name] for name in AMOUNTS} == {
        GLOSA: D("50.00"), DOUBT: D("70.00"), FAVOUR: D("5.00"), "held_brl": D("0.00"),
    }  # fmt: skip


def test_a_day_level_rule_replaces_the_groups_only_where_it_is_larger() -> None:
    first, second = (
        finding("D01", GLOSA, "30.00", trip_id="t1", declared_run_id="r1"),
        finding("D01", GLOSA, "20.00", trip_id="t2", declared_run_id="r2"),
    )
    assert day_of(first, second, finding("D02", GLOSA, "49.99"))[GLOSA] == D("50.00")
    assert day_of(first, second, finding("D02", GLOSA, "60.00"))[GLOSA] == D("60.00")


def test_a_run_declared_twice_and_a_phantom_stand_beside_the_sum_of_the_day() -> None:
    """A D01 of R$ 15, or a D02 of R$ 40, vanished behind the R$ 65 of a run that no group and no D02 holds."""
    twice = finding("D08", GLOSA, "65.00", declared_run_id="r1b")
    written = finding("D11", GLOSA, "5.00", declared_run_id="r1b")
    above = finding("D01", GLOSA, "15.00", trip_id="t1", declared_run_id="r1")
    phantom = finding("D05", GLOSA, "9.00", declared_run_id="r3")
    matches = conform(pd.DataFrame([{**group(1), "declared_run_ids": ["r1", "r1b"]}, group(2)]), MATCHES.untraced)
    for rows, expected in (
        ([above, twice, written], "80.00"),
        ([finding("D02", GLOSA, "40.00"), twice], "105.00"),
        ([finding("D02", GLOSA, "40.00"), above, twice, phantom], "114.00"),
        ([finding("D02", GLOSA, "40.00", evidence='{"uncounted_match_ids": ["m1"]}'), above], "55.00"),
    ):
        (row,) = vehicle_day_amounts(DAY, findings(*rows), matches, NONE_HELD).to_dict("records")
        assert row[GLOSA] == D(expected)


def test_an_amount_without_a_rate_is_unknown_and_an_exception_counts_nothing() -> None:
    row = day_of(
        finding("K01", FAVOUR, None, trip_id="t1"),
        finding("D05", GLOSA, "9.00", declared_run_id="r1", status="excepted"),
        finding("G07", None, None),
    )
    assert pd.isna(row[FAVOUR])
    assert row[GLOSA] == row[DOUBT] == D("0.00")


def test_what_nobody_could_verify_is_held_and_a_phantom_is_not() -> None:
    runs = [
        {"declared_run_id": reason, "operational_date": DAY, "plate": "A", "declared_km": D("10.00"),
         "brl_at_rate": brl, "reason": reason}
        for reason, brl in (("phantom", D("49.00")), ("no_data", D("24.50")), ("no_trip", None))
    ]  # fmt: skip
    held = conform(pd.DataFrame(runs), HELD_RUNS.untraced)
    row = day_of(finding("D05", GLOSA, "49.00", declared_run_id="phantom"), held=held)
    assert (row["held_brl"], row[GLOSA]) == (D("24.50"), D("49.00"))


NO_ROWS = waterfall_rows(
    CycleFacts(*(empty_frame(table) for table in (TRIPS, TRIP_COSTS, MATCHES, HELD_RUNS, FINDINGS)))
)


def test_a_cycle_doubts_the_larger_of_its_days_and_its_rules_and_other_money_too() -> None:
    day = {"operational_date": DAY, "plate": "A", "carrier_code": "C1", "unit_code": "U1",
           GLOSA: D("0.00"), DOUBT: D("7.00"), FAVOUR: D("0.00"), "held_brl": D("0.00")}  # fmt: skip
    later = {**day, "operational_date": DAY + dt.timedelta(days=1), "vehicle_amounts_id": "2"}
    days = conform(pd.DataFrame([{**day, "vehicle_amounts_id": "1"}, later]),
                   VEHICLE_DAY_AMOUNTS.untraced)  # fmt: skip
    of_cycle = findings(
        finding("O05", DOUBT, "90.00", cycle_start=CYCLE.start),
        finding("V04", DOUBT, "1000.00", cycle_start=CYCLE.start),
        finding("K03", DOUBT, None, cycle_start=CYCLE.start),
        finding("O05", DOUBT, "11.00", cycle_start=CYCLE.start, carrier_code="C2"),  # the vehicle was handed on
        finding("O03", DOUBT, "99.00", trip_id="t1"),  # a day's rule is in its day already
        finding("K01", FAVOUR, None, trip_id="t1"),
    )
    rows = vehicle_cycle_amounts(CYCLE, days, of_cycle, NO_ROWS).set_index("carrier_code")
    assert (rows.loc["C1", DOUBT], rows.loc["C2", DOUBT]) == (D("1090.00"), D("11.00"))
    assert pd.isna(rows.loc["C1", FAVOUR])  # km without a price: unknown, not zero
    assert rows.loc["C2", FAVOUR] == rows.loc["C1", GLOSA] == D("0.00")


def test_a_cycle_without_findings_has_no_row() -> None:
    assert vehicle_cycle_amounts(CYCLE, empty_frame(VEHICLE_DAY_AMOUNTS), empty_frame(FINDINGS), NO_ROWS).empty
    assert vehicle_day_amounts(DAY, empty_frame(FINDINGS), empty_frame(MATCHES), NONE_HELD).empty

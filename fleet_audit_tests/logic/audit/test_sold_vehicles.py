"""Vehicles that change their carrier within a cycle: S05, O07 and V03 are of the carrier that had the vehicle."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit_tests.logic.audit.rules.test_cycle import (
    DAYS,
    a_cycle,
    charged,
    found,
    reason,
    sold_after,
    with_reserve,
    worked,
    working_at,
)
from fleet_audit_tests.logic.audit.rules.test_habits import on_route
from fleet_audit_tests.logic.audit.rules.test_own_past import a_past, since
from fleet_audit_tests.logic.audit_sample import OTHER, PLATE

WORKING = [day for day in DAYS if day.isoweekday() <= 5]


def of_buyer(rows: pd.DataFrame, plate: str, after: int) -> pd.DataFrame:
    """The rows, with VIASUL as the vehicle's carrier from a day of the cycle on."""
    is_sold = (rows["plate"] == plate) & (rows["operational_date"] >= DAYS[after])
    return rows.assign(carrier_code=rows["carrier_code"].mask(is_sold, "VIASUL"))


def sold(context: AuditCycle, plate: str, after: int) -> AuditCycle:
    registered = of_buyer(context.registered, plate, after)
    last = registered[registered["operational_date"] == DAYS[-1]].drop(columns="operational_date")
    trips = of_buyer(context.trips, plate, after)
    return replace(context, registered=registered, vehicles=last.reset_index(drop=True), trips=trips)


@pytest.mark.parametrize(
    ("km", "accused"),
    [
        ([24.0] * 6 + [20.0] * 6, ["CONLOG"]),
        ([20.0] * 6 + [24.0] * 6, ["VIASUL"]),
        ([24.0] * 12, ["CONLOG", "VIASUL"]),
        ([20.0] * 12, []),
        ([20.0] * 6 + [24.0] * 3, []),
    ],
    ids=["seller", "buyer", "both", "none", "too few of the buyer"],
)
def test_s05_compares_the_trips_of_each_carrier_with_the_others(km: list[float], accused: list[str]) -> None:
    others = [row for number in range(20) for row in on_route(f"CCC3C{number:02d}", [20.0] * 6)]
    context = sold(a_cycle(trips=[*others, *on_route(PLATE, km)]), PLATE, 6)
    assert sorted(row["carrier_code"] for row in found(context, "S05")) == accused


def test_s05_of_a_vehicle_that_the_register_has_later_keeps_two_findings_apart() -> None:
    """Of its first days nobody is its carrier: both findings had one id, and the cycle could not be written."""
    others = [row for number in range(20) for row in on_route(f"CCC3C{number:02d}", [20.0] * 6)]
    context = a_cycle(trips=[*others, *on_route(PLATE, [24.0] * 12)])
    is_before = (context.trips["plate"] == PLATE) & context.trips["operational_date"].isin(DAYS[:6])
    carriers = context.trips["carrier_code"].mask(is_before)
    assert len(found(replace(context, trips=context.trips.assign(carrier_code=carriers)), "S05")) == 2


def test_o07_compares_no_buyer_with_the_past_of_its_seller() -> None:
    """From the sale on the vehicle is driven otherwise: by other drivers, which prove nothing about its tracker."""
    driven_on = a_past(since(DAYS[12], kmh=1.4, stood_s=0.15))
    assert [row["carrier_code"] for row in found(driven_on, "O07")] == ["CONLOG"]
    assert not found(sold(driven_on, PLATE, 12), "O07")


def test_o07_of_the_seller_stays_its_own_after_the_sale() -> None:
    context = sold(a_past(since(DAYS[4], DAYS[12], kmh=1.4, stood_s=0.15)), PLATE, 16)
    [row] = found(context, "O07")
    assert row["carrier_code"] == "CONLOG"


@pytest.mark.parametrize("plate", [OTHER, PLATE], ids=["reserve", "titular"])
def test_v03_of_a_reserve_is_found_whichever_of_the_two_was_sold(plate: str) -> None:
    """Neither of them serves on the three working days; the second one is the first of the buyer."""
    context = with_reserve()
    assert [row["brl_at_stake"] for row in found(context, "V03")] == [Decimal("300.00")]
    at = DAYS.index(WORKING[1])
    findings = find_in_cycle(sold(context, plate, at)).query("rule_id == 'V03'").sort_values("carrier_code")
    by_carrier = [["CONLOG", Decimal("100.00")], ["VIASUL", Decimal("200.00")]]
    expected = by_carrier if plate == OTHER else [["CONLOG", Decimal("300.00")]]
    assert findings[["carrier_code", "brl_at_stake"]].to_numpy().tolist() == expected


@pytest.mark.parametrize(("unseen", "is_tested"), [(3, True), (5, False)])
def test_v04_does_not_test_a_vehicle_that_unseen_days_alone_clear(unseen: int, *, is_tested: bool) -> None:
    """Of 21 working days it serves on all but these: 3 are 14 %, 5 are 24 %."""
    days = WORKING[:unseen]
    context = a_cycle(
        trips=[worked(day) for day in DAYS if day not in days], calendar=working_at("UCP"), fixed_costs=charged()
    )
    is_unseen = context.coverage["operational_date"].isin(days)
    silent = context.coverage.assign(status=context.coverage["status"].mask(is_unseen, "silent"))
    context = replace(context, coverage=silent)
    assert not found(context, "V04")
    assert ("não foi visto" in reason(context, "V04")) is not is_tested


def test_v04_of_a_sold_vehicle_does_not_test_the_carrier_whose_days_were_not_seen() -> None:
    context = a_cycle(trips=[worked(day) for day in DAYS[16:]], calendar=working_at("UCP"), fixed_costs=charged())
    silent = context.coverage.assign(
        status=context.coverage["status"].mask(context.coverage["operational_date"].isin(DAYS[:16]), "silent")
    )
    context = sold_after(replace(context, coverage=silent), 16)
    assert find_in_cycle(context).query("rule_id == 'V04'").empty
    assert "1 de 1 veículo não testado" in reason(context, "V04")


def test_q05_names_the_fixed_amount_of_a_vehicle_that_left_the_register() -> None:
    """PLATE leaves after 16 days, and its amount goes on; OTHER's amount ends with it, and a third never was there."""
    fixed = [*charged(), *charged(DAYS[:16], OTHER), *charged(DAYS[:1], "CCC3C33")]
    context = a_cycle(fixed_costs=fixed)
    assert [row["plate"] for row in found(context, "Q05")] == ["CCC3C33"]
    left = context.registered[context.registered["operational_date"].isin(DAYS[:16])]
    rows = {row["plate"]: row for row in found(replace(context, registered=left), "Q05")}
    assert rows.keys() == {PLATE, "CCC3C33"}
    assert {row["carrier_code"] for row in rows.values()} == {"CONLOG"}  # whose contract it is
    text = "De 01/06/2025 a 15/06/2025 (15 dias) são pagos R$ 4.500,00 de parcela fixa do veículo AAA1A11"
    assert rows[PLATE]["explanation_pt"].startswith(text)
    assert pd.isna(rows[PLATE]["brl_at_stake"])

"""The budget of a cycle: planned km at their tariffs, fixed cost of run and remaining days."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.costs.budget import cycle_budget
from fleet_audit.logic.costs.plan import plan_of_days
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import REFERENCE_CHANGES
from fleet_audit_tests.logic.frames import rows

JUNE = Cycle(dt.date(2025, 6, 1), dt.date(2025, 6, 30))


def known(**tables: list[dict[str, object]]) -> Reference:
    every = {table.name: empty_frame(table) for table in (*reference.TABLES, REFERENCE_CHANGES)}
    named = {table.name: table for table in reference.TABLES}
    return Reference.of(every | {name: rows(named[name], *given) for name, given in tables.items()})


PLAN = {"cycle_start": JUNE.start, "plate": "AAA1A11"}
PLANNED = known(
    units=[{"unit_code": "U", "name": "Usina", "timezone": "America/Sao_Paulo"}],
    contracts=[{"contract_id": "K", "carrier_code": "C", "unit_code": "U", "kind": "contrato"}],
    vehicles=[{"plate": "AAA1A11", "carrier_code": "C", "unit_code": "U", "contract_id": "K",
               "vehicle_class": "onibus", "default_area": "IND", "status": "ativo"}],
    routes=[{"route_code": "R", "unit_code": "U", "area": "AGR", "regime": "municipal"}],
    tariffs=[{"tariff_id": "T", "contract_id": "K", "area": "AGR", "rate_brl_per_km": Decimal("5")}],
    fixed_costs=[{"contract_id": "K", "plate": "AAA1A11", "amount_brl_per_month": Decimal("3000")}],
    km_plan=[{**PLAN, "route_code": "R", "planned_km": Decimal("100")},
             {**PLAN, "route_code": "unknown", "planned_km": Decimal("50")}],
)  # fmt: skip
FIRST_TEN = [dt.date(2025, 6, day) for day in range(1, 11)]


def test_planned_km_are_priced_and_the_fixed_cost_is_that_of_the_whole_cycle() -> None:
    found = cycle_budget(JUNE, PLANNED, Decimal("1000.00"), FIRST_TEN, 1)
    assert found.planned_km == 150
    assert found.variable_brl == Decimal("500.00")
    assert found.unpriced_lines == 1  # its area, the vehicle's own, has no tariff
    assert (found.fixed_so_far_brl, found.fixed_remaining_brl, found.fixed_brl) == (1000, 2000, 3000)
    assert found.total_brl == Decimal("3500.00")


def test_the_budget_of_some_days_holds_their_share_of_the_plan_and_no_other_days_fixed_cost() -> None:
    run = FIRST_TEN[:3]  # of the days up to the tenth: what was spent on three is not compared with ten
    found = cycle_budget(JUNE, PLANNED, Decimal("300.00"), run, 1, days=run)
    assert found.planned_km == 15  # 3 of 30 days
    assert found.variable_brl == Decimal("50.00")
    assert (found.fixed_so_far_brl, found.fixed_remaining_brl) == (300, 0)


def test_the_share_of_a_day_is_that_of_the_days_on_which_the_line_runs() -> None:
    lines = [("310", None), ("40", "2"), ("50", "7"), (None, "1-5")]
    plan = rows(reference.KM_PLAN, *({**PLAN, "route_code": f"r{number}", "planned_km": None if km is None else
                                      Decimal(km), "weekdays": weekdays}
                                     for number, (km, weekdays) in enumerate(lines)))  # fmt: skip
    tuesday = plan_of_days(plan, JUNE, [dt.date(2025, 6, 10)])["planned_km"]  # 30 days: four Tuesdays, five Sundays
    assert [None if pd.isna(km) else km for km in tuesday] == [Decimal("10.33"), 10, 0, None]
    assert plan_of_days(plan, Cycle(dt.date(2025, 7, 1), dt.date(2025, 7, 31)), [dt.date(2025, 7, 1)]).empty


def test_without_a_plan_nothing_is_budgeted_and_nothing_is_zero() -> None:
    found = cycle_budget(JUNE, known(), None, [], 1)
    assert (found.planned_km, found.variable_brl, found.total_brl) == (None, None, None)

"""The budget of a cycle: planned km at their tariffs, fixed cost of run and remaining days."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from fleet_audit.logic.costs.budget import cycle_budget
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import FIXED_COST_DAYS, REFERENCE_CHANGES
from fleet_audit_tests.logic.frames import rows

JUNE = Cycle(dt.date(2025, 6, 1), dt.date(2025, 6, 30))


def known(**tables: list[dict[str, object]]) -> Reference:
    every = {table.name: empty_frame(table) for table in (*reference.TABLES, REFERENCE_CHANGES)}
    named = {table.name: table for table in reference.TABLES}
    return Reference.of(every | {name: rows(named[name], *given) for name, given in tables.items()})


def test_planned_km_are_priced_and_the_fixed_cost_is_that_of_the_whole_cycle() -> None:
    plan = {"cycle_start": JUNE.start, "plate": "AAA1A11"}
    found = cycle_budget(
        JUNE,
        known(
            units=[{"unit_code": "U", "name": "Usina", "timezone": "America/Sao_Paulo"}],
            contracts=[{"contract_id": "K", "carrier_code": "C", "unit_code": "U", "kind": "contrato"}],
            vehicles=[{"plate": "AAA1A11", "carrier_code": "C", "unit_code": "U", "contract_id": "K",
                       "vehicle_class": "onibus", "default_area": "IND", "status": "ativo"}],
            routes=[{"route_code": "R", "unit_code": "U", "area": "AGR", "regime": "municipal"}],
            tariffs=[{"tariff_id": "T", "contract_id": "K", "area": "AGR", "rate_brl_per_km": Decimal("5")}],
            fixed_costs=[{"contract_id": "K", "plate": "AAA1A11", "amount_brl_per_month": Decimal("3000")}],
            km_plan=[{**plan, "route_code": "R", "planned_km": Decimal("100")},
                     {**plan, "route_code": "unknown", "planned_km": Decimal("50")}],
        ),
        rows(FIXED_COST_DAYS, *({"operational_date": dt.date(2025, 6, day), "plate": "AAA1A11", "contract_id": "K",
                                 "amount_brl": Decimal("100"), "parameters_version": "p"} for day in range(1, 11))),
        [dt.date(2025, 6, day) for day in range(1, 11)],
        1,
        DEFAULT_PARAMETERS,
    )  # fmt: skip
    assert found.variable_brl == Decimal("500.00")
    assert found.unpriced_lines == 1  # its area, the vehicle's own, has no tariff
    assert (found.fixed_so_far_brl, found.fixed_remaining_brl, found.fixed_brl) == (1000, 2000, 3000)


def test_without_a_plan_nothing_is_budgeted_and_nothing_is_zero() -> None:
    found = cycle_budget(JUNE, known(), empty_frame(FIXED_COST_DAYS), [], 1, DEFAULT_PARAMETERS)
    assert found.variable_brl is None

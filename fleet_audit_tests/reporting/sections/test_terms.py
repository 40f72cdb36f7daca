"""PARÂMETROS: what is read beside each row of the reference."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.sheets.terms import terms_grid
from fleet_audit.schema.reference import CONTRACTS, FIXED_COSTS, VEHICLES
from fleet_audit_tests.logic.frames import rows


@pytest.mark.parametrize(
    ("registered", "of_old", "of_new"),
    [
        ("NEW", "; não pago de 16/05/2025 a 15/06/2025: o veículo está no contrato NEW", ""),
        (
            None,
            "; pago de 16/05/2025 a 15/06/2025 também sob o contrato NEW: confira",
            "; pago de 16/05/2025 a 15/06/2025 também sob o contrato OLD: confira",
        ),
    ],
)
def test_a_fixed_cost_that_another_contract_takes_the_place_of_says_so(
    registered: str | None, of_old: str, of_new: str
) -> None:
    names = ("GONE", "OLD", "NEW")
    costs = [{"contract_id": name, "plate": "AAA1A11", "amount_brl_per_month": "3100.00"} for name in names]
    costs[0]["valid_to"] = "2025-05-15"  # before the cycle
    vehicle = {"plate": "AAA1A11", "unit_code": "U", "contract_id": registered, "status": "ativo"}
    frames = Frames(
        fixed_costs=rows(FIXED_COSTS, *costs),
        contracts=rows(CONTRACTS, *({"contract_id": name, "carrier_code": "C", "unit_code": "U"} for name in names)),
        vehicles=rows(VEHICLES, vehicle),
    )
    cycle = cycle_of(dt.date(2025, 6, 10), 16)
    grid = terms_grid(frames, cycle, Closing())
    details = zip(grid.column("group"), grid.column("detail"), strict=True)
    assert [detail for group, detail in details if group == "Custo fixo"] == [
        f"contrato OLD; vigente sempre{of_old}",
        f"contrato NEW; vigente sempre{of_new}",
    ]

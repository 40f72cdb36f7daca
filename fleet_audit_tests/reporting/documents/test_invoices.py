"""FATURAS: an admitted fixed cost beside the invoice lines that state one, each difference once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.sheets.invoices import invoices_grid
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import conform

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
OWN = {"contract_id": "K", "cycle_start": CYCLE.start, "plate": "AAA1A11", "vehicle_class": "onibus"}
WAY = {"km": "10.00", "variable_brl": "50.00"}


def lines_of(table: Any, values: dict[str | None, dict[str, str]], **names: str) -> pd.DataFrame:
    rows = [
        {**dict.fromkeys(table.column_names), **OWN, "rate_brl_per_km": rate and Decimal(rate)}
        | {names.get(name, name): Decimal(value) for name, value in line.items()}
        for rate, line in values.items()
    ]
    return conform(pd.DataFrame(rows), table)


@pytest.mark.parametrize(
    ("invoiced", "billed", "expected"),
    [
        (  # a line without a fixed cost states 0.00
            {"4.0000": {**WAY, "fixed_brl": "0.00"}, "5.0000": {**WAY, "fixed_brl": "1000.00"}},
            {"4.0000": WAY, "5.0000": {**WAY, "fixed_brl": "1000.00"}},
            {"4.0000": ("0.00", "0.00", "confere"), "5.0000": ("1000.00", "0.00", "confere")},
        ),
        (  # one fixed cost in two parts
            {"4.0000": {**WAY, "fixed_brl": "400.00"}, "5.0000": {**WAY, "fixed_brl": "600.00"}},
            {"4.0000": {**WAY, "fixed_brl": "1000.00"}, "5.0000": WAY},
            {"4.0000": ("400.00", "0.00", "confere"), "5.0000": ("600.00", "0.00", "confere")},
        ),
        (  # 50.00 too much, once
            {"4.0000": {**WAY, "fixed_brl": "400.00"}, "5.0000": {**WAY, "fixed_brl": "650.00"}},
            {"4.0000": {**WAY, "fixed_brl": "1000.00"}, "5.0000": WAY},
            {"4.0000": ("400.00", "0.00", "confere"), "5.0000": ("600.00", "50.00", "difere")},
        ),
        (  # 50.00 too little, once
            {"4.0000": {**WAY, "fixed_brl": "400.00"}, "5.0000": {**WAY, "fixed_brl": "550.00"}},
            {"4.0000": {**WAY, "fixed_brl": "1000.00"}, "5.0000": WAY},
            {"4.0000": ("400.00", "0.00", "confere"), "5.0000": ("600.00", "-50.00", "difere")},
        ),
        (  # less is admitted than the surplus: no line has less than nothing
            {"4.0000": {**WAY, "fixed_brl": "600.00"}, "5.0000": {**WAY, "fixed_brl": "600.00"}},
            {"4.0000": {**WAY, "fixed_brl": "500.00"}, "5.0000": WAY},
            {"4.0000": ("0.00", "600.00", "difere"), "5.0000": ("500.00", "100.00", "difere")},
        ),
        (  # the engine bills the fixed cost on a line of its own
            {"5.0000": {"km": "0.00", "fixed_brl": "1000.00"}},
            {None: {"fixed_brl": "1000.00"}},
            {"5.0000": ("1000.00", "0.00", "só na fatura: admitido apenas o fixo")},
        ),
        (  # its km are not invoiced, its fixed cost is
            {"5.0000": {"km": "0.00", "fixed_brl": "1000.00"}},
            {"4.0000": {**WAY, "fixed_brl": "1000.00"}},
            {
                "4.0000": (None, None, "não faturada pela transportadora"),
                "5.0000": ("1000.00", "0.00", "só na fatura: admitido apenas o fixo"),
            },
        ),
        (  # what is admitted is unknown, never zero
            {"5.0000": {**WAY, "fixed_brl": "1000.00"}},
            {"5.0000": WAY},
            {"5.0000": (None, None, "fixo só na fatura")},
        ),
    ],
)
def test_a_fixed_cost_is_beside_what_the_invoice_states_and_differs_once(
    invoiced: dict, billed: dict, expected: dict
) -> None:
    frames = Frames(
        invoices=lines_of(reference.INVOICES, invoiced, km="billed_km"),
        billing_lines=lines_of(facts.BILLING_LINES, billed),
    )
    grid = invoices_grid(frames, CYCLE)
    names = [entry.name for entry in grid.fields]
    rows = [dict(zip(names, row, strict=True)) for row in grid.rows]
    found = {str(row["rate_brl_per_km"]): tuple(row[name] for name in ("fixed_brl", "difference_fixed_brl", "state"))
             for row in rows}  # fmt: skip
    assert found == {
        rate: (fixed and Decimal(fixed), difference and Decimal(difference), state)
        for rate, (fixed, difference, state) in expected.items()
    }

"""The four amounts of a what-if: sums per carrier before and after, of which an unknown one stays unknown."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.logic.closing.what_if import AMOUNTS, amount_differences
from fleet_audit.logic.primitives.money import BRL


def _days(*rows: tuple[str | None, str | None]) -> pd.DataFrame:
    brl = pd.Series([None if value is None else Decimal(value) for _, value in rows], dtype=BRL)
    codes = pd.Series([code for code, _ in rows], dtype="str")
    return pd.DataFrame({"carrier_code": codes, **dict.fromkeys(AMOUNTS, brl)})


def test_an_unknown_amount_is_not_zero_and_a_carrier_of_one_side_has_zero_on_the_other() -> None:
    before = _days(("A", "1.50"), ("A", None), ("B", None))
    made = amount_differences(before, _days(("A", "3.00"), ("C", "2.00"))).set_index("carrier_code")
    assert made.loc["A", "held_brl_difference"] == Decimal("1.50")
    assert pd.isna(made.loc["B", "held_brl_before"])
    assert pd.isna(made.loc["B", "held_brl_difference"])
    assert made.loc["C", "held_brl_difference"] == Decimal("2.00")

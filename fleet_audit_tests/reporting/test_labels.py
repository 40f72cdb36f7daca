"""Words for codes whose meaning depends on more than the code."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.reporting.labels import amount_basis


@pytest.mark.parametrize(
    ("rule_id", "cycle_start", "words"),
    [
        ("D01", None, "pela tarifa que se aplica"),
        ("V01", None, "estimativa pela tarifa mais próxima"),
        ("K01", None, "estimativa pela tarifa mais próxima"),
        ("K01", dt.date(2025, 5, 16), "pela tarifa que se aplica"),  # an invoice beside the trips' costs
    ],
)
def test_km_without_a_price_are_called_an_estimate(rule_id: str, cycle_start: dt.date | None, words: str) -> None:
    assert amount_basis(rule_id, cycle_start) == words

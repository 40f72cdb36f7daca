"""Brazilian writing of numbers, money and dates."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.reporting import locale


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        ("1234567.891", 2, "1.234.567,89"),
        ("-0.005", 2, "−0,01"),
        ("0.005", 2, "0,01"),
        ("2.5", 0, "3"),
        ("0", 2, "0,00"),
    ],
)
def test_numbers_round_half_up_with_a_decimal_comma(value: str, places: int, expected: str) -> None:
    assert locale.number(Decimal(value), places) == expected


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_a_written_number_reads_back_as_itself(value: Decimal) -> None:
    text = locale.number(value, signed=True)
    assert Decimal(text.replace(".", "").replace(",", ".").replace("−", "-")) == value


def test_a_value_that_rounds_to_zero_has_no_sign() -> None:
    assert locale.number(Decimal("-0.001")) == "0,00"
    assert locale.number(Decimal("0.001"), signed=True) == "0,00"


@pytest.mark.parametrize(
    ("value", "expected"), [("4.9", "4,90"), ("4.8375", "4,8375"), ("10", "10,00"), ("5.350", "5,35")]
)
def test_rates_show_the_places_that_the_contract_has(value: str, expected: str) -> None:
    assert locale.rate(Decimal(value)) == expected


def test_days_and_instants() -> None:
    assert locale.day_in_words(dt.date(2025, 6, 10)) == "terça-feira, 10/06/2025"
    assert locale.instant(dt.datetime(2025, 6, 11, 2, 30, tzinfo=dt.UTC)) == "10/06/2025 23:30"
    assert locale.money(Decimal("-1234.5")) == "R$\u00a0−1.234,50"
    with pytest.raises(ValueError, match="no time zone"):
        locale.instant(dt.datetime(2025, 6, 11))

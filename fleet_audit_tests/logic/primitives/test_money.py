from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_audit.logic.primitives.money import (
    BRL,
    KM,
    RATE,
    divide_half_up,
    from_hundredths,
    multiply_brl,
    round_km,
    sum_decimal,
    to_hundredths,
)

METRES = st.integers(-9_999_999, 9_999_999)
KM_VALUES = st.decimals(0, 99_999, places=2)
RATES = st.decimals(0, 999, places=4)


def half_up(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("km", "expected"),
    [
        (0.285, "0.29"),
        (26.179999999999996, "26.18"),
        (1.005, "1.01"),
        (0.1 + 0.2, "0.30"),
        (-0.285, "-0.29"),
        (0, "0.00"),
    ],
)
def test_ties_are_read_as_people_write_them(km: float, expected: str) -> None:
    assert round_km(pd.Series([km])).iloc[0] == Decimal(expected)


@given(st.lists(METRES, min_size=1))
def test_floats_of_whole_metres_round_as_their_decimals_do(metres: list[int]) -> None:
    rounded = round_km(pd.Series([value / 1000 for value in metres]))
    assert rounded.tolist() == [half_up(Decimal(value) / 1000) for value in metres]
    exact = pd.Series([Decimal(value) / 1000 for value in metres], dtype=pd.ArrowDtype(pa.decimal128(12, 3)))
    assert round_km(exact).tolist() == rounded.tolist()


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=300))
def test_a_sum_of_float_steps_rounds_as_the_exact_sum(metres: list[int]) -> None:
    total = 0.0
    for step in metres:
        total += step / 1000
    assert round_km(pd.Series([total])).iloc[0] == half_up(Decimal(sum(metres)) / 1000)


@given(st.lists(st.tuples(KM_VALUES, RATES), min_size=1))
def test_products_are_exact_and_half_up_once(pairs: list[tuple[Decimal, Decimal]]) -> None:
    km = pd.Series([pair[0] for pair in pairs], dtype=KM)
    rate = pd.Series([pair[1] for pair in pairs], dtype=RATE)
    assert multiply_brl(km, rate).tolist() == [half_up(a * b) for a, b in pairs]


def test_unknown_km_or_rate_makes_an_unknown_amount() -> None:
    km = pd.Series([Decimal("1.00"), None, Decimal("2.50")], dtype=KM, index=[7, 8, 9])
    rate = pd.Series([None, Decimal("4.9"), Decimal("4.9")], dtype=RATE, index=[7, 8, 9])
    amount = multiply_brl(km, rate)
    assert amount.isna().tolist() == [True, True, False]
    assert amount.loc[9] == Decimal("12.25")
    assert round_km(pd.Series([float("nan"), None], dtype=float)).isna().all()


def test_nothing_to_add_is_no_zero() -> None:
    assert sum_decimal(pd.Series([None, None], dtype=BRL)) is None
    assert sum_decimal(pd.Series([Decimal("0.10"), None, Decimal("0.20")], dtype=BRL)) == Decimal("0.30")


def test_a_value_that_is_no_distance_is_named() -> None:
    with pytest.raises(ValueError, match="is not a distance"):
        round_km(pd.Series([1.0, float("inf")]))


@given(st.lists(st.decimals(-9_999, 9_999, places=2)))
def test_hundredths_there_and_back(values: list[Decimal]) -> None:
    series = pd.Series(values, dtype=BRL)
    assert from_hundredths(to_hundredths(series), BRL, series.index).tolist() == values


@given(st.integers(0, 10**9), st.integers(1, 31))
def test_whole_quotients_are_half_up(numerator: int, denominator: int) -> None:
    exact = (Decimal(numerator) / denominator).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert int(divide_half_up(pd.Series([numerator]).to_numpy(), denominator)[0]) == exact

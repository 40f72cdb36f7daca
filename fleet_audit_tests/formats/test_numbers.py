"""Numbers as people and spreadsheets of two countries write them."""

from __future__ import annotations

import pandas as pd
import pytest

from fleet_audit.formats.numbers import (
    BRAZILIAN,
    POINT_ONLY,
    TWO_DECIMALS,
    WHOLE_KM,
    NumberStyle,
    floats,
    is_spoilt_id,
    plain_numbers,
)

AMBIGUOUS, ILLEGIBLE = "ambiguous", "illegible"


def reading(text: str, style: NumberStyle, largest: float | None = None) -> object:
    found = plain_numbers(pd.Series([text], dtype="str"), style, largest)
    if found.is_ambiguous[0]:
        return AMBIGUOUS
    number = floats(found.plain).iloc[0]
    return ILLEGIBLE if pd.isna(number) else number


@pytest.mark.parametrize("style", [WHOLE_KM, BRAZILIAN, TWO_DECIMALS, POINT_ONLY])
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234,56", 1234.56),
        ("1,234.56", 1234.56),
        ("1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("-1.234,5", -1234.5),
        ("117 279", 117279),
        ("1 234,56", 1234.56),
        ("R$ 18500.00", 18500),
        ("18500", 18500),
        ("30.5", 30.5),
        ("30.5000", 30.5),
        ("0.314", 0.314),
        ("1.23.456", ILLEGIBLE),
        ("1,2,3", ILLEGIBLE),
        ("12 34", ILLEGIBLE),
        ("--5", ILLEGIBLE),
        ("", ILLEGIBLE),
    ],
)
def test_numbers_with_one_reading(text: str, number: object, style: NumberStyle):
    if text == "1 234,56" and style is POINT_ONLY:
        number = ILLEGIBLE
    assert reading(text, style) == number


@pytest.mark.parametrize(
    ("text", "whole_km", "brazilian", "two_decimals", "point_only"),
    [
        ("40.314", 40314, AMBIGUOUS, AMBIGUOUS, 40.314),
        ("40,314", AMBIGUOUS, 40.314, AMBIGUOUS, AMBIGUOUS),
        ("30,5", 30.5, 30.5, 30.5, ILLEGIBLE),
        ("0,314", 0.314, 0.314, 0.314, ILLEGIBLE),
    ],
)
def test_one_mark_before_three_digits(
    text: str, whole_km: object, brazilian: object, two_decimals: object, point_only: object
):
    styles = (WHOLE_KM, BRAZILIAN, TWO_DECIMALS, POINT_ONLY)
    assert [reading(text, style) for style in styles] == [whole_km, brazilian, two_decimals, point_only]


def test_a_reading_beyond_what_the_column_holds_is_none():
    assert reading("-22.531", BRAZILIAN, 90) == -22.531
    assert reading("1.200", BRAZILIAN, 10_000) == AMBIGUOUS


@pytest.mark.parametrize(
    ("text", "is_spoilt"),
    [("3,51E+14", True), ("3.51e+14", True), ("3E+14", True), ("3,5E14", True), ("1E5", False), ("ABC1E23", False)],
)
def test_rounded_ids(text: str, is_spoilt: bool):
    assert is_spoilt_id(pd.Series([text])).iloc[0] == is_spoilt

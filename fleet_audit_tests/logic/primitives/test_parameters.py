"""Limits of the rules' parameters."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULTS, parameter_fault, parameters_on


@pytest.mark.parametrize("parameter", DEFAULTS, ids=lambda parameter: parameter.name)
def test_every_default_lies_within_its_limits(parameter):
    assert parameter_fault(parameter.name, parameter.default) is None


@pytest.mark.parametrize("value", [-1, 1000.5, math.nan, math.inf])
def test_a_value_outside_of_its_limits_is_named_with_them(value):
    fault = parameter_fault("trip_tolerance_pct", value)
    assert fault is not None
    assert fault.startswith("trip_tolerance_pct is ")
    assert fault.endswith("outside of 0 to 1000")


def test_a_share_of_a_whole_is_at_most_all_of_it():
    assert "0 to 100" in (parameter_fault("match_overlap_pct", 101) or "")


def test_a_step_length_that_divides_is_never_zero():
    assert "1 to 604800" in (parameter_fault("far_step_s", 0) or "")


def test_an_unknown_name_is_refused_with_the_nearest_one():
    assert "did you mean stop_min_s?" in (parameter_fault("stop_mins", 1) or "")


def test_a_row_outside_of_its_limits_computes_nothing():
    rows = pd.DataFrame([{"name": "forecast_alpha", "value": 2.0, "valid_from": None, "valid_to": None}])
    with pytest.raises(ValueError, match=r"parameters\.csv: forecast_alpha is 2 factor, outside of 0 to 1"):
        parameters_on(dt.date(2025, 6, 1), rows)


def test_an_expired_row_outside_of_its_limits_stops_nothing():
    old = {"name": "forecast_alpha", "value": 2.0, "valid_from": None, "valid_to": dt.date(2025, 5, 31)}
    assert parameters_on(dt.date(2025, 6, 1), pd.DataFrame([old])) == parameters_on(dt.date(2025, 6, 1))

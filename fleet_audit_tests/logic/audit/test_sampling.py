"""Monetary-unit sampling: every cent has the same chance, large trips are always taken, the limit covers the errors."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.sampling import (
    SamplePlan,
    estimate,
    reliability_factor,
    sample_plan,
    sample_seed,
    selections,
)
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS

CYCLE = cycle_of(dt.date(2025, 5, 16), 16)
TRIPS = [("t1", 5_000), ("t2", 7_000)]
PLAN = SamplePlan(1_000_000, 20_000, 95, 6_666, 123)


@pytest.mark.parametrize(
    ("errors", "confidence", "factor"),
    [(0, 95, 3.00), (1, 95, 4.75), (2, 95, 6.30), (3, 95, 7.76), (0, 90, 2.31), (1, 90, 3.89), (0, 99, 4.61)],
)
def test_reliability_factors_are_those_of_the_guide(errors, confidence, factor):
    """AICPA Audit Sampling, Poisson factors, printed there with two decimals, rounded up."""
    assert reliability_factor(errors, confidence) == pytest.approx(factor, abs=0.01)


def test_the_plan_divides_what_is_tolerated_by_the_factor_and_is_drawn_again_alike():
    plan = sample_plan(100_000_000, DEFAULT_PARAMETERS, sample_seed(b"key", CYCLE, TRIPS))
    assert plan.materiality_cents == 2_000_000
    assert plan.interval_cents == 667_616  # 20,000.00 / 2.99573
    assert plan == sample_plan(100_000_000, DEFAULT_PARAMETERS, sample_seed(b"key", CYCLE, TRIPS))
    assert 0 <= plan.start_cents < plan.interval_cents


@pytest.mark.parametrize(
    ("key", "cycle", "trips"),
    [
        (b"another key", CYCLE, TRIPS),
        (b"key", cycle_of(dt.date(2025, 6, 16), 16), TRIPS),
        (b"key", CYCLE, [*TRIPS, ("t3", 1)]),
        (b"key", CYCLE, [("t1", 5_001), ("t2", 7_000)]),
    ],
)
def test_nobody_foresees_the_sample_without_the_key_and_every_trip_of_the_cycle(key, cycle, trips):
    """The first day of a cycle is known years before: a start that follows from it alone shows which cents are safe."""
    foreseen, drawn = sample_seed(key, cycle, trips), sample_seed(b"key", CYCLE, TRIPS)
    starts = [sample_plan(100_000_000, DEFAULT_PARAMETERS, seed).start_cents for seed in (foreseen, drawn)]
    assert starts[0] != starts[1]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.integers(1, 25))
def test_every_cent_has_the_same_chance(cents: list[int], interval: int):
    """Over all random starts each cent is selected exactly once: a trip as often as it has cents."""
    values = np.array(cents)
    plans = [SamplePlan(sum(cents), 0, 95, interval, start) for start in range(interval)]
    assert sum(selections(values, plan) for plan in plans).tolist() == cents


@settings(max_examples=60)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(1, 200), st.data())
def test_a_trip_of_an_interval_or_more_is_always_taken(cents: list[int], interval: int, data: st.DataObject):
    start = data.draw(st.integers(0, interval - 1))
    found = selections(np.array(cents), SamplePlan(sum(cents), 0, 95, interval, start))
    assert all(times >= 1 for times, value in zip(found, cents, strict=True) if value >= interval)
    assert all(times <= 1 for times, value in zip(found, cents, strict=True) if value < interval)
    assert all(times == 0 for times, value in zip(found, cents, strict=True) if value == 0)


_reviewed = st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 30_000)), min_size=1, max_size=15)


@settings(max_examples=80)
@given(_reviewed, st.sampled_from([70.0, 80.0, 95.0, 99.9]), st.integers(1, 15_000))
def test_the_limit_is_never_below_what_is_projected(rows: list[tuple[int, int]], confidence: float, interval: int):
    paid, audited = [row[0] for row in rows], [row[1] for row in rows]
    plan = SamplePlan(max(sum(paid), interval * len(rows)), 0, confidence, interval, 0)
    found = estimate(paid, audited, plan)
    assert found.upper_limit_cents >= found.overpaid_cents >= 0
    assert found.underpaid_cents >= 0
    worse = estimate(paid, [max(0, value - 1) for value in audited], plan)
    assert worse.upper_limit_cents >= found.upper_limit_cents


def test_a_sample_without_errors_bounds_the_overpayment_by_what_is_tolerated():
    found = estimate([500, 1_000], [500, 1_000], PLAN)
    assert (found.overpaid_cents, found.underpaid_cents) == (0, 0)
    assert found.upper_limit_cents == pytest.approx(6_666 * 2.9957, abs=1)


def test_taints_are_projected_largest_first_and_a_large_trip_counts_as_it_is():
    """Two small trips, 50 % and 10 % too dear; one of R$ 80.00 of which R$ 8.00 are wrong; one underpaid by half."""
    found = estimate([1_000, 2_000, 8_000, 1_000], [500, 1_800, 7_200, 1_500], PLAN)
    assert found.overpaid_cents == round(6_666 * 0.6) + 800
    assert found.underpaid_cents == 3_333
    factors = [reliability_factor(count, 95) for count in range(3)]
    widened = 0.5 * (factors[1] - factors[0]) + 0.1 * (factors[2] - factors[1])
    assert found.upper_limit_cents == pytest.approx(6_666 * (factors[0] + widened) + 800, abs=1)


def test_where_every_trip_is_reviewed_nothing_is_left_to_chance():
    plan = replace(PLAN, population_cents=20_000)
    assert estimate([12_000, 8_000], [11_000, 8_000], plan).upper_limit_cents == 1_000

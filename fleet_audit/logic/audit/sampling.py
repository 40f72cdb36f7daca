"""Monetary-unit sampling: which trips of a cycle a person reviews, and what the reviewed ones say of all.

Method: AICPA, Audit Guide "Audit Sampling", chapter on monetary unit sampling: a fixed interval with a random start,
projected misstatement by tainting, and the upper limit of Stringer (1963). The tables are written in `defs.cycle`.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.parameters import ParameterSet

_PRECISION = 1e-9  # of a reliability factor; it is multiplied by an interval of at most some R$ 100,000


@dataclass(frozen=True)
class SamplePlan:
    """How a cycle is sampled, in whole cents.

    Attributes:
        population_cents: variable cost of all priced trips.
        materiality_cents: overpayment of the cycle that is still tolerated.
        confidence_pct: probability with which the upper limit holds.
        interval_cents: one cent of so many is selected.
        start_cents: position of the first selected cent, 0 to interval - 1.
    """

    population_cents: int
    materiality_cents: int
    confidence_pct: float
    interval_cents: int
    start_cents: int


@dataclass(frozen=True)
class Estimate:
    """What a reviewed sample says of the cycle, in cents: projected over- and underpayment, and the upper limit."""

    overpaid_cents: int
    underpaid_cents: int
    upper_limit_cents: int


def reliability_factor(errors: int, confidence_pct: float) -> float:
    """Upper limit of a Poisson mean of which so many events were seen: 3.00 for none and 95 %.

    The λ at which P(at most `errors` events) = 1 - confidence; table C-3 of the guide, by bisection.
    """
    low, high = 0.0, errors + 50.0 + 10.0 * math.sqrt(errors + 1)
    allowed = 1 - confidence_pct / 100
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, middle) > allowed else (low, middle)
    return high


def _at_most(events: int, mean: float) -> float:
    """P(at most so many events) of a Poisson variable."""
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(events + 1))


def sample_seed(key: bytes, cycle: Cycle, trips: Iterable[tuple[str, int]]) -> bytes:
    """The seed of a cycle's sample: an HMAC-SHA256, with the installation's secret key, of what the cycle paid.

    Whoever has the key and the closed rows draws the same sample again. Nobody else can know before the close which
    trips will be reviewed: neither the key nor the last trips of the cycle are known to the audited.

    Args:
        key: secret of the installation.
        cycle: the cycle.
        trips: trip_id and cents of the population, in its order.
    """
    seed = hmac.new(key, f"sample of {cycle.start}".encode(), hashlib.sha256)
    for trip_id, cents in trips:
        seed.update(f"\n{trip_id} {cents}".encode())
    return seed.digest()


def sample_plan(population_cents: int, parameters: ParameterSet, seed: bytes) -> SamplePlan:
    """The plan of a cycle: interval = tolerated overpayment ÷ reliability factor without errors; start by the seed."""
    materiality = int(population_cents * Fraction(str(parameters.sample_materiality_pct)) / 100)
    interval = max(1, int(materiality / reliability_factor(0, parameters.sample_confidence_pct)))
    start = int.from_bytes(seed, "big") % interval
    return SamplePlan(population_cents, materiality, parameters.sample_confidence_pct, interval, start)


def selections(cents: np.ndarray, plan: SamplePlan) -> np.ndarray:
    """How often each trip is selected: the selected cents that lie in it. Every cent has the same chance.

    Args:
        cents: variable cost of the trips in the order of the population, each at least 0.
        plan: of the population.
    """
    ends = np.cumsum(cents, dtype=np.int64)
    until = (ends - 1 - plan.start_cents) // plan.interval_cents
    before = (ends - cents - 1 - plan.start_cents) // plan.interval_cents
    return until - before


def estimate(paid: list[int], audited: list[int], plan: SamplePlan) -> Estimate:
    """Projected errors and upper limit of overpayment from a sample that was reviewed whole.

    A trip of at least one interval is always in the sample: its error counts as it is. A smaller one stands for an
    interval: its taint (share of its cost that is wrong) × interval. The limit is, of the small ones, interval ×
    (factor without errors + each taint, largest first, × the increase of the factor), plus the errors of the large
    ones. Underpayment is projected apart and lowers no limit.

    Args:
        paid: variable cost of the sampled trips in cents, each above 0; audited: the same as reviewed, at least 0.
        plan: by which they were sampled.
    """
    errors = list(zip(paid, (before - after for before, after in zip(paid, audited, strict=True)), strict=True))
    large = [error for cents, error in errors if cents >= plan.interval_cents]
    taints = [Fraction(error, cents) for cents, error in errors if cents < plan.interval_cents]
    over = sorted((taint for taint in taints if taint > 0), reverse=True)
    large_over = sum(error for error in large if error > 0)
    large_under = -sum(error for error in large if error < 0)
    overpaid = plan.interval_cents * sum(over, Fraction()) + large_over
    underpaid = plan.interval_cents * -sum((taint for taint in taints if taint < 0), Fraction()) + large_under
    limit = float(large_over)
    if sum(cents for cents in paid if cents >= plan.interval_cents) < plan.population_cents:
        factors = [reliability_factor(count, plan.confidence_pct) for count in range(len(over) + 1)]
        widened = sum(float(taint) * (factors[n + 1] - factors[n]) for n, taint in enumerate(over))
        limit += plan.interval_cents * (factors[0] + widened)
    return Estimate(_half_up(overpaid), _half_up(underpaid), math.ceil(limit))


def _half_up(cents: Fraction) -> int:
    return math.floor(cents + Fraction(1, 2))

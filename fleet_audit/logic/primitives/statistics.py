"""Statistics of samples: p values and their correction for many samples, intervals of shares, and a robust spread.

Which sample is tested, and what follows from it, belongs to the caller.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import accumulate

import numpy as np

Z_95 = 1.959964  # half-width of the 95 % interval of a normal variable, in standard deviations
MAD_TO_SD = 1.4826  # standard deviation of a normal sample per median absolute deviation


def digit_counts(values: np.ndarray) -> np.ndarray:
    """Frequency of the last digits 0 … 9 of whole numbers."""
    return np.bincount(values.astype(np.int64) % 10, minlength=10)


def uniform_chi2(counts: np.ndarray) -> float:
    """χ² of ten frequencies against equal ones (nine degrees of freedom)."""
    expected = counts.sum() / 10
    return float(((counts - expected) ** 2).sum() / expected)


def chi2_p(chi2: float) -> float:
    """P(χ² ≥ chi2) at nine degrees of freedom (Abramowitz and Stegun 26.4.4)."""
    root = math.sqrt(chi2)
    density = math.sqrt(2 / math.pi) * math.exp(-chi2 / 2)
    return math.erfc(root / math.sqrt(2)) + density * (root + root**3 / 3 + root**5 / 15 + root**7 / 105)


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """Both ends of the 95 % score interval of a share; 0 and 1 without a trial.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927): it stays
    within 0 and 1 and holds for few trials.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, Z_95 * Z_95 / trials
    centre = share + spread / 2
    half = Z_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max((centre - half) / (1 + spread), 0.0), min((centre + half) / (1 + spread), 1.0)


def normal_p(z: float) -> float:
    """P(Z ≥ z) of a standard normal variable."""
    return math.erfc(z / math.sqrt(2)) / 2


def at_least_p(successes: int, chances: np.ndarray) -> float:
    """P(at least so many of independent events happen), each with its own chance (Poisson binomial)."""
    distribution = np.array([1.0])
    for chance in chances:
        distribution = np.append(distribution * (1 - chance), 0.0) + np.append(0.0, distribution * chance)
    return float(min(1.0, distribution[successes:].sum()))


def rank_sum_p(ahead: int, size: int, others: int) -> float:
    """p, two-sided, of one sample being ahead of another in at least so many of their size × others pairs.

    Exact rank sum test (Mann and Whitney, "On a test of whether one of two random variables is stochastically larger
    than the other", Annals of Mathematical Statistics 18 (1947)); ties are no pairs ahead, so that they never accuse.
    """
    tails = _rank_sum_tails(size, others)
    return min(1.0, 2 * tails[ahead] / tails[0])


@cache
def _rank_sum_tails(size: int, others: int) -> list[int]:
    """Number of orders of both samples with at least 0, 1, … pairs ahead: coefficients of a Gaussian binomial."""
    counts = [1] + [0] * (size * others)
    for number in range(1, size + 1):
        for pairs in range(len(counts) - 1, others + number - 1, -1):
            counts[pairs] -= counts[pairs - others - number]
        for pairs in range(number, len(counts)):
            counts[pairs] += counts[pairs - number]
    return [*accumulate(reversed(counts))][::-1]


def holm(p_values: list[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the order given: below α, the family errs with at most α."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted.tolist()


def robust_sd(values: np.ndarray) -> float:
    """Standard deviation by the median absolute deviation: no single value moves it far."""
    return float(MAD_TO_SD * np.median(np.abs(values - np.median(values))))

"""Statistics of samples: p values, their correction where many samples are tested at once, and a robust spread.

Which sample is tested, and what follows from it, belongs to the caller.
"""

from __future__ import annotations

import math

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


def normal_p(z: float) -> float:
    """P(Z ≥ z) of a standard normal variable."""
    return math.erfc(z / math.sqrt(2)) / 2


def at_least_p(successes: int, chances: np.ndarray) -> float:
    """P(at least so many of independent events happen), each with its own chance (Poisson binomial)."""
    distribution = np.array([1.0])
    for chance in chances:
        distribution = np.append(distribution * (1 - chance), 0.0) + np.append(0.0, distribution * chance)
    return float(min(1.0, distribution[successes:].sum()))


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

"""A finding as a rule states it, before ids, money and exceptions; and its confidence.

Turning drafts into rows of `fact.findings` belongs to `findings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

# How often a finding whose difference is beyond doubt is right, by the weakest evidence that it rests on: chosen near
# the shares of simulated development fleets; docs/audit-quality.md measures them on others.
GRADE_CONFIDENCE = {"A": 0.99, "B": 0.98, "C": 0.96}
# The same of a trip's km: chords of minutes (grade C) miss roads that simulated fleets do not wind.
TRIP_CONFIDENCE = {**GRADE_CONFIDENCE, "C": 0.6}
# The same of what a device's own readings show (a fall, a jump, a speed, a place), and of what papers say in writing.
DEVICE_CONFIDENCE, WRITTEN_CONFIDENCE = 0.97, 0.99
# At most, of what rests on how many trips there were, where positions are too rare to show a short halt: near the share
# that was true on development fleets (docs/benchmarks.md, How right).
UNSEEN_HALT_CONFIDENCE = 0.4
UNOBSERVED_CONFIDENCE = 0.5  # at most, of what rests on time that nothing observed (D06, D10 and G02)


@dataclass(frozen=True)
class Draft:
    """A finding of a rule.

    Attributes:
        rule_id: rule of the registry.
        plate: vehicle; None when no vehicle is known.
        explanation_pt: one sentence with the numbers, which a carrier can answer.
        confidence: 0 … 1.
        trip_ids: trips that it is about, in order of start; their scores carry it.
        run_ids: declared runs that it is about, the accused one first.
        km_at_stake: None where no kilometre is disputed.
        rate: BRL per km of those; None where none applies.
        km_uncertainty: half-width of km_at_stake by the measurement; None where they are not a measured difference.
        km_below: what km_at_stake can be less beyond that, because the way was not all seen.
        tolerance_km: difference that is tolerated; where the range reaches it, the finding is an indication.
        facts: what else proves it, JSON values, dates and decimals.
        thresholds: parameters that decided, by name.
        context_trip_ids: trips that are shown as evidence but not blamed.
        context_run_ids: likewise runs.
        extra: what distinguishes two findings of one rule about the same trips and runs.
        is_vehicle_day: the row names the vehicle only, its evidence all trips.
        severity: where the rule has several, the one that holds; else the registry's.
        brl_at_stake: where money is at stake that no km explain.
        brl_high: the most that brl_at_stake can be, where several prices are possible.
        brl_paid: what was paid of the vehicle or trips in question, more than which cannot be at stake.
        is_in_favour: what was declared or measured is too low, so the BRL count for the carrier.
        exception_id: exception that covers the km that it adds up, where none covers the finding itself.
        unit_code: whom it concerns where no vehicle names it.
        carrier_code: whom it concerns where that is not the vehicle's last carrier, or no vehicle names it.
    """

    rule_id: str
    plate: str | None
    explanation_pt: str
    confidence: float
    trip_ids: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    km_at_stake: Decimal | None = None
    rate: Decimal | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    context_trip_ids: tuple[str, ...] = ()
    context_run_ids: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    is_vehicle_day: bool = False
    severity: str | None = None
    brl_at_stake: Decimal | None = None
    brl_high: Decimal | None = None
    brl_paid: Decimal | None = None
    is_in_favour: bool = False
    exception_id: str | None = None
    unit_code: str | None = None
    carrier_code: str | None = None
    km_uncertainty: float | None = None
    km_below: float = 0.0
    tolerance_km: float | None = None

    @property
    def is_indication(self) -> bool:
        """Whether the measurement's uncertainty reaches from the difference to its tolerance."""
        if self.km_at_stake is None or self.km_uncertainty is None or self.tolerance_km is None:
            return False
        return float(self.km_at_stake) - self.km_uncertainty - self.km_below <= self.tolerance_km


def grade_confidence(trips: Iterable[Mapping[str, Any]]) -> float:
    """That of the weakest trip; without one that of evidence of grade C."""
    return min((TRIP_CONFIDENCE[trip["evidence_grade"]] for trip in trips), default=GRADE_CONFIDENCE["C"])


def uncertainty_km(trips: Iterable[Mapping[str, Any]]) -> float:
    """Sum of the trips' stated half-widths, km; a trip that states none adds nothing."""
    stated = (trip["km_uncertainty"] for trip in trips)
    return sum(float(half_width) for half_width in stated if not pd.isna(half_width))


def beyond_doubt(difference_km: float, tolerance_km: float, uncertainty: float, below: float = 0.0) -> float:
    """P(the true difference is above the tolerance): 0.5 at the tolerance, 1 where the half-width excludes it.

    Every error within the half-width `uncertainty` (km), and within `below` (km) more downwards, counts as equally
    likely, which accuses no more surely than the errors of simulated development fleets allow (docs/benchmarks.md, How
    right). A normal variable with 1.96 standard deviations to the half-width states too much near the tolerance, and
    too little where the range excludes it.
    """
    margin_km, half_km = difference_km - below / 2 - tolerance_km, uncertainty + below / 2
    if half_km <= 0:
        return 1.0 if margin_km >= 0 else 0.0
    return min(max((1 + margin_km / half_km) / 2, 0.0), 1.0)

"""Samples that a statistical rule tested, which of them are significant among all, and their findings.

Every rule states its sample, test, effect size and the correction for the vehicles tested with it, and none alone is a
reason not to pay. The tests are in the modules of their rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.primitives.statistics import holm

SHOWN = 40  # runs or trips in the evidence


@dataclass(frozen=True)
class TestedSample:
    """A tested sample: whose it is, its p value, and what the finding states of it."""

    plate: str
    p: float
    facts: dict[str, Any]
    run_ids: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def significant(samples: list[TestedSample], alpha: float) -> list[TestedSample]:
    """Samples whose p value, adjusted for all of them, is below alpha; the adjustment is stated in their facts."""
    adjusted = holm([sample.p for sample in samples])
    return [
        replace(
            sample,
            facts={**sample.facts, "p": sample.p, "p_adjusted": p, "correction": "Holm", "tests": len(samples)},
        )
        for sample, p in zip(samples, adjusted, strict=True)
        if p < alpha
    ]


def sample_draft(rule_id: str, sample: TestedSample, sentence: str) -> Draft:
    """The finding of a sample: no km and no amount, only what the test shows."""
    return Draft(
        rule_id,
        sample.plate,
        sentence,
        GRADE_CONFIDENCE["C"],  # own: a habit is an indication, as weak as such evidence
        facts=sample.facts,
        context_run_ids=sample.run_ids,
        extra=sample.extra,
    )


def per_declaring_plate(context: AuditCycle, sizes: pd.Series) -> pd.Series:
    """Sizes by plate with 0 for every vehicle of the cycle's runs that has none."""
    return sizes.reindex(sorted(set(context.runs["plate"])), fill_value=0)

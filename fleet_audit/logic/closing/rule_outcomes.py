"""Outcomes of contests per rule: how many findings stood, and how far that share may be from the true one.

Which contests there are is read elsewhere. Findings that nobody contested are in no share.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from fleet_audit.logic.primitives.statistics import share_interval


@dataclass(frozen=True)
class RuleOutcome:
    """Contests of one rule's findings; percentages are null without a decided one."""

    rule_id: str
    contests: int
    upheld: int
    reversed: int
    upheld_pct: float | None
    low_pct: float | None
    high_pct: float | None

    @property
    def open(self) -> int:
        """Contests that are not decided yet."""
        return self.contests - self.upheld - self.reversed


def rule_outcome(rule_id: str, contests: int, upheld: int, reversed_count: int) -> RuleOutcome:
    """The outcome of one rule from its counts, with the 95 % interval of the share that stood."""
    decided = upheld + reversed_count
    low, high = wilson_interval(upheld, decided)
    share = 100 * upheld / decided if decided else None
    return RuleOutcome(rule_id, contests, upheld, reversed_count, share, low, high)


def rule_outcomes(contests: pd.DataFrame) -> list[RuleOutcome]:
    """One outcome per rule, by rule.

    Args:
        contests: rule_id and status (contested, upheld, reversed) of each contest.
    """
    counts = contests.groupby(["rule_id", "status"]).size().unstack("status", fill_value=0)
    counts = counts.reindex(columns=["contested", "upheld", "reversed"], fill_value=0).sort_index()
    return [
        rule_outcome(str(row.Index), int(row.contested + row.upheld + row.reversed), int(row.upheld), int(row.reversed))
        for row in counts.itertuples()
    ]


def wilson_interval(successes: int, trials: int) -> tuple[float | None, float | None]:
    """Both ends of `share_interval` in per cent; None without a trial."""
    if not trials:
        return None, None
    low, high = share_interval(successes, trials)
    return 100 * low, 100 * high

"""Outcomes of contests per rule: counts, the share that stood and its interval."""

from __future__ import annotations

import pandas as pd
import pytest

from fleet_audit.logic.closing.rule_outcomes import rule_outcomes, wilson_interval


@pytest.mark.parametrize(
    ("upheld", "decided", "low", "high"),
    [(8, 10, 49.02, 94.33), (0, 10, 0.0, 27.75), (10, 10, 72.25, 100.0), (1, 1, 20.65, 100.0)],
)
def test_the_interval_is_wilsons_as_published_tables_have_it(upheld, decided, low, high) -> None:
    assert wilson_interval(upheld, decided) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


def test_open_contests_are_in_no_share() -> None:
    rows = [("D06", "contested"), ("D06", "upheld"), ("D06", "upheld"), ("D06", "reversed"), ("D01", "contested")]
    first, second = rule_outcomes(pd.DataFrame(rows, columns=["rule_id", "status"]))
    assert (first.rule_id, first.open, first.upheld_pct, first.low_pct) == ("D01", 1, None, None)
    assert (second.contests, second.open, second.upheld, second.reversed) == (4, 1, 2, 1)
    assert second.upheld_pct == pytest.approx(66.667, abs=0.001)

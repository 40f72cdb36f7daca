"""Rules that were not tested on a day or in a cycle because data are missing, and why.

A rule that lacks its data has not passed: it is listed here, and it finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.rule import Rule


def rules_not_tested(context: Any, rules: Mapping[str, Rule]) -> pd.DataFrame:
    """rule_id, source, reason_pt of each rule whose needs the day or cycle does not meet, in order of rule_id.

    Args:
        context: `AuditDay` or `AuditCycle`.
        rules: the rules of its scope, by number.
    """
    rows = [
        {"rule_id": rule.rule_id, "source": rule.sources, "reason_pt": "; ".join(reasons)}
        for rule in rules.values()
        if (reasons := rule.missing(context))
    ]
    return pd.DataFrame(rows, columns=["rule_id", "source", "reason_pt"])

"""Rules that were not tested on a day or in a cycle because data are missing, and why.

A rule that lacks its data has not passed: it is listed here, and it finds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.schema.frames import RulesNotTestedFrame

_COLUMNS = ["operational_date", "rule_id", "scope", "source", "reason_pt"]


def rules_not_tested(context: Any, rules: Mapping[str, Rule]) -> RulesNotTestedFrame:
    """One row per rule whose needs the day or cycle does not meet, in order of rule_id; without the trace columns.

    A rule that lacks a source of one carrier, or enough runs of some vehicles, is listed, too; it is tested for the
    others.

    Args:
        context: `AuditDay` or `AuditCycle`.
        rules: the rules of its scope, by number.
    """
    rows = []
    for rule in rules.values():
        reasons = [*rule.missing(context), *rule.partly_missing(context)]
        if reasons:
            rows.append((context.day, rule.rule_id, rule.scope, rule.sources, "; ".join(reasons)))
    return pd.DataFrame(rows, columns=_COLUMNS)

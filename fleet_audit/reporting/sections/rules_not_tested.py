"""Rules that were not tested in a cycle or on a day, each with the reason: a rule that lacks its data has not passed.

Which rules lack their data is decided in `logic.audit.not_tested`.
"""

from __future__ import annotations

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, grid_of
from fleet_audit.reporting.labels import rule_title
from fleet_audit.reporting.sections.inputs import Frames, records

FIELDS = (
    Field("rule_id", "Regra", width=7),
    Field("title", "Título", width=36),
    Field("scope", "Avalia", width=8),
    Field("reason_pt", "Por que não foi testada", width=70),
    Field("days", "Dias", width=34),
)
DAY_FIELDS = (
    Field("reason_pt", "Por que não foram testadas", width=70),
    Field("rules", "Regras", width=90),
)
NOTE = "Regra não testada não quer dizer regra cumprida: faltou o dado de que ela precisa."
_SCOPES = {"day": "dia", "cycle": "ciclo"}
_NAMED_DAYS = 3  # more are counted


def rules_not_tested_grid(frames: Frames) -> Grid:
    """One row per rule and reason, with its days."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in records(frames.rules_not_tested.sort_values(["rule_id", "scope", "operational_date"])):
        key = (row["rule_id"], row["scope"], row["reason_pt"])
        groups.setdefault(key, []).append(locale.day(row["operational_date"]))
    return grid_of(
        FIELDS,
        [
            {
                "rule_id": rule_id,
                "title": rule_title(rule_id),
                "scope": _SCOPES[scope],
                "reason_pt": reason,
                "days": "o ciclo" if scope == "cycle" else _words(days),
            }
            for (rule_id, scope, reason), days in groups.items()
        ],
    )


def day_rules_not_tested_grid(frames: Frames) -> Grid:
    """One row per reason with the rules of one day that it holds back, the reason of most rules first."""
    rules: dict[str, list[str]] = {}
    for row in records(frames.rules_not_tested.sort_values("rule_id")):
        rules.setdefault(row["reason_pt"], []).append(f"{row['rule_id']} {rule_title(row['rule_id'])}")
    by_number = sorted(rules.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return grid_of(DAY_FIELDS, [{"reason_pt": reason, "rules": "; ".join(names)} for reason, names in by_number])


def _words(days: list[str]) -> str:
    """`10/06/2025, 11/06/2025`, or of more than three their number, first and last."""
    if len(days) <= _NAMED_DAYS:
        return ", ".join(days)
    return f"{len(days)} dias, de {days[0]} a {days[-1]}"

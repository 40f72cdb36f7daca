"""Outcomes of contests per rule: a table for the monthly report, so that a rule that is often wrong is seen.

Shares and intervals are computed in `logic.closing.rule_outcomes`.
"""

from __future__ import annotations

from decimal import Decimal

from fleet_audit.logic.closing.rule_outcomes import rule_outcomes
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import rule_title
from fleet_audit.reporting.sections.inputs import Frames

FIELDS = (
    Field("rule", "Regra", width=44),
    Field("contests", "Contestações", Kind.INTEGER, 12),
    Field("open", "Em aberto", Kind.INTEGER, 10),
    Field("upheld", "Mantidos", Kind.INTEGER, 10),
    Field("reversed", "Revertidos", Kind.INTEGER, 10),
    Field("upheld_pct", "Mantidos (%)", Kind.PERCENT, 10),
    Field("low_pct", "De (%)", Kind.PERCENT, 8),
    Field("high_pct", "Até (%)", Kind.PERCENT, 8),
)
NOTE = (
    "Contestações de todos os ciclos até hoje. Mantidos (%): parte dos achados decididos que continuam valendo; de e "
    "até limitam essa parte com 95 % de confiança (Wilson). Com poucas decisões o intervalo é largo, e a parte "
    "diz pouco da regra. Achados que ninguém contestou não entram."
)


def rule_outcomes_grid(frames: Frames) -> Grid:
    """One row per rule with a contest, by rule, and the counts of all."""
    found = rule_outcomes(frames.contest_outcomes)
    rows = [
        {
            "rule": f"{one.rule_id} {rule_title(one.rule_id)}",
            **{name: getattr(one, name) for name in _COUNTS},
            **{name: _rounded(getattr(one, name)) for name in ("upheld_pct", "low_pct", "high_pct")},
        }
        for one in found
    ]
    total = {"rule": "Total", **{name: sum(getattr(one, name) for one in found) for name in _COUNTS}}
    return grid_of(FIELDS, rows, total if rows else None)


_COUNTS = ("contests", "open", "upheld", "reversed")


def _rounded(value: float | None) -> Decimal | None:
    return None if value is None else half_up(value)

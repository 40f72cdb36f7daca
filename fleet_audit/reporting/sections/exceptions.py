"""Approved exceptions of a cycle: what each covers, why, who approved it, and the findings that it marked.

Whether an exception covers a finding is decided in `logic.audit.findings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet_audit.logic.primitives.cycles import Cycle, as_days
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import rule_title
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("exception_id", "Exceção", width=12),
    Field("rule", "Regra", width=36),
    Field("scope", "Vale para", width=36),
    Field("date_from", "De", Kind.DATE, 11),
    Field("date_to", "Até", Kind.DATE, 11),
    Field("reason", "Motivo", width=40),
    Field("approved_by", "Aprovada por", width=20),
    Field("findings", "Achados marcados", Kind.INTEGER, 10),
)
NOTE = "Um achado com exceção continua na lista de achados, sem pontos no score e sem valor em dúvida, glosa ou retido."
_EVERY_RULE, _EVERYONE = "todas as regras", "todos"


def exceptions_grid(frames: Frames, cycle: Cycle) -> Grid:
    """One row per exception that is valid on a day of the cycle or marked a finding of it, by first day and id.

    An exception whose row is gone from the reference table keeps its id and its findings.
    """
    marked = frames.findings["exception_id"].dropna().astype("str").value_counts().to_dict()
    known = frames.exceptions
    starts, ends = as_days(known["date_from"]), as_days(known["date_to"])
    first, last = as_days(cycle.start), as_days(cycle.end)
    is_valid = ~(starts > last) & ~(ends < first)  # NaT compares as false: an open side bounds nothing
    chosen = known[is_valid | known["exception_id"].isin(list(marked)).to_numpy(dtype=bool)]
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    ordered = records(chosen.sort_values(["date_from", "exception_id"]))
    rows = [{**row, **_words(row, units, carriers)} for row in ordered]
    rows += [{"exception_id": name} for name in sorted(set(marked) - set(known["exception_id"]))]
    return grid_of(FIELDS, [{**row, "findings": marked.get(row["exception_id"], 0)} for row in rows])


def _words(row: dict[str, Any], units: Mapping[str, str], carriers: Mapping[str, str]) -> dict[str, str]:
    """Rule and scope of an exception in words."""
    parts = (
        ("placa", row["plate"]),
        ("transportadora", carriers.get(row["carrier_code"], row["carrier_code"])),
        ("unidade", units.get(row["unit_code"], row["unit_code"])),
        ("rota", row["route_code"]),
    )
    rule = row["rule_id"]
    return {
        "rule": _EVERY_RULE if rule is None else f"{rule} {rule_title(rule)}",
        "scope": ", ".join(f"{label} {value}" for label, value in parts if value is not None) or _EVERYONE,
    }

"""Lists that every report may have beside the trips: findings, held runs, coverage; and the tables of figures.

Order, columns and words of those lists belong here; the choice of lists and days does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.reporting.document_model import Field, Folded, Grid, Kind, grid_of
from fleet_audit.reporting.labels import (
    AMOUNTS,
    COVERAGE,
    FINDING_STATUSES,
    HELD_REASONS,
    SEVERITIES,
    SEVERITY_RANK,
    rule_title,
)
from fleet_audit.reporting.locale import counted
from fleet_audit.reporting.sections.figures import Figures
from fleet_audit.reporting.sections.incidents import money_by_root
from fleet_audit.reporting.sections.inputs import Frames, names_of, records, with_vehicle

_DATE = Field("operational_date", "Data", Kind.DATE, 11)
_PLATE = Field("plate", "Placa", width=10)
_UNIT = Field("unit", "Unidade", width=18)
_CARRIER = Field("carrier", "Transportadora", width=20)

_MOST_ALIKE = 5  # findings without R$ of one rule and carrier that have a row each on a page
AMOUNT_FIELDS = (
    Field("paid_doubtful_brl", "Em dúvida (R$)", Kind.BRL, 11),
    Field("disallowed_brl", "Glosa (R$)", Kind.BRL, 11),
    Field("held_brl", "Retido (R$)", Kind.BRL, 11),
    Field("in_favour_brl", "A favor (R$)", Kind.BRL, 11),
)
FINDING_FIELDS = (
    Field("severity", "Severidade", width=12),
    Field("rule_id", "Regra", width=7),
    Field("title", "Achado", width=30),
    _PLATE,
    Field("explanation_pt", "Explicação", width=60),  # what a carrier answers: never beyond the edge of the screen
    Field("km_at_stake", "Km", Kind.KM, 10),
    Field("amount_name", "Tipo de valor", width=14),
    Field("brl_at_stake", "Valor (R$)", Kind.BRL, 11),
    Field("confidence_pct", "Confiança (%)", Kind.INTEGER, 10),
    _DATE,
    _UNIT,
    _CARRIER,
    Field("status", "Situação", width=11),
    Field("rule_version", "Versão da regra", width=14, in_print=False),
    Field("trip_id", "Viagem", width=18, in_print=False),
    Field("declared_run_id", "Corrida declarada", width=18, in_print=False),
    Field("finding_id", "Achado (id)", width=18, in_print=False),
    Field("root_finding_id", "Achado raiz (id)", width=18, in_print=False),
    Field("evidence", "Evidência", width=60, in_print=False),
)
ANSWER = Field("answer", "Resposta da transportadora", width=34)
# A carrier's own copy: the id to cite first, no column that says only who it is, and room for its answer.
ANSWER_FIELDS = (
    Field("finding_id", "Achado (id)", width=18),
    _DATE,
    _PLATE,
    Field("rule_id", "Regra", width=7),
    Field("severity", "Severidade", width=10),
    Field("explanation_pt", "Explicação", width=60),
    Field("km_at_stake", "Km", Kind.KM, 9),
    Field("amount_name", "Tipo de valor", width=13),
    Field("brl_at_stake", "Valor (R$)", Kind.BRL, 10),
    Field("status", "Situação", width=10),
    ANSWER,
    *(entry for entry in FINDING_FIELDS if not entry.in_print and entry.name != "finding_id"),
)
HELD_FIELDS = (
    _DATE,
    _PLATE,
    _UNIT,
    _CARRIER,
    Field("bulletin_number", "Nº da ata", width=12),
    Field("origin_text", "Local de saída", width=24),
    Field("destination_text", "Local de chegada", width=24),
    Field("declared_km", "Km declarado", Kind.KM, 11, is_summed=True),
    Field("brl_at_rate", "R$ pela tarifa", Kind.BRL, 12, is_summed=True),
    Field("reason", "Motivo", width=30),
    Field("declared_run_id", "Corrida declarada", width=18, in_print=False),
)
COVERAGE_FIELDS = (
    _DATE,
    Field("status", "Cobertura", width=11),
    _PLATE,
    Field("fleet_number", "Frota", width=9),
    _UNIT,
    _CARRIER,
    Field("observed_h", "Horas vistas", Kind.HOURS, 8),
    Field("positions", "Posições", Kind.INTEGER, 9),
    Field("visit_legs", "Trechos do relatório", Kind.INTEGER, 10),
    Field("odometer_delta_km", "Hodômetro (km)", Kind.KM, 11, is_summed=True),
    Field("service_km", "Serviço (km)", Kind.KM, 10, is_summed=True),
    Field("deadhead_km", "Vazio (km)", Kind.KM, 9, is_summed=True),
    Field("maintenance_km", "Manut. (km)", Kind.KM, 9, is_summed=True),
    Field("yard_km", "Pátio (km)", Kind.KM, 9, is_summed=True),
    Field("unknown_km", "Sem final. (km)", Kind.KM, 9, is_summed=True),
    Field("gap_km", "Lacuna (km)", Kind.KM, 9, is_summed=True),
    Field("residual_km", "Resíduo (km)", Kind.KM_DIFFERENCE, 9, is_summed=True),
    Field("balanced", "Fecha?", width=8),
)


def findings_grid(frames: Frames) -> Grid:
    """Findings ranked: open ones first, by the R$ of their incident, its root first, then by severity and R$.

    One whose contest was decided as reversed is marked where the frames have outcomes of contests; its R$ stay.
    """
    return grid_of(FINDING_FIELDS, _ranked_findings(frames))


def short_findings_grid(frames: Frames, findings: Grid, *, by_vehicle: bool = False) -> Grid:
    """The findings with one row for more than five of one rule and carrier without R$, where the first of them stands.

    One carrier's bulletins with the wrong date filled 22 rows of a day. Findings of an incident with R$ keep theirs,
    or, `by_vehicle`, have one row for more than five of one rule and vehicle: one without a tariff filled 28 of 50.
    """
    names = [entry.name for entry in findings.fields]
    rows = [dict(zip(names, row, strict=True)) for row in findings.rows]
    paid = {root for root, brl in money_by_root(frames.incidents).items() if brl}
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for number, row in enumerate(rows):
        is_paid = bool(row["brl_at_stake"] or paid & {row["finding_id"], row["root_finding_id"]})
        own = (row["plate"] if by_vehicle else number) if is_paid else None
        key = (row["severity"], row["rule_id"], row["carrier"], row["status"], is_paid, own)
        alike.setdefault(key, []).append(row)
    shown = [found for same in alike.values() for found in ([_group(same)] if len(same) > _MOST_ALIKE else same)]
    order = {row["finding_id"]: number for number, row in enumerate(rows)}
    return grid_of(findings.fields, sorted(shown, key=lambda row: order[row["finding_id"]]))


def _group(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row for several findings: the values that they share, sums of km, and each sentence as a further line."""
    shared = {name: value for name, value in rows[0].items() if all(row[name] == value for row in rows)}
    plates, units = ({row[name] for row in rows} for name in ("plate", "unit"))
    sentence = f"{len(rows)} achados iguais; o primeiro{', de ' if rows[0]['plate'] else ': '}{_named(rows[0])}"
    return {
        "plate": counted(len(plates), "veículo", "veículos"),
        "unit": counted(len(units), "unidade", "unidades"),
        **shared,
        "finding_id": rows[0]["finding_id"],
        "km_at_stake": known_sum(row["km_at_stake"] for row in rows),
        "brl_at_stake": known_sum(row["brl_at_stake"] for row in rows),
        "confidence_pct": min(row["confidence_pct"] for row in rows),
        "explanation_pt": Folded(sentence, map(_named, rows)),
    }


def _named(row: dict[str, Any]) -> str:
    """The sentence of a finding after its plate; one about a fleet or a table has none."""
    return f"{row['plate']}: {row['explanation_pt']}" if row["plate"] else row["explanation_pt"]


def answer_grid(frames: Frames) -> Grid:
    """The same findings with their ids first and an empty column for the carrier's answer."""
    return grid_of(ANSWER_FIELDS, [{**row, ANSWER.name: ""} for row in _ranked_findings(frames)])


def _ranked_findings(frames: Frames) -> list[dict[str, Any]]:
    outcomes, found = frames.contest_outcomes, frames.findings
    is_reversed = found["finding_id"].isin(outcomes.loc[outcomes["status"] == "reversed", "finding_id"])
    found = found.assign(status=found["status"].mask(is_reversed, "reversed"))
    brl_of = money_by_root(frames.incidents)
    roots = found["root_finding_id"].astype(object).where(found["root_finding_id"].notna(), found["finding_id"])
    ranked = found.assign(
        is_closed=found["status"] != "open",
        incident=[float(brl_of.get(root, 0)) for root in roots],
        root=[root if brl_of.get(root) else "" for root in roots],
        is_member=[
            bool(brl_of.get(root)) and root != own for root, own in zip(roots, found["finding_id"], strict=True)
        ],
        rank=found["severity"].map(SEVERITY_RANK),
        brl=found["brl_at_stake"].fillna(Decimal(-1)),
        km=found["km_at_stake"].fillna(Decimal(-1)),
    ).sort_values(
        ["is_closed", "incident", "root", "is_member", "rank", "brl", "km", "finding_id"],
        ascending=[True, False, True, True, True, False, False, True],
        kind="stable",
    )
    rows = _with_names(records(ranked), frames)
    for row in rows:
        row["severity"], row["title"] = SEVERITIES[row["severity"]], rule_title(row["rule_id"])
        row["status"], row["amount_name"] = FINDING_STATUSES[row["status"]], AMOUNTS.get(row["amount"])
        row["confidence_pct"] = Decimal(str(round(row["confidence"] * 100, 6)))
    return rows


def held_grid(frames: Frames) -> Grid:
    """Declared runs that no trip is linked to, the most expensive first, with their sums."""
    runs = frames.declared_runs.set_index("declared_run_id")[["bulletin_number", "origin_text", "destination_text"]]
    held = with_vehicle(frames.held_runs, frames.vehicles, ["unit_code"]).join(runs, on="declared_run_id")
    held = held.assign(order=held["brl_at_rate"].fillna(Decimal(-1))).sort_values(
        ["order", "plate", "declared_run_id"], ascending=[False, True, True], kind="stable"
    )
    rows = _with_names(records(held), frames)
    for row in rows:
        row["reason"] = HELD_REASONS[row["reason"]]
    total = {
        "plate": "Total",
        "declared_km": known_sum(row["declared_km"] for row in rows),
        "brl_at_rate": known_sum(row["brl_at_rate"] for row in rows),
    }
    return grid_of(HELD_FIELDS, rows, total if rows else None)


def coverage_grid(frames: Frames) -> Grid:
    """Vehicle-days, the silent first: coverage of each, and its odometer km by purpose."""
    key = ["operational_date", "plate"]
    seen = frames.coverage.merge(frames.km_ledger.drop(columns=["unit_code", "carrier_code"]), on=key, how="left")
    seen = with_vehicle(seen, frames.vehicles, ["fleet_number"])
    seen = seen.assign(order=seen["status"].map({"silent": 0, "partial": 1, "complete": 2})).sort_values(
        ["order", "operational_date", "plate"], kind="stable"
    )
    rows = _with_names(records(seen), frames)
    for row in rows:
        row["status"] = COVERAGE[row["status"]]
        row["observed_h"] = None if row["observed_h"] is None else Decimal(str(row["observed_h"]))
        row["balanced"] = {True: "sim", False: "não", None: None}[row["is_balanced"]]
    return grid_of(COVERAGE_FIELDS, rows)


def figures_grid(
    label: str,
    names: Mapping[str, str],
    unnamed: str,
    by: Mapping[Any, Figures],
    total: Figures,
    fields: tuple[Field, ...],
    *,
    more: Mapping[Any, Mapping[str, Any]] | None = None,
    largest_first: bool = True,
    name_width: int = 24,
) -> Grid:
    """A table of figures, one row per name, by total cost, with the figures of everything as its total row.

    `more` gives further values of a key, for fields that are not figures. A key without a name is shown itself.
    """
    extra = more or {}
    rows = [
        {"name": names.get(key, key) or unnamed, **extra.get(key, {}), **figures.record()}
        for key, figures in by.items()
    ]
    if largest_first:
        rows.sort(key=lambda row: (-(row["total_brl"] or Decimal(-1)), row["name"]))
    return grid_of((Field("name", label, width=name_width), *fields), rows, {"name": "Total", **total.record()})


def _with_names(rows: list[dict[str, Any]], frames: Frames) -> list[dict[str, Any]]:
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    for row in rows:
        row["unit"] = units.get(row["unit_code"], row["unit_code"])
        row["carrier"] = carriers.get(row["carrier_code"], row["carrier_code"])
    return rows


def severity_counts(findings: pd.DataFrame) -> dict[str, int]:
    """Open findings by severity code, every code present."""
    open_ones = findings.loc[findings["status"] == "open", "severity"]
    return {code: int((open_ones == code).sum()) for code in SEVERITIES}

"""The dossier of one finding: the sentence, what proves it, the movement, the rows as received, the tariff clause.

All its inputs are arguments; the caller reads the stores and redacts other carriers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Document, Field, Grid, Kind, Section, grid_of
from fleet_audit.reporting.drawing.track import Track, odometer_chart, track_map
from fleet_audit.reporting.labels import COST_STATUSES, FINDING_STATUSES, SEVERITIES, rule_title
from fleet_audit.reporting.layout import Layout
from fleet_audit.reporting.sections.evidence import FIELDS as EVIDENCE_FIELDS
from fleet_audit.reporting.sections.evidence import evidence_rows
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.sheets.terms import FIELDS as TERMS_FIELDS
from fleet_audit.reporting.sections.sheets.terms import contract_rows, parameter_rows, tariff_rows

_FACT_FIELDS = (Field("name", "Item", width=22), Field("value", "Conteúdo", width=120))
_RECEIVED_FIELDS = (
    Field("file_name", "Fonte", width=34),
    Field("row_number", "Linha", Kind.INTEGER, 7),
    Field("text", "Como recebido", width=120),
)
_PRICE_FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("tariff_id", "Tarifa", width=26),
    Field("billable_km", "Km admitidos", Kind.KM, 11),
    Field("rate_brl_per_km", "R$/km", Kind.RATE, 9),
    Field("variable_cost_brl", "Custo (R$)", Kind.BRL, 11),
    Field("status", "Situação", width=16),
    Field("cost_reason", "Motivo", width=60),
)
_NO_POSITIONS = "Nenhuma posição do veículo neste período: não há o que desenhar."


@dataclass(frozen=True)
class Case:
    """A finding and the rows about it.

    `finding` is its row with unit and carrier as names, `evidence` its parsed evidence; `received` are rows as the
    sources sent them (file_name, row_number, text); `prices` are the costs of its trips (trip_id, tariff_id,
    billable_km, rate_brl_per_km, variable_cost_brl, cost_status, cost_reason); `terms` hold the contracts and tariffs
    that apply; `parameters` are rows of `ops.parameter_versions`.
    """

    finding: Mapping[str, Any]
    evidence: Mapping[str, Any]
    track: Track
    received: Sequence[Mapping[str, Any]]
    prices: Sequence[Mapping[str, Any]]
    terms: Frames
    parameters: pd.DataFrame


def build_dossier(case: Case, *, generated_at: dt.datetime, layout: Layout) -> Document:
    """The document of one finding, for print."""
    finding = case.finding
    # the finding's id and rule stand above
    evidence = grid_of(EVIDENCE_FIELDS[2:], evidence_rows(case.evidence, case.track.zone))
    day = finding["operational_date"]
    clause = [*contract_rows(case.terms, Cycle(day, day)), *tariff_rows(case.terms, Cycle(day, day))]
    sections = (
        Section("finding", "O achado", grid_of(_FACT_FIELDS, _facts(case))),
        _picture("map", "Mapa", track_map(case.track)),
        _picture("odometer", "Hodômetro e GPS", odometer_chart(case.track)),
        Section("evidence", "Corridas, viagens e trechos", evidence, empty="O achado não cita corrida nem viagem."),
        Section("received", "Linhas como recebidas", grid_of(_RECEIVED_FIELDS, [dict(row) for row in case.received]),
                note="Do arquivo guardado; nomes de motoristas são trocados pelo pseudônimo.",
                empty="A evidência não cita linha de arquivo."),
        Section("prices", "Preço das viagens", grid_of(_PRICE_FIELDS, _prices(case)), empty="Nenhuma viagem."),
        Section("clause", "Contrato e tarifa", _terms(clause), empty="Nenhum contrato vigente cobre o veículo no dia."),
        Section("parameters", "Parâmetros", _terms(list(parameter_rows(case.parameters))),
                note="Todos os números com que o achado foi calculado.", empty="Versão sem registro."),
    )  # fmt: skip
    return Document(
        f"Dossiê do achado {finding['finding_id']}",
        f"{finding['rule_id']} · {finding['plate'] or 'sem placa'} · {locale.day(day)}",
        generated_at,
        _cards(case),
        (),
        sections,
        stamp=FINDING_STATUSES[finding["status"]].upper(),
        company=layout.company,
        logo=layout.logo,
        last_data_at=generated_at,
    )


def _picture(key: str, title: str, picture: str | None) -> Section:
    """The picture, or a sentence on why it is missing."""
    nothing = None if picture else grid_of(_FACT_FIELDS, [])
    return Section(key, title, nothing, pictures=(picture,) if picture else (), empty=_NO_POSITIONS)


def _cards(case: Case) -> tuple[Card, ...]:
    finding, evidence = case.finding, case.evidence
    known = {name: _decimal(evidence.get(name)) for name in ("declared_km", "measured_km", "moved_km")}
    return (
        Card("Km em disputa", finding["km_at_stake"], Kind.KM, rule_title(finding["rule_id"])),
        Card("Valor (R$)", finding["brl_at_stake"], Kind.BRL, "pela tarifa que se aplica"),
        Card("Km declarados", _first(known["declared_km"], _total(evidence, "declared_runs", "declared_km")), Kind.KM),
        Card(
            "Km medidos",
            _first(known["measured_km"], known["moved_km"], _total(evidence, "trips", "km_measured")),
            Kind.KM,
        ),
    )


def _first(*values: Decimal | None) -> Decimal | None:
    return next((value for value in values if value is not None), None)


def _facts(case: Case) -> list[dict[str, str | None]]:
    finding, evidence = case.finding, case.evidence
    thresholds = "; ".join(
        f"{name} = {locale.plain(Decimal(str(value)))}" for name, value in evidence.get("thresholds", {}).items()
    )
    facts = {
        "Afirmação": finding["explanation_pt"],
        "O que a regra prova": evidence.get("proves"),
        "Regra": f"{finding['rule_id']} {rule_title(finding['rule_id'])}, versão {finding['rule_version']}, "
        f"severidade {SEVERITIES[finding['severity']].lower()}",
        "Confiança": f"{locale.number(Decimal(str(finding['confidence'])) * 100, 0)} %",
        "Veículo": finding["plate"],
        "Transportadora": finding["carrier"],
        "Unidade": finding["unit"],
        "Dia": locale.day(finding["operational_date"]),
        "Viagem": finding["trip_id"],
        "Corrida declarada": finding["declared_run_id"],
        "Exceção": finding["exception_id"],
        "Limites usados": thresholds,
        "Versão dos parâmetros": evidence.get("parameters_version"),
        "Execução": finding["run_id"],
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _prices(case: Case) -> list[dict[str, Any]]:
    return [{**price, "status": COST_STATUSES[price["cost_status"]]} for price in case.prices]


def _terms(rows: list[tuple[str, str, str, str]]) -> Grid:
    names = [entry.name for entry in TERMS_FIELDS]
    return grid_of(TERMS_FIELDS, [dict(zip(names, row, strict=True)) for row in rows])


def _total(evidence: Mapping[str, Any], rows: str, name: str) -> Decimal | None:
    known = [Decimal(str(row[name])) for row in evidence.get(rows, ()) if row.get(name) is not None]
    return sum(known, Decimal(0)) if known else None


def _decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))

"""The dossier of one finding or trip: the sentence, what proves it, the movement, the rows as received, the clause.

All its inputs are arguments; the caller reads the stores and redacts other carriers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Document, Field, Grid, Kind, Section, grid_of
from fleet_audit.reporting.documents.case import (
    DOCUMENTED_PLACES,
    Case,
    clause_rows,
    documented_places_words,
    measured_words,
    parameter_value,
)
from fleet_audit.reporting.drawing.odometer_chart import odometer_chart
from fleet_audit.reporting.drawing.track import Track
from fleet_audit.reporting.drawing.track_map import track_map
from fleet_audit.reporting.labels import (
    AMOUNTS,
    COST_STATUSES,
    FINDING_STATUSES,
    PURPOSES,
    SEVERITIES,
    amount_basis,
    rule_title,
)
from fleet_audit.reporting.layout import Layout
from fleet_audit.reporting.parameter_labels import parameter_label
from fleet_audit.reporting.sections.evidence import FIELDS as EVIDENCE_FIELDS
from fleet_audit.reporting.sections.evidence import evidence_rows
from fleet_audit.reporting.sections.proof.legs import legs_grid
from fleet_audit.reporting.sections.proof.odometer_readings import readings_grid
from fleet_audit.reporting.sections.proof.positions import LONGEST_S, positions_grid
from fleet_audit.reporting.sections.proof.vehicle_cycle import VehicleCycle
from fleet_audit.reporting.sections.sheets.terms import FIELDS as TERMS_FIELDS

_FACT_FIELDS = (Field("name", "Item", width=22), Field("value", "Conteúdo", width=120))
_RECEIVED_FIELDS = (
    Field("file_name", "Fonte", width=34),
    Field("row_number", "Linha", Kind.INTEGER, 7),
    Field("text", "Como recebido", width=120),
)
_PRICE_FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("contract_id", "Contrato", width=18),
    Field("tariff_id", "Tarifa", width=22),
    Field("billable_km", "Km admitidos", Kind.KM, 11),
    Field("rate_brl_per_km", "R$/km", Kind.RATE, 9),
    Field("variable_cost_brl", "Custo (R$)", Kind.BRL, 11),
    Field("status", "Situação", width=16),
    Field("cost_reason", "Motivo", width=50),
)
_PARAMETER_FIELDS = (Field("label", "Parâmetro", width=80), Field("value", "Valor", width=20))
_FINDING_FIELDS = (
    Field("finding_id", "Achado (id)", width=18),
    Field("rule", "Regra", width=34),
    Field("explanation_pt", "Explicação", width=90),
)
_NO_POSITIONS = "Nenhuma posição do veículo neste período: não há o que desenhar."
_TOO_LONG = "O período é de vários dias; o dossiê de cada viagem (fleet-audit dossier --trip) mostra as suas posições."


def build_dossier(case: Case, *, generated_at: dt.datetime, layout: Layout) -> Document:
    """The document of one finding or trip, for print."""
    title, subtitle, stamp = _headings(case)
    return Document(
        title,
        subtitle,
        generated_at,
        _cards(case),
        (),
        _sections(case),
        stamp=stamp,
        company=layout.company,
        logo=layout.logo,
        last_data_at=generated_at,
    )


def _sections(case: Case) -> tuple[Section, ...]:
    track = case.track
    # the finding's id and rule stand above
    evidence = grid_of(EVIDENCE_FIELDS[2:], evidence_rows(case.evidence, track.zone, case.places))
    spans = tuple(track.spans)
    is_long = sum((span.ended_at - span.started_at).total_seconds() for span in spans) > LONGEST_S
    positions, note = positions_grid(track.points, () if is_long else spans, track.zone)
    subject = (
        Section("finding", "O achado", grid_of(_FACT_FIELDS, _finding_facts(case, case.finding)))
        if case.finding
        else Section("trip", "A viagem", grid_of(_FACT_FIELDS, _trip_facts(case)))
    )
    findings = Section(
        "findings", "Achados da viagem", grid_of(_FINDING_FIELDS, [_finding_line(row) for row in case.findings]),
        empty="Nenhum achado cita esta viagem.",
    )  # fmt: skip
    if case.vehicle_cycle and not case.evidence.get("trips") and not case.evidence.get("declared_runs"):
        return (subject, *_cycle_sections(case.vehicle_cycle), *_term_sections(case))
    return (
        subject,
        *(_cycle_sections(case.vehicle_cycle) if case.vehicle_cycle else ()),
        Section("readings", "Leituras do hodômetro" + (" que provam" if case.finding else ""),
                readings_grid(case.evidence, track.points, track.zone),
                empty="Nenhuma leitura de hodômetro no período em questão."),
        _movement(track),
        *(() if case.finding else (findings,)),
        Section("evidence", "Corridas, viagens e trechos", evidence, empty="O achado não cita corrida nem viagem."),
        Section("legs", "Trechos medidos", legs_grid(case.legs, track.points, track.zone),
                empty="Nenhum trecho medido."),
        Section("positions", "Posições do período em questão", positions, note="" if is_long else note,
                empty=_TOO_LONG if is_long else "Nenhuma posição do veículo no período em questão."),
        Section("received", "Linhas como recebidas", grid_of(_RECEIVED_FIELDS, [dict(row) for row in case.received]),
                note="Do arquivo guardado; nomes de motoristas são trocados pelo pseudônimo.",
                empty="A evidência não cita linha de arquivo."),
        Section("prices", "Preço das viagens", grid_of(_PRICE_FIELDS, _prices(case)), empty="Nenhuma viagem."),
        *_term_sections(case),
    )  # fmt: skip


def _term_sections(case: Case) -> tuple[Section, ...]:
    """The clause and the parameters that decided."""
    parameters = [{"label": parameter_label(name), "value": parameter_value(value, unit)}
                  for name, value, unit in case.parameters]  # fmt: skip
    return (
        Section("clause", "Contrato e tarifa", _terms(clause_rows(case)),
                empty="Nenhum contrato vigente cobre o veículo no dia."),
        Section("parameters", "Parâmetros usados", grid_of(_PARAMETER_FIELDS, parameters),
                empty="A regra não usa parâmetros."),
    )  # fmt: skip


def _cycle_sections(vehicle: VehicleCycle) -> tuple[Section, ...]:
    """What a rule over a whole cycle judged: the plan's rows, each day that was run, each trip."""
    cycle, days = vehicle.cycle, len(vehicle.days.rows)
    note = (
        f"Ciclo de {locale.day(cycle.start)} a {locale.day(cycle.end)}: "
        f"{locale.counted(days, 'dia processado', 'dias processados')} de {cycle.length}. Uma célula “–” é um valor "
        "desconhecido, nunca zero."
    )
    return (
        Section("cycle_plan", "Plano do ciclo e o que foi feito", vehicle.plan,
                empty="Nenhum plano de km para o veículo neste ciclo."),
        Section("cycle_days", "Dias do ciclo", vehicle.days, pictures=(vehicle.chart,) if vehicle.chart else (),
                note=note, empty="Nenhum dia do veículo foi processado neste ciclo."),
        Section("cycle_trips", "Viagens do ciclo", vehicle.trips, is_listing=True,
                note="O dossiê de cada viagem (fleet-audit dossier --trip) mostra as suas posições.",
                empty="Nenhuma viagem medida neste ciclo."),
    )  # fmt: skip


def _headings(case: Case) -> tuple[str, str, str | None]:
    day, plate = locale.day(case.day), case.plate or "sem placa"
    if case.finding:
        finding = case.finding
        return (
            f"Dossiê do achado {finding['finding_id']}",
            f"{finding['rule_id']} · {plate} · {day}",
            FINDING_STATUSES[finding["status"]].upper(),
        )
    return f"Dossiê da viagem {case.trip['trip_id']}", f"{plate} · {day}", None


def _movement(track: Track) -> Section:
    """Map and chart side by side, or a sentence on why they are missing."""
    pictures = tuple(picture for picture in (track_map(track), odometer_chart(track)) if picture is not None)
    nothing = None if pictures else grid_of(_FACT_FIELDS, [])
    return Section("movement", "Movimento do veículo", nothing, pictures=pictures, empty=_NO_POSITIONS)


def _cards(case: Case) -> tuple[Card, ...]:
    evidence = case.evidence
    known = {name: _decimal(evidence.get(name)) for name in ("declared_km", "measured_km", "moved_km")}
    declared = Card(
        "Km declarados", _first(known["declared_km"], _total(evidence, "declared_runs", "declared_km")), Kind.KM
    )
    measured = Card(
        "Km medidos",
        _first(known["measured_km"], known["moved_km"], _total(evidence, "trips", "km_measured")),
        Kind.KM,
    )
    if case.finding is None:
        priced = [row for row in case.prices if row["variable_cost_brl"] is not None]
        cost = sum((row["variable_cost_brl"] for row in priced), Decimal(0)) if priced else None
        admitted = sum((row["billable_km"] for row in priced), Decimal(0)) if priced else None
        return (
            measured,
            declared,
            Card("Km admitidos", admitted, Kind.KM),
            Card("Custo variável (R$)", cost, Kind.BRL, "pela tarifa que se aplica"),
        )
    stake, brl = (case.finding[name] for name in ("km_at_stake", "brl_at_stake"))
    at_stake = (
        Card("Km em disputa", stake, Kind.KM, rule_title(case.finding["rule_id"])),
        Card("Valor (R$)", brl, Kind.BRL, _amount_note(case.finding)),
    )
    return (
        *(() if stake is None and brl is None else at_stake),
        *((declared, measured) if declared.value is not None or measured.value is not None else ()),
    )


def _amount_note(finding: Mapping[str, Any]) -> str:
    amount = AMOUNTS.get(finding.get("amount") or "")
    if not amount:
        return "a regra não tem valor em R$"
    return f"{amount.lower()}, {amount_basis(finding['rule_id'], finding.get('cycle_start'))}"


def _first(*values: Decimal | None) -> Decimal | None:
    return next((value for value in values if value is not None), None)


def _finding_facts(case: Case, finding: Mapping[str, Any]) -> list[dict[str, str | None]]:
    facts = {
        "Afirmação": finding["explanation_pt"],
        "O que a regra prova": case.evidence.get("proves"),
        "Regra": f"{finding['rule_id']} {rule_title(finding['rule_id'])}, versão {finding['rule_version']}, "
        f"severidade {SEVERITIES[finding['severity']].lower()}",
        "Confiança": f"{locale.number(Decimal(str(finding['confidence'])) * 100, 0)} %",
        "Veículo": finding["plate"],
        "Transportadora": case.carrier,
        "Unidade": case.unit,
        "Dia": locale.day(finding["operational_date"]),
        "Viagem": finding["trip_id"],
        "Corrida declarada": finding["declared_run_id"],
        "Exceção": finding["exception_id"],
        "Versão dos parâmetros": case.evidence.get("parameters_version"),
        "Execução": finding["run_id"],
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _trip_facts(case: Case) -> list[dict[str, str | None]]:
    trip, zone = case.trip, case.track.zone
    start, end = (dt.datetime.fromisoformat(trip[name]) for name in ("started_at", "ended_at"))
    facts = {
        "Veículo": case.plate,
        "Transportadora": case.carrier,
        "Unidade": case.unit,
        "Saída e chegada": f"{locale.instant(start, zone)} a {locale.instant(end, zone)}",
        "De / para": f"{_place(case, 'origin_poi_id')} → {_place(case, 'destination_poi_id')}",
        DOCUMENTED_PLACES: documented_places_words(trip),
        "Finalidade": PURPOSES.get(trip["purpose"], trip["purpose"]),
        "Km medidos": measured_words(trip),
        "Grau de evidência": trip.get("evidence_grade"),
        "Cobertura": _percent(trip.get("coverage_pct")),
        "Equipamento": trip.get("device_id"),
        "Motorista": trip.get("driver_id"),
        "Rota": trip.get("route_code"),
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _finding_line(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "rule": f"{row['rule_id']} {rule_title(row['rule_id'])}"}


def _place(case: Case, name: str) -> str:
    code = case.trip.get(name)
    return case.places.get(code, code) if code else "local não cadastrado"


def _percent(value: Any) -> str | None:
    return None if value is None else f"{locale.number(Decimal(str(value)), 0)} %"


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

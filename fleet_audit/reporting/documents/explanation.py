"""The chain R$ → km → legs → positions → clause of a finding, a trip or a billing line, as plain text in Portuguese.

The rows are those of a dossier's case; reading them belongs to `dossiers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.documents.case import (
    DOCUMENTED_PLACES,
    Case,
    clause_rows,
    documented_places_words,
    measured_words,
    parameter_value,
)
from fleet_audit.reporting.drawing.track import Track
from fleet_audit.reporting.labels import (
    AMOUNTS,
    AREAS,
    COST_STATUSES,
    FINDING_STATUSES,
    LINE_STATUSES,
    PURPOSES,
    SEVERITIES,
    VEHICLE_CLASSES,
    rule_title,
)
from fleet_audit.reporting.parameter_labels import parameter_label
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.proof.legs import positions_in
from fleet_audit.reporting.sections.proof.odometer_readings import local_second, readings_grid
from fleet_audit.reporting.sections.proof.vehicle_cycle import VehicleCycle
from fleet_audit.reporting.sections.sheets.terms import contract_rows, tariff_rows

_UNKNOWN = "desconhecido"


@dataclass(frozen=True)
class BillingLine:
    """A line of the measurement package and what it sums.

    `line` is a row of `fact.billing_lines`; `trips` are its paid trips with their cost (columns of both facts),
    `legs` the number of legs by trip_id; `terms` hold the contract and the tariffs that priced it.
    """

    line: Mapping[str, Any]
    cycle: Cycle
    trips: Sequence[Mapping[str, Any]] = ()
    legs: Mapping[str, int] = field(default_factory=dict)
    zone: str = Track.zone
    terms: Frames = field(default_factory=Frames)


def explain_case(case: Case) -> str:
    """The chain of a finding or trip, one fact per line."""
    cycle = case.vehicle_cycle
    names_rows = bool(case.evidence.get("trips") or case.evidence.get("declared_runs"))
    lines = [
        *(_finding(case, case.finding) if case.finding else _trip_heading(case)),
        *(_cycle(cycle) if cycle else ()),
        *((*_money(case), *_kilometres(case), *_movement(case)) if names_rows or cycle is None else ()),
        *_clauses(clause_rows(case)),
        *_parameters(case),
        *_sources(case),
    ]
    return "\n".join(lines) + "\n"


def explain_line(billed: BillingLine) -> str:
    """The chain of a billing line: its sums, each paid trip with its km and tariff, and the clause."""
    line = billed.line
    lines = [
        f"Linha de medição {line['billing_line_id']}",
        f"  Ciclo {locale.day(billed.cycle.start)} a {locale.day(billed.cycle.end)}, veículo {line['plate']}, "
        f"{AREAS[line['area']]}, {VEHICLE_CLASSES.get(line['vehicle_class'], 'tipo desconhecido')}",
        "Valor",
        f"  Total: {_brl(line['total_brl'])} = variável {_brl(line['variable_brl'])} + fixo {_brl(line['fixed_brl'])}",
    ]
    if line["fixed_brl"] is not None:
        lines.append(
            f"  Fixo: {_brl(line['monthly_brl'])} por mês × {line['fixed_days']} de {billed.cycle.length} dias"
        )
    lines.append("Quilômetros")
    if line["km"] is None or not billed.trips:
        lines.append(f"  Nenhum km faturado: {LINE_STATUSES[line['line_status']]}.")
    else:
        lines.append(f"  {_km(line['km'])} admitidos × {_rate(line['rate_brl_per_km'])}, a soma de "
                     f"{locale.counted(len(billed.trips), 'viagem', 'viagens')} arredondadas uma a uma:")  # fmt: skip
        lines += [f"  {_billed_trip(trip, billed)}" for trip in billed.trips]
        lines.append("  Cada viagem em detalhe: fleet-audit explain VIAGEM")
    terms = (*contract_rows(billed.terms, billed.cycle), *tariff_rows(billed.terms, billed.cycle))
    return "\n".join([*lines, *_clauses(list(terms))]) + "\n"


def _billed_trip(trip: Mapping[str, Any], billed: BillingLine) -> str:
    start = trip["started_at"].to_pydatetime() if hasattr(trip["started_at"], "to_pydatetime") else trip["started_at"]
    legs = billed.legs.get(trip["trip_id"], 0)
    return (
        f"{trip['trip_id']}  {locale.instant(start, billed.zone)}  {_km(trip['billable_km'])} "
        f"({PURPOSES[trip['purpose']]}, {locale.counted(legs, 'trecho', 'trechos')}) × "
        f"{_rate(trip['rate_brl_per_km'])} = {_brl(trip['variable_cost_brl'])}  tarifa {trip['tariff_id']}"
    )


def _finding(case: Case, finding: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Achado {finding['finding_id']}: {finding['rule_id']} {rule_title(finding['rule_id'])}, severidade "
        f"{SEVERITIES[finding['severity']].lower()}, {FINDING_STATUSES[finding['status']].lower()}"
    )
    yield f"  {finding['explanation_pt']}"
    yield f"  Veículo {case.plate or 'desconhecido'}, {case.carrier or 'sem transportadora'}, {locale.day(case.day)}"
    yield "Valor"
    amount = AMOUNTS.get(finding.get("amount") or "")
    if amount is None:
        yield "  Esta regra não tem valor em R$."
    elif finding["brl_at_stake"] is None and finding["km_at_stake"] is None:
        yield f"  Nenhum valor em disputa ({amount.lower()}): nenhum km pago depende deste achado."
    else:
        stake = finding["km_at_stake"]
        of_km = "" if stake is None else f", por {_km(stake)} em disputa"
        yield f"  {_brl(finding['brl_at_stake'])}{_range(finding)}: {amount.lower()}{of_km}"


def _range(finding: Mapping[str, Any]) -> str:
    """Both ends of the amount by the measurement's uncertainty; empty where it is one value."""
    low, high = finding.get("brl_low"), finding.get("brl_high")
    return "" if low == high else f" (entre {_brl(low)} e {_brl(high)}, pela incerteza da medição)"


def _trip_heading(case: Case) -> Iterator[str]:
    trip = case.trip
    yield f"Viagem {trip['trip_id']}, {PURPOSES.get(trip['purpose'], trip['purpose'])}, veículo {case.plate}"
    yield f"  {case.carrier or 'sem transportadora'}, {case.unit or 'sem unidade'}, {locale.day(case.day)}"
    yield from (f"  Achado {row['finding_id']} ({row['rule_id']}): {row['explanation_pt']}" for row in case.findings)
    yield "Valor"


def _money(case: Case) -> Iterator[str]:
    """How each trip was paid, or why not."""
    for price in case.prices:
        if price["variable_cost_brl"] is not None and price["rate_brl_per_km"] is not None:
            yield (
                f"  Viagem {price['trip_id']}: {_km(price['billable_km'])} admitidos × "
                f"{_rate(price['rate_brl_per_km'])} = {_brl(price['variable_cost_brl'])} (tarifa {price['tariff_id']})"
            )
        else:
            reason = f": {price['cost_reason']}" if price["cost_reason"] else ""
            yield f"  Viagem {price['trip_id']}: {COST_STATUSES[price['cost_status']]}{reason}"
    if not case.prices:
        yield "  Nenhuma viagem paga está ligada a este caso."


def _cycle(vehicle: VehicleCycle) -> Iterator[str]:
    """The plan's rows, each day of the cycle, their sums, and the ids of the trips."""
    plan, days = vehicle.plan, vehicle.days
    yield f"Ciclo de {locale.day(vehicle.cycle.start)} a {locale.day(vehicle.cycle.end)}"
    for route, weekdays, planned, made, planned_km, km in plan.rows:
        weekday = f", dias da semana {weekdays}" if weekdays else ""
        yield (
            f"  Plano, {route}{weekday}: {_UNKNOWN if planned is None else planned} viagens e {_km(planned_km)} "
            f"planejados; {locale.counted(made, 'viagem', 'viagens')} de serviço, {_km(km)}"
        )
    if not plan.rows:
        yield "  Nenhum plano de km para o veículo."
    for row in days.rows if days.total is None else (*days.rows, days.total):
        day = dict(zip((entry.name for entry in days.fields), row, strict=True))
        trips = day["service_trips"]
        yield (
            f"  {day['day'] if isinstance(day['day'], str) else locale.day(day['day'])}: "
            f"{_UNKNOWN if trips is None else locale.counted(trips, 'viagem', 'viagens')} de serviço, "
            f"{_km(day['service_km'])} em serviço, {_km(day['deadhead_km'])} vazio, "
            f"{_km(day['declared_km'])} declarados"
        )
    yield from (f"  Viagem {trip_id}" for trip_id in vehicle.trips.column("trip_id"))


def _kilometres(case: Case) -> Iterator[str]:
    yield "Quilômetros"
    for run in case.evidence.get("declared_runs", ()):
        yield (
            f"  Declarados: {_km(run.get('declared_km'))}, ata {run.get('bulletin_number') or 'sem número'}, "
            f"{run.get('file_name') or 'arquivo desconhecido'}, linha {run.get('row_number')}"
        )
    for trip in case.evidence.get("trips", ()):
        yield f"  Medidos: {measured_words(trip)}, viagem {trip['trip_id']}, grau {trip.get('evidence_grade')}"
        if sides := documented_places_words(trip):
            yield f"  {DOCUMENTED_PLACES} (as coordenadas são arredondadas): {sides}, viagem {trip['trip_id']}"
    readings = readings_grid(case.evidence, case.track.points, case.track.zone)
    for what, at, reading, *_ in readings.rows:
        yield f"  Hodômetro, {what}, {at or 'sem horário'}: {_km(reading)}"
    if not (readings.rows or case.evidence.get("declared_runs") or case.evidence.get("trips")):
        yield "  O caso não cita corrida, viagem nem leitura."


def _movement(case: Case) -> Iterator[str]:
    zone, points = case.track.zone, case.track.points
    yield "Trechos"
    for leg in sorted(case.legs, key=lambda leg: (leg["started_at"], leg["leg_id"])):
        km = next((leg[name] for name in ("km_odometer", "km_gps", "km_reported") if leg[name] is not None), None)
        count = (
            locale.counted(positions_in(leg, points), "posição", "posições")
            if leg["source"] == "positions"
            else "do relatório de visita"
        )
        yield (
            f"  {local_second(leg['started_at'], zone)} a {local_second(leg['ended_at'], zone)}: "
            f"{leg['origin'] or '?'} → {leg['destination'] or '?'}, {_km(km)}, {count}"
        )
    if not case.legs:
        yield "  Nenhum trecho medido."
    yield "Posições"
    if points.empty:
        yield "  Nenhuma posição do veículo no período em questão."
        return
    first, last, rejected = points.iloc[0], points.iloc[-1], int(points["is_rejected"].sum())
    yield (
        f"  {locale.counted(len(points), 'posição', 'posições')} entre {local_second(first['recorded_at'], zone)} e "
        f"{local_second(last['recorded_at'], zone)} (30 minutos antes e depois incluídos), "
        f"{locale.counted(rejected, 'recusada', 'recusadas')}; equipamento "
        f"{', '.join(sorted(points['device_id'].unique()))}"
    )


def _clauses(rows: Sequence[tuple[str, str, str, str]]) -> Iterator[str]:
    yield "Cláusula"
    for group, name, value, detail in rows:
        yield f"  {group} {name}: {'; '.join(part for part in (value, detail) if part)}"
    if not rows:
        yield "  Nenhum contrato vigente cobre o veículo no dia."


def _parameters(case: Case) -> Iterator[str]:
    if case.parameters:
        yield "Parâmetros usados"
    for name, value, unit in case.parameters:
        yield f"  {parameter_label(name)}: {parameter_value(value, unit)}"


def _sources(case: Case) -> Iterator[str]:
    if case.received:
        yield "Como recebido"
    for row in case.received:
        yield f"  {row['file_name']}, linha {row['row_number']}: {row['text'] or 'o arquivo guardado não a contém'}"


def _km(value: Any) -> str:
    return _UNKNOWN if value is None else f"{locale.number(Decimal(str(value)))} km"


def _brl(value: Decimal | None) -> str:
    return _UNKNOWN if value is None else locale.money(value)


def _rate(value: Decimal | None) -> str:
    return _UNKNOWN if value is None else f"R$ {locale.rate(value)}/km"

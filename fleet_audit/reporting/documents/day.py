"""The D-1 report of one operational day, from frames to a document that every format draws.

Content and order are decided here; the modules of `formats` write the bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Document, Field, Grid, Kind, Section
from fleet_audit.reporting.drawing.coverage_matrix import coverage_matrix
from fleet_audit.reporting.drawing.figure_charts import charts_of, cost_chart, divergence_chart, plan_chart
from fleet_audit.reporting.labels import NO_CARRIER, NO_UNIT
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.sections.comparison import comparison_grid, comparison_note
from fleet_audit.reporting.sections.divergences import NOTE as DIVERGENCES_NOTE
from fleet_audit.reporting.sections.divergences import divergence_maps
from fleet_audit.reporting.sections.figures import Figures, figures_by, figures_of, plan_source, sources_of
from fleet_audit.reporting.sections.freshness import missing_note, sources_grid
from fleet_audit.reporting.sections.headline import headline
from fleet_audit.reporting.sections.incidents import INCIDENTS_NOTE, highlights, incidents_grid, short_incidents_grid
from fleet_audit.reporting.sections.inputs import Frames, names_of
from fleet_audit.reporting.sections.listings import (
    AMOUNT_FIELDS,
    coverage_grid,
    figures_grid,
    findings_grid,
    held_grid,
    short_findings_grid,
)
from fleet_audit.reporting.sections.rules_not_tested import NOTE as NOT_TESTED_NOTE
from fleet_audit.reporting.sections.rules_not_tested import day_rules_not_tested_grid
from fleet_audit.reporting.sections.trip_lines import FIELDS, STACKED, trip_lines, trips_grid

MATRIX_DAYS = 14
CLOSING_DAY = 16  # the default of FLEET_CLOSING_DAY
_MATRIX_VEHICLES = 25  # those with least coverage first; more would not fit a page
FIGURE_FIELDS = (
    Field("seen", "Vistos", Kind.INTEGER, 8),
    Field("silent", "Sem dado", Kind.INTEGER, 9),
    Field("trips", "Viagens", Kind.INTEGER, 8),
    Field("planned_km", "Km planejados", Kind.KM, 11),
    Field("km", "Km medidos", Kind.KM, 11),
    Field("service_km", "Km de serviço", Kind.KM, 11),
    Field("declared_km", "Km declarados", Kind.KM, 11),
    Field("variable_brl", "Variável (R$)", Kind.BRL, 12),
    Field("fixed_brl", "Fixo (R$)", Kind.BRL, 12),
    Field("total_brl", "Total (R$)", Kind.BRL, 13),
    Field("brl_per_km", "R$/km", Kind.BRL, 8),
    Field("exceeding", "Diverg.", Kind.INTEGER, 8),
    Field("over_km", "Km a mais", Kind.KM, 11, in_print=False),
    Field("under_km", "Km a menos", Kind.KM, 11, in_print=False),
    *AMOUNT_FIELDS,
    Field("score", "Score", Kind.SCORE, 7),
)
NOTES = (
    f"“{locale.NO_DATA}” ou célula vazia quer dizer desconhecido, nunca zero. Um veículo silencioso pode ter rodado.",
    "Pago e em dúvida, glosa, retido e a favor da transportadora são quatro valores diferentes e nunca se somam. "
    "Nenhum deles conta o mesmo quilômetro duas vezes: das regras que veem a mesma viagem ou corrida vale a de maior "
    "soma, e de cada veículo-dia vale o maior entre a soma das viagens e as regras do dia inteiro. Não incluem "
    "achados com exceção aprovada, sem tarifa conhecida ou do ciclo inteiro.",
    "Km planejados do dia: o plano do ciclo, repartido por igual entre os dias em que cada rota roda. "
    "Km declarados por unidade e transportadora incluem as corridas retidas. Na lista de viagens, o declarado de um "
    "grupo de várias viagens é repartido pelos km medidos. Diferença = declarado − medido.",
    "A viagem pertence ao dia local em que começa; saída e chegada estão no horário da unidade. Em Flags: regras que "
    "tocam a viagem (entre parênteses, com exceção), finalidade quando não é serviço e o motivo de faltar preço. "
    "Motorista é um pseudônimo.",
    "Grau de evidência: A hodômetro e GPS concordam, cobertura de 80 % ou mais e pontas em local conhecido; B falta "
    "uma dessas provas; C faltam mais, ou só há relatório de visita.",
)


@dataclass(frozen=True)
class DayReport:
    """D-1 of one day: its figures, its trip list (the contract's 22 columns) and the document to draw."""

    operational_date: dt.date
    figures: Figures
    trips: Grid
    document: Document

    @property
    def headline(self) -> tuple[Card, ...]:
        """The headline cards."""
        return self.document.cards


def build_day(
    frames: Frames,
    *,
    operational_date: dt.date,
    generated_at: dt.datetime,
    last_data_at: dt.datetime | None = None,
    carrier_code: str | None = None,
    layout: Layout | None = None,
    closing_day: int = CLOSING_DAY,
    budget: Budget | None = None,
) -> DayReport:
    """The report of one day from the rows of that day, in the company's layout or the standard one.

    `closing_day` is the first day of a cycle, `budget` that of the cycle up to the day, both for the comparison.
    `generated_at` and `last_data_at` (newest position or file that it knows) are UTC instants, printed as given. With
    `carrier_code` it is that carrier's own copy. Raises ValueError when an instant has no time zone, or trips of
    another day are among the frames.
    """
    if carrier_code is not None:
        frames = frames.of_carrier(carrier_code)
    _check_day(frames, operational_date)
    layout = layout or load_layout()
    lines = trip_lines(frames)
    cycle = cycle_of(operational_date, closing_day)
    sources = [
        *sources_of(frames, lines, frames.vehicle_day_amounts),
        plan_source(frames, cycle, [operational_date]),
    ]
    figures, trips = figures_of(sources), trips_grid(lines, layout.arranged("d1", "trips", FIELDS))
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    by_unit = figures_grid("Unidade", units, NO_UNIT, figures_by(sources, "unit_code"), figures, FIGURE_FIELDS)
    by_carrier = figures_grid(
        "Transportadora", carriers, NO_CARRIER, figures_by(sources, "carrier_code"), figures, FIGURE_FIELDS
    )
    charts = charts_of(
        cost_chart("Gasto por unidade (R$)", by_unit),
        plan_chart("Km de serviço por unidade", by_unit),
        divergence_chart("Divergência acima da tolerância (km)", by_carrier),
    )
    sections = (
        Section(
            "comparison",
            "Comparação",
            comparison_grid(frames, figures, operational_date, cycle, budget),
            note=comparison_note(frames, operational_date, cycle, budget),
            empty="Nenhum dia anterior processado.",
        ),
        Section("units", "Por unidade", by_unit, empty="Sem dado."),
        Section("carriers", "Por transportadora", by_carrier, empty="Sem dado."),
        *_evidence_sections(frames),
        *_source_sections(frames, carrier_code),
        *_listing_sections(frames, trips, operational_date),
    )
    document = Document(
        layout.title("d1"),
        _subtitle(operational_date, carriers, carrier_code),
        generated_at,
        headline(figures, frames.findings, spent="Gasto do dia"),
        charts,
        sections,
        NOTES,
        last_data_at,
        _empty_stamp(figures),
        layout.company,
        layout.logo,
        highlights(frames),
    )
    return DayReport(operational_date, figures, trips, document)


def _source_sections(frames: Frames, carrier_code: str | None) -> tuple[Section, ...]:
    """Which sources arrived and, for the whole fleet, which rules could not be tested."""
    return (
        Section(
            "sources",
            "Fontes e atualização",
            sources_grid(frames.sources),
            note=missing_note(frames),
            empty="Sem registro de fontes.",
        ),
        *(
            ()
            if carrier_code is not None  # a reason may name another carrier's file
            else (
                Section(
                    "not_tested",
                    "Regras não testadas",
                    day_rules_not_tested_grid(frames),
                    note=NOT_TESTED_NOTE,
                    empty="Todas as regras do dia foram testadas.",
                ),
            )
        ),
    )


def _evidence_sections(frames: Frames) -> tuple[Section, ...]:
    """Maps, incidents, findings and held runs: what disagrees and what could not be verified."""
    findings = findings_grid(frames)
    return (
        Section(
            "map",
            "Mapas das divergências",
            pictures=divergence_maps(frames, frames.positions),
            note=DIVERGENCES_NOTE,
        ),
        Section(
            "incidents",
            "Incidentes",
            incidents_grid(frames),
            sheet="Incidentes",
            print_rows=40,
            short_grid=short_incidents_grid(frames),
            note=INCIDENTS_NOTE,
            empty="Nenhum incidente com valor neste dia.",
        ),
        Section(
            "findings",
            "Achados",
            findings,
            sheet="Achados",
            is_listing=True,
            print_rows=60,
            short_grid=short_findings_grid(frames, findings),
            empty="Nenhum achado neste dia.",
        ),
        Section(
            "held",
            "Corridas retidas",
            held_grid(frames),
            sheet="Retidas",
            print_rows=40,
            note="Declaradas, sem viagem que as comprove: nem pagas, nem recusadas.",
            empty="Nenhuma corrida retida.",
        ),
    )


def _listing_sections(frames: Frames, trips: Grid, day: dt.date) -> tuple[Section, ...]:
    """Every trip and every vehicle."""
    return (
        Section(
            "trips",
            "Viagens",
            trips,
            sheet="Viagens",
            is_listing=True,
            stacked=STACKED,
            empty="Nenhuma viagem neste dia.",
        ),
        Section(
            "coverage",
            "Veículos e cobertura",
            coverage_grid(frames),
            sheet="Cobertura",
            is_listing=True,
            pictures=_matrix(frames, day),
            note="Hodômetro do dia = serviço + vazio + manutenção + pátio + sem finalidade + lacuna + resíduo.",
            empty="Sem dado de cobertura.",
        ),
    )


def _check_day(frames: Frames, operational_date: dt.date) -> None:
    for name in ("trips", "findings", "fixed_cost_days", "coverage"):
        others = getattr(frames, name)["operational_date"] != operational_date
        if others.any():
            raise ValueError(f"{int(others.sum())} rows of {name} are not of {operational_date}: pass one day's rows.")


def _matrix(frames: Frames, day: dt.date) -> tuple[str, ...]:
    days = [day - dt.timedelta(days=back) for back in reversed(range(MATRIX_DAYS))]
    coverage = pd.concat([frames.recent_coverage, frames.coverage]).drop_duplicates(["operational_date", "plate"])
    matrix = coverage_matrix(coverage, days, most_vehicles=_MATRIX_VEHICLES)
    return (matrix,) if matrix else ()


def _subtitle(day: dt.date, carriers: Mapping[str, str], carrier_code: str | None) -> str:
    words = locale.day_in_words(day)
    return words if carrier_code is None else f"{words} · cópia de {carriers.get(carrier_code, carrier_code)}"


def _empty_stamp(figures: Figures) -> str | None:
    if figures.trips:
        return None
    return "NENHUMA VIAGEM NESTE DIA" if figures.seen else "SEM DADO NESTE DIA"

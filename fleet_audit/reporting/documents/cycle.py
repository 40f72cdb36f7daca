"""The monthly report of one measurement cycle, from frames to a document that every format draws.

Cards, charts and order are decided here, the tables in `cycle_sections`; close and forecast are computed before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Document, Kind
from fleet_audit.reporting.documents.cycle_sections import (
    GROUP_FIELDS,
    day_grid,
    detail_sections,
    overview_sections,
    review_sections,
    score_section,
)
from fleet_audit.reporting.drawing.figure_charts import charts_of, cost_chart, daily_chart, km_chart
from fleet_audit.reporting.labels import AMOUNTS, CYCLE_AMOUNT_NOTES, NO_CARRIER, NO_UNIT, UNPRICED_RULES
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.cycle_progress import cycle_words
from fleet_audit.reporting.sections.figures import Figures, figures_by, figures_of, percent_of, plan_source, sources_of
from fleet_audit.reporting.sections.forecast_table import FORECAST_NOTE, total_card
from fleet_audit.reporting.sections.headline import headline, unknown_note
from fleet_audit.reporting.sections.incidents import highlights
from fleet_audit.reporting.sections.inputs import Frames, names_of
from fleet_audit.reporting.sections.listings import figures_grid
from fleet_audit.reporting.sections.trip_lines import trip_lines

NOTES = (
    f"“{locale.NO_DATA}” ou célula vazia quer dizer desconhecido, nunca zero.",
    "Pago e em dúvida, glosa, retido e a favor da transportadora são quatro valores diferentes e nunca se somam. "
    "Nenhum deles conta o mesmo quilômetro duas vezes: de cada veículo vale no ciclo o maior entre a soma de seus "
    "dias e as regras do ciclo inteiro; em cada dia, o maior entre a soma das viagens e as regras do dia. Por isso a "
    "soma dos dias pode ser menor que a do ciclo.",
    "Km planejados: a parte do plano dos dias já processados, repartido por igual entre os dias em que cada rota roda.",
    "Km declarados incluem as corridas retidas, que não são pagas nem recusadas. Diferença = declarado − medido.",
    "Score é a média dos scores das viagens, ponderada pelos km.",
)
_FLEET_NOTES = (  # of the whole fleet's report alone: a carrier's copy has neither ranking nor forecast
    "O ranking ordena por score e, no empate, por km.",
    FORECAST_NOTE,
)


@dataclass(frozen=True)
class CycleReport:
    """The monthly report of one cycle: its figures, and the document to draw."""

    cycle: Cycle
    figures: Figures
    document: Document

    @property
    def headline(self) -> tuple[Card, ...]:
        """The headline cards."""
        return self.document.cards


def build_cycle(
    frames: Frames,
    *,
    cycle: Cycle,
    generated_at: dt.datetime,
    closing: Closing | None = None,
    forecast: Forecast | None = None,
    budget: Budget | None = None,
    last_data_at: dt.datetime | None = None,
    carrier_code: str | None = None,
    layout: Layout | None = None,
) -> CycleReport:
    """The report of one cycle from the rows of its days, in the company's layout or the standard one.

    Without a `closing` it is provisional; instants are UTC. With `carrier_code` it is that carrier's own
    copy, without the ranking, which would show the others, and without the forecast, which is the whole fleet's.
    """
    closing, layout = closing or Closing(), layout or load_layout()
    if carrier_code is not None:
        frames, forecast, budget, closing = frames.of_carrier(carrier_code), None, None, closing.of_carrier()
    lines, run_days = trip_lines(frames), frames.run_days
    sources = [*sources_of(frames, lines, frames.vehicle_cycle_amounts), plan_source(frames, cycle, run_days)]
    days = sources_of(frames, lines, frames.vehicle_day_amounts)
    figures = figures_of(sources)
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    unit_grid = figures_grid("Unidade", units, NO_UNIT, figures_by(sources, "unit_code"), figures, GROUP_FIELDS)
    carrier_grid = figures_grid(
        "Transportadora", carriers, NO_CARRIER, figures_by(sources, "carrier_code"), figures, GROUP_FIELDS
    )
    days_grid = day_grid(days)
    sections = (
        *overview_sections(frames, sources, (unit_grid, carrier_grid), closing, (forecast, budget), carrier_code),
        *detail_sections(frames, sources, figures, lines, days_grid, cycle),
        score_section(frames, carrier_code),
        *(() if carrier_code is not None else review_sections(frames)),
    )
    charts = charts_of(
        cost_chart("Gasto por unidade (R$)", unit_grid),
        daily_chart("Gasto por dia (R$)", days_grid),
        km_chart("Km de serviço medidos e km declarados", carrier_grid),
    )
    document = Document(
        layout.title("cycle"),
        _subtitle(cycle_words(cycle, frames), carriers, carrier_code),
        generated_at,
        _cards(figures, frames.findings, forecast, budget, closing),
        charts,
        sections,
        (*NOTES, *(() if carrier_code is not None else _FLEET_NOTES), closing.sentence),
        last_data_at,
        closing.stamp,
        layout.company,
        layout.logo,
        tuple(replace(one, target="#incidents") for one in highlights(frames)),  # the page lists 50 findings alone
        cover=_cover(figures, closing, carriers, carrier_code),
    )
    return CycleReport(cycle, figures, document)


def _cover(
    figures: Figures, closing: Closing, carriers: Mapping[str, str], carrier_code: str | None
) -> tuple[str, ...]:
    """What the document is about, what it costs, and the state of the close, in sentences."""
    whom = carriers.get(carrier_code, carrier_code) if carrier_code else ", ".join(sorted(carriers.values()))
    total = locale.NO_DATA if figures.total_brl is None else locale.money(figures.total_brl)
    km = locale.NO_DATA if figures.km is None else f"{locale.number(figures.km)} km"
    return (
        f"{'Transportadora' if carrier_code or len(carriers) == 1 else 'Transportadoras'}: {whom or locale.NO_DATA}.",
        f"Gasto dos dias processados: {total}. Km medidos: {km}.",
        closing.sentence,
    )


def _cards(
    figures: Figures, findings: pd.DataFrame, forecast: Forecast | None, budget: Budget | None, closing: Closing
) -> tuple[Card, ...]:
    days, silent = figures.vehicle_days or 0, figures.silent or 0
    seen = f"em {locale.counted(days, 'veículo-dia', 'veículos-dia')}; {locale.number(silent, 0)} sem dado"
    label, note = _in_favour_words(findings)
    own = {
        "Veículos vistos": ("Veículos-dia vistos", seen),
        label: (label, note + unknown_note(figures.in_favour_unknown)),
    }
    cards = [
        replace(card, label=own[card.label][0], note=own[card.label][1]) if card.label in own else card
        for card in headline(figures, findings, spent="Gasto do ciclo")
    ]
    cards += [
        Card("Custo por km (R$)", figures.brl_per_km, Kind.BRL, "variável + fixo, por km medido"),
        Card(
            "Km planejados",
            figures.planned_km,
            Kind.KM,
            _plan_note(figures, budget),
        ),
    ]
    if forecast is not None:
        left = locale.counted(forecast.remaining_days, "dia restante", "dias restantes")
        if closing.is_final:  # nothing is left to run
            words = "dia não processado", "dias não processados"
            left = f"inclui {locale.counted(forecast.remaining_days, *words)}"
        cards += [
            Card("Km previstos no ciclo", forecast.km_total, Kind.KM, left),
            Card("Custo variável previsto", forecast.variable_cost_total_brl, Kind.BRL, left),
            *([total_card(forecast, budget)] if budget is not None else []),
        ]
    return tuple(cards)


def _in_favour_words(findings: pd.DataFrame) -> tuple[str, str]:
    """The card's label, and what its amount excludes: the waterfall prices no km without a tariff or contract."""
    is_estimate = findings["rule_id"].isin(UNPRICED_RULES) & (findings["status"] == "open")
    is_estimate &= findings["cycle_start"].isna()
    estimate = known_sum(findings.loc[is_estimate, "in_favour_brl"].dropna())
    of_which = f", estimados em {locale.money(estimate)}" if estimate else ""
    return AMOUNTS["in_favour_brl"], CYCLE_AMOUNT_NOTES["in_favour_brl"] + of_which


def _plan_note(figures: Figures, budget: Budget | None) -> str:
    realised = percent_of(figures.service_km, figures.planned_km)
    if realised is None:
        return "sem plano de km"
    whole = budget.planned_km if budget else None
    of_cycle = f"; {locale.number(whole, 2)} no ciclo inteiro" if whole not in (None, figures.planned_km) else ""
    return f"dos dias processados, {locale.number(realised, 1)} % em serviço{of_cycle}"


def _subtitle(words: str, carriers: Mapping[str, str], carrier_code: str | None) -> str:
    return words if carrier_code is None else f"{words} · cópia de {carriers.get(carrier_code, carrier_code)}"

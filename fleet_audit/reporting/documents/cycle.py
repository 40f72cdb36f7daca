"""The monthly report of one measurement cycle, from frames to a document that every format draws.

Content and order are decided here; the close and the forecast are computed before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Card, Document, Field, Grid, Kind, Section, grid_of
from fleet_audit.reporting.drawing.figure_charts import charts_of, cost_chart, daily_chart, km_chart
from fleet_audit.reporting.labels import NO_CARRIER, NO_ROUTE, NO_UNIT
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.sections.adjustments import adjustments_grid
from fleet_audit.reporting.sections.carrier_ranking import ranking_grid
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.cycle_progress import cycle_words
from fleet_audit.reporting.sections.exceptions import NOTE as EXCEPTIONS_NOTE
from fleet_audit.reporting.sections.exceptions import exceptions_grid
from fleet_audit.reporting.sections.figures import Figures, figures_by, figures_of, percent_of, plan_source, sources_of
from fleet_audit.reporting.sections.forecast_table import FORECAST_NOTE, budget_note, forecast_grid, total_card
from fleet_audit.reporting.sections.headline import headline
from fleet_audit.reporting.sections.incidents import INCIDENTS_NOTE, incidents_grid
from fleet_audit.reporting.sections.inputs import Frames, as_of, names_of, records
from fleet_audit.reporting.sections.listings import AMOUNT_FIELDS, figures_grid, findings_grid, held_grid
from fleet_audit.reporting.sections.rules_not_tested import NOTE as NOT_TESTED_NOTE
from fleet_audit.reporting.sections.rules_not_tested import rules_not_tested_grid
from fleet_audit.reporting.sections.sheets.review_sample import review_sample_grid, review_sample_note
from fleet_audit.reporting.sections.sheets.rule_outcomes import NOTE as RULE_OUTCOMES_NOTE
from fleet_audit.reporting.sections.sheets.rule_outcomes import rule_outcomes_grid
from fleet_audit.reporting.sections.sheets.score_parts import NOTE as SCORE_NOTE
from fleet_audit.reporting.sections.sheets.score_parts import score_parts_grid, vehicle_score_parts_grid
from fleet_audit.reporting.sections.sheets.waterfall import FIELDS as WATERFALL_FIELDS
from fleet_audit.reporting.sections.sheets.waterfall import NOTE, waterfall_grid
from fleet_audit.reporting.sections.trip_lines import FIELDS, trip_lines

_TRIPS = Field("trips", "Viagens", Kind.INTEGER, 8)
_PLANNED_KM = Field("planned_km", "Km planejados", Kind.KM, 12)
_KM = Field("km", "Km medidos", Kind.KM, 12)
_SERVICE_KM = Field("service_km", "Km de serviço", Kind.KM, 12)
_DECLARED_KM = Field("declared_km", "Km declarados", Kind.KM, 12)
_VARIABLE_BRL = Field("variable_brl", "Variável (R$)", Kind.BRL, 13)
_COST = (
    _VARIABLE_BRL,
    Field("fixed_brl", "Fixo (R$)", Kind.BRL, 13),
    Field("total_brl", "Total (R$)", Kind.BRL, 14),
    Field("brl_per_km", "R$/km", Kind.BRL, 8),
)
_SCORE = Field("score", "Score", Kind.SCORE, 7)
_AUDIT = (Field("exceeding", "Diverg.", Kind.INTEGER, 8), *AMOUNT_FIELDS, _SCORE)
GROUP_FIELDS = (_TRIPS, _PLANNED_KM, _KM, _SERVICE_KM, _DECLARED_KM, *_COST, *_AUDIT)
VEHICLE_FIELDS = (
    Field("fleet_number", "Frota", width=9),
    Field("unit", "Unidade", width=18),
    Field("cost_center", "Centro de custo", width=11),
    Field("carrier", "Transportadora", width=20),
    *GROUP_FIELDS,
)
ROUTE_FIELDS = (
    _TRIPS,
    _PLANNED_KM,
    _KM,
    _DECLARED_KM,
    Field("billable_km", "Km admitidos", Kind.KM, 12),
    _VARIABLE_BRL,
    _SCORE,
)
DAY_FIELDS = (
    Field("seen", "Vistos", Kind.INTEGER, 8),
    Field("silent", "Sem dado", Kind.INTEGER, 9),
    _TRIPS,
    _KM,
    _SERVICE_KM,
    _DECLARED_KM,
    *_COST,
    *_AUDIT,
)
_SCORE_NAMES = (
    "operational_date",
    "unit",
    "carrier",
    "plate",
    "started_local",
    "origin",
    "destination",
    "km_measured",
    "difference_km",
    "variable_cost_brl",
    "flags",
    "evidence_grade",
    "compliance_score",
)
_TOP = 50
_DAYS_NOTE = (
    "Os quatro valores de um dia são os dos achados desse dia. No ciclo eles são os da cascata e das regras do ciclo "
    "inteiro: o total do ciclo pode diferir da soma dos dias."
)
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
    lines, run_days = trip_lines(frames), set(frames.coverage["operational_date"])
    sources = [*sources_of(frames, lines, frames.vehicle_cycle_amounts), plan_source(frames, cycle, run_days)]
    days = sources_of(frames, lines, frames.vehicle_day_amounts)
    figures = figures_of(sources)
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    by_carrier = figures_by(sources, "carrier_code")
    unit_grid = figures_grid("Unidade", units, NO_UNIT, figures_by(sources, "unit_code"), figures, GROUP_FIELDS)
    carrier_grid = figures_grid("Transportadora", carriers, NO_CARRIER, by_carrier, figures, GROUP_FIELDS)
    day_grid = _day_grid(days)
    ranking = Section("ranking", "Ranking de transportadoras", ranking_grid(by_carrier, carriers), empty="Sem dado.")
    outlook = Section(
        "forecast",
        "Previsão até o fim do ciclo",
        forecast_grid(forecast, budget),
        note=budget_note(budget),
        empty="Sem previsão.",
    )
    no_lines = closing.no_lines_sentence(frames)
    sections = (
        Section("units", "Por unidade", unit_grid, empty="Sem dado."),
        Section("carriers", "Por transportadora", carrier_grid, empty="Sem dado."),
        Section(
            "waterfall",
            "Do declarado ao faturado",
            grid_of(WATERFALL_FIELDS, []) if no_lines else waterfall_grid(frames),
            sheet="Cascata",
            note=NOTE,
            empty=no_lines or "Sem dado.",
        ),
        *(() if carrier_code is not None else (ranking, outlook)),
        Section(
            "score_parts",
            "Composição do score",
            score_parts_grid(frames, carrier_code),
            sheet="Composição do score",
            note=SCORE_NOTE,
            empty="Nenhuma viagem com score.",
        ),
        *_detail_sections(frames, sources, figures, lines, day_grid, cycle),
        *(() if carrier_code is not None else (_outcomes(frames), _review(frames))),
    )
    charts = charts_of(
        cost_chart("Gasto por unidade (R$)", unit_grid),
        daily_chart("Gasto por dia (R$)", day_grid),
        km_chart("Km de serviço medidos e km declarados", carrier_grid),
    )
    document = Document(
        layout.title("cycle"),
        _subtitle(cycle_words(cycle, frames), carriers, carrier_code),
        generated_at,
        _cards(figures, frames.findings, forecast, budget),
        charts,
        sections,
        (*NOTES, *(() if carrier_code is not None else _FLEET_NOTES), closing.sentence),
        last_data_at,
        closing.stamp,
        layout.company,
        layout.logo,
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


def _detail_sections(
    frames: Frames, sources: list[pa.Table], figures: Figures, lines: pd.DataFrame, day_grid: Grid, cycle: Cycle
) -> tuple[Section, ...]:
    findings = findings_grid(frames)
    of_routes = [*(source for source in sources if "route_code" in source.column_names), _declared_of_routes(lines)]
    routes = figures_grid(
        "Rota",
        names_of(frames.routes, "route_code"),
        NO_ROUTE,
        figures_by(of_routes, "route_code"),
        figures_of(of_routes),
        ROUTE_FIELDS,
        name_width=52,  # two places of 25 letters
    )
    vehicles = figures_grid(
        "Placa", {}, "", figures_by(sources, "plate"), figures, VEHICLE_FIELDS, more=_vehicles(frames, cycle)
    )
    return (
        Section("days", "Dia a dia", day_grid, sheet="Dia a dia", note=_DAYS_NOTE, empty="Sem dado."),
        Section(
            "incidents",
            "Principais incidentes",
            incidents_grid(frames, _TOP),
            sheet="Incidentes",
            note=f"{INCIDENTS_NOTE} Os {_TOP} primeiros.",
            empty="Nenhum incidente com valor neste ciclo.",
        ),
        Section(
            "top",
            "Principais divergências",
            replace(findings, rows=findings.rows[:_TOP]),
            sheet="Divergências",
            note=f"As {_TOP} primeiras; todas estão na aba Achados da planilha.",
            empty="Nenhum achado.",
        ),
        Section(
            "routes",
            "Por rota",
            routes,
            sheet="Por rota",
            note="Km declarados: os das corridas ligadas a viagens da rota; uma corrida retida não tem rota.",
            empty="Sem dado.",
        ),
        Section("vehicles", "Por veículo", vehicles, sheet="Por veículo", is_listing=True, empty="Sem dado."),
        Section(
            "adjustments",
            "Ajustes de ciclos anteriores e de achados revertidos",
            adjustments_grid(frames),
            sheet="Ajustes",
            note="Faturados neste ciclo, além dos valores acima. Diferença vazia aguarda decisão e não é somada.",
            empty="Nenhum ajuste é faturado neste ciclo.",
        ),
        Section(
            "not_tested",
            "Regras não testadas",
            rules_not_tested_grid(frames),
            sheet="Não testadas",
            note=NOT_TESTED_NOTE,
            empty="Todas as regras foram testadas.",
        ),
        Section(
            "exceptions",
            "Exceções",
            exceptions_grid(frames, cycle),
            sheet="Exceções",
            note=EXCEPTIONS_NOTE,
            empty="Nenhuma exceção aprovada vale neste ciclo.",
        ),
        Section("held", "Corridas retidas", held_grid(frames), sheet="Retidas", is_workbook_only=True),
        Section("findings", "Achados", findings, sheet="Achados", is_workbook_only=True),
        Section("scores", "Score por viagem", _scores(lines), sheet="Score por viagem", is_workbook_only=True),
        Section(
            "vehicle_score_parts",
            "Composição do score por veículo",
            vehicle_score_parts_grid(frames),
            sheet="Score por veículo",
            note=SCORE_NOTE,
            is_workbook_only=True,
        ),
    )


def _outcomes(frames: Frames) -> Section:
    return Section(
        "rule_outcomes",
        "Contestações por regra",
        rule_outcomes_grid(frames),
        sheet="Contestações",
        note=RULE_OUTCOMES_NOTE,
        empty="Nenhum achado foi contestado até hoje.",
    )


def _review(frames: Frames) -> Section:
    return Section(
        "review_sample",
        "Amostra para revisão manual",
        review_sample_grid(frames),
        sheet="Amostra",
        note=review_sample_note(frames),
        empty="Nenhuma viagem paga neste ciclo." if len(frames.review_estimates) else "Amostra ainda não sorteada.",
    )


def _declared_of_routes(lines: pd.DataFrame) -> pa.Table:
    """Each trip's share of what was declared for it, by route."""
    return pa.table({name: pa.array(lines[name]) for name in ("route_code", "declared_km")})


def _cards(
    figures: Figures, findings: pd.DataFrame, forecast: Forecast | None, budget: Budget | None
) -> tuple[Card, ...]:
    days, silent = figures.vehicle_days or 0, figures.silent or 0
    seen = f"em {locale.counted(days, 'veículo-dia', 'veículos-dia')}; {locale.number(silent, 0)} sem dado"
    cards = [
        replace(card, label="Veículos-dia vistos", note=seen) if card.label == "Veículos vistos" else card
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
        cards += [
            Card("Km previstos no ciclo", forecast.km_total, Kind.KM, left),
            Card("Custo variável previsto", forecast.variable_cost_total_brl, Kind.BRL, left),
            *([total_card(forecast, budget)] if budget is not None else []),
        ]
    return tuple(cards)


def _plan_note(figures: Figures, budget: Budget | None) -> str:
    realised = percent_of(figures.service_km, figures.planned_km)
    if realised is None:
        return "sem plano de km"
    whole = budget.planned_km if budget else None
    of_cycle = f"; {locale.number(whole, 2)} no ciclo inteiro" if whole not in (None, figures.planned_km) else ""
    return f"dos dias processados, {locale.number(realised, 1)} % em serviço{of_cycle}"


def _day_grid(days: list[pa.Table]) -> Grid:
    grid = figures_grid(
        "Dia", {}, "", figures_by(days, "operational_date"), figures_of(days), DAY_FIELDS, largest_first=False
    )
    return replace(grid, fields=(replace(grid.fields[0], kind=Kind.DATE), *grid.fields[1:]))


def _vehicles(frames: Frames, cycle: Cycle) -> dict[str, dict[str, Any]]:
    """Fleet number, unit, cost centre and carrier of each vehicle, as valid at the end of the cycle or latest."""
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    centers = {row["unit_code"]: row["cost_center"] for row in records(frames.units)}
    latest = frames.vehicles.sort_values(["plate", "valid_from"], na_position="first", kind="stable")
    latest = latest.drop_duplicates("plate", keep="last").reset_index(drop=True)
    columns = ["fleet_number", "unit_code", "carrier_code"]
    days = pd.Series([cycle.end] * len(latest), dtype=frames.vehicles["valid_from"].dtype)
    valid = as_of(latest[["plate"]].assign(operational_date=days), frames.vehicles, "plate", "plate", columns)
    rows = records(latest[["plate"]].join(valid[columns].combine_first(latest[columns])))
    return {
        row["plate"]: {
            "fleet_number": row["fleet_number"],
            "unit": units.get(row["unit_code"]),
            "cost_center": centers.get(row["unit_code"]),
            "carrier": carriers.get(row["carrier_code"]),
        }
        for row in rows
    }


def _scores(lines: pd.DataFrame) -> Grid:
    fields = [entry for entry in FIELDS if entry.name in _SCORE_NAMES]
    ordered = lines.sort_values(["operational_date", "plate", "started_at"], kind="stable")
    return grid_of(fields, records(ordered[[entry.name for entry in fields]]))


def _subtitle(words: str, carriers: Mapping[str, str], carrier_code: str | None) -> str:
    return words if carrier_code is None else f"{words} · cópia de {carriers.get(carrier_code, carrier_code)}"

"""The sections of the monthly report: what each table shows, under which title, and its sentence where it is empty.

Their order, the cards and the charts are decided in `cycle`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.document_model import Field, Grid, Kind, Section, grid_of
from fleet_audit.reporting.labels import NO_ROUTE
from fleet_audit.reporting.sections.adjustments import adjustments_grid
from fleet_audit.reporting.sections.carrier_ranking import ranking_grid
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.exceptions import NOTE as EXCEPTIONS_NOTE
from fleet_audit.reporting.sections.exceptions import exceptions_grid
from fleet_audit.reporting.sections.figures import Figures, figures_by, figures_of
from fleet_audit.reporting.sections.forecast_table import budget_note, forecast_grid
from fleet_audit.reporting.sections.incidents import INCIDENTS_NOTE, incidents_grid, short_incidents_grid
from fleet_audit.reporting.sections.inputs import Frames, as_of, names_of, records
from fleet_audit.reporting.sections.listings import (
    AMOUNT_FIELDS,
    figures_grid,
    findings_grid,
    held_grid,
    short_findings_grid,
)
from fleet_audit.reporting.sections.rules_not_tested import NOTE as NOT_TESTED_NOTE
from fleet_audit.reporting.sections.rules_not_tested import rules_not_tested_grid
from fleet_audit.reporting.sections.sheets.review_sample import review_sample_grid, review_sample_note
from fleet_audit.reporting.sections.sheets.rule_outcomes import NOTE as RULE_OUTCOMES_NOTE
from fleet_audit.reporting.sections.sheets.rule_outcomes import rule_outcomes_grid
from fleet_audit.reporting.sections.sheets.score_parts import NOTE as SCORE_NOTE
from fleet_audit.reporting.sections.sheets.score_parts import score_parts_grid, vehicle_score_parts_grid
from fleet_audit.reporting.sections.sheets.waterfall import FIELDS as WATERFALL_FIELDS
from fleet_audit.reporting.sections.sheets.waterfall import NOTE as WATERFALL_NOTE
from fleet_audit.reporting.sections.sheets.waterfall import waterfall_grid
from fleet_audit.reporting.sections.trip_lines import FIELDS

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


def overview_sections(
    frames: Frames,
    sources: list[pa.Table],
    grids: tuple[Grid, Grid],
    closing: Closing,
    outlook: tuple[Forecast | None, Budget | None],
    carrier_code: str | None,
) -> tuple[Section, ...]:
    """The figures of units and carriers, and the waterfall.

    `grids` are those of units and of carriers. Ranking and forecast are of the whole fleet; a carrier's copy has none.
    """
    unit_grid, carrier_grid = grids
    no_lines = closing.no_lines_sentence(frames)
    return (
        Section("units", "Por unidade", unit_grid, empty="Sem dado."),
        Section("carriers", "Por transportadora", carrier_grid, empty="Sem dado."),
        Section(
            "waterfall",
            "Do declarado ao faturado",
            grid_of(WATERFALL_FIELDS, []) if no_lines else waterfall_grid(frames),
            sheet="Cascata",
            note=WATERFALL_NOTE,
            empty=no_lines or "Sem dado.",
        ),
        *(() if carrier_code is not None else _fleet_sections(frames, sources, *outlook)),
    )


def _fleet_sections(
    frames: Frames, sources: list[pa.Table], forecast: Forecast | None, budget: Budget | None
) -> tuple[Section, ...]:
    carriers = names_of(frames.carriers, "carrier_code")
    ranking = ranking_grid(figures_by(sources, "carrier_code"), carriers)
    return (
        Section("ranking", "Ranking de transportadoras", ranking, empty="Sem dado."),
        Section(
            "forecast",
            "Previsão até o fim do ciclo",
            forecast_grid(forecast, budget),
            note=budget_note(budget),
            empty="Sem previsão.",
        ),
    )


def score_section(frames: Frames, carrier_code: str | None) -> Section:
    """How the scores come about: some 60 rows, after what costs money."""
    return Section(
        "score_parts",
        "Composição do score",
        score_parts_grid(frames, carrier_code),
        sheet="Composição do score",
        note=SCORE_NOTE,
        empty="Nenhuma viagem com score.",
    )


def detail_sections(
    frames: Frames, sources: list[pa.Table], figures: Figures, lines: pd.DataFrame, days_grid: Grid, cycle: Cycle
) -> tuple[Section, ...]:
    """Days, incidents, findings, routes, vehicles, adjustments, untested rules, and the lists of the workbook alone."""
    findings = findings_grid(frames)
    short = short_findings_grid(frames, findings, by_vehicle=True)
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
        Section("days", "Dia a dia", days_grid, sheet="Dia a dia", note=_DAYS_NOTE, empty="Sem dado."),
        Section(
            "incidents",
            "Principais incidentes",
            incidents_grid(frames),
            sheet="Incidentes",
            short_grid=short_incidents_grid(frames),
            print_rows=_TOP,
            page_rows=_TOP,
            note=INCIDENTS_NOTE,
            empty="Nenhum incidente com valor neste ciclo.",
        ),
        Section(
            "top",
            "Principais divergências",
            replace(findings, rows=findings.rows[:_TOP]),
            sheet="Divergências",
            short_grid=replace(short, rows=short.rows[:_TOP]),
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


def review_sections(frames: Frames) -> tuple[Section, ...]:
    """How contested findings ended per rule, and the sample for review by hand: of the whole fleet alone."""
    return (
        Section(
            "rule_outcomes",
            "Contestações por regra",
            rule_outcomes_grid(frames),
            sheet="Contestações",
            note=RULE_OUTCOMES_NOTE,
            empty="Nenhum achado foi contestado até hoje.",
        ),
        Section(
            "review_sample",
            "Amostra para revisão manual",
            review_sample_grid(frames),
            sheet="Amostra",
            note=review_sample_note(frames),
            empty="Nenhuma viagem paga neste ciclo." if len(frames.review_estimates) else "Amostra ainda não sorteada.",
        ),
    )


def day_grid(days: list[pa.Table]) -> Grid:
    """The figures of each day, in its order, and their total."""
    grid = figures_grid(
        "Dia", {}, "", figures_by(days, "operational_date"), figures_of(days), DAY_FIELDS, largest_first=False
    )
    return replace(grid, fields=(replace(grid.fields[0], kind=Kind.DATE), *grid.fields[1:]))


def _declared_of_routes(lines: pd.DataFrame) -> pa.Table:
    """Each trip's share of what was declared for it, by route."""
    return pa.table({name: pa.array(lines[name]) for name in ("route_code", "declared_km")})


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

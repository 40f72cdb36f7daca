"""One vehicle's cycle by day, by trip and against its plan: what proves a finding of a rule over a whole cycle.

Reading the rows belongs to `dossiers`; figures of whole fleets are in `sections.figures`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import known_sum
from fleet_audit.logic.reference.shifts import parse_weekdays
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.drawing.charts import BLUE, ORANGE, Bar, columns
from fleet_audit.reporting.labels import COVERAGE, DAY_TYPES, PURPOSES
from fleet_audit.reporting.sections.figures import figures_by, figures_of, sources_of
from fleet_audit.reporting.sections.inputs import Frames, names_of, records
from fleet_audit.reporting.sections.trip_lines import trip_lines

DAY_FIELDS = (
    Field("day", "Data", Kind.DATE, 10),
    Field("weekday", "Dia", width=12),
    Field("day_type", "Calendário", width=9),
    Field("coverage", "Cobertura", width=10),
    Field("service_trips", "Viagens de serviço", Kind.INTEGER, 9),
    Field("service_km", "Serviço (km)", Kind.KM, 10),
    Field("deadhead_km", "Vazio (km)", Kind.KM, 10),
    Field("declared_km", "Declarados (km)", Kind.KM, 11),
    Field("difference_km", "Declarado − medido nas corridas ligadas (km)", Kind.KM_DIFFERENCE, 16),
    Field("variable_brl", "Variável (R$)", Kind.BRL, 11),
    Field("fixed_brl", "Fixo (R$)", Kind.BRL, 11),
)
TRIP_FIELDS = (
    Field("trip_id", "Viagem", width=18),
    Field("started_local", "Saída", Kind.MOMENT, 15),
    Field("ended_local", "Chegada", Kind.MOMENT, 15),
    Field("origin", "Origem", width=24),
    Field("destination", "Destino", width=24),
    Field("purpose", "Finalidade", width=11),
    Field("route", "Rota", width=24),
    Field("km_measured", "Km medidos", Kind.KM, 10),
    Field("evidence_grade", "Grau", width=5),
    Field("declared_km", "Km declarados", Kind.KM, 10),
    Field("difference_km", "Diferença (km)", Kind.KM_DIFFERENCE, 10),
    Field("variable_cost_brl", "Custo (R$)", Kind.BRL, 10),
)
PLAN_FIELDS = (
    Field("route", "Rota do plano", width=44),
    Field("weekdays", "Dias da semana", width=14),
    Field("planned_trips", "Viagens planejadas", Kind.INTEGER, 12),
    Field("service_trips", "Viagens de serviço feitas", Kind.INTEGER, 12),
    Field("planned_km", "Km planejados", Kind.KM, 12),
    Field("service_km", "Km de serviço feitos", Kind.KM, 12),
)
_ANY_ROUTE, _OTHER_ROUTES = "qualquer rota", "fora das rotas do plano"


@dataclass(frozen=True)
class VehicleCycle:
    """A cycle and the rows of one vehicle in it, of the carrier that the finding names."""

    cycle: Cycle
    frames: Frames = field(default_factory=Frames)

    @cached_property
    def lines(self) -> pd.DataFrame:
        """The vehicle's trips as in every trip list, in order of start."""
        return trip_lines(self.frames).sort_values(["started_at", "trip_id"], kind="stable")

    @cached_property
    def days(self) -> Grid:
        """One row per day that was run, with the sums of the cycle; a day without data has unknown values."""
        frames = self.frames
        sources = sources_of(frames, self.lines, frames.vehicle_day_amounts)
        figures, differences = figures_by(sources, "operational_date"), _differences(frames.matches)
        coverage = dict(zip(frames.coverage["operational_date"], frames.coverage["status"], strict=True))
        types = dict(zip(frames.calendar["date"], frames.calendar["day_type"], strict=True))
        rows = [
            {
                **found.record(),
                "day": day,
                "weekday": locale.weekday(day).removesuffix("-feira"),
                "day_type": DAY_TYPES.get(types.get(day, "")),
                "coverage": COVERAGE.get(coverage.get(day, "")),
                "difference_km": differences.get(day),
            }
            for day, found in figures.items()
        ]
        total = {**figures_of(sources).record(), "day": "Total", "difference_km": known_sum(differences.values())}
        return grid_of(DAY_FIELDS, rows, total if rows else None)

    @cached_property
    def trips(self) -> Grid:
        """One row per trip of any purpose, yard movements excluded."""
        names = names_of(self.frames.routes, "route_code")
        rows = [
            {**row, "purpose": PURPOSES[row["purpose"]], "route": names.get(row["route_code"], row["route_code"])}
            for row in records(self.lines[self.lines["purpose"] != "yard"])
        ]
        return grid_of(TRIP_FIELDS, rows)

    @cached_property
    def plan(self) -> Grid:
        """One row per route of the plan with the service trips made on it, and one for those on other routes.

        A plan row without a route holds for all routes that no other row names.
        """
        names = names_of(self.frames.routes, "route_code")
        service = self.lines[self.lines["purpose"] == "service"]
        made = {route or "": own for route, own in service.groupby(service["route_code"].fillna(""))}
        planned = records(self.frames.km_plan)
        named = {row["route_code"] for row in planned if row["route_code"]}
        rest = [own for route, own in made.items() if route not in named]
        has_any = any(not row["route_code"] for row in planned)
        rows = [
            {
                "route": names.get(row["route_code"], row["route_code"]) or _ANY_ROUTE,
                "weekdays": _weekdays(row["weekdays"]),
                "planned_trips": row["planned_trips"],
                "planned_km": row["planned_km"],
                **_made([made[row["route_code"]]] if row["route_code"] in made else [] if row["route_code"] else rest),
            }
            for row in planned
        ]
        if rows and rest and not has_any:
            rows.append({"route": _OTHER_ROUTES, **_made(rest)})
        summed = ("planned_trips", "service_trips", "planned_km", "service_km")
        total = {"route": "Total", **{name: known_sum(row.get(name) for row in rows) for name in summed}}
        return grid_of(PLAN_FIELDS, rows, total if rows else None)

    @cached_property
    def chart(self) -> str:
        """Service km, deadhead km of each day, upright; empty without a day."""
        rows = [
            Bar(f"{day:%d/%m}", (service, deadhead), f"{locale.number(known_sum((service, deadhead)) or 0, 0)} km")
            for day, service, deadhead in zip(
                *(self.days.column(name) for name in ("day", "service_km", "deadhead_km")), strict=True
            )
        ]
        return columns("Km do veículo por dia", (("km de serviço", BLUE), ("km vazios", ORANGE)), rows)


def _weekdays(text: str | None) -> str:
    """`segunda a sexta`, `segunda, quarta`; `todos` of seven days or none stated."""
    chosen = sorted(parse_weekdays(text))
    monday = dt.date(2024, 1, 1)
    names = [locale.weekday(monday + dt.timedelta(days=number - 1)).removesuffix("-feira") for number in chosen]
    if len(chosen) == 7:
        return "todos"
    is_span = len(chosen) > 2 and chosen[-1] - chosen[0] == len(chosen) - 1
    return f"{names[0]} a {names[-1]}" if is_span else ", ".join(names)


def _differences(matches: pd.DataFrame) -> dict[Any, Decimal]:
    """Declared − measured km of the groups that have both, by day."""
    both = matches.dropna(subset=["difference_km"])
    return {day: sum(own["difference_km"], Decimal(0)) for day, own in both.groupby("operational_date")}


def _made(groups: list[pd.DataFrame]) -> Mapping[str, Any]:
    """Service trips made and their km; km unknown where no trip has any."""
    km = known_sum(value for own in groups for value in own["km_measured"].dropna())
    return {"service_trips": sum(map(len, groups)), "service_km": km}

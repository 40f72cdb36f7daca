"""The measurement package of a cycle: which sheets, columns, footers and formulas it has, free of file formats.

What is billed in which line is decided in `measurement`, what is not billed in `disallowed`; drawing is in
`package_files`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, Kind, Logo, grid_of
from fleet_audit.reporting.labels import AREAS as AREA_NAMES
from fleet_audit.reporting.labels import CONTRACT_KINDS, NO_CARRIER, NO_UNIT, REGIMES, VEHICLE_CLASSES
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.sections.adjustments import adjustments_brl, adjustments_grid
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.daily_km import daily_km_grid
from fleet_audit.reporting.sections.disallowed import disallowed_grid, unpriced_trips
from fleet_audit.reporting.sections.inputs import Frames, names_of, records
from fleet_audit.reporting.sections.measurement import billed_trips, measurement_lines
from fleet_audit.reporting.sections.terms_sheet import terms_grid

SHEETS = {"AGR": "MEDIÇÃO - AGRÍCOLA", "IND": "MEDIÇÃO - ADM-INDÚSTRIA"}
SUMMARY, DAILY, DISALLOWED, TERMS = "RESUMO DA OPERAÇÃO", "KM DIÁRIO COMPILADO", "GLOSAS", "PARÂMETROS"
ADJUSTMENTS = "AJUSTES"
_STEMS = {
    SHEETS["AGR"]: "pacote_medicao_agricola",
    SHEETS["IND"]: "pacote_medicao_adm_industria",
    SUMMARY: "pacote_medicao_resumo",
    DAILY: "pacote_medicao_km_diario",
    DISALLOWED: "pacote_medicao_glosas",
    ADJUSTMENTS: "pacote_medicao_ajustes",
    TERMS: "pacote_medicao_parametros",
}
LINE_FIELDS = (
    Field("unit", "Unidade", width=17),
    Field("carrier", "Empresa", width=19),
    Field("operation", "Operação", width=13),
    Field("period", "Período", width=12),
    Field("plate", "Placa", width=9),
    Field("fleet_number", "Frota", width=8),
    Field("routes", "Rota do Veículo", width=40),
    Field("shifts", "Turnos Atendidos", width=10),
    Field("regime", "Regime", width=13),
    Field("kind", "Contrato/Spot", width=10),
    Field("vehicle_class", "Tipo do Veículo", width=13),
    Field("km", "Km Rodado", Kind.KM, 11),
    Field("rate_brl_per_km", "Custo Variável", Kind.RATE, 10),
    Field("variable_brl", "Total Variável", Kind.BRL, 13),
    Field("monthly_brl", "Custo Fixo", Kind.BRL, 13),
    Field("fixed_brl", "Parcela", Kind.BRL, 13),
    Field("total_brl", "Total Mensal (A Faturar)", Kind.BRL, 15),
)
_LINE_FORMULAS = {"total_brl": "ROUND(SUM({variable_brl},{fixed_brl}),2)"}
_FOOTERS = (
    ("Total Km's", "km", Kind.KM),
    ("Total Variável", "variable_brl", Kind.BRL),
    ("Total Fixo", "fixed_brl", Kind.BRL),
    ("Total a Faturar", "total_brl", Kind.BRL),
)
SUMMARY_FIELDS = (
    Field("operation", "Operação", width=16),
    Field("unit", "Unidade", width=24),
    Field("carrier", "Empresa", width=30),
    Field("vehicles", "Veículos", Kind.INTEGER, 10),
    Field("km", "Total Km's", Kind.KM, 15),
    Field("variable_brl", "Total Variável", Kind.BRL, 16),
    Field("fixed_brl", "Total Fixo", Kind.BRL, 16),
    Field("total_brl", "Total a Faturar", Kind.BRL, 17),
)
_SUMS = ("km", "variable_brl", "fixed_brl", "total_brl")


@dataclass(frozen=True)
class Footer:
    """A line below a sheet's table: its label, its value, and, where a spreadsheet can compute it, the formula.

    In a formula `{name}` is the row's own cell of that field, `{sheet!name}` the whole column of a sheet.
    """

    label: str
    value: Decimal | int | str | None
    kind: Kind
    formula: str | None = None


@dataclass(frozen=True)
class Sheet:
    """One sheet and CSV file of the package. `formulas` are by row and field, as those of `Footer`.

    The grid's total row, where it has one, is drawn as sums of its columns.
    """

    name: str
    grid: Grid
    footers: tuple[Footer, ...] = ()
    formulas: tuple[Mapping[str, str], ...] = ()
    note: str = ""
    frozen_columns: int = 0

    @property
    def stem(self) -> str:
        """The name of its CSV file, without the ending."""
        return _STEMS[self.name]


@dataclass(frozen=True)
class Package:
    """The measurement package of a cycle, or of one carrier of it."""

    title: str
    subtitle: str
    generated_at: dt.datetime
    closing: Closing
    company: str
    logo: Logo | None
    sheets: tuple[Sheet, ...]

    @property
    def origin(self) -> str:
        """As of when its data are."""
        return f"dados até {locale.instant(self.generated_at)} (Brasília)"

    def sheet(self, name: str) -> Sheet:
        """The sheet of that name."""
        return next(sheet for sheet in self.sheets if sheet.name == name)


def build_package(
    frames: Frames,
    *,
    cycle: Cycle,
    generated_at: dt.datetime,
    closing: Closing | None = None,
    parameters: pd.DataFrame | None = None,
    carrier_code: str | None = None,
    layout: Layout | None = None,
) -> Package:
    """The package of one cycle from the rows of its days, in the company's layout or the standard one.

    `parameters` are rows of `ops.parameter_versions`, printed as given. With `carrier_code` it holds that carrier's
    rows alone.
    """
    closing, layout = closing or Closing(), layout or load_layout()
    if carrier_code is not None:
        frames, closing = frames.of_carrier(carrier_code), closing.of_carrier()
    fields = layout.arranged("package", "lines", LINE_FIELDS)
    period = f"{locale.day(cycle.start)} a {locale.day(cycle.end)}"
    lines = _printed(measurement_lines(frames), frames, period)
    areas = [_area_sheet(SHEETS[area], fields, [line for line in lines if line["area"] == area]) for area in SHEETS]
    glosas = disallowed_grid(frames)
    sheets = (
        *areas,
        _summary(lines, frames, glosas, closing),
        Sheet(
            DAILY,
            daily_km_grid(billed_trips(frames), frames, cycle),
            note="Km faturados por dia. “s/d”: veículo sem dado; “s/p”: só viagens sem preço (ver GLOSAS); vazio: dia "
            "sem registro do veículo. Zero quer dizer visto e nada faturado.",
            frozen_columns=4,
        ),
        Sheet(
            DISALLOWED,
            glosas,
            note="O que não entrou no faturamento, e por quê. Valor vazio: sem tarifa conhecida que valha; nunca zero. "
            "Nada desta aba é somado ao Total a Faturar.",
        ),
        Sheet(TERMS, terms_grid(frames, cycle, closing, parameters)),
        Sheet(
            ADJUSTMENTS,
            adjustments_grid(frames),
            note="Diferenças de ciclos já fechados, faturadas neste. Diferença vazia aguarda decisão e não é somada.",
        ),
    )
    subtitle = f"ciclo de {period}"
    if carrier_code is not None:
        subtitle += f" · cópia de {names_of(frames.carriers, 'carrier_code').get(carrier_code, carrier_code)}"
    return Package(layout.title("package"), subtitle, generated_at, closing, layout.company, layout.logo, sheets)


def _printed(lines: pd.DataFrame, frames: Frames, period: str) -> list[dict[str, Any]]:
    """The lines with names for codes, what is missing said in words, in the order of print."""
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    unpriced, silent, seen = _vehicles_without_price(frames), *_coverage(frames)
    result = []
    for line in records(lines):
        code, plate = line["unit_code"], line["plate"]
        is_billed = line["km"] is not None
        if not is_billed and plate in seen and plate not in unpriced:
            line |= {"km": Decimal("0.00"), "variable_brl": Decimal("0.00")}
        known = [line[name] for name in ("variable_brl", "fixed_brl") if line[name] is not None]
        result.append(
            line
            | {
                "unit": units.get(code, code) or NO_UNIT,
                "carrier": carriers.get(line["carrier_code"], line["carrier_code"]) or NO_CARRIER,
                "operation": AREA_NAMES[line["area"]],
                "period": period,
                "routes": line["routes"] or ("(sem rota)" if is_billed else _nothing(plate, unpriced, silent, seen)),
                "regime": REGIMES.get(line["regime"], line["regime"] or None),
                "kind": CONTRACT_KINDS.get(line["kind"], line["kind"] or None),
                "vehicle_class": VEHICLE_CLASSES.get(line["vehicle_class"], line["vehicle_class"] or None),
                "shifts": line["shifts"] or None,
                "fleet_number": line["fleet_number"] or None,
                "total_brl": sum(known, Decimal("0.00")),
            }
        )
    result.sort(key=lambda line: (line["unit"], line["carrier"], line["plate"]))
    return result


def _nothing(plate: str, unpriced: set[str], silent: Mapping[str, int], seen: set[str]) -> str:
    """Why a line has a fixed share and no kilometre."""
    if plate in unpriced:
        return "(viagens sem preço: ver GLOSAS)"
    if plate not in seen:
        return "(sem dado no ciclo)"
    days = silent.get(plate, 0)
    return "(sem viagem faturada)" + (f"; {locale.counted(days, 'dia', 'dias')} sem dado" if days else "")


def _vehicles_without_price(frames: Frames) -> set[str]:
    return set(unpriced_trips(frames)["plate"])


def _coverage(frames: Frames) -> tuple[dict[str, int], set[str]]:
    """Silent days by plate, and the plates that were seen on any day."""
    is_silent = frames.coverage["status"] == "silent"
    silent = frames.coverage.loc[is_silent, "plate"].value_counts().to_dict()
    return silent, set(frames.coverage.loc[~is_silent, "plate"])


def _area_sheet(name: str, fields: tuple[Field, ...], lines: list[dict[str, Any]]) -> Sheet:
    footers = tuple(
        Footer(label, _sum(lines, column), kind, f"ROUND(SUM({{{name}!{column}}}),2)")
        for label, column, kind in _FOOTERS
    )
    return Sheet(name, grid_of(fields, lines), footers, (_LINE_FORMULAS,) * len(lines), frozen_columns=2)


def _summary(lines: list[dict[str, Any]], frames: Frames, glosas: Grid, closing: Closing) -> Sheet:
    """One row an area, unit and carrier, summed by formulas from the two area sheets; then what closes the account."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in sorted(lines, key=lambda line: (line["area"], line["unit"], line["carrier"])):
        groups.setdefault((line["area"], line["unit"], line["carrier"]), []).append(line)
    rows = [
        {
            "operation": AREA_NAMES[area],
            "unit": unit,
            "carrier": carrier,
            "vehicles": len({line["plate"] for line in own}),
            **{name: _sum(own, name) for name in _SUMS},
        }
        for (area, unit, carrier), own in groups.items()
    ]
    total = {"operation": "Total", **{name: _sum(lines, name) for name in _SUMS}}
    formulas = tuple({name: _sum_of(SHEETS[area], name) for name in _SUMS} for area, _, _ in groups)
    return Sheet(
        SUMMARY,
        grid_of(SUMMARY_FIELDS, rows, total),
        (*_account(frames, glosas, lines), *_closed(closing, lines)),
        formulas,
        note="Cada trecho faturado está em uma só aba de medição. O fixo de um veículo que atende as duas áreas fica "
        "inteiro na área padrão do veículo.",
    )


def _sum_of(sheet: str, name: str) -> str:
    """The lines of one sheet that have the row's unit and carrier; EXACT, because SUMIFS reads * and > in a name."""
    matches = "*".join(f"EXACT({{{sheet}!{key}}},{{{key}}})" for key in ("unit", "carrier"))
    return f"ROUND(SUMPRODUCT({matches}*{{{sheet}!{name}}}),2)"


def _account(frames: Frames, glosas: Grid, lines: Sequence[Mapping[str, Any]]) -> tuple[Footer, ...]:
    """What the engine computed beside what is billed, and what is known to be outside of it."""
    variable = sum_decimal(frames.trip_costs["variable_cost_brl"]) or Decimal("0.00")
    fixed = sum_decimal(frames.fixed_cost_days["amount_brl"]) or Decimal("0.00")
    engine = variable + fixed
    without_price = unpriced_trips(frames)
    silent = int((frames.coverage["status"] == "silent").sum())
    held = frames.held_runs
    billed, adjusted = _sum(lines, "total_brl"), adjustments_brl(frames)
    of_cycle = f"{{{SUMMARY}!total_brl}}"
    of_others = f"{{{ADJUSTMENTS}!difference_brl}}"
    return (
        Footer("Ajustes de ciclos anteriores (R$)", adjusted, Kind.BRL, f"ROUND(SUM({of_others}),2)"),
        Footer(
            "Total a Faturar com ajustes (R$)", billed + adjusted, Kind.BRL, f"ROUND(SUM({of_cycle},{of_others}),2)"
        ),
        Footer("Custo variável calculado pelo motor (R$)", variable, Kind.BRL),
        Footer("Custo fixo calculado pelo motor (R$)", fixed, Kind.BRL),
        Footer(
            "Diferença entre pacote e motor (R$)",
            billed - engine,
            Kind.BRL,
            f"ROUND(SUM({of_cycle})-{engine},2)",
        ),
        Footer("Veículos no ciclo", len({line["plate"] for line in lines}), Kind.INTEGER),
        Footer("Viagens sem preço, fora do total (ver GLOSAS)", len(without_price), Kind.INTEGER),
        Footer("Corridas retidas, fora do total (ver GLOSAS)", len(held), Kind.INTEGER),
        Footer("Corridas retidas, R$ à tarifa, onde há uma", sum_decimal(held["brl_at_rate"]), Kind.BRL),
        Footer("Veículos-dia sem dado (quilometragem desconhecida)", silent, Kind.INTEGER),
        Footer("Linhas em GLOSAS", len(glosas.rows), Kind.INTEGER),
    )


def _closed(closing: Closing, lines: Sequence[Mapping[str, Any]]) -> tuple[Footer, ...]:
    """What was closed beside what is printed: of a final close the difference is nothing."""
    if closing.total_brl is None:
        return ()
    word, of_cycle = "final" if closing.is_final else "provisório", f"{{{SUMMARY}!total_brl}}"
    return (
        Footer(f"Total Variável no fechamento {word} (R$)", closing.total_variable_brl, Kind.BRL),
        Footer(f"Total Fixo no fechamento {word} (R$)", closing.total_fixed_brl, Kind.BRL),
        Footer(f"Total a Faturar no fechamento {word} (R$)", closing.total_brl, Kind.BRL),
        Footer(
            f"Diferença entre pacote e fechamento {word} (R$)",
            _sum(lines, "total_brl") - closing.total_brl,
            Kind.BRL,
            f"ROUND(SUM({of_cycle})-{closing.total_brl},2)",
        ),
        Footer("Km admitidos no fechamento, com os de viagens sem preço", closing.total_km, Kind.KM),
    )


def _sum(lines: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    return sum((line[name] for line in lines if line[name] is not None), Decimal("0.00"))

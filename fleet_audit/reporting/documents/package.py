"""The measurement package of a cycle: which sheets it has, in which order, and the note of each.

The content of a sheet is decided in `sections`; drawing is in `formats.package_files`.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, grid_of
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.package_model import (
    ADJUSTMENTS,
    CALCULATION,
    DAILY,
    DISALLOWED,
    INVOICES,
    SHEETS,
    SUMMARY,
    TERMS,
    VEHICLES,
    WATERFALL,
    Package,
    Sheet,
)
from fleet_audit.reporting.sections.adjustments import adjustments_grid
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.cycle_progress import cycle_words
from fleet_audit.reporting.sections.inputs import Frames, names_of
from fleet_audit.reporting.sections.sheets import calculation, invoices, vehicle_costs, waterfall
from fleet_audit.reporting.sections.sheets.daily_km import daily_km_grid
from fleet_audit.reporting.sections.sheets.disallowed import disallowed_grid
from fleet_audit.reporting.sections.sheets.measurement import (
    LINE_FIELDS,
    ORIGIN_FIELDS,
    measurement_lines,
    measurement_sheets,
)
from fleet_audit.reporting.sections.sheets.summary import SUMMARY_FIELDS, summary_sheet
from fleet_audit.reporting.sections.sheets.terms import terms_grid

_Billed = tuple[tuple[Sheet, ...], Sheet, Sheet, Sheet, Sheet]


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
    fields = (*layout.arranged("package", "lines", LINE_FIELDS), *ORIGIN_FIELDS)
    period = f"{locale.day(cycle.start)} a {locale.day(cycle.end)}"
    glosas, invoiced = disallowed_grid(frames, cycle), invoices.invoices_grid(frames, cycle)
    no_lines = closing.no_lines_sentence(frames)
    if no_lines is None:
        billed, totals, vehicles, cascade, paid = _billed_sheets(frames, fields, period, glosas, closing)
    else:  # frozen rows are never computed again, and zeros would be wrong
        billed, totals, vehicles, cascade, paid = _sheets_without_lines(fields, no_lines)
    sheets = (
        *billed,
        totals,
        vehicles,
        Sheet(
            DAILY,
            daily_km_grid(frames, cycle),
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
        cascade,
        paid,
        *((Sheet(INVOICES, invoiced, note=invoices.NOTE),) if invoiced.rows else ()),
        Sheet(TERMS, terms_grid(frames, cycle, closing, parameters)),
        Sheet(
            ADJUSTMENTS,
            adjustments_grid(frames),
            note="Diferenças de ciclos já fechados e valores de achados revertidos, faturados neste ciclo. Diferença "
            "vazia aguarda decisão e não é somada.",
        ),
    )
    subtitle = cycle_words(cycle, frames)
    if carrier_code is not None:
        subtitle += f" · cópia de {names_of(frames.carriers, 'carrier_code').get(carrier_code, carrier_code)}"
    return Package(layout.title("package"), subtitle, generated_at, closing, layout.company, layout.logo, sheets)


def _billed_sheets(frames: Frames, fields: tuple[Field, ...], period: str, glosas: Grid, closing: Closing) -> _Billed:
    """The sheets made from billing lines: both areas, summary, vehicles, waterfall, calculation."""
    lines, cascade = measurement_lines(frames, period), waterfall.waterfall_grid(frames)
    return (
        measurement_sheets(lines, fields),
        summary_sheet(lines, frames, glosas, closing),
        Sheet(VEHICLES, vehicle_costs.vehicle_costs_grid(lines, frames), note=vehicle_costs.NOTE, frozen_columns=4),
        Sheet(WATERFALL, cascade, formulas=(waterfall.FORMULAS,) * len(cascade.rows), note=waterfall.NOTE),
        Sheet(
            CALCULATION,
            calculation.calculation_grid(frames),
            note="Uma linha por viagem paga; a soma é a das abas de medição, ao centavo.",
            frozen_columns=1,
        ),
    )


def _sheets_without_lines(fields: tuple[Field, ...], sentence: str) -> _Billed:
    """The same sheets without rows and sums, each with the sentence."""
    columns = (SUMMARY_FIELDS, vehicle_costs.FIELDS, waterfall.FIELDS, calculation.FIELDS)
    summary, vehicles, cascade, paid = (
        Sheet(name, grid_of(own, []), empty=sentence)
        for name, own in zip((SUMMARY, VEHICLES, WATERFALL, CALCULATION), columns, strict=True)
    )
    areas = tuple(Sheet(name, grid_of(fields, []), empty=sentence) for name in SHEETS.values())
    return areas, summary, vehicles, cascade, paid

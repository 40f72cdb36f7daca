"""The measurement package of a cycle: which sheets it has, in which order, and the note of each.

The content of a sheet is decided in `sections`; drawing is in `formats.package_files`.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.layout import Layout, load_layout
from fleet_audit.reporting.package_model import (
    ADJUSTMENTS,
    CALCULATION,
    DAILY,
    DISALLOWED,
    INVOICES,
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
from fleet_audit.reporting.sections.sheets.summary import summary_sheet
from fleet_audit.reporting.sections.sheets.terms import terms_grid


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
    lines = measurement_lines(frames, period)
    glosas, cascade = disallowed_grid(frames), waterfall.waterfall_grid(frames)
    paid, invoiced = calculation.calculation_grid(frames), invoices.invoices_grid(frames, cycle)
    sheets = (
        *measurement_sheets(lines, fields),
        summary_sheet(lines, frames, glosas, closing),
        Sheet(VEHICLES, vehicle_costs.vehicle_costs_grid(lines, frames), note=vehicle_costs.NOTE, frozen_columns=4),
        Sheet(
            DAILY,
            daily_km_grid(frames, cycle),
            note="Km faturados por dia. “s/d”: veículo sem dado; “s/p”: só viagens sem preço (ver GLOSAS); vazio: dia "
            "sem registro do veículo. Zero quer dizer visto e nada faturado.",
            frozen_columns=4,
            second_page_field=(cycle.start + dt.timedelta(days=cycle.length // 2)).isoformat(),
        ),
        Sheet(
            DISALLOWED,
            glosas,
            note="O que não entrou no faturamento, e por quê. Valor vazio: sem tarifa conhecida que valha; nunca zero. "
            "Nada desta aba é somado ao Total a Faturar.",
        ),
        Sheet(WATERFALL, cascade, formulas=(waterfall.FORMULAS,) * len(cascade.rows), note=waterfall.NOTE),
        Sheet(
            CALCULATION,
            paid,
            note="Uma linha por viagem paga; a soma é a das abas de medição, ao centavo.",
            frozen_columns=1,
        ),
        *((Sheet(INVOICES, invoiced, note=invoices.NOTE),) if invoiced.rows else ()),
        Sheet(TERMS, terms_grid(frames, cycle, closing, parameters)),
        Sheet(
            ADJUSTMENTS,
            adjustments_grid(frames),
            note="Diferenças de ciclos já fechados, faturadas neste. Diferença vazia aguarda decisão e não é somada.",
        ),
    )
    subtitle = cycle_words(cycle, frames)
    if carrier_code is not None:
        subtitle += f" · cópia de {names_of(frames.carriers, 'carrier_code').get(carrier_code, carrier_code)}"
    return Package(layout.title("package"), subtitle, generated_at, closing, layout.company, layout.logo, sheets)

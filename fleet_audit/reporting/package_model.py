"""Parts of the measurement package, independent of file formats: sheets with tables, footers and formulas.

The content of a sheet is decided in `sections`, the list of sheets in `documents.package`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Grid, Kind, Logo
from fleet_audit.reporting.sections.closing import Closing

SHEETS = {"AGR": "MEDIÇÃO - AGRÍCOLA", "IND": "MEDIÇÃO - ADM-INDÚSTRIA"}
SUMMARY, DAILY, DISALLOWED, TERMS = "RESUMO DA OPERAÇÃO", "KM DIÁRIO COMPILADO", "GLOSAS", "PARÂMETROS"
ADJUSTMENTS, CALCULATION, WATERFALL = "AJUSTES", "MEMÓRIA DE CÁLCULO", "CASCATA"
VEHICLES, INVOICES = "CUSTO POR VEÍCULO", "FATURAS"
_STEMS = {
    SHEETS["AGR"]: "pacote_medicao_agricola",
    SHEETS["IND"]: "pacote_medicao_adm_industria",
    SUMMARY: "pacote_medicao_resumo",
    DAILY: "pacote_medicao_km_diario",
    DISALLOWED: "pacote_medicao_glosas",
    ADJUSTMENTS: "pacote_medicao_ajustes",
    CALCULATION: "pacote_medicao_memoria_de_calculo",
    WATERFALL: "pacote_medicao_cascata",
    VEHICLES: "pacote_medicao_custo_por_veiculo",
    INVOICES: "pacote_medicao_faturas",
    TERMS: "pacote_medicao_parametros",
}


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

    The grid's total row, where it has one, is drawn as sums of its columns. The footers' values stand under
    `footer_field`, or, where the grid has no such field, under the last one; their labels before them.
    `empty` stands in place of the note where there are no rows.
    """

    name: str
    grid: Grid
    footers: tuple[Footer, ...] = ()
    formulas: tuple[Mapping[str, str], ...] = ()
    note: str = ""
    frozen_columns: int = 0
    footer_field: str | None = None
    empty: str = "Nenhuma linha neste ciclo."

    @property
    def footer_column(self) -> int:
        """Position of the field under which the footers' values stand; the first one has no room for a label."""
        names = [entry.name for entry in self.grid.fields]
        found = names.index(self.footer_field) if self.footer_field in names else 0
        return found or len(names) - 1

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
        """Cut-off of its data."""
        return f"dados até {locale.instant(self.generated_at)} (Brasília)"

    def sheet(self, name: str) -> Sheet:
        """The sheet of that name."""
        return next(sheet for sheet in self.sheets if sheet.name == name)


def column_sum(lines: Iterable[Mapping[str, Any]], name: str) -> Decimal:
    """The sum of a column of printed lines; without unknown values."""
    return sum((line[name] for line in lines if line[name] is not None), Decimal("0.00"))

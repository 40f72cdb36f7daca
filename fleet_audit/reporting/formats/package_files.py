"""The measurement package as files: one workbook with live formulas, and each of its sheets as CSV.

The content of sheets is decided in `sections`, the look of cells in `xlsx`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xlsxwriter.utility import xl_range_abs, xl_rowcol_to_cell
from xlsxwriter.worksheet import Worksheet

from fleet_audit.reporting.document_model import NUMERIC, Field, Kind
from fleet_audit.reporting.formats.csv import cell_text, texts_csv
from fleet_audit.reporting.formats.print_setup import set_up_printing
from fleet_audit.reporting.formats.xlsx import ALERT, INK, MUTED, Workbook, fit_row
from fleet_audit.reporting.package_model import Footer, Package, Sheet

_HEAD_ROW = 5  # of each table; above it title, sheet, origin, stamp
_FIRST_ROW = _HEAD_ROW + 1
_NAME = re.compile(r"\{(?:([^!}]+)!)?([^}]+)\}")


def render_package(package: Package) -> dict[str, bytes]:
    """`pacote_medicao.xlsx` and one CSV per sheet; equal packages give equal bytes."""
    files = {"pacote_medicao.xlsx": package_workbook(package)}
    return files | {f"{sheet.stem}.csv": sheet_csv(sheet) for sheet in package.sheets}


def sheet_csv(sheet: Sheet) -> bytes:
    """The sheet's table, its total row, and its footers as label and value under their columns."""
    fields, grid = sheet.grid.fields, sheet.grid
    before, after = [""] * (sheet.footer_column - 1), [""] * (len(fields) - 1 - sheet.footer_column)
    table = [*grid.rows, *([grid.total] if grid.total else [])]
    return texts_csv(
        [
            [entry.label for entry in fields],
            *([cell_text(value, entry.kind) for value, entry in zip(row, fields, strict=True)] for row in table),
            *([*before, footer.label, cell_text(footer.value, footer.kind), *after] for footer in sheet.footers),
        ]
    )


def package_workbook(package: Package) -> bytes:
    """The workbook; every formula carries its value, so that readers that compute nothing show it too."""
    book = Workbook(f"{package.title} {package.subtitle}", package.generated_at)
    for sheet in package.sheets:
        _draw(book, package, sheet)
    return book.to_bytes()


def _draw(book: Workbook, package: Package, sheet: Sheet) -> None:
    target = book.sheet(sheet.name, repeat_row=_HEAD_ROW)
    for column, entry in enumerate(sheet.grid.fields):
        target.set_column(column, column, entry.width + 1)
    _heading(book, target, package, sheet)
    book.header(target, _HEAD_ROW, sheet.grid.fields)
    for index, row in enumerate(sheet.grid.rows):
        formulas = sheet.formulas[index] if sheet.formulas else {}
        _row(book, target, package, sheet, _FIRST_ROW + index, row, formulas)
    end = _FIRST_ROW + len(sheet.grid.rows)
    if sheet.grid.rows:
        target.autofilter(_HEAD_ROW, 0, end - 1, len(sheet.grid.fields) - 1)
    if sheet.grid.total:
        _total_row(book, target, package, sheet, end)
        end += 1
    for number, footer in enumerate(sheet.footers):
        _footer(book, target, package, sheet, end + 1 + number, footer)
    set_up_printing(target, sheet.grid.fields, end + len(sheet.footers))
    target.freeze_panes(_FIRST_ROW, sheet.frozen_columns)


def _heading(book: Workbook, target: Worksheet, package: Package, sheet: Sheet) -> None:
    company = f"{package.company} · " if package.company else ""
    target.write_string(0, 0, f"{company}{package.title}", book.style(font_color=MUTED))
    target.write_string(1, 0, sheet.name, book.style(bold=True, font_size=16))
    target.set_row(1, 24)
    target.write_string(2, 0, f"{package.subtitle} · {package.origin}", book.style(font_color=MUTED, font_size=9))
    target.write_string(3, 0, package.closing.stamp, book.style(bold=True, font_color=ALERT, font_size=12))
    book.logo(target, max(len(sheet.grid.fields) - 2, 1), package.logo, package.company)
    if note := sheet.note if sheet.grid.rows else sheet.empty:
        target.write_string(4, 0, note, book.style(font_color=MUTED, font_size=9))


def _row(
    book: Workbook,
    target: Worksheet,
    package: Package,
    sheet: Sheet,
    row: int,
    values: Sequence[Any],
    formulas: Mapping[str, str],
) -> None:
    for column, (entry, value) in enumerate(zip(sheet.grid.fields, values, strict=True)):
        if entry.name in formulas:
            formula = _resolved(formulas[entry.name], package, sheet, row)
            target.write_formula(row, column, formula, book.body_style(entry.kind), value)
        elif isinstance(value, str) and entry.kind in NUMERIC:  # a word in place of a number that is not known
            book.cell(target, row, column, value, Kind.TEXT, book.style(align="right", font_color=MUTED))
        else:
            wrap = {"text_wrap": True} if entry.kind is Kind.TEXT else {}
            book.cell(target, row, column, value, entry.kind, book.body_style(entry.kind, **wrap))
    fit_row(target, row, [(entry.width, value) for entry, value in zip(sheet.grid.fields, values, strict=True)])


def _total_row(book: Workbook, target: Worksheet, package: Package, sheet: Sheet, row: int) -> None:
    properties = {"bold": True, "top": 1, "top_color": INK}
    for column, (entry, value) in enumerate(zip(sheet.grid.fields, sheet.grid.total or (), strict=True)):
        style = book.body_style(entry.kind, **properties)
        if value is not None and entry.kind in NUMERIC:
            formula = _resolved(f"ROUND(SUM({{{sheet.name}!{entry.name}}}),2)", package, sheet, row)
            target.write_formula(row, column, formula, style, value)
        else:
            book.cell(target, row, column, value, entry.kind, style)


def _footer(book: Workbook, target: Worksheet, package: Package, sheet: Sheet, row: int, footer: Footer) -> None:
    column = sheet.footer_column
    target.write_string(row, column - 1, footer.label, book.style(bold=True, align="right"))
    style = book.kind_style(footer.kind, bold=True, top=1, top_color=INK)
    if footer.formula is None:
        book.cell(target, row, column, footer.value, footer.kind, style)
    else:
        target.write_formula(row, column, _resolved(footer.formula, package, sheet, row), style, footer.value)


def _resolved(formula: str, package: Package, sheet: Sheet, row: int) -> str:
    """The formula with cells and ranges in place of names: `{name}` in this row, `{sheet!name}` a whole column."""

    def reference(found: re.Match[str]) -> str:
        other, name = found.groups()
        if other is None:
            return xl_rowcol_to_cell(row, _column(sheet.grid.fields, name))
        of = package.sheet(other)
        column = _column(of.grid.fields, name)
        last = _FIRST_ROW + max(len(of.grid.rows), 1) - 1
        return f"'{other}'!{xl_range_abs(_FIRST_ROW, column, last, column)}"

    return "=" + _NAME.sub(reference, formula)


def _column(fields: Sequence[Field], name: str) -> int:
    return [entry.name for entry in fields].index(name)

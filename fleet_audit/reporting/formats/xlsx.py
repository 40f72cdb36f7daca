"""Workbooks: one place for formats, tables, print set-up and texts that can never become formulas.

The content of a workbook belongs to the reports.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_range
from xlsxwriter.worksheet import Worksheet

from fleet_audit.reporting.document_model import (
    NUMERIC,
    SENTENCE_WIDTH,
    SIGNED,
    Card,
    Document,
    Field,
    Grid,
    Kind,
    Logo,
)
from fleet_audit.reporting.formats.print_setup import set_up_printing, set_up_summary_printing

SHEET_ROWS = 1_000_000  # Excel's sheet has 1,048,576
TEXT_LIMIT = 32_767  # Excel's longest cell text; xlsxwriter drops a longer one
_LOGO_PX = (320, 64)  # as high as the heading's rows
_SUMMARY_WIDTHS = (32.0, *(15.5,) * 20)  # of the first sheet's columns, which all its tables share; 15.5: date and time
_SENTENCE_LAST = 8  # last column of a sentence across the first sheet, which ends on the first printed page
_MOST_SPANNED = 5  # columns beside the first of a sentence: longer ones go on in the next line
_LINE_POINTS, _MOST_LINES = 13.5, 30  # Excel shows no row higher than 409 points
_LINE_REST = 3  # letters at the end of a line, on average, that the next word has no room in
_CUT = " … [texto cortado]"
_FONT = {"font_name": "Calibri", "font_size": 10, "valign": "vcenter"}
INK, MUTED, ALERT, _HEAD, _LINE = "#1F2933", "#5B6770", "#A33B00", "#E8EEF2", "#C9D1D8"
_BRAZIL = "[$-416]"  # LibreOffice then writes a decimal comma on any machine; Excel takes the machine's own
_NUMBER_FORMATS = {
    Kind.INTEGER: f"{_BRAZIL}#,##0",
    Kind.KM: f"{_BRAZIL}#,##0.00",
    Kind.KM_DIFFERENCE: f"{_BRAZIL}+#,##0.00;{_BRAZIL}-#,##0.00;{_BRAZIL}0.00",
    Kind.BRL: f"{_BRAZIL}#,##0.00",
    Kind.RATE: f"{_BRAZIL}0.00##",
    Kind.PERCENT: f"{_BRAZIL}0.00",
    Kind.PERCENT_DIFFERENCE: f"{_BRAZIL}+0.00;{_BRAZIL}-0.00;{_BRAZIL}0.00",
    Kind.SCORE: f"{_BRAZIL}0.0",
    Kind.POINTS: f"{_BRAZIL}#,##0.00",
    Kind.HOURS: f"{_BRAZIL}0.0",
    Kind.DATE: "dd/mm/yyyy",
    Kind.MOMENT: "dd/mm/yyyy hh:mm",
}


class Workbook:
    """A workbook being written; the same calls with the same `created_at` give the same bytes."""

    def __init__(self, title: str, created_at: dt.datetime) -> None:
        self._buffer = io.BytesIO()
        # in_memory would hold each sheet's XML as text: 0.5 GB more at 100,000 trips, and no faster
        self._book = xlsxwriter.Workbook(
            self._buffer,
            {"in_memory": False, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
        )
        self._book.set_properties(
            {"title": title, "author": "fleet_audit", "created": created_at.astimezone(dt.UTC).replace(tzinfo=None)}
        )
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        self._body_styles: dict[tuple[Any, ...], Format] = {}
        self._tables = 0

    def style(self, **properties: Any) -> Format:
        """A cell format in the house font; equal properties share one format."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format({**_FONT, "font_color": INK, **properties})
        return self._formats[key]

    def kind_style(self, kind: Kind, **properties: Any) -> Format:
        """The format of values of a kind: number or date format, numbers to the right."""
        base: dict[str, Any] = {"num_format": _NUMBER_FORMATS[kind]} if kind in _NUMBER_FORMATS else {}
        if kind in NUMERIC:
            base["align"] = "right"
        return self.style(**base, **properties)

    def sheet(self, name: str, *, is_landscape: bool = True, repeat_row: int | None = None) -> Worksheet:
        """A worksheet set up for A4: one page wide, page numbers, `repeat_row` printed on each page."""
        sheet = self._book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_paper(9)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&8&A&R&8Página &P de &N")
        if is_landscape:
            sheet.set_landscape()
        if repeat_row is not None:
            sheet.repeat_rows(repeat_row)
        return sheet

    def cell(self, sheet: Worksheet, row: int, column: int, value: Any, kind: Kind, style: Format) -> None:
        """One typed value: texts stay texts whatever they start with, the unknown stays an empty cell."""
        if value is None:
            sheet.write_blank(row, column, None, style)
        elif kind is Kind.TEXT or isinstance(value, str):
            sheet.write_string(row, column, _fitting(str(value)), style)
        elif kind in (Kind.DATE, Kind.MOMENT):
            sheet.write_datetime(row, column, value, style)
        else:
            sheet.write_number(row, column, value, style)

    def data_sheets(self, name: str, grid: Grid, most_rows: int = SHEET_ROWS) -> None:
        """A listing on a sheet of its own; one longer than a sheet goes on in `name (2)`, `name (3)`."""
        for part, start in enumerate(range(0, max(len(grid.rows), 1), most_rows), start=1):
            rows = range(start, min(start + most_rows, len(grid.rows)))
            self._data_sheet(name if part == 1 else f"{name} ({part})", grid, rows)

    def _data_sheet(self, name: str, grid: Grid, rows: range) -> None:
        """One Excel table from cell A1: filters, frozen header, typed cells, sums. Without rows, the header."""
        sheet = self.sheet(name, repeat_row=0)
        styles = [self.body_style(entry.kind, **_wrapped(entry)) for entry in grid.fields]
        marked = [
            self.body_style(entry.kind, font_color=ALERT) if entry.kind in SIGNED else style
            for entry, style in zip(grid.fields, styles, strict=True)
        ]
        for column, entry in enumerate(grid.fields):
            sheet.set_column(column, column, entry.width + 1)
        self.header(sheet, 0, grid.fields)
        wrapping = [column for column, entry in enumerate(grid.fields) if _wrapped(entry)]
        for line, index in enumerate(rows, start=1):
            row_styles = marked if index in grid.marked else styles
            for column, value in enumerate(grid.rows[index]):
                self.cell(sheet, line, column, value, grid.fields[column].kind, row_styles[column])
            if wrapping:
                fit_row(sheet, line, [(grid.fields[column].width, grid.rows[index][column]) for column in wrapping])
        if rows:
            self._table(sheet, grid, rows)
        set_up_printing(sheet, grid.fields, len(rows) + 1)
        sheet.freeze_panes(1, 0)

    def _table(self, sheet: Worksheet, grid: Grid, rows: range) -> None:
        self._tables += 1
        has_sums = any(entry.is_summed for entry in grid.fields)
        last, columns = len(rows) + has_sums, []

        def sum_of(column: int) -> str:  # plain cells: LibreOffice reads no `[Km (x)]`
            return f"=SUBTOTAL(109,{xl_range(1, column, len(rows), column)})"

        for column, entry in enumerate(grid.fields):
            columns.append({"header": entry.label, "header_format": self._header_style(entry)})
            if entry.is_summed:
                known = [value for index in rows if (value := grid.rows[index][column]) is not None]
                columns[-1] |= {"total_function": sum_of(column), "total_value": float(sum(known)) if known else 0}
            elif has_sums and column == 0:
                columns[-1]["total_string"] = "Total"
        name = f"tab_{self._tables}"
        options = {"name": name, "style": None, "columns": columns, "total_row": has_sums}
        sheet.add_table(0, 0, last, len(grid.fields) - 1, options)
        if not has_sums:
            return
        for column, (entry, written) in enumerate(zip(grid.fields, columns, strict=True)):
            style = self.body_style(entry.kind, bold=True, top=1, top_color=INK)
            if entry.is_summed:  # the total that the table wrote, in bold
                sheet.write_formula(last, column, sum_of(column), style, written["total_value"])
            else:
                sheet.write_string(
                    last, column, written.get("total_string", ""), self.style(bold=True, top=1, indent=1)
                )

    def block(self, sheet: Worksheet, row: int, title: str, grid: Grid) -> int:
        """A titled small table of the first sheet, its total row in bold; returns the first free row below it."""
        sheet.write_string(row, 0, title, self.style(bold=True, font_size=12))
        spans = _summary_spans(grid.fields)
        self.header(sheet, row + 1, grid.fields, spans)
        row += 2
        for values, properties in [
            *((values, {}) for values in grid.rows),
            *([(grid.total, {"bold": True, "top": 1, "top_color": INK})] if grid.total else []),
        ]:
            for (first, last), entry, value in zip(spans, grid.fields, values, strict=True):
                style = self.body_style(entry.kind, **_wrapped(entry), **properties)
                if last > first:
                    sheet.merge_range(row, first, row, last, "", style)
                self.cell(sheet, row, first, value, entry.kind, style)
            texts = [(_summary_width(*span), value) for span, value in zip(spans, values, strict=True)]
            fit_row(sheet, row, [pair for pair, entry in zip(texts, grid.fields, strict=True) if _wrapped(entry)])
            row += 1
        return row

    def body_style(self, kind: Kind, **properties: Any) -> Format:
        """As `kind_style`; a text keeps a little distance from a number to its left."""
        key = (kind, *properties.items())
        if key not in self._body_styles:  # asked for each cell
            if kind not in NUMERIC:
                properties |= {"align": "left", "indent": 1}
            self._body_styles[key] = self.kind_style(kind, **properties)
        return self._body_styles[key]

    def header(
        self, sheet: Worksheet, row: int, fields: Sequence[Field], spans: Sequence[tuple[int, int]] | None = None
    ) -> None:
        """The labels of a table's columns; `spans` are the first and last column of each, else one."""
        sheet.set_row(row, 30)
        for (first, last), entry in zip(spans or [(at, at) for at in range(len(fields))], fields, strict=True):
            style = self._header_style(entry)
            if last > first:
                sheet.merge_range(row, first, row, last, "", style)
            sheet.write_string(row, first, entry.label, style)

    def logo(self, sheet: Worksheet, column: int, logo: Logo | None, company: str) -> None:
        """The logo beside the heading, never larger than it."""
        if logo is None:
            return
        scale = min(1, _LOGO_PX[0] / logo.width_px, _LOGO_PX[1] / logo.height_px)
        options = {"x_scale": scale, "y_scale": scale, "description": company or "Logotipo"}
        sheet.insert_image(0, column, "logo", {"image_data": io.BytesIO(logo.content), **options})

    def to_bytes(self) -> bytes:
        """The finished file."""
        self._book.close()
        return self._buffer.getvalue()

    def _header_style(self, entry: Field) -> Format:
        side: dict[str, Any] = {"align": "right"} if entry.kind in NUMERIC else {"align": "left", "indent": 1}
        return self.style(bold=True, text_wrap=True, bg_color=_HEAD, bottom=1, bottom_color=_LINE, **side)


def document_workbook(document: Document) -> bytes:
    """The report as a workbook: `Resumo` first, then the trips, then one sheet for each other listed section."""
    book = Workbook(f"{document.title} {document.subtitle}", document.generated_at)
    _summary(book, document)
    listed = [section for section in document.sections if section.sheet and section.grid]
    for section in sorted(listed, key=lambda section: section.key != "trips"):
        assert section.sheet is not None
        assert section.grid is not None
        book.data_sheets(section.sheet, section.grid)
    return book.to_bytes()


def _summary(book: Workbook, document: Document) -> None:
    sheet = book.sheet("Resumo")
    for column, width in enumerate(_SUMMARY_WIDTHS):
        sheet.set_column(column, column, width)
    if document.company:
        sheet.set_header(f"&L&8{document.company.replace('&', '&&')}")
    book.logo(sheet, 10, document.logo, document.company)
    sheet.write_string(0, 0, document.title, book.style(bold=True, font_size=18))
    sheet.set_row(0, 28)
    subtitle = " · ".join(text for text in (document.company, document.subtitle) if text)
    sheet.write_string(1, 0, subtitle, book.style(font_size=12))
    sheet.write_string(2, 0, document.origin, book.style(font_color=MUTED, font_size=9))
    if document.stamp:
        sheet.write_string(3, 0, document.stamp, book.style(bold=True, font_color=ALERT, font_size=12))
    row = 5
    for card in document.cards:
        _card(book, sheet, row, card)
        row += 1
    row, last = _highlights(book, sheet, row, document), _SENTENCE_LAST
    for section in document.sections:
        if section.grid is not None and section.sheet is None:
            row = book.block(sheet, row + 1, section.title, section.grid)
            last = max(last, _summary_spans(section.grid.fields)[-1][1])
            if section.note:
                sheet.write_string(row, 0, section.note, book.style(font_color=MUTED, font_size=9))
                row += 1
    row = _sheet_notes(book, sheet, row, document)
    row += 1
    small = book.style(text_wrap=True, font_color=MUTED, font_size=9, valign="top")
    for note in document.notes:
        sheet.merge_range(row, 0, row, _SENTENCE_LAST, "", small)
        sheet.write_string(row, 0, note, small)
        sheet.set_row(row, 13 * (1 + len(note) // 125))
        row += 1
    set_up_summary_printing(sheet, _SUMMARY_WIDTHS[: last + 1], row)


def _sheet_notes(book: Workbook, sheet: Worksheet, row: int, document: Document) -> int:
    """What the notes of the other sheets' listings say, whose tables begin in their first row; returns a free row."""
    notes = [(one.sheet, one.note) for one in document.sections if one.sheet and one.grid and one.note]
    if not notes:
        return row
    sheet.write_string(row + 1, 0, "As outras abas", book.style(bold=True, font_size=12))
    row += 2
    for name, note in notes:
        _sentence_row(book, sheet, row, name, note)
        row += 1
    return row


def _sentence_row(book: Workbook, sheet: Worksheet, row: int, title: str, sentence: str) -> None:
    """A bold text of one or more lines, and beside it a sentence that goes on in as many lines as it needs."""
    wrapped = book.style(text_wrap=True, valign="top")
    sheet.write_string(row, 0, title, book.style(text_wrap=True, valign="top", bold=True))
    sheet.merge_range(row, 1, row, _SENTENCE_LAST, "", wrapped)
    sheet.write_string(row, 1, sentence, wrapped)
    of_title = sum(1 + len(line) // 34 for line in title.split("\n"))
    sheet.set_row(row, _LINE_POINTS * max(of_title, 1 + len(sentence) // 110))


def _highlights(book: Workbook, sheet: Worksheet, row: int, document: Document) -> int:
    """What to look at first, one row each; returns the first free row."""
    if not document.highlights:
        return row
    sheet.write_string(row + 1, 0, "O que olhar primeiro", book.style(bold=True, font_size=12))
    row += 2
    for one in document.highlights:
        _sentence_row(book, sheet, row, f"{one.vehicle}\n{one.amounts}", one.sentence)
        row += 1
    return row


def _card(book: Workbook, sheet: Worksheet, row: int, card: Card) -> None:
    colour = ALERT if card.is_alert else INK
    line = {"bottom": 1, "bottom_color": _LINE}
    sheet.set_row(row, 18)
    sheet.write_string(row, 0, card.label, book.style(**line))
    properties = {"bold": True, "font_color": colour, **line}
    if card.value is None:
        sheet.write_string(row, 1, card.text, book.style(align="right", **properties))
    else:
        if card.kind is Kind.BRL:
            properties["num_format"] = f'{_BRAZIL}"R$" #,##0.00'
            sheet.write_number(row, 1, card.value, book.style(align="right", **properties))
        else:
            sheet.write_number(row, 1, card.value, book.kind_style(card.kind, **properties))
    for column in range(2, 8):
        sheet.write_blank(row, column, None, book.style(**line))
    sheet.write_string(row, 2, card.note, book.style(font_color=MUTED, indent=1, **line))


def _summary_spans(fields: Sequence[Field]) -> list[tuple[int, int]]:
    """First and last column of each field on the first sheet, where a sentence has as many as its width needs."""
    spans: list[tuple[int, int]] = []
    for entry in fields:
        first = last = spans[-1][1] + 1 if spans else 0
        while _wrapped(entry) and _summary_width(first, last) < entry.width and last - first < _MOST_SPANNED:
            last += 1
        spans.append((first, last))
    return spans


def _summary_width(first: int, last: int) -> float:
    return sum(_SUMMARY_WIDTHS[first : last + 1])


def fit_row(sheet: Worksheet, row: int, texts: Iterable[tuple[float, Any]]) -> None:
    """A row as high as the longest of its texts (width in characters, value): not every program does so itself."""
    long = ((width, len(text)) for width, text in texts if isinstance(text, str) and len(text) > width)
    lines = (math.ceil(letters / max(width - _LINE_REST, 1)) for width, letters in long)
    if (most := min(max(lines, default=1), _MOST_LINES)) > 1:
        sheet.set_row(row, _LINE_POINTS * most)


def _wrapped(entry: Field) -> dict[str, bool]:
    """A sentence goes on in the next line; raw evidence, which no paper shows, does not."""
    return {"text_wrap": True} if entry.kind is Kind.TEXT and entry.in_print and entry.width >= SENTENCE_WIDTH else {}


def _fitting(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - len(_CUT)] + _CUT

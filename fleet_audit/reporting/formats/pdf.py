"""The report on A4 as PDF, set by Typst from its template; values go in as data, never as markup.

The layout is in the template; here only the document's values are turned into texts.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet_audit.logic.primitives.memory import release_unused_memory
from fleet_audit.reporting.document_model import NUMERIC, SIGNED, Document, Field, Grid, Section, written
from fleet_audit.reporting.locale import unbroken

if TYPE_CHECKING:
    import typst

_TEMPLATE = Path(__file__).parents[1] / "templates" / "report.typ"
_BLANK = _TEMPLATE.with_name("blank.typ")
_FONTS = Path(__file__).parents[1] / "fonts"  # DejaVu Sans, regular and bold, with its licence
_UNKNOWN = "□"
_UNKNOWN_NOTE = f"{_UNKNOWN} está no lugar de um caractere que o papel não tem; a planilha e a página o mostram."
_REMEMBERED_DOCUMENTS = 10
_MAX_WORD = 24  # letters of a word that is never broken
# Measures of `report.typ`: the text of an A4 page across, sizes of letters, and what lies between the columns.
_PAGE_PT, _TABLE_PT, _LISTING_PT, _INSET_PT, _GUTTER_PT = 779.5, 7.0, 5.8, 5.0, 3.0
_LETTER_EM = 0.66  # mean width of a digit or a bold letter in DejaVu Sans
_SHORT_ROW = 20  # lines, estimated: a page of a listing holds seventy, and real cells need eight
_TYPST = threading.Lock()  # a compiler that two threads use at once raises "Already borrowed"


def document_pdf(document: Document) -> bytes:
    """The PDF of a report; its date is the document's `generated_at`, its fonts do not depend on the machine."""
    timestamp = int(document.generated_at.astimezone(dt.UTC).timestamp())
    # Tags make the file of 2,400 trips 11.2 MB instead of 0.7 MB; the HTML is the accessible form.
    pdf = _compiled(document, format="pdf", timestamp=timestamp, pdf_tags=False)
    assert isinstance(pdf, bytes)
    return pdf


def first_page(document: Document) -> bytes:
    """The first page, as far as it holds headline, charts and tables of figures, as a PNG of 840 pixels' width."""
    summary = replace(
        document, sections=tuple(one for one in document.sections if one.sheet is None), notes=(), cover=()
    )
    pages = _compiled(summary, format="png", ppi=72)
    page = pages[0] if isinstance(pages, list) else pages
    assert isinstance(page, bytes)
    return page


def _compiled(document: Document, **options: Any) -> Any:
    """What Typst makes of the document, for one thread at a time: the compilers are shared."""
    inputs = _inputs(document)
    with _TYPST:
        made = _compiler().compile(sys_inputs=inputs, **options)
        _forget()
    return made


def _inputs(document: Document) -> dict[str, str]:
    data: dict[str, Any] = {
        "title": document.title,
        "subtitle": document.subtitle,
        "origin": document.origin,
        "stamp": document.stamp,
        "cover": [unbroken(sentence) for sentence in document.cover],
        "company": document.company,
        "logo": list(document.logo.content) if document.logo else None,  # Typst makes its bytes from a list of numbers
        "cards": [
            {
                "label": card.label,
                "value": card.text,
                "note": unbroken(card.note),
                "alert": card.is_alert,
                "unknown": card.value is None,
            }
            for card in document.cards
        ],
        "highlights": None
        if document.highlights is None
        else [[one.vehicle, one.amounts, unbroken(one.sentence)] for one in document.highlights],
        "charts": [{"title": chart.title, "picture": chart.picture} for chart in document.charts],
        "sections": [
            _section(section)
            for section in document.sections
            if (section.grid or section.pictures) and not section.is_workbook_only
        ],
        "notes": [unbroken(note) for note in document.notes],
    }
    text = json.dumps(data, ensure_ascii=False)
    if not (unknown := {ord(letter) for letter in set(text)} - _letters()):
        return {"data": text}
    # one letter that the font lacks turns a whole label of a picture into boxes
    data["notes"] = [*data["notes"], _UNKNOWN_NOTE]
    return {"data": json.dumps(data, ensure_ascii=False).translate(dict.fromkeys(unknown, _UNKNOWN))}


@lru_cache
def _compiler() -> typst.Compiler:
    import typst

    return typst.Compiler(str(_TEMPLATE), font_paths=[str(_FONTS)], ignore_system_fonts=True)


def _forget() -> None:
    """Lets Typst drop what it remembers of the document.

    It keeps the intermediate results of its last ten documents: 0.2 GB each at 1,000 trips, 2.5 GB in a month's run.
    Ten empty documents push them out, and memory stays flat. One compiler makes them all: a new one reads the fonts
    that are built into Typst, 2.5 ms. The C library would keep what they leave, 0.3 GB after a carrier's copy.
    """
    for _ in range(_REMEMBERED_DOCUMENTS):
        _blank_compiler().compile()
    release_unused_memory()


@lru_cache
def _blank_compiler() -> typst.Compiler:
    import typst

    return typst.Compiler(str(_BLANK), ignore_system_fonts=True)


@lru_cache
def _letters() -> frozenset[int]:
    """Code points that the paper's font has a form for."""
    from fontTools.ttLib import TTFont

    with TTFont(_FONTS / "DejaVuSans.ttf", lazy=True) as font:
        return frozenset(font.getBestCmap())


def _section(section: Section) -> dict[str, Any]:
    result: dict[str, Any] = {
        "title": section.title,
        "note": unbroken(section.note),
        "empty": section.empty,
        "pictures": section.pictures,
        "table": None,
        "listing": section.is_listing,
        "more": "",
    }
    if (grid := section.shown_grid) is None:
        return result
    rows, result["more"] = section.cut(section.print_rows)
    return result | {"table": _table(section, grid, rows)}


def _table(section: Section, grid: Grid, rows: tuple[tuple[Any, ...], ...]) -> dict[str, Any]:
    position = {entry.name: index for index, entry in enumerate(grid.fields)}
    pairs = section.stacked or tuple((entry.name,) for entry in grid.fields if entry.in_print)
    columns = [[position[name] for name in pair] for pair in pairs]

    def lines(row: tuple[Any, ...], is_marked: bool = False) -> list[list[list[str]]]:
        return [[_line(row[index], grid.fields[index], is_marked) for index in column] for column in columns]

    heads: list[dict[str, Any]] = [
        {
            "labels": [grid.fields[index].label for index in column],
            "right": grid.fields[column[0]].kind in NUMERIC,
            "width": max(grid.fields[index].width for index in column),
        }
        for column in columns
    ]
    body = [lines(row, number in grid.marked) for number, row in enumerate(rows)]
    total = [
        [["", ""] if row == ["–", "unknown"] and not head["right"] else row for row in cell]
        for cell, head in zip(lines(grid.total), heads, strict=True)
    ] if grid.total else None  # fmt: skip
    words = [
        _longest_word(
            [*head["labels"], *(text for row in (*body, *([total] if total else [])) for text, _ in row[number])]
        )
        for number, head in enumerate(heads)
    ]
    for head, width in zip(heads, _fitted([head["width"] for head in heads], words, section.is_listing), strict=True):
        head["width"] = width
    size_pt = _LISTING_PT if section.is_listing else _TABLE_PT
    are_short = _tallest(body, [head["width"] for head in heads], size_pt) <= _SHORT_ROW
    return {"columns": heads, "rows": body, "total": total, "are_short": are_short}


def _tallest(rows: list[list[list[list[str]]]], widths: list[float], size_pt: float) -> int:
    """Lines of the cell that needs most, no fewer than Typst sets; rows below a page's height are not divided.

    Whole rows are read better, and a table of 1,500 of them is set in an eighth less time.
    """
    share = (_PAGE_PT - _GUTTER_PT * (len(widths) - 1)) / sum(widths)
    letters = [max(1.0, (width * share - _INSET_PT) / (_LETTER_EM * size_pt) - _MAX_WORD / 4) for width in widths]
    return max(
        (sum(math.ceil(len(text) / room) for text, _ in cell)
         for row in rows for cell, room in zip(row, letters, strict=True)),
        default=0,
    )  # fmt: skip


def _longest_word(texts: list[str]) -> int:
    """Letters of the longest word that a column must hold on one line; one longer than any word counts in part."""
    return min(max((len(word) for text in texts for word in text.split()), default=0), _MAX_WORD)


def _fitted(usual: list[float], words: list[int], is_listing: bool) -> list[float]:
    """The widths of columns, in points: a column whose share of the page is narrower than its longest word has that
    word's width, else dates and plates run into the next column. The others share the rest by their usual widths.
    """
    least = [count * _LETTER_EM * (_LISTING_PT if is_listing else _TABLE_PT) + _INSET_PT for count in words]
    room = _PAGE_PT - _GUTTER_PT * (len(usual) - 1)
    if sum(least) > room:
        return usual
    widths, fixed = list(usual), set[int]()
    for _ in usual:
        shared = [index for index in range(len(usual)) if index not in fixed]
        rest = room - sum(least[index] for index in fixed)
        scale = rest / sum(usual[index] for index in shared) if shared else 0.0
        widths = [least[index] if index in fixed else usual[index] * scale for index in range(len(usual))]
        narrow = {index for index in shared if widths[index] < least[index]}
        if not narrow:
            break
        fixed |= narrow
    return [round(width, 2) for width in widths]


def _line(value: Any, entry: Field, is_marked: bool) -> list[str]:
    """Text and tone of one line of a cell."""
    if value is None:
        return ["–", "unknown"]
    tone = ("over" if value > 0 else "under") if is_marked and entry.kind in SIGNED else ""
    return [unbroken(written(value, entry.kind)), tone]

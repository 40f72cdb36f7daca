"""Parts of a report, independent of file formats: cards, grids and charts with plain Python values.

Building them from frames belongs to `day` and `cycle`; drawing them belongs to the modules of each format.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from fleet_audit.reporting import locale


class Kind(Enum):
    """Kind of a value: it decides alignment and number format in every file format."""

    TEXT = "text"
    INTEGER = "integer"
    KM = "km"
    KM_DIFFERENCE = "km_difference"
    BRL = "brl"
    RATE = "rate"
    PERCENT = "percent"
    PERCENT_DIFFERENCE = "percent_difference"
    SCORE = "score"
    POINTS = "points"  # of a score, to the hundredth
    HOURS = "hours"
    DATE = "date"
    MOMENT = "moment"  # local wall clock


NUMERIC = frozenset(Kind) - {Kind.TEXT, Kind.DATE, Kind.MOMENT}
SIGNED = frozenset({Kind.KM_DIFFERENCE, Kind.PERCENT_DIFFERENCE})
SENTENCE_WIDTH = 30  # characters: a column as wide as that holds sentences
_PLACES = {Kind.INTEGER: 0, Kind.SCORE: 1, Kind.HOURS: 1}


def written(value: Any, kind: Kind, *, missing: str = "", grouped: bool = True, minus: str = locale.MINUS) -> str:
    """The value as a Brazilian reader sees it; None, the unknown, is `missing`, never zero."""
    if value is None:
        return missing
    if kind is Kind.TEXT or isinstance(value, str):  # a word such as Total may stand in any column
        return str(value)
    if kind is Kind.DATE:
        return locale.day(value)
    if kind is Kind.MOMENT:
        return locale.moment(value)
    if kind is Kind.RATE:
        return locale.rate(value, grouped=grouped)
    return locale.number(value, _PLACES.get(kind, 2), signed=kind in SIGNED, minus=minus, grouped=grouped)


class Folded(str):
    """A text of a cell with further lines, which the page shows when they are asked for and paper does not."""

    __slots__ = ("lines",)
    lines: tuple[str, ...]

    def __new__(cls, text: str, lines: Iterable[str]) -> Folded:
        """The text with its further lines."""
        made = super().__new__(cls, text)
        made.lines = tuple(lines)
        return made

    def __reduce__(self) -> tuple[type[Folded], tuple[str, tuple[str, ...]]]:
        """What makes it again in another process: a pool takes a report that it cannot read for a killed process."""
        return Folded, (str(self), self.lines)


@dataclass(frozen=True)
class Field:
    """One column of a grid.

    `width` is in characters; `in_print` is off for detail that only a workbook holds; `is_summed` puts a sum that
    follows the filters under the column of a listing in the workbook.
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    width: int = 12
    in_print: bool = True
    is_summed: bool = False


@dataclass(frozen=True)
class Grid:
    """Rows under fields; `total` is a row of the same shape that sums the printed rows.

    `marked` are the positions of rows whose signed differences stand out in colour.
    """

    fields: tuple[Field, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...] | None = None
    marked: frozenset[int] = frozenset()

    def column(self, name: str) -> list[Any]:
        """All values of one field; KeyError names a field that is not there."""
        for index, entry in enumerate(self.fields):
            if entry.name == name:
                return [row[index] for row in self.rows]
        raise KeyError(f"the grid has no field {name}")


@dataclass(frozen=True)
class Card:
    """One headline number with a sentence under it; `is_alert` marks a number that needs attention."""

    label: str
    value: Decimal | int | None
    kind: Kind
    note: str = ""
    is_alert: bool = False
    missing: str = locale.NO_DATA  # what stands in place of an unknown number

    @property
    def text(self) -> str:
        """The number as written in a headline, money with its sign, the unknown in words."""
        if self.value is None:
            return self.missing
        if self.kind is Kind.BRL:
            return locale.money(Decimal(self.value))
        return written(self.value, self.kind)


@dataclass(frozen=True)
class Section:
    """A part of the report: a grid, pictures (SVG), or both.

    `sheet` names its worksheet (None: a grid stands on the first sheet; pictures are not in the workbook);
    `stacked` names pairs of fields that print on two lines of one column; `print_rows` and `page_rows` cut what is
    shown on paper and in HTML, which show `short_grid`, where there is one, in place of the grid.
    """

    key: str
    title: str
    grid: Grid | None = None
    pictures: tuple[str, ...] = ()
    note: str = ""
    empty: str = "Nada a mostrar."
    sheet: str | None = None
    is_listing: bool = False
    is_workbook_only: bool = False
    print_rows: int = 2_500  # a fleet of 500 on 60 pages; nobody reads more on paper
    page_rows: int = 5_000  # 3.5 MB of HTML; a phone shows and filters it without a wait
    stacked: tuple[tuple[str, ...], ...] = ()
    short_grid: Grid | None = None

    @property
    def shown_grid(self) -> Grid | None:
        """The rows that paper and page show."""
        return self.short_grid or self.grid

    def cut(self, rows: int) -> tuple[tuple[tuple[Any, ...], ...], str]:
        """The first rows that are shown, and a sentence about the rest: how many, and where they are."""
        grid = self.shown_grid
        assert grid is not None
        every = len(grid.rows)
        if every <= rows:
            return grid.rows, ""
        where = f"na planilha, aba {self.sheet}" if self.sheet else "na planilha"
        rest = "a outra está" if every - rows == 1 else f"as outras {locale.number(every - rows, 0)} estão"
        return grid.rows[:rows], (
            f"Mostrando {locale.number(rows, 0)} de {locale.number(every, 0)} linhas; {rest} {where}."
        )


@dataclass(frozen=True)
class Highlight:
    """One thing to look at first: vehicle, amounts in words, one sentence, and where in the page its detail stands."""

    vehicle: str
    amounts: str
    sentence: str
    target: str


@dataclass(frozen=True)
class Chart:
    """A small picture (SVG) under a title; charts stand side by side below the headline."""

    title: str
    picture: str


@dataclass(frozen=True)
class Logo:
    """A company's logo; `kind` is `png` or `jpeg`, the size is that on a screen of 96 dots an inch."""

    content: bytes
    kind: str
    width_px: float
    height_px: float

    @property
    def data_uri(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Document:
    """A whole report: heading, headline, charts, sections, notes. `generated_at` is given, no clock is read."""

    title: str
    subtitle: str
    generated_at: dt.datetime
    cards: tuple[Card, ...]
    charts: tuple[Chart, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    last_data_at: dt.datetime | None = None
    stamp: str | None = None
    company: str = ""
    logo: Logo | None = None
    highlights: tuple[Highlight, ...] | None = None  # None: the document has no such list
    cover: tuple[str, ...] = ()  # sentences of a cover page of the PDF; none: it begins with the headline

    @property
    def origin(self) -> str:
        """When it was made and how fresh its data are, in one line."""
        data = f"dados até {locale.instant(self.last_data_at)}" if self.last_data_at else "chegada dos dados: sem dado"
        return f"Gerado em {locale.instant(self.generated_at)} (Brasília) · {data}"


def grid_of(
    fields: Iterable[Field],
    records: Iterable[dict[str, Any]],
    total: dict[str, Any] | None = None,
    marked: Iterable[int] = (),
) -> Grid:
    """A grid from dictionaries; a field that a dictionary lacks is unknown (None)."""
    columns = tuple(fields)
    names = [entry.name for entry in columns]
    return Grid(
        columns,
        tuple(tuple(record.get(name) for name in names) for record in records),
        tuple(total.get(name) for name in names) if total is not None else None,
        frozenset(marked),
    )

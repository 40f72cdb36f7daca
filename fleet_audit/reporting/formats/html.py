"""The report as one HTML file: no external resource, readable without scripts, sortable and filterable with them.

The layout is in the templates; here only the document's values are turned into texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import (
    NUMERIC,
    SENTENCE_WIDTH,
    SIGNED,
    Document,
    Field,
    Folded,
    Grid,
    Kind,
    Section,
    written,
)
from fleet_audit.reporting.labels import SEVERITIES
from fleet_audit.reporting.sections.incidents import finding_anchor

_TEMPLATES = Path(__file__).parents[1] / "templates"
_FILTERS = ("unit", "cost_center", "carrier", "severity", "status", "area", "vehicle_class")
_TONES = {word: f"sev sev-{code}" for code, word in SEVERITIES.items()}


def document_page(document: Document) -> bytes:
    """The HTML of a report, UTF-8."""
    # The charts and maps escape every label themselves.
    charts = [(chart.title, Markup(chart.picture)) for chart in document.charts]  # noqa: S704
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            document=document,
            charts=charts,
            sections=[_section(section) for section in document.sections if not section.is_workbook_only],
            no_data=locale.NO_DATA,
        )
    )
    return page.encode()


@lru_cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own files, not data: they go in as they are.
    environment.globals["style"] = Markup((_TEMPLATES / "report.css").read_text("utf-8"))  # noqa: S704
    environment.globals["script"] = Markup((_TEMPLATES / "report.js").read_text("utf-8"))  # noqa: S704
    return environment


def _unbroken(value: Any) -> Any:
    """Finished markup, such as a chart or the style, stays as it is: `m` in the path of a curve is not a unit."""
    return locale.unbroken(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _section(section: Section) -> dict[str, object]:
    return {
        "key": section.key,
        "title": section.title,
        "note": section.note,
        "empty": section.empty,
        "is_listing": section.is_listing,
        "table": _table(section, section.shown_grid, section.grid) if section.grid and section.shown_grid else None,
        "pictures": [Markup(picture) for picture in section.pictures],  # noqa: S704
    }


def _table(section: Section, grid: Grid, whole: Grid) -> dict[str, object]:
    rows, more = section.cut(section.page_rows)
    shown = [index for index, entry in enumerate(grid.fields) if entry.in_print]
    fields = [grid.fields[index] for index in shown]
    return {
        "headers": [{"label": entry.label, "css": _css(entry), "kind": _sort_kind(entry.kind)} for entry in fields],
        "rows": [
            [_cell(row[index], grid.fields[index], number in grid.marked) for index in shown]
            for number, row in enumerate(rows)
        ],
        "anchors": _anchors(section, grid, rows),
        "count": locale.number(len(whole.rows), 0),
        "more": more,
        "labels": Markup(_label_rules(section.key, fields)),  # noqa: S704
        "total": None if grid.total is None else [_total(grid.total[index], grid.fields[index]) for index in shown],
        "choices": [
            {
                "column": column,
                "label": entry.label,
                "values": sorted({row[index] for row in rows if row[index] is not None}),
            }
            for column, (index, entry) in enumerate(zip(shown, fields, strict=True))
            if entry.name in _FILTERS
        ],
    }


def _anchors(section: Section, grid: Grid, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Ids of the rows of findings, which links lead to; of other rows, empty texts."""
    if section.key != "findings":
        return [""] * len(rows)
    column = next(index for index, entry in enumerate(grid.fields) if entry.name == "finding_id")
    return [finding_anchor(row[column]) for row in rows]


def _label_rules(key: str, fields: Sequence[Field]) -> str:
    """CSS that writes each column's name before its cells, for phones: a table row is a card there.

    Once per column, not once per cell: 2,500 trips would be 1.4 MB heavier.
    """
    return "".join(
        f"#{key} td:nth-child({column})::before{{content:{json.dumps(entry.label, ensure_ascii=False)}}}"
        for column, entry in enumerate(fields, start=1)
    )


def _cell(value: Any, entry: Field, is_marked: bool = False) -> tuple[str, str]:
    """CSS class and text of one cell; the unknown is a dash that a screen reader says in words."""
    css = _css(entry)
    if value is None:
        return (css + " u").strip(), ""
    if is_marked and entry.kind in SIGNED:
        css += " over" if value > 0 else " under"
    if isinstance(value, Folded):
        return css, _folded(value)
    return _TONES.get(value, css) if entry.name == "severity" else css, written(value, entry.kind)


def _folded(value: Folded) -> Markup:
    lines = Markup().join(Markup("<li>{}</li>").format(locale.unbroken(line)) for line in value.lines)
    return Markup("{}<details><summary>ver cada um</summary><ul>{}</ul></details>").format(
        locale.unbroken(value), lines
    )


def _total(value: Any, entry: Field) -> tuple[str, str]:
    return ("", "") if value is None and entry.kind not in NUMERIC else _cell(value, entry)


def _css(entry: Field) -> str:
    """Numbers, dates, and sentences, which have a line of their own on a phone."""
    if entry.kind in NUMERIC:
        return "n"
    if entry.kind in (Kind.DATE, Kind.MOMENT):
        return "d"
    return "t" if entry.width >= SENTENCE_WIDTH else ""


def _sort_kind(kind: Kind) -> str:
    return "number" if kind in NUMERIC else "date" if kind in (Kind.DATE, Kind.MOMENT) else "text"

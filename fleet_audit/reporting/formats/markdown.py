"""Parts of a report as Markdown, for the console and for notices.

The caller chooses the parts; a value's own markup stays text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleet_audit.reporting.document_model import NUMERIC, Document, Grid, written

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")


def cards_text(document: Document) -> str:
    """The headline as a table: name, value, and what the value excludes."""
    rows = [[_escaped(card.label), f"**{_escaped(card.text)}**", _escaped(card.note)] for card in document.cards]
    stamp = f"**{_escaped(document.stamp)}**\n\n" if document.stamp else ""
    title = f"**{_escaped(document.title)}**, {_escaped(document.subtitle)}. {_escaped(document.origin)}\n\n"
    return title + stamp + _table(["", "", ""], [":--", "--:", ":--"], rows)


def grid_text(grid: Grid, names: Sequence[str], most_rows: int) -> str:
    """The first rows of a grid with the fields named; a sentence for a grid without rows."""
    if not grid.rows:
        return "Nada a mostrar."
    places = [next(index for index, entry in enumerate(grid.fields) if entry.name == name) for name in names]
    fields = [grid.fields[index] for index in places]
    rows = [
        [_escaped(written(row[index], grid.fields[index].kind, missing="–")) for index in places]
        for row in grid.rows[:most_rows]
    ]
    more = f"\n\n… {most_rows} de {len(grid.rows)}" if len(grid.rows) > most_rows else ""
    sides = ["--:" if entry.kind in NUMERIC else ":--" for entry in fields]
    return _table([entry.label for entry in fields], sides, rows) + more


def _table(heads: Sequence[str], sides: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, sides, *rows))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))

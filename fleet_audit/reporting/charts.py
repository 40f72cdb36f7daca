"""Bar charts as small hand-written SVG, the same for the screen and for paper.

Geometry belongs here; which numbers are drawn does not. Colours are Okabe and Ito's, told apart without red and green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

BLUE, SKY, ORANGE, GREY, INK, MUTED = "#0072B2", "#7FBFE4", "#D98200", "#B8C0C8", "#1F2933", "#5B6770"
FONT = "'DejaVu Sans', system-ui, sans-serif"
_WIDTH, _LABEL, _VALUE, _BAR, _GAP, _TOP = 560, 150, 92, 11, 10, 30
_LABEL_LETTERS, _MOST_ROWS = 23, 12


@dataclass(frozen=True)
class Bar:
    """One row of a chart: its label, one length a series (None: unknown), and what is written at its end."""

    label: str
    lengths: tuple[Decimal | None, ...]
    text: str


def bars(title: str, series: Sequence[tuple[str, str]], rows: Sequence[Bar], *, stacked: bool) -> str:
    """Horizontal bars, stacked or side by side; `series` are (name, colour). No rows: an empty text.

    Draws the first twelve rows and says how many more there are.
    """
    shown = list(rows[:_MOST_ROWS])
    if not shown:
        return ""
    thick = _BAR if stacked else _BAR * len(series)
    step = thick + _GAP
    height = _TOP + step * len(shown) + (16 if len(rows) > len(shown) else 0)
    scale = (_WIDTH - _LABEL - _VALUE) / (float(max(_reach(row, stacked) for row in shown)) or 1.0)
    parts = [_legend(series)]
    for index, row in enumerate(shown):
        parts.append(_row(row, series, _TOP + index * step, thick, scale, stacked))
    if len(rows) > len(shown):
        parts.append(_text(_LABEL, height - 4, f"e mais {len(rows) - len(shown)}", MUTED))
    words = "; ".join(f"{row.label}: {row.text}" for row in shown)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title + ". " + words)}" font-family="{FONT}" '
        f'font-size="11">{"".join(parts)}</svg>'
    )


def _reach(row: Bar, stacked: bool) -> Decimal:
    lengths = [length or Decimal(0) for length in row.lengths]
    return sum(lengths, Decimal(0)) if stacked else max(lengths)


def _row(row: Bar, series: Sequence[tuple[str, str]], top: float, thick: int, scale: float, stacked: bool) -> str:
    label = row.label if len(row.label) <= _LABEL_LETTERS else row.label[: _LABEL_LETTERS - 1] + "…"
    middle = top + thick / 2 + 4
    parts = [_text(_LABEL - 8, middle, label, INK, "end")]
    left, reach = float(_LABEL), float(_LABEL)
    for index, ((_, colour), length) in enumerate(zip(series, row.lengths, strict=True)):
        width = float(length or 0) * scale
        y = top if stacked else top + index * _BAR
        parts.append(f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BAR - 1}" fill="{colour}"/>')
        reach = max(reach, left + width)
        left += width if stacked else 0
    parts.append(_text(reach + 6, middle, row.text, INK))
    return "".join(parts)


def _legend(series: Sequence[tuple[str, str]]) -> str:
    parts, left = [], float(_LABEL)
    for name, colour in series:
        parts.append(f'<rect x="{left:.1f}" y="4" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(left + 15, 13, name, MUTED))
        left += 30 + 6.6 * len(name)
    return "".join(parts)


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'

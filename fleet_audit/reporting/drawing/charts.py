"""Bar charts as small hand-written SVG, the same for the screen and for paper.

Geometry belongs here; the choice of numbers does not. Colours are Okabe and Ito's, distinct without red and green.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

BLUE, SKY, ORANGE, GREY, INK, MUTED = "#0072B2", "#7FBFE4", "#D98200", "#B8C0C8", "#1F2933", "#5B6770"
FONT = "'DejaVu Sans', system-ui, sans-serif"
# 420 wide: letters of 11 stay readable when a phone of 390 shows the whole chart.
_WIDTH, _LABEL, _VALUE, _BAR, _GAP, _TOP = 420, 132, 92, 11, 10, 30
_LABEL_LETTERS, _MOST_ROWS, _COLUMNS_HEIGHT = 20, 12, 190


@dataclass(frozen=True)
class Bar:
    """One row of a chart: its label, one length per series (None: unknown), and the text at its end.

    `marks`, one per series, stand at the end of each bar of its own instead.
    """

    label: str
    lengths: tuple[Decimal | None, ...]
    text: str
    marks: tuple[str, ...] = ()


def bars(title: str, series: Sequence[tuple[str, str]], rows: Sequence[Bar], *, stacked: bool) -> str:
    """Horizontal bars, stacked or side by side; `series` are (name, colour). No rows: an empty text.

    Draws the first twelve rows and shows the number of the others.
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
    return _svg(title, shown, height, parts)


def columns(title: str, series: Sequence[tuple[str, str]], rows: Sequence[Bar]) -> str:
    """Upright stacked bars in order of time, every fifth labelled, the highest with its value.

    No rows: an empty text.
    """
    if not rows:
        return ""
    base, left = _COLUMNS_HEIGHT - 18, 10.0
    highest = max(rows, key=lambda row: _reach(row, True))
    scale = (base - _TOP - 14) / (float(_reach(highest, True)) or 1.0)
    step = min((_WIDTH - 2 * left) / len(rows), 40.0)
    parts = [_legend(series, left)]
    for index, row in enumerate(rows):
        x, y = left + index * step, float(base)
        for (_, colour), length in zip(series, row.lengths, strict=True):
            tall = float(length or 0) * scale
            y -= tall
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.72:.1f}" height="{tall:.1f}" fill="{colour}"/>'
            )
        middle = x + step * 0.36
        if index % 5 == 0:
            parts.append(_text(middle, base + 14, row.label, MUTED, "middle"))
        if row is highest:
            parts.append(_text(min(max(middle, 50), _WIDTH - 50), y - 5, row.text, INK, "middle"))
    parts.append(f'<rect x="{left}" y="{base}" width="{step * len(rows):.1f}" height="0.7" fill="{GREY}"/>')
    return _svg(title, rows, _COLUMNS_HEIGHT, parts)


def _svg(title: str, rows: Sequence[Bar], height: int, parts: Sequence[str]) -> str:
    words = "; ".join(f"{row.label}: {row.text}" for row in rows)
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
        if row.marks:
            parts.append(_text(left + width + 6, y + _BAR - 2, row.marks[index], INK))
        reach = max(reach, left + width)
        left += width if stacked else 0
    if not row.marks:
        parts.append(_text(reach + 6, middle, row.text, INK))
    return "".join(parts)


def _legend(series: Sequence[tuple[str, str]], left: float = _LABEL) -> str:
    parts = []
    for name, colour in series:
        parts.append(f'<rect x="{left:.1f}" y="4" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(left + 15, 13, name, MUTED))
        left += 30 + 6.6 * len(name)
    return "".join(parts)


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'

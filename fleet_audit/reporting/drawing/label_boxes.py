"""Labels of a picture that never overlap: each takes the first free position near its point, else it is omitted.

Which labels a picture has, and in which order they choose, is decided where it is drawn.
"""

from __future__ import annotations

from html import escape

from fleet_audit.reporting.drawing.charts import INK

_LETTER, _LINE = 6.9, 15  # width and height of a letter at a font size of 12, pixels
_HALO = "#F6F7F8"


class LabelBoxes:
    """The rectangles of a picture that are taken, of which each label needs a free one."""

    def __init__(self, width: float, height: float, top: float = 0) -> None:
        """Nothing is taken; labels stay inside the picture and below `top`."""
        self._width, self._height, self._top = width, height, top
        self._taken: list[tuple[float, float, float, float]] = []

    def take(self, left: float, top: float, right: float, bottom: float) -> None:
        """Keep labels away from a rectangle."""
        self._taken.append((left, top, right, bottom))

    def label(self, x: float, y: float, text: str, colour: str = INK, distance: float = 9) -> str:
        """SVG of the text beside, above or below the point; an empty text where all these places are taken."""
        wide = _LETTER * len(text)
        corners = (
            (x + distance, y - _LINE / 2),
            (x - distance - wide, y - _LINE / 2),
            (x - wide / 2, y - distance - _LINE),
            (x - wide / 2, y + distance),
            (x + distance, y - distance - _LINE),
            (x + distance, y + distance),
            (x - distance - wide, y - distance - _LINE),
            (x - distance - wide, y + distance),
        )
        for left, top in corners:
            box = (left, top, left + wide, top + _LINE)
            if self._is_free(box):
                self._taken.append(box)
                return (
                    f'<text x="{left:.1f}" y="{top + 11.5:.1f}" fill="{colour}" stroke="{_HALO}" stroke-width="2.5" '
                    f'paint-order="stroke">{escape(text)}</text>'
                )
        return ""

    def _is_free(self, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        if left < 2 or right > self._width - 2 or top < self._top or bottom > self._height - 2:
            return False
        return not any(left < old[2] and old[0] < right and top < old[3] and old[1] < bottom for old in self._taken)

"""The registered place that a person's text names: a beginning of its name, or a text with its address pattern.

The place at which a position lies is in `places`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.identity import fold

_STRAY = re.compile(r"[.,;\-_/]+")
_LEAST_LETTERS = 4  # a shorter text begins too many names


class NamedPlaces:
    """Places with name and address_pattern, prepared for many texts; several dated rows of one place are one place."""

    def __init__(self, places: Iterable[dict[str, Any]]) -> None:
        self._places = [(plain_place(place["name"]), plain_place(place["address_pattern"]), place) for place in places]

    def named_by(self, text: object) -> dict[str, Any] | None:
        """The one place that the text names; None where it names none, or several."""
        plain = plain_place(text)
        if len(plain) < _LEAST_LETTERS:
            return None
        return _only(
            place for name, pattern, place in self._places if name.startswith(plain) or (pattern and pattern in plain)
        )

    def with_code(self, code: object) -> dict[str, Any] | None:
        """The place with that poi_id, case and stray marks ignored; None where there is none, or several."""
        plain = plain_place(code)
        return _only(place for _, _, place in self._places if plain and plain_place(place["poi_id"]) == plain)


def places_named_by_runs(runs: pd.DataFrame, side: str, pois: pd.DataFrame) -> list[dict[str, Any] | None]:
    """The place that each run's code or text of that side names, of its unit; None where they name none, or several.

    A code that is registered wins, be it written in the place of the name. Each text of a unit is looked up once: 500
    vehicles write some 2,000 runs, and 100 texts.

    Args:
        runs: unit_code, and {side}_code and {side}_text; side: `origin` or `destination`.
        pois: rows of `ref.pois`.
    """
    keys = ["unit_code", f"{side}_code", f"{side}_text"]
    texts = runs[keys].astype(object).where(runs[keys].notna(), None)
    asked = list(zip(*(texts[key] for key in keys), strict=True))
    places = pois.to_dict("records")
    of_unit = {
        unit: NamedPlaces(place for place in places if pd.isna(place["unit_code"]) or place["unit_code"] == unit)
        for unit in {unit for unit, _, _ in asked}
    }
    named = {
        (unit, code, text): of_unit[unit].with_code(code)
        or of_unit[unit].with_code(text)
        or of_unit[unit].named_by(text)
        for unit, code, text in set(asked)
    }
    return [named[key] for key in asked]


def _only(places: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The last row of the places, where they are one place."""
    found = {place["poi_id"]: place for place in places}
    return next(iter(found.values())) if len(found) == 1 else None


def plain_place(text: Any) -> str:
    """A text as it is compared: folded, without stray marks; a missing one is empty."""
    return "" if pd.isna(text) else fold(_STRAY.sub(" ", str(text)))

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
    """Places with name and address_pattern, prepared for many texts."""

    def __init__(self, places: Iterable[dict[str, Any]]) -> None:
        self._places = [(plain_place(place["name"]), plain_place(place["address_pattern"]), place) for place in places]

    def named_by(self, text: object) -> dict[str, Any] | None:
        """The one place that the text names; None where it names none, or several."""
        plain = plain_place(text)
        if len(plain) < _LEAST_LETTERS:
            return None
        found = [
            place for name, pattern, place in self._places if name.startswith(plain) or (pattern and pattern in plain)
        ]
        return found[0] if len(found) == 1 else None


def plain_place(text: Any) -> str:
    """A text as it is compared: folded, without stray marks; a missing one is empty."""
    return "" if pd.isna(text) else fold(_STRAY.sub(" ", str(text)))

"""A quiet map of the day: each unit's legs as straight lines between stops, and its places, as one SVG.

Projection and drawing belong here; which place a stop is, is decided before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from fleet_audit.reporting.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE
from fleet_audit.reporting.inputs import Frames, names_of, records

_PANEL_W, _PANEL_H, _PAD, _HEAD, _GAP, _COLUMNS = 380, 270, 26, 24, 16, 3
_KM_PER_DEGREE = 111.195
_MOST_LEGS = 400  # a panel's lines beyond this only add weight: 2,500 legs made the page 0.5 MB heavier
_WORKPLACES = ("usina", "frente")
_ENDS = ["origin_longitude", "origin_latitude", "destination_longitude", "destination_latitude"]


@dataclass(frozen=True)
class _View:
    """A panel's window on the earth, in kilometres around its middle."""

    longitude: float
    latitude: float
    scale: float  # pixels a kilometre
    left: float
    top: float

    def point(self, longitude: float, latitude: float) -> tuple[float, float]:
        east = (longitude - self.longitude) * _KM_PER_DEGREE * math.cos(math.radians(self.latitude))
        north = (latitude - self.latitude) * _KM_PER_DEGREE
        return (
            self.left + _PANEL_W / 2 + east * self.scale,
            self.top + _HEAD + (_PANEL_H - _HEAD) / 2 - north * self.scale,
        )


def unit_maps(frames: Frames, lines: pd.DataFrame) -> str | None:
    """One panel a unit whose legs have coordinates; None when none has."""
    legs = frames.legs.dropna(subset=_ENDS).merge(lines[["trip_id", "unit_code", "purpose"]], on="trip_id")
    legs = legs[legs["unit_code"].notna() & ~legs["is_short"].fillna(False)]
    names = names_of(frames.units, "unit_code")
    codes = sorted(legs["unit_code"].unique(), key=lambda code: names.get(code, code))
    if not codes:
        return None
    columns = min(_COLUMNS, len(codes))
    places = frames.pois.dropna(subset=["latitude", "longitude"]).drop_duplicates("poi_id", keep="last")
    panels = []
    for index, code in enumerate(codes):
        left, top = index % columns * (_PANEL_W + _GAP), index // columns * (_PANEL_H + _GAP)
        own = legs[legs["unit_code"] == code]
        visited = set(own["origin_poi_id"].dropna()) | set(own["destination_poi_id"].dropna())
        of_unit = places[(places["unit_code"] == code) | places["poi_id"].isin(visited)]
        panels.append(
            _panel(names.get(code, code), records(own.head(_MOST_LEGS)), len(own), records(of_unit), left, top)
        )
    width = columns * (_PANEL_W + _GAP) - _GAP
    height = math.ceil(len(codes) / columns) * (_PANEL_H + _GAP) - _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="Mapa das viagens por unidade" font-family="{FONT}" '
        f'font-size="10">{"".join(panels)}</svg>'
    )


def _panel(
    name: str, legs: Sequence[dict[str, Any]], count: int, places: Sequence[dict[str, Any]], left: float, top: float
) -> str:
    view = _view(legs, left, top)
    title = name if count <= len(legs) else f"{name} (primeiros {len(legs)} de {count} trechos)"
    parts = [
        f'<rect x="{left}" y="{top}" width="{_PANEL_W}" height="{_PANEL_H}" fill="#F6F7F8"/>',
        f'<text x="{left + 10}" y="{top + 16}" fill="{INK}" font-weight="600">{escape(title)}</text>',
    ]
    for leg in sorted(legs, key=lambda row: row["purpose"] == "service"):
        start, end = view.point(*(leg[key] for key in _ENDS[:2])), view.point(*(leg[key] for key in _ENDS[2:]))
        colour = BLUE if leg["purpose"] == "service" else GREY
        parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{colour}" stroke-width="1" stroke-opacity="0.45"/>'
        )
    parts += [_place(place, view, left, top) for place in places]
    return "".join([*parts, _ruler(view.scale, left, top)])


def _view(legs: Sequence[dict[str, Any]], left: float, top: float) -> _View:
    longitudes = [leg[key] for leg in legs for key in (_ENDS[0], _ENDS[2])]
    latitudes = [leg[key] for leg in legs for key in (_ENDS[1], _ENDS[3])]
    longitude = (min(longitudes) + max(longitudes)) / 2
    latitude = (min(latitudes) + max(latitudes)) / 2
    wide = (max(longitudes) - min(longitudes)) * _KM_PER_DEGREE * math.cos(math.radians(latitude))
    high = (max(latitudes) - min(latitudes)) * _KM_PER_DEGREE
    scale = min((_PANEL_W - 2 * _PAD) / max(wide, 1), (_PANEL_H - _HEAD - 2 * _PAD) / max(high, 1))
    return _View(longitude, latitude, scale, left, top)


def _place(place: dict[str, Any], view: _View, left: float, top: float) -> str:
    x, y = view.point(place["longitude"], place["latitude"])
    if not (left + 4 < x < left + _PANEL_W - 4 and top + _HEAD < y < top + _PANEL_H - 4):
        return ""
    if place["kind"] in _WORKPLACES:
        mark = f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{ORANGE}"/>'
    else:
        mark = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{INK}"/>'
    is_right = x < left + _PANEL_W * 0.62
    text = (
        f'<text x="{x + (8 if is_right else -8):.1f}" y="{y + 3.5:.1f}" fill="{INK}" '
        f'text-anchor="{"start" if is_right else "end"}">{escape(place["name"] or place["poi_id"])}</text>'
    )
    return mark + text


def _ruler(scale: float, left: float, top: float) -> str:
    km = next(length for length in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2) if length * scale <= 90 or length == 0.2)
    x, y = left + 10, top + _PANEL_H - 10
    return (
        f'<path d="M{x} {y - 3}v3h{km * scale:.1f}v-3" fill="none" stroke="{MUTED}"/>'
        f'<text x="{x + km * scale + 6:.1f}" y="{y + 1}" fill="{MUTED}">{str(km).replace(".", ",")} km</text>'
    )

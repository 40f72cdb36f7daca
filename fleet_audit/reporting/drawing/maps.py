"""A map of the day, one SVG per unit: trips as lines between stops, coloured by divergence, and the places.

Projection and drawing belong here; places of stops and divergences are inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from fleet_audit.reporting.drawing.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE, SKY
from fleet_audit.reporting.locale import counted, number
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

_PANEL_W, _PANEL_H, _PAD, _HEAD, _LEGEND = 380, 300, 26, 24, 44
_LETTER = 5.9
_KM_PER_DEGREE = 111.195
_MOST_LEGS = 400  # a map's lines beyond this only add weight: 2,500 legs made the page 0.5 MB heavier
_WORKPLACES = ("usina", "frente")
_ENDS = ["origin_longitude", "origin_latitude", "destination_longitude", "destination_latitude"]


@dataclass(frozen=True)
class _Tone:
    """How trips of one class are drawn: distinguished by width and dashes as well as by colour."""

    words: str
    colour: str
    width: float
    dashes: str = ""

    @property
    def stroke(self) -> str:
        dashes = f' stroke-dasharray="{self.dashes}"' if self.dashes else ""
        return f'stroke="{self.colour}" stroke-width="{self.width}"{dashes}'


# In order of drawing: diverging trips lie on top.
_TONES = {
    "other": _Tone("vazio e outras", GREY, 1),
    "within": _Tone("dentro da tolerância", SKY, 1.4),
    "alone": _Tone("sem declaração", INK, 1.4, "2 3"),
    "under": _Tone("declarado a menos", BLUE, 2.2, "7 3"),
    "over": _Tone("declarado a mais", ORANGE, 2.6),
}
_RANKS = {name: rank for rank, name in enumerate(_TONES)}


@dataclass(frozen=True)
class _View:
    """A map's window on the earth, in kilometres around its middle."""

    longitude: float
    latitude: float
    scale: float  # pixels per kilometre

    def point(self, longitude: float, latitude: float) -> tuple[float, float]:
        east = (longitude - self.longitude) * _KM_PER_DEGREE * math.cos(math.radians(self.latitude))
        north = (latitude - self.latitude) * _KM_PER_DEGREE
        return _PANEL_W / 2 + east * self.scale, (_HEAD + _PANEL_H - _LEGEND) / 2 - north * self.scale


def unit_maps(frames: Frames, lines: pd.DataFrame) -> tuple[str, ...]:
    """One map per unit whose legs have coordinates, by the units' names.

    Of more than 400 legs those that diverge are kept first.
    """
    legs = frames.legs.dropna(subset=_ENDS)
    legs = legs[~legs["is_short"].fillna(False)].merge(
        lines[["trip_id", "unit_code"]].assign(tone=_tones(lines)), on="trip_id"
    )
    legs = legs.dropna(subset=["unit_code"])
    names = names_of(frames.units, "unit_code")
    places = frames.pois.dropna(subset=["latitude", "longitude"]).drop_duplicates("poi_id", keep="last")
    maps = []
    for code in sorted(legs["unit_code"].unique(), key=lambda code: names.get(code, code)):
        own = legs[legs["unit_code"] == code]
        visited = set(own["origin_poi_id"].dropna()) | set(own["destination_poi_id"].dropna())
        of_unit = places[(places["unit_code"] == code) | places["poi_id"].isin(visited)]
        maps.append(_map(names.get(code, code), own, records(of_unit)))
    return tuple(maps)


def _tones(lines: pd.DataFrame) -> pd.Series:
    """The class of each trip, a key of `_TONES`."""
    tone = pd.Series("within", index=lines.index, dtype="object")
    exceeds = lines["is_exceeding"].fillna(False)
    tone[lines["difference_km"].isna()] = "alone"
    tone[exceeds & (lines["difference_km"] > 0).fillna(False)] = "over"
    tone[exceeds & (lines["difference_km"] < 0).fillna(False)] = "under"
    tone[lines["purpose"] != "service"] = "other"
    return tone


def _map(name: str, legs: pd.DataFrame, places: Sequence[dict[str, Any]]) -> str:
    counts = legs["tone"].value_counts()
    counted_tones = [f"{counts[tone]} {_TONES[tone].words}" for tone in reversed(_TONES) if tone in counts]
    drawn = legs.assign(rank=legs["tone"].map(_RANKS)).sort_values(["rank", "leg_id"], kind="stable").tail(_MOST_LEGS)
    shown = records(drawn[[*_ENDS, "tone"]])
    view = _view(shown)
    title = name if len(legs) <= len(shown) else f"{name} ({len(shown)} de {number(len(legs), 0)} trechos)"
    words = f"Mapa de {name}: {counted(len(legs), 'trecho', 'trechos')}, {', '.join(counted_tones)}"
    parts = [
        f'<rect width="{_PANEL_W}" height="{_PANEL_H}" fill="#F6F7F8"/>',
        f'<text x="10" y="16" fill="{INK}" font-weight="600">{escape(title)}</text>',
        *(_line(leg, view) for leg in shown),
        *_places(places, view),
        _ruler(view.scale),
        _legend([tone for tone in reversed(_TONES) if tone in counts]),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_PANEL_W} {_PANEL_H}" width="{_PANEL_W}" '
        f'height="{_PANEL_H}" role="img" aria-label="{escape(words)}" font-family="{FONT}" '
        f'font-size="10">{"".join(parts)}</svg>'
    )


def _line(leg: dict[str, Any], view: _View) -> str:
    start, end = (view.point(*(leg[key] for key in ends)) for ends in (_ENDS[:2], _ENDS[2:]))
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'{_TONES[leg["tone"]].stroke} stroke-opacity="0.75"/>'
    )


def _view(legs: Sequence[dict[str, Any]]) -> _View:
    longitudes = [leg[key] for leg in legs for key in (_ENDS[0], _ENDS[2])]
    latitudes = [leg[key] for leg in legs for key in (_ENDS[1], _ENDS[3])]
    longitude = (min(longitudes) + max(longitudes)) / 2
    latitude = (min(latitudes) + max(latitudes)) / 2
    wide = (max(longitudes) - min(longitudes)) * _KM_PER_DEGREE * math.cos(math.radians(latitude))
    high = (max(latitudes) - min(latitudes)) * _KM_PER_DEGREE
    tall = _PANEL_H - _HEAD - _LEGEND - 2 * _PAD
    return _View(longitude, latitude, min((_PANEL_W - 2 * _PAD) / max(wide, 1), tall / max(high, 1)))


def _places(places: Sequence[dict[str, Any]], view: _View) -> list[str]:
    """Marks of all places; names of those that have room, workplaces first: thirty stops in one town overlap."""
    marks, names = [], []
    taken: list[tuple[float, float, float, float]] = [(0, 0, _PANEL_W, _HEAD)]
    for place in sorted(places, key=lambda place: (place["kind"] not in _WORKPLACES, place["poi_id"])):
        x, y = view.point(place["longitude"], place["latitude"])
        if not (4 < x < _PANEL_W - 4 and _HEAD < y < _PANEL_H - _LEGEND - 4):
            continue
        if place["kind"] in _WORKPLACES:
            marks.append(f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{INK}"/>')
        else:
            marks.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="#FFFFFF" stroke="{INK}" stroke-width="1.4"/>'
            )
        name, is_right = place["name"] or place["poi_id"], x < _PANEL_W * 0.62
        width = _LETTER * len(name) + 8
        box = (x if is_right else x - width, y - 7, x + width if is_right else x, y + 7)
        if any(box[0] < old[2] and old[0] < box[2] and box[1] < old[3] and old[1] < box[3] for old in taken):
            continue
        taken.append(box)
        names.append(
            f'<text x="{x + (8 if is_right else -8):.1f}" y="{y + 3.5:.1f}" fill="{INK}" stroke="#F6F7F8" '
            f'stroke-width="2.5" paint-order="stroke" text-anchor="{"start" if is_right else "end"}">'
            f"{escape(name)}</text>"
        )
    return marks + names


def _ruler(scale: float) -> str:
    km = next(length for length in (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2) if length * scale <= 90 or length == 0.2)
    y, left = 17, _PANEL_W - 12 - km * scale
    return (
        f'<path d="M{left:.1f} {y - 3}v3h{km * scale:.1f}v-3" fill="none" stroke="{MUTED}"/>'
        f'<text x="{left - 6:.1f}" y="{y + 1}" fill="{MUTED}" text-anchor="end">{str(km).replace(".", ",")} km</text>'
    )


def _legend(tones: Sequence[str]) -> str:
    parts = []
    for index, name in enumerate(tones):
        x, y = 10 + index % 3 * 124, _PANEL_H - _LEGEND + 14 + index // 3 * 17
        tone = _TONES[name]
        parts.append(
            f'<line x1="{x}" y1="{y}" x2="{x + 18}" y2="{y}" {tone.stroke}/>'
            f'<text x="{x + 23}" y="{y + 3.5}" fill="{INK}" font-size="9">{tone.words}</text>'
        )
    return "".join(parts)

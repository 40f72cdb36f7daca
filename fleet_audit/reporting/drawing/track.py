"""The movement of one vehicle as pictures need it: its points, the marked periods, and shapes that both pictures use.

The map is in `track_map`, the chart of km over time in `odometer_chart`; the caller chooses points and periods.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.reporting.drawing.charts import FONT, INK
from fleet_audit.reporting.locale import REPORT_ZONE

_MOST_POINTS = 1500  # more are thinned: the eye sees no difference, a PDF of 10,000 takes seconds


@dataclass(frozen=True)
class Span:
    """A period to mark, instants in UTC: its name, and what a run declares for it or two readings showed in it, km."""

    name: str
    started_at: dt.datetime
    ended_at: dt.datetime
    declared_km: float | None = None
    readings_km: tuple[float, float] | None = None


@dataclass(frozen=True)
class Track:
    """Points of one vehicle in order of time: recorded_at, latitude, longitude, odometer_km, is_rejected.

    `spans` are the periods to mark, `zone` the reader's; `places` have name or poi_id, latitude, longitude, `stops` the
    same of where the vehicle stopped.
    """

    points: pd.DataFrame
    spans: Sequence[Span] = ()
    zone: str = REPORT_ZONE
    places: Sequence[Mapping[str, Any]] = field(default=())
    stops: Sequence[Mapping[str, Any]] = field(default=())

    def is_marked(self, times: pd.Series) -> np.ndarray:
        """Whether each instant lies in a marked period."""
        result = np.zeros(len(times), dtype=bool)
        for span in self.spans:
            result |= ((times >= span.started_at) & (times <= span.ended_at)).to_numpy()
        return result


def mark_rejected(points: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    """The points with reason_code, and is_rejected; a point without a fix was not rejected.

    Args:
        points: points of one vehicle with recorded_at.
        rejected: rows of `trips.rejected_points` of the same vehicle.
    """
    reasons = rejected.drop_duplicates("recorded_at").set_index("recorded_at")["reason_code"]
    found = points["recorded_at"].map(reasons)
    return points.assign(reason_code=found, is_rejected=found.notna() & (found != "no_fix"))


def thinned(count: int) -> np.ndarray:
    """Positions of at most 1,500 of so many points, evenly, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def line(x: np.ndarray, y: np.ndarray, colour: str, width: float) -> str:
    """A line through the points."""
    steps = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    return f'<path d="M{steps}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'


def text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    """A text at a point."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'


def picture(title: str, heading: str, width: float, height: float, parts: Sequence[str]) -> str:
    """The parts in a box with a heading; `title` is what a screen reader says."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}" font-family="{FONT}" font-size="12">'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#F6F7F8"/>'
        f'<text x="12" y="20" fill="{INK}" font-weight="600">{escape(heading)}</text>{"".join(parts)}</svg>'
    )

"""What odometer and GPS counted over time, what each marked run declares, and the readings that prove a fault.

Its points and marked periods are in `track`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.sphere import distance_m
from fleet_audit.reporting import locale
from fleet_audit.reporting.drawing.charts import BLUE, GREY, INK, MUTED, ORANGE, SKY
from fleet_audit.reporting.drawing.label_boxes import LabelBoxes
from fleet_audit.reporting.drawing.track import Span, Track, line, picture, text, thinned

_WIDTH, _PLOT, _LEFT, _RIGHT, _HEAD, _FOOT = 660, 230, 58, 28, 52, 30
_LANE, _MOST_LANES = 15, 4  # pixels per row of names above the plot; more periods than fit are shaded only
_LETTER = 6.9
_GPS = "GPS"
_TICKS = 5  # of time


@dataclass(frozen=True)
class _Series:
    name: str
    colour: str
    times: pd.Series
    km: np.ndarray


def odometer_chart(track: Track) -> str | None:
    """Km since the first reading by odometer and by GPS, and what each marked run declares. None without any."""
    seen = track.points[~track.points["is_rejected"]]
    series = [entry for entry in (_gps(seen), _odometer(seen)) if entry is not None]
    if not series:
        return None
    first = min([seen["recorded_at"].min(), *(span.started_at for span in track.spans)])
    last = max([seen["recorded_at"].max(), *(span.ended_at for span in track.spans)])
    seconds = max((last - first).total_seconds(), 1.0)
    runs = [(span, _counted_by(series[-1], span)) for span in track.spans if span.declared_km is not None]
    top = max([1.0, *(float(each.km.max()) for each in series), *(km + (run.declared_km or 0) for run, km in runs)])
    low = min([0.0, *(float(each.km.min()) for each in series)])

    def x_of(instant: Any) -> float:
        return _LEFT + (instant - first).total_seconds() / seconds * (_WIDTH - _LEFT - _RIGHT)

    lanes, names = _names(track.spans, x_of)
    plot = _HEAD + _LANE * lanes
    height = plot + _PLOT + _FOOT

    def y_of(km: float) -> float:
        return plot + _PLOT - (km - low) / (top - low) * _PLOT

    parts = [*_axes(first, seconds, (low, top), track.zone, x_of, y_of), *names]
    for span in track.spans:
        left = x_of(span.started_at)
        wide = max(x_of(span.ended_at) - left, 1.5)
        parts.append(f'<rect x="{left:.1f}" y="{plot}" width="{wide:.1f}" height="{_PLOT}" '
                     f'fill="{BLUE}" fill-opacity="0.09"/>')  # fmt: skip
    for each in series:
        thin = thinned(len(each.km))
        x = np.array([x_of(instant) for instant in each.times.iloc[thin]])
        width = 3.4 if each.name == _GPS else 1.6  # narrow on wide: equal lines are both seen
        parts.append(line(x, np.array([y_of(float(km)) for km in each.km[thin]]), each.colour, width))
    for run, km in runs:
        parts.append(f'<path d="M{x_of(run.started_at):.1f} {y_of(km):.1f}L{x_of(run.ended_at):.1f} '
                     f'{y_of(km + float(run.declared_km or 0)):.1f}" stroke="{INK}" stroke-width="1.6" '
                     f'stroke-dasharray="6 4" fill="none"/>')  # fmt: skip
    parts += _proofs(track.spans, seen, x_of, y_of, LabelBoxes(_WIDTH, height - _FOOT, plot))
    legend = [*((f"— {each.name}", each.colour) for each in series), *([("- - declarado", INK)] if runs else [])]
    parts += [text(12 + 110 * index, 40, word, colour) for index, (word, colour) in enumerate(legend)]
    heading = "Km desde a primeira leitura do período"
    return picture("Hodômetro e GPS ao longo do tempo", heading, _WIDTH, height, parts)


def _gps(seen: pd.DataFrame) -> _Series | None:
    """Path over the points so far."""
    at = seen.dropna(subset=["latitude", "longitude"])
    if at.empty:
        return None
    latitude, longitude = at["latitude"].to_numpy(dtype=float), at["longitude"].to_numpy(dtype=float)
    steps = distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    return _Series(_GPS, SKY, at["recorded_at"], np.concatenate([[0.0], np.cumsum(steps) / 1000]))


def _odometer(seen: pd.DataFrame) -> _Series | None:
    """Readings since the first one."""
    at = seen.dropna(subset=["odometer_km"])
    if at.empty:
        return None
    readings = at["odometer_km"].to_numpy(dtype=float)
    return _Series("hodômetro", ORANGE, at["recorded_at"], readings - readings[0])


def _counted_by(series: _Series, span: Span) -> float:
    """What had been counted when a period starts: where the line of its declared km begins."""
    before = int((series.times <= span.started_at).sum()) - 1
    return float(series.km[before]) if before >= 0 else 0.0


def _names(spans: Sequence[Span], x_of: Callable[[Any], float]) -> tuple[int, list[str]]:
    """Number of lanes above the plot, and each period's name in the first lane with room; no name overlaps another."""
    ends: list[float] = []
    parts = []
    for span in sorted(spans, key=lambda span: span.started_at):
        wide = _LETTER * len(span.name)
        x = max(min(x_of(span.started_at), _WIDTH - _RIGHT - wide), 4)
        lane = next((index for index, end in enumerate(ends) if end + 8 <= x), len(ends))
        if lane == _MOST_LANES:
            continue
        ends[lane : lane + 1] = [x + wide]
        parts.append(text(x, _HEAD + _LANE * lane + 10, span.name, MUTED))
    return len(ends), parts


def _proofs(
    spans: Sequence[Span],
    seen: pd.DataFrame,
    x_of: Callable[[Any], float],
    y_of: Callable[[float], float],
    labels: LabelBoxes,
) -> list[str]:
    """The two readings of each period that has them, as dots with the reading's value."""
    readings = seen["odometer_km"].dropna()
    parts = []
    for span in spans:
        for instant, reading in zip((span.started_at, span.ended_at), span.readings_km or (), strict=False):
            x, y = x_of(instant), y_of(reading - float(readings.iloc[0])) if len(readings) else y_of(0)
            value = f"{locale.number(Decimal(str(reading)), 1)} km"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="none" stroke="{INK}" stroke-width="1.6"/>')
            parts.append(labels.label(x, y, value))
    return parts


def _axes(
    first: Any,
    seconds: float,
    reach: tuple[float, float],
    zone: str,
    x_of: Callable[[Any], float],
    y_of: Callable[[float], float],
) -> list[str]:
    parts = []
    size = _tick(reach[1] - reach[0])
    for step in range(math.ceil(reach[0] / size), math.floor(reach[1] / size) + 1):
        y = y_of(step * size)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{GREY}" stroke-width="0.5"/>')
        parts.append(text(_LEFT - 6, y + 4, locale.plain(Decimal(f"{step * size:g}")), MUTED, "end"))
    bottom = y_of(reach[0]) + 18
    for step in range(_TICKS + 1):
        instant = first + pd.Timedelta(seconds=seconds * step / _TICKS)
        local = instant.astimezone(ZoneInfo(zone))
        parts.append(text(x_of(instant), bottom, f"{local:%d/%m %H:%M}", MUTED, "end" if step == _TICKS else "middle"))
    return parts


def _tick(reach: float) -> float:
    """The smallest of 1, 2, 5 × a power of ten that divides the axis into at most six."""
    power = 10.0 ** math.floor(math.log10(reach / 6))
    return next(size * power for size in (1, 2, 5, 10) if reach / (size * power) <= 6)

"""A fleet's calibration as one SVG: each vehicle's odometer / GPS ratio day by day, its levels, and where they change.

Only the drawing belongs here; levels and changes are found in `logic.devices.calibration`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from html import escape

import numpy as np
import pandas as pd

from fleet_audit.reporting.drawing.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE
from fleet_audit.reporting.locale import counted, day, number

_WIDTH, _LABEL, _VALUE, _TOP, _STEP = 760, 80, 232, 52, 34
_BAND_PCT = 4.0  # half-height of a row; what lies further out is drawn at its edge
_REASONS = {"device": "equipamento trocado", "ratio": "nível mudou"}


def calibration_chart(
    days: pd.DataFrame, segments: pd.DataFrame, first: dt.date, last: dt.date, title: str, *, most_vehicles: int = 20
) -> str:
    """One row per vehicle: a dot per day, a line per level, a dashed line where a level begins; no vehicles: "".

    Vehicles with a change come first, then those furthest from 1; beyond `most_vehicles` their number is shown.

    Args:
        days: rows of `fact.calibrations` of one fleet; segments: its rows of `fact.calibration_segments`.
        first, last: the time axis.
        title: the fleet's name.
        most_vehicles: rows drawn at most.
    """
    plates = _ordered(segments)
    if not plates:
        return ""
    shown = plates[:most_vehicles]
    height = _TOP + _STEP * len(shown) + (22 if len(plates) > len(shown) else 8)
    by_day = dict(tuple(days.groupby("plate")))
    by_segment = dict(tuple(segments.sort_values("segment_start").groupby("plate")))
    rows = [
        _row(plate, by_day[plate], by_segment[plate], _TOP + place * _STEP, _Axis(first, last))
        for place, plate in enumerate(shown)
    ]
    if len(plates) > len(shown):
        rest = counted(len(plates) - len(shown), "veículo", "veículos")
        rows.append(_text(_LABEL, height - 7, f"e mais {rest} sem mudança maior", MUTED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(_summary(title, segments, first, last))}" font-family="{FONT}" '
        f'font-size="10"><rect width="{_WIDTH}" height="{height}" fill="#FFFFFF"/>'
        f"{_legend(title, first, last)}{''.join(rows)}</svg>"
    )


class _Axis:
    """Time from left to right."""

    def __init__(self, first: dt.date, last: dt.date) -> None:
        self.first, self.length = first, max((last - first).days, 1)

    def x(self, date: dt.date) -> float:
        """Horizontal position of a day."""
        share = (date - self.first).days / self.length
        return _LABEL + 4 + min(max(share, 0.0), 1.0) * (_WIDTH - _LABEL - _VALUE - 8)


def _ordered(segments: pd.DataFrame) -> list[str]:
    """Plates, those with a change first, then those furthest from 1."""
    latest = segments.sort_values("segment_start").groupby("plate")
    table = pd.DataFrame({"changed": latest["is_change_point"].max(), "off": (latest["ratio"].last() - 1).abs()})
    table = table.sort_index().sort_values(["changed", "off"], ascending=False, kind="stable")
    return [str(plate) for plate in table.index]


def _summary(title: str, segments: pd.DataFrame, first: dt.date, last: dt.date) -> str:
    changes = segments[segments["is_change_point"].astype(bool)]
    shown = [
        f"{row.plate} em {day(row.segment_start)} ({_REASONS[row.reason]}, {_percent(row.ratio)})"
        for row in changes.sort_values(["segment_start", "plate"]).head(8).itertuples()
    ]
    vehicles = counted(segments["plate"].nunique(), "veículo", "veículos")
    words = f"Razão hodômetro/GPS de {title}, {day(first)} a {day(last)}: {vehicles}"
    return f"{words}; mudanças: {', '.join(shown) if shown else 'nenhuma'}."


def _legend(title: str, first: dt.date, last: dt.date) -> str:
    axis = _Axis(first, last)
    return "".join(
        [
            _text(_LABEL, 14, f"Razão hodômetro/GPS · {title}", INK),
            f'<circle cx="{_LABEL + 5}" cy="27" r="2" fill="{BLUE}"/>' + _text(_LABEL + 12, 31, "dia", MUTED),
            f'<path d="M{_LABEL + 42} 27h16" stroke="{INK}" stroke-width="2"/>'
            + _text(_LABEL + 62, 31, "nível", MUTED),
            f'<path d="M{_LABEL + 104} 20v14" stroke="{ORANGE}" stroke-width="2" stroke-dasharray="3 2"/>'
            + _text(_LABEL + 110, 31, "mudança", MUTED),
            f'<path d="M{_LABEL + 168} 27h16" stroke="{GREY}"/>'
            + _text(_LABEL + 188, 31, f"razão 1, faixa de ±{_BAND_PCT:.0f} %", MUTED),
            _text(axis.x(first), _TOP - 6, day(first), MUTED),
            _text(axis.x(last), _TOP - 6, day(last), MUTED, "end"),
        ]
    )


def _row(plate: str, days: pd.DataFrame, segments: pd.DataFrame, top: float, axis: _Axis) -> str:
    middle, half = top + _STEP / 2, _STEP / 2 - 3

    def y(ratio: float) -> float:
        return middle - float(np.clip(100 * (ratio - 1) / _BAND_PCT, -1, 1)) * half

    left, right = _LABEL + 4, _WIDTH - _VALUE - 4
    parts = [
        f'<path d="M{left} {middle:g}H{right}" stroke="{GREY}"/>',
        f'<path d="M{left} {top + _STEP:g}H{right}" stroke="{GREY}" stroke-width="0.4"/>',
        _text(_LABEL - 8, middle + 4, plate, INK, "end"),
    ]
    for row in segments.itertuples():
        start, end = axis.x(row.segment_start), axis.x(row.operational_date)
        level = y(row.ratio)
        parts.append(f'<path d="M{start - 2:.1f} {level:.1f}H{end + 2:.1f}" stroke="{INK}" stroke-width="2"/>')
        if row.is_change_point:
            parts.append(
                f'<path d="M{start - 3:.1f} {top + 3:g}v{_STEP - 6}" stroke="{ORANGE}" stroke-width="2" '
                'stroke-dasharray="3 2"/>'
            )
    parts += [
        f'<circle cx="{axis.x(row.operational_date):.1f}" cy="{y(row.ratio):.1f}" r="2" fill="{BLUE}"/>'
        for row in days.itertuples()
    ]
    parts += [
        _text(right + 12, middle - 1, _level(segments), INK),
        _text(right + 12, middle + 11, _changes(segments), MUTED),
    ]
    return "".join(parts)


def _level(segments: pd.DataFrame) -> str:
    """`+0,32 % ± 0,20 %; 1.234 km`: the present level."""
    last = segments.iloc[-1]
    spread = number(Decimal(str(round(last["spread_pct"], 2))))
    return f"{_percent(last['ratio'])} ± {spread} %; {number(round(last['km']), 0)} km"


def _changes(segments: pd.DataFrame) -> str:
    changed = segments[segments["is_change_point"].astype(bool)]
    if changed.empty:
        return f"{counted(int(segments['days'].sum()), 'dia', 'dias')}, sem mudança"
    last = changed.iloc[-1]
    return f"{_REASONS[last['reason']]} em {day(last['segment_start'])}"


def _percent(ratio: float) -> str:
    return f"{number(Decimal(str(round(100 * (ratio - 1), 2))), signed=True)} %"


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" fill="{colour}" text-anchor="{anchor}">{escape(content)}</text>'


def fleets(segments: pd.DataFrame) -> Sequence[tuple[str, str]]:
    """Unit and carrier of each fleet that has segments, in order."""
    known = (
        segments[["unit_code", "carrier_code"]].dropna().drop_duplicates().sort_values(["unit_code", "carrier_code"])
    )
    return [(str(row.unit_code), str(row.carrier_code)) for row in known.itertuples()]

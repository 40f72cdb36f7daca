"""The ledger of a day as one SVG: the kilometres of each vehicle by purpose, unbalanced vehicles first.

Only the drawing belongs here; the balance is decided in `logic.trips.ledger`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from html import escape

import pandas as pd

from fleet_audit.reporting.drawing.charts import BLUE, FONT, GREY, INK, MUTED, ORANGE, SKY
from fleet_audit.reporting.locale import counted, day, number

# Light beside dark, so that neighbours part in greyscale too; the residual is hatched.
_PARTS = (
    ("service_km", "serviço", BLUE),
    ("deadhead_km", "vazio", SKY),
    ("maintenance_km", "oficina", ORANGE),
    ("yard_km", "pátio", GREY),
    ("unknown_km", "sem motivo", "url(#dots)"),
    ("gap_km", "lacuna", "url(#stripes)"),
)
_PATTERNS = (
    '<defs><pattern id="stripes" width="5" height="5" patternUnits="userSpaceOnUse">'
    f'<rect width="5" height="5" fill="#FFFFFF"/><path d="M-1 1l2-2M0 5l5-5M4 6l2-2" stroke="{INK}"/></pattern>'
    '<pattern id="dots" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" fill="#FFFFFF"/>'
    f'<circle cx="2" cy="2" r="1" fill="{INK}"/></pattern></defs>'
)
_WIDTH, _LABEL, _VALUE, _TOP, _STEP, _THICK = 720, 80, 236, 46, 18, 12


def ledger_picture(ledger: pd.DataFrame, date: dt.date, *, most_vehicles: int = 30) -> str:
    """Stacked bars of a day, one per vehicle with data, and a tick at its odometer; nothing to show: "".

    The distance from a bar's end to the tick is the residual. Beyond `most_vehicles` their number is shown.

    Args:
        ledger: rows of `fact.km_ledger` of the day.
        date: the day.
        most_vehicles: rows drawn at most.
    """
    rows = _ordered(ledger)
    if rows.empty:
        return ""
    shown = rows.iloc[:most_vehicles]
    longest = max(float(shown["parts"].max()), float(shown["odometer_delta_km"].max(skipna=True) or 0.0), 1.0)
    scale = (_WIDTH - _LABEL - _VALUE) / longest
    height = _TOP + _STEP * len(shown) + (20 if len(rows) > len(shown) else 6)
    drawn = [_row(row, _TOP + number_ * _STEP, scale) for number_, row in enumerate(shown.to_dict("records"))]
    if len(rows) > len(shown):
        rest = rows.iloc[most_vehicles:]
        rest_line = f"e mais {counted(len(rest), 'veículo', 'veículos')}, {_balance(rest)}"
        drawn.append(_text(_LABEL, height - 6, rest_line, MUTED))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(_summary(rows, ledger, date))}" font-family="{FONT}" font-size="10">'
        f'{_PATTERNS}<rect width="{_WIDTH}" height="{height}" fill="#FFFFFF"/>{_legend(date)}{"".join(drawn)}</svg>'
    )


def _ordered(ledger: pd.DataFrame) -> pd.DataFrame:
    """Vehicles with data as floats, the unbalanced first, then those whose odometer is not known, then the longest."""
    names = ["odometer_delta_km", *(name for name, _, _ in _PARTS), "residual_km", "uncertainty_km"]
    rows = ledger[["plate", "is_balanced"]].join(ledger[names].astype("float64"))
    rows["parts"] = rows[[name for name, _, _ in _PARTS]].clip(lower=0).sum(axis=1)
    rows = rows[rows["odometer_delta_km"].notna() | (rows["parts"] > 0)]
    state = rows["is_balanced"].astype(object).map({False: 0, True: 2}).fillna(1)
    off = rows["residual_km"].abs().fillna(0).where(state == 0, 0.0)
    return rows.assign(state=state, off=off).sort_values(
        ["state", "off", "parts", "plate"], ascending=[True, False, False, True]
    )


def _summary(rows: pd.DataFrame, ledger: pd.DataFrame, date: dt.date) -> str:
    silent = len(ledger) - len(rows)
    text = f"Balanço do hodômetro de {day(date)}: {counted(len(rows), 'veículo', 'veículos')}, {_balance(rows)}"
    worst = rows[rows["state"] == 0].head(5)
    if len(worst):
        residuals = [f"{row.plate} {_km(row.residual_km, signed=True)} km" for row in worst.itertuples()]
        text += f"; resíduos: {', '.join(residuals)}"
    return f"{text}; sem dado: {silent}."


def _balance(rows: pd.DataFrame) -> str:
    states = rows["state"].value_counts()
    names = ((2, "fecha", "fecham"), (0, "não fecha", "não fecham"), (1, "sem hodômetro", "sem hodômetro"))
    return ", ".join(
        f"{states[state]} {one if states[state] == 1 else many}" for state, one, many in names if state in states
    )


def _legend(date: dt.date) -> str:
    parts = [_text(_LABEL, 14, f"Balanço do hodômetro, {day(date)}", INK)]
    left = float(_LABEL)
    for _, name, fill in _PARTS:
        parts.append(
            f'<rect x="{left:g}" y="24" width="10" height="10" fill="{fill}" stroke="{INK}" stroke-width="0.4"/>'
        )
        parts.append(_text(left + 14, 33, name, MUTED))
        left += 26 + 5.9 * len(name)
    parts.append(_tick(left + 3, 23, 12) + _text(left + 10, 33, "hodômetro", MUTED))
    return "".join(parts)


def _row(row: dict, top: float, scale: float) -> str:
    parts = [_text(_LABEL - 8, top + 10, row["plate"], INK, "end")]
    left = float(_LABEL)
    for name, _, fill in _PARTS:
        width = max(row[name], 0.0) * scale if row[name] == row[name] else 0.0
        if width >= 0.1:
            parts.append(
                f'<rect x="{left:.1f}" y="{top:g}" width="{width:.1f}" height="{_THICK}" fill="{fill}" '
                f'stroke="{INK}" stroke-width="0.4"/>'
            )
        left += width
    reach, delta = left, row["odometer_delta_km"]
    if delta == delta:
        at = _LABEL + max(delta, 0.0) * scale
        parts.append(_tick(at, top - 2, _THICK + 4))
        reach = max(reach, at)
    is_off = row["state"] == 0
    parts.append(_text(reach + 6, top + 10, _bar_text(row), INK if is_off else MUTED, weight="bold" if is_off else ""))
    return "".join(parts)


def _bar_text(row: dict) -> str:
    """`182,40 km; resíduo +0,32, além de 0,12` where it does not balance."""
    if row["odometer_delta_km"] != row["odometer_delta_km"]:
        return f"{_km(row['parts'])} km, hodômetro desconhecido"
    total = f"{_km(row['odometer_delta_km'])} km"
    if row["state"] != 0:
        return total
    return f"{total}; resíduo {_km(row['residual_km'], signed=True)}, além de {_limit(row)}"


def _limit(row: dict) -> str:
    stated = row["uncertainty_km"]
    return _km(0.0 if stated != stated else stated)


def _km(value: float, *, signed: bool = False) -> str:
    return number(Decimal(str(round(value, 2))), signed=signed)


def _tick(x: float, top: float, length: float) -> str:
    return f'<path d="M{x:.1f} {top:g}v{length:g}" stroke="{INK}" stroke-width="2"/>'


def _text(x: float, y: float, content: str, colour: str, anchor: str = "start", weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:g}" fill="{colour}" text-anchor="{anchor}"{bold}>{escape(content)}</text>'


def ledger_table(ledger: pd.DataFrame, days: Sequence[dt.date]) -> pd.DataFrame:
    """How many vehicles of each day balance, do not, have no odometer, or have no data."""
    dates = ledger["operational_date"]
    counts = []
    for date in days:
        of_day = ledger[dates == date]
        rows = _ordered(of_day)
        states = rows["state"].value_counts()
        counts.append(
            {
                "day": date.isoformat(),
                "balanced": int(states.get(2, 0)),
                "unbalanced": int(states.get(0, 0)),
                "without odometer": int(states.get(1, 0)),
                "without data": len(of_day) - len(rows),
            }
        )
    return pd.DataFrame(counts)

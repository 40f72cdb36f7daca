"""The ledger's picture: bars as long as their km, the unbalanced first, silence is named and not drawn."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from xml.etree import ElementTree

import pandas as pd
import pytest

from fleet_audit.reporting.drawing.ledger_picture import ledger_picture, ledger_table
from fleet_audit.schema import facts
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)
SVG = "{http://www.w3.org/2000/svg}"


def ledger(**days: dict | None) -> pd.DataFrame:
    """Rows of vehicles by what differs from a balanced day of 100 km in service; None: no data."""
    zeros = dict.fromkeys(("deadhead_km", "maintenance_km", "yard_km", "unknown_km", "gap_km", "residual_km"), "0.00")
    usual = {
        "odometer_delta_km": "100.00",
        "service_km": "100.00",
        **zeros,
        "uncertainty_km": "0.50",
        "is_balanced": True,
    }
    who = {"operational_date": DAY, "run_id": "r", "updated_at": pd.Timestamp("2025-06-11", tz="UTC")}
    return rows(
        facts.KM_LEDGER,
        *({**who, "plate": plate, **({} if day is None else {**usual, **day})} for plate, day in days.items()),
    )


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def bars(svg: str, fill: str) -> list[float]:
    """Widths of a part's bars, the legend's left out."""
    found = [rect for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect") if rect.get("fill") == fill]
    return [float(rect.get("width", 0)) for rect in found if float(rect.get("y", 0)) > 40]


def test_bars_are_as_long_as_their_km():
    parts = {"service_km": "60.00", "deadhead_km": "30.00", "gap_km": "10.00"}
    svg = ledger_picture(ledger(AAA1A11={}, BBB2B22=parts), DAY)
    long, short = bars(svg, "#0072B2")
    assert short / long == pytest.approx(0.6, abs=0.005)
    assert bars(svg, "#7FBFE4")[0] / long == pytest.approx(0.3, abs=0.005)
    assert bars(svg, "url(#stripes)")[0] / long == pytest.approx(0.1, abs=0.005)


def test_the_unbalanced_come_first_with_their_residual():
    off = {"odometer_delta_km": "108.25", "residual_km": "8.25", "is_balanced": False}
    svg = ledger_picture(ledger(AAA1A11={}, BBB2B22=off, CCC3C33=None), DAY)
    plates = [word for word in words(svg) if word[3:4].isdigit()]
    assert plates == ["BBB2B22", "AAA1A11"]
    assert "108,25 km; resíduo +8,25, além de 0,50" in words(svg)
    label = ElementTree.fromstring(svg).get("aria-label")
    assert label == (
        "Balanço do hodômetro de 10/06/2025: 2 veículos, 1 fecha, 1 não fecha; resíduos: BBB2B22 +8,25 km; sem dado: 1."
    )


def test_an_unknown_odometer_is_said_to_be_unknown():
    unknown = {"odometer_delta_km": None, "residual_km": None, "is_balanced": None, "uncertainty_km": None}
    assert "100,00 km, hodômetro desconhecido" in words(ledger_picture(ledger(AAA1A11=unknown), DAY))


def test_a_day_without_data_has_no_picture_and_is_counted():
    silent = ledger(AAA1A11=None, BBB2B22=None)
    assert ledger_picture(silent, DAY) == ""
    [row] = ledger_table(silent, [DAY]).to_dict("records")
    assert (row["balanced"], row["unbalanced"], row["without data"]) == (0, 0, 2)


def test_a_large_fleet_is_cut_and_told():
    fleet = ledger(**{f"AAA{number:04d}": {"service_km": Decimal(number)} for number in range(1, 41)})
    svg = ledger_picture(fleet, DAY, most_vehicles=10)
    assert len(bars(svg, "#0072B2")) == 10
    assert "e mais 30 veículos, 30 fecham" in words(svg)

"""The calibration chart: a dot a day, a line a level, a mark where a level begins anew, and the same in words."""

from __future__ import annotations

import datetime as dt
from xml.etree import ElementTree

import pandas as pd

from fleet_audit.reporting.drawing.calibration_chart import calibration_chart, fleets

FIRST = dt.date(2025, 5, 16)
LAST = FIRST + dt.timedelta(30)
SVG = "{http://www.w3.org/2000/svg}"


def segment(plate: str, start: int, end: int, ratio: float, reason: str = "first", **more: object) -> dict:
    return {
        "plate": plate, "unit_code": "UCP", "carrier_code": "CAR", "device_id": "D1", "ratio": ratio, "reason": reason,
        "segment_start": FIRST + dt.timedelta(start), "operational_date": FIRST + dt.timedelta(end),
        "spread_pct": 0.2, "days": end - start + 1, "km": 1234.5, "is_change_point": reason != "first", **more,
    }  # fmt: skip


def chart(*segments: dict, **more: int) -> str:
    days = [
        {"plate": one["plate"], "operational_date": FIRST + dt.timedelta(day), "ratio": one["ratio"]}
        for one in segments
        for day in range((one["segment_start"] - FIRST).days, (one["operational_date"] - FIRST).days + 1)
    ]
    return calibration_chart(pd.DataFrame(days), pd.DataFrame(list(segments)), FIRST, LAST, "UCP, CAR", **more)


def shapes(svg: str, name: str, **attributes: str) -> list[ElementTree.Element]:
    return [
        shape
        for shape in ElementTree.fromstring(svg).iter(f"{SVG}{name}")
        if all(shape.get(key.replace("_", "-")) == value for key, value in attributes.items())
    ]


def words(svg: str) -> list[str]:
    return [element.text or "" for element in shapes(svg, "text")]


def test_every_day_is_a_dot_and_every_change_a_dashed_line():
    svg = chart(
        segment("AAA1A11", 0, 13, 1.0), segment("AAA1A11", 14, 30, 1.02, "ratio"), segment("BBB2B22", 0, 30, 1.0)
    )
    assert len(shapes(svg, "circle")) == 1 + 31 + 31  # and the legend's
    assert len(shapes(svg, "path", stroke_dasharray="3 2")) == 1 + 1
    assert "nível mudou em 30/05/2025" in words(svg)
    assert "+2,00 % ± 0,20 %; 1.234 km" in words(svg)
    assert "31 dias, sem mudança" in words(svg)


def test_what_changed_comes_first_and_is_said_in_words():
    svg = chart(
        segment("AAA1A11", 0, 30, 1.01), segment("ZZZ9Z99", 0, 9, 1.0), segment("ZZZ9Z99", 10, 30, 1.0, "device")
    )
    plates = [word for word in words(svg) if word in ("AAA1A11", "ZZZ9Z99")]
    assert plates == ["ZZZ9Z99", "AAA1A11"]
    assert ElementTree.fromstring(svg).get("aria-label") == (
        "Razão hodômetro/GPS de UCP, CAR, 16/05/2025 a 15/06/2025: 2 veículos; mudanças: ZZZ9Z99 em 26/05/2025 "
        "(equipamento trocado, 0,00 %)."
    )


def test_a_ratio_beyond_the_band_stays_inside_its_row():
    heights = {float(dot.get("cy", 0)) for dot in shapes(chart(segment("AAA1A11", 0, 5, 1.4)), "circle")}
    assert len(heights) == 2
    assert min(heights - {27.0}) > 52


def test_a_large_fleet_is_cut_and_told():
    svg = chart(*(segment(f"AAA{number:04d}", 0, 2, 1.0) for number in range(30)), most_vehicles=10)
    assert "e mais 20 veículos sem mudança maior" in words(svg)


def test_no_segments_no_chart_and_fleets_in_order():
    empty = pd.DataFrame([segment("A", 0, 1, 1.0)]).iloc[:0]
    assert calibration_chart(pd.DataFrame({"plate": []}), empty, FIRST, LAST, "x") == ""
    table = pd.DataFrame([segment("A", 0, 1, 1.0, unit_code="USL"), segment("B", 0, 1, 1.0), segment("C", 0, 1, 1.0)])
    assert fleets(table) == [("UCP", "CAR"), ("USL", "CAR")]

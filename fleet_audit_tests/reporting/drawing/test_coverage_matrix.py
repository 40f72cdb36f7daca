"""The coverage matrix shows every vehicle-day once, by shape and by colour, and says the same in words."""

from __future__ import annotations

import datetime as dt
import re
from xml.etree import ElementTree

import pandas as pd

from fleet_audit.reporting.drawing.coverage_matrix import coverage_matrix

FIRST = dt.date(2025, 5, 16)
DAYS = [FIRST + dt.timedelta(days=number) for number in range(31)]
SVG = "{http://www.w3.org/2000/svg}"


def coverage(**statuses: str) -> pd.DataFrame:
    """Rows of vehicles by the letters of their days from the first on: c, p, s, or a space for no row."""
    words = {"c": "complete", "p": "partial", "s": "silent"}
    return pd.DataFrame(
        [
            {"operational_date": DAYS[number], "plate": plate, "status": words[letter]}
            for plate, letters in statuses.items()
            for number, letter in enumerate(letters)
            if letter != " "
        ],
        columns=["operational_date", "plate", "status"],
    )


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in drawn(svg).iter(f"{SVG}text")]


def squares(svg: str, colour: str) -> int:
    """Closed shapes of a colour below the legend."""
    paths = [path for path in drawn(svg).iter(f"{SVG}path") if colour in (path.get("fill"), path.get("stroke"))]
    shapes = [shape for path in paths for shape in re.findall(r"M[\d.]+ ([\d.]+)[^M]*z", path.get("d", ""))]
    return sum(float(top) > 40 for top in shapes)


def test_every_vehicle_day_is_one_shape_of_its_colour():
    svg = coverage_matrix(coverage(AAA1A11="ccpcc", BBB2B22="cs c"), DAYS[:5])
    assert squares(svg, "#0072B2") == 6
    assert squares(svg, "#D98200") == 2 * 1  # its frame and its lower half
    assert squares(svg, "#1F2933") == 1
    assert squares(svg, "#B8C0C8") == 2  # without a row: not processed, never silent


def test_the_words_say_what_the_picture_shows():
    svg = coverage_matrix(coverage(AAA1A11="cpscs", BBB2B22="ccccc"), DAYS[:5])
    assert drawn(svg).get("role") == "img"
    assert drawn(svg).get("aria-label") == (
        "Cobertura de 2 veículos de 16/05/2025 a 20/05/2025, em veículos-dia: 7 completos, 1 parcial, 2 silenciosos. "
        "Mais silenciosos: AAA1A11 2 dias."
    )
    assert "2 sil. · 1 parc." in texts(svg)


def test_the_vehicles_seen_least_come_first_and_the_rest_is_told():
    svg = coverage_matrix(
        coverage(AAA1A11="ccc", BBB2B22="cpc", CCC3C33="csc", DDD4D44="ccc"), DAYS[:3], most_vehicles=2
    )
    plates = [text for text in texts(svg) if re.fullmatch(r"[A-Z]{3}\d[A-Z]\d\d", text)]
    assert plates == ["CCC3C33", "BBB2B22"]
    assert "e mais 2 veículos: 6 completos" in texts(svg)


def test_a_cycle_shows_where_its_month_turns():
    svg = coverage_matrix(coverage(AAA1A11="c" * 31), DAYS)
    assert [text for text in texts(svg) if "/" in text] == ["05/2025", "06/2025"]
    assert squares(svg, "#0072B2") == 31


def test_no_vehicles_give_no_picture():
    assert coverage_matrix(coverage(), DAYS) == ""
    assert coverage_matrix(coverage(AAA1A11="c"), DAYS[1:]) == ""


def test_a_large_fleet_stays_small():
    rows = {f"AAA{number:04d}": "ccp" * 10 + "s" for number in range(500)}
    svg = coverage_matrix(coverage(**rows), DAYS, most_vehicles=500)
    assert squares(svg, "#0072B2") == 500 * 20
    assert len(svg) < 1_000_000


def test_a_month_that_begins_beside_the_first_column_alone_is_named_there():
    """14 days from 30 May wrote `05/2025` and `06/2025` over each other."""
    first = dt.date(2025, 5, 30)
    days = [first + dt.timedelta(days=number) for number in range(14)]
    rows = pd.DataFrame({"operational_date": days, "plate": "AAA1A11", "status": "complete"})
    assert [text for text in texts(coverage_matrix(rows, days)) if "/" in text] == ["06/2025"]
    earlier = [day - dt.timedelta(days=2) for day in days]
    rows = rows.assign(operational_date=earlier)
    assert [text for text in texts(coverage_matrix(rows, earlier)) if "/" in text] == ["05/2025", "06/2025"]

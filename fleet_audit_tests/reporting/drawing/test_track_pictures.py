"""Map and chart of a track: the map's box fits the movement, no two texts overlap."""

from __future__ import annotations

import datetime as dt
import re

import pandas as pd
import pytest

from fleet_audit.reporting.drawing.label_boxes import LabelBoxes
from fleet_audit.reporting.drawing.odometer_chart import odometer_chart
from fleet_audit.reporting.drawing.track import Span, Track
from fleet_audit.reporting.drawing.track_map import track_map

START = dt.datetime(2025, 6, 10, 9, tzinfo=dt.UTC)


def track(east: float, north: float, spans: tuple[Span, ...] = ()) -> Track:
    """A drive of an hour that ends so many degrees away."""
    minutes = range(61)
    points = pd.DataFrame(
        {
            "recorded_at": [START + dt.timedelta(minutes=n) for n in minutes],
            "latitude": [-22.0 + north * n / 60 for n in minutes],
            "longitude": [-52.0 + east * n / 60 for n in minutes],
            "odometer_km": [1000.0 + n for n in minutes],
            "is_rejected": False,
        }
    )
    return Track(points, spans)


def span(first: int, last: int, name: str) -> Span:
    return Span(name, START + dt.timedelta(minutes=first), START + dt.timedelta(minutes=last), 10.0)


@pytest.mark.parametrize(("east", "north"), [(0.5, 0.01), (0.01, 0.5), (0.3, 0.3)])
def test_the_movement_fills_the_maps_box(east, north):
    picture = track_map(track(east, north))
    width, height = (float(size) for size in re.search(r'viewBox="0 0 (\d+) (\d+)"', picture).groups())
    x, y = zip(*((float(a), float(b)) for a, b in re.findall(r"([\d.]+) ([\d.]+)(?=[L\"])", picture)), strict=True)
    assert (max(x) - min(x) > 0.6 * width) or (max(y) - min(y) > 0.6 * height)


def test_names_of_periods_that_overlap_stand_in_lanes():
    spans = tuple(span(first, first + 20, f"ata {first}") for first in (0, 1, 2, 30))
    chart = odometer_chart(track(0.1, 0.1, spans))
    places = {name: float(y) for y, name in re.findall(r'y="([\d.]+)"[^>]*>(ata \d+)<', chart)}
    assert len({places[f"ata {first}"] for first in (0, 1, 2)}) == 3
    assert places["ata 30"] == places["ata 0"]


def test_the_two_readings_that_prove_are_in_the_chart():
    fall = Span("recuo", START, START + dt.timedelta(minutes=9), None, (1000.0, 1009.0))
    chart = odometer_chart(track(0.1, 0.1, (fall,)))
    assert "1.000,0 km" in chart
    assert "1.009,0 km" in chart


def test_a_label_without_a_free_place_is_omitted():
    labels = LabelBoxes(150, 60)
    drawn = [labels.label(75, 30, "Garagem") for _ in range(9)]
    assert drawn[0]
    assert drawn[-1] == ""

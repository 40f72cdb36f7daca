"""One map per diverging vehicle of a day: its measured track and ends, what was declared, and no text over another."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from fleet_audit.reporting.sections.divergences import divergence_maps, divergent_groups
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit_tests.reporting.sample import fleet

LETTER, LINE = 6.9, 13


@pytest.fixture(scope="module")
def frames() -> Frames:
    return fleet(40)


def positions(frames: Frames) -> pd.DataFrame:
    """A straight drive of each group's first trip, one point per minute."""
    rows = []
    for group in divergent_groups(frames):
        trip = group.trips[0]
        for minute, at in enumerate(pd.date_range(trip["started_at"], trip["ended_at"], freq="1min")):
            rows.append((group.plate, trip["device_id"], at, -22.3 - minute / 500, -52.1 + minute / 500, False))
    return pd.DataFrame(rows, columns=["plate", "device_id", "recorded_at", "latitude", "longitude", "is_rejected"])


def test_the_largest_differences_come_first_and_each_vehicle_once(frames: Frames) -> None:
    groups = divergent_groups(frames)
    sizes = [abs(group.match["difference_km"]) for group in groups]
    exceeding = frames.matches[frames.matches["is_exceeding"].fillna(False)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == max(abs(row["difference_km"]) for row in records(exceeding) if row["difference_km"] is not None)
    assert len({group.plate for group in groups}) == len(groups) <= 6


def test_a_map_states_what_was_declared_and_what_was_measured(frames: Frames) -> None:
    group = divergent_groups(frames)[0]
    trip, places = group.trips[0], frames.pois.drop_duplicates("poi_id").set_index("poi_id")["name"]
    elsewhere = next(name for code, name in places.items()
                     if code.startswith(trip["unit_code"]) and code not in (trip["origin_poi_id"],
                                                                            trip["destination_poi_id"]))  # fmt: skip
    runs = frames.declared_runs
    is_own = runs["declared_run_id"] == group.runs[-1]["declared_run_id"]
    frames = replace(frames, declared_runs=runs.assign(
        destination_text=runs["destination_text"].where(~is_own, elsewhere.upper())))  # fmt: skip
    picture = divergence_maps(frames, positions(frames))[0]
    words = " ".join(re.findall(r">([^<]+)</text>", picture))
    assert f"{group.plate}: " in words
    assert f"declarado: {elsewhere}" in words
    assert places[trip["origin_poi_id"]] in words


def test_no_text_of_a_map_lies_on_another(frames: Frames) -> None:
    for picture in divergence_maps(frames, positions(frames)):
        width = float(re.search(r'width="(\d+)"', picture).group(1))
        boxes = [
            (float(x), float(y) - LINE, float(x) + LETTER * len(text), float(y))
            for x, y, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)</text>', picture)
        ]
        assert all(right <= width + LETTER for *_, right, _ in boxes)
        for index, one in enumerate(boxes):
            for other in boxes[index + 1 :]:
                apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                assert apart, (one, other)


def test_a_day_without_positions_has_no_map(frames: Frames) -> None:
    assert divergence_maps(frames, positions(frames).iloc[:0]) == ()

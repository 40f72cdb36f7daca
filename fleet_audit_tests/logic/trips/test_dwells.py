"""What an odometer counts while its positions stand: a flicker is nothing, a contradiction is not known."""

import numpy as np
import pytest

from fleet_audit_tests.logic.driving import MILL, Bus, window


@pytest.mark.parametrize(
    ("off_km", "counted_km"),
    [
        ([-0.1, 0], []),
        ([-0.1, 0, -0.1, 0, -0.1, 0], []),
        ([0.1, 0, 0.1], [0.1]),
        ([-0.1, 0.3], [0.3]),
        ([-0.1, -0.2, -0.3], [None]),
        ([-0.3], [None]),
    ],
    ids=["once", "again and again", "upwards", "and then it counts", "further and further", "a fall"],
)
def test_readings_that_differ_by_the_odometers_resolution_do_not_contradict_each_other(
    off_km: list[float], counted_km: list[float | None]
) -> None:
    """The last of these differences from 1020.0 km stays until the bus is no longer seen."""
    bus = Bus("05:00").park(1800).to(MILL).park(7200)
    for record, km in zip(bus.records[-8:], [*off_km, *[off_km[-1]] * (8 - len(off_km))], strict=True):
        record["odometer_km"] = round(float(str(record["odometer_km"])) + km, 6)
    counted = [None if np.isnan(km) else round(km, 6) for km in window(bus).dwells["counted_km"]]
    assert counted == counted_km

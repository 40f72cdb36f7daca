"""What was seen of a vehicle on a day, in time and in positions."""

import pytest

from fleet_audit.logic.trips.coverage import vehicle_day_coverage
from fleet_audit.schema import lake
from fleet_audit.schema.derive import conform
from fleet_audit_tests.logic.driving import DAY, PLATE, Bus, window, world


def every_half_hour(positions: int) -> Bus:
    """A parked bus that reports every 30 min from midnight on."""
    bus = Bus("00:00")
    for _ in range(positions - 1):
        bus.unseen(1800)
    return bus


@pytest.mark.parametrize(
    ("bus", "status", "observed_h", "positions"),
    [
        (Bus("00:00").park(86_000), "complete", 23.89, 145),
        (Bus("06:00").park(3600), "partial", 1.0, 7),
        (every_half_hour(48), "partial", 0.0, 48),
        (Bus("12:00"), "partial", 0.0, 1),
    ],
    ids=["every 10 min", "an hour", "every 30 min", "one position"],
)
def test_a_vehicle_with_positions_is_not_silent_however_far_apart_they_are(
    bus: Bus, status: str, observed_h: float, positions: int
) -> None:
    seen = window(bus)
    spans, readings = conform(seen.spans, lake.OBSERVED_SPANS), conform(seen.readings, lake.READINGS)
    table = vehicle_day_coverage(DAY, spans, readings, conform(seen.legs, lake.LEGS), world().vehicles_on(DAY))
    rows = table.set_index("plate")
    assert rows.loc[PLATE, ["status", "observed_h"]].to_list() == [status, observed_h]
    assert abs(rows.loc[PLATE, "positions"] - positions) <= 1
    others = rows.drop(PLATE)
    assert set(others["status"]) <= {"silent"}
    assert others["observed_h"].isna().all()

"""What a final close of this or of an earlier release counted as admitted km is read from its frozen rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit.closing.freezing import closed_with_unpriced
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.schema.facts import CYCLE_CLOSES, TRIP_COSTS
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.logic.costs.test_waterfall import DAY, cost
from fleet_audit_tests.reporting.sample import GENERATED_AT, build

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))


@pytest.mark.parametrize(
    ("status", "total_km", "expected"),
    [("final", "13.00", True), ("final", "10.00", False), ("final", None, False), ("provisional", "13.00", False)],
)
def test_a_close_of_an_earlier_release_is_known_by_its_total(
    postgres_url: str, status: str, total_km: str | None, expected: bool
) -> None:
    warehouse = Warehouse(postgres_url)
    warehouse.replace_partition(TRIP_COSTS, [DAY], build(TRIP_COSTS, [cost(1, 1000, 49_000), cost(2, 300, None)]), "r")
    close = {"cycle_start": CYCLE.start, "cycle_end": CYCLE.end, "closed_at": GENERATED_AT, "manifest_path": "closes/m",
             "manifest_sha256": "a" * 64, "code_version": "1.0", "parameters_version": "p", "run_id": "run",
             "status": status, "total_km": total_km and Decimal(total_km)}  # fmt: skip
    warehouse.upsert(CYCLE_CLOSES, build(CYCLE_CLOSES, [close]))
    assert closed_with_unpriced(warehouse, CYCLE) == expected

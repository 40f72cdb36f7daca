"""The four amounts of a cycle under a scenario: rules over the whole cycle count, as in the monthly report."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from fleet_audit.closing.audited_cycle import cycle_amounts
from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, ParameterSet
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit.rules.test_cycle import CYCLE, DAYS, a_cycle, worked
from fleet_audit_tests.logic.audit_sample import costs_frame


class DaysOfCycle:
    """The tables of a cycle's days in memory, as a warehouse returns them; all others are empty."""

    def __init__(self, **frames) -> None:
        self._frames = frames

    def read_partition(self, table, days):
        return self._frames.get(table.name, empty_frame(table))


@pytest.mark.parametrize(("deadhead_pct", "doubtful"), [(10.0, "1367.10"), (30.0, "455.70"), (50.0, None)])
def test_another_share_of_deadhead_changes_what_is_paid_and_in_doubt(deadhead_pct: float, doubtful: str | None):
    """12 km empty on 30 km of service, at R$ 4.90: per day 9 km are beyond 10 %, 3 km beyond 30 %, none beyond 50 %."""
    trips = [row for day in DAYS for row in (worked(day), worked(day, km="12.00", purpose="deadhead"))]
    brl = {"30.00": "147.00", "12.00": "58.80"}
    paid = costs_frame(
        *({"trip_id": row["trip_id"], "billable_km": row["km_measured"], "variable_cost_brl": brl[row["km_measured"]]}
          for row in trips)
    )  # fmt: skip
    parameters = ParameterSet(tuple((dict(DEFAULT_PARAMETERS.values) | {"deadhead_pct": deadhead_pct}).items()))
    context = replace(a_cycle(trips=trips), costs=paid, parameters=parameters)
    rows = DaysOfCycle(trips=context.trips, trip_costs=context.costs)
    made = cycle_amounts(rows, CYCLE, find_in_cycle(context))
    assert sum_decimal(made["paid_doubtful_brl"]) == (None if doubtful is None else Decimal(doubtful))

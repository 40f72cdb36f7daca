"""Reads the rows of one vehicle in one cycle: what a finding of a rule over a whole cycle rests on.

Their tables are in `reporting.sections.proof.vehicle_cycle`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fleet_audit.installation import Installation
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.proof.vehicle_cycle import VehicleCycle
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table
from fleet_audit.storage.warehouse import Warehouse

_OF_VEHICLE = "plate = :plate and operational_date between :start and :end"
_OF_CARRIER = "(cast(:carrier as text) is null or carrier_code = :carrier)"
_WITH_CARRIER = (facts.TRIPS, facts.MATCHES, facts.HELD_RUNS, facts.DECLARED_RUNS, facts.COVERAGE)
_OF_TRIPS = f"trip_id in (select trip_id from fact.trips where {_OF_VEHICLE} and {_OF_CARRIER})"  # noqa: S608


def vehicle_cycle_of(stores: Installation, finding: Mapping[str, Any], reference: Reference) -> VehicleCycle | None:
    """The cycle of a finding's vehicle, without rows of other carriers; None of a rule of one day or without a vehicle.

    `reference` gives the names, redacted where they have to be.
    """
    plate, carrier, start = (finding.get(name) for name in ("plate", "carrier_code", "cycle_start"))
    if start is None or plate is None:
        return None
    cycle, warehouse = cycle_of(start, stores.settings().closing_day), stores.warehouse()
    days = {"plate": plate, "start": cycle.start, "end": cycle.end}
    asked = {**days, "carrier": carrier}
    of_both = f"{_OF_VEHICLE} and {_OF_CARRIER}"
    rows = {table.name: _rows(warehouse, table, of_both, asked) for table in _WITH_CARRIER}
    coverage = rows.pop(facts.COVERAGE.name)
    fixed = _rows(warehouse, facts.FIXED_COST_DAYS, _OF_VEHICLE, days)
    plan, calendar = reference.km_plan, reference.calendar
    return VehicleCycle(
        cycle,
        Frames(
            **rows,
            coverage=coverage,
            trip_costs=_rows(warehouse, facts.TRIP_COSTS, _OF_TRIPS, asked),
            fixed_cost_days=fixed[fixed["operational_date"].isin(coverage["operational_date"])],
            units=reference.units,
            carriers=reference.carriers,
            vehicles=reference.vehicles[(reference.vehicles["plate"] == plate).fillna(False)],
            pois=reference.pois,
            routes=reference.routes,
            km_plan=plan[((plan["cycle_start"] == start) & (plan["plate"] == plate)).fillna(False)],
            calendar=calendar[(calendar["unit_code"] == finding["unit_code"]).fillna(False)],
        ),
    )


def _rows(warehouse: Warehouse, table: Table, condition: str, values: Mapping[str, Any]) -> pd.DataFrame:
    return conform(warehouse.read(f"select * from {table.full_name} where {condition}", values), table)  # noqa: S608

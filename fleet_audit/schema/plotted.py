"""The numbers of a day or cycle that the UI plots per partition: km, R$, findings, acceptance, coverage.

Sums over rows that are already computed only; what a row is worth is computed in `logic`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit.schema.model import Table

_SUMS: Mapping[str, tuple[str, ...]] = {
    "fact.trips": ("km_measured", "km_uncertainty"),
    "fact.km_ledger": ("service_km", "deadhead_km", "residual_km"),
    "fact.trip_costs": ("billable_km", "variable_cost_brl"),
    "fact.fixed_cost_days": ("amount_brl",),
    "fact.declared_runs": ("declared_km",),
    "fact.held_runs": ("declared_km", "brl_at_rate"),
    "fact.findings": ("km_at_stake", "brl_at_stake"),
    "fact.vehicle_day_amounts": AMOUNTS,
    "fact.adjustments": ("difference_km", "difference_brl"),
    "fact.billing_lines": ("km", "variable_brl", "fixed_brl", "total_brl"),
    "fact.cycle_findings": ("km_at_stake", "brl_at_stake"),
    "fact.vehicle_cycle_amounts": AMOUNTS,
    "ops.pending_devices": ("positions",),
    "ops.day_acceptance": ("rows_rejected", "rows_duplicate"),
}
_MINIMA: Mapping[str, tuple[str, ...]] = {"ops.day_acceptance": ("acceptance_pct",)}
_COUNTED: Mapping[str, str] = {
    "fact.findings": "severity",
    "fact.cycle_findings": "severity",
    "fact.vehicle_day_coverage": "status",
}


def partition_numbers(frame: pd.DataFrame, table: Table) -> dict[str, float | int]:
    """The numbers of one partition by name, e.g. `variable_cost_brl`, `severity_C`; empty where the table has none.

    A sum without a single known value is absent, because no data is not zero; with some unknown values the count of
    them stands beside it as `…_unknown_rows`. Counts per value of a column are there for every value of its domain.
    """
    numbers: dict[str, float | int] = {}
    for name in _SUMS.get(table.address, ()):
        known = frame[name].dropna()
        if len(known) or frame.empty:
            numbers[name] = float(known.sum())
        if len(known) < len(frame):
            numbers[f"{name}_unknown_rows"] = len(frame) - len(known)
    for name in _MINIMA.get(table.address, ()):
        known = frame[name].dropna()
        if len(known):
            numbers[f"{name}_lowest"] = float(known.min())
    column = _COUNTED.get(table.address)
    if column:
        counts = frame[column].value_counts()
        numbers |= {f"{column}_{value}": int(counts.get(value, 0)) for value in table.column(column).values or ()}
    return numbers

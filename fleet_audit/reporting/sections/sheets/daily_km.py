"""KM DIÁRIO COMPILADO: billed kilometres of each vehicle on each day of the cycle, side by side.

Which kilometres are billed is decided in `logic.costs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.costs.billing_lines import billed_trips, unpriced_trips
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of, written
from fleet_audit.reporting.labels import NO_CARRIER, NO_UNIT
from fleet_audit.reporting.sections.inputs import Frames, decimals, hundredths, names_of, records, with_vehicle

SILENT, UNPRICED = "s/d", "s/p"
_WHO = ["unit_code", "carrier_code", "plate"]
_CELL = [*_WHO, "operational_date"]


def daily_km_grid(frames: Frames, cycle: Cycle) -> Grid:
    """One row per vehicle of a unit and carrier, one column per day; a day without a number has its reason.

    `s/d`: nothing arrived; `s/p`: trips, but none with a price; None: no record of the vehicle on that day.
    """
    names = [day.isoformat() for day in cycle_days(cycle)]
    units, carriers = names_of(frames.units, "unit_code"), names_of(frames.carriers, "carrier_code")
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for cell in records(_cells(frames)):
        row = rows.setdefault(
            (cell["unit_code"], cell["carrier_code"], cell["plate"]),
            {
                "unit": units.get(cell["unit_code"], cell["unit_code"]) or NO_UNIT,
                "carrier": carriers.get(cell["carrier_code"], cell["carrier_code"]) or NO_CARRIER,
                "plate": cell["plate"],
            },
        )
        row["fleet_number"] = cell["fleet_number"]
        row[cell["operational_date"].isoformat()] = cell["km"] if cell["word"] is None else cell["word"]
    printed = sorted(rows.values(), key=lambda row: (row["unit"], row["carrier"], row["plate"]))
    for row in printed:
        row["total"] = _sum(row.get(name) for name in names)
    total = {name: _sum(row.get(name) for row in printed) for name in (*names, "total")}
    return grid_of(_fields(cycle, total), printed, {"unit": "Total", **total} if printed else None)


def _fields(cycle: Cycle, total: Mapping[str, Decimal | None]) -> tuple[Field, ...]:
    """The columns; a day's is as narrow as its total allows, so that a month prints on two pages."""
    longest = max(len(written(total[day.isoformat()], Kind.KM)) for day in cycle_days(cycle))
    width = max(7, longest - 2)  # 10 points in a column that is measured in letters of 11
    return (
        Field("unit", "Unidade", width=19),
        Field("carrier", "Empresa", width=19),
        Field("plate", "Placa", width=9),
        Field("fleet_number", "Frota", width=8),
        *(Field(day.isoformat(), f"{day:%d/%m}", Kind.KM, width) for day in cycle_days(cycle)),
        Field("total", "Total Km's", Kind.KM, 12),
    )


def _cells(frames: Frames) -> pd.DataFrame:
    """One row per vehicle and day, in order of days: `km`, or the `word` that stands for it; and the fleet number."""
    billed = billed_trips(frames.trips, frames.trip_costs)
    billed = billed.assign(km=hundredths(billed["billable_km"]), **_texts(billed))
    summed = billed.groupby(_CELL, as_index=False)["km"].sum()
    coverage = frames.coverage
    silent = coverage["status"] == "silent"
    zero = pd.Series(0, index=coverage.index, dtype="Int64")
    parts = [
        summed.assign(word=None),
        unpriced_trips(frames.trips, frames.trip_costs)[_CELL].assign(word=UNPRICED),
        coverage.loc[silent, _CELL].assign(word=SILENT),
        coverage.loc[~silent, _CELL].assign(word=None, km=zero[~silent]),
    ]
    cells = pd.concat(parts, ignore_index=True)
    cells = cells.assign(**_texts(cells), km=decimals(cells["km"]))
    cells = with_vehicle(cells.drop_duplicates(_CELL), frames.vehicles, ["fleet_number"])
    return cells.sort_values(["operational_date", *_WHO], kind="stable")


def _texts(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: rows[name].astype("str").fillna("") for name in _WHO}


def _sum(values: Iterable[Any]) -> Decimal | None:
    """Of the numbers among the values; None where there is none."""
    known = [value for value in values if isinstance(value, Decimal)]
    return sum(known, Decimal(0)) if known else None

"""Rows of reference tables that were refused while the rest of their file is in force, and whom each may be about.

A second contract, a place or a plan's row that the product refused may excuse whom a rule would accuse: the rules that
rest on the table are not tested for these vehicles (`logic.audit`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from fleet_audit.formats import values
from fleet_audit.formats.legible import BETWEEN_CELLS, split_rows
from fleet_audit.formats.plates import is_plate, normalised
from fleet_audit.formats.reasons import REASONS
from fleet_audit.ingest.reference.delivered_files import newest_versions
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.reference.plate_forms import registered_forms, to_registered
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.reference import BY_NAME, TABLES
from fleet_audit.storage.warehouse import Warehouse

_COLUMNS = ["operational_date", "source", "plate", "reason_pt"]
_OF_ALL = ""  # a row that names nobody may be about each vehicle
_LAST_CYCLE_DAY = 28  # no cycle begins after it
_ROWS = """
select file_sha256, reason_code, raw from ops.rejected_rows
where source_kind = 'reference' and file_sha256 = any(string_to_array(:hashes, ','))
order by file_sha256, row_number, reason_code
"""


def refused_terms(warehouse: Warehouse, reference: Reference, days: Sequence[dt.date]) -> pd.DataFrame:
    """operational_date, source (the table), plate (empty: all), reason_pt of refused rows of the versions in force.

    A row is about the plates that it holds, registered or not, and those of its device; where it holds none, about the
    vehicles of its contract, else of its carrier, its route's unit or its unit. A row of a plan or an invoice is of the
    cycle that begins on its day, and one of a calendar of its day; a row without a legible day, and every other one, is
    of all days until the file is corrected.
    """
    newest = newest_versions(warehouse, 1).drop_duplicates("table_name", keep="last")
    rows = warehouse.read(_ROWS, {"hashes": ",".join(newest["file_sha256"])})
    rows = rows.merge(newest[["file_sha256", "file_name", "table_name"]], on="file_sha256")
    rows = rows.drop_duplicates(["file_sha256", "raw"], ignore_index=True)
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    cells = split_rows(rows["raw"], BETWEEN_CELLS)
    meaning = rows["reason_code"].map({code: one.meaning_pt for code, one in REASONS.items()})
    found = pd.DataFrame(
        {"source": rows["table_name"], "reason_pt": "linhas de " + rows["file_name"] + " foram recusadas: " + meaning}
    )
    found = found.join(_plates(cells, rows["table_name"], reference)).join(_periods(cells, rows["table_name"]))
    found = found.drop_duplicates()  # ten places of a unit are about the same thousand vehicles
    dated = found.merge(pd.DataFrame({"operational_date": list(days)}), how="cross")
    is_of_day = dated["first"].isna() | (
        (dated["first"] <= dated["operational_date"]) & (dated["operational_date"] <= dated["last"])
    )
    return dated.loc[is_of_day, _COLUMNS].drop_duplicates(ignore_index=True)


def _plates(cells: pd.DataFrame, tables: pd.Series, reference: Reference) -> pd.Series:
    """The plates that each row, which is the index, is about; `_OF_ALL` of one that names nobody."""
    forms = registered_forms(reference.vehicles)
    spelled = to_registered(normalised(cells["value"]), forms)
    named = cells.assign(plate=spelled, rank=0)[is_plate(spelled).to_numpy(dtype=bool)]
    known = cells.merge(_plates_by_code(reference, cells["value"]), on="value")
    columns = pd.MultiIndex.from_tuples([(table.name, name) for table in TABLES for name in table.column_names])
    is_column = pd.MultiIndex.from_arrays([known["row"].map(tables), known["column"]]).isin(columns)
    found = pd.concat([named, known[is_column]], ignore_index=True)
    found = found[found["rank"] == found.groupby("row")["rank"].transform("min")]
    found = found.drop_duplicates(["row", "plate"]).sort_values(["row", "plate"]).set_index("row")["plate"]
    others = pd.Series(_OF_ALL, index=tables.index.difference(found.index), name="plate", dtype="str")
    return pd.concat([found, others])


def _plates_by_code(reference: Reference, values_of_cells: pd.Series) -> pd.DataFrame:
    """value, column, rank, plate: whom each of the values that is a code of a reference table is about."""
    vehicles, asked = reference.vehicles, list(values_of_cells.unique())
    routes = reference.routes.loc[reference.routes["route_code"].isin(asked), ["route_code", "unit_code"]]
    of_routes = routes.merge(vehicles[["unit_code", "plate"]], on="unit_code")
    ranked = ((0, "device_id", reference.devices), (1, "contract_id", vehicles), (2, "carrier_code", vehicles),
              (3, "route_code", of_routes), (4, "unit_code", vehicles))  # fmt: skip
    parts = []
    for rank, column, frame in ranked:
        pairs = frame.loc[frame[column].isin(asked), [column, "plate"]].dropna().astype("str").drop_duplicates()
        parts.append(pairs.rename(columns={column: "value"}).assign(column=column, rank=rank))
    return pd.concat(parts, ignore_index=True)


def _periods(cells: pd.DataFrame, tables: pd.Series) -> pd.DataFrame:
    """first, last: the days that each row is of; null where it may be of any."""
    read = cells.assign(date=values.dates(cells["value"])).dropna(subset="date")
    periods = {}
    for row, date in zip(read["row"], read["date"].dt.date, strict=True):
        columns = BY_NAME[tables[row]].column_names
        if "cycle_start" in columns and date.day <= _LAST_CYCLE_DAY:
            periods[row] = (date, cycle_of(date, date.day).end)
        elif "date" in columns:
            periods[row] = (date, date)
    frame = pd.DataFrame.from_dict(periods, orient="index", columns=["first", "last"], dtype=object)
    return frame.reindex(tables.index)

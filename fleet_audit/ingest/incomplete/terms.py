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
from fleet_audit.ingest.incomplete.vehicles import named_plates
from fleet_audit.ingest.reference.delivered_files import newest_versions
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.reference.plate_forms import plates_near, registered_forms
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.reference import BY_NAME, POI_KINDS
from fleet_audit.storage.warehouse import Warehouse

_COLUMNS = ["operational_date", "source", "plate", "reason_pt"]
# By table, the code that says whom a row without a legible plate is about. The row of a contract or vehicle that nobody
# has yet is about nobody, and so is a footer: `TOTAL` below the contracts once left D01 untested on the whole fleet.
_CODE = {
    "km_plan": "route_code", "invoices": "contract_id", "contracts": "contract_id", "tariffs": "contract_id",
    "devices": "device_id", "pois": "unit_code", "shifts": "unit_code", "calendar": "unit_code", "vehicles": None,
    "routes": "unit_code",
}  # fmt: skip
_OF_PLATES = ["km_plan", "invoices"]  # a row of these is about a vehicle, or a total
# Also with letters for digits, as O for 0 and I for 1: `GDP4J6O` has five letters, and `Total 31` is none.
_LIKE_A_PLATE = r"(?!(?:SUB)?TOTA|SOMA|MEDIA)(?=(?:.*[A-Z]){2})(?=.*\d)(?=(?:.*[\dOIQLSBZ]){2})[A-Z\d]{5,9}$"
_OF_ALL = ""  # a row that names nobody may be about each vehicle
_LAST_CYCLE_DAY = 28  # no cycle begins after it
_ROWS = """
select file_sha256, reason_code, raw from ops.rejected_rows
where source_kind = 'reference' and file_sha256 = any(string_to_array(:hashes, ','))
order by file_sha256, row_number, reason_code
"""


def refused_terms(warehouse: Warehouse, reference: Reference, days: Sequence[dt.date]) -> pd.DataFrame:
    """operational_date, source (the table), plate (empty: all), reason_pt of refused rows of the versions in force.

    A row is about the plates that it holds, registered or not, and those of its device; where one is misspelt, about
    the registered ones that it may be; where it holds none, about the vehicles of the code that `_CODE` names, in any
    case. A row of a plan or an invoice is of the cycle that begins on its day, and one of a calendar of its day; a row
    without a legible day, and every other one, is of all days until the file is corrected. What names nobody is about
    every vehicle of its cycle or day if it holds a plate that cannot be read, or is a day of the calendar, and a place
    of no known unit about every vehicle; else it is a title, a total or a note.
    """
    newest = newest_versions(warehouse, 1).drop_duplicates("table_name", keep="last")
    rows = warehouse.read(_ROWS, {"hashes": ",".join(newest["file_sha256"])})
    rows = rows.merge(newest[["file_sha256", "file_name", "table_name"]], on="file_sha256")
    rows = rows[rows["table_name"].isin(list(_CODE))].drop_duplicates(["file_sha256", "raw"], ignore_index=True)
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    cells, tables, codes = split_rows(rows["raw"], BETWEEN_CELLS), rows["table_name"], _plates_by_code(reference)
    meaning = rows["reason_code"].map({code: one.meaning_pt for code, one in REASONS.items()})
    found = pd.DataFrame(
        {"source": tables, "reason_pt": "linhas de " + rows["file_name"] + " foram recusadas: " + meaning}
    )
    found = found.join(_subjects(cells, tables, reference, codes), how="inner").join(_periods(cells, tables))
    found = found[(found["value"] != _OF_ALL) | found["first"].notna() | found["source"].eq("pois")]
    # each once: of 5,000 places of a unit of 1,000 vehicles the pairs took 2.3 GB
    found = found.drop_duplicates()
    is_plate_named = found["column"] == "plate"
    coded = found[~is_plate_named].merge(codes, on=["column", "value"])
    found = pd.concat([found[is_plate_named].rename(columns={"value": "plate"}), coded])
    found = found.drop(columns=["column", "value"]).drop_duplicates()
    dated = found.merge(pd.DataFrame({"operational_date": list(days)}), how="cross")
    is_of_day = dated["first"].isna() | (
        (dated["first"] <= dated["operational_date"]) & (dated["operational_date"] <= dated["last"])
    )
    return dated.loc[is_of_day, _COLUMNS].drop_duplicates(ignore_index=True)


def _subjects(cells: pd.DataFrame, tables: pd.Series, reference: Reference, codes: pd.DataFrame) -> pd.DataFrame:
    """column, value of the plates or the `codes` that each row, which is the index, is about.

    The plate is `_OF_ALL` of one that may be about each vehicle.
    """
    cells = cells.assign(folded=_folded(cells["value"]))
    named = named_plates(cells, registered_forms(reference.vehicles))
    asked = cells.assign(column=cells["row"].map(tables).map(_CODE))
    coded = asked.merge(_coded(codes), on=["column", "folded"], suffixes=("_written", ""))
    is_code = cells["folded"].isin(coded["folded"]).to_numpy()
    misspelt = _misspelt(cells[~is_code & ~cells["row"].isin(named["row"]).to_numpy()], reference.vehicles["plate"])
    named = pd.concat([named, misspelt.dropna(subset="value")])[["row", "value"]].assign(column="plate")
    no_total = tables.index[~tables.isin(_OF_PLATES) | tables.index.isin(misspelt["row"])]
    is_alone = coded["row"].isin(no_total) & ~coded["row"].isin(named["row"])
    coded = coded.loc[is_alone | coded["column"].eq("device_id"), ["row", "column", "value"]]
    found = pd.concat([named, coded]).set_index("row")
    units = _folded(reference.units["unit_code"].astype("str"))
    has_kind, has_unit = (
        tables.index.isin(cells["row"][cells["folded"].isin(list(known))]) for known in (POI_KINDS, units)
    )
    may_be_of_all = tables.isin([*_OF_PLATES, "calendar"]) | (tables.eq("pois") & has_kind & ~has_unit)
    of_all = no_total[may_be_of_all[no_total]].difference(found.index)
    return pd.concat([found, pd.DataFrame({"column": "plate", "value": _OF_ALL}, index=of_all)])


def _misspelt(cells: pd.DataFrame, plates: pd.Series) -> pd.DataFrame:
    """row, value: each plate that a cell with another text may be; null where it is like a plate, and near none.

    A plate spoilt on purpose once excused all vehicles of its contract from K01; `AAA1A1O` excused none.
    """
    texts = cells.assign(text=normalised(cells["value"]))
    distinct = texts["text"].drop_duplicates()
    distinct = distinct[~is_plate(distinct) & distinct.str.fullmatch(r"[A-Z\d]{5,9}")]
    near = plates_near(distinct, plates)
    like = distinct[distinct.str.match(_LIKE_A_PLATE) & ~distinct.isin(near["text"])]
    found = pd.concat([near, pd.DataFrame({"text": like, "plate": None})])
    return texts[["row", "text"]].merge(found.rename(columns={"plate": "value"}), on="text")[["row", "value"]]


def _folded(texts: pd.Series) -> pd.Series:
    """Each text as codes are compared: carriers write `ct-1` for CT-1."""
    return texts.map({text: fold(text) for text in texts.unique()}).astype("str")


def _coded(codes: pd.DataFrame) -> pd.DataFrame:
    """column, value, folded: each code of `_plates_by_code` once."""
    distinct = codes[["column", "value"]].drop_duplicates()
    return distinct.assign(folded=_folded(distinct["value"]))


def _plates_by_code(reference: Reference) -> pd.DataFrame:
    """column, value, plate: the vehicles of each code of `_CODE`."""
    vehicles = reference.vehicles[["plate", "unit_code", "contract_id"]]
    routes = reference.routes[["route_code", "unit_code"]].merge(vehicles, on="unit_code")
    frames = (
        ("device_id", reference.devices),
        ("contract_id", vehicles),
        ("route_code", routes),
        ("unit_code", vehicles),
    )
    return pd.concat(
        frame[[column, "plate"]]
        .dropna()
        .astype("str")
        .drop_duplicates()
        .rename(columns={column: "value"})
        .assign(column=column)
        for column, frame in frames
    )


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

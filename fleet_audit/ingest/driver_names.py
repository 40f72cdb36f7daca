"""The names behind drivers' pseudonyms, in `ref.drivers`, the only table that has names.

How a text becomes a pseudonym is in `formats.drivers`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.storage.warehouse import Warehouse


def remember_drivers(warehouse: Warehouse, drivers: pd.DataFrame) -> None:
    """Adds the drivers that `ref.drivers` lacks; rows of the reference file stay."""
    known = set(warehouse.read("select driver_id from ref.drivers", {})["driver_id"])
    new = drivers[~drivers["driver_id"].isin(known)].drop_duplicates("driver_id")
    if len(new):
        warehouse.upsert(DRIVERS, new)


def with_pseudonyms(drivers: pd.DataFrame, key: bytes) -> pd.DataFrame:
    """Rows of the reference file, and for each id and name the pseudonym that stands for it in other sources.

    A driver registered as maintenance is then one in a visit report, which knows names only, and in the positions of
    the API, which knows ids only.
    """
    named = drivers[drivers["name"].notna()]
    by_name = named.assign(driver_id=[driver_pseudonym(name, key) for name in named["name"]])
    by_id = drivers.assign(driver_id=[driver_pseudonym(text, key) for text in drivers["driver_id"]])
    return pd.concat([drivers, by_name, by_id], ignore_index=True).drop_duplicates("driver_id", keep="first")

"""The names behind drivers' pseudonyms, in `ref.drivers`, the only table that has names.

How a text becomes a pseudonym is in `formats.drivers`, how a name is forgotten in `driver_forgetting`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd

from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.schema.reference import DRIVERS
from fleet_audit.storage.warehouse import Warehouse

FORGOTTEN = "[motorista esquecido]"  # in the place of a name that was forgotten: a source does not bring it back
_PSEUDONYM = re.compile(r"drv-[0-9a-f]{12}")


def remember_drivers(warehouse: Warehouse, drivers: pd.DataFrame) -> None:
    """Adds the drivers that `ref.drivers` lacks; rows of the reference file and forgotten drivers stay.

    Of a driver's spellings in pages and reports the least is kept, in whichever order they are read.
    """
    known = warehouse.read_table(DRIVERS)
    is_fixed = _is_fixed(known)
    given = drivers[~drivers["driver_id"].isin(known.loc[is_fixed, "driver_id"])]
    spelt = pd.concat([given, known[~is_fixed]], ignore_index=True).sort_values(["driver_id", "name"])
    least = spelt.drop_duplicates("driver_id")
    columns = ["driver_id", "name"]
    is_known = pd.MultiIndex.from_frame(least[columns]).isin(pd.MultiIndex.from_frame(known[columns]))
    if not is_known.all():
        warehouse.upsert(DRIVERS, least[~is_known])


def forgotten_drivers(warehouse: Warehouse) -> frozenset[str]:
    """Pseudonyms of the drivers whose names were forgotten."""
    found = warehouse.read("select driver_id from ref.drivers where name = :name", {"name": FORGOTTEN})
    return frozenset(found["driver_id"])


def with_pseudonyms(drivers: pd.DataFrame, key: bytes, forgotten: Collection[str] = ()) -> pd.DataFrame:
    """Rows of the reference file, and for each id and name the pseudonym that stands for it in other sources.

    A driver registered as maintenance is then one in a visit report, which knows names only, and in the positions of
    the API, which knows ids only. Of a forgotten driver the pseudonyms alone are left.
    """
    drivers = without_forgotten(drivers, key, forgotten)
    is_alias = drivers["driver_id"].map(is_pseudonym).to_numpy(dtype=bool)
    registered = drivers[~is_alias]
    named = registered[registered["name"].notna()]
    by_name = named.assign(driver_id=[driver_pseudonym(name, key) for name in named["name"]])
    by_id = registered.assign(driver_id=[driver_pseudonym(text, key) for text in registered["driver_id"]])
    return pd.concat([drivers, by_name, by_id], ignore_index=True).drop_duplicates("driver_id", keep="first")


def without_forgotten(drivers: pd.DataFrame, key: bytes, forgotten: Collection[str]) -> pd.DataFrame:
    """The rows, with pseudonyms in the place of a forgotten driver's id and name; carrier and maintenance stay."""
    aliases = [aliases_of(row.driver_id, row.name, key) for row in drivers.itertuples(index=False)]
    is_forgotten = [bool(found & set(forgotten)) for found in aliases]
    if not any(is_forgotten):
        return drivers
    at = [(number, alias) for number, found in enumerate(aliases) if is_forgotten[number] for alias in sorted(found)]
    replaced = drivers.iloc[[number for number, _ in at]].assign(driver_id=[alias for _, alias in at], name=FORGOTTEN)
    kept = drivers[[not one for one in is_forgotten]]
    return pd.concat([kept, replaced.astype(drivers.dtypes)], ignore_index=True).drop_duplicates("driver_id")


def aliases_of(driver_id: str, name: object, key: bytes) -> set[str]:
    """The pseudonyms of a row of `ref.drivers`: its own, or those of a registered id and of its name."""
    found = {driver_id} if is_pseudonym(driver_id) else {driver_pseudonym(driver_id, key)}
    return found | {driver_pseudonym(name, key)} if isinstance(name, str) and name != FORGOTTEN else found


def _is_fixed(drivers: pd.DataFrame) -> pd.Series:
    """Whether each row is of the reference file, or of a forgotten driver.

    A source gives a pseudonym and a name alone. So may the file, but then a registered id has the same name, or none.
    """
    is_registered = ~drivers["driver_id"].map(is_pseudonym).astype(bool)
    has_more = drivers["carrier_code"].notna() | drivers["is_maintenance"].notna() | drivers["name"].isna()
    return is_registered | has_more | drivers["name"].isin([FORGOTTEN, *drivers.loc[is_registered, "name"].dropna()])


def is_pseudonym(driver_id: str) -> bool:
    """Whether an id is a pseudonym, and not one that the company gave."""
    return _PSEUDONYM.fullmatch(driver_id) is not None

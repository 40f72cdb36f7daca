"""Reference tables as of a day: which dated rows hold, and each vehicle with the contract in force.

Frames are those of `schema.reference`; places have their own index in `places`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.schema.partition import PARTITION_ZONE

DEFAULT_ZONE = PARTITION_ZONE  # of a vehicle whose unit is not known
_CONTRACT_FIELDS = [
    "kind",
    "deadhead_rule",
    "deadhead_cap_pct",
    "trip_tolerance_pct",
    "trip_tolerance_km",
    "day_tolerance_pct",
    "cycle_tolerance_pct",
]
_VEHICLE_FIELDS = [
    "plate",
    "fleet_number",
    "carrier_code",
    "unit_code",
    "contract_id",
    "vehicle_class",
    "default_area",
    "seats",
    "status",
    "titular_plate",
]


def validity(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """First and last day (datetime64[D], both inclusive) on which each row holds; open ends are year 1 and 9999."""
    starts, ends = as_days(frame["valid_from"]), as_days(frame["valid_to"])
    return (
        np.where(np.isnat(starts), np.datetime64("0001-01-01"), starts),
        np.where(np.isnat(ends), np.datetime64("9999-12-31"), ends),
    )


def valid_on(frame: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """The rows with valid_from ≤ day ≤ valid_to, empty ends open."""
    starts, ends = validity(frame)
    return frame[(starts <= as_days(day)) & (as_days(day) <= ends)]


def vehicles_on(vehicles: pd.DataFrame, contracts: pd.DataFrame, units: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """One row per plate with a valid row on the day, sorted by plate.

    Columns: those of `ref.vehicles` without validity, `timezone` of the unit (America/Sao_Paulo without one), and
    kind, deadhead_rule (unpaid when empty), deadhead_cap_pct and the tolerances of the contract. `contract_id` is null
    when the vehicle has none, the contract is unknown or not valid that day, or two valid rows of the plate leave open
    which one holds (loading refuses such rows; here the later `valid_from` gives the other columns).
    """
    valid = _latest_last(valid_on(vehicles, day), "plate")
    is_ambiguous = valid["plate"].duplicated(keep=False)
    view = valid.assign(contract_id=valid["contract_id"].where(~is_ambiguous))[_VEHICLE_FIELDS]
    view = view.drop_duplicates("plate", keep="last")
    in_force = _latest_last(valid_on(contracts, day), "contract_id").drop_duplicates("contract_id", keep="last")
    in_force = in_force.rename(columns={"carrier_code": "contract_carrier_code"})
    view = view.merge(
        in_force[["contract_id", "contract_carrier_code", *_CONTRACT_FIELDS]].assign(is_in_force=True),
        on="contract_id",
        how="left",
    ).merge(units[["unit_code", "timezone"]].drop_duplicates("unit_code"), on="unit_code", how="left")
    return view.assign(
        contract_id=view["contract_id"].where(view["is_in_force"].notna()),
        carrier_code=view["carrier_code"].fillna(view["contract_carrier_code"]),
        deadhead_rule=view["deadhead_rule"].fillna("unpaid"),
        timezone=view["timezone"].fillna(DEFAULT_ZONE),
    ).drop(columns=["is_in_force", "contract_carrier_code"])


def vehicles_on_days(
    vehicles: pd.DataFrame, contracts: pd.DataFrame, units: pd.DataFrame, days: Iterable[dt.date]
) -> pd.DataFrame:
    """`vehicles_on` of several days, one under the other, with the day in `operational_date`."""
    return join_days(partial(vehicles_on, vehicles, contracts, units), days)


def join_days(vehicles_of: Callable[[dt.date], pd.DataFrame], days: Iterable[dt.date]) -> pd.DataFrame:
    """What `vehicles_of` returns of several days, one under the other, with the day in `operational_date`."""
    views = []
    for day in sorted(set(days)):
        view = vehicles_of(day)
        views.append(view.assign(operational_date=dates(np.full(len(view), as_days(day)))))
    if not views:
        nowhere = vehicles_of(dt.date.min).iloc[:0]
        return nowhere.assign(operational_date=dates(np.empty(0, dtype="datetime64[D]")))
    return pd.concat(views, ignore_index=True)


def vehicle_zones(plates: pd.Series, vehicles: pd.DataFrame, units: pd.DataFrame, day: dt.date) -> pd.Series:
    """IANA zone of each plate: of the unit of its row valid on the day, else of its latest row, else São Paulo's."""
    return zones_of(plates, zones_by_plate(vehicles, units, day))


def zones_of(plates: pd.Series, zones: pd.Series) -> pd.Series:
    """IANA zone of each plate by `zones_by_plate`, São Paulo's of a plate that it does not have."""
    found = plates.map(zones).astype("str")  # typed: of no vehicle it would be a number
    return found.fillna(DEFAULT_ZONE).rename("timezone")


def zones_by_plate(vehicles: pd.DataFrame, units: pd.DataFrame, day: dt.date) -> pd.Series:
    """IANA zone by plate: of the unit of its row valid on the day, else of its latest row; missing without a unit."""
    latest = _latest_last(vehicles, "plate")
    chosen = pd.concat([latest, valid_on(latest, day)]).drop_duplicates("plate", keep="last")
    zone_of = units.drop_duplicates("unit_code").set_index("unit_code")["timezone"]
    return chosen.set_index("plate")["unit_code"].map(zone_of).astype("str")


def _latest_last(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    order = pd.DataFrame({"key": frame[key].to_numpy(), "start": validity(frame)[0].astype("int64")})
    return frame.iloc[order.sort_values(["key", "start"], kind="stable").index]

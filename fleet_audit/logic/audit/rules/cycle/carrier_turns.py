"""Vehicles that changed their carrier within a cycle, and which of its carriers each of their rows belongs to.

Rules that are judged by carrier name it with `Rule.is_by_carrier`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days


def carrier_turns(registered: pd.DataFrame) -> pd.DataFrame:
    """plate, day and turn (0 for its first carrier of the cycle, 1 for its second) of vehicles that changed carrier.

    Args:
        registered: vehicles as of each day of the cycle (`AuditCycle.registered`).
    """
    keys = ["plate", "carrier_code"]
    owned = registered[registered["carrier_code"].notna()]
    owned = owned[[*keys, "operational_date"]].sort_values("operational_date", kind="stable")
    first = owned[keys].drop_duplicates()
    first = first.assign(turn=first.groupby("plate").cumcount())
    is_sold = first["plate"].isin(first.loc[first["turn"] > 0, "plate"])
    turns = owned.merge(first[is_sold], on=keys)
    return turns.assign(day=as_days(turns["operational_date"]).astype("int64"))[["plate", "day", "turn"]]


def turn_of(rows: pd.DataFrame, turns: pd.DataFrame) -> np.ndarray:
    """The turn of each row, by plate and operational_date; 0 of vehicles with one carrier and of days before any.

    A day on which nobody has the vehicle belongs to its last carrier.
    """
    asked = pd.DataFrame(
        {"plate": rows["plate"].astype("str").array, "day": as_days(rows["operational_date"]).astype("int64")}
    )
    asked = asked.assign(at=np.arange(len(asked))).sort_values("day", kind="stable")
    known = turns.astype({"plate": "str"}).sort_values("day", kind="stable")
    found = pd.merge_asof(asked, known, on="day", by="plate").sort_values("at")
    turn: np.ndarray = found["turn"].fillna(0).to_numpy(dtype=np.int64)
    return turn


def turn_of_lines(lines: pd.DataFrame, registered: pd.DataFrame, turns: pd.DataFrame) -> np.ndarray:
    """The turn of each invoice line, by plate and contract_id: the first one with a day under that contract.

    That of another contract belongs to the vehicle's last carrier.
    """
    keys = ["plate", "contract_id"]
    known = registered.assign(turn=turn_of(registered, turns)).sort_values("operational_date", kind="stable")
    known = known[[*keys, "turn"]].astype({"plate": "str", "contract_id": "str"})
    of_contract = known.dropna(subset=keys).drop_duplicates(keys)
    last = known.drop_duplicates("plate", keep="last").set_index("plate")["turn"]
    asked = lines[keys].astype("str")
    found = asked.merge(of_contract, on=keys, how="left")["turn"].to_numpy()
    turn: np.ndarray = np.where(np.isnan(found), asked["plate"].map(last).fillna(0), found).astype(np.int64)
    return turn

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

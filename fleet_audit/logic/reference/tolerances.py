"""What a contract tolerates on a day: its own numbers where it states them, the parameters where it does not.

Comparing a divergence with a tolerance belongs to `matching` and the rules.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.validity import validity

_STATED = ("trip_tolerance_pct", "trip_tolerance_km", "day_tolerance_pct", "cycle_tolerance_pct")


def tolerances(
    contract_ids: pd.Series, days: np.ndarray, contracts: pd.DataFrame, parameters: ParameterSet
) -> pd.DataFrame:
    """trip_tolerance_pct, trip_tolerance_km, day_ and cycle_tolerance_pct (float) of each contract on its day.

    Args:
        contract_ids: contract of each row; null or unknown means the parameters.
        days: day of each row (datetime64[D]); a contract that is not valid on it means the parameters.
        contracts: `ref.contracts`; of two valid rows the later `valid_from` holds.
        parameters: defaults, in force on the day.
    """
    starts, ends = validity(contracts)
    rows = contracts[["contract_id", *_STATED]].assign(starts=starts.astype("int64"), ends=ends.astype("int64"))
    asked = pd.DataFrame(
        {
            "contract_id": contract_ids.to_numpy(dtype=object),
            "day": as_days(days).astype("int64"),
            "number": np.arange(len(contract_ids)),
        }
    )
    rows["contract_id"] = rows["contract_id"].astype(object)
    found = asked.merge(rows, on="contract_id")
    found = found[(found["starts"] <= found["day"]) & (found["day"] <= found["ends"])].sort_values("starts")
    found = found.drop_duplicates("number", keep="last").set_index("number").reindex(range(len(asked)))
    return pd.DataFrame(
        {
            name: np.nan_to_num(found[name].to_numpy(dtype="float64", na_value=np.nan), nan=getattr(parameters, name))
            for name in _STATED
        },
        index=contract_ids.index,
    )


def allowed_hundredths(measured: np.ndarray, tolerance_pct: np.ndarray, tolerance_km: np.ndarray) -> np.ndarray:
    """max(pct of measured, km) in hundredths of a km, exact enough that 10 % of 26.70 km is 267, not 266.99…."""
    return np.maximum(np.round(measured * tolerance_pct / 100, 6), np.round(tolerance_km * 100, 6))

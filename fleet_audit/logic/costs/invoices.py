"""Lines of the carriers' invoices: what each bills, which are credit notes, and of which contract it is.

What differs from the trips is a finding of `logic.audit.rules.cycle.invoice`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.primitives.money import multiply_brl


def billed_brl(lines: pd.DataFrame) -> pd.Series:
    """The variable amount of each line: variable_brl, else billed_km × rate; null where neither is known."""
    return lines["variable_brl"].fillna(multiply_brl(lines["billed_km"], lines["rate_brl_per_km"]))


def are_credit_notes(lines: pd.DataFrame) -> np.ndarray:
    """Whether each line is below zero: it lessens others, and has no trips of its own."""
    is_credit = (billed_brl(lines) < 0).fillna(False) | (lines["fixed_brl"] < 0).fillna(False)
    found: np.ndarray = is_credit.to_numpy(dtype=bool)
    return found


def with_known_contracts(lines: pd.DataFrame, contracts: pd.DataFrame) -> pd.DataFrame:
    """The lines with each contract as the register spells it: carriers write `ct-1` for CT-1.

    Such a line had no trips, and all of it was "a mais".
    """
    spelled = {fold(code): code for code in sorted(set(contracts["contract_id"].dropna()))}
    written = lines["contract_id"]
    known = written.map({code: spelled.get(fold(code), code) for code in written.unique()})
    return lines.assign(contract_id=known.astype(written.dtype)) if len(lines) else lines

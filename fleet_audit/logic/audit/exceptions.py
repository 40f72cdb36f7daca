"""Approved exceptions: whom and what a finding concerns, and the exception that covers it.

What an excepted finding counts for is decided in `scoring`, `logic.costs.amounts` and the rules that add up its km.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.evidence import known
from fleet_audit.logic.audit.rules.case import Case
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.identity import fold, normalise_plate

_SCOPE = ("rule_id", "plate", "carrier_code", "unit_code", "route_code")


def scope_of(context: Case, draft: Draft, trip: Record, run: Record) -> Record:
    """plate, carrier_code, unit_code and route_code of a finding: its carrier wrote its first run, else has its trip,
    else is that of the draft, else has the vehicle.

    Args:
        context: names whose a vehicle is.
        draft: the finding; trip, run: its first ones, empty where it has none.
    """
    source, owner = trip or run, context.owners.get(draft.plate or "", {})
    carriers = *(known(record.get("carrier_code")) for record in (run, trip)), known(draft.carrier_code)
    return {
        "plate": draft.plate,
        "carrier_code": next(filter(None, carriers), known(owner.get("carrier_code"))),
        "unit_code": known(source.get("unit_code")) or known(owner.get("unit_code")) or draft.unit_code,
        "route_code": trip.get("route_code"),
    }


def applicable_exceptions(findings: pd.DataFrame, exceptions: pd.DataFrame, day: dt.date) -> pd.Series:
    """exception_id that covers each finding of the day, the lowest of several; null where none does.

    Empty columns of an exception mean any; both dates are inclusive; codes match in any case. A finding without a
    route is covered by exceptions of any route only.
    """
    starts, ends = as_days(exceptions["date_from"]), as_days(exceptions["date_to"])
    today = as_days(day)
    in_force = exceptions[(np.isnat(starts) | (starts <= today)) & (np.isnat(ends) | (today <= ends))]
    found = pd.Series([None] * len(findings), index=findings.index, dtype=object)
    spelled = {name: findings[name].map(fold, na_action="ignore") for name in _SCOPE} if len(in_force) else {}
    for row in in_force.sort_values("exception_id", ascending=False).to_dict("records"):
        covers = np.ones(len(findings), dtype=bool)
        for name, own in spelled.items():
            if not pd.isna(row[name]):
                asked = fold(normalise_plate(row[name]) if name == "plate" else row[name])
                covers &= (own == asked).to_numpy(dtype=bool)
        found[covers] = row["exception_id"]
    return found

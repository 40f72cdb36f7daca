"""The four amounts of incidents: each kilometre's money in exactly one of them.

Which findings form an incident is decided in `causes`; the sums of a vehicle are in `logic.costs.amounts`, by the
same rule: of the rules that see one group of trips and runs the one with the largest sum counts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.amounts import OWN_MONEY, cents_of, concerns, is_beside_sums
from fleet_audit.logic.primitives.money import BRL, from_hundredths
from fleet_audit.schema.facts.columns import AMOUNTS

_VEHICLE = ["carrier_code", "plate", "amount"]
_COLUMNS = [*_VEHICLE, "finding_id", "rule_id", "concern", "cents", "is_beside"]


def shares(counted: pd.DataFrame, counted_before: pd.Series | None = None) -> pd.Series:
    """Cents by finding_id: what each finding adds to its amount when no kilometre counts twice.

    Of a group the rule with the largest sum has its findings' cents, every other rule 0. Of the rules over the whole
    day or cycle of a vehicle the largest has what exceeds the sum that counts already of the km that it adds up, its
    first finding first.

    Args:
        counted: `day_money` or `cycle_money`: findings that touch an amount.
        counted_before: cents by carrier, plate and amount that whole-cycle rules must exceed; None: those of the
            findings' own groups.
    """
    ordered = counted.sort_values(["rule_id", "finding_id"]).reset_index(drop=True)
    ordered["known"] = ordered["cents"].fillna(0).astype("int64")
    is_whole = ordered["concern"] == ""
    groups, wholes = ordered[~is_whole], ordered[is_whole]
    of_groups = groups["known"].where(_is_of_largest_rule(groups, [*_VEHICLE, "concern"]), 0)
    if counted_before is None:
        counted_before = of_groups[~groups["is_beside"]].groupby([groups[name] for name in _VEHICLE]).sum()
    share = pd.concat([of_groups, _beyond(wholes, counted_before)]).reindex(ordered.index)
    share = share.astype("Int64").mask(ordered["cents"].isna())
    return share.set_axis(ordered["finding_id"])


def _is_of_largest_rule(rows: pd.DataFrame, by: list[str]) -> pd.Series:
    """Whether each row's rule has the largest sum under its key; of equal sums the first rule's."""
    sums = rows.groupby([*by, "rule_id"])["known"].sum().reset_index()
    largest = sums.sort_values([*by, "known", "rule_id"], ascending=[*[True] * len(by), False, True])
    largest = largest.drop_duplicates(by)[[*by, "rule_id"]].assign(is_largest=True)
    found = rows[[*by, "rule_id"]].merge(largest, on=[*by, "rule_id"], how="left")["is_largest"]
    return found.notna().set_axis(rows.index)


def _beyond(wholes: pd.DataFrame, counted_before: pd.Series) -> pd.Series:
    """Cents by finding of each vehicle's largest rule beyond what counts already, first findings used up first."""
    is_largest = _is_of_largest_rule(wholes, _VEHICLE)
    chosen = wholes["known"].where(is_largest, 0)
    before = counted_before.reindex(pd.MultiIndex.from_frame(wholes[_VEHICLE])).fillna(0).to_numpy(dtype="int64")
    until = chosen.groupby([wholes[name] for name in _VEHICLE]).cumsum()
    return (until - np.maximum(until - chosen, before)).clip(lower=0)


def day_money(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """Open findings of a day that touch an amount: carrier, plate, amount, finding_id, rule_id, concern, cents.

    The concern is that of `amounts.concerns`, and `is_beside` is `amounts.is_beside_sums`.
    """
    chosen = _chosen(findings)
    concern = concerns(findings, matches).reindex(chosen.index)
    chosen = chosen.assign(concern=concern.mask(chosen["plate"] == "", chosen["finding_id"]))
    sums = findings[findings["rule_id"] == "D02"]
    return chosen.assign(is_beside=is_beside_sums(chosen, matches, sums))[_COLUMNS]


def cycle_money(findings: pd.DataFrame) -> pd.DataFrame:
    """The same of rules over a cycle: the concern is other money (fixed costs, paid deadhead), else empty."""
    chosen = _chosen(findings)
    chosen = chosen.assign(concern=chosen["rule_id"].map(OWN_MONEY).astype("str").fillna(""), is_beside=False)
    return chosen[_COLUMNS]


def _chosen(findings: pd.DataFrame) -> pd.DataFrame:
    rows = findings[(findings["status"] == "open") & findings["amount"].notna()]
    texts = {name: rows[name].astype("str").fillna("") for name in ("carrier_code", "plate")}
    money = pd.Series(pd.NA, index=rows.index, dtype="Int64")
    for name in AMOUNTS:
        money = money.mask(rows["amount"] == name, cents_of(rows[name]))
    return rows.assign(**texts, cents=money)


def amounts_by_root(roots: pd.Series, counted: pd.DataFrame, share: pd.Series) -> pd.DataFrame:
    """The four amounts in BRL by root; 0.00 without a finding that touches the amount, null where none has a rate.

    Args:
        roots: root_finding_id by finding_id.
        counted: the findings that touch an amount; share: `shares` of them.
    """
    share = share.groupby(level=0).sum(min_count=1)  # one clock (Q05) holds several runs
    counted = counted.drop_duplicates("finding_id")
    rows = pd.DataFrame(
        {
            "root": roots.reindex(counted["finding_id"]).to_numpy(),
            "amount": counted["amount"].to_numpy(),
            "cents": share.reindex(counted["finding_id"]).array,
        }
    )
    sums = rows.groupby(["root", "amount"])["cents"].sum(min_count=1).unstack("amount")
    is_touched = rows.assign(is_touched=True).groupby(["root", "amount"])["is_touched"].any().unstack("amount")
    every = pd.Index(sorted(set(roots)), name="root")
    columns = {}
    for name in AMOUNTS:
        cents = _column(sums, name, every).astype("Int64")
        is_unknown = cents.isna() & _column(is_touched, name, every).notna()
        columns[name] = from_hundredths(
            cents.fillna(0).to_numpy(dtype=np.int64), BRL, every, is_unknown.to_numpy(dtype=bool)
        )
    return pd.DataFrame(columns, index=every)


def _column(frame: pd.DataFrame, name: str, index: pd.Index) -> pd.Series:
    return frame[name].reindex(index) if name in frame else pd.Series(pd.NA, index=index, dtype="object")

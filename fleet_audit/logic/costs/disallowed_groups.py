"""The groups of trips and runs whose difference the waterfall disallows, each with the finding that disallows it.

Which line a difference stands in is decided in `waterfall`; runs without a trip have rows of `fact.held_runs`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.costs.waterfall import VEHICLE, CycleFacts, findings_of_groups, uncounted_groups
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths

_OWN, _OF_DAY, _OF_CYCLE = range(3)  # what is nearest to the group explains it


def disallowed_groups(rows: pd.DataFrame, facts: CycleFacts) -> pd.DataFrame:
    """One row per group with a trip: match_id, owner, finding_id, difference_km, difference_brl.

    The sums of difference_brl and of what runs without a trip and repeated runs disallow are the waterfall's. Where a
    day or cycle as a whole is disallowed (D02, D03), a group of it that was declared below the measured km is negative.
    A group without a price that has a finding of its own stands in no line, and its difference_brl is null.

    Args:
        rows: `waterfall.waterfall_rows` of the facts.
        facts: the cycle's.
    """
    with_trip = facts.matches.loc[facts.matches["trip_ids"].map(len) > 0, "match_id"]
    is_listed = (rows["line"] == "disallowed") | (~rows["is_priced"].astype("bool") & (rows["difference_hm"] > 0))
    groups = rows[is_listed.fillna(False) & rows["match_id"].isin(with_trip)]
    groups = groups.merge(_explanations(groups, facts), on="match_id")
    groups = groups[(groups["line"] == "disallowed") | (groups["near"] == _OWN)].reset_index(drop=True)
    cents = (groups["declared_cents"] - groups["admitted_cents"]).to_numpy(dtype="int64")
    hundredths = groups["difference_hm"].to_numpy(dtype="int64")
    is_open = (groups["line"] != "disallowed").to_numpy()
    return groups[["match_id", "operational_date", "plate", "carrier_code", "unit_code", "finding_id"]].assign(
        difference_km=from_hundredths(hundredths, KM, groups.index),
        difference_brl=from_hundredths(cents, BRL, groups.index, is_open),
    )


def _explanations(groups: pd.DataFrame, facts: CycleFacts) -> pd.DataFrame:
    """match_id, finding_id and near: its own finding with most R$, else its day's, else its cycle's."""
    found = findings_of_groups(facts)
    found = found[(found["status"] == "open") & (found["amount"] == "disallowed_brl")]
    keys = ["match_id", "operational_date", *VEHICLE]
    found = found.assign(carrier_code=found["carrier_code"].fillna(""))
    of_day, of_cycle = found[found["rule_id"] == "D02"], found[found["rule_id"] == "D03"]
    matches = facts.matches[facts.matches["match_id"].isin(groups["match_id"])]
    members = pd.concat([matches[["match_id", name]].explode(name).set_axis(["match_id", "member"], axis=1)
                         for name in ("trip_ids", "declared_run_ids")])  # fmt: skip
    named = pd.concat([found.assign(member=found[name]) for name in ("declared_run_id", "trip_id")])
    candidates = [
        members.dropna().merge(named.dropna(subset=["member"]), on="member").assign(near=_OWN),
        _counted(groups, of_day)[keys]
        .merge(of_day, on=["plate", "operational_date"], suffixes=("", "_of"))
        .assign(near=_OF_DAY),
        _counted(groups, of_cycle)[keys].merge(of_cycle, on=VEHICLE, suffixes=("", "_of")).assign(near=_OF_CYCLE),
    ]
    columns = ["match_id", "finding_id", "near", "brl_at_stake"]
    ranked = pd.concat([some[columns] for some in candidates], ignore_index=True)
    ranked = ranked.sort_values(["near", "brl_at_stake", "finding_id"], ascending=[True, False, True])
    return ranked.drop_duplicates("match_id")[["match_id", "finding_id", "near"]]


def _counted(groups: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    return groups[~groups["match_id"].isin(uncounted_groups(findings))]

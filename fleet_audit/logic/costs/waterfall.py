"""The waterfall of a carrier's cycle: from what was declared to what is admitted, exact to the cent.

Each group of trips and runs, and each priced trip outside of one, stands in exactly one line; what is held of a group
with trips, in a line of its own. Amounts of single findings are in `amounts`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.billing_lines import billed_trips
from fleet_audit.logic.primitives.money import BRL, divide_half_up, from_hundredths, to_hundredths

# How each line leads from the declared to the admitted value: differences are declared - admitted.
LINES = ("disallowed", "held", "in_favour", "undeclared", "excepted", "tolerance", "deadhead")
COLUMNS = ("declared_brl", *(f"{line}_brl" for line in LINES), "admitted_brl")
VEHICLE = ["plate", "carrier_code"]
_GROUP = ["match_id", "operational_date", *VEHICLE, "unit_code"]


@dataclass(frozen=True)
class CycleFacts:
    """Rows of a cycle's run days: `fact.trips`, `trip_costs`, `matches`, `held_runs` and `findings`."""

    trips: pd.DataFrame
    trip_costs: pd.DataFrame
    matches: pd.DataFrame
    held_runs: pd.DataFrame
    findings: pd.DataFrame


def waterfall(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per carrier (carrier_code, "" without one) with `COLUMNS`; `admitted_brl` is the sum of the others.

    Glosas and held runs are negative, what is in the carrier's favour positive. `rows` are those of `waterfall_rows`.
    """
    cents = pd.DataFrame(dict.fromkeys(COLUMNS, 0), index=rows.index)
    cents["declared_brl"] = rows["declared_cents"]
    for line in LINES:
        cents[f"{line}_brl"] = (rows["admitted_cents"] - rows["declared_cents"]).where(rows["line"] == line, 0)
    cents["admitted_brl"] = rows["admitted_cents"]
    sums = cents.groupby(rows["carrier_code"].astype("str")).sum()
    decimals = {name: from_hundredths(sums[name].to_numpy(dtype=np.int64), BRL, sums.index) for name in COLUMNS}
    return pd.DataFrame(decimals, index=sums.index).rename_axis("carrier_code").reset_index()


def waterfall_rows(facts: CycleFacts) -> pd.DataFrame:
    """One row per group with a run, per group with trips of which km are held, and per priced trip outside of a group.

    Columns: carrier_code, unit_code, plate, operational_date, match_id, trip_id, line, declared_cents, admitted_cents
    (integer cents), declared_km, difference_hm (of a group, hundredths of a km), is_priced. A group's declared value is
    what its trips cost plus its difference of km, declared - measured, at their mean rate: declared km that the
    contract does not pay (deadhead above a cap) have no price.
    That of runs without a trip, and of km that are measured but not billed because a place is not proven, is these km
    at the rate that applies: they are held. So are km declared above the measured ones where a gap cuts a trip of
    unknown purpose. A group with such km, or with a trip of unknown purpose, has no difference
    below the measured km but that below the billed km (D04), and one that bills none has its difference at the rate of
    the held km. A run that repeats another (D08) is a row of its own,
    because its km are in no group's. A group that nothing prices, or of which a trip has no price, has no difference:
    `is_priced` is false, and its km stand outside of the waterfall.
    """
    priced = billed_trips(facts.trips, facts.trip_costs)
    priced = priced.assign(cents=to_hundredths(priced["variable_cost_brl"]), hm=to_hundredths(priced["billable_km"]))
    priced = priced.assign(carrier_code=priced["carrier_code"].fillna(""))
    groups = facts.matches[facts.matches["declared_km"].notna()].reset_index(drop=True)
    groups = groups.assign(carrier_code=groups["carrier_code"].fillna(""))
    runs, trips = members_of(groups, "declared_run_ids"), members_of(groups, "trip_ids")
    members = trips.merge(groups[["match_id", "carrier_code"]], on="match_id")
    paid = members.merge(priced[["trip_id", "carrier_code", "cents", "hm"]].rename(columns={"trip_id": "member"}),
                         on=["member", "carrier_code"])  # fmt: skip
    alone = priced[~priced["trip_id"].isin(paid["member"])]
    repeats = linked_repeats(facts.findings, facts.matches)
    runs = runs[~runs["member"].isin(repeats["declared_run_id"])]
    rows = [
        _group_rows(groups, runs, members, paid, facts),
        _repeat_rows(repeats),
        _trip_rows(alone, facts.findings),
    ]
    return pd.concat(rows, ignore_index=True)


def linked_repeats(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """D08 findings of runs that are linked to a trip: the km of such a run are in no group's and in no held run's."""
    matches = matches.reset_index(drop=True)
    linked = matches.loc[matches["trip_ids"].explode().dropna().index.unique(), "declared_run_ids"].explode()
    is_repeat = (findings["rule_id"] == "D08") & findings["declared_run_id"].isin(linked.dropna())
    return findings[is_repeat].drop_duplicates("declared_run_id")


def findings_of_groups(facts: CycleFacts) -> pd.DataFrame:
    """The findings but those of linked repeats (D08): they name the trip of a group of whose km they are no part."""
    repeats = linked_repeats(facts.findings, facts.matches)["declared_run_id"]
    return facts.findings[(facts.findings["rule_id"] != "D08") | ~facts.findings["declared_run_id"].isin(repeats)]


def _group_rows(
    groups: pd.DataFrame, runs: pd.DataFrame, members: pd.DataFrame, paid: pd.DataFrame, facts: CycleFacts
) -> pd.DataFrame:
    sums = paid.groupby("match_id")[["cents", "hm"]].sum().reindex(groups["match_id"]).reset_index(drop=True)
    has_price = (sums["hm"].fillna(0) > 0).to_numpy()
    costs = facts.trip_costs
    unpriced = members[members["member"].isin(costs.loc[costs["variable_cost_brl"].isna(), "trip_id"])]
    is_open = groups["match_id"].isin(unpriced["match_id"]).to_numpy()
    admitted = sums["cents"].fillna(0).to_numpy(dtype=np.int64)
    hm = sums["hm"].fillna(0).to_numpy(dtype=np.int64)
    declared_hm = to_hundredths(groups["declared_km"])
    is_compared = groups["difference_km"].notna().to_numpy()
    has_trips = groups["match_id"].isin(members["match_id"]).to_numpy()
    held = _held_sums(groups, runs, facts.held_runs)
    is_held, held_cents = held["is_rated"].to_numpy(), held["cents"].to_numpy()
    beside = is_held & has_trips
    difference = np.where(is_compared, to_hundredths(groups["difference_km"]), np.where(beside, 0, declared_hm - hm))
    unknown = members[members["member"].isin(facts.trips.loc[facts.trips["purpose"] == "unknown", "trip_id"])]
    is_unproven = beside | groups["match_id"].isin(unknown["match_id"]).to_numpy()
    difference = np.where(is_unproven & (difference < 0), np.minimum(declared_hm - hm, 0), difference)
    difference = np.where(held["is_cut"], np.minimum(difference, 0), difference)
    at_rate = divide_half_up(
        difference * np.where(has_price, admitted, held_cents),
        np.where(has_price, hm, np.maximum(held["hm"].to_numpy(), 1)),
    )
    is_priced = is_held | (has_trips & has_price & ~is_open & ~held["is_unrated"].to_numpy())
    declared = admitted + np.where(has_trips, np.where(is_priced, at_rate, 0), held_cents)
    rows = pd.DataFrame(
        {
            **{name: groups[name] for name in _GROUP},
            "trip_id": None,
            "line": _group_lines(groups, [runs, members], has_trips, declared - admitted, findings_of_groups(facts)),
            "declared_cents": declared,
            "admitted_cents": admitted,
            "declared_km": groups["declared_km"],
            "difference_hm": pd.array(difference, dtype="Int64"),
            "is_priced": is_priced,
        }
    )
    held_rows = rows.assign(
        line="held", declared_cents=held_cents, admitted_cents=0, declared_km=None, difference_hm=pd.NA
    )
    return pd.concat([rows, held_rows[beside]])


def _group_lines(
    groups: pd.DataFrame,
    members: Sequence[pd.DataFrame],
    has_trips: np.ndarray,
    difference: np.ndarray,
    findings: pd.DataFrame,
) -> np.ndarray:
    """The line of each group's difference: that of its open findings, else that of those that an exception covers.

    Else it is the tolerance; of runs without a trip, held. `members` are the runs and the trips of the groups.
    """
    own, covered, favoured = _accusations(groups, members, findings[findings["status"] == "open"])
    forgiven = _accusations(groups, members, findings[findings["status"] == "excepted"])
    own_forgiven, covered_forgiven, favour_forgiven = forgiven
    above, below = difference > 0, difference < 0
    return np.select(
        [
            ~has_trips & own,
            ~has_trips,
            above & (own | covered),
            below & favoured,
            below & covered,
            above & (own_forgiven | covered_forgiven),
            below & (favour_forgiven | covered_forgiven),
        ],
        ["disallowed", "held", "disallowed", "in_favour", "disallowed", "excepted", "excepted"],
        default="tolerance",
    )


def _accusations(
    groups: pd.DataFrame, members: Sequence[pd.DataFrame], found: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each group, whether these findings disallow it itself, disallow its day or cycle, or are in its favour."""
    disallowed = found[found["amount"] == "disallowed_brl"]
    of_day = disallowed[disallowed["rule_id"] == "D02"]
    of_cycle = disallowed[disallowed["rule_id"] == "D03"]
    accused_days = pd.MultiIndex.from_frame(of_day[[*VEHICLE, "operational_date"]].astype(object).fillna(""))
    in_day = pd.MultiIndex.from_frame(groups[[*VEHICLE, "operational_date"]].astype(object)).isin(accused_days)
    in_day &= ~groups["match_id"].isin(uncounted_groups(of_day)).to_numpy()
    accused = pd.MultiIndex.from_frame(of_cycle[VEHICLE].astype(object).fillna(""))
    in_cycle = pd.MultiIndex.from_frame(groups[VEHICLE].astype(object)).isin(accused)
    in_cycle &= ~groups["match_id"].isin(uncounted_groups(of_cycle)).to_numpy()
    favoured = _touched(groups, members, found[found["amount"] == "in_favour_brl"])
    return _touched(groups, members, disallowed), in_day | in_cycle, favoured


def uncounted_groups(findings: pd.DataFrame) -> set[str]:
    """match_id of the groups that D02 or D03 did not count, as their evidence lists them."""
    return {key for text in findings["evidence"].dropna() for key in json.loads(text).get("uncounted_match_ids", ())}


def _repeat_rows(repeats: pd.DataFrame) -> pd.DataFrame:
    """Runs declared twice: disallowed; a line of its own where an exception covers the finding."""
    return pd.DataFrame(
        {
            **{name: repeats[name] for name in _GROUP[1:]},
            "carrier_code": repeats["carrier_code"].fillna(""),
            "match_id": None,
            "trip_id": None,
            "line": np.where(repeats["status"] == "open", "disallowed", "excepted"),
            "declared_cents": to_hundredths(repeats["brl_at_stake"]),
            "admitted_cents": 0,
            "declared_km": repeats["km_at_stake"],
            "difference_hm": pd.NA,
            "is_priced": repeats["brl_at_stake"].notna(),
        }
    )


def _trip_rows(trips: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    """Priced trips that no run of their carrier is linked to."""
    found = findings[(findings["status"] == "open") & (findings["amount"] == "in_favour_brl")]
    is_service = (trips["purpose"] == "service").to_numpy()
    lines = np.select([~is_service, trips["trip_id"].isin(found["trip_id"])], ["deadhead", "in_favour"], "undeclared")
    return pd.DataFrame(
        {
            **{name: trips[name] for name in _GROUP[1:]},
            "match_id": None,
            "trip_id": trips["trip_id"],
            "line": lines,
            "declared_cents": 0,
            "admitted_cents": trips["cents"],
            "declared_km": None,
            "difference_hm": pd.NA,
            "is_priced": True,
        }
    )


def members_of(groups: pd.DataFrame, column: str) -> pd.DataFrame:
    """match_id and member; something that two groups name belongs to the later one."""
    rows = groups[["match_id", "operational_date", column]].explode(column).rename(columns={column: "member"})
    rows = rows.dropna(subset=["member"]).sort_values(["operational_date", "match_id"], kind="stable")
    rows = rows.drop_duplicates("member", keep="last")
    return rows[["match_id", "member"]].astype({"member": "str"}).reset_index(drop=True)


def _held_sums(groups: pd.DataFrame, runs: pd.DataFrame, held_runs: pd.DataFrame) -> pd.DataFrame:
    """cents and hm of each group's held runs of which a rate is known, `is_rated`: whether any is, and `is_unrated`.

    `is_cut`: a gap cuts a trip of the group, and all that it declares above the measured km is held.
    """
    held = runs.merge(held_runs.rename(columns={"declared_run_id": "member"}), on="member")
    is_rated = held["brl_at_rate"].notna().to_numpy()
    cents, hm = (np.where(is_rated, to_hundredths(held[name]), 0) for name in ("brl_at_rate", "declared_km"))
    rows = pd.DataFrame(
        {
            "match_id": held["match_id"],
            "cents": cents,
            "hm": hm,
            "is_rated": is_rated,
            "is_unrated": ~is_rated,
            "is_cut": held["reason"] == "trip_cut",
        }
    )
    sums = rows.groupby("match_id").sum().reindex(groups["match_id"], fill_value=0)
    return sums.astype({"is_rated": bool, "is_unrated": bool, "is_cut": bool})


def _touched(groups: pd.DataFrame, members: Sequence[pd.DataFrame], findings: pd.DataFrame) -> np.ndarray:
    """Whether a finding names a run or a trip of the group."""
    named = {*findings["declared_run_id"].dropna(), *findings["trip_id"].dropna()}
    touched = {match for own in members for match in own.loc[own["member"].isin(named), "match_id"]}
    return groups["match_id"].isin(touched).to_numpy()

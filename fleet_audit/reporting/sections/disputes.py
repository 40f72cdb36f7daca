"""How much money findings dispute, without counting a kilometre twice.

Only the sum belongs here; each finding's own amount comes with it.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.reporting.labels import UNDERPAYMENT_RULES
from fleet_audit.reporting.sections.inputs import decimals, hundredths, members

_VEHICLE_DAY = ["operational_date", "plate"]
_COLUMNS = [*_VEHICLE_DAY, "unit_code", "carrier_code", "over_brl", "under_brl", "stake_brl"]


def vehicle_day_stakes(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """BRL in dispute of each vehicle-day: operational_date, plate, unit_code, carrier_code, over_, under_, stake_brl.

    Open findings with a known amount. Of the rules that see the same group of trips and runs the one with the largest
    sum holds; of a vehicle-day's groups together and its day-level rules, the larger. `under` is what the carrier may
    have been paid too little (D04, D07), `over` the rest.
    """
    counted = _counted(findings[~_is_of_cycle(findings)], matches)
    groups = _largest_rule(counted.dropna(subset=["group"]), [*_VEHICLE_DAY, "group"])
    groups = groups.groupby(_VEHICLE_DAY)[["over", "under"]].sum()
    days = _largest_rule(counted[counted["group"].isna()], _VEHICLE_DAY).groupby(_VEHICLE_DAY)[["over", "under"]].sum()
    return _named(_larger(groups, days), counted)


def vehicle_cycle_stakes(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """The same for a whole cycle: of the vehicle's days together and its cycle-level rules, the larger.

    Columns as `vehicle_day_stakes`; operational_date is the latest day of the vehicle's findings.
    """
    days = vehicle_day_stakes(findings, matches)
    summed = pd.DataFrame(
        {"over": hundredths(days["over_brl"]), "under": hundredths(days["under_brl"]), "plate": days["plate"]}
    )
    summed = summed.groupby("plate")[["over", "under"]].sum()
    cycle = _counted(findings[_is_of_cycle(findings)], matches)
    cycle = _largest_rule(cycle, ["plate"]).groupby("plate")[["over", "under"]].sum()
    every = _counted(findings, matches)
    latest = every.groupby("plate")["operational_date"].max()
    larger = _larger(summed, cycle)
    larger.index = pd.MultiIndex.from_arrays([latest.reindex(larger.index), larger.index], names=_VEHICLE_DAY)
    return _named(larger, every)


def _is_of_cycle(findings: pd.DataFrame) -> pd.Series:
    """Whether a finding is of a whole cycle: it is dated on the last day, but is not part of that day's sum."""
    return findings["cycle_start"].notna()


def _counted(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """Open findings with cents and the group of trips and runs that they speak of; a day-level one has no group."""
    open_ones = findings[(findings["status"] == "open") & findings["brl_at_stake"].notna()]
    group_of = {
        row.member: row.match_id
        for column in ("trip_ids", "declared_run_ids")
        for row in members(matches, column).itertuples()
    }
    entity = open_ones["declared_run_id"].fillna(open_ones["trip_id"])
    cents = hundredths(open_ones["brl_at_stake"])
    is_under = open_ones["rule_id"].isin(UNDERPAYMENT_RULES)
    return pd.DataFrame(
        {
            "operational_date": open_ones["operational_date"],
            "plate": open_ones["plate"].fillna(""),
            "unit_code": open_ones["unit_code"],
            "carrier_code": open_ones["carrier_code"],
            "rule_id": open_ones["rule_id"],
            "group": entity.map(group_of).astype("str").fillna(entity),
            "over": cents.where(~is_under, 0),
            "under": cents.where(is_under, 0),
        }
    )


def _largest_rule(counted: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Of each key the sums of the rule that adds up to most (ties: the first rule id)."""
    sums = counted.groupby([*by, "rule_id"], as_index=False)[["over", "under"]].sum()
    sums["sum"] = sums["over"] + sums["under"]
    sums = sums.sort_values([*by, "sum", "rule_id"], ascending=[True] * len(by) + [False, True], kind="stable")
    return sums.drop_duplicates(by)


def _larger(parts: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Row by row the frame with the larger over + under; the parts, which are more exact, where they are equal."""
    index = parts.index.union(whole.index)
    parts, whole = parts.reindex(index).fillna(0), whole.reindex(index).fillna(0)
    is_whole = whole.sum(axis=1) > parts.sum(axis=1)
    return parts.where(~is_whole, whole)


def _named(sums: pd.DataFrame, counted: pd.DataFrame) -> pd.DataFrame:
    who = counted.groupby("plate")[["unit_code", "carrier_code"]].first()
    result = sums.reset_index()
    result = result.join(who, on="plate")
    result["over_brl"] = decimals(result["over"])
    result["under_brl"] = decimals(result["under"])
    result["stake_brl"] = decimals(result["over"] + result["under"])
    return result[_COLUMNS]

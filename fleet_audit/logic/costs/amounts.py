"""The four amounts of findings per vehicle and day or cycle, without counting a kilometre twice.

Each rule states the amount that it touches; a finding has its own BRL. The four are never added up.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.waterfall import linked_repeats, uncounted_groups
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.money import BRL, from_hundredths, to_hundredths
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import VEHICLE_CYCLE_AMOUNTS, VEHICLE_DAY_AMOUNTS
from fleet_audit.schema.facts.columns import AMOUNTS

_OWNER = ["plate", "carrier_code", "unit_code"]
_CENTS = list(AMOUNTS)
# Rules over a cycle whose money is not that of the declared or measured service km: it adds to theirs.
OWN_MONEY = {"V03": "fixed", "V04": "fixed", "K03": "deadhead"}
# Rules about the written km of one run: of a run that repeats another, these km are in no group.
_OF_WRITTEN_KM = ("D08", "D11")


def vehicle_day_amounts(
    day: dt.date, findings: pd.DataFrame, matches: pd.DataFrame, held_runs: pd.DataFrame
) -> pd.DataFrame:
    """`fact.vehicle_day_amounts` of one day without the trace columns.

    Of the rules that see one group of trips and runs the one with the largest sum counts, per amount; of a
    vehicle-day's groups together and its day-level rules, the larger. What is disallowed of runs that a sum over the
    day does not hold (`is_beside_sums`) is added to it. `held_brl` are the runs that cannot be verified,
    at the rate that applies. An amount is null where none of its findings has a rate, and 0.00 where it has no finding.
    Each carrier with something at stake has its own row: what another than the vehicle's declared is that one's.

    Args:
        day: operational day of the rows.
        findings: `fact.findings` of the day; cycle rules are ignored.
        matches: `fact.matches` of the day.
        held_runs: `fact.held_runs` of the day.
    """
    findings, by = findings[findings["cycle_start"].isna()], _OWNER[:2]
    counted = _counted(findings).assign(concern=concerns(findings, matches))
    is_grouped, is_beside = (
        counted["concern"] != "",
        is_beside_sums(counted, matches, findings[findings["rule_id"] == "D02"]),
    )
    groups, beside = (
        _largest_rule(counted[chosen], [*by, "concern"]).groupby(level=by)[_CENTS].sum(min_count=1)
        for chosen in (is_grouped & ~is_beside, is_beside)
    )
    days = _largest_rule(counted[~is_grouped], by)
    unverified = held_runs[held_runs["reason"] != "phantom"]  # a phantom's vehicle was seen standing: that is D05
    owners = pd.concat([matches[_OWNER], findings[_OWNER]]).groupby("plate")[_OWNER[1:]].first()
    unnamed = unverified["plate"].map(owners["carrier_code"])
    unverified = unverified.assign(carrier_code=unverified["carrier_code"].fillna(unnamed))
    owner_texts = [unverified[name].astype("str").fillna("") for name in by]
    held = cents_of(unverified["brl_at_rate"]).groupby(owner_texts).sum(min_count=1)
    sums = _added(_larger(groups, days), beside)
    sums = sums.reindex(sums.index.union(held.index))
    sums["held_brl"] = held.reindex(sums.index)
    touched = _touched(counted, by).reindex(sums.index, fill_value=False)
    touched["held_brl"] = sums.index.isin(held.index)
    rows = _decimals(sums.where(sums.notna() | touched, 0)).rename_axis(by).reset_index()
    rows = _named(rows.assign(unit_code=rows["plate"].map(owners["unit_code"]), operational_date=day))
    keys = ["operational_date", *by]
    return conform(rows.assign(vehicle_amounts_id=stable_ids(rows, keys)), VEHICLE_DAY_AMOUNTS.untraced)


def vehicle_cycle_amounts(
    cycle: Cycle, day_amounts: pd.DataFrame, findings: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """`fact.vehicle_cycle_amounts` of one cycle without the trace columns.

    What is disallowed, held and in the carrier's favour is what the waterfall's lines of that name hold: the sums of a
    carrier are those of its waterfall, to the cent. In the days' amounts alone are what a reading lacks (D10), because
    km between two runs are admitted, where the contract pays them, by the trips that drove them, and the estimates of
    km without a price (K01, V01), which the waterfall excludes. In doubt is the larger of
    the vehicle's days together and its rules over the cycle, plus what rules over fixed costs and paid deadhead put in
    doubt: that is other money.

    Args:
        cycle: the cycle of the rows.
        day_amounts: `fact.vehicle_day_amounts` of its days.
        findings: `fact.findings` of the cycle.
        rows: `waterfall.waterfall_rows` of the cycle.
    """
    sums = pd.concat([_doubtful_cents(day_amounts, findings), _line_cents(rows)], axis=1)
    unknown = _touched(_counted(findings), _OWNER)
    sums = sums.reindex(sums.index.union(unknown.index)).reindex(columns=_CENTS)
    is_unknown = sums.isna() & unknown.reindex(sums.index, fill_value=False)
    named = _named(_decimals(sums.fillna(0).mask(is_unknown)).reset_index())
    named = named.assign(cycle_start=cycle.start, operational_date=cycle.end)
    keys = ["cycle_start", *_OWNER]
    return conform(named.assign(vehicle_amounts_id=stable_ids(named, keys)), VEHICLE_CYCLE_AMOUNTS.untraced)


def _doubtful_cents(day_amounts: pd.DataFrame, findings: pd.DataFrame) -> pd.Series:
    """Cents paid and in doubt by owner."""
    name = "paid_doubtful_brl"
    cents = pd.DataFrame({**_texts(day_amounts), **{each: cents_of(day_amounts[each]) for each in _CENTS}})
    days = cents.groupby(_OWNER)[_CENTS].sum(min_count=1)
    counted = _counted(findings[findings["cycle_start"].notna()])
    counted["concern"] = counted["rule_id"].map(OWN_MONEY).fillna("")
    is_other = counted["concern"] != ""
    sums = _larger(days, _largest_rule(counted[~is_other], _OWNER))[name]
    other = _largest_rule(counted[is_other], [*_OWNER, "concern"]).groupby(level=_OWNER)[name].sum(min_count=1)
    return _added(sums.to_frame(), other.to_frame())[name]


def _line_cents(rows: pd.DataFrame) -> pd.DataFrame:
    """Cents by owner and amount that stand in the waterfall's lines of that name."""
    difference = pd.Series(rows["declared_cents"] - rows["admitted_cents"], dtype="Int64")
    signs = {"disallowed": 1, "held": 1, "in_favour": -1}
    cents = pd.DataFrame(
        {f"{line}_brl": sign * difference.where(rows["line"] == line, 0) for line, sign in signs.items()}
    )
    sums = cents.groupby(list(_texts(rows).values())).sum()
    return sums[(sums != 0).any(axis=1)].clip(lower=0).astype("Int64")


def _counted(findings: pd.DataFrame) -> pd.DataFrame:
    """Open findings of a vehicle that touch an amount: owner, rule_id, amount and the cents of each."""
    chosen = findings[(findings["status"] == "open") & findings["amount"].notna() & findings["plate"].notna()]
    return pd.DataFrame(
        {
            **_texts(chosen),
            "rule_id": chosen["rule_id"],
            "amount": chosen["amount"],
            **{name: cents_of(chosen[name]) for name in _CENTS},
        }
    )


def concerns(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.Series:
    """What each finding of days is about: match_id of its group of trips and runs, "" for a whole day.

    It is the run or the trip itself where no group has it, and the run that repeats one of the group (D08): the
    group's declared km exclude that run.
    """
    entity = findings["declared_run_id"].fillna(findings["trip_id"]).astype("str")
    group = entity.map(groups_by_member(matches)).astype("str").fillna(entity).fillna("")
    is_repeat = entity.isin(linked_repeats(findings, matches)["declared_run_id"])
    return group.mask(is_repeat & findings["rule_id"].isin(_OF_WRITTEN_KM), entity)


def is_beside_sums(counted: pd.DataFrame, matches: pd.DataFrame, sums: pd.DataFrame) -> pd.Series:
    """Whether money is disallowed that no sum over a day or cycle holds, by its amount and concern.

    `sums` are the findings of D02 or D03. They add up groups of which both sides are known, without those that their
    evidence excludes: a phantom, and a run that repeats another, are other km.
    """
    compared = set(matches.loc[is_compared(matches), "match_id"]) - uncounted_groups(sums)
    is_of_run = (counted["concern"] != "") & ~counted["concern"].isin(compared)
    return is_of_run & (counted["amount"] == "disallowed_brl")


def is_compared(matches: pd.DataFrame) -> pd.Series:
    """Whether km of a group are compared over a vehicle's day and cycle (D02, D03): both sides are known."""
    return matches["difference_km"].notna()


def groups_by_member(matches: pd.DataFrame) -> dict[str, str]:
    """Trip or declared run → match_id of the group that it is in."""
    pairs = [
        matches[["match_id", name]].explode(name).rename(columns={name: "member"}).dropna()
        for name in ("trip_ids", "declared_run_ids")
    ]
    members = pd.concat(pairs)
    return dict(zip(members["member"], members["match_id"], strict=True))


def _largest_rule(counted: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Cents by key: per amount those of the rule with the largest sum."""
    sums = counted.groupby([*by, "rule_id"])[_CENTS].sum(min_count=1)
    return sums.groupby(level=by).max()


def _larger(parts: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Per key and amount the larger of two; where only one is known, that one."""
    index = parts.index.union(whole.index)
    parts, whole = parts.reindex(index).astype("Int64"), whole.reindex(index).astype("Int64")
    return parts.where((parts >= whole).fillna(parts.notna()), whole)


def _added(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Per key and amount the sum of two; where only one is known, that one."""
    index = first.index.union(second.index)
    first, second = first.reindex(index).astype("Int64"), second.reindex(index).astype("Int64")
    return (first.fillna(0) + second.fillna(0)).where(first.notna() | second.notna())


def _touched(counted: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Whether a finding touches an amount, with or without known BRL, by key."""
    flags = pd.DataFrame({name: counted["amount"] == name for name in _CENTS})
    return flags.groupby([counted[name] for name in by]).any()


def _texts(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: rows[name].astype("str").fillna("") for name in _OWNER}


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with null for an empty code."""
    return rows.assign(**{name: rows[name].astype("str").replace("", None) for name in _OWNER[1:]})


def cents_of(values: pd.Series) -> pd.Series:
    """Exact amounts as whole cents; the unknown stays unknown."""
    return pd.Series(to_hundredths(values), index=values.index, dtype="Int64").mask(values.isna())


def _decimals(cents: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for name in _CENTS:
        missing = cents[name].isna().to_numpy(dtype=bool)
        whole = cents[name].fillna(0).to_numpy(dtype=np.int64)
        columns[name] = from_hundredths(whole, BRL, cents.index, missing)
    return pd.DataFrame(columns, index=cents.index)

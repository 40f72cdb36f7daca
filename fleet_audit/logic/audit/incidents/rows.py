"""Rows of `fact.incidents`, of one day and of a cycle: members, root, amounts and sentence of each incident.

Which findings belong together is in `causes`, whose money counts in `amounts`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.incidents.amounts import amounts_by_root, cycle_money, day_money, shares
from fleet_audit.logic.audit.incidents.causes import DECLARED_RUN, WHOLE_CYCLE, WHOLE_DAY, cause_of, is_clock
from fleet_audit.logic.audit.rules.registry import TITLES
from fleet_audit.logic.costs.amounts import cents_of, is_beside_sums
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import INCIDENTS
from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit.schema.frames import FindingsFrame, HeldRunsFrame, IncidentsFrame, MatchesFrame

_HELD, _VEHICLE = "held_brl", ["carrier_code", "plate", "amount"]


def day_incidents(findings: FindingsFrame, matches: MatchesFrame, held_runs: HeldRunsFrame) -> IncidentsFrame:
    """`fact.incidents` of one day without the trace columns, sorted by its key.

    Their amounts are those of `fact.vehicle_day_amounts`, each kilometre in one incident. What is held without a
    finding is in none of them, except runs held for a clock that a finding (Q05) proves.

    Args:
        findings: `fact.findings` of the day with `root_finding_id`; rules of a cycle are ignored.
        matches: `fact.matches` of the day.
        held_runs: `fact.held_runs` of the day.
    """
    rows = findings[findings["cycle_start"].isna()]
    counted = pd.concat([day_money(rows, matches), _held_for_clock(rows, held_runs)], ignore_index=True)
    return _incidents(rows, rows, counted, shares(counted), None)


def cycle_incidents(
    cycle: Cycle,
    findings: FindingsFrame,
    day_findings: FindingsFrame,
    day_amounts: pd.DataFrame,
    matches: MatchesFrame,
) -> IncidentsFrame:
    """`fact.incidents` of the rules of one cycle without the trace columns, sorted by its key.

    The amounts are what the rules add to the incidents of the cycle's days: a D03 of R$ 90 over days that count R$ 70
    adds R$ 20, and its root is the run of those days that weighs most. Runs whose km a D03 does not add up (D05, D08)
    lessen nothing.

    Args:
        cycle: the cycle.
        findings: `fact.findings` of its rules with `root_finding_id`.
        day_findings: `fact.findings` of its days.
        day_amounts: `fact.vehicle_day_amounts` of its days.
        matches: `fact.matches` of its days.
    """
    counted = cycle_money(findings)
    of_days = day_money(day_findings, matches)
    sums = findings[findings["rule_id"] == WHOLE_CYCLE]
    beside = shares(of_days[is_beside_sums(of_days, matches, sums)])
    keys = of_days.drop_duplicates("finding_id").set_index("finding_id").loc[beside.index, _VEHICLE]
    before = pd.concat([_day_cents(day_amounts, name) for name in AMOUNTS])
    before = before.sub(beside.groupby([keys[name] for name in _VEHICLE]).sum(), fill_value=0)
    return _incidents(findings, pd.concat([findings, day_findings]), counted, shares(counted, before), cycle.start)


def with_cycle_roots(cycle: Cycle, findings: pd.DataFrame, day_findings: pd.DataFrame) -> pd.DataFrame:
    """The findings of a cycle's rules with `root_finding_id`: D03 points to the largest declared run of its days.

    Args:
        cycle: the cycle.
        findings: `fact.findings` of its rules.
        day_findings: `fact.findings` of its days, with `root_finding_id`.
    """
    days = day_findings[(day_findings["operational_date"] >= cycle.start).fillna(False).astype(bool)]
    days = days[days["rule_id"].isin([*DECLARED_RUN.roots, WHOLE_DAY]) & (days["status"] == "open")]
    brl = days["disallowed_brl"].astype("float64").fillna(0.0)
    days = days.assign(brl=brl).sort_values(["brl", "finding_id"], ascending=[False, True])
    root_of = days.drop_duplicates(["carrier_code", "plate"])
    root_of = root_of.set_index(_vehicle(root_of))["root_finding_id"].dropna()
    joined = _vehicle(findings).map(root_of).astype("str").where(findings["rule_id"] == WHOLE_CYCLE)
    return findings.assign(root_finding_id=joined.fillna(findings["finding_id"].astype("str")))


def _vehicle(rows: pd.DataFrame) -> pd.Series:
    return rows["carrier_code"].astype("str").fillna("") + "|" + rows["plate"].astype("str").fillna("")


def _held_for_clock(findings: pd.DataFrame, held_runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that are held for a clock, as money of the finding (Q05) about their vehicle's clock.

    Not those of another carrier: their money is that one's, and the finding the vehicle's carrier's.
    """
    clocks = findings[is_clock(findings) & (findings["status"] == "open")].sort_values("finding_id")
    clocks = clocks.drop_duplicates("plate")
    clocks = clocks.set_index(clocks["plate"].astype("str"))
    runs = held_runs[(held_runs["reason"] == "clock") & held_runs["plate"].isin(clocks.index)]
    writer, owner = runs["carrier_code"].astype(object), runs["plate"].map(clocks["carrier_code"]).astype(object)
    runs = runs[writer.isna() | owner.isna() | (writer == owner)]
    plate = runs["plate"].astype("str")
    return pd.DataFrame(
        {
            "carrier_code": plate.map(clocks["carrier_code"]).astype("str").fillna(""),
            "plate": plate,
            "amount": _HELD,
            "finding_id": plate.map(clocks["finding_id"]),
            "rule_id": "Q05",
            "concern": runs["declared_run_id"].astype("str"),
            "cents": cents_of(runs["brl_at_rate"]),
            "is_beside": False,
        }
    )


def _day_cents(day_amounts: pd.DataFrame, name: str) -> pd.Series:
    rows = day_amounts[["carrier_code", "plate"]].astype("str").fillna("").assign(amount=name)
    return cents_of(day_amounts[name]).groupby([rows[key] for key in rows]).sum()


def _incidents(
    members: pd.DataFrame, known: pd.DataFrame, counted: pd.DataFrame, share: pd.Series, cycle_start: dt.date | None
) -> pd.DataFrame:
    """One row per root of the members; `known` are findings among which the roots are."""
    if members.empty:
        return empty_frame(INCIDENTS.untraced)
    roots = known[known["finding_id"].isin(members["root_finding_id"])].drop_duplicates("finding_id")
    roots = roots.set_index(roots["finding_id"].astype("str")).sort_index()
    ordered = members.assign(is_member=members["finding_id"] != members["root_finding_id"])
    ordered = ordered.sort_values(["root_finding_id", "is_member", "rule_id", "finding_id"])
    of_root = ordered.groupby(ordered["root_finding_id"].astype("str"), sort=True)
    amounts = amounts_by_root(members.set_index("finding_id")["root_finding_id"], counted, share)
    ids = [stable_id("incident", root, cycle_start) for root in roots.index]
    table = pd.DataFrame(
        {
            "incident_id": ids,
            "operational_date": of_root["operational_date"].max(),
            "cycle_start": cycle_start,
            "cause": cause_of(roots),
            "carrier_code": of_root["carrier_code"].first(),
            "unit_code": of_root["unit_code"].first(),
            "plates": [sorted({plate for plate in plates if pd.notna(plate)}) for plates in _lists(ordered, "plate")],
            "root_finding_id": roots["finding_id"],
            "root_rule_id": roots["rule_id"],
            "finding_ids": _lists(ordered, "finding_id"),
            **{name: amounts[name].reindex(roots.index) for name in AMOUNTS},
            "sentence_pt": [
                _sentence(*of_one)
                for of_one in zip(
                    *(_lists(ordered, name) for name in ("explanation_pt", "is_member", "rule_id")), strict=True
                )
            ],
        }
    )
    return conform(table.reset_index(drop=True), INCIDENTS.untraced)


def _lists(ordered: pd.DataFrame, column: str) -> list[list[Any]]:
    """The values of a column by root; `ordered` has the rows of each root together."""
    roots, values = ordered["root_finding_id"].to_numpy(dtype=object), ordered[column].tolist()
    bounds = [*np.flatnonzero(np.append(True, roots[1:] != roots[:-1])), len(values)]
    return [values[first:end] for first, end in pairwise(bounds)]


def _sentence(texts: list[Any], is_member: list[bool], rules: list[Any]) -> str:
    """The root's sentence, and what it explains; of a cycle's rule that joins a day's run its own sentence."""
    text = str(texts[0]).rstrip()
    if is_member[0]:
        return f"{text.removesuffix('.')}; aqui consta o que passa dos incidentes de cada dia."
    if len(rules) == 1:
        return text
    listed = "; ".join(_named(rule, count) for rule, count in sorted(Counter(map(str, rules[1:])).items()))
    return f"{text.removesuffix('.')}; da mesma causa: {listed}."


def _named(rule_id: str, count: int) -> str:
    """`declarado acima do medido, dia do veículo (D02)`, and how often where more than once."""
    title = TITLES.get(rule_id, "")
    words = f"{title[:1].lower()}{title[1:]} ({rule_id})" if title else rule_id
    return words if count == 1 else f"{words}, {count} vezes"

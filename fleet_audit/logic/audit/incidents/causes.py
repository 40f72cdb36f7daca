"""Findings with one root cause as one incident: which findings belong together, and which one names the cause.

The order of causes is that of RULES section 6.1. A track sent a second time (G05) is a tracker that does not show the
bus, as one off it (O04). A vehicle in two trips at once (T01) is about one declared run. Two rules explain no other
finding and stand on their own: a driver on two vehicles (T02) doubts who drove, not how far; a place that changed
unseen (G02) has no amount, and a run in that time is held by its own D06. The money of incidents is in
`amounts`, points in `scoring`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.amounts import groups_by_member


@dataclass(frozen=True)
class Cause:
    """What one kind of root explains of the same carrier's vehicle on the same day.

    Attributes:
        name: value of `fact.incidents.cause`.
        roots: rules whose findings name the cause, the first before the others.
        explains: rules whose findings the cause explains.
    """

    name: str
    roots: tuple[str, ...]
    explains: frozenset[str]


EXCHANGE = Cause("exchange", ("O08",), frozenset({"O01", "O02", "O05", "D01", "D02", "D04", "D10"}))
# In the order in which a finding looks for its cause. A finding that no cause explains stands on its own.
CAUSES = (
    Cause("own_gap", ("Q03",), frozenset({"D05", "D06", "D07", "D10", "Q02"})),
    EXCHANGE,
    Cause("tracker_off", ("O04", "G05"), frozenset({"D05", "D06"})),
    Cause("clock", ("Q05",), frozenset({"D05", "D06", "D07", "D12", "T03"})),
    Cause("odometer", ("O01", "O02", "O03"), frozenset({"O05", "D10"})),
)
DECLARED_RUN = Cause("declared_run", ("D08", "T01", "D05", "D11", "D01"), frozenset({"D06"}))
WHOLE_DAY, WHOLE_CYCLE = "D02", "D03"
_CLOCK_ISSUES = {"clock_shift", "clock_minutes", "gps_week_rollover"}
_ROOTS = [rule for cause in (*CAUSES, DECLARED_RUN) for rule in cause.roots] + [WHOLE_DAY, WHOLE_CYCLE]
_RANK = {rule: rank for rank, rule in enumerate(_ROOTS)}
_CAUSE_OF = {rule: cause.name for cause in (*CAUSES, DECLARED_RUN) for rule in cause.roots}
_CAUSE_OF |= {WHOLE_DAY: DECLARED_RUN.name, WHOLE_CYCLE: DECLARED_RUN.name}


def with_roots(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """The findings of one day with `root_finding_id`: each one's root, its own id where it is the root.

    An incident stays within one carrier, so that a carrier's copy names nobody else's vehicle. Among the findings of
    an incident the root is the one whose rule comes first, then the one with most BRL. The order of the rows does not
    matter.

    Args:
        findings: `fact.findings` of the day.
        matches: `fact.matches` of the day.
    """
    rows = pd.DataFrame(
        {
            "finding_id": findings["finding_id"].astype("str"),
            "rule": findings["rule_id"].astype("str"),
            "place": _texts(findings, "carrier_code") + "|" + _texts(findings, "plate"),
            "carrier": _texts(findings, "carrier_code"),
            "run": _runs(findings, matches),
            "other_plate": _other_plates(findings),
            "brl": findings["brl_at_stake"].astype("float64").fillna(0.0),
            "is_root": ~(findings["rule_id"] == "Q05") | is_clock(findings),
        },
        index=findings.index,
    )
    keys = pd.Series("", index=rows.index, dtype=object)
    for cause in CAUSES:
        keys = keys.where(keys != "", _keys_of_cause(rows[keys == ""], cause).reindex(rows.index, fill_value=""))
    free = rows[keys == ""]
    keys = keys.where(keys != "", _keys_of_runs(free).reindex(rows.index, fill_value=""))
    rows["key"] = keys.where(keys != "", rows["finding_id"])
    rows["rank"] = rows["rule"].map(_RANK).fillna(len(_RANK)).where(rows["is_root"], len(_RANK))
    first = rows.sort_values(["key", "rank", "brl", "finding_id"], ascending=[True, True, False, True])
    root = first.drop_duplicates("key").set_index("key")["finding_id"]
    return findings.assign(root_finding_id=rows["key"].map(root))


def cause_of(roots: pd.DataFrame) -> pd.Series:
    """The cause that each root names; `single` for a finding of a rule that names none.

    Args:
        roots: `fact.findings` of the roots.
    """
    named = roots["rule_id"].map(_CAUSE_OF).astype("str")
    return named.where((roots["rule_id"] != "Q05") | is_clock(roots)).fillna("single")


def explains(cause: str, rule_id: str) -> bool:
    """Whether the cause explains findings of the rule."""
    return any(each.name == cause and rule_id in each.explains for each in CAUSES)


def _keys_of_cause(rows: pd.DataFrame, cause: Cause) -> pd.Series:
    """Key of the incident of each finding that is a root of the cause or explained by one; empty for the others."""
    is_root = rows["rule"].isin(cause.roots) & rows["is_root"]
    incident_of = _places(rows[is_root])
    key = rows["place"].map(incident_of).astype("str")
    key = key.fillna(rows["carrier"].map(lambda carrier: incident_of.get(f"{carrier}|")).astype("str"))
    is_member = (is_root | rows["rule"].isin(cause.explains)) & key.notna()
    return (cause.name + "|" + key).where(is_member, "")


def _places(roots: pd.DataFrame) -> dict[str, str]:
    """Carrier and plate of each vehicle that roots concern → the first of those that they connect."""
    first: dict[str, str] = {}

    def find(place: str) -> str:
        while first.setdefault(place, place) != place:
            place = first[place]
        return place

    for row in roots.sort_values("place").itertuples():
        ends = sorted({find(row.place), find(f"{row.carrier}|{row.other_plate}" if row.other_plate else row.place)})
        first[ends[-1]] = ends[0]
    return {place: find(place) for place in sorted(first)}


def _keys_of_runs(rows: pd.DataFrame) -> pd.Series:
    """Key of each finding about one declared run; with D02 of its vehicle all runs of the day are one incident."""
    is_of_run = rows["rule"].isin(DECLARED_RUN.roots) & (rows["run"] != "")
    is_whole = rows["rule"] == WHOLE_DAY
    run_key = DECLARED_RUN.name + "|" + rows["place"] + "|" + rows["run"]
    day_key = DECLARED_RUN.name + "|" + rows["place"]
    has_whole = rows["place"].isin(rows.loc[is_whole, "place"])
    key = run_key.where(~has_whole, day_key).where(is_of_run, "").mask(is_whole, day_key)
    incident_of_run = dict(zip(run_key[is_of_run], key[is_of_run], strict=True))
    is_explained = rows["rule"].isin(DECLARED_RUN.explains) & (rows["run"] != "")
    return key.mask(is_explained, run_key.map(incident_of_run).astype("str").fillna(""))


def _runs(findings: pd.DataFrame, matches: pd.DataFrame) -> pd.Series:
    """The group of the run that a finding is about, else the run; empty for one about a whole day."""
    entity = findings["declared_run_id"].fillna(findings["trip_id"]).astype("str")
    return entity.map(groups_by_member(matches)).astype("str").fillna(entity).fillna("")


def is_clock(findings: pd.DataFrame) -> pd.Series:
    """Whether a finding says that a device's clock is off."""
    asked = findings["rule_id"] == "Q05"
    parts = [json.loads(text) for text in findings.loc[asked, "evidence"]]
    is_clock = [not _CLOCK_ISSUES.isdisjoint({part.get("issue"), part.get("note_code")}) for part in parts]
    found = pd.Series(False, index=findings.index)
    found[asked] = np.array(is_clock, dtype=bool)
    return found


def _other_plates(findings: pd.DataFrame) -> pd.Series:
    """The other vehicle of an exchange, by its evidence; empty elsewhere."""
    asked = findings["rule_id"].isin(EXCHANGE.roots)
    found = pd.Series("", index=findings.index, dtype=object)
    found[asked] = [json.loads(text).get("other_plate") or "" for text in findings.loc[asked, "evidence"]]
    return found


def _texts(findings: pd.DataFrame, name: str) -> pd.Series:
    return findings[name].astype("str").fillna("")

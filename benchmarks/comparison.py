"""What the logic made of a simulated fleet, against the fleet's truth: trips, money, ledger and findings.

Only comparisons of frames; how the results come about is in `audited_fleet`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.audited_fleet import CLOSING_DAY, AuditedDay
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.cycles import cycle_of

SAME_TRIP_S = 180
# Such a trip cannot be found with both of its ends: out of sight, at another hour, elsewhere, or on another plate.
HIDING = ("dead_zone_long", "clock_off", "O04", "O08", "G02", "G05")
ANY_RULE = ("O08", "G05")  # what everything of the day contradicts
HABITS = ("D03", "K05", "S01", "S03")  # of a vehicle, on all of its days
# After these an odometer counts something else than the way that the receiver shows.
UNBALANCING = ("O01", "O02", "O03", "O04", "O05", "O08", "G05")
RATIO_DAYS = 7  # the odometer's ratio is judged over so many days
# What else a label brings about, rightly: a phantom run is above the day's km too, a run twice is too many km.
FOLLOWS: dict[str, tuple[str, ...]] = {
    "D01": ("D02", "D03"),
    "D02": ("D03",),
    "D05": ("D02", "D10"),
    "D06": ("D02", "Q02"),
    "D08": ("D01", "D02", "D03"),
    "D09": ("D01", "D02", "D03", "D05", "D06", "D08", "D10", "Q05", "T01"),
    "D10": ("D01", "D02"),
    "O05": ("O05",),
    "T01": ("D01", "D02", "D03", "D06", "D10"),
    "S01": ("D10", "D12"),
    "S03": ("D01", "D02", "D03", "D04", "S05", "S01"),  # its ways are longer, too; its readings are added up, not read
    "K05": ("D03",),
    "O03": ("O05",),
    "V02": ("K01",),
    "O04": ("D02", "D05", "D06", "O05"),
    "G02": ("D02", "D06", "D10"),
    "G05": ("D05", "D06", "D02"),
    # Of honest traps only what is true of the device, or of what cannot be verified: an accusation is never excused.
    "odometer_spike": ("O01", "O02"),
    "clock_off": ("D06",),
    "dead_zone_long": ("D06",),
}


@dataclass(frozen=True)
class Truth:
    """The truth's files, times as UTC instants, days as dates."""

    trips: pd.DataFrame
    vehicle_days: pd.DataFrame
    frauds: pd.DataFrame
    traps: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, days: list[dt.date]) -> Truth:
        """The truth of the days; trips beyond the last day are excluded, as in the measured trips."""
        frames = {}
        for name in ("trips", "vehicle_days", "frauds", "traps"):
            frame = pd.read_csv(folder / f"{name}.csv", dtype={"reference": str, "shift_code": str, "rule_id": str})
            frame["operational_date"] = pd.to_datetime(frame["operational_date"]).dt.date
            for column in ("started_at", "ended_at"):
                if column in frame:
                    frame[column] = pd.to_datetime(frame[column], utc=True)
            frames[name] = frame[frame["operational_date"].isin(days)].reset_index(drop=True)
        return cls(**frames)

    def labels(self) -> pd.DataFrame:
        """What a rule should report: frauds, and traps that have a rule."""
        traps = self.traps[self.traps["rule_id"].notna()].drop(columns="trap")
        return pd.concat([self.frauds, traps], ignore_index=True)

    def causes(self) -> pd.DataFrame:
        """All labels as `cause`, plate, operational_date, started_at, ended_at."""
        names = ["cause", "plate", "operational_date", "started_at", "ended_at"]
        frauds = self.frauds.rename(columns={"rule_id": "cause"})[names]
        return pd.concat([frauds, self.traps.rename(columns={"trap": "cause"})[names]], ignore_index=True)


@dataclass(frozen=True)
class TripPairs:
    """Trips of both sides without yard movements, and which of them are the same.

    `truth` has `measured` (row of `measured`, -1: none), `measured` has `truth` likewise; `is_shown` of either is false
    while something planted hides the vehicle's trips or makes others of them (HIDING).
    """

    truth: pd.DataFrame
    measured: pd.DataFrame


def pair_trips(truth: Truth, measured: pd.DataFrame, within_s: float = SAME_TRIP_S) -> TripPairs:
    """The same trip: same vehicle, both ends within `within_s`."""
    real = truth.trips[truth.trips["purpose"] != "yard"].reset_index(drop=True)
    found = measured[measured["purpose"] != "yard"].reset_index(drop=True)
    pairs = (
        real[["plate", "started_at", "ended_at"]].reset_index(names="truth")
        .merge(found[["plate", "started_at", "ended_at"]].reset_index(names="measured"), on="plate")
    )  # fmt: skip
    off = pd.concat([(pairs[f"{side}_x"] - pairs[f"{side}_y"]).abs().dt.total_seconds()
                     for side in ("started_at", "ended_at")], axis=1).max(axis=1)  # fmt: skip
    same = pairs.assign(off=off)[off <= within_s].sort_values("off")
    same = same.drop_duplicates("truth").drop_duplicates("measured")
    real["measured"] = same.set_index("truth")["measured"].reindex(real.index).fillna(-1).astype(int)
    found["truth"] = same.set_index("measured")["truth"].reindex(found.index).fillna(-1).astype(int)
    causes = truth.causes()
    return TripPairs(*(side.assign(is_shown=~_is_hidden(side, causes)) for side in (real, found)))


def _is_hidden(trips: pd.DataFrame, causes: pd.DataFrame) -> pd.Series:
    hiding = causes[causes["cause"].isin(HIDING)]
    pairs = trips[["plate", "started_at", "ended_at"]].reset_index(names="trip").merge(hiding, on="plate")
    near = pd.Timedelta(seconds=SAME_TRIP_S)  # the last position before a gap lies outside of it
    met = pairs[
        (pairs["started_at_x"] < pairs["ended_at_y"] + near) & (pairs["started_at_y"] - near < pairs["ended_at_x"])
    ]
    return trips.index.to_series().isin(met["trip"])


def agreement(pairs: TripPairs) -> pd.DataFrame:
    """Truth and measurement of the trips that are the same, side by side (`_true`, `_measured`)."""
    real = pairs.truth[pairs.truth["measured"] >= 0]
    found = pairs.measured.iloc[real["measured"]].reset_index(drop=True)
    return real.reset_index(drop=True).join(found, lsuffix="_true", rsuffix="_measured")


def measured_trips(pairs: TripPairs) -> pd.DataFrame:
    """Trips with measured km: plate, km_true, km, half_width (km), method, grade."""
    both = agreement(pairs)
    both = both[both["km_measured"].notna()]
    return pd.DataFrame(
        {
            "plate": both["plate_true"].astype(str),
            "km_true": both["km"].astype(float),
            "km": both["km_measured"].astype(float),
            "half_width": both["km_uncertainty"].astype(float),
            "method": both["km_method"].astype(str),
            "grade": both["evidence_grade"].astype(str),
        }
    )


def share_equal(both: pd.DataFrame, name: str) -> float:
    """Per cent of trips that have the same value on both sides; missing equals missing."""
    sides = [both[f"{name}_{side}"].astype(object).where(both[f"{name}_{side}"].notna(), "") for side in
             ("true", "measured")]  # fmt: skip
    return 100 * float(np.mean(sides[0] == sides[1]))


def judged(
    truth: Truth, results: Mapping[dt.date, AuditedDay], cycles: list[AuditCycle], of_cycles: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels with `is_tested`, `is_found`; findings with `verdict`: right, follows (a label), unexplained.

    A label is found by a finding of its rule on its vehicle, of T02 on either of the two, that names its run, its
    trip, its cycle or the row of reference data; where it names none, on its day. A label is not tested where its
    vehicle, or its rule of a cycle, was not, as `ops.rules_not_tested` says. What may follow from a label is in
    FOLLOWS, within a day of it, as a night run's day may not be certain; O05 within RATIO_DAYS after it.
    """
    findings = _with_names(pd.concat([stacked(results, "findings"), of_cycles], ignore_index=True), results)
    labels = truth.labels().reset_index(names="label")
    labels["is_tested"] = [
        _is_tested(row.rule_id, row.plate, row.reference, cycles)
        and row.plate not in results[row.operational_date].untested.get(row.rule_id, set())
        for row in labels.itertuples()
    ]
    pairs = findings.merge(labels, on="rule_id", suffixes=("", "_label"))
    pairs = pairs[(pairs["plate"] == pairs["plate_label"]) | pairs["plate"].isna() | _names_both_vehicles(pairs)]
    names_run = pairs["reference"].str.fullmatch(r"\d+").fillna(False).to_numpy(bool)
    names_trip = pairs["reference"].str.match(r"\d{4}-\d\d-\d\dT").fillna(False).to_numpy(bool)
    names_cycle = pairs["reference"].str.fullmatch(r"\d{4}-\d\d-\d\d").fillna(False).to_numpy(bool)
    starts = pd.to_datetime(pairs["reference"].where(names_trip), utc=True)
    is_same = np.select(
        [pairs["rule_id"] == "Q04", names_run, names_trip, names_cycle],
        [[row.reference in row.evidence for row in pairs[["reference", "evidence"]].fillna("").itertuples()],
         _names_run(pairs),
         (pairs["trip_started_at"] - starts).abs().dt.total_seconds() <= SAME_TRIP_S,
         pairs["cycle"] == pairs["reference"]],
        pairs["operational_date"] == pairs["operational_date_label"],
    )  # fmt: skip
    same = pairs[is_same.astype(bool)]
    is_right = findings["finding_id"].isin(same["finding_id"])
    allowed = {
        (rule_id, row.plate, row.operational_date + dt.timedelta(days=off))
        for row in truth.causes().itertuples()
        for rule_id in (FOLLOWS.get(row.cause, ()) if row.cause not in ANY_RULE else set(findings["rule_id"]))
        for off in (range(-31, 2) if row.cause in HABITS else range(-1, RATIO_DAYS if rule_id == "O05" else 2))
    }  # fmt: skip
    allowed |= {(rule_id, "", day) for rule_id, _, day in allowed}  # a finding of a whole fleet names no vehicle
    in_cycle = {(rule_id, plate, str(cycle_of(day, CLOSING_DAY).start)) for rule_id, plate, day in allowed}
    keys = zip(
        findings["rule_id"], findings["plate"].fillna(""), findings["operational_date"], findings["cycle"], strict=True
    )
    follows = np.array([
        (rule_id, plate, day) in allowed or (rule_id, plate, cycle) in in_cycle for rule_id, plate, day, cycle in keys
    ], dtype=bool)  # fmt: skip
    verdict = np.select([is_right, follows], ["right", "follows"], "unexplained")
    return labels.assign(is_found=labels["label"].isin(same["label"])), findings.assign(verdict=verdict)


def _names_run(pairs: pd.DataFrame) -> np.ndarray:
    """Whether the finding is about the run that the label names; of two at once (T01) or alike (D08) either is."""
    either = [
        rule_id in ("T01", "D08") and re.search(rf"\bata {reference}\b", sentence) is not None
        for rule_id, reference, sentence in zip(
            pairs["rule_id"], pairs["reference"].fillna(""), pairs["explanation_pt"], strict=True
        )
    ]
    return (pairs["bulletin_number"] == pairs["reference"]).fillna(False).to_numpy(dtype=bool) | np.array(
        either, dtype=bool
    )


def _names_both_vehicles(pairs: pd.DataFrame) -> np.ndarray:
    """T02 on the other vehicle: of two trips that begin within SAME_TRIP_S either may be measured as the later."""
    return np.array([
        rule_id == "T02" and plate_label in sentence
        for rule_id, plate_label, sentence in zip(
            pairs["rule_id"], pairs["plate_label"], pairs["explanation_pt"], strict=True
        )
    ], dtype=bool)  # fmt: skip


def _is_tested(rule_id: str, plate: str, reference: str, cycles: list[AuditCycle]) -> bool:
    """Whether the rule of a cycle that a label names tested the vehicle; true of labels that name no cycle."""
    rule = CYCLE_RULES.get(rule_id)
    of_cycle = [cycle for cycle in cycles if str(cycle.cycle.start) == reference]
    if rule is None or not of_cycle:
        return True
    lacking = rule.vehicle_need.untested_plates(of_cycle[0]) if rule.vehicle_need else set()
    return rule.is_testable(of_cycle[0]) and plate not in lacking


def unbalancing(truth: Truth) -> pd.DataFrame:
    """plate, operational_date, cause: the vehicle-days on which something was done that no ledger can balance."""
    frauds = truth.frauds[truth.frauds["rule_id"].isin(UNBALANCING)].rename(columns={"rule_id": "cause"})
    by_day = frauds.groupby(["plate", "operational_date"])["cause"].agg(lambda causes: " ".join(sorted(set(causes))))
    return by_day.reset_index()


def rule_table(labels: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    """Per rule: labels tested and not tested, found, findings by verdict, precision and recall (%), as `judged`."""
    rules = sorted({*labels["rule_id"], *findings["rule_id"]})
    untested = labels[~labels["is_tested"]].groupby("rule_id").size()
    labels = labels[labels["is_tested"]]
    by_verdict = findings.groupby(["rule_id", "verdict"]).size().unstack(fill_value=0)
    table = pd.DataFrame({
        "labelled": labels.groupby("rule_id").size(),
        "not_tested": untested,
        "found": labels.groupby("rule_id")["is_found"].sum(),
        "findings": findings.groupby("rule_id").size(),
        **{name: by_verdict.get(name) for name in ("right", "follows", "unexplained")},
    }).reindex(rules).fillna(0).astype(int)  # fmt: skip
    table["recall_pct"] = 100 * table["found"] / table["labelled"].where(table["labelled"] > 0)
    table["precision_pct"] = 100 * (1 - table["unexplained"] / table["findings"].where(table["findings"] > 0))
    return table.rename_axis("rule_id")


def _with_names(findings: pd.DataFrame, results: Mapping[dt.date, AuditedDay]) -> pd.DataFrame:
    """The findings with the number of their run, the start of their trip and, of a whole cycle's, its start as text."""
    runs = stacked(results, "runs").drop_duplicates("declared_run_id").set_index("declared_run_id")
    trips = stacked(results, "trips").set_index("trip_id")
    return findings.assign(
        cycle=findings["cycle_start"].astype(str).where(findings["cycle_start"].notna(), ""),
        bulletin_number=findings["declared_run_id"].map(runs["bulletin_number"]),
        trip_started_at=findings["trip_id"].map(trips["started_at"]),
    )


def stacked(results: Mapping[dt.date, AuditedDay], name: str) -> pd.DataFrame:
    """One frame of all days' results called `name`."""
    return pd.concat([getattr(result, name) for result in results.values()], ignore_index=True)

"""One simulated fleet of the audit-quality report: what is planted, what the audit found, what the truth says of it.

Figures over several fleets are in `accuracy_figures`, the page in `accuracy_page`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.audited_fleet import AuditedDay, SimulatedInbox, audit, audited_cycles, cycle_findings
from benchmarks.comparison import Truth, judged, measured_trips, pair_trips, stacked
from benchmarks.doubt import SOUND, SPOILT, SpoiltInbox
from benchmarks.finding_truth import true_by_road
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit.simulation.catalogue import FRAUDS, HABIT_FRAUDS, TRAPS
from fleet_audit.simulation.fleet import simulate

EVERYWHERE = ("shift_day_date", "over_midnight", "over_close", "late_upload", "reserve")
_FEWEST_DAYS_OF_HABITS = 20  # the rules that name a habit are tested over a cycle: a short fleet has none
_HABITS_OF_SHUTTLES = ("K05", "S01")
_DRAWN_SHARE = 0.6  # of the kinds are planted in a fleet whose mix is drawn


@dataclass(frozen=True)
class Fleet:
    """A fleet to simulate.

    Attributes:
        seed: of the simulation; vehicles, days: its size; first_day: its first operational day.
        has_frauds: with labelled frauds, else honest.
        is_drawn: whether the mix of frauds and traps is drawn at random from the seed, else everything is planted.
        devices: how all of its devices are spoilt (`doubt.SPOILT`).
        on_one_route: whether all vehicles serve one route, and the only frauds are habits: rules of a cycle need many
            vehicles on one way, and one vehicle for each habit.
        shuttle_runs: runs of each vehicle of one route between mill and front on a day; the only habits are then
            those that many runs of one vehicle show.
    """

    seed: int
    vehicles: int
    days: int
    first_day: dt.date
    has_frauds: bool
    is_drawn: bool = False
    devices: str = SOUND
    on_one_route: bool = False
    shuttle_runs: int = 0

    @property
    def name(self) -> str:
        """`seed 7, with frauds`."""
        kind = "with frauds" if self.has_frauds else "honest"
        spoilt = "" if self.devices == SOUND else f", devices {self.devices}"
        route = ", shuttles" if self.shuttle_runs else ", one route" if self.on_one_route else ""
        return f"seed {self.seed}, {kind}{', mix drawn' if self.is_drawn else ''}{spoilt}{route}"

    @property
    def calendar(self) -> list[dt.date]:
        """Its days."""
        return [self.first_day + dt.timedelta(days=number) for number in range(self.days)]

    @property
    def without(self) -> list[str]:
        """Names of what is not planted."""
        if self.on_one_route:
            kept = _HABITS_OF_SHUTTLES if self.shuttle_runs else {kind.name for kind in HABIT_FRAUDS}
            return [kind.name for kind in FRAUDS if kind.name not in kept]
        if not self.is_drawn:
            return []
        draw = random.Random(f"mix/{self.seed}")
        return [kind.name for kind in (*FRAUDS, *TRAPS) if draw.random() > _DRAWN_SHARE]


@dataclass(frozen=True)
class Outcome:
    """What the audit made of a fleet.

    Attributes:
        facts: trips, vehicle_days, processor_s, peak_gb, load (mean of five minutes of the machine, when it ended),
            measured_on, km_true, km_measured, brl_true, brl_measured, and the fleet's own.
        labels: rule_id, is_tested, is_found of what was planted.
        findings: rule_id, severity, confidence, verdict, is_true, cause, is_indication, scope and the four amounts.
        trips: plate, km_true, km, half_width, method, grade of the trips that are the truth's own.
        not_tested: rule_id, reason_pt of the cycles.
    """

    facts: dict[str, Any]
    labels: pd.DataFrame
    findings: pd.DataFrame
    trips: pd.DataFrame
    not_tested: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Writes the outcome, so that a page can be made of several runs."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "facts.json").write_text(json.dumps(self.facts, default=str, indent=1), encoding="utf-8")
        for name in ("labels", "findings", "trips", "not_tested"):
            getattr(self, name).to_parquet(folder / f"{name}.parquet")

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """What `write` left."""
        frames = {name: pd.read_parquet(folder / f"{name}.parquet") for name in
                  ("labels", "findings", "trips", "not_tested")}  # fmt: skip
        return cls(json.loads((folder / "facts.json").read_text(encoding="utf-8")), **frames)


@dataclass(frozen=True)
class Audited:
    """A simulated fleet, audited: its truth and the results of its days and cycles."""

    truth: Truth
    results: dict[dt.date, AuditedDay]
    cycles: list[AuditCycle]
    of_cycles: pd.DataFrame


def audited(fleet: Fleet, folder: Path) -> Audited:
    """Simulates the fleet into the folder and takes it through the whole logic, in memory.

    A day before and a day after are simulated, too, and not audited: an exchanged device shows by the readings of the
    day before, and night runs of the last day wait for the day after.
    """
    calendar = fleet.calendar
    simulate(
        folder,
        seed=fleet.seed,
        vehicles=fleet.vehicles,
        date_from=calendar[0] - dt.timedelta(days=1),
        date_to=calendar[-1] + dt.timedelta(days=1),
        frauds=fleet.has_frauds,
        without=set(fleet.without),
        vehicles_per_habit=fleet.vehicles if fleet.days >= _FEWEST_DAYS_OF_HABITS else fleet.vehicles + 1,
        on_one_route=fleet.on_one_route,
        shuttle_runs=fleet.shuttle_runs,
        label_days=calendar,
    )
    inbox = SpoiltInbox(SimulatedInbox(folder, calendar), SPOILT[fleet.devices])
    results = {day: audit(day, inbox) for day in calendar}
    cycles = audited_cycles(results, inbox)
    return Audited(Truth.read(folder / "truth", calendar), results, cycles, cycle_findings(cycles))


def measure(fleet: Fleet, folder: Path) -> tuple[Audited, Outcome]:
    """The fleet, audited, and what that is worth; the processor time includes the simulation and reading its files."""
    started = time.process_time()
    found = audited(fleet, folder)
    truth, results = found.truth, found.results
    labels, findings = judged(truth, results, found.cycles, found.of_cycles)
    facts = {
        "name": fleet.name, "seed": fleet.seed, "vehicles": fleet.vehicles, "days": fleet.days,
        "first_day": str(fleet.first_day), "has_frauds": fleet.has_frauds, "without": fleet.without,
        "devices": fleet.devices,
        "trips": len(stacked(results, "trips")), "vehicle_days": len(truth.vehicle_days),
        "km_true": float(truth.trips["km"].sum()), "km_measured": _sum(results, "trips", "km_measured"),
        "brl_true": float(truth.trips["variable_cost_brl"].sum()),
        "brl_measured": _sum(results, "costs", "variable_cost_brl"),
        "processor_s": round(time.process_time() - started, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
        "measured_on": str(dt.datetime.now(dt.UTC).date()), "load": round(os.getloadavg()[1], 1),
    }  # fmt: skip
    return found, Outcome(
        facts, labels[["rule_id", "is_tested", "is_found"]],
        _judged_rows(findings, found, SPOILT[fleet.devices].slack_s), _trips(found),
        pd.concat([rules_not_tested(cycle, CYCLE_RULES) for cycle in found.cycles], ignore_index=True),
    )  # fmt: skip


def with_causes(findings: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Each finding with the labels planted on its vehicle within a day of it, without those that every fleet has."""
    causes = truth.causes()
    causes = causes[~causes["cause"].isin(EVERYWHERE) & causes["plate"].notna()]
    pairs = findings[["finding_id", "plate", "operational_date"]].merge(causes, on="plate", suffixes=("", "_cause"))
    away = (pd.to_datetime(pairs["operational_date"]) - pd.to_datetime(pairs["operational_date_cause"])).abs()
    names = (
        pairs[away <= pd.Timedelta("1D")].groupby("finding_id")["cause"].agg(lambda near: " ".join(sorted(set(near))))
    )
    return findings.assign(cause=findings["finding_id"].map(names).fillna("nothing"))


def _judged_rows(findings: pd.DataFrame, found: Audited, slack_s: float) -> pd.DataFrame:
    rows = with_causes(findings, found.truth)
    runs = stacked(found.results, "runs").drop_duplicates("declared_run_id")
    is_true = true_by_road(rows, found.truth.trips, runs, slack_s)
    amounts = [*AMOUNTS, "confidence"]
    is_root = (rows["root_finding_id"] == rows["finding_id"]).to_numpy(dtype=bool)
    return pd.DataFrame(
        {
            **{name: rows[name].astype(str) for name in ("rule_id", "severity", "verdict", "cause", "plate")},
            **{name: rows[name].astype("float64") for name in amounts},
            "is_true": is_true,
            "is_root": is_root,
            "is_indication": rows["explanation_pt"].str.contains("ndício"),
            "scope": np.where(rows["cycle"] != "", "cycle", "day"),
            "sentence": rows["explanation_pt"].astype(str),
        }
    ).reset_index(drop=True)


def _trips(found: Audited) -> pd.DataFrame:
    return measured_trips(pair_trips(found.truth, stacked(found.results, "trips")))


def _sum(results: dict[dt.date, AuditedDay], table: str, column: str) -> float:
    return float(stacked(results, table)[column].astype("float64").sum())

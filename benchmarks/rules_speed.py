"""How long all rules take: over a day and over a cycle of fleets of several sizes, in processor time.

    python -m benchmarks.rules_speed --vehicles 125 --vehicles 250 --vehicles 500

A day's inputs are measured from a simulated fleet with frauds; the cycle is that day repeated on each of its days with
ids of its own. Only `Rule.find`, the evidence and the rows of findings are timed, not matching or pricing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks.audited_fleet import CLOSING_DAY, AuditedDay, SimulatedInbox, audit, audited_cycles, day_inputs
from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.day import day_context
from fleet_audit.logic.audit.findings import find
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES, DAY_RULES
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.simulation.fleet import simulate

_DAY = dt.date(2025, 6, 10)
_REPEATED = ("trips", "costs", "runs", "matches", "findings", "coverage", "fixed_costs", "calibrations")
_IDS = ("trip_id", "declared_run_id", "match_id", "finding_id", "root_finding_id")
_LISTS = ("trip_ids", "declared_run_ids")


@click.command()
@click.option("--vehicles", default=[125, 250, 500], multiple=True, show_default=True, help="Size of a fleet.")
@click.option("--cycle/--no-cycle", "has_cycle", default=True, show_default=True, help="Measure a cycle, too.")
def main(vehicles: list[int], has_cycle: bool) -> None:
    """Print processor seconds of all rules, and of the slowest ones."""
    for count in vehicles:
        with tempfile.TemporaryDirectory() as scratch:
            folder, around = Path(scratch), dt.timedelta(days=1)
            simulate(folder, seed=5, vehicles=count, date_from=_DAY - around, date_to=_DAY + around)
            inbox = SimulatedInbox(folder)
            context = day_context(day_inputs(_DAY, inbox)[1], inbox.reference, parameters_on(_DAY))
            find(context)  # compiled once, in any fleet
            print(f"{count} vehicles, one day: {_seconds_of_day(context)}")
            if has_cycle:
                print(f"{count} vehicles, a cycle: {_seconds_of_cycle(inbox)}")


def _seconds_of_day(context: AuditDay) -> str:
    fresh = dataclasses.replace(context)  # without what the first pass remembered
    started = time.process_time()
    rows = find(fresh)
    total = time.process_time() - started
    return f"{total:.2f} s, {len(rows)} findings; slowest: {_slowest(dataclasses.replace(context), DAY_RULES)}"


def _slowest(context: object, rules: dict) -> str:
    taken: dict[str, float] = {}
    for rule in rules.values():
        started = time.process_time()
        if rule.is_testable(context):
            rule.find(context)
        taken[rule.rule_id] = time.process_time() - started
    return ", ".join(f"{rule} {taken[rule]:.2f}" for rule in sorted(taken, key=taken.__getitem__, reverse=True)[:4])


def _seconds_of_cycle(inbox: SimulatedInbox) -> str:
    one = audit(_DAY, inbox)
    days = cycle_days(cycle_of(_DAY, CLOSING_DAY))
    [context] = audited_cycles({day: _repeated(one, day) for day in days}, inbox)
    started = time.process_time()
    rows = find_in_cycle(context)
    total = time.process_time() - started
    return f"{total:.2f} s, {len(rows)} findings; slowest: {_slowest(dataclasses.replace(context), CYCLE_RULES)}"


def _repeated(one: AuditedDay, day: dt.date) -> AuditedDay:
    """The day's results on another day, with ids of that day."""
    return dataclasses.replace(one, **{name: _moved(getattr(one, name), day) for name in _REPEATED})


def _moved(frame: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    moved, later = frame.copy(), pd.Timedelta(days=(day - _DAY).days)
    for name in frame.columns:
        if name in _IDS:
            moved[name] = frame[name] + f"-{day}"
        elif name in _LISTS:
            moved[name] = pd.Series([[f"{key}-{day}" for key in keys] for keys in frame[name]], frame.index, object)
        elif name in ("operational_date", "declared_date"):
            moved[name] = np.full(len(frame), day)
        elif name in ("started_at", "ended_at"):
            moved[name] = frame[name] + later
    return moved


if __name__ == "__main__":
    main()

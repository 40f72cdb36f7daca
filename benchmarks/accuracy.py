"""How right the audit is: a fleet with known truth through the whole logic, in memory, against that truth.

    python -m benchmarks.accuracy --vehicles 60 --days 14

Prints, for an honest fleet and for one with labelled frauds, what was measured, what it should have been, and each
finding that no fraud explains.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import click
import pandas as pd

from benchmarks.audited_fleet import AuditedDay, SimulatedInbox, audit, audit_cycles
from benchmarks.comparison import Truth, agreement, judged, pair_trips, rule_table, share_equal, stacked, unbalancing
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.simulation.fleet import simulate

EVERYWHERE = ("shift_day_date", "over_midnight", "over_close", "late_upload", "reserve")
NEVER_ON_HONEST = ("D01", "D02", "D05", "D08", "D10", "D11")


@click.command()
@click.option("--vehicles", default=60, show_default=True, help="Vehicles of each fleet.")
@click.option("--days", default=14, show_default=True, help="Days of each fleet.")
@click.option("--first-day", default="2025-06-09", show_default=True, help="First day.")
@click.option("--seed", default=7, show_default=True, help="Seed of the simulation.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to leave the simulated fleets in.")
@click.option("--show", default=10, show_default=True, help="Most examples of each kind of shortfall.")
def main(vehicles: int, days: int, first_day: str, seed: int, keep: Path | None, show: int) -> None:
    """Measure recall, precision, km, money, ledger and findings against the truth."""
    pd.set_option("display.width", 220, "display.max_columns", 30, "display.max_rows", 500, "display.max_colwidth", 180)
    first = dt.date.fromisoformat(first_day)
    calendar = [first + dt.timedelta(days=number) for number in range(days)]
    with tempfile.TemporaryDirectory() as scratch:
        for name, has_frauds in (("honest", False), ("with frauds", True)):
            folder = (keep or Path(scratch)) / name.replace(" ", "_")
            simulate(folder, seed=seed, vehicles=vehicles, date_from=first, date_to=calendar[-1], frauds=has_frauds)
            started = time.perf_counter()
            inbox = SimulatedInbox(folder)
            results = {day: audit(day, inbox) for day in calendar}
            print(f"\n=== {name}: {vehicles} vehicles, {days} days, {time.perf_counter() - started:.0f} s ===")
            report(Truth.read(folder / "truth", calendar), results, audit_cycles(results, inbox), show)


def report(truth: Truth, results: Mapping[dt.date, AuditedDay], of_cycles: pd.DataFrame, show: int) -> None:
    """All figures of one fleet."""
    report_trips(truth, results, show)
    report_money(truth, results)
    report_ledger(truth, results, show)
    report_findings(truth, results, of_cycles, show)


def report_trips(truth: Truth, results: Mapping[dt.date, AuditedDay], show: int) -> None:
    pairs = pair_trips(truth, stacked(results, "trips"))
    shown, both = pairs.truth[pairs.truth["is_shown"]], agreement(pairs)
    service = both[both["purpose_true"] == "service"]
    _line("trips, true and measured", f"{len(pairs.truth)} / {len(pairs.measured)}")
    _line("recall, of trips that positions or reports show whole", f"{100 * (shown['measured'] >= 0).mean():.2f} %")
    _line("recall, of all", f"{100 * (pairs.truth['measured'] >= 0).mean():.2f} %")
    open_trips = pairs.measured[pairs.measured["is_shown"]]
    _line("precision, where nothing planted hides or makes trips", f"{100 * (open_trips['truth'] >= 0).mean():.2f} %")
    _line("precision, of all", f"{100 * (pairs.measured['truth'] >= 0).mean():.2f} %")
    for name in ("purpose", "area", "origin_poi_id", "destination_poi_id"):
        _line(f"{name} right", f"{share_equal(both, name):.2f} %")
    _line("shift_code right, of service trips", f"{share_equal(service, 'shift_code'):.2f} %")
    _line("evidence grades", both["evidence_grade"].value_counts().sort_index().to_dict())
    _line("methods", both["km_method"].value_counts().to_dict())
    columns = ["plate", "started_at", "ended_at", "purpose", "origin_poi_id", "destination_poi_id", "source"]
    _examples("trips that positions show and that were not measured", shown[shown["measured"] < 0][columns], show)
    false = open_trips[open_trips["truth"] < 0]
    _examples("measured trips that are none", false[[*columns, "km_measured"]], show)


def report_money(truth: Truth, results: Mapping[dt.date, AuditedDay]) -> None:
    km = float(stacked(results, "trips")["km_measured"].astype("float64").sum())
    real, counted = truth.trips["km"].sum(), truth.trips["odometer_km"].sum()
    cost, paid = truth.trips["variable_cost_brl"].sum(), float(
        stacked(results, "costs")["variable_cost_brl"].astype("float64").sum())  # fmt: skip
    yard = float(stacked(results, "ledger")[["yard_km", "gap_km"]].astype("float64").sum().sum())
    _line("km: true, by odometers, measured in trips", f"{real:.1f} / {counted:.1f} / {km:.1f}")
    _line("bias of km, against the truth and against the odometers", f"{_pct(km, real)} / {_pct(km, counted)}")
    _line("km of yard and of gaps that split, in the ledger", f"{yard:.1f}")
    _line("variable cost: true, measured, error", f"{cost:.2f} / {paid:.2f} / {_pct(paid, cost)}")


def report_ledger(truth: Truth, results: Mapping[dt.date, AuditedDay], show: int) -> None:
    ledger = stacked(results, "ledger")
    tested = ledger[ledger["is_balanced"].notna()]
    _line("ledger days balanced", f"{int(tested['is_balanced'].sum())} of {len(tested)} with an odometer")
    unbalanced = tested[~tested["is_balanced"].astype(bool)].merge(
        unbalancing(truth), on=["plate", "operational_date"], how="left"
    )
    _line("unbalanced days, by what was done to odometer or receiver", unbalanced["cause"].value_counts().to_dict())
    unexplained = unbalanced[unbalanced["cause"].isna()].drop(columns=["unit_code", "carrier_code", "cause"])
    _examples("unbalanced days on which nothing was", unexplained, show)
    silent = ledger.merge(truth.traps[truth.traps["trap"] == "silent_day"], on=["plate", "operational_date"])
    _line("silent days with nulls", f"{int(silent['service_km'].isna().sum())} of {len(silent)}")


def report_findings(truth: Truth, results: Mapping[dt.date, AuditedDay], of_cycles: pd.DataFrame, show: int) -> None:
    labels, findings = judged(truth, results, of_cycles)
    has_rule = labels["rule_id"].isin({rule.rule_id for rule in RULES})
    table = rule_table(labels[has_rule], findings)
    trips = len(stacked(results, "trips"))
    table["per_1000_trips"] = (1000 * table["unexplained"] / trips).round(2)
    print(table.round(1).to_string())
    _line("findings that no label explains, per 1,000 trips", f"{1000 * table['unexplained'].sum() / trips:.2f}")
    _line("labelled, not judged by a rule yet", labels[~has_rule].groupby("rule_id").size().to_dict())
    if truth.frauds.empty:
        wrong = table.reindex(NEVER_ON_HONEST)["findings"].fillna(0)
        _line(f"findings of {', '.join(NEVER_ON_HONEST)} on an honest fleet", int(wrong.sum()))
    missed = labels[has_rule & ~labels["is_found"]]
    _examples("labels that no finding answers", missed[["rule_id", "plate", "operational_date", "reference"]], show)
    lone = _with_causes(findings[findings["verdict"] == "unexplained"], truth)
    _line("findings that no label explains, by what was planted there", lone.groupby("cause").size().to_dict())
    _examples("findings that no label explains", lone[["rule_id", "cause", "operational_date", "explanation_pt"]], show)


def _with_causes(findings: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """Each finding with the labels planted on its vehicle within a day of it, without those that every fleet has."""
    causes = truth.causes()
    causes = causes[~causes["cause"].isin(EVERYWHERE) & causes["plate"].notna()]
    pairs = findings[["finding_id", "plate", "operational_date"]].merge(causes, on="plate", suffixes=("", "_cause"))
    away = (pd.to_datetime(pairs["operational_date"]) - pd.to_datetime(pairs["operational_date_cause"])).abs()
    names = (
        pairs[away <= pd.Timedelta("1D")].groupby("finding_id")["cause"].agg(lambda near: " ".join(sorted(set(near))))
    )
    return findings.assign(cause=findings["finding_id"].map(names).fillna("nothing"))


def _pct(value: float, of: float) -> str:
    return f"{100 * (value - of) / of:+.3f} %"


def _line(name: str, value: object) -> None:
    print(f"{name:<62} {value}")


def _examples(name: str, rows: pd.DataFrame, show: int) -> None:
    _line(name, len(rows))
    if len(rows):
        print(rows.head(show).to_string(index=False))


if __name__ == "__main__":
    main()

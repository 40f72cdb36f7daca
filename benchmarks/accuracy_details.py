"""Everything about one audited fleet in print: trips, money, ledger, and each finding that no label explains.

What a developer reads to find the cause of a miss; figures over several fleets are in `accuracy_figures`.
"""

from __future__ import annotations

import pandas as pd

from benchmarks.accuracy_fleets import Audited, with_causes
from benchmarks.comparison import agreement, judged, pair_trips, rule_table, share_equal, stacked, unbalancing
from fleet_audit.logic.audit.rules.registry import RULES


def print_details(found: Audited, show: int) -> None:
    """All figures of one fleet, and at most `show` examples of each kind of shortfall."""
    pd.set_option("display.width", 220, "display.max_columns", 30, "display.max_rows", 500, "display.max_colwidth", 180)
    report_trips(found, show)
    report_money(found)
    report_ledger(found, show)
    report_findings(found, show)


def report_trips(found: Audited, show: int) -> None:
    pairs = pair_trips(found.truth, stacked(found.results, "trips"))
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


def report_money(found: Audited) -> None:
    truth, results = found.truth, found.results
    km = float(stacked(results, "trips")["km_measured"].astype("float64").sum())
    real, counted = truth.trips["km"].sum(), truth.trips["odometer_km"].sum()
    cost, paid = truth.trips["variable_cost_brl"].sum(), float(
        stacked(results, "costs")["variable_cost_brl"].astype("float64").sum())  # fmt: skip
    yard = float(stacked(results, "ledger")[["yard_km", "gap_km"]].astype("float64").sum().sum())
    _line("km: true, by odometers, measured in trips", f"{real:.1f} / {counted:.1f} / {km:.1f}")
    _line("bias of km, against the truth and against the odometers", f"{_pct(km, real)} / {_pct(km, counted)}")
    _line("km of yard and of gaps that split, in the ledger", f"{yard:.1f}")
    _line("variable cost: true, measured, error", f"{cost:.2f} / {paid:.2f} / {_pct(paid, cost)}")


def report_ledger(found: Audited, show: int) -> None:
    truth, results = found.truth, found.results
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


def report_findings(found: Audited, show: int) -> None:
    truth, results = found.truth, found.results
    labels, findings = judged(truth, results, found.cycles, found.of_cycles)
    has_rule = labels["rule_id"].isin({rule.rule_id for rule in RULES})
    table = rule_table(labels[has_rule], findings)
    table["per_1000_trips"] = (1000 * table["unexplained"] / len(stacked(results, "trips"))).round(2)
    print(table.round(1).to_string())
    missed = labels[has_rule & labels["is_tested"] & ~labels["is_found"]]
    _examples("labels that no finding answers", missed[["rule_id", "plate", "operational_date", "reference"]], show)
    lone = with_causes(findings[findings["verdict"] == "unexplained"], truth)
    _line("findings that no label explains, by what was planted there", lone.groupby("cause").size().to_dict())
    _examples("findings that no label explains", lone[["rule_id", "cause", "operational_date", "explanation_pt"]], show)


def _pct(value: float, of: float) -> str:
    return f"{100 * (value - of) / of:+.3f} %"


def _line(name: str, value: object) -> None:
    print(f"{name:<62} {value}")


def _examples(name: str, rows: pd.DataFrame, show: int) -> None:
    _line(name, len(rows))
    if len(rows):
        print(rows.head(show).to_string(index=False))

"""docs/audit-quality.md: what `python -m benchmarks.accuracy` measured, misses included, with its plots.

Only the layout belongs here; the words are in `accuracy_page.md`, figures in `accuracy_figures`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmarks import accuracy_figures as figures
from benchmarks.accuracy_fleets import Outcome
from benchmarks.accuracy_plots import plot_doubt, plot_reliability, plot_rules
from benchmarks.hand_written_tests import hand_written_tests
from fleet_audit.logic.audit.rules.draft import UNSEEN_HALT_CONFIDENCE

_WORDS = Path(__file__).with_suffix(".md")
_TARGET = 0.98
_MOST_FALSE = 0.5  # C or H findings per 1,000 honest trips
_NONE = "None.\n"
# What the page reads of each outcome's facts: those of older versions lack some.
PAGE_FACTS = frozenset(
    ("name", "seed", "vehicles", "days", "first_day", "has_frauds", "without", "devices", "trips", "vehicle_days",
     "km_true", "km_measured", "brl_true", "brl_measured", "processor_s", "peak_gb", "measured_on", "load")
)  # fmt: skip


def write_page(docs: Path, outcomes: list[Outcome], spoilt: pd.DataFrame) -> None:
    """Writes audit-quality.md and its plots below `docs`; `spoilt`: the trips of `benchmarks.doubt`, or no row."""
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    every, outcomes = outcomes, figures.sound(outcomes)
    table, findings = figures.rule_figures(outcomes), figures.findings_of(outcomes)
    coarse = figures.reliability(figures.findings_of(figures.spoilt(every))) if figures.spoilt(every) else None
    trips = pd.concat(
        [outcome.trips.assign(vehicle=f"{outcome.facts['seed']} " + outcome.trips["plate"]) for outcome in outcomes],
        ignore_index=True,
    )
    spoilt = spoilt.assign(vehicle=spoilt["seed"].astype(str) + " " + spoilt["plate"])
    buckets, grades = figures.reliability(findings), figures.doubt(spoilt if len(spoilt) else trips, "grade")
    plot_rules(table, images / "audit_quality_rules.svg")
    plot_reliability(buckets, images / "audit_quality_reliability.svg")
    plot_doubt(trips, grades.drop("all"), images / "audit_quality_uncertainty.svg")
    unlabelled = table.index[(table["labelled"] == 0) & (table["not_tested"] == 0)]
    page = _WORDS.read_text(encoding="utf-8").format(
        targets=_targets(outcomes, table, (buckets, coarse), grades, figures.doubt(trips, "grade").loc["all"]),
        measured=_measured(every),
        fleets=_fleets(every),
        drawn="".join(_drawn(outcome) for outcome in every if len(list(outcome.facts["without"]))),
        rules=_rules(outcomes, table),
        unlabelled=", ".join(unlabelled) or "none",
        unexplained=_unexplained(findings),
        paid=f"{figures.total(figures.honest(outcomes), 'brl_measured'):,.2f}",
        in_doubt=_in_doubt(outcomes),
        reliability=_reliability(buckets),
        coarse=_NONE if coarse is None else _reliability(coarse),
        unreliable=_unreliable(findings),
        uncertainty=_uncertainty(
            pd.concat(
                [figures.doubt(trips, name).drop("all" if name == "method" else []) for name in ("grade", "method")]
            )
        ),
        spoilt_fleets=_spoilt_fleets(spoilt),
        spoilt=_uncertainty(figures.doubt(spoilt, "devices").drop("all")) if len(spoilt) else _NONE,
        grades=_uncertainty(grades.drop("all")),
        by_grade=_by_spoiling_and_grade(spoilt) if len(spoilt) else _NONE,
        not_tested=_not_tested(outcomes),
        unseen_halt=UNSEEN_HALT_CONFIDENCE,
        hand_written=_table(["rule", "tests", "files in `fleet_audit_tests/logic/audit`"], hand_written_tests()),
    )
    (docs / "audit-quality.md").write_text(page.rstrip() + "\n", encoding="utf-8")


def _spoilt_fleets(spoilt: pd.DataFrame) -> str:
    if spoilt.empty:
        return "none was measured"
    seeds = [str(seed) for seed in sorted(spoilt["seed"].unique())]
    return f"{spoilt['vehicle'].nunique()} vehicles, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _by_spoiling_and_grade(spoilt: pd.DataFrame) -> str:
    groups = spoilt.assign(group=spoilt["devices"] + ", " + spoilt["grade"])
    return _uncertainty(figures.doubt(groups, "group").drop("all"))


def _measured(outcomes: list[Outcome]) -> str:
    """When the fleets were measured, at which cost and load."""
    facts = [outcome.facts for outcome in outcomes]
    days = sorted({str(fact["measured_on"]) for fact in facts})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    loads, peak_gb = [fact["load"] for fact in facts], max(fact["peak_gb"] for fact in facts)
    return (
        f"Measured {when}: {figures.total(outcomes, 'processor_s'):,.0f} s of processor time without the fleets of "
        f"spoilt devices, at most {peak_gb} GB in a process, load average of the machine {min(loads)} to {max(loads)}."
    )


def _fleets(outcomes: list[Outcome]) -> str:
    head = ["fleet", "vehicles", "days", "first day", "trips", "km against the road", "variable cost", "processor s"]
    rows = []
    for fact in (outcome.facts for outcome in outcomes):
        off = [_pct(fact[f"{name}_measured"] / fact[f"{name}_true"] - 1, 3, "+") for name in ("km", "brl")]
        rows.append(
            [fact["name"], fact["vehicles"], fact["days"], fact["first_day"], fact["trips"], *off, fact["processor_s"]]
        )
    return _table(head, rows)


def _drawn(outcome: Outcome) -> str:
    return f"{outcome.facts['name']}: without {', '.join(f'`{name}`' for name in outcome.facts['without'])}.\n\n"


def _targets(
    outcomes: list[Outcome],
    table: pd.DataFrame,
    stated: tuple[pd.DataFrame, pd.DataFrame | None],
    grades: pd.DataFrame,
    every: pd.Series,
) -> str:
    certain = table[~table.index.isin(figures.STATISTICAL)]
    trips = figures.total(figures.honest(outcomes), "trips")
    false = len(figures.false_accusations(outcomes))
    rate, most = 1000 * false / trips, figures.most_false_per_1000(false, trips)
    doubtful = figures.in_doubt(outcomes)
    wrong = doubtful[doubtful["verdict"] == "unexplained"]["brl"].sum()
    by_grade = grades.drop("all")
    wide = every["half_width"] / max(every["error"], 1e-9)
    rows = [
        *(
            [
                f"{name} ≥ 98 % of each deterministic rule",
                _named(certain[certain[name] < _TARGET], name),
                _met(not (certain[name] < _TARGET).any()),
            ]
            for name in ("recall", "precision")
        ),
        [
            "at most 0.5 false C or H findings per 1,000 honest trips",
            f"{false} on {trips:,.0f} trips: {rate:.2f}, with 95 % at most {most:.2f}",
            "not shown" if rate <= _MOST_FALSE < most else _met(rate <= _MOST_FALSE),
        ],
        ["R$ 0 *pago e em dúvida* on honest fleets without a cause", f"R$ {wrong:,.2f}", _met(not wrong)],
        ["of findings with confidence c a share c ± 5 points is true", *_judged_buckets(stated[0])],
        *(
            [["the same where devices report every 300 s", *_judged_buckets(stated[1])]]
            if stated[1] is not None
            else []
        ),
        ["`km_uncertainty` holds the road on ≥ 95 % of trips", _pct(every["held"], 1), _met(every["held"] >= 0.95)],
        ["median half-width ≤ 3 × median error", f"{wide:.1f} ×", _met(wide <= 3)],
        [
            "grades A < B < C by error per km",
            ", ".join(f"{row.Index} {row.error_pct:.2f} %" for row in by_grade.itertuples()),
            _ordered(by_grade),
        ],
    ]
    return _table(["to reach", "measured", ""], rows)


def _judged_buckets(buckets: pd.DataFrame) -> list[str]:
    """What the buckets show of the target on confidences, and whether it is reached."""
    off, unsure = (buckets[buckets["verdict"] == verdict]["bucket"] for verdict in ("miss", "too few to judge"))
    if len(off):
        return [f"not {', '.join(off)}", _met(False)]
    return [f"too few findings: {', '.join(unsure)}", "not shown"] if len(unsure) else ["all", _met(True)]


def _ordered(grades: pd.DataFrame) -> str:
    """Reached where the means rise and their intervals are apart, not shown where these overlap."""
    if not grades["error_pct"].is_monotonic_increasing:
        return _met(False)
    is_apart = (grades["error_high"].iloc[:-1].to_numpy() < grades["error_low"].iloc[1:].to_numpy()).all()
    return _met(True) if is_apart else "not shown"


def _rules(outcomes: list[Outcome], table: pd.DataFrame) -> str:
    calm = figures.honest(outcomes)
    trips, days = figures.total(calm, "trips"), figures.total(calm, "vehicle_days")
    head = ["rule", "labels tested", "not tested", "found", "recall", "findings", "right", "follow", "unexplained"]
    head += ["precision", "findings", "false", "per 1,000 trips", "per 1,000 vehicle-days"]
    rows = [
        [
            *(rule, row.labelled, row.not_tested or "", row.found, _share(row, "recall", row.labelled)),
            *(row.findings, row.right, row.follows, row.unexplained, _share(row, "precision", row.findings)),
            *(row.honest, row.honest_false, *(f"{1000 * row.honest_false / of:.2f}" for of in (trips, days))),
        ]
        for rule, row in zip(table.index, table.itertuples(), strict=True)
    ]
    return _table(head, rows)


def _unexplained(findings: pd.DataFrame) -> str:
    rows = findings[findings["verdict"] == "unexplained"]
    listed = [
        [*key, len(own), own["fleet"].nunique(), _cut(own["sentence"].iloc[0])]
        for key, own in rows.groupby(["rule_id", "cause"])
    ]
    return _table(["rule", "planted on that vehicle within a day", "findings", "fleets", "the first"], listed)


def _in_doubt(outcomes: list[Outcome]) -> str:
    paid = figures.total(figures.honest(outcomes), "brl_measured")
    rows = [
        [row.rule_id, row.verdict, row.cause, row.n, f"{row.brl:,.2f}", _pct(row.brl / paid, 3)]
        for row in figures.in_doubt(outcomes).itertuples()
    ]
    return _table(["rule", "verdict", "cause", "incidents", "R$", "of the variable cost"], rows)


def _reliability(buckets: pd.DataFrame) -> str:
    rows = [
        [
            *(row.bucket, row.n, row.vehicles, _pct(row.confidence, 1), _pct(row.share, 1), _interval(row), _hit(row)),
            f"{_pct(row.all_confidence, 1)} / {_pct(row.all_share, 1)}",
        ]
        for row in buckets.itertuples()
    ]
    head = ["confidence", "findings", "vehicles", "mean", "true", "95 % interval", "", "each finding once: mean / true"]
    return _table(head, rows)


def _hit(bucket: object) -> str:
    verdict = str(getattr(bucket, "verdict", ""))
    return f"**{verdict}**" if verdict == "miss" else verdict


def _unreliable(findings: pd.DataFrame) -> str:
    by_rule = figures.reliability_by_rule(findings)
    off = by_rule[(by_rule["vehicles"] >= 10) & ((by_rule["share"] - by_rule["confidence"]).abs() > 0.1)]
    rows = [[row.Index, row.n, row.vehicles, _pct(row.confidence, 1), _pct(row.share, 1)] for row in off.itertuples()]
    return _table(["rule", "findings", "vehicles", "stated", "true"], rows)


def _uncertainty(groups: pd.DataFrame) -> str:
    head = ["trips", "n", "held", "95 % interval", "median half-width, km", "median error, km", "95 % quantile, km"]
    rows = [
        [
            *(name, int(row.n), _pct(row.held, 1), _interval(row)),
            *(f"{value:.2f}" for value in (row.half_width, row.error, row.error_p95)),
            f"{row.error_pct:.2f} % ({row.error_low:.2f} to {row.error_high:.2f})",
        ]
        for name, row in groups.iterrows()
    ]
    return _table([*head, "error per km"], rows)


def _not_tested(outcomes: list[Outcome]) -> str:
    frames = [outcome.not_tested.assign(fleet=outcome.facts["name"]) for outcome in outcomes]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[rows["rule_id"].isin(figures.STATISTICAL)]
    listed = [[rule, own["fleet"].nunique(), own["reason_pt"].iloc[-1]] for rule, own in rows.groupby("rule_id")]
    return _table(["rule", "fleets", "reason in `ops.rules_not_tested`"], listed)


def _share(row: object, name: str, count: int) -> str:
    if not count:
        return ""
    share, low, high = (100 * getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
    text = f"{share:.1f} % ({low:.0f} to {high:.0f})"
    return f"**{text}**" if share < 100 * _TARGET else text


def _interval(row: object) -> str:
    return f"{_pct(getattr(row, 'low', 0.0), 1)} to {_pct(getattr(row, 'high', 1.0), 1)}"


def _named(rows: pd.DataFrame, name: str) -> str:
    below = ", ".join(f"{rule} {_pct(share, 1)}" for rule, share in rows[name].items())
    return f"below: {below}" if below else "all"


def _met(is_met: bool) -> str:
    return "reached" if is_met else "**missed**"


def _pct(share: float, places: int, sign: str = "") -> str:
    return f"{100 * share:{sign}.{places}f} %"


def _cut(text: str, length: int = 220) -> str:
    plain = text.replace("|", "/")
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"


def _table(head: list[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        return _NONE
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])

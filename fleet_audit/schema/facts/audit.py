"""Findings, incidents, scores of trips, and the rules that lacked their data.

The rules themselves are in `logic.audit.rules`.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_audit.schema.facts.columns import AMOUNT_COLUMNS, AMOUNTS, CYCLE, DAY, TRACE, fact_table
from fleet_audit.schema.model import (
    Column,
    Table,
    Type,
    brl,
    date,
    flag,
    integer,
    json,
    km,
    rate,
    real,
    text,
    text_list,
)

_FINDINGS = fact_table(
    "findings",
    "What the rules found, with evidence",
    (
        text("finding_id", "Hash of rule, day and what it concerns"),
        DAY,
        text("rule_id", "Rule"),
        text("rule_version", "Version of the rule and its parameters"),
        text("severity", "C critical, H high, M medium, L low", values=("C", "H", "M", "L")),
        text("plate", "Vehicle", nullable=True),
        text("driver_id", "Driver", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text("trip_id", "Trip", nullable=True),
        text("declared_run_id", "Run", nullable=True),
        km("km_at_stake", "Kilometres at stake", nullable=True),
        brl("brl_at_stake", "The same at the rate that applies; null when none does", nullable=True),
        Column("confidence", Type.FLOAT, "How sure the rule is", "0-1", False, None, 0, 1),
        json("evidence", "Ids and the very rows of the sources"),
        text("status", "Excepted findings stay visible", values=("open", "excepted")),
        text("exception_id", "Exception that applies", nullable=True),
        text("explanation_pt", "One plain sentence that a carrier can answer"),
    ),
    ("finding_id",),
    ("rule_id", "plate", "finding_id"),
)

_AMOUNT = text("amount", "Which of the four amounts brl_at_stake is; null: none of them", values=AMOUNTS, nullable=True)
_ROOT = text(
    "root_finding_id",
    "Root of its incident, its own id where it is the root; a rule of a cycle may point to the root of a day",
    nullable=True,
)

_RANGE = (
    brl("brl_low", "brl_at_stake at the lower end of the measurement's uncertainty", nullable=True, minimum=0),
    brl("brl_high", "brl_at_stake at the upper end of the measurement's uncertainty", nullable=True, minimum=0),
)

FINDINGS = replace(
    _FINDINGS, columns=(*_FINDINGS.columns, CYCLE, _AMOUNT, *AMOUNT_COLUMNS, _ROOT, *_RANGE), kept="cycle_start"
)
# The same table, written per cycle: the findings of the rules over a whole cycle.
CYCLE_FINDINGS = replace(FINDINGS, partition="cycle_start", kept=None, asset="cycle_findings", frozen_by="cycle_start")
CAUSES = ("own_gap", "exchange", "tracker_off", "clock", "odometer", "declared_run", "single")
_INCIDENTS = fact_table(
    "incidents",
    "Findings with one root cause; each finding is in one incident, and each amount is counted in one incident",
    (
        text("incident_id", "Hash of the root, and of the cycle for what rules of a cycle found"),
        DAY,
        date("cycle_start", "Cycle whose rules found the members; empty for those of one day", nullable=True),
        text(
            "cause",
            "own_gap: data that we lost; exchange: trackers or odometers of two vehicles; tracker_off: the tracker is "
            "off the vehicle; clock: the device's clock; odometer: tampered readings; declared_run: one declared run, "
            "with its day and cycle; single: a finding on its own",
            values=CAUSES,
        ),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit of the root", nullable=True),
        text_list("plates", "Vehicles"),
        text("root_finding_id", "Finding that names the cause; of a rule of a cycle it may be a finding of one day"),
        text("root_rule_id", "Its rule"),
        text_list("finding_ids", "Members, the root first where it is one"),
        *AMOUNT_COLUMNS,
        text("sentence_pt", "One plain sentence that a carrier can answer"),
    ),
    ("incident_id",),
)

INCIDENTS = replace(_INCIDENTS, kept="cycle_start")
# The same table, written per cycle: what its rules add to the incidents of its days.
CYCLE_INCIDENTS = replace(
    INCIDENTS, partition="cycle_start", kept=None, asset="cycle_incidents", frozen_by="cycle_start"
)

TRIP_SCORES = fact_table(
    "trip_scores",
    "Compliance score of a trip",
    (
        text("trip_id", "Trip"),
        DAY,
        Column(
            "compliance_score",
            Type.PERCENT,
            "100 minus the weights of its findings, floor 0",
            "points",
            False,
            None,
            0,
            100,
        ),
        json("contributions", "Start, each finding's deduction and the floor's correction: sums exactly to the score"),
    ),
    ("trip_id",),
)

_RULES_NOT_TESTED = Table(
    "ops",
    "rules_not_tested",
    "Rules that were not tested on a day or in a cycle because data are missing: they have not passed",
    (
        DAY,
        text("rule_id", "Rule"),
        text("scope", "Whether the rule judges a day or a whole cycle", values=("day", "cycle")),
        text("source", "P positions, V visit report, B bulletin, K contract data; / either, + both"),
        text("reason_pt", "What is missing, one sentence for the reports"),
        *TRACE,
    ),
    key=("operational_date", "rule_id", "scope"),
    partition="operational_date",
    frozen_by="operational_date",
)

RULES_NOT_TESTED = replace(
    _RULES_NOT_TESTED, columns=(*_RULES_NOT_TESTED.columns, CYCLE), kept="cycle_start", sort=("rule_id", "scope")
)
CYCLE_RULES_NOT_TESTED = replace(
    RULES_NOT_TESTED, partition="cycle_start", kept=None, asset="cycle_rules_not_tested", frozen_by="cycle_start"
)

CONTEST_STATUSES = ("contested", "upheld", "reversed")
CONTEST_OUTCOMES = Table(
    "fact",
    "contest_outcomes",
    "What became of each contested finding, without texts and people; written whole by each run of a day",
    (
        text("finding_id", "Finding"),
        DAY,
        text("rule_id", "Rule"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text(
            "status",
            "contested: not decided yet; upheld: the finding stands; reversed: it was wrong",
            values=CONTEST_STATUSES,
        ),
        *TRACE,
    ),
    key=("finding_id",),
    sort=("operational_date", "finding_id"),
)

REVIEW_SAMPLES = Table(
    "fact",
    "review_samples",
    "Trips of a cycle that monetary-unit sampling selects for a review by hand, and what the review found",
    (
        date("cycle_start", "First day of the cycle (partition)"),
        date("operational_date", "Last day of the cycle"),
        text("trip_id", "Trip"),
        date("trip_date", "Operational date of the trip"),
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text("contract_id", "Contract", nullable=True),
        km("billable_km", "Admitted km", minimum=0),
        rate("rate_brl_per_km", "Price"),
        brl("paid_brl", "Variable cost of the trip", minimum=0),
        integer("selections", "Selected cents that lie in it", minimum=1),
        flag("is_certain", "It costs at least the interval: every sample holds it"),
        km("audited_km", "Km that should have been paid, as reviewed", nullable=True, minimum=0),
        brl("audited_brl", "What should have been paid, as reviewed; null: not reviewed", nullable=True, minimum=0),
        brl("error_brl", "paid_brl - audited_brl: above zero was paid too much; null: not reviewed", nullable=True),
        text("reviewer", "Who reviewed it", nullable=True),
        text("note", "What the reviewer saw", nullable=True),
        *TRACE,
    ),
    key=("cycle_start", "trip_id"),
    partition="cycle_start",
    sort=("cycle_start", "trip_date", "plate", "trip_id"),
)

REVIEW_ESTIMATES = Table(
    "fact",
    "review_estimates",
    "What a cycle's reviewed sample says of all its trips: projected errors and the upper limit of the overpayment",
    (
        date("cycle_start", "First day of the cycle (partition)"),
        date("operational_date", "Last day of the cycle"),
        integer("population_trips", "Trips with a cost above zero", minimum=0),
        brl("population_brl", "Their variable cost", minimum=0),
        real("confidence_pct", "Probability with which the upper limit holds", unit="%"),
        brl("materiality_brl", "Overpayment of the cycle that is tolerated", minimum=0),
        brl("interval_brl", "One cent of each interval is selected", minimum=0),
        brl("start_brl", "Position of the first selected cent, from the cycle's first day alone", minimum=0),
        integer("sampled_trips", "Trips of the sample", minimum=0),
        integer("reviewed_trips", "Of these reviewed", minimum=0),
        integer("other_reviews", "Reviews of trips that are not in the sample: they count nothing", minimum=0),
        brl("overpaid_brl", "Projected overpayment; null until the whole sample is reviewed", nullable=True, minimum=0),
        brl("underpaid_brl", "Projected underpayment; null until then", nullable=True, minimum=0),
        brl("upper_limit_brl", "Upper limit of the overpayment; null until then", nullable=True, minimum=0),
        flag("is_tolerated", "The limit is at most what is tolerated; null until then", nullable=True),
        text("parameters_version", "Version of the parameters that made the row"),
        *TRACE,
    ),
    key=("cycle_start",),
    partition="cycle_start",
)

"""Results in PostgreSQL: `fact` tables, one row per trip, cost, match or finding, and `ops` tables, what ran.

Every `fact` row carries `operational_date`, `run_id` and `updated_at`; the warehouse IO manager fills the last two.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_audit.schema.model import (
    Column,
    Table,
    Type,
    brl,
    date,
    flag,
    instant,
    integer,
    json,
    km,
    km3,
    percent,
    rate,
    real,
    text,
    text_list,
)
from fleet_audit.schema.reference import CONTRACT_KINDS, REGIMES, VEHICLE_CLASSES

PURPOSES = ("service", "deadhead", "maintenance", "yard", "unknown")
COST_STATUSES = ("priced", "no_contract", "no_tariff", "ambiguous_tariff", "not_billable")
MATCH_KINDS = ("one_to_one", "merged", "split", "many", "declared_only", "measured_only")
FILE_STATUSES = ("accepted", "partial", "rejected", "duplicate")
FILE_KINDS = ("reference", "visit_report", "bulletin", "telemetry")
HELD_REASONS = ("phantom", "no_trip", "no_data", "not_observed", "clock", "date_uncertain", "source_missing")
CLOSE_STATUSES = ("provisional", "final")
ADJUSTMENT_KINDS = ("trip", "fixed")

_TRACE = (
    text("run_id", "Dagster run that wrote the row"),
    instant("updated_at", "When it was written"),
)
_DAY = date("operational_date", "Local day, in the unit's zone, on which it starts (partition)")


def _fact(
    name: str,
    description: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    sort: tuple[str, ...] = (),
    added: tuple[Column, ...] = (),
) -> Table:
    """A fact table; `added` columns came with a later migration, which PostgreSQL appends after the trace columns."""
    return Table(
        "fact",
        name,
        description,
        (*columns, *_TRACE, *added),
        key=key,
        partition="operational_date",
        sort=sort or key,
        frozen_by="operational_date",
    )


_TRIP_COLUMNS: tuple[Column, ...] = (
    text("trip_id", "Hash of vehicle, device, start and source"),
    _DAY,
    text("unit_code", "Unit", nullable=True),
    text("carrier_code", "Carrier", nullable=True),
    text("contract_id", "Contract in force on the day; empty when none is", nullable=True),
    text("plate", "Vehicle"),
    text("device_id", "Device", nullable=True),
    text("driver_id", "Pseudonymous driver", nullable=True),
    instant("started_at", "Departure"),
    instant("ended_at", "Arrival"),
    text("origin_poi_id", "Place of departure", nullable=True),
    text("destination_poi_id", "Place of arrival", nullable=True),
    text("route_code", "Route", nullable=True),
    text(
        "route_method",
        "How the route was found; one found by text sets no tariff",
        values=("places", "text"),
        nullable=True,
    ),
    text("shift_code", "Shift", nullable=True),
    text("area", "Agricultural or industrial", values=("AGR", "IND"), nullable=True),
    text(
        "area_reason",
        "What decided the area",
        values=("destination_frente", "destination_usina", "origin_frente", "origin_usina", "default_area"),
        nullable=True,
    ),
    text("purpose", "Why the vehicle moved", values=PURPOSES),
    km3("km_odometer", "By odometer", nullable=True),
    km3("km_gps", "By path over accepted points", nullable=True),
    km("km_measured", "Measured km, half-up to 0.01 once per trip", nullable=True, minimum=0),
    text("km_method", "Which measurement counts", values=("odometer", "gps", "report"), nullable=True),
    km3("km_uncertainty", "Half-width of the measurement", nullable=True, minimum=0),
    percent("coverage_pct", "Share of the trip's seconds that were observed", nullable=True),
    text("evidence_grade", "How well it is proved", values=("A", "B", "C")),
    text("source", "Which source measured it", values=("positions", "visit_report")),
    flag("is_end_in_gap", "It ends inside a gap that splits: where it went is not known"),
    integer("legs", "Legs joined", minimum=1),
    text("parameters_version", "Version of the parameters that made the row"),
)

TRIPS = _fact(
    "trips",
    "Trips: legs of one vehicle joined until a place that ends a trip",
    _TRIP_COLUMNS,
    ("trip_id",),
    ("plate", "started_at", "trip_id"),
)

TRIP_WINDOW = Table(
    "trips",
    "trip_window",
    "Trips as the window of a day sees them: its own, and those of the day before and after that matching needs",
    (
        date("date", "Partition: the day whose window this is"),
        *_TRIP_COLUMNS,
        text("origin_text", "Name or address of the departure", nullable=True),
        text("destination_text", "Name or address of the arrival", nullable=True),
        real("max_speed_kmh", "Highest reported speed", unit="km/h", nullable=True),
        flag("is_start_in_gap", "It starts inside a gap that splits: where it came from is not known", nullable=True),
    ),
    key=("date", "trip_id"),
    partition="date",
    sort=("plate", "started_at", "trip_id"),
)

KM_LEDGER = _fact(
    "km_ledger",
    "Where a vehicle-day's odometer went; no data is null, not zero",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        km("odometer_delta_km", "Last - first reading", nullable=True),
        km("service_km", "Service", nullable=True),
        km("deadhead_km", "Deadhead", nullable=True),
        km("maintenance_km", "Maintenance", nullable=True),
        km("yard_km", "Yard, what the odometer counted inside stops included", nullable=True),
        km("unknown_km", "Purpose unknown", nullable=True),
        km("gap_km", "What the odometer counted over gaps that split legs", nullable=True),
        km("residual_km", "What is left", nullable=True),
        km("uncertainty_km", "Stated uncertainties of the day's trips and readings", nullable=True),
        flag("is_balanced", "|residual| is at most 0.01 km + the uncertainties", nullable=True),
    ),
    ("operational_date", "plate"),
)

_TRIP_COSTS = _fact(
    "trip_costs",
    "Variable cost of each trip",
    (
        text("trip_id", "Trip"),
        _DAY,
        text("contract_id", "Contract", nullable=True),
        text("tariff_id", "Tariff that priced it", nullable=True),
        km("billable_km", "Admitted km; null without a valid contract", nullable=True, minimum=0),
        rate("rate_brl_per_km", "Price", nullable=True),
        brl(
            "variable_cost_brl",
            "billable_km × rate, half-up to cents; null when it cannot be priced",
            nullable=True,
            minimum=0,
        ),
        text("cost_status", "Why it has this cost", values=COST_STATUSES),
        text("cost_reason", "The same in one sentence (pt-BR)", nullable=True),
        text("parameters_version", "Version of the parameters that made the row"),
    ),
    ("trip_id",),
)

# Added later, so they stand behind the trace columns, as in the database.
_BILLING_KEYS = (
    text(
        "vehicle_class",
        "Class of the vehicle on the day, by which the tariff was chosen",
        values=VEHICLE_CLASSES,
        nullable=True,
    ),
    text(
        "billing_area",
        "Sheet of the measurement package: a service trip's own area, else the vehicle's; IND where none is known",
        values=("AGR", "IND"),
        nullable=True,
    ),
    text(
        "regime",
        "Regime of the route, of a service trip whose places name the route",
        values=REGIMES,
        nullable=True,
    ),
)
TRIP_COSTS = replace(_TRIP_COSTS, columns=(*_TRIP_COSTS.columns, *_BILLING_KEYS))

FIXED_COST_DAYS = _fact(
    "fixed_cost_days",
    "Each day's share of the monthly fixed cost",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("contract_id", "Contract"),
        brl("amount_brl", "Share of the day", minimum=0),
        text("parameters_version", "Version of the parameters that made the row"),
    ),
    ("operational_date", "plate", "contract_id"),
)

DECLARED_RUNS = _fact(
    "declared_runs",
    "Declared runs, on the day on which they really started",
    (
        text("declared_run_id", "Hash of the row's content"),
        _DAY,
        text("bulletin_number", "NUMERO ATA", nullable=True),
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit of the vehicle", nullable=True),
        date("declared_date", "DATA as written"),
        instant("started_at", "Departure, as repaired"),
        instant("ended_at", "Arrival, as repaired"),
        km("odometer_start_km", "KM SAÍDA", nullable=True),
        km("odometer_end_km", "KM CHEGADA", nullable=True),
        km("route_km", "KM ROTA", nullable=True),
        km("declared_km", "What is claimed"),
        integer("passengers", "QTDE PESSOAS", nullable=True),
        text("origin_text", "LOCAL SAÍDA", nullable=True),
        text("destination_text", "LOCAL CHEGADA", nullable=True),
        text("shift_code", "TURNO", nullable=True),
        flag("is_date_repaired", "The start was moved to the day after DATA"),
        text("file_sha256", "Bulletin"),
        text("file_name", "Its name"),
        integer("row_number", "Its row"),
    ),
    ("declared_run_id",),
    ("plate", "started_at", "declared_run_id"),
)

HELD_RUNS = _fact(
    "held_runs",
    "Runs that no trip is linked to: held, neither paid nor refused",
    (
        text("declared_run_id", "Run"),
        _DAY,
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        km("declared_km", "What is claimed"),
        brl("brl_at_rate", "Its km at the rate that would apply; null when none does", nullable=True),
        text(
            "reason",
            "phantom: observed and standing; no_trip: partly observed, no trip; no_data: not observed; not_observed: "
            "the tracker may be off the vehicle; clock: the device's clock is off; date_uncertain: the day after is "
            "not seen or fits as well; source_missing: positions or visit reports are incomplete by our own fault",
            values=HELD_REASONS,
        ),
    ),
    ("declared_run_id",),
)

MATCHES = _fact(
    "matches",
    "Connected groups of trips and runs, compared as sums",
    (
        text("match_id", "Hash of the members"),
        _DAY,
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text_list("trip_ids", "Trips"),
        text_list("declared_run_ids", "Runs"),
        text("kind", "Shape of the group", values=MATCH_KINDS),
        km("declared_km", "Sum of the runs; null without a run", nullable=True),
        km("measured_km", "Sum of the trips; null without a trip", nullable=True),
        km("difference_km", "declared - measured; null when one side is missing", nullable=True),
        percent("difference_pct", "Difference in per cent of measured", nullable=True),
        flag("is_exceeding", "Above the tolerance of the contract", nullable=True),
    ),
    ("match_id",),
    ("plate", "match_id"),
)

_FINDINGS = _fact(
    "findings",
    "What the rules found, with evidence",
    (
        text("finding_id", "Hash of rule, day and what it concerns"),
        _DAY,
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
_CYCLE = date("cycle_start", "Cycle that a rule over a whole cycle judged; empty for a rule of one day", nullable=True)
AMOUNTS = ("paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl")
_AMOUNTS = (
    brl("paid_doubtful_brl", "Payable by the facts, but evidence shows that less is owed", nullable=True, minimum=0),
    brl("disallowed_brl", "Declared beyond what is admitted, at the rate that applies", nullable=True, minimum=0),
    brl("held_brl", "Declared and not verifiable", nullable=True, minimum=0),
    brl("in_favour_brl", "Owed to the carrier beyond what was declared or measured", nullable=True, minimum=0),
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
    _FINDINGS, columns=(*_FINDINGS.columns, _CYCLE, _AMOUNT, *_AMOUNTS, _ROOT, *_RANGE), kept="cycle_start"
)
# The same table, written per cycle: the findings of the rules over a whole cycle.
CYCLE_FINDINGS = replace(FINDINGS, partition="cycle_start", kept=None, asset="cycle_findings", frozen_by="cycle_start")

CAUSES = ("own_gap", "exchange", "tracker_off", "clock", "odometer", "declared_run", "single")
_INCIDENTS = _fact(
    "incidents",
    "Findings with one root cause; each finding is in one incident, and each amount is counted in one incident",
    (
        text("incident_id", "Hash of the root, and of the cycle for what rules of a cycle found"),
        _DAY,
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
        *_AMOUNTS,
        text("sentence_pt", "One plain sentence that a carrier can answer"),
    ),
    ("incident_id",),
)
INCIDENTS = replace(_INCIDENTS, kept="cycle_start")
# The same table, written per cycle: what its rules add to the incidents of its days.
CYCLE_INCIDENTS = replace(
    INCIDENTS, partition="cycle_start", kept=None, asset="cycle_incidents", frozen_by="cycle_start"
)


TRIP_SCORES = _fact(
    "trip_scores",
    "Compliance score of a trip",
    (
        text("trip_id", "Trip"),
        _DAY,
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

COVERAGE = _fact(
    "vehicle_day_coverage",
    "What was seen of each vehicle on each day",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text(
            "status",
            "complete: seen over at least 80 % of the day; partial: less; silent: nothing arrived",
            values=("complete", "partial", "silent"),
        ),
        Column("observed_h", Type.FLOAT, "Hours observed", "h", True, None, 0),
        integer("positions", "Positions received"),
        integer("visit_legs", "Movements in visit reports"),
    ),
    ("operational_date", "plate"),
)

DEVICE_ISSUES = (
    "odometer_metres",
    "odometer_miles",
    "odometer_scale",
    "clock_shift",
    "constant_place",
    "devices_disagree",
    "no_odometer",
    "no_coordinates",
    "no_ignition",
)

DEVICE_HEALTH = _fact(
    "device_health",
    "Device health: its odometer's unit, its clock, its receiver, and fields that it never sends",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        integer("positions", "Positions of the day", minimum=1),
        integer("located", "Of these with coordinates", minimum=0),
        integer("readings", "Of these with an odometer", minimum=0),
        flag("has_ignition", "It reports the ignition"),
        real("odometer_ratio", "Odometer / path, median of pieces of 5 km over the day's window", nullable=True),
        real("ratio_km", "Path of these pieces", unit="km", nullable=True),
        integer(
            "clock_shift_h",
            "Hours by which its clock is ahead of the declared runs and visit reports; 0: it agrees; null: not known",
            unit="h",
            nullable=True,
        ),
        integer("clock_runs", "Runs that support the shift", nullable=True),
        text_list("issues", f"What is wrong: {', '.join(DEVICE_ISSUES)}"),
    ),
    ("operational_date", "plate", "device_id"),
    added=(
        text(
            "primary_device_id", "Device that measures the vehicle that day, where this one is another", nullable=True
        ),
        real("km_counted", "Counted by this one while both report: odometer, or path", unit="km", nullable=True),
        real("km_primary", "The same by the one that measures", unit="km", nullable=True),
    ),
)

CALIBRATIONS = _fact(
    "calibrations",
    "Odometer / GPS of each device on each day, over trips that both measured well",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("device_id", "Device"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        integer("trips", "Trips compared", minimum=1),
        km3("km_odometer", "Their km by odometer, without bridged steps", minimum=0),
        km3("km_gps", "The same by path", minimum=0),
        real("ratio", "Median of odometer / GPS a trip, weighted by km", minimum=0),
        real("spread_pct", "Spread of the trips' ratios: 1.4826 × median absolute deviation", unit="%", minimum=0),
    ),
    ("operational_date", "plate", "device_id"),
)

VEHICLE_DAY_AMOUNTS = _fact(
    "vehicle_day_amounts",
    "The four amounts of each vehicle-day with something at stake, no kilometre counted twice; never added up",
    (
        _DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        *_AMOUNTS,
    ),
    ("operational_date", "plate"),
)

VEHICLE_CYCLE_AMOUNTS = Table(
    "fact",
    "vehicle_cycle_amounts",
    "The four amounts of each vehicle of a carrier and unit in a cycle, no kilometre counted twice; never added up",
    (
        text("vehicle_amounts_id", "Hash of cycle, vehicle, carrier and unit"),
        date("cycle_start", "First day of the cycle (partition)"),
        date("operational_date", "Last day of the cycle"),
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        *_AMOUNTS,
        *_TRACE,
    ),
    key=("vehicle_amounts_id",),
    partition="cycle_start",
    sort=("cycle_start", "plate", "carrier_code", "unit_code"),
    frozen_by="cycle_start",
)

CALIBRATION_SEGMENTS = Table(
    "fact",
    "calibration_segments",
    "Days in a row over which a vehicle's odometer / GPS ratio keeps its level, and why each begins",
    (
        date("cycle_start", "Cycle whose report shows it (partition)"),
        date("operational_date", "Last day of the segment"),
        text("plate", "Vehicle"),
        date("segment_start", "First day of the segment"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text("device_id", "Device"),
        real("ratio", "Median of its days' ratios, weighted by km", minimum=0),
        real("spread_pct", "Spread of its days: 1.4826 × median absolute deviation", unit="%", minimum=0),
        integer("days", "Days with comparable trips", minimum=1),
        real("km", "Path compared", unit="km", minimum=0),
        flag("is_change_point", "It begins because something changed: a device, or the ratio"),
        text(
            "reason",
            "first: nothing before it is known; device: another device; ratio: the level moved (tyre, calibration)",
            values=("first", "device", "ratio"),
        ),
        *_TRACE,
    ),
    key=("cycle_start", "plate", "segment_start", "device_id"),
    partition="cycle_start",
    sort=("cycle_start", "plate", "segment_start", "device_id"),
    frozen_by="cycle_start",
)

LINE_STATUSES = ("billed", "nothing_billed", "unpriced", "no_data")
BILLING_LINES = Table(
    "fact",
    "billing_lines",
    "Lines of a cycle's measurement package: one row per vehicle, contract, area, class, regime and rate",
    (
        text("billing_line_id", "Hash of the cycle and what the line is about"),
        date("cycle_start", "First day of the cycle (partition)"),
        date("operational_date", "Last day of the cycle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        text("contract_id", "Contract", nullable=True),
        text("contract_kind", "Standing contract or spot", values=CONTRACT_KINDS, nullable=True),
        text("plate", "Vehicle"),
        text("fleet_number", "The carrier's own number of the vehicle, of the last day billed", nullable=True),
        text("area", "Sheet of the measurement package", values=("AGR", "IND")),
        text("vehicle_class", "Class of the vehicle", values=VEHICLE_CLASSES, nullable=True),
        text("regime", "Regime of the route", values=REGIMES, nullable=True),
        rate("rate_brl_per_km", "Price; null in a line that has a fixed share only", nullable=True),
        text_list("route_codes", "Routes of the billed trips"),
        text_list("shift_codes", "Shifts of the billed trips"),
        text(
            "line_status",
            "billed, or why a line has a fixed share only: nothing_billed, unpriced trips, no_data",
            values=LINE_STATUSES,
        ),
        integer("trips", "Billed trips; null in a line that has a fixed share only", nullable=True, minimum=1),
        km("km", "Billed km; null = unknown, 0.00 = seen and nothing billed", nullable=True, minimum=0),
        brl("variable_brl", "Sum of the trips' costs, each half-up to cents; null as km", nullable=True, minimum=0),
        brl("monthly_brl", "Monthly fixed amount in force on the last day owed; in no sum", nullable=True, minimum=0),
        integer("fixed_days", "Days of the cycle on which a share of it is owed", nullable=True, minimum=1),
        brl("fixed_brl", "What the cycle owes of it, whole in one line of a vehicle and contract", nullable=True),
        brl("total_brl", "variable_brl + fixed_brl, what is known of them"),
        *_TRACE,
    ),
    key=("billing_line_id",),
    partition="cycle_start",
    sort=("cycle_start", "unit_code", "carrier_code", "plate", "area", "billing_line_id"),
    frozen_by="cycle_start",
)

ADJUSTMENTS = Table(
    "fact",
    "adjustments",
    "What a closed day would be now minus what was billed of it, line by line; an open cycle bills the difference",
    (
        text("adjustment_id", "Hash of the billing cycle and the line"),
        date("operational_date", "Closed day that it is about (partition)"),
        date("billed_cycle_start", "Cycle that bills it: the first after the closed one that is not final"),
        date("origin_cycle_start", "Closed cycle that the day belongs to"),
        text("kind", "trip: variable cost of a trip; fixed: a vehicle-day's share", values=ADJUSTMENT_KINDS),
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text("contract_id", "Contract", nullable=True),
        text("trip_id", "Trip; empty for a fixed share", nullable=True),
        km("km_closed", "Billed until now, earlier adjustments included; null: nothing was", nullable=True),
        km("km_now", "Admitted with what is known now; null: unknown, or the trip does not exist", nullable=True),
        km("difference_km", "To be billed, may be negative; null: a person must decide", nullable=True),
        brl("brl_closed", "Billed until now, earlier adjustments included; null: nothing was", nullable=True),
        brl("brl_now", "What is known now; null: it has no price, or the line does not exist", nullable=True),
        brl("difference_brl", "To be billed, may be negative; null: a person must decide", nullable=True),
        text("reason", "Why, one sentence (pt-BR)"),
        *_TRACE,
    ),
    key=("adjustment_id",),
    partition="operational_date",
    sort=("operational_date", "plate", "kind", "trip_id", "contract_id", "adjustment_id"),
    frozen_by="billed_cycle_start",
)

CYCLE_CLOSES = Table(
    "ops",
    "cycle_closes",
    "Closed cycles: a final one is frozen, its rows in `fact` never change again",
    (
        date("cycle_start", "First day of the cycle"),
        date("cycle_end", "Last day of the cycle"),
        text("status", "provisional: it may change; final: frozen", values=CLOSE_STATUSES),
        instant("closed_at", "When"),
        text("manifest_sha256", "SHA-256 of the manifest's bytes"),
        text("manifest_path", "Where the manifest is, inside the lake"),
        text("code_version", "Version of the package and hash of its code and SQL"),
        text("parameters_version", "Version of the parameters in force on the last day"),
        km("total_km", "Billable km; null: no day has any", nullable=True),
        brl("total_variable_brl", "Variable cost; null: no trip has a price", nullable=True),
        brl("total_fixed_brl", "Fixed cost; null: no vehicle has any", nullable=True),
        text("run_id", "Run that closed it"),
    ),
    key=("cycle_start", "status"),
)

COMPUTED_DAYS = Table(
    "ops",
    "computed_days",
    "Days whose money was computed to the end: with what had arrived by when, and by which code",
    (
        date("operational_date", "Day (partition)"),
        instant("computed_at", "What had arrived by then is in the day's rows"),
        text("code_version", "Version of the package and hash of its code and SQL"),
        *_TRACE,
    ),
    key=("operational_date",),
    partition="operational_date",
)

REFERENCE_HISTORY = Table(
    "ops",
    "reference_history",
    "Every row that a reference table ever had: when it holds (valid) and when it was known (recorded)",
    (
        text("table_name", "Table of `ref`"),
        text("row_key", "Hash of the row's content"),
        instant("recorded_from", "When the file that brought it was received"),
        instant("recorded_to", "When a file without it was received; empty: it is known still", nullable=True),
        date("valid_from", "First local day on which the row holds", nullable=True),
        date("valid_to", "Last local day on which the row holds; empty = open-ended", nullable=True),
        json("content", "The row; jsonb_populate_record types it. Drivers' names are excluded"),
        text("file_name", "File that brought it"),
        text("file_sha256", "Its content"),
    ),
    key=("table_name", "row_key", "recorded_from"),
    sort=("table_name", "recorded_from", "row_key"),
)

REFERENCE_CHANGES = Table(
    "ops",
    "reference_changes",
    "Reference data that changed inside an open cycle: one row per delivery and affected cycle (Q04)",
    (
        text("change_id", "Hash of table, content before and content after"),
        date("cycle_start", "Open cycle that it touches"),
        date("finding_date", "Last computed day of the cycle that it touches: the day of its finding"),
        text("table_name", "Table of `ref`"),
        instant("recorded_at", "When the file was received"),
        date("first_date", "First computed day that it touches"),
        date("last_date", "Last computed day that it touches"),
        integer("rows_added", "Rows added or changed", minimum=0),
        integer("rows_removed", "Rows removed or changed", minimum=0),
        text("file_name", "File that brought it"),
        text("file_sha256", "Its content"),
        text("previous_sha256", "Content that was in force before"),
        json("changes", "The first rows removed and added"),
        text("run_id", "Run that published it"),
    ),
    key=("change_id", "cycle_start"),
    sort=("recorded_at", "table_name", "cycle_start"),
)

REFERENCE_DELTAS = Table(
    "ops",
    "reference_deltas",
    "What a change of reference data did to each day and carrier: before it, and after the day was run again",
    (
        text("change_run_id", "Run that published the change (`ops.reference_changes.run_id`)"),
        date("operational_date", "Day that it touches"),
        text("carrier_code", "Carrier; empty where no vehicle row names one", nullable=True),
        text_list("table_names", "Tables that changed"),
        km("km_before", "Billable km before", nullable=True),
        km("km_after", "Billable km after; null until the day is run again", nullable=True),
        brl("brl_before", "Variable and fixed cost before", nullable=True),
        brl("brl_after", "Variable and fixed cost after; null until the day is run again", nullable=True),
        flag("is_rerun", "The day was run again"),
        instant("updated_at", "When it was written"),
    ),
    key=("change_run_id", "operational_date", "carrier_code"),
    partition="operational_date",
    sort=("change_run_id", "operational_date", "carrier_code"),
)

INGESTED_FILES = Table(
    "ops",
    "ingested_files",
    "Every file that arrived, one row per name and content",
    (
        text("file_sha256", "SHA-256 of the bytes; empty where they could not be read"),
        text("file_name", "Path inside the inbox"),
        text("kind", "What it is", values=FILE_KINDS),
        integer("size_bytes", "Size", unit="bytes"),
        instant("received_at", "First seen"),
        text("status", "How it ended", values=FILE_STATUSES),
        integer("rows_read", "Data rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
        text("message", "One sentence; what to do when it was not accepted", nullable=True),
        date("first_date", "First local day that its rows touch", nullable=True),
        date("last_date", "Last local day that its rows touch", nullable=True),
        text("archive_path", "Where its bytes are, inside the lake", nullable=True),
        text("run_id", "Run that read it", nullable=True),
        text("reason_code", "Stable code of why it was refused whole (docs/reasons.md)", nullable=True),
        text("report_path", "CSV of its rejected rows for the sender, path inside the lake", nullable=True),
        text(
            "stamp",
            "Size and times under which it was last listed: a file that keeps them is not opened again",
            nullable=True,
        ),
    ),
    key=("file_sha256", "file_name"),
)

FILE_DAYS = Table(
    "ops",
    "file_days",
    "A file's rows by local day; a row whose day is illegible counts on the day of the row before it",
    (
        text("file_sha256", "SHA-256 of the bytes"),
        text("file_name", "Path inside the inbox"),
        date("date", "Local day"),
        integer("rows_read", "Data rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
    ),
    key=("file_sha256", "file_name", "date"),
)

DAY_ACCEPTANCE = Table(
    "ops",
    "day_acceptance",
    "Share of a day's rows that was accepted, from the newest version of each file and from the API",
    (
        date("operational_date", "Local day (partition)"),
        text("source_kind", "What the rows came by", values=(*FILE_KINDS[1:], "api")),
        integer("rows_read", "Rows read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates; they do not lower the acceptance"),
        percent("acceptance_pct", "Accepted of accepted and rejected; empty when there are neither", nullable=True),
        flag("is_low", "Below day_acceptance_pct: what the day shows is incomplete"),
        *_TRACE,
    ),
    key=("operational_date", "source_kind"),
    partition="operational_date",
)

PENDING_DEVICES = Table(
    "ops",
    "pending_devices",
    "Positions that wait until reference/devices assigns their device to a vehicle on that day",
    (
        date("operational_date", "Day of America/Sao_Paulo (partition)"),
        text("device_id", "Device"),
        integer("positions", "Positions that wait", minimum=1),
        instant("first_at", "First of them"),
        instant("last_at", "Last of them"),
        *_TRACE,
    ),
    key=("operational_date", "device_id"),
    partition="operational_date",
)

INBOX_REQUESTS = Table(
    "ops",
    "inbox_requests",
    "The inbox sensor's memory: each file as it was when its days were last asked for",
    (
        text("file_name", "Path inside the inbox"),
        text("stamp", "Size and times: other ones mean that the file changed"),
        date("first_date", "First day asked for; empty when its days had been run already", nullable=True),
        date("last_date", "Last day asked for", nullable=True),
        instant("requested_at", "When"),
    ),
    key=("file_name",),
)

INBOX_SIGHTINGS = Table(
    "ops",
    "inbox_sightings",
    "The stamp under which each file of the inbox was last listed: a file that keeps it until the next look is whole",
    (
        text("file_name", "Path inside the inbox"),
        text("stamp", "Size and times"),
        instant("first_seen_at", "First look that listed the file with this stamp"),
    ),
    key=("file_name",),
)

INCOMPLETE_DAYS = Table(
    "ops",
    "incomplete_days",
    "Days of which a source failed on our side: what would rest on it is not tested, and no finding on a carrier",
    (
        date("operational_date", "Local day (partition)"),
        text("source", "Source that is missing or incomplete", values=(*FILE_KINDS[1:], "api")),
        text("carrier_code", "Carrier that it concerns; empty: all"),
        text("file_name", "File that was refused; empty: no file"),
        text("reason_pt", "One sentence for the reports"),
        *_TRACE,
    ),
    key=("operational_date", "source", "carrier_code", "file_name"),
    partition="operational_date",
)
_RULES_NOT_TESTED = Table(
    "ops",
    "rules_not_tested",
    "Rules that were not tested on a day or in a cycle because data are missing: they have not passed",
    (
        _DAY,
        text("rule_id", "Rule"),
        text("scope", "Whether the rule judges a day or a whole cycle", values=("day", "cycle")),
        text("source", "P positions, V visit report, B bulletin, K contract data; / either, + both"),
        text("reason_pt", "What is missing, one sentence for the reports"),
        *_TRACE,
    ),
    key=("operational_date", "rule_id", "scope"),
    partition="operational_date",
    frozen_by="operational_date",
)
RULES_NOT_TESTED = replace(
    _RULES_NOT_TESTED, columns=(*_RULES_NOT_TESTED.columns, _CYCLE), kept="cycle_start", sort=("rule_id", "scope")
)
CYCLE_RULES_NOT_TESTED = replace(
    RULES_NOT_TESTED, partition="cycle_start", kept=None, asset="cycle_rules_not_tested", frozen_by="cycle_start"
)

REJECTED_ROWS = Table(
    "ops",
    "rejected_rows",
    "Rows in quarantine, as received",
    (
        text("file_sha256", "File or page"),
        integer("row_number", "Row"),
        text("reason_code", "Stable code"),
        text("source_kind", "Kind of the source"),
        text("file_name", "Its name", nullable=True),
        text("reason", "One sentence: what is wrong and what to do"),
        text("raw", "The row as received"),
        text("run_id", "Run", nullable=True),
    ),
    key=("file_sha256", "row_number", "reason_code"),
)

STAGE_COUNTS = Table(
    "ops",
    "stage_counts",
    "Rows in and out of each stage, per partition: they reconcile",
    (
        date("partition_date", "Day"),
        text("stage", "Stage"),
        text("source", "Source within the stage"),
        integer("rows_read", "Read"),
        integer("rows_accepted", "Accepted"),
        integer("rows_rejected", "Quarantined"),
        integer("rows_duplicate", "Duplicates"),
        text("run_id", "Run"),
        instant("updated_at", "When"),
    ),
    key=("partition_date", "stage", "source"),
    partition="partition_date",
)

API_REQUESTS = Table(
    "ops",
    "api_requests",
    "Pages of the telemetry API as they were asked for and archived, and windows that failed",
    (
        text("request_id", "Hash of window, page and what was answered: the same answer again is the same row"),
        date("partition_date", "Day of America/Sao_Paulo that the window lies in"),
        instant("window_from", "First instant asked for"),
        instant("window_to", "End of the window, exclusive"),
        integer("page_number", "Page within the window, from 1", minimum=0),
        integer("window_attempt", "1, and one more each time that the cursor expired", minimum=1),
        integer("status", "HTTP status of the last answer; null when there was none", nullable=True),
        integer("tries", "Requests that this page took", minimum=0),
        integer("latency_ms", "From the last request to the whole answer", unit="ms", nullable=True, minimum=0),
        integer("rows_read", "Items of the page", minimum=0),
        integer("size_bytes", "Size of the answer as received", unit="bytes", nullable=True, minimum=0),
        text("body_sha256", "SHA-256 of the answer", nullable=True),
        text("archive_path", "Where its bytes are, inside the lake", nullable=True),
        text("server_request_id", "X-Request-Id of the answer, to ask the vendor by", nullable=True),
        text("message", "Why the window failed, in one sentence", nullable=True),
        instant("answered_at", "When the answer was there"),
        text("run_id", "Run that asked"),
    ),
    key=("request_id",),
    sort=("partition_date", "window_from", "page_number", "request_id"),
)

API_WINDOWS = Table(
    "ops",
    "api_windows",
    "Quarters of a day that the telemetry API was asked for, and until when each was answered in full",
    (
        date("partition_date", "Day of America/Sao_Paulo that the window lies in"),
        instant("window_from", "Start of the window"),
        instant("window_to", "End of the window, exclusive, also when it is in the future"),
        instant("answered_to", "Positions before this instant were received in full; null: none were", nullable=True),
        instant("answered_at", "When the last complete answer was received", nullable=True),
        instant("failed_at", "When the API was last asked without a complete answer; null after one", nullable=True),
        text("message", "Why the last request has no complete answer, in one sentence", nullable=True),
        text("run_id", "Run that asked last"),
    ),
    key=("partition_date", "window_from"),
)

POSITION_HOURS = Table(
    "ops",
    "position_hours",
    "What staging holds of each hour: which days were computed before something in their window changed",
    (
        instant("hour_at", "Begin of the hour"),
        date("partition_date", "Day of America/Sao_Paulo"),
        integer("rows_accepted", "Positions", minimum=0),
        text("digest", "Of all facts of the hour's positions, whatever their order and origin"),
        instant("changed_at", "When it became this"),
        text("run_id", "Run that changed it"),
    ),
    key=("hour_at",),
)

STAGED_DAYS = Table(
    "ops",
    "staged_days",
    "What each day of positions was last staged from and what came of it: a day that differs in neither is not made "
    "again",
    (
        date("partition_date", "Day of America/Sao_Paulo"),
        text("inputs_digest", "Of the files in force, the pages, what the requests counted, the adapter and the code"),
        text("content_digest", "Of the bytes of the day's file in the lake, and whether its pages have notes"),
        text("run_id", "Run that staged it"),
        instant("updated_at", "When"),
    ),
    key=("partition_date",),
)

PARAMETER_VERSIONS = Table(
    "ops",
    "parameter_versions",
    "The parameters that a version stands for",
    (
        text("parameters_version", "Hash of all names and values in force"),
        text("name", "Parameter"),
        Column("value", Type.FLOAT, "Value"),
        text("unit", "Unit", nullable=True),
        text("origin", "default, or the dated row that changed it"),
    ),
    key=("parameters_version", "name"),
)

FACTS = (
    TRIPS,
    KM_LEDGER,
    TRIP_COSTS,
    HELD_RUNS,
    FIXED_COST_DAYS,
    DECLARED_RUNS,
    MATCHES,
    FINDINGS,
    INCIDENTS,
    TRIP_SCORES,
    COVERAGE,
    DEVICE_HEALTH,
    CALIBRATIONS,
    VEHICLE_DAY_AMOUNTS,
)
CYCLE_FACTS = (CALIBRATION_SEGMENTS, BILLING_LINES, VEHICLE_CYCLE_AMOUNTS, ADJUSTMENTS)
OPS = (
    INGESTED_FILES,
    FILE_DAYS,
    DAY_ACCEPTANCE,
    PENDING_DEVICES,
    INBOX_REQUESTS,
    INBOX_SIGHTINGS,
    INCOMPLETE_DAYS,
    RULES_NOT_TESTED,
    REJECTED_ROWS,
    STAGE_COUNTS,
    API_REQUESTS,
    API_WINDOWS,
    POSITION_HOURS,
    STAGED_DAYS,
    PARAMETER_VERSIONS,
    COMPUTED_DAYS,
    CYCLE_CLOSES,
    REFERENCE_HISTORY,
    REFERENCE_CHANGES,
    REFERENCE_DELTAS,
)
TABLES = (*FACTS, *CYCLE_FACTS, CYCLE_FINDINGS, CYCLE_INCIDENTS, *OPS, CYCLE_RULES_NOT_TESTED, TRIP_WINDOW)

"""Costs of trips and days, the four amounts of vehicles, and the lines of an invoice.

What a close does with them is in `closing`.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_audit.schema.facts.columns import AMOUNT_COLUMNS, DAY, TRACE, fact_table
from fleet_audit.schema.model import Table, brl, date, integer, km, rate, text, text_list
from fleet_audit.schema.reference import CONTRACT_KINDS, REGIMES, VEHICLE_CLASSES

COST_STATUSES = ("priced", "no_contract", "no_tariff", "ambiguous_tariff", "not_billable")
_TRIP_COSTS = fact_table(
    "trip_costs",
    "Variable cost of each trip",
    (
        text("trip_id", "Trip"),
        DAY,
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
    text("regime", "Regime of the route, of a service trip whose places name the route", values=REGIMES, nullable=True),
)

TRIP_COSTS = replace(_TRIP_COSTS, columns=(*_TRIP_COSTS.columns, *_BILLING_KEYS))
FIXED_COST_DAYS = fact_table(
    "fixed_cost_days",
    "Each day's share of the monthly fixed cost",
    (
        DAY,
        text("plate", "Vehicle"),
        text("contract_id", "Contract"),
        brl("amount_brl", "Share of the day", minimum=0),
        text("parameters_version", "Version of the parameters that made the row"),
    ),
    ("operational_date", "plate", "contract_id"),
)

VEHICLE_DAY_AMOUNTS = fact_table(
    "vehicle_day_amounts",
    "The four amounts of each vehicle-day and carrier with something at stake, no kilometre counted twice; never added "
    "up",
    (
        DAY,
        text("plate", "Vehicle"),
        text("unit_code", "Unit", nullable=True),
        text("carrier_code", "Carrier", nullable=True),
        *AMOUNT_COLUMNS,
    ),
    ("vehicle_amounts_id",),
    ("operational_date", "plate", "vehicle_amounts_id"),
    added=(text("vehicle_amounts_id", "Hash of day, vehicle and carrier"),),
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
        *AMOUNT_COLUMNS,
        *TRACE,
    ),
    key=("vehicle_amounts_id",),
    partition="cycle_start",
    sort=("cycle_start", "plate", "carrier_code", "unit_code"),
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
        *TRACE,
    ),
    key=("billing_line_id",),
    partition="cycle_start",
    sort=("cycle_start", "unit_code", "carrier_code", "plate", "area", "billing_line_id"),
    frozen_by="cycle_start",
)

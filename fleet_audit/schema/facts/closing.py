"""Closes of cycles, adjustments, and what the results were computed from: days, reference data, parameters.

What arrived is in `arrivals`.
"""

from __future__ import annotations

from dataclasses import replace

from fleet_audit.schema.facts.columns import TRACE
from fleet_audit.schema.model import Column, Table, Type, brl, date, flag, instant, integer, json, km, text, text_list

CLOSE_STATUSES = ("provisional", "final")
ADJUSTMENT_KINDS = ("trip", "fixed", "finding")
ADJUSTMENTS = Table(
    "fact",
    "adjustments",
    "What a closed day would be now minus what was billed of it, line by line, and what reversed findings release; an "
    "open cycle bills the difference",
    (
        text("adjustment_id", "Hash of the billing cycle and the line"),
        date("operational_date", "Closed day, or day of the reversed finding, that it is about (partition)"),
        date("billed_cycle_start", "Cycle that bills it: the first, from that of the day on, that is not final"),
        date("origin_cycle_start", "Cycle that the day belongs to"),
        text(
            "kind",
            "trip: variable cost of a trip; fixed: a vehicle-day's share; finding: what a reversed finding releases",
            values=ADJUSTMENT_KINDS,
        ),
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        text("unit_code", "Unit", nullable=True),
        text("contract_id", "Contract", nullable=True),
        text("trip_id", "Trip; empty for a fixed share and for a finding without a trip", nullable=True),
        km("km_closed", "Billed until now, earlier adjustments included; null: nothing was", nullable=True),
        km("km_now", "Admitted with what is known now; null: unknown, or the trip does not exist", nullable=True),
        km("difference_km", "To be billed, may be negative; null: a person must decide", nullable=True),
        brl("brl_closed", "Billed until now, earlier adjustments included; null: nothing was", nullable=True),
        brl("brl_now", "What is known now; null: it has no price, or the line does not exist", nullable=True),
        brl("difference_brl", "To be billed, may be negative; null: a person must decide", nullable=True),
        text("reason", "Why, one sentence (pt-BR)"),
        *TRACE,
        text("finding_id", "Reversed finding; empty for a line of a day that was run again", nullable=True),
        date("decided_cycle_start", "billed_cycle_start of a reversed finding; empty for other lines", nullable=True),
    ),
    key=("adjustment_id",),
    partition="operational_date",
    sort=("operational_date", "plate", "kind", "trip_id", "contract_id", "adjustment_id"),
    indexes=(("billed_cycle_start",),),
    kept="decided_cycle_start",
    frozen_by="billed_cycle_start",
)
# The same table, written per cycle: what reversed findings release.
REVERSAL_ADJUSTMENTS = replace(
    ADJUSTMENTS, partition="decided_cycle_start", kept=None, asset="reversal_adjustments",
    frozen_by="decided_cycle_start",
)  # fmt: skip

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
        *TRACE,
        text("computing_versions", "The same with versions of Python, libraries and time zones", nullable=True),
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
    partial_indexes=(("table_name", "recorded_to IS NULL"),),
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
    indexes=(("cycle_start",), ("last_date",)),
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
    partial_indexes=(("is_rerun", "NOT is_rerun"),),
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

"""Runs that carriers declared, the match of each with what was measured, and the runs that are held.

What rules say of them is in `audit`.
"""

from __future__ import annotations

from fleet_audit.schema.facts.columns import DAY, fact_table
from fleet_audit.schema.model import brl, date, flag, instant, integer, km, percent, text, text_list

MATCH_KINDS = ("one_to_one", "merged", "split", "many", "declared_only", "measured_only")
HELD_REASONS = (
    "phantom",
    "no_trip",
    "no_data",
    "not_observed",
    "clock",
    "date_uncertain",
    "source_missing",
    "place_unproven",
    "trip_cut",
    "other_carrier",
)
DECLARED_RUNS = fact_table(
    "declared_runs",
    "Declared runs, on the day on which they really started",
    (
        text("declared_run_id", "Hash of the row's content"),
        DAY,
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

HELD_RUNS = fact_table(
    "held_runs",
    "Runs that no trip is linked to, or none that is proven to be service: held, neither paid nor refused",
    (
        text("declared_run_id", "Run"),
        DAY,
        text("plate", "Vehicle"),
        text("carrier_code", "Carrier", nullable=True),
        km("declared_km", "What is claimed"),
        brl("brl_at_rate", "Its km at the rate that would apply; null when none does", nullable=True),
        text(
            "reason",
            "phantom: observed and standing; no_trip: partly observed, no trip; no_data: not observed; not_observed: "
            "the tracker may be off the vehicle; clock: the device's clock is off; date_uncertain: the day after is "
            "not seen or fits as well; source_missing: positions or visit reports are incomplete by our own fault; "
            "place_unproven: its trips may be service, coordinates do not prove their places; "
            "trip_cut: a gap hides where a trip of it began or went; "
            "other_carrier: its trips are paid to the vehicle's carrier, and another one wrote it",
            values=HELD_REASONS,
        ),
    ),
    ("declared_run_id",),
)

MATCHES = fact_table(
    "matches",
    "Connected groups of trips and runs, compared as sums",
    (
        text("match_id", "Hash of the members"),
        DAY,
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
    added=(
        km(
            "unseen_km",
            "The most that can have been driven unobserved; null when one side is missing, or by an earlier release",
            nullable=True,
            minimum=0,
        ),
        flag(
            "is_unobserved",
            "A part of its way can have been driven unobserved, by a device that did not just sleep; null as unseen_km",
            nullable=True,
        ),
    ),
)

"""Create the schemas and all tables."""
# ruff: noqa: E501 (descriptions are not wrapped)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for schema in ("ref", "ops", "fact", "mart"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.create_table(
        "declared_runs",
        sa.Column("declared_run_id", sa.Text(), nullable=False, comment="Hash of the row's content"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("bulletin_number", sa.Text(), nullable=True, comment="NUMERO ATA"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit of the vehicle"),
        sa.Column("declared_date", sa.Date(), nullable=False, comment="DATA as written"),
        sa.Column(
            "started_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Departure, as repaired [UTC]"
        ),
        sa.Column(
            "ended_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Arrival, as repaired [UTC]"
        ),
        sa.Column("odometer_start_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="KM SAÍDA [km]"),
        sa.Column("odometer_end_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="KM CHEGADA [km]"),
        sa.Column("route_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="KM ROTA [km]"),
        sa.Column("declared_km", sa.Numeric(precision=12, scale=2), nullable=False, comment="What is claimed [km]"),
        sa.Column("passengers", sa.BigInteger(), nullable=True, comment="QTDE PESSOAS"),
        sa.Column("origin_text", sa.Text(), nullable=True, comment="LOCAL SAÍDA"),
        sa.Column("destination_text", sa.Text(), nullable=True, comment="LOCAL CHEGADA"),
        sa.Column("shift_code", sa.Text(), nullable=True, comment="TURNO"),
        sa.Column(
            "is_date_repaired", sa.Boolean(), nullable=False, comment="The start was moved to the day after DATA"
        ),
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="Bulletin"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="Its name"),
        sa.Column("row_number", sa.BigInteger(), nullable=False, comment="Its row"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.PrimaryKeyConstraint("declared_run_id", name=op.f("pk_declared_runs")),
        schema="fact",
        comment="Declared runs, on the day on which they really started",
    )
    op.create_index(
        "ix_declared_runs_operational_date", "declared_runs", ["operational_date"], unique=False, schema="fact"
    )
    op.create_index(
        "ix_declared_runs_plate_operational_date",
        "declared_runs",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.Text(), nullable=False, comment="Hash of rule, day and what it concerns"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("rule_id", sa.Text(), nullable=False, comment="Rule"),
        sa.Column("rule_version", sa.Text(), nullable=False, comment="Version of the rule and its parameters"),
        sa.Column("severity", sa.Text(), nullable=False, comment="C critical, H high, M medium, L low"),
        sa.Column("plate", sa.Text(), nullable=True, comment="Vehicle"),
        sa.Column("driver_id", sa.Text(), nullable=True, comment="Driver"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("trip_id", sa.Text(), nullable=True, comment="Trip"),
        sa.Column("declared_run_id", sa.Text(), nullable=True, comment="Run"),
        sa.Column("km_at_stake", sa.Numeric(precision=12, scale=2), nullable=True, comment="Kilometres at stake [km]"),
        sa.Column(
            "brl_at_stake",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="The same at the rate that applies; null when none does [BRL]",
        ),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), nullable=False, comment="How sure the rule is [0-1]"),
        sa.Column(
            "evidence",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Ids and the very rows of the sources",
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="Excepted findings stay visible"),
        sa.Column("exception_id", sa.Text(), nullable=True, comment="Exception that applies"),
        sa.Column("explanation_pt", sa.Text(), nullable=False, comment="One plain sentence that a carrier can answer"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("severity IN ('C', 'H', 'M', 'L')", name=op.f("ck_findings_severity")),
        sa.CheckConstraint("status IN ('open', 'excepted')", name=op.f("ck_findings_status")),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name=op.f("ck_findings_confidence")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_findings")),
        schema="fact",
        comment="What the rules found, with evidence",
    )
    op.create_index("ix_findings_operational_date", "findings", ["operational_date"], unique=False, schema="fact")
    op.create_index(
        "ix_findings_plate_operational_date", "findings", ["plate", "operational_date"], unique=False, schema="fact"
    )
    op.create_table(
        "fixed_cost_days",
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("contract_id", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("amount_brl", sa.Numeric(precision=14, scale=2), nullable=False, comment="Share of the day [BRL]"),
        sa.Column(
            "parameters_version", sa.Text(), nullable=False, comment="Version of the parameters that made the row"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("amount_brl >= 0", name=op.f("ck_fixed_cost_days_amount_brl")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "contract_id", name=op.f("pk_fixed_cost_days")),
        schema="fact",
        comment="Each day's share of the monthly fixed cost",
    )
    op.create_index(
        "ix_fixed_cost_days_plate_operational_date",
        "fixed_cost_days",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.create_table(
        "held_runs",
        sa.Column("declared_run_id", sa.Text(), nullable=False, comment="Run"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("declared_km", sa.Numeric(precision=12, scale=2), nullable=False, comment="What is claimed [km]"),
        sa.Column(
            "brl_at_rate",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Its km at the rate that would apply; null when none does [BRL]",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="phantom: the vehicle was watched and stood; no_trip: partly watched, no trip; no_data: not watched",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("reason IN ('phantom', 'no_trip', 'no_data')", name=op.f("ck_held_runs_reason")),
        sa.PrimaryKeyConstraint("declared_run_id", name=op.f("pk_held_runs")),
        schema="fact",
        comment="Runs that no trip is linked to: held, neither paid nor refused",
    )
    op.create_index("ix_held_runs_operational_date", "held_runs", ["operational_date"], unique=False, schema="fact")
    op.create_index(
        "ix_held_runs_plate_operational_date", "held_runs", ["plate", "operational_date"], unique=False, schema="fact"
    )
    op.create_table(
        "km_ledger",
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column(
            "odometer_delta_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Last - first reading [km]"
        ),
        sa.Column("service_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Service [km]"),
        sa.Column("deadhead_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Deadhead [km]"),
        sa.Column("maintenance_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Maintenance [km]"),
        sa.Column(
            "yard_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Yard, what the odometer counted inside stops included [km]",
        ),
        sa.Column("unknown_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Purpose unknown [km]"),
        sa.Column(
            "gap_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="What the odometer counted over gaps that split legs [km]",
        ),
        sa.Column("residual_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="What is left [km]"),
        sa.Column(
            "uncertainty_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Stated uncertainties of the day's trips and readings [km]",
        ),
        sa.Column(
            "is_balanced", sa.Boolean(), nullable=True, comment="|residual| is at most 0.01 km + the uncertainties"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.PrimaryKeyConstraint("operational_date", "plate", name=op.f("pk_km_ledger")),
        schema="fact",
        comment="Where a vehicle-day's odometer went; no data is null, not zero",
    )
    op.create_index(
        "ix_km_ledger_plate_operational_date", "km_ledger", ["plate", "operational_date"], unique=False, schema="fact"
    )
    op.create_table(
        "matches",
        sa.Column("match_id", sa.Text(), nullable=False, comment="Hash of the members"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("trip_ids", postgresql.ARRAY(sa.Text()), nullable=False, comment="Trips"),
        sa.Column("declared_run_ids", postgresql.ARRAY(sa.Text()), nullable=False, comment="Runs"),
        sa.Column("kind", sa.Text(), nullable=False, comment="Shape of the group"),
        sa.Column(
            "declared_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Sum of the runs; null without a run [km]",
        ),
        sa.Column(
            "measured_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Sum of the trips; null without a trip [km]",
        ),
        sa.Column(
            "difference_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="declared - measured; null when one side is missing [km]",
        ),
        sa.Column(
            "difference_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Difference in per cent of measured [%]",
        ),
        sa.Column("is_exceeding", sa.Boolean(), nullable=True, comment="Above the tolerance of the contract"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint(
            "kind IN ('one_to_one', 'merged', 'split', 'many', 'declared_only', 'measured_only')",
            name=op.f("ck_matches_kind"),
        ),
        sa.PrimaryKeyConstraint("match_id", name=op.f("pk_matches")),
        schema="fact",
        comment="Connected groups of trips and runs, compared as sums",
    )
    op.create_index("ix_matches_operational_date", "matches", ["operational_date"], unique=False, schema="fact")
    op.create_index(
        "ix_matches_plate_operational_date", "matches", ["plate", "operational_date"], unique=False, schema="fact"
    )
    op.create_table(
        "trip_costs",
        sa.Column("trip_id", sa.Text(), nullable=False, comment="Trip"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("contract_id", sa.Text(), nullable=True, comment="Contract"),
        sa.Column("tariff_id", sa.Text(), nullable=True, comment="Tariff that priced it"),
        sa.Column(
            "billable_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Admitted km; null without a valid contract [km]",
        ),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=True, comment="Price [BRL/km]"),
        sa.Column(
            "variable_cost_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="billable_km × rate, half-up to cents; null when it cannot be priced [BRL]",
        ),
        sa.Column("cost_status", sa.Text(), nullable=False, comment="Why it has this cost"),
        sa.Column("cost_reason", sa.Text(), nullable=True, comment="The same in one sentence (pt-BR)"),
        sa.Column(
            "parameters_version", sa.Text(), nullable=False, comment="Version of the parameters that made the row"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint(
            "cost_status IN ('priced', 'no_contract', 'no_tariff', 'ambiguous_tariff', 'not_billable')",
            name=op.f("ck_trip_costs_cost_status"),
        ),
        sa.CheckConstraint("billable_km >= 0", name=op.f("ck_trip_costs_billable_km")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_trip_costs_rate_brl_per_km")),
        sa.CheckConstraint("variable_cost_brl >= 0", name=op.f("ck_trip_costs_variable_cost_brl")),
        sa.PrimaryKeyConstraint("trip_id", name=op.f("pk_trip_costs")),
        schema="fact",
        comment="Variable cost of each trip",
    )
    op.create_index("ix_trip_costs_operational_date", "trip_costs", ["operational_date"], unique=False, schema="fact")
    op.create_table(
        "trip_scores",
        sa.Column("trip_id", sa.Text(), nullable=False, comment="Trip"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column(
            "compliance_score",
            sa.Numeric(precision=9, scale=2),
            nullable=False,
            comment="100 minus the weights of its findings, floor 0 [points]",
        ),
        sa.Column(
            "contributions",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="Start, each finding's deduction and the floor's correction: sums exactly to the score",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint(
            "compliance_score >= 0 AND compliance_score <= 100", name=op.f("ck_trip_scores_compliance_score")
        ),
        sa.PrimaryKeyConstraint("trip_id", name=op.f("pk_trip_scores")),
        schema="fact",
        comment="Compliance score of a trip",
    )
    op.create_index("ix_trip_scores_operational_date", "trip_scores", ["operational_date"], unique=False, schema="fact")
    op.create_table(
        "trips",
        sa.Column("trip_id", sa.Text(), nullable=False, comment="Hash of vehicle, device, start and source"),
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("contract_id", sa.Text(), nullable=True, comment="Contract in force on the day; empty when none is"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("device_id", sa.Text(), nullable=True, comment="Device"),
        sa.Column("driver_id", sa.Text(), nullable=True, comment="Pseudonymous driver"),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Departure [UTC]"),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="Arrival [UTC]"),
        sa.Column("origin_poi_id", sa.Text(), nullable=True, comment="Place of departure"),
        sa.Column("destination_poi_id", sa.Text(), nullable=True, comment="Place of arrival"),
        sa.Column("route_code", sa.Text(), nullable=True, comment="Route"),
        sa.Column(
            "route_method",
            sa.Text(),
            nullable=True,
            comment="How the route was found; one found by text sets no tariff",
        ),
        sa.Column("shift_code", sa.Text(), nullable=True, comment="Shift"),
        sa.Column("area", sa.Text(), nullable=True, comment="Agricultural or industrial"),
        sa.Column("area_reason", sa.Text(), nullable=True, comment="What decided the area"),
        sa.Column("purpose", sa.Text(), nullable=False, comment="Why the vehicle moved"),
        sa.Column("km_odometer", sa.Numeric(precision=12, scale=3), nullable=True, comment="By odometer [km]"),
        sa.Column(
            "km_gps", sa.Numeric(precision=12, scale=3), nullable=True, comment="By path over accepted points [km]"
        ),
        sa.Column(
            "km_measured",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Measured km, half-up to 0.01 once per trip [km]",
        ),
        sa.Column("km_method", sa.Text(), nullable=True, comment="Which measurement counts"),
        sa.Column(
            "km_uncertainty",
            sa.Numeric(precision=12, scale=3),
            nullable=True,
            comment="Half-width of the measurement [km]",
        ),
        sa.Column(
            "coverage_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Share of the trip's seconds that were observed [%]",
        ),
        sa.Column("evidence_grade", sa.Text(), nullable=False, comment="How well it is proved"),
        sa.Column("source", sa.Text(), nullable=False, comment="Which source measured it"),
        sa.Column(
            "is_end_in_gap",
            sa.Boolean(),
            nullable=False,
            comment="It ends inside a gap that splits: where it went is not known",
        ),
        sa.Column("legs", sa.BigInteger(), nullable=False, comment="Legs joined"),
        sa.Column(
            "parameters_version", sa.Text(), nullable=False, comment="Version of the parameters that made the row"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_trips_area")),
        sa.CheckConstraint(
            "area_reason IN ('destination_frente', 'destination_usina', 'origin_frente', 'origin_usina', 'default_area')",
            name=op.f("ck_trips_area_reason"),
        ),
        sa.CheckConstraint("evidence_grade IN ('A', 'B', 'C')", name=op.f("ck_trips_evidence_grade")),
        sa.CheckConstraint("km_method IN ('odometer', 'gps', 'report')", name=op.f("ck_trips_km_method")),
        sa.CheckConstraint(
            "purpose IN ('service', 'deadhead', 'maintenance', 'yard', 'unknown')", name=op.f("ck_trips_purpose")
        ),
        sa.CheckConstraint("route_method IN ('places', 'text')", name=op.f("ck_trips_route_method")),
        sa.CheckConstraint("source IN ('positions', 'visit_report')", name=op.f("ck_trips_source")),
        sa.CheckConstraint("km_measured >= 0", name=op.f("ck_trips_km_measured")),
        sa.CheckConstraint("km_uncertainty >= 0", name=op.f("ck_trips_km_uncertainty")),
        sa.CheckConstraint("legs >= 1", name=op.f("ck_trips_legs")),
        sa.PrimaryKeyConstraint("trip_id", name=op.f("pk_trips")),
        schema="fact",
        comment="Trips: legs of one vehicle joined until a place that ends a trip",
    )
    op.create_index("ix_trips_operational_date", "trips", ["operational_date"], unique=False, schema="fact")
    op.create_index(
        "ix_trips_plate_operational_date", "trips", ["plate", "operational_date"], unique=False, schema="fact"
    )
    op.create_table(
        "vehicle_day_coverage",
        sa.Column(
            "operational_date",
            sa.Date(),
            nullable=False,
            comment="Local day, in the unit's zone, on which it starts (partition)",
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column(
            "status",
            sa.Text(),
            nullable=False,
            comment="complete: seen over at least 80 % of the day; partial: less; silent: nothing arrived",
        ),
        sa.Column("observed_h", sa.DOUBLE_PRECISION(), nullable=True, comment="Hours observed [h]"),
        sa.Column("positions", sa.BigInteger(), nullable=False, comment="Positions received"),
        sa.Column("visit_legs", sa.BigInteger(), nullable=False, comment="Movements in visit reports"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("status IN ('complete', 'partial', 'silent')", name=op.f("ck_vehicle_day_coverage_status")),
        sa.CheckConstraint("observed_h >= 0", name=op.f("ck_vehicle_day_coverage_observed_h")),
        sa.PrimaryKeyConstraint("operational_date", "plate", name=op.f("pk_vehicle_day_coverage")),
        schema="fact",
        comment="What was seen of each vehicle on each day",
    )
    op.create_index(
        "ix_vehicle_day_coverage_plate_operational_date",
        "vehicle_day_coverage",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.create_table(
        "ingested_files",
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="SHA-256 of the bytes"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="Path inside the inbox"),
        sa.Column("kind", sa.Text(), nullable=False, comment="What it is"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Size [bytes]"),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="First seen [UTC]"),
        sa.Column("status", sa.Text(), nullable=False, comment="How it ended"),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Data rows read"),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False, comment="Accepted"),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False, comment="Quarantined"),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False, comment="Duplicates"),
        sa.Column("message", sa.Text(), nullable=True, comment="One sentence; what to do when it was not accepted"),
        sa.Column("first_date", sa.Date(), nullable=True, comment="First local day that its rows touch"),
        sa.Column("last_date", sa.Date(), nullable=True, comment="Last local day that its rows touch"),
        sa.Column("archive_path", sa.Text(), nullable=True, comment="Where its bytes are, inside the lake"),
        sa.Column("run_id", sa.Text(), nullable=True, comment="Run that read it"),
        sa.CheckConstraint(
            "kind IN ('reference', 'visit_report', 'bulletin', 'telemetry')", name=op.f("ck_ingested_files_kind")
        ),
        sa.CheckConstraint(
            "status IN ('accepted', 'partial', 'rejected', 'duplicate')", name=op.f("ck_ingested_files_status")
        ),
        sa.PrimaryKeyConstraint("file_sha256", "file_name", name=op.f("pk_ingested_files")),
        schema="ops",
        comment="Every file that arrived, one row per name and content",
    )
    op.create_table(
        "parameter_versions",
        sa.Column("parameters_version", sa.Text(), nullable=False, comment="Hash of all names and values in force"),
        sa.Column("name", sa.Text(), nullable=False, comment="Parameter"),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=False, comment="Value"),
        sa.Column("unit", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("origin", sa.Text(), nullable=False, comment="default, or the dated row that changed it"),
        sa.PrimaryKeyConstraint("parameters_version", "name", name=op.f("pk_parameter_versions")),
        schema="ops",
        comment="The parameters that a version stands for",
    )
    op.create_table(
        "rejected_rows",
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="File or page"),
        sa.Column("row_number", sa.BigInteger(), nullable=False, comment="Row"),
        sa.Column("reason_code", sa.Text(), nullable=False, comment="Stable code"),
        sa.Column("source_kind", sa.Text(), nullable=False, comment="Kind of the source"),
        sa.Column("file_name", sa.Text(), nullable=True, comment="Its name"),
        sa.Column("reason", sa.Text(), nullable=False, comment="One sentence: what is wrong and what to do"),
        sa.Column("raw", sa.Text(), nullable=False, comment="The row as received"),
        sa.Column("run_id", sa.Text(), nullable=True, comment="Run"),
        sa.PrimaryKeyConstraint("file_sha256", "row_number", "reason_code", name=op.f("pk_rejected_rows")),
        schema="ops",
        comment="Rows in quarantine, as received",
    )
    op.create_table(
        "stage_counts",
        sa.Column("partition_date", sa.Date(), nullable=False, comment="Day"),
        sa.Column("stage", sa.Text(), nullable=False, comment="Stage"),
        sa.Column("source", sa.Text(), nullable=False, comment="Source within the stage"),
        sa.Column("rows_read", sa.BigInteger(), nullable=False, comment="Read"),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False, comment="Accepted"),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False, comment="Quarantined"),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False, comment="Duplicates"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run"),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When [UTC]"),
        sa.PrimaryKeyConstraint("partition_date", "stage", "source", name=op.f("pk_stage_counts")),
        schema="ops",
        comment="Rows in and out of each stage, per partition: they reconcile",
    )
    op.create_table(
        "calendar",
        sa.Column("date", sa.Date(), nullable=False, comment="Day"),
        sa.Column("unit_code", sa.Text(), nullable=False, comment="Unit"),
        sa.Column("day_type", sa.Text(), nullable=False, comment="Kind of day"),
        sa.CheckConstraint("day_type IN ('util', 'sabado', 'domingo', 'feriado')", name=op.f("ck_calendar_day_type")),
        sa.PrimaryKeyConstraint("date", "unit_code", name=op.f("pk_calendar")),
        schema="ref",
        comment="Kind of day per unit",
    )
    op.create_table(
        "carriers",
        sa.Column("carrier_code", sa.Text(), nullable=False, comment="Carrier"),
        sa.Column("name", sa.Text(), nullable=True, comment="Company name"),
        sa.PrimaryKeyConstraint("carrier_code", name=op.f("pk_carriers")),
        schema="ref",
        comment="Transport companies",
    )
    op.create_table(
        "contracts",
        sa.Column("contract_id", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("carrier_code", sa.Text(), nullable=False, comment="Carrier"),
        sa.Column("unit_code", sa.Text(), nullable=False, comment="Unit"),
        sa.Column("kind", sa.Text(), nullable=True, comment="Standing contract or spot"),
        sa.Column(
            "deadhead_rule", sa.Text(), nullable=True, comment="How empty runs are paid; empty is read as unpaid"
        ),
        sa.Column(
            "deadhead_cap_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Share of the vehicle-day's service km up to which deadhead is paid [%]",
        ),
        sa.Column(
            "trip_tolerance_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Tolerated divergence of one matched group [%]",
        ),
        sa.Column(
            "trip_tolerance_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Tolerated divergence of one matched group [km]",
        ),
        sa.Column(
            "day_tolerance_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Tolerated divergence of a vehicle-day [%]",
        ),
        sa.Column(
            "cycle_tolerance_pct",
            sa.Numeric(precision=9, scale=2),
            nullable=True,
            comment="Tolerated divergence of a vehicle-cycle [%]",
        ),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.CheckConstraint("deadhead_rule IN ('unpaid', 'paid', 'capped')", name=op.f("ck_contracts_deadhead_rule")),
        sa.CheckConstraint("kind IN ('contrato', 'spot')", name=op.f("ck_contracts_kind")),
        sa.UniqueConstraint("contract_id", "valid_from", name=op.f("uq_contracts"), postgresql_nulls_not_distinct=True),
        schema="ref",
        comment="Contracts between the group and a carrier, with their tolerances",
    )
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text(), nullable=False, comment="Device"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.UniqueConstraint(
            "device_id", "plate", "valid_from", name=op.f("uq_devices"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
        comment="Which telematics device sits in which vehicle, changing at local midnight",
    )
    op.create_table(
        "drivers",
        sa.Column("driver_id", sa.Text(), nullable=False, comment="Pseudonymous driver"),
        sa.Column("name", sa.Text(), nullable=True, comment="Name as a source gives it"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("is_maintenance", sa.Boolean(), nullable=True, comment="Drives for maintenance only"),
        sa.PrimaryKeyConstraint("driver_id", name=op.f("pk_drivers")),
        schema="ref",
        comment="The only table with drivers' names (personal data)",
    )
    op.create_table(
        "exceptions",
        sa.Column("exception_id", sa.Text(), nullable=False, comment="Exception"),
        sa.Column("rule_id", sa.Text(), nullable=True, comment="Rule; empty = any"),
        sa.Column("plate", sa.Text(), nullable=True, comment="Vehicle; empty = any"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier; empty = any"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit; empty = any"),
        sa.Column("route_code", sa.Text(), nullable=True, comment="Route; empty = any"),
        sa.Column("date_from", sa.Date(), nullable=True, comment="First day"),
        sa.Column("date_to", sa.Date(), nullable=True, comment="Last day"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why"),
        sa.Column("approved_by", sa.Text(), nullable=False, comment="Who approved it"),
        sa.PrimaryKeyConstraint("exception_id", name=op.f("pk_exceptions")),
        schema="ref",
        comment="Approved exceptions: they mark a finding, they never hide it",
    )
    op.create_table(
        "fixed_costs",
        sa.Column("contract_id", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column(
            "amount_brl_per_month",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="Amount for a whole cycle [BRL]",
        ),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.CheckConstraint("amount_brl_per_month >= 0", name=op.f("ck_fixed_costs_amount_brl_per_month")),
        sa.UniqueConstraint(
            "contract_id", "plate", "valid_from", name=op.f("uq_fixed_costs"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
        comment="Monthly fixed amount of a vehicle",
    )
    op.create_table(
        "invoices",
        sa.Column("contract_id", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="First day of the cycle"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("vehicle_class", sa.Text(), nullable=True, comment="Class that was billed"),
        sa.Column("billed_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Billed km [km]"),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=True, comment="Billed price [BRL/km]"),
        sa.Column(
            "variable_brl", sa.Numeric(precision=14, scale=2), nullable=True, comment="Billed variable cost [BRL]"
        ),
        sa.Column("fixed_brl", sa.Numeric(precision=14, scale=2), nullable=True, comment="Billed fixed cost [BRL]"),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_invoices_vehicle_class")),
        sa.CheckConstraint("billed_km >= 0", name=op.f("ck_invoices_billed_km")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_invoices_rate_brl_per_km")),
        sa.UniqueConstraint(
            "contract_id",
            "cycle_start",
            "plate",
            "vehicle_class",
            name=op.f("uq_invoices"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="ref",
        comment="What a carrier billed, line by line",
    )
    op.create_table(
        "km_plan",
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="First day of the cycle"),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("route_code", sa.Text(), nullable=True, comment="Route"),
        sa.Column(
            "planned_km",
            sa.Numeric(precision=12, scale=2),
            nullable=False,
            comment="Planned km of the whole cycle [km]",
        ),
        sa.Column("planned_trips", sa.BigInteger(), nullable=True, comment="Planned trips of the whole cycle"),
        sa.Column("weekdays", sa.Text(), nullable=True, comment="ISO weekdays on which it runs"),
        sa.CheckConstraint("planned_km >= 0", name=op.f("ck_km_plan_planned_km")),
        sa.CheckConstraint("planned_trips >= 0", name=op.f("ck_km_plan_planned_trips")),
        sa.UniqueConstraint(
            "cycle_start", "plate", "route_code", name=op.f("uq_km_plan"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
        comment="Planned km and trips of a vehicle on a route in a cycle",
    )
    op.create_table(
        "parameters",
        sa.Column("name", sa.Text(), nullable=False, comment="Parameter, as listed in docs/parameters.md"),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=False, comment="Value in the parameter's own unit"),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.UniqueConstraint("name", "valid_from", name=op.f("uq_parameters"), postgresql_nulls_not_distinct=True),
        schema="ref",
        comment="Deviations from the default parameters of the rules, dated (optional file)",
    )
    op.create_table(
        "pois",
        sa.Column("poi_id", sa.Text(), nullable=False, comment="Place"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("name", sa.Text(), nullable=True, comment="Name that people use"),
        sa.Column("kind", sa.Text(), nullable=False, comment="What happens there"),
        sa.Column("latitude", sa.DOUBLE_PRECISION(), nullable=True, comment="Centre, WGS 84 [°]"),
        sa.Column("longitude", sa.DOUBLE_PRECISION(), nullable=True, comment="Centre, WGS 84 [°]"),
        sa.Column("radius_m", sa.DOUBLE_PRECISION(), nullable=True, comment="Radius of the circle [m]"),
        sa.Column("polygon_wkt", sa.Text(), nullable=True, comment="Outline, WGS 84; wins over the circle"),
        sa.Column("address_pattern", sa.Text(), nullable=True, comment="Part of an address, case and accents ignored"),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.CheckConstraint(
            "kind IN ('usina', 'frente', 'garagem', 'alojamento', 'ponto', 'oficina', 'posto')",
            name=op.f("ck_pois_kind"),
        ),
        sa.CheckConstraint("latitude >= -90 AND latitude <= 90", name=op.f("ck_pois_latitude")),
        sa.CheckConstraint("longitude >= -180 AND longitude <= 180", name=op.f("ck_pois_longitude")),
        sa.CheckConstraint("radius_m >= 0", name=op.f("ck_pois_radius_m")),
        sa.UniqueConstraint("poi_id", "valid_from", name=op.f("uq_pois"), postgresql_nulls_not_distinct=True),
        schema="ref",
        comment="Places (points of interest): circle, polygon or address pattern, dated",
    )
    op.create_table(
        "routes",
        sa.Column("route_code", sa.Text(), nullable=False, comment="Route"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("name", sa.Text(), nullable=True, comment="Name"),
        sa.Column("area", sa.Text(), nullable=True, comment="Agricultural or industrial"),
        sa.Column("regime", sa.Text(), nullable=True, comment="Within one municipality or not"),
        sa.Column("origin_poi_id", sa.Text(), nullable=True, comment="Place where it starts"),
        sa.Column("destination_poi_id", sa.Text(), nullable=True, comment="Place where it ends"),
        sa.Column("expected_km", sa.Numeric(precision=12, scale=2), nullable=True, comment="Length [km]"),
        sa.Column("keywords", sa.Text(), nullable=True, comment="Words that name it, separated by ;"),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_routes_area")),
        sa.CheckConstraint("regime IN ('municipal', 'intermunicipal')", name=op.f("ck_routes_regime")),
        sa.CheckConstraint("expected_km >= 0", name=op.f("ck_routes_expected_km")),
        sa.PrimaryKeyConstraint("route_code", name=op.f("pk_routes")),
        schema="ref",
        comment="Contracted routes",
    )
    op.create_table(
        "shifts",
        sa.Column("unit_code", sa.Text(), nullable=False, comment="Unit"),
        sa.Column("shift_code", sa.Text(), nullable=False, comment="Shift"),
        sa.Column("start_local", sa.Text(), nullable=False, comment="Start, HH:MM"),
        sa.Column("end_local", sa.Text(), nullable=False, comment="End, HH:MM; may be past midnight"),
        sa.Column("weekdays", sa.Text(), nullable=True, comment="ISO weekdays, e.g. 1-5 or 1,3,5"),
        sa.Column(
            "tolerance_min", sa.BigInteger(), nullable=True, comment="How far from a start or end a trip may lie [min]"
        ),
        sa.CheckConstraint("tolerance_min >= 0", name=op.f("ck_shifts_tolerance_min")),
        sa.UniqueConstraint(
            "unit_code",
            "shift_code",
            "start_local",
            "weekdays",
            name=op.f("uq_shifts"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="ref",
        comment="Work shifts of a unit",
    )
    op.create_table(
        "tariffs",
        sa.Column("tariff_id", sa.Text(), nullable=False, comment="Tariff"),
        sa.Column("contract_id", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("route_code", sa.Text(), nullable=True, comment="Route; empty = any"),
        sa.Column("vehicle_class", sa.Text(), nullable=True, comment="Class; empty = any"),
        sa.Column("area", sa.Text(), nullable=True, comment="Area; empty = any"),
        sa.Column("regime", sa.Text(), nullable=True, comment="Regime; empty = any"),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=False, comment="Price [BRL/km]"),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_tariffs_area")),
        sa.CheckConstraint("regime IN ('municipal', 'intermunicipal')", name=op.f("ck_tariffs_regime")),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_tariffs_vehicle_class")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_tariffs_rate_brl_per_km")),
        sa.UniqueConstraint("tariff_id", "valid_from", name=op.f("uq_tariffs"), postgresql_nulls_not_distinct=True),
        schema="ref",
        comment="Price of a variable kilometre; an empty key column means any",
    )
    op.create_table(
        "units",
        sa.Column("unit_code", sa.Text(), nullable=False, comment="Unit"),
        sa.Column("name", sa.Text(), nullable=True, comment="Name that people use"),
        sa.Column("timezone", sa.Text(), nullable=False, comment="IANA time zone of its operational day"),
        sa.Column("cost_center", sa.Text(), nullable=True, comment="Cost centre that its costs are booked on"),
        sa.PrimaryKeyConstraint("unit_code", name=op.f("pk_units")),
        schema="ref",
        comment="Mills, each with its own time zone",
    )
    op.create_table(
        "vehicles",
        sa.Column("plate", sa.Text(), nullable=False, comment="Plate, upper case, without separators"),
        sa.Column("fleet_number", sa.Text(), nullable=True, comment="The carrier's own number"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column(
            "unit_code", sa.Text(), nullable=False, comment="Unit that it serves; gives the time zone of its day"
        ),
        sa.Column("contract_id", sa.Text(), nullable=True, comment="Contract"),
        sa.Column("vehicle_class", sa.Text(), nullable=True, comment="Class that the tariff depends on"),
        sa.Column("default_area", sa.Text(), nullable=True, comment="Area where no workplace names it"),
        sa.Column("seats", sa.BigInteger(), nullable=True, comment="Seats"),
        sa.Column("status", sa.Text(), nullable=True, comment="In regular use or in reserve"),
        sa.Column("titular_plate", sa.Text(), nullable=True, comment="Vehicle that a reserve replaces"),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.CheckConstraint("default_area IN ('AGR', 'IND')", name=op.f("ck_vehicles_default_area")),
        sa.CheckConstraint("status IN ('ativo', 'reserva')", name=op.f("ck_vehicles_status")),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_vehicles_vehicle_class")),
        sa.CheckConstraint("seats >= 0", name=op.f("ck_vehicles_seats")),
        sa.UniqueConstraint("plate", "valid_from", name=op.f("uq_vehicles"), postgresql_nulls_not_distinct=True),
        schema="ref",
        comment="Vehicles and the contract each works under; several dated rows are possible",
    )


def downgrade() -> None:
    for schema in ("mart", "fact", "ref"):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
    for table in ("ingested_files", "parameter_versions", "rejected_rows", "stage_counts"):
        op.execute(f"DROP TABLE ops.{table}")

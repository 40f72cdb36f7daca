"""Create the schemas and all tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_first_tables"
down_revision = None


def upgrade() -> None:
    for schema in ("ref", "ops", "fact", "mart"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.create_table(
        "declared_runs",
        sa.Column("declared_run_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("bulletin_number", sa.Text(), nullable=True),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("declared_date", sa.Date(), nullable=False),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("odometer_start_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("odometer_end_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("route_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("declared_km", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("passengers", sa.BigInteger(), nullable=True),
        sa.Column("origin_text", sa.Text(), nullable=True),
        sa.Column("destination_text", sa.Text(), nullable=True),
        sa.Column("shift_code", sa.Text(), nullable=True),
        sa.Column("is_date_repaired", sa.Boolean(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("declared_run_id", name=op.f("pk_declared_runs")),
        schema="fact",
    )
    op.create_index("ix_declared_runs_operational_date", "declared_runs", ["operational_date"], schema="fact")
    op.create_index(
        "ix_declared_runs_plate_operational_date", "declared_runs", ["plate", "operational_date"], schema="fact"
    )
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=True),
        sa.Column("driver_id", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("trip_id", sa.Text(), nullable=True),
        sa.Column("declared_run_id", sa.Text(), nullable=True),
        sa.Column("km_at_stake", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("brl_at_stake", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("confidence", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("exception_id", sa.Text(), nullable=True),
        sa.Column("explanation_pt", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("severity IN ('C', 'H', 'M', 'L')", name=op.f("ck_findings_severity")),
        sa.CheckConstraint("status IN ('open', 'excepted')", name=op.f("ck_findings_status")),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name=op.f("ck_findings_confidence")),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_findings")),
        schema="fact",
    )
    op.create_index("ix_findings_operational_date", "findings", ["operational_date"], schema="fact")
    op.create_index("ix_findings_plate_operational_date", "findings", ["plate", "operational_date"], schema="fact")
    op.create_table(
        "fixed_cost_days",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("amount_brl", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("parameters_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("amount_brl >= 0", name=op.f("ck_fixed_cost_days_amount_brl")),
        sa.PrimaryKeyConstraint("operational_date", "plate", "contract_id", name=op.f("pk_fixed_cost_days")),
        schema="fact",
    )
    op.create_index(
        "ix_fixed_cost_days_plate_operational_date", "fixed_cost_days", ["plate", "operational_date"], schema="fact"
    )
    op.create_table(
        "held_runs",
        sa.Column("declared_run_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("declared_km", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("brl_at_rate", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("reason IN ('phantom', 'no_trip', 'no_data')", name=op.f("ck_held_runs_reason")),
        sa.PrimaryKeyConstraint("declared_run_id", name=op.f("pk_held_runs")),
        schema="fact",
    )
    op.create_index("ix_held_runs_operational_date", "held_runs", ["operational_date"], schema="fact")
    op.create_index("ix_held_runs_plate_operational_date", "held_runs", ["plate", "operational_date"], schema="fact")
    op.create_table(
        "km_ledger",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("odometer_delta_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("service_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("deadhead_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("maintenance_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("yard_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("unknown_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("gap_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("residual_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("uncertainty_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("is_balanced", sa.Boolean(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operational_date", "plate", name=op.f("pk_km_ledger")),
        schema="fact",
    )
    op.create_index("ix_km_ledger_plate_operational_date", "km_ledger", ["plate", "operational_date"], schema="fact")
    op.create_table(
        "matches",
        sa.Column("match_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("trip_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("declared_run_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("declared_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("measured_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("difference_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("difference_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("is_exceeding", sa.Boolean(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('one_to_one', 'merged', 'split', 'many', 'declared_only', 'measured_only')",
            name=op.f("ck_matches_kind"),
        ),
        sa.PrimaryKeyConstraint("match_id", name=op.f("pk_matches")),
        schema="fact",
    )
    op.create_index("ix_matches_operational_date", "matches", ["operational_date"], schema="fact")
    op.create_index("ix_matches_plate_operational_date", "matches", ["plate", "operational_date"], schema="fact")
    op.create_table(
        "trip_costs",
        sa.Column("trip_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("tariff_id", sa.Text(), nullable=True),
        sa.Column("billable_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("variable_cost_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("cost_status", sa.Text(), nullable=False),
        sa.Column("cost_reason", sa.Text(), nullable=True),
        sa.Column("parameters_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "cost_status IN ('priced', 'no_contract', 'no_tariff', 'ambiguous_tariff', 'not_billable')",
            name=op.f("ck_trip_costs_cost_status"),
        ),
        sa.CheckConstraint("billable_km >= 0", name=op.f("ck_trip_costs_billable_km")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_trip_costs_rate_brl_per_km")),
        sa.CheckConstraint("variable_cost_brl >= 0", name=op.f("ck_trip_costs_variable_cost_brl")),
        sa.PrimaryKeyConstraint("trip_id", name=op.f("pk_trip_costs")),
        schema="fact",
    )
    op.create_index("ix_trip_costs_operational_date", "trip_costs", ["operational_date"], schema="fact")
    op.create_table(
        "trip_scores",
        sa.Column("trip_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("compliance_score", sa.Numeric(precision=9, scale=2), nullable=False),
        sa.Column("contributions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "compliance_score >= 0 AND compliance_score <= 100", name=op.f("ck_trip_scores_compliance_score")
        ),
        sa.PrimaryKeyConstraint("trip_id", name=op.f("pk_trip_scores")),
        schema="fact",
    )
    op.create_index("ix_trip_scores_operational_date", "trip_scores", ["operational_date"], schema="fact")
    op.create_table(
        "trips",
        sa.Column("trip_id", sa.Text(), nullable=False),
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("driver_id", sa.Text(), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("origin_poi_id", sa.Text(), nullable=True),
        sa.Column("destination_poi_id", sa.Text(), nullable=True),
        sa.Column("route_code", sa.Text(), nullable=True),
        sa.Column("route_method", sa.Text(), nullable=True),
        sa.Column("shift_code", sa.Text(), nullable=True),
        sa.Column("area", sa.Text(), nullable=True),
        sa.Column("area_reason", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("km_odometer", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("km_gps", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("km_measured", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("km_method", sa.Text(), nullable=True),
        sa.Column("km_uncertainty", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("coverage_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("evidence_grade", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("is_end_in_gap", sa.Boolean(), nullable=False),
        sa.Column("legs", sa.BigInteger(), nullable=False),
        sa.Column("parameters_version", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_trips_area")),
        sa.CheckConstraint(
            "area_reason IN ('destination_frente', 'destination_usina', 'origin_frente', 'origin_usina', "
            "'default_area')",
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
    )
    op.create_index("ix_trips_operational_date", "trips", ["operational_date"], schema="fact")
    op.create_index("ix_trips_plate_operational_date", "trips", ["plate", "operational_date"], schema="fact")
    op.create_table(
        "vehicle_day_coverage",
        sa.Column("operational_date", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("observed_h", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("visit_legs", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('complete', 'partial', 'silent')", name=op.f("ck_vehicle_day_coverage_status")),
        sa.CheckConstraint("observed_h >= 0", name=op.f("ck_vehicle_day_coverage_observed_h")),
        sa.PrimaryKeyConstraint("operational_date", "plate", name=op.f("pk_vehicle_day_coverage")),
        schema="fact",
    )
    op.create_index(
        "ix_vehicle_day_coverage_plate_operational_date",
        "vehicle_day_coverage",
        ["plate", "operational_date"],
        schema="fact",
    )
    op.create_table(
        "ingested_files",
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("first_date", sa.Date(), nullable=True),
        sa.Column("last_date", sa.Date(), nullable=True),
        sa.Column("archive_path", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('reference', 'visit_report', 'bulletin', 'telemetry')", name=op.f("ck_ingested_files_kind")
        ),
        sa.CheckConstraint(
            "status IN ('accepted', 'partial', 'rejected', 'duplicate')", name=op.f("ck_ingested_files_status")
        ),
        sa.PrimaryKeyConstraint("file_sha256", "file_name", name=op.f("pk_ingested_files")),
        schema="ops",
    )
    op.create_table(
        "parameter_versions",
        sa.Column("parameters_version", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("parameters_version", "name", name=op.f("pk_parameter_versions")),
        schema="ops",
    )
    op.create_table(
        "rejected_rows",
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("file_sha256", "row_number", "reason_code", name=op.f("pk_rejected_rows")),
        schema="ops",
    )
    op.create_table(
        "stage_counts",
        sa.Column("partition_date", sa.Date(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("rows_duplicate", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partition_date", "stage", "source", name=op.f("pk_stage_counts")),
        schema="ops",
    )
    op.create_table(
        "calendar",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("day_type", sa.Text(), nullable=False),
        sa.CheckConstraint("day_type IN ('util', 'sabado', 'domingo', 'feriado')", name=op.f("ck_calendar_day_type")),
        sa.PrimaryKeyConstraint("date", "unit_code", name=op.f("pk_calendar")),
        schema="ref",
    )
    op.create_table(
        "carriers",
        sa.Column("carrier_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("carrier_code", name=op.f("pk_carriers")),
        schema="ref",
    )
    op.create_table(
        "contracts",
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("carrier_code", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("deadhead_rule", sa.Text(), nullable=True),
        sa.Column("deadhead_cap_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("trip_tolerance_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("trip_tolerance_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("day_tolerance_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("cycle_tolerance_pct", sa.Numeric(precision=9, scale=2), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("deadhead_rule IN ('unpaid', 'paid', 'capped')", name=op.f("ck_contracts_deadhead_rule")),
        sa.CheckConstraint("kind IN ('contrato', 'spot')", name=op.f("ck_contracts_kind")),
        sa.UniqueConstraint("contract_id", "valid_from", name=op.f("uq_contracts"), postgresql_nulls_not_distinct=True),
        schema="ref",
    )
    op.create_table(
        "devices",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.UniqueConstraint(
            "device_id", "plate", "valid_from", name=op.f("uq_devices"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
    )
    op.create_table(
        "drivers",
        sa.Column("driver_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("is_maintenance", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("driver_id", name=op.f("pk_drivers")),
        schema="ref",
    )
    op.create_table(
        "exceptions",
        sa.Column("exception_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("plate", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("route_code", sa.Text(), nullable=True),
        sa.Column("date_from", sa.Date(), nullable=True),
        sa.Column("date_to", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("exception_id", name=op.f("pk_exceptions")),
        schema="ref",
    )
    op.create_table(
        "fixed_costs",
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("amount_brl_per_month", sa.Numeric(precision=14, scale=2), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("amount_brl_per_month >= 0", name=op.f("ck_fixed_costs_amount_brl_per_month")),
        sa.UniqueConstraint(
            "contract_id", "plate", "valid_from", name=op.f("uq_fixed_costs"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
    )
    op.create_table(
        "invoices",
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("vehicle_class", sa.Text(), nullable=True),
        sa.Column("billed_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=True),
        sa.Column("variable_brl", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("fixed_brl", sa.Numeric(precision=14, scale=2), nullable=True),
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
    )
    op.create_table(
        "km_plan",
        sa.Column("cycle_start", sa.Date(), nullable=False),
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("route_code", sa.Text(), nullable=True),
        sa.Column("planned_km", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("planned_trips", sa.BigInteger(), nullable=True),
        sa.Column("weekdays", sa.Text(), nullable=True),
        sa.CheckConstraint("planned_km >= 0", name=op.f("ck_km_plan_planned_km")),
        sa.CheckConstraint("planned_trips >= 0", name=op.f("ck_km_plan_planned_trips")),
        sa.UniqueConstraint(
            "cycle_start", "plate", "route_code", name=op.f("uq_km_plan"), postgresql_nulls_not_distinct=True
        ),
        schema="ref",
    )
    op.create_table(
        "parameters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.DOUBLE_PRECISION(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.UniqueConstraint("name", "valid_from", name=op.f("uq_parameters"), postgresql_nulls_not_distinct=True),
        schema="ref",
    )
    op.create_table(
        "pois",
        sa.Column("poi_id", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("latitude", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("longitude", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("radius_m", sa.DOUBLE_PRECISION(), nullable=True),
        sa.Column("polygon_wkt", sa.Text(), nullable=True),
        sa.Column("address_pattern", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('usina', 'frente', 'garagem', 'alojamento', 'ponto', 'oficina', 'posto')",
            name=op.f("ck_pois_kind"),
        ),
        sa.CheckConstraint("latitude >= -90 AND latitude <= 90", name=op.f("ck_pois_latitude")),
        sa.CheckConstraint("longitude >= -180 AND longitude <= 180", name=op.f("ck_pois_longitude")),
        sa.CheckConstraint("radius_m >= 0", name=op.f("ck_pois_radius_m")),
        sa.UniqueConstraint("poi_id", "valid_from", name=op.f("uq_pois"), postgresql_nulls_not_distinct=True),
        schema="ref",
    )
    op.create_table(
        "routes",
        sa.Column("route_code", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("area", sa.Text(), nullable=True),
        sa.Column("regime", sa.Text(), nullable=True),
        sa.Column("origin_poi_id", sa.Text(), nullable=True),
        sa.Column("destination_poi_id", sa.Text(), nullable=True),
        sa.Column("expected_km", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("keywords", sa.Text(), nullable=True),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_routes_area")),
        sa.CheckConstraint("regime IN ('municipal', 'intermunicipal')", name=op.f("ck_routes_regime")),
        sa.CheckConstraint("expected_km >= 0", name=op.f("ck_routes_expected_km")),
        sa.PrimaryKeyConstraint("route_code", name=op.f("pk_routes")),
        schema="ref",
    )
    op.create_table(
        "shifts",
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("shift_code", sa.Text(), nullable=False),
        sa.Column("start_local", sa.Text(), nullable=False),
        sa.Column("end_local", sa.Text(), nullable=False),
        sa.Column("weekdays", sa.Text(), nullable=True),
        sa.Column("tolerance_min", sa.BigInteger(), nullable=True),
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
    )
    op.create_table(
        "tariffs",
        sa.Column("tariff_id", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=False),
        sa.Column("route_code", sa.Text(), nullable=True),
        sa.Column("vehicle_class", sa.Text(), nullable=True),
        sa.Column("area", sa.Text(), nullable=True),
        sa.Column("regime", sa.Text(), nullable=True),
        sa.Column("rate_brl_per_km", sa.Numeric(precision=12, scale=4), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("area IN ('AGR', 'IND')", name=op.f("ck_tariffs_area")),
        sa.CheckConstraint("regime IN ('municipal', 'intermunicipal')", name=op.f("ck_tariffs_regime")),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_tariffs_vehicle_class")),
        sa.CheckConstraint("rate_brl_per_km >= 0", name=op.f("ck_tariffs_rate_brl_per_km")),
        sa.UniqueConstraint("tariff_id", "valid_from", name=op.f("uq_tariffs"), postgresql_nulls_not_distinct=True),
        schema="ref",
    )
    op.create_table(
        "units",
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("cost_center", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("unit_code", name=op.f("pk_units")),
        schema="ref",
    )
    op.create_table(
        "vehicles",
        sa.Column("plate", sa.Text(), nullable=False),
        sa.Column("fleet_number", sa.Text(), nullable=True),
        sa.Column("carrier_code", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("vehicle_class", sa.Text(), nullable=True),
        sa.Column("default_area", sa.Text(), nullable=True),
        sa.Column("seats", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("titular_plate", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("default_area IN ('AGR', 'IND')", name=op.f("ck_vehicles_default_area")),
        sa.CheckConstraint("status IN ('ativo', 'reserva')", name=op.f("ck_vehicles_status")),
        sa.CheckConstraint("vehicle_class IN ('onibus', 'micro', 'van')", name=op.f("ck_vehicles_vehicle_class")),
        sa.CheckConstraint("seats >= 0", name=op.f("ck_vehicles_seats")),
        sa.UniqueConstraint("plate", "valid_from", name=op.f("uq_vehicles"), postgresql_nulls_not_distinct=True),
        schema="ref",
    )

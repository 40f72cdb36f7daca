"""Create the tables of closing, adjustments and the reference's history."""
# ruff: noqa: E501 (descriptions are not wrapped)

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_closing"
down_revision = "0002_device_health"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adjustments",
        sa.Column("adjustment_id", sa.Text(), nullable=False, comment="Hash of the billing cycle and the line"),
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Closed day that it is about (partition)"),
        sa.Column(
            "billed_cycle_start",
            sa.Date(),
            nullable=False,
            comment="Cycle that bills it: the first after the closed one that is not final",
        ),
        sa.Column("origin_cycle_start", sa.Date(), nullable=False, comment="Closed cycle that the day belongs to"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="trip: variable cost of a trip; fixed: a vehicle-day's share"
        ),
        sa.Column("plate", sa.Text(), nullable=False, comment="Vehicle"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier"),
        sa.Column("unit_code", sa.Text(), nullable=True, comment="Unit"),
        sa.Column("contract_id", sa.Text(), nullable=True, comment="Contract"),
        sa.Column("trip_id", sa.Text(), nullable=True, comment="Trip; empty for a fixed share"),
        sa.Column(
            "km_closed",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Billed until now, earlier adjustments included; null: nothing was [km]",
        ),
        sa.Column(
            "km_now",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Admitted with what is known now; null: unknown, or the trip does not exist [km]",
        ),
        sa.Column(
            "difference_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="To be billed, may be negative; null: a person must decide [km]",
        ),
        sa.Column(
            "brl_closed",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Billed until now, earlier adjustments included; null: nothing was [BRL]",
        ),
        sa.Column(
            "brl_now",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="What is known now; null: it has no price, or the line does not exist [BRL]",
        ),
        sa.Column(
            "difference_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="To be billed, may be negative; null: a person must decide [BRL]",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why, one sentence (pt-BR)"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Dagster run that wrote the row"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.CheckConstraint("kind IN ('trip', 'fixed')", name=op.f("ck_adjustments_kind")),
        sa.PrimaryKeyConstraint("adjustment_id", name=op.f("pk_adjustments")),
        schema="fact",
        comment="What a closed day would be now minus what was billed of it, line by line; an open cycle bills the difference",
    )
    op.create_index("ix_adjustments_operational_date", "adjustments", ["operational_date"], unique=False, schema="fact")
    op.create_index(
        "ix_adjustments_plate_operational_date",
        "adjustments",
        ["plate", "operational_date"],
        unique=False,
        schema="fact",
    )
    op.create_table(
        "cycle_closes",
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="First day of the cycle"),
        sa.Column("cycle_end", sa.Date(), nullable=False, comment="Last day of the cycle"),
        sa.Column("status", sa.Text(), nullable=False, comment="provisional: it may change; final: frozen"),
        sa.Column("closed_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When [UTC]"),
        sa.Column("manifest_sha256", sa.Text(), nullable=False, comment="SHA-256 of the manifest's bytes"),
        sa.Column("manifest_path", sa.Text(), nullable=False, comment="Where the manifest is, inside the lake"),
        sa.Column(
            "code_version", sa.Text(), nullable=False, comment="Version of the package and hash of its code and SQL"
        ),
        sa.Column(
            "parameters_version",
            sa.Text(),
            nullable=False,
            comment="Version of the parameters in force on the last day",
        ),
        sa.Column(
            "total_km",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Billable km; null: no day has any [km]",
        ),
        sa.Column(
            "total_variable_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Variable cost; null: no trip has a price [BRL]",
        ),
        sa.Column(
            "total_fixed_brl",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Fixed cost; null: no vehicle has any [BRL]",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that closed it"),
        sa.CheckConstraint("status IN ('provisional', 'final')", name=op.f("ck_cycle_closes_status")),
        sa.PrimaryKeyConstraint("cycle_start", "status", name=op.f("pk_cycle_closes")),
        schema="ops",
        comment="Closed cycles: a final one is frozen, its rows in `fact` never change again",
    )
    op.create_table(
        "reference_changes",
        sa.Column("change_id", sa.Text(), nullable=False, comment="Hash of table, content before and content after"),
        sa.Column("cycle_start", sa.Date(), nullable=False, comment="Open cycle that it touches"),
        sa.Column(
            "finding_date",
            sa.Date(),
            nullable=False,
            comment="Last computed day of the cycle that it touches: the day of its finding",
        ),
        sa.Column("table_name", sa.Text(), nullable=False, comment="Table of `ref`"),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the file was received [UTC]",
        ),
        sa.Column("first_date", sa.Date(), nullable=False, comment="First computed day that it touches"),
        sa.Column("last_date", sa.Date(), nullable=False, comment="Last computed day that it touches"),
        sa.Column("rows_added", sa.BigInteger(), nullable=False, comment="Rows added or changed"),
        sa.Column("rows_removed", sa.BigInteger(), nullable=False, comment="Rows that are gone or were said otherwise"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="File that brought it"),
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="Its content"),
        sa.Column("previous_sha256", sa.Text(), nullable=False, comment="Content that was in force before"),
        sa.Column(
            "changes",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The first rows removed and added",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that published it"),
        sa.CheckConstraint("rows_added >= 0", name=op.f("ck_reference_changes_rows_added")),
        sa.CheckConstraint("rows_removed >= 0", name=op.f("ck_reference_changes_rows_removed")),
        sa.PrimaryKeyConstraint("change_id", "cycle_start", name=op.f("pk_reference_changes")),
        schema="ops",
        comment="Reference data that changed inside an open cycle: one row a delivery and cycle that it touches (Q04)",
    )
    op.create_table(
        "reference_deltas",
        sa.Column(
            "change_run_id",
            sa.Text(),
            nullable=False,
            comment="Run that published the change (`ops.reference_changes.run_id`)",
        ),
        sa.Column("operational_date", sa.Date(), nullable=False, comment="Day that it touches"),
        sa.Column("carrier_code", sa.Text(), nullable=True, comment="Carrier; empty where no vehicle row names one"),
        sa.Column("table_names", postgresql.ARRAY(sa.Text()), nullable=False, comment="Tables that changed"),
        sa.Column("km_before", sa.Numeric(precision=12, scale=2), nullable=True, comment="Billable km before [km]"),
        sa.Column(
            "km_after",
            sa.Numeric(precision=12, scale=2),
            nullable=True,
            comment="Billable km after; null until the day is run again [km]",
        ),
        sa.Column(
            "brl_before",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Variable and fixed cost before [BRL]",
        ),
        sa.Column(
            "brl_after",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="Variable and fixed cost after; null until the day is run again [BRL]",
        ),
        sa.Column("is_rerun", sa.Boolean(), nullable=False, comment="The day was run again"),
        sa.Column(
            "updated_at", postgresql.TIMESTAMP(timezone=True), nullable=False, comment="When it was written [UTC]"
        ),
        sa.UniqueConstraint(
            "change_run_id",
            "operational_date",
            "carrier_code",
            name=op.f("uq_reference_deltas"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="ops",
        comment="What a change of reference data did to each day and carrier: before it, and after the day was run again",
    )
    op.create_index(
        "ix_reference_deltas_operational_date", "reference_deltas", ["operational_date"], unique=False, schema="ops"
    )
    op.create_table(
        "reference_history",
        sa.Column("table_name", sa.Text(), nullable=False, comment="Table of `ref`"),
        sa.Column("row_key", sa.Text(), nullable=False, comment="Hash of the row's content"),
        sa.Column(
            "recorded_from",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the file that brought it was received [UTC]",
        ),
        sa.Column(
            "recorded_to",
            postgresql.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When a file without it was received; empty: it is known still [UTC]",
        ),
        sa.Column("valid_from", sa.Date(), nullable=True, comment="First local day on which the row holds"),
        sa.Column(
            "valid_to", sa.Date(), nullable=True, comment="Last local day on which the row holds; empty = open-ended"
        ),
        sa.Column(
            "content",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The row; jsonb_populate_record types it. Without names of drivers",
        ),
        sa.Column("file_name", sa.Text(), nullable=False, comment="File that brought it"),
        sa.Column("file_sha256", sa.Text(), nullable=False, comment="Its content"),
        sa.PrimaryKeyConstraint("table_name", "row_key", "recorded_from", name=op.f("pk_reference_history")),
        schema="ops",
        comment="Every row that a reference table ever had: when it holds (valid) and when it was known (recorded)",
    )


def downgrade() -> None:
    op.drop_table("reference_history", schema="ops")
    op.drop_index("ix_reference_deltas_operational_date", table_name="reference_deltas", schema="ops")
    op.drop_table("reference_deltas", schema="ops")
    op.drop_table("reference_changes", schema="ops")
    op.drop_table("cycle_closes", schema="ops")
    op.drop_index("ix_adjustments_plate_operational_date", table_name="adjustments", schema="fact")
    op.drop_index("ix_adjustments_operational_date", table_name="adjustments", schema="fact")
    op.drop_table("adjustments", schema="fact")

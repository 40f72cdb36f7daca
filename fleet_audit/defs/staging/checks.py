"""Checks of the staging tables: schema, that no row was lost on the way (Q03), that enough of a day was accepted."""

from collections.abc import Iterator

import dagster as dg

from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.table_checks import check_result, check_spec, table_checks
from fleet_audit.schema.facts import DAY_ACCEPTANCE, INCOMPLETE_DAYS, PENDING_DEVICES
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_NOTES, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.storage.step_errors import acts_on_errors

_COUNTED = (STAGING_POSITIONS, STAGING_VISIT_LEGS, STAGING_DECLARED_RUNS)
staging_checks = table_checks("staging", _COUNTED, reconciled=_COUNTED)
# A step of its own: notes on the API's pages come from the reading of positions, which is checked before.
notes_checks = table_checks("notes", (STAGING_NOTES,))
# A step of its own: what waits and what was refused are counted in staging that was checked.
shortfall_checks = table_checks("shortfall", (DAY_ACCEPTANCE, PENDING_DEVICES, INCOMPLETE_DAYS))


@dg.multi_asset_check(
    name="shortfalls",
    specs=[
        check_spec(
            DAY_ACCEPTANCE,
            "enough_was_accepted",
            "Of each source at least day_acceptance_pct of a day's rows was accepted.",
            blocking=False,
        ),
        check_spec(PENDING_DEVICES, "no_device_waits", "Every device that reports is in a vehicle.", blocking=False),
    ],
)
@acts_on_errors
def shortfalls(context: dg.AssetCheckExecutionContext, fleet: FleetResource) -> Iterator[dg.AssetCheckResult]:
    """Warn of days with many refused rows, and of devices that are not registered."""
    days = run_days(context)
    acceptance = fleet.warehouse().read_partition(DAY_ACCEPTANCE, days)
    yield check_result(
        DAY_ACCEPTANCE,
        "enough_was_accepted",
        [
            f"{row.operational_date}, {row.source_kind}: {row.rows_accepted} of {row.rows_read} rows were accepted "
            f"({row.acceptance_pct} %), {row.rows_rejected} refused; ops.rejected_rows has the reasons."
            for row in acceptance[acceptance["is_low"]].itertuples()
        ],
        dg.AssetCheckSeverity.WARN,
    )
    yield check_result(
        PENDING_DEVICES,
        "no_device_waits",
        [
            f"{row.operational_date}: {row.positions} positions of device {row.device_id} wait; register it in "
            "reference/devices.csv, and the inbox sensor runs the day again."
            for row in fleet.warehouse().read_partition(PENDING_DEVICES, days).itertuples()
        ],
        dg.AssetCheckSeverity.WARN,
    )

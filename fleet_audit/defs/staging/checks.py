"""Checks of the staging tables: schema, that no row was lost on the way (Q03), that enough of a day was accepted."""

import datetime as dt
from collections.abc import Iterator, Sequence

import dagster as dg

from fleet_audit.defs.evaluations import Evaluated, partition_results
from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.table_checks import check_spec, selected, table_checks
from fleet_audit.schema.facts import DAY_ACCEPTANCE, INCOMPLETE_DAYS, PENDING_DEVICES
from fleet_audit.schema.lake import STAGING_DECLARED_RUNS, STAGING_NOTES, STAGING_POSITIONS, STAGING_VISIT_LEGS
from fleet_audit.storage.step_errors import acts_on_errors

_COUNTED = (STAGING_POSITIONS, STAGING_VISIT_LEGS, STAGING_DECLARED_RUNS)
staging_checks = table_checks("staging", _COUNTED, reconciled=_COUNTED)
# A step of its own: notes on the API's pages come from the reading of positions, which is checked before.
notes_checks = table_checks("notes", (STAGING_NOTES,))
# A step of its own: what waits and what was refused are counted in staging that was checked.
shortfall_checks = table_checks("shortfall", (DAY_ACCEPTANCE, PENDING_DEVICES, INCOMPLETE_DAYS))


_ENOUGH = check_spec(
    DAY_ACCEPTANCE,
    "enough_was_accepted",
    "Of each source at least day_acceptance_pct of a day's rows was accepted.",
    blocking=False,
)
_WAITING = check_spec(PENDING_DEVICES, "no_device_waits", "Every device that reports is in a vehicle.", blocking=False)


@dg.multi_asset_check(name="shortfalls", specs=[_ENOUGH, _WAITING], can_subset=True)
@acts_on_errors
def shortfalls(context: dg.AssetCheckExecutionContext, fleet: FleetResource) -> Iterator[Evaluated]:
    """Warn of days with many refused rows, and of devices that are not registered."""
    judge = {_ENOUGH.name: _low_acceptance, _WAITING.name: _waiting}
    for spec in selected(context, [_ENOUGH, _WAITING]):
        found = judge[spec.name](fleet, run_days(context))
        yield from partition_results(context, spec, found, severity=dg.AssetCheckSeverity.WARN)


def _low_acceptance(fleet: FleetResource, days: Sequence[dt.date]) -> dict[str, list[str]]:
    rows = fleet.warehouse().read_partition(DAY_ACCEPTANCE, days)
    return {
        day.isoformat(): [
            f"{row.operational_date}, {row.source_kind}: {row.rows_accepted} of {row.rows_read} rows were accepted "
            f"({row.acceptance_pct} %), {row.rows_rejected} refused; ops.rejected_rows has the reasons."
            for row in rows[rows["is_low"] & (rows["operational_date"] == day)].itertuples()
        ]
        for day in days
    }


def _waiting(fleet: FleetResource, days: Sequence[dt.date]) -> dict[str, list[str]]:
    rows = fleet.warehouse().read_partition(PENDING_DEVICES, days)
    return {
        day.isoformat(): [
            f"{row.operational_date}: {row.positions} positions of device {row.device_id} wait; register it in "
            "reference/devices.csv, and the inbox sensor runs the day again."
            for row in rows[rows["operational_date"] == day].itertuples()
        ]
        for day in days
    }

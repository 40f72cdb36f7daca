"""Checks of every table: it conforms to the column dictionary, and its rows reconcile with the inputs.

Blocking and partitioned: readers of a table wait for them. Rules about meaning are findings, not checks.
"""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence

import dagster as dg
import pandas as pd

from fleet_audit.defs.partitions import daily_partitions, run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import POSTGRES_SCHEMAS, key_of
from fleet_audit.schema.checks import violations
from fleet_audit.schema.model import Table
from fleet_audit.storage.step_errors import acts_on_errors

CONFORMS, RECONCILES = "conforms", "reconciles"


def table_checks(
    name: str,
    tables: Sequence[Table],
    reconciled: Sequence[Table] = (),
    partitions: dg.PartitionsDefinition = daily_partitions,
) -> dg.AssetChecksDefinition:
    """One step that checks a subject's tables over the run's days; `reconciled` have rows in `ops.stage_counts`."""
    specs = [
        check_spec(
            table, CONFORMS, "Nulls, domains, limits and keys conform to the column dictionary.", partitions=partitions
        )
        for table in tables
    ]
    specs += [
        check_spec(table, RECONCILES, "Rows read = accepted + rejected + duplicate, and the accepted are all there.")
        for table in reconciled
    ]

    @dg.multi_asset_check(name=f"{name}_tables", specs=specs)
    @acts_on_errors
    def checks(context: dg.AssetCheckExecutionContext, fleet: FleetResource) -> Iterator[dg.AssetCheckResult]:
        days = run_days(context)
        for table in tables:
            found = [sentence for day in days for sentence in violations(_rows(fleet, table, day), table)]
            yield check_result(table, CONFORMS, found)
        for table in reconciled:
            yield check_result(table, RECONCILES, _unreconciled(fleet, table, days))

    return checks


def check_spec(
    table: Table,
    name: str,
    description: str,
    *,
    blocking: bool = True,
    partitions: dg.PartitionsDefinition = daily_partitions,
) -> dg.AssetCheckSpec:
    """A check of a table, day by day or cycle by cycle."""
    with warnings.catch_warnings():
        # Preview in 1.13; without partitions a day's failure would be taken for every day's.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name, asset=key_of(table), description=description, blocking=blocking, partitions_def=partitions
        )


def check_result(
    table: Table,
    name: str,
    sentences: Sequence[str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Passed without sentences; else failed with the first ones."""
    return dg.AssetCheckResult(
        passed=not sentences,
        asset_key=key_of(table),
        check_name=name,
        severity=severity,
        metadata={"found": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences[:20]))}
        if sentences
        else {},
    )


def _rows(fleet: FleetResource, table: Table, day: dt.date) -> pd.DataFrame:
    if table.schema in POSTGRES_SCHEMAS:
        return fleet.warehouse().read_partition(table, [day])
    return fleet.lake().read_days(table, [day])


def _unreconciled(fleet: FleetResource, table: Table, days: Sequence[dt.date]) -> list[str]:
    counts = (
        fleet.warehouse()
        .read(
            "select partition_date, rows_read, rows_accepted, rows_rejected, rows_duplicate from ops.stage_counts "
            "where stage = 'staging' and source = :source and partition_date between :first and :last",
            {"source": table.name, "first": days[0], "last": days[-1]},
        )
        .set_index("partition_date")
    )
    sentences = []
    for day in days:
        if day not in counts.index:
            sentences.append(f"{table.full_name} {day}: nothing was counted; run the day again.")
            continue
        count = counts.loc[day]
        if count["rows_read"] != count["rows_accepted"] + count["rows_rejected"] + count["rows_duplicate"]:
            sentences.append(
                f"{table.full_name} {day}: {count['rows_read']} rows were read, but {count['rows_accepted']} accepted, "
                f"{count['rows_rejected']} rejected and {count['rows_duplicate']} duplicate: rows were lost."
            )
        stored = len(fleet.lake().read_days(table, [day], columns=[table.sort[0]]))
        if stored != count["rows_accepted"]:
            sentences.append(
                f"{table.full_name} {day}: {count['rows_accepted']} rows were accepted, {stored} are there."
            )
    return sentences

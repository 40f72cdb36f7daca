"""Checks of every table: it conforms to the column dictionary, and its rows reconcile with the inputs.

Blocking and partitioned: readers of a table wait for them. Rules about meaning are findings, not checks.
"""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence

import dagster as dg

from fleet_audit.defs.evaluations import Evaluated, partition_results
from fleet_audit.defs.partitions import daily_partitions, run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import key_of
from fleet_audit.ingest.incomplete.files import lost_rows_by_day
from fleet_audit.schema.checks import is_conforming, violations
from fleet_audit.schema.model import Table
from fleet_audit.schema.rights import RELATION_SCHEMAS
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

    judges = {key_of(table): table for table in tables}

    @dg.multi_asset_check(name=f"{name}_tables", specs=specs, can_subset=True)
    @acts_on_errors
    def checks(context: dg.AssetCheckExecutionContext, fleet: FleetResource) -> Iterator[Evaluated]:
        judge = {CONFORMS: _nonconforming, RECONCILES: _unreconciled}
        for spec in selected(context, specs):
            found = judge[spec.name](fleet, judges[spec.asset_key], run_days(context))
            yield from partition_results(context, spec, found)

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


def selected(context: dg.AssetCheckExecutionContext, specs: Sequence[dg.AssetCheckSpec]) -> list[dg.AssetCheckSpec]:
    """The checks that the run selected."""
    return [spec for spec in specs if spec.key in context.selected_asset_check_keys]


def _nonconforming(fleet: FleetResource, table: Table, days: Sequence[dt.date]) -> dict[str, list[str]]:
    of_day = _violations_of_rows if table.schema in RELATION_SCHEMAS else _violations_of_files
    return {day.isoformat(): of_day(fleet, table, day) for day in days}


def _violations_of_rows(fleet: FleetResource, table: Table, day: dt.date) -> list[str]:
    if is_conforming(fleet.warehouse().read_partition_arrow(table, [day]), table):
        return []
    return violations(fleet.warehouse().read_partition(table, [day]), table)


def _violations_of_files(fleet: FleetResource, table: Table, day: dt.date) -> list[str]:
    if is_conforming(fleet.lake().read_arrow(table, [day], table.column_names), table):
        return []
    return violations(fleet.lake().read_days(table, [day]), table)


def _unreconciled(fleet: FleetResource, table: Table, days: Sequence[dt.date]) -> dict[str, list[str]]:
    counts = (
        fleet.warehouse()
        .read(
            "select partition_date, rows_read, rows_accepted, rows_rejected, rows_duplicate from ops.stage_counts "
            "where stage = 'staging' and source = :source and partition_date between :first and :last",
            {"source": table.name, "first": days[0], "last": days[-1]},
        )
        .set_index("partition_date")
    )
    of_files = lost_rows_by_day(fleet.warehouse(), table, days)
    found: dict[str, list[str]] = {}
    for day in days:
        sentences = found.setdefault(day.isoformat(), of_files[day])
        if day not in counts.index:
            sentences.append(f"{table.full_name} {day}: nothing was counted; run the day again.")
            continue
        count = counts.loc[day]
        if count["rows_read"] != count["rows_accepted"] + count["rows_rejected"] + count["rows_duplicate"]:
            sentences.append(
                f"{table.full_name} {day}: {count['rows_read']} rows were read, but {count['rows_accepted']} accepted, "
                f"{count['rows_rejected']} rejected and {count['rows_duplicate']} duplicate: rows were lost."
            )
        stored = fleet.lake().read_arrow(table, [day], [table.sort[0]]).num_rows
        if stored != count["rows_accepted"]:
            sentences.append(
                f"{table.full_name} {day}: {count['rows_accepted']} rows were accepted, {stored} are there."
            )
    return found

"""Reference tables: the version of each that is in force, in PostgreSQL, and the effect of a change."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import run_days
from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import column_schema, daily_arguments, key_of, output, selected_outputs
from fleet_audit.ingest.driver_names import forgotten_drivers, with_pseudonyms
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit.ingest.reference.touched_days import fill_deltas
from fleet_audit.logic.reference.changes import delta_statement
from fleet_audit.schema import reference
from fleet_audit.schema.derive import conform, content_digest, empty_frame
from fleet_audit.schema.facts import FIXED_COST_DAYS, INGESTED_FILES, PARAMETER_VERSIONS, REFERENCE_DELTAS, TRIP_COSTS
from fleet_audit.storage.output_metadata import markdown
from fleet_audit.storage.step_errors import acts_on_errors

_OUTPUTS = {table.name: table for table in reference.TABLES}


@dg.multi_asset(
    outs={name: output(table, "reference") for name, table in _OUTPUTS.items()},
    deps=[key_of(INGESTED_FILES)],
    can_subset=True,
)
@acts_on_errors
def reference_tables(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.Output]:
    """Publish the version of each table that is in force; fail without the tables that every kilometre needs."""
    files = ParsedFiles(fleet.lake(), fleet.warehouse(), fleet.settings(), context.log.warning)
    published = publish(files, context.run.run_id)
    for file_name, reason in published.refused.items():
        context.log.warning(f"{file_name} was refused: {reason}")
    for sentence in published.excluded:
        context.log.warning(sentence)
    missing = [f"reference/{name}.csv" for name in reference.REQUIRED if name not in published.in_force]
    if missing:
        raise dg.Failure(
            f"No reference data: {', '.join(missing)} is missing or was refused. Put it into the inbox "
            f"({fleet.settings().inbox_url or 'set FLEET_INBOX_URL'}); ops.ingested_files has the reasons.",
            allow_retries=False,
        )
    for table in selected_outputs(context, _OUTPUTS).values():
        delivery, touched = published.in_force.get(table.name), published.touched.get(table.name, [])
        rows = empty_frame(table) if delivery is None else delivery.rows
        if table is reference.DRIVERS:
            rows = with_pseudonyms(rows, fleet.driver_key(), forgotten_drivers(fleet.warehouse()))
        days = f"{touched[0]} to {touched[-1]}, {len(touched)} days" if touched else "none"
        # Else each run would outdate every table that was computed from this one; drivers seen in files are no change.
        context.set_data_version(key_of(table), dg.DataVersion(content_digest(rows, table)))
        yield dg.Output(
            _with_seen(rows, fleet) if table is reference.DRIVERS else rows,
            output_name=table.name,
            metadata={"computed_days_touched": days} if table.name in published.touched else None,
        )


def _with_seen(registered: pd.DataFrame, fleet: FleetResource) -> pd.DataFrame:
    """Registered drivers, and the names of all drivers that were known before: only this table holds them.

    Of a driver who is no longer in the reference file only the name is kept: the other fields no longer hold.
    """
    known = fleet.warehouse().read_table(reference.DRIVERS)
    others = known.loc[~known["driver_id"].isin(registered["driver_id"]), ["driver_id", "name"]]
    return pd.concat([registered, conform(others, reference.DRIVERS)], ignore_index=True)


@dg.asset(
    **daily_arguments(REFERENCE_DELTAS, "reference"),
    deps=[key_of(table) for table in (TRIP_COSTS, FIXED_COST_DAYS, reference.CONTRACTS)],
)
@acts_on_errors
def reference_deltas(context: dg.AssetExecutionContext, fleet: FleetResource) -> dg.Output:
    """Effect of a change of reference data on the days that are run again, per carrier."""
    days = run_days(context)
    found = [(day, fill_deltas(fleet.warehouse(), day)) for day in days]
    statement = delta_statement(pd.concat([frame for _, frame in found], ignore_index=True))
    table = markdown(statement) if len(statement) else "no reference data changed on these days"
    return dg.Output(found, metadata={"statement": dg.MetadataValue.md(table)})


# Not made by a step: whatever uses a set of parameters records its version (FleetResource.parameters).
parameter_versions = dg.AssetSpec(
    key_of(PARAMETER_VERSIONS),
    deps=[key_of(reference.PARAMETERS)],
    group_name=group_of("reference"),
    owners=owners_of("reference"),
    kinds={"postgres", "table"},
    description=PARAMETER_VERSIONS.description,
    metadata={"table": PARAMETER_VERSIONS.full_name, "dagster/column_schema": column_schema(PARAMETER_VERSIONS)},
)

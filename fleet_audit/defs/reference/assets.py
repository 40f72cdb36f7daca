"""Reference tables: the newest accepted file of each, in PostgreSQL."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from fleet_audit.defs.resources import FleetResource
from fleet_audit.defs.tables import OWNERS, column_schema, key_of, output
from fleet_audit.ingest.files import parsed_path, with_pseudonyms
from fleet_audit.schema import reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import INGESTED_FILES, PARAMETER_VERSIONS
from fleet_audit.schema.model import Table


@dg.multi_asset(
    outs={table.name: output(table, "reference") for table in reference.TABLES}, deps=[key_of(INGESTED_FILES)]
)
def reference_tables(context: dg.AssetExecutionContext, fleet: FleetResource) -> Iterator[dg.Output]:
    """Publish the newest version of each table; refuse to go on without those that every kilometre needs."""
    files = fleet.warehouse().read(
        "select file_sha256, file_name from ops.ingested_files where kind = 'reference' "
        "and status in ('accepted', 'partial') order by received_at, file_name",
        {},
    )
    stems = files["file_name"].str.extract(r"([^/]+)\.[^.]+$")[0]
    newest = dict(zip(stems, files["file_sha256"], strict=True))
    missing = [f"reference/{name}.csv" for name in reference.REQUIRED if name not in newest]
    if missing:
        raise dg.Failure(
            f"No reference data: {', '.join(missing)} is missing or was refused. Put it into the inbox "
            f"({fleet.settings().inbox_url or 'set FLEET_INBOX_URL'}); ops.ingested_files says why a file was refused.",
            allow_retries=False,
        )
    for table in reference.TABLES:
        yield dg.Output(_content(table, newest.get(table.name), fleet), output_name=table.name)


def _content(table: Table, sha256: str | None, fleet: FleetResource) -> pd.DataFrame:
    frame = fleet.lake().read_table(parsed_path(table, sha256), table) if sha256 else empty_frame(table)
    if table is not reference.DRIVERS:
        return frame
    key = fleet.settings().pseudonym_key.get_secret_value().encode()
    registered = with_pseudonyms(frame, key)
    seen = fleet.warehouse().read_table(table)  # drivers whom sources named stay: their names are nowhere else
    return pd.concat([registered, seen[~seen["driver_id"].isin(registered["driver_id"])]], ignore_index=True)


# Not made by a step: whatever uses a set of parameters records its version (FleetResource.parameters).
parameter_versions = dg.AssetSpec(
    key_of(PARAMETER_VERSIONS),
    deps=[key_of(reference.PARAMETERS)],
    group_name="reference",
    owners=OWNERS,
    kinds={"postgres", "table"},
    description=PARAMETER_VERSIONS.description,
    metadata={"table": PARAMETER_VERSIONS.full_name, "dagster/column_schema": column_schema(PARAMETER_VERSIONS)},
)

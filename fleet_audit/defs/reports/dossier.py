"""The job that writes the dossier of one contested finding as PDF.

Its rows are read in `dossiers`, its layout is in `reporting.documents.dossier`.
"""

import dagster as dg
from pydantic import Field

from fleet_audit.defs.resources import FleetResource
from fleet_audit.dossiers.pdf_files import write_finding_dossier


class DossierConfig(dg.Config):
    """Which finding."""

    finding_id: str = Field(description="The id of the finding, as fact.findings and every report show it.")


@dg.op(description="One PDF about one finding: map, odometer, rows as received, tariff clause, parameters.")
def dossier_of_finding(context: dg.OpExecutionContext, config: DossierConfig, fleet: FleetResource) -> None:
    """Write the dossier and report its address."""
    path = write_finding_dossier(fleet, config.finding_id)
    context.log.info(path)
    context.log_event(
        dg.AssetMaterialization(["reports", "dossiers"], metadata={"path": path, "finding_id": config.finding_id})
    )


@dg.job(
    name="dossier",
    executor_def=dg.in_process_executor,
    description="The dossier of one contested finding. Launch it with finding_id in the op's config.",
)
def dossier_job() -> None:
    """One op."""
    dossier_of_finding()

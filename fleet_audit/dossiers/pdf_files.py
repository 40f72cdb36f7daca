"""Writes dossiers into the lake as PDF.

What they show is in `reporting.documents.dossier`.
"""

from __future__ import annotations

from fleet_audit.dossiers.case_reader import finding_case, trip_case
from fleet_audit.ingest.freshness import newest_arrival
from fleet_audit.installation import Installation
from fleet_audit.reporting.documents.case import Case
from fleet_audit.reporting.documents.dossier import build_dossier
from fleet_audit.reporting.formats.pdf import document_pdf
from fleet_audit.reporting.layout import load_layout

FOLDER = "reports/dossiers"


def write_finding_dossier(stores: Installation, finding_id: str) -> str:
    """Write the dossier of a finding and return its address. Raises PermanentError: the finding does not exist."""
    return _write(stores, finding_case(stores, finding_id), finding_id)


def write_trip_dossier(stores: Installation, trip_id: str) -> str:
    """Write the dossier of a trip and return its address. Raises PermanentError: the trip does not exist."""
    return _write(stores, trip_case(stores, trip_id), trip_id)


def _write(stores: Installation, case: Case, name: str) -> str:
    layout = load_layout(stores.settings().report_layout)
    document = build_dossier(case, generated_at=newest_arrival(stores.warehouse()), layout=layout)
    path = f"{FOLDER}/{name}.pdf"
    stores.lake().put_bytes(path, document_pdf(document))
    return stores.lake().url(path)

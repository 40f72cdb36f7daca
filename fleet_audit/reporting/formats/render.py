"""Files of each report: its formats and file names.

Only the choice of formats belongs here.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet_audit.reporting.documents.carrier_copy import CarrierCopy
from fleet_audit.reporting.documents.cycle import CycleReport
from fleet_audit.reporting.documents.day import DayReport
from fleet_audit.reporting.formats.csv import grid_csv
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.formats.package_files import package_workbook
from fleet_audit.reporting.formats.pdf import document_pdf
from fleet_audit.reporting.formats.xlsx import document_workbook


def render_day(report: DayReport) -> dict[str, bytes]:
    """The D-1 report as `d1.csv`, `d1.xlsx`, `d1.html` and `d1.pdf`; equal reports give equal bytes."""
    return {
        "d1.csv": grid_csv(report.trips),
        "d1.xlsx": document_workbook(report.document),
        "d1.html": document_page(report.document),
        "d1.pdf": document_pdf(report.document),
    }


def render_cycle(report: CycleReport) -> dict[str, bytes]:
    """The monthly report as `relatorio_mensal.xlsx`, `.html` and `.pdf`; equal reports give equal bytes."""
    return {
        "relatorio_mensal.xlsx": document_workbook(report.document),
        "relatorio_mensal.html": document_page(report.document),
        "relatorio_mensal.pdf": document_pdf(report.document),
    }


def render_copies(copies: Iterable[CarrierCopy]) -> dict[str, bytes]:
    """Each carrier's report (XLSX, HTML and PDF) and package, in a folder of its own."""
    files = {}
    for copy in copies:
        files[f"{copy.folder}/relatorio_mensal.xlsx"] = document_workbook(copy.document)
        files[f"{copy.folder}/relatorio_mensal.html"] = document_page(copy.document)
        files[f"{copy.folder}/relatorio_mensal.pdf"] = document_pdf(copy.document)
        files[f"{copy.folder}/pacote_medicao.xlsx"] = package_workbook(copy.package)
    return files

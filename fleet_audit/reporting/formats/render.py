"""Files of each report: its formats and file names.

Only the choice of formats belongs here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from fleet_audit.logic.primitives.threads import run_in_threads
from fleet_audit.reporting.documents.carrier_copy import CarrierCopy
from fleet_audit.reporting.documents.cycle import CycleReport
from fleet_audit.reporting.documents.day import DayReport
from fleet_audit.reporting.formats.csv import grid_csv
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.formats.package_files import package_workbook
from fleet_audit.reporting.formats.pdf import document_pdf
from fleet_audit.reporting.formats.xlsx import document_workbook


def render_day(report: DayReport) -> dict[str, bytes]:
    """The D-1 report as `d1.csv`, `d1.xlsx`, `d1.html` and `d1.pdf`; equal reports give equal bytes.

    Typst sets the PDF without Python's lock, in half of the time of all four, while the others are written.
    """
    document = report.document
    pdf, *others = run_in_threads(
        partial(document_pdf, document),
        partial(grid_csv, report.trips),
        partial(document_workbook, document),
        partial(document_page, document),
    )
    return {**dict(zip(("d1.csv", "d1.xlsx", "d1.html"), others, strict=True)), "d1.pdf": pdf}


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

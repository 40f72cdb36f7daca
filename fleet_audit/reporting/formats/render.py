"""Files of each report: its formats and file names.

Only the choice of formats belongs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from fleet_audit.logic.primitives.workers.threads import run_in_threads
from fleet_audit.reporting.document_model import Document
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
    return _rendered({"d1.csv": partial(grid_csv, report.trips), **_report_files("d1", report.document)})


def render_cycle(report: CycleReport) -> dict[str, bytes]:
    """The monthly report as `relatorio_mensal.xlsx`, `.html` and `.pdf`; equal reports give equal bytes."""
    return _rendered(_report_files("relatorio_mensal", report.document))


def render_copies(copies: Iterable[CarrierCopy]) -> dict[str, bytes]:
    """Each carrier's report (XLSX, HTML and PDF) and package, in a folder of its own."""
    files: dict[str, bytes] = {}
    for copy in copies:
        files |= _rendered(
            {
                **_report_files(f"{copy.folder}/relatorio_mensal", copy.document),
                f"{copy.folder}/pacote_medicao.xlsx": partial(package_workbook, copy.package),
            }
        )
    return files


def _report_files(name: str, document: Document) -> dict[str, Callable[[], bytes]]:
    return {
        f"{name}.xlsx": partial(document_workbook, document),
        f"{name}.html": partial(document_page, document),
        f"{name}.pdf": partial(document_pdf, document),
    }


def _rendered(files: Mapping[str, Callable[[], bytes]]) -> dict[str, bytes]:
    """Content by name of the files, which are made in threads, the last ones first.

    Typst sets a PDF without Python's lock, in half of the time of a D-1 report, while the others are written.
    """
    made = run_in_threads(*reversed([*files.values()]))
    return dict(zip(files, reversed(made), strict=True))

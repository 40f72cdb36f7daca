"""The documents of a made-up fleet as text: a change of any figure, word or column of them is seen in review.

`python -m fleet_audit_tests.reporting.golden` writes the files of `golden/` again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.document_model import Document, Grid, written
from fleet_audit.reporting.documents.carrier_copy import build_copy
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.documents.day import build_day
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.formats.package_files import sheet_csv
from fleet_audit.reporting.package_model import Package
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, fleet, settled

FOLDER = Path(__file__).parent / "golden"
REFRESH = "python -m fleet_audit_tests.reporting.golden"
CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))


def documents() -> dict[str, str]:
    """File name → text: the D-1 report of a day; report, package and a carrier's copy of a cycle closed for good."""
    frames = settled(fleet(4, days=2, first=CYCLE.start), CYCLE)
    closing = _closed(frames)
    options = {"cycle": CYCLE, "generated_at": GENERATED_AT, "closing": closing}
    copy = build_copy(frames, "RODA", contest_days=10, **options)  # type: ignore[arg-type]
    report = build_cycle(frames, **options)  # type: ignore[arg-type]
    package = build_package(frames, **options)  # type: ignore[arg-type]
    return {
        "d1.txt": document_text(build_day(fleet(4), operational_date=DAY, generated_at=GENERATED_AT).document),
        "relatorio_mensal.txt": document_text(report.document),
        "pacote_medicao.txt": package_text(package),
        "copia_da_transportadora.txt": document_text(copy.document),
    }


def document_text(document: Document) -> str:
    """Heading, cards, highlights, then each section with its note and table; pictures are counted."""
    lines = [document.title, document.subtitle, document.origin, document.stamp or "", *document.cover, ""]
    lines += [f"{card.label}: {card.text} ({card.note})" for card in document.cards]
    lines += [f"! {one.vehicle} {one.amounts} {one.sentence}" for one in document.highlights or ()]
    for section in document.sections:
        lines += ["", f"## {section.title}", *([section.note] if section.note else [])]
        lines += [f"[{len(section.pictures)} figura(s)]"] if section.pictures else []
        if section.grid is not None:
            lines += grid_lines(section.grid) if section.grid.rows else [section.empty]
    return "\n".join((*lines, "", *document.notes)) + "\n"


def package_text(package: Package) -> str:
    """Each sheet as its CSV under its name."""
    lines = [package.title, package.subtitle, package.closing.stamp]
    for sheet in package.sheets:
        table = sheet_csv(sheet).decode("utf-8-sig").replace("\r\n", "\n")
        lines += ["", f"## {sheet.name}", sheet.note if sheet.grid.rows else sheet.empty, table]
    return "\n".join(lines) + "\n"


def grid_lines(grid: Grid) -> list[str]:
    """Head, rows and total of a table; evidence is JSON for machines and left to the workbook."""
    shown = [index for index, entry in enumerate(grid.fields) if entry.name != "evidence"]
    rows = [*grid.rows, *([grid.total] if grid.total else [])]
    heads = " | ".join(grid.fields[index].label for index in shown)
    texts = [" | ".join(written(row[index], grid.fields[index].kind, missing="–") for index in shown) for row in rows]
    return [heads, *texts]


def _closed(frames: Frames) -> Closing:
    return replace(
        Closing("final", dt.datetime(2025, 6, 18, 12, tzinfo=dt.UTC), "0" * 64, "manifest.json", "1.0", "p"),
        total_km=sum_decimal(frames.billing_lines["km"]),
        total_variable_brl=sum_decimal(frames.billing_lines["variable_brl"]) or Decimal(0),
        total_fixed_brl=sum_decimal(frames.billing_lines["fixed_brl"]) or Decimal(0),
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")

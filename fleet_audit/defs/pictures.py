"""Pictures in the UI: drawings of `reporting` as metadata of the asset that they show, on its own page.

Pictures are drawn in `reporting`; here they become metadata.
"""

import base64
import datetime as dt
import re
from collections.abc import Sequence
from html import unescape

import dagster as dg
import pandas as pd

from fleet_audit.defs.resources import FleetResource
from fleet_audit.reporting.documents.day import DayReport
from fleet_audit.reporting.drawing.calibration_chart import calibration_chart, fleets
from fleet_audit.reporting.drawing.coverage_matrix import coverage_matrix
from fleet_audit.reporting.drawing.ledger_picture import ledger_picture, ledger_table
from fleet_audit.reporting.formats.markdown import cards_text, grid_text
from fleet_audit.reporting.formats.pdf import first_page
from fleet_audit.schema.facts import COVERAGE
from fleet_audit.storage.output_metadata import markdown

DayFrame = tuple[dt.date, pd.DataFrame]
MATRIX_DAYS = 31
_NOTHING = "Nothing to show."
_PREVIEW_ROWS = 15
_PREVIEW_FIELDS = ("severity", "rule_id", "plate", "explanation_pt", "km_at_stake", "brl_at_stake", "carrier")


def embedded(svg: str) -> str:
    """An SVG as a Markdown image: the UI shows `data:` sources and nothing else that is not on the web."""
    if not svg:
        return _NOTHING
    words = re.search(r'aria-label="([^"]*)"', svg)
    alternative = re.sub(r"[\[\]]", "", unescape(words.group(1))) if words else ""
    return f"![{alternative}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def ledger_shown(frames: Sequence[DayFrame]) -> dict[str, dg.MetadataValue]:
    """The last day's ledger drawn, and how many vehicles of each day balance."""
    day, last = frames[-1]
    table = ledger_table(pd.concat([frame for _, frame in frames]), [one for one, _ in frames])
    return {"balance": dg.MetadataValue.md(f"{embedded(ledger_picture(last, day))}\n\n{markdown(table)}")}


def coverage_shown(fleet: FleetResource, frames: Sequence[DayFrame]) -> dict[str, dg.MetadataValue]:
    """Vehicle × day of the 31 days up to the last one: computed now, or known to the warehouse."""
    days = [frames[-1][0] - dt.timedelta(days=back) for back in reversed(range(MATRIX_DAYS))]
    new = {day for day, _ in frames}
    before = fleet.warehouse().read_partition(COVERAGE, [day for day in days if day not in new])
    rows = pd.concat([before, *(frame for day, frame in frames if day in days)], ignore_index=True)
    return {"matrix": dg.MetadataValue.md(embedded(coverage_matrix(rows, days)))}


def preview(report: DayReport) -> dict[str, dg.MetadataValue]:
    """The report without leaving the asset's page: its headline, its first page as a picture, findings, the map."""
    sections = {section.key: section for section in report.document.sections}
    findings = sections["findings"].grid
    assert findings is not None
    page = base64.b64encode(first_page(report.document)).decode()
    words = f"{report.document.title} {report.document.subtitle}, primeira página"
    maps = "\n\n".join(embedded(picture) for picture in sections["map"].pictures)
    return {
        "headline": dg.MetadataValue.md(cards_text(report.document)),
        "first_page": dg.MetadataValue.md(f"![{words}](data:image/png;base64,{page})"),
        "top_findings": dg.MetadataValue.md(grid_text(findings, _PREVIEW_FIELDS, _PREVIEW_ROWS)),
        "map": dg.MetadataValue.md(maps or _NOTHING),
        "dagster/row_count": dg.MetadataValue.int(len(report.trips.rows)),
    }


def calibration_shown(
    days: pd.DataFrame, segments: pd.DataFrame, first: dt.date, last: dt.date
) -> dict[str, dg.MetadataValue]:
    """A chart per fleet: each vehicle's ratio, its levels and its changes; and the changes as numbers."""
    charts = []
    for unit, carrier in fleets(segments):
        own = segments[(segments["unit_code"] == unit) & (segments["carrier_code"] == carrier)]
        of_fleet = days[days["plate"].isin(own["plate"])]
        charts.append(embedded(calibration_chart(of_fleet, own, first, last, f"{unit}, {carrier}")))
    changes = segments.loc[
        segments["is_change_point"].astype(bool), ["plate", "device_id", "segment_start", "reason", "ratio"]
    ]
    return {
        "calibration": dg.MetadataValue.md("\n\n".join(charts) or _NOTHING),
        "changes": dg.MetadataValue.md(markdown(changes) if len(changes) else "No change."),
    }

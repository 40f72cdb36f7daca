"""Notes on devices whose values the API mostly sends in a wrong type, such as "12,5" for a number.

Such a value counts as absent (contract), so without a note a day of text odometers looks like a day without odometers.
A few are ordinary: positions that an API sends twice, once spoilt, say nothing of a device. Only values of staged rows
count: a page that comes again, or that holds other days too, says nothing more of this day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from fleet_audit.formats.api_page.positions import ParsedPage
from fleet_audit.formats.parsed import conform_notes
from fleet_audit.ingest.api.pages import page_sha256

_SHARE = 0.5  # of a device's positions of the day


class WrongTypes:
    """Collects the values of wrong types of a day's pages; the order of the pages does not matter."""

    def __init__(self) -> None:
        self._of_pages: dict[str, pd.DataFrame] = {}
        self._staged: list[pd.DataFrame] = []
        self._positions: list[pd.Series] = []

    def add(self, path: str, page: ParsedPage) -> None:
        """Add a page's values."""
        if len(page.wrong):
            self._of_pages[path] = page.wrong

    def stage(self, rows: pd.DataFrame, pages: Sequence[str]) -> None:
        """Count staged rows of whole devices, and give them the values of their items, when all pages are added.

        Args:
            rows: of `parsed.positions`; those of the API have the number of their page in `pages` for its SHA-256.
            pages: paths of the day's pages.
        """
        self._positions.append(rows["device_id"].value_counts())
        if not self._of_pages:
            return
        of_api = rows.loc[rows["source"] == "api", ["device_id", "file_sha256", "row_number"]]
        of_api["path"] = of_api["file_sha256"].astype("int64").map(dict(enumerate(pages)))
        of_api = of_api[of_api["path"].isin(self._of_pages)]
        for path, own in of_api.groupby("path"):
            self._staged.append(own.merge(self._of_pages[str(path)], on="row_number"))

    def notes(self, day: dt.date) -> pd.DataFrame:
        """`parsed.source_notes` of a day: one per device, whose `plate` holds it, with all its fields."""
        values = pd.concat(self._staged, ignore_index=True) if self._staged else pd.DataFrame(columns=["device_id"])
        if values.empty:
            return conform_notes(values, "positions", "", "")
        first = values.sort_values(["path", "row_number"]).groupby(["device_id", "field"], sort=True)
        fields = first.first().assign(count=first.size()).reset_index()
        fields = fields[fields["count"] >= _SHARE * fields["device_id"].map(pd.concat(self._positions))]
        fields["found"] = fields["field"] + ": " + fields["found"]
        fields["expected"] = fields["field"] + ": " + fields["expected"]
        notes = fields.sort_values(["device_id", "path", "row_number", "field"]).groupby("device_id", as_index=False)
        noted = notes.agg({"path": "first", "row_number": "first", "expected": "; ".join, "found": "; ".join})
        noted = noted.rename(columns={"device_id": "plate"}).assign(note_code="wrong_type", date=day)
        noted["found"] += " (equipamento " + noted["plate"] + ")"
        return conform_notes(noted, "positions", noted["path"].map(page_sha256), noted["path"])

"""Notes on devices whose values the API mostly sends in a wrong type, such as "12,5" for a number.

Such a value counts as absent (contract), so without a note a day of text odometers looks like a day without odometers.
A few are ordinary: positions that an API sends twice, once spoilt, say nothing of a device.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.formats.api_page.positions import ParsedPage
from fleet_audit.formats.parsed import conform_notes
from fleet_audit.ingest.api.pages import page_sha256

_SHARE = 0.5  # of a device's positions of the day


class WrongTypes:
    """Collects the values of wrong types of a day's pages; the order of the pages does not matter."""

    def __init__(self) -> None:
        self._values: list[pd.DataFrame] = []

    def add(self, path: str, page: ParsedPage) -> None:
        """Add a page's values, each with its device."""
        if len(page.wrong):
            devices = page.positions.select(["row_number", "device_id"]).to_pandas()
            self._values.append(page.wrong.merge(devices, on="row_number").assign(path=path))

    def notes(self, positions: pd.Series, day: dt.date) -> pd.DataFrame:
        """`parsed.source_notes` of a day: one per device, whose `plate` holds it, with all its fields.

        Args:
            positions: number of staged positions of each device.
            day: the day.
        """
        values = pd.concat(self._values, ignore_index=True) if self._values else pd.DataFrame(columns=["device_id"])
        values = values[values["device_id"].isin(positions.index)]
        if values.empty:
            return conform_notes(values, "positions", "", "")
        first = values.sort_values(["path", "row_number"]).groupby(["device_id", "field"], sort=True)
        fields = first.first().assign(count=first.size()).reset_index()
        fields = fields[fields["count"] >= _SHARE * fields["device_id"].map(positions)]
        fields["found"] = fields["field"] + ": " + fields["found"]
        fields["expected"] = fields["field"] + ": " + fields["expected"]
        notes = fields.sort_values(["device_id", "path", "row_number", "field"]).groupby("device_id", as_index=False)
        noted = notes.agg({"path": "first", "row_number": "first", "expected": "; ".join, "found": "; ".join})
        noted = noted.rename(columns={"device_id": "plate"}).assign(note_code="wrong_type", date=day)
        noted["found"] += " (equipamento " + noted["plate"] + ")"
        return conform_notes(noted, "positions", noted["path"].map(page_sha256), noted["path"])

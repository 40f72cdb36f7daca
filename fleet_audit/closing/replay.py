"""A closed cycle computed again from its frozen inputs, in an installation of its own, and compared with its manifest.

The run itself is the main job's; here is what it is given and what is made of its rows.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fleet_audit.closing.freezing import Stores, cycle_rows, day_rows, outputs_of
from fleet_audit.closing.scratch import fill
from fleet_audit.logic.closing import canonical_rows, differences, differing_rows
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.registry import table as table_called
from fleet_audit.storage.warehouse import Warehouse

_SHOWN_ROWS = 5


@dataclass
class Verdict:
    """What a replay found: `sentences` on every difference, none when all is identical; how much was compared."""

    rows: int = 0
    tables: int = 0
    sentences: list[str] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return not self.sentences


def days_of(manifest: dict[str, Any]) -> list[dt.date]:
    """The days that a manifest freezes, in order."""
    return sorted(dt.date.fromisoformat(day) for day in manifest["outputs"]["fact.trips"]["days"])


def fill_from(manifest: dict[str, Any], scratch: Stores, source: Stores) -> None:
    """Put a manifest's inputs into an empty installation."""
    inputs = manifest["inputs"]
    pages = [path for paths in inputs["pages"].values() for path in paths]
    changes = pd.DataFrame(inputs["reference_changes"])
    fill(scratch, source, inputs["files"], pages, _typed_changes(changes))


def _typed_changes(rows: pd.DataFrame) -> pd.DataFrame:
    table = facts.REFERENCE_CHANGES
    if rows.empty:
        return empty_frame(table)
    dates = ("cycle_start", "finding_date", "first_date", "last_date")
    parsed = {name: [dt.date.fromisoformat(value[:10]) for value in rows[name]] for name in dates}
    return conform(rows.assign(**parsed, recorded_at=pd.to_datetime(rows["recorded_at"], utc=True)), table)


def verify_frozen(manifest: dict[str, Any], warehouse: Warehouse, start: dt.date) -> list[str]:
    """Sentences on closed rows that are not those of the manifest any more; a provisional close froze none."""
    if manifest["cycle"]["status"] != "final":
        return []
    found = differences(manifest["outputs"], outputs_of(warehouse, days_of(manifest)))
    told = [f"{one.table_name}: frozen rows were changed after the close, on {', '.join(one.days)}." for one in found]
    now = cycle_rows(warehouse, start)
    return told + [
        f"{name}: rows were changed after the close."
        for name, entry in manifest["cycle_rows"].items()
        if now.get(name) != entry
    ]


def compare(manifest: dict[str, Any], scratch: Warehouse, closed: Warehouse) -> Verdict:
    """The replayed rows against the manifest; the first differing rows against those that are closed."""
    outputs = outputs_of(scratch, days_of(manifest))
    verdict = Verdict(sum(entry["rows"] for entry in outputs.values()), len(outputs))
    for one in differences(manifest["outputs"], outputs):
        table = table_called(one.table_name)
        day = dt.date.fromisoformat(one.days[0])
        frozen, now = (canonical_rows(day_rows(each, table, day), table) for each in (closed, scratch))
        lines = differing_rows(frozen, now, table.key, _SHOWN_ROWS)
        verdict.sentences.append(
            "\n    ".join([f"{one.table_name} differs on {', '.join(one.days)}; the first rows of {day}:", *lines])
        )
    return verdict


def told_versions(manifest: dict[str, Any], code_version: str) -> str | None:
    """A sentence when another code replays than the one that closed."""
    theirs = manifest["code_version"]
    return None if theirs == code_version else f"The cycle was closed by code {theirs}; this is {code_version}."


def settings_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Settings that the replay must have, as environment variables."""
    settings = json.loads(json.dumps(manifest["settings"]))
    return {"FLEET_CLOSING_DAY": str(settings["closing_day"]), "FLEET_START_DATE": settings["start_date"]}

"""A closed cycle computed again from its frozen inputs, in an installation of its own, and compared with its manifest.

The main job does the run; its inputs and the comparison of its rows belong here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from fleet_audit.closing.archive import days_of
from fleet_audit.closing.digested_rows import changed_rows_of_cycle, outputs_as_in, replayed_as_closed
from fleet_audit.closing.freezing import fingerprint
from fleet_audit.closing.frozen_rows import day_rows
from fleet_audit.closing.scratch import fill
from fleet_audit.logic.closing.manifest import canonical_rows, differences, differing_rows, digested
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.registry import table as table_called
from fleet_audit.settings import Settings
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse

_SHOWN_ROWS = 20


@dataclass
class Verdict:
    """Result of a replay: `sentences` on every difference, none when all is identical; how much was compared."""

    rows: int = 0
    tables: int = 0
    sentences: list[str] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return not self.sentences


def fill_from(manifest: dict[str, Any], scratch: Stores, source: Stores) -> None:
    """Put a manifest's inputs into an empty installation."""
    inputs = manifest["inputs"]
    pages = [path for paths in inputs["pages"].values() for path in paths]
    changes = pd.DataFrame(inputs["reference_changes"])
    windows = _typed_windows(pd.DataFrame(inputs.get("api_windows", [])))  # absent before the API's gaps were kept
    fill(scratch, source, inputs["files"], pages, _typed_changes(changes), windows)


def _typed_changes(rows: pd.DataFrame) -> pd.DataFrame:
    table = facts.REFERENCE_CHANGES
    if rows.empty:
        return empty_frame(table)
    dates = ("cycle_start", "finding_date", "first_date", "last_date")
    parsed = {name: [dt.date.fromisoformat(value[:10]) for value in rows[name]] for name in dates}
    return conform(rows.assign(**parsed, recorded_at=pd.to_datetime(rows["recorded_at"], utc=True)), table)


def _typed_windows(rows: pd.DataFrame) -> pd.DataFrame:
    table = facts.API_WINDOWS
    if rows.empty:
        return empty_frame(table)
    days = [dt.date.fromisoformat(value[:10]) for value in rows["partition_date"]]
    instants = ("window_from", "window_to", "answered_to", "answered_at", "failed_at")
    parsed = {name: pd.to_datetime(rows[name], utc=True) for name in instants}
    return conform(rows.assign(partition_date=days, **parsed), table)


def verify_frozen(manifest: dict[str, Any], warehouse: Warehouse, scratch: Warehouse | None) -> list[str]:
    """Sentences on closed rows that differ from the manifest; a provisional close froze none.

    Of a day that a replay (`scratch`) made as it was closed, the differing rows of both are listed.
    """
    if manifest["cycle"]["status"] != "final":
        return []
    days, outputs = days_of(manifest), manifest["outputs"]
    replayed = {} if scratch is None else outputs_as_in(outputs, scratch, days, is_frozen=False)
    not_remade = {one.table_name: set(one.days) for one in differences(outputs, replayed)}
    sentences = []
    for one in differences(outputs, outputs_as_in(outputs, warehouse, days, is_frozen=True)):
        sentence = f"{one.table_name}: frozen rows were changed after the close, on {', '.join(one.days)}"
        remade = next((day for day in one.days if day not in not_remade.get(one.table_name, ())), None)
        if scratch is None or remade is None:
            sentences.append(f"{sentence}.")
        else:
            frozen, again = _rows_of_both(outputs, one.table_name, remade, warehouse, scratch)
            sentences.append(_with_differing_rows(sentence, remade, one.table_name, again, frozen))
    return sentences + _changed_beside_days(manifest, warehouse)


def _changed_beside_days(manifest: dict[str, Any], warehouse: Warehouse) -> list[str]:
    start = dt.date.fromisoformat(manifest["cycle"]["start"])
    changed_names = changed_rows_of_cycle(manifest["cycle_rows"], warehouse, start)
    sentences = [f"{name}: rows were changed after the close." for name in changed_names]
    parameters = manifest["parameters"]
    rows = warehouse.read(
        "select name, value from ops.parameter_versions where parameters_version = :version",
        {"version": parameters["version"]},
    )
    recorded = dict(zip(rows["name"], rows["value"], strict=True))
    changed = [
        f"{name}: {parameters['values'].get(name)} -> {recorded.get(name)}"
        for name in sorted({*recorded, *parameters["values"]})
        if parameters["values"].get(name) != recorded.get(name)
    ]
    if changed:
        version = parameters["version"]
        sentences.append(f"ops.parameter_versions {version}: changed after the close: {'; '.join(changed)}.")
    return sentences


def compare(manifest: dict[str, Any], scratch: Warehouse, closed: Warehouse) -> Verdict:
    """The replayed rows against the manifest; the first differing rows against those that are closed."""
    expected = manifest["outputs"]
    outputs = outputs_as_in(expected, scratch, days_of(manifest), is_frozen=False)
    verdict = Verdict(sum(entry["rows"] for entry in outputs.values()), len(outputs))
    for one in differences(expected, outputs):
        sentence, day = f"{one.table_name} differs on {', '.join(one.days)}", one.days[0]
        frozen, replayed = _rows_of_both(expected, one.table_name, day, closed, scratch)
        verdict.sentences.append(_with_differing_rows(sentence, day, one.table_name, frozen, replayed))
    return verdict


def _rows_of_both(
    outputs: Mapping[str, Any], name: str, day: str, closed: Warehouse, scratch: Warehouse
) -> tuple[pa.Table, pa.Table]:
    """Frozen and replayed canonical rows of a day, the latter empty in columns added since the close."""
    table, entry = table_called(name), outputs[name]
    days = [dt.date.fromisoformat(day)]
    frozen, replayed = (canonical_rows(day_rows(each, table, days), table) for each in (closed, scratch))
    return frozen, replayed_as_closed(entry["days"][day], replayed, frozen, table, entry)


def _with_differing_rows(sentence: str, day: str, name: str, before: pa.Table, after: pa.Table) -> str:
    """The sentence, and the first canonical rows of that day that differ, one line each."""
    lines = differing_rows(before, after, digested(table_called(name)).key, _SHOWN_ROWS)
    return "\n    ".join([f"{sentence}; the first rows of {day}:", *lines])


def version_sentence(manifest: dict[str, Any], code_version: str) -> str | None:
    """Sentence when the code that replays differs from the code that closed."""
    theirs = manifest["code_version"]
    return None if theirs == code_version else f"The cycle was closed by code {theirs}; this is {code_version}."


def settings_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Settings that the replay must have, as environment variables."""
    return {
        f"FLEET_{name.upper()}": str(value)
        for name, value in manifest["settings"].items()
        if name != "pseudonym_key_fingerprint"
    }


def has_key_of(manifest: dict[str, Any], settings: Settings) -> bool:
    """Whether drivers' pseudonyms are made with the key of the close."""
    return manifest["settings"]["pseudonym_key_fingerprint"] == fingerprint(settings)

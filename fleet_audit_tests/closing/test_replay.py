"""A close of an earlier release is verified over the columns that its tables had then, and a real change is found."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from fleet_audit.closing.freezing import cycle_rows, outputs_of
from fleet_audit.closing.replay import compare, verify_frozen
from fleet_audit.logic.closing.manifest import COLUMNS_ADDED, canonical_rows, digest
from fleet_audit.schema import facts
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 5, 16)
TABLES = {"fact.trip_costs": facts.TRIP_COSTS, "fact.findings": facts.FINDINGS,
          "fact.device_health": facts.DEVICE_HEALTH}  # fmt: skip
RELEASES = [(name, number) for name in TABLES for number in range(len(COLUMNS_ADDED[name]))]


class Tables:
    """A warehouse of rows in memory, all of one day and cycle; `parameter_versions` has no rows."""

    def __init__(self, **frames: pd.DataFrame) -> None:
        self.frames = frames

    def read_partition(self, table, days):
        return self.frames.get(table.name, empty_frame(table))

    def read_dated(self, table, column, dates):
        frame = self.read_partition(table, None)
        return frame[frame[column].isin(dates)]

    def read_table(self, table):
        return self.read_partition(table, None)

    def read(self, sql, values):
        return pd.DataFrame({"name": [], "value": []})


def manifest_of(warehouse: Tables) -> dict:
    """What a close writes of these rows now."""
    return {
        "cycle": {"start": DAY.isoformat(), "status": "final"},
        "outputs": outputs_of(warehouse, [DAY]),  # type: ignore[arg-type]
        "cycle_rows": cycle_rows(warehouse, DAY),  # type: ignore[arg-type]
        "parameters": {"version": "p", "values": {}},
    }


def of_release(manifest: dict, table, frame: pd.DataFrame, lacking: list[str]) -> dict:
    """The manifest as a release wrote it in which a table lacked columns, and no manifest named any."""
    older = replace(table, columns=tuple(column for column in table.columns if column.name not in lacking))
    for entry in (*manifest["outputs"].values(), *manifest["cycle_rows"].values()):
        del entry["columns"]
    manifest["outputs"][table.full_name]["days"] = {DAY.isoformat(): digest(canonical_rows(frame, older))}
    return manifest


def changes(manifest: dict, frozen: Tables, replayed: Tables) -> tuple[list[str], list[str]]:
    return verify_frozen(manifest, frozen, replayed), compare(manifest, replayed, frozen).sentences  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "release"), RELEASES)
@pytest.mark.parametrize("count", [0, 3])
def test_rows_closed_before_columns_were_added_are_those_of_the_manifest(name: str, release: int, count: int) -> None:
    table = TABLES[name]
    lacking = [column for names in COLUMNS_ADDED[name][release:] for column in names]
    replayed = sample(table, DAY, count)
    closed = conform(replayed.assign(**dict.fromkeys(lacking)), table)
    frozen, again = Tables(**{table.name: closed}), Tables(**{table.name: replayed})
    manifest = of_release(manifest_of(frozen), table, closed, lacking)
    assert changes(manifest, frozen, again) == ([], [])
    if not count:
        return
    key = table.key[-1]
    changed = Tables(**{table.name: conform(closed.assign(**{key: ["x", *closed[key][1:]]}), table)})
    sentences, differing = changes(manifest, changed, again)
    [sentence] = [each for each in sentences if each.startswith(f"{name}: frozen rows were changed after the close")]
    assert "+ " in sentence
    assert (sentences, differing) == ([sentence], [])  # the replay still gives what was closed
    assert len(changes(manifest, frozen, changed)[1]) == 1  # and another replay does not

    filled = conform(closed.assign(**{lacking[-1]: replayed[lacking[-1]]}), table)  # a column added since is not theirs
    [sentence], _ = changes(manifest, Tables(**{table.name: filled}), again)
    assert f"{lacking[-1]}: None -> " in sentence


def test_adjustments_closed_before_they_named_findings_are_unchanged_until_one_does() -> None:
    lacking = [*COLUMNS_ADDED["fact.adjustments"][0]]
    rows = sample(facts.ADJUSTMENTS, DAY, 2).assign(billed_cycle_start=DAY)
    closed = conform(rows.assign(**dict.fromkeys(lacking)), facts.ADJUSTMENTS)
    manifest = manifest_of(Tables(adjustments=closed))
    kept = tuple(column for column in facts.ADJUSTMENTS.columns if column.name not in lacking)
    older = digest(canonical_rows(closed, replace(facts.ADJUSTMENTS, columns=kept)))
    manifest["cycle_rows"]["fact.adjustments billed"] = {"rows": 2, "sha256": older}
    assert verify_frozen(manifest, Tables(adjustments=closed), None) == []  # type: ignore[arg-type]
    for changed in (closed.assign(finding_id=["f", None]), closed.assign(reason="another"), closed.iloc[:1]):
        sentences = verify_frozen(manifest, Tables(adjustments=conform(changed, facts.ADJUSTMENTS)), None)  # type: ignore[arg-type]
        assert sentences == ["fact.adjustments billed: rows were changed after the close."]


def test_a_manifest_names_its_columns_so_that_a_later_one_changes_nothing() -> None:
    rows = sample(facts.TRIP_SCORES, DAY, 2)
    manifest = manifest_of(Tables(trip_scores=rows))
    entry = manifest["outputs"]["fact.trip_scores"]
    assert entry["columns"] == ["trip_id", "operational_date", "compliance_score", "contributions"]
    entry["columns"].remove("contributions")
    entry["days"] = {DAY.isoformat(): digest(canonical_rows(rows, facts.TRIP_SCORES).select(entry["columns"]))}
    scored = Tables(trip_scores=rows)
    assert compare(manifest, scored, scored).is_identical  # type: ignore[arg-type]
    [sentence] = verify_frozen(manifest, scored, scored)  # type: ignore[arg-type]
    assert sentence.startswith("fact.trip_scores: frozen rows were changed after the close, on 2025-05-16")
    assert "contributions: None -> " in sentence

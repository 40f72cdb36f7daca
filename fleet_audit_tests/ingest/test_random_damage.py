"""Random damage to the lake between two looks: the next one has the same rows, and a sentence that names the file.

The whole pipeline's trials, with kills, disks and clocks, are `benchmarks.faults`, on demand.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pandas as pd

from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit.sources.inbox import FOLDERS
from fleet_audit_tests.damage import damage_a_file
from fleet_audit_tests.ingest.staged_frame import staged_frame
from fleet_audit_tests.integration.small_fleet import (
    DAY,
    PAID,
    REFERENCE,
    SEEN_TWICE,
    bulletin,
    drive,
    run_row,
    telemetry,
    to_work,
    visit_report,
)

TRIALS = 10
ARCHIVE = [f"raw/{kind}" for kind in FOLDERS.values()]


def _look(arrivals) -> dict[str, pd.DataFrame]:
    """All that is read of the files: rows of each source, their notes, and the reference tables in force."""
    stage = arrivals.stage()
    sources = {name: getattr(stage, name)(DAY) for name in ("visit_legs", "declared_runs", "source_notes")}
    sources["positions"] = staged_frame(stage, DAY)
    files = ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)
    return sources | {name: table.rows for name, table in publish(files, "a-run").in_force.items()}


def test_ten_random_damages_leave_the_same_rows_and_are_named(arrivals):
    for name, text in REFERENCE.items():
        arrivals.drop(f"reference/{name}.csv", text.encode())
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()], SEEN_TWICE: [to_work()]}))
    arrivals.drop("bulletins/a.csv", bulletin(run_row(1, PAID, "06:30", "06:45", 12)))
    arrivals.drop("telemetry/a.csv", telemetry(drive(SEEN_TWICE, "06:30")))
    arrivals.read()
    expected = _look(arrivals)
    assert not arrivals.warnings
    lake = Path(arrivals.lake.url(""))
    for seed in range(TRIALS):
        arrivals.warnings.clear()
        done = damage_a_file(lake, [*ARCHIVE, "parsed"], random.Random(seed))
        if done.startswith("raw/"):  # nothing reads the archive while its parsed rows are there
            shutil.rmtree(lake / "parsed")
        found = _look(arrivals)
        for name, rows in expected.items():
            pd.testing.assert_frame_equal(found[name], rows, obj=f"{name} after trial {seed}, {done}")
        assert any(done.split(":")[0] in line for line in arrivals.warnings), (done, arrivals.warnings)

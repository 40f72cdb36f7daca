"""Seconds of processor time to make the measurement package of a cycle, by size of the fleet.

    python -m benchmarks.package

The fleet is that of the report tests, over a cycle of 31 days with five trips a vehicle and day. What is timed is what
the asset does between reading the tables and writing the files: workbook with formulas, and each sheet as CSV.
"""

from __future__ import annotations

import datetime as dt
import time

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.formats.package_files import render_package
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit_tests.reporting.sample import GENERATED_AT, fleet, settled

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
SIZES = (125, 250, 500, 650)  # vehicles; the last has 100,000 trips
PASSES = 2  # the better counts


def main() -> None:
    """Print one line a size."""
    _seconds(fleet(5, days=1, first=CYCLE.start))  # imports and first calls are not what is measured
    print(f"{'vehicles':>8} {'trips':>8} {'seconds':>8} {'ms a vehicle':>13}")
    for size in SIZES:
        frames = fleet(size, days=CYCLE.length, first=CYCLE.start)
        seconds = min(_seconds(frames) for _ in range(PASSES))
        print(f"{size:>8} {len(frames.trips):>8} {seconds:>8.2f} {1000 * seconds / size:>13.1f}", flush=True)


def _seconds(frames: Frames) -> float:
    frames = settled(frames, CYCLE)
    start = time.process_time()
    render_package(build_package(frames, cycle=CYCLE, generated_at=GENERATED_AT))
    return time.process_time() - start


if __name__ == "__main__":
    main()

"""Counts of fault trials per kind, with the 95 % interval of the share that ended the same: Markdown for a page.

    python -m benchmarks.fault_counts first.jsonl second.jsonl

Each line of a file is a trial as `benchmarks.faults` prints it; other lines are not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults import SAME
from fleet_audit.logic.primitives.statistics import share_interval


def trials_of(paths: Iterable[str]) -> list[dict[str, Any]]:
    """The trials in the output of some runs of the program."""
    lines = [line for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def table(trials: Sequence[dict[str, Any]]) -> list[str]:
    """One row per kind and one of all: trials, those that ended the same, the least share that fits, processor time."""
    rows = ["| kind | trials | same after one run | at least, with 95 % confidence | processor s per trial |",
            "|---|---|---|---|---|"]  # fmt: skip
    for kind in [*sorted({trial["kind"] for trial in trials}), "all"]:
        some = [trial for trial in trials if kind in (trial["kind"], "all")]
        same = sum(trial["outcome"] == SAME for trial in some)
        low, _ = share_interval(same, len(some))
        seconds = statistics.median(trial["processor_s"] for trial in some)
        rows.append(f"| {kind} | {len(some)} | {same} | {100 * low:.0f} % | {seconds:.0f} |")
    return rows


if __name__ == "__main__":
    print(*table(trials_of(sys.argv[1:])), sep="\n")

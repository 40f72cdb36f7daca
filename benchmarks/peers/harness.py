"""Runs one peer: positions and places in, trips out, and what each pass took; imports are not counted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq


def run(peer: Callable[[str, str], dict]) -> None:
    """`script positions places trips passes` (Parquet files); prints (s, processor s) of each pass as JSON."""
    positions, places, out, passes = sys.argv[1:5]
    seconds, trips = [], {}
    for _ in range(int(passes) + 1):  # as with ours, the first one only warms up
        started, worked = time.perf_counter(), time.process_time()
        trips = peer(positions, places)
        seconds.append((time.perf_counter() - started, time.process_time() - worked))
    pq.write_table(pa.table(trips), out)
    print(json.dumps(seconds[1:]))

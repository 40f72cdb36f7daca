"""Runs one peer: positions and places in, trips out, and how long each pass took; imports are not counted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq


def run(peer: Callable[[str, str], dict]) -> None:
    """`script positions.parquet places.parquet trips.parquet passes`; prints the seconds of each pass as JSON."""
    positions, places, out, passes = sys.argv[1:5]
    seconds, trips = [], {}
    for _ in range(int(passes)):
        started = time.perf_counter()
        trips = peer(positions, places)
        seconds.append(time.perf_counter() - started)
    pq.write_table(pa.table(trips), out)
    print(json.dumps(seconds))

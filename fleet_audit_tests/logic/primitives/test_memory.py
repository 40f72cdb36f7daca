"""What a step has read does not lie in memory beside what the next one reads."""

from __future__ import annotations

import psutil
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.primitives.memory import release_unused_memory

MB = 1 << 20


def _resident_mb() -> int:
    return psutil.Process().memory_info().rss // MB


def test_memory_of_tables_that_are_gone_is_given_back():
    numbers = pa.array(range(10_000))
    release_unused_memory()
    before_mb = _resident_mb()
    columns = [pc.add(numbers, number) for number in range(3_000)]
    assert _resident_mb() - before_mb > 200
    del columns
    release_unused_memory()
    assert _resident_mb() - before_mb < 60

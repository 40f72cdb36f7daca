"""Chunks of whole vehicles: fixed cost and slope of a chunk, of cutting and joining, of a task on Spark; a projection.

    python -m benchmarks.vehicle_chunks --vehicles 500 --master "local-cluster[2,1,1024]"

Everything is processor time, which other work on the machine changes less than seconds. The least of the repeats
counts. The projection adds measured costs up; a fleet of that size was not measured.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.audited_fleet import reference_tables
from benchmarks.mill_fleet import PERIOD_S, positions, write_reference
from benchmarks.small_day import adopt_orphans, processor_time_s
from fleet_audit.closing.code import code_version
from fleet_audit.defs.vehicle_chunks import InArrow, SentVehicles
from fleet_audit.defs.window_positions import (
    DEVICE_PARTS,
    WINDOW_PARTS,
    DayVehicles,
    DevicesOfDay,
    WindowOfDay,
    WindowPositions,
)
from fleet_audit.engine.chunks import cut_fleet
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.primitives.window import window_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import arrow_schema, empty_frame
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake, TextFilter, _rows_of_groups
from fleet_audit.storage.table_days import LakeDays

FIRST = dt.date(2025, 6, 2)
FLEETS = (10_000, 100_000, 1_000_000)
ROW_GROUP = 131_072
ROW_GROUPS = 2_000  # of the file whose footer is read
TASKS = (2, 42)
DAYS_A_MONTH = 30
BRL_PER_CORE_HOUR = 0.30  # an assumption: about US$ 0.055 for a virtual processor on demand, at R$ 5.50
_SPARK = """
import sys
from fleet_audit.engine.spark import SparkCluster
list(SparkCluster(sys.argv[1]).map(dict, [()] * int(sys.argv[2])))
print(0)
"""


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles of the largest chunk.")
@click.option("--repeat", default=2, show_default=True, help="Passes of each.")
@click.option("--master", help="Measure a task on Spark too, such as local-cluster[2,1,1024].")
def main(vehicles: int, repeat: int, master: str | None) -> None:
    """Measure, and print the costs and the projection."""
    print(f"{86_400 // PERIOD_S:,} positions per vehicle and day; windows and devices of one day, processor time")
    with tempfile.TemporaryDirectory(prefix="chunks") as scratch:
        fleet = Fleet(Path(scratch), vehicles, repeat)
        sizes = [max(vehicles // part, 1) for part in (16, 4, 2, 1)]
        times = []
        for size in sizes:
            times.append(fleet.chunk_s(size))
            print(f"chunk of {size:>4} vehicles: {times[-1]:.2f} s", flush=True)
        write_s = fleet.write_s() / vehicles
        bytes_sent = fleet.result_bytes() / vehicles
    per_vehicle_s, fixed_s = np.polyfit(sizes, times, 1)
    cut_s = _least(lambda: cut_fleet(_large_reference(FLEETS[1]), (), vehicles), repeat) / FLEETS[1]
    group_s = _row_group_s(repeat)
    task_s, start_s = _task_s(master) if master else (0.0, 0.0)
    print(f"chunk: {fixed_s:.3f} s + {per_vehicle_s * 1000:.2f} ms per vehicle, {bytes_sent:,.0f} bytes each")
    print(f"row group of a staging day that a chunk passes over: {group_s * 1e6:.1f} µs")
    print(f"task of Spark: {task_s:.3f} s; session: {start_s:.1f} s")
    print(f"driver, per vehicle: {cut_s * 1000:.3f} ms to cut the fleet, {write_s * 1000:.3f} ms to join and write\n")
    print("vehicles      chunks   core hours per day   of the driver   of row groups   R$ per vehicle-month")
    for size in FLEETS:
        chunks = -(-size // vehicles)
        groups = 2 * len(window_days(FIRST)) * size * 86_400 // PERIOD_S / ROW_GROUP
        passed_h, driver_h = chunks * groups * group_s / 3600, size * (write_s + cut_s) / 3600
        total_h = (chunks * (fixed_s + task_s) + size * per_vehicle_s) / 3600 + passed_h + driver_h
        brl = total_h * DAYS_A_MONTH * BRL_PER_CORE_HOUR / size
        print(f"{size:>9,} {chunks:>9,} {total_h:>20.2f} {driver_h:>15.2f} {passed_h:>15.2f} {brl:>22.5f}")


class Fleet:
    """A fleet with the staging of a day's window in a lake."""

    def __init__(self, folder: Path, vehicles: int, repeat: int) -> None:
        """Writes the staging, and the trips that devices read."""
        write_reference(folder / "reference", vehicles)
        self._reference = Reference.of(reference_tables(folder / "reference"))
        self._vehicles, self._repeat = vehicles, repeat
        self._lake = Lake(Settings(_env_file=None, lake_url=str(folder / "lake")))
        for day in window_days(FIRST):
            self._lake.write_day(lake.STAGING_POSITIONS, day, positions(FIRST, (day - FIRST).days, vehicles))
            for table in (lake.STAGING_VISIT_LEGS, lake.STAGING_DECLARED_RUNS):
                self._lake.write_day(table, day, empty_frame(table))
        self._found = self._computed(vehicles)  # loads the compiled passes
        self._lake.write_day(facts.TRIP_WINDOW, FIRST, self._found["trips"])

    def chunk_s(self, size: int) -> float:
        """Processor time of a chunk of so many vehicles."""
        return _least(lambda: self._computed(size), self._repeat)

    def write_s(self) -> float:
        """Processor time of joining and writing the day's tables in the lake."""

        def write() -> None:
            for name, table in WINDOW_PARTS.items():
                self._lake.write_day(table, FIRST, self._found[name])

        return _least(write, self._repeat)

    def result_bytes(self) -> int:
        """Size of the day's tables as they come back from a chunk."""
        return sum(table.nbytes for table in self._found.values())

    def _computed(self, size: int) -> dict[str, pa.Table]:
        vehicles = DayVehicles(FIRST, DEFAULT_PARAMETERS, cut_fleet(self._reference, (), size)[0])
        read, legs, runs, trips = (
            LakeDays(self._lake, table, [FIRST])
            for table in (
                lake.STAGING_POSITIONS,
                lake.STAGING_VISIT_LEGS,
                lake.STAGING_DECLARED_RUNS,
                facts.TRIP_WINDOW,
            )
        )
        kept = WindowPositions(read, is_kept=False)
        windows = WindowOfDay(kept, legs, runs, self._reference)
        devices = DevicesOfDay(kept, trips, runs, self._reference)
        sent = [SentVehicles(vehicles, work.files(FIRST), code_version()) for work in (windows, devices)]
        return InArrow(windows, WINDOW_PARTS)(sent[0]) | InArrow(devices, DEVICE_PARTS)(sent[1])


def _least(work: Callable[[], object], repeat: int) -> float:
    """Processor seconds of the pass that took the least."""

    def timed() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return min(timed() for _ in range(repeat))


def _large_reference(vehicles: int) -> Reference:
    """A reference with nothing but so many vehicles and their devices."""
    plates = [f"P{number:07d}" for number in range(vehicles)]
    devices = pd.DataFrame({"device_id": [f"D{number:07d}" for number in range(vehicles)], "plate": plates})
    return Reference.of({"vehicles": pd.DataFrame({"plate": plates}), "devices": devices})


def _row_group_s(repeat: int) -> float:
    """Processor time per row group that a chunk reads the statistics of, and not the rows."""
    sink = pa.BufferOutputStream()
    row = empty_frame(lake.STAGING_POSITIONS).reindex([0]).assign(device_id="D0000001")
    rows = pa.Table.from_pandas(row, schema=_nullable(arrow_schema(lake.STAGING_POSITIONS)), preserve_index=False)
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        for _ in range(ROW_GROUPS):
            writer.write_table(rows)
    content, wanted = sink.getvalue(), TextFilter("device_id", pa.array(["D0000002"]))
    read = lambda: _rows_of_groups(pq.ParquetFile(pa.BufferReader(content)), ["device_id"], wanted)  # noqa: E731
    return _least(read, repeat) / ROW_GROUPS


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def _task_s(master: str) -> tuple[float, float]:
    """Processor time of a task that does nothing, and of the session with two of them, Java's included."""
    adopt_orphans()
    few, many = (processor_time_s(_SPARK, master, str(tasks))[0] for tasks in TASKS)
    return (many - few) / (TASKS[1] - TASKS[0]), few


if __name__ == "__main__":
    main()

"""Days of positions from staging to priced trips as one run: processor time and peak memory, by days and processes.

    python -m benchmarks.range_of_days --days 1 --days 8 --days 30

The product's own assets through Dagster, on a real PostgreSQL, with their checks: windows, trips, ledger, coverage,
costs, devices, audit. Every range runs in a process of its own, which does nothing else, once for each number of
processes (FLEET_DAY_PROCESSES); the staging that it reads is written before. Times are of all processes but PostgreSQL,
memory of all together. That each number of processes gave the same files and rows is compared.
"""

from __future__ import annotations

import atexit
import datetime as dt
import hashlib
import itertools
import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import click
import dagster as dg
import numpy as np
import pandas as pd
import psutil

from benchmarks.small_day import adopt_orphans, processor_time_s
from fleet_audit.cli.environment import dagster_home
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import FACTS, TRIP_WINDOW
from fleet_audit.schema.lake import (
    LEGS,
    OBSERVED_SPANS,
    ODOMETER_EVENTS,
    READINGS,
    REJECTED_POINTS,
    STAGING_POSITIONS,
)
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

FIRST = dt.date(2025, 6, 2)
PERIOD_S = 30
GROUPS = ("trips", "costs", "devices", "audit")
BEFORE = ("reference", "ingestion", "staging")
TRIPS_A_DAY, KMH, STANDS_S = 6, 45, 3 * 3600
METRES_PER_DEGREE = 111_195
_PROGRAM = """
import json, sys
from pathlib import Path
from benchmarks import range_of_days
name, home, *arguments = json.loads(sys.argv[1])
print(json.dumps(getattr(range_of_days, name)(Path(home), *arguments)))
"""


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles, each with a position every 30 s.")
@click.option("--days", "ranges", multiple=True, type=int, default=[1, 8], show_default=True, help="Days of a run.")
@click.option(
    "--processes", "pools", multiple=True, type=int, default=[1, 2], show_default=True, help="FLEET_DAY_PROCESSES."
)
def main(vehicles: int, ranges: tuple[int, ...], pools: tuple[int, ...]) -> None:
    """Write staging, run each range, print."""
    home = Path(tempfile.mkdtemp(prefix="range"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # after the server in it has been stopped
    ensure_running(home)  # in this process: the server stays for the others
    write_reference(home / "inbox" / "reference", vehicles)
    adopt_orphans()  # those from here on: not the server
    _in_process("run_days", home, BEFORE, max(ranges))
    _in_process("write_staging", home, vehicles, max(ranges))
    _in_process("run_days", home, GROUPS, 1)  # compiles
    print(f"{vehicles} vehicles, {vehicles * 86_400 // PERIOD_S:,} positions a day\n")
    print("days in one run  processes  processor s    a day   wall s  peak MB    trips")
    expected: dict[int, str] = {}
    for days, processes in itertools.product(ranges, pools):
        measured = _in_process("run_days", home, GROUPS, days, processes)
        processor_s = measured["processor_s"] - measured["before_s"]
        print(
            f"{days:>15} {processes:>10} {processor_s:>12.1f} {processor_s / days:>8.2f} {measured['wall_s']:>8.1f} "
            f"{measured['peak_mb']:>8} {measured['trips']:>8,}",
            flush=True,
        )
        found = _in_process("digest", home, days)["digest"]
        if expected.setdefault(days, found) != found:
            raise SystemExit(f"{processes} processes gave other rows or files than {pools[0]}.")


def _in_process(name: str, home: Path, *arguments: object) -> dict:
    """What a function of this module gives in a process of its own, with the processor time of all that it started."""
    processor_s, printed = processor_time_s(_PROGRAM, json.dumps([name, str(home), *arguments]))
    return {"processor_s": processor_s, **(json.loads(printed) or {})}


def run_days(home: Path, groups: tuple[str, ...], days: int, processes: int = 1) -> dict[str, float]:
    """Materialize these groups over so many days as one run; what it took."""
    os.environ |= {
        "FLEET_HOME": str(home),
        "FLEET_INBOX_URL": str(home / "inbox"),
        "FLEET_DAY_PROCESSES": str(processes),
    }
    dagster_home(load_settings())
    from fleet_audit.definitions import build_definitions  # reads the settings: only now are they complete
    from fleet_audit.defs.catalog import group_of
    from fleet_audit.defs.run_tags import range_tags

    definitions = build_definitions()
    job = definitions.resolve_job_def("day")
    day_keys = job.asset_layer.executable_asset_keys
    wanted = [
        spec.key
        for spec in definitions.resolve_all_asset_specs()
        if spec.group_name in map(group_of, groups) and spec.key in day_keys
    ]
    peak_mb, wall_s, before_s = [0], time.perf_counter(), time.process_time()
    threading.Thread(target=_watch_memory, args=(peak_mb,), daemon=True).start()
    with dg.DagsterInstance.get() as instance:
        run = job.execute_in_process(
            instance=instance,
            asset_selection=wanted,
            tags=range_tags(FIRST, FIRST + dt.timedelta(days=days - 1)),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        )
    rows = [
        event.materialization.metadata["dagster/row_count"].value
        for event in run.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["fact", "trip_costs"])
    ]
    return {
        "before_s": before_s,
        "wall_s": time.perf_counter() - wall_s,
        "peak_mb": peak_mb[0],
        "trips": rows[0] if rows else 0,  # every partition of a range holds the sum
    }


def _watch_memory(peak_mb: list[int]) -> None:
    """Keep the most memory that this process and those that it started held together, five times a second."""
    while True:
        own, total = psutil.Process(), 0
        for process in (own, *own.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        peak_mb[0] = max(peak_mb[0], total >> 20)
        time.sleep(0.2)


def digest(home: Path, days: int) -> dict[str, str]:
    """SHA-256 over the files of the lake and the rows of `fact` that a run of so many days gave."""
    lake, warehouse = Lake(Settings(_env_file=None, home=home)), Warehouse(ensure_running(home))
    sha256 = hashlib.sha256()
    for table in (TRIP_WINDOW, LEGS, OBSERVED_SPANS, REJECTED_POINTS, READINGS, ODOMETER_EVENTS):
        for day in _days(days):
            sha256.update(str(lake.sha256(lake.partition_path(table, day))).encode())
    for fact in FACTS:
        rows = warehouse.read_partition(fact, _days(days)).drop(columns=["run_id", "updated_at"])
        sha256.update(rows.to_csv(index=False).encode())
    return {"digest": sha256.hexdigest()}


def _days(days: int) -> list[dt.date]:
    return [FIRST + dt.timedelta(days=number) for number in range(days)]


def write_staging(home: Path, vehicles: int, days: int) -> None:
    """`staging.positions` of the windows of so many days."""
    lake = Lake(Settings(_env_file=None, home=home))
    for offset in range(-2, days + 1):
        lake.write_day(STAGING_POSITIONS, FIRST + dt.timedelta(days=offset), positions(FIRST, offset, vehicles))


def positions(first: dt.date, offset: int, vehicles: int) -> pd.DataFrame:
    """A day of a fleet that reports every 30 s and drives to the mill or back six times."""
    count = 86_400 // PERIOD_S
    second = np.arange(count) * PERIOD_S
    chance = np.random.default_rng(offset + 1000)
    vehicle = np.arange(vehicles)
    km = 8 + vehicle % 25
    way = np.empty((vehicles, count))  # km driven today
    for one in vehicle:
        starts = 4 * 3600 + one % 60 * 60 + np.arange(TRIPS_A_DAY) * STANDS_S
        knots = np.column_stack([starts, starts + km[one] / KMH * 3600]).ravel()
        driven = np.repeat(np.arange(TRIPS_A_DAY + 1), 2)[1:-1] * km[one]
        way[one] = np.interp(second, knots, driven)
    turn, rest = np.divmod(way, km[:, None])
    away = np.where(turn % 2 == 0, rest, km[:, None] - rest)  # km from the garage
    drift = chance.normal(0, 4, (2, vehicles, count)) / METRES_PER_DEGREE
    speed = np.append(np.zeros((vehicles, 1)), np.diff(way), axis=1) * 3600 / PERIOD_S
    day = first + dt.timedelta(days=offset)
    midnight = pd.Timestamp(day, tz=PARTITION_ZONE).tz_convert("UTC")
    number = np.repeat(vehicle, count)
    return conform(
        pd.DataFrame(
            {
                "date": day,
                "device_id": pd.Series([f"dev-{one:05d}" for one in vehicle]).to_numpy(dtype=object)[number],
                "recorded_at": (midnight + pd.to_timedelta(np.tile(second, vehicles), unit="s")).as_unit("us"),
                "latitude": (-22.5 + away * 1000 / METRES_PER_DEGREE + drift[0]).ravel(),
                "longitude": (-52.1 + drift[1]).ravel(),
                "speed_kmh": speed.ravel().round(),
                "odometer_km": ((offset + 10) * TRIPS_A_DAY * km[:, None] + way).ravel().round(1),
                "driver_id": np.array([f"drv-{one:05d}" for one in range(vehicles)], dtype=object)[number],
                "source": "api",
                "file_sha256": "0" * 64,
                "file_name": "benchmark",
                "row_number": np.arange(1, vehicles * count + 1),
            }
        ),
        STAGING_POSITIONS,
    )


def write_reference(folder: Path, vehicles: int) -> None:
    """What prices the trips: one unit, one contract, a garage, and a mill of each length of way."""
    folder.mkdir(parents=True)
    since = "2025-01-01"
    plates = [f"{chr(ord('A') + at // 10_000)}AA{at % 10_000:04d}" for at in range(vehicles)]
    ways = sorted({8 + one % 25 for one in range(vehicles)})
    tables = {
        "units": ("unit_code,name,timezone,cost_center", ["UCP,Conquista,America/Sao_Paulo,CC-1"]),
        "carriers": ("carrier_code,name", ["UM,Transportadora Um"]),
        "contracts": (
            "contract_id,carrier_code,unit_code,kind,deadhead_rule,deadhead_cap_pct,trip_tolerance_pct,"
            "trip_tolerance_km,day_tolerance_pct,cycle_tolerance_pct,valid_from,valid_to",
            [f"CT-1,UM,UCP,contrato,unpaid,,10,1,10,5,{since},"],
        ),
        "vehicles": (
            "plate,fleet_number,carrier_code,unit_code,contract_id,vehicle_class,default_area,seats,status,valid_from,"
            "valid_to",
            [f"{plate},{at},UM,UCP,CT-1,onibus,IND,46,ativo,{since}," for at, plate in enumerate(plates)],
        ),
        "devices": (
            "device_id,plate,valid_from,valid_to", [f"dev-{at:05d},{plate},{since}," for at, plate in enumerate(plates)]
        ),
        "pois": (
            "poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,address_pattern,valid_from,valid_to",
            [f"GAR,UCP,Garagem,garagem,-22.5,-52.1,300,,,{since},"]
            + [f"USI{km},UCP,Usina {km},usina,{-22.5 + km * 1000 / METRES_PER_DEGREE:.6f},-52.1,300,,,{since},"
               for km in ways],
        ),
        "shifts": (
            "unit_code,shift_code,start_local,end_local,weekdays,tolerance_min",
            ["UCP,A,07:00,15:20,1-7,90", "UCP,B,15:20,23:40,1-7,90", "UCP,C,23:40,07:00,1-7,90"],
        ),
        "tariffs": (
            "tariff_id,contract_id,route_code,vehicle_class,area,regime,rate_brl_per_km,valid_from,valid_to",
            [f"T-1,CT-1,,onibus,,,5,{since},"],
        ),
    }  # fmt: skip
    for name, (header, rows) in tables.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

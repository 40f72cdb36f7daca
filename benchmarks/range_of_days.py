"""Days of positions from staging to priced trips as one run: processor time and peak memory, for a day and for many.

    python -m benchmarks.range_of_days --days 1 --days 4 --days 30

The product's own assets through Dagster, on a real PostgreSQL, with their checks: windows, trips, ledger, coverage,
costs. Every range runs in a process of its own, which does nothing else; the staging that it reads is written before.
"""

from __future__ import annotations

import atexit
import datetime as dt
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import click
import dagster as dg
import numpy as np
import pandas as pd

from fleet_audit.cli.environment import dagster_home
from fleet_audit.logic.primitives.window import PARTITION_ZONE
from fleet_audit.schema.derive import conform
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.lake import Lake

FIRST = dt.date(2025, 6, 2)
PERIOD_S = 30
GROUPS = ("trips", "costs")
BEFORE = ("reference", "ingestion")
TRIPS_A_DAY, KMH, STANDS_S = 6, 45, 3 * 3600
METRES_PER_DEGREE = 111_195
_SPAWNED = multiprocessing.get_context("spawn")


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles, each with a position every 30 s.")
@click.option("--days", "ranges", multiple=True, type=int, default=[1, 4], show_default=True, help="Days of a run.")
def main(vehicles: int, ranges: tuple[int, ...]) -> None:
    """Write staging, run each range, print."""
    home = Path(tempfile.mkdtemp(prefix="range"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # after the server in it has been stopped
    ensure_running(home)  # in this process: the server stays for the others
    write_reference(home / "inbox" / "reference", vehicles)
    _in_process(write_staging, home, vehicles, max(ranges))
    _in_process(run_days, home, BEFORE, 1)
    _in_process(run_days, home, GROUPS, 1)  # compiles
    print(f"{vehicles} vehicles, {vehicles * 86_400 // PERIOD_S:,} positions a day\n")
    print("days in one run  processor s    a day   wall s  peak MB   before    trips")
    for days in ranges:
        measured = _in_process(run_days, home, GROUPS, days)
        print(
            f"{days:>15} {measured['cpu_s']:>12.1f} {measured['cpu_s'] / days:>8.2f} {measured['wall_s']:>8.1f} "
            f"{measured['peak_mb']:>8} {measured['before_mb']:>8} {measured['trips']:>8,}",
            flush=True,
        )


def _in_process(work: Callable[..., dict | None], *arguments: object) -> dict:
    """In a process of its own; this one stays small, because a child's peak is at least what its parent held."""
    mine, theirs = _SPAWNED.Pipe()
    process = _SPAWNED.Process(target=_send_result, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    result: dict = mine.recv()
    process.join()
    return result


def _send_result(results: Connection, work: Callable[..., dict | None], arguments: tuple[object, ...]) -> None:
    results.send(work(*arguments))


def run_days(home: Path, groups: tuple[str, ...], days: int) -> dict[str, float]:
    """Materialize these groups over so many days as one run; what it took."""
    os.environ |= {"FLEET_HOME": str(home), "FLEET_INBOX_URL": str(home / "inbox")}
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
    before, wall_s, cpu_s = _peak_mb(), time.perf_counter(), time.process_time()
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
        "cpu_s": time.process_time() - cpu_s,
        "wall_s": time.perf_counter() - wall_s,
        "peak_mb": _peak_mb(),
        "before_mb": before,
        "trips": rows[0] if rows else 0,  # every partition of a range holds the sum
    }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


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

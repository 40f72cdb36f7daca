"""`python -m fleet_audit.cli.prepare`: what every process needs and the package's cache folders keep, made at install.

The bytecode of the package (1 s of processor time), the compiled functions of trips and devices (30 s), the lineage
and compiled templates of the SQL models (1 s), Dagster's empty databases (0.5 s), and the data folder that each
embedded PostgreSQL starts from (3 s), unless `--no-database` says that none will be used. Without it the first run
makes all but the databases where it may write them, and each new home its own databases. Compiled functions of earlier
releases that no process has used for 30 days are removed.
"""

from __future__ import annotations

import compileall
import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numba
import numpy as np
import pandas as pd

import fleet_audit
from fleet_audit.cli.lines import write_warning
from fleet_audit.logic.devices.device_health import device_day
from fleet_audit.logic.primitives.compiled import remove_unused_folders
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.logic.trips.reported.movements import counted_movements
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.marts.project import load_project
from fleet_audit.schema import lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.storage.embedded.dagster_template import make_databases
from fleet_audit.storage.embedded.server import keep_as_template

_MIGRATED = """
import sys
from pathlib import Path
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade
upgrade(ensure_running(Path(sys.argv[1])))
"""
_DAY = dt.date(2025, 6, 10)
_ROWS: dict[Table, list[dict[str, object]]] = {
    reference.UNITS: [{"unit_code": "U", "timezone": PARTITION_ZONE}],
    reference.VEHICLES: [{"plate": "AAA1A11", "unit_code": "U"}],
    reference.DEVICES: [{"device_id": device, "plate": "AAA1A11"} for device in ("D1", "D2")],
    reference.POIS: [
        {"poi_id": "P", "unit_code": "U", "kind": "garagem", "latitude": -22, "longitude": -51, "radius_m": 300}
    ],
}


def compile_functions() -> None:
    """Call each compiled function with its types: a day of one vehicle with two devices, a movement reported twice.

    Their coordinates are rounded, which some of the functions are for.
    """
    tables = Reference.of({table.name: _frame(table, rows) for table, rows in _ROWS.items()})
    positions = pd.concat([_drive("D1", "m-1", decimals=3), _drive("D2", None, decimals=2)], ignore_index=True)
    backwards, twice = positions[::-1], pd.concat([positions, positions])
    window = build_window(_DAY, backwards, empty_frame(lake.STAGING_VISIT_LEGS), tables, DEFAULT_PARAMETERS)
    runs = empty_frame(lake.STAGING_DECLARED_RUNS)
    device_day(_DAY, [PositionArrays.of_frame(twice)], window.trips, runs, tables, DEFAULT_PARAMETERS)
    counted_movements(_twice_reported())


def _frame(table: Table, rows: list[dict[str, object]]) -> pd.DataFrame:
    empty = dict.fromkeys(table.column_names)
    return conform(pd.DataFrame([{**empty, **row} for row in rows], dtype=object), table)


def _drive(device: str, trip_key: str | None, decimals: int) -> pd.DataFrame:
    """`staging.positions` of a device that stands for an hour, drives 40 km and stands again, each 30 s.

    Its receiver loses the place for some minutes.
    """
    moved_km = np.clip(np.arange(360) - 120, 0, 120) / 3
    rows = pd.DataFrame(dict.fromkeys(lake.STAGING_POSITIONS.column_names), index=range(len(moved_km)), dtype=object)
    rows = rows.assign(
        device_id=device,
        recorded_at=pd.date_range(f"{_DAY} 09:00", periods=len(moved_km), freq="30s", tz="UTC"),
        date=_DAY,
        latitude=np.where(abs(moved_km - 20) < 2, np.nan, (-22 + moved_km / 111.2).round(decimals)),
        longitude=-51.0,
        odometer_km=1000 + moved_km.round(1),
        speed_kmh=0.0,
        trip_key=trip_key,
        source="api",
        file_sha256="f",
        file_name="f",
        row_number=1,
    )
    return conform(rows, lake.STAGING_POSITIONS)


def _twice_reported() -> pd.DataFrame:
    """One movement as two visit reports have it, with what `counted_movements` reads."""
    departed = pd.Timestamp(f"{_DAY} 06:00")
    movement = {
        "plate": "AAA1A11",
        "departed_local": departed,
        "arrived_local": departed + pd.Timedelta(minutes=30),
        "reported_km": 11.2,
        "received_at": pd.Timestamp(_DAY, tz="UTC"),
        "reported_until": departed + pd.Timedelta(minutes=30),
        "row_number": 1,
    }
    return pd.DataFrame([{**movement, "file_sha256": name, "file_name": name} for name in ("a", "b")])


def make_database_template() -> None:
    """Make and migrate an embedded database in a process of its own, whose end stops the server, and keep its folder.

    Where no server can be started, one sentence says so: what uses another PostgreSQL is installed all the same.
    """
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _MIGRATED, home], capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            write_warning(f"No embedded PostgreSQL can be prepared here, each home makes its own: {reason}")
        else:
            keep_as_template(Path(home))


@click.command()
@click.option("--no-database", is_flag=True, help="Prepare no embedded PostgreSQL: FLEET_WAREHOUSE_URL names another.")
def main(*, no_database: bool) -> None:
    """Make what the first run would make, or every new home."""
    compileall.compile_dir(Path(fleet_audit.__file__).parent, quiet=1)
    compile_functions()
    remove_unused_folders(Path(numba.config.CACHE_DIR))  # type: ignore[attr-defined]
    load_project()
    make_databases()
    if not no_database:
        make_database_template()


if __name__ == "__main__":
    main()

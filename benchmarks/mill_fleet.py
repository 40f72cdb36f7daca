"""A fleet that reports every 30 s and drives to a mill and back: staging and reference made in memory, for benchmarks.

Only its rows are made here; what is measured on them belongs to the benchmarks.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from fleet_audit.schema.derive import conform
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.schema.partition import PARTITION_ZONE

PERIOD_S = 30
TRIPS_A_DAY, KMH, STANDS_S = 6, 45, 3 * 3600
METRES_PER_DEGREE = 111_195


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

"""Vehicles made by hand for one day, as the simulator would never write them: an inbox of files and nothing else.

The day of each: parked at the garage, 24 km east to the mill, parked, 24 km back. What is wrong with its device,
odometer or declaration is one function that changes the reports of that day.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

DAY = dt.date(2025, 6, 10)
_MIDNIGHT = dt.datetime(2025, 6, 10, 3, tzinfo=dt.UTC)  # local midnight of São Paulo
_LATITUDE, _GARAGE, _MILL = -22.4, -52.1, -51.866548  # 24.000 km on the sphere of RULES section 2
WAY_KM = 24.0
HOUR = 3600.0


@dataclass(frozen=True)
class Report:
    """One position: seconds after local midnight, degrees, km, km/h; None is absent."""

    at_s: float
    latitude: float | None
    longitude: float | None
    odometer_km: float
    speed_kmh: float
    ignition: bool | None

    @property
    def is_driving(self) -> bool:
        return self.speed_kmh > 0


@dataclass(frozen=True)
class Run:
    """A declared run: departure and arrival in local hours, whole km."""

    departs_h: float
    arrives_h: float
    km: int = 24


Track = list[Report]
TWO_TRIPS = (6.0, 15.5)
FOUR_TRIPS = (6.0, 9.0, 12.0, 15.5)


def driven(
    seed: int, *, step_s: float = 30, kmh: float = 50, departures_h: Sequence[float] = TWO_TRIPS, counts: float = 1.0,
    decimals: int = 1, noise_deg: float = 5e-6, first_km: float = 1000.0,
) -> Track:  # fmt: skip
    """The reports of an honest day from the afternoon before to the morning after; parked, one every 10 min."""
    noise, found, odometer, place, at = random.Random(seed), [], first_km, 0.0, -9 * HOUR

    def report(at_s: float, share: float, km: float, speed: float, ignition: bool) -> None:
        found.append(
            Report(
                at_s,
                _LATITUDE + noise.gauss(0, noise_deg),
                _GARAGE + (_MILL - _GARAGE) * share + noise.gauss(0, noise_deg),
                round(km, decimals),
                speed,
                ignition,
            )
        )

    for departs_h in (*departures_h, 29.0):
        while at < departs_h * HOUR:
            report(at, place, odometer, 0, False)
            at += 600
        if departs_h == 29.0:
            break
        start, lasts, origin = departs_h * HOUR, WAY_KM / kmh * HOUR, place
        report(start, origin, odometer, 0, True)
        at = start + step_s
        while at < start + lasts:
            share = (at - start) / lasts
            report(at, abs(origin - share), odometer + WAY_KM * counts * share, kmh, True)
            at += step_s
        odometer, place, at = odometer + WAY_KM * counts, 1.0 - origin, float(int(start + lasts))
        report(at + 30, place, odometer, 0, True)
        report(at + 200, place, odometer, 0, False)
        at += 600
    return found


def drive_of(track: Track, before_h: float = 12.0) -> list[int]:
    """Indexes of the moving reports of the first trip."""
    return [index for index, report in enumerate(track) if report.is_driving and report.at_s < before_h * HOUR]


def changed(track: Track, which: Iterable[int], **fields: object) -> Track:
    """The track with the fields of some reports replaced."""
    chosen = set(which)
    return [replace(report, **fields) if index in chosen else report for index, report in enumerate(track)]  # type: ignore[arg-type]


def each(track: Track, change: Callable[[Report], Report]) -> Track:
    """The track with every report changed."""
    return [change(report) for report in track]


def later(track: Track, seconds: float) -> Track:
    """The track of a device whose clock is ahead by so many seconds."""
    return each(track, lambda report: replace(report, at_s=report.at_s + seconds))


def stuck(track: Track, which: Sequence[int]) -> Track:
    """The receiver repeats the place before `which` while time and odometer go on."""
    held = track[which[0] - 1]
    return changed(track, which, latitude=held.latitude, longitude=held.longitude)


def carried(track: Track, kmh: float, ignition: bool, carried_km: float) -> Track:
    """In the middle of the first trip the bus is carried for some km, its odometer still; then it drives on."""
    middle = drive_of(track)[24]
    boarding, per_km = track[middle], (_MILL - _GARAGE) / WAY_KM
    assert boarding.longitude is not None
    done_km = (boarding.longitude - _GARAGE) / per_km
    found, at = track[: middle + 1], boarding.at_s
    for _ in range(int(carried_km / kmh * HOUR / 30)):
        at += 30
        done_km = min(done_km + kmh * 30 / HOUR, WAY_KM)
        found.append(Report(at, _LATITUDE, _GARAGE + per_km * done_km, boarding.odometer_km, kmh, ignition))
    odometer = boarding.odometer_km
    while done_km < WAY_KM - 0.4:
        at += 30
        done_km, odometer = done_km + 50 * 30 / HOUR, odometer + 50 * 30 / HOUR
        found.append(Report(at, _LATITUDE, _GARAGE + per_km * done_km, round(odometer, 1), 50, True))
    odometer += WAY_KM - done_km
    found += [Report(at + 60 + wait, _LATITUDE, _MILL, round(odometer, 1), 0, wait == 0) for wait in (0, 180)]
    missing = 1000 + WAY_KM - round(odometer, 1)
    rest = [report for report in track if report.at_s > at + 300]
    return found + each(rest, lambda report: replace(report, odometer_km=round(report.odometer_km - missing, 1)))


@dataclass(frozen=True)
class Vehicle:
    """A hand-made vehicle and what is right of it; `findings` are rule ids, those in brackets may be there or not.

    `km`: service km of the day; None is not asserted. `kind` names what is unusual.
    """

    kind: str
    tracks: tuple[Track, ...]
    km: float | None = 48.0
    methods: str = "odometer"
    findings: str = ""
    runs: tuple[Run, ...] = (Run(6.0, 6.483), Run(15.5, 15.983))
    is_balanced: bool | None = True
    within_km: float = 0.05


def write_inbox(folder: Path, vehicles: Sequence[Vehicle]) -> dict[str, str]:
    """Writes reference tables, telemetry files and one bulletin; returns the plate of each kind."""
    plates = {vehicle.kind: f"BAT{number // 100}A{number % 100:02}" for number, vehicle in enumerate(vehicles)}
    devices = [(f"{9000 + number}{place}", plates[vehicle.kind], track)
               for number, vehicle in enumerate(vehicles) for place, track in enumerate(vehicle.tracks)]  # fmt: skip
    tables = {
        "units": ["unit_code,name,timezone,cost_center", "UCP,Unidade,America/Sao_Paulo,CC-1"],
        "carriers": ["carrier_code,name", "CON,Concordia"],
        "contracts": [
            "contract_id,carrier_code,unit_code,kind,deadhead_rule,deadhead_cap_pct,trip_tolerance_pct,trip_tolerance_km,"
            "day_tolerance_pct,cycle_tolerance_pct,valid_from,valid_to",
            "CT1,CON,UCP,contrato,unpaid,,10,1,10,5,2025-01-01,",
        ],
        "vehicles": [
            "plate,fleet_number,carrier_code,unit_code,contract_id,vehicle_class,default_area,seats,status,titular_plate,"
            "valid_from,valid_to",
            *(f"{plate},{37000 + number},CON,UCP,CT1,onibus,IND,46,ativo,,2025-01-01,"
              for number, plate in enumerate(plates.values())),
        ],
        "devices": [
            "device_id,plate,valid_from,valid_to",
            *(f"{name},{plate},2025-01-01," for name, plate, _ in devices),
        ],
        "pois": [
            "poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,address_pattern,valid_from,valid_to",
            f"GAR,UCP,Garagem,garagem,{_LATITUDE},{_GARAGE},300,,,2025-01-01,",
            f"USI,UCP,Usina,usina,{_LATITUDE},{_MILL},1000,,,2025-01-01,",
        ],
        "shifts": ["unit_code,shift_code,start_local,end_local,weekdays,tolerance_min", "UCP,A,00:00,23:59,1-7,720"],
        "tariffs": [
            "tariff_id,contract_id,route_code,vehicle_class,area,regime,rate_brl_per_km,valid_from,valid_to",
            "T1,CT1,,onibus,IND,,5.00,2025-01-01,",
        ],
    }  # fmt: skip
    for name in ("reference", "telemetry", "bulletins"):
        (folder / name).mkdir(parents=True)
    for name, lines in tables.items():
        (folder / "reference" / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = [_telemetry_row(name, report) for name, _, track in devices for report in track]
    for number, start in enumerate(range(0, len(rows), 40_000)):
        head = ("deviceId,timestamp,tipoVeiculo,odometroKm,custoVariavel,custoFixo,viagemId,latitude,longitude,"
                "velocidadeKmh,ignicao,motoristaId,passageiros")  # fmt: skip
        _write(folder / "telemetry" / f"positions_{number}.csv", head, rows[start : start + 40_000])
    head = ("NUMERO ATA,PLACA,EQUIPAMENTO,DATA,CÓDIGO,LOCAL SAÍDA,HORÁRIO SAÍDA,TURNO,KM SAÍDA,QTDE PESSOAS,CÓDIGO2,"
            "LOCAL CHEGADA,HORÁRIO CHEGADA,KM CHEGADA,KM ROTA,TAXA LOTAÇÃO,EMPRESA")  # fmt: skip
    _write(folder / "bulletins" / "boletim.csv", head, _bulletin_rows(vehicles, plates))
    return plates


def _telemetry_row(device: str, report: Report) -> list[object]:
    at = (_MIDNIGHT + dt.timedelta(seconds=report.at_s)).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    place = ["" if degrees is None else f"{degrees:.6f}" for degrees in (report.latitude, report.longitude)]
    ignition = {None: "", True: "true", False: "false"}[report.ignition]
    return [device, at, "urbano", report.odometer_km, 0, 0, "", *place, report.speed_kmh, ignition, "", ""]


def _bulletin_rows(vehicles: Sequence[Vehicle], plates: dict[str, str]) -> list[list[object]]:
    rows: list[list[object]] = []
    for number, vehicle in enumerate(vehicles):
        odometer = 1000
        for run in vehicle.runs:
            ends = ("GARAGEM", "USINA") if run.departs_h in (6.0, 12.0) or run.departs_h < 7 else ("USINA", "GARAGEM")
            rows.append([len(rows) + 1, plates[vehicle.kind], 37000 + number, DAY.strftime("%d/%m/%Y"), "", ends[0],
                         _clock(run.departs_h), "A", odometer, 20, "", ends[1], _clock(run.arrives_h),
                         odometer + run.km, run.km, 0, "CON"])  # fmt: skip
            odometer += run.km
    return rows


def _clock(hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _write(path: Path, head: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(head + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)

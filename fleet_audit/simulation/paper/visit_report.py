"""The vendor's "Relatório de visita diário" for simulated movements, in the layout of the real export.

Here belongs the layout. Which movements happened is in `schedule`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from typing import NamedTuple

from fleet_audit.simulation.devices.motion import odometer_tenths
from fleet_audit.simulation.planning.roster import Vehicle
from fleet_audit.simulation.planning.trips import Movement, Trip
from fleet_audit.simulation.planning.world import Place

COLUMNS = 13
HEADER = (
    "Data de saída", "Motorista", "Horário de saída", "Saída de", "Tempo de Condução (hh:mm:ss)", "distância (km)",
    "Vel max (Km/h)", "Hora de chegada", "Chegou em", "", "", "Próxima Partida",
    "Tempo parado na localidade. (hh:mm:ss)",
)  # fmt: skip


class Block(NamedTuple):
    """One vehicle's part: its movements, and when it moves next after them (epoch seconds), if that is known."""

    vehicle: Vehicle
    device_id: str
    movements: list[tuple[Trip, Movement]]
    next_s: int | None


def visit_report(carrier_name: str, day: dt.date, blocks: list[Block], seed: int) -> bytes:
    """One local day of one carrier as CSV bytes: UTF-8, CRLF, decimal comma, clock of each vehicle's unit.

    Args:
        carrier_name: for the title.
        day: on which the movements start.
        blocks: vehicles that moved.
        seed: of house numbers and unknown drivers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    date = day.strftime("%d/%m/%Y")
    title = (
        f"Relatório de visita diário\n{carrier_name.upper()} \n\n"
        f"De {date} 00:00 Para  {date} 23:59 Movimentos entre 00:00 e 23:59"
    )
    writer.writerows([[title] + [""] * (COLUMNS - 1), [""] * COLUMNS, [""] * COLUMNS])
    for block in blocks:
        noise = random.Random(f"{seed}/report/{block.vehicle.index}/{day}")
        writer.writerows(_rows(block, noise))
    return text.getvalue().encode()


def _rows(block: Block, noise: random.Random) -> list[list[str]]:
    vehicle, plate = block.vehicle, block.vehicle.plate
    spelled = (f"{plate[:3]}-{plate[3:]}", f"{plate[:3]}- {plate[3:]}", plate)[vehicle.index % 3]
    description = f"{vehicle.unit.town}|{vehicle.fleet_number}|{spelled} - DVR"
    rows = [
        ["Descrição do ativo", "", description],
        ["Número de registro", "", plate],
        ["ID do ativo", "", block.device_id],
        ["Nome da garagem", "", vehicle.unit.town],
        list(HEADER),
    ]
    departures = [*[movement.start_s for _, movement in block.movements[1:]], block.next_s]
    driving_s = tenths = stopped_s = 0
    for (trip, movement), departs_s in zip(block.movements, departures, strict=True):
        waited_s = 0 if departs_s is None else departs_s - movement.end_s
        moved = _tenths(vehicle, movement)
        rows.append(_row(vehicle, trip, movement, moved, departs_s, noise))
        driving_s, tenths, stopped_s = (
            driving_s + movement.end_s - movement.start_s, tenths + moved, stopped_s + waited_s)  # fmt: skip
    count = len(block.movements)
    for label, share in (("Totais", 1), ("Médias", count)):
        rows.append([label, "", "", "", _clock(driving_s // share), _km(tenths / share), "", "", "", "", "", "",
                     _clock(stopped_s // share)])  # fmt: skip
    return [row + [""] * (COLUMNS - len(row)) for row in rows]


def _row(vehicle: Vehicle, trip: Trip, movement: Movement, tenths: int, departs_s: int | None,
         noise: random.Random) -> list[str]:  # fmt: skip
    start, end = (_local(vehicle, second) for second in (movement.start_s, movement.end_s))
    driver = "Unknown" if trip.driver_id is None or noise.random() < 0.05 else f"MOTORISTA {trip.driver_id}"
    if trip.purpose == "maintenance":
        driver = f"MOTORISTA {vehicle.index:05d} manutenção."
    following = "" if departs_s is None else _local(vehicle, departs_s).strftime("%d/%m/%Y %H:%M")
    return [
        start.strftime("%d/%m/%Y"), driver, start.strftime("%H:%M:%S"), _address(vehicle, movement.origin, noise),
        _clock(movement.end_s - movement.start_s), _km(tenths), str(movement.top_kmh), end.strftime("%H:%M:%S"),
        _address(vehicle, movement.destination, noise), "", "", following,
        "" if departs_s is None else _clock(departs_s - movement.end_s),
    ]  # fmt: skip


def _tenths(vehicle: Vehicle, movement: Movement) -> int:
    return odometer_tenths(vehicle, movement.driven_to_m) - odometer_tenths(vehicle, movement.driven_from_m)


def _local(vehicle: Vehicle, second: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(second, tz=vehicle.unit.zone)


def _address(vehicle: Vehicle, place: Place, noise: random.Random) -> str:
    unit = vehicle.unit
    number = "" if place.kind in ("usina", "frente") else f", {noise.randrange(10, 900)}"
    return f"{place.street}{number}, {unit.town} - {unit.state}, {unit.postcode}, Brasil"


def _km(tenths: float) -> str:
    return f"{tenths / 10:.2f}".replace(".", ",")


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

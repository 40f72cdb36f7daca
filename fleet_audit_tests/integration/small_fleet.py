"""Files of a fleet small enough to reckon by hand: one garage, one mill 11.12 km to the north, four buses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet_audit_tests.formats.samples import BULLETIN_HEADER, TELEMETRY_HEADER

DAY = dt.date(2025, 6, 10)
GARAGE, MILL = "Rua da Garagem, 1, Teodoro Sampaio - SP", "Rodovia da Usina, km 5, Mirante - SP"
# plate -> device; the rest of each is in REFERENCE
PAID, SEEN_TWICE, WITHOUT_CONTRACT, WITHOUT_TARIFF = "AAA1A11", "BBB2B22", "CCC3C33", "DDD4D44"
DEVICES = {PAID: "1", SEEN_TWICE: "2", WITHOUT_CONTRACT: "3", WITHOUT_TARIFF: "4"}
RATE_BRL_PER_KM = 5
REFERENCE = {
    "units": "unit_code,name,timezone,cost_center\nUCP,Conquista,America/Sao_Paulo,CC-1\n",
    "carriers": "carrier_code,name\nUM,Transportadora Um\n",
    "contracts": "contract_id,carrier_code,unit_code,kind,deadhead_rule,deadhead_cap_pct,trip_tolerance_pct,"
    "trip_tolerance_km,day_tolerance_pct,cycle_tolerance_pct,valid_from,valid_to\n"
    "CT-1,UM,UCP,contrato,unpaid,,10,1,10,5,2025-01-01,\n"
    "CT-2,UM,UCP,contrato,unpaid,,10,1,10,5,2025-01-01,2025-05-31\n",
    "vehicles": "plate,fleet_number,carrier_code,unit_code,contract_id,vehicle_class,default_area,seats,status,"
    "valid_from,valid_to\n"
    f"{PAID},101,UM,UCP,CT-1,onibus,IND,46,ativo,2025-01-01,\n"
    f"{SEEN_TWICE},102,UM,UCP,CT-1,onibus,IND,46,ativo,2025-01-01,\n"
    f"{WITHOUT_CONTRACT},103,UM,UCP,CT-2,onibus,IND,46,ativo,2025-01-01,\n"
    f"{WITHOUT_TARIFF},104,UM,UCP,CT-1,van,IND,15,ativo,2025-01-01,\n",
    "devices": "device_id,plate,valid_from,valid_to\n"
    + "".join(f"{device},{plate},2025-01-01,\n" for plate, device in DEVICES.items()),
    "pois": "poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,address_pattern,valid_from,valid_to\n"
    "GAR,UCP,Garagem,garagem,-22.5,-52.1,300,,Rua da Garagem,2025-01-01,\n"
    "USI,UCP,Usina,usina,-22.4,-52.1,500,,Rodovia da Usina,2025-01-01,\n",
    "shifts": "unit_code,shift_code,start_local,end_local,weekdays,tolerance_min\n"
    "UCP,A,07:00,15:20,1-7,90\nUCP,B,15:20,23:40,1-7,90\nUCP,C,23:40,07:00,1-7,90\n",
    "tariffs": "tariff_id,contract_id,route_code,vehicle_class,area,regime,rate_brl_per_km,valid_from,valid_to\n"
    f"T-1,CT-1,,onibus,,,{RATE_BRL_PER_KM},2025-01-01,\nT-2,CT-2,,onibus,,,{RATE_BRL_PER_KM},2025-01-01,\n",
}
_VISIT_HEADER = (
    "Data de saída,Motorista,Horário de saída,Saída de,Tempo de Condução (hh:mm:ss),distância (km),Vel max (Km/h),"
    "Hora de chegada,Chegou em,,,Próxima Partida,Tempo parado na localidade. (hh:mm:ss)"
)


@dataclass(frozen=True)
class Move:
    """A movement as a visit report has it; times HH:MM of the day, km with a decimal point."""

    leaves: str
    origin: str
    km: str
    arrives: str
    destination: str

    def cells(self, day: dt.date) -> str:
        """Its row."""
        minutes = _minutes(self.arrives) - _minutes(self.leaves)
        took = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
        return (
            f'{day:%d/%m/%Y},Unknown,{self.leaves}:00,"{self.origin}",{took},"{self.km.replace(".", ",")}",80,'
            f'{self.arrives}:00,"{self.destination}",,,,00:10:00'
        )


def to_work(km: str = "11.20") -> Move:
    """Garage to mill, arriving for the early shift."""
    return Move("06:30", GARAGE, km, "06:45", MILL)


def from_work(km: str = "11.20") -> Move:
    """Mill to garage after the early shift."""
    return Move("15:30", MILL, km, "15:45", GARAGE)


def visit_report(moves: dict[str, Sequence[Move]], day: dt.date = DAY) -> bytes:
    """The telematics vendor's report of these vehicles."""
    lines = [
        f'"Relatório de visita diário\nUM\n\nDe {day:%d/%m/%Y} 00:00 Para {day:%d/%m/%Y} 23:59 Movimentos entre '
        '00:00 e 23:59",,,,,,,,,,,,'
    ]
    for plate, rows in moves.items():
        lines += [
            f"Descrição do ativo,,Um {plate},,,,,,,,,,",
            f"Número de registro,,{plate},,,,,,,,,,",
            f"ID do ativo,,{DEVICES[plate]},,,,,,,,,,",
            "Nome da garagem,,Teodoro Sampaio,,,,,,,,,,",
            _VISIT_HEADER,
            *(row.cells(day) for row in rows),
        ]
    return "\n".join([*lines, ""]).encode()


def run_row(number: int, plate: str, leaves: str, arrives: str, declared_km: int, day: dt.date = DAY) -> str:
    """A row of a bulletin: one declared run from the garage to the mill."""
    return (
        f"{number},{plate},,{day:%d/%m/%Y},,GARAGEM,{leaves},A,1000,18,,USINA,{arrives},{1000 + declared_km},"
        f"{declared_km},0,UM"
    )


def bulletin(*rows: str) -> bytes:
    """A carrier's daily declarations."""
    return "\n".join([BULLETIN_HEADER, *rows, ""]).encode()


def drive(plate: str, leaves: str, day: dt.date = DAY) -> list[str]:
    """Rows of a telemetry file: ten minutes at the garage, 11.12 km at 60 km/h to the mill, ten minutes there."""
    start = dt.datetime.combine(day, dt.time.fromisoformat(leaves), dt.timezone(dt.timedelta(hours=-3)))
    rows = []
    for second in range(-600, 680 + 600, 20):
        share = min(max(second, 0) / 680, 1.0)
        at, km = start + dt.timedelta(seconds=second), 11.12 * share
        speed = 60 if 0 < share < 1 else 0
        rows.append(
            f"{DEVICES[plate]},{at.isoformat()},urbano,{50_000 + km:.1f},0,0,,{-22.5 + 0.1 * share:.6f},-52.1,{speed},"
            "true,,18"
        )
    return rows


def telemetry(rows: Iterable[str]) -> bytes:
    """Positions by file."""
    return "\n".join([TELEMETRY_HEADER, *rows, ""]).encode()


def write_inbox(inbox: Path, files: dict[str, bytes]) -> Path:
    """An inbox with the reference tables and these files, by their path in it."""
    for name, content in {f"reference/{name}.csv": text.encode() for name, text in REFERENCE.items()}.items():
        _write(inbox / name, content)
    for name, content in files.items():
        _write(inbox / name, content)
    return inbox


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])

"""The labels and column headers of a visit report, in the vendor's spelling and in the company's data dictionary.

Where they stand in a report is found in `layout`.
"""

from __future__ import annotations

import re

from fleet_audit.formats.table.spelling import header_name
from fleet_audit.logic.primitives.identity import fold

LABELS = {
    "descricao do ativo": "asset_description",
    "numero de registro": "plate",
    "id do ativo": "device_id",
    "nome da garagem": "garage_name",
}
HEADERS = {
    "departed_date": "Data de saída",
    "driver": "Motorista",
    "departed_time": "Horário de saída",
    "origin_address": "Saída de",
    "driving": "Tempo de Condução (hh:mm:ss)",
    "km": "distância (km)",
    "max_speed": "Vel max (Km/h)",
    "arrived_time": "Hora de chegada",
    "destination_address": "Chegou em",
    "next_departure": "Próxima Partida",
    "stopped": "Tempo parado na localidade. (hh:mm:ss)",
}
REQUIRED = ("departed_date", "departed_time", "km", "arrived_time")
_SYNONYMS = {
    "departed_time": ("Hora de saída",),
    "max_speed": ("Velocidade máxima", "Vel. máx", "Velocidade max"),
    "arrived_time": ("Horário de chegada",),
    "driving": ("Tempo de direção",),
    "km": ("Km",),
    "stopped": ("Tempo parado",),
}
_UNIT = re.compile(r"\([^)]*\)|[.]")
# Units in brackets that a column is read in; in another one it is another column: distances under `distância (mi)` were
# paid as kilometres. A time may be written in any form.
_UNITS = {"km": ("km", "kms", "quilometros"), "max_speed": ("km/h", "kmh", "km / h", "km")}
_BRACKETED = re.compile(r"\(([^)]*)\)")


def _without_unit(header: str) -> str:
    return header_name(_UNIT.sub(" ", header))


_COLUMNS = {
    _without_unit(spelling): name for name, header in HEADERS.items() for spelling in (header, *_SYNONYMS.get(name, ()))
}
DATE_HEADER = _without_unit(HEADERS["departed_date"])
VOCABULARY = {*LABELS, *(header_name(header) for header in HEADERS.values())}


def columns_of(header: list[str]) -> dict[str, int]:
    """Position of each column of HEADERS in a header row; dots are ignored, and a distance in another unit than km."""
    found: dict[str, int] = {}
    for position, cell in enumerate(header):
        name = _COLUMNS.get(_without_unit(cell))
        if name and not _is_in_another_unit(name, cell):
            found.setdefault(name, position)
    return found


def _is_in_another_unit(name: str, cell: str) -> bool:
    unit = _BRACKETED.search(cell)
    return unit is not None and name in _UNITS and fold(unit[1]) not in _UNITS[name]


def spelling_warnings(header: list[str]) -> list[str]:
    """One sentence on headers that are spelled otherwise than the vendor does, one on columns that are not there."""
    found = columns_of(header)
    other = [
        f"{header[position].strip()[:40]!r} as {HEADERS[name]!r}"
        for name, position in found.items()
        if header_name(header[position]) != header_name(HEADERS[name])
    ]
    absent = [HEADERS[name] for name in HEADERS if name not in found]
    return [
        *([f"Headers in another spelling were read: {', '.join(other)}."] if other else []),
        *([f"Columns that are not there were read as empty: {', '.join(absent)}."] if absent else []),
    ]

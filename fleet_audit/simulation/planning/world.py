"""The simulated country: units with their shifts, places, and the roads between them, all fixed by a seed.

Here belongs geography. Who drives where and when is in `roster` and `schedule`.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np

EARTH_M = 6_371_008.8
VERTEX_M = 60.0  # of a road: chords of a curve of 1 km radius are then 0.02 % short
HARVEST_MOVE_KM = 9.0
STREETS = (
    "Aurora", "Boa Vista", "Cerejeira", "Diamante", "Esmeralda", "Figueira", "Girassol", "Horizonte", "Ipiranga",
    "Jatobá", "Liberdade", "Macaúba", "Nogueira", "Oliveira", "Paineira", "Quaresmeira", "Redenção", "Sibipiruna",
    "Tamarindo", "Umbuzeiro", "Violeta", "Xavantes", "Zeferino", "Araçá",
)  # fmt: skip
KINDS_OF_STREET = ("Rua", "Av.", "Al.", "Tv.")
CARRIERS = (("TRANSUL", "Transul Fretamento"), ("VIAMATA", "Viação da Mata"), ("CANARIO", "Canário Turismo"))


@dataclass(frozen=True)
class Shift:
    """A shift of a unit, in minutes after local midnight."""

    code: str
    start_min: int
    end_min: int
    weekdays: str
    tolerance_min: int


@dataclass(frozen=True)
class Unit:
    """A mill: its zone, its town and its shifts."""

    code: str
    name: str
    timezone: str
    cost_center: str
    town: str
    state: str
    postcode: str
    latitude: float
    longitude: float
    shifts: tuple[Shift, ...]

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of its operational day."""
        return ZoneInfo(self.timezone)

    def shift(self, code: str) -> Shift:
        """The shift of that code."""
        return next(shift for shift in self.shifts if shift.code == code)


@dataclass(frozen=True, eq=False)
class Place:
    """A point of interest; one that moves has one `Place` a period, with the same `poi_id`. Compared by identity."""

    poi_id: str
    unit_code: str
    name: str
    kind: str
    latitude: float
    longitude: float
    radius_m: int
    street: str
    polygon_wkt: str = ""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


@dataclass(frozen=True)
class Road:
    """A polyline between two places; `base_m` is where it starts on the axis that all roads share."""

    base_m: float
    length_m: float


def _shifts(start_a: int, start_adm: int) -> tuple[Shift, ...]:
    day = 24 * 60
    a, b, c = start_a, start_a + 500, start_a + 1000
    return (
        Shift("A", a, b, "1-7", 90),
        Shift("B", b, c, "1-7", 90),
        Shift("C", c, (a + day) % day, "1-7", 90),
        Shift("ADM", start_adm, start_adm + 588, "1-5", 60),
    )


UNITS = (
    Unit("UCP", "Conquista do Pontal", "America/Sao_Paulo", "CC-1001", "Mirante do Paranapanema", "SP", "19260-000",
         -22.37, -52.11, _shifts(420, 480)),
    Unit("USL", "Santa Luzia", "America/Campo_Grande", "CC-2001", "Nova Alvorada do Sul", "MS", "79140-000",
         -21.44, -54.41, _shifts(375, 450)),
    Unit("UAL", "Alcídia", "America/Sao_Paulo", "CC-1002", "Teodoro Sampaio", "SP", "19280-000",
         -22.61, -52.36, _shifts(405, 465)),
    Unit("UEL", "Eldorado", "America/Campo_Grande", "CC-2002", "Rio Brilhante", "MS", "79130-000",
         -21.83, -54.02, _shifts(360, 435)),
)  # fmt: skip


class World:
    """Places and roads of all units.

    Args:
        seed: moves streets, fields and curves.
        moves_on: local day from which the third harvest front of each unit is elsewhere; None = it stays.
    """

    def __init__(self, seed: int, moves_on: dt.date | None) -> None:
        self._seed = seed
        self._roads: dict[tuple[Place, Place, float], Road] = {}
        self._at: list[np.ndarray] = []
        self._latitude: list[np.ndarray] = []
        self._longitude: list[np.ndarray] = []
        self._next_base_m = 0.0
        self.places = [place for number, unit in enumerate(UNITS) for place in _places(unit, number, seed, moves_on)]
        self._by_id: dict[str, list[Place]] = {}
        for place in self.places:
            self._by_id.setdefault(place.poi_id, []).append(place)

    def place(self, poi_id: str, day: dt.date) -> Place:
        """The place as it is on a local day."""
        for place in self._by_id[poi_id]:
            if (not place.valid_from or place.valid_from <= day) and (not place.valid_to or day <= place.valid_to):
                return place
        raise KeyError(f"{poi_id} is nowhere on {day}")

    def road(self, origin: Place, destination: Place, bow: float = 0.0) -> Road:
        """The road from one place to another; the same place twice gives a loop of 300-600 m round it.

        `bow` leads it so far beside the usual way, as a share of the chord.
        """
        key = (origin, destination, bow)
        if key not in self._roads:
            noise = random.Random(f"{self._seed}/road/{origin.poi_id}/{destination.poi_id}")
            points = _loop(origin, noise) if origin is destination else _curve(origin, destination, noise, bow)
            self._roads[key] = self._add(*points)
        return self._roads[key]

    def locate(self, at_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of points on the shared axis (`Road.base_m` + metres driven)."""
        axis = np.concatenate(self._at)
        return (
            np.interp(at_m, axis, np.concatenate(self._latitude)),
            np.interp(at_m, axis, np.concatenate(self._longitude)),
        )

    def _add(self, latitude: np.ndarray, longitude: np.ndarray) -> Road:
        along = np.concatenate(
            [[0.0], np.cumsum(distance_m(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:]))]
        )
        road = Road(self._next_base_m, float(along[-1]))
        self._at.append(self._next_base_m + along)
        self._latitude.append(latitude)
        self._longitude.append(longitude)
        self._next_base_m += road.length_m + 1000.0
        return road


def distance_m(lat1: np.ndarray, lon1: np.ndarray, lat2: np.ndarray, lon2: np.ndarray) -> np.ndarray:
    """Great-circle distance, metres, on the sphere of mean radius."""
    p1, p2 = np.radians(lat1), np.radians(lat2)
    half = np.sin((p2 - p1) / 2) ** 2 + np.cos(p1) * np.cos(p2) * np.sin(np.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * np.arcsin(np.sqrt(half))


def offset(latitude: float, longitude: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The point so many metres east and north."""
    degrees = 180 / math.pi / EARTH_M
    return latitude + north_m * degrees, longitude + east_m * degrees / math.cos(math.radians(latitude))


def _curve(origin: Place, destination: Place, noise: random.Random, bow: float) -> tuple[np.ndarray, np.ndarray]:
    """A smooth road: sines of 6 km and longer beside the chord, nothing at the ends; up to 10 % longer than it."""
    chord_m = float(distance_m(*(np.array(x) for x in (
        origin.latitude, origin.longitude, destination.latitude, destination.longitude))))  # fmt: skip
    share = np.linspace(0.0, 1.0, max(8, int(chord_m / VERTEX_M)))
    sways = [noise.uniform(-1, 1) * 0.075 / waves for waves in range(1, 1 + max(1, min(6, int(chord_m / 3000))))]
    lateral_m = math.copysign(bow, sways[0]) * chord_m * np.sin(math.pi * share)  # the other side would be less far
    for waves, sway in enumerate(sways, start=1):
        lateral_m += sway * chord_m * np.sin(math.pi * waves * share)
    scale = math.cos(math.radians(origin.latitude))
    north = destination.latitude - origin.latitude
    east = (destination.longitude - origin.longitude) * scale
    length = math.hypot(north, east)
    degrees = lateral_m * 180 / math.pi / EARTH_M
    return (
        origin.latitude + share * north - degrees * east / length,
        origin.longitude + (share * east + degrees * north / length) / scale,
    )


def _loop(place: Place, noise: random.Random) -> tuple[np.ndarray, np.ndarray]:
    radius_m = noise.uniform(50, 90)
    angle = np.linspace(0, 2 * math.pi, 24)
    degrees = radius_m * 180 / math.pi / EARTH_M
    return (
        place.latitude + degrees * np.sin(angle),
        place.longitude + degrees * (np.cos(angle) - 1) / math.cos(math.radians(place.latitude)),
    )


def _places(unit: Unit, number: int, seed: int, moves_on: dt.date | None) -> list[Place]:
    noise = random.Random(f"{seed}/places/{unit.code}")
    streets = [f"{KINDS_OF_STREET[number]} {name}" for name in noise.sample(STREETS, len(STREETS))]
    bearing = _outwards(unit) + noise.uniform(-math.pi / 4, math.pi / 4)
    distance = noise.uniform(23_000, 29_000)
    town = offset(unit.latitude, unit.longitude, distance * math.cos(bearing), distance * math.sin(bearing))
    places = [_mill(unit)]
    places += _fronts(unit, bearing, noise, moves_on)
    # Places of the town on a grid of 1.3 km, so that no two circles touch.
    slots = [(column * 1300.0, row * 1300.0) for column in range(-2, 3) for row in range(-2, 2)]
    kinds = ["garagem"] * len(CARRIERS) + ["oficina", "alojamento", "posto"] + ["ponto"] * 8
    radius_m = {"garagem": 250, "oficina": 150, "alojamento": 150, "posto": 100, "ponto": 130}
    counts: dict[str, int] = {}
    for kind, (east_m, north_m), street in zip(kinds, noise.sample(slots, len(kinds)), streets, strict=False):
        counts[kind] = counts.get(kind, 0) + 1
        latitude, longitude = offset(*town, east_m + noise.uniform(-150, 150), north_m + noise.uniform(-150, 150))
        code = f"{kind[:3].upper()}-{unit.code}-{counts[kind]}"
        name = f"{kind.capitalize()} {street}"
        places.append(
            Place(code, unit.code, name, kind, round(latitude, 6), round(longitude, 6), radius_m[kind], street)
        )
    return places


def _outwards(unit: Unit) -> float:
    """Bearing from the nearest other mill (radians, 0 = east).

    A town on that side and its roads stay clear of the other's fronts: a vehicle that halts in a place is in that
    place, whichever unit registered it, and the truth knows of no such visits.
    """
    scale = math.cos(math.radians(unit.latitude))
    ways = [((unit.longitude - other.longitude) * scale, unit.latitude - other.latitude) for other in UNITS
            if other is not unit]  # fmt: skip
    east, north = min(ways, key=lambda way: math.hypot(*way))
    return math.atan2(north, east)


def _mill(unit: Unit) -> Place:
    corners = [offset(unit.latitude, unit.longitude, east, north) for east, north in (
        (-900, -700), (1000, -600), (900, 800), (-800, 700), (-900, -700))]  # fmt: skip
    polygon = "POLYGON ((" + ", ".join(f"{lon:.6f} {lat:.6f}" for lat, lon in corners) + "))"
    return Place(f"USI-{unit.code}", unit.code, f"Usina {unit.name}", "usina", unit.latitude, unit.longitude, 1000,
                 f"Rodovia da Usina {unit.name}", polygon)  # fmt: skip


def _fronts(unit: Unit, bearing: float, noise: random.Random, moves_on: dt.date | None) -> list[Place]:
    fronts = []
    for number, turn in enumerate((1.2, 2.5, -1.6), start=1):
        reach = noise.uniform(10_000, 15_000)
        angle = bearing + turn + noise.uniform(-0.2, 0.2)
        where = offset(unit.latitude, unit.longitude, reach * math.cos(angle), reach * math.sin(angle))
        fronts.append(Place(
            f"FRE-{unit.code}-{number}", unit.code, f"Frente {unit.code} {number}", "frente", round(where[0], 6),
            round(where[1], 6), 1200, f"Estrada Municipal {unit.code} {100 + number}"))  # fmt: skip
    if moves_on:
        before = fronts.pop()
        where = offset(before.latitude, before.longitude, -HARVEST_MOVE_KM * 1000 * math.sin(bearing - 1.6),
                       HARVEST_MOVE_KM * 1000 * math.cos(bearing - 1.6))  # fmt: skip
        fronts.append(replace(before, valid_to=moves_on - dt.timedelta(days=1)))
        fronts.append(replace(before, latitude=round(where[0], 6), longitude=round(where[1], 6), valid_from=moves_on,
                              street=f"Estrada Municipal {unit.code} 204"))  # fmt: skip
    return fronts

"""A made-up vehicle to drive along a meridian, and the positions that its device reports of it.

Only what the tests of segmentation, trips, ledger and windows need; distances are exact on the sphere.
"""

from __future__ import annotations

import datetime as dt
import math
from functools import cache

import numpy as np
import pandas as pd
from hypothesis import Phase, settings
from hypothesis import strategies as st

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS, ParameterSet
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import DayWindow, build_window
from fleet_audit.logic.trips.kernels.sphere import EARTH_RADIUS_M
from fleet_audit.logic.trips.segmentation import Segmentation, segment
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.points import clean_tracks
from fleet_audit.logic.trips.track.position_arrays import PositionArrays
from fleet_audit.logic.trips.track.tracks import build_tracks
from fleet_audit.schema import lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)
ZONE = "America/Sao_Paulo"
PLATE, DEVICE = "AAA1A11", "D1"
LATITUDE, LONGITUDE = -22.0, -51.0  # of metre 0
DEGREE_M = EARTH_RADIUS_M * math.pi / 180
# Where places lie on the road, metres from its beginning.
GARAGE, POINT, MILL, FRONT, WORKSHOP = 0.0, 5_000.0, 20_000.0, 40_000.0, 60_000.0
NOWHERE = 10_000.0
# A window costs 0.3 s however small it is: several vehicles an example, and no search for a smaller one that fails.
NO_SHRINKING = settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))


def at(clock: str, day: dt.date = DAY) -> float:
    """Local `06:15` or `06:15:30` as seconds since 1970; hours beyond 24 are the days after."""
    hour, minute, second = (int(part) for part in (*clock.split(":"), "0")[:3])
    midnight = pd.Timestamp(day, tz=ZONE).timestamp()
    return midnight + 3600 * hour + 60 * minute + second


class Bus:
    """Drives north from a point of the road; each call adds what the device reports meanwhile.

    The odometer reads in steps of `resolution_km`, the first point is where and when the bus stands at the beginning.
    """

    def __init__(self, when: str | float = "05:00", where: float = GARAGE, *, odometer_km: float = 1000.0,
                 resolution_km: float = 0.1, driver: str | None = "M1", device: str = DEVICE) -> None:  # fmt: skip
        self.seconds = at(when) if isinstance(when, str) else when
        self.metres, self.driven_m = where, 0.0
        self.start_km, self.resolution_km = odometer_km, resolution_km
        self.driver, self.device, self.passengers = driver, device, None
        self.vehicle: int | None = None
        self.records: list[dict[str, object]] = []
        self.report()

    def report(self, **changed: object) -> Bus:
        """One position, now and here; `off_m`, `east_m` put it elsewhere than the bus is."""
        off_m, east_m = (float(changed.pop(name, 0.0)) for name in ("off_m", "east_m"))  # type: ignore[arg-type]
        read = math.floor((self.start_km + self.driven_m / 1000) / self.resolution_km + 1e-6) * self.resolution_km
        self.records.append({
            "device_id": self.device, "recorded_at": self.seconds, "odometer_km": round(read, 6),
            "latitude": LATITUDE + (self.metres + off_m) / DEGREE_M,
            "longitude": LONGITUDE + east_m / DEGREE_M / math.cos(math.radians(LATITUDE)),
            "speed_kmh": 0.0, "driver_id": self.driver, "passengers": self.passengers, **changed,
        })  # fmt: skip
        return self

    def stand(self, seconds: float, every: float = 30) -> Bus:
        """Stand still, reporting."""
        return self._pass(seconds, 0.0, every)

    def park(self, seconds: float) -> Bus:
        """Stand still, reporting every 10 minutes."""
        return self._pass(seconds, 0.0, 600)

    def go(self, metres: float, kmh: float = 36, every: float = 30) -> Bus:
        """Drive at an even speed, reporting; negative metres are south."""
        return self._pass(abs(metres) * 3.6 / kmh, metres, every)

    def to(self, where: float, kmh: float = 60) -> Bus:
        """Drive to a place."""
        return self.go(where - self.metres, kmh)

    def unseen(self, seconds: float, metres: float = 0.0) -> Bus:
        """Let time pass and move without a report, then report."""
        return self._pass(seconds, metres, seconds)

    def _pass(self, seconds: float, metres: float, every: float) -> Bus:
        start_s, start_m, driven_m = self.seconds, self.metres, self.driven_m
        for passed in [*np.arange(every, seconds - 1e-6, every), seconds]:
            share = passed / seconds
            self.seconds, self.metres = start_s + passed, start_m + share * metres
            self.driven_m = driven_m + share * abs(metres)
            self.report(speed_kmh=abs(metres) / seconds * 3.6)
        return self

    def positions(self) -> pd.DataFrame:
        """`staging.positions`."""
        return staged(self.records)


def timetable_day(day: dt.date, *, noise: int | None = None, first: str = "05:00", **where: object) -> Bus:
    """Out to the front and back; `noise` seeds 0.5 m of it across the road, which changes no length."""
    bus = Bus(at(first, day), **where).park(at("06:00", day) - at(first, day))  # type: ignore[arg-type]
    bus.to(NOWHERE).stand(200).to(FRONT).park(3600).to(GARAGE).park(1800)
    if noise is not None:
        off = np.random.default_rng(noise).normal(0, 0.5 / DEGREE_M, len(bus.records))
        for record, east in zip(bus.records, off, strict=True):
            record["longitude"] += east  # type: ignore[operator]
    return bus


def staged(records: list[dict[str, object]]) -> pd.DataFrame:
    """`staging.positions` of records whose recorded_at is in seconds."""
    frame = pd.DataFrame(records, columns=list(lake.STAGING_POSITIONS.column_names))
    instants = pd.to_datetime((frame["recorded_at"].astype(float) * 1e6).round().astype("int64"), unit="us", utc=True)
    dates = instants.dt.tz_convert(ZONE).dt.date
    frame = frame.assign(recorded_at=instants, date=dates, source="api", file_sha256="f", file_name="p", row_number=1)
    return conform(frame, lake.STAGING_POSITIONS)


def place(poi_id: str, kind: str, metres: float, radius_m: float = 300) -> dict[str, object]:
    """A circle on the road."""
    return {
        "poi_id": poi_id, "unit_code": "UCP", "name": poi_id, "kind": kind, "radius_m": radius_m,
        "latitude": LATITUDE + metres / DEGREE_M, "longitude": LONGITUDE, "address_pattern": f"Rua {poi_id}",
    }  # fmt: skip


POIS = (
    place("GAR", "garagem", GARAGE), place("PON", "ponto", POINT), place("USI", "usina", MILL, 1000),
    place("FRE", "frente", FRONT), place("OFI", "oficina", WORKSHOP),
)  # fmt: skip


def world(*devices: dict[str, object], pois: tuple[dict, ...] = POIS, zone: str = ZONE) -> Reference:
    """Reference tables: one unit, two vehicles with a device each, five places; `devices` replace these."""
    devices = devices or ({"device_id": DEVICE, "plate": PLATE}, {"device_id": "D2", "plate": "BBB2B22"})
    vehicle = {"unit_code": "UCP", "carrier_code": "CAR", "contract_id": "CT1", "vehicle_class": "onibus",
               "default_area": "IND", "status": "ativo"}  # fmt: skip
    plates = sorted({str(device["plate"]) for device in devices})
    frames = {
        "units": rows(reference.UNITS, {"unit_code": "UCP", "timezone": zone}),
        "vehicles": rows(reference.VEHICLES, *({**vehicle, "plate": plate} for plate in plates)),
        "devices": rows(reference.DEVICES, *devices),
        "pois": rows(reference.POIS, *pois),
    }
    return Reference.of(frames)


@cache
def _usual_world() -> Reference:
    """Made once, and asked once for its vehicles and zones of a day: a fifth of the time of a window."""
    return world()


def segmented(bus: Bus, pois: tuple[dict, ...] = POIS, parameters: ParameterSet = DEFAULT_PARAMETERS) -> Segmentation:
    """Stops and legs of what a bus reported."""
    tables = world(pois=pois)
    spans = assignments(tables.devices, pd.Series([ZONE] * len(tables.devices)))
    places = Places(tables.pois)
    tracks = clean_tracks(build_tracks([PositionArrays.of_frame(bus.positions())], spans, DAY), places, parameters)
    return segment(tracks, places, parameters)


def window(
    positions: pd.DataFrame | Bus, visits: pd.DataFrame | None = None, *, day: dt.date = DAY,
    tables: Reference | None = None, runs: pd.DataFrame | None = None,
) -> DayWindow:  # fmt: skip
    """The window of a day."""
    return build_window(
        day,
        positions.positions() if isinstance(positions, Bus) else positions,
        empty_frame(lake.STAGING_VISIT_LEGS) if visits is None else visits,
        _usual_world() if tables is None else tables,
        DEFAULT_PARAMETERS,
        runs,
    )


def trips_of(positions: pd.DataFrame | Bus, **more: object) -> pd.DataFrame:
    """The day's trips that are no yard, in order of start, km as floats."""
    trips = window(positions, **more).trips  # type: ignore[arg-type]
    trips = trips[(trips["purpose"] != "yard") & (trips["operational_date"] == more.get("day", DAY))]
    return trips.assign(km=trips["km_measured"].astype(float)).sort_values("started_at").reset_index(drop=True)


@st.composite
def fleets(draw: st.DrawFn, most: int = 6) -> list[Bus]:
    """Vehicles that drive about, stop for any time, fall silent; each with a device of its own (D1, D2, ...)."""
    buses = []
    for number in range(draw(st.integers(2, most))):
        begin = draw(st.sampled_from(["04:17", "11:00", "20:30", "22:45"]))
        resolution_km = draw(st.sampled_from([0.01, 0.1, 1.0]))
        bus = Bus(begin, odometer_km=1234.56, resolution_km=resolution_km, device=f"D{number + 1}").park(1800)
        for _ in range(draw(st.integers(0, 9))):
            where = draw(st.sampled_from([GARAGE, POINT, NOWHERE, MILL, FRONT, WORKSHOP]))
            if where != bus.metres:
                bus.to(where, draw(st.sampled_from([30.0, 45.0, 77.0])))
            bus.driver = draw(st.sampled_from(["M1", "M2", None]))
            getattr(bus, draw(st.sampled_from(["park", "stand", "unseen"])))(draw(st.integers(20, 5000)))
        buses.append(bus.park(3600))
    return buses


SENTINEL_KM = 4_294_967.295  # 2^32 - 1 m
_SPOILS: dict[str, dict[str, object]] = {
    "null island": {"latitude": 0.0, "longitude": 0.0},
    "out of range": {"latitude": 91.0, "longitude": 181.0},
    "no coordinates": {"latitude": None, "longitude": None},
    "zero": {"odometer_km": 0.0},
    "sentinel": {"odometer_km": SENTINEL_KM},
    "no reading": {"odometer_km": None},
}


@st.composite
def spoilt_fleets(draw: st.DrawFn, most: int = 4) -> list[Bus]:
    """`fleets` whose devices lose fixes or readings, repeat a place, or share a vehicle with a second one (T1)."""
    buses = draw(fleets(most=most))
    twins = []
    for number, bus in enumerate(buses):
        bus.vehicle = number
        if draw(st.booleans()):
            twins.append(_twin(bus, draw(st.sampled_from([0.0, 7.0, 400.0])), draw(st.booleans())))
    for bus in [*buses, *twins]:
        for _ in range(draw(st.integers(0, 3))):
            first = draw(st.integers(0, len(bus.records) - 1))
            last = min(first + draw(st.sampled_from([1, 2, 5, 30, 200])), len(bus.records))
            kind = draw(st.sampled_from([*_SPOILS, "repeated"]))
            places = {name: bus.records[first][name] for name in ("latitude", "longitude")}
            for record in bus.records[first:last]:
                record |= _SPOILS.get(kind, places)
    return [*buses, *twins]


def _twin(bus: Bus, later_s: float, is_dying: bool) -> Bus:
    """A second device of the same vehicle, with another odometer; a dying one reports the second half only."""
    twin = Bus(bus.seconds, device=f"T{bus.device[1:]}")
    records = bus.records[len(bus.records) // 2 if is_dying else 0 :]
    twin.vehicle = bus.vehicle
    twin.records = [
        record
        | {
            "device_id": twin.device,
            "recorded_at": record["recorded_at"] + later_s,  # type: ignore[operator]
            "odometer_km": record["odometer_km"] + 50_000,  # type: ignore[operator]
        }
        for record in records
    ]
    return twin


def reported(buses: list[Bus]) -> pd.DataFrame:
    """Positions of all of them."""
    return staged([record for bus in buses for record in bus.records])


def registered(buses: list[Bus]) -> list[dict[str, object]]:
    """A plate for each one's device, that of its vehicle where it has a number."""
    numbers = [number if bus.vehicle is None else bus.vehicle for number, bus in enumerate(buses)]
    return [
        {"device_id": bus.device, "plate": f"AAA1A{number:02d}"} for number, bus in zip(numbers, buses, strict=True)
    ]

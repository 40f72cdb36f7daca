import json

import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.classification import classify
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import DRIVERS, POIS, ROUTES, SHIFTS
from fleet_audit_tests.logic.frames import REAL_DAY, needs_real_day, real_reference, rows, utc

KINDS = ("usina", "frente", "garagem", "alojamento", "ponto", "oficina", "posto")
PLACES = Places(rows(POIS, *({"poi_id": kind, "kind": kind, "name": f"Local {kind}"} for kind in KINDS)))
MECHANIC = rows(DRIVERS, {"driver_id": "drv-m", "is_maintenance": "true"}, {"driver_id": "drv-x"})
SHIFT = rows(SHIFTS, {"unit_code": "U", "shift_code": "A", "start_local": "07:00", "end_local": "15:00",
                      "tolerance_min": "30"})  # fmt: skip


def trip(origin: str | None, destination: str | None, **values: object) -> dict:
    return {
        "unit_code": "U",
        "timezone": "America/Sao_Paulo",
        "default_area": "IND",
        "started_at": utc("2025-06-10 09:00"),
        "ended_at": utc("2025-06-10 10:00"),
        "origin_poi_id": origin,
        "destination_poi_id": destination,
        "origin_text": None,
        "destination_text": None,
        "is_short": False,
        "km": 30.0,
        "is_maintenance_driver": False,
        "driver_id": None,
        "passengers_readings": 0,
        "passengers_max": None,
        "hidden_s": 0.0,
        "duration_s": 3600.0,
        "source": "positions",
        **values,
    }


def classified(*trips: dict, routes: pd.DataFrame | None = None, places: Places = PLACES) -> pd.DataFrame:
    frame = pd.DataFrame(list(trips)).astype({
        "started_at": "datetime64[us, UTC]", "ended_at": "datetime64[us, UTC]", "origin_text": "str",
        "destination_text": "str", "passengers_max": "Int64", "km": float,
    })  # fmt: skip
    return classify(frame, places, MECHANIC, SHIFT, empty_frame(ROUTES) if routes is None else routes,
                    DEFAULT_PARAMETERS)  # fmt: skip


def purpose(origin: str | None, destination: str | None, **values: object) -> str:
    return classified(trip(origin, destination, **values))["purpose"].iloc[0]


@pytest.mark.parametrize(
    ("origin", "destination", "expected"),
    [
        ("garagem", "usina", "service"),
        ("frente", "ponto", "service"),
        ("usina", "frente", "service"),
        (None, "usina", "service"),
        ("frente", None, "service"),
        ("usina", "usina", "service"),
        ("garagem", "ponto", "deadhead"),
        ("alojamento", "posto", "deadhead"),
        ("garagem", None, "unknown"),
        (None, None, "unknown"),
        ("usina", "oficina", "maintenance"),
        ("oficina", None, "maintenance"),
    ],
)
def test_the_places_at_both_ends_tell_the_purpose(origin: str | None, destination: str | None, expected: str) -> None:
    assert purpose(origin, destination) == expected


def test_a_short_movement_or_one_within_a_place_is_yard_before_all_else() -> None:
    assert purpose("oficina", "usina", is_short=True) == "yard"
    assert purpose("oficina", "oficina", km=0.99) == "yard"
    assert purpose("usina", "usina", km=1.0) == "service"
    assert purpose("usina", "usina", km=100.3 - 99.3) == "service"  # 0.9999999999999858 in binary
    assert purpose("usina", "usina", km=None) == "service"
    assert purpose(None, None, km=0.5) == "unknown"
    assert purpose("garagem", "usina", km=0.5) == "service"


def test_maintenance_drivers_make_maintenance_trips() -> None:
    assert purpose("garagem", "usina", driver_id="drv-m") == "maintenance"
    assert purpose("garagem", "usina", driver_id="drv-x") == "service"
    assert purpose("garagem", "usina", is_maintenance_driver=True) == "maintenance"


def test_a_bus_that_was_counted_empty_is_a_deadhead() -> None:
    assert purpose("garagem", "usina", passengers_readings=1, passengers_max=0) == "deadhead"
    assert purpose("garagem", "usina", passengers_readings=9, passengers_max=1) == "service"
    assert purpose("garagem", "usina", passengers_readings=0, passengers_max=None) == "service"
    assert purpose("garagem", "usina", passengers_readings=3, passengers_max=0, source="visit_report") == "service"
    assert purpose("garagem", "oficina", passengers_readings=3, passengers_max=0) == "maintenance"
    assert purpose("garagem", None, passengers_readings=3, passengers_max=0) == "unknown"


@pytest.mark.parametrize(
    ("hidden_s", "expected"),
    [(1801.0, "service"), (1800.0, "deadhead"), (0.0, "deadhead")],
    ids=["a silence hides most", "half was seen", "a position every 5 min"],
)
def test_readings_prove_no_empty_bus_where_silences_hide_most_of_the_trip(hidden_s: float, expected: str) -> None:
    readings = {"passengers_readings": 9, "passengers_max": 0}
    assert purpose("garagem", "usina", **readings, hidden_s=hidden_s) == expected


@pytest.mark.parametrize(
    ("origin", "destination", "area", "reason"),
    [
        ("garagem", "frente", "AGR", "destination_frente"),
        ("garagem", "usina", "IND", "destination_usina"),
        ("frente", "garagem", "AGR", "origin_frente"),
        ("usina", None, "IND", "origin_usina"),
        ("usina", "frente", "AGR", "destination_frente"),
        ("frente", "usina", "IND", "destination_usina"),
        ("garagem", "ponto", "AGR", "default_area"),
        (None, None, "AGR", "default_area"),
    ],
)
def test_the_workplace_end_tells_the_area(origin: str | None, destination: str | None, area: str, reason: str) -> None:
    row = classified(trip(origin, destination, default_area="AGR")).iloc[0]
    assert (row["area"], row["area_reason"]) == (area, reason)


def test_shifts_are_found_by_the_arrival_at_work_else_by_the_departure_from_it() -> None:
    leaving = {"started_at": utc("2025-06-10 18:10"), "ended_at": utc("2025-06-10 19:30")}
    at_seven_between_workplaces = trip("usina", "frente")
    found = classified(
        trip("garagem", "usina"), trip("usina", "garagem", **leaving), trip("usina", None, **leaving),
        trip("garagem", "ponto"), at_seven_between_workplaces, trip("usina", "frente", **leaving),
    )["shift_code"]  # fmt: skip
    assert found.fillna("-").tolist() == ["A", "A", "A", "-", "A", "-"]


def test_a_place_has_the_kind_of_the_day_of_that_end() -> None:
    dated = Places(rows(
        POIS,
        {"poi_id": "usina", "kind": "ponto", "valid_to": "2025-06-10"},
        {"poi_id": "usina", "kind": "usina", "valid_from": "2025-06-11"},
    ))  # fmt: skip
    night = {"started_at": utc("2025-06-11 02:30"), "ended_at": utc("2025-06-11 03:30")}  # 23:30 to 00:30 local
    out, home = trip(None, "usina", **night), trip("usina", None, **night)
    assert classified(out, home, places=dated)["purpose"].tolist() == ["service", "unknown"]


def test_routes_by_places_and_by_text_and_none_for_yard() -> None:
    routes = rows(
        ROUTES,
        {"route_code": "R1", "unit_code": "U", "origin_poi_id": "garagem", "destination_poi_id": "usina"},
        {"route_code": "R2", "unit_code": "U", "keywords": "local;garagem;frente"},
    )
    found = classified(
        trip("garagem", "usina"), trip("garagem", "frente"), trip("garagem", "frente", is_short=True), routes=routes
    )
    assert found["route_code"].fillna("-").tolist() == ["R1", "R2", "-"]
    assert found["route_method"].fillna("-").tolist() == ["places", "text", "-"]


def test_no_trips_are_no_error() -> None:
    assert classified(trip(None, None)).columns[-6:].tolist() == [
        "purpose", "area", "area_reason", "shift_code", "route_code", "route_method",
    ]  # fmt: skip
    frame = classified(trip(None, None)).iloc[:0]
    assert len(classify(frame, PLACES, MECHANIC, SHIFT, empty_frame(ROUTES), DEFAULT_PARAMETERS)) == 0


@needs_real_day
def test_real_movements_have_the_expected_purposes() -> None:
    """Single movements of the real morning whose trips are one leg each, by address."""
    expected = json.loads((REAL_DAY / "expected.json").read_text())["vehicles"]
    places = Places(real_reference(POIS))
    mill = "Rodovia Gen. Euclides de O. Figueiredo, Mirante do Paranapanema - SP, 19260-000, Brasil"
    garage = "Avenida Cuiabá, 104, Teodoro Sampaio - SP, 19280-000, Brasil"
    legs = pd.DataFrame(
        [("KPU9A36", garage, mill, 30.2), ("SCH7D38", garage, mill, 27.6), ("SCH7D38", mill, garage, 28.9)],
        columns=["plate", "origin", "destination", "km"],
    )
    day = pd.Timestamp("2025-06-10").date()
    ends = zip(places.locate_address(legs["origin"], day), places.locate_address(legs["destination"], day),
               legs["km"], strict=True)  # fmt: skip
    found = classified(*(trip(a, b, km=km, source="visit_report") for a, b, km in ends), places=places)
    service = found["km"].where(found["purpose"] == "service").groupby(legs["plate"]).sum()
    for plate, km in service.items():
        assert f"{km:.2f}" == expected[plate]["service_km"]
    assert found["area"].tolist() == ["IND"] * 3

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.primitives.sphere import EARTH_RADIUS_M, distance_m
from fleet_audit.logic.reference.places import Places
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import POIS
from fleet_audit_tests.logic.frames import needs_real_day, real_reference, rows

DAY = dt.date(2025, 6, 10)
CENTRE = {"latitude": "-22.0", "longitude": "-52.0"}
SQUARE = "POLYGON((-52.01 -22.01, -51.99 -22.01, -51.99 -21.99, -52.01 -21.99, -52.01 -22.01))"


def located(pois: pd.DataFrame, latitude: float = -22.0, longitude: float = -52.0, day: object = DAY) -> str | None:
    return Places(pois).locate([latitude], [longitude], day)[0]


def north_of_centre(metres: float) -> float:
    return -22.0 + np.degrees(metres / EARTH_RADIUS_M)


def test_a_circle_is_measured_on_the_sphere_and_holds_its_rim() -> None:
    pois = rows(POIS, {"poi_id": "P", "kind": "ponto", "radius_m": "500", **CENTRE})
    assert located(pois, north_of_centre(499.99)) == "P"
    assert located(pois, north_of_centre(500.01)) is None
    rim = distance_m(np.array([-22.0]), np.array([-52.0]), np.array([-22.0]), np.array([-51.99]))[0]
    exact = rows(POIS, {"poi_id": "P", "kind": "ponto", "radius_m": rim, **CENTRE})
    assert located(exact, longitude=-51.99) == "P"


def test_the_polygon_replaces_the_circle_and_holds_its_edge() -> None:
    pois = rows(POIS, {"poi_id": "P", "kind": "frente", "radius_m": "99999", "polygon_wkt": SQUARE, **CENTRE})
    assert located(pois, -21.99, -52.0) == "P"
    assert located(pois, -21.989, -52.0) is None


def test_of_several_one_that_ends_trips_wins_then_the_smallest_then_the_first_id() -> None:
    big_mill = {"poi_id": "USINA", "kind": "usina", "radius_m": "5000", **CENTRE}
    stop = {"poi_id": "PONTO", "kind": "ponto", "radius_m": "50", **CENTRE}
    field = {"poi_id": "FRENTE", "kind": "frente", "polygon_wkt": SQUARE}
    twin = {**field, "poi_id": "FRENTE-2"}
    assert located(rows(POIS, stop, big_mill)) == "USINA"
    assert located(rows(POIS, big_mill, twin, field, stop)) == "FRENTE"
    assert located(rows(POIS, big_mill, {**big_mill, "poi_id": "GAR", "kind": "garagem", "radius_m": "300"})) == "GAR"


def test_a_place_counts_only_on_its_days() -> None:
    pois = rows(
        POIS,
        {"poi_id": "P", "kind": "frente", "radius_m": "100", "valid_to": "2025-06-09", **CENTRE},
        {"poi_id": "P", "kind": "frente", "radius_m": "100", "valid_from": "2025-06-11", **CENTRE},
    )
    days = pd.Series([dt.date(2025, 6, day) for day in (9, 10, 11)], dtype=object)
    found = Places(pois).locate(np.full(3, -22.0), np.full(3, -52.0), days)
    assert found.tolist() == ["P", None, "P"]


def test_points_without_coordinates_and_frames_without_rows_have_no_place() -> None:
    pois = rows(POIS, {"poi_id": "P", "kind": "ponto", "radius_m": "1e6", **CENTRE}, {"poi_id": "Q", "kind": "ponto"})
    assert located(pois, np.nan, -52.0) is None
    assert located(pois, -22.0, np.nan) is None
    assert located(empty_frame(POIS)) is None
    assert len(Places(pois).locate([], [], pd.Series([], dtype="datetime64[us]"))) == 0
    assert Places(empty_frame(POIS)).locate_address(pd.Series(["Rua"]), DAY).tolist() == [None]
    assert len(Places(pois).locate_address(pd.Series([], dtype="str"), DAY)) == 0


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-22.1, -21.9), st.floats(-52.1, -51.9)), min_size=1, max_size=20))
def test_the_tree_finds_what_looking_at_every_place_finds(points: list[tuple[float, float]]) -> None:
    centres = [(-22.0, -52.0, 3000.0), (-22.02, -52.03, 5000.0), (-21.97, -52.0, 4000.0)]
    pois = rows(POIS, *(
        {"poi_id": f"P{number}", "kind": "ponto", "latitude": lat, "longitude": lon, "radius_m": radius}
        for number, (lat, lon, radius) in enumerate(centres)
    ))  # fmt: skip
    found = Places(pois).locate(*zip(*points, strict=True), DAY)
    by_size = sorted(range(3), key=lambda number: centres[number][2])
    for place, (latitude, longitude) in zip(found, points, strict=True):
        holding = [
            f"P{number}" for number in by_size
            if distance_m(latitude, longitude, *centres[number][:2]) <= centres[number][2]
        ]  # fmt: skip
        assert place == (holding[0] if holding else None)


def test_a_place_that_lost_a_sign_does_not_bring_the_ocean_near() -> None:
    """One box around all places would reach from 22° S to 22° N, and accept every fix in between."""
    sound = [{"poi_id": f"P{number}", "kind": "usina", "latitude": -22.0 - number / 10, "longitude": -51.0,
              "radius_m": 500.0} for number in range(3)]  # fmt: skip
    wrong = {**sound[0], "poi_id": "ERR", "latitude": 22.0}
    latitude, longitude = (
        np.array([-22.1, -25.0, 0.0, 5.0, -22.1, np.nan]),
        np.array([-51.0, -51.0, 0.0, -51.0, 51.0, 0.0]),
    )
    beyond = [Places(rows(POIS, *places)).is_beyond(latitude, longitude, 500.0).tolist()
              for places in (sound, [*sound, wrong])]  # fmt: skip
    assert beyond == [[False, False, True, True, True, False]] * 2
    assert not Places(empty_frame(POIS)).is_beyond(latitude, longitude, 500.0).any()


def test_a_polygon_that_cannot_be_read_names_its_place() -> None:
    with pytest.raises(ValueError, match="FRENTE-9"):
        Places(rows(POIS, {"poi_id": "FRENTE-9", "kind": "frente", "polygon_wkt": "POLYGON((1 2"}))


def test_an_address_belongs_to_the_longest_pattern_it_contains() -> None:
    pois = rows(
        POIS,
        {"poi_id": "CIDADE", "kind": "ponto", "address_pattern": "Cuiabá"},
        {"poi_id": "RUA-B", "kind": "garagem", "address_pattern": "avenida  CUIABA"},
        {"poi_id": "RUA-A", "kind": "garagem", "address_pattern": "Avenida Cuiabá"},
        {"poi_id": "OLD", "kind": "garagem", "address_pattern": "Avenida Cuiabá, 104", "valid_to": "2025-06-09"},
        {"poi_id": "EMPTY", "kind": "garagem", "address_pattern": "  "},
    )
    addresses = pd.Series(["AVENIDA CUIABA, 104", "Rua de Cuiabá", "Rua Um", None])
    assert Places(pois).locate_address(addresses, DAY).tolist() == ["RUA-A", "CIDADE", None, None]
    days = pd.Series([dt.date(2025, 6, 9)] * 4, dtype=object)
    assert Places(pois).locate_address(addresses, days)[0] == "OLD"


def test_kind_and_name_are_those_of_the_day_else_the_last_ones() -> None:
    pois = rows(
        POIS,
        {"poi_id": "P", "kind": "oficina", "name": "Nova", "valid_from": "2025-06-10"},
        {"poi_id": "P", "kind": "ponto", "name": "Velha", "valid_to": "2025-06-09"},
    )
    places = Places(pois)
    asked = pd.Series(["P", "P", None, "X"])
    days = pd.Series([dt.date(2025, 6, 9), dt.date(2025, 6, 10), DAY, DAY], dtype=object)
    assert places.kinds(asked, days).tolist() == ["ponto", "oficina", None, None]
    assert places.names(asked).tolist() == ["Nova", "Nova", None, None]
    assert places.ends_trip(asked, days).tolist() == [False, True, False, False]


@needs_real_day
def test_real_addresses_find_their_places() -> None:
    places = Places(real_reference(POIS))
    addresses = pd.Series(
        [
            "Avenida Cuiabá, 104, Teodoro Sampaio - SP, 19280-000, Brasil",
            "Rodovia Gen. Euclides de O. Figueiredo, Mirante do Paranapanema - SP, 19260-000, Brasil",
            "Estrada Spv-029, 360, Mirante do Paranapanema - SP, 19260-000, Brasil",
            "Rua Tiradentes, 2, Teodoro Sampaio - SP, 19280-000, Brasil",
        ]
    )
    assert places.locate_address(addresses, DAY).tolist() == ["GAR-CUIABA", "USINA-UCP", "PT-SPV029", None]

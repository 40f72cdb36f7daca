import pandas as pd

from fleet_audit.logic.reference.routes import find_routes
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import ROUTES
from fleet_audit_tests.logic.frames import needs_real_day, real_reference, rows

OUT = {"route_code": "R01", "unit_code": "U", "origin_poi_id": "GAR", "destination_poi_id": "USINA"}
BACK = {"route_code": "R02", "unit_code": "U", "origin_poi_id": "USINA", "destination_poi_id": "GAR"}


def trip(**values: str | None) -> pd.DataFrame:
    columns = ["unit_code", "origin_poi_id", "destination_poi_id", "origin_text", "destination_text"]
    return pd.DataFrame({name: pd.Series([values.get(name, "U" if name == "unit_code" else None)], dtype="str")
                         for name in columns})  # fmt: skip


def found(trips: pd.DataFrame, *routes: dict) -> tuple[str | None, str | None]:
    row = find_routes(trips, rows(ROUTES, *routes), 80).iloc[0]
    return tuple(None if pd.isna(value) else value for value in row)  # type: ignore[return-value]


def test_both_places_in_that_direction_name_the_route() -> None:
    assert found(trip(origin_poi_id="GAR", destination_poi_id="USINA"), OUT, BACK) == ("R01", "places")
    assert found(trip(origin_poi_id="USINA", destination_poi_id="GAR"), OUT, BACK) == ("R02", "places")
    assert found(trip(origin_poi_id="USINA", destination_poi_id="GAR"), OUT) == (None, None)
    assert found(trip(origin_poi_id="GAR"), OUT) == (None, None)


def test_routes_without_places_are_no_route_between_unknown_places() -> None:
    assert found(trip(), {"route_code": "R09", "unit_code": "U"}) == (None, None)


def test_equal_routes_are_told_apart_by_code_and_other_units_have_none() -> None:
    ends = trip(origin_poi_id="GAR", destination_poi_id="USINA")
    assert found(ends, {**OUT, "route_code": "R05"}, OUT) == ("R01", "places")
    assert found(ends, {**OUT, "unit_code": "V"}) == (None, None)
    assert found(ends, {**OUT, "unit_code": None}) == ("R01", "places")


def test_texts_name_the_route_when_the_places_do_not() -> None:
    texts = trip(origin_text="Avenida CUIABÁ, 104, Teodoro Sampaio", destination_text="Usina Conquista")
    town = {"route_code": "R03", "unit_code": "U", "keywords": "teodoro;cuiaba;usina"}
    other = {"route_code": "R00", "unit_code": "U", "keywords": "venceslau;fortaleza"}
    assert found(texts, other, town) == ("R03", "text")
    assert found(texts, other) == (None, None)
    assert found(texts, town, {**town, "route_code": "R01"}) == ("R01", "text")
    assert found(texts, {**town, "unit_code": "V"}) == (None, None)
    assert found(texts.assign(destination_text=None), town) == (None, None)


def test_the_threshold_is_inclusive() -> None:
    texts = trip(origin_text="aaaa", destination_text="bbbb")
    # token_set_ratio("aaaa bbbb", "aaaa cccccc") = 100 * 2 * 4 / (4 + 11) = 53.3
    route = rows(ROUTES, {"route_code": "R", "unit_code": "U", "keywords": "aaaa;cccccc"})
    score = 100 * 8 / 15
    assert find_routes(texts, route, score - 0.01)["route_code"].tolist() == ["R"]
    assert find_routes(texts, route, score + 10)["route_code"].isna().all()


def test_the_answer_stands_beside_its_trip() -> None:
    trips = pd.concat([trip(), trip(origin_poi_id="GAR", destination_poi_id="USINA")]).set_axis([4, 2])
    assert find_routes(trips, rows(ROUTES, OUT), 80).loc[2].tolist() == ["R01", "places"]
    assert find_routes(trips, empty_frame(ROUTES), 80)["route_code"].isna().all()
    assert find_routes(trips.iloc[:0], rows(ROUTES, OUT), 80).columns.tolist() == ["route_code", "route_method"]


@needs_real_day
def test_a_real_address_off_every_known_place_is_found_by_text() -> None:
    texts = trip(
        origin_text="Avenida Cuiabá, 104, Teodoro Sampaio - SP, 19280-000, Brasil",
        destination_text="Usina Conquista do Pontal Rodovia Gen. Euclides de O. Figueiredo, Mirante do Paranapanema",
        unit_code="UCP",
    )
    answer = find_routes(texts, real_reference(ROUTES), 80)
    assert answer.iloc[0].tolist() == ["R01", "text"]

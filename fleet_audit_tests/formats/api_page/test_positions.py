from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.formats.api_page import columns
from fleet_audit.formats.api_page.decoding import outline
from fleet_audit.formats.api_page.positions import items_of, parse_page
from fleet_audit.formats.positions_merge import merge_positions
from fleet_audit.logic.primitives.identity import driver_pseudonym
from fleet_audit.schema.derive import conform, to_arrow
from fleet_audit.schema.lake import PARSED_POSITIONS

ITEM = {
    "device_id": "23",
    "timestamp": "2025-06-10T09:04:35Z",
    "latitude": -22.5,
    "longitude": -52.1,
    "speed_kmh": 40,
    "odometer_km": 100.5,
    "ignition": True,
    "driver_id": "M1",
    "passengers": 18,
}


def page(*items: object, cursor: object = None, sha256: str = "s") -> tuple[pd.DataFrame, pd.DataFrame, str | None]:
    payload = json.dumps({"data": list(items), "next_cursor": cursor}).encode()
    parsed = parse_page(payload)
    count, following = outline(payload)
    assert count == parsed.rows == parsed.positions.num_rows + parsed.rejected["row_number"].nunique()
    origin = {"source": "api", "file_sha256": sha256, "file_name": "page"}
    return conform(parsed.positions.to_pandas().assign(**origin), PARSED_POSITIONS), parsed.rejected, following


def test_items_become_positions():
    rows, rejected, cursor = page(ITEM, {"device_id": "24", "timestamp": "2025-06-10T09:04:35.5+00:00"}, cursor="abc")
    assert rows["odometer_km"].iloc[0] == 100.5
    assert rows.iloc[1][["latitude", "ignition", "passengers", "driver_id"]].isna().all()
    assert (len(rejected), cursor) == (0, "abc")
    assert list(rows["source"]) == ["api", "api"]


def test_instants_with_and_without_a_fraction_are_those_that_an_offset_gives():
    """A page of one common form is read at once, one with any other form text by text."""
    texts = ["2025-06-10T09:04:35Z", "2025-06-10T09:04:35.250Z", "2025-06-10T09:04:35.250001Z", "2025-02-30T09:04:35Z"]
    fast, rejected, _ = page(*({**ITEM, "timestamp": text} for text in texts[:3]))
    assert [instant.isoformat() for instant in fast["recorded_at"]] == [
        "2025-06-10T09:04:35+00:00", "2025-06-10T09:04:35.250000+00:00", "2025-06-10T09:04:35.250001+00:00",
    ]  # fmt: skip
    assert rejected.empty
    slow, rejected, _ = page(*({**ITEM, "timestamp": text} for text in [*texts, "2025-06-10T06:04:36-03:00"]))
    assert list(slow["recorded_at"])[:3] == list(fast["recorded_at"])
    assert list(rejected["row_number"]) == [4]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("speed_kmh", [1]),
        ("odometer_km", -1),
        ("odometer_km", 10**400),
        ("ignition", "true"),
        ("ignition", 1),
        ("driver_id", 7),
        ("driver_id", "\ud800"),
        ("driver_id", "Unknown"),
        ("passengers", 1.5),
        ("passengers", {"a": 1}),
        ("passengers", True),
    ],
)
def test_a_wrong_type_counts_as_absent(field: str, wrong: object):
    rows, rejected, _ = page({**ITEM, field: wrong}, ITEM)
    assert list(rows[field].isna()) == [True, False]
    assert rejected.empty


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({**ITEM, "device_id": 23}, "missing_value"),
        ({**ITEM, "device_id": None}, "missing_value"),
        ({**ITEM, "timestamp": 1749546275}, "missing_value"),
        ({**ITEM, "timestamp": "2025-06-10T09:04:35"}, "bad_timestamp"),
        ({**ITEM, "timestamp": "ontem"}, "bad_timestamp"),
        ("text", "bad_item"),
        (None, "bad_item"),
    ],
)
def test_an_item_without_device_or_instant_is_rejected(item: object, code: str):
    rows, rejected, _ = page(ITEM, item)
    assert len(rows) == 1
    assert code in set(rejected["reason_code"])
    assert set(rejected["row_number"]) == {2}
    assert json.loads(rejected["raw"].iloc[0]) == item


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (0, 0),
        (0.0, -0.0),
        (91, -52.1),
        (-22.5, 181),
        (None, -52.1),
        (-22.5, None),
        ("-22.5", -52.1),
        (-22.5, True),
        (1e300, 0),
        (-2231.86, -5207.41),
        (-22531000, -52123450),
    ],
)
def test_a_position_without_a_fix_keeps_its_row_and_loses_its_place(latitude: object, longitude: object):
    rows, rejected, _ = page({**ITEM, "latitude": latitude, "longitude": longitude}, ITEM)
    assert rows[["latitude", "longitude"]].values.tolist() == [[0, 0], [ITEM["latitude"], ITEM["longitude"]]]
    assert rows["odometer_km"].tolist() == [100.5, 100.5]
    assert rejected.empty


def test_a_position_that_was_sent_without_coordinates_has_none():
    rows, _, _ = page({**ITEM, "latitude": None, "longitude": None}, ITEM)
    assert rows["latitude"].isna().tolist() == rows["longitude"].isna().tolist() == [True, False]


@pytest.mark.parametrize("more", [{}, {"odometer_km": 101}])
def test_of_two_rows_of_one_instant_one_at_null_island_has_no_place(more: dict[str, object]):
    lost, placed = {**ITEM, **more, "latitude": 0, "longitude": 0}, ITEM
    for rows in ((lost, placed), (placed, lost)):
        unique, _, conflicts = merge_positions(page(*rows)[0])
        assert unique[["latitude", "longitude"]].values.tolist() == [[ITEM["latitude"], ITEM["longitude"]]]
        assert len(conflicts) == 1


def test_a_vehicle_on_the_equator_keeps_its_place():
    rows, _, _ = page({**ITEM, "latitude": 0, "longitude": -51.07})
    assert rows[["latitude", "longitude"]].values.tolist() == [[0, -51.07]]


def test_drivers_become_the_pseudonyms_of_other_sources_and_their_names_stay_apart():
    items = [{**ITEM, "driver_id": text} for text in ("JOSÉ DA SILVA", "josé  da silva", "Unknown", "M 7")]
    payload = json.dumps({"data": [*items, {**items[0], "timestamp": "ontem"}], "next_cursor": None}).encode()
    parsed = parse_page(payload, driver_key=b"key")
    jose, other = driver_pseudonym("José da Silva", b"key"), driver_pseudonym("M 7", b"key")
    assert parsed.positions["driver_id"].to_pylist() == [jose, jose, None, other]
    assert parsed.drivers == {(jose, "JOSÉ DA SILVA"), (jose, "josé  da silva"), (other, "M 7")}
    assert json.loads(parsed.rejected["raw"].iloc[0])["driver_id"] == jose
    assert "SILVA" not in json.dumps(items_of(payload))


def test_values_of_a_wrong_type_are_reported_beside_their_rows_and_no_driver_is_named():
    items = [ITEM, {**ITEM, "device_id": None, "speed_kmh": "1"}, {**ITEM, "speed_kmh": "1.234,5", "ignition": 0},
             {**ITEM, "driver_id": {"nome": "JOSÉ DA SILVA"}, "passengers": ["JOSÉ DA SILVA"]}]  # fmt: skip
    wrong = parse_page(json.dumps({"data": items}).encode()).wrong
    assert wrong.sort_values(["row_number", "field"]).values.tolist() == [
        [3, "ignition", "verdadeiro ou falso", "um número, '0'"],
        [3, "speed_kmh", "um número", "um texto, '1.234,5'"],
        [4, "driver_id", "um texto", "um objeto"],
        [4, "passengers", "um número", "uma lista"],
    ]


def test_a_reading_that_is_no_number_costs_itself_alone():
    """A NaN of one vehicle was taken for a damaged page, and the hours of the whole fleet were never read."""
    rows, rejected, _ = page({**ITEM, "odometer_km": math.nan, "speed_kmh": math.inf}, {**ITEM, "latitude": math.nan})
    assert rows[["odometer_km", "speed_kmh"]].isna().values.tolist() == [[True, True], [False, False]]
    assert rows[["latitude", "longitude"]].values.tolist() == [[ITEM["latitude"], ITEM["longitude"]], [0, 0]]
    assert rejected.empty


@pytest.mark.parametrize("other", [{}, {"speed_kmh": "a text, so that each value is read on its own"}])
@pytest.mark.parametrize("no_number", [math.nan, math.inf])
def test_a_place_of_no_numbers_was_not_sent(no_number: float, other: dict[str, str]):
    """NaN was taken for a failed fix, at 0/0, which the odometer drives: trips of a device that reports events."""
    nowhere = {"latitude": no_number, "longitude": no_number}
    rows, _, _ = page({**ITEM, **nowhere, **other}, {**ITEM, **nowhere, "longitude": None}, {**ITEM, "latitude": 91})
    assert rows["latitude"].isna().to_list() == [True, True, False]
    assert rows.loc[2, ["latitude", "longitude"]].to_list() == [0, 0]


def test_a_page_served_twice_is_all_duplicates():
    rows, _, _ = page(ITEM, {**ITEM, "timestamp": "2025-06-10T09:05:35Z"})
    unique, duplicates, conflicts = merge_positions([rows, rows])
    assert (len(unique), duplicates, len(conflicts)) == (2, 2, 0)


def test_the_fuller_row_wins_then_the_greater():
    poor = {**ITEM, "odometer_km": None, "latitude": -1.0}
    north = {**ITEM, "latitude": -22.4}
    further = {**ITEM, "odometer_km": 101}
    unique, duplicates, conflicts = merge_positions(page(ITEM, poor, north, further, ITEM)[0])
    assert unique[["latitude", "odometer_km"]].values.tolist() == [[-22.4, 100.5]]
    assert (duplicates, len(conflicts)) == (1, 3)
    assert sorted(conflicts["row_number"]) == [1, 2, 4]
    assert json.loads(conflicts["raw"].iloc[0])["device_id"] == "23"
    assert set(conflicts["source_kind"]) == {"api"}


def test_trips_of_a_file_are_distinguished():
    rows, _, _ = page(ITEM, ITEM)
    unique, _, _ = merge_positions(rows.assign(trip_key=pd.Series(["V1", None], dtype="str")))
    assert len(unique) == 2


maybe = st.none()
items = st.builds(
    lambda device, second, **rest: {"device_id": device, "timestamp": f"2025-06-10T09:00:0{second}Z", **rest},
    device=st.sampled_from(["a", "b"]),
    second=st.integers(0, 1),
    latitude=maybe | st.sampled_from([-22.5, -22.4]),
    longitude=maybe | st.just(-52.1),
    odometer_km=maybe | st.sampled_from([1.0, 2.0]),
    ignition=maybe | st.booleans(),
    passengers=maybe | st.integers(0, 1),
)


@settings(max_examples=30)
@given(st.lists(items, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_merging_does_not_depend_on_order_and_loses_nothing(rows: list[dict[str, object]], random):
    half = len(rows) // 2
    pages = pd.concat([page(*rows[:half], sha256="p1")[0], page(*rows[half:], sha256="p2")[0]], ignore_index=True)
    order = list(range(len(pages)))
    random.shuffle(order)
    unique, duplicates, conflicts = merge_positions(pages)
    shuffled = merge_positions(pages.iloc[order].reset_index(drop=True))
    assert len(pages) == len(unique) + duplicates + len(conflicts)
    assert not unique.duplicated(["device_id", "recorded_at", "trip_key"]).any()
    assert to_arrow(unique, PARSED_POSITIONS).equals(to_arrow(shuffled[0], PARSED_POSITIONS))
    assert (duplicates, conflicts.to_csv()) == (shuffled[1], shuffled[2].to_csv())


odd = st.sampled_from(["fast", True, [1], {"a": 1}, -1, 91, 1e300, math.nan, -math.inf, "\x00", " 7 "])


@settings(max_examples=40)
@given(st.lists(items | st.dictionaries(st.sampled_from(sorted(ITEM)), odd | maybe), max_size=6))
def test_reading_whole_pages_and_value_by_value_give_the_same(rows: list[dict[str, object]]):
    """Arrow refuses a page for one odd value; what it takes must mean the same as what Python reads."""
    payload = json.dumps({"data": rows, "next_cursor": None}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_read_with_arrow", lambda *_: None)
        slowly, count = parse_page(payload), outline(payload)
    quickly = parse_page(payload)
    assert outline(payload) == count
    assert quickly.positions.equals(slowly.positions)
    assert quickly.rejected.equals(slowly.rejected)

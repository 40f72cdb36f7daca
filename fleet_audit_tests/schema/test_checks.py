"""The generated checks say in plain sentences what is wrong with a frame, and nothing when nothing is."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.checks import is_conforming, violations
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.schema.registry import TABLES, table
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)


def as_read(frame: pd.DataFrame, described: Table) -> pa.Table:
    """The rows in two parts with dictionaries of their own, as they are read of the row groups of a file."""
    half = len(frame) // 2
    parts = [pa.table({name: pa.array(rows[name], from_pandas=True) for name in rows})
             for rows in (frame.iloc[:half], frame.iloc[half:])]  # fmt: skip
    whole = pa.concat_tables(parts)
    for at, field in enumerate(whole.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            chunks = [chunk.dictionary_encode() for chunk in whole.column(at).cast(pa.string()).chunks]
            encoded = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
            whole = whole.set_column(at, field.name, encoded)
    return whole


@pytest.mark.parametrize("described", TABLES.values(), ids=TABLES)
def test_good_rows_of_every_table_pass(described: Table) -> None:
    is_one = described in (
        facts.STAGE_COUNTS,
        facts.CYCLE_CLOSES,
        facts.DAY_ACCEPTANCE,
        facts.COMPUTED_DAYS,
        facts.REVIEW_ESTIMATES,
    )
    count = 1 if described.schema == "ref" or is_one else 5
    assert violations(sample(described, DAY, count), described) == []
    assert violations(empty_frame(described), described) == []
    assert is_conforming(as_read(sample(described, DAY, count), described), described)
    assert is_conforming(as_read(empty_frame(described), described), described)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"purpose": ["x", "y", "yard", "yard", "yard"]},
            "fact.trips.purpose: 2 rows with none of service, deadhead, maintenance, yard, unknown, e.g. x.",
        ),
        ({"plate": ["A", None, None, "B", None]}, "fact.trips.plate: 3 rows without a value."),
        (
            {"km_measured": [Decimal("-0.01"), None, None, None, None]},
            "fact.trips.km_measured: 1 row below 0, e.g. -0.01.",
        ),
        ({"legs": [1, 2, 0, 4, 5]}, "fact.trips.legs: 1 row below 1, e.g. 0."),
        (
            {"trip_id": ["a", "b", "a", "b", "a"]},
            "fact.trips: 5 rows share their key (trip_id) with another row, e.g. a.",
        ),
    ],
)
def test_each_violation_is_one_sentence_with_a_count(changes: dict[str, list[object]], sentence: str) -> None:
    trips = sample(facts.TRIPS, DAY, 5)
    broken = trips.assign(
        **{name: pd.Series(pd.array(values, dtype=trips[name].dtype)) for name, values in changes.items()}
    )
    assert violations(broken, facts.TRIPS) == [sentence]
    assert not is_conforming(as_read(broken, facts.TRIPS), facts.TRIPS)


def test_an_upper_limit_holds() -> None:
    scores = sample(facts.TRIP_SCORES, DAY, 2)
    scores = scores.assign(
        compliance_score=pd.array([Decimal("100.01"), Decimal(100)], dtype=scores["compliance_score"].dtype)
    )
    assert violations(scores, facts.TRIP_SCORES) == ["fact.trip_scores.compliance_score: 1 row above 100, e.g. 100.01."]


def test_a_number_that_is_none_is_no_value() -> None:
    points = sample(lake.STAGING_POSITIONS, DAY, 4)
    read = as_read(points, lake.STAGING_POSITIONS)
    none = pa.array([math.nan, -23.5, math.nan, None], pa.float64())
    at = read.schema.get_field_index("latitude")
    assert is_conforming(read.set_column(at, "latitude", none), lake.STAGING_POSITIONS)
    assert not is_conforming(read.set_column(at, "latitude", pc.add(none, -70.0)), lake.STAGING_POSITIONS)


def test_everything_wrong_is_told_at_once() -> None:
    points = sample(lake.STAGING_POSITIONS, DAY, 3)
    points = points.assign(latitude=[95.0, None, -95.0], source=["api", "fax", "file"], extra=1).drop(columns="date")
    assert violations(points, lake.STAGING_POSITIONS) == [
        "staging.positions: column extra is not in the column dictionary.",
        "staging.positions: column date is missing.",
        "staging.positions.latitude: 1 row below -90, e.g. -95.0.",
        "staging.positions.latitude: 1 row above 90, e.g. 95.0.",
        "staging.positions.source: 1 row with none of api, file, e.g. fax.",
    ]


def test_two_open_ended_rows_of_one_vehicle_share_a_key_although_it_is_partly_empty() -> None:
    vehicles = conform(sample(reference.VEHICLES, DAY, 2).assign(plate="AAA1A11", valid_from=None), reference.VEHICLES)
    assert violations(vehicles, reference.VEHICLES)[0].startswith(
        "ref.vehicles: 2 rows share their key (plate, valid_from) with another row, e.g. AAA1A11"
    )


def test_names_lead_to_tables_and_a_wrong_one_is_named() -> None:
    assert table("fact.trips") is facts.TRIPS
    assert table("staging.positions") is lake.STAGING_POSITIONS
    with pytest.raises(KeyError, match=r"fact\.nothing is not a table"):
        table("fact.nothing")

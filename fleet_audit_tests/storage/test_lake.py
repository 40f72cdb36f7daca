"""Partitions and files are put in place whole, locally and on S3, and come back as they went in."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import random
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import arrow_schema, conform, empty_frame, to_arrow
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake, TextFilter, encoded_day
from fleet_audit_tests.conftest import S3Server
from fleet_audit_tests.storage.rows import sample
from fleet_audit_tests.waiting import wait_until

D1, D2, D3 = (dt.date(2025, 6, day) for day in (10, 11, 12))
DAILY = [table for table in (*lake.TABLES, facts.TRIP_WINDOW) if table.partition and table.schema != "parsed"]
POSITIONS = lake.STAGING_POSITIONS


@pytest.fixture(params=["folder", "s3"])
def any_lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """The same lake twice: in a folder, and on a real S3 server."""
    return Lake(_settings(request, tmp_path))


def _settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "folder":
        return Settings(_env_file=None, lake_url=str(tmp_path / "lake"))
    server: S3Server = request.getfixturevalue("seaweed")
    return Settings(_env_file=None, **server.settings(lake_url=f"s3://{server.bucket}/{tmp_path.name}/lake"))


@pytest.mark.parametrize("table", DAILY, ids=lambda table: table.full_name)
def test_every_table_comes_back_as_it_went_in(settings: Settings, table: lake.Table) -> None:
    store = Lake(settings)
    frames = {day: sample(table, day, 20) for day in (D1, D2)}
    for day, frame in frames.items():
        assert store.write_day(table, day, frame) == 20
    pd.testing.assert_frame_equal(store.read_days(table, [D1, D2, D3]), pd.concat(frames.values(), ignore_index=True))
    assert store.partition_path(table, D1) == f"{table.schema}/{table.name}/date=2025-06-10/part.parquet"


def test_a_column_that_an_older_file_lacks_is_unknown_in_it(settings: Settings) -> None:
    store, table = Lake(settings), lake.ODOMETER_EVENTS
    older = replace(table, columns=tuple(column for column in table.columns if column.name != "continued_plate"))
    store.write_day(older, D1, sample(older, D1, 3))
    assert store.read_days(table, [D1])["continued_plate"].isna().all()
    assert store.read_arrow(table, [D1], ["plate", "continued_plate"]).column("continued_plate").null_count == 3


def test_days_columns_and_filters_select_their_rows(any_lake: Lake) -> None:
    for day in (D1, D2):
        any_lake.write_day(POSITIONS, day, sample(POSITIONS, day, 10))
    found = any_lake.read_days(POSITIONS, [D2, D1], columns=["date", "odometer_km"], filter=pc.field("odometer_km") > 6)
    assert list(found.columns) == ["date", "odometer_km"]
    assert list(found["date"]) == [D2] * 3 + [D1] * 3
    assert list(found["odometer_km"]) == [7, 8, 9] * 2
    assert any_lake.read_days(POSITIONS, [D3]).empty
    assert [any_lake.has_day(POSITIONS, day) for day in (D1, D2, D3)] == [True, True, False]


def test_as_arrow_days_have_the_same_values_and_their_texts_as_dictionaries(any_lake: Lake) -> None:
    for day in (D1, D2):
        any_lake.write_day(POSITIONS, day, sample(POSITIONS, day, 10))
    columns = ["date", "device_id", "recorded_at", "odometer_km", "passengers"]
    found = any_lake.read_arrow(POSITIONS, [D2, D3, D1], columns)
    assert pa.types.is_dictionary(found.schema.field("device_id").type)
    assert found.to_pylist() == pa.Table.from_pandas(any_lake.read_days(POSITIONS, [D2, D1], columns)).to_pylist()
    assert any_lake.read_arrow(POSITIONS, [D3], columns).schema.equals(found.schema)


def test_rows_of_some_texts_are_those_of_the_day_whichever_row_groups_hold_them(any_lake: Lake, monkeypatch) -> None:
    monkeypatch.setattr("fleet_audit.storage.lake._ROW_GROUP", 3)
    rows = sample(POSITIONS, D1, 20).assign(device_id=[f"D{number // 2}" for number in range(20)])
    any_lake.write_day(POSITIONS, D1, rows)
    stored = any_lake.read_days(POSITIONS, [D1])
    for texts in (["D0", "D7"], ["D4"], ["absent"], []):
        wanted = TextFilter("device_id", pa.array(texts, pa.string()))
        expected = stored[stored["device_id"].isin(texts)].reset_index(drop=True)
        pd.testing.assert_frame_equal(any_lake.read_days(POSITIONS, [D1, D2], filter=wanted), expected)
        found = any_lake.read_arrow(POSITIONS, [D1], ["device_id", "odometer_km"], wanted)
        assert found["odometer_km"].to_pylist() == expected["odometer_km"].tolist()


def test_days_never_written_and_empty_days_have_typed_no_rows(any_lake: Lake) -> None:
    pd.testing.assert_frame_equal(any_lake.read_days(POSITIONS, [D1]), empty_frame(POSITIONS))
    any_lake.write_day(POSITIONS, D1, empty_frame(POSITIONS))
    assert any_lake.has_day(POSITIONS, D1)
    pd.testing.assert_frame_equal(any_lake.read_days(POSITIONS, [D1]), empty_frame(POSITIONS))


def test_a_day_is_replaced_whole(any_lake: Lake) -> None:
    any_lake.write_day(lake.LEGS, D1, sample(lake.LEGS, D1, 9, "old"))
    any_lake.write_day(lake.LEGS, D1, sample(lake.LEGS, D1, 2, "new"))
    assert list(any_lake.read_days(lake.LEGS, [D1])["leg_id"].str[:3]) == ["new", "new"]
    assert any_lake.list("trips/legs") == ["trips/legs/date=2025-06-10/part.parquet"]


def test_the_same_rows_give_the_same_bytes(any_lake: Lake) -> None:
    rows = sample(POSITIONS, D1, 500)
    path = any_lake.partition_path(POSITIONS, D1)
    versions = set()
    for version in (rows, rows.sample(frac=1, random_state=1), to_arrow(rows, POSITIONS), rows[rows.columns[::-1]]):
        any_lake.write_day(POSITIONS, D1, version)
        versions.add(any_lake.get_bytes(path))
    assert len(versions) == 1


def test_any_parquet_reader_reads_the_whole_table(settings: Settings) -> None:
    """A `date` in the file and one in the folder's name of another type would break pandas, DuckDB and Spark."""
    store = Lake(settings)
    for table in (POSITIONS, lake.LEGS, facts.TRIP_WINDOW):
        for day in (D1, D2):
            store.write_day(table, day, sample(table, day, 5))
        store.write_day(table, D3, empty_frame(table))
        folder = Path(store.url(f"{table.schema}/{table.name}"))
        frame = pd.read_parquet(folder)
        assert len(frame) == 10
        assert set(frame["date"].astype(str)) == {"2025-06-10", "2025-06-11"}
        hive = pads.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
        dataset = pads.dataset(folder, partitioning=hive)
        assert dataset.count_rows(filter=pc.field("date") == D1) == 5
        assert set(dataset.schema.names) == {*table.column_names, "date"}
    instants = pq.read_schema(folder / "date=2025-06-10/part.parquet").field("started_at").type
    assert instants == pa.timestamp("us", tz="UTC")
    metadata = pq.read_metadata(folder / "date=2025-06-10/part.parquet")
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_decimals_and_instants_are_exact(any_lake: Lake) -> None:
    rows = sample(lake.STAGING_VISIT_LEGS, D1, 1)
    rows["reported_km"] = pd.array([Decimal("9999999999.99")], dtype=rows["reported_km"].dtype)
    rows["started_at"] = pd.Series([pd.Timestamp("2025-06-10 23:59:59.999999-03:00")]).astype("datetime64[us, UTC]")
    any_lake.write_day(lake.STAGING_VISIT_LEGS, D1, rows)
    found = any_lake.read_days(lake.STAGING_VISIT_LEGS, [D1]).iloc[0]
    assert found["reported_km"] == Decimal("9999999999.99")
    assert found["started_at"] == pd.Timestamp("2025-06-11 02:59:59.999999Z")


@pytest.mark.parametrize("wrong", [D2, None])
def test_rows_of_another_day_are_refused_and_the_old_ones_stay(settings: Settings, wrong: dt.date | None) -> None:
    store, table = Lake(settings), lake.STAGING_NOTES
    store.write_day(table, D1, sample(table, D1, 3))
    mixed = sample(table, D1, 2)
    mixed["date"] = pd.array([D1, wrong], dtype=mixed["date"].dtype)
    with pytest.raises(
        PermanentError, match=r"staging\.source_notes: the rows for 2025-06-10 have other values of date"
    ):
        store.write_day(table, D1, mixed)
    assert len(store.read_days(table, [D1])) == 3


def test_rows_that_do_not_fit_are_refused_in_a_sentence(settings: Settings) -> None:
    with pytest.raises(PermanentError, match=r"staging\.positions: column device_id is missing; nothing was written"):
        Lake(settings).write_day(POSITIONS, D1, sample(POSITIONS, D1, 1).drop(columns="device_id"))


def test_files_are_put_listed_and_removed(any_lake: Lake) -> None:
    any_lake.put_bytes("raw/bulletins/a b ção.csv", b"one")
    any_lake.put_bytes("raw/x.csv", b"")
    any_lake.put_bytes("raw/bulletins/a b ção.csv", b"two")
    assert any_lake.list("raw") == ["raw/bulletins/a b ção.csv", "raw/x.csv"]
    assert any_lake.list("nothing/here") == []
    assert any_lake.get_bytes("raw/bulletins/a b ção.csv") == b"two"
    assert any_lake.get_bytes("raw/x.csv") == b""
    any_lake.delete("raw/x.csv")
    any_lake.delete("raw/x.csv")
    assert not any_lake.exists("raw/x.csv")
    assert not any_lake.exists("raw/bulletins")
    with pytest.raises(PermanentError, match=r"raw/x\.csv does not exist"):
        any_lake.get_bytes("raw/x.csv")
    with pytest.raises(PermanentError, match="not a path inside the lake"):
        any_lake.put_bytes("raw/../../x", b"")


@pytest.mark.parametrize("name", ["a.csv", "b.json.zst", "c.csv.gz", "d.bz2", "e.lz4", "f.br", "g.snappy"])
def test_a_file_holds_the_bytes_it_was_given_whatever_its_name(any_lake: Lake, name: str) -> None:
    """Arrow's S3 streams guess a compression from the name: every page of the API was compressed twice."""
    content = pa.compress(b"a page", codec="zstd", asbytes=True)
    any_lake.put_bytes(f"raw/{name}", content)
    assert any_lake.get_bytes(f"raw/{name}") == content
    any_lake.put_chunks(f"raw/{name}", [content[:3], content[3:]])
    assert any_lake.get_bytes(f"raw/{name}") == content


def test_one_file_of_a_table(any_lake: Lake) -> None:
    rows = sample(lake.PARSED_NOTES, D1, 4)
    assert any_lake.write_table("parsed/source_notes/abc.parquet", rows, lake.PARSED_NOTES) == 4
    pd.testing.assert_frame_equal(any_lake.read_table("parsed/source_notes/abc.parquet", lake.PARSED_NOTES), rows)
    with pytest.raises(PermanentError, match=r"nowhere\.parquet does not exist"):
        any_lake.read_table("parsed/nowhere.parquet", lake.PARSED_NOTES)
    any_lake.put_bytes("parsed/bad.parquet", b"no parquet at all")
    with pytest.raises(PermanentError, match=r"bad\.parquet cannot be read as Parquet"):
        any_lake.read_table("parsed/bad.parquet", lake.PARSED_NOTES)


def test_a_file_from_before_a_column_was_added_is_read_with_nulls_and_one_without_a_required_column_is_named(
    settings: Settings,
) -> None:
    store, table = Lake(settings), facts.ADJUSTMENTS
    rows = sample(table, D1, 3).assign(finding_id=None, decided_cycle_start=None)

    def without(*names: str) -> str:
        kept = tuple(column for column in table.columns if column.name not in names)
        older = replace(table, columns=kept, sort=("adjustment_id",))
        store.write_table("raw/older.parquet", rows, older)
        return "raw/older.parquet"

    read = store.read_table(without("finding_id", "decided_cycle_start"), table)
    pd.testing.assert_frame_equal(read, conform(rows, table))
    with pytest.raises(PermanentError, match=r"raw/older\.parquet lacks plate of fact\.adjustments"):
        store.read_table(without("plate"), replace(table, sort=()))


def test_what_a_killed_writer_left_is_never_read_and_is_swept_up(settings: Settings) -> None:
    store = Lake(settings)
    store.write_day(POSITIONS, D1, sample(POSITIONS, D1, 3))
    folder = Path(store.url("staging/positions/date=2025-06-10"))
    leftover = folder / ".part.parquet.0123.tmp"
    leftover.write_bytes(b"half a fi")
    assert len(pd.read_parquet(folder.parent)) == 3
    assert len(store.list("staging")) == 1
    Lake(settings).write_day(POSITIONS, D1, sample(POSITIONS, D1, 3))
    assert leftover.exists()  # it could be a concurrent writer's
    os.utime(leftover, (time.time() - 7200,) * 2)
    Lake(settings).write_day(POSITIONS, D1, sample(POSITIONS, D1, 3))
    assert [path.name for path in folder.iterdir()] == ["part.parquet"]


def _write_forever(settings: Settings, size: int) -> None:
    store = Lake(settings)
    frames = [sample(POSITIONS, D1, size + more, "new") for more in (0, 1)]
    while True:
        for frame in frames:
            store.write_day(POSITIONS, D1, frame)


@pytest.mark.parametrize("any_settings", ["folder", "s3"], indirect=True)
def test_writers_killed_at_any_moment_leave_one_version_whole(any_settings: Settings) -> None:
    """Readers meanwhile see the one or the other version, too."""
    store, size = Lake(any_settings), 5_000
    writers = [
        multiprocessing.get_context("spawn").Process(target=_write_forever, args=(any_settings, size), daemon=True)
        for _ in range(3)
    ]
    for process in writers:
        process.start()
    wait_until(lambda: store.has_day(POSITIONS, D1), "the first write")
    for process in writers:
        until = time.monotonic() + random.uniform(0.1, 0.5)
        while time.monotonic() < until:
            assert len(store.read_days(POSITIONS, [D1], ["device_id"])) in (size, size + 1)
        process.kill()
        process.join()
        assert len(store.read_days(POSITIONS, [D1])) in (size, size + 1)


@pytest.fixture
def any_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return _settings(request, tmp_path)


def test_wrong_credentials_are_told_apart_from_a_server_that_is_away(seaweed: S3Server) -> None:
    url = f"s3://{seaweed.bucket}/x"
    wrong = Settings(_env_file=None, **{**seaweed.settings(lake_url=url), "aws_secret_access_key": "wrong"})
    with pytest.raises(PermanentError, match=r"Cannot write s3://fleet/x/raw/a: .*Check FLEET_LAKE_URL"):
        Lake(wrong).put_bytes("raw/a", b"1")
    away = Settings(_env_file=None, **{**seaweed.settings(lake_url=url), "aws_endpoint_url": "http://127.0.0.1:1"})
    with pytest.raises(RetryableError, match="Cannot read s3://fleet/x/raw/a"):
        Lake(away).get_bytes("raw/a")


def test_a_folder_without_permission_is_a_lasting_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("not a folder")
    blocked = Settings(_env_file=None, lake_url=str(tmp_path))
    with pytest.raises((PermanentError, RetryableError), match="Cannot write"):
        Lake(blocked).put_bytes("raw/a", b"1")


def test_the_schema_of_a_file_is_the_dictionarys(settings: Settings) -> None:
    store = Lake(settings)
    store.write_day(lake.LEGS, D1, sample(lake.LEGS, D1, 1))
    stored = pq.read_schema(store.url(store.partition_path(lake.LEGS, D1)))
    assert stored.equals(arrow_schema(lake.LEGS), check_metadata=False)


@pytest.mark.parametrize("sizes", [[], [0], [3], [1, 2, 0], [2, 2], [4, 1]])
def test_a_day_in_parts_is_the_same_bytes_as_the_day_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    monkeypatch.setattr("fleet_audit.storage.lake._ROW_GROUP", 2)
    store = Lake(settings)
    frame = sample(POSITIONS, D1, 1)
    instants = pd.date_range("2025-06-10T12:00Z", periods=sum(sizes), freq="s", unit="us")
    rows = pd.concat([frame] * sum(sizes) or [frame[:0]], ignore_index=True).assign(recorded_at=instants)
    whole = to_arrow(rows, POSITIONS)
    store.write_day(POSITIONS, D1, whole)
    path = store.partition_path(POSITIONS, D1)
    expected = store.get_bytes(path)
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    parts = [whole.slice(start, size) for start, size in zip(starts, sizes, strict=True)]
    assert store.write_encoded(POSITIONS, D1, encoded_day(POSITIONS, parts)) == sum(sizes)
    assert store.get_bytes(path) == expected


def test_files_and_folders_are_for_their_owner_alone(tmp_path):
    lake = Lake(Settings(home=tmp_path / "home"))
    lake.put_bytes("raw/bulletin/one", b"x")
    file = tmp_path / "home" / "lake" / "raw" / "bulletin" / "one"
    assert file.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (file.parent, file.parents[1], file.parents[2])} == {0o700}

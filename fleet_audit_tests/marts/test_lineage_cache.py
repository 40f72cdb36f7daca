"""A query that was analysed once is not analysed again; one that changed, or reads changed columns, is."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet_audit.errors import PermanentError
from fleet_audit.marts import queries
from fleet_audit.marts.lineage_cache import LineageCache
from fleet_audit.marts.model import Relation

TRIPS = Relation("fact", "trips")
TABLES = {TRIPS: ("plate", "km")}
SQL = "select plate, km + 1 as more_km from fact.trips"
LINEAGE = {"plate": [(TRIPS, "plate")], "more_km": [(TRIPS, "km")]}
MODEL = Path("model.sql")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A cache that knows the query."""
    cache = LineageCache(tmp_path / "cache" / "lineage.json")
    assert cache.trace_columns(SQL, MODEL, [TRIPS], TABLES) == LINEAGE
    cache.save()
    return tmp_path / "cache" / "lineage.json"


def test_a_known_query_is_not_analysed_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(queries, "trace_columns")
    found = LineageCache(file).trace_columns(SQL, MODEL, [TRIPS], TABLES)
    assert list(found.items()) == list(LINEAGE.items()), "columns keep the order of the query"


def test_a_query_whose_table_lost_a_column_is_refused_again(file: Path) -> None:
    with pytest.raises(PermanentError, match="reads a column that does not exist"):
        LineageCache(file).trace_columns(SQL, MODEL, [TRIPS], {TRIPS: ("plate",)})


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff{"])
def test_a_damaged_file_is_an_empty_cache_and_written_again(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    cache = LineageCache(file)
    assert cache.trace_columns(SQL, MODEL, [TRIPS], TABLES) == LINEAGE
    cache.save()
    assert file.read_bytes() != content


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    cache = LineageCache(tmp_path / "cache" / "lineage.json")
    assert cache.trace_columns(SQL, MODEL, [TRIPS], TABLES) == LINEAGE
    cache.save()

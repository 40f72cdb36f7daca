"""What a check's evaluation is about: the last materialization of each partition, found with few queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg
import pytest
import sqlalchemy as sa

from fleet_audit.defs.evaluations import _found_by_step

ASSET = dg.AssetKey(["fact", "trips"])


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize(
    ("materialized", "asked", "most_queries"),
    [
        (["10", "11", "12", "10", "11", "12"], ["10", "11", "12"], 1),
        (["10", "11", "11", "11"], ["10", "11"], 3),  # the newest two are both of 11
        (["11", "11"], ["11", "12"], 3),  # 12 was never materialized
        (["11"], ["10", "11"], 1),
        ([], ["10"], 1),
        (["10"], [], 0),
    ],
)
def test_each_partition_has_its_last_materialization(
    instance: dg.DagsterInstance, request: pytest.FixtureRequest, materialized: Sequence[str], asked: Sequence[str],
    most_queries: int,
) -> None:  # fmt: skip
    asset = dg.AssetKey([*ASSET.path, request.node.name])
    for number, key in enumerate(materialized):
        metadata = {"number": number}
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key, metadata=metadata))
    expected = instance.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, set(materialized)
    )
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", count)
    try:
        found = _found_by_step(instance, ("run", request.node.name, 0), asset, tuple(asked))
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", count)
    ids = {key: one.storage_id for key, one in found.items()}
    assert ids == {key: number for key, number in expected.items() if key in asked}
    assert len([one for one in statements if "FROM event_logs" in one]) <= most_queries

"""Retention of Dagster's own storage: log events and compute logs of old runs, and superseded asset events.

Runs stay, because rows in `fact` name the run that computed them, and so does the newest event of each partition: what
the UI shows as computed is not touched. Dagster itself has a retention of ticks alone (dagster.yaml).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import dagster as dg
import sqlalchemy as sa
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log.schema import AssetEventTagsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from fleet_audit.errors import PermanentError
from fleet_audit.storage.event_log import OpenEventLogStorage

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_PER_STATEMENT = 500
_EVENTS = SqlEventLogStorageTable
_OF_ASSETS = [kind.value for kind in (*ASSET_EVENTS, *ASSET_CHECK_EVENTS)]
_Item = TypeVar("_Item")
_SUPERSEDABLE = [kind.value for kind in ASSET_EVENTS]


@dataclass(frozen=True)
class Trimmed:
    """Runs whose log events are older than the limit, their events, and superseded events of assets."""

    runs: int
    log_events: int
    asset_events: int


def trim_history(
    instance: dg.DagsterInstance, logs_before: dt.datetime, events_before: dt.datetime, *, is_dry_run: bool
) -> Trimmed:
    """Remove log events of runs that ended before `logs_before`, and superseded asset events before `events_before`.

    A dry run counts the same and removes nothing. An interrupted one is completed by the next.
    """
    storage = _storage(instance)
    finished = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, updated_before=logs_before))
    run_ids = [record.dagster_run.run_id for record in finished]
    runs = log_events = 0
    for some in _batches(run_ids):
        trimmed_runs, trimmed = _trim_logs(instance, storage, some, is_dry_run=is_dry_run)
        runs, log_events = runs + trimmed_runs, log_events + trimmed
    return Trimmed(runs, log_events, _trim_asset_events(storage, events_before, is_dry_run=is_dry_run))


def history_bytes(instance: dg.DagsterInstance) -> int:
    """Size of the event log: files of SQLite, or the table of PostgreSQL with its indexes."""
    storage = _storage(instance)
    if isinstance(storage, OpenEventLogStorage):
        folder = Path(storage.path_for_shard("index")).parent
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    with storage.index_connection() as connection:
        return int(connection.scalar(sa.select(sa.func.pg_total_relation_size(_EVENTS.name))) or 0)


def _storage(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage) or type(storage) is SqliteEventLogStorage:
        raise PermanentError(
            f"Dagster's events are in {type(storage).__name__}, of which nothing is removed: use the event_log_storage "
            "of the dagster.yaml that fleet-audit writes, or PostgreSQL (deploy/dagster.yaml)."
        )
    return storage


def _trim_logs(
    instance: dg.DagsterInstance, storage: SqlEventLogStorage, run_ids: Sequence[str], *, is_dry_run: bool
) -> tuple[int, int]:
    """Number of these runs that had log events, and of the events.

    Runs without any were trimmed before. Events go last: an interrupted run of this finds the others again.
    """
    if isinstance(storage, OpenEventLogStorage):
        counts = _events_of_files(storage, run_ids)
    else:
        counts = _events_of_rows(storage, run_ids)
    if not is_dry_run:
        for run_id in counts:
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        _remove_events(storage, list(counts))
    return len(counts), sum(counts.values())


def _events_of_files(storage: OpenEventLogStorage, run_ids: Sequence[str]) -> dict[str, int]:
    """SQLite has a file per run; the events of assets are in the database of all runs too, and stay there."""
    counts = {}
    for run_id in run_ids:
        if not Path(storage.path_for_shard(run_id)).exists():
            continue
        with storage.run_connection(run_id) as connection:
            counts[run_id] = connection.scalar(sa.select(sa.func.count()).select_from(_EVENTS)) or 0
    # the file of a trimmed run exists again, without events, once somebody has looked at the run in the UI
    return {run_id: count for run_id, count in counts.items() if count}


def _events_of_rows(storage: SqlEventLogStorage, run_ids: Sequence[str]) -> dict[str, int]:
    counted = sa.select(_EVENTS.c.run_id, sa.func.count()).where(_is_log(run_ids)).group_by(_EVENTS.c.run_id)
    with storage.index_connection() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def _remove_events(storage: SqlEventLogStorage, run_ids: Sequence[str]) -> None:
    if isinstance(storage, OpenEventLogStorage):
        for run_id in run_ids:
            storage.remove_run(run_id)
        return
    with storage.index_connection() as connection:
        connection.execute(_EVENTS.delete().where(_is_log(run_ids)))


def _is_log(run_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        _EVENTS.c.run_id.in_(run_ids),
        sa.or_(_EVENTS.c.dagster_event_type.is_(None), _EVENTS.c.dagster_event_type.not_in(_OF_ASSETS)),
    )


def _trim_asset_events(storage: SqlEventLogStorage, before: dt.datetime, *, is_dry_run: bool) -> int:
    """Events of assets before a time, without the newest of each asset, partition and kind."""
    newest = (
        sa.select(sa.func.max(_EVENTS.c.id))
        .where(_EVENTS.c.asset_key.is_not(None))
        .group_by(_EVENTS.c.asset_key, _EVENTS.c.partition, _EVENTS.c.dagster_event_type)
    )
    superseded = sa.select(_EVENTS.c.id).where(
        _EVENTS.c.dagster_event_type.in_(_SUPERSEDABLE),
        _EVENTS.c.timestamp < before.astimezone(dt.UTC).replace(tzinfo=None),
        _EVENTS.c.id.not_in(newest),
    )
    with storage.index_connection() as connection:
        ids = connection.execute(superseded).scalars().all()
        for some in _batches(ids) if not is_dry_run else ():
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(some)))
            connection.execute(_EVENTS.delete().where(_EVENTS.c.id.in_(some)))
    return len(ids)


def _batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _RUNS_PER_STATEMENT):
        yield items[start : start + _RUNS_PER_STATEMENT]

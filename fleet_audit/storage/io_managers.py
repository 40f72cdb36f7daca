"""Dagster's IO managers: storage of an asset's frames by day, and reading them for the next asset.

Only the partition contract belongs here; reading and writing is done by `lake` and `warehouse`. An asset names its
table of the column dictionary with `metadata={"table": "<schema>.<name>"}`.
"""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import dagster as dg
import pandas as pd
from sqlalchemy import make_url

from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.memory import release_unused_memory
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.schema.registry import table as table_called
from fleet_audit.storage.lake import EncodedDay, Lake
from fleet_audit.storage.output_metadata import add_partition_metadata, day_metadata, preview_of
from fleet_audit.storage.step_errors import acts_on_errors
from fleet_audit.storage.table_days import PREVIEW_ROWS, Days, Kept, LakeDays, read_current_days, restated
from fleet_audit.storage.warehouse import Warehouse

Frames: TypeAlias = pd.DataFrame | Iterable[tuple[dt.date, pd.DataFrame | EncodedDay | Kept]]


UNCHANGED = "Not computed again: inputs and stored rows have not changed."


class StoreOpener(Protocol):
    """The lake and the warehouse, opened on first use."""

    def lake(self) -> Lake:
        """The lake."""

    def warehouse(self) -> Warehouse:
        """The warehouse."""


class _TableIOManager(dg.IOManager):
    """The contract that both IO managers keep.

    A daily asset gives a frame (one partition) or an iterable of `(day, frame)`, written as they come; into the lake
    also `(day, EncodedDay)`, the finished file of a day too large for a frame. `(day, Kept.AS_IT_IS)` leaves the rows
    of the day as they are stored. A generator is wrapped into `dg.Output`, because Dagster takes a returned one for its
    own events. A day of the run that does not come is emptied. An asset without partitions gives a frame.
    """

    def __init__(self, stores: StoreOpener, before_write: Callable[[], None] = lambda: None) -> None:
        """`stores` opens the lake and the warehouse on first use; `before_write` raises where the run may not write."""
        self.stores = stores
        self.before_write = before_write

    @acts_on_errors
    def handle_output(self, context: dg.OutputContext, obj: Frames) -> None:
        """Writes the output of the asset and records its metadata."""
        table = _table(context)
        context.add_output_metadata(self._location(table))
        if context.has_asset_partitions:
            self._write_days(context, table, obj)
        elif isinstance(obj, pd.DataFrame):
            self.before_write()
            rows = self._write_whole(table, obj)
            context.add_output_metadata({"dagster/row_count": rows, "preview": preview_of(obj, table)})
        else:
            raise PermanentError(f"{table.full_name} has no partitions in Dagster: its asset must give one frame.")
        release_unused_memory()

    @acts_on_errors
    def load_input(self, context: dg.InputContext) -> Days | pd.DataFrame:
        """A daily table as `Days`, any other one as a frame.

        Raises PermanentError when a day of the run itself was never written. Neighbours of a window may be absent: the
        day after has not come yet, the day before is older than what was ever run.
        """
        if context.upstream_output is None:
            raise PermanentError("An input without an upstream asset cannot be loaded.")
        table = _table(context.upstream_output)
        if table.partition is None:
            return self._read_whole(table)
        if not context.has_asset_partitions:
            return self._days(table, [])
        days = _partition_days(context.asset_partition_keys)
        self._require_written(context, table, days)
        return self._days(table, days)

    def _require_written(self, context: dg.InputContext, table: Table, days: Sequence[dt.date]) -> None:
        step = dg.AssetExecutionContext.get()
        if step.assets_def.partitions_def != context.asset_partitions_def:
            return  # a cycle reads those of its days that were run
        own = {key for key in step.partition_keys if dt.date.fromisoformat(key) in days}
        unknown = own - step.instance.get_materialized_partitions(context.asset_key)
        missing = sorted(key for key in unknown if not self._has_day(table, dt.date.fromisoformat(key)))
        if missing:
            raise PermanentError(
                f"{context.asset_key.to_user_string()} was never written for {', '.join(missing)}: materialize it for "
                "these days first, or the whole job `day`. An empty day would have been written as one."
            )

    def _write_days(self, context: dg.OutputContext, table: Table, obj: Frames) -> None:
        """Writes the days of the run, each with its own metadata: rows, numbers to plot, first rows."""
        days = _partition_days(context.asset_partition_keys)
        if isinstance(obj, pd.DataFrame):
            if len(days) != 1:
                raise PermanentError(f"{table.full_name}: one frame for {len(days)} days; give (day, frame) pairs.")
            obj = [(days[0], obj)]
        may_write_others = self._allows_neighbours(context)
        written: set[dt.date] = set()
        for day, frame in obj:
            if day in written or (day not in days and not may_write_others):
                what = "twice" if day in written else "which is not a partition of the run"
                raise PermanentError(f"{table.full_name}: the asset gave {day} {what}.")
            written.add(day)
            shown = self._write_or_keep(table, day, frame, context.run_id)
            if day in days:
                add_partition_metadata(context, day.isoformat(), shown)
        missing = [day for day in days if day not in written]
        for day in missing:
            shown = self._write_or_keep(table, day, empty_frame(table), context.run_id)
            add_partition_metadata(context, day.isoformat(), shown)
        if missing:
            context.log.warning(
                f"{table.full_name}: the asset gave nothing for {', '.join(map(str, missing))}; emptied."
            )

    def _write_or_keep(
        self, table: Table, day: dt.date, frame: pd.DataFrame | EncodedDay | Kept, run_id: str
    ) -> dict[str, Any]:
        """Metadata of a day that was written, or of one whose rows stay as they are."""
        self.before_write()
        if isinstance(frame, Kept):
            return {**self._keep_day(table, day, run_id), "unchanged": UNCHANGED}
        return day_metadata(frame, table, self._write_day(table, day, frame, run_id))

    @abstractmethod
    def _keep_day(self, table: Table, day: dt.date, run_id: str) -> dict[str, Any]: ...

    @abstractmethod
    def _allows_neighbours(self, context: dg.OutputContext) -> bool: ...

    @abstractmethod
    def _write_day(self, table: Table, day: dt.date, frame: pd.DataFrame | EncodedDay, run_id: str) -> int: ...

    @abstractmethod
    def _write_whole(self, table: Table, frame: pd.DataFrame) -> int: ...

    @abstractmethod
    def _has_day(self, table: Table, day: dt.date) -> bool: ...

    @abstractmethod
    def _days(self, table: Table, days: Sequence[dt.date]) -> Days: ...

    @abstractmethod
    def _read_whole(self, table: Table) -> pd.DataFrame: ...

    @abstractmethod
    def _location(self, table: Table) -> dict[str, Any]: ...


class LakeIOManager(_TableIOManager):
    """Parquet in the lake, one file per day.

    An asset with metadata `writes_neighbours=True` may also give days that are not the run's.
    """

    def _allows_neighbours(self, context: dg.OutputContext) -> bool:
        return bool((context.definition_metadata or {}).get("writes_neighbours"))

    def _write_day(self, table: Table, day: dt.date, frame: pd.DataFrame | EncodedDay, run_id: str) -> int:
        if isinstance(frame, EncodedDay):
            return self.stores.lake().write_encoded(table, day, frame)
        return self.stores.lake().write_day(table, day, frame)

    def _keep_day(self, table: Table, day: dt.date, run_id: str) -> dict[str, Any]:
        rows, head = self.stores.lake().first_rows(table, day, PREVIEW_ROWS)
        return day_metadata(head, table, rows)

    def _write_whole(self, table: Table, frame: pd.DataFrame) -> int:
        return self.stores.lake().write_table(_whole_path(table), frame, table)

    def _has_day(self, table: Table, day: dt.date) -> bool:
        return self.stores.lake().has_day(table, day)

    def _days(self, table: Table, days: Sequence[dt.date]) -> Days:
        return LakeDays(self.stores.lake(), table, days)

    def _read_whole(self, table: Table) -> pd.DataFrame:
        return self.stores.lake().read_table(_whole_path(table), table)

    def _location(self, table: Table) -> dict[str, Any]:
        return {"path": dg.MetadataValue.path(self.stores.lake().url(f"{table.schema}/{table.name}"))}


class WarehouseIOManager(_TableIOManager):
    """Tables in PostgreSQL, each day replaced in one transaction of its own. Only the run's own days may come.

    The rows of a cycle that is closed for good stay as they are: what a day of it would be now goes to the lake, under
    `restated/`, and is what the next asset reads (docs/closing.md).
    """

    def _allows_neighbours(self, context: dg.OutputContext) -> bool:
        return False

    def _write_day(self, table: Table, day: dt.date, frame: pd.DataFrame | EncodedDay, run_id: str) -> int:
        if isinstance(frame, EncodedDay):
            raise PermanentError(f"{table.full_name} is not a table of the lake: give whole frames.")
        warehouse = self.stores.warehouse()
        if table.frozen_by == table.partition and table.partition is not None and warehouse.closed_days([day]):
            trace = {"run_id": run_id, "updated_at": pd.Timestamp.now("UTC")}
            return self.stores.lake().write_day(restated(table), day, frame.assign(**trace))
        return warehouse.replace_partition(table, [day], frame, run_id).rows

    def _keep_day(self, table: Table, day: dt.date, run_id: str) -> dict[str, Any]:
        """Writes the same rows again: each row names the run that last confirmed it (`closing.readiness`)."""
        rows = self._reader(table)([day])
        return day_metadata(rows, table, self._write_day(table, day, rows, run_id))

    def _write_whole(self, table: Table, frame: pd.DataFrame) -> int:
        return self.stores.warehouse().replace_table(table, frame).rows

    def _has_day(self, table: Table, day: dt.date) -> bool:
        return len(self._reader(table)([day])) > 0  # an empty day leaves no trace here, only in Dagster's event log

    def _days(self, table: Table, days: Sequence[dt.date]) -> Days:
        return Days(days, self._reader(table))

    def _reader(self, table: Table) -> Callable[..., pd.DataFrame]:
        """Reads the rows of days as they would be now; picklable, because processes take days of a range."""
        return partial(read_current_days, self.stores.warehouse(), self.stores.lake(), table)

    def _read_whole(self, table: Table) -> pd.DataFrame:
        return self.stores.warehouse().read_table(table)

    def _location(self, table: Table) -> dict[str, Any]:
        database = make_url(self.stores.warehouse().url).database
        return {"dagster/relation_identifier": f"{database}.{table.full_name}"}


def _table(context: dg.OutputContext) -> Table:
    name = (context.definition_metadata or {}).get("table")
    if not name:
        raise PermanentError(
            f"Asset {context.asset_key.to_user_string()} does not name its table: give it "
            'metadata={"table": "<schema>.<name>"}.'
        )
    return table_called(str(name))


def _partition_days(keys: Iterable[str]) -> list[dt.date]:
    return [dt.date.fromisoformat(key) for key in keys]


def _whole_path(table: Table) -> str:
    return f"{table.schema}/{table.name}/part.parquet"

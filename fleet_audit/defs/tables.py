"""Dagster's view of the column dictionary: an asset's key, column schema, kinds and output, the same way for all.

The computation of assets does not belong here.
"""

import datetime as dt
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Any, TypeVar

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fleet_audit.defs.catalog import group_of, owners_of
from fleet_audit.defs.partitions import cycle_mapping, cycle_partitions, daily_backfill, daily_partitions, single_run
from fleet_audit.errors import PermanentError
from fleet_audit.logic.primitives.workers.pools import each_in_own_process, map_in_processes
from fleet_audit.schema.derive import from_arrow, to_arrow
from fleet_audit.schema.model import Table
from fleet_audit.schema.rights import RELATION_SCHEMAS
from fleet_audit.storage.table_days import Kept

LAKE_IO = "lake_io"
WAREHOUSE_IO = "warehouse_io"
OF_CYCLES: dict[str, Any] = {"partitions_def": cycle_partitions, "backfill_policy": single_run}
Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")
_POOL_FROM_DAYS = 8  # processes cost 1.3 s of imports, once a run: more than they save on a few days of a small fleet
PRELOADED = (
    "fleet_audit.ingest.api.staged_positions",
    "fleet_audit.defs.window_positions",
    "fleet_audit.defs.audit.stored_days",
    "fleet_audit.defs.reports.stored_days",
    "fleet_audit.defs.reports.cycle_files",
)


def key_of(table: Table) -> dg.AssetKey:
    """`schema/name`."""
    return dg.AssetKey(table.address.split("."))


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns as the UI shows them, with unit and domain as constraints."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type.value,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=table.key == (column.name,),
                    other=[
                        *([f"unit: {column.unit}"] if column.unit else []),
                        *([f"one of {', '.join(column.values)}"] if column.values else []),
                    ],
                ),
            )
            for column in table.columns
        ]
    )


def asset_arguments(table: Table, group: str, **metadata: object) -> dict[str, Any]:
    """The arguments of `@dg.asset` that follow from the table: key, description, kinds, IO manager, column schema."""
    is_sql = table.schema in RELATION_SCHEMAS
    return {
        "key": key_of(table),
        "description": _description(table),
        "group_name": group_of(group),
        "owners": owners_of(group),
        "kinds": {"postgres", "table"} if is_sql else {"parquet", "python"},
        "io_manager_key": WAREHOUSE_IO if is_sql else LAKE_IO,
        "metadata": {"table": table.address, "dagster/column_schema": column_schema(table), **metadata},
    }


def _description(table: Table) -> str:
    """What the table holds, its key, what a run replaces, and the table where several assets write it."""
    sentences = [table.description]
    if table.asset:
        sentences.append(
            f"Rows of {table.full_name} with a {table.partition}: its other rows have an asset of their own"
        )
    if table.key:
        sentences.append(f"Key: {', '.join(table.key)}")
    if table.partition:
        sentences.append(f"A run replaces the rows of its {table.partition}")
    return ". ".join(sentences) + "."


def daily_arguments(table: Table, group: str, **metadata: object) -> dict[str, Any]:
    """`asset_arguments` of a table with a row set per day: partitions, and a range of days as one run."""
    return {
        **asset_arguments(table, group, **metadata),
        "partitions_def": daily_partitions,
        "backfill_policy": daily_backfill,
    }


def cycle_arguments(table: Table, group: str) -> dict[str, Any]:
    """`asset_arguments` of a table with a row set per cycle."""
    return {**asset_arguments(table, group), **OF_CYCLES}


def cycle_deps(*tables: Table) -> list[dg.AssetDep]:
    """What a partition of a cycle depends on: all days of the cycle in each table."""
    return [dg.AssetDep(key_of(table), partition_mapping=cycle_mapping) for table in tables]


def output(table: Table, group: str, **metadata: object) -> dg.AssetOut:
    """The same for one output of a multi-asset, which yields only the outputs that a run selected."""
    return dg.AssetOut(**asset_arguments(table, group, **metadata), is_required=False)


def selected_outputs(context: dg.AssetExecutionContext, outputs: Mapping[str, Table]) -> dict[str, Table]:
    """The outputs of a multi-asset that the run selected, in their order."""
    return {name: table for name, table in outputs.items() if key_of(table) in context.selected_asset_keys}


DayFrames = dg.Output  # of an iterator of (day, frame): Dagster cannot resolve the parametrised form


def each_day(days: Iterable[dt.date], compute: Callable[[dt.date], pd.DataFrame]) -> DayFrames:
    """The frames of days, computed one at a time as they are written: lifts a body for one day over a range.

    Wrapped in an Output, because Dagster takes a bare generator for one of its own events.
    """
    return dg.Output((day, compute(day)) for day in days)


def is_long(items: int) -> bool:
    """Whether so many days, or chunks of days, are worth processes, however small each is."""
    return items >= _POOL_FROM_DAYS


def pool_size(items: int, processes: int, *, are_large: bool = False) -> int:
    """The processes for so many days, or chunks of days: one for a few of them that are not large."""
    return processes if are_large or is_long(items) else 1


def computed_parts(
    parts: Sequence[Key],
    inputs: Callable[[Key], Item],
    work: Callable[[Item], Result],
    processes: int,
    *,
    are_large: bool = False,
) -> Generator[tuple[Key, Result], None, None]:
    """Each part of the run's work, such as a day, with what `work` makes of its inputs, in order.

    Many parts, or a few that `are_large`, are computed by so many processes, which get `work` and the inputs; results
    are the same. Closing the generator ends the processes. Raises PermanentError when one of them is killed.
    """
    size = pool_size(len(parts), processes, are_large=are_large)
    with closing(map_in_processes(work, map(inputs, parts), size, PRELOADED)) as results:
        for part in parts:
            yield part, next_part(results, part, f"FLEET_DAY_PROCESSES to less than {processes}")


def computed_in_turn(
    parts: Mapping[Key, Item], work: Callable[[Item], Result], *, are_large: bool, what: str
) -> Generator[tuple[Key, Result], None, None]:
    """Each part, such as a carrier, with what `work` makes of its inputs, one after the other: in the memory of one.

    Those that `are_large` are computed by a process each, which returns its memory. `what` names a part in errors,
    which are those of `computed_parts`.
    """
    results = each_in_own_process(work, parts.values(), PRELOADED) if are_large else map(work, parts.values())
    for part in parts:
        yield part, next_part(results, part, "FLEET_DAY_PROCESSES to 1", what, is_alone=True)


def next_part(
    results: Iterator[Result], part: object, cure: str, what: str = "day", *, is_alone: bool = False
) -> Result:
    """The next result, which is that of `part`, a `what`; what is raised has a note that names it.

    Raises PermanentError when a process is killed, with the settings to change: `cure`; or when what it computed cannot
    be read here. It may have been that of another part, unless each `is_alone`.
    """
    try:
        return next(results)
    except BrokenProcessPool as error:
        computed = f"{part}{'' if is_alone else f' or another {what} at the same time'}"
        if error.__cause__ is not None:
            wrong = str(error.__cause__).removesuffix("'''").rstrip().rpartition("\n")[2]
            raise PermanentError(
                f"What a process computed of {computed} cannot be read by this one ({wrong}): this is an error of the "
                "program, and running it again does not help; report it."
            ) from error
        raise PermanentError(
            f"A process that computed {computed} was killed, most likely for lack of memory: set {cure}, and run it "
            "again."
        ) from error
    except Exception as error:
        error.add_note(f"The {what} was {part}.")
        raise


def each_day_together(computed: Iterable[tuple[dt.date, Any]], outputs: Mapping[str, Table]) -> Iterator[dg.Output]:
    """Several outputs of one computation, day by day: each is an attribute of what was computed of a day, or all of
    them stay as they are.

    Dagster writes one output after the other. The first one's days are computed while they are written; those of the
    others wait packed, a tenth of their size, so that a range needs little more memory than a day.
    """
    first, *others = outputs
    waiting: dict[str, list[tuple[dt.date, pa.Buffer | Kept]]] = {name: [] for name in others}

    def frames() -> Iterator[tuple[dt.date, pd.DataFrame | Kept]]:
        for day, result in computed:
            is_kept = isinstance(result, Kept)
            for name in others:
                waiting[name].append((day, result if is_kept else _packed(getattr(result, name), outputs[name])))
            yield day, result if is_kept else getattr(result, first)

    yield dg.Output(frames(), output_name=first)
    for name in others:
        unpacked = ((day, _unpacked(packed, outputs[name])) for day, packed in waiting[name])
        yield dg.Output(unpacked, output_name=name)


def _packed(frame: pd.DataFrame, table: Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(to_arrow(frame, table.untraced), sink, compression="zstd")
    return sink.getvalue()


def _unpacked(packed: pa.Buffer | Kept, table: Table) -> pd.DataFrame | Kept:
    if isinstance(packed, Kept):
        return packed
    return from_arrow(pq.read_table(pa.BufferReader(packed)), table.untraced)

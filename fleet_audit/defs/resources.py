"""The resource of assets: an installation whose settings can be replaced in Dagster's configuration.

Bound explicitly in `fleet_audit.definitions`; stores are opened in `fleet_audit.installation`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from fleet_audit.defs.run_tags import RECOMPUTE_TAG, UNIT_TAG, missing_tags, run_days_with_context
from fleet_audit.defs.tables import WAREHOUSE_IO
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.ingest.day_digests import forget_days
from fleet_audit.installation import Installation
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.io_managers import LakeIOManager, WarehouseIOManager
from fleet_audit.storage.report_io_manager import ReportIOManager
from fleet_audit.storage.run_locks import RunLock, process_lock

RUN_PROCESS = "run_process"
_UNITS = "select distinct unit_code from ref.units order by unit_code"


class FleetResource(dg.ConfigurableResource, Installation):
    """The installation of a code location. An empty field takes the value of the environment."""

    inbox_url: str = Field(default="", description="Folder or s3://bucket/prefix of the inbox; empty: FLEET_INBOX_URL.")
    lake_url: str = Field(default="", description="Folder or s3://bucket/prefix of the lake; empty: FLEET_LAKE_URL.")
    warehouse_url: str = Field(
        default="",
        description="postgresql://… of the warehouse, without its password here: the launchpad is logged. Empty: "
        "FLEET_WAREHOUSE_URL.",
    )
    home: str = Field(default="", description="Folder of all state that has no address of its own; empty: FLEET_HOME.")

    def settings(self) -> Settings:
        """The settings as the environment has them now; this resource's own fields win."""
        return load_settings(
            inbox_url=self.inbox_url or None,
            lake_url=self.lake_url or None,
            warehouse_url=self.warehouse_url or None,
            home=self.home or None,
        )


SetLog = Callable[[logging.Logger], None]
OnEnd = Callable[[dg.DagsterInstance, dg.DagsterRun, Callable[[str], None]], None]


def run_resources(
    fleet: FleetResource, set_log: SetLog = lambda _: None, on_end: OnEnd = lambda *_: None
) -> dict[str, Any]:
    """The IO managers of runs, each of which holds the lock of the run's process; of tables, reports, and of checks.

    Every step has an IO manager, and only runs have any: a resource that sensors use too would lock for each tick.
    `set_log` is called with the log manager of a run when it starts, `on_end` with the run once its steps have ended.
    """
    return {
        RUN_PROCESS: _run_process(fleet, set_log, on_end),
        "lake_io": _of_run(lambda days: LakeIOManager(fleet, days)),
        WAREHOUSE_IO: warehouse_io_manager(fleet),
        "report_io": _of_run(lambda days: ReportIOManager(fleet, days)),
        # of steps that write nothing themselves, such as checks
        "io_manager": dg.IOManagerDefinition(lambda _: dg.InMemoryIOManager(), required_resource_keys={RUN_PROCESS}),
    }


def _run_process(fleet: FleetResource, set_log: SetLog, on_end: OnEnd) -> dg.ResourceDefinition:
    @dg.resource(description="Shows the sensor lost_runs that the run's process is there; tags the run, sets its log.")
    def run_process(context: dg.InitResourceContext) -> Iterator[None]:
        if context.run is None:
            yield
            return
        if context.log is not None:
            set_log(context.log)
        with process_lock(fleet.database_url, context.run.run_id):
            _tag(fleet, context)
            try:
                yield
            finally:  # the first run of all reads the table of units itself
                _tag(fleet, context)
                _end(context, on_end)

    return run_process


def _end(context: dg.InitResourceContext, on_end: OnEnd) -> None:
    """Calls `on_end` with the run as the instance has it now, with the tags that it was given while it lasted."""
    run = context.instance.get_run_by_id(context.run.run_id) if context.instance and context.run else None
    if context.instance is not None and run is not None:
        on_end(context.instance, run, lambda sentence: _log(context, sentence))


def _tag(fleet: FleetResource, context: dg.InitResourceContext) -> None:
    """Adds the tags that the run lacks; those of its units only once they are known."""
    instance = context.instance
    run = instance.get_run_by_id(context.run.run_id) if instance is not None and context.run is not None else None
    if instance is None or run is None or UNIT_TAG in run.tags:
        return
    try:
        units = list(fleet.warehouse().read(_UNITS, {})["unit_code"])
    except (PermanentError, RetryableError):  # its steps report why
        units = []
    instance.add_run_tags(run.run_id, missing_tags(run, units))


def _of_run(manager: Callable[[Callable[[], None]], dg.IOManager]) -> dg.IOManagerDefinition:
    """An IO manager that asks before each write whether the run still holds its days, which `warehouse_io` locks."""
    return dg.IOManagerDefinition(
        lambda context: manager(getattr(context.resources, WAREHOUSE_IO).before_write),
        required_resource_keys={RUN_PROCESS, WAREHOUSE_IO},
    )


def warehouse_io_manager(fleet: FleetResource) -> dg.IOManagerDefinition:
    """The IO manager of PostgreSQL tables, which holds the days of a run until the run ends.

    Runs over the same days end as if one had followed the other.
    """

    @dg.io_manager(  # type: ignore[arg-type]
        required_resource_keys={RUN_PROCESS},
        description="Tables in PostgreSQL; runs over the same days follow each other.",
    )
    def warehouse_io(context: dg.InitResourceContext) -> Iterator[WarehouseIOManager]:
        with days_held(fleet, context) as require_days:
            yield WarehouseIOManager(fleet, require_days)

    return warehouse_io


@contextmanager
def days_held(fleet: FleetResource, context: dg.InitResourceContext) -> Iterator[Callable[[], None]]:
    """Locks the days of the run; gives what raises RetryableError unless the run still holds them.

    While the warehouse cannot be reached the run begins without them: the first step reports it, and they are locked
    once it can be. A run that computes again fails then instead: it forgets what its days were computed from once it
    holds them, because a run that holds them records that until it ends.
    """
    days = run_days_with_context(context.run) if context.run is not None else []
    if not days:
        yield lambda: None
        return
    is_recompute = context.run is not None and context.run.tags.get(RECOMPUTE_TAG) == "true"
    lock = RunLock(fleet.database_url, days)
    waiting = f"Waiting: another run works on days between {days[0]} and {days[-1]}."
    try:
        lock.acquire(lambda: _log(context, waiting))
    except (PermanentError, RetryableError) as error:
        if is_recompute:
            raise
        _log(context, f"The days of the run are not locked: {error}")
    with lock.kept():
        if is_recompute:
            forget_days(fleet.warehouse(), days)
        yield lock.require


def _log(context: dg.InitResourceContext, sentence: str) -> None:
    if context.log is not None:
        context.log.info(sentence)

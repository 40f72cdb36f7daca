"""The resource of assets: an installation whose settings can be replaced in Dagster's configuration.

Bound explicitly in `fleet_audit.definitions`; stores are opened in `fleet_audit.installation`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg
from pydantic import Field

from fleet_audit.defs.run_tags import run_days_with_context
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.installation import Installation
from fleet_audit.settings import Settings, load_settings
from fleet_audit.storage.io_managers import WarehouseIOManager
from fleet_audit.storage.run_locks import locked


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


def warehouse_io_manager(fleet: FleetResource) -> dg.IOManagerDefinition:
    """The IO manager of PostgreSQL tables, which holds the days of a run until the run ends.

    Runs over the same days end as if one had followed the other. Only runs have IO managers: a resource that sensors
    use too would lock for each tick.
    """

    @dg.io_manager(description="Tables in PostgreSQL; runs over the same days follow each other.")  # type: ignore[arg-type]
    def warehouse_io(context: dg.InitResourceContext) -> Iterator[WarehouseIOManager]:
        with days_held(fleet, context):
            yield WarehouseIOManager(stores=fleet)

    return warehouse_io


@contextmanager
def days_held(fleet: FleetResource, context: dg.InitResourceContext) -> Iterator[None]:
    """Locks the days of the run; nothing while the warehouse cannot be reached, which the first step reports."""
    days = run_days_with_context(context.run) if context.run is not None else []
    with ExitStack() as held:
        if days:
            waiting = f"Waiting: another run works on days between {days[0]} and {days[-1]}."
            try:
                held.enter_context(locked(fleet.migrated_url(), days, lambda: _log(context, waiting)))
            except (PermanentError, RetryableError) as error:
                _log(context, f"The days of the run are not locked: {error}")
        yield


def _log(context: dg.InitResourceContext, sentence: str) -> None:
    if context.log is not None:
        context.log.info(sentence)

"""The resource of assets: an installation whose settings can be replaced in Dagster's configuration.

Bound explicitly in `fleet_audit.definitions`; stores are opened in `fleet_audit.installation`.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Self

import dagster as dg
from pydantic import Field

from fleet_audit.defs.run_tags import run_days_with_context
from fleet_audit.errors import PermanentError, RetryableError
from fleet_audit.installation import Installation
from fleet_audit.settings import Settings, load_settings
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

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Holds the days of the run until it ends: runs over the same days end as if one had followed the other.

        Without a warehouse there is nothing to lock: the run's first step says so, or tries again.
        """
        days = run_days_with_context(context.run) if context.run is not None else []
        with ExitStack() as held:
            if days:
                try:
                    held.enter_context(locked(self.migrated_url(), days, partial(_log_waiting, context, days)))
                except (PermanentError, RetryableError) as error:
                    context.log.warning(f"The days of the run are not locked: {error}")
            yield self

    def settings(self) -> Settings:
        """The settings as the environment has them now; this resource's own fields win."""
        return load_settings(
            inbox_url=self.inbox_url or None,
            lake_url=self.lake_url or None,
            warehouse_url=self.warehouse_url or None,
            home=self.home or None,
        )


def _log_waiting(context: dg.InitResourceContext, days: Sequence[dt.date]) -> None:
    context.log.info(f"Waiting: another run works on days between {days[0]} and {days[-1]}.")  # type: ignore[union-attr]

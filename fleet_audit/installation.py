"""An installation: opens the lake, the warehouse, the inbox and the telemetry API that its settings name.

Only opening belongs here, without Dagster: `defs.resources` wraps it, the command line uses it as it is. What imports
pandas or Arrow is imported when it is asked for, so that `fleet-audit psql` starts without them.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING

from pydantic import SecretStr

from fleet_audit.settings import Settings

if TYPE_CHECKING:
    from fleet_audit.formats.adapter import Adapter
    from fleet_audit.logic.primitives.parameters import ParameterSet
    from fleet_audit.logic.reference.reference import Reference
    from fleet_audit.sources.inbox import Inbox
    from fleet_audit.sources.telemetry_api import TelemetryApi
    from fleet_audit.storage.lake import Lake
    from fleet_audit.storage.stores import Stores
    from fleet_audit.storage.warehouse import Warehouse


class Installation:
    """The stores and sources of one installation, each opened when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened yet."""
        self._settings = settings

    def settings(self) -> Settings:
        """The settings."""
        return self._settings

    def database_url(self) -> str:
        """URL of the warehouse as it is; the embedded PostgreSQL is started when the settings name no other."""
        from fleet_audit.storage.embedded.server import ensure_running

        settings = self.settings()
        # asked each time (2 ms): a step that is tried again starts an embedded server that died
        return settings.warehouse_url.get_secret_value() if settings.warehouse_url else ensure_running(settings.home)

    def migrated_url(self) -> str:
        """URL of the migrated warehouse; the embedded PostgreSQL is started when the settings name no other."""
        url = self.database_url()
        _migrate(url)
        return url

    def warehouse(self) -> Warehouse:
        """The warehouse, migrated."""
        from fleet_audit.storage.warehouse import Warehouse

        return Warehouse(self.migrated_url())

    def lake(self) -> Lake:
        """The lake."""
        from fleet_audit.storage.lake import Lake

        return Lake(self.settings())

    def stores(self) -> Stores:
        """Lake, warehouse and settings together, the stores opened once."""
        from fleet_audit.storage.stores import Stores

        return Stores(self.lake(), self.warehouse(), self.settings())

    def inbox(self) -> Inbox | None:
        """The inbox, or None when the settings name none."""
        from fleet_audit.sources.inbox import Inbox

        settings = self.settings()
        return Inbox(settings.inbox_url, settings) if settings.inbox_url else None

    def api(self, **limits: float) -> TelemetryApi | None:
        """The telemetry API, or None when the settings name none; `limits` are arguments of TelemetryApi."""
        settings = self.settings()
        if not settings.api_url or not settings.api_token:  # load_settings refuses a URL without its token
            return None
        from fleet_audit.sources.telemetry_api import TelemetryApi  # not before: it imports requests

        return TelemetryApi(
            settings.api_url,
            self._api_token,
            adapter=self.adapter(),
            requests_per_min=settings.api_requests_per_min,
            **limits,  # type: ignore[arg-type]
        )

    def _api_token(self) -> SecretStr:
        """The token in the settings as they are now: under Dagster, .env may replace it while a run goes on."""
        return self.settings().api_token or SecretStr("")

    def driver_key(self) -> bytes:
        """The key of the drivers' pseudonyms and of the random start of a cycle's sample."""
        return self.settings().pseudonym_key.get_secret_value().encode()

    def adapter(self) -> Adapter:
        """Names and units of the API's vendor."""
        from fleet_audit.formats.adapter import load_adapter

        return load_adapter(self.settings().api_adapter)

    def reference(self) -> Reference:
        """The reference tables as they are now, and their changes inside open cycles. Its frames are shared."""
        from fleet_audit.logic.reference.reference import Reference
        from fleet_audit.schema import reference
        from fleet_audit.schema.facts import REFERENCE_CHANGES
        from fleet_audit.storage.unchanged_tables import computed_from_tables

        return computed_from_tables(self.warehouse(), (*reference.TABLES, REFERENCE_CHANGES), Reference.of)

    def parameters(self, day: dt.date) -> ParameterSet:
        """The parameters in force on a day; their version is recorded in `ops.parameter_versions`."""
        from fleet_audit.logic.primitives.parameters import parameters_on
        from fleet_audit.schema.reference import PARAMETERS
        from fleet_audit.storage.unchanged_tables import read_tables

        warehouse = self.warehouse()
        found = parameters_on(day, read_tables(warehouse, [PARAMETERS])[PARAMETERS.name])
        _record_version(warehouse.url, found)
        return found


@cache
def _migrate(url: str) -> None:
    from fleet_audit.storage.migrate import upgrade

    upgrade(url)


@cache
def _record_version(url: str, parameters: ParameterSet) -> None:
    from fleet_audit.schema.facts import PARAMETER_VERSIONS
    from fleet_audit.storage.warehouse import Warehouse

    Warehouse(url).upsert(PARAMETER_VERSIONS, parameters.as_frame())

"""Resources that assets ask for: the lake, the warehouse, the inbox, the telemetry API, all from one Settings object.

Bound explicitly in `fleet_audit.definitions`; tests pass their own through `build_definitions(resource_overrides=…)`.
"""

import datetime as dt
from functools import cache

import dagster as dg
from pydantic import SecretStr

from fleet_audit.formats.adapter import Adapter, load_adapter
from fleet_audit.logic.primitives.parameters import ParameterSet, parameters_on
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.facts import PARAMETER_VERSIONS, REFERENCE_CHANGES
from fleet_audit.settings import Settings, load_settings
from fleet_audit.sources.inbox import Inbox
from fleet_audit.sources.telemetry_api import TelemetryApi
from fleet_audit.storage.embedded import ensure_running
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.warehouse import Warehouse


@cache
def _open_warehouse(url: str | None, home: str) -> Warehouse:
    from pathlib import Path

    url = url or ensure_running(Path(home))
    upgrade(url)
    return Warehouse(url)


class FleetResource(dg.ConfigurableResource):
    """Everything outside of the process, opened on first use. An empty field means: as the settings say."""

    inbox_url: str = ""
    lake_url: str = ""
    warehouse_url: str = ""
    home: str = ""

    def settings(self) -> Settings:
        """The settings, with this resource's own fields in front."""
        return load_settings(
            inbox_url=self.inbox_url or None,
            lake_url=self.lake_url or None,
            warehouse_url=self.warehouse_url or None,
            home=self.home or None,
        )

    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.settings())

    def warehouse(self) -> Warehouse:
        """The warehouse, migrated; the embedded PostgreSQL is started when no URL is set."""
        settings = self.settings()
        url = settings.warehouse_url.get_secret_value() if settings.warehouse_url else None
        return _open_warehouse(url, str(settings.home.expanduser().resolve()))

    def inbox(self) -> Inbox | None:
        """The inbox, or None when none is set."""
        settings = self.settings()
        return Inbox(settings.inbox_url, settings) if settings.inbox_url else None

    def api(self) -> TelemetryApi | None:
        """The telemetry API, or None when none is set."""
        settings = self.settings()
        if not settings.api_url or not settings.api_token:  # load_settings refuses a URL without its token
            return None
        return TelemetryApi(
            settings.api_url,
            self._api_token,
            adapter=self.adapter(),
            requests_per_min=settings.api_requests_per_min,
        )

    def _api_token(self) -> SecretStr:
        """The token as the settings say now: it may be replaced in .env while a run goes on."""
        return self.settings().api_token or SecretStr("")

    def driver_key(self) -> bytes:
        """The key of the drivers' pseudonyms."""
        return self.settings().pseudonym_key.get_secret_value().encode()

    def adapter(self) -> Adapter:
        """What the API's vendor calls things."""
        return load_adapter(self.settings().api_adapter)

    def reference(self) -> Reference:
        """The reference tables as they are now, and their changes inside open cycles."""
        warehouse = self.warehouse()
        return Reference.of(
            {table.name: warehouse.read_table(table) for table in (*reference.TABLES, REFERENCE_CHANGES)}
        )

    def parameters(self, day: dt.date) -> ParameterSet:
        """The parameters in force on a day; their version is recorded for whoever asks what a row was made with."""
        warehouse = self.warehouse()
        found = parameters_on(day, warehouse.read_table(reference.PARAMETERS))
        _record_version(warehouse.url, found)
        return found


@cache
def _record_version(url: str, parameters: ParameterSet) -> None:
    Warehouse(url).upsert(PARAMETER_VERSIONS, parameters.as_frame())

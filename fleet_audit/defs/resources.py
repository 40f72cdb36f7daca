"""The resource of assets: an installation whose settings can be replaced in Dagster's configuration.

Bound explicitly in `fleet_audit.definitions`; stores are opened in `fleet_audit.installation`.
"""

import dagster as dg

from fleet_audit.installation import Installation
from fleet_audit.settings import Settings, load_settings


class FleetResource(dg.ConfigurableResource, Installation):
    """The installation of a code location. An empty field takes the value of the environment."""

    inbox_url: str = ""
    lake_url: str = ""
    warehouse_url: str = ""
    home: str = ""

    def settings(self) -> Settings:
        """The settings as the environment has them now; this resource's own fields win."""
        return load_settings(
            inbox_url=self.inbox_url or None,
            lake_url=self.lake_url or None,
            warehouse_url=self.warehouse_url or None,
            home=self.home or None,
        )

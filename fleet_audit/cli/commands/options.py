"""Options that several commands have, each with one name, type and help."""

from __future__ import annotations

import click

DAY = click.DateTime(["%Y-%m-%d"])
home_option = click.option("--home", type=click.Path(path_type=str), help="Folder of all embedded state (FLEET_HOME).")

"""The opened stores of one installation, together: what closes, replays and rebuilds work on.

Opening them belongs to `installation`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse


@dataclass(frozen=True)
class Stores:
    """Lake, warehouse and settings: the places of inputs and rows."""

    lake: Lake
    warehouse: Warehouse
    settings: Settings

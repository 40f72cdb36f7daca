"""The movement in question of vehicles about which little is known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from fleet_audit.dossiers.movement import movement_of
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.lake import STAGING_POSITIONS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake


def test_a_vehicle_without_a_registered_device_has_no_points(tmp_path: Path) -> None:
    day = dt.date(2025, 6, 10)
    lake = Lake(Settings(_env_file=None, home=tmp_path, lake_url=None))
    lake.write_day(STAGING_POSITIONS, day, empty_frame(STAGING_POSITIONS))
    subject = {"operational_date": day, "plate": "AAA1A11", "unit_code": "U1"}
    assert movement_of(lake, subject, {}, (), Reference.of({})).points.empty

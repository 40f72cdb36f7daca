"""Devices that report and belong to no vehicle: their positions per day, and the days that a registration unblocks.

Assigning positions to vehicles belongs to `logic.trips.track.tracks`.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.reference.validity import valid_on, validity


def pending_devices(positions: pd.DataFrame, devices: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """operational_date, device_id, positions, first_at, last_at of devices that no row of `devices` holds on the day.

    Args:
        positions: device_id and recorded_at of the day.
        devices: `ref.devices`.
        day: of America/Sao_Paulo.
    """
    waiting = positions[~positions["device_id"].isin(valid_on(devices, day)["device_id"])]
    found = waiting.groupby("device_id")["recorded_at"].agg(positions="size", first_at="min", last_at="max")
    return found.reset_index().assign(operational_date=day)


def days_unblocked_by(pending: pd.DataFrame, devices: pd.DataFrame) -> list[dt.date]:
    """The days on which positions wait for one of these devices: they must be run again."""
    starts, ends = validity(devices)
    registered = pd.DataFrame({"device_id": devices["device_id"].to_numpy(), "starts": starts, "ends": ends})
    waiting = pending.merge(registered, on="device_id")
    day = as_days(waiting["operational_date"])
    held = (waiting["starts"].to_numpy() <= day) & (day <= waiting["ends"].to_numpy())
    return sorted(set(waiting["operational_date"][held]))

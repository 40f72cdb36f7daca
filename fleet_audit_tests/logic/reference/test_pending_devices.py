"""What waits for its device's registration, and which days a registration lets go on."""

import datetime as dt

import pandas as pd

from fleet_audit.logic.reference.pending_devices import days_unblocked_by, pending_devices
from fleet_audit.schema import reference
from fleet_audit_tests.logic.driving import DAY, Bus
from fleet_audit_tests.logic.frames import rows

NEXT = DAY + dt.timedelta(days=1)
POSITIONS = pd.concat([Bus(device=name).park(1800).positions() for name in ("known", "later", "new")])
DEVICES = rows(
    reference.DEVICES,
    {"device_id": "known", "plate": "AAA1A11"},
    {"device_id": "later", "plate": "BBB2B22", "valid_from": NEXT},
)


def test_a_device_waits_on_each_day_on_which_no_vehicle_has_it() -> None:
    assert pending_devices(POSITIONS, DEVICES, DAY)[["device_id", "positions"]].to_numpy().tolist() == [
        ["later", 4],
        ["new", 4],
    ]


def test_a_registration_lets_go_on_the_days_that_it_covers() -> None:
    waiting = pd.concat([pending_devices(POSITIONS, DEVICES, day) for day in (DAY - dt.timedelta(days=1), DAY)])
    registered = rows(reference.DEVICES, {"device_id": "new", "plate": "CCC3C33", "valid_from": DAY})
    assert days_unblocked_by(waiting, registered) == [DAY]

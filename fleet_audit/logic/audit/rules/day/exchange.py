"""Devices that two vehicles exchanged without a registered move: O08.

Which readings continue another vehicle's odometer is in `devices.exchanges`; falls and jumps themselves are O01
and O02.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import ODOMETERS
from fleet_audit.logic.audit.rules.day.odometer import event_draft, events_of_kind
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.wall_clock import local_days


def continues_another(context: AuditDay) -> list[Draft]:
    """O08: a fall or jump leads to within exchange_km of another plate's last reading, and no move is registered.

    One finding per device and day. Where the other device continues this plate's odometer in turn, both are almost
    certainly exchanged; else the other one is silent or broken, and the confidence is that of grade C. At stake are
    the paid trips within which the reading changes: the km of later ones were driven, by the other vehicle.
    """
    events = events_of_kind(context, "fall", "jump")
    events = events[events["continued_plate"].notna()]
    events = events[~_is_registered(context, events)].sort_values(["plate", "device_id", "started_at"])
    return [_draft(context, group) for _, group in events.groupby(["plate", "device_id"], sort=True)]


def _is_registered(context: AuditDay, events: pd.DataFrame) -> np.ndarray:
    """Whether the register moves either device to the other's plate within exchange_days of the event."""
    zones = events["plate"].map(context.zone).astype("str")
    wanted = pd.DataFrame({
        "event": np.arange(len(events)), "day": as_days(local_days(events["ended_at"], zones)),
    })  # fmt: skip
    crossed = (("device_id", "continued_plate"), ("continued_device_id", "plate"))
    moves = pd.concat(
        [wanted.assign(device_id=events[device].array, plate=events[plate].array) for device, plate in crossed]
    ).merge(context.registered[["device_id", "plate", "valid_from"]], on=["device_id", "plate"])
    apart = np.abs((as_days(moves["valid_from"]) - as_days(moves["day"])).astype("float64"))
    is_near = apart <= context.parameters.exchange_days  # false where valid_from is open
    return wanted["event"].isin(moves.loc[is_near, "event"]).to_numpy()


def _draft(context: AuditDay, events: pd.DataFrame) -> Draft:
    grade = "A" if events["is_mutual"].fillna(False).any() else "C"
    draft = event_draft(context, "O08", events, _continued, GRADE_CONFIDENCE[grade])
    plate, other = events["plate"].iloc[0], events["continued_plate"].iloc[0]
    devices = {events["device_id"].iloc[0], events["continued_device_id"].iloc[0]}
    registered = context.registered[context.registered["device_id"].isin(devices)]
    trips = context.trips_of_day
    since = trips[(trips["plate"] == plate) & (trips["ended_at"] > events["started_at"].min())]
    return replace(
        draft,
        facts={
            **draft.facts,
            "other_plate": other,
            "registered_devices": registered[["device_id", "plate", "valid_from", "valid_to"]].to_dict("records"),
        },
        thresholds={name: getattr(context.parameters, name) for name in ("exchange_km", "exchange_days")},
        context_trip_ids=tuple(
            key for key in since.sort_values(["started_at", "trip_id"])["trip_id"] if key not in draft.trip_ids
        ),
    )


def _continued(context: AuditDay, event: Record) -> str:
    zone = context.zone(event["plate"])
    both = ", cujo equipamento passou, por sua vez, a continuar o deste" if event["is_mutual"] is True else ""
    return (
        f"O hodômetro informado pelo equipamento {event['device_id']}, do veículo {event['plate']}, passou de "
        f"{sentences.km(event['odometer_from_km'])} ({sentences.moment(event['started_at'], zone)}) para "
        f"{sentences.km(event['odometer_to_km'])} ({sentences.moment(event['ended_at'], zone)}) e continua o do "
        f"veículo {event['continued_plate']}, que marcava {sentences.km(event['continued_km'])} em "
        f"{sentences.moment(event['continued_at'], zone)}{both}: os equipamentos podem ter sido trocados sem registro"
    )


RULES = (
    Rule(
        "O08",
        "2",
        "H",
        "Hodômetro continua o de outro veículo",
        "O equipamento de um veículo passou a informar o hodômetro de outro, sem troca registrada: o que ele mede "
        "desde então pode ser do outro veículo.",
        "P",
        continues_another,
        amount="paid_doubtful_brl",
        parameters=("exchange_km", "exchange_days"),
        needs=(
            ODOMETERS,
            Need(
                lambda context: (
                    context.devices.health.loc[context.devices.health["readings"] > 0, "plate"].nunique() != 1
                ),
                "só um veículo informou o hodômetro no dia",
            ),
        ),
        rests_on=("devices",),
    ),
)

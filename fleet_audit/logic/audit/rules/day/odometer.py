"""What the odometer shows by itself: O01 falls, O02 jumps, O03 stands, O04 counts alone.

Events are found in `odometer_events`, faulty devices in `device_health`; a trip whose path disagrees is in
`odometer_and_path`, a ratio over days is judged with the cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import ODOMETERS, ODOMETERS_AND_PLACES
from fleet_audit.logic.audit.rules.day.presence import unlinked_runs
from fleet_audit.logic.audit.rules.draft import DEVICE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.devices.device_health import UNITS
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import intervals, overlaps

_SHOWN = 20  # events in the evidence

EventRows = dict[Any, list[tuple[int, str]]]  # by an event's index label: place in the order of start, id of the row


def falls(context: AuditDay) -> list[Draft]:
    """O01: the odometer falls by more than fall_km without a reset. One finding per device and day."""
    return _of_kind(context, "O01", "fall")


def jumps(context: AuditDay) -> list[Draft]:
    """O02: it jumps beyond impossible_kmh × time + odometer_slack_km."""
    return _of_kind(context, "O02", "jump")


def frozen(context: AuditDay) -> list[Draft]:
    """O03: the path goes on for more than frozen_km while the odometer stands."""
    return _of_kind(context, "O03", "frozen")


def parked(context: AuditDay) -> list[Draft]:
    """O04: the odometer counts more than parked_count_km while the tracker stays within parked_radius_m.

    Its fixes vary as a parked receiver's do. One that repeats a coordinate to the last digit, or rounds it to a
    kilometre, has no fix and is on its bus: what its odometer counts was driven, and Q05 reports the receiver. The
    sentence names the declared runs of the day that nobody observed: they are held (D06), and none is a phantom (D05).
    """
    stuck = set(context.devices_without_places["device_id"])
    drafts = [draft for draft in _of_kind(context, "O04", "parked") if draft.facts["device_id"] not in stuck]
    if not drafts:
        return []
    held = unlinked_runs(context)
    counts = held.loc[held["reason"] == "not_observed", "plate"].value_counts()
    return [_with_held_runs(draft, int(counts.get(draft.plate, 0))) for draft in drafts]


def _with_held_runs(draft: Draft, runs: int) -> Draft:
    if not runs:
        return draft
    held = (
        "uma ata desse dia sem viagem medida não foi observada e fica retida, sem indício de corrida fantasma"
        if runs == 1
        else f"{runs} atas desse dia sem viagem medida não foram observadas e ficam retidas, sem indício de corrida "
        "fantasma"
    )
    facts = {**draft.facts, "runs_not_observed": runs}
    return replace(draft, explanation_pt=f"{draft.explanation_pt.removesuffix('.')}; {held}.", facts=facts)


def resets(context: AuditDay) -> list[Draft]:
    """Q05: an odometer that falls to below reset_below_km and counts on from there was reset; nothing is disputed."""
    return [
        Draft(
            "Q05",
            event["plate"],
            f"O hodômetro do veículo {event['plate']} foi reiniciado: passou de "
            f"{km_text(event['odometer_from_km'])} para {km_text(event['odometer_to_km'])} entre "
            f"{_period(context, event)} e seguiu contando a partir daí.",
            1.0,
            facts={"events": [event]},
            thresholds={"reset_below_km": context.parameters.reset_below_km},
            extra=("odometer_reset", event["device_id"], str(event["started_at"])),
        )
        for event in events_of_kind(context, "reset").to_dict("records")
    ]


def events_of_kind(context: AuditDay, *kinds: str) -> pd.DataFrame:
    """Events of D of these kinds, of devices whose odometer is in kilometres.

    Without lone readings: one that the next takes back is a device that stumbles, and changes no kilometre.
    """
    bad = context.health_with(*UNITS)["device_id"]
    events = context.devices.events
    return events[events["kind"].isin(kinds) & ~events["is_lone"].astype(bool) & ~events["device_id"].isin(bad)]


def _of_kind(context: AuditDay, rule_id: str, kind: str) -> list[Draft]:
    events = events_of_kind(context, kind).sort_values(["plate", "device_id", "started_at"])
    return [
        event_draft(context, rule_id, group, _SENTENCES[rule_id], DEVICE_CONFIDENCE)
        for _, group in events.groupby(["plate", "device_id"], sort=True)
    ]


def event_draft(
    context: AuditDay,
    rule_id: str,
    events: pd.DataFrame,
    sentence: Callable[[AuditDay, Record], str],
    confidence: float,
) -> Draft:
    """A finding about the events of one device on one day; `sentence` words the first of them, without the full stop.

    At stake are the trips that an event overlaps and that are paid by the device's own readings.
    """
    plate, device_id = events["plate"].iloc[0], events["device_id"].iloc[0]
    trip_ids, run_ids = (_ids_at(events, rows) for rows in (trips_at_events(context), _runs_at_events(context)))
    paid = _km_paid_by_own_readings(context)
    doubtful = {trip_id: paid[trip_id] for trip_id in trip_ids if trip_id in paid}
    stake = sum(doubtful.values(), Decimal("0.00")) if doubtful else None
    rows = events.to_dict("records")
    others = f" (e mais {sentences.counted(len(rows) - 1, 'vez', 'vezes')} no dia)" if len(rows) > 1 else ""
    return Draft(
        rule_id,
        plate,
        sentence(context, rows[0]) + others + ".",
        confidence,
        trip_ids,
        (),
        stake,
        context.rate_of(doubtful, ()),
        {"device_id": device_id, "events": rows[:_SHOWN], "event_count": len(rows)},
        context_run_ids=run_ids,
        extra=(device_id,),
    )


@computed_once
def _km_paid_by_own_readings(context: AuditDay) -> dict[str, Decimal]:
    """Billable km of the trips of D that are paid by readings of the odometer, by trip_id.

    Not those that GPS measured, nor those of grade A, whose odometer and path agree.
    """
    trips = context.trips_of_day
    own = trips[(trips["km_method"] != "gps") & (trips["evidence_grade"] != "A")]
    costs = context.costs[(context.costs["cost_status"] == "priced") & (context.costs["billable_km"] > 0)]
    costs = costs[costs["trip_id"].isin(own["trip_id"])]
    return dict(zip(costs["trip_id"], costs["billable_km"], strict=True))


@computed_once
def trips_at_events(context: AuditDay) -> EventRows:
    """Trips of D by positions that each event of their plate overlaps."""
    trips = context.trips_of_day
    return _rows_at_events(context, trips[trips["source"] == "positions"], "trip_id")


@computed_once
def _runs_at_events(context: AuditDay) -> EventRows:
    """Declared runs of D that each event of their plate overlaps."""
    return _rows_at_events(context, context.runs_of_day, "declared_run_id")


def _rows_at_events(context: AuditDay, rows: pd.DataFrame, key: str) -> EventRows:
    ordered, events = rows.sort_values(["started_at", key]), context.devices.events
    pairs = overlaps(intervals(ordered), intervals(events))
    labels, ids = events.index[pairs["right"]], ordered[key].iloc[pairs["left"]]
    found: EventRows = {}
    for label, place, row_id in zip(labels, pairs["left"], ids, strict=True):
        found.setdefault(label, []).append((place, row_id))
    return found


def _ids_at(events: pd.DataFrame, rows: EventRows) -> tuple[str, ...]:
    """Ids of the rows that one of these events overlaps, in order of start."""
    return tuple(row_id for _, row_id in sorted({row for label in events.index for row in rows.get(label, ())}))


def km_text(value: float) -> str:
    """A distance in km as people read it, without the noise of binary numbers."""
    return sentences.km(Decimal(str(round(value, 6))))


def _period(context: AuditDay, event: Record) -> str:
    zone = context.zone(event["plate"])
    return f"{sentences.moment(event['started_at'], zone)} e {sentences.moment(event['ended_at'], zone)}"


def _fell(context: AuditDay, event: Record) -> str:
    return (
        f"O hodômetro do veículo {event['plate']} caiu de {km_text(event['odometer_from_km'])} para "
        f"{km_text(event['odometer_to_km'])} entre {_period(context, event)}"
    )


def _jumped(context: AuditDay, event: Record) -> str:
    path = "" if pd.isna(event["path_km"]) else f", embora as posições distem {km_text(event['path_km'])}"
    return (
        f"O hodômetro do veículo {event['plate']} saltou de {km_text(event['odometer_from_km'])} para "
        f"{km_text(event['odometer_to_km'])} entre {_period(context, event)}, mais do que um veículo percorre nesse "
        f"tempo{path}"
    )


def _stood(context: AuditDay, event: Record) -> str:
    return (
        f"O hodômetro do veículo {event['plate']} ficou parado em {km_text(event['odometer_from_km'])} entre "
        f"{_period(context, event)}, enquanto as posições mostram {km_text(event['path_km'])} percorridos"
    )


def _counted_alone(context: AuditDay, event: Record) -> str:
    place = f"{sentences.number(event['latitude_from'], 5)}; {sentences.number(event['longitude_from'], 5)}"
    return (
        f"O hodômetro do veículo {event['plate']} contou "
        f"{km_text(event['odometer_to_km'] - event['odometer_from_km'])} entre "
        f"{_period(context, event)}, enquanto o rastreador ficou no mesmo lugar ({place}): ele pode estar fora "
        "do veículo"
    )


def _plates_with_odometer(context: AuditDay) -> set[str]:
    health = context.devices.health
    return set(health.loc[health["readings"] > 0, "plate"])


def _plates_without_usable_reading(context: AuditDay) -> set[str]:
    """Plates with trips by positions, to none of which a reading belongs, and with no event."""
    trips = context.trips_of_day[context.trips_of_day["source"] == "positions"]
    is_measured = trips["km_odometer"].notna() | (trips["km_method"] != "gps")
    return set(trips["plate"]) - set(trips.loc[is_measured, "plate"]) - set(context.devices.events["plate"])


_USABLE_READINGS = VehicleNeed(
    _plates_with_odometer,
    _plates_without_usable_reading,
    "nenhuma leitura do hodômetro serve a uma viagem do dia: ele pode estar parado, ser lido raramente ou contar de "
    "muitos em muitos km",
)
_SENTENCES = {"O01": _fell, "O02": _jumped, "O03": _stood, "O04": _counted_alone}


RULES = (
    Rule(
        "O01",
        "6",
        "C",
        "Hodômetro recua",
        "A leitura do hodômetro caiu sem que o equipamento fosse reiniciado.",
        "P",
        falls,
        amount="paid_doubtful_brl",
        parameters=("fall_km",),
        needs=(ODOMETERS,),
        vehicle_need=_USABLE_READINGS,
    ),
    Rule(
        "O02",
        "8",
        "H",
        "Hodômetro salta",
        "A leitura do hodômetro aumentou mais do que um veículo percorre no tempo entre duas leituras.",
        "P",
        jumps,
        amount="paid_doubtful_brl",
        parameters=(
            "impossible_kmh",
            "odometer_slack_km",
        ),
        needs=(ODOMETERS,),
        vehicle_need=_USABLE_READINGS,
    ),
    Rule(
        "O03",
        "6",
        "H",
        "GPS anda, hodômetro parado",
        "As posições mostram o veículo rodando enquanto o hodômetro não conta.",
        "P",
        frozen,
        amount="paid_doubtful_brl",
        parameters=("frozen_km",),
        needs=(ODOMETERS_AND_PLACES,),
        vehicle_need=_USABLE_READINGS,
    ),
    Rule(
        "O04",
        "7",
        "C",
        "Hodômetro anda, GPS parado",
        "O hodômetro conta enquanto o rastreador não sai do lugar: ele pode estar fora do veículo.",
        "P",
        parked,
        amount="paid_doubtful_brl",
        parameters=(
            "parked_count_km",
            "parked_radius_m",
            "gap_note_s",
        ),
        needs=(ODOMETERS_AND_PLACES,),
        vehicle_need=_USABLE_READINGS,
    ),
)

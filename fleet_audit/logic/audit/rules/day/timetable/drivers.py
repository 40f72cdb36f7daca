"""One driver on two vehicles at once: T02.

One vehicle in two movements at once is T01 in `simultaneous`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import UNTRUSTED_PT
from fleet_audit.logic.audit.rules.draft import Draft, grade_confidence
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.money import half_up

_SHARED_CONFIDENCE = 0.3  # an identification on three vehicles at once is used by several people
_JUDGED = ("service", "deadhead", "unknown")  # a yard or a workshop moves buses with whoever is logged on


def on_two_vehicles(context: AuditDay) -> list[Draft]:
    """T02: trips of one driver on two vehicles that share more than overlap_min_s, on the plate that starts later.

    Where positions are more than two minutes apart the ends of a trip are not known better than gap_note_s: the trips
    must share more than that. Plates whose device has a wrong clock are not judged. An identification that is on three
    vehicles at once is one finding of low severity: nobody can say who drove.
    """
    trips = _trips_with_driver(context)
    pairs = _pairs(context, trips)
    ids = trips["trip_id"]
    known = context.trip_records(ids.iloc[[*pairs["earlier"], *pairs["later"]]])
    rows = {at: known[ids.iloc[at]] for at in {*pairs["earlier"], *pairs["later"]}}
    drafts = []
    for driver, found in pairs.groupby("driver_id", sort=True):
        if found.groupby("later")["other_plate"].nunique().max() > 1:
            drafts += _shared(context, str(driver), [rows[at] for at in sorted({*found["earlier"], *found["later"]})])
            continue
        for pair in found.drop_duplicates("later").itertuples():
            later = rows[pair.later]
            if later["operational_date"] == context.day:
                drafts.append(_draft(context, rows[pair.earlier], later, float(pair.overlap_s)))
    return drafts


def _plates_with_driver(context: AuditDay) -> set[str]:
    trips = context.trips_of_day
    return set(trips.loc[trips["driver_id"].notna() & trips["purpose"].isin(_JUDGED), "plate"])


def _trips_with_driver(context: AuditDay) -> pd.DataFrame:
    trips = context.trips[context.trips["driver_id"].notna() & context.trips["purpose"].isin(_JUDGED)]
    trips = trips[~trips["plate"].isin(context.plates_with_doubtful_times)]
    return trips.sort_values(["driver_id", "started_at", "plate", "trip_id"]).reset_index(drop=True)


def _pairs(context: AuditDay, trips: pd.DataFrame) -> pd.DataFrame:
    """Pairs of trips of one driver on two plates: driver_id, earlier, later (rows), other_plate, overlap_s."""
    spans = intervals(trips).assign(plate=trips["driver_id"].to_numpy(dtype=object))
    pairs = overlaps(spans, spans)
    earlier, later = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    plates = trips["plate"].to_numpy(dtype=object)
    coverage = trips["coverage_pct"].to_numpy(dtype=float, na_value=np.nan)
    is_coarse = (trips["source"] == "positions").to_numpy() & ~(coverage >= context.parameters.coverage_min_pct)
    least_s = np.where(
        is_coarse[earlier] | is_coarse[later], context.parameters.gap_note_s, context.parameters.overlap_min_s
    )
    overlap_s = pairs["overlap_us"].to_numpy() / 1e6
    found = pd.DataFrame(
        {
            "driver_id": trips["driver_id"].to_numpy(dtype=object)[later],
            "earlier": earlier,
            "later": later,
            "other_plate": plates[earlier],
            "overlap_s": overlap_s,
        }
    )
    found = found[(earlier < later) & (plates[earlier] != plates[later]) & (overlap_s > least_s)]
    return found.sort_values(["later", "overlap_s", "earlier"], ascending=[True, False, True])


def _draft(context: AuditDay, earlier: Record, later: Record, overlap_s: float) -> Draft:
    seconds = (later["ended_at"] - later["started_at"]).total_seconds()
    is_paid = later["trip_id"] in context.paid_trips and not pd.isna(later["km_measured"])
    shared = float(later["km_measured"]) * overlap_s / seconds if is_paid else None
    return Draft(
        "T02",
        later["plate"],
        f"O motorista {later['driver_id']} aparece em dois veículos ao mesmo tempo: no veículo "
        f"{_when(context, earlier)} e no veículo {_when(context, later)}, com "
        f"{sentences.number(overlap_s / 60, 0)} min em comum.",
        grade_confidence([earlier, later]),
        (later["trip_id"],),
        km_at_stake=None if shared is None else half_up(shared),
        rate=context.rate_of([later["trip_id"]], ()),
        facts={
            "driver_id": later["driver_id"],
            "overlap_s": overlap_s,
            "local_times": [_when(context, trip) for trip in (earlier, later)],
        },
        context_trip_ids=(earlier["trip_id"],),
    )


def _shared(context: AuditDay, driver: str, trips: list[Record]) -> list[Draft]:
    of_day = [trip for trip in trips if trip["operational_date"] == context.day]
    if not of_day:
        return []
    plates = sorted({trip["plate"] for trip in trips})
    return [
        Draft(
            "T02",
            of_day[-1]["plate"],
            f"A identificação de motorista {driver} aparece em {len(plates)} veículos ao mesmo tempo em "
            f"{sentences.day(context.day)} ({', '.join(plates[:10])}): ela é usada por mais de uma pessoa e não mostra "
            "quem dirigia.",
            _SHARED_CONFIDENCE,
            facts={"driver_id": driver, "plates": plates, "local_times": [_when(context, trip) for trip in trips[:20]]},
            context_trip_ids=tuple(trip["trip_id"] for trip in trips[:20]),
            extra=("shared", driver),
            severity="L",
        )
    ]


def _when(context: AuditDay, trip: Record) -> str:
    return f"{trip['plate']} em {sentences.period(trip, context.zone(trip['plate']))}"


RULES = (
    Rule(
        "T02",
        "2",
        "H",
        "Motorista em dois veículos ao mesmo tempo",
        "O mesmo motorista está identificado em viagens de dois veículos no mesmo horário.",
        "P/V",
        on_two_vehicles,
        amount="paid_doubtful_brl",
        parameters=("overlap_min_s", "gap_note_s", "coverage_min_pct"),
        needs=(
            Need(
                lambda context: bool(context.trips_of_day["driver_id"].notna().any()),
                "nenhuma viagem do dia traz o motorista",
            ),
        ),
        vehicle_need=VehicleNeed(_plates_with_driver, lambda context: context.plates_with_doubtful_times, UNTRUSTED_PT),
    ),
)

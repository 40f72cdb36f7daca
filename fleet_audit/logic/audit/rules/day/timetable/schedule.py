"""Service against the unit's shifts and the vehicle's plan: T03 outside every shift, T04 on a day that is not planned.

How many trips a cycle plans is T05 and T06 of the cycle.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import TRIPS, UNTRUSTED_PT
from fleet_audit.logic.audit.rules.draft import Draft, grade_confidence
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.wall_clock import local_days, to_local
from fleet_audit.logic.reference.places import WORKPLACES
from fleet_audit.logic.reference.shifts import nearest_shifts, parse_weekdays, shift_lengths, shifts_over_midnight

_LONGEST_WAIT = pd.Timedelta(hours=4)  # of a bus that comes for the workers of a short shift


def outside_every_shift(context: AuditDay) -> list[Draft]:
    """T03: a service trip whose time at the workplace is beyond the tolerance of every shift's start and end.

    A trip without a shift does not prove it: a bus that has brought one shift leaves empty, after that shift's start,
    and one that comes for its workers arrives before its end. So the trip before a departure must not serve a shift
    that lasts until then, nor the trip after an arrival one at all, unless the bus stood there for half of that shift
    and _LONGEST_WAIT or longer: one that arrives too late and waits until the end came late. Trips between two
    workplaces, trips whose other end lies in a gap and may be a workplace, units without shifts and devices with a
    wrong clock are not judged.
    """
    trips = _service_of_day(context)
    trips = trips[trips["shift_code"].isna() & trips["unit_code"].isin(set(context.reference.shifts["unit_code"]))]
    trips = trips.merge(_neighbours(context), on="trip_id")
    trips = trips[~trips["plate"].isin(context.plates_with_doubtful_times)].reset_index(drop=True)
    moments = _workplace_moments(context, trips)
    serves_with_other = moments["serves_after"].where(moments["is_destination"], moments["serves_before"]).astype(bool)
    is_other_end_hidden = moments["is_start_in_gap"].where(moments["is_destination"], moments["is_end_in_gap"])
    is_judged = (moments["is_origin"] != moments["is_destination"]) & ~serves_with_other
    moments = moments[is_judged & ~is_other_end_hidden.fillna(False).astype(bool)]
    asked = moments.assign(is_arrival=~moments["is_destination"])  # the other border: `classification` asked the first
    near = nearest_shifts(asked, context.reference.shifts, context.parameters.shift_tolerance_min)
    rows = moments[near.isna()].to_dict("records")
    return [_outside(context, row) for row in rows]


def unplanned_day(context: AuditDay) -> list[Draft]:
    """T04: service trips of a vehicle on a weekday that no row of its plan names. One finding per vehicle and day.

    A plan row without weekdays names every day. Weekdays are those of the shift: a trip before night_departure_h
    belongs to the day before as well, one in the same hours before midnight to the day after, and one of a shift that
    passes midnight to both.
    """
    named = _named_weekdays(context)
    trips = _service_of_day(context)
    trips = trips[trips["plate"].isin(set(named)) & ~trips["plate"].isin(context.plates_with_doubtful_times)]
    served = zip(trips["plate"], _days_of(context, trips), strict=True)
    trips = trips[np.array([not (days & named[plate]) for plate, days in served], dtype=bool)]
    return [
        _unplanned(context, plate, group.sort_values(["started_at", "trip_id"]).to_dict("records"), named[plate])
        for plate, group in trips.groupby("plate", sort=True)
    ]


def _service_of_day(context: AuditDay) -> pd.DataFrame:
    trips = context.trips_of_day
    return trips[trips["purpose"] == "service"]


def _neighbours(context: AuditDay) -> pd.DataFrame:
    """trip_id, and whether the vehicle's trip before it, and the one after it, serves a shift; yard trips aside.

    Only where less than that shift lies between it and a trip before, and less than half of it, or than _LONGEST_WAIT,
    between it and a trip after: a bus came at 13:00 for a shift of one hour that ended at 16:00.
    """
    trips = context.trips[context.trips["purpose"] != "yard"].sort_values(["plate", "started_at", "trip_id"])
    keys = pd.MultiIndex.from_frame(trips[["unit_code", "shift_code"]].astype(object))
    length = pd.Series(shift_lengths(context.reference.shifts).reindex(keys).to_numpy(), index=trips.index)
    longest_wait = (length / 2).clip(lower=_LONGEST_WAIT)
    parts = (length, longest_wait, trips["started_at"], trips["ended_at"])
    whole, wait, start, end = (part.groupby(trips["plate"]) for part in parts)
    return pd.DataFrame(
        {
            "trip_id": trips["trip_id"],
            "serves_before": trips["started_at"] - end.shift(1) < whole.shift(1),
            "serves_after": start.shift(-1) - trips["ended_at"] < wait.shift(-1),
        }
    )


def _workplace_moments(context: AuditDay, trips: pd.DataFrame) -> pd.DataFrame:
    """The trips with the instant `at` at their workplace, timezone, and which ends are workplaces."""
    pois = context.reference.pois
    workplaces = set(pois.loc[pois["kind"].isin(WORKPLACES), "poi_id"])
    is_destination = trips["destination_poi_id"].isin(workplaces)
    return trips.assign(
        timezone=trips["plate"].map(context.zone).astype("str"),
        is_origin=trips["origin_poi_id"].isin(workplaces),
        is_destination=is_destination,
        at=trips["ended_at"].where(is_destination, trips["started_at"]),
    )


def _outside(context: AuditDay, trip: Record) -> Draft:
    plate = trip["plate"]
    zone = context.zone(plate)
    shifts = context.reference.shifts
    of_unit = shifts[shifts["unit_code"] == trip["unit_code"]].sort_values(["start_local", "shift_code"])
    listed = ", ".join(f"{row.shift_code} {row.start_local}–{row.end_local}" for row in of_unit.itertuples())
    verb, place = ("chegou a", "destination") if trip["is_destination"] else ("saiu de", "origin")
    name = trip[f"{place}_text"] if not pd.isna(trip[f"{place}_text"]) else trip[f"{place}_poi_id"]
    return Draft(
        "T03",
        plate,
        f"Na viagem de serviço de {sentences.period(trip, zone)}, o veículo {plate} {verb} {name} às "
        f"{sentences.clock(trip['at'], zone)}, fora da tolerância do início e do fim de todos os turnos da unidade "
        f"({listed}).",
        grade_confidence([trip]),
        (trip["trip_id"],),
        facts={
            "local_time": sentences.moment(trip["at"], zone),
            "workplace_poi_id": trip[f"{place}_poi_id"],
            "shifts": of_unit[["shift_code", "start_local", "end_local", "weekdays", "tolerance_min"]].to_dict(
                "records"
            ),
        },
    )


def _named_weekdays(context: AuditDay) -> dict[str, frozenset[int]]:
    """ISO weekdays that the plan of the cycle names, by plate; only plates of which every row names some."""
    plan = context.reference.km_plan
    is_current = [  # a cycle cannot begin after the 28th
        start.day <= 28 and start <= context.day <= cycle_of(start, start.day).end for start in plan["cycle_start"]
    ]
    current = plan[np.array(is_current, dtype=bool)]
    every_day = set(current.loc[current["weekdays"].isna(), "plate"])
    named: dict[str, frozenset[int]] = {}
    for row in current[~current["plate"].isin(every_day)].itertuples():
        named[row.plate] = named.get(row.plate, frozenset()) | parse_weekdays(row.weekdays)
    return named


def _days_of(context: AuditDay, trips: pd.DataFrame) -> list[set[int]]:
    """ISO weekdays whose shift each trip may serve."""
    zones = trips["plate"].map(context.zone).astype("str")
    wall = to_local(trips["started_at"], zones).to_numpy()
    hours = (wall - wall.astype("datetime64[D]")) / np.timedelta64(1, "h")
    ends_later = local_days(trips["ended_at"], zones) > local_days(trips["started_at"], zones)
    over_midnight = shifts_over_midnight(context.reference.shifts)
    today, early = context.day.isoweekday(), context.parameters.night_departure_h
    before, after = (today - 2) % 7 + 1, today % 7 + 1
    found = []
    for unit, shift, hour, is_over in zip(trips["unit_code"], trips["shift_code"], hours, ends_later, strict=True):
        is_night = (unit, shift) in over_midnight
        days = {today}
        if is_night or hour < early:
            days.add(before)
        if is_night or is_over or hour >= 24 - early:
            days.add(after)
        found.append(days)
    return found


_WEEKDAYS = ("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo")


def _unplanned(context: AuditDay, plate: str, trips: list[Record], named: frozenset[int]) -> Draft:
    zone = context.zone(plate)
    times = ", ".join(f"das {sentences.clock(trip['started_at'], zone)} às {sentences.clock(trip['ended_at'], zone)}"
                      for trip in trips[:5])  # fmt: skip
    more = f" e mais {len(trips) - 5}" if len(trips) > 5 else ""
    count = sentences.counted(len(trips), "viagem", "viagens")
    return Draft(
        "T04",
        plate,
        f"O veículo {plate} fez {count} de serviço em {sentences.day(context.day)}, "
        f"{_WEEKDAYS[context.day.isoweekday() - 1]} ({times}{more}), e o plano do ciclo só prevê o veículo em: "
        f"{', '.join(_WEEKDAYS[day - 1] for day in sorted(named))}.",
        grade_confidence(trips),
        tuple(trip["trip_id"] for trip in trips),
        facts={
            "planned_weekdays": sorted(named),
            "weekday": context.day.isoweekday(),
            "local_times": [sentences.period(trip, zone) for trip in trips],
        },
        is_vehicle_day=True,
    )


_TRUSTED_TIMES_OF_SERVICE = VehicleNeed(
    lambda context: set(_service_of_day(context)["plate"]),
    lambda context: context.plates_with_doubtful_times,
    UNTRUSTED_PT,
)
RULES = (
    Rule(
        "T03",
        "5",
        "M",
        "Serviço fora de todos os turnos",
        "A viagem de serviço chega ao local de trabalho, ou sai dele, fora da tolerância de todos os turnos.",
        "P/V+K",
        outside_every_shift,
        parameters=("shift_tolerance_min",),
        needs=(TRIPS, Need(lambda context: len(context.reference.shifts) > 0, "nenhum turno cadastrado")),
        rests_on=("shifts",),
        vehicle_need=_TRUSTED_TIMES_OF_SERVICE,
    ),
    Rule(
        "T04",
        "3",
        "M",
        "Serviço em dia fora do plano",
        "O veículo fez viagens de serviço em um dia da semana que o plano do ciclo não prevê para ele.",
        "P/V+K",
        unplanned_day,
        parameters=("night_departure_h",),
        needs=(
            TRIPS,
            Need(lambda context: len(_named_weekdays(context)) > 0, "nenhum plano com dias da semana para o ciclo"),
        ),
        rests_on=("km_plan",),
        vehicle_need=_TRUSTED_TIMES_OF_SERVICE,
    ),
)

"""A vehicle against its own past: O07, its tracker moves and stands as if it were in another vehicle.

What is usual for a vehicle on its ways is computed in `logic.devices.driving`; the others on a route are in `peers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.evidence import known
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import MinimumSample
from fleet_audit.logic.devices.driving import WAY, other_vehicles, with_times_of_others, with_usual_times
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.statistics import holm, rank_sum_p

_DEVICE = ["plate", "device_id", "carrier_code"]
_MEASURES = ["speed_pct", "standing_s"]
_TIMES = ["moving_s", "standing_s"]
_USUAL_TIMES = ["usual_moving_s", "usual_standing_s"]


@dataclass(frozen=True)
class _Week:
    """profile_days comparable days of one device in a row: `days` are all of the device, those from `first` to `end`.

    p: of both changes together; sign: of the change of speed and of standing.
    """

    days: pd.DataFrame
    first: int
    end: int
    p: float
    sign: np.ndarray

    @property
    def change(self) -> float:
        """How far the speed of its middle day lies from that of the past, in either direction, %."""
        speed = self.days["speed_pct"].to_numpy()
        return abs(float(np.median(speed[self.first : self.end]) - np.median(speed[: self.first])))


def changed_driving(context: AuditCycle) -> list[Draft]:
    """O07: for a week a vehicle moves and stands otherwise than before, on the same ways, in the same shifts.

    Tested is every profile_days comparable days in a row of one device whose last day lies in the cycle, against all
    comparable days before them, at least profile_past_days. Comparable is a trip on a way, shift and, where he is
    named, with a driver that the vehicle knows, reported as often as usual; a day's values are less those of the
    unit's other vehicles. Two exact rank sum tests, two-sided: the speed in motion and the time stood per trip. Both
    must change (the larger p counts, an intersection-union test), because a hurried driver, a limiter or a pick-up
    point that is no longer served changes one of them; Holm-adjusted for all vehicles and weeks.

    Against the medians of the past trips alone, on ways that both have, the speed must differ by profile_speed_pct and
    the standing by profile_standing_pct of the usual one and by profile_standing_s. And it must be the week, not the
    past, that differs from the unit's other vehicles on the same routes: a tracker that comes back from a car changes
    as much as one that leaves for it. Km and trips are those of the cycle.
    """
    parameters = context.parameters
    drafts = []
    weeks = [week for rows in _devices(context) for week in _weeks(rows, context)]
    adjusted = holm([week.p for week in weeks])
    best: dict[tuple[str, str, str], tuple[_Week, float]] = {}
    for week, p in sorted(zip(weeks, adjusted, strict=True), key=lambda pair: (pair[1], -pair[0].change)):
        if p < parameters.profile_p:
            plate, device_id, carrier_code = (str(week.days[name].iloc[0]) for name in _DEVICE)
            best.setdefault((plate, device_id, carrier_code), (week, p))
    for (plate, *_), (week, p) in sorted(best.items(), key=lambda pair: pair[0]):
        compared = _compared(context, week)
        if compared is not None:
            drafts.append(_draft(context, plate, compared, _test_facts(week, p, len(weeks))))
    return drafts


def _devices(context: AuditCycle) -> Iterator[pd.DataFrame]:
    """The comparable days of each vehicle and device, in order, as far as the cycle was run; of each of its carriers:
    the drivers of a vehicle's buyer are not those of its past.
    """
    days = context.driving.days
    days = days[days["operational_date"] <= context.day]
    for _, rows in days.groupby(_DEVICE, sort=True):
        yield rows.reset_index(drop=True)


def _weeks(days: pd.DataFrame, context: AuditCycle) -> Iterator[_Week]:
    """The weeks of a device that are tested."""
    size, past = int(context.parameters.profile_days), int(context.parameters.profile_past_days)
    values = days[_MEASURES].to_numpy(dtype="float64")
    in_cycle = (days["operational_date"] >= context.cycle.start).to_numpy()
    for first in range(past, len(days) - size + 1):
        end = first + size
        if in_cycle[end - 1]:
            inside, before = values[first:end], values[:first]
            sign = np.sign(np.median(inside, axis=0) - np.median(before, axis=0))
            ahead = (sign * (inside[:, None, :] - before[None, :, :]) > 0).sum(axis=(0, 1))
            p = max(rank_sum_p(int(pairs), size, first) for pairs in ahead)
            yield _Week(days, first, end, p, sign)


def _compared(context: AuditCycle, week: _Week) -> pd.DataFrame | None:
    """The cycle's trips of the week, and of the days around it like it, with the usual times of the past alone.

    None where these differ by less than what a finding needs, or the past may be what another vehicle drove.
    """
    parameters, trips = context.parameters, context.driving.trips
    trips = trips[(trips[_DEVICE] == week.days[_DEVICE].iloc[0]).all(axis=1)]
    first, end = _extent(week, parameters)
    dates = week.days["operational_date"]
    past = trips[trips["operational_date"] < dates.iloc[first]]
    inside = trips[trips["operational_date"].isin(set(dates.iloc[first:end]))]
    compared = with_usual_times(inside, parameters, past)
    if not _is_another_profile(compared, parameters) or not _is_past_its_own(context, past, inside):
        return None
    of_cycle = compared[compared["operational_date"] >= context.cycle.start]
    return None if of_cycle.empty else of_cycle


def _is_past_its_own(context: AuditCycle, past: pd.DataFrame, inside: pd.DataFrame) -> bool:
    """Whether the unit's others on the same routes drive as the past does, and less as the week does; False: unknown.

    A tracker that was in a car for most of the known past makes the honest days after it look like another vehicle.
    """
    parameters = context.parameters
    of_past, of_week = (with_times_of_others(rows, context.driving.trips, parameters) for rows in (past, inside))
    if of_past.empty or of_week.empty or _is_another_profile(of_past, parameters):
        return False
    return bool((_distances(of_week) > _distances(of_past)).all())


def _distances(trips: pd.DataFrame) -> np.ndarray:
    """How far time in motion and time stood lie from the usual ones, in either direction, logarithms."""
    sums = trips[[*_TIMES, *_USUAL_TIMES]].sum().clip(lower=1.0)
    return np.abs(np.log(sums[_TIMES].to_numpy() / sums[_USUAL_TIMES].to_numpy()))


def _extent(week: _Week, parameters: ParameterSet) -> tuple[int, int]:
    """The week and the days next to it that differ from the past likewise: those before it, and those after it."""
    away = week.days[_MEASURES].to_numpy() - np.median(week.days[_MEASURES].to_numpy()[: week.first], axis=0)
    is_like = (week.sign * away >= [parameters.profile_speed_pct, parameters.profile_standing_s]).all(axis=1)
    first, end = week.first, week.end
    while first > parameters.profile_past_days and is_like[first - 1]:
        first -= 1
    while end < len(is_like) and is_like[end]:
        end += 1
    return first, end


def _is_another_profile(compared: pd.DataFrame, parameters: ParameterSet) -> bool:
    if compared.empty:
        return False
    sums = compared[[*_TIMES, *_USUAL_TIMES]].sum()
    speed_pct = 100 * abs(sums["usual_moving_s"] / sums["moving_s"] - 1)
    stood_s = abs(sums["standing_s"] - sums["usual_standing_s"])
    least_s = max(
        parameters.profile_standing_pct / 100 * sums["usual_standing_s"], parameters.profile_standing_s * len(compared)
    )
    return bool(speed_pct >= parameters.profile_speed_pct and stood_s >= least_s)


def _test_facts(week: _Week, p_adjusted: float, tests: int) -> dict[str, Any]:
    """The test as the evidence states it, with the values of each day."""
    days = week.days.assign(**week.days[_MEASURES].round(2))
    columns = ["operational_date", "trips", *_MEASURES]
    return {
        "test": "rank sum, exact, two-sided, of speed in motion and of time stood",
        "n": week.end - week.first,
        "n_past": week.first,
        "p": week.p,
        "p_adjusted": p_adjusted,
        "correction": "Holm",
        "tests": tests,
        "days": days.iloc[week.first : week.end][columns].to_dict("records"),
        "past_days": days.iloc[: week.first][columns].to_dict("records"),
    }


def _draft(context: AuditCycle, plate: str, compared: pd.DataFrame, facts: dict[str, Any]) -> Draft:
    dates = set(compared["operational_date"])
    km, sums = float(compared["km"].sum()), compared[[*_TIMES, *_USUAL_TIMES]].sum()
    kmh, usual_kmh = 3600 * km / sums["moving_s"], 3600 * km / sums["usual_moving_s"]
    stood_min, usual_min = (sums[name] / 60 / len(compared) for name in ("standing_s", "usual_standing_s"))
    carrier_code = str(compared["carrier_code"].iloc[0])
    paid_km, rate = context.paid_km(plate, dates), context.rate_under(plate, carrier_code)
    is_last = carrier_code == (known(context.owners.get(plate, {}).get("carrier_code")) or "")
    shown = ["trip_id", "started_at", "ended_at", *WAY[2:], "driver_id", "km", *_TIMES, *_USUAL_TIMES]
    decimals = dict.fromkeys(["km", *_TIMES, *_USUAL_TIMES], 2)
    trips = compared.sort_values(["started_at", "trip_id"])[shown].round(decimals)
    return Draft(
        "O07",
        plate,
        f"Indício: de {sentences.day(min(dates))} a {sentences.day(max(dates))}, em "
        f"{sentences.counted(len(compared), 'viagem', 'viagens')} de {sentences.counted(len(dates), 'dia', 'dias')}, o "
        f"rastreador do veículo {plate} andou a {sentences.number(kmh, 1)} km/h em movimento e ficou parado "
        f"{sentences.number(stood_min, 1)} min por viagem; antes, nos mesmos percursos e turnos, eram "
        f"{sentences.number(usual_kmh, 1)} km/h e {sentences.number(usual_min, 1)} min: ele pode ter estado em outro "
        "veículo.",
        GRADE_CONFIDENCE["C"],  # as other habits: an indication
        km_at_stake=paid_km,
        rate=rate,
        brl_paid=None if rate is None else half_up(paid_km * rate),
        facts={
            "device_id": str(compared["device_id"].iloc[0]),
            "speed_kmh": round(kmh, 1),
            "usual_speed_kmh": round(usual_kmh, 1),
            "standing_min_per_trip": round(stood_min, 1),
            "usual_standing_min_per_trip": round(usual_min, 1),
            **facts,
            "compared_trips": trips.to_dict("records"),
        },
        extra=(str(compared["device_id"].iloc[0]), *([] if is_last else [carrier_code])),
        carrier_code=carrier_code or None,
    )


def _past_days_by_plate(context: AuditCycle) -> pd.Series:
    """Comparable days before the last week of the device that each vehicle of the cycle had last; 0: not in the cycle.

    A week of that device is tested exactly where they are profile_past_days or more.
    """
    last_devices = _last_devices(context)
    sizes = dict.fromkeys(last_devices, 0)
    for days in sorted(_devices(context), key=lambda days: days["operational_date"].iloc[-1]):
        plate, device_id, last_day = days[["plate", "device_id", "operational_date"]].iloc[-1]
        if last_devices.get(plate) == device_id and last_day >= context.cycle.start:
            sizes[plate] = max(len(days) - int(context.parameters.profile_days), 0)
    return pd.Series(sizes, dtype="int64")


def _last_devices(context: AuditCycle) -> dict[str, str]:
    """Device with which positions saw each vehicle last in the cycle, by plate."""
    trips = context.trips[(context.trips["source"] == "positions") & context.trips["device_id"].notna()]
    last = trips.sort_values(["started_at", "trip_id"]).groupby("plate")["device_id"].last()
    return {str(plate): str(device_id) for plate, device_id in last.items()}


def _plates_without_others_on_their_routes(context: AuditCycle) -> set[str]:
    """Plates none of whose comparable trips in the cycle has enough other vehicles on its route and shift."""
    devices, trips = _last_devices(context), context.driving.trips
    own = trips[trips["operational_date"] >= context.cycle.start]
    own = own[own["plate"].map(devices) == own["device_id"]]
    others = other_vehicles(own, trips, context.parameters)
    return set(devices) - set(own.loc[others >= context.parameters.profile_peers, "plate"])


RULES = (
    Rule(
        "O07",
        "5",
        "H",
        "Rastreador se comporta como o de outro veículo",
        "Nos mesmos percursos e turnos, a velocidade em movimento e o tempo parado já não são os do próprio veículo: o "
        "rastreador pode ter estado em outro.",
        "P",
        changed_driving,
        "cycle",
        "paid_doubtful_brl",
        (
            "profile_days", "profile_past_days", "profile_speed_pct", "profile_standing_pct", "profile_standing_s",
            "profile_p", "profile_min_km", "profile_way_pct", "profile_way_trips", "profile_peers",
            "profile_interval_factor", "coverage_min_pct", "coverage_step_s", "calibration_days",
        ),
        (
            Need(
                lambda context: len(context.driving.days) > 0,
                "nenhuma viagem comparável com o passado do próprio veículo",
            ),
        ),
        rests_on=("devices",),
        vehicle_need=MinimumSample(
            _past_days_by_plate, "profile_past_days",
            "datas comparáveis antes da semana testada, com o mesmo percurso, turno, motorista, rastreador e intervalo "
            "de envio",
            _plates_without_others_on_their_routes,
            "poucos outros veículos da unidade nos mesmos percursos e turnos, e não se sabe qual período é o do "
            "próprio veículo",
        ),
    ),
)  # fmt: skip

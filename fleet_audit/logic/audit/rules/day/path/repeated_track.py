"""A day's track that is sent again as another day's: G05.

A run that is declared twice is D08 in `declared`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import POSITIONS
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import micros


@computed_once
def repeated_tracks(context: AuditDay) -> list[Draft]:
    """G05: all trips of a vehicle's day repeat trips of one vehicle of the day before, at one shift to the second.

    Trips of positions from repeated_min_km on count, at least repeated_min_trips of them. Two are the same when all of
    their positions in motion are, and the times between them (`track_digest`). Lengths alone once accused honest buses
    of a straight road and a timetable: 0.5 m of jitter does not change a sum of steps by a metre. Places and ends are
    not compared: a front that moved overnight gave a copied day other places than the day that it repeats. It may part
    the copied day otherwise, too: trips without a pair repeat where the digests of both days add up to the same.
    The window of a day reaches back one day: older repetitions are not seen. A day that repeats those of several
    vehicles is one finding: it names the vehicle's own day, else that of the first plate, and counts the others. Two
    findings about the same trips once stopped the day of the whole fleet.
    """
    all_today, all_before = (_trips(context, context.day - dt.timedelta(days=days)) for days in (0, 1))
    today, before = _long(context, all_today), _long(context, all_before)
    known = today[today["track_digest"].notna()]  # pandas would pair what is missing with what is missing
    pairs = known.merge(before, on="track_digest", suffixes=("", "_before"))
    pairs = pairs.assign(shift_us=pairs["moving_us"] - pairs["moving_us_before"])
    ids_of_day = today.groupby("plate")["trip_id"].agg(set)
    pairs = pairs.assign(is_other=pairs["plate"] != pairs["plate_before"])
    repeated: dict[str, list[pd.DataFrame]] = {}
    for (plate, _, _, _), group in pairs.groupby(["plate", "is_other", "plate_before", "shift_us"], sort=True):
        of_each = group.drop_duplicates("trip_id")
        if not ids_of_day[plate] <= set(of_each["trip_id"]):
            others = _parted_otherwise(of_each, all_today, all_before)
            of_each = pd.concat([of_each, others]).sort_values(["start_us", "trip_id", "start_us_before"])
        ids = set(of_each["trip_id"])
        if ids_of_day[plate] <= ids and len(ids) >= context.parameters.repeated_min_trips:
            repeated.setdefault(str(plate), []).append(of_each)
    return [_draft(context, plate, *days) for plate, days in repeated.items()]


def _parted_otherwise(pairs: pd.DataFrame, today: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Trips of both days without a pair that overlap at the shift of `pairs`, as pairs.

    None unless the digests of both days add up alike and their first positions in motion are at that shift too.
    """
    one = pairs.iloc[0]
    today = today[(today["plate"] == one["plate"]) & ~today["trip_id"].isin(pairs["trip_id"])]
    before = before[(before["plate"] == one["plate_before"]) & ~before["trip_id"].isin(pairs["trip_id_before"])]
    before = before.assign(**{name: before[name] + one["shift_us"] for name in ("moving_us", "start_us")})
    today, before = (trips[trips["track_digest"].notna()] for trips in (today, before))
    both = today.merge(before, how="cross", suffixes=("", "_before"))
    both = both[
        (both["start_us"] < both["start_us_before"] + both["duration_us_before"])
        & (both["start_us_before"] < both["start_us"] + both["duration_us"])
    ]
    tracks = set()
    for day, trips in (("", today), ("_before", before)):
        trips = trips[trips["trip_id"].isin(both[f"trip_id{day}"])]
        tracks.add((trips["moving_us"].min(), trips["track_digest"].to_numpy(dtype="int64").sum()))  # modulo 2^64
    return both if len(tracks) == 1 else both.iloc[:0]


def _compared(context: AuditDay) -> pd.DataFrame:
    return _long(context, _trips(context, context.day))


def _long(context: AuditDay, trips: pd.DataFrame) -> pd.DataFrame:
    return trips[trips["km_gps"] >= context.parameters.repeated_min_km]


def _trips(context: AuditDay, day: dt.date) -> pd.DataFrame:
    trips = context.trips[(context.trips["operational_date"] == day) & (context.trips["source"] == "positions")]
    start = micros(trips["started_at"])
    return (
        trips[["trip_id", "plate", "operational_date", "track_digest"]]
        .assign(
            moving_us=micros(trips["first_moving_at"]),
            start_us=start,
            duration_us=micros(trips["ended_at"]) - start,
            km_gps=trips["km_gps"].to_numpy(dtype=float, na_value=np.nan),
            max_speed_kmh=trips["max_speed_kmh"].to_numpy(dtype=float, na_value=np.nan),
        )
        .sort_values(["plate", "start_us", "trip_id"])
    )


def _plates_asked(context: AuditDay) -> set[str]:
    return {*_compared(context)["plate"], *_plates_of_joined_trips(context)}


def _plates_of_joined_trips(context: AuditDay) -> set[str]:
    """Plates with a trip of positions of which only a visit report shows a part: it has no path of its own."""
    trips = context.trips_of_day
    return set(trips.loc[(trips["source"] == "positions") & trips["km_reported"].notna(), "plate"])


def _plates_without_digest(context: AuditDay) -> set[str]:
    """Plates with a trip without a digest, or too few trips beside those of which positions saw a part."""
    trips = _compared(context)
    sizes = trips.groupby("plate").size()
    enough = set(sizes.index[sizes >= context.parameters.repeated_min_trips])
    return {*trips.loc[trips["track_digest"].isna(), "plate"], *(_plates_of_joined_trips(context) - enough)}


def _draft(context: AuditDay, plate: str, pairs: pd.DataFrame, *more: pd.DataFrame) -> Draft:
    ids, earlier = tuple(pairs["trip_id"].unique()), tuple(pairs["trip_id_before"].unique())
    records = context.trip_records([*ids, *earlier])
    zone = context.zone(plate)
    paid = [records[key]["km_measured"] for key in ids if key in context.paid_trips]
    known = [km for km in paid if not pd.isna(km)]
    first: Record = records[ids[0]]
    other: Record = records[earlier[0]]
    whose = "" if other["plate"] == plate else f" do veículo {other['plate']}"
    others = {str(day["plate_before"].iloc[0]) for day in more} - {plate, other["plate"]}
    also = f" (e à de mais {sentences.counted(len(others), 'veículo', 'veículos')})" if others else ""
    return Draft(
        "G05",
        plate,
        f"As {len(ids)} viagens do veículo {plate} em {sentences.day(context.day)} repetem, posição por posição, as de "
        f"{sentences.local_day(other['started_at'], zone)}{whose}: as mesmas coordenadas em movimento, nos mesmos "
        f"intervalos de tempo; a primeira é {sentences.period(first, zone)}, igual à de {sentences.period(other, zone)}"
        f"{also}.",
        GRADE_CONFIDENCE["A"],
        ids,
        km_at_stake=sum(known, Decimal("0.00")) if known else None,
        rate=context.rate_of(ids, ()),
        facts={
            "pairs": [
                {
                    "trip_id": row.trip_id,
                    "repeats_trip_id": row.trip_id_before,
                    "local_times": sentences.period(records[row.trip_id], zone),
                    "repeats_local_times": sentences.period(records[row.trip_id_before], zone),
                    "km_gps": row.km_gps,
                    "duration_s": row.duration_us / 1e6,
                    "max_speed_kmh": None if np.isnan(row.max_speed_kmh) else row.max_speed_kmh,
                }
                for row in pairs.itertuples()
            ]
        },
        context_trip_ids=earlier,
    )


def _has_path(context: AuditDay) -> bool:
    return bool(context.trips_of_day["km_gps"].notna().any())


RULES = (
    Rule(
        "G05",
        "4",
        "C",
        "Trajeto repetido de outro dia",
        "As posições do dia são as de outro dia, com os mesmos desvios do receptor: o trajeto não foi repetido.",
        "P",
        repeated_tracks,
        amount="paid_doubtful_brl",
        parameters=("repeated_min_km", "repeated_min_trips"),
        needs=(POSITIONS, Need(_has_path, "nenhuma viagem do dia tem caminho por posições")),
        vehicle_need=VehicleNeed(
            _plates_asked,
            _plates_without_digest,
            "há viagem sem o resumo das posições em movimento: foi calculada por uma versão anterior do sistema, "
            "nenhuma posição a mostra em movimento, ou só o relatório de visita mostra uma parte dela",
        ),
    ),
)

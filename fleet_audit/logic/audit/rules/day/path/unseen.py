"""Movement that nobody saw: G02 between two legs, G03 inside a paid trip.

Whole vehicle-days without data are Q02 in `coverage`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.doubt import unseen_declared
from fleet_audit.logic.audit.rules.day.needs import POSITIONS, UNTRUSTED_PT
from fleet_audit.logic.audit.rules.day.unobserved import places_apart_m, unseen_km_between
from fleet_audit.logic.audit.rules.draft import DEVICE_CONFIDENCE, GRADE_CONFIDENCE, UNOBSERVED_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.intervals import covered_us, intervals, micros, union
from fleet_audit.logic.reference.places import distance_m

_CLOCK_S = 60  # visit reports round clocks to the minute
_ENDS = ("latitude", "longitude", "address", "poi_id")

# Rows, the row of the same vehicle after each, the metres between the two, and whether a run declares that way.
_Pairs = tuple[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray]


def moved_between_legs(context: AuditDay) -> list[Draft]:
    """G02: a leg that starts more than moved_unseen_km from where the vehicle's leg before it ended.

    Both places must be known: an end or start inside a gap has none. Of a visit report both rows must be of one file,
    and both addresses registered places: how far two texts are apart is not known. Legs of different devices, and
    those that a device with a clock off by hours, a stuck receiver or another vehicle's odometer (O08) measured, are
    not judged; minutes by which a whole day's runs differ move no leg's end. What another source saw between two legs
    was observed (`_unless_moved`).
    Unobserved time between the legs may be an honest silence, but both places are fixes of the device: that the vehicle
    moved is as sure as a device's readings are (15 of 15 such findings of 14 simulated development fleets were right).
    It is as sure as grade A where the vehicle cannot have driven in that time, or where the report itself says that it
    stood until the next departure. An odometer that counted less than the straight way contradicts the fixes: then at
    most UNOBSERVED_CONFIDENCE; and a ferry or a tow (`_was_carried`) makes none. Nor does a way that the run of a trip
    on one side declares (`_is_declared`).
    """
    legs, after, metres, is_declared = _pairs_of_day(context)
    unseen_s = _unseen_s(context, legs, after)
    with np.errstate(divide="ignore", invalid="ignore"):
        kmh = metres / unseen_s * 3.6
    is_report = (legs["source"] == "visit_report").to_numpy()
    contradicts = np.where(is_report, _stood_until_next(legs, after), kmh > context.parameters.impossible_kmh)
    is_apart = _is_apart(context, metres) & ~_was_carried(context, legs, after, kmh) & ~is_declared
    most = np.where(_counted_too_little(context, legs, after, metres), UNOBSERVED_CONFIDENCE, 1.0)
    pairs = [(legs.iloc[at].to_dict(), after.iloc[at].to_dict(), at) for at in np.flatnonzero(is_apart)]
    within_day = [
        _moved(context, leg, following, metres[at] / 1000, unseen_s[at], bool(contradicts[at]), float(most[at]))
        for leg, following, at in pairs
    ]
    return [*within_day, *_moved_overnight(context)]


def _moved_overnight(context: AuditDay) -> list[Draft]:
    """The same from the last trip of the day before to the first trip of D, where both ends are registered places.

    A trip keeps no reading of its ends: what the odometer counted over the silences between is in the spans. Where it
    counted less than the way, or the device has none, a tow is possible: then at most UNOBSERVED_CONFIDENCE.
    """
    trips, after, apart_m, is_declared = _pairs_over_night(context)
    at = np.flatnonzero(_is_apart(context, apart_m) & ~is_declared)
    trips, after, apart_km = trips.iloc[at], after.iloc[at], apart_m[at] / 1000
    unseen_s = _unseen_s(context, trips, after)
    is_counted = _counted_in_silences(context, trips, after) >= apart_km - 2 * context.parameters.stop_radius_m / 1000
    most = np.where(is_counted, 1.0, UNOBSERVED_CONFIDENCE)
    pairs = zip(trips.to_dict("records"), after.to_dict("records"), strict=True)
    return [
        _moved(context, _as_leg(trip), _as_leg(following), apart_km[n], unseen_s[n], False, float(most[n]))
        for n, (trip, following) in enumerate(pairs)
    ]


def _counted_in_silences(context: AuditDay, rows: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """km that the odometer counted over the silences from each row's end to the start of the row after; 0: unknown."""
    between = pd.DataFrame(
        {
            "row": np.arange(len(rows)),
            "plate": rows["plate"].to_numpy(dtype=object),
            "from_at": rows["ended_at"].array,
            "to_at": after["started_at"].array,
        }
    )
    spans = context.spans[["plate", "started_at", "counted_before_km"]].astype({"plate": object})
    met = between.merge(spans, on="plate")
    met = met[(met["started_at"] > met["from_at"]) & (met["started_at"] <= met["to_at"])]
    km = met["counted_before_km"].to_numpy(dtype=float, na_value=np.nan)
    return np.bincount(met["row"], weights=np.nan_to_num(km), minlength=len(rows))


@computed_once
def _pairs_of_day(context: AuditDay) -> _Pairs:
    """Legs of D that are judged; `_apart_m`."""
    legs = _legs_of_day(context)
    after = legs.groupby(["plate", "source"], sort=False).shift(-1)
    is_own, is_report = legs["superseded_by_trip_id"].isna(), legs["source"] == "visit_report"
    by_report, by_positions = (_moved_km(context, legs, after, legs[is_own & of]) for of in (is_report, ~is_report))
    is_counted = is_own & after["superseded_by_trip_id"].isna()
    metres = np.where(is_counted, _apart_m(context, legs, after), np.nan)
    metres = _unless_moved(context, metres, np.where(is_report, by_positions, by_report))
    return legs, after, metres, _is_declared(context, legs, after, metres)


@computed_once
def _pairs_over_night(context: AuditDay) -> _Pairs:
    """Trips; metres are NaN but from the last of D-1 to the first of D."""
    trips, is_measured = context.trips, context.trips["source"] == "positions"
    reported, trips = trips[~is_measured], trips[is_measured & ~trips["plate"].isin(_doubtful(context))]
    trips = trips.sort_values(["plate", "started_at", "trip_id"]).reset_index(drop=True)
    after = trips.groupby("plate", sort=False).shift(-1)
    today, days = np.datetime64(context.day), [as_days(rows["operational_date"]) for rows in (trips, after)]
    apart_m = places_apart_m(context, trips["destination_poi_id"], after["origin_poi_id"])
    is_first = (days[0] < today) & (days[1] == today) & _are_comparable(trips, after)
    metres = np.where(is_first, apart_m, np.nan)
    metres = _unless_moved(context, metres, _moved_km(context, trips, after, reported))
    return trips, after, metres, _is_declared(context, trips, after, metres)


def _is_apart(context: AuditDay, metres: np.ndarray) -> np.ndarray:
    is_apart: np.ndarray = metres > 1000 * context.parameters.moved_unseen_km
    return is_apart


def _is_declared(context: AuditDay, rows: pd.DataFrame, after: pd.DataFrame, metres: np.ndarray) -> np.ndarray:
    """Whether the run of a trip on one side declares the way too: km that it lacks, and that can have been driven
    in silences between the two.

    A tracker that falls silent before its run has ended hides the end of a declared way, and no move.
    """
    declared = unseen_declared(context)
    between = pd.DataFrame({"started_at": rows["ended_at"].array, "ended_at": after["started_at"].array})
    sides = []
    for side in (rows, after):
        own = declared.reindex(side["trip_id"].astype(object)).reset_index(drop=True)
        unseen = unseen_km_between(context, between.assign(match_id=own["match_id"]))
        sides.append(np.minimum(own["lacking_km"].to_numpy(), unseen))
    is_declared: np.ndarray = np.fmax(*sides) + context.parameters.moved_unseen_km >= metres / 1000
    return is_declared


def _plates_with_declared_way(context: AuditDay) -> set[str]:
    """Plates of which a way is not judged because a run declares it."""
    pairs = (_pairs_of_day(context), _pairs_over_night(context))
    return {
        plate
        for rows, _, metres, is_declared in pairs
        for plate in rows.loc[_is_apart(context, metres) & is_declared, "plate"]
    }


def _as_leg(trip: Record) -> Record:
    """A trip with the fields of a leg that `_moved` names."""
    nowhere = {f"{side}_{name}": None for side in ("origin", "destination") for name in ("latitude", "longitude")}
    texts = {f"{side}_address": trip[f"{side}_text"] for side in ("origin", "destination")}
    return {**trip, **nowhere, **texts, "leg_id": None, "file_sha256": None, "row_number": None}


def _doubtful(context: AuditDay) -> set[str]:
    """Plates whose device has a clock off by hours, a stuck receiver, or another vehicle's odometer (O08)."""
    events = context.devices.events
    return context.plates_with_untrusted_device | set(events.loc[events["continued_plate"].notna(), "plate"])


def _plates_with_pairs(context: AuditDay) -> set[str]:
    """Plates with two legs of one source or more, or with a trip or unobserved km before those of the day."""
    legs = context.legs_of_day
    sizes = legs[legs["superseded_by_trip_id"].isna()].groupby(["plate", "source"]).size()
    trips, _, metres, _ = _pairs_over_night(context)
    of_day, over_night = sizes[sizes > 1].index.get_level_values("plate"), trips.loc[~np.isnan(metres), "plate"]
    return {*of_day, *over_night, *_plates_with_unknown_places(context)}


@computed_once
def _plates_with_unknown_places(context: AuditDay) -> set[str]:
    """Plates that drove unobserved before a trip of D, as their odometer shows, from or to a place that is not known.

    An end or start lies in a gap. Of the first trip of D the trip before may also have ended in no registered place, be
    another device's or be older than the window: of 41 simulated ways on which the tracker was off one followed a
    silent day, and one ended less than stop_min_s before the bus left again.
    """
    legs, after, metres, _ = _pairs_of_day(context)
    is_cut = legs["is_end_in_gap"].eq(True) | after["is_start_in_gap"].eq(True)
    is_moved = np.isnan(metres) & (_counted_km(legs, after) > context.parameters.moved_unseen_km)
    return {*legs.loc[is_cut & is_moved, "plate"], *_plates_from_unknown_places(context)}


def _plates_from_unknown_places(context: AuditDay) -> set[str]:
    """Those of the first trip of D."""
    trips, _, metres, _ = _pairs_over_night(context)
    days, today = as_days(trips["operational_date"]), np.datetime64(context.day)
    first = trips[days == today].drop_duplicates("plate")
    first = first[~first["plate"].isin(trips.loc[~np.isnan(metres), "plate"])]
    ended_at = trips[days < today].groupby("plate")["ended_at"].max()
    day_before = pd.Timestamp(context.day, tz="UTC") - pd.Timedelta("1D")
    before = first[["plate"]].assign(ended_at=ended_at.reindex(first["plate"]).fillna(day_before).array)
    is_moved = _counted_in_silences(context, before, first) > context.parameters.moved_unseen_km
    return set(first.loc[is_moved, "plate"])


def _doubtful_plates_with_pairs(context: AuditDay) -> set[str]:
    """Doubtful plates with two legs of positions or more: visit reports need no device."""
    legs = context.legs_of_day
    is_measured = (legs["source"] == "positions") & legs["superseded_by_trip_id"].isna()
    sizes = legs[is_measured].groupby("plate").size()
    return _doubtful(context) & set(sizes[sizes > 1].index)


def _legs_of_day(context: AuditDay) -> pd.DataFrame:
    """Legs in order. Those of reports that positions measured part the ones around them, and are not judged."""
    legs = context.legs_of_day
    is_report = legs["source"] == "visit_report"
    is_doubtful = ~is_report & legs["plate"].isin(_doubtful(context))
    legs = legs[(is_report | legs["superseded_by_trip_id"].isna()) & ~is_doubtful]
    keys = ["plate", "source", "started_at", "ended_at", "leg_id"]
    return legs.sort_values(keys).reset_index(drop=True)


def _apart_m(context: AuditDay, legs: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Metres from each leg's end to the next leg's start; NaN where one is unknown or the two cannot be compared."""
    by_fix = distance_m(
        *(legs[f"destination_{name}"].to_numpy(dtype=float, na_value=np.nan) for name in _ENDS[:2]),
        *(after[f"origin_{name}"].to_numpy(dtype=float, na_value=np.nan) for name in _ENDS[:2]),
    )
    by_place = places_apart_m(context, legs["destination_poi_id"], after["origin_poi_id"])
    is_report = (legs["source"] == "visit_report").to_numpy()
    metres = np.where(is_report, by_place, by_fix)
    files = [rows["file_sha256"].to_numpy(dtype=object, na_value=None) for rows in (legs, after)]
    is_other_file = (files[0] != files[1]) & is_report
    return np.where(_are_comparable(legs, after) & ~is_other_file, metres, np.nan)


def _are_comparable(rows: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Whether neither end lies inside a gap, and one device measured both."""
    starts_in_gap = after["is_start_in_gap"].to_numpy(dtype=bool, na_value=True)
    is_in_gap = rows["is_end_in_gap"].to_numpy(dtype=bool) | starts_in_gap
    devices = [side["device_id"].to_numpy(dtype=object, na_value=None) for side in (rows, after)]
    is_other_device = (devices[0] != devices[1]) & ~pd.isna(devices[0]) & ~pd.isna(devices[1])
    return ~is_in_gap & ~is_other_device


def _unseen_s(context: AuditDay, legs: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Seconds between each leg and the next of its vehicle that nothing observed; NaN without a next leg."""
    has_next, between = _between(legs, after)
    seconds = np.full(len(legs), np.nan)
    lasting = (between["end_us"] - between["start_us"]).to_numpy()
    seconds[has_next] = (lasting - covered_us(between, context.observed)) / 1e6
    return seconds


def _moved_km(context: AuditDay, rows: pd.DataFrame, after: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """The most km that a vehicle can have driven in `others`, by another source, between each row and the next."""
    has_next, between = _between(rows, after)
    km = np.zeros(len(rows))
    km[has_next] = covered_us(between, intervals(others)) / 3.6e9 * context.parameters.mean_speed_kmh
    return km


def _unless_moved(context: AuditDay, metres: np.ndarray, moved_km: np.ndarray) -> np.ndarray:
    """The metres; 0 where another source observed a movement that long.

    A bus whose tracker was silent for 73 min drove home by its visit report, and was accused of 4.2 km that nobody saw.
    """
    is_observed = metres <= 1000 * (moved_km + context.parameters.moved_unseen_km)
    return np.where(is_observed, 0.0, metres)


def _between(rows: pd.DataFrame, after: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Which rows have a next one of their vehicle, and `intervals` from the end of these to its start."""
    has_next = after["started_at"].notna().to_numpy()
    between = pd.DataFrame(
        {
            "plate": rows["plate"].to_numpy(dtype=object)[has_next],
            "started_at": rows["ended_at"].array[has_next],
            "ended_at": after["started_at"].array[has_next],
        }
    )
    spans = intervals(between)
    return has_next, spans.assign(end_us=np.maximum(spans["end_us"], spans["start_us"]))


def _counted_km(legs: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """What the odometer counted from each leg's end to the next leg's start; NaN without both readings."""
    start_km = after["odometer_start_km"].to_numpy(dtype=float, na_value=np.nan)
    counted: np.ndarray = start_km - legs["odometer_end_km"].to_numpy(dtype=float, na_value=np.nan)
    return counted


def _was_carried(context: AuditDay, legs: pd.DataFrame, after: pd.DataFrame, kmh: np.ndarray) -> np.ndarray:
    """Whether a ferry or a tow moved the vehicle: equal readings, ignition off at both ends, up to carried_max_kmh."""
    is_off = [
        legs["is_ignition_off_after"].to_numpy(dtype=bool, na_value=False),
        after["is_ignition_off_before"].to_numpy(dtype=bool, na_value=False),
    ]
    return (_counted_km(legs, after) == 0) & is_off[0] & is_off[1] & (kmh <= context.parameters.carried_max_kmh)


def _counted_too_little(context: AuditDay, legs: pd.DataFrame, after: pd.DataFrame, metres: np.ndarray) -> np.ndarray:
    """Whether the odometer counted less than the straight way between two stops, beyond their radius and its
    resolution.
    """
    resolution_km = legs["odometer_resolution_km"].to_numpy(dtype=float, na_value=np.nan)
    slack_km = np.nan_to_num(resolution_km) + 2 * context.parameters.stop_radius_m / 1000
    is_too_little: np.ndarray = _counted_km(legs, after) < metres / 1000 - slack_km
    return is_too_little


def _stood_until_next(legs: pd.DataFrame, after: pd.DataFrame) -> np.ndarray:
    """Whether a report's dwell lasts until the next departure that it names."""
    stood_s = legs["dwell_s"].to_numpy(dtype=float, na_value=np.nan)
    apart_s = (after["started_at"] - legs["ended_at"]).dt.total_seconds().to_numpy()
    return np.abs(apart_s - stood_s) <= _CLOCK_S


def _moved(
    context: AuditDay, leg: Record, following: Record, apart_km: float, unseen_s: float, is_sure: bool,
    most_confidence: float = 1.0,
) -> Draft:  # fmt: skip
    plate = leg["plate"]
    zone = context.zone(plate)
    places = [_place(context, leg, "destination"), _place(context, following, "origin")]
    why = (
        "sem tempo para esse percurso ou com o veículo parado segundo o próprio relatório"
        if is_sure
        else f"{sentences.number(unseen_s / 60, 0)} min sem nenhuma observação entre os dois"
    )
    return Draft(
        "G02",
        plate,
        f"O veículo {plate} terminou um trecho em {sentences.moment(leg['ended_at'], zone)} ({places[0]}) e começou o "
        f"seguinte em {sentences.moment(following['started_at'], zone)} a {sentences.km(apart_km)} dali ({places[1]}), "
        f"{why}.",
        min(GRADE_CONFIDENCE["A"] if is_sure else DEVICE_CONFIDENCE, most_confidence),
        (following["trip_id"],),
        facts={
            "apart_km": round(apart_km, 3),
            "unseen_s": round(unseen_s),
            "ended_local": sentences.moment(leg["ended_at"], zone),
            "ended_at_place": places[0],
            "started_local": sentences.moment(following["started_at"], zone),
            "started_at_place": places[1],
            "leg_ids": [leg["leg_id"], following["leg_id"]],
            "rows": [[part["file_sha256"], part["row_number"]] for part in (leg, following)],
        },
        context_trip_ids=tuple({leg["trip_id"]} - {following["trip_id"]}),
        extra=(leg["leg_id"] or leg["trip_id"], following["leg_id"] or following["trip_id"]),
    )


def _place(context: AuditDay, leg: Record, side: str) -> str:
    """`Usina Um, Rodovia SP-300, -22,10000; -49,00000`, as far as it is known."""
    latitude, longitude, address, poi = (leg[f"{side}_{name}"] for name in _ENDS)
    known = [str(text) for text in (context.place_names.get(poi, poi), address) if not pd.isna(text)]
    if not pd.isna(latitude):
        known.append(f"{sentences.number(latitude, 5)}; {sentences.number(longitude, 5)}")
    return ", ".join(known)


def gaps_in_paid_trips(context: AuditDay) -> list[Draft]:
    """G03: paid trips with a silence of more than gap_note_s after which the vehicle was elsewhere.

    A device that reports rarely has no gaps: one of whose trips coverage_min_pct or more was seen does report finely.
    """
    gaps = context.legs_of_day.groupby("trip_id")["gaps"].sum()
    trips = context.trips_of_day
    coverage = context.trips["coverage_pct"].to_numpy(dtype=float, na_value=np.nan)
    finely = set(context.trips.loc[coverage >= context.parameters.coverage_min_pct, "plate"])
    trips = trips[(trips["source"] == "positions") & trips["plate"].isin(finely)]
    trips = trips[trips["trip_id"].isin(context.paid_trips) & trips["trip_id"].isin(gaps.index[gaps > 0])]
    spans = union(intervals(context.spans[context.spans["source"] == "positions"]))
    drafts = (_gap(context, trip, _silences(context, trip, spans)) for trip in trips.to_dict("records"))
    return [draft for draft in drafts if draft is not None]


def _silences(context: AuditDay, trip: Record, spans: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Unobserved stretches of more than gap_note_s inside a trip, in order."""
    start, end = micros(pd.Series([trip["started_at"], trip["ended_at"]]))
    own = spans[(spans["plate"] == trip["plate"]) & (spans["end_us"] > start) & (spans["start_us"] < end)]
    borders = np.concatenate([[start], own[["start_us", "end_us"]].to_numpy().ravel().clip(start, end), [end]])
    pairs = borders.reshape(-1, 2)
    silent = pairs[pairs[:, 1] - pairs[:, 0] > context.parameters.gap_note_s * 1e6]
    return [tuple(pd.Timestamp(int(at), unit="us", tz="UTC") for at in pair) for pair in silent]  # type: ignore[misc]


def _gap(context: AuditDay, trip: Record, silences: list[tuple[pd.Timestamp, pd.Timestamp]]) -> Draft | None:
    if not silences:
        return None
    plate = trip["plate"]
    zone = context.zone(plate)
    listed = [
        f"das {sentences.clock(first, zone)} às {sentences.clock(last, zone)} "
        f"({sentences.number((last - first).total_seconds() / 60, 0)} min)"
        for first, last in silences
    ]
    return Draft(
        "G03",
        plate,
        f"Na viagem paga do veículo {plate} em {sentences.period(trip, zone)}, não há posições {', '.join(listed)}, "
        "e o veículo voltou a ser visto em outro lugar.",
        GRADE_CONFIDENCE["A"],
        (trip["trip_id"],),
        facts={"silences_local": listed, "coverage_pct": trip["coverage_pct"]},
    )


RULES = (
    Rule(
        "G02",
        "10",
        "H",
        "Trecho começa onde o anterior não terminou",
        "O veículo mudou de lugar entre dois trechos sem que esse percurso tenha sido observado.",
        "P/V",
        moved_between_legs,
        parameters=("moved_unseen_km", "impossible_kmh", "carried_max_kmh", "stop_radius_m", "mean_speed_kmh"),
        needs=(Need(lambda context: len(context.legs_of_day) > 1, "nenhum par de movimentos medido no dia"),),
        rests_on="PV",
        vehicle_need=VehicleNeeds(
            (
                VehicleNeed(
                    _plates_with_pairs,
                    lambda context: _doubtful_plates_with_pairs(context) & context.plates_with_untrusted_device,
                    UNTRUSTED_PT,
                ),
                VehicleNeed(
                    _plates_with_pairs,
                    _doubtful_plates_with_pairs,
                    "o hodômetro do equipamento é o de outro veículo",
                ),
                VehicleNeed(
                    _plates_with_pairs,
                    _plates_with_declared_way,
                    "faltam posições em parte de uma corrida, que a ata declara inteira",
                ),
                VehicleNeed(
                    _plates_with_pairs,
                    _plates_with_unknown_places,
                    "o hodômetro contou km sem posições entre duas viagens, e não se sabe onde uma delas terminou ou "
                    "começou",
                ),
            )
        ),
    ),
    Rule(
        "G03",
        "2",
        "L",
        "Falta de posições em viagem paga",
        "As posições faltam em uma parte de uma viagem paga, e o veículo se moveu nesse tempo.",
        "P",
        gaps_in_paid_trips,
        parameters=("gap_note_s", "coverage_min_pct"),
        needs=(POSITIONS,),
        rests_on="P",
    ),
)

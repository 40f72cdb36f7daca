"""Where a trip should have gone: G06 a way much longer than its route, G08 a declared destination never visited.

How a trip's route is found is in `reference.routes`.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import POSITIONS, RUNS, TRIPS, UNTRUSTED_PT, plates_with_runs
from fleet_audit.logic.audit.rules.day.unobserved import unseen_km
from fleet_audit.logic.audit.rules.draft import (
    GRADE_CONFIDENCE,
    UNOBSERVED_CONFIDENCE,
    Draft,
    beyond_doubt,
    grade_confidence,
)
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.rules.vehicle_need import VehicleNeed, VehicleNeeds
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.reference.named_places import places_named_by_runs
from fleet_audit.logic.reference.places import TRIP_ENDS, distance_m
from fleet_audit.logic.reference.validity import valid_on

# What a device must prove of a run's vehicle: when, where, and that it stopped.
_VISIBLE_STOPS = (
    VehicleNeed(
        plates_with_runs,
        lambda context: context.plates_with_doubtful_times | context.plates_with_two_clocks,
        UNTRUSTED_PT,
    ),
    VehicleNeed(
        plates_with_runs,
        lambda context: context.plates_with_device_elsewhere,
        "o equipamento pode estar fora do veículo ou em outro, e não prova onde o veículo parou",
    ),
    VehicleNeed(
        plates_with_runs,
        lambda context: context.plates_with_unseen_halts,
        "o equipamento envia posições raras demais para mostrar uma parada curta",
    ),
)


def detours(context: AuditDay) -> list[Draft]:
    """G06: a service trip between the two places of a route, longer than detour_pct of its expected km.

    Its path counts where it has one, less its uncertainty; trips with an event of the odometer are O01 to O04. Where
    most of at least detour_min_trips other trips of the route are as long, the register is wrong and nobody is accused.
    """
    trips = _routed_trips(context)
    limit = trips["expected_km"] * context.parameters.detour_pct / 100
    ratio = trips["way_km"] / trips["expected_km"]
    others = _others_as_long(trips.assign(is_long=ratio > context.parameters.detour_pct / 100))
    register_is_wrong = (others["count"] >= context.parameters.detour_min_trips) & (
        2 * others["long"] > others["count"]
    )
    is_long = (trips["way_km"] - trips["doubt_km"] > limit) & ~register_is_wrong
    is_long &= (trips["operational_date"] == context.day) & ~trips["is_disturbed"]
    return [_detour(context, row) for row in trips[is_long].to_dict("records")]


def _routed_trips(context: AuditDay) -> pd.DataFrame:
    """Service trips of the window on a route by its places, with expected_km, way_km, doubt_km, is_disturbed."""
    routes = context.reference.routes
    expected = routes[routes["expected_km"].notna() & (routes["expected_km"] > 0)].set_index("route_code")[
        "expected_km"
    ]
    trips = context.trips
    is_routed = (trips["purpose"] == "service") & (trips["route_method"] == "places") & trips["km_measured"].notna()
    trips = trips[is_routed & trips["route_code"].isin(set(expected.index))].reset_index(drop=True)
    measured, by_path, doubt = (
        trips[name].to_numpy(dtype=float, na_value=np.nan) for name in ("km_measured", "km_gps", "km_uncertainty")
    )
    disturbed = overlaps(intervals(trips), intervals(context.devices.events))["left"].unique()
    return trips.assign(
        expected_km=trips["route_code"].astype(object).map(expected.astype("float64")).astype("float64"),
        way_km=np.fmin(measured, by_path),
        doubt_km=np.nan_to_num(doubt),
        is_disturbed=np.isin(np.arange(len(trips)), disturbed),
    )


def _others_as_long(trips: pd.DataFrame) -> pd.DataFrame:
    """Per trip, of the other trips of its route: `count`, and how many of them are `long`."""
    groups = trips.groupby("route_code")["is_long"]
    own = trips["is_long"].astype(int)
    return pd.DataFrame({"count": groups.transform("size") - 1, "long": groups.transform("sum").astype(int) - own})


def _detour(context: AuditDay, trip: Record) -> Draft:
    plate, expected = trip["plate"], Decimal(str(trip["expected_km"]))
    limit_km = trip["expected_km"] * context.parameters.detour_pct / 100
    is_paid = trip["trip_id"] in context.paid_trips
    way_km = Decimal(str(round(trip["way_km"], 2)))
    return Draft(
        "G06",
        plate,
        f"Na rota {trip['route_code']}, prevista com {sentences.km(expected)}, o veículo {plate} percorreu "
        f"{sentences.km(way_km)} em {sentences.period(trip, context.zone(plate))}: "
        f"{sentences.number(100 * trip['way_km'] / trip['expected_km'], 0)} % do previsto, acima de "
        f"{sentences.number(context.parameters.detour_pct, 0)} %.",
        grade_confidence([trip]) * beyond_doubt(trip["way_km"] - limit_km, 0.0, trip["doubt_km"]),
        (trip["trip_id"],),
        km_at_stake=way_km - expected if is_paid else None,
        rate=context.rate_of([trip["trip_id"]], ()),
        km_uncertainty=trip["doubt_km"],
        tolerance_km=limit_km - trip["expected_km"],
        facts={
            "route_code": trip["route_code"],
            "expected_km": expected,
            "way_km": way_km,
            "local_times": sentences.period(trip, context.zone(plate)),
        },
    )


def missed_destinations(context: AuditDay) -> list[Draft]:
    """G08: a run names as its destination a registered place at which its vehicle did not stop.

    The text must name exactly one mill, front, garage or workshop of the unit that is valid that day. The run must be
    linked to trips of positions that saw it for phantom_observed_pct, and the last of them must end at another
    registered place. No stop within place_search_s of the run may lie within far_from_place_km of the named place.
    A vehicle whose positions are further apart than stop_min_s may have halted there unseen, and is not tested: of ten
    such findings on simulated fleets with a position every 300 s, one was right. Nor is one whose device may not be on
    it: the drift of a tracker that lay in the garage (O04) was taken for the trip of a run that did arrive. Nor is a
    run around which the vehicle can have driven unobserved, in one silence, from its nearest stop to within
    far_from_place_km of the named place. A tracker without an odometer that slept for long enough to go there and back
    leaves an indication.
    """
    return [draft for draft, is_seen in _missed_destinations(context) if is_seen]


@computed_once
def _missed_destinations(context: AuditDay) -> list[tuple[Draft, bool]]:
    """The runs that G08 would name, and whether their vehicle was seen around them."""
    runs = context.runs_of_day
    runs = runs[
        runs["declared_run_id"].isin(set(context.trips_of_run)) & runs["plate"].isin(context.plates_with_positions)
    ]
    runs = runs[
        ~runs["plate"].isin(VehicleNeeds(_VISIBLE_STOPS).untested_plates(context))
        & ~runs["is_day_uncertain"].astype(bool)
    ]
    seen = context.watched["observed_pct"] >= context.parameters.phantom_observed_pct
    runs = runs[runs["declared_run_id"].isin(set(seen.index[seen]))]
    pois = valid_on(context.reference.pois, context.day)
    pois = pois[pois["kind"].isin(TRIP_ENDS) & pois["latitude"].notna() & pois["radius_m"].notna()]
    named = dict(zip(runs["declared_run_id"], places_named_by_runs(runs, "destination", pois), strict=True))
    last_ids = {run_id: context.trips_of_run[run_id][-1] for run_id in named}
    elsewhere = _registered_ends(context)
    suspected = {
        run_id: place
        for run_id, place in named.items()
        if place is not None and elsewhere.get(last_ids[run_id], place["poi_id"]) != place["poi_id"]
    }
    trips = context.trip_records(last_ids[run_id] for run_id in suspected)
    records = context.run_records(suspected)
    beyond = {run_id: _km_beyond_stops(context, run, suspected[run_id]) for run_id, run in records.items()}
    missed = [run_id for run_id, km in beyond.items() if km > 0]
    unseen = _unseen_around(context, runs.set_index("declared_run_id").loc[missed])
    return [
        (
            _missed(
                context, records[run_id], suspected[run_id], trips[last_ids[run_id]],
                has_slept=around.asleep_km >= 2 * beyond[run_id],
            ),
            around.at_once_km < beyond[run_id],
        )
        for run_id, around in zip(missed, unseen.itertuples(), strict=True)
    ]  # fmt: skip


def _unseen_around(context: AuditDay, runs: pd.DataFrame) -> pd.DataFrame:
    """`unseen_km` within place_search_s of each run."""
    during, around_us = intervals(runs), int(context.parameters.place_search_s * 1_000_000)
    during = during.assign(start_us=during["start_us"] - around_us, end_us=during["end_us"] + around_us)
    return unseen_km(context, during)


def _plates_unseen_around_runs(context: AuditDay) -> set[str]:
    """Plates of which a run is not tested because nobody saw where they were around it."""
    return {str(draft.plate) for draft, is_seen in _missed_destinations(context) if not is_seen}


def _registered_ends(context: AuditDay) -> dict[str, str]:
    """The place at which each trip by positions ends, of those that end at a registered one."""
    trips = context.trips[(context.trips["source"] == "positions") & context.trips["destination_poi_id"].notna()]
    return dict(zip(trips["trip_id"], trips["destination_poi_id"], strict=True))


def _km_beyond_stops(context: AuditDay, run: Record, place: Record) -> float:
    """km from the nearest stop around the run to within far_from_place_km of the named place.

    0 where a stop was that near, or where not all of them are known.
    """
    around = pd.Timedelta(seconds=context.parameters.place_search_s)
    first, until = run["started_at"] - around, run["ended_at"] + around
    trips = context.trips[(context.trips["plate"] == run["plate"]) & (context.trips["ended_at"] >= first)]
    trips = trips[trips["started_at"] <= until]
    if (
        ((trips["origin_poi_id"] == place["poi_id"]) | (trips["destination_poi_id"] == place["poi_id"]))
        .fillna(False)
        .any()
    ):
        return 0.0
    legs = context.legs[(context.legs["plate"] == run["plate"]) & (context.legs["ended_at"] >= first)]
    legs = legs[(legs["started_at"] <= until) & (legs["source"] == "positions")]
    if legs.empty or legs["is_end_in_gap"].astype(bool).any() or (legs["gaps"] > 0).any():
        return 0.0
    near_m = 1000 * context.parameters.far_from_place_km + float(place["radius_m"])
    apart = np.concatenate([_metres(legs, side, place) for side in ("origin", "destination")])
    return 0.0 if np.isnan(apart).any() else max(float(apart.min() - near_m) / 1000, 0.0)


def _metres(legs: pd.DataFrame, side: str, place: Record) -> np.ndarray:
    latitude, longitude = (
        legs[f"{side}_{name}"].to_numpy(dtype=float, na_value=np.nan) for name in ("latitude", "longitude")
    )
    named = (np.full(len(legs), float(place[name])) for name in ("latitude", "longitude"))
    return distance_m(latitude, longitude, *named)


def _missed(context: AuditDay, run: Record, place: Record, last: Record, *, has_slept: bool) -> Draft:
    plate = run["plate"]
    zone = context.zone(plate)
    ended = last["destination_text"] if not pd.isna(last["destination_text"]) else last["destination_poi_id"]
    trips = tuple(context.trips_of_run[run["declared_run_id"]])
    return Draft(
        "G08",
        plate,
        f"A {sentences.run(run)} de {sentences.period(run, zone)}, declara a chegada em {run['destination_text']}, mas "
        f"o veículo {plate} não parou a menos de {sentences.number(context.parameters.far_from_place_km, 0)} km de "
        f"{place['name'] if not pd.isna(place['name']) else place['poi_id']} e chegou a {ended} às "
        f"{sentences.clock(last['ended_at'], zone)}.",
        UNOBSERVED_CONFIDENCE if has_slept else GRADE_CONFIDENCE["C"],
        trips,
        (run["declared_run_id"],),
        facts={
            "declared_poi_id": place["poi_id"],
            "arrived_poi_id": last["destination_poi_id"],
            "arrived_local": sentences.moment(last["ended_at"], zone),
        },
    )


RULES = (
    Rule(
        "G06",
        "4",
        "M",
        "Desvio da rota",
        "A viagem foi muito mais longa do que a rota contratada entre os mesmos dois locais.",
        "P/V+K",
        detours,
        amount="paid_doubtful_brl",
        parameters=("detour_pct", "detour_min_trips"),
        needs=(
            TRIPS,
            Need(
                lambda context: bool((context.reference.routes["expected_km"] > 0).any()),
                "nenhuma rota tem km previstos no cadastro",
            ),
        ),
        rests_on=("routes",),
    ),
    Rule(
        "G08",
        "12",
        "H",
        "Destino declarado não visitado",
        "A ata declara a chegada em um local cadastrado em que o veículo não parou.",
        "P+B+K",
        missed_destinations,
        parameters=("far_from_place_km", "place_search_s", "phantom_observed_pct", "mean_speed_kmh"),
        needs=(RUNS, POSITIONS, Need(lambda context: len(context.reference.pois) > 0, "nenhum local cadastrado")),
        rests_on=("P", "pois"),
        vehicle_need=VehicleNeeds(
            (
                *_VISIBLE_STOPS,
                VehicleNeed(
                    plates_with_runs,
                    _plates_unseen_around_runs,
                    "o equipamento não enviou posições em parte da corrida, e não prova onde o veículo parou",
                ),
            )
        ),
    ),
)

"""The vehicles whose declared km diverge most on a day: the group to show of each, its words, and its declared ends.

Positions of these vehicles are inputs; drawing them belongs to `drawing.track_map`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fleet_audit.logic.reference.named_places import NamedPlaces
from fleet_audit.reporting.drawing.track import Span, Track
from fleet_audit.reporting.drawing.track_map import track_map
from fleet_audit.reporting.locale import REPORT_ZONE, instant, number
from fleet_audit.reporting.sections.inputs import Frames, as_of, names_of, records

MOST_VEHICLES = 6  # two rows of three on a screen and on A4
_AROUND = dt.timedelta(minutes=10)  # drawn before and after trips and runs
NOTE = (
    "Um quadro por veículo com divergência acima da tolerância, do maior para o menor: o trajeto medido pelas "
    "posições (azul) e, em laranja, os locais que a transportadora declarou, quando são locais cadastrados."
)


@dataclass(frozen=True)
class DivergentGroup:
    """The worst group of one vehicle: a row of `fact.matches`, its trips and its declared runs in order of start."""

    match: Mapping[str, Any]
    trips: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]

    @property
    def plate(self) -> str:
        """The vehicle."""
        return str(self.match["plate"])

    @property
    def period(self) -> tuple[dt.datetime, dt.datetime]:
        """From ten minutes before the first trip or run to ten minutes after the last, UTC."""
        rows = [*self.trips, *self.runs]
        starts = [row["started_at"] for row in rows if row["started_at"] is not None]
        ends = [row["ended_at"] for row in rows if row["ended_at"] is not None]
        return min(starts) - _AROUND, max(ends) + _AROUND

    @property
    def device_ids(self) -> set[str]:
        """The devices that measured its trips."""
        return {str(trip["device_id"]) for trip in self.trips if trip["device_id"] is not None}


def divergent_groups(frames: Frames, most: int = MOST_VEHICLES) -> list[DivergentGroup]:
    """The group with the largest difference of each vehicle beyond the tolerance, the largest first."""
    groups = frames.matches[frames.matches["is_exceeding"].fillna(False)].dropna(subset=["difference_km"])
    groups = groups.assign(size=groups["difference_km"].abs())
    groups = groups.sort_values(["size", "match_id"], ascending=[False, True], kind="stable")
    trips = {row["trip_id"]: row for row in records(frames.trips.sort_values("started_at", kind="stable"))}
    runs = {row["declared_run_id"]: row for row in records(frames.declared_runs.sort_values("started_at"))}
    found = [
        DivergentGroup(
            match,
            [trip for key, trip in trips.items() if key in set(match["trip_ids"])],
            [run for key, run in runs.items() if key in set(match["declared_run_ids"])],
        )
        for match in records(groups.drop_duplicates("plate"))
    ]
    return [group for group in found if group.trips and group.runs][:most]


def divergence_maps(frames: Frames, positions: pd.DataFrame) -> tuple[str, ...]:
    """One map per vehicle of `divergent_groups` whose movement is known.

    `positions` are points of these vehicles: plate, device_id, recorded_at, latitude, longitude, is_rejected.
    """
    zones = frames.units.set_index("unit_code")["timezone"].dropna().to_dict()
    maps = []
    for group in divergent_groups(frames):
        start, end = group.period
        points = positions[(positions["plate"] == group.plate) & positions["device_id"].isin(group.device_ids)]
        points = points[(points["recorded_at"] >= start) & (points["recorded_at"] <= end)]
        zone = zones.get(group.trips[0]["unit_code"], REPORT_ZONE)
        drawn = _map(frames, group, points.sort_values("recorded_at", kind="stable"), zone)
        maps += [] if drawn is None else [drawn]
    return tuple(maps)


def _map(frames: Frames, group: DivergentGroup, points: pd.DataFrame, zone: str) -> str | None:
    places = _places(frames, group)
    spans = [Span("viagem", trip["started_at"], trip["ended_at"]) for trip in group.trips]
    ends = [(group.trips[0]["origin_poi_id"], "started_at"), (group.trips[-1]["destination_poi_id"], "ended_at")]
    stops = [places[code] for code, _ in ends if code in places]
    names = names_of(frames.pois.drop_duplicates("poi_id", keep="last"), "poi_id")
    first, last = group.runs[0], group.runs[-1]
    known = NamedPlaces(places.values())
    declared = [place for text in (first["origin_text"], last["destination_text"])
                if (place := known.named_by(text)) is not None and place not in stops]  # fmt: skip
    numbers = ", ".join(str(run["bulletin_number"]) for run in group.runs if run["bulletin_number"] is not None)
    captions = (
        f"Declarado {number(group.match['declared_km'])} km (ata {numbers or 'sem número'}): "
        f"{first['origin_text'] or '?'} → {last['destination_text'] or '?'}",
        f"Medido {number(group.match['measured_km'])} km, {instant(group.trips[0]['started_at'], zone)[-5:]} a "
        f"{instant(group.trips[-1]['ended_at'], zone)[-5:]}: {_end(names, ends[0][0])} → {_end(names, ends[1][0])}",
    )
    return track_map(
        Track(points, spans, zone, (), stops),
        heading=f"{group.plate}: {number(group.match['difference_km'], signed=True)} km",
        captions=captions,
        declared=list({place["name"]: place for place in declared}.values()),
    )


def _places(frames: Frames, group: DivergentGroup) -> dict[str, dict[str, Any]]:
    """poi_id → name, latitude, longitude, address_pattern of the unit's places that are valid on the group's day."""
    pois = frames.pois[frames.pois["unit_code"].isna() | (frames.pois["unit_code"] == group.trips[0]["unit_code"])]
    asked = pd.DataFrame({"poi_id": pois["poi_id"].unique()})
    asked["operational_date"] = group.match["operational_date"]
    asked = asked.astype(frames.trips[["operational_date"]].dtypes.to_dict())
    columns = ["name", "latitude", "longitude", "address_pattern"]
    valid = asked.join(as_of(asked, frames.pois, "poi_id", "poi_id", columns)).dropna(subset=["latitude", "longitude"])
    return {row["poi_id"]: {**row, "name": row["name"] or row["poi_id"]} for row in records(valid)}


def _end(names: Mapping[str, str], code: str | None) -> str:
    return names.get(code, code) if code else "local não cadastrado"

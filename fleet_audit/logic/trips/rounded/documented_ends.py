"""Ends of movements at which bulletins and visit reports name one place.

What they decide is in `documented_places`.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days, to_local
from fleet_audit.logic.reference.named_places import places_named_by_runs
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.shifts import turnos_over_midnight
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.logic.trips.segmentation import Segmentation

_SIDES = (("origin", "started_at"), ("destination", "ended_at"))
_DAY = np.timedelta64(1, "D")
_DAY_S, _NOON_S = 86_400, 43_200


def rounded_vehicles(segmentation: Segmentation) -> pd.DataFrame:
    """plate of each vehicle that has stops with cells: documents can decide their places. The others have a fix."""
    tracks = segmentation.tracks.track_of(segmentation.stop_columns["first"][segmentation.cells["stop"]])
    plates = segmentation.tracks.index["plate"].iloc[np.unique(tracks)]
    return plates.drop_duplicates().to_frame()


def documented_ends(
    plates: pd.Series, visits: pd.DataFrame, runs: pd.DataFrame, places: Places, reference: Reference,
    day: dt.date, parameters: ParameterSet,
) -> pd.DataFrame:  # fmt: skip
    """plate, at_s (seconds since 1970), poi_id, night, is_moved and is_late of each end that names one place.

    An end of a night run that may be dated a day early stands twice, as written and a day later (`is_moved`), both with
    its number in `night` (-1: of no such run). `is_late`: the later one lies beyond what the first run of the day sees.

    Args:
        plates: of `rounded_vehicles`; rows of other vehicles are not read.
        visits: `staging.visit_legs` with timezone; runs: `staging.declared_runs`.
        places: the places of `ref.pois`; reference: pois, shifts and vehicles.
        day: operational day D.
        parameters: night_departure_h, match_widen_s.
    """
    if plates.empty:  # of most fleets: finding the places of no rows takes 15 ms
        return pd.DataFrame(columns=["plate", "at_s", "poi_id", "night", "is_moved", "is_late"])
    visits, runs = (rows[rows["plate"].isin(plates)] for rows in (visits, runs))
    runs = _runs_of_day(runs, reference, day, parameters)
    latest = np.datetime64(day, "s") + _DAY + np.timedelta64(int(parameters.night_departure_h * 3600), "s")
    ends = []
    for side, instant in _SIDES:
        days = local_days(visits[instant], visits["timezone"])
        ends.append(_ends(visits, instant, places.locate_address(visits[f"{side}_address"], days)))
        for date, own in runs.groupby("date"):
            named = places_named_by_runs(own, side, valid_on(reference.pois, _date(date)))
            found = _ends(own, instant, np.array([place and place["poi_id"] for place in named], dtype=object))
            moved = to_local(own[instant], own["timezone"]).to_numpy() + _DAY
            is_late = moved + np.timedelta64(int(parameters.match_widen_s), "s") > latest
            ends.append(found.assign(is_night=own["is_night"].to_numpy(), is_late=is_late))
    return _with_moved(pd.concat(ends, ignore_index=True).dropna(subset="poi_id").reset_index(drop=True))


def _date(day: object) -> dt.date:
    return dates(np.array([day], dtype="datetime64[D]"))[0]  # type: ignore[no-any-return]


def _ends(rows: pd.DataFrame, instant: str, poi_id: np.ndarray) -> pd.DataFrame:
    micros = rows[instant].to_numpy("datetime64[us]").astype(np.int64)
    ends = pd.DataFrame({"plate": rows["plate"].to_numpy(dtype=object), "at_s": micros / 1e6, "poi_id": poi_id})
    return ends.assign(is_night=False, is_late=False)


def _runs_of_day(runs: pd.DataFrame, reference: Reference, day: dt.date, parameters: ParameterSet) -> pd.DataFrame:
    """The runs whose bulletins run the day again (`ingest.inbox.file_days`), with unit_code, timezone and is_night.

    Those of DATA D-1 and D, and of D+1 those that depart before `night_departure_h`: with others the places of a day
    depended on when it was run. `is_night`: departs after midnight as written, before `night_departure_h` or in a shift
    that passes midnight; bulletins date such runs by their shift, so that its trip may be of the day after.
    """
    zones = reference.zones(runs["plate"], day)
    wall = to_local(runs["started_at"], zones).to_numpy()
    date = as_days(runs["date"])
    after_midnight_s = (wall - wall.astype("datetime64[D]")) / np.timedelta64(1, "s")
    is_early = after_midnight_s < parameters.night_departure_h * 3600
    ahead = (date - np.datetime64(day, "D")).astype(int)
    units = np.full(len(runs), None, dtype=object)
    for each in np.unique(date):
        vehicles = reference.vehicles_on(_date(each)).set_index("plate")["unit_code"].astype(object)
        units[date == each] = runs["plate"][date == each].map(vehicles).to_numpy(dtype=object)
    of_shift = turnos_over_midnight(units, runs["shift_code"], reference.shifts)
    is_written_there = (wall.astype("datetime64[D]") == date) & (after_midnight_s < _NOON_S)
    return runs.assign(unit_code=units, timezone=zones.to_numpy(), is_night=is_written_there & (is_early | of_shift))[
        np.isin(ahead, (-1, 0)) | ((ahead == 1) & is_early)
    ]


def _with_moved(ends: pd.DataFrame) -> pd.DataFrame:
    """The ends, those of night runs a second time a day later: an hour off, at none, where the clock changes."""
    is_night = ends["is_night"].to_numpy(dtype=bool)
    written = ends.drop(columns="is_night").assign(night=np.where(is_night, np.cumsum(is_night) - 1, -1))
    moved = written[is_night]
    moved = moved.assign(at_s=moved["at_s"] + _DAY_S, is_moved=True)
    return pd.concat([written.assign(is_moved=False), moved], ignore_index=True)

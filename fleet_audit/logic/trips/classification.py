"""Purpose, area, shift and route of a trip: the inputs of the money rules.

Movements are found in `segmentation`, places in `places`; costs are computed in `tariffs`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.money import round_km, to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.places import WORKPLACES, Places
from fleet_audit.logic.reference.routes import find_routes
from fleet_audit.logic.reference.shifts import nearest_shifts

_RESTING_PLACES = ("garagem", "posto", "ponto", "alojamento")
_AREA_OF = {"frente": "AGR", "usina": "IND"}


def classify(
    trips: pd.DataFrame,
    places: Places,
    drivers: pd.DataFrame,
    shifts: pd.DataFrame,
    routes: pd.DataFrame,
    parameters: ParameterSet,
) -> pd.DataFrame:
    """The trips with purpose, area, area_reason, shift_code, route_code and route_method.

    Args:
        trips: unit_code, timezone (IANA), default_area, started_at and ended_at (UTC), origin_poi_id,
            destination_poi_id, origin_text, destination_text, is_short, km (measured; may be missing),
            is_maintenance_driver (the driver's text says so), driver_id, passengers_readings, passengers_max, hidden_s
            (in silences, or shown by a visit report alone), duration_s, source.
        places: the places of `ref.pois`.
        drivers: `ref.drivers`; shifts: `ref.shifts`; routes: `ref.routes`.
        parameters: yard_max_km, route_text_min, shift_tolerance_min.
    """
    departure_day = local_days(trips["started_at"], trips["timezone"])
    arrival_day = local_days(trips["ended_at"], trips["timezone"])
    origin = places.kinds(trips["origin_poi_id"], departure_day)
    destination = places.kinds(trips["destination_poi_id"], arrival_day)
    area, area_reason = areas(trips["default_area"], origin, destination)
    named = trips.assign(
        origin_text=_full_text(places.names(trips["origin_poi_id"], departure_day), trips["origin_text"]),
        destination_text=_full_text(places.names(trips["destination_poi_id"], arrival_day), trips["destination_text"]),
    )
    found = find_routes(named, routes, parameters.route_text_min)
    purpose = pd.Series(_purpose(trips, origin, destination, drivers, parameters), index=trips.index, dtype="str")
    follows_route = purpose != "yard"  # the words of one place alone would name a route
    return trips.assign(
        purpose=purpose,
        area=area,
        area_reason=area_reason,
        shift_code=_shift(trips, origin, destination, shifts, parameters),
        route_code=found["route_code"].where(follows_route),
        route_method=found["route_method"].where(follows_route),
    )


def _purpose(
    trips: pd.DataFrame, origin: np.ndarray, destination: np.ndarray, drivers: pd.DataFrame, parameters: ParameterSet
) -> np.ndarray:
    """The first purpose that holds."""
    known = trips["origin_poi_id"].notna() & trips["destination_poi_id"].notna()
    same_place = (known & (trips["origin_poi_id"] == trips["destination_poi_id"])).to_numpy(dtype=bool)
    # The rounded km: an odometer that goes from 99.3 to 100.3 moved 1 km, and 0.9999999999999858 in binary.
    below_yard = (to_hundredths(round_km(trips["km"])) < parameters.yard_max_km * 100) & trips["km"].notna().to_numpy()
    maintenance_drivers = drivers.loc[drivers["is_maintenance"].fillna(False).astype(bool), "driver_id"]
    # A silence of 36 of 44 min hid the boarding: the readings before it, and after it at the mill, were 0.
    # Of a device that reports every 4 min a silence of 12 of 60 min hides no more than of one that does every 30 s.
    is_hidden = 2 * trips["hidden_s"].to_numpy(dtype=float) > trips["duration_s"].to_numpy(dtype=float)
    is_empty = (
        ~is_hidden
        & (trips["source"] == "positions").to_numpy(dtype=bool)
        & (trips["passengers_readings"].to_numpy(dtype=float, na_value=0) > 0)
        & (trips["passengers_max"].to_numpy(dtype=float, na_value=np.nan) == 0)
    )
    at_work = _either(origin, destination, WORKPLACES)
    resting = np.isin(origin.astype(str), _RESTING_PLACES) & np.isin(destination.astype(str), _RESTING_PLACES)
    return np.select(
        [
            trips["is_short"].fillna(False).to_numpy(dtype=bool) | (same_place & below_yard),
            _either(origin, destination, ("oficina",))
            | trips["is_maintenance_driver"].fillna(False).to_numpy(dtype=bool)
            | trips["driver_id"].isin(maintenance_drivers).to_numpy(dtype=bool),
            at_work & ~is_empty,
            at_work | resting,
        ],
        ["yard", "maintenance", "service", "deadhead"],
        default="unknown",
    )


def areas(default: pd.Series, origin: np.ndarray, destination: np.ndarray) -> tuple[pd.Series, pd.Series]:
    """The area of the workplace end, the destination's before the origin's, else the vehicle's own; and which.

    origin, destination: kinds of these places.
    """
    arrives, leaves = (np.isin(kinds.astype(str), WORKPLACES) for kinds in (destination, origin))
    at_work = arrives | leaves
    kind = pd.Series(np.where(arrives, destination, origin), index=default.index, dtype="str").where(at_work)
    area = kind.map(_AREA_OF).where(at_work, default)
    reason = pd.Series(np.where(arrives, "destination_", "origin_"), index=default.index, dtype="str") + kind
    return area.astype("str"), reason.where(at_work, "default_area").astype("str")


def _shift(
    trips: pd.DataFrame, origin: np.ndarray, destination: np.ndarray, shifts: pd.DataFrame, parameters: ParameterSet
) -> pd.Series:
    """Arriving at a workplace: by the arrival; only leaving one: by the departure; neither: none."""
    is_arrival = np.isin(destination.astype(str), WORKPLACES)
    moments = trips[["unit_code", "timezone"]].assign(
        at=trips["ended_at"].where(is_arrival, trips["started_at"]), is_arrival=is_arrival
    )[is_arrival | np.isin(origin.astype(str), WORKPLACES)]
    return nearest_shifts(moments, shifts, parameters.shift_tolerance_min).reindex(trips.index)


def _full_text(names: np.ndarray, texts: pd.Series) -> pd.Series:
    """A place's name and what the source calls it; null when neither is known."""
    name, texts = pd.Series(names, index=texts.index, dtype="str"), texts.astype("str")
    both = name + " " + texts
    return both.where(both.notna(), name.where(name.notna(), texts))


def _either(origin: np.ndarray, destination: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    return np.isin(origin.astype(str), kinds) | np.isin(destination.astype(str), kinds)

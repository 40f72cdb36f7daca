"""O05: the odometer and the path of positions measure different distances of a trip.

Events of an odometer, which explain a difference, are in `odometer`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import ODOMETERS_AND_PLACES, TRIPS
from fleet_audit.logic.audit.rules.day.odometer import km_text, trips_at_events
from fleet_audit.logic.audit.rules.draft import DEVICE_CONFIDENCE, Draft, beyond_doubt
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.devices.device_health import UNITS
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.logic.primitives.parameters import ParameterSet

_COUNTS_PT = {
    "gps": "; vale o GPS",
    "odometer": "; vale o hodômetro, porque o GPS cobre pouco da viagem",
    "report": ", na parte que as posições mostram",
}


def disagreement(context: AuditDay) -> list[Draft]:
    """O05: both measured a trip and differ by more than max(agree_pct, agree_km) and the odometer's resolution.

    Not where an event of the device explains it. Of a trip of which a visit report shows a part, the part that
    positions saw is judged.

    At stake is the difference, in either direction: the carrier may claim the other value.
    """
    trips = context.trips_of_day
    trips = trips[(trips["source"] == "positions") & (trips["purpose"] != "yard")]
    trips = trips[~trips["trip_id"].isin(_explained(context, trips))]
    rows = trips.merge(_compared(context), on="trip_id")
    share = context.parameters.agree_pct / 100 * rows["compared_km"]  # of what both measured
    limit = np.maximum(share, context.parameters.agree_km) + rows["resolution_km"]
    rows = rows.assign(limit_km=limit, difference=(rows["odometer_km"] - rows["gps_km"]).abs())
    return [_disagreement(context, row) for row in rows[rows["difference"] > limit + 1e-9].to_dict("records")]


def _explained(context: AuditDay, trips: pd.DataFrame) -> set[str]:
    """Trips of devices in another unit, and those in which an event already explains the odometer."""
    of_unit = trips["device_id"].isin(context.health_with(*UNITS)["device_id"])
    disturbed = {trip_id for rows in trips_at_events(context).values() for _, trip_id in rows}
    return {*trips.loc[of_unit, "trip_id"], *disturbed}


def _compared(context: AuditDay) -> pd.DataFrame:
    """Trips that can be compared: both sums, the km that both measured, the odometer's resolution.

    All their legs of positions have a sound odometer and a path, and steps of at most 60 s hold half of the path: over
    longer steps the chords are shorter than the road.
    """
    legs = context.legs_of_day
    legs = legs[legs["source"] == "positions"]
    is_sound = legs["is_odometer_valid"].fillna(False).astype(bool) & legs[["km_odometer", "km_gps"]].notna().all(
        axis=1
    )
    sums = legs.assign(is_unsound=~is_sound, bridged=legs["km_bridged"].fillna(0.0)).groupby("trip_id")
    by_trip = sums[["km_odometer", "km_gps", "km_fine", "bridged", "is_unsound"]].sum()
    by_trip["resolution"] = sums["odometer_resolution_km"].max().fillna(0.0)
    by_trip = by_trip[(by_trip["is_unsound"] == 0) & (2 * by_trip["km_fine"] >= by_trip["km_gps"])]
    return pd.DataFrame(
        {
            "odometer_km": by_trip["km_odometer"],
            "gps_km": by_trip["km_gps"],
            "compared_km": (by_trip["km_odometer"] - by_trip["bridged"]).clip(lower=0),
            "resolution_km": by_trip["resolution"],
            "path_doubt_km": _path_doubt_km(by_trip, context.parameters),
        }
    ).reset_index()


def _path_doubt_km(by_trip: pd.DataFrame, parameters: ParameterSet) -> pd.Series:
    """Half-width (km) of a path: gps_uncertainty_pct of its fine steps, chord_uncertainty_pct of the longer ones.

    Bridged steps are not of the path.

    The grade of the trip does not count, because the difference itself makes it C: on simulated development fleets all
    of 26 such findings that stated 0.6 for it were right.
    """
    fine = np.minimum(by_trip["km_fine"], by_trip["km_gps"])
    longer = (by_trip["km_gps"] - by_trip["bridged"] - fine).clip(lower=0)
    return parameters.gps_uncertainty_pct / 100 * fine + parameters.chord_uncertainty_pct / 100 * longer


def _disagreement(context: AuditDay, row: Record) -> Draft:
    plate, difference = row["plate"], half_up(row["difference"])
    counts = _COUNTS_PT[row["km_method"]]
    return Draft(
        "O05",
        plate,
        f"Na viagem do veículo {plate} em {sentences.period(row, context.zone(plate))}, o hodômetro contou "
        f"{km_text(row['odometer_km'])} e o GPS mediu {km_text(row['gps_km'])}: {sentences.km(difference)} de "
        f"diferença, acima da tolerância de {km_text(row['limit_km'])}{counts}.",
        DEVICE_CONFIDENCE * beyond_doubt(row["difference"], row["limit_km"], row["path_doubt_km"]),
        (row["trip_id"],),
        km_at_stake=difference,
        rate=context.rate_of([row["trip_id"]], ()),
        is_in_favour=row["odometer_km"] < row["gps_km"],
        km_uncertainty=row["resolution_km"] + row["path_doubt_km"],
        tolerance_km=row["limit_km"] - row["resolution_km"],
        facts={name: round(row[name], 3) for name in ("odometer_km", "gps_km", "compared_km", "limit_km")},
    )


RULES = (
    Rule(
        "O05",
        "5",
        "M",
        "Hodômetro e GPS discordam",
        "O hodômetro e o caminho pelas posições medem distâncias diferentes, acima da tolerância.",
        "P",
        disagreement,
        amount="paid_doubtful_brl",
        parameters=(
            "agree_pct",
            "agree_km",
            "gps_uncertainty_pct",
            "chord_uncertainty_pct",
        ),
        needs=(
            ODOMETERS_AND_PLACES,
            TRIPS,
        ),
    ),
)

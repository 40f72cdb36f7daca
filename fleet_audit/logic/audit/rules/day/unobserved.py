"""Time in which nothing observed a vehicle, and the most km that it can have driven then.

What such kilometres take from an accusation is decided by each rule.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps, union
from fleet_audit.logic.reference.places import distance_m

_BOUNDS = ("started_at", "ended_at")
_WINDOW_DAYS = 4  # on each side of D: no run or trip of its window reaches further


def unseen_km(context: AuditDay, during: pd.DataFrame) -> pd.DataFrame:
    """The most km that a vehicle can have driven unobserved in each interval (`intervals(...)`), in their order.

    counted_km: what its odometer counted over the silences, where that is known; possible_km: what mean_speed_kmh
    allows in the others. Neither is more than it allows.
    """
    pieces = _unseen_pieces(context, during)
    km, is_counted = _most_km(context, pieces), pieces["counted_km"].notna().to_numpy()
    return pd.DataFrame(
        {
            name: np.bincount(pieces["left"], weights=np.where(is_chosen, km, 0.0), minlength=len(during))
            for name, is_chosen in (("counted_km", is_counted), ("possible_km", ~is_counted))
        }
    )


@computed_once
def unseen_km_of_groups(context: AuditDay) -> dict[str, float]:
    """The sum of both for each compared group that declares more than was measured, by match_id; only those above 0.

    Its time is that of its runs and trips, widened by match_widen_s as a run is in matching. Its own trips that the
    odometer measured hold what was driven unobserved in them.
    """
    groups = context.groups[(context.groups["difference_km"] > 0).fillna(False)]
    runs, trips = (
        groups[["match_id", name]].explode(name).merge(rows, left_on=name, right_on=key)
        for name, key, rows in (
            ("declared_run_ids", "declared_run_id", context.runs[["declared_run_id", *_BOUNDS]]),
            ("trip_ids", "trip_id", context.trips[["trip_id", "km_method", *_BOUNDS]]),
        )
    )
    plates = groups.set_index("match_id")["plate"]
    margin_us = int(context.parameters.match_widen_s * 1_000_000)
    wide = pd.concat([_of_groups(runs), _of_groups(trips)], ignore_index=True)
    wide = union(wide.assign(start_us=wide["start_us"] - margin_us, end_us=wide["end_us"] + margin_us))
    pieces = _unseen_pieces(context, wide.assign(plate=wide["plate"].map(plates).astype(object)))
    pieces = pieces.assign(plate=wide["plate"].to_numpy()[pieces["left"]])
    measured = covered_us(pieces, _of_groups(trips[trips["km_method"] == "odometer"]))
    km = _most_km(context, pieces.assign(lasting_us=pieces["lasting_us"] - measured))
    sums = pd.Series(km).groupby(pieces["plate"].to_numpy()).sum()
    return sums[sums > 0].to_dict()


def places_apart_m(context: AuditDay, first: pd.Series, second: pd.Series) -> np.ndarray:
    """Least distance between two registered circles; NaN where one has no circle."""
    pois = context.reference.pois.drop_duplicates("poi_id", keep="last").set_index("poi_id")
    pois = pois[["latitude", "longitude", "radius_m"]].astype("float64")
    sides = [pois.reindex(side.astype(object)).to_numpy() for side in (first, second)]
    centres = distance_m(sides[0][:, 0], sides[0][:, 1], sides[1][:, 0], sides[1][:, 1])
    return np.where((first == second).fillna(False), 0.0, centres - sides[0][:, 2] - sides[1][:, 2])


def _of_groups(rows: pd.DataFrame) -> pd.DataFrame:
    """`intervals` of rows, each with its group in place of its plate."""
    return intervals(rows.assign(plate=rows["match_id"]))


def _unseen_pieces(context: AuditDay, during: pd.DataFrame) -> pd.DataFrame:
    """The part of each silence in each interval: left (row of `during`), start_us, end_us, lasting_us, counted_km."""
    silent = _silences(context)
    pairs = overlaps(during, silent)
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    return pd.DataFrame(
        {
            "left": left,
            "start_us": np.maximum(during["start_us"].to_numpy()[left], silent["start_us"].to_numpy()[right]),
            "end_us": np.minimum(during["end_us"].to_numpy()[left], silent["end_us"].to_numpy()[right]),
            "lasting_us": pairs["overlap_us"].to_numpy(),
            "counted_km": silent["counted_km"].to_numpy()[right],
        }
    )


def _most_km(context: AuditDay, pieces: pd.DataFrame) -> np.ndarray:
    by_speed = pieces["lasting_us"].to_numpy() / 3.6e9 * context.parameters.mean_speed_kmh
    return np.fmin(by_speed, pieces["counted_km"].to_numpy())


@computed_once
def _silences(context: AuditDay) -> pd.DataFrame:
    """Stretches of more than gap_note_s that nothing observed: plate, start_us, end_us, counted_km (NaN: not known).

    Of a vehicle that positions show also the time before the first and after the last of them. A visit report lists
    what its device recorded: only a stretch between two rows is missing, and a stay that ends elsewhere than it began.
    A device that reports too rarely for any span has no silence that differs from its usual step.
    """
    spans = intervals(context.spans)
    spans["counted_km"] = context.spans["counted_before_km"].to_numpy(dtype="float64", na_value=np.nan)
    counted = spans.groupby(["plate", "start_us"])["counted_km"].max()
    seen = context.observed
    found = pd.concat(
        [
            seen.assign(start_us=seen.groupby("plate")["end_us"].shift(), end_us=seen["start_us"].astype("float64")),
            seen.groupby("plate", as_index=False).agg(start_us=("end_us", "max")).assign(end_us=np.nan),
        ],
        ignore_index=True,
    )
    is_bounded = found[["start_us", "end_us"]].notna().all(axis=1)
    found = found[is_bounded | found["plate"].isin(context.plates_with_positions)]
    midnight, most = pd.Timestamp(context.day, tz="UTC"), dt.timedelta(days=_WINDOW_DAYS)
    found = found.fillna({"start_us": (midnight - most).value // 1000, "end_us": (midnight + most).value // 1000})
    found = found.astype({"plate": object, "start_us": "int64", "end_us": "int64"})
    found = pd.concat([found, _stays_that_moved(context)], ignore_index=True)
    found = found[found["end_us"] - found["start_us"] > context.parameters.gap_note_s * 1_000_000]
    keys = pd.MultiIndex.from_frame(found[["plate", "end_us"]])
    return found.assign(counted_km=counted.reindex(keys).to_numpy(dtype="float64")).reset_index(drop=True)


def _stays_that_moved(context: AuditDay) -> pd.DataFrame:
    """`intervals` of the stays of visit reports after which the vehicle left from another registered place.

    Those that positions saw but for gap_note_s are none.
    Its tracker was silent, and the report takes that for a stay: one of a simulated fleet stood from 07:26 to 13:54 and
    left from 4.8 km away, where its run, declared until 07:58, had ended.
    """
    legs = context.legs_of_day
    is_report = (legs["source"] == "visit_report") & legs["superseded_by_trip_id"].isna()
    legs = legs[is_report].sort_values(["plate", "started_at"])
    after = legs.groupby("plate", sort=False).shift(-1)
    apart_m = places_apart_m(context, legs["destination_poi_id"], after["origin_poi_id"])
    stays = pd.DataFrame({"plate": legs["plate"], "started_at": legs["ended_at"], "ended_at": after["started_at"]})
    moved = intervals(stays[apart_m > 1000 * context.parameters.moved_unseen_km])
    by_positions = intervals(context.spans[context.spans["source"] == "positions"])
    unseen_us = moved["end_us"] - moved["start_us"] - covered_us(moved, by_positions)
    return moved[unseen_us > context.parameters.gap_note_s * 1_000_000]

"""How many km of each movement of a visit report the silences can hold that it reaches into.

What an odometer counted over a silence bounds it; where nothing counted, the speed of the time that is left.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps, union
from fleet_audit.logic.primitives.parameters import ParameterSet

# Two clocks differ by minutes, and reports round to the minute: a shorter common time makes no movement the same.
CLOCK_US = 120_000_000
# A leg beside a silence may belong to a movement that ends before it by the other clock: 5 km of a way of which
# positions saw 3 were paid as 8 where the clocks were 3 min apart. A silence that cuts no leg holds nothing of a
# movement that reaches into it by less: 16 km of 160 were paid twice of four that a clock put 4 min into a parked time.
REACH_US = 300_000_000
_NEAR_US = 1_000_000


def silences(
    movements: pd.DataFrame, seen: pd.DataFrame, unseen: pd.DataFrame, driven: pd.DataFrame
) -> pd.DataFrame:  # fmt: skip
    """Time of `movements` without `seen`, per vehicle: plate, start_us, end_us, counted_km, uncounted_us, unread_us.

    uncounted_us is the part over which nothing is known to have counted; unread_us also that after which a device that
    has no reading was found where it was left. A step that a leg bridges holds nothing more: the leg is paid the way
    over it, with its doubt.

    Args:
        movements, seen, driven: `intervals` of reported movements, of what positions or odometers watched, of legs.
        unseen: `silences.unseen_steps`.
    """
    gaps = _without(seen, movements)
    steps = intervals(unseen)
    is_bridged = 2 * covered_us(steps, union(driven)) >= (steps["end_us"] - steps["start_us"]).to_numpy()
    counted = np.where(is_bridged, 0.0, unseen["counted_km"].to_numpy(dtype=float))
    is_counted, is_read = ~np.isnan(counted), is_bridged | unseen["is_read"].to_numpy(dtype=bool)
    pairs = overlaps(gaps, steps)
    gap, step = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    lasting_us = (gaps["end_us"] - gaps["start_us"]).to_numpy()
    known_us, read_us = (
        np.bincount(gap, weights=pairs["overlap_us"] * of[step], minlength=len(gaps)) for of in (is_counted, is_read)
    )
    return gaps.assign(
        counted_km=np.bincount(gap, weights=np.nan_to_num(counted)[step], minlength=len(gaps)),
        uncounted_us=np.maximum(lasting_us - known_us, 0),
        unread_us=np.maximum(lasting_us - read_us, 0),
    )


def _without(seen: pd.DataFrame, movements: pd.DataFrame) -> pd.DataFrame:
    """The time around each vehicle's reported movements that is not in `seen`."""
    of_plate = movements.groupby("plate").agg(first=("start_us", "min"), last=("end_us", "max"))
    first, last = of_plate["first"].to_numpy() - 2 * REACH_US, of_plate["last"].to_numpy() + 2 * REACH_US
    ends = pd.DataFrame(
        {
            "plate": np.tile(of_plate.index.to_numpy(dtype=object), 2),
            "start_us": np.concatenate([first - 1, last]),
            "end_us": np.concatenate([first, last + 1]),
        }
    )
    watched = union(pd.concat([seen, ends], ignore_index=True))
    is_next = (watched["plate"] == watched["plate"].shift(-1)).to_numpy()
    return pd.DataFrame(
        {
            "plate": watched["plate"].to_numpy(dtype=object)[is_next],
            "start_us": watched["end_us"].to_numpy()[is_next],
            "end_us": watched["start_us"].shift(-1).to_numpy()[is_next].astype("int64"),
        }
    )


def held_km(movements: pd.DataFrame, gaps: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """km that all silences together (of `silences`) can hold that each movement reaches into.

    Where nothing was read, as many as its speed allows: a device without an odometer that is found where it was left
    does not show that it stood.
    """
    pairs = overlaps(movements, gaps)
    gap = pairs["right"].to_numpy()
    unread_us = np.minimum(pairs["overlap_us"].to_numpy(), gaps["unread_us"].to_numpy()[gap])
    km = gaps["counted_km"].to_numpy()[gap] + parameters.mean_speed_kmh * unread_us / 3.6e9
    return np.bincount(pairs["left"], weights=km, minlength=len(movements))


def room_km(
    movements: pd.DataFrame,
    gaps: pd.DataFrame,
    cuts: pd.DataFrame,
    whole_km: np.ndarray,
    is_shared: np.ndarray,
    parameters: ParameterSet,
) -> np.ndarray:
    """km that `gaps` (of `silences`) can hold of each movement of `is_shared`: what one holds is in one room only.

    Args:
        cuts: `intervals` of the instants at which a silence cuts a leg.
        whole_km: km of movements that count whole: they fill their share of a silence first.
    """
    pairs = overlaps(movements, gaps)
    of, gap = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    shared_us = pairs["overlap_us"].to_numpy(dtype=float)
    silent_us = np.bincount(of, weights=shared_us, minlength=len(movements))
    km_per_us = parameters.mean_speed_kmh / 3.6e9
    counted, uncounted_us = gaps["counted_km"].to_numpy(), gaps["uncounted_us"].to_numpy(dtype=float)
    filled = np.bincount(gap, weights=whole_km[of] * shared_us / silent_us[of], minlength=len(gaps))
    held = np.maximum(counted + km_per_us * uncounted_us - filled, 0.0)
    is_cut = np.isin(np.arange(len(gaps)), overlaps(gaps, cuts)["left"])[gap]
    shared_us = np.where(shared_us > CLOCK_US, shared_us, 0)
    sure_us = np.where(is_cut, shared_us, np.maximum(shared_us - REACH_US, 0))
    most = np.minimum(km_per_us * shared_us, counted[gap] + km_per_us * np.minimum(sure_us, uncounted_us[gap]))
    most = np.where(is_shared[of], np.minimum(most, held[gap]), 0.0)
    wanted = np.bincount(gap, weights=most, minlength=len(gaps))[gap]
    part = np.divide(held[gap], wanted, out=np.zeros(len(most)), where=wanted > 0)
    return np.bincount(of, weights=most * np.minimum(part, 1.0), minlength=len(movements))


def instants_of(driven: pd.DataFrame, is_at: list[np.ndarray]) -> pd.DataFrame:
    """`intervals` around the starts and ends of legs that `is_at` marks."""
    at = np.concatenate([driven["start_us"].to_numpy()[is_at[0]], driven["end_us"].to_numpy()[is_at[1]]])
    plate = np.concatenate([driven["plate"].to_numpy(dtype=object)[side] for side in is_at])
    return pd.DataFrame({"plate": plate, "start_us": at - _NEAR_US, "end_us": at + _NEAR_US})


def beside(driven: pd.DataFrame, gaps: pd.DataFrame) -> list[np.ndarray]:
    """Whether a silence is within `REACH_US` before each leg begins, and after it ends: a clock may put it there."""
    sides = []
    for name, back_us, on_us in (("start_us", REACH_US, _NEAR_US), ("end_us", _NEAR_US, REACH_US)):
        at = driven[name].to_numpy()
        near = driven.assign(start_us=at - back_us, end_us=at + on_us)
        sides.append(np.isin(np.arange(len(driven)), overlaps(near, gaps)["left"]))
    return sides

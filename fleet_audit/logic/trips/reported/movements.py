"""Movements of overlapping visit reports that count: several exports of one movement are one movement.

Choosing between rows belongs here; which files are in force is in `ingest.versions`, joining movements in `trips`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.compiled import njit

# Two rows are one movement when they share half of the shorter: RULES section 5 links trips and runs alike.
SAME_MOVEMENT_PCT = 50
# Exports round clocks to the minute, and typed cells lose a second: a shorter difference is not significant.
CLOCK_TOLERANCE_S = 60
FEWEST_COPIES = 3  # movements of one report that another has at another time
_ZONE_STEP_S = 1800  # zones of the earth differ by half hours
_MOST_APART_S = 14 * 3600
KM_ROUNDING = 0.01  # km per movement: reports print two decimals


def counted_movements(rows: pd.DataFrame) -> np.ndarray:
    """Which rows count, as booleans; the others report a movement that a row that counts reports too.

    Args:
        rows: movements with plate, departed_local, arrived_local (wall clock), reported_km, file_sha256, file_name,
            received_at, row_number, and reported_until: the last arrival that the row's file reports of the plate.

    Rows of one plate that share `SAME_MOVEMENT_PCT` of the shorter are one group, and one file answers for the group:
    of those with km, if any has some, the file whose rows reach over the longest time (a movement under way at the
    export is shorter than the complete one); of those, the file that reports furthest (a later export may split a
    movement), one that lacks km of a row last; of files that agree with it, the file that arrived first. Rows of the
    chosen file that leave within one minute are one: the longest counts, of equals, to the minute, one with km.
    Rows that otherwise overlap inside one file all count, for rule T01 to judge.
    """
    counted = np.ones(len(rows), dtype=bool)
    plate = pd.factorize(rows["plate"])[0].astype("int64")
    start, end = (_seconds(rows[name]) for name in ("departed_local", "arrived_local"))
    end = np.maximum(end, start)
    order = np.lexsort((end, start, plate))
    if not _any_overlap(plate[order], start[order], end[order]):
        return counted
    export = pd.factorize(rows["file_sha256"])[0].astype("int64")
    group = np.empty(len(rows), dtype="int64")
    group[order] = _groups(plate[order], start[order], end[order], export[order])
    shared = np.flatnonzero(np.bincount(group)[group] > 1)
    facts = rows.iloc[shared].assign(group=group[shared], start=start[shared], end=end[shared])
    facts = facts.assign(is_without_km=facts["reported_km"].isna())
    counted[shared] = _counted_of_groups(facts)
    return counted


def copied_movements(rows: pd.DataFrame) -> np.ndarray:
    """Which rows another file, that arrived earlier, reports whole half hours apart: an export in another time zone.

    Two files report a vehicle over the same hours, and at least `FEWEST_COPIES` and half of the later file's movements
    have one there with the same km, length and addresses at one and the same distance, and none at their own time. Two
    reports an hour apart were paid as 353 km for 192.

    Args:
        rows: as for `counted_movements`, with origin_address and destination_address.
    """
    facts = pd.DataFrame(
        {
            "plate": rows["plate"].astype(object).to_numpy(),
            "file": pd.factorize(rows["file_sha256"])[0],
            "at": np.arange(len(rows)),
            "start": _seconds(rows["departed_local"]),
            "length": _seconds(rows["arrived_local"]) - _seconds(rows["departed_local"]),
            "km": rows["reported_km"].astype("float64").to_numpy(),
            "origin": rows["origin_address"].astype(object).fillna("").to_numpy(),
            "destination": rows["destination_address"].astype(object).fillna("").to_numpy(),
            "rank": rows.groupby(["received_at", "file_name"], sort=True).ngroup().to_numpy(),
        }
    )
    if facts["file"].nunique() < 2:
        return np.zeros(len(rows), dtype=bool)
    same = ["plate", "km", "length", "origin", "destination"]
    pairs = facts[facts["km"] > 0].merge(facts, on=same, suffixes=("", "_first"))
    pairs = pairs[(pairs["file"] != pairs["file_first"]) & (pairs["rank"] > pairs["rank_first"])]
    pairs["apart"] = pairs["start"] - pairs["start_first"]
    is_on_time = pairs.loc[pairs["apart"].abs() < CLOCK_TOLERANCE_S, "at"]
    is_apart = (pairs["apart"] % _ZONE_STEP_S == 0) & pairs["apart"].abs().between(_ZONE_STEP_S, _MOST_APART_S)
    pairs = pairs[is_apart & ~pairs["at"].isin(is_on_time)]
    keys = ["plate", "file", "file_first", "apart"]
    copies = pairs.groupby(keys)["at"].nunique().rename("copies").reset_index()
    spans = (
        facts.assign(end=facts["start"] + facts["length"])
        .groupby(["plate", "file"])
        .agg(first=("start", "min"), last=("end", "max"), movements=("at", "size"))
    )
    later = spans.reindex(pd.MultiIndex.from_frame(copies[["plate", "file"]])).reset_index(drop=True)
    first = spans.reindex(pd.MultiIndex.from_frame(copies[["plate", "file_first"]])).reset_index(drop=True)
    shared = np.minimum(later["last"], first["last"]) - np.maximum(later["first"], first["first"])
    shorter = np.minimum(later["last"] - later["first"], first["last"] - first["first"])
    is_enough = (copies["copies"] >= FEWEST_COPIES) & (2 * copies["copies"] >= later["movements"])
    found = copies[is_enough & (2 * shared >= shorter)]
    is_copy = np.zeros(len(rows), dtype=bool)
    is_copy[pairs.merge(found[keys], on=keys)["at"].to_numpy()] = True
    return is_copy


def _counted_of_groups(facts: pd.DataFrame) -> np.ndarray:
    chosen = _chosen_exports(facts)
    is_chosen = pd.MultiIndex.from_frame(facts[["group", "file_sha256"]]).isin(pd.MultiIndex.from_frame(chosen))
    keys = facts.assign(at=np.arange(len(facts)), length=facts["end"] - facts["start"])[is_chosen].sort_values(
        ["group", "start", "length", "is_without_km", "row_number"], ascending=[True, True, False, True, True]
    )
    is_repeated = _leaves_again(
        *(keys[name].to_numpy() for name in ("group", "start", "length", "is_without_km")), CLOCK_TOLERANCE_S
    )
    counted = np.zeros(len(facts), dtype=bool)
    counted[keys["at"].to_numpy()[~is_repeated]] = True
    return counted


def _chosen_exports(facts: pd.DataFrame) -> pd.DataFrame:
    """group, file_sha256 of the file that answers for each group."""
    exports = (
        facts.assign(km=facts["reported_km"].astype("float64").fillna(0.0))
        .groupby(["group", "file_sha256"], sort=True)
        .agg(
            start=("start", "min"),
            end=("end", "max"),
            until=("reported_until", "max"),
            movements=("start", "size"),
            km=("km", "sum"),
            lacks_km=("is_without_km", "any"),
            is_without_km=("is_without_km", "all"),
            received_at=("received_at", "min"),
            file_name=("file_name", "min"),
        )
        .reset_index()
    )
    exports = exports[exports["is_without_km"] == exports.groupby("group")["is_without_km"].transform("min")]
    reach = exports["end"] - exports["start"]
    widest = reach.groupby(exports["group"]).transform("max")
    complete = exports[reach >= widest - CLOCK_TOLERANCE_S]
    ordered = complete.sort_values(
        ["group", "lacks_km", "until", "movements", "received_at", "file_name"],
        ascending=[True, True, False, False, True, True],
    )
    best = ordered.groupby("group")[["movements", "km"]].transform("first")
    agrees = (ordered["movements"] == best["movements"]) & (
        (ordered["km"] - best["km"]).abs() <= KM_ROUNDING * best["movements"] + 1e-9
    )
    first = ordered[agrees].sort_values(["group", "received_at", "file_name"], kind="stable")
    return first.drop_duplicates("group")[["group", "file_sha256"]]


def _seconds(wall: pd.Series) -> np.ndarray:
    return wall.to_numpy(dtype="datetime64[us]").astype("int64") // 1_000_000


def _any_overlap(plate: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether any two rows of one plate, sorted by plate and start, may report one movement."""
    reached = pd.Series(end).groupby(plate).cummax().to_numpy()
    reached = np.maximum(reached, start + CLOCK_TOLERANCE_S)
    return bool(((plate[1:] == plate[:-1]) & (start[1:] < reached[:-1])).any())


@njit(cache=True, nogil=True)
def _groups(plate, start, end, export):  # type: ignore[no-untyped-def]
    """The group of each row, sorted by plate and start: rows linked directly or by others have one number."""
    count = len(start)
    parent = np.arange(count)
    for at in range(count):
        for other in range(at + 1, count):
            if plate[other] != plate[at] or start[other] >= max(end[at], start[at] + CLOCK_TOLERANCE_S):
                break
            if _is_same_movement(start[at], end[at], start[other], end[other], export[at] == export[other]):
                first, second = _root(parent, at), _root(parent, other)
                parent[max(first, second)] = min(first, second)
    for at in range(count):
        parent[at] = _root(parent, at)
    return parent


@njit(cache=True, nogil=True, inline="always")
def _is_same_movement(start_a, end_a, start_b, end_b, is_one_export):  # type: ignore[no-untyped-def]
    """Whether two rows of one plate report one movement; a movement lasts at least the clocks' tolerance here."""
    if is_one_export:
        return start_b - start_a < CLOCK_TOLERANCE_S and start_b < max(end_a, start_a + 1)
    end_a, end_b = max(end_a, start_a + CLOCK_TOLERANCE_S), max(end_b, start_b + CLOCK_TOLERANCE_S)
    shared = min(end_a, end_b) - max(start_a, start_b)
    return shared * 100 >= SAME_MOVEMENT_PCT * min(end_a - start_a, end_b - start_b)


@njit(cache=True, nogil=True, inline="always")
def _root(parent, at):  # type: ignore[no-untyped-def]
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@njit(cache=True, nogil=True)
def _leaves_again(group, start, length, is_without_km, tolerance_s):  # type: ignore[no-untyped-def]
    """Which rows, sorted by group and start, leave within the tolerance of a longer row of their group.

    Of rows as long, within the tolerance, one without km leaves again where the other has them.
    """
    repeated = np.zeros(len(start), dtype=np.bool_)
    kept = -1
    for at in range(len(start)):
        # a row that starts after the kept one has ended is a movement of its own, however short both are
        if kept >= 0 and group[kept] == group[at] and start[at] < start[kept] + min(tolerance_s, max(length[kept], 1)):
            longer_s = length[at] - length[kept]
            if abs(longer_s) <= tolerance_s and is_without_km[at] != is_without_km[kept]:
                is_better = is_without_km[kept]
            else:
                is_better = longer_s > 0
            if is_better:
                repeated[kept] = True
                kept = at
            else:
                repeated[at] = True
        else:
            kept = at
    return repeated

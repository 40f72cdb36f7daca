"""Matching of declared runs and measured trips, in groups that are compared as sums.

The day of a run is decided before, in `night_shifts`; what a divergence proves, after, in `rules`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.components import components
from fleet_audit.logic.primitives.cycles import as_days, dates
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.logic.primitives.intervals import intervals, overlaps
from fleet_audit.logic.primitives.money import KM, divide_half_up, from_hundredths, to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.tolerances import allowed_hundredths, tolerances
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import MATCHES
from fleet_audit.schema.frames import ContractsFrame, DeclaredRunsFrame, TripWindowFrame

LOCAL_PURPOSES = ("yard", "deadhead")
_LARGEST_PCT = 9_999_999.99  # greatest value of a percent column; a run of 1,000 km against 0.01 km measured exceeds it


@dataclass(frozen=True)
class Matching:
    """Links between runs and trips, and the compared groups.

    Attributes:
        links: trip_id, declared_run_id, plate, overlap_s (with the run as linked), is_widened; sorted by run and trip.
        groups: `fact.matches` without its trace columns.
    """

    links: pd.DataFrame
    groups: pd.DataFrame


def match(
    trips: TripWindowFrame,
    runs: DeclaredRunsFrame,
    contracts: ContractsFrame,
    parameters: ParameterSet,
    repeats: Collection[str] = (),
    postponed: Collection[str] = (),
    writers: Mapping[str, str] = MappingProxyType({}),
) -> Matching:
    """Links trips and runs of each plate and compares every connected group.

    A run and a trip are linked when they overlap by `match_overlap_pct` of the shorter. A run without a link is widened
    and takes, in order of start, every trip that it then touches and that no run has. Deadhead and yard rows take part
    only when half of them lies inside the run as declared, a yard row in the run that it lies in most; alone they carry
    a run only when they add up to `phantom_km` or the run claims no more than `trip_tolerance_km` beyond them: a bus
    shuffled on the yard has not made a declared run of 30 km. A run whose day is uncertain is linked to no trip that a
    run of an earlier DATA, certain of its day, has. Every run is in exactly one group, every service trip too; other
    undeclared trips are in none. The runs of a group are of one carrier, which is the group's: those of the vehicle's
    carrier are linked first, and those of another take part in what they leave.

    Args:
        trips: `trips.trip_window` or `fact.trips`; a null km_measured makes its group's comparison null.
        runs: declared runs with repaired times and operational_date (`night_shifts.repair_dates`).
        contracts: `ref.contracts`, for the tolerances.
        parameters: those in force on the day.
        repeats: declared_run_id of runs that repeat an earlier one (D08): they are linked, but their km are in no
            group's declared km, so that the same claim is not a divergence as well.
        postponed: trip_id of trips whose group belongs to the day after their own at the earliest
            (`night_shifts.trips_of_next_day`).
        writers: declared_run_id → carrier of runs that another one than the vehicle's wrote (`repeats.writers`).
    """
    trips = trips.sort_values(["plate", "started_at", "trip_id"], kind="stable").reset_index(drop=True)
    trips = trips.assign(
        group_date=as_days(trips["operational_date"]) + trips["trip_id"].isin(list(postponed)).to_numpy()
    )
    runs = runs.sort_values(["plate", "started_at", "declared_run_id"], kind="stable").reset_index(drop=True)
    runs = runs.assign(group_date=as_days(runs["operational_date"]))
    is_repeat = runs["declared_run_id"].isin(list(repeats))
    writer = np.array([writers.get(key, "") for key in runs["declared_run_id"]], dtype=object)
    pairs = _linked_by_writer(trips, runs, writer, parameters)
    links = pd.DataFrame(
        {
            "trip_id": trips["trip_id"].to_numpy()[pairs["trip"]],
            "declared_run_id": runs["declared_run_id"].to_numpy()[pairs["run"]],
            "plate": runs["plate"].to_numpy()[pairs["run"]],
            "overlap_s": pairs["overlap_us"].to_numpy() / 1e6,
            "is_widened": pairs["is_widened"].to_numpy(dtype=bool),
        }
    )
    counted = runs.assign(
        declared_km=runs["declared_km"].where(~is_repeat, 0), writer=runs["carrier_code"].where(~is_repeat)
    )
    return Matching(links, _groups(trips, counted, pairs, contracts, parameters))


def half_overlaps(trips: pd.DataFrame, runs: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Pairs that overlap by at least `match_overlap_pct` of the shorter: trip, run (row numbers), overlap_us.

    Deadhead and yard rows only when that share of themselves lies inside the run.
    """
    left, right = intervals(trips), intervals(runs)
    pairs = overlaps(left, right).rename(columns={"left": "trip", "right": "run"})
    lasting = (left["end_us"] - left["start_us"]).to_numpy()[pairs["trip"]]
    shorter = np.minimum(lasting, (right["end_us"] - right["start_us"]).to_numpy()[pairs["run"]])
    is_local = trips["purpose"].isin(LOCAL_PURPOSES).to_numpy()[pairs["trip"]]
    asked = np.where(is_local, lasting, shorter)
    return pairs[pairs["overlap_us"] * 100 >= parameters.match_overlap_pct * asked].reset_index(drop=True)


def _linked_by_writer(
    trips: pd.DataFrame, runs: pd.DataFrame, writer: np.ndarray, parameters: ParameterSet
) -> pd.DataFrame:
    """`_linked` of the runs of each writer, "" first, with the trips that no writer before it has.

    At the change of a shift all buses drive: a run that another carrier wrote with a wrong plate overlapped the trip of
    that bus, and the sum of both runs accused its own carrier of twice the km (D01).
    """
    overlapping, found = half_overlaps(trips, runs, parameters), []
    taken: set[int] = set()
    for name in sorted(set(writer)) or [""]:
        is_asked = writer == name
        pairs = overlapping[is_asked[overlapping["run"]] & ~overlapping["trip"].isin(taken)]
        found.append(_linked(pairs, trips, runs, is_asked, taken, parameters))
        taken |= set(found[-1]["trip"])
    return pd.concat(found).sort_values(["run", "trip"]).reset_index(drop=True)


def _linked(
    pairs: pd.DataFrame,
    trips: pd.DataFrame,
    runs: pd.DataFrame,
    is_asked: np.ndarray,
    taken: set[int],
    parameters: ParameterSet,
) -> pd.DataFrame:
    """trip, run (row numbers), overlap_us, is_widened of the asked runs; `pairs` are their `half_overlaps`."""
    pairs = _certain_first(pairs, runs).assign(is_widened=False)
    purpose = trips["purpose"].to_numpy(dtype=object)[pairs["trip"]]
    carrying = pairs[~np.isin(purpose, LOCAL_PURPOSES)]
    yards = pairs[purpose == "yard"].sort_values(["trip", "overlap_us", "run"], ascending=[True, False, True])
    local = pd.concat([pairs[purpose == "deadhead"], yards.drop_duplicates("trip")])
    alone = _moves_enough(local[~local["run"].isin(carrying["run"])], trips, runs, parameters)
    has_link = np.isin(np.arange(len(runs)), np.concatenate([carrying["run"], alone]))
    widened = _widened(trips, runs, is_asked & ~has_link, taken | set(carrying["trip"]), parameters)
    local = local[has_link[local["run"]] | local["run"].isin(widened["run"])]
    return pd.concat([carrying, local, widened])


def _certain_first(pairs: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The pairs without those of an uncertain night run whose trip has a run of an earlier DATA, certain of its day.

    One that was moved there has no trip that a certain run has.
    """
    is_uncertain = runs["is_day_uncertain"].to_numpy(dtype=bool)[pairs["run"]]
    is_moved = runs["is_date_repaired"].to_numpy(dtype=bool)[pairs["run"]]
    written = pd.Series(as_days(runs["declared_date"])[pairs["run"]], index=pairs.index)
    earliest = written[~is_uncertain].groupby(pairs["trip"][~is_uncertain]).min().reindex(pairs["trip"]).to_numpy()
    is_taken = (earliest < written.to_numpy()) | (is_moved & ~np.isnat(earliest))
    return pairs[~(is_uncertain & is_taken)]


def _moves_enough(local: pd.DataFrame, trips: pd.DataFrame, runs: pd.DataFrame, parameters: ParameterSet) -> np.ndarray:
    """Runs (row numbers) that their deadhead and yard rows alone can explain; unknown km count as enough."""
    km = trips["km_measured"].to_numpy(dtype="float64", na_value=np.nan)[local["trip"]]
    sums = pd.Series(km).groupby(local["run"].to_numpy()).sum(skipna=False)
    claimed = runs["declared_km"].to_numpy(dtype="float64", na_value=np.nan)[sums.index]
    is_idle = (sums < parameters.phantom_km) & (claimed - sums > parameters.trip_tolerance_km)
    return sums.index[~is_idle].to_numpy(dtype="int64")


def _widened(
    trips: pd.DataFrame, runs: pd.DataFrame, is_unlinked: np.ndarray, taken: set[int], parameters: ParameterSet
) -> pd.DataFrame:
    """Trips that unlinked runs touch when widened; each free trip goes to the first of them by start, then id.

    `runs` are in that order within a plate, so the first row number wins.
    """
    wide = intervals(runs)
    lasting = wide["end_us"] - wide["start_us"]
    is_short = lasting < parameters.match_widen_s * 1e6
    margin = np.where(is_short, parameters.match_widen_short_s, parameters.match_widen_s) * 1e6
    wide["start_us"] -= margin.astype("int64")
    wide["end_us"] += margin.astype("int64")
    numbers = np.flatnonzero(is_unlinked)
    pairs = overlaps(intervals(trips), wide.iloc[numbers].reset_index(drop=True)).rename(columns={"left": "trip"})
    pairs["run"] = numbers[pairs.pop("right")]
    is_local = trips["purpose"].isin(LOCAL_PURPOSES).to_numpy()[pairs["trip"]]
    free = pairs[~is_local & ~pairs["trip"].isin(taken)].sort_values(["trip", "run"])
    return free.drop_duplicates("trip").assign(is_widened=True)


def _groups(
    trips: pd.DataFrame, runs: pd.DataFrame, pairs: pd.DataFrame, contracts: pd.DataFrame, parameters: ParameterSet
) -> pd.DataFrame:
    members = _members(trips, runs, pairs)
    by_group = members.groupby("group", sort=True)
    table = by_group.agg(
        plate=("plate", "first"),
        carrier_code=("carrier_code", "first"),
        writer=("writer", "first"),
        unit_code=("unit_code", "first"),
        contract_id=("contract_id", "first"),
        day=("day", "max"),
        runs=("is_run", "sum"),
        members=("is_run", "size"),
        declared=("declared", "sum"),
        measured=("measured", "sum"),
        is_unknown=("is_unknown", "any"),
    )
    table["carrier_code"] = table["writer"].where(table["writer"].notna(), table["carrier_code"])
    table["trip_ids"] = _ids_of_groups(members[~members["is_run"]], table.index)
    # those that repeat another, perhaps another carrier's, come last: findings are about the first
    of_runs = members[members["is_run"]]
    of_runs = of_runs.iloc[np.argsort(of_runs["writer"].isna().to_numpy(), kind="stable")]
    table["declared_run_ids"] = _ids_of_groups(of_runs, table.index)
    table["match_id"] = [
        stable_id("match", *sorted(trip_ids), "|", *sorted(run_ids))
        for trip_ids, run_ids in zip(table["trip_ids"], table["declared_run_ids"], strict=True)
    ]
    table["operational_date"] = dates(table["day"].to_numpy().astype("datetime64[D]"))
    return conform(_compared(table.reset_index(drop=True), contracts, parameters), MATCHES.untraced)


def _ids_of_groups(members: pd.DataFrame, groups: pd.Index) -> list[list[str]]:
    """The ids of each group's members in their order; a group of which there is none has an empty list."""
    ordered = members.sort_values("group", kind="stable")
    ids, of_group = ordered["id"].tolist(), ordered["group"].to_numpy()
    first, end = (np.searchsorted(of_group, groups.to_numpy(), side=side) for side in ("left", "right"))
    return [ids[start:stop] for start, stop in zip(first, end, strict=True)]


def _members(trips: pd.DataFrame, runs: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row per trip or run of a group, trips first, each kind in order of start."""
    label = components(len(trips) + len(runs), pairs["trip"].to_numpy(), pairs["run"].to_numpy() + len(trips))
    is_member = np.isin(np.arange(len(trips)), pairs["trip"]) | (trips["purpose"] == "service").to_numpy(dtype=bool)
    both = [
        pd.DataFrame(
            {
                "id": frame[name].to_numpy(dtype=object),
                "is_run": name == "declared_run_id",
                **{
                    text: frame[text].to_numpy(dtype=object) if text in frame else None
                    for text in ("plate", "carrier_code", "writer", "unit_code", "contract_id")
                },
                "day": as_days(frame["group_date"]).astype("int64"),
                "declared": to_hundredths(frame["declared_km"]) if "declared_km" in frame else 0,
                "measured": to_hundredths(frame["km_measured"]) if "km_measured" in frame else 0,
                "is_unknown": frame["km_measured"].isna().to_numpy(dtype=bool) if "km_measured" in frame else False,
            }
        )
        for frame, name in ((trips, "trip_id"), (runs, "declared_run_id"))
    ]
    members = pd.concat(both, ignore_index=True).assign(group=label)
    return members[np.concatenate([is_member, np.ones(len(runs), dtype=bool)])]


def _compared(table: pd.DataFrame, contracts: pd.DataFrame, parameters: ParameterSet) -> pd.DataFrame:
    """Kind, sums, difference and whether it is above the tolerance; null where one side is not known."""
    trips, runs = table["members"] - table["runs"], table["runs"]
    kind = np.select(
        [runs == 0, trips == 0, (trips == 1) & (runs == 1), runs == 1, trips == 1],
        ["measured_only", "declared_only", "one_to_one", "merged", "split"],
        "many",
    )
    declared, measured = table["declared"].to_numpy(), table["measured"].to_numpy()
    is_open = ((runs == 0) | (trips == 0) | table["is_unknown"]).to_numpy(dtype=bool)
    difference = declared - measured
    has_pct = ~is_open & (measured > 0)
    pct = divide_half_up(difference * 10_000, np.where(has_pct, measured, 1)) / 100
    limits = tolerances(table["contract_id"], table["day"].to_numpy().astype("datetime64[D]"), contracts, parameters)
    allowed = allowed_hundredths(
        measured, limits["trip_tolerance_pct"].to_numpy(), limits["trip_tolerance_km"].to_numpy()
    )
    return table.assign(
        kind=kind,
        declared_km=from_hundredths(declared, KM, table.index, (runs == 0).to_numpy(dtype=bool)),
        measured_km=from_hundredths(
            measured, KM, table.index, ((trips == 0) | table["is_unknown"]).to_numpy(dtype=bool)
        ),
        difference_km=from_hundredths(difference, KM, table.index, is_open),
        difference_pct=pd.Series(np.clip(pct, -100, _LARGEST_PCT), index=table.index).where(has_pct),
        is_exceeding=pd.Series(np.abs(difference) > allowed, index=table.index, dtype="boolean").where(~is_open),
    )

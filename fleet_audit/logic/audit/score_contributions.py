"""What the score of a fleet, unit, carrier or vehicle is made of: the start, each rule's deduction, floor and rounding.

The scores of single trips, and which rules take points, are in `scoring`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.scoring import FLOOR, START
from fleet_audit.logic.primitives.money import KM, divide_half_up, from_hundredths, to_hundredths

ROUNDING = "rounding"


def score_contributions(trips: pd.DataFrame, trip_scores: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per party and entry: the columns of `by`, entry, points, trips.

    A party's score is the km-weighted mean of its trips' scores, half-up to 0.01, and its points sum exactly to it:
    `start` is 100; a rule's points are the km-weighted mean of what it deducts, half-up to 0.01, so that a further
    finding lowers its own rule's row and raises no other; `floor` gives back what would fall below 0 on a trip;
    `rounding` is what rounding each row leaves, where it leaves anything. `trips` counts the trips of an entry. Parties
    without a scored trip have no row. In order of `by`, then start, rules by number, floor, rounding.

    Args:
        trips: trip_id, km_measured and the columns of `by`, of which a missing one is a party of its own.
        trip_scores: trip_id, contributions (`fact.trip_scores`).
        by: columns that name the party; none for the whole fleet.
    """
    scored = trips[trips["km_measured"].notna()].merge(trip_scores[["trip_id", "contributions"]], on="trip_id")
    scored = scored[scored["contributions"].notna() & (scored["km_measured"] > 0)].reset_index(drop=True)
    party, names = _parties(scored, by)
    km = to_hundredths(scored["km_measured"])
    entries = _entries(scored["contributions"])
    rows = pd.DataFrame(
        {
            "party": party[entries["row"]],
            "entry": entries["entry"].to_numpy(),
            "row": entries["row"],
            "weighted": km[entries["row"]] * entries["points"].to_numpy(),
        }
    )
    sums = rows.groupby(["party", "entry"], sort=True).agg(weighted=("weighted", "sum"), trips=("row", "nunique"))
    sums = sums.reset_index()
    km_of_party = np.bincount(party, weights=km, minlength=len(names)).astype(np.int64)
    sums["points"] = divide_half_up(sums["weighted"].to_numpy(), km_of_party[sums["party"]])
    table = _in_order(pd.concat([sums.drop(columns="weighted"), _rounding(sums, km_of_party)], ignore_index=True))
    found = names.iloc[table["party"]].reset_index(drop=True)
    return found.assign(
        entry=table["entry"].to_numpy(dtype=object),
        points=from_hundredths(table["points"].to_numpy(), KM, found.index),
        trips=table["trips"].to_numpy(dtype="int64"),
    )


def _parties(scored: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """The number of each trip's party, and the parties in order of their names, missing ones last."""
    if not by:
        return np.zeros(len(scored), dtype=np.int64), pd.DataFrame(index=pd.RangeIndex(1))
    groups = scored.groupby(list(by), sort=True, dropna=False)
    return groups.ngroup().to_numpy(dtype=np.int64), groups.size().reset_index()[list(by)]


def _entries(contributions: pd.Series) -> pd.DataFrame:
    """row, entry, points (hundredths): the flat JSON objects as rows, findings by the number of their rule.

    Each distinct text is read once: most trips of a fleet have the start alone.
    """
    codes, texts = pd.factorize(contributions.astype(object))
    read = [
        (code, name.partition(":")[0], round(100 * points))
        for code, text in enumerate(texts)
        for name, points in json.loads(text).items()
    ]
    of_text = pd.DataFrame(read, columns=["code", "entry", "points"]).astype({"code": "int64", "points": "int64"})
    return pd.DataFrame({"row": np.arange(len(codes)), "code": codes}).merge(of_text, on="code")


def _rounding(sums: pd.DataFrame, km_of_party: np.ndarray) -> pd.DataFrame:
    """The rows `rounding`: the rounded score less the rounded rows, where they differ."""
    of_party = sums.groupby("party")[["weighted", "points"]].sum()
    rest = divide_half_up(of_party["weighted"].to_numpy(), km_of_party[of_party.index]) - of_party["points"].to_numpy()
    rows = pd.DataFrame({"party": of_party.index, "entry": ROUNDING, "points": rest, "trips": 0})
    return rows[rows["points"] != 0]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    place = table["entry"].map({START: 0, FLOOR: 2, ROUNDING: 3}).fillna(1)
    return table.assign(place=place).sort_values(["party", "place", "entry"], ignore_index=True)

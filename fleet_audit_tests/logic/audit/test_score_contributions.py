"""Scores of parties: their rows sum exactly to the km-weighted mean, and a further finding raises none of them."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.score_contributions import score_contributions
from fleet_audit.logic.primitives.money import KM

CENT = Decimal("0.01")


def fleet(*trips: tuple[str | None, str | None, dict[str, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trips of (carrier, km, deductions by entry) with their scores; the floor is added as `scoring` does."""
    ids = [f"T{number}" for number in range(len(trips))]
    rows = pd.DataFrame({"trip_id": ids, "carrier_code": [carrier for carrier, _, _ in trips]}, dtype="str")
    rows["km_measured"] = pd.Series([None if km is None else Decimal(km) for _, km, _ in trips], dtype=KM)
    texts = []
    for _, _, deductions in trips:
        total = 100 + sum(deductions.values())
        floor = {"floor": -total} if total < 0 else {}
        texts.append(json.dumps({"start": 100.0, **deductions, **floor}))
    return rows, pd.DataFrame({"trip_id": ids, "contributions": pd.Series(texts, dtype="str")})


def points(trips: pd.DataFrame, scores: pd.DataFrame, by: tuple[str, ...] = ("carrier_code",)) -> dict:
    found = score_contributions(trips, scores, by)
    keys = (
        found["carrier_code"].astype(object).where(found["carrier_code"].notna(), None) if by else ["all"] * len(found)
    )
    table: dict = {}
    for key, entry, value in zip(keys, found["entry"], found["points"], strict=True):
        table.setdefault(key, {})[entry] = value
    return table


def test_a_rule_takes_the_share_of_the_km_that_it_concerns() -> None:
    trips, scores = fleet(
        ("UM", "30.00", {"D01:a": -20.0, "T03:b": -8.0}), ("UM", "10.00", {}), ("DOIS", "5.00", {"D01:c": -20.0})
    )
    assert points(trips, scores) == {
        "UM": {"start": 100, "D01": Decimal("-15.00"), "T03": Decimal("-6.00")},
        "DOIS": {"start": 100, "D01": Decimal("-20.00")},
    }
    assert points(trips, scores, ())["all"] == {
        "start": 100, "D01": Decimal("-15.56"), "T03": Decimal("-5.33"),
    }  # fmt: skip
    counted = score_contributions(trips, scores, ())
    assert dict(zip(counted["entry"], counted["trips"], strict=True)) == {"start": 3, "D01": 2, "T03": 1}


def test_what_rounding_leaves_and_what_the_floor_gives_back_are_rows_of_their_own() -> None:
    thirds = fleet(("UM", "1.00", {"D01:a": -10.0}), ("UM", "1.00", {"T03:b": -10.0}), ("UM", "1.00", {"G06:c": -10.0}))
    assert points(*thirds)["UM"] == {
        "start": 100, "D01": Decimal("-3.33"), "G06": Decimal("-3.33"), "T03": Decimal("-3.33"),
        "rounding": Decimal("-0.01"),
    }  # fmt: skip
    fallen = fleet(("UM", "7.00", {"D01:a": -80.0, "O01:b": -40.0}))
    assert points(*fallen)["UM"] == {"start": 100, "D01": -80, "O01": -40, "floor": 20}


def test_trips_without_km_and_parties_without_trips_have_no_row() -> None:
    trips, scores = fleet(("UM", None, {"D01:a": -20.0}), (None, "4.00", {}))
    assert points(trips, scores) == {None: {"start": 100}}
    assert score_contributions(trips[:0], scores[:0], ["carrier_code"]).empty
    assert score_contributions(trips[:0], scores[:0], []).empty


_RULES = st.dictionaries(
    st.sampled_from(["D01:a", "D01:b", "T03:c", "O01:d", "G06:e"]),
    st.integers(0, 4000).map(lambda value: -value / 100),
    max_size=4,
)
_KM = st.integers(1, 30_000).map(lambda value: f"{value / 100:.2f}")
_TRIPS = st.lists(st.tuples(st.sampled_from(["UM", "DOIS"]), _KM, _RULES), min_size=1, max_size=8)


@settings(max_examples=60)
@given(_TRIPS, st.integers(1, 4000), st.data())
def test_rows_sum_exactly_to_the_score_and_a_further_finding_raises_none(rows, deduction, data) -> None:
    found = points(*fleet(*rows))
    for carrier, entries in found.items():
        own = [(Decimal(km), max(Decimal(0), 100 + sum((Decimal(str(part)) for part in parts.values()), Decimal(0))))
               for code, km, parts in rows if code == carrier]  # fmt: skip
        mean = sum(km * score for km, score in own) / sum(km for km, _ in own)
        assert sum(entries.values()) == mean.quantize(CENT, ROUND_HALF_UP)
    at = data.draw(st.integers(0, len(rows) - 1))
    code, km, parts = rows[at]
    worse = points(*fleet(*rows[:at], (code, km, {**parts, "S09:new": -deduction / 100}), *rows[at + 1 :]))
    for carrier, entries in worse.items():
        assert sum(entries.values()) <= sum(found[carrier].values())
        for entry, value in entries.items():
            if entry not in ("floor", "rounding", "S09"):
                assert value == found[carrier][entry]  # only its own row and the floor move
        if carrier != code:
            assert entries == found[carrier]  # and nobody else's

"""The sample of a cycle's trips, and what comes back of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.review_samples import review_sample
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts, reference
from fleet_audit_tests.logic.frames import rows

CYCLE = cycle_of(dt.date(2025, 5, 16), 16)
_TRIPS = [
    {
        "trip_id": f"t{number:03d}", "operational_date": CYCLE.start + dt.timedelta(days=number % 20),
        "plate": f"AAA{number % 7}A11", "carrier_code": "UM", "unit_code": "U",
        "started_at": pd.Timestamp("2025-05-16T10:00Z") + pd.Timedelta(minutes=number),
    }
    for number in range(200)
]  # fmt: skip
_COSTS = [
    {
        "trip_id": trip["trip_id"], "operational_date": trip["operational_date"], "contract_id": "CT-1",
        "billable_km": "2000.00" if number == 5 else "10.00", "rate_brl_per_km": "5",
        "variable_cost_brl": None if number == 9 else "10000.00" if number == 5 else "50.00",
        "cost_status": "no_tariff" if number == 9 else "priced",
    }
    for number, trip in enumerate(_TRIPS)
]  # fmt: skip
TRIPS, COSTS = rows(facts.TRIPS, *_TRIPS), rows(facts.TRIP_COSTS, *_COSTS)


def sampled(*reviews: dict, trips: pd.DataFrame = TRIPS):
    found = rows(reference.SAMPLE_REVIEWS, *({"cycle_start": CYCLE.start, "reviewer": "R", **one} for one in reviews))
    return review_sample(CYCLE, trips, COSTS, found, DEFAULT_PARAMETERS, b"key")


def test_the_population_is_what_was_paid_and_the_dear_trip_is_always_in_the_sample():
    made = sampled()
    (summary,) = made.estimates.to_dict("records")
    assert (summary["population_trips"], summary["population_brl"]) == (199, Decimal("19900.00"))
    assert (summary["materiality_brl"], summary["interval_brl"]) == (Decimal("398.00"), Decimal("132.85"))
    assert made.trips.set_index("trip_id").loc["t005", ["is_certain", "selections"]].tolist()[0]
    assert "t009" not in set(made.trips["trip_id"])
    selected = made.trips["selections"].sum()
    assert selected in (149, 150)  # 19,900.00 / 132.85
    assert 70 <= summary["sampled_trips"] <= 80


def test_the_same_cycle_gives_the_same_sample_in_any_order_of_rows():
    again = sampled(trips=TRIPS.sample(frac=1, random_state=3).reset_index(drop=True))
    pd.testing.assert_frame_equal(again.trips, sampled().trips)


def test_nothing_is_estimated_before_the_whole_sample_is_reviewed():
    made = sampled({"trip_id": "t005", "audited_brl": "9000.00"}, {"trip_id": "elsewhere", "audited_km": "1"})
    (summary,) = made.estimates.to_dict("records")
    assert (summary["reviewed_trips"], summary["other_reviews"]) == (1, 1)
    assert pd.isna(summary["upper_limit_brl"])
    assert pd.isna(summary["is_tolerated"])
    assert made.trips.set_index("trip_id").loc["t005", "error_brl"] == Decimal("1000.00")


def test_a_reviewed_sample_bounds_the_overpayment_of_the_cycle():
    """The dear trip was R$ 1,000.00 too dear, one of R$ 50.00 by 4 of its 10 km; all others were right."""
    reviews = [{"trip_id": key, "audited_km": "10.00"} for key in sampled().trips["trip_id"] if key != "t005"]
    reviews[0]["audited_km"] = "6.00"
    made = sampled({"trip_id": "t005", "audited_brl": "9000.00"}, *reviews)
    (summary,) = made.estimates.to_dict("records")
    assert summary["overpaid_brl"] == Decimal("1053.14")  # 1,000.00 + 132.85 x 40 %
    assert summary["underpaid_brl"] == 0
    limit = Decimal("1000.00") + Decimal("132.85") * (Decimal("2.9957") + Decimal("0.4") * Decimal("1.7481"))
    assert float(summary["upper_limit_brl"]) == pytest.approx(float(limit), abs=0.05)
    assert not summary["is_tolerated"]


def test_a_cycle_that_paid_nothing_has_an_empty_sample():
    made = review_sample(CYCLE, TRIPS[:0], COSTS[:0], rows(reference.SAMPLE_REVIEWS), DEFAULT_PARAMETERS, b"key")
    assert made.trips.empty
    assert made.estimates["population_brl"].to_list() == [Decimal("0.00")]

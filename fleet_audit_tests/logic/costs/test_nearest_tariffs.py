"""Estimates of km without a price, each computed by hand: the nearest contract, then its nearest tariff."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit.logic.costs.nearest_tariffs import price_estimates
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit_tests.logic.audit_sample import PLATE, costs_frame, trip, trips_frame
from fleet_audit_tests.logic.frames import rows

MAY_31, JUNE_9, JUNE_11, JUNE_20 = (dt.date(2025, *day) for day in ((5, 31), (6, 9), (6, 11), (6, 20)))
OF_OLD = ("OLD", "TO", Decimal("240.00"), Decimal("240.00"))
OF_NEW = ("NEW", "TN", Decimal("288.00"), Decimal("288.00"))


def contract(name: str, start: dt.date | None = None, end: dt.date | None = None) -> dict:
    return {"contract_id": name, "carrier_code": "CONLOG", "unit_code": "UCP", "valid_from": start, "valid_to": end}


def vehicle(name: str, start: dt.date | None = None, end: dt.date | None = None) -> dict:
    return {"plate": PLATE, "contract_id": name, "vehicle_class": "onibus", "valid_from": start, "valid_to": end}


def tariff(name: str, of: str, rate: str, **keys: object) -> dict:
    return {"tariff_id": name, "contract_id": of, "rate_brl_per_km": rate, **keys}


def estimated(status: str, tables: dict[str, list[dict]], **cost: object) -> tuple | None:
    """Contract, tariffs, lowest and highest BRL of a bus's 48 km on 10/06/2025 in the industrial area."""
    billed = None if status == "no_contract" else "48.00"
    costs = {"trip_id": "T", "cost_status": status, "billable_km": billed, "vehicle_class": "onibus",
             "billing_area": "IND", "rate_brl_per_km": None, **cost}  # fmt: skip
    known = {name: rows(getattr(reference, name.upper()), *records) for name, records in tables.items()}
    trips = trips_frame(trip("T", "06:00", "07:00", "48.00", route_code="R1", route_method="places"))
    found = price_estimates(trips, costs_frame(costs), Reference.of(known))
    names = ["contract_id", "tariff_ids", "low_brl", "high_brl"]
    return None if found.empty else tuple(found[names].iloc[0])


@pytest.mark.parametrize(
    ("contracts", "expected"),
    [
        ([contract("OLD", None, JUNE_9)], OF_OLD),
        ([contract("OLD", None, MAY_31), contract("NEW", JUNE_11)], OF_OLD),
        ([contract("NEW", JUNE_11)], OF_NEW),
        ([], None),
    ],
    ids=["ended the day before", "the last goes before the next", "only a next one", "none at all"],
)
def test_without_a_contract_the_vehicle_s_last_one_counts_else_its_next(contracts: list[dict], expected: tuple) -> None:
    tariffs = [tariff("TO", "OLD", "5.00"), tariff("TN", "NEW", "6.00")]
    tables = {"contracts": contracts, "tariffs": tariffs, "vehicles": [vehicle("OLD"), vehicle("NEW")]}
    assert estimated("no_contract", tables, contract_id=None) == expected


def test_the_last_contract_s_tariff_is_that_of_its_last_day() -> None:
    tables = {
        "contracts": [contract("OLD", None, MAY_31)],
        "vehicles": [vehicle("OLD")],
        "tariffs": [tariff("A", "OLD", "5.00", valid_to=MAY_31), tariff("B", "OLD", "7.00", valid_from=JUNE_9)],
    }
    assert estimated("no_contract", tables, contract_id=None) == ("OLD", "A", Decimal("240.00"), Decimal("240.00"))


@pytest.mark.parametrize(
    ("tariffs", "expected"),
    [
        ([tariff("A", "CT1", "5.00", vehicle_class="onibus", area="IND"),
          tariff("R", "CT1", "9.00", vehicle_class="onibus", route_code="R1")], ("A, R", "240.00", "432.00")),
        ([tariff("V", "CT1", "4.00", vehicle_class="van", area="AGR"),
          tariff("M", "CT1", "5.00", vehicle_class="micro", area="IND")], ("M", "240.00", "240.00")),
        ([tariff("P", "CT1", "5.00", vehicle_class="onibus", valid_to=JUNE_9),
          tariff("N", "CT1", "6.00", vehicle_class="onibus", valid_from=JUNE_11)], ("P", "240.00", "240.00")),
        ([tariff("N", "CT1", "6.00", vehicle_class="onibus", valid_from=JUNE_20),
          tariff("M", "CT1", "5.00", vehicle_class="micro")], ("N", "288.00", "288.00")),
    ],
    ids=["tied: lowest to highest", "most matching keys", "the one before goes before the one after",
         "a key goes before a day"],
)  # fmt: skip
def test_a_contract_s_nearest_tariff(tariffs: list[dict], expected: tuple[str, str, str]) -> None:
    status = "ambiguous_tariff" if expected[0] == "A, R" else "no_tariff"
    names, low, high = expected
    assert estimated(status, {"tariffs": tariffs}) == ("CT1", names, Decimal(low), Decimal(high))


def test_a_contract_without_tariffs_and_a_trip_with_a_price_have_no_estimate() -> None:
    assert estimated("no_tariff", {"tariffs": [tariff("X", "OTHER", "5.00")]}) is None
    assert estimated("priced", {"tariffs": [tariff("X", "CT1", "5.00")]}) is None

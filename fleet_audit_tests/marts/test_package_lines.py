"""The measurement package as a mart: the same lines as the package itself, to the cent, whatever the cycle holds."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.costs.billing_lines import CycleDays, billing_lines
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.reporting.documents.package import build_package
from fleet_audit.reporting.package_model import SHEETS
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.schema import facts, reference
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.reporting.sample import GENERATED_AT, build, fleet

D = Decimal
CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
_TABLES = {
    entry.name: entry
    for entry in (
        facts.TRIPS, facts.TRIP_COSTS, facts.FIXED_COST_DAYS, reference.UNITS, reference.CARRIERS, reference.VEHICLES,
        reference.ROUTES, reference.CONTRACTS, reference.FIXED_COSTS,
    )
}  # fmt: skip


def _mixed(seed: int) -> Frames:
    """A fleet over four days with everything that decides a line: areas, regimes, rates, gaps, a vehicle handed on."""
    chance = random.Random(seed)
    frames = fleet(12, days=4, seed=seed, first=CYCLE.start)
    trips, costs, vehicles = frames.trips, frames.trip_costs, frames.vehicles

    def some(length: int, *choices: object) -> pd.Series:
        return pd.Series([chance.choice(choices) for _ in range(length)], dtype="object")

    count, plates = len(trips), list(vehicles["plate"])
    trips = trips.assign(
        contract_id="not the one that priced",
    )
    rates = some(count, D("4.9000"), D("5.1234"), None)
    paid = pd.Series([None if rate is None else D("0.01") * chance.randrange(1, 90_000) for rate in rates])
    costs = costs.assign(
        rate_brl_per_km=rates.astype(costs["rate_brl_per_km"].dtype),
        variable_cost_brl=paid.astype(costs["variable_cost_brl"].dtype),
        billing_area=some(count, "AGR", "IND", "IND").astype("str"),
        regime=some(count, "municipal", "intermunicipal", None).astype("str"),
        billable_km=costs["billable_km"].mask(costs["billable_km"] > 30, D("30.00")),  # lines with equal km
    )
    without = set(plates[:3])  # owed a fixed share: one seen, one silent, one with trips but no price
    gone = trips["plate"].isin(without - {plates[2]})
    costs = costs.assign(
        variable_cost_brl=costs["variable_cost_brl"].mask(trips["plate"] == plates[2], None),
    )[~gone]
    coverage = frames.coverage.assign(
        status=frames.coverage["status"].mask(frames.coverage["plate"] == plates[1], "silent")
    )
    handed = CYCLE.start + dt.timedelta(days=2)
    moved = vehicles["plate"].isin(plates[4:6])
    later = vehicles[moved].assign(
        valid_from=handed, contract_id="CT-3", carrier_code="RODA", vehicle_class="van", fleet_number="9"
    )
    vehicles = vehicles.assign(
        valid_to=vehicles["valid_to"].mask(moved, handed - dt.timedelta(days=1)),
        default_area=some(len(vehicles), "AGR", "IND", None).astype("str"),
    )
    own = frames.fixed_cost_days
    under_new = own["plate"].isin(plates[4:6]) & (own["operational_date"] >= handed)
    stranger = build(
        facts.FIXED_COST_DAYS,
        [{"operational_date": CYCLE.start, "plate": "ZZZ9Z99", "contract_id": "CT-1", "amount_brl": D("77.77"),
          "parameters_version": "p"}],
    )  # fmt: skip
    return replace(
        frames,
        trips=trips[~gone],
        trip_costs=costs,
        coverage=coverage,
        vehicles=pd.concat([vehicles, later], ignore_index=True),
        fixed_cost_days=pd.concat(
            [own.assign(contract_id=own["contract_id"].mask(under_new, "CT-3")), stranger], ignore_index=True
        ),
    )


@pytest.fixture
def bill(postgres_url: str) -> Callable[[], pd.DataFrame]:
    """Writes the lines of the cycle from what the warehouse holds, as the pipeline does, and returns them."""

    def write() -> pd.DataFrame:
        warehouse = Warehouse(postgres_url)
        tables = (facts.TRIPS, facts.TRIP_COSTS, facts.FIXED_COST_DAYS, facts.COVERAGE)
        days = CycleDays(*(warehouse.read_table(table) for table in tables))
        known = Reference.of({entry.name: warehouse.read_table(entry) for entry in reference.TABLES})
        lines = billing_lines(days, known, CYCLE)
        warehouse.replace_partition(facts.BILLING_LINES, [CYCLE.start], lines, "run")
        return lines

    return write


@pytest.mark.parametrize("seed", [1, 2])
def test_bi_and_the_package_bill_the_same_lines(seed, postgres_url, fill, run, query, bill):
    made = _mixed(seed)
    for name, entry in _TABLES.items():
        fill(entry.full_name, *records(getattr(made, name)))
    fill(facts.COVERAGE.full_name, *records(made.coverage))
    written = bill()
    run(CYCLE.start, CYCLE.start + dt.timedelta(days=3))
    published = query("select * from mart.package_lines")
    owner = ("unit_code", "carrier_code", "contract_id", "plate")
    assert len({tuple(row[name] for name in owner) for row in published}) < len(published) > 20

    warehouse = Warehouse(postgres_url)
    frames = Frames(
        **{name: warehouse.read_table(entry) for name, entry in _TABLES.items()},
        coverage=warehouse.read_table(facts.COVERAGE),
        billing_lines=written,
    )
    package = build_package(frames, cycle=CYCLE, generated_at=GENERATED_AT)
    amounts = (
        "plate",
        "fleet_number",
        "km",
        "rate_brl_per_km",
        "variable_brl",
        "monthly_brl",
        "fixed_brl",
        "total_brl",
    )
    for area, sheet in SHEETS.items():
        grid = package.sheet(sheet).grid
        printed = zip(*(grid.column(name) for name in amounts), strict=True)
        own = [tuple(row[name] for name in amounts) for row in published if row["area"] == area]
        assert sorted(own, key=str) == sorted(printed, key=str)
    assert {row["line_status"] for row in published} == {"billed", "nothing_billed", "unpriced", "no_data"}
    assert sum(row["total_brl"] for row in published) == sum(made.trip_costs["variable_cost_brl"].dropna(), D(0)) + sum(
        made.fixed_cost_days["amount_brl"]
    )
    by_day = query("select plate, area, sum(km) as km, sum(variable_brl) as brl from mart.package_days group by 1, 2")
    by_line = query(
        "select plate, area, sum(km) as km, sum(variable_brl) as brl from mart.package_lines "
        "where line_status = 'billed' group by 1, 2"
    )
    assert sorted(map(str, by_day)) == sorted(map(str, by_line))


def test_a_trip_that_costs_more_after_a_second_run_is_billed_once_and_anew(fill, run, query, bill):
    key = {"unit_code": "U1", "carrier_code": "C1"}
    fill("ref.vehicles", {**key, "plate": "A"})
    for trip, day in (("a", CYCLE.start), ("b", CYCLE.start + dt.timedelta(days=5))):
        fill("fact.trips", {**key, "trip_id": trip, "plate": "A", "operational_date": day, "area": "AGR"})
        fill("fact.trip_costs", {"trip_id": trip, "operational_date": day, "billable_km": D("10.00"),
                                 "billing_area": "AGR", "rate_brl_per_km": D("5.0000"),
                                 "variable_cost_brl": D("50.00")})  # fmt: skip
    bill()
    run(CYCLE.start, CYCLE.end)
    query("update fact.trip_costs set billable_km = 12, variable_cost_brl = 60 where trip_id = 'b'")
    bill()
    assert [(row["trips"], row["km"], row["total_brl"]) for row in query("select * from mart.package_lines")] == [
        (2, 22, 110)
    ]

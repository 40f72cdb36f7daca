"""The measurement package as a mart: the same lines as the package itself, to the cent, whatever the cycle holds."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.documents.package import SHEETS, build_package
from fleet_audit.reporting.sections.inputs import Frames, records
from fleet_audit.reporting.sections.measurement import measurement_lines
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
        area=some(count, "AGR", "IND", "IND", None).astype("str"),
        purpose=some(count, "service", "service", "service", "deadhead").astype("str"),
        route_method=some(count, "places", "text", None).astype("str"),
        contract_id="not the one that priced",
    )
    rates = some(count, D("4.9000"), D("5.1234"), None)
    paid = pd.Series([None if rate is None else D("0.01") * chance.randrange(1, 90_000) for rate in rates])
    costs = costs.assign(
        rate_brl_per_km=rates.astype(costs["rate_brl_per_km"].dtype),
        variable_cost_brl=paid.astype(costs["variable_cost_brl"].dtype),
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
    routes = frames.routes
    return replace(
        frames,
        trips=trips[~gone],
        trip_costs=costs,
        coverage=coverage,
        vehicles=pd.concat([vehicles, later], ignore_index=True),
        routes=routes.assign(regime=some(len(routes), "municipal", "intermunicipal", None).astype("str")),
        fixed_cost_days=pd.concat(
            [own.assign(contract_id=own["contract_id"].mask(under_new, "CT-3")), stranger], ignore_index=True
        ),
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_bi_and_the_package_bill_the_same_lines(seed, postgres_url, fill, run, query):
    made = _mixed(seed)
    for name, entry in _TABLES.items():
        fill(entry.full_name, *records(getattr(made, name)))
    fill(facts.COVERAGE.full_name, *records(made.coverage))
    run(CYCLE.start, CYCLE.start + dt.timedelta(days=3))

    warehouse = Warehouse(postgres_url)
    frames = Frames(
        **{name: warehouse.read_table(entry) for name, entry in _TABLES.items()},
        coverage=warehouse.read_table(facts.COVERAGE),
    )
    keys = ["unit_code", "carrier_code", "contract_id", "plate", "area", "vehicle_class", "regime", "rate_brl_per_km"]
    texts = [*keys[:-1], "fleet_number", "kind"]
    published = query("select *, contract_kind as kind from mart.package_lines")

    def by_key(rows: list[dict[str, object]], amounts: list[str]) -> dict[tuple[object, ...], list[object]]:
        lines = [{**row, **{name: row[name] or "" for name in texts}} for row in rows]
        return {tuple(line[name] for name in keys): [line[name] for name in amounts] for line in lines}

    amounts = ["fleet_number", "kind", "monthly_brl", "fixed_brl"]
    billed = [row for row in published if row["line_status"] == "billed"]
    engine = records(measurement_lines(frames))
    assert by_key(published, amounts) == by_key(engine, amounts)
    assert by_key(billed, ["km", "variable_brl"]) == by_key(
        [row for row in engine if row["km"] is not None], ["km", "variable_brl"]
    )
    assert len({tuple(row[name] for name in keys[:4]) for row in engine}) < len(engine) > 20

    package = build_package(frames, cycle=CYCLE, generated_at=GENERATED_AT)
    for area, sheet in SHEETS.items():
        grid = package.sheet(sheet).grid
        printed = zip(*(grid.column(name) for name in ("plate", "km", "variable_brl", "fixed_brl", "total_brl")),
                      strict=True)  # fmt: skip
        own = [tuple(row[name] for name in ("plate", "km", "variable_brl", "fixed_brl", "total_brl"))
               for row in published if row["area"] == area]  # fmt: skip
        assert sorted(own, key=str) == sorted(printed, key=str)
    assert {row["line_status"] for row in published} == {"billed", "nothing_billed", "unpriced", "no_data"}
    assert sum(row["total_brl"] for row in published) == sum(made.trip_costs["variable_cost_brl"].dropna(), D(0)) + sum(
        made.fixed_cost_days["amount_brl"]
    )


def test_a_day_run_again_replaces_its_own_part_of_a_line(fill, run, query):
    key = {"unit_code": "U1", "carrier_code": "C1"}
    fill("ref.vehicles", {**key, "plate": "A"})
    for trip, day in (("a", CYCLE.start), ("b", CYCLE.start + dt.timedelta(days=5))):
        fill("fact.trips", {**key, "trip_id": trip, "plate": "A", "operational_date": day, "area": "AGR"})
        fill("fact.trip_costs", {"trip_id": trip, "operational_date": day, "billable_km": D("10.00"),
                                 "rate_brl_per_km": D("5.0000"), "variable_cost_brl": D("50.00")})  # fmt: skip
    run(CYCLE.start, CYCLE.end)
    query("update fact.trip_costs set billable_km = 12, variable_cost_brl = 60 where trip_id = 'b'")
    run(CYCLE.start)  # another day: b is not looked at again
    assert [row["km"] for row in query("select km from mart.package_lines")] == [20]
    run(CYCLE.start + dt.timedelta(days=5))
    assert [(row["trips"], row["km"], row["total_brl"]) for row in query("select * from mart.package_lines")] == [
        (2, 22, 110)
    ]

"""The models of a measurement cycle: the same figures as the monthly report, by unit, carrier, route and vehicle."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from fleet_audit.logic.costs.forecast import daily_totals, forecast_cycle
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts
from fleet_audit.schema.reference import CALENDAR
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.marts.conftest import DAY, NEXT

D = Decimal
CYCLE = cycle_of(DAY, 16)


@pytest.fixture
def fleet(fill) -> None:
    """Two carriers in one unit over two days: C1 drives as planned, C2 declares too much and has a silent bus."""
    fill("ref.units", {"unit_code": "U1", "name": "Usina Um", "timezone": "America/Sao_Paulo"})
    fill("ref.carriers", {"carrier_code": "C1", "name": "Viação Um"}, {"carrier_code": "C2", "name": "Viação Dois"})
    fill("ref.routes", {"route_code": "R1", "unit_code": "U1", "name": "Rota 1", "expected_km": D("10.00")})
    fill(
        "ref.km_plan",
        {"cycle_start": CYCLE.start, "plate": "A", "route_code": "R1", "planned_km": D("40.00"), "planned_trips": 4},
        {"cycle_start": CYCLE.start, "plate": "Z", "route_code": "R1", "planned_km": D("10.00")},
    )
    days = [{"operational_date": day, "unit_code": "U1", "status": "complete"} for day in (DAY, NEXT)]
    for plate, carrier in (("A", "C1"), ("B", "C2")):
        fill("ref.vehicles", {"plate": plate, "unit_code": "U1", "carrier_code": carrier, "fleet_number": f"F{plate}"})
        fill("fact.vehicle_day_coverage", *({**day, "plate": plate, "carrier_code": carrier} for day in days))
    fill("fact.vehicle_day_coverage", {**days[0], "plate": "C", "carrier_code": "C2", "status": "silent"})
    for trip, plate, day, route, cost, score in (
        ("a1", "A", DAY, "R1", D("50.00"), 100),
        ("a2", "A", NEXT, "R1", D("50.00"), 90),
        ("b1", "B", DAY, None, D("60.00"), 60),
        ("b2", "B", NEXT, None, None, 70),
    ):
        carrier = "C1" if plate == "A" else "C2"
        fill(
            "fact.trips",
            {
                "trip_id": trip, "plate": plate, "operational_date": day, "unit_code": "U1", "carrier_code": carrier,
                "route_code": route, "area": "IND", "km_measured": D("10.00"), "evidence_grade": "A",
            },
        )  # fmt: skip
        fill(
            "fact.trip_costs",
            {"trip_id": trip, "operational_date": day, "billable_km": D("10.00"), "variable_cost_brl": cost},
        )
        fill("fact.trip_scores", {"trip_id": trip, "operational_date": day, "compliance_score": score})
        fill("fact.km_ledger", {"operational_date": day, "plate": plate, "is_balanced": trip != "b2"})
    fill("fact.fixed_cost_days", {"plate": "A", "contract_id": "K", "amount_brl": D("100.00")})
    for number, declared in (("b1", D("13.00")), ("b2", D("15.00"))):
        fill(
            "fact.matches",
            {
                "match_id": f"m{number}", "plate": "B", "operational_date": DAY if number == "b1" else NEXT,
                "carrier_code": "C2", "unit_code": "U1", "trip_ids": [number], "declared_run_ids": [f"r{number}"],
                "declared_km": declared, "measured_km": D("10.00"), "difference_km": declared - 10,
                "difference_pct": 10 * (declared - 10), "is_exceeding": True,
            },
        )  # fmt: skip
    fill(
        "fact.findings",
        {"finding_id": "f", "rule_id": "D01", "plate": "B", "trip_id": "b1", "brl_at_stake": 18,
         "amount": "disallowed_brl", "disallowed_brl": 18},
    )  # fmt: skip
    amounts = {"plate": "B", "carrier_code": "C2", "unit_code": "U1", "held_brl": 0, "in_favour_brl": 0}
    fill("fact.vehicle_day_amounts", {**amounts, "operational_date": DAY, "disallowed_brl": 18})
    fill(
        "fact.vehicle_cycle_amounts",
        {
            **amounts,
            "vehicle_amounts_id": "1",
            "cycle_start": CYCLE.start,
            "disallowed_brl": 27,
            "paid_doubtful_brl": 6,
        },
    )


def test_a_cycle_adds_up_by_vehicle_unit_and_route(fleet, run, query):
    run(DAY, NEXT)
    vehicles = {row["plate"]: row for row in query("select * from mart.cycle_vehicles")}
    assert {plate: row["measured_km"] for plate, row in vehicles.items()} == {"A": 20, "B": 20, "C": None}
    assert (vehicles["A"]["known_cost_brl"], vehicles["A"]["cost_brl_per_km"]) == (D("200.00"), D("10.0000"))
    assert (vehicles["B"]["unpriced_trips"], vehicles["B"]["unbalanced_days"]) == (1, 1)
    (unit,) = query("select * from mart.cycle_units")
    assert (unit["cycle_start"], unit["cycle_end"]) == (CYCLE.start, CYCLE.end)
    for name in ("measured_km", "variable_cost_brl", "fixed_cost_brl", "open_findings", "difference_km"):
        assert unit[name] == sum(row[name] or 0 for row in vehicles.values()), name
    assert (unit["carriers"], unit["vehicles"], unit["silent_vehicle_days"]) == (2, 3, 1)
    routes = {row["route_code"]: row for row in query("select * from mart.cycle_routes")}
    assert (routes["R1"]["measured_km"], routes["R1"]["km_per_trip"], routes["R1"]["expected_km"]) == (20, 10, 10)
    assert (routes[None]["difference_km"], routes[None]["difference_pct"]) == (8, D("40.00"))
    assert routes[None]["variable_brl_per_km"] == D("6.0000")  # the unpriced trip's km take no part


def test_carriers_are_ranked_by_score_within_each_cycle(fleet, run, query):
    run(DAY, NEXT)
    rows = query("select * from mart.carrier_ranking order by position")
    assert [(row["carrier_code"], row["compliance_score"]) for row in rows] == [("C1", 95), ("C2", 65)]
    assert (rows[1]["exceeding_groups"], rows[1]["exceeding_pct"]) == (2, 100)
    assert (rows[1]["disallowed_brl"], rows[1]["disallowed_pct"], rows[1]["silent_pct"]) == (27, 45, D("33.33"))
    assert (rows[1]["paid_doubtful_brl"], rows[1]["paid_doubtful_pct"]) == (6, 10)
    assert {row["disallowed_brl"] for row in query("select disallowed_brl from mart.cycle_units")} == {27}
    amounts = {row["plate"]: row["disallowed_brl"] for row in query("select * from mart.cycle_vehicles")}
    assert amounts == {"A": 0, "B": 27, "C": 0}


def test_divergences_are_ranked_by_money_then_by_km(fleet, run, query):
    run(DAY, NEXT)
    rows = query("select * from mart.top_divergences order by position")
    assert [(row["match_id"], row["brl_at_stake"], row["difference_km"]) for row in rows] == [
        ("mb1", 18, 3),
        ("mb2", None, 5),  # no rate is known: its R$ are unknown, not zero
    ]
    assert (rows[0]["finding_id"], rows[0]["carrier_name"], rows[0]["fleet_number"]) == ("f", "Viação Dois", "FB")


def test_what_was_planned_stands_beside_what_was_driven(fleet, run, query):
    run(DAY, NEXT)
    rows = {(row["plate"], row["route_code"]): row for row in query("select * from mart.planned_vs_realised")}
    assert (rows["A", "R1"]["realised_pct"], rows["A", "R1"]["service_trips"]) == (50, 2)
    assert (rows["Z", "R1"]["measured_km"], rows["Z", "R1"]["is_planned"]) == (None, True)
    assert (rows["B", None]["planned_km"], rows["B", None]["is_planned"]) == (None, False)


def test_the_day_has_its_figures(fleet, run, query):
    run(DAY, NEXT)
    first, second = query("select * from mart.daily_kpis order by operational_date")
    assert (first["vehicles"], first["seen_pct"], first["service_km"]) == (3, D("66.67"), 20)
    assert (first["known_cost_brl"], first["cost_brl_per_km"]) == (210, D("10.5000"))
    assert (first["exceeding_pct"], first["disallowed_brl"], first["grade_a_pct"]) == (100, 18, 100)
    assert (first["balanced_pct"], second["balanced_pct"], second["unpriced_trips"]) == (100, 50, 1)


def test_bi_forecasts_what_the_monthly_report_forecasts(postgres_url, fill, run, query):
    """Exponential smoothing and mean km of a random cycle with silent and empty days, in SQL and in `logic`."""
    random = np.random.default_rng(7)
    trips, costs, coverage = [], [], []
    for offset in range(19):
        day = CYCLE.start + dt.timedelta(days=offset)
        status = "silent" if offset in (4, 18) else "complete"
        coverage.append({"operational_date": day, "status": status})
        for number in range(0 if status == "silent" or offset == 9 else random.integers(1, 5)):
            key = {"trip_id": f"{offset}.{number}", "operational_date": day}
            km = D(int(random.integers(0, 9000))) / 100
            purpose = "service" if random.random() < 0.8 else "deadhead"
            trips.append({**key, "km_measured": km, "purpose": purpose, "parameters_version": "now"})
            cost = None if offset == 7 or random.random() < 0.1 else D(int(random.integers(0, 90_000))) / 100
            costs.append({**key, "billable_km": km, "variable_cost_brl": cost})
    vanished = {"trip_id": "vanished", "operational_date": CYCLE.start, "variable_cost_brl": D("5000.00")}
    costs.append(vanished)  # of a run whose step of the costs failed: it stays, but is nobody's
    fill("fact.vehicle_day_coverage", *coverage)
    fill("fact.trips", *trips)
    fill("fact.trip_costs", *costs)
    fill(
        "ops.parameter_versions",
        *({"parameters_version": "now", "name": name, "value": value} for name, value in DEFAULT_PARAMETERS.values),
    )
    fill("ref.calendar", {"date": dt.date(2025, 6, 3), "unit_code": "U", "day_type": "feriado"})
    run(CYCLE.start, CYCLE.end)
    warehouse = Warehouse(postgres_url)
    daily = daily_totals(*(warehouse.read_table(table) for table in (facts.TRIPS, facts.TRIP_COSTS, facts.COVERAGE)))
    run_days = {row["operational_date"] for row in coverage}
    expected = forecast_cycle(daily, CYCLE, run_days, warehouse.read_table(CALENDAR), DEFAULT_PARAMETERS)
    (row,) = query("select * from mart.cycle_forecasts")
    assert {name: row[name] for name in vars(expected)} == vars(expected)
    assert (expected.days_with_data, expected.remaining_days) == (17, 12)
    priced = sum(row["variable_cost_brl"] or 0 for row in costs if row is not vanished)
    assert expected.variable_cost_so_far_brl == priced


@pytest.mark.parametrize("model", ["cycle_units", "cycle_carriers", "cycle_vehicles", "cycle_routes",
                                   "planned_vs_realised", "carrier_ranking"])  # fmt: skip
def test_a_cycle_says_how_many_of_its_days_were_run(fleet, run, query, model):
    run(DAY, NEXT)
    rows = query(f"select * from mart.{model}")
    assert {(row["days_processed"], row["days_in_cycle"]) for row in rows} == {(2, 31)}

"""What the published rows say: measured beside declared, money in dispute, and nothing invented."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting.sections.trip_lines import declared_shares
from fleet_audit.schema import facts
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.marts.conftest import DAY, NEXT

D = Decimal


def at(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), dt.UTC)


@pytest.fixture
def reference(fill) -> None:
    fill("ref.units", {"unit_code": "U1", "name": "Usina Um", "timezone": "America/Campo_Grande"})
    fill("ref.carriers", {"carrier_code": "C1", "name": "Viação Um"})
    fill(
        "ref.vehicles",
        {"fleet_number": "old", "unit_code": "U1", "carrier_code": "C1", "valid_to": dt.date(2025, 5, 31)},
        {"fleet_number": "77", "unit_code": "U1", "carrier_code": "C1", "valid_from": dt.date(2025, 6, 1)},
    )
    fill(
        "ref.pois",
        {"poi_id": "P1", "name": "Frente velha", "valid_to": DAY},
        {"poi_id": "P1", "name": "Frente nova", "valid_from": NEXT},
    )


def test_a_trip_has_names_as_of_its_day_and_the_units_wall_clock(reference, fill, run, query):
    fill(
        "fact.trips",
        {
            "trip_id": "t1",
            "unit_code": "U1",
            "carrier_code": "C1",
            "origin_poi_id": "P1",
            "destination_poi_id": "P1",
            "started_at": at(NEXT, 3, 30),
            "ended_at": at(NEXT, 4, 30),
        },
    )
    run()
    (row,) = query("select * from mart.d1_trips")
    assert (row["unit_name"], row["carrier_name"], row["fleet_number"]) == ("Usina Um", "Viação Um", "77")
    assert row["started_local"] == dt.datetime(2025, 6, 10, 23, 30)
    assert (row["origin_name"], row["destination_name"]) == ("Frente velha", "Frente nova")  # it arrived the day after


def test_a_group_shares_its_declared_km_to_the_hundredth(fill, run, query):
    fill(
        "fact.trips", *({"trip_id": f"t{n}", "started_at": at(DAY, 8 + n), "km_measured": D("5.00")} for n in range(3))
    )
    fill(
        "fact.matches",
        {
            "match_id": "m",
            "trip_ids": ["t0", "t1", "t2"],
            "declared_run_ids": ["r"],
            "declared_km": D("20.00"),
            "measured_km": D("15.00"),
            "difference_km": D("5.00"),
        },
    )
    run()
    rows = query("select declared_km, difference_km, difference_pct from mart.d1_trips order by trip_id")
    assert [row["declared_km"] for row in rows] == [D("6.67"), D("6.66"), D("6.67")]
    assert rows[1]["difference_km"] == D("1.66")
    assert rows[1]["difference_pct"] == D("33.20")


def test_a_trip_stays_one_row_whatever_points_at_it(fill, run, query):
    fill("fact.trips", {"trip_id": "t1", "km_measured": D("5.00")})
    fill(
        "ref.vehicles",
        {"unit_code": "U1", "fleet_number": "1", "valid_from": dt.date(2025, 1, 1)},
        {"unit_code": "U1", "fleet_number": "2", "valid_from": dt.date(2025, 6, 1)},
    )  # overlap, open-ended
    fill(
        "fact.matches",  # the group of the day, made before the night's run was known, and the group that holds
        {"match_id": "a", "trip_ids": ["t1"], "kind": "measured_only", "measured_km": D("5.00")},
        {
            "match_id": "b",
            "operational_date": NEXT,
            "trip_ids": ["t1"],
            "declared_run_ids": ["r"],
            "declared_km": D("6.00"),
            "measured_km": D("5.00"),
            "difference_km": D("1.00"),
        },
    )
    fill(
        "fact.findings",
        {"finding_id": "f1", "rule_id": "D01", "trip_id": "t1"},
        {"finding_id": "f2", "rule_id": "D10", "declared_run_id": "r", "operational_date": NEXT, "status": "excepted"},
        {"finding_id": "f3", "rule_id": "D01", "trip_id": "t1", "declared_run_id": "r"},
    )
    run()
    (row,) = query("select * from mart.d1_trips")
    assert (row["match_id"], row["declared_km"], row["fleet_number"]) == ("b", D("6.00"), "2")
    assert (row["flags"], row["open_findings"]) == ("(D10), D01", 2)


def test_a_run_completes_the_trips_of_the_day_before(fill, run, query):
    fill("fact.trips", {"trip_id": "t1", "km_measured": D("5.00")})
    run(DAY)
    assert query("select declared_km from mart.d1_trips") == [{"declared_km": None}]
    fill(
        "fact.matches",
        {
            "match_id": "m",
            "operational_date": NEXT,
            "trip_ids": ["t1"],
            "declared_run_ids": ["r"],
            "declared_km": D("6.00"),
            "measured_km": D("5.00"),
        },
    )
    run(NEXT)
    assert query("select declared_km from mart.d1_trips") == [{"declared_km": D("6.00")}]


def test_unknown_is_null_and_a_watched_day_without_trips_is_zero(fill, run, query):
    fill(
        "fact.vehicle_day_coverage",
        {"plate": "SILENT1", "status": "silent"},
        {"plate": "PARKED1"},
        {"plate": "PARTLY1", "status": "partial"},
    )
    run()
    rows = {row["plate"]: row for row in query("select * from mart.vehicle_days")}
    for column in ("trips", "measured_km", "service_km", "billable_km", "variable_cost_brl"):
        assert rows["SILENT1"][column] is None, column
        assert rows["PARTLY1"][column] is None, column
        assert rows["PARKED1"][column] == 0, column
    assert rows["PARKED1"]["declared_km"] is None


def test_a_vehicle_day_adds_up_each_side_once(reference, fill, run, query):
    fill("fact.vehicle_day_coverage", {"unit_code": "U1"})
    fill(
        "fact.trips",
        *(
            {"trip_id": trip, "km_measured": km, "purpose": purpose}
            for trip, km, purpose in (
                ("a", D("10.00"), "service"),
                ("b", D("4.00"), "deadhead"),
                ("c", D("6.00"), "service"),
                ("d", None, "service"),
            )
        ),
    )
    fill(
        "fact.trip_costs",
        *(
            {"trip_id": trip, "billable_km": km, "variable_cost_brl": cost}
            for trip, km, cost in (("a", D("10.00"), D("50.00")), ("b", D("0"), D("0")), ("c", D("6.00"), None))
        ),
    )
    fill("fact.trip_scores", {"trip_id": "a", "compliance_score": D("60")}, {"trip_id": "c", "compliance_score": 100})
    fill(
        "fact.declared_runs", {"declared_run_id": "r1", "declared_km": 12}, {"declared_run_id": "r2", "declared_km": 7}
    )
    fill(
        "fact.matches",
        {
            "match_id": "m",
            "trip_ids": ["a"],
            "declared_run_ids": ["r1"],
            "declared_km": 12,
            "measured_km": 10,
            "difference_km": 2,
            "is_exceeding": True,
        },
    )
    fill(
        "fact.fixed_cost_days",
        {"contract_id": "K1", "amount_brl": D("100.10")},
        {"contract_id": "K2", "amount_brl": D("0.20")},
    )
    held = {"declared_run_id": "r2", "declared_km": 7, "brl_at_rate": None, "reason": "no_data"}
    fill("fact.held_runs", held, {**held, "declared_run_id": "r3", "reason": "phantom"})
    fill("fact.vehicle_day_amounts", {"paid_doubtful_brl": 0, "disallowed_brl": 10, "in_favour_brl": 0})
    fill("fact.findings", {"finding_id": "f", "trip_id": "a", "severity": "C", "brl_at_stake": D("10.00")})
    run()
    (row,) = query("select * from mart.vehicle_days")
    expected = {
        "trips": 4,
        "service_trips": 3,
        "unmeasured_trips": 1,
        "service_km": 16,
        "deadhead_km": 4,
        "yard_km": 0,
        "measured_km": 20,
        "billable_km": 10,  # 6 km more have no price
        "variable_cost_brl": 50,
        "unpriced_trips": 2,
        "declared_runs": 2,
        "declared_km": 19,
        "difference_km": 2,
        "difference_pct": 20,
        "exceeding_groups": 1,
        "held_runs": 1,
        "held_km": 7,
        "held_brl": None,
        "paid_doubtful_brl": 0,
        "disallowed_brl": 10,
        "in_favour_brl": 0,
        "fixed_cost_brl": D("100.30"),
        "open_findings": 1,
        "critical_findings": 1,
        "compliance_score": 75,
        "unit_name": "Usina Um",
        "fleet_number": "77",
    }
    assert {name: row[name] for name in expected} == expected


def test_what_another_carrier_declared_of_a_vehicle_is_that_ones_and_in_the_fleets_sums(fill, run, query):
    """The amounts of the vehicle's carrier alone were in any sum, and in the notice of the day."""
    own, other = {"carrier_code": "C1", "unit_code": "U1"}, {"carrier_code": "C2", "unit_code": "U1"}
    fill("fact.vehicle_day_coverage", own)
    fill("fact.declared_runs", *({"declared_run_id": name, "declared_km": 12, **whose}
                                 for name, whose in (("r1", own), ("r2", other))))  # fmt: skip
    fill("fact.held_runs", {"declared_run_id": "r2", "declared_km": 12, "reason": "other_carrier", **other})
    fill("fact.vehicle_day_amounts", *({"vehicle_amounts_id": held, "held_brl": D(held), "disallowed_brl": 0, **whose}
                                       for held, whose in (("1.00", own), ("60.00", other))))  # fmt: skip
    run()
    columns = "declared_runs, held_runs, held_brl"
    days = query(
        f"select {columns}, vehicle_day_id, is_of_other_carrier from mart.vehicle_days order by vehicle_day_id"
    )
    assert [[*row.values()] for row in days] == [
        [1, 0, 1, f"AAA1A11 {DAY}", False],
        [1, 1, 60, f"AAA1A11 {DAY} C2", True],
    ]
    of_carriers = query(f"select vehicles, {columns} from mart.carrier_days order by carrier_code")
    assert [[*row.values()] for row in of_carriers] == [[1, 1, 0, 1], [0, 1, 1, 60]]
    assert query("select vehicles, seen_vehicles, held_brl from mart.daily_kpis") == [
        {"vehicles": 1, "seen_vehicles": 1, "held_brl": 61}
    ]
    cycles = query("select vehicles, vehicle_days from mart.cycle_carriers order by carrier_code")
    assert [[*row.values()] for row in cycles] == [[1, 1], [0, 0]]


def test_an_amount_of_which_only_zeros_are_known_is_unknown_in_every_sum(fill, run, query):
    """A carrier whose one amount has no rate stood at 0 beside the day of its vehicle, which was null."""
    owners = ("A", "C1"), ("B", "C1"), ("C", "C2"), ("D", "C3"), ("E", "C3")
    places = [{"plate": plate, "carrier_code": carrier, "unit_code": "U1"} for plate, carrier in owners]
    fill("fact.vehicle_day_coverage", *places)
    brl = {"A": None, "B": D("0.00"), "C": D("0.00"), "D": None, "E": D("7.00")}
    others = dict.fromkeys(("disallowed_brl", "held_brl", "in_favour_brl"), D("0.00"))
    rows = [
        {**place, **others, "vehicle_amounts_id": place["plate"], "paid_doubtful_brl": brl[place["plate"]]}
        for place in places
    ]
    fill("fact.vehicle_day_amounts", *rows)
    fill("fact.vehicle_cycle_amounts", *({**row, "cycle_start": cycle_of(DAY, 16).start} for row in rows))
    run()
    columns = "carrier_code, paid_doubtful_brl, disallowed_brl"
    for model in ("carrier_days", "cycle_carriers"):
        found = query(f"select {columns} from mart.{model} order by carrier_code")
        assert [[*row.values()] for row in found] == [["C1", None, 0], ["C2", 0, 0], ["C3", 7, 0]], model
    assert query("select paid_doubtful_brl, held_brl from mart.daily_kpis") == [{"paid_doubtful_brl": 7, "held_brl": 0}]


def test_silent_vehicles_are_counted_beside_a_carriers_sums(fill, run, query):
    fill(
        "fact.vehicle_day_coverage",
        {"plate": "A", "carrier_code": "C1", "unit_code": "U1"},
        {"plate": "B", "carrier_code": "C1", "unit_code": "U1", "status": "silent"},
        {"plate": "C", "carrier_code": None, "unit_code": "U1"},
    )
    fill("fact.trips", {"trip_id": "a", "plate": "A", "km_measured": D("10.00")})
    run()
    first, unknown = query("select * from mart.carrier_days order by carrier_code nulls last")
    assert (first["vehicles"], first["silent_vehicles"], first["measured_km"]) == (2, 1, 10)
    assert unknown["carrier_code"] is None


def test_a_cycle_begins_on_the_closing_day(fill, run, query):
    days = [dt.date(2025, 6, 15), dt.date(2025, 6, 16), dt.date(2025, 3, 1), dt.date(2024, 12, 31)]
    fill("fact.fixed_cost_days", *({"operational_date": day, "contract_id": "K", "amount_brl": 1} for day in days))
    run(min(days), max(days))
    cycles = {
        (row["cycle_start"].isoformat(), row["cycle_end"].isoformat())
        for row in query("select * from mart.cycle_carriers")
    }
    assert cycles == {
        ("2025-05-16", "2025-06-15"),
        ("2025-06-16", "2025-07-15"),
        ("2025-02-16", "2025-03-15"),
        ("2024-12-16", "2025-01-15"),
    }


def test_bi_and_the_printed_report_say_the_same(postgres_url, fill, run, query):
    """Shares of declared km: SQL and the report's pandas, over a random day."""
    random = np.random.default_rng(20250610)
    hundredth = D("0.01")
    trips, groups = [], []
    for number in range(120):
        members = [f"t{number}_{k}" for k in range(random.integers(0, 4))]
        runs = [f"r{number}_{k}" for k in range(random.integers(0, 3))] or ([] if members else [f"r{number}"])
        plate = f"P{number % 7}"
        kms = [D(int(random.integers(0, 3000))) * hundredth for _ in members]
        trips += [
            {"trip_id": trip, "plate": plate, "km_measured": km, "started_at": at(DAY, int(random.integers(24)))}
            for trip, km in zip(members, kms, strict=True)
        ]
        groups.append(
            {
                "match_id": f"m{number}",
                "plate": plate,
                "trip_ids": members,
                "declared_run_ids": runs,
                "declared_km": D(int(random.integers(1, 60))) if runs else None,
                "measured_km": sum(kms, D(0)) if members else None,
            }
        )
    fill("fact.trips", *trips)
    fill("fact.matches", *groups)
    run()
    warehouse = Warehouse(postgres_url)
    frames = {entry.name: warehouse.read_partition(entry, [DAY]) for entry in (facts.TRIPS, facts.MATCHES)}

    shares = declared_shares(frames["trips"], frames["matches"]).astype(object)
    expected = {
        trip: share if isinstance(share, Decimal) else None
        for trip, share in zip(frames["trips"]["trip_id"], shares["declared_km"], strict=True)
    }
    assert {row["trip_id"]: row["declared_km"] for row in query("select * from mart.d1_trips")} == expected
    assert len(expected) > 100


def test_d1_trips_leaves_the_drivers_name_out(project):
    for model in project.models:
        assert all(str(relation) != "ref.drivers" for relation in model.reads), model.name

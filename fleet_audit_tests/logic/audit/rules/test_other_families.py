"""V01, V05, V06, K01, G07, Q04 and Q05: vehicle, contract, movement and quality."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import facts, lake, reference
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    VEHICLES,
    at,
    audit,
    costs_frame,
    found,
    run,
    span,
    trip,
)
from fleet_audit_tests.logic.frames import rows

NO_CONTRACT = VEHICLES.assign(contract_id=[None, "CT1"])


def test_v01_is_one_finding_a_vehicle_day() -> None:
    trips = [trip("T1", "06:00", "07:00", "10.00"), trip("Y", "07:10", "07:12", "0.30", purpose="yard")]
    costs = costs_frame(
        *({"trip_id": key, "cost_status": "no_contract", "rate_brl_per_km": None} for key in ("T1", "Y"))
    )
    runs = [run("R1", "06:00", "07:00", "10"), run("R2", "12:00", "13:00")]
    [finding] = found(audit(trips, runs, costs=costs, vehicles=NO_CONTRACT), "V01")
    assert (finding["severity"], finding["plate"], finding["km_at_stake"]) == ("C", PLATE, Decimal("10.00"))
    assert pd.isna(finding["brl_at_stake"])
    assert pd.isna(finding["trip_id"])
    assert finding["evidence"]["trip_ids"] == ["T1", "Y"]
    assert "sem contrato vigente: 2 movimentos medidos e 2 atas; nenhum contrato" in finding["explanation_pt"]


def test_v01_declared_runs_alone_suffice_and_so_does_a_contract() -> None:
    runs = [run("R", "06:00", "07:00", "25")]
    [finding] = found(audit([], runs, vehicles=NO_CONTRACT), "V01")
    assert finding["km_at_stake"] == Decimal("25.00")
    assert finding["explanation_pt"].endswith("sem contrato vigente: 1 ata; nenhum contrato cobre 25,00 km.")
    [unknown] = found(audit([], [run("R", "06:00", "07:00", "25", plate="ZZZ9Z99")]), "V01")
    assert unknown["carrier_code"] == runs[0]["carrier_code"]  # the bulletin names it where no register does
    assert [row["plate"] for row in found(audit([], runs, vehicles=VEHICLES.iloc[1:]), "V01")] == [PLATE]
    assert not found(audit([trip("T", "06:00", "07:00")], runs), "V01")


def test_a_run_that_names_the_former_plate_is_held_with_the_plate_of_the_day_and_not_without_contract() -> None:
    context = audit([], [run("R", "06:00", "07:00", "25", plate="AAA1011")], [span("05:00", "08:00")])
    assert not found(context, "V01")
    [held] = found(context, "D06")
    assert f"; o cadastro desse dia tem o veículo com a placa {PLATE})" in held["explanation_pt"]


@pytest.mark.parametrize(("passengers", "is_found"), [(0, True), (1, False), (None, False)])
def test_v06_an_empty_cell_is_not_an_empty_bus(passengers: int | None, is_found: bool) -> None:
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00", passengers=passengers)])
    findings = found(context, "V06")
    assert bool(findings) is is_found
    assert all("das 06:00 às 07:00, declara zero passageiros" in row["explanation_pt"] for row in findings)
    assert all((row["km_at_stake"], row["brl_at_stake"]) == (Decimal("30.00"), Decimal("147.00")) for row in findings)


@pytest.mark.parametrize(
    ("passengers", "seats", "is_found"),
    [(47, 46, True), (46, 46, False), (None, 46, False), (47, None, False), (47, 0, False)],
    ids=["one too many", "exactly full", "not declared", "seats unknown", "no seats registered"],
)
def test_v05_more_passengers_than_seats(passengers: int | None, seats: int | None, is_found: bool) -> None:
    vehicles = VEHICLES.assign(seats=pd.array([seats, 46], dtype="Int64"))
    runs = [run("R", "06:00", "07:00", passengers=passengers)]
    findings = found(audit([trip("T", "06:00", "07:00")], runs, vehicles=vehicles), "V05")
    assert bool(findings) is is_found
    for finding in findings:
        assert "declara 47 passageiros, e o veículo AAA1A11 tem 46 lugares no cadastro" in finding["explanation_pt"]
        assert pd.isna(finding["amount"])
        assert finding["evidence"]["trip_ids"] == []  # the passengers say nothing of the trip


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("no_tariff", "não tem tarifa"),
        ("ambiguous_tariff", "mais de uma tarifa"),
        ("priced", None),
        ("not_billable", None),
    ],
)
def test_k01_a_trip_without_exactly_one_tariff(status: str, words: str | None) -> None:
    costs = costs_frame({"trip_id": "T", "cost_status": status, "billable_km": "30.00", "rate_brl_per_km": None})
    findings = found(audit([trip("T", "06:00", "07:00")], [], costs=costs), "K01")
    assert bool(findings) is (words is not None)
    for finding in findings:
        assert str(words) in finding["explanation_pt"]
        assert finding["km_at_stake"] == Decimal("30.00")
        assert pd.isna(finding["brl_at_stake"])


@pytest.mark.parametrize(
    ("rule_id", "status", "named"),
    [
        ("V01", "no_contract", "pela tarifa mais próxima (T1 do contrato CT1): R$ 240,00."),
        ("K01", "ambiguous_tariff", "pelas tarifas mais próximas (T1, T2 do contrato CT1): R$ 240,00 a R$ 432,00."),
    ],
)
def test_km_without_a_price_have_an_estimate_in_the_carrier_s_favour(rule_id: str, status: str, named: str) -> None:
    """48 km at R$ 5,00; at R$ 9,00 as well where a second tariff applies equally."""
    ended = dt.date(2025, 6, 9) if rule_id == "V01" else None
    rates = {"T1": "5.00"} if rule_id == "V01" else {"T1": "5.00", "T2": "9.00"}
    registered = Reference.of({
        "vehicles": rows(reference.VEHICLES, {"plate": PLATE, "contract_id": "CT1"}),
        "contracts": rows(reference.CONTRACTS, {"contract_id": "CT1", "valid_to": ended}),
        "tariffs": rows(
            reference.TARIFFS,
            *({"tariff_id": name, "contract_id": "CT1", "rate_brl_per_km": rate} for name, rate in rates.items()),
        ),
    })  # fmt: skip
    costs = costs_frame({"trip_id": "T", "cost_status": status, "rate_brl_per_km": None})
    context = audit([trip("T", "06:00", "07:00", "48.00")], [], costs=costs, reference=registered)
    [finding] = found(context, rule_id)
    assert (finding["in_favour_brl"], finding["brl_low"]) == (Decimal("240.00"), Decimal("240.00"))
    assert finding["brl_high"] == Decimal("240.00" if rule_id == "V01" else "432.00")
    assert finding["explanation_pt"].endswith(f"estimativa {named}")
    assert [each["trip_id"] for each in finding["evidence"]["estimates"]] == ["T"]


def leg(**facts: object) -> pd.DataFrame:
    return rows(
        lake.LEGS,
        {
            "leg_id": "L", "trip_id": "T", "operational_date": DAY, "plate": PLATE, "is_maintenance_driver": False,
            "started_at": at("06:00"), "ended_at": at("07:00"), "passengers_readings": 0, "gaps": 0, "is_short": False,
            "is_start_in_gap": False, "is_end_in_gap": False, "dwell_s": 601.0, "source": "positions",
            "destination_latitude": -22.53211, "destination_longitude": -52.1, **facts,
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "is_found"),
    [
        ({}, True),
        ({"dwell_s": 600.0}, False),
        ({"dwell_s": None}, False),
        ({"destination_poi_id": "USINA"}, False),
        ({"is_end_in_gap": True}, False),
        ({"superseded_by_trip_id": "P"}, False),
        ({"operational_date": DAY + dt.timedelta(days=1)}, False),
    ],
    ids=["above", "exactly 10 min", "unknown dwell", "known place", "in a gap", "evidence only", "another day"],
)
def test_g07_a_long_stop_where_no_place_is_known(facts: dict, is_found: bool) -> None:
    findings = found(audit([trip("T", "06:00", "07:00")], [], legs=leg(**facts)), "G07")
    assert bool(findings) is is_found
    for finding in findings:
        assert "parado 10 min a partir de 10/06/2025 07:00" in finding["explanation_pt"]
        assert "-22,53211" in finding["explanation_pt"]
        assert finding["trip_id"] == "T"


def test_q05_each_note_of_the_day() -> None:
    usual = {
        "source_kind": "visit_report", "note_code": "total_km_mismatch", "plate": PLATE, "date": DAY,
        "expected": "56,50", "found": "57,50", "difference_km": "1.00", "file_sha256": "f", "file_name": "v.csv",
    }  # fmt: skip
    notes = rows(
        lake.STAGING_NOTES,
        {**usual, "row_number": 7},
        {**usual, "row_number": 9, "plate": None, "note_code": "outside_window", "difference_km": None},
        {**usual, "row_number": 9, "date": DAY - dt.timedelta(days=1)},
    )
    with_km, without = found(audit([trip("T", "06:00", "07:00", plate=OTHER)], [], notes=notes), "Q05")
    if pd.isna(with_km["plate"]):
        with_km, without = without, with_km
    assert with_km["km_at_stake"] == Decimal("1.00")
    assert with_km["carrier_code"] == "CONLOG"
    assert "v.csv, linha 7 (veículo AAA1A11)" in with_km["explanation_pt"]
    assert pd.isna(without["km_at_stake"])


def a_change(change_id: str, finding_date: dt.date, table: str, added: int, removed: int) -> dict:
    """A change of reference data inside the cycle from 16/05/2025, which touches its days up to finding_date."""
    return {
        "change_id": change_id, "cycle_start": dt.date(2025, 5, 16), "finding_date": finding_date, "table_name": table,
        "recorded_at": at("09:00"), "first_date": dt.date(2025, 6, 1), "last_date": finding_date, "rows_added": added,
        "rows_removed": removed, "file_name": f"reference/{table}.csv", "file_sha256": "new", "previous_sha256": "old",
        "changes": '[{"contract_id": "CT1"}]', "run_id": "r", "updated_at": at("09:00"),
    }  # fmt: skip


def test_q04_names_each_change_on_the_last_day_that_it_touches_and_no_other() -> None:
    """A tariff and a place changed and touch days until DAY; a contract touches nothing after the day before."""
    changes = rows(
        facts.REFERENCE_CHANGES,
        a_change("C1", DAY, "tariffs", 2, 1),
        a_change("C2", DAY, "pois", 0, 3),
        a_change("C3", DAY - dt.timedelta(days=1), "contracts", 1, 1),
    )
    tariffs, places = sorted(found(audit([], [], reference_changes=changes), "Q04"),
                             key=lambda row: row["evidence"]["table_name"], reverse=True)  # fmt: skip
    assert "O cadastro tariffs mudou dentro do ciclo aberto de 16/05/2025" in tariffs["explanation_pt"]
    assert (
        "novas ou alteradas: 2; retiradas ou substituídas: 1; com efeito em dias de 01/06/2025 a 10/06/2025"
        in (tariffs["explanation_pt"])
    )
    assert "novas ou alteradas: 0; retiradas ou substituídas: 3" in places["explanation_pt"]
    assert tariffs["evidence"]["changes"] == [{"contract_id": "CT1"}]
    assert pd.isna(tariffs["plate"])
    assert pd.isna(tariffs["amount"])


def test_q04_without_a_change_finds_nothing() -> None:
    assert not found(audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00")]), "Q04")

import datetime as dt
from decimal import Decimal

import pandas as pd

from fleet_audit.logic.reference.validity import valid_on, vehicle_zones, vehicles_on, vehicles_on_days
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.reference import CONTRACTS, UNITS, VEHICLES
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)
UNIT = rows(
    UNITS,
    {"unit_code": "SP", "timezone": "America/Sao_Paulo"},
    {"unit_code": "MS", "timezone": "America/Campo_Grande"},
)
CONTRACT = {"contract_id": "CT", "carrier_code": "CAR", "unit_code": "SP", "valid_from": "2025-06-01"}
BUS = {"plate": "AAA1A11", "unit_code": "SP", "contract_id": "CT", "vehicle_class": "onibus", "default_area": "IND"}


def view(*vehicles: dict, contracts: tuple[dict, ...] = (CONTRACT,), day: dt.date = DAY) -> pd.DataFrame:
    return vehicles_on(rows(VEHICLES, *vehicles), rows(CONTRACTS, *contracts), UNIT, day)


def test_both_ends_of_a_validity_count_and_empty_ones_are_open() -> None:
    frame = rows(
        VEHICLES,
        {**BUS, "plate": "IN", "valid_from": "2025-06-10", "valid_to": "2025-06-10"},
        {**BUS, "plate": "OPEN"},
        {**BUS, "plate": "OVER", "valid_to": "2025-06-09"},
        {**BUS, "plate": "SOON", "valid_from": "2025-06-11"},
    )
    assert set(valid_on(frame, DAY)["plate"]) == {"IN", "OPEN"}


def test_a_vehicle_has_its_contract_s_terms_while_it_is_in_force() -> None:
    contract = {**CONTRACT, "deadhead_rule": "capped", "deadhead_cap_pct": "10"}
    row = view(BUS, contracts=(contract,)).iloc[0]
    assert (row["contract_id"], row["carrier_code"], row["deadhead_rule"]) == ("CT", "CAR", "capped")
    assert row["deadhead_cap_pct"] == Decimal("10.00")
    before = view(BUS, contracts=(contract,), day=dt.date(2025, 5, 31)).iloc[0]
    assert pd.isna(before["contract_id"])
    assert before["vehicle_class"] == "onibus"


def test_no_contract_where_the_vehicle_names_none_or_an_unknown_one() -> None:
    found = view(BUS, {**BUS, "plate": "NONE", "contract_id": None}, {**BUS, "plate": "GONE", "contract_id": "CT-9"})
    assert found.set_index("plate")["contract_id"].dropna().to_dict() == {"AAA1A11": "CT"}
    assert set(found["deadhead_rule"]) == {"unpaid"}


def test_two_valid_rows_leave_the_contract_open() -> None:
    found = view(BUS, {**BUS, "contract_id": "CT-2", "default_area": "AGR", "valid_from": "2025-06-05"})
    assert len(found) == 1
    assert pd.isna(found.iloc[0]["contract_id"])
    assert found.iloc[0]["default_area"] == "AGR"


def test_each_day_sees_its_own_rows() -> None:
    vehicles = rows(
        VEHICLES,
        {**BUS, "status": "ativo", "valid_to": "2025-06-09"},
        {**BUS, "status": "reserva", "valid_from": "2025-06-10"},
    )
    days = [DAY, dt.date(2025, 6, 9), DAY]
    found = vehicles_on_days(vehicles, rows(CONTRACTS, CONTRACT), UNIT, days)
    assert list(zip(found["operational_date"], found["status"], strict=True)) == [
        (dt.date(2025, 6, 9), "ativo"),
        (DAY, "reserva"),
    ]
    assert "operational_date" in vehicles_on_days(vehicles, rows(CONTRACTS), UNIT, []).columns


def test_without_any_vehicle_there_is_an_empty_view() -> None:
    assert len(vehicles_on(empty_frame(VEHICLES), empty_frame(CONTRACTS), empty_frame(UNITS), DAY)) == 0


def test_the_zone_is_the_unit_s_of_the_day_then_of_the_latest_row_then_sao_paulo_s() -> None:
    vehicles = rows(
        VEHICLES,
        {**BUS, "plate": "MOVED", "unit_code": "MS", "valid_to": "2025-06-09"},
        {**BUS, "plate": "MOVED", "unit_code": "SP", "valid_from": "2025-06-10"},
        {**BUS, "plate": "LATER", "unit_code": "MS", "valid_from": "2026-01-01"},
        {**BUS, "plate": "LOST", "unit_code": "XX"},
    )
    plates = pd.Series(["MOVED", "LATER", "LOST", "NEW", "MOVED"], index=[5, 6, 7, 8, 9])
    zones = vehicle_zones(plates, vehicles, UNIT, dt.date(2025, 6, 9))
    campo_grande, sao_paulo = "America/Campo_Grande", "America/Sao_Paulo"
    assert zones.tolist() == [campo_grande, campo_grande, sao_paulo, sao_paulo, campo_grande]
    assert zones.index.tolist() == plates.index.tolist()
    assert vehicle_zones(plates, vehicles, UNIT, DAY).iloc[0] == sao_paulo


def test_before_any_vehicle_is_registered_every_plate_is_in_the_zone_of_the_partition() -> None:
    zones = vehicle_zones(pd.Series(["AAA1A11"], dtype="str"), rows(VEHICLES), rows(UNITS), DAY)
    assert zones.tolist() == ["America/Sao_Paulo"]

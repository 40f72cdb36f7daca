"""Refused rows of reference tables: whom each may be about, and on which days."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.incomplete.terms import refused_terms
from fleet_audit.ingest.reference.publishing import publish
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference as reference_schema
from fleet_audit.schema.reference import INVOICES, TABLES
from fleet_audit_tests.integration.small_fleet import DAY, PAID, SEEN_TWICE, WITHOUT_CONTRACT, WITHOUT_TARIFF
from fleet_audit_tests.logic.frames import rows as rows_of

OF_UCP = sorted([PAID, SEEN_TWICE, WITHOUT_CONTRACT])
OF_CARRIER = sorted([*OF_UCP, WITHOUT_TARIFF])
PLAN = "cycle_start,plate,route_code,planned_km,planned_trips,weekdays"
INVOICE = "contract_id,cycle_start,plate,vehicle_class,billed_km,rate_brl_per_km,variable_brl,fixed_brl"
CONTRACT = "contract_id,carrier_code,unit_code,kind,valid_from"
VEHICLE = "plate,fleet_number,carrier_code,unit_code,contract_id,vehicle_class,status,valid_from,valid_to"


def _refused(arrivals, *days: dt.date) -> set[tuple[dt.date, str, str]]:
    stored = Reference.of({table.name: arrivals.warehouse.read_table(table) for table in TABLES})
    device = {"device_id": "1", "plate": PAID}
    route = {"route_code": "R1", "unit_code": "UCP"}
    known = stored.with_tables(
        devices=rows_of(reference_schema.DEVICES, device), routes=rows_of(reference_schema.ROUTES, route)
    )
    found = refused_terms(arrivals.warehouse, known, days)
    return {(row.operational_date, row.source, row.plate) for row in found.itertuples()}


@pytest.mark.parametrize(
    ("table", "header", "row", "plates"),
    [
        ("km_plan", PLAN, f"2025-05-16,{PAID},R1,x,31,", [PAID]),
        ("km_plan", PLAN, "2025-05-16,aaa-1011,R1,x,31,", [PAID]),
        ("km_plan", PLAN, "2025-05-16,AAA1A1,R1,900,31,", [PAID]),
        ("km_plan", PLAN, "2025-05-16,ZZZ9Z9,R1,900,31,", OF_UCP),
        ("km_plan", PLAN, "2025-05-16,ZZZ9Z9,,900,31,", [""]),
        ("km_plan", PLAN, f"16/05/25 ?,{PAID},,900,31,", [PAID]),
        ("invoices", INVOICE, f"CT-1,2025-05-16,{PAID},onibus,x,4.90,100,", [PAID]),
        ("invoices", INVOICE, "CT-1,2025-05-16,AAA1A1O,onibus,10,4.90,100,", [PAID]),
        ("invoices", INVOICE, "CT-1,2025-05-16,AAAIAII,onibus,10,4.90,100,", [PAID]),
        ("invoices", INVOICE, "CT-1,2025-05-16,ZZZ9Z9,onibus,10,4.90,100,", OF_CARRIER),
        ("invoices", INVOICE, "ct-1,2025-05-16,ZZZ9Z9,onibus,10,4.90,100,", OF_CARRIER),
        ("vehicles", VEHICLE, "AAA1A1O,1,UM,UCP,CT-1,onibus,ativo,2025-06-01,", [PAID]),
        ("vehicles", VEHICLE, "ZZZ9Z99,1,UM,UCP,CT-1,onibus,vendido,2025-01-01,", ["ZZZ9Z99"]),
        ("devices", "device_id,plate,valid_from,valid_to", f"1,{SEEN_TWICE},2025-06-32,", [PAID, SEEN_TWICE]),
        ("contracts", CONTRACT, "CT-1,UM,UCP,aluguel,2025-01-01", OF_CARRIER),
        ("pois", "poi_id,unit_code,kind,latitude,longitude,valid_from", "F,UMS,frente,-22,-95x,", [WITHOUT_TARIFF]),
        ("pois", "poi_id,unit_code,kind,latitude,longitude,valid_from", "F,,Frente,-22,-95x,", [""]),
        ("pois", "poi_id,unit_code,kind,latitude,longitude,valid_from", "F,ums,frente,-22,-95x,", [WITHOUT_TARIFF]),
        ("routes", "route_code,unit_code,name,expected_km", "R9,UCP,Usina por fora,x", OF_UCP),
        ("calendar", "date,unit_code,day_type", "2025-06-10,UCP,festa", OF_UCP),
        ("calendar", "date,unit_code,day_type", "2025-06-10,U?P,festa", [""]),
        ("shifts", "unit_code,shift_code,start_local,end_local,weekdays", "UMS,A,25:00,08:00,1-5", [WITHOUT_TARIFF]),
    ],
)  # fmt: skip
def test_a_refused_row_is_about_whom_it_names(arrivals, table, header, row, plates):
    arrivals.drop(f"reference/{table}.csv", f"{header}\n{row}\n".encode())
    arrivals.read()
    assert _refused(arrivals, DAY) == {(DAY, table, plate) for plate in plates}


@pytest.mark.parametrize(
    ("table", "header", "row"),
    [
        ("contracts", CONTRACT, "TOTAL,,,,"),
        ("contracts", CONTRACT, "CT-9,UM,UCP,aluguel,2025-01-01"),
        ("vehicles", VEHICLE, "Total de veículos,2,,,,,,,"),
        ("vehicles", VEHICLE, "ZZZ9Z9,1,UM,UCP,CT-1,onibus,ativo,2025-01-01,"),
        ("devices", "device_id,plate,valid_from,valid_to", "Total: 2,,,"),
        ("pois", "poi_id,unit_code,kind,latitude,longitude,valid_from", "Fonte: cadastro mestre,,,,,"),
        ("shifts", "unit_code,shift_code,start_local,end_local,weekdays", "XX,A,25:00,08:00,1-5"),
        ("tariffs", "contract_id,vehicle_class,rate_brl_per_km,valid_from", "Emitido em 09/06/2025 por Maria,,,"),
        ("calendar", "date,unit_code,day_type", "Observação: feriados a confirmar,,"),
        ("km_plan", PLAN, "2025-05-16,TOTAL,,1200,62,"),
        ("km_plan", PLAN, ",,R1,900,31,"),
        ("invoices", INVOICE, "CT-1,2025-05-16,TOTAL,,1200,,5880.00,"),
        ("invoices", INVOICE, "CT-1,2025-05-16,Total 31,,1200,,5880.00,"),
        ("carriers", "carrier_code,name", ",2 transportadoras"),
    ],
)  # fmt: skip
def test_a_total_or_a_note_below_a_table_excuses_nobody(arrivals, table, header, row):
    """`TOTAL` below the contracts once left D01, D02 and D03 untested on the whole fleet."""
    arrivals.drop(f"reference/{table}.csv", f"{header}\n{row}\n".encode())
    arrivals.read()
    assert not _refused(arrivals, DAY)


def test_rows_of_several_vehicles_stand_beside_one_that_names_nobody(arrivals):
    rows = ["2025-05-16,ZZZ9Z9,R1,900,31,", "2025-05-16,ZZZ9Z9,,900,31,", f"2025-05-16,{WITHOUT_TARIFF},R1,x,31,"]
    arrivals.drop("reference/km_plan.csv", "\n".join([PLAN, *rows, ""]).encode())
    arrivals.read()
    assert _refused(arrivals, DAY) == {(DAY, "km_plan", plate) for plate in ["", *OF_CARRIER]}


def test_a_refused_row_counts_on_its_days_and_until_the_file_is_corrected(arrivals):
    """The second row of a plan has the key of the first; a row of the cycle before, and a holiday of another day."""
    rows = [f"2025-05-16,{PAID},R1,900,31,", f"2025-05-16,{PAID},R1,100,4,", f"2025-04-16,{SEEN_TWICE},R1,x,31,"]
    arrivals.drop("reference/km_plan.csv", "\n".join([PLAN, *rows, ""]).encode())
    arrivals.drop("reference/calendar.csv", b"date,unit_code,day_type\n2025-06-10,UCP,festa\n")
    arrivals.read()
    last, first = dt.date(2025, 6, 15), dt.date(2025, 5, 16)
    assert {entry for entry in _refused(arrivals, first, last) if entry[1] == "km_plan"} == {
        (first, "km_plan", PAID),
        (last, "km_plan", PAID),
    }
    outside = _refused(arrivals, dt.date(2025, 6, 16), dt.date(2025, 5, 15))
    assert outside == {(dt.date(2025, 5, 15), "km_plan", SEEN_TWICE)}
    arrivals.drop("reference/km_plan.csv", "\n".join([PLAN, rows[0], ""]).encode())
    arrivals.read()
    assert {source for _, source, _ in _refused(arrivals, first, last, DAY)} == {"calendar"}


def test_credit_notes_of_a_later_version_are_in_force_beside_their_lines(arrivals):
    """Such a version was refused whole, and its carrier accused by the one before."""
    rows = [f"CT-1,2025-05-16,{PAID},onibus,100,5,500.00,", f"CT-1,2025-05-16,{PAID},onibus,-10,5,-50.00,"]
    rows += [f"CT-1,2025-05-16,{PAID},onibus,-2,5,-10.00,", "CT-1,2025-05-16,,,,,-7.00,"]
    for version in (rows[:1], rows):
        arrivals.drop("reference/invoices.csv", "\n".join([INVOICE, *version, ""]).encode())
        arrivals.read()
        files = ParsedFiles(arrivals.lake, arrivals.warehouse, arrivals.settings, arrivals.warnings.append)
        published = publish(files, "a-run")
        assert not published.refused
    arrivals.warehouse.replace_table(INVOICES, published.in_force["invoices"].rows)
    stored = arrivals.warehouse.read("select sum(variable_brl) as brl, count(*) as lines from ref.invoices")
    assert stored.to_numpy().tolist() == [[Decimal("433.00"), 4]]
    assert not _refused(arrivals, DAY)

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.formats.parsed import ParsedFile, RejectedFile
from fleet_audit_tests.formats.samples import REAL_DAY, VEHICLES, read, reasons, workbook

TARIFFS = "tariff_id,contract_id,route_code,vehicle_class,area,regime,rate_brl_per_km,valid_from,valid_to\n"
POIS = (
    "poi_id,unit_code,name,kind,latitude,longitude,radius_m,polygon_wkt,address_pattern,valid_from,valid_to\n"
    'P1,U,Nome,usina,-22.5,-52.1,{radius},"{wkt}",,,\n'
)


def reference(name: str, text: str):
    return read("reference", text.encode(), f"{name}.csv")


def test_vehicles_are_typed_and_normalised():
    parsed = reference("vehicles", VEHICLES)
    first, second = parsed.rows.to_dict("records")
    assert (first["plate"], first["seats"], first["valid_from"]) == ("KPU9A36", 46, dt.date(2025, 1, 1))
    assert (second["vehicle_class"], second["valid_from"]) == ("onibus", dt.date(2025, 1, 1))
    assert parsed.rows["titular_plate"].isna().all()
    assert parsed.rows["valid_to"].isna().all()


def test_a_workbook_has_the_same_cells():
    header, row, _ = VEHICLES.splitlines()
    cells: list[object] = [*row.split(",")]
    cells[7], cells[9] = 46, dt.date(2025, 1, 1)
    parsed = read("reference", workbook([header.split(","), cells]), "vehicles.xlsx")
    expected = read("reference", f"{header}\n{row}\n".encode(), "vehicles.csv")
    pd.testing.assert_frame_equal(parsed.rows, expected.rows)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("KPU-9A36", "KPU-9", "bad_plate"),
        ("onibus", "caminhao", "bad_value"),
        ("46,ativo", "-1,ativo", "negative_value"),
        ("46,ativo", "muitos,ativo", "bad_number"),
        ("2025-01-01", "2025-02-30", "bad_date"),
        (",2025-01-01,", ",2025-01-01,2024-12-31", "bad_period"),
        (",UCP,", ",,", "missing_value"),
    ],
)
def test_a_bad_row_is_rejected_alone(old: str, new: str, code: str):
    parsed = reference("vehicles", VEHICLES.replace(old, new, 1))
    assert reasons(parsed) == [(2, code)]
    assert len(parsed.rows) == 1


@pytest.mark.parametrize(
    "end", ["9999-12-31", "31/12/9999", "31.12.9999", "2999-12-31", "9999-12-31 00:00:00", "31/12/2099"]
)
def test_a_period_that_an_erp_ends_in_2099_or_9999_has_no_end(end: str):
    parsed = reference("vehicles", VEHICLES.replace(",2025-01-01,", f",01/03/1998,{end}", 1))
    first = parsed.rows.iloc[0]
    assert (first["valid_from"], pd.isna(first["valid_to"])) == (dt.date(1998, 3, 1), True)
    assert reasons(parsed) == []


@pytest.mark.parametrize("end", ["2205-12-31", "00/00/0000", "31/12/1899"])
def test_no_other_end_beyond_the_century_is_taken_for_none(end: str):
    assert reasons(reference("vehicles", VEHICLES.replace(",2025-01-01,", f",2025-01-01,{end}", 1))) == [
        (2, "bad_date")
    ]


def vehicles(*periods: tuple[str, str]) -> ParsedFile:
    head, row = VEHICLES.splitlines()[:2]
    rows = [
        row.replace("KPU-9A36", f"KPU9A{at:02d}").replace("2025-01-01,", f"{first},{last}")
        for at, (first, last) in enumerate(periods)
    ]
    return reference("vehicles", "\n".join([head, *rows]))


def test_the_days_of_all_columns_say_together_that_the_month_stands_first():
    """A period from the first of June began in January: its column alone shows no month beyond twelve."""
    parsed = vehicles(("06/01/2025", ""), ("01/01/2025", "05/31/2025"))
    assert parsed.rows.empty
    assert "valid_from is '06/01/2025', one of two days" in parsed.rejected["reason"].iloc[0]


@pytest.mark.parametrize("end", ["31/12/2099", "31-12-9999", ""])
def test_ends_that_mean_none_leave_a_month_first_file_month_first(end: str):
    """Beside 05/16/2025, 06/01/2025 is the first of June; 31/12/2099 twice made it the sixth of January."""
    parsed = vehicles(("05/16/2025", end), ("06/01/2025", end))
    assert parsed.rows.empty
    assert "valid_from is '06/01/2025', one of two days" in parsed.rejected["reason"].iloc[1]


def test_one_month_beyond_twelve_among_ends_that_are_day_first_refuses_one_vehicle():
    parsed = vehicles(*[("01/05/2025", "31/05/2025")] * 20, *[("01/15/2025", "31/05/2025")] * 3)
    assert len(parsed.rows) == 20


def test_an_empty_date_of_a_spreadsheet_is_no_day_of_the_calendar():
    parsed = reference("calendar", "date,unit_code,day_type\n1900-01-01,UCP,feriado\n2025-06-19,UCP,feriado\n")
    assert reasons(parsed) == [(2, "bad_date")]


@pytest.mark.parametrize("written", ["'KPU-9A36", '"=""KPU9A36"""', "'KPU 9A36"])
def test_a_plate_guarded_against_the_spreadsheet_is_that_plate(written: str):
    parsed = reference("vehicles", VEHICLES.replace("KPU-9A36", written, 1))
    assert parsed.rows["plate"].iloc[0] == "KPU9A36"


def test_overlapping_validity_refuses_the_later_row_and_names_both():
    header, row, _ = VEHICLES.splitlines()
    closed = row.replace("2025-01-01,", "2025-01-01,2025-06-30")
    text = "\n".join(
        [header, closed, row.replace("2025-01-01", "2025-07-01"), row.replace("2025-01-01", "2025-06-30"), closed, ""]
    )
    parsed = reference("vehicles", text)
    assert reasons(parsed) == [(4, "overlapping_validity")]
    assert "Row 4 and row 2" in parsed.rejected["reason"].iloc[0]
    assert (len(parsed.rows), parsed.rows_duplicate, parsed.rows_read) == (2, 1, 4)


def test_same_key_with_other_content_refuses_the_later_row():
    parsed = reference("carriers", "carrier_code,name\nA,Um\nB,Dois\nA,Outro\nB,Dois\n")
    assert reasons(parsed) == [(4, "duplicate_key")]
    assert (len(parsed.rows), parsed.rows_duplicate) == (2, 1)


def test_decimal_comma_is_accepted_with_semicolons_only():
    row = "T1,CT,,onibus,IND,,4.9055,2025-01-01,\n"
    assert reference("tariffs", TARIFFS + row).rows["rate_brl_per_km"].iloc[0] == Decimal("4.9055")
    semicolons = (TARIFFS + row).replace(",", ";").replace("4.9055", "54,90")
    assert reference("tariffs", semicolons).rows["rate_brl_per_km"].iloc[0] == Decimal("54.9000")
    assert reasons(reference("tariffs", TARIFFS + row.replace("4.9055", '"4,90"'))) == [(2, "bad_number")]


def test_money_is_never_rounded_on_the_way_in():
    parsed = reference("tariffs", TARIFFS + "T1,CT,,,,,4.90551,,\nT2,CT,,,,,4.90550,,\n")
    assert reasons(parsed) == [(2, "bad_number")]
    assert len(parsed.rows) == 1


def test_a_tariff_file_without_a_key_column_is_refused():
    with pytest.raises(RejectedFile, match="vehicle_class is missing"):
        reference("tariffs", TARIFFS.replace("vehicle_class,", ""))


def test_missing_nullable_column_is_null_and_reported():
    parsed = reference("km_plan", "cycle_start,plate,route_code,planned_km\n2025-06-16,KPU9A36,R1,100.5\n")
    assert parsed.rows["planned_trips"].isna().all()
    assert "planned_trips" in parsed.warnings[0]


@pytest.mark.parametrize(
    ("wkt", "codes"),
    [
        ("POLYGON ((-52 -22, -51 -22, -51 -21, -52 -22))", []),
        ("POLYGON ((-52 -22, -51", [(2, "bad_polygon")]),
        ("POINT (-52 -22)", [(2, "bad_polygon")]),
        pytest.param("GEOMETRYCOLLECTION (" * 300_000, [(2, "bad_polygon")], id="nested until the parser crashes"),
        ("POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", [(2, "bad_polygon")]),
        ("POLYGON ((-52 -122, -51 -22, -51 -21, -52 -122))", [(2, "out_of_range")]),
    ],
)
def test_polygons_must_be_sound(wkt: str, codes: list[tuple[int, str]]):
    assert reasons(reference("pois", POIS.format(radius=100, wkt=wkt))) == codes


def test_shifts_and_time_zones():
    header = "unit_code,shift_code,start_local,end_local,weekdays,tolerance_min\n"
    rows = 'U,A,7:00,24:00,"1, 3,5",90\nU,B,7x,8:00,1-5,90\nU,C,07:00,08:00,seg,90\n'
    parsed = reference("shifts", header + rows)
    assert parsed.rows[["start_local", "end_local", "weekdays"]].values.tolist() == [["07:00", "00:00", "1,3,5"]]
    assert reasons(parsed) == [(3, "bad_time"), (4, "bad_value")]
    zones = reference("units", "unit_code,name,timezone,cost_center\nU,N,America/Cuiaba,\nV,N,Brasilia,\nW,N,../x,\n")
    assert reasons(zones) == [(3, "bad_value"), (4, "bad_value")]


def test_a_rejected_driver_is_quarantined_without_the_name():
    parsed = reference("drivers", "driver_id,name,carrier_code,is_maintenance\nd1,Maria Souza,C,talvez\n")
    assert reasons(parsed) == [(2, "bad_flag")]
    assert "Maria" not in parsed.rejected.to_csv()


def test_unknown_table_is_refused():
    with pytest.raises(RejectedFile, match="'prices' is not a reference table"):
        reference("prices", "a,b\n")


@pytest.mark.skipif(not REAL_DAY.exists(), reason="the real day is not beside the repository")
def test_real_reference_tables():
    counts = {}
    for path in sorted((REAL_DAY / "inbox/reference").glob("*.csv")):
        parsed = read("reference", path.read_bytes(), path.name)
        assert parsed.status == "accepted"
        counts[path.stem] = len(parsed.rows)
    assert counts == {
        "calendar": 1,
        "carriers": 1,
        "contracts": 1,
        "devices": 12,
        "drivers": 0,
        "exceptions": 0,
        "fixed_costs": 12,
        "km_plan": 0,
        "pois": 21,
        "routes": 2,
        "shifts": 4,
        "tariffs": 6,
        "units": 1,
        "vehicles": 12,
    }


def test_each_rate_of_a_vehicle_is_an_invoice_line_and_one_rate_is_one_line():
    header = "contract_id,cycle_start,plate,vehicle_class,billed_km,rate_brl_per_km,variable_brl\n"
    line = "CT,2025-05-16,KPU9A36,onibus,100,4.90,490\n"
    dearer, otherwise = line.replace("4.90,490", "5.30,530"), line.replace("100,4.90,490", "90,4.90,441")
    parsed = reference("invoices", header + line + dearer + otherwise + line)
    assert parsed.rows["rate_brl_per_km"].tolist() == [Decimal("4.9000"), Decimal("5.3000")]
    assert (reasons(parsed), parsed.rows_duplicate) == ([(4, "duplicate_key")], 1)


INVOICE = "contract_id,cycle_start,plate,vehicle_class,billed_km,rate_brl_per_km,variable_brl,fixed_brl"
LINE = "CT-1,2025-05-16,AAA1A11,onibus,100,5,500.00,"


@pytest.mark.parametrize(
    "note",
    [
        "CT-1,2025-05-16,AAA1A11,onibus,-10,5,-50.00,",
        "CT-1,2025-05-16,AAA1A11,onibus,-10,5,,",
        "CT-1,2025-05-16,AAA1A11,onibus,,5,,-50.00",
        "CT-1,2025-05-16,,,,,-50.00,",
    ],
)
def test_a_credit_note_stands_beside_the_line_that_it_corrects(note: str) -> None:
    """With the class and rate of its line it was refused, and with it the new version of the invoices."""
    for rows in ([LINE, note], [note, LINE], [LINE, note, note.replace("-50.00", "-60.00").replace("-10", "-12")]):
        parsed = reference("invoices", "\n".join([INVOICE, *rows, ""]))
        assert len(parsed.rows) == len(rows)
        assert parsed.rejected.empty


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("CT-1,2025-05-16,AAA1A11,onibus,-10,5,50.00,", "negative_value"),
        ("CT-1,2025-05-16,AAA1A11,onibus,-10,,,", "negative_value"),
        ("CT-1,2025-05-16,,,100,,500.00,", "missing_value"),
        ("CT-1,2025-05-16,AAA1A11,onibus,110,5,550.00,", "duplicate_key"),
        ("CT-1,2025-05-16,AAA1A1O,onibus,-10,5,-50.00,", "bad_plate"),
    ],
)
def test_what_is_no_credit_note_and_no_line_of_an_invoice_is_refused_alone(row: str, code: str) -> None:
    parsed = reference("invoices", "\n".join([INVOICE, LINE, row, ""]))
    assert len(parsed.rows) == 1
    assert parsed.rejected["reason_code"].tolist() == [code]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("18.500", "ambiguous_number"),
        ("18,500", "ambiguous_number"),
        ("18.500,00", Decimal("18500.00")),
        ("18,500.00", Decimal("18500.00")),
        ("R$ 18.500,00", Decimal("18500.00")),
        ("18500", Decimal("18500.00")),
        ("1.018.500", "above R$ 500,000.00"),
        ("18500,5", Decimal("18500.50")),
    ],
)
@pytest.mark.parametrize("separator", [";", "workbook"])
def test_money_with_two_readings_is_refused_by_row_and_column(amount: str, expected: object, separator: str):
    rows = [
        ["contract_id", "plate", "amount_brl_per_month", "valid_from", "valid_to"],
        ["CT", "KPU9A36", amount, "", ""],
    ]
    if separator == ";":
        parsed = read("reference", "\n".join(";".join(row) for row in [*rows, []]).encode(), "fixed_costs.csv")
    else:
        parsed = read("reference", workbook([[*row] for row in rows]), "fixed_costs.xlsx")
    if isinstance(expected, str):
        assert len(parsed.rows) == 0
        reason = parsed.rejected["reason"].iloc[0]
        assert reason.startswith(f"amount_brl_per_month is '{amount}', {expected.removesuffix('_number')}")
    else:
        assert parsed.rows["amount_brl_per_month"].to_list() == [expected]


@pytest.mark.parametrize(("rate", "is_refused"), [("490", True), ("4900", True), ("99.99", False), ("4.900", False)])
def test_a_price_in_centavos_is_refused(rate: str, is_refused: bool):
    """It was paid, a hundred times over."""
    parsed = reference("tariffs", TARIFFS + f"T1,CT,,onibus,IND,,{rate},2025-01-01,\n")
    assert reasons(parsed) == ([(2, "out_of_range")] if is_refused else [])
    assert all("write reais, not centavos" in reason for reason in parsed.rejected["reason"])


def test_the_price_of_an_invoice_is_a_claim_and_read_as_written():
    header = "contract_id,cycle_start,plate,vehicle_class,billed_km,rate_brl_per_km,variable_brl,fixed_brl\n"
    parsed = reference("invoices", header + "CT,2025-05-16,KPU9A36,onibus,100,490,49000.00,\n")
    assert parsed.rows["rate_brl_per_km"].tolist() == [Decimal("490.0000")]


CONTRACTS = (
    "contract_id,carrier_code,unit_code,kind,deadhead_rule,deadhead_cap_pct,trip_tolerance_pct,trip_tolerance_km,"
    "day_tolerance_pct,cycle_tolerance_pct,valid_from,valid_to\nCT,C,U,contrato,unpaid,,{},1,{},{},2025-01-01,\n"
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (("10%", "10 %", "5%"), ["10.00", "10.00", "5.00"]),
        (("0.5%", "0.5%", "0.5%"), ["0.50", "0.50", "0.50"]),
        (("10", "10", "0.5"), ["10.00", "10.00", "0.50"]),
        (("0", "0", "0"), ["0.00", "0.00", "0.00"]),
        (("0.1", "0.1", "0.05"), None),
        (("0.1", "", "0"), None),
    ],
)
def test_percentages_that_a_spreadsheet_keeps_as_fractions_are_refused(written: tuple[str, ...], expected: object):
    """10 % of a cell with that format is 0.1: as a tolerance of 0.1 % it accused every carrier."""
    parsed = reference("contracts", CONTRACTS.format(*written))
    if expected is None:
        assert set(reasons(parsed)) == {(2, "ambiguous_number")}
        assert parsed.rejected["reason"].str.contains("write ten per cent as 10").all()
    else:
        names = ["trip_tolerance_pct", "day_tolerance_pct", "cycle_tolerance_pct"]
        assert parsed.rows.loc[0, names].tolist() == [Decimal(text) for text in expected]


def test_a_code_with_an_apostrophe_before_it_is_the_code():
    parsed = reference("devices", "device_id,plate,valid_from,valid_to\n'351234567890123,KPU9A36,2025-01-01,\n")
    assert parsed.rows["device_id"].tolist() == ["351234567890123"]


def test_three_decimals_of_money_are_ambiguous_in_a_comma_file_too_and_those_of_a_rate_are_not():
    costs = "contract_id,plate,amount_brl_per_month,valid_from,valid_to\nCT,LRC4A69,18.500,,\nCT,KPU9A36,18500.00,,\n"
    assert reasons(reference("fixed_costs", costs)) == [(2, "ambiguous_number")]
    rates = reference("tariffs", TARIFFS + "T1,CT,,,,,4.905,,\n")
    assert rates.rows["rate_brl_per_km"].iloc[0] == Decimal("4.9050")


def test_a_radius_of_thousands_has_one_reading_where_all_decimals_have_commas():
    """POIs as a Brazilian spreadsheet saves them: a refused mill would take the price off its trips."""
    text = POIS.format(radius="1.200", wkt="").replace(",", ";").replace("-22.5", "-22,53").replace("-52.1", "-52,105")
    row = reference("pois", text).rows.iloc[0]
    assert (row["latitude"], row["longitude"], row["radius_m"]) == (-22.53, -52.105, 1200)
    mixed = text.replace("-22,53", "-22.53")
    assert reasons(reference("pois", mixed)) == [(2, "ambiguous_number")]
    row = reference("pois", mixed.replace("1.200", "1200").replace("-22.53", "-22.531")).rows.iloc[0]
    assert row["latitude"] == -22.531, "22531 degrees are not a second reading"


def test_rounded_ids_and_repeated_headers():
    devices = 'device_id,plate,valid_from,valid_to\n"3,51E+14",KPU9A36,,\ndevice_id,plate,valid_from,valid_to\n23,,,\n'
    parsed = reference("devices", devices)
    assert (2, "spoilt_id") in reasons(parsed)
    assert (parsed.rows_read, parsed.rows_ignored) == (2, 1)


def test_days_of_a_workbook_that_lost_their_format():
    header, row, _ = VEHICLES.splitlines()
    cells: list[object] = [*row.split(",")]
    cells[9] = 44196  # 31/12/2020, or 01/01/2025 where days count from 1904
    for is_1904, expected in ((False, dt.date(2020, 12, 31)), (True, dt.date(2025, 1, 1))):
        parsed = read("reference", workbook([header.split(","), cells], date_1904=is_1904), "vehicles.xlsx")
        assert parsed.rows["valid_from"].to_list() == [expected]


EXCEPTIONS = "exception_id,rule_id,plate,carrier_code,unit_code,route_code,date_from,date_to,reason,approved_by\n"


@pytest.mark.parametrize(
    ("row", "code", "sentence"),
    [
        ("E1,,,,,,2025-06-01,2025-06-30,obra,gestor", "unlimited_exception", "covers everything: name at least one of"),
        ("E1,G07,,UM,,,2025-06-01,,obra,gestor", "unlimited_exception", "has no end: write its last day in date_to"),
        ("E1,G07,,UM,,,2025-06-01,9999-12-31,obra,gestor", "bad_date", "9999-12-31"),
        ("E1,G07,,UM,,,2025-06-01,2025-06-30,obra,", "missing_value", "approved_by is empty"),
        ("E1,G07,,UM,,,2025-06-01,2025-06-30,,gestor", "missing_value", "reason is empty"),
        ("E1,G07,,UM,,,2025-07-01,2025-06-30,obra,gestor", "bad_period", "date_to lies before date_from"),
        ("E1,G07,ABC,,,,2025-06-01,2025-06-30,obra,gestor", "bad_plate", "ABC"),
        ("E1,D1,,UM,,,2025-06-01,2025-06-30,obra,gestor", "bad_value", "rule_id is 'D1', not one rule, such as D01"),
        ("E1,D01; D02,,UM,,,2025-06-01,2025-06-30,obra,gestor", "bad_value", "'D01; D02', not one rule"),
    ],
)
def test_an_exception_is_limited_approved_and_explained_or_refused(row: str, code: str, sentence: str):
    good = "E2,,,UM,,,2025-06-01,2025-06-30,obra,gestor\n"
    parsed = reference("exceptions", EXCEPTIONS + row + "\n" + good)
    assert reasons(parsed) == [(2, code)]
    assert sentence in parsed.rejected["reason"].iloc[0]
    assert parsed.rows["exception_id"].to_list() == ["E2"]


def test_the_rule_of_an_exception_may_be_written_in_any_case():
    row = "E1,d01,,UM,,,2025-06-01,2025-06-30,obra,gestor\n"
    assert reference("exceptions", EXCEPTIONS + row).rows["rule_id"].to_list() == ["D01"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("trip_tolerance,8,,", "trip_tolerance is not a parameter (did you mean trip_tolerance_km?)"),
        ("trip_tolerance_pct,8000,,", "trip_tolerance_pct is 8000 %, outside of 0 to 1000."),
        ("forecast_alpha,1.5,,", "forecast_alpha is 1.5 factor, outside of 0 to 1."),
    ],
)
def test_a_parameter_that_no_rule_has_or_outside_of_its_limits_is_refused_alone(row: str, sentence: str):
    parsed = reference("parameters", f"name,value,valid_from,valid_to\n{row}\nagree_km,0.4,,\n")
    assert reasons(parsed) == [(2, "out_of_range")]
    assert sentence in parsed.rejected["reason"].iloc[0]
    assert parsed.rows["name"].to_list() == ["agree_km"]


def test_a_review_of_a_sampled_trip_says_km_or_reais():
    parsed = reference(
        "sample_reviews",
        "cycle_start,trip_id,audited_km,audited_brl,reviewer,note\n"
        "2025-05-16,a1,10.5,,Ana,\n2025-05-16,a2,,52.50,Ana,rota\n2025-05-16,a3,,,Ana,\n2025-05-16,a4,-1,,Ana,\n"
        "2025-05-16,a1,9,,Bia,\n2025-05-16,a5,1,,,\n",
    )
    assert sorted(reasons(parsed)) == [
        (4, "missing_value"), (5, "negative_value"), (6, "duplicate_key"), (7, "missing_value"),
    ]  # fmt: skip
    assert parsed.rows["trip_id"].to_list() == ["a1", "a2"]

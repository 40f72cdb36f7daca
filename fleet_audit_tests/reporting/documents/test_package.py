"""The measurement package: its columns, footers to the cent, nothing twice, nothing lost, the unknown said."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.closing.admitted_km import admitted_km
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.documents.cycle import build_cycle
from fleet_audit.reporting.documents.package import Package, build_package
from fleet_audit.reporting.formats.package_files import render_package
from fleet_audit.reporting.locale import money
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.sheets.disallowed import disallowed_grid
from fleet_audit.reporting.sections.sheets.waterfall import waterfall_grid
from fleet_audit.schema import facts, reference
from fleet_audit.schema.facts.columns import AMOUNTS
from fleet_audit_tests.logic.costs.test_waterfall import DAY, cost, facts_of, finding, match, trip
from fleet_audit_tests.reporting.sample import GENERATED_AT, build, fleet, settled
from fleet_audit_tests.reporting.spreadsheet import Recalculated

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
SHEETS = ["MEDIÇÃO - AGRÍCOLA", "MEDIÇÃO - ADM-INDÚSTRIA", "RESUMO DA OPERAÇÃO", "CUSTO POR VEÍCULO",
          "KM DIÁRIO COMPILADO", "GLOSAS", "CASCATA", "MEMÓRIA DE CÁLCULO", "PARÂMETROS", "AJUSTES"]  # fmt: skip
AREAS = SHEETS[:2]
CONTRACT = ["Unidade", "Empresa", "Operação", "Período", "Placa", "Frota", "Rota do Veículo", "Turnos Atendidos",
            "Regime", "Contrato/Spot", "Tipo do Veículo", "Km Rodado", "Custo Variável", "Total Variável", "Custo Fixo",
            "Parcela", "Total Mensal (A Faturar)"]  # fmt: skip
MORE = ["Km de Serviço", "Km Vazios Pagos", "Contrato", "Tarifas", "Centro de Custo", "Linha (id)"]
FOOTERS = ["Total Km's", "Total Variável", "Total Fixo", "Total a Faturar"]


def package(frames: Frames, **options: object) -> Package:
    return build_package(settled(frames, CYCLE), cycle=CYCLE, generated_at=GENERATED_AT, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return fleet(16, days=5, first=CYCLE.start)


def test_a_cycle_in_which_nothing_was_seen_says_so_of_every_vehicle_and_bills_nothing() -> None:
    whole = fleet(4, days=3, first=CYCLE.start)
    dark = Frames(
        coverage=whole.coverage.assign(status="silent"),
        units=whole.units, carriers=whole.carriers, vehicles=whole.vehicles,
    )  # fmt: skip
    made = render_package(package(dark))
    _, *days = table(made["pacote_medicao.xlsx"], "KM DIÁRIO COMPILADO")
    assert len(days) == whole.coverage["plate"].nunique() + 1  # and the sums
    assert {cell for row in days[:-1] for cell in row[4:7]} == {"s/d"}
    assert table(made["pacote_medicao.xlsx"], "GLOSAS")[1:] == []


def test_a_cycle_closed_before_lines_were_kept_says_so_and_shows_no_zeros() -> None:
    old = fleet(4, days=3, first=CYCLE.start)
    costs = old.trip_costs.assign(billing_area=None, vehicle_class=None).astype(old.trip_costs.dtypes)
    old = replace(old, trip_costs=costs)  # as a database of that version has them
    closed = Closing("final", dt.datetime(2025, 6, 18, 12, tzinfo=dt.UTC), total_variable_brl=Decimal("900.10"),
                     total_fixed_brl=Decimal("100.00"))  # fmt: skip
    made = build_package(old, cycle=CYCLE, generated_at=GENERATED_AT, closing=closed)
    assert [sheet.name for sheet in made.sheets] == SHEETS
    book = openpyxl.load_workbook(io.BytesIO(render_package(made)["pacote_medicao.xlsx"]))
    for name in (*SHEETS[:4], "CASCATA", "MEMÓRIA DE CÁLCULO"):
        assert book[name]["A5"].value.startswith("Este ciclo foi fechado em 18/06/2025 por uma versão do sistema")
        assert money(Decimal("1000.10")) in book[name]["A5"].value
        assert all(cell.value is None for row in book[name].iter_rows(min_row=7) for cell in row)
    report = build_cycle(old, cycle=CYCLE, generated_at=GENERATED_AT, closing=closed)
    waterfall = next(section for section in report.document.sections if section.key == "waterfall")
    assert not waterfall.grid.rows
    assert waterfall.empty.startswith("Este ciclo foi fechado")


def test_admitted_km_are_those_with_a_cost_in_the_report_and_in_the_package(frames: Frames) -> None:
    """By route the report counted those of trips without a price too, and the package did not."""
    report = build_cycle(frames, cycle=CYCLE, generated_at=GENERATED_AT)
    by_route = next(section.grid for section in report.document.sections if section.key == "routes")
    billed = [km for name in AREAS for km in package(frames).sheet(name).grid.column("km") if km is not None]
    assert by_route.total is not None
    assert by_route.total[[entry.name for entry in by_route.fields].index("billable_km")] == sum(billed)
    unpriced = replace(frames, trip_costs=frames.trip_costs.assign(variable_cost_brl=None))
    report = build_cycle(unpriced, cycle=CYCLE, generated_at=GENERATED_AT)
    by_route = next(section.grid for section in report.document.sections if section.key == "routes")
    assert set(by_route.column("billable_km")) == {None}


@pytest.fixture(scope="module")
def files(frames: Frames) -> dict[str, bytes]:
    return render_package(package(frames))


def table(data: bytes, name: str) -> list[list[object]]:
    """Header and the rows under it, down to the first empty row."""
    rows = list(openpyxl.load_workbook(io.BytesIO(data), data_only=True)[name].iter_rows(min_row=6, values_only=True))
    end = next((index for index, row in enumerate(rows) if not any(value is not None for value in row)), len(rows))
    return [list(row) for row in rows[:end]]


def footers(book: Recalculated, data: bytes, name: str) -> dict[str, Decimal]:
    """Label → computed value of the lines below a sheet's table."""
    sheet = openpyxl.load_workbook(io.BytesIO(data))[name]
    found = {}
    for row in sheet.iter_rows(min_row=6):
        label, value = row[len(CONTRACT) - 2], row[len(CONTRACT) - 1]
        if label.value in FOOTERS and value.data_type == "f":
            found[label.value] = book.value(name, value.coordinate)
    return found


def total(values: pd.Series) -> Decimal:
    return sum((Decimal(str(value)) for value in values.dropna()), Decimal(0))


def test_sheets_and_columns_are_those_of_the_contract(files: dict[str, bytes]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(files["pacote_medicao.xlsx"]))
    assert book.sheetnames == SHEETS
    for name in AREAS:
        assert table(files["pacote_medicao.xlsx"], name)[0] == [*CONTRACT, *MORE]
    assert len(files) == 1 + len(SHEETS)


def test_computed_anew_both_areas_are_what_the_engine_says_to_the_cent(frames: Frames, files: dict[str, bytes]) -> None:
    data = files["pacote_medicao.xlsx"]
    book = Recalculated(data)
    parts = [footers(book, data, name) for name in AREAS]
    both = {label: sum(part[label] for part in parts) for label in FOOTERS}
    costs = frames.trip_costs
    billed = costs[costs["variable_cost_brl"].notna()]
    assert both["Total Km's"] == total(billed["billable_km"])
    assert both["Total Variável"] == total(costs["variable_cost_brl"])
    assert both["Total Fixo"] == total(frames.fixed_cost_days["amount_brl"])
    assert both["Total a Faturar"] == both["Total Variável"] + both["Total Fixo"]


def test_every_formula_carries_the_value_that_it_computes_to(files: dict[str, bytes]) -> None:
    data = files["pacote_medicao.xlsx"]
    book = Recalculated(data)
    cached = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    formulas = book.formulas()
    assert {sheet for sheet, _ in formulas} >= set(SHEETS[:5])
    for sheet, address in formulas:
        assert Decimal(str(cached[sheet][address].value)) == book.value(sheet, address), (sheet, address)


def test_csv_says_the_same_as_the_sheet(files: dict[str, bytes]) -> None:
    rows = list(csv.reader(io.StringIO(files["pacote_medicao_agricola.csv"].decode("utf-8-sig"), newline="")))
    assert rows[0] == [*CONTRACT, *MORE]
    printed = table(files["pacote_medicao.xlsx"], AREAS[0])
    assert len(rows) == len(printed) + len(FOOTERS)
    assert [row[4] for row in rows[1:-4]] == [row[4] for row in printed[1:]]
    total_at = len(CONTRACT) - 1
    amounts = [Decimal(row[total_at].replace(",", ".")) for row in rows[1:]]
    assert [row[total_at - 1] for row in rows[-4:]] == FOOTERS
    assert sum(amounts[:-4]) == amounts[-1]


def test_lines_name_contract_tariffs_and_the_deadhead_that_is_paid(frames: Frames) -> None:
    costs = frames.trip_costs.assign(tariff_id=pd.Series("T-0", index=frames.trip_costs.index, dtype="str"))
    made = package(replace(frames, trip_costs=costs))
    lines = [line for name in AREAS for line in zip(*(made.sheet(name).grid.column(column) for column in (
        "contract_id", "tariffs", "service_km", "deadhead_km", "km", "billing_line_id")), strict=True)]  # fmt: skip
    billed = [line for line in lines if line[4]]
    assert billed
    for contract, tariffs, service, deadhead, km, _ in billed:
        assert contract
        assert tariffs == "T-0"
        assert (service or 0) + (deadhead or 0) == km
    paid = made.sheet("MEMÓRIA DE CÁLCULO").grid
    assert {line[5] for line in billed} == set(paid.column("billing_line_id"))
    purposes = dict(zip(frames.trips["trip_id"], frames.trips["purpose"], strict=True))
    words = {purposes[trip]: word for trip, word in zip(paid.column("trip_id"), paid.column("purpose"), strict=True)}
    assert words.get("deadhead", "vazio pago") == "vazio pago"


def test_cost_per_vehicle_sums_to_the_lines_and_shares_it_among_passengers(frames: Frames) -> None:
    plate = frames.vehicles["plate"].iloc[0]
    runs = frames.declared_runs.assign(passengers=frames.declared_runs["plate"].map({plate: 20}).astype("Int64"))
    made = package(replace(frames, declared_runs=runs, vehicles=frames.vehicles.assign(seats=40)))
    grid = made.sheet("CUSTO POR VEÍCULO").grid
    names = [entry.name for entry in grid.fields]
    own = next(dict(zip(names, row, strict=True)) for row in grid.rows if plate in row)
    assert own["occupancy_pct"] == 50
    expected = own["total_brl"] / own["passengers"]
    assert abs(own["brl_per_passenger"] - expected) <= Decimal("0.005")
    others = [row[names.index("brl_per_passenger")] for row in grid.rows if plate not in row]
    assert set(others) == {None}  # nobody declared passengers: unknown, not free
    billed = sum(value for name in AREAS for value in made.sheet(name).grid.column("total_brl"))
    assert grid.total[names.index("total_brl")] == billed


@pytest.mark.parametrize("name", SHEETS)
def test_what_prints_has_at_least_eight_points_and_each_page_across_names_the_vehicle(
    files: dict[str, bytes], name: str
) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(files["pacote_medicao.xlsx"]))[name]
    head = sheet[sheet.print_area.split("!")[-1].replace("$", "")][5]
    assert sheet.print_title_rows == "$6:$6"
    assert sheet.page_setup.orientation == "landscape"
    assert "&P" in sheet.oddFooter.right.text
    pages, spans = sheet.page_setup.fitToWidth or 1, list(sheet.column_dimensions.values())
    widths = [next(one.width for one in spans if one.min <= cell.column <= one.max) for cell in head]
    labels, repeated = [cell.value for cell in head], []
    if pages > 1:
        first, last = (openpyxl.utils.column_index_from_string(part[1:]) for part in sheet.print_title_cols.split(":"))
        repeated = labels[first - 1 : last]
        assert repeated[0] == ("Transportadora" if name == "CASCATA" else "Placa")
        assert sheet.page_setup.pageOrder == "overThenDown"
    again = sum(width for width, label in zip(widths, labels, strict=True) if label in repeated)
    width_mm = (sum(widths) + again * (pages - 1)) * 7 * 25.4 / 96  # a digit of Calibri has 7 dots of 96 an inch
    assert 10 * 276 * pages / width_mm >= 8
    assert pages == (1 if name in ("RESUMO DA OPERAÇÃO", "GLOSAS", "PARÂMETROS") else 2)


def test_paper_has_no_ids_and_no_row_of_two_lines_for_the_name_of_a_unit(files: dict[str, bytes]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(files["pacote_medicao.xlsx"]))
    for name in AREAS:
        printed = book[name][book[name].print_area.split("!")[-1].replace("$", "")]
        assert [cell.value for cell in printed[5]] == [*CONTRACT, *MORE[:3]]
    sheet = book["KM DIÁRIO COMPILADO"]
    names = [(at, sheet.cell(at, 1).value, sheet.cell(at, 2).value) for at in range(7, sheet.max_row)]
    of_unit = [at for at, unit, carrier in names if unit == "Conquista do Pontal" and len(carrier) < 20]
    assert of_unit
    assert not [at for at in of_unit if sheet.row_dimensions[at].height]


def test_delivered_invoices_stand_beside_what_is_billed(frames: Frames) -> None:
    lines = settled(frames, CYCLE).billing_lines
    line = lines[lines["rate_brl_per_km"].notna()].iloc[0]
    invoice = {
        **{name: line[name] for name in ("contract_id", "plate", "vehicle_class", "rate_brl_per_km")},
        "cycle_start": CYCLE.start,
        "billed_km": line["km"] + 10,
        "variable_brl": line["variable_brl"],
    }
    foreign = {**invoice, "plate": "ZZZ9Z99"}
    made = package(replace(frames, invoices=build(reference.INVOICES, [invoice, foreign])))
    grid = made.sheet("FATURAS").grid
    states = dict(zip(grid.column("plate"), grid.column("state"), strict=True))
    assert states["ZZZ9Z99"] == "só na fatura: nada admitido"
    assert Decimal(10) in grid.column("difference_km")
    assert "difere" in grid.column("state")
    assert "FATURAS" not in {sheet.name for sheet in package(frames).sheets}


def test_a_vehicle_of_both_areas_has_its_variable_in_each_and_its_fixed_once(frames: Frames) -> None:
    lines = settled(frames, CYCLE).billing_lines
    plate = next(plate for plate, own in lines.groupby("plate") if set(own["area"]) == {"AGR", "IND"})
    own = lines[lines["plate"] == plate]
    placed = own[own["fixed_brl"].notna()]
    assert list(placed["area"]) == ["IND"]  # its default area
    assert placed["fixed_brl"].iloc[0] == total(
        frames.fixed_cost_days[frames.fixed_cost_days["plate"] == plate]["amount_brl"]
    )
    trips = frames.trips[frames.trips["plate"] == plate].merge(frames.trip_costs, on="trip_id")
    for area in ("AGR", "IND"):
        expected = trips[(trips["area"] == area) & (trips["purpose"] == "service")]["variable_cost_brl"]
        assert total(own[own["area"] == area]["variable_brl"]) == total(expected)


def without_trips_of(frames: Frames, plate: str) -> Frames:
    trips = frames.trips[frames.trips["plate"] != plate]
    return replace(
        frames, trips=trips, trip_costs=frames.trip_costs[frames.trip_costs["trip_id"].isin(trips["trip_id"])]
    )


@pytest.mark.parametrize(
    ("status", "km", "words"),
    [("complete", Decimal("0.00"), "(sem viagem faturada)"), ("silent", None, "(sem dado no ciclo)")],
)
def test_fixed_cost_without_a_trip_is_billed_and_says_why(
    frames: Frames, status: str, km: Decimal | None, words: str
) -> None:
    plate = str(frames.vehicles["plate"].iloc[0])
    coverage = frames.coverage.assign(status=frames.coverage["status"].mask(frames.coverage["plate"] == plate, status))
    made = package(replace(without_trips_of(frames, plate), coverage=coverage))
    grid = made.sheet("MEDIÇÃO - ADM-INDÚSTRIA").grid
    row = dict(zip([entry.name for entry in grid.fields], next(r for r in grid.rows if plate in r), strict=True))
    assert (row["km"], row["variable_brl"]) == (km, km)
    assert row["routes"] == words
    assert row["total_brl"] == row["fixed_brl"] > 0


def test_an_invoices_fixed_cost_is_compared_on_whatever_line_the_carrier_states_it(frames: Frames) -> None:
    """It stood beside an empty cell where the engine chose another line of the vehicle, and the line agreed."""
    lines = settled(frames, CYCLE).billing_lines
    line = lines[lines["fixed_brl"].notna()].iloc[0]
    owed = sum(lines.loc[(lines["plate"] == line["plate"])
                                        & (lines["contract_id"] == line["contract_id"]),
                                        "fixed_brl"].dropna(), Decimal("0.00"))  # fmt: skip
    own = {"contract_id": line["contract_id"], "cycle_start": CYCLE.start, "plate": line["plate"],
           "vehicle_class": line["vehicle_class"]}  # fmt: skip
    stated = [{**own, "rate_brl_per_km": Decimal(rate), "fixed_brl": fixed}
              for rate, fixed in (("98.76", owed), ("99.00", Decimal("5.00")))]  # fmt: skip
    grid = package(replace(frames, invoices=build(reference.INVOICES, stated))).sheet("FATURAS").grid
    names = [entry.name for entry in grid.fields]
    rows = [dict(zip(names, row, strict=True)) for row in grid.rows if line["plate"] in row]
    fixed = {row["rate_brl_per_km"]: (row["fixed_brl"], row["difference_fixed_brl"]) for row in rows}
    assert fixed[Decimal("98.76")] == (owed - 5, Decimal("5.00"))
    assert {row["state"] for row in rows if row["rate_brl_per_km"] == Decimal("98.76")} == {
        "só na fatura: admitido apenas o fixo"
    }
    assert fixed[Decimal("99.00")] == (Decimal("5.00"), Decimal("0.00"))
    assert {values for rate, values in fixed.items() if rate not in (Decimal("98.76"), Decimal("99.00"))} == {
        (None, None)
    }


def test_trips_without_a_price_are_in_glosas_with_a_reason_and_no_amount(frames: Frames) -> None:
    costs = frames.trip_costs
    is_one = costs["cost_status"] == "no_tariff"
    made = package(
        replace(frames, trip_costs=costs.assign(cost_reason=costs["cost_reason"].mask(is_one, "Sem tarifa.")))
    )
    grid = made.sheet("GLOSAS").grid
    rows = [dict(zip([entry.name for entry in grid.fields], row, strict=True)) for row in grid.rows]
    unpriced = {row["trip_id"]: row for row in rows if row["kind"] == "Viagem sem preço"}
    assert set(unpriced) == set(costs.loc[costs["variable_cost_brl"].isna(), "trip_id"]) != set()
    assert {(row["reason"], row["brl"]) for row in unpriced.values()} == {("Sem tarifa.", None)}
    is_phantom = frames.held_runs["reason"] == "phantom"
    for kind, runs in (
        ("Corrida fantasma", frames.held_runs[is_phantom]),
        ("Corrida retida", frames.held_runs[~is_phantom]),
    ):
        assert {row["declared_run_id"] for row in rows if row["kind"] == kind} == set(runs["declared_run_id"]) != set()


def test_a_trip_without_a_price_has_its_estimate_in_glosas_and_in_no_line_of_the_waterfall(frames: Frames) -> None:
    trip_id = frames.trip_costs.loc[frames.trip_costs["cost_status"] == "no_tariff", "trip_id"].iloc[0]
    estimate = {"trip_id": trip_id, "tariff_ids": "X5, X6", "contract_id": "CT5", "low_brl": 120.0, "high_brl": 216.0}
    finding = frames.findings.head(1).assign(
        finding_id="K", rule_id="K01", status="open", amount="in_favour_brl", in_favour_brl=Decimal("120.00"),
        trip_id=trip_id, declared_run_id=None, evidence=json.dumps({"estimates": [estimate]}),
    )  # fmt: skip
    made = package(replace(frames, findings=pd.concat([frames.findings, finding], ignore_index=True)))
    grid = made.sheet("GLOSAS").grid
    rows = [dict(zip([entry.name for entry in grid.fields], row, strict=True)) for row in grid.rows]
    [row] = [row for row in rows if row["trip_id"] == trip_id]
    assert (row["brl"], row["amount_name"]) == (Decimal("120.00"), "A favor da transportadora")
    assert row["reason"].endswith(
        "Valor estimado pela menor das tarifas X5, X6 do contrato CT5, até R$ 216,00 pela mais cara."
    )
    assert made.sheet("CASCATA").grid.rows == package(frames).sheet("CASCATA").grid.rows


def _exceeded_as_a_whole(frames: Frames) -> Frames:
    """The frames in which no run exceeds alone (D01, D11), and each vehicle-day with a D01 does (D02)."""
    found = frames.findings
    of_days = found[found["rule_id"] == "D01"].drop_duplicates(["plate", "operational_date"])
    of_days = of_days.assign(rule_id="D02", finding_id="day" + of_days["finding_id"], explanation_pt="O dia.",
                             trip_id=None, declared_run_id=None, evidence="{}")  # fmt: skip
    rest = found[~found["rule_id"].isin(["D01", "D02", "D03", "D11"])]
    return replace(frames, findings=pd.concat([rest, of_days], ignore_index=True))


@pytest.mark.parametrize("change", [lambda frames: frames, _exceeded_as_a_whole])
def test_glosas_add_up_to_those_of_the_waterfall(frames: Frames, change: Callable[[Frames], Frames]) -> None:
    """A day that exceeds as a whole was disallowed in CASCATA, and GLOSAS had no row of it."""
    made = package(change(frames))
    glosas, cascade = made.sheet("GLOSAS").grid, made.sheet("CASCATA").grid
    rows = [dict(zip([entry.name for entry in glosas.fields], row, strict=True)) for row in glosas.rows]
    assert cascade.total is not None
    sums = dict(zip([entry.name for entry in cascade.fields], cascade.total, strict=True))
    for name, column in (("Glosa", "disallowed_brl"), ("Retido", "held_brl")):
        assert -sum(row["brl"] for row in rows if row["amount_name"] == name and row["brl"]) == sums[column] < 0
    above = [row for row in rows if row["kind"] == "Declarado acima do medido"]
    assert above
    assert all(row["bulletin_number"] and row["reason"] and row["declared_run_id"] for row in above)
    if change is _exceeded_as_a_whole:
        assert {row["reason"].removeprefix("Descontado, porque foi declarado abaixo do medido: ") for row in above} == {
            "O dia."
        }


def test_doubt_of_which_only_zeros_are_known_is_an_empty_cell_of_the_waterfall() -> None:
    doubt = {"plate": ["A", "B", "C", "D"], "carrier_code": ["C1", "C1", "C2", "C3"],
             "paid_doubtful_brl": [None, Decimal("0.00"), Decimal("0.00"), None]}  # fmt: skip

    def column(**known: Decimal) -> list[Decimal | None]:
        rows = pd.DataFrame(doubt)
        rows["paid_doubtful_brl"] = [
            known.get(plate, brl) for plate, brl in rows[["plate", "paid_doubtful_brl"]].values
        ]
        made = waterfall_grid(Frames(vehicle_cycle_amounts=rows))
        assert made.total is not None
        return [*made.column("paid_doubtful_brl"), made.total[-1]]

    assert column() == [None, Decimal(0), None, None]
    assert column(B=Decimal("5.00")) == [Decimal("5.00"), Decimal(0), None, Decimal("5.00")]


def test_a_run_that_two_groups_name_stands_in_glosas_where_the_waterfall_counts_it() -> None:
    """In the later one, which is disallowed; GLOSAS ended with an InvalidIndexError."""
    matches = [match(0, "C1", [], ["r0"], 10), match(1, "C1", [], ["r0", "r1"], 30)]
    held = [{"declared_run_id": run, "operational_date": DAY, "plate": "PC1", "carrier_code": "C1", "reason": "no_data",
             "declared_km": Decimal(15), "brl_at_rate": Decimal("73.50")} for run in ("r0", "r1")]  # fmt: skip
    cycle = facts_of([], [], matches, held, [finding("D05", "disallowed_brl", "PC1", run_id="r1")])
    made = Frames(matches=cycle.matches, held_runs=cycle.held_runs, findings=cycle.findings)
    glosas, cascade = disallowed_grid(made, CYCLE), waterfall_grid(made)
    assert glosas.column("amount_name") == ["Glosa", "Glosa"]
    assert cascade.column("disallowed_brl") == [-sum(glosas.column("brl"))]


def test_a_held_run_is_in_glosas_once_with_the_places_that_its_trip_can_have_been_at() -> None:
    matches = [{**match(0, "C1", ["t0"], ["r0"], 30), "measured_km": Decimal(25), "difference_km": Decimal(5)}]
    held = [{"declared_run_id": "r0", "operational_date": DAY, "plate": "PC1", "carrier_code": "C1",
             "reason": "place_unproven", "declared_km": Decimal(25), "brl_at_rate": Decimal("122.50")}]  # fmt: skip
    unbilled = {**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable", "cost_reason": "Destino em X."}
    above = finding("D01", "disallowed_brl", "PC1", "t0", "r0")
    cycle = facts_of([trip(0, "C1", "unknown", 2500)], [unbilled], matches, held, [above])
    made = Frames(trips=cycle.trips, trip_costs=cycle.trip_costs, matches=cycle.matches, held_runs=cycle.held_runs,
                  findings=cycle.findings)  # fmt: skip
    glosas, cascade = disallowed_grid(made, CYCLE), waterfall_grid(made)
    columns = ("kind", "amount_name", "reason", "km", "brl")
    rows = list(zip(*(glosas.column(name) for name in columns), strict=True))
    assert [row for row in rows if row[1] == "Retido"] == [
        ("Corrida retida", "Retido", "Destino em X.", Decimal("25.00"), Decimal("122.50"))
    ]
    assert [row[3:] for row in rows if row[1] == "Glosa"] == [(Decimal("5.00"), Decimal("24.50"))]
    assert [cascade.column(name) for name in ("held_brl", "disallowed_brl")] == [
        [Decimal("-122.50")], [Decimal("-24.50")]
    ]  # fmt: skip


def test_a_run_of_a_cut_trip_is_in_glosas_with_the_gap_as_its_reason() -> None:
    """8 of 19 declared km were seen; GLOSAS had the 8 alone, as of a trip that is never billed."""
    matches = [{**match(0, "C1", ["t0"], ["r0"], 19), "measured_km": Decimal(8), "difference_km": Decimal(11)}]
    held = [{"declared_run_id": "r0", "operational_date": DAY, "plate": "PC1", "carrier_code": "C1",
             "reason": "trip_cut", "declared_km": Decimal(19), "brl_at_rate": Decimal("93.10")}]  # fmt: skip
    unbilled = {**cost(0, 0, 0), "rate_brl_per_km": None, "cost_status": "not_billable", "cost_reason": "Sem preço."}
    cycle = facts_of([trip(0, "C1", "unknown", 800)], [unbilled], matches, held, [])
    made = Frames(trips=cycle.trips, trip_costs=cycle.trip_costs, matches=cycle.matches, held_runs=cycle.held_runs)
    glosas = disallowed_grid(made, CYCLE)
    columns = ("kind", "amount_name", "reason", "km", "brl")
    assert [row for row in zip(*(glosas.column(name) for name in columns), strict=True) if row[0] != "Total"] == [
        ("Corrida retida", "Retido", "Viagem vista só em parte, por lacuna de posições", Decimal(19), Decimal("93.10"))
    ]
    assert waterfall_grid(made).column("held_brl") == [Decimal("-93.10")]


def test_a_run_declared_twice_is_in_glosas_with_its_amount(frames: Frames) -> None:
    """The first of the two has the trip, so no held run stood for it."""
    group = frames.matches[frames.matches["trip_ids"].map(len) > 0].iloc[0]
    one = frames.findings.head(1)
    repeat = one.assign(rule_id="D08", status="open", declared_run_id=group["declared_run_ids"][-1])
    grid = package(replace(frames, findings=repeat)).sheet("GLOSAS").grid
    rows = [row for row in grid.rows if row[0] == "Corrida declarada duas vezes"]
    assert [(row[1], row[9], row[10], row[12]) for row in rows] == [
        ("Glosa", one["km_at_stake"].iloc[0], one["brl_at_stake"].iloc[0], group["declared_run_ids"][-1])
    ]


@pytest.mark.parametrize(
    ("purpose", "billable", "cost", "kind", "km"),
    [
        ("deadhead", "0.00", "0.00", "Vazio não pago", "9.00"),
        ("deadhead", "2.50", "12.25", "Vazio não pago", "6.50"),  # above the cap
        ("deadhead", "9.00", "44.10", None, None),
        ("maintenance", "0.00", "0.00", "Viagem não faturável", "9.00"),
        ("unknown", "0.00", "0.00", "Viagem não faturável", "9.00"),
        ("yard", "0.00", "0.00", None, None),
        ("deadhead", None, None, "Viagem sem preço", "9.00"),
    ],
)
def test_what_no_contract_pays_is_in_glosas_with_its_reason(
    frames: Frames, purpose: str, billable: str | None, cost: str | None, kind: str | None, km: str | None
) -> None:
    trips, costs = frames.trips.head(1), frames.trip_costs.head(1)

    def same(column: pd.Series, value: str | None) -> pd.Series:
        return pd.Series([value and Decimal(value)], index=column.index).astype(column.dtype)

    made = package(
        Frames(
            trips=trips.assign(purpose=purpose, km_measured=same(trips["km_measured"], "9.00")),
            trip_costs=costs.assign(
                billable_km=same(costs["billable_km"], billable),
                variable_cost_brl=same(costs["variable_cost_brl"], cost),
                cost_reason="Por que.",
            ),
        )
    )
    grid = made.sheet("GLOSAS").grid
    found = list(zip(*(grid.column(name) for name in ("kind", "km", "brl", "reason")), strict=True))
    assert found == ([(kind, Decimal(km), None, "Por que.")] if kind else [])


def test_daily_km_are_those_of_the_lines_and_words_say_what_is_not_known(frames: Frames) -> None:
    made = package(frames)
    grid = made.sheet("KM DIÁRIO COMPILADO").grid
    lines = [line for name in AREAS for line in made.sheet(name).grid.column("km") if line is not None]
    assert grid.total[-1] == sum(lines) == sum(grid.column("total"))
    silent = frames.coverage[frames.coverage["status"] == "silent"]
    days = [entry.name for entry in grid.fields[4:-1]]
    plates = grid.column("plate")
    words = {
        (plate, day) for day in days for plate, value in zip(plates, grid.column(day), strict=True) if value == "s/d"
    }
    assert words == {(row.plate, row.operational_date.isoformat()) for row in silent.itertuples()} != set()
    assert set(grid.column("2025-06-15")) == {None}


def test_hostile_names_stay_texts_and_sums_hold() -> None:
    frames = fleet(8, days=1, first=CYCLE.start)
    names = ["=1+1", "<b>*</b>", ">0", "Ωμέγα 漢字 🚌"]
    named = replace(frames, carriers=frames.carriers.assign(name=names), units=frames.units.assign(name=names[:3]))
    data = render_package(package(named))["pacote_medicao.xlsx"]
    book = Recalculated(data)
    printed = table(data, "RESUMO DA OPERAÇÃO")
    assert {row[2] for row in printed[1:-1]} == set(names)
    sheet = openpyxl.load_workbook(io.BytesIO(data))["RESUMO DA OPERAÇÃO"]
    assert all(sheet.cell(row=7, column=column).data_type == "s" for column in (1, 2, 3))
    assert book.value("RESUMO DA OPERAÇÃO", f"H{6 + len(printed) - 1}") == total(
        frames.trip_costs["variable_cost_brl"]
    ) + total(frames.fixed_cost_days["amount_brl"])


def test_cycle_without_rows_is_a_package_without_lines() -> None:
    files = render_package(package(Frames()))
    data = files["pacote_medicao.xlsx"]
    assert openpyxl.load_workbook(io.BytesIO(data)).sheetnames == SHEETS
    assert footers(Recalculated(data), data, AREAS[0]) == dict.fromkeys(FOOTERS, Decimal("0.00"))


def test_equal_input_gives_equal_bytes(frames: Frames, files: dict[str, bytes]) -> None:
    shuffled = replace(frames, trips=frames.trips.sample(frac=1, random_state=1),
                       fixed_cost_days=frames.fixed_cost_days.sample(frac=1, random_state=2),
                       coverage=frames.coverage.sample(frac=1, random_state=3))  # fmt: skip
    assert render_package(package(shuffled)) == files


def test_stamp_and_manifest_are_printed(frames: Frames) -> None:
    variable, fixed = total(frames.trip_costs["variable_cost_brl"]), total(frames.fixed_cost_days["amount_brl"])
    km = admitted_km(frames.trip_costs)
    closing = Closing("final", GENERATED_AT, "ab" * 32, "closes/x.json", "1.0", "p", km, variable, fixed)
    made = render_package(package(frames, closing=closing))
    data = made["pacote_medicao.xlsx"]
    book, cached = Recalculated(data), openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    assert cached[AREAS[0]]["A4"].value == f"FINAL · {money(variable + fixed)} · manifesto {'ab' * 8}…"
    assert "ab" * 32 in made["pacote_medicao_parametros.csv"].decode("utf-8-sig")
    rows = {row[-2].value: row[-1] for row in cached["RESUMO DA OPERAÇÃO"].iter_rows(min_row=6)}
    assert Decimal(str(rows["Total a Faturar no fechamento final (R$)"].value)) == variable + fixed
    assert Decimal(str(rows["Km admitidos no fechamento"].value)) == km
    assert book.value("RESUMO DA OPERAÇÃO", rows["Diferença entre pacote e fechamento final (R$)"].coordinate) == 0
    assert sum(footers(book, data, name)["Total a Faturar"] for name in AREAS) == closing.total_brl


def test_km_that_an_earlier_release_closed_with_those_without_a_price_are_called_so(frames: Frames) -> None:
    labels = set()
    for km in (admitted_km(frames.trip_costs), total(frames.trip_costs["billable_km"])):
        closing = Closing("final", total_km=km, total_variable_brl=Decimal(1))
        (footer,) = (one for one in package(frames, closing=closing).sheet(SHEETS[2]).footers if one.value == km)
        labels.add(footer.label)
    assert labels == {"Km admitidos no fechamento", "Km admitidos no fechamento, com os de viagens sem preço"}


def test_a_carriers_package_is_stamped_without_everybodys_total(frames: Frames) -> None:
    closing = Closing("final", GENERATED_AT, "ab" * 32, "closes/x.json", "1.0", "p", *map(Decimal, ["1", "2", "3"]))
    made = package(frames, closing=closing, carrier_code="RODA")
    assert made.closing.stamp == f"FINAL · manifesto {'ab' * 8}…"
    assert "fechamento" not in str([footer.label for sheet in made.sheets for footer in sheet.footers])


@settings(max_examples=5)  # 1 s each
@given(
    areas=st.lists(st.sampled_from(["AGR", "IND"]), min_size=16, max_size=16),
    defaults=st.lists(st.sampled_from(["AGR", "IND", None]), min_size=4, max_size=4),
    seed=st.integers(0, 5),
)
def test_whatever_areas_say_every_cent_is_in_exactly_one_sheet(
    areas: list[str], defaults: list[str | None], seed: int
) -> None:
    frames = fleet(4, days=2, seed=seed, first=CYCLE.start)
    count = len(frames.trips)
    costs = frames.trip_costs.assign(billing_area=pd.array((areas * count)[:count], dtype="str"))
    vehicles = frames.vehicles.assign(default_area=pd.array(defaults, dtype="str"))
    lines = settled(replace(frames, trip_costs=costs, vehicles=vehicles), CYCLE).billing_lines
    assert set(lines["area"]) <= {"AGR", "IND"}
    assert total(lines["variable_brl"]) == total(frames.trip_costs["variable_cost_brl"])
    assert total(lines["fixed_brl"]) == total(frames.fixed_cost_days["amount_brl"])


def test_adjustments_are_billed_beside_the_cycle_and_computed_by_the_workbook(frames: Frames) -> None:
    line = {"billed_cycle_start": CYCLE.start, "origin_cycle_start": dt.date(2025, 4, 16), "plate": "AAA1A11",
            "operational_date": dt.date(2025, 5, 2), "kind": "trip", "reason": "Dado tardio."}  # fmt: skip
    rows = [{**line, "adjustment_id": name, "difference_brl": value}
            for name, value in (("a", Decimal("-2.50")), ("b", None), ("c", Decimal("100.01")))]  # fmt: skip
    made = package(replace(frames, adjustments=build(facts.ADJUSTMENTS, rows)))
    data = render_package(made)["pacote_medicao.xlsx"]
    book, cached = Recalculated(data), openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    labels = {row[-2].value: row[-1].coordinate for row in cached["RESUMO DA OPERAÇÃO"].iter_rows(min_row=6)}
    adjusted = book.value("RESUMO DA OPERAÇÃO", labels["Total a Faturar com ajustes (R$)"])
    assert adjusted == total(frames.trip_costs["variable_cost_brl"]) + total(
        frames.fixed_cost_days["amount_brl"]
    ) + Decimal("97.51")
    assert book.value("RESUMO DA OPERAÇÃO", labels["Diferença entre pacote e sistema (R$)"]) == 0
    assert "AJUSTES" in cached.sheetnames


def test_the_calculation_sheet_sums_to_the_measurement_to_the_cent(frames: Frames) -> None:
    made = package(frames)
    grid = made.sheet("MEMÓRIA DE CÁLCULO").grid
    lines = [made.sheet(name).grid for name in AREAS]
    for name in ("km", "variable_brl"):
        billed = [value for line in lines for value in line.column(name) if value is not None]
        assert sum(grid.column(name)) == sum(billed)
    data = render_package(made)["pacote_medicao.xlsx"]
    book, cached = Recalculated(data), openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    (total,) = (row for row in cached["MEMÓRIA DE CÁLCULO"].iter_rows(min_row=6) if row[0].value == "Total")
    assert book.value("MEMÓRIA DE CÁLCULO", total[-1].coordinate) == sum(grid.column("variable_brl"))
    assert len(grid.rows) == len(set(grid.column("trip_id")))


def test_the_waterfall_ends_at_what_is_billed_and_holds_the_four_amounts(frames: Frames) -> None:
    line = {"billed_cycle_start": CYCLE.start, "origin_cycle_start": dt.date(2025, 4, 16), "plate": "AAA1A11",
            "carrier_code": "RODA", "operational_date": dt.date(2025, 5, 2), "kind": "trip", "reason": "Dado tardio.",
            "adjustment_id": "a", "difference_brl": Decimal("-2.50")}  # fmt: skip
    whole = settled(replace(frames, adjustments=build(facts.ADJUSTMENTS, [line])), CYCLE)
    made = package(whole)
    grid = made.sheet("CASCATA").grid
    total = dict(zip([entry.name for entry in grid.fields], grid.total, strict=True))
    billed = [value for name in AREAS for value in made.sheet(name).grid.column("total_brl")]
    assert total["total_brl"] == sum(billed) - Decimal("2.50")
    amounts = {name: sum(whole.vehicle_cycle_amounts[name].dropna()) for name in AMOUNTS}
    assert (-total["disallowed_brl"], -total["held_brl"]) == (amounts["disallowed_brl"], amounts["held_brl"])
    assert total["in_favour_brl"] == amounts["in_favour_brl"] > 0 < amounts["disallowed_brl"]
    assert total["paid_doubtful_brl"] == amounts["paid_doubtful_brl"]


def test_the_fixed_share_of_a_reserve_that_may_have_replaced_nobody_is_in_glosas() -> None:
    """R$ 3.100,00 over 31 days; the titular drove to a place that rounded coordinates do not prove."""
    driven = trip(0, "C1", "unknown", 2000)
    cycle = facts_of([driven], [cost(0, 0, 0)], [], [], [])
    dated = {"unit_code": "U1", "carrier_code": "C1", "contract_id": "CT"}
    reserve = {"plate": "RES1A11", "status": "reserva", "titular_plate": driven["plate"], **dated}
    made = Frames(
        trips=cycle.trips.assign(destination_poi_id=None, destination_candidates="GAR, USI"),
        trip_costs=cycle.trip_costs,
        contracts=build(reference.CONTRACTS, [dated]),
        vehicles=build(reference.VEHICLES, [{"plate": driven["plate"], "status": "ativo", **dated}, reserve]),
        fixed_costs=build(
            reference.FIXED_COSTS, [{"contract_id": "CT", "plate": "RES1A11", "amount_brl_per_month": Decimal(3100)}]
        ),
    )
    lines = [dict(zip([entry.name for entry in grid.fields], row, strict=True))
             for grid in [disallowed_grid(made, CYCLE)] for row in grid.rows]  # fmt: skip
    [held] = [line for line in lines if line["kind"] == "Parcela fixa retida"]
    assert (held["plate"], held["operational_date"], held["brl"]) == ("RES1A11", DAY, Decimal("100.00"))
    assert (held["amount_name"], held["km"]) == ("Fixo retido", None)
    assert held["reason"].startswith(f"O titular {driven['plate']} fez viagem que pode ser de serviço")

"""The monthly report: plan beside measured and declared, ranking, stamp, forecast, files."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace
from decimal import Decimal

import openpyxl
import pandas as pd
import pytest

from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.costs.forecast import Forecast
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days
from fleet_audit.reporting.documents.cycle import CycleReport, build_cycle
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.formats.render import render_cycle
from fleet_audit.reporting.labels import NO_CARRIER
from fleet_audit.reporting.locale import money
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames
from fleet_audit.reporting.sections.listings import findings_grid
from fleet_audit.reporting.sections.sheets.rule_outcomes import rule_outcomes_grid
from fleet_audit.schema import facts, reference
from fleet_audit_tests.reporting.sample import GENERATED_AT, build, fleet, settled

CYCLE = Cycle(dt.date(2025, 5, 16), dt.date(2025, 6, 15))
FORECAST = Forecast(4, 27, Decimal("10.00"), Decimal("67.50"), Decimal("77.50"), Decimal("49.00"), None, None)


def report(frames: Frames, **options: object) -> CycleReport:
    return build_cycle(settled(frames, CYCLE), cycle=CYCLE, generated_at=GENERATED_AT, **options)  # type: ignore[arg-type]


def grid(made: CycleReport, key: str):
    return next(section.grid for section in made.document.sections if section.key == key)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return fleet(12, days=4, first=CYCLE.start)


@pytest.fixture(scope="module")
def made(frames: Frames) -> CycleReport:
    return report(frames, forecast=FORECAST)


@pytest.mark.parametrize("key", ["units", "carriers", "vehicles"])
@pytest.mark.parametrize("name", ["trips", "planned_km", "km", "declared_km", "variable_brl", "fixed_brl", "total_brl",
                                  "exceeding", "disallowed_brl"])  # fmt: skip
def test_totals_are_the_sums_of_the_printed_lines(made: CycleReport, key: str, name: str) -> None:
    table = grid(made, key)
    position = [entry.name for entry in table.fields].index(name)
    assert table.total[position] == sum(value for value in table.column(name) if value is not None)


def test_outcomes_of_contests_stand_in_the_report_of_the_whole_fleet_alone(frames: Frames, made: CycleReport) -> None:
    rows = [{"finding_id": f"f{number}", "operational_date": CYCLE.start, "rule_id": "D06", "carrier_code": "RODA",
             "status": status} for number, status in enumerate(("upheld", "reversed", "contested"))]  # fmt: skip
    contested = replace(frames, contest_outcomes=build(facts.CONTEST_OUTCOMES, rows))
    table = rule_outcomes_grid(contested)
    assert "rule_outcomes" in {section.key for section in made.document.sections}
    found = [table.column(name)[0] for name in ("contests", "open", "upheld_pct", "low_pct")]
    assert found == [3, 1, Decimal("50.00"), Decimal("9.45")]
    assert table.column("rule")[0].startswith("D06 ")
    assert "rule_outcomes" not in {section.key for section in report(contested, carrier_code="RODA").document.sections}


def test_a_reversed_finding_is_marked_and_stands_after_the_open_ones(frames: Frames) -> None:
    table = findings_grid(frames)
    first = dict(zip([entry.name for entry in table.fields], table.rows[0], strict=True))
    row = {"finding_id": first["finding_id"], "operational_date": CYCLE.start, "rule_id": first["rule_id"],
           "status": "reversed"}  # fmt: skip
    marked = findings_grid(replace(frames, contest_outcomes=build(facts.CONTEST_OUTCOMES, [row])))
    status = dict(zip(marked.column("finding_id"), marked.column("status"), strict=True))
    assert (first["status"], status.pop(first["finding_id"])) == ("Aberto", "Revertido")
    assert set(status.values()) == {"Aberto", "Com exceção"}
    assert marked.column("finding_id").index(first["finding_id"]) >= marked.column("status").count("Aberto")


def test_routes_and_days_add_up_to_the_cycle(made: CycleReport) -> None:
    assert sum(value for value in grid(made, "routes").column("km") if value is not None) == made.figures.km
    assert grid(made, "days").column("name") == [dt.date(2025, 5, day) for day in (16, 17, 18, 19)]
    assert sum(grid(made, "days").column("total_brl")) == made.figures.total_brl


def test_a_cycle_begins_with_what_to_look_at_first(made: CycleReport) -> None:
    first, *_ = made.document.highlights
    incidents = grid(made, "incidents")
    assert first.vehicle == incidents.column("plates")[0]
    assert first.target == "#incidents"
    assert 'id="incidents"' in document_page(made.document).decode()


def test_km_without_a_price_are_estimated_beside_what_is_in_the_carriers_favour(frames: Frames) -> None:
    def card(findings: pd.DataFrame) -> tuple[str, str]:
        made = report(replace(frames, findings=findings))
        return next((card.text, card.note) for card in made.headline if card.label == "A favor da transportadora")

    row = frames.findings.iloc[[0]].assign(rule_id="V01", status="open", in_favour_brl=Decimal("755.58"))
    unpriced = pd.concat([frames.findings, row.assign(finding_id="v1")])
    brl, note = card(frames.findings)
    assert note.endswith("km sem preço à parte")
    assert card(unpriced) == (brl, f"{note}, estimados em {money(Decimal('755.58'))}")


def test_what_is_in_a_carriers_favour_of_one_vehicle_and_unknown_stands_beside_the_amount(frames: Frames) -> None:
    closed = settled(frames, CYCLE)
    amounts = closed.vehicle_cycle_amounts.astype({"in_favour_brl": object})
    amounts.iloc[0, amounts.columns.get_loc("in_favour_brl")] = None
    amounts = amounts.astype(closed.vehicle_cycle_amounts.dtypes)
    made = build_cycle(replace(closed, vehicle_cycle_amounts=amounts), cycle=CYCLE, generated_at=GENERATED_AT)
    (note,) = [card.note for card in made.headline if card.label == "A favor da transportadora"]
    assert note.endswith("; 1 veículo com valor a apurar")


def test_plan_of_another_cycle_does_not_count(frames: Frames) -> None:
    other = frames.km_plan.assign(cycle_start=frames.km_plan["cycle_start"].map(lambda _: dt.date(2025, 4, 16)))
    assert report(replace(frames, km_plan=other)).figures.planned_km is None


def _excepted(frames: Frames) -> Frames:
    """One finding of one carrier marked by EX-1; EX-2 is of another carrier, EX-3 is over, EX-9 is not in the table."""
    rows = [
        {"exception_id": "EX-1", "rule_id": "D01", "date_from": CYCLE.start, "date_to": CYCLE.end},
        {"exception_id": "EX-2", "carrier_code": "CONLOG", "date_from": CYCLE.start, "date_to": CYCLE.end},
        {"exception_id": "EX-3", "unit_code": "UCP", "date_from": dt.date(2025, 1, 1), "date_to": dt.date(2025, 2, 1)},
    ]
    usual = {"reason": "obra na usina", "approved_by": "gestor"}
    ids = pd.Series([None] * len(frames.findings), dtype="str")
    own = (frames.findings["carrier_code"] == "RODA").to_numpy().nonzero()[0]
    other = (frames.findings["carrier_code"] == "CONLOG").to_numpy().nonzero()[0]
    ids[own[0]], ids[other[0]] = "EX-1", "EX-9"
    exceptions = build(reference.EXCEPTIONS, [{**usual, **row} for row in rows])
    return replace(frames, exceptions=exceptions, findings=frames.findings.assign(exception_id=ids.to_numpy()))


def test_exceptions_are_listed_with_what_they_marked_and_no_carrier_sees_those_of_another(frames: Frames) -> None:
    listed = grid(report(_excepted(frames)), "exceptions")
    assert listed.column("exception_id") == ["EX-1", "EX-2", "EX-9"]
    assert listed.column("findings") == [1, 0, 1]
    assert listed.column("scope")[:2] == ["todos", "transportadora Concórdia Logística"]
    assert listed.column("approved_by") == ["gestor", "gestor", None]
    own = grid(report(_excepted(frames), carrier_code="RODA"), "exceptions")
    assert own.column("exception_id") == ["EX-1"]


def test_ranking_is_by_score(made: CycleReport) -> None:
    scores = grid(made, "ranking").column("score")
    assert scores == sorted(scores, reverse=True)
    assert grid(made, "ranking").column("position") == [1, 2, 3, 4]


def test_what_no_carrier_is_known_for_has_no_place_in_the_ranking_and_a_line_beside_it(frames: Frames) -> None:
    code = frames.trips["carrier_code"].iloc[0]
    names = ("trips", "vehicle_cycle_amounts")
    unknown = {name: table.assign(carrier_code=table["carrier_code"].where(table["carrier_code"] != code))
               for name, table in ((name, getattr(frames, name)) for name in names)}  # fmt: skip
    made = report(replace(frames, **unknown))
    assert NO_CARRIER not in grid(made, "ranking").column("name")
    assert NO_CARRIER in grid(made, "carriers").column("name")
    assert grid(made, "ranking").column("position") == list(range(1, len(grid(made, "ranking").rows) + 1))


def test_fleet_score_is_weighted_by_kilometres(frames: Frames, made: CycleReport) -> None:
    both = frames.trips.merge(frames.trip_scores, on="trip_id")
    points = sum(km * score for km, score in zip(both["km_measured"], both["compliance_score"], strict=True))
    assert made.figures.score == pytest.approx(points / sum(both["km_measured"]), abs=Decimal("0.005"))


def test_unknown_forecast_is_no_number(made: CycleReport) -> None:
    texts = {card.label: card.text for card in made.headline}
    assert texts["Km previstos no ciclo"] == "77,50"
    assert texts["Custo variável previsto"] == "sem dado"


def test_carrier_copy_shows_no_other_carrier(frames: Frames) -> None:
    own = report(frames, carrier_code="RODA", forecast=FORECAST)
    assert grid(own, "carriers").column("name") == ["Roda Viva"]
    assert "ranking" not in {section.key for section in own.document.sections}
    others = {"Concórdia", "Viação Oeste", "Transul"}
    page = render_cycle(own)["relatorio_mensal.html"].decode()
    assert not [name for name in others if name in page]


def test_files_carry_the_stamp_and_are_equal_for_equal_input(frames: Frames, made: CycleReport) -> None:
    files = render_cycle(made)
    assert list(files) == ["relatorio_mensal.xlsx", "relatorio_mensal.html", "relatorio_mensal.pdf"]
    assert files == render_cycle(report(frames, forecast=FORECAST))
    book = openpyxl.load_workbook(io.BytesIO(files["relatorio_mensal.xlsx"]))
    assert book.sheetnames == ["Resumo", "Cascata", "Dia a dia", "Incidentes", "Divergências",
                               "Por rota", "Por veículo", "Ajustes", "Não testadas", "Exceções", "Retidas", "Achados",
                               "Score por viagem", "Score por veículo", "Composição do score", "Contestações",
                               "Amostra"]  # fmt: skip
    assert book["Resumo"]["A4"].value == "PROVISÓRIO"
    assert book["Score por viagem"].max_row == len(frames.trips) + 2  # header and sums
    assert "PROVISÓRIO" in files["relatorio_mensal.html"].decode()


def test_cycle_without_rows_is_unknown() -> None:
    empty = report(Frames())
    assert {card.text for card in empty.headline} == {"sem dado"}
    assert render_cycle(empty)["relatorio_mensal.pdf"].startswith(b"%PDF")


def test_adjustments_of_earlier_cycles_are_a_section_of_their_own(frames: Frames, made: CycleReport) -> None:
    line = {"billed_cycle_start": CYCLE.start, "origin_cycle_start": dt.date(2025, 4, 16), "plate": "AAA1A11",
            "operational_date": dt.date(2025, 5, 2), "kind": "trip", "reason": "Tarifa corrigida."}  # fmt: skip
    rows = [{**line, "adjustment_id": "a", "brl_closed": Decimal("10.00"), "difference_brl": Decimal("-2.50")},
            {**line, "adjustment_id": "b", "difference_brl": None},
            {**line, "adjustment_id": "c", "difference_brl": Decimal("4.00")}]  # fmt: skip
    adjusted = report(replace(frames, adjustments=build(facts.ADJUSTMENTS, rows)))
    table = grid(adjusted, "adjustments")
    assert table.column("difference_brl") == [Decimal("-2.50"), None, Decimal("4.00")]
    assert table.total[-1] == Decimal("1.50")
    assert adjusted.figures == made.figures  # the cycle's own sums do not move
    assert "Tarifa corrigida." in render_cycle(adjusted)["relatorio_mensal.html"].decode()


def test_a_final_close_is_stamped_with_its_manifest(frames: Frames) -> None:
    final = report(frames, closing=Closing("final", GENERATED_AT, "ab" * 32, "closes/x.json", "1.0", "p"))
    files = render_cycle(final)
    page = files["relatorio_mensal.html"].decode()
    assert f"FINAL · manifesto {'ab' * 8}" in page
    assert "ab" * 32 in page


def test_declared_kilometres_of_routes_are_those_of_the_trips_that_runs_are_linked_to(
    frames: Frames, made: CycleReport
) -> None:
    linked = frames.matches.dropna(subset=["declared_km", "measured_km"])["declared_km"].sum()
    assert sum(value for value in grid(made, "routes").column("declared_km") if value is not None) == linked


def test_a_partial_cycle_says_how_many_of_its_days_were_run(frames: Frames, made: CycleReport) -> None:
    assert made.document.subtitle == "ciclo de 16/05/2025 a 15/06/2025 · 4 de 31 dias processados"
    of_one = frames.coverage.head(1)
    whole = pd.concat([of_one.assign(operational_date=day) for day in cycle_days(CYCLE)], ignore_index=True)
    assert report(replace(frames, coverage=whole)).document.subtitle == "ciclo de 16/05/2025 a 15/06/2025"


def test_rules_that_were_not_tested_are_listed_with_the_reason_and_days(frames: Frames) -> None:
    days = [CYCLE.start + dt.timedelta(days=number) for number in range(5)]
    missing = [{"operational_date": day, "rule_id": "D06", "scope": "day", "source": "P+B",
                "reason_pt": "nenhum boletim cobre o dia"} for day in days]  # fmt: skip
    cycle = {"operational_date": days[-1], "rule_id": "T05", "scope": "cycle", "source": "P/V+K",
             "reason_pt": "o ciclo não está completo", "cycle_start": CYCLE.start}  # fmt: skip
    made = report(replace(frames, rules_not_tested=build(facts.RULES_NOT_TESTED, [*missing, cycle])))
    rows = {row[0]: (row[3], row[5], row[7]) for row in grid(made, "not_tested").rows}
    assert rows["D06"] == ("todos", "nenhum boletim cobre o dia", "5 dias, de 16/05/2025 a 20/05/2025")
    assert rows["T05"] == ("todos", "o ciclo não está completo", "o ciclo")


def test_many_findings_with_money_of_one_rule_and_vehicle_are_one_row_of_the_page(frames: Frames) -> None:
    """28 trips of a vehicle without a tariff left 22 of 50 rows to everything else."""
    first = frames.findings.iloc[[0] * 7].reset_index(drop=True)
    ids = {"finding_id": [f"k{number}" for number in range(7)], "root_finding_id": None}
    priced = first.assign(**ids, rule_id="K01", status="open", brl_at_stake=Decimal("10.00"), plate=["A"] * 6 + ["B"])
    priced = priced.astype(frames.findings.dtypes)
    made = report(replace(frames, findings=priced, incidents=frames.incidents.iloc[:0]))
    section = next(one for one in made.document.sections if one.key == "top")
    assert len(section.grid.rows) == 7
    shown = section.shown_grid
    found = dict(zip(shown.column("plate"), shown.column("brl_at_stake"), strict=True))
    assert found == {"A": Decimal("60.00"), "B": Decimal("10.00")}
    assert any(text.startswith("6 achados iguais; o primeiro") for text in shown.column("explanation_pt"))


def test_vehicles_not_tested_for_one_reason_are_one_row_whatever_the_fleets_size_of_the_day(frames: Frames) -> None:
    """One device of a demo's cycle took three rows of each of ten rules: of 38, 37 and 30 vehicles."""
    said = [("1 de 38", "A"), ("1 de 30", "A"), ("2 de 37", "A, B"), ("1 de 38", "A"), ("1 de 38", "B")]
    untested = build(facts.RULES_NOT_TESTED, [
        {"operational_date": CYCLE.start + dt.timedelta(number), "rule_id": "D01", "scope": "day", "source": "P",
         "reason_pt": f"{of} veículos não testados ({plates}): o hodômetro é o de outro veículo; nenhuma ata"}
        for number, (of, plates) in enumerate(said)])  # fmt: skip
    shown = grid(report(replace(frames, rules_not_tested=untested)), "not_tested")
    days = [f"{CYCLE.start + dt.timedelta(number):%d/%m/%Y}" for number in range(5)]
    assert list(zip(*(shown.column(name) for name in ("vehicles", "plates", "days")), strict=True)) == [
        ("1 de 30 a 38", "A", ", ".join([days[0], days[1], days[3]])),
        ("todos", None, f"5 dias, de {days[0]} a {days[4]}"),
        ("2 de 37", "A, B", days[2]),
        ("1 de 38", "B", days[4]),
    ]


def test_a_cycle_that_is_closed_for_good_has_no_days_left(frames: Frames) -> None:
    def notes(closing: Closing) -> set[str]:
        made = report(frames, forecast=replace(FORECAST, remaining_days=24), closing=closing)
        return {card.note for card in made.headline if "previsto" in card.label.lower()}

    assert notes(Closing()) == {"24 dias restantes"}
    final = Closing("final", GENERATED_AT, "ab" * 32, "closes/x.json", "1.0", "p")
    assert notes(final) == {"inclui 24 dias não processados"}


def test_the_total_is_forecast_beside_its_budget(frames: Frames) -> None:
    budget = Budget(Decimal("30.00"), Decimal("100.00"), Decimal("40.00"), Decimal("60.00"), unpriced_lines=1)
    forecast = replace(FORECAST, variable_cost_total_brl=Decimal("150.00"))
    made = report(frames, forecast=forecast, budget=budget)
    rows = {row[0]: row[3:] for row in grid(made, "forecast").rows}
    assert rows["Custo total (R$)"] == (Decimal("250.00"), Decimal("200.00"), Decimal("50.00"))
    cards = {card.label: (card.text, card.note) for card in made.headline}
    assert cards["Custo total previsto"] == ("R$\u00a0250,00", "orçamento R$\u00a0200,00")
    section = next(section for section in made.document.sections if section.key == "forecast")
    assert section.note == "O orçamento não inclui 1 linha do plano sem tarifa conhecida."


def test_vehicles_are_filtered_by_cost_center(frames: Frames) -> None:
    centers = [f"CC-{number}" for number in range(len(frames.units))]
    made = report(replace(frames, units=frames.units.assign(cost_center=centers)))
    assert set(grid(made, "vehicles").column("cost_center")) <= set(centers)
    page = render_cycle(made)["relatorio_mensal.html"].decode()
    assert "<option>CC-0</option>" in page


def test_the_parts_of_each_score_sum_to_the_score_that_the_ranking_prints(frames: Frames) -> None:
    made = report(frames)
    parts, ranking = grid(made, "score_parts"), grid(made, "ranking")
    sums: dict[str, Decimal] = {}
    scores: dict[str, Decimal] = {}
    for party, entry, points in zip(*(parts.column(name) for name in ("party", "entry", "points")), strict=True):
        table = scores if entry == "Score" else sums
        table[party] = table.get(party, Decimal(0)) + points
    assert scores == sums
    of_carriers = dict(zip(ranking.column("name"), ranking.column("score"), strict=True))
    assert {name: scores[f"Transportadora {name}"] for name in of_carriers} == of_carriers
    assert scores["Frota"] == made.figures.score
    assert any(entry == "D01" for entry in parts.column("entry"))

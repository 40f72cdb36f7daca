"""The D-1 report as its readers see it: figures, sums, the unknown, the carrier's own copy."""

from __future__ import annotations

import datetime as dt
import pickle
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.rules.registry import CYCLE_RULES, DAY_RULES
from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting.documents.day import CLOSING_DAY, DayReport, build_day
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.labels import AMOUNTS
from fleet_audit.reporting.locale import money, number
from fleet_audit.reporting.sections.figures import figures_of, plan_source
from fleet_audit.reporting.sections.incidents import finding_anchor, money_by_root
from fleet_audit.reporting.sections.inputs import SOURCE_COLUMNS, Frames
from fleet_audit.reporting.sections.rules_not_tested import day_rules_not_tested_grid
from fleet_audit.schema import facts, reference
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, build, fleet

SUMMED = (
    "trips", "km", "service_km", "declared_km", "variable_brl", "fixed_brl", "total_brl", "exceeding", "disallowed_brl",
    "seen", "silent",
)  # fmt: skip


def report(frames: Frames, **options: object) -> DayReport:
    return build_day(frames, operational_date=DAY, generated_at=GENERATED_AT, **options)  # type: ignore[arg-type]


def grid(made: DayReport, key: str):
    return next(section.grid for section in made.document.sections if section.key == key)


def card(made: DayReport, label: str) -> str:
    return next(card.text for card in made.headline if card.label == label)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return fleet(40)


@pytest.fixture(scope="module")
def made(frames: Frames) -> DayReport:
    return report(frames)


@pytest.mark.parametrize("key", ["units", "carriers"])
@pytest.mark.parametrize("name", SUMMED)
def test_totals_are_the_sums_of_the_printed_lines(made: DayReport, key: str, name: str) -> None:
    table = grid(made, key)
    position = [entry.name for entry in table.fields].index(name)
    assert table.total[position] == sum(table.column(name))


def test_measured_km_stand_beside_the_doubt_of_their_trips(frames: Frames, made: DayReport) -> None:
    note = next(card.note for card in made.headline if card.label == "Km medidos")
    assert note.startswith(f"± {number(sum(frames.trips['km_uncertainty'].dropna()))} km; serviço ")


def test_headline_agrees_with_the_trip_list(made: DayReport) -> None:
    costs = [value for value in made.trips.column("variable_cost_brl") if value is not None]
    assert made.figures.variable_brl == sum(costs)
    assert made.figures.km == sum(made.trips.column("km_measured"))
    assert made.figures.total_brl == made.figures.variable_brl + made.figures.fixed_brl


def test_difference_is_declared_minus_measured_on_every_line(made: DayReport) -> None:
    rows = zip(*(made.trips.column(name) for name in ("km_measured", "declared_km", "difference_km")), strict=True)
    compared = [(measured, declared, difference) for measured, declared, difference in rows if declared is not None]
    assert compared
    assert all(declared - measured == difference for measured, declared, difference in compared)


def test_local_times_follow_the_zone_of_the_unit(frames: Frames, made: DayReport) -> None:
    trip = frames.trips[frames.trips["unit_code"] == "USL"].iloc[0]  # Campo Grande, UTC-4
    row = next(row for row in made.trips.rows if row[3] == trip["plate"])
    assert row[11] == (trip["started_at"] - dt.timedelta(hours=4)).tz_localize(None)


def test_day_without_any_row_is_unknown_not_zero() -> None:
    empty = report(Frames())
    assert {card.text for card in empty.headline} == {"sem dado"}
    assert empty.document.stamp == "SEM DADO NESTE DIA"


def test_day_with_watched_vehicles_and_no_trips_is_zero_and_says_so(frames: Frames) -> None:
    coverage = frames.coverage.assign(status="complete")
    quiet = report(Frames(coverage=coverage, units=frames.units, vehicles=frames.vehicles))
    assert quiet.document.stamp == "NENHUMA VIAGEM NESTE DIA"
    assert card(quiet, "Km medidos") == "0,00"
    assert card(quiet, "Viagens") == "0"


def test_silent_fleet_has_unknown_kilometres(frames: Frames) -> None:
    dark = report(Frames(coverage=frames.coverage.assign(status="silent"), units=frames.units))
    assert card(dark, "Km medidos") == "sem dado"
    assert card(dark, "Veículos vistos") == "0"
    assert dark.figures.silent == 40
    assert dark.figures.variable_brl is None


def test_trip_without_price_is_named_in_the_headline_and_left_empty(frames: Frames, made: DayReport) -> None:
    unpriced = int((frames.trip_costs["cost_status"] == "no_tariff").sum())
    assert unpriced > 0
    assert f"não inclui {unpriced} viage" in made.headline[0].note
    flags = made.trips.column("flags")
    costs = made.trips.column("variable_cost_brl")
    assert all(cost is None for cost, flag in zip(costs, flags, strict=True) if "sem tarifa" in flag)


def test_a_trip_that_is_never_billed_and_has_no_price_counts_as_unpriced(frames: Frames, made: DayReport) -> None:
    costs = frames.trip_costs
    is_one = costs.index == costs.index[costs["variable_cost_brl"].notna()][0]
    costs = costs.assign(
        cost_status=costs["cost_status"].mask(is_one, "not_billable"),
        variable_cost_brl=costs["variable_cost_brl"].where(~is_one),
    )
    assert report(replace(frames, trip_costs=costs)).figures.unpriced == made.figures.unpriced + 1


def test_the_four_amounts_stand_apart_and_are_those_of_the_facts(frames: Frames, made: DayReport) -> None:
    labels = [card.label for card in made.headline]
    for name, label in AMOUNTS.items():
        assert getattr(made.figures, name) == sum(frames.vehicle_day_amounts[name].dropna())
        assert card(made, label) == money(getattr(made.figures, name))
    assert made.figures.disallowed_brl > 0 < made.figures.in_favour_brl
    assert not [text for text in labels if "disputa" in text]


def test_an_amount_that_nothing_prices_is_unknown(frames: Frames) -> None:
    amounts = frames.vehicle_day_amounts.assign(in_favour_brl=None).astype(frames.vehicle_day_amounts.dtypes)
    assert card(report(replace(frames, vehicle_day_amounts=amounts)), "A favor da transportadora") == "a apurar"
    nothing = report(replace(frames, vehicle_day_amounts=amounts.iloc[:0]))
    assert card(nothing, "A favor da transportadora") == money(Decimal(0))


def test_group_shares_sum_to_what_was_declared() -> None:
    frames = fleet(4)
    trips = frames.trips[frames.trips["purpose"] == "service"].iloc[:3]
    measured = sum(trips["km_measured"])
    group = build(facts.MATCHES, [{
        "match_id": "m", "operational_date": DAY, "plate": "P", "trip_ids": list(trips["trip_id"]),
        "declared_run_ids": ["r1", "r2"], "kind": "many", "declared_km": Decimal(100), "measured_km": measured,
        "difference_km": 100 - measured, "is_exceeding": True}])  # fmt: skip
    made = report(replace(frames, trips=trips, matches=group))
    assert sum(made.trips.column("declared_km")) == Decimal("100.00")
    assert made.trips.marked == {0, 1, 2}


def test_a_rule_that_was_not_tested_has_a_row_per_reason_with_its_vehicles_and_what_to_do(frames: Frames) -> None:
    rows = [
        ("O01", "nenhuma posição recebida"),
        ("T04", "veículo CNR0A21: linhas de reference/km_plan.csv foram recusadas: Placa inválida"),
        ("G01", "nenhuma posição recebida; nenhuma viagem do dia foi medida por posições"),
        ("D10", "2 de 30 veículos não testados (CNR0A21, CNR0A33): o equipamento tem o relógio fora de hora; "
                "transportadora RODA: arquivo recusado"),
    ]  # fmt: skip
    untested = build(facts.RULES_NOT_TESTED, [
        {"operational_date": DAY, "rule_id": rule, "scope": "day", "source": "P", "reason_pt": reason}
        for rule, reason in rows])  # fmt: skip
    shown = grid(report(replace(frames, rules_not_tested=untested)), "not_tested").rows
    assert [(row[0], *row[2:5]) for row in shown] == [
        ("D10", "2 de 30", "CNR0A21, CNR0A33", "o equipamento tem o relógio fora de hora"),
        ("D10", "parte", None, "transportadora RODA: arquivo recusado"),
        ("G01", "todos", None, "nenhuma posição recebida"),
        ("O01", "todos", None, "nenhuma posição recebida"),
        ("T04", "parte", None, "veículo CNR0A21: linhas de reference/km_plan.csv foram recusadas: Placa inválida"),
    ]
    assert [row[5].split(" ")[0] for row in shown] == ["Conferir", "Ver", "Ver", "Ver", "Corrigir"]


def test_no_reason_of_a_rule_is_divided() -> None:
    for rule in (*DAY_RULES.values(), *CYCLE_RULES.values()):
        need = rule.vehicle_need
        parts = getattr(need, "needs", (need,))
        texts = [getattr(part, name, "") for part in parts for name in ("reason_pt", "comparison_pt")]
        for reason in (*(one.reason_pt for one in rule.needs), *filter(None, texts)):
            text = f"1 de 3 veículos não testado (ABC1D23): {reason}"
            untested = build(facts.RULES_NOT_TESTED, [
                {"operational_date": DAY, "rule_id": rule.rule_id, "scope": "day", "source": "P", "reason_pt": text}
            ])  # fmt: skip
            (row,) = day_rules_not_tested_grid(Frames(rules_not_tested=untested)).rows
            assert row[2:5] == ("1 de 3", "ABC1D23", reason)


def test_many_equal_findings_without_money_are_one_row_of_the_page_and_all_of_the_workbook(frames: Frames) -> None:
    own = frames.coverage[frames.coverage["carrier_code"] == "RODA"].iloc[0]
    dated = {
        **{name: own[name] for name in ("operational_date", "plate", "unit_code", "carrier_code")},
        "rule_id": "D12", "rule_version": "1", "severity": "L", "confidence": 0.98, "evidence": "{}", "status": "open",
        "km_at_stake": Decimal("1.50"),
    }  # fmt: skip
    findings = [{**dated, "finding_id": f"d{number}", "explanation_pt": f"A ata {number} traz outra data."}
                for number in range(7)]  # fmt: skip

    def made(count: int) -> DayReport:
        return report(replace(frames, findings=build(facts.FINDINGS, findings[:count])))

    section = next(one for one in made(7).document.sections if one.key == "findings")
    assert len(section.grid.rows) == 7
    (row,) = (dict(zip([entry.name for entry in section.grid.fields], row, strict=True))
              for row in section.shown_grid.rows)  # fmt: skip
    assert (row["plate"], row["km_at_stake"]) == (own["plate"], Decimal("10.50"))
    assert row["explanation_pt"].startswith("7 achados iguais; o primeiro")
    page = document_page(made(7).document).decode()
    assert page.count("<details>") == 1
    assert all(f"A ata {number} traz outra data." in page for number in range(7))
    sent = pickle.loads(pickle.dumps(made(7).document))  # as a process of a pool sends it: the demo once failed on it
    assert document_page(sent).decode() == page
    of_fleet = [{**finding, "plate": None} for finding in findings]
    named = report(replace(frames, findings=build(facts.FINDINGS, of_fleet))).document
    assert "7 achados iguais; o primeiro: A ata 0 traz outra data.<details>" in document_page(named).decode()
    few = next(one for one in made(5).document.sections if one.key == "findings")
    assert few.shown_grid.rows == few.grid.rows


def test_carrier_copy_holds_its_own_rows_alone(frames: Frames, made: DayReport) -> None:
    own = report(frames, carrier_code="RODA")
    assert set(own.trips.column("carrier")) == {"Roda Viva"}
    assert {name for key in ("findings", "held", "coverage") for name in grid(own, key).column("carrier")} == {
        "Roda Viva"
    }
    assert grid(own, "carriers").column("name") == ["Roda Viva"]
    assert "cópia de Roda Viva" in own.document.subtitle
    of_all = grid(made, "carriers")
    total = dict(zip(of_all.column("name"), of_all.column("total_brl"), strict=True))
    assert own.figures.total_brl == total["Roda Viva"]


def test_findings_are_ranked_by_the_money_of_their_incident_with_the_excepted_last(
    frames: Frames, made: DayReport
) -> None:
    findings = grid(made, "findings")
    statuses, roots = findings.column("status"), findings.column("root_finding_id")
    assert statuses == sorted(statuses)  # Aberto before Com exceção
    brl_of = money_by_root(frames.incidents)
    ranks = [brl_of[root] for root, status in zip(roots, statuses, strict=True) if status == "Aberto"]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) > 5


def test_the_first_thing_to_look_at_has_most_money_and_leads_to_its_finding(frames: Frames, made: DayReport) -> None:
    shown = made.document.highlights
    assert shown is not None
    assert len(shown) == 5
    incidents = grid(made, "incidents")
    amounts = zip(*(incidents.column(name) for name in AMOUNTS), strict=True)
    largest = [max(value or 0 for value in row) for row in amounts]
    assert largest == sorted(largest, reverse=True)
    assert incidents.rows
    ids = {finding_anchor(name) for name in grid(made, "findings").column("finding_id")}
    page = document_page(made.document).decode()
    for one in shown:
        assert one.target == "#held" or one.target.removeprefix("#") in ids
        assert f'id="{one.target.removeprefix("#")}"' in page
    assert page.index("O que olhar primeiro") < page.index("<nav")


def test_an_amount_that_no_price_makes_known_is_counted_beside_its_sum(frames: Frames) -> None:
    amounts = frames.vehicle_day_amounts
    without = amounts.assign(paid_doubtful_brl=[None, *amounts["paid_doubtful_brl"].iloc[1:]])
    of = {card.label: card for card in report(replace(frames, vehicle_day_amounts=without)).headline}
    assert of["Pago e em dúvida"].note.endswith("; 1 veículo com valor a apurar")
    assert of["Pago e em dúvida"].is_alert
    assert "a apurar" not in of["Glosa"].note


def test_an_amount_of_which_only_zeros_are_known_is_not_zero(frames: Frames) -> None:
    """The page of a day had R$ 0,00 where the portal had "2 a apurar", and one of its tables a dash, the other 0,00."""
    first, *others = frames.vehicle_day_amounts.index
    unknown = frames.vehicle_day_amounts.assign(paid_doubtful_brl=Decimal("0.00"))
    unknown = unknown.astype(frames.vehicle_day_amounts.dtypes)
    unknown.loc[first, "paid_doubtful_brl"] = None
    made = report(replace(frames, vehicle_day_amounts=unknown))
    assert card(made, "Pago e em dúvida") == "a apurar"
    assert "a apurar" in document_page(made.document).decode()
    for key, name in (("units", "unit_code"), ("carriers", "carrier_code")):
        table = grid(made, key)
        position = [entry.name for entry in table.fields].index("paid_doubtful_brl")
        assert table.column("paid_doubtful_brl").count(None) == 1, key
        assert table.total[position] is None
        assert unknown.loc[others, name].nunique() > 1  # zeros stay zeros elsewhere


def test_incidents_of_one_rule_and_vehicle_are_one_thing_to_look_at_with_their_sum(frames: Frames) -> None:
    same = frames.incidents.iloc[[0, 0, 0]].reset_index(drop=True)
    brl = [Decimal("7.00"), Decimal("9.00"), Decimal("8.00")]
    nothing = dict.fromkeys(AMOUNTS, Decimal("0.00"))
    same = same.assign(**nothing | {"in_favour_brl": brl}, sentence_pt=["A.", "B.", "C."])
    other = same.iloc[:1].assign(root_rule_id="V01", in_favour_brl=Decimal("10.00"))
    found = replace(frames, incidents=pd.concat([same, other]), held_runs=frames.held_runs.iloc[:0])
    together, alone = report(found).document.highlights
    assert together.amounts == f"A favor da transportadora {money(Decimal(24))}"
    assert together.sentence == "3 casos; o maior: B."
    assert (alone.amounts, alone.sentence) == (f"A favor da transportadora {money(Decimal(10))}", "A.")


def test_incidents_of_one_rule_and_vehicle_are_one_row_of_the_page_and_all_of_the_workbook(frames: Frames) -> None:
    same = frames.incidents.iloc[[0, 0, 0]].reset_index(drop=True)
    days = [DAY - dt.timedelta(days=1), DAY, DAY]
    brl = [Decimal("7.00"), Decimal("9.00"), Decimal("8.00")]
    nothing = dict.fromkeys(AMOUNTS, Decimal("0.00"))
    same = same.assign(**nothing | {"in_favour_brl": brl}, sentence_pt=["A.", "B.", "C."], operational_date=days)
    other = same.iloc[:1].assign(root_rule_id="V01", in_favour_brl=Decimal("10.00"))
    made = report(replace(frames, incidents=pd.concat([same, other]))).document
    section = next(one for one in made.sections if one.key == "incidents")
    shown, every = section.shown_grid, section.grid
    assert every.column("in_favour_brl") == [Decimal("10.00"), Decimal("9.00"), Decimal("8.00"), Decimal("7.00")]
    assert shown.column("in_favour_brl") == [Decimal("24.00"), Decimal("10.00")]
    assert shown.column("sentence_pt") == ["3 casos; o maior: B.", "A."]
    assert sum(shown.column("members")) == sum(every.column("members"))
    assert shown.column("operational_date") == [f"{days[0]:%d/%m/%Y} a {DAY:%d/%m/%Y}", days[0]]
    page = document_page(pickle.loads(pickle.dumps(made))).decode()  # as a process of a pool sends it
    assert all(f"<li>{sentence}</li>" in page for sentence in ("A.", "B.", "C."))


def test_runs_held_for_a_gap_of_ours_are_listed_by_reason_without_an_accusation(frames: Frames) -> None:
    held = frames.held_runs.assign(reason="source_missing", brl_at_rate=Decimal("99999.00"))
    dated = frames.findings.iloc[:1].assign(rule_id="D12", amount=None, declared_run_id=held["declared_run_id"].iloc[0])
    runs = replace(frames, held_runs=held, findings=dated, incidents=frames.incidents.iloc[:0])
    (only,) = report(runs).document.highlights
    assert only.target == "#held"
    assert only.sentence.startswith(f"{len(held)} corridas declaradas aguardam")
    assert only.sentence.endswith("verificação: fonte de dados incompleta.")
    phantoms = replace(runs, held_runs=held.assign(reason="phantom"))  # refused (D05), not held
    assert report(phantoms).document.highlights == ()


def test_a_day_is_compared_with_the_days_before_it_and_the_budget(frames: Frames) -> None:
    before = {
        DAY - dt.timedelta(days=1): ("100.00", "50.00"), DAY - dt.timedelta(days=7): ("300.00", "100.00"),
        DAY - dt.timedelta(days=14): ("500.00", "300.00"), DAY - dt.timedelta(days=30): ("9999.00", "9999.00"),
    }  # fmt: skip
    days = pd.DataFrame(
        {"operational_date": day, "km": Decimal(km), "trips": 4, "billable_km": Decimal(km),
         "variable_brl": Decimal(brl), "fixed_brl": Decimal("10.00")}
        for day, (km, brl) in before.items()
    )  # fmt: skip
    budget = Budget(Decimal("1200.00"), Decimal("700.00"), Decimal("40.00"), Decimal("20.00"), unpriced_lines=1)
    made = report(replace(frames, recent_days=days), budget=budget)
    table = grid(made, "comparison")
    assert [entry.label for entry in table.fields][3] == "Média de terça-feira"
    spent, km, _ = table.rows
    assert spent[1] == made.figures.total_brl
    assert spent[2:4] == (Decimal("60.00"), Decimal("210.00"))  # the day before; two Tuesdays
    assert km[4] == made.figures.km + 900  # the day of a month ago is of another cycle
    assert (spent[5], km[5]) == (Decimal("760.00"), Decimal("1200.00"))
    note = next(section.note for section in made.document.sections if section.key == "comparison")
    assert "4 dias processados de 26" in note
    assert note.endswith("O orçamento não inclui 1 linha do plano sem tarifa conhecida.")
    assert grid(report(frames), "comparison").rows == ()


def test_rows_of_another_day_are_refused(frames: Frames) -> None:
    with pytest.raises(ValueError, match="trips are not of 2025-06-11"):
        build_day(frames, operational_date=DAY + dt.timedelta(days=1), generated_at=GENERATED_AT)


def plan(*lines: tuple[str, str, str | None]) -> Frames:
    rows = [{"cycle_start": dt.date(2025, 5, 16), "plate": plate, "route_code": f"r{number}", "planned_km": Decimal(km),
             "weekdays": weekdays} for number, (plate, km, weekdays) in enumerate(lines)]  # fmt: skip
    vehicles = [{"plate": plate, "unit_code": "UCP", "carrier_code": "RODA"} for plate in {line[0] for line in lines}]
    return Frames(km_plan=build(reference.KM_PLAN, rows), vehicles=build(reference.VEHICLES, vehicles))


def planned(frames: Frames, day: dt.date = DAY) -> Decimal | None:
    return figures_of([plan_source(frames, cycle_of(day, CLOSING_DAY), [day])]).planned_km


def test_a_days_plan_is_the_cycles_share_on_the_days_that_run() -> None:
    # 16/05 to 15/06: 31 days, four of them a Tuesday, as the reported day is, and five a Sunday.
    assert planned(plan(("A", "310", None))) == Decimal("10.00")
    assert planned(plan(("A", "310", None), ("A", "40", "2"))) == Decimal("20.00")
    assert planned(plan(("A", "50", "7"))) == Decimal("0.00")
    assert planned(plan(("A", "310", None)), dt.date(2025, 6, 16)) is None  # the next cycle has no plan
    assert planned(Frames()) is None


def test_divergences_are_summed_by_direction(frames: Frames, made: DayReport) -> None:
    exceeding = frames.matches[frames.matches["is_exceeding"].fillna(False)]["difference_km"]
    assert made.figures.over_km == sum(value for value in exceeding if value > 0)
    assert made.figures.under_km == -sum(value for value in exceeding if value < 0)


def test_what_is_missing_is_said(frames: Frames) -> None:
    def sources_note(**rows: int) -> str:
        sources = pd.DataFrame(
            [{"source": name, "rows": count, "is_low": name == "api"} for name, count in rows.items()],
            columns=SOURCE_COLUMNS,
        )
        made = report(replace(frames, coverage=frames.coverage[frames.coverage["status"] != "silent"], sources=sources))
        return next(section.note for section in made.document.sections if section.key == "sources")

    assert "Nada recebido de: Boletins das transportadoras." in sources_note(api=9, file=0, bulletin=0)
    assert "Nada recebido de: Posições, API de telemetria; Posições, arquivos." in sources_note(api=0, file=0)
    assert "Poucas linhas aceitas" in sources_note(api=9)
    assert sources_note(file=9, bulletin=3) == "Todas as fontes e veículos enviaram dados."


def test_an_api_that_did_not_answer_is_no_source_without_news() -> None:
    failed = pd.DataFrame([{"source": "api", "rows": 0, "failed_at": GENERATED_AT}, {"source": "file", "rows": 0}],
                          columns=SOURCE_COLUMNS)  # fmt: skip
    made = report(replace(Frames(), sources=failed))
    section = next(section for section in made.document.sections if section.key == "sources")
    assert section.note.startswith("A API não respondeu em 11/06/2025 05:41 (Brasília)")
    assert section.grid.column("state") == ["não respondeu", "nada recebido"]


def test_a_carrier_without_findings_says_so(frames: Frames) -> None:
    none = report(replace(frames, findings=frames.findings.iloc[:0]), carrier_code="RODA")
    section = next(section for section in none.document.sections if section.key == "findings")
    assert (section.grid.rows, section.empty) == ((), "Nenhum achado neste dia.")
    assert none.headline[-1].note == "de 100; achados: nenhum"
    assert grid(none, "sources").rows == ()  # counts of sources are everybody's

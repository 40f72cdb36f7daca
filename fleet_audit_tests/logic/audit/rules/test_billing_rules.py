"""K01 of an invoice line, V02 and D09, each on a guilty vehicle, an honest near miss, and one whose data lack."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.cycle import find_in_cycle
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.schema import facts, reference
from fleet_audit_tests.logic.audit.rules.test_cycle import (
    CYCLE,
    DAYS,
    a_cycle,
    declared,
    fact_rows,
    found,
    gaps_of,
    reason,
    sold_after,
    untested,
    worked,
)
from fleet_audit_tests.logic.audit_sample import OTHER, PLATE, costs_frame, reasons_not_tested, run
from fleet_audit_tests.logic.frames import rows

WORKED = [worked(day, plate=plate) for day in DAYS[:10] for plate in (PLATE, OTHER)]


def billed(plate: str = PLATE, **more: str) -> dict:
    """An invoice line of 300 km at 4.90."""
    return {"contract_id": "CT1", "cycle_start": CYCLE.start, "plate": plate, "vehicle_class": "onibus",
            "billed_km": "300.00", "rate_brl_per_km": "4.90", "variable_brl": "1470.00", **more}  # fmt: skip


def invoiced(*lines: dict, last: dt.date = CYCLE.end, rates: tuple[str, ...] = ("4.90",) * 10) -> AuditCycle:
    """A cycle of ten trips of 30 km per vehicle at these rates, and what was billed of them."""
    costs = costs_frame(*(
        {"trip_id": row["trip_id"], "billable_km": "30.00", "vehicle_class": "onibus",
         "rate_brl_per_km": rates[place // 2], "variable_cost_brl": str(30 * Decimal(rates[place // 2]))}
        for place, row in enumerate(WORKED)
    ))  # fmt: skip
    return replace(a_cycle(last, trips=WORKED), costs=costs, invoices=rows(reference.INVOICES, *lines))


def test_k01_names_the_line_that_bills_more_than_its_trips_and_spares_the_one_a_cent_off():
    context = invoiced(billed(variable_brl="1519.00"), billed(OTHER, variable_brl="1470.01"))
    [row] = found(context, "K01")
    assert (row["plate"], row["severity"], row["brl_at_stake"]) == (PLATE, "H", Decimal("49.00"))
    assert pd.isna(row["amount"])  # what nobody pays is in none of the four amounts
    assert len(row["evidence"]["line_trips"]) == 10
    assert row["evidence"]["invoice_line"]["variable_brl"] == 1519.0
    assert "R$ 49,00 a mais" in row["explanation_pt"]


def test_an_invoice_of_a_sold_vehicle_accuses_the_carrier_of_its_contract() -> None:
    """The buyer was accused of its seller's invoice, with the lines and trips of the seller as evidence."""
    wrong = [billed(variable_brl="1519.00"), billed(contract_id="CT2", variable_brl="10.00")]
    found_now = find_in_cycle(sold_after(invoiced(*wrong), 20)).query("rule_id == 'K01'").sort_values("carrier_code")
    assert found_now[["carrier_code", "brl_at_stake"]].to_numpy().tolist() == [
        ["CONLOG", Decimal("49.00")],
        ["VIASUL", Decimal("10.00")],
    ]
    dearer = as_class(billed(vehicle_class="leito", rate_brl_per_km="6.00"))
    assert find_in_cycle(sold_after(dearer, 20)).query("rule_id == 'V02'")["carrier_code"].to_list() == ["CONLOG"]


def test_k01_compares_a_line_with_all_trips_of_its_contract_on_whosever_days_they_are() -> None:
    """Lent for three days under its own contract: their trips were missing from the line, R$ 441,00 "a mais"."""
    context = invoiced(billed())
    is_lent = (context.registered["plate"] == PLATE) & context.registered["operational_date"].isin(DAYS[2:5])
    carriers = context.registered["carrier_code"].mask(is_lent, "VIASUL")
    lent = replace(context, registered=context.registered.assign(carrier_code=carriers))
    assert find_in_cycle(lent).query("rule_id == 'K01'").empty


def test_k01_concerns_the_carrier_of_the_contract_whoever_has_the_vehicle() -> None:
    context = invoiced(billed(contract_id="CV1", rate_brl_per_km="7.00", variable_brl="2100.00"))
    contract = {**context.contracts.iloc[0], "contract_id": "CV1", "carrier_code": "VIASUL"}
    context = replace(context, contracts=rows(reference.CONTRACTS, *context.contracts.to_dict("records"), contract))
    [row] = found(context, "K01")
    assert (row["plate"], row["carrier_code"], row["brl_at_stake"]) == (PLATE, "VIASUL", Decimal("2100.00"))


@pytest.mark.parametrize(("credit", "differences"), [("-49.00", []), ("-40.00", [Decimal("9.00")])])
def test_k01_takes_a_credit_note_off_the_line_that_it_corrects(credit: str, differences: list[Decimal]) -> None:
    note = billed(billed_km=None, rate_brl_per_km=None, variable_brl=credit)
    context = invoiced(billed(variable_brl="1519.00"), note)
    assert [row["brl_at_stake"] for row in found(context, "K01")] == differences


def test_k01_takes_off_a_credit_note_with_the_km_class_and_rate_of_its_line_wherever_it_stands() -> None:
    note = billed(billed_km="-10.00", variable_brl="-49.00")
    for lines in ([note, billed(variable_brl="1519.00")], [billed(variable_brl="1519.00"), note]):
        assert found(invoiced(*lines), "K01") == []
    [row] = found(invoiced(note, billed(variable_brl="1600.00")), "K01")
    assert (row["brl_at_stake"], row["evidence"]["invoice_line"]["fixed_brl"]) == (Decimal("81.00"), None)


def test_k01_takes_a_credit_note_without_a_plate_off_once() -> None:
    """It excused nobody, and the line that it corrects was "a mais"; it must not excuse each line of its contract."""
    note = billed(plate=None, vehicle_class=None, billed_km=None, rate_brl_per_km=None, variable_brl="-49.00")
    credited = invoiced(billed(variable_brl="1519.00"), billed(OTHER), note)
    assert found(credited, "K01") == []
    assert "crédito sem placa" in reason(credited, "K01")
    both = invoiced(billed(variable_brl="1519.00"), billed(OTHER, variable_brl="1520.00"), note)
    assert [(row["plate"], row["brl_at_stake"]) for row in found(both, "K01")] == [(OTHER, Decimal("50.00"))]
    part = invoiced(billed(variable_brl="1600.00"), billed(OTHER, variable_brl="1500.00"), note)
    assert {row["plate"]: row["brl_at_stake"] for row in found(part, "K01")} == {
        PLATE: Decimal("81.00"),
        OTHER: Decimal("30.00"),
    }
    less = invoiced(billed(variable_brl="1400.00"), note)
    assert [row["brl_at_stake"] for row in found(less, "K01")] == [Decimal("70.00")]  # in the carrier's favour
    of_other_contract = invoiced(billed(variable_brl="1519.00"), {**note, "contract_id": "CT2"})
    assert [row["brl_at_stake"] for row in found(of_other_contract, "K01")] == [Decimal("49.00")]


def test_an_invoice_whose_contract_is_written_in_another_case_is_of_that_contract() -> None:
    """All of it was "a mais": no trip is of the contract `ct1`."""
    assert found(invoiced(billed(contract_id="ct1")), "K01") == []
    [row] = found(invoiced(billed(contract_id="ct1", variable_brl="1519.00")), "K01")
    assert row["brl_at_stake"] == Decimal("49.00")


def as_class(*lines: dict, registered: str | None = "micro") -> AuditCycle:
    """A cycle whose trips were priced at 4.90 as vans or minibuses of these registered classes."""
    context = invoiced(*lines)
    costs = rows(facts.TRIP_COSTS, *context.costs.assign(vehicle_class=registered).to_dict("records"))
    return replace(context, costs=costs, vehicles=context.vehicles.assign(vehicle_class=registered))


def test_v02_a_minibus_billed_as_a_bus() -> None:
    line = billed(rate_brl_per_km="6.10", variable_brl="1830.00")
    [row] = found(as_class(line), "V02")
    assert (row["plate"], row["severity"], row["paid_doubtful_brl"]) == (PLATE, "H", Decimal("360.00"))
    assert (
        "como ônibus a R$ 6,10 por km, mas no cadastro ele é micro-ônibus, a no máximo R$ 4,90" in row["explanation_pt"]
    )
    assert row["evidence"]["invoice_line"]["vehicle_class"] == "onibus"


def test_v02_takes_no_credit_note_for_a_line_and_spares_what_one_returns() -> None:
    line = billed(rate_brl_per_km="6.10", variable_brl="1830.00")
    note = billed(rate_brl_per_km="6.10", billed_km="-300.00", variable_brl="-1830.00")
    assert found(as_class(line, note), "V02") == []
    assert found(as_class(note), "V02") == []
    [row] = found(as_class(line, billed(rate_brl_per_km=None, billed_km=None, variable_brl="-100.00")), "V02")
    assert row["paid_doubtful_brl"] == Decimal("360.00")


@pytest.mark.parametrize(
    ("line", "registered"),
    [
        (billed(vehicle_class="micro"), "micro"),
        (billed(), "micro"),
        (billed(vehicle_class=None, rate_brl_per_km="6.10"), "micro"),
        (billed(rate_brl_per_km=None), "micro"),
        (billed(rate_brl_per_km="6.10"), "onibus"),
        (billed(rate_brl_per_km="6.10"), None),
    ],
    ids=["its class", "at its own price", "class not billed", "price not billed", "a dearer route", "class unknown"],
)
def test_v02_honest_invoices(line: dict, registered: str | None) -> None:
    assert not found(as_class(line, registered=registered), "V02")


@pytest.mark.parametrize(
    ("line", "status"),
    [(billed(rate_brl_per_km="6.10"), "no_tariff"), (billed(rate_brl_per_km=None), "priced")],
    ids=["no trip shows its own price", "no price billed"],
)
def test_v02_says_which_vehicle_it_could_not_compare(line: dict, status: str) -> None:
    context = as_class(line)
    rate = None if status == "no_tariff" else Decimal("4.90")
    costs = context.costs.assign(cost_status=status, rate_brl_per_km=rate).to_dict("records")
    context = replace(context, costs=rows(facts.TRIP_COSTS, *costs))
    assert not found(context, "V02")
    [reason] = reasons_not_tested(context, "V02").values()
    assert reason.startswith(f"1 de 1 veículo não testado ({PLATE}): cobrado em outra classe")


def test_v02_does_not_say_of_a_vehicle_that_it_found_that_it_was_not_tested() -> None:
    context = as_class(billed(rate_brl_per_km="6.10"), billed(rate_brl_per_km=None))
    assert found(context, "V02")
    assert "V02" not in reasons_not_tested(context, "V02")


def test_v02_is_not_tested_without_an_invoice_of_the_cycle() -> None:
    assert "V02" in untested(invoiced(), "V02")


def test_k01_below_the_sum_is_in_the_carriers_favour():
    [row] = found(invoiced(billed(variable_brl="1400.00")), "K01")
    assert (row["in_favour_brl"], row["amount"]) == (Decimal("70.00"), "in_favour_brl")


def test_k01_a_second_line_with_another_rate_is_a_line_of_its_own():
    halves = ("4.90",) * 5 + ("5.20",) * 5
    first, second = (
        billed(billed_km="150.00", variable_brl="735.00"),
        billed(rate_brl_per_km="5.20", variable_brl="780.00"),
    )
    assert not found(invoiced(first, second, rates=halves), "K01")
    [row] = found(invoiced(billed(), billed(rate_brl_per_km="6.00", variable_brl="60.00")), "K01")
    assert (row["evidence"]["invoice_line"]["rate_brl_per_km"], row["brl_at_stake"]) == (6.0, Decimal("60.00"))
    [row] = found(invoiced(billed(rate_brl_per_km="5.00", variable_brl="1500.00")), "K01")
    assert row["brl_at_stake"] == Decimal("30.00")  # compared with the trips that no line fits


def test_k01_of_a_line_waits_for_the_whole_cycle_and_for_an_invoice():
    wrong = billed(variable_brl="1519.00")
    assert "K01" in untested(invoiced(), "K01")
    assert "K01" in untested(invoiced(wrong, last=DAYS[20]), "K01")
    unpriced = invoiced(wrong)
    lacking = unpriced.costs.assign(cost_status="no_tariff", variable_cost_brl=None)
    assert not found(replace(unpriced, costs=rows(facts.TRIP_COSTS, *lacking.to_dict("records"))), "K01")
    refused = replace(invoiced(wrong, billed(OTHER, variable_brl="1519.00")), incomplete=gaps_of(PLATE, DAYS[20:21]))
    assert [row["plate"] for row in found(refused, "K01")] == [OTHER]
    assert PLATE in reason(refused, "K01")


def written(run_id: str, day: dt.date, start_km: str | None = "1000", **more: object) -> dict:
    readings = {} if start_km is None else {"odometer_start_km": start_km, "odometer_end_km": str(int(start_km) + 30)}
    return run(run_id, "06:00", "07:00", day=day, operational_date=day, is_date_repaired=False, **readings, **more)


def of_two_cycles(
    earlier: list[dict], later: list[dict], linked: Sequence[dict] = (), **parts: list[dict]
) -> AuditCycle:
    """`linked`: matches of the cycle before."""
    return replace(a_cycle(runs=later, **parts), earlier_runs=fact_rows(facts.DECLARED_RUNS, earlier),
                   earlier_matches=fact_rows(facts.MATCHES, list(linked)))  # fmt: skip


BEFORE = CYCLE.start - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("again", "key"),
    [
        ({"bulletin_number": "9001"}, "readings"),
        ({"bulletin_number": "7001", "start_km": None}, "bulletin_number"),
        ({"bulletin_number": "9001", "start_km": "1001"}, None),
        ({"bulletin_number": "7001", "start_km": "1001", "origin_text": "OUTRA"}, None),
        ({"bulletin_number": "9001", "plate": OTHER}, None),
        ({"bulletin_number": "7001", "start_km": None, "declared_date": dt.date(2026, 1, 1)}, "bulletin_number"),
    ],
    ids=["same readings", "same number and row", "next run", "number used again", "other vehicle", "next year"],
)
def test_d09_is_the_same_run_in_two_cycles(again: dict, key: str | None):
    first = written("R1", BEFORE, bulletin_number="7001", origin_text="GARAGEM")
    later = written("R2", CYCLE.start, **{"origin_text": "GARAGEM", **again})
    paid_before = declared(BEFORE, "30.00", "30", declared_run_ids=["R1"])
    context = of_two_cycles([first], [later], [paid_before], trips=[worked(DAYS[0])],
                            matches=[declared(DAYS[0], "30.00", "30", declared_run_ids=["R2"])])  # fmt: skip
    findings = found(context, "D09")
    assert [row["evidence"]["key"] for row in findings] == ([key] if key else [])
    for row in findings:
        assert (row["declared_run_id"], row["severity"], row["amount"]) == ("R2", "C", "paid_doubtful_brl")
        assert (row["km_at_stake"], row["paid_doubtful_brl"]) == (Decimal("30.00"), Decimal("147.00"))
        assert row["evidence"]["billed_before"]["file_name"] == "boletim.csv"
        assert "já declarada no ciclo anterior" in row["explanation_pt"]


@pytest.mark.parametrize(
    ("december", "january", "again"),
    [
        (("7001", "7002", "7003"), ("7002", "7004"), ["7002"]),
        (("7001", "7002", "7003"), ("7003",), ["7003"]),
        (("7001", "7002", "7003"), ("7001", "1", "2"), []),
        (("7001",), ("7001", "702"), ["7001"]),
        (("7001",), ("7001", "0"), ["7001"]),
        (("1-7001", "1-7002"), ("1-7002", "1-7003"), ["1-7002"]),
        (("7001/2025", "7002/2025"), ("7002/2025", "1/2026", "2/2026"), ["7002/2025"]),
        (("1", "2", "3"), ("2", "3"), []),
        (("1", "2", "3"), ("1", "2", "3", "4"), []),
        (("ATA-002", "ATA-003"), ("ATA-001", "ATA-002"), []),
        (("1-4512", "2-4512", "3-4512"), ("1-4512", "2-4512"), []),
        (("001/L20", "002/L20"), ("001/L20", "002/L20"), []),
    ],
    ids=[
        "counts on",
        "the last one again",
        "begins again",
        "a digit is missing",
        "one without a number",
        "with a prefix",
        "with its year",
        "began in December and its first is lost",
        "began in December",
        "with letters",
        "with the number of the bus behind it",
        "with the line behind it",
    ],
)
def test_d09_by_number_knows_a_carrier_that_begins_again_in_january(
    december: tuple[str, ...], january: tuple[str, ...], again: list[str]
):
    """Runs of a timetable are alike but for their number, which some carriers count from 1 each year."""
    old, new = (
        {"origin_text": "GARAGEM", "declared_date": day} for day in (dt.date(2025, 12, 31), dt.date(2026, 1, 1))
    )
    earlier = [written(f"D{one}", BEFORE, None, bulletin_number=one, **old) for one in december]
    later = [written(f"J{one}", CYCLE.start, None, bulletin_number=one, **new) for one in january]
    findings = found(of_two_cycles(earlier, later), "D09")
    assert [row["declared_run_id"] for row in findings] == [f"J{one}" for one in again]


@pytest.mark.parametrize(
    ("trips_before", "in_doubt"), [(["T1"], "147.00"), ([], "0.00")], ids=["paid before", "held before"]
)
def test_d09_puts_nothing_in_doubt_of_a_run_that_the_cycle_before_held(trips_before: list[str], in_doubt: str) -> None:
    """A night run is written with both of its dates: the cycle before held the first copy, this one paid the second."""
    before = declared(BEFORE, "30.00", "30", declared_run_ids=["R1"], trip_ids=trips_before)
    context = of_two_cycles([written("R1", BEFORE)], [written("R2", CYCLE.start)], [before], trips=[worked(DAYS[0])],
                            matches=[declared(DAYS[0], "30.00", "30", declared_run_ids=["R2"])])  # fmt: skip
    [row] = found(context, "D09")
    assert row["paid_doubtful_brl"] == Decimal(in_doubt)


def test_d09_without_a_trip_puts_no_money_at_stake_and_numbers_typed_every_day_prove_nothing():
    [row] = found(of_two_cycles([written("R1", BEFORE)], [written("R2", CYCLE.start)]), "D09")
    assert row["paid_doubtful_brl"] == Decimal("0.00")
    daily = [written(f"R{number}", BEFORE - dt.timedelta(days=number), "1000") for number in (1, 2)]
    assert not found(of_two_cycles(daily, [written("R9", CYCLE.start)]), "D09")
    zero = {"odometer_start_km": "0", "odometer_end_km": "30"}
    assert not found(of_two_cycles([written("R1", BEFORE) | zero], [written("R2", CYCLE.start) | zero]), "D09")


@pytest.mark.parametrize(("of_later", "again"), [(["1", "1"], 0), (["1", "2"], 1)], ids=["daily", "counted on"])
def test_d09_of_a_carrier_that_counts_from_one_each_day_no_number_names_a_run(of_later: list[str], again: int):
    """The runs of a timetable were each accused, on every day of the cycle."""
    later = [
        written(f"R{at}", day, None, bulletin_number=number, declared_date=day, origin_text="GARAGEM")
        for at, (day, number) in enumerate(zip(DAYS, of_later, strict=False))
    ]
    earlier = written("R9", BEFORE, None, bulletin_number="1", declared_date=BEFORE, origin_text="GARAGEM")
    assert len(found(of_two_cycles([earlier], later), "D09")) == again


@pytest.mark.parametrize("form", ["{}", "{:03d}/2025"])
@pytest.mark.parametrize("begins_on", [{1}, {16}, {1, 16}, {21}], ids=["month", "cycle", "half a month", "other day"])
def test_d09_of_a_carrier_that_begins_again_within_the_cycles_no_number_names_a_run(form: str, begins_on: set) -> None:
    """30 of 31 runs of an honest timetable were accused, of a carrier that counts each cycle from 1 as well."""
    number, runs = 0, []
    for day in [*cycle_days(cycle_of(BEFORE, CYCLE.start.day)), *DAYS]:
        number = 1 if day.day in begins_on else number + 1
        runs.append(
            written(f"R{day}", day, None, bulletin_number=form.format(number), declared_date=day, origin_text="GARAGEM")
        )
    assert not found(of_two_cycles(runs[: -len(DAYS)], runs[-len(DAYS) :]), "D09")


@pytest.mark.parametrize(
    ("start_km", "number"), [("1000", None), (None, "7001")], ids=["by its readings", "by its number"]
)
def test_d09_finds_a_run_that_is_billed_again_twice(start_km: str | None, number: str | None) -> None:
    """One that was billed again once was found, and one billed again on three days was not."""
    first = written("R0", BEFORE, start_km, bulletin_number=number, declared_date=BEFORE, origin_text="GARAGEM")
    copies = [
        written(f"R{day}", day, start_km, bulletin_number=number, declared_date=day, origin_text="GARAGEM")
        for day in DAYS[5:8]
    ]
    others = [
        written(f"S{at}", day, start_km and str(1100 + 40 * at), bulletin_number=number and str(7002 + at),
                declared_date=day, origin_text="GARAGEM")
        for at, day in enumerate(DAYS)
    ]  # fmt: skip
    findings = found(of_two_cycles([first], others + copies), "D09")
    assert sorted(row["declared_run_id"] for row in findings) == [row["declared_run_id"] for row in copies]


def test_d09_without_the_cycle_before_is_not_tested():
    assert "D09" in untested(of_two_cycles([], [written("R2", CYCLE.start)]), "D09")

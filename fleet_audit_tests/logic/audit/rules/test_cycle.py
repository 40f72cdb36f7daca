"""Rules over a whole cycle, from made-up results of its days: D03, D12, O05 over seven days, K03, V04, T05, T06."""

from __future__ import annotations

import datetime as dt
import gc
import json
import weakref
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.cycle import calibration_segments, find_in_cycle
from fleet_audit.logic.audit.findings import complete
from fleet_audit.logic.audit.incidents.rows import with_cycle_roots
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.reporting.sections.evidence import evidence_rows
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.audit_sample import (
    CONTRACTS,
    OTHER,
    PLATE,
    SHIFTS,
    VEHICLES,
    at,
    costs_frame,
    reasons_not_tested,
    run,
    trip,
)
from fleet_audit_tests.logic.frames import rows

CYCLE = cycle_of(dt.date(2025, 6, 10), 16)
DAYS = cycle_days(CYCLE)
WRITTEN = {"run_id": "r", "updated_at": at("00:00")}


def fact_rows(table, records: list[dict], **usual: object) -> pd.DataFrame:
    return rows(table, *({**WRITTEN, **usual, **record} for record in records))


def worked(day: dt.date, *, km: str = "30.00", plate: str = PLATE, **more: object) -> dict:
    """A service trip of a day."""
    purpose = more.get("purpose", "service")
    return trip(f"T-{plate}-{day}-{purpose}", "06:00", "07:00", km, day=day, plate=plate, km_uncertainty="0.10", **more)


def declared(day: dt.date, measured: str, declared_km: str, **more: object) -> dict:
    """A compared group of a day."""
    difference = Decimal(declared_km) - Decimal(measured)
    return {
        "match_id": f"M{day}", "operational_date": day, "plate": PLATE, "trip_ids": [f"T-{PLATE}-{day}-service"],
        "declared_run_ids": [f"R{day}"], "kind": "one_to_one", "declared_km": declared_km, "measured_km": measured,
        "difference_km": str(difference), "is_exceeding": False, "unseen_km": "0.00", "is_unobserved": False, **more,
    }  # fmt: skip


def calibrated(day: dt.date, odometer: str, gps: str, **more: object) -> dict:
    ratio = float(odometer) / float(gps)
    return {"operational_date": day, "plate": PLATE, "device_id": "D1", "unit_code": "UCP", "carrier_code": "CONLOG",
            "trips": 4, "km_odometer": Decimal(odometer), "km_gps": Decimal(gps), "ratio": ratio,
            "spread_pct": 0.1, **more}  # fmt: skip


def a_cycle(last: dt.date = CYCLE.end, runs: Sequence[dict] = (), **parts: list[dict] | pd.DataFrame) -> AuditCycle:
    """The results of a cycle run until a day; both vehicles were seen on each of its days, but for an hour."""
    seen = [{"operational_date": day, "plate": plate, "status": "complete", "observed_h": 23.0, "positions": 9,
             "visit_legs": 0} for day in DAYS if day <= last for plate in (PLATE, OTHER)]  # fmt: skip
    given = {"trips": [], "matches": [], "calibrations": [], "coverage": seen, "fixed_costs": [], "day_findings": [],
             "plan": [], "calendar": []}  # fmt: skip
    given |= parts
    tables = {"trips": facts.TRIPS, "matches": facts.MATCHES, "calibrations": facts.CALIBRATIONS,
              "coverage": facts.COVERAGE, "fixed_costs": facts.FIXED_COST_DAYS, "day_findings": facts.FINDINGS,
              "plan": reference.KM_PLAN, "calendar": reference.CALENDAR}  # fmt: skip
    frames = {name: fact_rows(table, given[name]) for name, table in tables.items()}
    ids = frames["trips"]["trip_id"]
    vehicles = VEHICLES.assign(titular_plate=None, seats=46)
    return AuditCycle(
        cycle=CYCLE, day=last, contracts=CONTRACTS, exceptions=empty_frame(reference.EXCEPTIONS), shifts=SHIFTS,
        vehicles=vehicles, parameters=DEFAULT_PARAMETERS,
        registered=on_each_day(vehicles, [day for day in DAYS if day <= last]),
        costs=costs_frame(*({"trip_id": key, "billable_km": "30.00"} for key in ids)),
        runs=fact_rows(facts.DECLARED_RUNS, list(runs)), **frames,
    )  # fmt: skip


def on_each_day(vehicles: pd.DataFrame, days: Sequence[dt.date] = DAYS) -> pd.DataFrame:
    """The same vehicles on each of the days."""
    return pd.concat([vehicles.assign(operational_date=day) for day in days], ignore_index=True)


def untested(context: AuditCycle, *rule_ids: str) -> set[str]:
    return set(reasons_not_tested(context, *rule_ids))


def found(context: AuditCycle, rule_id: str) -> list[dict]:
    """Findings of one rule of the cycle as records, evidence read; none where it is not tested."""
    rule = CYCLE_RULES[rule_id]
    drafts = rule.find(context) if rule.is_testable(context) else []
    findings = complete(context, drafts, CYCLE_RULES).assign(cycle_start=CYCLE.start)
    findings = with_cycle_roots(CYCLE, findings, context.day_findings)
    assert findings["finding_id"].is_unique  # else the cycle cannot be written
    records = conform(findings.assign(**WRITTEN), facts.CYCLE_FINDINGS).to_dict("records")
    return [{**row, "evidence": json.loads(row["evidence"])} for row in records]


@pytest.mark.parametrize(
    ("declared_km", "severity"),
    [("30", None), ("30.80", None), ("31", "M"), ("31.50", "M"), ("31.60", "C"), ("29", None)],
)
def test_d03_warns_above_3_pct_and_is_critical_above_5(declared_km: str, severity: str | None):
    context = a_cycle(
        trips=[worked(day) for day in DAYS], matches=[declared(day, "30.00", declared_km) for day in DAYS]
    )
    findings = found(context, "D03")
    assert [row["severity"] for row in findings] == ([severity] if severity else [])
    for row in findings:
        excess = (Decimal(declared_km) - 30) * len(DAYS)
        assert (row["km_at_stake"], row["brl_at_stake"]) == (
            excess,
            (excess * Decimal("4.90")).quantize(Decimal("0.01")),
        )
        assert (row["operational_date"], row["cycle_start"]) == (CYCLE.end, CYCLE.start)
        assert row["evidence"]["group_count"] == len(row["evidence"]["groups"]) == len(DAYS)


def test_d03_holds_the_contracts_own_tolerance():
    own = CONTRACTS.assign(cycle_tolerance_pct=Decimal("2.00"))
    context = a_cycle(trips=[worked(day) for day in DAYS], matches=[declared(day, "30.00", "30.75") for day in DAYS])
    assert not found(context, "D03")
    [row] = found(replace(context, contracts=conform(own, reference.CONTRACTS)), "D03")
    assert row["severity"] == "C"


def test_d03_a_few_short_runs_prove_nothing_nor_does_what_was_in_doubt_on_its_day():
    few = a_cycle(trips=[worked(DAYS[0], km="4.00")], matches=[declared(DAYS[0], "4.00", "5")])
    assert not found(few, "D03")
    doubtful = [declared(day, "30.00", "40", is_exceeding=True) for day in DAYS]
    trips = [worked(day) for day in DAYS]
    assert not found(a_cycle(trips=trips, matches=doubtful), "D03")
    accused = [{"finding_id": f"F{day}", "operational_date": day, "rule_id": "D01", "rule_version": "1",
                "severity": "H", "confidence": 0.9, "evidence": "{}", "status": "open", "explanation_pt": "x",
                "declared_run_id": f"R{day}"} for day in DAYS]  # fmt: skip
    assert found(a_cycle(trips=trips, matches=doubtful, day_findings=accused), "D03")


@pytest.mark.parametrize(("rule_id", "names_runs"), [("D01", True), ("D02", False)])
def test_d03_counts_no_km_that_an_exception_covers_on_their_day(rule_id: str, names_runs: bool) -> None:
    def of(status: str, days: Sequence[dt.date], evidence: str = "{}") -> list[dict]:
        covered = [{"finding_id": f"F{day}", "operational_date": day, "rule_id": rule_id, "rule_version": "1",
                    "severity": "H", "confidence": 0.9, "evidence": evidence, "status": status, "explanation_pt": "x",
                    "plate": PLATE, "declared_run_id": f"R{day}" if names_runs else None} for day in days]  # fmt: skip
        trips, matches = [worked(day) for day in DAYS], [declared(day, "30.00", "32") for day in DAYS]
        return found(a_cycle(trips=trips, matches=matches, day_findings=covered), "D03")

    assert of("open", DAYS)[0]["km_at_stake"] == Decimal("62.00")
    assert not of("excepted", DAYS)
    [row] = of("excepted", DAYS[:11])
    assert row["km_at_stake"] == Decimal("40.00")
    assert row["evidence"]["uncounted_match_ids"] == [f"M{day}" for day in DAYS[:11]]
    by_a_run = of("excepted", DAYS, '{"excepted_match_ids": ["M"]}')  # the day's exception is that of one of its runs
    assert bool(by_a_run) is (rule_id == "D02")


OLD = {"plate": PLATE, "contract_id": "CT1", "amount_brl_per_month": "3100.00"}
NEW = {"plate": PLATE, "contract_id": "CT2", "amount_brl_per_month": "6200.00"}


@pytest.mark.parametrize(
    ("registered", "costs", "said"),
    [
        ("CT2", [OLD, NEW], "De 16/05/2025 a 15/06/2025 (31 dias) não se paga o custo fixo do veículo AAA1A11 sob o "
         "contrato CT1, R$ 3.100,00: o veículo está no contrato CT2, que paga R$ 6.200,00"),
        ("CT1", [OLD | {"amount_brl_per_month": "0.00"}, NEW], "sob o contrato CT2, R$ 6.200,00: o veículo está no "
         "contrato CT1, que paga R$ 0,00"),
        ("CT2", [OLD | {"valid_to": "2025-05-25"}, NEW], "De 16/05/2025 a 25/05/2025 (10 dias)"),
        (None, [OLD, NEW], "R$ 3.100,00 sob o contrato CT1 e R$ 6.200,00 sob CT2"),
        ("CT2", [OLD | {"valid_to": "2025-05-15"}, NEW], None),
        ("CT2", [NEW, NEW], None),
    ],
)  # fmt: skip
def test_q05_names_fixed_costs_of_several_contracts_of_a_vehicle(
    registered: str | None, costs: list[dict], said: str | None
) -> None:
    vehicle = {"plate": PLATE, "unit_code": "UCP", "contract_id": registered, "status": "ativo"}
    context = replace(a_cycle(), fixed_cost_terms=rows(reference.FIXED_COSTS, *costs),
                      vehicle_terms=rows(reference.VEHICLES, vehicle))  # fmt: skip
    findings = found(context, "Q05")
    assert len(findings) == (said is not None)
    for row in findings:
        assert said in row["explanation_pt"]
        assert (row["plate"], row["carrier_code"]) == (PLATE, "CONLOG")
        assert pd.isna(row["amount"])
        assert pd.isna(row["brl_at_stake"])


def _parallel(costs: list[dict], vehicle: dict, **results: list[dict]) -> list[str]:
    contracts = pd.concat([CONTRACTS, CONTRACTS.iloc[[1]].assign(contract_id="CT3")], ignore_index=True)
    vehicle = {"plate": PLATE, "unit_code": "UCP", "contract_id": None, "status": "ativo", **vehicle}
    context = replace(a_cycle(**results), contracts=contracts, fixed_cost_terms=rows(reference.FIXED_COSTS, *costs),
                      vehicle_terms=rows(reference.VEHICLES, vehicle))  # fmt: skip
    return [row["explanation_pt"] for row in found(context, "Q05")]


def test_q05_names_each_two_of_three_contracts_that_are_paid_on_the_same_days() -> None:
    """From 26/05 CT3 takes the place of CT1 beside CT2: 10 and 21 of the 31 days."""
    third = NEW | {"contract_id": "CT3", "amount_brl_per_month": "9300.00", "valid_from": "2025-05-26"}
    said = sorted(_parallel([OLD | {"valid_to": "2025-05-25"}, NEW, third], {}))
    assert [text[: text.index(" são pagas")] for text in said] == [
        "De 16/05/2025 a 25/05/2025 (10 dias)",
        "De 26/05/2025 a 15/06/2025 (21 dias)",
    ]
    assert "R$ 1.000,00 sob o contrato CT1 e R$ 2.000,00 sob CT2" in said[0]
    assert "R$ 4.200,00 sob o contrato CT2 e R$ 6.300,00 sob CT3" in said[1]
    together = _parallel([OLD, NEW, third | {"valid_from": "2025-05-16"}], {})
    pairs = [("CT1", "CT2"), ("CT1", "CT3"), ("CT2", "CT3")]
    assert [[f"contrato {one} e" in text and f"sob {two}," in text for text in together].count(True)
            for one, two in pairs] == [1, 1, 1]  # fmt: skip


def test_q05_states_no_money_of_a_reserve_on_days_on_which_its_titular_serves() -> None:
    """100.00 and 200.00 per day, on the days without service of the titular alone."""
    reserve = {"status": "reserva", "titular_plate": OTHER}
    served = [worked(day) | {"plate": OTHER, "trip_id": f"S{day}"} for day in DAYS]
    assert _parallel([OLD, NEW], reserve, trips=served) == []
    [said] = _parallel([OLD, NEW], reserve, trips=served[:-2])
    assert "(2 dias) são pagas" in said
    assert "R$ 200,00 sob o contrato CT1 e R$ 400,00 sob CT2" in said


def test_q05_shows_no_carrier_the_fixed_cost_of_another() -> None:
    contracts = CONTRACTS.assign(carrier_code=["CONLOG", "OUTRA"])
    vehicle = {"plate": PLATE, "unit_code": "UCP", "contract_id": "CT2", "status": "ativo"}
    context = replace(a_cycle(), contracts=contracts, fixed_cost_terms=rows(reference.FIXED_COSTS, OLD, NEW),
                      vehicle_terms=rows(reference.VEHICLES, vehicle))  # fmt: skip
    [row] = found(context, "Q05")
    assert pd.isna(row["carrier_code"])
    assert row["unit_code"] == "UCP"


def excepted(day: dt.date, rule_id: str, declared_run_id: str | None, evidence: str = "{}") -> dict:
    """A finding of a day that an exception covers."""
    return {"finding_id": f"F{rule_id}{day}", "operational_date": day, "rule_id": rule_id, "rule_version": "1",
            "severity": "H", "confidence": 0.9, "evidence": evidence, "status": "excepted", "explanation_pt": "x",
            "plate": PLATE, "declared_run_id": declared_run_id}  # fmt: skip


def test_d03_counts_no_day_that_its_own_exception_covers_beside_those_of_its_runs() -> None:
    days = [excepted(day, "D02", None, '{"excepted_match_ids": ["M"]}') for day in DAYS]
    context = a_cycle(trips=[worked(day) for day in DAYS], matches=[declared(day, "30.00", "32") for day in DAYS],
                      day_findings=days)  # fmt: skip
    usual = {"exception_id": "E1", "reason": "combinado", "approved_by": "gestor"}
    for scope, is_found in (({"rule_id": "D02"}, False), ({"plate": PLATE}, False), ({"rule_id": "D01"}, True)):
        with_exception = replace(context, exceptions=rows(reference.EXCEPTIONS, {**usual, **scope}))
        assert bool(found(with_exception, "D03")) is is_found


def test_d03_an_exception_accuses_nobody_of_a_cycle_that_did_not_exceed_with_its_run() -> None:
    """Without a run of 1,000 km that declares 10 more, 62 km of 930 are 6.7 %; with it 72 of 1,930 are 3.7 %: M."""

    def severity(long_km: str, status: str) -> list[str]:
        long = worked(DAYS[0], km=long_km) | {"trip_id": "LONG"}
        more = declared(DAYS[0], long_km, str(Decimal(long_km) + 10), match_id="LONG", trip_ids=["LONG"],
                        declared_run_ids=["LONG"])  # fmt: skip
        context = a_cycle(trips=[*(worked(day) for day in DAYS), long],
                          matches=[*(declared(day, "30.00", "32") for day in DAYS), more],
                          day_findings=[excepted(DAYS[0], "D01", "LONG") | {"status": status}])  # fmt: skip
        return [row["severity"] for row in found(context, "D03")]

    assert severity("1000.00", "open") == severity("1000.00", "excepted") == ["M"]
    assert severity("3000.00", "open") == severity("3000.00", "excepted") == []
    assert severity("100.00", "open") == severity("100.00", "excepted") == ["C"]


def test_d03_takes_no_chords_between_rare_positions_for_the_road():
    rare = {"km_method": "gps", "moving_s": 3600.0, "moving_steps": 12}
    matches = [declared(day, "30.00", "32.50") for day in DAYS]
    context = a_cycle(trips=[worked(day, **rare) for day in DAYS], matches=matches)
    assert not found(context, "D03")
    reasons = reasons_not_tested(context, "D03")
    assert "as posições são raras demais para medir a estrada" in reasons["D03"]
    assert found(a_cycle(trips=[worked(day, **rare | {"moving_steps": 120}) for day in DAYS], matches=matches), "D03")


SIX_A_DAY = [(day, hour) for day in DAYS for hour in range(6)]


def silent_mill(**seen: object) -> AuditCycle:
    """186 runs of 6 km, each seen for 5 km, within its own tolerance, until its tracker falls silent: 186 km more."""
    trips = [worked(day, km="5.00") | {"trip_id": f"T{day}{hour}"} for day, hour in SIX_A_DAY]
    matches = [
        declared(day, "5.00", "6", match_id=f"M{day}{hour}", trip_ids=[f"T{day}{hour}"],
                 declared_run_ids=[f"R{day}{hour}"], **seen)
        for day, hour in SIX_A_DAY
    ]  # fmt: skip
    return a_cycle(trips=trips, matches=matches)


def test_d03_accuses_nobody_of_ends_of_runs_that_a_silence_hides() -> None:
    [seen] = found(silent_mill(), "D03")
    assert (seen["severity"], seen["brl_at_stake"]) == ("C", Decimal("911.40"))
    unobserved = silent_mill(unseen_km="17.50", is_unobserved=True)
    assert not found(unobserved, "D03")
    assert "faltam posições durante as atas" in reason_of_d03(unobserved)


def reason_of_d03(context: AuditCycle) -> str:
    return reasons_not_tested(context, "D03").get("D03", "")


def test_d03_does_not_test_a_vehicle_with_days_of_an_earlier_release_and_says_so() -> None:
    """Groups of such days that declare less than measured would be left alone, and hide what the others declare."""
    trips = [worked(day) for day in DAYS]
    earlier = {"unseen_km": None, "is_unobserved": None}
    matches = [declared(day, "30.00", "32.50", **(earlier if day < DAYS[20] else {})) for day in DAYS[:-1]]
    context = a_cycle(trips=trips, matches=[*matches, declared(DAYS[-1], "30.00", "29.90")])
    assert not found(context, "D03")
    assert reason_of_d03(context).startswith(
        f"1 de 1 veículo não testado ({PLATE}): dias calculados por versão anterior"
    )


def test_d03_finds_a_habit_by_the_runs_that_were_seen_whatever_the_others_declare() -> None:
    """Of six runs a day four had a silence; without those of them that declare too much, 12 km of 930 would be left."""
    trips = [worked(day, km="5.00") | {"trip_id": f"T{day}{hour}"} for day, hour in SIX_A_DAY]
    matches = [
        declared(day, "5.00", ("5.60", "5.60", "5.90", "5.90", "4.20", "4.20")[hour], match_id=f"M{day}{hour}",
                 trip_ids=[f"T{day}{hour}"], declared_run_ids=[f"R{day}{hour}"], is_unobserved=hour > 1,
                 unseen_km="2.00" if hour > 1 else "0.00")
        for day, hour in SIX_A_DAY
    ]  # fmt: skip
    context = a_cycle(trips=trips, matches=matches)
    [row] = found(context, "D03")
    assert (row["km_at_stake"], row["evidence"]["group_count"]) == (Decimal("37.20"), 62)
    assert not reason_of_d03(context)


def test_d03_what_was_perhaps_driven_asleep_lowers_its_own_group_alone() -> None:
    """A tracker slept in 5 of 186 runs, each time long enough for 17.50 km: of these runs' 5 km too much no more."""
    trips = [worked(day, km="5.00") | {"trip_id": f"T{day}{hour}"} for day, hour in SIX_A_DAY]
    matches = [
        declared(day, "5.00", "6", match_id=f"M{day}{hour}", trip_ids=[f"T{day}{hour}"],
                 declared_run_ids=[f"R{day}{hour}"], unseen_km="17.50" if number < 5 else "0.00")
        for number, (day, hour) in enumerate(SIX_A_DAY)
    ]  # fmt: skip
    [row] = found(a_cycle(trips=trips, matches=matches), "D03")
    assert (row["evidence"]["unseen_km"], row["brl_low"]) == (5.0, Decimal("795.76"))  # (186 - 18.60 - 5) x 4.90


def test_d03_a_sleep_too_short_for_the_difference_lowers_what_is_at_stake() -> None:
    """Of each kilometre too much 0.30 km can have been driven asleep: of 186 km 55.80."""
    [seen], [partly] = found(silent_mill(), "D03"), found(silent_mill(unseen_km="0.30"), "D03")
    assert (partly["km_at_stake"], partly["brl_high"]) == (seen["km_at_stake"], seen["brl_high"])
    assert (seen["brl_low"], partly["brl_low"]) == (Decimal("820.26"), Decimal("546.84"))  # (167.40 - 55.80) x 4.90
    assert partly["evidence"]["unseen_km"] == 55.8


def test_a_finding_keeps_its_id_as_the_cycle_goes_on():
    matches, trips = [declared(day, "30.00", "33") for day in DAYS], [worked(day) for day in DAYS]
    ids = {found(a_cycle(last, trips=trips, matches=matches), "D03")[0]["finding_id"] for last in (DAYS[19], DAYS[25])}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("odometer", "is_found", "confidence"),
    [("102", False, 0), ("104", True, 0.96), ("96", True, 0.96), ("107", True, 0.99)],
)
def test_o05_judges_seven_days_of_a_vehicle(odometer: str, is_found: bool, confidence: float):
    days = [calibrated(day, "100" if number < 20 else odometer, "100") for number, day in enumerate(DAYS)]
    findings = found(a_cycle(calibrations=days, trips=[worked(day, km="100.00") for day in DAYS]), "O05")
    assert bool(findings) is is_found
    for row in findings:
        assert row["amount"] == ("paid_doubtful_brl" if Decimal(odometer) > 100 else "in_favour_brl")
        assert row["confidence"] == confidence
        assert len(row["evidence"]["days"]) == 7
        assert row["km_at_stake"] == abs(Decimal(odometer) - 100) * 7


def test_o05_sees_the_days_before_the_cycle_and_not_beyond_the_last():
    before = [calibrated(CYCLE.start - dt.timedelta(days=back), "100", "100") for back in range(1, 7)]
    one_day = calibrated(CYCLE.start, "110", "100")
    much = calibrated(CYCLE.start, "130", "100")
    assert found(a_cycle(CYCLE.start, calibrations=[*before, much]), "O05")
    assert not found(a_cycle(CYCLE.start, calibrations=[*before, one_day]), "O05")
    assert not found(a_cycle(CYCLE.start, calibrations=[much]), "O05")  # one day with trips is not seven
    assert not found(a_cycle(DAYS[2], calibrations=[calibrated(DAYS[5], "110", "100")]), "O05")


def test_o05_of_a_vehicle_leaves_out_days_on_which_its_odometer_was_caught():
    days = [calibrated(day, "110" if number % 2 else "100", "100") for number, day in enumerate(DAYS)]
    assert found(a_cycle(calibrations=days), "O05")
    caught = [
        {"finding_id": f"F{day}", "operational_date": day, "rule_id": "O02", "rule_version": "1", "severity": "H",
         "plate": PLATE, "confidence": 0.9, "evidence": "{}", "status": "open", "explanation_pt": "x"}
        for day in DAYS[1::2]
    ]  # fmt: skip
    assert not found(a_cycle(calibrations=days, day_findings=caught), "O05")


def test_o05_is_silent_on_few_km_and_on_an_odometer_in_miles():
    assert not found(a_cycle(calibrations=[calibrated(DAYS[0], "44", "40")]), "O05")
    assert not found(a_cycle(calibrations=[calibrated(day, "62.1", "100") for day in DAYS]), "O05")


@pytest.mark.parametrize(("deadhead", "is_found"), [("3.00", False), ("3.10", True)])
def test_k03_waits_for_the_end_and_needs_more_than_10_pct(deadhead: str, is_found: bool):
    trips = [trip for day in DAYS for trip in (worked(day), worked(day, km=deadhead, purpose="deadhead"))]
    assert bool(found(a_cycle(trips=trips), "K03")) is is_found
    assert not found(a_cycle(DAYS[-2], trips=trips), "K03")


@pytest.mark.parametrize(
    ("plate", "deadhead", "is_found"), [(PLATE, "3.20", False), (PLATE, "8", True), ("", "8", True)]
)
def test_k03_counts_no_day_that_was_not_seen_whole(plate: str, deadhead: str, is_found: bool) -> None:
    """Of three days the file with the service was refused; on the others 10 % of the service km are driven empty."""
    lost = DAYS[:3]
    trips = [worked(day, km=deadhead if day in lost or is_found else "3.00", purpose="deadhead") for day in DAYS]
    trips += [worked(day) for day in DAYS if day not in lost]
    context = a_cycle(trips=trips)
    assert found(context, "K03")
    partly = context.coverage.assign(observed_h=12.0)
    rows = found(replace(context, coverage=partly, incomplete=gaps_of(plate, lost)), "K03")
    assert bool(rows) is is_found
    assert all("sem contar 3 dias de fonte incompleta" in row["explanation_pt"] for row in rows)
    assert all(row["evidence"]["deadhead_km"] == 8 * 28 for row in rows)
    off = pd.DataFrame([{"rule_id": "O04", "plate": PLATE, "operational_date": day} for day in lost])
    findings = off.reindex(columns=context.day_findings.columns)  # or the tracker, which drifts, was off the bus
    assert bool(found(replace(context, day_findings=findings), "K03")) is is_found


def test_v04_counts_working_days_that_were_seen_and_had_no_service():
    calendar = [{"date": day, "unit_code": "UCP", "day_type": "util" if day.isoweekday() <= 5 else "domingo"}
                for day in DAYS]  # fmt: skip
    fixed = [{"operational_date": day, "plate": PLATE, "contract_id": "CT1", "amount_brl": "300.00",
              "parameters_version": "p"} for day in DAYS]  # fmt: skip
    working = [day for day in DAYS if day.isoweekday() <= 5]
    idle = set(working[:5])  # of 21: 23.8 %
    trips = [worked(day) for day in DAYS if day not in idle]
    parts = {"calendar": calendar, "fixed_costs": fixed}
    [row] = found(a_cycle(trips=trips, **parts), "V04")
    assert row["brl_at_stake"] == Decimal("1500.00")
    assert pd.isna(row["km_at_stake"])
    assert f"5 de {len(working)} dias úteis" in row["explanation_pt"]
    assert not found(a_cycle(trips=[worked(day) for day in DAYS if day not in set(working[:4])], **parts), "V04")
    silent = [{"operational_date": day, "plate": PLATE, "status": "silent" if day in idle else "complete",
               "observed_h": 24.0, "positions": 0, "visit_legs": 0} for day in DAYS]  # fmt: skip
    assert not found(a_cycle(trips=trips, coverage=silent, **parts), "V04")
    for positions in (1, 23, 24, 48):  # of lone positions, as of a parked device that reports every 30 min
        lone = [{"operational_date": day, "plate": PLATE, "status": "partial", "observed_h": 0.0,
                 "positions": positions, "visit_legs": 0} for day in DAYS]  # fmt: skip
        assert bool(found(a_cycle(trips=trips, coverage=lone, **parts), "V04")) is (positions >= 24)
    assert not found(a_cycle(DAYS[-2], trips=trips, **parts), "V04")


def both_charged(served: dict[str, set[dt.date]], status: str = "complete", last: dt.date = CYCLE.end) -> list[dict]:
    """Findings of V03 in `with_reserve`."""
    return found(with_reserve(*(worked(day, plate=plate) for plate, own in served.items() for day in own),
                              status=status, last=last), "V03")  # fmt: skip


def with_reserve(*trips: dict, status: str = "complete", last: dt.date = CYCLE.end) -> AuditCycle:
    """OTHER is the reserve of PLATE and both have a share on three working days."""
    days = [day for day in DAYS if day.isoweekday() <= 5][:3]
    parts = {
        "calendar": [{"date": day, "unit_code": "UCP", "day_type": "util"} for day in days],
        "fixed_costs": [{"operational_date": day, "plate": plate, "contract_id": "CT1", "amount_brl": "100.00",
                         "parameters_version": "p"} for day in days for plate in (PLATE, OTHER)],
        "coverage": [{"operational_date": day, "plate": plate, "status": status, "observed_h": 24.0, "positions": 9,
                      "visit_legs": 0} for day in DAYS for plate in (PLATE, OTHER)],
        "trips": list(trips),
    }  # fmt: skip
    vehicles = VEHICLES.assign(status=["ativo", "reserva"], titular_plate=[None, PLATE])
    return replace(a_cycle(last, **parts), registered=on_each_day(vehicles))


def test_v03_a_reserve_that_replaced_nobody_is_charged_beside_its_titular() -> None:
    first, second, third = [day for day in DAYS if day.isoweekday() <= 5][:3]
    [row] = both_charged({OTHER: {first}})  # neither served on two of the days
    assert (row["plate"], row["severity"], row["paid_doubtful_brl"]) == (OTHER, "H", Decimal("200.00"))
    assert f"em 2 dias úteis sem que o reserva tenha substituído o titular ({second:%d/%m/%Y}" in row["explanation_pt"]
    assert row["evidence"]["dates"] == [second.isoformat(), third.isoformat()]


def test_v03_an_honest_substitution_or_an_unseen_day_is_no_doubt() -> None:
    working = {day for day in DAYS if day.isoweekday() <= 5}
    assert not both_charged({OTHER: working})
    assert not both_charged({}, status="partial")
    assert not both_charged({}, last=DAYS[-2])
    assert "V03" in untested(a_cycle(), "V03")  # no reserve is registered


@pytest.mark.parametrize("plate", [PLATE, OTHER])
@pytest.mark.parametrize("rule_id", ["O04", "O08"])
def test_v03_a_device_off_its_vehicle_shows_no_vehicle_idle(rule_id: str, plate: str) -> None:
    """The tracker stood in a workshop while the bus drove; R$ 927,42 of an honest reserve were in doubt."""
    first, second, third = [day for day in DAYS if day.isoweekday() <= 5][:3]
    context = with_reserve()
    off = pd.DataFrame([{"rule_id": rule_id, "plate": plate, "operational_date": day} for day in (first, second)])
    context = replace(context, day_findings=off.reindex(columns=context.day_findings.columns))
    [row] = found(context, "V03")
    assert (row["evidence"]["dates"], row["paid_doubtful_brl"]) == ([third.isoformat()], Decimal("100.00"))
    seen = context.seen_days.loc[context.seen_days["plate"] == plate, "operational_date"]
    assert {first, second}.isdisjoint(seen)  # V04 and T06 count such days as unseen
    assert third in set(seen)


def perhaps_served(day: dt.date, plate: str = PLATE, candidates: str | None = "FR1, GAR", km: str = "30.00") -> dict:
    """A trip of unknown purpose that ends in one of several places, none of which is proven."""
    return worked(day, plate=plate, km=km, purpose="unknown", destination_candidates=candidates)


def test_v03_a_reserve_that_may_have_served_is_not_accused_and_listed() -> None:
    first, second, third = [day for day in DAYS if day.isoweekday() <= 5][:3]
    trips = [worked(first, plate=OTHER), perhaps_served(second, OTHER)]
    context = with_reserve(*trips, perhaps_served(second))
    [row] = found(context, "V03")
    assert (row["evidence"]["dates"], row["paid_doubtful_brl"]) == ([third.isoformat()], Decimal("100.00"))
    assert f"({OTHER})" in reason(context, "V03")
    assert "parcela do reserva fica retida" in reason(context, "V03")
    assert not reason(with_reserve(*trips[:1], worked(second, plate=OTHER)), "V03")


def reason(context: AuditCycle, rule_id: str) -> str:
    """Why a rule was not tested, for all or for some vehicles; empty where it was."""
    return reasons_not_tested(context, rule_id).get(rule_id, "")


@pytest.mark.parametrize(
    ("candidates", "is_tested"), [("GAR", False), (None, True)]
)  # on the way it may have been at a front
def test_t06_and_v04_test_no_vehicle_whose_places_would_change_the_verdict(
    candidates: str | None, is_tested: bool
) -> None:
    """20 of 31 trips are proven; with 5 of unknown purpose the plan is fulfilled to 80 %, and 6 days are idle."""
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    calendar = [{"date": day, "unit_code": "UCP", "day_type": "util"} for day in DAYS]
    fixed = [{"operational_date": day, "plate": PLATE, "contract_id": "CT1", "amount_brl": "300.00",
              "parameters_version": "p"} for day in DAYS]  # fmt: skip
    trips = [worked(day) for day in DAYS[:20]] + [perhaps_served(day, candidates=candidates) for day in DAYS[20:25]]
    context = a_cycle(trips=trips, plan=plan, calendar=calendar, fixed_costs=fixed)
    for rule_id in ("T06", "V04"):
        assert bool(found(context, rule_id)) is is_tested
        assert reason(context, rule_id).startswith("" if is_tested else f"1 de 1 veículo não testado ({PLATE}): ")
        assert bool(reason(context, rule_id)) is not is_tested


def test_t06_and_v04_accuse_where_unproven_places_change_nothing() -> None:
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    calendar = [{"date": day, "unit_code": "UCP", "day_type": "util"} for day in DAYS]
    fixed = [{"operational_date": day, "plate": PLATE, "contract_id": "CT1", "amount_brl": "300.00",
              "parameters_version": "p"} for day in DAYS]  # fmt: skip
    trips = [worked(day) for day in DAYS[:20]] + [perhaps_served(day) for day in DAYS[20:24]]
    context = a_cycle(trips=trips, plan=plan, calendar=calendar, fixed_costs=fixed)
    [few], [idle] = found(context, "T06"), found(context, "V04")
    assert few["evidence"]["trips_without_proven_place"] == 4
    assert idle["brl_at_stake"] == Decimal("2100.00")  # 7 of 31 days; on 4 more it may have served
    assert not reason(context, "T06")
    assert not reason(context, "V04")


def test_t05_and_k03_are_not_passed_nor_accused_where_unproven_places_decide() -> None:
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    trips = [trip for day in DAYS for trip in (worked(day), worked(day, km="4.00", purpose="deadhead"))]
    more = [perhaps_served(day) for day in DAYS]  # 4 km empty to 30 in service, or to 60
    context = a_cycle(trips=[*trips, *more], plan=plan)
    assert found(a_cycle(trips=trips, plan=plan), "K03")
    for rule_id in ("T05", "K03"):
        assert not found(context, rule_id)
        assert PLATE in reason(context, rule_id)


@pytest.mark.parametrize(
    ("planned", "rule_id"), [(31, None), (28, "T05"), (29, None), (38, None), (39, "T06"), (30, None)]
)
def test_t05_and_t06_compare_with_the_plan(planned: int, rule_id: str | None):
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": planned}]
    context = a_cycle(trips=[worked(day) for day in DAYS], plan=plan)
    assert [name for name in ("T05", "T06") if found(context, name)] == ([rule_id] if rule_id else [])


def test_t05_and_t06_compare_only_trips_on_the_routes_that_the_plan_names():
    """31 trips on R1 are planned; 31 on R2 are not, and neither make up for R1 nor exceed its plan."""
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "route_code": "R1", "planned_km": "900", "planned_trips": 31}]
    elsewhere = [worked(day, route_code="R2") for day in DAYS]
    [row] = found(a_cycle(trips=elsewhere, plan=plan), "T06")
    assert "fez 0 viagens de serviço nas rotas do plano (R1) para 31 no plano" in row["explanation_pt"]
    as_planned = [{**trip, "trip_id": f"{trip['trip_id']}-1", "route_code": "R1"} for trip in elsewhere]
    both = a_cycle(trips=[*as_planned, *elsewhere], plan=plan)
    assert not found(both, "T05")
    assert not found(both, "T06")
    unknown = a_cycle(trips=[worked(day) for day in DAYS], plan=plan)  # whose route nobody knows: they may be R1's
    assert not found(unknown, "T06")
    assert not found(unknown, "T05")


def test_the_evidence_of_t06_and_k03_names_the_plan_and_every_trip_that_is_counted():
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 40}]
    context = a_cycle(
        trips=[trip for day in DAYS for trip in (worked(day), worked(day, km="6.00", purpose="deadhead"))], plan=plan
    )
    [few] = found(context, "T06")
    assert [row["planned_trips"] for row in few["evidence"]["plan_rows"]] == [40]
    named = [key for day in few["evidence"]["trip_days"] for key in day["trip_ids"]]
    assert len(named) == len(set(named)) == few["evidence"]["service_trips"] == len(DAYS)
    [empty] = found(context, "K03")
    for purpose in ("service", "deadhead"):
        days = empty["evidence"][f"{purpose}_days"]
        assert sum(Decimal(str(day["km"])) for day in days) == Decimal(str(empty["evidence"][f"{purpose}_km"]))
        assert [day["operational_date"] for day in days] == [day.isoformat() for day in DAYS]
    listed = list(evidence_rows(empty["evidence"], "America/Sao_Paulo", {}))
    assert sum(row["km"] for row in listed if row["what"] == "viagens vazias do dia") == Decimal("6.00") * len(DAYS)
    assert [row["km"] for row in evidence_rows(few["evidence"], "UTC", {}) if row["what"] == "linha do plano"] == [900]


def test_t06_days_without_data_may_have_held_the_trips():
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    trips = [worked(day) for day in DAYS[:20]]
    assert found(a_cycle(trips=trips, plan=plan), "T06")
    silent = [{"operational_date": day, "plate": PLATE, "status": "complete" if number < 20 else "silent",
               "observed_h": 24.0, "positions": 0, "visit_legs": 0} for number, day in enumerate(DAYS)]  # fmt: skip
    unseen = a_cycle(trips=trips, plan=plan, coverage=silent)
    assert not found(unseen, "T06")
    assert f"({PLATE})" in reason(unseen, "T06")


def test_days_that_the_api_did_not_answer_prove_neither_too_few_trips_nor_idleness():
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    calendar = [{"date": day, "unit_code": "UCP", "day_type": "util"} for day in DAYS]
    fixed = [{"operational_date": day, "plate": PLATE, "contract_id": "CT1", "amount_brl": "300.00",
              "parameters_version": "p"} for day in DAYS]  # fmt: skip
    context = a_cycle(trips=[worked(day) for day in DAYS[:20]], plan=plan, calendar=calendar, fixed_costs=fixed)
    assert found(context, "T06")
    assert found(context, "V04")
    gaps = gaps_of("", DAYS[20:])
    assert not found(replace(context, incomplete=gaps), "T06")
    assert not found(replace(context, incomplete=gaps), "V04")
    of_another = replace(context, incomplete=gaps_of(OTHER, DAYS[20:]))  # its file was refused, and names it alone
    assert found(of_another, "T06") == found(context, "T06")
    assert found(of_another, "V04") == found(context, "V04")
    assert not found(replace(context, incomplete=gaps_of(PLATE, DAYS[20:])), "T06")
    assert not found(replace(context, incomplete=gaps_of(PLATE, DAYS[20:])), "V04")
    observed = replace(context, incomplete=gaps, coverage=context.coverage.assign(observed_h=23.9))
    assert found(observed, "T06") == found(context, "T06")  # what was refused can hold nothing of its days
    moved = find_in_cycle(replace(context, incomplete=gaps_of(PLATE, DAYS[:1], "devices")))  # to another bus, perhaps
    assert not {"T06", "V04"} & set(moved["rule_id"])


def charged(days: Sequence[dt.date] = DAYS, plate: str = PLATE) -> list[dict]:
    return [{"operational_date": day, "plate": plate, "contract_id": "CT1", "amount_brl": "300.00",
             "parameters_version": "p"} for day in days]  # fmt: skip


def working_at(unit_code: str) -> list[dict]:
    return [{"date": day, "unit_code": unit_code, "day_type": "util" if day.isoweekday() <= 5 else "domingo"}
            for day in DAYS]  # fmt: skip


@pytest.mark.parametrize("own", [DAYS[16:], DAYS[:16]], ids=["joins", "leaves"])
@pytest.mark.parametrize("is_registered", [True, False])
def test_t06_does_not_count_the_days_of_a_cycle_on_which_the_vehicle_had_no_contract(
    own: list[dt.date], *, is_registered: bool
) -> None:
    """31 trips are planned, one a day; it drove on each day that was its own."""
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    context = a_cycle(trips=[worked(day) for day in own], plan=plan)
    assert found(context, "T06")
    is_own = context.registered["operational_date"].isin(own)
    without_contract = context.registered.assign(contract_id=context.registered["contract_id"].where(is_own))
    registered = without_contract if is_registered else context.registered[is_own]
    assert not found(replace(context, registered=registered), "T06")


@pytest.mark.parametrize(
    ("done", "result"), [(4, "found"), (5, "not tested"), (11, "not tested"), (12, "passed")], ids=str
)
def test_t06_does_not_test_a_late_vehicle_whose_plan_may_be_of_its_own_days_where_that_decides(
    done: int, result: str
) -> None:
    """15 trips are planned of a vehicle with a contract on 15 of 31 days: 80 % are 12, less 7.74 of days before it."""
    own = DAYS[16:]
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "450", "planned_trips": 15}]
    context = a_cycle(trips=[worked(day) for day in own[:done]], plan=plan)
    context = replace(context, registered=context.registered[context.registered["operational_date"].isin(own)])
    assert bool(found(context, "T06")) is (result == "found")
    assert ("dias sem dados ou sem contrato" in reason(context, "T06")) is (result == "not tested")


def test_v04_judges_each_day_by_the_calendar_of_its_own_unit() -> None:
    """Idle on all 11 working days of May in UCP, then served in UMS."""
    moved = a_cycle(trips=[worked(day) for day in DAYS[16:]], calendar=working_at("UCP"), fixed_costs=charged())
    of_june = moved.registered["operational_date"].isin(DAYS[16:])
    registered = moved.registered.assign(unit_code=moved.registered["unit_code"].mask(of_june, "UMS"))
    [row] = found(replace(moved, registered=registered), "V04")
    assert (row["brl_at_stake"], row["unit_code"]) == (Decimal("3300.00"), "UMS")
    assert "em 11 de 26 dias úteis (15 deles sem calendário)" in row["explanation_pt"]


def test_v04_does_not_test_a_vehicle_whose_unit_has_no_calendar_and_says_so() -> None:
    context = a_cycle(trips=[], calendar=working_at("UMS"), fixed_costs=charged())
    assert not found(context, "V04")
    assert f"({PLATE}): o calendário da unidade não tem todos os dias do ciclo" in reason(context, "V04")
    assert "nenhum calendário" in reason(a_cycle(fixed_costs=charged()), "V04")


def test_v04_takes_no_day_beyond_the_end_of_a_calendar_for_a_free_one() -> None:
    """Idle on 3 of 21 working days, all of the 11 until 31/05, where the calendar ends."""
    idle = [day for day in DAYS if day.isoweekday() <= 5][:3]
    until_may = [row for row in working_at("UCP") if row["date"] <= dt.date(2025, 5, 31)]
    context = a_cycle(trips=[worked(day) for day in DAYS if day not in idle], calendar=until_may, fixed_costs=charged())
    assert not found(context, "V04")
    assert f"({PLATE})" in reason(context, "V04")


@pytest.mark.parametrize(("idle", "is_tested"), [(3, True), (5, False)])
def test_v04_tests_a_vehicle_where_the_days_that_its_calendar_lacks_do_not_decide(
    idle: int, *, is_tested: bool
) -> None:
    """The calendar lacks the first working day. 3 days without service of 21 are too few either way, 5 are not."""
    working = [day for day in DAYS if day.isoweekday() <= 5]
    calendar = [row for row in working_at("UCP") if row["date"] != working[0]]
    trips = [worked(day) for day in DAYS if day not in working[:idle]]
    context = a_cycle(trips=trips, calendar=calendar, fixed_costs=charged())
    assert not found(context, "V04")
    assert (reason(context, "V04") == "") is is_tested


@pytest.mark.parametrize(("idle", "brl"), [(3, None), (5, "3000.00")])
def test_v04_counts_a_day_of_two_contracts_once(idle: int, brl: str | None) -> None:
    """3 of 21 working days are 14 %, 5 are 24 %."""
    days = [day for day in DAYS if day.isoweekday() <= 5][:idle]
    fixed = charged() + [{**row, "contract_id": "CT2"} for row in charged()]
    trips = [worked(day) for day in DAYS if day not in days]
    rows = found(a_cycle(trips=trips, calendar=working_at("UCP"), fixed_costs=fixed), "V04")
    assert [row["brl_at_stake"] for row in rows] == ([Decimal(brl)] if brl else [])
    assert [len(row["evidence"]["idle_dates"]) for row in rows] == ([idle] if brl else [])


@pytest.mark.parametrize("known", [1, 0])
def test_v03_either_accuses_a_reserve_or_does_not_test_it_where_the_calendar_lacks_days(known: int) -> None:
    """Its calendar ends after so many of three days on which nobody served."""
    context = with_reserve()
    other = context.calendar.assign(unit_code="UMS")
    context = replace(context, calendar=pd.concat([context.calendar.head(known), other], ignore_index=True))
    rows = found(context, "V03")
    assert [row["brl_at_stake"] for row in rows] == [Decimal("100.00")] * known
    assert all("sem contar 2 dias sem calendário" in row["explanation_pt"] for row in rows)
    assert bool(reason(context, "V03")) is not bool(known)


def sold_after(context: AuditCycle, days: int) -> AuditCycle:
    """The vehicle belongs to VIASUL from then on, under a contract of its own."""
    is_sold = (context.registered["plate"] == PLATE) & ~context.registered["operational_date"].isin(DAYS[:days])
    new = {"carrier_code": "VIASUL", "contract_id": "CT2"}
    registered = context.registered.assign(
        **{name: context.registered[name].mask(is_sold, code) for name, code in new.items()}
    )
    last = registered[registered["operational_date"] == CYCLE.end].drop(columns="operational_date")
    is_own = context.contracts["contract_id"] == "CT2"
    contracts = context.contracts.assign(carrier_code=context.contracts["carrier_code"].mask(is_own, "VIASUL"))
    return replace(context, registered=registered, vehicles=last.reset_index(drop=True), contracts=contracts)


def test_each_carrier_of_a_vehicle_sold_within_the_cycle_answers_for_its_own_days() -> None:
    """Until 31/05 it declares 32 for 30 km and stands idle on no day; from 01/06 it declares exactly, R$ 8 per km.

    The cycle as a whole is 3.4 % over, which would be a warning to the buyer at R$ 6.41 per km.
    """
    trips = [worked(day) for day in DAYS]
    matches = [declared(day, "30.00", "32" if day < DAYS[16] else "30") for day in DAYS]
    context = sold_after(a_cycle(trips=trips, matches=matches), 16)
    of_buyer = dict.fromkeys((row["trip_id"] for row in trips[16:]), "8.0000")
    rates = context.costs["trip_id"].map(of_buyer).fillna("4.9000").map(Decimal)
    context = replace(
        context, costs=context.costs.assign(rate_brl_per_km=rates.astype(context.costs["rate_brl_per_km"].dtype))
    )
    [row] = find_in_cycle(context).query("rule_id == 'D03'").to_dict("records")
    assert (row["carrier_code"], row["severity"]) == ("CONLOG", "C")
    assert (row["km_at_stake"], row["disallowed_brl"]) == (Decimal("32.00"), Decimal("156.80"))
    assert "480,00" in row["explanation_pt"]


def test_each_carrier_of_a_sold_vehicle_has_a_finding_of_its_own_where_both_declare_too_much() -> None:
    trips, matches = [worked(day) for day in DAYS], [declared(day, "30.00", "32") for day in DAYS]
    before = find_in_cycle(a_cycle(DAYS[19], trips=trips[:20], matches=matches[:20])).query("rule_id == 'D03'")
    found_now = find_in_cycle(sold_after(a_cycle(trips=trips, matches=matches), 20)).query("rule_id == 'D03'")
    by_carrier = found_now.set_index("carrier_code")
    assert by_carrier["km_at_stake"].to_dict() == {"CONLOG": Decimal("40.00"), "VIASUL": Decimal("22.00")}
    assert by_carrier["finding_id"].nunique() == 2
    assert by_carrier["finding_id"]["CONLOG"] == before["finding_id"].iloc[0]


def test_the_idle_days_of_a_sold_vehicle_are_those_of_the_carrier_that_had_it() -> None:
    """Idle on all 11 working days of May; the buyer drives on each of its own 10."""
    context = a_cycle(trips=[worked(day) for day in DAYS[16:]], calendar=working_at("UCP"), fixed_costs=charged())
    found_now = find_in_cycle(sold_after(context, 16)).query("rule_id == 'V04'")
    assert found_now[["carrier_code", "brl_at_stake"]].to_numpy().tolist() == [["CONLOG", Decimal("3300.00")]]


def test_a_sold_vehicle_leaves_the_plans_of_all_others_tested() -> None:
    """The days of its second carrier have no trip of another vehicle, which does not count as a plan unfulfilled."""
    plan = [{"cycle_start": CYCLE.start, "plate": plate, "planned_km": "900", "planned_trips": 31}
            for plate in (PLATE, OTHER)]  # fmt: skip
    trips = [worked(day, plate=plate) for day in DAYS for plate in (PLATE, OTHER)]
    assert OTHER not in reason(sold_after(a_cycle(trips=trips, plan=plan), 20), "T06")


def test_v04_names_the_owner_of_a_vehicle_that_left_before_the_end() -> None:
    context = a_cycle(trips=[], calendar=working_at("UCP"), fixed_costs=charged(DAYS[:16]))
    left = context.registered[context.registered["operational_date"].isin(DAYS[:16])]
    [row] = found(replace(context, registered=left, vehicles=context.vehicles.iloc[:0]), "V04")
    assert (row["carrier_code"], row["unit_code"]) == ("CONLOG", "UCP")


def test_a_reserve_is_one_on_the_days_of_its_registration_alone() -> None:
    """Until the second of three working days; then it is a vehicle of its own: V04, not V03."""
    first, second, third = [day for day in DAYS if day.isoweekday() <= 5][:3]
    context = with_reserve(*(worked(day) for day in (first, second, third)))
    later = context.registered["operational_date"] >= third
    own = context.registered.assign(status=context.registered["status"].mask(later, "ativo"))
    [row] = found(replace(context, registered=own), "V03")
    assert row["evidence"]["dates"] == [first.isoformat(), second.isoformat()]
    [row] = found(replace(context, registered=own), "V04")
    assert row["evidence"]["idle_dates"] == [third.isoformat()]


def test_a_reserve_of_two_titulars_has_a_finding_of_its_own_for_each() -> None:
    """It replaces a third vehicle after the first of three working days; the first finding keeps its id."""
    third_plate, first = "CCC3C33", next(day for day in DAYS if day.isoweekday() <= 5)
    context = with_reserve()
    [before] = found(context, "V03")
    later = (context.registered["plate"] == OTHER) & (context.registered["operational_date"] > first)
    titular = context.registered["titular_plate"].mask(later, third_plate)
    copied = {
        name: pd.concat([rows, rows[rows["plate"] == PLATE].assign(plate=third_plate)], ignore_index=True)
        for name, rows in {"fixed_costs": context.fixed_costs, "coverage": context.coverage}.items()
    }
    of_two = found(replace(context, registered=context.registered.assign(titular_plate=titular), **copied), "V03")
    amounts = {row["evidence"]["titular_plate"]: row["brl_at_stake"] for row in of_two}
    assert amounts == {PLATE: Decimal("100.00"), third_plate: Decimal("200.00")}
    assert (
        next(row for row in of_two if row["evidence"]["titular_plate"] == PLATE)["finding_id"] == before["finding_id"]
    )


def test_a_refused_visit_report_concerns_days_without_positions_alone() -> None:
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    context = a_cycle(trips=[worked(day) for day in DAYS[:20]], plan=plan)
    refused = gaps_of(PLATE, DAYS[20:], source="V")
    assert found(replace(context, incomplete=refused), "T06")
    by_report = context.coverage.assign(positions=0, visit_legs=2)
    assert not found(replace(context, incomplete=refused, coverage=by_report), "T06")


def test_positions_refused_one_by_one_concern_days_without_any_other() -> None:
    """An odometer typed wrongly among a vehicle's positions of a day excuses no missing trip."""
    plan = [{"cycle_start": CYCLE.start, "plate": PLATE, "planned_km": "900", "planned_trips": 31}]
    context = a_cycle(trips=[worked(day) for day in DAYS[:20]], plan=plan)
    refused = gaps_of(PLATE, DAYS[20:], is_of_rows=True)
    assert found(replace(context, incomplete=refused), "T06")
    unseen = context.coverage.assign(positions=0, visit_legs=2)
    assert not found(replace(context, incomplete=refused, coverage=unseen), "T06")


@pytest.mark.parametrize(("table", "rules"), [("km_plan", {"T05"}), ("invoices", set()), ("pois", set())])
def test_a_refused_row_of_a_reference_table_leaves_its_vehicle_untested_and_no_other(table: str, rules: set[str]):
    """Both made 31 trips of 20 planned; a second row of one of them was refused."""
    plan = [{"cycle_start": CYCLE.start, "plate": plate, "planned_km": "900", "planned_trips": 20}
            for plate in (PLATE, OTHER)]  # fmt: skip
    context = a_cycle(trips=[worked(day, plate=plate) for day in DAYS for plate in (PLATE, OTHER)], plan=plan)
    refused = gaps_of(PLATE, DAYS[:1], table, reason=f"linhas de {table}.csv foram recusadas")
    judged = replace(context, incomplete=refused)
    accused = find_in_cycle(judged)
    assert set(accused.loc[accused["rule_id"] == "T05", "plate"]) == ({OTHER} if rules else {PLATE, OTHER})
    named = rules_not_tested(judged, CYCLE_RULES).set_index("rule_id")["reason_pt"]
    assert rules <= set(named.index[named.str.contains(f"veículo {PLATE}: linhas de {table}.csv foram recusadas")])
    of_all = replace(context, incomplete=refused.assign(plate=""))
    assert (find_in_cycle(of_all)["rule_id"] == "T05").sum() == (0 if rules else 2)


def gaps_of(
    plate: str, days: Sequence[dt.date], source: str = "P", *, is_of_rows: bool = False, reason: str = "x"
) -> pd.DataFrame:
    """Days on which a source is incomplete for a vehicle; for all where the plate is empty."""
    return pd.DataFrame([
        {"operational_date": day, "source": source, "carrier_code": "", "plate": plate, "reason_pt": reason,
         "is_of_rows": is_of_rows}
        for day in days
    ])  # fmt: skip


def test_a_rule_that_lacks_its_data_is_not_tested():
    assert untested(a_cycle(DAYS[3])) == {
        "D03", "D09", "D12", "K01", "K03", "K05", "O05", "O07", "S01", "S03", "S05", "T05", "T06", "V02", "V03", "V04",
        "V05",
    }  # fmt: skip
    full = a_cycle(
        matches=[declared(DAYS[0], "30.00", "30")], calibrations=[calibrated(DAYS[0], "100", "100")], **nights(1, 0)
    )
    assert untested(full) == {"D09", "K01", "K05", "O07", "S01", "S03", "S05", "T05", "T06", "V02", "V03", "V04"}


def test_segments_name_their_vehicle_and_their_cause():
    days = [calibrated(day, "100" if number < 15 else "102", "100") for number, day in enumerate(DAYS)]
    days[-1] = days[-1] | {"carrier_code": "VIASUL"}
    table = conform(calibration_segments(a_cycle(calibrations=days)).assign(**WRITTEN), facts.CALIBRATION_SEGMENTS)
    assert table["is_change_point"].to_list() == [False, True]
    assert table["segment_start"].to_list() == [DAYS[0], DAYS[15]]
    assert table[["unit_code", "carrier_code", "reason"]].iloc[0].to_list() == ["UCP", "CONLOG", "first"]
    assert table[["unit_code", "carrier_code", "reason"]].iloc[1].to_list() == ["UCP", "VIASUL", "ratio"]
    assert calibration_segments(a_cycle()).empty


def nights(count: int, early: int) -> dict[str, list[dict]]:
    """A trip at 00:30 on each of some nights, and its run, which its bulletin dates some days early."""
    days = DAYS[3 : 3 + count]
    trips = [trip(f"N{day}", "00:30", "01:30", day=day) for day in days]
    runs = [run(f"R{day}", "00:30", "01:30", day=day - dt.timedelta(days=early), shift_code="C",
                operational_date=day - dt.timedelta(days=early), is_date_repaired=False) for day in days]  # fmt: skip
    return {"trips": trips, "runs": runs}


def test_d12_names_the_nights_of_a_shift_that_have_more_trips_a_day_later():
    [finding] = found(a_cycle(**nights(5, early=1)), "D12")
    assert (finding["plate"], finding["severity"], finding["km_at_stake"]) == (PLATE, "L", None)
    assert finding["explanation_pt"].startswith("No ciclo, de 16/05/2025 a 15/06/2025, as atas do turno C do veículo")
    assert "(5 ao todo)" in finding["explanation_pt"]
    assert len(finding["evidence"]["declared_runs"]) == 5


def test_d12_leaves_nights_alone_that_are_dated_rightly_or_were_repaired():
    assert not found(a_cycle(**nights(5, early=0)), "D12")
    repaired = nights(5, early=0)
    repaired["runs"] = [{**one, "is_date_repaired": True} for one in repaired["runs"]]
    assert not found(a_cycle(**repaired), "D12")


def test_a_cycle_leaves_memory_with_its_step_and_without_a_collection():
    context = a_cycle(matches=[declared(day, "30.00", "31.60") for day in DAYS])
    gc.disable()  # a run collects rarely, and a month of 500 vehicles would stay beside its documents
    try:
        find_in_cycle(context)
        untested(context)
        kept = weakref.ref(context)
        del context
        assert kept() is None
    finally:
        gc.enable()

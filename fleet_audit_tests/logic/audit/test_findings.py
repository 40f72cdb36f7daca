"""What every finding has in common: identity, exceptions, and saying what was not tested."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.findings import find, held_runs
from fleet_audit.logic.audit.not_tested import rules_not_tested
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES, DAY_RULES, RULES
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import to_arrow
from fleet_audit_tests.logic.audit_sample import DAY, OTHER, VEHICLES, audit, run, span, trip
from fleet_audit_tests.logic.frames import rows

TRIPS = [trip("T", "06:00", "07:00", "20.00", route_code="R01"), trip("U", "06:00", "07:00", plate=OTHER)]
RUNS = [run("R", "06:00", "07:00", "30"), run("P", "08:00", "09:00", "30")]


def test_every_rule_is_one_object_whose_parameters_exist() -> None:
    assert len(DAY_RULES) + len(CYCLE_RULES) == len(RULES)  # no number twice in one scope
    for rule in RULES:
        assert all(getattr(DEFAULT_PARAMETERS, name) is not None for name in rule.parameters)
        assert rule.severity in "CHML"
        assert {letter for letter in rule.sources if letter.isalpha()} <= set("PVBKI")
        assert rule.title_pt
        assert rule.proves_pt.endswith(".")


def test_rules_of_one_number_share_their_title() -> None:
    shared = set(DAY_RULES) & set(CYCLE_RULES)
    assert {number: DAY_RULES[number].title_pt for number in shared} == {
        number: CYCLE_RULES[number].title_pt for number in shared
    }


def test_findings_fit_their_table_and_keep_their_ids() -> None:
    findings = find(audit(TRIPS, RUNS))
    trace = {"run_id": "r", "updated_at": pd.Timestamp("2025-06-11T08:00Z")}
    assert to_arrow(findings.assign(**trace), facts.FINDINGS).num_rows == len(findings)
    held = held_runs(audit(TRIPS, RUNS)).assign(**trace)
    assert to_arrow(held, facts.HELD_RUNS).num_rows == 1
    groups = audit(TRIPS, RUNS).groups
    assert to_arrow(groups.assign(**trace), facts.MATCHES).num_rows == len(groups) == 3
    again = find(audit(TRIPS[::-1], RUNS[::-1]))
    pd.testing.assert_frame_equal(again, findings)
    assert findings["finding_id"].is_unique
    assert set(findings["rule_id"]) == {"D01", "D02", "D05", "D07"}


def test_evidence_is_readable_and_names_the_parameters() -> None:
    for finding in find(audit(TRIPS, RUNS)).itertuples():
        evidence = json.loads(finding.evidence)
        assert evidence["parameters_version"] == finding.rule_version.split("-")[1]
        assert evidence["trips"] or evidence["declared_runs"]
        assert 0 < finding.confidence <= 1


def test_a_quiet_day_finds_nothing() -> None:
    assert find(audit([], [], [])).empty
    assert held_runs(audit([], [], [])).empty


def test_a_run_of_no_minutes_is_held_and_no_phantom() -> None:
    """Departure and arrival are written alike: that is a wrong time, and the vehicle was seen standing for no time."""
    context = audit([trip("T", "06:00", "07:00", "20.00")], [run("Z", "09:00", "09:00", "20")])
    assert held_runs(context)["reason"].to_list() == ["no_trip"]
    assert {"D05", "D06"} & set(find(context)["rule_id"]) == {"D06"}
    inside = audit([trip("T", "06:00", "07:00", "20.00")], [run("Z", "06:30", "06:30", "20")])
    assert inside.groups["kind"].to_list() == ["one_to_one"]


def test_a_run_of_a_plate_that_nobody_registered_or_saw_is_held_and_has_no_contract() -> None:
    """A bulletin of a vehicle without telemetry for the whole cycle is the same, day by day."""
    runs = [run("R", "06:00", "07:00", "20"), run("X", "06:00", "07:00", "20", plate="ZZZ9Z99")]
    context = audit([trip("T", "06:00", "07:00", "20.00")], runs, spans=[span("00:00", "24:00")])
    (held,) = held_runs(context).to_dict("records")
    assert (held["declared_run_id"], held["reason"]) == ("X", "no_data")
    findings = find(context)
    of_run = findings[findings["plate"] == "ZZZ9Z99"].set_index("rule_id")
    assert set(of_run.index) == {"D06", "V01"}
    assert of_run["disallowed_brl"].isna().all()


@pytest.mark.parametrize(
    ("exception", "excepted"),
    [
        ({}, {"D01", "D02", "D05", "D07"}),
        ({"rule_id": "D02"}, {"D02"}),
        ({"rule_id": "D01"}, {"D01", "D02"}),  # D02 adds up nothing else
        ({"plate": "bbb-2b22"}, {"D07"}),
        ({"carrier_code": "CONLOG", "unit_code": "UCP", "rule_id": "D05"}, {"D05"}),
        ({"carrier_code": "Conlog", "unit_code": "ucp", "rule_id": "D05"}, {"D05"}),
        ({"carrier_code": "OUTRA"}, set()),
        ({"route_code": "R01"}, {"D01", "D02"}),
        ({"route_code": "r01"}, {"D01", "D02"}),
        ({"date_from": DAY, "date_to": DAY, "rule_id": "D01"}, {"D01", "D02"}),
        ({"date_from": DAY + dt.timedelta(days=1)}, set()),
        ({"date_to": DAY - dt.timedelta(days=1)}, set()),
    ],
)
def test_exceptions_mark_what_they_cover_and_hide_nothing(exception: dict, excepted: set[str]) -> None:
    usual = {"reason": "combinado", "approved_by": "gestor"}
    exceptions = rows(reference.EXCEPTIONS, {"exception_id": "E2", **usual, **exception})
    findings = find(audit(TRIPS, RUNS, exceptions=exceptions))
    assert len(findings) == 4
    assert set(findings.loc[findings["status"] == "excepted", "rule_id"]) == excepted
    assert (findings["exception_id"].notna() == (findings["status"] == "excepted")).all()


def test_a_day_counts_no_km_of_a_run_that_an_exception_covers() -> None:
    """10 km too much on route R01, and 8 km on another: the day exceeds by the latter alone."""
    trips = [*TRIPS, trip("V", "10:00", "11:00", "20.00", route_code="R02")]
    runs = [*RUNS, run("S", "10:00", "11:00", "28")]
    exception = {"exception_id": "E1", "rule_id": "D01", "reason": "combinado", "approved_by": "gestor"}

    def day(**scope: str) -> dict:
        exceptions = rows(reference.EXCEPTIONS, {**exception, **scope})
        [found] = find(audit(trips, runs, exceptions=exceptions)).query("rule_id == 'D02'").to_dict("records")
        return found

    partly, fully = day(route_code="R01"), day()
    assert (partly["status"], partly["km_at_stake"]) == ("open", Decimal("8.00"))
    assert len(json.loads(partly["evidence"])["uncounted_match_ids"]) == 1
    assert (fully["status"], fully["exception_id"], fully["km_at_stake"]) == ("excepted", "E1", Decimal("18.00"))


def test_an_exception_makes_no_accusation_of_a_day_that_did_not_exceed_with_its_run() -> None:
    """12 km too much of 212, and twelve runs of 2.5 km for 2: 18 of 224 km are no 10 %, but 6 of 24 are."""
    hours = range(10, 22)
    trips = [trip("G", "05:00", "09:00", "200.00", plate=OTHER, route_code="R01", contract_id="CT2")]
    trips += [trip(f"T{hour}", f"{hour}:00", f"{hour}:10", "2.00", plate=OTHER, route_code="R02", contract_id="CT2")
              for hour in hours]  # fmt: skip
    runs = [run("G", "05:00", "09:00", "212", plate=OTHER)]
    runs += [run(f"R{hour}", f"{hour}:00", f"{hour}:10", "2.5", plate=OTHER) for hour in hours]
    exceptions = rows(
        reference.EXCEPTIONS,
        {"exception_id": "E1", "rule_id": "D01", "route_code": "R01", "reason": "combinado", "approved_by": "gestor"},
    )
    vehicles = VEHICLES.assign(contract_id="CT2")  # whose trip tolerance is 5 %
    for given, status in ((None, "open"), (exceptions, "excepted")):
        more = {} if given is None else {"exceptions": given}
        found = find(audit(trips, runs, vehicles=vehicles, **more)).query("rule_id in ['D01', 'D02']")
        assert found[["rule_id", "status"]].to_numpy().tolist() == [["D01", status]]


def test_of_several_exceptions_the_lowest_id_is_named() -> None:
    usual = {"reason": "combinado", "approved_by": "gestor"}
    exceptions = rows(reference.EXCEPTIONS, *({"exception_id": key, **usual} for key in ("E2", "E1", "E3")))
    assert set(find(audit(TRIPS, RUNS, exceptions=exceptions))["exception_id"]) == {"E1"}


def test_a_rule_that_lacks_its_data_is_not_tested() -> None:
    without_reference = {"T03", "T04", "G06", "G08"}  # shifts, a plan, routes and places
    without_facts = without_reference | {"G02", "G05", "G07", "T02"}  # legs, paths, drivers

    def untested(*arguments: list[dict]) -> set[str]:
        table = rules_not_tested(audit(*arguments), DAY_RULES)
        assert table["reason_pt"].str.startswith("nenhum").all()
        return set(table["rule_id"])

    readings = {"odometer_start_km": "10", "odometer_end_km": "40", "route_km": "30"}
    full = [run("R", "06:00", "07:00", **readings)]
    assert untested(TRIPS, full) == without_facts
    by_report = [span("00:00", "24:00", source="visit_report")]
    of_positions = {"D06", "G01", "G03", "O01", "O02", "O03", "O04", "O05", "O08", "Q02"}
    assert untested(TRIPS, full, by_report) == {*without_facts, *of_positions}
    assert untested(TRIPS, [run("R", "06:00", "07:00", passengers=None)]) == {
        *without_facts,
        "D10",
        "D11",
        "V05",
        "V06",
    }
    declared = {rule_id for rule_id in DAY_RULES if rule_id.startswith("D")}
    assert untested(TRIPS, []) == {*declared, *without_facts, "V05", "V06", "T01"}
    assert untested([], [], []) == set(DAY_RULES) - {"Q04"}  # that a reference table changed is known without any data


def test_rules_leave_what_they_share_as_it_is() -> None:
    """Records and results are computed once per day: a rule that changed one would change another rule's evidence."""
    context = audit(
        [trip("T", "06:00", "07:00", "10.00")], [run("R", "06:00", "07:00", "20"), run("S", "09:00", "10:00")]
    )
    first = find(context)
    assert len(first) > 1
    pd.testing.assert_frame_equal(find(context), first)

"""Scores: what is deducted is listed, sums exactly, and no finding ever raises one."""

from __future__ import annotations

import json
from decimal import Decimal

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.audit.findings import find
from fleet_audit.logic.audit.incidents.causes import with_roots
from fleet_audit.logic.audit.scoring import score
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit_tests.logic.audit_sample import audit, found, run, trip, trips_frame

TRIPS = trips_frame(trip("T", "06:00", "07:00"), trip("U", "08:00", "09:00"))


def findings_of(*records: dict) -> pd.DataFrame:
    usual = {"rule_id": "D01", "severity": "H", "confidence": 1.0, "status": "open", "trip_id": "T", "evidence": "{}"}
    columns = ["finding_id", "root_finding_id", *usual]
    ids = [f"f{number}" for number in range(len(records))]
    rows = [
        {"finding_id": name, "root_finding_id": name, **usual, **record}
        for name, record in zip(ids, records, strict=True)
    ]
    return pd.DataFrame(rows, columns=columns)


def scores(*records: dict) -> dict[str, Decimal]:
    table = score(TRIPS, findings_of(*records), DEFAULT_PARAMETERS)
    return dict(zip(table["trip_id"], table["compliance_score"], strict=True))


def test_weights_times_confidence() -> None:
    assert scores() == {"T": Decimal("100.00"), "U": Decimal("100.00")}
    assert scores({"severity": "C"})["T"] == 60
    assert scores({"severity": "H", "confidence": 0.75})["T"] == 85
    assert scores({"severity": "M"}, {"severity": "L", "confidence": 0.5})["T"] == 91


def test_an_excepted_finding_is_listed_and_weighs_nothing() -> None:
    table = score(TRIPS, findings_of({"status": "excepted"}), DEFAULT_PARAMETERS)
    assert table["compliance_score"].tolist() == [100, 100]
    assert json.loads(table["contributions"][0]) == {"start": 100, "D01:f0": 0}


def test_the_floor_is_shown() -> None:
    table = score(TRIPS, findings_of(*[{"severity": "C"}] * 3), DEFAULT_PARAMETERS)
    assert table["compliance_score"][0] == 0
    assert json.loads(table["contributions"][0])["floor"] == 20


def test_an_incident_takes_points_once_and_at_its_root() -> None:
    rows = findings_of(
        {"rule_id": "O04", "severity": "C", "confidence": 0.9},
        {"rule_id": "D06", "root_finding_id": "f0"},
        {"rule_id": "D01", "severity": "M", "trip_id": "U", "root_finding_id": "f0"},
    )
    table = score(TRIPS, rows, DEFAULT_PARAMETERS)
    assert table["compliance_score"].tolist() == [64, 92]
    assert json.loads(table["contributions"][0]) == {"start": 100, "D06:f1": 0, "O04:f0": -36}
    assert json.loads(table["contributions"][1]) == {"start": 100, "D01:f2": -8}


def test_neither_the_register_nor_our_own_data_cost_a_carrier_points() -> None:
    assert scores({"rule_id": "K01"}, {"rule_id": "V01", "severity": "C"}, {"rule_id": "Q05"})["T"] == 100
    assert scores({"rule_id": "Q05"}, {"rule_id": "T03", "root_finding_id": "f0"})["T"] == 100  # a wrong clock


def test_all_trips_that_the_evidence_names_carry_a_finding_once() -> None:
    assert scores({"trip_id": "T", "evidence": '{"trip_ids":["T","U"]}'}) == {"T": 80, "U": 80}
    assert scores({"trip_id": None, "evidence": "{}"}) == {"T": 100, "U": 100}


def test_a_run_burdens_its_trips_and_a_day_burdens_none() -> None:
    trips = [trip(f"T{n}", f"{6 + n}:00", f"{6 + n}:30", "5.00") for n in range(6)]
    runs = [run(f"R{n}", f"{6 + n}:00", f"{6 + n}:30", "6", passengers=int(n > 0)) for n in range(6)]
    context = audit(trips, runs)
    assert len(found(context, "D02")) == 1
    findings = with_roots(find(context), context.groups)
    table = score(context.trips, findings, DEFAULT_PARAMETERS).set_index("trip_id")["compliance_score"]
    assert table["T0"] == Decimal("92.08")
    assert (table.drop("T0") == 100).all()


_finding = st.fixed_dictionaries(
    {
        "severity": st.sampled_from("CHML"),
        "confidence": st.floats(0, 1).map(lambda value: round(value, 2)),
        "status": st.sampled_from(["open", "open", "excepted"]),
        "trip_id": st.sampled_from(["T", "U", None]),
        "evidence": st.sampled_from(["{}", '{"trip_ids":["T"]}', '{"trip_ids":["T","U","elsewhere"]}']),
    }
)


@settings(max_examples=40)
@given(st.lists(_finding, max_size=8), _finding)
def test_contributions_sum_exactly_and_no_finding_raises_a_score(findings: list[dict], another: dict) -> None:
    table = score(TRIPS, findings_of(*findings), DEFAULT_PARAMETERS)
    for points, text in zip(table["compliance_score"], table["contributions"], strict=True):
        assert sum(json.loads(text, parse_float=Decimal, parse_int=Decimal).values()) == points
        assert 0 <= points <= 100
    before, after = scores(*findings), scores(*findings, another)
    assert all(after[trip_id] <= before[trip_id] for trip_id in before)

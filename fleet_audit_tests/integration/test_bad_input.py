"""Wrong values of devices and tables, through the assets: each has the result in docs/segmentation.md.

One inbox, one run; a bus a defect, all drive the same four rides of 20 km.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import pandas as pd
import pytest

from fleet_audit_tests.formats.samples import BULLETIN_HEADER, TELEMETRY_HEADER
from fleet_audit_tests.integration.installation import Installation, assert_counts_reconcile, failures
from fleet_audit_tests.integration.small_fleet import REFERENCE, write_inbox
from fleet_audit_tests.logic.driving import DAY, DEGREE_M, GARAGE, LATITUDE, LONGITUDE, MILL, Bus

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")  # beta in 1.13, ours by design
RIDES = (("06:00", "06:20"), ("08:20", "08:40"), ("11:40", "12:00"), ("14:00", "14:20"))
Change = Callable[[dict[str, object]], dict[str, object]]
DEFECTS: Mapping[str, Change] = {
    "AAA0A00": lambda _: {},
    "ZER0A00": lambda _: {"odometer_km": 0},
    "EMP0A00": lambda _: {"odometer_km": ""},
    "NOI0A00": lambda _: {"ignition": ""},
    "STA0A00": lambda _: {"latitude": LATITUDE, "longitude": LONGITUDE},
    "MET0A00": lambda row: {"odometer_km": round(float(str(row["odometer_km"])) * 1000)},
    "MIL0A00": lambda row: {"odometer_km": round(float(str(row["odometer_km"])) * 0.621371, 1)},
    "LAT0A00": lambda row: {"recorded_at": float(str(row["recorded_at"])) - 3 * 3600},
    "KEY0A00": lambda row: {"latitude": "", "longitude": "", "speed_kmh": "", "key": _half_day(row)},
    "TWI0A00": lambda _: {},
    "TIE0A00": lambda _: {},
    "WES0A00": lambda _: {},
}
OTHERS = ("MOV1A11", "MOV2A22", "ONE0A00")  # two that have one device after another, one that sends one position

DECLARED = ("AAA0A00", "LAT0A00", "STA0A00")


def _half_day(row: dict[str, object]) -> str:
    return "V1" if float(str(row["recorded_at"])) < pd.Timestamp(f"{DAY} 13:00Z").timestamp() else "V2"


def _telemetry(plate: str, change: Change, bus: Bus) -> bytes:
    lines = [TELEMETRY_HEADER]
    for record in bus.records:
        row = {"ignition": "true", "key": "", **record}
        row |= change(row)
        at = dt.datetime.fromtimestamp(float(str(row["recorded_at"])), dt.UTC).isoformat()
        lines.append(
            f"D-{plate},{at},urbano,{row['odometer_km']},0,0,{row['key']},{row['latitude']},{row['longitude']},"
            f"{row['speed_kmh']},{row['ignition']},,"
        )
    return "\n".join([*lines, ""]).encode()


def _rides() -> Bus:
    bus = Bus("05:00")
    for _ in range(2):
        bus.park(3600).to(MILL, 60.0).park(7200).to(GARAGE, 60.0).park(7200)
    return bus


def _reference() -> dict[str, bytes]:
    units, contracts = {"WES0A00": "USL"}, {"TIE0A00": "CT-3"}
    vehicles = [
        f"{plate},101,UM,{units.get(plate, 'UCP')},{contract},onibus,IND,46,ativo,2025-01-01,\n"
        for plate, contract in (
            *((plate, contracts.get(plate, "CT-1")) for plate in (*DEFECTS, *OTHERS)),
            ("TWI0A00", "CT-3"),
        )
    ]
    header = {name: text.splitlines()[0] + "\n" for name, text in REFERENCE.items()}
    devices = [f"D-{plate},{plate},2025-01-01,\n" for plate in (*DEFECTS, "ONE0A00")]
    devices += ["D-MOVE,MOV1A11,2025-01-01,2025-06-10\n", "D-MOVE,MOV2A22,2025-06-11,\n"]
    contract = REFERENCE["contracts"].splitlines()[1]
    tables = {
        "units": REFERENCE["units"] + "USL,Santa Luzia,America/Campo_Grande,CC-2\n",
        "contracts": header["contracts"] + f"{contract}\n" + contract.replace("CT-1", "CT-3") + "\n",
        "vehicles": header["vehicles"] + "".join(vehicles),
        "devices": header["devices"] + "".join(devices),
        "pois": header["pois"]
        + f"GAR,UCP,Garagem,garagem,{LATITUDE},{LONGITUDE},300,,,2025-01-01,\n"
        + f"USI,UCP,Usina,usina,{LATITUDE + MILL / DEGREE_M},{LONGITUDE},1000,,,2025-01-01,\n",
        "tariffs": header["tariffs"]
        + "T-1,CT-1,,onibus,,,5,2025-01-01,\nT-3,CT-3,,onibus,,,5,2025-01-01,\nT-4,CT-3,,onibus,,,6,2025-05-01,\n",
    }
    return {f"reference/{name}.csv": text.encode() for name, text in tables.items()}


def _bulletin() -> bytes:
    rows = [
        f"{number},{plate},,{DAY:%d/%m/%Y},,GARAGEM,{leaves},A,{1000 + 20 * ride},18,,USINA,{arrives},"
        f"{1020 + 20 * ride},20,0,UM"
        for number, (plate, ride, leaves, arrives) in enumerate(
            (plate, ride, *times) for plate in DECLARED for ride, times in enumerate(RIDES)
        )
    ]
    return "\n".join([BULLETIN_HEADER, *rows, ""]).encode()


@pytest.fixture(scope="module")
def seen(tmp_path_factory, new_database) -> Installation:
    """The day of all of them."""
    root = tmp_path_factory.mktemp("bad_input")
    files = {f"telemetry/{plate}.csv": _telemetry(plate, change, _rides()) for plate, change in DEFECTS.items()}
    over_midnight = Bus("22:00").park(5400).to(MILL, 15.0).park(3600).to(GARAGE, 60.0).park(1800)
    files |= {
        "telemetry/once.csv": _telemetry("ONE0A00", lambda _: {}, Bus("12:00")),
        "telemetry/move.csv": _telemetry("MOVE", lambda _: {}, over_midnight),
        "bulletins/day.csv": _bulletin(),
        **_reference(),
    }
    installation = Installation(root / "home", str(write_inbox(root / "inbox", files)), new_database(), {})
    assert failures(installation.materialize(DAY)) == []
    assert_counts_reconcile(installation)
    return installation


@pytest.fixture(scope="module")
def facts(seen: Installation) -> dict[str, pd.DataFrame]:
    return seen.facts()


def trips(facts: dict[str, pd.DataFrame], plate: str) -> pd.DataFrame:
    rows = facts["trips"]
    return rows[(rows["plate"] == plate) & (rows["purpose"] != "yard")].sort_values("started_at")


def ledger(facts: dict[str, pd.DataFrame], plate: str) -> pd.Series:
    return facts["km_ledger"].set_index("plate").loc[plate]


def rules(facts: dict[str, pd.DataFrame], plate: str) -> set[str]:
    rows = facts["findings"]
    return set(rows.loc[rows["plate"] == plate, "rule_id"])


@pytest.mark.parametrize(
    ("plate", "method", "grade"),
    [
        ("AAA0A00", "odometer", "A"),
        ("NOI0A00", "odometer", "A"),
        ("WES0A00", "odometer", "A"),
        ("LAT0A00", "odometer", "A"),
        ("ZER0A00", "gps", "B"),
        ("MET0A00", "gps", "B"),
        ("MIL0A00", "gps", "C"),
    ],
)
def test_the_rides_are_measured_by_the_reliable_source(facts, plate, method, grade) -> None:
    found = trips(facts, plate)
    assert found["km_measured"].astype(float).to_list() == pytest.approx([20.0] * 4, abs=0.11)
    assert set(found["km_method"]) == {method}
    assert set(found["evidence_grade"]) == {grade}


def test_an_odometer_that_only_reads_zero_is_none_and_accuses_nobody(facts) -> None:
    row = ledger(facts, "ZER0A00")
    assert row[["odometer_delta_km", "residual_km", "is_balanced"]].isna().all()
    assert rules(facts, "ZER0A00") <= {"D07"}


def test_a_file_row_without_an_odometer_is_refused_with_its_reason(seen, facts) -> None:
    assert trips(facts, "EMP0A00").empty
    refused = seen.query("select reason_code, count(*) as rows from ops.rejected_rows where source_kind = 'telemetry' "
                         "group by 1")  # fmt: skip
    assert refused.to_numpy().tolist() == [["missing_value", len(_rides().records)]]


@pytest.mark.parametrize(
    ("plate", "issue", "says"),
    [
        ("MET0A00", "odometer_metres", "metros"),
        ("MIL0A00", "odometer_miles", "milhas"),
        ("LAT0A00", "clock_shift", "relógio 3 h atrasado"),
        ("STA0A00", "constant_place", "mesma coordenada"),
    ],
)
def test_a_device_that_contradicts_itself_is_named_once_and_proves_nothing(facts, plate, issue, says) -> None:
    health = facts["device_health"].set_index("plate").loc[plate]
    assert list(health["issues"]) == [issue]
    findings = facts["findings"][facts["findings"]["plate"] == plate]
    [sentence] = findings.loc[findings["rule_id"] == "Q05", "explanation_pt"]
    assert says in sentence
    assert set(findings["rule_id"]) <= {"Q05", "D06", "D07", "O04"}


def test_a_stuck_receiver_loses_its_places_and_what_the_odometer_counted_was_driven(facts) -> None:
    found = trips(facts, "STA0A00")
    assert float(found["km_measured"].astype(float).sum()) == pytest.approx(80.0, abs=0.5)
    assert set(found["km_method"]) == {"odometer"}
    assert ledger(facts, "STA0A00")["is_balanced"]
    assert not {"O04", "D01", "D02", "D05"} & set(rules(facts, "STA0A00"))


def test_an_odometer_with_keys_alone_gives_a_trip_a_key_of_grade_c(facts) -> None:
    found = trips(facts, "KEY0A00")
    assert found["km_measured"].astype(float).to_list() == pytest.approx([40.0, 40.0])
    assert set(found["evidence_grade"]) == {"C"}
    assert ledger(facts, "KEY0A00")["is_balanced"]


def test_one_position_per_day_shows_no_time_and_not_zero_km(facts) -> None:
    assert trips(facts, "ONE0A00").empty
    assert ledger(facts, "ONE0A00")[["service_km", "odometer_delta_km", "is_balanced"]].isna().all()
    coverage = facts["vehicle_day_coverage"].set_index("plate").loc["ONE0A00"]
    assert (coverage["status"], coverage["positions"], coverage["observed_h"]) == ("partial", 1, 0)


def test_a_device_that_moves_at_midnight_has_its_way_cut_there(facts) -> None:
    """23:30 to 00:50 at 15 km/h: what lies before midnight is the first vehicle's, the rest the second's next day."""
    [trip] = trips(facts, "MOV1A11").to_dict("records")
    assert float(trip["km_measured"]) == pytest.approx(7.5, abs=0.3)
    assert trips(facts, "MOV2A22").empty


def test_the_day_is_that_of_the_vehicles_unit(facts) -> None:
    assert set(trips(facts, "WES0A00")["operational_date"]) == {DAY}
    assert set(trips(facts, "WES0A00")["unit_code"]) == {"USL"}


def test_a_vehicle_in_two_contracts_keeps_the_first_and_the_second_row_is_named(seen, facts) -> None:
    assert set(facts["trip_costs"].merge(trips(facts, "TWI0A00")[["trip_id"]], on="trip_id")["tariff_id"]) == {"T-1"}
    [message] = seen.query("select message from ops.ingested_files where file_name = 'reference/vehicles.csv'")[
        "message"
    ]
    assert "one plate" in message


def test_tariffs_that_overlap_leave_the_cost_unknown(facts) -> None:
    costs = facts["trip_costs"].merge(trips(facts, "TIE0A00")[["trip_id"]], on="trip_id")
    assert costs["cost_status"].to_list() == ["ambiguous_tariff"] * 4
    assert costs["variable_cost_brl"].isna().all()
    assert "K01" in rules(facts, "TIE0A00")

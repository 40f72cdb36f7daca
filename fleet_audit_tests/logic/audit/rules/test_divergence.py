"""D01, D02 and D04: declared against measured, for a group and for a day."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from fleet_audit_tests.logic.audit_sample import DAY, audit, costs_frame, found, reasons_not_tested, run, trip


def test_d01_names_numbers_times_and_money() -> None:
    trips = [trip("T", "06:15", "07:15", "26.70", km_uncertainty=Decimal("0.300"))]
    [finding] = found(audit(trips, [run("7003", "06:15", "07:15", "38")]), "D01")
    assert (finding["severity"], finding["trip_id"], finding["declared_run_id"]) == ("H", "T", "7003")
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("11.30"), Decimal("55.37"))
    assert (finding["brl_low"], finding["brl_high"]) == (Decimal("53.90"), Decimal("56.84"))  # ± 0.30 km
    assert finding["explanation_pt"] == (
        "Ata 7003 declara 38,00 km em 10/06/2025, das 06:15 às 07:15, mas o veículo AAA1A11 percorreu 26,70 km: "
        "11,30 km a mais (42,32 %), acima da tolerância de 2,67 km."
    )
    evidence = finding["evidence"]
    assert evidence["declared_runs"][0]["file_name"] == "boletim.csv"
    assert evidence["declared_runs"][0]["row_number"] == 2
    assert evidence["trips"][0]["km_measured"] == 26.7
    assert evidence["thresholds"].items() >= {"trip_tolerance_pct": 10, "trip_tolerance_km": 1}.items()
    assert finding["confidence"] == 0.99


def test_the_tolerance_itself_is_tolerated_both_ways() -> None:
    for declared in ("33", "27"):
        context = audit([trip("T", "06:00", "07:00", "30.00")], [run("R", "06:00", "07:00", declared)])
        assert not found(context, "D01")
        assert not found(context, "D04")


def test_d04_is_reported_with_the_same_care() -> None:
    context = audit([trip("T", "06:00", "07:00", "30.00")], [run("R", "06:00", "07:00", "20")])
    assert not found(context, "D01")
    [finding] = found(context, "D04")
    assert finding["km_at_stake"] == Decimal("10.00")
    assert "10,00 km a menos" in finding["explanation_pt"]


UNKNOWN = {"trip_id": "T2", "billable_km": "0.00", "rate_brl_per_km": None, "cost_status": "not_billable"}


@pytest.mark.parametrize(
    ("paid_km", "declared", "below_km"),
    [
        ("20.00", "20", None),
        ("20.00", "21", None),
        ("20.00", "18", None),  # within the tolerance
        ("20.00", "10", "10.00"),
        ("20.00", "0", "20.00"),
        (None, "5", None),
        (None, "0", None),
    ],
)
def test_d04_owes_nothing_of_a_trip_whose_purpose_is_unknown(
    paid_km: str | None, declared: str, below_km: str | None
) -> None:
    """15 km, of which a place is not known or a silence hides an end, beside a trip that is paid or beside none."""
    trips = [trip("T1", "06:00", "06:30", paid_km)] if paid_km else []
    trips.append(trip("T2", "06:35", "07:00", "15.00", purpose="unknown"))
    costs = costs_frame(*[{"trip_id": "T1", "billable_km": paid_km}] if paid_km else [], UNKNOWN)
    context = audit(trips, [run("R", "06:00", "07:00", declared)], costs=costs)
    findings = found(context, "D04")
    assert [finding["km_at_stake"] for finding in findings] == ([Decimal(below_km)] if below_km else [])
    assert all("percorreu 20,00 km em viagens pagas" in finding["explanation_pt"] for finding in findings)
    reasons = reasons_not_tested(context, "D04")
    assert ("a finalidade de uma viagem não está comprovada" in reasons.get("D04", "")) is not bool(below_km)


def test_a_group_is_compared_as_a_sum() -> None:
    trips = [trip("T1", "06:00", "06:25", "10.00"), trip("T2", "06:30", "07:00", "20.00")]
    assert not found(audit(trips, [run("R", "06:00", "07:00", "30")]), "D01")
    [finding] = found(audit(trips, [run("R", "06:00", "07:00", "45")]), "D01")
    assert finding["trip_id"] == "T1"
    assert finding["evidence"]["trip_ids"] == ["T1", "T2"]


def test_doubtful_measurements_make_doubtful_findings() -> None:
    def confidence(**facts: object) -> float:
        context = audit([trip("T", "06:00", "07:00", "30.00", **facts)], [run("R", "06:00", "07:00", "34")])
        return found(context, "D01")[0]["confidence"]

    def sentence(half_width: str) -> str:
        trips = [trip("T", "06:00", "07:00", "30.00", km_uncertainty=Decimal(half_width))]
        return found(audit(trips, [run("R", "06:00", "07:00", "34")]), "D01")[0]["explanation_pt"]

    assert "indício" not in sentence("0.900")
    assert (
        "(indício: com a incerteza da medição, de ± 1,10 km, o limite da regra pode não ter sido ultrapassado)."
        in sentence("1.100")
    )
    assert confidence(km_uncertainty=Decimal("0.200")) > confidence(km_uncertainty=Decimal("3.000"))
    assert confidence() > confidence(evidence_grade="C")


@pytest.mark.parametrize(("half_width", "stated"), [("1.000", 0.99), ("0.900", 0.99), ("2.000", 0.74), ("50.000", 0.5)])
def test_the_confidence_falls_from_sure_to_even_as_the_measurement_reaches_the_tolerance(
    half_width: str, stated: float
) -> None:
    """34 km declared and 30 km measured: 4 km too much, 1 km above the tolerance of 3 km."""
    trips = [trip("T", "06:00", "07:00", "30.00", km_uncertainty=Decimal(half_width))]
    [finding] = found(audit(trips, [run("R", "06:00", "07:00", "34")]), "D01")
    assert finding["confidence"] == pytest.approx(stated, abs=0.006)


def test_unknown_km_are_no_divergence() -> None:
    context = audit([trip("T", "06:00", "07:00", None)], [run("R", "06:00", "07:00", "90")])
    assert not found(context, "D01")
    assert not found(context, "D02")


def test_a_run_is_priced_where_its_trips_are_not() -> None:
    trips = [trip("T", "06:00", "07:00", "10.00")]
    unpriced = costs_frame({"trip_id": "T", "rate_brl_per_km": None, "cost_status": "no_tariff"})
    runs = [run("R", "06:00", "07:00", "20")]
    assert found(audit(trips, runs, costs=unpriced), "D01")[0]["brl_at_stake"] == Decimal("50.00")
    no_rates = audit(trips, runs).run_rates.assign(rate_brl_per_km=None)
    [finding] = found(audit(trips, runs, costs=unpriced, run_rates=no_rates), "D01")
    assert finding["km_at_stake"] == Decimal("10.00")
    assert finding["brl_at_stake"] is None or finding["brl_at_stake"] != finding["brl_at_stake"]


def day_of(declared: str, measured: str, groups: int = 10, contract: str = "CT1") -> list[dict]:
    trips = [trip(f"T{n}", f"{6 + n}:00", f"{6 + n}:30", measured, contract_id=contract) for n in range(groups)]
    runs = [run(f"R{n}", f"{6 + n}:00", f"{6 + n}:30", declared) for n in range(groups)]
    return found(audit(trips, runs), "D02")


def test_d02_of_one_run_is_worded_for_one() -> None:
    [finding] = day_of("60", "40.00", groups=1)
    assert "declarou 60,00 km em 1 ata e percorreu 40,00 km na mesma corrida: 20,00 km" in finding["explanation_pt"]


def test_d02_sees_what_each_run_hides_inside_its_tolerance() -> None:
    [finding] = day_of("6", "5.00")
    assert (finding["severity"], finding["km_at_stake"], finding["brl_at_stake"]) == (
        "C",
        Decimal("10.00"),
        Decimal("49.00"),
    )
    assert finding["trip_id"] is None or finding["trip_id"] != finding["trip_id"]
    assert len(finding["evidence"]["declared_runs"]) == 10


@pytest.mark.parametrize(
    ("declared", "measured", "groups", "contract", "is_found"),
    [
        ("11", "10.00", 10, "CT1", False),
        ("11", "9.99", 10, "CT1", True),
        ("6", "5.00", 4, "CT1", False),
        ("6", "5.00", 5, "CT1", True),
        ("6", "5.00", 10, "CT2", False),
        ("5", "6.00", 10, "CT1", False),
    ],
    ids=["exactly 10 %", "above 10 %", "below 5 km", "exactly 5 km", "the contract allows 20 %", "declared less"],
)
def test_d02_needs_per_cent_and_km(declared: str, measured: str, groups: int, contract: str, is_found: bool) -> None:
    assert bool(day_of(declared, measured, groups, contract)) is is_found


def test_d02_compares_only_what_was_both_declared_and_measured() -> None:
    honest = [run("R", "06:00", "07:00", "30"), run("held", "12:00", "13:00", "90")]
    assert not found(audit([trip("T", "06:00", "07:00")], honest), "D02")
    inflated = [run("R", "06:00", "07:00", "60")]
    undeclared = [trip("T", "06:00", "07:00"), trip("alone", "12:00", "13:00", "60.00")]
    assert found(audit(undeclared, inflated), "D02")


def test_findings_belong_to_the_requested_day() -> None:
    before = DAY - dt.timedelta(days=1)
    context = audit([trip("T", "06:00", "07:00", day=before)], [run("R", "06:00", "07:00", "90", day=before)])
    assert not found(context, "D01")
    assert not found(context, "D02")

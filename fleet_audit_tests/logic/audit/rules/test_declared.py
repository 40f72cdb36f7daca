"""D08, D11 and D12: what a bulletin says against itself."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit_tests.logic.audit_sample import DAY, OTHER, audit, found, run, trip

PLACES = {"origin_text": "Usina Conquista do", "destination_text": "GARAGEM AV. CUIABÁ"}
TRIPS = [trip("T", "07:43", "08:46", "28.90")]


def twice(second: dict) -> list[dict]:
    return found(audit(TRIPS, [run("7009", "07:43", "08:46", "28", **PLACES), second]), "D08")


def test_d08_the_later_row_is_accused() -> None:
    [finding] = twice(run("7010", "07:43", "08:46", "28", **PLACES))
    assert (finding["severity"], finding["declared_run_id"], finding["trip_id"]) == ("C", "7010", "T")
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("28.00"), Decimal("137.20"))
    assert finding["evidence"]["declared_run_ids"] == ["7010", "7009"]
    assert finding["confidence"] == 1.0


@pytest.mark.parametrize(
    ("second", "is_found"),
    [
        (run("7010", "07:53", "08:50", **PLACES), True),
        (run("7010", "07:54", "08:50", **PLACES), False),
        (run("7010", "07:33", "08:40", **PLACES), True),
        (run("7010", "07:43", "08:46", origin_text="USINA. CONQUISTA DO", destination_text="garagem av cuiaba"), True),
        (run("7010", "07:43", "08:46", origin_text="USINA", destination_text="OUTRA"), False),
        (run("7010", "07:43", "08:46", origin_text=None, destination_text=None), False),
        (run("7010", "07:43", "08:46", **PLACES, plate=OTHER), False),
    ],
    ids=["10 min", "11 min", "10 min before", "stray dots and case", "other place", "no places", "other vehicle"],
)
def test_d08_what_is_the_same_run(second: dict, is_found: bool) -> None:
    assert bool(twice(second)) is is_found


def test_d08_places_may_be_given_by_code_or_not_at_all() -> None:
    def pair(first: dict, second: dict) -> list[dict]:
        nowhere = {"origin_text": None, "destination_text": None}
        runs = [run("A", "07:43", "08:46", **{**nowhere, **first}), run("B", "07:43", "08:46", **{**nowhere, **second})]
        return found(audit(TRIPS, runs), "D08")

    codes = {"origin_code": "12", "destination_code": "7"}
    assert pair(codes, {**codes, "origin_text": "GARAGEM"})
    assert not pair(codes, {**codes, "origin_code": "13"})
    [finding] = pair({}, {})
    assert finding["confidence"] < 1


def test_d08_three_copies_are_two_findings() -> None:
    runs = [run(number, "07:43", "08:46", **PLACES) for number in ("3", "1", "2")]
    findings = found(audit(TRIPS, runs), "D08")
    assert sorted(finding["declared_run_id"] for finding in findings) == ["2", "3"]


@pytest.mark.parametrize("start", ["07:40", "07:43", "07:46"])
@pytest.mark.parametrize("number", ["10", "901"])
def test_d08_of_two_carriers_the_one_whose_bus_it_is_declared_the_run_first(start: str, number: str) -> None:
    """The bus is CONLOG's. VIASUL sent its run as well, and CONLOG lost R$ 120,00 as if it had declared it twice.

    The run of VIASUL is priced at the rate of held runs, R$ 5,00, for the trip at R$ 4,90 is not its own.
    """
    foreign = run(number, start, "08:46", "28", **PLACES, carrier_code="VIASUL")
    context = audit(TRIPS, [run("700", "07:43", "08:46", "28", **PLACES), foreign])
    [finding] = found(context, "D08")
    assert (finding["declared_run_id"], finding["carrier_code"]) == (number, "VIASUL")
    assert pd.isna(finding["trip_id"])
    assert (finding["km_at_stake"], finding["brl_at_stake"]) == (Decimal("28.00"), Decimal("140.00"))
    assert "ata 700" not in finding["explanation_pt"]
    assert finding["evidence"]["declared_run_ids"] == [number]
    assert not found(context, "D01")
    assert list(context.groups["declared_km"]) == [Decimal("28.00")]


def test_d08_of_two_copies_by_another_carrier_both_repeat_the_owners_run() -> None:
    copies = [run(number, start, "08:46", "28", **PLACES, carrier_code="VIASUL")
              for number, start in (("1", "07:42"), ("2", "07:44"))]  # fmt: skip
    findings = found(audit(TRIPS, [*copies, run("9", "07:43", "08:46", "28", **PLACES)]), "D08")
    assert {(row["declared_run_id"], row["carrier_code"]) for row in findings} == {("1", "VIASUL"), ("2", "VIASUL")}
    assert len(found(audit(TRIPS, copies), "D08")) == 1


def test_d08_a_shuttle_that_continues_its_own_reading_is_the_next_run() -> None:
    first = run("1", "09:00", "09:04", **PLACES, odometer_start_km="100", odometer_end_km="102")
    second = run("2", "09:08", "09:12", **PLACES, odometer_start_km="102", odometer_end_km="104")
    assert not found(audit([], [first, second]), "D08")
    assert found(audit([], [first, {**second, "odometer_start_km": "100"}]), "D08")


@pytest.mark.parametrize(
    ("facts", "stake"),
    [
        ({"route_km": "98", "odometer_start_km": "589", "odometer_end_km": "678"}, "9.00"),
        ({"route_km": "80", "odometer_start_km": "589", "odometer_end_km": "678"}, "9.00"),
        ({"route_km": "89", "odometer_start_km": "589", "odometer_end_km": "678"}, None),
        ({"route_km": "98", "odometer_start_km": None, "odometer_end_km": "678"}, None),
        ({"route_km": None, "odometer_start_km": "589", "odometer_end_km": "678"}, None),
        ({"route_km": "98", "odometer_start_km": "0", "odometer_end_km": "89"}, "9.00"),
        ({"route_km": "98", "odometer_start_km": "0", "odometer_end_km": "20678"}, None),
        ({"route_km": "98", "odometer_start_km": "0", "odometer_end_km": "0"}, None),
    ],
    ids=[
        "more",
        "less",
        "equal",
        "a reading is missing",
        "KM ROTA is missing",
        "counted from the start of the run",
        "an empty KM SAÍDA",
        "both empty",
    ],
)
def test_d11(facts: dict, stake: str | None) -> None:
    findings = found(audit(TRIPS, [run("7013", "07:43", "08:46", **facts)]), "D11")
    assert [finding["km_at_stake"] for finding in findings] == ([] if stake is None else [Decimal(stake)])
    assert all(finding["severity"] == "H" and finding["trip_id"] == "T" for finding in findings)


def test_d11_quotes_the_values_of_the_row() -> None:
    wrong = run("7013", "07:11", "09:11", "98", route_km="98", odometer_start_km="589", odometer_end_km="678")
    [finding] = found(audit([], [wrong]), "D11")
    assert finding["explanation_pt"] == (
        "A ata 7013 de 10/06/2025, das 07:11 às 09:11, informa KM ROTA 98,00, mas KM CHEGADA menos KM SAÍDA é 89,00: "
        "diferença de 9,00 km."
    )


def test_d12_belongs_to_the_day_of_the_trip_and_disputes_no_km() -> None:
    before = DAY - dt.timedelta(days=1)
    night = run("R", "00:30", "01:30", day=before, shift_code="C")
    [finding] = found(audit([trip("T", "00:30", "01:30")], [night]), "D12")
    assert (finding["severity"], finding["trip_id"]) == ("L", "T")
    assert finding["km_at_stake"] is None or finding["km_at_stake"] != finding["km_at_stake"]
    assert "09/06/2025" in finding["explanation_pt"]
    assert "10/06/2025, das 00:30 às 01:30" in finding["explanation_pt"]


def test_d12_a_date_that_fits_is_fine() -> None:
    assert not found(audit([trip("T", "00:30", "01:30")], [run("R", "00:30", "01:30", shift_code="C")]), "D12")


def test_d08_the_second_of_a_pair_takes_part_in_no_divergence() -> None:
    same = {"origin_text": "GARAGEM", "destination_text": "USINA", "bulletin_number": "501"}
    runs = [run("R1", "06:00", "07:00", "24", **same), run("R2", "06:00", "07:00", "34", **same)]
    context = audit([trip("T", "06:00", "07:00", "24.00")], runs)
    [finding] = found(context, "D08")
    assert (finding["declared_run_id"], finding["km_at_stake"]) == ("R2", Decimal("34.00"))
    assert not any(found(context, rule) for rule in ("D01", "D02", "D04", "D05", "D06", "D07"))


def test_q05_one_number_with_two_contents() -> None:
    runs = [run("R1", "06:00", "07:00", bulletin_number="501"), run("R2", "10:00", "11:00", bulletin_number="501")]
    [finding] = found(audit([], runs), "Q05")
    assert "ata 501 aparece 2 vezes com conteúdos diferentes" in finding["explanation_pt"]
    assert finding["evidence"]["declared_run_ids"] == ["R2", "R1"]
    other_carrier = [runs[0], {**runs[1], "carrier_code": "OUTRA"}]
    assert not found(audit([], other_carrier), "Q05")

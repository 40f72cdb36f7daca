"""Money of a measured difference has a range, and a range that reaches the tolerance is an indication (*indício*)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from fleet_audit_tests.logic.audit.rules.test_cycle import DAYS, a_cycle, calibrated, worked
from fleet_audit_tests.logic.audit.rules.test_cycle import found as found_in_cycle
from fleet_audit_tests.logic.audit_sample import audit, costs_frame, found, run, trip

D = Decimal


@pytest.mark.parametrize(("km", "is_indication"), [("2.20", True), ("30.00", False)])
def test_a_trip_that_nobody_declared_is_an_indication_where_it_may_be_shorter_than_the_least(
    km: str, is_indication: bool
) -> None:
    lone = trip("T", "06:00", "07:00", km, km_uncertainty="0.30")
    [row] = found(audit([lone], [run("R", "15:20", "16:00")]), "D07")
    assert ("indício" in row["explanation_pt"]) is is_indication
    low, high = ((D(km) + sign * D("0.30")) * D("4.90") for sign in (-1, 1))
    assert (row["brl_low"], row["brl_high"]) == (low.quantize(D("0.01")), high.quantize(D("0.01")))


@pytest.mark.parametrize(("deadhead", "is_indication"), [("3.05", True), ("6.00", False)])
def test_deadhead_beyond_its_share_is_an_indication_where_the_measurement_may_explain_it(
    deadhead: str, is_indication: bool
) -> None:
    trips = [row for day in DAYS for row in (worked(day), worked(day, km=deadhead, purpose="deadhead"))]
    [row] = found_in_cycle(a_cycle(trips=trips), "K03")
    assert ("indício" in row["explanation_pt"]) is is_indication
    assert row["brl_low"] is None or row["brl_low"] <= row["brl_at_stake"] <= row["brl_high"]


@pytest.mark.parametrize(
    ("paid_km", "km", "at_stake", "high"),
    [("12.00", "9.00", "1367.10", "1383.81"), ("6.00", "3.00", "455.70", "472.41"), ("1.00", "9.00", "0.00", "0.00")],
)
def test_deadhead_puts_at_stake_what_the_contract_pays_beyond_its_share(
    paid_km: str, km: str, at_stake: str, high: str
) -> None:
    """Of 12 km empty per day on 30 km of service, a contract pays all, 20 %, or less than the 10 % that are no excess.

    31 days at R$ 4.90: of 6 km paid, 3 are beyond 10 %. Their doubt is 0.11 km per day.
    """
    trips = [row for day in DAYS for row in (worked(day), worked(day, km="12.00", purpose="deadhead"))]
    cycle = a_cycle(trips=trips)
    paid = [{"trip_id": row["trip_id"], "billable_km": paid_km, "variable_cost_brl": D("4.90") * D(paid_km)}
            for row in trips if row["purpose"] == "deadhead"]  # fmt: skip
    [row] = found_in_cycle(replace(cycle, costs=costs_frame(*paid)), "K03")
    assert (row["km_at_stake"], row["brl_at_stake"], row["brl_high"]) == (len(DAYS) * D(km), D(at_stake), D(high))
    assert "indício" not in row["explanation_pt"]


@pytest.mark.parametrize(("odometer", "is_indication"), [("104", True), ("107", False)])
def test_an_odometer_that_is_off_by_less_than_is_certain_is_an_indication(odometer: str, is_indication: bool) -> None:
    days = [calibrated(day, odometer, "100") for day in DAYS[:7]]
    [row] = found_in_cycle(a_cycle(calibrations=days, trips=[worked(day, km="100.00") for day in DAYS]), "O05")
    assert ("indício" in row["explanation_pt"]) is is_indication

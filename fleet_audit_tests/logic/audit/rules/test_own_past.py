"""O07 of a cycle: trackers in another vehicle, honest changes of driving, and vehicles without a past."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.statistics import rank_sum_p
from fleet_audit.reporting.sections.evidence import evidence_rows
from fleet_audit.schema import facts
from fleet_audit_tests.logic.audit.rules.test_cycle import CYCLE, DAYS, a_cycle, fact_rows, found, untested
from fleet_audit_tests.logic.audit_sample import PLATE, ZONE, at, reasons_not_tested, trip

BEFORE = [CYCLE.start - dt.timedelta(days=back) for back in range(28, 0, -1)]
PEERS = [f"CCC3C{number:02d}" for number in range(4)]
Change = Callable[[dt.date, dict], None]


def driven(day: dt.date, plate: str, number: int, **more: object) -> dict:
    """One of the two trips of a day: 30 km in about 27 min of driving, standing about 8 min at three pick-up points."""
    noise = np.random.default_rng([day.toordinal(), int.from_bytes(plate.encode()) % 1009, number])
    usual = {
        "km": 30.0, "kmh": 66 * (1 + 0.02 * noise.standard_normal()), "stood_s": 480 + 40 * noise.standard_normal(),
        "step_s": 30.0, "driver_id": f"{plate}-{number}", "device_id": f"D-{plate}", "origin_poi_id": "GAR",
        "destination_poi_id": "USI", "shift_code": "AB"[number],
    }  # fmt: skip
    return {"day": day, "plate": plate, "clock": ("06:00", "14:00")[number], **usual, **more}


def as_trip(row: dict) -> dict:
    """The row of `fact.trips` of a trip that was driven."""
    moving_s = 3600 * row["km"] / row["kmh"]
    start = at(row["clock"], row["day"])
    more = {name: row[name] for name in ("driver_id", "device_id", "origin_poi_id", "destination_poi_id", "shift_code")}
    return {
        **trip(f"T-{row['plate']}-{row['day']}-{row['clock']}", row["clock"], "23:00", f"{row['km']:.2f}",
               day=row["day"], plate=row["plate"], coverage_pct="98", moving_s=moving_s, km_gps=f"{row['km']:.3f}",
               moving_steps=round(moving_s / row["step_s"]), **more),
        "ended_at": (start + np.timedelta64(int(1e6 * (moving_s + row["stood_s"])), "us")),
    }  # fmt: skip


def a_past(change: Change | None = None, everyone: Change | None = None, days: list[dt.date] | None = None,
           peers: list[str] = PEERS) -> AuditCycle:  # fmt: skip
    """A cycle and the 28 days before it; `change` alters what PLATE drove, `everyone` what all vehicles did."""
    rows = [driven(day, plate, number) for day in days or [*BEFORE, *DAYS] for plate in (PLATE, *peers)
            for number in (0, 1)]  # fmt: skip
    for row in rows:
        if change is not None and row["plate"] == PLATE:
            change(row["day"], row)
        if everyone is not None:
            everyone(row["day"], row)
    trips = [as_trip(row) for row in rows]
    context = a_cycle(trips=[row for row in trips if row["operational_date"] >= CYCLE.start])
    earlier = [row for row in trips if row["operational_date"] < CYCLE.start]
    return replace(context, earlier_trips=fact_rows(facts.TRIPS, earlier))


def since(first: dt.date, last: dt.date = CYCLE.end, **changed: object) -> Change:
    """From a day to another one: a number is a factor, anything else replaces the value."""

    def change(day: dt.date, row: dict) -> None:
        if first <= day <= last:
            row.update({name: row[name] * value if isinstance(value, float) else value
                        for name, value in changed.items()})  # fmt: skip

    return change


def test_a_tracker_in_a_car_that_shadows_the_bus_moves_faster_and_passes_the_pick_up_points():
    [row] = found(a_past(since(DAYS[15], DAYS[23], kmh=1.4, stood_s=0.15)), "O07")
    evidence = row["evidence"]
    assert (row["plate"], row["severity"], row["operational_date"]) == (PLATE, "H", CYCLE.end)
    assert [day["operational_date"] for day in evidence["days"]] <= [str(day) for day in DAYS[15:24]]
    assert (evidence["n"], evidence["n_past"] >= 20, evidence["correction"]) == (7, True, "Holm")
    assert evidence["p_adjusted"] < 0.01
    assert len(evidence["compared_trips"]) == 18
    assert evidence["speed_kmh"] == pytest.approx(92, abs=2)
    assert evidence["usual_speed_kmh"] == pytest.approx(66, abs=1)
    assert row["explanation_pt"].startswith(
        "Indício: de 31/05/2025 a 08/06/2025, em 18 viagens de 9 dias, o rastreador do veículo AAA1A11 andou a "
    )
    assert "min por viagem; antes, nos mesmos percursos e turnos, eram " in row["explanation_pt"]


def test_each_compared_trip_is_printed_with_its_times_and_the_usual_ones():
    [row] = found(a_past(since(DAYS[15], DAYS[23], kmh=1.4, stood_s=0.15)), "O07")
    printed = list(evidence_rows(row["evidence"], ZONE, {"GAR": "Garagem", "USI": "Usina"}))
    assert len(printed) == 18
    assert (printed[0]["what"], printed[0]["from_to"], printed[0]["km"]) == ("viagem comparada", "Garagem → Usina", 30)
    assert printed[0]["started"] == dt.datetime(2025, 5, 31, 6, 0)
    shown = re.fullmatch(
        r"em movimento (.+) min \(habitual (.+) min\); parado (.+) min \(habitual (.+) min\)", printed[0]["source"]
    )
    assert shown is not None
    assert [float(minutes.replace(",", ".")) for minutes in shown.groups()] == pytest.approx(
        [19.5, 27.3, 1.2, 8.0], abs=1
    )


def test_its_paid_km_are_in_doubt_and_nothing_is_refused():
    [row] = found(a_past(since(DAYS[20], kmh=1.4, stood_s=0.15)), "O07")
    assert row["amount"] == "paid_doubtful_brl"
    assert row["km_at_stake"] == Decimal("660.00")  # 22 trips of 30 km in 11 days
    assert row["brl_at_stake"] == Decimal("3234.00")


def test_a_tracker_in_a_lorry_moves_slower_and_stands_longer():
    [row] = found(a_past(since(DAYS[3], DAYS[12], kmh=0.6, stood_s=2.8)), "O07")
    assert row["evidence"]["speed_kmh"] == pytest.approx(40, abs=2)
    assert row["evidence"]["standing_min_per_trip"] > 2 * row["evidence"]["usual_standing_min_per_trip"]


def test_a_tracker_in_the_cars_of_a_carrier_is_named_though_the_car_names_no_driver():
    """The reader of the driver's badge stays in the bus; three days lie in the cycle before."""
    change = since(BEFORE[-3], DAYS[8], kmh=1.35, stood_s=0.3, driver_id=None)
    [row] = found(a_past(change), "O07")
    assert {trip["driver_id"] for trip in row["evidence"]["compared_trips"]} == {""}
    assert row["km_at_stake"] == Decimal("540.00")  # of the nine days of this cycle
    assert len(row["evidence"]["compared_trips"]) == 18
    assert row["explanation_pt"].startswith("Indício: de 16/05/2025 a 24/05/2025, em 18 viagens de 9 dias, ")


@pytest.mark.parametrize(
    "last", [DAYS[2], BEFORE[-1], BEFORE[25], BEFORE[20]], ids=["in the cycle", "before it", "days before", "a week"]
)
@pytest.mark.parametrize("factors", [{"kmh": 1.4, "stood_s": 0.15}, {"kmh": 0.6, "stood_s": 2.8}], ids=["car", "lorry"])
def test_a_tracker_that_comes_back_from_another_vehicle_is_not_named_for_its_honest_days(
    last: dt.date, factors: dict[str, float]
):
    """Most of the known past is that of the other vehicle: the unit's others on the route drive as it does now."""
    assert not found(a_past(since(BEFORE[0], last, **factors)), "O07")


def test_a_bus_that_is_usually_slower_than_the_others_is_named_when_its_tracker_is_in_a_car():
    def change(day: dt.date, row: dict) -> None:
        row["kmh"] *= 0.9
        since(DAYS[15], DAYS[23], kmh=1.4, stood_s=0.15)(day, row)

    assert [row["plate"] for row in found(a_past(change), "O07")] == [PLATE]


def test_a_vehicle_alone_on_its_route_is_not_tested_because_nobody_shows_which_days_are_its_own():
    def change(day: dt.date, row: dict) -> None:
        row["destination_poi_id"] = "FRE"
        since(DAYS[15], DAYS[23], kmh=1.4, stood_s=0.15)(day, row)

    context = a_past(change)
    assert not found(context, "O07")
    reasons = reasons_not_tested(context, "O07")
    assert reasons["O07"] == (
        "1 de 5 veículos não testado: poucos outros veículos da unidade nos mesmos percursos e turnos, e não se sabe "
        "qual período é o do próprio veículo"
    )


UNTESTED = {
    "another registered device since the fifth day": since(DAYS[4], device_id="NOVO"),
    "another registered device since the first day": since(DAYS[0], device_id="NOVO", kmh=1.4, stood_s=0.15),
    "a device that reports a third as often since the first day": since(DAYS[0], step_s=90),
}


@pytest.mark.parametrize("change", UNTESTED.values(), ids=UNTESTED)
def test_a_vehicle_of_whose_last_device_no_week_was_tested_is_listed(change: Change):
    context = a_past(change, days=[*BEFORE, *DAYS[:12]])
    assert CYCLE_RULES["O07"].vehicle_need.untested_plates(context) == {PLATE}
    reasons = reasons_not_tested(context, "O07")
    assert reasons["O07"].startswith("1 de 5 veículos não testado: poucas datas comparáveis antes da semana testada")


HONEST = {
    "a faster driver who serves the same points": since(DAYS[15], kmh=1.12),
    "a bus without its limiter": since(DAYS[15], kmh=1.25),
    "a pick-up point that is no longer served": since(DAYS[15], stood_s=0.4),
    "another driver, named, who hurries and hardly waits": since(DAYS[15], kmh=1.2, stood_s=0.4, driver_id="NOVO"),
    "another front": since(DAYS[15], kmh=1.3, stood_s=0.2, destination_poi_id="FRE"),
    "a front that moved and kept its name": since(DAYS[15], km=1.3, stood_s=0.2),
    "a front 8 % further on a better road": since(DAYS[15], km=1.08, kmh=1.25, stood_s=0.4),
    "another shift": since(DAYS[15], kmh=1.3, stood_s=0.2, shift_code="C"),
    "a device that reports half as often": since(DAYS[15], kmh=0.8, stood_s=0.4, step_s=60),
    "another registered device": since(DAYS[15], kmh=1.3, stood_s=0.2, device_id="NOVO"),
    "four days in the workshop's loan": since(DAYS[15], DAYS[18], kmh=1.4, stood_s=0.15),
}


@pytest.mark.parametrize("change", HONEST.values(), ids=HONEST)
def test_a_change_that_has_another_reason_is_no_finding(change: Change):
    assert not found(a_past(change), "O07")


@pytest.mark.parametrize("factors", [{"kmh": 0.75, "stood_s": 2.2}, {"kmh": 1.3, "stood_s": 0.3}])
def test_what_all_vehicles_of_a_unit_do_on_a_day_is_traffic_or_a_holiday(factors: dict[str, float]):
    assert not found(a_past(everyone=since(DAYS[15], **factors)), "O07")


def test_an_honest_fleet_and_its_other_vehicles_are_not_named():
    assert not found(a_past(), "O07")
    assert "O07" not in untested(a_past(), "O07")


def test_a_vehicle_without_twenty_days_of_past_is_not_tested_and_the_reason_counts_them():
    context = a_past(since(DAYS[15], kmh=1.4, stood_s=0.15), days=DAYS[:22])
    assert not found(context, "O07")
    reasons = reasons_not_tested(context, "O07")
    assert reasons["O07"] == (
        "5 de 5 veículos não testados: poucas datas comparáveis antes da semana testada, com o mesmo percurso, turno, "
        "motorista, rastreador e intervalo de envio (n < 20; o maior n entre eles é 15)"
    )


def test_a_vehicle_whose_unit_has_too_few_others_is_not_tested():
    context = a_past(since(DAYS[15], kmh=1.4, stood_s=0.15), peers=PEERS[:2])
    assert "O07" in untested(context, "O07")
    assert not found(context, "O07")


def test_the_rank_sum_test_is_exact():
    assert rank_sum_p(2, 1, 2) == pytest.approx(2 / 3)
    assert rank_sum_p(7 * 28, 7, 28) == pytest.approx(2 / 6_724_520)
    assert rank_sum_p(0, 7, 28) == 1

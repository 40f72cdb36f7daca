"""S01, S03, S05, K05 and V05 of a cycle: each on a guilty vehicle, an honest near miss, and one that lacks data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.registry import CYCLE_RULES
from fleet_audit.logic.primitives.statistics import at_least_p, chi2_p, holm, normal_p
from fleet_audit_tests.logic.audit.rules.test_cycle import DAYS, a_cycle, declared, found, untested
from fleet_audit_tests.logic.audit_sample import OTHER, PLATE, reasons_not_tested, run, trip

CLOCKS = [f"{hour:02d}:00" for hour in range(5, 19)]


def a_run(number: int, plate: str = PLATE, **more: object) -> dict:
    """Run number n of the cycle from one place to one other: up to 14 each day, in order of time."""
    more = {"origin_text": "GARAGEM", **more}
    day = DAYS[number // len(CLOCKS)]
    start = CLOCKS[number % len(CLOCKS)]
    return run(f"R{plate}{number}", start, f"{start[:2]}:40", day=day, plate=plate, operational_date=day,
               is_date_repaired=False, **more)  # fmt: skip


def compared(
    pairs: list[tuple[float, float]], plate: str = PLATE, unseen_km: str = "0.00", **more: object
) -> tuple[list, list, list]:
    """Trips, runs and one-to-one groups of (measured, declared) km."""
    runs = [a_run(number, plate, declared_km=str(pair[1]), **more) for number, pair in enumerate(pairs)]
    trips = [trip(f"T{row['declared_run_id']}", "06:00", "07:00", f"{pair[0]:.2f}", day=row["operational_date"],
                  plate=plate, km_uncertainty="0.10") for row, pair in zip(runs, pairs, strict=True)]  # fmt: skip
    groups = [declared(row["operational_date"], f"{pair[0]:.2f}", str(pair[1]), match_id=row["declared_run_id"],
                       plate=plate, unseen_km=unseen_km, declared_run_ids=[row["declared_run_id"]],
                       trip_ids=[f"T{row['declared_run_id']}"])
              for row, pair in zip(runs, pairs, strict=True)]  # fmt: skip
    return trips, runs, groups


def a_cycle_of(*parts: tuple[list, list, list]) -> AuditCycle:
    trips, runs, groups = ([*itertools.chain(*rows)] for rows in zip(*parts, strict=True))
    return a_cycle(trips=trips, runs=runs, matches=groups)


def noise(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def readings(km: np.ndarray, plate: str = PLATE) -> list[dict]:
    return [a_run(number, plate, odometer_start_km=str(int(value))) for number, value in enumerate(km)]


def driven_between(read: np.ndarray, plate: str = PLATE) -> list[dict]:
    """Trips that start with each run and drive what the odometer truly counted until the next one."""
    return [trip(f"T{row['declared_run_id']}", "00:00", "01:00", f"{km:.2f}", plate=plate)
            | {name: row[name] for name in ("started_at", "ended_at", "operational_date")}
            for row, km in zip(readings(read, plate), np.diff(read), strict=False)]  # fmt: skip


def test_s01_names_estimated_readings_and_spares_those_that_were_read():
    true = 1000 + np.cumsum(noise().uniform(8, 40, 90))
    runs = readings(5 * np.round(true / 5)) + readings(np.floor(true), OTHER)
    [row] = found(a_cycle(runs=runs, trips=driven_between(true) + driven_between(true, OTHER)), "S01")
    assert (row["plate"], row["severity"]) == (PLATE, "M")
    assert pd.isna(row["amount"])
    assert row["explanation_pt"].startswith("Indício: nas 90 leituras")
    evidence = row["evidence"]
    assert (evidence["n"], evidence["test"], evidence["correction"], evidence["tests"]) == (90, "chi2, 9 df", "Holm", 1)
    assert sum(evidence["digit_counts"]) == 90
    assert evidence["effect_size_w"] == pytest.approx(2, abs=0.1)
    assert evidence["p_adjusted"] == pytest.approx(evidence["p"])
    assert evidence["p_adjusted"] < 1e-6


def test_s01_is_silent_where_rounds_of_whole_tens_repeat_the_digit_and_where_data_lack():
    true = 1000 + 20.0 * np.arange(90)
    assert not found(a_cycle(runs=readings(true), trips=driven_between(true)), "S01")
    assert not found(a_cycle(runs=readings(true)), "S01")  # nothing was measured between its runs
    assert "S01" in untested(a_cycle(runs=readings(true[:59])), "S01")


@pytest.mark.parametrize("counted", [0.97, 0.985, 1.01, 1.02, 1.03])
@pytest.mark.parametrize("way_km", [20.0, 35.0, 60.0])
def test_s01_spares_readings_of_a_dashboard_that_counts_otherwise_than_the_tracker(way_km: float, counted: float):
    """The dashboard is read in whole km; rounds of whole fives repeat its digits; a tyre is 3 % off."""
    read = 1000.5 + np.cumsum(noise().normal(way_km, 0.04, 90))
    context = a_cycle(runs=readings(np.floor(read)), trips=driven_between(1000 + (read - 1000) * counted))
    assert not found(context, "S01")


@pytest.mark.parametrize("counted", [0.98, 1.0, 1.02])
def test_s01_names_estimates_whatever_the_tracker_counts(counted: float):
    true = 1000 + np.cumsum(noise().uniform(8, 40, 90))
    context = a_cycle(runs=readings(5 * np.round(true / 5)), trips=driven_between(1000 + (true - 1000) * counted))
    assert [row["plate"] for row in found(context, "S01")] == [PLATE]


def test_s01_spares_honest_rounds_of_which_a_third_were_measured_in_part():
    read = 1000 + 35.0 * np.arange(90)
    trips = driven_between(read)
    for row in trips[::3]:
        row["km_measured"] = "23.00"
    assert not found(a_cycle(runs=readings(read), trips=trips), "S01")


def test_s01_does_not_name_estimates_that_are_no_further_off_than_a_tyre():
    """Rounds of 34.6 km, always written as 35, cannot be distinguished from honest readings of a dashboard 1 % off."""
    true = 1000 + np.cumsum(noise().normal(34.6, 0.1, 90))
    assert not found(a_cycle(runs=readings(5 * np.round(true / 5)), trips=driven_between(true)), "S01")


def test_s01_takes_a_reading_of_0_for_none():
    """An empty cell that is written as 0."""
    true = np.floor(1000 + np.cumsum(noise().uniform(8, 40, 90)))
    written = np.where(np.arange(90) % 3, true, 0)
    assert not found(a_cycle(runs=readings(written), trips=driven_between(true)), "S01")
    assert "S01" in untested(
        a_cycle(runs=readings(np.where(np.arange(90) % 2, true, 0)), trips=driven_between(true)), "S01"
    )


def test_vehicles_with_too_few_runs_are_counted_instead_of_passed_over():
    true = 1000 + np.cumsum(noise().uniform(8, 40, 90))
    runs = readings(np.floor(true)) + readings(np.floor(true[:40]), OTHER)
    context = a_cycle(runs=runs, trips=driven_between(true))
    reasons = reasons_not_tested(context, "S01", "K05")
    assert reasons["S01"] == (
        "1 de 2 veículos não testado: poucas leituras KM SAÍDA em km inteiros (n < 60; o maior n entre eles é 40)"
    )
    assert reasons["K05"].startswith("2 de 2 veículos não testados: poucas atas")


def test_s01_lists_vehicles_whose_readings_nothing_measured_can_confirm():
    """80 readings are enough; but without trips between them nobody knows whether they were read or made up."""
    true = 1000 + np.cumsum(noise().uniform(8, 40, 80))
    context = a_cycle(runs=readings(5 * np.round(true / 5)) + readings(np.floor(true), OTHER),
                      trips=driven_between(true, OTHER))  # fmt: skip
    assert not found(context, "S01")
    reasons = reasons_not_tested(context, "S01")
    assert reasons["S01"] == (
        "1 de 2 veículos não testado: menos da metade das atas tem viagem medida desde a ata anterior"
    )


STATISTICAL = ("S01", "S03", "S05", "K05")


def test_statistical_rules_without_any_observation_are_not_tested_and_accuse_nobody():
    context = a_cycle()
    assert set(STATISTICAL) == untested(context, *STATISTICAL)
    assert not any(found(context, rule) for rule in STATISTICAL)


def test_one_vehicle_is_tested_against_chance_and_never_against_peers_that_it_lacks():
    alone = a_cycle_of(compared([(km, math.ceil(km)) for km in noise().uniform(5, 40, 220).round(2)]))
    [row] = found(alone, "K05")
    assert (row["evidence"]["tests"], row["evidence"]["p_adjusted"]) == (1, row["evidence"]["p"])
    assert not found(a_cycle(trips=on_route(PLATE, [24.0] * 6)), "S05")
    assert "S05" in untested(a_cycle(trips=on_route(PLATE, [24.0] * 6)), "S05")


def test_what_never_varies_divides_by_no_zero():
    """A way of exactly 30.50 km, declared as 31 each time: rounding upwards, and no copied value."""
    steady = a_cycle_of(compared([(30.5, 31)] * 220))
    assert not found(steady, "S03")
    [row] = found(steady, "K05")
    assert (row["evidence"]["mean_km"], row["evidence"]["sd_km"], row["evidence"]["mean_low_km"]) == (0.5, 0.0, 0.5)
    assert not found(a_cycle_of(compared([(30.0, 30)] * 220)), "K05")  # nothing differs
    assert not found(a_cycle_of(compared([(0.0, 5)] * 60)), "S03")  # a tracker that never moves


def test_peers_that_are_all_equal_have_the_uncertainty_of_a_trip_as_their_scale():
    twins = [row for number in range(20) for row in on_route(f"CCC3C{number:02d}", [20.0] * 6)]
    assert not found(a_cycle(trips=[*twins, *on_route(PLATE, [20.0] * 6)]), "S05")
    [row] = found(a_cycle(trips=[*twins, *on_route(PLATE, [24.0] * 6)]), "S05")
    assert (row["evidence"]["scale_km"], row["evidence"]["robust_z"]) == (0.1, 40.0)


@pytest.mark.parametrize("rule_id", STATISTICAL)
def test_a_statistical_rule_puts_no_money_at_stake_and_is_medium_at_most_or_an_indication(rule_id: str):
    rule = CYCLE_RULES[rule_id]
    assert rule.amount is None
    true, ways = 1000 + np.cumsum(noise().uniform(8, 40, 90)), noise().uniform(5, 40, 220).round(2)
    cases = {
        "S01": a_cycle(runs=readings(5 * np.round(true / 5)), trips=driven_between(true)),
        "S03": a_cycle_of(compared([(float(km), 30) for km in np.clip(noise().normal(30, 2.5, 60), 26, 34)])),
        "S05": a_cycle(trips=[*peers(20), *on_route(PLATE, [24.0] * 6)]),
        "K05": a_cycle_of(compared([(km, math.ceil(km)) for km in ways])),
    }
    [row] = found(cases[rule_id], rule_id)
    assert pd.isna(row["brl_at_stake"])
    assert row["explanation_pt"].startswith("Indício: ")
    assert {"test", "correction", "tests", "p", "p_adjusted"} <= row["evidence"].keys()


def test_s03_names_a_copied_value_and_spares_whole_kilometres_of_a_steady_way():
    measured = np.clip(noise().normal(30, 2.5, 60), 26, 34)
    steady = noise(8).normal(10.0, 0.35, 60)  # 3.5 %: honest readings show 10 km three times of four
    honest = np.floor(steady + noise(9).random(60))
    context = a_cycle_of(
        compared([(km, 30) for km in measured]), compared(list(zip(steady, honest, strict=True)), OTHER)
    )
    [row] = found(context, "S03")
    assert (row["plate"], row["severity"]) == (PLATE, "H")
    assert row["explanation_pt"].startswith("Indício: ")
    assert (row["evidence"]["n"], row["evidence"]["equal_runs"]) == (60, 60)
    assert row["evidence"]["expected_equal_runs"] < 30
    assert row["evidence"]["origin"] == "garagem"


def test_s03_needs_twenty_runs_between_two_places_and_measured_km_that_vary():
    few = compared([(float(km), 30) for km in noise().normal(30, 3, 19)])
    assert "S03" in untested(a_cycle_of(few), "S03")
    assert not found(a_cycle_of(compared([(30.2, 30)] * 60)), "S03")
    without_places = compared([(float(km), 30) for km in noise().normal(30, 3, 60)], origin_text=None)
    assert not found(a_cycle_of(without_places), "S03")


def test_k05_names_rounding_upwards_and_spares_rounding_both_ways():
    ways = noise().uniform(5, 40, 220).round(2)
    upwards = compared([(km, math.ceil(km)) for km in ways])
    honest = compared([(km, round(km)) for km in ways], OTHER)
    [row] = found(a_cycle_of(upwards, honest), "K05")
    assert (row["plate"], row["severity"]) == (PLATE, "L")
    assert row["evidence"]["mean_km"] == pytest.approx(0.5, abs=0.05)
    assert row["evidence"]["mean_low_km"] < row["evidence"]["mean_km"] < row["evidence"]["mean_high_km"]
    assert row["evidence"]["n"] <= 220
    assert "K05" in untested(a_cycle_of(compared([(km, math.ceil(km)) for km in ways[:199]])), "K05")


ENDS = {"route_code": "R1", "origin_poi_id": "GAR", "destination_poi_id": "USI", "km_uncertainty": "0.10",
        "km_gps": "20.000"}  # fmt: skip


def on_route(plate: str, kms: list[float]) -> list[dict]:
    return [trip(f"T{plate}{place}", "06:00", "07:00", f"{km:.2f}", day=day, plate=plate, **ENDS)
            for place, (day, km) in enumerate(zip(DAYS, kms, strict=False))]  # fmt: skip


def peers(count: int, spread: float = 0.4) -> list[dict]:
    """Trips of vehicles that each repeat a way of their own of about 20 km."""
    ways = noise().normal(20, spread, count)
    return [row for number, km in enumerate(ways) for row in on_route(f"CCC3C{number:02d}", [float(km)] * 6)]


def test_s05_names_the_vehicle_whose_way_differs_and_spares_ways_that_others_take():
    far = on_route(PLATE, [24.0] * 6)
    near = on_route(OTHER, [20.9] * 6)  # 4.5 % longer
    [row] = found(a_cycle(trips=[*peers(20), *far, *near]), "S05")
    assert (row["plate"], row["severity"], row["evidence"]["route_code"]) == (PLATE, "M", "R1")
    assert (row["evidence"]["n_own"], row["evidence"]["n_peers"]) == (6, 21)
    assert row["evidence"]["robust_z"] > 3.5
    assert row["evidence"]["p_adjusted"] == pytest.approx(22 * row["evidence"]["p"], abs=1e-12)
    assert len(row["evidence"]["own_trips"]) == len(row["evidence"]["trips"]) == 6
    assert "mais longa que a dos outros: 24,00 km em 6 viagens" in row["explanation_pt"]
    assert not found(a_cycle(trips=[*peers(20), *far, *on_route(OTHER, [24.3] * 6)]), "S05")  # a way that two take


def test_s05_needs_twenty_other_vehicles():
    assert "S05" in untested(a_cycle(trips=[*peers(19), *on_route(PLATE, [24.0] * 6)]), "S05")


BY_CHORDS = {"km_method": "gps", "evidence_grade": "C", "moving_s": 2400.0, "moving_steps": 8}


def test_k05_and_s03_compare_no_readings_with_the_chords_of_rare_positions():
    """Honest readings of ways of 4.30 km, of which the chords are 13.5 % short: once "rounded up" by 0.59 km."""
    trips, runs, groups = compared([(round(4.3 * 0.865 + float(x), 2), "4.30") for x in noise().normal(0, 0.3, 220)])
    assert found(a_cycle_of((trips, runs, groups)), "S03")
    assert found(a_cycle_of((trips, runs, groups)), "K05")
    rare = a_cycle_of(([row | BY_CHORDS for row in trips], runs, groups))
    assert not found(rare, "S03")
    assert not found(rare, "K05")
    reasons = reasons_not_tested(rare, "S03", "K05")
    assert all(reasons[rule_id].startswith("1 de 1 veículo não testado: poucas atas") for rule_id in ("S03", "K05"))


def test_k05_and_s03_compare_no_readings_with_ways_of_which_a_part_was_not_seen():
    pairs = [(round(4.3 - 0.5 + float(x), 2), "4.30") for x in noise().normal(0, 0.3, 220)]
    assert {rule_id for rule_id in ("S03", "K05") if found(a_cycle_of(compared(pairs)), rule_id)} == {"S03", "K05"}
    unseen = a_cycle_of(compared(pairs, unseen_km="0.50"))
    assert not found(unseen, "S03")
    assert not found(unseen, "K05")
    assert {"S03", "K05"} == untested(unseen, "S03", "K05")


def test_s05_neither_accuses_a_vehicle_measured_by_chords_nor_compares_others_with_it():
    short = on_route(PLATE, [17.5] * 6)
    assert found(a_cycle(trips=[*peers(20), *short]), "S05")
    rare = a_cycle(trips=[*peers(21), *(row | BY_CHORDS for row in short)])
    assert not found(rare, "S05")
    assert reasons_not_tested(rare, "S05")["S05"] == (
        f"1 de 22 veículos não testado ({PLATE}): o hodômetro do equipamento não contou e as posições são raras demais "
        "para medir a estrada, ou só o relatório de visita mostra uma parte das viagens"
    )
    assert "S05" in untested(a_cycle(trips=[*peers(20), *(row | BY_CHORDS for row in short)][6:]), "S05")


def test_s05_compares_no_trips_of_which_a_silence_cost_a_part():
    """Joined with what a report credits of the silence, they are as short as the doubt of both allows."""
    joined = [row | {"km_gps": None, "km_method": "odometer"} for row in on_route(PLATE, [17.5] * 6)]
    context = a_cycle(trips=[*peers(21), *joined])
    assert not found(context, "S05")
    assert f"1 de 22 veículos não testado ({PLATE})" in reasons_not_tested(context, "S05")["S05"]
    assert found(a_cycle(trips=[*peers(21), *(row | {"source": "visit_report"} for row in joined)]), "S05")


def with_passengers(counts: list[int | None], plate: str = PLATE) -> list[dict]:
    return [a_run(number, plate, passengers=count) for number, count in enumerate(counts)]


def test_v05_names_the_vehicle_that_is_always_exactly_full():
    full, usual = with_passengers([46] * 19 + [30]), with_passengers([46] * 18 + [30, 31], OTHER)
    [row] = found(a_cycle(runs=full + usual), "V05")
    assert (row["plate"], row["severity"], row["evidence"]["full_runs"], row["evidence"]["n"]) == (PLATE, "M", 19, 20)
    assert row["evidence"]["passengers"] == {"30": 1, "46": 19}
    assert not found(a_cycle(runs=with_passengers([46] * 19)), "V05")
    assert "V05" in untested(a_cycle(runs=with_passengers([None] * 20)), "V05")


def test_p_values_are_those_of_the_tables():
    assert chi2_p(16.919) == pytest.approx(0.05, abs=1e-5)
    assert chi2_p(21.666) == pytest.approx(0.01, abs=1e-5)
    assert normal_p(1.959964) == pytest.approx(0.025, abs=1e-6)
    assert at_least_p(2, np.full(3, 0.5)) == pytest.approx(0.5)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

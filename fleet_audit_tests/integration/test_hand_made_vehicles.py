"""One run over vehicles made by hand: what each drove, is paid and is accused of, decided from the rules beforehand."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_audit.defs.run_tags import RECOMPUTE_TAG
from fleet_audit_tests.integration.hand_made import (
    DAY,
    FOUR_TRIPS,
    HOUR,
    Report,
    Run,
    Track,
    Vehicle,
    carried,
    changed,
    drive_of,
    driven,
    each,
    later,
    stuck,
    write_inbox,
)
from fleet_audit_tests.integration.installation import Installation, invoked

MILE_KM = 1.609344
FOUR_RUNS = tuple(Run(hour, hour + 0.483) for hour in FOUR_TRIPS)
NOON = 12 * HOUR


def _vehicles() -> Iterator[Vehicle]:
    seeds = iter(range(1000))

    def day(**more: Any) -> Track:
        return driven(next(seeds), **more)

    def no_fix(track: Track, which: list[int], at: float | None = 0.0) -> Track:
        return changed(track, which, latitude=at, longitude=at)

    def odometer(track: Track, km: Callable[[Report], float]) -> Track:
        return each(track, lambda report: replace(report, odometer_km=round(km(report), 1)))

    track = day()
    yield Vehicle("clean", (track,))

    # Fixes: the point keeps time, odometer and ignition and loses its place.
    track = day()
    first = drive_of(track)[0]
    yield Vehicle("two first fixes elsewhere", (changed(track, (first - 1, first), latitude=-31.0),))
    track = day()
    yield Vehicle("one fix at 0/0", (no_fix(track, drive_of(track)[20:21]),))
    track = day()
    yield Vehicle("eleven minutes at 0/0", (no_fix(track, drive_of(track)[10:32]),))
    track = day()
    yield Vehicle("a whole trip at 0/0", (no_fix(track, drive_of(track)),))
    track = day()
    yield Vehicle("a whole trip without coordinates", (no_fix(track, drive_of(track), None),))
    track = day()
    yield Vehicle("a whole day at 0/0", (no_fix(track, list(range(len(track)))),), km=None, findings="(D06) (Q05)",
                  is_balanced=None)  # fmt: skip
    track = day()
    yield Vehicle("latitude 91", (changed(track, drive_of(track)[10:14], latitude=91.5),))
    track = day()
    yield Vehicle("fix repeated for five minutes", (stuck(track, drive_of(track)[10:20]),))
    track = day()
    yield Vehicle("fix repeated to the end of a trip", (stuck(track, drive_of(track)[15:]),))
    track = day()
    yield Vehicle("fix repeated over a whole trip", (stuck(track, drive_of(track)),))
    track = day()
    held = track[0]
    constant = each(track, lambda report: replace(report, latitude=held.latitude, longitude=held.longitude))
    yield Vehicle("one coordinate all day", (constant,), km=None, findings="(D06) (Q05)", is_balanced=None)
    track = day()
    for index in (7, 21, 30):
        track = changed(track, drive_of(track)[index : index + 1], latitude=-22.4, longitude=-52.1)
    yield Vehicle("single stale fixes", (track,))
    noise = random.Random(5)
    loose = each(day(), lambda report: replace(report, latitude=-22.4 + noise.gauss(0, 3e-5),
                                               longitude=-52.1 + noise.gauss(0, 3e-5)))  # fmt: skip
    yield Vehicle("tracker off the bus", (loose,), km=0.0, findings="O04 (D06)", is_balanced=None)
    yield Vehicle("30 m of noise", (day(noise_deg=2.7e-4),))
    yield Vehicle("no ignition", (each(day(), lambda report: replace(report, ignition=None)),))

    # Odometers: readings that contradict are no readings before they are a fraud.
    track = day()
    yield Vehicle("odometer 0 at waking", (changed(track, [drive_of(track)[0] - 1], odometer_km=0),))
    track = day()
    yield Vehicle("odometer 0 once while driving", (changed(track, drive_of(track)[15:16], odometer_km=0),))
    yield Vehicle("odometer 0 while parked", (odometer(day(), lambda r: r.odometer_km if r.ignition else 0),))
    track = day()
    yield Vehicle("sentinel while parked", (changed(track, (10, 11, 12), odometer_km=4294967.3),))
    track = day()
    yield Vehicle("sentinel while driving", (changed(track, drive_of(track)[10:15], odometer_km=4294967.3),))
    track = day()
    yield Vehicle("maximum of the bus while driving", (changed(track, drive_of(track)[5:12], odometer_km=999999.9),))
    track = day()
    yield Vehicle("a digit too many once", (changed(track, drive_of(track)[20:21], odometer_km=10_100.0),),
                  methods="gps|odometer")  # fmt: skip
    reset = odometer(day(), lambda r: r.odometer_km - 1024 if r.at_s > 10 * HOUR else r.odometer_km)
    yield Vehicle("odometer starts again while parked", (reset,), findings="(Q05)")
    meter = odometer(day(first_km=0), lambda r: r.odometer_km - 24 if r.at_s > 14 * HOUR else r.odometer_km)
    yield Vehicle("trip meter", (meter,), findings="(Q05)")
    mixed = [replace(report, odometer_km=round(report.odometer_km / MILE_KM, 1)) if index % 7 == 3 else report
             for index, report in enumerate(day())]  # fmt: skip
    yield Vehicle("km and miles mixed", (mixed,), methods="gps|odometer", findings="(Q05)", is_balanced=None)
    yield Vehicle("miles", (day(counts=1 / MILE_KM),), methods="gps", findings="Q05", is_balanced=None)
    yield Vehicle("metres", (day(counts=1000, first_km=1e6),), methods="gps", findings="Q05", is_balanced=None)
    yield Vehicle("no odometer", (odometer(day(), lambda r: 0),), methods="gps", findings="(Q05)", is_balanced=None)
    yield Vehicle("whole km", (day(decimals=0),), within_km=1.0)
    frozen = odometer(day(), lambda r: r.odometer_km - 24 if r.at_s > 7 * HOUR else 1000)
    yield Vehicle("odometer still, ignition on", (frozen,), methods="gps|odometer", findings="O03", is_balanced=None)
    dead = odometer(day(), lambda r: 1000)
    yield Vehicle("one reading since before the window", (dead,), methods="gps", findings="O03", is_balanced=None)
    back = odometer(day(), lambda r: r.odometer_km - 15 if r.at_s > 10 * HOUR else r.odometer_km)
    yield Vehicle("odometer turned back", (back,), findings="O01", is_balanced=None)
    jump = odometer(day(), lambda r: r.odometer_km + 60 if r.at_s > 10 * HOUR else r.odometer_km)
    yield Vehicle("odometer turned on while parked", (jump,), findings="O02", is_balanced=None)

    # How often a device reports, and when its clock says so.
    for seconds in (1, 60, 300, 900):
        yield Vehicle(f"a position every {seconds} s", (day(step_s=seconds),))
    yield Vehicle("reverse order", (day()[::-1],))
    track = day()
    silent = [report for report in track if not 6.1 * HOUR < report.at_s < 6.43 * HOUR]
    yield Vehicle("silent for twenty minutes of a trip", (silent,), findings="(G03)")
    yield Vehicle("clock seven minutes ahead", (later(day(departures_h=FOUR_TRIPS), 420),), km=96.0, findings="(Q05)",
                  runs=FOUR_RUNS)  # fmt: skip
    yield Vehicle("clock thirteen minutes behind", (later(day(departures_h=FOUR_TRIPS), -780),), km=96.0,
                  findings="Q05", runs=FOUR_RUNS)  # fmt: skip
    yield Vehicle("clock three hours ahead", (later(day(departures_h=FOUR_TRIPS), 3 * HOUR),), km=96.0,
                  findings="Q05", runs=FOUR_RUNS)  # fmt: skip
    yield Vehicle("clock 1,024 weeks behind", (later(day(), -1024 * 7 * 24 * HOUR),), km=0.0, findings="Q05 (D06)",
                  is_balanced=None)  # fmt: skip

    # Two devices on one bus: one vehicle, one track.
    track = day()
    other = [replace(report, at_s=report.at_s + 7, odometer_km=round(report.odometer_km + 500, 1)) for report in track]
    yield Vehicle("two devices", (track, other))
    yield Vehicle("two devices, one dies", (day(), [report for report in other if report.at_s < 6.2 * HOUR]))
    blind = odometer(day(), lambda r: 0)
    yield Vehicle("a second device fills a gap", (silent, blind), methods="gps|odometer", findings="(Q05)",
                  is_balanced=None)  # fmt: skip

    # Carried, not driven.
    yield Vehicle("ferry", (carried(day(), 12, False, 3.2),), km=44.8, runs=(Run(6.0, 6.75, 21), Run(15.5, 15.983)),
                  within_km=0.2)  # fmt: skip
    yield Vehicle("odometer fails on the way", (carried(day(), 50, True, 8.0),), methods="gps|odometer",
                  findings="O03", is_balanced=None)  # fmt: skip

    # Declarations.
    yield Vehicle("half more declared", (day(),), findings="D01 D02", runs=(Run(6.0, 6.483, 36), Run(15.5, 15.983)))
    yield Vehicle("phantom run", (day(),), findings="D05 (D10)",
                  runs=(Run(6.0, 6.483), Run(10.0, 10.5, 20), Run(15.5, 15.983)))  # fmt: skip
    yield Vehicle("undeclared trip", (day(),), findings="D07", runs=(Run(6.0, 6.483),))
    yield Vehicle("declared twice", (day(),), findings="D08 (D10)",
                  runs=(Run(6.0, 6.483), Run(6.033, 6.5), Run(15.5, 15.983)))  # fmt: skip
    yield Vehicle("arrival typed before departure", (day(),), findings="(Q05)",
                  runs=(Run(6.0, 5.9), Run(15.5, 15.983)))  # fmt: skip
    yield Vehicle("silent and declared", ([report for report in day() if report.at_s < -HOUR],), km=0.0,
                  findings="D06 (Q02)", is_balanced=None)  # fmt: skip


VEHICLES = list(_vehicles())


@pytest.fixture(scope="module")
def run_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, dict[str, str]]:
    folder = tmp_path_factory.mktemp("hand_made")
    plates = write_inbox(folder / "inbox", VEHICLES)
    (folder / "home").mkdir()
    home = Installation(folder / "home", inbox=str(folder / "inbox"))
    ran = invoked(home, "run", "--inbox", folder / "inbox", "--from", DAY, "--to", DAY, "--recompute")
    assert ran.exit_code == 0, ran.output
    return home, plates


@pytest.fixture(scope="module")
def results(run_home: tuple[Installation, dict[str, str]]) -> dict[str, dict[str, Any]]:
    home, plates = run_home
    found = json.loads(_query(home, _RESULTS))
    return {kind: found[plate] for kind, plate in plates.items()}


def test_a_run_with_recompute_has_the_tag_that_has_its_days_computed_again(run_home):
    with run_home[0].dagster() as (_, instance):
        tags = {run.job_name: run.tags.get(RECOMPUTE_TAG) for run in instance.get_runs()}
    assert tags == {"day": "true", "cycle": None}


_RESULTS = """
select json_object_agg(v.plate, json_build_object(
    'km', coalesce((select sum(km_measured) from fact.trips t
                    where t.plate = v.plate and t.purpose = 'service' and t.operational_date = '2025-06-10'), 0),
    'brl', coalesce((select sum(c.variable_cost_brl) from fact.trip_costs c join fact.trips t using (trip_id)
                     where t.plate = v.plate and t.operational_date = '2025-06-10'), 0),
    'methods', (select array_agg(distinct km_method) from fact.trips t
                where t.plate = v.plate and t.purpose = 'service' and t.operational_date = '2025-06-10'),
    'doubts', (select array_agg(km_uncertainty) from fact.trips t
               where t.plate = v.plate and t.purpose = 'service' and t.operational_date = '2025-06-10'),
    'findings', coalesce((select array_agg(rule_id order by rule_id) from fact.findings f
                          where f.plate = v.plate and f.operational_date = '2025-06-10'), '{}'),
    'stakes', coalesce((select array_agg(brl_at_stake) filter (where brl_at_stake is not null) from fact.findings f
                        where f.plate = v.plate and f.operational_date = '2025-06-10'), '{}'),
    'is_balanced', (select bool_and(is_balanced) from fact.km_ledger l
                    where l.plate = v.plate and l.operational_date = '2025-06-10')
))::text from ref.vehicles v
"""


def _query(home: Installation, sql: str) -> str:
    printed = invoked(home, "psql", "--csv", "-c", sql)
    assert printed.exit_code == 0, printed.output
    return printed.stdout.split("\n", 1)[1].strip().strip('"').replace('""', '"')


@pytest.mark.parametrize("vehicle", VEHICLES, ids=lambda vehicle: vehicle.kind)
def test_a_hand_made_vehicle_is_measured_paid_and_judged_right(
    vehicle: Vehicle, results: dict[str, dict[str, Any]]
) -> None:
    found = results[vehicle.kind]
    if vehicle.km is not None:
        assert float(found["km"]) == pytest.approx(vehicle.km, abs=vehicle.within_km)
        assert float(found["brl"]) == pytest.approx(vehicle.km * 5, abs=vehicle.within_km * 5 + 0.01)
    if vehicle.km:
        assert set(found["methods"]) <= set(vehicle.methods.split("|"))
        assert all(doubt > 0 for doubt in found["doubts"])
    expected = set(re.findall(r"(?<!\()\b[A-Z]\d\d\b(?!\))", vehicle.findings))
    allowed = expected | set(re.findall(r"[A-Z]\d\d", vehicle.findings))
    assert expected <= set(found["findings"]) <= allowed
    if vehicle.is_balanced is not None:
        assert found["is_balanced"] is vehicle.is_balanced
    assert all(float(stake) <= 96 * 5 for stake in found["stakes"]), "a stake is never above what is claimed or paid"


def test_no_evidence_names_the_run_that_wrote_it(run_home: tuple[Installation, dict[str, str]]) -> None:
    """Another run of the same inputs gives the same bytes."""
    written_by_runs = "select json_agg(rule_id) from fact.findings where evidence::text ~ '\"(run_id|updated_at)\":'"
    assert _query(run_home[0], written_by_runs).strip() in {"", "null"}


def test_every_kind_of_vehicle_has_its_own_plate(tmp_path: Path) -> None:
    plates = write_inbox(tmp_path / "inbox", VEHICLES)
    assert len(set(plates.values())) == len(VEHICLES)

"""G05, G06 and G08: repeated tracks, detours, destinations not visited; honest near misses and missing data."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit_tests.logic.audit_sample import (
    DAY,
    OTHER,
    PLATE,
    at,
    audit,
    devices_of,
    found,
    measured_leg,
    reasons_not_tested,
    run,
    span,
    trip,
)
from fleet_audit_tests.logic.driving import staged, timetable_day, world
from fleet_audit_tests.logic.frames import rows

BEFORE = DAY - dt.timedelta(days=1)
GARAGE, MILL, FRONT = (-22.4, -52.1), (-22.4, -51.866548), (-22.2, -51.866548)  # 24 km; the front 22 km from the mill
PLACES = rows(
    reference.POIS,
    {"poi_id": "GAR", "unit_code": "UCP", "name": "Garagem Oeste", "kind": "garagem", "latitude": GARAGE[0],
     "longitude": GARAGE[1], "radius_m": 300.0},
    {"poi_id": "USI", "unit_code": "UCP", "name": "Usina Conquista do Pontal", "kind": "usina", "latitude": MILL[0],
     "longitude": MILL[1], "radius_m": 900.0},
    {"poi_id": "FRE", "unit_code": "UCP", "name": "Frente Água Clara", "kind": "frente", "latitude": FRONT[0],
     "longitude": FRONT[1], "radius_m": 900.0},
    {"poi_id": "FR2", "unit_code": "UCP", "name": "Frente Boa Vista", "kind": "frente", "latitude": -22.9,
     "longitude": FRONT[1], "radius_m": 900.0},
)  # fmt: skip


def day_of(day: dt.date, prefix: str, *, digests: tuple[int | None, ...] = (-11, 7), first: str = "06:02",
           plate: str = PLATE, **more: object) -> list[dict]:  # fmt: skip
    usual = {"day": day, "plate": plate, "km_gps": "24.137", "coverage_pct": "97.20", "max_speed_kmh": 81.0, **more}
    return [trip(f"{prefix}{number}", start, end, "24.00", track_digest=digest, first_moving_at=at(start, day), **usual)
            for number, (start, end, digest) in enumerate(
                ((first, "06:40", digests[0]), ("15:31", "16:09", digests[1])))]  # fmt: skip


def test_g05_yesterday_s_track_is_sent_again() -> None:
    [finding] = found(audit([*day_of(DAY, "B"), *day_of(BEFORE, "A")], []), "G05")
    assert (finding["severity"], finding["plate"], finding["paid_doubtful_brl"]) == ("C", PLATE, Decimal("235.20"))
    assert finding["evidence"]["trip_ids"] == ["B0", "B1"]
    assert [pair["repeats_trip_id"] for pair in finding["evidence"]["pairs"]] == ["A0", "A1"]
    assert (
        "As 2 viagens do veículo AAA1A11 em 10/06/2025 repetem, posição por posição, as de 09/06/2025"
        in finding["explanation_pt"]
    )


def test_g05_a_place_that_moved_overnight_hides_no_repeated_track() -> None:
    """The harvest front of the day before is nowhere on the next day, though its positions are sent again."""
    before = day_of(BEFORE, "A", origin_poi_id="GAR", destination_poi_id="FRE")
    assert found(audit([*day_of(DAY, "B", origin_poi_id="GAR"), *before], []), "G05")


@pytest.mark.parametrize(
    ("joined", "parted", "is_found"),
    [(18, (7, 11), True), (2**63 - 1, (2**62, 2**62 - 1), True), (-(2**63), (2**62, 2**62), True), (19, (7, 11), False),
     (None, (7, 11), False), (None, (None, None), False)],
    ids=["adds up", "up to the limit", "over the limit", "other positions", "nothing in motion", "neither in motion"],
)  # fmt: skip
@pytest.mark.parametrize("is_copy_joined", [True, False])
def test_g05_a_place_that_moved_overnight_parts_the_copied_day_otherwise(
    joined: int | None, parted: tuple[int | None, ...], is_found: bool, is_copy_joined: bool
) -> None:
    """The stop at yesterday's front ends no trip of today: one trip repeats two, or two repeat one."""
    one, two = [("18:00", "19:18", joined)], [("18:00", "18:11", parted[0]), ("18:31", "19:18", parted[1])]
    today, before = (one, two) if is_copy_joined else (two, one)
    records = [
        trip(f"{prefix}{number}", start, end, "24.00", day=day, km_gps="24.137", coverage_pct="97.20",
             track_digest=digest, first_moving_at=None if digest is None else at(start, day))
        for prefix, day, evening in (("C", DAY, today), ("D", BEFORE, before))
        for number, (start, end, digest) in enumerate(evening)
    ]  # fmt: skip
    findings = found(audit([*day_of(DAY, "B"), *day_of(BEFORE, "A"), *records], []), "G05")
    assert bool(findings) is is_found
    if is_found:
        [finding] = findings
        assert finding["evidence"]["trip_ids"] == ["B0", "B1", *(f"C{number}" for number in range(len(today)))]
        assert [pair["repeats_trip_id"] for pair in finding["evidence"]["pairs"]][:2] == ["A0", "A1"]


def test_g05_a_repeated_track_proves_no_phantom_run() -> None:
    """The day that it shows is not that of the bus: a run without a trip is held."""
    runs = [run("R", "08:00", "09:00")]
    assert found(audit(day_of(DAY, "B"), runs), "D05")
    repeated = audit([*day_of(DAY, "B"), *day_of(BEFORE, "A")], runs)
    assert not found(repeated, "D05")
    assert found(repeated, "D06")


def test_g05_another_vehicle_s_track_is_sent() -> None:
    [finding] = found(audit([*day_of(DAY, "B"), *day_of(BEFORE, "A", plate=OTHER)], []), "G05")
    assert "09/06/2025 do veículo BBB2B22" in finding["explanation_pt"]


def test_g05_one_track_of_several_vehicles_is_one_finding_of_each_that_sends_it_again() -> None:
    """A finding per vehicle repeated had one id: the day of the whole fleet failed on it."""
    before = [*day_of(BEFORE, "C", plate="CCC3C33"), *day_of(BEFORE, "A"), *day_of(BEFORE, "D", plate=OTHER)]
    own, other = found(audit([*day_of(DAY, "B"), *day_of(DAY, "E", plate=OTHER), *before], []), "G05")
    assert [each["plate"] for each in (own, other)] == [PLATE, OTHER]
    assert [pair["repeats_trip_id"] for pair in own["evidence"]["pairs"]] == ["A0", "A1"]
    assert "igual à de 09/06/2025, das 06:02 às 06:40 (e à de mais 2 veículos)." in own["explanation_pt"]
    assert own["paid_doubtful_brl"] == other["paid_doubtful_brl"] == Decimal("235.20")


@pytest.mark.parametrize(
    "before",
    [
        day_of(BEFORE, "A", digests=(-12, 8)),
        day_of(BEFORE, "A", digests=(-11, 8)),
        day_of(BEFORE, "A")[:1],
        day_of(BEFORE, "A", first="06:03"),
        day_of(BEFORE, "A", digests=(None, None)),
        [{**record, "source": "visit_report", "km_gps": None} for record in day_of(BEFORE, "A")],
    ],
    ids=["all lengths, other positions", "one trip by other positions", "one trip alone", "a minute later",
         "no positions in motion", "a report"],
)  # fmt: skip
def test_g05_honest_days_of_one_timetable(before: list[dict]) -> None:
    assert not found(audit([*day_of(DAY, "B"), *before], []), "G05")


@pytest.mark.parametrize(("noise", "shift_s", "is_found"), [(1, 0, True), (1, 7, True), (None, 0, True), (2, 0, False)])
def test_g05_is_about_positions_whatever_their_lengths(noise: int | None, shift_s: int, is_found: bool) -> None:
    """A straight road and a timetable: 0.5 m of noise changes no length, and is a track of its own.

    The same positions are one, also seven seconds later, and without any noise at all.
    """
    before = timetable_day(BEFORE, noise=None if noise is None else 1)
    today = timetable_day(DAY, noise=noise, odometer_km=1080.0)
    for record in today.records:
        record["recorded_at"] += shift_s  # type: ignore[operator]
    positions, reports = staged(before.records + today.records), empty_frame(lake.STAGING_VISIT_LEGS)
    trips = build_window(DAY, positions, reports, world(), DEFAULT_PARAMETERS).trips
    assert trips.loc[trips["operational_date"] == DAY, "km_gps"].tolist() == trips["km_gps"].tolist()[:2]
    assert bool(found(replace(audit([], []), trips=conform(trips, facts.TRIP_WINDOW)), "G05")) == is_found


def test_g05_a_repeated_track_may_end_at_another_minute() -> None:
    """The copy begins while the bus stands: the trip's ends, length and coverage differ, no position in motion does."""
    copy = day_of(DAY, "B", km_gps="24.151", coverage_pct="96.00")
    copy[0]["started_at"] = at("05:58", DAY)
    assert found(audit([*copy, *day_of(BEFORE, "A")], []), "G05")


def test_g05_is_not_tested_on_trips_computed_before_positions_were_compared() -> None:
    """A window that an earlier version computed has no digests: its vehicles are neither accused nor cleared."""
    nothing = {"digests": (None, None)}
    context = audit([*day_of(DAY, "B", **nothing), *day_of(BEFORE, "A", **nothing), *day_of(DAY, "E", plate=OTHER)], [])
    assert not found(context, "G05")
    [reason] = reasons_not_tested(context, "G05").values()
    assert reason.startswith("1 de 2 veículos não testado (AAA1A11): há viagem sem o resumo das posições em movimento")


@pytest.mark.parametrize(("others", "is_tested"), [(1, False), (2, True)])
def test_g05_is_not_tested_where_too_few_trips_were_seen_whole(others: int, is_tested: bool) -> None:
    """A trip of which a visit report shows a part has no path; two others that repeat nothing clear the day."""
    joined = trip("J", "18:00", "18:40", "24.00", km_reported=9.0)
    reasons = reasons_not_tested(audit([*day_of(DAY, "B")[:others], joined], []), "G05")
    stated = "só o relatório de visita" in reasons.get("G05", "")
    assert stated is not is_tested


ROUTES = rows(
    reference.ROUTES,
    {"route_code": "R1", "unit_code": "UCP", "origin_poi_id": "GAR", "destination_poi_id": "USI", "expected_km": "24"},
    {"route_code": "R2", "unit_code": "UCP", "origin_poi_id": "USI", "destination_poi_id": "GAR"},
)
KNOWN = Reference.of({"routes": ROUTES, "pois": PLACES})
ON_ROUTE = {"route_code": "R1", "route_method": "places", "km_uncertainty": "0.50"}


def detour(km: str, *others: dict, **more: object) -> list[dict]:
    events = more.pop("events", [])
    trips = [trip("T", "06:00", "07:00", km, **{**ON_ROUTE, "km_gps": f"{km}0", **more}), *others]
    return found(audit(trips, [], reference=KNOWN, devices=devices_of(events)), "G06")


def test_g06_a_trip_of_twice_the_way() -> None:
    [finding] = detour("43.20")
    assert (finding["severity"], finding["km_at_stake"], finding["paid_doubtful_brl"]) == (
        "M", Decimal("19.20"), Decimal("94.08"))  # fmt: skip
    assert "Na rota R1, prevista com 24,00 km, o veículo AAA1A11 percorreu 43,20 km" in finding["explanation_pt"]
    assert "180 % do previsto, acima de 125 %" in finding["explanation_pt"]


@pytest.mark.parametrize(
    "facts",
    [
        {"km": "30.40"},
        {"km": "43.20", "km_gps": "24.300"},
        {"km": "43.20", "route_method": "text"},
        {"km": "43.20", "route_code": "R2"},
        {"km": "43.20", "purpose": "deadhead"},
        {
            "km": "43.20",
            "events": [{"kind": "jump", "device_id": "D", "started_at": at("06:10"), "ended_at": at("06:11")}],
        },
    ],
    ids=["within its doubt", "by the odometer alone", "route by text", "length unknown", "deadhead", "odometer jump"],
)
def test_g06_honest_trips(facts: dict) -> None:
    assert not detour(**facts)


def test_g06_a_route_that_everybody_drives_longer_is_registered_wrong() -> None:
    others = [
        trip(f"O{number}", "06:00", "07:00", "43.00", plate=OTHER, km_gps="43.000", **ON_ROUTE) for number in range(3)
    ]
    assert not detour("43.20", *others)
    short = [{**record, "km_measured": "24.00", "km_gps": "24.000"} for record in others]
    assert len(detour("43.20", *short)) == 1


def missed(
    destination: str | None, *, leg: dict | None = None, spans: list[dict] | None = None,
    issues: tuple[str, ...] = (), events: tuple[dict, ...] = (), **ends: object,
) -> list[dict]:  # fmt: skip
    usual = {"origin_poi_id": "GAR", "destination_poi_id": "USI", "destination_text": "Usina Conquista do Pontal"}
    context = audit(
        [trip("T", "06:00", "07:00", **{**usual, **ends})],
        [run("R", "06:00", "07:00", destination_text=destination)],
        spans,
        reference=KNOWN,
        legs=rows(lake.LEGS, leg or measured_leg("T", "06:00", "07:00", GARAGE, MILL)),
        devices=devices_of(list(events), [{"device_id": "D1", "issues": list(issues)}]),
    )
    return found(context, "G08")


@pytest.mark.parametrize("text", ["FRENTE ÁGUA CLARA", "FRENTE. AGUA CLARA", "Frente Água"])
def test_g08_the_front_that_the_bus_did_not_go_to(text: str) -> None:
    [finding] = missed(text)
    assert (finding["severity"], finding["declared_run_id"], finding["trip_id"]) == ("H", "R", "T")
    assert pd.isna(finding["amount"])
    assert (
        f", declara a chegada em {text}, mas o veículo AAA1A11 não parou a menos de 1 km de Frente Água Clara"
        in finding["explanation_pt"]
    )
    assert "chegou a Usina Conquista do Pontal às 07:00" in finding["explanation_pt"]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("USINA CONQUISTA DO", {}),
        ("USINA", {}),
        ("FRENTE", {}),
        (None, {}),
        ("FAZENDA SEM CADASTRO", {}),
        ("FRENTE ÁGUA CLARA", {"leg": measured_leg("T", "06:00", "07:00", GARAGE, (-22.2145, -51.866548))}),
        ("FRENTE ÁGUA CLARA", {"leg": measured_leg("T", "06:00", "07:00", GARAGE, MILL, gaps=1)}),
        ("FRENTE ÁGUA CLARA", {"spans": [span("06:40", "07:30")]}),
        ("FRENTE ÁGUA CLARA", {"destination_poi_id": None}),
        ("FRENTE ÁGUA CLARA", {"source": "visit_report"}),
    ],
    ids=["visited", "abbreviated", "names two", "empty", "no place", "at its gate", "gap", "seen in part", "no arrival",
         "visit report"],
)  # fmt: skip
def test_g08_honest_runs(text: str | None, facts: dict) -> None:
    assert not missed(text, **facts)


@pytest.mark.parametrize(
    ("silence", "counted_km", "is_found"),
    [
        (("07:05", "07:50"), None, False),
        (("07:05", "07:50"), 0.0, True),
        (("07:05", "07:50"), 15.0, True),
        (("07:25", "12:00"), None, True),
        (("12:00", "13:00"), None, True),
    ],
    ids=[
        "right after the run",
        "the odometer stood",
        "it did not count the 22 km",
        "too late for 22 km",
        "hours later",
    ],
)
def test_g08_a_silent_tracker_may_have_been_at_the_named_place(
    silence: tuple[str, str], counted_km: float | None, is_found: bool
) -> None:
    spans = [span("00:00", silence[0]), span(silence[1], "24:00", counted_before_km=counted_km)]
    assert bool(missed("FRENTE ÁGUA CLARA", spans=spans)) is is_found
    row_of_report = span("06:00", "14:05", source="visit_report")  # it hides the silence, and shows no more
    assert bool(missed("FRENTE ÁGUA CLARA", spans=[*spans, row_of_report])) is is_found


@pytest.mark.parametrize(("woken", "confidence"), [("07:50", 0.5), ("07:20", 0.96)])
def test_g08_of_a_tracker_without_an_odometer_that_slept_long_enough_for_both_ways(
    woken: str, confidence: float
) -> None:
    """It is found where it stood, and the front is 22 km away: 25 min until the end of the search allow 46 km."""
    spans = [span("00:00", "07:05"), span(woken, "24:00", counted_before_km=0.0)]
    [finding] = missed("FRENTE ÁGUA CLARA", spans=spans, issues=("no_odometer",))
    assert finding["confidence"] == confidence


@pytest.mark.parametrize(
    "facts",
    [
        {"events": ({"kind": "parked", "path_km": 0.0},),
         "leg": measured_leg("T", "06:00", "07:00", GARAGE, GARAGE), "destination_poi_id": "GAR"},
        {"events": ({"kind": "step", "path_km": 0.0, "continued_plate": OTHER},)},
        {"issues": ("other_vehicle",)},
        {"issues": ("other_clock",)},
    ],
    ids=["off the bus", "on another bus", "one of two is on another bus", "at another hour"],
)  # fmt: skip
def test_g08_is_not_tested_by_a_device_that_may_be_elsewhere(facts: dict) -> None:
    """The drift of a tracker that lay in the garage was the trip of a run to the front."""
    facts["events"] = tuple(
        {"device_id": "D1", "started_at": at("05:00"), "ended_at": at("06:00"), "odometer_to_km": 1020.0, **event}
        for event in facts.get("events", ())
    )
    assert not missed("FRENTE ÁGUA CLARA", **facts)


def test_without_paths_routes_or_places_nothing_is_tested() -> None:
    context = audit([trip("T", "06:00", "07:00")], [run("R", "06:00", "07:00")])
    assert {"G05", "G06", "G08"} <= set(reasons_not_tested(context, "G05", "G06", "G08"))

"""Legs to trips: what ends a trip, what a short movement is, and one trip where two sources saw it."""

import datetime as dt

import pandas as pd
import pytest

from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.schema import lake
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.driving import (
    DAY,
    FRONT,
    GARAGE,
    MILL,
    NOWHERE,
    PLATE,
    POINT,
    POIS,
    WORKSHOP,
    Bus,
    at,
    place,
    staged,
    timetable_day,
    trips_of,
    window,
    world,
)
from fleet_audit_tests.logic.frames import rows

NEXT_DAY = DAY + dt.timedelta(days=1)


def ends(bus: Bus) -> list[tuple[str | None, str | None]]:
    """Origin and destination of each trip."""
    trips = trips_of(bus)
    return [
        tuple(None if pd.isna(end) else end for end in pair)  # type: ignore[misc]
        for pair in zip(trips["origin_poi_id"], trips["destination_poi_id"], strict=True)
    ]


def start() -> Bus:
    return Bus().park(1800)


@pytest.mark.parametrize(
    ("where", "name"), [(MILL, "USI"), (FRONT, "FRE"), (WORKSHOP, "OFI"), (GARAGE, "GAR"), (POINT, None)]
)
def test_arriving_at_a_workplace_garage_or_workshop_ends_a_trip_and_a_pick_up_point_does_not(
    where: float, name: str | None
) -> None:
    bus = start().to(NOWHERE).to(where).stand(240).to(where + 3000).park(3600)
    assert ends(bus) == ([("GAR", name), (name, None)] if name else [("GAR", None)])


def test_passing_through_a_place_is_no_arrival() -> None:
    assert ends(start().to(MILL).stand(90).to(FRONT).park(1800)) == [("GAR", "FRE")]


def test_the_first_stop_inside_a_place_is_the_arrival_and_what_follows_inside_is_yard() -> None:
    """A gate 600 m before the middle of the mill, 2 min; then on inside it, 0.6 km."""
    bus = start().to(MILL - 600).stand(130).go(600).park(1800)
    assert ends(bus) == [("GAR", "USI")]
    trips = window(bus).trips.sort_values("started_at")
    assert trips["purpose"].tolist() == ["service", "yard"]
    assert trips["km_measured"].astype(float).tolist() == pytest.approx([19.4, 0.6], abs=0.11)


def test_a_stop_at_the_gate_outside_and_a_short_movement_into_it_is_an_arrival_there() -> None:
    bus = start().to(MILL - 1100).stand(240).go(180).park(3600)
    assert ends(bus) == [("GAR", "USI")]


@pytest.mark.parametrize(("seconds", "count"), [(1199, 1), (1201, 2)])
def test_a_dwell_of_20_minutes_ends_a_trip_anywhere(seconds: float, count: int) -> None:
    assert len(ends(start().to(NOWHERE).stand(seconds).to(MILL).park(1800))) == count


def test_short_movements_do_not_interrupt_a_dwell() -> None:
    """Twice 12 minutes parted by 100 m: together they end the trip."""
    bus = start().to(NOWHERE).stand(720).go(160, kmh=20, every=10).stand(720).to(MILL).park(1800)
    assert len(ends(bus)) == 2


@pytest.mark.parametrize(
    ("metres", "kmh", "purposes"),
    [
        (190, 9, ["yard"]), (210, 9, ["unknown"]),  # 76 s and 84 s
        (1000, 3600 / 59, ["yard"]), (1000, 3600 / 61, ["unknown"]),
    ],
)  # fmt: skip
def test_the_shortest_leg_is_200_m_and_60_s(metres: float, kmh: float, purposes: list[str]) -> None:
    bus = Bus(where=NOWHERE, resolution_km=0.01).park(1800)
    bus.stand(60, every=10).go(metres, kmh=kmh, every=metres * 3.6 / kmh).stand(60, every=10).park(1800)
    assert window(bus).trips["purpose"].tolist() == purposes


def test_an_odometer_of_whole_kilometres_does_not_make_a_short_trip_shorter() -> None:
    bus = Bus(where=NOWHERE, resolution_km=1.0).park(1800).go(450, kmh=18).park(1800)
    trips = trips_of(bus)
    assert trips["purpose"].tolist() == ["unknown"]


@pytest.mark.parametrize(
    ("first", "second", "count"), [("M1", "M2", 2), ("M1", None, 1), (None, "M2", 1), ("M1", "M1", 1)]
)
def test_a_change_from_one_known_driver_to_another_ends_a_trip(
    first: str | None, second: str | None, count: int
) -> None:
    bus = Bus(driver=first).park(1800).to(NOWHERE).stand(240)
    bus.driver = second
    assert len(trips_of(bus.to(MILL).park(1800))) == count


def test_a_gap_that_splits_ends_the_trip_and_its_end_has_no_place() -> None:
    bus = start().to(NOWHERE).unseen(3700, MILL - NOWHERE - 5000).to(MILL).park(1800)
    assert ends(bus) == [("GAR", None), (None, "USI")]
    trips = window(bus).trips
    assert trips["is_end_in_gap"].tolist() == [True, False]
    assert trips["is_start_in_gap"].tolist() == [False, True]


def test_a_trips_km_are_the_sum_of_its_legs() -> None:
    bus = start().to(POINT).stand(200).to(NOWHERE).stand(200).to(MILL).park(1800)
    seen = window(bus)
    [trip] = seen.trips.to_dict("records")
    assert trip["legs"] == 3
    for name in ("km_odometer", "km_gps"):
        assert seen.legs.loc[seen.legs["trip_id"] == trip["trip_id"], name].sum() == pytest.approx(trip[name], abs=1e-3)


def test_a_trip_tells_driving_from_standing_whatever_the_stops_in_it() -> None:
    """20 min at 60 km/h, a traffic light of 90 s and a stop of 4 min: the light is not a stop, but standing."""
    bus = start().go(8_000, kmh=60).stand(90).go(8_000, kmh=60).stand(240).to(MILL).park(1800)
    trip = trips_of(bus).iloc[0]
    lasted = (trip["ended_at"] - trip["started_at"]).total_seconds()
    assert lasted - trip["moving_s"] == pytest.approx(90 + 240, abs=31)  # a step that is half standing counts whole
    assert 3600 * float(trip["km_measured"]) / trip["moving_s"] == pytest.approx(60, rel=0.03)
    assert trip["moving_s"] / trip["moving_steps"] == pytest.approx(30, abs=3)


def digests(bus: Bus, *pois: dict, day: dt.date = DAY) -> list[int]:
    trips = build_window(day, bus.positions(), empty_frame(lake.STAGING_VISIT_LEGS), world(pois=pois or POIS),
                         DEFAULT_PARAMETERS).trips.sort_values("started_at")  # fmt: skip
    assert trips["first_moving_at"].notna().all()
    return trips["track_digest"].tolist()


def test_a_digest_is_that_of_the_positions_in_motion_and_of_nothing_else() -> None:
    """The same on another day, of another vehicle, with other readings, places, rows and a start while it stands."""
    own = digests(timetable_day(DAY, noise=1))
    assert len(own) == 2
    assert own[0] != own[1]
    again = timetable_day(DAY, noise=1, device="D2", odometer_km=5000.0)
    again.records = [*again.records[:3], *again.records[2:][::-1]]  # sent twice and in another order
    for record in again.records:
        record["recorded_at"] += 86_400 + 7  # type: ignore[operator]
    again.records = [record for record in again.records if record["recorded_at"] > at("05:35", NEXT_DAY)]
    moved = (place("GAR", "garagem", GARAGE), place("FRE", "frente", MILL))
    assert digests(again, *moved, day=NEXT_DAY) == own


def test_half_a_metre_of_noise_is_another_digest() -> None:
    """Lengths to the metre are the same."""
    assert not {*digests(timetable_day(DAY, noise=1))} & {*digests(timetable_day(DAY, noise=2))}
    assert digests(timetable_day(DAY)) == digests(timetable_day(DAY))


def test_a_trip_of_a_visit_report_does_not_know_how_long_it_moved() -> None:
    reported = window(Bus(), visits(visit("06:00", "07:00"))).trips
    assert reported[["moving_s", "moving_steps", "first_moving_at", "track_digest"]].isna().all(axis=None)


def test_a_trip_over_midnight_belongs_whole_to_the_day_on_which_it_starts() -> None:
    bus = Bus("22:00").park(6600).to(MILL, kmh=20).park(3600)
    [trip] = trips_of(bus).to_dict("records")
    assert (trip["km"], trip["ended_at"].timestamp()) == (20.0, at("24:50"))
    assert trips_of(bus, day=DAY + dt.timedelta(days=1)).empty


@pytest.mark.parametrize(("moved_on", "name"), [(DAY, "NEW"), (DAY + dt.timedelta(days=1), "FRE")])
def test_a_place_counts_on_the_days_on_which_it_is_valid(moved_on: dt.date, name: str) -> None:
    pois = (
        place("GAR", "garagem", GARAGE),
        {**place("FRE", "frente", FRONT), "valid_to": moved_on - dt.timedelta(days=1)},
        {**place("NEW", "frente", FRONT), "valid_from": moved_on},
    )
    trips = trips_of(start().to(FRONT).park(1800), tables=world(pois=pois))
    assert trips["destination_poi_id"].tolist() == [name]


def visit(start_clock: str, end_clock: str, km: str = "20", origin: str = "GAR", destination: str = "USI") -> dict:
    """A movement of a visit report; places by address."""
    return {
        "date": DAY, "plate": PLATE, "device_id": "V", "started_at": pd.Timestamp(at(start_clock), unit="s", tz="UTC"),
        "ended_at": pd.Timestamp(at(end_clock), unit="s", tz="UTC"), "origin_address": f"Rua {origin}, 10",
        "destination_address": f"Rua {destination}, 20", "reported_km": km, "is_maintenance_driver": False,
        "file_sha256": "f", "file_name": "v.csv", "row_number": 1,
    }  # fmt: skip


def visits(*records: dict) -> pd.DataFrame:
    return rows(lake.STAGING_VISIT_LEGS, *({**record, "row_number": n + 1} for n, record in enumerate(records)))


def test_a_report_alone_makes_trips_of_grade_c() -> None:
    trips = trips_of(Bus(device="other"), visits=visits(visit("06:00", "06:30"), visit("07:30", "08:00", "21")))
    assert trips[["km", "km_method", "evidence_grade", "source"]].to_numpy().tolist() == [
        [20.0, "report", "C", "visit_report"], [21.0, "report", "C", "visit_report"]]  # fmt: skip


@pytest.mark.parametrize(("other", "rounding_km"), [("21.47", 0.005), ("21.4", 0.05), ("21", 0.5)])
def test_a_report_is_as_sure_as_the_last_digit_that_it_prints(other: str, rounding_km: float) -> None:
    """Which digit that is shows by all movements of the vehicle: 20 km may be printed with any of them."""
    trips = trips_of(Bus(device="other"), visits=visits(visit("06:00", "06:30"), visit("07:30", "08:00", other)))
    assert float(trips["km_uncertainty"][0]) == pytest.approx(rounding_km + 0.2)


@pytest.mark.parametrize("factor", [1.0, 1.04, 0.96])
def test_a_report_is_no_surer_than_the_odometer_that_it_prints(factor: float) -> None:
    """The positions of the morning show by how much the odometer is off; the report of the noon prints the same one."""
    bus = Bus("05:00", resolution_km=0.001).park(1800).to(MILL).park(1800)
    for record in bus.records:
        record["odometer_km"] = float(record["odometer_km"]) * factor  # type: ignore[arg-type]
    seen = trips_of(bus, visits=visits(visit("12:00", "12:30", "20.01")))
    assert seen["source"].tolist() == ["positions", "visit_report"]
    half_width = float(seen["km_uncertainty"].iloc[1])
    assert half_width == pytest.approx(0.005 + (0.01 + abs(factor - 1)) * 20.01, abs=0.002)


def test_movements_of_a_report_are_joined_over_short_stops_at_no_place() -> None:
    trips = trips_of(
        Bus(device="other"),
        visits=visits(visit("06:00", "06:20", "12", "GAR", "x"), visit("06:25", "06:40", "8", "x", "USI")),
    )
    assert trips["km"].tolist() == [20.0]
    assert trips["destination_poi_id"].tolist() == ["USI"]


def test_a_trip_that_both_sources_saw_is_one_and_positions_measure_it() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3600)  # 06:00 - 06:20
    seen = window(bus, visits(visit("06:01", "06:22", "19")))
    assert seen.trips["source"].tolist() == ["positions"]
    kept = seen.legs[seen.legs["source"] == "visit_report"]
    assert kept["superseded_by_trip_id"].tolist() == seen.trips["trip_id"].tolist()


def test_a_reported_trip_that_positions_saw_standing_is_no_trip_but_stays_as_evidence() -> None:
    seen = window(Bus("05:00").park(6 * 3600), visits(visit("06:00", "06:30")))
    assert seen.trips.empty
    assert seen.legs["superseded_by_trip_id"].tolist() == ["observed"]


def test_a_reported_trip_stands_where_the_device_was_silent() -> None:
    bus = Bus("04:00").park(3600).unseen(3 * 3600).park(3600)
    assert trips_of(bus, visits=visits(visit("06:00", "06:30")))["source"].tolist() == ["visit_report"]


def blind(bus: Bus, *keys: tuple[str, str, str | None]) -> pd.DataFrame:
    """The bus's positions without coordinates, with a trip key between two clock times."""
    records = []
    for record in bus.records:
        inside = [key for first, last, key in keys if at(first) <= float(str(record["recorded_at"])) <= at(last)]
        records.append({**record, "latitude": None, "longitude": None, "trip_key": inside[0] if inside else None})
    return staged(records)


def test_telemetry_without_coordinates_makes_a_trip_a_key_by_its_odometer() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3600).to(GARAGE).park(3600)  # 06:00-06:20 and 07:20-07:40
    trips = trips_of(blind(bus, ("06:00", "06:20", "V1"), ("07:20", "07:40", "V2")))
    columns = ["km", "km_method", "evidence_grade", "purpose", "source"]
    assert trips[columns].to_numpy().tolist() == [[20.0, "odometer", "C", "unknown", "positions"]] * 2
    assert (
        trips[["origin_poi_id", "destination_poi_id", "moving_s", "moving_steps", "track_digest"]].isna().all(axis=None)
    )


def test_other_keys_in_the_window_change_no_id() -> None:
    """Ids are of what the file says, not of a number that the window gives to its keys."""
    own, other = Bus("05:00").park(3600).to(MILL).park(3600), Bus("05:00", device="D2").park(3600).to(MILL)
    alone, among = blind(own, ("06:00", "06:20", "V5")), blind(other, ("06:00", "06:20", "V1"))
    seen = trips_of(pd.concat([among, alone], ignore_index=True))
    assert seen.loc[seen["device_id"] == "D1", "trip_id"].tolist() == trips_of(alone)["trip_id"].tolist()


def test_loose_events_make_no_trip_and_their_kilometres_stay_visible() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3600)
    seen = window(blind(bus))
    assert seen.trips.empty
    assert seen.readings["odometer_delta_km"].tolist() == pytest.approx([20.0])


def test_a_key_that_is_used_again_hours_later_is_another_trip() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3 * 3600).to(GARAGE).park(3600)
    trips = trips_of(blind(bus, ("06:00", "06:20", "LINHA 1"), ("09:20", "09:40", "LINHA 1")))
    assert trips["km"].tolist() == [20.0, 20.0]


def test_a_trip_without_coordinates_takes_its_places_from_the_report_of_the_same_trip() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3600)
    [trip] = trips_of(blind(bus, ("06:00", "06:20", "V1")), visits=visits(visit("06:01", "06:21", "19"))).to_dict(
        "records"
    )
    assert (trip["km"], trip["origin_poi_id"], trip["destination_poi_id"]) == (20.0, "GAR", "USI")
    assert (trip["purpose"], trip["evidence_grade"]) == ("service", "C")


def test_coordinates_win_over_keys() -> None:
    bus = Bus("05:00").park(3600).to(MILL).park(3600)
    both = pd.concat([bus.positions(), blind(bus, ("06:00", "06:20", "V1"))])
    assert trips_of(both)["evidence_grade"].tolist() == ["A"]

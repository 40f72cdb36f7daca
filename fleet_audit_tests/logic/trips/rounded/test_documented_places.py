"""Stops whose coordinates are rounded to cells of 1 km: paid where cell and documents prove the place, else held."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pandas as pd
import pytest

from fleet_audit.logic.audit.evidence import TRIP_FACTS, plain_facts
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.rounded.unproven_places import may_be_service
from fleet_audit.reporting.documents.case import documented_places_words
from fleet_audit.schema import lake, reference
from fleet_audit_tests.logic.driving import (
    DAY,
    DEVICE,
    FRONT,
    GARAGE,
    LATITUDE,
    LONGITUDE,
    MILL,
    PLATE,
    POIS,
    WORKSHOP,
    Bus,
    at,
    place,
    window,
    world,
)
from fleet_audit_tests.logic.frames import rows

GARAGE_PLACE, POINT_PLACE, MILL_PLACE, FRONT_PLACE, WORKSHOP_PLACE = POIS
RATE = Decimal("5.1234")


def tables(*pois: dict) -> Reference:
    known = world(pois=pois or POIS).tables()
    known["contracts"] = rows(
        reference.CONTRACTS,
        {"contract_id": "CT1", "carrier_code": "CAR", "unit_code": "UCP", "deadhead_rule": "unpaid"},
    )
    known["tariffs"] = rows(reference.TARIFFS, {"tariff_id": "T", "contract_id": "CT1", "rate_brl_per_km": str(RATE)})
    return Reference.of(known)


def rounded(bus: Bus, decimals: int = 2, *, cut: bool = False) -> Bus:
    for record in bus.records:
        for name in ("latitude", "longitude"):
            value = float(record[name])  # type: ignore[arg-type]
            units = value * 10**decimals
            record[name] = math.trunc(units) / 10**decimals if cut else round(value, decimals)
    return bus


def run(left: str, origin: str | None, arrived: str, destination: str | None, **values: str) -> dict:
    """A declared run from place to place."""
    instants = {
        name: pd.Timestamp(at(clock), unit="s", tz="UTC")
        for name, clock in (("started_at", left), ("ended_at", arrived))
    }
    return {
        "date": DAY, "declared_run_id": f"run-{left}", "plate": PLATE, "declared_date": DAY, "declared_km": Decimal(20),
        "origin_text": origin, "destination_text": destination, "file_sha256": "f", "file_name": "b", "row_number": 1,
        **instants, **values,
    }  # fmt: skip


def declared(*runs: dict) -> pd.DataFrame:
    texts = {"date", "declared_date", "declared_km", "row_number", "started_at", "ended_at"}
    frame = rows(lake.STAGING_DECLARED_RUNS, *({k: v for k, v in one.items() if k not in texts} for one in runs))
    return frame.assign(**{name: [one[name] for one in runs] for name in texts})


def paid(bus: Bus, *runs: dict, pois: tuple[dict, ...] = POIS, visits: pd.DataFrame | None = None) -> pd.DataFrame:
    """The day's trips beyond the yard with their price."""
    known = tables(*pois)
    trips = window(bus, visits, tables=known, runs=declared(*runs) if runs else None).trips
    trips = trips[(trips["purpose"] != "yard") & (trips["operational_date"] == DAY)].sort_values("started_at")
    return trips.merge(price_days(trips, known, DEFAULT_PARAMETERS)[["trip_id", "variable_cost_brl", "cost_reason"]])


def to_the_mill(device: str = DEVICE) -> Bus:
    """06:00 to 06:20 garage to mill, 14:20 to 14:40 back, every 30 s; the odometer shows 0.1 km."""
    return Bus("05:00", device=device).park(3600).to(MILL).park(8 * 3600).to(GARAGE).park(1800)


OUT_AND_BACK = (run("06:03", "GAR", "06:25", "Usi. "), run("14:15", "usi", "14:45", "gar"))


def facts(trips: pd.DataFrame) -> list[tuple]:
    columns = ["origin_poi_id", "destination_poi_id", "purpose", "km_measured", "variable_cost_brl"]
    return [tuple(row) for row in trips[columns].astype(object).where(trips[columns].notna(), None).to_numpy()]


@pytest.mark.parametrize("cut", [False, True])
def test_the_only_place_of_a_cell_that_bulletins_name_is_proven_and_its_km_are_paid(cut: bool) -> None:
    """A code in the place of the name, in another case, with a dot and a blank."""
    trips = paid(rounded(to_the_mill(), cut=cut), *OUT_AND_BACK)
    price = Decimal("102.47")  # 20.00 km at R$ 5,1234
    assert facts(trips) == [
        (None, "USI", "service", Decimal("20.00"), price),  # the garage holds 6 % of its cell
        ("USI", None, "service", Decimal("20.00"), price),
    ]
    assert set(trips["area"]) == {"IND"}
    assert trips["destination_candidates"].to_list() == ["USI", "GAR"]


@pytest.mark.parametrize("metres", [1500, 1600, -1500])
def test_a_bulletin_does_not_put_a_stop_beside_the_mill_into_it_where_most_of_its_cell_is_outside(metres: int) -> None:
    bus = Bus("05:00").park(3600).to(MILL + metres).park(8 * 3600).to(GARAGE).park(1800)
    trips = paid(rounded(bus), *OUT_AND_BACK, pois=(GARAGE_PLACE, MILL_PLACE))
    assert {row[:3] for row in facts(trips)} == {(None, None, "unknown")}
    assert trips["destination_candidates"].to_list() == ["USI", "GAR"]


def test_a_bulletin_decides_no_cell_of_one_decimal_although_the_place_holds_most_of_it() -> None:
    trips = paid(rounded(to_the_mill(), 1), *OUT_AND_BACK, pois=(GARAGE_PLACE, place("USI", "usina", MILL, 12_000)))
    assert {row[:3] for row in facts(trips)} == {(None, None, "unknown")}
    assert trips["destination_candidates"].iloc[0] == "USI"


def test_a_polygon_that_holds_half_of_the_cell_is_decided_and_one_that_holds_less_is_not() -> None:
    for half_km, name in ((0.85, "FRE"), (0.6, None)):  # of the cell of 2.2 by 2.1 km 63 % and 31 %
        front = place("FRE", "frente", FRONT) | {"radius_m": None, "polygon_wkt": _square(half_km)}
        bus = rounded(Bus("05:00").park(3600).to(FRONT).park(3600))
        assert facts(paid(bus, run("06:00", "GAR", "06:40", "FRE"), pois=(front,)))[0][1] == name


def test_a_place_that_a_document_decides_lowers_the_grade_as_an_unknown_one_does_and_is_stated() -> None:
    """The mill's cell alone proves nothing; the front's does, and needs no document."""
    wide, front = place("GAR", "garagem", GARAGE, 3000), place("FRE", "frente", MILL, 3000)
    by_cell = paid(rounded(to_the_mill()), *OUT_AND_BACK, pois=(wide, front))
    by_document = paid(rounded(to_the_mill()), *OUT_AND_BACK, pois=(wide, MILL_PLACE))
    assert by_cell["evidence_grade"].to_list() == ["B", "B"]  # a path in two decimals is open
    assert by_document["evidence_grade"].to_list() == ["C", "C"]
    words = [[documented_places_words(plain_facts(trip, TRIP_FACTS)) for trip in trips.to_dict("records")]
             for trips in (by_cell, by_document)]  # fmt: skip
    assert words == [[None, None], ["destino", "origem"]]


@pytest.mark.parametrize(
    "runs",
    [
        (),
        (run("06:03", "GAR", "06:25", "OFI"),),  # another place
        (run("06:03", "GAR", "06:25", "Usina"),),  # a name that is not registered
        (run("06:03", "GAR", "05:40", "USI"),),  # 40 min before the arrival
        (run("06:03", "GAR", "06:25", "USI"), run("06:04", "GAR", "06:24", "OFI")),  # two documents contradict
    ],
)
def test_a_cell_that_no_document_confirms_is_held_with_its_candidate(runs: tuple[dict, ...]) -> None:
    [there, _] = paid(rounded(to_the_mill()), *runs).to_dict("records")
    assert pd.isna(there["destination_poi_id"])
    assert (there["purpose"], there["variable_cost_brl"]) == ("unknown", Decimal("0.00"))
    assert there["destination_candidates"] == "USI"
    assert "destino em USI." in there["cost_reason"]


def test_of_two_places_in_a_cell_none_is_proven_whichever_the_bulletin_names() -> None:
    workshop = place("OFI", "oficina", MILL + 1000)
    trips = paid(rounded(to_the_mill()), *OUT_AND_BACK, pois=(GARAGE_PLACE, MILL_PLACE, workshop))
    assert [row[:3] for row in facts(trips)] == [(None, None, "unknown"), (None, None, "unknown")]
    assert trips["destination_candidates"].to_list() == ["OFI, USI", "GAR"]
    assert trips["cost_reason"].iloc[0].endswith("admitem origem em GAR e destino em OFI ou USI.")


def test_a_place_that_holds_the_whole_cell_needs_no_document() -> None:
    """A front of 3 km radius: AGR; beside it a smaller place that ends no trip does not win over it."""
    front = place("FRE", "frente", FRONT, 3000)
    bus = Bus("05:00").park(3600).to(FRONT).park(3600).to(FRONT + 500).park(3600)
    shelter = place("PON", "ponto", FRONT + 700, 100)
    trips = paid(rounded(bus), pois=(front, shelter))
    assert facts(trips) == [(None, "FRE", "service", Decimal("40.00"), Decimal("204.94"))]
    assert set(trips["area"]) == {"AGR"}


def test_a_smaller_place_of_the_cell_that_would_win_leaves_the_large_one_unproven() -> None:
    front, workshop = place("FRE", "frente", FRONT, 3000), place("OFI", "oficina", FRONT + 700, 100)
    [trip] = paid(rounded(Bus("05:00").park(3600).to(FRONT).park(3600)), pois=(front, workshop)).to_dict("records")
    assert (trip["purpose"], trip["destination_candidates"]) == ("unknown", "FRE, OFI")


def test_a_polygon_holds_a_cell_or_does_not() -> None:
    wide, narrow = (
        place("FRE", "frente", FRONT) | {"radius_m": None, "polygon_wkt": _square(half_km)} for half_km in (2.3, 1.0)
    )
    bus = rounded(Bus("05:00").park(3600).to(FRONT).park(3600))
    assert [row[1:3] for row in facts(paid(bus, pois=(wide,)))] == [("FRE", "service")]
    assert [row[1:3] for row in facts(paid(bus, pois=(narrow,)))] == [(None, "unknown")]


def _square(half_km: float) -> str:
    north = LATITUDE + FRONT / 111_195
    half, side = half_km / 111.195, half_km / 111.195 / math.cos(math.radians(LATITUDE))
    corners = ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
    return f"POLYGON(({', '.join(f'{LONGITUDE + east * side} {north + up * half}' for up, east in corners)}))"


def test_a_short_call_at_a_mill_that_documents_name_ends_the_trip_there() -> None:
    """Five minutes, between two garages: without the mill the whole way is one of unknown purpose."""
    bus = Bus("05:00").park(3600).to(MILL).stand(300).to(WORKSHOP + 20_000).park(3600)
    other = place("GAR2", "garagem", WORKSHOP + 20_000, 1000)
    runs = (run("06:00", "GAR", "06:21", "USI"), run("06:26", "USI", "07:26", "GAR2"))
    trips = paid(rounded(bus), *runs, pois=(GARAGE_PLACE, MILL_PLACE, other))
    assert [row[:4] for row in facts(trips)] == [
        (None, "USI", "service", Decimal("20.00")),
        ("USI", "GAR2", "service", Decimal("60.00")),
    ]
    assert sum(trips["variable_cost_brl"]) == Decimal("102.47") + Decimal("307.40")


OUT_AND_BACK_BY_A_CALL = (run("06:00", "GAR", "06:20", "USI"), run("06:30", "USI", "06:50", "GAR"))


HOME = place("GAR", "garagem", GARAGE, 1000)  # holds more than half of its cell


def called_at_the_mill() -> Bus:
    """Ten minutes, between two stays in the garage."""
    return Bus("05:00").park(3600).to(MILL).stand(600).to(GARAGE).park(1800)


def test_a_short_call_at_a_mill_that_nothing_proves_makes_no_empty_run_of_the_way_there_and_back() -> None:
    """The mill holds a fifth of the cell: two trips of 20 km that are held, as two of service where it is proven."""
    mill = place("USI", "usina", MILL, 500)
    trips = paid(rounded(called_at_the_mill()), *OUT_AND_BACK_BY_A_CALL, pois=(HOME, mill))
    nothing = Decimal("0.00")
    assert facts(trips) == [
        ("GAR", None, "unknown", Decimal("20.00"), nothing),
        (None, "GAR", "unknown", Decimal("20.00"), nothing),
    ]
    assert may_be_service(trips).all()
    assert trips["destination_candidates"].iloc[0] == trips["origin_candidates"].iloc[1] == "USI"
    proven = paid(rounded(called_at_the_mill()), *OUT_AND_BACK_BY_A_CALL, pois=(HOME, MILL_PLACE))
    assert [row[2:4] for row in facts(proven)] == [("service", Decimal("20.00"))] * 2


def test_a_short_call_beside_a_place_of_rest_that_nothing_proves_leaves_the_empty_run_one_trip() -> None:
    lodging = place("ALO", "alojamento", MILL, 500)
    trips = paid(rounded(called_at_the_mill()), *OUT_AND_BACK_BY_A_CALL, pois=(HOME, lodging))
    assert [row[:4] for row in facts(trips)] == [("GAR", "GAR", "deadhead", Decimal("40.00"))]


def test_a_short_call_at_a_workplace_that_nothing_proves_parts_no_trip_that_is_service_anyhow() -> None:
    front, mill = place("FRE", "frente", FRONT, 500), place("USI", "usina", WORKSHOP, 3000)
    bus = Bus("05:00").park(3600).to(FRONT).stand(600).to(WORKSHOP).park(1800)
    trips = paid(rounded(bus), pois=(GARAGE_PLACE, front, mill))
    assert [row[:4] for row in facts(trips)] == [(None, "USI", "service", Decimal("60.00"))]


def test_a_visit_report_confirms_a_cell_as_a_bulletin_does() -> None:
    visit = {
        "plate": PLATE, "origin_address": "RUA GÁR, 10", "destination_address": "rua usi  - Portaria",
        "file_sha256": "v", "file_name": "v",
    }  # fmt: skip
    instants = {"started_at": at("06:00"), "ended_at": at("06:20"), "next_departure_at": at("14:20")}
    visits = rows(lake.STAGING_VISIT_LEGS, visit).assign(
        date=[DAY], row_number=1, reported_km=[Decimal("20.00")],
        **{name: pd.to_datetime([seconds], unit="s", utc=True).astype("datetime64[us, UTC]")
           for name, seconds in instants.items()},
    )  # fmt: skip
    trips = paid(rounded(to_the_mill()), visits=visits)
    assert facts(trips)[0] == (None, "USI", "service", Decimal("20.00"), Decimal("102.47"))


def test_a_crawl_that_a_whole_km_odometer_hides_is_no_arrival() -> None:
    """12 km/h through the cells of a front: the odometer stands for 5 min at a time."""
    front = place("FRE", "frente", FRONT, 6000)
    bus = Bus("05:00", resolution_km=1.0).park(3600).to(FRONT - 3000).go(6000, 12).to(FRONT + 40_000).park(3600)
    trips = paid(rounded(bus), pois=(front,))
    assert {row[:3] for row in facts(trips)} == {(None, None, "unknown")}


def test_a_place_renamed_or_moved_within_the_window_is_named_by_what_it_was_called_that_day() -> None:
    named = {**MILL_PLACE, "name": "Usina Velha", "valid_to": "2025-06-09"}
    renamed = {**MILL_PLACE, "name": "Santa Clara", "valid_from": "2025-06-10"}
    runs = (run("06:03", None, "06:25", "santa clará"),)
    assert facts(paid(rounded(to_the_mill()), *runs, pois=(named, renamed)))[0][1:3] == ("USI", "service")
    runs = (run("06:03", None, "06:25", "Usina Velha"),)
    assert facts(paid(rounded(to_the_mill()), *runs, pois=(named, renamed)))[0][1:3] == (None, "unknown")


def test_two_places_of_one_name_confirm_no_cell() -> None:
    twins = ({**MILL_PLACE, "name": "Santa Clara"}, {**WORKSHOP_PLACE, "name": "Santa Clara"})
    runs = (run("06:03", None, "06:25", "Santa Clara"),)
    assert facts(paid(rounded(to_the_mill()), *runs, pois=twins))[0][1:3] == (None, "unknown")
    assert facts(paid(rounded(to_the_mill()), run("06:03", None, "06:25", "Santa Clara", destination_code="usi"),
                      pois=twins))[0][1:3] == ("USI", "service")  # fmt: skip


def test_fixes_in_full_prove_their_place_whatever_a_bulletin_names() -> None:
    runs = (run("06:03", "GAR", "06:25", "OFI"),)
    trips = paid(to_the_mill(), *runs)
    assert facts(trips)[0] == ("GAR", "USI", "service", Decimal("20.00"), Decimal("102.47"))
    assert trips["destination_candidates"].isna().all()


@pytest.mark.parametrize(
    "sent",
    [
        lambda bus: (bus["longitude"], bus["latitude"]),  # in each other's column
        lambda _: (0.0, 0.0),
        lambda _: (LATITUDE, LONGITUDE),  # a stuck receiver, in the garage
        lambda _: (None, None),
    ],
    ids=["swapped", "zero", "stuck", "absent"],
)
def test_a_trip_without_any_fix_may_be_service(sent: Callable[[dict], tuple]) -> None:
    """What the odometer counted was driven, and nobody knows where: it was neither paid nor held."""
    bus = to_the_mill()
    for record in bus.records:
        record["latitude"], record["longitude"] = sent(record)
        record["trip_key"] = "there" if record["recorded_at"] < at("12:00") else "back"  # type: ignore[operator]
    trips = paid(bus)
    assert may_be_service(trips).tolist() == [True, True]
    assert [row[2:] for row in facts(trips)] == [("unknown", km, Decimal("0.00")) for km in trips["km_measured"]]
    assert trips["cost_reason"].str.endswith("destino em qualquer lugar.").all()

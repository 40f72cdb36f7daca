import datetime as dt
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.costs.tariffs import price_trips, rates_for_runs, select_tariffs
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.validity import vehicles_on_days
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import TRIP_COSTS
from fleet_audit.schema.reference import CONTRACTS, POIS, ROUTES, TARIFFS, UNITS, VEHICLES
from fleet_audit_tests.logic.frames import decimals, rows, utc

DAY = dt.date(2025, 6, 10)
KEYS = ("route_code", "vehicle_class", "area", "regime")


def tariff(tariff_id: str, rate: str = "4.90", **values: str) -> dict:
    return {"tariff_id": tariff_id, "contract_id": "CT", "rate_brl_per_km": rate, **values}


def selected(request: dict, *tariffs: dict) -> pd.Series:
    """The answer to one request."""
    frame = pd.DataFrame({name: pd.Series([request.get(name)], dtype="str") for name in ("contract_id", *KEYS)})
    frame["operational_date"] = pd.Series([DAY], dtype=object)
    return select_tariffs(frame, rows(TARIFFS, *tariffs)).iloc[0]


BUS = {"contract_id": "CT", "vehicle_class": "onibus", "area": "IND", "route_code": "R1", "regime": "municipal"}


def test_the_tariff_with_most_matching_keys_counts() -> None:
    any_bus, of_area = tariff("ANY", "3.00"), tariff("AREA", "4.00", vehicle_class="onibus", area="IND")
    of_route = tariff("ROUTE", "5.1234", vehicle_class="onibus", route_code="R1", regime="municipal")
    assert selected(BUS, any_bus)["tariff_id"] == "ANY"
    assert selected(BUS, any_bus, of_area)["tariff_id"] == "AREA"
    best = selected(BUS, any_bus, of_route, of_area)
    assert (best["tariff_id"], best["rate_brl_per_km"], best["status"]) == ("ROUTE", Decimal("5.1234"), "priced")


def test_a_key_that_differs_or_is_not_known_does_not_match() -> None:
    assert selected(BUS, tariff("VAN", vehicle_class="van", area="IND"))["status"] == "no_tariff"
    unknown_route = {**BUS, "route_code": None, "regime": None}
    assert selected(unknown_route, tariff("ROUTE", route_code="R1"))["status"] == "no_tariff"
    assert selected(unknown_route, tariff("ROUTE", route_code="R1"), tariff("ANY"))["tariff_id"] == "ANY"


def test_equally_many_keys_are_ambiguous_even_at_one_price() -> None:
    answer = selected(BUS, tariff("B", area="IND"), tariff("A", vehicle_class="onibus"), tariff("ANY"))
    assert (answer["status"], answer["candidates"]) == ("ambiguous_tariff", "A, B")
    assert answer[["tariff_id", "rate_brl_per_km"]].isna().all()


def test_only_the_contract_s_tariffs_of_the_day_take_part() -> None:
    assert selected(BUS, {**tariff("T"), "contract_id": "CT-2"})["status"] == "no_tariff"
    assert selected(BUS, tariff("OLD", valid_to="2025-06-09"), tariff("NEW", valid_from="2025-06-11"))["status"] == (
        "no_tariff"
    )
    before, after = tariff("T", "4.90", valid_to="2025-06-09"), tariff("T", "5.20", valid_from="2025-06-10")
    assert selected(BUS, before, after)["rate_brl_per_km"] == Decimal("5.20")
    assert selected({**BUS, "contract_id": None}, tariff("T"))["status"] == "no_tariff"


OPTIONS = {
    "route_code": ("R1", "R2", None),
    "vehicle_class": ("onibus", "van", None),
    "area": ("IND", "AGR", None),
    "regime": ("municipal", "intermunicipal", None),
}
KEY_SETS = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in OPTIONS.items()})


@settings(max_examples=20)
@given(requests=st.lists(KEY_SETS, min_size=1, max_size=5), offered=st.lists(KEY_SETS, max_size=6))
def test_every_request_gets_what_reading_all_tariffs_one_by_one_gives(
    requests: list[dict], offered: list[dict]
) -> None:
    tariffs = [tariff(f"T{number}", **keys) for number, keys in enumerate(offered)]
    frame = pd.DataFrame(requests, columns=list(KEYS)).astype("str")
    frame = frame.assign(contract_id="CT", operational_date=DAY).set_axis(range(10, 10 + len(requests)))
    answers = select_tariffs(frame, rows(TARIFFS, *tariffs))
    assert answers.index.tolist() == frame.index.tolist()
    for request, status in zip(requests, answers["status"], strict=True):
        counts = [sum(keys[name] is not None for name in KEYS) for keys in offered
                  if all(keys[name] in (None, request[name]) for name in KEYS)]  # fmt: skip
        best = counts.count(max(counts, default=0))
        assert status == ("no_tariff" if not counts else "priced" if best == 1 else "ambiguous_tariff")


def priced(
    *trips: dict, rule: str | None = None, cap: str | None = None, tariffs: tuple[dict, ...] | None = None,
    plates: tuple[str, ...] = ("AAA1A11", "BBB2B22"), days: tuple[dt.date, ...] = (DAY,),
    routes: tuple[dict, ...] = ({"route_code": "R1", "unit_code": "U", "regime": "municipal"},),
    places: tuple[dict, ...] = (),
) -> pd.DataFrame:  # fmt: skip
    vehicle = {"unit_code": "U", "contract_id": "CT", "vehicle_class": "onibus", "default_area": "AGR"}
    contract = {"contract_id": "CT", "carrier_code": "C", "unit_code": "U", "deadhead_rule": rule,
                "deadhead_cap_pct": cap}  # fmt: skip
    view = vehicles_on_days(
        rows(VEHICLES, *({**vehicle, "plate": plate} for plate in plates)), rows(CONTRACTS, contract),
        rows(UNITS, {"unit_code": "U", "timezone": "America/Sao_Paulo"}), list(days),
    )  # fmt: skip
    default = {"plate": "AAA1A11", "operational_date": DAY, "purpose": "service", "area": "IND", "route_code": None,
               "route_method": None, "km": "10.00"}  # fmt: skip
    frame = pd.DataFrame([
        {**default, "trip_id": f"t{number}", "started_at": utc(f"2025-06-10 {10 + number}:00"), **trip}
        for number, trip in enumerate(trips)
    ])  # fmt: skip
    frame["km_measured"] = decimals(*frame.pop("km"))
    offered = (tariff("IND", "4.90", area="IND"), tariff("AGR", "5.35", area="AGR")) if tariffs is None else tariffs
    return price_trips(
        frame, view, rows(TARIFFS, *offered), rows(ROUTES, *routes), rows(POIS, *places), DEFAULT_PARAMETERS
    )


def outcome(frame: pd.DataFrame) -> list[tuple]:
    return list(zip(frame["cost_status"], frame["billable_km"].map(str), frame["variable_cost_brl"].map(str),
                    strict=True))  # fmt: skip


def test_service_is_billed_as_measured_by_its_area() -> None:
    costs = priced({"km": "30.20"}, {"km": "0.05", "area": "AGR"})
    assert outcome(costs) == [("priced", "30.20", "147.98"), ("priced", "0.05", "0.27")]
    assert costs["tariff_id"].tolist() == ["IND", "AGR"]
    assert costs["cost_reason"].isna().all()


def test_costs_fit_their_table() -> None:
    costs = priced({}, {"purpose": "yard"}).assign(run_id="r", updated_at=utc("2025-06-11 08:30"))
    assert conform(costs, TRIP_COSTS)["billable_km"].tolist() == [Decimal("10.00"), Decimal("0.00")]


def test_nothing_but_service_and_paid_deadhead_is_billed() -> None:
    costs = priced(*({"purpose": purpose} for purpose in ("yard", "maintenance", "unknown", "deadhead")))
    assert outcome(costs) == [("not_billable", "0.00", "0.00")] * 4
    assert costs["cost_reason"].notna().all()


@pytest.mark.parametrize("purpose", ["service", "deadhead", "yard", "maintenance", "unknown"])
def test_without_a_valid_contract_cost_is_unknown_whatever_the_purpose(purpose: str) -> None:
    row = priced({"purpose": purpose, "plate": "CCC3C33"}, rule="paid").iloc[0]
    assert row["cost_status"] == "no_contract"
    assert row[["billable_km", "rate_brl_per_km", "variable_cost_brl", "tariff_id", "contract_id"]].isna().all()
    assert "CCC3C33" in row["cost_reason"]
    assert "10/06/2025" in row["cost_reason"]


def test_a_missing_or_ambiguous_tariff_leaves_the_cost_unknown_never_zero() -> None:
    none = priced({}, tariffs=(tariff("AGR", area="AGR"),)).iloc[0]
    assert none["cost_status"] == "no_tariff"
    assert none["billable_km"] == Decimal("10.00")
    assert pd.isna(none["variable_cost_brl"])
    assert "CT" in none["cost_reason"]
    both = priced({}, tariffs=(tariff("A", area="IND"), tariff("B", vehicle_class="onibus"))).iloc[0]
    assert both["cost_status"] == "ambiguous_tariff"
    assert pd.isna(both["variable_cost_brl"])
    assert "A, B" in both["cost_reason"]


def test_a_trip_that_was_not_measured_has_no_cost_yet() -> None:
    row = priced({"km": None}).iloc[0]
    assert row["cost_status"] == "not_billable"
    assert row[["billable_km", "variable_cost_brl"]].isna().all()
    assert "medida" in row["cost_reason"]


def test_a_route_sets_the_tariff_only_when_its_places_named_it() -> None:
    offered = (tariff("ANY", "4.00"), tariff("R1", "6.00", route_code="R1"), tariff("M", "5.00", regime="municipal"))
    by_places, by_text = {"route_code": "R1", "route_method": "places"}, {"route_code": "R1", "route_method": "text"}
    costs = priced(by_places, by_text, {}, tariffs=(offered[0], offered[1]))
    assert costs["tariff_id"].tolist() == ["R1", "ANY", "ANY"]
    costs = priced(by_places, by_text, tariffs=(offered[0], offered[2]))
    assert costs["tariff_id"].tolist() == ["M", "ANY"]


def test_paid_deadhead_is_priced_at_the_default_area_without_a_route() -> None:
    empty = {"purpose": "deadhead", "area": "IND", "route_code": "R1", "route_method": "places"}
    costs = priced(empty, rule="paid")
    assert outcome(costs) == [("priced", "10.00", "53.50")]
    assert costs["tariff_id"].tolist() == ["AGR"]
    of_route = (tariff("R1", "9.00", route_code="R1"), tariff("ANY", "1.00"))
    assert priced(empty, rule="paid", tariffs=of_route)["tariff_id"].tolist() == ["ANY"]


def test_capped_deadhead_is_paid_in_order_of_start_the_last_in_part() -> None:
    empty = {"purpose": "deadhead", "km": "3.00"}
    costs = priced({"km": "40.00"}, {**empty, "trip_id": "x", "started_at": utc("2025-06-10 08:00")}, empty, empty,
                   rule="capped", cap="10")  # fmt: skip
    assert costs["billable_km"].tolist() == [Decimal("40.00"), Decimal("3.00"), Decimal("1.00"), Decimal("0.00")]
    assert costs["cost_status"].tolist() == ["priced", "priced", "priced", "not_billable"]
    assert costs["variable_cost_brl"].iloc[3] == Decimal("0.00")
    assert "em parte" in costs["cost_reason"].iloc[2]
    assert costs["cost_reason"].iloc[3].endswith("já foi usado.")


def test_a_cap_is_one_of_the_vehicle_and_the_day() -> None:
    other_day = {"operational_date": dt.date(2025, 6, 11)}
    empty = {"purpose": "deadhead", "km": "5.00"}
    costs = priced({"km": "100.00"}, {"km": "20.00", "plate": "BBB2B22"}, {**empty, "plate": "BBB2B22"},
                   {**empty, **other_day}, empty, rule="capped", cap="10",
                   days=(DAY, dt.date(2025, 6, 11)))  # fmt: skip
    assert costs["billable_km"].tolist()[2:] == [Decimal("2.00"), Decimal("0.00"), Decimal("5.00")]
    assert costs["cost_reason"].iloc[3].endswith("do dia é zero.")  # a day without service used nothing up


def test_a_capped_contract_that_states_no_cap_leaves_the_cost_unknown() -> None:
    row = priced({}, {"purpose": "deadhead"}, rule="capped").iloc[1]
    assert row["cost_status"] == "not_billable"
    assert row[["billable_km", "variable_cost_brl"]].isna().all()


@settings(max_examples=12)
@given(
    service=st.lists(st.integers(0, 9_999), min_size=1, max_size=4),
    empty=st.lists(st.integers(0, 3_000), min_size=1, max_size=6),
    cap=st.integers(0, 10_000),
)
def test_capped_deadhead_sums_to_the_cap_or_to_all_of_it(service: list[int], empty: list[int], cap: int) -> None:
    def km(hundredths: int) -> str:
        return str(Decimal(hundredths) / 100)

    trips = [{"km": km(value)} for value in service] + [{"km": km(value), "purpose": "deadhead"} for value in empty]
    paid = priced(*trips, rule="capped", cap=km(cap))["billable_km"].iloc[len(service) :].sum()
    limit = Decimal(sum(service)) / 100 * Decimal(cap) / 10_000
    assert paid == min(limit.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP), Decimal(sum(empty)) / 100)


def test_no_trips_cost_nothing_and_fit_their_table() -> None:
    trips = pd.DataFrame({name: pd.Series(dtype="str") for name in (
        "trip_id", "plate", "purpose", "area", "route_code", "route_method")})  # fmt: skip
    trips = trips.assign(started_at=pd.Series(dtype="datetime64[us, UTC]"), km_measured=decimals(),
                         operational_date=pd.Series([], dtype=object))  # fmt: skip
    view = vehicles_on_days(empty_frame(VEHICLES), empty_frame(CONTRACTS), empty_frame(UNITS), [DAY])
    costs = price_trips(trips, view, empty_frame(TARIFFS), empty_frame(ROUTES), empty_frame(POIS), DEFAULT_PARAMETERS)
    assert len(costs) == 0


PLACES = tuple({"poi_id": key, "name": key, "kind": kind} for key, kind in (
    ("USI", "usina"), ("FR1", "frente"), ("FR2", "frente"), ("GAR", "garagem"), ("OFI", "oficina")))  # fmt: skip
WAYS = tuple({"route_code": f"{front}-USI", "unit_code": "U", "origin_poi_id": front, "destination_poi_id": "USI"}
             for front in ("FR1", "FR2"))  # fmt: skip
ANY, OF_FR1, OF_FR2 = tariff("ANY", "4.00"), tariff("1", route_code="FR1-USI"), tariff("2", route_code="FR2-USI")
OF_AREA = (tariff("IND", "4.90", area="IND"), tariff("AGR", "5.35", area="AGR"))


@pytest.mark.parametrize(
    ("ends", "tariffs", "cost"),
    [
        (("FR1", None, "USI", None), (ANY, OF_FR1), "49.00"),  # proven
        ((None, "FR1, FR2", "USI", None), (ANY,), "40.00"),  # one tariff whichever it is
        ((None, "FR1, FR2", "USI", None), OF_AREA, "49.00"),  # the mill decides the area
        ((None, "FR1, FR2", "USI", None), (ANY, OF_FR1), None),
        ((None, "FR1, FR2", "USI", None), (ANY, OF_FR1, OF_FR2), None),
        ((None, "FR1", "USI", None), (ANY, OF_FR1), None),  # or it is at none
        ((None, "GAR", "USI", None), (ANY, OF_FR1), "40.00"),
        (("FR1", None, None, "GAR, USI"), OF_AREA, None),  # the front's area, or the mill's
        (("FR1", None, None, "GAR"), OF_AREA, "53.50"),
        ((None, "OFI", "USI", None), (ANY,), None),  # from the workshop it would be maintenance
        ((None, None, "USI", None), (ANY, OF_FR1), "40.00"),  # from nowhere that is known
    ],
)
def test_no_general_tariff_prices_a_trip_that_can_be_on_a_route_with_its_own(
    ends: tuple[str | None, ...], tariffs: tuple[dict, ...], cost: str | None
) -> None:
    names = ("origin_poi_id", "origin_candidates", "destination_poi_id", "destination_candidates")
    known = {"unit_code": "U", **dict(zip(names, ends, strict=True))}
    known |= {"route_code": "FR1-USI", "route_method": "places"} if ends[0] == "FR1" and ends[2] == "USI" else {}
    known |= {"area": "AGR"} if ends[2] is None else {}
    [row] = priced(known, tariffs=tariffs, routes=WAYS, places=PLACES).to_dict("records")
    if cost is not None:
        assert (row["cost_status"], row["variable_cost_brl"]) == ("priced", Decimal(cost))
        return
    assert row["cost_status"] == "not_billable"
    assert pd.isna([row["variable_cost_brl"], row["billable_km"], row["rate_brl_per_km"], row["tariff_id"]]).all()
    side, candidates = ("origem", ends[1]) if ends[1] else ("destino", ends[3])
    assert row["cost_reason"] == (
        "A tarifa depende de um local que não está comprovado; o valor fica em aberto. As coordenadas "
        f"admitem {side} em {str(candidates).replace(', ', ' ou ')}."
    )


def test_a_run_is_priced_by_class_and_default_area() -> None:
    vehicle = {"plate": "AAA1A11", "unit_code": "U", "contract_id": "CT", "vehicle_class": "onibus",
               "default_area": "AGR"}  # fmt: skip
    view = vehicles_on_days(
        rows(VEHICLES, vehicle), rows(CONTRACTS, {"contract_id": "CT", "carrier_code": "C", "unit_code": "U"}),
        empty_frame(UNITS), [DAY],
    )  # fmt: skip
    runs = pd.DataFrame(
        {"declared_run_id": ["a", "b"], "plate": ["AAA1A11", "ZZZ9Z99"], "operational_date": [DAY, DAY]}
    )
    offered = rows(TARIFFS, tariff("AGR", "5.35", area="AGR"), tariff("R1", "9.00", route_code="R1"))
    rates = rates_for_runs(runs, view, offered).set_index("declared_run_id")["rate_brl_per_km"]
    assert rates["a"] == Decimal("5.35")
    assert pd.isna(rates["b"])

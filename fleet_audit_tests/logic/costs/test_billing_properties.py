"""What is billed, against slow oracles in Decimal and Fraction that read the rules row by row.

Trips, tariffs, contracts and vehicles come in any order, with amendments inside the days that are priced.
"""

from __future__ import annotations

import datetime as dt
import random
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.costs.fixed_costs import fixed_cost_days
from fleet_audit.logic.costs.forecast import daily_totals, forecast_cycle
from fleet_audit.logic.costs.pricing import price_days
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.reference import CALENDAR, CONTRACTS, FIXED_COSTS, ROUTES, TARIFFS, UNITS, VEHICLES
from fleet_audit_tests.logic.frames import decimals, rows, utc

CENT = Decimal("0.01")
FIRST = dt.date(2025, 6, 9)
DAYS = [FIRST + dt.timedelta(days=number) for number in range(3)]
PLATES = ("AAA1A11", "BBB2B22")
REGIMES = {"R1": "municipal", "R2": "intermunicipal"}
KEYS = ("route_code", "vehicle_class", "area", "regime")
# Values are drawn so that most trips have a contract, several tariffs fit, and a cap ends among a day's deadheads.
KM = st.integers(-200, 3_000).map(lambda value: None if value < 0 else Decimal(value) / 100)
DATES = st.sampled_from((None, None, None, *DAYS))


def half_up(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def holds(row: dict, day: dt.date) -> bool:
    return (row["valid_from"] or dt.date.min) <= day <= (row["valid_to"] or dt.date.max)


def dated(**values: object) -> st.SearchStrategy[dict]:
    strategies = {name: value if isinstance(value, st.SearchStrategy) else st.just(value)
                  for name, value in values.items()}  # fmt: skip
    return st.fixed_dictionaries({**strategies, "valid_from": DATES, "valid_to": DATES})


TRIPS = st.fixed_dictionaries(
    {
        "plate": st.sampled_from((PLATES[0], *PLATES)),
        "operational_date": st.sampled_from((DAYS[1], DAYS[1], *DAYS)),
        "purpose": st.sampled_from((*["service"] * 4, *["deadhead"] * 5, "yard", "maintenance", "unknown")),
        "area": st.sampled_from(("IND", "IND", "AGR", None)),
        "route_code": st.sampled_from(("R1", "R1", "R2", None)),
        "route_method": st.sampled_from(("places", "places", "text")),
        "km_measured": KM,
        "hour": st.integers(0, 5),
    }
)
TARIFF_ROWS = dated(
    contract_id=st.sampled_from(("C1", "C1", "C2")),
    route_code=st.sampled_from(("R1", None, None)),
    vehicle_class=st.sampled_from(("onibus", "van", None, None)),
    area=st.sampled_from(("IND", "AGR", None, None)),
    regime=st.sampled_from(("municipal", None, None)),
    rate_brl_per_km=st.integers(1, 99_999).map(lambda value: Decimal(value) / 10_000),
)
CONTRACT_ROWS = st.tuples(
    *(
        dated(contract_id=name, carrier_code="C", unit_code="U",
              deadhead_rule=st.sampled_from(("unpaid", "paid", *["capped"] * 5, None)),
              deadhead_cap_pct=st.integers(-500, 15_000).map(lambda cap: None if cap < 0 else Decimal(cap) / 100))
        for name in ("C1", "C2")
    )
)  # fmt: skip


def tariff_of(request: dict, contract: str, tariffs: list[dict], day: dt.date) -> tuple[str, dict | None]:
    """RULES section 4, read to one trip."""
    fitting = [
        each for each in tariffs
        if each["contract_id"] == contract and holds(each, day)
        and all(each[key] is None or each[key] == request[key] for key in KEYS)
    ]  # fmt: skip
    if not fitting:
        return "no_tariff", None
    most = max(sum(each[key] is not None for key in KEYS) for each in fitting)
    best = [each for each in fitting if sum(each[key] is not None for key in KEYS) == most]
    return ("priced", best[0]) if len(best) == 1 else ("ambiguous_tariff", None)


Admitted = dict[str, Decimal | None]


def admitted(trips: list[dict], rule: str | None, cap_pct: Decimal | None) -> Admitted:
    """Billable km of the trips of one vehicle-day under one contract: in order, with what is left of the cap.

    Between what is left at least and at most, where trips that nobody measured leave that open.
    """
    found: Admitted = {}
    service = [trip["km_measured"] for trip in trips if trip["purpose"] == "service"]
    cap = (
        None if cap_pct is None else half_up(sum((km for km in service if km is not None), Decimal(0)) * cap_pct / 100)
    )
    least = most = cap
    if cap is not None and None in service:
        most = Decimal(10**6)
    for trip in sorted(trips, key=lambda each: (each["started_at"], each["trip_id"])):
        km = trip["km_measured"]
        if trip["purpose"] == "service" or (trip["purpose"] == "deadhead" and rule == "paid"):
            found[trip["trip_id"]] = km
        elif trip["purpose"] != "deadhead" or rule != "capped":
            found[trip["trip_id"]] = Decimal(0)
        elif km is None or least is None or most is None:
            found[trip["trip_id"]] = None
            least = None if least is None else Decimal(0)
        else:
            paid = min(km, least), min(km, most)
            found[trip["trip_id"]] = paid[0] if paid[0] == paid[1] else None
            least, most = least - paid[0], most - paid[0]
            least = max(least, Decimal(0))
    return found


@settings(max_examples=25)
@given(
    trips=st.lists(TRIPS, min_size=14, max_size=20),
    tariffs=st.lists(TARIFF_ROWS, min_size=5, max_size=9),
    contracts=CONTRACT_ROWS,
    moves=st.sampled_from((None, *DAYS)),
    seed=st.integers(0, 99),
)
def test_each_trip_is_billed_as_the_rules_read_to_it_alone(trips, tariffs, contracts, moves, seed) -> None:
    """`moves`: on that day the first vehicle goes over to the other contract, and becomes a van."""
    shuffled = random.Random(seed)
    for number, trip in enumerate(trips):
        trip |= {"trip_id": f"t{number:02}", "started_at": utc(f"{trip['operational_date']} 1{trip['hour']}:00")}
    tariffs = [{**each, "tariff_id": f"T{number}"} for number, each in enumerate(tariffs)]
    vehicle = {"unit_code": "U", "default_area": "AGR", "valid_from": None, "valid_to": None}
    before = {**vehicle, "plate": PLATES[0], "contract_id": "C1", "vehicle_class": "onibus"}
    vehicles = [{**vehicle, "plate": PLATES[1], "contract_id": "C2", "vehicle_class": "onibus"}]
    if moves is None:
        vehicles.append(before)
    else:
        vehicles.append({**before, "valid_to": moves - dt.timedelta(days=1)})
        vehicles.append({**before, "contract_id": "C2", "vehicle_class": "van", "valid_from": moves})
    expected: dict[str, tuple] = {}
    for day in DAYS:
        for plate in PLATES:
            ours = [trip for trip in trips if trip["plate"] == plate and trip["operational_date"] == day]
            (row,) = (each for each in vehicles if each["plate"] == plate and holds(each, day))
            contract = next((each for each in contracts if each["contract_id"] == row["contract_id"]), None)
            if contract is None or not holds(contract, day):
                expected |= {trip["trip_id"]: ("no_contract", None, None, None) for trip in ours}
                continue
            km_of = admitted(ours, contract["deadhead_rule"], contract["deadhead_cap_pct"])
            for trip in ours:
                km, is_service = km_of[trip["trip_id"]], trip["purpose"] == "service"
                may_bill = is_service or (trip["purpose"] == "deadhead" and contract["deadhead_rule"] == "paid")
                if km is None or (km == 0 and not may_bill):
                    expected[trip["trip_id"]] = ("not_billable", km, None, km)
                    continue
                route = trip["route_code"] if is_service and trip["route_method"] == "places" else None
                asked = {"route_code": route, "regime": REGIMES.get(route), "vehicle_class": row["vehicle_class"],
                         "area": trip["area"] if is_service else row["default_area"]}  # fmt: skip
                status, found = tariff_of(asked, row["contract_id"], tariffs, day)
                rate = found and found["rate_brl_per_km"]
                expected[trip["trip_id"]] = (status, km, rate, rate and half_up(km * rate))
    for each in (trips, tariffs, vehicles):
        shuffled.shuffle(each)
    frame = pd.DataFrame([{name: value for name, value in trip.items() if name != "km_measured"} for trip in trips])
    frame["km_measured"] = decimals(*(trip["km_measured"] for trip in trips))
    reference = Reference.of({
        "vehicles": rows(VEHICLES, *vehicles), "contracts": rows(CONTRACTS, *contracts[:: shuffled.choice((1, -1))]),
        "units": rows(UNITS, {"unit_code": "U", "timezone": "America/Sao_Paulo"}), "tariffs": rows(TARIFFS, *tariffs),
        "routes": rows(ROUTES, *({"route_code": code, "unit_code": "U", "regime": regime}
                                 for code, regime in REGIMES.items())),
    })  # fmt: skip
    costs = price_days(frame, reference, DEFAULT_PARAMETERS)
    columns = ["cost_status", "billable_km", "rate_brl_per_km", "variable_cost_brl"]
    found = costs.set_index("trip_id")[columns].astype(object)
    assert found.where(found.notna(), None).apply(tuple, axis=1).to_dict() == expected
    known = [line[3] for line in expected.values() if line[3] is not None]
    assert sum(costs["variable_cost_brl"].dropna(), Decimal(0)) == sum(known, Decimal(0))  # a total of printed lines


CYCLE = cycle_of(dt.date(2025, 2, 20), 16)  # 28 days
SOME_DAYS = st.one_of(st.none(), st.integers(-2, 30).map(lambda back: CYCLE.start + dt.timedelta(days=back)))


def spans(**values: object) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries(
        {**{name: st.just(value) for name, value in values.items()}, "valid_from": SOME_DAYS, "valid_to": SOME_DAYS}
    )


FIXED_ROWS = st.lists(
    st.tuples(spans(), st.sampled_from(("C1", "C2")), st.sampled_from((*PLATES, "RES3C33")), st.integers(0, 3_000_000)),
    min_size=4,
    max_size=7,
)
SERVING = st.lists(st.sets(st.sampled_from(PLATES)), min_size=CYCLE.length, max_size=CYCLE.length)


@settings(max_examples=8)
@given(
    fixed=FIXED_ROWS,
    contracts=st.tuples(*(spans(contract_id=name, carrier_code="C", unit_code="U") for name in ("C1", "C2"))),
    reserve=spans(),
    serving=SERVING,
    seed=st.integers(0, 99),
)
def test_each_fixed_amount_is_spread_by_its_billing_line(fixed, contracts, reserve, serving, seed) -> None:
    """Two contracts in a cycle, either of which may end; a reserve on some of its days."""
    lines = [{**span, "contract_id": contract, "plate": plate, "amount_brl_per_month": Decimal(cents) / 100}
             for span, contract, plate, cents in fixed]  # fmt: skip
    spare = {**reserve, "plate": "RES3C33", "unit_code": "U", "status": "reserva", "titular_plate": PLATES[0]}
    days = cycle_days(CYCLE)
    expected: dict[tuple, Decimal] = {}
    for line in lines:
        (contract,) = (each for each in contracts if each["contract_id"] == line["contract_id"])
        due = [day for day in days if holds(line, day) and holds(contract, day)]
        as_reserve = [day for day in due if line["plate"] == spare["plate"] and holds(spare, day)]
        plain = [day for day in due if day not in as_reserve]
        total = half_up(line["amount_brl_per_month"] * len(plain) / len(days))
        each = (total / len(plain)).quantize(CENT, rounding=ROUND_FLOOR) if plain else Decimal(0)
        odd = int((total - each * len(plain)) / CENT)
        shares = {day: each + (CENT if number < odd else 0) for number, day in enumerate(plain)}
        assert sum(shares.values(), Decimal(0)) == total
        shares |= {
            day: half_up(line["amount_brl_per_month"] / len(days)) for day in as_reserve
            if PLATES[0] not in serving[days.index(day)]
        }  # fmt: skip
        for day, amount in shares.items():
            key = (day, line["plate"], line["contract_id"])
            expected[key] = expected.get(key, Decimal(0)) + amount
    random.Random(seed).shuffle(lines)
    frames = rows(FIXED_COSTS, *lines), rows(CONTRACTS, *contracts), rows(VEHICLES, spare)
    found = pd.concat([
        fixed_cost_days(day, *frames, serving[number], 16, DEFAULT_PARAMETERS) for number, day in enumerate(days)
    ])  # fmt: skip
    keys = zip(found["operational_date"], found["plate"], found["contract_id"], strict=True)
    assert dict(zip(keys, found["amount_brl"], strict=True)) == expected


JUNE = Cycle(dt.date(2025, 6, 1), dt.date(2025, 6, 30))
AMOUNTS = st.lists(st.one_of(st.none(), st.integers(0, 99_999)), min_size=1, max_size=20)


def _daily(hundredths: list[int | None]) -> pd.DataFrame:
    values = [None if value is None else Decimal(value) / 100 for value in hundredths]
    return pd.DataFrame(
        {
            "operational_date": pd.Series(
                [JUNE.start + dt.timedelta(days=n) for n in range(len(values))], dtype=object
            ),
            "km": pd.Series(values, dtype=object),
            "variable_cost_brl": pd.Series(values, dtype=object),
        }
    )


@settings(max_examples=40)
@given(hundredths=AMOUNTS, over=st.integers(1, 30), seed=st.integers(0, 9))
def test_a_cycle_goes_on_as_its_days_with_data_did(hundredths, over, seed) -> None:
    run_days = [JUNE.start + dt.timedelta(days=number) for number in range(over)]
    working = [{"date": JUNE.start + dt.timedelta(days=n), "unit_code": "U", "day_type": "util"} for n in range(30)]
    calendar = rows(CALENDAR, *working)
    daily = _daily(hundredths).sample(frac=1, random_state=seed)
    found = forecast_cycle(daily, JUNE, run_days, calendar, DEFAULT_PARAMETERS)
    known = [Fraction(value, 100) for value in hundredths[:over] if value is not None]
    left = 30 - over
    if not known:
        assert (found.km_remaining, found.variable_cost_total_brl, found.km_so_far) == (None, None, None)
        return
    weights = [Fraction(3, 10) * Fraction(7, 10) ** age for age in range(len(known) - 1)]
    level = sum(weight * value for weight, value in zip(weights, reversed(known), strict=False))
    level += Fraction(7, 10) ** (len(known) - 1) * known[0]
    assert abs(Fraction(found.km_remaining) - sum(known) / len(known) * left) <= Fraction(1, 200)
    assert abs(Fraction(found.variable_cost_remaining_brl) - level * left) <= Fraction(1, 200)
    assert Fraction(found.km_total) == sum(known) + Fraction(found.km_remaining)
    silent = _daily([None] * 3)
    silent["operational_date"] = [JUNE.start + dt.timedelta(days=n) for n in (25, 26, 27)]
    assert forecast_cycle(pd.concat([daily, silent]), JUNE, run_days, calendar, DEFAULT_PARAMETERS) == found


def test_a_day_whose_trips_have_no_price_is_unknown_and_one_without_trips_is_nothing() -> None:
    days = [JUNE.start + dt.timedelta(days=number) for number in range(4)]
    coverage = pd.DataFrame({"operational_date": days, "status": ["complete", "complete", "partial", "silent"]})
    trips = pd.DataFrame(
        {
            "trip_id": ["a", "b"],
            "operational_date": days[:2],
            "purpose": "service",
            "km_measured": decimals("10.00", None),
        }
    )
    costs = pd.DataFrame(
        {"trip_id": ["a", "b"], "operational_date": days[:2], "variable_cost_brl": decimals(None, "5.00")}
    )
    daily = daily_totals(trips, costs, coverage)
    assert daily["operational_date"].to_list() == days[:3]
    assert daily["km"].to_list() == [10, None, 0]
    assert daily["variable_cost_brl"].to_list() == [None, 5, 0]

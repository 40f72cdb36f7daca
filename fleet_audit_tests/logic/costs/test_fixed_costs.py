import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.costs.fixed_costs import fixed_cost_days, fixed_cost_of_days, held_fixed_costs, serving_plates
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import FIXED_COST_DAYS
from fleet_audit.schema.reference import CONTRACTS, FIXED_COSTS, VEHICLES
from fleet_audit_tests.logic.frames import rows, utc

CENT = Decimal("0.01")
CONTRACT = {"contract_id": "CT", "carrier_code": "C", "unit_code": "U"}
BUS = {"plate": "AAA1A11", "unit_code": "U", "contract_id": "CT", "status": "ativo"}
RESERVE = {"plate": "RES1A11", "unit_code": "U", "contract_id": "CT", "status": "reserva", "titular_plate": "AAA1A11"}
JUNE = dt.date(2025, 6, 1)


def cost(amount: str = "40314.14", plate: str = "AAA1A11", **values: str) -> dict:
    return {"contract_id": "CT", "plate": plate, "amount_brl_per_month": amount, **values}


Vehicles = tuple[dict, ...]


def on(day: dt.date, *costs: dict, serving: Iterable[str] = (), vehicles: Vehicles = (BUS, RESERVE)) -> pd.DataFrame:
    return fixed_cost_days(day, rows(FIXED_COSTS, *costs), rows(CONTRACTS, CONTRACT), rows(VEHICLES, *vehicles),
                           set(serving), 16, DEFAULT_PARAMETERS)  # fmt: skip


def shares(
    *costs: dict, day: dt.date = JUNE, closing_day: int = 16, contracts: tuple[dict, ...] = (CONTRACT,),
    vehicles: Vehicles = (BUS, RESERVE), serving: Iterable[str] = (),
) -> list[Decimal]:  # fmt: skip
    """Total of each day of the cycle, each computed on its own; together they are what a budget counts."""
    frames = rows(FIXED_COSTS, *costs), rows(CONTRACTS, *contracts), rows(VEHICLES, *vehicles)
    days = cycle_days(cycle_of(day, closing_day))
    found = [
        sum(fixed_cost_days(each, *frames, set(serving), closing_day, DEFAULT_PARAMETERS)["amount_brl"], Decimal(0))
        for each in days
    ]
    assert sum(found) == (fixed_cost_of_days(days, *frames, set(serving), closing_day) or 0)
    return found


def half_up(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def test_a_month_is_spread_to_the_cent_earliest_days_first() -> None:
    found = shares(cost())  # 16/05 to 15/06: 31 days; 4031414 = 31 × 130045 + 19
    assert sum(found) == Decimal("40314.14")
    assert found == [Decimal("1300.46")] * 19 + [Decimal("1300.45")] * 12


@pytest.mark.parametrize(("year", "length"), [(2024, 29), (2025, 28)])
def test_february_has_its_own_length(year: int, length: int) -> None:
    found = shares(cost("29000.00"), day=dt.date(year, 2, 10), closing_day=1)
    assert len(found) == length
    assert sum(found) == Decimal("29000.00")


LINES = st.tuples(st.decimals(0, 99_999, places=2), st.integers(-3, 33), st.integers(0, 40))


@settings(max_examples=8)
@given(
    lines=st.lists(LINES, min_size=5, max_size=30), closing_day=st.integers(1, 28), year=st.sampled_from([2024, 2025])
)
def test_days_in_force_sum_to_their_part_of_the_amount(
    lines: list[tuple[Decimal, int, int]], closing_day: int, year: int
) -> None:
    cycle = cycle_of(dt.date(year, 2, 20), closing_day)
    days = cycle_days(cycle)
    spans = [(cycle.start + dt.timedelta(days=first), cycle.start + dt.timedelta(days=first + length))
             for _, first, length in lines]  # fmt: skip
    costs = rows(FIXED_COSTS, *(
        cost(str(line[0]), f"P{number}", valid_from=str(span[0]), valid_to=str(span[1]))
        for number, (line, span) in enumerate(zip(lines, spans, strict=True))
    ))  # fmt: skip
    contracts, vehicles = rows(CONTRACTS, CONTRACT), rows(VEHICLES)
    by_day = [
        fixed_cost_days(day, costs, contracts, vehicles, set(), closing_day, DEFAULT_PARAMETERS)
        .set_index("plate")["amount_brl"].to_dict() for day in days
    ]  # fmt: skip
    for number, (line, span) in enumerate(zip(lines, spans, strict=True)):
        paid = [shares_of_day[f"P{number}"] for shares_of_day in by_day if f"P{number}" in shares_of_day]
        in_force = [day for day in days if span[0] <= day <= span[1]]
        assert len(paid) == len(in_force)
        assert sum(paid) == half_up(line[0] * len(in_force) / cycle.length)
        assert paid == sorted(paid, reverse=True)
        assert not paid or paid[0] - paid[-1] <= CENT
    total = fixed_cost_of_days(days, costs, contracts, vehicles, set(), closing_day)
    assert (total or 0) == sum(sum(shares_of_day.values()) for shares_of_day in by_day)


def test_the_contract_s_own_validity_cuts_it() -> None:
    until = {**CONTRACT, "valid_to": "2025-05-25"}
    found = shares(cost("31000.00"), contracts=(until,))
    assert found == [Decimal("1000.00")] * 10 + [Decimal(0)] * 21
    assert shares(cost(), contracts=()) == [Decimal(0)] * 31
    renewed = {**CONTRACT, "valid_from": "2025-05-26"}
    assert sum(shares(cost(), contracts=(until, renewed))) == Decimal("40314.14")


def test_a_change_of_the_amount_makes_two_lines_each_to_the_cent() -> None:
    before, after = cost("10000.00", valid_to="2025-05-31"), cost("20000.00", valid_from="2025-06-01")
    found = shares(before, after)
    assert sum(found[:16]) == half_up(Decimal(10_000) * 16 / 31)
    assert sum(found[16:]) == half_up(Decimal(20_000) * 15 / 31)


def test_a_reserve_is_paid_only_while_its_titular_has_no_service() -> None:
    titular, reserve = cost(), cost("31000.00", "RES1A11")
    busy = on(JUNE, titular, reserve, serving={"AAA1A11", "RES1A11"})
    assert busy["plate"].tolist() == ["AAA1A11"]
    broken = on(JUNE, titular, reserve, serving={"RES1A11"}).set_index("plate")["amount_brl"]
    assert broken["RES1A11"] == Decimal("1000.00")
    assert broken["AAA1A11"] == busy["amount_brl"].iloc[0]


def test_a_reserve_s_day_is_the_amount_by_the_days_half_up() -> None:
    found = shares(cost(plate="RES1A11"))
    assert set(found) == {Decimal("1300.46")}  # 40314.14 ÷ 31 = 1300.456…


def test_a_vehicle_is_a_reserve_only_on_the_days_of_that_row() -> None:
    vehicles = (
        BUS, {**RESERVE, "valid_from": "2025-06-01"},
        {**RESERVE, "status": "ativo", "titular_plate": None, "valid_to": "2025-05-31"},
    )  # fmt: skip
    found = shares(cost(plate="RES1A11"), vehicles=vehicles, serving={"AAA1A11"})
    assert sum(found[:16]) == half_up(Decimal("40314.14") * 16 / 31)
    assert found[16:] == [Decimal(0)] * 15


def test_a_reserve_without_a_titular_is_paid_as_any_vehicle() -> None:
    alone = {**RESERVE, "titular_plate": None}
    assert sum(shares(cost(plate="RES1A11"), vehicles=(BUS, alone), serving={"AAA1A11"})) == Decimal("40314.14")


NEW = {**CONTRACT, "contract_id": "NEW"}
MOVED = ({**BUS, "valid_to": "2025-05-31"}, {**BUS, "contract_id": "NEW", "valid_from": "2025-06-01"})


def test_a_vehicle_that_changes_its_contract_is_paid_under_one_on_each_day() -> None:
    """The row of the contract that it left stays open: 16 days of R$ 3.100,00 and 15 of R$ 6.200,00, not 31 of each."""
    old, new = cost("3100.00"), cost("6200.00", contract_id="NEW")
    both = {"contracts": (CONTRACT, NEW), "vehicles": MOVED}
    for newer in (new, {**new, "valid_from": "2025-06-01"}):  # whether or not the new row is dated
        assert shares(old, newer, **both) == [Decimal("100.00")] * 16 + [Decimal("200.00")] * 15
    ended = {**CONTRACT, "valid_to": "2025-05-31"}
    assert shares(old, new, contracts=(ended, NEW), vehicles=MOVED) == shares(old, new, **both)


def test_a_fixed_cost_of_another_contract_is_paid_where_the_vehicle_s_own_has_none() -> None:
    old, other = cost("3100.00"), cost("31.00", plate="BBB2B22", contract_id="NEW")
    both = {"contracts": (CONTRACT, NEW)}
    assert shares(old, other, vehicles=MOVED, **both) == [Decimal("101.00")] * 31
    later = cost("6200.00", contract_id="NEW", valid_from="2025-06-11")
    assert shares(old, later, vehicles=MOVED, **both)[25:27] == [Decimal("100.00"), Decimal("200.00")]
    unnamed = ({**BUS, "contract_id": None},)
    assert shares(old, cost("31.00"), vehicles=unnamed) == [Decimal("101.00")] * 31


def test_the_rows_fit_their_table_with_and_without_rows() -> None:
    for costs in ([cost()], []):
        frame = on(JUNE, *costs).assign(run_id="r", updated_at=utc("2025-06-02 08:30"))
        assert len(conform(frame, FIXED_COST_DAYS)) == len(costs)


@pytest.mark.parametrize(
    ("purpose", "place", "candidates", "paid"),
    [
        ("deadhead", "GAR", None, "1300.46"),
        ("service", "USI", None, None),
        ("unknown", None, None, "1300.46"),  # nowhere near a place
        ("unknown", None, "GAR", None),  # held: it may be service
        ("unknown", None, "GAR, USI", None),
        ("maintenance", None, "GAR, USI", "1300.46"),  # by its driver
    ],
)
def test_a_reserve_is_paid_only_where_it_is_proven_that_its_titular_did_not_serve(
    purpose: str, place: str | None, candidates: str | None, paid: str | None
) -> None:
    trip = {"plate": "AAA1A11", "purpose": purpose, "origin_poi_id": "GAR", "origin_candidates": None,
            "destination_poi_id": place, "destination_candidates": candidates}  # fmt: skip
    serving = serving_plates(pd.DataFrame([trip]))
    found = on(JUNE, cost(plate="RES1A11"), serving=serving)
    assert found["amount_brl"].to_list() == ([Decimal(paid)] if paid else [])
    tables = rows(FIXED_COSTS, cost(plate="RES1A11")), rows(CONTRACTS, CONTRACT), rows(VEHICLES, BUS, RESERVE)
    held = held_fixed_costs(pd.DataFrame([{**trip, "operational_date": JUNE}]), *tables, 16)
    is_held = paid is None and purpose == "unknown"
    assert list(zip(held["plate"], held["amount_brl"], strict=True)) == (
        [("RES1A11", Decimal("1300.46"))] if is_held else []
    )


def test_a_share_is_not_held_where_another_trip_of_the_titular_is_proven_service() -> None:
    open_trip = {"plate": "AAA1A11", "purpose": "unknown", "operational_date": JUNE, "origin_poi_id": "GAR",
                 "origin_candidates": None, "destination_poi_id": None, "destination_candidates": "USI"}  # fmt: skip
    tables = rows(FIXED_COSTS, cost(plate="RES1A11")), rows(CONTRACTS, CONTRACT), rows(VEHICLES, BUS, RESERVE)
    assert held_fixed_costs(pd.DataFrame([open_trip, {**open_trip, "purpose": "service"}]), *tables, 16).empty

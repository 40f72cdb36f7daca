"""Adjustments of closed days: what is billed in the end is what is known in the end, and nothing twice."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.closing.adjustments import BilledRows, billing_cycle, day_adjustments, too_late_message
from fleet_audit.logic.closing.admitted_km import counts_unpriced as counts_unpriced_km
from fleet_audit.logic.primitives.money import BRL, KM
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import ADJUSTMENTS
from fleet_audit.schema.reference import VEHICLES
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)
MAY, JUNE, JULY, AUGUST = (dt.date(2025, month, 16) for month in (5, 6, 7, 8))
PLATE = "AAA1A11"
FLEET = rows(VEHICLES, {"plate": PLATE, "carrier_code": "UM", "unit_code": "U"})
NOTHING = empty_frame(ADJUSTMENTS)
Known = dict[str, tuple[str | None, str | None]]


def money(trips: Known, fixed: dict[str, str] | None = None) -> BilledRows:
    """Trips by id with km and cost; fixed shares by contract."""
    owner = {"plate": PLATE, "carrier_code": "UM", "unit_code": "U"}
    return BilledRows(
        pd.DataFrame([{"trip_id": each, **owner} for each in trips], columns=["trip_id", *owner]),
        pd.DataFrame(
            {
                "trip_id": pd.Series(list(trips), dtype=object),
                "contract_id": "C",
                "billable_km": decimals([km for km, _ in trips.values()], KM),
                "variable_cost_brl": decimals([brl for _, brl in trips.values()], BRL),
            }
        ),
        pd.DataFrame(
            {
                "plate": PLATE,
                "contract_id": pd.Series(list(fixed or {}), dtype=object),
                "amount_brl": decimals(list((fixed or {}).values()), BRL),
            }
        ),
    )


def decimals(values: list[str | None], dtype: pd.ArrowDtype) -> pd.Series:
    return pd.Series([None if value is None else Decimal(value) for value in values], dtype=dtype)


def adjusted(
    closed: BilledRows, now: BilledRows, billed: pd.DataFrame = NOTHING, start: dt.date = JUNE, *,
    counts_unpriced: bool = False,
) -> pd.DataFrame:  # fmt: skip
    return day_adjustments(DAY, start, 16, closed, now, billed, FLEET, counts_unpriced=counts_unpriced)


def lines(frame: pd.DataFrame) -> dict[str, tuple[str | None, str | None, str]]:
    """km and BRL to bill and the first words of the reason, by trip or contract."""
    return {
        row["trip_id"] if row["kind"] == "trip" else row["contract_id"]: (
            None if pd.isna(row["difference_km"]) else str(row["difference_km"]),
            None if pd.isna(row["difference_brl"]) else str(row["difference_brl"]),
            row["reason"],
        )
        for row in frame.to_dict("records")
    }


@pytest.mark.parametrize(
    ("day", "closed", "expected"),
    [
        (DAY, {MAY}, JUNE),
        (DAY, {MAY, JUNE}, JULY),  # two cycles back
        (DAY, {JUNE}, MAY),  # its own cycle is open
        (dt.date(2025, 5, 16), {MAY, JUNE}, JULY),  # two months before 16/07, to the day
        (dt.date(2025, 5, 15), {dt.date(2025, 4, 16), MAY, JUNE}, None),  # one day more
        (DAY, {MAY, JUNE, JULY}, None),
        (dt.date(2024, 12, 20), {dt.date(2024, 12, 16)}, dt.date(2025, 1, 16)),  # over the year
    ],
)
def test_the_next_open_cycle_bills_and_reaches_two_months_back(day, closed, expected) -> None:
    assert billing_cycle(day, closed, 16, 2) == expected


def test_months_without_a_cycle_between_are_counted_over_the_year() -> None:
    closed = {dt.date(2024, 12, 1), dt.date(2025, 1, 1)}
    assert billing_cycle(dt.date(2024, 12, 1), closed, 1, 2) == dt.date(2025, 2, 1)
    assert billing_cycle(dt.date(2024, 12, 1), closed, 1, 1) is None


def test_what_is_as_it_was_billed_is_no_line() -> None:
    same = money({"t": ("10.00", "49.00"), "u": (None, None)}, {"C": "100.00"})
    assert len(adjusted(same, same)) == 0
    assert len(adjusted(money({}), money({}))) == 0


def test_each_kind_of_change_is_a_line_with_its_reason() -> None:
    closed = money({"less": ("10.00", "49.00"), "gone": ("5.00", "24.50"), "lost": ("2.00", "9.80"),
                    "late_price": ("3.00", None)}, {"A": "100.00", "B": "50.00"})  # fmt: skip
    now = money({"less": ("8.00", "39.20"), "new": ("1.00", "4.90"), "lost": (None, None),
                 "late_price": ("3.00", "14.70"), "no_price": ("7.00", None)},
                {"A": "90.00", "C": "10.00"})  # fmt: skip
    found = lines(adjusted(closed, now))
    assert {name: line[:2] for name, line in found.items()} == {
        "less": ("-2.00", "-9.80"), "gone": ("-5.00", "-24.50"), "lost": (None, None), "late_price": ("3.00", "14.70"),
        "new": ("1.00", "4.90"), "no_price": (None, None), "A": (None, "-10.00"), "B": (None, "-50.00"),
        "C": (None, "10.00"),
    }  # fmt: skip
    assert "não existe mais" in found["gone"][2]
    assert "pessoa precisa decidir" in found["lost"][2]
    assert "só depois do fechamento" in found["new"][2]
    assert "mudaram" in found["late_price"][2]
    assert "pessoa precisa decidir" in found["no_price"][2]
    assert "não é devida" in found["B"][2]


@pytest.mark.parametrize("counts_unpriced", [False, True])
def test_km_that_gain_a_price_are_in_the_close_or_in_its_adjustments_once(counts_unpriced: bool) -> None:
    """The close counts km with a cost alone, and km of a trip that gained its price were in no sum."""
    closed = money({"t": ("10.00", "49.00"), "late": ("3.00", None), "none": ("7.00", None)})
    now = money({"t": ("10.00", "49.00"), "late": ("3.00", "14.70"), "none": ("7.00", None)})
    total_km, km_now = (Decimal("20.00"), Decimal("20.00")) if counts_unpriced else (Decimal("10.00"), Decimal("13.00"))
    assert counts_unpriced_km(total_km, closed.costs) == counts_unpriced
    (line,) = adjusted(closed, now, counts_unpriced=counts_unpriced).to_dict("records")
    assert line["difference_brl"] == Decimal("14.70")
    assert total_km + line["difference_km"] == km_now


def test_a_close_without_unpriced_km_or_without_km_counts_none() -> None:
    priced, unpriced = money({"t": ("10.00", "49.00")}), money({"t": ("3.00", None)})
    assert not counts_unpriced_km(Decimal("10.00"), priced.costs)
    assert not counts_unpriced_km(None, unpriced.costs)
    assert not counts_unpriced_km(None, money({}).costs)


def test_a_share_that_moves_to_another_contract_is_taken_back_and_given() -> None:
    found = adjusted(money({}, {"A": "100.00"}), money({}, {"B": "100.00"}))
    assert found["difference_brl"].sum() == 0
    assert found["carrier_code"].tolist() == ["UM", "UM"]


def test_an_adjustment_of_an_adjustment_bills_only_what_is_new() -> None:
    closed, first, second = money({"t": ("10.00", "49.00")}), money({"t": ("12.00", "58.80")}), money({})
    june = adjusted(closed, first)
    assert lines(june)["t"][:2] == ("2.00", "9.80")
    assert len(adjusted(closed, first, june, JULY)) == 0
    july = adjusted(closed, second, june, JULY)
    assert lines(july)["t"][:2] == ("-12.00", "-58.80")
    (row,) = july.to_dict("records")
    assert (row["km_closed"], row["brl_closed"], row["origin_cycle_start"]) == (12, Decimal("58.80"), MAY)
    assert row["adjustment_id"] != june["adjustment_id"].iloc[0]


def test_what_only_an_adjustment_billed_is_taken_back_with_its_owner() -> None:
    june = adjusted(money({}), money({"late": ("4.00", "19.60")}))
    (row,) = adjusted(money({}), money({}), june, JULY).to_dict("records")
    assert (row["trip_id"], row["plate"], row["carrier_code"]) == ("late", PLATE, "UM")
    assert (row["difference_km"], row["difference_brl"]) == (-4, Decimal("-19.60"))


LINE = st.one_of(
    st.none(), st.tuples(st.integers(0, 9_999), st.one_of(st.none(), st.integers(0, 99_999)))
)  # no such line, or hundredths of km and of BRL, the latter perhaps without a price
STATES = st.lists(st.fixed_dictionaries(dict.fromkeys("ab", LINE)), min_size=2, max_size=4)


@settings(max_examples=15)
@given(states=STATES)
def test_after_any_history_what_was_billed_is_what_is_known(states) -> None:
    """Each state of the day is billed by the next cycle, which is closed then; nothing is billed twice or lost."""

    def as_known(state: dict) -> Known:
        return {name: (str(Decimal(line[0]) / 100), None if line[1] is None else str(Decimal(line[1]) / 100))
                for name, line in state.items() if line is not None}  # fmt: skip

    def admitted(known: Known, name: str) -> tuple[str | None, str | None]:
        km, brl = known.get(name, ("0", "0"))
        return (km, brl) if brl is not None else (None, None)

    first, *later = map(as_known, states)
    billed = NOTHING
    for number, known in enumerate(later):
        start = JUNE + dt.timedelta(days=31 * number)
        found = adjusted(money(first), money(known), billed, start)
        if len(found):
            billed = conform(
                pd.concat([billed, found.assign(run_id="r", updated_at=pd.Timestamp(0, tz="UTC"))]), ADJUSTMENTS
            )
        for name in "ab":
            ours = billed[(billed["trip_id"] == name).to_numpy(dtype=bool)]
            for position, column in enumerate(("difference_km", "difference_brl")):
                sums = Decimal(admitted(first, name)[position] or 0) + ours[column].dropna().sum()
                now = admitted(known, name)[position]
                if now is not None:
                    assert sums == Decimal(now), (name, column, states)
        assert adjusted(money(first), money(known), billed, start)["difference_brl"].isna().all()


def test_rows_that_come_too_late_are_reported_with_their_sum() -> None:
    late = adjusted(money({"t": ("10.00", "49.00")}), money({"t": ("12.00", "58.80"), "new": ("1.00", "4.90")}))
    sentence = too_late_message(DAY, late)
    assert "2025-06-10: 2 lines" in sentence
    assert "+3.00 km, R$ +14.70" in sentence
    unknown = adjusted(money({"t": ("1.00", "4.90")}), money({"t": (None, None)}))
    assert "unknown km, R$ unknown" in too_late_message(DAY, unknown)

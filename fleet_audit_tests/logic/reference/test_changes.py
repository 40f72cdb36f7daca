"""What a new delivery of a reference table touches, which keys dangle, and what a change did to the money."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_audit.logic.reference.changes import (
    REFERENCES,
    days_touched,
    delta_statement,
    exceptions_of_nobody,
    first_dangling,
    row_keys,
)
from fleet_audit.schema import reference
from fleet_audit.schema.facts import REFERENCE_DELTAS
from fleet_audit.schema.reference import CALENDAR, DRIVERS, KM_PLAN, TARIFFS, UNITS
from fleet_audit_tests.logic.frames import rows

FIRST = dt.date(2025, 6, 1)
DAYS = [FIRST + dt.timedelta(days=number) for number in range(10)]
DATES = st.one_of(st.none(), st.integers(-2, 12).map(lambda number: FIRST + dt.timedelta(days=number)))
TARIFF = st.fixed_dictionaries(
    {"tariff_id": st.sampled_from(("T1", "T2")), "rate_brl_per_km": st.sampled_from(("4.90", "5.20")),
     "valid_from": DATES, "valid_to": DATES}
)  # fmt: skip
DELIVERY = st.lists(TARIFF, max_size=4)


def tariffs(*values: dict) -> pd.DataFrame:
    return rows(TARIFFS, *({"contract_id": "C", **value} for value in values))


@settings(max_examples=40)
@given(old=DELIVERY, new=DELIVERY)
def test_the_days_on_which_the_table_says_something_else_and_no_others(old, new) -> None:
    def said(delivery: list[dict], day: dt.date) -> Counter:
        return Counter(
            (row["tariff_id"], row["rate_brl_per_km"]) for row in delivery
            if (row["valid_from"] or dt.date.min) <= day <= (row["valid_to"] or dt.date.max)
        )  # fmt: skip

    expected = [day for day in DAYS if said(old, day) != said(new, day)]
    assert days_touched(TARIFFS, tariffs(*old), tariffs(*new), DAYS[0], DAYS[-1]) == expected
    assert days_touched(TARIFFS, tariffs(*new), tariffs(*old), DAYS[0], DAYS[-1]) == expected


def test_a_row_cut_in_two_that_say_the_same_touches_nothing() -> None:
    whole = tariffs({"tariff_id": "T", "rate_brl_per_km": "5", "valid_from": "2025-01-01"})
    parts = tariffs({"tariff_id": "T", "rate_brl_per_km": "5", "valid_from": "2025-01-01", "valid_to": "2025-06-04"},
                    {"tariff_id": "T", "rate_brl_per_km": "5", "valid_from": "2025-06-05"})  # fmt: skip
    assert days_touched(TARIFFS, whole, parts, DAYS[0], DAYS[-1]) == []


def test_tables_without_dates_touch_all_days_and_those_of_a_day_or_cycle_theirs() -> None:
    units = [rows(UNITS, {"unit_code": "U", "timezone": zone}) for zone in ("America/Sao_Paulo", "America/Cuiaba")]
    assert days_touched(UNITS, *units, DAYS[0], DAYS[-1]) == DAYS
    calendar = [
        rows(CALENDAR, {"date": "2025-06-03", "unit_code": "U", "day_type": kind}) for kind in ("util", "feriado")
    ]
    assert days_touched(CALENDAR, *calendar, DAYS[0], DAYS[-1]) == [dt.date(2025, 6, 3)]
    plan = [rows(KM_PLAN, {"cycle_start": "2025-05-05", "plate": "A", "planned_km": km}) for km in ("1.00", "2.00")]
    assert days_touched(KM_PLAN, *plan, DAYS[0], DAYS[-1]) == DAYS[:4]  # 31 days at most
    assert days_touched(UNITS, *units, DAYS[1], DAYS[0]) == []


def test_a_driver_s_name_is_in_no_key_and_touches_nothing() -> None:
    one, other = (rows(DRIVERS, {"driver_id": "D1", "name": name}) for name in ("Ana", "Maria"))
    assert row_keys(DRIVERS, one).tolist() == row_keys(DRIVERS, other).tolist()
    assert days_touched(DRIVERS, one, other, DAYS[0], DAYS[-1]) == []


TABLES = {table.name: table for table in reference.TABLES}
KEYS = {table.name: table.key for table in reference.TABLES}


@pytest.mark.parametrize("reference_", REFERENCES, ids=lambda each: f"{each[0]}.{each[1]}")
def test_each_key_must_be_in_its_parent_unless_that_was_never_delivered(reference_) -> None:
    child, column, parent, parent_column = reference_
    key = {name: f"k-{name}" for name in KEYS[child] if name not in ("valid_from", "date", "cycle_start")}
    row = rows(TABLES[child], {**key, column: "X"})
    known = rows(TABLES[parent], {parent_column: "X"}) if parent != child else pd.concat(
        [row, rows(TABLES[parent], {parent_column: "X"})]
    )  # fmt: skip
    if parent != child:
        assert first_dangling({child: row}, KEYS) is None
        assert first_dangling({child: row, parent: known}, KEYS) is None
    missing = {child: row, parent: rows(TABLES[parent], {parent_column: "Y"})} if parent != child else {child: row}
    found = first_dangling(missing, KEYS)
    assert found is not None
    assert (found.child, found.column, found.value, found.parent) == (child, column, "X", parent)
    assert "X" in found.sentence
    empty = rows(TABLES[child], {**key, column: None})
    if column not in KEYS[child]:
        assert first_dangling({**missing, child: empty}, KEYS) is None


def delta(**values: object) -> dict:
    return {"change_run_id": "r", "operational_date": "2025-06-01", "table_names": ["tariffs"], "carrier_code": "UM",
            "is_rerun": True, **values}  # fmt: skip


def test_a_statement_sums_by_carrier_and_leaves_out_what_was_not_run_again() -> None:
    statement = delta_statement(rows(
        REFERENCE_DELTAS,
        delta(km_before="10.00", km_after="10.00", brl_before="49.00", brl_after="52.00"),
        delta(operational_date="2025-06-02", km_before="1.00", km_after="2.00", brl_before=None, brl_after="5.00"),
        delta(carrier_code="DOIS", km_before="1.00", brl_before="4.90"),
        delta(carrier_code=None, km_after="3.00", brl_after="14.70"),
        delta(operational_date="2025-06-03", brl_before="999.00", is_rerun=False),
    ))  # fmt: skip
    shown = {
        row["carrier_code"] if pd.notna(row["carrier_code"]) else None: (
            row["days"], str(row["difference_km"]), str(row["difference_brl"])
        )
        for row in statement.to_dict("records")
    }  # fmt: skip
    assert shown == {"UM": (2, "1.00", "8.00"), "DOIS": (1, "-1.00", "-4.90"), None: (1, "3.00", "14.70")}
    assert len(delta_statement(rows(REFERENCE_DELTAS))) == 0


def test_an_exception_for_a_name_that_nobody_has_is_said_to_cover_nothing() -> None:
    tables = {
        "carriers": rows(reference.CARRIERS, {"carrier_code": "CONLOG"}),
        "vehicles": rows(reference.VEHICLES, {"plate": "AAA1A11"}),
        "exceptions": rows(
            reference.EXCEPTIONS,
            {"exception_id": "E1", "carrier_code": "conlog"},
            {"exception_id": "E2", "carrier_code": "CONLOGG"},
            {"exception_id": "E3", "plate": "AAA1A11"},
            {"exception_id": "E4", "route_code": "R1"},
        ),
    }
    carrier, route = exceptions_of_nobody(tables)
    assert carrier.startswith("exceptions: E2 names carrier_code CONLOGG, which is in no row of carriers")
    assert "E4 names route_code R1" in route
    assert exceptions_of_nobody({}) == []

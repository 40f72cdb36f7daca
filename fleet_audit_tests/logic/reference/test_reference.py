import datetime as dt
import pickle

import pandas as pd
import pytest

from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.facts import REFERENCE_CHANGES
from fleet_audit_tests.logic.frames import rows

DAY = dt.date(2025, 6, 10)


def test_an_absent_table_is_empty_with_its_columns() -> None:
    known = Reference.of({"units": rows(reference.UNITS, {"unit_code": "UCP", "timezone": "America/Cuiaba"})})
    assert known.vehicles.empty
    assert list(known.tariffs) == reference.TARIFFS.column_names
    assert list(known.reference_changes) == REFERENCE_CHANGES.column_names
    assert known.units["timezone"].tolist() == ["America/Cuiaba"]


def test_a_table_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="tarifas"):
        Reference.of({"tarifas": rows(reference.TARIFFS)})


def test_each_table_of_the_dictionary_has_its_place() -> None:
    assert set(Reference.of({}).tables()) == {table.name for table in (*reference.TABLES, REFERENCE_CHANGES)}


def test_the_view_of_a_day_is_the_caller_s_own_and_that_of_the_tables_as_they_are() -> None:
    unit = rows(reference.UNITS, {"unit_code": "UCP", "timezone": "America/Cuiaba"})
    known = Reference.of(
        {"units": unit, "vehicles": rows(reference.VEHICLES, {"plate": "AAA1A11", "unit_code": "UCP"})}
    )
    mine = known.vehicles_on(DAY)
    mine["plate"] = "changed"
    for one in (known, pickle.loads(pickle.dumps(known))):  # as the processes of a range of days get it
        assert one.vehicles_on(DAY)["plate"].tolist() == ["AAA1A11"]
        assert one.zones(pd.Series(["AAA1A11", "ZZZ9Z99"], dtype="str"), DAY).tolist() == [
            "America/Cuiaba",
            "America/Sao_Paulo",
        ]
    assert known.with_tables(vehicles=known.vehicles.iloc[:0]).vehicles_on(DAY).empty


def test_a_process_that_sees_a_hundred_days_keeps_the_views_of_few() -> None:
    days = [DAY + dt.timedelta(days=number) for number in range(100)]
    of_one_day = [{"plate": f"AAA1A{number:02}", "valid_from": day, "valid_to": day} for number, day in enumerate(days)]
    known = Reference.of({"vehicles": rows(reference.VEHICLES, *of_one_day)})
    for row, day in zip(of_one_day, days, strict=True):
        assert known.vehicles_on(day)["plate"].tolist() == [row["plate"]]
        known.zones(pd.Series([], dtype="str"), day)
    views = [view for of_name in known.__dict__["_views"].values() for view in of_name.values()]
    assert 16 <= len(views) <= 24, "a range run of eight days, at most with the neighbours that it reads"


def test_days_on_which_the_same_rows_hold_have_one_view_and_a_day_that_differs_its_own() -> None:
    eleventh = DAY + dt.timedelta(days=1)
    known = Reference.of(
        {
            "units": rows(
                reference.UNITS,
                {"unit_code": "UCP", "timezone": "America/Cuiaba"},
                {"unit_code": "UBA", "timezone": "America/Bahia"},
            ),
            "vehicles": rows(
                reference.VEHICLES,
                {"plate": "AAA1A11", "unit_code": "UCP", "contract_id": "K1", "valid_to": DAY},
                {"plate": "AAA1A11", "unit_code": "UBA", "contract_id": "K1", "valid_from": eleventh},
            ),
            "contracts": rows(
                reference.CONTRACTS,
                {"contract_id": "K1", "carrier_code": "T1", "valid_to": eleventh + dt.timedelta(days=1)},
            ),
        }
    )

    def view(number: int) -> tuple[object, ...]:
        day = DAY + dt.timedelta(days=number)
        found = known.vehicles_on(day).iloc[0]
        contract = None if pd.isna(found["contract_id"]) else found["contract_id"]
        return found["unit_code"], contract, known.zones(pd.Series(["AAA1A11"], dtype="str"), day).iloc[0]

    assert [view(number) for number in range(-5, 6)] == [
        *[("UCP", "K1", "America/Cuiaba")] * 6,
        *[("UBA", "K1", "America/Bahia")] * 2,
        *[("UBA", None, "America/Bahia")] * 3,
    ]
    assert {name: len(views) for name, views in known.__dict__["_views"].items()} == {"vehicles": 3, "zones": 2}

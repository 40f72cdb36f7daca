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
    known = Reference.of({})
    for number in range(100):
        known.vehicles_on(DAY + dt.timedelta(days=number))
        known.zones(pd.Series([], dtype="str"), DAY + dt.timedelta(days=number))
    views = [view for of_day in known.__dict__["_views"].values() for view in of_day.values()]
    assert 16 <= len(views) <= 24, "a range run of eight days, at most with the neighbours that it reads"

import pytest

from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import reference
from fleet_audit.schema.facts import REFERENCE_CHANGES
from fleet_audit_tests.logic.frames import rows


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

"""A day has to be run again before a final close when other code, libraries, Python or time zones computed it."""

from __future__ import annotations

import datetime as dt

import pytest

from fleet_audit.closing.code import code_version, computing_versions
from fleet_audit.closing.readiness import unready_days
from fleet_audit.schema.facts import COMPUTED_DAYS
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)
OLDER = computing_versions().replace("pandas ", "pandas 0.")


@pytest.mark.parametrize(
    ("code", "versions", "named"),
    [
        (code_version(), computing_versions(), None),
        (code_version(), OLDER, "pandas 0."),
        ("0.0.1+abc", f"0.0.1+abc{computing_versions().removeprefix(code_version())}", "0.0.1+abc"),
        (code_version(), None, None),  # computed before all versions were recorded
        ("0.0.1+abc", None, "0.0.1+abc"),
    ],
)
def test_what_computed_a_day_otherwise_is_named_alone(
    postgres_url: str, settings: Settings, code: str, versions: str | None, named: str | None
) -> None:
    warehouse = Warehouse(postgres_url)
    rows = sample(COMPUTED_DAYS, DAY, 1).assign(code_version=code, computing_versions=versions)
    warehouse.replace_partition(COMPUTED_DAYS, [DAY], rows, "run")
    found = unready_days(warehouse, Lake(settings), [DAY], computing_versions())
    if named is None:
        assert found == {}
    else:
        assert found[DAY].startswith(f"it was computed by another version ({named}")
        assert ", " not in found[DAY]

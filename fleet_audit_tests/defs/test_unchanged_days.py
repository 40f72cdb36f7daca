"""A day of windows or of devices is computed again when anything that it is made of has changed, and only then."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from unittest.mock import patch

import dagster as dg
import pandas as pd
import pytest
from pydantic import SecretStr

from fleet_audit.closing import code
from fleet_audit.defs.devices.assets import DEVICE_DAYS
from fleet_audit.defs.partitions import daily_partitions
from fleet_audit.defs.resources import FleetResource, run_resources
from fleet_audit.defs.run_tags import RECOMPUTE_TAG
from fleet_audit.defs.tables import WAREHOUSE_IO
from fleet_audit.defs.trips.assets import WINDOWS
from fleet_audit.defs.unchanged_days import Computation, UnchangedDays
from fleet_audit.installation import Installation
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.model import Table
from fleet_audit.schema.rights import RELATION_SCHEMAS
from fleet_audit.storage.table_days import Kept
from fleet_audit_tests.storage.rows import sample

DAY = dt.date(2025, 6, 10)
NEXT = DAY + dt.timedelta(days=1)
BOTH = [DAY, NEXT]


class Fleet(Installation):
    """Computes the windows and devices of both days as a run does, with sample rows as their results.

    `rounded` are the vehicles that windows find to have rounded coordinates; `meanwhile` is what another run does after
    a run has read its inputs.
    """

    rounded: Sequence[str] = ()
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def stage(self, table: Table, day: dt.date, rows: int = 1) -> None:
        self.lake().write_day(table, day, sample(table, day, rows))

    def windows(self) -> list[dt.date]:
        """The days whose windows had to be computed."""
        return self._computed(WINDOWS)

    def devices(self) -> list[dt.date]:
        """The days whose devices had to be computed."""
        return self._computed(DEVICE_DAYS)

    def _computed(self, computation: Computation) -> list[dt.date]:
        known, made = UnchangedDays(self, computation, "a-run"), []
        for day, result in known.computed(BOTH, lambda changed: ((one, "computed") for one in changed)):
            if not isinstance(result, Kept):
                made.append(day)
                for table in computation.results:
                    self._write(table, day)
        self.meanwhile()
        known.record()
        return made

    def _write(self, table: Table, day: dt.date) -> None:
        if table is lake.ROUNDED_VEHICLES:
            found = pd.DataFrame({"date": [day] * len(self.rounded), "plate": [*self.rounded]})
            self.lake().write_day(table, day, conform(found, table))
        elif table.schema in RELATION_SCHEMAS:
            self.warehouse().replace_partition(table, [day], sample(table, day, 1), "a-run")
        else:
            self.stage(table, day)


@pytest.fixture
def fleet(settings, postgres_url) -> Fleet:
    fleet = Fleet(settings.model_copy(update={"warehouse_url": SecretStr(postgres_url)}))
    fleet.stage(lake.STAGING_POSITIONS, DAY)
    assert (fleet.windows(), fleet.devices()) == (BOTH, BOTH)
    assert (fleet.windows(), fleet.devices()) == ([], []), "nothing has changed"
    return fleet


def test_files_of_the_lake_are_ingredients_of_the_days_whose_window_holds_them(fleet):
    fleet.stage(lake.STAGING_POSITIONS, DAY - dt.timedelta(days=2), 2)  # the day after does not reach so far back
    assert (fleet.windows(), fleet.devices()) == ([DAY], [DAY])
    fleet.stage(lake.STAGING_VISIT_LEGS, DAY)
    assert (fleet.windows(), fleet.devices()) == (BOTH, [])
    fleet.stage(lake.STAGING_DECLARED_RUNS, DAY)
    assert (fleet.windows(), fleet.devices()) == ([], BOTH)
    fleet.stage(facts.TRIP_WINDOW, DAY, 3)
    assert fleet.devices() == [DAY]


def test_declared_runs_are_ingredients_of_windows_in_which_their_vehicle_has_rounded_coordinates(fleet):
    """In whichever order: the bulletin before the positions that are rounded, or after them."""
    [plate, other] = sample(lake.STAGING_DECLARED_RUNS, DAY, 2)["plate"]
    fleet.stage(lake.STAGING_DECLARED_RUNS, DAY)
    assert fleet.windows() == []
    fleet.rounded = [plate]
    fleet.stage(lake.STAGING_POSITIONS, DAY, 2)
    assert (fleet.windows(), fleet.windows()) == (BOTH, [])
    fleet.stage(lake.STAGING_DECLARED_RUNS, DAY, 2)
    assert fleet.windows() == [], f"the runs of {other} place no stop"
    fleet.lake().write_day(lake.STAGING_DECLARED_RUNS, DAY, sample(lake.STAGING_DECLARED_RUNS, DAY, 2).iloc[1:])
    assert fleet.windows() == BOTH
    fleet.stage(lake.STAGING_DECLARED_RUNS, DAY, 2)
    assert (fleet.windows(), fleet.windows()) == (BOTH, [])
    fleet.rounded = []
    fleet.stage(lake.STAGING_POSITIONS, DAY)
    assert fleet.windows() == BOTH
    fleet.stage(lake.STAGING_DECLARED_RUNS, DAY)
    assert fleet.windows() == []


@pytest.mark.parametrize("is_rounded", [True, False])
def test_bulletins_that_another_run_stages_meanwhile_are_no_ingredients_of_what_was_computed(fleet, is_rounded):
    """A run locks only its own days, so the bulletins of the days beside them may change while it computes."""
    bulletins = sample(lake.STAGING_DECLARED_RUNS, DAY, 1)
    fleet.rounded = bulletins["plate"] if is_rounded else ()
    fleet.stage(lake.STAGING_POSITIONS, DAY, 2)
    fleet.meanwhile = lambda: fleet.stage(lake.STAGING_DECLARED_RUNS, NEXT + dt.timedelta(days=1))
    assert fleet.windows() == BOTH
    assert fleet.windows() == ([NEXT] if is_rounded else []), "the second run stages the same bulletins again"
    assert fleet.windows() == []


def test_reference_tables_are_ingredients_of_the_computations_that_read_them(fleet):
    for table in (*WINDOWS.reference, reference.TARIFFS, reference.CALENDAR):
        fleet.warehouse().replace_table(table, sample(table, DAY, 1))
        assert fleet.windows() == (BOTH if table in WINDOWS.reference else []), table.name
        assert fleet.devices() == (BOTH if table in DEVICE_DAYS.reference else []), table.name
    tables = UnchangedDays(fleet, DEVICE_DAYS, "a-run").reference.tables()
    assert {name for name, rows in tables.items() if len(rows)} == {"devices", "vehicles", "units", "pois"}


def test_parameters_and_the_code_are_ingredients(fleet):
    row = {"name": "stop_min_s", "value": 200, "valid_from": DAY}
    fleet.warehouse().replace_table(reference.PARAMETERS, conform(pd.DataFrame([row]), reference.PARAMETERS))
    assert (fleet.windows(), fleet.devices()) == (BOTH, BOTH)
    with patch("fleet_audit.defs.unchanged_days.computing_versions", lambda: "0.1.0+another"):
        assert (fleet.windows(), fleet.devices()) == (BOTH, BOTH)


@pytest.mark.parametrize("name", ["numpy", "pandas", "pyarrow", "numba", "shapely"])
def test_an_upgraded_library_is_an_ingredient(name, monkeypatch):
    installed = code.computing_versions()
    monkeypatch.setattr(code, "version", lambda one: "99.9" if one == name else version(one))
    assert code.computing_versions.__wrapped__() == installed.replace(f"{name} {version(name)}", f"{name} 99.9")
    assert f"{name} {version(name)}" in installed


def test_python_and_the_rules_of_time_zones_are_ingredients(tmp_path, monkeypatch):
    installed = code.computing_versions()
    assert f"Python {platform.python_version()}" in installed
    (tmp_path / "tzdata.zi").write_text("# version 2099z\nmore", encoding="utf-8")
    monkeypatch.setattr(code, "TZPATH", [str(tmp_path)])
    assert code.computing_versions.__wrapped__().endswith("time zones # version 2099z")
    monkeypatch.setattr(code, "TZPATH", [str(tmp_path / "absent")])
    assert "2099z" not in code.computing_versions.__wrapped__()


def test_results_that_are_lost_or_damaged_are_computed_again(fleet):
    for table in WINDOWS.results:
        path = fleet.lake().partition_path(table, DAY)
        content = fleet.lake().get_bytes(path)
        fleet.lake().put_bytes(path, content[:-1])
        assert fleet.windows() == [DAY], table.name
        assert fleet.lake().get_bytes(path) == content
    fleet.lake().delete(fleet.lake().partition_path(lake.LEGS, NEXT))
    assert fleet.windows() == [NEXT]
    none = empty_frame(facts.DEVICE_HEALTH)
    fleet.warehouse().replace_partition(facts.DEVICE_HEALTH, [DAY], none, "another-run")
    assert fleet.devices() == [DAY]


def test_a_run_that_is_tagged_so_computes_its_days_again(fleet, postgres_url):
    @dg.asset(partitions_def=daily_partitions, io_manager_key=WAREHOUSE_IO)
    def step() -> None:
        pass

    resources = run_resources(FleetResource(warehouse_url=postgres_url))
    for value, days in (("false", []), ("true", BOTH)):  # NEXT is a neighbour, whose positions are staged again too
        tags = {RECOMPUTE_TAG: value}
        assert dg.materialize([step], partition_key=DAY.isoformat(), resources=resources, tags=tags).success
        assert (fleet.windows(), fleet.devices()) == (days, days)


def test_a_run_that_ended_before_all_was_written_claims_nothing(fleet):
    fleet.stage(lake.STAGING_POSITIONS, DAY, 2)
    known = UnchangedDays(fleet, WINDOWS, "a-run")
    assert list(known.computed([DAY], lambda changed: ((one, "computed") for one in changed))) == [(DAY, "computed")]
    assert fleet.windows() == BOTH

"""Days of a range computed by processes: a report's bytes are the same, and what went wrong names its day."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import signal
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace

import pytest

from fleet_audit.defs.audit.stored_days import StoredDayAudit
from fleet_audit.defs.reports.day_files import DayFiles, DayReportInputs
from fleet_audit.defs.tables import PRELOADED, computed_in_turn, computed_parts
from fleet_audit.defs.vehicle_chunks import FleetCut, computed_vehicles
from fleet_audit.defs.window_positions import DayVehicles
from fleet_audit.errors import PermanentError
from fleet_audit.logic.audit.incomplete import no_incomplete_days
from fleet_audit.logic.costs.budget import Budget
from fleet_audit.logic.primitives.parameters import DEFAULT_PARAMETERS
from fleet_audit.reporting.layout import load_layout
from fleet_audit.schema.facts import DEVICE_HEALTH
from fleet_audit.schema.lake import LEGS
from fleet_audit.settings import Settings
from fleet_audit.storage.io_managers import WarehouseIOManager
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.table_days import LakeDays
from fleet_audit.storage.warehouse import Warehouse
from fleet_audit_tests.logic.driving import world
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, fleet

DAYS = [DAY, DAY + dt.timedelta(days=1)]


@pytest.fixture(autouse=True)
def _two_days_are_a_long_range(monkeypatch):
    monkeypatch.setattr("fleet_audit.defs.tables._POOL_FROM_DAYS", len(DAYS))


def report_inputs(day: dt.date) -> DayReportInputs:
    budget = Budget(Decimal("1200.00"), Decimal("700.00"), Decimal("40.00"), Decimal("20.00"))
    return DayReportInputs(day, fleet(4, first=day), budget, is_shown=day == DAYS[-1])


def killed(day: dt.date) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_reports_have_the_same_bytes():
    work = DayFiles(GENERATED_AT, load_layout(None), 16)
    alone, together = (list(computed_parts(DAYS, report_inputs, work, processes)) for processes in (1, 2))
    assert [(day, files) for day, (files, _) in together] == [(day, files) for day, (files, _) in alone]
    assert [shown is not None for _, (_, shown) in together] == [False, True]


def test_a_process_that_audits_days_gets_what_reads_them_and_starts_without_dagster(tmp_path):
    lake = Lake(Settings(_env_file=None, lake_url=str(tmp_path)))
    stores = SimpleNamespace(lake=lambda: lake, warehouse=lambda: Warehouse("postgresql://127.0.0.1:1/absent"))
    of_lake, of_warehouse = LakeDays(lake, LEGS, DAYS), WarehouseIOManager(stores)._days(DEVICE_HEALTH, DAYS)
    work = StoredDayAudit(*[of_lake] * 5, of_warehouse, of_lake, of_lake, no_incomplete_days(), world())
    script = "import importlib, pickle, sys; [*map(importlib.import_module, sys.argv[1:])]; "
    script += "print(type(pickle.load(sys.stdin.buffer)).__name__, 'dagster' in sys.modules)"
    started = [sys.executable, "-c", script, *PRELOADED]
    shown = subprocess.run(started, input=pickle.dumps(work), stdout=subprocess.PIPE, check=True)
    assert shown.stdout.split() == [b"StoredDayAudit", b"False"]


def test_an_error_names_its_day():
    wrong = {DAYS[0]: report_inputs(DAYS[0]), DAYS[1]: DayReportInputs(DAYS[1], fleet(4), Budget(*[None] * 4), False)}
    computed = computed_parts(DAYS, wrong.__getitem__, DayFiles(GENERATED_AT, load_layout(None), 16), 2)
    assert next(computed)[0] == DAYS[0]
    with pytest.raises(ValueError, match="day") as raised:
        next(computed)
    assert f"The day was {DAYS[1]}." in raised.value.__notes__


def test_a_killed_process_is_one_sentence_with_a_cure():
    with pytest.raises(PermanentError, match=f"computed {DAYS[0]} or .*FLEET_DAY_PROCESSES to less than 2, and run"):
        list(computed_parts(DAYS, lambda day: day, killed, 2))


def test_a_killed_process_that_worked_alone_blames_no_other():
    with pytest.raises(PermanentError, match=r"computed UM was killed, .*FLEET_DAY_PROCESSES to 1, and run"):
        list(computed_in_turn({"UM": DAYS[0]}, killed, are_large=True, what="carrier"))


class Unreadable(str):
    """A text that pickles, but cannot be made again from its text alone."""

    __slots__ = ()

    def __new__(cls, text: str, more: str) -> Unreadable:
        return super().__new__(cls, text + more)


def unreadable(day: dt.date) -> Unreadable:
    return Unreadable(str(day), "x")


def test_a_result_that_cannot_be_read_is_no_lack_of_memory():
    with pytest.raises(
        PermanentError, match=rf"computed of {DAYS[0]} or .* \(TypeError: .*'more'\).* report it"
    ) as raised:
        list(computed_parts(DAYS, lambda day: day, unreadable, 2))
    assert "memory" not in str(raised.value)


class KilledVehicles:
    """Work on vehicles whose process is killed."""

    def files(self, day: dt.date) -> dict[str, int | None]:
        return {}

    def __call__(self, vehicles: DayVehicles) -> None:
        killed(vehicles.day)


def test_so_it_is_where_a_process_computed_a_chunk_of_vehicles():
    fleet_cut, settings = FleetCut(world(), 500), Settings(_env_file=None, day_processes=2)
    with pytest.raises(PermanentError, match=f"computed {DAYS[0]} or .*FLEET_CHUNK_VEHICLES to less, and run it again"):
        list(computed_vehicles(DAYS, fleet_cut, lambda _: DEFAULT_PARAMETERS, KilledVehicles(), {}, settings))

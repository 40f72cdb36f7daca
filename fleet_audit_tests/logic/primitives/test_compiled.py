"""Compiled functions: without rows Python's form returns what the compiled one does, and numba is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_audit.logic.devices import odometer_events, odometer_ratios
from fleet_audit.logic.primitives.compiled import Compiled, remove_unused_folders
from fleet_audit.logic.trips.kernels import movements, odometer, stops

_NO_NUMBERS, _NO_ROWS, _OFFSETS = np.empty(0), np.empty(0, np.int64), np.zeros(4, np.int64)
_TRIPS_OF_VISITS = """
import sys
from fleet_audit_tests.logic.trips.test_trips import Bus, trips_of, visit, visits
bus = Bus()
bus.records.clear()
report = visits(visit("06:00", "06:30"), visit("07:30", "08:00", "21"))
print(trips_of(bus, visits=report)["km"].tolist(), "numba" in sys.modules)
"""

_CALLER = """
import numpy as np
from pathlib import Path
from fleet_audit.logic.primitives import compiled
compiled._LOGIC = Path(".")
from callee import doubled

@compiled.njit(cache=True)
def total(values):
    return doubled(values.sum())

print(total(np.arange(4.0)))
"""
_CALLEE = """
from fleet_audit.logic.primitives.compiled import njit

@njit(cache=True)
def doubled(value):
    return 2 * value
"""


def test_a_caller_is_compiled_again_after_a_change_of_what_it_calls(tmp_path: Path):
    (tmp_path / "caller.py").write_text(_CALLER)
    totals = []
    for callee in (_CALLEE, _CALLEE, _CALLEE.replace("2 * value", "2.5 * value")):
        (tmp_path / "callee.py").write_text(callee)
        command = [sys.executable, "-W", "ignore", "caller.py"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600, cwd=tmp_path)
        totals.append(float(done.stdout))
    assert totals == [12, 12, 15]
    assert len(list(tmp_path.glob("__pycache__/compiled-*"))) == 2


def test_folders_that_no_process_used_for_30_days_are_removed_beside_the_current_one(tmp_path: Path):
    """What else lies there is not numba's; the current one may be as old."""
    for name, days in (("compiled-a", 31), ("compiled-b", 29), ("compiled-c", 31), ("bytecode", 31)):
        (tmp_path / name / "module").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - days * 86_400,) * 2)
    remove_unused_folders(tmp_path / "compiled-c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bytecode", "compiled-b", "compiled-c"]


def test_a_process_that_loads_functions_marks_their_folder_as_used(tmp_path: Path):
    (tmp_path / "callee.py").write_text(_CALLEE)
    (tmp_path / "caller.py").write_text(_CALLER)
    command = [sys.executable, "-W", "ignore", "caller.py"]
    subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=tmp_path)
    (folder,) = tmp_path.glob("__pycache__/compiled-*")
    os.utime(folder, (0, 0))
    subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=tmp_path)
    assert folder.stat().st_mtime > 0


def test_trips_of_visit_reports_alone_do_without_numba():
    command = [sys.executable, "-W", "ignore", "-c", _TRIPS_OF_VISITS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.split("]") == ["[20.0, 21.0", " False\n"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (movements.span_points, (_NO_NUMBERS, np.zeros(1, np.int64), _NO_NUMBERS, _NO_NUMBERS)),
        (movements.count_and_maximum, (_NO_NUMBERS, _NO_ROWS, _NO_ROWS)),
        (stops.medians, (_NO_NUMBERS, _NO_ROWS, _NO_ROWS)),
        (odometer_events.find_faults, (_NO_NUMBERS, _NO_NUMBERS, _OFFSETS, np.zeros(3), 0.1, 5.0, 150.0, 2.0)),
        (
            odometer_ratios.chunk_ratios,
            (*[_NO_NUMBERS] * 4, _NO_ROWS > 0, np.zeros(0, np.float32), _OFFSETS, 10.0, 5.0, 180.0),
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_without_rows_both_forms_return_the_same(function, arguments):
    interpreted, compiled = _forms(function)
    assert _described(interpreted(*arguments)) == _described(compiled(*arguments))


def test_few_rows_that_are_only_rounded_and_compared_give_the_same_bits():
    interpreted, compiled = _forms(odometer.resolutions)
    for digits in (0, 1, 2, 3, 5):
        km = np.random.default_rng(digits).uniform(0, 900_000, 60).round(digits)
        km[::7] = np.nan
        offsets = np.array([0, 20, 20, 60])
        assert interpreted(km, offsets).tobytes() == compiled(km, offsets).tobytes()


def test_with_rows_the_compiled_form_computes():
    twice = Compiled(lambda values: values * 2, {})
    assert twice(np.array([1.5, 2.0])).tolist() == [3.0, 4.0]
    assert type(twice.hand_over()).__module__.startswith("numba")


def test_no_function_of_a_module_is_published_before_those_that_it_calls():
    """Another thread may take one from the module at any time, and numba knows no call of what is not compiled yet."""
    published: list[bool] = []

    class Watched(Compiled):
        def hand_over(self) -> Callable[..., Any]:
            published.append(not all(isinstance(names[name], Compiled) for name in ("outer", "inner")))
            return super().hand_over()

    names: dict[str, Any] = {"Compiled": Compiled, "Watched": Watched}
    exec("outer = Compiled(lambda one: inner(one) + 1, {})\ninner = Watched(lambda one: one * 2, {})", names)
    assert names["outer"](np.array([1.5])).tolist() == [4.0]
    assert published[0] is False
    assert not any(isinstance(names[name], Compiled) for name in ("outer", "inner"))


def _forms(function: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Python's form and the compiled one, whichever stands in the module by now."""
    if isinstance(function, Compiled):
        return function.__wrapped__, function.hand_over()
    return function.py_func, function


def _described(result: object) -> object:
    if isinstance(result, tuple):
        return [_described(one) for one in result]
    return (result.dtype, result.tolist()) if isinstance(result, np.ndarray) else result

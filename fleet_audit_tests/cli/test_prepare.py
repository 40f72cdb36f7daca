"""After an install no run compiles: whatever a run may call is called once when the package is prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from fleet_audit.cli.prepare import make_database_template
from fleet_audit.storage.embedded import template
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import recorded_revision, upgrade

_NEVER_CALLED = """
import importlib, pkgutil
import fleet_audit.logic
from fleet_audit.cli.prepare import compile_functions
from fleet_audit.logic.primitives.compiled import Compiled

found = {}
for module in pkgutil.walk_packages(fleet_audit.logic.__path__, "fleet_audit.logic."):
    for value in vars(importlib.import_module(module.name)).values():
        if isinstance(value, Compiled) and value.__module__ == module.name:
            found[value.__name__] = value
compile_functions()
functions = {name: value.hand_over() for name, value in found.items()}
called_by_others = {name for each in functions.values() for name in each.py_func.__code__.co_names}
print(len(found), sorted(name for name in found.keys() - called_by_others if not functions[name].signatures))
"""


def test_every_compiled_function_is_called_with_its_types():
    command = [sys.executable, "-W", "ignore", "-c", _NEVER_CALLED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    count, never_called = done.stdout.split(maxsplit=1)
    assert int(count) > 30
    assert never_called.strip() == "[]"


def test_a_new_home_starts_with_the_tables_of_the_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(template, "TEMPLATES", tmp_path / "installed")
    make_database_template()
    url = ensure_running(tmp_path / "home")
    assert recorded_revision(url) is not None
    assert not upgrade(url)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from fact.trips")
        assert cursor.fetchone() == (0,)


def test_a_home_is_made_without_a_readable_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed = template.TEMPLATES
    monkeypatch.setattr(template, "TEMPLATES", tmp_path / "installed")
    (tmp_path / "installed").mkdir()
    for path in installed.glob("postgres-*"):
        (tmp_path / "installed" / path.name).write_text("not a folder")
    assert recorded_revision(ensure_running(tmp_path / "home")) is None

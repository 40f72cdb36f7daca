"""Every library that the code imports is declared in pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"fleet_audit", "fleet_audit_tests", "benchmarks"}


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", requirement)[0]).lower()


EXTRAS = PROJECT["optional-dependencies"]
RUNTIME = {_name(one) for one in [*PROJECT["dependencies"], *EXTRAS["otel"], *EXTRAS["spark"]]}  # imported where used
DEVELOPMENT = RUNTIME | {_name(one) for one in EXTRAS["dev"]}


def _imported(folder: str, *, also_below: bool = True) -> dict[str, set[str]]:
    """Distributions that provide each imported module outside of the standard library, by module."""
    provided = packages_distributions()
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).glob("**/*.py" if also_below else "*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for module in {name.partition(".")[0] for name in names} - OURS - set(sys.stdlib_module_names):
                found[module] = {_name(one) for one in provided.get(module, [module])}  # an extra may be absent
    return found


@pytest.mark.parametrize(
    ("folder", "declared", "also_below"),
    [
        ("fleet_audit", RUNTIME, True),
        ("fleet_audit_tests", DEVELOPMENT, True),
        ("docs", DEVELOPMENT, True),
        ("deploy", DEVELOPMENT, True),
        ("benchmarks", DEVELOPMENT, False),  # benchmarks/peers has an environment of its own
    ],
)
def test_every_import_is_declared(folder, declared, also_below):
    imported = _imported(folder, also_below=also_below)
    assert sorted(module for module, distributions in imported.items() if not distributions & declared) == []


def test_what_the_tests_need_of_the_extras_is_installed_with_them():
    assert "fleet-audit[otel]" in EXTRAS["dev"]

"""Every code that rows and files are refused with is in the catalogue, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import fleet_audit
from fleet_audit.formats.reasons import REASONS

ROOT = Path(fleet_audit.__file__).parent
ROOMS = ("formats", "ingest", "access")
FILES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.name != "reasons.py"]
CODE = re.compile(r"^[a-z]+(_[a-z]+)+$")


def _codes(tree: ast.AST) -> Iterator[str]:
    """Constants given to something that refuses, or as `reason_code`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if name.startswith("refuse") or name in ("RejectedFile", "optional"):
                yield from _texts(node.args)
            yield from _texts(keyword.value for keyword in node.keywords if keyword.arg in ("reason_code", "code"))
        elif isinstance(node, ast.Dict):
            yield from _texts(
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "reason_code"
            )


def _texts(nodes: object) -> Iterator[str]:
    for node in nodes:  # type: ignore[attr-defined]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.match(node.value):
            yield node.value


def test_no_code_is_used_that_is_not_explained():
    used = {code for path in FILES for code in _codes(ast.parse(path.read_text()))}
    names = {"billed_km", "max_speed", "next_departure", "polygon_wkt", "rule_id"}  # of columns
    assert len(used) > 15
    assert used - names <= set(REASONS)


def test_no_code_is_explained_that_is_not_used():
    text = "\n".join(path.read_text() for path in FILES)
    assert [code for code in REASONS if f'"{code}"' not in text] == []

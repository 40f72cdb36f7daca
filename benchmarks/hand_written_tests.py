"""Which tests on vehicles written by hand name each rule: a table of the audit-quality report.

The tests themselves are in `fleet_audit_tests/logic/audit`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fleet_audit.logic.audit.rules.registry import RULES

_TESTS = Path(__file__).parents[1] / "fleet_audit_tests" / "logic" / "audit"


def hand_written_tests() -> list[list[object]]:
    """Per rule: its id, the number of test functions that name it or call a helper that does, and their files."""
    named: dict[str, list[str]] = {}
    for path in sorted(_TESTS.rglob("test_*.py")):
        tests, helpers = _functions(path)
        for text in tests:
            reached = [text, *(body for name, body in helpers.items() if re.search(rf"\b{name}\(", text))]
            found = re.findall(r'"([A-Z]\d\d)"|(?<=\bdef test_)([a-z]\d\d)_', "\n".join(reached))
            for rule_id in {"".join(either).upper() for either in found}:
                named.setdefault(rule_id, []).append(path.name)
    rows: list[list[object]] = []
    for rule_id in sorted({rule.rule_id for rule in RULES}):
        files = named.get(rule_id, [])
        rows.append([rule_id, len(files), ", ".join(f"`{name}`" for name in sorted(set(files)))])
    return rows


def _functions(path: Path) -> tuple[list[str], dict[str, str]]:
    """Sources of a module's tests with their decorators, and of its other functions by name."""
    source = path.read_text(encoding="utf-8")
    tests, helpers = [], {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            parts = [ast.get_source_segment(source, part) or "" for part in (*node.decorator_list, node)]
            if node.name.startswith("test_"):
                tests.append("\n".join(parts))
            else:
                helpers[node.name] = parts[-1]
    return tests, helpers

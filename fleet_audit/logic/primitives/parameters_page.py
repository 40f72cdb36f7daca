"""docs/parameters.md from `parameters.DEFAULTS`: every parameter of the rules.

    python -m fleet_audit.logic.primitives.parameters_page > docs/parameters.md

Only the layout of the page belongs here; a test asserts that the page is up to date.
"""

from __future__ import annotations

import sys

from fleet_audit.logic.primitives.parameters import DEFAULTS, Parameter

_HEAD = """# Parameters

Every number of the rules, made from `fleet_audit/logic/primitives/parameters.py` by `make docs`: do not edit this page.

A row of `reference/parameters.csv` (`name`, `value`, `valid_from`, `valid_to`; both days inclusive, empty is open)
changes a default for the days on which it is valid; a row with another name, or a value outside of the limits, is
refused. Each trip carries `parameters_version`, the hash of the
whole set that it was made with; `ops.parameter_versions` lists what a version holds. A default whose source is
"own" was chosen here; the others follow the products named.

| name | default | limits | unit | meaning | source |
|---|---:|---|---|---|---|
"""


def parameters_page() -> str:
    """The page, in Markdown."""
    rows = (
        f"| `{number.name}` | {number.default:g} | {_limits(number)} | {number.unit} | {number.description} | "
        f"{number.source} |"
        for number in DEFAULTS
    )
    return _HEAD + "\n".join(rows) + "\n"


def _limits(number: Parameter) -> str:
    low, high = number.limits
    return f"{low:,.9g} to {high:,.9g}"


if __name__ == "__main__":
    sys.stdout.write(parameters_page())

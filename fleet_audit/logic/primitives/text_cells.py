"""Texts in the cells of spreadsheets: one that would be run as a formula is made harmless.

Which cells are texts, and how a file is written, is known to the reports and formats.
"""

from __future__ import annotations

import re

# Spreadsheets run a cell that begins so, some after spaces: OWASP, CSV injection
FORMULA = re.compile(r"^(?=\s*[=+\-@\t\r])")


def safe_text(text: str) -> str:
    """A text that a spreadsheet would run as a formula with an apostrophe before it; any other as it is."""
    return f"'{text}" if FORMULA.match(text) else text

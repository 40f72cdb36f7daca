"""One pass over a sheet's XML for what the workbook reader does not report: its extent, cells without a result.

Values are read by the library, in `worksheets`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

_REFERENCE = re.compile(r"^([A-Za-z]{1,3})([0-9]{1,7})$")
NO_RESULT = " (no result)"  # after an error
_LONGEST_FORMULA = 200  # characters of a formula that are shown


@dataclass
class SheetScan:
    """Furthest row and column with a value or formula, and by (row, column) what stands in place of a result.

    That is a formula whose result was not stored, or the error that it ended with (`#REF!`), which the reader shows as
    an empty cell. Rows and columns count from 1.
    """

    last_row: int = 0
    last_column: int = 0
    unresolved: dict[tuple[int, int], str] = field(default_factory=dict)


def elements(xml: bytes, tag: str) -> list[dict[str, str]]:
    """The attributes of each element of a name, whatever its namespace prefix. Raises ExpatError."""
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == tag:
            found.append(attributes)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(xml, True)
    return found


def scan_sheet(xml: bytes) -> SheetScan:
    """The scan of one part. Raises ExpatError."""
    handler = _Handler()
    parser = expat.ParserCreate()
    parser.StartElementHandler = handler.start
    if re.search(rb"<(\w+:)?f[\s/>]|\st=[\"']e[\"']", xml):  # the other handlers double the time; few sheets need them
        parser.buffer_text = True
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text
    parser.Parse(xml, True)
    return handler.scan


class _Handler:
    def __init__(self) -> None:
        self.scan = SheetScan()
        self.row = self.column = 0
        self.tag, self.formula = "", ""
        self.has_formula = self.has_value = self.is_error = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if tag == "c":
            reference = _REFERENCE.match(attributes.get("r", ""))
            if reference:
                self.row, self.column = int(reference[2]), _column_number(reference[1])
            else:
                self.column += 1
            self.formula, self.has_formula, self.has_value = "", False, attributes.get("t") == "str"
            self.is_error = attributes.get("t") == "e"
        elif tag in ("v", "is", "f"):
            self.scan.last_row = max(self.scan.last_row, self.row)
            self.scan.last_column = max(self.scan.last_column, self.column)
            self.has_formula = self.has_formula or tag == "f"
            self.has_value = self.has_value or tag == "is"
        elif tag == "row":
            self.row = int(attributes["r"]) if attributes.get("r", "").isdecimal() else self.row + 1
            self.column = 0
        self.tag = tag

    def text(self, text: str) -> None:
        if self.tag == "v" and self.is_error:
            self.scan.unresolved[self.row, self.column] = f"{text[:_LONGEST_FORMULA]}{NO_RESULT}"
        elif self.tag == "v":
            self.has_value = self.has_value or bool(text.strip())
        elif self.tag == "f":
            self.formula += text[:_LONGEST_FORMULA]

    def end(self, name: str) -> None:
        is_unresolved = self.has_formula and not self.has_value and not self.is_error
        if name.rpartition(":")[2] == "c" and is_unresolved:
            self.scan.unresolved[self.row, self.column] = f"={self.formula[:_LONGEST_FORMULA]} (no stored result)"
        self.tag = ""


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number

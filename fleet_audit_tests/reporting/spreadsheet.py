"""A workbook's formulas computed anew from its plain cells, whatever values the file says they have."""

from __future__ import annotations

import io
import re
from decimal import ROUND_HALF_UP, Decimal

import openpyxl

_SUM = re.compile(r"=ROUND\(SUM\((.+?)\)(?:-(-?[\d.]+))?,2\)")
_PRODUCT = re.compile(r"=ROUND\(SUMPRODUCT\((.+)\),2\)")
_EXACT = re.compile(r"EXACT\(([^,]+),([^)]+)\)")
_CENT = Decimal("0.01")


class Recalculated:
    """Cells of a workbook by sheet and address; a formula is computed, a form that is not known is an error."""

    def __init__(self, data: bytes) -> None:
        self._book = openpyxl.load_workbook(io.BytesIO(data))

    def formulas(self) -> list[tuple[str, str]]:
        """Sheet and address of every formula."""
        return [
            (sheet.title, cell.coordinate)
            for sheet in self._book
            for row in sheet.iter_rows()
            for cell in row
            if cell.data_type == "f"
        ]

    def value(self, sheet: str, address: str) -> object:
        """What a cell holds once everything is computed."""
        cell = self._book[sheet][address]
        return self._computed(sheet, cell.value) if cell.data_type == "f" else cell.value

    def _computed(self, sheet: str, formula: str) -> Decimal:
        if found := _SUM.fullmatch(formula):
            numbers = [value for part in found[1].split(",") for value in self._numbers(sheet, part)]
            result = sum(numbers, Decimal(0)) - Decimal(found[2] or 0)
        elif found := _PRODUCT.fullmatch(formula):
            *tests, values = re.split(r"\*(?=EXACT|')", found[1])
            keys = [_EXACT.fullmatch(test).groups() for test in tests]
            wanted = [[value == self.value(sheet, one) for value in self._values(sheet, many)] for many, one in keys]
            numbers = [Decimal(str(value or 0)) for value in self._values(sheet, values)]
            result = sum((n for n, *hits in zip(numbers, *wanted, strict=True) if all(hits)), Decimal(0))
        else:
            raise ValueError(f"{formula} is of no form that is known here")
        return result.quantize(_CENT, ROUND_HALF_UP)

    def _values(self, sheet: str, reference: str) -> list[object]:
        name, _, area = reference.rpartition("!")
        name = name.strip("'") or sheet
        found = self._book[name][area.replace("$", "")]
        cells = [cell for row in found for cell in row] if isinstance(found, tuple) else [found]
        return [self.value(name, cell.coordinate) for cell in cells]

    def _numbers(self, sheet: str, reference: str) -> list[Decimal]:
        return [Decimal(str(v)) for v in self._values(sheet, reference) if isinstance(v, (int, float, Decimal))]

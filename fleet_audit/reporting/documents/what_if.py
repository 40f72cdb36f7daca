"""The delta statement of a what-if: what a cycle billed, what it would bill, and the difference, per contract.

The amounts come from `logic.closing.what_if`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.formats.xlsx import Workbook
from fleet_audit.reporting.labels import NO_CARRIER

_SIDES = (("before", "antes"), ("after", "depois"), ("difference", "diferença"))
_BILL = (
    ("km", "Km admitidos", Kind.KM),
    ("variable_brl", "Variável (R$)", Kind.BRL),
    ("fixed_brl", "Fixo (R$)", Kind.BRL),
    ("total_brl", "Total (R$)", Kind.BRL),
)
_AMOUNTS = (
    ("paid_doubtful_brl", "Pago e em dúvida (R$)", Kind.BRL),
    ("disallowed_brl", "Glosa (R$)", Kind.BRL),
    ("held_brl", "Retido (R$)", Kind.BRL),
    ("in_favour_brl", "A favor (R$)", Kind.BRL),
)
_NO_CONTRACT = "Sem contrato"
AMOUNTS_NOTE = (
    "Os quatro valores incluem as regras de cada dia e as do ciclo inteiro, como no relatório mensal, sem contar um "
    "quilômetro duas vezes; nunca se somam."
)


def bill_grid(statement: pd.DataFrame) -> Grid:
    """`bill_differences` as a table: one row per carrier and contract, then the total."""
    fields = (
        Field("carrier_code", "Transportadora", width=16),
        Field("contract_id", "Contrato", width=16),
        *_sided(_BILL),
        Field("unpriced_before", "Viagens sem preço antes", Kind.INTEGER, 12),
        Field("unpriced_after", "Viagens sem preço depois", Kind.INTEGER, 12),
    )
    missing = {"carrier_code": NO_CARRIER, "contract_id": _NO_CONTRACT}
    return _grid(fields, statement, missing)


def amount_grid(statement: pd.DataFrame) -> Grid:
    """`amount_differences` as a table; the four amounts are never added up."""
    fields = (Field("carrier_code", "Transportadora", width=16), *_sided(_AMOUNTS))
    return _grid(fields, statement, {"carrier_code": NO_CARRIER})


def unpriced_note(statement: pd.DataFrame) -> str:
    """Sentence on the trips that no side bills; empty when every trip has a price on both."""
    before, after = (int(statement[f"unpriced_{side}"].sum()) for side in ("before", "after"))
    if not before and not after:
        return ""
    counts = " e ".join(
        f"{locale.counted(count, 'viagem', 'viagens')} {side}"
        for count, side in ((before, "antes"), (after, "depois"))
        if count
    )
    return f"Sem preço: {counts}. O custo delas não é conhecido e não está em nenhuma diferença."


def statement_title(cycle: Cycle) -> str:
    """Title of the statement."""
    return f"Simulação do ciclo de {locale.day(cycle.start)} a {locale.day(cycle.end)}"


def statement_workbook(title: str, grids: dict[str, Grid], notes: list[str], created_at: dt.datetime) -> bytes:
    """The statement as a workbook: each table on a sheet of its own, then what was changed and what to know."""
    book = Workbook(title, created_at)
    for name, grid in grids.items():
        book.data_sheets(name, grid)
    sheet = book.sheet("Premissas")
    sheet.set_column(0, 0, 110)
    for row, note in enumerate([title, *notes]):
        sheet.write_string(row, 0, note, book.style(text_wrap=True))
    return book.to_bytes()


def _sided(quantities: tuple[tuple[str, str, Kind], ...]) -> list[Field]:
    return [
        Field(f"{name}_{side}", f"{label} {word}", kind, 14, is_summed=True)
        for name, label, kind in quantities
        for side, word in _SIDES
    ]


def _grid(fields: tuple[Field, ...], statement: pd.DataFrame, missing: dict[str, str]) -> Grid:
    rows: list[dict[str, Any]] = [
        {name: missing.get(name) if pd.isna(value) else value for name, value in row.items()}
        for row in statement.to_dict("records")
    ]
    total: dict[str, Any] = {
        entry.name: sum_decimal(statement[entry.name]) for entry in fields if entry.kind in (Kind.KM, Kind.BRL)
    }
    counts = {entry.name: int(statement[entry.name].sum()) for entry in fields if entry.kind is Kind.INTEGER}
    return grid_of(fields, rows, {"carrier_code": "Total", **total, **counts})

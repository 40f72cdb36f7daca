"""Rows of a reference table that are legible and may not be used: a parameter outside of its limits, a blank cheque.

Types and closed lists are checked in `reference_file`, overlapping rows in `validity`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from fleet_audit.formats.table.text_table import TextTable
from fleet_audit.logic.costs.invoices import are_credit_notes
from fleet_audit.logic.primitives.parameters import parameter_fault

_SCOPE = ("rule_id", "plate", "carrier_code", "unit_code", "route_code")


def refuse_by_content(table_name: str, rows: pd.DataFrame, text: TextTable) -> None:
    """Refuse the rows that the table's own rule excludes; a table without one keeps all.

    Args:
        table_name: the reference table.
        rows: its typed rows, in the file's order; cells that could not be read are null.
        text: the table as read; its quarantine takes the refused rows.
    """
    if table_name in _RULES:
        _RULES[table_name](rows, text)


def _refuse_parameters(rows: pd.DataFrame, text: TextTable) -> None:
    faults = [
        None if pd.isna(name) or pd.isna(value) else parameter_fault(name, float(value))
        for name, value in zip(rows["name"], rows["value"], strict=True)
    ]
    reasons = pd.Series([f"{fault}." for fault in faults], index=rows.index, dtype=object)
    text.quarantine.refuse([fault is not None for fault in faults], "out_of_range", reasons)


def _refuse_exceptions(rows: pd.DataFrame, text: TextTable) -> None:
    """Refuse exceptions without an end, those that cover every finding, and those that name no rule, which cover
    none; who approved it is a required column.
    """
    from fleet_audit.logic.audit.rules.registry import RULES  # all rules, which few files need

    rule = rows["rule_id"]
    is_rule = rule.isin([each.rule_id for each in RULES]) | rule.isna()
    text.quarantine.refuse_value(~is_rule, "bad_value", "rule_id", text.column("rule_id"), "not one rule, such as D01")
    text.quarantine.refuse(
        text.column("date_to").eq(""),
        "unlimited_exception",
        "The exception has no end: write its last day in date_to, and renew it when that comes.",
    )
    text.quarantine.refuse(
        rows[list(_SCOPE)].isna().all(axis=1),
        "unlimited_exception",
        f"The exception covers everything: name at least one of {', '.join(_SCOPE)}.",
    )


def _refuse_invoices(rows: pd.DataFrame, text: TextTable) -> None:
    """Refuse lines without a plate, or with km below zero, that are not credit notes: such a line is a total."""
    is_line = ~are_credit_notes(rows)
    text.quarantine.refuse_missing("plate", text.column("plate").mask(~is_line, "credit note"))
    km = text.column("billed_km")
    text.quarantine.refuse_negative("billed_km", km, rows["billed_km"].mask(~is_line))


def _refuse_reviews(rows: pd.DataFrame, text: TextTable) -> None:
    is_empty = text.column("audited_km").eq("") & text.column("audited_brl").eq("")
    text.quarantine.refuse(is_empty, "missing_value", "audited_km and audited_brl are empty: write one of them.")


_RULES: Mapping[str, Callable[[pd.DataFrame, TextTable], None]] = {
    "parameters": _refuse_parameters,
    "exceptions": _refuse_exceptions,
    "invoices": _refuse_invoices,
    "sample_reviews": _refuse_reviews,
}

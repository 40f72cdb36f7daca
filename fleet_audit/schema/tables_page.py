"""docs/tables.md from the column dictionary: every table, column, unit, domain and key, for people.

    python -m fleet_audit.schema.tables_page > docs/tables.md

Only the page's form belongs here; a test asserts that the page is up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.model import Column, Table

_HEAD = """# Tables

Every table and lake data set, made from `fleet_audit/schema/` by `make docs`: do not edit this page.
The SQL models that BI tools read (schema `mart`) are in [marts.md](marts.md).

Names end in their unit (`_km`, `_brl`, `_pct`, `_s`, `_m`); instants end in `_at` and are UTC, local calendar days in
`_date`; booleans start with `is_` or `has_`. km are `numeric(12, 2)`, BRL `numeric(14, 2)`, rates `numeric(12, 4)`,
percentages are written 10 for 10 %. A column is never empty unless marked nullable; a day without data
is empty, not zero.
"""
_SECTIONS: tuple[tuple[str, str, tuple[Table, ...]], ...] = (
    ("Reference (`ref`, PostgreSQL)", "Contracts and places, as `reference/<table>.csv` gives them.", reference.TABLES),
    ("What arrived and what ran (`ops`, PostgreSQL)", "One row per file, per rejected row, per stage.", facts.OPS),
    (
        "Results (`fact`, PostgreSQL)",
        "One partition is one `operational_date`, or one cycle by its `cycle_start`; a run replaces it.",
        (*facts.FACTS, *facts.CYCLE_FACTS),
    ),
    (
        "Lake (Parquet)",
        "`<schema>/<table>/date=YYYY-MM-DD/`, zstd; `parsed` tables hold one file's rows, by the SHA-256 of its bytes.",
        (*lake.TABLES, facts.TRIP_WINDOW),
    ),
)


def tables_page() -> str:
    """The page, in Markdown."""
    contents = [
        f"- {title}: " + ", ".join(f"[{table.name}](#{_anchor(table)})" for table in _ordered(tables))
        for title, _, tables in _SECTIONS
    ]
    parts = [_HEAD, "\n".join(contents) + "\n"]
    for title, sentence, tables in _SECTIONS:
        parts.append(f"## {title}\n\n{sentence}\n")
        parts += [_table(table) for table in _ordered(tables)]
    return "\n".join(parts)


def _ordered(tables: Iterable[Table]) -> list[Table]:
    return sorted(tables, key=lambda table: table.full_name)


def _anchor(table: Table) -> str:
    return table.full_name.replace(".", "")


def _table(table: Table) -> str:
    sentences = [f"{table.description}."]
    if table.key:
        sentences.append(f"Key: {_names(table.key)}.")
    if table.partition:
        sentences.append(f"Partition: `{table.partition}`.")
    lines = [
        f"### {table.full_name}",
        "",
        " ".join(sentences),
        "",
        "| column | type | meaning |",
        "|---|---|---|",
        *(f"| `{column.name}` | {_type(column)} | {_meaning(column)} |" for column in table.columns),
        "",
    ]
    return "\n".join(lines)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _type(column: Column) -> str:
    return f"{column.type.value}, may be empty" if column.nullable else column.type.value


def _meaning(column: Column) -> str:
    text = column.description.replace("|", "\\|")
    if column.unit and column.unit not in ("UTC", "local time"):
        text += f" [{column.unit}]"
    if column.values:
        text += f": {_names(column.values)}"
    limits = [
        f"{word} {value:g}" for word, value in (("≥", column.minimum), ("≤", column.maximum)) if value is not None
    ]
    return f"{text} ({', '.join(limits)})" if limits else text


if __name__ == "__main__":
    sys.stdout.write(tables_page())

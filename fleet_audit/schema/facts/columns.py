"""What tables of results share: trace columns, the day and the cycle of a row, and the four amounts.

Tables are in the modules of their subjects.
"""

from __future__ import annotations

from fleet_audit.schema.model import Column, Table, brl, date, instant, text

TRACE = (text("run_id", "Dagster run that wrote the row"), instant("updated_at", "When it was written"))

DAY = date("operational_date", "Local day, in the unit's zone, on which it starts (partition)")


def fact_table(
    name: str,
    description: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    sort: tuple[str, ...] = (),
    added: tuple[Column, ...] = (),
) -> Table:
    """A fact table; `added` columns came with a later migration, which PostgreSQL appends after the trace columns."""
    return Table(
        "fact",
        name,
        description,
        (*columns, *TRACE, *added),
        key=key,
        partition="operational_date",
        sort=sort or key,
        frozen_by="operational_date",
    )


CYCLE = date("cycle_start", "Cycle that a rule over a whole cycle judged; empty for a rule of one day", nullable=True)
AMOUNTS = ("paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl")
AMOUNT_COLUMNS = (
    brl("paid_doubtful_brl", "Payable by the facts, but evidence shows that less is owed", nullable=True, minimum=0),
    brl("disallowed_brl", "Declared beyond what is admitted, at the rate that applies", nullable=True, minimum=0),
    brl("held_brl", "Declared and not verifiable", nullable=True, minimum=0),
    brl("in_favour_brl", "Owed to the carrier beyond what was declared or measured", nullable=True, minimum=0),
)

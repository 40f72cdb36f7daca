"""Tables of the column dictionary by name.

Only the look-up belongs here; the tables themselves are in `reference`, `facts` and `lake`.
"""

from __future__ import annotations

from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.model import Table

TABLES: dict[str, Table] = {table.address: table for table in (*reference.TABLES, *facts.TABLES, *lake.TABLES)}


def table(full_name: str) -> Table:
    """The table called `schema.name`, e.g. `fact.trips`; KeyError when there is none."""
    try:
        return TABLES[full_name]
    except KeyError:
        raise KeyError(f"{full_name} is not a table of the column dictionary") from None

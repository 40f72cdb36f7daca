"""The tables of docs/simulation.md, from the catalogue.

    python -m fleet_audit.simulation.catalogue_page

Only text is made here; the words around the tables are in the page itself.
"""

from __future__ import annotations

from fleet_audit.simulation.catalogue import BAD_DEVICES, FRAUDS, TRAPS, Kind


def table(kinds: tuple[Kind, ...]) -> str:
    """A Markdown table of kinds."""
    rows = [f"| `{kind.name}` | {kind.where} | {kind.meaning} | {kind.rule_id or '–'} |" for kind in kinds]
    return "\n".join(["| name | planted in | what | rule |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    for kinds in (TRAPS, FRAUDS, BAD_DEVICES):
        print(table(kinds), end="\n\n")

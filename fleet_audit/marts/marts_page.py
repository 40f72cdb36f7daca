"""docs/marts.md from the folder `dbt_like_sql`: every SQL model with its columns and tests, for people.

    python -m fleet_audit.marts.marts_page > docs/marts.md

The layout of the page belongs here; a test asserts that the page is up to date.
"""

from __future__ import annotations

import sys

from fleet_audit.marts.model import ColumnDocument, Model
from fleet_audit.marts.project import load_project
from fleet_audit.marts.testing import claim

_HEAD = """# Marts

What BI tools read: the SQL models of `dbt_like_sql/`, schema `mart`. Made from their `schema.yml` by `make docs`: do
not edit this page. A table is replaced day by day with the run that publishes it; a view is always current. Every claim
of the last column is a check that runs with the model.
"""


def marts_page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(_model(model) for model in load_project().models)])


def _model(model: Model) -> str:
    sources = ", ".join(f"`{relation}`" for relation in model.reads)
    form = "View" if model.is_view else "Table"
    lines = [
        f"## {model.relation}",
        "",
        f"{_one_line(model.description).rstrip('.')}. {form} over {sources}.",
        "",
        "| column | meaning | checked |",
        "|---|---|---|",
        *(f"| `{column.name}` | {_one_line(column.description)} | {_claims(column)} |" for column in model.columns),
        "",
    ]
    return "\n".join(lines)


def _claims(column: ColumnDocument) -> str:
    return "; ".join(_one_line(claim(test)) for test in column.tests)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(marts_page())

"""Sentences of the command line: text for a terminal, or JSON lines on stderr where FLEET_LOG_FORMAT asks for them.

What a command returns (rows, a document, the path of a file) is not a sentence: the command prints it to stdout.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from fleet_audit.settings import wants_json_lines

_LOGGER = "fleet_audit.cli"
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red"}


def set_up_lines() -> None:
    """Makes every line that this process logs JSON where FLEET_LOG_FORMAT asks for it."""
    if not wants_json_lines():
        return
    from fleet_audit.observability.json_logs import log_as_json

    log_as_json(logging.getLogger())
    logging.getLogger(_LOGGER).setLevel(logging.INFO)


def write_progress(line: str) -> None:
    """Writes how far a command is."""
    if not _is_logged(line):
        click.echo(f"  {line}", err=True)


def write_result(sentence: str) -> None:
    """Writes what a command did; a terminal has it on stdout."""
    if not _is_logged(sentence):
        click.echo(sentence)


def write_warning(sentence: str) -> None:
    """Writes what the operator should look at."""
    if not _is_logged(sentence, logging.WARNING):
        click.echo(f"warning: {sentence}", err=True)


def write_error(sentence: str, label: str = "error") -> None:
    """Writes why a command failed, on a terminal with a label."""
    if not _is_logged(sentence, logging.ERROR):
        click.echo(f"{label}: {sentence}", err=True)


def write_labelled(label: str, sentence: str, level: int = logging.INFO) -> None:
    """Writes a line of a summary: on a terminal in a column beside its label, coloured from WARNING on."""
    if not _is_logged(f"{label}: {sentence}", level):
        from rich.console import Console

        console = Console(highlight=False, markup=False)  # names of files may hold brackets
        console.print(f"{label:14} {sentence}", soft_wrap=True, style=_STYLES.get(level))


def write_figures(title: str, figures: Sequence[tuple[str, str]]) -> None:
    """Writes names and values: a table on a terminal, else one line with the field `figures`."""
    if _is_logged(title, figures=dict(figures)):
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", title=title, show_header=False, title_justify="left")
    table.columns[1].justify = "right"
    for name, value in figures:
        table.add_row(name, value)
    Console(highlight=False).print(table)


def _is_logged(message: str, level: int = logging.INFO, **fields: object) -> bool:
    """Logs a JSON line where the settings ask for it; whether they do."""
    if not wants_json_lines():
        return False
    from fleet_audit.observability.json_logs import known_fields

    set_up_lines()
    with known_fields(**fields):
        logging.getLogger(_LOGGER).log(level, "%s", message)
    return True

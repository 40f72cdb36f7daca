"""`fleet-audit what-if`: a past cycle under other parameters, tariffs or contracts, and the difference in R$.

What a scenario changes and what it is compared with is in `closing.what_if`; amounts are in `logic.closing.what_if`.
"""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fleet_audit.cli.commands.options import home_option
from fleet_audit.cli.lines import write_progress, write_result, write_warning
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

    from fleet_audit.closing.what_if import Scenario
    from fleet_audit.installation import Installation
    from fleet_audit.logic.primitives.cycles import Cycle
    from fleet_audit.logic.primitives.parameters import ParameterSet
    from fleet_audit.reporting.document_model import Grid
    from fleet_audit.storage.stores import Stores

_FILE = click.Path(path_type=Path, dir_okay=False)
_SCREEN_CHARACTERS = 180  # of a statement that is not printed on a terminal
# In the file only: a screen has room for both sides of the total and for what each part of it adds.
_NOT_ON_SCREEN = frozenset(
    ("km_difference", "variable_brl_before", "variable_brl_after", "fixed_brl_before", "fixed_brl_after")
)


@dataclass(frozen=True)
class Statement:
    """The result: `bill` per carrier and contract, `amounts` per carrier (None: not computed again), `warnings`."""

    title: str
    bill: pd.DataFrame
    amounts: pd.DataFrame | None
    notes: list[str]
    warnings: list[str] = field(default_factory=list)


@click.command(
    "what-if",
    epilog="Example: fleet-audit what-if --cycle 2025-05 --tariffs tarifas_propostas.csv --out simulacao.xlsx",
)
@click.option("--cycle", "cycle_text", required=True, help="The cycle that starts in a month (YYYY-MM) or on a day.")
@click.option("--set", "changes", multiple=True, metavar="PARAMETER=VALUE", help="As docs/parameters.md names it.")
@click.option("--tariffs", type=_FILE, help="A table as reference/tariffs.csv, in place of the one in force.")
@click.option("--contracts", type=_FILE, help="A table as reference/contracts.csv, in place of the one in force.")
@click.option("--recompute", is_flag=True, help="Compute trips and findings again too, as --set always does.")
@click.option("--out", type=_FILE, help="Write the statement to a .csv or .xlsx file as well.")
@home_option
def what_if(
    cycle_text: str, changes: tuple[str, ...], tariffs: Path | None, contracts: Path | None, recompute: bool,
    out: Path | None, home: str | None,
) -> None:  # fmt: skip
    """Compute a past cycle under other parameters, tariffs or contracts and print what it changes (in Portuguese).

    Nothing of the installation changes. Other tariffs and contracts price the cycle's trips again; --set computes
    the whole cycle again from the archive, in a folder of its own that is removed afterwards.
    """
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.closing.what_if import read_scenario

    if out is not None and out.suffix.lower() not in (".csv", ".xlsx"):
        raise PermanentError(f"--out {out} is neither a .csv nor a .xlsx file: name one of them.")
    settings = load_settings(home=home)
    files = {name: path for name, path in (("tariffs", tariffs), ("contracts", contracts)) if path is not None}
    scenario = read_scenario(changes, files, settings)
    export_settings(settings)
    statement = compute_statement(settings, cycle_text, scenario, is_whole=recompute or bool(scenario.parameters))
    for sentence in statement.warnings:
        write_warning(sentence)
    _show(statement)
    if out is not None:
        _write(statement, out)
        write_result(f"Gravado em {out}.")


def compute_statement(settings: Settings, cycle_text: str, scenario: Scenario, *, is_whole: bool) -> Statement:
    """The cycle as it was billed beside the cycle under the scenario.

    Args:
        settings: of the installation, which is only read.
        cycle_text: as `--cycle` names it.
        scenario: what differs.
        is_whole: compute trips and findings again too, in an installation of its own.

    Raises PermanentError when the cycle has no data, or the scenario names what does not exist.
    """
    from fleet_audit.closing.audited_cycle import current_amounts, recomputed_amounts
    from fleet_audit.closing.what_if import (
        changed_reference,
        contracts_with_own,
        cycle_named,
        cycle_rows,
        days_with_data,
        drift_sentence,
    )
    from fleet_audit.installation import Installation
    from fleet_audit.logic.closing.what_if import amount_differences, bill_by_contract, bill_differences, priced_again
    from fleet_audit.reporting.documents.what_if import AMOUNTS_NOTE, statement_title, unpriced_note

    installation = Installation(settings)
    stores, known = installation.stores(), installation.reference()
    cycle = cycle_named(cycle_text, settings.closing_day)
    days = days_with_data(stores.warehouse, cycle)
    changed, parameters = changed_reference(known, scenario), installation.parameters(days[-1])
    for name in scenario.parameters:  # first: the computation of a month takes minutes
        own, all_of_them = contracts_with_own(name, changed.contracts, cycle)
        if own:
            write_warning(
                f"{own} of {all_of_them} contracts state their own {name}: --set does not change it there; give "
                "--contracts a table that states another."
            )
    rows = cycle_rows(stores.warehouse, days)
    before, amounts = bill_by_contract(rows, known, cycle), None
    if is_whole:
        scratch = _computed_elsewhere(settings, stores, cycle, days, scenario)
        again = cycle_rows(scratch.stores().warehouse, days)
        changed = scratch.reference()
        recomputed = recomputed_amounts(
            scratch.warehouse(), scratch.stores().lake, changed, scratch.parameters, cycle, past=stores.warehouse
        )
        current = current_amounts(stores.warehouse, stores.lake, known, installation.parameters, cycle)
        amounts = amount_differences(current, recomputed)
        warnings = _outdated_days(stores, days)
    else:
        again = priced_again(rows, days, changed, cycle, parameters)
        warnings = [sentence for sentence in [drift_sentence(rows, days, known, cycle, parameters)] if sentence]
    bill = bill_differences(before, bill_by_contract(again, changed, cycle))
    notes = [*_premises(scenario, parameters), f"Dias calculados: {len(days)} de {cycle.length}.", unpriced_note(bill)]
    notes += [] if amounts is None else [AMOUNTS_NOTE]
    return Statement(statement_title(cycle), bill, amounts, [note for note in notes if note], warnings)


def _computed_elsewhere(
    settings: Settings, source: Stores, cycle: Cycle, days: list[dt.date], scenario: Scenario
) -> Installation:
    """The cycle computed under the scenario in an installation of its own, which the end of the process removes."""
    from fleet_audit.cli.replay import passing_home, use_home
    from fleet_audit.cli.run import run_days
    from fleet_audit.closing.scratch import fill, inputs_as_of
    from fleet_audit.closing.what_if import computed_days, deliver_scenario, inputs_until
    from fleet_audit.ingest.inbox.file_days import spans_of
    from fleet_audit.installation import Installation
    from fleet_audit.logic.primitives.cycles import ONE_DAY
    from fleet_audit.schema.reference import PARAMETERS

    instant = inputs_until(source, cycle)
    inputs, overrides = inputs_as_of(source, instant), source.warehouse.read_table(PARAMETERS)
    # rules look back, at most over ratio_days: without these days the cycle's first ones would lack their findings
    lead = int(Installation(settings).parameters(cycle.start).ratio_days)
    before = computed_days(source.warehouse, cycle.start - lead * ONE_DAY, cycle.start - ONE_DAY)
    scratch = Installation(use_home(passing_home(settings, "what-if", cycle.start), {}))
    fill(scratch.stores(), source, *inputs)
    deliver_scenario(scratch.stores(), scenario, overrides)
    for first, last in spans_of([*before, *days]):
        result = run_days(scratch.settings(), first, last, write_progress, is_published=False)
        if result.errors:
            raise PermanentError(f"The cycle cannot be computed under this scenario: {result.errors[0]}")
    return scratch


def _outdated_days(stores: Stores, days: list[dt.date]) -> list[str]:
    """Sentence on days whose rows are not those that the same inputs give today: the differences include that."""
    from fleet_audit.closing.code import computing_versions
    from fleet_audit.closing.readiness import unready_days

    reasons = unready_days(stores.warehouse, stores.lake, days, computing_versions())
    if not reasons:
        return []
    day, reason = next(iter(reasons.items()))
    return [
        f"{len(reasons)} of {len(days)} days do not hold what a run would compute today (of {day}: {reason}); the "
        "differences include that."
    ]


def _premises(scenario: Scenario, parameters: ParameterSet) -> list[str]:
    from fleet_audit.reporting.locale import plain

    changed = [
        f"{name} = {plain(Decimal(str(value)))} em vez de {plain(Decimal(str(getattr(parameters, name))))}"
        for name, value in scenario.parameters.items()
    ]
    files = {"tariffs": "Tarifas", "contracts": "Contratos"}
    return [f"Parâmetro: {text}." for text in changed] + [
        f"{files[name]}: tabela informada, com {len(rows)} linhas, no lugar da vigente."
        for name, rows in scenario.tables.items()
    ]


def _show(statement: Statement) -> None:
    from rich.console import Console
    from rich.table import Table

    from fleet_audit.reporting.document_model import NUMERIC, written

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _SCREEN_CHARACTERS)
    console.print(statement.title)
    for grid in _grids(statement).values():
        if not grid.rows:
            continue
        table = Table()
        shown = [index for index, entry in enumerate(grid.fields) if entry.name not in _NOT_ON_SCREEN]
        for index in shown:
            is_number = grid.fields[index].kind in NUMERIC
            table.add_column(grid.fields[index].label, justify="right" if is_number else "left", overflow="fold")
        for row in [*grid.rows, grid.total]:
            assert row is not None
            table.add_row(*(written(row[index], grid.fields[index].kind, missing="–") for index in shown))
        console.print(table)
    for note in statement.notes:
        console.print(note, soft_wrap=True)


def _grids(statement: Statement) -> dict[str, Grid]:
    """The tables of the statement, by the name of their sheet."""
    from fleet_audit.reporting.documents.what_if import amount_grid, bill_grid

    amounts = {} if statement.amounts is None else {"Constatações": amount_grid(statement.amounts)}
    return {"Diferença por contrato": bill_grid(statement.bill), **amounts}


def _write(statement: Statement, out: Path) -> None:
    """Write the statement: as .csv the bill per contract, as .xlsx all tables. Raises PermanentError when it cannot."""
    from fleet_audit.reporting.documents.what_if import statement_workbook
    from fleet_audit.reporting.formats.csv import grid_csv

    grids = _grids(statement)
    if out.suffix.lower() == ".csv":
        content = grid_csv(next(iter(grids.values())))
    else:
        content = statement_workbook(statement.title, grids, statement.notes, dt.datetime.now(dt.UTC))
    try:
        out.write_bytes(content)
    except OSError as error:
        raise PermanentError(f"--out {out} cannot be written ({error.strerror}): name another file.") from None

"""What a what-if changes, read and checked, and the rows of a cycle that it is compared with.

The amounts are computed in `logic.closing.what_if`; a run of the whole cycle elsewhere is in `cli.what_if`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pandas as pd

from fleet_audit.closing.freezing import existing_close
from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.ingest.files import parse_inbox_file
from fleet_audit.ingest.inbox.file_reader import ingest_archived
from fleet_audit.logic.closing.what_if import bill_by_contract, priced_again
from fleet_audit.logic.costs.billing_lines import CycleDays
from fleet_audit.logic.primitives.cycles import Cycle, as_days, cycle_of
from fleet_audit.logic.primitives.parameters import ParameterSet, parameter_fault
from fleet_audit.logic.reference.changes import first_dangling
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import validity
from fleet_audit.schema import facts, reference
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse

_DAYS = {
    "trips": facts.TRIPS,
    "trip_costs": facts.TRIP_COSTS,
    "fixed_cost_days": facts.FIXED_COST_DAYS,
    "coverage": facts.COVERAGE,
}
# What a row of the file must find in other tables; whatever points at the file may lose its target: that is asked.
_PARENTS = {"tariffs": ("contracts", "routes"), "contracts": ("carriers", "units")}


@dataclass(frozen=True)
class Scenario:
    """What differs from the past: `parameters` by name, `tables` typed and `files` (name, bytes) by table name."""

    parameters: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


def read_scenario(changes: Sequence[str], files: Mapping[str, Path], settings: Settings) -> Scenario:
    """The scenario that the options name.

    Args:
        changes: texts `parameter=value`.
        files: a file per table name; one bad row refuses the file, because a sum without it answers another question.
        settings: of the installation: largest file that is read.

    Raises PermanentError with one sentence on the first text, file or row that cannot be used.
    """
    parameters: dict[str, float] = {}
    for text in changes:
        name, value = _setting(text)
        if name in parameters:
            raise PermanentError(f"--set names {name} twice: keep one of them.")
        parameters[name] = value
    tables, contents = {}, {}
    for table, path in files.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PermanentError(f"--{table} {path} cannot be read ({error.strerror}).") from None
        contents[table] = (f"reference/{table}{path.suffix.lower()}", content)
        tables[table] = _rows(f"--{table} {path.name}", *contents[table], settings)
    if not parameters and not tables:
        raise PermanentError("Nothing differs from the past: give --set parameter=value, --tariffs or --contracts.")
    return Scenario(parameters, tables, contents)


def _setting(text: str) -> tuple[str, float]:
    name, sign, written = (part.strip() for part in text.partition("="))
    if not sign or not re.fullmatch(r"[a-z0-9_]+", name):
        raise PermanentError(f"--set {text[:80]!r} is not parameter=value, such as trip_tolerance_pct=8.")
    try:
        value = float(written.replace(",", "."))
    except ValueError:
        raise PermanentError(f"--set {name}: {written[:80]!r} is not a number.") from None
    fault = parameter_fault(name, value)
    if fault:
        raise PermanentError(f"--set: {fault}.")
    return name, value


def _rows(option: str, name: str, content: bytes, settings: Settings) -> pd.DataFrame:
    now = dt.datetime.now(dt.UTC)
    try:
        parsed = parse_inbox_file(InboxFile("reference", name, len(content), now), content, settings, now)
    except RejectedFile as error:
        raise PermanentError(f"{option}: {error}") from None
    if len(parsed.rejected):
        first = parsed.rejected.sort_values("row_number").iloc[0]
        others = len(parsed.rejected) - 1
        more = f" ({others} more rows or values are refused)" if others else ""
        raise PermanentError(f"{option}, row {first['row_number']}: {first['reason']}{more}")
    if parsed.rows.empty:
        raise PermanentError(f"{option} has no rows.")
    return parsed.rows


def changed_reference(known: Reference, scenario: Scenario) -> Reference:
    """The reference with the scenario's tables. Raises PermanentError when a row of these names what does not exist."""
    changed = known.with_tables(**scenario.tables)
    tables = changed.tables()
    for name in scenario.tables:
        asked = {each: tables[each] for each in (name, *_PARENTS[name]) if len(tables[each])}
        dangling = first_dangling(asked, {each: reference.BY_NAME[each].key for each in asked})
        if dangling is not None and dangling.child == name:
            raise PermanentError(f"--{name}: {dangling.sentence}.")
    return changed


def cycle_named(text: str, closing_day: int) -> Cycle:
    """The cycle that starts in a month (YYYY-MM), or on a day (YYYY-MM-DD).

    Raises PermanentError when the text is neither, or no cycle starts on that day.
    """
    try:
        month = dt.date.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else text)
    except ValueError:
        raise PermanentError(f"--cycle {text[:40]!r} is neither a month such as 2025-05 nor a day.") from None
    day = month if len(text) > 7 else month.replace(day=closing_day)
    cycle = cycle_of(day, closing_day)
    if cycle.start != day:
        raise PermanentError(f"No cycle starts on {day}: that day is of the cycle that starts on {cycle.start}.")
    return cycle


def computed_days(warehouse: Warehouse, first: dt.date, last: dt.date) -> list[dt.date]:
    """The days of a span whose money was computed to the end, in order."""
    return warehouse.read(
        "select operational_date from ops.computed_days where operational_date between :first and :last order by 1",
        {"first": first, "last": last},
    )["operational_date"].to_list()


def days_with_data(warehouse: Warehouse, cycle: Cycle) -> list[dt.date]:
    """The computed days of a cycle. Raises PermanentError when there are none."""
    days = computed_days(warehouse, cycle.start, cycle.end)
    if not days:
        raise PermanentError(
            f"The cycle {cycle.start} to {cycle.end} has no computed day: run its days before, with fleet-audit run."
        )
    return days


def cycle_rows(warehouse: Warehouse, days: Sequence[dt.date]) -> CycleDays:
    """The rows that bill these days."""
    return CycleDays(**{name: warehouse.read_partition(table, days) for name, table in _DAYS.items()})


def drift_sentence(
    rows: CycleDays, days: Sequence[dt.date], known: Reference, cycle: Cycle, parameters: ParameterSet
) -> str | None:
    """Sentence when the reference as it is now already bills the cycle otherwise; None when it does not.

    Of a closed cycle the reference may have changed since: that part of a difference is not the scenario's.
    """
    now = bill_by_contract(priced_again(rows, days, known, cycle, parameters), known, cycle)
    cents = int(now["total_brl"].sum() - bill_by_contract(rows, known, cycle)["total_brl"].sum())
    if not cents:
        return None
    return (
        f"The reference tables changed after the cycle was computed: without the scenario it would already differ by "
        f"R$ {Decimal(cents) / 100:+.2f}, which the differences include."
    )


def contracts_with_own(parameter: str, contracts: pd.DataFrame, cycle: Cycle) -> tuple[int, int]:
    """How many of the contracts valid in a cycle state the parameter's value themselves, and how many there are."""
    starts, ends = validity(contracts)
    valid = contracts[(starts <= as_days(cycle.end)) & (as_days(cycle.start) <= ends)]
    own = valid.loc[valid[parameter].notna(), "contract_id"].nunique() if parameter in valid else 0
    return own, valid["contract_id"].nunique()


def inputs_until(stores: Stores, cycle: Cycle) -> dt.datetime:
    """Instant whose inputs make the cycle's rows: the final close, else now."""
    record = existing_close(stores.warehouse, cycle.start, "final")
    return dt.datetime.now(dt.UTC) if record is None else record["closed_at"]


def deliver_scenario(stores: Stores, scenario: Scenario, parameters: pd.DataFrame) -> None:
    """Put the scenario into an installation of its own, as the newest delivery of each table.

    Args:
        stores: the installation.
        scenario: what differs.
        parameters: `ref.parameters` of the past; its rows of other parameters stay.
    """
    files = dict(scenario.files)
    if scenario.parameters:
        kept = parameters[~parameters["name"].isin(list(scenario.parameters))]
        added = pd.DataFrame({"name": list(scenario.parameters), "value": list(scenario.parameters.values())})
        content = pd.concat([kept.astype(object), added.astype(object)]).to_csv(index=False).encode()
        files["parameters"] = ("reference/parameters.csv", content)
    now = dt.datetime.now(dt.UTC)
    for name, content in files.values():
        ingest_archived(stores.lake, stores.warehouse, stores.settings, "reference", name, content, now)

"""Days on which a source is missing by our own fault: a file that was refused, a carrier without a bulletin.

What would rest on such a source is not tested on that day (RULES 4.2); which rules do is in `logic.audit`. Which days
and vehicles a refused file concerns is in `refused_files`; stretches that the telemetry API did not answer are in
`api_windows`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fleet_audit.formats.reasons import REASONS
from fleet_audit.logic.primitives.cycles import days_between
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import INCOMPLETE_DAYS
from fleet_audit.schema.partition import partition_day
from fleet_audit.storage.warehouse import Warehouse

ALL_CARRIERS, NO_FILE = "", ""
_COLUMNS = ["operational_date", "source", "carrier_code", "file_name", "reason_pt"]

NO_LATER_VERSION = """not exists (
        select from ops.ingested_files as later
        where later.file_name = refused.file_name and later.received_at > refused.received_at
            and later.status in ('accepted', 'partial')
    )"""
# A refused file counts until the same name, or the same bytes in another folder, are accepted.
STILL_REFUSED = f"""refused.status = 'rejected'
    and {NO_LATER_VERSION}
    and not exists (
        select from ops.ingested_files as moved
        where moved.file_sha256 = refused.file_sha256 and moved.status in ('accepted', 'partial')
    )"""
_LONGEST_WINDOW = 31  # days before an arrival, however long positions may be late
_SEPARATOR = r"[-_. ]?"
_YEAR, _MONTH, _DAY = r"(?P<year>20\d\d)", r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATES = [
    re.compile(rf"(?<!\d){_SEPARATOR.join(parts)}(?!\d)") for parts in ((_YEAR, _MONTH, _DAY), (_DAY, _MONTH, _YEAR))
]


def incomplete_days(
    refused: pd.DataFrame, declared_runs: pd.DataFrame, reference: Reference, day: dt.date
) -> pd.DataFrame:
    """`ops.incomplete_days` of a day.

    Args:
        refused: `refused_files.refused_vehicle_days` of days that include this one.
        declared_runs: plate, carrier_code of the runs that bulletins declare for the day.
        reference: vehicles and carriers.
        day: the operational day.
    """
    found = refused.loc[refused["operational_date"] == day, [*_COLUMNS, "plates"]]
    missing = missing_bulletins(declared_runs, reference.vehicles_on(day), reference.carriers, day)
    return conform(
        pd.concat([found, missing], ignore_index=True).assign(run_id="", updated_at=pd.Timestamp.now("UTC")),
        INCOMPLETE_DAYS,
    )


def stated_days(file: Any) -> set[dt.date]:
    """The days in the name of a file; else those of its accepted versions; none where neither has any."""
    named = dates_in_name(str(file.file_name))
    if named:
        return set(named)
    first, last = file.first_date, file.last_date
    if pd.isna(first):
        return set()
    return set(days_between(first, last))


def late_window(received_at: dt.datetime, late_hours: float) -> set[dt.date]:
    """The days that a file in which no day is legible can be of: its arrival's, and those before.

    Daily files are sent the day after, and positions may be late.
    """
    before = min(1 + math.ceil(late_hours / 24), _LONGEST_WINDOW)
    arrived = partition_day(received_at)
    return {arrived - dt.timedelta(days=at) for at in range(before + 1)}


def days_if_refused(warehouse: Warehouse, file_name: str, received_at: dt.datetime, late_hours: float) -> set[dt.date]:
    """The days that become incomplete when a file in which no day is legible, received at this instant, is refused."""
    found = warehouse.read(
        "select :file_name as file_name, min(first_date) as first_date, max(last_date) as last_date "
        "from ops.ingested_files where file_name = :file_name and status in ('accepted', 'partial')",
        {"file_name": file_name},
    )
    (row,) = found.itertuples()
    return stated_days(row) or late_window(received_at, late_hours)


def dates_in_name(name: str) -> list[dt.date]:
    """Dates in a path, as year, month, day or day, month, year, with or without separators; in order."""
    found = []
    for pattern in _DATES:
        for match in pattern.finditer(name):
            try:
                found.append(dt.date(int(match["year"]), int(match["month"]), int(match["day"])))
            except ValueError:
                continue  # 31 February
    return sorted(set(found))


def missing_bulletins(
    declared_runs: pd.DataFrame, vehicles: pd.DataFrame, carriers: pd.DataFrame, day: dt.date
) -> pd.DataFrame:
    """A row per carrier that has vehicles on the day and declares no run for it.

    Args:
        declared_runs: plate, carrier_code of the day's runs.
        vehicles: plate, carrier_code of the vehicles valid on the day.
        carriers: carrier_code, name.
        day: the operational day.
    """
    carrier_of = dict(zip(vehicles["plate"], vehicles["carrier_code"], strict=True))
    declaring = {*declared_runs["carrier_code"].dropna(), *declared_runs["plate"].map(carrier_of).dropna()}
    names = dict(zip(carriers["carrier_code"], carriers["name"], strict=True))
    missing: Sequence[str] = sorted(set(vehicles["carrier_code"].dropna()) - declaring)
    rows = [(day, "bulletin", code, NO_FILE, missing_pt(names.get(code) or code, day)) for code in missing]
    return pd.DataFrame(rows, columns=_COLUMNS)


def refusal_pt(file_name: str, reason_code: str | None) -> str:
    """Why a day is incomplete when its file was refused, and what to do."""
    reason = REASONS[reason_code].meaning_pt if reason_code in REASONS else "arquivo ilegível"
    return f"O arquivo {file_name} foi recusado ({reason}). Envie-o corrigido com o mesmo nome."


def missing_pt(carrier: str, day: dt.date) -> str:
    """Why a day is incomplete when a carrier sent no bulletin for it."""
    return f"A transportadora {carrier} não enviou boletim de {day:%d/%m/%Y}."

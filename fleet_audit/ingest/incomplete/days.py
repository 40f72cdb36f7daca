"""Days on which a source is missing by our own fault: a file that was refused, a carrier without a bulletin.

What would rest on such a source is not tested on that day (RULES 4.2); which rules do is in `logic.audit`. Stretches
that the telemetry API did not answer are in `api_windows`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fleet_audit.formats.reasons import REASONS
from fleet_audit.ingest.files import DAMAGED
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import INCOMPLETE_DAYS
from fleet_audit.schema.partition import PARTITION_ZONE
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
_REFUSED = f"""
select refused.file_sha256, refused.file_name, refused.kind, refused.reason_code, refused.received_at,
    refused.size_bytes, case when refused.reason_code = '{DAMAGED}' then null else refused.archive_path end
        as archive_path,
    min(older.first_date) as first_date, max(older.last_date) as last_date
from ops.ingested_files as refused
left join ops.ingested_files as older
    on older.file_name = refused.file_name and older.status in ('accepted', 'partial')
where refused.kind <> 'reference' and {STILL_REFUSED}
group by refused.file_sha256, refused.file_name, refused.kind, refused.reason_code, refused.received_at,
    refused.size_bytes, refused.archive_path
order by refused.received_at, refused.file_name
"""  # noqa: S608
_SEPARATOR = r"[-_. ]?"
_YEAR, _MONTH, _DAY = r"(?P<year>20\d\d)", r"(?P<month>0[1-9]|1[0-2])", r"(?P<day>0[1-9]|[12]\d|3[01])"
_DATES = [
    re.compile(rf"(?<!\d){_SEPARATOR.join(parts)}(?!\d)") for parts in ((_YEAR, _MONTH, _DAY), (_DAY, _MONTH, _YEAR))
]


def incomplete_days(
    warehouse: Warehouse, declared_runs: pd.DataFrame, reference: Reference, day: dt.date
) -> pd.DataFrame:
    """`ops.incomplete_days` of a day.

    Args:
        warehouse: its files that were refused are read.
        declared_runs: plate, carrier_code of the runs that bulletins declare for the day.
        reference: vehicles and carriers.
        day: the operational day.
    """
    refused = [row for row in warehouse.read(_REFUSED, {}).itertuples() if day in refused_days(row)]
    rows = [(day, row.kind, ALL_CARRIERS, row.file_name, refusal_pt(row.file_name, row.reason_code)) for row in refused]
    found = pd.DataFrame(rows, columns=_COLUMNS).drop_duplicates(["source", "file_name"], keep="last")
    missing = missing_bulletins(declared_runs, reference.vehicles_on(day), reference.carriers, day)
    return conform(
        pd.concat([found, missing], ignore_index=True).assign(run_id="", updated_at=pd.Timestamp.now("UTC")),
        INCOMPLETE_DAYS,
    )


def refused_files(warehouse: Warehouse, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Files that were refused and should have contained a day from first to last, in order of arrival.

    Columns: file_sha256, file_name, kind, received_at, archive_path, reason_code, size_bytes; archive_path is null
    where the archive does not have the bytes, which could not be read or were damaged. Without these files a repeated
    run would take their days for complete.
    """
    rows = warehouse.read(_REFUSED, {})
    touches = [any(first <= day <= last for day in refused_days(row)) for row in rows.itertuples()]
    columns = ["file_sha256", "file_name", "kind", "received_at", "archive_path", "reason_code", "size_bytes"]
    return rows.loc[np.array(touches, dtype=bool), columns]


def refused_days(file: object) -> set[dt.date]:
    """The days that a refused file should have contained, as far as can be known without reading it.

    The days in its name; else those of an accepted version of the same name; else the day before it arrived, because
    daily files are sent the day after.
    """
    named = dates_in_name(str(file.file_name))  # type: ignore[attr-defined]
    if named:
        return set(named)
    first, last = file.first_date, file.last_date  # type: ignore[attr-defined]
    if not pd.isna(first):
        return {first + dt.timedelta(days=at) for at in range((last - first).days + 1)}
    received = file.received_at.tz_convert(ZoneInfo(PARTITION_ZONE)).date()  # type: ignore[attr-defined]
    return {received - dt.timedelta(days=1)}


def days_if_refused(warehouse: Warehouse, file_name: str, received_at: dt.datetime) -> set[dt.date]:
    """The days that become incomplete when a file of this name, received at this instant, is refused."""
    found = warehouse.read(
        "select :file_name as file_name, min(first_date) as first_date, max(last_date) as last_date "
        "from ops.ingested_files where file_name = :file_name and status in ('accepted', 'partial')",
        {"file_name": file_name},
    )
    (row,) = found.assign(received_at=pd.Timestamp(received_at)).itertuples()
    return refused_days(row)


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

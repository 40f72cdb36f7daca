"""Files of which nothing was accepted: refused whole, or each of their rows; and the vehicle-days that they concern.

Of their text only days and names are read (`formats.legible`). Rows that were refused beside accepted ones are in
`vehicles`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.legible import LegibleText
from fleet_audit.ingest.files import DAMAGED, archived_bytes, file_limits, legible_text
from fleet_audit.ingest.incomplete.days import (
    ALL_CARRIERS,
    NO_LATER_VERSION,
    STILL_REFUSED,
    late_window,
    refusal_pt,
    stated_days,
)
from fleet_audit.logic.primitives.identity import fold
from fleet_audit.logic.reference.plate_forms import registered_forms
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.settings import Settings
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse

_COLUMNS = ["operational_date", "source", "carrier_code", "file_name", "reason_pt", "plates"]
# A file has no days after its arrival. One whose rows were all refused, none with a legible day, is like one that
# was refused whole: it is accepted in part as `ops.ingested_files` counts.
_REFUSED = f"""
select refused.file_sha256, refused.file_name, refused.kind, refused.status, refused.reason_code, refused.received_at,
    refused.size_bytes, case when refused.reason_code = '{DAMAGED}' then null else refused.archive_path end
        as archive_path,
    min(older.first_date) as first_date, max(older.last_date) as last_date
from ops.ingested_files as refused
left join ops.ingested_files as older
    on older.file_name = refused.file_name and older.status in ('accepted', 'partial')
where refused.kind <> 'reference' and refused.received_at >= :since
    and ({STILL_REFUSED}
        or refused.status = 'partial' and refused.rows_accepted = 0 and refused.first_date is null
        and {NO_LATER_VERSION})
group by refused.file_sha256, refused.file_name, refused.kind, refused.status, refused.reason_code, refused.received_at,
    refused.size_bytes, refused.archive_path
order by refused.received_at, refused.file_name
"""  # noqa: S608


def refused_vehicle_days(stores: Stores, reference: Reference, days: Sequence[dt.date]) -> pd.DataFrame:
    """operational_date, source, carrier_code, file_name, reason_pt, plates (null: all) of files not accepted.

    A file concerns the vehicles and days that its rows name, and each vehicle on the days of rows beside these that
    name none; else the vehicles that it names, or all, on the days that `stated_days` and its text give. Where no day
    is legible it concerns the days from the late window before its arrival on, and each vehicle on its own: one of
    whose day other files show all is tested (`logic.audit`). Versions of one name concern what any of them does.
    """
    plates = {plate: plate for plate in reference.vehicles["plate"]} | registered_forms(reference.vehicles)
    devices = {device: device for device in reference.devices["device_id"].astype(str)}
    named = reference.carriers[["carrier_code", "name"]].dropna()
    carriers = {fold(name): code for code, name in named.itertuples(index=False)}
    carriers |= {fold(code): code for code in reference.carrier_codes}
    found: dict[tuple[dt.date, str, str], tuple[str, set[str]]] = {}
    for file in _unaccepted(stores.warehouse, min(days)).itertuples():
        known = devices if file.kind == "telemetry" else plates
        text = _text(stores, file, known, carriers if file.kind == "bulletin" else {})
        for day in sorted(_days(file, text, stores.settings).intersection(days)):
            concerned = _plates(file, text, reference, day)
            if concerned is not None:
                key, reason = (day, file.kind, file.file_name), refusal_pt(file.file_name, file.reason_code)
                before = found[key][1] if key in found else concerned
                found[key] = reason, concerned | before if concerned and before else set()
    rows = [
        (day, kind, ALL_CARRIERS, name, reason, ",".join(sorted(plates)) or None)
        for (day, kind, name), (reason, plates) in found.items()
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def refused_files(stores: Stores, first: dt.date, last: dt.date) -> pd.DataFrame:
    """Files of which nothing was accepted and that may have contained a day from first to last, in order of arrival.

    Columns: file_sha256, file_name, kind, received_at, archive_path, reason_code, size_bytes; archive_path is null
    where the archive does not have the bytes, which could not be read or were damaged. Without these files a repeated
    run would take their days for complete.
    """
    rows = _unaccepted(stores.warehouse, first)
    touches = []
    for file in rows.itertuples():
        text = _text(stores, file, {}, {})
        touches.append(any(first <= day <= last for day in _days(file, text, stores.settings)))
    columns = ["file_sha256", "file_name", "kind", "received_at", "archive_path", "reason_code", "size_bytes"]
    return rows.loc[np.array(touches, dtype=bool), columns]


def _unaccepted(warehouse: Warehouse, since: dt.date) -> pd.DataFrame:
    return warehouse.read(_REFUSED, {"since": since})


def _text(stores: Stores, file: Any, known: Mapping[str, str], carriers: Mapping[str, str]) -> LegibleText:
    """What is legible of a file; nothing where the archive does not have its bytes."""
    path, sha256 = file.archive_path, file.file_sha256
    if pd.isna(path) or file.size_bytes > file_limits(stores.settings).max_bytes:
        return LegibleText()
    try:
        content = archived_bytes(stores.lake, path, sha256)
    except PermanentError:
        return LegibleText()
    return legible_text(file.kind, content, stores.settings, file.received_at, known, carriers)


def _days(file: Any, text: LegibleText, settings: Settings) -> set[dt.date]:
    """The days that a file concerns: those of its rows, where some name vehicles; else also its `stated_days`.

    A date in a name may be that of the export: rows that name vehicles and days know better.
    """
    if text.named:
        return {day for day, _ in text.named} | text.unnamed
    return stated_days(file) | text.days or late_window(file.received_at, settings.late_hours)


def _plates(file: Any, text: LegibleText, reference: Reference, day: dt.date) -> set[str] | None:
    """Plates that a file concerns on one of its days; an empty set for all as one, None for no vehicle.

    Runs and movements that were refused one by one concern the vehicles that they name only; an id of telemetry may be
    refused because a spreadsheet spoilt it. What a bulletin names illegibly is of the carriers that it is of.
    """
    vehicles = reference.vehicles_on(day)
    valid = set(vehicles["plate"])
    is_of_rows = file.status == "partial" and file.kind != "telemetry"
    own = _plates_of_carriers(vehicles, text) if file.kind == "bulletin" else set()
    if day in text.unnamed and not is_of_rows:
        return own or valid or None
    names = {name for date, name in text.named if date == day} or set(text.names)
    if not names and is_of_rows:
        return None
    if not names and own:
        return own
    if not names:
        return set() if stated_days(file) or text.days else valid or None
    if file.kind == "telemetry":
        devices = valid_on(reference.devices, day)
        names = set(devices.loc[devices["device_id"].astype(str).isin(list(names)), "plate"])
    return valid & names or None


def _plates_of_carriers(vehicles: pd.DataFrame, text: LegibleText) -> set[str]:
    """The vehicles of the carriers whose bulletin it is: those that its cells name, and those of the plates in it.

    One plate of no vehicle in a refused bulletin left the runs of every carrier untested (D07, D10). A code of one
    letter or of digits may be a shift or a number of the bulletin, and alone names nobody.
    """
    if not text.names and all(len(code) == 1 or code.isdigit() for code in text.carriers):
        return set()
    of_plates = vehicles.loc[vehicles["plate"].isin(list(text.names)), "carrier_code"]
    carriers = {*text.carriers, *of_plates.dropna()}
    return set(vehicles.loc[vehicles["carrier_code"].isin(list(carriers)), "plate"])

"""Deliveries of reference tables: the version of each in force, its history, and the days that a change touches.

Differences of two versions are computed in `logic.reference.changes`; the asset writes the tables in `ref`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet_audit.errors import PermanentError
from fleet_audit.ingest.files import DAMAGED
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.journal import record_refusal
from fleet_audit.ingest.reference.delivered_files import newest_versions
from fleet_audit.ingest.reference.history import open_rows, record_version
from fleet_audit.ingest.reference.records import Delivery, Records
from fleet_audit.ingest.reference.touched_days import record_totals_before
from fleet_audit.logic.reference.changes import exceptions_of_nobody, first_dangling, row_keys
from fleet_audit.logic.reference.plate_forms import registered_forms, with_registered_plates
from fleet_audit.schema import reference
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

_KEYS = {table.name: table.key for table in reference.TABLES}
_COMPARED_VERSIONS = 2  # the newest one, and the one that stays in force when it is refused
_CONFLICTS = ("overlapping_validity", "duplicate_key")


@dataclass(frozen=True)
class Published:
    """The versions in force, sentences on refused versions, computed days that changed, sentences on idle rows."""

    in_force: Mapping[str, Delivery]
    refused: Mapping[str, str]
    touched: Mapping[str, list[dt.date]]
    excluded: Sequence[str] = ()


def publish(parsed: ParsedFiles, run_id: str) -> Published:
    """Decide which version of each table is in force, and record what is known from now on and what it touches.

    A new version with overlapping rows or dangling keys is refused while there is an older one to stay in force; a
    first one is taken as it is, because nothing could be computed without.

    Raises PermanentError when the archived bytes of a newest version are damaged: no money is computed by older terms.
    """
    warehouse, lake, closing_day = parsed.warehouse, parsed.lake, parsed.settings.closing_day
    files = newest_versions(warehouse, _COMPARED_VERSIONS, with_damaged=True)
    known_rows = open_rows(warehouse)
    versions: dict[str, list[Delivery]] = {}
    for name, table in reference.BY_NAME.items():
        rows = files[files["table_name"] == name].to_dict("records")[-_COMPARED_VERSIONS:]
        if rows and rows[-1]["reason_code"] == DAMAGED:
            raise PermanentError(str(rows[-1]["message"]))
        rows = [row for row in rows if row["reason_code"] != DAMAGED]
        versions[name] = [Delivery(table, row, parsed.read(table, row["file_sha256"])) for row in rows]
        if rows and rows[-1]["file_sha256"] in parsed.damaged:
            raise PermanentError(parsed.damaged[rows[-1]["file_sha256"]])
    excluded = _name_registered_plates(versions)
    known = {name: set(known_rows.loc[known_rows["table_name"] == name, "row_key"]) for name in reference.BY_NAME}
    is_new = {
        name: bool(found) and bool(known[name]) and set(row_keys(found[-1].table, found[-1].rows)) != known[name]
        for name, found in versions.items()
    }
    is_judged = {name: bool(known[name]) and len(found) > 1 for name, found in versions.items()}
    refused = _refuse(warehouse, lake, versions, is_judged, is_new)
    in_force = {name: found[-1] for name, found in versions.items() if found}
    records = Records(warehouse, lake)
    delivered = {
        name: delivery.rows
        for name, delivery in in_force.items()
        if set(row_keys(delivery.table, delivery.rows)) != known[name]
    }
    touched = {
        name: record_version(records, known_rows, versions[name], delivered, closing_day, run_id) for name in delivered
    }
    days = sorted({day for each in touched.values() for day in each})
    if days:
        record_totals_before(records, days, [name for name, each in touched.items() if each], run_id)
    ineffective = exceptions_of_nobody({name: delivery.rows for name, delivery in in_force.items()})
    return Published(in_force, refused, touched, [*excluded, *ineffective])


def _name_registered_plates(versions: dict[str, list[Delivery]]) -> list[str]:
    """Give every plate the form that the newest vehicles have; returns sentences on excluded rows.

    A vehicle whose plate changed to the Mercosul form is one vehicle in all tables. The rows of a table then
    depend on the vehicles too: where these have another form of a plate, its rows are recorded as of their arrival.
    """
    vehicles = versions[reference.VEHICLES.name]
    forms = registered_forms(vehicles[-1].rows) if vehicles else {}
    excluded: list[str] = []
    for name, found in versions.items() if forms else ():
        for number, delivery in enumerate(found):
            rows, sentences = with_registered_plates(delivery.table, delivery.rows, forms)
            is_renamed = not rows.equals(delivery.rows)
            received_at = max(delivery.file["received_at"], vehicles[-1].file["received_at"])
            file = {**delivery.file, "received_at": received_at} if is_renamed else delivery.file
            versions[name][number] = Delivery(delivery.table, file, rows)
            excluded += sentences
    return excluded


def _refuse(
    warehouse: Warehouse,
    lake: Lake,
    versions: dict[str, list[Delivery]],
    is_judged: Mapping[str, bool],
    is_new: Mapping[str, bool],
) -> dict[str, str]:
    """Remove newest versions that are refused and record them as rejected; returns a sentence per file name.

    A version whose accepted rows are those in force is refused as well when another of its rows overlaps.
    """
    refused: dict[str, str] = {}

    def refuse(name: str, reason: str) -> None:
        delivery = versions[name].pop()
        refused[str(delivery.file["file_name"])] = message = f"{reason}; the version before stays in force."
        sha256, file_name = str(delivery.file["file_sha256"]), str(delivery.file["file_name"])
        record_refusal(lake, sha256, file_name, message)
        mark_refused(warehouse, sha256, file_name, message)

    for name in sorted(name for name, judged in is_judged.items() if judged):
        conflict = warehouse.read(
            "select reason from ops.rejected_rows where file_sha256 = :sha256 and reason_code = any(:codes) "
            "order by row_number limit 1",
            {"sha256": versions[name][-1].file["file_sha256"], "codes": list(_CONFLICTS)},
        )
        if len(conflict):
            refuse(name, str(conflict["reason"].iloc[0]).rstrip("."))
    candidates = {name for name, found in versions.items() if is_new[name] and len(found) > 1}
    while candidates:
        dangling = first_dangling({name: found[-1].rows for name, found in versions.items() if found}, _KEYS)
        if dangling is None:
            break
        guilty = dangling.child if dangling.child in candidates else dangling.parent
        if guilty not in candidates:
            break  # neither is new: it was like this when nothing else could be in force
        refuse(guilty, dangling.sentence)
        candidates = candidates - {guilty}
    return refused


def mark_refused(warehouse: Warehouse, sha256: str, name: str, message: str) -> None:
    """Record a version of a reference table as refused, after it was accepted by itself."""
    warehouse.execute(
        "update ops.ingested_files set status = 'rejected', message = :message "
        "where file_sha256 = :sha256 and file_name = :name",
        {"message": message, "sha256": sha256, "name": name},
    )

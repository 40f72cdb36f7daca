"""Close of a cycle: the manifest of its inputs, parameters, code and outputs, and the record that freezes its rows.

What is digested and when a cycle may be closed is in `logic.closing`; repeating a close is in `replay`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.closing.archive import archive_close, is_manifest_of
from fleet_audit.closing.code import code_version, computing_versions
from fleet_audit.closing.frozen_rows import ROWS_OF_A_CYCLE, day_rows, rows_of_cycle
from fleet_audit.closing.readiness import unready_days
from fleet_audit.errors import PermanentError
from fleet_audit.ingest.api.pages import archived_pages
from fleet_audit.ingest.incomplete.refused_files import refused_files
from fleet_audit.ingest.reference.delivered_files import newest_versions
from fleet_audit.logic.closing.admitted_km import admitted_km, counts_unpriced
from fleet_audit.logic.closing.manifest import canonical_rows, combined, digest, digested
from fleet_audit.logic.primitives.cycles import Cycle, cycle_days, days_between
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.window import file_span, staged_span
from fleet_audit.schema import facts
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.stores import Stores
from fleet_audit.storage.warehouse import Warehouse

Parameters = Callable[[dt.date], ParameterSet]
_FORMAT = 1
_LISTED_DAYS = 10


def existing_close(warehouse: Warehouse, start: dt.date, status: str) -> dict[str, Any] | None:
    """The record of a close, or None."""
    rows = warehouse.read_dated(facts.CYCLE_CLOSES, "cycle_start", [start])
    found = rows[(rows["status"] == status).to_numpy()]
    return None if found.empty else found.to_dict("records")[0]


def closed_starts(warehouse: Warehouse) -> set[dt.date]:
    """First days of the cycles that are closed for good."""
    return set(warehouse.read("select cycle_start from ops.cycle_closes where status = 'final'", {})["cycle_start"])


def closed_with_unpriced(warehouse: Warehouse, cycle: Cycle) -> bool:
    """Whether the final close of a cycle counted km of trips without a price: its adjustments then count them too."""
    close = existing_close(warehouse, cycle.start, "final")
    return close is not None and counts_unpriced(
        close["total_km"], warehouse.read_partition(facts.TRIP_COSTS, cycle_days(cycle))
    )


def close_cycle(
    stores: Stores, cycle: Cycle, days: Sequence[dt.date], parameters: Parameters, run_id: str, *, is_final: bool
) -> dict[str, Any]:
    """Closes a cycle and returns its record; a final close that exists already stays as it is.

    Args:
        stores: lake, warehouse and settings.
        cycle: the cycle; days: those of its days that can be run.
        parameters: the set in force on a day.
        run_id: the run that closes.
        is_final: freeze it; a provisional close freezes nothing.

    Raises PermanentError, naming them, when a final close meets days that do not hold what is known now.
    """
    warehouse = stores.warehouse
    final = existing_close(warehouse, cycle.start, "final")
    if final is not None:
        return final
    status = "final" if is_final else "provisional"
    with warehouse.holding([*facts.FACTS, *facts.CYCLE_FACTS], days):
        unready = unready_days(warehouse, stores.lake, days, computing_versions())
        if unready and is_final:
            raise PermanentError(
                f"The cycle {cycle.start} to {cycle.end} cannot be closed for good: {reasons_sentence(unready)}. "
                "Run these days again and close after that."
            )
        manifest = _manifest(stores, cycle, days, parameters, status, unready)
        content = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True).encode()
        name = "manifest" if is_final else "provisional"
        path = f"closes/start={cycle.start}/{name}.json"
        stores.lake.put_bytes(path, content)
        record = {
            "cycle_start": cycle.start,
            "cycle_end": cycle.end,
            "status": status,
            "closed_at": pd.Timestamp.now("UTC"),
            "manifest_sha256": hashlib.sha256(content).hexdigest(),
            "manifest_path": path,
            "code_version": manifest["code_version"],
            "parameters_version": manifest["parameters"]["version"],
            **{name: None if value is None else Decimal(value) for name, value in manifest["totals"].items()},
            "run_id": run_id,
        }
        archive_close(stores.lake, warehouse, record, content, days)
        warehouse.upsert(facts.CYCLE_CLOSES, pd.DataFrame([record]))
    found = existing_close(warehouse, cycle.start, status)
    assert found is not None
    return found


def reasons_sentence(reasons: dict[dt.date, str]) -> str:
    """Days with their reasons, as part of a sentence."""
    listed = [f"{day} ({reason})" for day, reason in list(reasons.items())[:_LISTED_DAYS]]
    more = len(reasons) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def read_manifest(lake: Lake, record: dict[str, Any]) -> dict[str, Any]:
    """The manifest of a close. Raises PermanentError when its bytes are not those that were recorded."""
    content = lake.get_bytes(record["manifest_path"])
    if not is_manifest_of(content, record):
        raise PermanentError(
            f"{lake.url(record['manifest_path'])} was changed after the cycle was closed: its SHA-256 is not the "
            f"{record['manifest_sha256']} of ops.cycle_closes. Restore it from a backup."
        )
    return json.loads(content)


def outputs_of(warehouse: Warehouse, days: Sequence[dt.date]) -> dict[str, Any]:
    """Rows, columns and digests of each daily table of `fact`, by day; without rows of cycle rules."""
    return {table.full_name: _output(warehouse, table, days) for table in facts.FACTS}


def _output(warehouse: Warehouse, table: Table, days: Sequence[dt.date]) -> dict[str, Any]:
    digests, count = {}, 0
    for day in days:
        rows = day_rows(warehouse, table, [day])
        digests[day.isoformat()] = digest(canonical_rows(rows, table))
        count += len(rows)
    return {"rows": count, "sha256": combined(digests), "days": digests, "columns": digested(table).column_names}


def cycle_rows(warehouse: Warehouse, start: dt.date) -> dict[str, Any]:
    """Rows, columns and digests of what belongs to the whole cycle: findings, calibration, adjustments."""
    found = {}
    for name, table, column in ROWS_OF_A_CYCLE:
        rows = rows_of_cycle(warehouse, table, column, start)
        columns = digested(table).column_names
        found[name] = {"rows": len(rows), "sha256": digest(canonical_rows(rows, table)), "columns": columns}
    return found


def _manifest(
    stores: Stores, cycle: Cycle, days: Sequence[dt.date], parameters: Parameters, status: str,
    unready: dict[dt.date, str],
) -> dict[str, Any]:  # fmt: skip
    sets = {day: parameters(day) for day in days}
    costs = stores.warehouse.read_partition(facts.TRIP_COSTS, days)
    fixed = stores.warehouse.read_partition(facts.FIXED_COST_DAYS, days)
    last = parameters(cycle.end)
    return {
        "format": _FORMAT,
        "cycle": {"start": cycle.start.isoformat(), "end": cycle.end.isoformat(), "status": status},
        "code_version": code_version(),
        "settings": _settings(stores.settings),
        "parameters": {
            "version": last.version,
            "values": dict(last.values),
            "days": {day.isoformat(): each.version for day, each in sets.items()},
        },
        "inputs": {
            "files": _files(stores, cycle),
            "pages": _pages(stores.lake, cycle),
            "reference_changes": _changes(stores.warehouse, cycle),
            "api_windows": _windows(stores.warehouse, cycle),
        },
        "days_not_ready": {day.isoformat(): reason for day, reason in unready.items()},
        "outputs": outputs_of(stores.warehouse, days),
        "cycle_rows": cycle_rows(stores.warehouse, cycle.start),
        "totals": {
            "total_km": _text(admitted_km(costs)),
            "total_variable_brl": _text(sum_decimal(costs["variable_cost_brl"])),
            "total_fixed_brl": _text(sum_decimal(fixed["amount_brl"])),
        },
    }


def _settings(settings: Settings) -> dict[str, Any]:
    """Settings that rows depend on; of the secret one only a fingerprint, to recognise another key."""
    return {
        "closing_day": settings.closing_day,
        "start_date": settings.start_date,
        "max_file_mb": settings.max_file_mb,
        "max_file_rows": settings.max_file_rows,
        "api_adapter": settings.api_adapter,
        "pseudonym_key_fingerprint": fingerprint(settings),
    }


def fingerprint(settings: Settings) -> str:
    """A digest that distinguishes keys of pseudonyms and reveals nothing about them."""
    key = settings.pseudonym_key.get_secret_value().encode()
    return hashlib.sha256(b"fingerprint:" + key).hexdigest()[:12]


def _files(stores: Stores, cycle: Cycle) -> list[dict[str, Any]]:
    """Files that the cycle's days read: of each reference table the one in force, of the others all versions.

    Refused files of these days are among them: rules that were not tested for their sake stay so in a replay. Of those
    whose bytes the archive does not have, only the record is there.
    """
    first, last = file_span(cycle.start, cycle.end)
    rows = stores.warehouse.read(
        "select file_sha256, file_name, kind, received_at, archive_path from ops.ingested_files "
        "where status in ('accepted', 'partial') and kind in ('visit_report', 'bulletin', 'telemetry') "
        "and first_date <= :last and last_date >= :first order by received_at, file_name",
        {"first": first, "last": last},
    )
    delivered = newest_versions(stores.warehouse, 1)
    newest = delivered.loc[~delivered["table_name"].duplicated(keep="last"), rows.columns]
    refused = refused_files(stores, first, last)
    has_bytes = refused["archive_path"].notna()
    archived = refused.loc[has_bytes, rows.columns].astype(rows.dtypes.to_dict())
    chosen = pd.concat([rows, newest, archived])
    records = [*chosen.to_dict("records"), *refused[~has_bytes].assign(archive_path=None).to_dict("records")]
    return [
        {
            **{{"file_sha256": "sha256", "file_name": "name"}.get(name, name): value for name, value in row.items()},
            "received_at": row["received_at"].isoformat(),
        }
        for row in sorted(records, key=lambda row: (row["received_at"], row["file_name"]))
    ]


def _pages(lake: Lake, cycle: Cycle) -> dict[str, list[str]]:
    """Names of the API's pages (digests of their content) of each day that the cycle's days read."""
    days = days_between(*staged_span(cycle.start, cycle.end))
    found = {day.isoformat(): archived_pages(lake, day) for day in days}
    return {day: paths for day, paths in found.items() if paths}


def _changes(warehouse: Warehouse, cycle: Cycle) -> list[dict[str, Any]]:
    """What was recorded of reference data that changed while the cycle was open: findings report it."""
    rows = warehouse.read_dated(facts.REFERENCE_CHANGES, "cycle_start", [cycle.start])
    return json.loads(rows.to_json(orient="records", date_format="iso", date_unit="us"))


def _windows(warehouse: Warehouse, cycle: Cycle) -> list[dict[str, Any]]:
    """Until when the API had answered on each day that the cycle's days read: rules waited for the rest."""
    days = days_between(*staged_span(cycle.start, cycle.end))
    rows = warehouse.read_dated(facts.API_WINDOWS, "partition_date", days)
    return json.loads(rows.to_json(orient="records", date_format="iso", date_unit="us"))


def _text(value: object) -> str | None:
    return None if value is None else str(value)

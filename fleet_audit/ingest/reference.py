"""Deliveries of reference tables: the version of each in force, its history, and the days that a change touches.

Differences of two versions are computed in `logic.reference.changes`; the asset writes the tables in `ref`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from fleet_audit.errors import PermanentError
from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.ingest.files import DAMAGED, parse_inbox_file
from fleet_audit.ingest.healing import ParsedFiles
from fleet_audit.ingest.inbox.file_days import Span, spans_of
from fleet_audit.ingest.journal import record_refusal, record_rows
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.logic.reference.changes import days_touched, first_dangling, public_columns, row_keys
from fleet_audit.logic.reference.plate_forms import registered_forms, with_registered_plates
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.warehouse import Warehouse

MONTHS_BACK = 2  # a change does not ask for days that are older than this, before the newest computed day
_TABLES = {table.name: table for table in reference.TABLES}
_KEYS = {table.name: table.key for table in reference.TABLES}
_LISTED_ROWS = 20
_CONFLICTS = ("overlapping_validity", "duplicate_key")
# Billable km and cost of each computed day by carrier, as the contract names it.
_TOTALS = """
select operational_date, carrier_code, sum(km) as km, sum(brl) as brl from (
    select c.operational_date, t.carrier_code, c.billable_km as km, c.variable_cost_brl as brl
    from fact.trip_costs c join fact.trips t using (trip_id) where c.operational_date between :first and :last
    union all
    select f.operational_date, k.carrier_code, null, f.amount_brl
    from fact.fixed_cost_days f
    left join (select contract_id, min(carrier_code) as carrier_code from ref.contracts group by 1) k
    using (contract_id) where f.operational_date between :first and :last
) as lines group by operational_date, carrier_code
"""


@dataclass(frozen=True)
class Delivery:
    """One version of a table: its file and its rows."""

    table: Table
    file: Mapping[str, Any]
    rows: pd.DataFrame


@dataclass(frozen=True)
class Published:
    """The versions in force, sentences on refused versions, computed days that changed, sentences on excluded rows."""

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
    files = warehouse.read(
        "select file_sha256, file_name, received_at, reason_code, message from ops.ingested_files "
        "where kind = 'reference' and (status in ('accepted', 'partial') or reason_code = :damaged) "
        "order by received_at, file_name",
        {"damaged": DAMAGED},
    )
    files["table_name"] = files["file_name"].str.extract(r"([^/]+)\.[^.]+$")[0]
    history = warehouse.read_table(facts.REFERENCE_HISTORY)
    versions: dict[str, list[Delivery]] = {}
    for name, table in _TABLES.items():
        rows = files[files["table_name"] == name].to_dict("records")[-2:]
        if rows and rows[-1]["reason_code"] == DAMAGED:
            raise PermanentError(str(rows[-1]["message"]))
        rows = [row for row in rows if row["reason_code"] != DAMAGED]
        versions[name] = [Delivery(table, row, parsed.read(table, row["file_sha256"])) for row in rows]
        if rows and rows[-1]["file_sha256"] in parsed.damaged:
            raise PermanentError(parsed.damaged[rows[-1]["file_sha256"]])
    excluded = _name_registered_plates(versions)
    known = {name: set(_open(history, name)["row_key"]) for name in _TABLES}
    is_new = {
        name: bool(found) and bool(known[name]) and set(row_keys(found[-1].table, found[-1].rows)) != known[name]
        for name, found in versions.items()
    }
    is_judged = {name: bool(known[name]) and len(found) > 1 for name, found in versions.items()}
    refused = _refuse(warehouse, lake, versions, is_judged, is_new)
    in_force = {name: found[-1] for name, found in versions.items() if found}
    records = _Records(warehouse, lake)
    touched = {}
    for name, delivery in in_force.items():
        if set(row_keys(delivery.table, delivery.rows)) != known[name]:
            touched[name] = _record(records, history, versions[name], closing_day, run_id)
    days = sorted({day for each in touched.values() for day in each})
    if days:
        _record_totals_before(records, days, [name for name, each in touched.items() if each], run_id)
    return Published(in_force, refused, touched, excluded)


def days_of_reference(
    file: InboxFile, content: bytes, warehouse: Warehouse, settings: Settings, now: dt.datetime
) -> list[Span]:
    """Computed days of open cycles that this version of a reference table touches, as spans in order."""
    table = _TABLES.get(PurePosixPath(file.name).stem)
    if file.kind != "reference" or table is None:
        return []
    try:
        new = parse_inbox_file(file, content, settings, now).rows
    except RejectedFile:
        return []
    forms = registered_forms(warehouse.read_table(reference.VEHICLES))
    named = with_registered_plates(table, new, forms)[0]
    return spans_of(_computed_days_touched(warehouse, table, warehouse.read_table(table), named))


def fill_deltas(warehouse: Warehouse, day: dt.date) -> pd.DataFrame:
    """`ops.reference_deltas` of a day that was run again: km and BRL per carrier, before and after each change."""
    rows = warehouse.read_partition(facts.REFERENCE_DELTAS, [day])
    totals = warehouse.read(_TOTALS, {"first": day, "last": day}).drop(columns="operational_date")
    frames = [rows[rows["is_rerun"].to_numpy(dtype=bool)]]
    for change, before in rows[~rows["is_rerun"].to_numpy(dtype=bool)].groupby("change_run_id"):
        merged = before[["carrier_code", "km_before", "brl_before"]].merge(totals, on="carrier_code", how="outer")
        merged = merged[merged[["km_before", "brl_before", "km", "brl"]].notna().any(axis=1)]
        frames.append(
            merged.rename(columns={"km": "km_after", "brl": "brl_after"}).assign(
                change_run_id=change,
                operational_date=day,
                table_names=[before["table_names"].iloc[0]] * len(merged),
                is_rerun=True,
                updated_at=pd.Timestamp.now("UTC"),
            )
        )
    return pd.concat([conform(frame, facts.REFERENCE_DELTAS) for frame in frames], ignore_index=True)


def _name_registered_plates(versions: dict[str, list[Delivery]]) -> list[str]:
    """Give every plate the form that the newest vehicles have; returns sentences on excluded rows.

    A vehicle whose plate changed to the Mercosul form is one vehicle in all tables. What a table says then depends on
    the vehicles too: where these name a plate otherwise, its rows are recorded as of their arrival.
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


def _open(history: pd.DataFrame, name: str) -> pd.DataFrame:
    return history[(history["table_name"] == name).to_numpy() & history["recorded_to"].isna().to_numpy()]


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


@dataclass(frozen=True)
class _Records:
    """Where rows that cannot be computed again are recorded: in the archive's journal, then in PostgreSQL."""

    warehouse: Warehouse
    lake: Lake

    def add(self, table: Table, rows: pd.DataFrame) -> None:
        """Record rows of one table."""
        record_rows(self.lake, table, rows)
        self.warehouse.upsert(table, rows)


def _record(
    records: _Records, history: pd.DataFrame, versions: list[Delivery], closing_day: int, run_id: str
) -> list[dt.date]:
    """Record what is known from the newest version on; returns the computed days of open cycles that it touches."""
    warehouse = records.warehouse
    delivery, earlier = versions[-1], versions[:-1]
    table, file, rows = delivery.table, delivery.file, delivery.rows
    before = _open(history, table.name)
    keys = row_keys(table, rows)
    gone = before[~before["row_key"].isin(set(keys))]
    added = rows[~keys.isin(set(before["row_key"])).to_numpy()]
    old = warehouse.read_table(table)
    is_first = before.empty and len(old) > 0  # a database from before there was a history
    touched = [] if is_first else _computed_days_touched(warehouse, table, old, rows)
    if touched:
        previous = str(earlier[-1].file["file_sha256"]) if earlier else ""
        _record_changes(records, delivery, gone, added, touched, previous, closing_day, run_id)
    fresh = pd.DataFrame(
        {
            "table_name": table.name,
            "row_key": keys.loc[added.index],
            "recorded_from": file["received_at"],
            "valid_from": added.get("valid_from"),
            "valid_to": added.get("valid_to"),
            "content": [json.dumps(line, ensure_ascii=False) for line in _lines(table, added)],
            "file_name": file["file_name"],
            "file_sha256": file["file_sha256"],
        },
        index=added.index,
    )
    changed = pd.concat(
        [
            conform(gone.assign(recorded_to=file["received_at"]), facts.REFERENCE_HISTORY),
            conform(fresh.drop_duplicates("row_key"), facts.REFERENCE_HISTORY),
        ]
    )
    records.add(facts.REFERENCE_HISTORY, changed)
    return touched


def _lines(table: Table, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON values that `jsonb_populate_record` reads back: days and decimals as texts."""
    return [
        {name: _plain(value) for name, value in row.items()} for row in public_columns(table, rows).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    return str(value) if isinstance(value, (dt.date, Decimal)) else getattr(value, "item", lambda: value)()


def _record_changes(
    records: _Records, delivery: Delivery, gone: pd.DataFrame, added: pd.DataFrame, touched: list[dt.date],
    previous: str, closing_day: int, run_id: str,
) -> None:  # fmt: skip
    """One row of `ops.reference_changes` for each cycle with days that the delivery touches."""
    table, file = delivery.table, delivery.file
    changes = {
        "removed": [json.loads(text) for text in gone["content"].head(_LISTED_ROWS)],
        "added": _lines(table, added.head(_LISTED_ROWS)),
    }
    cycles: dict[dt.date, list[dt.date]] = {}
    for day in touched:
        cycles.setdefault(cycle_of(day, closing_day).start, []).append(day)
    rows = [
        {
            "change_id": stable_id(table.name, previous, file["file_sha256"], file["received_at"]),
            "cycle_start": start,
            "finding_date": days[-1],
            "table_name": table.name,
            "recorded_at": file["received_at"],
            "first_date": days[0],
            "last_date": days[-1],
            "rows_added": len(added),
            "rows_removed": len(gone),
            "file_name": file["file_name"],
            "file_sha256": file["file_sha256"],
            "previous_sha256": previous,
            "changes": json.dumps(changes, ensure_ascii=False, sort_keys=True),
            "run_id": run_id,
        }
        for start, days in cycles.items()
    ]
    records.add(facts.REFERENCE_CHANGES, conform(pd.DataFrame(rows), facts.REFERENCE_CHANGES))


def _computed_days_touched(warehouse: Warehouse, table: Table, old: pd.DataFrame, new: pd.DataFrame) -> list[dt.date]:
    """Computed days of open cycles, at most `MONTHS_BACK` before the newest, on which the table differs."""
    computed = sorted(warehouse.read("select operational_date from ops.computed_days", {})["operational_date"])
    if not computed:
        return []
    closed = warehouse.closed_days(computed)
    earliest = computed[-1] - MONTHS_BACK * dt.timedelta(days=31)
    wanted = {day for day in computed if day >= earliest and day not in closed}
    return [day for day in days_touched(table, old, new, max(computed[0], earliest), computed[-1]) if day in wanted]


def _record_totals_before(records: _Records, days: list[dt.date], tables: list[str], run_id: str) -> None:
    """Record the km and BRL of each touched day before the change; a day without lines has one without a carrier."""
    rows = records.warehouse.read(_TOTALS, {"first": days[0], "last": days[-1]})
    rows = rows[rows["operational_date"].isin(days)].rename(columns={"km": "km_before", "brl": "brl_before"})
    empty = pd.DataFrame({"operational_date": [day for day in days if day not in set(rows["operational_date"])]})
    rows = pd.concat([rows, empty], ignore_index=True)
    rows = rows.assign(
        change_run_id=run_id,
        table_names=[tables] * len(rows),
        is_rerun=False,
        updated_at=pd.Timestamp.now("UTC"),
    )
    records.add(facts.REFERENCE_DELTAS, conform(rows, facts.REFERENCE_DELTAS))

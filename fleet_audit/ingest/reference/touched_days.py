"""Computed days that a version of a reference table touches, and their km and BRL before and after.

Differences of two versions are computed in `logic.reference.changes`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import PurePosixPath

import pandas as pd

from fleet_audit.formats.parsed import RejectedFile
from fleet_audit.ingest.files import parse_inbox_file
from fleet_audit.ingest.inbox.file_days import Span, spans_of
from fleet_audit.ingest.reference.records import Records
from fleet_audit.logic.costs.fixed_costs import days_of_other_shares
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.logic.reference.changes import days_touched
from fleet_audit.logic.reference.plate_forms import registered_forms, with_registered_plates
from fleet_audit.schema import facts, reference
from fleet_audit.schema.derive import conform
from fleet_audit.schema.model import Table
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import InboxFile
from fleet_audit.storage.warehouse import Warehouse

MONTHS_BACK = 2  # a change requests no days older than this, counted from the newest computed day
_OF_NIGHT_TRIPS = (reference.DEVICES, reference.POIS)
OF_SHARES = (reference.FIXED_COSTS, reference.CONTRACTS, reference.VEHICLES)

_COMPUTED = """
select operational_date from ops.computed_days
where operational_date >= (select max(operational_date) from ops.computed_days) - cast(:reach as integer)
"""
# Billable km and cost of each computed day by carrier, as the contract names it.
_TOTALS = """
select operational_date, carrier_code, sum(km) as km, sum(brl) as brl from (
    select c.operational_date, t.carrier_code, case when c.variable_cost_brl is not null then c.billable_km end as km,
        c.variable_cost_brl as brl
    from fact.trip_costs c join fact.trips t using (trip_id) where c.operational_date between :first and :last
    union all
    select f.operational_date, k.carrier_code, null, f.amount_brl
    from fact.fixed_cost_days f
    left join (select contract_id, min(carrier_code) as carrier_code from ref.contracts group by 1) k
    using (contract_id) where f.operational_date between :first and :last
) as lines group by operational_date, carrier_code
"""


def rows_of_reference(
    file: InboxFile, content: bytes, warehouse: Warehouse, settings: Settings, now: dt.datetime
) -> dict[str, pd.DataFrame]:
    """The rows of a reference table by its name; nothing of another file, or of one that is refused."""
    table = reference.BY_NAME.get(PurePosixPath(file.name).stem)
    if file.kind != "reference" or table is None:
        return {}
    try:
        new = parse_inbox_file(file, content, settings, now).rows
    except RejectedFile:
        return {}
    forms = registered_forms(warehouse.read_table(reference.VEHICLES))
    return {table.name: with_registered_plates(table, new, forms)[0]}


def days_of_reference(
    new: Mapping[str, pd.DataFrame], beside: Mapping[str, pd.DataFrame], warehouse: Warehouse, closing_day: int
) -> list[Span]:
    """Computed days of open cycles that this version of a reference table touches, as spans in order.

    Args:
        new: its `rows_of_reference`; beside: those of tables that arrived together with it.
    """
    delivered = {**beside, **new}
    days = [computed_days_touched(warehouse, reference.BY_NAME[name], delivered, closing_day) for name in new]
    return spans_of(day for of_table in days for day in of_table)


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


def computed_days_touched(
    warehouse: Warehouse, table: Table, delivered: Mapping[str, pd.DataFrame], closing_day: int
) -> list[dt.date]:
    """Computed days of open cycles, at most `MONTHS_BACK` before the newest, whose results a changed table alters.

    Those are the days on which the table differs; of devices and places also the day before, whose trips may end on it;
    and the days of the cycle on which a fixed amount has other shares by all tables that were `delivered` together. A
    contract and its amount that both began earlier moved a cent that neither moved alone.
    """
    computed = sorted(warehouse.read(_COMPUTED, {"reach": MONTHS_BACK * 31})["operational_date"])
    if not computed:
        return []
    old, new = warehouse.read_table(table), delivered[table.name]
    touched = set(days_touched(table, old, new, computed[0], computed[-1] + ONE_DAY))
    if table in _OF_NIGHT_TRIPS:
        touched |= {day - ONE_DAY for day in touched}
    if table in OF_SHARES:
        before = {each.name: warehouse.read_table(each) for each in OF_SHARES}
        after = {name: delivered.get(name, rows) for name, rows in before.items()}
        touched |= days_of_other_shares(computed, before, after, closing_day)
    return sorted((touched & set(computed)) - warehouse.closed_days(computed))


def record_totals_before(records: Records, days: list[dt.date], tables: list[str], run_id: str) -> None:
    """Record the km and BRL of each touched day before the change; a day without lines has one without a carrier."""
    rows = records.warehouse.read(_TOTALS, {"first": days[0], "last": days[-1]})
    rows = rows[rows["operational_date"].isin(days)].rename(columns={"km": "km_before", "brl": "brl_before"})
    empty = pd.DataFrame({"operational_date": [day for day in days if day not in set(rows["operational_date"])]})
    rows = pd.concat([rows, empty], ignore_index=True)
    rows = rows.assign(
        change_run_id=run_id, table_names=[tables] * len(rows), is_rerun=False, updated_at=pd.Timestamp.now("UTC")
    )
    records.add(facts.REFERENCE_DELTAS, conform(rows, facts.REFERENCE_DELTAS))

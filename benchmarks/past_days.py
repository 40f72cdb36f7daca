"""A year of rows made by SQL: one computed day of a warehouse, copied to the days before it, for as many fleets.

What is measured on them is in `history`.
"""

from __future__ import annotations

import datetime as dt

import psycopg2
import psycopg2.extensions

from fleet_audit.schema import facts
from fleet_audit.schema.model import Column, Table, Type

COPIED = (
    *facts.FACTS,
    *(facts.INGESTED_FILES, facts.DAY_ACCEPTANCE, facts.INBOX_REQUESTS, facts.INBOX_SIGHTINGS),
    *(facts.INCOMPLETE_DAYS, facts.RULES_NOT_TESTED, facts.REJECTED_ROWS, facts.STAGE_COUNTS, facts.API_REQUESTS),
    *(facts.API_WINDOWS, facts.POSITION_HOURS, facts.DAY_DIGESTS, facts.COMPUTED_DAYS),
)
CYCLE_COPIED = (facts.BILLING_LINES, facts.VEHICLE_CYCLE_AMOUNTS, facts.CALIBRATION_SEGMENTS, facts.REVIEW_SAMPLES)
_MONTHS = 12
_REACH_DAYS = 62  # late files and the cycle before: what a run reads of these days is of its own fleet alone
_OUT_OF_REACH = 5  # days before the day: what a run of the day after reads of files and pages is not copied
_IDS = frozenset(  # hashes of what they name: a copy has its own
    {
        *("trip_id", "declared_run_id", "match_id", "finding_id", "root_finding_id", "incident_id", "billing_line_id"),
        *("request_id", "file_sha256", "file_name", "sample_id"),
    }
)
_VEHICLES = frozenset({"plate", "device_id"})  # the vehicles of each further fleet have their own
_ID_LISTS = frozenset({"trip_ids", "declared_run_ids", "finding_ids"})
_EARLIER = {
    Type.DATE: "{name} - {days}",
    Type.TIMESTAMP: "{name} - interval '{days} days'",
    Type.LOCAL_TIMESTAMP: "{name} - interval '{days} days'",
}
_BY_MONTH = {
    Type.DATE: "cast({name} - interval '{days} months' as date)",
    Type.TIMESTAMP: "{name} - interval '{days} months'",
    Type.LOCAL_TIMESTAMP: "{name} - interval '{days} months'",
}
# a file of the year is of one day, whatever the span of the one that it is a copy of
_OF_FILES = """insert into ops.file_days
select file_sha256, file_name, first_date, rows_read, rows_accepted, rows_rejected, rows_duplicate
from ops.ingested_files where last_date < '{day}' on conflict do nothing"""
_ONE_DAY = "update ops.ingested_files set first_date = last_date where last_date < '{day}'"
_PADDING = """
with quoted as (
    select jsonb_build_object('positions', jsonb_agg(jsonb_build_object(
        'recorded_at', timestamptz '2025-06-16 08:00Z' + n * interval '30 s', 'odometer_km', 1000 + n * 0.3
    ))) as list
    from generate_series(1, %(rows)s) as n
)
update fact.findings set evidence = evidence || quoted.list from quoted where operational_date < %(before)s
"""
_CONDITIONS = {  # which rows of a table without a partition are those of the day
    "ops.ingested_files": "kind <> 'reference' and '{day}' between first_date and last_date",
    "ops.api_requests": "partition_date = '{day}'",
    "ops.api_windows": "partition_date = '{day}'",
    "ops.position_hours": "partition_date = '{day}'",
    "ops.day_digests": "partition_date = '{day}'",
    "ops.inbox_requests": "'{day}' between first_date and last_date",
    "ops.inbox_sightings": "file_name not like 'reference/%'",
    "ops.rejected_rows": "source_kind <> 'reference'",
}


def load_past(url: str, day: dt.date, days: int, fleets: int = 1) -> None:
    """Copies the rows of a computed day to each of the days before it, and those of its cycle to twelve cycles.

    Days come in their order, as runs would have written them; rows that are there already stay. Days beyond the reach
    of a run get the rows of so many `fleets` of that size.
    """
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        for table in COPIED:
            _copy(cursor, table, _condition(table, day), _EARLIER, days, fleets)
            connection.commit()
        for table in CYCLE_COPIED:
            _copy(cursor, table, "true", _BY_MONTH, min(_MONTHS, days // 30), 1)
            connection.commit()
        before = day - dt.timedelta(days=2)
        for statement in (_ONE_DAY, _OF_FILES):
            cursor.execute(statement.format(day=before))
    connection.close()
    settle(url)


def settle(url: str) -> None:
    """What autovacuum does within minutes: dead rows removed, statistics as the tables are."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("vacuum analyze")
    connection.close()


def _condition(table: Table, day: dt.date) -> str:
    known = _CONDITIONS.get(table.full_name)
    if known is not None:
        return known.format(day=day)
    of_a_cycle = " and cycle_start is null" if "cycle_start" in table.column_names else ""
    return f"{table.partition} = '{day}'{of_a_cycle}"


def _copy(
    cursor: psycopg2.extensions.cursor, table: Table, condition: str, earlier: dict[Type, str], copies: int, fleets: int
) -> None:
    cursor.execute(f"create temporary table copied as select * from {table.full_name} where {condition}")
    names = ", ".join(table.column_names)
    for back in range(copies, 0 if earlier is _BY_MONTH else _OUT_OF_REACH, -1):
        values = ", ".join(_value(column, earlier, back) for column in table.columns)
        last = fleets - 1 if back > _REACH_DAYS else 0
        cursor.execute(
            f"insert into {table.full_name} ({names}) select {values} "
            f"from copied cross join generate_series(0, {last}) as fleet on conflict do nothing"
        )
    cursor.execute("drop table copied")


def _value(column: Column, earlier: dict[Type, str], back: int) -> str:
    if column.name in _IDS:
        return f"left(md5({column.name} || ' {back} ' || fleet), 16)"
    if column.name in _ID_LISTS:
        return f"array(select left(md5(id || ' {back} ' || fleet), 16) from unnest({column.name}) as id)"
    if column.name in _VEHICLES:
        return f"case fleet when 0 then {column.name} else {column.name} || '-' || fleet end"
    return earlier.get(column.type, "{name}").format(name=column.name, days=back)


def pad_evidence(url: str, before: dt.date, rows: int) -> None:
    """Adds a list of so many rows to the evidence of each finding of the days before one.

    The list has positions, as a dossier quotes them.
    """
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_PADDING, {"before": before, "rows": rows})
    connection.close()
    settle(url)

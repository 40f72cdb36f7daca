"""A look at the inbox reads the rows of its own files, however many files arrived before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from fleet_audit.closing.readiness import unready_days
from fleet_audit.ingest.freshness import newest_arrival
from fleet_audit.ingest.inbox.file_days import computed_at, received_at
from fleet_audit.ingest.inbox.requests import Collection, unseen_files
from fleet_audit.ingest.incomplete.files import arrivals_digest, lost_rows, refused_files
from fleet_audit.ingest.incomplete.refused_files import refused_files as refused_of_days
from fleet_audit.ingest.reference.delivered_files import newest_delivery, newest_versions
from fleet_audit.ingest.reference.history import open_rows
from fleet_audit.storage.stores import Stores
from fleet_audit_tests.integration.small_fleet import DAY, PAID, to_work, visit_report

OLD_FILES = 12_000
FEW_ROWS = 3_000  # the digest of arrivals reads the newest thousand
_OLD_ROWS = (
    """insert into ops.ingested_files (file_sha256, file_name, kind, size_bytes, received_at, status, rows_read,
        rows_accepted, rows_rejected, rows_duplicate, first_date, last_date, stamp)
    select md5(n::text), case when n % 2 = 0 then 'reference/routes.csv' else 'visit_reports/old' || n || '.csv' end,
        case when n % 2 = 0 then 'reference' else 'visit_report' end, 1, timestamptz '2015-01-01' + n * interval '6 h',
        'accepted', 1, 1, 0, 0, date '2015-01-01' + n / 4, date '2015-01-01' + n / 4, 'stamp' || n
    from generate_series(1, {rows}) as n""",
    """insert into ops.inbox_sightings select 'visit_reports/old' || n || '.csv', 'stamp' || n, now()
    from generate_series(1, {rows}) as n""",
    """insert into ops.inbox_requests select 'visit_reports/old' || n || '.csv', 'stamp' || n, null, null, now()
    from generate_series(1, {rows}) as n""",
    """insert into ops.file_days select md5(n::text), 'visit_reports/old' || n || '.csv', date '2015-01-01' + n / 4,
        1, 1, 0, 0 from generate_series(1, {rows}, 2) as n""",
    """insert into ops.reference_history select 'routes', 'key' || n, timestamptz '2015-01-01' + n * interval '6 h',
        timestamptz '2025-01-01', null, null, '{{}}', 'reference/routes.csv', 'sha'
    from generate_series(1, {rows}) as n""",
)  # fmt: skip
_READ = """select schemaname || '.' || relname as name, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows
from pg_stat_user_tables"""


@pytest.fixture
def after_years(arrivals):
    """An inbox whose warehouse has the files of years, none of which is in the folder any more."""
    for statement in _OLD_ROWS:
        arrivals.warehouse.execute(statement.format(rows=OLD_FILES))
    for table in ("ingested_files", "inbox_sightings", "inbox_requests", "file_days", "reference_history"):
        arrivals.warehouse.execute(f"analyze ops.{table}")
    arrivals.drop("visit_reports/a.csv", visit_report({PAID: [to_work()]}))
    return arrivals


def _rows_read(warehouse) -> Mapping[str, int]:
    warehouse.read("select pg_stat_force_next_flush()")
    warehouse.execute("select pg_stat_force_next_flush()")
    return {row.name: int(row.rows) for row in warehouse.read(_READ).itertuples()}


def test_a_look_reads_the_rows_of_its_own_files(after_years):
    warehouse = after_years.warehouse
    stores = Stores(after_years.lake, warehouse, after_years.settings)
    looks: dict[str, Callable[[], object]] = {
        "a new file": after_years.read,
        "nothing new": after_years.read,
        "the sensor": lambda: unseen_files(warehouse, Collection(), after_years.open().files()),
        "a file that was read": lambda: received_at(warehouse, "x", "visit_reports/a.csv"),
        "days that were computed": lambda: (computed_at(warehouse, [DAY]), computed_at(warehouse, [])),
        "refused files": lambda: (refused_files(warehouse), refused_of_days(stores, DAY, DAY)),
        "lost rows": lambda: lost_rows(warehouse),
        "digest": lambda: arrivals_digest(warehouse),
        "newest arrival": lambda: newest_arrival(warehouse),
        "versions of reference tables": lambda: newest_versions(warehouse, 2),
        "known rows of reference tables": lambda: open_rows(warehouse),
        "readiness of a close": lambda: unready_days(warehouse, after_years.lake, [DAY], "version"),
    }
    read: dict[tuple[str, str], int] = {}
    for name, look in looks.items():
        before = _rows_read(warehouse)
        look()
        after = _rows_read(warehouse)
        read |= {(name, table): after[table] - before[table] for table in after if table.startswith("ops.")}
    assert {look: rows for look, rows in read.items() if rows > FEW_ROWS} == {}


def test_the_newest_versions_of_each_reference_file_are_found(after_years):
    after_years.drop("reference/units.csv", b"unit_code,name,timezone,cost_center\nU,U,America/Sao_Paulo,C\n")
    after_years.read()
    newest = newest_versions(after_years.warehouse, 2)
    names = newest["file_name"].to_list()
    assert names == ["reference/routes.csv", "reference/routes.csv", "reference/units.csv"]
    assert newest["received_at"].is_monotonic_increasing
    assert newest_delivery(after_years.warehouse) == after_years.now


def test_the_digest_changes_with_a_new_file_and_with_one_that_is_refused_later(after_years):
    warehouse = after_years.warehouse
    digests = [arrivals_digest(warehouse)]
    after_years.read()
    digests.append(arrivals_digest(warehouse))
    warehouse.execute("update ops.ingested_files set status = 'rejected' where file_sha256 = md5('1')")  # of years ago
    digests.append(arrivals_digest(warehouse))
    after_years.read()
    assert len(set(digests)) == 3
    assert arrivals_digest(warehouse) == digests[-1]

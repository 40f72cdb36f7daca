"""Whether anything grows with history: a day's run on an empty year beside the same run on a full one.

    python -m benchmarks.history --vehicles 500 --days 365

A simulated fleet's day is run and its home copied. In the copy the day's rows, evidence included, are copied to each of
the days before it. Then the next day is run from API to reports, with its cycle, on both homes. What each step takes of
PostgreSQL is counted by its statistics: blocks of tables and indexes (8 kB, from memory or disk), rows read, and the
server's processor time; blocks and rows are the same on a busy machine. Last the queries of docs/queries.md on both.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import psycopg2

from benchmarks.d1_run import TOKEN, run_day
from benchmarks.past_days import load_past, settle
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.marts.model import Days
from fleet_audit.marts.project import load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.simulation.fleet import simulate
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade

DAY = dt.date(2025, 6, 17)  # the second day of a cycle: what is measured of the cycle is small
SEED = 11
MOST_RATIO = 1.5
FEW_BLOCKS = 1000  # 8 MB, 2 ms from memory: a step below that is not judged by its ratio
HOMES = ("empty", "full")
QUERIES = Path(__file__).resolve().parents[1] / "docs" / "queries.md"
_EVIDENCE = """select sum(jsonb_array_length(list))
from fact.findings, jsonb_path_query(evidence, '$.* ? (@.type() == "array")') as list"""
_RUN = """
import datetime as dt, json, sys, time
import psutil, psycopg2
from fleet_audit.cli.environment import dagster_home, export_settings
from fleet_audit.cli.run import run_days
from fleet_audit.installation import Installation
from fleet_audit.settings import load_settings
from fleet_audit.storage import adbc
from fleet_audit.storage.postgres import engine_of
settings, day = load_settings(), dt.date.fromisoformat(sys.argv[1])
export_settings(settings)
dagster_home(settings)
url = Installation(settings).warehouse().url
server = psutil.Process(int((settings.home / "postgres/data/postmaster.pid").read_text().split()[0]))
statistics = psycopg2.connect(url)
statistics.autocommit = True
COUNTED = '''select schemaname || '.' || relname,
  coalesce(heap_blks_read + heap_blks_hit, 0) + coalesce(idx_blks_read + idx_blks_hit, 0)
  + coalesce(toast_blks_read + toast_blks_hit, 0) + coalesce(tidx_blks_read + tidx_blks_hit, 0),
  coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
from pg_statio_user_tables join pg_stat_user_tables using (relid, schemaname, relname)
where schemaname in ('ref', 'ops', 'fact', 'mart', 'auth')'''
def processor_s():
    ended = server.cpu_times()
    return ended.children_user + ended.children_system + sum(sum(one.cpu_times()[:2]) for one in server.children())
def counted():
    # a server process counts when it ends: connections that are kept would count in a later step
    engine_of(url).dispose()
    for connection, _ in adbc._local.__dict__.get("idle", {}).values():
        connection.close()
    adbc._local.__dict__.get("idle", {}).clear()
    time.sleep(0.05)
    with statistics.cursor() as cursor:
        cursor.execute("select pg_stat_clear_snapshot()")
        cursor.execute(COUNTED)
        return {name: (int(blocks), int(rows)) for name, blocks, rows in cursor}, processor_s()
steps, last = {}, [counted()]
def progress(line):
    now, before = counted(), last[0]
    step = steps.setdefault(line.split(":")[0], {"processor_s": 0, "tables": {}})
    step["processor_s"] += now[1] - before[1]
    for name, (blocks, rows) in now[0].items():
        former = before[0].get(name, (0, 0))
        known = step["tables"].setdefault(name, [0, 0])
        known[0] += max(blocks - former[0], 0)
        known[1] += max(rows - former[1], 0)
    last[0] = now
result = run_days(settings, day, day, progress)
if not result.is_success:
    sys.exit("; ".join(result.errors))
print(json.dumps({"steps": steps}))
"""


@click.command()
@click.option("--vehicles", default=500, show_default=True, help="Vehicles of the simulated fleet.")
@click.option("--days", default=365, show_default=True, help="Days of history in the full home.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep everything; default: temporary.")
@click.option("--queries-only", is_flag=True, help="Only the queries, on the homes that an earlier call left.")
def main(vehicles: int, days: int, folder: Path | None, queries_only: bool) -> None:
    """Fill, run, compare."""
    with tempfile.TemporaryDirectory(prefix="history") as temporary:
        place = folder or Path(temporary)
        if not queries_only:
            _prepare(place, vehicles, days)
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            print(f"{vehicles} vehicles, {days} days of history; {load}", flush=True)
            runs = [_run(place, home, DAY, _RUN)["steps"] for home in HOMES]
            _print_steps(*runs)
        urls = [ensure_running(place / home) for home in HOMES]
        _print_queries(urls)
        _print_sizes(urls[1], vehicles, days)


def _prepare(place: Path, vehicles: int, days: int) -> None:
    """Both homes with the day before; the full one with its history and marts."""
    before = DAY - ONE_DAY
    span = {"date_from": before - 2 * ONE_DAY, "date_to": DAY + ONE_DAY}
    if not (place / "api").exists():
        simulate(place, seed=SEED, vehicles=vehicles, **span)
    os.environ |= {
        "FLEET_INBOX_URL": str(place / "inbox"),
        "FLEET_API_TOKEN": TOKEN,
        "FLEET_START_DATE": span["date_from"].isoformat(),
    }
    if not (place / "day").exists():
        _run(place, "day", before)
    for home in HOMES:
        shutil.rmtree(place / home, ignore_errors=True)
        subprocess.run(["cp", "-a", place / "day", place / home], check=True)  # with owners: the server has its own
    url = ensure_running(place / "full")
    upgrade(url)
    load_past(url, before, days)
    project = load_project()
    for model in project.models:
        publish(url, project, model, Days(before - days * ONE_DAY, before), {"closing_day": 16})
    settle(url)


def _run(place: Path, home: str, day: dt.date, program: str | None = None) -> dict:
    os.environ["FLEET_HOME"] = str(place / home)
    return run_day(place, day, *([program] if program else []))


def _print_steps(empty: Mapping[str, Any], full: Mapping[str, Any]) -> None:
    def blocks(step: Mapping[str, Any]) -> int:
        return sum(table[0] for table in step["tables"].values())

    print(f"\n{'step':44} {'blocks':>9} {'full':>9} {'ratio':>6} {'server s':>9} {'full':>7}  more rows read of")
    for name, step in sorted(full.items(), key=lambda item: -blocks(item[1])):
        other = empty.get(name, {"processor_s": 0, "tables": {}})
        before, after = blocks(other), blocks(step)
        if after < FEW_BLOCKS and before < FEW_BLOCKS:
            continue
        grown = {
            table: numbers[1] - other["tables"].get(table, (0, 0))[1]
            for table, numbers in step["tables"].items()
            if numbers[0] > MOST_RATIO * other["tables"].get(table, (0, 0))[0] + FEW_BLOCKS / 4
        }
        shown = ", ".join(f"{table} {rows:+,}" for table, rows in sorted(grown.items(), key=lambda item: -item[1])[:4])
        print(f"{name:44} {before:>9,} {after:>9,} {after / max(before, 1):>6.2f} {other['processor_s']:>9.2f} "
              f"{step['processor_s']:>7.2f}  {shown}")  # fmt: skip
    whole = [(sum(map(blocks, run.values())), sum(one["processor_s"] for one in run.values())) for run in (empty, full)]
    (before, before_s), (after, after_s) = whole
    print(f"{'the whole run':44} {before:>9,} {after:>9,} {after / before:>6.2f} {before_s:>9.2f} {after_s:>7.2f}")
    is_reached = after <= MOST_RATIO * before
    print(f"at most {MOST_RATIO} times: {'reached' if is_reached else 'MISSED'}")


def documented_queries() -> dict[str, str]:
    """The SQL of docs/queries.md by its heading."""
    sections = QUERIES.read_text(encoding="utf-8").split("\n## ")[1:]
    return {one.splitlines()[0]: one.split("```sql")[1].split("```")[0] for one in sections if "```sql" in one}


def _print_queries(urls: list[str]) -> None:
    print(f"\n{'query':60} {'blocks':>9} {'full':>9} {'ratio':>6} {'ms':>8} {'full':>8}")
    for name, sql in documented_queries().items():
        (before, before_ms), (after, after_ms) = (_explained(url, sql) for url in urls)
        missed = "" if after <= max(MOST_RATIO * before, FEW_BLOCKS) else "  MISSED"
        figures = f"{before:>9,} {after:>9,} {after / max(before, 1):>6.2f} {before_ms:>8.1f} {after_ms:>8.1f}"
        print(f"{name:60} {figures}{missed}")


def _explained(url: str, sql: str) -> tuple[int, float]:
    """Blocks and milliseconds of a query, the best of three."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        found = []
        for _ in range(3):
            cursor.execute(f"explain (analyze, buffers, timing off, format json) {sql}")
            plan = cursor.fetchone()[0][0]
            node = plan["Plan"]
            found.append((node["Shared Hit Blocks"] + node["Shared Read Blocks"], plan["Execution Time"]))
    connection.close()
    return min(found)


def _print_sizes(url: str, vehicles: int, days: int) -> None:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_database_size(current_database())")
        whole = cursor.fetchone()[0]
        cursor.execute(
            "select n.nspname || '.' || c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid), c.reltuples::bigint "
            "from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' "
            "and n.nspname in ('ref', 'ops', 'fact', 'mart') order by pg_total_relation_size(c.oid) desc limit 12"
        )
        rows = cursor.fetchall()
        cursor.execute(_EVIDENCE)
        evidence = cursor.fetchone()[0]
    connection.close()
    year = vehicles * days / 365
    print(f"\n{whole / 1e9:.2f} GB, {whole / 1e6 / year:.1f} MB per vehicle-year; evidence: {evidence} rows")
    for name, data, indexes, count in rows:
        print(f"{name:40} {count:>11,} rows {data / 1e6:>8,.0f} MB  indexes {indexes / 1e6:>7,.0f} MB "
              f"{(data + indexes) / 1e3 / year:>8,.0f} kB per vehicle-year")  # fmt: skip


if __name__ == "__main__":
    main()

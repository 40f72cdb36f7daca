"""Whether anything takes longer with history: a day's run, and queries, on an empty warehouse beside a full year.

    python -m benchmarks.history --vehicles 40 --fleets 17 --evidence 200

A simulated fleet's day is run and its home copied. In the copy the day's rows, evidence included, are copied to each of
the days before it. Then the next days are run from API to reports, with their cycle, on both homes in turn, and the
queries of docs/queries.md on both. Compared is processor time, of the run's process and of PostgreSQL, as the median
of the repetitions, and the rows that are read of each table. Blocks that are touched do not measure time: an empty
table of a dozen blocks is read whole, a full one by its index, three or four blocks per key.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg2

from benchmarks.d1_run import TOKEN, run_day
from benchmarks.measured_run import PROGRAM, process_s
from benchmarks.past_days import load_past, pad_evidence, settle
from fleet_audit.logic.primitives.cycles import ONE_DAY
from fleet_audit.marts.model import Days
from fleet_audit.marts.project import load_project
from fleet_audit.marts.publishing import publish
from fleet_audit.simulation.fleet import simulate
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.migrate import upgrade

DAY = dt.date(2025, 6, 17)  # the second day of a cycle: what is measured of the cycle is small
SEED = 11
LONGEST_REPEAT = 6
_REPEATED = 9  # times that a query runs
MOST_RATIO = 1.5
LEAST_S = 0.005  # what takes less more than on the empty home is not judged by its ratio
MORE_ROWS = 1000  # of a table, by which a run is shown to read more than on the empty home
HOMES = ("empty", "full")
QUERIES = Path(__file__).resolve().parents[1] / "docs" / "queries.md"
_EVIDENCE = """select sum(jsonb_array_length(list))
from fact.findings, jsonb_path_query(evidence, 'strict $.** ? (@.type() == "array")') as list"""
_ROWS_READ = """select schemaname || '.' || relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
from pg_stat_user_tables where schemaname in ('ref', 'ops', 'fact', 'mart', 'auth')"""


@dataclass(frozen=True)
class Run:
    """What a day's run took: step -> seconds of its process and of PostgreSQL; table -> rows read."""

    steps: Mapping[str, Sequence[float]]
    rows: Mapping[str, int]


@click.command()
@click.option("--vehicles", default=40, show_default=True, help="Vehicles of the simulated fleet.")
@click.option("--days", default=365, show_default=True, help="Days of history in the full home.")
@click.option("--fleets", default=1, show_default=True, help="Fleets of that size in the history.")
@click.option("--evidence", default=0, show_default=True, help="Rows added to the evidence of each finding of it.")
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(1, LONGEST_REPEAT), help="Days to run.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep everything; default: temporary.")
@click.option("--part", type=click.Choice(("all", "prepare", "measure", "queries")), default="all", show_default=True,
              help="Homes are kept in --folder for a later part.")  # fmt: skip
def main(vehicles: int, days: int, fleets: int, evidence: int, repeat: int, folder: Path | None, part: str) -> None:
    """Fill, run, compare."""
    with tempfile.TemporaryDirectory(prefix="history") as temporary:
        place = folder or Path(temporary)
        _export_settings(place)
        if part in ("all", "prepare"):
            _prepare(place, vehicles, days, fleets, evidence)
        if part == "prepare":
            return
        urls = [ensure_running(place / home) for home in HOMES]
        for url in urls:
            upgrade(url)
        print(f"a day of {vehicles} vehicles, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        if part != "queries":
            runs: tuple[list[Run], list[Run]] = ([], [])
            for at in range(repeat):
                for home, url, done in zip(HOMES, urls, runs, strict=True):
                    done.append(_run(place, home, url, DAY + at * ONE_DAY))
            _print_runs(*runs)
        _print_queries(urls)
        _print_sizes(urls[1])


def _export_settings(place: Path) -> None:
    os.environ |= {
        "FLEET_INBOX_URL": str(place / "inbox"),
        "FLEET_API_TOKEN": TOKEN,
        "FLEET_START_DATE": (DAY - 3 * ONE_DAY).isoformat(),
    }


def _prepare(place: Path, vehicles: int, days: int, fleets: int, evidence: int) -> None:
    """Both homes with the day before; the full one with its history and marts."""
    before = DAY - ONE_DAY
    if not (place / "api").exists():
        first, last = before - 2 * ONE_DAY, DAY + LONGEST_REPEAT * ONE_DAY
        simulate(place, seed=SEED, vehicles=vehicles, date_from=first, date_to=last)
    if not (place / "day").exists():
        os.environ["FLEET_HOME"] = str(place / "day")
        run_day(place, before)
    for home in HOMES:
        shutil.rmtree(place / home, ignore_errors=True)
        subprocess.run(["cp", "-a", place / "day", place / home], check=True)  # with owners: the server has its own
    url = ensure_running(place / "full")
    upgrade(url)
    load_past(url, before, days, fleets)
    if evidence:
        pad_evidence(url, before, evidence)
    project = load_project()
    for model in project.models:
        publish(url, project, model, Days(before - days * ONE_DAY, before), {"closing_day": 16})
    settle(url)


def _run(place: Path, home: str, url: str, day: dt.date) -> Run:
    os.environ["FLEET_HOME"] = str(place / home)
    before = _rows_read(url)
    steps = run_day(place, day, PROGRAM)["steps"]
    return Run(steps, {table: rows - before.get(table, 0) for table, rows in _rows_read(url).items()})


def _rows_read(url: str) -> dict[str, int]:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_ROWS_READ)
        found = {name: int(rows) for name, rows in cursor}
    connection.close()
    return found


def _print_runs(empty: Sequence[Run], full: Sequence[Run]) -> None:
    names = [name for name in full[0].steps if name.startswith("reports")]
    parts: dict[str, Callable[[str], bool]] = {
        "the whole run": lambda _: True,
        "marts and their tests": lambda name: name.startswith("mart"),
        **{name: name.__eq__ for name in names},
        "all other steps": lambda name: not name.startswith(("mart", "reports")),
    }
    title = f"processor time, median of {len(full)}"
    print(f"\n{title:44} {'s':>7} {'full':>7} {'ratio':>6}   in PostgreSQL s, full")
    for name, is_part in parts.items():
        (client, server), (client_full, server_full) = (_median_s(runs, is_part) for runs in (empty, full))
        before, after = client + server, client_full + server_full
        print(f"{name:44} {before:>7.2f} {after:>7.2f} {after / before:>6.2f} {server:>10.2f} {server_full:>7.2f}"
              f"{_verdict(before, after)}")  # fmt: skip
    print("\nrows read by a run")
    for table in sorted(full[0].rows):
        before, after = (statistics.median(run.rows.get(table, 0) for run in runs) for runs in (empty, full))
        if after > before + MORE_ROWS:
            print(f"{table:44} {before:>9,.0f} {after:>9,.0f}")


def _median_s(runs: Sequence[Run], is_part: Callable[[str], bool]) -> tuple[float, float]:
    """Seconds in the run's process and in PostgreSQL."""
    spent = [[sum(times) for times in zip(*(s for name, s in run.steps.items() if is_part(name)), strict=True)]
             for run in runs]  # fmt: skip
    return statistics.median(one[0] for one in spent), statistics.median(one[1] for one in spent)


def _verdict(before: float, after: float) -> str:
    return "  MISSED" if after > MOST_RATIO * before and after - before > LEAST_S else ""


def documented_queries() -> dict[str, str]:
    """The SQL of docs/queries.md by its heading."""
    sections = QUERIES.read_text(encoding="utf-8").split("\n## ")[1:]
    return {one.splitlines()[0]: one.split("```sql")[1].split("```")[0] for one in sections if "```sql" in one}


def _print_queries(urls: Sequence[str]) -> None:
    """Processor time of PostgreSQL for each query, in turn on both homes, and the blocks that it touches."""
    connections = [psycopg2.connect(url) for url in urls]
    title = f"query, processor time of PostgreSQL, median of {_REPEATED}"
    print(f"\n{title:60} {'ms':>7} {'full':>7} {'ratio':>6}   blocks, full")
    for name, sql in documented_queries().items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(_REPEATED):
            for connection, found in zip(connections, times, strict=True):
                found.append(_query_s(connection, sql))
        before, after = map(statistics.median, times)
        blocks = [_blocks(connection, sql) for connection in connections]
        print(f"{name:60} {before * 1000:>7.1f} {after * 1000:>7.1f} {after / before:>6.2f} "
              f"{blocks[0]:>8,} {blocks[1]:>6,}{_verdict(before, after)}")  # fmt: skip
    for connection in connections:
        connection.close()


def _query_s(connection: psycopg2.extensions.connection, sql: str) -> float:
    pid = connection.info.backend_pid
    with connection.cursor() as cursor:
        before = process_s(pid)
        cursor.execute(sql)
        cursor.fetchall()
        return process_s(pid) - before


def _blocks(connection: psycopg2.extensions.connection, sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"explain (analyze, buffers, timing off, format json) {sql}")
        node = cursor.fetchone()[0][0]["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def _print_sizes(url: str) -> None:
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
        cursor.execute("select count(*) / 365.0 from fact.vehicle_day_coverage")
        years = float(cursor.fetchone()[0])
    connection.close()
    print(f"\n{whole / 1e9:.2f} GB, {whole / 1e6 / years:.1f} MB for each of {years:.0f} vehicle-years; "
          f"{evidence:,} rows of evidence")  # fmt: skip
    for name, data, indexes, count in rows:
        print(f"{name:40} {count:>11,} rows {data / 1e6:>8,.0f} MB  indexes {indexes / 1e6:>7,.0f} MB "
              f"{(data + indexes) / 1e3 / years:>8,.0f} kB per vehicle-year")  # fmt: skip


if __name__ == "__main__":
    main()

"""The read API's pages of trips out of a year of 500 vehicles, beside plain psycopg2: wall and processor time.

    python -m benchmarks.api_pages

Both read the same pages in turn, in one process: the API with the user's rights, over HTTP from a thread; psycopg2 as
the owner of the tables with the user's scope as a condition, each row written as JSON. Processor time includes that of
PostgreSQL: ratios hold on a busy machine.
"""

from __future__ import annotations

import atexit
import datetime as dt
import http.client
import json
import random
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import jwt
import psutil
import psycopg2
import uvicorn
from fastapi import FastAPI

from fleet_audit.access.app import create_app
from fleet_audit.settings import Settings
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.postgres import engine_of

_FIRST_DAY = dt.date(2025, 1, 1)
_SECRET = "a secret of the benchmark, of more than 32 bytes"
_USERS = {  # login -> profile, carrier, unit, condition
    "analista": ("finance", None, "U1", "unit_code = 'U1'"),
    "empresa": ("carrier", "C1", None, "carrier_code = 'C1'"),
    "auditora": ("auditor", None, None, "true"),
}
_TRIP = """insert into fact.trips select (jsonb_populate_record(null::fact.trips, jsonb_build_object(
  'trip_id', '', 'operational_date', %s::date, 'plate', 'AAA1A11', 'unit_code', 'U1', 'carrier_code', 'C1',
  'contract_id', 'CT1', 'device_id', 'D1', 'started_at', now(), 'ended_at', now() + interval '1 hour', 'area', 'AGR',
  'area_reason', 'default_area', 'purpose', 'service', 'km_odometer', 30, 'km_gps', 30.2, 'km_measured', 30,
  'km_method', 'odometer', 'evidence_grade', 'A', 'source', 'positions', 'run_id', 'run', 'updated_at', now(),
  'coverage_pct', 99.5, 'km_uncertainty', 0.3, 'is_end_in_gap', false, 'legs', 1, 'parameters_version', 'v'))).*"""
_OWN = {  # column -> its value in the trip number n of all
    "trip_id": "left(md5(n::text), 16)",
    "operational_date": "t.operational_date + (n / {daily})",
    "unit_code": "'U' || n % 4",
    "carrier_code": "'C' || n % 20",
    "contract_id": "'CT' || n % 20",
    "plate": "'AAA' || n % 10 || 'A' || lpad((n % 500 / 10)::text, 2, '0')",
}
_PAGE = """select * from fact.trips where operational_date >= %(day)s and {scope}
  and (operational_date, trip_id) > (%(place)s, %(trip)s) order by operational_date, trip_id limit 101"""


class Times:
    """Wall time of calls, and processor time of this process and of PostgreSQL during them."""

    def __init__(self, server: psutil.Process) -> None:
        """`server` is PostgreSQL's first process."""
        self._server = server
        self._wall_s: list[float] = []
        self._processor_s = 0.0

    def measure(self, call: Callable[[], Any]) -> Any:
        """The result of a call, measured."""
        processor, wall = self._processor(), time.perf_counter()
        result = call()
        self._wall_s.append(time.perf_counter() - wall)
        self._processor_s += self._processor() - processor
        return result

    @property
    def p95_ms(self) -> float:
        """95th percentile of wall time."""
        return statistics.quantiles(self._wall_s, n=20)[-1] * 1000

    @property
    def processor_ms(self) -> float:
        """Mean processor time of a call; PostgreSQL's clock counts hundredths of seconds, too coarse for one call."""
        return self._processor_s / len(self._wall_s) * 1000

    def _processor(self) -> float:
        processes = [self._server, *self._server.children()]
        return time.process_time() + sum(sum(one.cpu_times()[:2]) for one in processes)


@click.command()
@click.option("--trips-per-day", default=2466, show_default=True, help="Of 500 vehicles.")
@click.option("--days", default=365, show_default=True)
@click.option("--places", default=60, show_default=True, help="Days of the year from which two pages each are read.")
def main(trips_per_day: int, days: int, places: int) -> None:
    """Fill a warehouse with trips and read pages of them both ways."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server's own
    url = ensure_running(Path(folder))
    upgrade(url)
    _fill(url, trips_per_day, days)
    server = psutil.Process(int((Path(folder) / "postgres/data/postmaster.pid").read_text().split()[0]))
    engine = engine_of(url.replace("postgres@", "fleet_api@"))
    client = _serve(create_app(engine, _SECRET, Lake(Settings(home=Path(folder), lake_url=None))))
    draw = random.Random(1)
    starts = [_FIRST_DAY + dt.timedelta(days=draw.randrange(days - 1)) for _ in range(places)]
    click.echo(f"{trips_per_day * days:,} trips; a page of 100: p95 of wall time, mean of processor time")
    for login, (_, _, _, scope) in _USERS.items():
        api, plain = Times(server), Times(server)
        _read(client, url, login, scope, starts, api, plain)
        click.echo(
            f"{login:9} API {api.p95_ms:6.1f} ms, {api.processor_ms:5.1f} ms   psycopg2 {plain.p95_ms:6.1f} ms, "
            f"{plain.processor_ms:5.1f} ms   ratio {api.p95_ms / plain.p95_ms:.2f}, "
            f"{api.processor_ms / plain.processor_ms:.2f}"
        )


def _fill(url: str, daily: int, days: int) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(_TRIP, (_FIRST_DAY,))
        cursor.execute("select * from fact.trips")
        names = [column.name for column in cursor.description or ()]
        values = ", ".join(_OWN.get(name, f"t.{name}").format(daily=daily) for name in names)
        cursor.execute(
            f"insert into fact.trips select {values} from fact.trips t, generate_series(1, {daily * days}) n"
        )
        cursor.execute("delete from fact.trips where trip_id = ''")
        for login, (profile, carrier, unit, _) in _USERS.items():
            cursor.execute(
                "insert into auth.users (user_id, login, profile) values (%s, %s, %s)", (login, login, profile)
            )
            if carrier or unit:
                cursor.execute("insert into auth.access values (%s, %s, %s, %s)", (login, profile, carrier, unit))
    connection.autocommit = True
    connection.cursor().execute("vacuum analyze fact.trips")
    connection.close()


def _serve(app: FastAPI) -> http.client.HTTPConnection:
    """A connection to the application, which serves from a thread until this process ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    return http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1])


def _read(
    client: http.client.HTTPConnection,
    url: str,
    login: str,
    scope: str,
    starts: list[dt.date],
    api: Times,
    plain: Times,
) -> None:
    now = time.time()
    token = jwt.encode({"sub": login, "iat": now + 1, "exp": int(now) + 900}, _SECRET, "HS256")
    connection = psycopg2.connect(url)

    def by_api(day: dt.date, cursor: str | None) -> dict[str, Any]:
        query = {"date_from": day.isoformat(), "limit": "100", **({"cursor": cursor} if cursor else {})}
        client.request("GET", f"/v1/trips?{urlencode(query)}", headers={"Authorization": f"Bearer {token}"})
        answer = client.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return dict(json.loads(content))

    def by_psycopg2(day: dt.date, place: tuple[dt.date, str]) -> list[dict[str, Any]]:
        with connection, connection.cursor() as cursor:
            cursor.execute(_PAGE.format(scope=scope), {"day": day, "place": place[0], "trip": place[1]})
            names = [column.name for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()[:100]]
        return list(json.loads(json.dumps(rows, default=str)))

    by_api(starts[0], None), by_psycopg2(starts[0], (starts[0], ""))  # connections and plans are warm
    for day in starts:
        cursor, place = None, (day, "")
        for _ in range(2):
            page = api.measure(partial(by_api, day, cursor))
            rows = plain.measure(partial(by_psycopg2, day, place))
            assert [row["trip_id"] for row in page["data"]] == [row["trip_id"] for row in rows]
            cursor, place = (
                page["next_cursor"],
                (dt.date.fromisoformat(rows[-1]["operational_date"]), rows[-1]["trip_id"]),
            )
    connection.close()


if __name__ == "__main__":
    main()

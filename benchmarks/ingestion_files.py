"""How fast files are taken in: a full telemetry file, and an inbox of many files that were read before.

    python -m benchmarks.ingestion_files

The product's own code on a real PostgreSQL and a local lake, in a warm process; each line is the best of `--repeat`
passes.
"""

from __future__ import annotations

import atexit
import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from fleet_audit.formats.parsed import Limits
from fleet_audit.formats.read import parse_file
from fleet_audit.ingest.inbox.ingestion import ingest_inbox
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox
from fleet_audit.storage.embedded.server import ensure_running
from fleet_audit.storage.lake import Lake
from fleet_audit.storage.migrate import upgrade
from fleet_audit.storage.warehouse import Warehouse

DAY = dt.datetime(2025, 6, 10, 6, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
NOW = dt.datetime(2025, 6, 12, tzinfo=dt.UTC)
HEADER = (
    "deviceId,timestamp,tipoVeiculo,odometroKm,custoVariavel,custoFixo,viagemId,latitude,longitude,velocidadeKmh,"
    "ignicao,motoristaId,passageiros"
)


@click.command()
@click.option("--rows", default=50_000, show_default=True, help="Rows of the telemetry file (FLEET_MAX_FILE_ROWS).")
@click.option("--files", default=2_000, show_default=True, help="Files that lie in the inbox.")
@click.option("--repeat", default=3, show_default=True, help="Passes of each measurement; the best one counts.")
def main(rows: int, files: int, repeat: int) -> None:
    """Measure, print."""
    folder = Path(tempfile.mkdtemp(prefix="ingestion"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server in it has been stopped
    settings = Settings(_env_file=None, home=folder / "home", inbox_url=str(folder / "inbox"))  # type: ignore[call-arg]
    url = ensure_running(folder / "home")
    upgrade(url)
    take_in = Installation(settings, Warehouse(url))
    content = telemetry(rows)
    one_bad_in_ten = content.replace(b"0-03:00,urbano,1", b"0-03:00,trator,1", rows // 10)
    for name, each in (("telemetry file", content), ("the same, one bad row in ten", one_bad_in_ten)):
        _line(f"{name}, {len(each):,} bytes: parse and check", _parsing(each), repeat)
        take_in.drop("telemetry/full.csv", each)
        _line(f"{name}: archive, parse, record", take_in.ingest_again, repeat)
    for number in range(files):
        take_in.drop(f"telemetry/{number // 100:03d}/{number:05d}.csv", f"{HEADER}\n".encode())
    take_in.ingest_again()
    _line(f"an inbox of {files:,} files that were read before", take_in.again, repeat)


class Installation:
    """An inbox, a lake, a warehouse."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        """`warehouse` is migrated."""
        self._settings, self._warehouse = settings, warehouse

    def drop(self, name: str, content: bytes) -> None:
        """Puts a file into the inbox, long ago."""
        path = Path(str(self._settings.inbox_url)) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1e9, 1e9))

    def ingest_again(self) -> int:
        """Reads the inbox as if nothing had been read; returns the rows of its files."""
        for table in ("ingested_files", "rejected_rows", "file_days"):
            self._warehouse.execute(f"delete from ops.{table}")
        return self.again()

    def again(self) -> int:
        """Reads what is new."""
        inbox = Inbox(str(self._settings.inbox_url), self._settings)
        summary = ingest_inbox(
            inbox, Lake(self._settings), self._warehouse, self._settings, now=NOW, run_id="benchmark"
        )
        return int(summary.files["rows_read"].sum())


def telemetry(rows: int) -> bytes:
    """A telemetry file of 500 devices, a position every 30 s, every column filled."""
    lines = [
        f"{at % 500},{(DAY + dt.timedelta(seconds=30 * (at // 500))).isoformat()},urbano,{1000 + at / 100:.2f},1.5,2,"
        f"V{at % 500},{-22.5 + at / 1e6:.6f},-52.1,{at % 80}.5,true,M{at % 50},18"
        for at in range(rows)
    ]
    return "\n".join([HEADER, *lines, ""]).encode()


def _parsing(content: bytes) -> Callable[[], int]:
    return lambda: (
        parse_file("telemetry", "a.csv", content, received_at=NOW, limits=Limits(), driver_key=b"benchmark").rows_read
    )


def _line(name: str, work: Callable[[], int], repeat: int) -> None:
    work()
    best, rows = float("inf"), 0
    for _ in range(repeat):
        started = time.perf_counter()
        rows = work()
        best = min(best, time.perf_counter() - started)
    print(f"{name:<70} {rows:>7,} rows  {best:>6.2f} s", flush=True)


if __name__ == "__main__":
    main()

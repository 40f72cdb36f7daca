"""What a drop of many small files takes: the sensor's ticks, the days that it requests, and reading the files.

    python -m benchmarks.inbox_drop --files 3000

Daily files of several senders, by sender and not by day; the product's own code on a real PostgreSQL and a local lake.
Times are of the processor: waiting for the disk is not in them.
"""

from __future__ import annotations

import atexit
import datetime as dt
import os
import shutil
import tempfile
import time
from pathlib import Path

import click
import dagster as dg

from fleet_audit.definitions import build_definitions
from fleet_audit.defs.resources import FleetResource
from fleet_audit.ingest.inbox.ingestion import ingest_inbox
from fleet_audit.settings import Settings
from fleet_audit.sources.inbox import Inbox
from fleet_audit.storage.lake import Lake

FIRST = dt.date(2025, 6, 1)
BULLETIN_HEADER = (
    "NUMERO ATA,PLACA,EQUIPAMENTO,DATA,CÓDIGO,LOCAL SAÍDA,HORÁRIO SAÍDA,TURNO,KM SAÍDA,QTDE PESSOAS,CÓDIGO2,"
    "LOCAL CHEGADA,HORÁRIO CHEGADA,KM CHEGADA,KM ROTA,TAXA LOTAÇÃO,EMPRESA"
)
MAX_TICKS = 200


@click.command()
@click.option("--files", default=3_000, show_default=True, help="Files in the drop.")
@click.option("--days", default=30, show_default=True, help="Days that they are of.")
@click.option("--runs", default=20, show_default=True, help="Declared runs of a file.")
def main(files: int, days: int, runs: int) -> None:
    """Drop, tick, read, print."""
    folder = Path(tempfile.mkdtemp(prefix="drop"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for number in range(files):
        drop(folder / "inbox", number // days, FIRST + dt.timedelta(days=number % days), runs)
    fleet = FleetResource(inbox_url=str(folder / "inbox"), home=str(folder / "home"))
    fleet.warehouse()  # started and migrated before anything is measured
    ticks, seconds, spans = tick_until_quiet(fleet, folder)
    requested = sum((last - first).days + 1 for first, last in spans)
    # a night shift's bulletin touches the day after, too
    print(f"sensor: {files:,} files of {days} days in {ticks} ticks, {seconds / files:.4f} s of processor a file,")
    print(f"        {len(spans)} runs requested, {requested} day-runs for {days + 1} days")
    settings = Settings(_env_file=None, home=folder / "home", inbox_url=str(folder / "inbox"))  # type: ignore[call-arg]
    for name in ("reading, archiving and recording", "reading again what was read"):
        started = time.process_time()
        summary = ingest_inbox(
            Inbox(str(folder / "inbox"), settings),
            Lake(settings),
            fleet.warehouse(),
            settings,
            now=dt.datetime.now(dt.UTC),
            run_id="benchmark",
        )
        spent = time.process_time() - started
        print(f"{name}: {len(summary.files):,} new files, {spent / files:.4f} s of processor a file")


def drop(inbox: Path, sender: int, day: dt.date, runs: int) -> None:
    """Puts one sender's bulletin of a day into the inbox."""
    path = inbox / "bulletins" / f"{sender:04d}" / f"{day}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{sender}{number:03d},AAA{sender % 10}A{number % 100:02d},,{day:%d/%m/%Y},,GARAGEM,{5 + number % 12:02d}:30,A,"
        f"1000,18,,USINA,{5 + number % 12:02d}:50,1011,11,0,UM"
        for number in range(runs)
    ]
    path.write_text("\n".join([BULLETIN_HEADER, *rows, ""]))
    os.utime(path, (1e9 + sender, 1e9 + sender))


def tick_until_quiet(fleet: FleetResource, folder: Path) -> tuple[int, float, list[tuple[dt.date, dt.date]]]:
    """Number of ticks, seconds of processor and the spans of days requested until nothing is new."""
    repository = build_definitions().get_repository_def()
    sensor = repository.get_sensor_def("inbox_sensor")
    cursor, spans, started = None, [], time.process_time()
    (folder / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(folder / "instance")) as instance:
        for tick in range(1, MAX_TICKS):
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, repository_def=repository, resources={"fleet": fleet}
            )
            result = sensor.evaluate_tick(context)
            cursor = result.cursor
            for request in result.run_requests or []:
                first, last = (
                    dt.date.fromisoformat(request.tags[f"dagster/asset_partition_range_{end}"])
                    for end in ("start", "end")
                )
                spans.append((first, last))
            if result.skip_message and "Nothing new" in result.skip_message:
                return tick, time.process_time() - started, spans
    raise RuntimeError(f"The sensor was not quiet after {MAX_TICKS} ticks.")


if __name__ == "__main__":
    main()

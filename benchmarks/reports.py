"""Seconds of processor time to make the D-1 report in all four formats, and peak memory, by size of the fleet.

    python -m benchmarks.reports

Processor time, because it does not depend on what else the machine does. The fleet is that of the report tests: five
trips a vehicle, divergences, findings, thirteen days of coverage before. The last size has nearly 100,000 rows; memory
is the most that the process ever held, test fleet and finished files included, so sizes should grow.
"""

from __future__ import annotations

import datetime as dt
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import click

from fleet_audit.reporting.documents.day import MATRIX_DAYS, build_day
from fleet_audit.reporting.formats.csv import grid_csv
from fleet_audit.reporting.formats.html import document_page
from fleet_audit.reporting.formats.pdf import document_pdf
from fleet_audit.reporting.formats.xlsx import document_workbook
from fleet_audit_tests.reporting.sample import DAY, GENERATED_AT, fleet

_REPEATED = 1000  # vehicles; larger fleets take minutes and are measured once


@click.command()
@click.option("--vehicles", default="125,250,500,1000,20000", show_default=True, help="Sizes of the fleet.")
@click.option("--repeat", default=2, show_default=True, help="Passes of each size; the best one counts.")
def main(vehicles: str, repeat: int) -> None:
    """Render each size and print a line of the table."""
    print("| vehicles | trips | document | CSV | XLSX | HTML | PDF | all, s | ms a trip | peak, MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    measure(25)  # loads templates and fonts
    for size in map(int, vehicles.split(",")):
        passes = repeat if size <= _REPEATED else 1
        trips, seconds = min((measure(size) for _ in range(passes)), key=lambda result: sum(result[1]))
        parts, peak = " | ".join(f"{part:.2f}" for part in seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"| {size:,} | {trips:,} | {parts} | {sum(seconds):.2f} | {1000 * sum(seconds) / trips:.2f} "
              f"| {peak / 1024:,.0f} |", flush=True)  # fmt: skip


def measure(vehicles: int) -> tuple[int, list[float]]:
    """Trips, and seconds of the document and of each format."""
    before = fleet(vehicles, MATRIX_DAYS - 1, 0, first=DAY - dt.timedelta(days=MATRIX_DAYS - 1)).coverage
    frames = replace(fleet(vehicles), recent_coverage=before)
    seconds, start = [], time.process_time()
    made = build_day(frames, operational_date=DAY, generated_at=GENERATED_AT)
    seconds.append(time.process_time() - start)
    formats: tuple[Callable[[], object], ...] = (
        lambda: grid_csv(made.trips), lambda: document_workbook(made.document), lambda: document_page(made.document),
        lambda: document_pdf(made.document),
    )  # fmt: skip
    for make in formats:
        start = time.process_time()
        make()
        seconds.append(time.process_time() - start)
    return len(frames.trips), seconds


if __name__ == "__main__":
    main()

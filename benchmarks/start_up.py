"""Start-up: `fleet-audit --help` and loading the code location, as ratios to `import dagster, pandas` in the same run.

    python -m benchmarks.start_up --runs 5
    python -m benchmarks.start_up --other ../older-checkout      # and the same of another checkout, alternately

Processor time of fresh processes (the machine may be busy), median of the runs. Ratios hold on any machine, seconds
do not.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

BASE = "import dagster, pandas"
HELP = "import sys; sys.argv = ['fleet-audit', '--help']; from fleet_audit.cli.main import main; main()"
LOCATION = "from fleet_audit.definitions import defs; defs()"


def processor_time_s(program: str, checkout: Path) -> float:
    """User and system time of one process that runs the program with a checkout's package."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "FLEET_HOME": home}
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=checkout, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@click.command()
@click.option("--runs", default=5, show_default=True, help="Processes per program, after one to warm up.")
@click.option("--other", type=click.Path(path_type=Path, exists=True), help="Another checkout to compare with.")
def main(runs: int, other: Path | None) -> None:
    """Print seconds and ratios."""
    here = Path(__file__).parents[1]
    programs = {("", BASE): here, ("--help", HELP): here, ("code location", LOCATION): here}
    if other is not None:
        checkout = other.resolve()
        programs[("--help, other checkout", HELP)] = checkout
        programs[("code location, other checkout", LOCATION)] = checkout
    times: dict[str, list[float]] = {name: [] for name, _ in programs}
    for run in range(runs + 1):
        for (name, program), checkout in programs.items():
            taken = processor_time_s(program, checkout)
            if run:
                times[name].append(taken)
    base = statistics.median(times.pop(""))
    click.echo(f"{BASE:32} {base:6.2f} s")
    for name, values in times.items():
        click.echo(f"{name:32} {statistics.median(values):6.2f} s  {statistics.median(values) / base:5.2f} x")


if __name__ == "__main__":
    main()

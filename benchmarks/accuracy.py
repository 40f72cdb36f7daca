"""The audit-quality report: simulated fleets through the whole logic, in memory, against their truth.

    python -m benchmarks.accuracy
    python -m benchmarks.accuracy --seeds 7 --whole-cycle-seeds "" --outcomes outcomes --show 10
    python -m benchmarks.accuracy --outcomes outcomes --only-page

Each seed is simulated twice, honest and with frauds; the last of `--seeds` gets a mix drawn at random. Those of
`--whole-cycle-seeds` cover a whole cycle, which the rules of a cycle need. Honest fleets are larger: only 6,000 honest
trips without a false finding show, with 95 %, at most 0.5 per 1,000. Writes docs/audit-quality.md and its plots; with
`--outcomes` what is measured stays there, fleet by fleet, and a fleet that is there is not measured again.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import click
import pandas as pd

from benchmarks.accuracy_details import print_details
from benchmarks.accuracy_figures import honest
from benchmarks.accuracy_fleets import Fleet, Outcome, measure
from benchmarks.accuracy_page import write_page
from benchmarks.doubt import SPOILT_TRIPS

_DOCS = Path(__file__).parents[1] / "docs"
_WHOLE_CYCLE = (dt.date(2025, 5, 16), 32)  # first day, days: the cycle and the day after its close


def _seeds(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    return [int(seed) for seed in value.split(",") if seed.strip()]


@click.command()
@click.option("--seeds", default="61037,62041,63059,64067,65077", callback=_seeds, help="Seeds of short fleets.")
@click.option("--whole-cycle-seeds", default="66083", callback=_seeds, help="Seeds of fleets over a whole cycle.")
@click.option("--only", type=click.Choice(["honest", "frauds"]), help="Simulate one kind of fleet of each seed.")
@click.option("--vehicles", default=20, show_default=True, help="Vehicles of each fleet.")
@click.option("--honest-vehicles", default=72, show_default=True, help="Vehicles of the short honest fleets.")
@click.option("--days", default=5, show_default=True, help="Days of the short fleets.")
@click.option("--first-day", default="2025-06-11", show_default=True, help="First day of the short fleets.")
@click.option("--outcomes", type=click.Path(path_type=Path), help="Folder that keeps what each fleet gave.")
@click.option("--show", default=0, show_default=True, help="Examples of each kind of shortfall to print.")
@click.option("--only-page", is_flag=True, help="Write the page from the outcomes that are there.")
@click.option("--docs", type=click.Path(path_type=Path), default=_DOCS, help="Folder of the page.")
def main(
    seeds: list[int], whole_cycle_seeds: list[int], only: str | None, vehicles: int, honest_vehicles: int, days: int,
    first_day: str, outcomes: Path | None, show: int, only_page: bool, docs: Path,
) -> None:  # fmt: skip
    """Measure how right the audit is, and write the page."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = outcomes or Path(scratch) / "outcomes"
        fleets = _fleets(seeds, whole_cycle_seeds, (vehicles, honest_vehicles), days, dt.date.fromisoformat(first_day))
        if only:
            fleets = [fleet for fleet in fleets if fleet.has_frauds == (only == "frauds")]
        for fleet in [] if only_page else fleets:
            folder = kept / fleet.name.replace(" ", "_").replace(",", "")
            if not (folder / "facts.json").exists():
                found, outcome = measure(fleet, Path(scratch) / fleet.name)
                outcome.write(folder)
                click.echo(f"{fleet.name}: {outcome.facts['processor_s']} s of processor time")
                if show:
                    print_details(found, show)
        outcomes_kept = [Outcome.read(folder.parent) for folder in sorted(kept.glob("*/facts.json"))]
        if not honest(outcomes_kept):
            click.echo("No page: what honest fleets show is a part of it, and there is none among the outcomes.")
            return
        write_page(docs, outcomes_kept, _spoilt(kept))


def _spoilt(outcomes: Path) -> pd.DataFrame:
    """The trips that `benchmarks.doubt` left beside the outcomes; no row where it did not run."""
    path = outcomes / SPOILT_TRIPS
    empty = pd.DataFrame(columns=["plate", "km_true", "km", "half_width", "method", "grade", "devices", "seed"])
    return pd.read_parquet(path) if path.exists() else empty


def _fleets(
    seeds: list[int], whole: list[int], vehicles: tuple[int, int], days: int, first_day: dt.date
) -> list[Fleet]:
    """The short fleets, then those of a whole cycle; `vehicles`: of those with frauds and of the short honest ones."""
    few, many = vehicles
    short = [
        Fleet(seed, few if has_frauds else many, days, first_day, has_frauds,
              is_drawn=has_frauds and len(seeds) > 1 and seed == seeds[-1])
        for seed in seeds
        for has_frauds in (False, True)
    ]  # fmt: skip
    return short + [Fleet(seed, few, _WHOLE_CYCLE[1], _WHOLE_CYCLE[0], has_frauds)
                    for seed in whole for has_frauds in (False, True)]  # fmt: skip


if __name__ == "__main__":
    main()

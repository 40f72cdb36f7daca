"""The audit-quality report: simulated fleets through the whole logic, in memory, against their truth.

    python -m benchmarks.accuracy --outcomes outcomes
    python -m benchmarks.accuracy --seeds 7 --honest-seeds "" --outcomes outcomes --show 10
    python -m benchmarks.accuracy --whole-cycle-seeds 66097 --outcomes outcomes
    python -m benchmarks.accuracy --outcomes outcomes --only-page

Each of `--seeds` is simulated with frauds, the last of several with a mix drawn at random. The fleets of
`--honest-seeds` are larger: only 6,000 honest trips without a false finding show, with 95 %, at most 0.5 per 1,000. The
fleets of `--whole-cycle-seeds`, honest and with frauds, cover a whole cycle, which the rules of a cycle need. The
fleets of `--one-route-seeds` cover it with as many vehicles on one route as some of them need. The fleets of
`--coarse-seeds` report every 300 s: the page shows only their stated confidences, as sound devices leave
few doubts. Writes docs/audit-quality.md and its plots; with `--outcomes` what is measured stays there, fleet by fleet,
and a fleet that is there is not measured again.
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
from benchmarks.doubt import COARSE, SPOILT_TRIPS

_DOCS = Path(__file__).parents[1] / "docs"
_ON_ONE_ROUTE = 32  # vehicles: one for each habit, and the twenty others that S05 compares with
_WHOLE_CYCLE = (dt.date(2025, 5, 16), 32)  # first day, days: the cycle and the day after its close


def _seeds(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    return [int(seed) for seed in value.split(",") if seed.strip()]


@click.command()
@click.option("--seeds", default="61037,62041,63059,64067,66083,65077", callback=_seeds, help="Seeds, with frauds.")
@click.option("--honest-seeds", default="61037,62041", callback=_seeds, help="Seeds of honest fleets.")
@click.option("--whole-cycle-seeds", default="", callback=_seeds, help="Seeds of fleets over a whole cycle.")
@click.option("--coarse-seeds", default="", callback=_seeds, help="Seeds of fleets that report every 300 s.")
@click.option("--one-route-seeds", default="", callback=_seeds, help="Seeds of fleets with habits on one route.")
@click.option("--vehicles", default=20, show_default=True, help="Vehicles of each fleet.")
@click.option("--honest-vehicles", default=190, show_default=True, help="Vehicles of the short honest fleets.")
@click.option("--days", default=4, show_default=True, help="Days of the short fleets.")
@click.option("--first-day", default="2025-06-13", show_default=True, help="First day of the short fleets.")
@click.option("--outcomes", type=click.Path(path_type=Path), help="Folder that keeps what each fleet gave.")
@click.option("--show", default=0, show_default=True, help="Examples of each kind of shortfall to print.")
@click.option("--only-page", is_flag=True, help="Write the page from the outcomes that are there.")
@click.option("--docs", type=click.Path(path_type=Path), default=_DOCS, help="Folder of the page.")
def main(
    seeds: list[int], honest_seeds: list[int], whole_cycle_seeds: list[int], coarse_seeds: list[int],
    one_route_seeds: list[int], vehicles: int, honest_vehicles: int, days: int,
    first_day: str, outcomes: Path | None, show: int, only_page: bool, docs: Path,
) -> None:  # fmt: skip
    """Measure how right the audit is, and write the page."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = outcomes or Path(scratch) / "outcomes"
        first = dt.date.fromisoformat(first_day)
        fleets = [Fleet(seed, honest_vehicles, days, first, has_frauds=False) for seed in honest_seeds]
        fleets += [
            Fleet(seed, vehicles, days, first, has_frauds=True, is_drawn=len(seeds) > 1 and seed == seeds[-1])
            for seed in seeds
        ]
        fleets += [
            Fleet(seed, vehicles, _WHOLE_CYCLE[1], _WHOLE_CYCLE[0], has_frauds)
            for seed in whole_cycle_seeds
            for has_frauds in (False, True)
        ]
        fleets += [Fleet(seed, vehicles, days, first, has_frauds=True, devices=COARSE) for seed in coarse_seeds]
        fleets += [
            Fleet(seed, _ON_ONE_ROUTE, _WHOLE_CYCLE[1], _WHOLE_CYCLE[0], has_frauds=True, on_one_route=True)
            for seed in one_route_seeds
        ]
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


if __name__ == "__main__":
    main()

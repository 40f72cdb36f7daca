"""The audit-quality report: simulated fleets through the whole logic, in memory, against their truth.

    python -m benchmarks.accuracy
    python -m benchmarks.accuracy --seeds 7 --honest-seeds "" --outcomes outcomes --show 10
    python -m benchmarks.accuracy --outcomes outcomes --only-page

Writes docs/audit-quality.md and its plots. Without options it measures the fleets of the seeds below, which nothing may
be developed on before, and takes about 25 minutes of processor time, in two processes of up to 3 GB.

Each of `--seeds` is simulated with frauds, the last of several with a mix drawn at random. They are 53, because one
miss of a rule in fewer than 50 labels is more than 2 %. The fleets of `--honest-seeds` are larger: only 6,000 honest
trips without a false finding show, with 95 %, at most 0.5 per 1,000. The fleets of `--whole-cycle-seeds`, honest,
cover a whole cycle, which the rules of a cycle need. Those of `--one-route-seeds` cover it with as many vehicles on
one route as some of these rules need, and those of `--shuttle-seeds` with as many runs of one vehicle. The fleets of
`--coarse-seeds` report every 300 s: the page shows only their stated confidences, as sound devices leave few doubts.
The devices of `--spoilt-seeds` are spoilt in each way of `benchmarks.doubt`. With `--outcomes` what is measured stays
there, fleet by fleet, and a fleet that is there is not measured again.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import click
import pandas as pd

from benchmarks.accuracy_details import print_details
from benchmarks.accuracy_figures import honest
from benchmarks.accuracy_fleets import Fleet, Outcome, measure
from benchmarks.accuracy_page import PAGE_FACTS, write_page
from benchmarks.doubt import COARSE, SPOILT_TRIPS, spoilt_trips

_DOCS = Path(__file__).parents[1] / "docs"
_ON_ONE_ROUTE = 32  # vehicles: one for each habit, and the twenty others that S05 compares with
_SHUTTLES, _SHUTTLE_RUNS = 6, 10  # vehicles and daily runs: K05 needs 200 runs of a vehicle in a cycle
_WHOLE_CYCLE = (dt.date(2025, 5, 16), 32)  # first day, days: the cycle and the day after its close
_SPOILT_DAY = dt.date(2025, 6, 9)
_FRAUD_SEEDS = ",".join(str(660_037 + 557 * number) for number in range(53))
_COARSE_SEEDS = ",".join(str(700_001 + 509 * number) for number in range(16))


def _seeds(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    return [int(seed) for seed in value.split(",") if seed.strip()]


def _seed_option(name: str, default: str, text: str):  # type: ignore[no-untyped-def]
    return click.option(name, default=default, show_default=True, callback=_seeds, help=text)


@click.command()
@_seed_option("--seeds", _FRAUD_SEEDS, "Seeds, with frauds.")
@_seed_option("--honest-seeds", "720007,721003", "Seeds of honest fleets.")
@_seed_option("--whole-cycle-seeds", "722011", "Seeds of honest fleets over a whole cycle.")
@_seed_option("--coarse-seeds", _COARSE_SEEDS, "Seeds of fleets that report every 300 s.")
@_seed_option("--one-route-seeds", "724019", "Seeds of fleets with habits on one route.")
@_seed_option("--shuttle-seeds", "726011", "Seeds of fleets of shuttles between two places.")
@_seed_option("--spoilt-seeds", "728003,729019", "Seeds of honest fleets whose devices are spoilt.")
@click.option("--vehicles", default=32, show_default=True, help="Vehicles of each short fleet with frauds.")
@click.option("--honest-vehicles", default=190, show_default=True, help="Vehicles of the short honest fleets.")
@click.option("--whole-cycle-vehicles", default=12, show_default=True, help="Vehicles of the fleets over a cycle.")
@click.option("--spoilt-vehicles", default=160, show_default=True, help="Vehicles of the fleets with spoilt devices.")
@click.option("--days", default=4, show_default=True, help="Days of the short fleets.")
@click.option("--first-day", default="2025-06-13", show_default=True, help="First day of the short fleets.")
@click.option("--processes", default=2, show_default=True, help="Fleets that are measured at the same time.")
@click.option("--outcomes", type=click.Path(path_type=Path), help="Folder that keeps what each fleet gave.")
@click.option("--show", default=0, show_default=True, help="Examples of each kind of shortfall to print.")
@click.option("--only-page", is_flag=True, help="Write the page from the outcomes that are there.")
@click.option("--docs", type=click.Path(path_type=Path), default=_DOCS, help="Folder of the page.")
def main(
    seeds: list[int], honest_seeds: list[int], whole_cycle_seeds: list[int], coarse_seeds: list[int],
    one_route_seeds: list[int], shuttle_seeds: list[int], spoilt_seeds: list[int], vehicles: int, honest_vehicles: int,
    whole_cycle_vehicles: int, spoilt_vehicles: int, days: int, first_day: str, processes: int, outcomes: Path | None,
    show: int, only_page: bool, docs: Path,
) -> None:  # fmt: skip
    """Measure how right the audit is, and write the page."""
    first = dt.date.fromisoformat(first_day)
    cycle_first, cycle_days = _WHOLE_CYCLE
    fleets = [Fleet(seed, whole_cycle_vehicles, cycle_days, cycle_first, has_frauds=False)
              for seed in whole_cycle_seeds]  # fmt: skip
    fleets += [Fleet(seed, _ON_ONE_ROUTE, cycle_days, cycle_first, has_frauds=True, on_one_route=True)
               for seed in one_route_seeds]  # fmt: skip
    fleets += [Fleet(seed, _SHUTTLES, cycle_days, cycle_first, has_frauds=True, on_one_route=True,
                     shuttle_runs=_SHUTTLE_RUNS) for seed in shuttle_seeds]  # fmt: skip
    fleets += [Fleet(seed, honest_vehicles, days, first, has_frauds=False) for seed in honest_seeds]
    fleets += [Fleet(seed, vehicles, days, first, has_frauds=True, is_drawn=len(seeds) > 1 and seed == seeds[-1])
               for seed in seeds]  # fmt: skip
    fleets += [Fleet(seed, vehicles, days, first, has_frauds=True, devices=COARSE) for seed in coarse_seeds]
    with tempfile.TemporaryDirectory() as scratch:
        kept = outcomes or Path(scratch) / "outcomes"
        if not only_page:
            _measure_all(fleets, spoilt_seeds, spoilt_vehicles, kept, processes, show)
        outcomes_kept = read_outcomes(kept)
        if not honest(outcomes_kept):
            click.echo("No page: what honest fleets show is a part of it, and there is none among the outcomes.")
            return
        write_page(docs, outcomes_kept, read_spoilt(kept))


def read_outcomes(kept: Path) -> list[Outcome]:
    """The outcomes of the fleets in a folder. Raises ClickException for one without a fact that the page needs."""
    outcomes = {path.parent: Outcome.read(path.parent) for path in sorted(kept.glob("*/facts.json"))}
    for folder, outcome in outcomes.items():
        if absent := sorted(PAGE_FACTS - outcome.facts.keys()):
            raise click.ClickException(
                f"{folder}/facts.json is of an older version and lacks {', '.join(absent)}: delete the folder {folder} "
                "and measure this fleet again, without --only-page."
            )
    return list(outcomes.values())


def _measure_all(
    fleets: list[Fleet], spoilt_seeds: list[int], spoilt_vehicles: int, kept: Path, processes: int, show: int
) -> None:
    """Writes the outcome of each fleet, the longest first, in so many processes at a time."""
    kept.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        tasks = [pool.submit(_measure_fleet, fleet, kept / _folder_name(fleet), show) for fleet in fleets
                 if not (kept / _folder_name(fleet) / "facts.json").exists()]  # fmt: skip
        tasks += [pool.submit(_measure_spoilt, seed, spoilt_vehicles, kept) for seed in spoilt_seeds
                  if not (kept / f"{seed}_{SPOILT_TRIPS}").exists()]  # fmt: skip
        for task in as_completed(tasks):
            click.echo(task.result())


def _measure_fleet(fleet: Fleet, folder: Path, show: int) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        found, outcome = measure(fleet, Path(scratch) / "fleet")
    outcome.write(folder)
    if show:
        print_details(found, show)
    return f"{fleet.name}: {outcome.facts['processor_s']} s of processor time, {outcome.facts['peak_gb']} GB"


def _measure_spoilt(seed: int, vehicles: int, kept: Path) -> str:
    trips = spoilt_trips(vehicles, [_SPOILT_DAY], seed)
    trips.to_parquet(kept / f"{seed}_{SPOILT_TRIPS}")
    return f"seed {seed}, devices spoilt in each way: {time.process_time():.1f} s of processor time, {len(trips)} trips"


def _folder_name(fleet: Fleet) -> str:
    return fleet.name.replace(" ", "_").replace(",", "")


def read_spoilt(outcomes: Path) -> pd.DataFrame:
    """The trips of the fleets with spoilt devices, one file per seed; no row where none was measured."""
    empty = pd.DataFrame(columns=["plate", "km_true", "km", "half_width", "method", "grade", "devices", "seed"])
    found = [pd.read_parquet(path) for path in sorted(outcomes.glob(f"[0-9]*_{SPOILT_TRIPS}"))]
    return pd.concat(found, ignore_index=True) if found else empty


if __name__ == "__main__":
    main()

"""Segmentation against other ways to do it: positions of a fleet's four days from Parquet to trips, in the same run.

    python -m benchmarks.segmentation --positions 300000 --positions 10000000 --no-libraries

Peers run as scripts of `peers/` in virtual environments of their own, which are made outside of the repository; one
that cannot be installed is reported with the reason. How right each is, is measured against the simulator's truth.

Beside the seconds stands the processor time of all threads: it hardly changes when the machine does other work too, the
seconds do. The floor sorts in one thread, as the target of 2.5 times its time was set; the same work in as many threads
as the product uses stands below it. Each target is printed as reached or missed. The libraries get a small fleet; their
time for a large one is extrapolated from it, as if they were linear, and is marked so.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.audited_fleet import SimulatedInbox
from benchmarks.comparison import Truth, pair_trips
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.primitives.workers.threads import threads_limited_to
from fleet_audit.logic.reference.places import Places
from fleet_audit.logic.trips.legs import from_positions
from fleet_audit.logic.trips.segmentation import segment
from fleet_audit.logic.trips.track.assignments import assignments
from fleet_audit.logic.trips.track.position_arrays import POSITION_COLUMNS, TEXT_COLUMNS, PositionArrays
from fleet_audit.logic.trips.track.time_order import TrackOrder, TrackSpans
from fleet_audit.logic.trips.track.tracks import build_tracks
from fleet_audit.logic.trips.trips import join_trips
from fleet_audit.schema.partition import PARTITION_ZONE
from fleet_audit.simulation.fleet import simulate

DAY = dt.date(2025, 6, 11)
FIRST, LAST = DAY - dt.timedelta(days=2), DAY + dt.timedelta(days=1)
SEED = 11
PER_VEHICLE = 1_770  # positions of a simulated vehicle in four days
SCRIPTS = Path(__file__).parent / "peers"
RULES = {"polars": "rules_polars.py", "numpy": "rules_numpy.py", "DuckDB": "rules_duckdb.py"}
LIBRARIES = {
    "MEOS": "meos_trips.py",
    "movingpandas": "movingpandas_trips.py",
    "trackintel": "trackintel_trips.py",
    "scikit-mobility": "skmob_trips.py",
}
NEEDS = {
    **dict.fromkeys(RULES, ("rules", ["polars", "duckdb", "numpy", "pandas", "pyarrow"])),
    "MEOS": ("meos", ["pymeos>=1.3", "cffi", "pandas", "pyarrow"]),
    "movingpandas": ("movingpandas", ["movingpandas", "pyarrow"]),
    "trackintel": ("trackintel", ["trackintel", "pyarrow"]),
    "scikit-mobility": ("scikit-mobility", ["scikit-mobility", "shapely<2", "geopandas<1", "numpy<2", "pyarrow<19"]),
}
FLOOR = "floor: read, sort"
THREADED_FLOOR = "floor in threads"
OURS = "fleet_audit"
MOST_FLOORS = 2.5
FLOORS_FROM = 10_000_000  # positions from which that target holds: fixed costs weigh on fewer


@click.command()
@click.option("--positions", "sizes", multiple=True, type=int, default=[300_000], show_default=True)
@click.option("--libraries-positions", default=20_000, show_default=True, help="Positions that the libraries get.")
@click.option("--repeat", default=3, show_default=True, help="Passes of each; the best one counts.")
@click.option("--libraries/--no-libraries", default=True, help="Measure the libraries, MEOS to scikit-mobility.")
@click.option(
    "--environments",
    type=click.Path(path_type=Path),
    default=Path(tempfile.gettempdir(), "peers"),
    show_default=True,
    help="Folder of the peers' virtual environments, kept for the next run.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="SVG of positions in a second of processor time.")
def main(
    sizes: tuple[int, ...], libraries_positions: int, repeat: int, libraries: bool, environments: Path,
    plot: Path | None,
) -> None:  # fmt: skip
    """Measure positions per second and accuracy of each way, and print them."""
    peers = RULES | (LIBRARIES if libraries else {})
    pythons = {name: python for name in peers if (python := _python(environments, name))}
    with tempfile.TemporaryDirectory(prefix="segmentation") as scratch:
        slow: list[Speed] = []
        named = [name for name in LIBRARIES if name in pythons]
        if named:
            small = Contest(Path(scratch, "small"), libraries_positions, repeat)
            small.print_head()
            slow = small.measure(small.own_ways() | {
                name: small.peer(LIBRARIES[name], pythons[name]) for name in named
            })  # fmt: skip
        speeds = [speed for speed in slow if speed.way in LIBRARIES]
        for size in sorted(sizes):
            contest = Contest(Path(scratch, str(size)), size, repeat)
            contest.print_head()
            found = contest.measure(
                contest.own_ways()
                | {name: contest.peer(RULES[name], pythons[name]) for name in RULES if name in pythons}
            )
            print_targets(found)
            contest.print_extrapolated([speed for speed in slow if speed.way in LIBRARIES], found)
            speeds += found
    if plot:
        draw(speeds, plot)


@dataclass(frozen=True)
class Speed:
    """What a way took for so many positions, at best: seconds, and processor seconds."""

    way: str
    positions: int
    seconds: float
    processor_s: float

    @property
    def rate(self) -> float:
        """Positions a second."""
        return self.positions / self.seconds


Passes = list[tuple[float, float]]


class Contest:
    """One fleet of about so many positions, and the ways to make trips of them."""

    def __init__(self, folder: Path, positions: int, repeat: int) -> None:
        """Simulates the fleet and writes its positions, in no order, and its places."""
        folder.mkdir()
        self._folder, self._repeat = folder, repeat
        vehicles = max(round(positions / PER_VEHICLE), 1)
        simulate(folder / "fleet", seed=SEED, vehicles=vehicles, frauds=False, date_from=FIRST, date_to=LAST)
        self._inbox = SimulatedInbox(folder / "fleet")
        self._reference = self._inbox.reference
        rows = pq.read_table(folder / "fleet" / "api" / "positions.parquet").drop_columns("uploaded_at")
        rows = rows.rename_columns({"timestamp": "recorded_at"})
        rows = rows.append_column("trip_key", pa.nulls(len(rows), pa.string()))
        shuffled = rows.take(np.random.default_rng(SEED).permutation(len(rows)))
        self.size = len(rows)
        self._positions, self._places = folder / "positions.parquet", folder / "places.parquet"
        pq.write_table(shuffled, self._positions, compression="zstd")
        pois = self._reference.pois[["kind", "latitude", "longitude", "radius_m"]]
        pq.write_table(pa.Table.from_pandas(pois.dropna(), preserve_index=False), self._places)

    def own_ways(self) -> dict[str, Callable]:
        """The floor by one thread, the floor by as many as the product uses, and the product."""
        return {FLOOR: lambda: self.floor(1), THREADED_FLOOR: lambda: self.floor(os.cpu_count() or 1), OURS: self.ours}

    def floor(self, threads: int) -> tuple[Passes, None]:
        """The work that every way must do: four columns read, by Arrow's threads, and sorted by vehicle and time."""

        def work() -> None:
            table = pq.read_table(
                self._positions,
                columns=["device_id", "recorded_at", "latitude", "longitude"],
                read_dictionary=["device_id"],
            )
            device = table["device_id"].combine_chunks()
            micros = table["recorded_at"].to_numpy().astype(np.int64)
            ever = np.full(len(device.dictionary), 2**62)
            spans = TrackSpans.of(np.arange(len(ever)), -ever, ever, len(ever))
            track_order = TrackOrder.of([device.indices.to_numpy()], [micros], spans)
            scratch = track_order.scratch()
            for name in ("latitude", "longitude"):
                track_order.sorted_column([table[name].to_numpy()], scratch)

        with threads_limited_to(threads):
            return [_timed(work) for _ in range(self._repeat + 1)][1:], None

    def ours(self) -> tuple[Passes, pd.DataFrame]:
        """The product's own functions, from Parquet to trips with all their columns."""
        devices, parameters, found = self._reference.devices, parameters_on(DAY), []

        def work() -> None:
            table = pq.read_table(self._positions, columns=POSITION_COLUMNS, read_dictionary=TEXT_COLUMNS)
            spans = assignments(devices, self._reference.zones(devices["plate"], DAY))
            tracks = build_tracks([PositionArrays.of(table)], spans, DAY)
            places = Places(self._reference.pois)
            documented = pd.DataFrame(columns=["plate", "at_s", "poi_id"])
            chain = from_positions(segment(tracks, places, parameters), places, documented, parameters)
            found.append(join_trips(chain, places, parameters)[0])

        seconds = [_timed(work) for _ in range(self._repeat + 1)][1:]  # the compiled passes are loaded in the first
        trips = found[-1]
        return seconds, trips[~trips["is_short"]]

    def peer(self, script: str, python: Path) -> Callable[[], tuple[Passes, pd.DataFrame]]:
        """A script of `peers/` in its own process and environment."""

        def work() -> tuple[Passes, pd.DataFrame]:
            out = self._folder / "trips.parquet"
            arguments = [python, SCRIPTS / script, self._positions, self._places, out, self._repeat]
            ran = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, check=False)
            if ran.returncode:
                raise RuntimeError(ran.stderr.strip().splitlines()[-1])
            return json.loads(ran.stdout.splitlines()[-1]), self._named(pq.read_table(out).to_pandas())

        return work

    def print_head(self) -> None:
        """What the lines below it say."""
        print(f"\n{self.size:,} positions of four days, in no order, from Parquet to trips; best of {self._repeat}")
        print(
            f"{'':<18} {'s':>8} {'slowest':>8} {'cpu s':>8} {'pos/s':>12} {'x floor':>8} {'by cpu':>8} {'recall':>8} "
            f"{'precision':>10} {'km':>9}"
        )

    def measure(self, ways: dict[str, Callable]) -> list[Speed]:
        """Run each way, print and give what it took."""
        result: list[Speed] = []
        for name, way in ways.items():
            try:
                passes, trips = way()
            except RuntimeError as error:
                print(f"{name:<18} not measured: {error}")
                continue
            seconds, worked = zip(*passes, strict=True)
            speed = Speed(name, self.size, min(seconds), min(worked))
            result.append(speed)
            right = self._accuracy(trips) if trips is not None else ""
            print(
                f"{name:<18} {speed.seconds:8.3f} {max(seconds):8.3f} {speed.processor_s:8.3f} {speed.rate:12,.0f} "
                f"{speed.seconds / result[0].seconds:8.2f} {speed.processor_s / result[0].processor_s:8.2f} {right}",
                flush=True,
            )
        return result

    def print_extrapolated(self, slow: list[Speed], found: list[Speed]) -> None:
        """What the libraries would take, if they stayed as fast as with few positions, and how much faster ours is."""
        if not slow:
            return
        for speed in slow:
            print(f"{speed.way:<18} {self.size / speed.rate:8.0f} {'':17} {speed.rate:12,.0f} extrapolated from "
                  f"{speed.positions:,} positions")  # fmt: skip
        ours = next(speed for speed in found if speed.way == OURS)
        fastest = max(slow, key=lambda speed: speed.positions / speed.processor_s)
        times = ours.positions / ours.processor_s / (fastest.positions / fastest.processor_s)
        print(f"{OURS} is {times:,.0f} times the fastest library, {fastest.way}, by processor time")

    def _named(self, trips: pd.DataFrame) -> pd.DataFrame:
        """A peer's trips by plate: a device belongs to the vehicle that has it on the day of the start."""
        for name in ("started_at", "ended_at"):
            trips[name] = pd.to_datetime((trips[name].astype(float) * 1e6).astype("int64"), unit="us", utc=True)
        devices = self._reference.devices
        pairs = trips.reset_index(names="trip").merge(devices, on="device_id")
        start = pairs["started_at"].dt.tz_convert(PARTITION_ZONE).dt.date
        first, last = (pairs[name].astype(object).where(pairs[name].notna(), edge) for name, edge in
                       (("valid_from", dt.date.min), ("valid_to", dt.date.max)))  # fmt: skip
        return pairs[(first <= start) & (start <= last)].drop_duplicates("trip")

    def _accuracy(self, trips: pd.DataFrame) -> str:
        """Recall and precision of trips of D-1 and D that the positions show, and the bias of their km, in per cent."""
        days = [DAY - dt.timedelta(days=1), DAY]
        truth = Truth.read(self._folder / "fleet" / "truth", days)
        by_report = truth.trips["source"] != "positions"
        silent = set(truth.trips.loc[by_report, "plate"])
        start = trips["started_at"].dt.tz_convert(PARTITION_ZONE).dt.date
        own = trips[start.isin(days) & ~trips["plate"].isin(silent)].assign(purpose="unknown")
        pairs = pair_trips(truth, own.reset_index(drop=True))
        real = pairs.truth[~pairs.truth["plate"].isin(silent) & pairs.truth["is_shown"]]
        judged = pairs.measured[pairs.measured["is_shown"]]
        same = real[real["measured"] >= 0]
        km, true = pairs.measured["km"].to_numpy(float)[same["measured"]].sum(), same["km"].sum()
        recall, precision = 100 * (real["measured"] >= 0).mean(), 100 * (judged["truth"] >= 0).mean()
        return f"{recall:7.2f}% {precision:9.2f}% {100 * (km / true - 1):+8.3f}%"


def print_targets(found: list[Speed]) -> None:
    """Whether ours is the first of all ways by the clock, and within so many times the floor."""
    speeds = {speed.way: speed for speed in found}
    ours = speeds[OURS]
    rivals = [speed for speed in found if speed.way not in (FLOOR, THREADED_FLOOR, OURS)]
    if rivals:
        best = min(rivals, key=lambda speed: speed.seconds)
        verdict = "reached" if ours.seconds < best.seconds else "MISSED"
        print(f"target, first by the clock: {verdict}; {OURS} {ours.seconds:.3f} s, {best.way} {best.seconds:.3f} s")
    if ours.positions >= FLOORS_FROM:
        times, threaded = (ours.seconds / speeds[name].seconds for name in (FLOOR, THREADED_FLOOR))
        verdict = "reached" if times <= MOST_FLOORS else "MISSED"
        print(f"target, at most {MOST_FLOORS} times the floor by the clock: {verdict}; {times:.2f} times the floor by "
              f"one thread, {threaded:.2f} times the floor in threads")  # fmt: skip


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def _python(environments: Path, name: str) -> Path | None:
    """The interpreter of a peer's environment, made when it is not there; None with the reason when it cannot be."""
    shared, needs = NEEDS[name]
    folder = environments / shared
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        installed = subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if installed.returncode:
            print(f"{name}: not measured, it cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
            return None
        (folder / "ready").touch()
    return python


def draw(speeds: list[Speed], path: Path) -> None:
    """Positions of each way in a second of processor time, which a busy machine hardly changes; a bar a size."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.container import BarContainer

    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "segmentation"}
    table = pd.DataFrame(
        [(one.way, one.positions, one.positions / one.processor_s) for one in speeds], columns=["way", "n", "rate"]
    )
    wide = table.pivot_table(index="way", columns="n", values="rate")
    wide = wide.loc[wide.max(axis=1).sort_values(ascending=False).index]
    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    wide.plot.barh(ax=axes, logx=True, width=0.85, color=["#9aa5b1", "#7fb3d5", "#2e86c1", "#1b4f72"][-wide.shape[1] :])
    axes.set(xlabel="positions in a second of processor time (logarithmic)", ylabel="", title="From Parquet to trips")
    for bars in (one for one in axes.containers if isinstance(one, BarContainer)):
        axes.bar_label(
            bars, [f"{bar.get_width():,.0f}" if bar.get_width() else "" for bar in bars], fontsize=7, padding=2
        )
    axes.legend([f"{size:,}" for size in wide.columns], title="positions", fontsize=8, title_fontsize=8)
    axes.set_xlim(right=axes.get_xlim()[1] * 4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())

"""How sure the kilometres are: whether km_measured ± km_uncertainty holds the true road, on fleets of spoilt devices.

    python -m benchmarks.doubt
    python -m benchmarks.doubt --outcomes outcomes

One honest fleet is simulated; what its devices sent, and what visit reports print of their odometers, is spoilt in one
way at a time and goes through `build_window`. The
road is the simulator's own, which neither the odometer (each up to 1 % off) nor the receiver shows. With `--outcomes`
the trips stay there; `accuracy` measures larger fleets so.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks.audited_fleet import SimulatedInbox
from benchmarks.comparison import SAME_TRIP_S, Truth, measured_trips, pair_trips
from fleet_audit.logic.primitives.parameters import parameters_on
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.trips.day_window import build_window
from fleet_audit.schema import facts, lake
from fleet_audit.schema.derive import conform
from fleet_audit.simulation.fleet import simulate

TARGET_PCT = 95.0
FEWEST = 20  # below so many trips a share means little: one trip is more than the 5 % that may be missed
SPOILT_TRIPS = "spoilt_devices.parquet"
_NOISE_M = 30.0  # standard deviation on each axis
_STANDING_S = 600
_M_OF_DEGREE = 111_195.0


def every(step_s: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Keeps the first position of each device in every `step_s` seconds."""

    def thinned(positions: pd.DataFrame) -> pd.DataFrame:
        since = pd.Timestamp(0, tz="UTC")
        slot = (positions["recorded_at"] - since) // pd.Timedelta(seconds=step_s)
        ordered = positions.assign(slot=slot).sort_values(["device_id", "recorded_at"], kind="stable")
        return ordered.drop_duplicates(["device_id", "slot"]).drop(columns="slot").reset_index(drop=True)

    return thinned


def noisy(positions: pd.DataFrame) -> pd.DataFrame:
    """Moves each position by its own error, drawn from its instant: the same position errs alike in every window."""
    seconds = positions["recorded_at"].astype("int64").to_numpy()
    keys = pd.util.hash_array(positions["device_id"].to_numpy(dtype=object)) ^ pd.util.hash_array(seconds)
    first, second = (((pd.util.hash_array(keys + np.uint64(n)) >> np.uint64(11)) + 0.5) / 2.0**53 for n in (1, 2))
    radius = _NOISE_M * np.sqrt(-2 * np.log(first))
    latitude = positions["latitude"] + radius * np.cos(2 * np.pi * second) / _M_OF_DEGREE
    narrowing = np.cos(np.radians(positions["latitude"]))
    longitude = positions["longitude"] + radius * np.sin(2 * np.pi * second) / (_M_OF_DEGREE * narrowing)
    return positions.assign(latitude=latitude, longitude=longitude)


def _odometer(change: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda positions: positions.assign(odometer_km=change(positions["odometer_km"]))


def _reported(times: str, unit: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Visit legs whose km are multiplied and rounded to the unit: a report prints what its odometer counted."""

    def printed(km: Decimal | None) -> Decimal | None:
        return None if km is None or pd.isna(km) else (km * Decimal(times)).quantize(Decimal(unit), ROUND_HALF_UP)

    return lambda legs: legs.assign(
        reported_km=pd.Series([printed(km) for km in legs["reported_km"]], index=legs.index, dtype=object)
    )


def standing(positions: pd.DataFrame) -> pd.DataFrame:
    """Odometers that stand for the first _STANDING_S of each half hour, and go on from where they stood."""
    ordered = positions.sort_values(["device_id", "recorded_at"], kind="stable").reset_index(drop=True)
    device = ordered["device_id"]
    second = (ordered["recorded_at"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds() % 1800
    known = ordered["odometer_km"].groupby(device).ffill()
    counted = known.groupby(device).diff().fillna(0.0).where((second > _STANDING_S) | (second == 0), 0.0)
    shown = known.groupby(device).transform("first") + counted.groupby(device).cumsum()
    return ordered.assign(odometer_km=shown.where(ordered["odometer_km"].notna()))


def _unchanged(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


@dataclass(frozen=True)
class Spoiling:
    """What is done to a day's positions and visit legs, and how far it may move the ends of a trip (s)."""

    positions: Callable[[pd.DataFrame], pd.DataFrame] = _unchanged
    visit_legs: Callable[[pd.DataFrame], pd.DataFrame] = _unchanged
    slack_s: int = 0


SOUND, COARSE = "clean", "every 300 s"
SPOILT = {
    SOUND: Spoiling(),
    "whole km": Spoiling(_odometer(np.floor), _reported("1", "1")),
    "no odometer": Spoiling(_odometer(lambda km: km * np.nan)),
    "every 120 s": Spoiling(every(120), slack_s=120),
    COARSE: Spoiling(every(300), slack_s=300),
    "every 300 s, odometer stands": Spoiling(lambda positions: standing(every(300)(positions)), slack_s=300),
    "30 m noise": Spoiling(noisy),
    "odometer × 1.04": Spoiling(_odometer(lambda km: km * 1.04), _reported("1.04", "0.1")),
}


@dataclass(frozen=True)
class SpoiltInbox:
    """What `SimulatedInbox` stages, with positions and visit legs spoilt."""

    inbox: SimulatedInbox
    spoiling: Spoiling

    @property
    def reference(self) -> Reference:
        """As the inbox has it."""
        return self.inbox.reference

    def positions(self, day: dt.date) -> pd.DataFrame:
        """Spoilt positions of D-2 … D+1."""
        return self.spoiling.positions(self.inbox.positions(day))

    def visit_legs(self, day: dt.date) -> pd.DataFrame:
        """Spoilt visit legs of D-2 … D+1."""
        return conform(self.spoiling.visit_legs(self.inbox.visit_legs(day)), lake.STAGING_VISIT_LEGS)

    def declared_runs(self, day: dt.date) -> pd.DataFrame:
        """As the inbox has them."""
        return self.inbox.declared_runs(day)

    def notes(self, day: dt.date) -> pd.DataFrame:
        """As the inbox has them."""
        return self.inbox.notes(day)


@click.command()
@click.option("--vehicles", default=24, show_default=True, help="Vehicles of the fleet.")
@click.option("--days", default=1, show_default=True, help="Days of the fleet.")
@click.option("--first-day", default="2025-06-09", show_default=True, help="First day.")
@click.option("--seed", default=67_103, show_default=True, help="Seed of the simulation.")
@click.option("--outcomes", type=click.Path(path_type=Path), help="Folder that keeps the trips.")
def main(vehicles: int, days: int, first_day: str, seed: int, outcomes: Path | None) -> None:
    """Measure how often the stated doubt holds the road."""
    first = dt.date.fromisoformat(first_day)
    calendar = [first + dt.timedelta(days=number) for number in range(days)]
    trips = spoilt_trips(vehicles, calendar, seed)
    if outcomes is not None:
        outcomes.mkdir(parents=True, exist_ok=True)
        trips.to_parquet(outcomes / f"{seed}_{SPOILT_TRIPS}")
    table = coverage_table(dict(tuple(trips.groupby("devices", sort=False))))
    print(table.to_string(index=False))
    for line in shortfalls(table):
        print(line)


def spoilt_trips(vehicles: int, calendar: list[dt.date], seed: int) -> pd.DataFrame:
    """`changed_trips` of an honest fleet for each way of spoiling (`devices`), with the `seed`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        simulate(folder, seed=seed, vehicles=vehicles, date_from=calendar[0], date_to=calendar[-1], frauds=False)
        inbox, truth = SimulatedInbox(folder), Truth.read(folder / "truth", calendar)
        found = [
            changed_trips(measured(inbox, truth, calendar, how), how).assign(devices=name, seed=seed)
            for name, how in SPOILT.items()
        ]
    return pd.concat(found, ignore_index=True)


def changed_trips(trips: pd.DataFrame, spoiling: Spoiling) -> pd.DataFrame:
    """The trips without those of visit reports where only positions were spoilt: the clean fleet has them already.

    Counted in each of five such ways, 660 of the 1,507 trips of grade C of 336 vehicles were one sound report six
    times over: C erred by 1.25 % and B by 1.29 %; each report once, C errs by 1.82 %.
    """
    is_repeated = spoiling.positions is not _unchanged and spoiling.visit_legs is _unchanged
    return trips[trips["method"] != "report"] if is_repeated else trips


def measured(inbox: SimulatedInbox, truth: Truth, calendar: list[dt.date], spoiling: Spoiling) -> pd.DataFrame:
    """Trips that are the truth's own, ends within SAME_TRIP_S + slack_s, and how far they are off.

    Columns: plate, km_true, km, half_width, method, grade.
    """
    trips, spoilt = [], SpoiltInbox(inbox, spoiling)
    for day in calendar:
        window = build_window(day, spoilt.positions(day), spoilt.visit_legs(day), inbox.reference, parameters_on(day))
        own = conform(window.trips, facts.TRIP_WINDOW)
        trips.append(own[own["operational_date"] == day])
    pairs = pair_trips(truth, pd.concat(trips, ignore_index=True), within_s=SAME_TRIP_S + spoiling.slack_s)
    return measured_trips(pairs)


def coverage_table(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per spoiling, method and grade, and one of all of a spoiling's trips.

    Columns: devices, method, grade, trips, held_pct, half_width_km, error_km (medians; error = measured − road), and
    mean_error_pct (of the road's km, either way).
    """
    rows = []
    for name, trips in found.items():
        rows.append(_row(name, "all", "all", trips))
        for (method, grade), group in trips.groupby(["method", "grade"]):
            rows.append(_row(name, method, grade, group))
    return pd.DataFrame(rows)


def _row(name: str, method: str, grade: str, trips: pd.DataFrame) -> dict[str, object]:
    error = trips["km"] - trips["km_true"]
    # Both sides are rounded: the road to a metre, the measured km to 0.01.
    is_held = error.abs() <= trips["half_width"] + 0.0055
    return {"devices": name, "method": method, "grade": grade, "trips": len(trips),
            "held_pct": round(100 * float(is_held.mean()), 1),
            "half_width_km": round(float(trips["half_width"].median()), 2),
            "error_km": round(float(error.median()), 2),
            "mean_error_pct": round(float(100 * (error.abs() / trips["km_true"]).mean()), 2)}  # fmt: skip


def shortfalls(table: pd.DataFrame) -> list[str]:
    """A sentence for each row below the target, and one where there is none."""
    below = table[table["held_pct"] < TARGET_PCT]
    lines = [
        f"BELOW {TARGET_PCT:.0f} %: {row.devices}, method {row.method}, grade {row.grade}: {row.held_pct} % of "
        f"{row.trips} trips" + ("" if row.trips >= FEWEST else " (too few to judge)")
        for row in below.itertuples()
    ]
    return lines or [f"Every group reaches {TARGET_PCT:.0f} %."]


if __name__ == "__main__":
    main()

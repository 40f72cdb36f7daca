"""Whole days, from positions, reports and bulletins to findings: what they say does not depend on how they came.

Segmentation alone is tried in `test_day_window`, the day of a night run in `test_night_shifts`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.audited_fleet import AuditedDay, audit
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.wall_clock import local_days
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.schema import lake, reference
from fleet_audit.schema.derive import empty_frame
from fleet_audit_tests.logic.audit_sample import SHIFTS
from fleet_audit_tests.logic.driving import DAY, NO_SHRINKING, ZONE, fleets, registered, reported, window, world
from fleet_audit_tests.logic.frames import rows

NEXT = DAY + dt.timedelta(days=1)
DAYS = 2
WEEK = [DAY + dt.timedelta(days=number) for number in range(-1, DAYS + 1)]
CONTRACTS = rows(
    reference.CONTRACTS,
    {
        "contract_id": "CT1",
        "carrier_code": "CAR",
        "unit_code": "UCP",
        "deadhead_rule": "paid",
        "valid_from": "2025-01-01",
    },
)
TARIFFS = rows(
    reference.TARIFFS,
    {
        "tariff_id": "T1",
        "contract_id": "CT1",
        "vehicle_class": "onibus",
        "rate_brl_per_km": "5",
        "valid_from": "2025-01-01",
    },
)


@dataclass(frozen=True)
class Said:
    """All that arrived; a day reads its window of it, as the pipeline does."""

    reference: Reference
    all_positions: pd.DataFrame
    all_visits: pd.DataFrame
    all_runs: pd.DataFrame

    def positions(self, day: dt.date) -> pd.DataFrame:
        return _around(
            self.all_positions, local_days(self.all_positions["recorded_at"], _zones(self.all_positions)), day
        )

    def visit_legs(self, day: dt.date) -> pd.DataFrame:
        return _around(self.all_visits, as_days(self.all_visits["date"]), day)

    def declared_runs(self, day: dt.date) -> pd.DataFrame:
        return _around(self.all_runs, as_days(self.all_runs["declared_date"]), day)

    def notes(self, day: dt.date) -> pd.DataFrame:
        return empty_frame(lake.STAGING_NOTES)

    def mixed(self, noise: np.random.Generator) -> Said:
        """The same in another order, some positions and reported movements twice."""

        def shuffled(frame: pd.DataFrame, repeats: int) -> pd.DataFrame:
            again = frame.iloc[noise.integers(0, len(frame), repeats if len(frame) else 0)]
            both = pd.concat([frame, again])
            return both.iloc[noise.permutation(len(both))].reset_index(drop=True)

        tables = Reference.of(
            {name: frame.iloc[noise.permutation(len(frame))] for name, frame in self.reference.tables().items()}
        )
        return Said(tables, shuffled(self.all_positions, 30), shuffled(self.all_visits, 2), shuffled(self.all_runs, 0))


def _zones(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(ZONE, index=frame.index, dtype="str")


def _around(frame: pd.DataFrame, days: np.ndarray, day: dt.date) -> pd.DataFrame:
    away = (days - np.datetime64(day)).astype(int)
    return frame[(away >= -2) & (away <= 1)].reset_index(drop=True)


@st.composite
def weeks(draw: st.DrawFn) -> Said:
    """Buses that do the same on some days; carriers that declare some of it, padded, late, by the shift, or twice."""
    buses = draw(fleets(most=8))
    tables = world(*registered(buses)).with_tables(shifts=SHIFTS, contracts=CONTRACTS, tariffs=TARIFFS)
    first, by_shift = reported(buses), draw(st.booleans())
    seen = pd.concat([window(first, day=day, tables=tables).trips for day in (DAY, NEXT)]).drop_duplicates("trip_id")
    seen = seen[seen["purpose"] != "yard"].sort_values(["plate", "started_at"])
    runs, visits = [], []
    for number in range(DAYS):
        for trip in seen.to_dict("records"):
            said = draw(st.sampled_from(["run", "run", "run", "padded", "twice", "visit", "both", "nothing"]))
            if said in ("run", "padded", "twice", "both"):
                runs += _declared(draw, _on(trip, number), by_shift, said, len(runs))
            if said in ("visit", "both"):
                visits.append(_reported(_on(trip, number), len(visits)))
    positions = pd.concat([_later(first, number) for number in range(DAYS)], ignore_index=True)
    return Said(tables, positions, rows(lake.STAGING_VISIT_LEGS, *visits), rows(lake.STAGING_DECLARED_RUNS, *runs))


def _on(trip: dict, days: int) -> dict:
    later = {name: trip[name] + pd.Timedelta(days=days) for name in ("started_at", "ended_at")}
    return {**trip, **later, "operational_date": trip["operational_date"] + dt.timedelta(days=days)}


def _later(positions: pd.DataFrame, days: int) -> pd.DataFrame:
    moved = positions["recorded_at"] + pd.Timedelta(days=days)
    return positions.assign(recorded_at=moved, odometer_km=positions["odometer_km"] + 700 * days)


def _declared(draw: st.DrawFn, trip: dict, by_shift: bool, said: str, number: int) -> Iterable[dict]:
    late = pd.Timedelta(minutes=draw(st.integers(-3, 3)))
    started, ended = (trip[name].ceil("min") + late for name in ("started_at", "ended_at"))
    wall = started.tz_convert(ZONE)
    is_night = wall.hour < 7
    written = wall.date() - dt.timedelta(days=int(by_shift and is_night))
    shift = pd.Timedelta(days=(written - wall.date()).days)
    km = max(1, round(float(trip["km_measured"]) * (1.3 if said == "padded" else 1.0)))
    at_km = None if draw(st.integers(0, 3)) == 0 else round(float(trip["started_at"].timestamp() % 10**7) / 100)
    base = {
        "date": written, "declared_date": written, "plate": trip["plate"], "carrier_code": "CAR",
        "started_at": started + shift, "ended_at": max(ended, started) + shift, "declared_km": f"{km}",
        "origin_text": "GARAGEM", "destination_text": "USINA", "shift_code": "C" if is_night else "A", "passengers": 18,
        "file_sha256": "f" * 64, "file_name": "boletim.csv",
        **({} if at_km is None else {"odometer_start_km": f"{at_km}", "odometer_end_km": f"{at_km + km}"}),
    }  # fmt: skip
    return [
        {
            **base,
            "declared_run_id": f"R{number + copy:03}",
            "bulletin_number": f"{number + copy}",
            "row_number": number + copy,
        }
        for copy in range(2 if said == "twice" else 1)
    ]


def _reported(trip: dict, number: int) -> dict:
    return {
        "date": trip["operational_date"], "plate": trip["plate"], "device_id": "V", "stopped_s": 600,
        "started_at": trip["started_at"].floor("s"), "ended_at": trip["ended_at"].floor("s"),
        "distance_km": f"{float(trip['km_measured']):.2f}", "origin_address": "Rua GAR",
        "destination_address": "Rua USI", "file_sha256": "v" * 64, "file_name": "visita.csv", "row_number": number,
    }  # fmt: skip


def _same(one: AuditedDay, other: AuditedDay) -> None:
    for field in fields(AuditedDay):
        if field.name == "window":
            continue
        left, right = (getattr(day, field.name) for day in (one, other))
        if not isinstance(left, pd.DataFrame):
            assert left == right
            continue
        keys = [name for name in left if name.endswith("_id") or name in ("plate", "operational_date")]
        left, right = (frame.sort_values(keys).reset_index(drop=True) for frame in (left, right))
        pd.testing.assert_frame_equal(left, right)


@settings(NO_SHRINKING, max_examples=2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(weeks(), st.randoms(use_true_random=False))
def test_days_say_the_same_however_it_came_and_together_lose_nothing(said: Said, chance: object) -> None:
    """Order, repeats, batches and what lies beyond the window do not matter; each run and trip has one day, one group.

    A day costs a second however small it is, so both are asked of the same days.
    """
    days = {day: audit(day, said) for day in WEEK}
    _same(days[NEXT], audit(NEXT, said.mixed(np.random.default_rng(chance.randrange(2**32)))))  # type: ignore[attr-defined]
    names = ("trips", "runs", "matches", "findings")
    of = {name: pd.concat([getattr(result, name) for result in days.values()]) for name in names}
    known, grouped = Counter(said.all_runs["declared_run_id"]), of["matches"]["trip_ids"].explode().dropna()
    assert Counter(of["runs"]["declared_run_id"]) == known
    assert Counter(of["matches"]["declared_run_ids"].explode().dropna()) == known
    assert of["trips"]["trip_id"].is_unique
    assert grouped.is_unique
    assert set(of["trips"].loc[of["trips"]["purpose"] == "service", "trip_id"]) <= set(grouped)
    assert of["findings"]["finding_id"].is_unique

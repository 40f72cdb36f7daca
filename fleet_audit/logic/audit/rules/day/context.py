"""Inputs of the rules of one operational day, and the look-ups that several of them share.

Conclusions belong to the module of each rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, partial

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.clock_offsets import no_clock_offsets, plates_with_suspected_hours
from fleet_audit.logic.audit.incomplete import SOURCE_LETTERS, no_incomplete_days, resting_on
from fleet_audit.logic.audit.matching import Matching
from fleet_audit.logic.audit.repeats import duplicates
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.dwell_odometer import counted_in_dwells
from fleet_audit.logic.audit.rules.day.gaps import touches, without_complete
from fleet_audit.logic.audit.rules.day.observed import observed_time
from fleet_audit.logic.audit.rules.row_records import Record, TripAndRunRecords
from fleet_audit.logic.costs.nearest_tariffs import price_estimates
from fleet_audit.logic.devices.device_health import DeviceDay
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.intervals import covered_us, intervals, overlaps
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.primitives.sphere import distance_m
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.tolerances import tolerances
from fleet_audit.logic.reference.validity import DEFAULT_ZONE, valid_on
from fleet_audit.logic.trips.movements import mean_step_s
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import REFERENCE_CHANGES
from fleet_audit.schema.frames import (
    ContractsFrame,
    DeclaredRunsFrame,
    DevicesFrame,
    DwellCountsFrame,
    ExceptionsFrame,
    LegsFrame,
    NotesFrame,
    ReferenceChangesFrame,
    SpansFrame,
    TripCostsFrame,
    TripWindowFrame,
)

_SECOND_US = 1_000_000


@dataclass(frozen=True)
class AuditDay(TripAndRunRecords):
    """One day's window, matched.

    Attributes:
        day: operational day D; findings are of this day only.
        trips: `trips.trip_window` of D (trips that start on D-1, D, D+1).
        runs: declared runs of DATA D-2 … D+1 as `night_shifts.repair_dates` returns them.
        matching: `matching.match(trips, runs, …)`.
        legs: `trips.legs` of D.
        spans: `trips.observed_spans` of the window.
        dwells: `trips.dwell_counts` of the window.
        devices: what D shows of the devices; registered: `ref.devices`.
        costs: trip costs of the window (`fact.trip_costs`).
        notes: `staging.source_notes` of D.
        vehicles: vehicles as of D: plate, unit_code, carrier_code, contract_id (null = none in force), timezone.
        contracts: `ref.contracts`.
        exceptions: `ref.exceptions`.
        run_rates: declared_run_id, rate_brl_per_km: what a run would be paid at by class and default area.
        parameters: those in force on D.
        reference_changes: `ops.reference_changes`.
        incomplete: days on which a source is incomplete by our own fault (`incomplete.incomplete_sources`).
        clock_offsets: vehicle-days whose clock is off by minutes (see `clock_offsets.minute_offsets`).
        reference: all reference tables, for rules that compare with a plan, a shift, a route or a place.
        foreign_runs: runs that another carrier than the vehicle's on their day wrote (`repeats.of_another_carrier`).
    """

    day: dt.date
    trips: TripWindowFrame
    runs: DeclaredRunsFrame
    matching: Matching
    legs: LegsFrame
    spans: SpansFrame
    dwells: DwellCountsFrame
    devices: DeviceDay
    registered: DevicesFrame
    costs: TripCostsFrame
    notes: NotesFrame
    vehicles: pd.DataFrame
    contracts: ContractsFrame
    exceptions: ExceptionsFrame
    run_rates: pd.DataFrame
    parameters: ParameterSet
    reference_changes: ReferenceChangesFrame = field(default_factory=partial(empty_frame, REFERENCE_CHANGES))
    incomplete: pd.DataFrame = field(default_factory=no_incomplete_days)
    clock_offsets: pd.DataFrame = field(default_factory=no_clock_offsets)
    reference: Reference = field(default_factory=partial(Reference.of, {}))
    foreign_runs: set[str] = field(default_factory=set)

    @property
    def identity(self) -> dt.date:
        """Identity in a finding's id: the day or the cycle."""
        return self.day

    def of_day(self, frame: pd.DataFrame, column: str = "operational_date") -> pd.DataFrame:
        """Its rows of D."""
        return frame[as_days(frame[column]) == np.datetime64(self.day)]

    @cached_property
    def trips_of_day(self) -> TripWindowFrame:
        """Trips of D."""
        return self.of_day(self.trips)

    @cached_property
    def runs_of_day(self) -> DeclaredRunsFrame:
        """Declared runs of D."""
        return self.of_day(self.runs)

    @cached_property
    def legs_of_day(self) -> LegsFrame:
        """Legs of D."""
        return self.of_day(self.legs)

    @cached_property
    def place_names(self) -> dict[str, str]:
        """Place → its name, of the places of D that have one."""
        pois = valid_on(self.reference.pois, self.day).dropna(subset=["name"])
        return dict(zip(pois["poi_id"], pois["name"], strict=True))

    @cached_property
    def repeated_runs(self) -> pd.DataFrame:
        """`repeats.duplicates` of the runs."""
        return duplicates(self.runs, self.foreign_runs, self.parameters)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Groups of trips and runs that belong to D, their ids as Python lists."""
        groups = self.of_day(self.matching.groups)
        members = ("trip_ids", "declared_run_ids")
        return groups.assign(
            **{
                name: pd.Series([list(ids) for ids in groups[name]], index=groups.index, dtype=object)
                for name in members
            }
        )

    @cached_property
    def foreign_groups(self) -> pd.Series:
        """Whether each group's runs are another carrier's than its trips: nothing of it is paid to who declared it."""
        carriers = self.trips.set_index("trip_id")["carrier_code"].astype(object)
        first = pd.Series([next(iter(ids), "") for ids in self.groups["trip_ids"]], index=self.groups.index)
        owner, writer = first.map(carriers), self.groups["carrier_code"].astype(object)
        return owner.notna() & writer.notna() & (owner != writer)

    @cached_property
    def trips_of_run(self) -> dict[str, list[str]]:
        """Trips linked to each run, in order of start."""
        links = self.matching.links.merge(self.trips[["trip_id", "started_at"]], on="trip_id")
        links = links.sort_values(["started_at", "trip_id"])
        return links.groupby("declared_run_id")["trip_id"].agg(list).to_dict()

    @cached_property
    def zones(self) -> dict[str, str]:
        """IANA zone of each plate."""
        return dict(zip(self.vehicles["plate"], self.vehicles["timezone"], strict=True))

    @cached_property
    def owners(self) -> dict[str, Record]:
        """unit_code and carrier_code of each plate's vehicle on D."""
        columns = ["plate", "unit_code", "carrier_code"]
        return {row["plate"]: row for row in self.vehicles[columns].to_dict("records")}

    @cached_property
    def plates_with_clock_off(self) -> set[str]:
        """Plates whose device's clock is off by whole hours on D."""
        return set(self.health_with("clock_shift")["plate"])

    @cached_property
    def plates_with_clock_suspected(self) -> set[str]:
        """Plates whose runs of D, none of them linked, fit their trips at whole hours, too few to prove the clock."""
        linked = self.runs_of_day["declared_run_id"].isin(self.trips_of_run)
        runs = self.runs_of_day[~self.runs_of_day["plate"].isin(self.runs_of_day.loc[linked, "plate"])]
        runs = runs[~runs["declared_run_id"].isin(self.repeated_runs["later"])]
        lone = self.groups.loc[self.groups["kind"] == "measured_only", "trip_ids"].explode()
        return plates_with_suspected_hours(runs, self.trips[self.trips["trip_id"].isin(lone)], self.parameters)

    @cached_property
    def plates_with_stuck_receiver(self) -> set[str]:
        """Plates whose device repeats one coordinate while its odometer counts on D, or knows no place all day."""
        return set(self.devices_without_places["plate"])

    @cached_property
    def devices_without_places(self) -> pd.DataFrame:
        """Health of the devices whose coordinates prove no place on D: stuck, false, or rounded to a kilometre."""
        return self.health_with("constant_place", "no_true_fix", "rounded_coordinates")

    @cached_property
    def plates_with_two_clocks(self) -> set[str]:
        """Plates of which two devices show the same movements at other times on D, and no run proves which is right."""
        found = self.health_with("other_clock")
        return set(found.loc[found["clock_shift_h"].isna(), "plate"])

    @cached_property
    def plates_with_another_vehicles_device(self) -> set[str]:
        """Plates of which two devices are not on one vehicle on D: nothing shows which one is on this one."""
        return set(self.health_with("other_vehicle")["plate"])

    @cached_property
    def plates_without_odometer(self) -> set[str]:
        """Plates whose devices send no odometer reading on D: nothing but their fixes shows that they stood."""
        without = self.health_with("no_odometer")
        counting = self.devices.health[~self.devices.health["device_id"].isin(without["device_id"])]
        return set(without["plate"]) - set(counting["plate"])

    @cached_property
    def plates_with_tracker_off(self) -> set[str]:
        """Plates whose odometer counts while the tracker stands on D (O04): what they did was not observed."""
        parked = self.devices.events.loc[self.devices.events["kind"] == "parked", "plate"]
        return set(parked) - self.plates_with_stuck_receiver

    @cached_property
    def plates_with_tracker_off_before(self) -> set[str]:
        """Plates whose tracker lay off the bus (O04) on the day before D."""
        health = self.devices.health
        return set(health.loc[health["is_off_bus_day_before"].eq(True).fillna(False), "plate"])

    @cached_property
    def plates_with_another_odometer(self) -> set[str]:
        """Plates whose device continues another vehicle's odometer on D (O08), and those vehicles."""
        events = self.devices.events[self.devices.events["continued_plate"].notna()]
        return {*events["plate"], *events["continued_plate"]}

    @cached_property
    def plates_with_device_elsewhere(self) -> set[str]:
        """Plates whose device may not be on them on D: it lies off the bus (O04), or is on another vehicle."""
        elsewhere = self.plates_with_another_vehicles_device | self.plates_with_another_odometer
        return elsewhere | self.plates_with_tracker_off

    @cached_property
    def plates_with_untrusted_device(self) -> set[str]:
        """Plates whose device cannot prove when (a wrong clock) or where (a stuck receiver) they moved on D."""
        return self.plates_with_clock_off | self.plates_with_clock_suspected | self.plates_with_stuck_receiver

    @cached_property
    def plates_with_doubtful_times(self) -> set[str]:
        """Plates whose device cannot prove when they moved: a clock off by hours or minutes, a stuck receiver."""
        return self.plates_with_untrusted_device | set(self.clock_offsets["plate"])

    @cached_property
    def steps_s(self) -> dict[str, float]:
        """Usual seconds from one position to the next in motion, of each plate with measured trips in the window.

        The median over its trips, each with the mean of its steps: one gap makes no vehicle coarse.
        """
        step_s = mean_step_s(self.trips)
        known = step_s.notna()
        return step_s[known].groupby(self.trips.loc[known, "plate"].astype(object)).median().to_dict()

    @cached_property
    def plates_with_unseen_halts(self) -> set[str]:
        """Plates whose positions are further apart than stop_min_s: a halt that parts two trips may lie in between."""
        return {plate for plate, step_s in self.steps_s.items() if step_s > self.parameters.stop_min_s}

    @cached_property
    def paid_trips(self) -> set[str]:
        """Trips of the window that have a price."""
        return set(self.costs.loc[self.costs["cost_status"] == "priced", "trip_id"])

    @cached_property
    def price_estimates(self) -> dict[str, Record]:
        """`nearest_tariffs.price_estimates` of the trips of D without a price, by trip_id."""
        estimates = price_estimates(self.trips_of_day, self.costs, self.reference)
        return estimates.assign(trip_id=estimates.index).set_index("trip_id", drop=False).to_dict("index")

    @cached_property
    def observed(self) -> pd.DataFrame:
        """`observed_time` of the window."""
        return observed_time(self.spans, self.trips)

    @cached_property
    def plates_with_positions(self) -> set[str]:
        """Plates that positions observed in the window."""
        return set(self.spans.loc[self.spans["source"] == "positions", "plate"])

    def missing_sources(self, sources: Iterable[str]) -> list[str]:
        """Reasons for which one of these sources (P, V, B) is incomplete on D for every carrier.

        A missing visit report concerns vehicles without positions only: `touches_incomplete` decides which.
        """
        gaps = self._gaps_of_day(sources)
        return sorted(set(gaps.loc[(gaps["carrier_code"] == "") & (gaps["plate"] == ""), "reason_pt"]))

    def partly_missing_sources(self, sources: Iterable[str]) -> list[str]:
        """Reasons for which one of these sources is incomplete on D for one carrier or vehicle, which they name."""
        gaps = self._gaps_of_day(sources)
        if gaps.empty:  # of most days and rules
            return []
        carriers = gaps[(gaps["carrier_code"] != "") & (gaps["plate"] == "")]
        plates = gaps[gaps["plate"] != ""].groupby("reason_pt")["plate"].agg(lambda found: sorted(set(found)))
        return sorted(
            {
                *(f"transportadora {gap.carrier_code}: {gap.reason_pt}" for gap in carriers.itertuples()),
                *(f"{sentences.named_vehicles(found)}: {reason}" for reason, found in plates.items()),
            }
        )

    def touches_incomplete(self, rows: pd.DataFrame, sources: Iterable[str]) -> pd.Series:
        """Whether each trip or run starts or ends, by its vehicle's clock, on an incomplete day of these sources."""
        gaps = self._gaps[self._gaps["source"].isin(resting_on(sources))]
        return touches(gaps, rows, self._zones_of(rows), self.plates_with_positions)

    def plates_with_refused_terms(self, sources: Iterable[str]) -> set[str]:
        """Plates that refused rows of these reference tables are about on D."""
        return set(self._gaps_of_day(resting_on(sources) - SOURCE_LETTERS)["plate"]) - {""}

    @cached_property
    def plates_with_refused_positions(self) -> set[str]:
        """Plates of which positions of D were refused and may be missing."""
        return set(self._gaps_of_day("P")["plate"]) - {""}

    @cached_property
    def _gaps(self) -> pd.DataFrame:
        """The incomplete days, without those of vehicles of which nothing is missing."""
        zones, gap_note_s = self._zones_of(self.incomplete), self.parameters.gap_note_s
        return without_complete(self.incomplete, self.runs, self.spans, zones, gap_note_s)

    def _zones_of(self, rows: pd.DataFrame) -> pd.Series:
        return rows["plate"].map(self.zone).astype("str")

    def _gaps_of_day(self, sources: Iterable[str]) -> pd.DataFrame:
        if self._gaps_of_all_sources.empty:
            return self._gaps_of_all_sources
        asked = resting_on(sources) - ({"V"} if self.plates_with_positions else set())
        return self._gaps_of_all_sources[self._gaps_of_all_sources["source"].isin(asked)]

    @cached_property
    def _gaps_of_all_sources(self) -> pd.DataFrame:
        """The incomplete days that are D."""
        return self.of_day(self._gaps)

    def health_with(self, *issues: str) -> pd.DataFrame:
        """Rows of the devices' health that have any of these issues."""
        health = self.devices.health
        return health[np.array([not set(issues).isdisjoint(found) for found in health["issues"]], dtype=bool)]

    @cached_property
    def rates(self) -> dict[str, Decimal]:
        """BRL per km of each trip and run that has one."""
        trips = zip(self.costs["trip_id"], self.costs["rate_brl_per_km"], strict=True)
        runs = zip(self.run_rates["declared_run_id"], self.run_rates["rate_brl_per_km"], strict=True)
        return {key: Decimal(str(rate)) for key, rate in (*trips, *runs) if not pd.isna(rate)}

    @cached_property
    def watched(self) -> pd.DataFrame:
        """`watch` of the runs."""
        return self.watch(self.runs)

    def watch(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Observation of each run: declared_run_id (index), observed_pct, moved_km, dwell_counted_km (NaN: not known).

        A run of zero length counts as one second. A trip's km count by the share of its time inside, and are at least
        the way between the ends of a leg; dwell_counted_km is what the odometer counted while the positions stood.
        """
        during = _lasting(intervals(runs))
        lasting = (during["end_us"] - during["start_us"]).to_numpy()
        observed = covered_us(during, self.observed)
        return pd.DataFrame(
            {
                "observed_pct": 100 * observed / lasting,
                "moved_km": moved_km(during, self._trips_not_below_chord),
                "dwell_counted_km": counted_in_dwells(during, self.dwells),
            },
            index=pd.Index(runs["declared_run_id"], name="declared_run_id"),
        )

    @cached_property
    def _trips_not_below_chord(self) -> pd.DataFrame:
        """The trips, km_measured at least the chord of their longest leg (float): where steps are too long for a path,
        an odometer that stands measures 0 km of a bus that went 16 km.
        """
        legs = self.legs[self.legs["source"] == "positions"]
        ends = (f"{side}_{name}" for side in ("origin", "destination") for name in ("latitude", "longitude"))
        chord_km = distance_m(*(legs[name].to_numpy(dtype=float, na_value=np.nan) for name in ends)) / 1000
        longest = pd.Series(chord_km).groupby(legs["trip_id"].to_numpy(dtype=object)).max()
        km = self.trips["km_measured"].to_numpy(dtype="float64", na_value=np.nan)
        chords = self.trips["trip_id"].astype(object).map(longest).astype("float64").fillna(0.0)
        return self.trips.assign(km_measured=np.maximum(km, chords))

    def limits(self, groups: pd.DataFrame) -> pd.DataFrame:
        """`tolerances` of groups that have trips, by the contract of each one's first trip."""
        contract_of = self.trips.set_index("trip_id")["contract_id"].astype(object)
        first = pd.Series([ids[0] for ids in groups["trip_ids"]], index=groups.index, dtype=object)
        days = np.full(len(groups), np.datetime64(self.day))
        return tolerances(first.map(contract_of), days, self.contracts, self.parameters)

    def zone(self, plate: str) -> str:
        """IANA zone of a plate; America/Sao_Paulo where no vehicle row names one."""
        return self.zones.get(plate, DEFAULT_ZONE)

    def rate_of(self, trip_ids: Iterable[str], run_ids: Iterable[str]) -> Decimal | None:
        """BRL per km that applies: the trips' own, weighted by km; else that of the first run that has one.

        The latter of runs on another carrier's vehicle: they are held at it, and the trips are not theirs.
        """
        run_ids = [*run_ids]
        priced = [(self.rates[key], self._km[key]) for key in trip_ids if key in self.rates and self._km.get(key)]
        if priced and self.foreign_runs.isdisjoint(run_ids):
            return sum((rate * part for rate, part in priced), Decimal()) / sum((part for _, part in priced), Decimal())
        return next((self.rates[key] for key in run_ids if key in self.rates), None)

    @cached_property
    def _km(self) -> dict[str, Decimal]:
        known = self.trips[self.trips["km_measured"].notna()]
        return dict(zip(known["trip_id"], known["km_measured"], strict=True))


def moved_km(during: pd.DataFrame, trips: pd.DataFrame) -> np.ndarray:
    """km that a vehicle moved in each interval, trips by the share of their time inside; NaN where km are unknown."""
    moving = _lasting(intervals(trips))
    pairs = overlaps(during, moving)
    trip = pairs["right"].to_numpy()
    km = trips["km_measured"].to_numpy(dtype="float64", na_value=np.nan)[trip]
    lasting = (moving["end_us"] - moving["start_us"]).to_numpy()[trip]
    return np.bincount(pairs["left"], weights=km * pairs["overlap_us"].to_numpy() / lasting, minlength=len(during))


def _lasting(frame: pd.DataFrame) -> pd.DataFrame:
    """The intervals, none shorter than a second."""
    return frame.assign(end_us=np.maximum(frame["end_us"], frame["start_us"] + _SECOND_US))

"""Results of a cycle's days as inputs of its rules, and the look-ups that several rules share.

Conclusions belong to the module of each rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property, partial

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.incomplete import SOURCE_LETTERS, no_incomplete_days
from fleet_audit.logic.audit.repeats import of_another_carrier
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.carrier_turns import carrier_turns, turn_of
from fleet_audit.logic.audit.rules.row_records import Record, TripAndRunRecords
from fleet_audit.logic.costs.invoices import billed_brl, with_known_contracts
from fleet_audit.logic.devices.driving import Driving, driving
from fleet_audit.logic.primitives.cycles import ONE_DAY, Cycle, as_days, cycle_days
from fleet_audit.logic.primitives.money import to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.trips.movements import is_path_of_chords
from fleet_audit.logic.trips.rounded.unproven_places import may_be_service
from fleet_audit.schema.derive import empty_frame
from fleet_audit.schema.facts import DECLARED_RUNS, MATCHES, TRIPS
from fleet_audit.schema.reference import FIXED_COSTS, INVOICES, VEHICLES

_DAY_S = 86_400
_OFF_BUS = ("O04", "O08")
# Frames with one row per vehicle and day, or per trip or run of one.
_OF_DAYS = ("trips", "runs", "matches", "coverage", "fixed_costs", "calibrations", "registered")


@dataclass(frozen=True)
class AuditCycle(TripAndRunRecords):
    """The results of a cycle's days, as far as they were run.

    Attributes:
        cycle: the cycle; day: its last day that was run, the date of what is found.
        trips, costs, runs, matches, day_findings, coverage, fixed_costs: `fact.trips`, `trip_costs`, `declared_runs`,
            `matches`, `findings` of its days, `vehicle_day_coverage`, `fixed_cost_days`.
        calibrations: `fact.calibrations` of its days and of `calibration_days` before it.
        plan, calendar, contracts, exceptions, shifts: `ref` tables.
        vehicles: vehicles as of the last day: plate, unit_code, timezone, carrier_code, contract_id, status,
            titular_plate.
        registered: vehicles as of each of its days until `day` (`Reference.vehicles_on_days`): what is registered to
            change on a later day is of nobody yet.
        parameters: those in force on the last day.
        incomplete: days on which a source is incomplete by our own fault (`incomplete.incomplete_sources`).
        earlier_runs, earlier_matches: `fact.declared_runs` and `fact.matches` of the cycle before.
        earlier_trips: `fact.trips` of `calibration_days` before the cycle.
        invoices: `ref.invoices`.
        fixed_cost_terms, vehicle_terms: `ref.fixed_costs` and `ref.vehicles` with all their dated rows.
        turn: which carrier of each vehicle the days are of, where vehicles changed it (`by_carrier`).
    """

    cycle: Cycle
    day: dt.date
    trips: pd.DataFrame
    costs: pd.DataFrame
    runs: pd.DataFrame
    matches: pd.DataFrame
    day_findings: pd.DataFrame
    coverage: pd.DataFrame
    fixed_costs: pd.DataFrame
    calibrations: pd.DataFrame
    plan: pd.DataFrame
    calendar: pd.DataFrame
    contracts: pd.DataFrame
    exceptions: pd.DataFrame
    shifts: pd.DataFrame
    vehicles: pd.DataFrame
    registered: pd.DataFrame
    parameters: ParameterSet
    incomplete: pd.DataFrame = field(default_factory=no_incomplete_days)
    earlier_runs: pd.DataFrame = field(default_factory=partial(empty_frame, DECLARED_RUNS))
    earlier_matches: pd.DataFrame = field(default_factory=partial(empty_frame, MATCHES))
    earlier_trips: pd.DataFrame = field(default_factory=partial(empty_frame, TRIPS))
    invoices: pd.DataFrame = field(default_factory=partial(empty_frame, INVOICES))
    fixed_cost_terms: pd.DataFrame = field(default_factory=partial(empty_frame, FIXED_COSTS))
    vehicle_terms: pd.DataFrame = field(default_factory=partial(empty_frame, VEHICLES))
    turn: int = 0

    @property
    def identity(self) -> str:
        """Identity in a finding's id: the cycle, so that it stays the same from day to day; and a later carrier."""
        return f"{self.cycle.start} {self.turn}" if self.turn else f"{self.cycle.start}"

    @property
    def by_carrier(self) -> list[AuditCycle]:
        """The cycle itself; where vehicles changed their carrier, its days of their first one, of their second, ….

        The first part has all vehicles and plans, the later ones only those with so many carriers, each as it last was
        of that carrier. None has runs that another carrier than the vehicle's wrote, or groups of such runs.
        """
        # a cycle that kept itself would outlive its step until the next collection: 0.3 GB of 500 vehicles' month
        return self._turns or [self]

    @cached_property
    def _turns(self) -> list[AuditCycle]:
        turns, is_own = carrier_turns(self.registered), ~of_another_carrier(self.matches, self.registered)
        is_changed = bool(self.foreign_runs) or not is_own.all()
        own_runs = self.runs[~self.runs["declared_run_id"].isin(self.foreign_runs)]
        own = replace(self, runs=own_runs, matches=self.matches[is_own]) if is_changed else self
        parts = [own._of_turn(turns, turn) for turn in sorted(set(turns["turn"]))]
        return parts or ([own] if is_changed else [])

    @cached_property
    def foreign_runs(self) -> set[str]:
        """Runs that another carrier than the vehicle's wrote."""
        return set(self.runs.loc[of_another_carrier(self.runs, self.registered), "declared_run_id"])

    @property
    def foreign_runs_pt(self) -> list[str]:
        """Why the rules that are judged by carrier exclude such runs; empty where there are none."""
        count = len(self.foreign_runs)
        runs = sentences.counted(count, "ata", "atas")
        return [f"{runs} de transportadora que não é a do veículo não entram na conta"] if count else []

    def _of_turn(self, turns: pd.DataFrame, turn: int) -> AuditCycle:
        frames = {name: getattr(self, name) for name in _OF_DAYS}
        frames = {name: rows[turn_of(rows, turns) == turn] for name, rows in frames.items()}
        last = frames["registered"].sort_values("operational_date", kind="stable").drop_duplicates("plate", keep="last")
        sold = last.loc[last["plate"].isin(turns["plate"]), self.vehicles.columns]
        if turn:
            plan = self.plan[self.plan["plate"].isin(sold["plate"])]
            return replace(self, turn=turn, vehicles=sold, plan=plan, **frames)
        others = self.vehicles[~self.vehicles["plate"].isin(turns["plate"])]
        vehicles = pd.concat([others, sold], ignore_index=True)
        return replace(self, vehicles=vehicles, **frames)

    @property
    def is_over(self) -> bool:
        """Whether its last day was run."""
        return self.day >= self.cycle.end

    def missing_sources(self, sources: Iterable[str]) -> list[str]:
        """Reasons for which refused rows of one of these reference tables may be about every vehicle.

        Incomplete days of other sources are excluded one by one, not the whole cycle.
        """
        terms = self._refused_terms(sources)
        return sorted(set(terms.loc[terms["plate"] == "", "reason_pt"]))

    def partly_missing_sources(self, sources: Iterable[str]) -> list[str]:
        """The same of rows that are about some vehicles, which the reasons name."""
        terms = self._refused_terms(sources)
        if terms.empty:  # of most cycles
            return []
        plates = terms[terms["plate"] != ""].groupby("reason_pt")["plate"].agg(lambda found: sorted(set(found)))
        return sorted(f"{sentences.named_vehicles(found)}: {reason}" for reason, found in plates.items())

    def plates_with_refused_terms(self, sources: Iterable[str]) -> set[str]:
        """Plates that refused rows of these reference tables are about on a day of the cycle."""
        return set(self._refused_terms(sources)["plate"]) - {""}

    def _refused_terms(self, sources: Iterable[str]) -> pd.DataFrame:
        return self.incomplete[self.incomplete["source"].isin(set(sources) - SOURCE_LETTERS)]

    @cached_property
    def is_unobserved(self) -> pd.Series:
        """Of each row of `coverage`, whether a source of the vehicle-day is incomplete by our own fault.

        A vehicle may have driven then, whatever else was seen of it. A gap without a plate is of all vehicles; one of
        positions concerns those that were not observed all day but for gap_note_s: one refused file in which no day is
        legible left no vehicle's invoice tested. One of visit reports, and one of positions that were refused one by
        one, concerns vehicles without positions only.
        """
        rows = pd.MultiIndex.from_frame(self.coverage[["operational_date", "plate"]].astype(object))
        has_positions = (self.coverage["positions"] > 0).to_numpy(dtype=bool)
        observed_s = 3600 * self.coverage["observed_h"].astype("float64").fillna(0).to_numpy()
        is_partly_seen = ~has_positions | (observed_s < _DAY_S - self.parameters.gap_note_s)
        flags = np.zeros(len(rows), dtype=bool)
        is_of_rows = self.incomplete["is_of_rows"].to_numpy(dtype=bool)
        of_source = {name: self.incomplete["source"].eq(name).to_numpy(dtype=bool) for name in ("P", "V")}
        parts = ((of_source["P"] & ~is_of_rows, is_partly_seen), (of_source["V"] | of_source["P"], ~has_positions))
        for is_asked, is_concerned in parts:
            gaps = self.incomplete[is_asked]
            of_all = gaps.loc[gaps["plate"] == "", "operational_date"]
            own = pd.MultiIndex.from_frame(gaps[["operational_date", "plate"]].astype(object))
            flags |= (rows.isin(own) | rows.get_level_values(0).isin(of_all)) & is_concerned
        return pd.Series(flags, index=self.coverage.index)

    @cached_property
    def is_off_bus(self) -> pd.Series:
        """Of each row of `coverage`, whether its device was not on the vehicle that day, as the day's findings say."""
        keys = ["operational_date", "plate"]
        found = self.day_findings.loc[self.day_findings["rule_id"].isin(_OFF_BUS), keys]
        rows, off_bus = (pd.MultiIndex.from_frame(frame[keys].astype(object)) for frame in (self.coverage, found))
        return pd.Series(rows.isin(off_bus), index=self.coverage.index)

    @cached_property
    def is_unproven(self) -> pd.Series:
        """Of each row of `coverage`, whether what was seen does not show what the vehicle did and what it did not.

        A device that stands in a workshop does not show its vehicle idle: a reserve was accused (V03) because the
        tracker of its titular, which drove, was off the bus (O04). Its drift is empty km beside no service (K03).
        """
        return self.is_unobserved | self.is_off_bus

    @cached_property
    def seen_days(self) -> pd.DataFrame:
        """plate, operational_date of the days on which a vehicle was seen, by complete sources and a device on it.

        Where no stretch of time was observed there must be as many positions as fill the day in steps of gap_split_s:
        those of a parked device that reports every 30 min do; of one position a day nobody knows what lies between.
        """
        observed_h, positions = (
            self.coverage[name].astype("float64").fillna(0) for name in ("observed_h", "positions")
        )
        is_filled = positions * self.parameters.gap_split_s >= _DAY_S
        is_seen = (self.coverage["status"] != "silent") & ((observed_h > 0) | is_filled)
        is_seen &= ~self.is_unproven
        return self.coverage.loc[is_seen, ["plate", "operational_date"]]

    @cached_property
    def run_days(self) -> int:
        """Days of the cycle that were run."""
        days = as_days(self.coverage["operational_date"])
        return len(set(days) & set(as_days(pd.Series(cycle_days(self.cycle)))))

    @property
    def is_whole(self) -> bool:
        """Whether every day of the cycle was run."""
        return self.run_days == len(cycle_days(self.cycle))

    @property
    def calibrations_from(self) -> dt.date:
        """First day whose calibration the cycle shows: up to `calibration_days` before it, where they were run."""
        known = self.calibrations["operational_date"]
        return min(known.min(), self.cycle.start) if len(known) else self.cycle.start

    @property
    def legs(self) -> pd.DataFrame:
        """No legs: the evidence of a cycle are its groups and days."""
        return pd.DataFrame({"trip_id": [], "started_at": [], "leg_id": []})

    @cached_property
    def owners(self) -> dict[str, Record]:
        """unit_code and carrier_code of each plate's vehicle on its last day of those that were run."""
        last = self.registered.sort_values("operational_date", kind="stable").drop_duplicates("plate", keep="last")
        return {row["plate"]: row for row in last[["plate", "unit_code", "carrier_code"]].to_dict("records")}

    @cached_property
    def carriers_of_contracts(self) -> dict[str, str]:
        """carrier_code of each contract: who billed under it, whoever has the vehicle."""
        return dict(zip(self.contracts["contract_id"], self.contracts["carrier_code"], strict=True))

    @cached_property
    def reserve_days(self) -> pd.DataFrame:
        """The rows of `registered` on which a vehicle is a reserve that names its titular."""
        rows = self.registered
        return rows[((rows["status"] == "reserva") & rows["titular_plate"].notna()).to_numpy(dtype=bool)]

    @property
    def has_calendar(self) -> bool:
        """Whether the calendar of any unit has a day of the cycle."""
        days = as_days(self.calendar["date"])
        return bool(((as_days(self.cycle.start) <= days) & (days <= as_days(self.cycle.end))).any())

    def day_types(self, rows: pd.DataFrame) -> pd.Series:
        """The calendar's `day_type` of each row's operational_date in its unit_code; null of a day that it lacks.

        Nobody knows whether such a day is a working day: a calendar may end within the cycle, and names each day.
        """
        named = self.calendar.drop_duplicates(["date", "unit_code"])[["date", "unit_code", "day_type"]]
        asked, keys = rows[["operational_date", "unit_code"]], ["date", "unit_code"]
        found = asked.rename(columns={"operational_date": "date"}).merge(named, on=keys, how="left")
        return found["day_type"].set_axis(rows.index)

    @cached_property
    def driving(self) -> Driving:
        """How each vehicle drove, day by day, in the cycle and in the days before it."""
        return driving(pd.concat([self.earlier_trips, self.trips], ignore_index=True), self.parameters)

    def paid_km(self, plate: str, days: set[dt.date]) -> Decimal:
        """Paid km of the vehicle on these days, as far as they lie in the cycle."""
        trips = self.trips[(self.trips["plate"] == plate) & self.trips["operational_date"].isin(days)]
        costs = self.costs[self.costs["trip_id"].isin(trips["trip_id"]) & self.costs["billable_km"].notna()]
        return sum(costs["billable_km"], Decimal("0.00"))

    @cached_property
    def service(self) -> pd.DataFrame:
        """Service trips with known km."""
        return self.trips[(self.trips["purpose"] == "service") & self.trips["km_measured"].notna()]

    @cached_property
    def perhaps_service(self) -> pd.DataFrame:
        """Trips of unknown purpose that are service if a place is proven, which it is not."""
        return self.trips[may_be_service(self.trips)]

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Groups of which both the declared and the measured km are known."""
        return self.matches[self.matches["difference_km"].notna()]

    @cached_property
    def trips_by_chords(self) -> set[str]:
        """Trips whose km are a path of positions too rare to follow the road: about 12 % short of it, at 300 s."""
        return set(self.trips.loc[is_path_of_chords(self.trips, self.parameters), "trip_id"])

    @cached_property
    def compared_by_road(self) -> pd.DataFrame:
        """Compared groups whose measured km are the road that was driven: no trip is measured by chords, and no part of
        the way was perhaps driven unobserved, whatever they declare.

        A day that an earlier release computed does not say what was unobserved: its groups take no part.
        """
        compared = self.compared
        is_by_road = np.array([self.trips_by_chords.isdisjoint(ids) for ids in compared["trip_ids"]], dtype=bool)
        return compared[is_by_road & ~compared["is_unobserved"].fillna(True).to_numpy(dtype=bool)]

    @cached_property
    def plates_of_earlier_release(self) -> set[str]:
        """Plates with a compared group of a day that an earlier release computed, without what was unobserved."""
        return set(self.compared.loc[self.compared["is_unobserved"].isna(), "plate"])

    @cached_property
    def single_runs(self) -> pd.DataFrame:
        """Compared groups of one run: the run's columns, declared, measured and uncertainty (km, floats).

        None that is measured by chords, and none of which any part was perhaps driven unobserved: honest readings are
        longer than these by more than any rounding.
        """
        groups = self.compared_by_road
        groups = groups[groups["unseen_km"].astype("float64").fillna(0.0).to_numpy() == 0.0]
        groups = groups[np.array([len(ids) == 1 for ids in groups["declared_run_ids"]], dtype=bool)]
        doubt = self.trips.set_index("trip_id")["km_uncertainty"].astype("float64").fillna(0.0).to_dict()
        compared = pd.DataFrame(
            {
                "declared_run_id": pd.Series([ids[0] for ids in groups["declared_run_ids"]], dtype="str"),
                "declared": groups["declared_km"].astype("float64").to_numpy(),
                "measured": groups["measured_km"].astype("float64").to_numpy(),
                "uncertainty": np.array([sum(doubt.get(key, 0.0) for key in ids) for ids in groups["trip_ids"]], float),
            }
        )
        return self.runs.merge(compared, on="declared_run_id").sort_values(["plate", "started_at", "declared_run_id"])

    @cached_property
    def invoice_lines(self) -> pd.DataFrame:
        """Invoice lines of the cycle, each of a contract as the register spells it, with `billed_brl`."""
        of_cycle = self.invoices[as_days(self.invoices["cycle_start"]) == as_days(self.cycle.start)]
        return with_known_contracts(of_cycle, self.contracts).assign(billed_brl=billed_brl)

    @cached_property
    def vehicle_costs(self) -> pd.DataFrame:
        """Costs of the trips with their plate."""
        return self.costs.merge(self.trips[["trip_id", "plate"]], on="trip_id")

    @cached_property
    def rates(self) -> dict[str, Decimal]:
        """BRL per km of each plate over its priced km."""
        costs = self.vehicle_costs
        rows = costs[costs["rate_brl_per_km"].notna() & costs["billable_km"].notna()]
        km = to_hundredths(rows["billable_km"])  # whole numbers: sums of products of Arrow decimals outgrow 38 digits
        rate = (rows["rate_brl_per_km"].astype("float64") * 10_000).round().astype("int64").to_numpy()
        sums = pd.DataFrame({"plate": rows["plate"].to_numpy(), "km": km, "brl": km * rate}).groupby("plate").sum()
        return {
            str(plate): (Decimal(int(row["brl"])) / int(row["km"]) / 10_000).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            for plate, row in sums[sums["km"] > 0].iterrows()
        }

    def rate_under(self, plate: str, carrier_code: str) -> Decimal | None:
        """BRL per km of the vehicle while it was of this carrier, if it was; else of all its priced km."""
        own = [
            part.rates.get(plate)
            for part in self.by_carrier
            if part.owners.get(plate, {}).get("carrier_code") == carrier_code
        ]
        return next(iter(own), self.rates.get(plate))

    @property
    def period(self) -> str:
        """`de 16/05/2025 a 15/06/2025`, as far as it was run."""
        return f"de {sentences.day(self.cycle.start)} a {sentences.day(self.day)}"


def days_before(cycle: Cycle, days: int) -> list[dt.date]:
    """So many days before a cycle, in order."""
    return [cycle.start - back * ONE_DAY for back in range(days, 0, -1)]

"""What only a cycle shows of a vehicle: D03 declared, O05 ratio, K03 deadhead, V04 idle, T05 and T06 against the plan.

Each compares sums of the days' own results; nothing is measured or matched anew. Rules that wait for the cycle's end
are not asked before it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.context import Record, records_by
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft, beyond_doubt
from fleet_audit.logic.audit.rules.registry import CYCLE_REGISTRY, Rule
from fleet_audit.logic.devices.device_health import UNITS
from fleet_audit.logic.primitives.cycles import ONE_DAY, Cycle, as_days
from fleet_audit.logic.primitives.money import to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.tolerances import tolerances

_CENT = Decimal("0.01")
_SHOWN = 40  # groups or days in the evidence


@dataclass(frozen=True)
class AuditCycle:
    """The results of a cycle's days, as far as they were run.

    Attributes:
        cycle: the cycle; day: its last day that was run, the date of what is found.
        trips, costs, runs, matches, day_findings, coverage, fixed_costs: `fact.trips`, `trip_costs`, `declared_runs`,
            `matches`, `findings` of its days, `vehicle_day_coverage`, `fixed_cost_days`.
        calibrations: `fact.calibrations` of its days and of `calibration_days` before it.
        plan, calendar, contracts, exceptions, shifts: `ref` tables.
        vehicles: vehicles as of the last day: plate, unit_code, timezone, carrier_code, contract_id, status,
            titular_plate.
        parameters: those in force on the last day.
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
    parameters: ParameterSet

    @property
    def identity(self) -> dt.date:
        """What a finding's id is made from: the cycle, so that it stays the same from day to day."""
        return self.cycle.start

    @property
    def registry(self) -> Mapping[str, Rule]:
        """The rules of a cycle."""
        return CYCLE_REGISTRY

    @property
    def is_over(self) -> bool:
        """Whether its last day was run."""
        return self.day >= self.cycle.end

    @property
    def told_from(self) -> dt.date:
        """The first day of which its calibration is told: up to `calibration_days` before it, where they were run."""
        known = self.calibrations["operational_date"]
        return min(known.min(), self.cycle.start) if len(known) else self.cycle.start

    @property
    def legs(self) -> pd.DataFrame:
        """No legs: the evidence of a cycle are its groups and days."""
        return pd.DataFrame({"trip_id": [], "started_at": [], "leg_id": []})

    @cached_property
    def owners(self) -> dict[str, Record]:
        """unit_code and carrier_code of each plate's vehicle on the last day."""
        return {row["plate"]: row for row in self.vehicles[["plate", "unit_code", "carrier_code"]].to_dict("records")}

    def trip_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of trips by id."""
        return records_by(self.trips, "trip_id", ids)

    def run_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of declared runs by id."""
        return records_by(self.runs, "declared_run_id", ids)

    @cached_property
    def service(self) -> pd.DataFrame:
        """Service trips with known km."""
        return self.trips[(self.trips["purpose"] == "service") & self.trips["km_measured"].notna()]

    @cached_property
    def rates(self) -> dict[str, Decimal]:
        """BRL per km of each plate over its priced km."""
        rows = self.costs[self.costs["rate_brl_per_km"].notna() & self.costs["billable_km"].notna()]
        rows = rows.merge(self.trips[["trip_id", "plate"]], on="trip_id")
        km = to_hundredths(rows["billable_km"])  # whole numbers: sums of products of Arrow decimals outgrow 38 digits
        rate = (rows["rate_brl_per_km"].astype("float64") * 10_000).round().astype("int64").to_numpy()
        sums = pd.DataFrame({"plate": rows["plate"].to_numpy(), "km": km, "brl": km * rate}).groupby("plate").sum()
        return {
            str(plate): (Decimal(int(row["brl"])) / int(row["km"]) / 10_000).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            for plate, row in sums[sums["km"] > 0].iterrows()
        }

    @property
    def period(self) -> str:
        """`de 16/05/2025 a 15/06/2025`, as far as it was run."""
        return f"de {sentences.day(self.cycle.start)} a {sentences.day(self.day)}"


def declared_above_measured(context: AuditCycle) -> list[Draft]:
    """D03: a vehicle's compared groups together, above cycle_warn_pct (M), above cycle_tolerance_pct (C).

    Groups as in D02; without those that exceed their own tolerance and were not named for it on their day, because what
    proved nothing there proves nothing here. And at least cycle_min_km: whole-km readings of a few short runs are more
    than 3 % by themselves.
    """
    parameters = context.parameters
    groups = context.matches[context.matches["difference_km"].notna()]
    named = context.day_findings.loc[context.day_findings["rule_id"].isin(["D01", "D04"]), "declared_run_id"]
    first_run = pd.Series([ids[0] for ids in groups["declared_run_ids"]], index=groups.index, dtype=object)
    is_doubtful = groups["is_exceeding"].fillna(False).astype(bool) & ~first_run.isin(named)
    groups = groups[~is_doubtful]
    hundredths = {name: to_hundredths(groups[f"{name}_km"]) for name in ("declared", "measured")}
    sums = pd.DataFrame({"plate": groups["plate"].to_numpy(), **hundredths}).groupby("plate").sum()
    sums["pct"] = 100 * (sums["declared"] - sums["measured"]) / sums["measured"].replace(0, np.nan)
    limits = _cycle_limits(context, sums.index)
    drafts = []
    for (plate, row), limit in zip(sums.iterrows(), limits, strict=True):
        warn = min(parameters.cycle_warn_pct, limit)
        if row["pct"] > warn and row["declared"] - row["measured"] >= 100 * parameters.cycle_min_km:
            drafts.append(_declared(context, str(plate), row, groups[groups["plate"] == plate], warn, limit))
    return drafts


def _cycle_limits(context: AuditCycle, plates: pd.Index) -> list[float]:
    """cycle_tolerance_pct of each vehicle's contract, else of the parameters."""
    contract_of = context.vehicles.set_index("plate")["contract_id"].astype(object)
    asked = pd.Series(plates.map(contract_of), index=plates, dtype=object)
    days = np.full(len(plates), as_days(context.day))
    return tolerances(asked, days, context.contracts, context.parameters)["cycle_tolerance_pct"].to_list()


def _declared(
    context: AuditCycle, plate: str, row: Any, groups: pd.DataFrame, warn_pct: float, sure_pct: float
) -> Draft:
    declared, measured = (Decimal(int(row[name])) / 100 for name in ("declared", "measured"))
    excess, is_sure = declared - measured, row["pct"] > sure_pct
    limit = sure_pct if is_sure else warn_pct
    run_ids, trip_ids = (groups[name].explode() for name in ("declared_run_ids", "trip_ids"))
    trips = context.trips[context.trips["trip_id"].isin(trip_ids)]
    uncertainty = float(trips["km_uncertainty"].astype("float64").sum())
    tolerance = float(measured) * limit / 100
    worst = groups.assign(size=groups["difference_km"].abs()).sort_values(["size", "match_id"], ascending=[False, True])
    shown = ["match_id", "operational_date", "trip_ids", "declared_run_ids", "declared_km", "measured_km"]
    return Draft(
        "D03",
        plate,
        f"No ciclo, {context.period}, o veículo {plate} declarou {sentences.km(declared)} em "
        f"{run_ids.nunique()} atas e percorreu {sentences.km(measured)} nas mesmas corridas: "
        f"{sentences.km(excess)} a mais ({sentences.number(row['pct'])} %), acima de {sentences.number(limit, 1)} %.",
        float(trips["evidence_grade"].map(GRADE_CONFIDENCE).astype("float64").mean())
        * beyond_doubt(float(excess), tolerance, uncertainty / len(trips) ** 0.5),
        km_at_stake=excess,
        rate=context.rates.get(plate),
        facts={
            "declared_km": declared,
            "measured_km": measured,
            "groups": [_listed(group) for group in worst[[*shown, "difference_km"]].head(_SHOWN).to_dict("records")],
            "group_count": len(groups),
        },
        thresholds={"cycle_warn_pct": warn_pct, "cycle_tolerance_pct": sure_pct},
        severity="C" if is_sure else "M",
    )


def _listed(row: Record) -> Record:
    return {name: list(value) if isinstance(value, np.ndarray) else value for name, value in row.items()}


def ratio_off(context: AuditCycle) -> list[Draft]:
    """O05 of a vehicle: over ratio_days its odometer counts more than ratio_pct beside its path; the worst such days.

    Of one device at a time. One that counts in another unit is told as such (Q05).
    """
    parameters = context.parameters
    days = context.calibrations[as_days(context.calibrations["operational_date"]) <= as_days(context.day)]
    drafts = []
    for (plate, device_id), rows in days.groupby(["plate", "device_id"], sort=True):
        dates = as_days(rows["operational_date"])
        sums = pd.DataFrame(
            {"odometer": rows["km_odometer"].astype("float64"), "gps": rows["km_gps"].astype("float64")}
        ).set_axis(pd.DatetimeIndex(dates))
        rolled = sums.sort_index().rolling(f"{int(parameters.ratio_days)}D").sum()
        rolled = rolled[
            (rolled.index >= pd.Timestamp(context.cycle.start)) & (rolled["gps"] >= parameters.ratio_min_km)
        ]
        off = 100 * (rolled["odometer"] / rolled["gps"] - 1)
        is_unit = np.logical_or.reduce(
            [abs((off / 100 + 1) / factor - 1) <= parameters.unit_tolerance_pct / 100 for factor in UNITS.values()]
        )
        off = off[(off.abs() > parameters.ratio_pct) & ~is_unit]
        if len(off):
            last = off.abs().idxmax()
            first = last - pd.Timedelta(days=parameters.ratio_days - 1)
            inside = rows[(dates >= np.datetime64(first, "D")) & (dates <= np.datetime64(last, "D"))]
            drafts.append(_ratio(context, str(plate), str(device_id), rolled.loc[last], float(off.loc[last]), inside))
    return drafts


def _ratio(context: AuditCycle, plate: str, device_id: str, sums: Any, off_pct: float, days: pd.DataFrame) -> Draft:
    difference = Decimal(str(abs(sums["odometer"] - sums["gps"]))).quantize(_CENT, ROUND_HALF_UP)
    dates = days["operational_date"].to_list()
    side = "a mais" if off_pct > 0 else "a menos"
    names = ("ratio_days", "ratio_pct", "ratio_sure_pct", "ratio_min_km")
    return Draft(
        "O05",
        plate,
        f"De {sentences.day(min(dates))} a {sentences.day(max(dates))}, o hodômetro do veículo {plate} contou "
        f"{sentences.number(abs(off_pct))} % {side} do que o GPS "
        f"({sentences.km(Decimal(str(round(sums['odometer'], 2))))} "
        f"contra {sentences.km(Decimal(str(round(sums['gps'], 2))))}), acima de "
        f"{sentences.number(context.parameters.ratio_pct, 0)} %: pneu, calibração ou hodômetro precisam ser "
        "verificados.",
        GRADE_CONFIDENCE["A" if abs(off_pct) > context.parameters.ratio_sure_pct else "C"],
        km_at_stake=difference,
        rate=context.rates.get(plate),
        facts={
            "device_id": device_id,
            "days": days[["operational_date", "trips", "km_odometer", "km_gps", "ratio"]].to_dict("records"),
        },
        thresholds={name: getattr(context.parameters, name) for name in names},
        extra=(device_id,),
    )


def too_much_deadhead(context: AuditCycle) -> list[Draft]:
    """K03: deadhead km in per cent of the vehicle's service km above deadhead_pct; no doubt above deadhead_sure_pct.

    Waits for the cycle's end. A vehicle without service is V04's.
    """
    if not context.is_over:
        return []
    parameters, known = context.parameters, context.trips[context.trips["km_measured"].notna()]
    known = known.assign(km=to_hundredths(known["km_measured"]))
    km = known.pivot_table(index="plate", columns="purpose", values="km", aggfunc="sum", fill_value=0)
    km = km.reindex(columns=["service", "deadhead"], fill_value=0)
    drafts = []
    for plate, row in km[km["service"] > 0].iterrows():
        service, deadhead = (Decimal(int(row[name])) / 100 for name in ("service", "deadhead"))
        pct = float(100 * deadhead / service)
        if pct <= parameters.deadhead_pct:
            continue
        drafts.append(
            Draft(
                "K03",
                str(plate),
                f"No ciclo, {context.period}, o veículo {plate} percorreu {sentences.km(deadhead)} vazio para "
                f"{sentences.km(service)} em serviço ({sentences.number(pct, 1)} %), acima de "
                f"{sentences.number(parameters.deadhead_pct, 0)} %.",
                GRADE_CONFIDENCE["A" if pct > parameters.deadhead_sure_pct else "C"],
                km_at_stake=(deadhead - service * Decimal(str(parameters.deadhead_pct)) / 100).quantize(_CENT),
                rate=context.rates.get(str(plate)),
                facts={"service_km": service, "deadhead_km": deadhead, "deadhead_pct": round(pct, 2)},
                thresholds={name: getattr(parameters, name) for name in ("deadhead_pct", "deadhead_sure_pct")},
            )
        )
    return drafts


def idle_fixed_cost(context: AuditCycle) -> list[Draft]:
    """V04: a fixed cost is paid and on more than idle_pct of its working days (calendar: util) there is no service.

    A day on which it was not seen proves nothing: it counts as a day of service. Waits for the cycle's end; a reserve
    that replaces a titular is paid by the day and is not asked.
    """
    if not context.is_over:
        return []
    reserves = context.vehicles.loc[context.vehicles["titular_plate"].notna(), "plate"]
    paid = context.fixed_costs[~context.fixed_costs["plate"].isin(reserves)]
    paid = paid.merge(context.vehicles[["plate", "unit_code"]], on="plate")
    util = context.calendar.loc[context.calendar["day_type"] == "util", ["date", "unit_code"]]
    days = paid.merge(util, left_on=["operational_date", "unit_code"], right_on=["date", "unit_code"])
    served = context.trips.loc[context.trips["purpose"] == "service", ["plate", "operational_date"]].drop_duplicates()
    seen = context.coverage.loc[context.coverage["status"] != "silent", ["plate", "operational_date"]]
    days = days.merge(served.assign(is_served=True), on=["plate", "operational_date"], how="left")
    days = days.merge(seen.assign(is_seen=True), on=["plate", "operational_date"], how="left")
    days["is_idle"] = days["is_seen"].notna() & days["is_served"].isna()
    return [
        _idle(context, str(plate), rows)
        for plate, rows in days.groupby("plate", sort=True)
        if 100 * rows["is_idle"].sum() > context.parameters.idle_pct * rows["operational_date"].nunique()
    ]


def _idle(context: AuditCycle, plate: str, days: pd.DataFrame) -> Draft:
    idle = days[days["is_idle"]]
    amount = sum(idle["amount_brl"], Decimal("0.00"))
    total = days["operational_date"].nunique()
    return Draft(
        "V04",
        plate,
        f"No ciclo, {context.period}, o veículo {plate} teve custo fixo e nenhuma viagem de serviço em "
        f"{idle['operational_date'].nunique()} de {total} dias úteis, acima de "
        f"{sentences.number(context.parameters.idle_pct, 0)} %: R$ {sentences.number(amount)} de parcela fixa neles.",
        GRADE_CONFIDENCE["A"],
        facts={"idle_dates": idle["operational_date"].to_list(), "working_days": total, "fixed_brl": amount},
        thresholds={"idle_pct": context.parameters.idle_pct},
        brl_at_stake=amount,
    )


def more_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T05: service trips of the vehicle above max(plan_over_pct, +1) of those planned. Waits for the cycle's end."""
    parameters = context.parameters
    over = [
        (plate, done, planned)
        for plate, done, planned, _ in _planned(context)
        if done > max(planned * parameters.plan_over_pct / 100, planned + 1)
    ]
    return [_against_plan(context, "T05", "plan_over_pct", *row) for row in over]


def fewer_trips_than_planned(context: AuditCycle) -> list[Draft]:
    """T06: below plan_under_pct of those planned; what could have run on days without data counts as done."""
    under = [
        (plate, done, planned)
        for plate, done, planned, unseen in _planned(context)
        if done + planned * unseen < planned * context.parameters.plan_under_pct / 100
    ]
    return [_against_plan(context, "T06", "plan_under_pct", *row) for row in under]


def _planned(context: AuditCycle) -> list[tuple[str, int, int, float]]:
    """Of each planned vehicle: service trips, planned trips, share of its days without data; none before the end."""
    plan = context.plan[(context.plan["cycle_start"] == context.cycle.start) & context.plan["planned_trips"].notna()]
    if not context.is_over:
        return []
    planned = plan.groupby("plate")["planned_trips"].sum()
    done = context.trips[context.trips["purpose"] == "service"].groupby("plate").size()
    is_silent = (context.coverage["status"] == "silent").groupby(context.coverage["plate"]).mean()
    return [
        (str(plate), int(done.get(plate, 0)), int(trips), float(is_silent.get(plate, 1.0)))
        for plate, trips in planned.items()
    ]


def _against_plan(context: AuditCycle, rule_id: str, threshold: str, plate: str, done: int, planned: int) -> Draft:
    limit = getattr(context.parameters, threshold)
    word = "acima" if rule_id == "T05" else "abaixo"
    service = context.service.loc[context.service["plate"] == plate, "km_measured"]
    mean = sum(service, Decimal("0.00")) / len(service) if len(service) else None
    return Draft(
        rule_id,
        plate,
        f"No ciclo, {context.period}, o veículo {plate} fez {done} viagens de serviço para {planned} planejadas, "
        f"{word} de {sentences.number(limit, 0)} % do plano.",
        GRADE_CONFIDENCE["B"],
        km_at_stake=None if mean is None else (mean * abs(done - planned)).quantize(_CENT, ROUND_HALF_UP),
        rate=context.rates.get(plate),
        facts={"service_trips": done, "planned_trips": planned},
        thresholds={threshold: limit},
    )


def days_before(cycle: Cycle, days: int) -> list[dt.date]:
    """So many days before a cycle, in order."""
    return [cycle.start - back * ONE_DAY for back in range(days, 0, -1)]

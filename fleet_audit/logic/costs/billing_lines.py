"""Lines of a cycle's measurement package: each priced trip and each day's fixed share in exactly one line.

Which km are admitted and what they cost is in `tariffs` and `fixed_costs`; sheets and footers are in `reporting`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from fleet_audit.logic.costs.tariffs import with_vehicles
from fleet_audit.logic.primitives.cycles import Cycle, as_days
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths, to_hundredths
from fleet_audit.logic.reference.reference import Reference
from fleet_audit.logic.reference.validity import validity
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import BILLING_LINES

_OWNER = ["unit_code", "carrier_code", "contract_id", "plate"]
_LINE = [*_OWNER, "area", "vehicle_class", "regime", "rate_brl_per_km"]
_TEXTS = [name for name in _LINE if name != "rate_brl_per_km"]
_VEHICLE = ["unit_code", "carrier_code", "fleet_number", "vehicle_class", "default_area"]
_GENERAL_AREA = "IND"  # where neither the trips nor the vehicle have an area: the industrial sheet is the general one
_LISTS = pd.ArrowDtype(pa.list_(pa.string()))


@dataclass(frozen=True)
class CycleDays:
    """Rows of a cycle's run days: `fact.trips`, `trip_costs`, `fixed_cost_days` and `vehicle_day_coverage`."""

    trips: pd.DataFrame
    trip_costs: pd.DataFrame
    fixed_cost_days: pd.DataFrame
    coverage: pd.DataFrame


def billed_trips(trips: pd.DataFrame, trip_costs: pd.DataFrame) -> pd.DataFrame:
    """Trips that have a price, with their cost: the columns of both facts, `area` being the billing area.

    What a contract does not pay costs 0.00 and has no rate: it is not billed.
    """
    costs = trip_costs.drop(columns=["operational_date", "parameters_version", "run_id", "updated_at"], errors="ignore")
    rows = trips.drop(columns=["contract_id", "area"]).merge(costs, on="trip_id")
    rows = rows[rows["variable_cost_brl"].notna() & rows["rate_brl_per_km"].notna()].reset_index(drop=True)
    return rows.rename(columns={"billing_area": "area"})


def line_ids(billed: pd.DataFrame, lines: pd.DataFrame) -> pd.Series:
    """billing_line_id of each of the billed trips, on their index; null where the lines hold none of it."""
    keyed = lines[lines["rate_brl_per_km"].notna()]
    sides = [rows[_TEXTS].astype("str").fillna("").assign(rate=rows["rate_brl_per_km"]) for rows in (billed, keyed)]
    found = sides[0].merge(sides[1].assign(line=keyed["billing_line_id"]), on=[*_TEXTS, "rate"], how="left")
    return found["line"].set_axis(billed.index)


def trips_of_line(line_id: str, lines: pd.DataFrame, trips: pd.DataFrame, trip_costs: pd.DataFrame) -> pd.DataFrame:
    """The billed trips that a line of `fact.billing_lines` sums, in order of start; empty for a fixed share only."""
    rows = billed_trips(trips, trip_costs)
    return rows[line_ids(rows, lines) == line_id].sort_values(["started_at", "trip_id"])


def unpriced_trips(trips: pd.DataFrame, trip_costs: pd.DataFrame) -> pd.DataFrame:
    """Trips whose cost is unknown, with billable_km, cost_status and cost_reason."""
    costs = trip_costs.loc[
        trip_costs["variable_cost_brl"].isna(), ["trip_id", "billable_km", "cost_status", "cost_reason"]
    ]
    return trips.merge(costs, on="trip_id")


def billing_lines(days: CycleDays, reference: Reference, cycle: Cycle) -> pd.DataFrame:
    """`fact.billing_lines` of the cycle without the trace columns.

    `km` and `variable_brl` sum the billed trips of a line. `fixed_brl`, what the cycle owes of `monthly_brl`, stands
    whole in one line of the vehicle and contract: of the default area, else of the area with most km, and there in the
    line with most km; without such a line it has one of its own, whose `line_status` is the reason.
    """
    lines = _variable_lines(days, reference)
    fixed = _fixed_shares(days.fixed_cost_days, reference)
    ranked = lines.sort_values(["km", *_LINE], ascending=[False] + [True] * len(_LINE), kind="stable")
    fixed = fixed.merge(ranked.drop_duplicates(_OWNER)[[*_OWNER, "area"]], on=_OWNER, how="left")
    fixed["area"] = fixed["default_area"].mask(fixed["default_area"] == "", fixed["area"]).fillna(_GENERAL_AREA)
    target = ranked.drop_duplicates([*_OWNER, "area"]).reset_index(names="line")[[*_OWNER, "area", "line"]]
    fixed = fixed.merge(target, on=[*_OWNER, "area"], how="left")
    shared = fixed[fixed["line"].notna()].set_index("line")[["fixed_cents", "monthly_cents", "fixed_days"]]
    alone = fixed[fixed["line"].isna()].drop(columns=["line", "default_area"]).assign(regime="")
    return _rows(pd.concat([lines.join(shared), alone], ignore_index=True), days, reference, cycle)


def _variable_lines(days: CycleDays, reference: Reference) -> pd.DataFrame:
    """One row per line of billed trips: `_LINE` (missing texts ""), fleet_number, lists, trips, hundredths."""
    trips = billed_trips(days.trips, days.trip_costs).sort_values(["operational_date", "started_at", "trip_id"])
    trips = trips.reset_index(drop=True)
    vehicles = reference.vehicles_on_days(trips["operational_date"].unique())
    trips = with_vehicles(trips, vehicles, ["fleet_number"])
    trips = trips.assign(
        **{name: trips[name].astype("str").fillna("") for name in _TEXTS},
        km=to_hundredths(trips["billable_km"]),
        variable_cents=to_hundredths(trips["variable_cost_brl"]),
    )
    groups = trips.groupby(_LINE, dropna=False)
    lines = groups[["km", "variable_cents"]].sum().join(groups[["fleet_number"]].last())
    lines["trips"] = groups.size()
    for name, column in (("route_codes", "route_code"), ("shift_codes", "shift_code")):
        lines[name] = groups[column].agg(lambda codes: sorted({*codes.dropna()}))
    return lines.reset_index()


def _fixed_shares(fixed_cost_days: pd.DataFrame, reference: Reference) -> pd.DataFrame:
    """What each vehicle and contract is owed of its monthly amount: `_OWNER`, class, area, days, cents of both."""
    rows = fixed_cost_days[["operational_date", "plate", "contract_id", "amount_brl"]].reset_index(drop=True)
    rows = with_vehicles(rows, reference.vehicles_on_days(rows["operational_date"].unique()), _VEHICLE)
    contracts = reference.contracts.drop_duplicates("contract_id", keep="last").set_index("contract_id")
    for name in ("unit_code", "carrier_code"):
        rows[name] = rows[name].fillna(rows["contract_id"].map(contracts[name]).astype("str"))
    rows = rows.assign(
        **{name: rows[name].astype("str").fillna("") for name in (*_OWNER, "vehicle_class", "default_area")},
        fixed_cents=to_hundredths(rows["amount_brl"]),
        day=as_days(rows["operational_date"]),
    )
    groups = rows.sort_values([*_OWNER, "day"], kind="stable").groupby(_OWNER)
    last = groups[["fleet_number", "vehicle_class", "default_area", "day"]].last()
    shares = groups[["fixed_cents"]].sum().join(last).assign(fixed_days=groups["day"].nunique()).reset_index()
    return shares.assign(monthly_cents=_monthly_cents(shares, reference.fixed_costs)).drop(columns="day")


def _monthly_cents(shares: pd.DataFrame, fixed_costs: pd.DataFrame) -> pd.Series:
    """Cents in force on each share's last day; rows of one vehicle and contract add up."""
    asked = shares[["plate", "contract_id", "day"]].reset_index(names="share")
    found = asked.merge(fixed_costs, on=["plate", "contract_id"])
    starts, ends = validity(found)
    day = found["day"].to_numpy(dtype="datetime64[D]")
    found = found[(starts <= day) & (day <= ends)]
    cents = pd.Series(to_hundredths(found["amount_brl_per_month"]), index=found["share"].to_numpy())
    return cents.groupby(level=0).sum().reindex(shares.index).astype("Int64")


def _rows(lines: pd.DataFrame, days: CycleDays, reference: Reference, cycle: Cycle) -> pd.DataFrame:
    """The lines as rows of the fact: empty texts null, hundredths as decimals, the reason of a line without km."""
    kinds = reference.contracts.drop_duplicates("contract_id", keep="last").set_index("contract_id")["kind"]
    status = _statuses(lines, days)
    is_nothing = (status == "nothing_billed").to_numpy()
    named = {name: lines[name].astype("str").replace("", None) for name in (*_TEXTS, "fleet_number")}
    rows = lines.assign(
        **named,
        cycle_start=cycle.start,
        operational_date=cycle.end,
        contract_kind=lines["contract_id"].map(kinds).astype("str"),
        line_status=status,
        **{name: _lists(lines[name]) for name in ("route_codes", "shift_codes")},
        km=_decimals(lines["km"].mask(is_nothing, 0), KM),
        variable_brl=_decimals(lines["variable_cents"].mask(is_nothing, 0), BRL),
        monthly_brl=_decimals(lines["monthly_cents"], BRL),
        fixed_brl=_decimals(lines["fixed_cents"], BRL),
        total_brl=_decimals(lines["variable_cents"].fillna(0) + lines["fixed_cents"].fillna(0), BRL),
    )
    return conform(rows.assign(billing_line_id=stable_ids(rows, ["cycle_start", *_LINE])), BILLING_LINES.untraced)


def _statuses(lines: pd.DataFrame, days: CycleDays) -> pd.Series:
    """`billed`, or why a line has a fixed share only."""
    seen = set(days.coverage.loc[days.coverage["status"] != "silent", "plate"])
    unpriced = set(unpriced_trips(days.trips, days.trip_costs)["plate"])
    conditions = [lines["km"].notna(), lines["plate"].isin(unpriced), lines["plate"].isin(seen)]
    found = np.select(
        [each.to_numpy(dtype=bool) for each in conditions], ["billed", "unpriced", "nothing_billed"], "no_data"
    )
    return pd.Series(found, index=lines.index, dtype="str")


def _lists(values: pd.Series) -> pd.Series:
    return pd.Series([each if isinstance(each, list) else [] for each in values], index=values.index, dtype=_LISTS)


def _decimals(hundredths: pd.Series, dtype: pd.ArrowDtype) -> pd.Series:
    """Whole hundredths as decimals; missing ones null."""
    whole = hundredths.astype("Int64")
    missing = whole.isna().to_numpy(dtype=bool)
    return from_hundredths(whole.fillna(0).to_numpy(dtype=np.int64), dtype, hundredths.index, missing)

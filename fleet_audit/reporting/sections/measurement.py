"""What a cycle bills, line by line: each priced trip and each day's fixed share in exactly one line of one area.

Which kilometres count and what they cost arrives computed; sheets, formulas and wording for print are in `package`.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.reference.validity import validity
from fleet_audit.reporting.sections.inputs import Frames, decimals, hundredths, with_vehicle

_ELSEWHERE = "IND"  # where neither the trip nor its vehicle tells an area: the industrial sheet is the general one
_OWNER = ["unit_code", "carrier_code", "contract_id", "plate"]
_LINE = [*_OWNER, "area", "vehicle_class", "regime", "rate_brl_per_km"]
_SUMS = ["km", "variable_brl", "fixed_brl", "monthly_brl"]
COLUMNS = [*_LINE, "fleet_number", "kind", "routes", "shifts", *_SUMS]


def measurement_lines(frames: Frames) -> pd.DataFrame:
    """One row a vehicle, contract, area, class, regime and rate: the columns of `COLUMNS`, sorted; texts may be "".

    `km` and `variable_brl` sum the trips that have a cost; a service trip counts in its own area, any other in the
    vehicle's default area. `fixed_brl`, what the cycle owes of `monthly_brl`, stands whole in one line of the vehicle
    and contract: of the default area, else of the area with most km, and there in the line with most km.
    """
    lines, fixed = _variable_lines(billed_trips(frames), frames), _fixed_shares(frames)
    most = lines.sort_values(["km", *_LINE], ascending=[False] + [True] * len(_LINE), kind="stable")
    main = most.drop_duplicates(_OWNER)[[*_OWNER, "area"]]
    fixed = fixed.merge(main, on=_OWNER, how="left")
    fixed["area"] = fixed["default_area"].mask(fixed["default_area"] == "", fixed["area"]).fillna(_ELSEWHERE)
    target = most.drop_duplicates([*_OWNER, "area"]).reset_index(names="line")[[*_OWNER, "area", "line"]]
    fixed = fixed.merge(target, on=[*_OWNER, "area"], how="left")
    beside = fixed[fixed["line"].notna()].set_index("line")[["fixed_brl", "monthly_brl"]]
    alone = fixed[fixed["line"].isna()].assign(regime="", routes="", shifts="")
    result = pd.concat([lines.join(beside), alone.drop(columns=["line", "default_area"])], ignore_index=True)
    kinds = frames.contracts.drop_duplicates("contract_id", keep="last").set_index("contract_id")["kind"]
    result["kind"] = result["contract_id"].map(kinds).astype("str").fillna("")
    result = result.sort_values(_LINE, na_position="last", kind="stable").reset_index(drop=True)
    return result[COLUMNS].assign(**{name: decimals(result[name].astype("Int64")) for name in _SUMS})


def billed_trips(frames: Frames) -> pd.DataFrame:
    """Trips that have a cost, with the keys of their line, km and variable_brl in hundredths, route and shift."""
    costs = frames.trip_costs[["trip_id", "contract_id", "billable_km", "rate_brl_per_km", "variable_cost_brl"]]
    trips = frames.trips.drop(columns="contract_id").merge(costs, on="trip_id")
    # what a contract does not pay costs 0.00 and has no rate
    trips = trips[trips["variable_cost_brl"].notna() & trips["rate_brl_per_km"].notna()]
    trips = with_vehicle(trips, frames.vehicles, ["fleet_number", "vehicle_class", "default_area"])
    is_service = trips["purpose"] == "service"
    regimes = frames.routes.drop_duplicates("route_code").set_index("route_code")["regime"]
    priced_route = trips["route_code"].where(is_service & (trips["route_method"] == "places").fillna(False))
    area = trips["area"].where(is_service, trips["default_area"]).fillna(trips["area"])
    return trips.assign(
        **_texts(trips, [*_OWNER, "fleet_number", "vehicle_class"]),
        area=area.fillna(_ELSEWHERE).astype("str"),
        regime=priced_route.map(regimes).astype("str").fillna(""),
        km=hundredths(trips["billable_km"]),
        variable_brl=hundredths(trips["variable_cost_brl"]),
    )


def _variable_lines(trips: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    names = frames.routes.drop_duplicates("route_code").set_index("route_code")["name"]
    trips = trips.assign(route=trips["route_code"].map(names).astype("str").fillna(trips["route_code"]))
    groups = trips.groupby(_LINE, dropna=False)
    lines = groups[["km", "variable_brl"]].sum().join(groups[["fleet_number"]].last())
    for name, column in (("routes", "route"), ("shifts", "shift_code")):
        each = trips[[*_LINE, column]].dropna(subset=[column]).drop_duplicates().sort_values(column)
        lines[name] = each.groupby(_LINE, dropna=False)[column].agg("; ".join)
    lines = lines.reset_index()
    return lines.assign(**_texts(lines, ["routes", "shifts"]))


def _fixed_shares(frames: Frames) -> pd.DataFrame:
    """What each vehicle and contract is owed of its monthly amount: `_OWNER`, class, area, hundredths of both."""
    days = frames.fixed_cost_days[["operational_date", "plate", "contract_id", "amount_brl"]]
    columns = ["unit_code", "carrier_code", "fleet_number", "vehicle_class", "default_area"]
    days = with_vehicle(days, frames.vehicles, columns)
    contracts = frames.contracts.drop_duplicates("contract_id", keep="last").set_index("contract_id")
    for name in ("unit_code", "carrier_code"):
        days[name] = days[name].fillna(days["contract_id"].map(contracts[name]).astype("str"))
    days = days.assign(**_texts(days, [*_OWNER, *columns]), fixed_brl=hundredths(days["amount_brl"]))
    days = days.sort_values([*_OWNER, "operational_date"], kind="stable")
    groups = days.groupby(_OWNER)
    shares = groups[["fixed_brl"]].sum().join(groups[[*columns[2:], "operational_date"]].last()).reset_index()
    return shares.assign(monthly_brl=_monthly(shares, frames.fixed_costs)).drop(columns="operational_date")


def _monthly(shares: pd.DataFrame, fixed_costs: pd.DataFrame) -> pd.Series:
    """Hundredths in force on each share's last day; rows of one vehicle and contract add up."""
    asked = shares[["plate", "contract_id", "operational_date"]].reset_index(names="share")
    found = asked.merge(fixed_costs, on=["plate", "contract_id"])
    (starts, ends), day = validity(found), as_days(found["operational_date"])
    found = found[(starts <= day) & (day <= ends)]
    return hundredths(found["amount_brl_per_month"]).groupby(found["share"]).sum().reindex(shares.index)


def _texts(frame: pd.DataFrame, columns: list[str]) -> dict[str, pd.Series]:
    return {name: frame[name].astype("str").fillna("") for name in columns}

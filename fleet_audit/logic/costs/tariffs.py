"""Cost of a trip: the kilometres that a contract admits, and the tariff that prices them.

The purpose of a trip is in `classification`; the monthly amounts are in `fixed_costs`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.money import (
    BRL,
    KM,
    RATE,
    divide_half_up,
    from_hundredths,
    multiply_brl,
    to_hundredths,
)
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.logic.reference.places import ANYWHERE, CANDIDATES_SEPARATOR
from fleet_audit.logic.reference.routes import routes_by_places
from fleet_audit.logic.reference.validity import validity
from fleet_audit.logic.trips.classification import areas
from fleet_audit.logic.trips.rounded.unproven_places import open_candidates, possible_ends

_VEHICLE = ["contract_id", "vehicle_class", "default_area", "deadhead_rule", "deadhead_cap_pct"]
_NOT_MEASURED = "A quilometragem da viagem não pôde ser medida; o valor fica em aberto."
_NEVER_BILLED = {
    "yard": "Movimento de pátio: não é faturado.",
    "maintenance": "Viagem de manutenção: não é faturada.",
    "unknown": "Finalidade desconhecida: não é faturada.",
}
_UNPROVEN = "Finalidade desconhecida: não é faturada enquanto o local não for comprovado. As coordenadas admitem "
_OPEN_TARIFF = "A tarifa depende de um local que não está comprovado; o valor fica em aberto. As coordenadas admitem "
_MAINTENANCE = "maintenance"  # in place of a tariff: an end in a workshop
_GENERAL_AREA = "IND"  # the industrial sheet is the general one

KEYS = ["route_code", "vehicle_class", "area", "regime"]


def select_tariffs(requests: pd.DataFrame, tariffs: pd.DataFrame) -> pd.DataFrame:
    """The tariff of each request, of the requests' index: tariff_id, rate_brl_per_km, status, candidates.

    Of the contract's tariffs that are valid on the operational date and whose keys are empty or equal to the
    request's, the one with most keys counts; a key whose value the request does not know matches only when empty.
    status is `priced`, `no_tariff`, or `ambiguous_tariff` when several have equally many keys (even at one price);
    tariff_id and rate are null unless priced. candidates lists the tariffs with most keys, comma separated.

    Args:
        requests: contract_id, operational_date and `KEYS`.
        tariffs: `ref.tariffs`.
    """
    asked = requests[["contract_id", *KEYS]].astype("str").reset_index(drop=True)
    asked["day"] = as_days(requests["operational_date"])
    columns = ["contract_id", "day", *KEYS]
    distinct = asked.drop_duplicates().reset_index(drop=True)
    number = asked.merge(distinct.reset_index(names="number"), on=columns, how="left")["number"].to_numpy()
    return _answers(distinct, tariffs).iloc[number].set_axis(requests.index)


def rates_for_runs(runs: pd.DataFrame, vehicles: pd.DataFrame, tariffs: pd.DataFrame) -> pd.DataFrame:
    """declared_run_id and rate_brl_per_km: the rate that would apply to a run, null where none or several do.

    A run is priced with its vehicle's class and default area and without a route: its way is not measured.

    Args:
        runs: declared_run_id, plate, operational_date.
        vehicles: `reference_view.vehicles_on_days` of the runs' days.
        tariffs: `ref.tariffs`.
    """
    asked = runs[["declared_run_id", "plate", "operational_date"]].reset_index(drop=True)
    asked = with_vehicles(asked, vehicles, ["contract_id", "vehicle_class", "default_area"])
    asked = asked.rename(columns={"default_area": "area"}).assign(route_code=None, regime=None)
    return asked[["declared_run_id"]].assign(rate_brl_per_km=select_tariffs(asked, tariffs)["rate_brl_per_km"])


def with_vehicles(rows: pd.DataFrame, vehicles: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The rows with those columns of their vehicle on their operational date; null without a valid vehicle row."""
    keys = pd.DataFrame(
        {"plate": vehicles["plate"].to_numpy(dtype=object), "day": as_days(vehicles["operational_date"])}
    )
    known = pd.concat([keys, vehicles[columns].reset_index(drop=True)], axis=1)
    asked = pd.DataFrame({"plate": rows["plate"].to_numpy(dtype=object), "day": as_days(rows["operational_date"])})
    found = asked.merge(known, on=["plate", "day"], how="left", validate="many_to_one")[columns].set_axis(rows.index)
    return pd.concat([rows.drop(columns=columns, errors="ignore"), found], axis=1)


def _answers(distinct: pd.DataFrame, tariffs: pd.DataFrame) -> pd.DataFrame:
    starts, ends = validity(tariffs)
    offered = tariffs[["contract_id", "tariff_id", "rate_brl_per_km", *KEYS]].assign(starts=starts, ends=ends)
    pairs = (
        distinct.reset_index(names="number")
        .dropna(subset="contract_id")
        .merge(offered, on="contract_id", suffixes=("", "_tariff"))
    )
    matches = ((pairs["starts"] <= pairs["day"]) & (pairs["day"] <= pairs["ends"])).to_numpy()
    keys = np.zeros(len(pairs), dtype=np.int64)
    for name in KEYS:
        asked, key = pairs[name].to_numpy(dtype=object), pairs[f"{name}_tariff"].to_numpy(dtype=object)
        is_open = pd.isna(key)
        matches = matches & (is_open | (key == asked))
        keys += ~is_open
    pairs = pairs.assign(keys=keys)[matches]
    best = pairs[pairs["keys"] == pairs.groupby("number")["keys"].transform("max")].sort_values(["number", "tariff_id"])
    count = best.groupby("number").size().reindex(distinct.index, fill_value=0)
    candidates = best.groupby("number")["tariff_id"].agg(", ".join).reindex(distinct.index)
    only = best.drop_duplicates("number").set_index("number").reindex(distinct.index)
    status = np.select([count == 1, count == 0], ["priced", "no_tariff"], default="ambiguous_tariff")
    return pd.DataFrame(
        {
            "tariff_id": only["tariff_id"].where(count == 1).astype("str"),
            "rate_brl_per_km": only["rate_brl_per_km"].astype(RATE).where(count == 1),
            "status": pd.Series(status, index=distinct.index, dtype="str"),
            "candidates": candidates.astype("str"),
        }
    )


def price_trips(
    trips: pd.DataFrame, vehicles: pd.DataFrame, tariffs: pd.DataFrame, routes: pd.DataFrame, pois: pd.DataFrame,
    parameters: ParameterSet,
) -> pd.DataFrame:  # fmt: skip
    """The variable cost of each trip: the columns of `fact.trip_costs` without run_id and updated_at.

    Without a valid contract nothing is admitted nor refused: billable_km and cost are null. Service is billed as
    measured, deadhead by the contract, at the vehicle's default area and without a route; all else is 0.00. A
    route found by text sets no tariff. A trip to be billed that was not measured is `not_billable` with nulls, and so
    is a deadhead whose part of the cap depends on one. So is service of which an end is not proven to lie in one place,
    if the places in which it can lie do not all have one tariff: no general tariff stands for that of a route.

    Args:
        trips: trip_id, operational_date, plate, unit_code, started_at, purpose, area, route_code, route_method,
            km_measured (decimal 12,2), poi_id and candidates of origin and destination; all trips of each vehicle-day,
            since a cap depends on its service km.
        vehicles: `reference_view.vehicles_on_days` of the trips' operational dates.
        tariffs: `ref.tariffs`; routes: `ref.routes`; pois: `ref.pois`.
        parameters: only their version, for the row.
    """
    rows = with_vehicles(trips, vehicles, _VEHICLE)
    admitted = _admitted(rows)
    has_contract, keys = rows["contract_id"].notna(), _tariff_keys(rows, routes)
    is_open = has_contract & admitted["is_billed"] & _has_open_tariff(rows, tariffs, routes, pois)
    billable, is_billed = admitted["billable_km"].mask(is_open), has_contract & admitted["is_billed"] & ~is_open
    reason = admitted["reason"].mask(is_open, _OPEN_TARIFF + _possible_places(rows) + ".")
    priced = select_tariffs(keys[is_billed], tariffs).reindex(rows.index)
    status = priced["status"].where(is_billed, "not_billable").where(has_contract, "no_contract")
    nothing = from_hundredths(np.zeros(len(rows)), BRL, rows.index, billable.isna().to_numpy())
    cost = multiply_brl(billable, priced["rate_brl_per_km"]).where(is_billed, nothing)
    return pd.DataFrame(
        {
            "trip_id": rows["trip_id"],
            "operational_date": rows["operational_date"],
            "contract_id": rows["contract_id"].astype("str"),
            "tariff_id": priced["tariff_id"].astype("str"),
            "billable_km": billable,
            "rate_brl_per_km": priced["rate_brl_per_km"].astype(RATE),
            "variable_cost_brl": cost,
            "cost_status": status.astype("str"),
            "cost_reason": _reasons(rows, reason, status, priced["candidates"]),
            "vehicle_class": rows["vehicle_class"].astype("str"),
            "billing_area": keys["area"].fillna(rows["area"]).fillna(_GENERAL_AREA).astype("str"),
            "regime": keys["regime"].astype("str"),
            "parameters_version": parameters.version,
        }
    )


def _admitted(rows: pd.DataFrame) -> pd.DataFrame:
    """billable_km (null: unknown), is_billed (a tariff is needed) and, where they need one, reason."""
    purpose, km = rows["purpose"], to_hundredths(rows["km_measured"])
    is_service = (purpose == "service").to_numpy(dtype=bool)
    is_deadhead = (purpose == "deadhead").to_numpy(dtype=bool)
    is_paid, is_capped = (
        is_deadhead & (rows["deadhead_rule"] == rule).to_numpy(dtype=bool) for rule in ("paid", "capped")
    )
    cap = _caps(rows, km, is_service)
    lacks_cap = is_capped & rows["deadhead_cap_pct"].isna().to_numpy()
    is_unmeasured = rows["km_measured"].isna().to_numpy()
    lacks_km = (is_service | is_paid | is_capped) & is_unmeasured
    within = _within_caps(rows, km, is_capped, cap)
    billable = np.where(is_service | is_paid, km, np.where(is_capped, within, 0))
    hangs_on_others = is_capped & _is_open(rows, is_unmeasured, is_service, is_capped, within, km)
    missing = lacks_cap | lacks_km | hangs_on_others | rows["contract_id"].isna().to_numpy()
    of_cap = "o teto de " + rows["deadhead_cap_pct"].astype("str").str.replace(".", ",") + " % do km de serviço do dia"
    reason = np.select(
        [
            lacks_km,
            lacks_cap,
            hangs_on_others,
            is_capped & (billable == 0),
            is_capped & (billable < km),
            is_deadhead & ~is_paid & ~is_capped,
        ],
        [
            _NOT_MEASURED,
            "O contrato paga deslocamento vazio até um teto, mas não informa o teto (deadhead_cap_pct).",
            "Deslocamento vazio: o teto depende de outra viagem do dia, que não foi medida; o valor fica em aberto.",
            "Deslocamento vazio: " + of_cap + np.where(cap == 0, " é zero.", " já foi usado."),
            "Deslocamento vazio pago em parte: " + of_cap + " acaba nesta viagem.",
            "Deslocamento vazio: o contrato não o paga.",
        ],
        default=purpose.map(_NEVER_BILLED).mask(purpose == "unknown", _unknown_reason(rows)).to_numpy(dtype=object),
    )
    return pd.DataFrame(
        {
            "billable_km": from_hundredths(billable, KM, rows.index, missing),
            "is_billed": ~missing & (is_service | is_paid | (is_capped & (billable > 0))),
            "reason": pd.Series(reason, index=rows.index, dtype=object),
        }
    )


def _unknown_reason(rows: pd.DataFrame) -> pd.Series:
    """Why the purpose of each trip is unknown: with rounded coordinates, the places in which its ends can lie."""
    both = _possible_places(rows)
    return (_UNPROVEN + both + ".").where(both != "", _NEVER_BILLED["unknown"])


def _possible_places(rows: pd.DataFrame) -> pd.Series:
    """`origem em GAR ou USI e destino em FR1` of the ends whose place is not proven; empty: all are, or can be none."""
    ends = [
        open_candidates(rows, side).str.replace(CANDIDATES_SEPARATOR, " ou ").replace(ANYWHERE, "qualquer lugar")
        for side in ("origin", "destination")
    ]
    ends = [("origem em " + ends[0]).fillna(""), ("destino em " + ends[1]).fillna("")]
    return (ends[0] + " e " + ends[1]).str.removeprefix(" e ").str.removesuffix(" e ")


def _caps(rows: pd.DataFrame, km: np.ndarray, is_service: np.ndarray) -> np.ndarray:
    """Hundredths of a km up to which each vehicle-day's deadhead is paid; 0 where the contract has no cap."""
    service = pd.Series(np.where(is_service, km, 0), index=rows.index)
    served = service.groupby([rows["plate"], as_days(rows["operational_date"])]).transform("sum").to_numpy()
    return divide_half_up(served * to_hundredths(rows["deadhead_cap_pct"]), 100 * 100)


def _within_caps(rows: pd.DataFrame, km: np.ndarray, is_capped: np.ndarray, cap: np.ndarray) -> np.ndarray:
    """Part of each capped deadhead within the cap, in order of start (ties by trip_id); the last one in part."""
    order = rows.reset_index(drop=True).sort_values(["started_at", "trip_id"]).index.to_numpy()
    counted = pd.Series(np.where(is_capped, km, 0)[order])
    vehicle_day = [rows["plate"].to_numpy(dtype=object)[order], as_days(rows["operational_date"])[order]]
    used_before = np.empty(len(rows), dtype=np.int64)
    used_before[order] = (counted.groupby(vehicle_day).cumsum() - counted).to_numpy()
    return np.clip(cap - used_before, 0, km)


def _is_open(
    rows: pd.DataFrame, is_unmeasured: np.ndarray, is_service: np.ndarray, is_capped: np.ndarray, within: np.ndarray,
    km: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Whether the paid part of a capped deadhead depends on a trip of that vehicle-day with unknown km.

    Unmeasured service could only raise the cap, an unmeasured earlier deadhead only use more of it: what is paid whole
    in spite of the one, or not at all in spite of the other, is certain.
    """
    order = rows.reset_index(drop=True).sort_values(["started_at", "trip_id"]).index.to_numpy()
    vehicle_day = [rows["plate"].to_numpy(dtype=object)[order], as_days(rows["operational_date"])[order]]
    lacks_service = pd.Series((is_service & is_unmeasured)[order]).groupby(vehicle_day).transform("any")
    unmeasured = pd.Series((is_capped & is_unmeasured)[order].astype(np.int64))
    before = unmeasured.groupby(vehicle_day).cumsum() - unmeasured
    is_open = np.empty(len(rows), dtype=bool)
    is_open[order] = lacks_service.to_numpy() & (within < km)[order] | (before.to_numpy() > 0) & (within > 0)[order]
    return is_open


def _tariff_keys(rows: pd.DataFrame, routes: pd.DataFrame) -> pd.DataFrame:
    """contract_id, operational_date and `KEYS` of each trip; what is not service has the vehicle's area, no route."""
    is_service = rows["purpose"] == "service"
    route = rows["route_code"].where(is_service & (rows["route_method"] == "places").fillna(False))
    regime = routes.drop_duplicates("route_code").set_index("route_code")["regime"]
    return rows[["contract_id", "operational_date", "vehicle_class"]].assign(
        route_code=route, regime=route.map(regime), area=rows["area"].where(is_service, rows["default_area"])
    )


def _has_open_tariff(rows: pd.DataFrame, tariffs: pd.DataFrame, routes: pd.DataFrame, pois: pd.DataFrame) -> pd.Series:
    """Whether the places in which unproven ends of a service trip can lie give it several tariffs, or none beside one.

    An end in a workshop would make it maintenance.
    """
    is_service = (rows["purpose"] == "service").to_numpy(dtype=bool)
    pairs = possible_ends(rows)
    pairs = pairs[is_service[pairs["trip"]]].reset_index(drop=True)
    if pairs.empty:
        return pd.Series(False, index=rows.index)
    kinds = pois.drop_duplicates("poi_id", keep="last").set_index("poi_id")["kind"]
    ends = [pairs[f"{side}_poi_id"].map(kinds).to_numpy(dtype=object) for side in ("origin", "destination")]
    own = ["contract_id", "operational_date", "plate", "vehicle_class", "default_area", "unit_code"]
    asked = rows[own].iloc[pairs["trip"]].reset_index(drop=True).join(pairs.drop(columns="trip"))
    asked = asked.assign(
        purpose="service",
        area=areas(asked["default_area"], *ends)[0],
        route_code=routes_by_places(asked, routes),
        route_method="places",
    )
    found = select_tariffs(_tariff_keys(asked, routes), tariffs)
    answer = (
        found["tariff_id"].fillna(found["status"]).mask((ends[0] == "oficina") | (ends[1] == "oficina"), _MAINTENANCE)
    )
    is_open = np.zeros(len(rows), dtype=np.bool_)
    several = answer.groupby(pairs["trip"].to_numpy()).nunique() > 1
    is_open[several.index[several]] = True
    return pd.Series(is_open, index=rows.index)


def _reasons(rows: pd.DataFrame, reason: pd.Series, status: pd.Series, candidates: pd.Series) -> pd.Series:
    day = pd.Series(as_days(rows["operational_date"]).astype("datetime64[s]"), index=rows.index).dt.strftime("%d/%m/%Y")
    tariff_of = "tarifa do contrato " + rows["contract_id"].astype("str") + " em " + day
    sentences = {
        "no_contract": "O veículo " + rows["plate"] + " não tem contrato válido em " + day + ".",
        "no_tariff": "Nenhuma "
        + tariff_of
        + " vale para esta viagem (classe "
        + rows["vehicle_class"].fillna("?")
        + ", área "
        + rows["area"].fillna("?")
        + ").",
        "ambiguous_tariff": "Mais de uma " + tariff_of + " vale igualmente para esta viagem: " + candidates + ".",
    }
    for name, sentence in sentences.items():
        reason = reason.mask(status == name, sentence)
    return reason.astype("str")

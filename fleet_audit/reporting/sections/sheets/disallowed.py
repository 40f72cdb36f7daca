"""GLOSAS: trips and runs that are not in the invoice, each row with its reason and never as a zero.

Prices and held runs are inputs; here they become rows for print. Glosas and held amounts add up to those of CASCATA.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.costs.billing_lines import unpriced_trips
from fleet_audit.logic.costs.disallowed_groups import disallowed_groups
from fleet_audit.logic.costs.fixed_costs import held_fixed_costs
from fleet_audit.logic.costs.waterfall import linked_repeats, members_of
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import half_up
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import AMOUNTS, COST_STATUSES, HELD_REASONS, UNPRICED_RULES
from fleet_audit.reporting.locale import number
from fleet_audit.reporting.sections.inputs import Frames, decimals, hundredths, names_of, records, with_vehicle
from fleet_audit.reporting.sections.sheets.waterfall import cycle_facts, cycle_rows

UNPRICED, HELD, ABOVE = "Viagem sem preço", "Corrida retida", "Declarado acima do medido"
REPEATED = "Corrida declarada duas vezes"
EMPTY, OTHER_USE, PHANTOM = "Vazio não pago", "Viagem não faturável", "Corrida fantasma"
HELD_FIXED = "Parcela fixa retida"
_ORDER = {UNPRICED: 0, ABOVE: 1, REPEATED: 2, PHANTOM: 3, HELD: 4, HELD_FIXED: 5, EMPTY: 6, OTHER_USE: 7}
_AMOUNTS = {
    UNPRICED: AMOUNTS["in_favour_brl"],
    ABOVE: AMOUNTS["disallowed_brl"],
    REPEATED: AMOUNTS["disallowed_brl"],
    PHANTOM: AMOUNTS["disallowed_brl"],
    HELD: AMOUNTS["held_brl"],
    HELD_FIXED: "Fixo retido",
}
_MAY_HAVE_SERVED = (
    " fez viagem que pode ser de serviço, em local que as coordenadas não comprovam: a parcela do reserva "
    "neste dia fica retida até que o local seja comprovado."
)
_SEPARATOR = ", "
_BY_LINE = {"disallowed": AMOUNTS["disallowed_brl"], "held": AMOUNTS["held_brl"]}
_SET_OFF = "Descontado, porque foi declarado abaixo do medido: "
_NEVER_BILLED = ("maintenance", "unknown")  # a yard movement is never billed
FIELDS = (
    Field("kind", "O que não é faturado", width=16),
    Field("amount_name", "Tipo de valor", width=13),
    Field("operational_date", "Data", Kind.DATE, 10),
    Field("unit", "Unidade", width=14),
    Field("carrier", "Empresa", width=15),
    Field("plate", "Placa", width=8),
    Field("fleet_number", "Frota", width=7),
    Field("bulletin_number", "Nº da ata", width=9),
    Field("reason", "Motivo", width=48),
    Field("km", "Km não faturados", Kind.KM, 10),
    Field("brl", "Valor (R$)", Kind.BRL, 11),
    Field("trip_id", "Viagem", width=18, in_print=False),
    Field("declared_run_id", "Corrida declarada", width=18, in_print=False),
)


def disallowed_grid(frames: Frames, cycle: Cycle) -> Grid:
    """Trips without a price, groups above the measured km, runs declared twice (D08) or held, held fixed shares of
    reserves, unpaid trips.
    """
    runs = frames.declared_runs.drop_duplicates("declared_run_id").set_index("declared_run_id")["bulletin_number"]
    rows = pd.concat(
        [
            _unpriced(frames),
            _above(frames),
            _repeated(frames),
            _held(frames),
            _held_fixed(frames, cycle),
            *_unpaid(frames),
        ],
        ignore_index=True,
    )
    rows = with_vehicle(rows, frames.vehicles, ["fleet_number"])
    rows["bulletin_number"] = _joined(rows["declared_run_id"], runs)
    rows["unit"] = _named(rows["unit_code"], names_of(frames.units, "unit_code"))
    rows["carrier"] = _named(rows["carrier_code"], names_of(frames.carriers, "carrier_code"))
    rows["order"] = rows["kind"].map(_ORDER)
    rows["amount_name"] = rows["amount_name"].fillna(rows["kind"].map(_AMOUNTS)).astype("str")
    rows = rows.sort_values(
        ["order", "operational_date", "unit", "carrier", "plate", "trip_id", "declared_run_id"], kind="stable"
    )
    lines = records(rows[[entry.name for entry in FIELDS]])
    km = [line["km"] for line in lines if line["km"] is not None]
    total: dict[str, Any] = {"kind": "Total", "km": sum(km) if km else None}  # R$ of different amounts do not add up
    return grid_of(FIELDS, lines, total if lines else None)


def _unpriced(frames: Frames) -> pd.DataFrame:
    trips = unpriced_trips(frames.trips, frames.trip_costs)
    reason = trips["cost_reason"].fillna(trips["cost_status"].map(COST_STATUSES)).astype("str")
    estimates = _estimates(frames.findings)
    notes = trips["trip_id"].map({trip_id: note for trip_id, (_, note) in estimates.items()}).astype("str")
    return _rows(
        trips,
        UNPRICED,
        reason=reason + notes.fillna(""),
        km=trips["billable_km"].fillna(trips["km_measured"]),
        brl=trips["trip_id"].astype(object).map({trip_id: brl for trip_id, (brl, _) in estimates.items()}),
    )


def _estimates(findings: pd.DataFrame) -> dict[str, tuple[Decimal, str]]:
    """BRL and a note by trip_id, as the evidence of K01 and V01 lists them: they are in no line of CASCATA."""
    found = findings.loc[findings["rule_id"].isin(UNPRICED_RULES) & (findings["status"] == "open"), "evidence"].dropna()
    estimates = {}
    for each in (estimate for text in found for estimate in json.loads(text).get("estimates", ())):
        low, high = (half_up(each[name]) for name in ("low_brl", "high_brl"))
        reach = "" if low == high else f", até R$ {number(high)} pela mais cara"
        which = "pela menor das tarifas" if _SEPARATOR in each["tariff_ids"] else "pela tarifa"
        note = f" Valor estimado {which} {each['tariff_ids']} do contrato {each['contract_id']}{reach}."
        estimates[each["trip_id"]] = (low, note)
    return estimates


def _above(frames: Frames) -> pd.DataFrame:
    """Groups of trips and runs whose difference is disallowed, by their own finding or that of their day or cycle."""
    groups = disallowed_groups(cycle_rows(frames), cycle_facts(frames))
    reasons = groups["finding_id"].map(frames.findings.set_index("finding_id")["explanation_pt"])
    members = frames.matches.set_index("match_id")
    named = {
        name: groups["match_id"].map(members[column].map(_SEPARATOR.join))
        for name, column in (("trip_id", "trip_ids"), ("declared_run_id", "declared_run_ids"))
    }
    return _rows(
        groups.assign(**named),
        ABOVE,
        reason=reasons.where(groups["difference_km"] >= 0, _SET_OFF + reasons),
        km=groups["difference_km"],
        brl=groups["difference_brl"],
    )


def _repeated(frames: Frames) -> pd.DataFrame:
    """Runs declared twice whose trip the first one has; without a trip they are among the held runs."""
    repeats = linked_repeats(frames.findings, frames.matches)
    found = repeats[repeats["status"] == "open"]
    return _rows(found, REPEATED, reason=found["explanation_pt"], km=found["km_at_stake"], brl=found["brl_at_stake"])


def _held(frames: Frames) -> pd.DataFrame:
    held = with_vehicle(frames.held_runs, frames.vehicles, ["unit_code"])
    rows = _rows(held, HELD, reason=held["reason"].map(HELD_REASONS), km=held["declared_km"], brl=held["brl_at_rate"])
    groups = cycle_rows(frames).dropna(subset="match_id")
    groups = groups.drop_duplicates("match_id", keep="last").set_index("match_id")["line"]  # what is held stands last
    runs = members_of(frames.matches[frames.matches["match_id"].isin(groups.index)], "declared_run_ids")
    line = held["declared_run_id"].map(runs.set_index("member")["match_id"]).map(groups)
    unproven = held.loc[held["reason"] == "place_unproven", "declared_run_id"]  # the costs name the places
    of_trips = _trips_of_held(frames).merge(frames.trip_costs[["trip_id", "cost_reason"]], on="trip_id")
    of_trips = of_trips[of_trips["declared_run_id"].isin(unproven)]
    proofs = of_trips.groupby("declared_run_id")["cost_reason"].agg(lambda each: " ".join(dict.fromkeys(each.dropna())))
    return rows.assign(
        reason=held["declared_run_id"].map(proofs).astype("str").fillna(rows["reason"]),
        kind=rows["kind"].mask(held["reason"] == "phantom", PHANTOM),
        amount_name=line.map(_BY_LINE).to_numpy(),
    )


def _held_fixed(frames: Frames, cycle: Cycle) -> pd.DataFrame:
    """Fixed shares of reserves on days on which a trip of the titular may be service: fixed, so in no line of CASCATA's
    variable cost.
    """
    tables = frames.fixed_costs, frames.contracts, frames.vehicles
    held = held_fixed_costs(frames.trips, *tables, cycle.start.day)
    held = with_vehicle(held, frames.vehicles, ["unit_code", "carrier_code", "titular_plate"])
    reason = "O titular " + held["titular_plate"].astype("str") + _MAY_HAVE_SERVED
    return _rows(held, HELD_FIXED, reason=reason, brl=held["amount_brl"])


def _trips_of_held(frames: Frames) -> pd.DataFrame:
    """declared_run_id and trip_id of the held runs that have trips: those of which none is proven to be service."""
    groups = frames.matches[["declared_run_ids", "trip_ids"]].explode("declared_run_ids")
    held = groups[groups["declared_run_ids"].isin(frames.held_runs["declared_run_id"])].explode("trip_ids")
    return held.set_axis(["declared_run_id", "trip_id"], axis=1).dropna()


def _unpaid(frames: Frames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Empty km that the contract does not pay, or above its cap; and trips that are never billed."""
    costs = frames.trip_costs[["trip_id", "billable_km", "variable_cost_brl", "cost_reason"]]
    trips = frames.trips.merge(costs[costs["variable_cost_brl"].notna()], on="trip_id")
    trips = trips.assign(unpaid=decimals(hundredths(trips["km_measured"]) - hundredths(trips["billable_km"])))
    trips = trips[(trips["unpaid"] > 0).fillna(False) & ~trips["trip_id"].isin(_trips_of_held(frames)["trip_id"])]
    return tuple(
        _rows(found, kind, reason=found["cost_reason"], km=found["unpaid"])
        for kind, found in (
            (EMPTY, trips[trips["purpose"] == "deadhead"]),
            (OTHER_USE, trips[trips["purpose"].isin(_NEVER_BILLED)]),
        )
    )


def _rows(frame: pd.DataFrame, kind: str, **values: pd.Series) -> pd.DataFrame:
    names = ("operational_date", "unit_code", "carrier_code", "plate", "trip_id", "declared_run_id")
    columns = {name: frame.get(name) for name in names}
    return pd.DataFrame(
        {**columns, "kind": kind, "amount_name": None, "km": None, "brl": None, **values}, index=frame.index
    )


def _joined(runs: pd.Series, numbers: pd.Series) -> pd.Series:
    """The numbers of the runs that each row names."""
    each = runs.astype("str").str.split(_SEPARATOR).explode().map(numbers).dropna()
    return each.groupby(level=0).agg(_SEPARATOR.join).reindex(runs.index)


def _named(codes: pd.Series, names: dict[str, str]) -> pd.Series:
    return codes.map(names).astype("str").fillna(codes)

"""The trip list: one line per trip, with everything that a reader compares side by side.

Joins and shares for print belong here; kilometres, costs and scores arrive computed.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.logic.primitives.computed_once import computed_once
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import COST_STATUSES, PURPOSES, UNPRICED, VEHICLE_CLASSES
from fleet_audit.reporting.locale import REPORT_ZONE
from fleet_audit.reporting.sections.inputs import Frames, as_of, decimals, hundredths, members, names_of, records

FIELDS = (
    Field("operational_date", "Data", Kind.DATE, 10),
    Field("unit", "Unidade", width=17),
    Field("carrier", "Transportadora", width=20),
    Field("plate", "Placa", width=9),
    Field("fleet_number", "Frota", width=8),
    Field("vehicle_class", "Tipo de Veículo", width=12),
    Field("driver_id", "Motorista", width=17),
    Field("shift_code", "Turno", width=6),
    Field("area", "Área", width=6),
    Field("origin", "Origem", width=22),
    Field("destination", "Destino", width=22),
    Field("started_local", "Saída", Kind.MOMENT, 15),
    Field("ended_local", "Chegada", Kind.MOMENT, 15),
    Field("km_measured", "Km Telemetria", Kind.KM, 10, is_summed=True),
    Field("declared_km", "Km Declarado", Kind.KM, 10, is_summed=True),
    Field("difference_km", "Diferença (km)", Kind.KM_DIFFERENCE, 10, is_summed=True),
    Field("difference_pct", "Diferença (%)", Kind.PERCENT_DIFFERENCE, 10),
    Field("rate_brl_per_km", "Tarifa (R$/km)", Kind.RATE, 9),
    Field("variable_cost_brl", "Custo Variável (R$)", Kind.BRL, 11, is_summed=True),
    Field("flags", "Flags", width=16),
    Field("evidence_grade", "Grau de Evidência", width=9),
    Field("compliance_score", "Score", Kind.SCORE, 7),
)
# Pairs that share a column on paper, so that all 22 fit a page at a readable size.
STACKED = (
    ("started_local", "ended_local"),
    ("operational_date", "shift_code"),
    ("unit", "carrier"),
    ("plate", "fleet_number"),
    ("vehicle_class", "driver_id"),
    ("origin", "destination"),
    ("area", "evidence_grade"),
    ("km_measured", "declared_km"),
    ("difference_km", "difference_pct"),
    ("rate_brl_per_km", "variable_cost_brl"),
    ("flags", "compliance_score"),
)


@computed_once
def trip_lines(frames: Frames) -> pd.DataFrame:
    """One row per trip by unit, plate and start: columns of `FIELDS`, purpose, cost_status, billable_km and codes."""
    trips = frames.trips.reset_index(drop=True)
    lines = trips[
        [
            "trip_id",
            "operational_date",
            "unit_code",
            "carrier_code",
            "plate",
            "driver_id",
            "shift_code",
            "area",
            "route_code",
            "purpose",
            "km_measured",
            "evidence_grade",
            "km_uncertainty",
            "started_at",
        ]
    ].copy()
    lines["unit"] = _named(trips["unit_code"], names_of(frames.units, "unit_code"))
    lines["carrier"] = _named(trips["carrier_code"], names_of(frames.carriers, "carrier_code"))
    vehicle = as_of(trips, frames.vehicles, "plate", "plate", ["fleet_number", "vehicle_class"])
    lines["fleet_number"] = vehicle["fleet_number"]
    lines["vehicle_class"] = _named(vehicle["vehicle_class"], VEHICLE_CLASSES)
    lines["origin"] = _place(frames, trips, "origin", "first")
    lines["destination"] = _place(frames, trips, "destination", "last")
    lines = lines.join(local_times(trips, frames.units))
    lines = lines.join(declared_shares(trips, frames.matches))
    costs = frames.trip_costs.set_index("trip_id")[
        ["billable_km", "rate_brl_per_km", "variable_cost_brl", "cost_status"]
    ]
    scores = frames.trip_scores.set_index("trip_id")[["compliance_score"]]
    lines = lines.join(costs, on="trip_id").join(scores, on="trip_id")
    lines["flags"] = _flags(lines, frames)
    return lines.sort_values(["unit_code", "plate", "started_at", "trip_id"], kind="stable").reset_index(drop=True)


def trips_grid(lines: pd.DataFrame, fields: tuple[Field, ...] = FIELDS) -> Grid:
    """The lines as a grid of the contract's 22 columns, in the order given; those beyond the tolerance are marked."""
    marked = [index for index, is_exceeding in enumerate(lines["is_exceeding"].fillna(False)) if is_exceeding]
    return grid_of(fields, records(lines[[entry.name for entry in fields]]), marked=marked)


def declared_shares(trips: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """Declared km of each trip (declared_km, difference_km, difference_pct, is_exceeding), on the trips' index.

    A group of several trips shares its declared km by their measured km, in order of start, by rounding the running
    sum: the shares of a whole group sum to what was declared, to the hundredth. Trips without a run have none.
    """
    both = matches.dropna(subset=["declared_km"])
    rows = members(both, "trip_ids").merge(
        pd.DataFrame(
            {
                "member": trips["trip_id"],
                "row": trips.index,
                "started_at": trips["started_at"],
                "km": hundredths(trips["km_measured"]).fillna(0),
            }
        ),
        on="member",
    )
    rows = rows.merge(
        pd.DataFrame(
            {
                "match_id": both["match_id"],
                "declared": hundredths(both["declared_km"]),
                "measured": hundredths(both["measured_km"]),
                "is_exceeding": both["is_exceeding"],
            }
        ),
        on="match_id",
    )
    rows = rows.sort_values(["match_id", "started_at", "member"], kind="stable")
    by = rows["match_id"]
    is_still = rows["measured"].fillna(0) <= 0  # nothing to share by: equal parts
    weight = rows["km"].where(~is_still, 1)
    whole = rows["measured"].where(~is_still, weight.groupby(by).transform("sum"))
    upto = weight.groupby(by).cumsum()
    share = _half_up(rows["declared"] * upto, whole) - _half_up(rows["declared"] * (upto - weight), whole)
    difference = share - rows["km"]
    is_comparable = rows["km"] > 0
    percent = _half_up(difference.abs() * 10_000, rows["km"].where(is_comparable, 1))
    percent = (percent * difference.map(lambda value: -1 if value < 0 else 1)).where(is_comparable)
    result = pd.DataFrame(
        {
            "declared_km": decimals(share),
            "difference_km": decimals(difference),
            "difference_pct": decimals(percent),
            "is_exceeding": rows["is_exceeding"],
        }
    )
    return result.set_index(rows["row"]).groupby(level=0).first().reindex(trips.index)


def _half_up(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    return (2 * numerator + denominator) // (2 * denominator)


def _named(codes: pd.Series, names: dict[str, str]) -> pd.Series:
    return codes.map(names).astype("str").fillna(codes)


def local_times(trips: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """started_local and ended_local: wall clock of each trip's unit, on the trips' index."""
    zones = dict(zip(units["unit_code"], units["timezone"], strict=True))
    zone = trips["unit_code"].map(zones).astype("str").fillna(REPORT_ZONE)
    return pd.DataFrame({f"{end}_local": _wall_clock(trips[f"{end}_at"], zone) for end in ("started", "ended")})


def _wall_clock(instants: pd.Series, zone: pd.Series) -> pd.Series:
    result = pd.Series(pd.NaT, index=instants.index, dtype="datetime64[us]")
    for name in sorted(zone.unique()):
        rows = zone == name
        result[rows] = instants[rows].dt.tz_convert(ZoneInfo(name)).dt.tz_localize(None)
    return result


def _place(frames: Frames, trips: pd.DataFrame, end: str, which: str) -> pd.Series:
    """Name of a trip's known place, else the address that a source gives for its first or last leg."""
    column = f"{end}_poi_id"
    name = as_of(trips, frames.pois, column, "poi_id", ["name"])["name"]
    address = frames.legs.sort_values("started_at", kind="stable").groupby("trip_id")[f"{end}_address"].agg(which)
    return name.fillna(trips[column]).fillna(trips["trip_id"].map(address).astype("str"))


def _flags(lines: pd.DataFrame, frames: Frames) -> pd.Series:
    """Rules that touch the trip or a run linked to it (in brackets where an exception applies), then plain words."""
    findings = frames.findings
    mark = findings["rule_id"].where(findings["status"] == "open", "(" + findings["rule_id"] + ")")
    direct = pd.DataFrame({"trip_id": findings["trip_id"], "mark": mark}).dropna()
    of_runs = pd.DataFrame({"run": findings["declared_run_id"], "mark": mark}).dropna()
    linked = members(frames.matches, "declared_run_ids").merge(
        members(frames.matches, "trip_ids").rename(columns={"member": "trip_id"}), on="match_id"
    )
    through = linked.merge(of_runs, left_on="member", right_on="run")[["trip_id", "mark"]]
    marks = pd.concat([direct, through]).drop_duplicates().sort_values("mark")
    rules = lines["trip_id"].map(marks.groupby("trip_id")["mark"].agg(", ".join)).astype("str")
    purpose = lines["purpose"].where(lines["purpose"] != "service").map(PURPOSES).astype("str")
    cost = lines["cost_status"].where(lines["cost_status"].isin(UNPRICED)).map(COST_STATUSES).astype("str")
    parts = pd.DataFrame({"rules": rules, "purpose": purpose, "cost": cost}).fillna("")
    return parts["rules"].str.cat([parts["purpose"], parts["cost"]], sep=", ").str.strip(", ").str.replace(", , ", ", ")

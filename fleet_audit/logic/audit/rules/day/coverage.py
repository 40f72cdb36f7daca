"""Missing coverage: Q02, a fleet with too many silent vehicles.

The status of each vehicle-day is in `logic.trips.coverage`; here the limit of a fleet is applied.
"""

from __future__ import annotations

import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.needs import POSITIONS, has_positions
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.reference.validity import valid_on
from fleet_audit.logic.trips.coverage import clipped_to_day


def silent_fleets(context: AuditDay) -> list[Draft]:
    """Q02: of a carrier's vehicles in a unit, more than silent_fleet_pct were not seen on D.

    A position is enough to be seen, however far from the next: a parked device may report every 30 min. Vehicles with
    a device count, without those seen only by visit reports, those whose positions that were accepted show nothing of D
    while others were refused, and without a reserve that was not seen at all in the window: it may be parked without
    power.
    """
    expected = _expected(context)
    zones = expected.set_index("plate")["timezone"]
    spans = context.spans[context.spans["plate"].isin(expected["plate"])]
    observed = clipped_to_day(spans, context.day, spans["plate"].map(zones))["plate"]
    seen = {*observed, *context.devices.health["plate"]}
    expected = expected.assign(is_silent=~expected["plate"].isin(seen))
    expected = expected[~(expected["is_silent"] & expected["plate"].isin(context.plates_with_refused_positions))]
    found = []
    for (unit, carrier), fleet in expected.groupby(["unit_code", "carrier_code"], sort=True):
        silent = sorted(fleet.loc[fleet["is_silent"], "plate"])
        if 100 * len(silent) > context.parameters.silent_fleet_pct * len(fleet):
            found.append(_draft(context, str(unit), str(carrier), silent, len(fleet)))
    return found


def _expected(context: AuditDay) -> pd.DataFrame:
    if not has_positions(context):
        return context.vehicles.iloc[:0].assign(timezone="")
    by_source = context.spans.groupby("source")["plate"].agg(set)
    by_positions, by_reports = (by_source.get(name, set()) for name in ("positions", "visit_report"))
    vehicles = context.vehicles[context.vehicles["plate"].isin(valid_on(context.registered, context.day)["plate"])]
    is_idle_reserve = (vehicles["status"] == "reserva").fillna(False) & ~vehicles["plate"].isin(by_positions)
    return vehicles[~vehicles["plate"].isin(by_reports - by_positions) & ~is_idle_reserve]


def _draft(context: AuditDay, unit: str, carrier: str, silent: list[str], vehicles: int) -> Draft:
    share = 100 * len(silent) / vehicles
    named = ", ".join(silent[:5]) + (f" e mais {len(silent) - 5}" if len(silent) > 5 else "")
    carrier_name = _name(context.reference.carriers.set_index("carrier_code"), carrier)
    unit_name = _name(context.reference.units.set_index("unit_code"), unit)
    seen = "não foi visto" if len(silent) == 1 else "não foram vistos"
    return Draft(
        "Q02",
        None,
        f"Em {sentences.day(context.day)}, {len(silent)} de {sentences.counted(vehicles, 'veículo', 'veículos')} da "
        f"transportadora {carrier_name} na unidade {unit_name} {seen} em nenhum momento ({sentences.number(share, 1)} "
        f"%, acima de {sentences.number(context.parameters.silent_fleet_pct, 0)} %): {named}.",
        1.0,
        facts={"unit_code": unit, "carrier_code": carrier, "silent_plates": silent, "vehicles": vehicles},
        extra=(unit, carrier),
        unit_code=unit,
        carrier_code=carrier,
    )


def _name(named: pd.DataFrame, code: str) -> str:
    """The name that people use, or the code where there is none."""
    return str(named["name"].dropna().to_dict().get(code, code))


def _has_devices(context: AuditDay) -> bool:
    return len(valid_on(context.registered, context.day)) > 0


RULES = (
    Rule(
        "Q02",
        "6",
        "H",
        "Veículos-dia sem dado",
        "Veículos da frota não foram vistos em nenhum momento do dia: o que fizeram não é conhecido.",
        "P",
        silent_fleets,
        parameters=("silent_fleet_pct",),
        needs=(
            POSITIONS,
            Need(_has_devices, "nenhum equipamento cadastrado"),
        ),
        rests_on="P",
    ),
)

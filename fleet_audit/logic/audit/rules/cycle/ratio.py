"""A vehicle's odometer against its GPS path over days with trips: O05 of a cycle.

The ratio of each day is computed in `logic.devices.calibration`; one trip is judged in `rules.day.odometer`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.devices.device_health import UNITS
from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.primitives.money import half_up

_EVENT_RULES = ("O01", "O02", "O03", "O04")


def ratio_off(context: AuditCycle) -> list[Draft]:
    """O05 of a vehicle: over ratio_days days with trips its odometer differs from its path by more than ratio_pct.

    The worst such days of one device at a time, of which the last lies in the cycle and the first at most
    calibration_days before it. Days of the vehicle with O01–O04 prove nothing about its calibration and are excluded;
    a device that counts in another unit is Q05. Up to ratio_sure_pct it is an indication: the receiver may explain it.
    """
    parameters = context.parameters
    days = context.calibrations[as_days(context.calibrations["operational_date"]) <= as_days(context.day)]
    is_tampered = _keys(days).isin(_keys(context.day_findings[context.day_findings["rule_id"].isin(_EVENT_RULES)]))
    size = int(parameters.ratio_days)
    drafts = []
    for (plate, device_id), rows in days[~is_tampered].groupby(["plate", "device_id"], sort=True):
        rows = rows.sort_values("operational_date", kind="stable").reset_index(drop=True)
        sums = pd.DataFrame(
            {"odometer": rows["km_odometer"].astype("float64"), "gps": rows["km_gps"].astype("float64")}
        )
        rolled = sums.rolling(size).sum()
        is_in_cycle = as_days(rows["operational_date"]) >= as_days(context.cycle.start)
        rolled = rolled[is_in_cycle & (rolled["gps"] >= parameters.ratio_min_km).to_numpy()]
        off = 100 * (rolled["odometer"] / rolled["gps"] - 1)
        is_unit = np.logical_or.reduce(
            [abs((off / 100 + 1) / factor - 1) <= parameters.unit_tolerance_pct / 100 for factor in UNITS.values()]
        )
        off = off[(off.abs() > parameters.ratio_pct) & ~is_unit]
        if len(off):
            last = int(off.abs().idxmax())
            inside = rows.iloc[last - size + 1 : last + 1]
            drafts.append(_ratio(context, str(plate), str(device_id), rolled.loc[last], float(off.loc[last]), inside))
    return drafts


def _keys(rows: pd.DataFrame) -> pd.Series:
    """Plate and operational day of each row as one text."""
    return rows["plate"].astype(object).astype(str) + rows["operational_date"].astype(object).map(str)


def _ratio(context: AuditCycle, plate: str, device_id: str, sums: Any, off_pct: float, days: pd.DataFrame) -> Draft:
    difference, parameters = half_up(abs(sums["odometer"] - sums["gps"])), context.parameters
    paid_km, rate = context.paid_km(plate, set(days["operational_date"])), context.rates.get(plate)
    stake = min(difference, paid_km)
    one_pct = sums["gps"] / 100 * float(stake / difference)
    dates = days["operational_date"].to_list()
    side = "a mais" if off_pct > 0 else "a menos"
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
        km_at_stake=stake,
        km_uncertainty=one_pct * (parameters.ratio_sure_pct - parameters.ratio_pct) or None,
        tolerance_km=one_pct * parameters.ratio_pct,
        is_in_favour=off_pct < 0,
        rate=rate,
        brl_paid=None if rate is None else half_up(paid_km * rate),
        facts={
            "device_id": device_id,
            "days": days[["operational_date", "trips", "km_odometer", "km_gps", "ratio"]].to_dict("records"),
        },
        extra=(device_id,),
    )


RULES = (
    Rule(
        "O05",
        "3",
        "M",
        "Hodômetro e GPS discordam",
        "Por sete dias com viagens o hodômetro do veículo conta mais, ou menos, do que o caminho pelas posições.",
        "P",
        ratio_off,
        "cycle",
        "paid_doubtful_brl",
        ("ratio_days", "ratio_pct", "ratio_sure_pct", "ratio_min_km"),
        (Need(lambda context: len(context.calibrations) > 0, "nenhuma viagem com hodômetro e GPS"),),
        is_by_carrier=True,
    ),
)

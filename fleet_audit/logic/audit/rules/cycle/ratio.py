"""A vehicle's odometer against its GPS path over days with trips: O05 of a cycle.

The ratio of each day is computed in `logic.devices.calibration`; one trip is judged in `rules.day.odometer`.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.cycle.context import AuditCycle
from fleet_audit.logic.audit.rules.draft import GRADE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.devices.device_health import UNITS
from fleet_audit.logic.primitives.cycles import as_days

_CENT = Decimal("0.01")


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
        is_in_favour=off_pct < 0,
        rate=context.rates.get(plate),
        facts={
            "device_id": device_id,
            "days": days[["operational_date", "trips", "km_odometer", "km_gps", "ratio"]].to_dict("records"),
        },
        extra=(device_id,),
    )


RULES = (
    Rule(
        "O05",
        "2",
        "M",
        "Hodômetro e GPS discordam",
        "Por sete dias com viagens o hodômetro do veículo conta mais, ou menos, do que o caminho pelas posições.",
        "P",
        ratio_off,
        "cycle",
        "paid_doubtful_brl",
        ("ratio_days", "ratio_pct", "ratio_sure_pct", "ratio_min_km"),
        (Need(lambda context: len(context.calibrations) > 0, "nenhuma viagem com hodômetro e GPS"),),
    ),
)

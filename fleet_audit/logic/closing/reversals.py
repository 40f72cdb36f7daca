"""Adjustments of reversed findings: what each releases of the money that it kept from the carrier, no kilometre twice.

Which contests are decided, and which cycle bills them, is read elsewhere; differences of days that are computed again
are in `adjustments`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.incidents.amounts import cycle_money, day_money
from fleet_audit.logic.closing.late_payments import LatePayments
from fleet_audit.logic.costs.amounts import is_compared
from fleet_audit.logic.costs.waterfall import uncounted_groups
from fleet_audit.logic.primitives.cycles import cycle_days, cycle_of
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.money import half_up, sum_decimal
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import ADJUSTMENTS

RELEASING = ("disallowed_brl", "held_brl")  # amounts that were not paid; the two others are paid already
_EFFECTS = {
    "disallowed_brl": "os km declarados passam a ser pagos.",
    "held_brl": "o valor retido é liberado.",
    "paid_doubtful_brl": "o valor já pago deixa de estar em dúvida; nada a acertar.",
    "in_favour_brl": "vale o que foi medido, e o valor a favor da transportadora não muda; nada a acertar.",
}
_PARTLY = "Parte já foi acertada por ajuste das mesmas viagens ou depende de outro achado que continua valendo."
_NOTHING = (
    "nada a pagar: já foi acertado por ajuste das mesmas viagens ou depende de outro achado que continua valendo."
)
_UNKNOWN = "não há tarifa conhecida para o valor: uma pessoa precisa decidir."
_UNKNOWN_OTHER = (
    "outro achado sobre os mesmos km continua valendo e não tem tarifa conhecida: uma pessoa precisa decidir quanto "
    "é liberado."
)
_ZERO = Decimal("0.00")
_VEHICLE = ["carrier_code", "plate"]
_VehicleDay = tuple[str, str, dt.date]


@dataclass(frozen=True)
class ReversalInputs:
    """What the adjustments of reversed findings are computed from, of the days of these findings.

    Attributes:
        decisions: finding_id and decided_date of each reversed contest that the cycle bills.
        findings: `fact.findings` of the days, and of the rules of their cycles.
        matches: `fact.matches` as billed, of the days, the day before and the day after: trips cross midnight;
            matches_now: the same as of now.
        late: rows of `fact.adjustments` of these days that come from data.
        billed: rows of `fact.adjustments` of the same findings that closed cycles billed.
    """

    decisions: pd.DataFrame
    findings: pd.DataFrame
    matches: pd.DataFrame
    matches_now: pd.DataFrame
    late: pd.DataFrame
    billed: pd.DataFrame


def reversal_adjustments(billed_start: dt.date, closing_day: int, inputs: ReversalInputs) -> pd.DataFrame:
    """`fact.adjustments` of reversed findings that a cycle bills, without trace columns; one row per finding.

    What was disallowed or held is released: as far as no finding that stands keeps the same trips and runs, less what
    adjustments of the same trips have paid, and less what closed cycles have released. Money in doubt was paid, and
    what is in the carrier's favour is measured: these rows have 0.00. A finding without a known rate has null, and one
    whose km a standing finding without a known rate keeps as well. A finding that a closed cycle has billed has a row
    only when its amount changed since.

    Args:
        billed_start: first day of the cycle that bills the rows.
        closing_day: first day of a cycle.
        inputs: decisions, findings and what was billed.
    """
    chosen = inputs.findings.merge(inputs.decisions, on="finding_id")
    chosen = chosen[chosen["amount"].notna() & chosen["plate"].notna()].sort_values("finding_id")
    released = _released_cents(inputs, closing_day)
    billed = {str(name): rows for name, rows in inputs.billed.groupby("finding_id")}
    records = [_record(row, released, billed.get(row["finding_id"])) for row in chosen.to_dict("records")]
    records = [record for record in records if record is not None]
    if not records:
        return empty_frame(ADJUSTMENTS.untraced)
    rows = pd.DataFrame(records).assign(
        kind="finding", billed_cycle_start=billed_start, decided_cycle_start=billed_start, contract_id=None
    )
    rows["origin_cycle_start"] = [cycle_of(day, closing_day).start for day in rows["operational_date"]]
    ids = stable_ids(
        rows.assign(line="finding " + rows["finding_id"]), ["billed_cycle_start", "operational_date", "line"]
    )
    return conform(rows.assign(adjustment_id=ids), ADJUSTMENTS.untraced)


def _record(
    finding: dict[str, Any], released: dict[str, int | None], billed: pd.DataFrame | None
) -> dict[str, Any] | None:
    """One row, or None when a closed cycle has billed the same."""
    cents = released[finding["finding_id"]] if finding["amount"] in RELEASING else 0
    due, km = _due(finding, cents)
    earlier = {name: None if billed is None else sum_decimal(billed[f"difference_{name}"]) for name in ("km", "brl")}
    brl_difference = None if due is None else due - (earlier["brl"] or _ZERO)
    if billed is not None and not brl_difference:
        return None
    return {
        **{name: finding[name] for name in ("operational_date", "plate", "carrier_code", "unit_code", "trip_id")},
        "finding_id": finding["finding_id"],
        "km_closed": earlier["km"],
        "km_now": km,
        "difference_km": None if km is None else km - (earlier["km"] or _ZERO),
        "brl_closed": earlier["brl"],
        "brl_now": due,
        "difference_brl": brl_difference,
        "reason": f"Achado {finding['rule_id']} revertido em {finding['decided_date']:%d/%m/%Y}: "
        + _effect(finding, due),
    }


def _due(finding: dict[str, Any], cents: int | None) -> tuple[Decimal | None, Decimal | None]:
    """BRL and km that the reversal releases; km in proportion where it is a part, null where one is unknown."""
    if cents is None:
        return None, None
    due, whole, km = Decimal(cents) / 100, finding[finding["amount"]], finding["km_at_stake"]
    if not due:
        return _ZERO, _ZERO
    return due, None if pd.isna(km) else half_up(km * due / whole)


def _effect(finding: dict[str, Any], due: Decimal | None) -> str:
    amount = finding["amount"]
    if due is None:
        return _UNKNOWN if pd.isna(finding[amount]) else _UNKNOWN_OTHER
    if amount not in RELEASING or due == finding[amount]:
        return _EFFECTS[amount]
    return f"{_EFFECTS[amount]} {_PARTLY}" if due else _NOTHING


def _released_cents(inputs: ReversalInputs, closing_day: int) -> dict[str, int | None]:
    """Cents that each reversed finding releases, by its id; None where it is unknown.

    Groups of trips and runs come first, then whole days (D02), then whole cycles (D03): each releases what exceeds its
    parts, and takes of late payments what is left of them. Groups that D02 or D03 did not count, as its evidence lists
    them, are no parts of it.
    """
    money, late = _money(inputs, closing_day), LatePayments(inputs.late, inputs.matches, inputs.matches_now)
    released: dict[str, int | None] = {}
    uncounted = [uncounted_groups(inputs.findings[inputs.findings["rule_id"] == rule]) for rule in ("D02", "D03")]
    of_days, of_cycles = (defaultdict[_VehicleDay, _Kept](_Kept) for _ in uncounted)
    of_group = money["concern"] != ""
    for (carrier, plate, day, concern), rows in money[of_group].groupby([*_VEHICLE, "operational_date", "concern"]):
        take = partial(late.take_of_group, concern)
        released |= _released_beyond(rows, _Kept(), take)
        for parts, others in zip((of_days, of_cycles), uncounted, strict=True):
            if rows["is_compared"].iloc[0] and concern not in others:
                parts[carrier, plate, day] += _kept(rows)
    whole, of_cycle = money[~of_group], money.loc[~of_group, "is_of_cycle"]
    outside = _days_outside(inputs.findings, uncounted[1])
    for (carrier, plate, day), rows in whole[~of_cycle].groupby([*_VEHICLE, "operational_date"]):
        take = partial(late.take_of_days, carrier, plate, [day], uncounted[0])
        released |= _released_beyond(rows, of_days[carrier, plate, day], take)
        counted_rows = rows[~rows["finding_id"].isin(outside)]
        of_cycles[carrier, plate, day] = of_cycles[carrier, plate, day].or_more(_kept(counted_rows))
    for (carrier, plate, start), rows in whole[of_cycle].groupby([*_VEHICLE, "start"]):
        days = cycle_days(cycle_of(start, closing_day))
        counted = sum((of_cycles[carrier, plate, day] for day in days), _Kept())
        released |= _released_beyond(rows, counted, partial(late.take_of_days, carrier, plate, days, uncounted[1]))
    return released


def _days_outside(findings: pd.DataFrame, uncounted: Collection[str]) -> set[str]:
    """finding_id of each D02 all of whose groups the D03 of its cycle did not count."""
    of_day = findings[(findings["rule_id"] == "D02") & findings["evidence"].notna()]
    groups = [json.loads(text).get("match_ids", ()) for text in of_day["evidence"]]
    is_outside = [bool(ids) and set(ids) <= set(uncounted) for ids in groups]
    return set(of_day.loc[np.array(is_outside, dtype=bool), "finding_id"])


def _money(inputs: ReversalInputs, closing_day: int) -> pd.DataFrame:
    """Findings that keep money from a carrier, or did until reversed: rows of `day_money` and `cycle_money`.

    Added are operational_date, start (first day of its cycle), is_of_cycle, is_reversed, and is_compared: whether
    both sides of its group are known. Vehicles of a carrier without a reversed finding have no row.
    """
    is_reversed = inputs.findings["finding_id"].isin(inputs.decisions["finding_id"])
    rows = inputs.findings.assign(is_reversed=is_reversed)
    rows["status"] = rows["status"].mask(is_reversed, "open")  # an exception that came later releases nothing itself
    rows = rows[rows["amount"].isin(RELEASING)]
    of_cycle = rows["cycle_start"].notna().to_numpy()
    parts = [
        day_money(of_day, inputs.matches[inputs.matches["operational_date"] == day])
        for day, of_day in rows[~of_cycle].groupby("operational_date")
    ]
    found = pd.concat([*parts, cycle_money(rows[of_cycle])], ignore_index=True)
    known = rows[["finding_id", "operational_date", "is_reversed"]].assign(is_of_cycle=of_cycle)
    found = found.merge(known, on="finding_id")
    found["start"] = [cycle_of(day, closing_day).start for day in found["operational_date"]]
    found["is_compared"] = found["concern"].isin(inputs.matches.loc[is_compared(inputs.matches), "match_id"])
    return found[found.groupby(_VEHICLE)["is_reversed"].transform("any")]


@dataclass(frozen=True)
class _Kept:
    """What findings keep of the same money: the cents, and whether one that stands keeps an unknown amount."""

    cents: int = 0
    is_unknown: bool = False

    def __add__(self, other: _Kept) -> _Kept:
        return _Kept(self.cents + other.cents, self.is_unknown or other.is_unknown)

    def or_more(self, other: _Kept) -> _Kept:
        """The larger of the two."""
        return _Kept(max(self.cents, other.cents), self.is_unknown or other.is_unknown)


def _kept(rows: pd.DataFrame) -> _Kept:
    """What the findings keep or kept: the cents of the rule with the largest sum."""
    largest = int(max(rows["cents"].fillna(0).groupby(rows["rule_id"]).sum(), default=0))
    return _Kept(largest, bool((rows["cents"].isna() & ~rows["is_reversed"]).any()))


def _released_beyond(rows: pd.DataFrame, parts: _Kept, take: Callable[[int], int]) -> dict[str, int | None]:
    """Cents by reversed finding of what they alone keep, beyond what its parts keep or kept.

    Args:
        rows: findings about the same money: of one group, or of a whole vehicle-day or vehicle-cycle.
        parts: what findings of its parts keep or kept.
        take: takes up to so many cents of what late data have paid for it, and returns what it took.
    """
    reversed_rows = rows[rows["is_reversed"]].sort_values(["cents", "finding_id"], ascending=[False, True])
    released: dict[str, int | None] = dict.fromkeys(reversed_rows["finding_id"])
    standing = _kept(rows[~rows["is_reversed"]]).or_more(parts)
    if reversed_rows.empty or standing.is_unknown:
        return released
    left = max(_kept(rows).cents - standing.cents, 0)
    left -= take(left)
    known = reversed_rows[reversed_rows["cents"].notna()]
    for name, cents in zip(known["finding_id"], known["cents"], strict=True):
        released[name] = own = min(int(cents), left)
        left -= own
    return released

"""Adjustments of reversed findings: what each releases of the money that it kept from the carrier, no kilometre twice.

Which contests are decided, and which cycle bills them, is read elsewhere; differences of days that are computed again
are in `adjustments`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.incident_amounts import cycle_money, day_money
from fleet_audit.logic.costs.amounts import cents_of, groups_by_member
from fleet_audit.logic.primitives.cycles import cycle_of
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
_ZERO = Decimal("0.00")


@dataclass(frozen=True)
class ReversalInputs:
    """What the adjustments of reversed findings are computed from, of the days of these findings.

    Attributes:
        decisions: finding_id and decided_date of each reversed contest that the cycle bills.
        findings: `fact.findings` of the days, and of the rules of their cycles.
        matches: `fact.matches` as billed; matches_now: the same as of now.
        late: rows of `fact.adjustments` of the days that come from data.
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
    what is in the carrier's favour is measured: these rows have 0.00. A finding without a known rate has null. A
    finding that a closed cycle has billed has a row only when its amount changed since.

    Args:
        billed_start: first day of the cycle that bills the rows.
        closing_day: first day of a cycle.
        inputs: decisions, findings and what was billed.
    """
    chosen = inputs.findings.merge(inputs.decisions, on="finding_id")
    chosen = chosen[chosen["amount"].notna() & chosen["plate"].notna()].sort_values("finding_id")
    released = _released_cents(inputs)
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
        return _UNKNOWN
    if amount not in RELEASING or due == finding[amount]:
        return _EFFECTS[amount]
    return f"{_EFFECTS[amount]} {_PARTLY}" if due else _NOTHING


def _released_cents(inputs: ReversalInputs) -> dict[str, int | None]:
    """Cents that each reversed finding releases, by its id; None without a known rate."""
    money, late = _money(inputs), _LatePayments(inputs)
    released: dict[str, int | None] = {}
    for (_, plate), rows in money.groupby(["carrier_code", "plate"]):
        if not rows["is_reversed"].any():
            continue
        counted = set_off = 0
        for day, of_day in rows[~rows["is_of_cycle"]].groupby("operational_date"):
            found, counted_of_day, paid = _released_of_day(of_day, late, plate, day)
            released |= found
            counted += counted_of_day
            set_off += paid
        found, _, _ = _released_beyond(rows[rows["is_of_cycle"]], counted, late.of_vehicle(plate) - set_off)
        released |= found
    return released


def _money(inputs: ReversalInputs) -> pd.DataFrame:
    """Findings that keep money from a carrier, or did until reversed: rows of `day_money` and `cycle_money`.

    Added are operational_date, is_of_cycle and is_reversed.
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
    return found.merge(known, on="finding_id")


class _LatePayments:
    """What adjustments of late data pay: by the group of a finding, by vehicle and day, by vehicle [cents]."""

    def __init__(self, inputs: ReversalInputs) -> None:
        trips = inputs.late[inputs.late["kind"] == "trip"]
        group_of = groups_by_member(inputs.matches)
        now = inputs.matches_now.explode("trip_ids").explode("declared_run_ids")
        by_run = dict(zip(now["trip_ids"], now["declared_run_ids"].map(group_of), strict=True))
        self._of_group: Counter[str] = Counter()
        self._of_day: Counter[tuple[str, dt.date]] = Counter()
        names = trips["trip_id"], trips["plate"], trips["operational_date"], cents_of(trips["difference_brl"]).fillna(0)
        for trip, plate, day, cents in zip(*names, strict=True):
            self._of_group[group_of.get(trip) or by_run.get(trip) or ""] += int(cents)
            self._of_day[plate, day] += int(cents)

    def of_group(self, concern: str) -> int:
        """Cents that trips of the group were paid more; 0 where they were paid less."""
        return max(self._of_group[concern], 0)

    def of_day(self, plate: str, day: dt.date) -> int:
        """Cents that the vehicle's trips of the day were paid more."""
        return max(self._of_day[plate, day], 0)

    def of_vehicle(self, plate: str) -> int:
        """Cents that its trips were paid more, on all days."""
        return sum(max(cents, 0) for (other, _), cents in self._of_day.items() if other == plate)


def _released_of_day(
    rows: pd.DataFrame, late: _LatePayments, plate: str, day: dt.date
) -> tuple[dict[str, int | None], int, int]:
    """Cents released on a vehicle-day, by finding; all that its findings keep; those that late data paid."""
    released: dict[str, int | None] = {}
    counted = used = 0
    for concern, group in rows[rows["concern"] != ""].groupby("concern"):
        found, full, paid = _released_beyond(group, 0, late.of_group(str(concern)))
        released |= found
        counted += full
        used += paid
    found, full, paid = _released_beyond(rows[rows["concern"] == ""], counted, late.of_day(plate, day) - used)
    return released | found, max(counted, full), used + paid


def _released_beyond(rows: pd.DataFrame, counted: int, late: int) -> tuple[dict[str, int | None], int, int]:
    """Cents by reversed finding of what they alone keep, beyond what counts already; all cents; those set off.

    Args:
        rows: findings about the same money: of one group, or of a whole vehicle-day or vehicle-cycle.
        counted: cents that findings of its parts keep.
        late: cents that adjustments of late data have paid for it.
    """
    reversed_rows = rows[rows["is_reversed"]]
    full, standing = _largest(rows), _largest(rows[~rows["is_reversed"]])
    if rows["cents"].isna().any():
        return dict.fromkeys(reversed_rows["finding_id"]), full, 0
    free = max(full - max(standing, counted), 0)
    left = max(free - max(late, 0), 0)
    paid = free - left
    released: dict[str, int | None] = {}
    ordered = reversed_rows.sort_values(["cents", "finding_id"], ascending=[False, True])
    for name, cents in zip(ordered["finding_id"], ordered["cents"], strict=True):
        released[name] = own = min(int(cents), left)
        left -= own
    return released, full, paid


def _largest(rows: pd.DataFrame) -> int:
    """Cents of the rule with the largest sum."""
    return int(max(rows["cents"].fillna(0).groupby(rows["rule_id"]).sum(), default=0))

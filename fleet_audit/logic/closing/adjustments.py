"""Adjustments of a closed day: its lines computed again minus what was billed, per trip and fixed share.

The closed rows themselves never change; which cycle bills a difference is decided here, when it is closed elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.primitives.cycles import ONE_DAY, cycle_of
from fleet_audit.logic.primitives.identity import stable_ids
from fleet_audit.logic.primitives.money import BRL, KM, from_hundredths, sum_decimal, to_hundredths
from fleet_audit.schema.derive import conform, empty_frame
from fleet_audit.schema.facts import ADJUSTMENTS

_OWNER = ["plate", "carrier_code", "unit_code", "contract_id"]
_SENTENCES = {
    ("trip", "new"): "Viagem conhecida só depois do fechamento do ciclo.",
    ("trip", "gone"): "Com o que se sabe agora, a viagem não existe mais.",
    ("trip", "unknown"): "Com o que se sabe agora, a viagem não tem km ou preço certo: uma pessoa precisa decidir.",
    ("trip", "changed"): "Os km admitidos ou o preço da viagem mudaram depois do fechamento do ciclo.",
    ("fixed", "new"): "Parcela fixa devida, conhecida só depois do fechamento do ciclo.",
    ("fixed", "gone"): "Com o que se sabe agora, a parcela fixa do dia não é devida.",
    ("fixed", "changed"): "A parcela fixa do dia mudou depois do fechamento do ciclo.",
}


@dataclass(frozen=True)
class BilledRows:
    """The rows that bill a day: `fact.trips`, `fact.trip_costs` and `fact.fixed_cost_days` of it."""

    trips: pd.DataFrame
    costs: pd.DataFrame
    fixed: pd.DataFrame


def billing_cycle(day: dt.date, closed_starts: Collection[dt.date], closing_day: int, months: int) -> dt.date | None:
    """First day of the cycle that bills an adjustment of a closed day: the next one that is not closed for good.

    None when the day is more than `months` before that cycle: what arrives so late changes nothing.
    """
    start = next_open_cycle(day, closed_starts, closing_day)
    month = start.year * 12 + start.month - 1 - months
    earliest = start.replace(year=month // 12, month=month % 12 + 1)
    return start if day >= earliest else None


def next_open_cycle(day: dt.date, closed_starts: Collection[dt.date], closing_day: int) -> dt.date:
    """First day of the first cycle, from that of the day on, that is not closed for good."""
    cycle = cycle_of(day, closing_day)
    while cycle.start in closed_starts:
        cycle = cycle_of(cycle.end + ONE_DAY, closing_day)
    return cycle.start


def too_late_message(day: dt.date, differences: pd.DataFrame) -> str:
    """Sentence on the differences of a day that no open cycle bills: they are too late for an adjustment."""
    km, brl = (sum_decimal(differences[f"difference_{name}"]) for name in ("km", "brl"))
    return (
        f"{day}: {len(differences)} lines differ now ({_amount_text(km)} km, R$ {_amount_text(brl)}), but an open "
        "cycle adjusts no day older than adjustment_months: nothing is adjusted."
    )


def _amount_text(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value:+}"


def day_adjustments(
    day: dt.date, billed_start: dt.date, closing_day: int, closed: BilledRows, now: BilledRows, billed: pd.DataFrame,
    vehicles: pd.DataFrame, *, counts_unpriced: bool,
) -> pd.DataFrame:  # fmt: skip
    """`fact.adjustments` of a closed day, without trace columns: its lines whose km or BRL are not what was billed.

    Billed is the closed line plus the differences of adjustments that a closed cycle has billed already. A line that no
    longer exists is reversed in full. Where km or price of a line are unknown now, its difference is null, not zero. Km
    of a trip without a price are not admitted: they become an adjustment together with its price.

    Args:
        day: the closed day; billed_start: first day of the cycle that bills the differences.
        closing_day: first day of a cycle.
        closed: its frozen rows; now: the same as of now.
        billed: rows of `fact.adjustments` of the day that closed cycles billed.
        vehicles: `reference_view.vehicles_on` the day: owners of fixed shares.
        counts_unpriced: the day's cycle was closed with the km of trips without a price, so that its km and their
            adjustments add up only if these count them too (`admitted_km.counts_unpriced`).
    """
    before, after = (_lines(rows, vehicles, counts_unpriced=counts_unpriced) for rows in (closed, now))
    earlier = _billed_lines(billed)
    lines = (
        before.add_prefix("closed_")
        .join(after.add_prefix("now_"), how="outer")
        .join(earlier.add_prefix("earlier_"), how="outer")
    )
    if lines.empty:
        return empty_frame(ADJUSTMENTS.untraced)
    is_now = lines["now_kind"].notna().to_numpy()
    was_billed = (lines["closed_kind"].notna() | lines["earlier_kind"].notna()).to_numpy()
    km, brl = (_difference(lines, name, is_now) for name in ("km", "brl"))
    is_unpriced = is_now & lines["closed_kind"].isna().to_numpy() & lines["now_brl"].isna().to_numpy()
    is_unknown = km.is_lost | brl.is_lost | is_unpriced
    why = np.select([is_unknown, ~was_billed, ~is_now], ["unknown", "new", "gone"], default="changed")
    kind = _first(lines, "kind")
    result = pd.DataFrame(
        {
            "operational_date": day,
            "billed_cycle_start": billed_start,
            "origin_cycle_start": cycle_of(day, closing_day).start,
            "kind": kind,
            **{name: _first(lines, name) for name in (*_OWNER, "trip_id")},
            "km_closed": km.billed,
            "km_now": lines["now_km"],
            "difference_km": km.difference,
            "brl_closed": brl.billed,
            "brl_now": lines["now_brl"],
            "difference_brl": brl.difference,
            "reason": [_SENTENCES[pair] for pair in zip(kind, why, strict=True)],
        },
        index=lines.index,
    )
    result = result[km.is_other | brl.is_other | is_unknown].reset_index(names="line")
    ids = stable_ids(result, ["billed_cycle_start", "operational_date", "line"])
    return conform(result.assign(adjustment_id=ids), ADJUSTMENTS.untraced)


def _lines(rows: BilledRows, vehicles: pd.DataFrame, *, counts_unpriced: bool) -> pd.DataFrame:
    """kind, owner, trip_id, km and brl of each line, by its name."""
    trips = rows.trips[["trip_id", "plate", "carrier_code", "unit_code"]].merge(
        rows.costs[["trip_id", "contract_id", "billable_km", "variable_cost_brl"]], on="trip_id"
    )
    trips = trips.rename(columns={"billable_km": "km", "variable_cost_brl": "brl"})
    if not counts_unpriced:
        trips["km"] = trips["km"].where(trips["brl"].notna())
    trips = trips.assign(kind="trip", line="trip " + trips["trip_id"])
    fixed = rows.fixed[["plate", "contract_id", "amount_brl"]].rename(columns={"amount_brl": "brl"})
    owners = vehicles[["plate", "carrier_code", "unit_code"]]
    fixed = fixed.merge(owners, on="plate", how="left").assign(kind="fixed", trip_id=None, km=None)
    fixed = fixed.assign(line="fixed " + fixed["plate"] + " " + fixed["contract_id"])
    return _typed(pd.concat([trips, fixed.reindex(columns=trips.columns)], ignore_index=True)).set_index("line")


def _billed_lines(billed: pd.DataFrame) -> pd.DataFrame:
    """What closed cycles billed of each line as adjustments, in sum; a difference left to a person adds nothing."""
    name = ("trip " + billed["trip_id"]).where(
        billed["kind"] == "trip", "fixed " + billed["plate"] + " " + billed["contract_id"]
    )
    rows = billed.rename(columns={"difference_km": "km", "difference_brl": "brl"}).assign(line=name)
    sums = rows.groupby("line")[["km", "brl"]].sum(min_count=1)
    owners = rows.drop_duplicates("line").set_index("line")[["kind", *_OWNER, "trip_id"]]
    return _typed(owners.join(sums).reset_index()).set_index("line")


def _typed(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.astype({"km": KM, "brl": BRL, "trip_id": object, "line": object})


@dataclass(frozen=True)
class _Difference:
    billed: pd.Series
    difference: pd.Series
    is_other: np.ndarray
    is_lost: np.ndarray


def _difference(lines: pd.DataFrame, name: str, is_now: np.ndarray) -> _Difference:
    """What was billed of a quantity, what is to be billed, whether that is anything, or is not known any more."""
    closed, earlier, now = (lines[f"{side}_{name}"] for side in ("closed", "earlier", "now"))
    dtype = KM if name == "km" else BRL
    billed = to_hundredths(closed) + to_hundredths(earlier)
    nothing_billed = (closed.isna() & earlier.isna()).to_numpy()
    unknown = is_now & now.isna().to_numpy()
    difference = to_hundredths(now) - billed
    return _Difference(
        from_hundredths(billed, dtype, lines.index, nothing_billed),
        from_hundredths(difference, dtype, lines.index, unknown | (nothing_billed & now.isna().to_numpy())),
        ~unknown & (difference != 0),
        unknown & ~nothing_billed,
    )


def _first(lines: pd.DataFrame, name: str) -> pd.Series:
    """Current value of a line, else that of its closed row or of an earlier adjustment."""
    now, closed, earlier = (lines[f"{side}_{name}"].astype(object) for side in ("now", "closed", "earlier"))
    return now.where(now.notna(), closed.where(closed.notna(), earlier))

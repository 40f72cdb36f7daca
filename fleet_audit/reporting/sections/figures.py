"""The sums of a report: one set of figures for everything, and one for each unit, carrier, route or vehicle.

Sums of printed lines belong here; the lines themselves and their wording do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.costs.plan import plan_of_days
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import half_up, known_sum
from fleet_audit.reporting.labels import AMOUNTS
from fleet_audit.reporting.sections.inputs import Frames, with_vehicle

_SUM = pc.ScalarAggregateOptions(skip_nulls=True, min_count=1)
_DIMENSIONS = ("unit_code", "carrier_code", "plate", "route_code", "operational_date")
# Zero only where a vehicle was watched all day long; otherwise what is missing is unknown.
_ZERO_IF_COMPLETE = (
    "trips",
    "service_trips",
    "yard_trips",
    "km",
    "service_km",
    "deadhead_km",
    "billable_km",
    "variable_brl",
    "unpriced",
)
_ZERO_IF_KNOWN = (
    "declared_km",
    "runs",
    "compared",
    "exceeding",
    "over_km",
    "under_km",
    "held",
    "held_km",
    "incidents",
)


@dataclass(frozen=True)
class Figures:
    """Sums over some trips, runs and vehicle-days; None is unknown. Money in BRL, distances in km."""

    vehicle_days: int | None = None
    seen: int | None = None
    silent: int | None = None
    complete: int | None = None
    trips: int | None = None  # yard movements are counted apart
    service_trips: int | None = None
    yard_trips: int | None = None
    km: Decimal | None = None
    km_doubt: Decimal | None = None  # half-widths of the trips added up: chords err one way
    service_km: Decimal | None = None
    deadhead_km: Decimal | None = None
    billable_km: Decimal | None = None
    variable_brl: Decimal | None = None
    unpriced: int | None = None
    fixed_brl: Decimal | None = None
    runs: int | None = None
    declared_km: Decimal | None = None
    compared: int | None = None
    exceeding: int | None = None
    over_km: Decimal | None = None  # declared above measured, of what exceeds the tolerance
    under_km: Decimal | None = None
    held: int | None = None
    held_km: Decimal | None = None
    incidents: int | None = None  # those with an amount above zero
    paid_doubtful_brl: Decimal | None = None  # the four amounts: never added up
    disallowed_brl: Decimal | None = None
    held_brl: Decimal | None = None
    in_favour_brl: Decimal | None = None
    paid_doubtful_unknown: int | None = None  # vehicles whose amount has no price, which the sum cannot hold
    disallowed_unknown: int | None = None
    held_unknown: int | None = None
    in_favour_unknown: int | None = None
    planned_km: Decimal | None = None
    scored_km: Decimal | None = None
    score_points: Decimal | None = None  # km x score

    @property
    def total_brl(self) -> Decimal | None:
        """What is known of variable + fixed."""
        return known_sum((self.variable_brl, self.fixed_brl))

    @property
    def brl_per_km(self) -> Decimal | None:
        """Total cost by measured km; unknown unless both parts of the cost are known."""
        if self.variable_brl is None or self.fixed_brl is None or not self.km:
            return None
        return half_up((self.variable_brl + self.fixed_brl) / self.km)

    @property
    def score(self) -> Decimal | None:
        """Km-weighted mean of the trips' compliance scores."""
        if not self.scored_km or self.score_points is None:
            return None
        return half_up(self.score_points / self.scored_km)

    def record(self) -> dict[str, Any]:
        """All figures by name, the derived ones included."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return values | {"total_brl": self.total_brl, "brl_per_km": self.brl_per_km, "score": self.score}


def sources_of(frames: Frames, lines: pd.DataFrame, amounts: pd.DataFrame) -> list[pa.Table]:
    """Sources of the sums: tables of measures under the dimensions that each of them knows.

    `amounts` are `vehicle_day_amounts` of a day's figures, `vehicle_cycle_amounts` of a cycle's.
    """
    own = ["unit_code", "carrier_code"]
    fixed = with_vehicle(frames.fixed_cost_days, frames.vehicles, own)
    unverified = frames.held_runs[frames.held_runs["reason"] != "phantom"]  # a phantom run is disallowed, not held
    held = with_vehicle(unverified, frames.vehicles, ["unit_code"])
    coverage, matches = frames.coverage, frames.matches
    return [
        _line_measures(lines),
        _measures(fixed, fixed_brl=fixed["amount_brl"]),
        _measures(frames.declared_runs, runs=1, declared_km=frames.declared_runs["declared_km"]),
        _measures(
            coverage,
            vehicle_days=1,
            seen=coverage["status"] != "silent",
            silent=coverage["status"] == "silent",
            complete=coverage["status"] == "complete",
        ),
        _match_measures(matches),
        _measures(held, held=1, held_km=held["declared_km"]),
        _measures(incidents_with_amount(frames.incidents), incidents=1),
        _measures(amounts, **{name: amounts[name] for name in AMOUNTS}),
        _measures(amounts, **{unknown_name(name): amounts[name].isna() for name in AMOUNTS}),
    ]


def unknown_name(amount: str) -> str:
    """The figure that counts the vehicles of which an amount is unknown."""
    return f"{amount.removesuffix('_brl')}_unknown"


def incidents_with_amount(incidents: pd.DataFrame) -> pd.DataFrame:
    """The incidents with one of the four amounts above zero: those that reports list and count."""
    has_amount = pd.Series(False, index=incidents.index)
    for name in AMOUNTS:
        has_amount |= (incidents[name] > 0).fillna(False).astype(bool)
    return incidents[has_amount]


def plan_source(frames: Frames, cycle: Cycle, days: Iterable[dt.date]) -> pa.Table:
    """What the plan of the cycle gives to these days of it, as a source for `figures_of` and `figures_by`.

    A vehicle's unit and carrier are those of the row valid on the first of the days, else of its latest row.
    """
    chosen = sorted(days)
    plan = plan_of_days(frames.km_plan, cycle, chosen)
    if not chosen:
        plan = plan.head(0)  # no day was run: what was planned for them is unknown, not 0 km
    plan = plan.assign(operational_date=chosen[0] if chosen else None)
    plan = with_vehicle(plan, frames.vehicles, ["unit_code", "carrier_code"])
    latest = (
        frames.vehicles.sort_values("valid_from", na_position="first", kind="stable")
        .drop_duplicates("plate", keep="last")
        .set_index("plate")
    )
    for name in ("unit_code", "carrier_code"):
        plan[name] = plan[name].fillna(plan["plate"].map(latest[name]).astype("str"))
    return _measures(plan.drop(columns="operational_date"), planned_km=plan["planned_km"])


def figures_of(sources: Sequence[pa.Table]) -> Figures:
    """The figures of everything."""
    values: dict[str, Any] = {}
    for source in sources:
        for row in _sums(source, pa.repeat("all", source.num_rows)).values():
            values |= row
    return _figures(values) if values else Figures()


def figures_by(sources: Sequence[pa.Table], dimension: str) -> dict[Any, Figures]:
    """Figures by value of a dimension, sorted; sources without it are excluded, its missing value is ""."""
    values: dict[Any, dict[str, Any]] = {}
    for source in sources:
        if dimension not in source.column_names:
            continue
        key = source[dimension] if dimension == "operational_date" else pc.fill_null(source[dimension], "")
        for name, row in _sums(source, key).items():
            values.setdefault(name, {}).update(row)
    return {name: _figures(values[name]) for name in sorted(values)}


def _sums(source: pa.Table, key: pa.Array | pa.ChunkedArray) -> dict[Any, dict[str, Any]]:
    """The sum of each measure per value of the key; of missing values alone it is missing."""
    measures = source.drop_columns([name for name in _DIMENSIONS if name in source.column_names])
    grouped = measures.append_column("key", key).group_by("key", use_threads=False)
    sums = grouped.aggregate([(name, "sum", _SUM) for name in measures.column_names])
    columns = [sums[f"{name}_sum"].to_pylist() for name in measures.column_names]
    rows = zip(sums["key"].to_pylist(), zip(*columns, strict=True), strict=True)
    return {name: dict(zip(measures.column_names, row, strict=True)) for name, row in rows if name is not None}


def _figures(values: dict[str, Any]) -> Figures:
    zeros = [name for name in _ZERO_IF_COMPLETE if values.get("complete")]
    zeros += [name for name in _ZERO_IF_KNOWN if values.get("seen")]
    kinds = {entry.name: str(entry.type) for entry in fields(Figures)}
    for name in zeros:
        if values.get(name) is None:
            values[name] = 0 if kinds[name].startswith("int") else Decimal("0.00")
    if values.get("seen"):  # an amount whose findings have no price is in `values` and stays unknown
        values = dict.fromkeys(AMOUNTS, Decimal("0.00")) | values
    for name in AMOUNTS:
        if values.get(unknown_name(name)):
            values[name] = values.get(name) or None  # zero beside an amount that is unknown is unknown too
    return Figures(**values)


def _line_measures(lines: pd.DataFrame) -> pa.Table:
    purpose, km = lines["purpose"], lines["km_measured"]
    is_scored = lines["compliance_score"].notna() & km.notna()
    scored = km.where(is_scored)
    return _measures(
        lines,
        trips=purpose != "yard",
        service_trips=purpose == "service",
        yard_trips=purpose == "yard",
        km=km,
        km_doubt=lines["km_uncertainty"],
        service_km=_only(km, purpose == "service"),
        deadhead_km=_only(km, purpose == "deadhead"),
        billable_km=lines["billable_km"].where(lines["variable_cost_brl"].notna()),
        variable_brl=lines["variable_cost_brl"],
        unpriced=lines["variable_cost_brl"].isna(),
        scored_km=scored,
        score_points=scored * lines["compliance_score"],
    )


def _match_measures(matches: pd.DataFrame) -> pa.Table:
    exceeds, difference = matches["is_exceeding"].fillna(False), matches["difference_km"]
    return _measures(
        matches,
        compared=difference.notna(),
        exceeding=exceeds,
        over_km=_only(difference, exceeds & (difference > 0).fillna(False)),
        under_km=_only(-difference, exceeds & (difference < 0).fillna(False)),
    )


def _only(series: pd.Series, mask: pd.Series) -> pd.Series:
    """The values where the mask holds, 0 elsewhere; what is missing stays missing."""
    return series.where(mask | series.isna(), Decimal(0))


def _measures(frame: pd.DataFrame, **measures: Any) -> pa.Table:
    """A source: the dimensions that the frame has, and the measures as counts or exact decimals."""
    columns: dict[str, Any] = {name: pa.array(frame[name]) for name in _DIMENSIONS if name in frame}
    for name, values in measures.items():
        column = pa.array(values) if isinstance(values, pd.Series) else pa.repeat(values, len(frame))
        is_count = pa.types.is_boolean(column.type) or pa.types.is_integer(column.type)
        columns[name] = column.cast(pa.int64()) if is_count else column
    return pa.table(columns)


def percent_of(part: Decimal | int | None, whole: Decimal | int | None) -> Decimal | None:
    """`part` as a percentage of `whole`, half-up to 0.01; None where either is unknown or the whole is zero."""
    if part is None or not whole:
        return None
    return half_up(Decimal(part) * 100 / Decimal(whole))

"""The frames that a report is made from, and small joins on them that every report needs.

Lines and sums for print belong to the modules that build a report; nothing here reads a store.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fleet_audit.logic.primitives.cycles import as_days
from fleet_audit.logic.reference.validity import validity
from fleet_audit.schema import facts, lake, reference
from fleet_audit.schema.derive import empty_frame

_WHOLE = pd.ArrowDtype(pa.decimal128(19, 0))
CENTS = pd.ArrowDtype(pa.decimal128(14, 2))  # sums and products of Arrow decimals widen up to 38 digits, then fail

SOURCE_COLUMNS = (
    "source",
    "rows",
    "first_at",
    "last_at",
    "received_at",
    "rows_rejected",
    "acceptance_pct",
    "is_low",
    "failed_at",
)
# Points of the vehicles that are drawn.
POSITION_COLUMNS = ("plate", "device_id", "recorded_at", "latitude", "longitude", "is_rejected")
# Sums of one day each: of the days before the reported one.
DAY_COLUMNS = ("operational_date", "km", "trips", "billable_km", "variable_brl", "fixed_brl")


@dataclass(frozen=True)
class Frames:
    """Rows of the reported days by the column dictionary (`run_id` and `updated_at` are not needed).

    `legs` give the addresses of ends without a known place, and the map; `billing_lines` and `adjustments` are those
    of the reported cycle; `recent_coverage` is the coverage of the days before the reported one, `recent_days` their
    sums, `positions` points of the vehicles that are drawn, `sources` the state of each source on it.
    Drivers' names are never here. `carrier_code` is the carrier that the rows were cut to.
    """

    carrier_code: str | None = None
    days_of_all: frozenset[dt.date] | None = None  # in a carrier's frames: the days that were processed of any carrier
    trips: pd.DataFrame = field(default_factory=partial(empty_frame, facts.TRIPS))
    trip_costs: pd.DataFrame = field(default_factory=partial(empty_frame, facts.TRIP_COSTS))
    fixed_cost_days: pd.DataFrame = field(default_factory=partial(empty_frame, facts.FIXED_COST_DAYS))
    matches: pd.DataFrame = field(default_factory=partial(empty_frame, facts.MATCHES))
    held_runs: pd.DataFrame = field(default_factory=partial(empty_frame, facts.HELD_RUNS))
    findings: pd.DataFrame = field(default_factory=partial(empty_frame, facts.FINDINGS))
    incidents: pd.DataFrame = field(default_factory=partial(empty_frame, facts.INCIDENTS))
    trip_scores: pd.DataFrame = field(default_factory=partial(empty_frame, facts.TRIP_SCORES))
    declared_runs: pd.DataFrame = field(default_factory=partial(empty_frame, facts.DECLARED_RUNS))
    coverage: pd.DataFrame = field(default_factory=partial(empty_frame, facts.COVERAGE))
    km_ledger: pd.DataFrame = field(default_factory=partial(empty_frame, facts.KM_LEDGER))
    legs: pd.DataFrame = field(default_factory=partial(empty_frame, lake.LEGS))
    units: pd.DataFrame = field(default_factory=partial(empty_frame, reference.UNITS))
    carriers: pd.DataFrame = field(default_factory=partial(empty_frame, reference.CARRIERS))
    vehicles: pd.DataFrame = field(default_factory=partial(empty_frame, reference.VEHICLES))
    pois: pd.DataFrame = field(default_factory=partial(empty_frame, reference.POIS))
    routes: pd.DataFrame = field(default_factory=partial(empty_frame, reference.ROUTES))
    km_plan: pd.DataFrame = field(default_factory=partial(empty_frame, reference.KM_PLAN))
    contracts: pd.DataFrame = field(default_factory=partial(empty_frame, reference.CONTRACTS))
    tariffs: pd.DataFrame = field(default_factory=partial(empty_frame, reference.TARIFFS))
    fixed_costs: pd.DataFrame = field(default_factory=partial(empty_frame, reference.FIXED_COSTS))
    invoices: pd.DataFrame = field(default_factory=partial(empty_frame, reference.INVOICES))
    calendar: pd.DataFrame = field(default_factory=partial(empty_frame, reference.CALENDAR))
    exceptions: pd.DataFrame = field(default_factory=partial(empty_frame, reference.EXCEPTIONS))
    vehicle_day_amounts: pd.DataFrame = field(default_factory=partial(empty_frame, facts.VEHICLE_DAY_AMOUNTS))
    vehicle_cycle_amounts: pd.DataFrame = field(default_factory=partial(empty_frame, facts.VEHICLE_CYCLE_AMOUNTS))
    billing_lines: pd.DataFrame = field(default_factory=partial(empty_frame, facts.BILLING_LINES))
    rules_not_tested: pd.DataFrame = field(default_factory=partial(empty_frame, facts.RULES_NOT_TESTED))
    review_samples: pd.DataFrame = field(default_factory=partial(empty_frame, facts.REVIEW_SAMPLES))
    review_estimates: pd.DataFrame = field(default_factory=partial(empty_frame, facts.REVIEW_ESTIMATES))
    adjustments: pd.DataFrame = field(default_factory=partial(empty_frame, facts.ADJUSTMENTS))
    contest_outcomes: pd.DataFrame = field(default_factory=partial(empty_frame, facts.CONTEST_OUTCOMES))
    recent_coverage: pd.DataFrame = field(default_factory=partial(empty_frame, facts.COVERAGE))
    recent_days: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=DAY_COLUMNS))
    positions: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=POSITION_COLUMNS))
    sources: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=SOURCE_COLUMNS))

    @property
    def run_days(self) -> set[dt.date]:
        """Days that were processed, in a carrier's frames those of the whole fleet."""
        return set(self.coverage["operational_date"] if self.days_of_all is None else self.days_of_all)

    def of_carrier(self, carrier_code: str) -> Frames:
        """The same frames with the rows of one carrier alone: the input of its own copy, which is cut once."""
        if self.carrier_code == carrier_code:
            return self

        def own(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[(frame["carrier_code"] == carrier_code).fillna(False)]

        trips, vehicles, contracts = own(self.trips), own(self.vehicles), own(self.contracts)
        fixed = with_vehicle(self.fixed_cost_days, self.vehicles, ["carrier_code"])

        def of_trips(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["trip_id"].isin(trips["trip_id"])]

        def of_contracts(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["contract_id"].isin(contracts["contract_id"])]

        return replace(
            self,
            carrier_code=carrier_code,
            days_of_all=frozenset(self.run_days),
            trips=trips,
            vehicles=vehicles,
            trip_costs=of_trips(self.trip_costs),
            trip_scores=of_trips(self.trip_scores),
            legs=of_trips(self.legs),
            positions=self.positions[self.positions["plate"].isin(vehicles["plate"])],
            matches=own(self.matches),
            fixed_cost_days=own(fixed)[self.fixed_cost_days.columns],
            held_runs=own(self.held_runs),
            findings=own(self.findings),
            exceptions=_exceptions_of(self.exceptions, own(self.findings), carrier_code),
            incidents=own(self.incidents),
            declared_runs=own(self.declared_runs),
            coverage=own(self.coverage),
            recent_coverage=own(self.recent_coverage),
            recent_days=self.recent_days.iloc[:0],  # sums over everybody's rows
            sources=self.sources.iloc[:0],  # counts over everybody's rows
            km_ledger=own(self.km_ledger),
            carriers=own(self.carriers),
            km_plan=self.km_plan[self.km_plan["plate"].isin(vehicles["plate"])],
            contracts=contracts,
            tariffs=of_contracts(self.tariffs),
            fixed_costs=of_contracts(self.fixed_costs),
            invoices=of_contracts(self.invoices),
            vehicle_day_amounts=own(self.vehicle_day_amounts),
            vehicle_cycle_amounts=own(self.vehicle_cycle_amounts),
            billing_lines=own(self.billing_lines),
            adjustments=own(self.adjustments),
            contest_outcomes=own(self.contest_outcomes),
            review_samples=self.review_samples.iloc[:0],  # the payer's own control, over everybody's trips
            review_estimates=self.review_estimates.iloc[:0],
        )


def _exceptions_of(exceptions: pd.DataFrame, findings: pd.DataFrame, carrier_code: str) -> pd.DataFrame:
    """The exceptions that a carrier may see: those that name it, and those that marked one of its findings."""
    is_named = (exceptions["carrier_code"] == carrier_code).fillna(False).astype(bool)
    return exceptions[is_named | exceptions["exception_id"].isin(findings["exception_id"].dropna())]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain values; every kind of missing value is None."""
    columns = [
        [None if missing else value for value, missing in zip(column.tolist(), pd.isna(column.array), strict=True)]
        for _, column in frame.items()
    ]
    names = list(frame)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def names_of(frame: pd.DataFrame, code: str) -> dict[str, str]:
    """Code → name; a row without a name is called by its code."""
    return {row[code]: row["name"] or row[code] for row in records(frame[[code, "name"]])}


def as_of(
    left: pd.DataFrame, reference_frame: pd.DataFrame, key: str, reference_key: str, columns: list[str]
) -> pd.DataFrame:
    """`columns` of the reference row that is valid on each left row's operational_date, on the left's index.

    Where none is valid, or `key` is missing, the columns are missing; of several valid rows the first by date holds.
    """
    dated = reference_frame[[reference_key, *columns, "valid_from", "valid_to"]].sort_values(
        [reference_key, "valid_from"], na_position="first", kind="stable"
    )
    rows = _valid_rows(pa.array(left[key]), as_days(left["operational_date"]), dated, reference_key)
    return pd.DataFrame(
        {name: dated[name].array.take(rows, allow_fill=True) for name in columns}, index=left.index, columns=columns
    )


def _valid_rows(keys: pa.Array, days: np.ndarray, dated: pd.DataFrame, reference_key: str) -> np.ndarray:
    """Row number in `dated` (sorted by key and first day) of the first row valid on each day; -1 without one."""
    encoded = pa.array(dated[reference_key]).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    number = (
        pc.index_in(keys.cast(encoded.dictionary.type), encoded.dictionary).fill_null(-1).to_numpy(zero_copy_only=False)
    )
    first = np.append(np.searchsorted(codes, np.arange(len(encoded.dictionary))), 0)
    count = np.append(np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary)), 0)
    starts, ends = validity(dated)
    found = np.full(len(days), -1)
    for version in range(count.max()):
        open_rows = np.flatnonzero((found < 0) & (version < count[number]))
        at = first[number[open_rows]] + version
        is_valid = (starts[at] <= days[open_rows]) & (days[open_rows] <= ends[at])
        found[open_rows[is_valid]] = at[is_valid]
    return found


def with_vehicle(left: pd.DataFrame, vehicles: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The left rows with `columns` of the vehicle row valid on their day."""
    left = left.reset_index(drop=True)
    return left.assign(**as_of(left, vehicles, "plate", "plate", columns))


def hundredths(series: pd.Series) -> pd.Series:
    """Exact decimals of two places as whole hundredths (Int64)."""
    return (series.astype(CENTS) * 100).astype("int64[pyarrow]").astype("Int64")


def decimals(series: pd.Series) -> pd.Series:
    """Whole hundredths as exact decimals of two places."""
    return (series.astype("int64[pyarrow]").astype(_WHOLE) * Decimal("0.01")).astype(CENTS)


def members(matches: pd.DataFrame, column: str) -> pd.DataFrame:
    """`trip_ids` or `declared_run_ids` of the groups, one row a member: match_id, member."""
    exploded = matches[["match_id", column]].explode(column).rename(columns={column: "member"})
    return exploded.dropna(subset=["member"]).astype({"member": "str"}).reset_index(drop=True)

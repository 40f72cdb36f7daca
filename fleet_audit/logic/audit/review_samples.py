"""The sample of a cycle's trips for a review by hand, with the reviews that came back, and what they say of the cycle.

The statistics are in `sampling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.sampling import Estimate, SamplePlan, estimate, sample_plan, sample_seed, selections
from fleet_audit.logic.costs.billing_lines import billed_trips
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.logic.primitives.money import BRL, from_hundredths, multiply_brl, to_hundredths
from fleet_audit.logic.primitives.parameters import ParameterSet
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import REVIEW_ESTIMATES, REVIEW_SAMPLES

_ORDER = ["operational_date", "plate", "started_at", "trip_id"]  # so that a sample spreads over days and vehicles
_REVIEW = ["trip_id", "audited_km", "audited_brl", "reviewer", "note"]


@dataclass(frozen=True)
class ReviewSample:
    """`fact.review_samples` and the one row of `fact.review_estimates` of a cycle, without the trace columns."""

    trips: pd.DataFrame
    estimates: pd.DataFrame


def review_sample(
    cycle: Cycle,
    trips: pd.DataFrame,
    trip_costs: pd.DataFrame,
    reviews: pd.DataFrame,
    parameters: ParameterSet,
    key: bytes,
) -> ReviewSample:
    """The sample of the cycle's paid trips. Nothing is estimated before every trip of the sample is reviewed.

    Args:
        cycle: the cycle; while it is open the sample is drawn anew whenever a paid trip changes, so a review begins
            after the close.
        trips, trip_costs: `fact` tables of its days.
        reviews: `ref.sample_reviews` of any cycles; where one has no audited_brl, its km count at the trip's rate.
        parameters: sample_confidence_pct and sample_materiality_pct.
        key: secret of the installation, from which the random start follows (see `sampling.sample_seed`).
    """
    paid = billed_trips(trips, trip_costs).sort_values(_ORDER, ignore_index=True)
    paid = paid.assign(cents=to_hundredths(paid["variable_cost_brl"]))
    paid = paid[paid["cents"] > 0]
    seed = sample_seed(key, cycle, zip(paid["trip_id"], paid["cents"], strict=True))
    plan = sample_plan(int(paid["cents"].sum()), parameters, seed)
    times = selections(paid["cents"].to_numpy(), plan)
    of_cycle = reviews[(reviews["cycle_start"] == cycle.start).fillna(False).to_numpy(dtype=bool)]
    chosen = paid.assign(selections=times)[times > 0].merge(of_cycle[_REVIEW], on="trip_id", how="left")
    by_km = multiply_brl(chosen["audited_km"], chosen["rate_brl_per_km"])
    audited = chosen["audited_brl"].astype(BRL)
    audited = audited.where(audited.notna(), by_km)
    errors = chosen["cents"].to_numpy() - to_hundredths(audited)
    is_open = audited.isna().to_numpy(dtype=bool)
    rows = chosen.assign(
        cycle_start=cycle.start,
        operational_date=cycle.end,
        trip_date=chosen["operational_date"],
        paid_brl=chosen["variable_cost_brl"],
        is_certain=chosen["cents"] >= plan.interval_cents,
        audited_brl=audited,
        error_brl=from_hundredths(errors, BRL, chosen.index, is_open),
    )
    found = None
    if len(chosen) and not is_open.any():
        found = estimate(chosen["cents"].tolist(), to_hundredths(audited).tolist(), plan)
    others = int((~of_cycle["trip_id"].isin(chosen["trip_id"])).sum())
    counts = {"sampled_trips": len(chosen), "reviewed_trips": int((~is_open).sum()), "other_reviews": others}
    summary = _summary(cycle, len(paid), plan, counts, found, parameters)
    return ReviewSample(conform(rows, REVIEW_SAMPLES.untraced), conform(summary, REVIEW_ESTIMATES.untraced))


def _summary(
    cycle: Cycle,
    trips: int,
    plan: SamplePlan,
    counts: dict[str, int],
    found: Estimate | None,
    parameters: ParameterSet,
) -> pd.DataFrame:
    cents = {
        "population_brl": plan.population_cents,
        "materiality_brl": plan.materiality_cents,
        "interval_brl": plan.interval_cents,
        "start_brl": plan.start_cents,
        "overpaid_brl": None if found is None else found.overpaid_cents,
        "underpaid_brl": None if found is None else found.underpaid_cents,
        "upper_limit_brl": None if found is None else found.upper_limit_cents,
    }
    index = pd.RangeIndex(1)
    amounts = {
        name: from_hundredths(np.array([value or 0]), BRL, index, np.array([value is None]))
        for name, value in cents.items()
    }
    return pd.DataFrame(
        {
            "cycle_start": [cycle.start],
            "operational_date": [cycle.end],
            "population_trips": [trips],
            "confidence_pct": [plan.confidence_pct],
            **{name: [value] for name, value in counts.items()},
            "is_tolerated": pd.array(
                [None if found is None else found.upper_limit_cents <= plan.materiality_cents], dtype="boolean"
            ),
            "parameters_version": [parameters.version],
        }
    ).assign(**amounts)

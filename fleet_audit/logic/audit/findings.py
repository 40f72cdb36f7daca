"""All findings of a day or a cycle as rows of `fact.findings`: identity, money, evidence, exceptions; and held runs.

Rules are in `rules`; rules that lack their data are listed in `not_tested`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.evidence import evidence_of, legs_of
from fleet_audit.logic.audit.exceptions import applicable_exceptions, scope_of
from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.case import Case
from fleet_audit.logic.audit.rules.day import presence
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.registry import DAY_RULES
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Rule
from fleet_audit.logic.primitives.identity import stable_id
from fleet_audit.logic.primitives.money import half_up, multiply_brl
from fleet_audit.schema.derive import conform
from fleet_audit.schema.facts import FINDINGS, HELD_RUNS
from fleet_audit.schema.facts.columns import AMOUNTS


def find(context: AuditDay) -> pd.DataFrame:
    """`fact.findings` of the day without the trace columns, sorted by its key."""
    testable = [rule for rule in DAY_RULES.values() if rule.is_testable(context)]
    on_gaps = {sources: _ids_on_gaps(context, sources) for sources in {rule.rests_on for rule in testable}}
    drafts = [
        draft
        for rule in testable
        for draft in rule.find(context)
        if on_gaps[rule.rests_on].isdisjoint(
            (draft.plate, *draft.trip_ids, *draft.context_trip_ids, *draft.run_ids, *draft.context_run_ids)
        )
    ]
    return complete(context, drafts, DAY_RULES)


def _ids_on_gaps(context: AuditDay, sources: Sequence[str]) -> set[str]:
    """Ids of the trips and runs that reach into a day of which one of these sources is incomplete; and plates.

    Those that refused rows of a reference table are about: a finding about a device may name no trip.
    """
    return {
        *context.trips.loc[context.touches_incomplete(context.trips, sources), "trip_id"],
        *context.runs.loc[context.touches_incomplete(context.runs, sources), "declared_run_id"],
        *context.plates_with_refused_terms(sources),
    }


def held_runs(context: AuditDay) -> pd.DataFrame:
    """`fact.held_runs` of the day without the trace columns: runs without a linked trip, or with one not proven.

    brl_at_rate is null where no single rate would apply.
    """
    columns = ["declared_run_id", "operational_date", "plate", "carrier_code", "declared_km", "reason"]
    found = (presence.unlinked_runs(context), presence.runs_of_unproven_trips(context))
    held = pd.concat([runs[columns] for runs in found], ignore_index=True)
    rates = context.run_rates.drop_duplicates("declared_run_id").set_index("declared_run_id")["rate_brl_per_km"]
    priced = multiply_brl(held["declared_km"], rates.reindex(held["declared_run_id"]).set_axis(held.index))
    return conform(held.assign(brl_at_rate=priced), HELD_RUNS.untraced)


def complete(context: Case, drafts: list[Draft], rules: Mapping[str, Rule]) -> pd.DataFrame:
    """Rows of `fact.findings` from drafts of these rules: ids, severity, cents at the rate, evidence, exceptions."""
    trips = context.trip_records({key for draft in drafts for key in (*draft.trip_ids, *draft.context_trip_ids)})
    runs = context.run_records({key for draft in drafts for key in (*draft.run_ids, *draft.context_run_ids)})
    drafts = [_of_writer(context, draft, runs) for draft in drafts]
    legs = legs_of(context.legs, set(trips))
    rows = [_row(context, draft, rules[draft.rule_id], trips, runs, legs) for draft in drafts]
    table = pd.DataFrame(rows, columns=[*rows[0]] if rows else [*_columns(), "route_code"])
    own = applicable_exceptions(table, context.exceptions, context.day)
    table["exception_id"] = own.where(own.notna(), pd.Series([draft.exception_id for draft in drafts], dtype=object))
    table["status"] = np.where(table["exception_id"].notna(), "excepted", "open")
    return conform(table, FINDINGS.untraced)


def _accused_run(draft: Draft) -> str:
    """The run whose carrier wrote what the finding is about; empty of one about trips."""
    return next(iter(draft.run_ids or (() if draft.trip_ids else draft.context_run_ids)), "")


def _of_writer(context: Case, draft: Draft, runs: dict[str, Record]) -> Draft:
    """The draft; one about a run on another carrier's vehicle names that carrier, and no trip takes points for it."""
    accused = _accused_run(draft)
    if accused not in context.foreign_runs:
        return draft
    owner = context.owners.get(draft.plate or "", {}).get("carrier_code")
    return replace(
        draft,
        explanation_pt=f"{draft.explanation_pt} No cadastro, o veículo {draft.plate} é da transportadora {owner}; quem "
        f"declarou foi {runs[accused]['carrier_code']}.",
        trip_ids=(),
        context_trip_ids=(*draft.trip_ids, *draft.context_trip_ids),
        is_in_favour=False,
    )


def _row(
    context: Case,
    draft: Draft,
    rule: Rule,
    trips: dict[str, Record],
    runs: dict[str, Record],
    legs: dict[str, list[Record]],
) -> Record:
    first_trip = trips.get(draft.trip_ids[0], {}) if draft.trip_ids else {}
    km_at_stake = _capped(draft, trips, runs)
    first_run = runs.get(_accused_run(draft), {})
    brl = draft.brl_at_stake if draft.brl_at_stake is not None else _cents(km_at_stake, draft.rate)
    amount = "in_favour_brl" if draft.is_in_favour else rule.amount
    low, high = _range(draft, km_at_stake, brl)
    return {
        "finding_id": stable_id(
            rule.rule_id, context.identity, draft.plate, *sorted(draft.trip_ids), "|", *draft.run_ids, "|", *draft.extra
        ),
        "operational_date": context.day,
        "rule_id": rule.rule_id,
        "rule_version": f"{rule.version}-{context.parameters.version}",
        "severity": draft.severity or rule.severity,
        **scope_of(context, draft, first_trip, first_run),
        "driver_id": first_trip.get("driver_id"),
        "trip_id": draft.trip_ids[0] if draft.trip_ids and not draft.is_vehicle_day else None,
        "declared_run_id": draft.run_ids[0] if draft.run_ids else None,
        "km_at_stake": km_at_stake,
        "brl_at_stake": brl,
        "brl_low": low,
        "brl_high": high,
        "amount": amount,
        **{name: brl if name == amount else None for name in AMOUNTS},
        "confidence": round(rule.confidence(context, draft), 2),
        "evidence": evidence_of(draft, rule, context.parameters, trips, runs, legs),
        "explanation_pt": _sentence(draft),
    }


def _capped(draft: Draft, trips: dict[str, Record], runs: dict[str, Record]) -> Decimal | None:
    """km at stake, at most what the draft's runs claim or its trips measure, whichever is more.

    A reading with one digit too many once put R$ 5 million at stake.
    """
    if draft.km_at_stake is None:
        return None
    claimed = [runs[key]["declared_km"] for key in (*draft.run_ids, *draft.context_run_ids) if key in runs]
    measured = [trips[key]["km_measured"] for key in (*draft.trip_ids, *draft.context_trip_ids) if key in trips]
    known = [sum((km for km in part if not pd.isna(km)), Decimal("0.00")) for part in (claimed, measured) if part]
    return min([draft.km_at_stake, max(known)]) if known else draft.km_at_stake


def _range(draft: Draft, km: Decimal | None, brl: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """BRL at stake at both ends of the measurement's uncertainty, the lower at least zero; both `brl` without one.

    Where several prices are possible, `brl` is by the lowest of them and the upper end by the highest.

    What was perhaps driven unobserved lowers the lower end alone: it can only make the difference smaller.

    BRL that a rule states itself change with its km, up to its `brl_paid`: no more than was paid can be paid wrongly.
    """
    if brl is None or draft.km_uncertainty is None or not km:
        return brl, draft.brl_high or brl
    half, below = (Decimal(str(round(width, 3))) for width in (draft.km_uncertainty, draft.km_below))
    rate = draft.rate if draft.brl_at_stake is None else brl / km
    low, high = _cents(max(km - half - below, Decimal(0)), rate), _cents(km + half, rate)
    return low, high if draft.brl_paid is None or high is None else max(brl, min(high, draft.brl_paid))


def _sentence(draft: Draft) -> str:
    """The draft's sentence, which says so where the uncertainty of the measurement reaches the tolerance."""
    if not draft.is_indication or draft.km_uncertainty is None:
        return draft.explanation_pt
    half, below = (sentences.km(round(width, 3)) for width in (draft.km_uncertainty, draft.km_below))
    unseen = f" e até {below} percorridos sem observação," if draft.km_below else ""
    return (
        f"{draft.explanation_pt.removesuffix('.')} (indício: com a incerteza da medição, de ± {half},{unseen} o limite "
        "da regra pode não ter sido ultrapassado)."
    )


def _columns() -> list[str]:
    return FINDINGS.untraced.column_names


def _cents(km: Decimal | None, rate: Decimal | None) -> Decimal | None:
    return None if km is None or rate is None else half_up(km * rate)

"""A rule of the audit as one object: number, severity, titles, sources, parameters, amount, function and needs.

Each family's module ends with the tuple `RULES` of its own rules; `registry` collects them. Inputs of a rule are
in `day.context` and `cycle.context`, its results in `draft`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.vehicle_need import MinimumSample, VehicleDoubt, VehicleNeed, VehicleNeeds

Amount = Literal["paid_doubtful_brl", "disallowed_brl", "held_brl", "in_favour_brl"]
Scope = Literal["day", "cycle"]


@dataclass(frozen=True)
class Need:
    """Data without which a rule is not tested.

    Attributes:
        is_met: whether an `AuditDay` or `AuditCycle` has the data.
        reason_pt: why the rule was not tested where it has not.
    """

    is_met: Callable[[Any], bool]
    reason_pt: str


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        rule_id: number in RULES section 6; a day's rule and a cycle's rule may share it (D12, O05).
        version: changes when the rule's meaning changes.
        severity: C critical, H high, M medium, L low; a draft may state another one.
        title_pt: short title in reports.
        proves_pt: one sentence on what the finding proves, part of its evidence.
        sources: P positions, V visit report, B bulletin, K contract data, I invoices; `/` either, `+` both.
        find: returns the drafts of an `AuditDay` (scope day) or `AuditCycle` (scope cycle).
        scope: whether the rule judges one operational day or the sums of a cycle.
        amount: which of the four amounts of RULES section 4.1 the finding's BRL are; None where it has no amount.
        parameters: names of the parameters that decide.
        needs: data without which the rule is not tested.
        rests_on: letters of sources whose absence would be taken for a fact about the carrier: the rule is not tested
            on a day on which one of them is incomplete. A rule that judges only rows that arrived rests on none. Names
            of reference tables, of which a refused row may excuse whom the rule accuses: it is not tested for the
            vehicles that such a row is about, on its days, or in a cycle that has any of them.
        vehicle_need: what the rule needs of each vehicle; those that lack it are not tested, the others are.
        vehicle_doubt: what the rule needs of each vehicle to be sure; findings about those that lack it state less.
        is_by_carrier: whether a rule of a cycle judges a vehicle's days of each carrier that it had by themselves; and
            no runs that another carrier than the vehicle's wrote.
    """

    rule_id: str
    version: str
    severity: str
    title_pt: str
    proves_pt: str
    sources: str
    find: Callable[[Any], list[Draft]]
    scope: Scope = "day"
    amount: Amount | None = None
    parameters: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    rests_on: Sequence[str] = ""
    vehicle_need: MinimumSample | VehicleNeed | VehicleNeeds | None = None
    vehicle_doubt: VehicleDoubt | None = None
    is_by_carrier: bool = False

    def confidence(self, context: Any, draft: Draft) -> float:
        """What a finding states: the draft's confidence within 0 … 1, capped by `vehicle_doubt`."""
        own = min(max(draft.confidence, 0.0), 1.0)
        return self.vehicle_doubt.capped(own, draft.plate, context) if self.vehicle_doubt else own

    def missing(self, context: Any) -> list[str]:
        """Reasons for which the rule is not tested on a day or in a cycle; empty where it is tested."""
        unmet = [need.reason_pt for need in self.needs if not need.is_met(context)]
        return [*unmet, *context.missing_sources(self.rests_on)]

    def partly_missing(self, context: Any) -> list[str]:
        """Reasons for which the rule is not tested for some carriers or vehicles; empty where it is for all."""
        parts = context.by_carrier if self.is_by_carrier else [context]
        few = [reason for part in parts for reason in self.vehicle_need.reasons(part)] if self.vehicle_need else []
        others = context.foreign_runs_pt if self.is_by_carrier and "B" in self.sources else []
        return [*context.partly_missing_sources(self.rests_on), *few, *others]

    def is_testable(self, context: Any) -> bool:
        """Whether nothing that the rule needs is missing."""
        return not self.missing(context)

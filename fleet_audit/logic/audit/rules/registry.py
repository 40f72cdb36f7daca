"""All rules, collected from the modules of their families: those of one day and those of a whole cycle.

A rule itself is written in its family's module; a new family is one more module in `_FAMILIES`.
"""

from __future__ import annotations

from fleet_audit.logic.audit.rules.cycle import (
    billed_class,
    costs,
    invoice,
    nights,
    occupancy,
    plan,
    ratio,
    rebilled,
    register,
    reserves,
)
from fleet_audit.logic.audit.rules.cycle import divergence as cycle_divergence
from fleet_audit.logic.audit.rules.cycle.statistics import habits, last_digits, own_past, peers
from fleet_audit.logic.audit.rules.day import (
    contract,
    coverage,
    divergence,
    exchange,
    odometer,
    odometer_and_path,
    presence,
    quality,
    vehicle,
)
from fleet_audit.logic.audit.rules.day.declarations import chain, declared
from fleet_audit.logic.audit.rules.day.path import destinations, long_stops, repeated_track, speed, unseen
from fleet_audit.logic.audit.rules.day.timetable import drivers, schedule, simultaneous
from fleet_audit.logic.audit.rules.rule import Rule, Scope

_FAMILIES = (
    divergence,
    presence,
    declared,
    chain,
    odometer,
    odometer_and_path,
    exchange,
    vehicle,
    contract,
    long_stops,
    speed,
    unseen,
    repeated_track,
    destinations,
    coverage,
    simultaneous,
    drivers,
    schedule,
    quality,
    cycle_divergence,
    nights,
    ratio,
    plan,
    costs,
    invoice,
    rebilled,
    last_digits,
    habits,
    peers,
    own_past,
    occupancy,
    reserves,
    register,
    billed_class,
)
RULES: tuple[Rule, ...] = tuple(rule for family in _FAMILIES for rule in family.RULES)


def rules_of(scope: Scope) -> dict[str, Rule]:
    """The rules of one day, or those of a cycle, by their number in order."""
    chosen = (rule for rule in RULES if rule.scope == scope)
    return {rule.rule_id: rule for rule in sorted(chosen, key=lambda rule: rule.rule_id)}


DAY_RULES = rules_of("day")
CYCLE_RULES = rules_of("cycle")
TITLES = {rule.rule_id: rule.title_pt for rule in RULES}

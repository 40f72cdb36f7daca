"""docs/rules.md from the registry: every rule with its severity, sources, amount, parameters and what it proves.

    python -m fleet_audit.logic.audit.rules.rules_page > docs/rules.md

Only the layout of the page belongs here; a test asserts that the page is up to date.
"""

from __future__ import annotations

import sys

from fleet_audit.logic.audit.incomplete import SOURCE_LETTERS, resting_on
from fleet_audit.logic.audit.rules.draft import UNSEEN_HALT_CONFIDENCE
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.logic.audit.rules.rule import Rule

_HEAD = """# Rules

Every rule of the audit, generated from the modules of `fleet_audit/logic/audit/rules` by `make docs`: do not edit this
page. Sources: P positions, V visit report, B bulletin, K contract data; `/` either, `+` both. A rule is not tested on a
day on which a source that it rests on is incomplete by our own fault; `ops.rules_not_tested` lists it. Of the reference
tables that it rests on, a refused row beside accepted ones leaves the vehicles untested that it may be about
([operations.md](operations.md), Days without a source).

Where a vehicle's positions in motion are further apart than `stop_min_s`, a halt that parts two trips may lie between
two of them. What {doubted} conclude of such a vehicle states a confidence of at most {most}; G08, and D04 of a trip
that reaches beyond its run by more than `match_widen_s` and one such step, are not tested.

| rule | scope | version | severity | sources | rests on | amount | parameters | title | what it proves |
|---|---|---|---|---|---|---|---|---|---|
"""


def rules_page() -> str:
    """The page, in Markdown, in order of rule and scope."""
    ordered = sorted(RULES, key=lambda rule: (rule.rule_id, rule.scope != "day"))
    doubted = [rule.rule_id for rule in ordered if rule.vehicle_doubt]
    head = _HEAD.format(doubted=", ".join(doubted), most=UNSEEN_HALT_CONFIDENCE)
    return head + "".join(f"| {' | '.join(_cells(rule))} |\n" for rule in ordered)


def _cells(rule: Rule) -> list[str]:
    parameters = ", ".join(f"`{name}`" for name in rule.parameters)
    return [
        rule.rule_id,
        rule.scope,
        rule.version,
        rule.severity,
        rule.sources,
        _rests_on(rule),
        f"`{rule.amount}`" if rule.amount else "",
        parameters,
        rule.title_pt,
        rule.proves_pt,
    ]


def _rests_on(rule: Rule) -> str:
    letters = "".join(name for name in rule.rests_on if name in SOURCE_LETTERS)
    tables = sorted(resting_on(rule.rests_on) - SOURCE_LETTERS)
    return ", ".join([*([letters] if letters else []), *(f"`{name}`" for name in tables)])


if __name__ == "__main__":
    sys.stdout.write(rules_page())

"""The four amounts: sums of days and cycles in which no kilometre counts twice, and what one incident has at stake.

The amounts are never added up; an unknown one is counted as unknown, not as zero.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from fleet_audit.access.web.filters import Scope
from fleet_audit.access.web.formats import Amount
from fleet_audit.access.web.rows import Conditions, is_readable
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.labels import AMOUNT_NOTES, AMOUNTS, CYCLE_AMOUNT_NOTES, SEVERITIES, SEVERITY_RANK

Amounts = dict[str, Amount]
Strip = list[tuple[str, str, str, Amount]]
_SEVERITY_ORDER = {rule.rule_id: SEVERITY_RANK[rule.severity] for rule in RULES}
_GRAVE = [rule.rule_id for rule in RULES if rule.severity in ("C", "H")]


def amounts_of_days(site: Site, visit: Visit, where: Conditions) -> dict[dt.date, Amounts]:
    """The sums of each day; empty for a profile that reads no amounts."""
    return _sums(site, visit, "vehicle_day_amounts", where, "operational_date")


def strip_of_cycle(site: Site, visit: Visit, cycle: Cycle, scope: Scope) -> Strip:
    """The sums of a cycle, those of its own rules included; of its days where the cycle was not run yet."""
    start = cycle.start
    by_cycle = _sums(
        site, visit, "vehicle_cycle_amounts", lambda c: (c.cycle_start == start, *scope.conditions(c)), "cycle_start"
    )
    if by_cycle:
        return labelled(by_cycle[start], CYCLE_AMOUNT_NOTES)
    days = amounts_of_days(site, visit, lambda c: (c.operational_date.between(start, cycle.end), *scope.conditions(c)))
    sums = {
        name: Amount(
            sum((day[name].brl for day in days.values()), Decimal(0)), sum(day[name].unknown for day in days.values())
        )
        for name in (AMOUNTS if visit.sees_money else ())
    }
    return labelled(sums)


def labelled(amounts: Amounts, notes: Mapping[str, str] = AMOUNT_NOTES) -> Strip:
    """Name, label, note and sum of each amount, in the order of the reports."""
    return [(name, AMOUNTS[name], notes[name], amounts[name]) for name in AMOUNTS if name in amounts]


def zero_amounts(visit: Visit) -> Amounts:
    """Zero of each amount, for who reads amounts."""
    return {name: Amount(Decimal(0)) for name in AMOUNTS} if visit.sees_money else {}


def is_important(c: Any) -> sa.ColumnElement[bool]:
    """Whether an incident has an amount that is not zero; for profiles without amounts, whether its rule is grave."""
    names = [name for name in AMOUNTS if name in c]
    if not names:
        return c.root_rule_id.in_(_GRAVE)
    return sa.or_(*(sa.or_(c[name] != 0, c[name].is_(None)) for name in names))


def amounts_of(incident: Mapping[str, Any]) -> list[tuple[str, Amount]]:
    """Label and value of the amounts that one incident has: those that are not zero."""
    found = [(AMOUNTS[name], incident[name]) for name in AMOUNTS if name in incident]
    return [(label, Amount(value or Decimal(0), int(value is None))) for label, value in found if value != 0]


def joined_by_cause(incidents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The incidents by their largest sum, those of one rule, carrier and vehicles as one: the first, `count`, sums.

    A vehicle without a tariff had four of the five places of a day, one for each trip.
    """
    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for one in incidents:
        alike.setdefault((one["root_rule_id"], one.get("carrier_code"), *one["plates"]), []).append(one)
    joined = [{**same[0], "count": len(same), "amounts": _amounts_of_all(same)} for same in alike.values()]
    return sorted(joined, key=lambda one: max((sum_of.brl for _, sum_of in one["amounts"]), default=0), reverse=True)


def _amounts_of_all(incidents: Sequence[Mapping[str, Any]]) -> list[tuple[str, Amount]]:
    sums: dict[str, Amount] = {}
    for label, amount in (pair for one in incidents for pair in amounts_of(one)):
        known = sums.get(label, Amount(Decimal(0)))
        sums[label] = Amount(known.brl + amount.brl, known.unknown + amount.unknown)
    return [(label, sums[label]) for label in AMOUNTS.values() if label in sums]


def gravest_first(c: Any) -> list[sa.ColumnElement[Any]]:
    """The order of incidents: by their greatest amount, then by the severity of their rule, then the latest first."""
    known = [sa.func.coalesce(c[name], 0) for name in AMOUNTS if name in c]
    by_amount = [sa.func.greatest(*known).desc()] if known else []
    return [
        *by_amount,
        sa.case(_SEVERITY_ORDER, value=c.root_rule_id, else_=len(SEVERITIES)),
        c.operational_date.desc(),
    ]


def _sums(site: Site, visit: Visit, relation: str, where: Conditions, group_name: str) -> dict[Any, Amounts]:
    table = site.relations.table(visit.session, relation)
    if table is None or not is_readable(table.c, *AMOUNTS):
        return {}
    group = table.c[group_name]
    parts = [
        part
        for name in AMOUNTS
        for part in (sa.func.sum(table.c[name]), sa.func.count().filter(table.c[name].is_(None)))
    ]
    rows = visit.session.connection.execute(sa.select(group, *parts).where(*where(table.c)).group_by(group)).all()
    return {
        row[0]: {
            name: Amount(row[1 + 2 * index] or Decimal(0), row[2 + 2 * index]) for index, name in enumerate(AMOUNTS)
        }
        for row in rows
    }

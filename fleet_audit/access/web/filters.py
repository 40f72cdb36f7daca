"""What a reader may narrow a list to: cycle, unit, carrier, vehicle; choices come from rows that the reader sees.

Conditions are built from columns and bound values alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query

from fleet_audit.access.answers import TEXT
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.logic.primitives.cycles import Cycle, cycle_of
from fleet_audit.logic.primitives.identity import normalise_plate
from fleet_audit.reporting import locale

Code = Annotated[str, Query(max_length=100, pattern=TEXT)]
MOST_PAGES = 500


@dataclass(frozen=True)
class Choice:
    """One entry of a select: the value sent and the words shown."""

    value: str
    label: str


@dataclass(frozen=True)
class Scope:
    """What a list is narrowed to; empty texts narrow nothing."""

    unit: str = ""
    carrier: str = ""

    def conditions(self, c: Any) -> list[sa.ColumnElement[bool]]:
        """Of the columns unit_code and carrier_code."""
        pairs = (("unit_code", self.unit), ("carrier_code", self.carrier))
        return [c[name] == value for name, value in pairs if value]

    @property
    def query(self) -> dict[str, str]:
        """The parameters that keep the choice from page to page."""
        return {name: value for name, value in (("unidade", self.unit), ("transportadora", self.carrier)) if value}


@dataclass(frozen=True)
class Names:
    """Names of units and carriers by code, and the zone of each unit, as far as the reader sees them."""

    units: dict[str, str]
    carriers: dict[str, str]
    zones: dict[str, str]

    def zone(self, unit_code: str | None) -> str:
        """The unit's time zone; that of the reports for an unknown unit."""
        return self.zones.get(unit_code or "", locale.REPORT_ZONE)

    @property
    def unit_choices(self) -> list[Choice]:
        """For a select; empty where there is nothing to choose."""
        return _choices(self.units)

    @property
    def carrier_choices(self) -> list[Choice]:
        """For a select; empty where there is nothing to choose."""
        return _choices(self.carriers)


def names_of(site: Site, visit: Visit) -> Names:
    """What the reader sees of units and carriers."""
    units = site.relations.rows(visit.session, "units")
    carriers = site.relations.rows(visit.session, "carriers")
    return Names(
        {row["unit_code"]: row["name"] or row["unit_code"] for row in units},
        {row["carrier_code"]: row["name"] or row["carrier_code"] for row in carriers},
        {row["unit_code"]: row["timezone"] for row in units if row["timezone"]},
    )


def known_days(site: Site, visit: Visit) -> list[dt.date]:
    """The days with rows of the reader, latest first."""
    table = site.relations.table(visit.session, "carrier_days")
    if table is None:
        return []
    query = sa.select(table.c.operational_date).distinct().order_by(table.c.operational_date.desc())
    return list(visit.session.connection.scalars(query))


def cycles_of(days: Sequence[dt.date], closing_day: int) -> list[Cycle]:
    """The cycles of these days, in their order."""
    return list(dict.fromkeys(cycle_of(day, closing_day) for day in days))


def chosen_cycle(cycles: Sequence[Cycle], wanted: dt.date | None) -> Cycle | None:
    """The cycle that starts on the wanted day, else the first; None without any."""
    return next((cycle for cycle in cycles if cycle.start == wanted), cycles[0] if cycles else None)


def cycle_choices(cycles: Sequence[Cycle]) -> list[Choice]:
    """`16/05/2025 a 15/06/2025`."""
    return [Choice(one.start.isoformat(), cycle_words(one)) for one in cycles]


def cycle_words(cycle: Cycle) -> str:
    """`16/05/2025 a 15/06/2025`."""
    return f"{locale.day(cycle.start)} a {locale.day(cycle.end)}"


def plate_of(text: str) -> str:
    """The plate as it is stored, from however a person types it."""
    return normalise_plate(text) or ""


def neighbours(days: Sequence[dt.date], day: dt.date) -> tuple[dt.date | None, dt.date | None]:
    """The known day before and after a day."""
    before = max((one for one in days if one < day), default=None)
    after = min((one for one in days if one > day), default=None)
    return before, after


def _choices(names: dict[str, str]) -> list[Choice]:
    pairs = sorted(names.items(), key=lambda pair: pair[1].casefold())
    return [Choice(code, name) for code, name in pairs] if len(pairs) > 1 else []

"""The pages of own days: all days of a cycle with km, reais and the four amounts, one day with its vehicles and trips.

A trip's movement is drawn in `movement`; findings have pages of their own.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import FastAPI, Query, Request, Response

from fleet_audit.access.problems import Problem
from fleet_audit.access.web import money
from fleet_audit.access.web.filters import (
    MOST_PAGES,
    Code,
    Scope,
    chosen_cycle,
    cycle_choices,
    cycle_words,
    cycles_of,
    known_days,
    names_of,
    neighbours,
    plate_of,
)
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.reporting.labels import AMOUNTS, COVERAGE, KM_METHODS, PURPOSES

_SUMS = (
    *("vehicles", "seen_vehicles", "silent_vehicles", "trips", "service_trips", "measured_km", "declared_km"),
    *("billable_km", "variable_cost_brl", "fixed_cost_brl", "unpriced_trips", "open_findings", "critical_findings"),
)
_INCIDENTS_SHOWN = 5
_CAUSE = ("incident_id", "root_rule_id", "carrier_code", "plates", *AMOUNTS)
_TRIPS_A_PAGE = 60


def add_day_pages(app: FastAPI, site: Site) -> None:
    """`/dias`, `/dias/{day}` and the following trips of a day."""

    @app.get("/dias")
    def days(
        request: Request,
        ciclo: dt.date | None = None,
        unidade: Code = "",
        transportadora: Code = "",
    ) -> Response:
        scope = Scope(unidade, transportadora)
        with site.visit(request) as visit:
            known = known_days(site, visit)
            cycles = cycles_of(known, site.closing_day)
            cycle = chosen_cycle(cycles, ciclo)
            names = names_of(site, visit)
            if cycle is None:
                return site.page(visit, "empty.html.j2")
            within = _within(cycle.start, cycle.end, scope)
            amounts = money.amounts_of_days(site, visit, within)
            rows = _day_sums(site, visit, within, by_day=True)
            for row in rows:
                row["amounts"] = money.labelled(amounts.get(row["operational_date"], money.zero_amounts(visit)))
            return site.page(
                visit, "days.html.j2",
                days=rows, cycle=cycle, cycle_words=cycle_words(cycle), cycles=cycle_choices(cycles), names=names,
                scope=scope, total=next(iter(_day_sums(site, visit, within, by_day=False)), {}),
                amounts=money.strip_of_cycle(site, visit, cycle, scope),
            )  # fmt: skip

    @app.get("/dias/{day}")
    def one_day(
        request: Request,
        day: dt.date,
        unidade: Code = "",
        transportadora: Code = "",
        placa: Code = "",
    ) -> Response:
        scope = Scope(unidade, transportadora)
        plate = plate_of(placa)
        with site.visit(request) as visit:
            known = known_days(site, visit)
            if day not in known:
                raise Problem(404, "This day has no rows that you may read: GET /dias lists the days.")
            within = _within(day, day, scope)
            amounts = money.amounts_of_days(site, visit, within).get(day, money.zero_amounts(visit))
            every = site.relations.rows(  # all of them: one cause may have a hundred, and its sums are of each
                visit.session, "incidents", lambda c: (*within(c), c.cycle_start.is_(None), money.is_important(c)),
                order=money.gravest_first, columns=_CAUSE,
            )  # fmt: skip
            shown = {one["incident_id"]: one for one in money.joined_by_cause(every)[:_INCIDENTS_SHOWN]}
            texts = site.relations.rows(visit.session, "incidents", lambda c: (c.incident_id.in_([*shown]),))
            by_id = {one["incident_id"]: one for one in texts}
            vehicles = site.relations.rows(
                visit.session, "vehicle_days", within, order=lambda c: (c.open_findings.desc(), c.plate)
            )
            before, after = neighbours(known, day)
            return site.page(
                visit, "day.html.j2",
                day=day, before=before, after=after, names=names_of(site, visit), scope=scope, plate=plate,
                total=next(iter(_day_sums(site, visit, within, by_day=False)), {}),
                amounts=money.labelled(amounts),
                incidents=[by_id[key] | one for key, one in shown.items()],
                vehicles=vehicles, coverage=COVERAGE, **_trips(site, visit, day, scope, plate, 1),
            )  # fmt: skip

    @app.get("/dias/{day}/viagens")
    def more_trips(
        request: Request,
        day: dt.date,
        pagina: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
        unidade: Code = "",
        transportadora: Code = "",
        placa: Code = "",
    ) -> Response:
        scope = Scope(unidade, transportadora)
        with site.visit(request) as visit:
            found = _trips(site, visit, day, scope, plate_of(placa), pagina)
            return site.page(visit, "trip_rows.html.j2", day=day, scope=scope, plate=plate_of(placa), **found)


def _within(first: dt.date, last: dt.date, scope: Scope) -> Any:
    return lambda c: (c.operational_date.between(first, last), *scope.conditions(c))


def _day_sums(site: Site, visit: Visit, where: Any, *, by_day: bool) -> list[dict[str, Any]]:
    """Sums of the carriers' days, per day with the latest first, or over all of them."""
    table = site.relations.table(visit.session, "carrier_days")
    if table is None:
        return []
    sums = [sa.func.sum(table.c[name]).label(name) for name in _SUMS if name in table.c]
    query = sa.select(*sums, sa.func.count(table.c.operational_date.distinct()).label("days")).where(*where(table.c))
    if by_day:
        day = table.c.operational_date
        query = query.add_columns(day).group_by(day).order_by(day.desc())
    return [dict(row) for row in visit.session.connection.execute(query).mappings()]


def _trips(site: Site, visit: Visit, day: dt.date, scope: Scope, plate: str, page: int) -> dict[str, Any]:
    """The trips of a day, one page of them, and the number of the next page."""
    rows = site.relations.rows(
        visit.session, "d1_trips",
        lambda c: (c.operational_date == day, *scope.conditions(c), *((c.plate == plate,) if plate else ()),
                   c.purpose != "yard"),
        order=lambda c: (c.plate, c.started_at), limit=_TRIPS_A_PAGE + 1, offset=(page - 1) * _TRIPS_A_PAGE,
    )  # fmt: skip
    is_last = len(rows) <= _TRIPS_A_PAGE
    return {
        "trips": rows[:_TRIPS_A_PAGE],
        "next_page": None if is_last else page + 1,
        "purposes": PURPOSES,
        "methods": KM_METHODS,
    }

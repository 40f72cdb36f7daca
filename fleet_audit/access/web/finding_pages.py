"""The pages of findings: the list by incident, whose money counts once, and one finding with its evidence and map.

Contesting is in `contest_pages`, the drawing in `movement`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import FastAPI, Query, Request, Response
from markupsafe import Markup

from fleet_audit.access.web import money
from fleet_audit.access.web.contest_pages import CONTEST_STATUSES, contest_context
from fleet_audit.access.web.filters import (
    MOST_PAGES,
    Choice,
    Code,
    Key,
    Scope,
    chosen_cycle,
    cycle_choices,
    cycle_words,
    cycles_of,
    known_days,
    names_of,
    plate_of,
)
from fleet_audit.access.web.formats import local
from fleet_audit.access.web.movement import movement_pictures
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.logic.audit.evidence import RUN_FACTS, TRIP_FACTS, plain_facts
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.reporting.labels import AMOUNTS, CAUSES, KM_METHODS, PURPOSES, SEVERITIES
from fleet_audit.reporting.sections.evidence import evidence_rows

_A_PAGE = 30
_WORST_FIRST = {severity: place for place, severity in enumerate(SEVERITIES)}
_PROVES = {rule.rule_id: rule.proves_pt for rule in RULES}


@dataclass(frozen=True)
class Subject:
    """A finding or trip with the rows that it names, as far as the reader sees them."""

    plate: str | None
    day: dt.date
    zone: str
    trips: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    places: Mapping[str, str]


def add_finding_pages(app: FastAPI, site: Site) -> None:
    """`/achados`, `/achados/{id}`, `/viagens/{id}` and the map of both."""
    _add_list(app, site)

    @app.get("/achados/{key}")
    def finding(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "findings", "finding_id", key)
            names = names_of(site, visit)
            subject = _subject_of_finding(site, visit, row, names.zone(row["unit_code"]))
            incident = next(
                iter(site.relations.rows(visit.session, "incidents", lambda c: (sa.any_(c.finding_ids) == key,))), None
            )
            members = _findings(site, visit, incident["finding_ids"] if incident else [])
            return site.page(
                visit, "finding.html.j2",
                finding=row, names=names, zone_name=subject.zone, proves=_PROVES.get(row["rule_id"]),
                severities=SEVERITIES, causes=CAUSES, amount_labels=AMOUNTS,
                incident=incident, members=[one for one in members if one["finding_id"] != key],
                incident_amounts=money.amounts_of(incident) if incident else [], evidence=_evidence(row, subject),
                has_map=bool(row["plate"]) and (row["cycle_start"] is None or bool(subject.trips or subject.runs)),
                **contest_context(site, visit, row),
            )  # fmt: skip

    @app.get("/achados/{key}/mapa")
    def finding_map(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "findings", "finding_id", key)
            names = names_of(site, visit)
            return _map(site, visit, _subject_of_finding(site, visit, row, names.zone(row["unit_code"])))

    @app.get("/viagens/{key}")
    def trip(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "trips", "trip_id", key)
            names = names_of(site, visit)
            listed = site.relations.rows(visit.session, "d1_trips", lambda c: (c.trip_id == key,))
            costs = site.relations.rows(visit.session, "trip_costs", lambda c: (c.trip_id == key,))
            findings = site.relations.rows(visit.session, "findings", lambda c: (c.trip_id == key,))
            return site.page(
                visit, "trip.html.j2",
                trip=row, names=names, listed=next(iter(listed), {}), cost=next(iter(costs), {}), findings=findings,
                purposes=PURPOSES, methods=KM_METHODS, severities=SEVERITIES,
                started=local(row["started_at"], names.zone(row["unit_code"])),
                ended=local(row["ended_at"], names.zone(row["unit_code"])),
            )  # fmt: skip

    @app.get("/viagens/{key}/mapa")
    def trip_map(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "trips", "trip_id", key)
            zone = names_of(site, visit).zone(row["unit_code"])
            trips = _named_trips(site, visit, [key])
            return _map(site, visit, Subject(row["plate"], row["operational_date"], zone, trips, (), {}))


def _add_list(app: FastAPI, site: Site) -> None:
    @app.get("/achados")
    def findings(
        request: Request,
        ciclo: dt.date | None = None,
        unidade: Code = "",
        transportadora: Code = "",
        placa: Code = "",
        valor: Code = "",
        pagina: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    ) -> Response:
        scope, plate = Scope(unidade, transportadora), plate_of(placa)
        with site.visit(request) as visit:
            cycles = cycles_of(known_days(site, visit), site.closing_day)
            cycle = chosen_cycle(cycles, ciclo)
            names = names_of(site, visit)
            if cycle is None:
                return site.page(visit, "empty.html.j2")

            def where(c: Any) -> tuple[sa.ColumnElement[bool], ...]:
                days = c.operational_date.between(cycle.start, cycle.end)
                of_plate = (sa.any_(c.plates) == plate,) if plate else ()
                of_amount = (c[valor] > 0,) if valor in AMOUNTS and valor in c else ()
                return (days, *scope.conditions(c), *of_plate, *of_amount)

            rows = site.relations.rows(
                visit.session, "incidents", where, order=lambda c: (*money.largest_first(c), c.operational_date.desc()),
                limit=_A_PAGE + 1, offset=(pagina - 1) * _A_PAGE,
            )  # fmt: skip
            values: dict[str, Any] = {
                "incidents": _incidents(site, visit, rows[:_A_PAGE]),
                "next_page": pagina + 1 if len(rows) > _A_PAGE else None,
                "names": names, "scope": scope, "plate": plate, "cycle": cycle, "amount": valor,
                "severities": SEVERITIES, "contest_statuses": CONTEST_STATUSES,
            }  # fmt: skip
            if pagina > 1 and "HX-Request" in request.headers:
                return site.page(visit, "incident_rows.html.j2", **values)
            amounts = money.amounts_of_cycle(site, visit, cycle, scope)
            return site.page(
                visit, "findings.html.j2", **values, cycles=cycle_choices(cycles), cycle_words=cycle_words(cycle),
                amounts=money.labelled(amounts),
                amount_choices=[Choice(name, label) for name, label in AMOUNTS.items()] if visit.sees_money else [],
            )  # fmt: skip


def _incidents(site: Site, visit: Visit, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Incidents with their amounts, their gravest severity, and the contests of their findings."""
    ids = [key for row in rows for key in row["finding_ids"]]
    findings = {one["finding_id"]: one for one in _findings(site, visit, ids)}
    contests = site.relations.rows(visit.session, "contests", lambda c: (c.finding_id.in_(ids),)) if ids else []
    status = {one["finding_id"]: one["status"] for one in contests}
    result = []
    for row in rows:
        members = [findings[key] for key in row["finding_ids"] if key in findings]
        gravest = min((one["severity"] for one in members), key=_WORST_FIRST.__getitem__, default=None)
        contested = [status[key] for key in row["finding_ids"] if key in status]
        target = row["root_finding_id"] or (members[0]["finding_id"] if members else None)
        is_excepted = bool(members) and all(one["status"] == "excepted" for one in members)
        result.append({**row, "amounts": money.amounts_of(row), "severity": gravest, "target": target,
                       "contest": contested[0] if contested else None, "count": len(row["finding_ids"]),
                       "is_excepted": is_excepted})  # fmt: skip
    return result


def _findings(site: Site, visit: Visit, ids: Sequence[str]) -> list[dict[str, Any]]:
    rows = site.relations.rows(visit.session, "findings", lambda c: (c.finding_id.in_(ids),)) if ids else []
    return sorted(rows, key=lambda row: (_WORST_FIRST[row["severity"]], row["rule_id"], row["operational_date"]))


def _subject_of_finding(site: Site, visit: Visit, finding: Mapping[str, Any], zone: str) -> Subject:
    """The trips and runs of the finding's own vehicle that it names by id; evidence may be absent for the reader."""
    evidence = _read(finding.get("evidence"))
    trip_ids = {finding["trip_id"], *(row.get("trip_id") for row in evidence.get("trips", ()))}
    run_ids = {finding["declared_run_id"], *(row.get("declared_run_id") for row in evidence.get("declared_runs", ()))}
    plate = finding["plate"]
    trips = [one for one in _named_trips(site, visit, sorted(filter(None, trip_ids))) if one["plate"] == plate]
    keys = sorted(filter(None, run_ids))
    runs = site.relations.rows(
        visit.session, "declared_runs", lambda c: (c.declared_run_id.in_(keys), c.plate == plate)
    ) if keys and plate else []  # fmt: skip
    places = {
        trip[f"{end}_poi_id"]: trip[f"{end}_name"]
        for trip in trips
        for end in ("origin", "destination")
        if trip[f"{end}_poi_id"] and trip.get(f"{end}_name")
    }
    return Subject(plate, finding["operational_date"], zone, trips, runs, places)


def _named_trips(site: Site, visit: Visit, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of fact.trips with the names of their places from the trip list."""
    if not ids:
        return []
    trips = site.relations.rows(visit.session, "trips", lambda c: (c.trip_id.in_(ids),))
    listed = {
        row["trip_id"]: row for row in site.relations.rows(visit.session, "d1_trips", lambda c: (c.trip_id.in_(ids),))
    }
    names = ("origin_name", "destination_name")
    return [{**trip, **{name: listed.get(trip["trip_id"], {}).get(name) for name in names}} for trip in trips]


def _evidence(finding: Mapping[str, Any], subject: Subject) -> list[dict[str, Any]]:
    """Rows for the table of evidence; where the reader has no evidence, the rows of its own that the finding names."""
    evidence = _read(finding.get("evidence")) or {
        "trips": [plain_facts(dict(trip), TRIP_FACTS) for trip in subject.trips],
        "declared_runs": [plain_facts(dict(run), RUN_FACTS) for run in subject.runs],
    }
    return list(evidence_rows(evidence, subject.zone, subject.places))


def _read(evidence: Any) -> dict[str, Any]:
    found = json.loads(evidence) if isinstance(evidence, str) else evidence
    return found if isinstance(found, dict) else {}


def _map(site: Site, visit: Visit, subject: Subject) -> Response:
    pictures = movement_pictures(
        site, visit, subject.plate, subject.day, subject.zone, subject.trips, subject.runs
    ) if subject.plate else []  # fmt: skip
    drawn = [Markup(picture) for picture in pictures]  # noqa: S704  our own SVG, its texts are escaped
    return site.page(visit, "movement.html.j2", pictures=drawn)

"""The pages of findings: the list by incident, whose money counts once, and one finding with its evidence and map.

Contesting is in `contest_pages`, the drawing in `movement`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import FastAPI, Query, Request, Response
from markupsafe import Markup
from sqlalchemy.dialects.postgresql import ARRAY

from fleet_audit.access.answers import Key
from fleet_audit.access.web import money
from fleet_audit.access.web.contest_pages import CONTEST_FILTERS, CONTEST_STATUSES, contest_context
from fleet_audit.access.web.filters import (
    MOST_PAGES,
    Choice,
    Code,
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
from fleet_audit.access.web.movement import Subject, movement_pictures
from fleet_audit.access.web.note_pages import notes_context
from fleet_audit.access.web.site import Site, Visit
from fleet_audit.logic.audit.evidence import RUN_FACTS, TRIP_FACTS, plain_facts
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.logic.primitives.cycles import Cycle, cycle_of
from fleet_audit.reporting.labels import AMOUNTS, CAUSES, KM_METHODS, PURPOSES, SEVERITIES, SEVERITY_RANK
from fleet_audit.reporting.sections.evidence import evidence_rows

_A_PAGE = 30
_LISTED = ("finding_id", "operational_date", "rule_id", "severity", "plate", "status", "km_at_stake")
_PROVES = {rule.rule_id: rule.proves_pt for rule in RULES}


def add_finding_pages(app: FastAPI, site: Site) -> None:
    """`/achados`, `/achados/{id}`, `/viagens/{id}` and the map of both."""
    _add_list(app, site)

    @app.get("/achados/{key}")
    def finding(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "findings", "finding_id", key)
            names = names_of(site, visit)
            zone = names.zone(row["unit_code"])
            trips, runs = _named_rows(site, visit, row)
            incident = _incident_of(site, visit, row)
            members = _findings(site, visit, incident["finding_ids"] if incident else [])
            return site.page(
                visit, "finding.html.j2",
                finding=row, names=names, zone_name=zone, proves=_PROVES.get(row["rule_id"]),
                severities=SEVERITIES, causes=CAUSES, amount_labels=AMOUNTS,
                incident=incident, members=[one for one in members if one["finding_id"] != key],
                incident_amounts=money.amounts_of(incident) if incident else [],
                evidence=_evidence(row, trips, runs, zone),
                has_map=bool(row["plate"]) and (row["cycle_start"] is None or bool(trips or runs)),
                **contest_context(site, visit, row, zone), **notes_context(site, visit, key),
            )  # fmt: skip

    @app.get("/achados/{key}/mapa")
    def finding_map(request: Request, key: Key) -> Response:
        with site.visit(request) as visit:
            row = site.relations.row(visit.session, "findings", "finding_id", key)
            subject = _subject(site, visit, row, *_named_rows(site, visit, row))
        return _map(site, visit, subject)

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
            subject = _subject(site, visit, row, _named_trips(site, visit, [key]), ())
        return _map(site, visit, subject)


def _add_list(app: FastAPI, site: Site) -> None:
    @app.get("/achados")
    def findings(
        request: Request,
        ciclo: dt.date | None = None,
        unidade: Code = "",
        transportadora: Code = "",
        placa: Code = "",
        valor: Code = "",
        contestacao: Code = "",
        pagina: Annotated[int, Query(ge=1, le=MOST_PAGES)] = 1,
    ) -> Response:
        scope, plate = Scope(unidade, transportadora), plate_of(placa)
        with site.visit(request) as visit:
            cycles = cycles_of(known_days(site, visit), site.closing_day)
            cycle = chosen_cycle(cycles, ciclo)
            names = names_of(site, visit)
            if cycle is None:
                return site.page(visit, "empty.html.j2")

            contested = _contested(site, visit, cycle, contestacao)

            def where(c: Any) -> tuple[sa.ColumnElement[bool], ...]:
                days = c.operational_date.between(cycle.start, cycle.end)
                of_plate = (sa.any_(c.plates) == plate,) if plate else ()
                of_amount = (c[valor] > 0,) if valor in AMOUNTS and valor in c else ()
                of_contest = (c.finding_ids.op("&&")(contested),) if contested is not None else ()
                return (days, *scope.conditions(c), *of_plate, *of_amount, *of_contest)

            rows = site.relations.page(
                visit.session, "incidents", "incident_id", where, order=money.gravest_first,
                limit=_A_PAGE + 1, offset=(pagina - 1) * _A_PAGE,
            )  # fmt: skip
            values: dict[str, Any] = {
                "incidents": _incidents(site, visit, rows[:_A_PAGE]),
                "next_page": pagina + 1 if len(rows) > _A_PAGE else None,
                "names": names, "scope": scope, "plate": plate, "cycle": cycle, "amount": valor,
                "contested": contestacao, "severities": SEVERITIES, "contest_statuses": CONTEST_STATUSES,
            }  # fmt: skip
            if pagina > 1 and "HX-Request" in request.headers:
                return site.page(visit, "incident_rows.html.j2", **values)
            return site.page(
                visit, "findings.html.j2", **values, cycles=cycle_choices(cycles), cycle_words=cycle_words(cycle),
                amounts=money.strip_of_cycle(site, visit, cycle, scope),
                contest_choices=[Choice("contested", "em contestação"), Choice("decided", "decidida")],
                amount_choices=[Choice(name, label) for name, label in AMOUNTS.items()] if visit.sees_money else [],
            )  # fmt: skip


def _contested(site: Site, visit: Visit, cycle: Cycle, wanted: str) -> sa.ColumnElement[Any] | None:
    """The findings of a cycle whose contest has a status, as an array; None where none is asked for."""
    statuses = CONTEST_FILTERS.get(wanted)
    if statuses is None:
        return None
    rows = site.relations.rows(
        visit.session,
        "contests",
        lambda c: (c.operational_date.between(cycle.start, cycle.end), c.status.in_(statuses)),
        columns=("finding_id",),
    )
    return sa.cast([row["finding_id"] for row in rows], ARRAY(sa.Text()))


def _incidents(site: Site, visit: Visit, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Incidents with their amounts, their gravest severity, and the contests of their findings."""
    ids = [key for row in rows for key in row["finding_ids"]]
    findings = {one["finding_id"]: one for one in _findings(site, visit, ids)}
    contests = (
        site.relations.rows(
            visit.session, "contests", lambda c: (c.finding_id.in_(ids),), columns=("finding_id", "status")
        )
        if ids
        else []
    )
    status = {one["finding_id"]: one["status"] for one in contests}
    result = []
    for row in rows:
        members = [findings[key] for key in row["finding_ids"] if key in findings]
        gravest = min((one["severity"] for one in members), key=SEVERITY_RANK.__getitem__, default=None)
        contested = [status[key] for key in row["finding_ids"] if key in status]
        target = row["root_finding_id"] or (members[0]["finding_id"] if members else None)
        is_excepted = bool(members) and all(one["status"] == "excepted" for one in members)
        result.append({**row, "amounts": money.amounts_of(row), "severity": gravest, "target": target,
                       "contest": contested[0] if contested else None, "count": len(row["finding_ids"]),
                       "is_excepted": is_excepted})  # fmt: skip
    return result


def _findings(site: Site, visit: Visit, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Of these findings what a list shows: their texts, which a view redacts one by one, are not read."""
    if not ids:
        return []
    rows = site.relations.rows(visit.session, "findings", lambda c: (c.finding_id.in_(ids),), columns=_LISTED)
    return sorted(rows, key=lambda row: (SEVERITY_RANK[row["severity"]], row["rule_id"], row["operational_date"]))


def _incident_of(site: Site, visit: Visit, finding: Mapping[str, Any]) -> dict[str, Any] | None:
    """The incident that holds a finding: one of its day, else of its cycle."""
    day, cycle = finding["operational_date"], cycle_of(finding["operational_date"], site.closing_day)

    def between(first: dt.date, last: dt.date) -> list[dict[str, Any]]:
        # the view looks up each member of an incident: a range of days limits their number
        holds = sa.literal(finding["finding_id"])
        return site.relations.rows(
            visit.session,
            "incidents",
            lambda c: (c.operational_date.between(first, last), holds == sa.any_(c.finding_ids)),
        )

    return next(iter(between(day, day) or between(cycle.start, cycle.end)), None)


def _named_rows(
    site: Site, visit: Visit, finding: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The trips and runs of the finding's own vehicle that it names by id; evidence may be absent for the reader."""
    evidence, plate = _read(finding.get("evidence")), finding["plate"]
    trip_ids = {finding["trip_id"], *(row.get("trip_id") for row in evidence.get("trips", ()))}
    run_ids = {finding["declared_run_id"], *(row.get("declared_run_id") for row in evidence.get("declared_runs", ()))}
    trips = [one for one in _named_trips(site, visit, sorted(filter(None, trip_ids))) if one["plate"] == plate]
    keys = sorted(filter(None, run_ids))
    if not keys or not plate:
        return trips, []
    of_plate = site.relations.rows(
        visit.session, "declared_runs", lambda c: (c.declared_run_id.in_(keys), c.plate == plate)
    )
    return trips, of_plate


def _subject(
    site: Site,
    visit: Visit,
    row: Mapping[str, Any],
    trips: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
) -> Subject | None:
    """What is drawn of a finding or trip; None without a vehicle."""
    plate = row["plate"]
    if not plate:
        return None
    devices = site.relations.rows(visit.session, "devices", lambda c: (c.plate == plate,))
    zone = names_of(site, visit).zone(row["unit_code"])
    places = site.relations.rows(visit.session, "pois", lambda c: (c.unit_code == row["unit_code"],))
    return Subject(plate, row["operational_date"], zone, trips, runs, devices, places)


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


def _evidence(
    finding: Mapping[str, Any], trips: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]], zone: str
) -> list[dict[str, Any]]:
    """Rows for the table of evidence; where the reader has no evidence, the rows of its own that the finding names."""
    evidence = _read(finding.get("evidence")) or {
        "trips": [plain_facts(dict(trip), TRIP_FACTS) for trip in trips],
        "declared_runs": [plain_facts(dict(run), RUN_FACTS) for run in runs],
    }
    places = {
        trip[f"{end}_poi_id"]: trip[f"{end}_name"]
        for trip in trips
        for end in ("origin", "destination")
        if trip[f"{end}_poi_id"] and trip.get(f"{end}_name")
    }
    return list(evidence_rows(evidence, zone, places))


def _read(evidence: Any) -> dict[str, Any]:
    found = json.loads(evidence) if isinstance(evidence, str) else evidence
    return found if isinstance(found, dict) else {}


def _map(site: Site, visit: Visit, subject: Subject | None) -> Response:
    """The pictures; the transaction is over by now, so that reading the lake holds no connection."""
    pictures = movement_pictures(site.lake, subject) if subject else []
    drawn = [Markup(picture) for picture in pictures]  # noqa: S704  our own SVG, its texts are escaped
    return site.page(visit, "movement.html.j2", pictures=drawn)

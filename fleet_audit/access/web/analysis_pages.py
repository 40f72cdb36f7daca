"""The analyst's page: exceptions that wait for a second person, open contests, and what contests made of each rule.

Who may request and approve is checked by PostgreSQL's functions (`access.contests`); carriers have no such page.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Form, Query, Request, Response

from fleet_audit.access import contests
from fleet_audit.access.answers import TEXT, Key
from fleet_audit.access.problems import Problem
from fleet_audit.access.uploads import Intake
from fleet_audit.access.web.contest_pages import FormText
from fleet_audit.access.web.filters import Choice, Code, names_of, plate_of
from fleet_audit.access.web.site import TEXT_LENGTH, Site, Visit
from fleet_audit.logic.audit.rules.registry import RULES
from fleet_audit.logic.closing.rule_outcomes import RuleOutcome, rule_outcome
from fleet_audit.reporting.labels import rule_title
from fleet_audit.reporting.locale import REPORT_ZONE

ANALYSTS = ("operations", "finance", "auditor")
_MAY_APPROVE = ("finance", "auditor")
_STATUSES = {"approved": "Aprovada", "refused": "Recusada"}
_SHOWN = 50
_RULES = [Choice(name, f"{name} · {rule_title(name)}") for name in sorted({rule.rule_id for rule in RULES})]
_FIELDS = ("regra", "placa", "transportadora", "unidade", "rota", "de", "ate", "motivo")
_SENTENCES = {
    "rule": "Esta regra não existe: escolha uma da lista.",
    "scope": "Escolha ao menos a regra, a placa, a transportadora ou a unidade, das que o seu acesso permite ver.",
    "dates": "A exceção precisa de um último dia, que não pode ser anterior ao primeiro.",
    "text": f"Explique o motivo com {TEXT_LENGTH}.",
    "decided": "Esta exceção já foi decidida, e uma decisão não muda.",
    "same_person": "Quem pediu a exceção não a aprova: outra pessoa aprova ou recusa.",
    "profile": "O seu perfil não pode fazer isto.",
    "no_inbox": "A caixa de entrada não está configurada: avise quem opera o serviço.",
    "date": "Uma data não pode ser lida: use dia, mês e ano.",
}
FormCode = Annotated[str, Form(max_length=100, pattern=TEXT)]


def add_analysis_pages(app: FastAPI, site: Site, intake: Intake) -> None:
    """`/analise`, and the forms on it: request an exception, approve or refuse one."""

    @app.get("/analise")
    def analysis(
        request: Request,
        regra: Code = "",
        placa: Code = "",
        transportadora: Code = "",
        unidade: Code = "",
        dia: Annotated[dt.date | None, Query()] = None,
    ) -> Response:
        on = dia.isoformat() if dia else ""
        given = {"regra": regra, "placa": placa, "transportadora": transportadora, "unidade": unidade}
        return _page(site, request, {**given, "de": on, "ate": on})

    @app.post("/excecoes")
    def request_exception(
        request: Request,
        form_token: Annotated[str, Form(max_length=200)],
        regra: FormCode = "",
        placa: FormCode = "",
        transportadora: FormCode = "",
        unidade: FormCode = "",
        rota: FormCode = "",
        de: FormCode = "",
        ate: FormCode = "",
        motivo: FormText = "",
    ) -> Response:
        values = (regra, placa, transportadora, unidade, rota, de, ate, motivo)
        given = dict(zip(_FIELDS, values, strict=True))

        def request_exception(visit: Visit) -> str:
            contests.request_exception(visit.session, _wanted(given))
            return "/analise#excecoes"

        return site.submit(request, form_token, request_exception, partial(_page, site, request, given), _SENTENCES)

    @app.post("/excecoes/{key}/decidir")
    def decide(
        request: Request,
        key: Key,
        form_token: Annotated[str, Form(max_length=200)],
        decisao: Annotated[str, Form(pattern="^(aprovar|recusar)$")],
    ) -> Response:
        def decide_exception(visit: Visit) -> str:
            content = contests.decide_exception(visit.session, key, is_approved=decisao == "aprovar")
            if content is not None:
                intake.put_into_inbox(contests.approved_file(key), content)
            return "/analise#excecoes"

        return site.submit(request, form_token, decide_exception, partial(_page, site, request, {}), _SENTENCES)


def _wanted(given: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the form as columns of an exception; empty ones cover any. Raises Problem 422 for a wrong date."""
    try:
        first, last = (dt.date.fromisoformat(given[name]) if given[name] else None for name in ("de", "ate"))
    except ValueError:
        raise Problem(422, "A date is not yyyy-mm-dd: choose one.", kind="date") from None
    return {
        "rule_id": given["regra"] or None,
        "plate": plate_of(given["placa"]) or None,
        "carrier_code": given["transportadora"] or None,
        "unit_code": given["unidade"] or None,
        "route_code": given["rota"].strip() or None,
        "date_from": first,
        "date_to": last,
        "reason": given["motivo"],
    }


def _page(
    site: Site, request: Request, given: Mapping[str, str], error: str | None = None, status: int = 200
) -> Response:
    """The page with the form as it was filled in, and what was wrong with it."""
    with site.visit(request) as visit:
        if visit.session.profile not in ANALYSTS:
            raise Problem(404, "Only analysts have this page: ask an administrator for that profile.")
        names = names_of(site, visit)
        exceptions = [_labelled(row, visit) for row in _exceptions(site, visit)]
        return site.page(
            visit, "analysis.html.j2", status,
            waiting=[row for row in exceptions if row["status"] == "requested"],
            decided=[row for row in exceptions if row["status"] != "requested"], statuses=_STATUSES,
            contests=_open_contests(site, visit), outcomes=_outcomes(site, visit), names=names,
            rules=_RULES, today=dt.datetime.now(ZoneInfo(REPORT_ZONE)).date(),
            carriers=[Choice(code, name) for code, name in sorted(names.carriers.items())],
            units=[Choice(code, name) for code, name in sorted(names.units.items())],
            given={**dict.fromkeys(_FIELDS, ""), **given},
            error=error,
        )  # fmt: skip


def _exceptions(site: Site, visit: Visit) -> list[dict[str, Any]]:
    """All that wait, and the last decided ones."""

    def some(is_waiting: bool) -> list[dict[str, Any]]:
        return site.relations.rows(
            visit.session,
            "requested_exceptions",
            lambda c: ((c.status == "requested") == is_waiting,),
            order=lambda c: (c.requested_at.asc() if is_waiting else c.decided_at.desc(),),
            limit=None if is_waiting else _SHOWN,
        )

    return [*some(True), *some(False)]


def _labelled(row: dict[str, Any], visit: Visit) -> dict[str, Any]:
    may_decide = row["status"] == "requested" and visit.session.profile in _MAY_APPROVE
    return {**row, "may_decide": may_decide and row["requested_by"] != visit.visitor.login,
            "is_own": row["requested_by"] == visit.visitor.login}  # fmt: skip


def _open_contests(site: Site, visit: Visit) -> list[dict[str, Any]]:
    """All contests that wait for a decision, the first deadline first."""
    columns = ("finding_id", "operational_date", "rule_id", "plate", "carrier_code", "due_date", "opened_by")
    return site.relations.rows(
        visit.session, "contests", lambda c: (c.status == "contested",),
        order=lambda c: (c.due_date,), columns=columns,
    )  # fmt: skip


def _outcomes(site: Site, visit: Visit) -> list[RuleOutcome]:
    rows = site.relations.rows(visit.session, "rule_outcomes")
    return [rule_outcome(row["rule_id"], row["contests"], row["upheld"], row["reversed"]) for row in rows]

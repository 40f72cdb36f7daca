"""Rules that were not tested in a cycle or on a day, each with the reason: a rule that lacks its data has not passed.

Which rules lack their data is decided in `logic.audit.not_tested`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, grid_of
from fleet_audit.reporting.labels import rule_title
from fleet_audit.reporting.sections.inputs import Frames, records

FIELDS = (
    Field("rule_id", "Regra", width=7),
    Field("title", "Título", width=36),
    Field("scope", "Avalia", width=8),
    Field("vehicles", "Veículos", width=10),
    Field("plates", "Quais", width=14),
    Field("reason_pt", "Por que não foi testada", width=60),
    Field("action", "O que fazer", width=34),
    Field("days", "Dias", width=30),
)
DAY_FIELDS = (
    Field("rule_id", "Regra", width=7),
    Field("title", "Título", width=36),
    Field("vehicles", "Veículos", width=10),
    Field("plates", "Quais", width=14),
    Field("reason_pt", "Por que não foi testada", width=70),
    Field("action", "O que fazer", width=34),
)
NOTE = "Regra não testada não quer dizer regra cumprida: faltou o dado de que ela precisa."
_SCOPES = {"day": "dia", "cycle": "ciclo"}
_NAMED_DAYS = 3  # more are counted
_BETWEEN = re.compile(r"; (?!o maior n |nos dias )")  # of reasons; some have a semicolon of their own
_SAID_BY = {"nenhuma viagem do dia foi medida por posições": "nenhuma posição recebida"}
_WHOLE = re.compile(r"(?<=\d) de \d+(?= veículos? não testados?)")
_VEHICLES = re.compile(r"(\d+ de \d+) veículos? não testados?(?: \((.*?)\))?: (.+)")
_ACTIONS = (  # words of a reason: the first that it has decides
    (("linhas de ",), "Corrigir as linhas recusadas e entregar o arquivo de novo; o dia é recalculado."),
    (("versão anterior",), "Calcular de novo os dias; se a regra continua aqui, faltam posições."),
    (("boletim", "ata traz"), "Pedir o boletim à transportadora; o dia é recalculado quando ele chega."),
    (("fatura",), "Entregar as faturas do ciclo na pasta de entrada."),
    (("espera ",), "Nada: a regra é testada quando o ciclo termina."),
    (
        ("cadastr", "calendário", "nenhum plano", "finalidade"),
        "Completar o cadastro; o dia é recalculado.",
    ),
    (
        ("coordenadas não", "equipamento", "hodômetro", "posições são raras", "faltam posições"),
        "Conferir o equipamento do veículo com o fornecedor da telemetria.",
    ),
    (("poucas", "poucos", "menos"), "Nada: a regra é testada quando houver observações que bastem."),
)
_SEE_SOURCES = "Ver Fontes e atualização; se houve operação, o dia é recalculado quando os dados chegam."


def rules_not_tested_grid(frames: Frames) -> Grid:
    """One row per rule and reason, with its days; the same vehicles of fleets of several sizes are one row."""
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for row in records(frames.rules_not_tested.sort_values(["rule_id", "scope", "operational_date"])):
        for part in _parts(row["reason_pt"]):
            key = (row["rule_id"], row["scope"], _WHOLE.sub("", part))
            groups.setdefault(key, []).append((part, locale.day(row["operational_date"])))
    return grid_of(
        FIELDS,
        [
            {
                "rule_id": rule_id,
                "title": rule_title(rule_id),
                "scope": _SCOPES[scope],
                **_reason(found[0][0]),
                **_vehicles(part for part, _ in found),
                "days": "o ciclo" if scope == "cycle" else _words([day for _, day in found]),
            }
            for (rule_id, scope, _), found in groups.items()
        ],
    )


def day_rules_not_tested_grid(frames: Frames) -> Grid:
    """One row per rule of one day and reason: how many vehicles it was not tested of, which, and what helps."""
    return grid_of(
        DAY_FIELDS,
        [
            {"rule_id": row["rule_id"], "title": rule_title(row["rule_id"]), **_reason(part)}
            for row in records(frames.rules_not_tested.sort_values("rule_id"))
            for part in _parts(row["reason_pt"])
        ],
    )


def _parts(reasons: str) -> list[str]:
    """The reasons of a rule, which stand in one text, without one that another says already."""
    parts = _BETWEEN.split(reasons)
    return [part for part in parts if _SAID_BY.get(part) not in parts]


def _reason(part: str) -> dict[str, Any]:
    """A reason, and beside it how many vehicles it concerns, their plates, and what the reader can do."""
    counted = _VEHICLES.fullmatch(part)
    is_part = part.startswith(("transportadora ", "veículo ", "veículos "))
    vehicles, plates, reason = counted.groups() if counted else ("parte" if is_part else "todos", None, part)
    return {"vehicles": vehicles, "plates": plates, "reason_pt": reason, "action": action(reason)}


def _vehicles(parts: Iterable[str]) -> dict[str, str]:
    """How many vehicles of how many: `1 de 30 a 38` where the fleet's size differs between days; else nothing."""
    counted = [match[1].split(" de ") for part in parts if (match := _VEHICLES.fullmatch(part))]
    whole = sorted({int(every) for _, every in counted})
    return {"vehicles": f"{counted[0][0]} de {whole[0]} a {whole[-1]}"} if len(whole) > 1 else {}


def action(reason: str) -> str:
    """What the reader of a reason can do."""
    return next((advice for words, advice in _ACTIONS if any(word in reason for word in words)), _SEE_SOURCES)


def _words(days: list[str]) -> str:
    """`10/06/2025, 11/06/2025`, or of more than three their number, first and last."""
    if len(days) <= _NAMED_DAYS:
        return ", ".join(days)
    return f"{len(days)} dias, de {days[0]} a {days[-1]}"

"""The short messages that people receive of a day, a close and a failure: Portuguese, no names of people, no secrets.

Numbers come from the marts and the close's record; who receives them, and how, is not decided here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting.document_model import Highlight
from fleet_audit.reporting.labels import AMOUNTS
from fleet_audit.reporting.locale import NO_DATA, day, money, number

_MOST_PLATES = 15


@dataclass(frozen=True)
class Notice:
    """A message."""

    title: str
    body: str


def day_notice(
    date: dt.date,
    kpis: Mapping[str, Any] | None,
    report: str,
    highlights: Sequence[Highlight] = (),
    silent_plates: Sequence[str] = (),
    *,
    is_late: bool = False,
) -> Notice:
    """The D-1 report is ready, with what to look at first and the vehicles that sent nothing.

    `kpis` is the day's row of `mart.daily_kpis`, None when no vehicle was expected.
    """
    title = f"D-1 de {day(date)} pronto" + (", com atraso" if is_late else "")
    if kpis is None:
        return _notice(title, ["Nenhum veículo no cadastro deste dia."], report)
    lines = [
        f"Gasto: {_brl(kpis['known_cost_brl'])} (variável {_brl(kpis['variable_cost_brl'])}, "
        f"parcela fixa {_brl(kpis['fixed_cost_brl'])})",
        f"Km medidos: {_km(kpis['measured_km'])}; viagens: {_count(kpis['trips'])}; "
        f"veículos vistos: {_count(kpis['seen_vehicles'])} de {_count(kpis['vehicles'])}",
        _divergences(kpis),
        _amounts(kpis),
        f"Achados críticos em aberto: {_count(kpis['critical_findings'])}",
    ]
    if kpis["unpriced_trips"]:
        lines.append(f"Viagens sem preço: {_count(kpis['unpriced_trips'])}")
    lines += _highlighted(highlights)
    if silent_plates:
        shown = ", ".join(silent_plates[:_MOST_PLATES])
        rest = len(silent_plates) - _MOST_PLATES
        lines.append(f"Veículos sem dado: {shown}{f' e mais {rest}' if rest > 0 else ''}")
    return _notice(title, lines, report)


def missing_day_notice(date: dt.date, hour: int) -> Notice:
    """The D-1 report should be ready and is not."""
    return Notice(
        f"D-1 de {day(date)} atrasado",
        f"Às {hour}h o relatório D-1 ainda não estava pronto. Veja no Dagster se a execução do dia falhou, está em "
        "andamento ou não começou; quando o relatório ficar pronto, haverá novo aviso.",
    )


def _highlighted(highlights: Sequence[Highlight]) -> list[str]:
    """What to look at first, numbered."""
    if not highlights:
        return []
    lines = [
        f"{number}. {one.vehicle}: {one.amounts}. {one.sentence}".replace("\u00a0", " ")
        for number, one in enumerate(highlights, 1)
    ]
    return ["", "O que olhar primeiro:", *lines, ""]


def close_notice(cycle: Cycle, record: Mapping[str, Any], kpis: Mapping[str, Any], report: str) -> Notice:
    """A cycle is closed for good; `record` is its row of `ops.cycle_closes`, `kpis` sums of `mart.daily_kpis`."""
    lines = [
        f"Total a faturar: {_brl(_sum(record['total_variable_brl'], record['total_fixed_brl']))} "
        f"(variável {_brl(record['total_variable_brl'])}, parcela fixa {_brl(record['total_fixed_brl'])})",
        f"Km admitidos: {_km(record['total_km'])}",
        _divergences(kpis),
        _amounts(kpis),
        f"Manifesto (SHA-256): {record['manifest_sha256']}",
    ]
    return _notice(f"Ciclo de {day(cycle.start)} a {day(cycle.end)} fechado", lines, report)


def failure_notice(job: str, days: str, steps: Sequence[str], run_id: str) -> Notice:
    """A run failed. The exception stays in the run's log: it may quote a source's text about people."""
    steps_line = f"Etapas com erro: {', '.join(steps)}." if steps else "A execução terminou sem dizer em que etapa."
    return Notice(
        f"Execução falhou: {job}{days and f', {days}'}",
        f"{steps_line}\nO registro da execução {run_id} na interface do Dagster diz por quê; depois de "
        "corrigir, execute de novo.",
    )


def checks_notice(job: str, days: str, failed: Sequence[tuple[str, str, int]], run_id: str) -> Notice:
    """Checks that failed without stopping the run: name of the table, of the check, and partitions per check."""
    lines = [f"{table}, {check}: {_days(count)}" for table, check, count in failed]
    return Notice(
        f"Verificações com problema: {job}{days and f', {days}'}",
        "\n".join(
            [*lines, f"A execução {run_id} terminou; a página da tabela no Dagster mostra o motivo e o que fazer."]
        ),
    )


def late_notice(date: dt.date) -> Notice:
    """The D-1 report is not there at 07:30: half an hour is left."""
    return Notice(
        f"D-1 de {day(date)} ainda não está pronto às 07:30",
        "Veja no Dagster a execução das 05:30; se não houver nenhuma, o serviço daemon não está funcionando. Depois de "
        "corrigir a causa, execute o dia de novo.",
    )


def health_notice(problems: Sequence[str]) -> Notice:
    """What stands still in Dagster itself: the queue, a run, a schedule or sensor, a part of the daemon."""
    return Notice("Dagster: algo está parado", "\n".join(problems))


def _days(count: int) -> str:
    return "1 dia ou tabela inteira" if count == 1 else f"{count} dias"


def _notice(title: str, lines: Sequence[str], report: str) -> Notice:
    return Notice(title, "\n".join([*lines, f"Relatório: {report}"]))


def _divergences(kpis: Mapping[str, Any]) -> str:
    return f"Divergências acima da tolerância: {_count(kpis['exceeding_groups'])} de {_count(kpis['compared_groups'])}"


def _amounts(kpis: Mapping[str, Any]) -> str:
    """The four amounts side by side: they are never added up."""
    written = {name: "a apurar" if pd.isna(kpis[column]) else _brl(kpis[column]) for column, name in AMOUNTS.items()}
    first, *others = (f"{name}: {text}" for name, text in written.items())
    return "; ".join([first, *(text[0].lower() + text[1:] for text in others)])


def _sum(*values: Any) -> Decimal | None:
    known = [value for value in values if not pd.isna(value)]
    return sum(known, Decimal(0)) if known else None


def _brl(value: Any) -> str:
    return NO_DATA if pd.isna(value) else money(value).replace("\u00a0", " ")


def _km(value: Any) -> str:
    return NO_DATA if pd.isna(value) else f"{number(value)} km"


def _count(value: Any) -> str:
    return NO_DATA if pd.isna(value) else number(int(value), 0)

"""The pages of files: reports and carriers' copies to download.

Which of them a reader may have is decided in `access.report_files`; uploads are in `upload_pages`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response

from fleet_audit.access.report_files import listed_reports, report_content
from fleet_audit.access.web.files import download
from fleet_audit.access.web.filters import chosen_cycle, cycle_choices, cycle_words, cycles_of, names_of
from fleet_audit.access.web.site import Site
from fleet_audit.logic.primitives.cycles import cycle_of
from fleet_audit.reporting import locale
from fleet_audit.reporting.documents.carrier_copy import carrier_folder

_PATH = re.compile(r"reports/(?P<kind>d1|cycle)/(?:date|start)=(?P<day>\d{4}-\d\d-\d\d)/"
                   r"(?:carriers/(?P<folder>[^/]+)/)?(?P<stem>[^/.]+)\.(?P<form>[a-z0-9]+)")  # fmt: skip
_TITLES = {
    "d1": "Relatório D-1",
    "relatorio_mensal": "Relatório do ciclo",
    "pacote_medicao": "Pacote de medição",
    "pacote_medicao_adm_industria": "Medição – Adm-Indústria",
    "pacote_medicao_agricola": "Medição – Agrícola",
    "pacote_medicao_ajustes": "Ajustes",
    "pacote_medicao_cascata": "Cascata",
    "pacote_medicao_custo_por_veiculo": "Custo por veículo",
    "pacote_medicao_faturas": "Faturas",
    "pacote_medicao_glosas": "Glosas",
    "pacote_medicao_km_diario": "Km diário compilado",
    "pacote_medicao_memoria_de_calculo": "Memória de cálculo",
    "pacote_medicao_parametros": "Parâmetros",
    "pacote_medicao_resumo": "Resumo da operação",
}
_FORMS = {"xlsx": "Excel", "pdf": "PDF", "html": "HTML", "csv": "CSV"}


@dataclass(frozen=True)
class Report:
    """One report in its formats: (format, path)."""

    title: str
    formats: tuple[tuple[str, str], ...]


def add_file_pages(app: FastAPI, site: Site) -> None:
    """`/arquivos` and the download of one file."""

    @app.get("/arquivos")
    def files(request: Request, ciclo: dt.date | None = None) -> Response:
        with site.visit(request) as visit:
            listed = listed_reports(visit.session, site.lake)
            found = [match for path in listed if (match := _PATH.fullmatch(path))]
            days = sorted({_day(match) for match in found}, reverse=True)
            cycles = cycles_of(days, site.closing_day)
            cycle = chosen_cycle(cycles, ciclo)
            shown = [match for match in found if cycle and cycle_of(_day(match), site.closing_day) == cycle]
            return site.page(
                visit, "files.html.j2",
                groups=_groups(shown, names_of(site, visit).carriers), cycles=cycle_choices(cycles), cycle=cycle,
                cycle_words=cycle_words(cycle) if cycle else "",
            )  # fmt: skip

    @app.get("/arquivos/baixar/{path:path}")
    def file(request: Request, path: Annotated[str, Path(max_length=500)]) -> Response:
        with site.visit(request) as visit:
            content = report_content(visit.session, site.lake, path)
        return download(content, _download_name(path))


def _day(match: re.Match[str]) -> dt.date:
    return dt.date.fromisoformat(match["day"])


def _groups(reports: Iterable[re.Match[str]], carriers: Mapping[str, str]) -> list[tuple[str, list[Report]]]:
    """Reports of the cycle, of each carrier's copy, and of the days with the latest first, each in its formats."""
    names = {carrier_folder(code): name for code, name in carriers.items()}
    found: dict[tuple[int, str], dict[tuple[Any, str], list[tuple[str, str]]]] = {}
    for match in reports:
        stem, folder = match["stem"], match["folder"]
        title = _TITLES.get(stem, stem)
        place: Any = list(_TITLES).index(stem) if stem in _TITLES else len(_TITLES)
        group = (1, f"Cópia de {names.get(folder, folder)}") if folder else (0, "Ciclo inteiro")
        if match["kind"] == "d1":
            day = _day(match)
            group, title, place = (2, "Relatórios D-1"), locale.day(day), -day.toordinal()
        form = _FORMS.get(match["form"], match["form"].upper())
        found.setdefault(group, {}).setdefault((place, title), []).append((form, match.string.removeprefix("reports/")))
    return [
        (
            group[1],
            [Report(title, tuple(sorted(forms, key=_form_order))) for (_, title), forms in sorted(reports.items())],
        )
        for group, reports in sorted(found.items())
    ]


def _form_order(pair: tuple[str, str]) -> int:
    forms = list(_FORMS.values())
    return forms.index(pair[0]) if pair[0] in forms else len(forms)


def _download_name(path: str) -> str:
    """`2025-05-16_pacote_medicao.xlsx`: files of several cycles do not share a name."""
    match = _PATH.fullmatch(f"reports/{path}")
    return f"{match['day']}_{match['stem']}.{match['form']}" if match else path.rsplit("/", 1)[-1]

"""How fresh a day's data are: until when each source has data, and what is missing, as the report states it.

Words and order belong here; the counts come from what arrived.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.locale import REPORT_ZONE, counted, instant
from fleet_audit.reporting.sections.inputs import Frames, records

SOURCES = {
    "api": "Posições, API de telemetria",
    "file": "Posições, arquivos",
    "visit_report": "Relatório de visitas",
    "bulletin": "Boletins das transportadoras",
    "reference": "Cadastros e contratos",
}
FIELDS = (
    Field("source", "Fonte", width=28),
    Field("state", "Situação", width=24),
    Field("rows", "Linhas do dia", Kind.INTEGER, 11),
    Field("rows_rejected", "Recusadas", Kind.INTEGER, 10),
    Field("acceptance_pct", "Aceitas (%)", Kind.PERCENT, 10),
    Field("first_local", "Primeiro evento", Kind.MOMENT, 16),
    Field("last_local", "Último evento", Kind.MOMENT, 16),
    Field("received_local", "Última chegada de arquivo", Kind.MOMENT, 18),
)
_POSITIONS = {"api", "file"}
_MOST_PLATES = 30


def sources_grid(sources: pd.DataFrame) -> Grid:
    """One row per source, in the order given; instants on the clock of Brasília."""
    rows = records(sources)
    missing = _missing(rows)
    for row in rows:
        for name in ("first", "last", "received"):
            row[f"{name}_local"] = _local(row[f"{name}_at"])
        row["state"] = _state(row, row["source"] in missing)
        row["source"] = SOURCES[row["source"]]
    return grid_of(FIELDS, rows)


def missing_note(frames: Frames) -> str:
    """What the day lacks, in sentences: sources without a row, vehicles that stayed silent, by carrier."""
    sentences = [
        f"A API não respondeu em {instant(row['failed_at'])} (Brasília): podem faltar posições do dia."
        for row in records(frames.sources)
        if row["failed_at"]
    ]
    missing = [SOURCES[source] for source in _missing(records(frames.sources))]
    if missing:
        sentences.append(f"Nada recebido de: {'; '.join(missing)}.")
    low = [SOURCES[row["source"]] for row in records(frames.sources) if row["is_low"]]
    if low:
        sentences.append(f"Poucas linhas aceitas, o dia está incompleto: {'; '.join(low)}.")
    silent = frames.coverage[frames.coverage["status"] == "silent"].sort_values("plate")
    if len(silent):
        plates = ", ".join(silent["plate"].head(_MOST_PLATES))
        more = f" e mais {len(silent) - _MOST_PLATES}" if len(silent) > _MOST_PLATES else ""
        sentences.append(f"{counted(len(silent), 'veículo silencioso', 'veículos silenciosos')}: {plates}{more}.")
    if len(frames.coverage) and not sentences:
        sentences.append("Todas as fontes e veículos enviaram dados.")
    return " ".join(sentences)


def _missing(rows: list[dict[str, Any]]) -> list[str]:
    """Sources without data; of the two sources of positions one is enough."""
    silent = [row["source"] for row in rows if row["rows"] == 0]
    return silent if set(silent) >= _POSITIONS else [source for source in silent if source not in _POSITIONS]


def _state(row: dict[str, Any], is_missing: bool) -> str:
    if row["rows"] is None:
        return "em uso" if row["received_at"] else "nunca recebido"
    if row["failed_at"]:
        return "não respondeu"
    if row["is_low"]:
        return "aceitação baixa"
    return "nada recebido" if is_missing else "recebido" if row["rows"] else "não usado"


def _local(instant: Any) -> Any:
    return None if instant is None else instant.astimezone(ZoneInfo(REPORT_ZONE)).replace(tzinfo=None)

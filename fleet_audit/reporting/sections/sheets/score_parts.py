"""What the scores of a cycle are made of: one row per party and deduction, which sum exactly to the printed score.

The rows come from `logic.audit.score_contributions`; only order and words belong here.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fleet_audit.logic.audit.score_contributions import ROUNDING, score_contributions
from fleet_audit.logic.audit.scoring import FLOOR, START
from fleet_audit.logic.primitives.money import sum_decimal
from fleet_audit.reporting.document_model import Field, Grid, Kind, grid_of
from fleet_audit.reporting.labels import NO_CARRIER, NO_UNIT, rule_title
from fleet_audit.reporting.sections.inputs import Frames, names_of

FIELDS = (
    Field("party", "Score de", width=28),
    Field("entry", "Regra", width=12),
    Field("title", "Título", width=38),
    Field("trips", "Viagens", Kind.INTEGER, 8),
    Field("points", "Pontos", Kind.POINTS, 9),
)
NOTE = (
    "Cada viagem começa com 100 pontos e perde os de seus achados; o score é a média ponderada pelos km, e as linhas "
    "somam exatamente o score. Não tiram pontos: tarifa ou contrato ausente no cadastro (K01, V01), falhas de dados "
    "(Q), achados de um incidente cuja causa já os tirou e achados com exceção."
)
_WORDS = {
    START: ("Início", "Pontos com que cada viagem começa"),
    FLOOR: ("Piso", "Pontos devolvidos: nenhuma viagem fica abaixo de zero"),
    ROUNDING: ("Arredondam.", "Diferença do arredondamento das linhas"),
}


def score_parts_grid(frames: Frames, carrier_code: str | None = None) -> Grid:
    """The scores of the whole, of each unit and of each carrier; of a carrier's own copy without the carriers."""
    parties = [
        ("Frota" if carrier_code is None else "Total", score_contributions(frames.trips, frames.trip_scores, ()))
    ]
    units = names_of(frames.units, "unit_code")
    parties += _parties(frames, "unit_code", "Unidade", units, NO_UNIT)
    if carrier_code is None:
        carriers = names_of(frames.carriers, "carrier_code")
        parties += _parties(frames, "carrier_code", "Transportadora", carriers, NO_CARRIER)
    return _grid(parties)


def vehicle_score_parts_grid(frames: Frames) -> Grid:
    """The scores of each vehicle."""
    return _grid(_parties(frames, "plate", "", {}, ""))


def _parties(
    frames: Frames, column: str, kind: str, names: Mapping[str, str], unnamed: str
) -> list[tuple[str, pd.DataFrame]]:
    found = score_contributions(frames.trips, frames.trip_scores, [column])
    groups = found.groupby(column, sort=True, dropna=False)
    return [
        (f"{kind} {unnamed if pd.isna(code) else names.get(str(code), str(code))}".strip(), rows)
        for code, rows in groups
    ]


def _grid(parties: list[tuple[str, pd.DataFrame]]) -> Grid:
    rows = []
    for party, parts in parties:
        for part in parts.itertuples():
            entry, title = _WORDS.get(part.entry, (part.entry, rule_title(part.entry)))
            trips = None if part.entry == ROUNDING else part.trips
            rows.append({"party": party, "entry": entry, "title": title, "trips": trips, "points": part.points})
        if len(parts):
            rows.append({"party": party, "entry": "Score", "title": "Soma", "points": sum_decimal(parts["points"])})
    return grid_of(FIELDS, rows)

"""The headline cards: what a manager asks first, each number with one short sentence on what it excludes.

Wording belongs here; the figures come from `figures`.
"""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from fleet_audit.reporting.document_model import Card, Kind
from fleet_audit.reporting.labels import AMOUNT_NOTES, AMOUNTS
from fleet_audit.reporting.locale import NO_DATA, counted, money, number
from fleet_audit.reporting.sections.figures import Figures, unknown_name
from fleet_audit.reporting.sections.listings import severity_counts

_SEVERITY_WORDS = {"C": "crítico", "H": "alto", "M": "médio", "L": "baixo"}


def headline(figures: Figures, findings: pd.DataFrame, *, spent: str) -> tuple[Card, ...]:
    """The cards, first the one called `spent` (what the period cost); the four amounts stand apart, never added up."""
    return (
        Card(spent, figures.total_brl, Kind.BRL, _cost_note(figures)),  # spending is not an alarm
        Card("Km medidos", figures.km, Kind.KM, _km_note(figures)),
        Card("Viagens", figures.trips, Kind.INTEGER, _trips_note(figures)),
        Card("Veículos vistos", figures.seen, Kind.INTEGER, _seen_note(figures), bool(figures.silent)),
        Card(
            "Divergências acima da tolerância",
            figures.exceeding,
            Kind.INTEGER,
            _compared_note(figures),
            bool(figures.exceeding),
        ),
        *(_amount_card(figures, name) for name in AMOUNTS),
        Card("Score de conformidade", figures.score, Kind.SCORE, _findings_note(findings)),
    )


def _brl(value: Decimal | None) -> str:
    return NO_DATA if value is None else money(value)


def _km(value: Decimal | None) -> str:
    return NO_DATA if value is None else f"{number(value)} km"


def _cost_note(figures: Figures) -> str:
    note = f"variável {_brl(figures.variable_brl)} + parcela fixa {_brl(figures.fixed_brl)}"
    if figures.unpriced:
        note += f"; não inclui {counted(figures.unpriced, 'viagem sem preço', 'viagens sem preço')}"
    return note


def _km_note(figures: Figures) -> str:
    if figures.km is None:
        return "nenhuma viagem medida"
    doubt = f"± {_km(figures.km_doubt)}; " if figures.km_doubt else ""
    return f"{doubt}serviço {_km(figures.service_km)} · vazio {_km(figures.deadhead_km)}"


def _trips_note(figures: Figures) -> str:
    if figures.trips is None:
        return "nenhuma viagem medida"
    note = f"{number(figures.service_trips or 0, 0)} de serviço"
    if figures.yard_trips:
        note += f"; mais {counted(figures.yard_trips, 'manobra de pátio', 'manobras de pátio')}"
    return note


def _seen_note(figures: Figures) -> str:
    if figures.vehicle_days is None:
        return "cobertura desconhecida"
    partial = (figures.seen or 0) - (figures.complete or 0)
    note = f"de {number(figures.vehicle_days, 0)}; {counted(figures.silent or 0, 'silencioso', 'silenciosos')}"
    return note + (f", {counted(partial, 'visto em parte', 'vistos em parte')}" if partial else "")


def _compared_note(figures: Figures) -> str:
    if figures.compared is None:
        return "nenhuma corrida comparada"
    note = "em " + counted(figures.compared, "grupo comparado", "grupos comparados")
    if not figures.exceeding:
        return note
    return f"{note}; {_km(figures.over_km)} a mais, {_km(figures.under_km)} a menos"


def _amount_card(figures: Figures, name: str) -> Card:
    value = getattr(figures, name)
    note = AMOUNT_NOTES[name]
    if name == "held_brl" and figures.held:
        note = f"{counted(figures.held, 'corrida', 'corridas')} sem viagem, {_km(figures.held_km)} declarados"
    unknown = getattr(figures, unknown_name(name))
    note += unknown_note(unknown)
    is_alert = bool(value or unknown) and name != "in_favour_brl"  # what is owed to the carrier accuses nobody
    return Card(AMOUNTS[name], value, Kind.BRL, note, is_alert, missing="a apurar" if unknown else NO_DATA)


def unknown_note(vehicles: int | None) -> str:
    """What follows an amount of which the part of some vehicles is unknown."""
    return f"; {counted(vehicles, 'veículo', 'veículos')} com valor a apurar" if vehicles else ""


def _findings_note(findings: pd.DataFrame) -> str:
    counts = severity_counts(findings)
    by_severity = ", ".join(
        counted(counts[code], one, f"{one}s") for code, one in _SEVERITY_WORDS.items() if counts[code]
    )
    return f"de 100; achados: {by_severity or 'nenhum'}"

"""Sources that contradict themselves (Q05: notes of files, resets, doubtful devices) or change inside a cycle (Q04).

Contradictions of files are found in `formats`, those of devices in `device_health`.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.day.declarations.bulletin import (
    mistyped_readings,
    numbers_with_two_meanings,
    runs_without_km,
)
from fleet_audit.logic.audit.rules.day.devices import clocks_off_by_minutes, device_contradictions
from fleet_audit.logic.audit.rules.day.needs import RUNS, TRIPS
from fleet_audit.logic.audit.rules.day.odometer import resets
from fleet_audit.logic.audit.rules.draft import Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.audit.rules.rule import Need, Rule
from fleet_audit.logic.audit.written_times import departs_in_repeated_hour

_SOURCE = {
    "visit_report": "O relatório de visita",
    "bulletin": "O boletim",
    "telemetry": "O arquivo de telemetria",
    "positions": "A página da API",
}
_WHAT = {
    "total_km_mismatch": "tem uma linha de totais que difere da soma dos km",
    "total_driving_mismatch": "tem uma linha de totais que difere da soma dos tempos de condução",
    "total_stopped_mismatch": "tem uma linha de totais que difere da soma dos tempos parados",
    "duration_mismatch": "tem um tempo de condução que difere da chegada menos a saída",
    "plate_form": "escreve a placa na outra forma (antiga ou Mercosul) do mesmo veículo",
    "plate_spelling": "escreve a placa de mais de uma forma",
    "arrival_unreadable": "tem um horário de chegada que daria uma corrida de mais de 16 horas e não foi usado",
    "gps_week_rollover": "tem posições com a data 1.024 semanas fora, pois a contagem de semanas do GPS do equipamento "
    "recomeçou; elas foram recusadas, nada disso é atribuído à transportadora, e o equipamento precisa ser atualizado",
    "wrong_type": "tem, em pelo menos metade das posições do dia, valores cujo tipo ou unidade não é o do campo e que "
    "por isso contam como ausentes; nada disso é atribuído à transportadora, e a API, o adaptador ou o "
    "arquivo precisa ser corrigido",
    "outside_window": "tem um movimento fora do período que o título informa",
}


def source_contradictions(context: AuditDay) -> list[Draft]:
    """Q05: notes of D, odometer resets, devices and bulletins that contradict themselves, clocks off by minutes."""
    notes = _without_repeated_hours(context, context.of_day(context.notes, "date")).to_dict("records")
    return [
        *(_draft(note) for note in notes),
        *resets(context),
        *device_contradictions(context),
        *clocks_off_by_minutes(context),
        *numbers_with_two_meanings(context),
        *mistyped_readings(context),
        *runs_without_km(context),
    ]


def _without_repeated_hours(context: AuditDay, notes: pd.DataFrame) -> pd.DataFrame:
    """The notes without early arrivals in the hour that a clock change repeats: these contradict nothing."""
    runs = context.runs.reset_index(drop=True)
    zones = runs["plate"].map(context.zone)
    repeated = runs[departs_in_repeated_hour(runs, zones)]
    rows = set(zip(repeated["file_sha256"], repeated["row_number"], strict=True))
    is_repeated = [row in rows for row in zip(notes["file_sha256"], notes["row_number"], strict=True)]
    return notes[~((notes["note_code"] == "arrival_unreadable").to_numpy() & np.array(is_repeated, dtype=bool))]


def reference_changed(context: AuditDay) -> list[Draft]:
    """Q04: each change of reference data inside an open cycle whose last touched day is D. Nothing is at stake yet."""
    return [_changed(change) for change in context.of_day(context.reference_changes, "finding_date").to_dict("records")]


def _changed(change: Record) -> Draft:
    first, last = (f"{change[name]:%d/%m/%Y}" for name in ("first_date", "last_date"))
    shown = ("change_id", "table_name", "recorded_at", "file_name", "file_sha256", "previous_sha256", "first_date",
            "last_date", "rows_added", "rows_removed", "cycle_start")  # fmt: skip
    return Draft(
        "Q04",
        None,
        f"O cadastro {change['table_name']} mudou dentro do ciclo aberto de {change['cycle_start']:%d/%m/%Y} (arquivo "
        f"{change['file_name']}): linhas novas ou alteradas: {change['rows_added']}; retiradas ou substituídas: "
        f"{change['rows_removed']}; com efeito em dias de {first} a {last}.",
        1.0,
        facts={name: change[name] for name in shown} | {"changes": json.loads(change["changes"])},
        extra=(change["change_id"],),
    )


def _draft(note: Record) -> Draft:
    plate = None if pd.isna(note["plate"]) else note["plate"]
    of_plate = f" (veículo {plate})" if plate else ""
    said = {name: "sem valor" if pd.isna(note[name]) else note[name] for name in ("expected", "found")}
    return Draft(
        "Q05",
        plate,
        f"{_SOURCE[note['source_kind']]} {note['file_name']}, linha {note['row_number']}{of_plate}, "
        f"{_WHAT.get(note['note_code'], note['note_code'])}: esperado {said['expected']}, encontrado {said['found']}.",
        1.0,
        km_at_stake=None if pd.isna(note["difference_km"]) else abs(note["difference_km"]),
        facts=dict(note),
        extra=(note["note_code"], note["file_sha256"], note["file_name"], str(note["row_number"])),
    )


def _has_anything(context: AuditDay) -> bool:
    is_there = RUNS.is_met(context) or TRIPS.is_met(context)
    return is_there or len(context.notes) > 0 or len(context.devices.health) > 0


RULES = (
    Rule(
        "Q04",
        "1",
        "M",
        "Cadastro alterado em ciclo aberto",
        "Dados de referência mudaram dentro de um ciclo aberto: os dias que eles alcançam são calculados de novo.",
        "K",
        reference_changed,
    ),
    Rule(
        "Q05",
        "14",
        "L",
        "Fonte contradiz a si mesma",
        "Uma parte do que foi recebido contradiz outra: totais, aritmética, ou o equipamento a si mesmo.",
        "V/B/P",
        source_contradictions,
        needs=(Need(_has_anything, "nenhum arquivo cobre o dia"),),
    ),
)

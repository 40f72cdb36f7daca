"""Faulty devices (Q05): another unit, a wrong clock, a stuck receiver, no true fix, rounded
coordinates, two devices that disagree.

Faults are found in `device_health`; a device that only lacks a field (odometer, ignition) contradicts nothing and
stays a row of `fact.device_health`.
"""

from __future__ import annotations

import numpy as np

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.day.context import AuditDay
from fleet_audit.logic.audit.rules.draft import DEVICE_CONFIDENCE, Draft
from fleet_audit.logic.audit.rules.row_records import Record
from fleet_audit.logic.primitives.cycles import as_days

_UNITS = {
    "odometer_metres": "metros",
    "odometer_miles": "milhas",
    "odometer_tenths": "décimos de quilômetro",
    "odometer_tens": "dezenas de quilômetros",
}
_MINUTES = ("clock_min_runs", "clock_min_s", "clock_max_s", "clock_spread_s")
_PARAMETERS = {
    "odometer_metres": ("unit_tolerance_pct",),
    "odometer_miles": ("unit_tolerance_pct",),
    "odometer_tenths": ("unit_tolerance_pct",),
    "odometer_tens": ("unit_tolerance_pct",),
    "odometer_unit_changes": ("impossible_kmh", "odometer_slack_km"),
    "odometer_erratic": ("fall_km",),
    "clock_shift": ("clock_min_runs", "clock_fit_s", "clock_step_s"),
    "constant_place": ("constant_place_points", "parked_count_km"),
    "no_true_fix": ("constant_place_points", "farthest_fix_km"),
    "rounded_coordinates": ("constant_place_points", "stop_radius_m"),
    "other_clock": ("gap_note_s", "compare_step_s", "outlier_m"),
    "other_vehicle": ("gap_note_s", "outlier_m"),
    "devices_disagree": ("agree_pct", "agree_km"),
}


def device_contradictions(context: AuditDay) -> list[Draft]:
    """Q05: each device of D that contradicts the vehicle, its declared runs or its odometer. Nothing is corrected."""
    return [
        _draft(context, device, issue)
        for device in context.devices.health.sort_values(["plate", "device_id"]).to_dict("records")
        for issue in device["issues"]
        if issue in _PARAMETERS
    ]


def _draft(context: AuditDay, device: Record, issue: str) -> Draft:
    return Draft(
        "Q05",
        device["plate"],
        f"O equipamento {device['device_id']} do veículo {device['plate']} {_what(device, issue)}; nada foi corrigido: "
        "o cadastro ou o equipamento precisa ser ajustado.",
        DEVICE_CONFIDENCE,
        facts={"issue": issue, "device": {name: value for name, value in device.items() if name != "issues"}},
        thresholds={name: getattr(context.parameters, name) for name in _PARAMETERS[issue]},
        extra=(issue, device["device_id"]),
    )


def _what(device: Record, issue: str) -> str:
    if issue == "clock_shift":
        hours = int(device["clock_shift_h"])
        side = "adiantado" if hours > 0 else "atrasado"
        return (
            f"tem o relógio {abs(hours)} h {side} em relação a {int(device['clock_runs'])} corridas declaradas ou "
            "relatadas, que coincidem com as viagens medidas nesse deslocamento"
        )
    if issue == "odometer_unit_changes":
        return (
            f"informou {int(device['other_unit_readings'])} leituras do hodômetro em outra unidade (décimos, dezenas "
            "de quilômetros ou metros) nesse dia, e nenhum km as usa"
        )
    if issue == "odometer_erratic":
        return (
            "informa como hodômetro um valor que sobe e desce o tempo todo, como uma velocidade na coluna do hodômetro "
            "ou um contador com ruído: não é um hodômetro, e as viagens são medidas por GPS"
        )
    if issue == "constant_place":
        return f"repetiu a mesma coordenada em {device['located']} posições do dia enquanto o hodômetro contava"
    if issue == "no_true_fix":
        return (
            f"informou {device['located']} posições do dia sem nenhuma coordenada verdadeira: elas estão em (0, 0), "
            "fora dos limites ou longe demais de todos os locais cadastrados, como acontece quando latitude e "
            "longitude vêm trocadas, sem o sinal ou em outra unidade"
        )
    if issue == "rounded_coordinates":
        return (
            "informou as coordenadas arredondadas a duas casas decimais ou menos (1 km ou mais) na maioria das "
            f"{device['located']} posições do dia: sozinhas, elas não comprovam a maioria dos locais nem permitem "
            "conferir o hodômetro"
        )
    if issue == "other_clock":
        return (
            "mostra em outro horário os mesmos movimentos que o equipamento "
            f"{device['primary_device_id']}, que mede as viagens do veículo nesse dia: o relógio de um dos dois está "
            "errado, e as posições deste só medem km enquanto nenhum outro equipamento transmite"
        )
    if issue == "other_vehicle":
        return (
            f"não se moveu com o equipamento {device['primary_device_id']}, que mede as viagens do veículo nesse dia: "
            "um dos dois percorreu um trajeto enquanto o outro, sem transmitir, permaneceu no mesmo local e o "
            "hodômetro não o contou; um deles pode estar em outro veículo, e nenhum km usa as posições deste"
        )
    if issue == "devices_disagree":
        return (
            f"contou {sentences.number(device['km_counted'], 1)} km enquanto o equipamento "
            f"{device['primary_device_id']}, que mede as viagens do veículo nesse dia, contou "
            f"{sentences.number(device['km_primary'], 1)} km no mesmo período"
        )
    unit = _UNITS[issue]
    ratio = sentences.number(device["odometer_ratio"], 3)
    return f"informa o hodômetro em {unit} (razão hodômetro/GPS de {ratio}), e não em quilômetros"


def clocks_off_by_minutes(context: AuditDay) -> list[Draft]:
    """Q05: each vehicle whose runs of D differ from its trips by one offset; they were matched shifted by it."""
    offsets = context.clock_offsets[as_days(context.clock_offsets["day"]) == np.datetime64(context.day)]
    return [_minutes(context, row) for row in offsets.to_dict("records")]


def _minutes(context: AuditDay, offset: Record) -> Draft:
    minutes = offset["offset_s"] / 60
    side = "depois" if minutes > 0 else "antes"
    return Draft(
        "Q05",
        offset["plate"],
        f"Em {sentences.day(context.day)}, {offset['runs']} viagens medidas do veículo {offset['plate']} ocorreram "
        f"{sentences.number(abs(minutes), 0)} min {side} dos horários das atas: o relógio do rastreador ou o da "
        "garagem está fora de hora, e as atas foram comparadas com esse deslocamento.",
        DEVICE_CONFIDENCE,
        facts={"issue": "clock_minutes", "offset_s": offset["offset_s"], "runs": offset["runs"]},
        thresholds={name: getattr(context.parameters, name) for name in _MINUTES},
        extra=("clock_minutes",),
    )

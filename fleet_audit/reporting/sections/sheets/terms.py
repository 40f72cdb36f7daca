"""PARÂMETROS: inputs of a package: closing, versions, contracts, tariffs, fixed amounts, parameters.

One list of groups, names, values and words, equal as a sheet and as CSV.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from fleet_audit.logic.costs.parallel_contracts import parallel_fixed_costs
from fleet_audit.logic.primitives.cycles import Cycle, as_days
from fleet_audit.logic.reference.validity import validity
from fleet_audit.reporting import locale
from fleet_audit.reporting.document_model import Field, Grid, grid_of
from fleet_audit.reporting.labels import AREAS, CONTRACT_KINDS, REGIMES, VEHICLE_CLASSES
from fleet_audit.reporting.parameter_labels import parameter_label, parameter_unit
from fleet_audit.reporting.sections.closing import Closing
from fleet_audit.reporting.sections.inputs import Frames, names_of, records

FIELDS = (
    Field("group", "Grupo", width=16),
    Field("name", "Nome", width=30),
    Field("value", "Valor", width=36),
    Field("detail", "Descrição", width=84),
)
_DEADHEAD = {"unpaid": "vazio não pago", "paid": "vazio pago", "capped": "vazio pago até um teto"}
_RULES = (
    ("Linha", "uma por veículo, contrato, área, tipo, regime e tarifa"),
    ("Km Rodado", "km admitidos (medidos e faturáveis) das viagens com preço"),
    ("Custo Variável", "tarifa em R$/km"),
    (
        "Total Variável",
        "soma dos custos das viagens; cada viagem é arredondada ao centavo, por isso pode diferir em centavos de "
        "Km Rodado × Custo Variável",
    ),
    ("Custo Fixo", "valor mensal do contrato; informativo, não é somado"),
    ("Parcela", "o que o ciclo deve do valor mensal: valor × dias em vigor ÷ dias do ciclo"),
    ("Área da viagem", "serviço: frente é Agrícola, usina é Adm-Indústria; vazio pago: área padrão do veículo"),
    (
        "Área do fixo",
        "inteiro em uma linha: da área padrão do veículo; sem ela, da área em que mais rodou; sem nenhuma, "
        "Adm-Indústria",
    ),
)


def terms_grid(frames: Frames, cycle: Cycle, closing: Closing, parameters: pd.DataFrame | None = None) -> Grid:
    """The list; of reference rows those that hold on a day of the cycle, of `ops.parameter_versions` those given."""
    rows = [
        *(("Ciclo", name, value, "") for name, value in _cycle(cycle, closing)),
        *(("Como ler", name, "", words) for name, words in _RULES),
        *contract_rows(frames, cycle),
        *tariff_rows(frames, cycle),
        *_fixed_costs(frames, cycle),
        *([] if parameters is None else parameter_rows(parameters)),
    ]
    names = [entry.name for entry in FIELDS]
    return grid_of(FIELDS, [dict(zip(names, (text or None for text in row), strict=True)) for row in rows])


def _cycle(cycle: Cycle, closing: Closing) -> Iterator[tuple[str, str]]:
    yield "Período", f"{locale.day(cycle.start)} a {locale.day(cycle.end)} ({cycle.length} dias)"
    yield "Situação", "FINAL" if closing.is_final else "PROVISÓRIO"
    yield "Fechado em", "não fechado" if closing.closed_at is None else locale.instant(closing.closed_at)
    yield "Manifesto (SHA-256)", closing.manifest_sha256 or "sem manifesto: o ciclo não foi fechado"
    yield "Arquivo do manifesto", closing.manifest_path or ""
    if closing.total_brl is not None:
        yield "Total no fechamento", locale.money(closing.total_brl)
    yield "Versão do código", closing.code_version or ""
    yield "Versão dos parâmetros", closing.parameters_version or ""


def contract_rows(frames: Frames, cycle: Cycle) -> Iterator[tuple[str, str, str, str]]:
    """Contracts that hold on a day of the cycle."""
    carriers, units = names_of(frames.carriers, "carrier_code"), names_of(frames.units, "unit_code")
    for row in _in_force(frames.contracts, cycle):
        cap = row["deadhead_cap_pct"]
        rule = _DEADHEAD[row["deadhead_rule"] or "unpaid"] + ("" if cap is None else f" de {locale.plain(cap)} %")
        tolerances = [
            f"{words} {locale.plain(row[name])} {unit}"
            for name, words, unit in (
                ("trip_tolerance_pct", "viagem", "%"),
                ("trip_tolerance_km", "viagem", "km"),
                ("day_tolerance_pct", "dia", "%"),
                ("cycle_tolerance_pct", "ciclo", "%"),
            )
            if row[name] is not None
        ]
        yield (
            "Contrato",
            row["contract_id"],
            CONTRACT_KINDS.get(row["kind"], ""),
            "; ".join(
                [
                    carriers.get(row["carrier_code"], row["carrier_code"]),
                    units.get(row["unit_code"], row["unit_code"]),
                    rule,
                    f"tolerâncias: {', '.join(tolerances) or 'as dos parâmetros'}",
                    _validity(row),
                ]
            ),
        )


def tariff_rows(frames: Frames, cycle: Cycle) -> Iterator[tuple[str, str, str, str]]:
    """Tariffs that hold on a day of the cycle."""
    for row in _in_force(frames.tariffs, cycle):
        keys = (
            ("rota", row["route_code"]),
            ("tipo", VEHICLE_CLASSES.get(row["vehicle_class"], row["vehicle_class"])),
            ("área", AREAS.get(row["area"], row["area"])),
            ("regime", REGIMES.get(row["regime"], row["regime"])),
        )
        of_keys = [f"{word} {value or 'qualquer'}" for word, value in keys]
        yield (
            "Tarifa",
            row["tariff_id"],
            f"R$ {locale.rate(row['rate_brl_per_km'])} por km",
            "; ".join([f"contrato {row['contract_id']}", *of_keys, _validity(row)]),
        )


def _fixed_costs(frames: Frames, cycle: Cycle) -> Iterator[tuple[str, str, str, str]]:
    parallel = parallel_fixed_costs(
        cycle, cycle.end, frames.fixed_costs, frames.contracts, frames.vehicles, frames.trips
    )
    notes: dict[int, list[str]] = {}
    for note in parallel.itertuples():
        notes.setdefault(note.row, []).append(_parallel_note(note))
    positions = np.flatnonzero(_is_in_force(frames.fixed_costs, cycle)).tolist()
    for position, row in zip(positions, _in_force(frames.fixed_costs, cycle), strict=True):
        yield (
            "Custo fixo",
            row["plate"],
            f"{locale.money(row['amount_brl_per_month'])} por mês",
            "; ".join([f"contrato {row['contract_id']}", _validity(row), *notes.get(position, [])]),
        )


def _parallel_note(row: Any) -> str:
    """Where fixed amounts of several contracts of one vehicle meet: whether this one is paid."""
    period = f"de {_day(row.date_from)} a {_day(row.date_to)}"
    if row.is_paid:
        return f"pago {period} também sob o contrato {row.other_contract_id}: confira"
    return f"não pago {period}: o veículo está no contrato {row.other_contract_id}"


def parameter_rows(parameters: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """Rows of `ops.parameter_versions`."""
    for row in records(parameters.sort_values(["parameters_version", "name"], kind="stable")):
        value = locale.plain(Decimal(str(row["value"])))
        origin = "padrão" if row["origin"] == "default" else "alterado em ref.parameters"
        yield (
            "Parâmetro",
            row["name"],
            f"{value} {parameter_unit(row['unit'])}".strip(),
            f"{parameter_label(row['name'])}; {origin}; versão {row['parameters_version']}",
        )


def _in_force(frame: pd.DataFrame, cycle: Cycle) -> list[dict[str, Any]]:
    """The rows that hold on some day of the cycle, in the table's order."""
    return records(frame[_is_in_force(frame, cycle)])


def _is_in_force(frame: pd.DataFrame, cycle: Cycle) -> np.ndarray:
    starts, ends = validity(frame)
    held: np.ndarray = (starts <= as_days(cycle.end)) & (as_days(cycle.start) <= ends)
    return held


def _validity(row: dict[str, Any]) -> str:
    start, end = (_day(row[name]) for name in ("valid_from", "valid_to"))
    if start and end:
        return f"vigente de {start} a {end}"
    return f"vigente desde {start}" if start else f"vigente até {end}" if end else "vigente sempre"


def _day(value: dt.date | None) -> str:
    return "" if value is None else locale.day(value)

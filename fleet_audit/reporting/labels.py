"""The Portuguese words for the codes that frames carry: severities, purposes, classes, statuses, rules.

Only words belong here; the effect of a code on money or score is decided elsewhere.
"""

from __future__ import annotations

from fleet_audit.logic.audit.rules import sentences
from fleet_audit.logic.audit.rules.registry import TITLES

SEVERITIES = {"C": "Crítica", "H": "Alta", "M": "Média", "L": "Baixa"}
SEVERITY_RANK = {code: rank for rank, code in enumerate(SEVERITIES)}  # the gravest first
PURPOSES = {
    "service": "serviço",
    "deadhead": "vazio",
    "maintenance": "manutenção",
    "yard": "pátio",
    "unknown": "sem finalidade",
}
BILLED_PURPOSES = {"deadhead": "vazio pago"}  # what the contract pays has a label of its own
KM_METHODS = {"odometer": "hodômetro", "gps": "GPS", "report": "relatório"}
ODOMETER_EVENTS = {
    "fall": "recuo",
    "reset": "reinício",
    "jump": "salto",
    "frozen": "hodômetro parado",
    "parked": "contagem com rastreador parado",
}
VEHICLE_CLASSES = {code: name.capitalize() for code, name in sentences.VEHICLE_CLASSES.items()}
AREAS = {"AGR": "Agrícola", "IND": "Adm-Indústria"}
REGIMES = {"municipal": "Municipal", "intermunicipal": "Intermunicipal"}
CONTRACT_KINDS = {"contrato": "Contrato", "spot": "Spot"}
COST_STATUSES = {
    "priced": "com preço",
    "no_contract": "sem contrato",
    "no_tariff": "sem tarifa",
    "ambiguous_tariff": "tarifa ambígua",
    "not_billable": "não faturável",
}
LINE_STATUSES = {
    "billed": "faturada",
    "nothing_billed": "veículo visto e nada faturado",
    "unpriced": "só viagens sem preço",
    "no_data": "veículo sem dado",
}
UNPRICED = ("no_contract", "no_tariff", "ambiguous_tariff")
DAY_TYPES = {"util": "útil", "sabado": "sábado", "domingo": "domingo", "feriado": "feriado"}
COVERAGE = {"complete": "Completa", "partial": "Parcial", "silent": "Silencioso"}
FINDING_STATUSES = {"open": "Aberto", "excepted": "Com exceção", "reversed": "Revertido"}
HELD_REASONS = {
    "phantom": "Veículo observado e parado",
    "no_trip": "Observado em parte, sem viagem",
    "no_data": "Veículo sem dado",
    "not_observed": "Veículo não observado (rastreador parado)",
    "clock": "Relógio do rastreador fora de hora",
    "date_uncertain": "Data incerta",
    "source_missing": "Fonte de dados incompleta",
    "place_unproven": "Local não comprovado pelas coordenadas",
    "trip_cut": "Viagem vista só em parte, por lacuna de posições",
    "other_carrier": "Declarada por transportadora que não é a do veículo",
}
NO_UNIT, NO_CARRIER, NO_ROUTE = "(sem unidade)", "(sem transportadora)", "(sem rota)"

# Labels of the four amounts, which are never added up; `AMOUNT_NOTES` explains each.
AMOUNTS = {
    "paid_doubtful_brl": "Pago e em dúvida",
    "disallowed_brl": "Glosa",
    "held_brl": "Retido",
    "in_favour_brl": "A favor da transportadora",
}
AMOUNT_NOTES = {
    "paid_doubtful_brl": "a pagar pelos fatos, com evidência de que se deve menos",
    "disallowed_brl": "declarado além do admitido: não é pago",
    "held_brl": "declarado e não verificável: aguarda",
    "in_favour_brl": "devido além do declarado, medido a menos, ou estimado para km sem preço",
}

# Of a cycle the waterfall's line of that name: an estimate for km without a price is in no line.
CYCLE_AMOUNT_NOTES = AMOUNT_NOTES | {
    "in_favour_brl": "admitido além do declarado, como na cascata; km sem preço à parte"
}
UNPRICED_RULES = ("K01", "V01")  # of a day: km without a tariff or contract; K01 of a cycle is about an invoice

CAUSES = {
    "own_gap": "Falha nossa de dados",
    "exchange": "Equipamentos trocados",
    "tracker_off": "Rastreador fora do veículo",
    "clock": "Relógio do rastreador",
    "odometer": "Hodômetro alterado",
    "declared_run": "Corrida declarada",
    "single": "Achado isolado",
}


def amount_basis(rule_id: str, cycle_start: object) -> str:
    """At which price a finding's amount is: km that have none are estimated."""
    is_estimate = rule_id in UNPRICED_RULES and cycle_start is None
    return "estimativa pela tarifa mais próxima" if is_estimate else "pela tarifa que se aplica"


def rule_title(rule_id: str) -> str:
    """Short Portuguese title of a rule; else its id."""
    return TITLES.get(rule_id, rule_id)

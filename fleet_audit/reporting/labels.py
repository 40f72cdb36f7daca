"""The Portuguese words for the codes that frames carry: severities, purposes, classes, statuses, rules.

Only words belong here; what a code means for money or score is decided elsewhere.
"""

from __future__ import annotations

SEVERITIES = {"C": "Crítica", "H": "Alta", "M": "Média", "L": "Baixa"}
PURPOSES = {
    "service": "serviço",
    "deadhead": "vazio",
    "maintenance": "manutenção",
    "yard": "pátio",
    "unknown": "sem finalidade",
}
VEHICLE_CLASSES = {"onibus": "Ônibus", "micro": "Micro-ônibus", "van": "Van"}
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
UNPRICED = ("no_contract", "no_tariff", "ambiguous_tariff")
COVERAGE = {"complete": "Completa", "partial": "Parcial", "silent": "Silencioso"}
FINDING_STATUSES = {"open": "Aberto", "excepted": "Com exceção"}
HELD_REASONS = {
    "phantom": "Veículo observado e parado",
    "no_trip": "Observado em parte, sem viagem",
    "no_data": "Veículo sem dado",
}
PARAMETER_UNITS = {  # km, %, s and the like are the same word
    "days": "dias",
    "months": "meses",
    "points": "pontos",
    "runs": "corridas",
    "factor": "(fator)",
    "probability": "(probabilidade)",
}
NO_UNIT, NO_CARRIER, NO_ROUTE = "(sem unidade)", "(sem transportadora)", "(sem rota)"

# Money that a rule shows as owed to the carrier; every other rule speaks of money that it may have been paid too much.
UNDERPAYMENT_RULES = frozenset({"D04", "D07"})

RULES = {
    "D01": "Declarado acima do medido, viagem",
    "D02": "Declarado acima do medido, dia do veículo",
    "D03": "Declarado acima do medido, ciclo do veículo",
    "D04": "Declarado abaixo do medido",
    "D05": "Corrida fantasma",
    "D06": "Corrida sem viagem, não verificável",
    "D07": "Viagem medida e não declarada",
    "D08": "Corrida declarada duas vezes",
    "D09": "Corrida cobrada em dois ciclos",
    "D10": "Hodômetro declarado sem continuidade",
    "D11": "KM ROTA diferente de chegada menos saída",
    "D12": "Data declarada contradiz os horários",
    "O01": "Hodômetro recua",
    "O02": "Hodômetro salta",
    "O03": "GPS anda, hodômetro parado",
    "O04": "Hodômetro anda, GPS parado",
    "O05": "Hodômetro e GPS discordam",
    "O07": "Rastreador se comporta como outro veículo",
    "O08": "Hodômetro continua o de outra placa",
    "G01": "Velocidade impossível",
    "G02": "Trecho começa longe do fim do anterior",
    "G03": "Lacuna dentro de viagem faturada",
    "G05": "Mesmo traçado em outro dia",
    "G06": "Desvio da rota",
    "G07": "Parada longa em local desconhecido",
    "G08": "Destino declarado não visitado",
    "T01": "Veículo em duas viagens ao mesmo tempo",
    "T02": "Motorista em dois veículos ao mesmo tempo",
    "T03": "Serviço fora de todos os turnos",
    "T04": "Serviço em dia fora do plano",
    "T05": "Mais viagens que o planejado",
    "T06": "Menos viagens que o planejado",
    "V01": "Veículo sem contrato válido",
    "V02": "Cobrado em classe mais cara",
    "V03": "Reserva e titular com fixo cobrado",
    "V04": "Custo fixo sem operação",
    "V05": "Lotação acima ou sempre igual aos assentos",
    "V06": "Corrida vazia declarada como serviço",
    "K01": "Sem tarifa, tarifa ambígua ou fatura divergente",
    "K03": "Deslocamento vazio em excesso",
    "K05": "Arredondamento sempre para cima",
    "S01": "Últimos dígitos não uniformes",
    "S03": "Km declarado constante",
    "S05": "Fora do padrão da rota",
    "Q02": "Veículos-dia sem dado",
    "Q03": "Linhas perdidas entre etapas",
    "Q04": "Cadastro alterado em ciclo aberto",
    "Q05": "Fonte contradiz a si mesma",
}


def rule_title(rule_id: str) -> str:
    """Short Portuguese title of a rule; a rule that has none yet is called by its id."""
    return RULES.get(rule_id, rule_id)

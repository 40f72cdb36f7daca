"""The rules of one operational day: number, version, severity, what each proves and which sources it needs.

How a rule decides is in the module of its family; those of a cycle, which judge sums, are a registry of their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule. `sources`: P positions, V visit report, B bulletin, K contract data; `/` either, `+` both."""

    rule_id: str
    version: str
    severity: str
    title_pt: str
    proves_pt: str
    sources: str


_RULES = (
    Rule(
        "D01",
        "1",
        "H",
        "Km declarado acima do medido",
        "Um grupo de atas declara mais km do que as viagens medidas no mesmo horário, acima da tolerância.",
        "P/V+B",
    ),
    Rule(
        "D02",
        "1",
        "C",
        "Km declarado acima do medido no dia",
        "A soma do dia do veículo declara mais km do que a medida nas mesmas corridas, acima da tolerância.",
        "P/V+B",
    ),
    Rule(
        "D04",
        "1",
        "M",
        "Km declarado abaixo do medido",
        "Um grupo de atas declara menos km do que as viagens medidas no mesmo horário, acima da tolerância.",
        "P/V+B",
    ),
    Rule(
        "D05",
        "1",
        "C",
        "Corrida fantasma",
        "A corrida foi declarada, mas o veículo foi observado nesse horário e não se moveu.",
        "P/V+B",
    ),
    Rule(
        "D06",
        "1",
        "H",
        "Corrida declarada sem viagem",
        "Nenhuma viagem medida corresponde à corrida declarada: ela não pode ser verificada.",
        "P+B",
    ),
    Rule(
        "D07",
        "1",
        "M",
        "Viagem de serviço não declarada",
        "O veículo fez uma viagem de serviço que nenhuma ata declara.",
        "P/V+B",
    ),
    Rule(
        "D08",
        "1",
        "C",
        "Corrida declarada em duplicidade",
        "Duas atas declaram a mesma corrida: mesmo veículo, mesmo horário, mesmos locais.",
        "B",
    ),
    Rule(
        "D10",
        "1",
        "H",
        "Hodômetro sem continuidade entre atas",
        "O KM SAÍDA não continua o KM CHEGADA anterior mais o que o veículo percorreu entre as corridas.",
        "B+P/V",
    ),
    Rule(
        "D11",
        "1",
        "H",
        "KM ROTA difere do hodômetro",
        "O KM ROTA da ata não é KM CHEGADA menos KM SAÍDA da mesma linha.",
        "B",
    ),
    Rule(
        "D12",
        "1",
        "L",
        "Data da ata contradiz os horários",
        "A ata traz o dia do turno, mas a corrida ocorreu no dia seguinte; os km não são contestados.",
        "B+P/V",
    ),
    Rule(
        "O01",
        "1",
        "C",
        "Hodômetro diminui",
        "A leitura do hodômetro caiu sem que o equipamento fosse reiniciado.",
        "P",
    ),
    Rule(
        "O02",
        "1",
        "H",
        "Hodômetro salta",
        "A leitura do hodômetro aumentou mais do que um veículo percorre no tempo entre duas leituras.",
        "P",
    ),
    Rule(
        "O03",
        "1",
        "H",
        "Hodômetro parado em movimento",
        "As posições mostram o veículo rodando enquanto o hodômetro não conta.",
        "P",
    ),
    Rule(
        "O04",
        "1",
        "C",
        "Hodômetro conta com o rastreador parado",
        "O hodômetro conta enquanto o rastreador não sai do lugar: ele pode estar fora do veículo.",
        "P",
    ),
    Rule(
        "O05",
        "1",
        "M",
        "Hodômetro e GPS divergem",
        "O hodômetro e o caminho pelas posições medem distâncias diferentes, acima da tolerância.",
        "P",
    ),
    Rule(
        "V01",
        "1",
        "C",
        "Veículo sem contrato vigente",
        "O veículo operou em um dia em que nenhum contrato vigente o cobre.",
        "P/V/B+K",
    ),
    Rule(
        "V06",
        "1",
        "M",
        "Corrida vazia declarada como serviço",
        "A própria ata declara zero passageiros em uma corrida de serviço.",
        "B",
    ),
    Rule(
        "K01",
        "1",
        "H",
        "Viagem sem tarifa única",
        "O contrato não tem tarifa para a viagem, ou tem mais de uma igualmente específica.",
        "K",
    ),
    Rule(
        "G07",
        "1",
        "L",
        "Parada longa em local desconhecido",
        "O veículo ficou parado por longo tempo fora de qualquer local cadastrado.",
        "P/V",
    ),
    Rule(
        "Q02",
        "1",
        "H",
        "Frota sem dados",
        "Veículos da frota não foram vistos em nenhum momento do dia: o que fizeram não é conhecido.",
        "P",
    ),
    Rule(
        "Q04",
        "1",
        "M",
        "Cadastro alterado em ciclo aberto",
        "Dados de referência mudaram dentro de um ciclo aberto: os dias que eles alcançam são calculados de novo.",
        "K",
    ),
    Rule(
        "Q05",
        "1",
        "L",
        "Fonte contradiz a si mesma",
        "Uma parte do que foi recebido contradiz outra: totais, aritmética, ou o equipamento a si mesmo.",
        "V/B/P",
    ),
)

_CYCLE_RULES = (
    Rule(
        "D03",
        "1",
        "C",
        "Km declarado acima do medido no ciclo",
        "A soma do ciclo do veículo declara mais km do que a medida nas mesmas corridas, acima da tolerância.",
        "P/V+B",
    ),
    Rule(
        "D12",
        "1",
        "L",
        "Datas de um turno contradizem os horários",
        "Postas um dia depois, mais atas noturnas do turno têm viagem; os km não são contestados.",
        "B+P/V",
    ),
    Rule(
        "O05",
        "1",
        "M",
        "Hodômetro e GPS divergem",
        "Por sete dias o hodômetro do veículo conta mais, ou menos, do que o caminho pelas posições.",
        "P",
    ),
    Rule(
        "T05",
        "1",
        "M",
        "Mais viagens que o planejado",
        "O veículo fez no ciclo mais viagens de serviço do que o plano prevê.",
        "P/V+K",
    ),
    Rule(
        "T06",
        "1",
        "H",
        "Menos viagens que o planejado",
        "O veículo fez no ciclo menos viagens de serviço do que o plano prevê.",
        "P/V+K",
    ),
    Rule(
        "V04",
        "1",
        "H",
        "Custo fixo sem operação",
        "O veículo tem custo fixo e não teve viagem de serviço em muitos dias úteis do ciclo.",
        "P+K",
    ),
    Rule(
        "K03",
        "1",
        "M",
        "Deslocamento vazio em excesso",
        "O veículo rodou vazio, no ciclo, mais do que o contrato admite em relação ao serviço.",
        "P+K",
    ),
)

REGISTRY: dict[str, Rule] = {rule.rule_id: rule for rule in _RULES}
CYCLE_REGISTRY: dict[str, Rule] = {rule.rule_id: rule for rule in _CYCLE_RULES}

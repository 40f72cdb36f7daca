"""Data that rules of a cycle need: the share of the cycle that was run, its runs and invoices.

Needs of a single rule are in the rule's own module.
"""

from __future__ import annotations

from fleet_audit.logic.audit.rules.rule import Need

UNPROVEN_PLACE_PT = (
    "viagens de finalidade desconhecida, cujo local as coordenadas não comprovam, podem ser de serviço e "
    "mudariam o resultado"
)
NO_ROAD_PT = "o hodômetro do equipamento não contou e as posições são raras demais para medir a estrada"
OVER = Need(lambda context: context.is_over, "espera o fim do ciclo")
WHOLE = Need(lambda context: context.is_whole, "espera todos os dias do ciclo")
RUNS_IN_CYCLE = Need(lambda context: len(context.runs) > 0, "nenhuma ata no ciclo")
INVOICED = Need(lambda context: len(context.invoice_lines) > 0, "nenhuma fatura do ciclo")
NO_CALENDAR_PT = "o calendário da unidade não tem todos os dias do ciclo"
CALENDAR = Need(lambda context: context.has_calendar, "nenhum calendário do ciclo")
ENOUGH_DAYS = Need(
    lambda context: context.is_whole or context.run_days >= context.parameters.cycle_min_days,
    "poucos dias do ciclo foram processados",
)

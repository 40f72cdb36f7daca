"""Data that rules of one day need: each is a reason for which a rule is not tested where the data are missing.

Needs of a single rule, and those of a cycle, are in the rule's own module.
"""

from __future__ import annotations

from typing import Any

from fleet_audit.logic.audit.rules.draft import UNSEEN_HALT_CONFIDENCE
from fleet_audit.logic.audit.rules.rule import Need
from fleet_audit.logic.audit.rules.vehicle_need import VehicleDoubt, VehicleNeed


def has_positions(context: Any) -> bool:
    """Whether any vehicle was observed by positions in the day's window."""
    return bool((context.spans["source"] == "positions").any())


def plates_with_runs(context: Any) -> set[str]:
    """Plates with a declared run of the day."""
    return set(context.runs_of_day["plate"].dropna())


RUNS = Need(lambda context: len(context.runs_of_day) > 0, "nenhum boletim cobre o dia")
TRIPS = Need(lambda context: len(context.trips_of_day) > 0, "nenhuma viagem medida no dia")
OBSERVED = Need(lambda context: len(context.spans) > 0, "nenhum veículo foi observado")
POSITIONS = Need(has_positions, "nenhuma posição recebida")
ODOMETERS = Need(
    lambda context: bool((context.devices.health["readings"] > 0).any()),
    "nenhum equipamento informou o hodômetro no dia",
)
ODOMETERS_AND_PLACES = Need(
    lambda context: bool(((context.devices.health["readings"] > 0) & (context.devices.health["located"] > 0)).any()),
    "nenhum equipamento informou hodômetro e posição no dia",
)
UNTRUSTED_PT = "o equipamento tem o relógio fora de hora ou o receptor travado, e não prova quando ou onde ele andou"
UNPROVEN_TIMES_PT = (
    "o equipamento envia posições raras demais para mostrar se o relógio dele está certo, e nenhuma ata coincide com "
    "uma viagem"
)
TRUSTED_DEVICE_OF_RUNS = VehicleNeed(
    plates_with_runs,
    lambda context: context.plates_with_untrusted_device,
    UNTRUSTED_PT,
)
# A rule that concludes from one trip where there may be two, or from none where an odometer stood.
VISIBLE_HALTS = VehicleDoubt(lambda context: context.plates_with_unseen_halts, UNSEEN_HALT_CONFIDENCE)

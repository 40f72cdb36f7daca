"""How much of a cycle its documents are about: the days that were run, in words for every header.

Which rules wait for the whole cycle is decided in `logic.audit`.
"""

from __future__ import annotations

from fleet_audit.logic.primitives.cycles import Cycle
from fleet_audit.reporting import locale
from fleet_audit.reporting.sections.inputs import Frames


def cycle_words(cycle: Cycle, frames: Frames) -> str:
    """`ciclo de 16/05/2025 a 15/06/2025`, and of a partial one how many of its days were run."""
    words = f"ciclo de {locale.day(cycle.start)} a {locale.day(cycle.end)}"
    days = len(frames.run_days)
    if days >= cycle.length or (frames.carrier_code is not None and frames.coverage.empty):
        return words  # nothing was processed of a carrier without vehicles
    return f"{words} · {days} de {cycle.length} dias processados"

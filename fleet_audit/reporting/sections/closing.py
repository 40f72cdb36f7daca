"""State of the close of a cycle, as its documents show it: the stamp, the manifest, the versions.

Only the printed texts belong here; the close and its manifest do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from fleet_audit.reporting import locale
from fleet_audit.reporting.sections.inputs import Frames

_NO_LINES = (
    "Este ciclo foi fechado{day} por uma versão do sistema que ainda não guardava as linhas de medição: vale o pacote "
    "entregue no fechamento{total}; esta aba não repete os valores."
)
_SHOWN_DIGITS = 16  # of a SHA-256 in a stamp; the whole of it is in PARÂMETROS and in the notes


@dataclass(frozen=True)
class Closing:
    """The row of `ops.cycle_closes` of a cycle; without one nothing is closed, and the cycle is provisional."""

    status: str | None = None
    closed_at: dt.datetime | None = None
    manifest_sha256: str | None = None
    manifest_path: str | None = None
    code_version: str | None = None
    parameters_version: str | None = None
    total_km: Decimal | None = None
    total_variable_brl: Decimal | None = None
    total_fixed_brl: Decimal | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Closing:
        """From a record of the table; other columns are ignored."""
        return cls(**{entry.name: row[entry.name] for entry in fields(cls)})

    @property
    def is_final(self) -> bool:
        """Whether the rows are frozen."""
        return self.status == "final"

    @property
    def total_brl(self) -> Decimal | None:
        """What was closed, variable and fixed; None where neither is known."""
        known = [total for total in (self.total_variable_brl, self.total_fixed_brl) if total is not None]
        return sum(known, Decimal(0)) if known else None

    def of_carrier(self) -> Closing:
        """The same for one carrier, without the totals of all carriers."""
        return replace(self, total_km=None, total_variable_brl=None, total_fixed_brl=None)

    @property
    def stamp(self) -> str:
        """`PROVISÓRIO`, or `FINAL` and its total, with the first digits of the manifest's hash where there is one."""
        words = ["FINAL" if self.is_final else "PROVISÓRIO"]
        if self.is_final and self.total_brl is not None:
            words.append(locale.money(self.total_brl))
        if self.manifest_sha256:
            words.append(f"manifesto {self.manifest_sha256[:_SHOWN_DIGITS]}…")
        return " · ".join(words)

    def no_lines_sentence(self, frames: Frames) -> str | None:
        """Why a final cycle that cost something has no billing lines; None where it has them, or nothing to bill."""
        has_cost = bool(frames.trip_costs["variable_cost_brl"].notna().any()) or len(frames.fixed_cost_days) > 0
        if not self.is_final or len(frames.billing_lines) or not has_cost:
            return None
        day = "" if self.closed_at is None else f" em {locale.instant(self.closed_at)[:10]}"
        total = "" if self.total_brl is None else f", de {locale.money(self.total_brl)}"
        return _NO_LINES.format(day=day, total=total)

    @property
    def sentence(self) -> str:
        """The same with the whole hash and the moment, for the notes of a report."""
        if self.closed_at is None:
            return "Ciclo provisório: nada foi fechado ainda; os números mudam com os dados que chegarem."
        word = "final" if self.is_final else "provisório"
        return (
            f"Fechamento {word} em {locale.instant(self.closed_at)} (Brasília)"
            f"{'' if self.total_brl is None else ', ' + locale.money(self.total_brl)}; manifesto SHA-256 "
            f"{self.manifest_sha256}; código {self.code_version}; parâmetros {self.parameters_version}."
        )

"""How far a cycle is closed, as every document about it states it: the stamp, the manifest, the versions.

Closing a cycle, and what its manifest holds, belongs elsewhere; here only what is printed about it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from fleet_audit.reporting import locale

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

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Closing:
        """From a record of the table, whatever else it holds."""
        return cls(**{entry.name: row[entry.name] for entry in fields(cls)})

    @property
    def is_final(self) -> bool:
        """Whether the rows are frozen."""
        return self.status == "final"

    @property
    def stamp(self) -> str:
        """`PROVISÓRIO`, or `FINAL`, with the first digits of the manifest's hash where there is one."""
        word = "FINAL" if self.is_final else "PROVISÓRIO"
        return f"{word} · manifesto {self.manifest_sha256[:_SHOWN_DIGITS]}…" if self.manifest_sha256 else word

    @property
    def sentence(self) -> str:
        """The same with the whole hash and the moment, for the notes of a report."""
        if self.closed_at is None:
            return "Ciclo provisório: nada foi fechado ainda; os números mudam com os dados que chegarem."
        word = "final" if self.is_final else "provisório"
        return (
            f"Fechamento {word} em {locale.instant(self.closed_at)} (Brasília); manifesto SHA-256 "
            f"{self.manifest_sha256}; código {self.code_version}; parâmetros {self.parameters_version}."
        )

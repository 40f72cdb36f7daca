"""What a rule needs of each vehicle: which it does not test, or of which it is less sure, because they lack it.

The test itself is in the rule's own module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.sentences import counted

_SHOWN = 5  # plates in a reason


@dataclass(frozen=True)
class MinimumSample:
    """What a statistical rule tests of each vehicle: too few observations neither accuse nor clear anybody.

    Attributes:
        sizes: returns the number of observations by plate of an `AuditCycle`, of every plate with any.
        least: name of the parameter below which a vehicle is not tested.
        of_pt: what is counted, plural.
        without_comparison: returns the plates that have nothing to compare their observations with; None where the
            observations are enough.
        comparison_pt: what these plates lack.
    """

    sizes: Callable[[Any], pd.Series]
    least: str
    of_pt: str
    without_comparison: Callable[[Any], set[str]] | None = None
    comparison_pt: str = ""

    def untested_plates(self, context: Any) -> set[str]:
        """Plates with too few observations, or with nothing to compare them with."""
        return set(self._few(context, self.sizes(context)).index) | self._without_comparison(context)

    def reasons(self, context: Any) -> list[str]:
        """Reasons that count the vehicles that were not tested, with n; empty where every vehicle was."""
        sizes, least = self.sizes(context), int(getattr(context.parameters, self.least))
        few = self._few(context, sizes)
        others = len(self._without_comparison(context) - set(few.index))
        reasons = []
        if len(few):
            largest = f"o maior n entre eles é {int(few.max())}"
            reasons.append(f"{_vehicles(len(few), len(sizes))}: poucas {self.of_pt} (n < {least}; {largest})")
        if others:
            reasons.append(f"{_vehicles(others, len(sizes))}: {self.comparison_pt}")
        return reasons

    def _few(self, context: Any, sizes: pd.Series) -> pd.Series:
        return sizes[sizes < getattr(context.parameters, self.least)]

    def _without_comparison(self, context: Any) -> set[str]:
        return self.without_comparison(context) if self.without_comparison else set()


@dataclass(frozen=True)
class VehicleNeed:
    """Data of a vehicle without which a rule neither accuses nor clears it.

    Attributes:
        asked: returns the plates of an `AuditDay` or `AuditCycle` that the rule would judge.
        lacking: returns the plates that lack the data.
        reason_pt: what they lack.
    """

    asked: Callable[[Any], set[str]]
    lacking: Callable[[Any], set[str]]
    reason_pt: str

    def untested_plates(self, context: Any) -> set[str]:
        """Plates that the rule would judge and that lack the data."""
        return self.asked(context) & self.lacking(context)

    def reasons(self, context: Any) -> list[str]:
        """The reason of all untested plates."""
        return self.reasons_of(self.untested_plates(context), context)

    def reasons_of(self, plates: set[str], context: Any) -> list[str]:
        """The reason, with the number of these plates and the first of them; empty where there are none."""
        if not plates:
            return []
        more = f" e mais {len(plates) - _SHOWN}" if len(plates) > _SHOWN else ""
        named = ", ".join(sorted(plates)[:_SHOWN])
        return [f"{_vehicles(len(plates), len(self.asked(context)))} ({named}{more}): {self.reason_pt}"]


@dataclass(frozen=True)
class VehicleNeeds:
    """Several needs of a vehicle, each with its own reason; a vehicle that lacks several has the first."""

    needs: tuple[VehicleNeed, ...]

    def untested_plates(self, context: Any) -> set[str]:
        """Plates that lack the data of any need."""
        return set().union(*(need.untested_plates(context) for need in self.needs))

    def reasons(self, context: Any) -> list[str]:
        """The reasons of the needs that a vehicle lacks."""
        found, named = list[str](), set[str]()
        for need in self.needs:
            plates = need.untested_plates(context) - named
            found += need.reasons_of(plates, context)
            named |= plates
        return found


@dataclass(frozen=True)
class VehicleDoubt:
    """Data of a vehicle without which a rule still reports it, and is less sure.

    Attributes:
        lacking: returns the plates of an `AuditDay` that lack the data.
        confidence: the most that a finding about such a vehicle states.
    """

    lacking: Callable[[Any], set[str]]
    confidence: float

    def capped(self, confidence: float, plate: str | None, context: Any) -> float:
        """The confidence of a finding about the plate, at most `confidence` where it lacks the data."""
        return min(confidence, self.confidence) if plate in self.lacking(context) else confidence


def _vehicles(count: int, of: int) -> str:
    """`1 de 3 veículos não testado`."""
    return f"{count} de {counted(of, 'veículo', 'veículos')} {'não testado' if count == 1 else 'não testados'}"

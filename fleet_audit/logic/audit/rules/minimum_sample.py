"""How many observations of each vehicle a statistical rule has, and which vehicles have too few for its test.

The test itself is in the rule's own module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fleet_audit.logic.audit.rules.sentences import counted


@dataclass(frozen=True)
class Sample:
    """What a statistical rule tests of each vehicle: too few observations neither accuse nor clear anybody.

    Attributes:
        sizes: returns the number of observations by plate of an `AuditCycle`, of every plate with any.
        least: name of the parameter below which a vehicle is not tested.
        of_pt: what is counted, plural.
    """

    sizes: Callable[[Any], pd.Series]
    least: str
    of_pt: str

    def untested_plates(self, context: Any) -> set[str]:
        """Plates with too few observations."""
        sizes = self.sizes(context)
        return {str(plate) for plate in sizes.index[sizes < getattr(context.parameters, self.least)]}

    def reasons(self, context: Any) -> list[str]:
        """One reason that counts the vehicles that were not tested, with n; empty where every vehicle was."""
        least, sizes = int(getattr(context.parameters, self.least)), self.sizes(context)
        few = sizes[sizes < least]
        if sizes.empty or few.empty:
            return []
        largest = f"o maior n entre eles é {int(few.max())}"
        verb = "não testado" if len(few) == 1 else "não testados"
        return [
            f"{len(few)} de {counted(len(sizes), 'veículo', 'veículos')} {verb}: poucas {self.of_pt} "
            f"(n < {least}; {largest})"
        ]

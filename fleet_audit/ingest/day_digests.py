"""The record of what each computation of a day was last made of and what came of it (`ops.day_digests`).

Which inputs a computation has is known where it is made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from fleet_audit.schema.facts import DAY_DIGESTS
from fleet_audit.storage.warehouse import Warehouse

_RECORDED = """
    select inputs_digest, content_digest from ops.day_digests
    where computation = :computation and partition_date = :day
"""


def forget_days(warehouse: Warehouse, days: Sequence[dt.date]) -> None:
    """Remove the records of days in all computations, so that each is computed again."""
    warehouse.execute("delete from ops.day_digests where partition_date = any(:days)", {"days": list(days)})


@dataclass(frozen=True)
class DayDigests:
    """The records of one computation, read and written by one run.

    They lie in the warehouse beside the rows that a computation leaves there, so that a warehouse restored from a
    backup does not claim what its rows do not show.
    """

    warehouse: Warehouse
    computation: str
    run_id: str

    def is_unchanged(self, day: dt.date, inputs_digest: str, content_digest: Callable[[], str]) -> bool:
        """Whether the day was computed from these inputs, and what was written then is what is stored now.

        `content_digest` is not called for a day with other inputs.
        """
        recorded = self.content_of(day, inputs_digest)
        return recorded is not None and recorded == content_digest()

    def content_of(self, day: dt.date, inputs_digest: str) -> str | None:
        """The digest of what was written of the day; None when it was not computed, or not from these inputs."""
        rows = self.warehouse.read(_RECORDED, {"computation": self.computation, "day": day})
        if rows.empty or rows["inputs_digest"].iloc[0] != inputs_digest:
            return None
        return str(rows["content_digest"].iloc[0])

    def record(self, day: dt.date, inputs_digest: str, content_digest: str) -> None:
        """Record what the day was computed from and what was written."""
        row = {
            "partition_date": day,
            "inputs_digest": inputs_digest,
            "content_digest": content_digest,
            "run_id": self.run_id,
            "computation": self.computation,
        }
        self.warehouse.upsert(DAY_DIGESTS, pd.DataFrame([row]))

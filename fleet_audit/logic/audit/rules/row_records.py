"""Rows of a frame as dictionaries, by their id, each converted once however many rules ask for it.

Which rows a rule asks for is decided by the rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import pandas as pd

Record = dict[str, Any]


class RowRecords:
    """The rows of a frame by id. A conversion costs as much for none or one as for 500: many ids are asked for at once.

    The dictionaries are shared: a caller does not change them.
    """

    def __init__(self, frame: pd.DataFrame, key: str) -> None:
        self._frame = frame
        self._at = {row_id: at for at, row_id in enumerate(frame[key].tolist())}
        self._known: dict[int, Record] = {}

    def of(self, ids: Iterable[Any]) -> dict[str, Record]:
        """Those rows by their id, in the order of the frame; an id that the frame does not hold is skipped."""
        wanted = {self._at[row_id]: row_id for row_id in ids if row_id in self._at}
        new = sorted(wanted.keys() - self._known.keys())
        if new:
            self._known.update(zip(new, self._frame.iloc[new].to_dict("records"), strict=True))
        return {wanted[at]: self._known[at] for at in sorted(wanted)}


class TripAndRunRecords:
    """What the contexts of days and of cycles share: their frames `trips` and `runs` by the ids of rows."""

    trips: pd.DataFrame
    runs: pd.DataFrame

    def trip_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of trips by id."""
        return self._trip_records.of(ids)

    def run_records(self, ids: Iterable[str]) -> dict[str, Record]:
        """Rows of declared runs by id."""
        return self._run_records.of(ids)

    @cached_property
    def _trip_records(self) -> RowRecords:
        return RowRecords(self.trips, "trip_id")

    @cached_property
    def _run_records(self) -> RowRecords:
        return RowRecords(self.runs, "declared_run_id")

"""What adjustments of late data have paid of runs and trips, each cent to be set off once against what is released.

Which findings release what is in `reversals`; how late data become adjustments is in `adjustments`.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

import pandas as pd

from fleet_audit.logic.costs.amounts import cents_of, is_compared

_Pool = tuple[str, str]  # the runs and trips of one payment, and the carrier that got it


class LatePayments:
    """Cents that late data paid more, by runs and trips that were paid together; what is taken is not there again.

    Groups as billed and as of now that share a run or a trip are one: where a late trip serves several runs, its
    payment may be that of any of them.
    """

    def __init__(self, late: pd.DataFrame, matches: pd.DataFrame, matches_now: pd.DataFrame) -> None:
        """Of the trips' rows of `fact.adjustments` that come from data, and of `fact.matches` as billed and now."""
        self._parent: dict[str, str] = {}
        for ids in (*_members(matches), *_members(matches_now)):
            for name in ids[1:]:
                self._parent[self._root(name)] = self._root(ids[0])
        trips = late[late["kind"] == "trip"]
        carriers = trips["carrier_code"].astype("str").fillna("")
        self._left: Counter[_Pool] = Counter()
        for trip, carrier, cents in zip(
            trips["trip_id"], carriers, cents_of(trips["difference_brl"]).fillna(0), strict=True
        ):
            self._left[self._root(trip), carrier] += int(cents)
        self._pools_of_group: dict[str, list[_Pool]] = defaultdict(list)
        for pool in sorted(self._left):
            self._pools_of_group[pool[0]].append(pool)
        self._compared: dict[tuple[str, dt.date], list[str]] = defaultdict(list)
        names = (matches.loc[is_compared(matches), name] for name in ("match_id", "plate", "operational_date"))
        for group, plate, day in zip(*names, strict=True):
            self._compared[plate, day].append(group)

    def take_of_group(self, concern: str, cents: int) -> int:
        """Takes up to `cents` of what was paid for a group, run or trip, to whichever carrier; returns the cents."""
        return self._take(self._pools_of_group.get(self._root(concern), ()), cents)

    def take_of_days(
        self, carrier: str, plate: str, days: Iterable[dt.date], uncounted: AbstractSet[str], cents: int
    ) -> int:
        """The same of what the carrier was paid for groups of the vehicle that were compared when these days were
        billed, without the `uncounted` ones (match_id).

        On one day losses of a trip and gains of another cancel; over several days they do not.
        """
        taken = 0
        for day in days:
            groups = [group for group in self._compared.get((plate, day), ()) if group not in uncounted]
            pools = {pool for group in groups for pool in self._pools_of_group.get(self._root(group), ())}
            taken += self._take(sorted(pool for pool in pools if pool[1] == carrier), cents - taken)
        return taken

    def _take(self, pools: Sequence[_Pool], cents: int) -> int:
        wanted = taken = min(cents, max(sum(self._left[pool] for pool in pools), 0))
        for pool in pools:
            part = min(wanted, max(self._left[pool], 0))
            self._left[pool] -= part
            wanted -= part
        return taken

    def _root(self, name: str) -> str:
        """Representative of the runs and trips that a group, run or trip is paid with; itself where there are none."""
        while (parent := self._parent.get(name, name)) != name:
            name = parent
        return name


def _members(matches: pd.DataFrame) -> list[list[str]]:
    """match_id, runs and trips of each group."""
    columns = (matches[name] for name in ("match_id", "declared_run_ids", "trip_ids"))
    return [[match, *runs, *trips] for match, runs, trips in zip(*columns, strict=True)]

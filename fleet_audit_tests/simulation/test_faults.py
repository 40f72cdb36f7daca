"""Which fault a request meets depends on the seed, its query and how often it was asked, not on its turn."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from fleet_audit.simulation.faults import FAULT_KINDS, Faults


def test_no_reader_of_many_is_refused_more_often_in_a_row_than_stated() -> None:
    """Counted over all readers, one of eight met 12 failures in a row and gave its window up."""
    faults = Faults(seed=1, **dict.fromkeys(FAULT_KINDS, 0.3))  # type: ignore[arg-type]
    turns, row = random.Random(7), defaultdict(int)
    for _ in range(4_000):
        query = f"window={turns.randrange(8)}"
        drawn, _ = faults.draw(query, has_cursor=True)
        failed = drawn & {"rate_limited", "server_error", "cut", "reset", "broken", "timeout", "refused", "expired"}
        row[query] = row[query] + 1 if failed else 0
        assert row[query] <= faults.most_in_a_row


@pytest.mark.parametrize("seed", [1, 2])
def test_another_order_of_readers_meets_the_same_faults(seed: int) -> None:
    queries = [f"window={number}" for number in range(50)] * 3

    def met(order: list[str]) -> dict[str, list[frozenset[str]]]:
        faults = Faults(seed=seed, **dict.fromkeys(set(FAULT_KINDS) - {"refused", "expired"}, 0.2))  # type: ignore[arg-type]
        found = defaultdict(list)
        for query in order:
            found[query].append(faults.draw(query, has_cursor=True)[0])
        return found

    shuffled = random.Random(3).sample(queries, len(queries))
    assert met(queries) == met(shuffled)
    assert len({*met(queries)["window=1"], *met(queries)["window=2"], *met(queries)["window=3"]}) > 1

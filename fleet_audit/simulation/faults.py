"""Faults between a telemetry API and its client, at chosen rates and reproducible by seed.

Here belongs which fault comes next. How it looks on the wire is in `api_server`.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

FAULT_KINDS = (
    "rate_limited",
    "server_error",
    "cut",
    "reset",
    "broken",
    "refused",
    "repeated",
    "shuffled",
    "expired",
    "wrong_types",
    "no_fix",
    "timeout",
)
DEFAULT_SHARE = 0.1  # of the requests that meet a kind that is named without a share
PRESETS: Mapping[str, Mapping[str, float]] = {
    "usual": {"rate_limited": 0.02, "server_error": 0.02, "repeated": 0.02, "shuffled": 1.0},
    "harsh": dict.fromkeys(FAULT_KINDS, 0.08),
}


def parse_faults(text: str) -> dict[str, float]:
    """Shares of requests by kind, from a text such as `harsh` or `cut,rate_limited=0.2`; the last of a kind counts.

    Raises ValueError with one sentence for anything else.
    """
    shares: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = part.partition("=")
        if name in PRESETS and not share:
            shares |= PRESETS[name]
            continue
        if name not in FAULT_KINDS:
            raise ValueError(f"{name!r} is not a fault: choose from {', '.join((*PRESETS, *FAULT_KINDS))}.")
        try:
            shares[name] = float(share) if "=" in part else DEFAULT_SHARE
        except ValueError:
            shares[name] = -1
        if not 0 <= shares[name] <= 1:
            raise ValueError(f"The share of {name} is {share!r}: write a number from 0 to 1, such as {name}=0.2.")
    if not shares:
        raise ValueError(f"No fault is named: choose from {', '.join((*PRESETS, *FAULT_KINDS))}.")
    return shares


@dataclass
class Faults:
    """Share of requests (0-1) that meet each fault; at most `most_in_a_row` hard ones of a query in a row.

    None of them takes a row away for good: a client that retries gets all rows of a window, some of them twice.

    Attributes:
        rate_limited: 429 with `Retry-After`.
        server_error: 500, 502 or 503.
        cut: the connection ends in the middle of the body.
        reset: the connection is reset in the middle of the body.
        broken: the body has its full length and is not JSON: not UTF-8, nan, a number of 6,000 digits, or only `null`.
        refused: `refusal_status` for a valid token, at most `most_refusals` times in all.
        repeated: the page before comes again, once, before the right one.
        shuffled: the rows of the page are in another order.
        expired: 410 for a cursor, at most `most_expiries` times.
        wrong_types: beside the right rows of a page, poorer copies of some whose fields have the wrong type.
        no_fix: beside the right rows of a page, copies of some at 0/0, out of range or without one coordinate.
        timeout: `timeout_s` of silence, then nothing.
        expires_after: so many requests, then the token is refused (401) until this is None.
    """

    seed: int = 1
    rate_limited: float = 0.0
    server_error: float = 0.0
    cut: float = 0.0
    reset: float = 0.0
    broken: float = 0.0
    refused: float = 0.0
    repeated: float = 0.0
    shuffled: float = 0.0
    expired: float = 0.0
    wrong_types: float = 0.0
    no_fix: float = 0.0
    timeout: float = 0.0
    retry_after_s: int = 1
    timeout_s: float = 60.0
    most_in_a_row: int = 3
    most_expiries: int = 3
    most_refusals: int = 2
    refusal_status: int = 401
    expires_after: int | None = None
    served: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULT_KINDS, 0), init=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._in_a_row: Counter[str] = Counter()
        self._repeated: set[str] = set()
        self._requests = 0

    def is_token_expired(self) -> bool:
        """Counts a request; whether its token has expired by now."""
        with self._lock:
            self._requests += 1
            return self.expires_after is not None and self._requests > self.expires_after

    def draw(self, query: str, *, has_cursor: bool) -> tuple[frozenset[str], random.Random]:
        """The faults of a request with this query string, and what else of its answer is left to chance.

        They are one fault that fails it, or any of those that change its page. They depend on the seed, the query and
        how often it was asked, not on its turn: windows are read side by side, and of two readers the unlucky one met
        12 failures in a row.
        """
        with self._lock:
            chance = random.Random(f"{self.seed} {query} {self._asked[query]}")
            self._asked[query] += 1
            hard = self._draw_hard(query, chance, has_cursor)
            soft = ("shuffled", "wrong_types", "no_fix")
            chosen = {hard} if hard else {kind for kind in soft if self._hit(kind, chance)}
            if not hard and has_cursor and query not in self._repeated and self._hit("repeated", chance):
                chosen.add("repeated")
                self._repeated.add(query)
            self._in_a_row[query] = self._in_a_row[query] + 1 if hard else 0
            for kind in chosen:
                self.served[kind] += 1
            return frozenset(chosen), chance

    def _draw_hard(self, query: str, chance: random.Random, has_cursor: bool) -> str | None:
        if self._in_a_row[query] >= self.most_in_a_row:
            return None
        for kind in ("rate_limited", "server_error", "cut", "reset", "broken", "timeout"):
            if self._hit(kind, chance):
                return kind
        if self.served["refused"] < self.most_refusals and self._hit("refused", chance):
            return "refused"
        if has_cursor and self.served["expired"] < self.most_expiries and self._hit("expired", chance):
            return "expired"
        return None

    def _hit(self, kind: str, chance: random.Random) -> bool:
        return chance.random() < getattr(self, kind)

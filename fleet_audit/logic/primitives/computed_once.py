"""Results that several rules of one audited day or cycle share, computed once.

Look-ups of the inputs themselves are properties of `AuditDay` and `AuditCycle`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Result = TypeVar("Result")


def computed_once(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """The function of an `AuditDay` or `AuditCycle`, computed once for each; callers do not change what it returns."""

    @wraps(function)
    def kept(context: Any) -> Result:
        results = vars(context).setdefault("_computed_once", {})
        if function not in results:
            results[function] = function(context)
        found: Result = results[function]
        return found

    return kept

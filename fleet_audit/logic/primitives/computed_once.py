"""Results that several readers of one input share, computed once: of an audited day or cycle, or a report's frames.

Look-ups of the inputs themselves are properties of the input's class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Result = TypeVar("Result")


def computed_once(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """The function of one object, computed once for each object; callers do not change what it returns."""
    name = f"{function.__module__}.{function.__qualname__}"  # a function itself would not survive pickling

    @wraps(function)
    def kept(context: Any) -> Result:
        results = vars(context).setdefault("_computed_once", {})
        if name not in results:
            results[name] = function(context)
        found: Result = results[name]
        return found

    return kept

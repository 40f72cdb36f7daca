"""Settings of Python's garbage collector for processes that load the code location.

Only how often it runs belongs here. Most objects are freed by their reference counts, without it.
"""

import gc
from functools import cache

_NEW_OBJECTS = 50_000  # before the youngest generation is looked through; Python's 700 are reached 1,150 times in a run


def collect_rarely() -> None:
    """Make collections rare: they took 2 of 29 s of processor time of a day of twelve vehicles on a busy machine."""
    gc.set_threshold(_NEW_OBJECTS, 20, 20)


@cache
def keep_loaded_objects() -> None:
    """Exclude what is loaded now, modules and definitions, from all later collections; only the first call counts."""
    gc.freeze()

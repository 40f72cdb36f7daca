"""Settings of Python's garbage collector for processes that load the code location.

Only how often it runs belongs here. Most objects are freed by their reference counts, without it.
"""

import atexit
import gc
from functools import cache

_NEW_OBJECTS = 50_000  # before the youngest generation is looked through; Python's 700 are reached 1,150 times in a run


@cache
def collect_rarely() -> None:
    """Make collections rare: they took 2 of 29 s of processor time of a day of twelve vehicles on a busy machine.

    Python's own collections after the last exit function look at nothing: the end of the process took 0.48 s with them
    and 0.12 s without, in one run each on a busy machine. Files and connections have been closed by then, or the
    operating system closes them.
    """
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
    atexit.register(gc.freeze)  # registered before all others, so that it runs after them


def pause_collections() -> None:
    """Collect nothing until `keep_loaded_objects`, for a command that loads the code location next and nothing before.

    What is loaded stays, so that looking at it frees little: that took 0.14 s in 8 collections.
    """
    gc.disable()


def keep_loaded_objects() -> None:
    """Exclude what is loaded now, modules and definitions, from all later collections; only the first call excludes."""
    _freeze_once()
    gc.enable()


@cache
def _freeze_once() -> None:
    gc.freeze()

"""Functions that numba compiles, with numba imported by the first call of one of them that has rows to compute.

When they are compiled belongs here; what they compute belongs to their subjects. Import and loading take 0.5 s.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_LOGIC = Path(__file__).parents[1]
_FOLDER = "compiled-"
_UNUSED_S = 30 * 86_400  # since the last process that compiled or loaded a function from a folder
_lock = threading.RLock()


class Compiled:
    """A function until its first call with rows, which makes it and all that it may call numba's own.

    A fleet that sends visit reports alone has no positions, and never needs numba.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], most_interpreted: int = 0) -> None:
        functools.update_wrapper(self, function)
        self._function, self._options, self._most_interpreted = function, options, most_interpreted
        self._dispatcher: Callable[..., Any] | None = None
        self._is_ready = False

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns, computed by its compiled form, or by Python's where there is little to compute."""
        if self._dispatcher is None and (
            _has_no_rows(arguments) or (self._most_interpreted and len(arguments[0]) <= self._most_interpreted)
        ):
            return self._function(*arguments)
        if not self._is_ready:
            with _lock:  # functions are first called by several threads at once
                self.hand_over()
            self._is_ready = True
        return self.hand_over()(*arguments)

    def hand_over(self) -> Callable[..., Any]:
        """Numba's function in place of this one, in the globals of its module too, where numba looks for calls.

        All of a module are published at once: a thread that takes one from there finds those that it calls.
        """
        if self._dispatcher is None:
            import numba

            _keep_apart(numba.config)
            self._dispatcher = numba.njit(**self._options)(self._function)
            names = self._function.__globals__
            compiled = {name: value for name, value in names.items() if isinstance(value, Compiled)}
            names.update({name: value.hand_over() for name, value in compiled.items()})
        return self._dispatcher


@functools.cache
def _keep_apart(config: Any) -> None:
    """Let numba keep what it compiles in a folder of this state of all compiled functions.

    Its own cache knows the file of a function, and not those of the functions that it calls: after an upgrade, a caller
    that had not changed computed with the old form of one that had.
    """
    digest = hashlib.sha256()
    for path in sorted(_LOGIC.rglob("*.py")):
        source = path.read_bytes()
        if b"@njit(" in source:
            digest.update(path.relative_to(_LOGIC).as_posix().encode() + b"\0" + source)
    folder = Path(config.CACHE_DIR or _LOGIC / "__pycache__") / f"{_FOLDER}{digest.hexdigest()[:16]}"
    config.CACHE_DIR = str(folder)
    with contextlib.suppress(OSError):  # not made yet, or installed where this process may not write
        os.utime(folder)


def remove_unused_folders(in_use: Path) -> None:
    """Remove the folders of other states beside this one that no process has used for 30 days: 12 MB per upgrade."""
    for folder in in_use.parent.glob(f"{_FOLDER}*"):
        if folder != in_use and time.time() - folder.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _has_no_rows(arguments: Sequence[Any]) -> bool:
    """Whether the rows, which are the first argument, are none, and no other array holds floating-point numbers either.

    Integers that remain, such as offsets of vehicles, are exact in both; floating-point arithmetic may differ in the
    last bit.
    """
    arrays = [one for one in arguments if isinstance(one, np.ndarray)]
    return bool(arrays) and not arrays[0].size and not any(one.size for one in arrays if one.dtype.kind == "f")


def njit(most_interpreted: int = 0, **options: Any) -> Callable[[Callable[..., Any]], Compiled]:
    """The decorator `numba.njit` with the same options; nothing is imported before the first call with rows.

    Python computes up to `most_interpreted` rows, at some microseconds each: only of functions that round, compare and
    do basic arithmetic, which IEEE 754 defines to the last bit.
    """
    return lambda function: Compiled(function, options, most_interpreted)

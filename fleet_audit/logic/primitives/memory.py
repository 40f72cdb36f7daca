"""Returns memory that libraries keep for later use to the operating system.

How much memory a computation takes, and which process takes it, belongs to the computation.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library


def release_unused_memory() -> None:
    """Release what Arrow's memory pool and the C library hold without using it.

    A process that read a day of 1.4 million positions as a frame held 449 MB when the frame was gone, and 159 MB after
    this; the next step's memory came on top of it.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)

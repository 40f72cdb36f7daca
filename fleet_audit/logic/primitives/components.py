"""Connected components of a graph given as arrays of edges."""

from __future__ import annotations

import numpy as np


def components(nodes: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Lowest node of each node's connected component; labels sink along the edges until nothing changes."""
    labels = np.arange(nodes)
    while True:
        lowest = np.minimum(labels[left], labels[right])
        sunk = labels.copy()
        np.minimum.at(sunk, left, lowest)
        np.minimum.at(sunk, right, lowest)
        sunk = sunk[sunk]
        if np.array_equal(sunk, labels):
            return labels
        labels = sunk

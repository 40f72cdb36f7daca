"""Random damage to one file of a local lake, as a torn disk leaves it; tests and benchmarks share it."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

KINDS = ("cut in half", "emptied", "exchanged", "removed")


def damage_a_file(lake: Path, folders: Sequence[str], chance: random.Random) -> str:
    """Damages one file of some folders of the lake, and returns its path and how, e.g. `parsed/x.parquet: emptied`."""
    path = chance.choice(sorted(path for folder in folders for path in (lake / folder).rglob("*") if path.is_file()))
    how, content = chance.choice(KINDS), path.read_bytes()
    new = {"cut in half": content[: len(content) // 2], "emptied": b"", "exchanged": os.urandom(len(content))}
    path.write_bytes(new[how]) if how in new else path.unlink()
    return f"{path.relative_to(lake)}: {how}"

"""Files of the package's cache folder, which the installation prepares as root and the service's user reads.

Only their writing belongs here: what they hold is in `lineage_cache` and `template_cache`.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

CACHE_FOLDER = Path(__file__).parent / "__pycache__"


def write_cache_file(path: Path, content: bytes) -> None:
    """Write a file that every user may read, whole or not at all; a read-only folder stays as it is."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(content)
                file.flush()
                temporary.chmod(0o644)  # temporary files are the owner's alone
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

"""The company's own layout of documents: its name, its logo, their titles, the order of columns, from a TOML file.

Only what a company may choose belongs here; which columns exist, and what they mean, is fixed by each report.
"""

from __future__ import annotations

import io
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fleet_audit.errors import PermanentError
from fleet_audit.reporting.document_model import Field, Logo

_STANDARD = Path(__file__).parent / "templates" / "layout.toml"
_LOGO_TYPES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}  # what HTML, PDF and XLSX can all show
_MOST_LOGO_BYTES = 500_000
_MOST_LOGO_PX = 4_000  # 500 kB of one colour can be a picture that takes gigabytes to draw


@dataclass(frozen=True)
class Layout:
    """A read layout file; every error about it names `path`."""

    path: Path
    company: str
    logo: Logo | None
    reports: Mapping[str, Mapping[str, Any]]

    def title(self, report: str) -> str:
        """The title of `d1`, `cycle` or `package`."""
        return str(self.reports[report]["title"])

    def arranged(self, report: str, table: str, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        """The fields of a table in the order of the file, which names each by its label exactly once."""
        by_label = {entry.label: entry for entry in fields}
        wanted = self.reports[report][table]
        if sorted(wanted) != sorted(by_label):
            missing = [label for label in by_label if label not in wanted]
            extra = [label for label in dict.fromkeys(wanted) if label not in by_label or wanted.count(label) > 1]
            raise PermanentError(
                f"{self.path}: [{report}] {table} must name each column exactly once; "
                f"missing: {', '.join(missing) or 'none'}; unknown or repeated: {', '.join(extra) or 'none'}."
            )
        return tuple(by_label[label] for label in wanted)


@lru_cache
def load_layout(path: Path | None = None) -> Layout:
    """The layout shipped with the package, with the entries of the file at `path` in place of its own.

    Raises PermanentError with one sentence when the file cannot be read or has an invalid entry.
    """
    values = _read(_STANDARD)
    if path is not None:
        _overlay(values, _read(path), path)
    source = path or _STANDARD
    reports = {name: value for name, value in values.items() if isinstance(value, dict)}
    return Layout(source, values["company"], _logo(values["logo"], source), reports)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.expanduser().read_text("utf-8-sig"))
    except OSError as error:
        raise PermanentError(
            f"The report layout {path} (FLEET_REPORT_LAYOUT) cannot be read: {error.strerror}."
        ) from None
    except ValueError as error:
        raise PermanentError(f"The report layout {path} (FLEET_REPORT_LAYOUT) is not TOML in UTF-8: {error}.") from None


def _overlay(values: dict[str, Any], changes: Mapping[str, Any], path: Path, where: str = "") -> None:
    """Applies changes in place; only names that the shipped file has, with values of the same form."""
    for name, value in changes.items():
        if name not in values:
            raise PermanentError(f"{path}: {where}{name} is not part of a layout; known here: {', '.join(values)}.")
        known = values[name]
        if isinstance(known, dict) and isinstance(value, dict):
            _overlay(known, value, path, f"[{name}] ")
        elif type(known) is type(value) and (isinstance(value, str) or all(isinstance(entry, str) for entry in value)):
            values[name] = value
        else:
            form = "a section" if isinstance(known, dict) else "a text" if isinstance(known, str) else "a list of texts"
            raise PermanentError(f"{path}: {where}{name} must be {form}.")


def _logo(name: str, source: Path) -> Logo | None:
    if not name:
        return None
    file = source.expanduser().parent / Path(name).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PermanentError(f"{source}: the logo {file} cannot be read: {error.strerror}.") from None
    kind = next((kind for start, kind in _LOGO_TYPES.items() if content.startswith(start)), None)
    size = _size(content) if kind and len(content) <= _MOST_LOGO_BYTES else None
    if kind is None or size is None:
        raise PermanentError(
            f"{source}: the logo {file} must be a whole PNG or JPEG file of at most 500 kB and 4,000 pixels a side."
        )
    return Logo(content, kind, *size)


def _size(content: bytes) -> tuple[float, float] | None:
    """Width and height at 96 dots an inch; None of a picture that is too large or cannot be drawn."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as checked:
            checked.verify()  # checksums: reading alone accepts wrong ones, the PDF does not
        with Image.open(io.BytesIO(content)) as picture:
            if max(picture.size) > _MOST_LOGO_PX:
                return None
            picture.load()
            dots = [dot or 96 for dot in picture.info.get("dpi", (96, 96))]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return picture.width * 96 / dots[0], picture.height * 96 / dots[1]

"""Common parts of folder and bucket inboxes: an entry of the listing, and temporary names.

How entries are listed is in `inbox_folder` and `inbox_bucket`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fleet_audit.errors import PermanentError

EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)
LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)
_TEMPORARY_PREFIXES = (".", "~$")
_TEMPORARY_SUFFIXES = (".part", ".tmp", ".crdownload", "~")


class UnsettledFileError(PermanentError):
    """The file went away or changed while it was read: the next look reads it as it is then."""


@dataclass(frozen=True)
class Entry:
    """One entry of an inbox.

    Attributes:
        name: path inside the inbox, as text; path: the same as the storage spells it.
        size: bytes.
        modified_at: the sender's time, which may be of any year.
        stamp: what the listing knows of the content: other bytes have another stamp.
        problem: why it cannot be read, as the end of a sentence that begins with its name; empty for a file.
    """

    name: str
    path: str
    size: int
    modified_at: dt.datetime
    stamp: str
    problem: str = ""


def is_temporary(name: str) -> bool:
    """Whether a file or folder name is hidden or of an unfinished transfer."""
    return name.startswith(_TEMPORARY_PREFIXES) or name.lower().endswith(_TEMPORARY_SUFFIXES)
